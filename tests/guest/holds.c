/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A CSV2 guest of two vCPUs, started by the shim, that is always in the middle of
 * something when it is stopped. The second one waits in real mode in an AP reset
 * hold of the MSR protocol ([GHCB] 4.1.2), counts each SIPI that ends it, and goes
 * back. The first one prints a number a round by its GHCB page, wakes the other
 * and looks for the count: a hold that its host does not know of any more, or a
 * GHCB page that was lost, shows as a line that does not come or begins with FAIL.
 * Word of the command line: "reborn": it ends each life after three rounds.
 * Private memory is noise before it is written: no .bss but the stacks.
 */
#include "guest.h"
#include "shim/ghcb.h"
#include "shim/shim.h"

#define AP_CODE	 0x8000ul
#define AP_ALIVE 0x8fe0ul
#define AP_COUNT 0x8fe8ul

#define GHCB_CPL 0x0cb
#define GHCB_RAX 0x1f8
#define GHCB_RCX 0x308
#define GHCB_RDX 0x310
#define GHCB_RBX 0x318

#define EXIT_IOIO    0x7b
#define EXIT_MSR     0x7c
#define EXIT_VMMCALL 0x81
#define IOIO_8_BITS  (1u << 4)

#define MSR_APICBASE	      0x1b
#define MSR_X2APIC_ICR	      0x830
#define MSR_MIGRATION_CONTROL 0x4b564d08
#define APICBASE	      0xfee00d00u /* where it is, x2APIC, on, first vCPU */
#define ICR_INIT	      0x100004500ull /* to the second vCPU */
#define ICR_SIPI	      (0x100004600ull | AP_CODE >> 12)
#define HC_MAP_GPA_RANGE      12

#define PATIENCE 200000000u

__asm__("	.section .rodata\n"
	"	.code16\n"
	"ap_code:\n"
	"	cli\n"
	"	xorw	%ax, %ax\n"
	"	movw	%ax, %ds\n"
	"	movl	$1, 0x8fe0\n"
	"1:	movl	$0xc0010130, %ecx\n"
	"	movl	$6, %eax\n"
	"	xorl	%edx, %edx\n"
	"	wrmsr\n"
	"	rep; vmmcall\n"
	"	movl	$0xc0010130, %ecx\n"
	"	rdmsr\n"
	"	shrl	$12, %eax\n"
	"	orl	%edx, %eax\n"
	"	jz	1b\n"
	"	lock incl 0x8fe8\n"
	"	jmp	1b\n"
	"ap_code_end:\n"
	"	.code64\n"
	"	.text\n");
extern const uint8_t ap_code[], ap_code_end[];

static volatile uint8_t *ghcb(unsigned field)
{
	return (volatile uint8_t *)(SHIM_SHARED + SHIM_GHCB + field);
}

static void put(unsigned field, uint64_t v)
{
	*(volatile uint64_t *)ghcb(field) = v;
	*ghcb(GHCB_VALID + field / 64) |= (uint8_t)(1u << field / 8 % 8);
}

static void begin(void)
{
	*(volatile uint64_t *)ghcb(GHCB_VALID) = 0;
	*(volatile uint64_t *)ghcb(GHCB_VALID + 8) = 0;
}

static void leave(uint64_t code, uint64_t info_1)
{
	put(GHCB_EXIT_CODE, code);
	put(GHCB_EXIT_INFO_1, info_1);
	put(GHCB_EXIT_INFO_2, 0);
	*(volatile uint16_t *)ghcb(GHCB_PROTOCOL) = GHCB_VERSION;
	__asm__ volatile("rep; vmmcall" : : : "memory");
}

static void to_port(uint64_t port, uint8_t v)
{
	begin();
	put(GHCB_RAX, v);
	leave(EXIT_IOIO, port << 16 | IOIO_8_BITS);
}

static void say_char(char c)
{
	to_port(COM1, (uint8_t)c);
}

static void say(const char *s)
{
	while (*s)
		say_char(*s++);
}

static void say_dec(uint64_t v)
{
	char buf[24];
	int i = sizeof(buf) - 1;

	buf[i] = 0;
	do {
		buf[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	say(buf + i);
}

static void set_msr(uint32_t msr, uint64_t v)
{
	begin();
	put(GHCB_RCX, msr);
	put(GHCB_RAX, (uint32_t)v);
	put(GHCB_RDX, v >> 32);
	leave(EXIT_MSR, 1);
}

/* Linux tells all of it as private first. */
static void tell_shared(uint64_t at, uint64_t pages, bool is_private)
{
	begin();
	put(GHCB_RAX, HC_MAP_GPA_RANGE);
	put(GHCB_RBX, at);
	put(GHCB_RCX, pages);
	put(GHCB_RDX, is_private ? 1 << 4 : 0);
	put(GHCB_CPL / 8 * 8,
	    *(volatile uint64_t *)ghcb(GHCB_CPL / 8 * 8) & ~(0xffull << 24));
	leave(EXIT_VMMCALL, 0);
}

static volatile uint32_t *word_at(uint64_t where)
{
	return at(where);
}

static void wait_for(uint64_t where, uint32_t want)
{
	uint32_t i;

	for (i = 0; i < PATIENCE; i++) {
		if (*word_at(where) == want)
			return;
		relax();
	}
	say("FAIL the other vCPU is at ");
	say_dec(*word_at(where));
	say("\n");
	for (;;)
		relax();
}

static void start_ap(void)
{
	volatile uint8_t *to = at(AP_CODE);
	uint64_t i;

	for (i = 0; i < (uint64_t)(ap_code_end - ap_code); i++)
		to[i] = ap_code[i];
	*word_at(AP_ALIVE) = 0;
	*word_at(AP_COUNT) = 0;
	*word_at(SHIM_JUMP) = AP_CODE << 12; /* IP 0, CS */
	set_msr(MSR_APICBASE, APICBASE);
	set_msr(MSR_X2APIC_ICR, ICR_INIT);
	set_msr(MSR_X2APIC_ICR, ICR_SIPI);
	wait_for(AP_ALIVE, 1);
}

void guest_main(const uint8_t *boot_params)
{
	bool reborn = word_find(at(load32(boot_params + 0x228)), "reborn");
	uint32_t round, i;

	tell_shared(0, 16 << 8, true);
	tell_shared(SHIM_GHCB, 1, false);
	set_msr(MSR_MIGRATION_CONTROL, 1);
	start_ap();
	for (round = 1;; round++) {
		/* It may not be in its hold yet: then the SIPI is lost. */
		for (i = 0; i < 100000; i++)
			relax();
		set_msr(MSR_X2APIC_ICR, ICR_INIT);
		set_msr(MSR_X2APIC_ICR, ICR_SIPI);
		wait_for(AP_COUNT, round);
		say_dec(round);
		say("\n");
		if (reborn && round == 3)
			to_port(PORT_RESET, 1);
	}
}
