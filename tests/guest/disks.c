/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bad requests to disks: the first one is of 1 MiB, a second one, if there is
 * one, is read-only. Each request gets the status that [VIRTIO] 5.2.6 wants,
 * or, where it has no place for one, the device asks for its reset.
 */
#include "virtio.h"

#define SECTORS 2048ul

static volatile struct vring ring;
static volatile struct blk_hdr hdr;
static volatile uint8_t status;
static uint8_t buf[65536] __attribute__((aligned(4096)));
static struct vdev dev, ro;

static void expect(const char *what, const struct vdev *v, uint32_t type,
		   uint64_t sector, uint32_t len, uint8_t want)
{
	uint8_t got = blk_do(v, &ring, type, sector, buf, len);

	if (got == want)
		return;
	puts(what);
	puts(": status ");
	put_dec(got);
	puts("\n");
	guest_fail("a disk request has the wrong status");
}

static void ranges(void)
{
	static const uint64_t far[] = { SECTORS,   SECTORS - 1, SECTORS + 1,
					1ul << 32, 1ul << 54,	1ul << 55,
					1ul << 63, ~0ul,	~0ul - 1 };
	unsigned i;

	expect("the last sector", &dev, BLK_IN, SECTORS - 1, 512, BLK_OK);
	for (i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		expect("read past the end", &dev, BLK_IN, far[i], 1024,
		       BLK_IOERR);
		expect("write past the end", &dev, BLK_OUT, far[i], 1024,
		       BLK_IOERR);
	}
	expect("an odd length", &dev, BLK_IN, 0, 511, BLK_IOERR);
	expect("an odd length", &dev, BLK_OUT, 0, 513, BLK_IOERR);
	expect("nothing", &dev, BLK_IN, 0, 0, BLK_OK);
}

static void types(void)
{
	static const uint32_t unknown[] = { 2,	 3,	     5,		7,
					    9,	 10,	     12,	14,
					    255, 0x80000000, 0xffffffff };
	unsigned i;

	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		expect("an unknown type", &dev, unknown[i], 0, 512, BLK_UNSUPP);
	expect("flush", &dev, BLK_FLUSH, 0, 0, BLK_OK);
	expect("id", &dev, BLK_ID, 0, 20, BLK_OK);
	expect("a short id", &dev, BLK_ID, 0, 3, BLK_OK);
	/* Not negotiated by this driver. */
	expect("discard", &dev, BLK_DISCARD, 0, 16, BLK_UNSUPP);
	expect("write zeroes", &dev, BLK_ZEROES, 0, 16, BLK_UNSUPP);
}

/* Discard and write zeroes, negotiated, with ranges of all kinds. */
static void trims(void)
{
	volatile uint64_t *range = (volatile uint64_t *)buf;
	uint64_t features = vdev_offered(&dev);

	if (!vdev_negotiate(&dev, F_VERSION_1 | (features & (1u << 14))))
		guest_fail("WRITE_ZEROES was refused");
	vdev_queue(&dev, 0, &ring);
	vdev_set_status(&dev, S_DRIVER_OK);
	range[0] = SECTORS - 8;
	range[1] = 8;
	expect("zeroes at the end", &dev, BLK_ZEROES, 0, 16, BLK_OK);
	range[1] = 9;
	expect("zeroes past the end", &dev, BLK_ZEROES, 0, 16, BLK_IOERR);
	range[0] = ~0ul - 3;
	range[1] = 8;
	expect("zeroes that wrap", &dev, BLK_ZEROES, 0, 16, BLK_IOERR);
	range[0] = 0;
	range[1] = 0xfffffffful;
	expect("too many zeroes", &dev, BLK_ZEROES, 0, 16, BLK_IOERR);
	range[1] = 8 | 0xffffffff00000000ul;
	expect("unknown flags", &dev, BLK_ZEROES, 0, 16, BLK_UNSUPP);
	range[1] = 8;
	expect("half a range", &dev, BLK_ZEROES, 0, 8, BLK_IOERR);
	expect("4096 ranges", &dev, BLK_ZEROES, 0, 65536, BLK_IOERR);
	expect("no range", &dev, BLK_ZEROES, 0, 0, BLK_IOERR);
	vdev_start(&dev, 0, &ring);
}

/* Shapes: no status, no header, both in odd places. */
static void shapes(void)
{
	/* Nothing to write to. */
	vring_desc(&ring, 0, (uint64_t)&hdr, 16, 0, 0);
	vring_put(&ring, 0);
	vdev_kick(&dev, 0);
	vdev_must_break(&dev, "a request without a status");

	vdev_start(&dev, 0, &ring);
	status = 0xee;
	vring_desc(&ring, 0, (uint64_t)&status, 1, D_WRITE, 0);
	vring_put(&ring, 0);
	vdev_kick(&dev, 0);
	vdev_must(&dev, &ring, 1, "no header");
	if (status != BLK_IOERR)
		guest_fail("a request without a header is no error");
	status = 0xee;
	vring_desc(&ring, 0, (uint64_t)&hdr, 15, D_NEXT, 1);
	vring_desc(&ring, 1, (uint64_t)&status, 1, D_WRITE, 0);
	vring_put(&ring, 0);
	vdev_kick(&dev, 0);
	vdev_must(&dev, &ring, 2, "a short header");
	if (status != BLK_IOERR)
		guest_fail("a header of 15 bytes is no error");

	/* Status of no bytes at the end of the data: its last byte serves. */
	hdr.type = BLK_IN;
	hdr.sector = 0;
	vring_desc(&ring, 0, (uint64_t)&hdr, 16, D_NEXT, 1);
	vring_desc(&ring, 1, (uint64_t)buf, 513, D_NEXT | D_WRITE, 2);
	vring_desc(&ring, 2, (uint64_t)&status, 0, D_WRITE, 0);
	buf[512] = 0xee;
	vring_put(&ring, 0);
	vdev_kick(&dev, 0);
	vdev_must(&dev, &ring, 3, "status inside the data");
	if (buf[512] != BLK_OK)
		guest_fail("no status at the end of the data");
}

/* The disk's bytes go over the ring, the header and the status themselves. */
static void over_itself(void)
{
	static volatile struct vring mine;
	unsigned i;

	for (i = 0; i < 20; i++) {
		if (!vdev_negotiate(&dev, F_VERSION_1 | F_INDIRECT))
			guest_fail("refused");
		vdev_queue(&dev, 0, &mine);
		vdev_set_status(&dev, S_DRIVER_OK);
		hdr.type = BLK_IN;
		hdr.sector = i;
		blk_put(&mine, &hdr, (uint64_t)&mine, 512 * (1 + i % 8), &status);
		vdev_kick(&dev, 0);
		(void)vdev_status(&dev);
	}
	vdev_start(&dev, 0, &ring);
}

/* Many requests on their way, then a reset: none may write afterwards. */
static void reset_in_flight(void)
{
	unsigned round, i;

	for (round = 0; round < 200; round++) {
		vdev_start(&dev, 0, &ring);
		hdr.type = BLK_IN;
		hdr.sector = round;
		vring_desc(&ring, 0, (uint64_t)&hdr, 16, D_NEXT, 1);
		vring_desc(&ring, 1, (uint64_t)buf, 32768, D_NEXT | D_WRITE, 2);
		vring_desc(&ring, 2, (uint64_t)&status, 1, D_WRITE, 0);
		for (i = 0; i < VQ_SIZE; i++)
			vring_put(&ring, 0);
		vdev_kick(&dev, 0);
		if (round % 3)
			(void)vdev_status(&dev);
		vdev_reset(&dev);
		status = 0xee;
		ring.used_idx = 0x7777;
		for (i = 0; i < 50; i++)
			(void)vdev_status(&dev);
		if (status != 0xee || ring.used_idx != 0x7777)
			guest_fail("a device wrote memory after its reset");
	}
	vdev_start(&dev, 0, &ring);
	expect("after resets", &dev, BLK_IN, 0, 512, BLK_OK);
}

static void read_only(void)
{
	vdev_start(&ro, 0, &ring);
	buf[0] = 'X';
	expect("write to a read-only disk", &ro, BLK_OUT, 0, 512, BLK_IOERR);
	expect("zeroes on a read-only disk", &ro, BLK_ZEROES, 0, 16, BLK_UNSUPP);
	expect("read of a read-only disk", &ro, BLK_IN, 0, 512, BLK_OK);
	if (buf[0] == 'X')
		guest_fail("a read-only disk was written");
	vdev_reset(&ro);
}

void guest_main(const uint8_t *boot_params)
{
	(void)boot_params;
	if (!vdev_find(VIRTIO_BLK, 0, &dev))
		guest_fail("no disk");
	if (vdev_find(VIRTIO_BLK, 1, &ro))
		read_only();
	vdev_start(&dev, 0, &ring);
	ranges();
	types();
	trims();
	shapes();
	over_itself();
	reset_in_flight();
	guest_success();
}
