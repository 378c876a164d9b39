/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_PSP_CRYPTO_H
#define CSVVMM_PSP_CRYPTO_H

/*
 * The firmware's cryptography, one suite per profile, over OpenSSL 3. Nothing
 * here knows states or commands. Everything returns 0 or -errno (-EIO: the
 * library failed; -EBADMSG: a MAC or signature is wrong; -EINVAL: malformed).
 * MACs are compared in constant time.
 */
#include <stddef.h>
#include <stdint.h>

#include "psp/psp.h"

#define PSP_DIGEST_SIZE	 32 /* SHA-256 and SM3 alike */
#define PSP_NONCE_SIZE	 16
#define PSP_IV_SIZE	 16
#define PSP_MAC_SIZE	 32
#define PSP_HDR_SIZE	 52  /* packet header: flags 4, IV 16, MAC 32 */
#define PSP_SESSION_SIZE 128 /* [SEV-API] session blob */
#define PSP_CERT_SIZE	 2084

/* const vtable: hash, mac, cipher names, curve, algo ids of a profile */
struct psp_suite;
const struct psp_suite *psp_suite(enum psp_profile profile);

/* Running hash (launch digest). */
struct psp_hash;
int psp_hash_new(const struct psp_suite *s, struct psp_hash **ret_h);
int psp_hash_update(struct psp_hash *h, const void *data, size_t len);
/* Digest so far; the hash can go on. */
int psp_hash_peek(const struct psp_hash *h, uint8_t out[PSP_DIGEST_SIZE]);
void psp_hash_free(struct psp_hash *h);

struct psp_part {
	const void *data;
	size_t len;
};

/* One-shot digest / keyed MAC over the parts in order. */
int psp_digest(const struct psp_suite *s, const struct psp_part *part, size_t n,
	       uint8_t out[PSP_DIGEST_SIZE]);
int psp_mac(const struct psp_suite *s, const void *key, size_t key_len,
	    const struct psp_part *part, size_t n, uint8_t out[PSP_MAC_SIZE]);

/* CTR mode, in or out of place. The IV is the first counter block, counting
 * up as one 128-bit big-endian number. */
int psp_ctr(const struct psp_suite *s, const uint8_t key[PSP_KEY_SIZE],
	    const uint8_t iv[PSP_IV_SIZE], const void *in, void *out, size_t len);

/* SP800-108 counter mode KDF ([sev-es-emulation] G.6). */
int psp_kdf(const struct psp_suite *s, const void *key, size_t key_len,
	    const char *label, const void *context, size_t context_len,
	    void *out, size_t out_len);

/* Transport keys of one session. Plain data: the owner wipes it. */
struct psp_transport {
	uint8_t tek[PSP_KEY_SIZE];
	uint8_t tik[PSP_KEY_SIZE];
};

/* A key pair: EC for all of the platform's keys, RSA for the AMD roots. */
struct psp_ec_key;

int psp_ec_generate(const struct psp_suite *s, const struct psp_ops *ops,
		    void *ctx, struct psp_ec_key **ret_k);
/* Deterministic from a seed, so that a chip's CEK and the model's roots are
 * always the same. */
int psp_ec_from_seed(const struct psp_suite *s, const void *seed, size_t len,
		     struct psp_ec_key **ret_k);
void psp_ec_free(struct psp_ec_key *k); /* NULL is fine; wipes */

/* The private scalar, big-endian, zero-padded on the left (for the non-volatile
 * store). Import returns -EINVAL when it is 0 or not below the group order. */
#define PSP_EC_SECRET_SIZE 48
int psp_ec_export(const struct psp_ec_key *k, uint8_t secret[PSP_EC_SECRET_SIZE]);
int psp_ec_import(const struct psp_suite *s,
		  const uint8_t secret[PSP_EC_SECRET_SIZE],
		  struct psp_ec_key **ret_k);

/**
 * psp_session_make() - Wrap transport keys for the holder of a PDH
 * @ours:	Own PDH key pair
 * @theirs:	Their PDH certificate (2084 bytes, already verified)
 * @blob:	Filled: nonce, wrapped keys, IV, wrap MAC, policy MAC
 */
int psp_session_make(const struct psp_suite *s, const struct psp_ops *ops,
		     void *ctx, const struct psp_ec_key *ours,
		     const uint8_t theirs[PSP_CERT_SIZE], uint32_t policy,
		     const struct psp_transport *keys,
		     uint8_t blob[PSP_SESSION_SIZE]);
/* Return: 0; -EBADMSG when either MAC is wrong. */
int psp_session_open(const struct psp_suite *s, const struct psp_ec_key *ours,
		     const uint8_t theirs[PSP_CERT_SIZE], uint32_t policy,
		     const uint8_t blob[PSP_SESSION_SIZE],
		     struct psp_transport *ret_keys);

/*
 * Packets ([sev-es-emulation] G.7). A channel is a pair of transport keys with
 * prepared cipher and MAC state: make one per guest when the keys are known,
 * and keep it, since making it costs more than a page.
 */
enum psp_packet {
	PSP_PACKET_SECRET = 1,
	PSP_PACKET_DATA = 2,
	PSP_PACKET_VMSA = 3
};

struct psp_channel;
int psp_channel_new(const struct psp_suite *s, const struct psp_transport *keys,
		    struct psp_channel **ret_ch);
void psp_channel_free(struct psp_channel *ch); /* NULL is fine; wipes */

/**
 * psp_packet_seal() - Encrypt @plain into @out and make its header
 * @plain, @out: May be the same buffer
 * @len:	Becomes both guest_len and trans_len (nothing is compressed)
 * @extra:	Appended to the MAC input (the measurement, for secrets), or NULL
 */
int psp_packet_seal(struct psp_channel *ch, const struct psp_ops *ops,
		    void *ctx, enum psp_packet kind, const void *plain,
		    void *out, uint32_t len, const struct psp_part *extra,
		    uint8_t hdr[PSP_HDR_SIZE]);
/**
 * psp_packet_open() - Check the MAC, then decrypt
 * @data, @out: May be the same buffer; @out is untouched on failure
 * @len, @guest_len: trans_len and guest_len of the command
 *
 * Return: 0; -EBADMSG wrong MAC; -EOPNOTSUPP the MAC is right, but the packet
 * is compressed (a flag is set, or the lengths differ)
 */
int psp_packet_open(struct psp_channel *ch, enum psp_packet kind,
		    const uint8_t hdr[PSP_HDR_SIZE], const void *data,
		    void *out, uint32_t len, uint32_t guest_len,
		    const struct psp_part *extra);

/* LAUNCH_MEASURE's value. */
int psp_measure(const struct psp_suite *s, const uint8_t tik[PSP_KEY_SIZE],
		uint8_t api_major, uint8_t api_minor, uint8_t build,
		uint32_t policy, const uint8_t digest[PSP_DIGEST_SIZE],
		const uint8_t mnonce[PSP_NONCE_SIZE], uint8_t out[PSP_MAC_SIZE]);

/* Certificates ([sev-es-emulation] G.8, [csv-abi] 6.2): psp/cert.h. */

#endif
