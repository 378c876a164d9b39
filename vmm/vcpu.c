/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DOC: Theory of operation
 *
 * One thread a vCPU. It holds vm.lock except inside KVM_RUN and while it
 * waits on vm.resume. Whoever wants it out of the guest changes a flag of
 * struct vm with the lock held and calls vcpu_kick(): immediate_exit is set
 * first, then a signal is sent, so the request is seen whether the thread is
 * about to enter the guest or already in it.
 */
#include "vmm/vm.h"
#include "vmm/vm_csv.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "core/kvm.h"
#include "core/log.h"
#include "core/util.h"
#include "vmm/migrate.h"
#include "vmm/sandbox.h"
#include "vmm/vmsa.h"

/* Not a real-time signal: those can fail to be sent when the user's quota of
 * pending ones is used up, by whatever process. */
#define VCPU_SIGNAL	SIGUSR1
#define VCPU_STACK_SIZE KIB(256)
/* Accesses of one instruction between two looks at immediate_exit. */
#define PIECES_MAX 4096

#define MSR_MTRR_DEF_TYPE 0x2ff
#define MTRR_ENABLE_WB	  (BIT(11) | 6)

int vcpu_open(struct vcpu *v)
{
	struct vm *vm = v->vm;
	int fd = kvm_create_vcpu(vm->kvm_fd, vm->m.vm_fd, v->id, &v->run);

	if (fd < 0)
		return fd;
	v->fd = fd;
	return 0;
}

void vcpu_close(struct vcpu *v)
{
	if (v->run)
		(void)munmap(v->run, (size_t)v->vm->run_size);
	v->run = NULL;
	util_close(&v->fd);
}

static int vcpu_set_mtrr(struct vcpu *v)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[1];
	} msrs = {
		.head.nmsrs = 1,
		.entry[0] = { .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE_WB },
	};
	int r = kvm_ioctl(v->fd, KVM_SET_MSRS, &msrs);

	return r < 0 ? r : r == 1 ? 0 : -EINVAL;
}

/*
 * All of it comes from the table that `csvvmm measure` goes by, since that of a
 * guest with encrypted registers is measured. The APIC's base is not part of it.
 */
int vcpu_setup_boot(struct vcpu *v, const struct boot_info *boot)
{
	struct kvm_sregs now, sregs;
	struct kvm_regs regs;
	int r;

	/* Firmware would have done it; Linux turns PAT off without. */
	r = vcpu_set_mtrr(v);
	if (r < 0)
		return r;
	if (v->id && v->vm->cfg->csv.type != CONFIG_CSV_2)
		return 0; /* waits for INIT and SIPI */
	r = kvm_ioctl(v->fd, KVM_GET_SREGS, &now);
	if (r < 0)
		return r;
	vmsa_initial_regs(v->id, boot, &regs, &sregs);
	sregs.apic_base = now.apic_base;
	r = kvm_ioctl(v->fd, KVM_SET_SREGS, &sregs);
	return r < 0 ? r : kvm_ioctl(v->fd, KVM_SET_REGS, &regs);
}

static void vcpu_io(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	struct bus *pio = &v->vm->m.pio;
	uint32_t i;

	/* INS/OUTS: several accesses to one port, bounded by the run page. */
	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		uint64_t val = 0;

		if (run->io.direction == KVM_EXIT_IO_IN) {
			(void)bus_read(pio, run->io.port, run->io.size, &val);
			memcpy(data, &val, run->io.size);
		} else {
			memcpy(&val, data, run->io.size);
			(void)bus_write(pio, run->io.port, run->io.size, val);
		}
	}
}

static void vcpu_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	struct bus *mmio = &v->vm->m.mmio;
	uint64_t val = 0;

	if (run->mmio.is_write) {
		memcpy(&val, run->mmio.data, sizeof(val));
		(void)bus_write(mmio, run->mmio.phys_addr, run->mmio.len, val);
	} else {
		(void)bus_read(mmio, run->mmio.phys_addr, run->mmio.len, &val);
		memcpy(run->mmio.data, &val, sizeof(val));
	}
}

static void vcpu_shutdown(struct vcpu *v)
{
	machine_end(&v->vm->m, END_TRIPLE_FAULT);
}

static void vcpu_log_regs(const struct vcpu *v)
{
	const struct config_csv *csv = &v->vm->cfg->csv;
	struct kvm_regs regs;

	if (config_csv_real(csv) && csv->type == CONFIG_CSV_2)
		log_err("vcpu %u: its registers are encrypted; a malformed request of the guest (GHCB) can be the cause",
			v->id);
	else if (kvm_ioctl(v->fd, KVM_GET_REGS, &regs) == 0)
		log_err("vcpu %u: rip=%#llx rsp=%#llx rflags=%#llx", v->id,
			regs.rip, regs.rsp, regs.rflags);
}

static void vcpu_internal_error(struct vcpu *v)
{
	const struct kvm_run *run = v->run;

	log_err("vcpu %u: KVM internal error, suberror %u%s", v->id,
		run->internal.suberror,
		run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION
			? " (an instruction that KVM can't emulate; 'csvvmm doctor' tells whether this host runs Linux guests)"
			: "");
	vcpu_log_regs(v);
	machine_end(&v->vm->m, END_ERROR);
}

static void vcpu_fail_entry(struct vcpu *v)
{
	log_err("vcpu %u: the processor refused to enter the guest, reason %#llx",
		v->id, v->run->fail_entry.hardware_entry_failure_reason);
	vcpu_log_regs(v);
	machine_end(&v->vm->m, END_ERROR);
}

static void vcpu_system_event(struct vcpu *v)
{
	switch (v->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SEV_TERM:
		vm_shim_terminated(v->vm, v->run->system_event.data[0]);
		break;
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		machine_end(&v->vm->m, END_POWEROFF);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		machine_end(&v->vm->m, END_REBOOT);
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		machine_end(&v->vm->m, END_PANIC);
		break;
	default:
		log_err("vcpu %u: unknown system event %u", v->id,
			v->run->system_event.type);
		machine_end(&v->vm->m, END_ERROR);
	}
}

static void vcpu_nothing(struct vcpu *v)
{
	(void)v;
}

/* What to do after each KVM_EXIT_*; all called with vm.lock held. */
static void (*const exit_handler[])(struct vcpu *v) = {
	[KVM_EXIT_IO] = vcpu_io,
	[KVM_EXIT_MMIO] = vcpu_mmio,
	[KVM_EXIT_INTR] = vcpu_nothing,
	[KVM_EXIT_SHUTDOWN] = vcpu_shutdown,
	[KVM_EXIT_FAIL_ENTRY] = vcpu_fail_entry,
	[KVM_EXIT_INTERNAL_ERROR] = vcpu_internal_error,
	[KVM_EXIT_SYSTEM_EVENT] = vcpu_system_event,
	[KVM_EXIT_HYPERCALL] = vm_pages_hypercall,
	[KVM_EXIT_X86_RDMSR] = vm_pages_rdmsr,
	[KVM_EXIT_X86_WRMSR] = vm_pages_wrmsr,
};

static enum vm_exit exit_kind(uint32_t reason)
{
	switch (reason) {
	case KVM_EXIT_IO:
		return VM_EXIT_PORT;
	case KVM_EXIT_MMIO:
		return VM_EXIT_MMIO;
	case KVM_EXIT_HYPERCALL:
		return VM_EXIT_HYPERCALL;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		return VM_EXIT_MSR;
	default:
		return VM_EXIT_OTHER;
	}
}

static void vcpu_exit(struct vcpu *v)
{
	uint32_t reason = v->run->exit_reason;

	atomic_fetch_add_explicit(&v->exits, 1, memory_order_relaxed);
	v->vm->exits[exit_kind(reason)]++;
	if (reason < ARRAY_SIZE(exit_handler) && exit_handler[reason]) {
		exit_handler[reason](v);
		return;
	}
	log_err("vcpu %u: unexpected KVM exit %u", v->id, reason);
	vcpu_log_regs(v);
	machine_end(&v->vm->m, END_ERROR);
}

/*
 * A port or MMIO access is finished by KVM at the next entry only, and that may
 * bring the instruction's next access (read-modify-write, a string, a wide
 * one): KVM looks at immediate_exit behind the instruction, or every 1024
 * rounds of a string.
 */
static void vcpu_complete_exit(struct vcpu *v)
{
	unsigned i;
	int r = 0;

	for (i = 0; r == 0 && i < PIECES_MAX; i++) {
		v->run->immediate_exit = 1;
		r = kvm_ioctl_val(v->fd, KVM_RUN, 0);
		if (r == 0)
			vcpu_exit(v);
	}
}

/* Called with vm.lock held; returns so. */
static void vcpu_park(struct vcpu *v)
{
	struct vm *vm = v->vm;

	vcpu_complete_exit(v);
	v->parked = true;
	pthread_cond_broadcast(&vm->resume);
	while (vm->want_pause && !vm->quit)
		pthread_cond_wait(&vm->resume, &vm->m.lock);
	v->parked = false;
}

static void vcpu_enter(struct vcpu *v)
{
	struct vm *vm = v->vm;
	int r;

	v->run->immediate_exit = 0;
	pthread_mutex_unlock(&vm->m.lock);
	r = kvm_ioctl_val(v->fd, KVM_RUN, 0);
	pthread_mutex_lock(&vm->m.lock);
	if (r == -EINTR || r == -EAGAIN)
		return;
	if (r < 0) {
		log_errno(r, "vcpu %u: KVM_RUN", v->id);
		vcpu_log_regs(v);
		machine_end(&vm->m, END_ERROR);
		return;
	}
	vcpu_exit(v);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	struct vm *vm = v->vm;
	char name[16] = "vcpu";
	sigset_t kick;

	/* Whoever started us may have blocked it. */
	sigemptyset(&kick);
	sigaddset(&kick, VCPU_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	name[4] = (char)('0' + v->id / 10);
	name[5] = (char)('0' + v->id % 10);
	(void)pthread_setname_np(pthread_self(), name);
	pthread_mutex_lock(&vm->m.lock);
	if (vm->cfg->sandbox && sandbox_thread(SANDBOX_VCPU) < 0)
		machine_end(&vm->m, END_ERROR);
	while (!vm->quit && vm->m.end == END_NONE) {
		if (vm->want_pause)
			vcpu_park(v);
		else
			vcpu_enter(v);
		if (vm->throttle.percent)
			vm_throttle_sleep(vm);
	}
	v->parked = true;
	pthread_cond_broadcast(&vm->resume);
	pthread_mutex_unlock(&vm->m.lock);
	return NULL;
}

static void on_kick(int sig)
{
	(void)sig; /* its arrival ends KVM_RUN; that is all */
}

int vcpu_start(struct vcpu *v)
{
	struct sigaction sa = { .sa_handler = on_kick };
	pthread_attr_t attr;
	int r;

	(void)sigaction(VCPU_SIGNAL, &sa, NULL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK_SIZE);
	r = pthread_create(&v->thread, &attr, vcpu_main, v);
	pthread_attr_destroy(&attr);
	v->have_thread = r == 0;
	return -r;
}

void vcpu_kick(struct vcpu *v)
{
	v->run->immediate_exit = 1;
	if (v->have_thread)
		pthread_kill(v->thread, VCPU_SIGNAL);
}

void vcpu_join(struct vcpu *v)
{
	if (v->have_thread)
		pthread_join(v->thread, NULL);
	v->have_thread = false;
}
