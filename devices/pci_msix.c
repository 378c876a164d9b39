/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/pci_msix.h"

#include <errno.h>
#include <linux/pci_regs.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/snap.h"
#include "core/util.h"

/*
 * DOC: MSI-X ([PCI] 7.7.2)
 *
 * The driver masks and unmasks vectors often and moves them rarely, and each
 * new route makes KVM replace its whole table. So masking is done here, and a
 * route is set only when a vector is unmasked with a message that differs
 * from the routed one. Address and data come from the guest and go to KVM
 * only; if KVM refuses them, the vector stays pending as if masked.
 */

#define ENTRY_SIZE 16u

static uint8_t *msix_ctl(struct pci_dev *pd)
{
	return &pd->cfg[pd->msix_cap + PCI_MSIX_FLAGS];
}

static uint16_t msix_ctl_get(const struct pci_dev *pd)
{
	return get_le16(&pd->cfg[pd->msix_cap + PCI_MSIX_FLAGS]);
}

int pci_msix_init(struct pci_dev *pd, uint16_t n)
{
	uint8_t body[10] = { 0 };
	unsigned i;
	int r;

	for (i = 0; i < PCI_MSIX_MAX; i++)
		pd->msix[i] = (struct pci_msix){ .msi.fd = -1, .masked = true };
	pd->msix_cap = 0;
	pd->n_msix = 0;
	if (!n)
		return 0;
	if (n > PCI_MSIX_MAX ||
	    !range_inside(pd->msix_off, (uint64_t)n * ENTRY_SIZE, 0,
			  pd->bar_size) ||
	    !range_inside(pd->pba_off, 8 * ((n + 63u) / 64), 0, pd->bar_size))
		return -EINVAL;

	put_le16(body, (uint16_t)(n - 1));
	/* Low three bits: BAR 0. */
	put_le32(body + 2, pd->msix_off);
	put_le32(body + 6, pd->pba_off);
	r = pci_add_cap(pd, PCI_CAP_ID_MSIX, body, sizeof(body));
	if (r < 0)
		return r;
	pd->msix_cap = (uint8_t)r;
	put_le16(&pd->wmask[pd->msix_cap + PCI_MSIX_FLAGS],
		 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pd->n_msix = n;
	for (i = 0; i < n; i++) {
		r = irq_msi_init(&pd->m->irq, &pd->msix[i].msi);
		if (r < 0)
			return r;
	}
	return 0;
}

void pci_msix_fini(struct pci_dev *pd)
{
	unsigned i;

	for (i = 0; i < pd->n_msix; i++)
		irq_msi_fini(&pd->m->irq, &pd->msix[i].msi);
	pd->n_msix = 0;
}

bool pci_msix_on(const struct pci_dev *pd)
{
	return pd->n_msix && (msix_ctl_get(pd) & PCI_MSIX_FLAGS_ENABLE);
}

static bool msix_masked(const struct pci_dev *pd, const struct pci_msix *v)
{
	return !pci_msix_on(pd) || v->masked ||
	       (msix_ctl_get(pd) & PCI_MSIX_FLAGS_MASKALL);
}

/* After any change of a vector: route it and fire what waited, if it may. */
static void msix_sync(struct pci_dev *pd, struct pci_msix *v)
{
	int r;

	if (msix_masked(pd, v))
		return;
	if (!v->routed) {
		r = irq_msi_route(&pd->m->irq, &v->msi, v->addr, v->data, true);
		if (r < 0) {
			log_guest("pci %u: MSI-X message %#llx/%#x refused",
				  pd->slot, (unsigned long long)v->addr, v->data);
			return;
		}
		v->routed = true;
	}
	if (v->pending) {
		v->pending = false;
		irq_msi_fire(&v->msi);
	}
}

void pci_msix_fire(struct pci_dev *pd, uint16_t vector)
{
	if (vector >= pd->n_msix)
		return;
	pd->msix[vector].pending = true;
	msix_sync(pd, &pd->msix[vector]);
}

void pci_msix_ctl_written(struct pci_dev *pd)
{
	unsigned i;

	for (i = 0; i < pd->n_msix; i++)
		msix_sync(pd, &pd->msix[i]);
}

void pci_msix_reset(struct pci_dev *pd)
{
	unsigned i;

	if (pd->n_msix)
		put_le16(msix_ctl(pd), (uint16_t)(pd->n_msix - 1));
	for (i = 0; i < pd->n_msix; i++) {
		struct pci_msix *v = &pd->msix[i];

		/* A route that KVM won't drop is harmless: nothing fires. */
		if (v->msi.enabled)
			(void)irq_msi_route(&pd->m->irq, &v->msi, 0, 0, false);
		v->addr = 0;
		v->data = 0;
		v->masked = true;
		v->pending = false;
		v->routed = false;
	}
}

static bool in_table(const struct pci_dev *pd, uint64_t off)
{
	return off >= pd->msix_off &&
	       off - pd->msix_off < (uint64_t)pd->n_msix * ENTRY_SIZE;
}

bool pci_msix_owns(const struct pci_dev *pd, uint64_t off)
{
	if (!pd->n_msix)
		return false;
	return in_table(pd, off) ||
	       (off >= pd->pba_off &&
		off - pd->pba_off < 8 * ((pd->n_msix + 63u) / 64));
}

static uint8_t msix_table_byte(const struct pci_dev *pd, uint64_t off)
{
	const struct pci_msix *v = &pd->msix[off / ENTRY_SIZE];
	uint8_t raw[ENTRY_SIZE] = { 0 };

	put_le64(raw + PCI_MSIX_ENTRY_LOWER_ADDR, v->addr);
	put_le32(raw + PCI_MSIX_ENTRY_DATA, v->data);
	put_le32(raw + PCI_MSIX_ENTRY_VECTOR_CTRL,
		 v->masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
	return raw[off % ENTRY_SIZE];
}

static uint8_t msix_pba_byte(const struct pci_dev *pd, uint64_t off)
{
	uint8_t byte = 0;
	unsigned i;

	for (i = 0; i < 8 && off * 8 + i < pd->n_msix; i++)
		byte |= (uint8_t)(pd->msix[off * 8 + i].pending << i);
	return byte;
}

uint64_t pci_msix_read(const struct pci_dev *pd, uint64_t off, unsigned len)
{
	uint64_t val = 0;
	unsigned i;

	for (i = 0; i < len && i < 8; i++) {
		uint64_t byte = 0;

		if (in_table(pd, off + i))
			byte = msix_table_byte(pd, off + i - pd->msix_off);
		else if (pci_msix_owns(pd, off + i))
			byte = msix_pba_byte(pd, off + i - pd->pba_off);
		val |= byte << (8 * i);
	}
	return val;
}

static void msix_set_message(struct pci_msix *v, uint64_t addr, uint32_t data)
{
	/* [PCI] 7.7.2.9: the two low bits of the address are zero. */
	addr &= ~3ULL;
	if (addr != v->addr || data != v->data)
		v->routed = false;
	v->addr = addr;
	v->data = data;
}

static void msix_write32(struct pci_dev *pd, uint64_t off, uint32_t val)
{
	struct pci_msix *v = &pd->msix[off / ENTRY_SIZE];
	uint64_t hi = v->addr & ~(uint64_t)UINT32_MAX;

	switch (off % ENTRY_SIZE) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		msix_set_message(v, hi | val, v->data);
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		msix_set_message(v, (uint64_t)val << 32 | (uint32_t)v->addr,
				 v->data);
		break;
	case PCI_MSIX_ENTRY_DATA:
		msix_set_message(v, v->addr, val);
		break;
	case PCI_MSIX_ENTRY_VECTOR_CTRL:
		v->masked = val & PCI_MSIX_ENTRY_CTRL_MASKBIT;
		break;
	}
	msix_sync(pd, v);
}

/* [PCI] 7.7.2: aligned dwords and qwords only. Pending bits are read-only. */
void pci_msix_write(struct pci_dev *pd, uint64_t off, unsigned len, uint64_t val)
{
	if (!in_table(pd, off) || (len != 4 && len != 8) || off % len)
		return;
	off -= pd->msix_off;
	msix_write32(pd, off, (uint32_t)val);
	if (len == 8)
		msix_write32(pd, off + 4, (uint32_t)(val >> 32));
}

void pci_msix_save(const struct pci_dev *pd, struct snap_w *w)
{
	unsigned i;

	snap_put16(w, pd->n_msix);
	for (i = 0; i < pd->n_msix; i++) {
		const struct pci_msix *v = &pd->msix[i];

		snap_put64(w, v->addr);
		snap_put32(w, v->data);
		snap_put8(w, v->masked);
		snap_put8(w, v->pending);
	}
}

void pci_msix_load(struct pci_dev *pd, struct snap_r *r)
{
	uint16_t n = snap_get16(r, "MSI-X vectors");
	unsigned i;

	if (!r->error && n != pd->n_msix)
		(void)snap_bad(r, "MSI-X vectors", "%u there, %u here", n,
			       pd->n_msix);
	for (i = 0; i < pd->n_msix && !r->error; i++) {
		struct pci_msix *v = &pd->msix[i];
		uint64_t addr = snap_get64(r, "MSI-X address");

		if (addr & 3)
			(void)snap_bad(r, "MSI-X address", "%#llx",
				       (unsigned long long)addr);
		msix_set_message(v, addr, snap_get32(r, "MSI-X data"));
		v->masked = snap_get_bool(r, "MSI-X mask");
		v->pending = snap_get_bool(r, "MSI-X pending bit");
	}
}
