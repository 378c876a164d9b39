/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DOC: Theory of operation
 *
 * Stages, in this order:
 *
 * sandbox_limits()
 *	Must:    raise RLIMIT_MEMLOCK while there are capabilities
 * sandbox_namespaces()
 *	Must:    leave the file system (empty root), the network and System V
 *		 IPC behind; fall back to a user namespace
 *	Mustn't: run before the last open() and connect(), or with a second
 *		 thread alive
 * sandbox_landlock()
 *	Must:    close what namespaces leave open: a descriptor of a folder
 *		 reaches the old file system by "..". Only the sockets' own
 *		 folders keep the right to remove a file
 *	Mustn't: come before the namespaces: it forbids mounting
 * sandbox_capabilities()
 *	Must:    drop every capability, set no_new_privs
 * sandbox_thread()
 *	Must:    install the seccomp allow-list, default: kill
 *	Mustn't: come after the first KVM_RUN
 *
 * Open descriptors stay: /dev/kvm, the guest's files, sockets, and the state
 * directory. A second VM can be made with them, as a relaunch will.
 */
#include "vmm/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/log.h"
#include "core/util.h"

/* Linux: PROC_USER_INIT_INO, fixed. Without /proc: not known, so no. */
#define INITIAL_USER_NAMESPACE 0xeffffffd

static bool capable(unsigned cap)
{
	struct stat st;

	capng_clear(CAPNG_SELECT_ALL);
	return capng_get_caps_process() == 0 &&
	       capng_have_capability(CAPNG_EFFECTIVE, cap) &&
	       stat("/proc/self/ns/user", &st) == 0 &&
	       st.st_ino == INITIAL_USER_NAMESPACE;
}

void sandbox_memlock(struct sandbox_memlock *ret_m)
{
	struct rlimit lim = { 0 };

	(void)getrlimit(RLIMIT_MEMLOCK, &lim);
	ret_m->most = lim.rlim_max == RLIM_INFINITY || capable(CAP_SYS_RESOURCE)
			      ? UINT64_MAX
			      : lim.rlim_max;
	ret_m->now = capable(CAP_IPC_LOCK);
}

static int limit_raise(uint64_t need)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_MEMLOCK, &lim) < 0)
		return -errno;
	if (lim.rlim_cur >= need)
		return 0;
	lim.rlim_cur = need;
	lim.rlim_max = MAX(lim.rlim_max, need);
	return setrlimit(RLIMIT_MEMLOCK, &lim) < 0 ? -errno : 0;
}

int sandbox_limits(uint64_t memory, enum sandbox_pins pins)
{
	unsigned long long kib = (memory + SANDBOX_MEMLOCK_EXTRA) >> 10;
	struct sandbox_memlock m;
	int r = limit_raise(memory + SANDBOX_MEMLOCK_EXTRA);

	if (!r || pins == SANDBOX_PINS_NOTHING)
		return 0;
	sandbox_memlock(&m);
	if (m.now && pins == SANDBOX_PINS_NOW) {
		log_warn("RLIMIT_MEMLOCK is low: the guest starts by CAP_IPC_LOCK, which the sandbox gives up; to migrate it needs %llu KiB (ulimit -l %llu, or LimitMEMLOCK=)",
			 kib, kib);
		return 0;
	}
	log_err("RLIMIT_MEMLOCK is too low: this guest needs %llu KiB (ulimit -l %llu, or LimitMEMLOCK=)%s",
		kib, kib,
		m.now ? "; CAP_IPC_LOCK does not help after the start" : "");
	return -EPERM;
}

/* An empty, read-only root: nothing to open, nowhere to go. */
static int sandbox_empty_root(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	if (mount("none", "/proc", "tmpfs",
		  MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k") < 0)
		return -errno;
	if (chdir("/proc") < 0)
		return -errno;
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return -errno;
	if (umount2(".", MNT_DETACH) < 0)
		return -errno;
	return chdir("/") < 0 ? -errno : 0;
}

static int write_file(const char *path, const char *text)
{
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -errno;
	return 0;
}

/*
 * A user namespace of our own, in which our user keeps its number: the
 * control socket tells clients apart by it.
 */
static int sandbox_user_namespace(int flags)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[32];
	int r;

	if (unshare(flags | CLONE_NEWUSER) < 0)
		return -errno;
	r = write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (!r)
		r = write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	if (!r)
		r = write_file("/proc/self/gid_map", map);
	return r;
}

int sandbox_namespaces(void)
{
	int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC;
	int r = unshare(flags) < 0 ? sandbox_user_namespace(flags) : 0;

	return r < 0 ? r : sandbox_empty_root();
}

static int landlock_allow_remove(int ruleset, const struct sandbox_dirs *dirs)
{
	size_t i;

	for (i = 0; i < SANDBOX_DIRS_MAX; i++) {
		struct landlock_path_beneath_attr rule = {
			.allowed_access = LANDLOCK_ACCESS_FS_REMOVE_FILE,
			.parent_fd = dirs->fd[i],
		};

		if (dirs->fd[i] >= 0 &&
		    syscall(SYS_landlock_add_rule, ruleset,
			    LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
			return -errno;
	}
	return 0;
}

int sandbox_landlock(const struct sandbox_dirs *dirs)
{
	/* Access bits of Landlock ABI 1 to 5; an older kernel gets fewer. */
	static const uint64_t fs_bits[] = { 0,		 BIT(13) - 1,
					    BIT(14) - 1, BIT(15) - 1,
					    BIT(15) - 1, BIT(16) - 1 };
	struct landlock_ruleset_attr attr = { 0 };
	auto_fd int fd = -1;
	int abi, r;

	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return abi < 0 ? -errno : -ENOSYS;
	attr.handled_access_fs =
		fs_bits[MIN((size_t)abi, ARRAY_SIZE(fs_bits) - 1)];
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr,
			  sizeof(attr.handled_access_fs), 0);
	if (fd < 0)
		return -errno;
	r = landlock_allow_remove(fd, dirs);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return -errno;
	return 0;
}

int sandbox_capabilities(void)
{
	capng_clear(CAPNG_SELECT_ALL);
	/* The bounding set needs CAP_SETPCAP: without it, it has no use. */
	if (capng_apply(CAPNG_SELECT_ALL) < 0 &&
	    capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* No core dump and no ptrace by others of the same user. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static void sandbox_paths(const struct sandbox_dirs *dirs)
{
	int r = sandbox_namespaces(), l = sandbox_landlock(dirs);

	if (r < 0 && l < 0)
		log_warn("sandbox: neither namespaces nor Landlock on this host; seccomp alone keeps the VMM from opening files");
	else if (r < 0 || l < 0)
		log_debug("sandbox: namespaces %d, Landlock %d", r, l);
}

int sandbox_helper(void)
{
	static const struct sandbox_dirs none = { .fd = { -1, -1 } };

	sandbox_paths(&none);
	return 0;
}

int sandbox_enter(const struct sandbox_dirs *dirs)
{
	int r;

	sandbox_paths(dirs);
	r = sandbox_capabilities();
	if (r < 0)
		return log_errno(r, "sandbox: dropping capabilities");
	return sandbox_thread(SANDBOX_LOOP);
}
