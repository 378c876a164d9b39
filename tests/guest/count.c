/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counts for ever, a number a line: is the guest getting on? */
#include "guest.h"

#define DELAY 2000

void guest_main(const uint8_t *boot_params)
{
	uint64_t n, i;

	(void)boot_params;
	for (n = 0;; n++) {
		put_dec(n);
		puts("\n");
		for (i = 0; i < DELAY; i++)
			relax();
	}
}
