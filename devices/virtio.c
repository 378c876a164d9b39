/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/virtio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/log.h"
#include "core/machine.h"
#include "core/util.h"
#include "devices/virtio_snap.h"

#define FEATURES_COMMON                                            \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | \
	 BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_RING_F_INDIRECT_DESC))

#define STATUS_FROM_DRIVER                                         \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |    \
	 VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK | \
	 VIRTIO_CONFIG_S_FAILED)

static void virtio_kick_ready(struct source *src, uint32_t events)
{
	struct virtio_queue *vq = container_of(src, struct virtio_queue, kick);
	struct virtio_dev *dev = vq->dev;
	uint64_t count;

	(void)events;
	if (read(src->fd, &count, sizeof(count)) < 0)
		return;
	/* A kick may be left over from before a reset. */
	if (dev->started && !dev->frozen && vq->enabled && !vq->vq.broken)
		dev->model->kick(dev, (unsigned)(vq - dev->queue));
}

static void virtio_queue_reset(struct virtio_dev *dev, struct virtio_queue *q)
{
	q->enabled = false;
	q->vector = VIRTIO_NO_VECTOR;
	q->vq = (struct virtq){ .gm = &dev->m->gmem, .size = q->size_max };
}

static int virtio_queue_init(struct virtio_dev *dev, struct virtio_queue *q)
{
	int fd, r;

	if (!is_pow2(q->size_max) || q->size_max > VIRTQ_SIZE_MAX)
		return -EINVAL;
	virtio_queue_reset(dev, q);
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = loop_add(&dev->m->loop, &q->kick, fd, EPOLLIN);
	if (r < 0)
		(void)close(fd);
	return r;
}

int virtio_init(struct virtio_dev *dev, struct machine *m)
{
	unsigned i;
	int r;

	dev->m = m;
	dev->features |= FEATURES_COMMON;
	dev->acked = 0;
	dev->status = 0;
	dev->started = false;
	dev->resetting = false;
	dev->frozen = dev->loaded = dev->config_moved = false;
	dev->config_generation = 0;
	for (i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		dev->queue[i].dev = dev;
		dev->queue[i].kick =
			(struct source){ .fd = -1, .fn = virtio_kick_ready };
	}
	if (dev->n_queues > VIRTIO_QUEUES_MAX ||
	    dev->config_len > VIRTIO_CONFIG_MAX)
		return -EINVAL;
	for (i = 0; i < dev->n_queues; i++) {
		r = virtio_queue_init(dev, &dev->queue[i]);
		if (r < 0) {
			virtio_fini(dev);
			return r;
		}
	}
	r = snap_add(&m->snap, &virtio_snap_item, dev->model->name, dev);
	if (r < 0)
		virtio_fini(dev);
	return r;
}

void virtio_fini(struct virtio_dev *dev)
{
	unsigned i;

	if (!dev->m)
		return;
	snap_remove(&dev->m->snap, &virtio_snap_item, dev);
	virtio_reset(dev);
	for (i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		int fd = dev->queue[i].kick.fd;

		loop_del(&dev->m->loop, &dev->queue[i].kick);
		util_close(&fd);
	}
	dev->m = NULL;
}

static void virtio_reset_finish(struct virtio_dev *dev)
{
	unsigned i;

	dev->status = 0;
	dev->acked = 0;
	for (i = 0; i < dev->n_queues; i++)
		virtio_queue_reset(dev, &dev->queue[i]);
	if (dev->transport && dev->transport->reset)
		dev->transport->reset(dev);
}

void virtio_reset(struct virtio_dev *dev)
{
	if (dev->resetting)
		return;
	if (dev->started) {
		dev->started = false;
		dev->resetting = dev->model->stop(dev) == -EINPROGRESS;
	}
	if (!dev->resetting)
		virtio_reset_finish(dev);
}

void virtio_reset_done(struct virtio_dev *dev)
{
	dev->resetting = false;
	virtio_reset_finish(dev);
}

bool virtio_features_ok(const struct virtio_dev *dev)
{
	uint64_t must = BIT(VIRTIO_F_VERSION_1);

	if (dev->must_access_platform)
		must |= BIT(VIRTIO_F_ACCESS_PLATFORM);
	return !(dev->acked & ~dev->features) && (dev->acked & must) == must;
}

void virtio_start(struct virtio_dev *dev, int (*start_queue)(struct virtq *q))
{
	unsigned i;

	for (i = 0; i < dev->n_queues; i++) {
		struct virtq *q = &dev->queue[i].vq;

		if (!dev->queue[i].enabled)
			continue;
		q->event_idx = virtio_has(dev, VIRTIO_RING_F_EVENT_IDX);
		q->indirect = virtio_has(dev, VIRTIO_RING_F_INDIRECT_DESC);
		if (start_queue(q) < 0) {
			virtio_needs_reset(dev, "queue addresses");
			return;
		}
	}
	if (dev->model->start(dev) < 0)
		virtio_needs_reset(dev, "start failed");
	else
		dev->started = true;
}

void virtio_set_status(struct virtio_dev *dev, uint8_t status)
{
	uint8_t fresh = status & STATUS_FROM_DRIVER & ~dev->status;

	if (!status) {
		virtio_reset(dev);
		return;
	}
	if (dev->resetting)
		return;
	dev->status |= fresh & (VIRTIO_CONFIG_S_ACKNOWLEDGE |
				VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FAILED);
	if (fresh & VIRTIO_CONFIG_S_FEATURES_OK) {
		if (virtio_features_ok(dev))
			dev->status |= VIRTIO_CONFIG_S_FEATURES_OK;
		else
			log_guest("virtio-%s: features %#llx refused",
				  dev->model->name,
				  (unsigned long long)dev->acked);
	}
	if (!(fresh & VIRTIO_CONFIG_S_DRIVER_OK) ||
	    (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return;
	/* [VIRTIO] 3.1.1: without FEATURES_OK the device is unusable. */
	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		dev->status |= VIRTIO_CONFIG_S_DRIVER_OK;
		virtio_start(dev, virtq_start);
	} else {
		log_guest("virtio-%s: DRIVER_OK without FEATURES_OK",
			  dev->model->name);
	}
}

void virtio_needs_reset(struct virtio_dev *dev, const char *why)
{
	unsigned i;

	if (dev->resetting || (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return;
	log_guest("virtio-%s: the driver must reset it: %s", dev->model->name,
		  why);
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	for (i = 0; i < dev->n_queues; i++)
		dev->queue[i].vq.broken = true;
	/* [VIRTIO] 2.1.2: tell the driver, if it is listening. */
	if (dev->transport && (dev->status & VIRTIO_CONFIG_S_DRIVER_OK))
		dev->transport->config_irq(dev);
}

/* virtq_start() has checked the ring's addresses and it is not broken. */
static bool virtio_queue_live(const struct virtio_dev *dev, unsigned q)
{
	return (dev->status & VIRTIO_CONFIG_S_DRIVER_OK) && !dev->resetting &&
	       dev->queue[q].enabled && !dev->queue[q].vq.broken;
}

static const char *virtq_error_words(int r)
{
	switch (r) {
	case -EFAULT:
		return "a buffer is outside RAM";
	case -ELOOP:
		return "a descriptor chain is too long or loops";
	default:
		return "a ring or a descriptor is malformed";
	}
}

bool virtio_pop(struct virtio_dev *dev, unsigned q, struct chain *c)
{
	int r;

	if (!virtio_queue_live(dev, q))
		return false;
	r = virtq_pop(&dev->queue[q].vq, c);
	if (r < 0)
		virtio_needs_reset(dev, virtq_error_words(r));
	return r > 0;
}

void virtio_push(struct virtio_dev *dev, unsigned q, uint16_t head,
		 uint32_t written)
{
	if (!virtio_queue_live(dev, q))
		return;
	if (virtq_push(&dev->queue[q].vq, head, written) < 0)
		virtio_needs_reset(dev, "the used ring is outside RAM");
}

void virtio_kick(struct virtio_dev *dev, unsigned q)
{
	uint64_t one = 1;

	/* A full counter means that a kick is on its way already. */
	if (q < dev->n_queues &&
	    write(dev->queue[q].kick.fd, &one, sizeof(one)) < 0)
		return;
}

void virtio_notify(struct virtio_dev *dev, unsigned q)
{
	if (virtio_queue_live(dev, q) && virtq_need_irq(&dev->queue[q].vq) &&
	    dev->transport)
		dev->transport->queue_irq(dev, q);
}

void virtio_config_changed(struct virtio_dev *dev)
{
	/* Nobody runs yet who could take the interrupt. */
	if (dev->loaded) {
		dev->config_moved = true;
		return;
	}
	dev->config_generation++;
	if (dev->transport && (dev->status & VIRTIO_CONFIG_S_DRIVER_OK))
		dev->transport->config_irq(dev);
}
