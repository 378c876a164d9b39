/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_PCI_MSIX_H
#define CSVVMM_DEVICES_PCI_MSIX_H

#include "devices/pci.h"

/* Between pci.c and pci_msix.c only. */

/**
 * pci_msix_init() - Allocate @n vectors and add the MSI-X capability
 *
 * Return: 0 or -errno; pci_msix_fini() is safe after both
 */
int pci_msix_init(struct pci_dev *pd, uint16_t n);
void pci_msix_fini(struct pci_dev *pd);
void pci_msix_reset(struct pci_dev *pd);

struct snap_r;
struct snap_w;

/* The table as the driver filled it. After load nothing is routed or fired
 * until pci_msix_ctl_written(). */
void pci_msix_save(const struct pci_dev *pd, struct snap_w *w);
void pci_msix_load(struct pci_dev *pd, struct snap_r *r);

/* Message Control was written: vectors may have come unmasked. */
void pci_msix_ctl_written(struct pci_dev *pd);

/* Is BAR offset @off in the table or the pending bits? */
bool pci_msix_owns(const struct pci_dev *pd, uint64_t off);
uint64_t pci_msix_read(const struct pci_dev *pd, uint64_t off, unsigned len);
void pci_msix_write(struct pci_dev *pd, uint64_t off, unsigned len, uint64_t val);

#endif
