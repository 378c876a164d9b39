/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_DISK_H
#define CSVVMM_DEVICES_DISK_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct disk - A raw file or block device behind virtio-blk
 * @fd:		Opened O_DIRECT when @direct; -1 = closed
 * @size:	Bytes, rounded down to @block_size; a tail is not seen by the guest
 * @block_size:	Logical block size, 512 to 4096. With @direct also what O_DIRECT
 *		demands of offsets and lengths
 * @align:	What O_DIRECT demands of memory addresses (bytes)
 * @can_discard, @can_zero: the backing is believed to support it; cleared by
 *		the user of the disk when the kernel says it does not
 */
struct disk {
	int fd;
	uint64_t size;
	uint32_t block_size;
	uint32_t align;
	bool readonly;
	bool direct;
	bool is_bdev;
	bool can_discard, can_zero;
};

/**
 * disk_open() - Open and lock a disk
 * @direct:	cache = "direct": O_DIRECT. A flush is fdatasync either way
 *
 * Takes an OFD lock on the whole file: exclusive, shared when @readonly.
 *
 * Return: 0; -EBUSY when another process holds the lock or, for a block device
 * opened for writing, when it is mounted; -EINVAL when the file system has no
 * O_DIRECT or wants blocks above 4096 bytes for it, or when the file is neither
 * regular nor a block device; -ENODATA when it holds not even one block; or
 * -errno of open()
 */
int disk_open(struct disk *d, const char *path, bool readonly, bool direct);
/* The same without the lock, which another host may still hold: not to be
 * written to before disk_take(). */
int disk_open_unlocked(struct disk *d, const char *path, bool readonly,
		       bool direct);
/* Drops the lock. Safe after a failed disk_open() and twice. */
void disk_close(struct disk *d);

/**
 * disk_lend() / disk_borrow() / disk_take() / disk_release() - Hand the disk over
 *
 * Who wants the lock wants that of the whole file; so who has that of a half keeps
 * all others out. Of a writable disk, lend makes what was written stable (nothing
 * may be in flight) and gives up the lock of the far half. Borrow gets that one;
 * then the lender may release its own, and the borrower takes the whole. Readers
 * share, at each step.
 *
 * Return: 0; -EBUSY when another process holds the lock; -ENODATA when the disk
 * is now smaller than it was at its opening, and the lock was got; or -errno of the
 * flush, and the lock is still held
 */
int disk_lend(struct disk *d);
int disk_borrow(struct disk *d);
int disk_take(struct disk *d);
int disk_release(struct disk *d);

/* Give a byte range back to the host; its contents are undefined afterwards.
 * Return: 0; -EOPNOTSUPP when the backing can not; or -errno */
int disk_discard(struct disk *d, uint64_t off, uint64_t len);
/* Make a byte range read as zeroes, deallocating it only when @may_unmap.
 * Return: 0; -EOPNOTSUPP when the caller has to write zeroes; or -errno */
int disk_zero(struct disk *d, uint64_t off, uint64_t len, bool may_unmap);

/* The fallocate() mode of disk_zero(), for asynchronous use. */
int disk_zero_mode(bool may_unmap);

#endif
