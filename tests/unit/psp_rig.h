/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_TESTS_PSP_RIG_H
#define CSVVMM_TESTS_PSP_RIG_H

/* Known answers of tests/psp/vectors.py, and a random source that repeats. */
#include <errno.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "psp/cert.h"
#include "tests/psp/vectors.h"

static inline uint8_t rig_nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The bytes of vector "PROFILE.NAME"; *@len bytes at most, and what it has. */
static inline void rig_vec(enum psp_profile profile, const char *name,
			   void *buf, size_t size, size_t *ret_len)
{
	char full[64];
	uint8_t *p = buf;

	(void)snprintf(full, sizeof(full), "%s.%s",
		       profile == PSP_AMD ? "amd" : "hygon", name);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const char *hex = vectors[i].hex;
		size_t len = strlen(hex) / 2;

		if (strcmp(vectors[i].name, full) != 0)
			continue;
		assert_true(len <= size);
		for (size_t k = 0; k < len; k++)
			p[k] = (uint8_t)(rig_nibble(hex[2 * k]) << 4 |
					 rig_nibble(hex[2 * k + 1]));
		if (ret_len)
			*ret_len = len;
		else
			assert_int_equal(len, size);
		return;
	}
	fail_msg("no vector %s", full);
}

#define VEC(profile, name, buf) rig_vec(profile, name, buf, sizeof(buf), NULL)

/* fill() of vectors.py. */
static inline void rig_fill(const char *tag, void *buf, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	assert_non_null(ctx);
	assert_int_equal(EVP_DigestInit_ex(ctx, EVP_shake128(), NULL), 1);
	assert_int_equal(EVP_DigestUpdate(ctx, tag, strlen(tag)), 1);
	assert_int_equal(EVP_DigestFinalXOF(ctx, buf, n), 1);
	EVP_MD_CTX_free(ctx);
}

/* Random bytes in the order they are asked for; then a count. */
struct rig_random {
	uint8_t bytes[64];
	size_t have, used;
	uint8_t count;
	bool fail;
};

static inline int rig_random(void *ctx, void *buf, size_t len)
{
	struct rig_random *r = ctx;
	uint8_t *p = buf;

	if (r->fail)
		return -EIO;
	for (size_t i = 0; i < len; i++)
		p[i] = r->used < r->have ? r->bytes[r->used++] : r->count++;
	return 0;
}

static const struct psp_ops rig_ops = { .random = rig_random };

static inline struct psp_ec_key *rig_key(enum psp_profile profile,
					 const char *name)
{
	char seed[32];
	struct psp_ec_key *k;

	(void)snprintf(seed, sizeof(seed), "seed %s", name);
	assert_int_equal(
		psp_ec_from_seed(psp_suite(profile), seed, strlen(seed), &k), 0);
	return k;
}

/* Each test runs once per profile. */
#define PROFILE(state) (*(const enum psp_profile *)*(state))
#define BOTH(f)                                              \
	{ #f "_amd", f, NULL, NULL, &rig_profiles[0] },      \
	{                                                    \
#f "_hygon", f, NULL, NULL, &rig_profiles[1] \
	}

static enum psp_profile rig_profiles[] = { PSP_AMD, PSP_HYGON };

#endif
