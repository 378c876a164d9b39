/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/pagemap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/util.h"

#define BITS 64u

static uint64_t words(uint64_t n_pages)
{
	return (n_pages + BITS - 1) / BITS;
}

static _Atomic uint64_t *map_word(const struct pagemap *pm, uint64_t page)
{
	return (_Atomic uint64_t *)&pm->shared[page / BITS];
}

int pagemap_init(struct pagemap *pm, uint64_t n_pages)
{
	*pm = (struct pagemap){ .n_pages = n_pages };
	pm->shared = calloc(words(n_pages), sizeof(*pm->shared));
	if (!pm->shared)
		pm->n_pages = 0;
	return pm->shared ? 0 : -ENOMEM;
}

void pagemap_fini(struct pagemap *pm)
{
	free(pm->shared);
	*pm = (struct pagemap){ .n_pages = 0 };
}

/* Bits of the word that holds @page, of those in [page, page + n). */
static uint64_t word_mask(uint64_t page, uint64_t n)
{
	uint64_t at = page % BITS, len = MIN(n, BITS - at);

	return (len == BITS ? UINT64_MAX : BIT(len) - 1) << at;
}

int pagemap_set(struct pagemap *pm, uint64_t first, uint64_t n, bool shared)
{
	uint64_t page = first, left = n, step;

	if (!n || !range_inside(first, n, 0, pm->n_pages))
		return -EINVAL;
	for (; left; page += step, left -= step) {
		_Atomic uint64_t *w = map_word(pm, page);

		step = MIN(left, BITS - page % BITS);
		if (shared)
			atomic_fetch_or(w, word_mask(page, left));
		else
			atomic_fetch_and(w, ~word_mask(page, left));
	}
	return 0;
}

int pagemap_tell(struct pagemap *pm, uint64_t first, uint64_t n, bool shared)
{
	int r = pagemap_set(pm, first, n, shared);

	if (!r)
		atomic_store(&pm->told, true);
	return r;
}

bool pagemap_shared(const struct pagemap *pm, uint64_t first, uint64_t n)
{
	uint64_t page = first, left = n, step, mask;

	if (!range_inside(first, n, 0, pm->n_pages))
		return false;
	for (; left; page += step, left -= step) {
		step = MIN(left, BITS - page % BITS);
		mask = word_mask(page, left);
		if ((atomic_load(map_word(pm, page)) & mask) != mask)
			return false;
	}
	return true;
}

uint64_t pagemap_count_shared(const struct pagemap *pm)
{
	uint64_t i, n = 0;

	for (i = 0; i < words(pm->n_pages); i++)
		n += (uint64_t)__builtin_popcountll(
			atomic_load(map_word(pm, i * BITS)));
	return n;
}

void pagemap_reset(struct pagemap *pm)
{
	uint64_t i;

	for (i = 0; i < words(pm->n_pages); i++)
		atomic_store(map_word(pm, i * BITS), 0);
	atomic_store(&pm->told, false);
}
