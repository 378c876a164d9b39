/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets of 4 KiB (SEND_UPDATE_DATA, RECEIVE_UPDATE_DATA) against the cipher
 * and the MAC alone, on one core. "raw" are the loops of `openssl speed`: one
 * block after the other through contexts that are ready; its combined speed is
 * 1 / (1 / cipher + 1 / MAC). The target of seal and open is 0.8 of it.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "psp/crypto.h"

#define PAGE   4096
#define ROUNDS 5 /* the best counts: the machine does other work too */

struct job {
	struct psp_channel *ch;
	EVP_CIPHER_CTX *cipher;
	EVP_MAC_CTX *mac;
	uint8_t in[PAGE], out[PAGE], hdr[PSP_HDR_SIZE];
};

static int fill_random(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	return getrandom(buf, len, 0) == (ssize_t)len ? 0 : -1;
}

static const struct psp_ops ops = { .random = fill_random };

static int raw_cipher(struct job *j)
{
	int n;

	return EVP_EncryptUpdate(j->cipher, j->out, &n, j->in, PAGE) == 1;
}

static int raw_mac(struct job *j)
{
	uint8_t mac[PSP_MAC_SIZE];

	return EVP_MAC_init(j->mac, NULL, 0, NULL) == 1 &&
	       EVP_MAC_update(j->mac, j->in, PAGE) == 1 &&
	       EVP_MAC_final(j->mac, mac, NULL, sizeof(mac)) == 1;
}

static int seal(struct job *j)
{
	return psp_packet_seal(j->ch, &ops, NULL, PSP_PACKET_DATA, j->in,
			       j->out, PAGE, NULL, j->hdr) == 0;
}

static int open_packet(struct job *j)
{
	return psp_packet_open(j->ch, PSP_PACKET_DATA, j->hdr, j->out, j->in,
			       PAGE, PAGE, NULL) == 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Return: MB/s, the best round. */
static double speed(int (*work)(struct job *), struct job *j)
{
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now(), took;
		unsigned n = 0;

		do {
			for (int i = 0; i < 256; i++, n++)
				if (!work(j))
					exit(1);
			took = now() - start;
		} while (took < 0.1);
		if ((double)n * PAGE / took > best)
			best = (double)n * PAGE / took;
	}
	return best / 1e6;
}

static void run(const char *name, enum psp_profile profile, const char *cipher,
		const char *digest)
{
	static const struct psp_transport keys = { { 1 }, { 2 } };
	static const uint8_t iv[PSP_IV_SIZE];
	static struct job j;
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_CIPHER *c = EVP_CIPHER_fetch(NULL, cipher, NULL);
	char md[16];
	OSSL_PARAM params[2];
	double c_mb, m_mb, both, s_mb, o_mb;

	memset(&j, 0, sizeof(j));
	(void)snprintf(md, sizeof(md), "%s", digest);
	params[0] =
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, md, 0);
	params[1] = OSSL_PARAM_construct_end();
	j.mac = EVP_MAC_CTX_new(mac);
	j.cipher = EVP_CIPHER_CTX_new();
	if (!j.mac || !j.cipher ||
	    EVP_MAC_init(j.mac, keys.tik, PSP_KEY_SIZE, params) != 1 ||
	    EVP_EncryptInit_ex2(j.cipher, c, keys.tek, iv, NULL) != 1 ||
	    psp_channel_new(psp_suite(profile), &keys, &j.ch) < 0)
		exit(1);
	c_mb = speed(raw_cipher, &j);
	m_mb = speed(raw_mac, &j);
	both = 1 / (1 / c_mb + 1 / m_mb);
	s_mb = speed(seal, &j);
	(void)seal(&j);
	o_mb = speed(open_packet, &j);
	printf("psp %-6s %s %.0f MB/s, HMAC-%s %.0f MB/s, both %.0f MB/s\n",
	       name, cipher, c_mb, digest, m_mb, both);
	printf("psp %-6s seal %.0f MB/s (%.2f), open %.0f MB/s (%.2f)\n", name,
	       s_mb, s_mb / both, o_mb, o_mb / both);
	psp_channel_free(j.ch);
	EVP_CIPHER_CTX_free(j.cipher);
	EVP_MAC_CTX_free(j.mac);
	EVP_CIPHER_free(c);
	EVP_MAC_free(mac);
}

int main(void)
{
	run("amd", PSP_AMD, "AES-128-CTR", "SHA256");
	run("hygon", PSP_HYGON, "SM4-CTR", "SM3");
	return 0;
}
