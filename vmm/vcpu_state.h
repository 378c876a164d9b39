/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_VCPU_STATE_H
#define CSVVMM_VMM_VCPU_STATE_H

#include <stdint.h>

#include "core/snap.h"

struct vcpu;
struct vm;
struct kvm_cpuid2;

/*
 * What KVM knows of a vCPU, and of the machine beside them, as fields
 * (docs/WIRE.md). The vCPUs stand still; vm.lock held. What an encrypted guest's
 * KVM does not tell is left out.
 */

/* Return: 0 or -errno */
int vcpu_state_save(const struct vcpu *v, struct snap_w *w);
/* In the order of [csv-abi] 4.5, into a vCPU that never ran. Return: 0 or
 * -EPROTO by snap_bad() */
int vcpu_state_load(struct vcpu *v, struct snap_r *r);

/**
 * vcpu_state_keep() - Remember a vCPU's state as it is, for vcpu_state_again()
 *
 * Before it has run, and before its registers are encrypted. Return: 0 or -errno
 */
int vcpu_state_keep(struct vcpu *v);
/* As it was then, all but its CPUID, which can't change, and time, which goes on;
 * it has run meanwhile. Return: 0 or -errno with @err */
int vcpu_state_again(struct vcpu *v, struct snap_error *err);

/* vmm/vcpu_regs.c: parts of it; a load function ends with KVM's own answer. */
int vcpu_regs_save(int fd, struct snap_w *w);
int vcpu_regs_load(int fd, struct snap_r *r);
int vcpu_sregs_save(int fd, struct snap_w *w);
int vcpu_sregs_load(int fd, struct snap_r *r);
int vcpu_events_save(int fd, struct snap_w *w);
int vcpu_events_load(int fd, struct snap_r *r);
int vcpu_debug_save(int fd, struct snap_w *w);
int vcpu_debug_load(int fd, struct snap_r *r);

/* vmm/machine_state.c. */
int machine_state_save(struct vm *vm, struct snap_w *w);
int machine_state_load(struct vm *vm, struct snap_r *r);
/* Of it, the interrupt controllers. Return: 0 or -errno */
int machine_irqchip_save(int vm_fd, struct snap_w *w);
int machine_irqchip_load(int vm_fd, struct snap_r *r);

/* vmm/machine_clock.c: of the machine's state its time; machine_clock_load() only
 * remembers it. Return: 0 or -errno */
int machine_clock_save(const struct vm *vm, struct snap_w *w);
void machine_clock_load(struct vm *vm, struct snap_r *r);
/* All is loaded, vCPUs start at once: clocks go on from where they would be by
 * now. Return: 0 or -errno */
int machine_clock_resume(struct vm *vm);

/* A vCPU's CPUID as KVM has it. Return: malloc'ed table or NULL with errno set */
struct kvm_cpuid2 *vcpu_cpuid(const struct vcpu *v);

#endif
