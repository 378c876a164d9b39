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
 *		 IPC behind; fall back to a user namespace, then to Landlock
 *	Mustn't: run before the last open() and connect(), or with a second
 *		 thread alive
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
#include <linux/landlock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/log.h"
#include "core/util.h"

int sandbox_limits(uint64_t memory, bool required)
{
	uint64_t need = memory + SANDBOX_MEMLOCK_EXTRA;
	struct rlimit lim;

	if (getrlimit(RLIMIT_MEMLOCK, &lim) < 0)
		return log_errno(-errno, "RLIMIT_MEMLOCK");
	if (lim.rlim_cur >= need)
		return 0;
	lim.rlim_cur = need;
	lim.rlim_max = MAX(lim.rlim_max, need);
	if (!setrlimit(RLIMIT_MEMLOCK, &lim))
		return 0;
	if (!required)
		return 0; /* nothing of a plain guest is pinned */
	log_err("RLIMIT_MEMLOCK is too low: this guest needs %llu KiB (ulimit -l %llu, or LimitMEMLOCK=)",
		(unsigned long long)(need >> 10),
		(unsigned long long)(need >> 10));
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

int sandbox_namespaces(void)
{
	int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC;

	if (unshare(flags) < 0 && unshare(flags | CLONE_NEWUSER) < 0)
		return -errno;
	return sandbox_empty_root();
}

int sandbox_landlock(void)
{
	/* Access bits of Landlock ABI 1 to 5; an older kernel gets fewer. */
	static const uint64_t fs_bits[] = { 0,		 BIT(13) - 1,
					    BIT(14) - 1, BIT(15) - 1,
					    BIT(15) - 1, BIT(16) - 1 };
	struct landlock_ruleset_attr attr = { 0 };
	int abi, fd, r = 0;

	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return abi < 0 ? -errno : -ENOSYS;
	attr.handled_access_fs =
		fs_bits[MIN((size_t)abi, ARRAY_SIZE(fs_bits) - 1)] &
		/* The control socket is unlinked at the end. */
		~(uint64_t)LANDLOCK_ACCESS_FS_REMOVE_FILE;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr,
			  sizeof(attr.handled_access_fs), 0);
	if (fd < 0)
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		r = -errno;
	(void)close(fd);
	return r;
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

int sandbox_enter(void)
{
	int r;

	r = sandbox_namespaces();
	if (r < 0) {
		int l = sandbox_landlock();

		log_debug("namespaces not permitted (%d), Landlock: %d", r, l);
		if (l < 0)
			log_warn("sandbox: neither namespaces nor Landlock on this host; seccomp alone keeps the VMM from opening files");
	}
	r = sandbox_capabilities();
	if (r < 0)
		return log_errno(r, "sandbox: dropping capabilities");
	return sandbox_thread(SANDBOX_LOOP);
}
