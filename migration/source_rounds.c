/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "core/util.h"
#include "migration/source.h"

/*
 * DOC: Theory of operation
 *
 * A round sends what is dirty. What the guest writes meanwhile is dirty again, and
 * one round later less, we hope. If not, the vCPUs are slowed down step by step.
 * Where it could stop already, rounds go on as long as each leaves less than half of
 * it and pages are what the guest would wait for: they are short ones, and tell what
 * pages take that the target has already, unlike those of the first round.
 *
 * Each round ends when the target has taken in all of it, so its time is that of
 * the whole way. The downtime is predicted from such times of this very attempt:
 * the last rounds' pages, a round trip, one stop of the guest that was only
 * rehearsed.
 */

/* Rounds that may fail to halve what is left, before vCPUs are slowed down. */
#define PATIENCE      2
#define THROTTLE_STEP 20
#define THROTTLE_MAX  95
/* So many pages of a round tell what a page takes; fewer are put together with
 * those of the rounds before. */
#define ENOUGH 64u
/* Nobody waits longer for a page, and no sum of such overflows. */
#define PACE_MAX NS_PER_S

/* --- what it would take ------------------------------------------------------------ */

static int sync_target(struct mig_source *s)
{
	struct wire_head h;
	int r = wire_send(&s->wire, WIRE_SYNC, NULL, 0);

	return r < 0 ? r : mig_source_expect(s, WIRE_SYNCED, &h);
}

static int measure_trip(struct mig_source *s)
{
	uint64_t took[3] = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(took) && !r; i++) {
		uint64_t from = now_ns();

		r = sync_target(s);
		took[i] = now_ns() - from;
	}
	s->cost.trip_ns = median3(took[0], took[1], took[2]);
	return r;
}

/*
 * How many pages' time are so many sealed ones? Batches overlap, but for the first one
 * here and the last one over there, where the other side has nothing to do.
 */
static uint64_t long_as(const struct mig_source *s, uint64_t pages)
{
	return pages + MIN(pages, mig_source_batch(s, pages));
}

static void measure(struct mig_pace *p, uint64_t pages, uint64_t ns)
{
	/* (Or they came within the trip: that tells nothing.) */
	if (!pages || !ns)
		return;
	if (pages >= ENOUGH)
		p->pages = p->ns = 0;
	p->pages = p->pages / 2 + pages;
	p->ns = p->ns / 2 + ns;
	p->page_ns = MIN(p->ns / p->pages, PACE_MAX);
}

/* Of a kind that did not come yet nothing is known: then as the other. */
static uint64_t pace(const struct mig_pace *p, const struct mig_pace *other)
{
	return p->page_ns ? p->page_ns : other->page_ns;
}

/*
 * The log is read once more; the state is taken here and put in there; registers of
 * encrypted vCPUs are a command each at both ends, with a page, and the end is one;
 * both write to their journals.
 */
static uint64_t fixed_ns(const struct mig_source *s)
{
	const struct mig_cost *c = &s->cost;
	uint64_t packets = s->csv && s->csv->es ? s->n_vcpus : 0;
	uint64_t commands = s->csv ? 1 + 2 * packets : 0;

	return c->log_ns + c->state_ns + c->put_ns + 2 * c->trip_ns + c->mark_ns +
	       commands * c->command_ns + packets * c->sealed.page_ns;
}

/* What is dirty now, and what will be when all has come to a stop. */
static uint64_t pages_ns(const struct mig_source *s, uint64_t left,
			 uint64_t private, double dirty_rate)
{
	const struct mig_cost *c = &s->cost;
	uint64_t more = (uint64_t)(dirty_rate * (double)c->state_ns / 1e9);
	uint64_t sealed = s->csv ? private + more : 0;

	return long_as(s, sealed) * pace(&c->sealed, &c->plain) +
	       (left + more - sealed) * pace(&c->plain, &c->sealed);
}

uint64_t mig_source_rate(const struct mig_source *s)
{
	uint64_t ns = now_ns() - s->round_ns;

	return ns ? (uint64_t)((double)s->round_pages * PAGE_SIZE * 1e9 /
			       (double)ns)
		  : 0;
}

static void note_round(struct mig_source *s, uint64_t ns)
{
	struct mig_progress *p = &s->progress;
	uint64_t private, left = mig_dirty_count(&s->dirty, &private);
	uint64_t busy = s->have_pipe ? s->pipe.busy_ns : 0;
	double dirty_rate = ns ? (double)left * 1e9 / (double)ns : 0;
	uint64_t predicted = fixed_ns(s) + pages_ns(s, left, private, dirty_rate);

	pthread_mutex_lock(&s->lock);
	p->round++;
	p->remaining = left;
	if (ns && s->round_pages) {
		p->rate = mig_source_rate(s);
		p->dirty_rate = (uint64_t)dirty_rate;
		/* One processor, however many wait for it. */
		p->psp_busy = MIN(1000, (busy - s->busy_mark) * 1000 / ns);
	}
	if (s->have_pipe)
		p->batches = s->pipe.batches;
	p->predicted_ns = predicted;
	p->bytes = s->wire.sent;
	pthread_mutex_unlock(&s->lock);
	s->busy_mark = busy;
}

/* --- rounds ------------------------------------------------------------------------- */

/* Pages of one kind, which is timed until the target has them. */
static int send_kind(struct mig_source *s, bool sealed)
{
	uint64_t from = now_ns(), before = s->round_pages, pages, ns;
	int r = sealed ? mig_source_send_private(s) : mig_source_send_shared(s);

	pages = s->round_pages - before;
	if (r < 0 || (sealed && !pages))
		return r;
	r = sync_target(s);
	ns = now_ns() - from;
	measure(sealed ? &s->cost.sealed : &s->cost.plain,
		sealed ? long_as(s, pages) : pages,
		ns - MIN(ns, s->cost.trip_ns));
	return r;
}

static int one_round(struct mig_source *s)
{
	uint64_t log_from;
	int r;

	s->round_ns = now_ns();
	s->round_pages = 0;
	r = send_kind(s, true);
	if (!r)
		r = send_kind(s, false);
	log_from = now_ns();
	if (!r)
		r = mig_dirty_collect(&s->dirty);
	s->cost.log_ns = now_ns() - log_from;
	if (r < 0)
		return wire_fail(&s->wire, r, "pages: %s", strerror(-r));
	note_round(s, now_ns() - s->round_ns);
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

/*
 * Would it stand still no longer than it may? What is not pages no round makes
 * shorter: if that alone takes too long, then as soon as the pages hardly add to
 * it.
 */
static bool short_enough(const struct mig_source *s)
{
	uint64_t fixed = fixed_ns(s), all = s->progress.predicted_ns;

	return all <= s->opts.downtime_ns ||
	       (fixed > s->opts.downtime_ns && (all - fixed) * 4 <= fixed);
}

/* Is what would be saved worth one more round? Not if time for all of it runs out. */
static bool worth_another(const struct mig_source *s, uint64_t before)
{
	uint64_t all = s->progress.predicted_ns;
	uint64_t pages = all - MIN(all, fixed_ns(s));

	return s->progress.remaining * 2 <= before && pages * 4 > all &&
	       (!s->opts.max_ns ||
		(now_ns() - s->start_ns + all) * 2 < s->opts.max_ns);
}

int mig_source_rounds(struct mig_source *s)
{
	uint64_t before = mig_dirty_count(&s->dirty, NULL), left;
	unsigned bad = 0;
	int r = measure_trip(s);

	pthread_mutex_lock(&s->lock);
	s->progress.remaining = before;
	pthread_mutex_unlock(&s->lock);
	if (!r)
		r = mig_source_rehearse(s);
	while (!r) {
		r = one_round(s);
		left = s->progress.remaining;
		if (!r && short_enough(s) && !worth_another(s, before))
			return 0;
		if (!r)
			r = mig_source_poll(s);
		bad = left * 2 > before ? bad + 1 : 0;
		if (!r && bad > PATIENCE)
			slow_down(s);
		before = left;
	}
	return r;
}
