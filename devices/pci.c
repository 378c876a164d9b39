/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/snap.h"
#include "core/util.h"
#include "devices/pci_msix.h"

/*
 * DOC: A type 0 function ([PCI] 7.5.1)
 *
 * Configuration space is an array of bytes and an array of masks of what the
 * guest may change; only a few registers mean anything to us when written:
 * the memory enable bit and BAR 0 (where the BAR is decoded), MSI-X control.
 */

#define CFG_SIZE 256u

static bool touches(unsigned off, unsigned len, unsigned reg, unsigned reg_len)
{
	return off < reg + reg_len && reg < off + len;
}

/* --- BAR 0 --- */

uint64_t pci_bar_read(struct pci_dev *pd, uint64_t off, unsigned len)
{
	if (pci_msix_owns(pd, off))
		return pci_msix_read(pd, off, len);
	return pd->ops->bar_read(pd, off, len);
}

void pci_bar_write(struct pci_dev *pd, uint64_t off, unsigned len, uint64_t val)
{
	if (pci_msix_owns(pd, off))
		pci_msix_write(pd, off, len, val);
	else
		pd->ops->bar_write(pd, off, len, val);
}

static uint64_t bar_bus_read(void *obj, uint64_t off, unsigned len)
{
	return pci_bar_read(obj, off, len);
}

static void bar_bus_write(void *obj, uint64_t off, unsigned len, uint64_t val)
{
	pci_bar_write(obj, off, len, val);
}

static const struct bus_ops bar_bus_ops = {
	.read = bar_bus_read,
	.write = bar_bus_write,
};

/* Where BAR 0 shall be decoded: only inside the window, else (0) nowhere. */
static uint64_t bar_wanted(const struct pci_dev *pd)
{
	uint64_t base = get_le32(&pd->cfg[PCI_BASE_ADDRESS_0]) &
			PCI_BASE_ADDRESS_MEM_MASK;

	if (!pd->bar_size ||
	    !(get_le16(&pd->cfg[PCI_COMMAND]) & PCI_COMMAND_MEMORY) ||
	    !range_inside(base, pd->bar_size, PCI_MMIO_BASE, PCI_MMIO_SIZE))
		return 0;
	return base;
}

/* Return: 0, or -EEXIST: something else is there, so now it is nowhere */
static int bar_decode(struct pci_dev *pd, uint64_t base)
{
	int r;

	if (base == pd->bar_base)
		return 0;
	if (pd->bar_base) {
		pd->ops->moved(pd, 0);
		bus_remove(&pd->m->mmio, pd->bar_base, pd);
		pd->bar_base = 0;
	}
	if (!base)
		return 0;
	r = bus_add(&pd->m->mmio, base, pd->bar_size, &bar_bus_ops, pd,
		    "PCI BAR");
	if (r < 0)
		return r;
	pd->bar_base = base;
	pd->ops->moved(pd, base);
	return 0;
}

static void bar_update(struct pci_dev *pd)
{
	uint64_t base = bar_wanted(pd);

	if (bar_decode(pd, base) < 0)
		log_guest("pci %u: BAR at %#llx overlaps another device",
			  pd->slot, (unsigned long long)base);
}

/* --- configuration space --- */

uint64_t pci_cfg_read(struct pci_dev *pd, unsigned off, unsigned len)
{
	uint64_t val = 0;
	unsigned i;

	if (pd->ops && pd->ops->cfg_access)
		pd->ops->cfg_access(pd, off, len, false);
	for (i = 0; i < len && i < 8; i++) {
		uint64_t byte = 0xff;

		if (off + i < CFG_SIZE)
			byte = pd->cfg[off + i];
		val |= byte << (8 * i);
	}
	return val;
}

void pci_cfg_write(struct pci_dev *pd, unsigned off, unsigned len, uint64_t val)
{
	unsigned i;

	for (i = 0; i < len && i < 8 && off + i < CFG_SIZE; i++) {
		uint8_t mask = pd->wmask[off + i];
		uint8_t byte = (uint8_t)(val >> (8 * i));

		pd->cfg[off + i] =
			(uint8_t)((pd->cfg[off + i] & ~mask) | (byte & mask));
	}
	if (touches(off, len, PCI_COMMAND, 2) ||
	    touches(off, len, PCI_BASE_ADDRESS_0, 4))
		bar_update(pd);
	if (pd->n_msix &&
	    touches(off, len, pd->msix_cap + (unsigned)PCI_MSIX_FLAGS, 2))
		pci_msix_ctl_written(pd);
	if (pd->ops && pd->ops->cfg_access)
		pd->ops->cfg_access(pd, off, len, true);
}

int pci_add_cap(struct pci_dev *pd, uint8_t id, const void *body, uint8_t len)
{
	unsigned at = (unsigned)align_up(pd->cap_end, 4);
	uint8_t *link = pd->cap_last ? &pd->cfg[pd->cap_last + 1u]
				     : &pd->cfg[PCI_CAPABILITY_LIST];

	if (!at || at + 2u + len > CFG_SIZE)
		return -ENOSPC;
	*link = (uint8_t)at;
	pd->cfg[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	pd->cfg[at] = id;
	if (body)
		memcpy(&pd->cfg[at + 2], body, len);
	pd->cap_last = (uint8_t)at;
	/* Wraps to 0 when the space is full to the last byte. */
	pd->cap_end = (uint8_t)(at + 2u + len);
	return (int)at;
}

static void cfg_init(struct pci_dev *pd, uint16_t vendor, uint16_t device,
		     uint32_t class_code)
{
	memset(pd->cfg, 0, sizeof(pd->cfg));
	memset(pd->wmask, 0, sizeof(pd->wmask));
	put_le16(&pd->cfg[PCI_VENDOR_ID], vendor);
	put_le16(&pd->cfg[PCI_DEVICE_ID], device);
	pd->cfg[PCI_CLASS_PROG] = (uint8_t)class_code;
	put_le16(&pd->cfg[PCI_CLASS_DEVICE], (uint16_t)(class_code >> 8));
	put_le16(&pd->cfg[PCI_SUBSYSTEM_VENDOR_ID], vendor);
	put_le16(&pd->cfg[PCI_SUBSYSTEM_ID], device);
	put_le16(&pd->wmask[PCI_COMMAND], PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
						  PCI_COMMAND_INTX_DISABLE);
	pd->wmask[PCI_INTERRUPT_LINE] = 0xff;
	pd->cap_last = 0;
	pd->cap_end = PCI_STD_HEADER_SIZEOF;
}

static int bar_place(struct pci_root *root, struct pci_dev *pd)
{
	uint64_t base = align_up(root->next_bar, MAX(pd->bar_size, 1));

	pd->bar_base = 0;
	pd->bar_home = 0;
	if (!pd->bar_size)
		return 0;
	if (!is_pow2(pd->bar_size) || pd->bar_size < PAGE_SIZE)
		return -EINVAL;
	if (!range_inside(base, pd->bar_size, PCI_MMIO_BASE, PCI_MMIO_SIZE))
		return -ENOSPC;
	pd->bar_home = base;
	put_le32(&pd->cfg[PCI_BASE_ADDRESS_0], (uint32_t)base);
	/* 32 bits, not prefetchable: the low four bits stay zero. */
	put_le32(&pd->wmask[PCI_BASE_ADDRESS_0], (uint32_t) ~(pd->bar_size - 1));
	return 0;
}

/* --- moving to another host --- */

static int dev_save(const void *obj, struct snap_w *w)
{
	const struct pci_dev *pd = obj;

	snap_put_bytes(w, pd->cfg, sizeof(pd->cfg));
	snap_put64(w, pd->bar_base);
	pci_msix_save(pd, w);
	return 0;
}

/* What the guest can't write must be the same here. */
static void dev_load_cfg(struct pci_dev *pd, struct snap_r *r)
{
	uint8_t cfg[CFG_SIZE];
	unsigned i;

	snap_get_bytes(r, "configuration space", cfg, sizeof(cfg));
	for (i = 0; i < CFG_SIZE && !r->error; i++) {
		if ((cfg[i] ^ pd->cfg[i]) & ~pd->wmask[i])
			(void)snap_bad(r, "configuration space",
				       "byte %#x is %#x there, %#x here", i,
				       cfg[i], pd->cfg[i]);
	}
	if (!r->error)
		memcpy(pd->cfg, cfg, sizeof(cfg));
}

static int dev_load(void *obj, struct snap_r *r, uint32_t version)
{
	struct pci_dev *pd = obj;
	uint64_t base;

	(void)version;
	dev_load_cfg(pd, r);
	/* Not decoded although wanted: another function was there first. */
	base = snap_get64(r, "BAR");
	if (base && base != bar_wanted(pd))
		(void)snap_bad(r, "BAR", "%#llx is not what is configured",
			       (unsigned long long)base);
	pci_msix_load(pd, r);
	if (!r->error && bar_decode(pd, base) < 0)
		(void)snap_bad(r, "BAR", "%#llx overlaps another device",
			       (unsigned long long)base);
	return r->error;
}

static void dev_thaw(void *obj)
{
	pci_msix_ctl_written(obj);
}

static const struct snap_item dev_snap_item = {
	.name = "pci",
	.version = 1,
	.save = dev_save,
	.load = dev_load,
	.thaw = dev_thaw,
};

int pci_dev_add(struct pci_root *root, struct pci_dev *pd, uint16_t vendor,
		uint16_t device, uint32_t class_code, uint16_t n_msix)
{
	uint8_t slot;
	int r;

	for (slot = 0; slot < PCI_SLOTS && root->slot[slot]; slot++)
		;
	if (slot == PCI_SLOTS)
		return -ENOSPC;
	pd->m = root->m;
	pd->slot = slot;
	cfg_init(pd, vendor, device, class_code);
	r = bar_place(root, pd);
	if (r < 0)
		return r;
	r = pci_msix_init(pd, n_msix);
	if (r == 0)
		r = snap_add(&pd->m->snap, &dev_snap_item, NULL, pd);
	if (r < 0) {
		pci_msix_fini(pd);
		return r;
	}
	if (pd->bar_size)
		root->next_bar = pd->bar_home + pd->bar_size;
	root->slot[slot] = pd;
	return 0;
}

void pci_dev_remove(struct pci_root *root, struct pci_dev *pd)
{
	if (pd->slot >= PCI_SLOTS || root->slot[pd->slot] != pd)
		return;
	snap_remove(&pd->m->snap, &dev_snap_item, pd);
	pci_dev_reset(pd);
	pci_msix_fini(pd);
	root->slot[pd->slot] = NULL;
}

void pci_dev_reset(struct pci_dev *pd)
{
	unsigned i;

	/* Power-on value of all that is writable is zero, save BAR 0. */
	for (i = 0; i < CFG_SIZE; i++)
		pd->cfg[i] &= (uint8_t)~pd->wmask[i];
	if (pd->bar_size)
		put_le32(&pd->cfg[PCI_BASE_ADDRESS_0], (uint32_t)pd->bar_home);
	bar_update(pd);
	pci_msix_reset(pd);
}
