/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio-blk device without a machine around it: guest RAM, a loop turned by
 * hand and a driver that writes descriptors. For blk_test.c and blk_fuzz.c.
 */
#ifndef CSVVMM_TESTS_BLK_RIG_H
#define CSVVMM_TESTS_BLK_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "core/bytes.h"
#include "core/machine.h"
#include "core/util.h"
#include "devices/blk.h"
#include "devices/blk_req.h"
#include "devices/disk.h"

#define RIG_RAM	   MIB(8)
#define RIG_RING   KIB(32) /* of one queue */
#define RIG_BUF	   MIB(1)  /* buffers start here */
#define RIG_DISK   MIB(1)
#define RIG_QUEUES 4
#define RIG_QSIZE  256
#define RIG_BASIC  (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC))

/* One piece of a request as the driver lays it out. */
struct rig_buf {
	gpa_t gpa;
	uint32_t len;
	bool in;
};

struct rig {
	struct machine m;
	struct disk d;
	struct blk *b;
	struct virtio_dev *dev;
	char path[64];
	unsigned irqs[RIG_QUEUES], config_irqs;
	uint16_t avail[RIG_QUEUES], next_desc[RIG_QUEUES];
};

/* One test at a time: where the transport's callbacks count. */
static struct rig *rig_now;

static inline void rig_queue_irq(struct virtio_dev *dev, unsigned q)
{
	(void)dev;
	rig_now->irqs[q]++;
}

static inline void rig_config_irq(struct virtio_dev *dev)
{
	(void)dev;
	rig_now->config_irqs++;
}

static const struct virtio_transport rig_transport = {
	.queue_irq = rig_queue_irq,
	.config_irq = rig_config_irq,
};

static inline gpa_t rig_ring(unsigned q)
{
	return 0x1000 + q * RIG_RING;
}

static inline gpa_t rig_avail(unsigned q)
{
	return rig_ring(q) + 0x2000;
}

static inline gpa_t rig_used(unsigned q)
{
	return rig_ring(q) + 0x4000;
}

/* The byte that the disk holds at first at an offset. */
static inline uint8_t rig_pattern(uint64_t off)
{
	return (uint8_t)(off * 7 + (off >> 9) * 31 + 1);
}

static inline int rig_make_disk(struct rig *rig)
{
	static uint8_t buf[RIG_DISK];
	uint64_t i;
	int fd, r;

	strcpy(rig->path, "/tmp/csvvmm-blk-XXXXXX");
	fd = mkstemp(rig->path);
	if (fd < 0)
		return -errno;
	for (i = 0; i < RIG_DISK; i++)
		buf[i] = rig_pattern(i);
	r = pwrite(fd, buf, RIG_DISK, 0) == (ssize_t)RIG_DISK ? 0 : -EIO;
	(void)close(fd);
	return r;
}

/* For cmocka_set_skip_filter(): what this host has not, or NULL. */
static inline const char *rig_skip_filter(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(1, &ring, 0) < 0) {
		(void)fprintf(stderr, "skipping: no io_uring on this host\n");
		return "*uring*";
	}
	io_uring_queue_exit(&ring);
	return NULL;
}

/* Machine, disk file and device; not started. Return: 0 or -errno. */
static inline int rig_up(struct rig *rig, const struct blk_engine *engine,
			 bool readonly, bool direct)
{
	int r;

	memset(rig, 0, sizeof(*rig));
	rig_now = rig;
	rig->d.fd = -1;
	pthread_mutex_init(&rig->m.lock, NULL);
	rig->m.gmem.fd = -1;
	r = rig_make_disk(rig);
	if (!r)
		r = gmem_init(&rig->m.gmem, RIG_RAM, false);
	if (!r)
		r = loop_init(&rig->m.loop, &rig->m.lock);
	if (!r)
		r = disk_open(&rig->d, rig->path, readonly, direct);
	if (!r)
		r = blk_create_engine(&rig->m, &rig->d, RIG_QUEUES, "serial-1",
				      engine, &rig->b);
	if (r)
		return r;
	rig->dev = blk_virtio(rig->b);
	rig->dev->transport = &rig_transport;
	return 0;
}

static inline void rig_down(struct rig *rig)
{
	blk_destroy(rig->b);
	rig->b = NULL;
	disk_close(&rig->d);
	loop_fini(&rig->m.loop);
	gmem_fini(&rig->m.gmem);
	pthread_mutex_destroy(&rig->m.lock);
	(void)unlink(rig->path);
}

/*
 * One turn of the loop. Return: number of events, 0 after @ms without one.
 * io_uring interrupts the wait to finish a request in our context.
 */
static inline int rig_turn(struct rig *rig, int ms)
{
	struct epoll_event ev[16];
	int i, n;

	do {
		n = epoll_wait(rig->m.loop.epfd, ev, 16, ms);
	} while (n < 0 && errno == EINTR);

	pthread_mutex_lock(&rig->m.lock);
	for (i = 0; i < n; i++) {
		struct source *src = ev[i].data.ptr;

		if (src && src->fd >= 0)
			src->fn(src, ev[i].events);
	}
	pthread_mutex_unlock(&rig->m.lock);
	return n;
}

/* What a driver does from reset to DRIVER_OK ([VIRTIO] 3.1.1). */
static inline void rig_start(struct rig *rig, uint64_t features)
{
	struct virtio_dev *dev = rig->dev;
	unsigned q;

	virtio_set_status(dev, 0);
	/* [VIRTIO] 4.1.4.3.2: wait until it is over. */
	while (dev->status && rig_turn(rig, 20000) > 0)
		;
	virtio_set_status(dev,
			  VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	dev->acked = features;
	virtio_set_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE |
				       VIRTIO_CONFIG_S_DRIVER |
				       VIRTIO_CONFIG_S_FEATURES_OK);
	for (q = 0; q < RIG_QUEUES; q++) {
		dev->queue[q].vq.size = RIG_QSIZE;
		dev->queue[q].vq.desc = rig_ring(q);
		dev->queue[q].vq.avail = rig_avail(q);
		dev->queue[q].vq.used = rig_used(q);
		dev->queue[q].enabled = true;
		gmem_fill(&rig->m.gmem, rig_ring(q), 0, RIG_RING);
		rig->avail[q] = 0;
		rig->next_desc[q] = 0;
		rig->irqs[q] = 0;
	}
	rig->config_irqs = 0;
	virtio_set_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE |
				       VIRTIO_CONFIG_S_DRIVER |
				       VIRTIO_CONFIG_S_FEATURES_OK |
				       VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline void rig_desc(struct rig *rig, gpa_t at, gpa_t gpa, uint32_t len,
			    uint16_t flags, uint16_t next)
{
	uint8_t raw[16];

	put_le64(raw, gpa);
	put_le32(raw + 8, len);
	put_le16(raw + 12, flags);
	put_le16(raw + 14, next);
	(void)gmem_write(&rig->m.gmem, at, raw, sizeof(raw));
}

/* Make a chain available without a kick. Return: its head. */
static inline uint16_t rig_add(struct rig *rig, unsigned q,
			       const struct rig_buf *buf, unsigned n)
{
	uint16_t head = rig->next_desc[q], at, slot;
	unsigned i;

	for (i = 0; i < n; i++) {
		uint16_t flags = buf[i].in ? VRING_DESC_F_WRITE : 0;

		at = (uint16_t)((head + i) % RIG_QSIZE);
		if (i + 1 < n)
			flags |= VRING_DESC_F_NEXT;
		rig_desc(rig, rig_ring(q) + at * 16u, buf[i].gpa, buf[i].len,
			 flags, (uint16_t)((at + 1) % RIG_QSIZE));
	}
	rig->next_desc[q] = (uint16_t)((head + n) % RIG_QSIZE);
	slot = rig->avail[q]++ % RIG_QSIZE;
	(void)gmem_store16(&rig->m.gmem, rig_avail(q) + 4 + slot * 2u, head);
	(void)gmem_store16(&rig->m.gmem, rig_avail(q) + 2, rig->avail[q]);
	return head;
}

static inline void rig_kick(struct rig *rig, unsigned q)
{
	virtio_kick(rig->dev, q);
}

/* Does the device want a kick now (no EVENT_IDX)? */
static inline bool rig_wants_kick(struct rig *rig, unsigned q)
{
	uint16_t flags = 0;

	(void)gmem_load16(&rig->m.gmem, rig_used(q), &flags);
	return !(flags & VRING_USED_F_NO_NOTIFY);
}

static inline uint16_t rig_used_idx(struct rig *rig, unsigned q)
{
	uint16_t idx = 0;

	(void)gmem_load16(&rig->m.gmem, rig_used(q) + 2, &idx);
	return idx;
}

/* Turn until @idx is reached. Return: false when nothing happens any more. */
static inline bool rig_wait(struct rig *rig, unsigned q, uint16_t idx)
{
	while (rig_used_idx(rig, q) != idx) {
		if (rig_turn(rig, 20000) <= 0)
			return false;
	}
	return true;
}

static inline void rig_used_elem(struct rig *rig, unsigned q, uint16_t idx,
				 uint32_t *ret_head, uint32_t *ret_len)
{
	uint8_t raw[8] = { 0 };

	(void)gmem_read(&rig->m.gmem, rig_used(q) + 4 + idx % RIG_QSIZE * 8u,
			raw, sizeof(raw));
	*ret_head = get_le32(raw);
	*ret_len = get_le32(raw + 4);
}

static inline void rig_header(struct rig *rig, gpa_t at, uint32_t type,
			      uint64_t sector)
{
	uint8_t raw[16] = { 0 };

	put_le32(raw, type);
	put_le64(raw + 8, sector);
	(void)gmem_write(&rig->m.gmem, at, raw, sizeof(raw));
}

#endif
