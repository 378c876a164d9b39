/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_LINE_H
#define CSVVMM_VMM_LINE_H

#include <getopt.h>
#include <stdbool.h>

#include "migration/tunnel.h"

/*
 * The line between two hosts: what `csvvmm migrate` and `csvvmm receive` have in
 * common. It belongs to a helper process (migration/tunnel.h); a VMM gets one end
 * of a socket pair.
 */

/**
 * struct line_opts - Where to, and how it is protected
 * @host, @port: Of line_where()
 */
struct line_opts {
	const char *psk, *tls, *peer;
	bool insecure;
	char host[256], port[16];
};

/* For getopt_long(), at the end of the options of a command. */
enum { LINE_PSK = 512, LINE_TLS, LINE_PEER, LINE_INSECURE };
#define LINE_OPTIONS                                            \
	{ "psk", required_argument, NULL, LINE_PSK },           \
		{ "tls", required_argument, NULL, LINE_TLS },   \
		{ "peer", required_argument, NULL, LINE_PEER }, \
	{                                                       \
		"insecure", no_argument, NULL, LINE_INSECURE    \
	}

/* Take one of them. Return: false: it is none of them */
bool line_take(struct line_opts *o, int c, const char *arg);

/* @where is HOST:PORT, where HOST is a name, an address, or [an IPv6 address]; of
 * a listener it may be empty. Return: what is wrong with it or with the options,
 * in words, or NULL */
const char *line_where(struct line_opts *o, const char *where);

/* "psk", "tls" or "insecure". */
const char *line_protection(const struct line_opts *o);

/* To a listener. The helper outlives us. Return: 0 or -errno, logged with @what */
int line_connect(const struct line_opts *o, const char *what,
		 struct tunnel *ret_t);

/* Return: a descriptor for line_open(), or -errno, logged */
int line_listen(const struct line_opts *o, uint16_t *ret_port);

/* Start the helper for the next one: all files are good. Return: 0 or -errno, logged */
int line_open(const struct line_opts *o, int listen_fd, struct tunnel *ret_t);
/* Wait until somebody is let in; on failure @t is closed. Return: 0 or -errno,
 * logged */
int line_wait(const struct line_opts *o, struct tunnel *t);

#endif
