/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "core/bytes.h"
#include "core/machine.h"
#include "core/util.h"
#include "migration/target.h"

/*
 * DOC: Theory of operation
 *
 * Sealed pages wait in mig_pipe's slots for the security processor, in the order
 * in which they came; while it works the next record is read. All else about
 * memory waits until the pipe is empty, for it may be about the same pages.
 */

static struct gmem *gm(const struct mig_target *t)
{
	return &t->m->gmem;
}

/* Number of a page in the memory file, not by address. */
static uint64_t page_index(const struct mig_target *t, uint64_t gfn)
{
	const struct gmem_region *r = gm(t)->region;

	if (gm(t)->n_regions > 1 && gfn >= r[1].base / PAGE_SIZE)
		return gfn - r[1].base / PAGE_SIZE + r[0].size / PAGE_SIZE;
	return gfn;
}

static void touch(struct mig_target *t, const struct mig_runs *runs)
{
	unsigned i, k;

	for (i = 0; i < runs->n; i++) {
		for (k = 0; k < runs->run[i].n; k++) {
			uint64_t page = page_index(t, runs->run[i].gfn + k);

			t->touched[page / 64] |= BIT(page % 64);
		}
	}
}

static int finish_slot(struct mig_target *t, struct mig_slot *slot)
{
	int r = slot->result;

	if (r < 0)
		(void)wire_fail(&t->wire, r, "%s", slot->error);
	mig_pipe_release(&t->pipe);
	return r;
}

int mig_target_drain(struct mig_target *t)
{
	struct mig_slot *slot;
	int r = 0, e;

	while (t->have_pipe && (slot = mig_pipe_take(&t->pipe, true))) {
		e = finish_slot(t, slot);
		r = r ? r : e;
	}
	return r;
}

int mig_target_sealed(struct mig_target *t, struct wire_head *h)
{
	struct mig_slot *slot;
	struct iovec iov[2];
	int r = 0;

	if (!t->csv)
		return wire_fail(
			&t->wire, -EPROTO,
			"record \"sealed pages\": the guest is not encrypted");
	while (!r && (slot = mig_pipe_take(&t->pipe, false)))
		r = finish_slot(t, slot);
	if (!r && !mig_pipe_free(&t->pipe))
		r = finish_slot(t, mig_pipe_take(&t->pipe, true));
	if (r < 0)
		return r;
	slot = mig_pipe_free(&t->pipe);
	r = runs_recv(&t->wire, h, gm(t), t->pipe.batch_max, &slot->runs);
	if (r < 0)
		return r;
	iov[0] = (struct iovec){ slot->hdr, slot->runs.pages * WIRE_HDR_SIZE };
	iov[1] = (struct iovec){ slot->data, slot->runs.pages * PAGE_SIZE };
	r = wire_recvv(&t->wire, h, iov, ARRAY_SIZE(iov));
	if (r < 0)
		return r;
	touch(t, &slot->runs);
	t->pages += slot->runs.pages;
	mig_pipe_put(&t->pipe);
	return 0;
}

int mig_target_plain(struct mig_target *t, struct wire_head *h)
{
	struct iovec iov[WIRE_PLAIN_MAX];
	unsigned i;
	int r = mig_target_drain(t);

	if (!r)
		r = runs_recv(&t->wire, h, gm(t), WIRE_PLAIN_MAX, &t->runs);
	if (r < 0)
		return r;
	for (i = 0; i < t->runs.n; i++) {
		r = gmem_iov(gm(t), t->runs.run[i].gfn * PAGE_SIZE,
			     (uint64_t)t->runs.run[i].n * PAGE_SIZE, false,
			     &iov[i]);
		if (r < 0)
			return wire_fail(&t->wire, -EPROTO,
					 "record \"plain pages\": not shared");
	}
	r = wire_recvv(&t->wire, h, iov, t->runs.n);
	if (r < 0)
		return r;
	/* The guest may look at it another way than we have written it. */
	for (i = 0; t->csv && i < t->runs.n; i++)
		gmem_flush(gm(t), t->runs.run[i].gfn * PAGE_SIZE,
			   (uint64_t)t->runs.run[i].n * PAGE_SIZE);
	touch(t, &t->runs);
	t->pages += t->runs.pages;
	return 0;
}

/* The pages that a record names, once all before it is in memory. */
static int recv_runs(struct mig_target *t, struct wire_head *h)
{
	int r = mig_target_drain(t);

	return r < 0 ? r
		     : runs_recv(&t->wire, h, gm(t), gm(t)->size / PAGE_SIZE,
				 &t->runs);
}

int mig_target_zero(struct mig_target *t, struct wire_head *h)
{
	unsigned i, k;
	int r = recv_runs(t, h);

	for (i = 0; !r && i < t->runs.n; i++) {
		for (k = 0; !r && k < t->runs.run[i].n; k++) {
			uint64_t gfn = t->runs.run[i].gfn + k;
			uint64_t page = page_index(t, gfn);

			/* What was never written is zero, and takes no memory. */
			if (!(t->touched[page / 64] >> page % 64 & 1))
				continue;
			r = gmem_fill(gm(t), gfn * PAGE_SIZE, 0, PAGE_SIZE);
			if (r < 0)
				return wire_fail(
					&t->wire, -EPROTO,
					"record \"zero pages\": not shared");
			if (t->csv)
				gmem_flush(gm(t), gfn * PAGE_SIZE, PAGE_SIZE);
		}
	}
	if (!r)
		t->pages += t->runs.pages;
	return r;
}

/* Before the first of them, all is private. */
static void tell_private(struct mig_target *t)
{
	unsigned i;

	if (t->told)
		return;
	t->told = true;
	for (i = 0; i < gm(t)->n_regions; i++)
		(void)gmem_tell(gm(t), gm(t)->region[i].base,
				gm(t)->region[i].size / PAGE_SIZE, false);
}

int mig_target_shared(struct mig_target *t, struct wire_head *h)
{
	unsigned i;
	int r = recv_runs(t, h);

	if (r < 0)
		return r;
	tell_private(t);
	for (i = 0; i < t->runs.n && !r; i++)
		r = gmem_tell(gm(t), t->runs.run[i].gfn * PAGE_SIZE,
			      t->runs.run[i].n, true);
	return r < 0 ? wire_fail(&t->wire, -EPROTO,
				 "record \"shared pages\": this guest shares all")
		     : 0;
}

int mig_target_vmsa(struct mig_target *t, struct wire_head *h)
{
	uint8_t hdr[WIRE_HDR_SIZE], raw[4];
	struct csv_packet p = { .hdr = hdr,
				.hdr_len = sizeof(hdr),
				.trans = t->buf,
				.trans_len = PAGE_SIZE };
	struct iovec iov[] = { { raw, sizeof(raw) },
			       { hdr, sizeof(hdr) },
			       { t->buf, PAGE_SIZE } };
	uint32_t id;
	int r = wire_recvv(&t->wire, h, iov, ARRAY_SIZE(iov));

	if (!r)
		r = mig_target_drain(t);
	if (r < 0)
		return r;
	id = get_le32(raw);
	if (!t->csv || !t->csv->es || id >= t->n_vcpus ||
	    (t->seen_vmsa >> id & 1))
		return wire_fail(&t->wire, -EPROTO,
				 "record \"VMSA\": vCPU %u, which %s", id,
				 id < t->n_vcpus && t->csv && t->csv->es
					 ? "came before"
					 : "has none here");
	pthread_mutex_lock(&t->m->lock);
	r = csv_receive_vmsa(t->csv, id, &p);
	pthread_mutex_unlock(&t->m->lock);
	if (r < 0)
		return wire_fail(&t->wire, r, "%s", csv_error(t->csv));
	t->seen_vmsa |= BIT(id);
	return 0;
}
