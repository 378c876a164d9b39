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
#define HOLE	0xc0000000ul
/* What the entry tables of vmm/boot.h map, and what map_more() does. */
#define GIB	  0x40000000ul
#define ENTRY_GIB 4ul
#define MORE_GIB  12ul
#define MAPPED	  ((ENTRY_GIB + MORE_GIB) * GIB)

static uint64_t pages, high_pages, wrong;
static uint64_t page_dir[MORE_GIB][512] __attribute__((aligned(4096)));

/* Identity-map more, in 2 MiB pages. */
static void map_more(void)
{
	uint64_t cr3, i, j;
	uint64_t *pml4, *pdpt;

	__asm__ volatile("movq %%cr3, %0" : "=r"(cr3));
	pml4 = at(cr3 & ~0xffful);
	pdpt = at(pml4[0] & ~0xffful);
	for (i = 0; i < MORE_GIB; i++) {
		for (j = 0; j < 512; j++)
			page_dir[i][j] = (ENTRY_GIB + i) * GIB + (j << 21) + 0x83;
		pdpt[ENTRY_GIB + i] = (uint64_t)page_dir[i] + 3;
	}
	__asm__ volatile("movq %0, %%cr3" : : "r"(cr3) : "memory");
}

static void visit(uint64_t addr, bool write)
{
	volatile uint64_t *p = at(addr + (addr >> 12) % 500 * 8);

	/* Not where this guest, its tables and stacks are. */
	if (addr < (uint64_t)guest_end)
		return;
	if (write) {
		*p = addr ^ PATTERN;
		pages++;
		high_pages += addr >= ENTRY_GIB * GIB;
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
	map_more();
	walk_all(boot_params, true);
	/* Behind the hole there is nothing that keeps this, or shows it. */
	mmio_write32(HOLE, 0x600d600d);
	if (mmio_read32(HOLE) == 0x600d600d)
		guest_fail("the hole is RAM");
	walk_all(boot_params, false);
	puts("memtouch: pages=");
	put_dec(pages);
	puts(" above 4 GiB=");
	put_dec(high_pages);
	puts(" wrong=");
	put_dec(wrong);
	puts("\n");
	if (wrong)
		guest_fail("memory does not keep what is written");
	guest_success();
}
