/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two sets of algorithms, and the one-shot primitives over them. */
#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "psp/cert.h"
#include "psp/suite.h"

/*
 * AMD: the vendor's tools accept only ECDSA-SHA256 (2) and ECDH-SHA256 (3) on
 * P-384 in what a platform makes; verification takes the SHA-384 ids too.
 *
 * Hygon: ids, SM3, HMAC-SM3 and SM4-CTR for transport are those of the vendor's
 * user-space tools. That the firmware uses them for packets between two
 * platforms as well is unconfirmed.
 */
static const struct psp_suite suites[] = {
	[PSP_AMD] = {
		.profile = PSP_AMD,
		.digest = "SHA256",
		.cipher = "AES-128-CTR",
		.group = "P-384",
		.key_type = "EC",
		.field_size = 48,
		.curve_id = 2,
		.sign_algo = 2,
		.dh_algo = 3,
	},
	[PSP_HYGON] = {
		.profile = PSP_HYGON,
		.digest = "SM3",
		.cipher = "SM4-CTR",
		.group = "SM2",
		.key_type = "SM2",
		.field_size = 32,
		.curve_id = 3,
		.sign_algo = 4,
		.dh_algo = 5,
		.has_uid = true,
	},
};

const struct psp_suite *psp_suite(enum psp_profile profile)
{
	return &suites[profile == PSP_HYGON ? PSP_HYGON : PSP_AMD];
}

uint32_t psp_sig_algo(const struct psp_suite *s)
{
	return s->sign_algo;
}

int psp_lib_error(void)
{
	ERR_clear_error();
	return -EIO;
}

struct psp_hash {
	EVP_MD_CTX *ctx;
};

int psp_hash_new(const struct psp_suite *s, struct psp_hash **ret_h)
{
	struct psp_hash *h = calloc(1, sizeof(*h));
	EVP_MD *md = EVP_MD_fetch(NULL, s->digest, NULL);
	int r = 0;

	if (!h) {
		r = -ENOMEM;
		goto out;
	}
	h->ctx = EVP_MD_CTX_new();
	if (!md || !h->ctx || EVP_DigestInit_ex2(h->ctx, md, NULL) != 1) {
		r = psp_lib_error();
		psp_hash_free(h);
		goto out;
	}
	*ret_h = h;
out:
	EVP_MD_free(md);
	return r;
}

int psp_hash_update(struct psp_hash *h, const void *data, size_t len)
{
	return EVP_DigestUpdate(h->ctx, data, len) == 1 ? 0 : psp_lib_error();
}

int psp_hash_peek(const struct psp_hash *h, uint8_t out[PSP_DIGEST_SIZE])
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	int r = 0;

	if (!copy || EVP_MD_CTX_copy_ex(copy, h->ctx) != 1 ||
	    EVP_DigestFinal_ex(copy, out, NULL) != 1)
		r = psp_lib_error();
	EVP_MD_CTX_free(copy);
	return r;
}

void psp_hash_free(struct psp_hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

int psp_digest(const struct psp_suite *s, const struct psp_part *part, size_t n,
	       uint8_t out[PSP_DIGEST_SIZE])
{
	struct psp_hash *h;
	int r = psp_hash_new(s, &h);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++)
		r = psp_hash_update(h, part[i].data, part[i].len);
	if (r == 0)
		r = psp_hash_peek(h, out);
	psp_hash_free(h);
	return r;
}

int psp_mac(const struct psp_suite *s, const void *key, size_t key_len,
	    const struct psp_part *part, size_t n, uint8_t out[PSP_MAC_SIZE])
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	char digest[16];
	OSSL_PARAM params[2];
	bool good;

	/* The parameter wants a pointer to non-const. */
	strncpy(digest, s->digest, sizeof(digest) - 1);
	digest[sizeof(digest) - 1] = '\0';
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
						     digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	good = ctx && EVP_MAC_init(ctx, key, key_len, params) == 1;
	for (size_t i = 0; i < n && good; i++)
		good = EVP_MAC_update(ctx, part[i].data, part[i].len) == 1;
	good = good && EVP_MAC_final(ctx, out, NULL, PSP_MAC_SIZE) == 1;
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	return good ? 0 : psp_lib_error();
}

int psp_ctr(const struct psp_suite *s, const uint8_t key[PSP_KEY_SIZE],
	    const uint8_t iv[PSP_IV_SIZE], const void *in, void *out, size_t len)
{
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *ctx;
	int n, r = 0;

	if (len > INT_MAX)
		return -EINVAL;
	cipher = EVP_CIPHER_fetch(NULL, s->cipher, NULL);
	ctx = EVP_CIPHER_CTX_new();
	if (!cipher || !ctx ||
	    EVP_EncryptInit_ex2(ctx, cipher, key, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, out, &n, in, (int)len) != 1)
		r = psp_lib_error();
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	return r;
}
