/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/commands.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/guardian.h"
#include "vmm/line.h"
#include "vmm/run.h"
#include "vmm/waiting.h"

/*
 * DOC: Theory of operation
 *
 * This process only has the port. A helper process meets who knocks, and owns the
 * connection and its TLS (migration/tunnel.h). Whom it lets in gets another child,
 * which builds the machine and waits for the guest; as long as such a child ends
 * without having been changed by it (a check, a refusal), the next one is let in.
 * The guest lives in the child; its exit status is ours. Once it has come, the port
 * is free for the next receiver: the child says so in a pipe. Until then nobody
 * else waits for this name here (vmm/waiting.h).
 */

struct args {
	const char *file, *listen;
	bool once;
	uint64_t stall_s;
	struct line_opts line;
	int listen_fd, arrived;
	struct waiting waiting;
	struct tunnel tunnel;
	struct run_args run;
};

static int take(struct args *a, int c)
{
	switch (c) {
	case 'l':
		a->listen = optarg;
		return 0;
	case 'o':
		a->once = true;
		return 0;
	case 's':
		return command_seconds(optarg, &a->stall_s);
	default:
		return line_take(&a->line, c, optarg) ? 0 : -EINVAL;
	}
}

static int parse_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "once", no_argument, NULL, 'o' },
		{ "stall", required_argument, NULL, 's' },
		LINE_OPTIONS,
		{ 0 },
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (take(a, c) < 0)
			return -EINVAL;
	}
	if (argc - optind != 1 || !a->listen)
		return -EINVAL;
	a->file = argv[optind];
	return 0;
}

/* The port stays with the parent: nothing of a network where the guest is. */
static int receive_child(void *arg)
{
	struct args *a = arg;

	util_close(&a->listen_fd);
	util_close(&a->arrived);
	waiting_leave(&a->waiting);
	return run_guest(&a->run);
}

/* Something has happened: the guest has come, or the line's helper has ended. */
static void woken(void *arg)
{
	struct args *a = arg;
	char c;

	if (a->listen_fd >= 0 && read(a->arrived, &c, 1) == 1) {
		util_close(&a->listen_fd);
		waiting_release(&a->waiting);
	}
	if (a->listen_fd < 0)
		(void)tunnel_reap(&a->tunnel);
}

/* Its end for the child is a->run.arrived. Return: 0 or -errno, logged */
static int open_arrived(struct args *a)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return log_errno(-errno, "pipe");
	/* It is only waited for. */
	(void)signal(SIGIO, SIG_IGN);
	a->arrived = p[0];
	a->run.arrived = p[1];
	if (fcntl(p[0], F_SETOWN, getpid()) < 0 ||
	    fcntl(p[0], F_SETFL, O_NONBLOCK | O_ASYNC) < 0)
		return log_errno(-errno, "pipe");
	return 0;
}

/* What would be in a guest's way here is told now, not when one comes. */
static int could_run(const struct config *cfg)
{
	struct control *ctl = NULL;
	int r = run_claim(cfg, &ctl);

	/* Until then, the name may be another's. */
	control_release(ctl);
	return r;
}

/* Nothing else is here yet that would have to be put away. */
static const struct waiting *claim;

static void on_end(int sig)
{
	(void)sig;
	waiting_remove(claim);
	_exit(EXIT_NOT_RECEIVED);
}

static void watch_ends(const struct waiting *w)
{
	struct sigaction sa = { .sa_handler = on_end };
	sigset_t set;
	int sig;

	claim = w;
	guardian_signals(&set);
	for (sig = 1; sig < NSIG; sig++)
		if (sigismember(&set, sig) == 1)
			(void)sigaction(sig, &sa, NULL);
}

/* Return: exit status of the guest, or of the attempt */
static int wait_for_guest(struct args *a)
{
	int status = RUN_UNTOUCHED, sig = 0;
	struct tunnel *t = &a->tunnel;
	bool told = false;
	uint16_t port;

	a->listen_fd = line_listen(&a->line, &port);
	if (a->listen_fd < 0 || open_arrived(a) < 0)
		return EXIT_FAILED;
	do {
		status = EXIT_FAILED;
		if (line_open(&a->line, a->listen_fd, t) < 0)
			break;
		if (!told)
			log_info("waiting for guest %s at port %u",
				 a->run.cfg.name, port);
		told = true;
		waiting_note(&a->waiting, port, false);
		if (line_wait(&a->line, t) < 0)
			break;
		waiting_note(&a->waiting, port, true);
		a->run.line = t->fd;
		status = guardian_child(receive_child, a, woken, &sig);
		(void)tunnel_close(t);
		/* It came when that child had ended already, or was about to. */
	} while (status == RUN_UNTOUCHED && !a->once && !sig);
	util_close(&a->listen_fd);
	return status == RUN_UNTOUCHED ? EXIT_NOT_RECEIVED : status;
}

static int receive(struct args *a)
{
	int status = EXIT_FAILED;

	watch_ends(&a->waiting);
	if (!waiting_claim(&a->waiting, &a->run.cfg) && !could_run(&a->run.cfg))
		status = wait_for_guest(a);
	waiting_release(&a->waiting);
	return status;
}

static int receive_main(int argc, char **argv)
{
	struct args a = { .stall_s = 30,
			  .listen_fd = -1,
			  .arrived = -1,
			  .waiting = { .dirfd = -1, .fd = -1 },
			  .run = { .line = -1, .arrived = -1 } };
	struct config_error err;
	const char *wrong;
	int status;

	if (parse_args(argc, argv, &a) < 0)
		return command_misuse(&cmd_receive,
				      "takes one FILE and where to listen");
	wrong = line_where(&a.line, a.listen);
	if (wrong)
		return command_misuse(&cmd_receive, wrong);
	if (config_load(a.file, &a.run.cfg, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_USAGE;
	}
	a.run.stall_ns = a.stall_s * 1000000000ULL;
	status = receive(&a);
	config_fini(&a.run.cfg);
	return status;
}

const struct command cmd_receive = {
	.name = "receive",
	.args = "--listen HOST:PORT --psk FILE|--tls DIR|--insecure [--peer NAME] [--once] [--stall S] FILE",
	.summary = "wait for a guest that another host sends, and run it",
	.run = receive_main,
	.help = "FILE is the guest.toml that the guest was started with there, or one that describes\n"
		"the same machine, by the same name. From its arrival on this is 'csvvmm run'.\n\n"
		"  --listen HOST:PORT  where; HOST may be empty, PORT 0 is any (it is told)\n"
		"  --psk FILE          TLS 1.3 with a key that both sides have: [IDENTITY:]HEX digits\n"
		"  --tls DIR           TLS 1.3 with certificates: ca.pem, cert.pem and key.pem in DIR\n"
		"  --peer NAME         ... and the other one's must be for NAME (else any of the CA's)\n"
		"  --insecure          plain TCP: whoever can reach the port can send a guest\n"
		"  --once              end after the first connection, whatever came of it\n"
		"  --stall S           give up when no byte moves for so long (30)\n\n"
		"Exit status: as of run; 16 when the guest did not arrive: it never ran here.\n",
};
