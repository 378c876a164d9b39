/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include "devices/rng.h"
#include "tests/unit/driver.h"

#define F_EVENT BIT(VIRTIO_RING_F_EVENT_IDX)

struct fixture {
	struct driver *d;
	struct rng rng;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->d = driver_new();
	assert_int_equal(rng_init(&f->rng, &f->d->m), 0);
	driver_start(f->d, &f->rng.virtio, 0, 64);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rng_fini(&f->rng);
	rng_fini(&f->rng);
	driver_free(f->d);
	free(f);
	return 0;
}

static unsigned count_byte(struct driver *d, uint64_t gpa, uint32_t len, int b)
{
	uint8_t buf[4096];
	unsigned i, n = 0;

	assert_true(len <= sizeof(buf));
	assert_int_equal(gmem_read(&d->m.gmem, gpa, buf, len), 0);
	for (i = 0; i < len; i++)
		n += buf[i] == b;
	return n;
}

static void test_identity(void **state)
{
	struct fixture *f = *state;

	/* [VIRTIO] 5.4: id 4, one queue, no features, no configuration. */
	assert_int_equal(f->rng.virtio.model->id, 4);
	assert_int_equal(f->rng.virtio.n_queues, 1);
	assert_int_equal(f->rng.virtio.config_len, 0);
	assert_int_equal(f->rng.virtio.features & 0xffffff, 0);
}

static void test_fills(void **state)
{
	struct fixture *f = *state;
	/* Odd lengths, several segments, one of them empty. */
	const struct dbuf buf[] = { { DRIVER_BUFS, 1 },
				    { DRIVER_BUFS + 0x1000, 0 },
				    { DRIVER_BUFS + 0x2ffd, 700 } };
	uint32_t id, len;

	(void)gmem_fill(&f->d->m.gmem, DRIVER_BUFS, 0, 0x8000);
	assert_int_equal(driver_add(f->d, 0, buf, 0, 3), 0);
	assert_true(driver_kick(f->d, 0));
	assert_true(driver_used(f->d, 0, &id, &len));
	assert_int_equal(id, 0);
	assert_int_equal(len, 701);
	assert_int_equal(f->d->q[0].irqs, 1);
	/* 700 random bytes with more than 60 zeros: 1 in 10^50. */
	assert_true(count_byte(f->d, DRIVER_BUFS + 0x2ffd, 700, 0) < 60);
	/* Not a byte beside the buffers. */
	assert_int_equal(count_byte(f->d, DRIVER_BUFS + 1, 4096, 0), 4096);
	assert_int_equal(count_byte(f->d, DRIVER_BUFS + 0x2ffd + 700, 4096, 0),
			 4096);
}

static void test_dirty(void **state)
{
	struct fixture *f = *state;
	const struct dbuf buf = { DRIVER_BUFS + 0xfff, 2 };
	uint64_t map[DRIVER_RAM / 4096 / 64] = { 0 };

	gmem_dirty_fetch(&f->d->m.gmem, 0, map);
	memset(map, 0, sizeof(map));
	(void)driver_add(f->d, 0, &buf, 0, 1);
	assert_true(driver_kick(f->d, 0));
	gmem_dirty_fetch(&f->d->m.gmem, 0, map);
	assert_int_equal(map[DRIVER_BUFS / 4096 / 64] & 7, 3);
}

/* A request of 4 GiB costs no more than a small one. */
static void test_bounded(void **state)
{
	struct fixture *f = *state;
	struct dbuf buf[32];
	uint32_t id, len;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(buf); i++)
		buf[i] = (struct dbuf){ DRIVER_BUFS, MIB(2) };
	(void)gmem_fill(&f->d->m.gmem, DRIVER_BUFS, 0, MIB(2));
	(void)driver_add(f->d, 0, buf, 0, ARRAY_SIZE(buf));
	assert_true(driver_kick(f->d, 0));
	assert_true(driver_used(f->d, 0, &id, &len));
	assert_in_range(len, 1, KIB(64));
	assert_int_equal(count_byte(f->d, DRIVER_BUFS + KIB(64), 4096, 0), 4096);
}

/* More chains than one turn handles; with and without event index. */
static void test_many(void **state)
{
	struct fixture *f = *state;
	const struct dbuf buf = { DRIVER_BUFS, 33 };
	unsigned round, i;
	uint32_t id, len;

	for (round = 0; round < 2; round++) {
		driver_start(f->d, &f->rng.virtio, round ? F_EVENT : 0, 64);
		for (i = 0; i < 64; i++)
			(void)driver_add(f->d, 0, &buf, 0, 1);
		virtio_kick(f->d->dev, 0);
		f->d->q[0].kicked = f->d->q[0].avail;
		/* One turn is bounded: others come to their right. */
		assert_int_equal(driver_poll(f->d, 1), 1);
		assert_in_range(driver_used_idx(f->d, 0), 1, 32);
		assert_true(driver_settle(f->d));
		for (i = 0; i < 64; i++) {
			assert_true(driver_used(f->d, 0, &id, &len));
			assert_int_equal(id, i);
			assert_int_equal(len, 33);
		}
		/* And the next request is seen. */
		(void)driver_add(f->d, 0, &buf, 0, 1);
		assert_true(driver_kick(f->d, 0));
		assert_true(driver_used(f->d, 0, &id, &len));
	}
}

static void check_refused(struct fixture *f, const struct dbuf *buf,
			  unsigned n_out, unsigned n_in)
{
	uint32_t id, len;

	driver_start(f->d, &f->rng.virtio, 0, 64);
	(void)driver_add(f->d, 0, buf, n_out, n_in);
	assert_true(driver_kick(f->d, 0));
	assert_true(driver_needs_reset(f->d));
	assert_false(driver_used(f->d, 0, &id, &len));
	assert_int_equal(f->d->config_irqs, 1);
}

static void test_hostile(void **state)
{
	struct fixture *f = *state;
	const struct dbuf two[] = { { DRIVER_BUFS, 8 }, { DRIVER_BUFS, 8 } };
	const struct dbuf empty = { DRIVER_BUFS, 0 };
	const struct dbuf outside = { DRIVER_RAM - 4, 8 };
	const struct dbuf wrap = { UINT64_MAX - 3, 8 };
	uint32_t id, len;

	check_refused(f, two, 1, 0);
	check_refused(f, two, 1, 1);
	check_refused(f, &empty, 0, 1);
	check_refused(f, &outside, 0, 1);
	check_refused(f, &wrap, 0, 1);
	/* A reset heals. */
	driver_start(f->d, &f->rng.virtio, 0, 64);
	(void)driver_add(f->d, 0, two, 0, 2);
	assert_true(driver_kick(f->d, 0));
	assert_true(driver_used(f->d, 0, &id, &len));
	assert_int_equal(len, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fills, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dirty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
