// SPDX-License-Identifier: GPL-2.0-or-later
/* The GHCB MSR, parked APs, the AP jump table, and dirty GHCBs. */
#include "guest.h"

#define PORT 0x60
#define IN8 "0x600011"	  /* IN from PORT, 8 bits */
#define INS8 "0x60001d"	  /* REP INS from PORT, 8 bits */
#define JUMP_TABLE 0x12000

GUEST_CODE(
"idle:	mov	$0x1d, %r12d\n"
"	REPORT	%r12\n"
"	jmp	idle\n"
/* I/O by the page protocol, and what came of it */
"in:	GHCB_NEW 0x7b, " IN8 ", 0\n"
"	GHCB_GO\n"
"	movzbl	0x1f8(%rbx), %r12d\n"
"	REPORT	%r12\n"
"	jmp	in\n"
"ins:	GHCB_NEW 0x7b, " INS8 ", 4\n"
"	GHCB_SCRATCH " STR(SCRATCH) "\n"
"	GHCB_GO\n"
"	mov	" STR(SCRATCH) ", %r12d\n"
"	REPORT	%r12\n"
"	jmp	ins\n"
"ins_in:	GHCB_NEW 0x7b, " INS8 ", 4\n"
"	GHCB_SCRATCH 0x40800\n"
"	GHCB_GO\n"
"	mov	0x800(%rbx), %r12d\n"
"	REPORT	%r12\n"
"	jmp	ins_in\n"
/* RDMSR of the GHCB MSR, as an exit */
"rd:	GHCB_NEW 0x7c, 0, 0\n"
"	GHCB_RCX 0xc0010130\n"
"	GHCB_GO\n"
"	mov	0x398(%rbx), %r13\n"
"	mov	0x3a0(%rbx), %r12\n"
"	REPORT	%r13\n"
"	REPORT	%r12\n"
"	jmp	rd\n"
/* APs that are parked, and report when they are told of a SIPI */
"nae:	GHCB_NEW 0x80000004, 0, 0\n"
"	GHCB_GO\n"
"	mov	0x3a0(%rbx), %r12\n"
"	incq	" STR(SCRATCH) "\n"
"	test	%r12, %r12\n"
"	jz	nae\n"
"	REPORT	%r12\n"
"	jmp	nae\n"
"msr:	mov	$6, %eax\n"
"	SET_GHCB\n"
"	VMGEXIT\n"
"	rdmsr\n"
"	incq	" STR(SCRATCH) "\n"
"	mov	%eax, %r12d\n"
"	and	$0xfff, %r12d\n"
"	cmp	$7, %r12d\n"
"	jne	1f\n"
"	shl	$32, %rdx\n"
"	or	%rdx, %rax\n"
"	shr	$12, %rax\n"
"	jz	msr\n"
"	mov	%rax, %r12\n"
"	REPORT	%r12\n"
"	jmp	msr\n"
"1:	FAIL	1\n"
"jump:	GHCB_NEW 0x80000005, 0, 0x12000\n"
"	GHCB_GO\n"
"1:	GHCB_NEW 0x80000005, 1, 0\n"
"	GHCB_GO\n"
"	mov	0x3a0(%rbx), %r12\n"
"	REPORT	%r12\n"
"	jmp	1b\n");
GUEST_LABEL(idle);
GUEST_LABEL(in);
GUEST_LABEL(ins);
GUEST_LABEL(ins_in);
GUEST_LABEL(rd);
GUEST_LABEL(nae);
GUEST_LABEL(msr);
GUEST_LABEL(jump);

static int has_cap(int fd, long cap)
{
	return xioctl(fd, KVM_CHECK_EXTENSION, (void *)cap);
}

static void test_capability(void)
{
	static const enum kind kinds[] = { PLAIN, SEV, SEV_ES, SEV_ES_TYPED };
	static struct {
		struct kvm_msr_list head;
		uint32_t index[1000];
	} list = { .head.nmsrs = 1000 };
	struct vm vm;
	bool found = false;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		bool here = on_hygon() && kinds[i] >= SEV_ES;

		vm_open(&vm, kinds[i], 1);
		CHECK_EQ(has_cap(vm.kvm, CAP_SEV_ES_GHCB), on_hygon());
		CHECK_EQ(has_cap(vm.fd, CAP_SEV_ES_GHCB), here);
		CHECK_EQ(has_cap(vm.fd, CAP_VM_ATTRIBUTES), here);
		CHECK_EQ(xioctl(vm.kvm, KVM_GET_MSR_INDEX_LIST, &list), 0);
		vm_close(&vm);
	}
	for (i = 0; i < list.head.nmsrs; i++)
		found |= list.index[i] == MSR_GHCB;
	CHECK_EQ(found, on_hygon());
}

static void test_wrong_kind(enum kind kind)
{
	uint64_t value = 1;
	struct vm vm;

	vm_open(&vm, kind, 1);
	CHECK_EQ(vcpu_get_msr(&vm.vcpu[0], MSR_GHCB, &value), on_hygon());
	if (on_hygon())
		CHECK_EQ(value, 0);
	CHECK_EQ(vcpu_set_msr(&vm.vcpu[0], MSR_GHCB, 0x40000 | GHCB_MAPPED),
		 on_hygon());
	vm_close(&vm);
}

/* It's not for AMD, and nothing has changed there. */
static void test_amd(void)
{
	uint64_t value = 1;
	struct vm vm;

	vm_open(&vm, SEV_ES, 1);
	vm_load(&vm);
	vm_launch(&vm, in, in);
	CHECK_EQ(vcpu_run(&vm.vcpu[0]), 0);
	CHECK_EQ(vm.vcpu[0].run->exit_reason, KVM_EXIT_IO);
	CHECK_EQ(vcpu_get_msr(&vm.vcpu[0], MSR_GHCB, &value), 1);
	CHECK_EQ(value, 0);
	CHECK_EQ(vcpu_set_msr(&vm.vcpu[0], MSR_GHCB, 0x12006), 1);
	((uint8_t *)vm.vcpu[0].run)[vm.vcpu[0].run->io.data_offset] = 0x5a;
	CHECK_EQ(vcpu_report(&vm.vcpu[0]), 0x5a);
	CHECK_EQ(get_attr(vm.fd, KVM_HAS_DEVICE_ATTR, GRP_SEV,
			  ATTR_AP_JUMP_TABLE, NULL), -ENXIO);
	vm_close(&vm);
}

static bool is_in(struct vcpu *v, uint32_t count)
{
	return CHECK_EQ(vcpu_run(v), 0) &&
	       CHECK_EQ(v->run->exit_reason, KVM_EXIT_IO) &&
	       CHECK_EQ(v->run->io.port, PORT) &&
	       CHECK_EQ(v->run->io.direction, KVM_EXIT_IO_IN) &&
	       CHECK_EQ(v->run->io.count, count);
}

static void io_data(struct vcpu *v, uint32_t data)
{
	memcpy((uint8_t *)v->run + v->run->io.data_offset, &data,
	       v->run->io.count);
}

static uint64_t ghcb_msr(struct vcpu *v)
{
	uint64_t value = 0;

	CHECK_EQ(vcpu_get_msr(v, MSR_GHCB, &value), 1);
	return value;
}

static void test_values(enum kind kind)
{
	static const uint64_t raw[] = { 6, 7, 0x1007, 0x100, 0x123456789abc4,
					0xfffffffffffffffeULL };
	struct vcpu *v;
	struct vm vm;
	unsigned int i;

	vm_open(&vm, kind, 1);
	v = &vm.vcpu[0];
	vm_load(&vm);
	/* SEV_INFO of version 1 and the C-bit, as a vCPU starts */
	CHECK_EQ(ghcb_msr(v) & 0xfff, 1);
	CHECK_EQ(ghcb_msr(v) >> 48, 1);
	vm_launch(&vm, in, in);
	CHECK_EQ(ghcb_msr(v) & 0xfff, 1);

	/* the MSR protocol's values are as they are */
	for (i = 0; i < sizeof(raw) / sizeof(*raw); i++) {
		CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, raw[i]), 1);
		CHECK_EQ(ghcb_msr(v), raw[i]);
	}
	/* zero is no value */
	CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, 0), 1);
	CHECK_EQ(ghcb_msr(v), raw[i - 1]);
	/* a page's have reserved bits, and status */
	CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(1) | 0x3ffULL << 52), 1);
	CHECK_EQ(ghcb_msr(v), GHCB(1));
	CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(1) | GHCB_MAPPED), 1);
	CHECK_EQ(ghcb_msr(v), GHCB(1) | GHCB_MAPPED);
	CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(2) | GHCB_MAPPED), 1);
	CHECK_EQ(ghcb_msr(v), GHCB(2) | GHCB_MAPPED);
	/* without bit 63 the same page stays, another one or none unmaps it */
	CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(2)), 1);
	CHECK_EQ(ghcb_msr(v), GHCB(2) | GHCB_MAPPED);
	CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(1)), 1);
	CHECK_EQ(ghcb_msr(v), GHCB(1));
	CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(1) | GHCB_MAPPED), 1);
	CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, 0x1007), 1);
	CHECK_EQ(ghcb_msr(v), 0x1007);
	CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(1)), 1);
	CHECK_EQ(ghcb_msr(v), GHCB(1));

	/* what the guest does shows */
	if (is_in(v, 1)) {
		CHECK_EQ(ghcb_msr(v), GHCB(0) | GHCB_MAPPED);
		/* I/O is under way to the page */
		CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(1)), 0);
		CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, 7), 0);
		CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(0) | GHCB_MAPPED), 1);
		CHECK_EQ(ghcb_msr(v), GHCB(0) | GHCB_MAPPED);
		io_data(v, 0x17);
	}
	CHECK_EQ(vcpu_report(v), 0x17);
	CHECK_EQ(ghcb_msr(v), 0x17 << 24 | 0x100);
	if (is_in(v, 1)) {
		io_data(v, 0x18);
		CHECK_EQ(vcpu_complete(v), 0);
		/* now it may go, and the result with it */
		CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(0) | GHCB_FIRST_SIPI), 1);
		CHECK_EQ(ghcb_msr(v), GHCB(0) | GHCB_MAPPED | GHCB_FIRST_SIPI);
		CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(1)), 1);
		CHECK_EQ(ghcb_msr(v), GHCB(1) | GHCB_FIRST_SIPI);
	}
	vm_close(&vm);
}

static bool fails_to_enter(struct vcpu *v)
{
	return CHECK_EQ(vcpu_run(v), 0) &&
	       CHECK_EQ(v->run->exit_reason, KVM_EXIT_FAIL_ENTRY) &&
	       CHECK_EQ(v->run->fail_entry.hardware_entry_failure_reason,
			0xffffffff);
}

static void test_map_failure(bool repair)
{
	static const uint64_t bad[] = { 0x80000000, 0, MEM_SIZE,
					0xffffffffff000 };
	struct vcpu *v;
	struct vm vm;
	int i;

	vm_open(&vm, SEV_ES, 1);
	v = &vm.vcpu[0];
	vm_load(&vm);
	vm_launch(&vm, in, in);
	if (is_in(v, 1))
		io_data(v, 0x42);
	CHECK_EQ(vcpu_complete(v), 0);
	for (i = 0; i < 4; i++) {
		CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, bad[i] | GHCB_MAPPED), 0);
		CHECK_EQ(ghcb_msr(v), GHCB(0) | GHCB_MAPPED);
		fails_to_enter(v);
		fails_to_enter(v);
		if (repair)
			CHECK_EQ(vcpu_set_msr(v, MSR_GHCB,
					      GHCB(0) | GHCB_MAPPED), 1);
	}
	if (repair)
		CHECK_EQ(vcpu_report(v), 0x42);
	vm_close(&vm);
}

static void test_guest_access(void)
{
	struct vm vm;

	vm_open(&vm, SEV_ES, 1);
	vm_load(&vm);
	vm_launch(&vm, rd, rd);
	CHECK_EQ(vcpu_report(&vm.vcpu[0]), 1); /* exception ... */
	/* ... #GP, with KVM's sign bit */
	CHECK_EQ((uint32_t)vcpu_report(&vm.vcpu[0]), 0x8000030d);
	vm_close(&vm);
}

/* Migration of a vCPU that is in an exit for I/O. */
static void test_migrate_io(const uint8_t *label, uint32_t count, uint32_t data)
{
	struct vm src, dst;

	vm_open(&src, SEV_ES, 1);
	vm_open(&dst, SEV_ES, 1);
	vm_load(&src);
	vm_launch(&src, label, label);
	if (is_in(&src.vcpu[0], count))
		io_data(&src.vcpu[0], data);
	CHECK_EQ(vcpu_complete(&src.vcpu[0]), 0);
	vm_migrate(&src, &dst);
	vcpu_move(&src.vcpu[0], &dst.vcpu[0]);
	CHECK_EQ(ghcb_msr(&dst.vcpu[0]), GHCB(0) | GHCB_MAPPED);
	vm_close(&src);
	CHECK_EQ(vcpu_report(&dst.vcpu[0]), data);
	if (is_in(&dst.vcpu[0], count))
		io_data(&dst.vcpu[0], data + 1);
	CHECK_EQ(vcpu_report(&dst.vcpu[0]), data + 1);
	vm_close(&dst);
}

/*
 * Migration of an AP that waits for a SIPI. After an INIT it does so in
 * another state. And a VMM may set the MSR after the state.
 */
static void test_migrate_ap(const uint8_t *label, bool init, bool msr_last)
{
	struct vcpu *a, *b;
	struct vm src, dst;
	uint64_t ghcb;
	int i;

	vm_open(&src, SEV_ES, 2);
	vm_open(&dst, SEV_ES, 2);
	a = &src.vcpu[1];
	b = &dst.vcpu[1];
	vm_load(&src);
	vm_launch(&src, idle, label);
	CHECK_EQ(vcpu_mp_state(a), KVM_MP_STATE_UNINITIALIZED);
	vm_msi(&src, 1, MSI_INIT);
	vm_msi(&src, 1, MSI_SIPI);
	vcpu_run_to_wait(a);
	CHECK_EQ(vcpu_mp_state(a), MP_AP_RESET_HOLD);
	if (init) {
		vm_msi(&src, 1, MSI_INIT);
		CHECK_EQ(vcpu_mp_state(a), KVM_MP_STATE_INIT_RECEIVED);
	}
	ghcb = ghcb_msr(a);
	CHECK_EQ(ghcb, label == nae ? GHCB(1) | GHCB_MAPPED | GHCB_FIRST_SIPI : 7);
	vm_migrate(&src, &dst);
	vcpu_move(&src.vcpu[0], &dst.vcpu[0]);
	if (msr_last) {
		CHECK_EQ(vcpu_set_mp_state(b, vcpu_mp_state(a)), 0);
		CHECK_EQ(vcpu_set_msr(b, MSR_GHCB, ghcb), 1);
	} else {
		vcpu_move(a, b);
	}
	CHECK_EQ(ghcb_msr(b), ghcb);
	vm_close(&src);
	for (i = 0; i < 2; i++) {
		*(uint64_t *)(dst.mem + SCRATCH) = 0;
		if (!init || i)
			vm_msi(&dst, 1, MSI_INIT);
		vm_msi(&dst, 1, MSI_SIPI);
		CHECK_EQ(vcpu_report_soon(b), 1);
		/* it has come back once, and not because of something else */
		CHECK_EQ(*(uint64_t *)(dst.mem + SCRATCH), 1);
		vcpu_run_to_wait(b);
		CHECK_EQ(vcpu_mp_state(b), MP_AP_RESET_HOLD);
	}
	vm_close(&dst);
}

/* An AP that was never started starts with its first SIPI. */
static void test_migrate_new_ap(void)
{
	struct vm src, dst;

	vm_open(&src, SEV_ES, 2);
	vm_open(&dst, SEV_ES, 2);
	vm_load(&src);
	vm_launch(&src, idle, idle);
	vm_migrate(&src, &dst);
	vcpu_move(&src.vcpu[0], &dst.vcpu[0]);
	vcpu_move(&src.vcpu[1], &dst.vcpu[1]);
	CHECK_EQ(vcpu_mp_state(&dst.vcpu[1]), KVM_MP_STATE_UNINITIALIZED);
	vm_msi(&dst, 1, MSI_INIT);
	vm_msi(&dst, 1, MSI_SIPI);
	CHECK_EQ(vcpu_report_soon(&dst.vcpu[1]), 0x1d);
	vm_close(&src);
	vm_close(&dst);
}

/* An AP that runs has had its first SIPI; the next is for the one after. */
static void test_migrate_running_ap(const uint8_t *label)
{
	struct vm src, dst;

	vm_open(&src, SEV_ES, 2);
	vm_open(&dst, SEV_ES, 2);
	vm_load(&src);
	vm_launch(&src, idle, label);
	/* it hasn't run, but could have been: the state is the same */
	CHECK_EQ(vcpu_set_mp_state(&src.vcpu[1], KVM_MP_STATE_RUNNABLE), 0);
	vm_migrate(&src, &dst);
	vcpu_move(&src.vcpu[0], &dst.vcpu[0]);
	vcpu_move(&src.vcpu[1], &dst.vcpu[1]);
	vcpu_run_to_wait(&dst.vcpu[1]);
	CHECK_EQ(vcpu_mp_state(&dst.vcpu[1]), MP_AP_RESET_HOLD);
	vm_msi(&dst, 1, MSI_INIT);
	vm_msi(&dst, 1, MSI_SIPI);
	CHECK_EQ(vcpu_report_soon(&dst.vcpu[1]), 1);
	vm_close(&src);
	vm_close(&dst);
}

static bool dirty(struct vm *vm, uint64_t gpa)
{
	static uint8_t bits[MEM_SIZE / 4096 / 8];
	struct kvm_dirty_log log = { .dirty_bitmap = bits };

	must(xioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), "KVM_GET_DIRTY_LOG");
	return bits[gpa / 4096 / 8] & 1 << (gpa / 4096 % 8);
}

static void test_dirty_io(void)
{
	struct vcpu *v;
	struct vm vm;

	vm_open(&vm, SEV_ES, 1);
	v = &vm.vcpu[0];
	vm_load(&vm);
	vm_launch(&vm, ins_in, ins_in);
	vm_set_memory(&vm, KVM_MEM_LOG_DIRTY_PAGES);
	if (is_in(v, 4)) {
		CHECK(dirty(&vm, GHCB(0)));
		CHECK(!dirty(&vm, GHCB(0)));
		io_data(v, 0x44332211);
		CHECK_EQ(vcpu_complete(v), 0);
		CHECK(dirty(&vm, GHCB(0)));
		CHECK(!dirty(&vm, GHCB(0)));
		CHECK_EQ(*(uint32_t *)(vm.mem + GHCB(0) + 0x800), 0x44332211);
	}
	CHECK_EQ(vcpu_report(v), 0x44332211);
	vm_close(&vm);
}

static void test_dirty_scratch(void)
{
	struct vcpu *v;
	struct vm vm;

	vm_open(&vm, SEV_ES, 1);
	v = &vm.vcpu[0];
	vm_load(&vm);
	vm_launch(&vm, ins, ins);
	vm_set_memory(&vm, KVM_MEM_LOG_DIRTY_PAGES);
	if (is_in(v, 4)) {
		dirty(&vm, 0);
		io_data(v, 0x44332211);
		CHECK_EQ(vcpu_complete(v), 0);
		CHECK(dirty(&vm, SCRATCH));
		CHECK_EQ(*(uint32_t *)(vm.mem + SCRATCH), 0x44332211);
	}
	CHECK_EQ(vcpu_report(v), 0x44332211);
	vm_close(&vm);
}

static void test_dirty_sipi(void)
{
	struct vcpu *v;
	struct vm vm;

	vm_open(&vm, SEV_ES, 2);
	v = &vm.vcpu[1];
	vm_load(&vm);
	vm_launch(&vm, idle, nae);
	vm_msi(&vm, 1, MSI_INIT);
	vm_msi(&vm, 1, MSI_SIPI);
	vm_set_memory(&vm, KVM_MEM_LOG_DIRTY_PAGES);
	vcpu_run_to_wait(v);
	CHECK(dirty(&vm, GHCB(1)));
	CHECK(!dirty(&vm, GHCB(1)));
	CHECK_EQ(*(uint64_t *)(vm.mem + GHCB(1) + 0x3a0), 0);
	vm_msi(&vm, 1, MSI_INIT);
	vm_msi(&vm, 1, MSI_SIPI);
	CHECK_EQ(vcpu_mp_state(v), KVM_MP_STATE_RUNNABLE);
	CHECK_EQ(*(uint64_t *)(vm.mem + GHCB(1) + 0x3a0), 1);
	CHECK(dirty(&vm, GHCB(1)));
	vm_close(&vm);
}

static void test_jump_table(void)
{
	struct vm src, dst;
	uint64_t at = 1;

	vm_open(&src, SEV_ES, 1);
	vm_open(&dst, SEV_ES, 1);
	vm_load(&src);
	vm_launch(&src, jump, jump);
	CHECK_EQ(get_attr(src.fd, KVM_HAS_DEVICE_ATTR, GRP_SEV, 0, NULL), -ENXIO);
	CHECK_EQ(get_attr(src.fd, KVM_HAS_DEVICE_ATTR, 0, ATTR_AP_JUMP_TABLE,
			  NULL), -ENXIO);
	CHECK_EQ(get_attr(src.kvm, KVM_HAS_DEVICE_ATTR, GRP_SEV,
			  ATTR_AP_JUMP_TABLE, NULL), -ENXIO);
	CHECK_EQ(get_attr(src.fd, KVM_HAS_DEVICE_ATTR, GRP_SEV,
			  ATTR_AP_JUMP_TABLE, NULL), 0);
	CHECK_EQ(get_attr(src.fd, KVM_GET_DEVICE_ATTR, GRP_SEV,
			  ATTR_AP_JUMP_TABLE, NULL), -EFAULT);
	CHECK_EQ(get_attr(src.fd, KVM_SET_DEVICE_ATTR, GRP_SEV,
			  ATTR_AP_JUMP_TABLE, NULL), -EFAULT);
	CHECK_EQ(get_attr(src.fd, KVM_GET_DEVICE_ATTR, GRP_SEV,
			  ATTR_AP_JUMP_TABLE, &at), 0);
	CHECK_EQ(at, 0);
	CHECK_EQ(vcpu_report(&src.vcpu[0]), JUMP_TABLE);
	CHECK_EQ(get_attr(src.fd, KVM_GET_DEVICE_ATTR, GRP_SEV,
			  ATTR_AP_JUMP_TABLE, &at), 0);
	CHECK_EQ(at, JUMP_TABLE);
	vm_migrate(&src, &dst);
	vcpu_move(&src.vcpu[0], &dst.vcpu[0]);
	CHECK_EQ(get_attr(dst.fd, KVM_SET_DEVICE_ATTR, GRP_SEV,
			  ATTR_AP_JUMP_TABLE, &at), 0);
	CHECK_EQ(vcpu_report(&dst.vcpu[0]), JUMP_TABLE);
	vm_close(&src);
	vm_close(&dst);

	vm_open(&src, PLAIN, 1);
	CHECK_EQ(get_attr(src.fd, KVM_HAS_DEVICE_ATTR, GRP_SEV,
			  ATTR_AP_JUMP_TABLE, NULL), -ENXIO);
	vm_close(&src);
}

int main(void)
{
	need_sev();
	guest_signals();
	TEST(test_capability());
	TEST(test_wrong_kind(PLAIN));
	TEST(test_wrong_kind(SEV));
	TEST(test_dirty_io());
	TEST(test_dirty_scratch());
	TEST(test_dirty_sipi());
	if (!on_hygon()) {
		TEST(test_amd());
		return test_report();
	}
	TEST(test_values(SEV_ES));
	TEST(test_map_failure(false));
	TEST(test_map_failure(true));
	TEST(test_guest_access());
	TEST(test_migrate_io(in, 1, 0x5a));
	TEST(test_migrate_io(ins, 4, 0x12345678));
	TEST(test_migrate_io(ins_in, 4, 0x12345678));
	TEST(test_migrate_ap(nae, false, false));
	TEST(test_migrate_ap(nae, false, true));
	TEST(test_migrate_ap(nae, true, false));
	TEST(test_migrate_ap(nae, true, true));
	TEST(test_migrate_ap(msr, false, false));
	TEST(test_migrate_ap(msr, false, true));
	TEST(test_migrate_ap(msr, true, false));
	TEST(test_migrate_ap(msr, true, true));
	TEST(test_migrate_new_ap());
	TEST(test_migrate_running_ap(nae));
	TEST(test_migrate_running_ap(msr));
	TEST(test_jump_table());
	return test_report();
}
