/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/net_link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/util.h"

/*
 * A tap with vnet headers: each frame crosses with one readv() or writev()
 * between guest memory and the kernel.
 *
 * #syscalls readv writev ioctl(TUNSETOFFLOAD) close
 */

#define TAP_TSO (TUN_F_TSO4 | TUN_F_TSO6)

static int tap_offload(struct net_link *l, unsigned flags)
{
	/* The kernel refuses TSO without checksums ([VIRTIO] 5.1.3.1 too). */
	if (!(flags & TUN_F_CSUM))
		flags = 0;
	if (!l->offloads)
		return 0;
	if (ioctl(l->fd, TUNSETOFFLOAD, (unsigned long)flags) < 0)
		return -errno;
	return 0;
}

/* Is the link good for more after a failed read or write? */
static int tap_error(int err)
{
	switch (err) {
	case EAGAIN:
	case EINTR:
		return -EAGAIN;
	case EBADF:
	case EBADFD: /* the interface was deleted */
	case ENODEV:
	case EPIPE:
	case ECONNRESET:
		return -err;
	default:
		/* EINVAL: not a frame; EIO: the interface is set down; ... */
		return -EBADMSG;
	}
}

static int tap_recv(struct net_link *l, struct virtq *q, const struct chain *c,
		    struct net_frame *ret_frame)
{
	struct net_frame f = { .rest = l->in };
	ssize_t got;
	int n;

	n = chain_iov_in(q, c, l->iov + 1, CHAIN_MAX);
	if (n < 0)
		return n;
	l->iov[0] = (struct iovec){ &f.hdr, sizeof(f.hdr) };
	l->iov[n + 1] = (struct iovec){ l->in, sizeof(l->in) };
	got = readv(l->fd, l->iov, n + 2);
	if (got < 0) {
		n = tap_error(errno);
		/* A read takes nothing off the queue: never try for ever. */
		return n == -EBADMSG ? -ENODEV : n;
	}
	if (got < (ssize_t)sizeof(f.hdr))
		return -EPIPE;

	got -= (ssize_t)sizeof(f.hdr);
	f.direct = (uint32_t)MIN((uint64_t)got, c->in_left);
	f.rest_len = (uint32_t)got - f.direct;
	chain_dirty(q, c, f.direct);
	*ret_frame = f;
	return 0;
}

static int tap_send(struct net_link *l, const struct virtio_net_hdr_v1 *hdr,
		    struct virtq *q, struct chain *c)
{
	struct virtio_net_hdr_v1 h = *hdr;
	int n, r;

	n = chain_iov_out(q, c, l->iov + 1, CHAIN_MAX);
	if (n < 0)
		return -EBADMSG;
	l->iov[0] = (struct iovec){ &h, sizeof(h) };
	if (writev(l->fd, l->iov, n + 1) >= 0)
		return 0;
	r = tap_error(errno);
	l->want_out = r == -EAGAIN;
	return r;
}

static int tap_flush(struct net_link *l)
{
	l->want_out = false;
	return 0;
}

static void tap_inject(struct net_link *l, const void *frame, uint32_t len)
{
	struct virtio_net_hdr_v1 hdr = { .flags = 0 };
	uint8_t copy[NET_FRAME_MIN + 64];
	struct iovec iov[] = { { &hdr, sizeof(hdr) }, { copy, len } };

	if (len > sizeof(copy))
		return;
	memcpy(copy, frame, len);
	/* Lost when the tap is full or down: as frames are. */
	if (writev(l->fd, iov, 2) < 0)
		return;
}

static const struct net_link_ops tap_ops = {
	.name = "tap",
	.offload = tap_offload,
	.recv = tap_recv,
	.send = tap_send,
	.flush = tap_flush,
	.inject = tap_inject,
};

void net_tap_adopt(struct net_link *l, int fd, unsigned offloads)
{
	net_link_init(l, &tap_ops, fd);
	l->offloads = offloads;
}

static int tap_setup(int fd, const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int hdr_len = (int)NET_HDR_LEN;
	unsigned have;

	if (ioctl(fd, TUNGETFEATURES, &have) < 0)
		return -errno;
	if (!(have & IFF_VNET_HDR))
		return -ENOTSUP;
	memcpy(ifr.ifr_name, name, strlen(name) + 1);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr_len) < 0)
		return -errno;
	return 0;
}

/* What the tap takes of what we can use; left switched off. */
static unsigned tap_probe(int fd)
{
	static const unsigned sets[] = { TUN_F_CSUM | TAP_TSO, TUN_F_CSUM };
	unsigned i, got = 0;

	for (i = 0; !got && i < ARRAY_SIZE(sets); i++) {
		if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)sets[i]) == 0)
			got = sets[i];
	}
	if (ioctl(fd, TUNSETOFFLOAD, 0UL) < 0)
		return 0;
	return got;
}

int net_tap_open(struct net_link *l, const char *name)
{
	int fd, r;

	net_link_init(l, &tap_ops, -1);
	/* An empty name or a pattern would make the kernel choose one. */
	if (!*name || strchr(name, '%'))
		return -EINVAL;
	if (strlen(name) >= IFNAMSIZ)
		return -ENAMETOOLONG;
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = tap_setup(fd, name);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	net_tap_adopt(l, fd, tap_probe(fd));
	return 0;
}
