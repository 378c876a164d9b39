/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes each RAM page's own address into it, then reads all back: holes, or
 * one page behind two addresses, show. Of a large range only the first and the
 * last pages, because emulation is slow.
 */
#include "guest.h"

#define PAGE	4096ul
#define PART	4096ul /* pages at each end of a range */
#define RAM	1
#define PATTERN 0x5aa5c33c00000000ul
/* What the entry tables of vmm/boot.h map. */
#define MAPPED 0x100000000ul

static uint64_t pages, wrong;

static void visit(uint64_t addr, bool write)
{
	volatile uint64_t *p = at(addr + (addr >> 12) % 500 * 8);

	/* Not where this guest, its tables and stacks are. */
	if (addr < (uint64_t)guest_end)
		return;
	if (write) {
		*p = addr ^ PATTERN;
		pages++;
	} else if (*p != (addr ^ PATTERN)) {
		wrong++;
	}
}

static void walk(uint64_t start, uint64_t size, bool write)
{
	uint64_t n = size / PAGE, i;

	for (i = 0; i < n; i++) {
		if (i == PART && n > 2 * PART)
			i = n - PART;
		visit(start + i * PAGE, write);
	}
}

static void walk_all(const uint8_t *boot_params, bool write)
{
	struct e820 e;
	unsigned i;

	for (i = 0; e820_get(boot_params, i, &e); i++) {
		if (e.type == RAM && e.start + e.size <= MAPPED)
			walk(e.start, e.size, write);
	}
}

void guest_main(const uint8_t *boot_params)
{
	walk_all(boot_params, true);
	walk_all(boot_params, false);
	puts("memtouch: pages=");
	put_dec(pages);
	puts(" wrong=");
	put_dec(wrong);
	puts("\n");
	if (wrong)
		guest_fail("memory does not keep what is written");
	guest_success();
}
