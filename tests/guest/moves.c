/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that notices when it was moved badly. Each vCPU rewrites its own pages
 * in turn and keeps the last value of each in a table of its own: a page that was
 * lost, or is older than the table, ends it. The first one prints a line for each
 * round: what both hosts' consoles got, one behind the other, must count up
 * without a gap and without a number twice. Each looks after registers, MSRs and a
 * local APIC of its own. With "hot" on the command line a round
 * writes many pages more, with "time" it tells the time, with "end" the guest ends by itself in the given way.
 */
#include "own_state.h"

#define PAGE	 4096ul
#define PAGES	 48u /* of each vCPU */
#define MAX_VCPU 8u
#define POOL	 0x400000ul
#define HOT	 0x500000ul
#define HOT_MAX	 2048u
#define PATTERN	 0x9e3779b97f4a7c15ul

struct own {
	uint64_t turn, wrong;
	uint64_t last[PAGES];
} __attribute__((aligned(4096)));

static volatile struct own owns[MAX_VCPU];
static struct own_state states[MAX_VCPU];
static uint64_t boot_rounds;

static volatile uint64_t *page_of(unsigned cpu, uint64_t i)
{
	return at(POOL + (cpu * PAGES + i) * PAGE + (i * 72) % 4000 / 8 * 8);
}

static void step(unsigned cpu)
{
	volatile struct own *o = &owns[cpu];
	uint64_t i = o->turn % PAGES;
	volatile uint64_t *p = page_of(cpu, i);

	if (*p != o->last[i])
		o->wrong++;
	o->turn++;
	*p = o->turn * PATTERN + cpu;
	o->last[i] = *p;
}

void guest_ap_main(uint32_t apic_id)
{
	unsigned i, cpu = apic_id & (MAX_VCPU - 1);

	own_init(&states[cpu], cpu);
	for (;;) {
		step(cpu);
		own_look(&states[cpu], cpu);
		for (i = 0; i < 50; i++)
			relax();
	}
}

static void heat(uint64_t round, uint64_t pages)
{
	uint64_t i;

	for (i = 0; i < pages; i++)
		*(volatile uint64_t *)at(HOT + i * PAGE) = round;
}

static void cool(uint64_t round, uint64_t pages)
{
	uint64_t i;

	for (i = 0; i < pages; i++)
		if (*(volatile uint64_t *)at(HOT + i * PAGE) != round)
			guest_fail("a hot page is old");
}

/* Each of them must have gone on meanwhile: where one stands still no line comes
 * any more. */
static void look_after(unsigned n)
{
	static uint64_t seen[MAX_VCPU];
	unsigned i;

	for (i = 0; i < n; i++) {
		while (owns[i].turn == seen[i])
			relax();
		seen[i] = owns[i].turn;
		if (owns[i].wrong)
			guest_fail("a page is not what was written");
		own_check(&states[i], i);
	}
}

/* Who asks by a byte at the console is told what time it is. */
static void tell_time(void)
{
	uint64_t ns, tsc;

	(void)inb(COM1 + 5); /* devices/uart.c takes two looks for polling */
	if (!(inb(COM1 + 5) & 1))
		return;
	(void)inb(COM1);
	ns = own_clock_ns(&states[0], 0, &tsc);
	puts("clock ");
	put_dec(ns);
	puts("\n");
}

static void triple(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} none = { 0, 0 };

	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

void guest_main(const uint8_t *boot_params)
{
	const char *cmdline = at(load32(boot_params + 0x228));
	const uint8_t *madt = acpi_find(boot_params, "APIC");
	const char *w;
	uint64_t hot = word_number(word_find(cmdline, "hot=")), round, i, delay;
	bool time = word_find(cmdline, "time");
	unsigned n;

	if (!madt || hot > HOT_MAX)
		guest_fail("cannot start");
	boot_rounds = word_number(word_find(cmdline, "end="));
	w = word_find(cmdline, "delay=");
	delay = w ? word_number(w) : 1000;
	/* A reset leaves memory as it was. */
	for (i = 0; i < MAX_VCPU * PAGES; i++)
		*page_of((unsigned)(i / PAGES), i % PAGES) = 0;
	own_init(&states[0], 0);
	n = guest_start_aps(madt);
	for (round = 0;; round++) {
		step(0);
		for (i = 0; i < OWN_THINGS; i++)
			own_look(&states[0], 0);
		heat(round, hot);
		if (time)
			tell_time();
		if (own_stopped(&states[0], 0))
			puts("# stopped\n");
		put_dec(round);
		puts("\n");
		for (i = 0; i < delay; i++)
			relax();
		cool(round, hot);
		look_after(n);
		if (boot_rounds && round >= boot_rounds)
			break;
	}
	if (word_find(cmdline, "reboot"))
		guest_reboot();
	if (word_find(cmdline, "panic"))
		outb(PORT_PANIC, 1);
	if (word_find(cmdline, "triple"))
		triple();
	guest_success();
}
