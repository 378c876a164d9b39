/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vm.h"
#include "vmm/vm_csv.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/kvm.h"
#include "core/log.h"
#include "core/util.h"
#include "vmm/board.h"
#include "vmm/commands.h"
#include "vmm/cpuid.h"
#include "vmm/launch.h"
#include "vmm/migrate.h"

static const struct {
	const char *words;
	int status;
} end_table[END_REASONS] = {
	[END_NONE] = { "did not start", EXIT_VMM_ERROR },
	[END_POWEROFF] = { "powered off", EXIT_OK },
	[END_REBOOT] = { "asked for a reboot (on_reboot = \"exit\")",
			 EXIT_GUEST_REBOOT },
	[END_PANIC] = { "its kernel panicked", EXIT_GUEST_PANIC },
	[END_TRIPLE_FAULT] = { "ended by a triple fault", EXIT_GUEST_TRIPLE },
	[END_KILLED] = { "killed by the operator", EXIT_GUEST_KILLED },
	[END_ERROR] = { "stopped by an error of the VMM or of KVM",
			EXIT_VMM_ERROR },
	[END_TERMINATED] = { "gave up by its own request", EXIT_VMM_ERROR },
	[END_MOVED] = { "moved to another host", EXIT_GUEST_MOVED },
	[END_NOT_RECEIVED] = { "not received", EXIT_NOT_RECEIVED },
};

const char *vm_end_words(enum end_reason why)
{
	return end_table[why].words;
}

int vm_end_status(enum end_reason why)
{
	return end_table[why].status;
}

const char *vm_state_name(const struct vm *vm)
{
	static const char *const name[] = {
		[VM_CREATED] = "created",
		[VM_RUNNING] = "running",
		[VM_PAUSED] = "paused",
		[VM_ENDED] = "ended",
	};

	if (vm->state == VM_CREATED && vm->incoming && !vm_receive_came(vm))
		return "receiving";
	return name[vm->state];
}

static int vm_open_files(struct vm *vm)
{
	struct boot_error err = { "" };
	int r = boot_open(&vm->files, vm->cfg->kernel, vm->cfg->initrd, &err);

	if (r < 0)
		log_err("%s", err.text);
	return r;
}

static int vm_create(struct vm *vm)
{
	const struct config *cfg = vm->cfg;
	int r;

	vm->kvm_fd = kvm_open();
	if (vm->kvm_fd < 0)
		return log_errno(vm->kvm_fd,
				 "/dev/kvm ('csvvmm doctor' says what to do)");
	vm->run_size = kvm_run_size(vm->kvm_fd);
	if (vm->run_size < 0)
		return log_errno(vm->run_size, "KVM_GET_VCPU_MMAP_SIZE");
	r = kvm_cap(vm->kvm_fd, KVM_CAP_MAX_VCPUS);
	if (r >= 0 && cfg->vcpus > (unsigned)r) {
		log_err("vcpus = %u: this host allows at most %d", cfg->vcpus, r);
		return -EINVAL;
	}
	r = gmem_init(&vm->m.gmem, cfg->memory, cfg->hugepages);
	if (r < 0)
		return log_errno(r, "guest memory: %llu MiB%s",
				 (unsigned long long)(cfg->memory >> 20),
				 r == -EFBIG ? " (see ulimit -f)"
				 : cfg->hugepages
					 ? " of 2 MiB huge pages (see vm.nr_hugepages)"
					 : "");
	vm->m.vm_fd = kvm_create_vm(vm->kvm_fd, &vm->m.gmem);
	if (vm->m.vm_fd < 0)
		return log_errno(vm->m.vm_fd, "KVM_CREATE_VM and its set-up");
	r = irq_init(&vm->m.irq, vm->m.vm_fd);
	if (r < 0)
		return log_errno(r, "interrupt routing");
	r = loop_init(&vm->m.loop, &vm->m.lock);
	if (!r)
		r = vm_throttle_init(vm);
	if (!r)
		r = vm_reset_init(vm);
	if (r < 0)
		return log_errno(r, "event loop");
	return 0;
}

static int vm_set_cpuid(struct vm *vm, struct vcpu *v,
			const struct kvm_cpuid2 *host)
{
	int khz = kvm_ioctl_val(v->fd, KVM_GET_TSC_KHZ, 0);
	struct cpuid_opts opts = {
		.n_vcpus = vm->cfg->vcpus,
		.tsc_khz = khz > 0 ? (uint32_t)khz : 0,
		.migratable = vm->cfg->migratable,
		.tsc_deadline =
			kvm_cap(vm->kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
		.sev = config_csv_real(&vm->cfg->csv),
		.page_states = vm->pages.offered,
		.sev_es = vm->cfg->csv.type == CONFIG_CSV_2,
	};
	struct kvm_cpuid2 *cpuid = cpuid_build(host, v->id, &opts);
	int r;

	if (!cpuid)
		return -errno;
	r = kvm_ioctl(v->fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return r;
}

static int vm_open_vcpus(struct vm *vm)
{
	struct kvm_cpuid2 *host = kvm_supported_cpuid(vm->kvm_fd);
	unsigned i;
	int r = 0;

	if (!host)
		return log_errno(-errno, "KVM_GET_SUPPORTED_CPUID");
	for (i = 0; !r && i < vm->n_vcpus; i++) {
		r = vcpu_open(&vm->vcpu[i]);
		if (!r)
			r = vm_set_cpuid(vm, &vm->vcpu[i], host);
		if (r < 0)
			log_errno(r, "vCPU %u", i);
	}
	free(host);
	return r;
}

static int vm_create_vcpus(struct vm *vm)
{
	unsigned i;

	vm->vcpu = calloc(vm->cfg->vcpus, sizeof(*vm->vcpu));
	if (!vm->vcpu)
		return log_errno(-ENOMEM, "vCPUs");
	vm->n_vcpus = vm->cfg->vcpus;
	for (i = 0; i < vm->n_vcpus; i++)
		vm->vcpu[i] = (struct vcpu){ .vm = vm, .id = i, .fd = -1 };
	return vm_open_vcpus(vm);
}

int vm_load_memory(struct vm *vm, enum boot_again again)
{
	struct boot_encryption enc = { 0 };
	struct boot_opts opts = { .cmdline = vm->cfg->cmdline,
				  .n_vcpus = vm->n_vcpus,
				  .again = again };
	struct boot_error err = { "" };
	int r = vm_csv_boot(vm, &enc);

	if (r < 0)
		return r;
	if (r)
		opts.enc = &enc;
	r = boot_load(&vm->m.gmem, &vm->files, &opts, &vm->boot, &err);
	if (r < 0)
		log_err("%s (%s)", err.text, vm->cfg->kernel);
	return r;
}

static int vm_load(struct vm *vm, enum boot_again again)
{
	unsigned i;
	int r = vm_load_memory(vm, again);

	for (i = 0; i < vm->n_vcpus && !r; i++) {
		r = vcpu_setup_boot(&vm->vcpu[i], &vm->boot);
		if (r < 0)
			return log_errno(r, "registers of vCPU %u", i);
	}
	return r < 0 ? r : vm_reset_keep(vm);
}

static int vm_init_common(struct vm *vm, const struct config *cfg)
{
	int r;

	*vm = (struct vm){
		.cfg = cfg,
		.kvm_fd = -1,
		.m = { .vm_fd = -1,
		       .gmem.fd = -1,
		       .loop = { .epfd = -1, .wake_fd = -1 },
		       .irq.vm_fd = -1 },
		.files = { -1, -1 },
		.start_ns = now_ns(),
	};
	pthread_mutex_init(&vm->m.lock, NULL);
	pthread_cond_init(&vm->resume, NULL);
	r = vm_open_files(vm);
	return r < 0 ? r : vm_create(vm);
}

static int vm_init_machine(struct vm *vm)
{
	int r = vm_csv_open(vm);

	if (!r)
		r = board_create(&vm->m, vm->cfg, &vm->board);
	return r < 0 ? r : vm_create_vcpus(vm);
}

int vm_init(struct vm *vm, const struct config *cfg, bool wait_for_owner)
{
	int r = vm_init_common(vm, cfg);

	vm->wait_for_owner = vm->has_owner = wait_for_owner;
	if (!r)
		r = vm_init_machine(vm);
	if (!r)
		r = vm_load(vm, BOOT_FIRST);
	return r < 0 ? r : vm_csv_measure(vm);
}

/*
 * The memory stays, as on a real machine; to an encrypted guest, which gets
 * another key, it is noise.
 */
int vm_relaunch(struct vm *vm)
{
	unsigned i;
	int r;

	/* First what the old one has: it may be all that this host can spare. */
	for (i = 0; i < vm->n_vcpus; i++)
		vcpu_close(&vm->vcpu[i]);
	util_close(&vm->m.vm_fd);
	vm->m.vm_fd = kvm_create_vm(vm->kvm_fd, &vm->m.gmem);
	if (vm->m.vm_fd < 0)
		return log_errno(vm->m.vm_fd, "reset: another VM");
	r = irq_move(&vm->m.irq, vm->m.vm_fd);
	if (r < 0)
		return log_errno(r, "reset: interrupt routing");
	r = vm_csv_again(vm);
	if (!r)
		r = vm_open_vcpus(vm);
	if (!r)
		r = vm_load(vm, BOOT_AGAIN);
	return r < 0 ? r : vm_csv_measure(vm);
}

int vm_init_incoming(struct vm *vm, const struct config *cfg)
{
	int r = vm_init_common(vm, cfg);

	vm->m.incoming = true;
	if (!r)
		r = vm_init_machine(vm);
	return r < 0 ? r : vm_csv_incoming(vm);
}

void vm_fini(struct vm *vm)
{
	unsigned i;

	vm_receive_free(vm);
	vm_reset_fini(vm);
	board_destroy(vm->board);
	vm_csv_close(vm);
	for (i = 0; i < vm->n_vcpus; i++)
		vcpu_close(&vm->vcpu[i]);
	free(vm->vcpu);
	if (vm->m.irq.vm_fd >= 0)
		irq_fini(&vm->m.irq);
	util_close(&vm->m.vm_fd);
	vm_throttle_fini(vm);
	if (vm->m.loop.epfd >= 0)
		loop_fini(&vm->m.loop);
	if (vm->m.gmem.size)
		gmem_fini(&vm->m.gmem);
	boot_close(&vm->files);
	util_close(&vm->kvm_fd);
	pthread_cond_destroy(&vm->resume);
	pthread_mutex_destroy(&vm->m.lock);
}

/* Threads wait for the lock, which is held here, before KVM_RUN. */
static int vm_start_threads(struct vm *vm)
{
	unsigned i;
	int r = 0;

	for (i = 0; !r && i < vm->n_vcpus; i++) {
		r = vcpu_start(&vm->vcpu[i]);
		if (r < 0)
			log_errno(r, "thread of vCPU %u", i);
	}
	if (r < 0)
		vm->quit = true;
	return r;
}

static int vm_start(struct vm *vm)
{
	int r = vm_start_threads(vm);

	vm->state = VM_RUNNING;
	vm->first_run_ns = now_ns();
	return r;
}

int vm_go(struct vm *vm)
{
	int r;

	if (!vm->wait_for_owner || vm->state != VM_CREATED)
		return -EPROTO;
	vm->wait_for_owner = false;
	r = launch_finish(vm->launch);
	if (!r)
		vm_csv_see_shim(vm);
	if (!r && vm->vcpu[0].have_thread) {
		vm->state = VM_PAUSED;
		r = vm_resume(vm);
	} else if (!r) {
		r = vm_start(vm);
	}
	if (r < 0)
		machine_end(&vm->m, END_ERROR);
	return r;
}

int vm_arrive_soon(struct vm *vm)
{
	vm->want_pause = true;
	return vm_start_threads(vm);
}

void vm_arrive(struct vm *vm)
{
	vm->want_pause = vm->arrives_paused;
	vm->state = vm->arrives_paused ? VM_PAUSED : VM_RUNNING;
	vm->first_run_ns = now_ns();
	pthread_cond_broadcast(&vm->resume);
}

static void vm_stop(struct vm *vm)
{
	unsigned i;

	vm_migrate_fini(vm);
	vm_receive_fini(vm);
	pthread_mutex_lock(&vm->m.lock);
	vm->quit = true;
	vm->state = VM_ENDED;
	pthread_cond_broadcast(&vm->resume);
	for (i = 0; i < vm->n_vcpus; i++)
		vcpu_kick(&vm->vcpu[i]);
	pthread_mutex_unlock(&vm->m.lock);
	for (i = 0; i < vm->n_vcpus; i++)
		vcpu_join(&vm->vcpu[i]);
}

enum end_reason vm_run(struct vm *vm)
{
	int r = 0;

	if (!vm->wait_for_owner && !vm->incoming) {
		pthread_mutex_lock(&vm->m.lock);
		r = vm_start(vm);
		pthread_mutex_unlock(&vm->m.lock);
	}
	if (r < 0) {
		vm_stop(vm);
		return END_NONE;
	}
	r = loop_run(&vm->m.loop);
	if (r < 0) {
		log_errno(r, "event loop");
		vm->m.end = END_ERROR;
	}
	vm_stop(vm);
	return vm->m.end;
}

static bool vm_all_parked(const struct vm *vm)
{
	unsigned i;

	for (i = 0; i < vm->n_vcpus; i++) {
		if (!vm->vcpu[i].parked)
			return false;
	}
	return true;
}

int vm_pause(struct vm *vm)
{
	unsigned i;

	/* Who comes second finds them parked, or does it all again: the first one
	 * may have let them go on meanwhile. */
	while (vm->pausing)
		pthread_cond_wait(&vm->resume, &vm->m.lock);
	if (vm->state == VM_PAUSED)
		return 0;
	if (vm->state != VM_RUNNING)
		return -EINVAL;
	vm->want_pause = true;
	vm->pausing = true;
	for (i = 0; i < vm->n_vcpus; i++)
		vcpu_kick(&vm->vcpu[i]);
	while (!vm_all_parked(vm))
		pthread_cond_wait(&vm->resume, &vm->m.lock);
	vm->pausing = false;
	pthread_cond_broadcast(&vm->resume);
	/* What a vCPU had to finish, or another one, ended the guest. */
	if (vm->m.end != END_NONE) {
		vm->want_pause = false;
		pthread_cond_broadcast(&vm->resume);
		return -EINVAL;
	}
	vm->state = VM_PAUSED;
	return 0;
}

int vm_resume(struct vm *vm)
{
	unsigned i;

	if (vm->state == VM_RUNNING)
		return 0;
	if (vm->state != VM_PAUSED)
		return -EINVAL;
	if (vm->moving)
		return -EBUSY;
	if (vm->reset.wanted)
		return -EAGAIN;
	if (vm->reset.held)
		return -ENOEXEC;
	/*
	 * Lest the guest's watchdogs take the pause for a lock-up. Refused
	 * where the guest does not use kvm-clock.
	 */
	for (i = 0; i < vm->n_vcpus; i++)
		(void)kvm_ioctl_val(vm->vcpu[i].fd, KVM_KVMCLOCK_CTRL, 0);
	vm->want_pause = false;
	vm->state = VM_RUNNING;
	pthread_cond_broadcast(&vm->resume);
	return 0;
}
