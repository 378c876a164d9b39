/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_MIGRATION_TUNNEL_IMPL_H
#define CSVVMM_MIGRATION_TUNNEL_IMPL_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "migration/tunnel.h"

/* Between the files of the tunnel, all in the helper process, and tests. */

/* Both sides say 16 bytes when they are ready, so that each knows that the
 * other has accepted it, and that the other is one of us. */
#define TUNNEL_HELLO_LEN 16
#define TUNNEL_HELLO	 "csvvmm hello 1\r\n" /* connecting, without TLS: first */
#define TUNNEL_READY	 "csvvmm ready 1\r\n" /* listening, last */

/* PSK: TLS 1.3 binds a key to a hash; this one is what others take, too. */
#define TUNNEL_PSK_SUITE "TLS_AES_128_GCM_SHA256"
#define TUNNEL_KEY_MIN	 32u
#define TUNNEL_KEY_MAX	 64u
#define TUNNEL_ID_MAX	 64u

/**
 * struct tunnel_tls - What is made of the files
 * @ctx:	NULL: no TLS
 */
struct tunnel_tls {
	SSL_CTX *ctx;
	uint8_t key[TUNNEL_KEY_MAX];
	size_t key_len;
	char identity[TUNNEL_ID_MAX + 1];
};

/* tunnel_psk.c: read a key file. Return: 0 or -errno with @err */
int tunnel_psk_load(struct tunnel_tls *tls, const char *path,
		    struct tunnel_error *err);

/* Is it a regular file and, with @secret, hidden from others? Return: a descriptor, or
 * -errno with @err */
int tunnel_open_file(const char *path, bool secret, struct tunnel_error *err);

/* tunnel_tls.c. Return: 0 or -errno with @err. fini after both. */
int tunnel_tls_init(struct tunnel_tls *tls, const struct tunnel_conf *conf,
		    struct tunnel_error *err);
void tunnel_tls_fini(struct tunnel_tls *tls);

/**
 * struct tunnel_peer - A connection
 * @stage:	Of becoming accepted
 * @done:	Bytes of the hello or ready that are through
 * @events:	POLL* that it waits for
 * @name:	Its address, for messages
 */
struct tunnel_peer {
	int fd;
	SSL *ssl;
	enum { PEER_TLS, PEER_HELLO, PEER_READY, PEER_UP } stage;
	unsigned done;
	short events;
	uint64_t deadline_ms;
	char hello[TUNNEL_HELLO_LEN];
	char name[64];
};

/* Over @fd, which it owns from now on. Return: 0 or -ENOMEM */
int tunnel_peer_init(struct tunnel_peer *p, int fd, const struct tunnel_tls *tls,
		     const struct tunnel_conf *conf, uint64_t deadline_ms);
void tunnel_peer_fini(struct tunnel_peer *p);

/**
 * tunnel_peer_step() - Go on with becoming accepted, without waiting
 *
 * Return: 0 when each side has accepted the other; -EAGAIN: wait for @events;
 * other -errno: it is over, @err says why
 */
int tunnel_peer_step(struct tunnel_peer *p, const struct tunnel_conf *conf,
		     struct tunnel_error *err);

/* Bytes of an accepted one, without waiting. Return: number of them, -EAGAIN;
 * reading: 0 = the other side ended properly; other -errno: it is cut. */
ssize_t tunnel_peer_read(struct tunnel_peer *p, void *buf, size_t len);
ssize_t tunnel_peer_write(struct tunnel_peer *p, const void *buf, size_t len);
/* We have nothing more to say. Return: 0, -EAGAIN, other -errno */
int tunnel_peer_end(struct tunnel_peer *p);

/**
 * struct tunnel_helper - The process
 * @plain, @report, @listen_fd: Its descriptors; -1: none
 * @up:		The other side, once accepted
 */
struct tunnel_helper {
	const struct tunnel_conf *conf;
	int plain, report, listen_fd;
	pid_t parent;
	struct tunnel_tls tls;
	struct tunnel_peer up;
	uint16_t port;
};

/* tunnel_accept.c: when patience with one that knocks now will be at its end. */
uint64_t tunnel_deadline(const struct tunnel_helper *h);

/* tunnel_peer_step(), or -ETIMEDOUT. */
int tunnel_step(const struct tunnel_helper *h, struct tunnel_peer *p,
		struct tunnel_error *err);

/* Wait for a side that can be accepted; it is @h->up then. Return: 0, or -EINTR
 * when the owner wants no more */
int tunnel_accept(struct tunnel_helper *h, int listen_fd);

/* tunnel_net.c. Sockets are non-blocking. Return: a descriptor, or -errno with
 * @err */
int tunnel_net_connect(const struct tunnel_conf *conf, uint64_t deadline_ms,
		       struct tunnel_error *err);
int tunnel_net_listen(const struct tunnel_conf *conf, uint16_t *ret_port,
		      struct tunnel_error *err);
/* Notice within half a minute that the other host is gone. */
void tunnel_net_tune(int fd);
void tunnel_net_name(int fd, char *ret_name, size_t size);

/* tunnel_pump.c: carry bytes until it is over. @plain is non-blocking.
 * Return: 0; -errno when the connection was cut, logged */
int tunnel_pump(struct tunnel_peer *p, int plain, uint64_t rekey_bytes);

/* tunnel_seccomp.c: from here on nothing but the descriptors that are open.
 * Return: 0 or -errno */
int tunnel_seccomp(void);

/* tunnel.c: SIGTERM came, or the parent is gone: end soon. */
bool tunnel_ending(void);
/* poll() until something happens, or @deadline_ms (0 = none), or a signal. */
struct pollfd;
void tunnel_poll(struct pollfd *p, unsigned n, uint64_t deadline_ms);

__attribute__((format(printf, 2, 3))) void tunnel_say(struct tunnel_error *err,
						      const char *fmt, ...);

#endif
