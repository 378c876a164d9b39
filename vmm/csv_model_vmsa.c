/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vCPU's registers and the page that stands for them. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/kvm.h"
#include "core/util.h"
#include "vmm/csv_model_internal.h"
#include "vmm/vmsa.h"

/*
 * DOC: Theory of operation
 *
 * At launch KVM fills the page, from what a new vCPU has (vmsa_build()). Later
 * it is the processor that saves and loads it at each exit and entry, with more
 * registers than KVM knew of at launch; those are added here, as
 * [sev-es-emulation] B.9 has them. What stays with KVM for an encrypted guest
 * (FPU, events, interrupts, CR8) is none of the page's.
 */

#define OFF_CR4 0x148
#define OFF_CR0 0x158
#define OFF_DR7 0x160
#define OFF_DR6 0x168
#define OFF_DR0 0x180
#define OFF_CR2 0x240

static const struct {
	uint32_t msr;
	uint16_t off, size;
} msrs[] = {
	{ 0xc0000081, 0x200, 8 }, /* STAR, LSTAR, CSTAR, SFMASK */
	{ 0xc0000082, 0x208, 8 }, { 0xc0000083, 0x210, 8 },
	{ 0xc0000084, 0x218, 8 }, { 0xc0000102, 0x220, 8 }, /* KERNEL_GS_BASE */
	{ 0x174, 0x228, 8 }, /* SYSENTER_CS, _ESP, _EIP */
	{ 0x175, 0x230, 8 },	  { 0x176, 0x238, 8 },
	{ 0x277, 0x268, 8 },	  /* PAT */
	{ 0xda0, 0x140, 8 },	  /* XSS */
	{ 0xc0000103, 0x2ec, 4 }, /* TSC_AUX */
};

/* XCR0 is 1 from the start, also on a host without XSAVE. */
static uint64_t xcr0_get(int fd)
{
	struct kvm_xcrs x = { 0 };
	uint32_t i;

	if (kvm_ioctl(fd, KVM_GET_XCRS, &x) < 0)
		return 1;
	for (i = 0; i < MIN(x.nr_xcrs, (uint32_t)KVM_MAX_XCRS); i++)
		if (x.xcrs[i].xcr == 0)
			return x.xcrs[i].value;
	return 1;
}

static int xcr0_set(int fd, uint64_t v)
{
	struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs[0].value = v };

	return v == xcr0_get(fd) ? 0 : kvm_ioctl(fd, KVM_SET_XCRS, &x);
}

static int save_more(int fd, const struct kvm_sregs *sregs, uint8_t *page)
{
	struct kvm_debugregs d = { 0 };
	int r = kvm_ioctl(fd, KVM_GET_DEBUGREGS, &d);
	uint64_t v;
	size_t i;

	if (r < 0)
		return r;
	for (i = 0; i < ARRAY_SIZE(d.db); i++)
		put_le64(page + OFF_DR0 + 8 * i, d.db[i]);
	put_le64(page + OFF_DR6, d.dr6);
	put_le64(page + OFF_DR7, d.dr7);
	put_le64(page + OFF_CR2, sregs->cr2);
	/* The guest's own by now, not what the host's KVM adds and clears. */
	put_le64(page + OFF_CR0, sregs->cr0);
	put_le64(page + OFF_CR4, sregs->cr4);
	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		v = 0;
		(void)kvm_get_msr(fd, msrs[i].msr, &v);
		memcpy(page + msrs[i].off, &v, msrs[i].size);
	}
	return 0;
}

int csv_model_vmsa_save(struct csv_model *m, unsigned id, bool launch)
{
	int fd = m->vcpu[id].fd, r;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	uint8_t *page;

	r = kvm_ioctl(fd, KVM_GET_REGS, &regs);
	if (!r)
		r = kvm_ioctl(fd, KVM_GET_SREGS, &sregs);
	if (r < 0)
		return r;
	page = m->vcpu[id].vmsa ? m->vcpu[id].vmsa
				: aligned_alloc(MODEL_PAGE, VMSA_SIZE);
	if (!page)
		return -ENOMEM;
	m->vcpu[id].vmsa = page;
	vmsa_build(page, &regs, &sregs, xcr0_get(fd), m->host);
	return launch ? 0 : save_more(fd, &sregs, page);
}

static int load_more(int fd, const uint8_t *page)
{
	struct kvm_debugregs d = { .dr6 = get_le64(page + OFF_DR6),
				   .dr7 = get_le64(page + OFF_DR7) };
	uint64_t v;
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(d.db); i++)
		d.db[i] = get_le64(page + OFF_DR0 + 8 * i);
	r = kvm_ioctl(fd, KVM_SET_DEBUGREGS, &d);
	for (i = 0; !r && i < ARRAY_SIZE(msrs); i++) {
		v = 0;
		memcpy(&v, page + msrs[i].off, msrs[i].size);
		/* One that is not here can't be anything but zero. */
		if (kvm_set_msr(fd, msrs[i].msr, v) < 0 && v)
			r = -EINVAL;
	}
	return r;
}

int csv_model_vmsa_load(struct csv_model *m, unsigned id)
{
	const uint8_t *page = m->vcpu[id].vmsa;
	int fd = m->vcpu[id].fd, r;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	uint64_t xcr0;

	/* For what is not in the page. */
	r = kvm_ioctl(fd, KVM_GET_REGS, &regs);
	if (!r)
		r = kvm_ioctl(fd, KVM_GET_SREGS, &sregs);
	if (r < 0)
		return r;
	vmsa_parse(page, &regs, &sregs, &xcr0);
	sregs.cr2 = get_le64(page + OFF_CR2);
	r = kvm_ioctl(fd, KVM_SET_SREGS, &sregs);
	if (!r)
		r = kvm_ioctl(fd, KVM_SET_REGS, &regs);
	if (!r)
		r = xcr0_set(fd, xcr0);
	return r < 0 ? r : load_more(fd, page);
}
