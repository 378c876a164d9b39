/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_VM_H
#define CSVVMM_VMM_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/machine.h"
#include "vmm/boot.h"
#include "vmm/config.h"
#include "vmm/reset.h"

struct board;
struct control;
struct kvm_run;
struct launch;
struct vm_incoming;
struct vm_migration;
struct vm;

/**
 * struct vcpu - One virtual CPU and its thread
 * @parked:	Outside KVM_RUN and staying there: pause is complete
 * @exits:	User-space exits since the first KVM_RUN
 * @kept:	Its state before it ran, for a reset in place; NULL: none
 * @tsc, @deadline: Of a vCPU that came from elsewhere, until it runs
 */
struct vcpu {
	struct vm *vm;
	unsigned id;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool have_thread;
	bool parked;
	_Atomic uint64_t exits;
	uint64_t tsc, deadline;
	uint8_t *kept;
	size_t kept_len;
};

/* Why a vCPU came to user space; names in vmm/control_cmds.c. */
enum vm_exit {
	VM_EXIT_PORT,
	VM_EXIT_MMIO,
	VM_EXIT_HYPERCALL,
	VM_EXIT_MSR,
	VM_EXIT_OTHER,
	VM_EXITS
};

enum vm_state { VM_CREATED, VM_RUNNING, VM_PAUSED, VM_ENDED };

/**
 * struct vm_pages - What an encrypted guest says of its pages
 * @offered:	This kernel passes it on
 * @ready:	The guest can be migrated: it tells all changes. @ready_by: the
 *		vCPU that said so
 */
struct vm_pages {
	bool offered, ready;
	unsigned ready_by;
};

/**
 * struct vm_clocks - Of a guest that came from elsewhere, until it runs
 * @arrived_ns:	CLOCK_MONOTONIC here, when they did
 * @wall_ns:	Wall clock there, when they were read
 */
struct vm_clocks {
	uint64_t arrived_ns, wall_ns, kvm_ns;
	uint32_t tsc_khz;
};

/**
 * struct vm_throttle - vCPUs are slowed down
 * @percent:	Of their time; 0 = not at all
 * @timer:	Drives them out of the guest now and then
 */
struct vm_throttle {
	_Atomic unsigned percent;
	struct timer timer;
	bool have_timer;
};

/**
 * struct vm - One guest, by value; never global
 * @m:		What devices stand on; m.lock is vm.lock
 * @want_pause:	vCPUs shall leave the guest and wait; vm.lock
 * @pausing:	A thread waits until they do; another one waits for that first
 * @quit:	vCPU threads shall return; vm.lock
 * @resume:	Signalled when one of the three changes, and when a vCPU parks
 * @run_size:	Bytes of each vCPU's run page
 * @launch:	Of an encrypted guest, else NULL
 * @shim_seen:	Hash of its shim's ciphertext (@have_shim)
 * @digest:	Of its first launch, if the firmware, or another host, told it
 *		(@have_digest)
 * @wait_for_owner: vCPUs start when the owner says so, by the control socket;
 *		@has_owner: also when it is launched again
 * @exits:	User-space exits of all vCPUs by kind; vm.lock
 * @moving:	Stands still until it is known where it goes on
 * @arrives_paused: It was paused before it moved
 * @mig:	Attempt to move away, or the last one; @incoming: guest to come
 * @control:	Its name; NULL when nobody serves it
 * @passed:	Descriptors that came with the request that is carried out
 * @start_ns, @first_run_ns: CLOCK_MONOTONIC marks for `status` and bench
 */
struct vm {
	struct machine m;
	const struct config *cfg;
	struct boot_files files;
	struct board *board;
	int kvm_fd;
	int run_size;
	unsigned n_vcpus;
	struct vcpu *vcpu;
	enum vm_state state;
	bool want_pause, pausing, quit;
	pthread_cond_t resume;
	uint64_t exits[VM_EXITS];
	uint64_t start_ns, first_run_ns;
	struct boot_info boot;
	struct launch *launch;
	bool have_digest;
	uint8_t digest[32];
	struct vm_pages pages;
	bool wait_for_owner, has_owner, moving, arrives_paused;
	struct vm_clocks clocks;
	struct vm_throttle throttle;
	struct vm_reset reset;
	uint8_t shim_seen[32];
	bool have_shim;
	struct vm_migration *mig;
	struct vm_incoming *incoming;
	struct control *control;
	struct control_fds *passed;
};

/**
 * vm_init() - Everything up to the first KVM_RUN, save the sandbox
 *
 * @wait_for_owner: An encrypted guest stays measured, not started, for vm_go()
 *
 * Logs its errors. vm_fini() is safe after success or failure.
 *
 * Return: 0 or -errno
 */
int vm_init(struct vm *vm, const struct config *cfg, bool wait_for_owner);
/* The same for a guest that comes from elsewhere: nothing is loaded, nothing is
 * measured. */
int vm_init_incoming(struct vm *vm, const struct config *cfg);
void vm_fini(struct vm *vm);

/**
 * vm_run() - Start the vCPUs, dispatch until the guest ends, stop the vCPUs
 *
 * Return: why it ended; END_NONE when it could not be started (logged)
 */
enum end_reason vm_run(struct vm *vm);

/* The owner's go: finish the launch, start the vCPUs; vm.lock held. On failure
 * the guest ends. Return: 0; -EPROTO when nobody waits for it; -errno, logged */
int vm_go(struct vm *vm);

/* Its state is here: vCPUs have their threads, and wait there, whatever anybody
 * says, for vm_arrive(); vm.lock held. Return: 0 or -errno, logged */
int vm_arrive_soon(struct vm *vm);
/* The guest has arrived: vCPUs go, or wait if it was paused; vm.lock held. */
void vm_arrive(struct vm *vm);

/* Stop all vCPUs and wait until each has left KVM_RUN; vm.lock held (dropped
 * while waiting). Return: 0, or -EINVAL when the guest does not run, or ended
 * meanwhile; vm_resume() also -EBUSY: it is on its way elsewhere; -EAGAIN: it is
 * being reset; -ENOEXEC: only a reset can help it. */
int vm_pause(struct vm *vm);
int vm_resume(struct vm *vm);

/* The steps of vm_init() again, in another VM; devices are at their reset values,
 * vCPUs parked. Return: 0 or -errno, logged: good for nothing but vm_fini() */
int vm_relaunch(struct vm *vm);
/* Kernel, initrd and tables. Return: 0 or -errno, logged */
int vm_load_memory(struct vm *vm, enum boot_again again);

/* Words for `end_reason`, and the exit status that `csvvmm run` gives. */
const char *vm_end_words(enum end_reason why);
int vm_end_status(enum end_reason why);
/* "created", "receiving" (a guest that is to come), "running", "paused", "ended". */
const char *vm_state_name(const struct vm *vm);

/* vmm/vcpu.c */
int vcpu_open(struct vcpu *v);
int vcpu_setup_boot(struct vcpu *v, const struct boot_info *boot);
void vcpu_close(struct vcpu *v);
int vcpu_start(struct vcpu *v);
/* Make it leave KVM_RUN soon; any thread. */
void vcpu_kick(struct vcpu *v);
void vcpu_join(struct vcpu *v);

#endif
