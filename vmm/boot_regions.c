/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of what boot_load() put into guest memory. */
#include "vmm/boot_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "core/util.h"
#include "psp/crypto.h"

/* Segments of an ELF kernel and, beside the kernel, seven more. */
static_assert(BOOT_SEGMENTS_MAX + 7 <= BOOT_REGIONS_MAX, "the list is too short");

void boot_note(struct boot_info *info, const char *what, gpa_t at, uint64_t len)
{
	gpa_t end = align_up(at + len, PAGE_SIZE);

	at = align_down(at, PAGE_SIZE);
	info->region[info->n_regions++] =
		(struct boot_region){ what, at, end - at, false };
}

int boot_blank(struct gmem *gm, gpa_t at, uint64_t len)
{
	gpa_t first = align_down(at, PAGE_SIZE), end = at + len;
	int r = 0;

	if (first < at)
		r = gmem_fill(gm, first, 0, at - first);
	if (!r && end % PAGE_SIZE)
		r = gmem_fill(gm, end, 0, align_up(end, PAGE_SIZE) - end);
	return r;
}

void boot_note_kernel(struct boot_info *info, const struct boot_kernel *k,
		      const struct boot_elf *elf)
{
	unsigned i;

	if (k->format == BOOT_BZIMAGE)
		boot_note(info, "kernel", k->load, k->payload_size);
	for (i = 0; k->format == BOOT_ELF && i < elf->n; i++)
		boot_note(info, "kernel", elf->seg[i].at, elf->seg[i].mem_size);
}

/* Nothing is left to qsort()'s choice: the digest hangs on the order. */
static int by_address(const void *a, const void *b)
{
	const struct boot_region *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->len > y->len ? -1 : x->len < y->len;
}

int boot_hash_region(const struct gmem *gm, const struct boot_region *reg,
		     struct psp_hash *one, struct psp_hash *other)
{
	uint8_t page[PAGE_SIZE];
	uint64_t off;
	int r = 0;

	for (off = 0; !r && off < reg->len; off += sizeof(page)) {
		r = gmem_read(gm, reg->at + off, page, sizeof(page));
		if (!r)
			r = psp_hash_update(one, page, sizeof(page));
		if (!r && other)
			r = psp_hash_update(other, page, sizeof(page));
	}
	return r;
}

void boot_sort_regions(struct boot_info *info)
{
	unsigned i, n = 0;
	gpa_t done = 0;

	qsort(info->region, info->n_regions, sizeof(info->region[0]), by_address);
	for (i = 0; i < info->n_regions; i++) {
		struct boot_region r = info->region[i];
		gpa_t end = r.at + r.len;

		r.at = MAX(r.at, done);
		if (r.at >= end)
			continue;
		r.len = end - r.at;
		info->region[n++] = r;
		done = end;
	}
	info->n_regions = n;
}
