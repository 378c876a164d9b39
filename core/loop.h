/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_LOOP_H
#define CSVVMM_CORE_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * struct source - Something the loop waits for; embedded in its owner
 * @fd:		Watched descriptor, or -1 when not added
 * @fn:		Called with vm.lock held and the EPOLL* bits that are ready
 */
struct source {
	int fd;
	void (*fn)(struct source *src, uint32_t events);
};

#define LOOP_BATCH 16

struct epoll_event;

/**
 * struct loop - The one event loop: devices, control socket, timers
 * @lock:	Taken around every callback (vm.lock)
 * @batch:	Events being dispatched; loop_del() strikes its source out
 *
 * Sources are added, changed and removed with @lock held or before
 * loop_run(). A source may remove itself, or any other, in its callback.
 */
struct loop {
	int epfd;
	int wake_fd;
	pthread_mutex_t *lock;
	atomic_bool stop;
	struct epoll_event *batch;
	int n_batch;
};

int loop_init(struct loop *loop, pthread_mutex_t *lock);
void loop_fini(struct loop *loop);

/* @events: EPOLLIN and so on. Return: 0 or -errno. */
int loop_add(struct loop *loop, struct source *src, int fd, uint32_t events);
int loop_mod(struct loop *loop, struct source *src, uint32_t events);
/* Stop watching. Does not close the descriptor. Safe when not added. */
void loop_del(struct loop *loop, struct source *src);

/**
 * loop_run() - Dispatch until loop_stop()
 *
 * Return: 0, or -errno when waiting itself failed
 */
int loop_run(struct loop *loop);

/* End loop_run(); from any thread, also from a signal handler's thread. */
void loop_stop(struct loop *loop);

/**
 * struct timer - A source that fires once after a time
 */
struct timer {
	struct source src;
	void (*fn)(struct timer *t);
};

int timer_init(struct timer *t, struct loop *loop, void (*fn)(struct timer *t));
void timer_fini(struct timer *t, struct loop *loop);
/* Fire @ns from now; 0 disarms. */
int timer_arm(struct timer *t, uint64_t ns);

#endif
