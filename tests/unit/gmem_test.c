/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "core/gmem.h"
#include "core/util.h"

static void sizes(void **state)
{
	struct gmem gm;

	(void)state;
	assert_int_equal(gmem_init(&gm, 0, false), -EINVAL);
	assert_int_equal(gmem_init(&gm, 4096, false), -EINVAL);
	assert_int_equal(gmem_init(&gm, MIB(1) + 1, false), -EINVAL);
	assert_int_equal(gmem_init(&gm, MIB(3), true), -EINVAL);
	assert_int_equal(gmem_init(&gm, UINT64_MAX & ~4095ULL, false), -EINVAL);
	gmem_fini(&gm);
	gmem_fini(&gm); /* twice is harmless */
}

static void bounds(void **state)
{
	struct gmem gm;
	char buf[16] = "";

	(void)state;
	assert_int_equal(gmem_init(&gm, MIB(1), false), 0);
	assert_int_equal(gmem_write(&gm, MIB(1) - 4, "abcd", 4), 0);
	assert_int_equal(gmem_read(&gm, MIB(1) - 4, buf, 4), 0);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(gmem_write(&gm, MIB(1) - 3, "abcd", 4), -EFAULT);
	assert_int_equal(gmem_read(&gm, MIB(1), buf, 1), -EFAULT);
	/* Wrap-around: address plus length passes 2^64. */
	assert_int_equal(gmem_read(&gm, UINT64_MAX - 3, buf, 8), -EFAULT);
	assert_int_equal(gmem_read(&gm, 8, buf, SIZE_MAX), -EFAULT);
	assert_int_equal(gmem_fill(&gm, 0, 0xff, MIB(1) + 1), -EFAULT);
	assert_false(gmem_valid(&gm, UINT64_MAX, 1));
	assert_true(gmem_valid(&gm, MIB(1), 0)); /* nothing, at the very end */
	assert_false(gmem_valid(&gm, MIB(1) + 1, 0));
	gmem_fini(&gm);
}

/* 8 GiB: RAM stops at 3 GiB and goes on at 4 GiB; nothing in between. */
static void hole(void **state)
{
	struct gmem gm;
	uint64_t v = 0x1122334455667788, w = 0;
	struct iovec iov;

	(void)state;
	assert_int_equal(gmem_init(&gm, GIB(8), false), 0);
	assert_int_equal(gm.n_regions, 2);
	assert_int_equal(gmem_write(&gm, GIB(3) - 8, &v, 8), 0);
	assert_int_equal(gmem_write(&gm, GIB(3) - 4, &v, 8), -EFAULT);
	assert_int_equal(gmem_write(&gm, GIB(3), &v, 1), -EFAULT);
	assert_int_equal(gmem_write(&gm, GIB(4) - 1, &v, 1), -EFAULT);
	assert_int_equal(gmem_write(&gm, GIB(4), &v, 8), 0);
	assert_int_equal(gmem_write(&gm, GIB(9) - 8, &v, 8), 0);
	assert_int_equal(gmem_write(&gm, GIB(9) - 7, &v, 8), -EFAULT);
	assert_int_equal(gmem_read(&gm, GIB(9) - 8, &w, 8), 0);
	assert_true(v == w);
	/* One range may not reach over the hole. */
	assert_int_equal(gmem_iov(&gm, GIB(2), GIB(3), false, &iov), -EFAULT);
	gmem_fini(&gm);
}

static void ring_index(void **state)
{
	struct gmem gm;
	uint16_t v = 0;
	uint8_t raw[2];

	(void)state;
	assert_int_equal(gmem_init(&gm, MIB(1), false), 0);
	assert_int_equal(gmem_store16(&gm, 0x100, 0x1234), 0);
	assert_int_equal(gmem_read(&gm, 0x100, raw, 2), 0);
	assert_int_equal(raw[0], 0x34); /* little-endian */
	assert_int_equal(raw[1], 0x12);
	assert_int_equal(gmem_load16(&gm, 0x100, &v), 0);
	assert_int_equal(v, 0x1234);
	assert_int_equal(gmem_load16(&gm, 0x101, &v), -EINVAL);
	assert_int_equal(gmem_store16(&gm, 0x101, 0), -EINVAL);
	assert_int_equal(gmem_load16(&gm, MIB(1), &v), -EFAULT);
	assert_int_equal(gmem_store16(&gm, MIB(1), 0), -EFAULT);
	gmem_fini(&gm);
}

static unsigned count_bits(const uint64_t *map, size_t words)
{
	unsigned n = 0;

	while (words--)
		n += (unsigned)__builtin_popcountll(map[words]);
	return n;
}

/* Every way of writing marks exactly the pages it touched, once. */
static void dirty(void **state)
{
	uint64_t map[16] = { 0 }; /* 4 MiB = 1024 pages */
	struct iovec iov;
	struct gmem gm;
	char page[4096];

	(void)state;
	memset(page, 7, sizeof(page));
	assert_int_equal(gmem_init(&gm, MIB(4), false), 0);
	gmem_dirty_fetch(&gm, 0, map);
	assert_int_equal(count_bits(map, 16), 0);

	assert_int_equal(gmem_write(&gm, 4095, page, 2), 0); /* pages 0, 1 */
	assert_int_equal(gmem_store16(&gm, 63 * 4096, 1), 0);
	assert_int_equal(gmem_fill(&gm, 64 * 4096, 0, 4096), 0);
	assert_int_equal(gmem_iov(&gm, 1023 * 4096, 1, true, &iov), 0);
	assert_int_equal(gmem_iov(&gm, 500 * 4096, 4096, false, &iov), 0);
	assert_int_equal(gmem_read(&gm, 600 * 4096, page, 4096), 0);
	gmem_mark_dirty(&gm, 700 * 4096 + 1, 4096); /* 700, 701 */
	gmem_mark_dirty(&gm, 800 * 4096, 0);
	gmem_mark_dirty(&gm, MIB(4), 4096); /* outside: ignored */
	gmem_dirty_fetch(&gm, 0, map);
	assert_int_equal(count_bits(map, 16), 7);
	assert_true(map[0] == (3 | BIT(63)));
	assert_true(map[1] == 1);
	assert_true(map[1023 / 64] == BIT(63));
	assert_true(map[700 / 64] == (BIT(700 % 64) | BIT(701 % 64)));

	memset(map, 0, sizeof(map));
	gmem_dirty_fetch(&gm, 0, map); /* taken: empty now */
	assert_int_equal(count_bits(map, 16), 0);
	gmem_fini(&gm);
}

/* The two regions' maps do not mix, also where they share a word. */
static void dirty_two_regions(void **state)
{
	static uint64_t low[(3ULL << 30) / 4096 / 64], high[1];
	struct gmem gm;

	(void)state;
	assert_int_equal(gmem_init(&gm, GIB(3) + 4096 * 3, false), 0);
	gmem_mark_dirty(&gm, GIB(3) - 1, 1);
	gmem_mark_dirty(&gm, GIB(4) + 4096, 1);
	gmem_dirty_fetch(&gm, 1, high);
	assert_true(high[0] == 2);
	gmem_dirty_fetch(&gm, 0, low);
	assert_int_equal(count_bits(low, ARRAY_SIZE(low)), 1);
	assert_true(low[ARRAY_SIZE(low) - 1] == BIT(63));
	gmem_fini(&gm);
}

/* What an encrypted guest has not shared is not there. */
static void only_shared(void **state)
{
	struct iovec iov;
	struct gmem gm;
	uint8_t b[8192];
	uint16_t v;

	(void)state;
	assert_int_equal(gmem_init(&gm, MIB(2), false), 0);
	assert_int_equal(gmem_tell(&gm, 0, 1, true), -EINVAL); /* a plain one */
	assert_int_equal(gmem_encrypt(&gm), 0);
	/* It has said nothing yet. */
	assert_int_equal(gmem_read(&gm, 0, b, 8), 0);
	assert_int_equal(gmem_share(&gm, GIB(8)), -EINVAL);
	assert_int_equal(gmem_share(&gm, 0x8000), 0);
	assert_int_equal(gmem_read(&gm, 0, b, 8), 0);
	assert_true(gmem_is_private(&gm, 0));
	assert_false(gmem_is_private(&gm, 0x8000));
	assert_int_equal(gmem_tell(&gm, 0x2000, 2, true), 0);
	assert_int_equal(gmem_read(&gm, 0x8000, b, 4096), 0);
	assert_int_equal(gmem_read(&gm, 0x9000, b, 8), -EFAULT);
	assert_int_equal(gmem_read(&gm, 0x2000, b, 8192), 0);
	assert_int_equal(gmem_read(&gm, 0x1fff, b, 1), -EFAULT);
	assert_int_equal(gmem_read(&gm, 0x1fff, b, 2), -EFAULT);
	assert_int_equal(gmem_read(&gm, 0x3fff, b, 1), 0);
	assert_int_equal(gmem_read(&gm, 0x3fff, b, 2), -EFAULT);
	assert_int_equal(gmem_write(&gm, 0x4000, b, 1), -EFAULT);
	assert_int_equal(gmem_fill(&gm, 0x4000, 0, 1), -EFAULT);
	assert_int_equal(gmem_load16(&gm, 0x4000, &v), -EFAULT);
	assert_int_equal(gmem_store16(&gm, 0x4000, 1), -EFAULT);
	assert_int_equal(gmem_iov(&gm, 0x3000, 0x2000, true, &iov), -EFAULT);
	assert_int_equal(gmem_tell(&gm, 0x3000, 1, false), 0);
	assert_int_equal(gmem_read(&gm, 0x3000, b, 1), -EFAULT);
	/* Unaligned, nowhere, wrapping round, half outside. */
	assert_int_equal(gmem_tell(&gm, 0x10, 1, true), -EINVAL);
	assert_int_equal(gmem_tell(&gm, GIB(8), 1, true), -EINVAL);
	assert_int_equal(gmem_tell(&gm, 0x1000, UINT64_MAX, true), -EINVAL);
	assert_int_equal(gmem_tell(&gm, MIB(2) - 4096, 1000, true), 0);
	assert_int_equal(gmem_read(&gm, MIB(2) - 1, b, 1), 0);
	gmem_fini(&gm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(bounds),
		cmocka_unit_test(hole),
		cmocka_unit_test(ring_index),
		cmocka_unit_test(dirty),
		cmocka_unit_test(dirty_two_regions),
		cmocka_unit_test(only_shared),
	};

	return cmocka_run_group_tests_name("gmem", tests, NULL, NULL);
}
