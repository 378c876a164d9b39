/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/disk_marks.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/snap.h"
#include "core/util.h"
#include "devices/disk.h"

#define FIXED 2u /* the first and the last block */

void disk_marks_wrote(struct disk_marks *m, uint64_t off)
{
	m->at[m->next] = off / DISK_MARK_SIZE * DISK_MARK_SIZE;
	m->next = (m->next + 1) % DISK_MARKS;
	m->n = MIN(m->n + 1, DISK_MARKS);
}

void disk_marks_discarded(struct disk_marks *m)
{
	*m = (struct disk_marks){ .discarded = true };
}

/* FNV-1a: against mistakes, not malice. Who sends a guest could send any other. */
static uint64_t hash(const uint8_t *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325;

	while (n--)
		h = (h ^ *p++) * 0x100000001b3;
	return h;
}

/* Return: 0 with what is there, or -errno */
static int look(const struct disk *d, uint64_t at, uint64_t *ret_hash)
{
	_Alignas(DISK_MARK_SIZE) uint8_t buf[DISK_MARK_SIZE];
	size_t len = MIN(d->size - at, DISK_MARK_SIZE), have = 0;

	while (have < len) {
		ssize_t n =
			pread(d->fd, buf + have, len - have, (off_t)(at + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		have += (size_t)n;
	}
	*ret_hash = hash(buf, len);
	return 0;
}

int disk_marks_save(const struct disk_marks *m, const struct disk *d,
		    struct snap_w *w)
{
	uint64_t at[FIXED + DISK_MARKS], h;
	unsigned i, n = 0;
	int r;

	if (!m->discarded) {
		at[n++] = 0;
		at[n++] = (d->size - 1) / DISK_MARK_SIZE * DISK_MARK_SIZE;
	}
	memcpy(at + n, m->at, m->n * sizeof(*at));
	n += m->n;
	snap_put8(w, (uint8_t)n);
	for (i = 0; i < n; i++) {
		r = look(d, at[i], &h);
		if (r < 0)
			return r;
		snap_put64(w, at[i]);
		snap_put64(w, h);
	}
	return 0;
}

int disk_marks_load(const struct disk *d, struct snap_r *r)
{
	uint32_t n = snap_get8(r, "marks"), i;
	int e;

	if (n > FIXED + DISK_MARKS)
		return snap_bad(r, "marks", "%u of them", n);
	for (i = 0; i < n && !r->error; i++) {
		uint64_t at = snap_get64(r, "mark"), h = 0;
		uint64_t want = snap_get64(r, "mark");

		if (r->error)
			break;
		if (at % DISK_MARK_SIZE || at >= d->size)
			return snap_bad(r, "mark", "not a block of the disk");
		e = look(d, at, &h);
		if (e < 0)
			return snap_bad(r, "contents", "%s", strerror(-e));
		if (h != want)
			return snap_bad(
				r, "contents",
				"not the guest's at byte %llu: both hosts must have the same disk, not a copy",
				(unsigned long long)at);
	}
	return r->error;
}
