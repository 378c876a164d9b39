/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Order, exhaustion, faults and reset, with an engine that holds operations
 * back, completes the last one first, transfers less than asked, or fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "tests/unit/blk_rig.h"

#define HDR    RIG_BUF
#define STATUS (RIG_BUF + KIB(32))
#define DATA   (RIG_BUF + KIB(64))
#define ALL    (4 * RIG_QSIZE / 2) /* requests of two descriptors */

static struct rig rig;

/* How the engine behaves; set anew for each test. */
static struct {
	bool hold;
	bool hang;	    /* ... and waiting does not help */
	unsigned max_bytes; /* of one transfer; 0: no limit */
	int fail;	    /* result of the next @n_fail operations */
	unsigned n_fail;
	unsigned n_ops, n_cancel;
	struct blk_op *op[BLK_SLOTS];
	unsigned n;
} test;

static int t_init(struct blk_io *io)
{
	(void)io;
	return 0;
}

static void t_fini(struct blk_io *io)
{
	assert_int_equal(io->n_inflight, 0);
	assert_int_equal(test.n, 0);
}

static int t_rw(struct blk_io *io, struct blk_op *op)
{
	struct iovec iov[BLK_IOV_MAX];
	int n = io->iov(op, iov);
	ssize_t got;

	if (n < 0)
		return n;
	assert_in_range(n, 1, BLK_IOV_MAX);
	if (test.max_bytes) {
		iov[0].iov_len = MIN(iov[0].iov_len, (size_t)test.max_bytes);
		n = 1;
	}
	if (op->kind == BLK_OP_READ)
		got = preadv(io->disk->fd, iov, n, (off_t)op->off);
	else
		got = pwritev(io->disk->fd, iov, n, (off_t)op->off);
	return got < 0 ? -errno : (int)got;
}

static void t_do(struct blk_io *io, struct blk_op *op)
{
	int r = 0;

	test.n_ops++;
	if (test.n_fail) {
		test.n_fail--;
		r = test.fail;
	} else if (op->kind == BLK_OP_READ || op->kind == BLK_OP_WRITE) {
		r = t_rw(io, op);
	} else if (op->kind == BLK_OP_ZERO) {
		r = disk_zero(io->disk, op->off, op->len, op->unmap);
	}
	io->done(op, r);
}

static void t_submit(struct blk_io *io)
{
	struct blk_op *op;

	while ((op = blk_io_dequeue(io))) {
		assert_true(test.n < BLK_SLOTS);
		test.op[test.n++] = op;
		io->n_inflight++;
	}
	if (!test.hold && test.n)
		blk_io_poke(io);
}

/* The last one first. */
static void t_reap(struct blk_io *io)
{
	unsigned n;

	if (test.hold)
		return;
	for (n = test.n; n && test.n; n--) {
		io->n_inflight--;
		t_do(io, test.op[--test.n]);
	}
	if (test.n)
		blk_io_poke(io);
}

static void t_wait(struct blk_io *io, unsigned ms)
{
	(void)ms;
	assert_true(io->n_inflight > 0);
	if (!test.hang)
		test.hold = false;
}

static void t_cancel(struct blk_io *io)
{
	assert_true(io->n_inflight > 0);
	test.n_cancel++;
}

static const struct blk_engine engine_test = {
	.name = "test",
	.init = t_init,
	.fini = t_fini,
	.submit = t_submit,
	.reap = t_reap,
	.wait = t_wait,
	.cancel = t_cancel,
};

static int up_with(const struct blk_engine *engine, bool direct)
{
	int r;

	memset(&test, 0, sizeof(test));
	r = rig_up(&rig, engine, false, direct);
	if (r == -EINVAL && direct)
		return 0; /* no O_DIRECT on this file system */
	if (r < 0)
		return -1;
	rig_start(&rig, RIG_BASIC | (rig.dev->features & 0xffffff));
	return 0;
}

static int up(void **state)
{
	(void)state;
	return up_with(&engine_test, false);
}

static int up_direct(void **state)
{
	(void)state;
	return up_with(&engine_test, true);
}

static int up_uring(void **state)
{
	(void)state;
	return up_with(&blk_engine_uring, false);
}

static int down(void **state)
{
	(void)state;
	rig_down(&rig);
	return 0;
}

static void settle(void)
{
	while (rig_turn(&rig, 0) > 0)
		;
}

/* The host has finished what it held. */
static void let_go(void)
{
	test.hold = false;
	blk_io_poke(&rig.b->io);
	settle();
}

/* A read of @len bytes at sector @i to its own place, no kick. */
static void add_read(unsigned q, unsigned i, uint32_t len)
{
	struct rig_buf buf[2] = { { HDR + i * 16, 16, false },
				  { DATA + (uint64_t)i * (len + 8), len + 1,
				    true } };

	rig_header(&rig, buf[0].gpa, VIRTIO_BLK_T_IN, i);
	gmem_fill(&rig.m.gmem, buf[1].gpa, 0xee, len + 1);
	rig_add(&rig, q, buf, 2);
}

/* Is read @i there and right, with its status? */
static bool read_done(unsigned i, uint32_t len)
{
	static uint8_t buf[KIB(64) + 1];
	uint32_t k;

	(void)gmem_read(&rig.m.gmem, DATA + (uint64_t)i * (len + 8), buf,
			len + 1);
	for (k = 0; k < len; k++) {
		if (buf[k] != rig_pattern(i * 512ULL + k))
			return false;
	}
	return buf[len] == VIRTIO_BLK_S_OK;
}

static bool ram_is(gpa_t at, uint32_t len, int byte)
{
	uint8_t c;

	for (; len; at++, len--) {
		(void)gmem_read(&rig.m.gmem, at, &c, 1);
		if (c != byte)
			return false;
	}
	return true;
}

/* More requests than slots: each is answered once, no kick is lost. */
static void test_exhaustion(void **state)
{
	unsigned i, q, total = 0;

	(void)state;
	test.hold = true;
	for (i = 0; i < ALL; i++)
		add_read(i % RIG_QUEUES, i, 512);
	for (q = 0; q < RIG_QUEUES; q++)
		rig_kick(&rig, q);
	settle();
	assert_int_equal(test.n, BLK_SLOTS);
	assert_int_equal(rig.b->n_free, 0);
	/* A kick while full must not spin either: settle() came back. */
	rig_kick(&rig, 3);
	settle();
	assert_int_equal(test.n, BLK_SLOTS);

	test.hold = false;
	blk_io_poke(&rig.b->io);
	settle();
	for (q = 0; q < RIG_QUEUES; q++)
		total += rig_used_idx(&rig, q);
	assert_int_equal(total, ALL);
	for (i = 0; i < ALL; i++)
		assert_true(read_done(i, 512));
	assert_int_equal(rig.b->n_free, BLK_SLOTS);
	/* All queues ask for kicks again. */
	for (q = 0; q < RIG_QUEUES; q++)
		assert_true(rig_wants_kick(&rig, q));
}

/* Buffers added without a kick while the device said it needs none. */
static void test_no_lost_kick(void **state)
{
	unsigned i;

	(void)state;
	test.hold = true;
	for (i = 0; i < 128; i++)
		add_read(0, i, 512);
	rig_kick(&rig, 0);
	settle();
	assert_int_equal(test.n, BLK_SLOTS);
	test.hold = false;
	blk_io_poke(&rig.b->io);
	settle();
	assert_int_equal(rig_used_idx(&rig, 0), 128);

	test.hold = true;
	for (i = 0; i < 120; i++)
		add_read(0, i, 512);
	for (i = 120; i < 240; i++)
		add_read(1, i, 512);
	rig_kick(&rig, 0);
	rig_kick(&rig, 1);
	settle();
	assert_false(rig_wants_kick(&rig, 1));
	for (i = 240; i < 248; i++)
		add_read(1, i, 512); /* silently */
	test.hold = false;
	blk_io_poke(&rig.b->io);
	settle();
	assert_int_equal(rig_used_idx(&rig, 0), 248);
	assert_int_equal(rig_used_idx(&rig, 1), 128);
}

/* Short transfers of every size go on where they stopped. */
static void test_short(void **state)
{
	static const unsigned max[] = { 1, 7, 511, 512, 513, 1000 };
	struct rig_buf buf[4];
	uint8_t bytes[2048], back[2048];
	unsigned i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(max); i++) {
		test.max_bytes = max[i];
		add_read(0, i, 2048);
		rig_kick(&rig, 0);
		settle();
		assert_true(read_done(i, 2048));

		for (k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)(k * 3 + i);
		rig_header(&rig, HDR, VIRTIO_BLK_T_OUT, 100 + i * 4);
		(void)gmem_write(&rig.m.gmem, DATA, bytes, sizeof(bytes));
		buf[0] = (struct rig_buf){ HDR, 16, false };
		buf[1] = (struct rig_buf){ DATA, 700, false };
		buf[2] = (struct rig_buf){ DATA + 700, 1348, false };
		buf[3] = (struct rig_buf){ STATUS, 1, true };
		rig_add(&rig, 0, buf, 4);
		rig_kick(&rig, 0);
		settle();
		assert_int_equal(pread(rig.d.fd, back, sizeof(back),
				       (100 + i * 4) * 512),
				 sizeof(back));
		assert_memory_equal(back, bytes, sizeof(back));
		assert_true(ram_is(STATUS, 1, VIRTIO_BLK_S_OK));
	}
}

/* The same through a bounce buffer: its rest goes first. */
static void test_short_bounced(void **state)
{
	_Alignas(4096) static uint8_t buf[4096];
	struct rig_buf out[3] = { { HDR, 16, false },
				  { DATA + 3, 4096, false },
				  { STATUS, 1, true } };
	unsigned i;

	(void)state;
	if (!rig.b)
		skip();

	test.max_bytes = rig.d.block_size;
	rig_header(&rig, HDR, VIRTIO_BLK_T_OUT, 8);
	for (i = 0; i < 4096; i++)
		buf[i] = (uint8_t)(i * 5 + i / 256);
	(void)gmem_write(&rig.m.gmem, DATA + 3, buf, 4096);
	rig_add(&rig, 0, out, 3);
	rig_kick(&rig, 0);
	settle();
	assert_true(ram_is(STATUS, 1, VIRTIO_BLK_S_OK));
	assert_int_equal(test.n_ops, 4096 / rig.d.block_size);
	memset(buf, 0, 4096);
	assert_int_equal(pread(rig.d.fd, buf, 4096, 8 * 512), 4096);
	for (i = 0; i < 4096; i++)
		assert_int_equal(buf[i], (uint8_t)(i * 5 + i / 256));

	rig_header(&rig, HDR, VIRTIO_BLK_T_IN, 8);
	gmem_fill(&rig.m.gmem, DATA, 0, 8192);
	out[1].in = true;
	rig_add(&rig, 0, out, 3);
	rig_kick(&rig, 0);
	settle();
	(void)gmem_read(&rig.m.gmem, DATA + 3, buf, 4096);
	for (i = 0; i < 4096; i++)
		assert_int_equal(buf[i], (uint8_t)(i * 5 + i / 256));
	assert_int_equal(rig.b->n_bounce, BLK_BOUNCES);
}

static void test_retry(void **state)
{
	static const int again[] = { -EINTR, -EAGAIN };
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		test.fail = again[i];
		test.n_fail = 5;
		add_read(0, i, 512);
		rig_kick(&rig, 0);
		settle();
		assert_true(read_done(i, 512));
	}
	/* But not for ever. */
	test.n_fail = UINT32_MAX;
	test.n_ops = 0;
	add_read(0, 9, 512);
	rig_kick(&rig, 0);
	settle();
	assert_int_equal(rig_used_idx(&rig, 0), 3);
	assert_true(ram_is(DATA + 9 * 520 + 512, 1, VIRTIO_BLK_S_IOERR));
	assert_true(test.n_ops < 100);
}

/* What each kind of operation says when the host has no luck. */
static void test_errors(void **state)
{
	static const int err[] = { -EIO,    -ENOSPC, -EDQUOT, -ENODEV,
				   -ENOMEM, -EINVAL, -4095 };
	static const uint32_t type[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
					 VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_DISCARD,
					 VIRTIO_BLK_T_WRITE_ZEROES };
	struct rig_buf buf[3] = { { HDR, 16, false },
				  { DATA, 512, false },
				  { STATUS, 1, true } };
	uint8_t range[16] = { 0 };
	unsigned i, t;

	(void)state;
	put_le32(range + 8, 1);
	for (t = 0; t < ARRAY_SIZE(type); t++) {
		bool many = t > 2;

		if (type[t] == VIRTIO_BLK_T_DISCARD && !rig.d.can_discard)
			continue;
		for (i = 0; i < ARRAY_SIZE(err); i++) {
			test.fail = err[i];
			test.n_fail = 1;
			rig_header(&rig, HDR, type[t], 0);
			(void)gmem_write(&rig.m.gmem, DATA, range, 16);
			gmem_fill(&rig.m.gmem, STATUS, 0xee, 1);
			buf[1].in = type[t] == VIRTIO_BLK_T_IN;
			buf[1].len = many ? 16 : 512;
			rig_add(&rig, 0, buf, 3);
			rig_kick(&rig, 0);
			settle();
			assert_true(ram_is(STATUS, 1, VIRTIO_BLK_S_IOERR));
			assert_int_equal(test.n_fail, 0);
		}
	}
	assert_int_equal(rig.b->n_free, BLK_SLOTS);
	assert_int_equal(rig.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
	/* Unsupported discard is said so. */
	if (!rig.d.can_discard)
		return;
	test.fail = -EOPNOTSUPP;
	test.n_fail = 1;
	rig_header(&rig, HDR, VIRTIO_BLK_T_DISCARD, 0);
	(void)gmem_write(&rig.m.gmem, DATA, range, 16);
	buf[1].in = false;
	rig_add(&rig, 0, buf, 3);
	rig_kick(&rig, 0);
	settle();
	assert_true(ram_is(STATUS, 1, VIRTIO_BLK_S_UNSUPP));
}

/*
 * Reset with everything in flight: it waits for nothing, the driver does; and
 * nothing is written afterwards.
 */
static void test_reset_inflight(void **state)
{
	unsigned i;

	(void)state;
	test.hold = true;
	for (i = 0; i < ALL; i++)
		add_read(i % RIG_QUEUES, i, 512);
	for (i = 0; i < RIG_QUEUES; i++)
		rig_kick(&rig, i);
	settle();
	assert_int_equal(test.n, BLK_SLOTS);
	virtio_set_status(rig.dev, 0);
	assert_int_equal(test.n, BLK_SLOTS);
	assert_int_equal(test.n_cancel, 1);
	/* As long as the host takes, [VIRTIO] 4.1.4.3.2. */
	rig_kick(&rig, 0);
	blk_io_poke(&rig.b->io);
	settle();
	virtio_set_status(rig.dev, 0);
	assert_true(rig.dev->status & VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(test.n_cancel, 1);
	let_go();
	assert_int_equal(test.n, 0);
	assert_int_equal(rig.dev->status, 0);
	assert_int_equal(rig.b->n_free, BLK_SLOTS);
	for (i = 0; i < RIG_QUEUES; i++) {
		assert_int_equal(rig_used_idx(&rig, i), 0);
		assert_int_equal(rig.irqs[i], 0);
	}
	/* No status either. */
	for (i = 0; i < ALL; i++)
		assert_true(ram_is(DATA + i * 520 + 512, 1, 0xee));
	settle();
	rig_start(&rig, RIG_BASIC);
	settle();
	assert_int_equal(test.n_ops, BLK_SLOTS);
	add_read(2, 3, 512);
	rig_kick(&rig, 2);
	settle();
	assert_true(read_done(3, 512));
	assert_int_equal(rig_used_idx(&rig, 2), 1);
}

/* Reset while requests wait for bounce buffers. */
static void test_reset_bounced(void **state)
{
	struct rig_buf buf[2] = { { HDR, 16, false }, { DATA + 1, 513, true } };
	unsigned i;

	(void)state;
	if (!rig.b)
		skip();
	test.hold = true;
	rig_header(&rig, HDR, VIRTIO_BLK_T_IN, 0);
	for (i = 0; i < 10; i++)
		rig_add(&rig, 0, buf, 2);
	rig_kick(&rig, 0);
	settle();
	assert_int_equal(test.n, BLK_BOUNCES);
	assert_int_equal(rig.b->n_free, BLK_SLOTS - 10);
	virtio_set_status(rig.dev, 0);
	assert_null(rig.b->wait_head);
	assert_int_equal(rig.b->n_free, BLK_SLOTS - BLK_BOUNCES);
	let_go();
	assert_int_equal(rig.dev->status, 0);
	assert_int_equal(rig.b->n_free, BLK_SLOTS);
	assert_int_equal(rig.b->n_bounce, BLK_BOUNCES);
	rig_start(&rig, RIG_BASIC);
	rig_add(&rig, 0, buf, 2);
	rig_kick(&rig, 0);
	settle();
	assert_int_equal(rig_used_idx(&rig, 0), 1);
}

/* The ring breaks while requests are in flight; then destroy without reset. */
static void test_broken_inflight(void **state)
{
	unsigned i;

	(void)state;
	test.hold = true;
	for (i = 0; i < 10; i++)
		add_read(0, i, 512);
	rig_kick(&rig, 0);
	settle();
	/* An index that is out of the table. */
	(void)gmem_store16(&rig.m.gmem, rig_avail(0) + 4 + 10 * 2, 0x7fff);
	(void)gmem_store16(&rig.m.gmem, rig_avail(0) + 2, 11);
	rig_kick(&rig, 0);
	settle();
	assert_true(rig.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	test.hold = false;
	blk_io_poke(&rig.b->io);
	settle();
	assert_int_equal(rig_used_idx(&rig, 0), 0);
	assert_int_equal(rig.b->n_free, BLK_SLOTS);
	test.hold = true;
	rig_start(&rig, RIG_BASIC);
	for (i = 0; i < 10; i++)
		add_read(0, i, 512);
	rig_kick(&rig, 0);
	settle();
	assert_int_equal(test.n, 10);
}

/* A state is saved while a reset is under way. */
static void test_quiesce_resetting(void **state)
{
	(void)state;
	test.hold = true;
	add_read(0, 0, 512);
	rig_kick(&rig, 0);
	settle();
	virtio_set_status(rig.dev, 0);
	assert_true(rig.dev->resetting);
	assert_int_equal(blk_quiesce(rig.b), 0);
	assert_int_equal(rig.dev->status, 0);
	blk_resume(rig.b);
	rig_start(&rig, RIG_BASIC);
	add_read(0, 1, 512);
	rig_kick(&rig, 0);
	settle();
	assert_true(read_done(1, 512));
}

/* The VMM ends although the host never finishes a request. */
static void test_hung_destroy(void **state)
{
	static struct blk *left; /* where the leak checker finds it */
	unsigned i;

	(void)state;
	test.hold = test.hang = true;
	for (i = 0; i < 3; i++)
		add_read(0, i, 512);
	rig_kick(&rig, 0);
	settle();
	left = rig.b;
	left->patience_ms = 1;
	blk_destroy(left);
	rig.b = NULL;
	/* The kernel might still use all of it. */
	assert_int_equal(left->io.n_inflight, 3);
	assert_int_equal(left->n_free, BLK_SLOTS - 3);
	(void)close(left->io.event);
}

/* The host does not finish: the guest can't be moved, and goes on. */
static void test_quiesce_hung(void **state)
{
	struct snap_error err;
	unsigned i;

	(void)state;
	test.hold = test.hang = true;
	rig.b->patience_ms = 1;
	for (i = 0; i < 3; i++)
		add_read(0, i, 512);
	rig_kick(&rig, 0);
	settle();
	assert_int_equal(snap_freeze_all(&rig.m.snap, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "blk 0: freeze"));
	assert_false(rig.dev->frozen);
	test.hold = test.hang = false;
	add_read(0, 3, 512);
	rig_kick(&rig, 0);
	settle();
	assert_int_equal(rig_used_idx(&rig, 0), 3 + 1);
	for (i = 0; i < 4; i++)
		assert_true(read_done(i, 512));
}

static void test_quiesce(void **state)
{
	unsigned i;

	(void)state;
	test.hold = true;
	for (i = 0; i < 100; i++)
		add_read(0, i, 512);
	rig_kick(&rig, 0);
	settle();
	assert_int_equal(rig_used_idx(&rig, 0), 0);
	blk_quiesce(rig.b);
	assert_int_equal(rig_used_idx(&rig, 0), 100);
	assert_int_equal(rig.irqs[0], 1);
	assert_int_equal(rig.b->n_free, BLK_SLOTS);
	/* Kicks come and are kept. */
	for (i = 100; i < 128; i++)
		add_read(0, i, 512);
	rig_kick(&rig, 0);
	settle();
	assert_int_equal(rig_used_idx(&rig, 0), 100);
	assert_int_equal(rig.dev->queue[0].vq.last_avail, 100);
	blk_resume(rig.b);
	settle();
	assert_int_equal(rig_used_idx(&rig, 0), 128);
	for (i = 0; i < 128; i++)
		assert_true(read_done(i, 512));
}

static void test_quiesce_bounced(void **state)
{
	struct rig_buf buf[2] = { { HDR, 16, false },
				  { DATA + 1, KIB(200) + 1, true } };
	unsigned i;

	(void)state;
	if (!rig.b)
		skip();
	test.hold = true;
	rig_header(&rig, HDR, VIRTIO_BLK_T_IN, 0);
	for (i = 0; i < 30; i++)
		rig_add(&rig, 0, buf, 2);
	rig_kick(&rig, 0);
	settle();
	blk_quiesce(rig.b);
	assert_int_equal(rig_used_idx(&rig, 0), 30);
	assert_int_equal(rig.b->n_free, BLK_SLOTS);
	blk_resume(rig.b);
	settle();
}

static bool page_dirty(gpa_t at)
{
	uint64_t map[RIG_RAM / 4096 / 64] = { 0 };

	gmem_dirty_fetch(&rig.m.gmem, 0, map);
	return map[at / 4096 / 64] >> (at / 4096 % 64) & 1;
}

/* Marked when the read completes: KVM's log never sees it. */
static void test_dirty(void **state)
{
	struct rig_buf buf[3] = { { HDR, 16, false },
				  { DATA, 3 * 4096, true },
				  { STATUS, 1, true } };
	uint64_t map[RIG_RAM / 4096 / 64] = { 0 };
	gpa_t p;

	(void)state;
	test.hold = true;
	rig_header(&rig, HDR, VIRTIO_BLK_T_IN, 0);
	rig_add(&rig, 0, buf, 3);
	rig_kick(&rig, 0);
	settle();
	gmem_dirty_fetch(&rig.m.gmem, 0, map);
	assert_false(page_dirty(DATA));
	test.hold = false;
	blk_io_poke(&rig.b->io);
	settle();
	memset(map, 0, sizeof(map));
	gmem_dirty_fetch(&rig.m.gmem, 0, map);
	for (p = DATA; p < DATA + 3 * 4096; p += 4096)
		assert_true(map[p / 4096 / 64] >> (p / 4096 % 64) & 1);
	p = STATUS;
	assert_true(map[p / 4096 / 64] >> (p / 4096 % 64) & 1);
	p = rig_used(0);
	assert_true(map[p / 4096 / 64] >> (p / 4096 % 64) & 1);
	p = DATA + 3 * 4096;
	assert_false(map[p / 4096 / 64] >> (p / 4096 % 64) & 1);

	/* A write to the disk leaves guest memory alone. */
	rig_header(&rig, HDR, VIRTIO_BLK_T_OUT, 0);
	buf[1].in = false;
	rig_add(&rig, 0, buf, 3);
	rig_kick(&rig, 0);
	settle();
	assert_false(page_dirty(DATA));

	/* Dropped by a reset, but the kernel may have written. */
	test.hold = true;
	rig_header(&rig, HDR, VIRTIO_BLK_T_IN, 0);
	buf[1].in = true;
	rig_add(&rig, 0, buf, 3);
	rig_kick(&rig, 0);
	settle();
	gmem_dirty_fetch(&rig.m.gmem, 0, map);
	virtio_set_status(rig.dev, 0);
	let_go();
	assert_true(page_dirty(DATA));
}

/* Real requests in flight in the kernel, reset at once, many times. */
static void test_uring_reset(void **state)
{
	unsigned i, round;

	(void)state;
	for (round = 0; round < 50; round++) {
		for (i = 0; i < 60; i++)
			add_read(i % RIG_QUEUES, i, KIB(32));
		for (i = 0; i < RIG_QUEUES; i++)
			rig_kick(&rig, i);
		(void)rig_turn(&rig, 0);
		if (round % 3 == 1)
			blk_quiesce(rig.b);
		virtio_set_status(rig.dev, 0);
		if (round % 3 == 1)
			blk_resume(rig.b);
		while (rig.dev->status)
			assert_true(rig_turn(&rig, 20000) > 0);
		assert_int_equal(rig.b->n_free, BLK_SLOTS);
		assert_int_equal(rig.b->io.n_inflight, 0);
		gmem_fill(&rig.m.gmem, DATA, 0x99, MIB(2));
		settle();
		assert_true(ram_is(DATA, MIB(1) / 4, 0x99));
		rig_start(&rig, RIG_BASIC);
	}
	add_read(0, 0, KIB(32));
	rig_kick(&rig, 0);
	assert_true(rig_wait(&rig, 0, 1));
	assert_true(read_done(0, KIB(32)));
}

/* A ring is no way around the system call filter. */
static void test_uring_restricted(void **state)
{
	/* First member of the engine's own struct. */
	struct io_uring *ring = rig.b->io.priv;
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe = NULL;

	(void)state;
	assert_non_null(sqe);
	io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	io_uring_sqe_set_data(sqe, NULL);
	(void)io_uring_submit(ring);
	assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
	assert_int_equal(cqe->res, -EACCES);
	io_uring_cqe_seen(ring, cqe);
	assert_true(io_uring_register_files(ring, &rig.d.fd, 1) < 0);
	/* And it still does its work. */
	add_read(0, 0, 4096);
	rig_kick(&rig, 0);
	assert_true(rig_wait(&rig, 0, 1));
	assert_true(read_done(0, 4096));
}

/* As much as fits, again and again, in real flight. */
static void test_uring_load(void **state)
{
	uint16_t want[RIG_QUEUES] = { 0 };
	unsigned i, round;

	(void)state;
	for (round = 0; round < 20; round++) {
		for (i = 0; i < ALL; i++)
			add_read(i % RIG_QUEUES, i, 4096);
		for (i = 0; i < RIG_QUEUES; i++) {
			want[i] += ALL / RIG_QUEUES;
			rig_kick(&rig, i);
		}
		for (i = 0; i < RIG_QUEUES; i++)
			assert_true(rig_wait(&rig, i, want[i]));
		for (i = 0; i < ALL; i++)
			assert_true(read_done(i, 4096));
	}
}

#define BIG MIB(40)

static uint8_t big_buf[MIB(1)];
static int big_res[8];
static unsigned n_big_res;

/* Many vectors into the same memory, as a guest may have it. */
static int big_iov(struct blk_op *op, struct iovec *iov)
{
	unsigned i;

	for (i = 0; i < op->len / sizeof(big_buf); i++)
		iov[i] = (struct iovec){ big_buf, sizeof(big_buf) };
	return (int)i;
}

static void big_done(struct blk_op *op, int res)
{
	(void)op;
	assert_true(n_big_res < ARRAY_SIZE(big_res));
	big_res[n_big_res++] = res;
}

/* Without io_uring the loop stands still meanwhile: 16 MiB at a time. */
static void test_sync_limit(void **state)
{
	struct blk_op op[3] = { { .kind = BLK_OP_READ, .len = BIG },
				{ .kind = BLK_OP_WRITE, .len = BIG },
				{ .kind = BLK_OP_READ, .len = MIB(2) } };
	struct blk_io io = { .depth = 3, .iov = big_iov, .done = big_done };
	struct disk d = { .fd = memfd_create("disk", MFD_CLOEXEC) };
	eventfd_t n;
	unsigned i;

	(void)state;
	assert_int_equal(ftruncate(d.fd, BIG), 0);
	io.disk = &d;
	assert_int_equal(blk_io_init(&io, &blk_engine_sync), 0);
	for (i = 0; i < 3; i++)
		blk_io_queue(&io, &op[i]);
	for (i = 0; i < 2; i++) {
		blk_io_run(&io);
		assert_int_equal(n_big_res, i + 1);
		assert_int_equal(big_res[i], MIB(16));
		/* The loop comes back for the rest. */
		assert_int_equal(eventfd_read(io.event, &n), 0);
	}
	blk_io_run(&io);
	assert_int_equal(big_res[2], MIB(2));
	assert_int_equal(eventfd_read(io.event, &n), -1);
	blk_io_fini(&io);
	(void)close(d.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exhaustion, up, down),
		cmocka_unit_test_setup_teardown(test_no_lost_kick, up, down),
		cmocka_unit_test_setup_teardown(test_short, up, down),
		cmocka_unit_test_setup_teardown(test_short_bounced, up_direct,
						down),
		cmocka_unit_test_setup_teardown(test_retry, up, down),
		cmocka_unit_test_setup_teardown(test_errors, up, down),
		cmocka_unit_test_setup_teardown(test_reset_inflight, up, down),
		cmocka_unit_test_setup_teardown(test_reset_bounced, up_direct,
						down),
		cmocka_unit_test_setup_teardown(test_broken_inflight, up, down),
		cmocka_unit_test_setup_teardown(test_hung_destroy, up, down),
		cmocka_unit_test_setup_teardown(test_quiesce_resetting, up, down),
		cmocka_unit_test_setup_teardown(test_quiesce_hung, up, down),
		cmocka_unit_test_setup_teardown(test_quiesce, up, down),
		cmocka_unit_test_setup_teardown(test_quiesce_bounced, up_direct,
						down),
		cmocka_unit_test_setup_teardown(test_dirty, up, down),
		cmocka_unit_test_setup_teardown(test_uring_reset, up_uring, down),
		cmocka_unit_test_setup_teardown(test_uring_restricted, up_uring,
						down),
		cmocka_unit_test_setup_teardown(test_uring_load, up_uring, down),
		cmocka_unit_test(test_sync_limit),
	};

	cmocka_set_skip_filter(rig_skip_filter());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
