/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers a kvm-clock page and waits for "the host stopped you" in it, by
 * which Linux keeps its lock-up watchdogs quiet after a pause.
 */
#include "guest.h"

#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01u
#define PAGE			0x400000ul
#define FLAGS			29 /* of struct pvclock_vcpu_time_info */
#define GUEST_STOPPED		2
#define ROUNDS			2000u

void guest_main(const uint8_t *boot_params)
{
	volatile uint8_t *page = at(PAGE);
	unsigned i, k;

	(void)boot_params;
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, PAGE | 1);
	puts("start\n");
	for (i = 0; i < ROUNDS; i++) {
		for (k = 0; k < 2000; k++)
			relax();
		if (page[FLAGS] & GUEST_STOPPED)
			guest_success();
	}
	guest_fail("never told of a pause");
}
