/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "core/util.h"

#define DISK_BLOCK_MIN 512u
#define DISK_BLOCK_MAX 4096u

/*
 * O_NONBLOCK, so that a FIFO does not hold us up before its kind is known.
 * O_EXCL makes a writable block device -EBUSY while it is mounted or part of
 * another device; Linux ignores it for other files.
 */
static int disk_open_fd(const char *path, bool readonly, bool direct)
{
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd;

	flags |= readonly ? O_RDONLY : O_RDWR | O_EXCL;
	if (direct)
		flags |= O_DIRECT;
	fd = open(path, flags);

	return fd < 0 ? -errno : fd;
}

/* io_uring gives -EAGAIN instead of waiting when O_NONBLOCK is left set. */
static int disk_set_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/* Where the far half of the lock begins, behind the end of any disk. */
#define DISK_FAR ((off_t)1 << 62)

/* From there to the end of all offsets. */
static int disk_set_lock(const struct disk *d, int type, off_t from)
{
	struct flock fl = {
		.l_type = (short)type,
		.l_whence = SEEK_SET,
		.l_start = from,
	};

	if (!fcntl(d->fd, F_OFD_SETLK, &fl))
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int disk_lock(const struct disk *d)
{
	return disk_set_lock(d, d->readonly ? F_RDLCK : F_WRLCK, 0);
}

static int disk_geometry(struct disk *d)
{
	uint64_t bytes;
	struct stat st;
	int ssz;

	if (fstat(d->fd, &st) < 0)
		return -errno;
	d->block_size = DISK_BLOCK_MIN;
	if (S_ISREG(st.st_mode)) {
		d->size = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return -EINVAL;

	d->is_bdev = true;
	if (ioctl(d->fd, BLKGETSIZE64, &bytes) < 0 ||
	    ioctl(d->fd, BLKSSZGET, &ssz) < 0)
		return -errno;
	if (ssz < 0 || !is_pow2((unsigned)ssz))
		return -EINVAL;
	d->size = bytes;
	d->block_size = MAX((uint32_t)ssz, DISK_BLOCK_MIN);
	return 0;
}

/* Is @align enough for O_DIRECT's address, offset and length? */
static bool disk_try_align(int fd, uint32_t align)
{
	_Alignas(2 * DISK_BLOCK_MAX) uint8_t buf[2 * DISK_BLOCK_MAX];

	/* buf + align is aligned to @align and to nothing above it. */
	return pread(fd, buf + align, align, 0) >= 0;
}

static int disk_probe_align(struct disk *d)
{
	uint32_t align;

	for (align = DISK_BLOCK_MIN; align <= DISK_BLOCK_MAX; align *= 2) {
		if (!disk_try_align(d->fd, align))
			continue;
		d->align = align;
		d->block_size = MAX(d->block_size, align);
		return 0;
	}
	return -EINVAL;
}

/* What O_DIRECT demands: ask the kernel (Linux 6.1), else find out. */
static int disk_direct_align(struct disk *d)
{
	struct statx sx;

	if (statx(d->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) < 0 ||
	    !(sx.stx_mask & STATX_DIOALIGN)) {
		d->align = d->block_size;
		return d->is_bdev ? 0 : disk_probe_align(d);
	}
	if (!is_pow2(sx.stx_dio_mem_align) || !is_pow2(sx.stx_dio_offset_align))
		return -EINVAL; /* 0: no direct I/O on this file */
	d->align = sx.stx_dio_mem_align;
	d->block_size = MAX(d->block_size, sx.stx_dio_offset_align);
	return 0;
}

/*
 * Punching behind the end is harmless and tells whether the file system can.
 * Zeroing there would allocate, so whether that works is learnt by doing.
 */
static void disk_probe_ops(struct disk *d)
{
	uint64_t end = align_up(d->size, DISK_BLOCK_MAX);

	if (d->readonly)
		return;
	d->can_zero = true;
	d->can_discard = d->is_bdev ||
			 !fallocate(d->fd,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    (off_t)end, DISK_BLOCK_MAX);
}

static int disk_setup(struct disk *d, bool lock)
{
	int r;

	r = disk_geometry(d);
	if (r < 0)
		return r;
	r = disk_set_blocking(d->fd);
	if (r < 0)
		return r;
	r = lock ? disk_lock(d) : 0;
	if (r < 0)
		return r;
	d->align = 1;
	if (d->direct) {
		r = disk_direct_align(d);
		if (r < 0)
			return r;
	}
	if (d->block_size > DISK_BLOCK_MAX)
		return -EINVAL;
	d->size = align_down(d->size, d->block_size);
	if (!d->size)
		return -ENODATA;
	disk_probe_ops(d);
	return 0;
}

static int disk_open_either(struct disk *d, const char *path, bool readonly,
			    bool direct, bool lock)
{
	int r;

	*d = (struct disk){ .fd = -1, .readonly = readonly, .direct = direct };

	d->fd = disk_open_fd(path, readonly, direct);
	if (d->fd < 0) {
		r = d->fd;
		d->fd = -1;
		return r;
	}
	r = disk_setup(d, lock);
	if (r < 0)
		disk_close(d);
	return r;
}

int disk_open(struct disk *d, const char *path, bool readonly, bool direct)
{
	return disk_open_either(d, path, readonly, direct, true);
}

int disk_open_unlocked(struct disk *d, const char *path, bool readonly,
		       bool direct)
{
	return disk_open_either(d, path, readonly, direct, false);
}

void disk_close(struct disk *d)
{
	util_close(&d->fd);
}

int disk_lend(struct disk *d)
{
	int r;

	if (d->readonly)
		return 0;
	if (fdatasync(d->fd) < 0)
		return -errno;
	/* Whom it was borrowed from may have the other half still. */
	r = disk_lock(d);
	return r < 0 ? r : disk_set_lock(d, F_UNLCK, DISK_FAR);
}

int disk_release(struct disk *d)
{
	return disk_set_lock(d, F_UNLCK, 0);
}

static int disk_same_size(const struct disk *d)
{
	struct disk now = { .fd = d->fd };
	int r = disk_geometry(&now);

	return !r && now.size < d->size ? -ENODATA : r;
}

int disk_borrow(struct disk *d)
{
	int r = d->readonly ? disk_lock(d) : disk_set_lock(d, F_WRLCK, DISK_FAR);

	return r < 0 ? r : disk_same_size(d);
}

int disk_take(struct disk *d)
{
	int r = disk_lock(d);

	return r < 0 ? r : disk_same_size(d);
}

static int disk_fallocate(struct disk *d, int mode, uint64_t off, uint64_t len)
{
	if (fallocate(d->fd, mode, (off_t)off, (off_t)len) < 0)
		return -errno;
	return 0;
}

int disk_discard(struct disk *d, uint64_t off, uint64_t len)
{
	uint64_t range[2] = { off, len };

	if (!d->is_bdev)
		return disk_fallocate(
			d, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
	if (ioctl(d->fd, BLKDISCARD, range) < 0)
		return -errno;
	return 0;
}

/* A hole reads as zeroes, on block devices as well. */
int disk_zero_mode(bool may_unmap)
{
	return FALLOC_FL_KEEP_SIZE |
	       (may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

int disk_zero(struct disk *d, uint64_t off, uint64_t len, bool may_unmap)
{
	return disk_fallocate(d, disk_zero_mode(may_unmap), off, len);
}
