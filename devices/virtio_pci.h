/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_VIRTIO_PCI_H
#define CSVVMM_DEVICES_VIRTIO_PCI_H

#include "devices/pci.h"
#include "devices/virtio.h"

/**
 * struct virtio_pci - Modern virtio-pci transport ([VIRTIO] 4.1), MSI-X only
 *
 * One 32 KiB BAR: common configuration, ISR, device configuration, doorbells
 * (one 4-byte slot a queue, ioeventfd), MSI-X table, pending bits.
 */
struct virtio_pci {
	struct pci_dev pci;
	struct virtio_dev *dev; /* its transport_data points back here */
	uint32_t feature_sel, driver_feature_sel;
	uint16_t queue_sel;
	uint16_t config_vector;
	uint8_t isr;
	uint64_t notify_base; /* where ioeventfds are; 0 = nowhere */
	int8_t notify_len[VIRTIO_QUEUES_MAX]; /* as registered; -1 = not */
	uint8_t cfg_cap; /* VIRTIO_PCI_CAP_PCI_CFG window */
};

/**
 * virtio_pci_add() - Plug a virtio device into the root
 * @dev:	virtio_init() done; its transport is set here
 *
 * Return: 0 or -errno
 */
int virtio_pci_add(struct virtio_pci *vp, struct pci_root *root,
		   struct virtio_dev *dev);
void virtio_pci_remove(struct virtio_pci *vp, struct pci_root *root);

/* Transport registers and the device back to power-on values; the device may
 * need time for its part, see virtio_reset(). */
void virtio_pci_reset(struct virtio_pci *vp);

#endif
