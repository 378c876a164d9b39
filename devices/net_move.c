/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/virtio_net.h>
#include <string.h>

#include "core/machine.h"
#include "core/util.h"
#include "devices/net_impl.h"

/*
 * DOC: The network follows the guest
 *
 * A switch sends the guest's frames to the port where it last saw its address.
 * So the new host sends a few frames that bear it, as soon as the guest runs:
 * reverse ARP requests (RFC 903), which no host but a RARP server answers.
 *
 * #syscalls timerfd_settime writev
 */

#define ANNOUNCE_TIMES	  5
#define ANNOUNCE_FIRST_NS 50000000ULL  /* between the first and the second */
#define ANNOUNCE_STEP_NS  100000000ULL /* more each time */

#define RARP_TYPE  0x80, 0x35
#define RARP_ETHER 0, 1 /* hardware: Ethernet */
#define RARP_IPV4  8, 0 /* protocol */
#define RARP_LENS  6, 4 /* of their addresses */
#define RARP_ASK   0, 3 /* request reverse */
#define FRAME_LEN  60u	/* the shortest without checksum */

enum { DST = 0, SRC = 6, TYPE = 12, SENDER = 22, TARGET = 32 };

static void announce_now(struct net *n)
{
	static const uint8_t head[] = { RARP_TYPE, RARP_ETHER, RARP_IPV4,
					RARP_LENS, RARP_ASK };
	const uint8_t *mac =
		n->virtio.config + offsetof(struct virtio_net_config, mac);
	uint8_t frame[FRAME_LEN] = { 0 };

	memset(frame + DST, 0xff, 6);
	memcpy(frame + SRC, mac, 6);
	memcpy(frame + TYPE, head, sizeof(head));
	memcpy(frame + SENDER, mac, 6);
	memcpy(frame + TARGET, mac, 6);
	n->link->ops->inject(n->link, frame, sizeof(frame));
}

static void announce_again(struct timer *t)
{
	struct net *n = container_of(t, struct net, announce);

	if (!n->link_up || n->announced >= ANNOUNCE_TIMES)
		return;
	announce_now(n);
	n->announced++;
	if (n->announced < ANNOUNCE_TIMES)
		(void)timer_arm(t, ANNOUNCE_FIRST_NS + (n->announced - 1) *
							       ANNOUNCE_STEP_NS);
}

void net_arrived(struct net *n)
{
	n->announced = 0;
	if (n->link->ops->inject)
		announce_again(&n->announce);
}

/* A frame that waits for buffers is dropped, as a network may. */
int net_freeze(struct virtio_dev *dev)
{
	struct net *n = container_of(dev, struct net, virtio);

	n->stats.rx_dropped += n->rx.held;
	net_rx_forget(n);
	net_watch(n);
	return 0;
}

void net_thaw(struct virtio_dev *dev)
{
	struct net *n = container_of(dev, struct net, virtio);

	/* The rest is started by the kicks that follow. */
	dev->frozen = false;
	n->rx_on = n->running && n->link_up && dev->queue[NET_RXQ].enabled;
	net_watch(n);
}

static const char *net_obstacle(const void *obj, bool drop_links)
{
	const struct net *n = obj;

	if (n->link->ops->inject || drop_links)
		return NULL;
	return "passt can't carry connections to another host (--drop-connections lets them end)";
}

static const struct snap_item net_snap_item = {
	.name = "link",
	.version = 1,
	.obstacle = net_obstacle,
};

int net_move_init(struct net *n)
{
	struct machine *m = n->virtio.m;
	int r = timer_init(&n->announce, &m->loop, announce_again);

	return r < 0 ? r : snap_add(&m->snap, &net_snap_item, NULL, n);
}

void net_move_fini(struct net *n)
{
	struct machine *m = n->virtio.m;

	snap_remove(&m->snap, &net_snap_item, n);
	timer_fini(&n->announce, &m->loop);
}
