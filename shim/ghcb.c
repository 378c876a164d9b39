/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shim's words with the hypervisor ([GHCB] 2 and 4). */
#include "shim/ghcb.h"

#include "shim/internal.h"

static void vmgexit(void)
{
	__asm__ volatile("rep; vmmcall" : : : "memory");
}

/* Asks the processor, not the configuration: that may be what is wrong. */
void give_up(uint8_t code)
{
	if (rdmsr(MSR_SEV_STATUS) & SEV_STATUS_ES) {
		wrmsr(MSR_GHCB, GHCB_MSR_TERMINATE | SHIM_REASON_SET << 12 |
					(uint32_t)code << 16);
		vmgexit();
	} else {
		__asm__ volatile("outl %0, %1"
				 :
				 : "a"((uint32_t)code),
				   "Nd"((uint16_t)SHIM_PORT));
	}
	for (;;)
		__asm__ volatile("hlt");
}

void ghcb_init(const struct shim_config *cfg)
{
	uint64_t v;

	wrmsr(MSR_GHCB, GHCB_MSR_INFO_REQUEST);
	vmgexit();
	v = rdmsr(MSR_GHCB);
	/* Protocols from .. to; the C-bit's position, which has to be ours. */
	if ((v & 0xfff) != GHCB_MSR_INFO || (v >> 32 & 0xffff) > GHCB_VERSION ||
	    v >> 48 < GHCB_VERSION || cfg->c_bit != 1ull << (v >> 24 & 63))
		give_up(SHIM_GHCB_VERSION);
	fill(shared(SHIM_GHCB), 0, PAGE);
	wrmsr(MSR_GHCB, SHIM_GHCB);
}

/* Return: what the hypervisor answers, its SW_EXITINFO2 */
static uint64_t ghcb_jump_table(uint64_t get, uint64_t at)
{
	volatile uint64_t *g = shared(SHIM_GHCB);

	g[GHCB_EXIT_CODE / 8] = GHCB_AP_JUMP_TABLE;
	g[GHCB_EXIT_INFO_1 / 8] = get;
	g[GHCB_EXIT_INFO_2 / 8] = at;
	g[GHCB_VALID / 8 + 1] = GHCB_VALID_EXIT;
	((volatile uint16_t *)g)[GHCB_PROTOCOL / 2] = GHCB_VERSION;
	vmgexit();
	if ((uint32_t)g[GHCB_EXIT_INFO_1 / 8])
		give_up(SHIM_JUMP_TABLE);
	return g[GHCB_EXIT_INFO_2 / 8];
}

void ghcb_set_jump_table(void)
{
	(void)ghcb_jump_table(0, SHIM_JUMP);
	if (ghcb_jump_table(1, 0) != SHIM_JUMP)
		give_up(SHIM_JUMP_TABLE);
}
