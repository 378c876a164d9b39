/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "psp/ivset.h"
#include "psp/memcipher.h"
#include "tests/psp/memcipher.h"

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t i, n = strlen(hex) / 2;
	unsigned v;

	for (i = 0; i < n; i++) {
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return n;
}

static void test_known(void **state)
{
	uint8_t key[16], plain[64], cipher[64], out[64];
	struct psp_memcipher *m;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		unhex(vectors[i].key, key);
		n = unhex(vectors[i].plain, plain);
		unhex(vectors[i].cipher, cipher);
		assert_int_equal(psp_memcipher_new(key, &m), 0);
		assert_int_equal(psp_memcipher_encrypt(m, vectors[i].pa, plain,
						       out, n),
				 0);
		assert_memory_equal(out, cipher, n);
		assert_int_equal(
			psp_memcipher_decrypt(m, vectors[i].pa, out, out, n), 0);
		assert_memory_equal(out, plain, n);
		psp_memcipher_free(m);
	}
	psp_memcipher_free(NULL);
}

static void test_place(void **state)
{
	static uint8_t plain[3 * 4096 + 16], a[sizeof(plain)], b[sizeof(plain)];
	const uint8_t key[16] = { 7 };
	struct psp_memcipher *m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i >> 4); /* equal blocks, 4 KiB apart */
	assert_int_equal(psp_memcipher_new(key, &m), 0);
	assert_int_equal(
		psp_memcipher_encrypt(m, 0x5010, plain, a, sizeof(plain)), 0);
	/* Block by block is the same, and so is in place. */
	for (i = 0; i < sizeof(plain); i += 16)
		assert_int_equal(psp_memcipher_encrypt(m, 0x5010 + i, plain + i,
						       b + i, 16),
				 0);
	assert_memory_equal(a, b, sizeof(a));
	memcpy(b, plain, sizeof(b));
	assert_int_equal(psp_memcipher_encrypt(m, 0x5010, b, b, sizeof(b)), 0);
	assert_memory_equal(a, b, sizeof(a));
	/* The same bytes elsewhere look different; moved, they are noise. */
	assert_memory_not_equal(a, a + 4096, 16);
	assert_int_equal(psp_memcipher_decrypt(m, 0x6010, a, b, 4096), 0);
	for (i = 0; i < 4096; i += 16)
		assert_memory_not_equal(b + i, plain + i, 16);
	assert_int_equal(psp_memcipher_decrypt(m, 0x5010, a, b, sizeof(b)), 0);
	assert_memory_equal(b, plain, sizeof(b));
	assert_int_equal(psp_memcipher_encrypt(m, 8, plain, a, 16), -EINVAL);
	assert_int_equal(psp_memcipher_encrypt(m, 0, plain, a, 15), -EINVAL);
	assert_int_equal(psp_memcipher_encrypt(m, 0, plain, a, 0), 0);
	psp_memcipher_free(m);
}

static void iv_of(uint32_t n, uint8_t iv[16])
{
	memset(iv, 0, 16);
	memcpy(iv + 12, &n, 4);
}

static void test_ivset(void **state)
{
	struct psp_ivset s = { 0 };
	uint8_t iv[16];
	uint32_t i;

	(void)state;
	iv_of(0, iv);
	assert_false(psp_ivset_has(&s, iv));
	for (i = 0; i < 5000; i++) {
		iv_of(i, iv);
		assert_int_equal(psp_ivset_reserve(&s), 0);
		assert_false(psp_ivset_has(&s, iv));
		psp_ivset_add(&s, iv);
		psp_ivset_add(&s, iv);
		assert_true(psp_ivset_has(&s, iv));
	}
	for (i = 0; i < 5000; i++) {
		iv_of(i, iv);
		assert_true(psp_ivset_has(&s, iv));
	}
	/* Full, it forgets, and does not grow. */
	for (; i <= PSP_IVSET_MAX; i++) {
		iv_of(i, iv);
		assert_int_equal(psp_ivset_reserve(&s), 0);
		psp_ivset_add(&s, iv);
	}
	iv_of(77, iv);
	assert_true(psp_ivset_has(&s, iv));
	assert_int_equal(psp_ivset_reserve(&s), 0);
	assert_false(psp_ivset_has(&s, iv));
	iv_of(0, iv);
	assert_false(psp_ivset_has(&s, iv));
	assert_true(s.size <= 2 * PSP_IVSET_MAX);
	psp_ivset_clear(&s);
	psp_ivset_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_ivset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
