/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <linux/if_tun.h>

#include "devices/net_impl.h"

static struct virtq *rx_vq(struct net *n)
{
	return &n->virtio.queue[NET_RXQ].vq;
}

static void rx_put_back(struct net *n)
{
	for (; n->rx.n_used; n->rx.n_used--)
		virtq_unpop(rx_vq(n));
	n->rx.held = false;
}

void net_rx_forget(struct net *n)
{
	rx_put_back(n);
	n->rx_on = false;
}

/* Take the next buffer, which must hold a header ([VIRTIO] 5.1.6.3.1). */
static int rx_pop(struct net *n, struct chain *c)
{
	if (!virtio_pop(&n->virtio, NET_RXQ, c))
		return -ENOBUFS;
	n->rx.used[n->rx.n_used++] = (struct virtq_used){ .head = c->head };
	if (c->in_left >= NET_HDR_LEN)
		return 0;
	virtio_needs_reset(&n->virtio,
			   "receive buffer without room for a header");
	return -EPROTO;
}

/* Take a buffer for a new frame and leave room for the header. */
static int rx_begin(struct net *n)
{
	static const struct virtio_net_hdr_v1 none;
	struct chain *c = &n->rx.first;
	int r;

	r = rx_pop(n, c);
	if (r < 0)
		return r;
	n->rx.hdr_at = (struct net_cursor){
		.in_left = c->in_left,
		.in_off = c->in_off,
		.in_seg = c->in_seg,
		.written = c->written,
	};
	r = chain_write(rx_vq(n), c, &none, sizeof(none));
	return r < 0 ? r : 0;
}

/* May this driver see such a frame? A tap's queue may hold older ones. */
static bool rx_frame_ok(struct net *n)
{
	struct net_frame *f = &n->rx.frame;
	uint64_t len = (uint64_t)f->direct + f->rest_len;
	unsigned need = 0;

	if (len < NET_FRAME_MIN || len > NET_FRAME_MAX)
		return false;
	if (f->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		need |= TUN_F_CSUM;
	switch (f->hdr.gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		break;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		need |= TUN_F_TSO4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		need |= TUN_F_TSO6;
		break;
	default:
		return false;
	}
	/* [VIRTIO] 5.1.6.4.1: no flags at all without GUEST_CSUM. */
	if (!(n->offloads & TUN_F_CSUM))
		f->hdr.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	return !(need & ~n->offloads);
}

/* Take a frame off the link, its start right into the first buffer. */
static int rx_take(struct net *n)
{
	struct chain *c = &n->rx.first;
	int r;

	r = n->link->ops->recv(n->link, rx_vq(n), c, &n->rx.frame);
	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		net_link_down(n, r);
		return -ENOLINK;
	}
	if (!rx_frame_ok(n))
		return -EMSGSIZE;
	chain_skip_in(c, n->rx.frame.direct);
	n->rx.used[0].written = c->written;
	return 0;
}

/*
 * Store what is left of the frame, in as many buffers as that takes. Each but
 * the last is filled to the brim ([VIRTIO] 5.1.6.4.1).
 *
 * Return: 0; -ENOBUFS to go on when there are more; -EMSGSIZE when it can't fit
 */
static int rx_store(struct net *n)
{
	struct net_rx *rx = &n->rx;
	struct net_frame *f = &rx->frame;
	int r;

	for (;;) {
		struct chain *c = rx->n_used > 1 ? &rx->more : &rx->first;

		r = chain_write(rx_vq(n), c, f->rest, f->rest_len);
		if (r < 0)
			return r;
		f->rest += r;
		f->rest_len -= (uint32_t)r;
		rx->used[rx->n_used - 1].written = c->written;
		if (!f->rest_len)
			return 0;
		if (!n->mergeable || rx->n_used >= rx_vq(n)->size)
			return -EMSGSIZE;
		r = rx_pop(n, &rx->more);
		if (r < 0)
			return r;
	}
}

/* The frame is there: write its header, give all its buffers at once, as
 * [VIRTIO] 5.1.6.4.1 demands. */
static int rx_finish(struct net *n)
{
	struct net_rx *rx = &n->rx;
	struct chain *c = &rx->first;
	int r;

	/* 1 without MRG_RXBUF, too ([VIRTIO] 5.1.6.4.1). */
	rx->frame.hdr.num_buffers = htole16((uint16_t)rx->n_used);
	c->in_left = rx->hdr_at.in_left;
	c->in_off = rx->hdr_at.in_off;
	c->in_seg = rx->hdr_at.in_seg;
	c->written = rx->hdr_at.written;
	r = chain_write(rx_vq(n), c, &rx->frame.hdr, sizeof(rx->frame.hdr));
	if (r >= 0)
		r = virtq_push_n(rx_vq(n), rx->used, rx->n_used);
	if (r < 0)
		return r;
	rx->n_used = 0;
	n->stats.rx++;
	return 0;
}

/*
 * Return: 0 when a frame was taken or dropped; -EAGAIN when the link has none;
 * -ENOBUFS when the guest has no buffer; other errors end receiving
 */
static int rx_one(struct net *n)
{
	struct net_rx *rx = &n->rx;
	int r = 0;

	if (!rx->held) {
		r = rx_begin(n);
		if (r == 0)
			r = rx_take(n);
		if (r == -ENOBUFS)
			return r;
	}
	if (r == 0)
		r = rx_store(n);
	rx->held = r == -ENOBUFS;
	if (r == -ENOBUFS)
		return r;
	if (r == 0)
		r = rx_finish(n);
	rx_put_back(n);
	if (r != -EMSGSIZE)
		return r;
	n->stats.rx_dropped++;
	return 0;
}

/* No buffer: ask for a kick. Return: true when there is one after all */
static bool rx_starve(struct net *n)
{
	struct virtio_queue *q = &n->virtio.queue[NET_RXQ];

	if (q->enabled && !q->vq.broken && virtq_arm(&q->vq))
		return true;
	n->rx_on = false;
	return false;
}

unsigned net_rx_run(struct net *n)
{
	unsigned taken = 0, turn;
	int r;

	if (!n->running || !n->link_up || !n->virtio.queue[NET_RXQ].enabled)
		return 0;
	n->rx_on = true;
	virtq_disarm(rx_vq(n));
	for (turn = 0; turn < NET_BUDGET; turn++) {
		r = rx_one(n);
		if (r == -ENOBUFS && rx_starve(n))
			continue;
		if (r < 0)
			break;
		taken++;
	}
	if (taken)
		virtio_notify(&n->virtio, NET_RXQ);
	/* Frames that wait inside the link raise no event. */
	if (turn == NET_BUDGET)
		virtio_kick(&n->virtio, NET_RXQ);
	else if (r != -EAGAIN)
		n->rx_on = false;
	return taken;
}
