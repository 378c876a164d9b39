/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/kvm_dirty.h"

#include <linux/kvm.h>
#include <string.h>

#include "core/gmem.h"
#include "core/kvm.h"

static int set_flags(int vm_fd, const struct gmem *gm, uint32_t flags)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < gm->n_regions && !r; i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.flags = flags,
			.guest_phys_addr = gm->region[i].base,
			.memory_size = gm->region[i].size,
			.userspace_addr = (uintptr_t)gm->region[i].host,
		};

		r = kvm_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &slot);
	}
	return r;
}

/*
 * Manual: a page is protected again just before it is sent, not all of them
 * under one lock. Best with all pages dirty at first, which needs no protection
 * at the start either. Can't be taken back, and need not.
 */
static bool ask_manual(int vm_fd)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 };
	int has = kvm_cap(vm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);

	cap.args[0] = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
		      KVM_DIRTY_LOG_INITIALLY_SET;
	if (has > 0 && !kvm_ioctl(vm_fd, KVM_ENABLE_CAP, &cap))
		return true;
	cap.args[0] = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	return has > 0 && !kvm_ioctl(vm_fd, KVM_ENABLE_CAP, &cap);
}

int kvm_dirty_start(int vm_fd, const struct gmem *gm, bool *ret_manual)
{
	bool manual = ask_manual(vm_fd);
	int r = set_flags(vm_fd, gm, KVM_MEM_LOG_DIRTY_PAGES);

	if (r < 0)
		(void)set_flags(vm_fd, gm, 0);
	else
		*ret_manual = manual;
	return r;
}

int kvm_dirty_stop(int vm_fd, const struct gmem *gm)
{
	return set_flags(vm_fd, gm, 0);
}

int kvm_dirty_fetch(int vm_fd, unsigned slot, uint64_t *scratch, uint64_t words,
		    uint64_t *bitmap)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = scratch };
	uint64_t i;
	int r;

	memset(scratch, 0, words * sizeof(*scratch));
	r = kvm_ioctl(vm_fd, KVM_GET_DIRTY_LOG, &log);
	for (i = 0; i < words && !r; i++)
		bitmap[i] |= scratch[i];
	return r;
}

int kvm_dirty_clear(int vm_fd, unsigned slot, uint64_t first, uint32_t n,
		    uint64_t *bitmap)
{
	struct kvm_clear_dirty_log log = { .slot = slot,
					   .num_pages = n,
					   .first_page = first,
					   .dirty_bitmap = bitmap };

	return kvm_ioctl(vm_fd, KVM_CLEAR_DIRTY_LOG, &log);
}
