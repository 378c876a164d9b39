/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/net_link.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "core/util.h"

/*
 * passt's stream: a 32-bit big-endian length, then the frame, in both
 * directions. Frames are reassembled in link->in and go out through
 * link->out, which holds at most one frame that the socket took in part.
 * The peer is not trusted: a length that no frame can have ends the link,
 * because nothing behind it can be found again.
 *
 * #syscalls recvfrom sendto close
 */

#define LEN_SIZE 4u

static uint32_t length_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

/* Return: 1 when a whole frame is there; 0 when not yet; -EPROTO */
static int passt_whole(const struct net_link *l)
{
	uint32_t have = l->in_len, len;

	if (have < LEN_SIZE)
		return 0;
	len = length_at(l->in + l->in_off);
	if (len > NET_FRAME_MAX)
		return -EPROTO;
	return have - LEN_SIZE >= len;
}

/* One read, as much as fits: bounded work for a peer that never stops. */
static int passt_fill(struct net_link *l)
{
	ssize_t got;

	if (l->in_off)
		memmove(l->in, l->in + l->in_off, l->in_len);
	l->in_off = 0;
	got = recv(l->fd, l->in + l->in_len, sizeof(l->in) - l->in_len,
		   MSG_DONTWAIT);
	if (got < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (got == 0)
		return -EPIPE;
	l->in_len += (uint32_t)got;
	return 0;
}

static int passt_recv(struct net_link *l, struct virtq *q,
		      const struct chain *c, struct net_frame *ret_frame)
{
	uint32_t len;
	int r;

	(void)q;
	(void)c;
	l->in_off += l->in_take;
	l->in_len -= l->in_take;
	l->in_take = 0;
	r = passt_whole(l);
	if (r == 0) {
		r = passt_fill(l);
		if (r == 0)
			r = passt_whole(l);
		if (r == 0)
			r = -EAGAIN;
	}
	if (r < 0)
		return r;

	len = length_at(l->in + l->in_off);
	l->in_take = LEN_SIZE + len;
	*ret_frame = (struct net_frame){
		.rest = l->in + l->in_off + LEN_SIZE,
		.rest_len = len,
	};
	return 0;
}

static int passt_flush(struct net_link *l)
{
	ssize_t put;
	int r = 0;

	while (l->out_len && r == 0) {
		put = send(l->fd, l->out + l->out_off, l->out_len,
			   MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put < 0) {
			r = errno == EINTR ? -EAGAIN : -errno;
		} else {
			l->out_off += (uint32_t)put;
			l->out_len -= (uint32_t)put;
		}
	}
	l->want_out = l->out_len > 0;
	return r;
}

static int passt_send(struct net_link *l, const struct virtio_net_hdr_v1 *hdr,
		      struct virtq *q, struct chain *c)
{
	uint32_t len = c->out_left, be = htobe32(len);
	int r;

	(void)hdr; /* no offloads: it says nothing */
	r = passt_flush(l);
	if (r < 0)
		return r;
	/* Copied, as a frame taken in part must not change any more. */
	r = chain_read(q, c, l->out + LEN_SIZE, len);
	if (r < 0 || (uint32_t)r != len)
		return -EBADMSG;
	memcpy(l->out, &be, LEN_SIZE);
	l->out_off = 0;
	l->out_len = LEN_SIZE + len;
	r = passt_flush(l);
	/* What the socket did not take waits for flush(). */
	return r == -EAGAIN ? 0 : r;
}

static const struct net_link_ops passt_ops = {
	.name = "passt",
	.recv = passt_recv,
	.send = passt_send,
	.flush = passt_flush,
};

void net_passt_adopt(struct net_link *l, int fd)
{
	net_link_init(l, &passt_ops, fd);
}

int net_passt_open(struct net_link *l, const char *path)
{
	/* A full backlog is worth a wait, a peer that is stuck is not. */
	struct timeval patience = { .tv_sec = 5 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, r;

	net_link_init(l, &passt_ops, -1);
	if (!*path)
		return -EINVAL;
	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)(const void *)&sa, sizeof(sa)) <
		    0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	net_passt_adopt(l, fd);
	return 0;
}
