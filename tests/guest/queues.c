/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets queues up wrongly: sizes, addresses, order, registers that don't exist.
 * After each the device works once it is reset.
 */
#include "virtio.h"

static volatile struct vring ring, other;
static uint8_t buf[512] __attribute__((aligned(512)));
static struct vdev dev;
static uint64_t ram_end;

static void negotiate(void)
{
	if (!vdev_negotiate(&dev, F_VERSION_1))
		guest_fail("VERSION_1 was refused");
}

static void works(const char *what)
{
	vdev_start(&dev, 0, &ring);
	if (blk_do(&dev, &ring, BLK_IN, 0, buf, sizeof(buf)) != BLK_OK) {
		puts(what);
		guest_fail(": the disk does not work afterwards");
	}
}

/* Sizes that must not be taken: the register keeps what it had. */
static void sizes(void)
{
	static const uint16_t bad[] = { 0,   3,	     6,	     17,     255,
					257, 0x8001, 0xffff, 0x8000, 512 };
	unsigned i;

	negotiate();
	mmio_write16(dev.common + CC_Q_SELECT, 0);
	mmio_write16(dev.common + CC_Q_SIZE, 8);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		mmio_write16(dev.common + CC_Q_SIZE, bad[i]);
		if (mmio_read16(dev.common + CC_Q_SIZE) != 8)
			guest_fail("a bad queue size was taken");
	}
	works("sizes");
}

static void addresses(void)
{
	const uint64_t good = (uint64_t)&other;
	const uint64_t bad[] = {
		0xc0000000,   ECAM,	 0xd0000000,	      ram_end,
		ram_end - 16, 1ul << 40, ~0ul - 4095,	      ~0ul - 15,
		0xfee00000,   good + 1,	 0x8000000000000000ul
	};
	unsigned i, area;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (area = 0; area < 3; area++) {
			/* The smaller areas do fit in the last 16 bytes. */
			if (area && bad[i] == ram_end - 16)
				continue;
			negotiate();
			vdev_queue_at(&dev, 0, VQ_SIZE, area == 0 ? bad[i] : good,
				      area == 1 ? bad[i] : good + 512,
				      area == 2 ? bad[i] : good + 1024);
			vdev_set_status(&dev, S_DRIVER_OK);
			vdev_kick(&dev, 0);
			if (!(vdev_status(&dev) & S_NEEDS_RESET)) {
				put_hex(bad[i]);
				guest_fail(" was taken as a ring's address");
			}
		}
	}
	works("addresses");
}

/* Registers of a live queue: none may move it. */
static void move_live(void)
{
	vdev_start(&dev, 0, &ring);
	vdev_queue_at(&dev, 0, 4, 0x1000, 0x2000, 0x3000);
	mmio_write16(dev.common + CC_Q_ENABLE, 0);
	if (vdev_read64(&dev, CC_Q_DESC) != (uint64_t)&ring ||
	    mmio_read16(dev.common + CC_Q_SIZE) != VQ_SIZE ||
	    !mmio_read16(dev.common + CC_Q_ENABLE))
		guest_fail("a live queue was moved");
	if (blk_do(&dev, &ring, BLK_IN, 0, buf, sizeof(buf)) != BLK_OK)
		guest_fail("a live queue does not survive an attempt to move it");
	works("moved while live");
}

/* Kicks before the time, at queues that are not there, of a reset device. */
static void kicks(void)
{
	unsigned q;

	vdev_reset(&dev);
	for (q = 0; q < 1024; q++)
		vdev_kick(&dev, q);
	negotiate();
	vdev_kick(&dev, 0);
	vdev_queue(&dev, 0, &ring);
	vring_desc(&ring, 0, 0xd0000000, 16, 0, 0);
	vring_put(&ring, 0);
	vdev_kick(&dev, 0);
	vdev_reset(&dev);
	vdev_kick(&dev, 0);
	works("kicks");
}

/* Order of the handshake ([VIRTIO] 3.1.1). */
static void handshake(void)
{
	vdev_reset(&dev);
	vdev_queue(&dev, 0, &ring);
	vdev_set_status(&dev, S_DRIVER_OK);
	if (vdev_status(&dev) & S_DRIVER_OK)
		guest_fail("DRIVER_OK without FEATURES_OK");
	if (vdev_negotiate(&dev, 0))
		guest_fail("no VERSION_1, and FEATURES_OK all the same");
	if (vdev_negotiate(&dev, ~0ul))
		guest_fail("features that are not offered, and FEATURES_OK");
	/* No queue at all is no crime. */
	negotiate();
	vdev_set_status(&dev, S_DRIVER_OK);
	vdev_kick(&dev, 0);
	works("handshake");
	/* A device in full swing that is told the same again. */
	vdev_set_status(&dev, 0xff);
	if (blk_do(&dev, &ring, BLK_IN, 0, buf, sizeof(buf)) != BLK_OK)
		guest_fail("all status bits at once stop the disk");
	works("status");
}

static void selectors(void)
{
	unsigned there = mmio_read16(dev.common + CC_NUMQ), i;

	works("selectors");
	for (i = 0; i < 32; i++) {
		if (1u << i % 16 < there)
			continue;
		vdev_queue_at(&dev, 1u << i % 16, 8, 0x1000, 0x2000, 0x3000);
		if (mmio_read16(dev.common + CC_Q_SIZE))
			guest_fail("a queue that is not there has a size");
		mmio_write16(dev.common + CC_Q_MSIX, (uint16_t)i);
		mmio_write32(dev.common + CC_DF_SELECT, 1u << i);
		(void)mmio_read32(dev.common + CC_DF);
		mmio_write32(dev.common + CC_GF_SELECT, 1u << i);
		mmio_write32(dev.common + CC_GF, ~0u);
	}
	works("selectors");
}

/* The three areas on top of each other, and on top of the buffers. */
static void overlap(void)
{
	unsigned i;

	for (i = 0; i < 64; i += 4) {
		uint64_t at = (uint64_t)&other;

		negotiate();
		vdev_queue_at(&dev, 0, VQ_SIZE, at, at + i, at + i);
		vdev_set_status(&dev, S_DRIVER_OK);
		vring_desc(&other, 0, at, 512, D_WRITE, 0);
		vdev_kick(&dev, 0);
		(void)vdev_status(&dev);
	}
	works("overlap");
}

void guest_main(const uint8_t *boot_params)
{
	struct e820 e;
	unsigned i;

	for (i = 0; e820_get(boot_params, i, &e); i++) {
		if (e.type == 1 && e.start + e.size > (uint64_t)guest_end)
			ram_end = e.start + e.size;
	}
	if (!vdev_find(VIRTIO_BLK, 0, &dev))
		guest_fail("no disk");
	works("start");
	sizes();
	addresses();
	move_live();
	kicks();
	handshake();
	selectors();
	overlap();
	guest_success();
}
