/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_MIGRATION_DIRTY_H
#define CSVVMM_MIGRATION_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/gmem.h"
#include "migration/runs.h"

struct machine;

/**
 * struct mig_dirty - Which pages the target has not, or not as they are now
 * @bitmap:	One bit a page of each region
 * @scratch:	What is cleared in KVM's log at once
 * @manual:	KVM protects a page again when told to, not when it is asked
 *		which are dirty
 * @at_region, @at_page: Where mig_dirty_take() goes on
 *
 * Dirty is what KVM's log says (the guest wrote it), what gmem says (the VMM
 * did, or the guest has shared or unshared it), and all there is at first.
 */
struct mig_dirty {
	struct machine *m;
	uint64_t *bitmap[GMEM_REGIONS];
	uint64_t *scratch;
	bool manual, logging;
	unsigned at_region;
	uint64_t at_page;
};

/* Start logging; all pages that ever had contents are dirty. mig_dirty_fini()
 * after success and failure. Return: 0 or -errno */
int mig_dirty_init(struct mig_dirty *d, struct machine *m);
void mig_dirty_fini(struct mig_dirty *d);

/* Add what was written since. Return: 0 or -errno */
int mig_dirty_collect(struct mig_dirty *d);

/* Pages that are dirty, as far as collected; of these are private to the guest:
 * @ret_private (may be NULL). */
uint64_t mig_dirty_count(const struct mig_dirty *d, uint64_t *ret_private);

/**
 * mig_dirty_take() - Dirty pages to send now, clean from then on
 * @private:	Those that are private to the guest, else the others
 * @max:	Pages, at most WIRE_BATCH_MAX
 * @ret_r:	Empty: there is none behind where the last call left off
 *
 * What is written from now on is dirty again. Read the pages after this.
 *
 * Return: 0 or -errno
 */
int mig_dirty_take(struct mig_dirty *d, bool private, unsigned max,
		   struct mig_runs *ret_r);
/* From the beginning again. */
void mig_dirty_rewind(struct mig_dirty *d);

#endif
