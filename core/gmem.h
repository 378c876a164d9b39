/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_GMEM_H
#define CSVVMM_CORE_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/pagemap.h"

struct iovec;

/* A guest physical address in bytes. Never a pointer. */
typedef uint64_t gpa_t;

/* Guest RAM below this address, the rest from 4 GiB up; between: devices. */
#define GMEM_HOLE_START 0xc0000000ULL
#define GMEM_HOLE_END	0x100000000ULL
#define GMEM_REGIONS	2

/**
 * struct gmem_region - One run of guest RAM
 * @base:	First guest physical address, page aligned
 * @size:	Bytes, a multiple of the page size
 * @host:	Where it is mapped here; private to gmem.c and kvm.c
 */
struct gmem_region {
	gpa_t base;
	uint64_t size;
	uint8_t *host;
};

/**
 * struct gmem - Guest RAM, the only door to guest bytes
 * @fd:		memfd that holds all regions, one after another
 * @size:	Bytes of RAM
 * @dirty:	One bit a page (indexed by offset in @fd): written by the VMM
 *		since gmem_dirty_fetch(); KVM's log never sees these writes
 * @map:	Of an encrypted guest, once gmem_encrypt() was called: what it
 *		has not shared is not there, for no function here. It would only
 *		be ciphertext, and worth nothing but mischief
 *
 * Any function here may be called by any thread. Every access is checked for
 * range and wrap-around; a range may not cross from one region to another.
 */
struct gmem {
	struct gmem_region region[GMEM_REGIONS];
	unsigned n_regions;
	int fd;
	uint64_t size;
	uint64_t *dirty;
	struct pagemap map;
};

/**
 * gmem_init() - Allocate guest RAM, all zero
 * @gm:		Set up here; gmem_fini() is safe after success or failure
 * @size:	Bytes; a multiple of 4 KiB (2 MiB with @hugepages), at least 1 MiB
 * @hugepages:	Back it with 2 MiB huge pages from the host's pool
 *
 * Return: 0; -EINVAL for a bad size; -ENOMEM when the host has not that much
 */
int gmem_init(struct gmem *gm, uint64_t size, bool hugepages);
void gmem_fini(struct gmem *gm);

/* Is [gpa, gpa + len) guest RAM, inside one region? */
bool gmem_valid(const struct gmem *gm, gpa_t gpa, uint64_t len);

/**
 * gmem_encrypt() - From now on the guest says which pages are shared
 *
 * As long as it has said nothing, all of them are: a guest that never does can
 * still have devices.
 *
 * Return: 0 or -ENOMEM
 */
int gmem_encrypt(struct gmem *gm);

/* The guest begins anew: it has said nothing yet. */
void gmem_forget(struct gmem *gm);

/* The page at @gpa is shared from the start: the guest will not say so. Return: as
 * gmem_tell() */
int gmem_share(struct gmem *gm, gpa_t gpa);

/* The guest says so of @n pages from @gpa on; what of it is no RAM is ignored.
 * They are dirty then: what the other side has of them is of no use. Return: 0,
 * or -EINVAL when none of it is RAM */
int gmem_tell(struct gmem *gm, gpa_t gpa, uint64_t n, bool shared);

/**
 * gmem_read() / gmem_write() / gmem_fill() - Copy from, copy to, set
 *
 * The bytes may change under the copy: read once, then check the copy.
 *
 * Return: 0, or -EFAULT when the range is not guest RAM
 */
int gmem_read(const struct gmem *gm, gpa_t gpa, void *buf, size_t len);
int gmem_write(struct gmem *gm, gpa_t gpa, const void *buf, size_t len);
int gmem_fill(struct gmem *gm, gpa_t gpa, int byte, uint64_t len);

/**
 * gmem_load16() / gmem_store16() - Atomic little-endian ring indices
 *
 * Load has acquire, store has release semantics ([VIRTIO] 2.7.13).
 *
 * Return: 0; -EFAULT outside RAM; -EINVAL when @gpa is odd
 */
int gmem_load16(const struct gmem *gm, gpa_t gpa, uint16_t *ret_v);
int gmem_store16(struct gmem *gm, gpa_t gpa, uint16_t v);

/**
 * gmem_iov() - Where the host finds a range, for readv() and its kin
 * @device_writes: The range will be written; it is marked dirty now, and the
 *		caller marks it again with gmem_mark_dirty() once the write is
 *		complete (the kernel may write at any time in between)
 * @ret_iov:	One element; a range inside one region is contiguous
 *
 * Only for handing to the kernel. Never dereference: use gmem_read().
 *
 * Return: 0, or -EFAULT
 */
int gmem_iov(struct gmem *gm, gpa_t gpa, uint64_t len, bool device_writes,
	     struct iovec *ret_iov);

/* Is the page of @gpa private to an encrypted guest? Not if it said so. */
bool gmem_is_private(const struct gmem *gm, gpa_t gpa);

/* Is the page at @gpa all zero? Not if the guest has not shared it. */
bool gmem_is_zero(const struct gmem *gm, gpa_t gpa);

/* As gmem_iov(), also of what the guest has not shared: for the security
 * processor, which alone can do anything with it. */
int gmem_sealed_iov(const struct gmem *gm, gpa_t gpa, uint64_t len,
		    struct iovec *ret_iov);

/* Write the caches' lines of a valid range back and drop them, so that a guest
 * that reads it another way (with or without the C-bit) finds what was written
 * here; an invalid range is ignored. */
void gmem_flush(const struct gmem *gm, gpa_t gpa, uint64_t len);

/* Mark the pages of a valid range dirty; an invalid range is ignored. */
void gmem_mark_dirty(struct gmem *gm, gpa_t gpa, uint64_t len);

/**
 * gmem_dirty_fetch() - Take the dirty bits of one region and clear them
 * @region:	Index below n_regions
 * @bitmap:	(size / 4096 + 63) / 64 words, bit 0 = first page; OR-ed into
 */
void gmem_dirty_fetch(struct gmem *gm, unsigned region, uint64_t *bitmap);

#endif
