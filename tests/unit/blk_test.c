/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a driver sees of virtio-blk, with both engines. Statuses are those of
 * [VIRTIO] 5.2.6: 0 OK, 1 IOERR, 2 UNSUPP.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/blk_rig.h"

#define HDR    RIG_BUF
#define DATA   (RIG_BUF + KIB(64))
#define STATUS (RIG_BUF + 256)

#define OK     0
#define IOERR  1
#define UNSUPP 2

#define ALL_FEATURES                                                       \
	(RIG_BASIC | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_DISCARD) | \
	 BIT(VIRTIO_BLK_F_WRITE_ZEROES) | BIT(VIRTIO_BLK_F_MQ))

static struct rig rig;

static int up_with(void **state, bool readonly, bool direct, uint64_t features)
{
	const struct blk_engine *engine = *state;
	int r;

	r = rig_up(&rig, engine, readonly, direct);
	if (r == -EINVAL && direct)
		return 0; /* no O_DIRECT on this file system */
	if (r < 0)
		return -1;
	rig_start(&rig, features & rig.dev->features);
	return 0;
}

static int up(void **state)
{
	return up_with(state, false, false, ALL_FEATURES);
}

static int up_no_flush(void **state)
{
	return up_with(state, false, false,
		       ALL_FEATURES & ~BIT(VIRTIO_BLK_F_FLUSH));
}

static int up_readonly(void **state)
{
	return up_with(state, true, false, ALL_FEATURES);
}

static int up_direct(void **state)
{
	return up_with(state, false, true, ALL_FEATURES);
}

static int down(void **state)
{
	(void)state;
	rig_down(&rig);
	return 0;
}

/* Send one chain, wait for it. Return: its status; used length through len. */
static uint8_t send_chain(const struct rig_buf *buf, unsigned n, gpa_t status,
			  uint32_t *ret_len)
{
	uint16_t before = rig_used_idx(&rig, 0);
	uint32_t head, len;
	uint16_t want;
	uint8_t st = 0xee;

	if (status)
		(void)gmem_write(&rig.m.gmem, status, &st, 1);
	want = rig_add(&rig, 0, buf, n);
	rig_kick(&rig, 0);
	assert_true(rig_wait(&rig, 0, (uint16_t)(before + 1)));
	rig_used_elem(&rig, 0, before, &head, &len);
	assert_int_equal(head, want);
	(void)gmem_read(&rig.m.gmem, status, &st, 1);
	if (ret_len)
		*ret_len = len;
	return st;
}

/* Header, data, status in a buffer each. */
static uint8_t request(uint32_t type, uint64_t sector, gpa_t data, uint32_t len,
		       uint32_t *ret_len)
{
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	struct rig_buf buf[3] = { { HDR, 16, false },
				  { data, len, in },
				  { STATUS, 1, true } };

	rig_header(&rig, HDR, type, sector);
	if (!len) {
		buf[1] = buf[2];
		return send_chain(buf, 2, STATUS, ret_len);
	}
	return send_chain(buf, 3, STATUS, ret_len);
}

static uint8_t ranges(uint32_t type, unsigned n, const uint64_t (*r)[3])
{
	uint8_t raw[16];
	unsigned i;

	for (i = 0; i < n; i++) {
		put_le64(raw, r[i][0]);
		put_le32(raw + 8, (uint32_t)r[i][1]);
		put_le32(raw + 12, (uint32_t)r[i][2]);
		(void)gmem_write(&rig.m.gmem, DATA + i * 16, raw, 16);
	}
	return request(type, 0, DATA, n * 16, NULL);
}

static void assert_ram(gpa_t at, uint64_t disk_off, uint32_t len)
{
	uint8_t buf[512];
	uint32_t i, n;

	for (; len; at += n, disk_off += n, len -= n) {
		n = MIN(len, 512u);
		assert_int_equal(gmem_read(&rig.m.gmem, at, buf, n), 0);
		for (i = 0; i < n; i++)
			assert_int_equal(buf[i], rig_pattern(disk_off + i));
	}
}

/* What the file holds; byte -1: the first pattern. */
static void assert_file(uint64_t off, uint64_t len, int byte)
{
	int fd = open(rig.path, O_RDONLY | O_CLOEXEC);
	uint8_t c[512];
	uint64_t i, n;

	assert_true(fd >= 0);
	for (; len; off += n, len -= n) {
		n = MIN(len, 512u);
		assert_int_equal(pread(fd, c, n, (off_t)off), n);
		for (i = 0; i < n; i++)
			assert_int_equal(c[i], byte < 0 ? rig_pattern(off + i)
							: byte);
	}
	(void)close(fd);
}

static uint64_t file_size(void)
{
	struct stat st;

	assert_int_equal(stat(rig.path, &st), 0);
	return (uint64_t)st.st_size;
}

static void test_config(void **state)
{
	const uint8_t *c = rig.dev->config;

	(void)state;
	assert_string_equal(blk_engine_name(rig.b),
			    ((const struct blk_engine *)*state)->name);
	assert_int_equal(rig.dev->model->id, 2);
	assert_int_equal(rig.dev->config_len, 60); /* [VIRTIO] 5.2.4 */
	assert_int_equal(get_le64(c), RIG_DISK / 512);
	assert_int_equal(get_le32(c + 12), 254);
	assert_int_equal(get_le32(c + 20), 512);
	assert_int_equal(c[24], 3); /* 4 KiB physical */
	assert_int_equal(get_le16(c + 34), RIG_QUEUES);
	assert_true(get_le32(c + 36) > 0);
	assert_true(get_le32(c + 40) > 0);
	assert_true(get_le32(c + 48) > 0);
	assert_true(get_le32(c + 52) > 0);
	assert_true(rig.dev->features & BIT(12));  /* MQ */
	assert_true(rig.dev->features & BIT(9));   /* FLUSH */
	assert_true(rig.dev->features & BIT(14));  /* WRITE_ZEROES */
	assert_false(rig.dev->features & BIT(5));  /* RO */
	assert_false(rig.dev->features & BIT(11)); /* CONFIG_WCE */
	assert_false(rig.dev->features & BIT(1));  /* SIZE_MAX */
}

static void test_read(void **state)
{
	uint32_t len;

	(void)state;
	assert_int_equal(request(VIRTIO_BLK_T_IN, 3, DATA, 8192, &len), OK);
	assert_int_equal(len, 8193);
	assert_ram(DATA, 3 * 512, 8192);
	/* The last sector, and nothing after it. */
	assert_int_equal(request(VIRTIO_BLK_T_IN, RIG_DISK / 512 - 1, DATA, 512,
				 NULL),
			 OK);
	assert_ram(DATA, RIG_DISK - 512, 512);
	/* All at once. */
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, DATA, RIG_DISK, &len), OK);
	assert_int_equal(len, RIG_DISK + 1);
	assert_ram(DATA, 0, RIG_DISK);
	assert_int_equal(rig.irqs[0], 3);
}

static void test_write(void **state)
{
	uint32_t len;

	(void)state;
	gmem_fill(&rig.m.gmem, DATA, 0x77, 4096);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 9, DATA, 4096, &len), OK);
	assert_int_equal(len, 1);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, DATA, 0, &len), OK);
	assert_int_equal(len, 1);
	assert_file(0, 9 * 512, -1);
	assert_file(9 * 512, 4096, 0x77);
	assert_file(9 * 512 + 4096, 4096, -1);
	assert_int_equal(file_size(), RIG_DISK);
	/* Read back what was written. */
	gmem_fill(&rig.m.gmem, DATA, 0, 4096);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 9, DATA, 4096, NULL), OK);
	assert_file(9 * 512, 4096, 0x77);
	(void)gmem_read(&rig.m.gmem, DATA + 4095, &len, 1);
	assert_int_equal(len & 0xff, 0x77);
}

static void test_out_of_range(void **state)
{
	static const uint64_t bad[] = {
		RIG_DISK / 512,	    RIG_DISK / 512 - 1, UINT64_MAX,
		UINT64_MAX - 1,	    1ULL << 55,		(1ULL << 55) - 1,
		(1ULL << 55) | 100, 1ULL << 63,
	};
	static const uint32_t type[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };
	unsigned i, t;
	uint32_t len;

	(void)state;
	gmem_fill(&rig.m.gmem, DATA, 0x11, 1024);
	for (t = 0; t < 2; t++) {
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			assert_int_equal(request(type[t], bad[i], DATA, 1024,
						 &len),
					 IOERR);
			/* No byte before the status was written. */
			assert_int_equal(len, type[t] == VIRTIO_BLK_T_IN ? 0 : 1);
		}
		assert_int_equal(request(type[t], 0, DATA, 511, NULL), IOERR);
		assert_int_equal(request(type[t], 0, DATA, 513, NULL), IOERR);
		assert_int_equal(request(type[t], 0, DATA, 1, NULL), IOERR);
	}
	assert_file(0, RIG_DISK, -1);
	assert_int_equal(file_size(), RIG_DISK);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, DATA, 512, NULL), OK);
}

static void test_unknown_type(void **state)
{
	static const uint32_t type[] = { 2,  3,	 5,  6,		 7,	    9,
					 10, 12, 14, 0x80000000, 0xffffffff };
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(type); i++) {
		assert_int_equal(request(type[i], 0, DATA, 512, NULL), UNSUPP);
		assert_int_equal(request(type[i], 0, DATA, 0, NULL), UNSUPP);
	}
	assert_file(0, RIG_DISK, -1);
}

static void test_short_header(void **state)
{
	struct rig_buf buf[] = { { HDR, 15, false }, { STATUS, 1, true } };
	uint32_t len;

	(void)state;
	rig_header(&rig, HDR, VIRTIO_BLK_T_FLUSH, 0);
	assert_int_equal(send_chain(buf, 2, STATUS, &len), IOERR);
	assert_int_equal(len, 1);
	assert_int_equal(send_chain(buf + 1, 1, STATUS, &len), IOERR);
}

static void test_no_status(void **state)
{
	struct rig_buf buf[] = { { HDR, 16, false },
				 { DATA, 512, false },
				 { DATA, 0, true } };

	(void)state;
	rig_header(&rig, HDR, VIRTIO_BLK_T_OUT, 0);
	rig_add(&rig, 0, buf, 3);
	rig_kick(&rig, 0);
	while (rig_turn(&rig, 0) > 0)
		;
	/* [VIRTIO] 2.1.2 */
	assert_true(rig.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(rig.config_irqs, 1);
	assert_int_equal(rig_used_idx(&rig, 0), 0);
	assert_file(0, 512, -1);
	/* Nothing goes until the reset, everything after it. */
	rig_add(&rig, 0, buf, 2);
	rig_kick(&rig, 0);
	while (rig_turn(&rig, 0) > 0)
		;
	assert_int_equal(rig_used_idx(&rig, 0), 0);
	rig_start(&rig, ALL_FEATURES);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, DATA, 512, NULL), OK);
}

/* Pseudo-random, the same each time. */
static uint32_t rnd(uint32_t below)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 32) % below;
}

/* Cut [gpa, gpa + len) into up to @max pieces, empty ones included. */
static unsigned cut(struct rig_buf *buf, gpa_t gpa, uint32_t len, bool in,
		    unsigned max)
{
	unsigned n = 0;

	while (len && n + 1 < max) {
		uint32_t piece = rnd(2) ? rnd(MIN(len, 24u) + 1) : rnd(len + 1);

		buf[n++] = (struct rig_buf){ gpa, piece, in };
		gpa += piece;
		len -= piece;
	}
	buf[n++] = (struct rig_buf){ gpa, len, in };
	return n;
}

/* [VIRTIO] 2.7.4: no assumption on framing. */
static void check_layouts(unsigned rounds, uint32_t shift)
{
	static uint8_t bytes[8192];
	struct rig_buf buf[128];
	gpa_t at = DATA + shift;
	uint32_t len, used;
	uint64_t sector;
	unsigned i, n;

	for (i = 0; i < rounds; i++) {
		len = 512 * (1 + rnd(16));
		sector = rnd(1000);
		/* Header and data to write side by side, cut anywhere. */
		rig_header(&rig, at, VIRTIO_BLK_T_OUT, sector);
		memset(bytes, (int)i + 1, len);
		(void)gmem_write(&rig.m.gmem, at + 16, bytes, len);
		n = cut(buf, at, 16 + len, false, 60);
		n += cut(buf + n, STATUS, 1, true, 3);
		assert_int_equal(send_chain(buf, n, STATUS, &used), OK);
		assert_int_equal(used, 1);
		assert_file(sector * 512, len, (int)(i + 1) & 0xff);

		/* Data to read and the status side by side. */
		rig_header(&rig, HDR, VIRTIO_BLK_T_IN, sector);
		gmem_fill(&rig.m.gmem, at, 0, len + 1);
		n = cut(buf, HDR, 16, false, 8);
		n += cut(buf + n, at, len + 1, true, 60);
		assert_int_equal(send_chain(buf, n, at + len, &used), OK);
		assert_int_equal(used, len + 1);
		(void)gmem_read(&rig.m.gmem, at, bytes, len);
		assert_int_equal(bytes[0], (i + 1) & 0xff);
		assert_memory_equal(bytes, bytes + 1, len - 1);
	}
}

static void test_layouts(void **state)
{
	(void)state;
	check_layouts(200, 3);
}

static void test_get_id(void **state)
{
	uint8_t id[32], want[32];
	uint32_t len;

	(void)state;
	memset(want, 0xaa, sizeof(want));
	memset(want, 0, 20);
	memcpy(want, "serial-1", 8);

	gmem_fill(&rig.m.gmem, DATA, 0xaa, 32);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, DATA, 20, &len), OK);
	assert_int_equal(len, 21);
	(void)gmem_read(&rig.m.gmem, DATA, id, 32);
	assert_memory_equal(id, want, 32);
	/* Too long: only 20 bytes are meant, too short: no more than fits. */
	gmem_fill(&rig.m.gmem, DATA, 0xaa, 32);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, DATA, 32, &len), OK);
	assert_int_equal(len, 20);
	(void)gmem_read(&rig.m.gmem, DATA, id, 32);
	assert_memory_equal(id, want, 32);
	gmem_fill(&rig.m.gmem, DATA, 0xaa, 32);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, DATA, 6, &len), OK);
	assert_int_equal(len, 7);
	(void)gmem_read(&rig.m.gmem, DATA, id, 32);
	assert_memory_equal(id, "serial\xaa\xaa", 8);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, DATA, 0, &len), OK);
	assert_int_equal(len, 1);
}

static void test_discard(void **state)
{
	const uint64_t max = get_le32(rig.dev->config + 36);
	const uint64_t all = RIG_DISK / 512;
	uint64_t many[17][3] = { { 0 } };

	(void)state;
	if (!virtio_has(rig.dev, VIRTIO_BLK_F_DISCARD)) {
		assert_int_equal(ranges(11, 1, (uint64_t[][3]){ { 8, 8, 0 } }),
				 UNSUPP);
		skip();
	}
	assert_int_equal(
		ranges(11, 3,
		       (uint64_t[][3]){ { 8, 8, 0 }, { 0, 0, 0 }, { 64, 16, 0 } }),
		OK);
	assert_file(0, 8 * 512, -1);
	assert_file(8 * 512, 8 * 512, 0); /* holes, on a file */
	assert_file(16 * 512, 48 * 512, -1);
	assert_file(64 * 512, 16 * 512, 0);
	assert_file(80 * 512, 512, -1);

	/* [VIRTIO] 5.2.6.2: flags, then what the configuration promised. */
	assert_int_equal(ranges(11, 1, (uint64_t[][3]){ { 0, 8, 1 } }), UNSUPP);
	assert_int_equal(ranges(11, 1, (uint64_t[][3]){ { 0, 8, 2 } }), UNSUPP);
	assert_int_equal(ranges(11, 1, (uint64_t[][3]){ { all, 1, 0 } }), IOERR);
	assert_int_equal(ranges(11, 1, (uint64_t[][3]){ { 0, all + 1, 0 } }),
			 IOERR);
	assert_int_equal(ranges(11, 1, (uint64_t[][3]){ { UINT64_MAX, 2, 0 } }),
			 IOERR);
	assert_int_equal(ranges(11, 1, (uint64_t[][3]){ { 0, max + 1, 0 } }),
			 IOERR);
	assert_int_equal(ranges(11, 1, (uint64_t[][3]){ { 0, UINT32_MAX, 0 } }),
			 IOERR);
	assert_int_equal(ranges(11, 16, (const uint64_t(*)[3])many), OK);
	assert_int_equal(ranges(11, 17, (const uint64_t(*)[3])many), IOERR);
	assert_int_equal(ranges(11, 0, NULL), IOERR);
	assert_int_equal(request(11, 0, DATA, 15, NULL), IOERR);
	assert_int_equal(request(11, 0, DATA, 17, NULL), IOERR);
	assert_file(0, 8 * 512, -1);
	assert_int_equal(file_size(), RIG_DISK);
}

static void test_write_zeroes(void **state)
{
	const uint64_t max = get_le32(rig.dev->config + 48);
	unsigned how, unmap;

	(void)state;
	/* All that the host can do; then no unmapping; then only writing. */
	for (how = 0; how < 3; how++) {
		if (how > 0)
			rig.d.can_discard = false;
		if (how > 1)
			rig.d.can_zero = false;
		for (unmap = 0; unmap < 2; unmap++) {
			uint64_t s = 16 + how * 64 + unmap * 32;

			assert_int_equal(
				ranges(13, 2,
				       (uint64_t[][3]){ { s, 8, unmap },
							{ s + 16, 1, 0 } }),
				OK);
			assert_file((s - 1) * 512, 512, -1);
			assert_file(s * 512, 8 * 512, 0);
			assert_file((s + 8) * 512, 8 * 512, -1);
			assert_file((s + 16) * 512, 512, 0);
			assert_file((s + 17) * 512, 512, -1);
		}
	}
	assert_int_equal(ranges(13, 1, (uint64_t[][3]){ { 0, 1, 2 } }), UNSUPP);
	assert_int_equal(ranges(13, 1,
				(uint64_t[][3]){ { RIG_DISK / 512, 1, 0 } }),
			 IOERR);
	assert_int_equal(ranges(13, 1, (uint64_t[][3]){ { 0, max + 1, 0 } }),
			 IOERR);
	assert_file(0, 512, -1);
	/* More than one system call's worth, all written. */
	assert_int_equal(
		ranges(13, 1, (uint64_t[][3]){ { 0, RIG_DISK / 512, 0 } }), OK);
	assert_file(0, RIG_DISK, 0);
	assert_int_equal(file_size(), RIG_DISK);
}

/* Without a negotiated flush, completion means stable. */
static void test_no_flush(void **state)
{
	(void)state;
	assert_false(virtio_has(rig.dev, VIRTIO_BLK_F_FLUSH));
	gmem_fill(&rig.m.gmem, DATA, 0x42, 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 5, DATA, 512, NULL), OK);
	assert_file(5 * 512, 512, 0x42);
	assert_int_equal(ranges(13, 1, (uint64_t[][3]){ { 7, 2, 0 } }), OK);
	assert_file(7 * 512, 1024, 0);
}

static void test_readonly(void **state)
{
	uint32_t len;

	(void)state;
	assert_true(rig.dev->features & BIT(VIRTIO_BLK_F_RO));
	assert_false(rig.dev->features & BIT(VIRTIO_BLK_F_DISCARD));
	assert_false(rig.dev->features & BIT(VIRTIO_BLK_F_WRITE_ZEROES));
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, DATA, 512, &len), IOERR);
	assert_int_equal(ranges(11, 1, (uint64_t[][3]){ { 0, 8, 0 } }), UNSUPP);
	assert_int_equal(ranges(13, 1, (uint64_t[][3]){ { 0, 8, 0 } }), UNSUPP);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, DATA, 0, NULL), OK);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 2, DATA, 512, NULL), OK);
	assert_ram(DATA, 1024, 512);
	assert_file(0, RIG_DISK, -1);
}

/* The file was made shorter behind our back. */
static void test_truncated(void **state)
{
	uint32_t len;

	(void)state;
	assert_int_equal(truncate(rig.path, 10 * 512 + 100), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 100, DATA, 512, &len), IOERR);
	assert_int_equal(len, 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 8, DATA, 4096, &len), IOERR);
	assert_int_equal(len, 2 * 512 + 100);
	assert_ram(DATA, 8 * 512, 2 * 512 + 100);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 8, DATA, 1024, &len), OK);
	assert_int_equal(rig.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

static void swap_fd(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(dup2(fd, rig.d.fd), rig.d.fd);
	(void)close(fd);
}

static void test_host_errors(void **state)
{
	(void)state;
	/* ENOSPC, and a device without fallocate. */
	swap_fd("/dev/full", O_RDWR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, DATA, 512, NULL), IOERR);
	assert_int_equal(ranges(13, 1, (uint64_t[][3]){ { 0, 8, 0 } }), IOERR);
	if (virtio_has(rig.dev, VIRTIO_BLK_F_DISCARD)) {
		assert_true(ranges(11, 1, (uint64_t[][3]){ { 0, 8, 0 } }) != OK);
	}
	/* EBADF */
	swap_fd(rig.path, O_RDONLY);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, DATA, 512, NULL), IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, DATA, 512, NULL), OK);
	swap_fd(rig.path, O_WRONLY);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, DATA, 512, NULL), IOERR);
	/* EISDIR, EINVAL */
	swap_fd("/tmp", O_RDONLY);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, DATA, 512, NULL), IOERR);
	/* It lives. */
	swap_fd(rig.path, O_RDWR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, DATA, 512, NULL), OK);
	assert_int_equal(rig.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

static void test_direct(void **state)
{
	uint32_t len;

	(void)state;
	if (!rig.b)
		skip();
	assert_true(rig.d.direct);
	/* Aligned: straight into guest memory. */
	assert_int_equal(request(VIRTIO_BLK_T_IN, 8, DATA, 65536, &len), OK);
	assert_int_equal(len, 65537);
	assert_ram(DATA, 8 * 512, 65536);
	/* Not aligned, longer than a bounce buffer. */
	assert_int_equal(request(VIRTIO_BLK_T_IN, 8, DATA + 5,
				 3 * BLK_BOUNCE_SIZE + 512, &len),
			 OK);
	assert_int_equal(len, 3 * BLK_BOUNCE_SIZE + 513);
	assert_ram(DATA + 5, 8 * 512, 3 * BLK_BOUNCE_SIZE + 512);
	gmem_fill(&rig.m.gmem, DATA, 0x3c, 2 * BLK_BOUNCE_SIZE + 1024);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 16, DATA + 1,
				 2 * BLK_BOUNCE_SIZE + 512, NULL),
			 OK);
	assert_file(16 * 512, 2 * BLK_BOUNCE_SIZE + 512, 0x3c);
	assert_file(16 * 512 + 2 * BLK_BOUNCE_SIZE + 512, 512, -1);
	assert_int_equal(rig.b->n_bounce, BLK_BOUNCES);
	check_layouts(100, 7);
	assert_int_equal(rig.b->n_bounce, BLK_BOUNCES);
	/* Writing zeroes from memory is aligned as well. */
	rig.d.can_discard = rig.d.can_zero = false;
	assert_int_equal(ranges(13, 1, (uint64_t[][3]){ { 8, 24, 0 } }), OK);
	assert_file(8 * 512, 24 * 512, 0);
}

/* More unaligned requests at once than there are bounce buffers. */
static void test_direct_many(void **state)
{
	struct rig_buf buf[3] = { { HDR, 16, false }, { 0 }, { 0 } };
	unsigned i;

	(void)state;
	if (!rig.b)
		skip();
	for (i = 0; i < 20; i++) {
		rig_header(&rig, HDR + i * 16, VIRTIO_BLK_T_IN, i * 8);
		buf[0].gpa = HDR + i * 16;
		buf[1] = (struct rig_buf){ DATA + i * KIB(100) + 1, KIB(80),
					   true };
		buf[2] = (struct rig_buf){ HDR + 4096 + i, 1, true };
		rig_add(&rig, 0, buf, 3);
	}
	rig_kick(&rig, 0);
	assert_true(rig_wait(&rig, 0, 20));
	for (i = 0; i < 20; i++)
		assert_ram(DATA + i * KIB(100) + 1, i * 8 * 512, KIB(80));
	assert_int_equal(rig.b->n_bounce, BLK_BOUNCES);
	assert_int_equal(rig.b->n_free, BLK_SLOTS);
}

static void test_queues(void **state)
{
	struct rig_buf buf[3] = { { 0 } };
	unsigned q;

	(void)state;
	for (q = 0; q < RIG_QUEUES; q++) {
		rig_header(&rig, HDR + q * 16, VIRTIO_BLK_T_IN, q);
		buf[0] = (struct rig_buf){ HDR + q * 16, 16, false };
		buf[1] = (struct rig_buf){ DATA + q * 512, 512, true };
		buf[2] = (struct rig_buf){ STATUS + q, 1, true };
		rig_add(&rig, q, buf, 3);
		rig_kick(&rig, q);
	}
	for (q = 0; q < RIG_QUEUES; q++) {
		assert_true(rig_wait(&rig, q, 1));
		assert_int_equal(rig.irqs[q], 1);
		assert_int_equal(rig_used_idx(&rig, q), 1);
	}
	assert_ram(DATA, 0, RIG_QUEUES * 512);
}

/* An indirect table with 254 data segments: what seg_max promises. */
static void test_seg_max(void **state)
{
	const gpa_t table = RIG_BUF + KIB(16);
	uint32_t head, len;
	uint8_t st = 0xee;
	unsigned i;

	(void)state;
	rig_header(&rig, HDR, VIRTIO_BLK_T_IN, 1);
	rig_desc(&rig, table, HDR, 16, VRING_DESC_F_NEXT, 1);
	for (i = 0; i < 254; i++)
		rig_desc(&rig, table + (i + 1) * 16, DATA + i * 1024, 512,
			 VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
			 (uint16_t)(i + 2));
	rig_desc(&rig, table + 255 * 16, STATUS, 1, VRING_DESC_F_WRITE, 0);
	rig_desc(&rig, rig_ring(0), table, 256 * 16, VRING_DESC_F_INDIRECT, 0);
	(void)gmem_store16(&rig.m.gmem, rig_avail(0) + 4, 0);
	(void)gmem_store16(&rig.m.gmem, rig_avail(0) + 2, 1);
	rig_kick(&rig, 0);
	assert_true(rig_wait(&rig, 0, 1));
	rig_used_elem(&rig, 0, 0, &head, &len);
	assert_int_equal(len, 254 * 512 + 1);
	(void)gmem_read(&rig.m.gmem, STATUS, &st, 1);
	assert_int_equal(st, OK);
	for (i = 0; i < 254; i++)
		assert_ram(DATA + i * 1024, (i + 1) * 512, 512);
}

static void test_create_args(void **state)
{
	struct blk *b = NULL;

	assert_int_equal(blk_create_engine(&rig.m, &rig.d, 0, "x", *state, &b),
			 -EINVAL);
	assert_int_equal(blk_create_engine(&rig.m, &rig.d, 17, "x", *state, &b),
			 -EINVAL);
	assert_int_equal(blk_create_engine(&rig.m, &rig.d, 1,
					   "123456789012345678901", *state, &b),
			 -EINVAL);
	assert_null(b);
	assert_int_equal(
		blk_create(&rig.m, &rig.d, 1, "12345678901234567890", &b), 0);
	assert_false(blk_virtio(b)->features & BIT(VIRTIO_BLK_F_MQ));
	blk_destroy(b);
	blk_destroy(NULL);
}

#define T(engine, f, setup)                                     \
	{                                                       \
#f " (" #engine ")", f, setup, down,            \
			(void *)(uintptr_t)&blk_engine_##engine \
	}
#define BOTH(f, setup) T(sync, f, setup), T(uring, f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_config, up),
		BOTH(test_read, up),
		BOTH(test_write, up),
		BOTH(test_out_of_range, up),
		BOTH(test_unknown_type, up),
		BOTH(test_short_header, up),
		BOTH(test_no_status, up),
		BOTH(test_layouts, up),
		BOTH(test_get_id, up),
		BOTH(test_discard, up),
		BOTH(test_write_zeroes, up),
		BOTH(test_no_flush, up_no_flush),
		BOTH(test_readonly, up_readonly),
		BOTH(test_truncated, up),
		BOTH(test_host_errors, up),
		BOTH(test_direct, up_direct),
		BOTH(test_direct_many, up_direct),
		BOTH(test_queues, up),
		BOTH(test_seg_max, up),
		BOTH(test_create_args, up),
	};

	cmocka_set_skip_filter(rig_skip_filter());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
