/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DOC: A virtio device moves to another host
 *
 * Frozen, a device has given back every chain that it took: the rings, which
 * travel with the guest's memory, and one index a queue are the whole of it. No
 * request is in flight, so none has to be replayed.
 *
 * What may have been lost on the way is a doorbell that rang while the vCPUs
 * stopped and an interrupt that had not yet reached a local APIC. So all queues
 * are kicked and interrupted once after the move: a driver or a device that
 * finds nothing new does no harm.
 *
 * Nothing is believed that the guest could not have set up itself ([VIRTIO] 2.1,
 * 2.7, 4.1): features that were offered, sizes that are allowed. Addresses are
 * checked when the queues start, as if the driver had just set DRIVER_OK.
 */
#include "devices/virtio_snap.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "core/machine.h"
#include "core/util.h"

#define STATUS_KNOWN                                               \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |    \
	 VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK | \
	 VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)

/* Does the driver use its queues? */
static bool status_live(uint8_t status)
{
	return (status & VIRTIO_CONFIG_S_DRIVER_OK) &&
	       !(status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static bool queue_live(const struct virtio_dev *dev, unsigned q)
{
	return status_live(dev->status) && dev->queue[q].enabled;
}

static int snap_save(const void *obj, struct snap_w *w)
{
	const struct virtio_dev *dev = obj;
	unsigned i;

	if (!dev->frozen || dev->resetting)
		return -EBUSY;
	snap_put16(w, dev->model->id);
	snap_put64(w, dev->features);
	snap_put64(w, dev->acked);
	snap_put8(w, dev->status);
	snap_put8(w, dev->config_generation);
	snap_put32(w, dev->config_len);
	snap_put_bytes(w, dev->config, dev->config_len);
	snap_put16(w, dev->n_queues);
	for (i = 0; i < dev->n_queues; i++) {
		const struct virtq *q = &dev->queue[i].vq;

		/* One index for two: there is nothing in between. */
		if (queue_live(dev, i) && q->last_avail != q->used_idx)
			return -EBUSY;
		snap_put8(w, dev->queue[i].enabled);
		snap_put16(w, q->size);
		snap_put64(w, q->desc);
		snap_put64(w, q->avail);
		snap_put64(w, q->used);
		snap_put16(w, queue_live(dev, i) ? q->last_avail : 0);
	}
	return 0;
}

static void load_features(struct virtio_dev *dev, struct snap_r *r)
{
	uint64_t saved = snap_get64(r, "features");
	uint64_t here = dev->features | dev->model->soft_features;

	if (r->error)
		return;
	if (saved & ~here)
		(void)snap_bad(r, "features",
			       "%#llx, which this host does not offer",
			       (unsigned long long)(saved & ~here));
	else if ((saved ^ dev->features) & dev->model->same_features)
		(void)snap_bad(r, "features", "%#llx there, %#llx here",
			       (unsigned long long)saved,
			       (unsigned long long)dev->features);
	else
		/* Also after a reset: the driver shall find what it knows. */
		dev->features = saved;
}

static void load_status(struct virtio_dev *dev, struct snap_r *r)
{
	uint8_t status;

	dev->acked = snap_get64(r, "driver's features");
	status = snap_get8(r, "status");
	if (status & ~STATUS_KNOWN)
		(void)snap_bad(r, "status", "%#x", status);
	if ((status & VIRTIO_CONFIG_S_FEATURES_OK) && !virtio_features_ok(dev))
		(void)snap_bad(r, "driver's features",
			       "%#llx were never accepted",
			       (unsigned long long)dev->acked);
	if ((status & VIRTIO_CONFIG_S_DRIVER_OK) &&
	    !(status & VIRTIO_CONFIG_S_FEATURES_OK))
		(void)snap_bad(r, "status",
			       "%#x: DRIVER_OK without FEATURES_OK", status);
	dev->status = status;
	dev->config_generation = snap_get8(r, "configuration generation");
}

static void load_config(struct virtio_dev *dev, struct snap_r *r)
{
	const struct virtio_config_field *f = dev->model->same;
	uint8_t saved[VIRTIO_CONFIG_MAX];
	uint32_t len = snap_get32(r, "configuration length");

	if (!r->error && len != dev->config_len)
		(void)snap_bad(r, "configuration length", "%u there, %u here",
			       len, dev->config_len);
	if (r->error)
		return;
	snap_get_bytes(r, "configuration", saved, len);
	for (; f && f->len && !r->error; f++) {
		if (memcmp(saved + f->off, dev->config + f->off, f->len) != 0)
			(void)snap_bad(r, f->name,
				       "not the same as on the other host");
	}
	dev->config_moved = memcmp(saved, dev->config, len) != 0;
}

static void load_queue(struct virtio_queue *q, struct snap_r *r)
{
	struct virtq *vq = &q->vq;

	q->enabled = snap_get_bool(r, "queue enabled");
	vq->size = snap_get16(r, "queue size");
	if (!r->error && (!is_pow2(vq->size) || vq->size > q->size_max))
		(void)snap_bad(r, "queue size", "%u", vq->size);
	vq->desc = snap_get64(r, "descriptor area");
	vq->avail = snap_get64(r, "driver area");
	vq->used = snap_get64(r, "device area");
	vq->last_avail = snap_get16(r, "queue index");
}

static int snap_load(void *obj, struct snap_r *r, uint32_t version)
{
	struct virtio_dev *dev = obj;
	uint16_t id, n;
	unsigned i;

	(void)version;
	id = snap_get16(r, "device ID");
	if (!r->error && id != dev->model->id)
		(void)snap_bad(r, "device ID", "%u there, %u here", id,
			       dev->model->id);
	load_features(dev, r);
	load_status(dev, r);
	load_config(dev, r);
	n = snap_get16(r, "queues");
	if (!r->error && n != dev->n_queues)
		(void)snap_bad(r, "queues", "%u there, %u here", n,
			       dev->n_queues);
	for (i = 0; i < dev->n_queues && !r->error; i++)
		load_queue(&dev->queue[i], r);
	dev->loaded = !r->error;
	return r->error;
}

static int snap_freeze(void *obj)
{
	struct virtio_dev *dev = obj;
	int r;

	/* First: the model must not begin anything while it finishes. */
	dev->frozen = true;
	r = dev->model->freeze ? dev->model->freeze(dev) : 0;
	if (r < 0)
		dev->frozen = false;
	return r;
}

static void thaw_loaded(struct virtio_dev *dev)
{
	unsigned i;

	if (status_live(dev->status))
		virtio_start(dev, virtq_resume);
	else
		for (i = 0; i < dev->n_queues; i++)
			dev->queue[i].vq.broken = dev->status &
						  VIRTIO_CONFIG_S_NEEDS_RESET;
	dev->loaded = false;
	if (dev->config_moved)
		virtio_config_changed(dev);
	for (i = 0; i < dev->n_queues; i++) {
		if (queue_live(dev, i) && dev->transport)
			dev->transport->queue_irq(dev, i);
	}
}

static void snap_thaw(void *obj)
{
	struct virtio_dev *dev = obj;
	unsigned i;

	if (dev->loaded)
		thaw_loaded(dev);
	else if (dev->frozen && dev->model->thaw)
		dev->model->thaw(dev);
	dev->frozen = false;
	for (i = 0; i < dev->n_queues; i++) {
		if (queue_live(dev, i))
			virtio_kick(dev, i);
	}
}

const struct snap_item virtio_snap_item = {
	.name = "virtio",
	.version = 1,
	.save = snap_save,
	.load = snap_load,
	.freeze = snap_freeze,
	.thaw = snap_thaw,
};
