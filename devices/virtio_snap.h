/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_VIRTIO_SNAP_H
#define CSVVMM_DEVICES_VIRTIO_SNAP_H

#include "core/snap.h"
#include "devices/virtio.h"

/* Between virtio.c and virtio_snap.c only. */

/* The common part of a device, under the name of its model. */
extern const struct snap_item virtio_snap_item;

/* Would FEATURES_OK be taken, as @acked is? */
bool virtio_features_ok(const struct virtio_dev *dev);

/* Start queues and model; DRIVER_OK is set. The device needs a reset when
 * something fails. @start_queue: virtq_start() or virtq_resume() */
void virtio_start(struct virtio_dev *dev, int (*start_queue)(struct virtq *q));

#endif
