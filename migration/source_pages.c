/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "core/clock.h"
#include "core/machine.h"
#include "core/util.h"
#include "migration/source.h"

/*
 * DOC: Theory of operation
 *
 * What is dirty now: first the private pages, which go through the security
 * processor by mig_pipe, then the others, straight out of guest memory.
 *
 * A round is cut into batches long before they are full: this side's processor, the
 * line and the other side's processor then work at the same time, not one after the
 * other. It matters most in the last round, for which the guest stands still.
 */

/* So many batches keep all three at work but for a sixth or so of the time; smaller
 * ones than BATCH_MIN are not worth a command. */
#define BATCHES	  16
#define BATCH_MIN 32

static void count(struct mig_source *s, const struct mig_runs *r, bool zero,
		  bool sealed)
{
	struct mig_progress *p = &s->progress;

	/* Zero ones cost next to nothing. */
	s->round_pages += zero ? 0 : r->pages;
	pthread_mutex_lock(&s->lock);
	p->pages += r->pages;
	p->zero_pages += zero ? r->pages : 0;
	p->sealed_pages += sealed ? r->pages : 0;
	p->bytes = s->wire.sent;
	p->remaining -= MIN(p->remaining, r->pages);
	p->rate = mig_source_rate(s);
	pthread_mutex_unlock(&s->lock);
}

static int too_long(struct mig_source *s)
{
	const struct mig_progress *p = &s->progress;
	unsigned long long max_s = s->opts.max_ns / NS_PER_S;

	if (!p->round)
		return wire_fail(
			&s->wire, -ETIME,
			"did not converge in %llu s: not even the first round was over, %llu pages were left",
			max_s, (unsigned long long)p->remaining);
	return wire_fail(
		&s->wire, -ETIME,
		"did not converge in %llu s: the guest writes %llu pages a second, downtime would be %llu ms",
		max_s, (unsigned long long)p->dirty_rate,
		(unsigned long long)(p->predicted_ns / 1000000));
}

int mig_source_poll(struct mig_source *s)
{
	struct wire_head h;
	int r = wire_wait(&s->wire, 0);

	if (r < 0)
		return wire_fail(&s->wire, r, "cancelled");
	if (!s->stopped && s->opts.max_ns &&
	    now_ns() - s->start_ns > s->opts.max_ns)
		return too_long(s);
	if (!wire_readable(&s->wire))
		return 0;
	r = wire_recv_head(&s->wire, &h);
	if (r < 0)
		return r;
	if (h.type != WIRE_FAIL)
		return wire_fail(&s->wire, -EPROTO, "record \"%s\": not now",
				 wire_rule(h.type)->name);
	return wire_recv_fail(&s->wire, &h);
}

/* --- private pages --- */

static int send_slot(struct mig_source *s, struct mig_slot *slot)
{
	uint8_t list[RUNS_ENCODED_MAX];
	struct iovec iov[3] = { { list, runs_encode(&slot->runs, list) } };
	int r;

	if (slot->result < 0)
		return wire_fail(&s->wire, slot->result, "%s", slot->error);
	iov[1] = (struct iovec){ slot->hdr, slot->runs.pages * WIRE_HDR_SIZE };
	iov[2] = (struct iovec){ slot->data, slot->runs.pages * PAGE_SIZE };
	r = wire_sendv(&s->wire, WIRE_SEALED, iov, ARRAY_SIZE(iov));
	if (!r)
		count(s, &slot->runs, false, true);
	return r;
}

/* Queue dirty pages as long as there are slots. Return: 1: there may be more; 0:
 * no; -errno */
static int fill_slots(struct mig_source *s, unsigned batch)
{
	struct mig_slot *slot;
	int r;

	while ((slot = mig_pipe_free(&s->pipe))) {
		r = mig_dirty_take(&s->dirty, true, batch, &slot->runs);
		if (r < 0 || !slot->runs.n)
			return r;
		mig_pipe_put(&s->pipe);
	}
	return 1;
}

unsigned mig_source_batch(const struct mig_source *s, uint64_t pages)
{
	return (unsigned)MIN(MAX(pages / BATCHES, BATCH_MIN), s->pipe.batch_max);
}

int mig_source_send_private(struct mig_source *s)
{
	struct mig_slot *slot;
	uint64_t pages;
	unsigned batch;
	int more = 1, r = 0;

	if (!s->csv)
		return 0;
	(void)mig_dirty_count(&s->dirty, &pages);
	if (!pages)
		return 0;
	batch = mig_source_batch(s, pages);

	mig_dirty_rewind(&s->dirty);
	while (!r) {
		if (more > 0)
			more = fill_slots(s, batch);
		slot = mig_pipe_take(&s->pipe, true);
		if (!slot)
			break;
		r = send_slot(s, slot);
		mig_pipe_release(&s->pipe);
		if (!r)
			r = mig_source_poll(s);
	}
	return r < 0 ? r : MIN(more, 0);
}

/* --- the others --- */

static int send_zero(struct mig_source *s, const struct mig_runs *runs)
{
	uint8_t list[RUNS_ENCODED_MAX];
	int r;

	if (!runs->n)
		return 0;
	r = wire_send(&s->wire, WIRE_ZERO, list, runs_encode(runs, list));
	if (!r)
		count(s, runs, true, false);
	return r;
}

static int send_plain(struct mig_source *s, const struct mig_runs *runs)
{
	struct iovec iov[1 + WIRE_PLAIN_MAX];
	uint8_t list[RUNS_ENCODED_MAX];
	unsigned i;
	int r;

	if (!runs->n)
		return 0;
	iov[0] = (struct iovec){ list, runs_encode(runs, list) };
	for (i = 0; i < runs->n; i++) {
		/* It may have turned private since: then it is dirty again. */
		r = gmem_sealed_iov(&s->m->gmem, runs->run[i].gfn * PAGE_SIZE,
				    (uint64_t)runs->run[i].n * PAGE_SIZE,
				    &iov[1 + i]);
		if (r < 0)
			return wire_fail(&s->wire, r, "pages to send");
	}
	r = wire_sendv(&s->wire, WIRE_PLAIN, iov, 1 + runs->n);
	if (!r)
		count(s, runs, false, false);
	return r;
}

/* Those that are all zero need not travel. */
static int sort_zero(struct mig_source *s, const struct mig_runs *all,
		     struct mig_runs *zero, struct mig_runs *rest)
{
	unsigned i, j;
	int r = 0;

	zero->n = rest->n = 0;
	zero->pages = rest->pages = 0;
	for (i = 0; i < all->n && !r; i++) {
		for (j = 0; j < all->run[i].n && !r; j++) {
			uint64_t gfn = all->run[i].gfn + j;

			r = runs_add(gmem_is_zero(&s->m->gmem, gfn * PAGE_SIZE)
					     ? zero
					     : rest,
				     gfn, 1);
		}
	}
	return r;
}

int mig_source_send_shared(struct mig_source *s)
{
	struct mig_runs all, zero, rest;
	int r = 0;

	mig_dirty_rewind(&s->dirty);
	while (!r) {
		r = mig_dirty_take(&s->dirty, false, WIRE_PLAIN_MAX, &all);
		if (r < 0 || !all.n)
			break;
		r = sort_zero(s, &all, &zero, &rest);
		if (!r)
			r = send_zero(s, &zero);
		if (!r)
			r = send_plain(s, &rest);
		if (!r)
			r = mig_source_poll(s);
	}
	return r;
}
