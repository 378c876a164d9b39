/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine for hosts without io_uring: plain system calls, in the loop
 * thread. The guest's vCPUs run on meanwhile, unless they need vm.lock.
 *
 * #syscalls preadv pwritev2 fdatasync fallocate ioctl write
 */
#include "devices/blk_io.h"

#include <errno.h>
#include <unistd.h>

#include "core/util.h"
#include "devices/disk.h"

/* Operations and bytes in one go, before the loop may serve others. */
#define SYNC_BATCH 32
#define SYNC_BYTES (16u << 20)

static int sync_init(struct blk_io *io)
{
	(void)io;
	return 0;
}

static void sync_fini(struct blk_io *io)
{
	(void)io;
}

/* What is cut off is a short transfer's rest: it comes again. */
static int iov_limit(struct iovec *iov, int n, size_t len)
{
	int i;

	for (i = 0; i < n && len; i++) {
		iov[i].iov_len = MIN(iov[i].iov_len, len);
		len -= iov[i].iov_len;
	}
	return i;
}

static int sync_rw(struct blk_io *io, struct blk_op *op)
{
	struct iovec iov[BLK_IOV_MAX];
	ssize_t got;
	int n;

	n = io->iov(op, iov);
	if (n < 0)
		return n;
	n = iov_limit(iov, n, SYNC_BYTES);
	if (op->kind == BLK_OP_READ)
		got = preadv(io->disk->fd, iov, n, (off_t)op->off);
	else
		got = pwritev2(io->disk->fd, iov, n, (off_t)op->off,
			       op->dsync ? RWF_DSYNC : 0);
	return got < 0 ? -errno : (int)got;
}

static int sync_do(struct blk_io *io, struct blk_op *op)
{
	switch (op->kind) {
	case BLK_OP_READ:
	case BLK_OP_WRITE:
		return sync_rw(io, op);
	case BLK_OP_FLUSH:
		return fdatasync(io->disk->fd) < 0 ? -errno : 0;
	case BLK_OP_DISCARD:
		return disk_discard(io->disk, op->off, op->len);
	case BLK_OP_ZERO:
		return disk_zero(io->disk, op->off, op->len, op->unmap);
	}
	return -EINVAL;
}

static void sync_submit(struct blk_io *io)
{
	unsigned i, bytes = 0;
	struct blk_op *op;
	int r;

	for (i = 0; i < SYNC_BATCH && bytes < SYNC_BYTES; i++) {
		op = blk_io_dequeue(io);
		if (!op)
			return;
		r = sync_do(io, op);
		if (r > 0)
			bytes += (unsigned)r;
		io->done(op, r);
	}
	if (io->head)
		blk_io_poke(io);
}

const struct blk_engine blk_engine_sync = {
	.name = "sync",
	.init = sync_init,
	.fini = sync_fini,
	.submit = sync_submit,
};
