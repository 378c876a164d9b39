/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_WAITING_H
#define CSVVMM_VMM_WAITING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

/*
 * A process that waits for a guest of another host has its name's STATE/NAME.wait,
 * locked like NAME.lock: one waits for a name at a time. The name itself is not
 * taken before the guest comes. The file holds what waiting_status() gives.
 */

struct config;

/**
 * struct waiting - Our claim
 * @fd:		Of the file; -1 = none
 * @owner:	The process that is to remove it; others have copies
 */
struct waiting {
	int dirfd, fd;
	const struct config *cfg;
	uint64_t since_ns;
	pid_t owner;
};

/* Return: 0; -EEXIST: another process waits for the name; -errno. Logged. @w must
 * not move. */
int waiting_claim(struct waiting *w, const struct config *cfg);

/* Tell others: at which port, and whether somebody has been let in there. */
void waiting_note(const struct waiting *w, uint16_t port, bool receiving);

/* Give it up. Fine without a claim. */
void waiting_release(struct waiting *w);
/* The same in a signal handler, before the end of the process. */
void waiting_remove(const struct waiting *w);
/* In a child: forget it, it stays the parent's. */
void waiting_leave(struct waiting *w);

#define WAITING_SUFFIX ".wait"

/* Who waits for @name: name, pid, state ("waiting", "receiving"), port, vcpus,
 * memory, uptime_ns. Return: NULL: nobody */
json_t *waiting_status(int dirfd, const char *name);

#endif
