/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_TESTS_UNIT_MOVE_H
#define CSVVMM_TESTS_UNIT_MOVE_H

/* A machine's devices go on in another machine. After cmocka.h. */

#include <errno.h>
#include <stdlib.h>

#include "core/machine.h"

static uint8_t move_bytes[SNAP_MAX];
static size_t move_len;
static struct snap_error move_err;

/* Frozen and saved, as the source's side of a move ends. */
static inline void move_save(struct machine *from)
{
	assert_int_equal(snap_freeze_all(&from->snap, &move_err), 0);
	assert_int_equal(snap_save_all(&from->snap, move_bytes,
				       sizeof(move_bytes), &move_len, &move_err),
			 0);
}

static inline void move_ram(const struct machine *from, struct machine *to)
{
	static uint8_t page[4096];
	uint64_t at;

	for (at = 0; at < from->gmem.size; at += sizeof(page)) {
		assert_int_equal(gmem_read(&from->gmem, at, page, sizeof(page)),
				 0);
		assert_int_equal(gmem_write(&to->gmem, at, page, sizeof(page)),
				 0);
	}
}

static inline void move_load(struct machine *to)
{
	if (snap_load_all(&to->snap, move_bytes, move_len, &move_err))
		fail_msg("%s", move_err.text);
}

/* Who can't take it says why in move_err. */
static inline void move_refused(struct machine *to)
{
	assert_int_equal(snap_load_all(&to->snap, move_bytes, move_len, &move_err),
			 -EPROTO);
}

/* The state as it is, with one byte changed. @buf: malloc'ed, so that a read
 * behind the end is seen. */
static inline int move_load_with(struct machine *to, size_t at, uint8_t v)
{
	uint8_t *buf = malloc(move_len);
	int r;

	assert_non_null(buf);
	memcpy(buf, move_bytes, move_len);
	buf[at] = v;
	r = snap_load_all(&to->snap, buf, move_len, &move_err);
	free(buf);
	return r;
}

/* Where the body of an item begins. */
static inline size_t move_item(const char *name, unsigned instance)
{
	size_t at = 2;

	while (at < move_len) {
		uint8_t n = move_bytes[at];
		const uint8_t *p = move_bytes + at + 1 + n;
		uint32_t len;

		memcpy(&len, p + 6, sizeof(len));
		if (n == strlen(name) &&
		    !memcmp(move_bytes + at + 1, name, n) && p[0] == instance)
			return at + 1 + n + 10;
		at += 1u + n + 10 + len;
	}
	fail_msg("no item %s %u", name, instance);
	return 0;
}

#endif
