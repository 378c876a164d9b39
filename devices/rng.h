/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_RNG_H
#define CSVVMM_DEVICES_RNG_H

#include "devices/virtio.h"

/* virtio-rng ([VIRTIO] 5.4) fed by getrandom(2). */
struct rng {
	struct virtio_dev virtio;
};

int rng_init(struct rng *r, struct machine *m);
void rng_fini(struct rng *r);

#endif
