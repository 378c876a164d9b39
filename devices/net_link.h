/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_NET_LINK_H
#define CSVVMM_DEVICES_NET_LINK_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/virtq.h"

struct machine;
struct net;
struct net_link;

/* Private to devices/net*.c and their tests. */

#define NET_HDR_LEN   ((uint32_t)sizeof(struct virtio_net_hdr_v1))
#define NET_FRAME_MIN 14u	     /* an Ethernet header */
#define NET_FRAME_MAX (65536u + 18u) /* largest GSO packet, header, VLAN tag */

/* A 32-bit length and a frame; one byte more, to see what is too long. */
#define NET_BUF (4u + NET_FRAME_MAX + 1u)

/**
 * struct net_frame - A received frame
 * @direct:	Its first bytes, already in the buffer that recv() got
 * @rest:	The bytes after these, valid until the next recv(); when
 *		@direct is not 0, there are some only if that buffer is full
 */
struct net_frame {
	struct virtio_net_hdr_v1 hdr;
	uint32_t direct;
	const uint8_t *rest;
	uint32_t rest_len;
};

/**
 * struct net_link_ops - A way to the outside
 * @offload:	Give only frames that a driver with these TUN_F_* bits can take
 *		(a subset of net_link.offloads); NULL when there are none
 * @recv:	Take one frame; @c is a buffer it may go to. -EAGAIN: none
 *		there now; any other error: the link is dead
 * @send:	Send what is left of @c, at most NET_FRAME_MAX bytes. -EAGAIN:
 *		nothing was done, @want_out is set; -EBADMSG: this frame can't
 *		be sent; any other error: the link is dead
 * @flush:	The descriptor is writable: go on with what waits; errors as
 *		for @send
 * @inject:	Send a frame that is not the guest's; it may get lost. NULL:
 *		nobody there who would learn from it
 */
struct net_link_ops {
	const char *name;
	int (*offload)(struct net_link *l, unsigned flags);
	int (*recv)(struct net_link *l, struct virtq *q, const struct chain *c,
		    struct net_frame *ret_frame);
	int (*send)(struct net_link *l, const struct virtio_net_hdr_v1 *hdr,
		    struct virtq *q, struct chain *c);
	int (*flush)(struct net_link *l);
	void (*inject)(struct net_link *l, const void *frame, uint32_t len);
};

/**
 * struct net_link - One open link
 * @fd:		Non-blocking; closed by net_link_fini()
 * @offloads:	TUN_F_* the link can do; 0: frames are sent whole, checksummed
 * @want_out:	Wait for EPOLLOUT, then call flush()
 * @in_off, @in_len, @in_take: Stream links: window of @in that holds unread
 *		bytes, and how many of these the last recv() handed out
 * @out_off, @out_len: Stream links: bytes of @out that still have to go
 */
struct net_link {
	const struct net_link_ops *ops;
	int fd;
	unsigned offloads;
	bool want_out;
	uint32_t in_off, in_len, in_take;
	uint32_t out_off, out_len;
	struct iovec iov[CHAIN_MAX + 2];
	uint8_t in[NET_BUF];
	uint8_t out[NET_BUF];
};

/**
 * net_tap_open() / net_passt_open() - Open a link by name
 *
 * Return: 0; -EINVAL, -ENAMETOOLONG for a bad name; -ENOTSUP when the kernel's
 * tun driver lacks vnet headers; or -errno
 */
int net_tap_open(struct net_link *l, const char *name);
int net_passt_open(struct net_link *l, const char *path);

/* Empty link; its buffers stay untouched until they are needed. */
void net_link_init(struct net_link *l, const struct net_link_ops *ops, int fd);
void net_link_fini(struct net_link *l);

/* Make a link of a descriptor that is one already; it is owned from now on. */
void net_tap_adopt(struct net_link *l, int fd, unsigned offloads);
void net_passt_adopt(struct net_link *l, int fd);

/**
 * net_create_link() - net_create() for an open link
 * @l:		malloc'ed; owned and freed by the device, also on failure
 * @where:	For messages; copied
 */
int net_create_link(struct machine *m, struct net_link *l, const char *where,
		    const uint8_t mac[6], struct net **ret_net);

#endif
