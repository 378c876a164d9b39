// SPDX-License-Identifier: GPL-2.0-or-later
/* KVM_CONTROL_PRE_SYSTEM_RESET and KVM_CONTROL_POST_SYSTEM_RESET. */
#include "guest.h"

/*
 * boot: writes control registers, XMM and its private memory, shares itself a
 * GHCB, and does I/O, so that there is something to reset. Reports first what
 * it finds: RAX, XMM0 and CR0 must be as launched. Private memory stays.
 * The AP says so when it is started the second time without a reset.
 */
GUEST_CODE(
"boot:	mov	%rax, %r13\n"
"	REPORT	%r13\n"
"	movq	%xmm0, %r13\n"
"	REPORT	%r13\n"
"	mov	%cr0, %r13\n"
"	REPORT	%r13\n"
"	incq	" STR(DATA) "\n"
"	mov	" STR(DATA) ", %r13\n"
"	REPORT	%r13\n"
"	mov	%cr0, %rax\n"
"	or	$0x10000, %rax\n"
"	mov	%rax, %cr0\n"
"	mov	$0x1234, %eax\n"
"	movq	%rax, %xmm0\n"
"	sti\n"
"	mov	$2, %r13d\n"
"	REPORT	%r13\n"
"	GHCB_NEW 0x80000005, 0, 0x12000\n" /* AP jump table */
"	GHCB_GO\n"
"	GHCB_NEW 0x7b, 0x60001d, 8\n" /* REP INS, to outside of the GHCB */
"	GHCB_SCRATCH " STR(SCRATCH) "\n"
"	GHCB_GO\n"
"	mov	" STR(SCRATCH) ", %r13d\n"
"	REPORT	%r13\n"
"	GHCB_NEW 0x7b, 0x60001d, 8\n" /* and into the GHCB */
"	GHCB_SCRATCH 0x40800\n"
"	GHCB_GO\n"
"	GHCB_NEW 0x80000001, 0xd0000000, 8\n" /* MMIO read, too */
"	GHCB_SCRATCH 0x40800\n"
"	GHCB_GO\n"
"1:	lock; incq	" STR(SCRATCH) "\n"
"	jmp	1b\n"
"ap:	incq	" STR(DATA) " + 8\n"
"	mov	" STR(DATA) " + 8, %r13\n"
"	REPORT	%r13\n"
"1:	GHCB_NEW 0x80000004, 0, 0\n"
"	GHCB_GO\n"
"	mov	0x3a0(%rbx), %r12\n"
"	test	%r12, %r12\n"
"	jz	1b\n"
"	mov	$0xa9, %r13d\n"
"	REPORT	%r13\n"
"	jmp	1b\n"
/* an interrupt that comes before the guest wants it is a failure */
"early:	mov	$1000000, %ecx\n"
"1:	dec	%ecx\n"
"	jnz	1b\n"
"	mov	$0x0e, %r13d\n"
"	REPORT	%r13\n"
"	mov	$0x0f, %r13d\n"
"	sti\n"
"	nop\n"
"	nop\n"
"	mov	$0x0f, %r13d\n"
"	REPORT	%r13\n"
"	jmp	early\n"
"isr:	cmp	$0x0f, %r13d\n"
"	je	1f\n"
"	FAIL	3\n"
"1:	mov	$0x1f, %r13d\n"
"	REPORT	%r13\n"
"	iretq\n");
GUEST_LABEL(boot);
GUEST_LABEL(ap);
GUEST_LABEL(early);
GUEST_LABEL(isr);

static int pre(struct vm *vm) { return xioctl(vm->fd, NR_PRE_SYSTEM_RESET, NULL); }
static int post(struct vm *vm) { return xioctl(vm->fd, NR_POST_SYSTEM_RESET, NULL); }

/* What a VMM does between the two, as for any VM. */
static void reset_vcpus(struct vm *vm, const uint8_t *bsp, const uint8_t *other)
{
	struct kvm_vcpu_events events;
	int i;

	for (i = 0; i < vm->vcpus; i++) {
		guest_regs(vm, i, i ? other : bsp);
		must(xioctl(vm->vcpu[i].fd, KVM_GET_VCPU_EVENTS, &events), "events");
		events.interrupt.injected = events.interrupt.shadow = 0;
		events.exception.injected = events.exception.pending = 0;
		events.nmi.injected = events.nmi.pending = events.nmi.masked = 0;
		must(xioctl(vm->vcpu[i].fd, KVM_SET_VCPU_EVENTS, &events), "events");
		must(vcpu_set_mp_state(&vm->vcpu[i], i ? KVM_MP_STATE_UNINITIALIZED :
							 KVM_MP_STATE_RUNNABLE),
		     "KVM_SET_MP_STATE");
	}
}

static void open_booted(struct vm *vm, enum kind kind, int vcpus)
{
	vm_open(vm, kind, vcpus);
	vm_load(vm);
	vm_launch(vm, boot, ap);
}

/* As launched, but for the n-th time in this memory. */
static void check_boot(struct vm *vm, int n)
{
	struct vcpu *v = &vm->vcpu[0];
	uint64_t value = 1;

	CHECK_EQ(vcpu_get_msr(v, MSR_GHCB, &value), 1);
	CHECK_EQ(value & ~(0xffULL << 24), 1ULL << 48 | 1ULL << 32 | 1);
	CHECK_EQ(get_attr(vm->fd, KVM_GET_DEVICE_ATTR, GRP_SEV,
			  ATTR_AP_JUMP_TABLE, &value), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(vcpu_report(v), 0);
	CHECK_EQ(vcpu_report(v), 0);
	CHECK_EQ(vcpu_report(v), 0x80000033);
	CHECK_EQ(vcpu_report(v), n);
	CHECK_EQ(vcpu_report(v), 2);
}

static bool is_in(struct vcpu *v)
{
	return CHECK_EQ(vcpu_run(v), 0) &&
	       CHECK_EQ(v->run->exit_reason, KVM_EXIT_IO) &&
	       CHECK_EQ(v->run->io.count, 8);
}

static bool is_mmio(struct vcpu *v)
{
	return CHECK_EQ(vcpu_run(v), 0) &&
	       CHECK_EQ(v->run->exit_reason, KVM_EXIT_MMIO) &&
	       CHECK_EQ(v->run->mmio.phys_addr, 0xd0000000) &&
	       CHECK_EQ(v->run->mmio.is_write, 0);
}

static void io_data(struct vcpu *v)
{
	memset((uint8_t *)v->run + v->run->io.data_offset, 0x11, 8);
}

static void start_ap(struct vm *vm)
{
	vm_msi(vm, 1, MSI_INIT);
	vm_msi(vm, 1, MSI_SIPI);
}

static int do_reset(struct vm *vm)
{
	int r = pre(vm);

	if (r)
		return r;
	reset_vcpus(vm, boot, ap);
	return post(vm);
}

/* In each of the places where a guest may be when it is reset. */
static void test_reset(enum kind kind, int times)
{
	struct vm vm;
	struct vcpu *v;
	pthread_t t;
	int i;

	open_booted(&vm, kind, 1);
	v = &vm.vcpu[0];
	for (i = 0; i < times; i++) {
		check_boot(&vm, i + 1);
		switch (i % 7) {
		case 0: /* just so */
			break;
		case 1: /* I/O to the scratch area isn't complete */
			is_in(v);
			io_data(v);
			break;
		case 2: /* it is, but the result isn't written */
			is_in(v);
			io_data(v);
			CHECK_EQ(vcpu_complete(v), 0);
			break;
		case 3: /* I/O to the GHCB isn't complete */
			is_in(v);
			io_data(v);
			CHECK_EQ(vcpu_report(v), 0x11111111);
			is_in(v);
			io_data(v);
			memset(vm.mem + GHCB(0) + 0x800, 0, 16);
			break;
		case 4: /* runs, in 64-bit mode with interrupts enabled */
			is_in(v);
			io_data(v);
			CHECK_EQ(vcpu_report(v), 0x11111111);
			is_in(v);
			is_mmio(v);
			pthread_create(&t, NULL, vcpu_thread, v);
			usleep(20000);
			CHECK_EQ(pre(&vm), -EBUSY);
			CHECK_EQ(vcpu_stop(v, t), -EINTR);
			break;
		case 5: /* MMIO to the GHCB isn't complete */
			is_in(v);
			io_data(v);
			CHECK_EQ(vcpu_report(v), 0x11111111);
			is_in(v);
			is_mmio(v);
			memset(v->run->mmio.data, 0x11, 8);
			memset(vm.mem + GHCB(0) + 0x800, 0, 16);
			break;
		case 6: /* a reset before it has begun */
			CHECK_EQ(do_reset(&vm), 0);
			break;
		}
		CHECK_EQ(do_reset(&vm), 0);
		/* the completion would have come here */
		if (i % 7 == 3 || i % 7 == 5)
			CHECK_EQ(*(uint64_t *)(vm.mem + GHCB(0) + 0x800), 0);
		if (!t_ok)
			break;
	}
	vm_close(&vm);
}

/* Before LAUNCH_FINISH, as QEMU does, and before the first run. */
static void test_reset_new(void)
{
	struct range m = { 0 };
	uint8_t blob[48];
	struct vm vm;
	int i;

	vm_open(&vm, SEV_ES, 2);
	vm_load(&vm);
	for (i = 0; i < 2; i++)
		guest_regs(&vm, i, i ? ap : boot);
	/* nothing is launched: there is nothing to do, and nothing is begun */
	CHECK_EQ(do_reset(&vm), 0);
	CHECK_EQ(pre(&vm), 0);
	vm_launch_start(&vm);
	vm_encrypt(&vm, 0, SHARED);
	CHECK_EQ(do_reset(&vm), 0);
	CHECK_EQ(pre(&vm), 0);
	must(sev_cmd(&vm, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL), "LAUNCH_UPDATE_VMSA");
	CHECK_EQ(post(&vm), -EINVAL);
	CHECK_EQ(pre(&vm), 0);
	/* would be the plaintext of what was set in between */
	CHECK_EQ(sev_cmd(&vm, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL), -EINVAL);
	reset_vcpus(&vm, boot, ap);
	CHECK_EQ(post(&vm), 0);
	CHECK_EQ(sev_cmd(&vm, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL), -EINVAL);
	m.uaddr = (uintptr_t)blob;
	m.len = sizeof(blob);
	must(sev_cmd(&vm, KVM_SEV_LAUNCH_MEASURE, &m), "LAUNCH_MEASURE");
	must(sev_cmd(&vm, KVM_SEV_LAUNCH_FINISH, NULL), "LAUNCH_FINISH");
	CHECK_EQ(do_reset(&vm), 0);
	check_boot(&vm, 1);
	CHECK_EQ(do_reset(&vm), 0);
	check_boot(&vm, 2);
	vm_close(&vm);
}

/* APs start by their first SIPI again, wherever they were. */
static void test_reset_ap(int times)
{
	uint64_t info = 0, value = 0;
	struct vcpu *v;
	struct vm vm;
	int i;

	open_booted(&vm, SEV_ES, 2);
	v = &vm.vcpu[1];
	for (i = 0; i < times; i++) {
		check_boot(&vm, i + 1);
		CHECK_EQ(vcpu_mp_state(v), KVM_MP_STATE_UNINITIALIZED);
		/* that it had its first SIPI shows with the address of a page only */
		CHECK_EQ(vcpu_get_msr(v, MSR_GHCB, &info), 1);
		CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(1)), 1);
		CHECK_EQ(vcpu_get_msr(v, MSR_GHCB, &value), 1);
		CHECK_EQ(value, GHCB(1));
		CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, info), 1);
		start_ap(&vm);
		CHECK_EQ(vcpu_report_soon(v), i + 1);
		if (i % 3) {
			vcpu_run_to_wait(v);
			CHECK_EQ(vcpu_mp_state(v), MP_AP_RESET_HOLD);
		}
		if (i % 3 == 2) {
			start_ap(&vm);
			CHECK_EQ(vcpu_report_soon(v), 0xa9);
		}
		CHECK_EQ(do_reset(&vm), 0);
	}
	vm_close(&vm);
}

/* An interrupt that is pending, and a guest that had interrupts enabled. */
static void test_reset_interrupt(void)
{
	struct vcpu *v;
	struct vm vm;

	vm_open(&vm, SEV_ES, 1);
	v = &vm.vcpu[0];
	vm_load(&vm);
	guest_handler(&vm, 0x40, isr);
	vm_launch(&vm, early, early);
	CHECK_EQ(vcpu_report(v), 0x0e);
	CHECK_EQ(vcpu_report(v), 0x0f);
	CHECK_EQ(pre(&vm), 0);
	reset_vcpus(&vm, early, early);
	CHECK_EQ(post(&vm), 0);
	vm_msi(&vm, 0, 0x40);
	CHECK_EQ(vcpu_report(v), 0x0e);
	CHECK_EQ(vcpu_report(v), 0x1f);
	CHECK_EQ(vcpu_report(v), 0x0f);
	vm_close(&vm);
}

/* Between the two nothing runs, and what userspace does has no effect. */
static void test_between(void)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE };
	struct vmsa_packet p = { 0 };
	struct vcpu *v;
	struct vm vm;
	pthread_t t;

	open_booted(&vm, SEV_ES, 2);
	v = &vm.vcpu[0];
	check_boot(&vm, 1);
	CHECK_EQ(post(&vm), -EINVAL);
	CHECK_EQ(pre(&vm), 0);
	CHECK_EQ(vcpu_run(v), -EBUSY);
	CHECK_EQ(pre(&vm), 0);
	CHECK_EQ(vcpu_run(v), -EBUSY);
	reset_vcpus(&vm, boot, ap);
	/* LBR virtualization is mandatory */
	vcpu_set_msr(v, 0x1d9, 1);
	vcpu_set_msr(v, 0x1d9, 0);
	/* a value from before, as QEMU writes it back */
	CHECK_EQ(vcpu_set_msr(v, MSR_GHCB, GHCB(0) | GHCB_MAPPED | GHCB_FIRST_SIPI), 1);
	p.hdr_uaddr = p.trans_uaddr = (uintptr_t)&p;
	p.hdr_len = p.trans_len = 4;
	CHECK_EQ(sev_cmd(&vm, ID_SEND_UPDATE_VMSA, &p), -EINVAL);
	CHECK_EQ(sev_cmd(&vm, ID_RECEIVE_UPDATE_VMSA, &p), -EINVAL);
	CHECK_EQ(sev_cmd(&vm, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL), -EINVAL);
	CHECK_EQ(xioctl(v->fd, KVM_SET_GUEST_DEBUG, &debug), 0);
	CHECK_EQ(post(&vm), -EINVAL);
	CHECK_EQ(vcpu_run(v), -EBUSY);
	debug.control = 0;
	CHECK_EQ(xioctl(v->fd, KVM_SET_GUEST_DEBUG, &debug), 0);
	/* an AP that waits to be started is in use */
	pthread_create(&t, NULL, vcpu_thread, &vm.vcpu[1]);
	usleep(100000);
	CHECK_EQ(post(&vm), -EBUSY);
	CHECK_EQ(vcpu_stop(&vm.vcpu[1], t), -EINTR);
	CHECK_EQ(post(&vm), 0);
	CHECK_EQ(post(&vm), -EINVAL);
	check_boot(&vm, 2);
	vm_close(&vm);
}

/* The VM is closed between the two. */
static void test_pre_only(int times)
{
	struct vm vm;

	while (times--) {
		open_booted(&vm, SEV_ES, 2);
		check_boot(&vm, 1);
		is_in(&vm.vcpu[0]);
		CHECK_EQ(pre(&vm), 0);
		vm_close(&vm);
	}
}

static void test_received(void)
{
	struct vm src, dst;

	open_booted(&src, SEV_ES, 2);
	vm_open(&dst, SEV_ES, 2);
	check_boot(&src, 1);
	/* a VM that waits to be received may be reset, as VMMs do at start */
	CHECK_EQ(pre(&dst), 0);
	CHECK_EQ(post(&dst), 0);
	vm_migrate(&src, &dst);
	vcpu_move(&src.vcpu[0], &dst.vcpu[0]);
	vcpu_move(&src.vcpu[1], &dst.vcpu[1]);
	CHECK_EQ(pre(&dst), -ENODATA);
	CHECK_EQ(post(&dst), -EINVAL);
	/* it's not hurt */
	if (is_in(&dst.vcpu[0]))
		io_data(&dst.vcpu[0]);
	CHECK_EQ(vcpu_report(&dst.vcpu[0]), 0x11111111);
	vm_close(&src);
	vm_close(&dst);
}

/* A vCPU that was added too late to be launched is left alone. */
static void test_added(void)
{
	struct vm vm;

	open_booted(&vm, SEV_ES, 1);
	check_boot(&vm, 1);
	vm.vcpus = 2;
	vcpu_open(&vm, 1);
	CHECK_EQ(do_reset(&vm), 0);
	check_boot(&vm, 2);
	vm_close(&vm);
}

static void test_unencrypted(enum kind kind)
{
	struct vm vm;

	vm_open(&vm, kind, 1);
	vm_load(&vm);
	CHECK_EQ(pre(&vm), on_hygon() ? 0 : -EOPNOTSUPP);
	CHECK_EQ(post(&vm), on_hygon() ? 0 : -EOPNOTSUPP);
	vm_launch(&vm, boot, boot);
	CHECK_EQ(post(&vm), on_hygon() ? 0 : -EOPNOTSUPP);
	CHECK_EQ(pre(&vm), on_hygon() ? 0 : -EOPNOTSUPP);
	CHECK_EQ(post(&vm), on_hygon() ? 0 : -EOPNOTSUPP);
	vm_close(&vm);
}

static void test_amd(void)
{
	struct vm vm;

	open_booted(&vm, SEV_ES, 1);
	CHECK_EQ(pre(&vm), -EOPNOTSUPP);
	CHECK_EQ(post(&vm), -EOPNOTSUPP);
	CHECK_EQ(vcpu_report(&vm.vcpu[0]), 0);
	vm_close(&vm);
}

int main(void)
{
	need_sev();
	guest_signals();
	TEST(test_unencrypted(PLAIN));
	TEST(test_unencrypted(SEV));
	if (!on_hygon()) {
		TEST(test_amd());
		return test_report();
	}
	TEST(test_reset(SEV_ES, 50));
	TEST(test_reset(SEV_ES_TYPED, 12));
	TEST(test_reset_new());
	TEST(test_reset_ap(6));
	TEST(test_reset_interrupt());
	TEST(test_between());
	TEST(test_pre_only(20));
	TEST(test_received());
	TEST(test_added());
	return test_report();
}
