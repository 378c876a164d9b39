/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/net.h"

#include <endian.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/log.h"
#include "core/machine.h"
#include "core/util.h"
#include "devices/net_impl.h"

/*
 * DOC: Theory of operation
 *
 * The device moves whole frames between a link (net_tap.c, net_passt.c) and
 * two queues: net_rx.c fills receive buffers, net_tx.c empties transmit
 * buffers, this file owns start, stop, events and the link's end.
 *
 * Each callback handles at most NET_BUDGET frames and then kicks its own
 * queue, so that other sources of the loop have their turn. When the guest
 * has no receive buffer the link is not watched and the driver's next kick
 * starts it again; when the link can't take more, the chain goes back to the
 * ring and EPOLLOUT starts it again.
 */

static struct net *net_of(struct virtio_dev *dev)
{
	return container_of(dev, struct net, virtio);
}

void net_watch(struct net *n)
{
	uint32_t want = 0;

	if (!n->link_up)
		return;
	if (n->rx_on && !n->virtio.frozen)
		want |= EPOLLIN;
	if (n->link->want_out)
		want |= EPOLLOUT;
	if (want == n->events)
		return;
	/* Can't fail: the descriptor is in the set. */
	(void)loop_mod(&n->virtio.m->loop, &n->src, want);
	n->events = want;
}

void net_link_down(struct net *n, int err)
{
	uint8_t *status =
		n->virtio.config + offsetof(struct virtio_net_config, status);

	if (!n->link_up)
		return;
	net_rx_forget(n);
	n->link_up = false;
	/* A dead descriptor is always "ready": out of the loop with it. */
	loop_del(&n->virtio.m->loop, &n->src);
	net_link_fini(n->link);
	log_warn("net: %s \"%s\": %s; the guest's link is down for good",
		 n->link->ops->name, n->where, strerror(-err));
	*status &= (uint8_t)~VIRTIO_NET_S_LINK_UP;
	virtio_config_changed(&n->virtio);
	/* Frames that waited for the link to take more are dropped. */
	virtio_kick(&n->virtio, NET_TXQ);
}

static void net_ready(struct source *src, uint32_t events)
{
	struct net *n = container_of(src, struct net, src);
	unsigned progress = 0;
	int r;

	if (events & EPOLLOUT) {
		r = n->link->ops->flush(n->link);
		if (r < 0 && r != -EAGAIN)
			net_link_down(n, r);
		else if (n->running && !n->virtio.frozen)
			net_tx_run(n);
	}
	if (n->rx_on && !n->virtio.frozen)
		progress = net_rx_run(n);
	/* An error that no read shows would come back for ever. */
	if ((events & (EPOLLERR | EPOLLHUP)) && !progress)
		net_link_down(n, -ENOLINK);
	net_watch(n);
}

/* The TUN_F_* bits that the driver's features amount to. */
static unsigned net_offloads(const struct virtio_dev *dev)
{
	unsigned f = 0;

	/* [VIRTIO] 5.1.3.1: the others mean nothing without GUEST_CSUM. */
	if (!virtio_has(dev, VIRTIO_NET_F_GUEST_CSUM))
		return 0;
	f |= TUN_F_CSUM;
	if (virtio_has(dev, VIRTIO_NET_F_GUEST_TSO4))
		f |= TUN_F_TSO4;
	if (virtio_has(dev, VIRTIO_NET_F_GUEST_TSO6))
		f |= TUN_F_TSO6;
	return f;
}

static int net_start(struct virtio_dev *dev)
{
	struct net *n = net_of(dev);
	int r = 0;

	n->running = true;
	n->mergeable = virtio_has(dev, VIRTIO_NET_F_MRG_RXBUF);
	n->offloads = net_offloads(dev);
	if (n->link_up && n->link->ops->offload)
		r = n->link->ops->offload(n->link, n->offloads);
	if (r < 0)
		net_link_down(n, r);
	n->rx_on = n->link_up && dev->queue[NET_RXQ].enabled;
	net_watch(n);
	/* A stream may have read frames already: no event will tell of them. */
	virtio_kick(dev, NET_RXQ);
	if (dev->loaded)
		net_arrived(n);
	return 0;
}

static int net_stop(struct virtio_dev *dev)
{
	struct net *n = net_of(dev);

	/* A frame that a stream took in part is in link->out: it still goes. */
	net_rx_forget(n);
	n->running = false;
	net_watch(n);
	return 0;
}

static void net_kick(struct virtio_dev *dev, unsigned q)
{
	struct net *n = net_of(dev);

	if (q == NET_RXQ)
		(void)net_rx_run(n);
	else
		net_tx_run(n);
	net_watch(n);
}

static const struct virtio_config_field net_same[] = {
	{ offsetof(struct virtio_net_config, mac), 6, "mac" },
	{ 0 },
};

static const struct virtio_model net_model = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.pci_class = 0x020000, /* Ethernet controller */
	.same = net_same,
	.start = net_start,
	.stop = net_stop,
	.kick = net_kick,
	.freeze = net_freeze,
	.thaw = net_thaw,
};

static uint64_t net_features(const struct net_link *l)
{
	uint64_t f = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) |
		     BIT(VIRTIO_NET_F_MRG_RXBUF);

	if (l->offloads & TUN_F_CSUM)
		f |= BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM);
	if (l->offloads & TUN_F_TSO4)
		f |= BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO4);
	if (l->offloads & TUN_F_TSO6)
		f |= BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_GUEST_TSO6);
	return f;
}

static void net_describe(struct net *n, const uint8_t mac[6])
{
	struct virtio_net_config cfg = {
		.status = htole16(VIRTIO_NET_S_LINK_UP),
	};
	struct virtio_dev *dev = &n->virtio;

	memcpy(cfg.mac, mac, sizeof(cfg.mac));
	dev->model = &net_model;
	dev->features = net_features(n->link);
	dev->n_queues = NET_QUEUES;
	dev->queue[NET_RXQ].size_max = VIRTQ_SIZE_MAX;
	dev->queue[NET_TXQ].size_max = VIRTQ_SIZE_MAX;
	/* Fields behind status belong to features that are not offered. */
	dev->config_len =
		offsetof(struct virtio_net_config, status) + sizeof(cfg.status);
	memcpy(dev->config, &cfg, dev->config_len);
}

int net_create_link(struct machine *m, struct net_link *l, const char *where,
		    const uint8_t mac[6], struct net **ret_net)
{
	struct net *n = calloc(1, sizeof(*n));
	int r;

	if (!n) {
		net_link_fini(l);
		free(l);
		return -ENOMEM;
	}
	n->link = l;
	n->src = (struct source){ .fd = -1, .fn = net_ready };
	n->announce.src.fd = -1;
	(void)snprintf(n->where, sizeof(n->where), "%s", where);
	net_describe(n, mac);
	r = virtio_init(&n->virtio, m);
	if (r < 0)
		goto fail;
	n->have_virtio = true;
	r = loop_add(&m->loop, &n->src, l->fd, 0);
	if (r == 0)
		r = net_move_init(n);
	if (r < 0)
		goto fail;
	n->link_up = true;
	*ret_net = n;
	return 0;
fail:
	net_destroy(n);
	return r;
}

int net_create(struct machine *m, enum netlink_kind kind, const char *where,
	       const uint8_t mac[6], struct net **ret_net)
{
	struct net_link *l = calloc(1, sizeof(*l));
	int r = -EINVAL;

	if (!l)
		return -ENOMEM;
	switch (kind) {
	case NET_TAP:
		r = net_tap_open(l, where);
		break;
	case NET_PASST:
		r = net_passt_open(l, where);
		break;
	}
	if (r < 0) {
		free(l);
		return r;
	}
	return net_create_link(m, l, where, mac, ret_net);
}

void net_destroy(struct net *n)
{
	if (!n)
		return;
	if (n->have_virtio) {
		struct machine *m = n->virtio.m;

		net_move_fini(n);
		virtio_fini(&n->virtio);
		loop_del(&m->loop, &n->src);
	}
	net_link_fini(n->link);
	free(n->link);
	free(n);
}

struct virtio_dev *net_virtio(struct net *n)
{
	return &n->virtio;
}

void net_stats_get(const struct net *n, struct net_stats *ret_stats)
{
	*ret_stats = n->stats;
	ret_stats->link_up = n->link_up;
}

void net_link_init(struct net_link *l, const struct net_link_ops *ops, int fd)
{
	l->ops = ops;
	l->fd = fd;
	l->offloads = 0;
	l->want_out = false;
	l->in_off = 0;
	l->in_len = 0;
	l->in_take = 0;
	l->out_off = 0;
	l->out_len = 0;
}

void net_link_fini(struct net_link *l)
{
	util_close(&l->fd);
	l->want_out = false;
}
