/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signatures in the forms that certificates have. */
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "psp/suite.h"

#define DER_MAX 256 /* of r and s of 72 bytes each */
#define RSA_MAX 512

/* The user id goes in after the start and before any data. */
static bool set_uid(const struct psp_suite *s, EVP_PKEY_CTX *pctx,
		    const void *uid, size_t len)
{
	return !s->has_uid || EVP_PKEY_CTX_set1_id(pctx, uid, (int)len) == 1;
}

static int der_to_raw(const uint8_t *der, size_t len,
		      uint8_t sig[2 * PSP_NUM_SIZE])
{
	ECDSA_SIG *e = d2i_ECDSA_SIG(NULL, &der, (long)len);
	int r = 0;

	if (!e || BN_bn2lebinpad(ECDSA_SIG_get0_r(e), sig, PSP_NUM_SIZE) < 0 ||
	    BN_bn2lebinpad(ECDSA_SIG_get0_s(e), sig + PSP_NUM_SIZE,
			   PSP_NUM_SIZE) < 0)
		r = psp_lib_error();
	ECDSA_SIG_free(e);
	return r;
}

int psp_sig_make(const struct psp_ec_key *k, const void *uid, size_t uid_len,
		 const void *data, size_t len, uint8_t sig[2 * PSP_NUM_SIZE])
{
	const struct psp_suite *s = k->suite;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	uint8_t der[DER_MAX];
	size_t der_len = sizeof(der);
	int r;

	if (!ctx ||
	    EVP_DigestSignInit_ex(ctx, &pctx, s->digest, NULL, NULL, k->pkey,
				  NULL) != 1 ||
	    !set_uid(s, pctx, uid, uid_len) ||
	    EVP_DigestSign(ctx, der, &der_len, data, len) != 1)
		r = psp_lib_error();
	else
		r = der_to_raw(der, der_len, sig);
	EVP_MD_CTX_free(ctx);
	return r;
}

/* Return: bytes, or -EIO */
static int raw_to_der(const uint8_t sig[2 * PSP_NUM_SIZE], uint8_t **ret_der)
{
	ECDSA_SIG *e = ECDSA_SIG_new();
	BIGNUM *r = BN_lebin2bn(sig, PSP_NUM_SIZE, NULL);
	BIGNUM *s = BN_lebin2bn(sig + PSP_NUM_SIZE, PSP_NUM_SIZE, NULL);
	int len;

	if (!e || !r || !s || ECDSA_SIG_set0(e, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		ECDSA_SIG_free(e);
		return psp_lib_error();
	}
	*ret_der = NULL;
	len = i2d_ECDSA_SIG(e, ret_der);
	ECDSA_SIG_free(e);
	return len > 0 ? len : psp_lib_error();
}

int psp_sig_check(const struct psp_suite *s, const char *digest,
		  const struct psp_ec_pub *pub, const void *data, size_t len,
		  const uint8_t sig[2 * PSP_NUM_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	EVP_PKEY *pkey = NULL;
	uint8_t *der = NULL;
	int der_len, r;

	r = ctx ? psp_ec_pub_load(s, pub, &pkey) : psp_lib_error();
	if (r < 0)
		goto out;
	der_len = raw_to_der(sig, &der);
	if (der_len < 0) {
		r = der_len;
		goto out;
	}
	if (EVP_DigestVerifyInit_ex(ctx, &pctx, digest ? digest : s->digest,
				    NULL, NULL, pkey, NULL) != 1 ||
	    !set_uid(s, pctx, pub->uid, pub->uid_len)) {
		r = psp_lib_error();
		goto out;
	}
	/* Numbers out of range are an error to the library, not a "no". */
	if (EVP_DigestVerify(ctx, der, (size_t)der_len, data, len) != 1) {
		ERR_clear_error();
		r = -EBADMSG;
	}
out:
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
	EVP_MD_CTX_free(ctx);
	return r;
}

static const char *rsa_digest(unsigned bits)
{
	return bits > 2048 ? "SHA384" : "SHA256";
}

static void reverse(uint8_t *out, const uint8_t *in, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = in[len - 1 - i];
}

int psp_rsa_sign(const struct psp_ec_key *k, const void *data, size_t len,
		 uint8_t *sig)
{
	unsigned bits = (unsigned)EVP_PKEY_get_bits(k->pkey);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	uint8_t be[RSA_MAX];
	size_t n = sizeof(be);
	int r = 0;

	if (!ctx ||
	    EVP_DigestSignInit_ex(ctx, &pctx, rsa_digest(bits), NULL, NULL,
				  k->pkey, NULL) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) != 1 ||
	    EVP_DigestSign(ctx, be, &n, data, len) != 1)
		r = psp_lib_error();
	else
		reverse(sig, be, n);
	EVP_MD_CTX_free(ctx);
	return r;
}

static EVP_PKEY *rsa_pub_load(const uint8_t *modulus, const uint8_t *exponent,
			      size_t size)
{
	BIGNUM *n = BN_lebin2bn(modulus, (int)size, NULL);
	BIGNUM *e = BN_lebin2bn(exponent, (int)size, NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;

	/* Long exponents only make the check slow; with 1 anybody can sign. */
	if (n && e && bld && ctx && BN_num_bits(n) == (int)size * 8 &&
	    BN_is_odd(n) && BN_is_odd(e) && BN_num_bits(e) > 1 &&
	    BN_num_bits(e) <= 32 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		params = OSSL_PARAM_BLD_to_param(bld);
	if (params && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	BN_free(e);
	return pkey;
}

int psp_rsa_check(const uint8_t *modulus, const uint8_t *exponent, unsigned bits,
		  const void *data, size_t len, const uint8_t *sig)
{
	EVP_PKEY *pkey = rsa_pub_load(modulus, exponent, bits / 8);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	uint8_t be[RSA_MAX];
	int r = 0;

	if (!pkey || !ctx || bits / 8 > sizeof(be)) {
		ERR_clear_error();
		r = -EINVAL;
		goto out;
	}
	reverse(be, sig, bits / 8);
	if (EVP_DigestVerifyInit_ex(ctx, &pctx, rsa_digest(bits), NULL, NULL,
				    pkey, NULL) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_AUTO) != 1) {
		r = psp_lib_error();
		goto out;
	}
	if (EVP_DigestVerify(ctx, be, bits / 8, data, len) != 1) {
		ERR_clear_error();
		r = -EBADMSG;
	}
out:
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return r;
}
