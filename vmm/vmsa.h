/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_VMSA_H
#define CSVVMM_VMM_VMSA_H

#include <stdint.h>

struct kvm_debugregs;
struct kvm_regs;
struct kvm_sregs;
struct boot_info;

#define VMSA_SIZE 4096

/**
 * enum vmsa_host - Which host kernel builds the VMSA: it decides fields that
 * the VMM does not set (FPU, CR4.MCE, SEV_FEATURES)
 */
enum vmsa_host { VMSA_HOST_MAINLINE_6_12, VMSA_HOST_VENDOR_6_6, VMSA_HOSTS };

/**
 * vmsa_build() - The VMSA page that KVM hands to LAUNCH_UPDATE_VMSA for a
 * vCPU with these registers ([APM] 2 table B-4; [sev-es-emulation] B.9)
 */
void vmsa_build(uint8_t page[VMSA_SIZE], const struct kvm_regs *regs,
		const struct kvm_sregs *sregs, uint64_t xcr0,
		enum vmsa_host host);

/* The reverse: registers from a page (the model backend applies them). */
void vmsa_parse(const uint8_t page[VMSA_SIZE], struct kvm_regs *regs,
		struct kvm_sregs *sregs, uint64_t *ret_xcr0);

/**
 * vmsa_initial_regs() - Registers of vCPU @id at launch: one table for `run`
 * and `measure`
 */
void vmsa_initial_regs(unsigned id, const struct boot_info *boot,
		       struct kvm_regs *regs, struct kvm_sregs *sregs);

/* Name and value of each field that is not zero, for `measure --explain`. */
void vmsa_explain(const uint8_t page[VMSA_SIZE],
		  void (*line)(void *ctx, const char *text), void *ctx);

#endif
