/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tiny guests in 64-bit mode, as machine code, for the VMs of sev.h.
 *
 * Memory is mapped one to one. What is below SHARED is private to the guest,
 * the rest is shared. A guest begins at a label between guest_code and
 * guest_end with RDI = number of the vCPU, and RSP. It tells something by a
 * request for termination in the MSR protocol, after which it can go on, with
 * 40 bits of its own: REPORT reg, or FAIL number.
 */
#ifndef GUEST_H
#define GUEST_H

#include "sev.h"

#define PML4 0x1000
#define PDPT 0x2000
#define PD 0x3000
#define PT 0x4000
#define IDT 0x5000
#define GDT 0x6000
#define STACKS 0x8000
#define CODE 0x10000
#define DATA 0x20000
#define SHARED 0x40000
#define GHCB(vcpu) (0x40000 + 0x1000 * (vcpu))
#define SCRATCH 0x48000

#define STR_(x) #x
#define STR(x) STR_(x)

#define NAE_IOIO 0x7b
#define NAE_AP_HLT_LOOP 0x80000004
#define NAE_AP_JUMP_TABLE 0x80000005

asm(".macro VMGEXIT\n"
    "	rep; vmmcall\n"
    ".endm\n"
    /* GHCB MSR = rax; changes rcx, rdx */
    ".macro SET_GHCB\n"
    "	mov	%rax, %rdx\n"
    "	shr	$32, %rdx\n"
    "	mov	$0xc0010130, %ecx\n"
    "	wrmsr\n"
    ".endm\n"
    ".macro REPORT reg\n"
    "	mov	\\reg, %rax\n"
    "	shl	$24, %rax\n"
    "	or	$0x100, %rax\n"
    "	SET_GHCB\n"
    "	VMGEXIT\n"
    ".endm\n"
    ".macro FAIL number\n"
    "	mov	$(\\number << 16 | 0x100), %rax\n"
    "	SET_GHCB\n"
    "	VMGEXIT\n"
    ".endm\n"
    /* GHCB of this vCPU to rbx, empty but for exit code and infos */
    ".macro GHCB_NEW code, info1, info2\n"
    "	mov	%rdi, %rbx\n"
    "	shl	$12, %rbx\n"
    "	add	$" STR(0x40000) ", %rbx\n"
    "	movl	$1 << 16, 0xff8(%rbx)\n" /* version 1 at 0xffa */
    "	movl	$0, 0xffc(%rbx)\n"
    "	movq	$0, 0x3f0(%rbx)\n"
    "	movq	$0, 0x3f8(%rbx)\n"
    "	mov	$\\code, %eax\n"
    "	mov	%rax, 0x390(%rbx)\n"
    "	mov	$\\info1, %eax\n"
    "	mov	%rax, 0x398(%rbx)\n"
    "	mov	$\\info2, %eax\n"
    "	mov	%rax, 0x3a0(%rbx)\n"
    "	mov	$7 << 50, %rax\n"
    "	or	%rax, 0x3f8(%rbx)\n"
    ".endm\n"
    ".macro GHCB_RAX\n" /* RAX is valid, and what is in r8 */
    "	mov	%r8, 0x1f8(%rbx)\n"
    "	btsl	$31, 0x3f4(%rbx)\n"
    ".endm\n"
    ".macro GHCB_RCX value\n"
    "	mov	$\\value, %eax\n"
    "	mov	%rax, 0x308(%rbx)\n"
    "	btsl	$1, 0x3fc(%rbx)\n"
    ".endm\n"
    ".macro GHCB_SCRATCH address\n"
    "	mov	$\\address, %eax\n"
    "	mov	%rax, 0x3a8(%rbx)\n"
    "	btsl	$21, 0x3fc(%rbx)\n"
    ".endm\n"
    ".macro GHCB_GO\n"
    "	mov	%rbx, %rax\n"
    "	SET_GHCB\n"
    "	VMGEXIT\n"
    ".endm\n");

extern const uint8_t guest_code[], guest_end[];

#define GUEST_CODE(text)                                                      \
	asm(".section .rodata\n.code64\n.globl guest_code, guest_end\n"       \
	    "guest_code:\n" text "guest_end:\n.text\n")
#define GUEST_LABEL(name) extern const uint8_t name[]

static inline void vm_load(struct vm *vm)
{
	uint64_t c = vm->kind == PLAIN ? 0 : c_bit();
	uint64_t *pml4 = (uint64_t *)(vm->mem + PML4);
	uint64_t *pdpt = (uint64_t *)(vm->mem + PDPT);
	uint64_t *pd = (uint64_t *)(vm->mem + PD);
	uint64_t *pt = (uint64_t *)(vm->mem + PT);
	uint64_t *gdt = (uint64_t *)(vm->mem + GDT);
	uint64_t i;

	pml4[0] = PDPT | 3 | c;
	pdpt[0] = PD | 3 | c;
	pd[0] = PT | 3 | c;
	for (i = 0; i < MEM_SIZE; i += 4096)
		pt[i / 4096] = i | 3 | (i < SHARED ? c : 0);
	gdt[1] = 0x00af9b000000ffffULL;
	gdt[2] = 0x00cf93000000ffffULL;
	memcpy(vm->mem + CODE, guest_code, guest_end - guest_code);
}

static inline void guest_handler(struct vm *vm, int vector, const uint8_t *label)
{
	uint64_t at = CODE + (label - guest_code);
	uint64_t *gate = (uint64_t *)(vm->mem + IDT + 16 * vector);

	gate[0] = (at & 0xffff) | 8 << 16 | 0x8e00ULL << 32 |
		  (at & 0xffff0000) << 32;
	gate[1] = 0;
}

static inline void guest_sregs(struct kvm_sregs *s)
{
	struct kvm_segment code = { .limit = 0xffffffff, .selector = 8,
				    .type = 11, .present = 1, .s = 1, .l = 1,
				    .g = 1 };
	struct kvm_segment data = { .limit = 0xffffffff, .selector = 16,
				    .type = 3, .present = 1, .s = 1, .db = 1,
				    .g = 1 };

	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = (struct kvm_segment){ .limit = 0x67, .type = 11, .present = 1 };
	s->ldt = (struct kvm_segment){ .type = 2, .unusable = 1 };
	s->gdt.base = GDT;
	s->gdt.limit = 23;
	s->idt.base = IDT;
	s->idt.limit = 0xfff;
	s->cr0 = 0x80000033;
	s->cr3 = PML4;
	s->cr4 = 0x620;
	s->efer = 0xd00; /* NX, LMA, LME */
}

static inline void guest_regs(struct vm *vm, int id, const uint8_t *label)
{
	struct kvm_regs r = {
		.rip = CODE + (label - guest_code),
		.rsp = STACKS + 0x1000 * (id + 1),
		.rflags = 2,
		.rdi = id,
	};
	struct kvm_sregs s;

	must(xioctl(vm->vcpu[id].fd, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
	guest_sregs(&s);
	must(xioctl(vm->vcpu[id].fd, KVM_SET_SREGS, &s), "KVM_SET_SREGS");
	must(xioctl(vm->vcpu[id].fd, KVM_SET_REGS, &r), "KVM_SET_REGS");
}

/* vCPU 0 begins at a label, all others at another. */
static inline void vm_launch(struct vm *vm, const uint8_t *bsp, const uint8_t *ap)
{
	int i;

	for (i = 0; i < vm->vcpus; i++)
		guest_regs(vm, i, i ? ap : bsp);
	if (vm->kind == PLAIN)
		return;
	vm_launch_start(vm);
	vm_encrypt(vm, 0, SHARED);
	vm_launch_finish(vm);
}

/* What the guest reports next, or a negative number that says what else. */
static inline int64_t vcpu_report(struct vcpu *v)
{
	uint64_t msr;
	int r = vcpu_run(v);

	if (r < 0)
		return r;
	if (v->run->exit_reason != KVM_EXIT_SYSTEM_EVENT)
		return -1000 - (int)v->run->exit_reason;
	if (v->run->system_event.type != EVENT_SEV_TERM)
		return -2000 - (int)v->run->system_event.type;
	msr = v->run->system_event.data[0];
	if (msr & 0xff0000)
		return -3000 - (int)(msr >> 16 & 0xff);
	return msr >> 24;
}

/* -- A vCPU in a thread of its own, for guests that wait */

static void guest_signal(int sig) { (void)sig; }

static inline void guest_signals(void)
{
	struct sigaction sa = { .sa_handler = guest_signal };

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
}

static void *vcpu_thread(void *v)
{
	int r;

	do
		r = vcpu_run(v);
	while (r == -EAGAIN);
	return (void *)(intptr_t)r;
}

static inline int vcpu_stop(struct vcpu *v, pthread_t t)
{
	void *r;

	v->run->immediate_exit = 1;
	pthread_kill(t, SIGUSR1);
	pthread_join(t, &r);
	v->run->immediate_exit = 0;
	return (intptr_t)r;
}

/* Run a vCPU that will wait until it does, and stop it. */
static inline void vcpu_run_to_wait(struct vcpu *v)
{
	pthread_t t;

	pthread_create(&t, NULL, vcpu_thread, v);
	usleep(400000);
	CHECK_EQ(vcpu_stop(v, t), -EINTR);
}

/* vcpu_report(), but not for ever, and as often as KVM_RUN wants it. */
static inline int64_t vcpu_report_soon(struct vcpu *v)
{
	int64_t r;

	alarm(20);
	do
		r = vcpu_report(v);
	while (r == -EAGAIN);
	alarm(0);
	return r;
}

/* The source is finished, and only state in firmware and memory is moved. */
static inline void vm_migrate(struct vm *src, struct vm *dst)
{
	int i;

	vm_send_start(src, dst);
	vm_send_pages(src, dst, 0, SHARED);
	memcpy(dst->mem + SHARED, src->mem + SHARED, MEM_SIZE - SHARED);
	for (i = 0; i < src->vcpus; i++)
		vm_send_vmsa(src, dst, i);
	vm_send_finish(src, dst);
}

/* Move what a VMM moves of a vCPU, in QEMU's order; mp_state last. */
static inline void vcpu_move(struct vcpu *src, struct vcpu *dst)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	uint64_t ghcb;

	must(xioctl(src->fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	must(xioctl(dst->fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	must(xioctl(src->fd, KVM_GET_REGS, &regs), "KVM_GET_REGS");
	must(xioctl(dst->fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
	if (on_hygon()) {
		CHECK_EQ(vcpu_get_msr(src, MSR_GHCB, &ghcb), 1);
		CHECK_EQ(vcpu_set_msr(dst, MSR_GHCB, ghcb), 1);
	}
	CHECK_EQ(vcpu_set_mp_state(dst, vcpu_mp_state(src)), 0);
}

#endif
