/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who knocks at a migration's port, before he is let in: with a key, with certificates, and where none is asked for.
 * First byte: which of them (2 bits), whether a real client is between (4: it has the key), and how long the pieces are
 * that arrive. Then either what is sent as it is, or changes to what the client sends: place (2), value (1). Nobody is
 * let in but that client, unchanged, or who says the right words where none is asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/util.h"
#include "migration/tunnel_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY                                \
	"00112233445566778899aabbccddeeff" \
	"00112233445566778899aabbccddeeff\n"
#define CHANGES_MAX 64u

enum { PSK, CERTIFICATES, INSECURE, KINDS };

static struct tunnel_conf conf[KINDS];
static struct tunnel_tls server[KINDS], client[KINDS];

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	(void)close(fd);
}

/* One that has signed itself: authority and certificate at once. */
static void put_certificates(const char *dir)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	BIO *out;
	char *text;
	static const char *const file[] = { "ca.pem", "cert.pem", "key.pem" };
	unsigned i;

	must(X509_set_version(cert, 2) &&
	     ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
	     X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
	     X509_gmtime_adj(X509_getm_notAfter(cert), 864000) &&
	     X509_set_pubkey(cert, key) &&
	     X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					(const uint8_t *)"fuzz", -1, -1, 0) &&
	     X509_set_issuer_name(cert, name) &&
	     X509_sign(cert, key, EVP_sha256()));
	for (i = 0; i < ARRAY_SIZE(file); i++) {
		out = BIO_new(BIO_s_mem());
		must(i == 2 ? PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0,
						       NULL, NULL)
			    : PEM_write_bio_X509(out, cert));
		must(BIO_write(out, "", 1) == 1 && BIO_get_mem_data(out, &text));
		put_file(dir, file[i], text);
		BIO_free(out);
	}
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void set_up(void)
{
	static char dir[] = "/tmp/tunnel_fuzz.XXXXXX", psk[64];
	static const enum tunnel_security how[KINDS] = { TUNNEL_PSK,
							 TUNNEL_CERTIFICATES,
							 TUNNEL_INSECURE };
	struct tunnel_conf c;
	struct tunnel_error err;
	unsigned i;

	must(mkdtemp(dir));
	put_file(dir, "psk", KEY);
	put_certificates(dir);
	(void)snprintf(psk, sizeof(psk), "%s/psk", dir);
	for (i = 0; i < KINDS; i++) {
		conf[i] = (struct tunnel_conf){ .role = TUNNEL_LISTEN,
						.security = how[i],
						.psk_file = psk,
						.tls_dir = dir };
		must(!tunnel_tls_init(&server[i], &conf[i], &err));
		c = conf[i];
		c.role = TUNNEL_CONNECT;
		must(!tunnel_tls_init(&client[i], &c, &err));
	}
}

/* --- a client whose words are changed on their way ------------------------------------ */

struct way {
	const uint8_t *change;
	unsigned changes, sent;
	unsigned hello; /* bytes of the first record, with its head */
	bool touched, changed;
};

static void carry(struct way *w, int from, int to)
{
	uint8_t buf[4096], was[4096];
	ssize_t n = recv(from, buf, sizeof(buf), MSG_DONTWAIT);
	unsigned i;

	if (n <= 0)
		return;
	if (!w->sent && n > 5)
		w->hello = 5u + ((unsigned)buf[3] << 8 | buf[4]);
	memcpy(was, buf, (size_t)n);
	for (i = 0; i < w->changes; i++) {
		const uint8_t *c = w->change + (size_t)i * 3;
		unsigned at = c[0] | (unsigned)c[1] << 8;

		if (at >= w->sent && at < w->sent + (unsigned)n)
			buf[at - w->sent] ^= c[2];
	}
	for (i = 0; i < (unsigned)n; i++) {
		if (buf[i] == was[i])
			continue;
		w->touched = true;
		/* A record's head is in no sum; its version is ignored ([RFC 8446] 5.1). */
		w->changed |= w->sent + i >= 5 && w->sent + i < w->hello;
	}
	w->sent += (unsigned)n;
	(void)send(to, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void with_client(unsigned kind, const uint8_t *data, size_t size)
{
	struct tunnel_conf theirs = conf[kind];
	struct way there = { data, (unsigned)MIN(size / 3, (size_t)CHANGES_MAX) };
	struct way back = { 0 };
	struct tunnel_error err;
	struct tunnel_peer us, them;
	int a[2], b[2], i, r = -EAGAIN, q = -EAGAIN;

	theirs.role = TUNNEL_CONNECT;
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a) &&
	     !socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b));
	must(!tunnel_peer_init(&us, a[0], &server[kind], &conf[kind], 0) &&
	     !tunnel_peer_init(&them, b[0], &client[kind], &theirs, 0));
	for (i = 0; i < 40 && r == -EAGAIN; i++) {
		if (q == -EAGAIN)
			q = tunnel_peer_step(&them, &theirs, &err);
		carry(&there, b[1], a[1]);
		err.text[0] = '\0';
		r = tunnel_peer_step(&us, &conf[kind], &err);
		carry(&back, a[1], b[1]);
	}
	/* Let in: only unchanged; and who is refused hears why. */
	must(r || !there.changed || kind == INSECURE);
	must(!there.touched ? !r : true);
	must(!r || r == -EAGAIN || err.text[0]);
	tunnel_peer_fini(&us);
	tunnel_peer_fini(&them);
	(void)close(a[1]);
	(void)close(b[1]);
}

/* --- whatever is sent ------------------------------------------------------------------ */

static void as_it_is(unsigned kind, size_t piece, const uint8_t *data, size_t size)
{
	struct tunnel_error err;
	struct tunnel_peer us;
	int a[2], r = -EAGAIN;
	size_t n;

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a));
	must(!tunnel_peer_init(&us, a[0], &server[kind], &conf[kind], 0));
	while (r == -EAGAIN && size) {
		n = MIN(size, piece);
		if (send(a[1], data, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		data += n;
		size -= n;
		err.text[0] = '\0';
		r = tunnel_peer_step(&us, &conf[kind], &err);
	}
	(void)shutdown(a[1], SHUT_WR);
	if (r == -EAGAIN) {
		err.text[0] = '\0';
		r = tunnel_peer_step(&us, &conf[kind], &err);
	}
	must(r || kind == INSECURE);
	must(!r || r == -EAGAIN || err.text[0]);
	tunnel_peer_fini(&us);
	(void)close(a[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned kind;

	if (!size || size > 20000)
		return -1;
	if (!conf[PSK].psk_file)
		set_up();
	kind = data[0] % KINDS;
	if (data[0] / KINDS & 1)
		with_client(kind, data + 1, size - 1);
	else
		as_it_is(kind, 1u << (data[0] / 16), data + 1, size - 1);
	return 0;
}
