/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HRK and HSK: SM2 keys in certificates of 832 bytes. The model's keys come
 * from the seeds below, so they are public and protect nothing.
 */
#include <errno.h>
#include <openssl/crypto.h>

#include "psp/cert_layout.h"

/* Offsets in a root certificate ([csv-abi] 6.2). */
#define R_VERSION    0
#define R_KEY_ID     4
#define R_CERTIFYING 20
#define R_USAGE	     36
#define R_PUBKEY     64
#define R_SIGNED     576
#define R_SIG	     576
#define KEY_ID_SIZE  16

#define ROOT PSP_ROOT_SIZE_HYGON

struct model_root {
	enum psp_cert_usage usage;
	char id[KEY_ID_SIZE + 1]; /* also the seed */
};

static const struct model_root hrk = { PSP_USAGE_ARK, "csvvmm model HRK" };
static const struct model_root hsk = { PSP_USAGE_ASK, "csvvmm model HSK" };

int psp_root_hygon_key(const struct psp_suite *s, enum psp_cert_usage which,
		       struct psp_ec_key **ret_k)
{
	const struct model_root *m = which == PSP_USAGE_ARK ? &hrk : &hsk;

	if (m->usage != which)
		return -EINVAL;
	return psp_ec_from_seed(s, m->id, KEY_ID_SIZE, ret_k);
}

static void fill(uint8_t cert[ROOT], const struct psp_ec_key *k,
		 const struct model_root *m)
{
	memset(cert, 0, ROOT);
	psp_put_le32(cert + R_VERSION, 1);
	memcpy(cert + R_KEY_ID, m->id, KEY_ID_SIZE);
	memcpy(cert + R_CERTIFYING, hrk.id, KEY_ID_SIZE);
	psp_put_le32(cert + R_USAGE, m->usage);
	psp_pubkey_fill(k, m->usage, cert + R_PUBKEY);
}

static int make(const struct psp_suite *s, const struct model_root *m,
		const struct psp_ec_key *signer, uint8_t cert[ROOT])
{
	struct psp_ec_key *k;
	int r = psp_root_hygon_key(s, m->usage, &k);

	if (r < 0)
		return r;
	fill(cert, k, m);
	if (signer)
		r = psp_ec_sign(s, signer, PSP_USAGE_ARK, cert, R_SIGNED,
				cert + R_SIG);
	psp_ec_free(k);
	return r;
}

int psp_root_hygon_chain(const struct psp_suite *s, uint8_t *buf, size_t size,
			 size_t *ret_len)
{
	struct psp_ec_key *signer;
	int r;

	if (size < 2 * ROOT)
		return -ENOSPC;
	r = psp_root_hygon_key(s, PSP_USAGE_ARK, &signer);
	if (r < 0)
		return r;
	r = make(s, &hsk, signer, buf);
	if (r == 0)
		r = make(s, &hrk, signer, buf + ROOT);
	psp_ec_free(signer);
	if (r == 0)
		*ret_len = 2 * ROOT;
	return r;
}

static int parse(const struct psp_suite *s, const uint8_t cert[ROOT],
		 enum psp_cert_usage usage, struct psp_ec_pub *pub)
{
	if (psp_le32(cert + R_VERSION) != 1 ||
	    psp_le32(cert + R_USAGE) != (uint32_t)usage)
		return -EINVAL;
	return psp_pubkey_parse(s, cert + R_PUBKEY, pub);
}

/* Signatures are random, so roots are compared by what is signed. */
static int check_pinned(const struct psp_suite *s, const uint8_t root[ROOT],
			const uint8_t *pinned, size_t pinned_len)
{
	uint8_t own[ROOT];
	int r;

	if (!pinned) {
		r = make(s, &hrk, NULL, own);
		if (r < 0)
			return r;
		pinned = own;
	} else if (pinned_len != ROOT) {
		return -EINVAL;
	}
	return memcmp(root, pinned, R_SIGNED) == 0 ? 0 : -EBADMSG;
}

/* One signature of the HSK over a CEK certificate, in either slot. */
static int check_cek(const struct psp_suite *s, const struct psp_ec_pub *pub,
		     const uint8_t cek[PSP_CERT_SIZE])
{
	int r;

	for (unsigned i = 0; i < SIG_SLOTS; i++) {
		const uint8_t *slot = cek + C_SIG(i);

		if (psp_le32(slot + SIG_USAGE) != PSP_USAGE_ASK ||
		    psp_le32(slot + SIG_ALGO) != s->sign_algo)
			continue;
		r = psp_sig_check(s, NULL, pub, cek, C_SIGNED, slot + SIG_DATA);
		if (r != -EBADMSG)
			return r;
	}
	return -EBADMSG;
}

int psp_root_hygon_verify(const struct psp_suite *s, const uint8_t *chain,
			  size_t len, const uint8_t *pinned, size_t pinned_len,
			  const uint8_t cek[PSP_CERT_SIZE])
{
	const uint8_t *sub = chain, *root = chain + ROOT;
	struct psp_ec_pub root_pub, sub_pub;
	int r;

	if (len != 2 * ROOT)
		return -EINVAL;
	r = parse(s, root, PSP_USAGE_ARK, &root_pub);
	if (r == 0)
		r = parse(s, sub, PSP_USAGE_ASK, &sub_pub);
	if (r < 0)
		return r;
	if (memcmp(sub + R_CERTIFYING, root + R_KEY_ID, KEY_ID_SIZE) != 0)
		return -EBADMSG;
	r = check_pinned(s, root, pinned, pinned_len);
	if (r == 0)
		r = psp_sig_check(s, NULL, &root_pub, root, R_SIGNED,
				  root + R_SIG);
	if (r == 0)
		r = psp_sig_check(s, NULL, &root_pub, sub, R_SIGNED, sub + R_SIG);
	if (r == 0)
		r = check_cek(s, &sub_pub, cek);
	return r;
}
