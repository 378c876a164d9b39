/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_VM_H
#define CSVVMM_VMM_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/machine.h"
#include "vmm/boot.h"
#include "vmm/config.h"

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
 * struct vm_reset - The guest begins anew (vmm/reset.c)
 * @wanted:	And nothing runs until it is done. @why: END_REBOOT, END_PANIC,
 *		END_TRIPLE_FAULT; END_NONE: the operator asked for it
 * @pause:	... to be looked at, instead
 * @run:	Afterwards it runs
 * @held:	It is paused, and nothing but a reset can help it
 * @draining:	Devices finish what they had begun
 * @timer:	The next step is due
 * @count:	Resets so far; @last_ns: when the last one was over, @took_ns:
 *		how long it took from the moment when nothing ran
 */
struct vm_reset {
	bool wanted, pause, run, held, draining, relaunched;
	enum end_reason why;
	struct timer timer;
	bool have_timer;
	uint64_t count, since_ns, last_ns, took_ns;
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
 * @quit:	vCPU threads shall return; vm.lock
 * @resume:	Signalled when one of the two changes, and when a vCPU parks
 * @run_size:	Bytes of each vCPU's run page
 * @launch:	Of an encrypted guest, else NULL
 * @digest:	Of its first launch here, if the firmware told it (@have_digest)
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
	bool want_pause, quit;
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

/* The guest has arrived: vCPUs start, or wait if it was paused; vm.lock held.
 * Return: 0 or -errno, logged */
int vm_arrive(struct vm *vm);

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
const char *vm_state_name(enum vm_state state);

/* vmm/vm_csv.c: steps of vm_init() for an encrypted guest; nothing for others.
 * Return: 0 or -errno, logged. device, whether this host has one, comes before
 * all else, open before the vCPUs, measure after memory and registers are set. */
int vm_csv_device(const struct config *cfg);
int vm_csv_open(struct vm *vm);
int vm_csv_again(struct vm *vm);
/* Return: 1 with *ret_enc; 0: no shim; -errno, logged */
int vm_csv_boot(const struct vm *vm, struct boot_encryption *ret_enc);
int vm_csv_measure(struct vm *vm);
int vm_csv_incoming(struct vm *vm);
void vm_csv_close(struct vm *vm);

/* vmm/vm_pages.c: page states of an encrypted guest ([KVM-API] 5, 7.23;
 * KVM_FEATURE_HC_MAP_GPA_RANGE, MIGRATION_CONTROL). An old kernel that has not
 * what it takes is no failure. exit functions: vm.lock held. */
int vm_pages_open(struct vm *vm);
/* As after that, in vm->m.vm_fd. */
int vm_pages_again(struct vm *vm);
void vm_pages_hypercall(struct vcpu *v);
void vm_pages_rdmsr(struct vcpu *v);
void vm_pages_wrmsr(struct vcpu *v);

/* vmm/vm_shim.c: a guest without #VC says at a port why it ends, one with it by
 * GHCB's termination request ([GHCB] 2.3.1): logged in words; vm.lock held. */
int vm_shim_open(struct vm *vm);
void vm_shim_terminated(struct vm *vm, uint64_t ghcb_msr);

/* vmm/vcpu.c */
int vcpu_open(struct vcpu *v);
int vcpu_setup_boot(struct vcpu *v, const struct boot_info *boot);
void vcpu_close(struct vcpu *v);
int vcpu_start(struct vcpu *v);
/* Make it leave KVM_RUN soon; any thread. */
void vcpu_kick(struct vcpu *v);
void vcpu_join(struct vcpu *v);

#endif
