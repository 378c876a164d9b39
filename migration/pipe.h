/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_MIGRATION_PIPE_H
#define CSVVMM_MIGRATION_PIPE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/csv.h"
#include "migration/runs.h"

struct gmem;

/*
 * Batches of sealed pages on their way through the security processor: one
 * thread fills and empties slots (and has the line), others issue the commands
 * meanwhile. So processor, copying and line work at the same time.
 */

/* Two that are issued, one that is copied: 17 MB each, once it was full. */
#define PIPE_SLOTS     3
#define PIPE_THREADS   2
#define PIPE_ERROR_LEN 256

enum slot_state { SLOT_FREE, SLOT_QUEUED, SLOT_ISSUED, SLOT_DONE };

/**
 * struct mig_slot - One batch; memory for a full one
 * @runs:	Its pages
 * @hdr, @data:	Packets: headers of WIRE_HDR_SIZE, payloads of a page
 * @result:	Of the batch, with @error in words
 */
struct mig_slot {
	enum slot_state state;
	struct mig_runs runs;
	uint8_t *hdr, *data;
	struct csv_packet *packet;
	int result;
	char error[PIPE_ERROR_LEN];
};

/**
 * struct mig_pipe - The slots are used in turn
 * @csv:	The guest; only its packets go through here
 * @no_batch:	This kernel has no batches
 * @put, @next, @take: Slots that were queued, are next to issue, were taken
 *		back; all count up
 * @busy_ns:	Time that threads spent in commands
 */
struct mig_pipe {
	struct csv *csv;
	const struct gmem *gm;
	bool send;
	unsigned n_slots, n_threads, batch_max;
	struct mig_slot slot[PIPE_SLOTS];
	pthread_t thread[PIPE_THREADS];
	pthread_mutex_t lock;
	pthread_cond_t change;
	bool stop;
	_Atomic bool no_batch;
	unsigned put, next, take;
	uint64_t busy_ns, batches;
};

/**
 * pipe_open() - Memory and threads
 * @threads:	1, or 2: where the kernel can carry out two batches of a guest at
 *		once; the order is not kept then. pipe_close() after both results
 *
 * Return: 0 or -errno
 */
int mig_pipe_open(struct mig_pipe *p, struct csv *csv, const struct gmem *gm,
		  bool send, unsigned threads);
void mig_pipe_close(struct mig_pipe *p);

/* A free slot to fill, or NULL: take one back first. */
struct mig_slot *mig_pipe_free(struct mig_pipe *p);
/* The slot that mig_pipe_free() gave is full. */
void mig_pipe_put(struct mig_pipe *p);
/* The oldest slot, if it was put, and done by now; @wait: as soon as it is. NULL
 * otherwise. It is the caller's until mig_pipe_release(). */
struct mig_slot *mig_pipe_take(struct mig_pipe *p, bool wait);
void mig_pipe_release(struct mig_pipe *p);

#endif
