/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Certificates, root chains and sessions from a hostile host.
 *
 * Input: one byte (bit 0 the profile, the rest what to do), then either raw
 * bytes laid over the object or edits of a good one: offset (2 bytes), value.
 * A changed object may pass only if nothing that is signed has changed.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "psp/cert.h"

#define SIGNED 1044

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct good {
	const struct psp_suite *s;
	struct psp_ec_key *pdh_key;
	uint8_t pdh[PSP_CERT_SIZE], chain[PSP_CHAIN_SIZE];
	uint8_t root[PSP_ROOT_CHAIN_MAX], session[PSP_SESSION_SIZE];
	size_t root_len;
};

static struct good good[2];

static int counter(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 7, len);
	return 0;
}

static const struct psp_ops ops = { .random = counter };

static void must(int r)
{
	if (r != 0)
		abort();
}

static void set_up(struct good *g, enum psp_profile profile)
{
	const struct psp_suite *s = psp_suite(profile);
	static const struct psp_transport keys = { { 1 }, { 2 } };
	uint8_t *pek = g->chain, *oca = g->chain + PSP_CERT_SIZE;
	uint8_t *cek = g->chain + 2 * PSP_CERT_SIZE;
	struct psp_ec_key *k[4];

	g->s = s;
	for (uint8_t i = 0; i < 3; i++)
		must(psp_ec_from_seed(s, &i, 1, &k[i]));
	must(psp_root_key(s, PSP_USAGE_ASK, &k[3]));
	must(psp_ec_from_seed(s, "pdh", 3, &g->pdh_key));
	must(psp_cert_make(s, g->pdh_key, PSP_USAGE_PDH, 0, 24, g->pdh));
	must(psp_cert_make(s, k[0], PSP_USAGE_PEK, 0, 24, pek));
	must(psp_cert_make(s, k[1], PSP_USAGE_OCA, 0, 24, oca));
	must(psp_cert_make(s, k[2], PSP_USAGE_CEK, 0, 24, cek));
	must(psp_cert_sign(s, g->pdh, k[0], PSP_USAGE_PEK));
	must(psp_cert_sign(s, pek, k[1], PSP_USAGE_OCA));
	must(psp_cert_sign(s, pek, k[2], PSP_USAGE_CEK));
	must(psp_cert_sign(s, oca, k[1], PSP_USAGE_OCA));
	must(psp_cert_sign(s, cek, k[3], PSP_USAGE_ASK));
	must(psp_root_chain(s, g->root, sizeof(g->root), &g->root_len));
	must(psp_session_make(s, &ops, NULL, g->pdh_key, g->pdh, 5, &keys,
			      g->session));
	for (unsigned i = 0; i < 4; i++)
		psp_ec_free(k[i]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	set_up(&good[0], PSP_AMD);
	set_up(&good[1], PSP_HYGON);
	return 0;
}

static void change(uint8_t *obj, size_t obj_len, int raw, const uint8_t *data,
		   size_t size)
{
	if (raw) {
		memcpy(obj, data, size < obj_len ? size : obj_len);
		return;
	}
	for (; size >= 3; data += 3, size -= 3)
		obj[(data[0] | data[1] << 8) % obj_len] = data[2];
}

static void fuzz_chain(const struct good *g, int raw, const uint8_t *data,
		       size_t size)
{
	uint8_t all[PSP_CERT_SIZE + PSP_CHAIN_SIZE];

	memcpy(all, g->pdh, PSP_CERT_SIZE);
	memcpy(all + PSP_CERT_SIZE, g->chain, PSP_CHAIN_SIZE);
	change(all, sizeof(all), raw, data, size);
	if (psp_chain_verify(g->s, all, all + PSP_CERT_SIZE) == 0) {
		assert(memcmp(all, g->pdh, SIGNED) == 0);
		for (unsigned i = 0; i < 2; i++)
			assert(memcmp(all + (1 + i) * PSP_CERT_SIZE,
				      g->chain + i * PSP_CERT_SIZE, SIGNED) == 0);
	}
	(void)psp_cert_check(g->s, all, psp_cert_usage(all));
	(void)psp_cert_check_sig(g->s, all, data, size, g->session);
}

static void fuzz_root(const struct good *g, int raw, const uint8_t *data,
		      size_t size)
{
	const uint8_t *cek = g->chain + 2 * PSP_CERT_SIZE;
	/* Exactly as long as said, so that the sanitizer sees an overrun. */
	size_t len = raw && size >= 64 ? size : g->root_len;
	uint8_t *root = malloc(len);

	if (!root)
		return;
	memset(root, 0, len);
	memcpy(root, g->root, len < g->root_len ? len : g->root_len);
	change(root, len, raw, data, size);
	if (psp_root_verify(g->s, root, len, NULL, 0, cek) == 0)
		assert(memcmp(root, g->root, 576) == 0);
	(void)psp_root_verify(g->s, root, len, root, len, cek);
	(void)psp_root_verify(g->s, root, len, root + len / 2, len - len / 2,
			      cek);
	free(root);
}

static void fuzz_session(const struct good *g, int raw, const uint8_t *data,
			 size_t size)
{
	struct psp_transport keys;
	uint8_t all[PSP_SESSION_SIZE + PSP_CERT_SIZE];

	memcpy(all, g->session, PSP_SESSION_SIZE);
	memcpy(all + PSP_SESSION_SIZE, g->pdh, PSP_CERT_SIZE);
	change(all, sizeof(all), raw, data, size);
	if (psp_session_open(g->s, g->pdh_key, all + PSP_SESSION_SIZE, 5, all,
			     &keys) == 0)
		assert(memcmp(all, g->session, PSP_SESSION_SIZE) == 0);
}

static void fuzz_packet(const struct good *g, const uint8_t *data, size_t size)
{
	static const struct psp_transport keys = { { 1 }, { 2 } };
	struct psp_channel *ch;
	uint8_t *out;

	if (size < PSP_HDR_SIZE)
		return;
	must(psp_channel_new(g->s, &keys, &ch));
	out = malloc(size);
	if (out)
		assert(psp_packet_open(
			       ch, PSP_PACKET_DATA, data, data + PSP_HDR_SIZE,
			       out, (uint32_t)(size - PSP_HDR_SIZE),
			       (uint32_t)(size - PSP_HDR_SIZE), NULL) < 0);
	free(out);
	psp_channel_free(ch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct good *g;
	int raw;

	if (size < 1)
		return 0;
	g = &good[data[0] & 1];
	raw = data[0] & 2;
	switch (data[0] >> 2 & 3) {
	case 0:
		fuzz_chain(g, raw, data + 1, size - 1);
		break;
	case 1:
		fuzz_root(g, raw, data + 1, size - 1);
		break;
	case 2:
		fuzz_session(g, raw, data + 1, size - 1);
		break;
	default:
		fuzz_packet(g, data + 1, size - 1);
		break;
	}
	return 0;
}
