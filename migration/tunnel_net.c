/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"
#include "migration/tunnel_impl.h"

/* A host that is gone is noticed: KEEP_IDLE + KEEP_COUNT * KEEP_INTERVAL when
 * nothing is said, USER_TIMEOUT when something is. */
#define KEEP_IDLE     10
#define KEEP_INTERVAL 5
#define KEEP_COUNT    3
#define USER_TIMEOUT  25000 /* ms */

static bool split_ok(const char *from, size_t len, char *to, size_t size)
{
	if (len >= size)
		return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

/* getaddrinfo() takes any number, and what is left of it is another port. */
static bool port_ok(const char *port)
{
	return !port[strspn(port, "0123456789")]
		       ? strtoul(port, NULL, 10) <= UINT16_MAX
		       : port[0] != '-' && port[0] != '+';
}

int tunnel_address(const char *text, char *ret_host, size_t host_size,
		   char *ret_port, size_t port_size)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len;

	if (!colon || !colon[1])
		return -EINVAL;
	len = (size_t)(colon - text);
	if (*text == '[') {
		if (len < 2 || text[len - 1] != ']')
			return -EINVAL;
		host++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return -EINVAL; /* an IPv6 address needs brackets */
	}
	if (!split_ok(host, len, ret_host, host_size) ||
	    !split_ok(colon + 1, strlen(colon + 1), ret_port, port_size) ||
	    !port_ok(ret_port))
		return -EINVAL;
	return 0;
}

void tunnel_net_tune(int fd)
{
	static const struct {
		int level, name, value;
	} opt[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
	};
	size_t i;

	/* Only care: without, an end is noticed later. */
	for (i = 0; i < ARRAY_SIZE(opt); i++)
		(void)setsockopt(fd, opt[i].level, opt[i].name, &opt[i].value,
				 sizeof(opt[i].value));
}

void tunnel_net_name(int fd, char *ret_name, size_t size)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	char host[48], port[8];

	(void)snprintf(ret_name, size, "unknown");
	if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	(void)snprintf(ret_name, size,
		       sa.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
		       port);
}

static struct addrinfo *look_up(const struct tunnel_conf *conf, int flags,
				struct tunnel_error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags };
	const char *host = conf->host && *conf->host ? conf->host : NULL;
	struct addrinfo *ai = NULL;
	int r = getaddrinfo(host, conf->port, &hints, &ai);

	if (!r)
		return ai;
	tunnel_say(err, "%s, port %s: %s", host ? host : "any address",
		   conf->port, gai_strerror(r));
	return NULL;
}

/* Return: 0 or -errno */
static int connect_one(int fd, const struct addrinfo *ai, uint64_t deadline_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);

	if (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	/* Look once more when time is up: it may have been ours that ran out. */
	for (;;) {
		tunnel_poll(&p, 1, deadline_ms);
		if (p.revents)
			break;
		if (tunnel_ending())
			return -EINTR;
		if (now_ms() >= deadline_ms)
			return -ETIMEDOUT;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

int tunnel_net_connect(const struct tunnel_conf *conf, uint64_t deadline_ms,
		       struct tunnel_error *err)
{
	struct addrinfo *list = look_up(conf, 0, err), *ai;
	int fd = -1, r = -EHOSTUNREACH;

	if (!list)
		return r;
	for (ai = list; ai && fd < 0; ai = ai->ai_next) {
		fd = socket(ai->ai_family,
			    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		r = fd < 0 ? -errno : connect_one(fd, ai, deadline_ms);
		if (r < 0)
			util_close(&fd);
	}
	freeaddrinfo(list);
	if (fd < 0)
		tunnel_say(err, "%s, port %s: %s", conf->host, conf->port,
			   strerror(-r));
	return fd < 0 ? r : fd;
}

static int listen_one(const struct addrinfo *ai, uint16_t *ret_port)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	auto_fd int fd = -1;
	int one = 1, r;

	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 16) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	/* The port is at the same place for both families. */
	*ret_port = ntohs(sa.sin6_port);
	r = fd;
	fd = -1;
	return r;
}

int tunnel_net_listen(const struct tunnel_conf *conf, uint16_t *ret_port,
		      struct tunnel_error *err)
{
	struct addrinfo *list = look_up(conf, AI_PASSIVE, err), *ai;
	int fd = -EADDRNOTAVAIL;

	if (!list)
		return fd;
	/* The address for all of IPv6 takes IPv4, too: it comes first. */
	for (ai = list; ai && fd < 0; ai = ai->ai_next) {
		if (ai->ai_family == AF_INET6)
			fd = listen_one(ai, ret_port);
	}
	for (ai = list; ai && fd < 0; ai = ai->ai_next) {
		if (ai->ai_family == AF_INET)
			fd = listen_one(ai, ret_port);
	}
	freeaddrinfo(list);
	if (fd < 0)
		tunnel_say(err, "listening on %s, port %s: %s",
			   conf->host && *conf->host ? conf->host
						     : "all addresses",
			   conf->port, strerror(-fd));
	return fd;
}
