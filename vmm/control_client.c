/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/control.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "core/clock.h"
#include "core/util.h"
#include "vmm/state_dir.h"

/* An answer of the server is at most half of this. */
#define CLIENT_ANSWER_MAX 65536
#define CLIENT_TIMEOUT_MS 10000

/* Return: 0 when ready, -ETIMEDOUT after @deadline, or -errno */
static int client_wait(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = deadline - (int64_t)now_ms();
		int r = poll(&p, 1, left > 0 ? (int)left : 0);

		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
		if (left <= 0)
			return -ETIMEDOUT;
	}
}

static int client_send(int fd, const char *buf, size_t len, int64_t deadline)
{
	while (len) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);
		int r;

		if (n >= 0) {
			buf += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = client_wait(fd, POLLOUT, deadline);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The first byte, and descriptors with it. Return: 0 or -errno */
static int client_send_fds(int fd, const char *buf, const int *fds, unsigned n)
{
	union {
		char buf[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} ctl = { { 0 } };
	struct iovec iov = { (void *)(uintptr_t)buf, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = ctl.buf,
			      .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* Read up to a newline. Return: length before it, or -errno */
static int client_receive(int fd, char *buf, size_t size, int64_t deadline)
{
	size_t have = 0;

	while (have < size) {
		const char *end;
		ssize_t n;
		int r;

		r = client_wait(fd, POLLIN, deadline);
		if (r < 0)
			return r;
		n = recv(fd, buf + have, size - have, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		end = memchr(buf + have, '\n', (size_t)n);
		if (end)
			return (int)(end - buf);
		have += (size_t)n;
	}
	return -EMSGSIZE;
}

/* The queue of connections can be full for a moment. */
static int client_connect(int dirfd, const char *name, int64_t deadline)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int fd;

	for (;;) {
		fd = state_connect(dirfd, name);
		if (fd != -EAGAIN)
			return fd;
		if ((int64_t)now_ms() >= deadline)
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL);
	}
}

/* Send one request, read one answer into @buf. Return: length or -errno */
static int client_exchange(const char *name, const char *request, const int *fds,
			   unsigned n_fds, char *buf, size_t size)
{
	int64_t deadline = (int64_t)now_ms() + CLIENT_TIMEOUT_MS;
	auto_fd int dirfd = control_state_dir(NULL);
	auto_fd int fd = -1;
	int r;

	if (dirfd < 0)
		return dirfd;
	r = state_running(dirfd, name);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	fd = client_connect(dirfd, name, deadline);
	if (fd == -ENOENT)
		return -EINPROGRESS;
	if (fd < 0)
		return fd;
	r = n_fds ? client_send_fds(fd, request, fds, n_fds) : 0;
	if (!r)
		r = client_send(fd, request + !!n_fds,
				strlen(request) - !!n_fds, deadline);
	if (!r)
		r = client_send(fd, "\n", 1, deadline);
	if (r < 0)
		return r;
	return client_receive(fd, buf, size, deadline);
}

int control_request_fds(const char *name, const char *request, const int *fds,
			unsigned n_fds, char **ret_line)
{
	char *buf;
	int r;

	if (!state_name_valid(name) || n_fds > CONTROL_FDS_MAX)
		return -EINVAL;
	buf = malloc(CLIENT_ANSWER_MAX);
	if (!buf)
		return -ENOMEM;
	r = client_exchange(name, request, fds, n_fds, buf, CLIENT_ANSWER_MAX);
	if (r < 0) {
		free(buf);
		return r;
	}
	buf[r] = 0;
	*ret_line = buf;
	return 0;
}

int control_request(const char *name, const char *request, char **ret_line)
{
	return control_request_fds(name, request, NULL, 0, ret_line);
}
