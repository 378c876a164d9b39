/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/snap.h"
#include "core/util.h"
#include "devices/disk.h"
#include "devices/disk_marks.h"

#define BLOCKS 64u
/* A disk need not end with a whole block. */
#define SIZE (BLOCKS * 4096 + 512)

static char ours[] = "/tmp/csvvmm-marks-XXXXXX",
	    copy[] = "/tmp/csvvmm-marks-XXXXXX";
static struct disk a, b;
static struct disk_marks m;
static uint8_t state_of[1024];
static size_t len;

static void make(char *path, const uint8_t *data)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, SIZE), SIZE);
	(void)close(fd);
}

static int setup(void **state)
{
	static uint8_t data[SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 7 + i / 4096);
	make(ours, data);
	make(copy, data);
	assert_int_equal(disk_open(&a, ours, false, false), 0);
	assert_int_equal(disk_open(&b, copy, false, false), 0);
	memset(&m, 0, sizeof(m));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	disk_close(&a);
	disk_close(&b);
	(void)unlink(ours);
	(void)unlink(copy);
	strcpy(ours + sizeof(ours) - 7, "XXXXXX");
	strcpy(copy + sizeof(copy) - 7, "XXXXXX");
	return 0;
}

static void save(void)
{
	struct snap_w w = { .buf = state_of, .cap = sizeof(state_of) };

	assert_int_equal(disk_marks_save(&m, &a, &w), 0);
	assert_false(w.full);
	len = w.len;
}

static int load(const struct disk *d, struct snap_error *err)
{
	struct snap_r r = {
		.buf = state_of, .len = len, .who = "disk 0", .err = err
	};
	int e;

	err->text[0] = 0;
	e = disk_marks_load(d, &r);
	if (!e)
		assert_int_equal(r.off, r.len);
	return e;
}

static void put(const struct disk *d, uint64_t off)
{
	assert_int_equal(pwrite(d->fd, "the guest's", 11, (off_t)off), 11);
}

static void differs_at(uint64_t off)
{
	struct snap_error err;
	char want[64];

	save();
	assert_int_equal(load(&a, &err), 0);
	assert_int_equal(load(&b, &err), -EPROTO);
	(void)snprintf(want, sizeof(want),
		       "at byte %llu:", (unsigned long long)off);
	if (!strstr(err.text, want))
		fail_msg("%s", err.text);
}

static void copies(void **state)
{
	struct snap_error err;

	(void)state;
	save();
	/* Nothing was written since: as good as the same. */
	assert_int_equal(load(&b, &err), 0);
	put(&a, 5 * 4096 + 1024);
	save();
	assert_int_equal(load(&b, &err), 0); /* nobody said where */
	disk_marks_wrote(&m, 5 * 4096 + 1024);
	differs_at(5 * 4096);
}

static void ends(void **state)
{
	(void)state;
	put(&a, 0);
	differs_at(0);
	put(&b, 0);
	put(&a, SIZE - 100);
	differs_at(BLOCKS * 4096);
}

/* The last ones count, however many there were. */
static void ring(void **state)
{
	struct snap_error err;
	unsigned i;

	(void)state;
	put(&a, 3 * 4096);
	for (i = 3; i < 50; i++)
		disk_marks_wrote(&m, i * 4096);
	save();
	assert_int_equal(state_of[0], DISK_MARKS + 2);
	assert_int_equal(load(&b, &err), 0);
	put(&a, 49 * 4096);
	differs_at(49 * 4096);
	put(&b, 49 * 4096);
	put(&a, 36 * 4096);
	differs_at(36 * 4096);
}

/* What was discarded may read as anything. */
static void discarded(void **state)
{
	struct snap_error err;

	(void)state;
	put(&a, 0);
	put(&a, 4096);
	disk_marks_wrote(&m, 4096);
	disk_marks_discarded(&m);
	save();
	assert_int_equal(load(&b, &err), 0);
	put(&a, 8192);
	disk_marks_wrote(&m, 8192);
	differs_at(8192);
}

static void hostile(void **state)
{
	struct snap_error err;
	size_t whole;

	(void)state;
	disk_marks_wrote(&m, 4096);
	save();
	whole = len;
	for (len = 0; len < whole; len++)
		assert_int_equal(load(&a, &err), -EPROTO);
	len = whole;
	put_le64(state_of + 1, 4097);
	assert_int_equal(load(&a, &err), -EPROTO);
	put_le64(state_of + 1, (BLOCKS + 1) * 4096);
	assert_int_equal(load(&a, &err), -EPROTO);
	put_le64(state_of + 1, UINT64_MAX - 4095);
	assert_int_equal(load(&a, &err), -EPROTO);
	state_of[0] = 255;
	assert_int_equal(load(&a, &err), -EPROTO);
}

/* It became smaller behind our back. */
static void shrunk(void **state)
{
	struct snap_w w = { .buf = state_of, .cap = sizeof(state_of) };
	struct snap_error err;

	(void)state;
	save();
	assert_int_equal(ftruncate(a.fd, 4096), 0);
	assert_int_equal(load(&a, &err), -EPROTO);
	assert_int_equal(disk_marks_save(&m, &a, &w), -ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copies, setup, teardown),
		cmocka_unit_test_setup_teardown(ends, setup, teardown),
		cmocka_unit_test_setup_teardown(ring, setup, teardown),
		cmocka_unit_test_setup_teardown(discarded, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(shrunk, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
