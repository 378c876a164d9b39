/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A peer that sends any state of any device, and a guest that goes on with it.
 * What is taken must be a state that can be saved and taken again.
 *
 * Input: number of changes, then that many of place (2) and value (1) in a
 * state that is good, or (0xff) a whole state; then accesses of the guest: door
 * (1), place (2), value (4).
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/bytes.h"
#include "core/log.h"
#include "devices/acpi_regs.h"
#include "devices/blk.h"
#include "devices/blk_req.h"
#include "devices/console.h"
#include "devices/disk.h"
#include "devices/net_impl.h"
#include "devices/rng.h"
#include "devices/uart.h"
#include "devices/virtio_pci.h"
#include "tests/unit/fake_kvm.h"

#define RAM  MIB(1)
#define DEVS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct host {
	struct machine m;
	struct chardev cd;
	struct uart uart;
	struct acpi_regs acpi;
	struct pci_root root;
	struct rng rng;
	struct console con;
	struct net *net;
	int wire;
	struct disk disk;
	struct blk *blk;
	struct virtio_dev *dev[DEVS];
	struct virtio_pci vp[DEVS];
} h;

static uint8_t good[SNAP_MAX], state[SNAP_MAX], again[SNAP_MAX];
static size_t good_len;
static char path[] = "/tmp/csvvmm-move-fuzz-XXXXXX";

static void up_net(void)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
	struct net_link *l = calloc(1, sizeof(*l));
	int fd[2];

	assert(l);
	assert(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fd));
	net_tap_adopt(l, fd[0], 0);
	h.wire = fd[1];
	assert(!net_create_link(&h.m, l, "fuzz", mac, &h.net));
}

static void up(void)
{
	unsigned i;

	memset(&h, 0, sizeof(h));
	assert(!fake_machine_init(&h.m, RAM));
	assert(!acpi_regs_init(&h.acpi, &h.m));
	assert(!pci_root_init(&h.root, &h.m));
	assert(!chardev_init(&h.cd, &h.m, CHARDEV_NULL, NULL));
	assert(!uart_init(&h.uart, &h.m, &h.cd));
	assert(!disk_open(&h.disk, path, false, false));
	assert(!blk_create_engine(&h.m, &h.disk, 2, "d", &blk_engine_sync,
				  &h.blk));
	up_net();
	assert(!console_init(&h.con, &h.m, &h.cd));
	assert(!rng_init(&h.rng, &h.m));
	h.dev[0] = blk_virtio(h.blk);
	h.dev[1] = net_virtio(h.net);
	h.dev[2] = &h.con.virtio;
	h.dev[3] = &h.rng.virtio;
	for (i = 0; i < DEVS; i++)
		assert(!virtio_pci_add(&h.vp[i], &h.root, h.dev[i]));
}

static void down(void)
{
	unsigned i;

	for (i = DEVS; i-- > 0;)
		virtio_pci_remove(&h.vp[i], &h.root);
	rng_fini(&h.rng);
	console_fini(&h.con);
	net_destroy(h.net);
	blk_destroy(h.blk);
	disk_close(&h.disk);
	(void)close(h.wire);
	uart_fini(&h.uart);
	chardev_fini(&h.cd);
	pci_root_fini(&h.root);
	assert(h.m.snap.n == 1 && !fake_kvm.n_bad && !fake_kvm.n_doorbells);
	fake_machine_fini(&h.m);
}

static void forget_disk(void)
{
	(void)unlink(path);
}

/* All devices run, each with its rings. */
static void make_good(void)
{
	struct snap_error err;
	unsigned i, q;
	int fd = mkstemp(path);

	assert(fd >= 0 && !ftruncate(fd, MIB(1)));
	(void)close(fd);
	(void)atexit(forget_disk);
	log_set_level(LOG_ERROR);
	up();
	for (i = 0; i < DEVS; i++) {
		virtio_set_status(h.dev[i], 3);
		h.dev[i]->acked = h.dev[i]->features;
		virtio_set_status(h.dev[i], 11);
		for (q = 0; q < h.dev[i]->n_queues; q++) {
			struct virtq *vq = &h.dev[i]->queue[q].vq;

			vq->size = 16;
			vq->desc = 0x1000 + 0x4000u * i + 0x2000u * q;
			vq->avail = vq->desc + 0x400;
			vq->used = vq->desc + 0x800;
			h.dev[i]->queue[q].enabled = true;
		}
		virtio_set_status(h.dev[i], 15);
		pci_cfg_write(&h.vp[i].pci, 4, 2, 6);
	}
	assert(!snap_freeze_all(&h.m.snap, &err));
	assert(!snap_save_all(&h.m.snap, good, sizeof(good), &good_len, &err));
	down();
}

static void guest(uint8_t door, uint16_t at, uint32_t val)
{
	uint64_t v;

	switch (door % 6) {
	case 0:
		(void)bus_write(&h.m.mmio, PCI_ECAM_BASE + (at * 4u) % MIB(1),
				4, val);
		break;
	case 1:
		(void)fake_guest_write(&h.m, PCI_MMIO_BASE + at * 4ULL, 4, val);
		break;
	case 2:
		(void)bus_read(&h.m.mmio, PCI_MMIO_BASE + at * 4ULL, 4, &v);
		break;
	case 3:
		(void)bus_write(&h.m.pio, 0x3f8 + at % 8, 1, val & 0xff);
		(void)bus_read(&h.m.pio, 0x3f8 + at % 8, 1, &v);
		break;
	case 4:
		(void)gmem_write(&h.m.gmem, 0x1000 + at % 0x10000, &val, 4);
		break;
	case 5:
		virtio_kick(h.dev[at % DEVS], at / DEVS % 2);
		(void)send(h.wire, state, 12 + at % 3000,
			   MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	}
}

static void check_again(void)
{
	struct snap_error err;
	size_t len;

	fake_machine_turn(&h.m);
	assert(!snap_freeze_all(&h.m.snap, &err));
	assert(!snap_save_all(&h.m.snap, again, sizeof(again), &len, &err));
	down();
	up();
	if (snap_load_all(&h.m.snap, again, len, &err)) {
		(void)fprintf(stderr, "%s\n", err.text);
		abort();
	}
	snap_thaw_all(&h.m.snap);
	fake_machine_turn(&h.m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snap_error err;
	size_t len, i;
	int r;

	if (!good_len)
		make_good();
	if (!size)
		return 0;
	memcpy(state, good, good_len);
	len = good_len;
	if (data[0] == 0xff) {
		len = MIN(size - 1, sizeof(state));
		memcpy(state, data + 1, len);
		data += 1 + len;
		size -= 1 + len;
	} else {
		uint8_t n = data[0];

		for (data++, size--; n && size >= 3; n--, data += 3, size -= 3)
			state[get_le16(data) % good_len] = data[2];
	}
	up();
	r = snap_load_all(&h.m.snap, state, len, &err);
	assert(!r == !err.text[0]);
	if (!r) {
		snap_thaw_all(&h.m.snap);
		fake_machine_turn(&h.m);
		for (i = 0; i + 7 <= size && i < 7 * 64; i += 7) {
			guest(data[i], get_le16(data + i + 1),
			      get_le32(data + i + 3));
			fake_machine_turn(&h.m);
		}
		check_again();
	}
	down();
	return 0;
}
