/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/random.h>

#include "core/util.h"

/*
 * #syscalls getrandom
 *
 * A kick is answered with at most RNG_BUDGET chains of RNG_CHAIN bytes, so
 * that a guest that asks for gigabytes does not hold vm.lock. Less than was
 * asked for is allowed ([VIRTIO] 5.4.6).
 */
#define RNG_PIECE  256u
#define RNG_CHAIN  4096u
#define RNG_BUDGET 16

/* Up to 256 bytes come whole and without a signal in between: random(4). */
static int rng_fill(struct virtq *vq, struct chain *c)
{
	uint8_t piece[RNG_PIECE];
	int r = 1;

	while (r > 0 && c->written < RNG_CHAIN) {
		ssize_t got = getrandom(piece, sizeof(piece), 0);

		if (got < 0)
			r = errno == EINTR ? 1 : -errno;
		else
			r = chain_write(vq, c, piece, (uint32_t)got);
	}
	/* What went to the guest may have become its keys. */
	explicit_bzero(piece, sizeof(piece));
	return r < 0 ? r : 0;
}

static void rng_kick(struct virtio_dev *dev, unsigned q)
{
	struct virtq *vq = &dev->queue[q].vq;
	struct chain c;
	unsigned turn;

	for (turn = 0; turn < RNG_BUDGET; turn++) {
		if (!virtio_pop(dev, q, &c)) {
			if (!virtq_arm(vq))
				break;
			continue;
		}
		/* [VIRTIO] 5.4.6.1, and a buffer of nothing is no request. */
		if (c.n_out || !c.in_left) {
			virtio_needs_reset(dev, "not a buffer to write to");
			break;
		}
		if (rng_fill(vq, &c) < 0) {
			virtio_needs_reset(dev, "no random numbers");
			break;
		}
		virtio_push(dev, q, c.head, c.written);
	}
	virtio_notify(dev, q);
	if (turn == RNG_BUDGET)
		virtio_kick(dev, q);
}

static int rng_start(struct virtio_dev *dev)
{
	(void)dev;
	return 0;
}

static int rng_stop(struct virtio_dev *dev)
{
	(void)dev;
	return 0;
}

static const struct virtio_model rng_model = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.pci_class = 0xff0000, /* unassigned */
	.start = rng_start,
	.stop = rng_stop,
	.kick = rng_kick,
};

int rng_init(struct rng *r, struct machine *m)
{
	*r = (struct rng){
		.virtio = {
			.model = &rng_model,
			.n_queues = 1,
		},
	};
	r->virtio.queue[0].size_max = 64;
	return virtio_init(&r->virtio, m);
}

void rng_fini(struct rng *r)
{
	virtio_fini(&r->virtio);
}
