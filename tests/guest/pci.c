/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Abuses PCI: BARs on top of each other and of RAM, BARs that go while queues
 * are live, MSI-X messages of all kinds, the window in configuration space.
 */
#include "virtio.h"

static volatile struct vring ring;
static uint8_t buf[512] __attribute__((aligned(512)));
static struct vdev dev, rng;

void guest_exception(uint32_t vector)
{
	guest_die(vector);
}

static void read_one(const char *what)
{
	if (blk_do(&dev, &ring, BLK_IN, 0, buf, sizeof(buf)) == BLK_OK)
		return;
	puts(what);
	guest_fail(": the disk does not read");
}

static void set_bar(const struct vdev *v, uint64_t base)
{
	mmio_write32(ecam(v->slot, PCI_BAR0), (uint32_t)base);
}

static bool answers(uint64_t bar)
{
	return mmio_read16(bar + CC_NUMQ) != 0xffff;
}

/* [PCI] 7.5.1.2.1: all ones, read back, give the size. */
static void sizing(void)
{
	set_bar(&dev, 0xffffffff);
	if (mmio_read32(ecam(dev.slot, PCI_BAR0)) != 0xffff8000)
		guest_fail("BAR 0 is not of 32 KiB");
	set_bar(&dev, dev.bar);
	read_one("sizing");
}

/* With live queues to another place in the window, and back. */
static void move(void)
{
	uint64_t home = dev.bar, bar;

	for (bar = 0xd1000000; bar < 0xe0000000; bar += 0x1f08000) {
		uint64_t old = dev.bar;

		set_bar(&dev, bar);
		if (answers(old) || !answers(bar))
			guest_fail("the BAR did not move");
		vdev_map(&dev);
		read_one("moved BAR");
	}
	set_bar(&dev, home);
	vdev_map(&dev);
	read_one("BAR at home again");
}

static void onto_another(void)
{
	uint64_t home = dev.bar;
	uint16_t queues;

	queues = mmio_read16(rng.common + CC_NUMQ);
	set_bar(&dev, rng.bar);
	if (mmio_read16(rng.common + CC_NUMQ) != queues)
		guest_fail("a BAR on top of another one took it over");
	/* Who was there first keeps it; it can go and come back, too. */
	vdev_decode(&rng, false);
	vdev_decode(&rng, true);
	if (!answers(rng.bar))
		guest_fail("two BARs at one place: nobody answers");
	set_bar(&dev, rng.bar + 0x4000);
	set_bar(&dev, home);
	vdev_decode(&rng, false);
	vdev_decode(&dev, false);
	vdev_decode(&dev, true);
	vdev_decode(&rng, true);
	read_one("BAR that was on another");
}

static void onto_ram(void)
{
	static const uint32_t bad[] = { 0,	    0x8000,	    0x100000,
					0x200000,   (uint32_t)ECAM, 0xfee00000,
					0xfec00000, 0xffff8000,	    0xcfff8000,
					0xe0000000, 0xc0000000 };
	volatile uint32_t *p = (volatile uint32_t *)buf;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set_bar(&dev, bad[i]);
		(void)mmio_read32(LAPIC);
		(void)mmio_read32(ecam(0, 0));
	}
	/* Exactly on top of this guest's own data. */
	set_bar(&dev, (uint64_t)buf & ~0x7ffful);
	*p = 0x12345678;
	if (*p != 0x12345678)
		guest_fail("a BAR hides RAM");
	set_bar(&dev, dev.bar);
	read_one("BAR that was on RAM");
}

/* Decoding off with queues live, kicks into nothing, many times. */
static void off_and_on(void)
{
	unsigned i;

	for (i = 0; i < 100; i++) {
		vdev_kick(&dev, 0);
		vdev_decode(&dev, false);
		vdev_kick(&dev, 0);
		if (answers(dev.bar))
			guest_fail("a BAR that is switched off answers");
		vdev_decode(&dev, true);
	}
	read_one("BAR that was off");
}

/* Requests are on their way while the BAR goes. */
static void off_in_flight(void)
{
	static volatile struct blk_hdr hdr;
	static volatile uint8_t status;
	unsigned i;

	for (i = 0; i < 100; i++) {
		hdr.type = BLK_IN;
		hdr.sector = i;
		blk_put(&ring, &hdr, (uint64_t)buf, sizeof(buf), &status);
		vdev_kick(&dev, 0);
		vdev_decode(&dev, false);
		vdev_decode(&dev, true);
		vdev_must(&dev, &ring, ring.avail_idx, "off in flight");
	}
}

static void msix_set(unsigned i, uint64_t addr, uint32_t data, uint32_t mask)
{
	mmio_write32(dev.msix + 16ul * i, (uint32_t)addr);
	mmio_write32(dev.msix + 16ul * i + 4, (uint32_t)(addr >> 32));
	mmio_write32(dev.msix + 16ul * i + 8, data);
	mmio_write32(dev.msix + 16ul * i + 12, mask);
}

static void msix_on(uint16_t flags)
{
	mmio_write16(ecam(dev.slot, dev.msix_cap + 2), flags);
}

static void wait_irqs(uint32_t want, const char *what)
{
	uint64_t from = rdtsc();

	while (guest_irqs < want && patient(from))
		relax();
	if (guest_irqs == want)
		return;
	puts(what);
	guest_fail(": no interrupt, or too many");
}

static void start_with_vector(uint16_t vector)
{
	if (!vdev_negotiate(&dev, F_VERSION_1))
		guest_fail("VERSION_1 was refused");
	vdev_queue(&dev, 0, &ring);
	mmio_write16(dev.common + CC_Q_MSIX, vector);
	vdev_set_status(&dev, S_DRIVER_OK);
}

static void msix_works(void)
{
	uint32_t before = guest_irqs;

	start_with_vector(1);
	msix_set(1, LAPIC, VECTOR, 0);
	msix_on(0x8000);
	__asm__ volatile("sti" : : : "memory");
	read_one("MSI-X");
	wait_irqs(before + 1, "MSI-X");
	/* Masked: pending, and delivered when unmasked. */
	msix_set(1, LAPIC, VECTOR, 1);
	read_one("masked MSI-X");
	if (guest_irqs != before + 1)
		guest_fail("a masked interrupt came through");
	msix_set(1, LAPIC, VECTOR, 0);
	wait_irqs(before + 2, "unmasked MSI-X");
	__asm__ volatile("cli" : : : "memory");
}

/* Messages to nowhere: of no processor, RAM, devices, all of 64 bits. */
static void msix_garbage(void)
{
	static const uint64_t addr[] = {
		0,
		0x100000,
		0xfee0f000,
		0xfeeff00c,
		0xfec00000,
		0xd0000000,
		~0ul,
		0x1fee00000ul,
		0xfee000000000ul,
		0xfeefffffffffffful,
		3,
	};
	unsigned i;

	for (i = 0; i < sizeof(addr) / sizeof(addr[0]); i++) {
		msix_set(1, addr[i], OTHER, 0);
		read_one("MSI-X garbage");
		/* Level, logical, lowest priority: only NMI, SMI, INIT not. */
		msix_set(1, addr[i], 0xffff0000 | 0xc100 | OTHER, 0);
		read_one("MSI-X garbage");
	}
	msix_set(1, LAPIC, 0x400, 0); /* an NMI */
	read_one("MSI-X as NMI");
	msix_set(1, LAPIC, 3, 0); /* vector 3: not allowed */
	read_one("MSI-X of vector 3");
	for (i = 0; i < 0x10000; i += 0x11) {
		mmio_write16(dev.common + CC_MSIX, (uint16_t)i);
		mmio_write16(dev.common + CC_Q_SELECT, 0);
		mmio_write16(dev.common + CC_Q_MSIX, (uint16_t)i);
		if (mmio_read16(dev.common + CC_MSIX) != NO_VECTOR &&
		    mmio_read16(dev.common + CC_MSIX) > 2)
			guest_fail("a vector that is not there was taken");
	}
	msix_works();
}

/* All of the table and the pending bits, in every width. */
static void msix_widths(void)
{
	unsigned off;

	for (off = 0; off < 0x2000; off += 3) {
		/* Not where the table is: wrong widths there do nothing. */
		mmio_write8(dev.msix + off, 0xff);
		mmio_write16(dev.msix + off, 0xffff);
		if (off > 64)
			mmio_write32(dev.msix + off, 0xffffffff);
		(void)mmio_read8(dev.msix + off);
		(void)mmio_read32(dev.msix + off);
	}
	msix_works();
}

/* [VIRTIO] 4.1.4.9: BAR accesses through configuration space. */
static void window(void)
{
	uint64_t cap = ecam(dev.slot, dev.cfg_cap);
	unsigned i;

	for (i = 0; i < 32; i++) {
		mmio_write32(cap + 8, 1u << i | 1);
		mmio_write32(cap + 12, i % 2 ? 4 : 1u << i);
		mmio_write8(cap + 4, (uint8_t)(i % 8));
		(void)mmio_read32(cap + 16);
		mmio_write32(cap + 16, 0);
	}
	mmio_write8(cap + 4, 0);
	mmio_write32(cap + 8, CC_NUMQ);
	mmio_write32(cap + 12, 2);
	if ((mmio_read32(cap + 16) & 0xffff) != mmio_read16(dev.common + CC_NUMQ))
		guest_fail("the window shows something else than the BAR");
	mmio_write32(cap + 12, 0);
	msix_works();
}

/* Every byte of every function, all ones, zeroes, all ones. */
static void whole_config(void)
{
	unsigned slot, off;

	for (slot = 0; slot < PCI_SLOTS; slot++) {
		for (off = 0; off < 0x1000; off += off < 0x100 ? 1 : 61) {
			mmio_write8(ecam(slot, off), 0xff);
			mmio_write16(ecam(slot, off), 0);
			mmio_write32(ecam(slot, off), 0xffffffff);
			(void)mmio_read32(ecam(slot, off));
		}
		vdev_decode(&(struct vdev){ .slot = slot }, false);
	}
	set_bar(&dev, dev.bar);
	vdev_decode(&dev, true);
	vdev_map(&dev);
	msix_works();
}

void guest_main(const uint8_t *boot_params)
{
	(void)boot_params;
	guest_idt();
	if (!vdev_find(VIRTIO_BLK, 0, &dev) || !vdev_find(VIRTIO_RNG, 0, &rng))
		guest_fail("no disk or no rng");
	vdev_start(&dev, 0, &ring);
	read_one("start");
	sizing();
	move();
	onto_another();
	onto_ram();
	off_and_on();
	off_in_flight();
	msix_works();
	msix_garbage();
	msix_widths();
	window();
	whole_config();
	guest_success();
}
