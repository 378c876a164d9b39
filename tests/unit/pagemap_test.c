/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The map against an array of bytes, the plain way. */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/pagemap.h"
#include "core/util.h"

#define PAGES 1000u

static struct pagemap pm;

static void edges(void **state)
{
	(void)state;
	assert_int_equal(pagemap_init(&pm, PAGES), 0);
	assert_false(pm.told);
	assert_false(pagemap_shared(&pm, 0, 1));
	assert_int_equal(pagemap_tell(&pm, 0, 0, true), -EINVAL);
	assert_int_equal(pagemap_tell(&pm, PAGES, 1, true), -EINVAL);
	assert_int_equal(pagemap_tell(&pm, PAGES - 1, 2, true), -EINVAL);
	assert_int_equal(pagemap_tell(&pm, UINT64_MAX, 2, true), -EINVAL);
	assert_int_equal(pagemap_tell(&pm, 1, UINT64_MAX, true), -EINVAL);
	assert_false(pm.told);
	assert_int_equal(pagemap_count_shared(&pm), 0);
	assert_int_equal(pagemap_tell(&pm, 0, PAGES, true), 0);
	assert_true(pm.told);
	assert_int_equal(pagemap_count_shared(&pm), PAGES);
	assert_true(pagemap_shared(&pm, 0, PAGES));
	assert_false(pagemap_shared(&pm, 0, PAGES + 1));
	assert_false(pagemap_shared(&pm, UINT64_MAX, 1));
	pagemap_reset(&pm);
	assert_false(pm.told);
	assert_int_equal(pagemap_count_shared(&pm), 0);
	pagemap_fini(&pm);
	pagemap_fini(&pm);
	assert_false(pagemap_shared(&pm, 0, 1));
}

static void random_ranges(void **state)
{
	static bool plain[PAGES];
	unsigned round, i;

	(void)state;
	srand(1);
	assert_int_equal(pagemap_init(&pm, PAGES), 0);
	for (round = 0; round < 20000; round++) {
		unsigned first = (unsigned)rand() % PAGES;
		unsigned n = 1 + (unsigned)rand() % MIN(PAGES - first, 200u);
		bool shared = rand() % 2, all = true;
		uint64_t count = 0;

		assert_int_equal(pagemap_tell(&pm, first, n, shared), 0);
		memset(plain + first, shared, n);
		first = (unsigned)rand() % PAGES;
		n = 1 + (unsigned)rand() % MIN(PAGES - first, 80u);
		for (i = first; i < first + n; i++)
			all = all && plain[i];
		assert_int_equal(pagemap_shared(&pm, first, n), all);
		if (round % 100)
			continue;
		for (i = 0; i < PAGES; i++)
			count += plain[i];
		assert_int_equal(pagemap_count_shared(&pm), count);
	}
	pagemap_fini(&pm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges),
		cmocka_unit_test(random_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
