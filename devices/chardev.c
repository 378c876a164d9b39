/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/chardev.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/machine.h"
#include "core/snap.h"
#include "core/terminal.h"
#include "core/util.h"
#include "devices/chardev_open.h"

#define ESCAPE	  0x01 /* Ctrl-A */
#define WAIT_STEP 100  /* ms */

/* A terminal that is ready has room for this much, most likely. */
#define BLOCKING_MAX 256

static void in_put(struct chardev *cd, uint8_t byte)
{
	cd->in[(cd->in_head + cd->in_len++) % CHARDEV_IN] = byte;
}

/* One byte in, up to two out: a held-back Ctrl-A and the key after it. */
static void in_byte(struct chardev *cd, uint8_t byte)
{
	bool escaped = cd->escape;

	cd->escape = cd->raw && !escaped && byte == ESCAPE;
	if (cd->escape)
		return;
	if (escaped && byte == 'x') {
		machine_end(cd->m, END_KILLED);
		return;
	}
	if (escaped && byte != ESCAPE)
		in_put(cd, ESCAPE);
	in_put(cd, byte);
}

static void in_close(struct chardev *cd)
{
	loop_del(&cd->m->loop, &cd->in_src);
	if (cd->in_fd == cd->out_fd)
		cd->out_fd = -1;
	util_close(&cd->in_fd);
	cd->in_paused = cd->in_eof = cd->in_plain = false;
	/* accept() may have failed for want of a descriptor. */
	if (cd->listen_fd >= 0 && cd->listen_src.fd < 0)
		(void)loop_add(&cd->m->loop, &cd->listen_src, cd->listen_fd,
			       EPOLLIN);
}

/*
 * No more input. A socket client that has only shut down its sending half
 * ("echo halt | socat - UNIX:...") still reads; only EPOLLHUP ends it.
 */
static void in_end(struct chardev *cd, uint32_t events)
{
	if (cd->kind != CHARDEV_SOCKET || (events & (EPOLLHUP | EPOLLERR))) {
		in_close(cd);
		return;
	}
	cd->in_eof = true;
	(void)loop_mod(&cd->m->loop, &cd->in_src, 0);
}

static bool in_full(const struct chardev *cd)
{
	return cd->in_len + 2 > CHARDEV_IN;
}

/* Take what fits; keep one byte of room for a held-back Ctrl-A. */
static void in_fill(struct chardev *cd, uint32_t events)
{
	uint8_t buf[512];
	ssize_t n, i;

	if (!in_full(cd)) {
		size_t room = MIN(sizeof(buf), CHARDEV_IN - cd->in_len - 1);

		n = cd->in_sock ? recv(cd->in_fd, buf, room, MSG_DONTWAIT)
				: read(cd->in_fd, buf, room);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			in_end(cd, n < 0 ? EPOLLERR : events);
			return;
		}
		for (i = 0; i < n; i++)
			in_byte(cd, buf[i]);
	}
	if (in_full(cd) && !cd->in_plain) {
		cd->in_paused = true;
		(void)loop_mod(&cd->m->loop, &cd->in_src, 0);
	}
}

static void in_ready(struct source *src, uint32_t events)
{
	struct chardev *cd = container_of(src, struct chardev, in_src);

	if (src->fd < 0)
		return; /* removed after epoll_wait() had seen it */
	if (cd->in_eof) {
		in_close(cd);
		return;
	}
	if (cd->frozen && !cd->in_paused) {
		cd->in_paused = true;
		(void)loop_mod(&cd->m->loop, src, 0);
		return;
	}
	if (cd->in_paused) {
		/* A hang-up can't be masked; look again when there is room. */
		loop_del(&cd->m->loop, src);
		return;
	}
	in_fill(cd, events);
	if (cd->active && cd->in_len)
		cd->active->input_ready(cd->active);
}

/* There is room again. */
static void in_resume(struct chardev *cd)
{
	struct loop *loop = &cd->m->loop;
	int r;

	if (cd->in_plain && cd->in_fd >= 0)
		in_fill(cd, 0);
	if (!cd->in_paused || cd->in_len > CHARDEV_IN / 2)
		return;
	cd->in_paused = false;
	r = cd->in_src.fd >= 0 ? loop_mod(loop, &cd->in_src, EPOLLIN)
			       : loop_add(loop, &cd->in_src, cd->in_fd, EPOLLIN);
	if (r < 0)
		in_close(cd);
}

/* Regular files and /dev/null can't be watched; they never block either. */
static int in_start(struct chardev *cd)
{
	int r;

	if (cd->in_fd < 0)
		return 0;
	r = loop_add(&cd->m->loop, &cd->in_src, cd->in_fd, EPOLLIN);
	if (r != -EPERM)
		return r;
	cd->in_plain = true;
	in_fill(cd, 0);
	return 0;
}

static void accept_ready(struct source *src, uint32_t events)
{
	static const char busy[] = "console is in use\r\n";
	struct chardev *cd = container_of(src, struct chardev, listen_src);
	int fd;

	(void)events;
	if (src->fd < 0)
		return;
	fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_guest("console socket: accept: %s", strerror(errno));
		if (cd->in_fd >= 0)
			loop_del(&cd->m->loop, src); /* until he leaves */
		return;
	}
	if (cd->in_fd >= 0 && cd->in_src.fd < 0)
		in_close(cd); /* he hung up; the guest never read his rest */
	if (cd->in_fd >= 0) {
		(void)send(fd, busy, sizeof(busy) - 1,
			   MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)close(fd);
		log_guest("console socket: a second client was refused");
		return;
	}
	cd->in_fd = cd->out_fd = fd;
	cd->in_sock = cd->out_sock = true;
	cd->out_stalled = cd->out_failed = false;
	if (loop_add(&cd->m->loop, &cd->in_src, fd, EPOLLIN) < 0)
		in_close(cd);
	else if (in_full(cd))
		in_fill(cd, 0); /* pauses */
}

static int input_save(const void *obj, struct snap_w *w)
{
	const struct chardev *cd = obj;
	size_t i;

	/* Both ports exist on each host, in the same order. */
	snap_put8(w, cd->n_ports > 1 && cd->active == cd->port[1]);
	snap_put32(w, (uint32_t)cd->in_len);
	for (i = 0; i < cd->in_len; i++)
		snap_put8(w, cd->in[(cd->in_head + i) % CHARDEV_IN]);
	return 0;
}

/* In front of what came in here meanwhile. What has no room is lost. */
static int input_load(void *obj, struct snap_r *r, uint32_t version)
{
	struct chardev *cd = obj;
	uint8_t here[CHARDEV_IN];
	size_t i, n_here = cd->in_len;
	uint32_t port, n;

	(void)version;
	port = snap_get8(r, "port");
	n = snap_get32_range(r, "length", 0, CHARDEV_IN);
	if (port >= MAX(cd->n_ports, 1u))
		(void)snap_bad(r, "port", "%u of %u", port, cd->n_ports);
	if (r->error)
		return r->error;
	for (i = 0; i < n_here; i++)
		here[i] = cd->in[(cd->in_head + i) % CHARDEV_IN];
	snap_get_bytes(r, "bytes", cd->in, n);
	cd->in_head = 0;
	cd->in_len = n;
	for (i = 0; i < n_here && cd->in_len < CHARDEV_IN; i++)
		in_put(cd, here[i]);
	cd->active = cd->port[port];
	return r->error;
}

static int input_freeze(void *obj)
{
	((struct chardev *)obj)->frozen = true;
	return 0;
}

static void input_thaw(void *obj)
{
	struct chardev *cd = obj;

	cd->frozen = false;
	in_resume(cd);
	if (cd->active && cd->in_len)
		cd->active->input_ready(cd->active);
}

static const struct snap_item input_snap_item = {
	.name = "console-input",
	.version = 1,
	.save = input_save,
	.load = input_load,
	.freeze = input_freeze,
	.thaw = input_thaw,
};

int chardev_init(struct chardev *cd, struct machine *m, enum chardev_kind kind,
		 const char *path)
{
	int r = 0;

	*cd = (struct chardev){
		.m = m,
		.kind = kind,
		.in_fd = -1,
		.out_fd = -1,
		.listen_fd = -1,
		.sock_dir = -1,
		.wait_ms = CHARDEV_WAIT_MS,
		.in_src = { .fd = -1, .fn = in_ready },
		.listen_src = { .fd = -1, .fn = accept_ready },
	};
	switch (kind) {
	case CHARDEV_NULL:
		break;
	case CHARDEV_STDIO:
		r = chardev_open_stdio(cd);
		break;
	case CHARDEV_FILE:
		r = chardev_open_file(cd, path);
		break;
	case CHARDEV_SOCKET:
		r = chardev_open_socket(cd, path);
		if (r == 0)
			r = loop_add(&m->loop, &cd->listen_src, cd->listen_fd,
				     EPOLLIN);
		break;
	}
	if (r == 0)
		r = in_start(cd);
	if (r == 0)
		r = snap_add(&m->snap, &input_snap_item, NULL, cd);
	if (r < 0)
		chardev_fini(cd);
	return r;
}

static void out_tell(struct chardev *cd, const char *why)
{
	log_guest("console: %llu bytes of output lost%s%s",
		  (unsigned long long)(cd->dropped - cd->dropped_logged),
		  why ? ": " : "", why ? why : "");
	cd->dropped_logged = cd->dropped;
}

void chardev_fini(struct chardev *cd)
{
	if (!cd->m)
		return;
	snap_remove(&cd->m->snap, &input_snap_item, cd);
	loop_del(&cd->m->loop, &cd->listen_src);
	util_close(&cd->listen_fd);
	chardev_remove_socket(cd);
	if (cd->raw)
		terminal_restore();
	cd->raw = false;
	in_close(cd);
	util_close(&cd->out_fd);
	if (cd->dropped != cd->dropped_logged)
		out_tell(cd, NULL);
}

void chardev_attach(struct chardev *cd, struct chardev_port *port)
{
	assert(cd->n_ports < CHARDEV_PORTS);
	cd->port[cd->n_ports++] = port;
	if (!cd->active)
		cd->active = port;
}

/*
 * Give a slow reader of stdio a moment: until it reads, or (@look is false)
 * just a moment. Interrupted waits count as well (pause kicks vCPU threads
 * with a signal).
 *
 * Return: false when it had moments enough
 */
static bool out_wait(const struct chardev *cd, unsigned *tries, bool look)
{
	struct pollfd p = { .fd = cd->out_fd, .events = POLLOUT };
	unsigned max = cd->out_stalled ? 1 : cd->wait_ms / WAIT_STEP;
	int ms = cd->out_stalled ? 0 : WAIT_STEP;

	while (*tries < max) {
		if (poll(&p, look, ms) > 0)
			return true;
		++*tries;
		if (!look)
			return true;
	}
	return false;
}

static ssize_t out_some(struct chardev *cd, const void *buf, size_t len)
{
	ssize_t n;

	if (cd->out_sock)
		n = send(cd->out_fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(cd->out_fd, buf, len);
	return n < 0 ? -errno : n;
}

/*
 * All waiting of one call counts together: a reader that takes a byte now and
 * then must not hold vm.lock for long either.
 *
 * Return: bytes written; the rest is lost, with *ret_error if that is why
 */
static size_t out_write(struct chardev *cd, const uint8_t *buf, size_t len,
			int *ret_error)
{
	size_t done = 0, max = cd->out_blocking ? BLOCKING_MAX : SIZE_MAX;
	unsigned tries = 0;
	bool look = true;
	ssize_t n;

	while (done < len) {
		if (cd->out_blocking && !out_wait(cd, &tries, true))
			break;
		n = out_some(cd, buf + done, MIN(len - done, max));
		if (n > 0) {
			done += (size_t)n;
			look = true;
			continue;
		}
		if (n == -EINTR)
			continue;
		if (n != -EAGAIN) {
			*ret_error = n < 0 ? (int)n : -EIO;
			break;
		}
		if (cd->kind == CHARDEV_SOCKET || !out_wait(cd, &tries, look))
			break;
		/* A terminal can be ready with no room for "\r\n": sleep. */
		look = !look;
	}
	return done;
}

static void out_lost(struct chardev *cd, size_t n, int error)
{
	cd->dropped += n;
	cd->out_stalled = true;
	if (!error)
		return; /* told when the reader is back, or at the end */
	if (cd->kind == CHARDEV_SOCKET) {
		in_close(cd);
		return;
	}
	if (!cd->out_failed)
		out_tell(cd, strerror(-error));
	cd->out_failed = true;
	if (error == -EPIPE)
		util_close(&cd->out_fd);
}

void chardev_write(struct chardev *cd, struct chardev_port *port,
		   const void *buf, size_t len)
{
	int error = 0;
	size_t n;

	if (cd->active != port) {
		cd->active = port;
		if (cd->in_len && !cd->frozen)
			port->input_ready(port);
	}
	if (cd->out_fd < 0 || !len)
		return;
	n = out_write(cd, buf, len, &error);
	if (n < len) {
		out_lost(cd, len - n, error);
		return;
	}
	cd->out_stalled = false;
	cd->out_failed = false;
	if (cd->dropped != cd->dropped_logged)
		out_tell(cd, NULL);
}

size_t chardev_pending(const struct chardev *cd, const struct chardev_port *port)
{
	return cd->active == port ? cd->in_len : 0;
}

size_t chardev_read(struct chardev *cd, struct chardev_port *port, void *buf,
		    size_t len)
{
	size_t i, n = MIN(len, chardev_pending(cd, port));
	uint8_t *to = buf;

	for (i = 0; i < n; i++)
		to[i] = cd->in[(cd->in_head + i) % CHARDEV_IN];
	cd->in_head = (cd->in_head + n) % CHARDEV_IN;
	cd->in_len -= n;
	if (n)
		in_resume(cd);
	return n;
}
