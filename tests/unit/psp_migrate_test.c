/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SEND and RECEIVE between two platforms, by mailbox. */
#include "tests/unit/test.h"

#include "tests/unit/psp_host.h"

#define ES_ASID 3

static const enum psp_profile amd = PSP_AMD, hygon = PSP_HYGON;

struct pair {
	struct rig *a, *b;
	uint8_t plain[16384], vmsa[4096]; /* at RIG_GUEST and RIG_VMSA */
};

static int setup(void **state)
{
	const enum psp_profile *profile = *state;
	struct pair *t = calloc(1, sizeof(*t));
	unsigned i;

	assert_non_null(t);
	t->a = rig_new(*profile, 1);
	t->b = rig_new(*profile, 2);
	assert_int_equal(rig_init(t->a), 0);
	assert_int_equal(rig_init(t->b), 0);
	for (i = 0; i < sizeof(t->plain); i++)
		t->plain[i] = (uint8_t)(i * 13 + (i >> 8));
	for (i = 0; i < sizeof(t->vmsa); i++)
		t->vmsa[i] = (uint8_t)(i * 5 + 1);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct pair *t = *state;

	rig_free(t->a);
	rig_free(t->b);
	free(t);
	return 0;
}

#define BOTH(f)                                                              \
	{ #f " (amd)", f, setup, teardown, (void *)(uintptr_t)&amd },        \
	{                                                                    \
#f " (hygon)", f, setup, teardown, (void *)(uintptr_t)&hygon \
	}

static void fill(const struct pair *t, struct rig *r)
{
	memcpy(r->ram + RIG_GUEST, t->plain, sizeof(t->plain));
	memcpy(r->ram + RIG_VMSA, t->vmsa, sizeof(t->vmsa));
}

/* A running guest on @a with all of the plain bytes encrypted. */
static uint32_t source(struct pair *t, uint32_t policy)
{
	uint32_t h, len = sizeof(t->plain);

	fill(t, t->a);
	assert_int_equal(rig_launch_start(t->a, policy, &h), 0);
	assert_int_equal(
		rig_activate(t->a, h, policy & PSP_POLICY_ES ? ES_ASID : 9), 0);
	assert_int_equal(rig_launch(t->a, PSP_CMD_LAUNCH_UPDATE_DATA, h,
				    RIG_GUEST, &len),
			 0);
	len = 4096;
	if (policy & PSP_POLICY_ES)
		assert_int_equal(rig_launch(t->a, PSP_CMD_LAUNCH_UPDATE_VMSA, h,
					    RIG_VMSA, &len),
				 0);
	assert_int_equal(
		rig_launch(t->a, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len), 0);
	assert_int_equal(rig_handle(t->a, PSP_CMD_LAUNCH_FINISH, h), 0);
	return h;
}

/* Both sides started: *ret_a sends, *ret_b receives. */
static void start(struct pair *t, uint32_t *ret_a, uint32_t *ret_b)
{
	*ret_a = source(t, PSP_POLICY_ES);
	assert_int_equal(rig_send_start(t->a, t->b, *ret_a), 0);
	assert_int_equal(rig_receive_start(t->a, t->b, PSP_POLICY_ES, ret_b), 0);
	assert_int_equal(rig_activate(t->b, *ret_b, ES_ASID), 0);
}

static uint16_t send(struct rig *r, uint32_t cmd, uint32_t h, uint64_t pa,
		     uint32_t len)
{
	struct psp_abi_packet c = rig_packet(h, pa, len);

	return rig_mailbox(r, cmd, &c, sizeof(c));
}

/* The packet over the wire. */
static void carry(struct pair *t, uint32_t len)
{
	memcpy(t->b->ram + RIG_HDR, t->a->ram + RIG_HDR, PSP_HDR_SIZE);
	memcpy(t->b->ram + RIG_TRANS, t->a->ram + RIG_TRANS, len);
}

static void move(struct pair *t, uint32_t a, uint32_t b, bool vmsa,
		 uint64_t from, uint64_t to, uint32_t len)
{
	assert_int_equal(send(t->a,
			      vmsa ? PSP_CMD_SEND_UPDATE_VMSA
				   : PSP_CMD_SEND_UPDATE_DATA,
			      a, from, len),
			 0);
	carry(t, len);
	assert_int_equal(send(t->b,
			      vmsa ? PSP_CMD_RECEIVE_UPDATE_VMSA
				   : PSP_CMD_RECEIVE_UPDATE_DATA,
			      b, to, len),
			 0);
}

static void expect_guest(struct rig *r, uint64_t pa, const void *want, size_t len)
{
	uint8_t *seen = malloc(len);

	rig_plain(r, ES_ASID, pa, seen, len);
	assert_memory_equal(seen, want, len);
	free(seen);
}

static void test_handover(void **state)
{
	struct pair *t = *state;
	const uint64_t shift = 0x40000; /* another place over there */
	uint32_t a, b, off;

	start(t, &a, &b);
	assert_int_equal(rig_state(t->a, a), PSP_G_SUPDATE);
	assert_int_equal(rig_state(t->b, b), PSP_G_RUPDATE);
	/* Live: the source runs on, the target does not yet. */
	assert_true(psp_asid_may_run(t->a->p, ES_ASID));
	assert_false(psp_asid_may_run(t->b->p, ES_ASID));
	for (off = 0; off < sizeof(t->plain) - 4096; off += 4096)
		move(t, a, b, false, RIG_GUEST + off, RIG_GUEST + shift + off,
		     4096);
	/* The last page in pieces. */
	move(t, a, b, false, RIG_GUEST + off, RIG_GUEST + shift + off, 16);
	move(t, a, b, false, RIG_GUEST + off + 16, RIG_GUEST + shift + off + 16,
	     4080);
	assert_int_equal(t->b->vmsa, 0);
	move(t, a, b, true, RIG_VMSA, RIG_VMSA, 4096);
	assert_int_equal(t->b->vmsa, RIG_VMSA);
	assert_int_equal(rig_handle(t->a, PSP_CMD_SEND_FINISH, a), 0);
	assert_int_equal(rig_handle(t->b, PSP_CMD_RECEIVE_FINISH, b), 0);
	assert_int_equal(rig_state(t->a, a), PSP_G_SENT);
	assert_int_equal(rig_state(t->b, b), PSP_G_RUNNING);
	assert_false(psp_asid_may_run(t->a->p, ES_ASID));
	assert_true(psp_asid_may_run(t->b->p, ES_ASID));
	expect_guest(t->b, RIG_GUEST + shift, t->plain, sizeof(t->plain));
	expect_guest(t->b, RIG_VMSA, t->vmsa, sizeof(t->vmsa));
	/* Another key over there, and nothing in the clear anywhere. */
	assert_memory_not_equal(t->a->key[ES_ASID], t->b->key[ES_ASID], 16);
	assert_memory_not_equal(t->b->ram + RIG_VMSA, t->vmsa, 16);
	assert_memory_not_equal(t->b->ram + RIG_VMSA, t->a->ram + RIG_VMSA, 16);
	assert_memory_not_equal(t->b->ram + RIG_TRANS, t->vmsa, 16);
	assert_int_equal(psp_stats(t->a->p)->bytes_sent, sizeof(t->plain) + 4096);
	assert_int_equal(psp_stats(t->b->p)->bytes_received,
			 sizeof(t->plain) + 4096);
}

static void test_queries(void **state)
{
	struct pair *t = *state;
	struct psp_abi_send_start s = { 0 };
	struct psp_abi_packet c = { 0 };
	uint32_t a = source(t, PSP_POLICY_ES);

	s.handle = c.handle = a;
	assert_int_equal(RIG_DO(t->a, SEND_START, s), PSP_RET_INVALID_LEN);
	assert_int_equal(s.session_len, 128);
	assert_int_equal(rig_state(t->a, a), PSP_G_RUNNING);
	/* Sizes are told before it as well (Hygon's QEMU asks then), no data. */
	assert_int_equal(RIG_DO(t->a, SEND_UPDATE_DATA, c), PSP_RET_INVALID_LEN);
	assert_int_equal(c.hdr_len, 52);
	assert_int_equal(c.trans_len, 4096);
	c = rig_packet(a, RIG_GUEST, 64);
	assert_int_equal(RIG_DO(t->a, SEND_UPDATE_DATA, c),
			 PSP_RET_INVALID_GUEST_STATE);
	c = rig_packet(a, RIG_VMSA, 4096);
	assert_int_equal(RIG_DO(t->a, SEND_UPDATE_VMSA, c),
			 PSP_RET_INVALID_GUEST_STATE);
	c = (struct psp_abi_packet){ .handle = a };
	assert_int_equal(rig_send_start(t->a, t->b, a), 0);
	assert_int_equal(RIG_DO(t->a, SEND_UPDATE_VMSA, c), PSP_RET_INVALID_LEN);
	assert_int_equal(c.hdr_len, 52);
	assert_int_equal(c.trans_len, 4096);
	c = (struct psp_abi_packet){ .handle = a };
	assert_int_equal(RIG_DO(t->a, SEND_UPDATE_DATA, c), PSP_RET_INVALID_LEN);
	assert_int_equal(c.hdr_len, 52);
	assert_int_equal(c.trans_len, 4096);
	c = rig_packet(a, RIG_GUEST, 64);
	c.trans_len = 63;
	assert_int_equal(RIG_DO(t->a, SEND_UPDATE_DATA, c), PSP_RET_INVALID_LEN);
	assert_int_equal(c.trans_len, 64);
	c.trans_len = 5000;
	c.hdr_len = 5000;
	assert_int_equal(RIG_DO(t->a, SEND_UPDATE_DATA, c), 0);
	assert_int_equal(c.trans_len, 64);
	assert_int_equal(c.hdr_len, 52);
}

static void test_send_start_errors(void **state)
{
	struct pair *t = *state;
	uint32_t root = rig_certs(t->b, t->a), h;
	struct psp_abi_send_start c;

#define START(handle, field, value, want)                                 \
	do {                                                              \
		c = rig_send_cmd(handle, root);                           \
		c.field = (value);                                        \
		assert_int_equal(RIG_DO(t->a, SEND_START, c), (want));    \
		assert_int_equal(rig_state(t->a, handle), PSP_G_RUNNING); \
	} while (0)
	h = rig_guest(t->a, PSP_POLICY_NOSEND, 9, PSP_G_RUNNING);
	START(h, rsvd, 0, PSP_RET_POLICY_FAILURE);
	h = rig_guest(t->a, PSP_POLICY_SEV, 10, PSP_G_RUNNING);
	START(h, pdh_len, 2083, PSP_RET_INVALID_LEN);
	START(h, plat_len, 0, PSP_RET_INVALID_LEN);
	START(h, plat_len, PSP_CHAIN_SIZE + 1, PSP_RET_INVALID_LEN);
	START(h, amd_len, 1 << 20, PSP_RET_INVALID_LEN);
	START(h, session_len, 127, PSP_RET_INVALID_LEN);
	START(h, pdh_address, RIG_BAD, PSP_RET_INVALID_ADDRESS);
	START(h, plat_address, RIG_BAD, PSP_RET_INVALID_ADDRESS);
	START(h, amd_address, RIG_BAD, PSP_RET_INVALID_ADDRESS);
	START(h, session_address, RIG_ROM, PSP_RET_INVALID_ADDRESS);
	START(h, amd_len, 0, PSP_RET_INVALID_CERTIFICATE);
	t->a->fail_random = 1;
	START(h, rsvd, 0, PSP_RET_HWERROR_PLATFORM);
	t->a->fail_random = 0;
	c = rig_send_cmd(h, root);
	assert_int_equal(RIG_DO(t->a, SEND_START, c), 0);
	assert_int_equal(c.policy, PSP_POLICY_SEV);
	/* Without the policy bit the root is not asked for. */
	h = rig_guest(t->a, 0, 11, PSP_G_RUNNING);
	c = rig_send_cmd(h, 0);
	assert_int_equal(RIG_DO(t->a, SEND_START, c), 0);
	/* DOMAIN: these two platforms have each their own owner. */
	h = rig_guest(t->a, PSP_POLICY_DOMAIN, 12, PSP_G_RUNNING);
	START(h, rsvd, 0, PSP_RET_POLICY_FAILURE);
	assert_int_equal(rig_send_start(t->a, t->a, h), 0);
}

/* A stride over every certificate: no byte that is signed may change. */
static void test_cert_flips(void **state)
{
	struct pair *t = *state;
	uint32_t root = rig_certs(t->b, t->a);
	uint32_t h = rig_guest(t->a, PSP_POLICY_SEV, 10, PSP_G_RUNNING);
	const struct {
		uint32_t at, len;
	} area[] = {
		{ RIG_PDH, 0x414 },
		{ RIG_CHAIN, 0x414 },
		{ RIG_CHAIN + PSP_CERT_SIZE, 0x414 },
		{ RIG_CHAIN + 2 * PSP_CERT_SIZE, 0x414 },
		{ RIG_ROOT, 64 },
		{ RIG_ROOT + root / 2, 64 },
	};
	struct psp_abi_send_start c;
	uint16_t status;
	uint32_t i, off;

	for (i = 0; i < sizeof(area) / sizeof(area[0]); i++)
		for (off = 0; off < area[i].len; off += off < 32 ? 1 : 61) {
			t->a->ram[area[i].at + off] ^= 1u << off % 8;
			c = rig_send_cmd(h, root);
			status = RIG_DO(t->a, SEND_START, c);
			if (status != PSP_RET_BAD_SIGNATURE &&
			    status != PSP_RET_INVALID_CERTIFICATE)
				fail_msg("area %u byte %u: %u", i, off, status);
			t->a->ram[area[i].at + off] ^= 1u << off % 8;
		}
	c = rig_send_cmd(h, root);
	assert_int_equal(RIG_DO(t->a, SEND_START, c), 0);
}

static void test_receive_start_errors(void **state)
{
	struct pair *t = *state;
	uint32_t a = source(t, 0), b;
	struct psp_abi_start c, ok;
	size_t bit;

	assert_int_equal(rig_send_start(t->a, t->b, a), 0);
	/* Another policy than was sent. */
	assert_int_equal(rig_receive_start(t->a, t->b, PSP_POLICY_NODBG, &b),
			 PSP_RET_BAD_MEASUREMENT);
	ok = (struct psp_abi_start){ .cert_address = RIG_PDH,
				     .cert_len = PSP_CERT_SIZE,
				     .session_address = RIG_SESSION,
				     .session_len = PSP_SESSION_SIZE };
	c = ok;
	c.cert_len = 0;
	c.session_len = 0;
	assert_int_equal(RIG_DO(t->b, RECEIVE_START, c), PSP_RET_INVALID_LEN);
	c = ok;
	c.session_len = 127;
	assert_int_equal(RIG_DO(t->b, RECEIVE_START, c), PSP_RET_INVALID_LEN);
	c = ok;
	c.session_address = RIG_BAD;
	assert_int_equal(RIG_DO(t->b, RECEIVE_START, c), PSP_RET_INVALID_ADDRESS);
	c = ok;
	c.handle = 1;
	assert_int_equal(RIG_DO(t->b, RECEIVE_START, c), PSP_RET_INVALID_GUEST);
	c = ok;
	c.policy = 0xff000000 | (uint32_t)t->b->cfg.api_major << 16;
	assert_int_equal(RIG_DO(t->b, RECEIVE_START, c), PSP_RET_POLICY_FAILURE);
	for (bit = 0; bit < PSP_SESSION_SIZE * 8; bit++) {
		t->b->ram[RIG_SESSION + bit / 8] ^= 1u << bit % 8;
		c = ok;
		assert_int_equal(RIG_DO(t->b, RECEIVE_START, c),
				 PSP_RET_BAD_MEASUREMENT);
		t->b->ram[RIG_SESSION + bit / 8] ^= 1u << bit % 8;
	}
	assert_int_equal(rig_platform(t->b).guest_count, 0);
	/* For b only: not for a itself. */
	c = ok;
	assert_int_equal(RIG_DO(t->a, RECEIVE_START, c), PSP_RET_BAD_MEASUREMENT);
	c = ok;
	assert_int_equal(RIG_DO(t->b, RECEIVE_START, c), 0);
}

static void test_packet_flips(void **state)
{
	struct pair *t = *state;
	const uint32_t cmds[2] = { PSP_CMD_SEND_UPDATE_DATA,
				   PSP_CMD_SEND_UPDATE_VMSA };
	uint8_t before[4096];
	uint32_t a, b, i;
	size_t bit;

	start(t, &a, &b);
	memcpy(before, t->b->ram + RIG_GUEST, sizeof(before));
	for (i = 0; i < 2; i++) {
		assert_int_equal(send(t->a, cmds[i], a,
				      i ? RIG_VMSA : RIG_GUEST, 4096),
				 0);
		carry(t, 4096);
		for (bit = 0; bit < (52 + 4096) * 8; bit++) {
			uint8_t *p = t->b->ram +
				     (bit < 52 * 8 ? RIG_HDR + bit / 8
						   : RIG_TRANS + bit / 8 - 52);

			*p ^= 1u << bit % 8;
			assert_int_equal(send(t->b, cmds[i] + 0x10, b,
					      RIG_GUEST, 4096),
					 PSP_RET_BAD_MEASUREMENT);
			assert_memory_equal(before, t->b->ram + RIG_GUEST, 4096);
			*p ^= 1u << bit % 8;
		}
		/* Data is not a VMSA, and the other way round. */
		assert_int_equal(send(t->b, cmds[!i] + 0x10, b, RIG_GUEST, 4096),
				 PSP_RET_BAD_MEASUREMENT);
		/* Shorter than it was sent. */
		if (!i)
			assert_int_equal(send(t->b, cmds[i] + 0x10, b,
					      RIG_GUEST, 4080),
					 PSP_RET_BAD_MEASUREMENT);
		assert_memory_equal(before, t->b->ram + RIG_GUEST, 4096);
		assert_int_equal(send(t->b, cmds[i] + 0x10, b,
				      i ? RIG_VMSA : RIG_GUEST, 4096),
				 0);
		memcpy(before, t->b->ram + RIG_GUEST, sizeof(before));
	}
	expect_guest(t->b, RIG_GUEST, t->plain, 4096);
	expect_guest(t->b, RIG_VMSA, t->vmsa, 4096);
}

/* The packet is refused the second time, an address error is no first time. */
static void test_replay(void **state)
{
	struct pair *t = *state;
	uint8_t other[4096];
	uint32_t a, b, i;

	start(t, &a, &b);
	assert_int_equal(
		send(t->a, PSP_CMD_SEND_UPDATE_DATA, a, RIG_GUEST, 4096), 0);
	carry(t, 4096);
	assert_int_equal(send(t->b, PSP_CMD_RECEIVE_UPDATE_DATA, b, RIG_ROM, 4096),
			 PSP_RET_INVALID_ADDRESS);
	assert_int_equal(
		send(t->b, PSP_CMD_RECEIVE_UPDATE_DATA, b, RIG_GUEST, 4096), 0);
	memcpy(other, t->b->ram + RIG_GUEST + 4096, sizeof(other));
	for (i = 0; i < 2; i++)
		assert_int_equal(send(t->b, PSP_CMD_RECEIVE_UPDATE_DATA, b,
				      RIG_GUEST + i * 4096, 4096),
				 PSP_RET_BAD_MEASUREMENT);
	assert_memory_equal(other, t->b->ram + RIG_GUEST + 4096, 4096);
	/* The same page again, as pre-copy does, is a new packet. */
	for (i = 0; i < 2000; i++)
		move(t, a, b, false, RIG_GUEST, RIG_GUEST, 16);
	expect_guest(t->b, RIG_GUEST, t->plain, 4096);
}

static void test_update_errors(void **state)
{
	struct pair *t = *state;
	struct psp_abi_packet c;
	uint8_t before[4096];
	uint32_t a, b;

	start(t, &a, &b);
#define BAD(r, cmd, h, field, value, want)                   \
	do {                                                 \
		c = rig_packet(h, RIG_GUEST, 4096);          \
		c.field = (value);                           \
		assert_int_equal(RIG_DO(r, cmd, c), (want)); \
	} while (0)
#define BAD_ALL(field, value, want)                                    \
	do {                                                           \
		BAD(t->a, SEND_UPDATE_DATA, a, field, value, want);    \
		BAD(t->a, SEND_UPDATE_VMSA, a, field, value, want);    \
		BAD(t->b, RECEIVE_UPDATE_DATA, b, field, value, want); \
		BAD(t->b, RECEIVE_UPDATE_VMSA, b, field, value, want); \
	} while (0)
	t->a->fail_random = 1;
	BAD(t->a, SEND_UPDATE_DATA, a, rsvd, 0, PSP_RET_HWERROR_PLATFORM);
	t->a->fail_random = 0;
	memcpy(before, t->b->ram + RIG_GUEST, sizeof(before));
	BAD_ALL(hdr_len, 51, PSP_RET_INVALID_LEN);
	BAD_ALL(guest_len, 0, PSP_RET_INVALID_LEN);
	BAD_ALL(guest_len, 4097, PSP_RET_INVALID_LEN);
	BAD_ALL(guest_len, 8192, PSP_RET_INVALID_LEN);
	BAD_ALL(guest_len, 8, PSP_RET_INVALID_LEN);
	BAD_ALL(guest_len, ~0u, PSP_RET_INVALID_LEN);
	BAD_ALL(trans_len, 4095, PSP_RET_INVALID_LEN);
	BAD_ALL(trans_len, 0, PSP_RET_INVALID_LEN);
	BAD_ALL(guest_address, RIG_GUEST, PSP_RET_INVALID_ADDRESS);
	BAD_ALL(guest_address, (RIG_GUEST + 8) | RIG_CBIT,
		PSP_RET_INVALID_ADDRESS);
	BAD_ALL(guest_address, (RIG_GUEST + 16) | RIG_CBIT,
		PSP_RET_INVALID_ADDRESS);
	BAD(t->a, SEND_UPDATE_DATA, a, guest_address, RIG_BAD | RIG_CBIT,
	    PSP_RET_INVALID_ADDRESS);
	BAD(t->a, SEND_UPDATE_DATA, a, guest_address, ~4095ULL,
	    PSP_RET_INVALID_ADDRESS);
	BAD_ALL(hdr_address, RIG_BAD, PSP_RET_INVALID_ADDRESS);
	BAD_ALL(trans_address, RIG_BAD, PSP_RET_INVALID_ADDRESS);
	BAD_ALL(trans_address, RIG_TMR - 16, PSP_RET_INVALID_ADDRESS);
	BAD(t->a, SEND_UPDATE_DATA, a, hdr_address, RIG_ROM,
	    PSP_RET_INVALID_ADDRESS);
	BAD(t->b, RECEIVE_UPDATE_DATA, b, hdr_len, 53, PSP_RET_INVALID_LEN);
	BAD(t->b, RECEIVE_UPDATE_DATA, b, trans_len, 8192, PSP_RET_INVALID_LEN);
	assert_memory_equal(before, t->b->ram + RIG_GUEST, 4096);
	/* Out of the controller, nothing goes. */
	assert_int_equal(rig_handle(t->a, PSP_CMD_DEACTIVATE, a), 0);
	assert_int_equal(rig_handle(t->b, PSP_CMD_DEACTIVATE, b), 0);
	BAD_ALL(rsvd, 0, PSP_RET_INACTIVE);
}

static void test_cancel(void **state)
{
	struct pair *t = *state;
	uint32_t a, b, c;

	start(t, &a, &b);
	move(t, a, b, false, RIG_GUEST, RIG_GUEST, 4096);
	assert_int_equal(rig_handle(t->a, PSP_CMD_SEND_CANCEL, a), 0);
	assert_int_equal(rig_state(t->a, a), PSP_G_RUNNING);
	assert_true(psp_asid_may_run(t->a->p, ES_ASID));
	assert_int_equal(send(t->a, PSP_CMD_SEND_UPDATE_DATA, a, RIG_GUEST, 4096),
			 PSP_RET_INVALID_GUEST_STATE);
	expect_guest(t->a, RIG_GUEST, t->plain, sizeof(t->plain));
	/* The target gives up as well, and the source sends again. */
	assert_int_equal(rig_handle(t->b, PSP_CMD_DEACTIVATE, b), 0);
	assert_int_equal(rig_handle(t->b, PSP_CMD_DECOMMISSION, b), 0);
	rig_wbinvd(t->b);
	assert_int_equal(RIG_RUN(t->b, DF_FLUSH), 0);
	assert_int_equal(rig_send_start(t->a, t->b, a), 0);
	assert_int_equal(rig_receive_start(t->a, t->b, PSP_POLICY_ES, &c), 0);
	assert_int_equal(rig_activate(t->b, c, ES_ASID), 0);
	/* What is left of the first try is of no use in the second. */
	assert_int_equal(send(t->b, PSP_CMD_RECEIVE_UPDATE_DATA, c, RIG_GUEST,
			      4096),
			 PSP_RET_BAD_MEASUREMENT);
	move(t, a, c, false, RIG_GUEST, RIG_GUEST, 4096);
	move(t, a, c, true, RIG_VMSA, RIG_VMSA, 4096);
	expect_guest(t->b, RIG_GUEST, t->plain, 4096);
	expect_guest(t->b, RIG_VMSA, t->vmsa, 4096);
}

/* On to a third platform, and back: all of it survives. */
static void test_chain(void **state)
{
	struct pair *t = *state;
	uint32_t a, b, off;
	struct rig *was;

	start(t, &a, &b);
	for (off = 0; off < sizeof(t->plain); off += 4096)
		move(t, a, b, false, RIG_GUEST + off, RIG_GUEST + off, 4096);
	move(t, a, b, true, RIG_VMSA, RIG_VMSA, 4096);
	assert_int_equal(rig_handle(t->a, PSP_CMD_SEND_FINISH, a), 0);
	assert_int_equal(rig_handle(t->b, PSP_CMD_RECEIVE_FINISH, b), 0);
	assert_int_equal(rig_handle(t->a, PSP_CMD_DEACTIVATE, a), 0);
	assert_int_equal(rig_handle(t->a, PSP_CMD_DECOMMISSION, a), 0);
	rig_wbinvd(t->a);
	assert_int_equal(RIG_RUN(t->a, DF_FLUSH), 0);
	was = t->a;
	t->a = t->b;
	t->b = was;
	assert_int_equal(rig_send_start(t->a, t->b, b), 0);
	assert_int_equal(rig_receive_start(t->a, t->b, PSP_POLICY_ES, &a), 0);
	assert_int_equal(rig_activate(t->b, a, ES_ASID), 0);
	for (off = 0; off < sizeof(t->plain); off += 4096)
		move(t, b, a, false, RIG_GUEST + off, RIG_GUEST + off, 4096);
	move(t, b, a, true, RIG_VMSA, RIG_VMSA, 4096);
	expect_guest(t->b, RIG_GUEST, t->plain, sizeof(t->plain));
	expect_guest(t->b, RIG_VMSA, t->vmsa, sizeof(t->vmsa));
}

/* A platform of the other kind is no target. */
static void test_profiles_apart(void **state)
{
	struct pair *t = *state;
	struct rig *x =
		rig_new(t->a->cfg.profile == PSP_AMD ? PSP_HYGON : PSP_AMD, 3);
	uint32_t h = source(t, 0), root;
	struct psp_abi_send_start c;
	uint16_t status;

	assert_int_equal(rig_init(x), 0);
	root = rig_certs(x, t->a);
	c = rig_send_cmd(h, root);
	status = RIG_DO(t->a, SEND_START, c);
	assert_true(status == PSP_RET_INVALID_CERTIFICATE ||
		    status == PSP_RET_BAD_SIGNATURE);
	rig_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_handover),
		BOTH(test_queries),
		BOTH(test_send_start_errors),
		BOTH(test_cert_flips),
		BOTH(test_receive_start_errors),
		BOTH(test_packet_flips),
		BOTH(test_replay),
		BOTH(test_update_errors),
		BOTH(test_cancel),
		BOTH(test_chain),
		BOTH(test_profiles_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
