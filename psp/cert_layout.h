/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_PSP_CERT_LAYOUT_H
#define CSVVMM_PSP_CERT_LAYOUT_H

#include "psp/cert.h"
#include "psp/suite.h"

/* Offsets in a platform certificate ([sev-es-emulation] G.8, [csv-abi] 6.2). */
#define C_VERSION   0
#define C_API_MAJOR 4
#define C_API_MINOR 5
#define C_USAGE	    8
#define C_ALGO	    12
#define C_PUBKEY    16	 /* curve, x, y; Hygon: user id length and user id */
#define C_SIGNED    1044 /* bytes that signatures cover */
#define C_SIG(slot) (C_SIGNED + (slot)*520)
#define SIG_USAGE   0
#define SIG_ALGO    4
#define SIG_DATA    8
#define SIG_SIZE    512
#define SIG_SLOTS   2

/* Offsets in a public key. */
#define P_CURVE	  0
#define P_X	  4
#define P_Y	  76
#define P_UID_LEN 148
#define P_UID	  150
#define UID_MAX	  254

/* The key in a checked certificate; points into it. */
void psp_cert_pub(const struct psp_suite *s, const uint8_t cert[PSP_CERT_SIZE],
		  struct psp_ec_pub *pub);

/* The same for a public key as such; -EINVAL when it is malformed. */
int psp_pubkey_parse(const struct psp_suite *s, const uint8_t *key,
		     struct psp_ec_pub *pub);
void psp_pubkey_fill(const struct psp_ec_key *k, enum psp_cert_usage usage,
		     uint8_t *key);

/* User id of the profile's keys; "" where there is none. */
const char *psp_usage_uid(const struct psp_suite *s, enum psp_cert_usage usage);

/* One profile's format of root certificates. @pinned is one of them, or NULL. */
int psp_root_amd_key(const struct psp_suite *s, enum psp_cert_usage which,
		     struct psp_ec_key **ret_k);
int psp_root_amd_chain(const struct psp_suite *s, uint8_t *buf, size_t size,
		       size_t *ret_len);
int psp_root_amd_verify(const struct psp_suite *s, const uint8_t *chain,
			size_t len, const uint8_t *pinned, size_t pinned_len,
			const uint8_t cek[PSP_CERT_SIZE]);
int psp_root_hygon_key(const struct psp_suite *s, enum psp_cert_usage which,
		       struct psp_ec_key **ret_k);
int psp_root_hygon_chain(const struct psp_suite *s, uint8_t *buf, size_t size,
			 size_t *ret_len);
int psp_root_hygon_verify(const struct psp_suite *s, const uint8_t *chain,
			  size_t len, const uint8_t *pinned, size_t pinned_len,
			  const uint8_t cek[PSP_CERT_SIZE]);

#endif
