/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/util.h"
#include "migration/tunnel_impl.h"

/*
 * DOC: TLS as it is used here
 *
 * Version 1.3 and nothing else; no tickets, no resumption, no early data. A key
 * that both sides have is an external PSK ([RFC 8446] 4.2.11) together with a
 * Diffie-Hellman exchange, so a key that is stolen later opens no recording.
 * With certificates each side shows one. Nothing of the machine's configuration
 * of OpenSSL and none of its certificates are used.
 */

#define SUITES_CERTIFICATES                              \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:" \
	"TLS_CHACHA20_POLY1305_SHA256"

static int tls_fail(struct tunnel_error *err, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_error());

	tunnel_say(err, "%s: %s", what, why ? why : "failed");
	ERR_clear_error();
	return -EINVAL;
}

/* --- a key that both sides have --- */

static SSL_SESSION *psk_session(const struct tunnel_tls *tls, SSL *ssl)
{
	/* Its number in the registry of cipher suites. */
	static const unsigned char suite[] = { 0x13, 0x01 };
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite);
	SSL_SESSION *s = SSL_SESSION_new();

	if (cipher && s &&
	    SSL_SESSION_set1_master_key(s, tls->key, tls->key_len) &&
	    SSL_SESSION_set_cipher(s, cipher) &&
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION))
		return s;
	SSL_SESSION_free(s);
	return NULL;
}

static int psk_use(SSL *ssl, const EVP_MD *md, const unsigned char **ret_id,
		   size_t *ret_len, SSL_SESSION **ret_session)
{
	const struct tunnel_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	*ret_id = NULL;
	*ret_len = 0;
	*ret_session = psk_session(tls, ssl);
	if (!*ret_session)
		return 0;
	if (md && md != SSL_CIPHER_get_handshake_digest(
				SSL_SESSION_get0_cipher(*ret_session))) {
		SSL_SESSION_free(*ret_session);
		*ret_session = NULL;
		return 1;
	}
	*ret_id = (const unsigned char *)tls->identity;
	*ret_len = strlen(tls->identity);
	return 1;
}

static int psk_find(SSL *ssl, const unsigned char *id, size_t len,
		    SSL_SESSION **ret_session)
{
	const struct tunnel_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	*ret_session = NULL;
	if (len != strlen(tls->identity) || memcmp(id, tls->identity, len) != 0)
		return 1; /* no key; it will fail for want of a certificate */
	*ret_session = psk_session(tls, ssl);
	return *ret_session != NULL;
}

static int use_psk(struct tunnel_tls *tls, const struct tunnel_conf *conf,
		   struct tunnel_error *err)
{
	static const unsigned char context[] = "csvvmm";
	int r = tunnel_psk_load(tls, conf->psk_file, err);

	if (r < 0)
		return r;
	/* To OpenSSL a PSK is a resumed session, which needs one there. */
	if (conf->role == TUNNEL_LISTEN &&
	    !SSL_CTX_set_session_id_context(tls->ctx, context, sizeof(context)))
		return tls_fail(err, "TLS context");
	if (!SSL_CTX_set_ciphersuites(tls->ctx, TUNNEL_PSK_SUITE))
		return tls_fail(err, "TLS cipher suite");
	SSL_CTX_set_psk_use_session_callback(tls->ctx, psk_use);
	SSL_CTX_set_psk_find_session_callback(tls->ctx, psk_find);
	/* No authority is trusted: a certificate will not do instead. */
	SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
	return 0;
}

/* --- certificates --- */

/* OpenSSL would wait for who writes into a named pipe. */
static int check_file(const char *path, bool secret, struct tunnel_error *err)
{
	int fd = tunnel_open_file(path, secret, err);

	if (fd < 0)
		return fd;
	(void)close(fd);
	return 0;
}

static int use_files(struct tunnel_tls *tls, const char *dir,
		     struct tunnel_error *err)
{
	char ca[4096], cert[4096], key[4096];
	int r;

	if (strlen(dir) > sizeof(ca) - sizeof("/cert.pem")) {
		tunnel_say(err, "the folder's name is too long");
		return -ENAMETOOLONG;
	}
	(void)snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
	(void)snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	(void)snprintf(key, sizeof(key), "%s/key.pem", dir);
	r = check_file(ca, false, err);
	if (!r)
		r = check_file(cert, false, err);
	if (r < 0)
		return r;
	if (SSL_CTX_load_verify_file(tls->ctx, ca) != 1)
		return tls_fail(err, ca);
	if (SSL_CTX_use_certificate_chain_file(tls->ctx, cert) != 1)
		return tls_fail(err, cert);
	r = check_file(key, true, err);
	if (r < 0)
		return r;
	/* A key that is not that of the certificate is refused here, too. */
	if (SSL_CTX_use_PrivateKey_file(tls->ctx, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(tls->ctx) != 1)
		return tls_fail(err, key);
	return 0;
}

static const char *wanted_name(const struct tunnel_conf *conf)
{
	if (conf->peer_name)
		return conf->peer_name;
	return conf->role == TUNNEL_CONNECT ? conf->host : NULL;
}

static int use_certificates(struct tunnel_tls *tls,
			    const struct tunnel_conf *conf,
			    struct tunnel_error *err)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls->ctx);
	const char *name = wanted_name(conf);
	int r = use_files(tls, conf->tls_dir, err);

	if (r < 0)
		return r;
	if (!SSL_CTX_set_ciphersuites(tls->ctx, SUITES_CERTIFICATES))
		return tls_fail(err, "TLS cipher suites");
	SSL_CTX_set_verify(tls->ctx,
			   SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			   NULL);
	if (!name)
		return 0;
	X509_VERIFY_PARAM_set_hostflags(
		param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
			       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
		return 0;
	ERR_clear_error();
	if (X509_VERIFY_PARAM_set1_host(param, name, 0) != 1)
		return tls_fail(err, name);
	return 0;
}

int tunnel_tls_init(struct tunnel_tls *tls, const struct tunnel_conf *conf,
		    struct tunnel_error *err)
{
	*tls = (struct tunnel_tls){ .ctx = NULL };
	if (conf->security == TUNNEL_INSECURE)
		return 0;
	ERR_clear_error();
	/* The C library opens a file for the dates of certificates. Not later. */
	tzset();
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG |
				     OPENSSL_INIT_LOAD_SSL_STRINGS |
				     OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
			     NULL) != 1)
		return tls_fail(err, "OpenSSL");
	tls->ctx = SSL_CTX_new(conf->role == TUNNEL_LISTEN ? TLS_server_method()
							   : TLS_client_method());
	if (!tls->ctx)
		return tls_fail(err, "OpenSSL");
	SSL_CTX_set_app_data(tls->ctx, tls);
	SSL_CTX_set_security_level(tls->ctx, 2);
	SSL_CTX_set_options(tls->ctx, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_num_tickets(tls->ctx, 0);
	SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(tls->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(tls->ctx, 1);
	SSL_CTX_set_default_read_buffer_len(tls->ctx, 1 << 17);
	if (SSL_CTX_set_min_proto_version(tls->ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(tls->ctx, TLS1_3_VERSION) != 1)
		return tls_fail(err, "TLS 1.3");
	return conf->security == TUNNEL_PSK ? use_psk(tls, conf, err)
					    : use_certificates(tls, conf, err);
}

void tunnel_tls_fini(struct tunnel_tls *tls)
{
	SSL_CTX_free(tls->ctx);
	tls->ctx = NULL;
	explicit_bzero(tls->key, sizeof(tls->key));
}
