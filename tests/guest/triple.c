/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An exception with no IDT: triple fault. */
#include "guest.h"

void guest_main(const uint8_t *boot_params)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} none = { 0, 0 };

	(void)boot_params;
	puts("triple\n");
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
	guest_fail("still here");
}
