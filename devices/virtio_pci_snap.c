/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/virtio_pci_snap.h"

#include "devices/virtio_pci.h"

#define ISR_KNOWN 3 /* [VIRTIO] 4.1.4.5 */

static int snap_save(const void *obj, struct snap_w *w)
{
	const struct virtio_pci *vp = obj;
	unsigned i;

	snap_put32(w, vp->feature_sel);
	snap_put32(w, vp->driver_feature_sel);
	snap_put16(w, vp->queue_sel);
	snap_put16(w, vp->config_vector);
	snap_put8(w, vp->isr);
	snap_put16(w, vp->dev->n_queues);
	for (i = 0; i < vp->dev->n_queues; i++)
		snap_put16(w, vp->dev->queue[i].vector);
	return 0;
}

/* [VIRTIO] 4.1.5.1.2: one of the function's vectors, or none. */
static uint16_t load_vector(const struct virtio_pci *vp, struct snap_r *r,
			    const char *field)
{
	uint16_t v = snap_get16(r, field);

	if (v >= vp->pci.n_msix && v != VIRTIO_NO_VECTOR) {
		(void)snap_bad(r, field, "%u of %u", v, vp->pci.n_msix);
		return VIRTIO_NO_VECTOR;
	}
	return v;
}

static int snap_load(void *obj, struct snap_r *r, uint32_t version)
{
	struct virtio_pci *vp = obj;
	unsigned i, n;

	(void)version;
	/* Selectors may be anything: what they select is looked up each time. */
	vp->feature_sel = snap_get32(r, "feature selector");
	vp->driver_feature_sel = snap_get32(r, "driver's feature selector");
	vp->queue_sel = snap_get16(r, "queue selector");
	vp->config_vector = load_vector(vp, r, "configuration vector");
	vp->isr = snap_get8(r, "ISR");
	if (vp->isr & ~ISR_KNOWN)
		(void)snap_bad(r, "ISR", "%#x", vp->isr);
	n = snap_get16(r, "queues");
	if (!r->error && n != vp->dev->n_queues)
		(void)snap_bad(r, "queues", "%u there, %u here", n,
			       vp->dev->n_queues);
	for (i = 0; i < vp->dev->n_queues; i++)
		vp->dev->queue[i].vector = load_vector(vp, r, "queue vector");
	return r->error;
}

const struct snap_item virtio_pci_snap_item = {
	.name = "virtio-pci",
	.version = 1,
	.save = snap_save,
	.load = snap_load,
};
