/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_GUEST_VIRTIO_H
#define CSVVMM_GUEST_VIRTIO_H

/*
 * A virtio-pci driver as small as can be, for guests that abuse devices. It
 * checks nothing by itself and leaves every structure open, so that a guest
 * can break each rule on purpose. One queue is VQ_SIZE entries, polled.
 */
#include "guest.h"

#define PCI_COMMAND	   0x04
#define PCI_COMMAND_MEMORY 2u
#define PCI_COMMAND_MASTER 4u
#define PCI_BAR0	   0x10
#define PCI_CAP_LIST	   0x34
#define PCI_CAP_VENDOR	   0x09
#define PCI_CAP_MSIX	   0x11
#define PCI_SLOTS	   32
#define VIRTIO_VENDOR	   0x1af4
#define VIRTIO_DEVICE	   0x1040 /* plus the virtio ID */

enum { VIRTIO_NET = 1, VIRTIO_BLK = 2, VIRTIO_CONSOLE = 3, VIRTIO_RNG = 4 };

/* Common configuration ([VIRTIO] 4.1.4.3) */
enum {
	CC_DF_SELECT = 0x00,
	CC_DF = 0x04,
	CC_GF_SELECT = 0x08,
	CC_GF = 0x0c,
	CC_MSIX = 0x10,
	CC_NUMQ = 0x12,
	CC_STATUS = 0x14,
	CC_Q_SELECT = 0x16,
	CC_Q_SIZE = 0x18,
	CC_Q_MSIX = 0x1a,
	CC_Q_ENABLE = 0x1c,
	CC_Q_DESC = 0x20,
	CC_Q_AVAIL = 0x28,
	CC_Q_USED = 0x30,
	CC_SIZE = 0x38,
};

#define S_ACK	      1u
#define S_DRIVER      2u
#define S_DRIVER_OK   4u
#define S_FEATURES_OK 8u
#define S_NEEDS_RESET 0x40u

#define F_VERSION_1 (1ul << 32)
#define F_INDIRECT  (1ul << 28)
#define NO_VECTOR   0xffff

#define D_NEXT	   1
#define D_WRITE	   2
#define D_INDIRECT 4

#define VQ_SIZE 16

struct vdesc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* A split ring ([VIRTIO] 2.7), the three areas in a row. */
struct vring {
	struct vdesc desc[VQ_SIZE];
	uint16_t avail_flags, avail_idx, avail[VQ_SIZE], used_event;
	uint16_t used_flags __attribute__((aligned(4)));
	uint16_t used_idx;
	struct {
		uint32_t id, len;
	} used[VQ_SIZE];
	uint16_t avail_event;
} __attribute__((aligned(4096)));

/* A function and where its structures are mapped. */
struct vdev {
	unsigned slot, id;
	uint64_t bar, common, notify, isr, config, msix;
	uint32_t notify_mult;
	unsigned msix_cap, cfg_cap;
};

/* --- PCI -------------------------------------------------------------------- */

static inline void vdev_decode(const struct vdev *v, bool on)
{
	mmio_write16(ecam(v->slot, PCI_COMMAND),
		     on ? PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER : 0);
}

static inline void vdev_cap(struct vdev *v, unsigned cap)
{
	uint64_t at = v->bar + mmio_read32(ecam(v->slot, cap + 8));

	switch (mmio_read8(ecam(v->slot, cap + 3))) {
	case 1:
		v->common = at;
		break;
	case 2:
		v->notify = at;
		v->notify_mult = mmio_read32(ecam(v->slot, cap + 16));
		break;
	case 3:
		v->isr = at;
		break;
	case 4:
		v->config = at;
		break;
	case 5:
		v->cfg_cap = cap;
		break;
	}
}

/* Learn again where everything is: BAR 0 was moved. */
static inline void vdev_map(struct vdev *v)
{
	unsigned cap = mmio_read8(ecam(v->slot, PCI_CAP_LIST)), n;

	v->bar = mmio_read32(ecam(v->slot, PCI_BAR0)) & ~15u;
	for (n = 0; cap && n < 48; n++) {
		uint8_t id = mmio_read8(ecam(v->slot, cap));

		if (id == PCI_CAP_VENDOR)
			vdev_cap(v, cap);
		if (id == PCI_CAP_MSIX) {
			v->msix_cap = cap;
			v->msix = v->bar +
				  (mmio_read32(ecam(v->slot, cap + 4)) & ~7u);
		}
		cap = mmio_read8(ecam(v->slot, cap + 1));
	}
}

/* The @nth device (from 0) of one virtio ID; decoded and mapped. */
static inline bool vdev_find(unsigned id, unsigned nth, struct vdev *v)
{
	unsigned slot;

	for (slot = 0; slot < PCI_SLOTS; slot++) {
		uint32_t want = (VIRTIO_DEVICE + id) << 16 | VIRTIO_VENDOR;

		if (mmio_read32(ecam(slot, 0)) != want || nth--)
			continue;
		*v = (struct vdev){ .slot = slot, .id = id };
		vdev_decode(v, true);
		vdev_map(v);
		return true;
	}
	return false;
}

/* --- life of a device ---------------------------------------------------------- */

static inline uint8_t vdev_status(const struct vdev *v)
{
	return mmio_read8(v->common + CC_STATUS);
}

static inline void vdev_set_status(const struct vdev *v, uint8_t bits)
{
	mmio_write8(v->common + CC_STATUS, vdev_status(v) | bits);
}

static inline void vdev_reset(const struct vdev *v)
{
	mmio_write8(v->common + CC_STATUS, 0);
	while (vdev_status(v))
		relax();
}

static inline uint64_t vdev_offered(const struct vdev *v)
{
	uint64_t f;

	mmio_write32(v->common + CC_DF_SELECT, 1);
	f = (uint64_t)mmio_read32(v->common + CC_DF) << 32;
	mmio_write32(v->common + CC_DF_SELECT, 0);
	return f | mmio_read32(v->common + CC_DF);
}

/* Reset, then accept exactly @features. Return: did the device take them? */
static inline bool vdev_negotiate(const struct vdev *v, uint64_t features)
{
	vdev_reset(v);
	vdev_set_status(v, S_ACK);
	vdev_set_status(v, S_DRIVER);
	mmio_write32(v->common + CC_GF_SELECT, 0);
	mmio_write32(v->common + CC_GF, (uint32_t)features);
	mmio_write32(v->common + CC_GF_SELECT, 1);
	mmio_write32(v->common + CC_GF, (uint32_t)(features >> 32));
	vdev_set_status(v, S_FEATURES_OK);
	return vdev_status(v) & S_FEATURES_OK;
}

static inline void vdev_write64(const struct vdev *v, unsigned off, uint64_t val)
{
	mmio_write32(v->common + off, (uint32_t)val);
	mmio_write32(v->common + off + 4, (uint32_t)(val >> 32));
}

static inline uint64_t vdev_read64(const struct vdev *v, unsigned off)
{
	return mmio_read32(v->common + off) |
	       (uint64_t)mmio_read32(v->common + off + 4) << 32;
}

static inline void vdev_queue_at(const struct vdev *v, unsigned q, uint16_t size,
				 uint64_t desc, uint64_t avail, uint64_t used)
{
	mmio_write16(v->common + CC_Q_SELECT, (uint16_t)q);
	mmio_write16(v->common + CC_Q_SIZE, size);
	vdev_write64(v, CC_Q_DESC, desc);
	vdev_write64(v, CC_Q_AVAIL, avail);
	vdev_write64(v, CC_Q_USED, used);
	mmio_write16(v->common + CC_Q_ENABLE, 1);
}

static inline void vdev_queue(const struct vdev *v, unsigned q,
			      volatile struct vring *r)
{
	volatile uint64_t *p = (volatile uint64_t *)r;
	unsigned i;

	for (i = 0; i < sizeof(*r) / sizeof(*p); i++)
		p[i] = 0;
	vdev_queue_at(v, q, VQ_SIZE, (uint64_t)r, (uint64_t)&r->avail_flags,
		      (uint64_t)&r->used_flags);
}

/* Reset, negotiate what every device here offers, one queue, DRIVER_OK. */
static inline void vdev_start(const struct vdev *v, unsigned q,
			      volatile struct vring *r)
{
	if (!vdev_negotiate(v, F_VERSION_1 | F_INDIRECT))
		guest_fail("VERSION_1 | INDIRECT_DESC was refused");
	vdev_queue(v, q, r);
	vdev_set_status(v, S_DRIVER_OK);
}

/* --- buffers -------------------------------------------------------------------- */

static inline void vring_desc(volatile struct vring *r, unsigned i, uint64_t addr,
			      uint32_t len, uint16_t flags, uint16_t next)
{
	r->desc[i].addr = addr;
	r->desc[i].len = len;
	r->desc[i].flags = flags;
	r->desc[i].next = next;
}

static inline void vring_put(volatile struct vring *r, uint16_t head)
{
	r->avail[r->avail_idx % VQ_SIZE] = head;
	__asm__ volatile("" : : : "memory");
	r->avail_idx++;
}

static inline void vdev_kick(const struct vdev *v, unsigned q)
{
	mmio_write16(v->notify + q * v->notify_mult, (uint16_t)q);
}

/* Wait for used_idx. Return: true then, false if the device needs a reset. */
static inline bool vdev_wait(const struct vdev *v, volatile struct vring *r,
			     uint16_t idx)
{
	uint64_t from = rdtsc();
	unsigned i;

	for (i = 0; patient(from); i++) {
		if (r->used_idx == idx)
			return true;
		if (i % 256 == 255 && (vdev_status(v) & S_NEEDS_RESET))
			return false;
		relax();
	}
	guest_fail("the device neither answers nor asks for a reset");
}

/* Like vdev_wait(), where only one of the two is right. */
static inline void vdev_must(const struct vdev *v, volatile struct vring *r,
			     uint16_t idx, const char *what)
{
	if (vdev_wait(v, r, idx))
		return;
	puts(what);
	guest_fail(": the device asks for a reset");
}

static inline void vdev_must_break(const struct vdev *v, const char *what)
{
	uint64_t from = rdtsc();

	while (patient(from)) {
		if (vdev_status(v) & S_NEEDS_RESET)
			return;
		relax();
	}
	puts(what);
	guest_fail(": no DEVICE_NEEDS_RESET");
}

/* --- a disk request ---------------------------------------------------------------- */

struct blk_hdr {
	uint32_t type, reserved;
	uint64_t sector;
};

enum {
	BLK_IN,
	BLK_OUT,
	BLK_FLUSH = 4,
	BLK_ID = 8,
	BLK_DISCARD = 11,
	BLK_ZEROES = 13
};
enum { BLK_OK, BLK_IOERR, BLK_UNSUPP };

/* Header, data, status in descriptors 0 to 2 of @r; no kick. */
static inline void blk_put(volatile struct vring *r, volatile struct blk_hdr *hdr,
			   uint64_t data, uint32_t len, volatile uint8_t *status)
{
	bool in = hdr->type == BLK_IN || hdr->type == BLK_ID;

	*status = 0xee;
	vring_desc(r, 0, (uint64_t)hdr, sizeof(*hdr), D_NEXT, len ? 1 : 2);
	vring_desc(r, 1, data, len, D_NEXT | (in ? D_WRITE : 0), 2);
	vring_desc(r, 2, (uint64_t)status, 1, D_WRITE, 0);
	vring_put(r, 0);
}

/* One request from start to end on queue 0. Return: its status byte. */
static inline uint8_t blk_do(const struct vdev *v, volatile struct vring *r,
			     uint32_t type, uint64_t sector,
			     volatile void *data, uint32_t len)
{
	static volatile struct blk_hdr hdr;
	static volatile uint8_t status;

	hdr.type = type;
	hdr.sector = sector;
	blk_put(r, &hdr, (uint64_t)data, len, &status);
	vdev_kick(v, 0);
	vdev_must(v, r, r->avail_idx, "disk request");
	return status;
}

#endif
