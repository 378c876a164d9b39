/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/filter.h"

#include <errno.h>
#include <sys/mman.h>

int filter_add_memory(scmp_filter_ctx ctx)
{
	int r;

	r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return r;
}

int filter_enter(int (*fill)(scmp_filter_ctx ctx, void *arg), void *arg)
{
	scmp_filter_ctx ctx;
	int r;

	if (CSVVMM_SANITIZED)
		return 0;
	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return -ENOMEM;
	r = fill(ctx, arg);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}
