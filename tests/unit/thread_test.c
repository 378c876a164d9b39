/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <signal.h>

#include "core/thread.h"
#include "core/util.h"

static void *ask(void *arg)
{
	sigset_t *ret = arg;

	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, ret), 0);
	return NULL;
}

/* POSIX: all but the two that nobody can block. */
static void test_no_signals(void **state)
{
	sigset_t before, after, seen;
	pthread_t thread;
	int sig;

	(void)state;
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
	assert_int_equal(sigismember(&before, SIGTERM), 0);
	assert_int_equal(thread_start(&thread, ask, &seen), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (sig = 1; sig < SIGSYS; sig++)
		assert_int_equal(sigismember(&seen, sig),
				 sig != SIGKILL && sig != SIGSTOP);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
	for (sig = 1; sig < SIGSYS; sig++)
		assert_int_equal(sigismember(&after, sig),
				 sigismember(&before, sig));
}

static void *sizes(void *arg)
{
	pthread_attr_t attr;

	assert_int_equal(pthread_getattr_np(pthread_self(), &attr), 0);
	assert_int_equal(pthread_attr_getstacksize(&attr, arg), 0);
	pthread_attr_destroy(&attr);
	return NULL;
}

static void test_stack(void **state)
{
	pthread_t thread;
	size_t size = 0;

	(void)state;
	assert_int_equal(thread_start(&thread, sizes, &size), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(size, MIB(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_signals),
		cmocka_unit_test(test_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
