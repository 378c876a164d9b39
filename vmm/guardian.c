/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/guardian.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "core/terminal.h"
#include "core/util.h"
#include "vmm/commands.h"

void guardian_signals(sigset_t *ret_set)
{
	static const int may_be_ignored[] = { SIGINT, SIGHUP };
	struct sigaction sa;
	size_t i;

	sigemptyset(ret_set);
	sigaddset(ret_set, SIGTERM);
	/* Blocking a signal would bring an ignored one back to life. */
	for (i = 0; i < ARRAY_SIZE(may_be_ignored); i++) {
		if (sigaction(may_be_ignored[i], NULL, &sa) < 0 ||
		    sa.sa_handler != SIG_IGN)
			sigaddset(ret_set, may_be_ignored[i]);
	}
}

int guardian_pending(void)
{
	sigset_t ends, pending;
	int sig;

	guardian_signals(&ends);
	if (sigpending(&pending) < 0)
		return 0;
	for (sig = 1; sig < NSIG; sig++)
		if (sigismember(&ends, sig) == 1 &&
		    sigismember(&pending, sig) == 1)
			return sig;
	return 0;
}

static int guardian_wait(pid_t child, const sigset_t *set,
			 void (*wake)(void *arg), void *arg, int *ret_signal)
{
	int status;

	for (;;) {
		siginfo_t si;
		int sig = sigwaitinfo(set, &si);

		if (sig == SIGCHLD || sig == SIGIO) {
			if (waitpid(child, &status, WNOHANG) == child)
				return status;
			if (wake)
				wake(arg);
		} else if (sig > 0) {
			if (ret_signal)
				*ret_signal = sig;
			(void)kill(child, sig);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}

static int guardian_report(int status)
{
	if (status >= 0 && WIFEXITED(status))
		return WEXITSTATUS(status);
	if (status >= 0 && WIFSIGNALED(status))
		log_err("the VMM was killed by signal %d (%s)%s",
			WTERMSIG(status), strsignal(WTERMSIG(status)),
			WTERMSIG(status) == SIGSYS
				? ": the sandbox refused a system call"
				: "");
	return EXIT_VMM_ERROR;
}

int guardian_run(int (*fn)(void *arg), void *arg)
{
	return isatty(STDIN_FILENO) ? guardian_child(fn, arg, NULL, NULL)
				    : fn(arg);
}

int guardian_child(int (*fn)(void *arg), void *arg, void (*wake)(void *arg),
		   int *ret_signal)
{
	sigset_t set, old;
	pid_t parent = getpid(), child;
	int status;

	/* Without it there is nothing to put back. */
	if (isatty(STDIN_FILENO) && terminal_share() < 0)
		return fn(arg);
	guardian_signals(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGIO);
	/* Ignored by whoever started us, the child's end would go unnoticed. */
	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigprocmask(SIG_BLOCK, &set, &old);
	child = fork();
	if (child < 0) {
		(void)sigprocmask(SIG_SETMASK, &old, NULL);
		return fn(arg);
	}
	if (!child) {
		(void)sigprocmask(SIG_SETMASK, &old, NULL);
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(EXIT_VMM_ERROR); /* it died in between */
		status = fn(arg);
		(void)fflush(NULL);
		_exit(status);
	}
	status = guardian_wait(child, &set, wake, arg, ret_signal);
	terminal_restore();
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	return guardian_report(status);
}
