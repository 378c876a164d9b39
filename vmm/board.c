/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole machine: which devices there are, in which order and where. The
 * only file that names concrete devices.
 */
#include "vmm/board.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/util.h"
#include "devices/acpi_regs.h"
#include "devices/blk.h"
#include "devices/chardev.h"
#include "devices/console.h"
#include "devices/disk.h"
#include "devices/net.h"
#include "devices/rng.h"
#include "devices/uart.h"
#include "devices/virtio_pci.h"
#include "vmm/vm.h"

#define BOARD_VIRTIO_MAX (CONFIG_DISKS_MAX + CONFIG_NETS_MAX + 2)

struct board {
	struct machine *m;
	struct chardev chardev;
	struct uart uart;
	struct acpi_regs acpi;
	struct pci_root root;
	struct console console;
	struct rng rng;
	struct disk disk[CONFIG_DISKS_MAX];
	struct blk *blk[CONFIG_DISKS_MAX];
	struct net *net[CONFIG_NETS_MAX];
	struct virtio_pci *slot[BOARD_VIRTIO_MAX];
	unsigned n_disks, n_blks, n_nets, n_slots;
	bool have_chardev, have_root, have_console, have_rng;
	bool encrypted;
};

/* Put a virtio device on the PCI bus, in the order of the calls. */
static int board_plug(struct board *b, struct virtio_dev *dev)
{
	struct virtio_pci *vp = calloc(1, sizeof(*vp));
	int r;

	if (!vp)
		return -ENOMEM;
	/* Without it the driver would hand out addresses of encrypted pages. */
	dev->must_access_platform = b->encrypted;
	r = virtio_pci_add(vp, &b->root, dev);
	if (r < 0) {
		free(vp);
		return log_errno(r, "virtio-%s on PCI", dev->model->name);
	}
	b->slot[b->n_slots++] = vp;
	return 0;
}

static int board_add_console(struct board *b, const struct config *cfg)
{
	static const enum chardev_kind kind[] = {
		[CONSOLE_STDIO] = CHARDEV_STDIO,
		[CONSOLE_FILE] = CHARDEV_FILE,
		[CONSOLE_SOCKET] = CHARDEV_SOCKET,
		[CONSOLE_NONE] = CHARDEV_NULL,
	};
	int r;

	r = chardev_init(&b->chardev, b->m, kind[cfg->console],
			 cfg->console_path);
	if (r < 0)
		return log_errno(r, "console %s",
				 cfg->console_path ? cfg->console_path
						   : "on standard input");
	b->have_chardev = true;
	r = uart_init(&b->uart, b->m, &b->chardev);
	return r < 0 ? log_errno(r, "serial port") : 0;
}

static int board_add_disk(struct board *b, const struct config_disk *cd)
{
	struct disk *d = &b->disk[b->n_disks];
	int r;

	if (b->m->incoming)
		r = disk_open_unlocked(d, cd->path, cd->readonly, cd->direct);
	else
		r = disk_open(d, cd->path, cd->readonly, cd->direct);
	if (r == -EBUSY) {
		log_err("disk %s: in use: another process holds its lock",
			cd->path);
		return r;
	}
	if (r == -ENODATA) {
		log_err("disk %s: smaller than one sector (512 bytes)", cd->path);
		return r;
	}
	if (r == -EINVAL && cd->direct) {
		log_err("disk %s: neither a file nor a block device, or its file system has no O_DIRECT (cache = \"host\" does without)",
			cd->path);
		return r;
	}
	if (r < 0)
		return log_errno(r, "disk %s", cd->path);
	b->n_disks++;
	r = blk_create(b->m, d, cd->queues, cd->id, &b->blk[b->n_blks]);
	if (r < 0)
		return log_errno(r, "disk %s", cd->path);
	b->n_blks++;
	return board_plug(b, blk_virtio(b->blk[b->n_blks - 1]));
}

static int board_add_net(struct board *b, const struct config_net *cn)
{
	const char *where = cn->tap ? cn->tap : cn->passt;
	int r;

	if (cn->tap && !if_nametoindex(cn->tap))
		log_warn("net.tap \"%s\" did not exist: made for this run, connected to nothing",
			 cn->tap);
	r = net_create(b->m, cn->tap ? NET_TAP : NET_PASST, where, cn->mac,
		       &b->net[b->n_nets]);
	if (r == -EPERM || r == -EACCES)
		return log_errno(
			r,
			"net %s (a tap needs CAP_NET_ADMIN, or one made for this user with 'ip tuntap add'; passt needs neither)",
			where);
	if (r < 0)
		return log_errno(r, "net %s", where);
	b->n_nets++;
	return board_plug(b, net_virtio(b->net[b->n_nets - 1]));
}

static int board_add_virtio(struct board *b, const struct config *cfg)
{
	unsigned i;
	int r = 0;

	for (i = 0; !r && i < cfg->n_disks; i++)
		r = board_add_disk(b, &cfg->disk[i]);
	for (i = 0; !r && i < cfg->n_nets; i++)
		r = board_add_net(b, &cfg->net[i]);
	if (r)
		return r;
	r = console_init(&b->console, b->m, &b->chardev);
	if (r < 0)
		return log_errno(r, "virtio-console");
	b->have_console = true;
	r = board_plug(b, &b->console.virtio);
	if (r || !cfg->rng)
		return r;
	r = rng_init(&b->rng, b->m);
	if (r < 0)
		return log_errno(r, "virtio-rng");
	b->have_rng = true;
	return board_plug(b, &b->rng.virtio);
}

int board_create(struct machine *m, const struct config *cfg,
		 struct board **ret_board)
{
	struct board *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return log_errno(-ENOMEM, "board");
	b->m = m;
	b->encrypted = cfg->csv.type != CONFIG_CSV_NONE;
	*ret_board = b; /* board_destroy() takes a half-built one */
	r = acpi_regs_init(&b->acpi, m);
	if (r < 0)
		return log_errno(r, "ACPI registers");
	r = pci_root_init(&b->root, m);
	if (r < 0)
		return log_errno(r, "PCI root");
	b->have_root = true;
	r = board_add_console(b, cfg);
	if (!r)
		r = board_add_virtio(b, cfg);
	return r;
}

void board_destroy(struct board *b)
{
	unsigned i;

	if (!b)
		return;
	for (i = b->n_slots; i > 0; i--) {
		virtio_pci_remove(b->slot[i - 1], &b->root);
		free(b->slot[i - 1]);
	}
	if (b->have_rng)
		rng_fini(&b->rng);
	if (b->have_console)
		console_fini(&b->console);
	for (i = 0; i < b->n_nets; i++)
		net_destroy(b->net[i]);
	for (i = 0; i < b->n_blks; i++)
		blk_destroy(b->blk[i]);
	for (i = 0; i < b->n_disks; i++)
		disk_close(&b->disk[i]);
	if (b->have_chardev) {
		uart_fini(&b->uart);
		chardev_fini(&b->chardev);
	}
	if (b->have_root)
		pci_root_fini(&b->root);
	free(b);
}

int board_reset(struct board *b)
{
	unsigned i, busy = 0;

	for (i = 0; i < b->n_slots; i++) {
		virtio_pci_reset(b->slot[i]);
		busy += b->slot[i]->dev->resetting;
	}
	if (busy)
		return -EINPROGRESS;
	uart_reset(&b->uart);
	acpi_regs_reset(&b->acpi);
	pci_root_reset(&b->root);
	return 0;
}

void board_power_button(struct board *b)
{
	acpi_power_button(&b->acpi);
}

int board_console_folder(const struct board *b)
{
	return b->chardev.sock_dir;
}
