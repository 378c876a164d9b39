/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_RESET_H
#define CSVVMM_VMM_RESET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/machine.h"

struct vm;

/**
 * struct vm_reset - The guest begins anew (vmm/reset.c)
 * @wanted:	And nothing runs until it is done. @why: END_REBOOT, END_PANIC,
 *		END_TRIPLE_FAULT; END_NONE: the operator asked for it
 * @pause:	... to be looked at, instead
 * @run:	Afterwards it runs
 * @held:	It is paused, and nothing but a reset can help it
 * @draining:	Devices finish what they had begun
 * @timer:	The next step is due
 * @irqchip:	The interrupt controllers' state before anything ran; or NULL
 * @count:	Resets so far; @last_ns: when the last one was over, @took_ns:
 *		how long it took from the moment when nothing ran
 */
struct vm_reset {
	bool wanted, pause, run, held, draining, relaunched;
	enum end_reason why;
	struct timer timer;
	bool have_timer;
	uint64_t count, since_ns, last_ns, took_ns;
	uint8_t *irqchip;
	size_t irqchip_len;
};

/* The guest begins anew, for whatever reason; docs/DESIGN.md "Reset". All with
 * vm.lock held, but init and fini. */

/* Return: 0 or -errno */
int vm_reset_init(struct vm *vm);
void vm_reset_fini(struct vm *vm);

/**
 * vm_reset_ask() - The operator wants it
 *
 * It happens soon, in the loop's thread; after a migration that is under way has
 * been cancelled. One that was asked for already is the same one.
 *
 * Return: 0; -EINVAL: the guest does not run; -EBUSY: it is on its way to
 * another host, too late to cancel
 */
int vm_reset_ask(struct vm *vm);

/* vmm/reset_in_place.c: keep what it takes; when the vCPUs are as at the start.
 * Return: 0 or -errno, logged */
int vm_reset_keep(struct vm *vm);
/**
 * vm_reset_in_place() - The same VM as at the start; devices are already
 *
 * Return: 0; -EAGAIN: it can't be done, but a relaunch can; other -errno: nor can
 * that. Logged
 */
int vm_reset_in_place(struct vm *vm);
void vm_reset_forget(struct vm *vm);

/* Why, in words; END_NONE: by the operator. */
const char *vm_reset_reason(enum end_reason why);

/* Is one asked for, and not done yet? */
bool vm_reset_pending(const struct vm *vm);
/* Then the operator decides what follows it. Return: is it so? */
bool vm_reset_then(struct vm *vm, bool run);

#endif
