/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports a panic through pvpanic. */
#include "guest.h"

void guest_main(const uint8_t *boot_params)
{
	(void)boot_params;
	if (!(inb(PORT_PANIC) & 1))
		guest_fail("pvpanic does not offer 'panicked'");
	puts("panic\n");
	outb(PORT_PANIC, 1);
	for (;;)
		halt();
}
