/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/util.h"
#include "migration/tunnel_impl.h"

/*
 * DOC: Two streams, one loop
 *
 * Each direction has one buffer, which is filled as far as there is something
 * and emptied before it is filled again. So a side that does not read makes the
 * other one wait, and memory is bounded. An end is passed on once what came
 * before it is through; the other direction goes on.
 *
 * When the owner is gone, what it wrote still goes out, and what comes in is
 * thrown away: closing a socket that has unread bytes would make the other
 * host forget ours ([RFC 9293] 3.10.4).
 */

#define BUF_SIZE  (256u << 10)
#define LINGER_MS 5000

/* [RFC 8446] 5.5: 2^24.5 records; this is 2^22 full ones. */
#define REKEY_BYTES (64ULL << 30)

struct stream {
	uint8_t buf[BUF_SIZE];
	size_t off, len;
	bool eof;  /* nothing more will be read */
	bool over; /* ... and who it was for knows */
};

/**
 * struct pump - State of the two streams
 * @out, @in:	Owner to network, network to owner
 * @error:	Why the connection was cut, or 0
 * @owner_gone:	Nobody reads what comes in
 * @linger_ms:	... and this is how long the rest may take
 */
struct pump {
	struct tunnel_peer *p;
	int plain;
	uint64_t rekey_bytes, since_rekey;
	int error;
	bool owner_gone;
	uint64_t linger_ms;
	short net_events, plain_events;
	struct stream out, in;
};

static void owner_gone(struct pump *u)
{
	if (u->owner_gone)
		return;
	u->owner_gone = true;
	u->linger_ms = now_ms() + LINGER_MS;
}

/* The network can carry no more; what it brought before is still good. */
static void net_cut(struct pump *u, int error)
{
	if (!u->error)
		u->error = error;
	u->out.over = true;
}

/* Each step returns true when it got on, or sets the events it waits for. */

static bool fill_out(struct pump *u)
{
	struct stream *s = &u->out;
	ssize_t n;

	if (s->len || s->eof)
		return false;
	n = recv(u->plain, s->buf, sizeof(s->buf), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && !u->owner_gone) {
		u->plain_events |= POLLIN;
		return false;
	}
	s->off = 0;
	s->len = n > 0 ? (size_t)n : 0;
	s->eof = n <= 0;
	return true;
}

static void rekey(struct pump *u, size_t n)
{
	u->since_rekey += n;
	if (!u->p->ssl || u->since_rekey < u->rekey_bytes || u->out.len)
		return;
	/* Goes out in front of the next record. */
	if (SSL_key_update(u->p->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
		u->since_rekey = 0;
}

static bool send_out(struct pump *u)
{
	struct stream *s = &u->out;
	ssize_t n;

	if (s->over)
		s->len = 0; /* the owner must not wait for a network that is gone */
	if (s->over || (!s->len && !s->eof))
		return false;
	n = s->len ? tunnel_peer_write(u->p, s->buf + s->off, s->len)
		   : tunnel_peer_end(u->p);
	if (n == -EAGAIN) {
		u->net_events |= u->p->events;
		return false;
	}
	/* Who has ended need not hear that we do. */
	if (n < 0 && (s->len || !u->in.eof)) {
		net_cut(u, (int)n);
		return true;
	}
	if (!s->len) {
		s->over = true;
		return true;
	}
	s->off += (size_t)n;
	s->len -= (size_t)n;
	rekey(u, (size_t)n);
	return true;
}

static bool fill_in(struct pump *u)
{
	struct stream *s = &u->in;
	ssize_t n = 0;

	if (s->len || s->eof)
		return false;
	s->off = 0;
	while (s->len < sizeof(s->buf)) {
		n = tunnel_peer_read(u->p, s->buf + s->len,
				     sizeof(s->buf) - s->len);
		if (n <= 0)
			break;
		s->len += (size_t)n;
	}
	if (n == 0) {
		s->eof = true;
	} else if (n < 0 && n != -EAGAIN) {
		s->eof = true;
		net_cut(u, (int)n);
	} else if (!s->len) {
		u->net_events |= u->p->events;
		return false;
	}
	return true;
}

static bool send_in(struct pump *u)
{
	struct stream *s = &u->in;
	ssize_t n;

	if (u->owner_gone)
		s->len = 0;
	if (s->over || (!s->len && !s->eof))
		return false;
	if (!s->len) {
		(void)shutdown(u->plain, SHUT_WR);
		s->over = true;
		return true;
	}
	n = send(u->plain, s->buf + s->off, s->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		u->plain_events |= POLLOUT;
		return false;
	}
	if (n < 0) {
		owner_gone(u);
		return true;
	}
	s->off += (size_t)n;
	s->len -= (size_t)n;
	return true;
}

static void pump_wait(struct pump *u)
{
	struct pollfd p[2] = {
		{ .fd = u->p->fd, .events = u->net_events },
		{ .fd = u->plain, .events = u->plain_events },
	};

	/* A hang-up can't be masked: it would wake us again and again. */
	if (!u->net_events)
		p[0].fd = -1;
	if (u->owner_gone)
		p[1].fd = -1;
	tunnel_poll(p, 2, u->linger_ms);
	/* Both halves of the owner's socket are closed: it is gone, not only
	 * done with writing. */
	if ((p[1].revents & (POLLHUP | POLLERR)) && u->out.eof && !u->in.over)
		owner_gone(u);
}

static int pump_run(struct pump *u)
{
	bool on;

	for (;;) {
		u->net_events = u->plain_events = 0;
		if (tunnel_ending())
			owner_gone(u);
		on = fill_out(u);
		on |= send_out(u);
		on |= fill_in(u);
		on |= send_in(u);
		if (u->out.over && u->in.over)
			return u->error;
		if (u->linger_ms && now_ms() >= u->linger_ms)
			return u->out.over ? u->error : -ETIMEDOUT;
		if (!on)
			pump_wait(u);
	}
}

int tunnel_pump(struct tunnel_peer *p, int plain, uint64_t rekey_bytes)
{
	struct pump *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return log_errno(-ENOMEM, "migration");
	u->p = p;
	u->plain = plain;
	u->rekey_bytes = rekey_bytes ? rekey_bytes : REKEY_BYTES;
	r = pump_run(u);
	if (r < 0)
		log_err("migration: the connection to %s was cut: %s", p->name,
			r == -EPIPE ? "it ended without a word" : strerror(-r));
	explicit_bzero(u, sizeof(*u));
	free(u);
	return r;
}
