/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/machine.h"
#include "core/util.h"

/*
 * DOC: Theory of operation
 *
 * Up to WIRE_PREPARED everything that goes wrong means that the guest never runs
 * here. After it, WIRE_COMMIT alone lets it run: neither silence nor a broken line
 * does. records[] says what may come when; the bodies check the rest.
 */

/* Behind WIRE_STOPPED only. */
#define AFTER_STOP                                           \
	(BIT(WIRE_SHARED) | BIT(WIRE_VMSA) | BIT(WIRE_CPU) | \
	 BIT(WIRE_MACHINE) | BIT(WIRE_DEVICES) | BIT(WIRE_END))

static int refuse(struct mig_target *t, const char *why)
{
	return wire_fail(&t->wire, -EXDEV, "%s", why);
}

static int expect(struct mig_target *t, enum wire_type type, struct wire_head *h)
{
	int r = wire_recv_head(&t->wire, h);

	if (r < 0)
		return r;
	if (h->type == WIRE_FAIL)
		return wire_recv_fail(&t->wire, h);
	if (h->type != type)
		return wire_fail(&t->wire, -EPROTO,
				 "record \"%s\": \"%s\" was expected",
				 wire_rule(h->type)->name, wire_rule(type)->name);
	return 0;
}

/* --- before anything is changed --- */

static int preflight(struct mig_target *t)
{
	struct snap_error err = { "" };
	struct snap_r r = { .buf = t->buf, .who = "offer", .err = &err };
	struct snap_w w = { .buf = t->buf, .cap = MIG_BUF };
	char why[MIG_WHY_MAX] = "";
	struct wire_head h;
	int e;

	e = wire_greet(&t->wire);
	if (!e)
		e = expect(t, WIRE_OFFER, &h);
	if (!e)
		e = wire_recv(&t->wire, &h, t->buf, h.len);
	if (e)
		return e;
	r.len = h.len;
	e = mig_describe_get(&t->peer, &r);
	if (e < 0)
		return wire_fail(&t->wire, e, "%s", err.text);
	e = mig_check(&t->peer, &t->own, why);
	if (e < 0)
		return refuse(t, why);
	/* Connections are the source's to drop. */
	pthread_mutex_lock(&t->m->lock);
	e = snap_check_all(&t->m->snap, true, &err);
	pthread_mutex_unlock(&t->m->lock);
	if (e < 0)
		return refuse(t, err.text);
	mig_describe_put(&t->own, &w);
	return wire_send(&t->wire, WIRE_ANSWER, w.buf, (uint32_t)w.len);
}

/* --- session --- */

static int open_csv(struct mig_target *t, const uint8_t *session, uint32_t len)
{
	int r;

	pthread_mutex_lock(&t->m->lock);
	r = csv_receive_start(t->csv, t->peer.policy, t->peer.pdh.data,
			      t->peer.pdh.len, session, len);
	pthread_mutex_unlock(&t->m->lock);
	if (r < 0)
		return wire_fail(&t->wire, r, "%s", csv_error(t->csv));
	t->have_pipe = true;
	/* One thread: a page may come twice, and the later one shall stay. */
	r = mig_pipe_open(&t->pipe, t->csv, &t->m->gmem, false, 1);
	return r < 0 ? wire_fail(&t->wire, r, "memory for pages: %s",
				 strerror(-r))
		     : 0;
}

/* What the guest that never ran has instead of state, taken out and put in again:
 * how long is the latter? Devices have no disks yet. */
static int rehearse(struct mig_target *t, uint64_t *ret_ns)
{
	struct snap_error err = { "" };
	int i, r = 0;

	*ret_ns = 0;
	for (i = MIG_MACHINE; i < (int)t->n_vcpus && !r; i++) {
		struct snap_w w = { .buf = t->buf, .cap = MIG_BUF };
		struct snap_r in = { .buf = t->buf, .who = "own", .err = &err };
		uint64_t from;

		r = t->ops->save(t->ctx, i, &w);
		in.len = w.len;
		from = now_ns();
		if (!r)
			r = t->ops->load(t->ctx, i, &in);
		*ret_ns += now_ns() - from;
	}
	return r < 0 ? wire_fail(&t->wire, r, "own state: %s",
				 err.text[0] ? err.text : strerror(-r))
		     : 0;
}

/* With what the source can't see, for its prediction. */
static int send_ready(struct mig_target *t)
{
	uint64_t from, took[3] = { 0 };
	uint8_t raw[16];
	size_t i;
	int r = 0;

	pthread_mutex_lock(&t->m->lock);
	for (i = 0; i < ARRAY_SIZE(took) && !r; i++)
		r = rehearse(t, &took[i]);
	pthread_mutex_unlock(&t->m->lock);
	if (r < 0)
		return r;
	from = now_ns();
	r = t->ops->mark(t->ctx, MIG_PAGES);
	if (r < 0)
		return wire_fail(&t->wire, r, "journal: %s", strerror(-r));
	put_le64(raw, median3(took[0], took[1], took[2]));
	put_le64(raw + 8, now_ns() - from);
	return wire_send(&t->wire, WIRE_READY, raw, sizeof(raw));
}

static int session(struct mig_target *t)
{
	struct snap_error err = { "" };
	struct snap_r r = { .buf = t->buf, .who = "start", .err = &err };
	static uint8_t blob[CSV_BLOB_MAX];
	uint32_t policy, len;
	struct wire_head h;
	int e = expect(t, WIRE_START, &h);

	if (!e)
		e = wire_recv(&t->wire, &h, t->buf, h.len);
	if (e)
		return e;
	r.len = h.len;
	policy = snap_get32(&r, "policy");
	(void)snap_get32_range(&r, "header length", WIRE_HDR_SIZE, WIRE_HDR_SIZE);
	(void)snap_get32_range(&r, "page length", PAGE_SIZE, PAGE_SIZE);
	len = snap_get32_range(&r, "session", t->csv ? 1 : 0,
			       t->csv ? sizeof(blob) : 0);
	snap_get_bytes(&r, "session", blob, len);
	if (!r.error && (r.off != r.len || policy != t->peer.policy))
		(void)snap_bad(&r, "session",
			       "not as long as it says, or of another policy");
	if (r.error)
		return wire_fail(&t->wire, r.error, "%s", err.text);
	e = t->csv ? open_csv(t, blob, len) : 0;
	return e < 0 ? e : send_ready(t);
}

/* --- state --- */

static int read_body(struct mig_target *t, struct wire_head *h)
{
	int r = h->len > MIG_BUF ? -EPROTO : mig_target_drain(t);

	return r < 0 ? r : wire_recv(&t->wire, h, t->buf, h->len);
}

static int load(struct mig_target *t, int i, struct snap_r *r)
{
	int e;

	pthread_mutex_lock(&t->m->lock);
	e = t->ops->load(t->ctx, i, r);
	pthread_mutex_unlock(&t->m->lock);
	if (!e && r->off != r->len)
		e = snap_bad(r, "length", "%zu bytes too many", r->len - r->off);
	return e < 0 ? wire_fail(&t->wire, e, "%s",
				 r->err->text[0] ? r->err->text : strerror(-e))
		     : 0;
}

static int on_cpu(struct mig_target *t, struct wire_head *h)
{
	struct snap_error err = { "" };
	struct snap_r r = {
		.buf = t->buf, .len = h->len, .who = "vCPU", .err = &err
	};
	uint32_t id;
	int e = read_body(t, h);

	if (e < 0)
		return e;
	id = snap_get32(&r, "number");
	if (id >= t->n_vcpus || (t->seen_cpu >> id & 1))
		return wire_fail(
			&t->wire, -EPROTO, "record \"vCPU\": %u, which %s", id,
			id < t->n_vcpus ? "came before" : "is not there");
	/* Registers of an encrypted vCPU come first ([csv-abi] 4.5). */
	if (t->csv && t->csv->es && !(t->seen_vmsa >> id & 1))
		return wire_fail(&t->wire, -EPROTO,
				 "record \"vCPU\": %u, before its VMSA", id);
	t->seen_cpu |= BIT(id);
	return load(t, (int)id, &r);
}

static int on_machine(struct mig_target *t, struct wire_head *h)
{
	struct snap_error err = { "" };
	struct snap_r r = {
		.buf = t->buf, .len = h->len, .who = "machine", .err = &err
	};
	int e = read_body(t, h);

	if (e < 0)
		return e;
	if (t->have_machine)
		return wire_fail(&t->wire, -EPROTO, "record \"machine\": twice");
	t->have_machine = true;
	return load(t, MIG_MACHINE, &r);
}

static int on_devices(struct mig_target *t, struct wire_head *h)
{
	struct snap_error err = { "" };
	int r = read_body(t, h);

	if (r < 0)
		return r;
	if (t->have_devices || !t->have_machine)
		return wire_fail(
			&t->wire, -EPROTO,
			"record \"devices\": twice, or before \"machine\"");
	t->have_devices = true;
	pthread_mutex_lock(&t->m->lock);
	r = snap_load_all(&t->m->snap, t->buf, h->len, &err);
	pthread_mutex_unlock(&t->m->lock);
	return r < 0 ? wire_fail(&t->wire, r, "%s", err.text) : 0;
}

static int on_stopped(struct mig_target *t, struct wire_head *h)
{
	(void)h;
	if (t->stopped)
		return wire_fail(&t->wire, -EPROTO, "record \"stopped\": twice");
	t->stopped = true;
	t->phase = MIG_STOPPED;
	return 0;
}

static int on_sync(struct mig_target *t, struct wire_head *h)
{
	int r = mig_target_drain(t);

	(void)h;
	return r < 0 ? r : wire_send(&t->wire, WIRE_SYNCED, NULL, 0);
}

static int on_end(struct mig_target *t, struct wire_head *h)
{
	uint64_t all = t->n_vcpus == 64 ? UINT64_MAX : BIT(t->n_vcpus) - 1;
	bool es = t->csv && t->csv->es;
	uint8_t raw[16];
	int r = wire_recv(&t->wire, h, raw, sizeof(raw));

	if (!r)
		r = mig_target_drain(t);
	if (r < 0)
		return r;
	t->ended = true;
	if (get_le64(raw + 8) != t->n_vcpus)
		return wire_fail(&t->wire, -EPROTO,
				 "record \"end\": %llu vCPUs, not %u",
				 (unsigned long long)get_le64(raw + 8),
				 t->n_vcpus);
	if (get_le64(raw) != t->pages)
		return wire_fail(&t->wire, -EPROTO,
				 "record \"end\": %llu pages were sent, %llu came",
				 (unsigned long long)get_le64(raw),
				 (unsigned long long)t->pages);
	if (t->seen_cpu != all || (es && t->seen_vmsa != all) ||
	    !t->have_machine || !t->have_devices)
		return wire_fail(&t->wire, -EPROTO,
				 "record \"end\": state of %s is missing",
				 !t->have_machine     ? "the machine"
				 : !t->have_devices   ? "devices"
				 : t->seen_cpu != all ? "a vCPU"
						      : "a VMSA");
	return 0;
}

static int (*const records[WIRE_TYPES])(struct mig_target *t,
					struct wire_head *h) = {
	[WIRE_SEALED] = mig_target_sealed,
	[WIRE_PLAIN] = mig_target_plain,
	[WIRE_ZERO] = mig_target_zero,
	[WIRE_STOPPED] = on_stopped,
	[WIRE_SHARED] = mig_target_shared,
	[WIRE_VMSA] = mig_target_vmsa,
	[WIRE_CPU] = on_cpu,
	[WIRE_MACHINE] = on_machine,
	[WIRE_DEVICES] = on_devices,
	[WIRE_END] = on_end,
	[WIRE_SYNC] = on_sync,
};

static int state(struct mig_target *t)
{
	struct wire_head h;
	int r = 0;

	t->phase = MIG_PAGES;
	while (!r && !t->ended) {
		r = wire_recv_head(&t->wire, &h);
		if (r < 0)
			return r;
		if (h.type == WIRE_FAIL)
			return wire_recv_fail(&t->wire, &h);
		if (!records[h.type] ||
		    (!t->stopped && (AFTER_STOP & BIT(h.type))))
			return wire_fail(&t->wire, -EPROTO,
					 "record \"%s\": not now",
					 wire_rule(h.type)->name);
		/* What is too much undoes nothing: this guest never runs then. */
		r = records[h.type](t, &h);
		if (!r)
			r = wire_recv_end(&t->wire, &h);
	}
	return r;
}

/* --- the end --- */

static int prepare_locked(struct mig_target *t)
{
	struct snap_error err = { "" };
	char why[MIG_WHY_MAX] = "";
	int r = t->csv ? csv_receive_finish(t->csv) : 0;

	if (r < 0)
		return wire_fail(&t->wire, r, "%s", csv_error(t->csv));
	t->held = true;
	r = snap_hold_all(&t->m->snap, SNAP_HOLD_COMING, &err);
	if (r < 0)
		return wire_fail(&t->wire, r, "%s", err.text);
	r = t->ops->resume(t->ctx, why);
	return r < 0 ? wire_fail(&t->wire, r, "%s", why) : 0;
}

static int prepare(struct mig_target *t)
{
	int r;

	pthread_mutex_lock(&t->m->lock);
	r = prepare_locked(t);
	pthread_mutex_unlock(&t->m->lock);
	return r < 0 ? r : wire_send(&t->wire, WIRE_PREPARED, NULL, 0);
}

static int commit(struct mig_target *t)
{
	char why[MIG_WHY_MAX] = "";
	struct wire_head h;
	int r = expect(t, WIRE_COMMIT, &h);

	if (!r)
		r = t->ops->mark(t->ctx, MIG_MOVED);
	if (r < 0)
		return wire_fail(&t->wire, r, "journal: %s", strerror(-r));
	pthread_mutex_lock(&t->m->lock);
	r = t->ops->run(t->ctx, why);
	if (!r)
		snap_thaw_all(&t->m->snap);
	pthread_mutex_unlock(&t->m->lock);
	if (r < 0)
		return wire_fail(&t->wire, r, "%s", why);
	t->phase = MIG_MOVED;
	/* It runs, whether the source hears of it or not. */
	t->wire.wake_fd = -1;
	(void)wire_send(&t->wire, WIRE_RUNNING, NULL, 0);
	return 0;
}

static void give_up(struct mig_target *t)
{
	struct snap_error err;

	pthread_mutex_lock(&t->m->lock);
	if (t->held)
		(void)snap_hold_all(&t->m->snap, SNAP_HOLD_NONE, &err);
	pthread_mutex_unlock(&t->m->lock);
	/* After it: the source wants the disks back. */
	wire_send_fail(&t->wire, t->wire.error);
}

enum mig_phase mig_target_run(struct mig_target *t, int fd)
{
	static int (*const steps[])(struct mig_target * t) = { session, state,
							       prepare, commit };
	size_t i;
	int r;

	wire_open(&t->wire, WIRE_TARGET, fd, t->wake_fd, t->stall_ns);
	t->phase = MIG_PREFLIGHT;
	r = preflight(t);
	if (!r && t->peer.check_only)
		return MIG_NONE;
	for (i = 0; i < ARRAY_SIZE(steps) && !r; i++)
		r = steps[i](t);
	if (t->have_pipe)
		mig_pipe_close(&t->pipe);
	t->have_pipe = false;
	if (!r)
		return MIG_MOVED;
	give_up(t);
	if (r == -ECANCELED)
		return MIG_CANCELLED;
	return t->phase == MIG_PREFLIGHT ? MIG_REFUSED : MIG_FAILED;
}

int mig_target_init(struct mig_target *t, struct machine *m)
{
	memset(t, 0, sizeof(*t));
	t->m = m;
	t->wake_fd = -1;
	t->wire.fd = -1;
	t->buf = malloc(MIG_BUF);
	t->touched = calloc(m->gmem.size / PAGE_SIZE / 64 + 1, 8);
	return t->buf && t->touched ? 0 : -ENOMEM;
}

void mig_target_fini(struct mig_target *t)
{
	free(t->buf);
	free(t->touched);
	t->buf = NULL;
	t->touched = NULL;
}
