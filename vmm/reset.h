/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_RESET_H
#define CSVVMM_VMM_RESET_H

#include <stdbool.h>

#include "core/machine.h"

struct vm;

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

/* Why, in words; END_NONE: by the operator. */
const char *vm_reset_reason(enum end_reason why);

/* Is one asked for, and not done yet? */
bool vm_reset_pending(const struct vm *vm);

#endif
