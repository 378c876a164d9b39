/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ARK and ASK in AMD's format: RSA, PSS, numbers little-endian. The model's
 * keys are the primes below: public, so they protect nothing. They are fixed
 * because making RSA keys takes too long for a start, and 2048 bits because
 * that is what the first generation (API 0.24) has.
 */
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdlib.h>

#include "psp/cert_layout.h"

/* Offsets in a root certificate; modulus and signature follow the exponent,
 * each of the size that the header says. */
#define R_VERSION    0
#define R_KEY_ID     4
#define R_CERTIFYING 20
#define R_USAGE	     36
#define R_EXP_BITS   56
#define R_MOD_BITS   60
#define R_EXP	     64
#define KEY_ID_SIZE  16

#define MODEL_BITS 2048
#define MODEL_SIZE (64 + 3 * MODEL_BITS / 8)

struct model_root {
	enum psp_cert_usage usage;
	char id[KEY_ID_SIZE + 1];
	const char *p, *q; /* primes, hexadecimal */
};

static const struct model_root ark = {
	.usage = PSP_USAGE_ARK,
	.id = "csvvmm model ARK",
	.p = "eb482cf8cbe9df0b9693ab2486d120bfa591ba623bcd4baceea2777271cece2a"
	     "69cc61f187c735ebea91e230c10bf2ad236f339b4094f58ac3ccba0b6cf3fe0e"
	     "87973c2b0d0573c3febf99a7cf961214737393191bd68e4ab35bd7be0c235eb8"
	     "d50ecd5b11eff62e9d57c93584a5b23fedcd5d57bd4e8b250df53b2c738ae07d",
	.q = "e20229f51b3cad08ef2b34a03f66109579a054df6923abf0b77c4936d2bd8962"
	     "521ba4d141820e813257db6c2315204b77f8cbef14195c867caef77454688b91"
	     "fe10c6ec5e28ae032d657532f29797e38cb37033300d7ab3deb569be13f70e26"
	     "dbfd4f2b333d79d0e27720028b1d096c8d13a847ab2826c9f639c80ae488e54b",
};

static const struct model_root ask = {
	.usage = PSP_USAGE_ASK,
	.id = "csvvmm model ASK",
	.p = "ef158d507914de7e12e8d04d1c2ea7cdc4dbe740d37c2e2274c7998604f2c2ad"
	     "e197ae49420fcdab656271ce13f6cd14f9e4f7143cbbc906d017627258e0f92d"
	     "9e2a8974b42df2587a87e518148b0f9893c596965472ac7d200a6de234226c9d"
	     "c642feabc5ff8fab2e9387876b5e1ee76d0cdb70b03026b4b7a434249d8015f9",
	.q = "dc5ebd10236302a83f8a45a335431805062325409449ef968096f58cfa4186a2"
	     "084838a458194510ee7088d16d1644b08e0a2f31f61cbcfd2f0a68ec2cf5157c"
	     "b5dd44c5343f012c9536bb0c02a41cd566a7f54f351e90e301d1c566f79d5035"
	     "7663266d82f1211bf91d58959dc8576b2d1df72c375db6662b592f43730a2f2d",
};

/* An AMD root certificate taken apart; pointers into it. */
struct root {
	const uint8_t *cert, *exponent, *modulus, *sig;
	unsigned bits;
	size_t size;
};

static const struct model_root *find(enum psp_cert_usage which)
{
	if (which == PSP_USAGE_ARK)
		return &ark;
	return which == PSP_USAGE_ASK ? &ask : NULL;
}

/* n, e and d from two primes: d = 1 / e modulo (p - 1)(q - 1). */
static OSSL_PARAM *key_params(const struct model_root *m)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p = NULL, *q = NULL, *n = BN_new(), *e = BN_new();
	BIGNUM *d = BN_new(), *phi = BN_new();
	OSSL_PARAM *params = NULL;
	bool good = bld && ctx && n && e && d && phi && BN_hex2bn(&p, m->p) &&
		    BN_hex2bn(&q, m->q) && BN_mul(n, p, q, ctx) &&
		    BN_sub_word(p, 1) && BN_sub_word(q, 1) &&
		    BN_mul(phi, p, q, ctx) && BN_set_word(e, 65537) &&
		    BN_mod_inverse(d, e, phi, ctx) &&
		    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) &&
		    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) &&
		    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_D, d);

	if (good)
		params = OSSL_PARAM_BLD_to_param(bld);
	BN_free(p);
	BN_free(q);
	BN_free(n);
	BN_free(e);
	BN_free(d);
	BN_free(phi);
	BN_CTX_free(ctx);
	OSSL_PARAM_BLD_free(bld);
	return params;
}

int psp_root_amd_key(const struct psp_suite *s, enum psp_cert_usage which,
		     struct psp_ec_key **ret_k)
{
	const struct model_root *m = find(which);
	struct psp_ec_key *k;
	EVP_PKEY_CTX *ctx;
	OSSL_PARAM *params;
	int r = 0;

	if (!m)
		return -EINVAL;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->suite = s;
	k->rsa = true;
	params = key_params(m);
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &k->pkey, EVP_PKEY_KEYPAIR, params) != 1)
		r = psp_lib_error();
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	if (r < 0)
		psp_ec_free(k);
	else
		*ret_k = k;
	return r;
}

/* Everything but the signature. */
static int fill(const struct psp_suite *s, const struct model_root *m,
		uint8_t cert[MODEL_SIZE])
{
	struct psp_ec_key *k;
	BIGNUM *n = NULL;
	int r = psp_root_amd_key(s, m->usage, &k);

	if (r < 0)
		return r;
	memset(cert, 0, MODEL_SIZE);
	psp_put_le32(cert + R_VERSION, 1);
	memcpy(cert + R_KEY_ID, m->id, KEY_ID_SIZE);
	memcpy(cert + R_CERTIFYING, ark.id, KEY_ID_SIZE);
	psp_put_le32(cert + R_USAGE, m->usage);
	psp_put_le32(cert + R_EXP_BITS, MODEL_BITS);
	psp_put_le32(cert + R_MOD_BITS, MODEL_BITS);
	psp_put_le32(cert + R_EXP, 65537);
	if (EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
	    BN_bn2lebinpad(n, cert + R_EXP + MODEL_BITS / 8, MODEL_BITS / 8) < 0)
		r = psp_lib_error();
	BN_free(n);
	psp_ec_free(k);
	return r;
}

static int make(const struct psp_suite *s, const struct model_root *m,
		const struct psp_ec_key *signer, uint8_t cert[MODEL_SIZE])
{
	size_t body = MODEL_SIZE - MODEL_BITS / 8;
	int r = fill(s, m, cert);

	return r < 0 ? r : psp_rsa_sign(signer, cert, body, cert + body);
}

int psp_root_amd_chain(const struct psp_suite *s, uint8_t *buf, size_t size,
		       size_t *ret_len)
{
	struct psp_ec_key *signer;
	int r;

	if (size < (size_t)2 * MODEL_SIZE)
		return -ENOSPC;
	r = psp_root_amd_key(s, PSP_USAGE_ARK, &signer);
	if (r < 0)
		return r;
	r = make(s, &ask, signer, buf);
	if (r == 0)
		r = make(s, &ark, signer, buf + MODEL_SIZE);
	psp_ec_free(signer);
	if (r == 0)
		*ret_len = (size_t)2 * MODEL_SIZE;
	return r;
}

/* All keys of one chain have the same size, so that of the signature is the
 * certificate's own. */
static int parse(const uint8_t *cert, size_t len, enum psp_cert_usage usage,
		 struct root *ret_root)
{
	struct root r = { .cert = cert };

	if (len < R_EXP || psp_le32(cert + R_VERSION) != 1 ||
	    psp_le32(cert + R_USAGE) != (uint32_t)usage)
		return -EINVAL;
	r.bits = psp_le32(cert + R_MOD_BITS);
	if ((r.bits != 2048 && r.bits != 4096) ||
	    psp_le32(cert + R_EXP_BITS) != r.bits)
		return -EINVAL;
	r.size = R_EXP + 3 * (size_t)(r.bits / 8);
	if (len < r.size)
		return -EINVAL;
	r.exponent = cert + R_EXP;
	r.modulus = r.exponent + r.bits / 8;
	r.sig = r.modulus + r.bits / 8;
	*ret_root = r;
	return 0;
}

/* Signatures are random, so roots are compared by what is signed. */
static int check_pinned(const struct psp_suite *s, const struct root *root,
			const uint8_t *pinned, size_t pinned_len)
{
	uint8_t own[MODEL_SIZE];
	int r;

	if (!pinned) {
		r = fill(s, &ark, own);
		if (r < 0)
			return r;
		pinned = own;
		pinned_len = sizeof(own);
	}
	if (pinned_len != root->size)
		return -EBADMSG;
	return memcmp(root->cert, pinned, root->size - root->bits / 8) == 0
		       ? 0
		       : -EBADMSG;
}

static int check_signed(const struct root *by, const struct root *what)
{
	return psp_rsa_check(by->modulus, by->exponent, by->bits, what->cert,
			     what->size - what->bits / 8, what->sig);
}

static int check_cek(const struct root *by, const uint8_t cek[PSP_CERT_SIZE])
{
	uint32_t algo = by->bits > 2048 ? 0x101 : 1;
	int r;

	for (unsigned i = 0; i < SIG_SLOTS; i++) {
		const uint8_t *slot = cek + C_SIG(i);

		if (psp_le32(slot + SIG_USAGE) != PSP_USAGE_ASK ||
		    psp_le32(slot + SIG_ALGO) != algo)
			continue;
		r = psp_rsa_check(by->modulus, by->exponent, by->bits, cek,
				  C_SIGNED, slot + SIG_DATA);
		if (r != -EBADMSG)
			return r;
	}
	return -EBADMSG;
}

int psp_root_amd_verify(const struct psp_suite *s, const uint8_t *chain,
			size_t len, const uint8_t *pinned, size_t pinned_len,
			const uint8_t cek[PSP_CERT_SIZE])
{
	struct root sub, root;
	int r = parse(chain, len, PSP_USAGE_ASK, &sub);

	if (r == 0)
		r = parse(chain + sub.size, len - sub.size, PSP_USAGE_ARK, &root);
	if (r < 0)
		return r;
	if (sub.bits != root.bits || sub.size + root.size != len)
		return -EINVAL;
	if (memcmp(sub.cert + R_CERTIFYING, root.cert + R_KEY_ID, KEY_ID_SIZE) !=
	    0)
		return -EBADMSG;
	r = check_pinned(s, &root, pinned, pinned_len);
	if (r == 0)
		r = check_signed(&root, &root);
	if (r == 0)
		r = check_signed(&root, &sub);
	if (r == 0)
		r = check_cek(&sub, cek);
	return r;
}
