/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_MIGRATION_TUNNEL_H
#define CSVVMM_MIGRATION_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A helper process that owns a TCP connection and its TLS for as long as it
 * lives, so that nothing a stranger sends reaches a process with guest or
 * security processor descriptors. Its owner speaks plain bytes with it over a
 * socket pair.
 */

#define TUNNEL_ERROR_LEN 240
#define TUNNEL_WAIT_MS	 10000 /* for a connection and its handshake */

enum tunnel_role { TUNNEL_CONNECT, TUNNEL_LISTEN };

/* TLS 1.3 with a key both sides have, with certificates, or neither. */
enum tunnel_security { TUNNEL_PSK, TUNNEL_CERTIFICATES, TUNNEL_INSECURE };

/**
 * struct tunnel_conf - Where to, and who is trusted
 * @host, @port: Numbers or names. Listening: NULL or "" = all addresses; port
 *		"0" = any
 * @psk_file:	TUNNEL_PSK: one line "IDENTITY:KEY" or "KEY". The key has 64 to
 *		128 hexadecimal digits (32 to 64 bytes), the identity 1 to 64
 *		of A-Z a-z 0-9 . _ @ - ("csvvmm" when left out)
 * @tls_dir:	TUNNEL_CERTIFICATES: a folder with ca.pem (who signs the other
 *		side's certificate), cert.pem (ours and what leads to the
 *		authority), key.pem (ours)
 * @listen_fd:	Listening: a socket of tunnel_listen() instead of @host and
 *		@port, for one side after the other. 0 = none
 * @peer_name:	Name or address that the other side's certificate must be for
 *		(subjectAltName). NULL: connecting, @host; listening, any
 * @wait_ms:	0 = TUNNEL_WAIT_MS. Who listens waits for ever, but no longer
 *		for any one connection
 * @rekey_bytes: New keys after so many bytes; 0 = the default, far below
 *		what [RFC 8446] 5.5 allows
 * @outlive:	Go on when the parent is gone; the end is that of @fd only
 * @confine:	NULL, or called in the helper once files and sockets are open and
 *		before a byte of the other side is read: give up rights. The
 *		helper's own system call filter follows. Return: 0 or -errno
 *
 * Files with secrets are refused when others than owner and group may read
 * them.
 */
struct tunnel_conf {
	enum tunnel_role role;
	enum tunnel_security security;
	const char *host, *port;
	const char *psk_file, *tls_dir, *peer_name;
	int listen_fd;
	unsigned wait_ms;
	uint64_t rekey_bytes;
	bool outlive;
	int (*confine)(void);
};

/**
 * struct tunnel - The owner's side
 * @fd:		Plain bytes, both ways; close-on-exec, blocking. End of file:
 *		the other side has ended, or the helper said in the log why not
 * @pid:	The helper, a child; 0 = it has ended
 * @port:	Listening: the port
 * @report:	Listening: for tunnel_wait(), else -1
 * @cpu_us:	What the helper cost; of tunnel_close()
 */
struct tunnel {
	int fd;
	pid_t pid;
	uint16_t port;
	int report;
	uint64_t cpu_us;
};

struct tunnel_error {
	char text[TUNNEL_ERROR_LEN];
};

/**
 * tunnel_open() - Start the helper
 *
 * Connecting: returns when each side has accepted the other. Listening: returns
 * when the port is open; bytes come once a side has been accepted. Others that
 * try get a line in the log each, and nothing of theirs is passed on.
 *
 * The helper ends when both directions have ended, or when @fd is closed or its
 * parent gone (unless @outlive): what was written before still goes out, for a few seconds.
 *
 * Not with threads running. Return: 0; or -errno with one line in @err
 */
int tunnel_open(const struct tunnel_conf *conf, struct tunnel *ret_t,
		struct tunnel_error *err);

/**
 * tunnel_wait() - Listening: wait until a side has been accepted
 *
 * Return: 0 with its address in @err; -errno when there will be none, logged
 */
int tunnel_wait(struct tunnel *t, struct tunnel_error *err);

/**
 * tunnel_listen() - Open a port for several tunnels, one after the other
 *
 * Who connects meanwhile waits.
 *
 * Return: a descriptor, or -errno with one line in @err
 */
int tunnel_listen(const struct tunnel_conf *conf, uint16_t *ret_port,
		  struct tunnel_error *err);

/**
 * tunnel_close() - Close @fd and wait for the helper
 *
 * For processes that have no system call filter.
 *
 * Return: 0 when both sides had ended the stream; -EPIPE when it was cut
 */
int tunnel_close(struct tunnel *t);
/* Has the helper ended? Without waiting. Return: as tunnel_close(), or -EAGAIN */
int tunnel_reap(struct tunnel *t);

/**
 * tunnel_address() - Split "HOST:PORT" or "[ADDRESS]:PORT"
 *
 * Return: 0; -EINVAL when there is no port or a part is too long
 */
int tunnel_address(const char *text, char *ret_host, size_t host_size,
		   char *ret_port, size_t port_size);

#endif
