/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_KVM_DIRTY_H
#define CSVVMM_CORE_KVM_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

struct gmem;

/* KVM's log of what the guest writes ([KVM-API] 4.8, 4.117, 7.18). */

/* Begin. *ret_manual: kvm_dirty_clear() has to be called; pages may all be
 * dirty at first. Return: 0 or -errno, and nothing is logged */
int kvm_dirty_start(int vm_fd, const struct gmem *gm, bool *ret_manual);
int kvm_dirty_stop(int vm_fd, const struct gmem *gm);

/* What is dirty in region @slot, OR-ed into @bitmap; @scratch and it have
 * @words. Not manual: and clean from then on. Return: 0 or -errno */
int kvm_dirty_fetch(int vm_fd, unsigned slot, uint64_t *scratch, uint64_t words,
		    uint64_t *bitmap);

/* Pages [first, first + n) whose bit in @bitmap is set are clean. @first and @n
 * are multiples of 64, or reach to the end. Return: 0 or -errno */
int kvm_dirty_clear(int vm_fd, unsigned slot, uint64_t first, uint32_t n,
		    uint64_t *bitmap);

#endif
