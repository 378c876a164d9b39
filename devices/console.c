/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/console.h"

#include "core/bytes.h"
#include "core/machine.h"
#include "core/snap.h"
#include "core/util.h"

#define CONSOLE_ID	3	 /* [VIRTIO] 5.3.1 */
#define CONSOLE_CLASS	0x078000 /* communication controller, other */
#define CONSOLE_F_SIZE	0
#define CONSOLE_CFG_LEN 12 /* cols, rows, max_nr_ports, emerg_wr */

enum { CONSOLE_RX, CONSOLE_TX, CONSOLE_QUEUES };

/* What one kick may cost before others have their turn. */
#define CONSOLE_BYTES  4096u
#define CONSOLE_CHAINS VIRTQ_SIZE_MAX
#define CONSOLE_PIECE  512

static struct console *console_of(struct virtio_dev *dev)
{
	return container_of(dev, struct console, virtio);
}

/* Between DRIVER_OK and reset, and the driver has not broken a rule. */
static bool console_live(const struct console *c, unsigned q)
{
	const struct virtio_queue *vq = &c->virtio.queue[q];

	return c->virtio.started && vq->enabled && !vq->vq.broken;
}

/* Return: 0, or -errno with the device waiting for its reset */
static int rx_fill_chain(struct console *c, struct chain *ch)
{
	struct virtq *vq = &c->virtio.queue[CONSOLE_RX].vq;
	uint8_t buf[CONSOLE_PIECE];
	size_t n;
	int r;

	while (ch->in_left) {
		n = chardev_read(c->cd, &c->port, buf,
				 MIN(sizeof(buf), ch->in_left));
		if (!n)
			break;
		r = chain_write(vq, ch, buf, (uint32_t)n);
		if (r < 0) {
			virtio_needs_reset(&c->virtio, "receive buffer");
			return r;
		}
	}
	virtio_push(&c->virtio, CONSOLE_RX, ch->head, ch->written);
	return 0;
}

/*
 * Bytes to the driver as long as there are both, bytes and buffers. A chain
 * without writable bytes goes back empty ([VIRTIO] 5.3.6.1 wants one).
 */
static void console_rx(struct console *c)
{
	struct virtio_dev *dev = &c->virtio;
	struct chain ch;
	bool pushed = false;
	unsigned n = 0;

	while (console_live(c, CONSOLE_RX) && chardev_pending(c->cd, &c->port)) {
		if (n++ == CONSOLE_CHAINS) {
			virtio_kick(dev, CONSOLE_RX);
			break;
		}
		if (virtio_pop(dev, CONSOLE_RX, &ch)) {
			if (rx_fill_chain(c, &ch) < 0)
				return;
			pushed = true;
		} else if (!virtq_arm(&dev->queue[CONSOLE_RX].vq)) {
			break;
		}
	}
	if (pushed)
		virtio_notify(dev, CONSOLE_RX);
}

static void console_input_ready(struct chardev_port *port)
{
	console_rx(container_of(port, struct console, port));
}

/* A piece of c->tx. Return: bytes, 0 at its end, or -errno */
static int tx_piece(struct console *c)
{
	uint8_t buf[CONSOLE_PIECE];
	int n;

	n = chain_read(&c->virtio.queue[CONSOLE_TX].vq, &c->tx, buf, sizeof(buf));
	if (n > 0) {
		c->tx_done += (uint32_t)n;
		chardev_write(c->cd, &c->port, buf, (size_t)n);
	}
	return n;
}

/* Return: false when there is nothing more to do in this turn */
static bool tx_next(struct console *c, unsigned *chains)
{
	struct virtio_dev *dev = &c->virtio;

	while (!c->tx_busy) {
		if ((*chains)++ == CONSOLE_CHAINS) {
			virtio_kick(dev, CONSOLE_TX);
			return false;
		}
		c->tx_busy = virtio_pop(dev, CONSOLE_TX, &c->tx);
		if (!c->tx_busy && !virtq_arm(&dev->queue[CONSOLE_TX].vq))
			return false;
	}
	if (c->tx_skip) {
		chain_skip_out(&c->tx, c->tx_skip);
		c->tx_skip = 0;
	}
	return true;
}

/*
 * One chain may describe gigabytes (the same page many times over), so it is
 * kept across turns.
 */
static void console_tx(struct console *c)
{
	struct virtio_dev *dev = &c->virtio;
	unsigned chains = 0, bytes = 0;
	bool pushed = false;
	int n;

	while (console_live(c, CONSOLE_TX) && tx_next(c, &chains)) {
		n = tx_piece(c);
		if (n < 0) {
			virtio_needs_reset(dev, "transmit buffer");
			return;
		}
		bytes += (unsigned)n;
		if (n == 0 || !c->tx.out_left) {
			c->tx_busy = false;
			virtio_push(dev, CONSOLE_TX, c->tx.head, 0);
			pushed = true;
		}
		if (bytes >= CONSOLE_BYTES) {
			virtio_kick(dev, CONSOLE_TX);
			break;
		}
	}
	if (pushed)
		virtio_notify(dev, CONSOLE_TX);
}

static int console_start(struct virtio_dev *dev)
{
	struct console *c = console_of(dev);

	c->tx_busy = false;
	if (!dev->loaded)
		c->tx_skip = 0;
	/* Buffers may be there already, and kicked before DRIVER_OK. */
	virtio_kick(dev, CONSOLE_RX);
	virtio_kick(dev, CONSOLE_TX);
	return 0;
}

static int console_stop(struct virtio_dev *dev)
{
	console_of(dev)->tx_busy = false;
	return 0;
}

/* Put the chain back and remember how far it was written. */
static int console_freeze(struct virtio_dev *dev)
{
	struct console *c = console_of(dev);

	if (c->tx_busy) {
		virtq_unpop(&dev->queue[CONSOLE_TX].vq);
		c->tx_skip = c->tx_done;
	}
	c->tx_busy = false;
	return 0;
}

static void console_kick(struct virtio_dev *dev, unsigned q)
{
	if (q == CONSOLE_RX)
		console_rx(console_of(dev));
	else
		console_tx(console_of(dev));
}

static const struct virtio_model console_model = {
	.name = "console",
	.id = CONSOLE_ID,
	.pci_class = CONSOLE_CLASS,
	.soft_features = BIT(CONSOLE_F_SIZE),
	.start = console_start,
	.stop = console_stop,
	.kick = console_kick,
	.freeze = console_freeze,
};

static int tx_save(const void *obj, struct snap_w *w)
{
	const struct console *c = obj;

	snap_put32(w, c->tx_skip);
	return 0;
}

/* Any number will do: more than the chain has is the chain's end. */
static int tx_load(void *obj, struct snap_r *r, uint32_t version)
{
	struct console *c = obj;

	(void)version;
	c->tx_skip = snap_get32(r, "bytes written");
	return r->error;
}

static const struct snap_item tx_snap_item = {
	.name = "console-tx",
	.version = 1,
	.save = tx_save,
	.load = tx_load,
};

/* The size is that of the start; nobody tells us when it changes. */
static void console_set_size(struct console *c)
{
	uint16_t cols, rows;

	if (!chardev_winsize(c->cd, &cols, &rows))
		return;
	put_le16(c->virtio.config, cols);
	put_le16(c->virtio.config + 2, rows);
	c->virtio.features |= BIT(CONSOLE_F_SIZE);
}

int console_init(struct console *c, struct machine *m, struct chardev *cd)
{
	unsigned i;
	int r;

	*c = (struct console){
		.virtio = { .model = &console_model,
			    .n_queues = CONSOLE_QUEUES,
			    .config_len = CONSOLE_CFG_LEN },
		.port = { .input_ready = console_input_ready },
		.cd = cd,
	};
	for (i = 0; i < CONSOLE_QUEUES; i++)
		c->virtio.queue[i].size_max = VIRTQ_SIZE_MAX;
	console_set_size(c);
	r = virtio_init(&c->virtio, m);
	if (r < 0)
		return r;
	r = snap_add(&m->snap, &tx_snap_item, NULL, c);
	if (r < 0) {
		virtio_fini(&c->virtio);
		return r;
	}
	chardev_attach(cd, &c->port);
	return 0;
}

void console_fini(struct console *c)
{
	if (c->cd && c->virtio.m) {
		snap_remove(&c->virtio.m->snap, &tx_snap_item, c);
		virtio_fini(&c->virtio);
	}
	c->cd = NULL;
}
