/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_VM_CSV_H
#define CSVVMM_VMM_VM_CSV_H

#include <stdbool.h>
#include <stdint.h>

struct boot_encryption;
struct config;
struct vcpu;
struct vm;

/* vmm/vm_csv.c: steps of vm_init() for an encrypted guest; nothing for others.
 * Return: 0 or -errno, logged. device, whether this host has one, comes before
 * all else, open before the vCPUs, measure after memory and registers are set. */
int vm_csv_device(const struct config *cfg);
int vm_csv_open(struct vm *vm);
/* The same for a guest that is launched again, in vm->m.vm_fd. */
int vm_csv_again(struct vm *vm);
/* Return: 1 with *ret_enc; 0: no shim; -errno, logged */
int vm_csv_boot(const struct vm *vm, struct boot_encryption *ret_enc);
int vm_csv_measure(struct vm *vm);
int vm_csv_incoming(struct vm *vm);
void vm_csv_close(struct vm *vm);

/* Of a guest that may run: remember how its shim looks from here. */
void vm_csv_see_shim(struct vm *vm);
/* Was it seen, and looks the same? Only its guest can have changed it. */
bool vm_csv_same_shim(struct vm *vm);

/* vmm/vm_pages.c: page states of an encrypted guest ([KVM-API] 5, 7.23;
 * KVM_FEATURE_HC_MAP_GPA_RANGE, MIGRATION_CONTROL). An old kernel that has not
 * what it takes is no failure. exit functions: vm.lock held. */
int vm_pages_open(struct vm *vm);
/* The guest begins, or begins anew: of its pages only the shim's GHCB is known. */
void vm_pages_begin(struct vm *vm);
/* As after that, in vm->m.vm_fd. */
int vm_pages_again(struct vm *vm);
void vm_pages_hypercall(struct vcpu *v);
void vm_pages_rdmsr(struct vcpu *v);
void vm_pages_wrmsr(struct vcpu *v);

/* vmm/vm_shim.c: a guest without #VC says at a port why it ends, one with it by
 * GHCB's termination request ([GHCB] 2.3.1): logged in words; vm.lock held. */
int vm_shim_open(struct vm *vm);
void vm_shim_terminated(struct vm *vm, uint64_t ghcb_msr);

#endif
