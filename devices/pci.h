/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_PCI_H
#define CSVVMM_DEVICES_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "core/irq.h"

struct machine;
struct pci_dev;

/* Fixed by docs/DESIGN.md "Memory map"; the DSDT and the MCFG say the same. */
#define PCI_ECAM_BASE  0xe8000000ULL
#define PCI_ECAM_SIZE  0x00100000ULL /* bus 0 only */
#define PCI_MMIO_BASE  0xd0000000ULL /* 32-bit BAR window */
#define PCI_MMIO_SIZE  0x10000000ULL
#define PCI_CONF1_PORT 0xcf8 /* address, reset control (0xcf9), data: 8 ports */
#define PCI_SLOTS      32
#define PCI_MSIX_MAX   (16 + 1)

/**
 * struct pci_ops - What lies behind BAR 0; offsets from the BAR's start
 * @moved:	BAR 0 is decoded at @base from now on, or (0) not at all
 * @cfg_access:	May be NULL: the guest is about to read cfg[off .. off + len),
 *		or (@write) has just written it
 *
 * All but cfg_access must be there when the function has a BAR.
 */
struct pci_ops {
	uint64_t (*bar_read)(struct pci_dev *pd, uint64_t off, unsigned len);
	void (*bar_write)(struct pci_dev *pd, uint64_t off, unsigned len,
			  uint64_t val);
	void (*moved)(struct pci_dev *pd, uint64_t base);
	void (*cfg_access)(struct pci_dev *pd, unsigned off, unsigned len,
			   bool write);
};

/**
 * struct pci_msix - MSI-X table entry as the driver sees it ([PCI] 7.7.2) and
 * its interrupt
 * @routed:	@msi's route is that of @addr and @data
 */
struct pci_msix {
	struct irq_msi msi;
	uint64_t addr;
	uint32_t data;
	bool masked;
	bool pending;
	bool routed;
};

/**
 * struct pci_dev - A type 0 function with one memory BAR and MSI-X
 * @cfg:	Its configuration space; bytes the guest may change are in @wmask
 * @bar_size:	Power of two, at least a page; 0 = no BAR
 * @bar_home:	Where pci_dev_add() put BAR 0
 * @bar_base:	Where it is decoded now; 0 = not
 * @cap_last, @cap_end: last capability's offset, first free byte
 * @msix_off, @pba_off: places of the two tables in BAR 0
 */
struct pci_dev {
	const struct pci_ops *ops;
	struct machine *m;
	uint8_t slot;
	uint8_t cfg[256];
	uint8_t wmask[256];
	uint64_t bar_size, bar_home, bar_base;
	uint8_t cap_last, cap_end;
	uint8_t msix_cap; /* 0 = none */
	uint16_t n_msix;
	uint32_t msix_off, pba_off;
	struct pci_msix msix[PCI_MSIX_MAX];
};

/**
 * struct pci_root - The root complex: bus 0, ECAM window, host bridge in slot 0
 * @conf1:	Address latch of configuration mechanism #1
 *
 * Also owns ports 0xcf8 to 0xcff, the reset control register at 0xcf9 included.
 */
struct pci_root {
	struct machine *m;
	struct pci_dev bridge;
	struct pci_dev *slot[PCI_SLOTS];
	uint64_t next_bar;
	uint32_t conf1;
};

int pci_root_init(struct pci_root *root, struct machine *m);
void pci_root_fini(struct pci_root *root);

/**
 * pci_dev_add() - Plug a function into the next free slot before the guest
 * runs; assigns BAR 0 inside the window
 * @class_code:	24 bits
 * @n_msix:	Vectors; table and pending bits are answered by this module
 *
 * The caller has set ops, bar_size, msix_off, pba_off; then adds
 * capabilities with pci_add_cap().
 *
 * Return: 0, -ENOSPC, or -errno
 */
int pci_dev_add(struct pci_root *root, struct pci_dev *pd, uint16_t vendor,
		uint16_t device, uint32_t class_code, uint16_t n_msix);
void pci_dev_remove(struct pci_root *root, struct pci_dev *pd);

/* Append a capability of @len bytes (after id and next; NULL = zeroes).
 * Return: its offset, or -ENOSPC. */
int pci_add_cap(struct pci_dev *pd, uint8_t id, const void *body, uint8_t len);

/* Send MSI-X message @vector, or set its pending bit while masked. */
void pci_msix_fire(struct pci_dev *pd, uint16_t vector);

/* Configuration space access; any offset and length up to 8. */
uint64_t pci_cfg_read(struct pci_dev *pd, unsigned off, unsigned len);
void pci_cfg_write(struct pci_dev *pd, unsigned off, unsigned len, uint64_t val);

/* BAR 0 access as the guest does it, MSI-X tables included. */
uint64_t pci_bar_read(struct pci_dev *pd, uint64_t off, unsigned len);
void pci_bar_write(struct pci_dev *pd, uint64_t off, unsigned len, uint64_t val);

/* May the function send messages: MSI-X is enabled? */
bool pci_msix_on(const struct pci_dev *pd);

/* Configuration space, BARs and MSI-X back to power-on values. */
void pci_dev_reset(struct pci_dev *pd);
void pci_root_reset(struct pci_root *root);

#endif
