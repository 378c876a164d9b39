/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_BLK_REQ_H
#define CSVVMM_DEVICES_BLK_REQ_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/blk_io.h"
#include "devices/disk_marks.h"
#include "devices/virtio.h"

/*
 * Inside virtio-blk: blk.c (device, queues), blk_req.c (parse and answer one
 * request), blk_xfer.c (carry it out).
 */

struct blk;
struct disk;

#define BLK_SLOTS	 128 /* requests between pop and push, all queues */
#define BLK_BOUNCES	 4
#define BLK_BOUNCE_SIZE	 (64u << 10)
#define BLK_ID_LEN	 20
#define BLK_SECTOR_SHIFT 9
#define BLK_SECTOR	 (1u << BLK_SECTOR_SHIFT)

/* Ranges in one discard or write-zeroes request, and sectors in one range. */
#define BLK_RANGES_MAX		16u
#define BLK_DISCARD_SECTORS_MAX (1u << 22) /* 2 GiB */
#define BLK_ZERO_SECTORS_MAX	(1u << 17) /* 64 MiB: may have to be written */

/**
 * struct blk_req - A request, from virtio_pop() to virtio_push()
 * @op:		What is done for it right now
 * @type:	VIRTIO_BLK_T_*, checked
 * @off, @len:	The byte range worked on: of the request, or of one of its
 *		discard or write-zeroes ranges
 * @done:	Bytes of @len that are finished
 * @unmap:	The range may be deallocated
 * @flush_last:	Without a negotiated flush, zeroes must be stable on completion
 * @retries:	Of an operation that was interrupted
 * @data_in:	Bytes of the writable part before the status byte
 * @status_gpa:	The last byte of the writable part
 * @bounce:	Aligned memory for O_DIRECT, or NULL
 * @bounce_off, @bounce_len: the part of @bounce that is not yet transferred
 * @next:	While waiting for a bounce buffer
 */
struct blk_req {
	struct blk_op op;
	struct blk *blk;
	uint16_t q;
	uint32_t type;
	uint64_t off, len, done;
	bool unmap, flush_last, wants_bounce;
	unsigned retries;
	uint32_t data_in;
	gpa_t status_gpa;
	uint8_t *bounce;
	uint32_t bounce_off, bounce_len;
	struct blk_req *next;
	struct chain chain; /* last: pages of unused segments stay untouched */
};

/**
 * struct blk - The device
 * @stalled:	Queues (bits) to look at again although no kick will come
 * @notify:	Queues (bits) that got used buffers since the last interrupt
 * @dropping:	The driver reset the device: forget what completes. Ends when
 *		nothing is in flight any more
 * @quiesced:	Take no requests
 * @patience_ms: How long blk_destroy() waits for the host
 * @free, @n_free: stack of unused slots; the last one used is the next
 * @bounce_free, @n_bounce: stack of unused bounce buffers
 * @marks:	For the host that the guest may move to
 * @wait_head, @wait_tail: requests waiting for a bounce buffer
 */
struct blk {
	struct virtio_dev virtio;
	struct disk *disk;
	struct blk_io io;
	char id[BLK_ID_LEN + 1];
	uint32_t stalled, notify;
	bool dropping, quiesced;
	unsigned patience_ms;
	struct disk_marks marks;
	uint8_t *bounce_mem;
	uint8_t *bounce_free[BLK_BOUNCES];
	unsigned n_bounce;
	struct blk_req *wait_head, **wait_tail;
	unsigned n_free;
	uint8_t free[BLK_SLOTS];
	struct blk_req req[BLK_SLOTS]; /* last: touched only when used */
};

/* As blk_create() with a given engine (NULL: the best one). For tests. */
int blk_create_engine(struct machine *m, struct disk *disk, unsigned n_queues,
		      const char *id, const struct blk_engine *engine,
		      struct blk **ret_blk);

/* Slots: an unused request or NULL; and back, with its bounce buffer. */
struct blk_req *blk_req_get(struct blk *b);
void blk_req_put(struct blk_req *r);

/**
 * blk_req_begin() - Look at a popped chain and start what it asks for
 * @r:		@q and @chain are filled; over to blk_req.c from now on
 *
 * Return: 0; -EPROTO when there is no place for a status byte: the request
 * can't be answered, the slot is free again
 */
int blk_req_begin(struct blk_req *r);

/* Let requests go on that waited for a bounce buffer. */
void blk_req_serve_waiting(struct blk *b);
/* Free all requests that wait for a bounce buffer. */
void blk_req_drop_waiting(struct blk *b);

/* The queue that the request came from. */
struct virtq *blk_req_vq(struct blk_req *r);

/* Answer with VIRTIO_BLK_S_*; the slot is free afterwards. */
void blk_req_end(struct blk_req *r, uint8_t status);

/* Start the next range of a discard or write-zeroes request, or end it. */
void blk_req_next_range(struct blk_req *r);

/* Does O_DIRECT refuse the guest's buffers as they are? Range is set. */
bool blk_req_needs_bounce(struct blk_req *r);

/* Queue what the request's type wants next for its range. */
void blk_req_continue(struct blk_req *r);

/* Queue one operation on what is left of the range. */
void blk_req_queue(struct blk_req *r, enum blk_op_kind kind);

/* For struct blk_io. */
int blk_req_iov(struct blk_op *op, struct iovec *iov);
void blk_req_done(struct blk_op *op, int res);

#endif
