/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who listens may have several connections on the way to being accepted, so
 * that one that says nothing does not keep others out. The first that is
 * accepted wins.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/util.h"
#include "migration/tunnel_impl.h"

#define PENDING_MAX 8

uint64_t tunnel_deadline(const struct tunnel_helper *h)
{
	unsigned ms = h->conf->wait_ms;

	return now_ms() + (ms ? ms : TUNNEL_WAIT_MS);
}

int tunnel_step(const struct tunnel_helper *h, struct tunnel_peer *p,
		struct tunnel_error *err)
{
	int r = tunnel_peer_step(p, h->conf, err);

	if (r != -EAGAIN || now_ms() < p->deadline_ms)
		return r;
	tunnel_say(
		err, "%s",
		h->conf->role == TUNNEL_LISTEN
			? "it said too little for too long"
			: "no answer; does it use the same of --psk, --tls and --insecure?");
	return -ETIMEDOUT;
}

static void pending_accept(struct tunnel_helper *h, int listen_fd,
			   struct tunnel_peer *pending)
{
	struct tunnel_peer *p = pending;
	unsigned i;
	int fd;

	fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	/* No place: the one that had most time goes. */
	for (i = 0; i < PENDING_MAX; i++) {
		if (pending[i].fd < 0) {
			p = &pending[i];
			break;
		}
		if (pending[i].deadline_ms < p->deadline_ms)
			p = &pending[i];
	}
	if (p->fd >= 0) {
		log_guest("migration: %s: refused: others are waiting", p->name);
		tunnel_peer_fini(p);
	}
	if (tunnel_peer_init(p, fd, &h->tls, h->conf, tunnel_deadline(h)) < 0)
		log_guest("migration: no memory for a connection");
}

/* Return: true when one was accepted; it is in @h then */
static bool pending_step(struct tunnel_helper *h, struct tunnel_peer *pending)
{
	struct tunnel_error why;
	unsigned i;
	int r;

	for (i = 0; i < PENDING_MAX; i++) {
		if (pending[i].fd < 0)
			continue;
		why.text[0] = '\0';
		r = tunnel_step(h, &pending[i], &why);
		if (r == -EAGAIN)
			continue;
		if (!r) {
			h->up = pending[i];
			pending[i] = (struct tunnel_peer){ .fd = -1 };
			return true;
		}
		log_guest("migration: %s: refused: %s", pending[i].name,
			  why.text);
		tunnel_peer_fini(&pending[i]);
	}
	return false;
}

static void pending_wait(int plain, int listen_fd,
			 const struct tunnel_peer *pending, bool *ret_knock,
			 bool *ret_owner_gone)
{
	struct pollfd p[PENDING_MAX + 2];
	uint64_t deadline = 0;
	unsigned i;

	for (i = 0; i < PENDING_MAX; i++) {
		p[i] = (struct pollfd){ .fd = pending[i].fd,
					.events = pending[i].events };
		if (p[i].fd >= 0 &&
		    (!deadline || pending[i].deadline_ms < deadline))
			deadline = pending[i].deadline_ms;
	}
	p[i] = (struct pollfd){ .fd = listen_fd, .events = POLLIN };
	/* Only its end is of interest before there is another side. */
	p[i + 1] = (struct pollfd){ .fd = plain };
	tunnel_poll(p, i + 2, deadline);
	*ret_knock = p[i].revents;
	*ret_owner_gone = p[i + 1].revents & (POLLHUP | POLLERR);
}

int tunnel_accept(struct tunnel_helper *h, int listen_fd)
{
	struct tunnel_peer pending[PENDING_MAX];
	bool knock, owner_gone = false, up = false;
	unsigned i;

	for (i = 0; i < PENDING_MAX; i++)
		pending[i] = (struct tunnel_peer){ .fd = -1 };
	while (!up && !owner_gone && !tunnel_ending()) {
		pending_wait(h->plain, listen_fd, pending, &knock, &owner_gone);
		if (knock)
			pending_accept(h, listen_fd, pending);
		up = pending_step(h, pending);
	}
	for (i = 0; i < PENDING_MAX; i++)
		tunnel_peer_fini(&pending[i]);
	return up ? 0 : -EINTR;
}
