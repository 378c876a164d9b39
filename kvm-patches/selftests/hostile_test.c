// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guests that want the machine to fall: requests with nonsense in the GHCB and
 * its MSR, MSRs that nobody has, VMGEXIT where it does not belong. Whatever
 * KVM makes of it, the host goes on, and so does a guest that is started next.
 */
#include "guest.h"

GUEST_CODE(
"good:	mov	$0x1d, %r12d\n"
"	REPORT	%r12\n"
"	jmp	good\n"
/* Any value in the MSR: a xorshift of its own. A fault is one more request. */
"msr:	mov	$0x9e3779b97f4a7c15, %r13\n"
"1:	mov	%r13, %rax\n"
"	shl	$13, %rax\n"
"	xor	%rax, %r13\n"
"	mov	%r13, %rax\n"
"	shr	$7, %rax\n"
"	xor	%rax, %r13\n"
"	mov	%r13, %rax\n"
"	shl	$17, %rax\n"
"	xor	%rax, %r13\n"
"	mov	%r13, %rax\n"
"	SET_GHCB\n"
"	VMGEXIT\n"
"	jmp	1b\n"
/* Addresses: in private memory, beyond the guest's, at the width's end */
"at:	mov	$0x1000, %r13\n"
"1:	mov	%r13, %rax\n"
"	SET_GHCB\n"
"	VMGEXIT\n"
"	rol	$1, %r13\n"
"	and	$-0x1000, %r13\n"
"	jnz	1b\n"
"	mov	$0x1000, %r13\n"
"	jmp	1b\n"
/* A good GHCB with a bad code, infos and scratch address */
"code:	xor	%r14, %r14\n"
"1:	GHCB_NEW 0, 0, 0\n"
"	mov	%r14, 0x390(%rbx)\n"
"	mov	%r13, 0x398(%rbx)\n"
"	mov	%r13, 0x3a0(%rbx)\n"
"	mov	%r13, 0x3a8(%rbx)\n"
"	mov	%r13, 0x1f8(%rbx)\n"
"	mov	%r13, 0x308(%rbx)\n"
"	movq	$-1, 0x3f0(%rbx)\n"
"	movq	$-1, 0x3f8(%rbx)\n"
"	movl	$1 << 16, 0xff8(%rbx)\n"
"	mov	%r14, " STR(SCRATCH) "\n"
"	GHCB_GO\n"
"	inc	%r14\n"
"	imul	$0x5851f42d, %r13, %r13\n"
"	add	$0x14057b7e, %r13\n"
"	jmp	1b\n"
/* All MSRs there are, by RDMSR and WRMSR; #GP and #VC skip what they hit */
"msrs:	xor	%r14d, %r14d\n"
"1:	mov	%r14d, %ecx\n"
"	rdmsr\n"
"	nop\n"
"	nop\n"
"	cmp	$0xc0010130, %r14d\n"
"	je	2f\n"
"	mov	%r14d, %ecx\n"
"	wrmsr\n"
"	nop\n"
"2:	inc	%r14d\n"
"	cmp	$0x2000, %r14d\n"
"	jne	3f\n"
"	mov	$0xc0000000, %r14d\n"
"3:	cmp	$0xc0002000, %r14d\n"
"	jne	4f\n"
"	mov	$0xc0010000, %r14d\n"
"4:	cmp	$0xc0012000, %r14d\n"
"	jne	1b\n"
"	jmp	good\n"
"code_go:	add	$8, %rsp\n" /* #GP after VMGEXIT */
"	iretq\n"
"code_skip:	add	$8, %rsp\n"
"	addq	$2, (%rsp)\n"
"	iretq\n"
/* Instructions of a host, in a guest */
"host:	mov	$0x40000, %eax\n"
"	vmrun\n"
"	vmload\n"
"	vmsave\n"
"	stgi\n"
"	clgi\n"
"	VMGEXIT\n"
"	jmp	host\n"
"host_skip:	addq	$3, (%rsp)\n"
"	iretq\n");
GUEST_LABEL(good);
GUEST_LABEL(msr);
GUEST_LABEL(at);
GUEST_LABEL(code);
GUEST_LABEL(msrs);
GUEST_LABEL(code_go);
GUEST_LABEL(code_skip);
GUEST_LABEL(host);
GUEST_LABEL(host_skip);

/* Some thousand requests at most, or a few seconds; then it's as good as new. */
static void hostile(enum kind kind, const uint8_t *what, const uint8_t *skip)
{
	int i, r = 0;
	struct vm vm;

	vm_open(&vm, kind, 1);
	vm_load(&vm);
	if (skip) {
		guest_handler(&vm, 13, skip);
		guest_handler(&vm, 29, skip);
		guest_handler(&vm, 6, host_skip);
	}
	vm_launch(&vm, what, what);
	alarm(5);
	for (i = 0; i < 3000 && !r; i++) {
		r = vcpu_run(&vm.vcpu[0]);
		if (vm.vcpu[0].run->exit_reason == KVM_EXIT_SHUTDOWN)
			break;
	}
	alarm(0);
	printf("# %d exits, the last: %d, reason %u, code %#lx\n", i, r,
	       vm.vcpu[0].run->exit_reason,
	       (unsigned long)*(uint64_t *)(vm.mem + SCRATCH));
	vm_close(&vm);

	vm_open(&vm, kind, 1);
	vm_load(&vm);
	vm_launch(&vm, good, good);
	/* Without encrypted registers there is no such MSR, and no handler. */
	CHECK_EQ(vcpu_report_soon(&vm.vcpu[0]),
		 kind >= SEV_ES ? 0x1d : -1000 - KVM_EXIT_SHUTDOWN);
	vm_close(&vm);
}

int main(void)
{
	need_sev();
	guest_signals();
	TEST(hostile(SEV_ES, msr, NULL));
	TEST(hostile(SEV_ES, at, NULL));
	TEST(hostile(SEV_ES, code, code_go));
	TEST(hostile(SEV_ES, msrs, code_skip));
	TEST(hostile(SEV_ES, host, code_skip));
	TEST(hostile(SEV, msr, code_skip));
	TEST(hostile(SEV, msrs, code_skip));
	TEST(hostile(SEV, host, host_skip));
	return test_report();
}
