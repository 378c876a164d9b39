/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waits for the power button as an ACPI driver would, then powers off. */
#include "guest.h"

#define PORT_EVENT 0x603

void guest_main(const uint8_t *boot_params)
{
	(void)boot_params;
	puts("powerbtn: waiting\n");
	while (!(inb(PORT_EVENT) & 1))
		relax();
	puts("powerbtn: pressed\n");
	if (inb(PORT_EVENT))
		guest_fail("reading the event did not clear it");
	guest_success();
}
