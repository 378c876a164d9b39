/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "psp/memcipher.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK PSP_MEMCIPHER_BLOCK
#define CHUNK 4096u

struct psp_memcipher {
	EVP_CIPHER_CTX *tweak, *enc, *dec;
};

static EVP_CIPHER_CTX *ecb(const uint8_t *key, bool encrypt)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	if (c &&
	    EVP_CipherInit_ex(c, EVP_aes_128_ecb(), NULL, key, NULL, encrypt) ==
		    1 &&
	    EVP_CIPHER_CTX_set_padding(c, 0) == 1)
		return c;
	EVP_CIPHER_CTX_free(c);
	ERR_clear_error();
	return NULL;
}

static int apply(EVP_CIPHER_CTX *c, uint8_t *buf, size_t len)
{
	int n;

	if (EVP_CipherUpdate(c, buf, &n, buf, (int)len) == 1)
		return 0;
	ERR_clear_error();
	return -EIO;
}

int psp_memcipher_new(const uint8_t key[16], struct psp_memcipher **ret_m)
{
	struct psp_memcipher *m = calloc(1, sizeof(*m));
	uint8_t k2[BLOCK];

	if (!m)
		return -ENOMEM;
	memset(k2, 0xa5, sizeof(k2));
	m->enc = ecb(key, true);
	m->dec = ecb(key, false);
	if (m->enc && apply(m->enc, k2, sizeof(k2)) == 0)
		m->tweak = ecb(k2, true);
	OPENSSL_cleanse(k2, sizeof(k2));
	if (!m->enc || !m->dec || !m->tweak) {
		psp_memcipher_free(m);
		return -EIO;
	}
	*ret_m = m;
	return 0;
}

void psp_memcipher_free(struct psp_memcipher *m)
{
	if (!m)
		return;
	EVP_CIPHER_CTX_free(m->tweak);
	EVP_CIPHER_CTX_free(m->enc);
	EVP_CIPHER_CTX_free(m->dec);
	free(m);
}

static void xor_into(uint8_t *out, const uint8_t *in, size_t len)
{
	uint64_t a, b;
	size_t i;

	for (i = 0; i < len; i += sizeof(a)) {
		memcpy(&a, out + i, sizeof(a));
		memcpy(&b, in + i, sizeof(b));
		a ^= b;
		memcpy(out + i, &a, sizeof(a));
	}
}

/* One chunk in place: tweaks of all its blocks at once, then the cipher. */
static int chunk(struct psp_memcipher *m, EVP_CIPHER_CTX *c, uint64_t pa,
		 uint8_t *buf, size_t len)
{
	uint8_t t[CHUNK] = { 0 };
	uint64_t at;
	size_t i;
	int r;

	for (i = 0; i < len; i += BLOCK) {
		at = pa + i;
		memcpy(t + i, &at, sizeof(at));
	}
	r = apply(m->tweak, t, len);
	if (r < 0)
		return r;
	xor_into(buf, t, len);
	r = apply(c, buf, len);
	xor_into(buf, t, len);
	return r;
}

static int run(struct psp_memcipher *m, EVP_CIPHER_CTX *c, uint64_t pa,
	       const void *in, void *out, size_t len)
{
	uint8_t *buf = out;
	size_t done, n;
	int r = 0;

	if (pa % BLOCK || len % BLOCK)
		return -EINVAL;
	if (in != out)
		memmove(out, in, len);
	for (done = 0; done < len && r == 0; done += n) {
		n = len - done < CHUNK ? len - done : CHUNK;
		r = chunk(m, c, pa + done, buf + done, n);
	}
	return r;
}

int psp_memcipher_encrypt(struct psp_memcipher *m, uint64_t pa, const void *in,
			  void *out, size_t len)
{
	return run(m, m->enc, pa, in, out, len);
}

int psp_memcipher_decrypt(struct psp_memcipher *m, uint64_t pa, const void *in,
			  void *out, size_t len)
{
	return run(m, m->dec, pa, in, out, len);
}
