/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes something into each page from 8 MiB up to "mib=" on the command line, says
 * so, and then does nothing: a guest that is as large as it looks.
 */
#include "guest.h"

#define FROM 0x800000ul
#define PAGE 4096ul

void guest_ap_main(uint32_t apic_id)
{
	(void)apic_id;
}

void guest_main(const uint8_t *boot_params)
{
	const char *cmdline = at(load32(boot_params + 0x228));
	uint64_t a, end = word_number(word_find(cmdline, "mib=")) << 20;

	for (a = FROM; a < end; a += PAGE)
		*(volatile uint64_t *)at(a) = a + 1;
	puts("full\n");
	for (;;)
		__asm__ volatile("hlt");
}
