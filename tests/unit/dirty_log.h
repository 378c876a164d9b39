/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_TESTS_UNIT_DIRTY_LOG_H
#define CSVVMM_TESTS_UNIT_DIRTY_LOG_H

/* In place of KVM's log of dirty pages (core/kvm_dirty.h), where there is no VM: what it
 * has is up to who includes this, by kvm_dirty_fetch(). */

#include <errno.h>

#include "core/kvm_dirty.h"

int kvm_dirty_start(int vm_fd, const struct gmem *gm, bool *ret_manual)
{
	(void)vm_fd;
	(void)gm;
	*ret_manual = false;
	return 0;
}

int kvm_dirty_stop(int vm_fd, const struct gmem *gm)
{
	(void)vm_fd;
	(void)gm;
	return 0;
}

int kvm_dirty_clear(int vm_fd, unsigned slot, uint64_t first, uint32_t n,
		    uint64_t *bitmap)
{
	(void)vm_fd;
	(void)slot;
	(void)first;
	(void)n;
	(void)bitmap;
	return -ENOTTY;
}

#endif
