/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_BLK_H
#define CSVVMM_DEVICES_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio.h"

struct blk;
struct disk;

/**
 * blk_create() - virtio-blk ([VIRTIO] 5.2) over a disk
 * @disk:	disk_open() done; owned by the caller
 * @n_queues:	1 to VIRTIO_QUEUES_MAX
 * @id:		Serial shown to the guest, at most 20 bytes; also names the
 *		disk in messages
 *
 * Nothing is opened later: io_uring is set up here, or, where the host does
 * not allow it, plain system calls will be used.
 *
 * Return: 0 with *ret_blk, or -errno
 */
int blk_create(struct machine *m, struct disk *disk, unsigned n_queues,
	       const char *id, struct blk **ret_blk);

/*
 * Waits for what the host has not finished, 5 seconds at most: a disk that
 * hangs must not keep the VMM. Then its memory stays, as the kernel may come
 * back to it until the process ends.
 */
void blk_destroy(struct blk *b);
struct virtio_dev *blk_virtio(struct blk *b);

/* "io_uring" or "sync". */
const char *blk_engine_name(const struct blk *b);

/**
 * blk_quiesce() - Finish every request taken so far and take no more
 *
 * On success no request exists outside the rings: a saved ring is the whole
 * state. Waits for the host's storage, 5 seconds at most. blk_resume() goes on,
 * without losing a kick. Both with vm.lock held; neither nests. So does the
 * freeze of core/snap.h; its hold() is the disk's lock.
 *
 * Return: 0; -ETIMEDOUT when the host does not finish, and all goes on
 */
int blk_quiesce(struct blk *b);
void blk_resume(struct blk *b);

#endif
