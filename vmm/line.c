/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/line.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "core/util.h"

struct place {
	char host[256], port[16];
};

static int place_parse(const char *where, struct place *p)
{
	const char *colon = strrchr(where, ':');
	size_t len = colon ? (size_t)(colon - where) : 0;

	if (!colon || !colon[1] || strlen(colon + 1) >= sizeof(p->port) ||
	    len >= sizeof(p->host))
		return -EINVAL;
	if (len >= 2 && where[0] == '[' && where[len - 1] == ']') {
		where++;
		len -= 2;
	} else if (memchr(where, ':', len)) {
		return -EINVAL;
	}
	memcpy(p->host, where, len);
	p->host[len] = 0;
	(void)snprintf(p->port, sizeof(p->port), "%s", colon + 1);
	return 0;
}

static int look_up(const char *where, int flags, struct addrinfo **ret_list)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags };
	struct place p;
	int r = place_parse(where, &p);

	if (r < 0) {
		log_err("'%.200s' is not HOST:PORT", where);
		return r;
	}
	r = getaddrinfo(p.host[0] ? p.host : NULL, p.port, &hints, ret_list);
	if (!r)
		return 0;
	log_err("%.200s: %s", where, gai_strerror(r));
	return -EHOSTUNREACH;
}

static void set_options(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

int line_connect(const char *where)
{
	struct addrinfo *list, *a;
	int fd = -1, r = look_up(where, 0, &list);

	if (r < 0)
		return r;
	for (a = list; a; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && !connect(fd, a->ai_addr, a->ai_addrlen))
			break;
		r = -errno;
		util_close(&fd);
	}
	freeaddrinfo(list);
	if (fd < 0)
		return log_errno(r, "connect to %.200s", where);
	set_options(fd);
	return fd;
}

static int bind_one(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	int r;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, 16))
		return fd;
	r = -errno;
	(void)close(fd);
	return r;
}

static unsigned port_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = { .v6 = { 0 } };
	socklen_t len = sizeof(at);

	if (getsockname(fd, &at.any, &len) < 0)
		return 0;
	return ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port
						  : at.v4.sin_port);
}

int line_listen(const char *where, unsigned *ret_port)
{
	struct addrinfo *list, *a;
	int fd = -1, r = look_up(where, AI_PASSIVE, &list);

	if (r < 0)
		return r;
	for (a = list; a && fd < 0; a = a->ai_next)
		fd = bind_one(a);
	freeaddrinfo(list);
	if (fd < 0)
		return log_errno(fd, "listen at %.200s", where);
	*ret_port = port_of(fd);
	return fd;
}

int line_accept(int fd)
{
	int line = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (line < 0)
		return -errno;
	set_options(line);
	return line;
}
