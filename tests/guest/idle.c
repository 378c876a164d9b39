/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does nothing, cheaply, for ever. */
#include "guest.h"

void guest_main(const uint8_t *boot_params)
{
	(void)boot_params;
	puts("idle\n");
	for (;;)
		halt();
}
