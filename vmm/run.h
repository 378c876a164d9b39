/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_RUN_H
#define CSVVMM_VMM_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/config.h"

/**
 * struct run_args - One guest to run in this process
 * @line:	It comes from there; -1: it is booted
 * @arrived:	A pipe; a byte is written there when it has come, and is ours
 * @stall_ns:	Such a silence on the line means that it is dead
 */
struct run_args {
	struct config cfg;
	bool wait_for_owner;
	int line, arrived;
	uint64_t stall_ns;
};

struct control;

/* The guest's name, and what its host must have whatever comes: memory, a security
 * processor. Return: 0 or -errno, logged; control_release() after both, with
 * *ret_control NULL before */
int run_claim(const struct config *cfg, struct control **ret_control);

/* Instead of an exit status: nothing came, and nothing was changed here. */
#define RUN_UNTOUCHED 125

/* From the claim of the name to its release; @arg: struct run_args. For
 * guardian_run(). Return: exit status of the process */
int run_guest(void *arg);

#endif
