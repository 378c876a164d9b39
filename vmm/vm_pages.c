/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <asm/kvm_para.h>
#include <errno.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>

#include "core/kvm.h"
#include "core/log.h"
#include "core/util.h"
#include "shim/shim.h"
#include "vmm/vm.h"
#include "vmm/vm_csv.h"

/*
 * DOC: Theory of operation
 *
 * Linux tells each change between private and shared by a hypercall, if CPUID
 * offers it: all RAM as private first, then what it has shared. When that is
 * done it writes 1 to a synthetic MSR: it can be migrated. It writes 0 before a
 * kexec or a reset, but also when it takes any processor off-line, so a 0 counts
 * only from the vCPU that had written the 1.
 */

#define READY 1u

/* Allow all but this one, which comes to us. */
static int pages_filter(int vm_fd)
{
	uint8_t deny = 0;
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR,
				      .args[0] = KVM_MSR_EXIT_REASON_FILTER };
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = { .flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			       .nmsrs = 1,
			       .base = MSR_KVM_MIGRATION_CONTROL,
			       .bitmap = &deny },
	};
	int r = kvm_ioctl(vm_fd, KVM_ENABLE_CAP, &cap);

	return r < 0 ? r : kvm_ioctl(vm_fd, KVM_X86_SET_MSR_FILTER, &filter);
}

static int pages_ask(int vm_fd)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_HYPERCALL,
				      .args[0] = BIT(KVM_HC_MAP_GPA_RANGE) };
	int r = kvm_ioctl(vm_fd, KVM_ENABLE_CAP, &cap);

	return r < 0 ? r : pages_filter(vm_fd);
}

/* Linux does not speak of the shim's memory, which is reserved in its map. With
 * its GHCB taken as private the security processor would be told to read what KVM
 * has written there without a C-bit, maybe still in a cache. */
void vm_pages_begin(struct vm *vm)
{
	const struct config_csv *csv = &vm->cfg->csv;

	gmem_forget(&vm->m.gmem);
	if (csv->type == CONFIG_CSV_2 && config_csv_real(csv))
		(void)gmem_share(&vm->m.gmem, SHIM_GHCB);
	vm->pages.ready = false;
}

int vm_pages_again(struct vm *vm)
{
	int r = vm->pages.offered ? pages_ask(vm->m.vm_fd) : 0;

	vm_pages_begin(vm);
	return r < 0 ? log_errno(r, "reset: page states") : 0;
}

int vm_pages_open(struct vm *vm)
{
	int r = pages_ask(vm->m.vm_fd);

	if (r < 0) {
		log_info("this kernel does not pass page states on (%d): the guest can't be migrated",
			 -r);
		return 0;
	}
	r = gmem_encrypt(&vm->m.gmem);
	vm->pages.offered = !r;
	vm_pages_begin(vm);
	return r < 0 ? log_errno(r, "map of shared pages") : 0;
}

/* KVM has checked alignment and wrap-around; the guest can still name what is
 * no RAM. */
void vm_pages_hypercall(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	const __u64 *a = run->hypercall.args;
	bool shared = !(a[2] & KVM_MAP_GPA_RANGE_ENCRYPTED);
	int r = -ENOSYS;

	if (run->hypercall.nr == KVM_HC_MAP_GPA_RANGE)
		r = gmem_tell(&v->vm->m.gmem, a[0], a[1], shared);
	if (r < 0)
		log_guest("vcpu %u: hypercall %llu about %#llx, %llu pages: refused",
			  v->id, run->hypercall.nr, a[0], a[1]);
	run->hypercall.ret = r == -ENOSYS ? (__u64)-KVM_ENOSYS
			     : r < 0	  ? (__u64)-KVM_EINVAL
					  : 0;
}

void vm_pages_rdmsr(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	run->msr.error = run->msr.index != MSR_KVM_MIGRATION_CONTROL;
	run->msr.data = v->vm->pages.ready ? READY : 0;
}

void vm_pages_wrmsr(struct vcpu *v)
{
	struct vm_pages *p = &v->vm->pages;
	struct kvm_run *run = v->run;

	run->msr.error = run->msr.index != MSR_KVM_MIGRATION_CONTROL ||
			 (run->msr.data & ~(__u64)READY);
	if (run->msr.error)
		return;
	if (run->msr.data) {
		p->ready = true;
		p->ready_by = v->id;
	} else if (p->ready && p->ready_by == v->id) {
		p->ready = false;
	}
}
