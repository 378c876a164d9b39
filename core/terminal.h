/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_TERMINAL_H
#define CSVVMM_CORE_TERMINAL_H

#include <stdbool.h>

/* The terminal that a guest's console is on: one a process. */

/*
 * Is @fd the terminal of another job? Reading or configuring it from the
 * background stops a process. No job control there (not our controlling
 * terminal): no harm either.
 */
bool terminal_background(int fd);

/**
 * terminal_raw() - Every key reaches the guest, Ctrl-C included
 *
 * Return: 0; -EBUSY when there is one already; -errno
 */
int terminal_raw(int fd);

/* Put the terminal back, async-signal-safe; a no-op when it is not raw, or is
 * another job's now. */
void terminal_restore(void);

/* Standard input is a terminal: what children made from now on do to it,
 * terminal_restore() of this process undoes. Return: 0 or -errno */
int terminal_share(void);

#endif
