/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counters, modelled time, and faults on request. */
#include "psp/internal.h"

const struct psp_stats *psp_stats(const struct psp *p)
{
	return &p->stats;
}

void psp_stats_pages(struct psp *p, uint64_t bytes)
{
	p->stats.busy_ns +=
		(bytes + PSP_PAGE - 1) / PSP_PAGE * p->cfg.cost.page_ns;
}

void psp_stats_done(struct psp *p, uint32_t cmd, uint16_t status)
{
	if (cmd < sizeof(p->stats.commands) / sizeof(p->stats.commands[0]))
		p->stats.commands[cmd]++;
	if (status != PSP_RET_SUCCESS)
		p->stats.failed++;
}

void psp_fault_command(struct psp *p, unsigned nth, uint16_t status)
{
	p->fault.nth = nth;
	p->fault.status = status;
}

void psp_fault_ring_pause(struct psp *p, unsigned k, uint16_t status)
{
	p->fault.pause = true;
	p->fault.pause_at = k;
	p->fault.pause_status = status;
}

void psp_fault_lose_interrupt(struct psp *p)
{
	p->fault.lose = true;
}

bool psp_fault_take(struct psp *p, uint16_t *ret_status)
{
	if (!p->fault.nth || --p->fault.nth)
		return false;
	*ret_status = p->fault.status;
	return true;
}
