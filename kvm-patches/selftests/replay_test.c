// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VMSA that the host puts back: what VMRUN says to an older one at the same
 * address, to one with a changed bit, and to the last one again. AMD's check
 * a VMSA's integrity and refuse; Hygon's take what is there.
 *
 * Finds the VMCB, and in it the address of the VMSA, in /dev/mem: as root, on
 * a kernel without STRICT_DEVMEM, with one such guest.
 */
#include "guest.h"

GUEST_CODE(
"count:	inc	%r13\n"
"	REPORT	%r13\n"
"	jmp	count\n");
GUEST_LABEL(count);

#define PAGE 4096UL
#define SVM_EXIT_ERR 0xffffffff

static int dev_mem;

/* Where this VMCB control area has the VMSA, or 0 */
static uint64_t vmsa_of(const uint8_t *vmcb)
{
	uint32_t asid = *(uint32_t *)(vmcb + 0x58);
	uint64_t vmsa = *(uint64_t *)(vmcb + 0x108);

	if (*(uint64_t *)(vmcb + 0x90) != 7 || !asid || asid > 509 ||
	    !(vmcb[0xb8] & 1) || vmsa % PAGE)
		return 0;
	return vmsa;
}

static void vmsa_read(uint64_t at, uint8_t page[PAGE])
{
	if (pread(dev_mem, page, PAGE, at) != PAGE)
		die("read of /dev/mem");
}

static void vmsa_write(uint64_t at, const uint8_t page[PAGE])
{
	if (pwrite(dev_mem, page, PAGE, at) != PAGE)
		die("write of /dev/mem");
}

/* Adds what is found from @at to @end. Return: how many there are. */
static int scan(uint64_t at, uint64_t end, uint64_t *found, int n, int max)
{
	uint8_t vmcb[0x110];
	uint64_t vmsa;

	for (; at < end && n < max; at += PAGE) {
		if (pread(dev_mem, vmcb, sizeof(vmcb), at) != sizeof(vmcb))
			die("read of /dev/mem");
		vmsa = vmsa_of(vmcb);
		if (vmsa)
			found[n++] = vmsa;
	}
	return n;
}

static int scan_ram(uint64_t *found, int max)
{
	unsigned long start, end;
	char line[128];
	int n = 0;
	FILE *f = fopen("/proc/iomem", "r");

	if (!f)
		die("/proc/iomem");
	while (fgets(line, sizeof(line), f))
		if (line[0] != ' ' && strstr(line, "System RAM") &&
		    sscanf(line, "%lx-%lx", &start, &end) == 2 && start >= (1UL << 20))
			n = scan(start, (end + 1) & ~(PAGE - 1), found, n, max);
	fclose(f);
	return n;
}

/* There may be VMCBs of former guests: only the running one's VMSA changes. */
static uint64_t find_vmsa(struct vcpu *v, int64_t *report)
{
	static uint8_t before[64][PAGE], after[PAGE];
	uint64_t found[64], vmsa = 0;
	int i, n = scan_ram(found, 64);

	for (i = 0; i < n; i++)
		vmsa_read(found[i], before[i]);
	CHECK_EQ(vcpu_report(v), ++*report);
	for (i = 0; i < n; i++) {
		vmsa_read(found[i], after);
		if (memcmp(before[i], after, PAGE)) {
			CHECK(!vmsa || vmsa == found[i]);
			vmsa = found[i];
		}
	}
	printf("# %d VMCBs, the VMSA is at %#lx\n", n, (unsigned long)vmsa);
	return vmsa;
}

static void check_refused(struct vcpu *v)
{
	CHECK_EQ(vcpu_run(v), 0);
	CHECK_EQ(v->run->exit_reason, KVM_EXIT_FAIL_ENTRY);
	CHECK_EQ((uint32_t)v->run->fail_entry.hardware_entry_failure_reason,
		 SVM_EXIT_ERR);
}

static void test_replay(enum kind kind)
{
	uint8_t old[PAGE], last[PAGE], bad[PAGE];
	int64_t report = 0;
	struct vcpu *v;
	struct vm vm;
	uint64_t at;

	vm_open(&vm, kind, 1);
	v = &vm.vcpu[0];
	vm_load(&vm);
	vm_launch(&vm, count, count);
	CHECK_EQ(vcpu_report(v), ++report);
	at = find_vmsa(v, &report);
	if (!CHECK(at))
		goto close;
	vmsa_read(at, old);
	CHECK_EQ(vcpu_report(v), ++report);
	CHECK_EQ(vcpu_report(v), ++report);
	vmsa_read(at, last);
	CHECK(memcmp(old, last, PAGE));

	vmsa_write(at, old);
	if (on_hygon()) {
		report -= 2;
		CHECK_EQ(vcpu_report(v), ++report);
		vmsa_read(at, last);
	} else {
		check_refused(v);
		check_refused(v);
		memcpy(bad, last, PAGE);
		bad[PAGE - 1] ^= 1; /* where no register is */
		vmsa_write(at, bad);
		check_refused(v);
	}
	vmsa_write(at, last);
	CHECK_EQ(vcpu_report(v), ++report);
	CHECK_EQ(vcpu_report(v), ++report);
close:
	vm_close(&vm);
}

int main(void)
{
	dev_mem = open("/dev/mem", O_RDWR | O_CLOEXEC);
	if (dev_mem < 0) {
		printf("1..0 # SKIP /dev/mem: %s\n", strerror(errno));
		return 77;
	}
	need_sev();
	guest_signals();
	TEST(test_replay(SEV_ES));
	TEST(test_replay(SEV_ES_TYPED));
	return test_report();
}
