/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/net_fixture.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

/* passt's framing over a stream socket, and a real passt where there is one. */

static uint8_t buf[4 * NET_BUF];

static int setup(void **state)
{
	*state = fixture_new(SOCK_STREAM);
	return 0;
}

static void put_be32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, 4);
}

/* A frame as it goes over the stream; returns its length there. */
static uint32_t wire(uint8_t *p, uint32_t len, unsigned seed)
{
	put_be32(p, len);
	frame_make(p + 4, len, seed);
	return len + 4;
}

/* Send all of it, letting the device read meanwhile. */
static void peer_send(struct fixture *f, const uint8_t *p, uint32_t len)
{
	while (len) {
		ssize_t n = send(f->peer, p, len, MSG_DONTWAIT);

		if (n > 0) {
			p += n;
			len -= (uint32_t)n;
		}
		assert_true(n > 0 || errno == EAGAIN);
		assert_true(driver_settle(f->d));
	}
}

static void check_rx(struct fixture *f, unsigned slot, uint32_t len, unsigned seed)
{
	static uint8_t got[NET_BUF + HDR];
	const uint8_t none[10] = { 0 };

	assert_int_equal(rx_get(f, slot, 4096, got), HDR + len);
	/* No offloads: a header of zeros, but for the buffer count. */
	assert_memory_equal(got, none, 10);
	frame_check(got + HDR, len, seed);
}

static void rx_fill(struct fixture *f, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		rx_add(f, i, 4096);
	assert_true(driver_kick(f->d, NET_RXQ));
}

static void test_features(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(net_virtio(f->n)->features & 0xfffffff,
			 BIT(5) | BIT(15) | BIT(16));
}

static void test_rx_byte_by_byte(void **state)
{
	struct fixture *f = *state;
	uint32_t len, i;

	net_up(f, F_MRG);
	rx_fill(f, 10);
	len = wire(buf, 60, 1);
	len += wire(buf + len, 1514, 2);
	len += wire(buf + len, 14, 3);
	for (i = 0; i < len; i++) {
		assert_int_equal(driver_used_idx(f->d, NET_RXQ),
				 (i >= 64) + (i >= 64 + 1518));
		peer_send(f, buf + i, 1);
	}
	check_rx(f, 0, 60, 1);
	check_rx(f, 1, 1514, 2);
	check_rx(f, 2, 14, 3);
	assert_int_equal(driver_used_idx(f->d, NET_RXQ), 3);
}

/* Every way to cut two frames in two. */
static void test_rx_cut_anywhere(void **state)
{
	struct fixture *f = *state;
	uint32_t len, cut;

	len = wire(buf, 20, 1);
	len += wire(buf + len, 33, 2);
	for (cut = 0; cut <= len; cut++) {
		net_up(f, 0);
		rx_fill(f, 2);
		peer_send(f, buf, cut);
		peer_send(f, buf + cut, len - cut);
		check_rx(f, 0, 20, 1);
		check_rx(f, 1, 33, 2);
	}
}

static void test_rx_largest(void **state)
{
	struct fixture *f = *state;
	const uint32_t sizes[] = { 65534, 65535, NET_FRAME_MAX };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		net_up(f, F_MRG | F_EVENT);
		rx_fill(f, 40);
		peer_send(f, buf, wire(buf, sizes[i], i));
		check_rx(f, 0, sizes[i], i);
		assert_int_equal(driver_used_idx(f->d, NET_RXQ),
				 (sizes[i] + HDR + 4095) / 4096);
	}
}

/* Frames that are none are skipped; the stream goes on. */
static void test_rx_short_frames(void **state)
{
	struct fixture *f = *state;
	uint32_t len = 0, i;

	net_up(f, 0);
	rx_fill(f, 4);
	for (i = 0; i < 14; i++)
		len += wire(buf + len, i, 0);
	for (i = 0; i < 5000; i++)
		len += wire(buf + len, 0, 0);
	len += wire(buf + len, 50, 7);
	peer_send(f, buf, len);
	check_rx(f, 0, 50, 7);
	assert_int_equal(stats(f).rx_dropped, 5014);
	assert_true(stats(f).link_up);
}

/* A length that can't be: nothing behind it can be trusted. */
static void test_rx_oversize(void **state)
{
	const uint32_t bad[] = { NET_FRAME_MAX + 1, 0x7fffffff, 0x80000000,
				 0xffffffff, 0x0100000e };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fixture *f = *state;
		uint32_t len;

		net_up(f, 0);
		rx_fill(f, 4);
		len = wire(buf, 50, 1);
		put_be32(buf + len, bad[i]);
		memset(buf + len + 4, 0x55, 5000);
		peer_send(f, buf, len + 5);
		check_rx(f, 0, 50, 1);
		assert_int_equal(driver_used_idx(f->d, NET_RXQ), 1);
		assert_int_equal(link_status(f), 0);
		assert_int_equal(f->d->config_irqs, 1);
		assert_false(driver_needs_reset(f->d));
		/* The peer is told, too. */
		assert_int_equal(recv(f->peer, buf, 1, MSG_DONTWAIT), 0);
		(void)fixture_free(state);
		*state = fixture_new(SOCK_STREAM);
	}
}

static void test_rx_eof(void **state)
{
	const uint32_t at[] = { 0, 1, 3, 4, 5, 63 };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct fixture *f = *state;

		net_up(f, 0);
		rx_fill(f, 4);
		(void)wire(buf, 60, 1);
		peer_send(f, buf, at[i]);
		/* Half-closed only, then entirely. */
		(void)shutdown(f->peer, SHUT_WR);
		assert_true(driver_settle(f->d));
		assert_int_equal(link_status(f), 0);
		assert_int_equal(driver_used_idx(f->d, NET_RXQ), 0);
		(void)fixture_free(state);
		*state = fixture_new(SOCK_STREAM);
	}
}

/* What was sent before the end still arrives. */
static void test_rx_then_eof(void **state)
{
	struct fixture *f = *state;
	uint32_t len = 0, i;

	net_up(f, 0);
	rx_fill(f, 200);
	for (i = 0; i < 150; i++)
		len += wire(buf + len, 40, i);
	assert_int_equal(send(f->peer, buf, len, 0), len);
	(void)close(f->peer);
	f->peer = -1;
	assert_true(driver_settle(f->d));
	for (i = 0; i < 150; i++)
		check_rx(f, i, 40, i);
	assert_int_equal(link_status(f), 0);
}

/* Many frames in one read: none is left behind without an event. */
static void test_rx_budget(void **state)
{
	struct fixture *f = *state;
	uint32_t len = 0, i;

	net_up(f, F_EVENT);
	for (i = 0; i < 256; i++)
		len += wire(buf + len, 14, i);
	assert_int_equal(send(f->peer, buf, len, 0), len);
	for (i = 0; i < 256; i++)
		rx_add(f, i, 4096);
	virtio_kick(f->d->dev, NET_RXQ);
	assert_int_equal(driver_poll(f->d, 1), 1);
	assert_in_range(driver_used_idx(f->d, NET_RXQ), 1, 64);
	assert_true(driver_settle(f->d));
	for (i = 0; i < 256; i++)
		check_rx(f, i, 14, i);
}

/* Frames that the device has read already survive a driver's restart. */
static void test_rx_across_reset(void **state)
{
	struct fixture *f = *state;
	uint32_t len = 0, i;

	net_up(f, 0);
	rx_fill(f, 1);
	for (i = 0; i < 5; i++)
		len += wire(buf + len, 100 + i, i);
	peer_send(f, buf, len - 50);
	check_rx(f, 0, 100, 0);
	driver_start(f->d, net_virtio(f->n), 0, 256);
	for (i = 0; i < 4; i++)
		rx_add(f, i, 4096);
	/* No kick and no event of the socket: start looks by itself. */
	assert_true(driver_settle(f->d));
	assert_int_equal(driver_used_idx(f->d, NET_RXQ), 3);
	peer_send(f, buf + len - 50, 50);
	for (i = 0; i < 4; i++)
		check_rx(f, i, 101 + i, 1 + i);
}

/* Mergeable, buffers one by one, with more frames waiting in the stream. */
static void test_rx_held(void **state)
{
	struct fixture *f = *state;
	uint32_t len, i;

	net_up(f, F_MRG | F_EVENT);
	len = wire(buf, 9000, 1);
	len += wire(buf + len, 60, 2);
	peer_send(f, buf, len);
	for (i = 0; i < 4; i++) {
		rx_add(f, i, 4096);
		assert_true(driver_kick(f->d, NET_RXQ));
		assert_int_equal(driver_used_idx(f->d, NET_RXQ),
				 (i >= 2) * 3 + (i >= 3));
	}
	check_rx(f, 0, 9000, 1);
	check_rx(f, 3, 60, 2);
}

/* Read frames from the peer's side. */
static void peer_expect(struct fixture *f, uint32_t len, unsigned seed,
			uint32_t chunk)
{
	uint32_t have = 0, tries;

	for (tries = 0; have < len + 4; tries++) {
		ssize_t n = recv(f->peer, buf + have,
				 MIN(chunk, len + 4 - have), MSG_DONTWAIT);

		assert_true(tries < 1000000);
		assert_true(n > 0 || errno == EAGAIN);
		if (n > 0)
			have += (uint32_t)n;
		assert_true(driver_settle(f->d));
	}
	assert_int_equal(be32toh(get_le32(buf)), len);
	frame_check(buf + 4, len, seed);
}

static void test_tx(void **state)
{
	struct fixture *f = *state;
	const uint32_t sizes[] = { 14, 15, 60, 1514, 65535, NET_FRAME_MAX };
	unsigned i;

	net_up(f, F_EVENT);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		tx_frame(f, sizes[i], i);
		assert_true(driver_kick(f->d, NET_TXQ));
		assert_int_equal(tx_done(f), 1);
		peer_expect(f, sizes[i], i, 1 << 20);
	}
	tx_frame(f, 13, 0);
	tx_frame(f, NET_FRAME_MAX + 1, 0);
	assert_true(driver_kick(f->d, NET_TXQ));
	assert_int_equal(tx_done(f), 2);
	assert_int_equal(recv(f->peer, buf, 1, MSG_DONTWAIT), -1);
}

/* A slow reader: partial writes, and each frame still whole and in order. */
static void test_tx_partial(void **state)
{
	struct fixture *f = *state;
	int small = 4096;
	unsigned i, done;

	(void)setsockopt(f->n->link->fd, SOL_SOCKET, SO_SNDBUF, &small,
			 sizeof(small));
	net_up(f, F_EVENT);
	for (i = 0; i < 20; i++)
		tx_add(f, TX_BUF + i * 0x4000u, (uint8_t[HDR]){ 0 }, HDR,
		       9000 + i, i);
	assert_true(driver_kick(f->d, NET_TXQ));
	done = tx_done(f);
	assert_in_range(done, 1, 19);
	/* Waiting is no spinning. */
	assert_int_equal(driver_poll(f->d, 10), 0);
	for (i = 0; i < 20; i++)
		peer_expect(f, 9000 + i, i, 1000);
	done += tx_done(f);
	assert_int_equal(done, 20);
	assert_int_equal(stats(f).tx, 20);
}

/* A reset in the midst of a frame must not tear the stream. */
static void test_tx_reset(void **state)
{
	struct fixture *f = *state;
	int small = 4096;

	(void)setsockopt(f->n->link->fd, SOL_SOCKET, SO_SNDBUF, &small,
			 sizeof(small));
	net_up(f, 0);
	tx_frame(f, 65000, 1);
	assert_true(driver_kick(f->d, NET_TXQ));
	assert_int_equal(tx_done(f), 1);
	virtio_set_status(f->d->dev, 0);
	/* The old frame's memory has other contents now. */
	(void)gmem_fill(&f->d->m.gmem, TX_BUF, 0xff, 70000);
	net_up(f, 0);
	tx_frame(f, 100, 2);
	assert_true(driver_kick(f->d, NET_TXQ));
	peer_expect(f, 65000, 1, 5000);
	peer_expect(f, 100, 2, 5000);
}

static void test_tx_peer_gone(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	net_up(f, 0);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)close(f->peer);
	f->peer = -1;
	for (i = 0; i < 10; i++)
		tx_frame(f, 60, i);
	/* Straight, before the loop could see the end; no SIGPIPE. */
	f->d->dev->model->kick(f->d->dev, NET_TXQ);
	assert_true(driver_settle(f->d));
	assert_int_equal(tx_done(f), 10);
	assert_int_equal(link_status(f), 0);
}

static void test_open_errors(void **state)
{
	char path[200] = "/tmp/csvvmm-net-XXXXXX";
	struct driver *d = driver_new();
	struct net *n = NULL;

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(net_create(&d->m, NET_PASST, "", mac, &n), -EINVAL);
	assert_int_equal(net_create(&d->m, NET_PASST, path, mac, &n),
			 -ECONNREFUSED);
	(void)rmdir(path);
	assert_int_equal(net_create(&d->m, NET_PASST, path, mac, &n), -ENOENT);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(net_create(&d->m, NET_PASST, path, mac, &n),
			 -ENAMETOOLONG);
	assert_null(n);
	net_destroy(NULL);
	driver_free(d);
}

/* --- the real one ---------------------------------------------------------- */

struct passt {
	char dir[64], sock[80];
	pid_t pid;
};

static void passt_stop(struct passt *p)
{
	if (p->pid > 0) {
		(void)kill(p->pid, SIGTERM);
		(void)waitpid(p->pid, NULL, 0);
	}
	(void)unlink(p->sock);
	(void)rmdir(p->dir);
}

/* Return: false when passt can't run here */
static bool passt_start(struct passt *p)
{
	struct stat st;
	unsigned i;

	*p = (struct passt){ .dir = "/tmp/csvvmm-passt-XXXXXX" };
	assert_non_null(mkdtemp(p->dir));
	(void)chmod(p->dir, 0777);
	(void)snprintf(p->sock, sizeof(p->sock), "%s/s", p->dir);
	p->pid = fork();
	if (p->pid == 0) {
		int null = open("/dev/null", O_RDWR);

		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)execlp("passt", "passt", "-f", "-q", "-s", p->sock, "-a",
			     "192.0.2.2", "-n", "24", "-g", "192.0.2.1", "-4",
			     (char *)NULL);
		_exit(127);
	}
	for (i = 0; i < 100; i++) {
		if (stat(p->sock, &st) == 0)
			return true;
		if (waitpid(p->pid, NULL, WNOHANG) == p->pid) {
			p->pid = -1;
			return false;
		}
		(void)usleep(50000);
	}
	return false;
}

/* Who has 192.0.2.1? */
static const uint8_t arp[] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0xab, 0xcd,
	0xef, 0x08, 0x06, 0,	1,    0x08, 0,	  6,	4, 0,	 1,
	0x52, 0x54, 0,	  0xab, 0xcd, 0xef, 192,  0,	2, 2,	 0,
	0,    0,    0,	  0,	0,    192,  0,	  2,	1,
};

static bool arp_answered(struct fixture *f)
{
	unsigned i;

	for (i = 0; i < 100; i++) {
		assert_true(driver_settle(f->d));
		while (rx_get(f, f->d->q[NET_RXQ].used % 200, 4096, buf)) {
			/* A reply of 192.0.2.1, to our address. */
			if (!memcmp(buf + HDR, mac, 6) && buf[HDR + 21] == 2 &&
			    buf[HDR + 31] == 1)
				return true;
		}
		(void)usleep(50000);
	}
	return false;
}

static void test_real_passt(void **state)
{
	struct fixture f = { .peer = -1, .d = driver_new() };
	uint8_t none[HDR] = { 0 };
	struct passt p;
	bool ok;

	(void)state;
	if (!passt_start(&p)) {
		print_message("# skip: passt does not run here\n");
		passt_stop(&p);
		driver_free(f.d);
		skip();
	}
	assert_int_equal(net_create(&f.d->m, NET_PASST, p.sock, mac, &f.n), 0);
	net_up(&f, F_MRG);
	rx_fill(&f, 200);
	(void)gmem_write(&f.d->m.gmem, TX_BUF, none, HDR);
	(void)gmem_write(&f.d->m.gmem, TX_BUF + HDR, arp, sizeof(arp));
	(void)driver_add(f.d, NET_TXQ,
			 (struct dbuf[]){ { TX_BUF, HDR + sizeof(arp) } }, 1, 0);
	assert_true(driver_kick(f.d, NET_TXQ));
	ok = arp_answered(&f);
	passt_stop(&p);
	assert_true(ok);
	/* It ended: so does the link. */
	assert_true(driver_settle(f.d));
	assert_int_equal(link_status(&f), 0);
	net_destroy(f.n);
	driver_free(f.d);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_features),
		T(test_rx_byte_by_byte),
		T(test_rx_cut_anywhere),
		T(test_rx_largest),
		T(test_rx_short_frames),
		T(test_rx_oversize),
		T(test_rx_eof),
		T(test_rx_then_eof),
		T(test_rx_budget),
		T(test_rx_across_reset),
		T(test_rx_held),
		T(test_tx),
		T(test_tx_partial),
		T(test_tx_reset),
		T(test_tx_peer_gone),
		cmocka_unit_test(test_open_errors),
		cmocka_unit_test(test_real_passt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
