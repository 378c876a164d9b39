/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_PSP_CERT_H
#define CSVVMM_PSP_CERT_H

#include "psp/crypto.h"

enum psp_cert_usage {
	PSP_USAGE_ARK = 0,
	PSP_USAGE_ASK = 0x13,
	PSP_USAGE_INVALID = 0x1000,
	PSP_USAGE_OCA = 0x1001,
	PSP_USAGE_PEK = 0x1002,
	PSP_USAGE_PDH = 0x1003,
	PSP_USAGE_CEK = 0x1004,
};

/* Root certificates (HRK, HSK / ARK, ASK); the model's own roots. */
#define PSP_ROOT_SIZE_HYGON 832
#define PSP_ROOT_CHAIN_MAX  3200 /* two AMD roots of RSA-4096 */

/*
 * Make an unsigned certificate of @key's public half. SM2 certificates carry a
 * user id, which follows from the usage ("HYGON-SSD-PEK", as the vendor's own)
 * and is signed with; verification takes the id from the signer's certificate.
 */
int psp_cert_make(const struct psp_suite *s, const struct psp_ec_key *key,
		  enum psp_cert_usage usage, uint8_t api_major,
		  uint8_t api_minor, uint8_t cert[PSP_CERT_SIZE]);
/* Put @signer's signature into the slot that already is by @signer_usage, else
 * the first free one. Return: -ENOSPC when both are taken by others. */
int psp_cert_sign(const struct psp_suite *s, uint8_t cert[PSP_CERT_SIZE],
		  const struct psp_ec_key *signer,
		  enum psp_cert_usage signer_usage);
/* Is one of @cert's signatures by @signer_usage made with @signer's key?
 * Return: 0; -EBADMSG wrong; -ENOENT no such signature; -EINVAL malformed */
int psp_cert_verify(const struct psp_suite *s, const uint8_t cert[PSP_CERT_SIZE],
		    const uint8_t signer[PSP_CERT_SIZE],
		    enum psp_cert_usage signer_usage);
enum psp_cert_usage psp_cert_usage(const uint8_t cert[PSP_CERT_SIZE]);

/*
 * A platform's certificates against each other: PDH by PEK, PEK by OCA and by
 * CEK, OCA by itself; each of the right usage. @chain: PEK, OCA, CEK, as
 * PDH_CERT_EXPORT gives them. The CEK is psp_root_verify()'s business.
 */
#define PSP_CHAIN_SIZE (3 * PSP_CERT_SIZE)
int psp_chain_verify(const struct psp_suite *s, const uint8_t pdh[PSP_CERT_SIZE],
		     const uint8_t chain[PSP_CHAIN_SIZE]);

/* Is the key in @cert well-formed and a point of the profile's curve, and the
 * usage @usage? Return: 0; -EINVAL */
int psp_cert_check(const struct psp_suite *s, const uint8_t cert[PSP_CERT_SIZE],
		   enum psp_cert_usage usage);

/* Signature over arbitrary bytes (attestation report): r 72, s 72, LE.
 * @usage: whose key @k is (SM2 user id). The algorithm id to report with it is
 * psp_sig_algo(). */
#define PSP_SIG_SIZE 144
int psp_ec_sign(const struct psp_suite *s, const struct psp_ec_key *k,
		enum psp_cert_usage usage, const void *data, size_t len,
		uint8_t sig[PSP_SIG_SIZE]);
int psp_cert_check_sig(const struct psp_suite *s,
		       const uint8_t cert[PSP_CERT_SIZE], const void *data,
		       size_t len, const uint8_t sig[PSP_SIG_SIZE]);
uint32_t psp_sig_algo(const struct psp_suite *s);

/**
 * psp_root_key() / psp_root_chain() - The model's root of trust
 *
 * HRK and HSK (or ARK and ASK): fixed keys, published in this source; they
 * protect nothing and are named so in each certificate. The chain is HSK
 * then HRK (ASK then ARK), in the profile's root format: SM2 in 832 bytes, or
 * AMD's RSA format (2048 bits here; 4096 bits are also verified). CEK
 * certificates are signed by the HSK (ASK), with psp_cert_sign().
 */
int psp_root_key(const struct psp_suite *s, enum psp_cert_usage which,
		 struct psp_ec_key **ret_k);
int psp_root_chain(const struct psp_suite *s, uint8_t *buf, size_t size,
		   size_t *ret_len);
/* Verify a root chain against itself and @cek against its HSK (ASK). @pinned:
 * the root certificate (HRK, ARK) that the caller trusts, or NULL for the
 * model's own. Return: 0; -EBADMSG a signature is wrong or the root another
 * than the pinned; -EINVAL malformed */
int psp_root_verify(const struct psp_suite *s, const uint8_t *chain, size_t len,
		    const uint8_t *pinned, size_t pinned_len,
		    const uint8_t cek[PSP_CERT_SIZE]);

#endif
