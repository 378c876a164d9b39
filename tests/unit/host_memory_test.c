/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>

#include "core/util.h"
#include "vmm/config.h"
#include "vmm/host_memory.h"

static void parse(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(host_memory_parse("MemTotal:       4038656 kB\n"
					   "MemFree:        4000768 kB\n"
					   "MemAvailable:   3930112 kB\n",
					   &v),
			 0);
	assert_true(v == 3930112ULL * 1024);
	v = 7;
	assert_int_equal(host_memory_parse("MemTotal: 4038656 kB\n", &v),
			 -ENOENT);
	assert_int_equal(host_memory_parse("", &v), -ENOENT);
	assert_int_equal(host_memory_parse("MemAvailable:", &v), -ENOENT);
	assert_int_equal(host_memory_parse("MemAvailable: many\n", &v), -ENOENT);
	assert_true(v == 7);
}

/* What woke the OOM killer: 3900 of 3826 MiB; page tables and KVM's list are 8
 * bytes a page each. Huge pages are no part of MemAvailable. */
static void need(void **state)
{
	struct config cfg = { .memory = MIB(3900) };

	(void)state;
	assert_true(host_memory_need(&cfg) > MIB(3900) + MIB(3900) / 4096 * 16);
	assert_true(host_memory_need(&cfg) < MIB(3900 + 64));
	cfg.hugepages = true;
	assert_true(host_memory_need(&cfg) < MIB(64));
}

/* More than any machine has. */
static void check(void **state)
{
	struct config cfg = { .memory = GIB(1024) * 1024 };

	(void)state;
	assert_int_equal(host_memory_check(&cfg), 0);
	cfg.csv.type = CONFIG_CSV_1;
	assert_int_equal(host_memory_check(&cfg), -ENOMEM);
	cfg.memory = MIB(16);
	assert_int_equal(host_memory_check(&cfg), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse),
		cmocka_unit_test(need),
		cmocka_unit_test(check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
