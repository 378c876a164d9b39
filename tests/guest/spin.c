/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does nothing, as fast as it can, for ever: never leaves the guest by itself. */
#include "guest.h"

void guest_main(const uint8_t *boot_params)
{
	(void)boot_params;
	puts("spin\n");
	for (;;)
		relax();
}
