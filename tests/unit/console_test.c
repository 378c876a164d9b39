/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-console against a driver written from [VIRTIO] 2.7 and 5.3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/util.h"
#include "devices/console.h"
#include "tests/unit/pump.h"

#define RX	0
#define TX	1
#define F_NEXT	1
#define F_WRITE 2
#define QSIZE	8

/* Guest memory: each queue's rings, then data. */
#define RING(q)	 (0x10000u + 0x10000u * (q))
#define DESC(q)	 (RING(q))
#define AVAIL(q) (RING(q) + 0x1000u)
#define USED(q)	 (RING(q) + 0x2000u)
#define DATA	 0x80000u
#define RAM	 MIB(1)

#define VERSION_1 (1ULL << 32)

struct fixture {
	struct machine m;
	struct chardev cd;
	struct console c;
	int in, out;
	uint16_t avail[2];
	unsigned irqs[2], config_irqs;
};

static struct fixture *fx; /* for the transport's callbacks */

static void queue_irq(struct virtio_dev *dev, unsigned q)
{
	(void)dev;
	assert_true(q < 2);
	fx->irqs[q]++;
}

static void config_irq(struct virtio_dev *dev)
{
	(void)dev;
	fx->config_irqs++;
}

static const struct virtio_transport transport = {
	.queue_irq = queue_irq,
	.config_irq = config_irq,
};

/* Our standard input and output, given away for the time of an init. */
static void chardev_on(struct fixture *f, int in, int out)
{
	int saved[2] = { fcntl(0, F_DUPFD_CLOEXEC, 100),
			 fcntl(1, F_DUPFD_CLOEXEC, 100) };
	int r;

	dup2(in, 0);
	dup2(out, 1);
	r = chardev_init(&f->cd, &f->m, CHARDEV_STDIO, NULL);
	dup2(saved[0], 0);
	dup2(saved[1], 1);
	close(saved[0]);
	close(saved[1]);
	assert_int_equal(r, 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int in[2], out[2];

	assert_non_null(f);
	fx = f;
	pump_machine_init(&f->m);
	assert_int_equal(gmem_init(&f->m.gmem, RAM, false), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	chardev_on(f, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	f->in = in[1];
	f->out = out[0];
	assert_int_equal(console_init(&f->c, &f->m, &f->cd), 0);
	f->c.virtio.transport = &transport;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	console_fini(&f->c);
	console_fini(&f->c);
	chardev_fini(&f->cd);
	gmem_fini(&f->m.gmem);
	pump_machine_fini(&f->m);
	close(f->in);
	close(f->out);
	free(f);
	return 0;
}

/* --- the driver ---------------------------------------------------------------- */

static void poke(struct fixture *f, gpa_t at, uint64_t v, unsigned len)
{
	uint8_t b[8];
	unsigned i;

	for (i = 0; i < len; i++)
		b[i] = (uint8_t)(v >> 8 * i);
	assert_int_equal(gmem_write(&f->m.gmem, at, b, len), 0);
}

static uint32_t peek(struct fixture *f, gpa_t at, unsigned len)
{
	uint8_t b[4];
	uint32_t v = 0;

	assert_int_equal(gmem_read(&f->m.gmem, at, b, len), 0);
	while (len--)
		v = v << 8 | b[len];
	return v;
}

static void driver_start(struct fixture *f, bool rx)
{
	struct virtio_dev *dev = &f->c.virtio;
	unsigned q;

	virtio_set_status(dev, 1);
	virtio_set_status(dev, 3);
	dev->acked = VERSION_1;
	virtio_set_status(dev, 11);
	for (q = 0; q < 2; q++) {
		dev->queue[q].vq.desc = DESC(q);
		dev->queue[q].vq.avail = AVAIL(q);
		dev->queue[q].vq.used = USED(q);
		dev->queue[q].vq.size = QSIZE;
		dev->queue[q].enabled = q == TX || rx;
	}
	virtio_set_status(dev, 15);
	assert_int_equal(dev->status, 15);
	f->avail[0] = f->avail[1] = 0;
	pump(&f->m, 0);
}

static void put_desc(struct fixture *f, unsigned q, unsigned i, gpa_t at,
		     uint32_t len, unsigned flags, unsigned next)
{
	gpa_t d = DESC(q) + 16 * i;

	poke(f, d, at, 8);
	poke(f, d + 8, len, 4);
	poke(f, d + 12, flags, 2);
	poke(f, d + 14, next, 2);
}

static void give(struct fixture *f, unsigned q, unsigned head)
{
	poke(f, AVAIL(q) + 4 + 2 * (f->avail[q] % QSIZE), head, 2);
	poke(f, AVAIL(q) + 2, ++f->avail[q], 2);
}

static void kick(struct fixture *f, unsigned q)
{
	virtio_kick(&f->c.virtio, q);
	pump(&f->m, 0);
}

static uint16_t used(struct fixture *f, unsigned q)
{
	return (uint16_t)peek(f, USED(q) + 2, 2);
}

static void expect_used(struct fixture *f, unsigned q, unsigned i, uint32_t id,
			uint32_t len)
{
	assert_int_equal(peek(f, USED(q) + 4 + 8 * (i % QSIZE), 4), id);
	assert_int_equal(peek(f, USED(q) + 8 + 8 * (i % QSIZE), 4), len);
}

static void type(struct fixture *f, const char *keys)
{
	assert_int_equal(write(f->in, keys, strlen(keys)), (ssize_t)strlen(keys));
	pump(&f->m, 0);
}

static size_t seen(struct fixture *f, char *buf, size_t size)
{
	ssize_t n = read(f->out, buf, size);

	return n > 0 ? (size_t)n : 0;
}

/* --- identity ----------------------------------------------------------------- */

static void test_identity(void **state)
{
	struct fixture *f = *state;
	struct virtio_dev *dev = &f->c.virtio;

	assert_int_equal(dev->model->id, 3);
	assert_int_equal(dev->n_queues, 2);
	assert_int_equal(dev->features & 7, 0); /* no SIZE on a pipe, no MULTIPORT */
	assert_null(dev->model->config_write);
}

static void test_size(void **state)
{
	static const uint8_t want[4] = { 132, 0, 43, 0 }; /* le16 cols, rows */
	struct fixture *f = *state;
	struct winsize ws = { .ws_row = 43, .ws_col = 132 };
	int master, slave;

	console_fini(&f->c);
	chardev_fini(&f->cd);
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &ws), 0);
	chardev_on(f, slave, slave);
	assert_int_equal(console_init(&f->c, &f->m, &f->cd), 0);
	assert_int_equal(f->c.virtio.features & 7, 1);
	assert_true(f->c.virtio.config_len >= 4);
	assert_memory_equal(f->c.virtio.config, want, 4);
	close(master);
	close(slave);
}

/* --- transmit ------------------------------------------------------------------ */

static void test_tx(void **state)
{
	struct fixture *f = *state;
	char buf[64];

	driver_start(f, true);
	assert_int_equal(gmem_write(&f->m.gmem, DATA, "hello, world\n", 13), 0);
	put_desc(f, TX, 0, DATA, 5, F_NEXT, 3);
	put_desc(f, TX, 3, DATA + 5, 0, F_NEXT, 1);
	put_desc(f, TX, 1, DATA + 5, 8, 0, 0);
	put_desc(f, TX, 5, DATA, 1, 0, 0);
	give(f, TX, 0);
	give(f, TX, 5);
	kick(f, TX);
	assert_int_equal(seen(f, buf, sizeof(buf)), 14);
	assert_memory_equal(buf, "hello, world\nh", 14);
	assert_int_equal(used(f, TX), 2);
	expect_used(f, TX, 0, 0, 0);
	expect_used(f, TX, 1, 5, 0);
	assert_int_equal(f->irqs[TX], 1);
	assert_int_equal(f->irqs[RX], 0);
	/* A kick for nothing. */
	kick(f, TX);
	assert_int_equal(f->irqs[TX], 1);
}

/* Buffers that came before DRIVER_OK are used without another kick. */
static void test_tx_before_start(void **state)
{
	struct fixture *f = *state;
	char buf[8];

	assert_int_equal(gmem_write(&f->m.gmem, DATA, "early", 5), 0);
	put_desc(f, TX, 0, DATA, 5, 0, 0);
	give(f, TX, 0);
	driver_start(f, true);
	assert_int_equal(seen(f, buf, sizeof(buf)), 5);
	assert_int_equal(used(f, TX), 1);
}

/* Empty and write-only chains must come back, or the driver waits for ever. */
static void test_tx_odd_chains(void **state)
{
	struct fixture *f = *state;
	char buf[8];

	driver_start(f, true);
	put_desc(f, TX, 0, DATA, 0, 0, 0);
	put_desc(f, TX, 1, DATA, 100, F_WRITE, 0);
	give(f, TX, 0);
	give(f, TX, 1);
	kick(f, TX);
	assert_int_equal(seen(f, buf, sizeof(buf)), 0);
	assert_int_equal(used(f, TX), 2);
	expect_used(f, TX, 0, 0, 0);
	expect_used(f, TX, 1, 1, 0);
}

/*
 * Half a megabyte in one chain: no event may take all of it, all of it must
 * come, and the interrupt must not get lost between the turns.
 */
static void test_tx_huge(void **state)
{
	struct fixture *f = *state;
	uint64_t total = 0;
	char buf[8192];
	unsigned turns = 0, i;
	struct epoll_event ev;

	driver_start(f, true);
	for (i = 0; i < 8; i++)
		put_desc(f, TX, i, 0, 65536, i < 7 ? F_NEXT : 0, i + 1);
	give(f, TX, 0);
	virtio_kick(&f->c.virtio, TX);
	while (epoll_wait(f->m.loop.epfd, &ev, 1, 0) == 1) {
		struct source *src = ev.data.ptr;
		size_t n, turn = 0;

		src->fn(src, ev.events);
		turns++;
		while ((n = seen(f, buf, sizeof(buf))))
			turn += n;
		assert_true(turn <= 8192);
		total += turn;
	}
	assert_int_equal(total, 8 * 65536);
	assert_true(turns >= 64);
	assert_int_equal(used(f, TX), 1);
	assert_int_equal(f->irqs[TX], 1);
}

static void test_tx_reset_in_between(void **state)
{
	struct fixture *f = *state;
	struct epoll_event ev;
	struct source *src;
	char buf[65536];
	unsigned i;

	driver_start(f, true);
	for (i = 0; i < 8; i++)
		put_desc(f, TX, i, 0, 65536, i < 7 ? F_NEXT : 0, i + 1);
	give(f, TX, 0);
	virtio_kick(&f->c.virtio, TX);
	assert_int_equal(epoll_wait(f->m.loop.epfd, &ev, 1, 0), 1);
	src = ev.data.ptr;
	src->fn(src, ev.events);
	assert_true(seen(f, buf, sizeof(buf)) > 0);

	virtio_set_status(&f->c.virtio, 0);
	pump(&f->m, 0);
	assert_int_equal(seen(f, buf, sizeof(buf)), 0);

	/* The next driver starts with a clean ring and sees none of the old. */
	poke(f, AVAIL(TX) + 2, 0, 2);
	poke(f, USED(TX) + 2, 0, 2);
	driver_start(f, true);
	assert_int_equal(seen(f, buf, sizeof(buf)), 0);
	assert_int_equal(gmem_write(&f->m.gmem, DATA, "new", 3), 0);
	put_desc(f, TX, 0, DATA, 3, 0, 0);
	give(f, TX, 0);
	kick(f, TX);
	assert_int_equal(seen(f, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "new", 3);
}

/* --- receive ------------------------------------------------------------------- */

static void test_rx(void **state)
{
	struct fixture *f = *state;
	char buf[16];

	driver_start(f, true);
	put_desc(f, RX, 2, DATA, 4, F_WRITE, 0);
	put_desc(f, RX, 4, DATA + 0x100, 3, F_WRITE | F_NEXT, 5);
	put_desc(f, RX, 5, DATA + 0x200, 100, F_WRITE, 0);
	give(f, RX, 2);
	give(f, RX, 4);
	kick(f, RX);
	assert_int_equal(used(f, RX), 0); /* nothing was typed */
	assert_int_equal(f->irqs[RX], 0);

	type(f, "abcdefghij");
	assert_int_equal(used(f, RX), 2);
	expect_used(f, RX, 0, 2, 4);
	expect_used(f, RX, 1, 4, 6);
	assert_int_equal(gmem_read(&f->m.gmem, DATA, buf, 4), 0);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(gmem_read(&f->m.gmem, DATA + 0x100, buf, 3), 0);
	assert_memory_equal(buf, "efg", 3);
	assert_int_equal(gmem_read(&f->m.gmem, DATA + 0x200, buf, 4), 0);
	assert_memory_equal(buf, "hij\0", 4);
	assert_int_equal(f->irqs[RX], 1);

	/* No buffer: it waits for one, with a kick. */
	type(f, "later");
	assert_int_equal(used(f, RX), 2);
	assert_int_equal(peek(f, USED(RX), 2) & 1, 0); /* NO_NOTIFY is off */
	put_desc(f, RX, 0, DATA, 64, F_WRITE, 0);
	give(f, RX, 0);
	kick(f, RX);
	assert_int_equal(used(f, RX), 3);
	expect_used(f, RX, 2, 0, 5);
	assert_int_equal(f->irqs[RX], 2);
}

/* Input typed before there is a driver is the driver's. */
static void test_rx_before_start(void **state)
{
	struct fixture *f = *state;

	type(f, "early");
	put_desc(f, RX, 0, DATA, 64, F_WRITE, 0);
	give(f, RX, 0);
	driver_start(f, true);
	assert_int_equal(used(f, RX), 1);
	expect_used(f, RX, 0, 0, 5);
}

static void test_rx_read_only_buffer(void **state)
{
	struct fixture *f = *state;

	driver_start(f, true);
	put_desc(f, RX, 0, DATA, 64, 0, 0);
	put_desc(f, RX, 1, DATA, 64, F_WRITE, 0);
	give(f, RX, 0);
	give(f, RX, 1);
	type(f, "x");
	assert_int_equal(used(f, RX), 2);
	expect_used(f, RX, 0, 0, 0);
	expect_used(f, RX, 1, 1, 1);
}

/* A driver that sets up the transmit queue only: its rings' address is 0. */
static void test_rx_not_enabled(void **state)
{
	struct fixture *f = *state;
	uint8_t before[64], after[64];

	memset(before, 0xa5, sizeof(before));
	assert_int_equal(gmem_write(&f->m.gmem, 0, before, sizeof(before)), 0);
	driver_start(f, false);
	f->c.virtio.queue[RX].vq.desc = 0;
	f->c.virtio.queue[RX].vq.avail = 0;
	f->c.virtio.queue[RX].vq.used = 0;
	type(f, "x");
	kick(f, RX);
	assert_int_equal(gmem_read(&f->m.gmem, 0, after, sizeof(after)), 0);
	assert_memory_equal(before, after, sizeof(after));
	assert_int_equal(f->c.virtio.status, 15);
}

static void test_input_without_driver(void **state)
{
	struct fixture *f = *state;

	type(f, "anybody?");
	assert_int_equal(chardev_pending(&f->cd, &f->c.port), 8);
}

/* --- hostile drivers ------------------------------------------------------------- */

static void expect_needs_reset(struct fixture *f)
{
	char buf[64];

	assert_int_equal(f->c.virtio.status & 0x40, 0x40);
	assert_int_equal(f->config_irqs, 1);
	/* Nothing moves until the reset, and nothing crashes. */
	type(f, "more");
	kick(f, RX);
	kick(f, TX);
	assert_int_equal(seen(f, buf, sizeof(buf)), 0);
	virtio_set_status(&f->c.virtio, 0);
	assert_int_equal(f->c.virtio.status, 0);
}

static void test_tx_outside_ram(void **state)
{
	struct fixture *f = *state;

	driver_start(f, true);
	put_desc(f, TX, 0, RAM - 4, 8, 0, 0);
	give(f, TX, 0);
	kick(f, TX);
	assert_int_equal(used(f, TX), 0);
	expect_needs_reset(f);
}

static void test_tx_loop(void **state)
{
	struct fixture *f = *state;

	driver_start(f, true);
	put_desc(f, TX, 0, DATA, 8, F_NEXT, 1);
	put_desc(f, TX, 1, DATA, 8, F_NEXT, 0);
	give(f, TX, 0);
	kick(f, TX);
	expect_needs_reset(f);
}

static void test_rx_bad_head(void **state)
{
	struct fixture *f = *state;

	driver_start(f, true);
	give(f, RX, QSIZE);
	type(f, "x");
	expect_needs_reset(f);
}

/* Broken receive ring while a long transmission is under way: that ends too. */
static void test_rx_breaks_tx(void **state)
{
	struct fixture *f = *state;
	struct epoll_event ev;
	struct source *src;
	char buf[65536];
	unsigned i;

	driver_start(f, true);
	for (i = 0; i < 8; i++)
		put_desc(f, TX, i, 0, 65536, i < 7 ? F_NEXT : 0, i + 1);
	give(f, TX, 0);
	virtio_kick(&f->c.virtio, TX);
	assert_int_equal(epoll_wait(f->m.loop.epfd, &ev, 1, 0), 1);
	src = ev.data.ptr;
	src->fn(src, ev.events);
	give(f, RX, 0xffff);
	assert_int_equal(write(f->in, "x", 1), 1);
	for (i = 0; i < 50 && !(f->c.virtio.status & 0x40); i++) {
		assert_int_equal(epoll_wait(f->m.loop.epfd, &ev, 1, 1000), 1);
		src = ev.data.ptr;
		src->fn(src, ev.events);
		(void)seen(f, buf, sizeof(buf));
	}
	assert_int_equal(f->c.virtio.status & 0x40, 0x40);
	while (seen(f, buf, sizeof(buf)))
		;
	expect_needs_reset(f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_identity),
		T(test_size),
		T(test_tx),
		T(test_tx_before_start),
		T(test_tx_odd_chains),
		T(test_tx_huge),
		T(test_tx_reset_in_between),
		T(test_rx),
		T(test_rx_before_start),
		T(test_rx_read_only_buffer),
		T(test_rx_not_enabled),
		T(test_input_without_driver),
		T(test_tx_outside_ram),
		T(test_tx_loop),
		T(test_rx_bad_head),
		T(test_rx_breaks_tx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
