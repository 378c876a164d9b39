/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DOC: Theory of operation
 *
 * The helper is a child without exec. Before it meets a stranger it closes all
 * descriptors but its own, drops capabilities, may not gain new ones, lets the
 * caller take away more (namespaces) and installs a system call filter. It says
 * over a pipe whether it got so far; from then on only log lines tell more.
 */
#include "migration/tunnel.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/util.h"
#include "migration/tunnel_impl.h"

#define FILES_MAX 64
#define KEPT_FROM 3

/* What the helper says about its start. */
struct report {
	int error;
	uint16_t port;
	struct tunnel_error why;
};

void tunnel_say(struct tunnel_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
}

/* --- signals: blocked, but in tunnel_poll() --- */

static volatile sig_atomic_t ending;

static void on_term(int sig)
{
	(void)sig;
	ending = 1;
}

bool tunnel_ending(void)
{
	return ending;
}

void tunnel_poll(struct pollfd *p, unsigned n, uint64_t deadline_ms)
{
	uint64_t now = now_ms(), ms = 0;
	struct timespec ts;
	sigset_t none;

	if (deadline_ms > now)
		ms = deadline_ms - now;
	ts.tv_sec = (time_t)(ms / 1000);
	ts.tv_nsec = (long)(ms % 1000) * 1000000;
	(void)sigfillset(&none);
	(void)sigdelset(&none, SIGTERM);
	if (ppoll(p, n, deadline_ms ? &ts : NULL, &none) <= 0) {
		while (n--)
			p[n].revents = 0;
	}
}

static void helper_signals(void)
{
	static const int ignored[] = { SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP };
	struct sigaction sa = { .sa_handler = on_term };
	sigset_t set;
	size_t i;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	/* Ctrl-C is for the parent; we follow it. */
	for (i = 0; i < ARRAY_SIZE(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	ending = 0;
}

/* --- rights --- */

static void close_between(int below, int above)
{
	int fd = below + 1;

	if (fd >= above || !syscall(SYS_close_range, fd, above - 1, 0))
		return;
	/* Before Linux 5.9. */
	for (; fd < MIN(above, 4096); fd++)
		(void)close(fd);
}

/* Keep standard error, the owner's stream, the report, and the port. */
static int helper_descriptors(struct tunnel_helper *h)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int last;

	/* Above the rest and in a row: nobody's stream may get the number of
	 * standard error, and what lies between is closed at once. */
	h->plain = fcntl(h->plain, F_DUPFD_CLOEXEC, KEPT_FROM);
	h->report = fcntl(h->report, F_DUPFD_CLOEXEC, h->plain + 1);
	if (fd < 0 || h->plain < 0 || h->report < 0)
		return -errno;
	last = h->report;
	if (h->conf->listen_fd > 0) {
		h->listen_fd =
			fcntl(h->conf->listen_fd, F_DUPFD_CLOEXEC, last + 1);
		if (h->listen_fd < 0)
			return -errno;
		last = h->listen_fd;
	}
	if (dup2(fd, 0) < 0 || dup2(fd, 1) < 0 ||
	    (fcntl(2, F_GETFD) < 0 && dup2(fd, 2) < 0))
		return -errno;
	close_between(2, h->plain);
	close_between(h->plain, h->report);
	if (h->listen_fd >= 0)
		close_between(h->report, h->listen_fd);
	close_between(last, INT_MAX);
	return 0;
}

static int helper_confine(const struct tunnel_helper *h)
{
	const struct rlimit none = { 0 }, files = { FILES_MAX, FILES_MAX };
	int r;

	r = h->conf->confine ? h->conf->confine() : 0;
	if (r < 0)
		return r;
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setrlimit(RLIMIT_NPROC, &none);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_apply(CAPNG_SELECT_ALL) < 0 &&
	    capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	if (h->conf->outlive)
		return tunnel_seccomp();
	/* dumpable's change has cleared what was set before the fork. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0)
		return -errno;
	if (getppid() != h->parent)
		return -ESRCH;
	return tunnel_seccomp();
}

static void helper_report(struct tunnel_helper *h, int error,
			  const struct tunnel_error *err)
{
	struct report rep = { .error = error, .port = h->port };

	if (err)
		rep.why = *err;
	if (h->report >= 0 &&
	    write(h->report, &rep, sizeof(rep)) != (ssize_t)sizeof(rep))
		util_close(&h->report); /* nobody wants to know */
}

/* --- finding the other side --- */

static int helper_connect(struct tunnel_helper *h, struct tunnel_error *err)
{
	uint64_t deadline = tunnel_deadline(h);
	struct tunnel_error why = { "" };
	struct tunnel_peer *p = &h->up;
	int fd, r;

	fd = tunnel_net_connect(h->conf, deadline, err);
	if (fd < 0)
		return fd;
	r = helper_confine(h);
	if (r < 0) {
		(void)close(fd);
		tunnel_say(err, "giving up rights: %s", strerror(-r));
		return r;
	}
	r = tunnel_peer_init(p, fd, &h->tls, h->conf, deadline);
	while (!r && (r = tunnel_step(h, p, &why)) == -EAGAIN) {
		struct pollfd pfd = { .fd = p->fd, .events = p->events };

		tunnel_poll(&pfd, 1, deadline);
		r = tunnel_ending() ? -EINTR : 0;
	}
	if (r < 0)
		tunnel_say(err, "%s: %s", p->name,
			   why.text[0] ? why.text : strerror(-r));
	return r;
}

static int helper_listen(struct tunnel_helper *h, struct tunnel_error *err)
{
	int r;

	if (h->listen_fd < 0)
		h->listen_fd = tunnel_net_listen(h->conf, &h->port, err);
	if (h->listen_fd < 0)
		return h->listen_fd;
	r = helper_confine(h);
	if (r < 0) {
		tunnel_say(err, "giving up rights: %s", strerror(-r));
	} else {
		helper_report(h, 0, NULL);
		r = tunnel_accept(h, h->listen_fd);
	}
	if (!r)
		tunnel_say(err, "%s", h->up.name);
	util_close(&h->listen_fd);
	return r;
}

/* Return: the exit status */
static int helper_main(struct tunnel_helper *h)
{
	struct tunnel_error err = { "" };
	int r;

	helper_signals();
	r = helper_descriptors(h);
	if (r < 0)
		tunnel_say(&err, "descriptors: %s", strerror(-r));
	else
		r = tunnel_tls_init(&h->tls, h->conf, &err);
	if (!r)
		r = h->conf->role == TUNNEL_LISTEN ? helper_listen(h, &err)
						   : helper_connect(h, &err);
	helper_report(h, r, &err);
	util_close(&h->report);
	if (!r)
		r = tunnel_pump(&h->up, h->plain, h->conf->rekey_bytes);
	tunnel_peer_fini(&h->up);
	tunnel_tls_fini(&h->tls);
	return r < 0;
}

/* --- the owner's side --- */

static int open_fork(const struct tunnel_conf *conf, const int pair[2],
		     const int pipe[2], pid_t *ret_pid)
{
	struct tunnel_helper h = {
		.conf = conf,
		.plain = pair[1],
		.report = pipe[1],
		.listen_fd = -1,
		.parent = getpid(),
		.up = { .fd = -1 },
	};

	*ret_pid = fork();
	if (*ret_pid < 0)
		return -errno;
	if (*ret_pid > 0)
		return 0;
	_exit(helper_main(&h));
}

static int open_wait(int report, struct report *ret_rep)
{
	ssize_t n;

	do {
		n = read(report, ret_rep, sizeof(*ret_rep));
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(*ret_rep))
		return ret_rep->error;
	tunnel_say(&ret_rep->why, "the helper process died");
	return -ECHILD;
}

static int open_failed(int error, struct tunnel_error *err)
{
	tunnel_say(err, "helper process: %s", strerror(error));
	return -error;
}

int tunnel_open(const struct tunnel_conf *conf, struct tunnel *ret_t,
		struct tunnel_error *err)
{
	struct report rep = { .error = 0 };
	int pair[2], report[2], r;
	pid_t pid;

	err->text[0] = '\0';
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return open_failed(errno, err);
	if (pipe2(report, O_CLOEXEC) < 0) {
		r = open_failed(errno, err);
		(void)close(pair[0]);
		(void)close(pair[1]);
		return r;
	}
	r = open_fork(conf, pair, report, &pid);
	(void)close(pair[1]);
	(void)close(report[1]);
	if (r < 0)
		(void)open_failed(-r, &rep.why);
	else
		r = open_wait(report[0], &rep);
	if (!r) {
		*ret_t = (struct tunnel){ .fd = pair[0],
					  .pid = pid,
					  .port = rep.port,
					  .report = report[0] };
		if (conf->role == TUNNEL_CONNECT)
			util_close(&ret_t->report);
		return 0;
	}
	*err = rep.why;
	(void)close(report[0]);
	(void)close(pair[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return r;
}

int tunnel_wait(struct tunnel *t, struct tunnel_error *err)
{
	struct report rep = { .error = 0 };
	int r = t->report < 0 ? 0 : open_wait(t->report, &rep);

	util_close(&t->report);
	*err = rep.why;
	return r;
}

int tunnel_listen(const struct tunnel_conf *conf, uint16_t *ret_port,
		  struct tunnel_error *err)
{
	return tunnel_net_listen(conf, ret_port, err);
}

static uint64_t microseconds(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * 1000000 + (uint64_t)tv->tv_usec;
}

static int ended(struct tunnel *t, int status, const struct rusage *used)
{
	t->pid = 0;
	t->cpu_us = microseconds(&used->ru_utime) + microseconds(&used->ru_stime);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EPIPE;
}

int tunnel_reap(struct tunnel *t)
{
	struct rusage used;
	int status;

	if (!t->pid || wait4(t->pid, &status, WNOHANG, &used) != t->pid)
		return -EAGAIN;
	return ended(t, status, &used);
}

int tunnel_close(struct tunnel *t)
{
	struct rusage used;
	int status;

	util_close(&t->fd);
	util_close(&t->report);
	if (!t->pid)
		return 0;
	while (wait4(t->pid, &status, 0, &used) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return ended(t, status, &used);
}
