/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/util.h"
#include "devices/disk.h"

static char dir[64];
static char path[128];

static int group_setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/csvvmm-disk-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/disk", dir);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

static int wipe(void **state)
{
	(void)state;
	(void)unlink(path);
	return 0;
}

static void make_file(uint64_t size, int byte)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	uint8_t buf[4096];
	uint64_t at;

	assert_true(fd >= 0);
	memset(buf, byte, sizeof(buf));
	for (at = 0; at < size; at += sizeof(buf)) {
		size_t n = MIN(size - at, sizeof(buf));

		assert_int_equal(pwrite(fd, buf, n, (off_t)at), n);
	}
	assert_int_equal(close(fd), 0);
}

static void assert_bytes(uint64_t off, uint64_t len, int byte)
{
	uint8_t buf[4096];
	uint64_t i;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (; len; off += i, len -= i) {
		uint64_t n = MIN(len, sizeof(buf));

		assert_int_equal(pread(fd, buf, n, (off_t)off), n);
		for (i = 0; i < n; i++)
			assert_int_equal(buf[i], byte);
	}
	(void)close(fd);
}

static void test_kinds(void **state)
{
	struct disk d;

	(void)state;
	assert_int_equal(disk_open(&d, path, false, false), -ENOENT);
	assert_int_equal(d.fd, -1);
	assert_int_equal(disk_open(&d, "", false, false), -ENOENT);
	assert_int_equal(disk_open(&d, dir, false, false), -EISDIR);
	assert_int_equal(disk_open(&d, dir, true, false), -EINVAL);
	assert_int_equal(disk_open(&d, "/dev/null", false, false), -EINVAL);
	assert_int_equal(disk_open(&d, "/dev/full", false, false), -EINVAL);
	/* A FIFO must not hang the open either way. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(disk_open(&d, path, true, false), -EINVAL);
	assert_int_equal(disk_open(&d, path, false, false), -EINVAL);
	assert_int_equal(d.fd, -1);
	disk_close(&d);
}

static void test_sizes(void **state)
{
	struct disk d;

	(void)state;
	make_file(0, 0);
	assert_int_equal(disk_open(&d, path, false, false), -ENODATA);
	assert_int_equal(d.fd, -1);
	make_file(511, 1);
	assert_int_equal(disk_open(&d, path, false, false), -ENODATA);
	make_file(512, 1);
	assert_int_equal(disk_open(&d, path, false, false), 0);
	assert_int_equal(d.size, 512);
	disk_close(&d);
	make_file(1535, 1);
	assert_int_equal(disk_open(&d, path, true, false), 0);
	assert_int_equal(d.size, 1024);
	assert_int_equal(d.block_size, 512);
	assert_false(d.is_bdev);
	assert_true(d.readonly);
	assert_false(d.can_discard);
	assert_false(d.can_zero);
	disk_close(&d);
	disk_close(&d);
	assert_int_equal(d.fd, -1);
}

static void test_flags(void **state)
{
	struct disk d;
	int fl;

	(void)state;
	make_file(4096, 1);
	assert_int_equal(disk_open(&d, path, false, false), 0);
	fl = fcntl(d.fd, F_GETFL);
	assert_int_equal(fl & O_NONBLOCK, 0);
	assert_int_equal(fl & O_ACCMODE, O_RDWR);
	assert_int_equal(fcntl(d.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	disk_close(&d);
	assert_int_equal(disk_open(&d, path, true, false), 0);
	assert_int_equal(fcntl(d.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	disk_close(&d);
}

static void test_lock(void **state)
{
	struct disk a, b;

	(void)state;
	make_file(4096, 1);
	assert_int_equal(disk_open(&a, path, false, false), 0);
	assert_int_equal(disk_open(&b, path, false, false), -EBUSY);
	assert_int_equal(b.fd, -1);
	assert_int_equal(disk_open(&b, path, true, false), -EBUSY);
	disk_close(&a);

	assert_int_equal(disk_open(&a, path, true, false), 0);
	assert_int_equal(disk_open(&b, path, true, false), 0);
	disk_close(&b);
	assert_int_equal(disk_open(&b, path, false, false), -EBUSY);
	disk_close(&a);
	assert_int_equal(disk_open(&b, path, false, false), 0);
	disk_close(&b);
}

/* Nobody else gets it. */
static void assert_shut_for_writing(void)
{
	struct disk d;

	assert_int_equal(disk_open(&d, path, false, false), -EBUSY);
}

static void assert_shut(void)
{
	struct disk d;

	assert_shut_for_writing();
	assert_int_equal(disk_open(&d, path, true, false), -EBUSY);
}

/* From one process to another, as when a guest is moved. */
static void test_handover(void **state)
{
	struct disk a, b;

	(void)state;
	make_file(8192, 1);
	assert_int_equal(disk_open(&a, path, false, false), 0);
	assert_int_equal(disk_open_unlocked(&b, path, false, false), 0);
	assert_int_equal(b.size, 8192);
	assert_int_equal(disk_take(&b), -EBUSY);
	assert_int_equal(disk_borrow(&b), -EBUSY);
	assert_shut();
	assert_int_equal(disk_lend(&a), 0);
	assert_shut();
	assert_int_equal(disk_take(&b), -EBUSY);
	assert_int_equal(disk_borrow(&b), 0);
	assert_int_equal(disk_borrow(&b), 0);
	assert_shut();
	assert_int_equal(disk_take(&a), -EBUSY);
	assert_int_equal(disk_take(&b), -EBUSY);
	/* It can't be lent on before it is all there. */
	assert_int_equal(disk_lend(&b), -EBUSY);
	assert_int_equal(disk_release(&a), 0);
	assert_shut();
	assert_int_equal(disk_take(&b), 0);
	assert_int_equal(disk_take(&b), 0);
	assert_shut();
	assert_int_equal(disk_take(&a), -EBUSY);
	/* And back, but it is called off. */
	assert_int_equal(disk_lend(&b), 0);
	assert_int_equal(disk_borrow(&a), 0);
	assert_int_equal(disk_release(&a), 0);
	assert_shut();
	assert_int_equal(disk_take(&b), 0);
	assert_int_equal(disk_borrow(&a), -EBUSY);
	/* And back; the lender ends. */
	assert_int_equal(disk_lend(&b), 0);
	assert_int_equal(disk_borrow(&a), 0);
	disk_close(&b);
	assert_shut();
	assert_int_equal(disk_lend(&a), 0);
	assert_shut();
	/* Smaller than it was: what the guest knows is not there. */
	assert_int_equal(truncate(path, 8191), 0);
	assert_int_equal(disk_open_unlocked(&b, path, false, false), 0);
	b.size = a.size;
	assert_int_equal(disk_borrow(&b), -ENODATA);
	disk_close(&b);
	assert_int_equal(disk_take(&a), -ENODATA);
	assert_shut();
	disk_close(&a);
	assert_int_equal(disk_open(&b, path, false, false), 0);
	disk_close(&b);

	/* Readers share. */
	assert_int_equal(disk_open(&a, path, true, false), 0);
	assert_int_equal(disk_open_unlocked(&b, path, true, false), 0);
	assert_int_equal(disk_lend(&a), 0);
	assert_shut_for_writing();
	assert_int_equal(disk_borrow(&b), 0);
	assert_int_equal(disk_release(&a), 0);
	assert_shut_for_writing();
	assert_int_equal(disk_take(&b), 0);
	disk_close(&a);
	assert_shut_for_writing();
	disk_close(&b);
}

static void test_direct(void **state)
{
	uint8_t *buf;
	struct disk d;
	int r;

	(void)state;
	make_file(3 * 4096 + 700, 7);
	r = disk_open(&d, path, false, true);
	if (r == -EINVAL) {
		print_message("no O_DIRECT on this file system\n");
		skip();
	}
	assert_int_equal(r, 0);
	assert_true(is_pow2(d.align));
	assert_true(is_pow2(d.block_size));
	assert_in_range(d.block_size, 512, 4096);
	assert_int_equal(d.size % d.block_size, 0);
	assert_true(d.size <= 3 * 4096 + 700);
	assert_true(3 * 4096 + 700 - d.size < d.block_size);
	/* What it says must work: every address and offset that it allows. */
	buf = aligned_alloc(8192, 16384);
	assert_non_null(buf);
	assert_int_equal(pread(d.fd, buf + d.align, d.block_size,
			       (off_t)(d.size - d.block_size)),
			 d.block_size);
	assert_int_equal(buf[d.align], 7);
	free(buf);
	disk_close(&d);
}

static void test_discard(void **state)
{
	struct stat before, after;
	struct disk d;
	int r;

	(void)state;
	make_file(MIB(1), 0x5a);
	assert_int_equal(disk_open(&d, path, false, false), 0);
	assert_int_equal(fsync(d.fd), 0);
	assert_int_equal(fstat(d.fd, &before), 0);
	assert_int_equal(before.st_size, MIB(1));
	if (!d.can_discard) {
		disk_close(&d);
		skip();
	}
	r = disk_discard(&d, KIB(64), KIB(512));
	assert_int_equal(r, 0);
	assert_int_equal(fsync(d.fd), 0);
	assert_int_equal(fstat(d.fd, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_true(after.st_blocks < before.st_blocks);
	assert_bytes(0, KIB(64), 0x5a);
	assert_bytes(KIB(64), KIB(512), 0);
	assert_bytes(KIB(576), KIB(448), 0x5a);
	/* Not on block boundaries. */
	assert_int_equal(disk_discard(&d, KIB(600) + 512, 1024), 0);
	assert_bytes(KIB(600), 512, 0x5a);
	assert_bytes(KIB(600) + 1536, 512, 0x5a);
	disk_close(&d);
}

static void test_zero(void **state)
{
	struct stat st;
	struct disk d;
	int r, unmap;

	(void)state;
	make_file(MIB(1), 0x5a);
	assert_int_equal(disk_open(&d, path, false, false), 0);
	for (unmap = 0; unmap < 2; unmap++) {
		uint64_t off = unmap ? KIB(512) : 512;

		r = disk_zero(&d, off, KIB(100), unmap);
		if (r == -EOPNOTSUPP)
			continue;
		assert_int_equal(r, 0);
		assert_bytes(off - 512, 512, 0x5a);
		assert_bytes(off, KIB(100), 0);
		assert_bytes(off + KIB(100), 512, 0x5a);
	}
	assert_int_equal(fstat(d.fd, &st), 0);
	assert_int_equal(st.st_size, MIB(1));
	disk_close(&d);
}

static void test_refused(void **state)
{
	struct disk d;

	(void)state;
	make_file(MIB(1), 0x5a);
	assert_int_equal(disk_open(&d, path, true, false), 0);
	assert_int_equal(disk_discard(&d, 0, 4096), -EBADF);
	assert_int_equal(disk_zero(&d, 0, 4096, true), -EBADF);
	assert_bytes(0, MIB(1), 0x5a);
	disk_close(&d);
}

/* A loop device over the file, or skip. Return: its descriptor. */
static int loop_attach(char *ret_name, size_t len)
{
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int file = open(path, O_RDWR | O_CLOEXEC);
	int n = ctl < 0 ? -1 : ioctl(ctl, LOOP_CTL_GET_FREE);
	int fd;

	(void)snprintf(ret_name, len, "/dev/loop%d", n);
	fd = n < 0 ? -1 : open(ret_name, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, LOOP_SET_FD, file) < 0) {
		(void)close(fd);
		fd = -1;
	}
	if (ctl >= 0)
		(void)close(ctl);
	if (file >= 0)
		(void)close(file);
	if (fd < 0) {
		print_message("no loop device to be had\n");
		skip();
	}
	return fd;
}

static void test_bdev(void **state)
{
	struct disk d = { .fd = -1 };
	char name[32];
	int loop, r, r2;

	(void)state;
	make_file(MIB(1) + 512, 0x5a);
	loop = loop_attach(name, sizeof(name));
	r = disk_open(&d, name, false, false);
	if (!r) {
		r2 = disk_discard(&d, 0, KIB(64));
		if (!r2)
			assert_bytes(0, KIB(64), 0);
		assert_true(r2 == 0 || r2 == -EOPNOTSUPP);
		r2 = disk_zero(&d, KIB(128), KIB(64), false);
		assert_true(r2 == 0 || r2 == -EOPNOTSUPP);
	}
	(void)ioctl(loop, LOOP_CLR_FD, 0);
	(void)close(loop);
	assert_int_equal(r, 0);
	assert_true(d.is_bdev);
	assert_int_equal(d.size, MIB(1) + 512);
	assert_int_equal(d.block_size, 512);
	disk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_kinds, wipe),
		cmocka_unit_test_setup(test_sizes, wipe),
		cmocka_unit_test_setup(test_flags, wipe),
		cmocka_unit_test_setup(test_lock, wipe),
		cmocka_unit_test_setup(test_handover, wipe),
		cmocka_unit_test_setup(test_direct, wipe),
		cmocka_unit_test_setup(test_discard, wipe),
		cmocka_unit_test_setup(test_zero, wipe),
		cmocka_unit_test_setup(test_refused, wipe),
		cmocka_unit_test_setup(test_bdev, wipe),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
