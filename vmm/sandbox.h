/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_SANDBOX_H
#define CSVVMM_VMM_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The order of stages and the Must / Mustn't of each: sandbox.c. */

/* Beside guest memory: what encrypted commands pin while they run. */
#define SANDBOX_MEMLOCK_EXTRA (64ULL << 20)

/**
 * struct sandbox_memlock - How much this process may have pinned
 * @most:	Bytes up to which RLIMIT_MEMLOCK is, or can be raised; stays so
 *		in the sandbox. UINT64_MAX = any
 * @now:	Any amount as long as there is CAP_IPC_LOCK, until the sandbox
 *
 * KVM asks for the capability in the initial user namespace, and so does
 * setrlimit(): root of another one has neither.
 */
struct sandbox_memlock {
	uint64_t most;
	bool now;
};
void sandbox_memlock(struct sandbox_memlock *ret_m);

/* When guest memory, and what commands use, is pinned. */
enum sandbox_pins {
	SANDBOX_PINS_NOTHING,
	SANDBOX_PINS_NOW,   /* before the sandbox, or without one */
	SANDBOX_PINS_LATER, /* then, too: an owner's secret, a guest that comes */
};

/**
 * sandbox_limits() - Raise RLIMIT_MEMLOCK to guest memory plus 64 MiB
 *
 * Return: 0, or -EPERM; logged with the number needed
 */
int sandbox_limits(uint64_t memory, enum sandbox_pins pins);

#define SANDBOX_DIRS_MAX 2

/**
 * struct sandbox_dirs - Folders in which a file may still be removed at the
 * end: the control socket's and the console socket's
 * @fd:		O_PATH descriptors, -1 = none
 */
struct sandbox_dirs {
	int fd[SANDBOX_DIRS_MAX];
};

/**
 * sandbox_enter() - Give up all but the open descriptors
 *
 * Return: 0 or -errno; logged
 */
int sandbox_enter(const struct sandbox_dirs *dirs);

/**
 * sandbox_helper() - The same for a helper process that needs no descriptor but
 * those it has: namespaces and Landlock, as far as this host has them
 *
 * Capabilities and the system call filter are the helper's own
 * (migration/tunnel.h, confine). Return: 0; never fails where sandbox_enter()
 * would go on
 */
int sandbox_helper(void);

/* The stages of sandbox_enter(), for its tests. Return: 0 or -errno. */
int sandbox_namespaces(void);
int sandbox_landlock(const struct sandbox_dirs *dirs);
int sandbox_capabilities(void);

enum sandbox_thread { SANDBOX_LOOP, SANDBOX_VCPU, SANDBOX_THREADS };

/**
 * sandbox_thread() - Install the system call filter of a kind of thread
 *
 * A vCPU thread calls it first thing and so narrows what it inherited. A call
 * that is not listed kills the process (SIGSYS).
 *
 * Return: 0 or -errno; logged
 */
int sandbox_thread(enum sandbox_thread kind);

/* Print the allow-lists, one line per system call (`csvvmm doctor`). */
void sandbox_print_syscalls(FILE *out, bool json);

#endif
