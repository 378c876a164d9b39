/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_THREAD_H
#define CSVVMM_CORE_THREAD_H

#include <pthread.h>

/**
 * thread_start() - A thread with a stack of 1 MiB that takes no signal
 *
 * Signals are the loop's.
 *
 * Return: 0 or -errno
 */
int thread_start(pthread_t *ret, void *(*fn)(void *), void *arg);

#endif
