/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_GUARDIAN_H
#define CSVVMM_VMM_GUARDIAN_H

#include <signal.h>

/*
 * The signals that end the guest: SIGTERM, and SIGINT and SIGHUP unless the
 * caller ignores them (nohup; a shell's background job).
 */
void guardian_signals(sigset_t *ret_set);

/* One of them that is blocked and has come, or 0; it stays. Not in the sandbox. */
int guardian_pending(void);

/**
 * guardian_run() - Run @fn so that the terminal survives whatever happens
 *
 * When standard input is a terminal, @fn runs in a child and this process
 * only waits: it passes guardian_signals() on, and afterwards puts
 * the terminal back as it was if chardev_init() made it raw, even when the child
 * was killed by SIGKILL or by the seccomp filter. A terminal that belongs to
 * another job by then is left alone. Without a terminal @fn is simply called.
 *
 * Return: what @fn returned, or EXIT_VMM_ERROR when it was killed
 */
int guardian_run(int (*fn)(void *arg), void *arg);

/**
 * guardian_child() - The same, in a child in any case
 * @wake:	Called at each SIGIO, and when another child has ended; NULL = nobody
 *		cares
 * @ret_signal:	The last one that was passed on, or 0; NULL = nobody cares
 *
 * What the child gives up, this process keeps.
 */
int guardian_child(int (*fn)(void *arg), void *arg, void (*wake)(void *arg),
		   int *ret_signal);

#endif
