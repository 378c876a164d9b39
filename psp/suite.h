/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_PSP_SUITE_H
#define CSVVMM_PSP_SUITE_H

/* What the files of the crypto half share; not for the commands. */
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "psp/crypto.h"

/* Certificate and signature fields: a number in 72 bytes, little-endian. */
#define PSP_NUM_SIZE 72

/**
 * struct psp_suite - The algorithms of one profile
 * @digest, @cipher, @group: OpenSSL's names
 * @key_type:	OpenSSL's type of an EC key; SM2 signatures need their own
 * @field_size:	Bytes of a coordinate, and of the ECDH secret
 * @curve_id, @sign_algo, @dh_algo: in certificates
 * @has_uid:	Signatures bind a user id (SM2)
 */
struct psp_suite {
	enum psp_profile profile;
	const char *digest, *cipher, *group, *key_type;
	size_t field_size;
	uint32_t curve_id, sign_algo, dh_algo;
	bool has_uid;
};

/**
 * struct psp_ec_key - A key pair
 * @d:		Private scalar, big-endian, left-padded (zero in an RSA key)
 * @x, @y:	Public point as in certificates
 */
struct psp_ec_key {
	const struct psp_suite *suite;
	EVP_PKEY *pkey;
	bool rsa;
	uint8_t d[PSP_EC_SECRET_SIZE];
	uint8_t x[PSP_NUM_SIZE], y[PSP_NUM_SIZE];
};

/* Public half as found in a certificate; @uid may be NULL with @uid_len 0. */
struct psp_ec_pub {
	const uint8_t *x, *y; /* PSP_NUM_SIZE each */
	const uint8_t *uid;
	size_t uid_len;
};

/* Empties OpenSSL's error queue: the caller hears -EIO and nothing more. */
int psp_lib_error(void);

/* A key object from a point; -EINVAL when it is not on the curve. */
int psp_ec_pub_load(const struct psp_suite *s, const struct psp_ec_pub *pub,
		    EVP_PKEY **ret_pkey);
int psp_ec_pub_check(const struct psp_suite *s, const struct psp_ec_pub *pub);
/* x-coordinate of the shared point, big-endian, @s->field_size bytes. */
int psp_ec_shared(const struct psp_ec_key *ours, const struct psp_ec_pub *pub,
		  uint8_t z[PSP_EC_SECRET_SIZE]);

/* Signatures of r and s, 72 bytes each, little-endian. @digest: NULL for the
 * suite's own. Verification: 0, -EBADMSG, -EINVAL (bad key), -EIO. */
int psp_sig_make(const struct psp_ec_key *k, const void *uid, size_t uid_len,
		 const void *data, size_t len, uint8_t sig[2 * PSP_NUM_SIZE]);
int psp_sig_check(const struct psp_suite *s, const char *digest,
		  const struct psp_ec_pub *pub, const void *data, size_t len,
		  const uint8_t sig[2 * PSP_NUM_SIZE]);

/* RSA-PSS as in the AMD roots: @bits / 8 bytes, little-endian. SHA-256 with
 * 2048 bits, SHA-384 with 4096. */
int psp_rsa_sign(const struct psp_ec_key *k, const void *data, size_t len,
		 uint8_t *sig);
int psp_rsa_check(const uint8_t *modulus, const uint8_t *exponent, unsigned bits,
		  const void *data, size_t len, const uint8_t *sig);

static inline uint32_t psp_le32(const void *p)
{
	const uint8_t *b = p;

	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
	       (uint32_t)b[3] << 24;
}

static inline void psp_put_le32(void *p, uint32_t v)
{
	uint8_t *b = p;

	b[0] = v & 0xff;
	b[1] = v >> 8 & 0xff;
	b[2] = v >> 16 & 0xff;
	b[3] = v >> 24;
}

#endif
