/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_MIGRATION_TARGET_H
#define CSVVMM_MIGRATION_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/csv.h"
#include "core/snap.h"
#include "migration/describe.h"
#include "migration/pipe.h"
#include "migration/progress.h"
#include "migration/wire.h"

struct machine;

/**
 * struct mig_target_ops - The guest to be
 * @load:	State of vCPU @i, or of MIG_MACHINE. Return: 0 or -EPROTO with r->err
 * @save:	The same of a guest that never ran, to see how long that takes
 * @resume:	All is there: what has to be done last, save letting vCPUs run
 * @run:	Let it go
 * @mark:	Write to the journal how far it got, before the step is taken
 *
 * With vm.lock held, but @mark. Return: 0 or -errno with @why (MIG_WHY_MAX).
 */
struct mig_target_ops {
	int (*load)(void *ctx, int i, struct snap_r *r);
	int (*save)(void *ctx, int i, struct snap_w *w);
	int (*resume)(void *ctx, char *why);
	int (*run)(void *ctx, char *why);
	int (*mark)(void *ctx, enum mig_phase phase);
};

/**
 * struct mig_target - One guest to come
 * @csv:	In state CSV_INIT with its memory registered; NULL: a plain guest
 * @own, @peer:	Descriptions; @own is the caller's to fill
 * @wake_fd:	The caller's eventfd to cancel with, or -1
 * @phase:	How far it got
 * @touched:	Pages that were written: others are zero anyway
 * @seen_cpu, @seen_vmsa: vCPUs that came
 */
struct mig_target {
	struct machine *m;
	struct csv *csv;
	unsigned n_vcpus;
	const struct mig_target_ops *ops;
	void *ctx;
	int wake_fd;
	uint64_t stall_ns;
	struct mig_machine own, peer;
	struct wire wire;
	struct mig_pipe pipe;
	bool have_pipe, stopped, told, ended, have_machine, have_devices, held;
	_Atomic int phase;
	uint64_t seen_cpu, seen_vmsa, pages;
	struct mig_runs runs;
	uint64_t *touched;
	uint8_t *buf;
};

/* mig_target_fini() after both results. */
int mig_target_init(struct mig_target *t, struct machine *m);
void mig_target_fini(struct mig_target *t);

/**
 * mig_target_run() - From greeting to the first instruction
 * @fd:		The line; stays the caller's
 *
 * Without vm.lock. Return: MIG_MOVED: the guest runs here; MIG_NONE: the source
 * only wanted to know whether it could; else it never runs here, with the reason
 * in t->wire.error: MIG_REFUSED (nothing was changed here), MIG_CANCELLED (by
 * this side), MIG_FAILED
 */
enum mig_phase mig_target_run(struct mig_target *t, int fd);

/* migration/target_pages.c, for target.c: bodies of records. */
int mig_target_sealed(struct mig_target *t, struct wire_head *h);
int mig_target_plain(struct mig_target *t, struct wire_head *h);
int mig_target_zero(struct mig_target *t, struct wire_head *h);
int mig_target_shared(struct mig_target *t, struct wire_head *h);
int mig_target_vmsa(struct mig_target *t, struct wire_head *h);
/* All sealed pages so far are in. */
int mig_target_drain(struct mig_target *t);

#endif
