/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/util.h"

int loop_init(struct loop *loop, pthread_mutex_t *lock)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	int r;

	*loop = (struct loop){ .epfd = -1, .wake_fd = -1, .lock = lock };
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0)
		goto fail;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		goto fail;
	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, loop->wake_fd, &ev) < 0)
		goto fail;
	return 0;
fail:
	r = -errno;
	loop_fini(loop);
	return r;
}

void loop_fini(struct loop *loop)
{
	util_close(&loop->wake_fd);
	util_close(&loop->epfd);
}

int loop_add(struct loop *loop, struct source *src, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		src->fd = -1;
		return -errno;
	}
	src->fd = fd;
	return 0;
}

int loop_mod(struct loop *loop, struct source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	if (epoll_ctl(loop->epfd, EPOLL_CTL_MOD, src->fd, &ev) < 0)
		return -errno;
	return 0;
}

void loop_del(struct loop *loop, struct source *src)
{
	int i;

	if (src->fd < 0)
		return;
	(void)epoll_ctl(loop->epfd, EPOLL_CTL_DEL, src->fd, NULL);
	src->fd = -1;
	/* It may be ready in the batch that is being dispatched. */
	for (i = 0; i < loop->n_batch; i++) {
		if (loop->batch[i].data.ptr == src)
			loop->batch[i].data.ptr = NULL;
	}
}

/* Called with the lock held: fetch what is ready and call it. */
static void loop_dispatch(struct loop *loop)
{
	struct epoll_event ev[LOOP_BATCH];
	int i, n;

	n = epoll_wait(loop->epfd, ev, LOOP_BATCH, 0);
	loop->batch = ev;
	loop->n_batch = MAX(n, 0);
	for (i = 0; i < loop->n_batch; i++) {
		struct source *src = ev[i].data.ptr;

		if (src)
			src->fn(src, ev[i].events);
	}
	loop->n_batch = 0;
	loop->batch = NULL;
}

int loop_run(struct loop *loop)
{
	struct epoll_event ignored;
	uint64_t count;

	while (!atomic_load(&loop->stop)) {
		/*
		 * Wait without the lock, fetch with it: a source that another
		 * thread removes in between is then not in the batch.
		 */
		if (epoll_wait(loop->epfd, &ignored, 1, -1) < 0 && errno != EINTR)
			return -errno;
		pthread_mutex_lock(loop->lock);
		loop_dispatch(loop);
		pthread_mutex_unlock(loop->lock);
	}
	/* A later loop_run() shall not end at once. */
	atomic_store(&loop->stop, false);
	if (read(loop->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	return 0;
}

void loop_stop(struct loop *loop)
{
	uint64_t one = 1;

	atomic_store(&loop->stop, true);
	/* Can only fail when the counter is full, which wakes as well. */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void timer_ready(struct source *src, uint32_t events)
{
	struct timer *t = container_of(src, struct timer, src);
	uint64_t n;

	(void)events;
	if (read(src->fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		t->fn(t);
}

int timer_init(struct timer *t, struct loop *loop, void (*fn)(struct timer *t))
{
	int fd, r;

	*t = (struct timer){ .src = { .fd = -1, .fn = timer_ready }, .fn = fn };
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = loop_add(loop, &t->src, fd, EPOLLIN);
	if (r < 0)
		(void)close(fd);
	return r;
}

void timer_fini(struct timer *t, struct loop *loop)
{
	int fd = t->src.fd;

	if (fd < 0)
		return;
	loop_del(loop, &t->src);
	(void)close(fd);
}

int timer_arm(struct timer *t, uint64_t ns)
{
	struct itimerspec it = {
		.it_value = { .tv_sec = (time_t)(ns / 1000000000),
			      .tv_nsec = (long)(ns % 1000000000) },
	};

	return timerfd_settime(t->src.fd, 0, &it, NULL) < 0 ? -errno : 0;
}
