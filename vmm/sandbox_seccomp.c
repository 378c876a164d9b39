/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The allow-lists. Everything else kills the process: a system call that is
 * not here is a bug of ours or an attack, and both should be seen.
 *
 * io_uring could do what the filter forbids; devices/blk restricts each ring
 * to reads, writes, fsync and fallocate before this filter is installed.
 */
#include "vmm/sandbox.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "core/filter.h"
#include "core/log.h"
#include "core/util.h"

#define L BIT(SANDBOX_LOOP)
#define V BIT(SANDBOX_VCPU)

/* One system call, the kinds of thread that may make it, and what for. */
struct sys_rule {
	int nr;
	uint8_t who;
	const char *name;
	const char *why;
};

#define RULE(call, who, why)                    \
	{                                       \
		SCMP_SYS(call), who, #call, why \
	}

static const struct sys_rule rules[] = {
	RULE(read, L | V, "eventfd, timerfd, console input, tap"),
	RULE(readv, L | V, "tap, disk without io_uring"),
	RULE(pread64, L, "disk without io_uring; kernel and initrd again"),
	RULE(preadv, L, "disk without io_uring"),
	RULE(preadv2, L, "disk without io_uring"),
	RULE(write, L | V, "eventfd, console output, log"),
	RULE(writev, L | V, "console output, tap"),
	RULE(pwrite64, L, "disk without io_uring"),
	RULE(pwritev, L, "disk without io_uring"),
	RULE(pwritev2, L, "disk without io_uring"),
	RULE(fdatasync, L, "disk flush"),
	RULE(fsync, L, "disk flush"),
	RULE(fallocate, L, "disk discard, write zeroes"),
	RULE(io_uring_enter, L | V, "disk; a vCPU cancels at device reset"),
	RULE(recvfrom, L | V, "passt, console socket"),
	RULE(recvmsg, L, "control socket"),
	RULE(sendto, L | V, "passt, console socket"),
	RULE(sendmsg, L | V, "passt, control socket"),
	RULE(accept4, L, "control and console socket"),
	RULE(getsockopt, L, "who is the client of the control socket"),
	RULE(shutdown, L | V, "passt, console socket"),
	RULE(close, L | V, "clients that left, teardown"),
	RULE(poll, L | V, "console output, log"),
	RULE(ppoll, L | V, "console output, log"),
	RULE(epoll_wait, L | V, "event loop"),
	RULE(epoll_pwait, L | V, "event loop"),
	RULE(epoll_ctl, L | V, "devices start and stop sources"),
	RULE(eventfd2, L, "devices of a second VM"),
	RULE(timerfd_create, L, "devices of a second VM"),
	RULE(timerfd_settime, L | V, "timers"),
	RULE(memfd_create, L, "RAM of a second VM"),
	RULE(ftruncate, L, "RAM of a second VM"),
	RULE(lseek, L, "size of a kernel file"),
	RULE(fstat, L, "kernel files again"),
	RULE(newfstatat, L, "kernel files again"),
	RULE(fcntl, L, "disk lock, descriptor flags"),
	RULE(unlinkat, L, "control and console socket at the end"),
	RULE(munmap, L | V, "allocator, teardown"),
	RULE(mremap, L | V, "allocator"),
	RULE(madvise, L | V, "allocator, thread stacks"),
	RULE(brk, L | V, "allocator"),
	RULE(futex, L | V, "vm.lock"),
	RULE(sched_yield, L | V, "spinning locks of libraries"),
	RULE(set_robust_list, L, "new vCPU thread"),
	RULE(rseq, L, "new vCPU thread"),
	RULE(sigaltstack, L | V, "runtime"),
	RULE(sched_getaffinity, L, "runtime"),
	RULE(rt_sigaction, L, "kick signal"),
	RULE(rt_sigprocmask, L | V, "threads"),
	RULE(rt_sigreturn, L | V, "kick signal"),
	RULE(tgkill, L | V, "kick a vCPU; abort"),
	RULE(getpid, L | V, "kick a vCPU; abort"),
	RULE(getpgrp, L, "is the terminal another job's?"),
	RULE(gettid, L | V, "kick a vCPU; abort"),
	RULE(clock_gettime, L | V, "time where the vDSO has none"),
	RULE(clock_nanosleep, L | V, "waiting"),
	RULE(restart_syscall, L | V, "after SIGSTOP and SIGCONT"),
	RULE(getrandom, L | V, "virtio-rng, hash seeds"),
	RULE(seccomp, L, "a vCPU thread narrows its own filter"),
	RULE(exit, L | V, "end of a thread"),
	RULE(exit_group, L | V, "end"),
};

/* ioctl requests beside KVM's own, by full number. */
static const struct {
	unsigned long req;
	uint8_t who;
	const char *name;
} ioctls[] = {
	{ TUNSETOFFLOAD, L | V, "TUNSETOFFLOAD" },
	{ TUNSETVNETHDRSZ, L | V, "TUNSETVNETHDRSZ" },
	{ TCGETS, L | V, "TCGETS" },
	{ TCSETS, L, "TCSETS" },
	{ TCSETSW, L, "TCSETSW" },
	{ TCSETSF, L, "TCSETSF" },
	{ TIOCGPGRP, L, "TIOCGPGRP" },
	{ TIOCGWINSZ, L | V, "TIOCGWINSZ" },
	{ BLKDISCARD, L, "BLKDISCARD" },
	{ BLKZEROOUT, L, "BLKZEROOUT" },
	{ BLKGETSIZE64, L, "BLKGETSIZE64" },
	{ BLKSSZGET, L, "BLKSSZGET" },
};

static int add_plain(scmp_filter_ctx ctx, uint8_t who)
{
	size_t i;
	int r = 0;

	for (i = 0; !r && i < ARRAY_SIZE(rules); i++) {
		if (rules[i].who & who)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, rules[i].nr, 0);
	}
	return r;
}

static int add_ioctls(scmp_filter_ctx ctx, uint8_t who)
{
	size_t i;
	int r;

	/* All of KVM's requests carry its type byte; the descriptors are ours. */
	r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00,
				     (uint64_t)KVMIO << 8));
	for (i = 0; !r && i < ARRAY_SIZE(ioctls); i++) {
		if (ioctls[i].who & who)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
					     SCMP_SYS(ioctl), 1,
					     SCMP_A1(SCMP_CMP_EQ, ioctls[i].req));
	}
	return r;
}

/* Threads yes, processes no. clone3 hides its flags in memory: glibc falls
 * back to clone when it "does not exist". */
static int add_threads(scmp_filter_ctx ctx)
{
	int r;

	r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD,
					     CLONE_THREAD));
	return r;
}

static int add_prctl(scmp_filter_ctx ctx, uint8_t who)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				 SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));

	if (!r && (who & L))
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				     SCMP_A0(SCMP_CMP_EQ, PR_SET_NO_NEW_PRIVS));
	if (!r && (who & L))
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				     SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP));
	return r;
}

static int fill(scmp_filter_ctx ctx, void *arg)
{
	enum sandbox_thread kind = *(enum sandbox_thread *)arg;
	uint8_t who = (uint8_t)BIT(kind);
	int r;

	r = add_plain(ctx, who);
	if (!r)
		r = add_ioctls(ctx, who);
	if (!r)
		r = filter_add_memory(ctx);
	if (!r && kind == SANDBOX_LOOP)
		r = add_threads(ctx);
	if (!r)
		r = add_prctl(ctx, who);
	return r;
}

int sandbox_thread(enum sandbox_thread kind)
{
	int r = filter_enter(fill, &kind);

	return r < 0 ? log_errno(r, "seccomp filter") : 0;
}

static void print_one(FILE *out, bool json, bool *first, const char *name,
		      uint8_t who, const char *why)
{
	if (!json) {
		fprintf(out, "%-18s %-5s %-5s %s\n", name,
			who & L ? "loop" : "-", who & V ? "vcpu" : "-", why);
		return;
	}
	fprintf(out, "%s{\"call\":\"%s\",\"loop\":%s,\"vcpu\":%s,\"why\":\"%s\"}",
		*first ? "" : ",", name, who & L ? "true" : "false",
		who & V ? "true" : "false", why);
	*first = false;
}

void sandbox_print_syscalls(FILE *out, bool json)
{
	bool first = true;
	size_t i;

	if (json)
		fputc('[', out);
	for (i = 0; i < ARRAY_SIZE(rules); i++)
		print_one(out, json, &first, rules[i].name, rules[i].who,
			  rules[i].why);
	print_one(out, json, &first, "ioctl", L | V, "KVM's own requests");
	for (i = 0; i < ARRAY_SIZE(ioctls); i++)
		print_one(out, json, &first, "ioctl", ioctls[i].who,
			  ioctls[i].name);
	print_one(out, json, &first, "mmap", L | V, "without PROT_EXEC");
	print_one(out, json, &first, "mprotect", L | V, "without PROT_EXEC");
	print_one(out, json, &first, "clone", L, "with CLONE_THREAD only");
	print_one(out, json, &first, "prctl", L | V,
		  "PR_SET_NAME; loop: PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP");
	if (json)
		fputs("]\n", out);
}
