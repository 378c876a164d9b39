/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtio devices move in the middle of a driver's conversation. */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/blk.h"
#include "devices/console.h"
#include "devices/disk.h"
#include "devices/net_impl.h"
#include "devices/rng.h"
#include "tests/unit/driver.h"
#include "tests/unit/move.h"

#define F_EVENT BIT(VIRTIO_RING_F_EVENT_IDX)

/* One of the two machines, with one device. */
struct side {
	struct driver *d;
	struct virtio_dev *dev;
	struct rng rng;
	struct chardev cd;
	struct console con;
	int in, out; /* console: keys, output. net: out is the wire */
	struct net *net;
	struct disk disk;
	struct blk *blk;
};

static struct side a, b;
static char disk_path[64];

static void side_open(struct side *s)
{
	*s = (struct side){ .d = driver_new(), .in = -1, .out = -1 };
}

static void side_close(struct side *s)
{
	if (s->dev == &s->rng.virtio)
		rng_fini(&s->rng);
	if (s->dev == &s->con.virtio) {
		console_fini(&s->con);
		chardev_fini(&s->cd);
	}
	net_destroy(s->net);
	if (s->blk) {
		blk_destroy(s->blk);
		disk_close(&s->disk);
	}
	util_close(&s->in);
	util_close(&s->out);
	/* Whoever came went. */
	assert_int_equal(s->d->m.snap.n, 0);
	driver_free(s->d);
	s->d = NULL;
}

static int setup(void **state)
{
	(void)state;
	side_open(&a);
	side_open(&b);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	side_close(&a);
	side_close(&b);
	if (disk_path[0])
		(void)unlink(disk_path);
	disk_path[0] = '\0';
	return 0;
}

/* Everything but the thaw. @b must not do a thing before it. */
static void move_loaded(void)
{
	move_save(&a.d->m);
	move_ram(&a.d->m, &b.d->m);
	b.d->dev = b.dev;
	b.dev->transport = &driver_transport;
	memcpy(b.d->q, a.d->q, sizeof(b.d->q));
	move_load(&b.d->m);
	assert_true(driver_settle(b.d));
}

static void move(void)
{
	unsigned i;

	move_loaded();
	snap_thaw_all(&b.d->m.snap);
	assert_true(driver_settle(b.d));
	/* An interrupt that was on its way is repeated. */
	for (i = 0; i < b.dev->n_queues; i++)
		assert_true(b.d->q[i].irqs > a.d->q[i].irqs);
}

static void check_same_ram(uint64_t at, uint32_t len)
{
	uint8_t x[512], y[512];

	for (; len; at += 512, len -= MIN(len, 512u)) {
		assert_int_equal(gmem_read(&a.d->m.gmem, at, x, 512), 0);
		assert_int_equal(gmem_read(&b.d->m.gmem, at, y, 512), 0);
		assert_memory_equal(x, y, 512);
	}
}

/* --- rng: the plainest device --- */

static void rng_side(struct side *s)
{
	assert_int_equal(rng_init(&s->rng, &s->d->m), 0);
	s->dev = &s->rng.virtio;
}

static void rng_ask(struct side *s)
{
	const struct dbuf buf = { DRIVER_BUFS, 32 };

	(void)driver_add(s->d, 0, &buf, 0, 1);
}

static void rng_answered(struct side *s)
{
	uint32_t id, len;

	assert_true(driver_used(s->d, 0, &id, &len));
	assert_int_equal(len, 32);
}

static void rng_goes_on(uint64_t features)
{
	unsigned i;

	rng_side(&a);
	rng_side(&b);
	driver_start(a.d, a.dev, features, 8);
	/* More than once around a ring of 8. */
	for (i = 0; i < 13; i++) {
		rng_ask(&a);
		assert_true(driver_kick(a.d, 0));
		rng_answered(&a);
	}
	/* Rung, but the device has not looked: the bell does not travel. */
	rng_ask(&a);
	virtio_kick(a.dev, 0);
	a.d->q[0].kicked = a.d->q[0].avail;
	move();
	rng_answered(&b);
	for (i = 0; i < 13; i++) {
		rng_ask(&b);
		assert_true(driver_kick(b.d, 0));
		rng_answered(&b);
	}
	assert_int_equal(driver_used_idx(b.d, 0), 27);
	assert_int_equal(driver_used_idx(a.d, 0), 13);
	assert_false(driver_needs_reset(b.d));
}

static void test_rng(void **state)
{
	(void)state;
	rng_goes_on(0);
}

static void test_rng_event(void **state)
{
	(void)state;
	rng_goes_on(F_EVENT);
}

/* The source changes its mind: nothing is lost, nothing done twice. */
static void test_cancel(void **state)
{
	(void)state;
	rng_side(&a);
	rng_side(&b);
	driver_start(a.d, a.dev, F_EVENT, 8);
	rng_ask(&a);
	virtio_kick(a.dev, 0);
	move_save(&a.d->m);
	/* The bell is heard while nothing may be done. */
	assert_true(driver_settle(a.d));
	assert_int_equal(driver_used_idx(a.d, 0), 0);
	snap_thaw_all(&a.d->m.snap);
	assert_true(driver_settle(a.d));
	rng_answered(&a);
	assert_int_equal(driver_used_idx(a.d, 0), 1);
	assert_int_equal(a.d->q[0].irqs, 1);
	/* Twice is as good as once; and it can be moved later. */
	snap_thaw_all(&a.d->m.snap);
	rng_ask(&a);
	assert_true(driver_kick(a.d, 0));
	rng_answered(&a);
	rng_ask(&a);
	move();
	rng_answered(&b);
}

/* Not frozen: guest memory might still change. */
static void test_not_frozen(void **state)
{
	size_t len;

	(void)state;
	rng_side(&a);
	rng_side(&b);
	driver_start(a.d, a.dev, 0, 8);
	assert_int_equal(snap_save_all(&a.d->m.snap, move_bytes,
				       sizeof(move_bytes), &len, &move_err),
			 -EBUSY);
}

/* A driver that has only begun, and one that broke its device. */
static void test_states(void **state)
{
	static const uint8_t steps[] = { 0, 1, 1 | 2, 1 | 2 | 8, 1 | 128 };
	unsigned i;

	(void)state;
	rng_side(&a);
	rng_side(&b);
	for (i = 0; i < sizeof(steps); i++) {
		virtio_set_status(a.dev, 0);
		a.dev->acked = BIT(VIRTIO_F_VERSION_1) | F_EVENT;
		virtio_set_status(a.dev, steps[i]);
		a.dev->queue[0].vq.size = 16;
		a.dev->queue[0].vq.desc = 0x123456789000ULL; /* not checked yet */
		move_loaded();
		snap_thaw_all(&b.d->m.snap);
		snap_thaw_all(&a.d->m.snap);
		assert_true(driver_settle(b.d));
		assert_int_equal(b.dev->status, steps[i]);
		assert_int_equal(b.dev->queue[0].vq.size, 16);
		assert_true(b.dev->queue[0].vq.desc == 0x123456789000ULL);
		assert_true(b.dev->acked == a.dev->acked);
		assert_false(b.dev->started);
		assert_int_equal(b.d->q[0].irqs, 0);
	}
}

static void test_broken(void **state)
{
	const struct dbuf bad = { DRIVER_RAM, 8 };
	uint32_t id, len;

	(void)state;
	rng_side(&a);
	rng_side(&b);
	driver_start(a.d, a.dev, 0, 8);
	(void)driver_add(a.d, 0, &bad, 0, 1);
	assert_true(driver_kick(a.d, 0));
	assert_true(driver_needs_reset(a.d));
	move_loaded();
	snap_thaw_all(&b.d->m.snap);
	assert_true(driver_needs_reset(b.d));
	rng_ask(&b);
	virtio_kick(b.dev, 0);
	assert_true(driver_settle(b.d));
	assert_false(driver_used(b.d, 0, &id, &len));
	/* A reset heals it here, too. */
	driver_start(b.d, b.dev, 0, 8);
	rng_ask(&b);
	assert_true(driver_kick(b.d, 0));
	rng_answered(&b);
}

/* Rings that are not RAM here: the driver must reset, the VMM goes on. */
static void test_rings_outside(void **state)
{
	(void)state;
	rng_side(&a);
	rng_side(&b);
	driver_start(a.d, a.dev, 0, 8);
	a.dev->queue[0].vq.desc = DRIVER_RAM;
	move_loaded();
	snap_thaw_all(&b.d->m.snap);
	assert_true(driver_needs_reset(b.d));
	assert_int_equal(b.d->config_irqs, 1);
	assert_false(b.dev->started);
}

static void refused(const char *item, size_t off, uint8_t v, const char *words)
{
	assert_int_equal(move_load_with(&b.d->m, move_item(item, 0) + off, v),
			 -EPROTO);
	if (!strstr(move_err.text, words))
		fail_msg("\"%s\" does not say \"%s\"", move_err.text, words);
}

/* Offsets in the state of a device: core/snap.h and devices/virtio_snap.c. */
enum { ID = 0, OFFERED = 2, ACKED = 10, STATUS = 18, CONFIG_LEN = 20 };
/* ... when there is no configuration (rng) */
enum { QUEUES = 24, ENABLED = 26, SIZE = 27 };

static void test_refused(void **state)
{
	(void)state;
	rng_side(&a);
	rng_side(&b);
	driver_start(a.d, a.dev, F_EVENT, 8);
	move_save(&a.d->m);
	refused("rng", ID, 2, "rng 0: device ID: 2 there, 4 here");
	refused("rng", OFFERED, 1, "rng 0: features: 0x1, which this host");
	refused("rng", OFFERED + 7, 0x80, "rng 0: features:");
	refused("rng", ACKED, 1, "rng 0: driver's features");
	refused("rng", ACKED + 4, 0, "rng 0: driver's features"); /* VERSION_1 */
	refused("rng", STATUS, 0x10, "rng 0: status: 0x10");
	refused("rng", STATUS, 1 | 2 | 4, "rng 0: status: 0x7: DRIVER_OK");
	refused("rng", CONFIG_LEN, 1, "rng 0: configuration length: 1 there");
	refused("rng", CONFIG_LEN + 3, 255, "rng 0: configuration length");
	refused("rng", QUEUES, 0, "rng 0: queues: 0 there, 1 here");
	refused("rng", QUEUES + 1, 255, "rng 0: queues");
	refused("rng", ENABLED, 2, "rng 0: queue enabled");
	refused("rng", SIZE, 7, "rng 0: queue size: 7");
	refused("rng", SIZE, 0, "rng 0: queue size: 0");
	refused("rng", SIZE, 128, "rng 0: queue size: 128");
}

/* An encrypted guest's devices never start without it. */
static void test_access_platform(void **state)
{
	(void)state;
	rng_side(&a);
	rng_side(&b);
	driver_start(a.d, a.dev, 0, 8);
	move_save(&a.d->m);
	b.dev->must_access_platform = true;
	move_refused(&b.d->m);
}

/* --- console --- */

static void console_side(struct side *s)
{
	int saved[2] = { fcntl(0, F_DUPFD_CLOEXEC, 100),
			 fcntl(1, F_DUPFD_CLOEXEC, 100) };
	int in[2], out[2], r;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	(void)fcntl(out[0], F_SETPIPE_SZ, 1 << 20);
	(void)dup2(in[0], 0);
	(void)dup2(out[1], 1);
	r = chardev_init(&s->cd, &s->d->m, CHARDEV_STDIO, NULL);
	(void)dup2(saved[0], 0);
	(void)dup2(saved[1], 1);
	assert_int_equal(r, 0);
	(void)close(saved[0]);
	(void)close(saved[1]);
	(void)close(in[0]);
	(void)close(out[1]);
	s->in = in[1];
	s->out = out[0];
	assert_int_equal(console_init(&s->con, &s->d->m, &s->cd), 0);
	s->dev = &s->con.virtio;
}

static void type(struct side *s, const char *keys)
{
	assert_int_equal(write(s->in, keys, strlen(keys)), (int)strlen(keys));
	assert_true(driver_settle(s->d));
}

static size_t printed(struct side *s, uint8_t *buf, size_t cap)
{
	ssize_t n, got = 0;

	while ((n = read(s->out, buf + got, cap - (size_t)got)) > 0)
		got += n;
	return (size_t)got;
}

/* A long text is half out when the guest moves: no byte twice, none missing. */
static void test_console_text(void **state)
{
	enum { LEN = 50000, PIECES = 3 };
	const struct dbuf buf[PIECES] = { { DRIVER_BUFS, 20000 },
					  { DRIVER_BUFS + 0x10000, 1 },
					  { DRIVER_BUFS + 0x20000, 29999 } };
	static uint8_t text[LEN], got[LEN + 1];
	size_t i, n, m;
	uint32_t id, len;

	(void)state;
	console_side(&a);
	console_side(&b);
	driver_start(a.d, a.dev, F_EVENT, 8);
	for (i = 0; i < LEN; i++)
		text[i] = (uint8_t)(i * 7 + i / 251);
	(void)gmem_write(&a.d->m.gmem, buf[0].gpa, text, 20000);
	(void)gmem_write(&a.d->m.gmem, buf[1].gpa, text + 20000, 1);
	(void)gmem_write(&a.d->m.gmem, buf[2].gpa, text + 20001, 29999);
	assert_true(driver_settle(a.d));
	(void)driver_add(a.d, 1, buf, PIECES, 0);
	virtio_kick(a.dev, 1);
	a.d->q[1].kicked = a.d->q[1].avail;
	(void)driver_poll(a.d, 6);
	n = printed(&a, got, LEN);
	assert_in_range(n, 20002, LEN - 1);
	move();
	assert_int_equal(printed(&a, got + n, LEN + 1 - n), 0);
	m = printed(&b, got + n, LEN + 1 - n);
	assert_int_equal(n + m, LEN);
	assert_memory_equal(got, text, LEN);
	assert_true(driver_used(b.d, 1, &id, &len));
	assert_int_equal(id, 0);
	assert_false(driver_used(b.d, 1, &id, &len));
	/* The next text is whole. */
	(void)driver_add(b.d, 1, buf, 1, 0);
	assert_true(driver_kick(b.d, 1));
	assert_int_equal(printed(&b, got, LEN), 20000);
}

/* The same, and the source goes on. */
static void test_console_cancel(void **state)
{
	const struct dbuf buf = { DRIVER_BUFS, 20000 };
	static uint8_t got[20001];
	size_t n;

	(void)state;
	console_side(&a);
	console_side(&b);
	driver_start(a.d, a.dev, 0, 8);
	assert_true(driver_settle(a.d));
	(void)driver_add(a.d, 1, &buf, 1, 0);
	virtio_kick(a.dev, 1);
	(void)driver_poll(a.d, 2);
	move_save(&a.d->m);
	assert_true(driver_settle(a.d));
	n = printed(&a, got, sizeof(got));
	assert_in_range(n, 1, 19999);
	snap_thaw_all(&a.d->m.snap);
	assert_true(driver_settle(a.d));
	assert_int_equal(n + printed(&a, got, sizeof(got)), 20000);
}

/* What was skipped belongs to a chain, not to the driver after a reset. */
static void test_console_reset(void **state)
{
	const struct dbuf buf = { DRIVER_BUFS, 20000 }, one = { DRIVER_BUFS, 1 };
	static uint8_t got[20001];

	(void)state;
	console_side(&a);
	console_side(&b);
	driver_start(a.d, a.dev, 0, 8);
	assert_true(driver_settle(a.d));
	(void)driver_add(a.d, 1, &buf, 1, 0);
	virtio_kick(a.dev, 1);
	(void)driver_poll(a.d, 2);
	virtio_needs_reset(a.dev, "test");
	move_loaded();
	snap_thaw_all(&b.d->m.snap);
	driver_start(b.d, b.dev, 0, 8);
	(void)driver_add(b.d, 1, &one, 1, 0);
	assert_true(driver_kick(b.d, 1));
	assert_int_equal(printed(&b, got, sizeof(got)), 1);
}

/* Keys that the guest had no buffer for arrive there, in order. */
static void test_console_keys(void **state)
{
	const struct dbuf buf[2] = { { DRIVER_BUFS, 4 },
				     { DRIVER_BUFS + 64, 64 } };
	uint32_t id, len;
	char got[64];

	(void)state;
	console_side(&a);
	console_side(&b);
	driver_start(a.d, a.dev, 0, 8);
	(void)driver_add(a.d, 0, &buf[0], 0, 1);
	assert_true(driver_kick(a.d, 0));
	type(&a, "root\nsecret\n");
	assert_true(driver_used(a.d, 0, &id, &len));
	assert_int_equal(len, 4);
	move_loaded();
	/* Typed at the wrong host, too late: it stays there. Typed at the new
	 * one, too early: it comes after. */
	type(&a, "late\n");
	type(&b, "id\n");
	check_same_ram(DRIVER_BUFS, 512);
	snap_thaw_all(&b.d->m.snap);
	assert_true(driver_settle(b.d));
	(void)driver_add(b.d, 0, &buf[1], 0, 1);
	assert_true(driver_kick(b.d, 0));
	assert_true(driver_used(b.d, 0, &id, &len));
	assert_int_equal(gmem_read(&b.d->m.gmem, buf[1].gpa, got, len), 0);
	assert_int_equal(len, 11);
	assert_memory_equal(got, "\nsecret\nid\n", 11);
}

static void test_console_late_keys(void **state)
{
	const struct dbuf buf = { DRIVER_BUFS, 64 };
	uint32_t id, len;

	(void)state;
	console_side(&a);
	console_side(&b);
	driver_start(a.d, a.dev, 0, 8);
	move_save(&a.d->m);
	(void)driver_add(a.d, 0, &buf, 0, 1);
	type(&a, "ls\n");
	assert_false(driver_used(a.d, 0, &id, &len));
	/* The move failed: they are still there. */
	snap_thaw_all(&a.d->m.snap);
	assert_true(driver_settle(a.d));
	assert_true(driver_used(a.d, 0, &id, &len));
	assert_int_equal(len, 3);
}

/* --- net --- */

#define RX_BUF(i) (DRIVER_BUFS + (uint64_t)(i)*0x1000)
#define TX_BUF	  (DRIVER_BUFS + 0x200000)
#define HDR	  12u

static const uint8_t mac[6] = { 0x52, 0x54, 0, 0xab, 0xcd, 0xef };

static void net_side_mac(struct side *s, const uint8_t *addr, bool tap)
{
	struct net_link *l = calloc(1, sizeof(*l));
	int fd[2];

	assert_non_null(l);
	assert_int_equal(socketpair(AF_UNIX,
				    (tap ? SOCK_SEQPACKET : SOCK_STREAM) |
					    SOCK_NONBLOCK,
				    0, fd),
			 0);
	s->out = fd[1];
	if (tap)
		net_tap_adopt(l, fd[0], 0);
	else
		net_passt_adopt(l, fd[0]);
	assert_int_equal(net_create_link(&s->d->m, l, "test", addr, &s->net), 0);
	s->dev = net_virtio(s->net);
}

static void net_side(struct side *s)
{
	net_side_mac(s, mac, true);
}

static void wire_in(struct side *s, uint32_t len, uint8_t what)
{
	uint8_t frame[HDR + 4096] = { 0 };

	memset(frame + HDR, what, len);
	assert_int_equal(send(s->out, frame, HDR + len, 0), HDR + len);
}

/* Reverse ARP as RFC 903 and Ethernet II have it; header of virtio first. */
static void check_rarp(struct side *s)
{
	static const uint8_t want[] = {
		0,    0,    0,	  0,	0,    0,    0,	  0,	0, 0, 0,
		0,				    /* virtio_net_hdr_v1 */
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* to all */
		0x52, 0x54, 0,	  0xab, 0xcd, 0xef, 0x80, 0x35, /* from, type */
		0,    1,    8,	  0,	6,    4,    0,	  3, /* Ethernet, IPv4, lengths, request */
		0x52, 0x54, 0,	  0xab, 0xcd, 0xef, 0,	  0,	0, 0, /* sender */
		0x52, 0x54, 0,	  0xab, 0xcd, 0xef, 0,	  0,	0, 0, /* target */
	};
	uint8_t got[2048];

	assert_int_equal(recv(s->out, got, sizeof(got), 0),
			 HDR + ETHER_MIN_LEN - ETHER_CRC_LEN);
	assert_memory_equal(got, want, sizeof(want));
}

static bool wire_quiet(struct side *s)
{
	uint8_t got[2048];

	return recv(s->out, got, sizeof(got), 0) < 0 && errno == EAGAIN;
}

static void test_net(void **state)
{
	struct dbuf rx[] = { { RX_BUF(0), 2048 }, { RX_BUF(1), 2048 } };
	const struct dbuf tx = { TX_BUF, HDR + 60 };
	uint8_t got[2048];
	uint32_t id, len;

	(void)state;
	net_side(&a);
	net_side(&b);
	driver_start(a.d, a.dev, F_EVENT, 256);
	(void)driver_add(a.d, 0, &rx[0], 0, 1);
	(void)driver_add(a.d, 0, &rx[1], 0, 1);
	assert_true(driver_kick(a.d, 0));
	wire_in(&a, 100, 0x77);
	assert_true(driver_settle(a.d));
	assert_true(driver_used(a.d, 0, &id, &len));
	assert_int_equal(len, HDR + 100);
	/* The guest sends, and the device has not looked. */
	(void)driver_add(a.d, 1, &tx, 1, 0);
	virtio_kick(a.dev, 1);
	a.d->q[1].kicked = a.d->q[1].avail;
	move_loaded();
	/* Frames for the old place, and those too early for the new one. */
	wire_in(&a, 60, 1);
	wire_in(&b, 61, 2);
	assert_true(driver_settle(a.d));
	assert_true(driver_settle(b.d));
	assert_int_equal(driver_used_idx(a.d, 0), 1);
	assert_int_equal(driver_used_idx(b.d, 0), 1);
	assert_int_equal(driver_used_idx(a.d, 1), 0);
	check_same_ram(DRIVER_RINGS, 0x20000);
	check_same_ram(DRIVER_BUFS, 0x2000);
	assert_true(wire_quiet(&b));

	snap_thaw_all(&b.d->m.snap);
	/* It says where it is before it says anything else. */
	check_rarp(&b);
	assert_true(driver_settle(b.d));
	assert_int_equal(recv(b.out, got, sizeof(got), 0), HDR + 60);
	assert_true(driver_used(b.d, 1, &id, &len));
	assert_true(driver_used(b.d, 0, &id, &len));
	assert_int_equal(len, HDR + 61);
	assert_true(wire_quiet(&a));
	/* And four times more. */
	for (id = 0; id < 4; id++) {
		b.net->announce.fn(&b.net->announce);
		check_rarp(&b);
	}
	b.net->announce.fn(&b.net->announce);
	assert_true(wire_quiet(&b));
	assert_int_equal(b.d->config_irqs, 0);
}

/* A frame waits for more buffers: those it has go back, and it is lost. */
static void test_net_held(void **state)
{
	const struct dbuf rx = { RX_BUF(0), 256 };
	const uint64_t f = BIT(VIRTIO_NET_F_MRG_RXBUF);
	uint32_t id, len;
	unsigned i;

	(void)state;
	net_side(&a);
	net_side(&b);
	driver_start(a.d, a.dev, f, 256);
	(void)driver_add(a.d, 0, &rx, 0, 1);
	assert_true(driver_kick(a.d, 0));
	wire_in(&a, 1000, 0x55);
	assert_true(driver_settle(a.d));
	assert_true(a.net->rx.held);
	assert_int_equal(driver_used_idx(a.d, 0), 0);
	move();
	assert_int_equal(a.net->stats.rx_dropped, 1);
	for (i = 0; i < 4; i++)
		(void)driver_add(b.d, 0, &rx, 0, 1);
	assert_true(driver_kick(b.d, 0));
	wire_in(&b, 100, 0x66);
	assert_true(driver_settle(b.d));
	assert_true(driver_used(b.d, 0, &id, &len));
	assert_int_equal(id, 0);
	assert_int_equal(len, HDR + 100);
	assert_false(driver_used(b.d, 0, &id, &len));
}

/* The source goes on after all, frames and all. */
static void test_net_cancel(void **state)
{
	const struct dbuf rx = { RX_BUF(0), 2048 };
	uint32_t id, len;

	(void)state;
	net_side(&a);
	net_side(&b);
	driver_start(a.d, a.dev, 0, 256);
	(void)driver_add(a.d, 0, &rx, 0, 1);
	assert_true(driver_kick(a.d, 0));
	move_save(&a.d->m);
	wire_in(&a, 60, 1);
	assert_true(driver_settle(a.d));
	assert_int_equal(driver_used_idx(a.d, 0), 0);
	snap_thaw_all(&a.d->m.snap);
	assert_true(driver_settle(a.d));
	assert_true(driver_used(a.d, 0, &id, &len));
	/* It has gone nowhere, so it tells nobody. */
	assert_true(wire_quiet(&a));
}

/* The link was down there and is up here: the guest is told. */
static void test_net_link(void **state)
{
	(void)state;
	net_side(&a);
	net_side(&b);
	driver_start(a.d, a.dev, 0, 256);
	net_link_down(a.net, -EIO);
	assert_int_equal(get_le16(a.dev->config + 6), 0);
	move();
	assert_int_equal(get_le16(b.dev->config + 6), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(b.d->config_irqs, 1);
	assert_int_not_equal(b.dev->config_generation, a.dev->config_generation);
}

static void test_net_link_lost(void **state)
{
	(void)state;
	net_side(&a);
	net_side(&b);
	driver_start(a.d, a.dev, 0, 256);
	move_loaded();
	/* Before the guest runs: it learns of it when it does. */
	net_link_down(b.net, -EIO);
	assert_int_equal(b.d->config_irqs, 0);
	snap_thaw_all(&b.d->m.snap);
	assert_true(driver_settle(b.d));
	assert_int_equal(b.d->config_irqs, 1);
	assert_int_equal(get_le16(b.dev->config + 6), 0);
}

static void test_net_mac(void **state)
{
	static const uint8_t other[6] = { 0x52, 0x54, 0, 0xab, 0xcd, 0xee };

	(void)state;
	net_side(&a);
	net_side_mac(&b, other, true);
	driver_start(a.d, a.dev, 0, 256);
	move_save(&a.d->m);
	move_refused(&b.d->m);
	assert_string_equal(move_err.text,
			    "net 0: mac: not the same as on the other host");
}

static void test_net_passt(void **state)
{
	(void)state;
	net_side_mac(&a, mac, false);
	net_side_mac(&b, mac, false);
	assert_int_equal(snap_check_all(&a.d->m.snap, false, &move_err),
			 -EOPNOTSUPP);
	assert_non_null(strstr(move_err.text, "link 0: passt"));
	assert_int_equal(snap_check_all(&a.d->m.snap, true, &move_err), 0);
	driver_start(a.d, a.dev, 0, 256);
	move();
}

/* --- blk --- */

static void blk_side(struct side *s, bool readonly, bool direct, bool locked)
{
	int r;

	if (!disk_path[0]) {
		int fd;

		strcpy(disk_path, "/tmp/csvvmm-move-XXXXXX");
		fd = mkstemp(disk_path);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, MIB(1)), 0);
		(void)close(fd);
	}
	r = (locked ? disk_open : disk_open_unlocked)(&s->disk, disk_path,
						      readonly, direct);
	if (r == -EINVAL && direct)
		skip(); /* no O_DIRECT on this file system */
	assert_int_equal(r, 0);
	assert_int_equal(blk_create(&s->d->m, &s->disk, 2, "d", &s->blk), 0);
	s->dev = blk_virtio(s->blk);
}

static void blk_ask(struct side *s, unsigned q, uint32_t type, uint64_t sector,
		    uint64_t data)
{
	const struct dbuf buf[] = { { data - 16, 16 },
				    { data, 512 },
				    { data + 512, 1 } };
	uint8_t hdr[16] = { 0 };

	put_le32(hdr, type);
	put_le64(hdr + 8, sector);
	(void)gmem_write(&s->d->m.gmem, data - 16, hdr, sizeof(hdr));
	(void)gmem_fill(&s->d->m.gmem, data + 512, 0xee, 1);
	if (type == VIRTIO_BLK_T_IN)
		(void)driver_add(s->d, q, buf, 1, 2);
	else
		(void)driver_add(s->d, q, buf, 2, 1);
}

static void blk_wait(struct side *s, unsigned q, uint16_t idx)
{
	struct epoll_event ev;

	while (driver_used_idx(s->d, q) != idx) {
		int n = epoll_wait(s->d->m.loop.epfd, &ev, 1, 20000);

		assert_true(n == 1 || (n < 0 && errno == EINTR));
		if (n == 1)
			((struct source *)ev.data.ptr)->fn(ev.data.ptr, ev.events);
	}
}

static void check_ok(struct side *s, uint64_t data)
{
	uint8_t status = 0xff;

	assert_int_equal(gmem_read(&s->d->m.gmem, data + 512, &status, 1), 0);
	assert_int_equal(status, VIRTIO_BLK_S_OK);
}

#define DATA(i) (DRIVER_BUFS + 0x1000 + (uint64_t)(i)*0x1000)

static void test_blk(void **state)
{
	uint8_t x[512], y[512];
	unsigned i;

	(void)state;
	blk_side(&a, false, false, true);
	blk_side(&b, false, false, false);
	driver_start(a.d, a.dev, F_EVENT | BIT(VIRTIO_BLK_F_FLUSH), 64);
	assert_true(driver_settle(a.d));
	/* 16 writes under way, 4 reads not yet seen by the device. */
	for (i = 0; i < 16; i++) {
		(void)gmem_fill(&a.d->m.gmem, DATA(i), 0x40 + (int)i, 512);
		blk_ask(&a, 0, VIRTIO_BLK_T_OUT, i, DATA(i));
	}
	virtio_kick(a.dev, 0);
	(void)driver_poll(a.d, 1);
	for (i = 0; i < 4; i++)
		blk_ask(&a, 1, VIRTIO_BLK_T_IN, 12 + i, DATA(100 + i));
	virtio_kick(a.dev, 1);
	a.d->q[0].kicked = 16;
	a.d->q[1].kicked = 4;

	move_loaded();
	/* What the device had taken, it has answered. */
	assert_int_equal(driver_used_idx(b.d, 0), 16);
	assert_int_equal(driver_used_idx(b.d, 1), 0);
	for (i = 0; i < 16; i++)
		check_ok(&b, DATA(i));
	/* The lock changes hands. */
	assert_int_equal(snap_hold_all(&b.d->m.snap, SNAP_HOLD_COMING, &move_err),
			 -EBUSY);
	assert_non_null(strstr(move_err.text, "disk 0: take over"));
	assert_int_equal(
		snap_hold_all(&a.d->m.snap, SNAP_HOLD_LEAVING, &move_err), 0);
	assert_int_equal(
		snap_hold_all(&b.d->m.snap, SNAP_HOLD_COMING, &move_err), 0);
	assert_int_equal(snap_hold_all(&a.d->m.snap, SNAP_HOLD_ALL, &move_err),
			 -EBUSY);
	assert_int_equal(snap_hold_all(&a.d->m.snap, SNAP_HOLD_NONE, &move_err),
			 0);
	assert_int_equal(snap_hold_all(&b.d->m.snap, SNAP_HOLD_ALL, &move_err),
			 0);

	snap_thaw_all(&b.d->m.snap);
	blk_wait(&b, 1, 4);
	for (i = 0; i < 4; i++) {
		check_ok(&b, DATA(100 + i));
		memset(x, 0x40 + 12 + (int)i, sizeof(x));
		(void)gmem_read(&b.d->m.gmem, DATA(100 + i), y, sizeof(y));
		assert_memory_equal(x, y, sizeof(x));
	}
	/* The source has not touched a thing since. */
	assert_true(driver_settle(a.d));
	assert_int_equal(driver_used_idx(a.d, 1), 0);
}

static void test_blk_obstacle(void **state)
{
	(void)state;
	blk_side(&a, false, false, true);
	blk_side(&b, true, false, false);
	assert_int_equal(snap_check_all(&a.d->m.snap, true, &move_err),
			 -EOPNOTSUPP);
	assert_non_null(strstr(move_err.text, "disk 0: writable and not cache"));
	assert_int_equal(snap_check_all(&b.d->m.snap, false, &move_err), 0);
}

static void test_blk_direct(void **state)
{
	(void)state;
	blk_side(&a, false, true, true);
	blk_side(&b, false, true, false);
	assert_int_equal(snap_check_all(&a.d->m.snap, false, &move_err), 0);
}

static void test_blk_readonly(void **state)
{
	(void)state;
	blk_side(&a, true, false, true);
	blk_side(&b, false, false, false);
	driver_start(a.d, a.dev, 0, 64);
	move_save(&a.d->m);
	move_refused(&b.d->m);
	assert_non_null(strstr(move_err.text, "blk 0: features"));
	/* And the other way round. */
	snap_thaw_all(&a.d->m.snap);
	driver_start(b.d, b.dev, 0, 64);
	move_save(&b.d->m);
	move_refused(&a.d->m);
}

static void test_blk_capacity(void **state)
{
	(void)state;
	blk_side(&a, true, false, true);
	assert_int_equal(truncate(disk_path, MIB(2)), 0);
	blk_side(&b, true, false, false);
	driver_start(a.d, a.dev, 0, 64);
	move_save(&a.d->m);
	move_refused(&b.d->m);
	assert_string_equal(move_err.text,
			    "blk 0: capacity: not the same as on the other host");
}

/* The target's disk became smaller while the guest was on its way. */
static void test_blk_shrunk(void **state)
{
	(void)state;
	blk_side(&a, true, false, true);
	blk_side(&b, true, false, false);
	assert_int_equal(truncate(disk_path, MIB(1) - 512), 0);
	assert_int_equal(snap_hold_all(&b.d->m.snap, SNAP_HOLD_ALL, &move_err),
			 -ENODATA);
	assert_int_equal(truncate(disk_path, MIB(2)), 0);
	assert_int_equal(snap_hold_all(&b.d->m.snap, SNAP_HOLD_ALL, &move_err),
			 0);
}

/* --- any byte of any state --- */

static void (*const sides[])(struct side *s) = { rng_side, console_side,
						 net_side };

/* Whatever is taken, the machine lives: it runs, is reset and ends. */
static void sweep(void (*open_side)(struct side *s), size_t step)
{
	const struct dbuf buf = { DRIVER_BUFS, 64 };
	static const uint8_t delta[] = { 1, 2, 0x10, 0x80, 0xff };
	unsigned k, n_taken = 0;
	size_t at;

	open_side(&a);
	driver_start(a.d, a.dev, F_EVENT, 8);
	(void)driver_add(a.d, 0, &buf, 0, 1);
	(void)driver_kick(a.d, 0);
	move_save(&a.d->m);
	for (at = 0; at < move_len; at += step) {
		for (k = 0; k < sizeof(delta); k++) {
			int r;

			open_side(&b);
			b.d->dev = b.dev;
			b.dev->transport = &driver_transport;
			move_ram(&a.d->m, &b.d->m);
			r = move_load_with(&b.d->m, at,
					   move_bytes[at] ^ delta[k]);
			assert_true(r == 0 || r == -EPROTO);
			if (r == 0) {
				n_taken++;
				snap_thaw_all(&b.d->m.snap);
				assert_true(driver_settle(b.d));
				driver_start(b.d, b.dev, 0, 8);
				assert_true(driver_settle(b.d));
			}
			side_close(&b);
			side_open(&b);
		}
	}
	assert_true(n_taken);
	side_close(&a);
	side_open(&a);
}

static void test_sweep(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sides); i++)
		sweep(sides[i], 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_rng),
		T(test_rng_event),
		T(test_cancel),
		T(test_not_frozen),
		T(test_states),
		T(test_broken),
		T(test_rings_outside),
		T(test_refused),
		T(test_access_platform),
		T(test_console_text),
		T(test_console_cancel),
		T(test_console_reset),
		T(test_console_keys),
		T(test_console_late_keys),
		T(test_net),
		T(test_net_held),
		T(test_net_cancel),
		T(test_net_link),
		T(test_net_link_lost),
		T(test_net_mac),
		T(test_net_passt),
		T(test_blk),
		T(test_blk_obstacle),
		T(test_blk_direct),
		T(test_blk_readonly),
		T(test_blk_capacity),
		T(test_blk_shrunk),
		T(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
