/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_ATTEST_H
#define CSVVMM_VMM_ATTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "psp/cert.h"

/*
 * Attestation reports: AMD's of 208 bytes, Hygon's of 4096 ([csv-abi] 6.3,
 * [sev-es-emulation] G.4). Reports and certificates are hostile input.
 */

/**
 * struct attest_report - A report in plain, nothing of it verified
 * @pek:	Hygon: the certificate in the report; AMD: not there
 * @signed_len:	The signature covers so much of the report's beginning
 */
struct attest_report {
	enum psp_profile profile;
	uint8_t nonce[16];
	uint8_t digest[32];
	uint32_t policy;
	uint32_t sig_usage, sig_algo;
	bool has_pek;
	uint8_t pek[PSP_CERT_SIZE];
	uint8_t chip_id[64];
	const uint8_t *raw;
	size_t signed_len;
	const uint8_t *sig;
};

/* @report must stay. Return: 0, or -EINVAL: the size fits no format */
int attest_parse(const uint8_t *report, size_t len, struct attest_report *ret_r);

/* Launch digest and policy. Return: 0 or -EINVAL */
int attest_digest(const uint8_t *report, size_t len, uint8_t digest[32],
		  uint32_t *ret_policy);

#define ATTEST_CERTS_MAX 16

/* One certificate of a file; @usage as in psp/cert.h. */
struct attest_cert {
	uint32_t usage;
	const uint8_t *data;
	size_t len;
	bool trusted;
};

/**
 * struct attest_certs - All that the caller has
 * @model_root:	Trust the model's root, whose key is published
 */
struct attest_certs {
	struct attest_cert cert[ATTEST_CERTS_MAX];
	unsigned n;
	bool model_root;
};

/**
 * attest_add() - Take the certificates of a file, one after another
 * @data:	Must stay
 * @trusted:	A root in it ends a chain
 *
 * Return: 0; -EINVAL: not certificates of @profile; -E2BIG
 */
int attest_add(struct attest_certs *c, enum psp_profile profile,
	       const uint8_t *data, size_t len, bool trusted);

/**
 * attest_verify() - Is @r of a genuine platform?
 * @ret_why:	In words, when it is not; a literal
 *
 * Root certificate, HSK (ASK), CEK, PEK, report; each signed by the one before.
 *
 * Return: 0; -EBADMSG; -ENOENT (a certificate is missing); -EIO
 */
int attest_verify(const struct attest_report *r, const struct attest_certs *c,
		  const char **ret_why);

/* Is @pdh, of PSP_CERT_SIZE, of a genuine platform? By its PEK; the rest and
 * the result are as with attest_verify(). */
int attest_verify_pdh(enum psp_profile profile, const uint8_t *pdh,
		      const struct attest_certs *c, const char **ret_why);

#endif
