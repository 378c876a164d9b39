/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The session blob: transport keys wrapped for the holder of a PDH.
 *
 * On Hygon this layout and plain ECDH over the SM2 curve are unconfirmed. The
 * vendor's user-space tools make a larger launch session, with the master
 * secret encrypted to the PDH by SM2, labels "csv-..." and 32-byte keys; what
 * the firmware makes for SEND_START is not published.
 */
#include <errno.h>
#include <openssl/crypto.h>

#include "psp/cert.h"
#include "psp/cert_layout.h"
#include "psp/suite.h"

#define WRAP_SIZE (2 * PSP_KEY_SIZE)

/* Offsets in the blob. */
#define S_NONCE	     0
#define S_WRAP	     16
#define S_IV	     48
#define S_WRAP_MAC   64
#define S_POLICY_MAC 96

struct wrap_keys {
	uint8_t kek[PSP_KEY_SIZE], kik[PSP_KEY_SIZE];
};

static int derive(const struct psp_suite *s, const struct psp_ec_key *ours,
		  const uint8_t theirs[PSP_CERT_SIZE],
		  const uint8_t nonce[PSP_NONCE_SIZE], struct wrap_keys *k)
{
	uint8_t z[PSP_EC_SECRET_SIZE], master[PSP_KEY_SIZE];
	struct psp_ec_pub pub;
	int r = psp_cert_check(s, theirs, PSP_USAGE_PDH);

	if (r < 0)
		return r;
	if (ours->suite != s)
		return -EINVAL;
	psp_cert_pub(s, theirs, &pub);
	r = psp_ec_shared(ours, &pub, z);
	if (r == 0)
		r = psp_kdf(s, z, s->field_size, "sev-master-secret", nonce,
			    PSP_NONCE_SIZE, master, sizeof(master));
	if (r == 0)
		r = psp_kdf(s, master, sizeof(master), "sev-kek", NULL, 0,
			    k->kek, sizeof(k->kek));
	if (r == 0)
		r = psp_kdf(s, master, sizeof(master), "sev-kik", NULL, 0,
			    k->kik, sizeof(k->kik));
	OPENSSL_cleanse(z, sizeof(z));
	OPENSSL_cleanse(master, sizeof(master));
	return r;
}

static int policy_mac(const struct psp_suite *s, const uint8_t tik[PSP_KEY_SIZE],
		      uint32_t policy, uint8_t out[PSP_MAC_SIZE])
{
	uint8_t le[4];
	const struct psp_part part = { le, sizeof(le) };

	psp_put_le32(le, policy);
	return psp_mac(s, tik, PSP_KEY_SIZE, &part, 1, out);
}

int psp_session_make(const struct psp_suite *s, const struct psp_ops *ops,
		     void *ctx, const struct psp_ec_key *ours,
		     const uint8_t theirs[PSP_CERT_SIZE], uint32_t policy,
		     const struct psp_transport *keys,
		     uint8_t blob[PSP_SESSION_SIZE])
{
	uint8_t b[PSP_SESSION_SIZE], plain[WRAP_SIZE];
	const struct psp_part wrapped = { b + S_WRAP, WRAP_SIZE };
	struct wrap_keys k;
	int r;

	if (ops->random(ctx, b + S_NONCE, PSP_NONCE_SIZE) < 0 ||
	    ops->random(ctx, b + S_IV, PSP_IV_SIZE) < 0)
		return -EIO;
	memcpy(plain, keys->tek, PSP_KEY_SIZE);
	memcpy(plain + PSP_KEY_SIZE, keys->tik, PSP_KEY_SIZE);
	r = derive(s, ours, theirs, b + S_NONCE, &k);
	if (r == 0)
		r = psp_ctr(s, k.kek, b + S_IV, plain, b + S_WRAP, WRAP_SIZE);
	if (r == 0)
		r = psp_mac(s, k.kik, sizeof(k.kik), &wrapped, 1, b + S_WRAP_MAC);
	if (r == 0)
		r = policy_mac(s, keys->tik, policy, b + S_POLICY_MAC);
	if (r == 0)
		memcpy(blob, b, sizeof(b));
	OPENSSL_cleanse(plain, sizeof(plain));
	OPENSSL_cleanse(&k, sizeof(k));
	return r;
}

static int unwrap(const struct psp_suite *s, const struct wrap_keys *k,
		  const uint8_t blob[PSP_SESSION_SIZE], uint32_t policy,
		  struct psp_transport *keys)
{
	const struct psp_part wrapped = { blob + S_WRAP, WRAP_SIZE };
	uint8_t mac[PSP_MAC_SIZE], plain[WRAP_SIZE];
	int r = psp_mac(s, k->kik, sizeof(k->kik), &wrapped, 1, mac);

	if (r < 0)
		return r;
	if (CRYPTO_memcmp(mac, blob + S_WRAP_MAC, sizeof(mac)) != 0)
		return -EBADMSG;
	r = psp_ctr(s, k->kek, blob + S_IV, blob + S_WRAP, plain, WRAP_SIZE);
	if (r == 0)
		r = policy_mac(s, plain + PSP_KEY_SIZE, policy, mac);
	if (r == 0 && CRYPTO_memcmp(mac, blob + S_POLICY_MAC, sizeof(mac)) != 0)
		r = -EBADMSG;
	if (r == 0) {
		memcpy(keys->tek, plain, PSP_KEY_SIZE);
		memcpy(keys->tik, plain + PSP_KEY_SIZE, PSP_KEY_SIZE);
	}
	OPENSSL_cleanse(plain, sizeof(plain));
	return r;
}

int psp_session_open(const struct psp_suite *s, const struct psp_ec_key *ours,
		     const uint8_t theirs[PSP_CERT_SIZE], uint32_t policy,
		     const uint8_t blob[PSP_SESSION_SIZE],
		     struct psp_transport *ret_keys)
{
	struct wrap_keys k;
	int r = derive(s, ours, theirs, blob + S_NONCE, &k);

	if (r == 0)
		r = unwrap(s, &k, blob, policy, ret_keys);
	OPENSSL_cleanse(&k, sizeof(k));
	return r;
}
