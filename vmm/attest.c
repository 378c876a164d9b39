/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/attest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "core/bytes.h"
#include "core/util.h"
#include "psp/psp_abi.h"

/* Hygon's fields are XORed with a number that the report tells. */
static void unmask(void *field, size_t len, uint32_t anonce)
{
	uint8_t *p = field;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] ^= (uint8_t)(anonce >> (8 * (i % 4)));
}

static void parse_amd(const uint8_t *report, struct attest_report *r)
{
	struct psp_abi_report a;

	memcpy(&a, report, sizeof(a));
	memcpy(r->nonce, a.mnonce, sizeof(r->nonce));
	memcpy(r->digest, a.digest, sizeof(r->digest));
	r->policy = a.policy;
	r->sig_usage = a.sig_usage;
	r->sig_algo = a.sig_algo;
	r->signed_len = offsetof(struct psp_abi_report, sig_usage);
	r->sig = report + offsetof(struct psp_abi_report, sig);
}

static void parse_hygon(const uint8_t *report, struct attest_report *r)
{
	struct psp_abi_report_csv a;

	memcpy(&a, report, sizeof(a));
	unmask(&a, offsetof(struct psp_abi_report_csv, sig_usage), a.anonce);
	unmask(a.pek_cert, sizeof(a.pek_cert), a.anonce);
	unmask(a.chip_id, sizeof(a.chip_id), a.anonce);
	memcpy(r->nonce, a.mnonce, sizeof(r->nonce));
	memcpy(r->digest, a.measure, sizeof(r->digest));
	r->policy = a.policy;
	r->sig_usage = a.sig_usage;
	r->sig_algo = a.sig_algo;
	r->has_pek = true;
	memcpy(r->pek, a.pek_cert, sizeof(r->pek));
	memcpy(r->chip_id, a.chip_id, sizeof(r->chip_id));
	/* Unconfirmed: over the masked bytes, up to the policy. */
	r->signed_len = offsetof(struct psp_abi_report_csv, sig_usage);
	r->sig = report + offsetof(struct psp_abi_report_csv, sig);
}

int attest_parse(const uint8_t *report, size_t len, struct attest_report *ret_r)
{
	if (len != PSP_REPORT_SIZE && len != PSP_REPORT_SIZE_CSV)
		return -EINVAL;
	*ret_r = (struct attest_report){ .raw = report };
	if (len == PSP_REPORT_SIZE) {
		ret_r->profile = PSP_AMD;
		parse_amd(report, ret_r);
	} else {
		ret_r->profile = PSP_HYGON;
		parse_hygon(report, ret_r);
	}
	return 0;
}

int attest_digest(const uint8_t *report, size_t len, uint8_t digest[32],
		  uint32_t *ret_policy)
{
	struct attest_report r;

	if (attest_parse(report, len, &r) < 0)
		return -EINVAL;
	memcpy(digest, r.digest, sizeof(r.digest));
	*ret_policy = r.policy;
	return 0;
}

/* Root certificates: usage at 36 in both formats; AMD's size of the modulus
 * in bits at 60, Hygon's always have the same size. */
#define ROOT_USAGE     36
#define ROOT_MOD_BITS  60
#define ROOT_HEAD      64
#define PLATFORM_USAGE 8

static bool is_platform_cert(const uint8_t *data, size_t len)
{
	uint32_t usage;

	if (len < PSP_CERT_SIZE)
		return false;
	usage = get_le32(data + PLATFORM_USAGE);
	return usage >= PSP_USAGE_OCA && usage <= PSP_USAGE_CEK;
}

/* Return: size of the root certificate at @data, 0 = it is none */
static size_t root_size(enum psp_profile profile, const uint8_t *data, size_t len)
{
	uint32_t bits, usage;
	size_t size = PSP_ROOT_SIZE_HYGON;

	if (len < ROOT_HEAD)
		return 0;
	usage = get_le32(data + ROOT_USAGE);
	if (usage != PSP_USAGE_ARK && usage != PSP_USAGE_ASK)
		return 0;
	if (profile == PSP_AMD) {
		bits = get_le32(data + ROOT_MOD_BITS);
		if (bits != 2048 && bits != 4096)
			return 0;
		size = ROOT_HEAD + 3 * (size_t)(bits / 8);
	}
	return size <= len ? size : 0;
}

int attest_add(struct attest_certs *c, enum psp_profile profile,
	       const uint8_t *data, size_t len, bool trusted)
{
	while (len) {
		struct attest_cert cert = { .data = data, .trusted = trusted };

		if (is_platform_cert(data, len)) {
			cert.usage = get_le32(data + PLATFORM_USAGE);
			cert.len = PSP_CERT_SIZE;
		} else {
			cert.len = root_size(profile, data, len);
			if (!cert.len)
				return -EINVAL;
			cert.usage = get_le32(data + ROOT_USAGE);
		}
		if (c->n == ATTEST_CERTS_MAX)
			return -E2BIG;
		c->cert[c->n++] = cert;
		data += cert.len;
		len -= cert.len;
	}
	return 0;
}

static const struct attest_cert *find(const struct attest_certs *c, uint32_t usage)
{
	unsigned i;

	for (i = 0; i < c->n; i++) {
		if (c->cert[i].usage == usage)
			return &c->cert[i];
	}
	return NULL;
}

/* Does @sub, signed by @root, sign @cek? @pinned: NULL = the model's root */
static int verify_root(const struct psp_suite *s, const struct attest_cert *sub,
		       const struct attest_cert *root, bool pinned,
		       const uint8_t *cek)
{
	uint8_t chain[PSP_ROOT_CHAIN_MAX];

	if (sub->len + root->len > sizeof(chain))
		return -EINVAL;
	memcpy(chain, sub->data, sub->len);
	memcpy(chain + sub->len, root->data, root->len);
	return psp_root_verify(s, chain, sub->len + root->len,
			       pinned ? root->data : NULL, root->len, cek);
}

static int verify_model_root(const struct psp_suite *s, const uint8_t *cek)
{
	uint8_t chain[PSP_ROOT_CHAIN_MAX];
	size_t len = 0;
	int r = psp_root_chain(s, chain, sizeof(chain), &len);

	return r < 0 ? r : psp_root_verify(s, chain, len, NULL, 0, cek);
}

static int verify_roots(const struct psp_suite *s, const struct attest_certs *c,
			const uint8_t *cek)
{
	const struct attest_cert *sub = find(c, PSP_USAGE_ASK);
	int r = -ENOENT;
	unsigned i;

	if (c->model_root && verify_model_root(s, cek) == 0)
		return 0;
	for (i = 0; sub && i < c->n; i++) {
		if (!c->cert[i].trusted || c->cert[i].usage != PSP_USAGE_ARK)
			continue;
		r = verify_root(s, sub, &c->cert[i], true, cek);
		if (!r)
			return 0;
	}
	return c->model_root && r == -ENOENT ? -EBADMSG : r;
}

/*
 * Hygon: a MAC ties PEK and chip id to the rest of the report. Its range is
 * unconfirmed: up to the first reserved field, as the model has it.
 */
static int verify_mac(const struct psp_suite *s, const struct attest_report *r)
{
	const size_t from = offsetof(struct psp_abi_report_csv, pek_cert);
	const size_t to = offsetof(struct psp_abi_report_csv, hmac);
	struct psp_part part = { r->raw + from, to - from };
	uint8_t mac[PSP_MAC_SIZE];
	int e = psp_mac(s, r->nonce, sizeof(r->nonce), &part, 1, mac);

	if (e < 0)
		return e;
	return CRYPTO_memcmp(mac, r->raw + to, sizeof(mac)) ? -EBADMSG : 0;
}

static int verify_pek(const struct psp_suite *s, const uint8_t *pek,
		      const uint8_t *cek, const char **why)
{
	int e;

	*why = "the PEK certificate is malformed";
	e = psp_cert_check(s, pek, PSP_USAGE_PEK);
	if (!e) {
		*why = "the PEK certificate is not signed by this CEK";
		e = psp_cert_verify(s, pek, cek, PSP_USAGE_CEK);
	}
	return e;
}

static int verify_platform(const struct psp_suite *s,
			   const struct attest_report *r, const uint8_t *pek,
			   const uint8_t *cek, const char **why)
{
	int e = verify_pek(s, pek, cek, why);

	if (!e && r->profile == PSP_HYGON) {
		*why = "the report's MAC is wrong";
		e = verify_mac(s, r);
	}
	if (!e) {
		*why = "the report is not signed by this PEK";
		e = r->sig_usage == PSP_USAGE_PEK &&
				    r->sig_algo == psp_sig_algo(s)
			    ? psp_cert_check_sig(s, pek, r->raw, r->signed_len,
						 r->sig)
			    : -EBADMSG;
	}
	return e;
}

/* What signs reports and PDHs, up to the root. @own_pek: a PEK of its own will
 * do, too. Return: 0 with *ret_cek, or as attest_verify() */
static int verify_cek(const struct psp_suite *s, const struct attest_certs *c,
		      bool own_pek, const struct attest_cert **ret_cek,
		      const char **ret_why)
{
	int e;

	*ret_cek = find(c, PSP_USAGE_CEK);
	if (!*ret_cek) {
		*ret_why = "no CEK certificate was given";
		return -ENOENT;
	}
	if (!own_pek && !find(c, PSP_USAGE_PEK)) {
		*ret_why = "no PEK certificate was given";
		return -ENOENT;
	}
	e = verify_roots(s, c, (*ret_cek)->data);
	if (e < 0)
		*ret_why = e == -ENOENT
				   ? "no root, or no HSK (ASK) certificate, was given; next: --root FILE (--root model in the lab and with backend = \"model\")"
				   : "the CEK does not lead to a trusted root";
	return e == -EINVAL ? -EBADMSG : e;
}

int attest_verify_pdh(enum psp_profile profile, const uint8_t *pdh,
		      const struct attest_certs *c, const char **ret_why)
{
	const struct psp_suite *s = psp_suite(profile);
	const struct attest_cert *pek = find(c, PSP_USAGE_PEK);
	const struct attest_cert *cek;
	int e = verify_cek(s, c, false, &cek, ret_why);

	if (e < 0)
		return e;
	e = verify_pek(s, pek->data, cek->data, ret_why);
	if (!e) {
		*ret_why = "the PDH certificate is malformed";
		e = psp_cert_check(s, pdh, PSP_USAGE_PDH);
	}
	if (!e) {
		*ret_why = "the PDH certificate is not signed by this PEK";
		e = psp_cert_verify(s, pdh, pek->data, PSP_USAGE_PEK);
	}
	return e == -EINVAL || e == -ENOENT ? -EBADMSG : e;
}

int attest_verify(const struct attest_report *r, const struct attest_certs *c,
		  const char **ret_why)
{
	const struct psp_suite *s = psp_suite(r->profile);
	const struct attest_cert *pek = find(c, PSP_USAGE_PEK);
	const struct attest_cert *cek;
	int e = verify_cek(s, c, r->has_pek, &cek, ret_why);

	if (e < 0)
		return e;
	e = verify_platform(s, r, r->has_pek ? r->pek : pek->data, cek->data,
			    ret_why);
	return e == -EINVAL || e == -ENOENT ? -EBADMSG : e;
}
