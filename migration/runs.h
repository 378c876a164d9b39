/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_MIGRATION_RUNS_H
#define CSVVMM_MIGRATION_RUNS_H

#include <stdint.h>

#include "migration/wire.h"

struct gmem;

/**
 * struct mig_run - Pages one after another
 */
struct mig_run {
	uint64_t gfn;
	uint32_t n;
};

/**
 * struct mig_runs - Which pages a record is about, in ascending order
 *
 * On the wire: bytes of the list 4, pages 4; then for each run two numbers in
 * base 128 (low digits first, bit 7: more follow): the gap to the end of the
 * one before, which is 0 for the first run alone, and the pages less one.
 */
struct mig_runs {
	unsigned n;
	uint64_t pages;
	struct mig_run run[WIRE_BATCH_MAX];
};

#define RUNS_ENCODED_MAX (8 + 12 * WIRE_BATCH_MAX)

/* Add pages behind those that are there. Return: 0 or -ENOSPC */
int runs_add(struct mig_runs *r, uint64_t gfn, uint32_t n);

/* Return: bytes written to @buf, of RUNS_ENCODED_MAX */
uint32_t runs_encode(const struct mig_runs *r, uint8_t *buf);

/* The beginning of a record about 1 to @max pages, all RAM of @gm. Return: 0;
 * -EPROTO and w->error; -errno of the line */
int runs_recv(struct wire *w, struct wire_head *h, const struct gmem *gm,
	      uint64_t max, struct mig_runs *ret_r);

#endif
