/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/virtio_pci_common.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/util.h"

/* The selected queue, or NULL when there is no such one. */
static struct virtio_queue *selected(const struct virtio_pci *vp)
{
	if (vp->queue_sel >= vp->dev->n_queues)
		return NULL;
	return &vp->dev->queue[vp->queue_sel];
}

/* 32 bits of a feature word; there are only two. */
static uint32_t feature_half(uint64_t features, uint32_t sel)
{
	return sel < 2 ? (uint32_t)(features >> (32 * sel)) : 0;
}

static void image_queue(const struct virtio_pci *vp, uint8_t *img)
{
	const struct virtio_queue *q = selected(vp);

	put_le16(img + VIRTIO_PCI_COMMON_Q_SELECT, vp->queue_sel);
	put_le16(img + VIRTIO_PCI_COMMON_Q_MSIX, VIRTIO_NO_VECTOR);
	/* [VIRTIO] 4.1.4.3: size 0 says that there is no such queue. */
	if (!q)
		return;
	put_le16(img + VIRTIO_PCI_COMMON_Q_SIZE, q->vq.size);
	put_le16(img + VIRTIO_PCI_COMMON_Q_MSIX, q->vector);
	put_le16(img + VIRTIO_PCI_COMMON_Q_ENABLE, q->enabled);
	put_le16(img + VIRTIO_PCI_COMMON_Q_NOFF, vp->queue_sel);
	put_le64(img + VIRTIO_PCI_COMMON_Q_DESCLO, q->vq.desc);
	put_le64(img + VIRTIO_PCI_COMMON_Q_AVAILLO, q->vq.avail);
	put_le64(img + VIRTIO_PCI_COMMON_Q_USEDLO, q->vq.used);
}

/* No read has a side effect, so all of it is laid out, then cut. */
uint64_t virtio_pci_common_read(const struct virtio_pci *vp, uint64_t off,
				unsigned len)
{
	uint8_t img[VIRTIO_PCI_COMMON_SIZE + 8] = { 0 };
	const struct virtio_dev *dev = vp->dev;

	(void)len;
	if (off >= VIRTIO_PCI_COMMON_SIZE)
		return 0;
	put_le32(img + VIRTIO_PCI_COMMON_DFSELECT, vp->feature_sel);
	put_le32(img + VIRTIO_PCI_COMMON_DF,
		 feature_half(dev->features, vp->feature_sel));
	put_le32(img + VIRTIO_PCI_COMMON_GFSELECT, vp->driver_feature_sel);
	put_le32(img + VIRTIO_PCI_COMMON_GF,
		 feature_half(dev->acked, vp->driver_feature_sel));
	put_le16(img + VIRTIO_PCI_COMMON_MSIX, vp->config_vector);
	put_le16(img + VIRTIO_PCI_COMMON_NUMQ, dev->n_queues);
	img[VIRTIO_PCI_COMMON_STATUS] = dev->status;
	img[VIRTIO_PCI_COMMON_CFGGENERATION] = dev->config_generation;
	image_queue(vp, img);
	return get_le64(img + off);
}

void virtio_pci_common_reset(struct virtio_pci *vp)
{
	vp->feature_sel = 0;
	vp->driver_feature_sel = 0;
	vp->queue_sel = 0;
	vp->config_vector = VIRTIO_NO_VECTOR;
	vp->isr = 0;
}

static void driver_features_write(struct virtio_pci *vp, uint32_t val)
{
	struct virtio_dev *dev = vp->dev;
	unsigned shift = 32 * vp->driver_feature_sel;

	/* The outcome of the negotiation is final ([VIRTIO] 3.1.1). */
	if (vp->driver_feature_sel > 1 ||
	    (dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	dev->acked &= ~((uint64_t)UINT32_MAX << shift);
	dev->acked |= (uint64_t)val << shift;
}

/* [VIRTIO] 4.1.5.1.2: a vector that can't be used reads back as NO_VECTOR. */
static uint16_t vector_or_none(const struct virtio_pci *vp, uint16_t vector)
{
	return vector < vp->pci.n_msix ? vector : VIRTIO_NO_VECTOR;
}

static void set_half(gpa_t *addr, bool high, uint32_t val)
{
	if (high)
		*addr = (*addr & UINT32_MAX) | (gpa_t)val << 32;
	else
		*addr = (*addr & ~(gpa_t)UINT32_MAX) | val;
}

static void queue_size_write(const struct virtio_pci *vp,
			     struct virtio_queue *q, uint16_t val)
{
	if (is_pow2(val) && val <= q->size_max)
		q->vq.size = val;
	else
		log_guest("virtio-%s: bad queue size %u", vp->dev->model->name,
			  val);
}

/* Size, addresses and enable: only until the queue or the device is live. */
static void queue_write(const struct virtio_pci *vp, uint64_t off, uint32_t val)
{
	struct virtio_queue *q = selected(vp);

	if (!q || q->enabled || (vp->dev->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	switch (off) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		queue_size_write(vp, q, (uint16_t)val);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		/* [VIRTIO] 4.1.4.3.2: drivers never write 0. */
		q->enabled = val == 1;
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_half(&q->vq.desc, off == VIRTIO_PCI_COMMON_Q_DESCHI, val);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_half(&q->vq.avail, off == VIRTIO_PCI_COMMON_Q_AVAILHI, val);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_half(&q->vq.used, off == VIRTIO_PCI_COMMON_Q_USEDHI, val);
		break;
	}
}

static void field_write(struct virtio_pci *vp, uint64_t off, uint32_t val)
{
	struct virtio_queue *q = selected(vp);

	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		vp->feature_sel = val;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		vp->driver_feature_sel = val;
		break;
	case VIRTIO_PCI_COMMON_GF:
		driver_features_write(vp, val);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		vp->config_vector = vector_or_none(vp, (uint16_t)val);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_set_status(vp->dev, (uint8_t)val);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		vp->queue_sel = (uint16_t)val;
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		if (q)
			q->vector = vector_or_none(vp, (uint16_t)val);
		break;
	default:
		queue_write(vp, off, val);
		break;
	}
}

/* Bytes of the field that starts at @off, 0 when none does. */
static unsigned field_len(uint64_t off)
{
	static const uint8_t len[VIRTIO_PCI_COMMON_SIZE] = {
		[VIRTIO_PCI_COMMON_DFSELECT] = 4,
		[VIRTIO_PCI_COMMON_GFSELECT] = 4,
		[VIRTIO_PCI_COMMON_GF] = 4,
		[VIRTIO_PCI_COMMON_MSIX] = 2,
		[VIRTIO_PCI_COMMON_STATUS] = 1,
		[VIRTIO_PCI_COMMON_Q_SELECT] = 2,
		[VIRTIO_PCI_COMMON_Q_SIZE] = 2,
		[VIRTIO_PCI_COMMON_Q_MSIX] = 2,
		[VIRTIO_PCI_COMMON_Q_ENABLE] = 2,
		[VIRTIO_PCI_COMMON_Q_DESCLO] = 4,
		[VIRTIO_PCI_COMMON_Q_DESCHI] = 4,
		[VIRTIO_PCI_COMMON_Q_AVAILLO] = 4,
		[VIRTIO_PCI_COMMON_Q_AVAILHI] = 4,
		[VIRTIO_PCI_COMMON_Q_USEDLO] = 4,
		[VIRTIO_PCI_COMMON_Q_USEDHI] = 4,
	};

	return off < ARRAY_SIZE(len) ? len[off] : 0;
}

/* [VIRTIO] 4.1.3.1: drivers access each field with its own width. */
void virtio_pci_common_write(struct virtio_pci *vp, uint64_t off, unsigned len,
			     uint64_t val)
{
	if (len == 8 && off % 8 == 0) {
		virtio_pci_common_write(vp, off, 4, (uint32_t)val);
		virtio_pci_common_write(vp, off + 4, 4, val >> 32);
	} else if (len && field_len(off) == len) {
		field_write(vp, off, (uint32_t)val);
	}
}
