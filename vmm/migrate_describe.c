/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kvm.h"
#include "core/util.h"
#include "vmm/launch.h"
#include "vmm/measure.h"
#include "vmm/migrate.h"
#include "vmm/vcpu_state.h"
#include "vmm/vm.h"

static int describe_cpuid(const struct vm *vm, struct mig_machine *d)
{
	auto_free struct kvm_cpuid2 *c = vcpu_cpuid(&vm->vcpu[0]);
	uint32_t i;

	if (!c)
		return -errno;
	d->n_cpuid = MIN(c->nent, (uint32_t)MIG_CPUID_MAX);
	for (i = 0; i < d->n_cpuid; i++) {
		const struct kvm_cpuid_entry2 *e = &c->entries[i];

		d->cpuid[i] =
			(struct mig_cpuid){ { e->function, e->index, e->flags,
					      e->eax, e->ebx, e->ecx, e->edx } };
	}
	return 0;
}

static void describe_cert(const struct launch_blob *b, struct mig_cert *c)
{
	if (b->len > sizeof(c->data))
		return;
	c->len = b->len;
	if (b->len)
		memcpy(c->data, b->data, b->len);
}

static void describe_csv(const struct vm *vm, struct mig_machine *d)
{
	const struct launch *l = vm->launch;

	d->type = l->csv.es ? MIG_CSV2 : MIG_CSV;
	d->policy = l->csv.policy;
	d->profile = measure_profile(&vm->cfg->csv) == PSP_AMD ? MIG_AMD
							       : MIG_HYGON;
	d->api_major = l->platform.api_major;
	d->api_minor = l->platform.api_minor;
	d->build = l->platform.build;
	describe_cert(&l->pdh, &d->pdh);
	describe_cert(&l->chain, &d->chain);
}

int vm_describe(struct vm *vm, struct mig_machine *d)
{
	int khz = kvm_ioctl_val(vm->vcpu[0].fd, KVM_GET_TSC_KHZ, 0);

	memset(d, 0, sizeof(*d));
	(void)snprintf(d->name, sizeof(d->name), "%s", vm->cfg->name);
	d->vcpus = vm->n_vcpus;
	d->memory = vm->m.gmem.size;
	d->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
	d->tsc_scaling = kvm_cap(vm->kvm_fd, KVM_CAP_TSC_CONTROL) > 0;
	if (vm->launch)
		describe_csv(vm, d);
	mig_describe_devices(d, &vm->m.snap);
	return describe_cpuid(vm, d);
}
