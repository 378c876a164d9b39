/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_CSV_KVM_H
#define CSVVMM_CORE_CSV_KVM_H

#include "core/csv.h"

/* The kernel's CSV/SEV: KVM_MEMORY_ENCRYPT_OP and /dev/sev. */
extern const struct csv_backend csv_kvm_backend;

/**
 * csv_kvm_open() - Open /dev/sev for the VM @vm_fd, which stays the caller's
 *
 * Return: 0 with *ret_be for csv_open(), whose close frees it; -EMEDIUMTYPE as
 * csv_kvm_check(); or -errno
 */
int csv_kvm_open(int vm_fd, void **ret_be);

/* Is that the security processor's device? Return: 0; -EMEDIUMTYPE: a file, or
 * a device that has not its commands; or -errno */
int csv_kvm_check(int sev_fd);

#endif
