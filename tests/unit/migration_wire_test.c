/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Greeting and records, against bytes typed from docs/WIRE.md. */
#include "tests/unit/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/util.h"
#include "migration/wire.h"

#define STALL_NS 50000000ULL

static struct wire w;
static int peer, wake;

static int setup(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	wake = eventfd(0, EFD_NONBLOCK);
	peer = pair[1];
	wire_open(&w, WIRE_TARGET, pair[0], wake, STALL_NS);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(w.fd);
	if (peer >= 0)
		close(peer);
	close(wake);
	return 0;
}

static void say(const void *bytes, size_t len)
{
	assert_int_equal(write(peer, bytes, len), (ssize_t)len);
}

/* The other side's, as far as a test changes nothing. */
static const uint8_t good[32] = { 'C', 'S', 'V', 'V', 'M', 'M', 'I', 'G',
				  1,   0,   1,	 0,   0,   0,	0,   0 };

static void greets(void **state)
{
	uint8_t got[33];

	(void)state;
	say(good, sizeof(good));
	assert_int_equal(wire_greet(&w), 0);
	assert_int_equal(w.version, 1);
	assert_int_equal(read(peer, got, sizeof(got)), 32);
	assert_memory_equal(got, good, 32);
}

static int greet_with(unsigned at, const void *bytes, size_t len)
{
	uint8_t g[32];

	memcpy(g, good, sizeof(g));
	memcpy(g + at, bytes, len);
	say(g, sizeof(g));
	return wire_greet(&w);
}

static void says(const char *text)
{
	if (!strstr(w.error, text))
		fail_msg("'%s' does not hold '%s'", w.error, text);
}

static void greeting_newer(void **state)
{
	(void)state;
	assert_int_equal(greet_with(8, "\x02\x00\x01\x00", 4), 0);
	assert_int_equal(w.version, 1);
}

static void greeting_too_new(void **state)
{
	(void)state;
	assert_int_equal(greet_with(8, "\x02\x00\x02\x00", 4), -EPROTO);
	says("version: the peer speaks 2 to 2, this csvvmm 1 to 1");
}

static void greeting_too_old(void **state)
{
	(void)state;
	assert_int_equal(greet_with(8, "\x00\x00\x00\x00", 4), -EPROTO);
	says("version: the peer speaks 0 to 0");
}

static void greeting_upside_down(void **state)
{
	(void)state;
	assert_int_equal(greet_with(8, "\x01\x00\x02\x00", 4), -EPROTO);
	says("malformed");
}

static void greeting_reserved(void **state)
{
	(void)state;
	assert_int_equal(greet_with(15, "\x01", 1), -EPROTO);
	says("malformed");
}

static void greeting_must(void **state)
{
	(void)state;
	assert_int_equal(greet_with(23, "\x80", 1), -EPROTO);
	says("insists on 0x8000000000000000");
}

static void greeting_may(void **state)
{
	(void)state;
	assert_int_equal(greet_with(24, "\xff\xff\xff\xff\xff\xff\xff\xff", 8),
			 0);
	assert_int_equal(w.features, 0);
}

/* Somebody else's protocol may end with fewer bytes than ours begins with. */
static void greeting_stranger(void **state)
{
	(void)state;
	say("GET / HTTP/1.0\r\n", 16);
	assert_int_equal(wire_greet(&w), -EPROTO);
	says("not csvvmm");
}

static void greeting_cut(void **state)
{
	unsigned n;

	(void)state;
	for (n = 0; n < 32; n++) {
		teardown(NULL);
		setup(NULL);
		if (n)
			say(good, n);
		close(peer);
		peer = -1;
		assert_int_equal(wire_greet(&w), -ECONNRESET);
		says("hung up");
	}
}

static void greeting_slow(void **state)
{
	(void)state;
	say(good, 31);
	assert_int_equal(wire_greet(&w), -ETIMEDOUT);
	says("silent");
}

static void greeting_cancelled(void **state)
{
	uint64_t one = 1;

	(void)state;
	assert_int_equal(write(wake, &one, 8), 8);
	assert_int_equal(wire_greet(&w), -ECANCELED);
}

/* --- records --- */

static int head(const char *bytes, struct wire_head *h)
{
	say(bytes, 8);
	return wire_recv_head(&w, h);
}

static void record(void **state)
{
	static const char raw[] = "\x0b\x00\x00\x00\x0b\x00\x00\x00"
				  "\x07\x00\x00\x00hello!!";
	struct wire_head h;
	uint8_t body[11];

	(void)state;
	say(raw, sizeof(raw) - 1);
	assert_int_equal(wire_recv_head(&w, &h), 0);
	assert_int_equal(h.type, 11);
	assert_int_equal(h.len, 11);
	assert_int_equal(wire_recv(&w, &h, body, 4), 0);
	assert_int_equal(wire_recv_end(&w, &h), -EPROTO);
	says("7 bytes too many");
	w.error[0] = 0;
	assert_int_equal(wire_recv(&w, &h, body, 8), -EPROTO);
	says("too short by 1 bytes");
	assert_int_equal(wire_recv(&w, &h, body, 7), 0);
	assert_memory_equal(body, "hello!!", 7);
	assert_int_equal(wire_recv_end(&w, &h), 0);
}

static void record_types(void **state)
{
	struct wire_head h;

	(void)state;
	assert_int_equal(head("\x00\x00\x00\x00\x00\x00\x00\x00", &h), -EPROTO);
	says("unknown type 0");
	w.error[0] = 0;
	assert_int_equal(head("\x15\x00\x00\x00\x00\x00\x00\x00", &h), -EPROTO);
	says("unknown type 21");
	w.error[0] = 0;
	assert_int_equal(head("\xff\xff\x00\x00\x00\x00\x00\x00", &h), -EPROTO);
	w.error[0] = 0;
	assert_int_equal(head("\x08\x00\x01\x00\x00\x00\x00\x00", &h), -EPROTO);
	says("flags 0x1");
	w.error[0] = 0;
	/* A target's record, at a target. */
	assert_int_equal(head("\x0f\x00\x00\x00\x00\x00\x00\x00", &h), -EPROTO);
	says("\"prepared\": not for the peer to send");
}

/* Numbers of docs/WIRE.md; NULL in @name: the target's. */
static void record_lengths(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t min, max;
	} t[] = {
		{ 1, 16, 65536 },  { 3, 16, 65536 },   { 5, 0, 17031048 },
		{ 6, 0, 4206600 }, { 7, 0, 49136 },    { 8, 0, 0 },
		{ 9, 0, 49136 },   { 10, 4152, 4152 }, { 11, 9, 262144 },
		{ 12, 5, 65536 },  { 13, 2, 262144 },  { 14, 16, 16 },
		{ 16, 0, 0 },	   { 18, 1, 255 },     { 19, 0, 0 },
	};
	struct wire_head h;
	char raw[8] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		const uint32_t bad[] = { t[i].max + 1, 0x7fffffff, 0x80000000,
					 0xffffffff };
		size_t k;

		raw[0] = (char)t[i].type;
		memcpy(raw + 4, &t[i].max, 4);
		w.error[0] = 0;
		if (head(raw, &h))
			fail_msg("type %u: %s", t[i].type, w.error);
		if (t[i].min) {
			uint32_t less = t[i].min - 1;

			memcpy(raw + 4, &less, 4);
			assert_int_equal(head(raw, &h), -EPROTO);
			says("is not in");
		}
		for (k = 0; k < ARRAY_SIZE(bad); k++) {
			w.error[0] = 0;
			memcpy(raw + 4, &bad[k], 4);
			assert_int_equal(head(raw, &h), -EPROTO);
			says("is not in");
		}
	}
}

static void record_sent(void **state)
{
	char got[32];

	(void)state;
	assert_int_equal(wire_send(&w, WIRE_PREPARED, NULL, 0), 0);
	assert_int_equal(read(peer, got, sizeof(got)), 8);
	assert_memory_equal(got, "\x0f\0\0\0\0\0\0\0", 8);
	wire_send_fail(&w, "no");
	assert_int_equal(read(peer, got, sizeof(got)), 10);
	assert_memory_equal(got, "\x12\0\0\0\x02\0\0\0no", 10);
	assert_int_equal(wire_send(&w, WIRE_ANSWER, got, 15), -EMSGSIZE);
	assert_int_equal(w.sent, 18);
}

static void record_in_parts(void **state)
{
	char a[] = "abcdefgh", b[] = "ijklmnopq", got[32];
	struct iovec iov[3] = { { a, 8 }, { NULL, 0 }, { b, 9 } };

	(void)state;
	assert_int_equal(wire_sendv(&w, WIRE_ANSWER, iov, 3), 0);
	assert_int_equal(read(peer, got, sizeof(got)), 25);
	assert_memory_equal(got, "\x02\0\0\0\x11\0\0\0abcdefghijklmnopq", 25);
}

static void reason_is_printable(void **state)
{
	struct wire_head h;

	(void)state;
	assert_int_equal(head("\x12\x00\x00\x00\x05\x00\x00\x00", &h), 0);
	say("a\x1b[\n\xff", 5);
	assert_int_equal(wire_recv_fail(&w, &h), -EREMOTEIO);
	assert_string_equal(w.error, "the peer: a?[??");
}

/* Whoever does not read does not make us wait for ever. */
static void peer_reads_nothing(void **state)
{
	static uint8_t big[65536];
	int r = 0, i;

	(void)state;
	for (i = 0; i < 1000 && !r; i++)
		r = wire_send(&w, WIRE_ANSWER, big, sizeof(big));
	assert_int_equal(r, -ETIMEDOUT);
	says("silent");
}

/* Send until it fails, with a line that is full. */
static int send_all(void)
{
	static uint8_t big[65536];
	int r = 0, i;

	w.stall_ns = 60000000000ULL; /* the answer does not wait for it */
	for (i = 0; i < 1000 && !r; i++)
		r = wire_send(&w, WIRE_ANSWER, big, sizeof(big));
	return r;
}

/* It reads no more, and has said why: that is the reason, and it comes at once. */
static void gave_up(bool gone)
{
	greets(NULL);
	say("\x12\0\0\0\x04\0\0\0full", 12);
	if (gone) {
		close(peer);
		peer = -1;
	}
	assert_int_equal(send_all(), -EREMOTEIO);
	assert_string_equal(w.error, "the peer: full");
}

static void peer_gave_up(void **state)
{
	(void)state;
	gave_up(false);
}

static void peer_gave_up_and_went(void **state)
{
	(void)state;
	gave_up(true);
}

static void peer_went(void **state)
{
	(void)state;
	greets(NULL);
	close(peer);
	peer = -1;
	assert_int_equal(send_all(), -ECONNRESET);
	says("hung up");
}

static void *wake_later(void *arg)
{
	uint64_t one = 1;

	(void)arg;
	usleep(100000); /* it has begun to read by then */
	assert_int_equal(write(wake, &one, 8), 8);
	return NULL;
}

/* It begins to say why: who waits for the rest can be called off, and not held. */
static void peer_gave_up_halfway(void **state)
{
	pthread_t thread;

	(void)state;
	greets(NULL);
	say("\x12\0\0\0", 4);
	assert_int_equal(pthread_create(&thread, NULL, wake_later, NULL), 0);
	assert_int_equal(send_all(), -ECANCELED);
	(void)pthread_join(thread, NULL);
	says("cancelled");
}

static void *trickle(void *arg)
{
	static const uint8_t fail[8 + 255] = { 18, 0, 0, 0, 255 };
	size_t i;

	(void)arg;
	for (i = 0; i < sizeof(fail); i++) {
		if (send(peer, &fail[i], 1, MSG_NOSIGNAL) != 1)
			break;
		usleep(10000);
	}
	return NULL;
}

static void peer_trickles(void **state)
{
	static uint8_t big[65536];
	pthread_t thread;
	int r = 0;

	(void)state;
	greets(NULL);
	while (send(w.fd, big, sizeof(big), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(pthread_create(&thread, NULL, trickle, NULL), 0);
	r = wire_send(&w, WIRE_ANSWER, big, sizeof(big)); /* 50 ms, not 2.6 s */
	assert_int_equal(r, -ETIMEDOUT);
	shutdown(w.fd, SHUT_RDWR);
	(void)pthread_join(thread, NULL);
	says("silent");
}

static void peer_speaks_another(void **state)
{
	(void)state;
	greets(NULL);
	say("\x15\0\0\0\0\0\0\0", 8);
	assert_int_equal(send_all(), -EPROTO);
	says("unknown type 21");
}

/* Anything else is nothing that it may say while we speak. */
static void peer_interrupts(void **state)
{
	(void)state;
	greets(NULL);
	say("\x08\0\0\0\0\0\0\0", 8);
	assert_int_equal(send_all(), -EPROTO);
	says("record \"stopped\": not now");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(greets),
		T(greeting_newer),
		T(greeting_too_new),
		T(greeting_too_old),
		T(greeting_upside_down),
		T(greeting_reserved),
		T(greeting_must),
		T(greeting_may),
		T(greeting_stranger),
		T(greeting_cut),
		T(greeting_slow),
		T(greeting_cancelled),
		T(record),
		T(record_types),
		T(record_lengths),
		T(record_sent),
		T(record_in_parts),
		T(reason_is_printable),
		T(peer_reads_nothing),
		T(peer_gave_up),
		T(peer_gave_up_and_went),
		T(peer_went),
		T(peer_interrupts),
		T(peer_gave_up_halfway),
		T(peer_trickles),
		T(peer_speaks_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
