/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Words that an encrypted guest's Linux needs in front of its command line.
 *
 * Its bounce buffers: what its devices read or write has to be in shared memory,
 * and Linux copies through a pool of it that it sizes by memory alone, up to
 * 1 GiB. Here it is by the queues.
 *
 * Its reboot: left to itself it goes back to real mode (vmm/boot_params.c), where
 * a WBINVD is #VC, without a handler. A triple fault would be a reboot or a crash,
 * and nobody could tell.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "vmm/config_draft.h"

/* Buffers of console and entropy source, and what Linux itself shares. */
#define POOL_BASE MIB(16)
/* 256 requests of 128 KiB, Linux's readahead, for each queue. */
#define POOL_DISK_QUEUE MIB(32)
/* 256 packets of 64 KiB to send, 256 pages to receive into. */
#define POOL_NET MIB(18)
/* At most this part of memory goes to the pool. When it is full, requests wait. */
#define POOL_PART 8

#define SLAB 2048 /* Linux: IO_TLB_SIZE */

static uint64_t pool_size(const struct config *cfg)
{
	uint64_t size = POOL_BASE + cfg->n_nets * POOL_NET;
	uint64_t most = MAX(cfg->memory / POOL_PART, POOL_BASE);
	unsigned i;

	for (i = 0; i < cfg->n_disks; i++)
		size += cfg->disk[i].queues * POOL_DISK_QUEUE;
	return MIN(size, most);
}

int config_add_swiotlb(struct config_draft *d)
{
	struct config *cfg = &d->cfg;
	size_t added;
	char *line;
	int r;

	/* In front: of two, Linux takes the last, which is the user's. */
	if (asprintf(&line, "reboot=acpi swiotlb=%" PRIu64 "%s%s",
		     pool_size(cfg) / SLAB, *cfg->cmdline ? " " : "",
		     cfg->cmdline) < 0) {
		snprintf(d->err->text, sizeof(d->err->text), "out of memory");
		return -ENOMEM;
	}
	added = strlen(line) - strlen(cfg->cmdline);
	if (strlen(line) > CONFIG_CMDLINE_MAX) {
		r = config_say(d, config_pos(d, 0, "cmdline"), NULL, "cmdline",
			       "%zu bytes, and an encrypted guest gets "
			       "\"%.*s\" in front; allowed: up to %zu bytes",
			       strlen(cfg->cmdline), (int)added, line,
			       CONFIG_CMDLINE_MAX - added);
		free(line);
		return r;
	}
	free(cfg->cmdline);
	cfg->cmdline = line;
	return 0;
}
