/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry points, in 64-bit mode with the measured page tables: of the first
 * vCPU at offset 0, of the others at offset 16. Registers are as in the VMSA
 * (vmm/vmsa.c): flat segments, RSP the stack's top, interrupts off.
 */
#include "shim/ghcb.h"
#include "shim/shim.h"

#define CONFIG_ENTRY	   24
#define CONFIG_BOOT_PARAMS 32

#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define CR0_PE	 0x00000001
#define CR0_PG	 0x80000000
#define CR4_PAE	 0x20

	.section .text.start, "ax"
	.code64
	.globl shim_start
shim_start:
	cld
	mov	$SHIM_CONFIG, %edi
	call	shim_main
	jmp	start_kernel

	.org	shim_start + 16
/*
 * KVM starts an AP here at its first SIPI, whatever the vector is, by which
 * time the kernel has written its real-mode entry into the jump table. If the
 * SIPI came too early, the AP waits for the next one. It uses no stack, for the
 * first vCPU may still be on its own, and believes in the table only by its
 * mark: before the first vCPU has cleared it, it holds what the host likes.
 */
ap_start:
	movabs	$SHIM_JUMP_READY, %rax
	cmp	%rax, SHIM_JUMP + SHIM_JUMP_MARK
	jne	ap_hold
	cmpl	$0, SHIM_JUMP
	jne	ap_leave
ap_hold:
	movabs	$(SHIM_SHARED + SHIM_GHCB), %rbx
	mov	$GHCB_AP_HOLD, %eax
	mov	%rax, GHCB_EXIT_CODE(%rbx)
	xor	%eax, %eax
	mov	%rax, GHCB_EXIT_INFO_1(%rbx)
	mov	%rax, GHCB_EXIT_INFO_2(%rbx)
	movb	$GHCB_VALID_BYTE, GHCB_VALID + 14(%rbx)
	movw	$GHCB_VERSION, GHCB_PROTOCOL(%rbx)
	mov	$MSR_GHCB, %ecx
	mov	$SHIM_GHCB, %eax
	xor	%edx, %edx
	wrmsr
	rep; vmmcall
	jmp	ap_start

/* From 64-bit mode by a 16-bit segment, whose base is the code's page, to real mode. */
ap_leave:
	ljmpl	*ap_far

ap_far:
	.long	ap_16 - shim_start
	.word	SHIM_CS16

	.code16
ap_16:
	mov	$SHIM_DS16, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	%ax, %fs
	mov	%ax, %gs
	mov	%cr0, %eax
	and	$~CR0_PG, %eax
	mov	%eax, %cr0
	mov	$MSR_EFER, %ecx
	rdmsr
	and	$~EFER_LME, %eax
	wrmsr
	mov	%cr4, %eax
	and	$~CR4_PAE, %eax
	mov	%eax, %cr4
	mov	%cr0, %eax
	and	$~CR0_PE, %eax
	mov	%eax, %cr0
	mov	$(SHIM_JUMP >> 4), %ax
	mov	%ax, %ds
	ljmpw	*0

	.code64
start_kernel:
	mov	SHIM_CONFIG + CONFIG_BOOT_PARAMS, %esi
	xor	%ebp, %ebp
	xor	%edi, %edi
	xor	%ebx, %ebx
	jmp	*SHIM_CONFIG + CONFIG_ENTRY

	.section .note.GNU-stack, "", @progbits
