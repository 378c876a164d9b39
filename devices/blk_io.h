/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_BLK_IO_H
#define CSVVMM_DEVICES_BLK_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/loop.h"

struct blk_io;
struct disk;

#define BLK_IOV_MAX 256 /* vectors of one operation, at most */

enum blk_op_kind {
	BLK_OP_READ,
	BLK_OP_WRITE,
	BLK_OP_FLUSH,
	BLK_OP_DISCARD,
	BLK_OP_ZERO,
};

/**
 * struct blk_op - One system call's worth of work; embedded in a request
 * @off, @len:	Bytes of the disk. Reads and writes take their length from
 *		the vectors
 * @dsync:	A write must be on stable storage when it completes
 * @unmap:	BLK_OP_ZERO may deallocate
 */
struct blk_op {
	enum blk_op_kind kind;
	bool dsync, unmap;
	uint64_t off, len;
	struct blk_op *next;
};

/**
 * struct blk_engine - How operations are carried out; const
 * @init:	Return: 0, or -errno when the host has it not
 * @fini:	Nothing is in flight. Safe after a failed @init
 * @submit:	Start what is queued, as far as possible; what remains is
 *		taken up by a later call, which blk_io_poke() has arranged
 * @reap:	Report what is complete, without waiting
 * @wait:	Wait until at least one operation in flight is complete, or
 *		@ms are over, or a signal came
 * @cancel:	Try to make what is in flight end early
 *
 * @submit and @reap report through blk_io.done. @reap, @wait and @cancel are
 * NULL for an engine that has nothing in flight after @submit.
 */
struct blk_engine {
	const char *name;
	int (*init)(struct blk_io *io);
	void (*fini)(struct blk_io *io);
	void (*submit)(struct blk_io *io);
	void (*reap)(struct blk_io *io);
	void (*wait)(struct blk_io *io, unsigned ms);
	void (*cancel)(struct blk_io *io);
};

extern const struct blk_engine blk_engine_uring;
extern const struct blk_engine blk_engine_sync;

/**
 * struct blk_io - Operations on one disk
 * @depth:	No more operations than this are queued and in flight
 * @iov:	Vectors of a read or write, built when it is started: at most
 *		BLK_IOV_MAX. Return: their number, or -errno
 * @done:	An operation is over: bytes or 0, or -errno. May queue more, its
 *		own operation included
 * @event:	eventfd: something completed, or there is work to resume. The
 *		owner watches it with @src
 * @head, @tail: queued, not yet started
 * @n_inflight:	Started, not yet reported
 *
 * Everything with vm.lock held.
 */
struct blk_io {
	const struct blk_engine *engine;
	struct disk *disk;
	unsigned depth;
	int (*iov)(struct blk_op *op, struct iovec *iov);
	void (*done)(struct blk_op *op, int res);
	int event;
	struct source src;
	struct blk_op *head, **tail;
	unsigned n_inflight;
	void *priv; /* the engine's own */
};

/* @engine NULL: io_uring where the host allows it, else the plain calls. The
 * caller has filled disk, depth, iov, done. Return: 0 or -errno */
int blk_io_init(struct blk_io *io, const struct blk_engine *engine);
void blk_io_fini(struct blk_io *io);

void blk_io_queue(struct blk_io *io, struct blk_op *op);
/* Next queued operation, or NULL. */
struct blk_op *blk_io_dequeue(struct blk_io *io);

/* Start what is queued and report what is complete, once. */
void blk_io_run(struct blk_io *io);

/**
 * blk_io_drain() - Go on until nothing is queued and nothing is in flight
 *
 * Waits for the host's storage, hence not with a guest running.
 *
 * Return: 0; -ETIMEDOUT when something is left after @ms
 */
int blk_io_drain(struct blk_io *io, unsigned ms);

/* Make @event ready: the loop calls again. And take the readiness away. */
void blk_io_poke(struct blk_io *io);
void blk_io_unpoke(struct blk_io *io);

#endif
