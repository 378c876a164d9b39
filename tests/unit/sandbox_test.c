/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is refused after lock-down, and what must still work. Each case runs
 * in a child of its own and reports through its exit status or its signal.
 */
#include "tests/unit/test.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/gmem.h"
#include "core/kvm.h"
#include "core/util.h"
#include "vmm/sandbox.h"

#define CANNOT 77 /* this machine does not permit the stage */

static const struct sandbox_dirs no_dirs = { { -1, -1 } };

static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		const struct rlimit none = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &none);
		_exit(fn());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void need_seccomp(void)
{
	if (CSVVMM_SANITIZED) {
		print_message("# the sanitizer build has no seccomp filter\n");
		skip();
	}
}

static void assert_killed(int (*fn)(void))
{
	int status = in_child(fn);

	if (!WIFSIGNALED(status))
		print_message("# exit status %d\n", WEXITSTATUS(status));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void assert_ok(int (*fn)(void))
{
	int status = in_child(fn);

	if (WIFSIGNALED(status))
		print_message("# signal %d\n", WTERMSIG(status));
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CANNOT) {
		print_message("# not permitted on this machine\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int do_open(void)
{
	if (sandbox_enter(&no_dirs) < 0)
		return 1;
	(void)open("/etc/passwd", O_RDONLY);
	return 2;
}

static int do_socket(void)
{
	if (sandbox_enter(&no_dirs) < 0)
		return 1;
	(void)socket(AF_INET, SOCK_STREAM, 0);
	return 2;
}

static int do_fork(void)
{
	if (sandbox_enter(&no_dirs) < 0)
		return 1;
	(void)fork();
	return 2;
}

static int do_exec(void)
{
	char *const argv[] = { NULL };

	if (sandbox_enter(&no_dirs) < 0)
		return 1;
	(void)execve("/bin/true", argv, argv);
	return 2;
}

static int do_exec_memory(void)
{
	if (sandbox_enter(&no_dirs) < 0)
		return 1;
	(void)mmap(NULL, 4096, PROT_READ | PROT_EXEC,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return 2;
}

static int do_mprotect_exec(void)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (sandbox_enter(&no_dirs) < 0)
		return 1;
	(void)mprotect(p, 4096, PROT_READ | PROT_EXEC);
	return 2;
}

static int do_uring_setup(void)
{
	if (sandbox_enter(&no_dirs) < 0)
		return 1;
	(void)syscall(SYS_io_uring_setup, 1, NULL);
	return 2;
}

static int do_tiocsti(void)
{
	if (sandbox_enter(&no_dirs) < 0)
		return 1;
	(void)syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x");
	return 2;
}

/* Stays open, since KVM wants it with each command of a guest. */
static int do_sev(void)
{
	int fd = open("/dev/sev", O_RDWR | O_CLOEXEC);
	struct sev_user_data_status status = { 0 };
	struct sev_issue_cmd c = { .cmd = SEV_PLATFORM_STATUS,
				   .data = (uintptr_t)&status };

	if (sandbox_enter(&no_dirs) < 0)
		return 1;
	(void)ioctl(fd, SEV_ISSUE_CMD, &c);
	return 2;
}

static void *sev_thread(void *arg)
{
	if (sandbox_thread(SANDBOX_VCPU) < 0)
		return arg;
	(void)ioctl(-1, SEV_ISSUE_CMD, NULL);
	return NULL;
}

static int do_sev_vcpu(void)
{
	pthread_t t;

	if (sandbox_enter(&no_dirs) < 0)
		return 1;
	(void)pthread_create(&t, NULL, sev_thread, NULL);
	(void)pthread_join(t, NULL);
	return 2;
}

static void forbidden_calls(void **state)
{
	(void)state;
	need_seccomp();
	assert_killed(do_open);
	assert_killed(do_socket);
	assert_killed(do_fork);
	assert_killed(do_exec);
	assert_killed(do_exec_memory);
	assert_killed(do_mprotect_exec);
	assert_killed(do_uring_setup);
	assert_killed(do_tiocsti);
	assert_killed(do_sev);
	assert_killed(do_sev_vcpu);
}

static int see_namespaces(void)
{
	char name[64] = "";
	int r = sandbox_namespaces();

	if (r == -EPERM || r == -EACCES)
		return CANNOT;
	if (r < 0)
		return 1;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != ENOENT)
		return 2;
	if (open("../../../../etc/passwd", O_RDONLY) >= 0)
		return 3;
	if (mkdir("/x", 0700) == 0 || errno != EROFS)
		return 4;
	if (open("/proc/self/exe", O_RDONLY) >= 0)
		return 5;
	/* A new network namespace: loopback is there, and down. */
	r = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (r >= 0) {
		struct sockaddr_storage none;

		memset(&none, 0, sizeof(none));
		none.ss_family = AF_INET;
		memcpy((char *)&none + 4, "\x7f\0\0\1", 4);
		memcpy((char *)&none + 2, "\0\7", 2);
		if (connect(r, (struct sockaddr *)&none, 16) == 0)
			return 6;
	}
	return getcwd(name, sizeof(name)) && !strcmp(name, "/") ? 0 : 7;
}

static void path_outside(void **state)
{
	(void)state;
	assert_ok(see_namespaces);
}

/* DIR/mine and DIR/own/sock; only DIR/own is kept. Return: errno or 0 */
static int remove_beneath(int (*stage)(const struct sandbox_dirs *))
{
	char path[] = "/tmp/csvvmm-sandbox-test-XXXXXX";
	struct sandbox_dirs dirs = { { -1, -1 } };
	int top, r;

	if (!mkdtemp(path))
		return 1;
	top = open(path, O_PATH | O_DIRECTORY);
	(void)mkdirat(top, "own", 0700);
	dirs.fd[0] = openat(top, "own", O_PATH | O_DIRECTORY);
	(void)close(openat(top, "mine", O_CREAT | O_WRONLY, 0600));
	(void)close(openat(dirs.fd[0], "sock", O_CREAT | O_WRONLY, 0600));
	r = stage(&dirs);
	if (r == -ENOSYS || r == -EOPNOTSUPP)
		return CANNOT;
	if (r < 0)
		return 2;
	if (unlinkat(dirs.fd[0], "../mine", 0) == 0)
		return 3; /* out of the folder by ".." */
	return unlinkat(dirs.fd[0], "sock", 0) == 0 ? 0 : 4;
}

static int see_remove_landlock(void)
{
	return remove_beneath(sandbox_landlock);
}

static int see_remove_all(void)
{
	return remove_beneath(sandbox_enter);
}

static void remove_only_own(void **state)
{
	(void)state;
	assert_ok(see_remove_landlock);
	assert_ok(see_remove_all);
}

static int see_landlock(void)
{
	char path[] = "/tmp/csvvmm-sandbox-test-XXXXXX";
	int fd = mkstemp(path), r;

	(void)unlink(path);
	r = sandbox_landlock(&no_dirs);
	if (r == -ENOSYS || r == -EOPNOTSUPP)
		return CANNOT;
	if (r < 0 || fd < 0)
		return 1;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (open(path, O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES)
		return 3;
	return write(fd, "x", 1) == 1 ? 0 : 4; /* what is open stays usable */
}

static void landlock_alone(void **state)
{
	(void)state;
	assert_ok(see_landlock);
}

/* As an ordinary user: our number stays, so the peers of the control socket
 * can be told apart. */
static int see_user_namespace(void)
{
	int r;

	if (setgid(1234) < 0 || setuid(1234) < 0)
		return CANNOT;
	/* setuid() made /proc/self root's; an ordinary process has its own. */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	r = sandbox_namespaces();
	if (r == -EPERM || r == -EACCES || r == -ENOSPC)
		return CANNOT;
	if (r < 0)
		return 1;
	return geteuid() == 1234 && getegid() == 1234 ? 0 : 2;
}

static void user_namespace(void **state)
{
	(void)state;
	assert_ok(see_user_namespace);
}

static int see_capabilities(void)
{
	if (sandbox_capabilities() < 0)
		return 1;
	capng_get_caps_process();
	if (capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
		return 2;
	return 0;
}

static void no_capabilities(void **state)
{
	(void)state;
	assert_ok(see_capabilities);
}

static int see_limit(void)
{
	struct rlimit lim = { 65536, 65536 };

	if (setrlimit(RLIMIT_MEMLOCK, &lim) < 0 || sandbox_capabilities() < 0)
		return 1;
	/* A plain guest pins nothing; an encrypted one can't run like that. */
	if (sandbox_limits(MIB(512), SANDBOX_PINS_NOTHING) != 0)
		return 2;
	return sandbox_limits(MIB(512), SANDBOX_PINS_NOW) == -EPERM ? 0 : 3;
}

static int see_limit_raised(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_MEMLOCK, &lim) < 0 || lim.rlim_max < MIB(576))
		return CANNOT;
	lim.rlim_cur = 65536;
	if (setrlimit(RLIMIT_MEMLOCK, &lim) < 0)
		return 1;
	if (sandbox_limits(MIB(512), SANDBOX_PINS_LATER) != 0)
		return 2;
	(void)getrlimit(RLIMIT_MEMLOCK, &lim);
	return lim.rlim_cur >= MIB(512 + 64) ? 0 : 3;
}

/* All capabilities but that to raise a limit, which is low. */
static int only_ipc_lock(void)
{
	const struct rlimit lim = { 65536, 65536 };

	if (setrlimit(RLIMIT_MEMLOCK, &lim) < 0)
		return 1;
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
			 CAP_IPC_LOCK) < 0 ||
	    capng_apply(CAPNG_SELECT_CAPS) < 0)
		return CANNOT;
	return 0;
}

static int see_ipc_lock(void)
{
	struct sandbox_memlock m;
	struct stat st;
	int r = only_ipc_lock();

	if (r)
		return r;
	sandbox_memlock(&m);
	if (m.most != 65536)
		return 2;
	/* 4026531837: the initial one, as `lsns` shows it. */
	if (stat("/proc/self/ns/user", &st) < 0 || st.st_ino != 4026531837)
		return m.now ? 3 : CANNOT;
	if (!m.now || sandbox_limits(MIB(512), SANDBOX_PINS_NOW) != 0)
		return 4;
	if (sandbox_limits(MIB(512), SANDBOX_PINS_LATER) != -EPERM)
		return 5;
	return 0;
}

/* All capabilities, which are worth nothing: KVM wants the initial ones. */
static int see_other_root(void)
{
	const struct rlimit lim = { 65536, 65536 };
	struct sandbox_memlock m;

	if (setrlimit(RLIMIT_MEMLOCK, &lim) < 0)
		return 1;
	if (unshare(CLONE_NEWUSER) < 0)
		return CANNOT;
	sandbox_memlock(&m);
	if (m.now || m.most != 65536)
		return 2;
	return sandbox_limits(MIB(512), SANDBOX_PINS_NOW) == -EPERM ? 0 : 3;
}

static void memlock_capability(void **state)
{
	(void)state;
	assert_ok(see_ipc_lock);
}

static void memlock_namespace(void **state)
{
	(void)state;
	assert_ok(see_other_root);
}

static void memlock(void **state)
{
	(void)state;
	assert_ok(see_limit);
	assert_ok(see_limit_raised);
}

/* mov al,42; out 0x10,al; hlt */
static const uint8_t code[] = { 0xb0, 0x2a, 0xe6, 0x10, 0xf4 };

struct second {
	int kvm_fd, vm_fd, vcpu_fd;
	struct kvm_run *run;
	int result;
};

static void *second_vcpu(void *arg)
{
	struct second *s = arg;
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = 0x1000, .rflags = 2 };

	s->result = 10;
	if (sandbox_thread(SANDBOX_VCPU) < 0)
		return NULL;
	if (kvm_ioctl(s->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return NULL;
	sregs.cs.base = sregs.cs.selector = 0;
	s->result = 11;
	if (kvm_ioctl(s->vcpu_fd, KVM_SET_SREGS, &sregs) < 0 ||
	    kvm_ioctl(s->vcpu_fd, KVM_SET_REGS, &regs) < 0 ||
	    kvm_ioctl_val(s->vcpu_fd, KVM_RUN, 0) < 0)
		return NULL;
	s->result = s->run->exit_reason == KVM_EXIT_IO && s->run->io.port == 0x10
			    ? 0
			    : 12;
	return NULL;
}

/* Nothing but /dev/kvm is kept; all else is made after the lock-down. */
static int see_second_vm(void)
{
	struct second s = { .kvm_fd = kvm_open() };
	struct gmem first, gm;
	pthread_t thread;

	if (s.kvm_fd < 0)
		return CANNOT;
	if (gmem_init(&first, MIB(1), false) < 0 ||
	    kvm_create_vm(s.kvm_fd, &first) < 0)
		return 1;
	if (sandbox_enter(&no_dirs) < 0)
		return 2;
	if (gmem_init(&gm, MIB(2), false) < 0 ||
	    gmem_write(&gm, 0x1000, code, sizeof(code)) < 0)
		return 3;
	s.vm_fd = kvm_create_vm(s.kvm_fd, &gm);
	if (s.vm_fd < 0)
		return 4;
	s.vcpu_fd = kvm_create_vcpu(s.kvm_fd, s.vm_fd, 0, &s.run);
	if (s.vcpu_fd < 0)
		return 5;
	if (pthread_create(&thread, NULL, second_vcpu, &s) != 0)
		return 6;
	pthread_join(thread, NULL);
	return s.result;
}

static void second_vm(void **state)
{
	(void)state;
	assert_ok(see_second_vm);
}

static void *thread_memfd(void *arg)
{
	if (sandbox_thread(SANDBOX_VCPU) == 0)
		(void)memfd_create("x", 0); /* the loop thread may */
	return arg;
}

static int do_vcpu_memfd(void)
{
	pthread_t t;

	if (sandbox_enter(&no_dirs) < 0)
		return 1;
	if (memfd_create("x", 0) < 0 ||
	    pthread_create(&t, NULL, thread_memfd, NULL) != 0)
		return 2;
	pthread_join(t, NULL);
	return 3;
}

static void vcpu_is_narrower(void **state)
{
	(void)state;
	need_seccomp();
	assert_killed(do_vcpu_memfd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forbidden_calls),
		cmocka_unit_test(path_outside),
		cmocka_unit_test(landlock_alone),
		cmocka_unit_test(remove_only_own),
		cmocka_unit_test(user_namespace),
		cmocka_unit_test(no_capabilities),
		cmocka_unit_test(memlock),
		cmocka_unit_test(memlock_capability),
		cmocka_unit_test(memlock_namespace),
		cmocka_unit_test(second_vm),
		cmocka_unit_test(vcpu_is_narrower),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
