/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/loop.h"
#include "core/util.h"

struct fixture {
	pthread_mutex_t lock;
	struct loop loop;
	struct source a, b;
	struct timer timer;
	int order, a_seen, b_seen;
};

static struct fixture fx;

static void setup_fx(void)
{
	fx = (struct fixture){ .lock = PTHREAD_MUTEX_INITIALIZER };
	assert_int_equal(loop_init(&fx.loop, &fx.lock), 0);
}

static void on_a(struct source *src, uint32_t events)
{
	assert_true(events & EPOLLIN);
	fx.a_seen++;
	/* Strikes itself and its neighbour out of the same batch. */
	loop_del(&fx.loop, &fx.b);
	loop_del(&fx.loop, src);
	loop_stop(&fx.loop);
}

static void on_b(struct source *src, uint32_t events)
{
	(void)events;
	fx.b_seen++;
	loop_del(&fx.loop, &fx.a);
	loop_del(&fx.loop, src);
	loop_stop(&fx.loop);
}

/* Both are ready at once; whichever is first removes the other: one call. */
static void remove_in_batch(void **state)
{
	int fa = eventfd(1, EFD_NONBLOCK), fb = eventfd(1, EFD_NONBLOCK);

	(void)state;
	setup_fx();
	fx.a.fn = on_a;
	fx.b.fn = on_b;
	assert_int_equal(loop_add(&fx.loop, &fx.a, fa, EPOLLIN), 0);
	assert_int_equal(loop_add(&fx.loop, &fx.b, fb, EPOLLIN), 0);
	assert_int_equal(loop_run(&fx.loop), 0);
	assert_int_equal(fx.a_seen + fx.b_seen, 1);
	assert_int_equal(fx.a.fd, -1);
	assert_int_equal(fx.b.fd, -1);
	loop_del(&fx.loop, &fx.a); /* not added: harmless */
	close(fa);
	close(fb);
	loop_fini(&fx.loop);
}

static void on_timer(struct timer *t)
{
	if (++fx.order < 3)
		assert_int_equal(timer_arm(t, 1000), 0);
	else
		loop_stop(&fx.loop);
}

static void timer_rearms(void **state)
{
	(void)state;
	setup_fx();
	assert_int_equal(timer_init(&fx.timer, &fx.loop, on_timer), 0);
	assert_int_equal(timer_arm(&fx.timer, 1000), 0);
	assert_int_equal(loop_run(&fx.loop), 0);
	assert_int_equal(fx.order, 3);
	timer_fini(&fx.timer, &fx.loop);
	timer_fini(&fx.timer, &fx.loop);
	loop_fini(&fx.loop);
}

/* A stop that came before loop_run() still ends it; the next run works. */
static void stop_is_not_lost(void **state)
{
	(void)state;
	setup_fx();
	loop_stop(&fx.loop);
	assert_int_equal(loop_run(&fx.loop), 0);
	assert_int_equal(timer_init(&fx.timer, &fx.loop, on_timer), 0);
	fx.order = 2;
	assert_int_equal(timer_arm(&fx.timer, 1), 0);
	assert_int_equal(loop_run(&fx.loop), 0);
	assert_int_equal(fx.order, 3);
	timer_fini(&fx.timer, &fx.loop);
	loop_fini(&fx.loop);
}

static void bad_fd(void **state)
{
	struct source s = { .fd = 5, .fn = on_a };

	(void)state;
	setup_fx();
	assert_int_equal(loop_add(&fx.loop, &s, -1, EPOLLIN), -EBADF);
	assert_int_equal(s.fd, -1);
	loop_fini(&fx.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remove_in_batch),
		cmocka_unit_test(timer_rearms),
		cmocka_unit_test(stop_is_not_lost),
		cmocka_unit_test(bad_fd),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
