/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attestation reports and certificate files from a hostile host.
 *
 * Input: one byte (bit 0 the profile, the rest what to do), then either raw
 * bytes that are the object, or edits of a good one: offset (2 bytes), value.
 * A report passes only with every byte of the good one that is signed, and a
 * chain only with the good CEK.
 */
#include <assert.h>

#include "tests/unit/psp_host.h"
#include "vmm/attest.h"
#include "vmm/base64.h"

#define SIGNED 1044 /* of a platform certificate */
#define CEK    (2 * PSP_CERT_SIZE)
#define CSV_TAIL \
	2548 /* what the signature and the MAC of Hygon's report cover */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct good {
	enum psp_profile profile;
	uint8_t report[PSP_REPORT_SIZE_CSV];
	size_t report_len;
	/* PEK, OCA, CEK, then HSK (ASK) and root. */
	uint8_t certs[PSP_CHAIN_SIZE + PSP_ROOT_CHAIN_MAX];
	size_t certs_len;
};

static struct good good[2];

static void set_up(struct good *g, enum psp_profile profile)
{
	struct psp_abi_attest c = { .address = RIG_OUT,
				    .len = PSP_REPORT_SIZE_CSV };
	struct rig *r = rig_new(profile, 1);
	uint32_t root;

	g->profile = profile;
	RIG_CHECK(rig_init(r) == 0);
	c.handle = rig_guest(r, 5, 1, PSP_G_RUNNING);
	memset(c.mnonce, 0x5a, sizeof(c.mnonce));
	RIG_CHECK(RIG_DO(r, ATTESTATION_REPORT, c) == 0);
	g->report_len = c.len;
	memcpy(g->report, r->ram + RIG_OUT, c.len);
	root = rig_certs(r, r);
	memcpy(g->certs, r->ram + RIG_CHAIN, PSP_CHAIN_SIZE);
	memcpy(g->certs + PSP_CHAIN_SIZE, r->ram + RIG_ROOT, root);
	g->certs_len = PSP_CHAIN_SIZE + root;
	rig_free(r);
}

static int verify(const struct good *g, const uint8_t *report, size_t len,
		  const uint8_t *certs, size_t certs_len, bool trusted)
{
	struct attest_certs c = { .model_root = !trusted };
	const char *why = NULL;
	struct attest_report r;
	int e = attest_parse(report, len, &r);

	if (!e)
		e = attest_add(&c, g->profile, certs, certs_len, trusted);
	if (!e)
		e = attest_verify(&r, &c, &why);
	assert(e == 0 || e == -EINVAL || e == -E2BIG || why);
	return e;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	unsigned i;

	(void)argc;
	(void)argv;
	set_up(&good[0], PSP_AMD);
	set_up(&good[1], PSP_HYGON);
	for (i = 0; i < 4; i++)
		if (verify(&good[i / 2], good[i / 2].report,
			   good[i / 2].report_len, good[i / 2].certs,
			   good[i / 2].certs_len, i & 1) != 0)
			abort();
	return 0;
}

static void change(uint8_t *obj, size_t obj_len, const uint8_t *data, size_t size)
{
	for (; size >= 3; data += 3, size -= 3)
		obj[(data[0] | data[1] << 8) % obj_len] = data[2];
}

/* All of the report that somebody vouches for. */
static void fuzz_report(const struct good *g, const uint8_t *data, size_t size)
{
	uint8_t report[PSP_REPORT_SIZE_CSV];

	memcpy(report, g->report, g->report_len);
	change(report, g->report_len, data, size);
	if (verify(g, report, g->report_len, g->certs, g->certs_len, false) != 0)
		return;
	if (g->profile == PSP_AMD)
		assert(memcmp(report, g->report, 60) == 0);
	else
		assert(memcmp(report, g->report, 192) == 0 &&
		       memcmp(report + 336, g->report + 336, CSV_TAIL - 336) == 0);
}

static const uint8_t *first_cek(const uint8_t *certs, size_t len,
				enum psp_profile profile)
{
	struct attest_certs c = { .n = 0 };
	unsigned i;

	assert(attest_add(&c, profile, certs, len, false) == 0);
	for (i = 0; i < c.n && c.cert[i].usage != PSP_USAGE_CEK; i++)
		;
	assert(i < c.n && c.cert[i].len == PSP_CERT_SIZE);
	return c.cert[i].data;
}

static void fuzz_certs(const struct good *g, bool trusted, const uint8_t *data,
		       size_t size)
{
	uint8_t certs[PSP_CHAIN_SIZE + PSP_ROOT_CHAIN_MAX];

	memcpy(certs, g->certs, g->certs_len);
	change(certs, g->certs_len, data, size);
	/* A root that the user has chosen may be whatever it is. */
	if (verify(g, g->report, g->report_len, certs, g->certs_len, trusted) ==
		    0 &&
	    !trusted)
		assert(memcmp(first_cek(certs, g->certs_len, g->profile),
			      g->certs + CEK, SIGNED) == 0);
}

/* Exactly as long as it is, so that the sanitizer sees an overrun. */
static void fuzz_raw(const struct good *g, bool report, const uint8_t *data,
		     size_t size)
{
	uint8_t *own = malloc(size ? size : 1);
	uint8_t digest[32];
	uint32_t policy;

	if (!own)
		return;
	memcpy(own, data, size);
	if (report) {
		(void)attest_digest(own, size, digest, &policy);
		(void)verify(g, own, size, g->certs, g->certs_len, false);
	} else {
		(void)verify(g, g->report, g->report_len, own, size, true);
		(void)verify(g, g->report, g->report_len, own, size, false);
	}
	free(own);
}

/* How both may come in: decoded, it encodes to the same but for white space. */
static void fuzz_base64(const uint8_t *data, size_t size)
{
	size_t cap = size / 4 * 3, len, i, k;
	uint8_t *out = malloc(cap ? cap : 1);
	char *text = malloc(size + 8);

	if (out && text &&
	    base64_decode((const char *)data, size, out, cap, &len) == 0) {
		assert(len <= cap);
		base64_encode(out, len, text);
		for (i = k = 0; i < size; i++)
			if (!strchr(" \t\r\n", data[i]))
				assert(text[k++] == (char)data[i]);
		assert(!text[k]);
	}
	free(out);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct good *g;

	if (size < 1)
		return 0;
	g = &good[data[0] & 1];
	switch (data[0] >> 1 & 7) {
	case 0:
	case 1:
		fuzz_report(g, data + 1, size - 1);
		break;
	case 2:
	case 3:
		fuzz_certs(g, data[0] >> 1 & 1, data + 1, size - 1);
		break;
	case 4:
	case 5:
		fuzz_raw(g, data[0] >> 1 & 1, data + 1, size - 1);
		break;
	default:
		fuzz_base64(data + 1, size - 1);
		break;
	}
	return 0;
}
