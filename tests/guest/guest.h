/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_GUEST_H
#define CSVVMM_GUEST_H

/*
 * The kit of the tiny test guests: no libc, no SSE, interrupts off. One C file
 * a guest; it defines guest_main(), and guest_ap_main() if it starts others.
 * Nothing here may use vmcall, and little should be a loop: some hosts run
 * guest code by emulation, a million instructions a second.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COM1	   0x3f8
#define PORT_SLEEP 0x600
#define PORT_RESET 0x602
#define PORT_PANIC 0x505
#define S5_NOW	   (5 << 2 | 1 << 5) /* SLP_TYP 5, SLP_EN */
#define LAPIC	   0xfee00000ul
#define LAPIC_SVR  0xf0
#define LAPIC_ICR  0x300
#define LAPIC_ICR2 0x310
#define ECAM	   0xe8000000ul
#define TRAMPOLINE 0x9000ul

void guest_main(const uint8_t *boot_params);
void guest_ap_main(uint32_t apic_id);

extern const uint8_t guest_trampoline[], guest_trampoline_end[];
extern const uint8_t guest_end[];

/* --- instructions ---------------------------------------------------------- */

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline void relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void halt(void)
{
	__asm__ volatile("cli; hlt" : : : "memory");
}

static inline uint64_t rdmsr(uint32_t n)
{
	uint32_t a, d;

	__asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(n));
	return (uint64_t)d << 32 | a;
}

static inline void wrmsr(uint32_t n, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(n), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t a, d;

	__asm__ volatile("lfence; rdtsc" : "=a"(a), "=d"(d) : : "memory");
	return (uint64_t)d << 32 | a;
}

/* Is what began @from (rdtsc()) worth waiting for? By time, not by turns of a loop:
 * a busy host may let this vCPU run and not the thread that it waits for. */
static inline bool patient(uint64_t from)
{
	return rdtsc() - from < 1ULL << 36; /* 20 to 30 s */
}

/* --- memory-mapped registers ------------------------------------------------ */

/* Plain mov with a fixed register: whatever decodes it decodes this. */
static inline uint32_t mmio_read32(uint64_t at)
{
	uint32_t v;

	__asm__ volatile("movl (%1), %0" : "=a"(v) : "r"(at) : "memory");
	return v;
}

static inline void mmio_write32(uint64_t at, uint32_t v)
{
	__asm__ volatile("movl %0, (%1)" : : "a"(v), "r"(at) : "memory");
}

static inline uint16_t mmio_read16(uint64_t at)
{
	uint16_t v;

	__asm__ volatile("movw (%1), %0" : "=a"(v) : "r"(at) : "memory");
	return v;
}

static inline void mmio_write16(uint64_t at, uint16_t v)
{
	__asm__ volatile("movw %0, (%1)" : : "a"(v), "r"(at) : "memory");
}

static inline uint8_t mmio_read8(uint64_t at)
{
	uint8_t v;

	__asm__ volatile("movb (%1), %0" : "=a"(v) : "r"(at) : "memory");
	return v;
}

static inline void mmio_write8(uint64_t at, uint8_t v)
{
	__asm__ volatile("movb %0, (%1)" : : "a"(v), "r"(at) : "memory");
}

/* Where a PCI function's configuration space is mapped; bus 0, function 0. */
static inline uint64_t ecam(unsigned slot, unsigned reg)
{
	return ECAM + ((uint64_t)slot << 15) + reg;
}

/* --- words ------------------------------------------------------------------ */

static inline void put_char(char c)
{
	outb(COM1, (uint8_t)c);
}

static inline void puts(const char *s)
{
	while (*s)
		put_char(*s++);
}

static inline void put_hex(uint64_t v)
{
	int shift = 60;

	while (shift > 0 && !(v >> shift))
		shift -= 4;
	puts("0x");
	for (; shift >= 0; shift -= 4)
		put_char("0123456789abcdef"[v >> shift & 15]);
}

static inline void put_dec(uint64_t v)
{
	char buf[21];
	int i = sizeof(buf) - 1;

	buf[i] = 0;
	do
		buf[--i] = (char)('0' + v % 10);
	while (v /= 10);
	puts(&buf[i]);
}

/* --- the end ---------------------------------------------------------------- */

static inline _Noreturn void guest_poweroff(void)
{
	outb(PORT_SLEEP, S5_NOW);
	for (;;)
		halt();
}

static inline _Noreturn void guest_reboot(void)
{
	outb(PORT_RESET, 1);
	for (;;)
		halt();
}

/* What went wrong, in words; the harness looks for SUCCESS. */
static inline _Noreturn void guest_fail(const char *why)
{
	puts("FAIL: ");
	puts(why);
	puts("\n");
	guest_poweroff();
}

static inline _Noreturn void guest_success(void)
{
	puts("SUCCESS\n");
	guest_poweroff();
}

/* --- what the VMM says about the machine ------------------------------------- */

/* Guest memory is not a C object: hide the address from the compiler. */
static inline void *at(uint64_t addr)
{
	__asm__("" : "+r"(addr));
	return (void *)addr;
}

static inline uint32_t load32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static inline uint64_t load64(const uint8_t *p)
{
	return load32(p) | (uint64_t)load32(p + 4) << 32;
}

struct e820 {
	uint64_t start, size;
	uint32_t type;
};

/* Entry @i of the map in boot_params. Return: false past the last. */
static inline bool e820_get(const uint8_t *boot_params, unsigned i,
			    struct e820 *ret_e)
{
	const uint8_t *e = boot_params + 0x2d0 + i * 20;

	if (i >= boot_params[0x1e8])
		return false;
	ret_e->start = load64(e);
	ret_e->size = load64(e + 8);
	ret_e->type = load32(e + 16);
	return true;
}

/* An ACPI table by its signature, or NULL. */
static inline const uint8_t *acpi_find(const uint8_t *boot_params,
				       const char *signature)
{
	const uint8_t *rsdp = at(load64(boot_params + 0x70));
	const uint8_t *xsdt = at(load64(rsdp + 24));
	uint32_t len = load32(xsdt + 4), i;

	for (i = 36; i + 8 <= len; i += 8) {
		const uint8_t *t = at(load64(xsdt + i));

		if (load32(t) == load32((const uint8_t *)signature))
			return t;
	}
	return NULL;
}

/* --- interrupts and exceptions -------------------------------------------------- */

#define CODE64 0x10
#define VECTOR 0x51 /* the interrupt that is counted in guest_irqs */
#define OTHER  0x61 /* one that is not */

extern const uint8_t guest_irq_entry[], guest_other_entry[], guest_nmi_entry[];
extern const uint8_t guest_exceptions[];
extern volatile uint32_t guest_irqs; /* since the start */

/* Every guest that calls guest_idt() has one; guest_die() will do. */
_Noreturn void guest_exception(uint32_t vector);

static inline _Noreturn void guest_die(uint32_t vector)
{
	puts("exception ");
	put_dec(vector);
	puts("\n");
	guest_fail("an exception");
}

/* VECTOR is counted, the rest and NMIs are ignored; switches the APIC on. */
static inline void guest_idt(void)
{
	static struct {
		uint16_t low, cs, flags, mid;
		uint32_t high, zero;
	} idt[256];
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} idtr = { sizeof(idt) - 1, (uint64_t)idt };
	unsigned i;

	for (i = 0; i < 256; i++) {
		uint64_t to = (uint64_t)guest_other_entry;

		if (i == VECTOR)
			to = (uint64_t)guest_irq_entry;
		if (i < 32)
			to = (uint64_t)guest_exceptions + 16ul * i;
		if (i == 2)
			to = (uint64_t)guest_nmi_entry;
		idt[i].low = (uint16_t)to;
		idt[i].mid = (uint16_t)(to >> 16);
		idt[i].high = (uint32_t)(to >> 32);
		idt[i].cs = CODE64;
		idt[i].flags = 0x8e00; /* present, interrupt gate */
	}
	__asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
	mmio_write32(LAPIC + LAPIC_SVR, 0x1ff);
}

/* --- other vCPUs -------------------------------------------------------------- */

/* INIT, SIPI. The vCPU ends up in guest_ap_main(), on its own stack. */
static inline void guest_start_ap(uint32_t apic_id)
{
	const uint8_t *p;
	uint8_t *to = at(TRAMPOLINE);

	for (p = guest_trampoline; p < guest_trampoline_end; p++)
		*to++ = *p;
	mmio_write32(LAPIC + LAPIC_SVR, 0x1ff);
	mmio_write32(LAPIC + LAPIC_ICR2, apic_id << 24);
	mmio_write32(LAPIC + LAPIC_ICR, 0x4500);
	mmio_write32(LAPIC + LAPIC_ICR2, apic_id << 24);
	mmio_write32(LAPIC + LAPIC_ICR, 0x4600 | TRAMPOLINE >> 12);
}

/* All others that the MADT says may be started ([ACPI] 5.2.12). Return: how many
 * there are, with this one */
static inline unsigned guest_start_aps(const uint8_t *madt)
{
	uint32_t len = load32(madt + 4), i;
	unsigned n = 1;

	for (i = 44; i + 2 <= len && madt[i + 1] >= 2; i += madt[i + 1]) {
		if (madt[i] != 0 || !(madt[i + 4] & 1) || !madt[i + 3])
			continue;
		n++;
		guest_start_ap(madt[i + 3]);
	}
	return n;
}

/* --- the command line ----------------------------------------------------------- */

/* Where @word is in @s, or NULL. */
static inline const char *word_find(const char *s, const char *word)
{
	const char *a, *b;

	for (; *s; s++) {
		for (a = s, b = word; *b && *a == *b; a++, b++)
			;
		if (!*b)
			return a;
	}
	return NULL;
}

/* The number that @s begins with; NULL: 0. */
static inline uint64_t word_number(const char *s)
{
	uint64_t v = 0;

	for (; s && *s >= '0' && *s <= '9'; s++)
		v = v * 10 + (uint64_t)(*s - '0');
	return v;
}

#endif
