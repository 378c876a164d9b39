/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What CPUID tells the guest: what KVM supports, less what this VMM can't
 * carry to another host or doesn't want a guest to have.
 */
#include "vmm/cpuid.h"

#include <asm/kvm_para.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "vmm/cpuid_internal.h"
#include "vmm/csv_host.h"

#define KVM_LEAF_SIGNATURE 0x40000000
#define KVM_LEAF_FEATURES  0x40000001
#define KVM_LEAF_TIMING	   0x40000010
#define KVM_BUS_KHZ	   1000000 /* the in-kernel APIC timer counts in ns */

#define INVARIANT_TSC	   BIT(8)
#define TSC_DEADLINE_TIMER BIT(24)
#define ARAT		   BIT(2)

#define XSAVE_LEGACY_SIZE 576 /* legacy area and header */
#define XCR0_MPX	  (BIT(3) | BIT(4))
#define XCR0_AMX	  (BIT(17) | BIT(18))

/* Entries beside the topology's: timing leaf, memory encryption. */
#define CPUID_ROOM (CPUID_TOPOLOGY_ROOM + 2)

/* [SDM] and [APM] names of the bits in the comments. */
static const struct {
	uint32_t function;
	uint32_t clear_eax, clear_ebx, clear_ecx, clear_edx;
	uint32_t set_ecx;
} masks[] = {
	{
		.function = 1,
		/*
		 * MONITOR, VMX, SMX, PDCM; OSXSAVE mirrors CR4, KVM adds it.
		 * TSC_DEADLINE: see cpuid_set_timer().
		 */
		.clear_ecx = BIT(3) | BIT(5) | BIT(6) | BIT(15) | BIT(24) |
			     BIT(27),
		.set_ecx = BIT(21) /* x2APIC */ | BIT(31) /* hypervisor */,
		/* DS: debug store belongs to the PMU */
		.clear_edx = BIT(21),
	},
	{
		/* All of thermal and power management but ARAT. */
		.function = 6,
		.clear_eax = ~(uint32_t)ARAT,
		.clear_ebx = UINT32_MAX,
		.clear_ecx = UINT32_MAX,
		.clear_edx = UINT32_MAX,
	},
	{
		.function = 7,
		/* SGX, RDT-M, MPX, RDT-A, Intel PT */
		.clear_ebx = BIT(2) | BIT(12) | BIT(14) | BIT(15) | BIT(25),
		/* SGX_LC */
		.clear_ecx = BIT(30),
		/* ARCH_LBR */
		.clear_edx = BIT(19),
	},
	{
		.function = 0x80000001,
		/*
		 * SVM, IBS, SKINIT, WDT, LWP, NODEID_MSR, PERFCTR_CORE,
		 * PERFCTR_NB, PERFTSC, PERFCTR_LLC, MWAITX
		 */
		.clear_ecx = BIT(2) | BIT(10) | BIT(12) | BIT(13) | BIT(15) |
			     BIT(19) | BIT(23) | BIT(24) | BIT(27) | BIT(28) |
			     BIT(29),
	},
};

/*
 * Leaves that read as zero: MONITOR, PMU, RDT, SGX, PT, TSC and bus clock
 * (the host's), hybrid, LBR; SVM, IBS, LWP, memory encryption (for a guest that
 * has it: cpuid_set_sev()), AMD QoS, PerfMonV2, multi-key encryption, the second
 * AMD topology leaf.
 */
static const uint32_t zero_leaves[] = {
	/* Intel's and common: */
	0x5,
	0xa,
	0xf,
	0x10,
	0x12,
	0x14,
	0x15,
	0x16,
	0x1a,
	0x1c,
	/* KVM's: */
	KVM_LEAF_TIMING,
	/* AMD's: */
	0x8000000a,
	0x8000001b,
	0x8000001c,
	CPUID_SEV,
	0x80000020,
	0x80000022,
	0x80000023,
	0x80000026,
};

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *t, uint32_t function,
				    uint32_t index)
{
	uint32_t i;

	for (i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entries[i];

		if (e->function == function &&
		    (e->index == index ||
		     !(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
			return e;
	}
	return NULL;
}

uint32_t cpuid_max_leaf(struct kvm_cpuid2 *t, uint32_t base)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, base, 0);

	return e ? e->eax : base;
}

void cpuid_drop(struct cpuid_table *ct, uint32_t function)
{
	uint32_t i, kept = 0;

	for (i = 0; i < ct->t->nent; i++) {
		if (ct->t->entries[i].function != function)
			ct->t->entries[kept++] = ct->t->entries[i];
	}
	ct->t->nent = kept;
}

struct kvm_cpuid_entry2 *cpuid_add(struct cpuid_table *ct, uint32_t function,
				   uint32_t index, uint32_t flags)
{
	struct kvm_cpuid_entry2 *e;

	if (ct->t->nent >= ct->room)
		return NULL;
	e = &ct->t->entries[ct->t->nent++];
	memset(e, 0, sizeof(*e));
	e->function = function;
	e->index = index;
	e->flags = flags;
	return e;
}

static enum cpuid_vendor cpuid_get_vendor(struct kvm_cpuid2 *t)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, 0, 0);
	char name[12];

	if (!e)
		return CPUID_OTHER;
	memcpy(name, &e->ebx, 4);
	memcpy(name + 4, &e->edx, 4);
	memcpy(name + 8, &e->ecx, 4);
	if (!memcmp(name, "GenuineIntel", 12))
		return CPUID_INTEL;
	if (!memcmp(name, "AuthenticAMD", 12) ||
	    !memcmp(name, "HygonGenuine", 12))
		return CPUID_AMD;
	return CPUID_OTHER;
}

static void cpuid_mask(struct cpuid_table *ct)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(zero_leaves); i++)
		cpuid_drop(ct, zero_leaves[i]);
	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		struct kvm_cpuid_entry2 *e =
			cpuid_find(ct->t, masks[i].function, 0);

		if (!e)
			continue;
		e->eax &= ~masks[i].clear_eax;
		e->ebx &= ~masks[i].clear_ebx;
		e->ecx = (e->ecx & ~masks[i].clear_ecx) | masks[i].set_ecx;
		e->edx &= ~masks[i].clear_edx;
	}
}

/* Largest XSAVE area for the components that are left ([SDM] 1, 13.2). */
static uint32_t xsave_size(struct kvm_cpuid2 *t, uint64_t xcr0)
{
	uint32_t size = XSAVE_LEGACY_SIZE;
	uint32_t i;

	for (i = 2; i < 63; i++) {
		const struct kvm_cpuid_entry2 *e;

		if (!(xcr0 & BIT(i)))
			continue;
		e = cpuid_find(t, 0xd, i);
		if (e)
			size = MAX(size, e->ebx + e->eax);
	}
	return size;
}

/*
 * MPX is gone from Linux and from newer processors. AMX is there only when
 * the host lets this process use its state components (arch_prctl(2)).
 */
static void cpuid_set_xsave(struct cpuid_table *ct)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(ct->t, 0xd, 0);
	struct kvm_cpuid_entry2 *feat = cpuid_find(ct->t, 7, 0);
	uint32_t i;

	if (!e)
		return;
	if (feat && (e->eax & XCR0_AMX) != XCR0_AMX)
		/* AMX-BF16, AMX-TILE, AMX-INT8 */
		feat->edx &= ~(uint32_t)(BIT(22) | BIT(24) | BIT(25));
	if (!(e->eax & XCR0_MPX))
		return;
	e->eax &= ~(uint32_t)XCR0_MPX;
	for (i = 3; i <= 4; i++) {
		struct kvm_cpuid_entry2 *sub = cpuid_find(ct->t, 0xd, i);

		if (sub)
			sub->eax = sub->ebx = sub->ecx = sub->edx = 0;
	}
	e->ecx = xsave_size(ct->t, (uint64_t)e->edx << 32 | e->eax);
}

/*
 * An invariant TSC promises one frequency for life; another host has another,
 * so only a guest that stays may have it. The same goes for the leaf that
 * spells the frequency out.
 */
static int cpuid_set_timer(struct cpuid_table *ct, const struct cpuid_opts *opts)
{
	struct kvm_cpuid_entry2 *sig = cpuid_find(ct->t, KVM_LEAF_SIGNATURE, 0);
	struct kvm_cpuid_entry2 *power = cpuid_find(ct->t, 0x80000007, 0);
	struct kvm_cpuid_entry2 *feat = cpuid_find(ct->t, 1, 0);
	struct kvm_cpuid_entry2 *e;

	if (feat && opts->tsc_deadline)
		feat->ecx |= TSC_DEADLINE_TIMER;
	if (power) {
		power->eax = power->ebx = power->ecx = 0;
		power->edx &= opts->migratable ? 0 : INVARIANT_TSC;
	}
	if (opts->migratable || !opts->tsc_khz || !sig)
		return 0;
	sig->eax = KVM_LEAF_TIMING;
	e = cpuid_add(ct, KVM_LEAF_TIMING, 0, 0);
	if (!e)
		return -ENOSPC;
	e->eax = opts->tsc_khz;
	e->ebx = KVM_BUS_KHZ;
	return 0;
}

/*
 * Paravirtual features that live wholly in KVM and in MSRs that a migration
 * carries. Left out: asynchronous page faults (tokens in flight are lost with
 * the host they came from, and pinned memory has no such faults), the MMU
 * operations of old, extended destination ids. Page states and the word that it
 * can be migrated are of use to an encrypted guest only.
 */
static void cpuid_set_kvm(struct cpuid_table *ct, const struct cpuid_opts *opts)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(ct->t, KVM_LEAF_FEATURES, 0);
	struct kvm_cpuid_entry2 *sig = cpuid_find(ct->t, KVM_LEAF_SIGNATURE, 0);
	uint64_t keep =
		BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_CLOCKSOURCE2) |
		BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) |
		BIT(KVM_FEATURE_NOP_IO_DELAY) | BIT(KVM_FEATURE_STEAL_TIME) |
		BIT(KVM_FEATURE_PV_EOI) | BIT(KVM_FEATURE_POLL_CONTROL);

	/* Between processors only. */
	if (opts->n_vcpus > 1)
		keep |= BIT(KVM_FEATURE_PV_UNHALT) |
			BIT(KVM_FEATURE_PV_TLB_FLUSH) |
			BIT(KVM_FEATURE_PV_SEND_IPI) |
			BIT(KVM_FEATURE_PV_SCHED_YIELD);
	if (sig)
		sig->eax = KVM_LEAF_FEATURES;
	if (e) {
		e->eax &= (uint32_t)keep;
		if (opts->page_states)
			e->eax |= BIT(KVM_FEATURE_HC_MAP_GPA_RANGE) |
				  BIT(KVM_FEATURE_MIGRATION_CONTROL);
		e->ebx = e->ecx = e->edx = 0;
	}
}

/*
 * What Linux finds its C-bit by: that there is encryption, where the bit is,
 * and by how much the physical width is reduced.
 */
static int cpuid_set_sev(struct cpuid_table *ct, const struct kvm_cpuid2 *host,
			 const struct cpuid_opts *opts)
{
	struct kvm_cpuid_entry2 *e;
	uint32_t i, ebx = 0;

	if (!opts->sev)
		return 0;
	for (i = 0; i < host->nent; i++)
		if (host->entries[i].function == CPUID_SEV)
			ebx = host->entries[i].ebx & 0xfff;
	if (!ebx)
		return 0; /* the model has no C-bit */
	e = cpuid_add(ct, CPUID_SEV, 0, 0);
	if (!e)
		return -ENOSPC;
	e->eax = SEV_EAX_SEV | (opts->sev_es ? SEV_EAX_ES : 0);
	e->ebx = ebx;
	return 0;
}

static struct kvm_cpuid2 *cpuid_copy(const struct kvm_cpuid2 *host, unsigned room)
{
	struct kvm_cpuid2 *t =
		calloc(1, sizeof(*t) + room * sizeof(t->entries[0]));

	if (!t) {
		errno = ENOMEM;
		return NULL;
	}
	t->nent = host->nent;
	memcpy(t->entries, host->entries, host->nent * sizeof(t->entries[0]));
	return t;
}

struct kvm_cpuid2 *cpuid_build(const struct kvm_cpuid2 *host, unsigned vcpu,
			       const struct cpuid_opts *opts)
{
	struct cpuid_table ct = { .room = host->nent + CPUID_ROOM };
	int r;

	if (!opts->n_vcpus || vcpu >= opts->n_vcpus || opts->n_vcpus > 255) {
		errno = EINVAL;
		return NULL;
	}
	ct.t = cpuid_copy(host, ct.room);
	if (!ct.t)
		return NULL;
	ct.vendor = cpuid_get_vendor(ct.t);
	cpuid_mask(&ct);
	cpuid_set_xsave(&ct);
	cpuid_set_kvm(&ct, opts);
	r = cpuid_set_sev(&ct, host, opts);
	if (!r)
		r = cpuid_set_timer(&ct, opts);
	if (!r)
		r = cpuid_set_topology(&ct, vcpu, opts->n_vcpus);
	if (r < 0) {
		free(ct.t);
		errno = -r;
		return NULL;
	}
	return ct.t;
}
