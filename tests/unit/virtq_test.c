/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The split ring against a driver written from [VIRTIO] 2.7 alone. */
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "core/bytes.h"
#include "core/gmem.h"
#include "core/util.h"
#include "devices/virtq.h"

#define F_NEXT	   1
#define F_WRITE	   2
#define F_INDIRECT 4

#define DESC	 0x10000u
#define AVAIL	 0x20000u
#define USED	 0x30000u
#define TABLE	 0x40000u
#define DATA	 0x80000u
#define RAM_SIZE MIB(1)

/* The driver's side: it pokes bytes, nothing is shared with the device code. */
struct driver {
	struct gmem gm;
	struct virtq q;
	uint16_t avail_idx;
};

static struct driver drv;
static struct chain chain;

static void poke16(gpa_t at, uint16_t v)
{
	uint8_t b[2] = { (uint8_t)v, (uint8_t)(v >> 8) };

	assert_int_equal(gmem_write(&drv.gm, at, b, 2), 0);
}

static uint16_t peek16(gpa_t at)
{
	uint8_t b[2];

	assert_int_equal(gmem_read(&drv.gm, at, b, 2), 0);
	return (uint16_t)(b[0] | b[1] << 8);
}

static uint32_t peek32(gpa_t at)
{
	return peek16(at) | (uint32_t)peek16(at + 2) << 16;
}

static void put_desc(gpa_t table, unsigned i, uint64_t addr, uint32_t len,
		     uint16_t flags, uint16_t next)
{
	uint8_t b[16];
	unsigned k;

	for (k = 0; k < 8; k++)
		b[k] = (uint8_t)(addr >> 8 * k);
	for (k = 0; k < 4; k++)
		b[8 + k] = (uint8_t)(len >> 8 * k);
	b[12] = (uint8_t)flags;
	b[13] = (uint8_t)(flags >> 8);
	b[14] = (uint8_t)next;
	b[15] = (uint8_t)(next >> 8);
	assert_int_equal(gmem_write(&drv.gm, table + 16 * i, b, 16), 0);
}

static void desc(unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
		 uint16_t next)
{
	put_desc(DESC, i, addr, len, flags, next);
}

static void offer(uint16_t head)
{
	poke16(AVAIL + 4 + 2 * (drv.avail_idx % drv.q.size), head);
	drv.avail_idx++;
	poke16(AVAIL + 2, drv.avail_idx);
}

static void driver_init(uint16_t size, bool event_idx)
{
	gmem_fini(&drv.gm);
	memset(&drv, 0, sizeof(drv));
	assert_int_equal(gmem_init(&drv.gm, RAM_SIZE, false), 0);
	drv.q = (struct virtq){ .gm = &drv.gm,
				.desc = DESC,
				.avail = AVAIL,
				.used = USED,
				.size = size,
				.event_idx = event_idx,
				.indirect = true };
	assert_int_equal(virtq_start(&drv.q), 0);
}

static int setup(void **state)
{
	(void)state;
	driver_init(8, false);
	return 0;
}

static int setup_event(void **state)
{
	(void)state;
	driver_init(8, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gmem_fini(&drv.gm);
	return 0;
}

/* The chain at descriptor 0 is refused, and the queue is dead after it. */
static void assert_broken(int why)
{
	offer(0);
	assert_int_equal(virtq_pop(&drv.q, &chain), why);
	assert_true(drv.q.broken);
	assert_int_equal(virtq_pop(&drv.q, &chain), -EPROTO);
	assert_false(virtq_arm(&drv.q));
	virtq_disarm(&drv.q);
}

static void test_start(void **state)
{
	static const struct {
		gpa_t desc, avail, used;
		uint16_t size;
		int want;
	} t[] = {
		{ DESC, AVAIL, USED, 1, 0 },
		{ DESC, AVAIL, USED, 256, 0 },
		{ DESC, AVAIL, USED, 0, -EINVAL },
		{ DESC, AVAIL, USED, 3, -EINVAL },
		{ DESC, AVAIL, USED, 255, -EINVAL },
		{ DESC, AVAIL, USED, 512, -EINVAL },
		{ DESC, AVAIL, USED, 0x8000, -EINVAL },
		{ DESC + 8, AVAIL, USED, 8, -EINVAL },
		{ DESC, AVAIL + 1, USED, 8, -EINVAL },
		{ DESC, AVAIL, USED + 2, 8, -EINVAL },
		/* Table 2.7: 16, 6 + 2 and 6 + 8 times the size. */
		{ RAM_SIZE - 128, AVAIL, USED, 8, 0 },
		{ RAM_SIZE - 112, AVAIL, USED, 8, -EFAULT },
		{ DESC, RAM_SIZE - 22, USED, 8, 0 },
		{ DESC, RAM_SIZE - 20, USED, 8, -EFAULT },
		{ DESC, AVAIL, RAM_SIZE - 72, 8, 0 },
		{ DESC, AVAIL, RAM_SIZE - 68, 8, -EFAULT },
		{ RAM_SIZE, AVAIL, USED, 8, -EFAULT },
		{ DESC, 0xfffffffffffffff0, USED, 8, -EFAULT },
		{ 0xfffffffffffffff0, AVAIL, USED, 8, -EFAULT },
		{ DESC, AVAIL, 0xfffffffffffffffc, 8, -EFAULT },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct virtq q = { .gm = &drv.gm,
				   .desc = t[i].desc,
				   .avail = t[i].avail,
				   .used = t[i].used,
				   .size = t[i].size };

		assert_int_equal(virtq_start(&q), t[i].want);
	}
}

static void test_not_set_up(void **state)
{
	struct virtq q = { .gm = &drv.gm };

	(void)state;
	assert_int_equal(virtq_pop(&q, &chain), 0);
	assert_false(virtq_arm(&q));
	virtq_disarm(&q);
}

static void test_empty_and_one(void **state)
{
	uint8_t buf[8];

	(void)state;
	assert_int_equal(virtq_pop(&drv.q, &chain), 0);
	assert_int_equal(gmem_write(&drv.gm, DATA, "hello", 5), 0);
	desc(3, DATA, 5, F_NEXT, 6);
	desc(6, DATA + 0x100, 16, F_WRITE, 0);
	offer(3);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	assert_int_equal(chain.head, 3);
	assert_int_equal(chain.n_out, 1);
	assert_int_equal(chain.n_in, 1);
	assert_int_equal(chain.out_left, 5);
	assert_int_equal(chain.in_left, 16);
	assert_int_equal(chain_read(&drv.q, &chain, buf, 8), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(chain_read(&drv.q, &chain, buf, 8), 0);
	assert_int_equal(chain_write(&drv.q, &chain, "ok", 2), 2);
	assert_int_equal(chain.written, 2);
	assert_int_equal(virtq_pop(&drv.q, &chain), 0);

	assert_int_equal(peek16(USED + 2), 0);
	assert_int_equal(virtq_push(&drv.q, 3, 2), 0);
	assert_int_equal(peek16(USED + 2), 1);
	assert_int_equal(peek32(USED + 4), 3);
	assert_int_equal(peek32(USED + 8), 2);
}

static void test_unpop(void **state)
{
	(void)state;
	desc(1, DATA, 4, 0, 0);
	desc(2, DATA, 4, 0, 0);
	offer(1);
	offer(2);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	assert_int_equal(chain.head, 2);
	virtq_unpop(&drv.q);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	assert_int_equal(chain.head, 2);
	assert_int_equal(virtq_pop(&drv.q, &chain), 0);
}

static void test_wrap_around(void **state)
{
	unsigned n;

	(void)state;
	for (n = 0; n < 70000; n++) {
		uint16_t head = (uint16_t)(n * 5 % 8);

		desc(head, DATA + n % 64, 4, F_WRITE, 0);
		offer(head);
		assert_int_equal(virtq_pop(&drv.q, &chain), 1);
		assert_int_equal(chain.head, head);
		assert_int_equal(chain.seg[0].gpa, DATA + n % 64);
		assert_int_equal(virtq_push(&drv.q, head, n), 0);
		assert_int_equal(peek16(USED + 2), (n + 1) & 0xffff);
		assert_int_equal(peek32(USED + 4 + 8 * (n % 8)), head);
		assert_int_equal(peek32(USED + 8 + 8 * (n % 8)), n);
	}
}

static void test_avail_jump(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 8; i++) {
		desc(i, DATA, 4, 0, 0);
		offer((uint16_t)i);
	}
	/* A full ring is fine ... */
	for (i = 0; i < 8; i++)
		assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	/* ... one more than that is not, nor is an index that runs backwards. */
	poke16(AVAIL + 2, 8 + 9);
	assert_int_equal(virtq_pop(&drv.q, &chain), -EPROTO);
	assert_true(drv.q.broken);

	driver_init(8, false);
	offer(0);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	poke16(AVAIL + 2, 0);
	assert_int_equal(virtq_pop(&drv.q, &chain), -EPROTO);
}

static void test_bad_head(void **state)
{
	static const uint16_t head[] = { 8, 9, 0x100, 0x7fff, 0xffff };
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(head); i++) {
		driver_init(8, false);
		offer(head[i]);
		assert_int_equal(virtq_pop(&drv.q, &chain), -EPROTO);
		assert_true(drv.q.broken);
	}
}

static void test_bad_next(void **state)
{
	(void)state;
	desc(0, DATA, 4, F_NEXT, 8);
	assert_broken(-EPROTO);
	driver_init(8, false);
	desc(0, DATA, 4, F_NEXT, 0xffff);
	assert_broken(-EPROTO);
	/* "next" means nothing without the flag. */
	driver_init(8, false);
	desc(0, DATA, 4, 0, 0xffff);
	offer(0);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
}

static void test_loops(void **state)
{
	unsigned i;

	(void)state;
	desc(0, DATA, 4, F_NEXT, 0);
	assert_broken(-ELOOP);

	driver_init(8, false);
	desc(0, DATA, 4, F_NEXT, 1);
	desc(1, DATA, 0, F_NEXT, 0);
	assert_broken(-ELOOP);

	/* All entries in one chain is no loop; the last one leading back is. */
	driver_init(256, false);
	for (i = 0; i < 256; i++)
		desc(i, DATA, 1, i < 255 ? F_NEXT : 0, (uint16_t)(i + 1));
	offer(0);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	assert_int_equal(chain.n_out, 256);
	desc(255, DATA, 1, F_NEXT, 128);
	assert_broken(-ELOOP);
}

static void test_order(void **state)
{
	(void)state;
	desc(0, DATA, 4, F_NEXT | F_WRITE, 1);
	desc(1, DATA, 4, 0, 0);
	assert_broken(-EPROTO);
	/* Also when the readable one is empty. */
	driver_init(8, false);
	desc(0, DATA, 4, F_NEXT | F_WRITE, 1);
	desc(1, DATA, 0, 0, 0);
	assert_broken(-EPROTO);
	driver_init(8, false);
	desc(0, DATA, 0, F_NEXT | F_WRITE, 1);
	desc(1, DATA, 4, 0, 0);
	assert_broken(-EPROTO);
}

static void test_buffer_addresses(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
		int want;
	} t[] = {
		{ RAM_SIZE - 1, 1, 1 },
		{ 0, RAM_SIZE, 1 },
		{ RAM_SIZE - 1, 2, -EFAULT },
		{ RAM_SIZE, 1, -EFAULT },
		{ 0, RAM_SIZE + 1, -EFAULT },
		{ 0xc0000000, 4, -EFAULT },
		{ 0xffffffffffffffff, 1, -EFAULT },
		{ 0xffffffffffffffff, 2, -EFAULT },
		{ 0xfffffffffffff000, 0xffffffff, -EFAULT },
		{ 0x8000000000000000, 16, -EFAULT },
		{ 16, 0xffffffff, -EFAULT },
	};
	unsigned i, in;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		for (in = 0; in < 2; in++) {
			driver_init(8, false);
			desc(0, t[i].addr, t[i].len, in ? F_WRITE : 0, 0);
			offer(0);
			assert_int_equal(virtq_pop(&drv.q, &chain), t[i].want);
		}
	}
}

static void test_empty_segments(void **state)
{
	struct iovec iov[CHAIN_MAX];
	uint8_t buf[16];

	(void)state;
	assert_int_equal(gmem_write(&drv.gm, DATA, "abcdef", 6), 0);
	desc(0, 0xffffffffffffffff, 0, F_NEXT, 1);
	desc(1, DATA, 3, F_NEXT, 2);
	desc(2, RAM_SIZE, 0, F_NEXT, 3);
	desc(3, DATA + 3, 3, F_NEXT, 4);
	desc(4, 0, 0, F_NEXT | F_WRITE, 5);
	desc(5, DATA + 0x100, 2, F_NEXT | F_WRITE, 6);
	desc(6, 0xdead0000dead, 0, F_WRITE, 7);
	offer(0);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	assert_int_equal(chain.n_out, 4);
	assert_int_equal(chain.n_in, 3);
	assert_int_equal(chain_iov_out(&drv.q, &chain, iov, CHAIN_MAX), 2);
	assert_int_equal(chain_iov_in(&drv.q, &chain, iov, CHAIN_MAX), 1);
	assert_int_equal(iov[0].iov_len, 2);
	assert_int_equal(chain_read(&drv.q, &chain, buf, 16), 6);
	assert_memory_equal(buf, "abcdef", 6);
	assert_int_equal(chain_read(&drv.q, &chain, buf, 0), 0);
	chain_dirty(&drv.q, &chain, 100);
	assert_int_equal(chain_write(&drv.q, &chain, "xyz", 3), 2);
	assert_int_equal(chain_iov_out(&drv.q, &chain, iov, CHAIN_MAX), 0);
	assert_int_equal(chain_iov_in(&drv.q, &chain, iov, CHAIN_MAX), 0);
	chain_dirty(&drv.q, &chain, 100);

	/* Nothing but empty segments. */
	driver_init(8, false);
	desc(0, 1, 0, F_NEXT, 1);
	desc(1, 2, 0, F_WRITE, 0);
	offer(0);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	assert_int_equal(chain_read(&drv.q, &chain, buf, 16), 0);
	assert_int_equal(chain_write(&drv.q, &chain, buf, 16), 0);
	chain_skip_out(&chain, 5);
	chain_skip_in(&chain, 5);
	assert_int_equal(chain.written, 0);
}

/* RAM on both sides of the hole, enough for 32-bit sums to overflow. */
static void test_big_memory(void **state)
{
	static const struct {
		uint64_t addr[2];
		uint32_t len[2];
		uint16_t flags;
		int want;
	} t[] = {
		{ { 0, 0 }, { 0x80000000, 0x7fffffff }, 0, 1 },
		{ { 0, 0 }, { 0x80000000, 0x7fffffff }, F_WRITE, 1 },
		{ { 0, 0 }, { 0x80000000, 0x80000000 }, 0, -EPROTO },
		{ { 0, 0 }, { 0x80000000, 0x80000000 }, F_WRITE, -EPROTO },
		{ { 0, 0 }, { 0xb0000000, 0xb0000000 }, 0, -EPROTO },
		{ { 0xbffffff0, 0x100000000 }, { 16, 16 }, 0, 1 },
		{ { 0xbffffff0, 0x100000000 }, { 17, 16 }, 0, -EFAULT },
		{ { 0xbffffff0, 0xfffffff0 }, { 16, 17 }, 0, -EFAULT },
		{ { 0, 0 }, { 1, 0xffffffff }, 0, -EPROTO },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		driver_init(8, false);
		gmem_fini(&drv.gm);
		assert_int_equal(gmem_init(&drv.gm, GIB(4), false), 0);
		desc(0, t[i].addr[0], t[i].len[0], F_NEXT, 1);
		desc(1, t[i].addr[1], t[i].len[1], t[i].flags, 0);
		offer(0);
		assert_int_equal(virtq_pop(&drv.q, &chain), t[i].want);
	}
}

static void test_indirect(void **state)
{
	(void)state;
	desc(0, DATA, 7, F_NEXT, 1);
	/* [VIRTIO] 2.7.5.3.2: WRITE is ignored on the one with INDIRECT. */
	desc(1, TABLE, 3 * 16, F_INDIRECT | F_WRITE, 0);
	put_desc(TABLE, 0, DATA + 16, 8, F_NEXT, 2);
	put_desc(TABLE, 2, DATA + 32, 9, F_NEXT | F_WRITE, 1);
	put_desc(TABLE, 1, DATA + 48, 10, F_WRITE, 77);
	offer(0);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	assert_int_equal(chain.head, 0);
	assert_int_equal(chain.n_out, 2);
	assert_int_equal(chain.n_in, 2);
	assert_int_equal(chain.out_left, 15);
	assert_int_equal(chain.in_left, 19);
	assert_int_equal(chain.seg[1].gpa, DATA + 16);
	assert_int_equal(chain.seg[2].gpa, DATA + 32);
	assert_int_equal(chain.seg[3].gpa, DATA + 48);
}

static void test_indirect_sizes(void **state)
{
	static const struct {
		uint32_t len;
		int want;
	} t[] = {
		{ 0, -EPROTO },		 { 1, -EPROTO },
		{ 15, -EPROTO },	 { 16, 1 },
		{ 17, -EPROTO },	 { 24, -EPROTO },
		{ 256 * 16, 1 },	 { 256 * 16 + 16, -EPROTO },
		{ 1u << 20, -EPROTO },	 { 0xfffffff0, -EPROTO },
		{ 0xffffffff, -EPROTO },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		driver_init(8, false);
		desc(0, TABLE, t[i].len, F_INDIRECT, 0);
		put_desc(TABLE, 0, DATA, 1, 0, 0);
		offer(0);
		assert_int_equal(virtq_pop(&drv.q, &chain), t[i].want);
	}
}

static void fill_table(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		put_desc(TABLE, i, DATA, 1, i + 1 < n ? F_NEXT : 0,
			 (uint16_t)(i + 1));
}

static void test_indirect_long(void **state)
{
	(void)state;
	/* Longer than the queue, as Linux does it. */
	fill_table(256);
	desc(0, TABLE, 256 * 16, F_INDIRECT, 0);
	offer(0);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	assert_int_equal(chain.n_out, 256);
	/* One direct descriptor before it: more than a chain may have. */
	desc(0, DATA, 1, F_NEXT, 1);
	desc(1, TABLE, 256 * 16, F_INDIRECT, 0);
	assert_broken(-ELOOP);
}

static void test_indirect_abuse(void **state)
{
	(void)state;
	/* Nested. */
	desc(0, TABLE, 32, F_INDIRECT, 0);
	put_desc(TABLE, 0, TABLE, 32, F_INDIRECT, 0);
	assert_broken(-EPROTO);
	/* Nested in a later entry. */
	driver_init(8, false);
	desc(0, TABLE, 32, F_INDIRECT, 0);
	put_desc(TABLE, 0, DATA, 1, F_NEXT, 1);
	put_desc(TABLE, 1, TABLE, 32, F_INDIRECT, 0);
	assert_broken(-EPROTO);
	/* With NEXT. */
	driver_init(8, false);
	desc(0, TABLE, 16, F_INDIRECT | F_NEXT, 1);
	put_desc(TABLE, 0, DATA, 1, 0, 0);
	assert_broken(-EPROTO);
	/* Loops, and leaves the table. */
	driver_init(8, false);
	desc(0, TABLE, 32, F_INDIRECT, 0);
	put_desc(TABLE, 0, DATA, 1, F_NEXT, 1);
	put_desc(TABLE, 1, DATA, 1, F_NEXT, 0);
	assert_broken(-ELOOP);
	driver_init(8, false);
	desc(0, TABLE, 32, F_INDIRECT, 0);
	put_desc(TABLE, 0, DATA, 1, F_NEXT, 2);
	assert_broken(-EPROTO);
	/* Outside RAM, across its end. */
	driver_init(8, false);
	desc(0, 0xffffffffffffff00, 32, F_INDIRECT, 0);
	assert_broken(-EFAULT);
	driver_init(8, false);
	desc(0, RAM_SIZE - 16, 32, F_INDIRECT, 0);
	assert_broken(-EFAULT);
	/* An entry outside RAM. */
	driver_init(8, false);
	desc(0, TABLE, 16, F_INDIRECT, 0);
	put_desc(TABLE, 0, RAM_SIZE, 1, F_WRITE, 0);
	assert_broken(-EFAULT);
	/* Readable in the table after a writable direct one. */
	driver_init(8, false);
	desc(0, DATA, 1, F_WRITE | F_NEXT, 1);
	desc(1, TABLE, 16, F_INDIRECT, 0);
	put_desc(TABLE, 0, DATA, 1, 0, 0);
	assert_broken(-EPROTO);
	/* Not negotiated. */
	driver_init(8, false);
	drv.q.indirect = false;
	desc(0, TABLE, 16, F_INDIRECT, 0);
	put_desc(TABLE, 0, DATA, 1, 0, 0);
	assert_broken(-EPROTO);
}

/* What was popped does not change when the guest changes the ring. */
static void test_read_once(void **state)
{
	char buf[4];

	(void)state;
	assert_int_equal(gmem_write(&drv.gm, DATA, "good", 4), 0);
	desc(0, DATA, 4, F_NEXT, 1);
	desc(1, DATA + 8, 4, F_WRITE, 0);
	offer(0);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	desc(0, 0xffffffffff000000, 0x7fffffff, F_NEXT, 0);
	desc(1, 0xffffffffff000000, 0x7fffffff, F_NEXT, 0);
	assert_int_equal(chain_read(&drv.q, &chain, buf, 4), 4);
	assert_memory_equal(buf, "good", 4);
	assert_int_equal(chain_write(&drv.q, &chain, "1234", 4), 4);
}

static void put_scattered(void)
{
	/* 10 readable and 10 writable bytes in pieces of 1, 2, 3, 4. */
	unsigned i;

	for (i = 0; i < 4; i++) {
		put_desc(TABLE, i, DATA + 0x1000 * i, i + 1, F_NEXT,
			 (uint16_t)(i + 1));
		put_desc(TABLE, 4 + i, DATA + 0x8000 + 0x1000 * i, i + 1,
			 F_WRITE | (i < 3 ? F_NEXT : 0), (uint16_t)(i + 5));
		assert_int_equal(gmem_write(&drv.gm, DATA + 0x1000 * i,
					    &"0123456789"[i * (i + 1) / 2], i + 1),
				 0);
	}
	desc(0, TABLE, 8 * 16, F_INDIRECT, 0);
	offer(0);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
}

static void gather_in(char *buf)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		assert_int_equal(gmem_read(&drv.gm, DATA + 0x8000 + 0x1000 * i,
					   buf + i * (i + 1) / 2, i + 1),
				 0);
}

static void test_cursors(void **state)
{
	unsigned step;

	(void)state;
	for (step = 1; step <= 11; step++) {
		char got[16] = { 0 };
		unsigned done = 0;
		int r;

		driver_init(8, false);
		put_scattered();
		while ((r = chain_read(&drv.q, &chain, got + done, step)) > 0)
			done += (unsigned)r;
		assert_int_equal(r, 0);
		assert_int_equal(done, 10);
		assert_memory_equal(got, "0123456789", 10);

		done = 0;
		while ((r = chain_write(&drv.q, &chain, "abcdefghij" + done,
					MIN(step, 10 - done))) > 0)
			done += (unsigned)r;
		assert_int_equal(done, 10);
		assert_int_equal(chain.written, 10);
		assert_int_equal(chain_write(&drv.q, &chain, "z", 1), 0);
		gather_in(got);
		assert_memory_equal(got, "abcdefghij", 10);
	}
}

static void test_iov_and_skip(void **state)
{
	unsigned skip, i;

	(void)state;
	for (skip = 0; skip <= 12; skip++) {
		struct iovec iov[CHAIN_MAX];
		char got[16];
		unsigned len = 0;
		int n;

		driver_init(8, false);
		put_scattered();
		chain_skip_out(&chain, skip);
		n = chain_iov_out(&drv.q, &chain, iov, CHAIN_MAX);
		assert_true(n >= 0 && n <= 4);
		for (i = 0; i < (unsigned)n; i++) {
			memcpy(got + len, iov[i].iov_base, iov[i].iov_len);
			len += (unsigned)iov[i].iov_len;
		}
		assert_int_equal(len, chain.out_left);
		assert_int_equal(len, skip < 10 ? 10 - skip : 0);
		assert_memory_equal(got, "0123456789" + MIN(skip, 10), len);

		chain_skip_in(&chain, skip);
		assert_int_equal(chain.written, MIN(skip, 10));
		n = chain_iov_in(&drv.q, &chain, iov, CHAIN_MAX);
		for (i = 0, len = 0; i < (unsigned)n; i++)
			len += (unsigned)iov[i].iov_len;
		assert_int_equal(len, chain.in_left);
		/* A short array gets the first ones. */
		assert_int_equal(chain_iov_in(&drv.q, &chain, iov, 1), skip < 10);
		assert_int_equal(chain_iov_in(&drv.q, &chain, iov, 0), 0);
	}
}

static void clear_dirty(void)
{
	uint64_t map[RAM_SIZE / 4096 / 64] = { 0 };

	gmem_dirty_fetch(&drv.gm, 0, map);
}

static bool dirty_is(const gpa_t *page, unsigned n)
{
	uint64_t map[RAM_SIZE / 4096 / 64] = { 0 };
	uint64_t want[RAM_SIZE / 4096 / 64] = { 0 };
	unsigned i;

	for (i = 0; i < n; i++)
		want[page[i] / 4096 / 64] |= BIT(page[i] / 4096 % 64);
	gmem_dirty_fetch(&drv.gm, 0, map);
	return !memcmp(map, want, sizeof(map));
}

static void test_dirty(void **state)
{
	static const gpa_t used[] = { USED };
	static const gpa_t in1[] = { DATA + 0x8000, DATA + 0x9000 };
	static const gpa_t in4[] = { DATA + 0x8000, DATA + 0x9000,
				     DATA + 0xa000, DATA + 0xb000 };
	static const gpa_t last[] = { DATA + 0xa000, DATA + 0xb000 };
	struct iovec iov[CHAIN_MAX];

	(void)state;
	put_scattered();
	clear_dirty();
	assert_int_equal(chain_iov_out(&drv.q, &chain, iov, CHAIN_MAX), 4);
	assert_true(dirty_is(NULL, 0));
	assert_int_equal(chain_iov_in(&drv.q, &chain, iov, CHAIN_MAX), 4);
	assert_true(dirty_is(in4, 4));
	chain_dirty(&drv.q, &chain, 0);
	assert_true(dirty_is(NULL, 0));
	chain_dirty(&drv.q, &chain, 2);
	assert_true(dirty_is(in1, 2));
	chain_dirty(&drv.q, &chain, 0xffffffff);
	assert_true(dirty_is(in4, 4));
	assert_int_equal(chain_write(&drv.q, &chain, "123", 3), 3);
	assert_true(dirty_is(in1, 2));
	chain_dirty(&drv.q, &chain, 4);
	assert_true(dirty_is(last, 2));
	assert_int_equal(virtq_push(&drv.q, 0, 3), 0);
	assert_true(dirty_is(used, 1));
	virtq_disarm(&drv.q);
	assert_true(dirty_is(used, 1));
	assert_false(virtq_arm(&drv.q));
	assert_true(dirty_is(used, 1));
}

static void test_irq_flag(void **state)
{
	(void)state;
	assert_false(virtq_need_irq(&drv.q));
	assert_int_equal(virtq_push(&drv.q, 0, 0), 0);
	assert_true(virtq_need_irq(&drv.q));
	assert_false(virtq_need_irq(&drv.q));
	poke16(AVAIL, 1);
	assert_int_equal(virtq_push(&drv.q, 0, 0), 0);
	assert_false(virtq_need_irq(&drv.q));
	poke16(AVAIL, 0);
	assert_int_equal(virtq_push(&drv.q, 0, 0), 0);
	assert_int_equal(virtq_push(&drv.q, 0, 0), 0);
	assert_true(virtq_need_irq(&drv.q));
	/* used_event means nothing here: it lies behind the 8 ring entries. */
	poke16(AVAIL + 4 + 16, 1000);
	assert_int_equal(virtq_push(&drv.q, 0, 0), 0);
	assert_true(virtq_need_irq(&drv.q));
}

/* [VIRTIO] 2.7.7.2: an interrupt when the entry number used_event is pushed,
 * counted one by one; flags are ignored. */
static void test_irq_event_idx(void **state)
{
	static const unsigned batch[] = { 1, 2, 3, 8, 1, 5 };
	uint16_t pushed = 0, event = 0;
	unsigned n, i;

	(void)state;
	poke16(AVAIL, 1);
	for (n = 0; n < 40000; n++) {
		bool want = false;

		for (i = 0; i < batch[n % ARRAY_SIZE(batch)]; i++) {
			want |= pushed == event;
			assert_int_equal(virtq_push(&drv.q, 0, 0), 0);
			pushed++;
		}
		poke16(AVAIL + 4 + 16, event);
		assert_int_equal(virtq_need_irq(&drv.q), want);
		assert_false(virtq_need_irq(&drv.q));
		/* Where the driver wants the next one: near, far, past. */
		event = (uint16_t)(pushed + n % 11 * (n % 11) - (n % 7 == 0));
	}
	assert_true(pushed != drv.q.size);
}

static void test_irq_lapped(void **state)
{
	unsigned n;

	(void)state;
	/* Exactly 65536 pushes without a look: old == new, yet much is new. */
	for (n = 0; n < 65536; n++)
		assert_int_equal(virtq_push(&drv.q, 0, 0), 0);
	poke16(AVAIL + 4 + 16, 12345);
	assert_true(virtq_need_irq(&drv.q));
	assert_false(virtq_need_irq(&drv.q));
}

/* Several at once: also across the ring's end. */
static void test_push_n(void **state)
{
	struct virtq_used u[8];
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++)
		assert_int_equal(virtq_push(&drv.q, 7, 7), 0);
	for (i = 0; i < 8; i++)
		u[i] = (struct virtq_used){ (uint16_t)(i ^ 1), 100 + i };
	assert_int_equal(virtq_push_n(&drv.q, u, 8), 0);
	assert_int_equal(peek16(USED + 2), 13);
	for (i = 0; i < 8; i++) {
		assert_int_equal(peek32(USED + 4 + (5 + i) % 8 * 8), i ^ 1);
		assert_int_equal(peek32(USED + 8 + (5 + i) % 8 * 8), 100 + i);
	}
	assert_int_equal(virtq_push_n(&drv.q, u, 0), 0);
	assert_int_equal(peek16(USED + 2), 13);
	/* All or none: the index stays when an element can't be written. */
	drv.q.used = RAM_SIZE - 4 - 2 * 8;
	assert_int_equal(virtq_push_n(&drv.q, u, 8), -EFAULT);
	assert_int_equal(drv.q.used_idx, 13);
	assert_int_equal(peek16(RAM_SIZE - 4 - 2 * 8 + 2), 0);
	drv.q.used = USED;
}

/* The last index that was signalled is jumped over. */
static void test_irq_lapped_n(void **state)
{
	static const struct virtq_used u[3];
	unsigned n;

	(void)state;
	for (n = 0; n < 65536 + 2; n += 3)
		assert_int_equal(virtq_push_n(&drv.q, u, 3), 0);
	poke16(AVAIL + 4 + 16, 12345);
	assert_true(virtq_need_irq(&drv.q));
	assert_false(virtq_need_irq(&drv.q));
}

/* A frame's buffers go back, last one first. */
static void test_unpop_many(void **state)
{
	unsigned round, i;

	(void)state;
	for (i = 0; i < 3; i++) {
		desc(i, DATA, 1, 0, 0);
		offer((uint16_t)i);
	}
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 3; i++) {
			assert_int_equal(virtq_pop(&drv.q, &chain), 1);
			assert_int_equal(chain.head, i);
		}
		assert_int_equal(virtq_pop(&drv.q, &chain), 0);
		for (i = 0; i < 3; i++)
			virtq_unpop(&drv.q);
	}
}

static void test_arm_flag(void **state)
{
	(void)state;
	assert_int_equal(peek16(USED), 0);
	virtq_disarm(&drv.q);
	assert_int_equal(peek16(USED), 1);
	assert_false(virtq_arm(&drv.q));
	assert_int_equal(peek16(USED), 0);
	virtq_disarm(&drv.q);
	desc(0, DATA, 1, 0, 0);
	offer(0);
	assert_true(virtq_arm(&drv.q));
	assert_int_equal(peek16(USED), 0);
	assert_int_equal(virtq_pop(&drv.q, &chain), 1);
	assert_false(virtq_arm(&drv.q));
}

static void test_arm_event_idx(void **state)
{
	const gpa_t avail_event = USED + 4 + 8 * 8;
	unsigned n;

	(void)state;
	assert_int_equal(peek16(avail_event), 0);
	desc(0, DATA, 1, 0, 0);
	for (n = 0; n < 66000; n++) {
		offer(0);
		virtq_disarm(&drv.q);
		assert_int_equal(peek16(USED), 0);
		assert_true(virtq_arm(&drv.q));
		assert_int_equal(virtq_pop(&drv.q, &chain), 1);
		assert_false(virtq_arm(&drv.q));
		/* A kick is wanted when index n + 1 is made available. */
		assert_int_equal(peek16(avail_event), (n + 1) & 0xffff);
	}
}

/* What a driver left in the used ring must not keep it from kicking. */
static void test_start_arms(void **state)
{
	(void)state;
	poke16(USED, 1);
	poke16(USED + 4 + 64, 0x1234);
	assert_int_equal(virtq_start(&drv.q), 0);
	assert_int_equal(peek16(USED), 0);
	assert_int_equal(peek16(USED + 4 + 64), 0);
}

#define T(fn)	    cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define T_EVENT(fn) cmocka_unit_test_setup_teardown(fn, setup_event, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_start),
		T(test_not_set_up),
		T(test_empty_and_one),
		T(test_unpop),
		T(test_wrap_around),
		T(test_avail_jump),
		T(test_bad_head),
		T(test_bad_next),
		T(test_loops),
		T(test_order),
		T(test_buffer_addresses),
		T(test_empty_segments),
		T(test_big_memory),
		T(test_indirect),
		T(test_indirect_sizes),
		T(test_indirect_long),
		T(test_indirect_abuse),
		T(test_read_once),
		T(test_cursors),
		T(test_iov_and_skip),
		T(test_dirty),
		T(test_irq_flag),
		T_EVENT(test_irq_event_idx),
		T_EVENT(test_irq_lapped),
		T(test_push_n),
		T_EVENT(test_irq_lapped_n),
		T(test_unpop_many),
		T(test_arm_flag),
		T_EVENT(test_arm_event_idx),
		T_EVENT(test_start_arms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
