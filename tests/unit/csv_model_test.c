/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/kvm.h>

#include "vmm/csv_model.h"

static uint8_t ram[2][8192] __attribute__((aligned(4096)));

static int issue(struct csv_model *m, uint32_t cmd, void *arg)
{
	uint32_t fw;

	return csv_model_backend.issue(m, cmd, arg, &fw);
}

/* Two platforms in one process; memory must be registered; INIT once. */
static void test_two(void **state)
{
	struct kvm_sev_launch_update_data d = { .len = 8192 };
	struct kvm_sev_launch_start s = { .policy = 0 };
	struct kvm_sev_launch_measure q = { 0 };
	struct csv_model *m[2];
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(csv_model_open(i ? PSP_AMD : PSP_HYGON,
						VMSA_HOST_MAINLINE_6_12, &m[i]),
				 0);
		assert_int_equal(issue(m[i], KVM_SEV_LAUNCH_START, &s), -ENOTTY);
		assert_int_equal(issue(m[i], KVM_SEV_INIT, NULL), 0);
		assert_int_equal(issue(m[i], KVM_SEV_INIT, NULL), -EINVAL);
		s.handle = 0;
		assert_int_equal(issue(m[i], KVM_SEV_LAUNCH_START, &s), 0);
	}
	for (i = 0; i < 2; i++) {
		d.uaddr = (uintptr_t)ram[i];
		assert_int_equal(issue(m[i], KVM_SEV_LAUNCH_UPDATE_DATA, &d),
				 -EFAULT);
		assert_int_equal(
			csv_model_backend.region(m[i], ram[i], 8192, true), 0);
		assert_int_equal(issue(m[i], KVM_SEV_LAUNCH_UPDATE_DATA, &d), 0);
		q.len = 0;
		assert_int_equal(issue(m[i], KVM_SEV_LAUNCH_MEASURE, &q), -EIO);
		assert_int_equal(q.len, 48);
		csv_model_backend.close(m[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_two) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
