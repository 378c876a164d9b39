/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_MIGRATE_H
#define CSVVMM_VMM_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "migration/progress.h"
#include "migration/source.h"

struct vm;

/* --- going away --------------------------------------------------------------- */

enum migrate_fd {
	MIGRATE_LINE,
	MIGRATE_EVENTS,
	MIGRATE_ROOT,
	MIGRATE_CERTS,
	MIGRATE_FDS
};

/**
 * struct migrate_args - What the operator asked for
 * @fd:		Line to the target; where the result goes as one line of JSON;
 *		files of the root that is trusted, and of further certificates.
 *		-1 = none. Taken over
 * @model_root:	Trust the model's root, whose key is published
 */
struct migrate_args {
	struct mig_opts opts;
	int fd[MIGRATE_FDS];
	bool model_root;
};

/**
 * vm_migrate_start() - Try to move the guest, in a thread of its own
 * @why:	MIG_WHY_MAX bytes; in words
 *
 * vm.lock held. Return: 0; -EBUSY: one is under way; -errno
 */
int vm_migrate_start(struct vm *vm, const struct migrate_args *a, char *why);
/* Return: 0, or -ENOENT when none is under way, or none can be stopped */
int vm_migrate_cancel(struct vm *vm);
/* Is one under way? Is the guest gone, or may it be, for all one knows here? */
bool vm_migrate_active(const struct vm *vm);
bool vm_migrate_late(struct vm *vm);
/* In doubt: @here: it runs here, else it does not. vm.lock held. Return: 0 or
 * -EPROTO: nothing is in doubt; -EXDEV: it can't be there */
int vm_migrate_decide(struct vm *vm, bool here);
/* Cancel and wait; before the vCPUs end. Without vm.lock. */
void vm_migrate_fini(struct vm *vm);
/* The one under way, or the last. false: there was none */
bool vm_migrate_progress(struct vm *vm, struct mig_progress *ret_p);

/* vmm/migrate_throttle.c: how the vCPUs are slowed down. */
int vm_throttle_init(struct vm *vm);
void vm_throttle_fini(struct vm *vm);
void vm_throttle_set(struct vm *vm, unsigned percent);
/* In a vCPU's thread, out of the guest; vm.lock held, dropped meanwhile. */
void vm_throttle_sleep(struct vm *vm);

/* vmm/migrate_describe.c: this side, as the other sees it; vm.lock held. Return: 0
 * or -errno */
int vm_describe(struct vm *vm, struct mig_machine *d);

/* vmm/migrate_trust.c */
struct migrate_trust {
	bool model_root;
	uint8_t *root, *certs;
	size_t root_len, certs_len;
	uint8_t amd[4096]; /* HSK (ASK) and root, for SEND_START */
};
/* Read the files. Return: 0 or -errno with @why */
int migrate_trust_init(struct migrate_trust *t, bool model_root, int root_fd,
		       int certs_fd, char *why);
void migrate_trust_fini(struct migrate_trust *t);
/* Struct mig_source_ops.check for @own. */
int migrate_trust_check(struct migrate_trust *t, const struct mig_machine *own,
			const struct mig_machine *target,
			struct csv_target *ret_certs, char *why);

/* --- coming in (vmm/receive.c) ----------------------------------------------------- */

/* Wait for the guest on @fd in a thread of its own; the result is vm->m.end, or a
 * guest that runs: then a byte is written to @arrived. Return: 0 or -errno, logged */
int vm_receive_start(struct vm *vm, int fd, int arrived, uint64_t stall_ns);
/* There is no machine for a guest to come to: tell its source the last error. */
void vm_receive_refuse(int fd, uint64_t stall_ns);
/* Stop waiting. Without vm.lock. Nothing when it was never started. */
void vm_receive_fini(struct vm *vm);
void vm_receive_free(struct vm *vm);
/* Nothing was changed: somebody else may be let in. */
bool vm_receive_untouched(const struct vm *vm);
/* It has come, whatever became of it here. */
bool vm_receive_came(const struct vm *vm);

#endif
