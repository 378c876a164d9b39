/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <linux/kvm.h>
#include <string.h>

#include "core/bytes.h"
#include "vmm/boot.h"
#include "vmm/vmsa.h"

/* An application processor after INIT; offsets of [APM] 2 table B-4. */
static void test_reset_bytes(void **state)
{
	static const uint8_t cs[16] = { 0, 0xf0, 0x9b, 0, 0xff, 0xff,
					0, 0,	 0,    0, 0xff, 0xff };
	struct boot_info boot = { .entry = 0x1234 };
	uint8_t page[VMSA_SIZE], want[VMSA_SIZE] = { 0 };
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	unsigned off;

	(void)state;
	for (off = 0; off < 0x60; off += 16)
		put_le64(want + off, 0xffff00930000);
	memcpy(want + 0x10, cs, sizeof(cs));
	put_le32(want + 0x64, 0xffff);
	put_le64(want + 0x70, 0xffff00820000);
	put_le32(want + 0x84, 0xffff);
	put_le64(want + 0x90, 0xffff008b0000);
	put_le64(want + 0xd0, 0x1000);
	put_le64(want + 0x148, 0x40);
	put_le64(want + 0x158, 0x10);
	put_le64(want + 0x160, 0x400);
	put_le64(want + 0x168, 0xffff0ff0);
	put_le64(want + 0x170, 2);
	put_le64(want + 0x178, 0xfff0);
	put_le64(want + 0x268, 0x0007040600070406);
	put_le64(want + 0x310, 0x600);
	put_le64(want + 0x3e8, 1);
	vmsa_initial_regs(1, &boot, &regs, &sregs);
	vmsa_build(page, &regs, &sregs, 1, VMSA_HOST_MAINLINE_6_12);
	assert_memory_equal(page, want, sizeof(page));
}

static void test_round_trip(void **state)
{
	struct boot_info boot = { .entry = 0x1234, .rsp = 0x8000, .cr3 = 0x1000 };
	uint8_t page[VMSA_SIZE], again[VMSA_SIZE];
	struct kvm_sregs sregs, s2 = { 0 };
	struct kvm_regs regs, r2;
	uint64_t xcr0;

	(void)state;
	vmsa_initial_regs(0, &boot, &regs, &sregs);
	vmsa_build(page, &regs, &sregs, 7, VMSA_HOST_VENDOR_6_6);
	assert_int_equal(get_le16(page + 0x12), 0xa9b);
	assert_int_equal(get_le16(page + 0x32), 0xc93);
	assert_int_equal(get_le64(page + 0xd0), 0x1500);
	vmsa_parse(page, &r2, &s2, &xcr0);
	assert_int_equal(xcr0, 7);
	assert_memory_equal(&regs, &r2, sizeof(regs));
	assert_int_equal(s2.efer, 0x500);
	vmsa_build(again, &r2, &s2, xcr0, VMSA_HOST_VENDOR_6_6);
	assert_memory_equal(page, again, sizeof(page));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_bytes),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
