/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks for a reset through ACPI's reset register. */
#include "guest.h"

void guest_main(const uint8_t *boot_params)
{
	(void)boot_params;
	puts("reboot\n");
	guest_reboot();
}
