/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration space, BAR decoding and MSI-X as a guest sees them. */
#include "tests/unit/test.h"

#include "devices/pci.h"
#include "tests/unit/fake_kvm.h"

/* From the PCI specification, not from our headers. */
#define VENDOR	0x00
#define COMMAND 0x04
#define STATUS	0x06
#define REV	0x08
#define HEADER	0x0e
#define BAR0	0x10
#define CAPS	0x34
#define LINE	0x3c
#define PIN	0x3d
#define MEM_ON	2

#define TOY_BAR	 0x8000u
#define TOY_MSIX 0x4000u
#define TOY_PBA	 0x5000u
#define TOY_VECS 3

struct toy {
	struct pci_dev pd;
	unsigned reads, writes, moves;
	uint64_t base, last_off, last_val;
	unsigned last_len;
};

static struct machine m;
static struct pci_root root;
static struct toy toy, toy2;

static uint64_t toy_read(struct pci_dev *pd, uint64_t off, unsigned len)
{
	struct toy *t = container_of(pd, struct toy, pd);

	t->reads++;
	t->last_off = off;
	t->last_len = len;
	return 0x1122334455667788;
}

static void toy_write(struct pci_dev *pd, uint64_t off, unsigned len, uint64_t val)
{
	struct toy *t = container_of(pd, struct toy, pd);

	t->writes++;
	t->last_off = off;
	t->last_len = len;
	t->last_val = val;
}

static void toy_moved(struct pci_dev *pd, uint64_t base)
{
	struct toy *t = container_of(pd, struct toy, pd);

	t->moves++;
	t->base = base;
}

static const struct pci_ops toy_ops = {
	.bar_read = toy_read,
	.bar_write = toy_write,
	.moved = toy_moved,
};

static int toy_add(struct toy *t)
{
	*t = (struct toy){ .pd = { .ops = &toy_ops,
				   .bar_size = TOY_BAR,
				   .msix_off = TOY_MSIX,
				   .pba_off = TOY_PBA } };
	return pci_dev_add(&root, &t->pd, 0x1af4, 0x1077, 0xff0102, TOY_VECS);
}

static int setup(void **state)
{
	(void)state;
	if (fake_machine_init(&m, MIB(1)) || pci_root_init(&root, &m))
		return -1;
	return toy_add(&toy) || toy_add(&toy2) ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	pci_dev_remove(&root, &toy2.pd);
	pci_dev_remove(&root, &toy.pd);
	pci_root_fini(&root);
	pci_root_fini(&root);
	assert_int_equal(m.mmio.n, 0);
	assert_int_equal(m.pio.n, 0);
	assert_int_equal(fake_kvm.n_irqfd, 0);
	fake_machine_fini(&m);
	return 0;
}

static uint64_t mmio_read(uint64_t addr, unsigned len)
{
	uint64_t v;

	(void)bus_read(&m.mmio, addr, len, &v);
	return v;
}

static void mmio_write(uint64_t addr, unsigned len, uint64_t v)
{
	(void)bus_write(&m.mmio, addr, len, v);
}

static uint64_t ecam(unsigned slot, unsigned fn, unsigned reg)
{
	return 0xe8000000 + (slot << 15) + (fn << 12) + reg;
}

static uint32_t cfg(unsigned slot, unsigned reg, unsigned len)
{
	return (uint32_t)mmio_read(ecam(slot, 0, reg), len);
}

static void cfg_set(unsigned slot, unsigned reg, unsigned len, uint32_t v)
{
	mmio_write(ecam(slot, 0, reg), len, v);
}

static uint64_t pio_read(uint64_t port, unsigned len)
{
	uint64_t v;

	(void)bus_read(&m.pio, port, len, &v);
	return v;
}

static void test_scan(void **state)
{
	unsigned slot, fn;

	(void)state;
	for (slot = 0; slot < 32; slot++) {
		for (fn = 0; fn < 8; fn++) {
			bool there = slot < 3 && fn == 0;
			uint64_t id = mmio_read(ecam(slot, fn, VENDOR), 4);

			assert_int_equal(id != 0xffffffff, there);
		}
	}
	/* Class of slot 0: host bridge. Type 0, single function. */
	assert_int_equal(cfg(0, REV, 4) >> 8, 0x060000);
	assert_int_equal(cfg(0, HEADER, 1), 0);
	assert_int_equal(cfg(0, STATUS, 2) & 0x10, 0);
	assert_int_equal(cfg(0, CAPS, 1), 0);
	assert_int_equal(cfg(0, BAR0, 4), 0);
	assert_int_equal(cfg(1, VENDOR, 4), 0x10771af4);
	assert_int_equal(cfg(1, REV, 4) >> 8, 0xff0102);
	assert_int_equal(cfg(1, HEADER, 1), 0);
	assert_int_equal(cfg(1, PIN, 1), 0);
	assert_int_equal(cfg(1, STATUS, 2) & 0x10, 0x10);
	/* No PCI Express: no extended configuration space. */
	assert_int_equal(cfg(1, 0x100, 4), 0xffffffff);
	assert_int_equal(cfg(1, 0xffc, 4), 0xffffffff);
}

static void test_any_access(void **state)
{
	static const unsigned lens[] = { 1, 2, 4, 8 };
	unsigned reg, i, k;

	(void)state;
	for (reg = 0; reg < 0x1000; reg++) {
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			uint64_t v = mmio_read(ecam(1, 0, reg), lens[i]);

			for (k = 0; k < lens[i] && reg + k < 0x1000; k++)
				assert_int_equal(v >> 8 * k & 0xff,
						 cfg(1, reg + k, 1));
		}
	}
	/* The last bytes of the window, and across its end. */
	assert_true(mmio_read(0xe8000000 + 0xffff8, 8) == UINT64_MAX);
	assert_true(mmio_read(0xe8000000 + 0xffffc, 8) == UINT64_MAX);
	mmio_write(0xe8000000 + 0xffff8, 8, 0);
	mmio_write(0xe8000000 + 0xffffd, 8, 0);
	mmio_write(ecam(31, 7, 0), 8, 0);
}

/* Only these may change: command bits 1, 2 and 10, BAR 0, interrupt line,
 * and enable and function mask of MSI-X. */
static void test_read_only(void **state)
{
	uint8_t before[256], want[256];
	unsigned cap = cfg(1, CAPS, 1);
	unsigned i;

	(void)state;
	for (i = 0; i < 256; i++)
		before[i] = (uint8_t)cfg(1, i, 1);
	memcpy(want, before, 256);
	want[COMMAND] = 0x06;
	want[COMMAND + 1] = 0x04;
	want[BAR0] = 0x00;
	want[BAR0 + 1] = 0x80;
	want[BAR0 + 2] = 0xff;
	want[BAR0 + 3] = 0xff;
	want[LINE] = 0xff;
	want[cap + 3] |= 0xc0;
	for (i = 0; i < 256; i += 4)
		cfg_set(1, i, 4, 0xffffffff);
	for (i = 0; i < 256; i++)
		assert_int_equal(cfg(1, i, 1), want[i]);
	for (i = 0; i < 256; i++)
		cfg_set(1, i, 1, 0);
	want[COMMAND] = want[COMMAND + 1] = want[LINE] = 0;
	want[BAR0 + 1] = want[BAR0 + 2] = want[BAR0 + 3] = 0;
	want[cap + 3] &= 0x3f;
	for (i = 0; i < 256; i++)
		assert_int_equal(cfg(1, i, 1), want[i]);
	pci_dev_reset(&toy.pd);
	for (i = 0; i < 256; i++)
		assert_int_equal(cfg(1, i, 1), before[i]);
}

static void test_mechanism_1(void **state)
{
	unsigned reg;

	(void)state;
	/* The probe that Linux does. */
	assert_int_equal(bus_write(&m.pio, 0xcfb, 1, 1), 0);
	assert_int_equal(bus_write(&m.pio, 0xcf8, 4, 0x80000000), 0);
	assert_int_equal(pio_read(0xcf8, 4), 0x80000000);
	for (reg = 0; reg < 256; reg += 4) {
		bus_write(&m.pio, 0xcf8, 4, 0x80000800 | reg);
		assert_int_equal(pio_read(0xcfc, 4), cfg(1, reg, 4));
		assert_int_equal(pio_read(0xcfe, 2), cfg(1, reg + 2, 2));
		assert_int_equal(pio_read(0xcff, 1), cfg(1, reg + 3, 1));
	}
	bus_write(&m.pio, 0xcf8, 4, 0x8000083c);
	bus_write(&m.pio, 0xcfc, 1, 0x0b);
	assert_int_equal(cfg(1, LINE, 1), 0x0b);
	/* Function 1, bus 1, not enabled: nobody there. */
	bus_write(&m.pio, 0xcf8, 4, 0x80000900);
	assert_int_equal(pio_read(0xcfc, 4), 0xffffffff);
	bus_write(&m.pio, 0xcf8, 4, 0x80010800);
	assert_int_equal(pio_read(0xcfc, 4), 0xffffffff);
	bus_write(&m.pio, 0xcf8, 4, 0x00000800);
	assert_int_equal(pio_read(0xcfc, 4), 0xffffffff);
	bus_write(&m.pio, 0xcfc, 4, 0);
	/* Any width anywhere. */
	for (reg = 0xcf8; reg < 0xd00; reg++) {
		(void)pio_read(reg, 1);
		(void)pio_read(reg, 2);
		(void)pio_read(reg, 4);
	}
	assert_int_equal(m.end, END_NONE);
	bus_write(&m.pio, 0xcf9, 1, 0x02);
	assert_int_equal(m.end, END_NONE);
	bus_write(&m.pio, 0xcf9, 1, 0x06);
	assert_int_equal(m.end, END_REBOOT);
}

/* All or nothing: what was taken before stays, what is ours goes. */
static void test_addresses_taken(void **state)
{
	static const struct bus_ops ops;
	struct pci_root other;
	struct machine m2;

	(void)state;
	memset(&m2, 0, sizeof(m2));
	assert_int_equal(bus_add(&m2.pio, 0xcf9, 1, &ops, &m2, "cf9"), 0);
	assert_int_equal(pci_root_init(&other, &m2), -EEXIST);
	assert_int_equal(m2.pio.n, 1);
	assert_int_equal(m2.mmio.n, 0);
	bus_remove(&m2.pio, 0xcf9, &m2);
	assert_int_equal(bus_add(&m2.mmio, 0xe8000fff, 1, &ops, &m2, "x"), 0);
	assert_int_equal(pci_root_init(&other, &m2), -EEXIST);
	assert_int_equal(m2.mmio.n, 1);
	assert_int_equal(m2.pio.n, 0);
}

static void test_bar_sizing(void **state)
{
	uint32_t home = cfg(1, BAR0, 4);

	(void)state;
	assert_true(home >= 0xd0000000 && home < 0xe0000000);
	assert_int_equal(home % TOY_BAR, 0);
	assert_true(home != cfg(2, BAR0, 4));
	cfg_set(1, BAR0, 4, 0xffffffff);
	assert_int_equal(cfg(1, BAR0, 4), 0xffff8000);
	cfg_set(1, BAR0, 4, home);
	assert_int_equal(cfg(1, BAR0, 4), home);
	assert_int_equal(toy.moves, 0);
	/* The other five and the ROM are not there. */
	cfg_set(1, 0x14, 4, 0xffffffff);
	assert_int_equal(cfg(1, 0x14, 4), 0);
	cfg_set(1, 0x30, 4, 0xffffffff);
	assert_int_equal(cfg(1, 0x30, 4), 0);
}

static void test_bar_decode(void **state)
{
	uint32_t home = cfg(1, BAR0, 4);

	(void)state;
	assert_int_equal(mmio_read(home, 4), 0xffffffff);
	cfg_set(1, COMMAND, 2, MEM_ON);
	assert_int_equal(toy.moves, 1);
	assert_int_equal(toy.base, home);
	assert_int_equal(mmio_read(home + 8, 4), 0x55667788);
	assert_int_equal(toy.last_off, 8);
	mmio_write(home + TOY_BAR - 2, 2, 0xabcd);
	assert_int_equal(toy.last_off, TOY_BAR - 2);
	assert_int_equal(toy.last_val, 0xabcd);
	/* Writing the same again moves nothing. */
	cfg_set(1, COMMAND, 2, MEM_ON | 4);
	cfg_set(1, BAR0, 4, home);
	assert_int_equal(toy.moves, 1);
	/* Sizing while decoded: gone, and back. */
	cfg_set(1, BAR0, 4, 0xffffffff);
	assert_int_equal(toy.base, 0);
	assert_int_equal(mmio_read(home, 4), 0xffffffff);
	assert_int_equal(mmio_read(0xffff8000, 4), 0xffffffff);
	cfg_set(1, BAR0, 4, home);
	assert_int_equal(toy.base, home);
	/* Moved, byte by byte. */
	cfg_set(1, BAR0 + 3, 1, 0xd5);
	assert_int_equal(toy.base, (home & 0xffffff) | 0xd5000000);
	assert_int_equal(mmio_read(home, 4), 0xffffffff);
	assert_int_equal(mmio_read(toy.base, 2), 0x7788);
	cfg_set(1, COMMAND, 1, 0);
	assert_int_equal(toy.base, 0);
	assert_int_equal(mmio_read(0xd5000000, 4), 0xffffffff);
}

static void test_bar_elsewhere(void **state)
{
	static const uint32_t bad[] = { 0,	    0x100000,	0xc0000000,
					0xcfff8000, 0xe0000000, 0xe8000000,
					0xfee00000, 0xffff8000 };
	unsigned i;

	(void)state;
	cfg_set(1, COMMAND, 2, MEM_ON);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		cfg_set(1, BAR0, 4, bad[i]);
		assert_int_equal(toy.base, 0);
		assert_int_equal(toy.pd.bar_base, 0);
		assert_int_equal(cfg(1, BAR0, 4), bad[i]);
	}
	cfg_set(1, BAR0, 4, 0xdfff8000);
	assert_int_equal(toy.base, 0xdfff8000);
}

static void test_bar_overlap(void **state)
{
	uint32_t home = cfg(1, BAR0, 4), home2 = cfg(2, BAR0, 4);

	(void)state;
	cfg_set(1, COMMAND, 2, MEM_ON);
	cfg_set(2, COMMAND, 2, MEM_ON);
	cfg_set(2, BAR0, 4, home);
	assert_int_equal(toy2.base, 0);
	(void)mmio_read(home, 1);
	assert_int_equal(toy.reads, 1);
	assert_int_equal(toy2.reads, 0);
	/* Turning the loser off must not take the winner's range away. */
	cfg_set(2, COMMAND, 2, 0);
	(void)mmio_read(home, 1);
	assert_int_equal(toy.reads, 2);
	cfg_set(2, BAR0, 4, home2);
	cfg_set(2, COMMAND, 2, MEM_ON);
	assert_int_equal(toy2.base, home2);
}

static void test_capabilities(void **state)
{
	uint8_t body[60];
	unsigned at, n = 0;
	int r, last = 0;

	(void)state;
	at = cfg(1, CAPS, 1);
	assert_int_equal(cfg(1, at, 1), 0x11);
	/* Table size minus one; offsets with BAR number 0. */
	assert_int_equal(cfg(1, at + 2, 2), TOY_VECS - 1);
	assert_int_equal(cfg(1, at + 4, 4), TOY_MSIX);
	assert_int_equal(cfg(1, at + 8, 4), TOY_PBA);
	assert_int_equal(cfg(1, at + 1, 1), 0);

	memset(body, 0x5a, sizeof(body));
	while ((r = pci_add_cap(&toy.pd, 9, body, sizeof(body))) > 0) {
		assert_int_equal(r % 4, 0);
		assert_true(r + 62 <= 256);
		last = r;
		n++;
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, 2);
	/* Up to the very last byte, and not one more. */
	r = pci_add_cap(&toy.pd, 9, body,
			(uint8_t)(256 - align_up((uint64_t)last + 62, 4) - 2));
	assert_true(r > 0);
	assert_int_equal(pci_add_cap(&toy.pd, 9, body, 0), -ENOSPC);
	for (n = 0; at; n++)
		at = cfg(1, at + 1, 1);
	assert_int_equal(n, 4);
}

static void test_slots_run_out(void **state)
{
	static struct toy more[32];
	unsigned n = 0, i;
	int r;

	(void)state;
	while ((r = toy_add(&more[n])) == 0)
		n++;
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, 29);
	pci_dev_remove(&root, &more[n].pd);
	for (i = 0; i < n; i++)
		pci_dev_remove(&root, &more[i].pd);
	pci_dev_remove(&root, &more[0].pd);
	assert_int_equal(cfg(3, VENDOR, 4), 0xffffffff);
}

static int add_sized(struct toy *t, uint64_t size, uint16_t vectors)
{
	*t = (struct toy){ .pd = { .ops = &toy_ops,
				   .bar_size = size,
				   .msix_off = TOY_MSIX,
				   .pba_off = TOY_PBA } };
	return pci_dev_add(&root, &t->pd, 1, 2, 3, vectors);
}

static void test_bad_devices(void **state)
{
	static struct toy a, b;

	(void)state;
	assert_int_equal(add_sized(&a, 0x7000, 1), -EINVAL);
	assert_int_equal(add_sized(&a, 16, 0), -EINVAL);
	assert_int_equal(add_sized(&a, 0x8000, PCI_MSIX_MAX + 1), -EINVAL);
	assert_int_equal(add_sized(&a, 0x4000, 1), -EINVAL); /* table outside */
	assert_int_equal(add_sized(&a, MIB(512), 1), -ENOSPC);
	assert_int_equal(add_sized(&a, MIB(128), 1), 0);
	assert_int_equal(a.pd.bar_home % MIB(128), 0);
	assert_int_equal(add_sized(&b, MIB(128), 1), -ENOSPC);
	pci_dev_remove(&root, &b.pd);
	pci_dev_remove(&root, &a.pd);
}

static void test_irqfd_fails(void **state)
{
	static struct toy a;
	unsigned n, i, before = fake_kvm.n_irqfd;

	(void)state;
	for (n = 1;; n++) {
		fake_kvm.fail_irqfd_at = n;
		if (!add_sized(&a, TOY_BAR, 4))
			break;
		assert_int_equal(fake_kvm.n_irqfd, before);
		for (i = before; i < IRQ_MSI_MAX; i++)
			assert_null(m.irq.msi[i]);
		assert_int_equal(cfg(3, VENDOR, 4), 0xffffffff);
	}
	assert_int_equal(n, 5);
	fake_kvm.fail_irqfd_at = 0;
	pci_dev_remove(&root, &a.pd);
	assert_int_equal(fake_kvm.n_irqfd, before);
}

/* --- MSI-X --- */

static uint64_t table(unsigned vec, unsigned field)
{
	return toy.base + TOY_MSIX + 16 * vec + field;
}

static void msix_on(bool enable, bool mask_all)
{
	unsigned cap = cfg(1, CAPS, 1);

	cfg_set(1, COMMAND, 2, MEM_ON);
	cfg_set(1, cap + 2, 2, (enable ? 0x8000u : 0) | (mask_all ? 0x4000 : 0));
}

static void vector_set(unsigned vec, uint64_t addr, uint32_t data, bool masked)
{
	mmio_write(table(vec, 12), 4, 1);
	mmio_write(table(vec, 0), 4, (uint32_t)addr);
	mmio_write(table(vec, 4), 4, addr >> 32);
	mmio_write(table(vec, 8), 4, data);
	mmio_write(table(vec, 12), 4, masked);
}

static uint64_t pba(void)
{
	return mmio_read(toy.base + TOY_PBA, 8);
}

static uint64_t fired(unsigned vec)
{
	return fake_fired(&toy.pd.msix[vec].msi);
}

static void test_msix_table(void **state)
{
	unsigned i;

	(void)state;
	msix_on(false, false);
	for (i = 0; i < TOY_VECS; i++) {
		assert_true(mmio_read(table(i, 0), 8) == 0);
		/* Masked after reset ([PCI] 7.7.2.9). */
		assert_true(mmio_read(table(i, 8), 8) == 1ULL << 32);
	}
	mmio_write(table(1, 0), 8, 0x1234567fee00123ULL);
	mmio_write(table(1, 8), 8, 0xfffffffedeadbeefULL);
	assert_true(mmio_read(table(1, 0), 8) == 0x1234567fee00120ULL);
	assert_true(mmio_read(table(1, 8), 8) == 0xdeadbeef);
	assert_int_equal(mmio_read(table(1, 4), 4), 0x1234567);
	assert_int_equal(mmio_read(table(1, 9), 2), 0xadbe);
	/* Bytes, words and crooked places don't count. */
	mmio_write(table(1, 8), 1, 0);
	mmio_write(table(1, 8), 2, 0);
	mmio_write(table(1, 9), 4, 0);
	mmio_write(table(1, 4), 8, 0);
	mmio_write(table(0, 14), 4, 0);
	assert_int_equal(mmio_read(table(1, 8), 4), 0xdeadbeef);
	/* The last entry, and across its end. */
	(void)mmio_read(table(2, 8), 8);
	assert_true(mmio_read(table(2, 12), 8) == 1);
	assert_int_equal(toy.reads, 0);
	assert_int_equal(toy.writes, 0);
	(void)mmio_read(table(3, 0), 4);
	assert_int_equal(toy.reads, 1);
	mmio_write(toy.base + TOY_PBA, 8, UINT64_MAX);
	assert_true(pba() == 0);
	assert_int_equal(toy.writes, 0);
	/* Nothing was unmasked with MSI-X on: KVM was left alone. */
	assert_int_equal(fake_kvm.n_routing, 1);
}

static void test_msix_fire(void **state)
{
	uint32_t gsi = toy.pd.msix[1].msi.gsi;

	(void)state;
	msix_on(true, false);
	vector_set(1, 0xfee01004, 0x4041, false);
	assert_true(fake_kvm.have_msi[gsi]);
	assert_int_equal(fake_kvm.msi[gsi].address_lo, 0xfee01004);
	assert_int_equal(fake_kvm.msi[gsi].address_hi, 0);
	assert_int_equal(fake_kvm.msi[gsi].data, 0x4041);
	pci_msix_fire(&toy.pd, 1);
	assert_int_equal(fired(1), 1);
	assert_true(pba() == 0);
	/* Vectors that don't exist. */
	pci_msix_fire(&toy.pd, TOY_VECS);
	pci_msix_fire(&toy.pd, 0xffff);
	assert_int_equal(fired(0) + fired(1) + fired(2), 0);
}

static void test_msix_pending(void **state)
{
	(void)state;
	msix_on(true, false);
	vector_set(1, 0xfee00000, 0x41, true);
	/* Masked by itself. */
	pci_msix_fire(&toy.pd, 1);
	pci_msix_fire(&toy.pd, 1);
	assert_int_equal(fired(1), 0);
	assert_true(pba() == 2);
	mmio_write(table(1, 12), 4, 0);
	assert_int_equal(fired(1), 1);
	assert_true(pba() == 0);
	/* By the function mask. */
	msix_on(true, true);
	pci_msix_fire(&toy.pd, 1);
	pci_msix_fire(&toy.pd, 2);
	assert_true(pba() == 6);
	assert_int_equal(mmio_read(toy.base + TOY_PBA, 1), 6);
	assert_int_equal(mmio_read(toy.base + TOY_PBA + 4, 4), 0);
	assert_int_equal(fired(1), 0);
	msix_on(true, false);
	assert_int_equal(fired(1), 1);
	assert_true(pba() == 4);
	/* While MSI-X is off. */
	msix_on(false, false);
	assert_false(pci_msix_on(&toy.pd));
	pci_msix_fire(&toy.pd, 1);
	assert_int_equal(fired(1), 0);
	msix_on(true, false);
	assert_true(pci_msix_on(&toy.pd));
	assert_int_equal(fired(1), 1);
}

static void test_msix_lazy_routes(void **state)
{
	unsigned n, i;

	(void)state;
	msix_on(true, false);
	vector_set(0, 0xfee00000, 0x30, false);
	n = fake_kvm.n_routing;
	for (i = 0; i < 100; i++) {
		mmio_write(table(0, 12), 4, 1);
		pci_msix_fire(&toy.pd, 0);
		mmio_write(table(0, 12), 4, 0);
	}
	msix_on(true, true);
	msix_on(true, false);
	assert_int_equal(fired(0), 100);
	assert_int_equal(fake_kvm.n_routing, n);
	/* Moved while masked: one new route at the unmask. */
	vector_set(0, 0xfee02000, 0x31, false);
	assert_int_equal(fake_kvm.n_routing, n + 1);
	/* Moved while unmasked: at once. */
	mmio_write(table(0, 8), 4, 0x32);
	assert_int_equal(fake_kvm.n_routing, n + 2);
	assert_int_equal(fake_kvm.msi[toy.pd.msix[0].msi.gsi].data, 0x32);
}

static void test_msix_refused(void **state)
{
	(void)state;
	msix_on(true, false);
	fake_kvm.fail_routing = true;
	vector_set(0, 0xffffffff00000000, 0xffffffff, false);
	pci_msix_fire(&toy.pd, 0);
	assert_int_equal(fired(0), 0);
	assert_true(pba() == 1);
	/* The driver mends it: what waited arrives. */
	fake_kvm.fail_routing = false;
	vector_set(0, 0xfee00000, 0x30, false);
	assert_int_equal(fired(0), 1);
	/* Refused when a good route is in place: the old one must not fire. */
	fake_kvm.fail_routing = true;
	vector_set(0, 0xfee00000, 0x99, false);
	pci_msix_fire(&toy.pd, 0);
	assert_int_equal(fired(0), 0);
	assert_true(pba() == 1);
}

static void test_reset(void **state)
{
	uint32_t home = cfg(1, BAR0, 4);

	(void)state;
	msix_on(true, false);
	vector_set(0, 0xfee00000, 0x30, false);
	pci_msix_fire(&toy.pd, 2);
	cfg_set(1, BAR0, 4, 0xd8000000);
	cfg_set(1, LINE, 1, 7);
	pci_dev_reset(&toy.pd);
	assert_int_equal(toy.base, 0);
	assert_int_equal(cfg(1, COMMAND, 2), 0);
	assert_int_equal(cfg(1, BAR0, 4), home);
	assert_int_equal(cfg(1, LINE, 1), 0);
	assert_int_equal(cfg(1, cfg(1, CAPS, 1) + 2, 2), TOY_VECS - 1);
	assert_false(fake_kvm.have_msi[toy.pd.msix[0].msi.gsi]);
	msix_on(true, false);
	assert_true(pba() == 0);
	assert_true(mmio_read(table(0, 0), 8) == 0);
	assert_true(mmio_read(table(0, 8), 8) == 1ULL << 32);
	mmio_write(table(2, 12), 4, 0);
	assert_int_equal(fired(0) + fired(1) + fired(2), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_scan),
		T(test_any_access),
		T(test_read_only),
		T(test_mechanism_1),
		T(test_addresses_taken),
		T(test_bar_sizing),
		T(test_bar_decode),
		T(test_bar_elsewhere),
		T(test_bar_overlap),
		T(test_capabilities),
		T(test_slots_run_out),
		T(test_bad_devices),
		T(test_irqfd_fails),
		T(test_msix_table),
		T(test_msix_fire),
		T(test_msix_pending),
		T(test_msix_lazy_routes),
		T(test_msix_refused),
		T(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
