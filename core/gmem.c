/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gmem.h"

#include <endian.h>
#include <errno.h>
#include <emmintrin.h>
#include <linux/memfd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/util.h"

#define HUGE_SIZE  MIB(2)
#define CACHE_LINE 64

static size_t dirty_words(uint64_t size)
{
	return (size_t)((size / PAGE_SIZE + 63) / 64);
}

static int gmem_memfd(uint64_t size, bool hugepages)
{
	unsigned flags = MFD_CLOEXEC;
	int fd, r;

	if (hugepages)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	fd = memfd_create("csvvmm-guest-ram", flags);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	return fd;
}

static int gmem_map(struct gmem *gm, gpa_t base, uint64_t size, uint64_t off)
{
	struct gmem_region *r = &gm->region[gm->n_regions];
	void *p;

	/*
	 * Shared, so that a helper process can be given the same RAM. Huge
	 * pages are reserved here: no SIGBUS later when the pool is empty.
	 */
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, gm->fd,
		 (off_t)off);
	if (p == MAP_FAILED)
		return -errno;
	/* Guest RAM is no business of a core dump. */
	(void)madvise(p, size, MADV_DONTDUMP);
	*r = (struct gmem_region){ .base = base, .size = size, .host = p };
	gm->n_regions++;
	return 0;
}

int gmem_init(struct gmem *gm, uint64_t size, bool hugepages)
{
	uint64_t unit = hugepages ? HUGE_SIZE : PAGE_SIZE;
	uint64_t low = MIN(size, GMEM_HOLE_START);
	int r;

	*gm = (struct gmem){ .fd = -1 };
	if (size < MIB(1) || size % unit || size > UINT64_MAX / 2)
		return -EINVAL;

	gm->size = size;
	gm->dirty = calloc(dirty_words(size), sizeof(*gm->dirty));
	if (!gm->dirty)
		return -ENOMEM;
	gm->fd = gmem_memfd(size, hugepages);
	if (gm->fd < 0) {
		r = gm->fd;
		goto fail;
	}
	r = gmem_map(gm, 0, low, 0);
	if (!r && size > low)
		r = gmem_map(gm, GMEM_HOLE_END, size - low, low);
	if (!r)
		return 0;
fail:
	gmem_fini(gm);
	return r;
}

void gmem_fini(struct gmem *gm)
{
	unsigned i;

	for (i = 0; i < gm->n_regions; i++)
		(void)munmap(gm->region[i].host, gm->region[i].size);
	util_close(&gm->fd);
	free(gm->dirty);
	pagemap_fini(&gm->map);
	*gm = (struct gmem){ .fd = -1 };
}

static const struct gmem_region *gmem_find(const struct gmem *gm, gpa_t gpa,
					   uint64_t len)
{
	unsigned i;

	for (i = 0; i < gm->n_regions; i++) {
		const struct gmem_region *r = &gm->region[i];

		if (range_inside(gpa, len, r->base, r->size))
			return r;
	}
	return NULL;
}

/* Index of a region's first page in the maps (pages of the memfd). */
static uint64_t region_page0(const struct gmem *gm, const struct gmem_region *r)
{
	return r == &gm->region[0] ? 0 : gm->region[0].size / PAGE_SIZE;
}

static bool gmem_shared(const struct gmem *gm, const struct gmem_region *r,
			gpa_t gpa, uint64_t len)
{
	uint64_t first = (gpa - r->base) / PAGE_SIZE;
	uint64_t end = (gpa - r->base + len + PAGE_SIZE - 1) / PAGE_SIZE;

	return !gm->map.told ||
	       pagemap_shared(&gm->map, region_page0(gm, r) + first, end - first);
}

static uint8_t *gmem_host(const struct gmem *gm, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *r = gmem_find(gm, gpa, len);

	return r && gmem_shared(gm, r, gpa, len) ? r->host + (gpa - r->base)
						 : NULL;
}

int gmem_encrypt(struct gmem *gm)
{
	return pagemap_init(&gm->map, gm->size / PAGE_SIZE);
}

void gmem_forget(struct gmem *gm)
{
	if (gm->map.n_pages)
		pagemap_reset(&gm->map);
}

typedef int (*set_pages)(struct pagemap *pm, uint64_t first, uint64_t n,
			 bool shared);

static int set_each(struct gmem *gm, gpa_t gpa, uint64_t n, bool shared,
		    set_pages set)
{
	uint64_t first = gpa / PAGE_SIZE, end;
	int r = -EINVAL;
	unsigned i;

	if (!gm->map.n_pages || gpa % PAGE_SIZE || n > UINT64_MAX / PAGE_SIZE)
		return -EINVAL;
	end = first + n;
	for (i = 0; i < gm->n_regions; i++) {
		const struct gmem_region *reg = &gm->region[i];
		uint64_t base = reg->base / PAGE_SIZE;
		uint64_t from = MAX(first, base);
		uint64_t to = MIN(end, base + reg->size / PAGE_SIZE);

		if (from >= to)
			continue;
		r = set(&gm->map, region_page0(gm, reg) + from - base,
			to - from, shared);
		gmem_mark_dirty(gm, from * PAGE_SIZE, (to - from) * PAGE_SIZE);
	}
	return r;
}

int gmem_tell(struct gmem *gm, gpa_t gpa, uint64_t n, bool shared)
{
	return set_each(gm, gpa, n, shared, pagemap_tell);
}

int gmem_share(struct gmem *gm, gpa_t gpa)
{
	return set_each(gm, gpa, 1, true, pagemap_set);
}

bool gmem_valid(const struct gmem *gm, gpa_t gpa, uint64_t len)
{
	return gmem_find(gm, gpa, len) != NULL;
}

int gmem_read(const struct gmem *gm, gpa_t gpa, void *buf, size_t len)
{
	const uint8_t *p = gmem_host(gm, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(buf, p, len);
	return 0;
}

int gmem_write(struct gmem *gm, gpa_t gpa, const void *buf, size_t len)
{
	uint8_t *p = gmem_host(gm, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(p, buf, len);
	gmem_mark_dirty(gm, gpa, len);
	return 0;
}

int gmem_fill(struct gmem *gm, gpa_t gpa, int byte, uint64_t len)
{
	uint8_t *p = gmem_host(gm, gpa, len);

	if (!p)
		return -EFAULT;
	memset(p, byte, len);
	gmem_mark_dirty(gm, gpa, len);
	return 0;
}

int gmem_load16(const struct gmem *gm, gpa_t gpa, uint16_t *ret_v)
{
	uint8_t *p = gmem_host(gm, gpa, sizeof(uint16_t));

	if (gpa & 1)
		return -EINVAL;
	if (!p)
		return -EFAULT;
	*ret_v = le16toh(atomic_load_explicit((_Atomic uint16_t *)(void *)p,
					      memory_order_acquire));
	return 0;
}

int gmem_store16(struct gmem *gm, gpa_t gpa, uint16_t v)
{
	uint8_t *p = gmem_host(gm, gpa, sizeof(uint16_t));

	if (gpa & 1)
		return -EINVAL;
	if (!p)
		return -EFAULT;
	atomic_store_explicit((_Atomic uint16_t *)(void *)p, htole16(v),
			      memory_order_release);
	gmem_mark_dirty(gm, gpa, sizeof(v));
	return 0;
}

int gmem_iov(struct gmem *gm, gpa_t gpa, uint64_t len, bool device_writes,
	     struct iovec *ret_iov)
{
	uint8_t *p = gmem_host(gm, gpa, len);

	if (!p)
		return -EFAULT;
	if (device_writes)
		gmem_mark_dirty(gm, gpa, len);
	*ret_iov = (struct iovec){ .iov_base = p, .iov_len = len };
	return 0;
}

bool gmem_is_private(const struct gmem *gm, gpa_t gpa)
{
	const struct gmem_region *r = gmem_find(gm, gpa, 1);

	return r && gm->map.n_pages &&
	       !pagemap_shared(&gm->map,
			       region_page0(gm, r) + (gpa - r->base) / PAGE_SIZE,
			       1);
}

bool gmem_is_zero(const struct gmem *gm, gpa_t gpa)
{
	const uint64_t *p = (const void *)gmem_host(gm, gpa, PAGE_SIZE);
	size_t i;

	for (i = 0; p && i < PAGE_SIZE / sizeof(*p); i += 4) {
		if (p[i] | p[i + 1] | p[i + 2] | p[i + 3])
			return false;
	}
	return p != NULL;
}

int gmem_sealed_iov(const struct gmem *gm, gpa_t gpa, uint64_t len,
		    struct iovec *ret_iov)
{
	const struct gmem_region *r = gmem_find(gm, gpa, len);

	if (!r)
		return -EFAULT;
	*ret_iov = (struct iovec){ .iov_base = r->host + (gpa - r->base),
				   .iov_len = len };
	return 0;
}

void gmem_flush(const struct gmem *gm, gpa_t gpa, uint64_t len)
{
	uint8_t *p = gmem_host(gm, gpa, len);
	uint64_t off;

	if (!p)
		return;
	for (off = 0; off < len; off += CACHE_LINE)
		_mm_clflush(p + off);
	_mm_mfence();
}

void gmem_mark_dirty(struct gmem *gm, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *r = gmem_find(gm, gpa, len);
	uint64_t page, last;

	if (!r || !len)
		return;
	page = region_page0(gm, r) + (gpa - r->base) / PAGE_SIZE;
	last = region_page0(gm, r) + (gpa - r->base + len - 1) / PAGE_SIZE;
	for (; page <= last; page++) {
		_Atomic uint64_t *w = (_Atomic uint64_t *)&gm->dirty[page / 64];

		/* Most pages are dirty already: keep the line shared then. */
		if (!(atomic_load_explicit(w, memory_order_relaxed) &
		      BIT(page % 64)))
			atomic_fetch_or(w, BIT(page % 64));
	}
}

void gmem_dirty_fetch(struct gmem *gm, unsigned region, uint64_t *bitmap)
{
	const struct gmem_region *r = &gm->region[region];
	uint64_t page0 = region_page0(gm, r);
	uint64_t n = r->size / PAGE_SIZE, i = 0;

	while (i < n) {
		uint64_t page = page0 + i;
		uint64_t span = MIN(64 - page % 64, n - i);
		uint64_t mask = span == 64 ? UINT64_MAX
					   : (BIT(span) - 1) << (page % 64);
		uint64_t got, bit;

		got = atomic_fetch_and((_Atomic uint64_t *)&gm->dirty[page / 64],
				       ~mask) &
		      mask;
		for (bit = 0; got && bit < span; bit++) {
			if (got >> ((page + bit) % 64) & 1)
				bitmap[(i + bit) / 64] |= BIT((i + bit) % 64);
		}
		i += span;
	}
}
