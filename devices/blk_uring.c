/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DOC: Theory of operation
 *
 * One ring per disk. Operations are entered in batches with one system call;
 * the ring's eventfd wakes the loop when some are complete. The kernel copies
 * vectors when it takes an entry (IORING_FEAT_SUBMIT_STABLE), so they live in
 * one array for a batch, not in each request.
 *
 * The thread that submits need not be the one that waits: a reset comes from
 * a vCPU thread. So none of the single-issuer set-up flags is used.
 *
 * A ring could carry out what the system call filter forbids. So each is
 * restricted, before it is enabled, to the few operations needed here.
 *
 * #syscalls io_uring_enter read write
 */
#include "devices/blk_io.h"

#include <errno.h>
#include <linux/falloc.h>
#include <liburing.h>
#include <stdlib.h>

#include "core/util.h"
#include "devices/disk.h"

#define URING_IOVS     (2 * BLK_IOV_MAX)
#define URING_FEATURES (IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG)

struct uring {
	struct io_uring ring;
	unsigned n_iov;
	struct iovec iov[URING_IOVS];
};

static void uring_fini(struct blk_io *io)
{
	struct uring *u = io->priv;

	if (!u)
		return;
	io_uring_queue_exit(&u->ring);
	free(u);
	io->priv = NULL;
}

static const uint8_t uring_ops[] = {
	IORING_OP_READV,     IORING_OP_WRITEV,	     IORING_OP_FSYNC,
	IORING_OP_FALLOCATE, IORING_OP_ASYNC_CANCEL,
};

/*
 * From here on the ring does uring_ops[], without flags, and nothing else.
 * liburing 2.3 has functions for the two calls, but does not export them.
 */
static int uring_enable(struct uring *u)
{
	struct io_uring_restriction res[ARRAY_SIZE(uring_ops)] = { 0 };
	int r, fd = u->ring.ring_fd;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(uring_ops); i++) {
		res[i].opcode = IORING_RESTRICTION_SQE_OP;
		res[i].sqe_op = uring_ops[i];
	}
	r = io_uring_register((unsigned)fd, IORING_REGISTER_RESTRICTIONS, res,
			      ARRAY_SIZE(res));
	if (r < 0)
		return r;
	return io_uring_register((unsigned)fd, IORING_REGISTER_ENABLE_RINGS,
				 NULL, 0);
}

static int uring_init(struct blk_io *io)
{
	struct uring *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	r = io_uring_queue_init(io->depth, &u->ring, IORING_SETUP_R_DISABLED);
	if (r < 0) {
		free(u);
		return r;
	}
	io->priv = u;
	/* EXT_ARG (Linux 5.11): waiting with a timeout needs no entry. */
	r = (u->ring.features & URING_FEATURES) == URING_FEATURES ? 0 : -ENOSYS;
	if (!r)
		r = io_uring_register_eventfd(&u->ring, io->event);
	if (!r)
		r = uring_enable(u);
	if (r < 0)
		uring_fini(io);
	return r;
}

static void uring_prep_rw(struct blk_io *io, struct io_uring_sqe *sqe,
			  const struct blk_op *op, int n)
{
	struct uring *u = io->priv;
	struct iovec *iov = u->iov + u->n_iov;

	u->n_iov += (unsigned)n;
	if (op->kind == BLK_OP_READ)
		io_uring_prep_readv(sqe, io->disk->fd, iov, (unsigned)n, op->off);
	else
		io_uring_prep_writev2(sqe, io->disk->fd, iov, (unsigned)n,
				      op->off, op->dsync ? RWF_DSYNC : 0);
}

static void uring_prep(struct blk_io *io, struct io_uring_sqe *sqe,
		       struct blk_op *op, int n)
{
	int fd = io->disk->fd;

	switch (op->kind) {
	case BLK_OP_READ:
	case BLK_OP_WRITE:
		uring_prep_rw(io, sqe, op, n);
		break;
	case BLK_OP_FLUSH:
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
		break;
	case BLK_OP_DISCARD:
		io_uring_prep_fallocate(
			sqe, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)op->off, (off_t)op->len);
		break;
	case BLK_OP_ZERO:
		io_uring_prep_fallocate(sqe, fd, disk_zero_mode(op->unmap),
					(off_t)op->off, (off_t)op->len);
		break;
	}
	io_uring_sqe_set_data(sqe, op);
}

/*
 * Hand the prepared entries over. The kernel may refuse for the moment
 * (-EAGAIN, -EBUSY, -EINTR): they stay in the ring, their vectors stay too,
 * and the loop tries again.
 */
static bool uring_flush(struct blk_io *io)
{
	struct uring *u = io->priv;

	if (io_uring_sq_ready(&u->ring))
		(void)io_uring_submit(&u->ring);
	if (io_uring_sq_ready(&u->ring)) {
		blk_io_poke(io);
		return false;
	}
	u->n_iov = 0;
	return true;
}

/* Return: false when the ring can take nothing now. */
static bool uring_start(struct blk_io *io)
{
	struct uring *u = io->priv;
	struct io_uring_sqe *sqe;
	struct blk_op *op;
	int n = 0;

	if (u->n_iov + BLK_IOV_MAX > URING_IOVS && !uring_flush(io))
		return false;
	if (!io_uring_sq_space_left(&u->ring) && !uring_flush(io))
		return false;

	op = blk_io_dequeue(io);
	if (op->kind == BLK_OP_READ || op->kind == BLK_OP_WRITE)
		n = io->iov(op, u->iov + u->n_iov);
	if (n < 0) {
		io->done(op, n);
		return true;
	}
	sqe = io_uring_get_sqe(&u->ring);
	uring_prep(io, sqe, op, n);
	io->n_inflight++;
	return true;
}

static void uring_submit(struct blk_io *io)
{
	while (io->head) {
		if (!uring_start(io))
			return;
	}
	(void)uring_flush(io);
}

/*
 * An entry is given back before it is reported: done() may lead to a reset,
 * which comes here again for what is left.
 */
static void uring_reap(struct blk_io *io)
{
	struct uring *u = io->priv;
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&u->ring, &cqe)) {
		struct blk_op *op = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&u->ring, cqe);
		if (!op) /* a cancellation's own */
			continue;
		io->n_inflight--;
		io->done(op, res);
	}
}

static void uring_wait(struct blk_io *io, unsigned ms)
{
	struct __kernel_timespec ts = { .tv_sec = ms / 1000,
					.tv_nsec = ms % 1000 * 1000000LL };
	struct uring *u = io->priv;
	struct io_uring_cqe *cqe;

	(void)io_uring_wait_cqe_timeout(&u->ring, &cqe, &ts);
}

/* Not known before Linux 5.19: completes with -EINVAL then, and we wait. */
static void uring_cancel(struct blk_io *io)
{
	struct uring *u = io->priv;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (!sqe)
		return;
	io_uring_prep_cancel(sqe, NULL,
			     IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data(sqe, NULL);
	(void)uring_flush(io);
}

const struct blk_engine blk_engine_uring = {
	.name = "io_uring",
	.init = uring_init,
	.fini = uring_fini,
	.submit = uring_submit,
	.reap = uring_reap,
	.wait = uring_wait,
	.cancel = uring_cancel,
};
