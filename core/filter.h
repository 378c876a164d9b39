/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_FILTER_H
#define CSVVMM_CORE_FILTER_H

#include <seccomp.h>

/* Allow mmap() and mprotect(), but memory may never become executable. Return: 0
 * or -errno */
int filter_add_memory(scmp_filter_ctx ctx);

/**
 * filter_enter() - Nothing but what @fill adds may be called from here on
 *
 * Any other call kills the process. For the calling thread, and those that it
 * starts. Nothing in a build with sanitizers, whose runtime makes calls of its own.
 *
 * Return: 0 or -errno
 */
int filter_enter(int (*fill)(scmp_filter_ctx ctx, void *arg), void *arg);

#endif
