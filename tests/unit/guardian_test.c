/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that waits for the VMM when standard input is a terminal. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "devices/chardev.h"
#include "tests/unit/pump.h"
#include "vmm/commands.h"
#include "vmm/guardian.h"

static int answer(void *arg)
{
	return *(int *)arg;
}

static int raw_and_die(void *arg)
{
	static struct machine m;
	struct chardev cd;
	struct termios t;

	(void)arg;
	pump_machine_init(&m);
	if (chardev_init(&cd, &m, CHARDEV_STDIO, NULL) < 0 ||
	    tcgetattr(STDIN_FILENO, &t) < 0 || t.c_lflag & ICANON)
		return 1;
	(void)raise(SIGKILL);
	return 2;
}

/* The terminal's owner changes it meanwhile ("stty -echo" from elsewhere). */
static int leave_to_others(void *arg)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &t) < 0)
		return 1;
	t.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &t) < 0)
		return 1;
	return *(int *)arg;
}

/*
 * A child with a terminal of its own as standard input calls guardian_run()
 * and says how the terminal was afterwards. Return: its wait status
 */
static int run_on_terminal(int (*fn)(void *), void *arg, void (*disposition)(int))
{
	int status, master = posix_openpt(O_RDWR | O_NOCTTY);
	pid_t pid;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct termios before, after;
		int fd;

		(void)setsid();
		fd = open(ptsname(master), O_RDWR);
		if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
			_exit(101);
		(void)signal(SIGCHLD, disposition);
		(void)alarm(20);
		(void)tcgetattr(STDIN_FILENO, &before);
		status = guardian_run(fn, arg);
		(void)tcgetattr(STDIN_FILENO, &after);
		if (before.c_lflag != after.c_lflag)
			_exit(102);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)close(master);
	return status;
}

static void passes_the_status_on(void **state)
{
	int status, want = 42;

	(void)state;
	status = run_on_terminal(answer, &want, SIG_DFL);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void puts_the_terminal_back(void **state)
{
	int status;

	(void)state;
	status = run_on_terminal(raw_and_die, NULL, SIG_DFL);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_VMM_ERROR);
}

/* 102: the settings are others than at the start. */
static void undoes_only_its_own(void **state)
{
	int status, want = 42;

	(void)state;
	status = run_on_terminal(leave_to_others, &want, SIG_DFL);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 102);
}

/* Whoever started us may ignore SIGCHLD: no zombie, and no signal. */
static void notices_the_end_when_sigchld_is_ignored(void **state)
{
	int status, want = 42;

	(void)state;
	status = run_on_terminal(answer, &want, SIG_IGN);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void ignored_signals_are_left_alone(void **state)
{
	sigset_t set;

	(void)state;
	guardian_signals(&set);
	assert_true(sigismember(&set, SIGTERM));
	assert_true(sigismember(&set, SIGINT));
	assert_true(sigismember(&set, SIGHUP));

	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	guardian_signals(&set);
	(void)signal(SIGHUP, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	assert_true(sigismember(&set, SIGTERM));
	assert_true(sigismember(&set, SIGINT));
	assert_false(sigismember(&set, SIGHUP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_the_status_on),
		cmocka_unit_test(puts_the_terminal_back),
		cmocka_unit_test(undoes_only_its_own),
		cmocka_unit_test(notices_the_end_when_sigchld_is_ignored),
		cmocka_unit_test(ignored_signals_are_left_alone),
	};

	/* The runner may have been started with these ignored. */
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
