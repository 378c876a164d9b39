/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/control.h"

#define STATE_BACKLOG	  32
#define STATE_NAMES_MAX	  1024
#define STATE_CLAIM_TRIES 16

static char *state_path(void)
{
	const char *dir = getenv("CSVVMM_STATE_DIR");
	char *path = NULL;

	if (dir && *dir)
		return strdup(dir);
	if (geteuid() == 0)
		return strdup("/run/csvvmm");
	dir = getenv("XDG_RUNTIME_DIR");
	if (!dir || !*dir) {
		errno = ENOENT;
		return NULL;
	}
	return asprintf(&path, "%s/csvvmm", dir) < 0 ? NULL : path;
}

/* Others must not be able to put their sockets under our names. */
static int state_check(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return log_errno(-errno, "state folder %s", path);
	if (st.st_uid != geteuid()) {
		log_err("state folder %s belongs to user %u; set "
			"CSVVMM_STATE_DIR to a folder of your own",
			path, st.st_uid);
		return -EPERM;
	}
	if (st.st_mode & 077) {
		log_err("state folder %s is open to other users; run: "
			"chmod 700 %s",
			path, path);
		return -EPERM;
	}
	return 0;
}

static int state_open(const char *path)
{
	int fd, r;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return log_errno(-errno, "create state folder %s", path);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return log_errno(-errno, "open state folder %s", path);
	r = state_check(fd, path);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

int control_state_dir(char **ret_path)
{
	char *path = state_path();
	int fd;

	if (!path && errno == ENOENT) {
		log_err("no folder for control sockets: set XDG_RUNTIME_DIR or "
			"CSVVMM_STATE_DIR");
		return -ENOENT;
	}
	if (!path)
		return -ENOMEM;
	fd = state_open(path);
	if (fd >= 0 && ret_path)
		*ret_path = path;
	else
		free(path);
	return fd;
}

bool state_name_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t len = strlen(name);

	return len && len <= CONFIG_NAME_MAX && name[0] != '.' &&
	       name[0] != '-' && strspn(name, allowed) == len;
}

static void state_file(char out[STATE_FILE_MAX], const char *name,
		       const char *suffix)
{
	snprintf(out, STATE_FILE_MAX, "%s%s", name, suffix);
}

static int state_open_file(int dirfd, const char *name, const char *suffix,
			   int flags)
{
	char file[STATE_FILE_MAX];
	int fd;

	if (!state_name_valid(name))
		return -EINVAL;
	state_file(file, name, suffix);
	fd = openat(dirfd, file, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		    0600);
	return fd < 0 ? -errno : fd;
}

static int state_lock_open(int dirfd, const char *name, int flags)
{
	return state_open_file(dirfd, name, ".lock", flags);
}

/*
 * Lock, then see that the file still has its name: who held the lock before
 * may have removed it in between, and the next VMM would lock a new file.
 */
static int state_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;

	if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
		return errno == EAGAIN || errno == EACCES ? -EEXIST : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return st.st_nlink ? 0 : -ESTALE;
}

/* The pid is a courtesy: a full disk is no reason not to start. */
static void state_write_pid(int fd)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d\n", getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
		log_debug("cannot write the process id into the lock file");
}

#define JOURNAL "migration "
#define DOUBT	JOURNAL "committing"

int state_journal(int lock_fd, const char *phase)
{
	char text[80];
	int len = snprintf(text, sizeof(text), "%d\n" JOURNAL "%s\n", getpid(),
			   phase);

	if (pwrite(lock_fd, text, (size_t)len, 0) != len ||
	    ftruncate(lock_fd, len) < 0 || fdatasync(lock_fd) < 0)
		return -errno;
	return 0;
}

static bool journal_in_doubt(int fd)
{
	char text[80] = { 0 };

	return pread(fd, text, sizeof(text) - 1, 0) > 0 && strstr(text, DOUBT);
}

static void state_remove_file(int dirfd, const char *name, const char *suffix)
{
	char file[STATE_FILE_MAX];

	state_file(file, name, suffix);
	if (unlinkat(dirfd, file, 0) < 0 && errno != ENOENT)
		log_debug("cannot remove %s: errno %d", file, errno);
}

int state_journal_forget(int dirfd, const char *name)
{
	auto_fd int fd = state_lock_open(dirfd, name, O_RDWR);
	int r;

	if (fd < 0)
		return fd;
	r = state_lock(fd);
	if (r < 0)
		return r == -ESTALE ? -EEXIST : r;
	if (!journal_in_doubt(fd))
		return -ENOENT;
	state_remove_file(dirfd, name, ".sock");
	state_remove_file(dirfd, name, ".lock");
	return 0;
}

int state_claim_file(int dirfd, const char *name, const char *suffix)
{
	unsigned i;

	for (i = 0; i < STATE_CLAIM_TRIES; i++) {
		int fd = state_open_file(dirfd, name, suffix, O_RDWR | O_CREAT);
		int r;

		if (fd < 0)
			return fd;
		r = state_lock(fd);
		if (!r)
			return fd;
		(void)close(fd);
		if (r != -ESTALE)
			return r;
	}
	return -EBUSY;
}

int state_claim(int dirfd, const char *name)
{
	int fd = state_claim_file(dirfd, name, ".lock");

	if (fd < 0)
		return fd;
	if (journal_in_doubt(fd)) {
		(void)close(fd);
		return -EUCLEAN;
	}
	state_write_pid(fd);
	return fd;
}

bool state_release(int dirfd, int lock_fd, const char *name)
{
	state_remove_file(dirfd, name, ".sock");
	if (journal_in_doubt(lock_fd))
		return false;
	state_remove_file(dirfd, name, ".lock");
	return true;
}

int state_claimed_file(int dirfd, const char *name, const char *suffix)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = state_open_file(dirfd, name, suffix, O_RDWR);

	if (fd < 0)
		return fd;
	if (!fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK)
		return fd;
	(void)close(fd);
	return -ENOENT;
}

int state_running(int dirfd, const char *name)
{
	auto_fd int fd = state_claimed_file(dirfd, name, ".lock");

	if (fd == -ENOENT)
		return 0;
	return fd < 0 ? fd : 1;
}

pid_t state_pid(int dirfd, const char *name)
{
	auto_fd int fd = state_lock_open(dirfd, name, O_RDONLY);
	char text[16];
	ssize_t n;
	long pid;

	if (fd < 0)
		return 0;
	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = 0;
	pid = strtol(text, NULL, 10);
	return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

/* Has the process the file open that @st is of? */
static bool has_open(pid_t pid, const struct stat *st)
{
	char path[32];
	struct dirent *de;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && !found && (de = readdir(dir))) {
		struct stat other;

		found = !fstatat(dirfd(dir), de->d_name, &other, 0) &&
			other.st_dev == st->st_dev && other.st_ino == st->st_ino;
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

int state_signal(int dir, const char *name, int sig)
{
	auto_fd int lock = state_lock_open(dir, name, O_RDONLY);
	pid_t pid = state_pid(dir, name);
	auto_fd int pidfd = -1;
	struct stat st;

	if (lock < 0)
		return lock;
	if (!pid)
		return -ESRCH;
	/* First: from here on the number is this process', or nobody's. */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 || fstat(lock, &st) < 0)
		return -errno;
	if (!has_open(pid, &st))
		return -ESRCH;
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno
								       : 0;
}

/*
 * sun_path has room for 107 bytes, a state folder may have a longer path.
 * Through /proc the address is short, and it is this very folder.
 */
static int state_addr(int dirfd, const char *name, struct sockaddr_un *ret_sa)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int len;

	if (!state_name_valid(name))
		return -EINVAL;
	len = snprintf(sa.sun_path, sizeof(sa.sun_path),
		       "/proc/self/fd/%d/%s.sock", dirfd, name);
	if (len < 0 || (size_t)len >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	*ret_sa = sa;
	return 0;
}

static int state_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

int state_listen(int dirfd, const char *name)
{
	struct sockaddr_un sa;
	char file[STATE_FILE_MAX];
	int fd, r;

	r = state_addr(dirfd, name, &sa);
	if (r < 0)
		return r;
	state_file(file, name, ".sock");
	if (unlinkat(dirfd, file, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = state_socket();
	if (fd < 0)
		return fd;
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, STATE_BACKLOG) < 0) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	return fd;
}

int state_connect(int dirfd, const char *name)
{
	struct sockaddr_un sa;
	int fd, r;

	r = state_addr(dirfd, name, &sa);
	if (r < 0)
		return r;
	fd = state_socket();
	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
		r = errno == ECONNREFUSED ? -ENOENT : -errno;
		(void)close(fd);
		return r;
	}
	return fd;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Return: malloc'ed NAME of a file NAME@suffix that is locked, else NULL. */
static char *state_entry(int dirfd, const char *file, const char *suffix)
{
	size_t len = strlen(file), end = strlen(suffix);
	auto_fd int fd = -1;
	char *name;

	if (len <= end || strcmp(file + len - end, suffix) != 0)
		return NULL;
	name = strndup(file, len - end);
	fd = name ? state_claimed_file(dirfd, name, suffix) : -ENOMEM;
	if (fd >= 0)
		return name;
	free(name);
	return NULL;
}

int state_names(int dirfd, const char *suffix, char ***ret_names)
{
	char **names = calloc(STATE_NAMES_MAX, sizeof(*names));
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	int n = 0, r;

	if (!names || !dir) {
		r = -errno;
		if (dir)
			(void)closedir(dir);
		else
			util_close(&fd);
		free(names);
		return r;
	}
	while (n < STATE_NAMES_MAX && (de = readdir(dir))) {
		names[n] = state_entry(dirfd, de->d_name, suffix);
		if (names[n])
			n++;
	}
	(void)closedir(dir);
	qsort(names, (size_t)n, sizeof(*names), name_compare);
	*ret_names = names;
	return n;
}

void state_names_free(char **names, int n)
{
	int i;

	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
}
