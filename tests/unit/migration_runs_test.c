/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of pages, against bytes typed from docs/WIRE.md. */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/gmem.h"
#include "core/util.h"
#include "migration/runs.h"

#define BYTES(s) (s), sizeof(s) - 1

static struct gmem gm;
static struct mig_runs runs;
static struct wire w;
static int peer;

static int setup(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	peer = pair[1];
	wire_open(&w, WIRE_TARGET, pair[0], -1, 50000000);
	/* Page 0xc0000 is the first of the hole, 0x100000 the first behind. */
	return gmem_init(&gm, GIB(4), false);
}

static int teardown(void **state)
{
	(void)state;
	gmem_fini(&gm);
	close(w.fd);
	close(peer);
	return 0;
}

static int decode_max(const char *bytes, size_t len, uint64_t max)
{
	struct wire_head h = { WIRE_ZERO, (uint32_t)len, (uint32_t)len };

	w.error[0] = 0;
	assert_int_equal(write(peer, bytes, len), (ssize_t)len);
	return runs_recv(&w, &h, &gm, max, &runs);
}

static int decode(const char *bytes, size_t len)
{
	char rest[256];
	int r = decode_max(bytes, len, WIRE_BATCH_MAX);

	/* What was not read must not be taken for the next. */
	(void)recv(w.fd, rest, sizeof(rest), MSG_DONTWAIT);
	return r;
}

static void known(void **state)
{
	(void)state;
	/* Pages 5, 6, 7; 300 (gap 292 = 0x24 + 2 * 128); 301 is in it. */
	assert_int_equal(
		decode(BYTES("\x05\0\0\0\x05\0\0\0\x05\x02\xa4\x02\x01")), 0);
	assert_int_equal(runs.n, 2);
	assert_int_equal(runs.pages, 5);
	assert_int_equal(runs.run[0].gfn, 5);
	assert_int_equal(runs.run[0].n, 3);
	assert_int_equal(runs.run[1].gfn, 300);
	assert_int_equal(runs.run[1].n, 2);
	/* Page 0 alone: the one gap that is 0. */
	assert_int_equal(decode(BYTES("\x02\0\0\0\x01\0\0\0\0\0")), 0);
	assert_int_equal(runs.run[0].gfn, 0);
	/* Page 0x100000, the first above 4 GiB: 64 * 128^2. */
	assert_int_equal(decode(BYTES("\x04\0\0\0\x01\0\0\0\x80\x80\x40\0")), 0);
	assert_int_equal(runs.run[0].gfn, 0x100000);
}

static void encoded(void **state)
{
	uint8_t buf[RUNS_ENCODED_MAX];

	(void)state;
	memset(&runs, 0, sizeof(runs));
	assert_int_equal(runs_add(&runs, 5, 1), 0);
	assert_int_equal(runs_add(&runs, 6, 2), 0);
	assert_int_equal(runs_add(&runs, 300, 2), 0);
	assert_int_equal(runs_encode(&runs, buf), 13);
	assert_memory_equal(buf, "\x05\0\0\0\x05\0\0\0\x05\x02\xa4\x02\x01", 13);
}

static void refused(void **state)
{
	static const struct {
		const char *what, *bytes;
		size_t len;
	} bad[] = {
#define B(what, s) { what, s, sizeof(s) - 1 }
		B("no pages", "\0\0\0\0\0\0\0\0"),
		B("no list", "\0\0\0\0\x01\0\0\0"),
		B("more pages than listed", "\x02\0\0\0\x02\0\0\0\0\0"),
		B("fewer", "\x02\0\0\0\x01\0\0\0\0\x01"),
		B("over the limit", "\x03\0\0\0\xff\x0f\0\0\0\xfe\x1f"),
		B("half a run", "\x01\0\0\0\x01\0\0\0\0"),
		B("cut number", "\x02\0\0\0\x01\0\0\0\x80\x80"),
		B("needless digit", "\x03\0\0\0\x01\0\0\0\x85\0\0"),
		B("seven digits",
		  "\x08\0\0\0\x01\0\0\0\x80\x80\x80\x80\x80\x80\x01\0"),
		B("runs that touch", "\x04\0\0\0\x02\0\0\0\x05\0\0\0"),
		B("list longer than any", "\xff\xff\xff\x7f\x01\0\0\0"),
		B("list longer than the record", "\x20\0\0\0\x01\0\0\0\0\0"),
		B("the hole", "\x04\0\0\0\x01\0\0\0\x80\x80\x30\0"),
		B("over the edge of it", "\x04\0\0\0\x02\0\0\0\xff\xff\x2f\x01"),
		B("behind the end", "\x04\0\0\0\x01\0\0\0\x80\x80\x50\0"),
		B("far behind", "\x07\0\0\0\x01\0\0\0\xff\xff\xff\xff\xff\x7f\0"),
		B("four thousand million pages",
		  "\x06\0\0\0\xff\xff\xff\xff\0\xfe\xff\xff\xff\x0f"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		int r = decode(bad[i].bytes, bad[i].len);

		if (r != -EPROTO || !w.error[0])
			fail_msg("%s: %d, '%s'", bad[i].what, r, w.error);
	}
}

/* A list that doubles a page can't be written; near ones can't either. */
static void truncated(void **state)
{
	static const char all[] = "\x05\0\0\0\x05\0\0\0\x05\x02\xa4\x02\x01";
	size_t n;

	(void)state;
	for (n = 0; n < sizeof(all) - 1; n++)
		assert_int_equal(decode(all, n), -EPROTO);
}

static void full(void **state)
{
	unsigned i;

	(void)state;
	memset(&runs, 0, sizeof(runs));
	for (i = 0; i < WIRE_BATCH_MAX; i++)
		assert_int_equal(runs_add(&runs, 2 * i, 1), 0);
	assert_int_equal(runs_add(&runs, 2 * i, 1), -ENOSPC);
	/* But one that touches the last does. */
	assert_int_equal(runs_add(&runs, 2 * i - 1, 1), 0);
}

static void there_and_back(void **state)
{
	static struct mig_runs from;
	static uint8_t buf[RUNS_ENCODED_MAX];
	unsigned round, i;

	(void)state;
	srand(2);
	for (round = 0; round < 200; round++) {
		uint64_t gfn = (uint64_t)rand() % 1000;

		from.n = 0;
		from.pages = 0;
		for (i = 0; i < 400; i++) {
			uint32_t n = 1 + (uint32_t)rand() % 9;

			assert_int_equal(runs_add(&from, gfn, n), 0);
			gfn += n + (uint64_t)rand() % (round % 2 ? 300 : 3);
		}
		assert_int_equal(decode_max((char *)buf, runs_encode(&from, buf),
					    WIRE_BATCH_MAX),
				 0);
		assert_int_equal(runs.n, from.n);
		assert_memory_equal(runs.run, from.run,
				    from.n * sizeof(from.run[0]));
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(known),     T(encoded), T(refused),
		T(truncated), T(full),	  T(there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
