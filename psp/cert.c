/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Platform certificates: PDH, PEK, OCA, CEK. */
#include <errno.h>

#include "psp/cert_layout.h"

/* AMD ids of the same algorithms with SHA-384. */
#define AMD_SHA384 0x100

enum psp_cert_usage psp_cert_usage(const uint8_t cert[PSP_CERT_SIZE])
{
	return (enum psp_cert_usage)psp_le32(cert + C_USAGE);
}

const char *psp_usage_uid(const struct psp_suite *s, enum psp_cert_usage usage)
{
	if (!s->has_uid)
		return "";
	switch (usage) {
	case PSP_USAGE_ARK:
		return "HYGON-SSD-HRK";
	case PSP_USAGE_ASK:
		return "HYGON-SSD-HSK";
	case PSP_USAGE_OCA:
		return "HYGON-SSD-OCA";
	case PSP_USAGE_PEK:
		return "HYGON-SSD-PEK";
	case PSP_USAGE_PDH:
		return "HYGON-SSD-PDH";
	case PSP_USAGE_CEK:
		return "HYGON-SSD-CEK";
	case PSP_USAGE_INVALID:
	default:
		return "";
	}
}

void psp_pubkey_fill(const struct psp_ec_key *k, enum psp_cert_usage usage,
		     uint8_t *key)
{
	const char *uid = psp_usage_uid(k->suite, usage);
	size_t len = strlen(uid);

	psp_put_le32(key + P_CURVE, k->suite->curve_id);
	memcpy(key + P_X, k->x, PSP_NUM_SIZE);
	memcpy(key + P_Y, k->y, PSP_NUM_SIZE);
	if (k->suite->has_uid) {
		key[P_UID_LEN] = (uint8_t)len;
		key[P_UID_LEN + 1] = 0;
		memcpy(key + P_UID, uid, len);
	}
}

static void pubkey_point(const struct psp_suite *s, const uint8_t *key,
			 struct psp_ec_pub *pub)
{
	*pub = (struct psp_ec_pub){ .x = key + P_X, .y = key + P_Y };
	if (s->has_uid) {
		pub->uid = key + P_UID;
		pub->uid_len = key[P_UID_LEN] | (size_t)key[P_UID_LEN + 1] << 8;
	}
}

int psp_pubkey_parse(const struct psp_suite *s, const uint8_t *key,
		     struct psp_ec_pub *pub)
{
	pubkey_point(s, key, pub);
	if (psp_le32(key + P_CURVE) != s->curve_id || pub->uid_len > UID_MAX)
		return -EINVAL;
	return psp_ec_pub_check(s, pub);
}

void psp_cert_pub(const struct psp_suite *s, const uint8_t cert[PSP_CERT_SIZE],
		  struct psp_ec_pub *pub)
{
	pubkey_point(s, cert + C_PUBKEY, pub);
}

static bool algo_is(const struct psp_suite *s, uint32_t algo, uint32_t want)
{
	return algo == want ||
	       (s->profile == PSP_AMD && algo == (want | AMD_SHA384));
}

int psp_cert_check(const struct psp_suite *s, const uint8_t cert[PSP_CERT_SIZE],
		   enum psp_cert_usage usage)
{
	uint32_t want = usage == PSP_USAGE_PDH ? s->dh_algo : s->sign_algo;
	struct psp_ec_pub pub;

	if (psp_le32(cert + C_VERSION) != 1 || psp_cert_usage(cert) != usage ||
	    !algo_is(s, psp_le32(cert + C_ALGO), want))
		return -EINVAL;
	return psp_pubkey_parse(s, cert + C_PUBKEY, &pub);
}

int psp_cert_make(const struct psp_suite *s, const struct psp_ec_key *key,
		  enum psp_cert_usage usage, uint8_t api_major,
		  uint8_t api_minor, uint8_t cert[PSP_CERT_SIZE])
{
	if (key->rsa || key->suite != s)
		return -EINVAL;
	memset(cert, 0, PSP_CERT_SIZE);
	psp_put_le32(cert + C_VERSION, 1);
	cert[C_API_MAJOR] = api_major;
	cert[C_API_MINOR] = api_minor;
	psp_put_le32(cert + C_USAGE, usage);
	psp_put_le32(cert + C_ALGO,
		     usage == PSP_USAGE_PDH ? s->dh_algo : s->sign_algo);
	psp_pubkey_fill(key, usage, cert + C_PUBKEY);
	for (unsigned i = 0; i < SIG_SLOTS; i++)
		psp_put_le32(cert + C_SIG(i) + SIG_USAGE, PSP_USAGE_INVALID);
	return 0;
}

static uint8_t *find_slot(uint8_t cert[PSP_CERT_SIZE], uint32_t usage)
{
	for (unsigned i = 0; i < SIG_SLOTS; i++) {
		uint8_t *slot = cert + C_SIG(i);

		if (psp_le32(slot + SIG_USAGE) == usage)
			return slot;
	}
	return NULL;
}

int psp_cert_sign(const struct psp_suite *s, uint8_t cert[PSP_CERT_SIZE],
		  const struct psp_ec_key *signer,
		  enum psp_cert_usage signer_usage)
{
	uint8_t *slot = find_slot(cert, signer_usage);
	uint8_t sig[SIG_SIZE] = { 0 };
	uint32_t algo = s->sign_algo;
	int r;

	if (!slot)
		slot = find_slot(cert, PSP_USAGE_INVALID);
	if (!slot)
		return -ENOSPC;
	if (signer->rsa) {
		algo = 1; /* RSA-SHA256: the model's roots have 2048 bits */
		r = psp_rsa_sign(signer, cert, C_SIGNED, sig);
	} else {
		r = psp_ec_sign(s, signer, signer_usage, cert, C_SIGNED, sig);
	}
	if (r < 0)
		return r;
	psp_put_le32(slot + SIG_USAGE, signer_usage);
	psp_put_le32(slot + SIG_ALGO, algo);
	memcpy(slot + SIG_DATA, sig, sizeof(sig));
	return 0;
}

int psp_cert_verify(const struct psp_suite *s, const uint8_t cert[PSP_CERT_SIZE],
		    const uint8_t signer[PSP_CERT_SIZE],
		    enum psp_cert_usage signer_usage)
{
	struct psp_ec_pub pub;
	int r = psp_cert_check(s, signer, signer_usage), found = -ENOENT;

	if (r < 0)
		return r;
	psp_cert_pub(s, signer, &pub);
	for (unsigned i = 0; i < SIG_SLOTS; i++) {
		const uint8_t *slot = cert + C_SIG(i);
		uint32_t algo = psp_le32(slot + SIG_ALGO);

		if (psp_le32(slot + SIG_USAGE) != (uint32_t)signer_usage)
			continue;
		found = -EBADMSG;
		if (!algo_is(s, algo, s->sign_algo))
			continue;
		r = psp_sig_check(s, algo & AMD_SHA384 ? "SHA384" : NULL, &pub,
				  cert, C_SIGNED, slot + SIG_DATA);
		if (r != -EBADMSG)
			return r;
	}
	return found;
}

int psp_chain_verify(const struct psp_suite *s, const uint8_t pdh[PSP_CERT_SIZE],
		     const uint8_t chain[PSP_CHAIN_SIZE])
{
	const uint8_t *pek = chain, *oca = chain + PSP_CERT_SIZE;
	const uint8_t *cek = chain + 2 * PSP_CERT_SIZE;
	int r = psp_cert_check(s, pdh, PSP_USAGE_PDH);

	if (r == 0)
		r = psp_cert_verify(s, pdh, pek, PSP_USAGE_PEK);
	if (r == 0)
		r = psp_cert_verify(s, pek, oca, PSP_USAGE_OCA);
	if (r == 0)
		r = psp_cert_verify(s, pek, cek, PSP_USAGE_CEK);
	if (r == 0)
		r = psp_cert_verify(s, oca, oca, PSP_USAGE_OCA);
	return r;
}

int psp_ec_sign(const struct psp_suite *s, const struct psp_ec_key *k,
		enum psp_cert_usage usage, const void *data, size_t len,
		uint8_t sig[PSP_SIG_SIZE])
{
	const char *uid = psp_usage_uid(s, usage);

	if (k->rsa || k->suite != s)
		return -EINVAL;
	return psp_sig_make(k, uid, strlen(uid), data, len, sig);
}

int psp_cert_check_sig(const struct psp_suite *s,
		       const uint8_t cert[PSP_CERT_SIZE], const void *data,
		       size_t len, const uint8_t sig[PSP_SIG_SIZE])
{
	struct psp_ec_pub pub;
	int r = psp_cert_check(s, cert, psp_cert_usage(cert));

	if (r < 0)
		return r;
	psp_cert_pub(s, cert, &pub);
	return psp_sig_check(s, NULL, &pub, data, len, sig);
}
