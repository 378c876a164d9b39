/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_LINE_H
#define CSVVMM_VMM_LINE_H

/*
 * TCP between two hosts, without protection (--insecure). HOST:PORT, where HOST
 * is a name, an address, or [an IPv6 address]; of a listener it may be empty.
 */

/* Return: connected socket, or -errno, logged */
int line_connect(const char *where);

/* Return: listening socket, or -errno, logged; *ret_port: which it is, if PORT
 * was 0 */
int line_listen(const char *where, unsigned *ret_port);

/* Return: the next connection, or -errno */
int line_accept(int fd);

#endif
