/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile host: any commands, by mailbox and by ring, over memory that it
 * fills as it likes.
 *
 * Input: one byte of profile, then operations of one byte and what they take.
 * Command buffers are words, one byte each: an interesting value by its index,
 * or (from 0x80 on) four bytes as they are.
 */
#include <stdint.h>

#include "tests/unit/psp_host.h"

#define MAX_OPS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t left;
};

static struct rig *rigs[2];
static uint32_t handle[4]; /* of the latest guests */

static uint8_t byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static uint32_t word(struct input *in)
{
	static const uint32_t nice[] = {
		0,
		1,
		2,
		3,
		7,
		9,
		15,
		16,
		36,
		48,
		52,
		64,
		128,
		208,
		4096,
		8192,
		PSP_CERT_SIZE,
		PSP_CHAIN_SIZE,
		PSP_TMR_SIZE,
		PSP_NV_SIZE,
		1u << 15, /* the C-bit of a high word */
		RIG_HDR,
		RIG_TRANS,
		RIG_SESSION,
		RIG_OUT,
		RIG_PDH,
		RIG_CHAIN,
		RIG_ROOT,
		RIG_NV,
		RIG_TMR,
		RIG_GUEST,
		RIG_GUEST + 4096,
		RIG_VMSA,
		RIG_RING,
		RIG_RING + 0x8000,
		RIG_RING + 0x10000,
		RIG_ROM,
		RIG_RAM - 16,
		RIG_RAM,
		RIG_TMR - 16,
		~0u,
		~15u,
		0xfffff000,
		1u << 31,
	};
	uint8_t b = byte(in);
	uint32_t v = 0;
	int i;

	if (b < 4)
		return handle[b];
	if (b < 0x80)
		return nice[b % (sizeof(nice) / sizeof(nice[0]))];
	for (i = 0; i < 4; i++)
		v = v << 8 | byte(in);
	return v;
}

static uint16_t command_id(struct input *in)
{
	uint8_t b = byte(in);

	return b < 0x80 ? b : (uint16_t)(b << 8 | byte(in));
}

static void fill(struct rig *r, uint32_t at, struct input *in)
{
	uint32_t v;
	int i;

	for (i = 0; i < 17; i++) {
		v = word(in);
		memcpy(r->ram + at + i * 4, &v, sizeof(v));
	}
}

static void note(uint32_t h)
{
	memmove(handle + 1, handle, sizeof(handle) - sizeof(handle[0]));
	handle[0] = h;
}

static void op_mailbox(struct rig *r, struct input *in)
{
	uint16_t cmd = command_id(in), status;
	uint32_t h;

	fill(r, RIG_CMD, in);
	/* From then on the region may be elsewhere, or none. */
	if (cmd == PSP_CMD_SHUTDOWN)
		r->guard = false;
	status = psp_mailbox(r->p, cmd, RIG_CMD);
	RIG_CHECK(status <= PSP_RET_SECURE_DATA_INVALID);
	if (status == 0 &&
	    (cmd == PSP_CMD_LAUNCH_START || cmd == PSP_CMD_RECEIVE_START)) {
		memcpy(&h, r->ram + RIG_CMD, sizeof(h));
		note(h);
	}
}

static void op_memory(struct rig *r, struct input *in)
{
	static const uint32_t where[] = { RIG_HDR,   RIG_TRANS, RIG_SESSION,
					  RIG_PDH,   RIG_CHAIN, RIG_ROOT,
					  RIG_GUEST, RIG_NV };
	uint32_t at = where[byte(in) % 8] + byte(in) * 8, n = byte(in);

	while (n--)
		r->ram[at++] ^= byte(in);
}

static void op_launch(struct rig *r, struct input *in)
{
	static const uint32_t policy[] = { 0, PSP_POLICY_ES, PSP_POLICY_SEV,
					   PSP_POLICY_ES | PSP_POLICY_NODBG };
	uint8_t b = byte(in);
	uint32_t h, len = 4096;

	if (rig_launch_start(r, policy[b & 3], &h) != 0)
		return;
	note(h);
	(void)rig_activate(r, h, 1 + (b >> 2) % 15);
	if (b & 0x40) {
		(void)rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len);
		if (b & 0x80)
			(void)rig_handle(r, PSP_CMD_LAUNCH_FINISH, h);
	}
}

/* From this platform to itself. */
static void op_send(struct rig *r, struct input *in)
{
	uint32_t h = handle[byte(in) % 4], got;

	/* The rig's own commands have to work. */
	if (!r->guard)
		return;
	psp_fault_command(r->p, 0, 0);
	r->fail_random = 0;
	if (rig_send_start(r, r, h) == 0 &&
	    rig_receive_start(r, r, byte(in) & PSP_POLICY_ES, &got) == 0) {
		note(got);
		(void)rig_activate(r, got, 1 + byte(in) % 15);
	}
}

static void op_ring_enter(struct rig *r, struct input *in)
{
	struct psp_abi_ring_buffer c = { .lo_cmd = RIG_RING,
					 .lo_stat = RIG_RING + 0x8000,
					 .hi_cmd = RIG_RING + 0x10000,
					 .hi_stat = RIG_RING + 0x18000,
					 .lo_size = 1,
					 .hi_size = 1 };

	c.int_on_empty = byte(in) & 1;
	(void)RIG_DO(r, RING_BUFFER, c);
}

static void op_ring_put(struct rig *r, struct input *in)
{
	uint8_t b = byte(in);
	uint32_t slot = b & 7, buf = RIG_TRANS + 0x1000 + slot * 128;
	struct psp_abi_ring_cmd e = { .cmd_id = command_id(in) };

	e.cmd_buf_ptr = b & 0x40 ? word(in) : buf;
	fill(r, buf, in);
	memcpy(r->ram + RIG_RING + (b & 0x80 ? 0x10000 : 0) + slot * 16, &e,
	       sizeof(e));
}

static void op_ring_run(struct rig *r, struct input *in)
{
	uint8_t b = byte(in);

	if (b & 0x80)
		psp_ring_set_heads(r->p, (uint32_t)byte(in) << 13 | b);
	(void)psp_ring_doorbell(r->p, (b & 7) << 16 | (b >> 3 & 7));
	(void)psp_ring_heads(r->p);
}

static void op_fault(struct rig *r, struct input *in)
{
	uint8_t b = byte(in);

	switch (b & 3) {
	case 0:
		psp_fault_command(r->p, b >> 2, PSP_RET_HWERROR_PLATFORM);
		break;
	case 1:
		psp_fault_ring_pause(r->p, b >> 2, PSP_RET_RESOURCE_LIMIT);
		break;
	case 2:
		psp_fault_lose_interrupt(r->p);
		break;
	default:
		r->fail_random = b >> 2;
		break;
	}
}

static void op_flush(struct rig *r, struct input *in)
{
	(void)in;
	rig_wbinvd(r);
	(void)RIG_RUN(r, DF_FLUSH);
}

static void (*const ops[])(struct rig *r, struct input *in) = {
	op_mailbox,  op_mailbox,    op_memory,	 op_launch,
	op_send,     op_ring_enter, op_ring_put, op_ring_put,
	op_ring_run, op_fault,	    op_flush,
};

static void reset(struct rig *r)
{
	r->guard = false;
	r->fail_random = 0;
	r->rng = 1;
	psp_fault_command(r->p, 0, 0);
	RIG_CHECK(RIG_RUN(r, SHUTDOWN) == 0);
	rig_wbinvd(r);
	memset(r->ram, 0, RIG_TMR);
	memset(r->ram + RIG_GUEST, 0, 8192);
	memset(r->ram + RIG_RING, 0, 4 * PSP_RING_BYTES);
	memset(handle, 0, sizeof(handle));
	RIG_CHECK(rig_init(r) == 0);
	RIG_CHECK(RIG_RUN(r, DF_FLUSH) == 0);
	r->guard = true;
}

/* What holds whatever the host does. */
static void check(struct rig *r)
{
	struct psp_abi_platform_status st;

	psp_fault_command(r->p, 0, 0);
	RIG_CHECK(psp_command(r->p, PSP_CMD_PLATFORM_STATUS, &st, sizeof(st)) ==
		  0);
	RIG_CHECK((st.state == PSP_WORKING) == (st.guest_count != 0));
	RIG_CHECK(!psp_in_ring_mode(r->p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned profile = byte(&in) & 1, i;
	struct rig *r;

	if (!rigs[profile])
		rigs[profile] = rig_new(profile ? PSP_HYGON : PSP_AMD, 1);
	r = rigs[profile];
	reset(r);
	for (i = 0; i < MAX_OPS && in.left; i++)
		ops[byte(&in) % (sizeof(ops) / sizeof(ops[0]))](r, &in);
	check(r);
	return 0;
}
