/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/virtq.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>

#include "core/bytes.h"
#include "core/util.h"

/*
 * DOC: The split ring, device side ([VIRTIO] 2.7)
 *
 *   desc   size x { addr 8, len 4, flags 2, next 2 }
 *   avail  flags 2, idx 2, size x { head 2 }, used_event 2
 *   used   flags 2, idx 2, size x { id 4, len 4 }, avail_event 2
 *
 * All of it is guest memory and may change at any moment. So each field is
 * read once, and only the copy is looked at. virtq_start() has checked that
 * the three areas are RAM; RAM never moves, so later accesses can't fail.
 */

#define DESC_SIZE 16u

struct desc {
	gpa_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static_assert(VIRTQ_SIZE_MAX <= CHAIN_MAX, "a direct chain fits struct chain");

static gpa_t avail_idx_at(const struct virtq *q)
{
	return q->avail + 2;
}

static gpa_t used_event_at(const struct virtq *q)
{
	return q->avail + 4 + 2ULL * q->size;
}

static gpa_t avail_event_at(const struct virtq *q)
{
	return q->used + 4 + 8ULL * q->size;
}

/* Area sizes and alignments: the table in [VIRTIO] 2.7. */
static int virtq_check(const struct virtq *q)
{
	if (!is_pow2(q->size) || q->size > VIRTQ_SIZE_MAX)
		return -EINVAL;
	if (q->desc % 16 || q->avail % 2 || q->used % 4)
		return -EINVAL;
	if (!gmem_valid(q->gm, q->desc, (uint64_t)DESC_SIZE * q->size) ||
	    !gmem_valid(q->gm, q->avail, 6 + 2ULL * q->size) ||
	    !gmem_valid(q->gm, q->used, 6 + 8ULL * q->size))
		return -EFAULT;
	return 0;
}

int virtq_start(struct virtq *q)
{
	int r = virtq_check(q);

	if (r < 0)
		return r;
	q->last_avail = 0;
	q->used_idx = 0;
	q->signalled_used = 0;
	q->signalled_valid = true;
	q->broken = false;
	/* Ask for the first kick even if the driver left garbage there. */
	(void)gmem_store16(q->gm, q->used, 0);
	if (q->event_idx)
		(void)gmem_store16(q->gm, avail_event_at(q), 0);
	return 0;
}

int virtq_resume(struct virtq *q)
{
	int r = virtq_check(q);

	if (r < 0)
		return r;
	q->used_idx = q->last_avail;
	/* An interrupt too many does no harm, one too few does. */
	q->signalled_valid = false;
	q->broken = false;
	return 0;
}

static void desc_decode(const uint8_t *raw, struct desc *d)
{
	d->addr = get_le64(raw);
	d->len = get_le32(raw + 8);
	d->flags = get_le16(raw + 12);
	d->next = get_le16(raw + 14);
}

static int chain_add(const struct virtq *q, struct chain *c, const struct desc *d)
{
	unsigned n = c->n_out + c->n_in;
	bool in = d->flags & VRING_DESC_F_WRITE;

	if (n == CHAIN_MAX)
		return -ELOOP;
	/* [VIRTIO] 2.7.4.2: readable buffers first. */
	if (!in && c->n_in)
		return -EPROTO;
	/* [VIRTIO] 2.7.5.2: at most 2^32 bytes, here less one byte. */
	if (d->len > UINT32_MAX - c->out_left - c->in_left)
		return -EPROTO;
	if (d->len && !gmem_valid(q->gm, d->addr, d->len))
		return -EFAULT;

	c->seg[n] = (struct seg){ .gpa = d->addr, .len = d->len };
	if (in) {
		c->n_in++;
		c->in_left += d->len;
	} else {
		c->n_out++;
		c->out_left += d->len;
	}
	return 0;
}

/*
 * The WRITE flag of the descriptor that names the table is ignored, as
 * [VIRTIO] 2.7.5.3.2 demands; all else that 2.7.5.3.1 forbids is refused.
 */
static int chain_add_indirect(const struct virtq *q, struct chain *c,
			      const struct desc *table)
{
	uint8_t raw[CHAIN_MAX * DESC_SIZE];
	uint32_t n = table->len / DESC_SIZE;
	uint32_t i = 0, walked;
	int r;

	if (!q->indirect || (table->flags & VRING_DESC_F_NEXT))
		return -EPROTO;
	if (!n || table->len % DESC_SIZE || n > CHAIN_MAX)
		return -EPROTO;
	r = gmem_read(q->gm, table->addr, raw, table->len);
	if (r < 0)
		return r;

	for (walked = 0; walked < n; walked++) {
		struct desc d;

		desc_decode(raw + i * DESC_SIZE, &d);
		if (d.flags & VRING_DESC_F_INDIRECT)
			return -EPROTO;
		r = chain_add(q, c, &d);
		if (r < 0)
			return r;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		i = d.next;
		if (i >= n)
			return -EPROTO;
	}
	return -ELOOP;
}

static int chain_walk(const struct virtq *q, struct chain *c)
{
	uint16_t i = c->head;
	unsigned walked;
	int r;

	for (walked = 0; walked < q->size; walked++) {
		uint8_t raw[DESC_SIZE];
		struct desc d;

		if (i >= q->size)
			return -EPROTO;
		r = gmem_read(q->gm, q->desc + (uint64_t)i * DESC_SIZE, raw,
			      sizeof(raw));
		if (r < 0)
			return r;
		desc_decode(raw, &d);
		if (d.flags & VRING_DESC_F_INDIRECT)
			return chain_add_indirect(q, c, &d);
		r = chain_add(q, c, &d);
		if (r < 0)
			return r;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		i = d.next;
	}
	return -ELOOP;
}

/* Is there a chain? 1 with its head, 0, or -errno. */
static int virtq_next_head(const struct virtq *q, uint16_t *ret_head)
{
	uint64_t slot = q->last_avail & (q->size - 1u);
	uint16_t idx;
	int r;

	r = gmem_load16(q->gm, avail_idx_at(q), &idx);
	if (r < 0)
		return r;
	if (idx == q->last_avail)
		return 0;
	/* More new heads than the ring has room for: nothing can be trusted. */
	if ((uint16_t)(idx - q->last_avail) > q->size)
		return -EPROTO;
	r = gmem_load16(q->gm, q->avail + 4 + 2 * slot, ret_head);
	return r < 0 ? r : 1;
}

int virtq_pop(struct virtq *q, struct chain *c)
{
	int r;

	if (q->broken)
		return -EPROTO;
	if (!q->size)
		return 0;
	r = virtq_next_head(q, &c->head);
	if (!r)
		return 0;
	/* seg[] is 4 KiB and is filled as far as n_out + n_in say. */
	c->n_out = 0;
	c->n_in = 0;
	c->out_left = 0;
	c->in_left = 0;
	c->written = 0;
	c->out_seg = 0;
	c->out_off = 0;
	c->in_off = 0;
	if (r > 0)
		r = chain_walk(q, c);
	if (r < 0) {
		q->broken = true;
		return r;
	}
	c->in_seg = c->n_out;
	q->last_avail++;
	return 1;
}

void virtq_unpop(struct virtq *q)
{
	q->last_avail--;
}

int virtq_push_n(struct virtq *q, const struct virtq_used *used, unsigned n)
{
	uint16_t to_signalled = (uint16_t)(q->signalled_used - q->used_idx);
	unsigned i;
	int r;

	for (i = 0; i < n; i++) {
		uint64_t slot = (q->used_idx + i) & (q->size - 1u);
		uint8_t elem[8];

		put_le32(elem, used[i].head);
		put_le32(elem + 4, used[i].written);
		r = gmem_write(q->gm, q->used + 4 + slot * sizeof(elem), elem,
			       sizeof(elem));
		if (r < 0)
			return r;
	}
	r = gmem_store16(q->gm, q->used + 2, (uint16_t)(q->used_idx + n));
	if (r < 0)
		return r;
	q->used_idx = (uint16_t)(q->used_idx + n);
	/* After 65536 pushes "between old and new" means nothing any more. */
	if (to_signalled && to_signalled <= n)
		q->signalled_valid = false;
	return 0;
}

int virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	struct virtq_used used = { .head = head, .written = written };

	return virtq_push_n(q, &used, 1);
}

bool virtq_need_irq(struct virtq *q)
{
	uint16_t old = q->signalled_used;
	bool valid = q->signalled_valid;
	uint16_t word;

	if (valid && q->used_idx == old)
		return false;
	q->signalled_used = q->used_idx;
	q->signalled_valid = true;

	/*
	 * The used index must be visible before the driver's wish is read, or
	 * both sides may decide that the other one looks ([VIRTIO] 2.7.7).
	 */
	atomic_thread_fence(memory_order_seq_cst);
	if (q->event_idx) {
		if (gmem_load16(q->gm, used_event_at(q), &word) < 0 || !valid)
			return true;
		/* [VIRTIO] 2.7.7.2: was entry number used_event just pushed? */
		return (uint16_t)(q->used_idx - word - 1) <
		       (uint16_t)(q->used_idx - old);
	}
	if (gmem_load16(q->gm, q->avail, &word) < 0)
		return true;
	return !(word & VRING_AVAIL_F_NO_INTERRUPT);
}

bool virtq_arm(struct virtq *q)
{
	uint16_t idx;

	if (q->broken || !q->size)
		return false;
	if (q->event_idx)
		(void)gmem_store16(q->gm, avail_event_at(q), q->last_avail);
	else
		(void)gmem_store16(q->gm, q->used, 0);
	/* The wish must be visible before the last look ([VIRTIO] 2.7.10). */
	atomic_thread_fence(memory_order_seq_cst);
	return gmem_load16(q->gm, avail_idx_at(q), &idx) == 0 &&
	       idx != q->last_avail;
}

void virtq_disarm(struct virtq *q)
{
	/* With EVENT_IDX the stale avail_event says just that. */
	if (q->broken || !q->size || q->event_idx)
		return;
	(void)gmem_store16(q->gm, q->used, VRING_USED_F_NO_NOTIFY);
}
