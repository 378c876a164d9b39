/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The moving part of a request: queue an operation for what is left of the
 * range, take its result, go on. See blk_req.c for the whole.
 */
#include "devices/blk_req.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "core/log.h"
#include "core/machine.h"
#include "core/util.h"
#include "devices/disk.h"

#define RETRIES_MAX 16

/* Zeroes are written from here where the host can't make them itself. */
static const _Alignas(PAGE_SIZE) uint8_t zero_page[PAGE_SIZE];

/* Keep @len bytes of the vectors after the first @skip. */
static int iov_trim(struct iovec *iov, int n, uint64_t skip, uint64_t len)
{
	int i, out = 0;

	for (i = 0; i < n && len; i++) {
		uint64_t drop = MIN(skip, (uint64_t)iov[i].iov_len);
		uint64_t keep = MIN(iov[i].iov_len - drop, len);

		skip -= drop;
		len -= keep;
		if (!keep)
			continue;
		iov[out].iov_base = (uint8_t *)iov[i].iov_base + drop;
		iov[out++].iov_len = keep;
	}
	return out;
}

/* Where the guest's data is, from @r->done on. */
static int req_guest_iov(struct blk_req *r, struct iovec *iov)
{
	int n;

	if (r->type == VIRTIO_BLK_T_IN)
		n = chain_iov_in(blk_req_vq(r), &r->chain, iov, BLK_IOV_MAX);
	else
		n = chain_iov_out(blk_req_vq(r), &r->chain, iov, BLK_IOV_MAX);

	return n < 0 ? n : iov_trim(iov, n, r->done, r->len - r->done);
}

static int req_zero_iov(const struct blk_req *r, struct iovec *iov)
{
	uint64_t left = r->len - r->done;
	int n;

	for (n = 0; n < BLK_IOV_MAX && left; n++) {
		/* Only ever read: the operation is a write. */
		iov[n].iov_base = (void *)(uintptr_t)zero_page;
		iov[n].iov_len = MIN(left, sizeof(zero_page));
		left -= iov[n].iov_len;
	}
	return n;
}

int blk_req_iov(struct blk_op *op, struct iovec *iov)
{
	struct blk_req *r = container_of(op, struct blk_req, op);

	if (r->type == VIRTIO_BLK_T_WRITE_ZEROES)
		return req_zero_iov(r, iov);
	if (!r->bounce)
		return req_guest_iov(r, iov);
	iov->iov_base = r->bounce + r->bounce_off;
	iov->iov_len = r->bounce_len;
	return 1;
}

/* O_DIRECT wants aligned addresses and lengths; the guest promised nothing. */
bool blk_req_needs_bounce(struct blk_req *r)
{
	const struct disk *d = r->blk->disk;
	struct iovec iov[BLK_IOV_MAX];
	int i, n;

	if (!d->direct)
		return false;
	n = req_guest_iov(r, iov);
	for (i = 0; i < n; i++) {
		if ((uintptr_t)iov[i].iov_base % d->align ||
		    iov[i].iov_len % d->block_size)
			return true;
	}
	return false;
}

void blk_req_queue(struct blk_req *r, enum blk_op_kind kind)
{
	r->op.kind = kind;
	r->op.off = r->off + r->done;
	r->op.len = r->len - r->done;
	r->op.unmap = r->unmap;
	r->op.dsync = kind == BLK_OP_WRITE &&
		      !virtio_has(&r->blk->virtio, VIRTIO_BLK_F_FLUSH);
	if (kind == BLK_OP_WRITE || kind == BLK_OP_ZERO)
		disk_marks_wrote(&r->blk->marks, r->op.off);
	else if (kind == BLK_OP_DISCARD)
		disk_marks_discarded(&r->blk->marks);
	blk_io_queue(&r->blk->io, &r->op);
}

static void req_wait_bounce(struct blk_req *r)
{
	struct blk *b = r->blk;

	r->next = NULL;
	*b->wait_tail = r;
	b->wait_tail = &r->next;
}

/* Load the next piece; a short transfer's rest is transferred first. */
static void req_continue_bounced(struct blk_req *r)
{
	struct blk *b = r->blk;
	bool write = r->type == VIRTIO_BLK_T_OUT;
	int got;

	if (!r->bounce && !b->n_bounce) {
		req_wait_bounce(r);
		return;
	}
	if (!r->bounce) {
		r->bounce = b->bounce_free[--b->n_bounce];
		r->bounce_len = 0;
	}
	if (!r->bounce_len) {
		r->bounce_off = 0;
		r->bounce_len = (uint32_t)MIN(r->len - r->done,
					      (uint64_t)BLK_BOUNCE_SIZE);
		got = (int)r->bounce_len;
		if (write)
			got = chain_read(blk_req_vq(r), &r->chain, r->bounce,
					 r->bounce_len);
		if (got != (int)r->bounce_len) {
			blk_req_end(r, VIRTIO_BLK_S_IOERR);
			return;
		}
	}
	blk_req_queue(r, write ? BLK_OP_WRITE : BLK_OP_READ);
}

static void req_continue_zero(struct blk_req *r)
{
	const struct disk *d = r->blk->disk;

	if (r->unmap && !d->can_discard)
		r->unmap = false;
	if (r->unmap || d->can_zero)
		blk_req_queue(r, BLK_OP_ZERO);
	else
		blk_req_queue(r, BLK_OP_WRITE);
}

void blk_req_continue(struct blk_req *r)
{
	r->retries = 0;
	switch (r->type) {
	case VIRTIO_BLK_T_FLUSH:
		blk_req_queue(r, BLK_OP_FLUSH);
		break;
	case VIRTIO_BLK_T_DISCARD:
		blk_req_queue(r, BLK_OP_DISCARD);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		req_continue_zero(r);
		break;
	default: /* IN, OUT: req_begin_typed() let no other pass */
		if (r->wants_bounce)
			req_continue_bounced(r);
		else
			blk_req_queue(r, r->type == VIRTIO_BLK_T_IN
						 ? BLK_OP_READ
						 : BLK_OP_WRITE);
		break;
	}
}

void blk_req_serve_waiting(struct blk *b)
{
	while (b->wait_head && b->n_bounce) {
		struct blk_req *r = b->wait_head;

		b->wait_head = r->next;
		if (!b->wait_head)
			b->wait_tail = &b->wait_head;
		blk_req_continue(r);
	}
}

void blk_req_drop_waiting(struct blk *b)
{
	struct blk_req *r, *next;

	for (r = b->wait_head; r; r = next) {
		next = r->next;
		blk_req_put(r);
	}
	b->wait_head = NULL;
	b->wait_tail = &b->wait_head;
}

static void req_host_error(struct blk_req *r, int err)
{
	const char *name = strerrorname_np(-err);

	log_guest("disk %s: host gave %s at byte %" PRIu64, r->blk->id,
		  name ? name : "an unknown error", r->off + r->done);
	blk_req_end(r, VIRTIO_BLK_S_IOERR);
}

/* What was read is in guest memory now; KVM's dirty log does not know. */
static int req_store_read(struct blk_req *r, int res)
{
	if (!r->bounce) {
		chain_dirty(blk_req_vq(r), &r->chain, r->data_in);
		return 0;
	}
	if (chain_write(blk_req_vq(r), &r->chain, r->bounce + r->bounce_off,
			(uint32_t)res) != res)
		return -EFAULT;
	return 0;
}

static void req_rw_done(struct blk_req *r, int res)
{
	if (r->type == VIRTIO_BLK_T_IN && res >= 0 && req_store_read(r, res))
		res = -EFAULT;
	/* 0: the file is shorter than it was, or the disk is full. */
	if (res <= 0) {
		req_host_error(r, res ? res : -EIO);
		return;
	}
	r->done += (uint64_t)res;
	if (r->bounce) {
		r->bounce_off += (uint32_t)res;
		r->bounce_len -= (uint32_t)res;
	}
	if (r->done < r->len)
		blk_req_continue(r);
	else if (r->type == VIRTIO_BLK_T_WRITE_ZEROES)
		blk_req_next_range(r);
	else
		blk_req_end(r, VIRTIO_BLK_S_OK);
}

/*
 * A hole in a block device is made by writing zeroes the short way, which a
 * device may lack although it can discard. For that there is no asynchronous
 * call (before Linux 6.12).
 */
static void req_discard_done(struct blk_req *r, int res)
{
	struct disk *d = r->blk->disk;

	if (res == -EOPNOTSUPP && d->is_bdev)
		res = disk_discard(d, r->op.off, r->op.len);
	if (res == -EOPNOTSUPP) {
		d->can_discard = false;
		blk_req_end(r, VIRTIO_BLK_S_UNSUPP);
	} else if (res < 0) {
		req_host_error(r, res);
	} else {
		blk_req_next_range(r);
	}
}

/* Unmap, then zero, then write: the first that the host can do. */
static void req_zero_done(struct blk_req *r, int res)
{
	struct disk *d = r->blk->disk;

	if (res == -EOPNOTSUPP) {
		if (r->op.unmap)
			d->can_discard = false;
		else
			d->can_zero = false;
		blk_req_continue(r);
	} else if (res < 0) {
		req_host_error(r, res);
	} else {
		blk_req_next_range(r);
	}
}

void blk_req_done(struct blk_op *op, int res)
{
	struct blk_req *r = container_of(op, struct blk_req, op);

	if (r->blk->dropping) {
		if (r->type == VIRTIO_BLK_T_IN && !r->bounce)
			chain_dirty(blk_req_vq(r), &r->chain, r->data_in);
		blk_req_put(r);
		return;
	}
	if ((res == -EINTR || res == -EAGAIN) && r->retries++ < RETRIES_MAX) {
		blk_io_queue(&r->blk->io, op);
		return;
	}
	switch (op->kind) {
	case BLK_OP_READ:
	case BLK_OP_WRITE:
		req_rw_done(r, res);
		break;
	case BLK_OP_FLUSH:
		if (res < 0)
			req_host_error(r, res);
		else
			blk_req_end(r, VIRTIO_BLK_S_OK);
		break;
	case BLK_OP_DISCARD:
		req_discard_done(r, res);
		break;
	case BLK_OP_ZERO:
		req_zero_done(r, res);
		break;
	}
}
