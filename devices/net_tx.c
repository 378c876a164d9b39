/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>

#include "devices/net_impl.h"

static struct virtq *tx_vq(struct net *n)
{
	return &n->virtio.queue[NET_TXQ].vq;
}

static bool tx_gso_ok(const struct net *n, const struct virtio_net_hdr_v1 *h,
		      uint32_t len)
{
	unsigned feature;

	switch (h->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		feature = VIRTIO_NET_F_HOST_TSO4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		feature = VIRTIO_NET_F_HOST_TSO6;
		break;
	default:
		return false;
	}
	/* [VIRTIO] 5.1.6.2.1: segments need their checksums filled in. */
	return virtio_has(&n->virtio, feature) &&
	       h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && h->gso_size &&
	       le16toh(h->hdr_len) <= len;
}

/*
 * Only what was negotiated goes to the host's kernel, so that a hostile guest
 * reaches no more of its parsers than a well-behaved one ([VIRTIO] 5.1.6.2.1).
 */
static bool tx_header_ok(const struct net *n, const struct virtio_net_hdr_v1 *h,
			 uint32_t len)
{
	uint32_t end;

	if (len < NET_FRAME_MIN || len > NET_FRAME_MAX)
		return false;
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		end = (uint32_t)le16toh(h->csum_start) +
		      le16toh(h->csum_offset) + 2;
		if (!virtio_has(&n->virtio, VIRTIO_NET_F_CSUM) || end > len)
			return false;
	}
	return tx_gso_ok(n, h, len);
}

/* [VIRTIO] 5.1.6.2.2: the device ignores the rest; the kernel may not. */
static void tx_header_clean(struct virtio_net_hdr_v1 *h)
{
	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->num_buffers = 0;
	if (!h->flags) {
		h->csum_start = 0;
		h->csum_offset = 0;
	}
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		h->gso_size = 0;
		h->hdr_len = 0;
	}
}

/* Return: 0 when the chain is done with; -EAGAIN to try it again later */
static int tx_one(struct net *n)
{
	struct virtio_net_hdr_v1 hdr;
	struct chain *c = &n->tx;
	int r = -EBADMSG;

	if (n->link_up &&
	    chain_read(tx_vq(n), c, &hdr, NET_HDR_LEN) == (int)NET_HDR_LEN &&
	    tx_header_ok(n, &hdr, c->out_left)) {
		tx_header_clean(&hdr);
		r = n->link->ops->send(n->link, &hdr, tx_vq(n), c);
	}
	if (r == -EAGAIN)
		return r;
	if (r == 0)
		n->stats.tx++;
	else
		n->stats.tx_dropped++;
	if (r < 0 && r != -EBADMSG)
		net_link_down(n, r);
	return 0;
}

void net_tx_run(struct net *n)
{
	struct virtio_queue *q = &n->virtio.queue[NET_TXQ];
	unsigned turn;

	if (!n->running || !q->enabled || n->link->want_out)
		return;
	virtq_disarm(&q->vq);
	for (turn = 0; turn < NET_BUDGET; turn++) {
		if (!virtio_pop(&n->virtio, NET_TXQ, &n->tx)) {
			if (q->vq.broken || !virtq_arm(&q->vq))
				break;
			continue;
		}
		if (tx_one(n) == -EAGAIN) {
			virtq_unpop(&q->vq);
			break;
		}
		virtio_push(&n->virtio, NET_TXQ, n->tx.head, 0);
	}
	virtio_notify(&n->virtio, NET_TXQ);
	if (turn == NET_BUDGET)
		virtio_kick(&n->virtio, NET_TXQ);
}
