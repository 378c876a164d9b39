/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the helper may still do once it meets strangers. Everything else kills
 * it, and the migration with it, but nothing more.
 */
#include <seccomp.h>

#include "core/filter.h"
#include "core/util.h"
#include "migration/tunnel_impl.h"

static const int calls[] = {
	/* the stream, and log lines */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	/* connections: accept, end */
	SCMP_SYS(accept4),
	SCMP_SYS(getpeername),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(close),
	/* the runtime */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(tgkill),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

static int fill(scmp_filter_ctx ctx, void *arg)
{
	size_t i;
	int r = 0;

	(void)arg;
	for (i = 0; !r && i < ARRAY_SIZE(calls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return r < 0 ? r : filter_add_memory(ctx);
}

int tunnel_seccomp(void)
{
	return filter_enter(fill, NULL);
}
