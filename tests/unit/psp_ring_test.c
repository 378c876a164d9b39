/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ring mode ([csv-abi] 2.4 to 2.7). */
#include "tests/unit/test.h"

#include "tests/unit/psp_host.h"

#define SLOTS	2048u
#define BYTES	(SLOTS * 16)
#define LO_CMD	RIG_RING
#define LO_STAT (RIG_RING + BYTES)
#define HI_CMD	(RIG_RING + 2 * BYTES)
#define HI_STAT (RIG_RING + 3 * BYTES)
#define BUFS	0x680000u /* command buffers, 64 bytes each */
#define HDRS	0x700000u /* headers, 64 bytes each */
#define TRANS	0x800000u /* one page each, up to ROM */
#define PAGES	1792u
#define ASID	3

static const enum psp_profile amd = PSP_AMD, hygon = PSP_HYGON;

static int setup(void **state)
{
	const enum psp_profile *profile = *state;
	struct rig *r = rig_new(*profile, 1);

	assert_int_equal(rig_init(r), 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

#define BOTH(f)                                                              \
	{ #f " (amd)", f, setup, teardown, (void *)(uintptr_t)&amd },        \
	{                                                                    \
#f " (hygon)", f, setup, teardown, (void *)(uintptr_t)&hygon \
	}

static struct psp_abi_ring_buffer ring_cmd(void)
{
	return (struct psp_abi_ring_buffer){
		.lo_cmd = LO_CMD,
		.lo_stat = LO_STAT,
		.hi_cmd = HI_CMD,
		.hi_stat = HI_STAT,
		.lo_size = 1,
		.hi_size = 1,
		.int_on_empty = 1,
	};
}

static void enter(struct rig *r)
{
	struct psp_abi_ring_buffer c = ring_cmd();

	/* A status that nobody has written is seen. */
	memset(r->ram + LO_STAT, 0xee, BYTES);
	memset(r->ram + HI_STAT, 0xee, BYTES);
	assert_int_equal(RIG_DO(r, RING_BUFFER, c), 0);
	assert_true(psp_in_ring_mode(r->p));
	assert_int_equal(psp_ring_heads(r->p), 0);
}

static void put(struct rig *r, uint64_t ring, unsigned slot, uint16_t cmd,
		uint64_t buf)
{
	struct psp_abi_ring_cmd e = { .cmd_id = cmd,
				      .cmd_buf_ptr = buf | RIG_CBIT };

	memcpy(r->ram + ring + slot % SLOTS * 16, &e, sizeof(e));
}

static unsigned stat(const struct rig *r, uint64_t ring, unsigned slot)
{
	uint8_t rest[14] = { 0 };
	uint16_t v;

	memcpy(&v, r->ram + ring + slot % SLOTS * 16, sizeof(v));
	if (v != 0xeeee)
		assert_memory_equal(r->ram + ring + slot % SLOTS * 16 + 2, rest,
				    sizeof(rest));
	return v;
}

/* Command buffer @i: launch update of 16 bytes at guest page @i. */
static uint64_t update(struct rig *r, unsigned i, uint32_t handle)
{
	struct psp_abi_launch c = { .handle = handle,
				    .address = RIG_GUEST + i * 16,
				    .len = 16 };

	memcpy(r->ram + BUFS + i * 64, &c, sizeof(c));
	return BUFS + i * 64;
}

static void test_enter(void **state)
{
	struct rig *r = *state;
	struct psp_abi_ring_buffer c;
	static const size_t addresses[4] = { 0, 8, 16, 24 };
	uint64_t bad[] = { LO_CMD + 16,	   RIG_BAD,	   RIG_RAM - 4096,
			   RIG_TMR + 4096, RIG_TMR - 4096, ~4095ULL };
	size_t i, k;

	for (i = 0; i < 4; i++)
		for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			c = ring_cmd();
			memcpy((uint8_t *)&c + addresses[i], &bad[k], 8);
			assert_int_equal(RIG_DO(r, RING_BUFFER, c),
					 PSP_RET_INVALID_ADDRESS);
		}
	c = ring_cmd();
	c.lo_size = 0;
	assert_int_equal(RIG_DO(r, RING_BUFFER, c), PSP_RET_INVALID_LEN);
	c = ring_cmd();
	c.hi_size = 2;
	assert_int_equal(RIG_DO(r, RING_BUFFER, c), PSP_RET_INVALID_LEN);
	c = ring_cmd();
	c.int_on_empty = 2;
	assert_int_equal(RIG_DO(r, RING_BUFFER, c), PSP_RET_INVALID_PARAM);
	c = ring_cmd();
	c.hi_threshold = 2048;
	assert_int_equal(RIG_DO(r, RING_BUFFER, c), PSP_RET_INVALID_PARAM);
	assert_false(psp_in_ring_mode(r->p));
	assert_false(psp_ring_doorbell(r->p, 1));
	assert_int_equal(psp_stats(r->p)->doorbells, 0);
	enter(r);
	/* Any mailbox command leaves, even an unknown one. */
	(void)rig_platform(r);
	assert_false(psp_in_ring_mode(r->p));
	enter(r);
	assert_int_equal(psp_mailbox(r->p, 0x777, 0), PSP_RET_INVALID_COMMAND);
	assert_false(psp_in_ring_mode(r->p));
	assert_false(psp_ring_doorbell(r->p, 1));
	enter(r);
	enter(r);
	assert_int_equal(RIG_RUN(r, SHUTDOWN), 0);
	assert_false(psp_in_ring_mode(r->p));
}

static void test_old_build(void **state)
{
	struct rig *r = *state;
	struct psp_abi_ring_buffer c = ring_cmd();
	struct psp_config cfg = r->cfg;
	struct rig *q;

	cfg.build = 1912;
	q = rig_new_cfg(&cfg, 1);
	assert_int_equal(rig_init(q), 0);
	assert_int_equal(RIG_DO(q, RING_BUFFER, c),
			 cfg.profile == PSP_HYGON ? PSP_RET_INVALID_COMMAND : 0);
	rig_free(q);
}

static void test_counts(void **state)
{
	struct rig *r = *state;
	const struct psp_stats *s = psp_stats(r->p);
	uint32_t h = rig_guest(r, PSP_POLICY_ES, ASID, PSP_G_LUPDATE);
	uint64_t before;
	unsigned i;

	enter(r);
	before = s->interrupts;
	/* Nothing at all: empty at once. */
	assert_true(psp_ring_doorbell(r->p, 0));
	assert_int_equal(s->ring_commands, 0);
	/* One. */
	put(r, LO_CMD, 0, PSP_CMD_LAUNCH_UPDATE_DATA, update(r, 0, h));
	assert_true(psp_ring_doorbell(r->p, 1));
	assert_int_equal(s->ring_commands, 1);
	assert_int_equal(psp_ring_heads(r->p), 1);
	assert_int_equal(stat(r, LO_STAT, 0), 0);
	assert_int_equal(stat(r, LO_STAT, 1), 0xeeee);
	/* 2047 in both: from slot 1 over the end. */
	for (i = 0; i < 2047; i++) {
		put(r, LO_CMD, 1 + i, PSP_CMD_LAUNCH_UPDATE_DATA,
		    update(r, i, h));
		put(r, HI_CMD, i, PSP_CMD_LAUNCH_UPDATE_DATA,
		    update(r, 2048 + i, h));
	}
	assert_true(psp_ring_doorbell(r->p, 2047u << 16 | 0));
	assert_int_equal(s->ring_commands, 1 + 2 * 2047);
	assert_int_equal(psp_ring_heads(r->p), 2047u << 16 | 0);
	for (i = 0; i < 2048; i++) {
		assert_int_equal(stat(r, LO_STAT, i), 0);
		assert_int_equal(stat(r, HI_STAT, i), i < 2047 ? 0 : 0xeeee);
	}
	/* 2048 look like none: the indices are 11 bits. */
	assert_true(psp_ring_doorbell(r->p, (2047u + 2048) << 16 | 2048));
	assert_int_equal(s->ring_commands, 1 + 2 * 2047);
	/* One interrupt for each doorbell. */
	assert_int_equal(s->doorbells, 4);
	assert_int_equal(s->interrupts, before + 4);
	assert_int_equal(s->commands[PSP_CMD_LAUNCH_UPDATE_DATA], 1 + 2 * 2047);
}

/* HIGH goes first: seen by the order that the digest is made in. */
static void test_priority(void **state)
{
	struct rig *r = *state;
	struct rig *q = rig_new(r->cfg.profile, 1);
	uint32_t h, g, len = 48;
	unsigned i;

	q->rng = r->rng;
	assert_int_equal(RIG_RUN(r, SHUTDOWN), 0);
	r->rng = q->rng;
	assert_int_equal(rig_init(r), 0);
	assert_int_equal(rig_init(q), 0);
	for (i = 0; i < 16 * 8; i++)
		r->ram[RIG_GUEST + i] = q->ram[RIG_GUEST + i] = (uint8_t)i;
	h = rig_guest(r, 0, 9, PSP_G_LUPDATE);
	g = rig_guest(q, 0, 9, PSP_G_LUPDATE);
	enter(r);
	for (i = 0; i < 4; i++) {
		put(r, LO_CMD, i, PSP_CMD_LAUNCH_UPDATE_DATA, update(r, i, h));
		put(r, HI_CMD, i, PSP_CMD_LAUNCH_UPDATE_DATA,
		    update(r, 4 + i, h));
	}
	assert_true(psp_ring_doorbell(r->p, 4u << 16 | 4));
	len = 64;
	assert_int_equal(rig_launch(q, PSP_CMD_LAUNCH_UPDATE_DATA, g,
				    RIG_GUEST + 64, &len),
			 0);
	assert_int_equal(
		rig_launch(q, PSP_CMD_LAUNCH_UPDATE_DATA, g, RIG_GUEST, &len), 0);
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len),
			 0);
	len = 64;
	assert_int_equal(rig_launch(q, PSP_CMD_LAUNCH_MEASURE, g, RIG_OUT, &len),
			 0);
	if (r->cfg.profile == PSP_AMD) {
		struct psp_abi_attest c = { .address = RIG_OUT, .len = 208 };

		c.handle = h;
		assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c), 0);
		c.handle = g;
		assert_int_equal(RIG_DO(q, ATTESTATION_REPORT, c), 0);
		assert_memory_equal(r->ram + RIG_OUT + 16,
				    q->ram + RIG_OUT + 16, 32);
	}
	rig_free(q);
}

static void test_pause(void **state)
{
	struct rig *r = *state;
	uint32_t h = rig_guest(r, PSP_POLICY_ES, ASID, PSP_G_LUPDATE);
	const struct psp_stats *s = psp_stats(r->p);
	unsigned i;

	enter(r);
	for (i = 0; i < 5; i++)
		put(r, LO_CMD, i, PSP_CMD_LAUNCH_UPDATE_DATA,
		    update(r, i, i == 3 ? h + 1 : h));
	put(r, HI_CMD, 0, PSP_CMD_LAUNCH_UPDATE_DATA, update(r, 7, h));
	assert_true(psp_ring_doorbell(r->p, 1u << 16 | 5));
	assert_int_equal(psp_ring_heads(r->p), 1u << 30 | 1u << 16 | 3);
	assert_int_equal(stat(r, HI_STAT, 0), 0);
	assert_int_equal(stat(r, LO_STAT, 2), 0);
	assert_int_equal(stat(r, LO_STAT, 3), PSP_RET_INVALID_GUEST);
	assert_int_equal(stat(r, LO_STAT, 4), 0xeeee);
	/* Repaired, it goes on where it stopped. */
	(void)update(r, 3, h);
	assert_true(psp_ring_doorbell(r->p, 1u << 16 | 5));
	assert_int_equal(psp_ring_heads(r->p), 1u << 16 | 5);
	assert_int_equal(stat(r, LO_STAT, 3), 0);
	assert_int_equal(stat(r, LO_STAT, 4), 0);
	assert_int_equal(s->ring_commands, 7);
	/* Or the host skips it. */
	put(r, LO_CMD, 5, PSP_CMD_NOP, 0);
	put(r, LO_CMD, 6, PSP_CMD_LAUNCH_UPDATE_DATA, update(r, 6, h));
	assert_true(psp_ring_doorbell(r->p, 1u << 16 | 7));
	assert_int_equal(psp_ring_heads(r->p), 1u << 30 | 1u << 16 | 5);
	assert_int_equal(stat(r, LO_STAT, 5), PSP_RET_INVALID_COMMAND);
	psp_ring_set_heads(r->p, 1u << 16 | 6);
	assert_true(psp_ring_doorbell(r->p, 1u << 16 | 7));
	assert_int_equal(psp_ring_heads(r->p), 1u << 16 | 7);
	/* An error in HIGH keeps LOW waiting. */
	put(r, HI_CMD, 1, PSP_CMD_LAUNCH_UPDATE_DATA, RIG_BAD);
	put(r, LO_CMD, 7, PSP_CMD_LAUNCH_UPDATE_DATA, update(r, 7, h));
	assert_true(psp_ring_doorbell(r->p, 2u << 16 | 8));
	assert_int_equal(psp_ring_heads(r->p), 1u << 30 | 1u << 16 | 7);
	assert_int_equal(stat(r, HI_STAT, 1), PSP_RET_INVALID_ADDRESS);
	assert_int_equal(stat(r, LO_STAT, 7), 0xeeee);
}

static void test_commands(void **state)
{
	struct rig *r = *state;
	uint32_t h = rig_guest(r, PSP_POLICY_ES, ASID, PSP_G_LUPDATE), id;

	for (id = 0; id < 0x800; id++) {
		bool ok = id == 0x31 || id == 0x32 || id == 0x41 || id == 0x42 ||
			  id == 0x51 || id == 0x52 || id == 0x60 || id == 0x61;

		enter(r);
		put(r, LO_CMD, 0, (uint16_t)id, update(r, 0, h));
		assert_true(psp_ring_doorbell(r->p, 1));
		if ((stat(r, LO_STAT, 0) != PSP_RET_INVALID_COMMAND) != ok)
			fail_msg("command %#x: %u", id, stat(r, LO_STAT, 0));
		/* and nothing has happened to the mode */
		assert_true(psp_in_ring_mode(r->p));
	}
	assert_int_equal(rig_state(r, h), PSP_G_LUPDATE);
}

static void test_hooks(void **state)
{
	struct rig *r = *state;
	uint32_t h = rig_guest(r, PSP_POLICY_ES, ASID, PSP_G_LUPDATE);
	struct psp_abi_ring_buffer c = ring_cmd();
	const struct psp_stats *s = psp_stats(r->p);
	uint64_t before, hashed;
	unsigned i;

	enter(r);
	for (i = 0; i < 4; i++) {
		put(r, HI_CMD, i, PSP_CMD_LAUNCH_UPDATE_DATA, update(r, i, h));
		put(r, LO_CMD, i, PSP_CMD_LAUNCH_UPDATE_DATA, update(r, i, h));
	}
	/* Element 6 of the order of execution is LOW 2. */
	hashed = s->bytes_hashed;
	psp_fault_ring_pause(r->p, 6, PSP_RET_HWERROR_PLATFORM);
	assert_true(psp_ring_doorbell(r->p, 4u << 16 | 4));
	assert_int_equal(psp_ring_heads(r->p), 1u << 30 | 4u << 16 | 2);
	assert_int_equal(stat(r, LO_STAT, 2), PSP_RET_HWERROR_PLATFORM);
	assert_int_equal(s->bytes_hashed, hashed + 6 * 16);
	/* The interrupt that gets lost; the work is done all the same. */
	psp_fault_lose_interrupt(r->p);
	assert_false(psp_ring_doorbell(r->p, 4u << 16 | 4));
	assert_int_equal(psp_ring_heads(r->p), 4u << 16 | 4);
	assert_true(psp_ring_doorbell(r->p, 4u << 16 | 4));
	/* A pause that does not come in its doorbell does not come later. */
	put(r, LO_CMD, 4, PSP_CMD_LAUNCH_UPDATE_DATA, update(r, 0, h));
	psp_fault_ring_pause(r->p, 1, PSP_RET_HWERROR_PLATFORM);
	assert_true(psp_ring_doorbell(r->p, 4u << 16 | 5));
	put(r, LO_CMD, 5, PSP_CMD_LAUNCH_UPDATE_DATA, update(r, 0, h));
	assert_true(psp_ring_doorbell(r->p, 4u << 16 | 6));
	assert_int_equal(psp_ring_heads(r->p), 4u << 16 | 6);
	(void)rig_platform(r);
	/* Commands fail by number here as well. */
	enter(r);
	psp_fault_command(r->p, 2, PSP_RET_RESOURCE_LIMIT);
	assert_true(psp_ring_doorbell(r->p, 4u << 16));
	assert_int_equal(psp_ring_heads(r->p), 1u << 30 | 1u << 16);
	assert_int_equal(stat(r, HI_STAT, 1), PSP_RET_RESOURCE_LIMIT);
	/* Without int_on_empty, one interrupt for each command. */
	c.int_on_empty = 0;
	assert_int_equal(RIG_DO(r, RING_BUFFER, c), 0);
	before = s->interrupts;
	assert_false(psp_ring_doorbell(r->p, 0));
	assert_true(psp_ring_doorbell(r->p, 4u << 16));
	assert_int_equal(s->interrupts, before + 4);
}

static void test_cost(void **state)
{
	struct rig *r = *state;
	struct psp_config cfg = r->cfg;
	const struct psp_stats *s;
	uint64_t busy;
	struct rig *q;
	uint32_t h;
	unsigned i;

	cfg.cost = (struct psp_cost){ .mailbox_ns = 100000,
				      .doorbell_ns = 5000,
				      .page_ns = 3 };
	q = rig_new_cfg(&cfg, 1);
	s = psp_stats(q->p);
	assert_int_equal(rig_init(q), 0);
	h = rig_guest(q, 0, 9, PSP_G_LUPDATE);
	enter(q);
	for (i = 0; i < 2000; i++)
		put(q, LO_CMD, i, PSP_CMD_LAUNCH_UPDATE_DATA, update(q, i, h));
	busy = s->busy_ns;
	assert_true(psp_ring_doorbell(q->p, 2000));
	assert_int_equal(s->busy_ns - busy, 5000 + 2000 * 3);
	rig_free(q);
}

static uint64_t packet(struct rig *r, unsigned i, uint32_t handle, uint64_t pa)
{
	struct psp_abi_packet c = rig_packet(handle, pa, 4096);

	c.hdr_address = HDRS + i * 64;
	c.trans_address = TRANS + i * 4096;
	memcpy(r->ram + BUFS + i * 64, &c, sizeof(c));
	return BUFS + i * 64;
}

/* One batch both ways, as KVM_CSV_COMMAND_BATCH does it; the VMSA with it. */
static void test_handover(void **state)
{
	struct rig *a = *state;
	struct rig *b = rig_new(a->cfg.profile, 2);
	const unsigned pages = 256, n = pages + 1;
	uint8_t *plain = malloc(n * 4096), *seen = malloc(n * 4096);
	uint32_t h, g, len = pages * 4096;
	unsigned i, first = n / 2;

	assert_int_equal(rig_init(b), 0);
	for (i = 0; i < n * 4096; i++)
		plain[i] = (uint8_t)(i * 31 + (i >> 12));
	memcpy(a->ram + RIG_GUEST, plain, n * 4096);
	assert_int_equal((uint64_t)RIG_GUEST + pages * 4096, RIG_VMSA);
	assert_int_equal(rig_launch_start(a, PSP_POLICY_ES, &h), 0);
	assert_int_equal(rig_activate(a, h, ASID), 0);
	assert_int_equal(
		rig_launch(a, PSP_CMD_LAUNCH_UPDATE_DATA, h, RIG_GUEST, &len), 0);
	len = 4096;
	assert_int_equal(
		rig_launch(a, PSP_CMD_LAUNCH_UPDATE_VMSA, h, RIG_VMSA, &len), 0);
	assert_int_equal(rig_launch(a, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len),
			 0);
	assert_int_equal(rig_handle(a, PSP_CMD_LAUNCH_FINISH, h), 0);
	assert_int_equal(rig_send_start(a, b, h), 0);
	assert_int_equal(rig_receive_start(a, b, PSP_POLICY_ES, &g), 0);
	assert_int_equal(rig_activate(b, g, ASID), 0);
	enter(a);
	enter(b);
	for (i = 0; i < n; i++) {
		uint16_t cmd = i < pages ? PSP_CMD_SEND_UPDATE_DATA
					 : PSP_CMD_SEND_UPDATE_VMSA;
		uint64_t ring = i < first ? HI_CMD : LO_CMD;
		unsigned slot = i < first ? i : i - first;

		put(a, ring, slot, cmd, packet(a, i, h, RIG_GUEST + i * 4096));
		put(b, ring, slot, cmd + 0x10,
		    packet(b, i, g, RIG_GUEST + i * 4096));
	}
	assert_true(psp_ring_doorbell(a->p, first << 16 | (n - first)));
	assert_int_equal(psp_ring_heads(a->p), first << 16 | (n - first));
	memcpy(b->ram + HDRS, a->ram + HDRS, n * 64);
	memcpy(b->ram + TRANS, a->ram + TRANS, n * 4096);
	/* One flipped bit in the middle stops it there, then it goes on. */
	b->ram[TRANS + (first + 3) * 4096 + 99] ^= 4;
	assert_true(psp_ring_doorbell(b->p, first << 16 | (n - first)));
	assert_int_equal(psp_ring_heads(b->p), 1u << 30 | first << 16 | 3);
	assert_int_equal(stat(b, LO_STAT, 3), PSP_RET_BAD_MEASUREMENT);
	b->ram[TRANS + (first + 3) * 4096 + 99] ^= 4;
	assert_true(psp_ring_doorbell(b->p, first << 16 | (n - first)));
	assert_int_equal(psp_ring_heads(b->p), first << 16 | (n - first));
	rig_plain(b, ASID, RIG_GUEST, seen, n * 4096);
	assert_memory_equal(seen, plain, n * 4096);
	assert_int_equal(rig_handle(a, PSP_CMD_SEND_FINISH, h), 0);
	assert_int_equal(rig_handle(b, PSP_CMD_RECEIVE_FINISH, g), 0);
	free(plain);
	free(seen);
	rig_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_enter),    BOTH(test_old_build), BOTH(test_counts),
		BOTH(test_priority), BOTH(test_pause),	   BOTH(test_commands),
		BOTH(test_hooks),    BOTH(test_cost),	   BOTH(test_handover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
