/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/terminal.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

/*
 * The one piece of mutable static state here: a signal handler that is about
 * to end the process has no object to ask. @on is in memory that
 * terminal_share() shares, so that the parent of a VMM that was killed
 * knows whether there is anything to put back.
 */
static volatile sig_atomic_t own_on;
static struct {
	volatile sig_atomic_t *on;
	int fd;
	struct termios saved;
} terminal = { .on = &own_on, .fd = STDIN_FILENO };

int terminal_share(void)
{
	void *page = mmap(NULL, sizeof(*terminal.on), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	if (tcgetattr(STDIN_FILENO, &terminal.saved) < 0) {
		int r = -errno;

		(void)munmap(page, sizeof(*terminal.on));
		return r;
	}
	terminal.fd = STDIN_FILENO;
	terminal.on = page;
	return 0;
}

bool terminal_background(int fd)
{
	pid_t front = tcgetpgrp(fd);

	return front >= 0 && front != getpgrp();
}

void terminal_restore(void)
{
	sigset_t ttou, old;

	/* In the background it is set up for another job, by the shell. */
	if (!*terminal.on || terminal_background(terminal.fd))
		return;
	/* It may go there just now: tcsetattr() would stop the process. */
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &old);
	/* TCSANOW: a terminal that takes no output must not hold up the end. */
	(void)tcsetattr(terminal.fd, TCSANOW, &terminal.saved);
	/* Only now: a signal in between has to do it all again. */
	*terminal.on = 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/*
 * Output processing stays on, so that log lines do not turn into stairs; the
 * guest's own "\r\n" becomes "\r\r\n", which no terminal minds.
 */
int terminal_raw(int fd)
{
	struct termios t;

	if (*terminal.on)
		return -EBUSY;
	if (tcgetattr(fd, &terminal.saved) < 0)
		return -errno;
	t = terminal.saved;
	t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | INPCK | ISTRIP |
				 INLCR | IGNCR | ICRNL | IXON);
	t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	terminal.fd = fd;
	*terminal.on = 1;
	if (tcsetattr(fd, TCSANOW, &t) < 0) {
		*terminal.on = 0;
		return -errno;
	}
	return 0;
}
