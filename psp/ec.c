/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Key pairs on the profile's curve, and the shared secret of two. */
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <stdlib.h>

#include "psp/suite.h"

#define SEED_LABEL "csvvmm-model-key"
#define WIDE	   64 /* bytes reduced to a scalar: the bias is negligible */
#define POINT_MAX  (1 + 2 * PSP_EC_SECRET_SIZE)

static EC_GROUP *group_new(const struct psp_suite *s)
{
	int nid = s->profile == PSP_HYGON ? NID_sm2 : NID_secp384r1;

	return EC_GROUP_new_by_curve_name(nid);
}

/* A coordinate as certificates have it; NULL when it is not below the field's
 * prime (another number for the same point would be another certificate). */
static BIGNUM *coordinate(const EC_GROUP *group, const uint8_t num[PSP_NUM_SIZE])
{
	BIGNUM *v = BN_lebin2bn(num, PSP_NUM_SIZE, NULL);

	if (v && BN_cmp(v, EC_GROUP_get0_field(group)) >= 0) {
		BN_free(v);
		return NULL;
	}
	return v;
}

/* Return: NULL when it is not a point of the curve. */
static EC_POINT *point_load(const EC_GROUP *group, const struct psp_ec_pub *pub)
{
	EC_POINT *p = EC_POINT_new(group);
	BIGNUM *x = coordinate(group, pub->x), *y = coordinate(group, pub->y);

	if (!p || !x || !y ||
	    EC_POINT_set_affine_coordinates(group, p, x, y, NULL) != 1) {
		psp_lib_error();
		EC_POINT_free(p);
		p = NULL;
	}
	BN_free(x);
	BN_free(y);
	return p;
}

/* @d may be NULL: public half only. */
static EVP_PKEY *pkey_build(const struct psp_suite *s, const EC_GROUP *group,
			    const EC_POINT *point, const BIGNUM *d)
{
	uint8_t raw[POINT_MAX];
	size_t len = EC_POINT_point2oct(group, point,
					POINT_CONVERSION_UNCOMPRESSED, raw,
					sizeof(raw), NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, s->key_type, NULL);
	EVP_PKEY *pkey = NULL;
	bool good;

	good = len > 0 && bld && ctx &&
	       OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
					       s->group, 0) == 1 &&
	       OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY,
						raw, len) == 1 &&
	       (!d ||
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1);
	if (good)
		params = OSSL_PARAM_BLD_to_param(bld);
	if (params && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(
			ctx, &pkey, d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
			params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

int psp_ec_pub_load(const struct psp_suite *s, const struct psp_ec_pub *pub,
		    EVP_PKEY **ret_pkey)
{
	EC_GROUP *group = group_new(s);
	EC_POINT *point = NULL;
	int r = 0;

	if (!group)
		return psp_lib_error();
	point = point_load(group, pub);
	if (!point) {
		r = -EINVAL;
		goto out;
	}
	*ret_pkey = pkey_build(s, group, point, NULL);
	if (!*ret_pkey)
		r = psp_lib_error();
out:
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return r;
}

int psp_ec_pub_check(const struct psp_suite *s, const struct psp_ec_pub *pub)
{
	EC_GROUP *group = group_new(s);
	EC_POINT *point = group ? point_load(group, pub) : NULL;
	int r = group ? 0 : psp_lib_error();

	if (r == 0 && !point)
		r = -EINVAL;
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return r;
}

/* Fill @k from its scalar. */
static int key_fill(struct psp_ec_key *k, const EC_GROUP *group, BIGNUM *d)
{
	EC_POINT *point = EC_POINT_new(group);
	BIGNUM *x = BN_new(), *y = BN_new();
	int r = 0;

	BN_set_flags(d, BN_FLG_CONSTTIME);
	if (!point || !x || !y ||
	    EC_POINT_mul(group, point, d, NULL, NULL, NULL) != 1 ||
	    EC_POINT_get_affine_coordinates(group, point, x, y, NULL) != 1 ||
	    BN_bn2lebinpad(x, k->x, sizeof(k->x)) < 0 ||
	    BN_bn2lebinpad(y, k->y, sizeof(k->y)) < 0 ||
	    BN_bn2binpad(d, k->d, sizeof(k->d)) < 0)
		r = psp_lib_error();
	if (r == 0) {
		k->pkey = pkey_build(k->suite, group, point, d);
		if (!k->pkey)
			r = psp_lib_error();
	}
	BN_free(x);
	BN_free(y);
	EC_POINT_free(point);
	return r;
}

/*
 * @wide: the scalar is @len bytes modulo (order - 1), plus 1; otherwise the
 * bytes are the scalar, and -EINVAL unless it is in 1 .. order - 1.
 */
static int key_from_bytes(const struct psp_suite *s, const uint8_t *bytes,
			  size_t len, bool wide, struct psp_ec_key **ret_k)
{
	struct psp_ec_key *k = calloc(1, sizeof(*k));
	EC_GROUP *group = group_new(s);
	BIGNUM *d = BN_bin2bn(bytes, (int)len, NULL), *m = BN_new();
	BN_CTX *bn = BN_CTX_secure_new();
	int r = 0;

	if (!k || !group || !d || !m || !bn) {
		r = k ? psp_lib_error() : -ENOMEM;
		goto out;
	}
	k->suite = s;
	if (wide) {
		if (!BN_copy(m, EC_GROUP_get0_order(group)) ||
		    !BN_sub_word(m, 1) || !BN_nnmod(d, d, m, bn) ||
		    !BN_add_word(d, 1))
			r = psp_lib_error();
	} else if (BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(group)) >= 0) {
		r = -EINVAL;
	}
	if (r == 0)
		r = key_fill(k, group, d);
out:
	BN_CTX_free(bn);
	BN_clear_free(d);
	BN_free(m);
	EC_GROUP_free(group);
	if (r < 0)
		psp_ec_free(k);
	else
		*ret_k = k;
	return r;
}

int psp_ec_generate(const struct psp_suite *s, const struct psp_ops *ops,
		    void *ctx, struct psp_ec_key **ret_k)
{
	uint8_t wide[WIDE];
	int r;

	if (ops->random(ctx, wide, sizeof(wide)) < 0)
		return -EIO;
	r = key_from_bytes(s, wide, sizeof(wide), true, ret_k);
	OPENSSL_cleanse(wide, sizeof(wide));
	return r;
}

int psp_ec_from_seed(const struct psp_suite *s, const void *seed, size_t len,
		     struct psp_ec_key **ret_k)
{
	uint8_t wide[WIDE];
	int r = psp_kdf(s, seed, len, SEED_LABEL, NULL, 0, wide, sizeof(wide));

	if (r == 0)
		r = key_from_bytes(s, wide, sizeof(wide), true, ret_k);
	OPENSSL_cleanse(wide, sizeof(wide));
	return r;
}

int psp_ec_export(const struct psp_ec_key *k, uint8_t secret[PSP_EC_SECRET_SIZE])
{
	if (k->rsa)
		return -EINVAL;
	memcpy(secret, k->d, sizeof(k->d));
	return 0;
}

int psp_ec_import(const struct psp_suite *s,
		  const uint8_t secret[PSP_EC_SECRET_SIZE],
		  struct psp_ec_key **ret_k)
{
	return key_from_bytes(s, secret, PSP_EC_SECRET_SIZE, false, ret_k);
}

void psp_ec_free(struct psp_ec_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	OPENSSL_cleanse(k, sizeof(*k));
	free(k);
}

/* By point arithmetic: OpenSSL 3.0 has no key exchange for SM2 keys. Both
 * curves have cofactor 1, so a point of the curve is in the right group. */
int psp_ec_shared(const struct psp_ec_key *ours, const struct psp_ec_pub *pub,
		  uint8_t z[PSP_EC_SECRET_SIZE])
{
	const struct psp_suite *s = ours->suite;
	EC_GROUP *group;
	EC_POINT *point = NULL;
	BIGNUM *d = NULL, *x = NULL;
	int r = 0;

	if (ours->rsa)
		return -EINVAL;
	group = group_new(s);
	if (!group)
		return psp_lib_error();
	point = point_load(group, pub);
	if (!point) {
		r = -EINVAL;
		goto out;
	}
	d = BN_bin2bn(ours->d, sizeof(ours->d), NULL);
	x = BN_new();
	if (d)
		BN_set_flags(d, BN_FLG_CONSTTIME);
	if (!d || !x || EC_POINT_mul(group, point, NULL, point, d, NULL) != 1 ||
	    EC_POINT_get_affine_coordinates(group, point, x, NULL, NULL) != 1 ||
	    BN_bn2binpad(x, z, (int)s->field_size) < 0)
		r = psp_lib_error();
out:
	BN_clear_free(d);
	BN_clear_free(x);
	EC_POINT_clear_free(point);
	EC_GROUP_free(group);
	return r;
}
