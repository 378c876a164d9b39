/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads ("read" as the command line) or writes ("write") all of its 1 MiB disk
 * again and again until that fails. Then the disk must still serve what can be
 * served: the first sector ("write" only; the file may be empty after "read").
 */
#include "virtio.h"

#define SECTORS 2048
#define STEP	8 /* a page: each takes room on the host */

static volatile struct vring ring;
static uint8_t buf[512] __attribute__((aligned(512)));
static struct vdev dev;

/* Return: false at the first error */
static bool round(uint32_t type)
{
	unsigned i;

	for (i = 0; i < SECTORS; i += STEP) {
		uint8_t got = blk_do(&dev, &ring, type, i, buf, sizeof(buf));

		if (got == BLK_IOERR)
			return false;
		if (got != BLK_OK)
			guest_fail("neither done nor an I/O error");
	}
	return true;
}

void guest_main(const uint8_t *boot_params)
{
	const char *cmdline = at(load32(boot_params + 0x228));
	uint32_t type = *cmdline == 'w' ? BLK_OUT : BLK_IN;

	if (!vdev_find(VIRTIO_BLK, 0, &dev))
		guest_fail("no disk");
	vdev_start(&dev, 0, &ring);
	puts("diskerr: started\n");
	while (round(type))
		;
	puts("diskerr: I/O error\n");
	if (type == BLK_OUT && blk_do(&dev, &ring, BLK_IN, 0, buf, 512) != BLK_OK)
		guest_fail("the first sector can't be read any more");
	(void)blk_do(&dev, &ring, BLK_FLUSH, 0, buf, 0);
	guest_success();
}
