/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_VIRTIO_H
#define CSVVMM_DEVICES_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "core/irq.h"
#include "core/loop.h"
#include "devices/virtq.h"

struct machine;
struct virtio_dev;

#define VIRTIO_QUEUES_MAX 16
#define VIRTIO_CONFIG_MAX 256

/* Bytes of the device configuration that two hosts must agree on. */
struct virtio_config_field {
	uint16_t off, len;
	const char *name;
};

/**
 * struct virtio_model - One kind of device; const, data first
 * @name:	For messages
 * @id:		[VIRTIO] 5
 * @pci_class:	24-bit PCI class code
 * @same:	What the driver relies on when it is moved to another host; ends
 *		with a length of 0. NULL: nothing. The rest may differ, and the
 *		driver is told
 * @same_features: Offered on both hosts, or on none
 * @soft_features: May be offered although this host has nothing for it
 * @start:	DRIVER_OK was set; queues are ready. < 0: needs reset
 * @stop:	Forget all requests and never wait for the host. Return: 0 when
 *		nothing touches guest memory any more, or -EINPROGRESS when
 *		virtio_reset_done() will say so. Only after a successful start
 * @kick:	The driver made buffers available in queue @q (loop thread);
 *		only while started, for queues that the driver enabled
 * @config_write: The driver wrote dev->config[off .. off + len), inside
 *		config_len; NULL = read-only
 * @freeze:	The device is @frozen: put back or finish what was taken from
 *		the queues, and leave guest memory alone. NULL: nothing is ever
 *		held. Return: 0 or -errno
 * @thaw:	After freeze, not after load. Kicks follow. NULL: nothing to do
 *
 * All called with vm.lock held.
 */
struct virtio_model {
	const char *name;
	uint16_t id;
	uint32_t pci_class;
	const struct virtio_config_field *same;
	uint64_t same_features, soft_features;
	int (*start)(struct virtio_dev *dev);
	int (*stop)(struct virtio_dev *dev);
	void (*kick)(struct virtio_dev *dev, unsigned q);
	void (*config_write)(struct virtio_dev *dev, uint32_t off, uint32_t len);
	int (*freeze)(struct virtio_dev *dev);
	void (*thaw)(struct virtio_dev *dev);
};

/* One queue with its doorbell and interrupt. */
struct virtio_queue {
	struct virtq vq;
	uint16_t size_max;
	bool enabled;
	struct source kick; /* eventfd; ioeventfd writes it */
	struct virtio_dev *dev;
	uint16_t vector; /* MSI-X vector or VIRTIO_NO_VECTOR */
};

#define VIRTIO_NO_VECTOR 0xffff

/**
 * struct virtio_transport - What the device tells its transport
 * @queue_irq:	Interrupt the driver for a queue
 * @config_irq:	The configuration or DEVICE_NEEDS_RESET changed
 * @reset:	The device was reset: its registers, too ([VIRTIO] 2.4).
 *		NULL = it has none
 */
struct virtio_transport {
	void (*queue_irq)(struct virtio_dev *dev, unsigned q);
	void (*config_irq)(struct virtio_dev *dev);
	void (*reset)(struct virtio_dev *dev);
};

/**
 * struct virtio_dev - First member of each device's struct
 * @features:	Offered; the core adds VERSION_1, ACCESS_PLATFORM, EVENT_IDX,
 *		INDIRECT_DESC
 * @acked:	Accepted by the driver; valid from FEATURES_OK on
 * @started:	Between the model's start and its stop
 * @resetting:	The model stops: @status stays as it was, other writes of the
 *		driver to it, to queues and doorbells change nothing
 * @frozen:	Between freeze and thaw: kicks are ignored, thaw repeats them
 * @loaded:	State was loaded and not yet thawed: not @started; true also in
 *		the model's start() that thaw calls
 * @config_moved: ... and the driver knows another configuration
 * @config:	Device configuration space as the driver sees it
 * @must_access_platform: Refuse FEATURES_OK without ACCESS_PLATFORM
 *		(encrypted guests)
 */
struct virtio_dev {
	const struct virtio_model *model;
	struct machine *m;
	const struct virtio_transport *transport;
	void *transport_data; /* the transport's own */
	uint64_t features, acked;
	uint8_t status;
	bool started, resetting;
	bool frozen, loaded, config_moved;
	bool must_access_platform;
	uint8_t config_generation;
	uint16_t n_queues;
	uint32_t config_len;
	uint8_t config[VIRTIO_CONFIG_MAX];
	struct virtio_queue queue[VIRTIO_QUEUES_MAX];
};

/**
 * virtio_init() - Set up the common part; the device filled model, features,
 * n_queues, queue[].size_max, config and config_len before
 *
 * Creates the doorbell eventfds and watches them; its state will travel (see
 * core/snap.h). Return: 0 or -errno
 */
int virtio_init(struct virtio_dev *dev, struct machine *m);
/* Nothing of the device is in flight, or never again looked at. */
void virtio_fini(struct virtio_dev *dev);

/**
 * virtio_reset() - Back to the state after virtio_init() ([VIRTIO] 2.4)
 *
 * When the model needs time to stop, the device is @resetting on return. A
 * driver waits until the status reads 0 ([VIRTIO] 4.1.4.3.2).
 */
void virtio_reset(struct virtio_dev *dev);

/* The model's stop answered -EINPROGRESS; now it is done. */
void virtio_reset_done(struct virtio_dev *dev);

/**
 * virtio_set_status() - The driver wrote the status register ([VIRTIO] 2.1)
 *
 * Bits can be added only; 0 resets. FEATURES_OK is not taken when the driver
 * accepted features that were not offered or left out VERSION_1 (or
 * ACCESS_PLATFORM where it must be). DRIVER_OK starts the model.
 */
void virtio_set_status(struct virtio_dev *dev, uint8_t status);

/*
 * The driver broke the rules: set DEVICE_NEEDS_RESET, tell it; virtio_pop()
 * finds nothing and virtio_push() does nothing from now on. The model stays
 * started until the driver resets the device. May be called by the model.
 */
void virtio_needs_reset(struct virtio_dev *dev, const char *why);

/* Was feature bit number @bit negotiated? */
static inline bool virtio_has(const struct virtio_dev *dev, unsigned bit)
{
	return dev->acked >> bit & 1;
}

/**
 * virtio_pop() - virtq_pop() that handles a broken ring
 *
 * Return: true with @c filled; false when empty or broken
 */
bool virtio_pop(struct virtio_dev *dev, unsigned q, struct chain *c);

/* virtq_push() of @c with @written, without an interrupt. */
void virtio_push(struct virtio_dev *dev, unsigned q, uint16_t head,
		 uint32_t written);

/* Ring the doorbell of queue @q by hand: model->kick() follows in the loop. */
void virtio_kick(struct virtio_dev *dev, unsigned q);

/* Interrupt the driver if it wants to know; once after a batch of pushes. */
void virtio_notify(struct virtio_dev *dev, unsigned q);

/* The model changed dev->config: bump the generation and tell the driver. */
void virtio_config_changed(struct virtio_dev *dev);

#endif
