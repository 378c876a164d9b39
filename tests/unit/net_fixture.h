/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_TESTS_UNIT_NET_FIXTURE_H
#define CSVVMM_TESTS_UNIT_NET_FIXTURE_H

#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net_impl.h"
#include "tests/unit/driver.h"

#define F_EVENT BIT(VIRTIO_RING_F_EVENT_IDX)
#define F_MRG	BIT(VIRTIO_NET_F_MRG_RXBUF)
#define HDR	12u

#define RX_BUF(i) (DRIVER_BUFS + (uint64_t)(i)*0x1000)
#define TX_BUF	  (DRIVER_BUFS + 0x200000)

static const uint8_t mac[6] = { 0x52, 0x54, 0, 0xab, 0xcd, 0xef };

/* A device whose link is one end of a socket pair; @peer is the other. */
struct fixture {
	struct driver *d;
	struct net *n;
	int peer;
};

/* Any frame: byte i is a function of i and @seed. */
static inline void frame_make(uint8_t *p, uint32_t len, unsigned seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 31 + (i >> 8) + seed * 7 + 1);
}

static inline void frame_check(const uint8_t *p, uint32_t len, unsigned seed)
{
	static uint8_t want[NET_BUF];

	frame_make(want, len, seed);
	assert_memory_equal(p, want, len);
}

static inline struct fixture *fixture_new(int type)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct net_link *l = calloc(1, sizeof(*l));
	int fd[2];

	assert_non_null(f);
	assert_non_null(l);
	(void)signal(SIGPIPE, SIG_IGN);
	f->d = driver_new();
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fd), 0);
	f->peer = fd[1];
	if (type == SOCK_STREAM)
		net_passt_adopt(l, fd[0]);
	else
		net_tap_adopt(l, fd[0], 0);
	assert_int_equal(net_create_link(&f->d->m, l, "test", mac, &f->n), 0);
	return f;
}

static inline int fixture_free(void **state)
{
	struct fixture *f = *state;

	net_destroy(f->n);
	driver_free(f->d);
	if (f->peer >= 0)
		(void)close(f->peer);
	free(f);
	return 0;
}

static inline void net_up(struct fixture *f, uint64_t features)
{
	driver_start(f->d, net_virtio(f->n), features, 256);
	assert_true(driver_settle(f->d));
}

static inline void rx_add(struct fixture *f, unsigned slot, uint32_t len)
{
	const struct dbuf buf = { RX_BUF(slot), len };

	(void)driver_add(f->d, NET_RXQ, &buf, 0, 1);
}

/*
 * Take one frame as a driver does. @buf_len: size of each buffer, which lie
 * at RX_BUF(slot), RX_BUF(slot + 1), ...
 *
 * Return: bytes of frame at @ret, header first; 0 when there is none
 */
static inline uint32_t rx_get(struct fixture *f, unsigned slot,
			      uint32_t buf_len, uint8_t *ret)
{
	uint32_t id, len, total = 0;
	unsigned n = 1, i;

	if (!driver_used(f->d, NET_RXQ, &id, &len))
		return 0;
	for (i = 0; i < n; i++) {
		if (i)
			assert_true(driver_used(f->d, NET_RXQ, &id, &len));
		assert_true(len <= buf_len);
		assert_int_equal(gmem_read(&f->d->m.gmem, RX_BUF(slot + i),
					   ret + total, len),
				 0);
		total += len;
		if (!i) {
			assert_true(len >= HDR);
			n = get_le16(ret + 10);
			assert_in_range(n, 1, 256);
		}
		/* [VIRTIO] 5.1.6.4.1: all but the last one are full. */
		if (i + 1 < n)
			assert_int_equal(len, buf_len);
	}
	return total;
}

/* Queue a packet: @hdr_len bytes of header, then frame number @seed. */
static inline void tx_add(struct fixture *f, uint64_t at, const void *hdr,
			  uint32_t hdr_len, uint32_t len, unsigned seed)
{
	static uint8_t frame[2 * NET_BUF];
	const struct dbuf buf[] = { { at, hdr_len }, { at + hdr_len, len } };

	frame_make(frame, len, seed);
	(void)gmem_write(&f->d->m.gmem, at, hdr, hdr_len);
	(void)gmem_write(&f->d->m.gmem, at + hdr_len, frame, len);
	(void)driver_add(f->d, NET_TXQ, buf, len ? 2 : 1, 0);
}

static inline void tx_frame(struct fixture *f, uint32_t len, unsigned seed)
{
	static const uint8_t none[HDR];

	tx_add(f, TX_BUF, none, HDR, len, seed);
}

static inline unsigned tx_done(struct fixture *f)
{
	uint32_t id, len;
	unsigned n = 0;

	while (driver_used(f->d, NET_TXQ, &id, &len)) {
		assert_int_equal(len, 0);
		n++;
	}
	return n;
}

static inline struct net_stats stats(const struct fixture *f)
{
	struct net_stats s;

	net_stats_get(f->n, &s);
	return s;
}

/* The status field of the configuration ([VIRTIO] 5.1.4). */
static inline unsigned link_status(const struct fixture *f)
{
	return get_le16(net_virtio(f->n)->config + 6);
}

#endif
