/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DOC: Life of a request
 *
 * blk_req_begin() reads the header, checks it and sets the range (off, len).
 * blk_req_continue() queues one operation for the part of the range that is not
 * done; blk_req_done() takes its result. It continues after a short transfer,
 * takes the next range of a discard or write-zeroes request, or finishes with
 * a status. The buffers' segments are a copy made by virtio_pop(), so nothing
 * checked here can change later.
 */
#include "devices/blk_req.h"

#include <errno.h>
#include <linux/virtio_blk.h>

#include "core/bytes.h"
#include "core/machine.h"
#include "core/util.h"
#include "devices/disk.h"

#define HDR_LEN	  16 /* type, reserved, sector */
#define RANGE_LEN 16 /* sector, number of sectors, flags */

struct virtq *blk_req_vq(struct blk_req *r)
{
	return &r->blk->virtio.queue[r->q].vq;
}

struct blk_req *blk_req_get(struct blk *b)
{
	struct blk_req *r;

	if (!b->n_free)
		return NULL;
	r = &b->req[b->free[--b->n_free]];
	r->blk = b;
	r->bounce = NULL;
	return r;
}

void blk_req_put(struct blk_req *r)
{
	struct blk *b = r->blk;

	if (r->bounce)
		b->bounce_free[b->n_bounce++] = r->bounce;
	r->bounce = NULL;
	b->free[b->n_free++] = (uint8_t)(r - b->req);
}

/*
 * The used length promises that many bytes from the start of the writable
 * part ([VIRTIO] 2.7.8.2): the status byte, being last, counts only when all
 * before it is written.
 */
static void req_finish(struct blk_req *r, uint8_t status, uint32_t written)
{
	struct blk *b = r->blk;

	(void)gmem_write(&b->virtio.m->gmem, r->status_gpa, &status, 1);
	if (written == r->data_in)
		written++;
	virtio_push(&b->virtio, r->q, r->chain.head, written);
	b->notify |= (uint32_t)BIT(r->q);
	blk_req_put(r);
}

void blk_req_end(struct blk_req *r, uint8_t status)
{
	req_finish(r, status, r->type == VIRTIO_BLK_T_IN ? (uint32_t)r->done : 0);
}

/* Set the byte range, if it lies on the disk. */
static bool req_set_range(struct blk_req *r, uint64_t sector, uint64_t len)
{
	uint64_t n = len >> BLK_SECTOR_SHIFT;
	uint64_t all = r->blk->disk->size >> BLK_SECTOR_SHIFT;

	if (len % BLK_SECTOR || !range_inside(sector, n, 0, all))
		return false;
	r->off = sector << BLK_SECTOR_SHIFT;
	r->len = len;
	r->done = 0;
	return true;
}

static void req_begin_rw(struct blk_req *r, uint64_t sector)
{
	bool read = r->type == VIRTIO_BLK_T_IN;
	uint64_t len = read ? r->data_in : r->chain.out_left;

	if ((!read && r->blk->disk->readonly) || !req_set_range(r, sector, len)) {
		blk_req_end(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (!len) {
		blk_req_end(r, VIRTIO_BLK_S_OK);
		return;
	}
	r->wants_bounce = blk_req_needs_bounce(r);
	blk_req_continue(r);
}

/* Up to 20 bytes, padded with zeroes ([VIRTIO] 5.2.6). */
static void req_begin_id(struct blk_req *r)
{
	uint32_t len = MIN(r->data_in, (uint32_t)BLK_ID_LEN);
	int got;

	got = chain_write(blk_req_vq(r), &r->chain, r->blk->id, len);
	if (got < 0)
		blk_req_end(r, VIRTIO_BLK_S_IOERR);
	else
		req_finish(r, VIRTIO_BLK_S_OK, (uint32_t)got);
}

/*
 * Read and check the next range of a discard or write-zeroes request.
 * Return: VIRTIO_BLK_S_OK when r->off, r->len are set ([VIRTIO] 5.2.6.2)
 */
static uint8_t req_read_range(struct blk_req *r)
{
	bool zero = r->type == VIRTIO_BLK_T_WRITE_ZEROES;
	uint32_t max = zero ? BLK_ZERO_SECTORS_MAX : BLK_DISCARD_SECTORS_MAX;
	uint32_t known = zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	uint8_t buf[RANGE_LEN];
	uint32_t n, flags;

	if (chain_read(blk_req_vq(r), &r->chain, buf, RANGE_LEN) != RANGE_LEN)
		return VIRTIO_BLK_S_IOERR;
	n = get_le32(buf + 8);
	flags = get_le32(buf + 12);
	if (flags & ~known)
		return VIRTIO_BLK_S_UNSUPP;
	if (n > max ||
	    !req_set_range(r, get_le64(buf), (uint64_t)n << BLK_SECTOR_SHIFT))
		return VIRTIO_BLK_S_IOERR;
	r->unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	return VIRTIO_BLK_S_OK;
}

/* Start the next range that is not empty, or finish. */
void blk_req_next_range(struct blk_req *r)
{
	uint8_t status;

	while (r->chain.out_left) {
		status = req_read_range(r);
		if (status != VIRTIO_BLK_S_OK) {
			blk_req_end(r, status);
			return;
		}
		if (r->len) {
			blk_req_continue(r);
			return;
		}
	}
	if (r->flush_last) {
		r->flush_last = false;
		blk_req_queue(r, BLK_OP_FLUSH);
		return;
	}
	blk_req_end(r, VIRTIO_BLK_S_OK);
}

static void req_begin_ranges(struct blk_req *r, unsigned feature)
{
	struct virtio_dev *dev = &r->blk->virtio;
	uint32_t len = r->chain.out_left;

	if (!virtio_has(dev, feature)) {
		blk_req_end(r, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	if (!len || len % RANGE_LEN || len / RANGE_LEN > BLK_RANGES_MAX) {
		blk_req_end(r, VIRTIO_BLK_S_IOERR);
		return;
	}
	r->flush_last = feature == VIRTIO_BLK_F_WRITE_ZEROES &&
			!virtio_has(dev, VIRTIO_BLK_F_FLUSH);
	blk_req_next_range(r);
}

static void req_begin_typed(struct blk_req *r, uint64_t sector)
{
	switch (r->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		req_begin_rw(r, sector);
		break;
	case VIRTIO_BLK_T_FLUSH:
		blk_req_continue(r);
		break;
	case VIRTIO_BLK_T_GET_ID:
		req_begin_id(r);
		break;
	case VIRTIO_BLK_T_DISCARD:
		req_begin_ranges(r, VIRTIO_BLK_F_DISCARD);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		req_begin_ranges(r, VIRTIO_BLK_F_WRITE_ZEROES);
		break;
	default:
		blk_req_end(r, VIRTIO_BLK_S_UNSUPP);
		break;
	}
}

/* The last byte of the writable part, however it is cut ([VIRTIO] 2.7.4). */
static gpa_t chain_last_byte(const struct chain *c)
{
	unsigned i = c->n_out + c->n_in;

	while (i-- > c->n_out) {
		if (c->seg[i].len)
			return c->seg[i].gpa + c->seg[i].len - 1;
	}
	return 0; /* not reached: in_left is not 0 */
}

int blk_req_begin(struct blk_req *r)
{
	uint8_t hdr[HDR_LEN];

	if (!r->chain.in_left) {
		blk_req_put(r);
		return -EPROTO;
	}
	r->status_gpa = chain_last_byte(&r->chain);
	r->data_in = r->chain.in_left - 1;
	r->off = r->len = r->done = 0;
	r->unmap = r->flush_last = r->wants_bounce = false;

	if (chain_read(blk_req_vq(r), &r->chain, hdr, HDR_LEN) != HDR_LEN) {
		req_finish(r, VIRTIO_BLK_S_IOERR, 0);
		return 0;
	}
	r->type = get_le32(hdr);
	req_begin_typed(r, get_le64(hdr + 8));
	return 0;
}
