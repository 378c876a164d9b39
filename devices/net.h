/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_NET_H
#define CSVVMM_DEVICES_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio.h"

struct net;

enum netlink_kind { NET_TAP, NET_PASST };

/**
 * struct net_stats - What went through, from the guest's point of view
 * @rx_dropped:	Frames for which the guest had no fitting buffer, or that no
 *		driver of its features may get
 * @tx_dropped:	Malformed, refused by the host's kernel, or sent without link
 */
struct net_stats {
	uint64_t rx, tx;
	uint64_t rx_dropped, tx_dropped;
	bool link_up;
};

/**
 * net_create() - virtio-net ([VIRTIO] 5.1)
 * @kind:	NET_TAP: @where is an interface name (created if it may be);
 *		vnet headers and offloads are used. Bringing the interface up
 *		is the operator's part.
 *		NET_PASST: @where is the path of passt's stream socket; frames
 *		travel as 32-bit big-endian length + frame
 * @mac:	Six bytes
 *
 * Opens everything, so it belongs before the sandbox. A link that fails later
 * is shown to the guest as down, and stays so; VMM and guest go on.
 *
 * Return: 0 with *ret_net, or -errno of opening the link
 */
int net_create(struct machine *m, enum netlink_kind kind, const char *where,
	       const uint8_t mac[6], struct net **ret_net);
void net_destroy(struct net *n);
struct virtio_dev *net_virtio(struct net *n);
void net_stats_get(const struct net *n, struct net_stats *ret_stats);

#endif
