/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/machine.h"
#include "core/util.h"

/*
 * DOC: Theory of operation
 *
 * stages[] is the order. Up to WIRE_COMMIT each failure leads back: the peer is
 * told, SEND_CANCEL, disks are ours again, the guest goes on. WIRE_COMMIT is the
 * one step that can't be taken back: what is not answered after it leaves the
 * guest standing still, for then it may run over there. A WIRE_FAIL in answer is
 * the target's word that it does not, and never will.
 */

static const char *const phase_name[MIG_PHASES] = {
	[MIG_NONE] = "none",
	[MIG_PREFLIGHT] = "preflight",
	[MIG_PAGES] = "pages",
	[MIG_STOPPED] = "stopped",
	[MIG_COMMITTING] = "committing",
	[MIG_MOVED] = "moved",
	[MIG_FAILED] = "failed",
	[MIG_REFUSED] = "refused",
	[MIG_CANCELLED] = "cancelled",
	[MIG_IN_DOUBT] = "in doubt",
	[MIG_STUCK] = "stuck",
	[MIG_POSSIBLE] = "possible",
	[MIG_ENDED] = "ended",
};

const char *mig_phase_name(enum mig_phase phase)
{
	return phase_name[phase];
}

static void enter(struct mig_source *s, enum mig_phase phase)
{
	pthread_mutex_lock(&s->lock);
	s->progress.phase = phase;
	s->progress.bytes = s->wire.sent;
	if (phase >= MIG_MOVED)
		s->progress.total_ns = now_ns() - s->start_ns;
	pthread_mutex_unlock(&s->lock);
}

int mig_source_expect(struct mig_source *s, enum wire_type type,
		      struct wire_head *h)
{
	int r = wire_recv_head(&s->wire, h);

	if (r < 0)
		return r;
	if (h->type == WIRE_FAIL)
		return wire_recv_fail(&s->wire, h);
	if (h->type != type)
		return wire_fail(&s->wire, -EPROTO,
				 "record \"%s\": \"%s\" was expected",
				 wire_rule(h->type)->name, wire_rule(type)->name);
	return 0;
}

void mig_source_part(struct mig_source *s, enum mig_part part)
{
	uint64_t now = now_ns();

	pthread_mutex_lock(&s->lock);
	s->progress.part_ns[part] = now - s->part_from_ns;
	pthread_mutex_unlock(&s->lock);
	s->part_from_ns = now;
}

/* --- preflight --- */

static int send_offer(struct mig_source *s)
{
	struct snap_w w = { .buf = s->buf, .cap = MIG_BUF };

	s->own.check_only = s->opts.check_only;
	mig_describe_put(&s->own, &w);
	return wire_send(&s->wire, WIRE_OFFER, w.buf, (uint32_t)w.len);
}

static int recv_answer(struct mig_source *s)
{
	struct snap_error err = { "" };
	struct snap_r r = { .buf = s->buf, .who = "answer", .err = &err };
	struct wire_head h;
	int e = mig_source_expect(s, WIRE_ANSWER, &h);

	if (!e)
		e = wire_recv(&s->wire, &h, s->buf, h.len);
	if (e)
		return e;
	r.len = h.len;
	e = mig_describe_get(&s->peer, &r);
	return e < 0 ? wire_fail(&s->wire, e, "%s", err.text) : 0;
}

static int preflight(struct mig_source *s)
{
	struct snap_error err = { "" };
	char why[MIG_WHY_MAX] = "";
	bool half;
	int r;

	r = wire_greet(&s->wire);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->m->lock);
	r = snap_check_all(&s->m->snap, s->opts.drop_links, &err);
	/* Half of a lock can't be handed on. */
	half = !r && snap_hold_all(&s->m->snap, SNAP_HOLD_ALL, &err) < 0;
	pthread_mutex_unlock(&s->m->lock);
	if (r < 0 || half)
		return wire_fail(
			&s->wire, -EXDEV, "%s%s", err.text,
			half ? " (is the host in doubt that the guest came from?)"
			     : "");
	r = send_offer(s);
	if (!r)
		r = recv_answer(s);
	if (r < 0)
		return r;
	r = mig_check(&s->own, &s->peer, why);
	if (!r && s->csv)
		r = s->ops->check(s->ctx, &s->peer, &s->target, why);
	return r < 0 ? wire_fail(&s->wire, -EXDEV, "%s", why) : 0;
}

/* --- session --- */

static int open_csv(struct mig_source *s, uint8_t *session, uint32_t *len)
{
	uint32_t hdr_len = 0, page_len = 0;
	uint64_t from;
	int r;

	pthread_mutex_lock(&s->m->lock);
	r = csv_send_start(s->csv, &s->target, NULL, len);
	if (!r && *len > CSV_BLOB_MAX)
		r = -EMSGSIZE;
	if (!r)
		r = csv_send_start(s->csv, &s->target, session, len);
	from = now_ns();
	if (!r)
		r = csv_send_sizes(s->csv, &hdr_len, &page_len);
	s->cost.command_ns = now_ns() - from;
	if (!r && (hdr_len != WIRE_HDR_SIZE || page_len != PAGE_SIZE))
		r = wire_fail(&s->wire, -EPROTO,
			      "the firmware's packets have %u and %u bytes",
			      hdr_len, page_len);
	if (r < 0)
		(void)wire_fail(&s->wire, r, "%s", csv_error(s->csv));
	pthread_mutex_unlock(&s->m->lock);
	return r;
}

/* An hour is what nobody waits for, and no sum of such overflows. */
static int recv_ready(struct mig_source *s)
{
	const uint64_t most = 3600 * NS_PER_S;
	struct wire_head h;
	uint8_t raw[16];
	int r = mig_source_expect(s, WIRE_READY, &h);

	if (!r)
		r = wire_recv(&s->wire, &h, raw, sizeof(raw));
	if (r < 0)
		return r;
	s->cost.put_ns = MIN(get_le64(raw), most);
	s->cost.mark_ns = MIN(get_le64(raw + 8), most);
	return 0;
}

static int session(struct mig_source *s)
{
	struct snap_w w = { .buf = s->buf, .cap = MIG_BUF };
	uint8_t blob[CSV_BLOB_MAX];
	uint32_t len = 0;
	int r = s->csv ? open_csv(s, blob, &len) : 0;

	if (r < 0)
		return r;
	snap_put32(&w, s->own.policy);
	snap_put32(&w, WIRE_HDR_SIZE);
	snap_put32(&w, PAGE_SIZE);
	snap_put32(&w, len);
	snap_put_bytes(&w, blob, len);
	r = wire_send(&s->wire, WIRE_START, w.buf, (uint32_t)w.len);
	return r < 0 ? r : recv_ready(s);
}

/* --- pages --- */

static int pages(struct mig_source *s)
{
	int r = mig_dirty_init(&s->dirty, s->m);

	s->have_dirty = true;
	if (!r && s->csv) {
		r = mig_pipe_open(&s->pipe, s->csv, &s->m->gmem, true,
				  s->csv->batch_flags ? PIPE_THREADS : 1);
		s->have_pipe = true;
	}
	if (r < 0)
		return wire_fail(&s->wire, r, "start of the log: %s",
				 strerror(-r));
	return mig_source_rounds(s);
}

static int stop(struct mig_source *s)
{
	struct snap_error err = { "" };
	char why[MIG_WHY_MAX] = "";
	int r;

	s->stop_ns = s->round_ns = s->part_from_ns = now_ns();
	s->round_pages = 0;
	pthread_mutex_lock(&s->m->lock);
	r = s->ops->stop(s->ctx, why);
	if (!r) {
		r = snap_freeze_all(&s->m->snap, &err);
		if (r < 0) {
			s->ops->go_on(s->ctx);
			(void)snprintf(why, sizeof(why), "%s", err.text);
		}
	}
	s->stopped = !r;
	pthread_mutex_unlock(&s->m->lock);
	if (r < 0)
		return wire_fail(&s->wire, r, "%s", why);
	r = wire_send(&s->wire, WIRE_STOPPED, NULL, 0);
	if (!r)
		r = mig_dirty_collect(&s->dirty);
	if (!r)
		r = mig_source_send_private(s);
	if (!r)
		r = mig_source_send_shared(s);
	mig_source_part(s, PART_PAGES);
	return r < 0 ? wire_fail(&s->wire, r, "last pages: %s", strerror(-r)) : 0;
}

/* --- commit --- */

static int commit(struct mig_source *s)
{
	struct snap_error err;
	struct wire_head h;
	int r = mig_source_poll(s);

	if (!r)
		r = s->ops->mark(s->ctx, MIG_COMMITTING);
	if (r < 0)
		return wire_fail(&s->wire, r, "journal: %s", strerror(-r));
	s->committed = true;
	/* Nobody can call it off any more. */
	s->wire.wake_fd = -1;
	r = wire_send(&s->wire, WIRE_COMMIT, NULL, 0);
	/* All of the answer, not each byte: the guest stands still. */
	s->wire.until_ns = now_ns() + s->opts.stall_ns;
	if (!r)
		r = mig_source_expect(s, WIRE_RUNNING, &h);
	s->wire.until_ns = 0;
	if (r == -EREMOTEIO)
		s->committed = false;
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	s->progress.down_ns = now_ns() - s->stop_ns;
	pthread_mutex_unlock(&s->lock);
	mig_source_part(s, PART_RUNNING);
	(void)s->ops->mark(s->ctx, MIG_MOVED);
	pthread_mutex_lock(&s->m->lock);
	(void)snap_hold_all(&s->m->snap, SNAP_HOLD_NONE, &err);
	if (s->csv)
		(void)csv_send_finish(s->csv);
	pthread_mutex_unlock(&s->m->lock);
	return 0;
}

/* --- all of it --- */

static const struct stage {
	enum mig_phase phase;
	int (*run)(struct mig_source *s);
} stages[] = {
	{ MIG_PREFLIGHT, preflight },
	{ MIG_PAGES, session },
	{ MIG_PAGES, pages },
	{ MIG_STOPPED, stop },
	{ MIG_STOPPED, mig_source_state },
	{ MIG_COMMITTING, commit },
};

/* The target lets go of the disks when it notices, not before. */
static int hold_again(struct mig_source *s, struct snap_error *err)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	uint64_t until = now_ns() + s->opts.stall_ns + NS_PER_S;
	int r;

	for (;;) {
		r = snap_hold_all(&s->m->snap, SNAP_HOLD_ALL, err);
		if (!r || now_ns() > until)
			return r;
		pthread_mutex_unlock(&s->m->lock);
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		pthread_mutex_lock(&s->m->lock);
	}
}

/* Behind what is said already. */
static void also(struct mig_source *s, const char *what)
{
	size_t len = strnlen(s->wire.error, sizeof(s->wire.error) - 1);

	(void)snprintf(s->wire.error + len, sizeof(s->wire.error) - len, "; %s",
		       what);
}

/*
 * Without SEND_FINISH the firmware lets a guest run ([SEV-API] SEND_START): when
 * SEND_CANCEL fails, it goes on, but can't be sent any more.
 *
 * Return: can the guest go on?
 */
static bool undo(struct mig_source *s)
{
	struct snap_error err = { "" };
	bool ok = true;

	pthread_mutex_lock(&s->m->lock);
	if (s->csv && s->csv->state == CSV_SEND && csv_send_cancel(s->csv) < 0)
		also(s, csv_error(s->csv));
	if (s->released && hold_again(s, &err) < 0) {
		(void)snprintf(s->wire.error, sizeof(s->wire.error),
			       "the guest can't go on: %s", err.text);
		ok = false;
	}
	if (s->stopped && ok) {
		snap_thaw_all(&s->m->snap);
		s->ops->go_on(s->ctx);
		s->stopped = false;
	}
	pthread_mutex_unlock(&s->m->lock);
	return ok;
}

static void let_go(struct mig_source *s)
{
	if (s->have_pipe)
		mig_pipe_close(&s->pipe);
	if (s->have_dirty)
		mig_dirty_fini(&s->dirty);
	s->have_pipe = s->have_dirty = false;
}

static enum mig_phase end_phase(struct mig_source *s, enum mig_phase at, int r)
{
	if (s->committed)
		return MIG_IN_DOUBT;
	wire_send_fail(&s->wire, s->wire.error);
	s->ops->throttle(s->ctx, 0);
	if (!undo(s))
		return MIG_STUCK;
	(void)s->ops->mark(s->ctx, MIG_FAILED);
	if (r == -ECANCELED)
		return MIG_CANCELLED;
	return at == MIG_PREFLIGHT &&
			       (r == -EXDEV || r == -EREMOTEIO || r == -EPROTO)
		       ? MIG_REFUSED
		       : MIG_FAILED;
}

enum mig_phase mig_source_run(struct mig_source *s, int fd)
{
	enum mig_phase end = s->opts.check_only ? MIG_POSSIBLE : MIG_MOVED;
	size_t i;
	int r = 0;

	s->start_ns = now_ns();
	wire_open(&s->wire, WIRE_SOURCE, fd, s->wake_fd, s->opts.stall_ns);
	s->wire.rate = s->opts.rate;
	for (i = 0; i < ARRAY_SIZE(stages); i++) {
		enter(s, stages[i].phase);
		r = stages[i].run(s);
		if (r < 0)
			break;
		if (s->opts.check_only)
			break;
	}
	let_go(s);
	if (r < 0)
		end = end_phase(s, stages[i].phase, r);
	pthread_mutex_lock(&s->lock);
	if (r < 0)
		memcpy(s->progress.why, s->wire.error, sizeof(s->wire.error));
	pthread_mutex_unlock(&s->lock);
	enter(s, end);
	return end;
}

int mig_source_init(struct mig_source *s, struct machine *m)
{
	memset(s, 0, sizeof(*s));
	s->m = m;
	s->wire.fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		return -errno;
	s->buf = malloc(MIG_BUF);
	return s->buf ? 0 : -ENOMEM;
}

void mig_source_fini(struct mig_source *s)
{
	util_close(&s->wake_fd);
	free(s->buf);
	s->buf = NULL;
	pthread_mutex_destroy(&s->lock);
}

void mig_source_cancel(struct mig_source *s)
{
	uint64_t one = 1;

	if (write(s->wake_fd, &one, sizeof(one)) < 0)
		return; /* it is on its way already */
}

void mig_source_decided(struct mig_source *s, enum mig_phase phase)
{
	pthread_mutex_lock(&s->lock);
	s->progress.phase = phase;
	pthread_mutex_unlock(&s->lock);
}

void mig_source_progress(struct mig_source *s, struct mig_progress *ret_p)
{
	pthread_mutex_lock(&s->lock);
	*ret_p = s->progress;
	if (s->start_ns && !ret_p->total_ns)
		ret_p->total_ns = now_ns() - s->start_ns;
	pthread_mutex_unlock(&s->lock);
}
