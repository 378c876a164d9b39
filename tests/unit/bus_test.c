/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>

#include "core/bus.h"

static uint64_t last_off, last_val;
static unsigned last_len;

static uint64_t dev_read(void *obj, uint64_t off, unsigned len)
{
	(void)obj;
	last_off = off;
	last_len = len;
	return 0x8877665544332211;
}

static void dev_write(void *obj, uint64_t off, unsigned len, uint64_t val)
{
	(void)obj;
	last_off = off;
	last_len = len;
	last_val = val;
}

static const struct bus_ops ops = { dev_read, dev_write };

static void overlap(void **state)
{
	struct bus bus = { .n = 0 };
	int a, b;

	(void)state;
	assert_int_equal(bus_add(&bus, 0x100, 0x10, &ops, &a, "a"), 0);
	assert_int_equal(bus_add(&bus, 0x10f, 1, &ops, &b, "b"), -EEXIST);
	assert_int_equal(bus_add(&bus, 0xff, 2, &ops, &b, "b"), -EEXIST);
	assert_int_equal(bus_add(&bus, 0, 0x1000, &ops, &b, "b"), -EEXIST);
	assert_int_equal(bus_add(&bus, 0x104, 4, &ops, &b, "b"), -EEXIST);
	assert_int_equal(bus_add(&bus, 0x110, 1, &ops, &b, "b"), 0);
	assert_int_equal(bus_add(&bus, 0xf0, 0x10, &ops, &b, "b"), 0);
	assert_int_equal(bus_add(&bus, 1, 0, &ops, &b, "b"), -EINVAL);
	assert_int_equal(bus_add(&bus, UINT64_MAX, 2, &ops, &b, "b"), -EINVAL);
	assert_int_equal(bus_add(&bus, UINT64_MAX, 1, &ops, &b, "b"), 0);
	assert_int_equal(bus.n, 4);
	/* Only the owner can take a range away. */
	bus_remove(&bus, 0x100, &b);
	bus_remove(&bus, 0x101, &a);
	assert_int_equal(bus.n, 4);
	bus_remove(&bus, 0x100, &a);
	assert_int_equal(bus.n, 3);
	assert_int_equal(bus_add(&bus, 0x104, 4, &ops, &b, "b"), 0);
}

static void access_ranges(void **state)
{
	struct bus bus = { .n = 0 };
	uint64_t v;

	(void)state;
	assert_int_equal(bus_add(&bus, 0x100, 0x10, &ops, NULL, "a"), 0);
	assert_int_equal(bus_read(&bus, 0x10c, 4, &v), 0);
	assert_true(v == 0x44332211); /* cut to the access's length */
	assert_int_equal(last_off, 0xc);
	/* Across the end, outside, below: nobody answers. */
	assert_int_equal(bus_read(&bus, 0x10d, 4, &v), -ENXIO);
	assert_true(v == 0xffffffff);
	assert_int_equal(bus_read(&bus, 0xff, 2, &v), -ENXIO);
	assert_true(v == 0xffff);
	assert_int_equal(bus_read(&bus, 0, 8, &v), -ENXIO);
	assert_true(v == UINT64_MAX);
	assert_int_equal(bus_write(&bus, 0x10f, 2, 1), -ENXIO);
	assert_int_equal(bus_write(&bus, 0x10f, 1, 0xabcd), 0);
	assert_true(last_val == 0xcd);
	assert_int_equal(bus_read(&bus, UINT64_MAX, 8, &v), -ENXIO);
}

static void full(void **state)
{
	struct bus bus = { .n = 0 };
	unsigned i;
	uint64_t v;

	(void)state;
	/* From both ends to the middle, so that order is not insertion order. */
	for (i = 0; i < BUS_RANGES_MAX; i++) {
		uint64_t at = i % 2 ? 10000 - i : i;

		assert_int_equal(bus_add(&bus, at, 1, &ops, NULL, ""), 0);
	}
	assert_int_equal(bus_add(&bus, 5000, 1, &ops, NULL, ""), -ENOSPC);
	for (i = 0; i < BUS_RANGES_MAX; i++)
		assert_int_equal(bus_read(&bus, i % 2 ? 10000 - i : i, 1, &v), 0);
	for (i = 1; i < bus.n; i++)
		assert_true(bus.range[i - 1].base < bus.range[i].base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overlap),
		cmocka_unit_test(access_ranges),
		cmocka_unit_test(full),
	};

	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
