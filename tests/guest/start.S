/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * First instructions of a test guest. The first vCPU comes in 64-bit mode with
 * the identity map of vmm/boot.h and rsi = boot_params. The others come in
 * real mode at TRAMPOLINE, after guest_start_ap() copied the code there, and
 * reuse the first one's page tables and GDT.
 */
#define TRAMPOLINE	0x9000		/* vmm/boot.h leaves it free */
#define BOOT_GDT	0x500
#define BOOT_CR3	0x1000
#define STACK_SIZE	0x4000
#define AP_STACK_SHIFT	12
#define AP_MAX		64

#define CODE64		0x10
#define DATA		0x18

	.section .text.start, "ax"
	.code64
	.globl	guest_start
guest_start:
	cli
	cld
	leaq	stack_top(%rip), %rsp
	movq	%rsi, %rdi
	call	guest_main
	/* Returned without powering off: stop here. */
1:	cli
	hlt
	jmp	1b

	/* Real mode, cs = TRAMPOLINE >> 4, ip = 0. */
	.code16
	.globl	guest_trampoline, guest_trampoline_end
guest_trampoline:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	TRAMPOLINE + (tr_gdtr - guest_trampoline)
	movl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$BOOT_CR3, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	xorl	%edx, %edx
	movl	$0x100, %eax
	wrmsr
	movl	$0x80000031, %eax	/* PG, NE, ET, PE */
	movl	%eax, %cr0
	ljmpl	$CODE64, $ap_start
tr_gdtr:
	.word	4 * 8 - 1
	.long	BOOT_GDT
guest_trampoline_end:

	.code64
ap_start:
	movw	$DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	/* Initial APIC id, [SDM] CPUID leaf 1 */
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
	cmpl	$AP_MAX, %ebx
	jae	1f
	movl	%ebx, %edi
	leal	1(%rbx), %eax
	shll	$AP_STACK_SHIFT, %eax
	leaq	ap_stacks(%rip), %rsp
	addq	%rax, %rsp
	call	guest_ap_main
1:	cli
	hlt
	jmp	1b

	/* Only SMP guests have one. */
	.weak	guest_ap_main
guest_ap_main:
	ret

	/* For guest_idt(): counts interrupts, and says which exception came. */
	.globl	guest_irq_entry, guest_other_entry, guest_nmi_entry
	.globl	guest_exceptions
guest_irq_entry:
	lock incl guest_irqs(%rip)
guest_other_entry:
	pushq	%rax
	movl	$0xfee000b0, %eax	/* end of interrupt */
	movl	$0, (%rax)
	popq	%rax
guest_nmi_entry:
	iretq
	.balign	16
guest_exceptions:
	.set	i, 0
	.rept	32
	.balign	16
	movl	$i, %edi
	jmp	guest_exception
	.set	i, i + 1
	.endr
	.weak	guest_exception
guest_exception:
	jmp	1b

	.bss
	.globl	guest_irqs
	.balign	4
guest_irqs:
	.skip	4
	.balign	4096
	.skip	STACK_SIZE
stack_top:
ap_stacks:
	.skip	AP_MAX << AP_STACK_SHIFT

	.section .note.GNU-stack, "", @progbits
