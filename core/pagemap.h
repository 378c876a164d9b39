/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_PAGEMAP_H
#define CSVVMM_CORE_PAGEMAP_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct pagemap - Which pages of an encrypted guest are shared with the host
 * @shared:	One bit a page, set: plain to the host. By number, not address
 * @n_pages:	Pages
 * @told:	The guest has said anything at all: before, nothing is known
 *
 * All private at first. Any thread; a change is seen by whoever looks later.
 */
struct pagemap {
	uint64_t *shared;
	uint64_t n_pages;
	_Atomic bool told;
};

/* Return: 0 or -ENOMEM; pagemap_fini() is safe after both, and twice. */
int pagemap_init(struct pagemap *pm, uint64_t n_pages);
void pagemap_fini(struct pagemap *pm);

/* Pages [first, first + n) are so, which nobody has had to say. Return: 0, or
 * -EINVAL when there are no such pages */
int pagemap_set(struct pagemap *pm, uint64_t first, uint64_t n, bool shared);

/* The same, and it is the guest who says so. */
int pagemap_tell(struct pagemap *pm, uint64_t first, uint64_t n, bool shared);

/* Are all of [first, first + n) shared? Those that aren't there are not. */
bool pagemap_shared(const struct pagemap *pm, uint64_t first, uint64_t n);

uint64_t pagemap_count_shared(const struct pagemap *pm);

/* As after pagemap_init(): the guest was reset. */
void pagemap_reset(struct pagemap *pm);

#endif
