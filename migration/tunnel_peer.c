/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/util.h"
#include "migration/tunnel_impl.h"

#define HUNG_UP \
	"it hung up; do both sides use the same of --psk, --tls and --insecure?"

/* What stands in a message of OpenSSL, in words that help. */
static const struct {
	int reason;
	const char *words;
} reasons[] = {
	{ SSL_R_HTTP_REQUEST, "it speaks HTTP" },
	{ SSL_R_HTTPS_PROXY_REQUEST, "it speaks HTTP" },
	{ SSL_R_WRONG_VERSION_NUMBER, "it does not speak TLS" },
	{ SSL_R_PACKET_LENGTH_TOO_LONG, "it does not speak TLS" },
	{ SSL_R_UNSUPPORTED_PROTOCOL, "it has no TLS 1.3" },
	{ SSL_R_VERSION_TOO_LOW, "it has no TLS 1.3" },
	{ SSL_R_BINDER_DOES_NOT_VERIFY, "it has another key (--psk)" },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
	  "it has no key, or one of another identity (--psk)" },
	{ SSL_R_NO_SHARED_CIPHER,
	  "it has no key, or one of another identity (--psk)" },
	{ SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
	  "it shows no certificate (--tls)" },
	{ SSL_R_UNEXPECTED_EOF_WHILE_READING, HUNG_UP },
};

/* An alert of the other side's: [RFC 8446] 6.2. */
static void say_alert(struct tunnel_error *err, int alert)
{
	switch (alert) {
	case SSL_AD_HANDSHAKE_FAILURE:
	case SSL_AD_UNKNOWN_PSK_IDENTITY:
	case SSL_AD_DECRYPT_ERROR:
		tunnel_say(err, "it refuses our key or certificate");
		break;
	case SSL_AD_ILLEGAL_PARAMETER:
		/* How OpenSSL answers a key that is not its own. */
		tunnel_say(err, "it has another key, or another protocol");
		break;
	case SSL_AD_UNKNOWN_CA:
		tunnel_say(err, "it refuses us: unknown CA (or has it --psk?)");
		break;
	case SSL_AD_PROTOCOL_VERSION:
		tunnel_say(err, "it has no TLS 1.3");
		break;
	default:
		tunnel_say(err, "it refuses us: %s",
			   SSL_alert_desc_string_long(alert));
		break;
	}
}

/* What is there instead of TLS, or of our 16 bytes? Return: false: no idea */
static bool say_stranger(const struct tunnel_peer *p, struct tunnel_error *err)
{
	if (p->done > 1 && p->hello[0] == 0x16 && p->hello[1] == 0x03)
		tunnel_say(err,
			   "it speaks TLS, and this side does not (--insecure)");
	else if (p->done > 3 &&
		 (!memcmp(p->hello, "GET ", 4) ||
		  !memcmp(p->hello, "POST", 4) || !memcmp(p->hello, "HTTP", 4)))
		tunnel_say(err, "it speaks HTTP");
	else if (p->done > 3 && !memcmp(p->hello, TUNNEL_HELLO, 4))
		tunnel_say(err, "it does not use TLS (--insecure)");
	else
		return false;
	return true;
}

/* Why the last call for @ssl failed. */
static void say_why(struct tunnel_error *err, SSL *ssl, int saved_errno)
{
	unsigned long code = ERR_peek_last_error();
	int reason = ERR_GET_REASON(code);
	long verify = SSL_get_verify_result(ssl);
	const char *words;
	size_t i;

	ERR_clear_error();
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED &&
	    !SSL_CTX_get0_certificate(SSL_get_SSL_CTX(ssl))) {
		tunnel_say(err,
			   "it shows a certificate: --tls there, --psk here");
		return;
	}
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK) {
		tunnel_say(err, "its certificate: %s",
			   X509_verify_cert_error_string(verify));
		return;
	}
	if (!code) {
		tunnel_say(err, "%s",
			   saved_errno && saved_errno != ECONNRESET
				   ? strerror(saved_errno)
				   : HUNG_UP);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (reasons[i].reason == reason) {
			tunnel_say(err, "%s", reasons[i].words);
			return;
		}
	}
	if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
		say_alert(err, reason - SSL_AD_REASON_OFFSET);
		return;
	}
	words = ERR_reason_error_string(code);
	tunnel_say(err, "TLS: %s", words ? words : "failed");
}

int tunnel_peer_init(struct tunnel_peer *p, int fd, const struct tunnel_tls *tls,
		     const struct tunnel_conf *conf, uint64_t deadline_ms)
{
	*p = (struct tunnel_peer){ .fd = fd, .deadline_ms = deadline_ms };
	tunnel_net_tune(fd);
	tunnel_net_name(fd, p->name, sizeof(p->name));
	p->stage = tls->ctx ? PEER_TLS : PEER_HELLO;
	if (!tls->ctx)
		return 0;
	p->ssl = SSL_new(tls->ctx);
	if (!p->ssl || SSL_set_fd(p->ssl, fd) != 1) {
		tunnel_peer_fini(p);
		return -ENOMEM;
	}
	if (conf->role == TUNNEL_LISTEN)
		SSL_set_accept_state(p->ssl);
	else
		SSL_set_connect_state(p->ssl);
	return 0;
}

void tunnel_peer_fini(struct tunnel_peer *p)
{
	SSL_free(p->ssl);
	p->ssl = NULL;
	util_close(&p->fd);
}

/* After an SSL call: -EAGAIN with @events, 0 for an orderly end, or -EPIPE. */
static int tls_result(struct tunnel_peer *p, int r)
{
	switch (SSL_get_error(p->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		p->events = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		p->events = POLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return -EPIPE;
	}
}

static ssize_t plain_result(struct tunnel_peer *p, ssize_t n, short events)
{
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EINTR)
		return -errno;
	p->events = events;
	return -EAGAIN;
}

ssize_t tunnel_peer_read(struct tunnel_peer *p, void *buf, size_t len)
{
	int n;

	if (!p->ssl)
		return plain_result(p, recv(p->fd, buf, len, MSG_DONTWAIT),
				    POLLIN);
	ERR_clear_error();
	errno = 0;
	n = SSL_read(p->ssl, buf, (int)MIN(len, (size_t)INT_MAX));
	return n > 0 ? n : tls_result(p, n);
}

ssize_t tunnel_peer_write(struct tunnel_peer *p, const void *buf, size_t len)
{
	int n;

	if (!p->ssl)
		return plain_result(
			p, send(p->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL),
			POLLOUT);
	ERR_clear_error();
	errno = 0;
	n = SSL_write(p->ssl, buf, (int)MIN(len, (size_t)INT_MAX));
	if (n > 0)
		return n;
	n = tls_result(p, n);
	return n ? n : -EPIPE;
}

int tunnel_peer_end(struct tunnel_peer *p)
{
	int r = 0;

	if (p->ssl) {
		ERR_clear_error();
		r = SSL_shutdown(p->ssl);
		r = r < 0 ? tls_result(p, r) : 0;
	}
	if (r == 0 && shutdown(p->fd, SHUT_WR) < 0)
		r = -errno;
	return r;
}

/* --- becoming accepted --- */

/* Keep the first bytes that OpenSSL reads: only for the words, should it fail. */
static long first_bytes(BIO *bio, int oper, const char *buf, size_t size,
			int argi, long argl, int ret, size_t *done)
{
	struct tunnel_peer *p = (struct tunnel_peer *)BIO_get_callback_arg(bio);
	size_t n;

	(void)size;
	(void)argi;
	(void)argl;
	if (oper != (BIO_CB_READ | BIO_CB_RETURN) || ret <= 0 || !done)
		return ret;
	n = MIN(*done, sizeof(p->hello) - p->done);
	memcpy(p->hello + p->done, buf, n);
	p->done += (unsigned)n;
	return ret;
}

static int step_tls(struct tunnel_peer *p, const struct tunnel_conf *conf,
		    struct tunnel_error *err)
{
	BIO *bio = SSL_get_rbio(p->ssl);
	int r, saved;

	/* Only for this call: @p may be elsewhere at the next. */
	BIO_set_callback_arg(bio, (char *)p);
	BIO_set_callback_ex(bio, first_bytes);
	ERR_clear_error();
	errno = 0;
	r = SSL_do_handshake(p->ssl);
	saved = errno;
	BIO_set_callback_ex(bio, NULL);
	if (r != 1) {
		r = tls_result(p, r);
		if (r == -EAGAIN)
			return r;
		/* 0x16 is how TLS itself begins. */
		if (p->hello[0] == 0x16 || !say_stranger(p, err))
			say_why(err, p->ssl, saved);
		ERR_clear_error();
		return -EPROTO;
	}
	p->done = 0;
	/* The key was used, and not a certificate instead. */
	if (conf->security == TUNNEL_PSK && !SSL_session_reused(p->ssl)) {
		tunnel_say(err, "it does not have our key (--psk)");
		return -EPROTO;
	}
	p->stage = PEER_READY;
	return 0;
}

static int say_fixed(struct tunnel_peer *p, const char *text,
		     struct tunnel_error *err)
{
	int saved;

	while (p->done < TUNNEL_HELLO_LEN) {
		ssize_t n = tunnel_peer_write(p, text + p->done,
					      TUNNEL_HELLO_LEN - p->done);

		saved = errno;
		if (n == -EAGAIN)
			return -EAGAIN;
		if (n <= 0) {
			if (p->ssl)
				say_why(err, p->ssl, saved);
			else
				tunnel_say(err, "%s", strerror((int)-n));
			return -EPROTO;
		}
		p->done += (unsigned)n;
	}
	p->done = 0;
	return 0;
}

static int hear_fixed(struct tunnel_peer *p, const char *text,
		      struct tunnel_error *err)
{
	int saved;

	while (p->done < TUNNEL_HELLO_LEN) {
		ssize_t n = tunnel_peer_read(p, p->hello + p->done,
					     TUNNEL_HELLO_LEN - p->done);

		saved = errno;
		if (n == -EAGAIN)
			return -EAGAIN;
		if (n < 0 && p->ssl)
			say_why(err, p->ssl, saved);
		else if (n <= 0)
			tunnel_say(err, "%s", n ? strerror((int)-n) : HUNG_UP);
		if (n <= 0)
			return -EPROTO;
		p->done += (unsigned)n;
		/* No need to wait for the rest of something else. */
		if (memcmp(p->hello, text, p->done) != 0 &&
		    (p->done >= 4 || p->done == TUNNEL_HELLO_LEN)) {
			if (p->ssl || !memcmp(p->hello, TUNNEL_HELLO, 4) ||
			    !say_stranger(p, err))
				tunnel_say(err,
					   "it is no csvvmm of this version");
			return -EPROTO;
		}
	}
	p->done = 0;
	return 0;
}

int tunnel_peer_step(struct tunnel_peer *p, const struct tunnel_conf *conf,
		     struct tunnel_error *err)
{
	bool listening = conf->role == TUNNEL_LISTEN;
	int r = 0;

	while (p->stage != PEER_UP && !r) {
		switch (p->stage) {
		case PEER_TLS:
			r = step_tls(p, conf, err);
			break;
		case PEER_HELLO:
			r = listening ? hear_fixed(p, TUNNEL_HELLO, err)
				      : say_fixed(p, TUNNEL_HELLO, err);
			if (!r)
				p->stage = PEER_READY;
			break;
		case PEER_READY:
			r = listening ? say_fixed(p, TUNNEL_READY, err)
				      : hear_fixed(p, TUNNEL_READY, err);
			if (!r)
				p->stage = PEER_UP;
			break;
		case PEER_UP:
			break;
		}
	}
	return r;
}
