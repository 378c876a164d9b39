/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ring mode: commands by two queues in memory ([csv-abi] 2.4 to 2.7). */
#include "psp/internal.h"

/* Unconfirmed unit of the size field: 1 is the only value seen, and it goes
 * with 2048 slots. */
#define QUEUE_SIZE 1

static bool queue_ok(struct psp *p, uint64_t pa)
{
	return pa % PSP_PAGE == 0 && psp_mem_probe(p, pa, PSP_RING_BYTES) == 0;
}

PSP_HANDLER(ring_buffer)
{
	const struct psp_abi_ring_buffer *c = buf;
	uint64_t lo_cmd = psp_pa(p, c->lo_cmd), lo_stat = psp_pa(p, c->lo_stat);
	uint64_t hi_cmd = psp_pa(p, c->hi_cmd), hi_stat = psp_pa(p, c->hi_stat);

	(void)g;
	if (p->cfg.profile == PSP_HYGON && p->cfg.build < PSP_BUILD_RING)
		return PSP_RET_INVALID_COMMAND;
	if (c->lo_size != QUEUE_SIZE || c->hi_size != QUEUE_SIZE)
		return PSP_RET_INVALID_LEN;
	/* What thresholds do is not known; nobody sets them. */
	if (c->int_on_empty > 1 || c->lo_threshold >= PSP_RING_SLOTS ||
	    c->hi_threshold >= PSP_RING_SLOTS)
		return PSP_RET_INVALID_PARAM;
	if (!queue_ok(p, lo_cmd) || !queue_ok(p, lo_stat) ||
	    !queue_ok(p, hi_cmd) || !queue_ok(p, hi_stat))
		return PSP_RET_INVALID_ADDRESS;
	p->ring = (struct psp_ring){
		.active = true,
		.int_on_empty = c->int_on_empty,
		.low = { .cmd = lo_cmd, .stat = lo_stat },
		.high = { .cmd = hi_cmd, .stat = hi_stat },
	};
	return PSP_RET_SUCCESS;
}

static uint16_t run_command(struct psp *p, const struct psp_abi_ring_cmd *e)
{
	const struct psp_cmd *c = psp_cmd_find(e->cmd_id);
	uint16_t status = PSP_RET_INVALID_COMMAND;

	if (c && (c->flags & PSP_CMDF_RING))
		status = psp_execute_at(p, c, e->cmd_buf_ptr);
	psp_stats_done(p, e->cmd_id, status);
	p->stats.ring_commands++;
	return status;
}

/* Does this element have to pause the ring, by a fault hook? */
static bool pause_here(struct psp *p)
{
	if (!p->fault.pause || p->fault.pause_at--)
		return false;
	p->fault.pause = false;
	return true;
}

/* Execute the element at the head. Return: false when the queue pauses. */
static bool step(struct psp *p, struct psp_queue *q)
{
	uint64_t offset = (uint64_t)q->head * PSP_RING_ELEM;
	struct psp_abi_ring_stat stat = { 0 };
	struct psp_abi_ring_cmd e;

	if (psp_mem_read(p, q->cmd + offset, &e, sizeof(e)) < 0)
		stat.status = PSP_RET_INVALID_ADDRESS;
	else if (pause_here(p))
		stat.status = p->fault.pause_status;
	else
		stat.status = run_command(p, &e);
	if (psp_mem_write(p, q->stat + offset, &stat, sizeof(stat)) < 0 ||
	    stat.status != PSP_RET_SUCCESS)
		return false;
	q->head = (q->head + 1) % PSP_RING_SLOTS;
	return true;
}

static bool interrupt(struct psp *p, uint64_t count)
{
	bool lost = p->fault.lose && count;

	p->stats.interrupts += count;
	if (lost)
		p->fault.lose = false;
	return count && !lost;
}

/*
 * On an error the head stays at the failing element, where the host looks for
 * the status (unconfirmed, [csv-abi] 2.6); the next doorbell tries it again,
 * unless the host moved the heads before.
 */
bool psp_ring_doorbell(struct psp *p, uint32_t tails)
{
	struct psp_ring *r = &p->ring;
	uint64_t done = 0;

	if (!r->active)
		return false;
	p->stats.doorbells++;
	p->stats.busy_ns += p->cfg.cost.doorbell_ns;
	r->high.tail = tails >> PSP_RB_HIGH_SHIFT & PSP_RB_INDEX_MASK;
	r->low.tail = tails & PSP_RB_INDEX_MASK;
	r->paused = false;
	while (!r->paused &&
	       (r->high.head != r->high.tail || r->low.head != r->low.tail)) {
		if (r->high.head != r->high.tail)
			r->paused = !step(p, &r->high);
		else
			r->paused = !step(p, &r->low);
		done++;
	}
	p->fault.pause = false;
	/* Without int_on_empty: one for each command; unconfirmed. */
	return interrupt(p, r->int_on_empty ? 1 : done);
}

uint32_t psp_ring_heads(const struct psp *p)
{
	const struct psp_ring *r = &p->ring;

	return r->high.head << PSP_RB_HIGH_SHIFT | r->low.head |
	       (r->paused ? PSP_RBHEAD_QPAUSE : 0);
}

void psp_ring_set_heads(struct psp *p, uint32_t heads)
{
	p->ring.high.head = heads >> PSP_RB_HIGH_SHIFT & PSP_RB_INDEX_MASK;
	p->ring.low.head = heads & PSP_RB_INDEX_MASK;
}
