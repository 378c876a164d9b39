/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI functions, the virtio transport, serial port and ACPI registers move in
 * the middle of what a driver does. Numbers come from the specifications.
 */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/bytes.h"
#include "devices/acpi_regs.h"
#include "devices/rng.h"
#include "devices/uart.h"
#include "devices/virtio_pci.h"
#include "tests/unit/fake_kvm.h"
#include "tests/unit/move.h"

#define N_RNG 2

/* The machine that there is; it is torn down before the other one comes. */
static struct host {
	struct machine m;
	struct chardev cd;
	struct uart uart;
	struct acpi_regs acpi;
	struct pci_root root;
	struct rng rng[N_RNG];
	struct virtio_pci vp[N_RNG];
} h;

static void host_up(void)
{
	unsigned i;

	memset(&h, 0, sizeof(h));
	assert_int_equal(fake_machine_init(&h.m, MIB(1)), 0);
	assert_int_equal(acpi_regs_init(&h.acpi, &h.m), 0);
	assert_int_equal(pci_root_init(&h.root, &h.m), 0);
	assert_int_equal(chardev_init(&h.cd, &h.m, CHARDEV_NULL, NULL), 0);
	assert_int_equal(uart_init(&h.uart, &h.m, &h.cd), 0);
	for (i = 0; i < N_RNG; i++) {
		assert_int_equal(rng_init(&h.rng[i], &h.m), 0);
		assert_int_equal(
			virtio_pci_add(&h.vp[i], &h.root, &h.rng[i].virtio), 0);
	}
}

static void host_down(void)
{
	unsigned i;

	for (i = N_RNG; i-- > 0;) {
		virtio_pci_remove(&h.vp[i], &h.root);
		rng_fini(&h.rng[i]);
	}
	uart_fini(&h.uart);
	chardev_fini(&h.cd);
	pci_root_fini(&h.root);
	/* The ACPI registers have no end of their own. */
	assert_int_equal(h.m.snap.n, 1);
	fake_machine_fini(&h.m);
	assert_int_equal(fake_kvm.n_bad, 0);
	assert_int_equal(fake_kvm.n_doorbells, 0);
}

static int setup(void **state)
{
	(void)state;
	host_up();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	host_down();
	return 0;
}

/* To a machine that has the same devices and never ran; not thawed. */
static void move_loaded(void)
{
	struct machine old;

	move_save(&h.m);
	assert_int_equal(gmem_init(&old.gmem, MIB(1), false), 0);
	move_ram(&h.m, &old);
	host_down();
	host_up();
	move_ram(&old, &h.m);
	gmem_fini(&old.gmem);
	move_load(&h.m);
}

static uint64_t cfg_read(unsigned slot, unsigned off, unsigned len)
{
	uint64_t v = 0;

	assert_int_equal(bus_read(&h.m.mmio, PCI_ECAM_BASE + (slot << 15) + off,
				  len, &v),
			 0);
	return v;
}

static void cfg_write(unsigned slot, unsigned off, unsigned len, uint64_t v)
{
	assert_int_equal(bus_write(&h.m.mmio,
				   PCI_ECAM_BASE + (slot << 15) + off, len, v),
			 0);
}

/* BAR of slot 1 + i; [VIRTIO] 4.1.4.3 for the common configuration */
static uint64_t bar(unsigned i)
{
	return cfg_read(1 + i, 0x10, 4);
}

static uint64_t get(unsigned i, unsigned off, unsigned len)
{
	uint64_t v = 0;

	assert_int_equal(bus_read(&h.m.mmio, bar(i) + off, len, &v), 0);
	return v & (len == 8 ? UINT64_MAX : (1ULL << 8 * len) - 1);
}

static void put(unsigned i, unsigned off, unsigned len, uint64_t v)
{
	assert_int_equal(bus_write(&h.m.mmio, bar(i) + off, len, v), 0);
}

#define NOTIFY 0x3000
#define TABLE  0x4000
#define PBA    0x5000

/* Offset of the MSI-X capability ([PCI] 7.7.2). */
static unsigned msix_cap(unsigned slot)
{
	unsigned at = (unsigned)cfg_read(slot, 0x34, 1);

	while (at && cfg_read(slot, at, 1) != 0x11)
		at = (unsigned)cfg_read(slot, at + 1, 1);
	assert_true(at);
	return at;
}

static void msix_enable(unsigned i)
{
	cfg_write(1 + i, msix_cap(1 + i) + 2, 2, 0x8000);
}

static void msix_set(unsigned i, unsigned vector, uint64_t addr, uint32_t data,
		     bool masked)
{
	put(i, TABLE + vector * 16, 8, addr);
	put(i, TABLE + vector * 16 + 8, 4, data);
	put(i, TABLE + vector * 16 + 12, 4, masked);
}

static void decode(unsigned i)
{
	cfg_write(1 + i, 4, 2, 2);
}

/* Negotiation stops in the middle of an address, and goes on elsewhere. */
static void test_negotiation(void **state)
{
	(void)state;
	decode(0);
	put(0, 20, 1, 1);
	put(0, 20, 1, 1 | 2);
	put(0, 8, 4, 1);   /* driver feature select */
	put(0, 12, 4, 1);  /* VERSION_1 */
	put(0, 0, 4, 1);   /* device feature select */
	put(0, 16, 2, 1);  /* config vector */
	put(0, 26, 2, 0);  /* queue vector */
	put(0, 24, 2, 16); /* queue size */
	put(0, 32, 4, 0x10000);
	put(0, 36, 4, 0x77); /* and the high half is not written yet */
	move_loaded();
	snap_thaw_all(&h.m.snap);
	assert_int_equal(get(0, 20, 1), 3);
	assert_int_equal(get(0, 8, 4), 1);
	assert_int_equal(get(0, 12, 4), 1);
	assert_int_equal(get(0, 0, 4), 1);
	assert_int_equal(get(0, 16, 2), 1);
	assert_int_equal(get(0, 22, 2), 0);
	assert_int_equal(get(0, 24, 2), 16);
	assert_int_equal(get(0, 26, 2), 0);
	assert_true(get(0, 32, 8) == 0x7700010000ULL);
	put(0, 36, 4, 0);
	put(0, 40, 8, 0x20000);
	put(0, 48, 8, 0x30000);
	put(0, 20, 1, 1 | 2 | 8);
	assert_int_equal(get(0, 20, 1), 1 | 2 | 8);
	put(0, 28, 2, 1);
	put(0, 20, 1, 1 | 2 | 8 | 4);
	assert_true(h.rng[0].virtio.started);
	/* The other one knows nothing of it. */
	decode(1);
	assert_int_equal(get(1, 20, 1), 0);
	assert_int_equal(get(1, 26, 2), 0xffff);
}

static void start(unsigned i)
{
	decode(i);
	put(i, 20, 1, 1 | 2);
	put(i, 8, 4, 1);
	put(i, 12, 4, 1);
	put(i, 20, 1, 1 | 2 | 8);
	put(i, 16, 2, 1);
	put(i, 26, 2, 0);
	put(i, 32, 8, 0x10000);
	put(i, 40, 8, 0x20000);
	put(i, 48, 8, 0x30000);
	put(i, 28, 2, 1);
	put(i, 20, 1, 1 | 2 | 8 | 4);
	assert_int_equal(get(i, 20, 1), 1 | 2 | 8 | 4);
}

/* A request for 16 bytes of the device: a descriptor, the ring, no doorbell. */
static void ask(uint16_t n)
{
	uint8_t raw[16] = { 0 };

	put_le64(raw, 0x40000);
	put_le32(raw + 8, 16);
	put_le16(raw + 12, 2);
	assert_int_equal(gmem_write(&h.m.gmem, 0x10000, raw, sizeof(raw)), 0);
	assert_int_equal(gmem_store16(&h.m.gmem, 0x20000 + 4 + n * 2u, 0), 0);
	assert_int_equal(gmem_store16(&h.m.gmem, 0x20002, (uint16_t)(n + 1)), 0);
}

static uint16_t answered(void)
{
	uint16_t idx = 0xffff;

	assert_int_equal(gmem_load16(&h.m.gmem, 0x30002, &idx), 0);
	return idx;
}

static const struct irq_msi *msi(unsigned i, unsigned vector)
{
	return &h.vp[i].pci.msix[vector].msi;
}

static void test_running(void **state)
{
	uint64_t home = bar(0);

	(void)state;
	start(0);
	/* Moved by the guest, in the window: doorbells follow. */
	cfg_write(1, 0x10, 4, 0xd8000000);
	assert_int_equal(bar(0), 0xd8000000);
	assert_true(home != 0xd8000000);
	msix_set(0, 0, 0xfee01000, 0x4041, false);
	msix_set(0, 1, 0xfee02000, 0x4042, true);
	msix_enable(0);
	ask(0);
	assert_true(fake_guest_write(&h.m, bar(0) + NOTIFY, 2, 0));
	fake_machine_turn(&h.m);
	assert_int_equal(answered(), 1);
	assert_int_equal(fake_fired(msi(0, 0)), 1);
	/* Pending behind the mask. */
	h.rng[0].virtio.transport->config_irq(&h.rng[0].virtio);
	assert_int_equal(get(0, PBA, 8), 2);

	ask(1);
	assert_true(fake_guest_write(&h.m, bar(0) + NOTIFY, 2, 0));
	move_loaded();
	/* Nothing is fired or routed where nobody runs. */
	fake_machine_turn(&h.m);
	assert_int_equal(fake_fired(msi(0, 0)), 0);
	assert_int_equal(answered(), 1);
	assert_int_equal(bar(0), 0xd8000000);
	assert_int_equal(get(0, PBA, 8), 2);

	snap_thaw_all(&h.m.snap);
	fake_machine_turn(&h.m);
	assert_int_equal(answered(), 2);
	assert_true(fake_fired(msi(0, 0)) > 0);
	assert_int_equal(fake_kvm.msi[msi(0, 0)->gsi].address_lo, 0xfee01000);
	assert_int_equal(fake_kvm.msi[msi(0, 0)->gsi].data, 0x4041);
	assert_int_equal(fake_fired(msi(0, 1)), 0);
	put(0, TABLE + 16 + 12, 4, 0);
	assert_int_equal(fake_fired(msi(0, 1)), 1);
	assert_int_equal(fake_kvm.msi[msi(0, 1)->gsi].address_lo, 0xfee02000);
	assert_int_equal(get(0, PBA, 8), 0);
	/* ISR of a configuration change, cleared by reading once. */
	assert_int_equal(get(0, 0x1000, 1), 2);
	assert_int_equal(get(0, 0x1000, 1), 0);
	/* The doorbell of here. */
	ask(2);
	assert_true(fake_guest_write(&h.m, 0xd8000000 + NOTIFY, 2, 0));
	fake_machine_turn(&h.m);
	assert_int_equal(answered(), 3);
	/* Power-on values are those of the board. */
	virtio_pci_reset(&h.vp[0]);
	assert_int_equal(bar(0), home);
}

/* Two BARs at one place: the first one there is the one that answers. */
static void test_overlap(void **state)
{
	(void)state;
	decode(1);
	cfg_write(1, 0x10, 4, bar(1));
	decode(0); /* log line, not decoded */
	assert_int_equal(h.vp[0].pci.bar_base, 0);
	move_loaded();
	snap_thaw_all(&h.m.snap);
	assert_int_equal(h.vp[0].pci.bar_base, 0);
	assert_true(h.vp[1].pci.bar_base == bar(1));
	/* The place becomes free. */
	cfg_write(2, 4, 2, 0);
	decode(0);
	assert_true(h.vp[0].pci.bar_base == bar(0));
}

static void test_conf1(void **state)
{
	uint64_t v = 0;

	(void)state;
	/* Slot 1, register 0: vendor and device. */
	assert_int_equal(bus_write(&h.m.pio, 0xcf8, 4, 0x80000800), 0);
	move_loaded();
	snap_thaw_all(&h.m.snap);
	assert_int_equal(bus_read(&h.m.pio, 0xcfc, 4, &v), 0);
	assert_int_equal(v, 0x10441af4);
}

static uint64_t line_fired(unsigned line)
{
	uint64_t n;

	return read(h.m.irq.line_fd[line], &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void test_power_button(void **state)
{
	uint64_t v = 0;

	(void)state;
	acpi_power_button(&h.acpi);
	move_loaded();
	assert_int_equal(line_fired(5), 0);
	snap_thaw_all(&h.m.snap);
	assert_int_equal(line_fired(5), 1);
	assert_int_equal(bus_read(&h.m.pio, 0x603, 1, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(bus_read(&h.m.pio, 0x603, 1, &v), 0);
	assert_int_equal(v, 0);
	/* Not pressed: no event. */
	move_loaded();
	snap_thaw_all(&h.m.snap);
	assert_int_equal(line_fired(5), 0);
}

static void uart_out(unsigned reg, uint8_t v)
{
	assert_int_equal(bus_write(&h.m.pio, 0x3f8 + reg, 1, v), 0);
}

static uint8_t uart_in(unsigned reg)
{
	uint64_t v = 0;

	assert_int_equal(bus_read(&h.m.pio, 0x3f8 + reg, 1, &v), 0);
	return (uint8_t)v;
}

/* Bytes in the FIFO (by loop-back), divisor latch open, overrun pending. */
static void test_uart(void **state)
{
	unsigned i;

	(void)state;
	uart_out(3, 0x83);
	uart_out(0, 0x34);
	uart_out(1, 0x12);
	uart_out(3, 0x03);
	uart_out(2, 0xc1);
	uart_out(4, 0x10);
	uart_out(4, 0x1b);
	uart_out(7, 0x5a);
	for (i = 0; i < 17; i++)
		uart_out(0, (uint8_t)(0x30 + i));
	uart_out(1, 0x0f);
	uart_out(3, 0x83);
	move_loaded();
	snap_thaw_all(&h.m.snap);
	assert_int_equal(uart_in(3), 0x83);
	assert_int_equal(uart_in(0), 0x34);
	assert_int_equal(uart_in(1), 0x12);
	uart_out(3, 0x03);
	assert_int_equal(uart_in(1), 0x0f);
	assert_int_equal(uart_in(4), 0x1b);
	assert_int_equal(uart_in(7), 0x5a);
	assert_int_equal(uart_in(2), 0xc6); /* line status first */
	assert_int_equal(uart_in(5), 0x63); /* data, overrun, empty */
	assert_int_equal(uart_in(2), 0xc4); /* then data at its trigger level */
	for (i = 0; i < 16; i++)
		assert_int_equal(uart_in(0), 0x30 + i);
	assert_int_equal(uart_in(5), 0x60);
	assert_int_equal(uart_in(6), 0xbb); /* lines looped back, changes */
}

static void test_uart_irq(void **state)
{
	(void)state;
	uart_out(4, 0x08);
	uart_out(1, 0x02);
	assert_int_equal(line_fired(4), 1);
	move_loaded();
	assert_int_equal(line_fired(4), 0);
	snap_thaw_all(&h.m.snap);
	assert_int_equal(line_fired(4), 1);
	assert_int_equal(uart_in(2), 0x02);
	assert_int_equal(uart_in(2), 0x01);
	/* Another kick for nothing: there is none. */
	move_loaded();
	snap_thaw_all(&h.m.snap);
	assert_int_equal(line_fired(4), 0);
}

static void refused(const char *item, unsigned instance, size_t off, uint8_t v,
		    const char *words)
{
	assert_int_equal(move_load_with(&h.m, move_item(item, instance) + off, v),
			 -EPROTO);
	if (!strstr(move_err.text, words))
		fail_msg("\"%s\" does not say \"%s\"", move_err.text, words);
}

static void test_refused(void **state)
{
	(void)state;
	start(0);
	move_save(&h.m);
	host_down();
	host_up();
	refused("pci", 1, 0, 0, "pci 1: configuration space: byte 0 is 0 there");
	refused("pci", 1, 0x10, 0x10,
		"pci 1: configuration space: byte 0x10 is 0x10");
	refused("pci", 1, 256 + 2, 0x7, "pci 1: BAR: 0xd0");
	refused("pci", 1, 256 + 8, 3, "pci 1: MSI-X vectors: 3 there, 2 here");
	refused("pci", 1, 256 + 10, 1, "pci 1: MSI-X address: 0x1");
	refused("pci", 1, 256 + 22, 2, "pci 1: MSI-X mask: 2");
	refused("pci", 1, 256 + 23, 9, "pci 1: MSI-X pending bit: 9");
	refused("virtio-pci", 0, 10, 2, "configuration vector: 2 of 2");
	refused("virtio-pci", 0, 12, 4, "virtio-pci 0: ISR: 0x4");
	refused("virtio-pci", 0, 13, 2, "virtio-pci 0: queues: 2 there");
	refused("virtio-pci", 0, 15, 9, "virtio-pci 0: queue vector: 9 of 2");
	refused("pci-root", 0, 0, 1, "pci-root 0: address port: 0x1");
	refused("acpi", 0, 0, 2, "acpi 0: event: 0x2");
	refused("uart", 0, 0, 0x10, "uart 0: IER: 0x10");
	refused("uart", 0, 1, 0x08, "uart 0: FCR: 0x8");
	refused("uart", 0, 3, 0x20, "uart 0: MCR: 0x20");
	refused("uart", 0, 4, 0x01, "uart 0: LSR: 0x1");
	refused("uart", 0, 5, 0x10, "uart 0: MSR: 0x10");
	refused("uart", 0, 9, 2, "uart 0: transmitter");
	refused("uart", 0, 11, 2, "uart 0: receiver: more than fits");
	refused("console-input", 0, 0, 1, "console-input 0: port: 1 of 1");
	refused("console-input", 0, 3, 1, "console-input 0: length: 65536");
}

/* Whatever is taken: the machine can be used, reset and closed. */
static void test_sweep(void **state)
{
	static const uint8_t delta[] = { 1, 4, 0x80, 0xff };
	unsigned k, n_taken = 0;
	size_t at;

	(void)state;
	start(0);
	msix_set(0, 0, 0xfee01000, 0x4041, true);
	msix_enable(0);
	h.rng[0].virtio.transport->queue_irq(&h.rng[0].virtio, 0);
	move_save(&h.m);
	for (at = 0; at < move_len; at++) {
		for (k = 0; k < sizeof(delta); k++) {
			int r;

			host_down();
			host_up();
			r = move_load_with(&h.m, at, move_bytes[at] ^ delta[k]);
			assert_true(r == 0 || r == -EPROTO);
			if (r)
				continue;
			n_taken++;
			snap_thaw_all(&h.m.snap);
			fake_machine_turn(&h.m);
			cfg_write(1, 4, 2, 2);
			(void)uart_in(0);
			(void)uart_in(5);
			pci_msix_fire(&h.vp[0].pci, 0);
			fake_machine_turn(&h.m);
		}
	}
	assert_true(n_taken > 100);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_negotiation),  T(test_running), T(test_overlap),
		T(test_conf1),	      T(test_uart),    T(test_uart_irq),
		T(test_power_button), T(test_refused), T(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
