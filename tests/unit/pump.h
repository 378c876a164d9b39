/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_TESTS_UNIT_PUMP_H
#define CSVVMM_TESTS_UNIT_PUMP_H

/* A machine without KVM, and its loop run by hand. After cmocka.h. */

#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/loop.h"
#include "core/machine.h"

#define PUMP_MAX 4000

static inline void pump_machine_init(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	m->vm_fd = -1;
	assert_int_equal(pthread_mutex_init(&m->lock, NULL), 0);
	assert_int_equal(loop_init(&m->loop, &m->lock), 0);
}

static inline void pump_machine_fini(struct machine *m)
{
	loop_fini(&m->loop);
	pthread_mutex_destroy(&m->lock);
}

/*
 * Dispatch until nothing is ready for @ms. A source that stays ready for ever
 * (a busy loop in the real program) fails the test.
 */
static inline unsigned pump(struct machine *m, int ms)
{
	struct epoll_event ev;
	unsigned n = 0;

	while (epoll_wait(m->loop.epfd, &ev, 1, ms) == 1) {
		struct source *src = ev.data.ptr;

		assert_true(++n < PUMP_MAX);
		if (!src)
			break; /* loop_stop() */
		src->fn(src, ev.events);
	}
	return n;
}

#endif
