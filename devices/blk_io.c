/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/blk_io.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "core/clock.h"
#include "core/util.h"

/* What could not be submitted is tried again that often. */
#define WAIT_MS 100

static int blk_io_choose(struct blk_io *io)
{
	io->engine = &blk_engine_uring;
	if (!io->engine->init(io))
		return 0;
	/* ENOSYS, EPERM (sysctl, filter), ENOMEM (RLIMIT_MEMLOCK): go without. */
	io->engine = &blk_engine_sync;
	return io->engine->init(io);
}

int blk_io_init(struct blk_io *io, const struct blk_engine *engine)
{
	int r;

	io->engine = engine;
	io->src.fd = -1;
	io->head = NULL;
	io->tail = &io->head;
	io->n_inflight = 0;
	io->priv = NULL;
	io->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (io->event < 0)
		return -errno;

	r = engine ? engine->init(io) : blk_io_choose(io);
	if (r < 0) {
		io->engine = NULL;
		util_close(&io->event);
	}
	return r;
}

void blk_io_fini(struct blk_io *io)
{
	if (io->engine)
		io->engine->fini(io);
	io->engine = NULL;
	util_close(&io->event);
}

void blk_io_queue(struct blk_io *io, struct blk_op *op)
{
	op->next = NULL;
	*io->tail = op;
	io->tail = &op->next;
}

struct blk_op *blk_io_dequeue(struct blk_io *io)
{
	struct blk_op *op = io->head;

	if (!op)
		return NULL;
	io->head = op->next;
	if (!io->head)
		io->tail = &io->head;
	return op;
}

void blk_io_run(struct blk_io *io)
{
	io->engine->submit(io);
	if (io->engine->reap)
		io->engine->reap(io);
}

int blk_io_drain(struct blk_io *io, unsigned ms)
{
	uint64_t end = now_ms() + ms;

	while (io->head || io->n_inflight) {
		io->engine->submit(io);
		if (io->n_inflight)
			io->engine->wait(io, MIN(ms, WAIT_MS));
		if (io->engine->reap)
			io->engine->reap(io);
		if ((io->head || io->n_inflight) && now_ms() >= end)
			return -ETIMEDOUT;
	}
	return 0;
}

void blk_io_poke(struct blk_io *io)
{
	/* Fails only when the counter is full, and then it is ready. */
	(void)eventfd_write(io->event, 1);
}

void blk_io_unpoke(struct blk_io *io)
{
	eventfd_t n;

	(void)eventfd_read(io->event, &n); /* EAGAIN: was not ready */
}
