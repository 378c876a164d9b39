/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/net_fixture.h"

/*
 * The device on a link with vnet headers. The tap is one end of a socket pair
 * that keeps packet boundaries; net_tap_test.c has the real one.
 */

static uint8_t buf[4 * NET_BUF];

static int setup(void **state)
{
	*state = fixture_new(SOCK_SEQPACKET);
	return 0;
}

/* The outside sends a frame. */
static void peer_send(struct fixture *f, const struct virtio_net_hdr_v1 *h,
		      uint32_t len, unsigned seed)
{
	static uint8_t p[2 * NET_BUF];

	memset(p, 0, HDR);
	if (h)
		memcpy(p, h, HDR);
	frame_make(p + HDR, len, seed);
	assert_int_equal(send(f->peer, p, HDR + len, 0), HDR + len);
}

/* What the outside got: header and frame, or 0. */
static uint32_t peer_recv(struct fixture *f)
{
	ssize_t n = recv(f->peer, buf, sizeof(buf), MSG_DONTWAIT);

	return n < 0 ? 0 : (uint32_t)n;
}

static void test_identity(void **state)
{
	struct fixture *f = *state;
	struct virtio_dev *dev = net_virtio(f->n);

	/* [VIRTIO] 5.1.1, 5.1.2, 5.1.4 */
	assert_int_equal(dev->model->id, 1);
	assert_int_equal(dev->n_queues, 2);
	assert_memory_equal(dev->config, mac, 6);
	assert_int_equal(link_status(f), 1);
	assert_null(dev->model->config_write);
	/* MAC 5, MRG_RXBUF 15, STATUS 16; a link without offloads. */
	assert_int_equal(dev->features & 0xffffffff & ~BIT(28) & ~BIT(29),
			 BIT(5) | BIT(15) | BIT(16));
}

static void test_features_with_offloads(void **state)
{
	const struct {
		unsigned tun;
		uint64_t want;
	} c[] = {
		{ TUN_F_CSUM, BIT(0) | BIT(1) },
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
		  BIT(0) | BIT(1) | BIT(7) | BIT(8) | BIT(11) | BIT(12) },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		struct driver *d = driver_new();
		struct net_link *l = calloc(1, sizeof(*l));
		struct net *n;

		net_tap_adopt(l, eventfd(0, 0), c[i].tun);
		assert_int_equal(net_create_link(&d->m, l, "x", mac, &n), 0);
		assert_int_equal(net_virtio(n)->features & 0xfffffff &
					 ~(BIT(5) | BIT(15) | BIT(16)),
				 c[i].want);
		net_destroy(n);
		driver_free(d);
	}
}

/* One frame, one buffer, with and without mergeable buffers, event index. */
static void test_rx(void **state)
{
	struct fixture *f = *state;
	uint64_t sets[] = { 0, F_MRG, F_EVENT, F_MRG | F_EVENT };
	unsigned i, k;

	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		net_up(f, sets[i]);
		for (k = 0; k < 600; k++) {
			uint32_t len = 14 + k * 2;

			rx_add(f, k % 256, 1526);
			assert_true(driver_kick(f->d, NET_RXQ));
			peer_send(f, NULL, len, k);
			assert_true(driver_settle(f->d));
			assert_int_equal(rx_get(f, k % 256, 1526, buf),
					 HDR + len);
			/* [VIRTIO] 5.1.6.3.2: num_buffers is 1, flags 0. */
			assert_int_equal(get_le16(buf + 10), 1);
			assert_int_equal(buf[0], 0);
			frame_check(buf + HDR, len, k);
		}
		assert_int_equal(f->d->q[NET_RXQ].irqs, 600);
	}
	assert_int_equal(stats(f).rx, 4 * 600);
	assert_int_equal(stats(f).rx_dropped, 0);
}

/* A header that is spread over segments, also empty ones. */
static void test_rx_split_header(void **state)
{
	struct fixture *f = *state;
	const struct dbuf seg[] = {
		{ RX_BUF(0), 7 }, { RX_BUF(1), 0 },	{ RX_BUF(2), 4 },
		{ RX_BUF(3), 1 }, { RX_BUF(4) - 1, 3 }, { RX_BUF(5), 2000 },
	};
	uint64_t map[DRIVER_RAM / 4096 / 64] = { 0 };
	uint32_t id, len;
	uint8_t *p = buf;
	unsigned i;

	net_up(f, 0);
	gmem_dirty_fetch(&f->d->m.gmem, 0, map);
	(void)gmem_fill(&f->d->m.gmem, RX_BUF(0), 0xee, 0x8000);
	(void)driver_add(f->d, NET_RXQ, seg, 0, ARRAY_SIZE(seg));
	gmem_dirty_fetch(&f->d->m.gmem, 0, map);
	peer_send(f, NULL, 103, 5);
	assert_true(driver_kick(f->d, NET_RXQ));
	assert_true(driver_used(f->d, NET_RXQ, &id, &len));
	assert_int_equal(len, HDR + 103);
	for (i = 0; i < ARRAY_SIZE(seg); i++) {
		(void)gmem_read(&f->d->m.gmem, seg[i].gpa, p, seg[i].len);
		p += seg[i].len;
	}
	assert_int_equal(get_le16(buf + 10), 1);
	frame_check(buf + HDR, 103, 5);
	/* Nothing behind the frame, and each page it touched is dirty. */
	assert_int_equal(buf[HDR + 103], 0xee);
	memset(map, 0, sizeof(map));
	gmem_dirty_fetch(&f->d->m.gmem, 0, map);
	(void)gmem_fill(&f->d->m.gmem, RX_BUF(0), 0, 1);
	assert_int_equal(map[RX_BUF(0) / 4096 / 64] & 0x3f, 0x3f & ~2);
}

/* Mergeable: the whole frame is published at once, or nothing of it. */
static void test_rx_merge(void **state)
{
	struct fixture *f = *state;
	const uint32_t sizes[] = { 1500 * 3 - HDR, 1500 * 3 - HDR + 1, 9000,
				   65549, NET_FRAME_MAX };
	unsigned i, k, need;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		net_up(f, i % 2 ? F_MRG | F_EVENT : F_MRG);
		need = (sizes[i] + HDR + 1499) / 1500;
		peer_send(f, NULL, sizes[i], i);
		for (k = 0; k < need; k++) {
			assert_true(driver_settle(f->d));
			assert_int_equal(driver_used_idx(f->d, NET_RXQ), 0);
			rx_add(f, k, 1500);
			assert_true(driver_kick(f->d, NET_RXQ));
		}
		assert_int_equal(driver_used_idx(f->d, NET_RXQ), need);
		assert_int_equal(f->d->q[NET_RXQ].irqs, 1);
		assert_int_equal(rx_get(f, 0, 1500, buf), HDR + sizes[i]);
		assert_int_equal(get_le16(buf + 10), need);
		frame_check(buf + HDR, sizes[i], i);
	}
}

/* The same with all buffers there before, and another frame behind. */
static void test_rx_merge_ready(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	net_up(f, F_MRG | F_EVENT);
	for (i = 0; i < 256; i++)
		rx_add(f, i, 700);
	peer_send(f, NULL, 20000, 1);
	peer_send(f, NULL, 60, 2);
	peer_send(f, NULL, 701, 3);
	assert_true(driver_kick(f->d, NET_RXQ));
	assert_int_equal(rx_get(f, 0, 700, buf), HDR + 20000);
	frame_check(buf + HDR, 20000, 1);
	assert_int_equal(rx_get(f, 29, 700, buf), HDR + 60);
	frame_check(buf + HDR, 60, 2);
	assert_int_equal(rx_get(f, 30, 700, buf), HDR + 701);
	frame_check(buf + HDR, 701, 3);
	assert_int_equal(driver_used_idx(f->d, NET_RXQ), 32);
}

/* Without MRG_RXBUF a frame that does not fit is dropped, buffers are kept. */
static void test_rx_too_small(void **state)
{
	struct fixture *f = *state;

	net_up(f, 0);
	rx_add(f, 0, 200);
	rx_add(f, 1, 200);
	peer_send(f, NULL, 189, 1);
	peer_send(f, NULL, 60000, 2);
	peer_send(f, NULL, 188, 3);
	assert_true(driver_kick(f->d, NET_RXQ));
	assert_int_equal(driver_used_idx(f->d, NET_RXQ), 1);
	assert_int_equal(rx_get(f, 0, 200, buf), 200);
	frame_check(buf + HDR, 188, 3);
	assert_int_equal(stats(f).rx_dropped, 2);
	peer_send(f, NULL, 20, 4);
	assert_true(driver_settle(f->d));
	assert_int_equal(rx_get(f, 1, 200, buf), 32);
	frame_check(buf + HDR, 20, 4);
}

/* All 256 buffers together are too small: drop, and give none away. */
static void test_rx_tiny_buffers(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	net_up(f, F_MRG);
	for (i = 0; i < 256; i++)
		rx_add(f, i, HDR);
	peer_send(f, NULL, 256 * HDR - HDR + 1, 1);
	assert_true(driver_kick(f->d, NET_RXQ));
	assert_int_equal(driver_used_idx(f->d, NET_RXQ), 0);
	assert_int_equal(stats(f).rx_dropped, 1);
	peer_send(f, NULL, 256 * HDR - HDR, 2);
	assert_true(driver_settle(f->d));
	assert_int_equal(rx_get(f, 0, HDR, buf), 256 * HDR);
	frame_check(buf + HDR, 255 * HDR, 2);
}

/* What is no frame, or is longer than any, never reaches the guest. */
static void test_rx_bad_length(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	net_up(f, F_MRG);
	for (i = 0; i < 100; i++)
		rx_add(f, i, 1526);
	peer_send(f, NULL, 0, 1);
	peer_send(f, NULL, 13, 1);
	peer_send(f, NULL, NET_FRAME_MAX + 1, 1);
	peer_send(f, NULL, NET_FRAME_MAX + 3000, 1);
	peer_send(f, NULL, 14, 2);
	assert_true(driver_kick(f->d, NET_RXQ));
	assert_int_equal(driver_used_idx(f->d, NET_RXQ), 1);
	assert_int_equal(rx_get(f, 0, 1526, buf), HDR + 14);
	frame_check(buf + HDR, 14, 2);
	assert_int_equal(stats(f).rx_dropped, 4);
}

/* [VIRTIO] 5.1.6.3.1: each buffer at least as long as the header. */
static void test_rx_no_room_for_header(void **state)
{
	struct fixture *f = *state;
	const struct dbuf out = { RX_BUF(0), 2000 };
	unsigned i;

	for (i = 0; i < 4; i++) {
		net_up(f, F_MRG);
		if (i == 1)
			(void)driver_add(f->d, NET_RXQ, &out, 1, 0);
		else if (i < 2)
			rx_add(f, 0, HDR - 1);
		else
			rx_add(f, 0, HDR);
		if (i >= 2)
			rx_add(f, 1, i == 2 ? 0 : HDR - 1);
		peer_send(f, NULL, 100, 1);
		assert_true(driver_kick(f->d, NET_RXQ));
		assert_true(driver_needs_reset(f->d));
		assert_int_equal(driver_used_idx(f->d, NET_RXQ), 0);
	}
	/* VMM and link are well, and a reset helps. */
	while (recv(f->n->link->fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	net_up(f, F_MRG);
	rx_add(f, 0, 1526);
	peer_send(f, NULL, 100, 9);
	assert_true(driver_kick(f->d, NET_RXQ));
	assert_int_equal(rx_get(f, 0, 1526, buf), HDR + 100);
}

/* Without buffers nothing spins, and nothing is taken off the link. */
static void test_rx_no_buffers(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	net_up(f, F_MRG | F_EVENT);
	for (i = 0; i < 5; i++)
		peer_send(f, NULL, 100 + i, i);
	assert_true(driver_poll(f->d, DRIVER_QUIET) < 10);
	assert_int_equal(driver_poll(f->d, DRIVER_QUIET), 0);
	for (i = 0; i < 5; i++) {
		rx_add(f, i, 1526);
		assert_true(driver_kick_wanted(f->d, NET_RXQ));
		assert_true(driver_kick(f->d, NET_RXQ));
		assert_int_equal(rx_get(f, i, 1526, buf), HDR + 100 + i);
		frame_check(buf + HDR, 100 + i, i);
	}
}

/* A flood leaves the other sources their turn. */
static void test_rx_budget(void **state)
{
	struct fixture *f = *state;
	unsigned i, n;

	net_up(f, F_MRG);
	for (i = 0; i < 256; i++)
		rx_add(f, i, 100);
	for (n = 0; n < 200; n++) {
		memset(buf, 0, HDR + 14);
		if (send(f->peer, buf, HDR + 14, MSG_DONTWAIT) < 0)
			break;
	}
	assert_true(n > 70);
	virtio_kick(f->d->dev, NET_RXQ);
	assert_int_equal(driver_poll(f->d, 1), 1);
	assert_in_range(driver_used_idx(f->d, NET_RXQ), 1, 64);
	assert_true(driver_settle(f->d));
	assert_int_equal(driver_used_idx(f->d, NET_RXQ), n);
}

/* Frames that this driver did not ask for: left over from another one. */
static void test_rx_offloads_not_negotiated(void **state)
{
	struct fixture *f = *state;
	struct virtio_net_hdr_v1 h = { .flags = VIRTIO_NET_HDR_F_DATA_VALID };

	net_up(f, F_MRG);
	rx_add(f, 0, 1526);
	peer_send(f, &h, 100, 1);
	assert_true(driver_kick(f->d, NET_RXQ));
	assert_int_equal(rx_get(f, 0, 1526, buf), HDR + 100);
	/* [VIRTIO] 5.1.6.4.1: flags are 0 without GUEST_CSUM. */
	assert_int_equal(buf[0], 0);

	rx_add(f, 1, 1526);
	h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	peer_send(f, &h, 100, 1);
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	peer_send(f, &h, 100, 1);
	h.flags = 0;
	peer_send(f, &h, 100, 1);
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	peer_send(f, &h, 100, 1);
	h.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	peer_send(f, &h, 100, 1);
	assert_true(driver_kick(f->d, NET_RXQ));
	assert_int_equal(driver_used_idx(f->d, NET_RXQ), 1);
	assert_int_equal(stats(f).rx_dropped, 5);
}

static void test_tx(void **state)
{
	struct fixture *f = *state;
	unsigned round, k;

	for (round = 0; round < 2; round++) {
		net_up(f, round ? F_EVENT : 0);
		for (k = 0; k < 600; k++) {
			uint32_t len = k ? 14 + k * 2 : NET_FRAME_MAX;

			tx_frame(f, len, k);
			assert_true(driver_kick(f->d, NET_TXQ));
			assert_int_equal(tx_done(f), 1);
			assert_int_equal(peer_recv(f), HDR + len);
			frame_check(buf + HDR, len, k);
		}
	}
	assert_int_equal(stats(f).tx, 1200);
}

/* More than one turn's worth, header and frame in many pieces. */
static void test_tx_batch(void **state)
{
	struct fixture *f = *state;
	struct dbuf seg[30];
	unsigned i;

	net_up(f, F_EVENT);
	frame_make(buf, 18, 3);
	(void)gmem_fill(&f->d->m.gmem, TX_BUF, 0, HDR);
	(void)gmem_write(&f->d->m.gmem, TX_BUF + HDR, buf, 18);
	for (i = 0; i < 30; i++)
		seg[i] = (struct dbuf){ TX_BUF + i, 1 };
	(void)driver_add(f->d, NET_TXQ, seg, 30, 0);
	assert_true(driver_kick(f->d, NET_TXQ));
	assert_int_equal(peer_recv(f), 30);
	frame_check(buf + HDR, 18, 3);
	assert_int_equal(tx_done(f), 1);

	for (i = 0; i < 100; i++)
		tx_frame(f, 60, 1);
	virtio_kick(f->d->dev, NET_TXQ);
	assert_int_equal(driver_poll(f->d, 1), 1);
	assert_in_range(tx_done(f), 1, 64);
	for (i = 0; i < 100; i++) {
		assert_true(driver_settle(f->d));
		assert_int_equal(peer_recv(f), HDR + 60);
	}
	assert_int_equal(peer_recv(f), 0);
}

static void check_tx_dropped(struct fixture *f, const void *hdr,
			     uint32_t hdr_len, uint32_t len)
{
	uint64_t before = stats(f).tx_dropped;

	tx_add(f, TX_BUF, hdr, hdr_len, len, 1);
	assert_true(driver_kick(f->d, NET_TXQ));
	assert_int_equal(tx_done(f), 1);
	assert_int_equal(peer_recv(f), 0);
	assert_int_equal(stats(f).tx_dropped, before + 1);
	assert_false(driver_needs_reset(f->d));
}

static void test_tx_bad_length(void **state)
{
	struct fixture *f = *state;
	const struct dbuf huge[] = { { TX_BUF, 100 },
				     { DRIVER_BUFS, MIB(2) },
				     { DRIVER_BUFS, MIB(2) } };
	const struct dbuf in = { TX_BUF, 100 };
	uint8_t none[HDR] = { 0 };
	uint32_t i;

	net_up(f, 0);
	for (i = 1; i <= HDR; i++)
		check_tx_dropped(f, none, i, 0);
	for (i = 1; i < 14; i++)
		check_tx_dropped(f, none, HDR, i);
	check_tx_dropped(f, none, HDR, NET_FRAME_MAX + 1);
	(void)driver_add(f->d, NET_TXQ, huge, 3, 0);
	(void)driver_add(f->d, NET_TXQ, &in, 0, 1);
	assert_true(driver_kick(f->d, NET_TXQ));
	assert_int_equal(tx_done(f), 2);
	assert_int_equal(peer_recv(f), 0);
}

#define NEEDS VIRTIO_NET_HDR_F_NEEDS_CSUM
#define TCP4  VIRTIO_NET_HDR_GSO_TCPV4
#define TCP6  VIRTIO_NET_HDR_GSO_TCPV6

/* Device with all offloads, as far as features and headers go. */
static void offer_offloads(struct fixture *f, uint64_t features)
{
	net_virtio(f->n)->features |= features;
	net_up(f, features);
}

static void test_tx_hostile_header(void **state)
{
	struct fixture *f = *state;
	const struct virtio_net_hdr_v1 bad[] = {
		{ .flags = NEEDS, .csum_start = 87, .csum_offset = 12 },
		{ .flags = NEEDS, .csum_start = 0xffff, .csum_offset = 0xffff },
		{ .flags = NEEDS, .csum_start = 1, .csum_offset = 0xffff },
		{ .flags = NEEDS, .gso_type = TCP4, .gso_size = 0 },
		{ .flags = 0, .gso_type = TCP4, .gso_size = 50 },
		{ .flags = NEEDS, .gso_type = TCP6, .gso_size = 50 },
		{ .flags = NEEDS, .gso_type = TCP4, .gso_size = 50, .hdr_len = 101 },
		{ .flags = NEEDS, .gso_type = TCP4 | 0x80, .gso_size = 50 },
		{ .gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 50 },
		{ .flags = NEEDS, .gso_type = 5, .gso_size = 50 },
		{ .gso_type = 0xff },
	};
	unsigned i;

	/* CSUM and HOST_TSO4, not HOST_TSO6. */
	offer_offloads(f, BIT(0) | BIT(11));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		check_tx_dropped(f, &bad[i], HDR, 100);
}

static void test_tx_not_negotiated(void **state)
{
	struct fixture *f = *state;
	const struct virtio_net_hdr_v1 csum = { .flags = NEEDS };
	const struct virtio_net_hdr_v1 tso = { .flags = NEEDS,
					       .gso_type = TCP4,
					       .gso_size = 50 };

	net_up(f, 0);
	check_tx_dropped(f, &csum, HDR, 100);
	check_tx_dropped(f, &tso, HDR, 100);
	offer_offloads(f, BIT(0));
	check_tx_dropped(f, &tso, HDR, 100);
}

/* What the host gets of a header: only what means something. */
static void test_tx_header(void **state)
{
	struct fixture *f = *state;
	const struct virtio_net_hdr_v1 noise = {
		.flags = 0xfe,
		.hdr_len = 0xffff,
		.gso_size = 0xffff,
		.csum_start = 0xffff,
		.csum_offset = 0xffff,
		.num_buffers = 0xffff,
	};
	const struct virtio_net_hdr_v1 tso = {
		.flags = NEEDS,
		.gso_type = TCP4,
		.gso_size = 1448,
		.hdr_len = 66,
		.csum_start = 34,
		.csum_offset = 16,
	};
	const uint8_t zero[HDR] = { 0 };

	offer_offloads(f, BIT(0) | BIT(11));
	tx_add(f, TX_BUF, &noise, HDR, 100, 1);
	assert_true(driver_kick(f->d, NET_TXQ));
	assert_int_equal(peer_recv(f), HDR + 100);
	assert_memory_equal(buf, zero, HDR);
	tx_add(f, TX_BUF, &tso, HDR, 60000, 2);
	assert_true(driver_kick(f->d, NET_TXQ));
	assert_int_equal(peer_recv(f), HDR + 60000);
	assert_memory_equal(buf, &tso, HDR);
	frame_check(buf + HDR, 60000, 2);
}

/* A link that takes no more: chains wait in the ring, in order, none lost. */
static void test_tx_backpressure(void **state)
{
	struct fixture *f = *state;
	unsigned i, done, got = 0;

	net_up(f, F_EVENT);
	for (i = 0; i < 100; i++)
		tx_add(f, TX_BUF + i * 0x1000, (uint8_t[HDR]){ 0 }, HDR, 4000, i);
	assert_true(driver_kick(f->d, NET_TXQ));
	done = tx_done(f);
	assert_in_range(done, 1, 99);
	assert_int_equal(driver_poll(f->d, 10), 0);
	/* A kick meanwhile changes nothing. */
	virtio_kick(f->d->dev, NET_TXQ);
	assert_true(driver_settle(f->d));
	assert_int_equal(tx_done(f), 0);
	while (got < 100) {
		assert_int_equal(peer_recv(f), HDR + 4000);
		frame_check(buf + HDR, 4000, got);
		got++;
		assert_true(driver_settle(f->d));
		done += tx_done(f);
	}
	assert_int_equal(done, 100);
	assert_int_equal(stats(f).tx, 100);
	assert_int_equal(stats(f).tx_dropped, 0);
}

/* The other side is gone: the guest sees its link go down and lives on. */
static void test_link_down(void **state)
{
	struct fixture *f = *state;
	uint8_t gen = net_virtio(f->n)->config_generation;
	unsigned i;

	net_up(f, F_MRG);
	rx_add(f, 0, 1526);
	(void)close(f->peer);
	f->peer = -1;
	assert_true(driver_settle(f->d));
	assert_int_equal(link_status(f), 0);
	assert_false(stats(f).link_up);
	assert_int_equal(f->d->config_irqs, 1);
	assert_int_not_equal(net_virtio(f->n)->config_generation, gen);
	assert_false(driver_needs_reset(f->d));
	for (i = 0; i < 100; i++)
		tx_frame(f, 60, i);
	assert_true(driver_kick(f->d, NET_TXQ));
	assert_int_equal(tx_done(f), 100);
	assert_int_equal(stats(f).tx_dropped, 100);
	/* The driver may start anew; the link stays down. */
	net_up(f, F_MRG);
	rx_add(f, 0, 1526);
	assert_true(driver_kick(f->d, NET_RXQ));
	tx_frame(f, 60, 1);
	assert_true(driver_kick(f->d, NET_TXQ));
	assert_int_equal(tx_done(f), 1);
	assert_int_equal(link_status(f), 0);
}

/* The link goes while no driver runs, while rx is off, while tx waits. */
static void test_link_down_when(void **state)
{
	struct fixture *f = *state;
	unsigned when;

	(void)state;
	for (when = 0; when < 3; when++) {
		if (when) {
			(void)fixture_free(state);
			*state = fixture_new(SOCK_SEQPACKET);
			f = *state;
			net_up(f, F_MRG | F_EVENT);
		}
		if (when == 1)
			peer_send(f, NULL, 100, 1); /* no buffer for it */
		for (unsigned i = 0; when == 2 && i < 100; i++)
			tx_frame(f, 60000, 1);
		if (when == 2)
			assert_true(driver_kick(f->d, NET_TXQ));
		(void)close(f->peer);
		f->peer = -1;
		assert_true(driver_settle(f->d));
		assert_int_equal(link_status(f), 0);
		if (when == 2)
			assert_int_equal(tx_done(f), 100);
	}
}

/* After stop() nothing touches guest memory, whatever was under way. */
static void test_stop(void **state)
{
	struct fixture *f = *state;
	static uint8_t before[DRIVER_RAM], after[DRIVER_RAM];

	net_up(f, F_MRG);
	rx_add(f, 0, 1526);
	peer_send(f, NULL, 5000, 1);
	assert_true(driver_kick(f->d, NET_RXQ));
	virtio_set_status(f->d->dev, 0);
	(void)gmem_read(&f->d->m.gmem, 0, before, sizeof(before));
	peer_send(f, NULL, 100, 2);
	virtio_kick(f->d->dev, NET_RXQ);
	virtio_kick(f->d->dev, NET_TXQ);
	assert_true(driver_settle(f->d));
	(void)gmem_read(&f->d->m.gmem, 0, after, sizeof(after));
	assert_memory_equal(before, after, sizeof(after));
	/* The half-delivered frame is gone, the next one is whole. */
	net_up(f, F_MRG);
	rx_add(f, 0, 1526);
	assert_true(driver_kick(f->d, NET_RXQ));
	assert_int_equal(rx_get(f, 0, 1526, buf), HDR + 100);
	frame_check(buf + HDR, 100, 2);
}

/* Bad rings: the queue stops, the device says so, nothing else happens. */
static void test_bad_rings(void **state)
{
	struct fixture *f = *state;
	const struct dbuf outside = { DRIVER_RAM - 10, 1526 };
	unsigned q;

	for (q = 0; q < 2; q++) {
		net_up(f, F_MRG);
		(void)driver_add(f->d, q, &outside, q == 1, q == 0);
		peer_send(f, NULL, 100, 1);
		assert_true(driver_kick(f->d, q));
		assert_true(driver_needs_reset(f->d));
		assert_int_equal(f->d->config_irqs, 1);
		virtio_kick(f->d->dev, NET_TXQ);
		virtio_kick(f->d->dev, NET_RXQ);
		assert_true(driver_settle(f->d));
		assert_int_equal(link_status(f), 1);
	}
}

/* Only one queue set up, or none: allowed, and must not spin or crash. */
static void test_queue_not_enabled(void **state)
{
	struct fixture *f = *state;
	struct virtio_dev *dev = net_virtio(f->n);

	dev->transport = &driver_transport;
	virtio_set_status(dev, 3);
	dev->acked = BIT(VIRTIO_F_VERSION_1);
	virtio_set_status(dev, 11);
	virtio_set_status(dev, 15);
	peer_send(f, NULL, 100, 1);
	virtio_kick(dev, NET_RXQ);
	virtio_kick(dev, NET_TXQ);
	assert_true(driver_poll(f->d, DRIVER_QUIET) < 10);
}

static int fake_result;
static unsigned fake_flags;

static int fake_offload(struct net_link *l, unsigned flags)
{
	(void)l;
	fake_flags = flags;
	return fake_result;
}

/* What the driver accepted is what the tap is told at start. */
static void test_offload_at_start(void **state)
{
	struct fixture *f = *state;
	const struct {
		uint64_t features;
		unsigned want;
	} c[] = {
		{ 0, 0 },
		{ BIT(1), TUN_F_CSUM },
		{ BIT(1) | BIT(7), TUN_F_CSUM | TUN_F_TSO4 },
		{ BIT(1) | BIT(8), TUN_F_CSUM | TUN_F_TSO6 },
		/* [VIRTIO] 5.1.3.1 forbids it: as if it were not there. */
		{ BIT(7) | BIT(8), 0 },
		/* HOST_* are the driver's own sending. */
		{ BIT(0) | BIT(11) | BIT(12), 0 },
	};
	struct net_link_ops ops = *f->n->link->ops;
	unsigned i;

	ops.offload = fake_offload;
	f->n->link->ops = &ops;
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		fake_flags = ~0u;
		offer_offloads(f, c[i].features);
		assert_int_equal(fake_flags, c[i].want);
	}
	/* With GUEST_TSO4 a large segment arrives with its header. */
	offer_offloads(f, F_MRG | BIT(1) | BIT(7));
	for (i = 0; i < 50; i++)
		rx_add(f, i, 1526);
	peer_send(f,
		  &(struct virtio_net_hdr_v1){ .flags = NEEDS,
					       .gso_type = TCP4,
					       .gso_size = 1448,
					       .hdr_len = 66 },
		  30000, 1);
	assert_true(driver_kick(f->d, NET_RXQ));
	assert_int_equal(rx_get(f, 0, 1526, buf), HDR + 30000);
	assert_int_equal(buf[0], NEEDS);
	assert_int_equal(buf[1], TCP4);
	assert_int_equal(get_le16(buf + 4), 1448);
	/* The tap was taken away: no reason to fail the driver. */
	fake_result = -EBADFD;
	offer_offloads(f, 0);
	assert_int_equal(link_status(f), 0);
	assert_false(driver_needs_reset(f->d));
	assert_true(driver_settle(f->d));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_identity),
		cmocka_unit_test(test_features_with_offloads),
		T(test_rx),
		T(test_rx_split_header),
		T(test_rx_merge),
		T(test_rx_merge_ready),
		T(test_rx_too_small),
		T(test_rx_tiny_buffers),
		T(test_rx_bad_length),
		T(test_rx_no_room_for_header),
		T(test_rx_no_buffers),
		T(test_rx_budget),
		T(test_rx_offloads_not_negotiated),
		T(test_tx),
		T(test_tx_batch),
		T(test_tx_bad_length),
		T(test_tx_hostile_header),
		T(test_tx_not_negotiated),
		T(test_tx_header),
		T(test_tx_backpressure),
		T(test_link_down),
		T(test_link_down_when),
		T(test_stop),
		T(test_bad_rings),
		T(test_queue_not_enabled),
		T(test_offload_at_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
