/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses of any width to ports and memory-mapped registers all over, from a
 * seed on the command line ("seed=7"), so that a failure can be repeated. Left
 * out is what ends a guest on purpose: power-off, resets, pvpanic, and the
 * interrupt controllers, which would let it shoot itself with INIT or SMI.
 */
#include "guest.h"

#define ACCESSES 30000

static uint64_t state;

void guest_exception(uint32_t vector)
{
	guest_die(vector);
}

static uint32_t rnd(void)
{
	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (uint32_t)(state >> 33);
}

/* Values that mean something are more likely than others. */
static uint32_t value(void)
{
	switch (rnd() % 6) {
	case 0:
		return 0;
	case 1:
		return ~0u;
	case 2:
		return 1u << rnd() % 32;
	case 3:
		return rnd() % 16;
	default:
		return rnd() << 1 ^ rnd();
	}
}

static bool near(uint32_t port, uint32_t first, uint32_t last)
{
	return port + 4 > first && port <= last;
}

static uint16_t some_port(void)
{
	static const uint16_t known[] = { 0x3f8, 0xcf8, 0x500, 0x600, 0x60,
					  0x70,	 0x40,	0x20,  0xa0,  0x4d0 };
	uint32_t port;

	do {
		port = known[rnd() % 10] + rnd() % 8;
		if (rnd() % 4 == 0)
			port = rnd() & 0xffff;
	} while (near(port, 0x600, 0x602) || near(port, 0x64, 0x64) ||
		 near(port, 0xcf9, 0xcf9) || near(port, 0x505, 0x505));
	return (uint16_t)port;
}

static void port_access(void)
{
	uint16_t port = some_port();
	uint32_t v = value();

	switch (rnd() % 6) {
	case 0:
		outb(port, (uint8_t)v);
		break;
	case 1:
		outw(port, (uint16_t)v);
		break;
	case 2:
		outl(port, v);
		break;
	case 3:
		(void)inb(port);
		break;
	case 4:
		(void)inw(port);
		break;
	default:
		(void)inl(port);
		break;
	}
}

/* BARs (six devices of eight pages), configuration space, nothing at all. */
static uint64_t some_address(void)
{
	switch (rnd() % 4) {
	case 0:
		return ECAM + (rnd() % 8 << 15) + rnd() % 256;
	case 1:
		return ECAM + rnd() % 0x100000;
	case 2:
		return 0xc0000000 + rnd() % 0x20000000;
	default:
		return 0xd0000000 + (rnd() % 48 << 12) + rnd() % 64;
	}
}

static void mmio_access(void)
{
	uint64_t addr = some_address();
	uint32_t v = value();

	switch (rnd() % 6) {
	case 0:
		mmio_write8(addr, (uint8_t)v);
		break;
	case 1:
		mmio_write16(addr, (uint16_t)v);
		break;
	case 2:
		mmio_write32(addr, v);
		break;
	case 3:
		(void)mmio_read8(addr);
		break;
	case 4:
		(void)mmio_read16(addr);
		break;
	default:
		(void)mmio_read32(addr);
		break;
	}
}

/* Else nothing maps to BARs at all: decoding on, in most of the devices. */
static void decode(void)
{
	unsigned slot;

	for (slot = 0; slot < 8; slot++)
		mmio_write16(ecam(slot, 4), 6);
}

static uint64_t seed_of(const char *cmdline)
{
	uint64_t seed = 0;

	while (*cmdline && *cmdline != '=')
		cmdline++;
	while (*cmdline && *++cmdline >= '0' && *cmdline <= '9')
		seed = seed * 10 + (uint64_t)(*cmdline - '0');
	return seed;
}

void guest_main(const uint8_t *boot_params)
{
	unsigned i;

	guest_idt();
	state = seed_of(at(load32(boot_params + 0x228)));
	for (i = 0; i < ACCESSES; i++) {
		if (i % 500 == 0)
			decode();
		if (rnd() % 2)
			port_access();
		else
			mmio_access();
	}
	/* The serial port as it was at the start: it has the last word. */
	outb(COM1 + 3, 3);
	outb(COM1 + 4, 0);
	outb(COM1 + 1, 0);
	puts("\n");
	guest_success();
}
