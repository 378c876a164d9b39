/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One instruction that reads and then writes a device register, over and over:
 * it leaves the guest twice. A pause in between must not lose the write.
 */
#include "guest.h"

#define ROUNDS	       100000u
#define INTERRUPT_LINE 0x3c /* of the host bridge: keeps what is written */

void guest_main(const uint8_t *boot_params)
{
	uint64_t reg = ecam(0, INTERRUPT_LINE);
	unsigned i;

	(void)boot_params;
	mmio_write8(reg, 0);
	puts("start\n");
	for (i = 1; i <= ROUNDS; i++) {
		__asm__ volatile("incb (%0)" : : "r"(reg) : "memory", "cc");
		if (mmio_read8(reg) != (uint8_t)i)
			guest_fail("a write was lost");
	}
	guest_success();
}
