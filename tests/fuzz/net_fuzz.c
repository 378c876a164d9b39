/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile driver and a hostile peer against virtio-net.
 *
 * Input: one byte of kind and features, then operations: a byte that chooses,
 * then what it needs. Bytes behind the end are 0. Held: the loop always gets
 * quiet; what a stream peer reads is frames of allowed lengths; after a reset
 * guest memory does not change.
 */
#include <assert.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "devices/net_impl.h"
#include "tests/unit/driver.h"

#define SEGS 8
#define OPS  200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct input {
	const uint8_t *p;
	size_t left;
};

/* @need, @len, @have: where the peer is in the frame that it reads */
struct world {
	struct driver *d;
	struct net *n;
	int peer;
	bool stream;
	uint8_t prefix[4];
	unsigned have;
	uint32_t need;
};

static struct driver *driver;
static uint8_t bytes[1 << 17];

static void take(struct input *in, void *buf, size_t n)
{
	size_t got = MIN(n, in->left);

	memset(buf, 0, n);
	memcpy(buf, in->p, got);
	in->p += got;
	in->left -= got;
}

static uint8_t take_byte(struct input *in)
{
	uint8_t b;

	take(in, &b, 1);
	return b;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_set_level(LOG_ERROR);
	(void)signal(SIGPIPE, SIG_IGN);
	driver = driver_new();
	return 0;
}

/* A segment: where, and how long; mostly good, sometimes absurd. */
static struct dbuf take_seg(struct input *in)
{
	static const uint64_t base[] = {
		DRIVER_BUFS,	       DRIVER_BUFS + 0x10000,
		DRIVER_BUFS + 0x80000, DRIVER_RINGS,
		DRIVER_RINGS + 0x8000, DRIVER_RAM - 4096,
		UINT64_MAX - 65535,    DRIVER_BUFS,
	};
	uint8_t raw[5];

	take(in, raw, sizeof(raw));
	return (struct dbuf){
		.gpa = base[raw[0] % ARRAY_SIZE(base)] + get_le16(raw + 1),
		.len = (uint32_t)get_le16(raw + 3) << (raw[0] >> 6),
	};
}

static void op_chain(struct world *w, struct input *in, unsigned q)
{
	uint8_t how = take_byte(in);
	unsigned n = 1 + how % SEGS;
	/* Mostly the right direction for the queue. */
	unsigned n_out = how & 0x80 ? MIN((how >> 3) % SEGS, n) : q * n;
	struct dbuf seg[SEGS];
	unsigned i;

	for (i = 0; i < n; i++)
		seg[i] = take_seg(in);
	(void)driver_add(w->d, q, seg, n_out, n - n_out);
}

/* Plain packets and buffers by the dozen. */
static void op_batch(struct world *w, struct input *in, unsigned q)
{
	uint8_t n = take_byte(in), len = take_byte(in);
	const struct dbuf buf = { DRIVER_BUFS + len, 12u + len * 16u };
	unsigned i;

	for (i = 0; i < n; i++)
		(void)driver_add(w->d, q, &buf, q, !q);
}

static void op_peer_send(struct world *w, struct input *in)
{
	uint8_t raw[2];
	uint32_t len;

	take(in, raw, sizeof(raw));
	len = get_le16(raw) << (raw[1] >> 6) & 0x1ffff;
	take(in, bytes, len);
	(void)send(w->peer, bytes, len, MSG_DONTWAIT);
}

/* Bytes as they come: lengths in between must be those of frames. */
static void peer_check(struct world *w, const uint8_t *p, size_t n)
{
	while (n) {
		size_t skip = MIN(n, w->need);

		p += skip;
		n -= skip;
		w->need -= (uint32_t)skip;
		if (!n)
			break;
		w->prefix[w->have++] = *p++;
		n--;
		if (w->have < 4)
			continue;
		w->have = 0;
		w->need = be32toh(get_le32(w->prefix));
		assert(w->need >= NET_FRAME_MIN && w->need <= NET_FRAME_MAX);
	}
}

static void op_peer_recv(struct world *w, struct input *in)
{
	uint32_t len = 1u << take_byte(in) % 18;
	ssize_t n = recv(w->peer, bytes, len, MSG_DONTWAIT | MSG_TRUNC);

	if (n > 0 && w->stream)
		peer_check(w, bytes, (size_t)n);
	else if (n > 0)
		assert(n >= 26 && n <= 12 + (ssize_t)NET_FRAME_MAX);
}

/* Scribble over rings or buffers. */
static void op_poke(struct world *w, struct input *in)
{
	struct dbuf at = take_seg(in);
	uint8_t raw[16];

	take(in, raw, sizeof(raw));
	(void)gmem_write(&w->d->m.gmem, at.gpa, raw, sizeof(raw));
}

static void op_start(struct world *w, struct input *in)
{
	uint8_t f = take_byte(in);
	uint64_t features = 0;

	if (f & 1)
		features |= BIT(VIRTIO_NET_F_MRG_RXBUF);
	if (f & 2)
		features |= BIT(VIRTIO_RING_F_EVENT_IDX);
	if (f & 4)
		features |= BIT(VIRTIO_RING_F_INDIRECT_DESC);
	if (!w->stream && f & 8)
		features |= BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM);
	if (!w->stream && f & 16)
		features |= BIT(VIRTIO_NET_F_HOST_TSO4) |
			    BIT(VIRTIO_NET_F_GUEST_TSO4) |
			    BIT(VIRTIO_NET_F_HOST_TSO6) |
			    BIT(VIRTIO_NET_F_GUEST_TSO6);
	driver_start(w->d, net_virtio(w->n), features,
		     (uint16_t)(256u >> (f >> 5)));
}

static void op_one(struct world *w, struct input *in)
{
	uint8_t op = take_byte(in);
	unsigned q = op >> 7;

	switch (op & 7) {
	case 0:
		op_chain(w, in, q);
		break;
	case 1:
		op_batch(w, in, q);
		break;
	case 2:
		op_peer_send(w, in);
		break;
	case 3:
		op_peer_recv(w, in);
		break;
	case 4:
		virtio_kick(w->d->dev, q);
		break;
	case 5:
		op_poke(w, in);
		break;
	case 6:
		if (op & 0x40)
			op_start(w, in);
		break;
	case 7:
		if (op == 0xff)
			(void)shutdown(w->peer, SHUT_RDWR);
		break;
	}
	assert(driver_settle(w->d));
}

static void world_open(struct world *w, struct input *in)
{
	struct net_link *l = calloc(1, sizeof(*l));
	const uint8_t mac[6] = { 2 };
	int fd[2];

	*w = (struct world){ .d = driver, .stream = take_byte(in) & 1 };
	if (!l || socketpair(AF_UNIX,
			     (w->stream ? SOCK_STREAM : SOCK_SEQPACKET) |
				     SOCK_NONBLOCK,
			     0, fd) < 0)
		abort();
	w->peer = fd[1];
	if (w->stream)
		net_passt_adopt(l, fd[0]);
	else
		net_tap_adopt(l, fd[0], 0);
	if (net_create_link(&w->d->m, l, "fuzz", mac, &w->n) < 0)
		abort();
	/* A tap with offloads as far as the driver can see. */
	if (!w->stream)
		net_virtio(w->n)->features |= 0x1983;
	op_start(w, in);
}

static uint64_t memory_sum(const struct world *w)
{
	static uint64_t copy[DRIVER_RAM / 8];
	uint64_t sum = 0;
	size_t i;

	(void)gmem_read(&w->d->m.gmem, 0, copy, sizeof(copy));
	for (i = 0; i < ARRAY_SIZE(copy); i++)
		sum = sum * 0x9e3779b97f4a7c15ULL + copy[i];
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct world w;
	uint64_t before;
	unsigned i;

	world_open(&w, &in);
	for (i = 0; i < OPS && in.left; i++)
		op_one(&w, &in);
	/* Now and then: reading all of RAM is slow. */
	if (size % 16 == 0) {
		virtio_reset(net_virtio(w.n));
		before = memory_sum(&w);
		memset(bytes, 0, 100);
		(void)send(w.peer, bytes, 100, MSG_DONTWAIT);
		virtio_kick(w.d->dev, NET_RXQ);
		assert(driver_settle(w.d));
		assert(memory_sum(&w) == before);
	}
	net_destroy(w.n);
	(void)close(w.peer);
	return 0;
}
