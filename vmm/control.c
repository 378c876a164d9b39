/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/util.h"
#include "vmm/control_impl.h"
#include "vmm/state_dir.h"
#include "vmm/vm.h"

/*
 * DOC: the control socket's server
 *
 * Clients are not trusted to behave: each has one request buffer and one
 * answer buffer, both of fixed size. While an answer is not fully taken, no
 * more is read from that client, so nothing is ever queued without bound and
 * nobody else waits. A client that takes nothing for CONTROL_PATIENCE_NS is
 * closed. When all places are taken, the one that has been silent longest goes
 * if its patience is over; else the newcomer gets one line and is closed.
 *
 * All of this runs in the loop thread with vm.lock held.
 */

static bool client_pending(const struct control_client *c)
{
	return c->out_off < c->out_len;
}

static void fds_close(struct control_fds *f)
{
	unsigned i;

	for (i = 0; i < f->n; i++)
		util_close(&f->fd[i]);
	f->n = 0;
}

static void client_drop(struct control_client *c)
{
	int fd = c->src.fd;

	fds_close(&c->fds);

	if (fd < 0)
		return;
	loop_del(&c->ctl->vm->m.loop, &c->src);
	(void)close(fd);
}

/* Take what came along; more than there is room for is closed. */
static void fds_take(struct control_fds *f, struct msghdr *msg)
{
	struct cmsghdr *c;
	size_t i, n;
	int fd;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (f->n < ARRAY_SIZE(f->fd))
				f->fd[f->n++] = fd;
			else
				(void)close(fd);
		}
	}
}

/* Return: 0, or -errno when the connection is dead */
static int client_read(struct control_client *c)
{
	union {
		char buf[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { c->in + c->in_len, sizeof(c->in) - c->in_len };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = ctl.buf,
			      .msg_controllen = sizeof(ctl.buf) };
	ssize_t n = recvmsg(c->src.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	fds_take(&c->fds, &msg);
	if (n == 0)
		c->eof = true;
	/* Only what ends a line counts: who drips bytes shall not keep a place. */
	if (memchr(c->in + c->in_len, '\n', (size_t)n))
		c->seen_ns = now_ns();
	c->in_len += (size_t)n;
	return 0;
}

/* Return: 0, also when the client is slow; -errno when it is gone */
static int client_flush(struct control_client *c)
{
	ssize_t n;

	while (client_pending(c)) {
		n = send(c->src.fd, c->out + c->out_off,
			 c->out_len - c->out_off, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		c->out_off += (size_t)n;
		c->seen_ns = now_ns();
	}
	c->out_off = c->out_len = 0;
	return 0;
}

/* Answer the first complete line. Return: whether there was one */
static bool client_answer(struct control_client *c)
{
	const char *end = memchr(c->in, '\n', c->in_len);
	size_t len;

	if (!end && c->in_len < sizeof(c->in))
		return false;
	if (!end) {
		/* What follows can't be told from the middle of a request. */
		c->out_len =
			control_refuse("the request is longer than 4096 bytes",
				       c->out, sizeof(c->out));
		c->in_len = 0;
		c->eof = true;
		return true;
	}
	len = (size_t)(end - c->in);
	c->ctl->vm->passed = &c->fds;
	c->out_len =
		control_answer(c->ctl->vm, c->in, len, c->out, sizeof(c->out));
	c->ctl->vm->passed = NULL;
	fds_close(&c->fds);
	c->in_len -= len + 1;
	memmove(c->in, end + 1, c->in_len);
	return true;
}

/* Return: 0, or -errno when the connection is over */
static int client_work(struct control_client *c)
{
	int r;

	do {
		r = client_flush(c);
		if (r < 0)
			return r;
	} while (!client_pending(c) && client_answer(c));
	if (client_pending(c)) {
		(void)timer_arm(&c->ctl->stall, c->ctl->patience_ns);
		return loop_mod(&c->ctl->vm->m.loop, &c->src, EPOLLOUT);
	}
	if (c->eof)
		return -ECONNRESET;
	return loop_mod(&c->ctl->vm->m.loop, &c->src, EPOLLIN);
}

static void client_ready(struct source *src, uint32_t events)
{
	struct control_client *c = container_of(src, struct control_client, src);
	int r = 0;

	if (!client_pending(c) && !c->eof && (events & ~(uint32_t)EPOLLOUT))
		r = client_read(c);
	if (r < 0 || client_work(c) < 0)
		client_drop(c);
}

static bool client_stalled(const struct control_client *c, uint64_t now)
{
	return now - c->seen_ns >= c->ctl->patience_ns;
}

static void stall_check(struct timer *t)
{
	struct control *ctl = container_of(t, struct control, stall);
	uint64_t now = now_ns();
	bool again = false;
	unsigned i;

	for (i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *c = &ctl->client[i];

		if (c->src.fd < 0 || !client_pending(c))
			continue;
		if (client_stalled(c, now)) {
			log_guest("control: a client takes no answer; closed");
			client_drop(c);
		} else {
			again = true;
		}
	}
	if (again)
		(void)timer_arm(t, ctl->patience_ns);
}

static struct control_client *client_place(struct control *ctl)
{
	struct control_client *oldest = &ctl->client[0];
	unsigned i;

	for (i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *c = &ctl->client[i];

		if (c->src.fd < 0)
			return c;
		if (c->seen_ns < oldest->seen_ns)
			oldest = c;
	}
	if (!client_stalled(oldest, now_ns()))
		return NULL;
	client_drop(oldest);
	return oldest;
}

static void client_refuse(int fd, const char *error)
{
	char out[256];
	size_t n = control_refuse(error, out, sizeof(out));

	if (send(fd, out, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("control: a refused client is gone already");
	(void)close(fd);
}

/*
 * The folder keeps others out; this also holds if someone opens it up. The
 * listening socket knows who we were when it was made, and the kernel gives
 * both in terms of the user namespace that the sandbox may have put us in.
 */
static bool client_allowed(const struct control *ctl, int fd)
{
	struct ucred peer, own;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	len = sizeof(own);
	if (getsockopt(ctl->listen.fd, SOL_SOCKET, SO_PEERCRED, &own, &len) < 0)
		return false;
	return peer.uid == 0 || peer.uid == own.uid;
}

static void client_add(struct control *ctl, int fd)
{
	struct control_client *c;

	if (!client_allowed(ctl, fd)) {
		log_guest("control: refused a client of another user");
		(void)close(fd);
		return;
	}
	c = client_place(ctl);
	if (!c) {
		client_refuse(fd, "too many clients (16)");
		return;
	}
	c->eof = false;
	c->in_len = c->out_off = c->out_len = 0;
	c->seen_ns = now_ns();
	if (loop_add(&ctl->vm->m.loop, &c->src, fd, EPOLLIN) < 0)
		client_refuse(fd, "out of memory");
}

/*
 * No descriptor left: the connection would stay ready for ever and the loop
 * would spin. Use the spare one to take it and turn it away.
 */
static void accept_starved(struct control *ctl)
{
	int fd;

	util_close(&ctl->spare_fd);
	fd = accept4(ctl->listen.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		client_refuse(fd, "the VMM has no file descriptor left");
	ctl->spare_fd = fcntl(ctl->lock_fd, F_DUPFD_CLOEXEC, 0);
	log_guest("control: no file descriptor left");
}

static void listen_ready(struct source *src, uint32_t events)
{
	struct control *ctl = container_of(src, struct control, listen);
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		client_add(ctl, fd);
	else if (errno == EMFILE || errno == ENFILE)
		accept_starved(ctl);
}

static int claim_name(struct control *ctl)
{
	const char *name = ctl->name;
	int r;

	ctl->dirfd = control_state_dir(&ctl->folder);
	if (ctl->dirfd < 0)
		return ctl->dirfd;
	r = state_claim(ctl->dirfd, name);
	if (r == -EEXIST)
		log_err("a guest named \"%s\" runs already (process %d); see "
			"csvvmm status %s",
			name, state_pid(ctl->dirfd, name), name);
	else if (r == -EUCLEAN)
		log_err("guest \"%s\" was moving to another host when its VMM ended, and may run there: see whether it does; if not, 'csvvmm migrate --decide=here %s' lets it start",
			name, name);
	else if (r < 0)
		log_errno(r, "claim the name \"%s\" in the state folder %s",
			  name, ctl->folder);
	if (r < 0)
		return r;
	ctl->lock_fd = r;
	ctl->spare_fd = fcntl(ctl->lock_fd, F_DUPFD_CLOEXEC, 0);
	if (ctl->spare_fd < 0)
		return log_errno(-errno, "control socket");
	return 0;
}

static int control_watch(struct control *ctl)
{
	struct loop *loop = &ctl->vm->m.loop;
	int fd = ctl->listen.fd;
	int r;

	r = timer_init(&ctl->stall, loop, stall_check);
	if (!r)
		r = loop_add(loop, &ctl->listen, fd, EPOLLIN);
	ctl->listen.fd = fd; /* control_unlisten() closes it in any case */
	return r < 0 ? log_errno(r, "control socket") : 0;
}

int control_claim(const struct config *cfg, struct control **ret_ctl)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	unsigned i;
	int r;

	if (!ctl)
		return log_errno(-ENOMEM, "control socket");
	ctl->name = cfg->name;
	ctl->dirfd = ctl->lock_fd = ctl->spare_fd = -1;
	ctl->patience_ns = CONTROL_PATIENCE_NS;
	ctl->listen = (struct source){ .fd = -1, .fn = listen_ready };
	ctl->stall.src.fd = -1;
	for (i = 0; i < CONTROL_CLIENTS; i++) {
		ctl->client[i].src.fd = -1;
		ctl->client[i].src.fn = client_ready;
		ctl->client[i].ctl = ctl;
	}
	r = claim_name(ctl);
	if (r < 0) {
		control_release(ctl);
		return r;
	}
	*ret_ctl = ctl;
	return 0;
}

void control_release(struct control *ctl)
{
	if (!ctl)
		return;
	if (ctl->lock_fd >= 0 &&
	    !state_release(ctl->dirfd, ctl->lock_fd, ctl->name))
		log_warn("guest %s: it is in doubt where it runs, and not started here before 'csvvmm migrate --decide' says that",
			 ctl->name);
	util_close(&ctl->spare_fd);
	util_close(&ctl->lock_fd);
	util_close(&ctl->dirfd);
	free(ctl->folder);
	free(ctl);
}

int control_journal(struct control *ctl, const char *phase)
{
	return ctl ? state_journal(ctl->lock_fd, phase) : 0;
}

int control_folder(const struct control *ctl)
{
	return ctl->dirfd;
}

int control_listen(struct control *ctl, struct vm *vm)
{
	int r;

	/* Else the first object would open /dev/urandom, in the sandbox. */
	json_object_seed(0);
	ctl->vm = vm;
	vm->control = ctl;
	r = state_listen(ctl->dirfd, ctl->name);
	if (r < 0)
		return log_errno(r,
				 "listen on the control socket of \"%s\" in %s",
				 ctl->name, ctl->folder);
	ctl->listen.fd = r;
	return control_watch(ctl);
}

void control_unlisten(struct control *ctl)
{
	int fd = ctl->listen.fd;
	struct loop *loop;
	unsigned i;

	if (!ctl->vm)
		return;
	loop = &ctl->vm->m.loop;
	for (i = 0; i < CONTROL_CLIENTS; i++)
		client_drop(&ctl->client[i]);
	timer_fini(&ctl->stall, loop);
	loop_del(loop, &ctl->listen);
	util_close(&fd);
	ctl->vm = NULL;
}
