/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_TESTS_UNIT_DRIVER_H
#define CSVVMM_TESTS_UNIT_DRIVER_H

/*
 * A virtio driver for tests, straight on struct virtio_dev: no transport but
 * two counters, no KVM. Rings and buffers lie in a small guest RAM.
 */

#include <assert.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/bytes.h"
#include "core/machine.h"
#include "core/util.h"
#include "devices/virtio.h"

#define DRIVER_RAM    MIB(4)
#define DRIVER_RINGS  0x10000u
#define DRIVER_BUFS   0x100000u
#define DRIVER_QUEUES 4

struct driver_queue {
	uint16_t size, next_desc, avail, kicked, used;
	unsigned irqs;
};

struct driver {
	struct machine m;
	struct virtio_dev *dev;
	struct driver_queue q[DRIVER_QUEUES];
	unsigned config_irqs;
};

/* A buffer as the driver describes it. */
struct dbuf {
	uint64_t gpa;
	uint32_t len;
};

static inline struct driver *driver_of(struct virtio_dev *dev)
{
	return container_of(dev->m, struct driver, m);
}

static inline void driver_queue_irq(struct virtio_dev *dev, unsigned q)
{
	driver_of(dev)->q[q].irqs++;
}

static inline void driver_config_irq(struct virtio_dev *dev)
{
	driver_of(dev)->config_irqs++;
}

static const struct virtio_transport driver_transport = {
	.queue_irq = driver_queue_irq,
	.config_irq = driver_config_irq,
};

static inline struct driver *driver_new(void)
{
	struct driver *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		abort();
	(void)pthread_mutex_init(&d->m.lock, NULL);
	r = gmem_init(&d->m.gmem, DRIVER_RAM, false);
	if (r == 0)
		r = loop_init(&d->m.loop, &d->m.lock);
	if (r < 0)
		abort();
	return d;
}

/* The device is gone already. */
static inline void driver_free(struct driver *d)
{
	loop_fini(&d->m.loop);
	gmem_fini(&d->m.gmem);
	(void)pthread_mutex_destroy(&d->m.lock);
	free(d);
}

static inline uint64_t driver_ring(unsigned q)
{
	return DRIVER_RINGS + q * 0x10000u;
}

#define RING_AVAIL 0x4000u
#define RING_USED  0x8000u

/* Reset, negotiate @features, bring up all queues with @size entries. */
static inline void driver_start(struct driver *d, struct virtio_dev *dev,
				uint64_t features, uint16_t size)
{
	unsigned i;

	d->dev = dev;
	dev->transport = &driver_transport;
	virtio_set_status(dev, 0);
	memset(d->q, 0, sizeof(d->q));
	d->config_irqs = 0;
	virtio_set_status(dev,
			  VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	dev->acked = features | BIT(VIRTIO_F_VERSION_1);
	virtio_set_status(dev, dev->status | VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		abort();
	for (i = 0; i < dev->n_queues; i++) {
		struct virtq *vq = &dev->queue[i].vq;

		d->q[i].size = MIN(size, dev->queue[i].size_max);
		(void)gmem_fill(&d->m.gmem, driver_ring(i), 0, 0x10000);
		vq->desc = driver_ring(i);
		vq->avail = driver_ring(i) + RING_AVAIL;
		vq->used = driver_ring(i) + RING_USED;
		vq->size = d->q[i].size;
		dev->queue[i].enabled = true;
	}
	virtio_set_status(dev, dev->status | VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline bool driver_needs_reset(const struct driver *d)
{
	return d->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* Make a chain available: first @n_out buffers to read, then @n_in. */
static inline uint16_t driver_add(struct driver *d, unsigned q,
				  const struct dbuf *buf, unsigned n_out,
				  unsigned n_in)
{
	struct driver_queue *dq = &d->q[q];
	struct gmem *gm = &d->m.gmem;
	uint64_t ring = driver_ring(q);
	uint16_t head = dq->next_desc % dq->size;
	unsigned i;

	for (i = 0; i < n_out + n_in; i++) {
		uint16_t at = (uint16_t)(dq->next_desc++ % dq->size);
		uint16_t flags = i < n_out ? 0 : VRING_DESC_F_WRITE;
		uint8_t raw[16];

		if (i + 1 < n_out + n_in)
			flags |= VRING_DESC_F_NEXT;
		put_le64(raw, buf[i].gpa);
		put_le32(raw + 8, buf[i].len);
		put_le16(raw + 12, flags);
		put_le16(raw + 14, (uint16_t)(dq->next_desc % dq->size));
		(void)gmem_write(gm, ring + at * 16u, raw, sizeof(raw));
	}
	(void)gmem_store16(gm, ring + RING_AVAIL + 4 + dq->avail % dq->size * 2u,
			   head);
	dq->avail++;
	(void)gmem_store16(gm, ring + RING_AVAIL + 2, dq->avail);
	return head;
}

/* Does the device want a kick for what was added? ([VIRTIO] 2.7.10) */
static inline bool driver_kick_wanted(const struct driver *d, unsigned q)
{
	uint64_t used = driver_ring(q) + RING_USED;
	uint16_t v = 0;

	if (virtio_has(d->dev, VIRTIO_RING_F_EVENT_IDX)) {
		(void)gmem_load16(&d->m.gmem, used + 4 + d->q[q].size * 8u, &v);
		return vring_need_event(v, d->q[q].avail, d->q[q].kicked);
	}
	(void)gmem_load16(&d->m.gmem, used, &v);
	return !(v & VRING_USED_F_NO_NOTIFY);
}

static inline uint16_t driver_used_idx(const struct driver *d, unsigned q)
{
	uint16_t v = 0;

	(void)gmem_load16(&d->m.gmem, driver_ring(q) + RING_USED + 2, &v);
	return v;
}

/* Take the next used element. */
static inline bool driver_used(struct driver *d, unsigned q, uint32_t *ret_id,
			       uint32_t *ret_len)
{
	struct driver_queue *dq = &d->q[q];
	uint8_t raw[8];

	if (driver_used_idx(d, q) == dq->used)
		return false;
	(void)gmem_read(&d->m.gmem,
			driver_ring(q) + RING_USED + 4 + dq->used % dq->size * 8u,
			raw, sizeof(raw));
	dq->used++;
	/* Ask for an interrupt at the next one. */
	(void)gmem_store16(&d->m.gmem,
			   driver_ring(q) + RING_AVAIL + 4 + dq->size * 2u,
			   dq->used);
	*ret_id = get_le32(raw);
	*ret_len = get_le32(raw + 4);
	return true;
}

/*
 * Dispatch what is ready until nothing is, one event at a time.
 *
 * Return: number of events; @max when it never gets quiet
 */
static inline unsigned driver_poll(struct driver *d, unsigned max)
{
	struct epoll_event ev;
	unsigned n = 0;

	while (n < max && epoll_wait(d->m.loop.epfd, &ev, 1, 0) == 1) {
		struct source *src = ev.data.ptr;

		src->fn(src, ev.events);
		n++;
	}
	return n;
}

#define DRIVER_QUIET 5000

/* Run the loop dry; never quiet is a spinning VMM. */
static inline bool driver_settle(struct driver *d)
{
	return driver_poll(d, DRIVER_QUIET) < DRIVER_QUIET;
}

/* Ring the doorbell if the device asked for it, and let it work. */
static inline bool driver_kick(struct driver *d, unsigned q)
{
	if (driver_kick_wanted(d, q))
		virtio_kick(d->dev, q);
	d->q[q].kicked = d->q[q].avail;
	return driver_settle(d);
}

#endif
