/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starts every processor that the MADT lists; each counts itself. */
#include "guest.h"

static volatile uint32_t running;
static volatile uint8_t seen[256];

void guest_ap_main(uint32_t apic_id)
{
	seen[apic_id & 255] = 1;
	__atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
	for (;;)
		halt();
}

/* Start all processors but the first. Return: how many there are. */
static unsigned start_all(const uint8_t *madt)
{
	uint32_t len = load32(madt + 4), i;
	unsigned n = 0;

	for (i = 44; i + 2 <= len && madt[i + 1] >= 2; i += madt[i + 1]) {
		if (madt[i] != 0 || !(madt[i + 4] & 1))
			continue;
		n++;
		if (madt[i + 3] != 0)
			guest_start_ap(madt[i + 3]);
	}
	return n;
}

void guest_main(const uint8_t *boot_params)
{
	const uint8_t *madt = acpi_find(boot_params, "APIC");
	uint64_t from;
	unsigned n, i;

	if (!madt)
		guest_fail("no MADT");
	n = start_all(madt);
	from = rdtsc();
	while (running < n - 1 && patient(from))
		relax();
	puts("smp: running=");
	put_dec(running + 1);
	puts(" of ");
	put_dec(n);
	puts("\n");
	for (i = 1; i < n; i++) {
		if (!seen[i])
			guest_fail(
				"a processor has the wrong APIC id or did not start");
	}
	guest_success();
}
