/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_VIRTIO_PCI_COMMON_H
#define CSVVMM_DEVICES_VIRTIO_PCI_COMMON_H

#include "devices/virtio_pci.h"

/*
 * The common configuration structure ([VIRTIO] 4.1.4.3), for virtio_pci.c
 * only. Reads of any place and length are answered; writes count only when
 * they hit one field, or a 64-bit address, exactly.
 */
#define VIRTIO_PCI_COMMON_SIZE 60

uint64_t virtio_pci_common_read(const struct virtio_pci *vp, uint64_t off,
				unsigned len);
void virtio_pci_common_write(struct virtio_pci *vp, uint64_t off, unsigned len,
			     uint64_t val);

/* Selectors, configuration vector and ISR as after a device reset. */
void virtio_pci_common_reset(struct virtio_pci *vp);

#endif
