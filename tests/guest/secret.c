/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An encrypted guest's owner puts a text at SECRET before the start. */
#include "guest.h"

#define SECRET 0x80000ul /* RAM that nobody else uses */

void guest_main(const uint8_t *boot_params)
{
	(void)boot_params;
	puts("secret: ");
	puts(at(SECRET));
	puts("\n");
	guest_success();
}
