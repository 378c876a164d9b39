/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/net_fixture.h"

#include <linux/if.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>

/*
 * A real tap, in a network namespace of this process alone. The host's side
 * is a packet socket. Needs CAP_SYS_ADMIN and /dev/net/tun.
 */

#define TAP   "ctap0"
#define NOISE 64 /* the host speaks up by itself: IPv6 and its kin */

/* Ethernet type for local experiments: tells our frames from the host's. */
#define TYPE_HI 0x88
#define TYPE_LO 0xb5

static uint8_t buf[4 * NET_BUF];
static const char *why_not;

static int enter(void **state)
{
	int fd;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0) {
		why_not = "no network namespace without privilege";
		return 0;
	}
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		why_not = "no /dev/net/tun";
	else
		(void)close(fd);
	return 0;
}

static bool can_run(void)
{
	if (why_not)
		print_message("# skip: %s\n", why_not);
	return !why_not;
}

static void tap_updown(const char *name, bool up)
{
	struct ifreq ifr = { .ifr_flags = (short)(up ? IFF_UP : 0) };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_true(s >= 0);
	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
	(void)close(s);
}

static int tap_index(const char *name)
{
	struct ifreq ifr = { 0 };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	r = ioctl(s, SIOCGIFINDEX, &ifr);
	(void)close(s);
	return r < 0 ? -1 : ifr.ifr_ifindex;
}

static void tap_delete(const char *name)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} msg = {
		.h = { .nlmsg_len = sizeof(msg),
		       .nlmsg_type = RTM_DELLINK,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.i = { .ifi_index = tap_index(name) },
	};
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	assert_int_equal(send(s, &msg, sizeof(msg), 0), sizeof(msg));
	assert_true(recv(s, buf, sizeof(buf), 0) > 0);
	(void)close(s);
	assert_int_equal(tap_index(name), -1);
}

static int packet_socket(bool vnet)
{
	struct sockaddr_ll sa = { .sll_family = AF_PACKET,
				  .sll_protocol = htobe16(3), /* all */
				  .sll_ifindex = tap_index(TAP) };
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = vnet;

	assert_true(s >= 0);
	assert_int_equal(
		setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	assert_int_equal(bind(s, (const struct sockaddr *)(const void *)&sa,
			      sizeof(sa)),
			 0);
	return s;
}

static struct fixture *open_tap(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->peer = -1;
	f->d = driver_new();
	assert_int_equal(net_create(&f->d->m, NET_TAP, TAP, mac, &f->n), 0);
	return f;
}

static void close_tap(struct fixture *f)
{
	(void)fixture_free((void **)&f);
}

static void rx_fill(struct fixture *f)
{
	unsigned i;

	for (i = 0; i < 256; i++)
		rx_add(f, i, 1526);
	assert_true(driver_kick(f->d, NET_RXQ));
}

/* Header of one of our frames; the rest is made from @seed. */
static void frame_ours(uint8_t *p, uint32_t len, unsigned seed)
{
	frame_make(p, len, seed);
	memset(p, 0xff, 6);
	memcpy(p + 6, mac, 6);
	p[6] ^= 2;
	p[12] = TYPE_HI;
	p[13] = TYPE_LO;
}

/* Next of our frames that the guest got, header first. */
static uint32_t guest_recv(struct fixture *f)
{
	unsigned i;

	assert_true(driver_settle(f->d));
	for (i = 0; i < NOISE; i++) {
		uint32_t n = rx_get(f, f->d->q[NET_RXQ].used % 256, 1526, buf);

		if (!n || (buf[HDR + 12] == TYPE_HI && buf[HDR + 13] == TYPE_LO))
			return n;
	}
	return 0;
}

/* The same on the host's side. */
static uint32_t host_recv(int s)
{
	unsigned i;

	for (i = 0; i < NOISE; i++) {
		ssize_t n = recv(s, buf, sizeof(buf), 0);

		if (n < 0)
			return 0;
		if (buf[12] == TYPE_HI && buf[13] == TYPE_LO)
			return (uint32_t)n;
	}
	return 0;
}

static void guest_send(struct fixture *f, const struct virtio_net_hdr_v1 *h,
		       const void *frame, uint32_t len)
{
	const struct dbuf seg[] = { { TX_BUF, HDR }, { TX_BUF + HDR, len } };

	(void)gmem_write(&f->d->m.gmem, TX_BUF, h, HDR);
	(void)gmem_write(&f->d->m.gmem, TX_BUF + HDR, frame, len);
	(void)driver_add(f->d, NET_TXQ, seg, 2, 0);
	assert_true(driver_kick(f->d, NET_TXQ));
	assert_int_equal(tx_done(f), 1);
}

static const struct virtio_net_hdr_v1 plain;

static void check_both_ways(struct fixture *f, int s, uint32_t len)
{
	static uint8_t frame[NET_BUF];

	frame_ours(frame, len, 1);
	guest_send(f, &plain, frame, len);
	assert_int_equal(host_recv(s), len);
	assert_memory_equal(buf, frame, len);
	frame_ours(frame, len, 2);
	assert_int_equal(send(s, frame, len, 0), len);
	assert_int_equal(guest_recv(f), HDR + len);
	assert_memory_equal(buf + HDR, frame, len);
}

static void test_names(void **state)
{
	struct driver *d;
	struct net *n = NULL;

	(void)state;
	if (!can_run())
		skip();
	d = driver_new();
	assert_int_equal(net_create(&d->m, NET_TAP, "", mac, &n), -EINVAL);
	assert_int_equal(net_create(&d->m, NET_TAP, "t%d", mac, &n), -EINVAL);
	assert_int_equal(net_create(&d->m, NET_TAP, "0123456789abcdef", mac, &n),
			 -ENAMETOOLONG);
	/* An interface, but no tap. */
	assert_int_equal(net_create(&d->m, NET_TAP, "lo", mac, &n), -EINVAL);
	assert_null(n);
	driver_free(d);
}

static void test_traffic(void **state)
{
	struct fixture *f;
	unsigned i;
	int s;

	(void)state;
	if (!can_run())
		skip();
	f = open_tap();
	/* A current kernel has all offloads; nothing else is offered. */
	assert_int_equal(net_virtio(f->n)->features & 0xfffffff,
			 BIT(0) | BIT(1) | BIT(5) | BIT(7) | BIT(8) | BIT(11) |
				 BIT(12) | BIT(15) | BIT(16));
	tap_updown(TAP, true);
	s = packet_socket(false);
	for (i = 0; i < 4; i++) {
		net_up(f, (i & 1 ? F_MRG : 0) | (i & 2 ? F_EVENT : 0));
		rx_fill(f);
		check_both_ways(f, s, 14 + i);
		check_both_ways(f, s, 60);
		check_both_ways(f, s, 1514);
	}
	(void)close(s);
	close_tap(f);
	/* Made by us, so it goes with us. */
	assert_int_equal(tap_index(TAP), -1);
}

/* One that the operator made stays, and can be had once at a time. */
static void test_existing(void **state)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = TAP };
	struct fixture *f;
	struct net *n;
	int fd, s;

	(void)state;
	if (!can_run())
		skip();
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	(void)close(fd);

	f = open_tap();
	assert_int_equal(net_create(&f->d->m, NET_TAP, TAP, mac, &n), -EBUSY);
	tap_updown(TAP, true);
	s = packet_socket(false);
	net_up(f, F_MRG);
	rx_fill(f);
	check_both_ways(f, s, 100);
	(void)close(s);
	close_tap(f);
	assert_true(tap_index(TAP) > 0);
	tap_delete(TAP);
}

/* The operator sets the interface down and up again: frames are lost only. */
static void test_down_and_up(void **state)
{
	uint8_t frame[100];
	struct fixture *f;
	int s;

	(void)state;
	if (!can_run())
		skip();
	f = open_tap();
	net_up(f, F_MRG);
	rx_fill(f);
	/* It was never up yet. */
	frame_ours(frame, sizeof(frame), 1);
	guest_send(f, &plain, frame, sizeof(frame));
	tap_updown(TAP, true);
	s = packet_socket(false);
	check_both_ways(f, s, 100);
	tap_updown(TAP, false);
	guest_send(f, &plain, frame, sizeof(frame));
	assert_true(driver_settle(f->d));
	assert_int_equal(link_status(f), 1);
	assert_int_equal(stats(f).tx_dropped, 2);
	tap_updown(TAP, true);
	(void)close(s);
	s = packet_socket(false);
	check_both_ways(f, s, 100);
	(void)close(s);
	close_tap(f);
}

/* Deleted with rx on, with rx off, without a driver: the link goes down. */
static void test_deleted(void **state)
{
	unsigned i;

	(void)state;
	if (!can_run())
		skip();
	for (i = 0; i < 3; i++) {
		struct fixture *f = open_tap();
		uint8_t frame[100];

		tap_updown(TAP, true);
		if (i < 2)
			net_up(f, F_MRG);
		if (i == 0)
			rx_fill(f);
		tap_delete(TAP);
		assert_true(driver_settle(f->d));
		/* The kernel wakes readers only: others see it at next use. */
		if (i == 0)
			assert_int_equal(link_status(f), 0);
		frame_ours(frame, sizeof(frame), 1);
		net_up(f, 0);
		guest_send(f, &plain, frame, sizeof(frame));
		assert_true(driver_settle(f->d));
		assert_int_equal(link_status(f), 0);
		assert_int_equal(stats(f).tx_dropped, 1);
		assert_false(driver_needs_reset(f->d));
		close_tap(f);
	}
}

/* Ethernet, IPv4 and TCP headers of a segment with @len bytes in all. */
static void tcp_make(uint8_t *p, uint32_t len)
{
	const uint8_t ip[] = { 0x45, 0, 0,   0, 0, 1, 0x40, 0, 64, 6,
			       0,    0, 192, 0, 2, 1, 192,  0, 2,  2 };
	uint32_t sum = 0;
	unsigned i;

	frame_ours(p, len, 3);
	p[12] = 0x08;
	p[13] = 0;
	memcpy(p + 14, ip, sizeof(ip));
	p[16] = (uint8_t)((len - 14) >> 8);
	p[17] = (uint8_t)(len - 14);
	for (i = 14; i < 34; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	p[24] = (uint8_t)(sum >> 8);
	p[25] = (uint8_t)sum;
	memset(p + 34, 0, 20);
	p[46] = 0x50; /* header of 5 words */
	p[47] = 0x10; /* ACK */
}

static const struct virtio_net_hdr_v1 tso4 = {
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	.gso_size = 1460,
	.hdr_len = 54,
	.csum_start = 34,
	.csum_offset = 16,
};

#define SEG_LEN 30000u

/* How many TCP frames of the host reach the guest, and the longest one. */
static unsigned guest_tcp(struct fixture *f, uint32_t *ret_longest,
			  struct virtio_net_hdr_v1 *ret_hdr)
{
	unsigned n = 0, i;
	uint32_t len;

	*ret_longest = 0;
	for (i = 0; i < NOISE; i++) {
		len = rx_get(f, f->d->q[NET_RXQ].used % 256, 1526, buf);
		if (!len)
			break;
		if (buf[HDR + 12] != 8 || buf[HDR + 23] != 6)
			continue;
		n++;
		*ret_longest = MAX(*ret_longest, len);
		memcpy(ret_hdr, buf, HDR);
	}
	return n;
}

/* A large segment comes whole to a driver that can take it, else in pieces. */
static void test_tso_receive(void **state)
{
	const uint64_t guest_tso = BIT(1) | BIT(7);
	static uint8_t p[10 + SEG_LEN];
	struct virtio_net_hdr_v1 h;
	struct fixture *f;
	uint32_t longest;
	unsigned n;
	int s;

	(void)state;
	if (!can_run())
		skip();
	f = open_tap();
	tap_updown(TAP, true);
	s = packet_socket(true);
	memcpy(p, &tso4, 10);
	tcp_make(p + 10, SEG_LEN);

	net_up(f, F_MRG | guest_tso);
	rx_fill(f);
	assert_int_equal(send(s, p, sizeof(p), 0), sizeof(p));
	assert_true(driver_settle(f->d));
	n = guest_tcp(f, &longest, &h);
	assert_int_equal(n, 1);
	assert_int_equal(longest, HDR + SEG_LEN);
	assert_int_equal(h.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(h.gso_size, 1460);
	assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(h.num_buffers, (HDR + SEG_LEN + 1525) / 1526);

	net_up(f, F_MRG);
	rx_fill(f);
	assert_int_equal(send(s, p, sizeof(p), 0), sizeof(p));
	assert_true(driver_settle(f->d));
	n = guest_tcp(f, &longest, &h);
	assert_int_equal(n, (SEG_LEN - 54 + 1459) / 1460);
	assert_int_equal(longest, HDR + 1514);
	assert_int_equal(h.gso_type, 0);
	assert_int_equal(h.flags, 0);
	(void)close(s);
	close_tap(f);
}

/* The guest's segments reach the host; what the kernel refuses is dropped. */
static void test_tso_send(void **state)
{
	struct virtio_net_hdr_v1 bad = tso4;
	static uint8_t p[SEG_LEN];
	struct fixture *f;
	ssize_t n;
	int s;

	(void)state;
	if (!can_run())
		skip();
	f = open_tap();
	tap_updown(TAP, true);
	s = packet_socket(false);
	net_up(f, F_MRG | BIT(0) | BIT(11));
	tcp_make(p, SEG_LEN);
	guest_send(f, &tso4, p, SEG_LEN);
	do {
		n = recv(s, buf, sizeof(buf), 0);
		assert_true(n > 0);
	} while (buf[12] != 8 || buf[23] != 6);
	assert_int_equal(n, SEG_LEN);
	assert_memory_equal(buf, p, 14);

	/* Passes our bounds: the header is said to be longer than the frame's
	 * linear part may be, or the segment is no TCP at all. */
	bad.csum_start = (uint16_t)(SEG_LEN - 2);
	bad.csum_offset = 0;
	guest_send(f, &bad, p, SEG_LEN);
	frame_make(p, SEG_LEN, 9);
	guest_send(f, &tso4, p, SEG_LEN);
	assert_int_equal(link_status(f), 1);
	assert_false(driver_needs_reset(f->d));
	rx_fill(f);
	check_both_ways(f, s, 200);
	(void)close(s);
	close_tap(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_traffic),
		cmocka_unit_test(test_existing),
		cmocka_unit_test(test_down_and_up),
		cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_tso_receive),
		cmocka_unit_test(test_tso_send),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
