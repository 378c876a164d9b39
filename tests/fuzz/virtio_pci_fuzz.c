/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that pokes at a virtio-pci device in any order: configuration space
 * through both doors, BAR 0 wherever it is decoded, rings in memory.
 *
 * Input: records of op, length, place (2) and value (4).
 */
#include <assert.h>

#include "core/bytes.h"
#include "devices/virtio_pci.h"
#include "tests/unit/fake_kvm.h"

#define RAM    MIB(1)
#define QUEUES 2
#define SLOT   1u

enum op {
	OP_ECAM_READ,
	OP_ECAM_WRITE,
	OP_BAR_READ,
	OP_BAR_WRITE,
	OP_COMMON_WRITE,
	OP_PORT_READ,
	OP_PORT_WRITE,
	OP_MEMORY,
	OP_KICK,
	OP_IRQ,
	OP_CONFIG,
	OP_FAULTS,
	OP_BRING_UP,
	OPS
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct machine m;
static struct pci_root root;
static struct virtio_pci vp;
static struct virtio_dev dev;
static struct chain c;
static bool running, slow;

static int fuzz_start(struct virtio_dev *d)
{
	(void)d;
	assert(!running);
	running = true;
	return 0;
}

static int fuzz_stop(struct virtio_dev *d)
{
	(void)d;
	assert(running);
	running = false;
	return slow ? -EINPROGRESS : 0;
}

static void fuzz_kick(struct virtio_dev *d, unsigned q)
{
	uint8_t buf[256];
	unsigned n;

	assert(running && q < QUEUES);
	for (n = 0; n < 16 && virtio_pop(d, q, &c); n++) {
		int r = chain_read(&d->queue[q].vq, &c, buf, sizeof(buf));

		assert(r >= 0);
		r = chain_write(&d->queue[q].vq, &c, buf, (uint32_t)r);
		assert(r >= 0);
		virtio_push(d, q, c.head, c.written);
	}
	virtio_notify(d, q);
}

static void fuzz_config_write(struct virtio_dev *d, uint32_t off, uint32_t len)
{
	assert(len && off + len <= d->config_len);
}

static const struct virtio_model fuzz_model = {
	.name = "fuzz",
	.id = 1,
	.pci_class = 0x020000,
	.start = fuzz_start,
	.stop = fuzz_stop,
	.kick = fuzz_kick,
	.config_write = fuzz_config_write,
};

static void plug(void)
{
	unsigned i;

	assert(fake_machine_init(&m, RAM) == 0);
	assert(pci_root_init(&root, &m) == 0);
	dev = (struct virtio_dev){ .model = &fuzz_model,
				   .n_queues = QUEUES,
				   .config_len = 12 };
	for (i = 0; i < QUEUES; i++)
		dev.queue[i].size_max = 16;
	assert(virtio_init(&dev, &m) == 0);
	assert(virtio_pci_add(&vp, &root, &dev) == 0);
}

static void check_state(void)
{
	unsigned i;

	assert(running == dev.started);
	assert(!running || (dev.status & 4));
	assert(!(dev.status & 4) || (dev.status & 8));
	assert(dev.status || !dev.acked || !running);
	assert(fake_kvm.n_bad == 0 && fake_kvm.n_doorbells <= QUEUES);
	assert(vp.pci.bar_base || fake_kvm.n_doorbells == 0);
	/* Host bridge's window, ports, and one BAR. */
	assert(m.mmio.n == 1 + (vp.pci.bar_base != 0) && m.pio.n == 1);
	for (i = 0; i < QUEUES; i++) {
		const struct virtio_queue *q = &dev.queue[i];

		assert(is_pow2(q->vq.size) && q->vq.size <= 16);
		assert(q->vector == VIRTIO_NO_VECTOR || q->vector <= QUEUES);
	}
}

/* What a decent driver does in fifty steps, so that rings come alive. */
static void bring_up(void)
{
	uint64_t base;
	unsigned q;

	pci_cfg_write(&vp.pci, 4, 2, 6);
	pci_cfg_write(&vp.pci, vp.pci.msix_cap + 2u, 2, 0x8000);
	base = vp.pci.bar_base;
	(void)bus_write(&m.mmio, base + 20, 1, 0);
	(void)bus_write(&m.mmio, base + 8, 4, 0);
	(void)bus_write(&m.mmio, base + 12, 4, 3u << 28);
	(void)bus_write(&m.mmio, base + 8, 4, 1);
	(void)bus_write(&m.mmio, base + 12, 4, 1);
	(void)bus_write(&m.mmio, base + 20, 1, 11);
	for (q = 0; q < QUEUES; q++) {
		(void)bus_write(&m.mmio, base + 22, 2, q);
		(void)bus_write(&m.mmio, base + 32, 8, 0x100 + 0x400 * q);
		(void)bus_write(&m.mmio, base + 40, 8, 0x200 + 0x400 * q);
		(void)bus_write(&m.mmio, base + 48, 8, 0x300 + 0x400 * q);
		(void)bus_write(&m.mmio, base + 26, 2, q);
		(void)bus_write(&m.mmio, base + 28, 2, 1);
	}
	(void)bus_write(&m.mmio, base + 20, 1, 15);
}

static void do_op(enum op op, unsigned len, uint32_t at, uint64_t val)
{
	uint64_t ecam = PCI_ECAM_BASE + (SLOT << 15);
	uint64_t bar = vp.pci.bar_base;
	uint8_t raw[8];
	uint64_t got;

	switch (op) {
	case OP_ECAM_READ:
		(void)bus_read(&m.mmio, ecam + at % 0x1001, len, &got);
		break;
	case OP_ECAM_WRITE:
		(void)bus_write(&m.mmio, ecam + at % 0x104, len, val);
		break;
	case OP_BAR_READ:
		(void)bus_read(&m.mmio, bar + at % 0x8001, len, &got);
		break;
	case OP_BAR_WRITE:
		(void)bus_write(&m.mmio, bar + at % 0x8001, len, val);
		break;
	case OP_COMMON_WRITE:
		(void)bus_write(&m.mmio, bar + at % 64, len, val);
		break;
	case OP_PORT_READ:
		(void)bus_read(&m.pio, 0xcf8 + at % 8, len, &got);
		break;
	case OP_PORT_WRITE:
		(void)bus_write(&m.pio, 0xcf8 + at % 8, len, val);
		break;
	case OP_MEMORY:
		put_le64(raw, val);
		(void)gmem_write(&m.gmem, at % 0x1000, raw, len);
		break;
	case OP_KICK:
		virtio_kick(&dev, at % QUEUES);
		dev.queue[at % QUEUES].kick.fn(&dev.queue[at % QUEUES].kick,
					       EPOLLIN);
		break;
	case OP_IRQ:
		dev.transport->queue_irq(&dev, at % QUEUES);
		break;
	case OP_CONFIG:
		virtio_config_changed(&dev);
		break;
	case OP_FAULTS:
		fake_kvm.fail_routing = val & 1;
		fake_kvm.fail_any_len = val & 2;
		fake_kvm.fail_doorbell = val & 4;
		slow = val & 8;
		if (dev.resetting && (val & 16))
			virtio_reset_done(&dev);
		break;
	case OP_BRING_UP:
		bring_up();
		break;
	case OPS:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!vp.dev)
		plug();
	for (; size >= 8; data += 8, size -= 8) {
		do_op((enum op)(data[0] % OPS), 1u << (data[1] & 3),
		      get_le16(data + 2),
		      get_le32(data + 4) | (uint64_t)get_le32(data + 4) << 32);
		check_state();
	}
	fake_kvm.fail_routing = false;
	fake_kvm.fail_any_len = false;
	fake_kvm.fail_doorbell = false;
	slow = false;
	virtio_pci_reset(&vp);
	if (dev.resetting)
		virtio_reset_done(&dev);
	check_state();
	assert(!running && !vp.pci.bar_base && !dev.status);
	root.conf1 = 0;
	m.end = END_NONE;
	assert(gmem_fill(&m.gmem, 0, 0, 0x10000) == 0);
	return 0;
}
