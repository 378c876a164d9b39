/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_TESTS_UNIT_CSV_MODEL_RIG_H
#define CSVVMM_TESTS_UNIT_CSV_MODEL_RIG_H

/*
 * Virtual machines on the model, through its seam: RAM, and vCPUs whose
 * registers are kept here, behind ioctl() itself.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/csv_abi.h"
#include "core/util.h"
#include "psp/cert.h"
#include "psp/psp_abi.h"
#include "vmm/csv_model.h"

#define RIG_FD	  100000
#define RIG_VCPUS 3
#define RIG_VMS	  4
#define RIG_PAGES 4096u
#define RIG_MSRS  11

struct rig_vcpu {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debug;
	uint64_t xcr0;
	uint64_t msr[RIG_MSRS];
};

/* STAR to SFMASK, KERNEL_GS_BASE, SYSENTER_*, PAT, XSS, TSC_AUX. */
static const uint32_t rig_msrs[RIG_MSRS] = {
	0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102, 0x174,
	0x175,	    0x176,	0x277,	    0xda0,	0xc0000103,
};

struct rig_vm {
	struct csv_model *m;
	uint8_t *ram;
	struct rig_vcpu vcpu[RIG_VCPUS];
};

static struct {
	struct rig_vm vm[RIG_VMS];
	unsigned long fail; /* this request fails */
	unsigned no_msr;    /* KVM does not know the MSRs from this one on */
} rig;

static int rig_msr(struct rig_vcpu *v, struct kvm_msrs *m, bool set)
{
	unsigned i, k;

	for (i = 0; i < m->nmsrs; i++) {
		struct kvm_msr_entry *e = &m->entries[i];

		for (k = 0; k < rig.no_msr && rig_msrs[k] != e->index; k++)
			;
		if (k == rig.no_msr)
			break;
		if (set)
			v->msr[k] = e->data;
		else
			e->data = v->msr[k];
	}
	return (int)i;
}

static int rig_xcrs(struct rig_vcpu *v, struct kvm_xcrs *x, bool set)
{
	if (set)
		v->xcr0 = x->xcrs[0].value;
	*x = (struct kvm_xcrs){ .nr_xcrs = 1, .xcrs[0].value = v->xcr0 };
	return 0;
}

#define RIG_COPY(field, set)                             \
	(set ? memcpy(&v->field, arg, sizeof(v->field))  \
	     : memcpy(arg, &v->field, sizeof(v->field)), \
	 0)

int ioctl(int fd, unsigned long req, ...)
{
	struct rig_vcpu *v;
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fd < RIG_FD || fd >= RIG_FD + RIG_VMS * RIG_VCPUS)
		return (int)syscall(SYS_ioctl, fd, req, arg);
	v = &rig.vm[(fd - RIG_FD) / RIG_VCPUS].vcpu[(fd - RIG_FD) % RIG_VCPUS];
	if (req == rig.fail) {
		errno = EINVAL;
		return -1;
	}
	switch (req) {
	case KVM_GET_REGS:
	case KVM_SET_REGS:
		return RIG_COPY(regs, req == KVM_SET_REGS);
	case KVM_GET_SREGS:
	case KVM_SET_SREGS:
		return RIG_COPY(sregs, req == KVM_SET_SREGS);
	case KVM_GET_DEBUGREGS:
	case KVM_SET_DEBUGREGS:
		return RIG_COPY(debug, req == KVM_SET_DEBUGREGS);
	case KVM_GET_XCRS:
	case KVM_SET_XCRS:
		return rig_xcrs(v, arg, req == KVM_SET_XCRS);
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return rig_msr(v, arg, req == KVM_SET_MSRS);
	}
	errno = ENOTTY;
	return -1;
}

static uint32_t rig_fw;

/* Through the seam; rig_fw is the firmware's status. */
static inline int rig_issue(unsigned vm, uint32_t cmd, void *arg)
{
	rig_fw = 0xdead;
	return csv_model_backend.issue(rig.vm[vm].m, cmd, arg, &rig_fw);
}

/* Refused by the firmware, with this status. */
#define assert_fw(r, status)                        \
	do {                                        \
		assert_int_equal((r), -EIO);        \
		assert_int_equal(rig_fw, (status)); \
	} while (0)

static inline void rig_registers(struct rig_vcpu *v, unsigned seed)
{
	uint8_t *b = (uint8_t *)&v->regs;
	struct kvm_segment *s = &v->sregs.cs;
	unsigned i;

	memset(v, 0, sizeof(*v));
	for (i = 0; i < sizeof(v->regs); i++)
		b[i] = (uint8_t)(i * 7 + seed + 1);
	v->regs.rflags = 0x246;
	for (i = 0; i < 8; i++) /* cs, ds, es, fs, gs, ss, tr, ldt */
		s[i] = (struct kvm_segment){ .base = 0x1000u * i + seed,
					     .limit = 0xfffff - i,
					     .selector = (uint16_t)(8 * i + seed),
					     .type = (uint8_t)(i + 3),
					     .present = 1,
					     .s = i < 6,
					     .g = i & 1 };
	v->sregs.gdt.base = 0xffff0000u + seed;
	v->sregs.gdt.limit = 0x7f;
	v->sregs.idt.base = 0xfffe0000u + seed;
	v->sregs.idt.limit = 0xfff;
	v->sregs.cr0 = 0x80050033;
	v->sregs.cr2 = 0x123456789000 + seed;
	v->sregs.cr3 = 0x1234000;
	v->sregs.cr4 = 0x6f0;
	v->sregs.efer = 0xd01;
	v->sregs.apic_base = 0xfee00900;
	v->xcr0 = 7;
	for (i = 0; i < 4; i++)
		v->debug.db[i] = 0x5000u + i + seed;
	v->debug.dr6 = 0xffff0ff1;
	v->debug.dr7 = 0x401;
	for (i = 0; i < RIG_MSRS; i++)
		v->msr[i] = 0x1111000u * (i + 1) + seed;
}

static inline void rig_vm_new(unsigned vm, struct csv_model *with,
			      enum psp_profile profile)
{
	struct rig_vm *v = &rig.vm[vm];

	if (with)
		assert_int_equal(csv_model_join(with, &v->m), 0);
	else
		assert_int_equal(csv_model_open(profile,
						VMSA_HOST_MAINLINE_6_12, &v->m),
				 0);
	v->ram = mmap(NULL, RIG_PAGES * 4096, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(v->ram != MAP_FAILED);
	rig.no_msr = RIG_MSRS;
}

/* Encrypted, with vCPUs and memory; no key yet. */
static inline void rig_vm_init(unsigned vm, bool es)
{
	unsigned i;

	assert_int_equal(
		rig_issue(vm, es ? KVM_SEV_ES_INIT : KVM_SEV_INIT, NULL), 0);
	for (i = 0; i < RIG_VCPUS; i++) {
		rig_registers(&rig.vm[vm].vcpu[i], i);
		assert_int_equal(
			csv_model_add_vcpu(rig.vm[vm].m,
					   RIG_FD + (int)(vm * RIG_VCPUS + i)),
			0);
	}
	assert_int_equal(csv_model_backend.region(rig.vm[vm].m, rig.vm[vm].ram,
						  RIG_PAGES * 4096, true),
			 0);
}

static inline int rig_start(unsigned vm, uint32_t policy)
{
	struct kvm_sev_launch_start s = { .policy = policy };

	return rig_issue(vm, KVM_SEV_LAUNCH_START, &s);
}

static inline int rig_measure(unsigned vm)
{
	uint8_t out[48];
	struct kvm_sev_launch_measure q = { .uaddr = (uintptr_t)out, .len = 48 };

	return rig_issue(vm, KVM_SEV_LAUNCH_MEASURE, &q);
}

static inline void rig_run(unsigned vm, uint32_t policy)
{
	struct kvm_sev_launch_update_data d = { .uaddr = (uintptr_t)rig.vm[vm].ram,
						.len = 65536 };

	assert_int_equal(rig_start(vm, policy), 0);
	assert_int_equal(rig_issue(vm, KVM_SEV_LAUNCH_UPDATE_DATA, &d), 0);
	if (policy & CSV_POLICY_ES)
		assert_int_equal(rig_issue(vm, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL),
				 0);
	assert_int_equal(rig_measure(vm), 0);
	assert_int_equal(rig_issue(vm, KVM_SEV_LAUNCH_FINISH, NULL), 0);
}

static inline unsigned rig_guests(unsigned vm)
{
	struct psp_abi_platform_status st = { 0 };
	struct psp *p = csv_model_psp(rig.vm[vm].m);

	assert_int_equal(
		psp_command(p, PSP_CMD_PLATFORM_STATUS, &st, sizeof(st)), 0);
	return st.guest_count;
}

static inline unsigned rig_state(unsigned vm)
{
	struct kvm_sev_guest_status st = { 0 };

	assert_int_equal(rig_issue(vm, KVM_SEV_GUEST_STATUS, &st), 0);
	return st.state;
}

static inline void rig_vm_drop(unsigned vm)
{
	csv_model_drop(rig.vm[vm].m);
	if (rig.vm[vm].ram)
		(void)munmap(rig.vm[vm].ram, RIG_PAGES * 4096);
	memset(&rig.vm[vm], 0, sizeof(rig.vm[vm]));
}

static inline int rig_teardown(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < RIG_VMS; i++)
		rig_vm_drop(i);
	memset(&rig, 0, sizeof(rig));
	return 0;
}

#endif
