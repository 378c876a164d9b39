/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/pci_regs.h>
#include <stddef.h>

#include "core/machine.h"
#include "core/snap.h"
#include "core/util.h"
#include "devices/pci.h"

/*
 * DOC: Two doors to configuration space
 *
 * ECAM (announced by the MCFG) is what a booted kernel should use: one exit an
 * access instead of two. Mechanism #1 (ports 0xcf8 and 0xcfc) is there for
 * kernels that look before they have parsed ACPI: Linux trusts an MCFG that
 * early only if mechanism #1 works too, and complains of "no config space
 * access function" otherwise.
 *
 * The reset control register at 0xcf9 lies inside the address port's dword, so
 * it is answered here as well: the bus knows no overlapping ranges.
 */

#define CONF1_ADDR   0u
#define CONF1_RESET  1u
#define CONF1_DATA   4u
#define CONF1_PORTS  8u
#define CONF1_ENABLE BIT(31)
/* Bits 30:24 and 1:0 of the address port are hard-wired to zero. */
#define CONF1_MASK 0x80fffffcu
#define RESET_CPU  BIT(2)

/* The PCI-to-host bridge that carries the bus; no driver binds to it. */
#define BRIDGE_VENDOR 0x1b36
#define BRIDGE_DEVICE 0x0008
#define BRIDGE_CLASS  0x060000

/* NULL when there is no such function: bus 0, function 0 only. */
static struct pci_dev *root_find(const struct pci_root *root, unsigned bus,
				 unsigned devfn)
{
	if (bus || (devfn & 7) || devfn >> 3 >= PCI_SLOTS)
		return NULL;
	return root->slot[devfn >> 3];
}

static uint64_t ecam_read(void *obj, uint64_t off, unsigned len)
{
	struct pci_dev *pd = root_find(obj, (unsigned)(off >> 20),
				       (unsigned)(off >> 12) & 0xff);

	return pd ? pci_cfg_read(pd, off & 0xfff, len) : UINT64_MAX;
}

static void ecam_write(void *obj, uint64_t off, unsigned len, uint64_t val)
{
	struct pci_dev *pd = root_find(obj, (unsigned)(off >> 20),
				       (unsigned)(off >> 12) & 0xff);

	if (pd)
		pci_cfg_write(pd, off & 0xfff, len, val);
}

static const struct bus_ops ecam_ops = {
	.read = ecam_read,
	.write = ecam_write,
};

static struct pci_dev *conf1_find(const struct pci_root *root)
{
	if (!(root->conf1 & CONF1_ENABLE))
		return NULL;
	return root_find(root, root->conf1 >> 16 & 0xff, root->conf1 >> 8 & 0xff);
}

static uint64_t conf1_read(void *obj, uint64_t off, unsigned len)
{
	struct pci_root *root = obj;
	struct pci_dev *pd = conf1_find(root);

	if (off == CONF1_ADDR && len == 4)
		return root->conf1;
	if (off == CONF1_RESET && len == 1)
		return 0;
	if (off < CONF1_DATA || !pd)
		return UINT64_MAX;
	return pci_cfg_read(pd, (root->conf1 & 0xfc) + (off - CONF1_DATA), len);
}

static void conf1_write(void *obj, uint64_t off, unsigned len, uint64_t val)
{
	struct pci_root *root = obj;
	struct pci_dev *pd = conf1_find(root);

	if (off == CONF1_ADDR && len == 4)
		root->conf1 = (uint32_t)val & CONF1_MASK;
	else if (off == CONF1_RESET && len == 1 && (val & RESET_CPU))
		machine_end(root->m, END_REBOOT);
	else if (off >= CONF1_DATA && pd)
		pci_cfg_write(pd,
			      (root->conf1 & 0xfc) + (unsigned)(off - CONF1_DATA),
			      len, val);
}

static const struct bus_ops conf1_ops = {
	.read = conf1_read,
	.write = conf1_write,
};

static int root_save(const void *obj, struct snap_w *w)
{
	const struct pci_root *root = obj;

	snap_put32(w, root->conf1);
	return 0;
}

static int root_load(void *obj, struct snap_r *r, uint32_t version)
{
	struct pci_root *root = obj;

	(void)version;
	root->conf1 = snap_get32(r, "address port");
	if (root->conf1 & ~CONF1_MASK)
		return snap_bad(r, "address port", "%#x", root->conf1);
	return r->error;
}

static const struct snap_item root_snap_item = {
	.name = "pci-root",
	.version = 1,
	.save = root_save,
	.load = root_load,
};

int pci_root_init(struct pci_root *root, struct machine *m)
{
	int r;

	*root = (struct pci_root){ .m = m, .next_bar = PCI_MMIO_BASE };
	r = bus_add(&m->mmio, PCI_ECAM_BASE, PCI_ECAM_SIZE, &ecam_ops, root,
		    "PCI ECAM");
	if (!r)
		r = bus_add(&m->pio, PCI_CONF1_PORT, CONF1_PORTS, &conf1_ops,
			    root, "PCI configuration ports");
	if (!r)
		r = pci_dev_add(root, &root->bridge, BRIDGE_VENDOR,
				BRIDGE_DEVICE, BRIDGE_CLASS, 0);
	if (!r)
		r = snap_add(&m->snap, &root_snap_item, NULL, root);
	if (r < 0)
		pci_root_fini(root);
	return r;
}

void pci_root_reset(struct pci_root *root)
{
	root->conf1 = 0;
	pci_dev_reset(&root->bridge);
}

void pci_root_fini(struct pci_root *root)
{
	if (!root->m)
		return;
	snap_remove(&root->m->snap, &root_snap_item, root);
	pci_dev_remove(root, &root->bridge);
	bus_remove(&root->m->pio, PCI_CONF1_PORT, root);
	bus_remove(&root->m->mmio, PCI_ECAM_BASE, root);
	root->m = NULL;
}
