/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CSV_COMMAND_BATCH: a list of packets through the firmware's rings. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "vmm/csv_model_internal.h"

/*
 * DOC: Theory of operation
 *
 * As the vendors' kernels do it ([csv-abi] 2.5 to 2.7, 3): the whole list is
 * checked and turned into the firmware's structures; the first half of the
 * largest possible batch goes to the HIGH queue, the rest to LOW; ring mode is
 * entered, both tails are set by one doorbell, and PLATFORM_STATUS leaves it.
 * Other than there (9), a payload is one page at most, the list can't be longer
 * than the rings, and the status of each command is looked at.
 */

#define HALF (CSV_BATCH_MAX / 2)

static_assert(HALF == PSP_RING_SLOTS - 1, "one slot of each ring stays free");

/**
 * struct item - One command
 * @c:		Its firmware structure, which is written back
 * @a:		The VMM's: where a packet to send belongs, when all are done
 * @buf:	What the firmware writes meanwhile; NULL when receiving
 */
struct item {
	struct psp_abi_packet c;
	struct kvm_sev_send_update_data a;
	uint8_t *buf;
};

enum { LO_CMD, LO_STAT, HI_CMD, HI_STAT, RINGS };

struct batch {
	uint16_t cmd;
	unsigned n;
	struct item item[CSV_BATCH_MAX];
	_Alignas(MODEL_PAGE) uint8_t ring[RINGS][PSP_RING_BYTES];
};

static struct batch *batch_new(uint16_t cmd)
{
	struct batch *b = aligned_alloc(MODEL_PAGE, sizeof(*b));

	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	b->cmd = cmd;
	return b;
}

static void batch_free(struct batch *b)
{
	unsigned i;

	for (i = 0; i < b->n; i++)
		free(b->item[i].buf);
	free(b);
}

static void enqueue(struct batch *b, unsigned i)
{
	struct psp_abi_ring_cmd e = {
		.cmd_id = b->cmd,
		.cmd_buf_ptr = csv_model_pa(&b->item[i].c),
	};
	uint8_t *ring = b->ring[i < HALF ? HI_CMD : LO_CMD];

	memcpy(ring + (i < HALF ? i : i - HALF) * sizeof(e), &e, sizeof(e));
}

static int prepare(const struct csv_model *m, struct batch *b, uint64_t data)
{
	struct item *it = &b->item[b->n];

	if (!data)
		return -EFAULT;
	memcpy(&it->a, csv_model_host(data), sizeof(it->a));
	if (csv_model_packet(m, &it->a, &it->c) < 0 ||
	    it->a.trans_len > MODEL_PAGE)
		return -EFAULT;
	if (b->cmd == PSP_CMD_SEND_UPDATE_DATA) {
		it->buf = calloc(1, (size_t)it->a.hdr_len + it->a.trans_len);
		if (!it->buf)
			return -EFAULT;
		it->c.hdr_address = csv_model_pa(it->buf);
		it->c.trans_address = csv_model_pa(it->buf + it->a.hdr_len);
	}
	enqueue(b, b->n++);
	return 0;
}

/* The list is the VMM's, but one that bites its tail has an end, too. */
static int walk(const struct csv_model *m, struct batch *b, uint64_t at)
{
	struct csv_abi_node node;
	int r = 0;

	for (; !r && at; at = node.next_cmd_addr) {
		if (b->n == CSV_BATCH_MAX)
			return -EINVAL;
		memcpy(&node, csv_model_host(at), sizeof(node));
		r = prepare(m, b, node.cmd_data_addr);
	}
	return r;
}

static uint16_t slot_status(const struct batch *b, unsigned ring, uint32_t slot)
{
	struct psp_abi_ring_stat s;

	memcpy(&s, b->ring[ring] + slot * sizeof(s), sizeof(s));
	return s.status;
}

/* Of the command that stopped a queue: it is at one of the heads. */
static uint16_t paused_status(const struct batch *b, uint32_t heads)
{
	uint32_t high = heads >> PSP_RB_HIGH_SHIFT & PSP_RB_INDEX_MASK;
	uint16_t status = slot_status(b, HI_STAT, high);

	return status ? status
		      : slot_status(b, LO_STAT, heads & PSP_RB_INDEX_MASK);
}

static int run(struct csv_model *m, struct batch *b, uint32_t *ret_fw)
{
	uint32_t high = MIN(b->n, HALF), low = b->n - high;
	uint32_t tails = high << PSP_RB_HIGH_SHIFT | low, heads, ignored;
	struct psp_abi_platform_status leave = { 0 };
	struct psp_abi_ring_buffer c = {
		.lo_cmd = csv_model_pa(b->ring[LO_CMD]),
		.lo_stat = csv_model_pa(b->ring[LO_STAT]),
		.hi_cmd = csv_model_pa(b->ring[HI_CMD]),
		.hi_stat = csv_model_pa(b->ring[HI_STAT]),
		.lo_size = 1,
		.hi_size = 1,
		.int_on_empty = 1,
	};
	int r = FW(m, RING_BUFFER, c, ret_fw);
	bool told;

	if (r < 0)
		return r;
	told = psp_ring_doorbell(m->pf->psp, tails);
	heads = psp_ring_heads(m->pf->psp);
	(void)FW(m, PLATFORM_STATUS, leave, &ignored);
	if (!told)
		return -ETIMEDOUT;
	if (heads == tails)
		return 0;
	*ret_fw = paused_status(b, heads);
	return *ret_fw ? -EIO : -EFAULT;
}

static void hand_out(const struct batch *b)
{
	const struct item *it;

	for (it = b->item; it < b->item + b->n; it++) {
		memcpy(csv_model_host(it->a.trans_uaddr),
		       it->buf + it->a.hdr_len, it->a.trans_len);
		memcpy(csv_model_host(it->a.hdr_uaddr), it->buf, it->a.hdr_len);
	}
}

int csv_model_batch(struct csv_model *m, const struct csv_abi_batch *a,
		    uint32_t *ret_fw)
{
	bool send = a->command_id == KVM_SEV_SEND_UPDATE_DATA;
	struct batch *b;
	int r;

	if (!a->list_uaddr)
		return 0;
	if (!send && a->command_id != KVM_SEV_RECEIVE_UPDATE_DATA)
		return -EINVAL;
	b = batch_new(send ? PSP_CMD_SEND_UPDATE_DATA
			   : PSP_CMD_RECEIVE_UPDATE_DATA);
	if (!b)
		return -EINVAL;
	r = walk(m, b, a->list_uaddr);
	if (!r)
		r = run(m, b, ret_fw);
	if (!r && send)
		hand_out(b);
	batch_free(b);
	return r;
}
