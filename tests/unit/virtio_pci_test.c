/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A driver that follows [VIRTIO] 4.1 from the capabilities on, and one that
 * does not. Numbers come from the specification. */
#include "tests/unit/test.h"

#include "core/bytes.h"
#include "devices/virtio_pci.h"
#include "tests/unit/fake_kvm.h"

#define CAP_COMMON 1
#define CAP_NOTIFY 2
#define CAP_ISR	   3
#define CAP_DEVICE 4
#define CAP_PCI	   5

/* [VIRTIO] 4.1.4.3 */
#define DF_SEL	 0
#define DF	 4
#define GF_SEL	 8
#define GF	 12
#define MSIX	 16
#define NUM_Q	 18
#define STATUS	 20
#define GEN	 21
#define Q_SEL	 22
#define Q_SIZE	 24
#define Q_MSIX	 26
#define Q_ENABLE 28
#define Q_NOFF	 30
#define Q_DESC	 32
#define Q_AVAIL	 40
#define Q_USED	 48
#define Q_NDATA	 56
#define Q_RESET	 58

#define READY	    (1 | 2 | 8)
#define DRIVER_OK   4
#define NEEDS_RESET 0x40

#define DESC  0x10000u
#define AVAIL 0x20000u
#define USED  0x30000u

#define QUEUES 3

struct toy {
	struct virtio_dev v;
	struct virtio_pci vp;
	unsigned starts, stops, kicks[QUEUES], cfg_writes;
	uint32_t cfg_off, cfg_len;
	int stop_result;
};

static struct machine m;
static struct pci_root root;
static struct toy toy;

static int toy_start(struct virtio_dev *dev)
{
	container_of(dev, struct toy, v)->starts++;
	return 0;
}

static int toy_stop(struct virtio_dev *dev)
{
	struct toy *t = container_of(dev, struct toy, v);

	t->stops++;
	return t->stop_result;
}

static void toy_kick(struct virtio_dev *dev, unsigned q)
{
	container_of(dev, struct toy, v)->kicks[q]++;
}

static void toy_config_write(struct virtio_dev *dev, uint32_t off, uint32_t len)
{
	struct toy *t = container_of(dev, struct toy, v);

	t->cfg_writes++;
	t->cfg_off = off;
	t->cfg_len = len;
}

static const struct virtio_model toy_model = {
	.name = "toy",
	.id = 0x13,
	.pci_class = 0x078000,
	.start = toy_start,
	.stop = toy_stop,
	.kick = toy_kick,
	.config_write = toy_config_write,
};

static const struct virtio_model plain_model = {
	.name = "plain",
	.id = 4,
	.pci_class = 0x00ff00,
	.start = toy_start,
	.stop = toy_stop,
	.kick = toy_kick,
};

static int toy_plug(const struct virtio_model *model, uint32_t config_len)
{
	unsigned i;

	memset(&toy, 0, sizeof(toy));
	toy.v.model = model;
	toy.v.features = 1ULL << 3 | 1ULL << 50;
	toy.v.n_queues = QUEUES;
	toy.v.config_len = config_len;
	for (i = 0; i < sizeof(toy.v.config); i++)
		toy.v.config[i] = (uint8_t)(i + 1);
	for (i = 0; i < QUEUES; i++)
		toy.v.queue[i].size_max = (uint16_t)(64u << i);
	if (virtio_init(&toy.v, &m))
		return -1;
	return virtio_pci_add(&toy.vp, &root, &toy.v);
}

static int setup(void **state)
{
	(void)state;
	if (fake_machine_init(&m, MIB(1)) || pci_root_init(&root, &m))
		return -1;
	return toy_plug(&toy_model, 10);
}

static void unplug(void)
{
	virtio_pci_remove(&toy.vp, &root);
	virtio_pci_remove(&toy.vp, &root);
	virtio_fini(&toy.v);
}

static int teardown(void **state)
{
	(void)state;
	unplug();
	pci_root_fini(&root);
	assert_int_equal(fake_kvm.n_doorbells, 0);
	assert_int_equal(fake_kvm.n_bad, 0);
	assert_int_equal(fake_kvm.n_irqfd, 0);
	fake_machine_fini(&m);
	return 0;
}

/* --- the driver --- */

static uint64_t rd(uint64_t addr, unsigned len)
{
	uint64_t v;

	(void)bus_read(&m.mmio, addr, len, &v);
	return v;
}

static void wr(uint64_t addr, unsigned len, uint64_t v)
{
	(void)fake_guest_write(&m, addr, len, v);
}

static uint64_t cfg_at(unsigned reg)
{
	return 0xe8000000 + (1u << 15) + reg;
}

static uint32_t cfg(unsigned reg, unsigned len)
{
	return (uint32_t)rd(cfg_at(reg), len);
}

/* The vendor capability of a type, 0 when there is none. */
static unsigned find_cap(uint8_t type)
{
	unsigned at = cfg(0x34, 1), n;

	for (n = 0; at && n < 48; n++, at = cfg(at + 1, 1)) {
		if (cfg(at, 1) == 9 && cfg(at + 3, 1) == type)
			return at;
	}
	return 0;
}

static uint64_t bar(void)
{
	return cfg(0x10, 4) & ~0xfu;
}

static void mem_on(void)
{
	wr(cfg_at(4), 2, 2 | 4);
}

static uint64_t area(uint8_t type)
{
	return bar() + cfg(find_cap(type) + 8, 4);
}

static uint64_t com(unsigned field, unsigned len)
{
	return rd(area(CAP_COMMON) + field, len);
}

static void com_set(unsigned field, unsigned len, uint64_t v)
{
	wr(area(CAP_COMMON) + field, len, v);
}

static uint64_t doorbell_at(unsigned q)
{
	unsigned cap = find_cap(CAP_NOTIFY);

	com_set(Q_SEL, 2, q);
	return area(CAP_NOTIFY) + com(Q_NOFF, 2) * cfg(cap + 16, 4);
}

static void msix_on(void)
{
	unsigned at = cfg(0x34, 1);

	while (cfg(at, 1) != 0x11)
		at = cfg(at + 1, 1);
	wr(cfg_at(at + 2), 2, 0x8000);
}

static void vector_set(unsigned vec, uint32_t data)
{
	uint64_t at = bar() + 0x4000 + 16 * vec;

	wr(at, 8, 0xfee00000);
	wr(at + 8, 8, data);
}

static void queue_addresses(unsigned q)
{
	com_set(Q_SEL, 2, q);
	com_set(Q_DESC, 4, DESC + 0x1000 * q);
	com_set(Q_DESC + 4, 4, 0);
	com_set(Q_AVAIL, 8, AVAIL + 0x1000 * q);
	com_set(Q_USED, 4, USED + 0x1000 * q);
}

static void negotiate(void)
{
	com_set(STATUS, 1, 0);
	com_set(STATUS, 1, 1);
	com_set(STATUS, 1, 3);
	com_set(GF_SEL, 4, 1);
	com_set(GF, 4, 1);
	com_set(STATUS, 1, READY);
	assert_int_equal(com(STATUS, 1), READY);
}

static void go(void)
{
	mem_on();
	msix_on();
	vector_set(0, 0x40);
	vector_set(1, 0x41);
	negotiate();
	com_set(MSIX, 2, 0);
	queue_addresses(0);
	com_set(Q_MSIX, 2, 1);
	com_set(Q_ENABLE, 2, 1);
	com_set(STATUS, 1, READY | DRIVER_OK);
	assert_int_equal(com(STATUS, 1), READY | DRIVER_OK);
	assert_int_equal(toy.starts, 1);
}

static uint64_t fired(unsigned vec)
{
	return fake_fired(&toy.vp.pci.msix[vec].msi);
}

/* --- tests --- */

static void test_identity(void **state)
{
	(void)state;
	assert_int_equal(cfg(0, 2), 0x1af4);
	assert_int_equal(cfg(2, 2), 0x1040 + 0x13);
	assert_true(cfg(8, 1) >= 1);
	assert_int_equal(cfg(8, 4) >> 8, 0x078000);
	assert_true(cfg(0x2e, 2) >= 0x40);
	assert_int_equal(cfg(0x3d, 1), 0);
	/* 32-bit memory BAR, not prefetchable. */
	assert_int_equal(cfg(0x10, 4) & 0xf, 0);
}

static void test_capabilities(void **state)
{
	static const struct {
		uint8_t type, len;
		uint32_t min;
	} t[] = {
		{ CAP_COMMON, 16, 56 }, { CAP_NOTIFY, 20, 4 * 2 + 2 },
		{ CAP_ISR, 16, 1 },	{ CAP_DEVICE, 16, 10 },
		{ CAP_PCI, 20, 0 },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		unsigned at = find_cap(t[i].type);

		assert_true(at >= 0x40 && at % 4 == 0);
		assert_int_equal(cfg(at + 2, 1), t[i].len);
		assert_int_equal(cfg(at + 4, 1), 0);
		assert_true(cfg(at + 12, 4) >= t[i].min);
		assert_int_equal(cfg(at + 8, 4) % 4, 0);
		assert_true(cfg(at + 8, 4) + cfg(at + 12, 4) <= 0x8000);
	}
	assert_int_equal(cfg(find_cap(CAP_DEVICE) + 12, 4), 10);
	assert_int_equal(cfg(find_cap(CAP_NOTIFY) + 16, 4), 4);
	assert_int_equal(find_cap(8), 0);
	/* Without a device configuration there is no such capability. */
	unplug();
	assert_int_equal(toy_plug(&plain_model, 0), 0);
	assert_int_equal(find_cap(CAP_DEVICE), 0);
	assert_int_equal(cfg(2, 2), 0x1044);
}

static void test_features(void **state)
{
	(void)state;
	mem_on();
	com_set(DF_SEL, 4, 0);
	assert_int_equal(com(DF, 4), 1u << 3 | 1u << 28 | 1u << 29);
	com_set(DF_SEL, 4, 1);
	assert_int_equal(com(DF, 4), 1u << 0 | 1u << 1 | 1u << 18);
	com_set(DF_SEL, 4, 2);
	assert_int_equal(com(DF, 4), 0);
	com_set(DF_SEL, 4, 0xffffffff);
	assert_int_equal(com(DF, 4), 0);
	assert_int_equal(com(DF_SEL, 4), 0xffffffff);
	/* The device's half is not the driver's to write. */
	com_set(DF_SEL, 4, 0);
	com_set(DF, 4, 0xffffffff);
	assert_int_equal(com(DF, 4), 1u << 3 | 1u << 28 | 1u << 29);

	com_set(GF_SEL, 4, 2);
	com_set(GF, 4, 0xffffffff);
	assert_int_equal(com(GF, 4), 0);
	com_set(GF_SEL, 4, 0xfffffff0);
	com_set(GF, 4, 0xffffffff);
	assert_true(toy.v.acked == 0);
	com_set(GF_SEL, 4, 0);
	com_set(GF, 4, 1u << 3);
	com_set(GF_SEL, 4, 1);
	com_set(GF, 4, 3);
	assert_true(toy.v.acked == (1ULL << 3 | 3ULL << 32));
	com_set(STATUS, 1, READY);
	assert_int_equal(com(STATUS, 1), READY);
	/* Final from here on. */
	com_set(GF, 4, 0xffffffff);
	assert_int_equal(com(GF, 4), 3);
	com_set(STATUS, 1, 0);
	assert_int_equal(com(STATUS, 1), 0);
	assert_int_equal(com(GF_SEL, 4), 0);
	assert_int_equal(com(GF, 4), 0);
}

static void test_queue_fields(void **state)
{
	static const uint16_t bad[] = { 0, 3, 127, 256, 0x8000, 0xffff };
	unsigned i;

	(void)state;
	mem_on();
	assert_int_equal(com(NUM_Q, 2), QUEUES);
	for (i = 0; i < QUEUES; i++) {
		com_set(Q_SEL, 2, i);
		assert_int_equal(com(Q_SEL, 2), i);
		assert_int_equal(com(Q_SIZE, 2), 64u << i);
		assert_int_equal(com(Q_ENABLE, 2), 0);
		assert_int_equal(com(Q_MSIX, 2), 0xffff);
	}
	com_set(Q_SEL, 2, 1);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		com_set(Q_SIZE, 2, bad[i]);
		assert_int_equal(com(Q_SIZE, 2), 128);
	}
	com_set(Q_SIZE, 2, 16);
	assert_int_equal(com(Q_SIZE, 2), 16);
	com_set(Q_SIZE, 2, 128);
	assert_int_equal(com(Q_SIZE, 2), 128);
	com_set(Q_DESC, 4, 0x11111110);
	com_set(Q_DESC + 4, 4, 0x22222222);
	com_set(Q_AVAIL + 4, 4, 0x44444444);
	com_set(Q_AVAIL, 4, 0x33333332);
	com_set(Q_USED, 8, 0x6666666655555554);
	assert_true(com(Q_DESC, 8) == 0x2222222211111110);
	assert_int_equal(com(Q_AVAIL, 4), 0x33333332);
	assert_int_equal(com(Q_AVAIL + 4, 4), 0x44444444);
	assert_true(com(Q_USED, 8) == 0x6666666655555554);
	com_set(Q_ENABLE, 2, 2);
	com_set(Q_ENABLE, 2, 0);
	assert_int_equal(com(Q_ENABLE, 2), 0);
	com_set(Q_ENABLE, 2, 1);
	assert_int_equal(com(Q_ENABLE, 2), 1);
	/* Enabled: frozen until a reset. */
	com_set(Q_ENABLE, 2, 0);
	com_set(Q_SIZE, 2, 2);
	com_set(Q_DESC, 4, 0);
	assert_int_equal(com(Q_ENABLE, 2), 1);
	assert_int_equal(com(Q_SIZE, 2), 128);
	assert_int_equal(com(Q_DESC, 4), 0x11111110);
	com_set(Q_SEL, 2, 0);
	assert_true(com(Q_DESC, 8) == 0);
	/* Neither of the two optional fields does anything. */
	com_set(Q_NDATA, 2, 5);
	com_set(Q_RESET, 2, 1);
	assert_int_equal(com(Q_NDATA, 4), 0);
	/* Bad addresses show at DRIVER_OK. */
	negotiate();
	com_set(Q_SEL, 2, 1);
	com_set(Q_DESC + 4, 4, 0x22222222);
	com_set(Q_ENABLE, 2, 1);
	com_set(STATUS, 1, READY | DRIVER_OK);
	assert_int_equal(com(STATUS, 1), READY | DRIVER_OK | NEEDS_RESET);
}

static void test_no_such_queue(void **state)
{
	static const uint16_t sel[] = { QUEUES, 15, 16, 17, 0x8000, 0xffff };
	unsigned i, f;

	(void)state;
	mem_on();
	for (i = 0; i < ARRAY_SIZE(sel); i++) {
		com_set(Q_SEL, 2, sel[i]);
		for (f = Q_SIZE; f < Q_DESC; f += 2)
			com_set(f, 2, 1);
		for (f = Q_DESC; f < Q_NDATA; f += 4)
			com_set(f, 4, 0x1000);
		assert_int_equal(com(Q_SIZE, 2), 0);
		assert_int_equal(com(Q_MSIX, 2), 0xffff);
		assert_int_equal(com(Q_ENABLE, 2), 0);
		assert_true(com(Q_DESC, 8) == 0);
	}
}

static void test_vectors(void **state)
{
	(void)state;
	mem_on();
	assert_int_equal(com(MSIX, 2), 0xffff);
	com_set(MSIX, 2, QUEUES);
	assert_int_equal(com(MSIX, 2), QUEUES);
	/* [VIRTIO] 4.1.5.1.2: what can't be had reads back as NO_VECTOR. */
	com_set(MSIX, 2, QUEUES + 1);
	assert_int_equal(com(MSIX, 2), 0xffff);
	com_set(Q_MSIX, 2, 2);
	assert_int_equal(com(Q_MSIX, 2), 2);
	com_set(Q_MSIX, 2, 0x7fff);
	assert_int_equal(com(Q_MSIX, 2), 0xffff);
	com_set(MSIX, 2, 1);
	com_set(Q_MSIX, 2, 1);
	com_set(STATUS, 1, 0);
	assert_int_equal(com(MSIX, 2), 0xffff);
	assert_int_equal(com(Q_MSIX, 2), 0xffff);
}

static void test_frozen_when_live(void **state)
{
	(void)state;
	go();
	com_set(Q_SEL, 2, 1);
	com_set(Q_SIZE, 2, 2);
	com_set(Q_DESC, 4, 0x9000);
	com_set(Q_ENABLE, 2, 1);
	assert_int_equal(com(Q_SIZE, 2), 128);
	assert_int_equal(com(Q_DESC, 4), 0);
	assert_int_equal(com(Q_ENABLE, 2), 0);
	com_set(Q_SEL, 2, 0);
	com_set(Q_USED, 4, 0xfffffffc);
	assert_int_equal(com(Q_USED, 4), USED);
	assert_true(toy.v.queue[0].vq.used == USED);
}

static void test_transfer(void **state)
{
	static struct chain c;
	uint8_t d[16] = { 0 };
	char buf[4];

	(void)state;
	go();
	put_le64(d, 0x5000);
	put_le32(d + 8, 4);
	assert_int_equal(gmem_write(&m.gmem, DESC + 16 * 7, d, 16), 0);
	assert_int_equal(gmem_write(&m.gmem, 0x5000, "ping", 4), 0);
	assert_int_equal(gmem_write(&m.gmem, AVAIL + 2, "\1\0\7\0", 4), 0);
	wr(doorbell_at(0), 2, 0);
	assert_int_equal(toy.kicks[0], 0);
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 1);
	assert_true(virtio_pop(&toy.v, 0, &c));
	assert_int_equal(c.head, 7);
	assert_int_equal(chain_read(&toy.v.queue[0].vq, &c, buf, 4), 4);
	assert_memory_equal(buf, "ping", 4);
	virtio_push(&toy.v, 0, 7, 0);
	virtio_notify(&toy.v, 0);
	assert_int_equal(fired(1), 1);
	assert_int_equal(fired(0), 0);
	/* [VIRTIO] 4.1.4.5.1: not set for queues while MSI-X is on. */
	assert_int_equal(rd(area(CAP_ISR), 1), 0);
	/* A ring gone bad tells the driver through the other vector. */
	assert_int_equal(gmem_write(&m.gmem, AVAIL + 2, "\377\377", 2), 0);
	assert_false(virtio_pop(&toy.v, 0, &c));
	assert_int_equal(com(STATUS, 1), READY | DRIVER_OK | NEEDS_RESET);
	assert_int_equal(fired(0), 1);
	assert_int_equal(rd(area(CAP_ISR), 1), 2);
	assert_int_equal(rd(area(CAP_ISR), 1), 0);
	com_set(STATUS, 1, 0);
	assert_int_equal(toy.stops, 1);
	assert_int_equal(com(STATUS, 1), 0);
}

static void test_isr_without_msix(void **state)
{
	(void)state;
	mem_on();
	negotiate();
	com_set(STATUS, 1, READY | DRIVER_OK);
	toy.v.transport->queue_irq(&toy.v, 0);
	virtio_config_changed(&toy.v);
	assert_int_equal(rd(area(CAP_ISR), 4), 3);
	assert_int_equal(rd(area(CAP_ISR), 4), 0);
	virtio_config_changed(&toy.v);
	com_set(STATUS, 1, 0);
	assert_int_equal(rd(area(CAP_ISR), 1), 0);
}

/* With MSI-X on but no vector assigned, nothing is sent. */
static void test_no_vector(void **state)
{
	unsigned i;

	(void)state;
	go();
	com_set(MSIX, 2, 0xffff);
	com_set(Q_SEL, 2, 0);
	com_set(Q_MSIX, 2, 0xffff);
	virtio_config_changed(&toy.v);
	toy.v.transport->queue_irq(&toy.v, 0);
	for (i = 0; i <= QUEUES; i++)
		assert_int_equal(fired(i), 0);
	assert_true(rd(bar() + 0x5000, 8) == 0);
}

static void test_device_config(void **state)
{
	uint64_t at;
	uint8_t gen;

	(void)state;
	mem_on();
	at = area(CAP_DEVICE);
	assert_int_equal(rd(at, 1), 1);
	assert_int_equal(rd(at + 2, 2), 0x0403);
	assert_true(rd(at, 8) == 0x0807060504030201);
	/* Across the end: zeroes. */
	assert_true(rd(at + 8, 8) == 0x0a09);
	assert_int_equal(rd(at + 9, 4), 0x0a);
	assert_int_equal(rd(at + 10, 1), 0);
	assert_int_equal(rd(at + 0xfff, 1), 0);
	wr(at + 8, 8, 0xffffffffffff1122);
	assert_int_equal(toy.cfg_writes, 1);
	assert_int_equal(toy.cfg_off, 8);
	assert_int_equal(toy.cfg_len, 2);
	assert_true(rd(at + 8, 8) == 0x1122);
	assert_int_equal(toy.v.config[10], 11);
	wr(at + 10, 4, 0);
	assert_int_equal(toy.cfg_writes, 1);
	gen = (uint8_t)com(GEN, 1);
	virtio_config_changed(&toy.v);
	assert_int_equal((uint8_t)(com(GEN, 1) - gen), 1);
	/* Read-only for a model without config_write. */
	unplug();
	assert_int_equal(toy_plug(&plain_model, 4), 0);
	mem_on();
	wr(area(CAP_DEVICE), 4, 0xffffffff);
	assert_int_equal(rd(area(CAP_DEVICE), 4), 0x04030201);
}

static void test_doorbells(void **state)
{
	uint64_t home, at;
	unsigned q, i;

	(void)state;
	home = bar();
	assert_int_equal(fake_kvm.n_doorbells, 0);
	mem_on();
	assert_int_equal(fake_kvm.n_doorbells, QUEUES);
	for (q = 0; q < QUEUES; q++) {
		at = doorbell_at(q);
		for (i = 0; i < QUEUES && fake_kvm.doorbell[i].addr != at; i++)
			;
		assert_true(i < QUEUES);
		assert_int_equal(fake_kvm.doorbell[i].len, 0);
		assert_int_equal(fake_kvm.doorbell[i].fd, toy.v.queue[q].kick.fd);
	}
	/* They follow the BAR. */
	wr(cfg_at(0x10), 4, 0xd7770000);
	assert_int_equal(fake_kvm.n_doorbells, QUEUES);
	for (i = 0; i < QUEUES; i++)
		assert_true(fake_kvm.doorbell[i].addr > 0xd7770000 &&
			    fake_kvm.doorbell[i].addr < 0xd7778000);
	wr(cfg_at(0x10), 4, 0xffffffff);
	assert_int_equal(fake_kvm.n_doorbells, 0);
	wr(cfg_at(0x10), 4, (uint32_t)home);
	assert_int_equal(fake_kvm.n_doorbells, QUEUES);
	wr(cfg_at(4), 2, 0);
	assert_int_equal(fake_kvm.n_doorbells, 0);
}

static void kick_all_ways(void)
{
	static const unsigned len[] = { 1, 2, 4, 8 };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(len); i++) {
		wr(doorbell_at(0), len[i], 0xffffffff);
		fake_machine_turn(&m);
		assert_int_equal(toy.kicks[0], i + 1);
	}
	/* No queue there, or not enabled. */
	wr(doorbell_at(0) + 4 * QUEUES, 2, 0);
	wr(doorbell_at(0) + 0xffc, 4, 0);
	wr(doorbell_at(1), 2, 0);
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 4);
	assert_int_equal(toy.kicks[1], 0);
	assert_int_equal(rd(doorbell_at(0), 4), 0);
}

static void test_kick_any_length(void **state)
{
	(void)state;
	go();
	kick_all_ways();
}

static void test_kick_length_2(void **state)
{
	unsigned i;

	(void)state;
	fake_kvm.fail_any_len = true;
	go();
	assert_int_equal(fake_kvm.n_doorbells, QUEUES);
	for (i = 0; i < QUEUES; i++)
		assert_int_equal(fake_kvm.doorbell[i].len, 2);
	kick_all_ways();
	wr(cfg_at(0x10), 4, 0xd0100000);
	assert_int_equal(fake_kvm.n_doorbells, QUEUES);
	/* What was registered with one length goes with the same. */
	fake_kvm.fail_any_len = false;
	wr(cfg_at(0x10), 4, 0xd0200000);
	assert_int_equal(fake_kvm.n_doorbells, QUEUES);
}

static void test_kick_without_kvm(void **state)
{
	(void)state;
	fake_kvm.fail_doorbell = true;
	go();
	assert_int_equal(fake_kvm.n_doorbells, 0);
	kick_all_ways();
}

/* --- the window in configuration space --- */

static void window(uint8_t bar_no, uint32_t off, uint32_t len)
{
	unsigned cap = find_cap(CAP_PCI);

	wr(cfg_at(cap + 4), 1, bar_no);
	wr(cfg_at(cap + 8), 4, off);
	wr(cfg_at(cap + 12), 4, len);
}

static unsigned window_data(void)
{
	return find_cap(CAP_PCI) + 16;
}

static void test_window(void **state)
{
	uint32_t common = cfg(find_cap(CAP_COMMON) + 8, 4);
	uint32_t notify = cfg(find_cap(CAP_NOTIFY) + 8, 4);

	(void)state;
	/* Memory decoding is off all the while. */
	window(0, common + NUM_Q, 2);
	assert_int_equal(cfg(window_data(), 2), QUEUES);
	window(0, common + STATUS, 1);
	wr(cfg_at(window_data()), 1, 3);
	assert_int_equal(toy.v.status, 3);
	window(0, common + DF_SEL, 4);
	wr(cfg_at(window_data()), 4, 1);
	window(0, common + DF, 4);
	assert_int_equal(cfg(window_data(), 4), 1u << 0 | 1u << 1 | 1u << 18);
	/* A kick goes the same way. */
	toy.v.acked = 1ULL << 32;
	toy.v.queue[0].enabled = true;
	toy.v.queue[0].vq.desc = DESC;
	toy.v.queue[0].vq.avail = AVAIL;
	toy.v.queue[0].vq.used = USED;
	virtio_set_status(&toy.v, READY | DRIVER_OK);
	window(0, notify, 2);
	wr(cfg_at(window_data()), 2, 0);
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 1);
	/* Not at a crooked place. */
	window(0, notify + 1, 2);
	wr(cfg_at(window_data()), 2, 0);
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 1);
	/* Status 0 through the window: the device that hosts it resets. */
	window(0, common + STATUS, 1);
	wr(cfg_at(window_data()), 1, 0);
	assert_int_equal(toy.stops, 1);
	assert_int_equal(toy.v.status, 0);
}

static void test_window_abuse(void **state)
{
	static const struct {
		uint8_t bar;
		uint32_t off, len;
	} t[] = {
		{ 1, 20, 1 },	      { 0xff, 20, 1 },
		{ 0, 20, 0 },	      { 0, 20, 3 },
		{ 0, 20, 8 },	      { 0, 20, 0xffffffff },
		{ 0, 0x8000, 1 },     { 0, 0x7fff, 2 },
		{ 0, 0x7ffe, 4 },     { 0, 0xffffffff, 1 },
		{ 0, 0xfffffffc, 4 }, { 0, 21, 2 },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		window(t[i].bar, t[i].off, t[i].len);
		wr(cfg_at(window_data()), 4, 0x03030303);
		(void)cfg(window_data(), 4);
		assert_int_equal(toy.v.status, 0);
	}
	/* Reads beside the data have no effect: the ISR keeps its bit. */
	toy.vp.isr = 2;
	window(0, cfg(find_cap(CAP_ISR) + 8, 4), 1);
	(void)cfg(window_data() + 4, 4);
	(void)cfg(window_data() - 4, 4);
	assert_int_equal(toy.vp.isr, 2);
	assert_int_equal(cfg(window_data(), 1), 2);
	assert_int_equal(toy.vp.isr, 0);
	/* A crooked access that merely touches the data counts, once. */
	window(0, cfg(find_cap(CAP_COMMON) + 8, 4) + STATUS, 1);
	wr(cfg_at(window_data()), 8, 1);
	assert_int_equal(toy.v.status, 1);
	(void)rd(cfg_at(window_data() - 3), 8);
	(void)rd(cfg_at(0xff), 8);
	(void)rd(cfg_at(0xff8), 8);
}

/* --- anything at all --- */

static void test_any_read(void **state)
{
	static const unsigned len[] = { 1, 2, 4, 8 };
	unsigned i;
	uint64_t off;

	(void)state;
	go();
	for (off = 0; off < 0x8000; off++) {
		for (i = 0; i < ARRAY_SIZE(len); i++)
			(void)rd(bar() + off, len[i]);
	}
	/* Crooked reads of the common area agree with straight ones. */
	for (off = 0; off < 60; off++) {
		uint64_t v = rd(area(CAP_COMMON) + off, 8);

		for (i = 0; i < 8 && off + i < 60; i++)
			assert_int_equal(v >> 8 * i & 0xff,
					 com((unsigned)off + i, 1));
	}
	assert_int_equal(com(STATUS, 1), READY | DRIVER_OK);
}

static uint64_t xorshift(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void test_any_write(void **state)
{
	static const unsigned len[] = { 1, 2, 4, 8 };
	uint64_t s = 0x9e3779b97f4a7c15;
	unsigned n;

	(void)state;
	mem_on();
	for (n = 0; n < 200000; n++) {
		uint64_t r = xorshift(&s), v = xorshift(&s);
		/* Mostly the places that matter. */
		uint64_t off = (r >> 8) % (r & 1 ? 0x8000 : 64);

		if (r >> 40 & 1)
			off += (r >> 16 & 7) << 12;
		if (r >> 41 & 1)
			v &= 0xf;
		if (off < 0x8000)
			wr(bar() + off, len[r >> 2 & 3], v);
		if (r >> 42 & 1)
			wr(cfg_at((r >> 24) & 0xff), len[r >> 4 & 3], v);
		mem_on();
		if (n % 1000 == 0)
			fake_machine_turn(&m);
	}
	/* It can still be brought to order. */
	virtio_pci_reset(&toy.vp);
	toy.starts = 0;
	go();
}

static void test_wrong_width(void **state)
{
	(void)state;
	mem_on();
	com_set(STATUS, 2, 3);
	com_set(STATUS, 4, 3);
	assert_int_equal(com(STATUS, 1), 0);
	com_set(Q_SEL, 1, 1);
	com_set(Q_SEL, 4, 1);
	assert_int_equal(com(Q_SEL, 2), 0);
	com_set(Q_DESC, 2, 0x1000);
	com_set(Q_DESC + 2, 4, 0x1000);
	com_set(Q_DESC + 4, 8, 0x1000);
	assert_true(com(Q_DESC, 8) == 0);
	assert_true(com(Q_AVAIL, 8) == 0);
	com_set(NUM_Q, 2, 16);
	com_set(GEN, 1, 16);
	com_set(Q_NOFF, 2, 16);
	assert_int_equal(com(NUM_Q, 2), QUEUES);
	assert_int_equal(com(Q_NOFF, 2), 0);
}

static void test_reset(void **state)
{
	uint64_t home = bar();

	(void)state;
	go();
	com_set(DF_SEL, 4, 1);
	com_set(Q_SEL, 2, 2);
	wr(cfg_at(0x10), 4, 0xd4440000);
	window(0, 4, 4);
	virtio_pci_reset(&toy.vp);
	assert_int_equal(toy.stops, 1);
	assert_int_equal(fake_kvm.n_doorbells, 0);
	assert_int_equal(bar(), home);
	assert_int_equal(cfg(find_cap(CAP_PCI) + 12, 4), 0);
	assert_int_equal(cfg(find_cap(CAP_COMMON) + 12, 4), 60);
	mem_on();
	assert_int_equal(com(STATUS, 1), 0);
	assert_int_equal(com(DF_SEL, 4), 0);
	assert_int_equal(com(Q_SEL, 2), 0);
	assert_int_equal(com(MSIX, 2), 0xffff);
	toy.starts = 0;
	go();
}

/* The driver waits for a status of 0 ([VIRTIO] 4.1.4.3.2). */
static void test_slow_reset(void **state)
{
	(void)state;
	go();
	com_set(Q_SEL, 2, 1);
	com_set(DF_SEL, 4, 1);
	toy.stop_result = -EINPROGRESS;
	com_set(STATUS, 1, 0);
	assert_int_equal(toy.stops, 1);
	assert_true(com(STATUS, 1) & DRIVER_OK);
	/* One that does not wait gets nowhere. */
	com_set(STATUS, 1, READY);
	com_set(GF, 4, 1u << 3);
	com_set(Q_SEL, 2, 0);
	com_set(Q_SIZE, 2, 2);
	com_set(Q_DESC, 8, 0x5000);
	assert_true(com(STATUS, 1) & DRIVER_OK);
	assert_int_equal(com(Q_DESC, 8), DESC);
	assert_int_equal(com(Q_SIZE, 2), 64);
	com_set(Q_SEL, 2, 2);
	virtio_reset_done(&toy.v);
	assert_int_equal(com(STATUS, 1), 0);
	assert_int_equal(com(DF_SEL, 4), 0);
	assert_int_equal(com(Q_SEL, 2), 0);
	assert_int_equal(com(MSIX, 2), 0xffff);
	assert_int_equal(com(Q_MSIX, 2), 0xffff);
	assert_int_equal(com(Q_ENABLE, 2), 0);
	toy.stop_result = 0;
	toy.starts = 0;
	go();
}

/* Unplugged before the model has stopped. */
static void test_remove_resetting(void **state)
{
	(void)state;
	go();
	toy.stop_result = -EINPROGRESS;
	virtio_pci_remove(&toy.vp, &root);
	assert_true(toy.v.resetting);
	virtio_reset_done(&toy.v);
	assert_int_equal(toy.v.status, 0);
	assert_int_equal(toy.stops, 1);
}

static void test_remove_live(void **state)
{
	(void)state;
	go();
	unplug();
	assert_int_equal(toy.stops, 1);
	assert_int_equal(fake_kvm.n_doorbells, 0);
	assert_int_equal(cfg(0, 4), 0xffffffff);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_identity),
		T(test_capabilities),
		T(test_features),
		T(test_queue_fields),
		T(test_no_such_queue),
		T(test_vectors),
		T(test_frozen_when_live),
		T(test_transfer),
		T(test_isr_without_msix),
		T(test_no_vector),
		T(test_device_config),
		T(test_doorbells),
		T(test_kick_any_length),
		T(test_kick_length_2),
		T(test_kick_without_kvm),
		T(test_window),
		T(test_window_abuse),
		T(test_any_read),
		T(test_any_write),
		T(test_wrong_width),
		T(test_reset),
		T(test_slow_reset),
		T(test_remove_resetting),
		T(test_remove_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
