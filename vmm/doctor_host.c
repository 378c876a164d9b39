/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/doctor.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <liburing.h>

#include "core/util.h"
#include "vmm/sandbox.h"

/* A guest with all its devices has at most this many descriptors. */
#define NOFILE_WANTED 1024

static bool have_cap(unsigned cap)
{
	capng_clear(CAPNG_SELECT_ALL);
	return capng_get_caps_process() == 0 &&
	       capng_have_capability(CAPNG_EFFECTIVE, cap);
}

static void check_memlock(struct doctor *d)
{
	struct sandbox_memlock m;
	struct check *c;

	sandbox_memlock(&m);
	if (m.most == UINT64_MAX) {
		doctor_add(d, "memlock", CHECK_OK,
			   "encrypted guests of any size");
		return;
	}
	c = doctor_add(d, "memlock", CHECK_WARN,
		       "RLIMIT_MEMLOCK is %" PRIu64 " KiB: %s", m.most >> 10,
		       m.now ? "enough to start encrypted guests, as "
			       "CAP_IPC_LOCK helps then; to wait for its owner "
			       "or to migrate, one needs its memory plus 64 MiB"
			     : "an encrypted guest needs its memory plus 64 "
			       "MiB");
	doctor_next(c, "ulimit -Hl unlimited, limits.conf memlock, or "
		       "LimitMEMLOCK=infinity");
}

static void check_nofile(struct doctor *d)
{
	struct rlimit lim = { 0 };
	struct check *c;

	(void)getrlimit(RLIMIT_NOFILE, &lim);
	c = doctor_add(d, "nofile",
		       lim.rlim_cur < NOFILE_WANTED ? CHECK_WARN : CHECK_OK,
		       "%" PRIu64 " open files allowed", (uint64_t)lim.rlim_cur);
	if (lim.rlim_cur < NOFILE_WANTED)
		doctor_next(c, "ulimit -n %d", NOFILE_WANTED);
}

static void check_memory(struct doctor *d)
{
	int64_t kib = doctor_read_key(d, "/proc/meminfo", "MemAvailable");
	int64_t huge = doctor_read_key(d, "/proc/meminfo", "HugePages_Free");
	int64_t size = doctor_read_key(d, "/proc/meminfo", "Hugepagesize");
	struct check *c;

	doctor_add(d, "memory", CHECK_INFO, "%" PRId64 " MiB available",
		   MAX(kib, (int64_t)0) >> 10);
	c = doctor_add(d, "hugepages", huge > 0 ? CHECK_OK : CHECK_INFO,
		       "%" PRId64 " free of %" PRId64 " KiB each",
		       MAX(huge, (int64_t)0), MAX(size, (int64_t)0));
	if (huge <= 0)
		doctor_next(c, "for hugepages = true: sysctl vm.nr_hugepages=N "
			       "(N times 2 MiB)");
}

/* The limit of the group we are in; those further up may be lower. */
static void check_cgroup(struct doctor *d)
{
	char groups[4096], path[PATH_MAX], limit[32];
	struct check *c;
	char *own;

	if (doctor_read(d, "/proc/self/cgroup", groups, sizeof(groups)) < 0)
		return;
	own = strstr(groups, "0::/");
	if (!own)
		return;
	own += strlen("0::");
	own[strcspn(own, "\n")] = 0;
	snprintf(path, sizeof(path), "/sys/fs/cgroup%.4000s/memory.max", own);
	if (doctor_read(d, path, limit, sizeof(limit)) < 0 ||
	    !strcmp(limit, "max"))
		return;
	c = doctor_add(d, "cgroup-memory", CHECK_WARN,
		       "this control group may use %lld MiB",
		       strtoll(limit, NULL, 10) >> 20);
	doctor_next(c, "a guest that needs more is killed: raise memory.max");
}

static void check_tun(struct doctor *d)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int error = errno;
	struct check *c;

	if (fd < 0) {
		c = doctor_add(d, "tap", CHECK_MISSING, "/dev/net/tun: %s",
			       strerror(error));
		doctor_next(c, "%s, or let the guest use passt",
			    error == EACCES ? "give your user access to it"
					    : "modprobe tun");
		return;
	}
	(void)close(fd);
	if (have_cap(CAP_NET_ADMIN)) {
		doctor_add(d, "tap", CHECK_OK,
			   "/dev/net/tun opens, CAP_NET_ADMIN held");
		return;
	}
	c = doctor_add(d, "tap", CHECK_WARN,
		       "/dev/net/tun opens, CAP_NET_ADMIN not held");
	doctor_next(c, "as root once: ip tuntap add NAME mode tap user $USER; "
		       "or let the guest use passt");
}

static void check_passt(struct doctor *d)
{
	const char *dirs = getenv("PATH");
	char path[PATH_MAX];
	struct check *c;

	while (dirs && *dirs) {
		int len = (int)strcspn(dirs, ":");

		snprintf(path, sizeof(path), "%.*s/passt", len, dirs);
		if (access(path, X_OK) == 0) {
			doctor_add(d, "passt", CHECK_OK, "%.200s", path);
			return;
		}
		dirs += len;
		dirs += *dirs == ':';
	}
	c = doctor_add(d, "passt", CHECK_MISSING, "not in PATH");
	doctor_next(c, "apt install passt: network for guests of users without "
		       "CAP_NET_ADMIN");
}

/* What sandbox_namespaces() does, in a child that ends at once. */
static bool try_namespaces(void)
{
	int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC;
	int status = -1;
	pid_t pid = fork();

	if (pid < 0)
		return false;
	if (!pid)
		_exit(unshare(flags) < 0 && unshare(flags | CLONE_NEWUSER) < 0);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

static void check_isolation(struct doctor *d)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;
	bool ns = try_namespaces();
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);
	struct check *c;

	c = doctor_add(d, "namespaces", ns ? CHECK_OK : CHECK_WARN, "%s",
		       ns ? "mount, network and IPC namespaces are permitted"
			  : "not permitted; Landlock takes their place");
	if (!ns)
		doctor_next(c, "sysctl kernel.unprivileged_userns_clone=1 or "
			       "user.max_user_namespaces=N");
	if (abi > 0) {
		doctor_add(d, "landlock", CHECK_OK, "ABI version %ld", abi);
	} else {
		c = doctor_add(d, "landlock", ns ? CHECK_INFO : CHECK_WARN,
			       "not in this kernel, or not enabled%s",
			       ns ? "; namespaces do" : "");
		doctor_next(c, "boot with lsm=landlock,... (kernel 5.13 or "
			       "later)");
	}
	if (!syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action)) {
		doctor_add(d, "seccomp", CHECK_OK, "filters can kill");
		return;
	}
	c = doctor_blocks(d, "seccomp", "no filters: %s", strerror(errno));
	doctor_next(c, "a kernel with CONFIG_SECCOMP_FILTER, or sandbox = "
		       "false in guest.toml");
}

static void check_io_uring(struct doctor *d)
{
	struct io_uring ring;
	int r = io_uring_queue_init(2, &ring, 0);
	struct check *c;

	if (!r) {
		io_uring_queue_exit(&ring);
		doctor_add(d, "io_uring", CHECK_OK, "disks use it");
		return;
	}
	c = doctor_add(d, "io_uring", CHECK_WARN,
		       "%s; disks use pread and pwrite", strerror(-r));
	doctor_next(c, "sysctl kernel.io_uring_disabled=0 (kernel 5.10 or "
		       "later)");
}

static void check_direct(struct doctor *d)
{
	int fd = open(".", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	int error = errno;
	struct check *c;

	if (fd >= 0) {
		(void)close(fd);
		doctor_add(d, "o_direct", CHECK_OK,
			   "cache = \"direct\" works in the current folder");
		return;
	}
	if (error != EINVAL) {
		doctor_add(d, "o_direct", CHECK_INFO,
			   "not known for the current folder: %s",
			   strerror(error));
		return;
	}
	c = doctor_add(d, "o_direct", CHECK_WARN,
		       "the current folder's file system has it not");
	doctor_next(c, "use cache = \"host\" for disks there");
}

void doctor_check_host(struct doctor *d)
{
	check_memory(d);
	check_cgroup(d);
	check_memlock(d);
	check_nofile(d);
	check_tun(d);
	check_passt(d);
	check_isolation(d);
	check_io_uring(d);
	check_direct(d);
}
