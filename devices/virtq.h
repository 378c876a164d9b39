/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_VIRTQ_H
#define CSVVMM_DEVICES_VIRTQ_H

#include <stdbool.h>
#include <stdint.h>

#include "core/gmem.h"

struct iovec;

#define VIRTQ_SIZE_MAX 256 /* entries; a driver may choose less */
#define CHAIN_MAX      256 /* descriptors in one chain, indirect included */

/* One buffer of a chain: a checked copy of a descriptor, never re-read. */
struct seg {
	gpa_t gpa;
	uint32_t len;
};

/**
 * struct chain - Bounded copy of one descriptor chain, with two cursors
 * @head:	Index to give back in the used ring
 * @n_out:	seg[0 .. n_out): the device reads them
 * @n_in:	seg[n_out .. n_out + n_in): the device writes them
 * @out_left, @in_left: bytes not yet consumed by chain_read()/chain_write()
 * @written:	Bytes stored by chain_write(); goes into the used element
 */
struct chain {
	uint16_t head;
	uint16_t n_out, n_in;
	uint32_t out_left, in_left;
	uint32_t written;
	uint16_t out_seg, in_seg;
	uint32_t out_off, in_off;
	struct seg seg[CHAIN_MAX];
};

/**
 * struct virtq - A split virtqueue ([VIRTIO] 2.7), device side
 * @size:	Entries, power of two, at most VIRTQ_SIZE_MAX; 0 = not set up
 * @signalled_used: used_idx at the last virtq_need_irq(); @signalled_valid is
 *		false once used_idx has lapped it
 * @event_idx:	VIRTIO_F_EVENT_IDX was negotiated
 * @indirect:	VIRTIO_F_INDIRECT_DESC was negotiated
 * @broken:	The driver violated the ring's rules; nothing works until reset
 *
 * The caller sets gm, desc, avail, used, size, event_idx and indirect, then
 * calls virtq_start().
 */
struct virtq {
	struct gmem *gm;
	gpa_t desc, avail, used;
	uint16_t size;
	uint16_t last_avail, used_idx;
	uint16_t signalled_used;
	bool signalled_valid;
	bool event_idx;
	bool indirect;
	bool broken;
};

/**
 * virtq_start() - Begin using a queue whose addresses the driver has set
 *
 * Indices start at 0 and kicks are asked for.
 *
 * Return: 0; -EINVAL for a bad size or alignment; -EFAULT outside RAM
 */
int virtq_start(struct virtq *q);

/**
 * virtq_resume() - Go on with a queue where a device on another host stopped
 *
 * As virtq_start(), but @last_avail is set already, every chain before it was
 * given back, and guest memory is not touched.
 *
 * Return: as virtq_start()
 */
int virtq_resume(struct virtq *q);

/**
 * virtq_pop() - Take the next available chain, as a checked copy
 *
 * Walks are bounded by CHAIN_MAX and by the queue size; indirect tables are
 * allowed once and not nested ([VIRTIO] 2.7.5.3). Segments are inside RAM,
 * readable ones come first, the sum of lengths fits 32 bits.
 *
 * Return: 1 with @c filled; 0 when the queue is empty; -EPROTO, -ELOOP or
 * -EFAULT when the driver broke the rules (@q->broken is then set, and the
 * caller asks for a reset with virtio_needs_reset())
 */
int virtq_pop(struct virtq *q, struct chain *c);

/*
 * Put back the chain that the last virtq_pop() took. May be called several
 * times in a row, as long as nothing popped since then was pushed: the last one
 * popped goes back first.
 */
void virtq_unpop(struct virtq *q);

/**
 * virtq_push() - Give a chain back: used element, then index (release)
 * @written:	Bytes the device stored in the writable part
 *
 * Return: 0 or -EFAULT
 */
int virtq_push(struct virtq *q, uint16_t head, uint32_t written);

/* A used element to be ([VIRTIO] 2.7.8), as virtq_push() takes it. */
struct virtq_used {
	uint16_t head;
	uint32_t written;
};

/**
 * virtq_push_n() - Give several chains back at once
 * @n:		At most @q->size
 *
 * The driver sees all of them or none: the index moves once, after all
 * elements are written. What lies in several buffers of a receive queue must be
 * given so ([VIRTIO] 5.1.6.4.1).
 *
 * Return: 0, or -EFAULT and nothing is given back
 */
int virtq_push_n(struct virtq *q, const struct virtq_used *used, unsigned n);

/* Must the driver be interrupted for what was pushed since the last call? */
bool virtq_need_irq(struct virtq *q);

/**
 * virtq_arm() - Ask the driver for a kick at the next buffer
 *
 * Return: true when buffers came in meanwhile: process again
 */
bool virtq_arm(struct virtq *q);

/* Tell the driver that kicks are not needed now. */
void virtq_disarm(struct virtq *q);

/* Copy out of the readable part / into the writable part, advancing the
 * cursor. Return: bytes copied (less than @len at the end) or -EFAULT. */
int chain_read(struct virtq *q, struct chain *c, void *buf, uint32_t len);
int chain_write(struct virtq *q, struct chain *c, const void *buf, uint32_t len);

/**
 * chain_iov_out() / chain_iov_in() - What is left, as host vectors
 * @iov, @max:	Filled, no more than @max; CHAIN_MAX always suffices. Empty
 *		segments are left out
 *
 * For system calls only. After a completed write into chain_iov_in() the
 * caller calls chain_dirty().
 *
 * Return: number of vectors, or -EFAULT
 */
int chain_iov_out(struct virtq *q, const struct chain *c, struct iovec *iov,
		  unsigned max);
int chain_iov_in(struct virtq *q, const struct chain *c, struct iovec *iov,
		 unsigned max);

/* Mark the first @len bytes left in the writable part dirty. */
void chain_dirty(struct virtq *q, const struct chain *c, uint32_t len);

/* Advance a cursor by @len bytes, at most to the end, as if copied: after a
 * system call used chain_iov_out() or _in(); "in" counts as written. */
void chain_skip_out(struct chain *c, uint32_t len);
void chain_skip_in(struct chain *c, uint32_t len);

#endif
