/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_KVM_H
#define CSVVMM_CORE_KVM_H

#include <stdint.h>

struct gmem;
struct kvm_cpuid2;
struct kvm_regs;
struct kvm_run;
struct kvm_sregs;

/* Thin wrappers: -errno instead of errno, EINTR kept, nothing logged. */

int kvm_ioctl(int fd, unsigned long req, void *arg);
int kvm_ioctl_val(int fd, unsigned long req, unsigned long arg);

/* Return: descriptor of /dev/kvm, or -errno; -ENOTSUP if the API is not 12. */
int kvm_open(void);

/* Return: value of KVM_CHECK_EXTENSION (0 when absent), or -errno. */
int kvm_cap(int fd, unsigned cap);

/**
 * kvm_get_msr(), kvm_set_msr() - One MSR of a vCPU
 *
 * One at a time: KVM stops at the first that it does not know ([KVM-API] 4.18, 4.19).
 *
 * Return: 0; -ENOENT when this KVM has no such MSR, -EINVAL when it takes no such
 * value (or has none); -errno
 */
int kvm_get_msr(int fd, uint32_t msr, uint64_t *ret_v);
int kvm_set_msr(int fd, uint32_t msr, uint64_t v);

/**
 * kvm_create_vm() - New VM with in-kernel irqchip and guest RAM mapped
 * @gm:		Its regions become memory slots 0, 1, ...
 *
 * Return: VM descriptor or -errno
 */
int kvm_create_vm(int kvm_fd, const struct gmem *gm);

/**
 * kvm_create_vcpu() - New vCPU and its shared run page
 * @ret_run:	Mapped page; munmap() with kvm_run_size()
 *
 * Return: vCPU descriptor or -errno
 */
int kvm_create_vcpu(int kvm_fd, int vm_fd, unsigned id, struct kvm_run **ret_run);
int kvm_run_size(int kvm_fd);

/**
 * kvm_supported_cpuid() - KVM_GET_SUPPORTED_CPUID, buffer grown as needed
 *
 * Return: malloc'ed table, or NULL with errno set
 */
struct kvm_cpuid2 *kvm_supported_cpuid(int kvm_fd);

#endif
