/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/chardev_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/log.h"
#include "core/terminal.h"
#include "core/util.h"
#include "devices/chardev.h"

bool chardev_winsize(const struct chardev *cd, uint16_t *ret_cols,
		     uint16_t *ret_rows)
{
	struct winsize ws;

	if (cd->kind != CHARDEV_STDIO || cd->out_fd < 0 ||
	    ioctl(cd->out_fd, TIOCGWINSZ, &ws) < 0 || !ws.ws_col || !ws.ws_row)
		return false;
	*ret_cols = ws.ws_col;
	*ret_rows = ws.ws_row;
	return true;
}

/*
 * O_NONBLOCK belongs to the open file description, which is shared with the
 * shell that started us. So open the same terminal or pipe once more where
 * that gives an equal one; a regular file opened again would start at offset
 * 0. Otherwise (another user's terminal, say) a copy has to do.
 *
 * Return: a descriptor above 2; -1 when @fd is closed or there is none left
 */
static int std_dup(int fd, int access, bool *ret_sock, bool *ret_blocking)
{
	auto_fd int again = -1;
	char path[32];
	struct stat st;

	*ret_sock = false;
	*ret_blocking = true;
	if (fstat(fd, &st) < 0)
		return -1;
	*ret_sock = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode) || isatty(fd)) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		again = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	/* A socket has MSG_DONTWAIT; a disk's writes end by themselves. */
	*ret_blocking = again < 0 && !S_ISSOCK(st.st_mode) &&
			!S_ISREG(st.st_mode);
	return fcntl(again >= 0 ? again : fd, F_DUPFD_CLOEXEC, 3);
}

int chardev_open_stdio(struct chardev *cd)
{
	bool unused;
	int r;

	cd->out_fd = std_dup(STDOUT_FILENO, O_WRONLY, &cd->out_sock,
			     &cd->out_blocking);
	if (isatty(STDIN_FILENO) && terminal_background(STDIN_FILENO)) {
		log_info("in the background: no input from the terminal");
		return 0;
	}
	cd->in_fd = std_dup(STDIN_FILENO, O_RDONLY, &cd->in_sock, &unused);
	if (cd->in_fd < 0 || !isatty(cd->in_fd))
		return 0;
	r = terminal_raw(cd->in_fd);
	cd->raw = r == 0;
	return r;
}

/* O_NONBLOCK: a FIFO nobody reads is refused here instead of waited for. */
int chardev_open_file(struct chardev *cd, const char *path)
{
	int fd = open(path,
		      O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY |
			      O_CLOEXEC,
		      0600);

	if (fd < 0)
		return -errno;
	cd->out_fd = fd;
	return 0;
}

/* Is @path a socket that nobody listens on? Return: 0 or why it is not */
static int socket_stale(const struct sockaddr_un *sa)
{
	auto_fd int fd = -1;
	struct stat st;

	if (lstat(sa->sun_path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 &&
	    errno == ECONNREFUSED)
		return 0;
	return -EADDRINUSE;
}

/* What chardev_remove_socket() will need where paths mean nothing any more. */
static int socket_remember(struct chardev *cd, const struct sockaddr_un *sa)
{
	const char *slash = strrchr(sa->sun_path, '/');
	char dir[sizeof(sa->sun_path) + 1] = ".";
	struct stat st;

	if (slash)
		(void)snprintf(dir, sizeof(dir), "%.*s",
			       (int)(slash - sa->sun_path + 1), sa->sun_path);
	cd->sock_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cd->sock_dir < 0)
		return -errno;
	(void)snprintf(cd->sock_name, sizeof(cd->sock_name), "%s",
		       slash ? slash + 1 : sa->sun_path);
	if (fstatat(cd->sock_dir, cd->sock_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	cd->sock_dev = st.st_dev;
	cd->sock_ino = st.st_ino;
	return 0;
}

int chardev_open_socket(struct chardev *cd, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const struct sockaddr *addr = (const struct sockaddr *)&sa;
	int fd, r;

	if (!path[0])
		return -EINVAL;
	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	cd->listen_fd = fd;
	/* On Linux bind() gives the file the mode that the socket has. */
	if (fchmod(fd, 0600) < 0)
		return -errno;
	if (bind(fd, addr, sizeof(sa)) < 0) {
		if (errno != EADDRINUSE)
			return -errno;
		r = socket_stale(&sa);
		if (r < 0)
			return r;
		if (unlink(path) < 0 || bind(fd, addr, sizeof(sa)) < 0)
			return -errno;
	}
	r = socket_remember(cd, &sa);
	if (r < 0) {
		(void)unlink(path);
		return r;
	}
	return listen(fd, 1) < 0 ? -errno : 0;
}

void chardev_remove_socket(struct chardev *cd)
{
	struct stat st;

	if (cd->sock_dir < 0)
		return;
	/* Someone may have put his own there after removing ours. */
	if (fstatat(cd->sock_dir, cd->sock_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == cd->sock_dev && st.st_ino == cd->sock_ino)
		(void)unlinkat(cd->sock_dir, cd->sock_name, 0);
	util_close(&cd->sock_dir);
}
