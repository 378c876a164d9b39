/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Breaks the rules of a ring in every way, on every device there is. Each time
 * the device must ask for its reset, stay quiet until it gets it, and then
 * work. Needs 32 MiB of memory; input on the console and frames on the network
 * make the receive queues move.
 */
#include "virtio.h"

#define INDIRECT_MAX 256

struct target {
	const char *name;
	unsigned id, q;
	uint16_t flags; /* of a good descriptor */
};

static volatile struct vring ring, ring2;
static volatile struct vdesc table[INDIRECT_MAX] __attribute__((aligned(16)));
static uint8_t buf[4096] __attribute__((aligned(4096)));
static uint64_t ram_end; /* of the range that this guest is in */

static void one(const struct target *t, uint64_t addr, uint32_t len)
{
	vring_desc(&ring, 0, addr, len, t->flags, 0);
	vring_put(&ring, 0);
}

static void indirect(uint64_t addr, uint32_t len, uint16_t flags)
{
	vring_desc(&ring, 0, addr, len, D_INDIRECT | flags, 1);
	vring_put(&ring, 0);
}

static void table_desc(unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
		       uint16_t next)
{
	table[i] = (struct vdesc){ addr, len, flags, next };
}

/* --- the attacks --- */

static void loop_two(const struct target *t)
{
	vring_desc(&ring, 0, (uint64_t)buf, 16, t->flags | D_NEXT, 1);
	vring_desc(&ring, 1, (uint64_t)buf, 16, t->flags | D_NEXT, 0);
	vring_put(&ring, 0);
}

static void loop_self(const struct target *t)
{
	vring_desc(&ring, 3, (uint64_t)buf, 16, t->flags | D_NEXT, 3);
	vring_put(&ring, 3);
}

static void loop_empty(const struct target *t)
{
	vring_desc(&ring, 0, 0, 0, t->flags | D_NEXT, 0);
	vring_put(&ring, 0);
}

static void next_outside(const struct target *t)
{
	vring_desc(&ring, 0, (uint64_t)buf, 16, t->flags | D_NEXT, VQ_SIZE);
	vring_put(&ring, 0);
}

static void next_far_outside(const struct target *t)
{
	vring_desc(&ring, 0, (uint64_t)buf, 16, t->flags | D_NEXT, 0xffff);
	vring_put(&ring, 0);
}

static void head_outside(const struct target *t)
{
	(void)t;
	vring_put(&ring, VQ_SIZE);
}

static void head_far_outside(const struct target *t)
{
	(void)t;
	vring_put(&ring, 0xffff);
}

static void in_ecam(const struct target *t)
{
	one(t, ECAM, 64);
}

static void in_hole(const struct target *t)
{
	one(t, 0xc0000000, 64);
}

static void above_ram(const struct target *t)
{
	one(t, 1ul << 52, 64);
}

static void over_end_of_ram(const struct target *t)
{
	one(t, ram_end - 16, 32);
}

static void wraps(const struct target *t)
{
	one(t, ~0ul - 15, 4096);
}

static void longest(const struct target *t)
{
	one(t, 0, 0xffffffff);
}

static void read_after_write(const struct target *t)
{
	(void)t;
	vring_desc(&ring, 0, (uint64_t)buf, 16, D_WRITE | D_NEXT, 1);
	vring_desc(&ring, 1, (uint64_t)buf, 16, 0, 0);
	vring_put(&ring, 0);
}

/* In one step: a device that looks at the ring between two sees a driver without fault. */
static void idx_is(const struct target *t, uint16_t idx)
{
	vring_desc(&ring, 0, (uint64_t)buf, 16, t->flags, 0);
	ring.avail[0] = 0;
	__asm__ volatile("" : : : "memory");
	ring.avail_idx = idx;
}

static void idx_jump(const struct target *t)
{
	idx_is(t, VQ_SIZE + 1);
}

static void idx_half(const struct target *t)
{
	idx_is(t, 0x8000);
}

static void idx_back(const struct target *t)
{
	idx_is(t, 0xffff);
}

static void indirect_nested(const struct target *t)
{
	table_desc(0, (uint64_t)table, 16, t->flags | D_INDIRECT, 0);
	indirect((uint64_t)table, 16, 0);
}

static void indirect_loop(const struct target *t)
{
	table_desc(0, (uint64_t)buf, 16, t->flags | D_NEXT, 1);
	table_desc(1, (uint64_t)buf, 16, t->flags | D_NEXT, 0);
	indirect((uint64_t)table, 32, 0);
}

static void indirect_next_outside(const struct target *t)
{
	table_desc(0, (uint64_t)buf, 16, t->flags | D_NEXT, 2);
	indirect((uint64_t)table, 32, 0);
}

static void indirect_empty(const struct target *t)
{
	(void)t;
	indirect((uint64_t)table, 0, 0);
}

static void indirect_odd(const struct target *t)
{
	table_desc(0, (uint64_t)buf, 16, t->flags, 0);
	indirect((uint64_t)table, 17, 0);
}

static void indirect_huge(const struct target *t)
{
	table_desc(0, (uint64_t)buf, 16, t->flags, 0);
	indirect((uint64_t)table, 0xfffffff0, 0);
}

static void indirect_outside(const struct target *t)
{
	(void)t;
	indirect(0xd0000000, 32, 0);
}

static void indirect_and_next(const struct target *t)
{
	table_desc(0, (uint64_t)buf, 16, t->flags, 0);
	vring_desc(&ring, 1, (uint64_t)buf, 16, t->flags, 0);
	indirect((uint64_t)table, 16, D_NEXT);
}

/* 256 times all memory is more than 2^32 - 1 bytes. */
static void more_than_4g(const struct target *t)
{
	unsigned i;

	for (i = 0; i < INDIRECT_MAX; i++)
		table_desc(i, 0x100000, (uint32_t)(ram_end - 0x100000),
			   t->flags | (i < INDIRECT_MAX - 1 ? D_NEXT : 0),
			   (uint16_t)(i + 1));
	indirect((uint64_t)table, sizeof(table), 0);
}

static const struct {
	const char *name;
	void (*make)(const struct target *t);
} attacks[] = {
	{ "a loop of two", loop_two },
	{ "a loop of one", loop_self },
	{ "a loop of nothing", loop_empty },
	{ "next past the table", next_outside },
	{ "next far past the table", next_far_outside },
	{ "head past the table", head_outside },
	{ "head far past the table", head_far_outside },
	{ "a buffer in ECAM", in_ecam },
	{ "a buffer in the hole", in_hole },
	{ "a buffer above RAM", above_ram },
	{ "a buffer over the end of RAM", over_end_of_ram },
	{ "a buffer that wraps", wraps },
	{ "a buffer of 4 GiB", longest },
	{ "readable after writable", read_after_write },
	{ "avail index one too far", idx_jump },
	{ "avail index far ahead", idx_half },
	{ "avail index back", idx_back },
	{ "indirect in indirect", indirect_nested },
	{ "indirect loop", indirect_loop },
	{ "indirect next outside", indirect_next_outside },
	{ "indirect of 0 bytes", indirect_empty },
	{ "indirect of 17 bytes", indirect_odd },
	{ "indirect of 4 GiB", indirect_huge },
	{ "indirect outside RAM", indirect_outside },
	{ "indirect and next", indirect_and_next },
	{ "a chain of more than 4 GiB", more_than_4g },
};

#define N_ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

/* --- rounds --- */

/* Queue @t->q at ring; a receive queue's device gets its transmit queue too. */
static void start(const struct vdev *v, const struct target *t, uint64_t features)
{
	if (!vdev_negotiate(v, F_VERSION_1 | features))
		guest_fail("features refused");
	vdev_queue(v, t->q, &ring);
	if (t->q == 0 && t->id == VIRTIO_CONSOLE)
		vdev_queue(v, 1, &ring2);
	vdev_set_status(v, S_DRIVER_OK);
}

/* Input goes to the port that wrote last: write something. */
static void wake_input(const struct vdev *v, const struct target *t)
{
	if (t->q || t->id != VIRTIO_CONSOLE)
		return;
	buf[0] = '.';
	vring_desc(&ring2, 0, (uint64_t)buf, 1, 0, 0);
	vring_put(&ring2, 0);
	vdev_kick(v, 1);
}

static void good(const struct vdev *v, const struct target *t)
{
	start(v, t, F_INDIRECT);
	if (t->id == VIRTIO_BLK) {
		if (blk_do(v, &ring, BLK_IN, 0, buf, 512) != BLK_OK)
			guest_fail("the disk does not read any more");
		return;
	}
	buf[0] = '!';
	one(t, (uint64_t)buf, t->id == VIRTIO_NET ? 2048 : 1);
	vdev_kick(v, t->q);
	wake_input(v, t);
	vdev_must(v, &ring, 1, t->name);
}

static void attack(const struct vdev *v, const struct target *t, const char *name,
		   void (*make)(const struct target *), uint64_t features)
{
	uint16_t used;

	start(v, t, features);
	make(t);
	vdev_kick(v, t->q);
	wake_input(v, t);
	vdev_must_break(v, name);

	/* Broken: nothing more happens, whatever the driver does. */
	used = ring.used_idx;
	ring.avail_idx = 0;
	one(t, (uint64_t)buf, 1);
	vdev_kick(v, t->q);
	vdev_set_status(v, S_DRIVER_OK);
	if (!(vdev_status(v) & S_NEEDS_RESET) || ring.used_idx != used)
		guest_fail("a broken device goes on");
	good(v, t);
}

static void run(const struct vdev *v, const struct target *t)
{
	unsigned i;

	puts(t->name);
	puts("\n");
	good(v, t);
	for (i = 0; i < N_ATTACKS; i++)
		attack(v, t, attacks[i].name, attacks[i].make, F_INDIRECT);
	/* Even a flawless table, if it was not agreed upon. */
	table_desc(0, (uint64_t)buf, 16, t->flags, 0);
	attack(v, t, "indirect without asking", indirect_and_next, 0);
	vdev_reset(v);
}

void guest_main(const uint8_t *boot_params)
{
	static const struct target targets[] = {
		{ "rings: blk", VIRTIO_BLK, 0, 0 },
		{ "rings: rng", VIRTIO_RNG, 0, D_WRITE },
		{ "rings: console transmit", VIRTIO_CONSOLE, 1, 0 },
		{ "rings: console receive", VIRTIO_CONSOLE, 0, D_WRITE },
		{ "rings: net transmit", VIRTIO_NET, 1, 0 },
		{ "rings: net receive", VIRTIO_NET, 0, D_WRITE },
	};
	struct vdev v;
	struct e820 e;
	unsigned i;

	for (i = 0; e820_get(boot_params, i, &e); i++) {
		if (e.type == 1 && e.start + e.size > (uint64_t)guest_end)
			ram_end = e.start + e.size;
	}
	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		if (vdev_find(targets[i].id, 0, &v))
			run(&v, &targets[i]);
	}
	guest_success();
}
