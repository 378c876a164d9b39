/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One MSR at a time, on this machine's KVM. */
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/gmem.h"
#include "core/kvm.h"
#include "core/util.h"

/* [APM2] 7.8.2: the type of each byte is 0, 1, 4, 5, 6 or 7. */
#define MSR_PAT	  0x277u
#define PAT_OTHER 0x0100070406050706ULL
#define MSR_NONE \
	0x4b564dffu /* the last of KVM's own range, which it has not used */

static struct gmem gm;
static int kvm_fd, vm_fd, vcpu_fd;
static struct kvm_run *run;

static int setup(void **state)
{
	(void)state;
	kvm_fd = kvm_open();
	if (kvm_fd < 0)
		return 0;
	assert_int_equal(gmem_init(&gm, MIB(1), false), 0);
	vm_fd = kvm_create_vm(kvm_fd, &gm);
	assert_true(vm_fd >= 0);
	vcpu_fd = kvm_create_vcpu(kvm_fd, vm_fd, 0, &run);
	assert_true(vcpu_fd >= 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (kvm_fd < 0)
		return 0;
	(void)munmap(run, (size_t)kvm_run_size(kvm_fd));
	(void)close(vcpu_fd);
	(void)close(vm_fd);
	gmem_fini(&gm);
	return close(kvm_fd);
}

static void test_there(void **state)
{
	uint64_t v = 0;

	(void)state;
	if (kvm_fd < 0)
		skip();
	assert_int_equal(kvm_set_msr(vcpu_fd, MSR_PAT, PAT_OTHER), 0);
	assert_int_equal(kvm_get_msr(vcpu_fd, MSR_PAT, &v), 0);
	assert_true(v == PAT_OTHER);
}

static void test_not_there(void **state)
{
	uint64_t v = 77;

	(void)state;
	if (kvm_fd < 0)
		skip();
	assert_int_equal(kvm_get_msr(vcpu_fd, MSR_NONE, &v), -ENOENT);
	assert_int_equal(v, 77);
	assert_int_equal(kvm_set_msr(vcpu_fd, MSR_NONE, 1), -EINVAL);
	assert_int_equal(kvm_get_msr(-1, MSR_PAT, &v), -EBADF);
	assert_int_equal(kvm_set_msr(-1, MSR_PAT, 1), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there),
		cmocka_unit_test(test_not_there),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
