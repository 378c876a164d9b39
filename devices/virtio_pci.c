/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/virtio_pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/util.h"
#include "devices/virtio_pci_common.h"
#include "devices/virtio_pci_snap.h"

/*
 * DOC: Layout of BAR 0
 *
 * One page each, so that a guest may map them with different attributes:
 * common configuration, ISR, device configuration, doorbells, MSI-X table,
 * pending bits. Doorbells are ioeventfds while the BAR is decoded; a write
 * that KVM does not match (another length, or none were to be had) arrives
 * here and rings the same eventfd.
 */
#define BAR_SIZE   0x8000u
#define BAR_COMMON 0x0000u
#define BAR_ISR	   0x1000u
#define BAR_CONFIG 0x2000u
#define BAR_NOTIFY 0x3000u
#define BAR_MSIX   0x4000u
#define BAR_PBA	   0x5000u
#define BAR_PAGE   0x1000u

#define NOTIFY_MULT 4u

#define ISR_QUEUE  BIT(0)
#define ISR_CONFIG BIT(1)

#define VIRTIO_PCI_VENDOR 0x1af4
#define VIRTIO_PCI_DEVICE 0x1040 /* plus the virtio device ID */

static struct virtio_pci *to_vp(struct pci_dev *pd)
{
	return container_of(pd, struct virtio_pci, pci);
}

/* --- interrupts ([VIRTIO] 4.1.5) --- */

static void vp_queue_irq(struct virtio_dev *dev, unsigned q)
{
	struct virtio_pci *vp = dev->transport_data;

	if (pci_msix_on(&vp->pci))
		pci_msix_fire(&vp->pci, dev->queue[q].vector);
	else
		vp->isr |= ISR_QUEUE;
}

static void vp_config_irq(struct virtio_dev *dev)
{
	struct virtio_pci *vp = dev->transport_data;

	/* [VIRTIO] 4.1.4.5.1: this bit is set even when MSI-X is used. */
	vp->isr |= ISR_CONFIG;
	if (pci_msix_on(&vp->pci))
		pci_msix_fire(&vp->pci, vp->config_vector);
}

static void vp_reset(struct virtio_dev *dev)
{
	virtio_pci_common_reset(dev->transport_data);
}

static const struct virtio_transport vp_transport = {
	.queue_irq = vp_queue_irq,
	.config_irq = vp_config_irq,
	.reset = vp_reset,
};

/* --- BAR 0 --- */

static uint8_t vp_isr_take(struct virtio_pci *vp)
{
	uint8_t isr = vp->isr;

	/* [VIRTIO] 4.1.4.5.1: reading clears. */
	vp->isr = 0;
	return isr;
}

static uint64_t config_read(const struct virtio_dev *dev, uint64_t off,
			    unsigned len)
{
	uint8_t raw[8] = { 0 };

	if (off < dev->config_len)
		memcpy(raw, dev->config + off,
		       MIN(len, dev->config_len - (uint32_t)off));
	return get_le64(raw);
}

static void config_write(struct virtio_dev *dev, uint64_t off, unsigned len,
			 uint64_t val)
{
	uint8_t raw[8];

	if (!dev->model->config_write || off >= dev->config_len)
		return;
	len = MIN(len, dev->config_len - (uint32_t)off);
	put_le64(raw, val);
	memcpy(dev->config + off, raw, len);
	dev->model->config_write(dev, (uint32_t)off, len);
}

static uint64_t vp_bar_read(struct pci_dev *pd, uint64_t off, unsigned len)
{
	struct virtio_pci *vp = to_vp(pd);
	uint64_t in_page = off % BAR_PAGE;

	switch (off - in_page) {
	case BAR_COMMON:
		return virtio_pci_common_read(vp, in_page, len);
	case BAR_ISR:
		return in_page ? 0 : vp_isr_take(vp);
	case BAR_CONFIG:
		return config_read(vp->dev, in_page, len);
	default:
		return 0;
	}
}

static void vp_bar_write(struct pci_dev *pd, uint64_t off, unsigned len,
			 uint64_t val)
{
	struct virtio_pci *vp = to_vp(pd);
	uint64_t in_page = off % BAR_PAGE;

	switch (off - in_page) {
	case BAR_COMMON:
		virtio_pci_common_write(vp, in_page, len, val);
		break;
	case BAR_CONFIG:
		config_write(vp->dev, in_page, len, val);
		break;
	case BAR_NOTIFY:
		/* The place says which queue; the value only repeats it. */
		virtio_kick(vp->dev, (unsigned)(in_page / NOTIFY_MULT));
		break;
	default:
		break;
	}
}

static int doorbell(struct virtio_pci *vp, unsigned q, unsigned len, bool assign)
{
	return machine_ioeventfd(vp->pci.m, vp->notify_base + q * NOTIFY_MULT,
				 len, vp->dev->queue[q].kick.fd, assign);
}

static void doorbell_add(struct virtio_pci *vp, unsigned q)
{
	vp->notify_len[q] = 0;
	if (doorbell(vp, q, 0, true) == 0)
		return;
	/* No wildcard length in this KVM: match what drivers do. */
	vp->notify_len[q] = 2;
	if (doorbell(vp, q, 2, true) == 0)
		return;
	/* Slower, not broken: the write comes to vp_bar_write(). */
	vp->notify_len[q] = -1;
	log_guest("virtio-%s: no ioeventfd for queue %u", vp->dev->model->name,
		  q);
}

static void vp_moved(struct pci_dev *pd, uint64_t base)
{
	struct virtio_pci *vp = to_vp(pd);
	unsigned q;

	for (q = 0; q < vp->dev->n_queues; q++) {
		if (vp->notify_base && vp->notify_len[q] >= 0)
			(void)doorbell(vp, q, (unsigned)vp->notify_len[q], false);
		vp->notify_len[q] = -1;
	}
	vp->notify_base = base ? base + BAR_NOTIFY : 0;
	for (q = 0; base && q < vp->dev->n_queues; q++)
		doorbell_add(vp, q);
}

/* --- the window in configuration space ([VIRTIO] 4.1.4.9) --- */

static void vp_cfg_access(struct pci_dev *pd, unsigned off, unsigned len,
			  bool write)
{
	const struct virtio_pci *vp = to_vp(pd);
	uint8_t *cap = &pd->cfg[vp->cfg_cap];
	unsigned data_at = vp->cfg_cap + (unsigned)sizeof(struct virtio_pci_cap);
	uint8_t *data = &pd->cfg[data_at];
	uint32_t at, n;
	uint8_t raw[8] = { 0 };

	if (!vp->cfg_cap || off >= data_at + 4 || off + len <= data_at)
		return;
	at = get_le32(cap + VIRTIO_PCI_CAP_OFFSET);
	n = get_le32(cap + VIRTIO_PCI_CAP_LENGTH);
	/* Drivers must not ask for anything else: nothing happens then. */
	if (cap[VIRTIO_PCI_CAP_BAR] != 0 || (n != 1 && n != 2 && n != 4) ||
	    at % n || !range_inside(at, n, 0, pd->bar_size))
		return;
	if (write) {
		memcpy(raw, data, n);
		pci_bar_write(pd, at, n, get_le64(raw));
	} else {
		put_le64(raw, pci_bar_read(pd, at, n));
		memcpy(data, raw, n);
	}
}

static const struct pci_ops vp_pci_ops = {
	.bar_read = vp_bar_read,
	.bar_write = vp_bar_write,
	.moved = vp_moved,
	.cfg_access = vp_cfg_access,
};

/* --- set-up --- */

/* @tail: what follows struct virtio_pci_cap in this type. */
static int vp_add_cap(struct virtio_pci *vp, uint8_t type, uint32_t off,
		      uint32_t length, uint32_t tail_len, uint32_t tail)
{
	uint8_t cap[sizeof(struct virtio_pci_notify_cap)] = { 0 };
	uint8_t len = (uint8_t)(sizeof(struct virtio_pci_cap) + tail_len);

	cap[VIRTIO_PCI_CAP_LEN] = len;
	cap[VIRTIO_PCI_CAP_CFG_TYPE] = type;
	put_le32(cap + VIRTIO_PCI_CAP_OFFSET, off);
	put_le32(cap + VIRTIO_PCI_CAP_LENGTH, length);
	put_le32(cap + VIRTIO_PCI_NOTIFY_CAP_MULT, tail);
	return pci_add_cap(&vp->pci, PCI_CAP_ID_VNDR, cap + 2,
			   (uint8_t)(len - 2));
}

static int vp_add_caps(struct virtio_pci *vp)
{
	uint32_t notify_len = MAX(vp->dev->n_queues, 1u) * NOTIFY_MULT;
	uint8_t *wmask;
	int r;

	r = vp_add_cap(vp, VIRTIO_PCI_CAP_COMMON_CFG, BAR_COMMON,
		       VIRTIO_PCI_COMMON_SIZE, 0, 0);
	if (r >= 0)
		r = vp_add_cap(vp, VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_NOTIFY,
			       notify_len, 4, NOTIFY_MULT);
	if (r >= 0)
		r = vp_add_cap(vp, VIRTIO_PCI_CAP_ISR_CFG, BAR_ISR, 1, 0, 0);
	/* [VIRTIO] 4.1.4.6: only where there is a device configuration. */
	if (r >= 0 && vp->dev->config_len)
		r = vp_add_cap(vp, VIRTIO_PCI_CAP_DEVICE_CFG, BAR_CONFIG,
			       vp->dev->config_len, 0, 0);
	if (r >= 0)
		r = vp_add_cap(vp, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 4, 0);
	if (r < 0)
		return r;

	vp->cfg_cap = (uint8_t)r;
	wmask = &vp->pci.wmask[vp->cfg_cap];
	wmask[VIRTIO_PCI_CAP_BAR] = 0xff;
	/* offset, length and pci_cfg_data */
	memset(wmask + VIRTIO_PCI_CAP_OFFSET, 0xff, 12);
	return 0;
}

int virtio_pci_add(struct virtio_pci *vp, struct pci_root *root,
		   struct virtio_dev *dev)
{
	uint16_t device = (uint16_t)(VIRTIO_PCI_DEVICE + dev->model->id);
	int r;

	*vp = (struct virtio_pci){
		.pci = { .ops = &vp_pci_ops,
			 .bar_size = BAR_SIZE,
			 .msix_off = BAR_MSIX,
			 .pba_off = BAR_PBA },
		.dev = dev,
		.config_vector = VIRTIO_NO_VECTOR,
	};
	memset(vp->notify_len, -1, sizeof(vp->notify_len));
	r = pci_dev_add(root, &vp->pci, VIRTIO_PCI_VENDOR, device,
			dev->model->pci_class, (uint16_t)(dev->n_queues + 1));
	if (r < 0)
		return r;
	/* [VIRTIO] 4.1.2.1: a device without the legacy interface. */
	vp->pci.cfg[PCI_REVISION_ID] = 1;
	r = vp_add_caps(vp);
	if (r >= 0)
		r = snap_add(&root->m->snap, &virtio_pci_snap_item, NULL, vp);
	if (r < 0) {
		pci_dev_remove(root, &vp->pci);
		return r;
	}
	dev->transport = &vp_transport;
	dev->transport_data = vp;
	return 0;
}

void virtio_pci_remove(struct virtio_pci *vp, struct pci_root *root)
{
	if (!vp->dev)
		return;
	virtio_reset(vp->dev);
	snap_remove(&vp->pci.m->snap, &virtio_pci_snap_item, vp);
	pci_dev_remove(root, &vp->pci);
	vp->dev->transport = NULL;
	vp->dev = NULL;
}

void virtio_pci_reset(struct virtio_pci *vp)
{
	virtio_reset(vp->dev);
	pci_dev_reset(&vp->pci);
}
