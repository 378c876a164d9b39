/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who shares what: APIC ids, cores, caches. KVM passes on the host's answers
 * for the CPU that happened to run the ioctl; none of them fits a guest.
 *
 * [SDM] is Intel's manual, volume 2A, CPUID; [APM] is AMD's, volume 3,
 * appendix E. Hygon follows AMD.
 */
#include "vmm/cpuid_internal.h"

#include <errno.h>

#include "core/util.h"

#define LEAF1_EDX_HTT	   BIT(28)
#define EXT1_ECX_CMPLEGACY BIT(1)
#define EXT1_ECX_TOPOEXT   BIT(22)

#define CACHE_TYPE_MASK	 0x1f
#define CACHE_LEVEL(eax) ((eax) >> 5 & 7)

#define LEVEL_SMT  1
#define LEVEL_CORE 2

/* Bits needed for ids 0 .. n - 1. */
static unsigned id_bits(unsigned n)
{
	unsigned bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

static void set_leaf1(struct cpuid_table *ct, unsigned vcpu, unsigned n)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(ct->t, 1, 0);
	uint32_t count;

	if (!e)
		return;
	/* Intel counts ids, a power of two; AMD counts logical processors. */
	count = ct->vendor == CPUID_INTEL ? 1u << id_bits(n) : n;
	e->ebx = (e->ebx & 0xffff) | MIN(count, 255u) << 16 | vcpu << 24;
	e->edx &= ~(uint32_t)LEAF1_EDX_HTT;
	if (n > 1)
		e->edx |= LEAF1_EDX_HTT;
}

/* The last level is shared by all cores, every other is a core's own. */
static uint32_t cache_sharing(uint32_t eax, unsigned n)
{
	uint32_t ids = CACHE_LEVEL(eax) >= 3 ? 1u << id_bits(n) : 1;

	return (ids - 1) << 14;
}

/* [SDM] leaf 4: bits 25:14 ids sharing the cache, 31:26 core ids. */
static void set_leaf4(struct cpuid_table *ct, unsigned n)
{
	uint32_t cores = MIN((1u << id_bits(n)) - 1, 63u);
	uint32_t i;

	for (i = 0; i < ct->t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &ct->t->entries[i];

		if (e->function == 4 && (e->eax & CACHE_TYPE_MASK))
			e->eax = (e->eax & 0x3fff) | cache_sharing(e->eax, n) |
				 cores << 26;
	}
}

/* [SDM] leaves 0xb and 0x1f; AMD's 0xb is the same. */
static int set_extended(struct cpuid_table *ct, uint32_t leaf, unsigned vcpu,
			unsigned n)
{
	uint32_t i;

	if (cpuid_max_leaf(ct->t, 0) < leaf)
		return 0;
	for (i = 0; i < 3; i++) {
		struct kvm_cpuid_entry2 *e =
			cpuid_add(ct, leaf, i, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);

		if (!e)
			return -ENOSPC;
		e->ecx = i;
		e->edx = vcpu;
		if (i == 0) {
			e->ebx = 1;
			e->ecx |= LEVEL_SMT << 8;
		} else if (i == 1) {
			e->eax = id_bits(n);
			e->ebx = n;
			e->ecx |= LEVEL_CORE << 8;
		}
	}
	return 0;
}

/* Ways of an associativity code in 0x80000006 ([APM] E.4.5); 0 = no cache. */
static uint32_t cache_ways(uint32_t code)
{
	static const uint8_t ways[16] = {
		[1] = 1,
		[2] = 2,
		[3] = 3,
		[4] = 4,
		[5] = 6,
		[6] = 8,
		[8] = 16,
		[10] = 32,
		[11] = 48,
		[12] = 64,
		[13] = 96,
		[14] = 128,
		/* "See 0x8000001d", which KVM doesn't pass on: a guess. */
		[9] = 16,
	};

	return ways[code & 15];
}

struct cache {
	uint32_t type, level, kib, ways, line;
};

/* One subleaf of 0x8000001d ([APM] E.4.15), if there is such a cache. */
static int add_cache(struct cpuid_table *ct, uint32_t *index,
		     const struct cache *c, unsigned n)
{
	struct kvm_cpuid_entry2 *e;
	uint64_t sets;

	if (!c->kib || !c->ways || !c->line)
		return 0;
	sets = KIB(c->kib) / ((uint64_t)c->ways * c->line);
	if (!sets)
		return 0;
	e = cpuid_add(ct, 0x8000001d, (*index)++,
		      KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	if (!e)
		return -ENOSPC;
	e->eax = c->type | c->level << 5 | BIT(8) /* self-initialising */;
	e->eax |= cache_sharing(e->eax, n);
	e->ebx = (c->line - 1) | (c->ways - 1) << 22;
	e->ecx = (uint32_t)(sets - 1);
	return 0;
}

/*
 * KVM leaves 0x8000001d out, yet Linux takes the caches of a TOPOEXT machine
 * from nowhere else. The sizes are in 0x80000005 and 0x80000006.
 */
static int set_amd_caches(struct cpuid_table *ct, unsigned n)
{
	const struct kvm_cpuid_entry2 *l1 = cpuid_find(ct->t, 0x80000005, 0);
	const struct kvm_cpuid_entry2 *l2 = cpuid_find(ct->t, 0x80000006, 0);
	struct cache c[4];
	uint32_t index = 0;
	unsigned i;
	int r = 0;

	if (!l1 || !l2)
		return 0;
	c[0] = (struct cache){ 1, 1, l1->ecx >> 24, l1->ecx >> 16 & 0xff,
			       l1->ecx & 0xff };
	c[1] = (struct cache){ 2, 1, l1->edx >> 24, l1->edx >> 16 & 0xff,
			       l1->edx & 0xff };
	c[2] = (struct cache){ 3, 2, l2->ecx >> 16, cache_ways(l2->ecx >> 12),
			       l2->ecx & 0xff };
	c[3] = (struct cache){ 3, 3, (l2->edx >> 18) * 512,
			       cache_ways(l2->edx >> 12), l2->edx & 0xff };
	for (i = 0; !r && i < ARRAY_SIZE(c); i++)
		r = add_cache(ct, &index, &c[i], n);
	return r;
}

/* 0x80000001 ECX, 0x80000008 ECX, 0x8000001e ([APM] E.4.2, E.4.7, E.4.16). */
static int set_amd(struct cpuid_table *ct, unsigned vcpu, unsigned n)
{
	struct kvm_cpuid_entry2 *ext1 = cpuid_find(ct->t, 0x80000001, 0);
	struct kvm_cpuid_entry2 *size = cpuid_find(ct->t, 0x80000008, 0);
	struct kvm_cpuid_entry2 *e;

	if (ext1) {
		ext1->ecx &= ~(uint32_t)(EXT1_ECX_CMPLEGACY | EXT1_ECX_TOPOEXT);
		if (n > 1)
			ext1->ecx |= EXT1_ECX_CMPLEGACY;
	}
	if (size)
		size->ecx = (n - 1) | id_bits(n) << 12;
	if (!ext1 || cpuid_max_leaf(ct->t, 0x80000000) < 0x8000001e)
		return 0;
	ext1->ecx |= EXT1_ECX_TOPOEXT;
	e = cpuid_add(ct, 0x8000001e, 0, 0);
	if (!e)
		return -ENOSPC;
	e->eax = vcpu;
	e->ebx = vcpu & 0xff; /* core id; one thread a core */
	e->ecx = 0;	      /* node 0 of 1 */
	return set_amd_caches(ct, n);
}

int cpuid_set_topology(struct cpuid_table *ct, unsigned vcpu, unsigned n_vcpus)
{
	static const uint32_t made[] = { 0xb, 0x1f, 0x8000001d, 0x8000001e };
	unsigned i;
	int r;

	for (i = 0; i < ARRAY_SIZE(made); i++)
		cpuid_drop(ct, made[i]);
	set_leaf1(ct, vcpu, n_vcpus);
	set_leaf4(ct, n_vcpus);
	r = set_extended(ct, 0xb, vcpu, n_vcpus);
	if (!r)
		r = set_extended(ct, 0x1f, vcpu, n_vcpus);
	if (!r && ct->vendor == CPUID_AMD)
		r = set_amd(ct, vcpu, n_vcpus);
	return r;
}
