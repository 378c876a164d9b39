/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_DISK_MARKS_H
#define CSVVMM_DEVICES_DISK_MARKS_H

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct snap_r;
struct snap_w;

#define DISK_MARK_SIZE 4096u
#define DISK_MARKS     14u

/**
 * struct disk_marks - Where a guest wrote to its disk last
 * @at:		Offsets of blocks of DISK_MARK_SIZE, a ring
 * @n, @next:	Of them in use; the one to be overwritten
 * @discarded:	Something has no contents any more
 */
struct disk_marks {
	uint64_t at[DISK_MARKS];
	unsigned n, next;
	bool discarded;
};

void disk_marks_wrote(struct disk_marks *m, uint64_t off);
void disk_marks_discarded(struct disk_marks *m);

/**
 * disk_marks_save() / disk_marks_load() - Is it the same disk at both hosts?
 *
 * Save takes a hash of the first block, the last one, and those that were
 * written last; load looks for them on its own disk. A copy of the disk, or a
 * view of it through a cache, has not what the guest wrote last. Nothing may be
 * in flight.
 *
 * Return: 0; -errno of reading; load: -EPROTO, by snap_bad()
 */
int disk_marks_save(const struct disk_marks *m, const struct disk *d,
		    struct snap_w *w);
int disk_marks_load(const struct disk *d, struct snap_r *r);

#endif
