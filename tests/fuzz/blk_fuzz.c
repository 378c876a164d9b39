/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile driver against virtio-blk with the plain-call engine.
 *
 * Input: one byte of features and faults, then chains: a count of segments, a
 * request header of 16 bytes (found at HDR + 16 i), and for each segment 6
 * bytes: where (base and direction), offset, length. The rest is data.
 */
#include <assert.h>
#include <stdint.h>

#include "core/log.h"
#include "tests/unit/blk_rig.h"

#define HDR    RIG_BUF
#define DATA   (RIG_BUF + KIB(64))
#define CHAINS 64
#define SEGS   8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct rig rig;

struct input {
	const uint8_t *p;
	size_t left;
};

static void take(struct input *in, void *buf, size_t n)
{
	size_t got = MIN(n, in->left);

	memset(buf, 0, n);
	memcpy(buf, in->p, got);
	in->p += got;
	in->left -= got;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_set_level(LOG_ERROR);
	/* Direct at first, so that there are bounce buffers. */
	if (rig_up(&rig, &blk_engine_sync, false, true) < 0)
		abort();
	if (fcntl(rig.d.fd, F_SETFL, O_RDWR) < 0)
		abort();
	/* The descriptor is enough. */
	(void)unlink(rig.path);
	return 0;
}

static struct rig_buf take_seg(struct input *in, unsigned chain)
{
	static const gpa_t base[] = {
		DATA,
		DATA,
		HDR,
		0,
		RIG_RAM - 4096,
		GMEM_HOLE_END,
		UINT64_MAX - 65535,
	};
	uint8_t raw[6];
	gpa_t at;

	take(in, raw, sizeof(raw));
	/* The common case by one byte: this chain's header. */
	if (raw[0] == 0)
		return (struct rig_buf){ HDR + chain * 16, 16, false };
	at = base[(raw[0] >> 1) % ARRAY_SIZE(base)];
	return (struct rig_buf){
		.gpa = at + get_le16(raw + 1),
		.len = raw[5] & 0x80 ? get_le16(raw + 3) << 8 : get_le16(raw + 3),
		.in = raw[0] & 1,
	};
}

static unsigned take_chain(struct input *in, unsigned i)
{
	struct rig_buf buf[SEGS];
	uint8_t n, hdr[16];
	unsigned k;

	take(in, &n, 1);
	take(in, hdr, sizeof(hdr));
	(void)gmem_write(&rig.m.gmem, HDR + i * 16, hdr, sizeof(hdr));
	n = n % SEGS + 1;
	if (rig.next_desc[0] + n > RIG_QSIZE)
		return 0;
	for (k = 0; k < n; k++)
		buf[k] = take_seg(in, i);
	rig_add(&rig, 0, buf, n);
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned i, added = 0;
	uint8_t mode, bytes[512];
	struct stat st;

	take(&in, &mode, 1);
	rig_start(&rig,
		  RIG_BASIC | (rig.dev->features & 0xffffff &
			       ~(mode & 1 ? BIT(VIRTIO_BLK_F_FLUSH) : 0) &
			       ~(mode & 2 ? BIT(VIRTIO_BLK_F_DISCARD) : 0)));
	rig.d.can_discard = !(mode & 4);
	rig.d.can_zero = !(mode & 8);
	/* The bounce path without O_DIRECT: pretend. */
	rig.d.direct = mode & 16;
	rig.d.align = 512;
	for (i = 0; i < CHAINS && in.left > 17; i++)
		added += take_chain(&in, i);
	take(&in, bytes, sizeof(bytes));
	(void)gmem_write(&rig.m.gmem, DATA, bytes, sizeof(bytes));

	rig_kick(&rig, 0);
	for (i = 0; rig_turn(&rig, 0) > 0; i++)
		assert(i < 100000);

	assert(rig.b->n_free == BLK_SLOTS);
	assert(!rig.b->io.head && !rig.b->wait_head);
	if (!(rig.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		/* All that was taken was given back. (How much there was, the
		 * device may have changed itself: a buffer over the ring.) */
		assert(rig.dev->queue[0].vq.used_idx ==
		       rig.dev->queue[0].vq.last_avail);
	assert(!fstat(rig.d.fd, &st) && st.st_size == (off_t)RIG_DISK);
	return 0;
}
