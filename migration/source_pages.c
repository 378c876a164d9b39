/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "core/machine.h"
#include "core/util.h"
#include "migration/source.h"

/*
 * DOC: Theory of operation
 *
 * A round sends what is dirty: first the private pages, which go through the
 * security processor by mig_pipe, then the others, straight out of guest memory.
 * What the guest writes meanwhile is dirty again, and one round later smaller,
 * we hope. If not, the vCPUs are slowed down step by step.
 */

#define NS_PER_S 1000000000ULL
/* Rounds that may fail to halve what is left, before vCPUs are slowed down. */
#define PATIENCE      2
#define THROTTLE_STEP 20
#define THROTTLE_MAX  95
/* Downtime that does not depend on pages: state of vCPUs and devices, two round
 * trips. As seen on small guests. */
#define STATE_NS 20000000ULL

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void count(struct mig_source *s, const struct mig_runs *r, bool zero,
		  bool sealed)
{
	pthread_mutex_lock(&s->lock);
	s->progress.pages += r->pages;
	s->progress.zero_pages += zero ? r->pages : 0;
	s->progress.sealed_pages += sealed ? r->pages : 0;
	s->progress.bytes = s->wire.sent;
	pthread_mutex_unlock(&s->lock);
	s->round_pages += r->pages;
}

int mig_source_poll(struct mig_source *s)
{
	struct wire_head h;
	int r = wire_wait(&s->wire, 0);

	if (r < 0)
		return wire_fail(&s->wire, r, "cancelled");
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
static int fill_slots(struct mig_source *s)
{
	struct mig_slot *slot;
	int r;

	while ((slot = mig_pipe_free(&s->pipe))) {
		r = mig_dirty_take(&s->dirty, true, s->pipe.batch_max,
				   &slot->runs);
		if (r < 0 || !slot->runs.n)
			return r;
		mig_pipe_put(&s->pipe);
	}
	return 1;
}

static int send_private(struct mig_source *s)
{
	struct mig_slot *slot;
	int more = 1, r = 0;

	mig_dirty_rewind(&s->dirty);
	while (!r) {
		if (more > 0)
			more = fill_slots(s);
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

static int send_shared(struct mig_source *s)
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

int mig_source_send_pages(struct mig_source *s)
{
	int r = s->csv ? send_private(s) : 0;

	return r < 0 ? r : send_shared(s);
}

/* --- rounds --- */

static void note_round(struct mig_source *s, uint64_t ns, uint64_t left)
{
	struct mig_progress *p = &s->progress;
	uint64_t busy = s->have_pipe ? s->pipe.busy_ns : 0;

	pthread_mutex_lock(&s->lock);
	p->round++;
	p->remaining = left;
	if (ns && s->round_pages) {
		p->rate = (uint64_t)((double)s->round_pages * PAGE_SIZE * 1e9 /
				     (double)ns);
		p->dirty_rate = (uint64_t)((double)left * 1e9 / (double)ns);
		/* One processor, however many wait for it. */
		p->psp_busy = MIN(1000, (busy - s->busy_mark) * 1000 / ns);
	}
	if (s->have_pipe)
		p->batches = s->pipe.batches;
	if (p->rate)
		p->predicted_ns = STATE_NS + (uint64_t)((double)left * PAGE_SIZE *
							1e9 / (double)p->rate);
	p->bytes = s->wire.sent;
	p->total_ns = now_ns() - s->start_ns;
	pthread_mutex_unlock(&s->lock);
	s->busy_mark = busy;
}

static int one_round(struct mig_source *s)
{
	uint64_t from = now_ns();
	int r;

	s->round_pages = 0;
	r = mig_source_send_pages(s);
	if (!r)
		r = mig_dirty_collect(&s->dirty);
	if (r < 0)
		return wire_fail(&s->wire, r, "pages: %s", strerror(-r));
	note_round(s, now_ns() - from, mig_dirty_count(&s->dirty));
	return 0;
}

static void slow_down(struct mig_source *s)
{
	unsigned percent;

	pthread_mutex_lock(&s->lock);
	percent = MIN(s->progress.throttle + THROTTLE_STEP, THROTTLE_MAX);
	s->progress.throttle = percent;
	pthread_mutex_unlock(&s->lock);
	s->ops->throttle(s->ctx, percent);
}

int mig_source_rounds(struct mig_source *s)
{
	uint64_t before = mig_dirty_count(&s->dirty), left;
	unsigned bad = 0;
	int r;

	for (;;) {
		r = one_round(s);
		if (r < 0)
			return r;
		left = s->progress.remaining;
		/* A round of nothing told nothing about the rate. */
		if (!left || s->progress.predicted_ns <= s->opts.downtime_ns)
			return 0;
		if (s->opts.max_ns && now_ns() - s->start_ns > s->opts.max_ns)
			return wire_fail(
				&s->wire, -ETIME,
				"did not converge in %llu s: the guest writes %llu pages a second, downtime would be %llu ms",
				(unsigned long long)(s->opts.max_ns / NS_PER_S),
				(unsigned long long)s->progress.dirty_rate,
				(unsigned long long)(s->progress.predicted_ns /
						     1000000));
		bad = left * 2 > before ? bad + 1 : 0;
		if (bad > PATIENCE)
			slow_down(s);
		before = left;
	}
}
