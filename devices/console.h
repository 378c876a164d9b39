/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_CONSOLE_H
#define CSVVMM_DEVICES_CONSOLE_H

#include <stdbool.h>

#include "devices/chardev.h"
#include "devices/virtio.h"

/**
 * struct console - virtio-console ([VIRTIO] 5.3), one port, no multiport
 * @tx:		Chain that is being written, when @tx_busy; @tx_done: bytes of
 *		it that are
 * @tx_skip:	Bytes of the next chain that were written before the device was
 *		frozen
 */
struct console {
	struct virtio_dev virtio;
	struct chardev_port port;
	struct chardev *cd;
	struct chain tx;
	bool tx_busy;
	uint32_t tx_done, tx_skip;
};

/* Takes a place at @cd. Return: 0 or -errno */
int console_init(struct console *c, struct machine *m, struct chardev *cd);
/* Before chardev_fini(). All-zero is fine. */
void console_fini(struct console *c);

#endif
