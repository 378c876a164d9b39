/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that is reset again and again, and looks each time whether it finds
 * the machine as it was at first: processor, interrupt controllers, serial port,
 * PCI, virtio. Before the end of a life it changes all of that. Memory that no
 * file was put into keeps the number of lives.
 *
 * Words of the command line: n=LIVES, then it powers off; by=WAY to end a life
 * (acpi, kbd, cf9, panic, triple; none: it waits, and the host does it); "io":
 * with disk requests under way; "tell": a line for each life.
 */
#include "virtio.h"

#define KEPT	   0x800000ul
#define MAGIC	   0x5c5e7a11feed5011ul
#define DISK_BUF   0x900000ul
#define IOAPIC	   0xfec00000ul
#define LVT_TIMER  0x320
#define MSR_LSTAR  0xc0000082u
#define MSR_KVMCLK 0x4b564d01u

struct kept {
	uint64_t magic, lives;
	uint32_t bar[PCI_SLOTS];
};

static volatile uint32_t dirty = 0x1234;
static volatile uint32_t empty;
static volatile uint32_t running;
static volatile struct vring ring;
static volatile struct blk_hdr hdr[VQ_SIZE / 3];
static volatile uint8_t status[VQ_SIZE / 3];

_Noreturn void guest_exception(uint32_t vector)
{
	guest_die(vector);
}

/* Halted, or working: a reset has to find both. */
void guest_ap_main(uint32_t apic_id)
{
	__atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
	while (apic_id & 1)
		halt();
	for (;;)
		__atomic_fetch_add((volatile uint64_t *)at(KEPT + 0x1000), 1,
				   __ATOMIC_SEQ_CST);
}

static void must(bool good, const char *what)
{
	if (!good)
		guest_fail(what);
}

static void look_at_processor(void)
{
	uint64_t cr2, dr0;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	__asm__ volatile("mov %%dr0, %0" : "=r"(dr0));
	must(!cr2, "CR2");
	must(!dr0, "DR0");
	must(!rdmsr(MSR_LSTAR), "LSTAR");
	must(mmio_read32(LAPIC + LAPIC_SVR) == 0xff, "APIC: spurious vector");
	must(mmio_read32(LAPIC + LVT_TIMER) == 0x10000, "APIC: timer");
	mmio_write32(IOAPIC, 0x10 + 2 * 4);
	must(mmio_read32(IOAPIC + 0x10) & 0x10000, "IOAPIC: pin 4 is not masked");
	must(inb(0x21) == 0, "PIC: mask");
}

static void change_processor(void)
{
	uint64_t v = 0x1234;

	__asm__ volatile("mov %0, %%cr2" : : "r"(v));
	__asm__ volatile("mov %0, %%dr0" : : "r"(v));
	wrmsr(MSR_LSTAR, v);
	mmio_write32(LAPIC + LAPIC_SVR, 0x1ff);
	mmio_write32(LAPIC + LVT_TIMER, 0x20051);
	mmio_write32(LAPIC + 0x380, 1000);
	mmio_write32(IOAPIC, 0x10 + 2 * 4);
	mmio_write32(IOAPIC + 0x10, OTHER);
	outb(0x21, 0xff);
	outb(COM1 + 1, 0x0f);
	outb(COM1 + 4, 0x0b);
	outb(COM1 + 7, 0x5a);
}

static void look_at_function(volatile struct kept *k, unsigned slot)
{
	uint32_t id = mmio_read32(ecam(slot, 0));
	struct vdev v = { .slot = slot };
	unsigned q;

	if ((id & 0xffff) != VIRTIO_VENDOR)
		return;
	must(!mmio_read16(ecam(slot, PCI_COMMAND)), "PCI command");
	if (!k->bar[slot])
		k->bar[slot] = mmio_read32(ecam(slot, PCI_BAR0));
	must(k->bar[slot] == mmio_read32(ecam(slot, PCI_BAR0)), "BAR 0");
	vdev_decode(&v, true);
	vdev_map(&v);
	must(!(mmio_read16(ecam(slot, v.msix_cap + 2)) & 0xc000), "MSI-X is on");
	must(mmio_read32(v.msix + 12) & 1, "a vector is not masked");
	must(!mmio_read32(v.msix), "a vector's address");
	must(!vdev_status(&v), "virtio status");
	must(mmio_read16(v.common + CC_MSIX) == NO_VECTOR,
	     "configuration vector");
	for (q = 0; q < mmio_read16(v.common + CC_NUMQ); q++) {
		mmio_write16(v.common + CC_Q_SELECT, (uint16_t)q);
		must(!mmio_read16(v.common + CC_Q_ENABLE), "a queue is enabled");
		must(!vdev_read64(&v, CC_Q_DESC), "a queue's address");
	}
	mmio_write32(v.msix, 0xfee00000);
	mmio_write32(v.msix + 8, VECTOR);
	mmio_write32(v.msix + 12, 0);
	mmio_write16(ecam(slot, v.msix_cap + 2), 0x8000);
	mmio_write16(v.common + CC_MSIX, 0);
	vdev_set_status(&v, S_ACK | S_DRIVER);
}

/* All descriptors of the ring: reads of 256 KiB each. */
static void begin_io(void)
{
	struct vdev v;
	uint16_t i;

	if (!vdev_find(VIRTIO_BLK, 0, &v))
		guest_fail("no disk");
	/* ACCESS_PLATFORM: an encrypted guest has to take it. */
	if (!vdev_negotiate(&v, F_VERSION_1 | F_INDIRECT | 1ul << 33))
		guest_fail("the disk refuses");
	vdev_queue(&v, 0, &ring);
	vdev_set_status(&v, S_DRIVER_OK);
	for (i = 0; i < VQ_SIZE / 3; i++) {
		uint16_t d = (uint16_t)(3 * i);

		hdr[i].type = i & 1 ? BLK_OUT : BLK_IN;
		hdr[i].sector = 512u * i;
		vring_desc(&ring, d, (uint64_t)&hdr[i], 16, D_NEXT, d + 1);
		vring_desc(&ring, d + 1u, DISK_BUF + 0x40000ul * i, 0x40000,
			   D_NEXT | (i & 1 ? 0 : D_WRITE), d + 2);
		vring_desc(&ring, d + 2u, (uint64_t)&status[i], 1, D_WRITE, 0);
		vring_put(&ring, d);
	}
	vdev_kick(&v, 0);
}

static void end_life(const char *by)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} none = { 0, 0 };

	if (!by)
		return;
	if (*by == 'a')
		outb(PORT_RESET, 1);
	else if (*by == 'k')
		outb(0x64, 0xfe);
	else if (*by == 'c')
		outb(0xcf9, 6);
	else if (*by == 'p')
		outb(PORT_PANIC, 1);
	else
		__asm__ volatile("lidt %0; ud2" : : "m"(none));
	guest_fail("it goes on behind its reset");
}

void guest_main(const uint8_t *boot_params)
{
	const char *cmdline = at(load32(boot_params + 0x228));
	const uint8_t *madt = acpi_find(boot_params, "APIC");
	volatile struct kept *k = at(KEPT);
	uint64_t from;
	unsigned i, n;

	must(dirty == 0x1234 && !empty, "the kernel was not loaded again");
	dirty = empty = 1;
	if (k->magic != MAGIC) {
		k->magic = MAGIC;
		k->lives = 0;
	}
	look_at_processor();
	must(!inb(COM1 + 1) && !inb(COM1 + 4) && !inb(COM1 + 7), "serial port");
	for (i = 0; i < PCI_SLOTS; i++)
		look_at_function(k, i);
	n = guest_start_aps(madt);
	from = rdtsc();
	while (running < n - 1 && patient(from))
		relax();
	must(running == n - 1, "a processor did not start");
	k->lives++;
	if (word_find(cmdline, "tell")) {
		puts("life ");
		put_dec(k->lives);
		puts("\n");
	}
	if (k->lives == word_number(word_find(cmdline, "n=")))
		guest_success();
	change_processor();
	if (word_find(cmdline, "io"))
		begin_io();
	end_life(word_find(cmdline, "by="));
	for (;;)
		relax();
}
