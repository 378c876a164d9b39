/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/csv_abi.h"
#include "core/csv_kvm.h"

/* The kernel, at open() and ioctl() themselves. */

#define VM_FD 100000

static struct {
	char path[32];
	int flags, sev_fd, open_err;
	bool is_file;
	/* Of the last ioctl: which, on what, with which argument. */
	unsigned n;
	int fd;
	unsigned long req;
	uint8_t arg[24];
	/* Its answer. */
	int ret, err;
	uint32_t error;
} k;

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (strcmp(path, "/dev/sev") != 0)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	(void)strncpy(k.path, path, sizeof(k.path) - 1);
	k.flags = flags;
	if (k.open_err) {
		errno = k.open_err;
		return -1;
	}
	k.sev_fd = (int)syscall(SYS_openat, AT_FDCWD,
				k.is_file ? "/proc/self/exe" : "/dev/null",
				O_RDONLY);
	return k.sev_fd;
}

int ioctl(int fd, unsigned long req, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fd != VM_FD && fd != k.sev_fd)
		return (int)syscall(SYS_ioctl, fd, req, arg);
	k.n++;
	k.fd = fd;
	k.req = req;
	memset(k.arg, 0, sizeof(k.arg));
	switch (req) {
	case 0xc008aeba: /* KVM_MEMORY_ENCRYPT_OP, error at 16 */
		memcpy(k.arg, arg, 24);
		memcpy((uint8_t *)arg + 16, &k.error, 4);
		break;
	case 0xc0105300: /* SEV_ISSUE_CMD, error at 12 */
		memcpy(k.arg, arg, 16);
		memcpy((uint8_t *)arg + 12, &k.error, 4);
		break;
	default:
		memcpy(k.arg, arg, 16);
	}
	errno = k.err;
	return k.ret;
}

static uint32_t u32(unsigned at)
{
	uint32_t v;

	memcpy(&v, k.arg + at, sizeof(v));
	return v;
}

static uint64_t u64(unsigned at)
{
	uint64_t v;

	memcpy(&v, k.arg + at, sizeof(v));
	return v;
}

static void *be;

static int setup(void **state)
{
	(void)state;
	int r;

	memset(&k, 0, sizeof(k));
	k.sev_fd = -1;
	r = csv_kvm_open(VM_FD, &be);
	k.n -= r == 0;
	return r;
}

static int teardown(void **state)
{
	(void)state;
	csv_kvm_backend.close(be);
	/* Its own descriptor is gone, the VM's was left alone. */
	return fcntl(k.sev_fd, F_GETFD) == -1 && errno == EBADF ? 0 : -1;
}

static void opened(void **state)
{
	(void)state;
	assert_string_equal(k.path, "/dev/sev");
	assert_int_equal(k.flags & O_ACCMODE, O_RDWR);
	assert_true(k.flags & O_CLOEXEC);
	assert_int_equal(k.n, 0);
	assert_string_equal(csv_kvm_backend.name, "kvm");
}

static void open_fails(void **state)
{
	void *none = &k;

	(void)state;
	k.open_err = ENOENT;
	assert_int_equal(csv_kvm_open(VM_FD, &none), -ENOENT);
	k.open_err = EACCES;
	assert_int_equal(csv_kvm_open(VM_FD, &none), -EACCES);
	assert_ptr_equal(none, &k);
}

/* A file, and devices that know no such command, one way or another. */
static void not_sev(void **state)
{
	int kept = k.sev_fd;
	void *none = &k;

	(void)state;
	k.is_file = true;
	k.n = 0;
	assert_int_equal(csv_kvm_open(VM_FD, &none), -EMEDIUMTYPE);
	assert_int_equal(k.n, 0);
	k.is_file = false;
	k.ret = -1;
	k.err = ENOTTY;
	assert_int_equal(csv_kvm_open(VM_FD, &none), -EMEDIUMTYPE);
	assert_int_equal(k.req, 0xc0105300);
	assert_int_equal(u32(0), 1); /* PLATFORM_STATUS */
	k.err = EINVAL;
	assert_int_equal(csv_kvm_open(VM_FD, &none), -EMEDIUMTYPE);
	assert_int_equal(fcntl(k.sev_fd, F_GETFD), -1);
	assert_ptr_equal(none, &k);
	/* It is the device, and does not work: that is told by what needs it. */
	k.err = EIO;
	assert_int_equal(csv_kvm_open(VM_FD, &none), 0);
	csv_kvm_backend.close(none);
	k.sev_fd = kept;
}

static void issue(void **state)
{
	uint32_t fw = 99;
	int data;

	(void)state;
	assert_int_equal(csv_kvm_backend.issue(be, 3, &data, &fw), 0);
	assert_int_equal(k.fd, VM_FD);
	assert_int_equal(k.req, 0xc008aeba);
	assert_int_equal(u32(0), 3);
	assert_true(u64(8) == (uintptr_t)&data);
	assert_int_equal(u32(16), 0);
	assert_int_equal(u32(20), k.sev_fd);
	assert_int_equal(fw, 0);
	assert_int_equal(csv_kvm_backend.issue(be, 24, NULL, &fw), 0);
	assert_int_equal(u32(0), 24);
	assert_true(u64(8) == 0);
	assert_int_equal(k.n, 2);
}

static void platform(void **state)
{
	uint32_t fw = 99;
	int data;

	(void)state;
	assert_int_equal(csv_kvm_backend.platform(be, 5, &data, &fw), 0);
	assert_int_equal(k.fd, k.sev_fd);
	assert_int_equal(k.req, 0xc0105300);
	assert_int_equal(u32(0), 5);
	assert_true(u64(4) == (uintptr_t)&data);
	assert_int_equal(u32(12), 0);
	assert_int_equal(fw, 0);
}

static void region(void **state)
{
	char ram[64];

	(void)state;
	assert_int_equal(csv_kvm_backend.region(be, ram, 0x123456000, true), 0);
	assert_int_equal(k.fd, VM_FD);
	assert_int_equal(k.req, 0x8010aebb);
	assert_true(u64(0) == (uintptr_t)ram);
	assert_true(u64(8) == 0x123456000);
	assert_int_equal(csv_kvm_backend.region(be, ram, 0x123456000, false), 0);
	assert_int_equal(k.req, 0x8010aebc);
	assert_true(u64(0) == (uintptr_t)ram);
	assert_true(u64(8) == 0x123456000);
	k.ret = -1;
	k.err = ENOMEM;
	assert_int_equal(csv_kvm_backend.region(be, ram, 4096, true), -ENOMEM);
}

static void results(void **state)
{
	static const struct {
		int ret, err;
		uint32_t error;
		int want;
		uint32_t want_fw;
	} row[] = {
		{ -1, EIO, 7, -EIO, 7 },
		/* A paused queue. */
		{ -1, EFAULT, 0x0b, -EIO, 0x0b },
		{ -1, ENOTTY, 0, -ENOTTY, 0 },
		{ -1, EBUSY, 0xffffffff, -EBUSY, 0 },
		{ -1, EIO, 0, -EIO, 0 },
		{ -1, EIO, 0xffff, -EIO, 0xffff },
		/* A rest that was not copied; left-overs next to success. */
		{ 5, 0, 0, -EFAULT, 0 },
		{ 0, 0, 0xffffffff, 0, 0 },
		{ 0, 0, 24, 0, 0 },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint32_t fw = 99;

		k.ret = row[i].ret;
		k.err = row[i].err;
		k.error = row[i].error;
		assert_int_equal(csv_kvm_backend.issue(be, 2, NULL, &fw),
				 row[i].want);
		assert_int_equal(fw, row[i].want_fw);
		fw = 99;
		assert_int_equal(csv_kvm_backend.platform(be, 1, NULL, &fw),
				 row[i].want);
		assert_int_equal(fw, row[i].want_fw);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opened, setup, teardown),
		cmocka_unit_test_setup_teardown(open_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(not_sev, setup, teardown),
		cmocka_unit_test_setup_teardown(issue, setup, teardown),
		cmocka_unit_test_setup_teardown(platform, setup, teardown),
		cmocka_unit_test_setup_teardown(region, setup, teardown),
		cmocka_unit_test_setup_teardown(results, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
