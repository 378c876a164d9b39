/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration/dirty.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/kvm_dirty.h"
#include "core/machine.h"
#include "core/util.h"

#define BITS 64u

static uint64_t words(uint64_t pages)
{
	return (pages + BITS - 1) / BITS;
}

static uint64_t region_pages(const struct mig_dirty *d, unsigned i)
{
	return d->m->gmem.region[i].size / PAGE_SIZE;
}

/*
 * What has no contents yet is zero at both ends. Asked of the file: a look at
 * the page itself would give it some.
 */
static void set_contents(struct mig_dirty *d, unsigned i, off_t from)
{
	off_t start = from, end = from + (off_t)d->m->gmem.region[i].size;
	uint64_t page;

	for (;;) {
		off_t data = lseek(d->m->gmem.fd, start, SEEK_DATA);
		off_t hole;

		/* (Not every file system can tell.) */
		if (data < 0 && errno != ENXIO)
			data = start;
		if (data < 0 || data >= end)
			return;
		hole = lseek(d->m->gmem.fd, data, SEEK_HOLE);
		if (hole < 0 || hole > end)
			hole = end;
		for (page = (uint64_t)(data - from) / PAGE_SIZE;
		     page < (uint64_t)(hole - from + PAGE_SIZE - 1) / PAGE_SIZE;
		     page++)
			d->bitmap[i][page / BITS] |= BIT(page % BITS);
		start = hole;
		if (start >= end)
			return;
	}
}

/*
 * KVM's log may begin with all pages set, also those without contents: these
 * are struck out. One that gets its first contents meanwhile is seen by the
 * second look; after that, by the log.
 */
static int begin_region(struct mig_dirty *d, unsigned i, off_t from)
{
	uint64_t n = words(region_pages(d, i)), k;
	int r = 0;

	memset(d->bitmap[i], 0, n * 8);
	set_contents(d, i, from);
	for (k = 0; k < n; k++)
		d->scratch[k] = ~d->bitmap[i][k];
	if (region_pages(d, i) % BITS)
		d->scratch[n - 1] &= BIT(region_pages(d, i) % BITS) - 1;
	if (d->manual)
		r = kvm_dirty_clear(d->m->vm_fd, i, 0,
				    (uint32_t)region_pages(d, i), d->scratch);
	set_contents(d, i, from);
	return r;
}

int mig_dirty_init(struct mig_dirty *d, struct machine *m)
{
	const struct gmem *gm = &m->gmem;
	uint64_t most = 0;
	off_t from = 0;
	unsigned i;
	int r;

	*d = (struct mig_dirty){ .m = m };
	for (i = 0; i < gm->n_regions; i++) {
		most = MAX(most, words(region_pages(d, i)));
		d->bitmap[i] = calloc(words(region_pages(d, i)), 8);
		if (!d->bitmap[i])
			return -ENOMEM;
	}
	d->scratch = calloc(most + 1, 8);
	if (!d->scratch)
		return -ENOMEM;
	r = kvm_dirty_start(m->vm_fd, gm, &d->manual);
	if (r < 0)
		return r;
	d->logging = true;
	/* The VMM's own writes are contents by now. */
	r = mig_dirty_collect(d);
	for (i = 0; i < gm->n_regions && !r; i++) {
		r = begin_region(d, i, from);
		from += (off_t)gm->region[i].size;
	}
	return r;
}

void mig_dirty_fini(struct mig_dirty *d)
{
	unsigned i;

	if (d->logging)
		(void)kvm_dirty_stop(d->m->vm_fd, &d->m->gmem);
	for (i = 0; i < GMEM_REGIONS; i++)
		free(d->bitmap[i]);
	free(d->scratch);
	*d = (struct mig_dirty){ 0 };
}

int mig_dirty_collect(struct mig_dirty *d)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < d->m->gmem.n_regions && !r; i++) {
		r = kvm_dirty_fetch(d->m->vm_fd, i, d->scratch,
				    words(region_pages(d, i)), d->bitmap[i]);
		gmem_dirty_fetch(&d->m->gmem, i, d->bitmap[i]);
	}
	mig_dirty_rewind(d);
	return r;
}

static bool page_private(const struct gmem *gm, unsigned region, uint64_t page)
{
	return gmem_is_private(gm, gm->region[region].base + page * PAGE_SIZE);
}

static uint64_t count_private(const struct gmem *gm, unsigned region,
			      uint64_t page, uint64_t left)
{
	uint64_t n = 0;

	for (; left; left &= left - 1)
		n += page_private(gm, region,
				  page + (uint64_t)__builtin_ctzll(left));
	return n;
}

uint64_t mig_dirty_count(const struct mig_dirty *d, uint64_t *ret_private)
{
	const struct gmem *gm = &d->m->gmem;
	bool ask = ret_private && gm->map.n_pages;
	uint64_t n = 0, sealed = 0, k;
	unsigned i;

	for (i = 0; i < gm->n_regions; i++) {
		for (k = 0; k < words(region_pages(d, i)); k++) {
			n += (uint64_t)__builtin_popcountll(d->bitmap[i][k]);
			if (ask)
				sealed += count_private(gm, i, k * BITS,
							d->bitmap[i][k]);
		}
	}
	if (ret_private)
		*ret_private = sealed;
	return n;
}

void mig_dirty_rewind(struct mig_dirty *d)
{
	d->at_region = 0;
	d->at_page = 0;
}

/* Let KVM's log forget the pages of @r, all of region @i. */
static int forget(struct mig_dirty *d, unsigned i, const struct mig_runs *r)
{
	uint64_t base = d->m->gmem.region[i].base / PAGE_SIZE;
	uint64_t first = r->run[0].gfn - base, end, page;
	const struct mig_run *last = &r->run[r->n - 1];
	unsigned k;

	first -= first % BITS;
	end = MIN(align_up(last->gfn + last->n - base, BITS), region_pages(d, i));
	memset(d->scratch, 0, words(end - first) * 8);
	for (k = 0; k < r->n; k++) {
		for (page = r->run[k].gfn - base - first;
		     page < r->run[k].gfn - base - first + r->run[k].n; page++)
			d->scratch[page / BITS] |= BIT(page % BITS);
	}
	return kvm_dirty_clear(d->m->vm_fd, i, first, (uint32_t)(end - first),
			       d->scratch);
}

/* From d->at_page on. Return: are there @max, or no room for more? */
static bool take_region(struct mig_dirty *d, bool private, unsigned max,
			struct mig_runs *ret_r)
{
	unsigned i = d->at_region;
	uint64_t base = d->m->gmem.region[i].base / PAGE_SIZE;
	uint64_t *map = d->bitmap[i];

	for (; d->at_page < region_pages(d, i); d->at_page++) {
		uint64_t page = d->at_page, bit = BIT(page % BITS);

		if (!map[page / BITS]) {
			d->at_page |= BITS - 1;
			continue;
		}
		if (!(map[page / BITS] & bit) ||
		    page_private(&d->m->gmem, i, page) != private)
			continue;
		if (ret_r->pages == max || runs_add(ret_r, base + page, 1) < 0)
			return true;
		map[page / BITS] &= ~bit;
	}
	return false;
}

int mig_dirty_take(struct mig_dirty *d, bool private, unsigned max,
		   struct mig_runs *ret_r)
{
	ret_r->n = 0;
	ret_r->pages = 0;
	/* One region at a time: KVM's log has one for each. */
	while (d->at_region < d->m->gmem.n_regions) {
		bool full = take_region(d, private, max, ret_r);

		if (ret_r->n)
			return d->manual ? forget(d, d->at_region, ret_r) : 0;
		if (full)
			return 0;
		d->at_region++;
		d->at_page = 0;
	}
	return 0;
}
