/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is not pages, of a guest that stands still. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/machine.h"
#include "core/util.h"
#include "migration/source.h"

static int send_shared_map(struct mig_source *s)
{
	const struct gmem *gm = &s->m->gmem;
	struct mig_runs runs = { 0 };
	uint8_t list[RUNS_ENCODED_MAX];
	unsigned i;
	int r = 0;

	if (!gm->map.told)
		return 0;
	for (i = 0; i < gm->n_regions && !r; i++) {
		uint64_t gfn = gm->region[i].base / PAGE_SIZE, k;

		for (k = 0; k < gm->region[i].size / PAGE_SIZE && !r; k++) {
			if (gmem_is_private(gm, (gfn + k) * PAGE_SIZE) ||
			    !runs_add(&runs, gfn + k, 1))
				continue;
			r = wire_send(&s->wire, WIRE_SHARED, list,
				      runs_encode(&runs, list));
			runs.n = 0;
			runs.pages = 0;
			(void)runs_add(&runs, gfn + k, 1);
		}
	}
	if (r < 0 || !runs.n)
		return r;
	return wire_send(&s->wire, WIRE_SHARED, list, runs_encode(&runs, list));
}

static int send_vmsa(struct mig_source *s, uint32_t id)
{
	uint8_t hdr[WIRE_HDR_SIZE], raw[4];
	struct csv_packet p = { .hdr = hdr,
				.hdr_len = sizeof(hdr),
				.trans = s->buf,
				.trans_len = PAGE_SIZE };
	struct iovec iov[] = { { raw, sizeof(raw) },
			       { hdr, sizeof(hdr) },
			       { s->buf, PAGE_SIZE } };
	int r;

	pthread_mutex_lock(&s->m->lock);
	r = csv_send_vmsa(s->csv, id, &p);
	if (r < 0)
		(void)wire_fail(&s->wire, r, "%s", csv_error(s->csv));
	pthread_mutex_unlock(&s->m->lock);
	if (r < 0)
		return r;
	put_le32(raw, id);
	return wire_sendv(&s->wire, WIRE_VMSA, iov, ARRAY_SIZE(iov));
}

static int send_one(struct mig_source *s, int i)
{
	struct snap_w w = { .buf = s->buf, .cap = MIG_BUF };
	int r;

	if (i != MIG_MACHINE)
		snap_put32(&w, (uint32_t)i);
	pthread_mutex_lock(&s->m->lock);
	r = s->ops->save(s->ctx, i, &w);
	pthread_mutex_unlock(&s->m->lock);
	if (!r && w.full)
		r = -ENOBUFS;
	if (r < 0)
		return wire_fail(&s->wire, r, "state of %s %d: %s",
				 i == MIG_MACHINE ? "machine" : "vCPU", i,
				 strerror(-r));
	return wire_send(&s->wire, i == MIG_MACHINE ? WIRE_MACHINE : WIRE_CPU,
			 w.buf, (uint32_t)w.len);
}

static int send_devices(struct mig_source *s)
{
	struct snap_error err;
	size_t len;
	int r;

	pthread_mutex_lock(&s->m->lock);
	r = snap_save_all(&s->m->snap, s->buf, MIG_BUF, &len, &err);
	pthread_mutex_unlock(&s->m->lock);
	if (r < 0)
		return wire_fail(&s->wire, r, "%s", err.text);
	return wire_send(&s->wire, WIRE_DEVICES, s->buf, (uint32_t)len);
}

static int send_end(struct mig_source *s)
{
	uint8_t raw[16];

	put_le64(raw, s->progress.pages);
	put_le64(raw + 8, s->n_vcpus);
	return wire_send(&s->wire, WIRE_END, raw, sizeof(raw));
}

/* Disks: who has them is who may run; on the way each side has one half. */
static int give_up_disks(struct mig_source *s)
{
	struct snap_error err = { "" };
	int r;

	s->released = true;
	pthread_mutex_lock(&s->m->lock);
	r = snap_hold_all(&s->m->snap, SNAP_HOLD_LEAVING, &err);
	pthread_mutex_unlock(&s->m->lock);
	return r < 0 ? wire_fail(&s->wire, r, "%s", err.text) : 0;
}

static int save_all(struct mig_source *s, struct snap_error *err)
{
	size_t len;
	int i, r = 0;

	for (i = MIG_MACHINE; i < (int)s->n_vcpus && !r; i++) {
		struct snap_w w = { .buf = s->buf, .cap = MIG_BUF };

		r = s->ops->save(s->ctx, i, &w);
	}
	return r < 0 ? r : snap_save_all(&s->m->snap, s->buf, MIG_BUF, &len, err);
}

int mig_source_rehearse(struct mig_source *s)
{
	struct snap_error err = { "" };
	uint64_t from = now_ns();
	char why[MIG_WHY_MAX] = "";
	int r;

	pthread_mutex_lock(&s->m->lock);
	r = s->ops->stop(s->ctx, why);
	if (r < 0) {
		pthread_mutex_unlock(&s->m->lock);
		return wire_fail(&s->wire, r, "%s", why);
	}
	r = snap_freeze_all(&s->m->snap, &err);
	if (!r) {
		r = save_all(s, &err);
		snap_thaw_all(&s->m->snap);
	}
	s->ops->go_on(s->ctx);
	s->cost.state_ns = now_ns() - from;
	pthread_mutex_unlock(&s->m->lock);
	if (r < 0)
		return wire_fail(&s->wire, r, "state: %s",
				 err.text[0] ? err.text : strerror(-r));
	from = now_ns();
	r = s->ops->mark(s->ctx, MIG_PAGES);
	s->cost.mark_ns += now_ns() - from;
	return r < 0 ? wire_fail(&s->wire, r, "journal: %s", strerror(-r)) : 0;
}

/* The lock is taken for moments only: the line may make us wait. */
int mig_source_state(struct mig_source *s)
{
	struct wire_head h;
	unsigned i;
	int r = send_shared_map(s);

	for (i = 0; s->csv && s->csv->es && i < s->n_vcpus && !r; i++)
		r = send_vmsa(s, i);
	for (i = 0; i < s->n_vcpus && !r; i++)
		r = send_one(s, (int)i);
	if (!r)
		r = send_one(s, MIG_MACHINE);
	if (!r)
		r = send_devices(s);
	if (!r)
		r = give_up_disks(s);
	if (!r)
		r = send_end(s);
	mig_source_part(s, PART_STATE);
	if (!r)
		r = mig_source_expect(s, WIRE_PREPARED, &h);
	mig_source_part(s, PART_PREPARED);
	return r;
}
