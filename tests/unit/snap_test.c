/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/snap.h"
#include "core/util.h"

/* A device of every kind of field; it may also refuse things. */
struct toy {
	uint8_t a;
	uint16_t b;
	uint32_t c;
	uint64_t d;
	bool on;
	uint8_t raw[3];
	int save_error, load_error, freeze_error, hold_error;
	unsigned frozen, thawed;
	enum snap_hold held;
	const char *why;
	bool why_links;
};

static int toy_save(const void *obj, struct snap_w *w)
{
	const struct toy *t = obj;

	snap_put8(w, t->a);
	snap_put16(w, t->b);
	snap_put32(w, t->c);
	snap_put64(w, t->d);
	snap_put8(w, t->on);
	snap_put_bytes(w, t->raw, sizeof(t->raw));
	return t->save_error;
}

static int toy_load(void *obj, struct snap_r *r, uint32_t version)
{
	struct toy *t = obj;

	assert_in_range(version, 1, 2);
	t->a = snap_get8(r, "a");
	t->b = snap_get16(r, "b");
	t->c = snap_get32_range(r, "c", 5, 0x7fffffff);
	t->d = snap_get64(r, "d");
	t->on = snap_get_bool(r, "on");
	snap_get_bytes(r, "raw", t->raw, sizeof(t->raw));
	return t->load_error;
}

static int toy_freeze(void *obj)
{
	struct toy *t = obj;

	if (t->freeze_error)
		return t->freeze_error;
	t->frozen++;
	return 0;
}

static void toy_thaw(void *obj)
{
	((struct toy *)obj)->thawed++;
}

static int toy_hold(void *obj, enum snap_hold how)
{
	struct toy *t = obj;

	if (t->hold_error)
		return t->hold_error;
	t->held = how;
	return 0;
}

static const char *toy_obstacle(const void *obj, bool drop_links)
{
	const struct toy *t = obj;

	return t->why_links && drop_links ? NULL : t->why;
}

static const struct snap_item toy_item = {
	.name = "toy",
	.version = 2,
	.save = toy_save,
	.load = toy_load,
	.freeze = toy_freeze,
	.thaw = toy_thaw,
	.hold = toy_hold,
	.obstacle = toy_obstacle,
};

/* Has no state: does not travel. */
static const struct snap_item ghost_item = { .name = "ghost", .version = 1 };

struct pair {
	struct snap from, to;
	struct toy a[2], b[2];
	struct snap_error err;
};

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->a[0] = (struct toy){ .a = 0x11,
				.b = 0x2233,
				.c = 0x44556677,
				.d = 0x8899aabbccddeeffULL,
				.on = true,
				.raw = { 'x', 'y', 'z' } };
	p->a[1] = (struct toy){ .c = 5 };
	assert_int_equal(snap_add(&p->from, &toy_item, NULL, &p->a[0]), 0);
	assert_int_equal(snap_add(&p->from, &ghost_item, NULL, p), 0);
	assert_int_equal(snap_add(&p->from, &toy_item, NULL, &p->a[1]), 0);
	assert_int_equal(snap_add(&p->to, &ghost_item, NULL, p), 0);
	assert_int_equal(snap_add(&p->to, &toy_item, NULL, &p->b[0]), 0);
	assert_int_equal(snap_add(&p->to, &toy_item, NULL, &p->b[1]), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* Written by hand from the comment in core/snap.h. */
static const uint8_t golden[] = {
	2,    0, /* count */
	3,    't',  'o',  'y',	0,    0,    2,	  0,	0, 0,
	19,   0,    0,	  0,			  /* first */
	0x11, 0x33, 0x22, 0x77, 0x66, 0x55, 0x44, /* a b c */
	0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88, 1, 'x',
	'y',  'z',  3,	  't',	'o',  'y',  1,	  0,	2, 0,
	0,    0,    19,	  0,	0,    0, /* second */
	0,    0,    0,	  5,	0,    0,    0,	  0,	0, 0,
	0,    0,    0,	  0,	0,    0,    0,	  0,	0,
};

enum {
	AT_NAME = 3,
	AT_INSTANCE = 6,
	AT_VERSION = 8,
	AT_LEN = 12,
	AT_BODY = 16,
	AT_SECOND = 35
};

static void test_bytes(void **state)
{
	struct pair *p = *state;
	uint8_t buf[200];
	size_t len = 0;

	memset(buf, 0xee, sizeof(buf));
	assert_int_equal(
		snap_save_all(&p->from, buf, sizeof(buf), &len, &p->err), 0);
	assert_int_equal(len, sizeof(golden));
	assert_memory_equal(buf, golden, sizeof(golden));
	assert_int_equal(buf[len], 0xee);
}

static void test_load(void **state)
{
	struct pair *p = *state;

	assert_int_equal(snap_load_all(&p->to, golden, sizeof(golden), &p->err),
			 0);
	assert_int_equal(p->b[0].a, 0x11);
	assert_int_equal(p->b[0].b, 0x2233);
	assert_int_equal(p->b[0].c, 0x44556677);
	assert_true(p->b[0].d == 0x8899aabbccddeeffULL);
	assert_true(p->b[0].on);
	assert_memory_equal(p->b[0].raw, "xyz", 3);
	assert_int_equal(p->b[1].c, 5);
	assert_false(p->b[1].on);
	assert_string_equal(p->err.text, "");
}

/* One byte changed. Return: what load says */
static int load_with(struct pair *p, size_t at, uint8_t v)
{
	uint8_t buf[sizeof(golden)];

	memcpy(buf, golden, sizeof(buf));
	buf[at] = v;
	return snap_load_all(&p->to, buf, sizeof(buf), &p->err);
}

static void refused(struct pair *p, size_t at, uint8_t v, const char *words)
{
	assert_int_equal(load_with(p, at, v), -EPROTO);
	if (!strstr(p->err.text, words))
		fail_msg("byte %zu: \"%s\" does not say \"%s\"", at,
			 p->err.text, words);
	assert_null(strchr(p->err.text, '\n'));
}

static void test_fields(void **state)
{
	struct pair *p = *state;

	refused(p, AT_BODY + 15, 2, "toy 0: on: 2 is neither 0 nor 1");
	refused(p, AT_BODY + 15, 255, "toy 0: on:");
	refused(p, AT_BODY + 6, 0xff, "toy 0: c: 4283786871 is not in 5 to");
	refused(p, AT_SECOND + 14 + 3, 4, "toy 1: c: 4 is not in 5 to");
	p->b[1].load_error = -ENXIO;
	assert_int_equal(snap_load_all(&p->to, golden, sizeof(golden), &p->err),
			 -ENXIO);
	assert_non_null(strstr(p->err.text, "toy 1: load"));
}

static void test_frames(void **state)
{
	struct pair *p = *state;

	refused(p, 0, 3, "device state: name length");
	refused(p, 0, 1, "device state: length: 33 bytes too many");
	refused(p, 1, 0xff, "device state:");
	refused(p, AT_NAME - 1, 0, "device state: name: not a name");
	refused(p, AT_NAME - 1, 32, "device state: name length: 32");
	refused(p, AT_NAME - 1, 255, "device state: name length: 255");
	refused(p, AT_NAME, 'T', "device state: name: not a name");
	refused(p, AT_NAME, '\n', "device state: name: not a name");
	refused(p, AT_NAME, '\0', "device state: name: not a name");
	refused(p, AT_NAME, 'b', "there is no \"boy 0\" here");
	refused(p, AT_INSTANCE, 1, "\"toy 1\" twice");
	refused(p, AT_INSTANCE, 2, "there is no \"toy 2\" here");
	refused(p, AT_INSTANCE + 1, 255, "there is no \"toy 65280\" here");
	refused(p, AT_VERSION, 3, "toy 0: version: 3; this csvvmm takes 1 to 2");
	refused(p, AT_VERSION, 0, "toy 0: version: 0");
	refused(p, AT_VERSION + 3, 0x80, "toy 0: version");
	refused(p, AT_LEN, 18, "toy 0: raw: 3 bytes, but only 2 are left");
	refused(p, AT_LEN, 0, "toy 0: a: 1 bytes, but only 0 are left");
	refused(p, AT_LEN, 20, "toy 0: length: 1 bytes too many");
	refused(p, AT_LEN + 3, 0xff, "of \"toy\" is beyond the end");
	/* Old versions stay readable. */
	assert_int_equal(load_with(p, AT_VERSION, 1), 0);
}

static void test_length(void **state)
{
	struct pair *p = *state;
	uint8_t more[sizeof(golden) + 1] = { 0 };
	size_t len;

	/* Allocated to the byte, so that ASan sees a read behind the end. */
	for (len = 0; len < sizeof(golden); len++) {
		uint8_t *cut = malloc(len + !len);

		assert_non_null(cut);
		memcpy(cut, golden, len);
		assert_int_equal(snap_load_all(&p->to, cut, len, &p->err),
				 -EPROTO);
		assert_true(p->err.text[0]);
		free(cut);
	}
	memcpy(more, golden, sizeof(golden));
	assert_int_equal(snap_load_all(&p->to, more, sizeof(more), &p->err),
			 -EPROTO);
	assert_string_equal(p->err.text,
			    "device state: length: 1 bytes too many");
}

static void test_missing(void **state)
{
	struct pair *p = *state;
	uint8_t buf[AT_SECOND];

	memcpy(buf, golden, sizeof(buf));
	buf[0] = 1;
	assert_int_equal(snap_load_all(&p->to, buf, sizeof(buf), &p->err),
			 -EPROTO);
	assert_string_equal(p->err.text,
			    "device state: item: \"toy 1\" is missing");
	/* Nothing at all is not nothing to do. */
	memset(buf, 0, 2);
	assert_int_equal(snap_load_all(&p->to, buf, 2, &p->err), -EPROTO);
}

static void test_any_byte(void **state)
{
	struct pair *p = *state;
	size_t i;
	int v;

	for (i = 0; i < sizeof(golden); i++) {
		for (v = 0; v < 256; v++) {
			int r = load_with(p, i, (uint8_t)v);

			assert_true(r == 0 || r == -EPROTO);
			assert_true(!r == !p->err.text[0]);
		}
	}
}

static void test_space(void **state)
{
	struct pair *p = *state;
	uint8_t buf[sizeof(golden)];
	size_t cap, len = 77;

	for (cap = 0; cap < sizeof(golden); cap++) {
		uint8_t *small = malloc(cap + !cap);

		assert_non_null(small);
		assert_int_equal(snap_save_all(&p->from, small, cap, &len,
					       &p->err),
				 -ENOBUFS);
		assert_int_equal(len, 77);
		assert_true(p->err.text[0]);
		free(small);
	}
	p->a[1].save_error = -EBUSY;
	assert_int_equal(snap_save_all(&p->from, buf, sizeof(buf), &len, &p->err),
			 -EBUSY);
	assert_non_null(strstr(p->err.text, "toy 1: save"));
	assert_int_equal(len, 77);
}

static void test_first_complaint(void **state)
{
	struct snap_error err = { "" };
	struct snap_r r = { .buf = golden, .len = 4, .who = "x 0", .err = &err };
	uint8_t buf[600];

	(void)state;
	memset(buf, 0xaa, sizeof(buf));
	assert_int_equal(snap_get16(&r, "one"), 2);
	snap_get_bytes(&r, "two", buf, sizeof(buf));
	assert_int_equal(buf[0], 0);
	assert_int_equal(buf[599], 0);
	assert_int_equal(snap_bad(&r, "three", "no"), -EPROTO);
	assert_int_equal(snap_get8(&r, "four"), 0);
	assert_int_equal(snap_get32_range(&r, "five", 3, 9), 3);
	assert_int_equal(r.off, 2);
	assert_string_equal(err.text, "x 0: two: 600 bytes, but only 2 are left");

	/* Words of any length. */
	r.error = 0;
	memset(buf, 'w', sizeof(buf));
	buf[599] = 0;
	(void)snap_bad(&r, (const char *)buf, "%s", (const char *)buf);
	assert_int_equal(strlen(err.text), SNAP_ERROR_LEN - 1);
}

static void test_list(void **state)
{
	struct pair *p = *state;
	struct snap s = { .n = 0 };
	unsigned i;

	for (i = 0; i < SNAP_ITEMS_MAX; i++) {
		assert_int_equal(snap_add(&s, &toy_item, i % 2 ? "odd" : NULL,
					  &p->a[i % 2]),
				 0);
		assert_int_equal(s.entry[i].instance, i / 2);
	}
	assert_int_equal(snap_add(&s, &toy_item, NULL, &p->a[0]), -ENOSPC);
	snap_remove(&s, &ghost_item, &p->a[0]);
	snap_remove(&s, &toy_item, p);
	assert_int_equal(s.n, SNAP_ITEMS_MAX);
	snap_remove(&s, &toy_item, &p->a[0]);
	assert_int_equal(s.n, SNAP_ITEMS_MAX - 1);
	assert_string_equal(s.entry[0].name, "odd");
	/* A number is not given twice. */
	assert_int_equal(snap_add(&s, &toy_item, NULL, &p->a[0]), 0);
	assert_int_equal(s.entry[s.n - 1].instance, SNAP_ITEMS_MAX / 2);
}

static void test_freeze(void **state)
{
	struct pair *p = *state;

	assert_int_equal(snap_freeze_all(&p->from, &p->err), 0);
	assert_int_equal(p->a[0].frozen + p->a[1].frozen, 2);
	snap_thaw_all(&p->from);
	assert_int_equal(p->a[0].thawed + p->a[1].thawed, 2);
	/* One can't: all go on. */
	p->a[1].freeze_error = -ETIMEDOUT;
	assert_int_equal(snap_freeze_all(&p->from, &p->err), -ETIMEDOUT);
	assert_int_equal(p->a[0].frozen, 2);
	assert_int_equal(p->a[0].thawed, 2);
	assert_int_equal(p->a[1].thawed, 1);
	assert_non_null(strstr(p->err.text, "toy 1: freeze"));
}

static void test_hold(void **state)
{
	struct pair *p = *state;

	static const struct {
		enum snap_hold from, to, after;
		const char *words;
	} fails[] = {
		/* The source keeps all, the target nothing. */
		{ SNAP_HOLD_ALL, SNAP_HOLD_LEAVING, SNAP_HOLD_ALL, "give up" },
		{ SNAP_HOLD_NONE, SNAP_HOLD_COMING, SNAP_HOLD_NONE, "take over" },
		/* One that can goes all the way. */
		{ SNAP_HOLD_LEAVING, SNAP_HOLD_ALL, SNAP_HOLD_ALL, "take over" },
		{ SNAP_HOLD_COMING, SNAP_HOLD_ALL, SNAP_HOLD_ALL, "take over" },
		{ SNAP_HOLD_COMING, SNAP_HOLD_NONE, SNAP_HOLD_NONE, "give up" },
	};
	char words[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fails); i++) {
		p->a[1].hold_error = 0;
		assert_int_equal(snap_hold_all(&p->from, fails[i].from, &p->err),
				 0);
		assert_int_equal(p->a[0].held, fails[i].from);
		assert_int_equal(p->a[1].held, fails[i].from);
		p->a[1].hold_error = -EBUSY;
		assert_int_equal(snap_hold_all(&p->from, fails[i].to, &p->err),
				 -EBUSY);
		assert_int_equal(p->a[0].held, fails[i].after);
		(void)snprintf(words, sizeof(words), "toy 1: %s", fails[i].words);
		assert_non_null(strstr(p->err.text, words));
	}
}

static void test_check(void **state)
{
	struct pair *p = *state;

	assert_int_equal(snap_check_all(&p->from, false, &p->err), 0);
	p->a[1].why = "it is nailed down";
	p->a[1].why_links = true;
	assert_int_equal(snap_check_all(&p->from, true, &p->err), 0);
	p->a[1].why_links = false;
	assert_int_equal(snap_check_all(&p->from, true, &p->err), -EOPNOTSUPP);
	assert_string_equal(p->err.text, "toy 1: it is nailed down");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_bytes),	  T(test_load),	  T(test_fields),
		T(test_frames),	  T(test_length), T(test_missing),
		T(test_any_byte), T(test_space),  T(test_first_complaint),
		T(test_list),	  T(test_freeze), T(test_hold),
		T(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
