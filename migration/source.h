/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_MIGRATION_SOURCE_H
#define CSVVMM_MIGRATION_SOURCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/csv.h"
#include "core/snap.h"
#include "migration/describe.h"
#include "migration/dirty.h"
#include "migration/pipe.h"
#include "migration/progress.h"
#include "migration/wire.h"

struct machine;

/* What this folder does not know: KVM's vCPUs and the guest's life. Return: 0 or
 * -errno, with @why (MIG_WHY_MAX) in words. */
/**
 * struct mig_source_ops - The guest, for who moves it
 * @check:	Is @target who it should be? Its certificates for SEND_START
 * @stop:	All vCPUs out of the guest, what they began is finished, what
 *		only the last round may send is dirty; vm.lock held
 * @go_on:	As it was before @stop; vm.lock held
 * @save:	State of vCPU @i, or of MIG_MACHINE; vm.lock held
 * @throttle:	Take this share of their time from the vCPUs, in percent
 * @mark:	Write to the journal how far it got, before the step is taken
 */
struct mig_source_ops {
	int (*check)(void *ctx, const struct mig_machine *target,
		     struct csv_target *ret_certs, char *why);
	int (*stop)(void *ctx, char *why);
	void (*go_on)(void *ctx);
	int (*save)(void *ctx, int i, struct snap_w *w);
	void (*throttle)(void *ctx, unsigned percent);
	int (*mark)(void *ctx, enum mig_phase phase);
};

/**
 * struct mig_opts - The operator's wishes
 * @rate:	Bytes a second, 0 = no limit
 * @drop_links:	Connections of the guest's network may break
 * @max_ns:	Give up if it has not converged by then
 * @stall_ns:	The line is dead after such a silence
 */
struct mig_opts {
	bool check_only, drop_links;
	uint64_t downtime_ns, max_ns, stall_ns, rate;
};

/**
 * struct mig_pace - How long pages of one kind take, until the target has them
 * @page_ns:	One among many
 * @ns, @pages:	What it is made of: the last rounds
 */
struct mig_pace {
	uint64_t page_ns, ns, pages;
};

/**
 * struct mig_cost - How long things take, as measured in this attempt
 * @trip_ns:	A record there and one back
 * @command_ns:	A command of the security processor by itself
 * @state_ns:	All vCPUs stopped, their state, the machine's and devices' in hand
 * @put_ns:	The target's part: state put in (as it says, before pages come)
 * @mark_ns:	A word in the journal, here and there
 * @log_ns:	KVM's log of what is dirty, read once
 * @sealed, @plain: Pages; those that are zero cost nothing
 */
struct mig_cost {
	uint64_t trip_ns, command_ns, state_ns, put_ns, mark_ns, log_ns;
	struct mig_pace sealed, plain;
};

/**
 * struct mig_source - One attempt to move the guest away
 * @csv:	NULL for a plain guest
 * @own, @peer:	Descriptions; @own is the caller's to fill
 * @wake_fd:	Eventfd; written to cancel
 * @progress:	Under @lock
 * @stopped, @released: What has to be undone
 * @committed:	WIRE_COMMIT may have arrived
 * @cost:	What the prediction of the downtime stands on
 */
struct mig_source {
	struct machine *m;
	struct csv *csv;
	unsigned n_vcpus;
	const struct mig_source_ops *ops;
	void *ctx;
	struct mig_opts opts;
	struct mig_machine own, peer;
	int wake_fd;
	struct wire wire;
	struct mig_dirty dirty;
	struct mig_pipe pipe;
	struct csv_target target;
	bool have_dirty, have_pipe, stopped, released, committed;
	uint64_t start_ns, stop_ns, round_ns, part_from_ns, round_pages;
	uint64_t busy_mark;
	struct mig_cost cost;
	uint8_t *buf;
	pthread_mutex_t lock;
	struct mig_progress progress;
};

/* Set up what mig_source_run() needs; @wake_fd is made here. Return: 0 or -errno
 * (mig_source_fini() after both). */
int mig_source_init(struct mig_source *s, struct machine *m);
void mig_source_fini(struct mig_source *s);

/**
 * mig_source_run() - From greeting to the end; in a thread of its own
 * @fd:		The line; stays the caller's
 *
 * Without vm.lock. Return: the last phase, MIG_MOVED or one behind it; the guest
 * runs, or stands still, accordingly
 */
enum mig_phase mig_source_run(struct mig_source *s, int fd);

/* Somebody does not want it any more; any thread. Too late once committed. */
void mig_source_cancel(struct mig_source *s);

/* What was in doubt, or stuck, is now, as the operator says, @phase. */
void mig_source_decided(struct mig_source *s, enum mig_phase phase);

void mig_source_progress(struct mig_source *s, struct mig_progress *ret_p);

/* A part of the downtime is over. */
void mig_source_part(struct mig_source *s, enum mig_part part);

/* migration/source_pages.c: all that is dirty now, first what is private to an
 * encrypted guest, then the others. Return: 0; as mig_source_poll(); -EPROTO;
 * -errno of the line, of a command or of KVM's log */
int mig_source_send_private(struct mig_source *s);
int mig_source_send_shared(struct mig_source *s);
/* The pages of one batch, in a round of so many, of an encrypted guest whose pipe
 * is open. */
unsigned mig_source_batch(const struct mig_source *s, uint64_t pages);

/* Bytes of pages a second in this round, so far. */
uint64_t mig_source_rate(const struct mig_source *s);

/* migration/source_rounds.c: rounds until what is left fits into the downtime. */
int mig_source_rounds(struct mig_source *s);

/* migration/source_state.c: everything else, up to the target's "prepared". */
int mig_source_state(struct mig_source *s);
/* Stop the guest, take its state, and let it go on: how long is that? And a word in
 * the journal? */
int mig_source_rehearse(struct mig_source *s);

/* The next record must be of @type. Return: 0; -EREMOTEIO: the peer gave up;
 * -EPROTO; -errno of the line */
int mig_source_expect(struct mig_source *s, enum wire_type type,
		      struct wire_head *h);

/* Has anybody interrupted? Return: 0, -ECANCELED, -EREMOTEIO (the peer gave up),
 * -ETIME (max_ns is over, and the guest still runs) */
int mig_source_poll(struct mig_source *s);

#endif
