/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_NET_IMPL_H
#define CSVVMM_DEVICES_NET_IMPL_H

#include "core/loop.h"
#include "devices/net.h"
#include "devices/net_link.h"

/* Private to devices/net*.c and their tests. */

enum { NET_RXQ, NET_TXQ, NET_QUEUES };

/* Frames a callback handles before other sources have their turn. */
#define NET_BUDGET 64

/* Where in a chain the next chain_write() goes. */
struct net_cursor {
	uint32_t in_left, in_off, written;
	uint16_t in_seg;
};

/**
 * struct net_rx - The frame on its way into the guest
 * @held:	It waits for more buffers; those in @used are filled
 * @frame:	What is not stored yet
 * @hdr_at:	Start of @first: the header is written last
 * @first, @more: Its first buffer, and the one that is being filled if not
 *		that (@n_used > 1)
 * @used:	The buffers taken, and what was stored in each
 */
struct net_rx {
	bool held;
	struct net_frame frame;
	struct net_cursor hdr_at;
	struct chain first, more;
	struct virtq_used used[VIRTQ_SIZE_MAX];
	unsigned n_used;
};

/**
 * struct net - virtio-net device
 * @running:	Between start and stop
 * @link_up:	The link works; once false, false for ever
 * @rx_on:	Frames can be taken: watch the link for them
 * @events:	What the loop watches @src for
 * @offloads:	TUN_F_* that the driver negotiated for receiving
 * @announce, @announced: Times that switches were told where the guest is
 */
struct net {
	struct virtio_dev virtio;
	bool have_virtio;
	struct net_link *link;
	struct source src;
	char where[108];
	bool running, link_up, rx_on;
	bool mergeable;
	uint32_t events;
	unsigned offloads;
	struct timer announce;
	unsigned announced;
	struct net_stats stats;
	struct net_rx rx;
	struct chain tx;
};

/* Tell the loop what to wait for; after anything that may change it. */
void net_watch(struct net *n);

/* net_move.c: the device's part of a move to another host. Return: 0 or
 * -errno; net_move_fini() is safe after both */
int net_move_init(struct net *n);
void net_move_fini(struct net *n);
int net_freeze(struct virtio_dev *dev);
void net_thaw(struct virtio_dev *dev);
/* In the model's start: the guest has just come here. */
void net_arrived(struct net *n);

/* The link is dead: say so to log and guest, once. */
void net_link_down(struct net *n, int err);

/* Move frames into the guest. Return: how many were taken off the link. */
unsigned net_rx_run(struct net *n);
/* Stop receiving: buffers taken for a frame go back to the ring. */
void net_rx_forget(struct net *n);

/* Move frames out of the guest. */
void net_tx_run(struct net *n);

#endif
