/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_VIRTIO_PCI_SNAP_H
#define CSVVMM_DEVICES_VIRTIO_PCI_SNAP_H

#include "core/snap.h"

/* The transport's registers, a struct virtio_pci; for virtio_pci.c only. */
extern const struct snap_item virtio_pci_snap_item;

#endif
