/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID tables: host tables as KVM gives them, checked against the leaves'
 * definitions in [SDM] volume 2A and [APM] volume 3.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "vmm/cpuid.h"

#define IDX KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static struct kvm_cpuid2 *table(const struct kvm_cpuid_entry2 *e, size_t n)
{
	struct kvm_cpuid2 *t = calloc(1, sizeof(*t) + n * sizeof(*e));

	assert_non_null(t);
	t->nent = (uint32_t)n;
	if (n)
		memcpy(t->entries, e, n * sizeof(*e));
	return t;
}

/* All feature words full of ones: what must go, must go from there. */
#define ONES 0xffffffffu

static struct kvm_cpuid2 *amd_host(const char *vendor)
{
	struct kvm_cpuid_entry2 e[] = {
		{ .function = 0, .eax = 0x10 },
		{ .function = 1,
		  .eax = 0xa00f11,
		  .ebx = 0x05080800,
		  .ecx = ONES,
		  .edx = ONES },
		{ .function = 5, .eax = 64 },
		{ .function = 6, .eax = ONES, .ebx = 1, .ecx = 1, .edx = 1 },
		{ .function = 7, .flags = IDX, .ebx = ONES, .ecx = ONES, .edx = ONES },
		{ .function = 0xa, .eax = 0x07300402 },
		{ .function = 0xb,
		  .index = 0,
		  .flags = IDX,
		  .eax = 1,
		  .ebx = 2,
		  .ecx = 0x100,
		  .edx = 77 },
		{ .function = 0xb,
		  .index = 1,
		  .flags = IDX,
		  .eax = 7,
		  .ebx = 96,
		  .ecx = 0x201,
		  .edx = 77 },
		{ .function = 0xd,
		  .index = 0,
		  .flags = IDX,
		  .eax = 0x207,
		  .ebx = 576,
		  .ecx = 2440 },
		{ .function = 0xd, .index = 2, .flags = IDX, .eax = 256, .ebx = 576 },
		{ .function = 0xd, .index = 9, .flags = IDX, .eax = 8, .ebx = 2432 },
		{ .function = 0x80000000, .eax = 0x80000021 },
		{ .function = 0x80000001, .ecx = ONES, .edx = ONES },
		{ .function = 0x80000005, .ecx = 0x20080140, .edx = 0x20080140 },
		{ .function = 0x80000006, .ecx = 0x02006140, .edx = 0x01009140 },
		{ .function = 0x80000007, .eax = 7, .ebx = 7, .ecx = 7, .edx = ONES },
		{ .function = 0x80000008,
		  .eax = 0x3030,
		  .ebx = 0x1234,
		  .ecx = 0x705f,
		  .edx = 0 },
		{ .function = 0x8000000a, .eax = 1, .ebx = 8, .edx = ONES },
		{ .function = 0x8000001e, .eax = 77, .ebx = 0x126, .ecx = 0x301 },
		{ .function = 0x8000001f, .eax = ONES, .ebx = 0x173 },
		{ .function = 0x80000021, .eax = 0x45 },
		{ .function = 0x40000000,
		  .eax = 0x40000001,
		  .ebx = 0x4b4d564b,
		  .ecx = 0x564b4d56,
		  .edx = 0x4d },
		{ .function = 0x40000001, .eax = ONES },
	};

	memcpy(&e[0].ebx, vendor, 4);
	memcpy(&e[0].edx, vendor + 4, 4);
	memcpy(&e[0].ecx, vendor + 8, 4);
	return table(e, ARRAY_SIZE(e));
}

static struct kvm_cpuid2 *intel_host(void)
{
	static const struct kvm_cpuid_entry2 e[] = {
		{ .function = 0,
		  .eax = 0x1f,
		  .ebx = 0x756e6547,
		  .ecx = 0x6c65746e,
		  .edx = 0x49656e69 },
		{ .function = 1, .ebx = 0x09100800, .ecx = ONES, .edx = ONES },
		{ .function = 4,
		  .index = 0,
		  .flags = IDX,
		  .eax = 0x7c004121,
		  .ebx = 0x2c0003f,
		  .ecx = 63 },
		{ .function = 4,
		  .index = 1,
		  .flags = IDX,
		  .eax = 0x7c004122,
		  .ebx = 0x1c0003f,
		  .ecx = 63 },
		{ .function = 4,
		  .index = 2,
		  .flags = IDX,
		  .eax = 0x7c004143,
		  .ebx = 0x4c0003f,
		  .ecx = 1023 },
		{ .function = 4,
		  .index = 3,
		  .flags = IDX,
		  .eax = 0x7c0fc163,
		  .ebx = 0x3c0003f,
		  .ecx = 0xffff },
		{ .function = 4, .index = 4, .flags = IDX },
		{ .function = 7, .flags = IDX, .ebx = ONES, .ecx = ONES, .edx = ONES },
		{ .function = 0xd,
		  .index = 0,
		  .flags = IDX,
		  .eax = 0x1f,
		  .ebx = 1088,
		  .ecx = 1088 },
		{ .function = 0xd, .index = 1, .flags = IDX, .eax = 0xf },
		{ .function = 0xd, .index = 2, .flags = IDX, .eax = 256, .ebx = 576 },
		{ .function = 0xd, .index = 3, .flags = IDX, .eax = 64, .ebx = 960 },
		{ .function = 0xd, .index = 4, .flags = IDX, .eax = 64, .ebx = 1024 },
		{ .function = 0x14, .index = 0, .flags = IDX, .eax = 1 },
		{ .function = 0x1f,
		  .index = 0,
		  .flags = IDX,
		  .eax = 1,
		  .ebx = 2,
		  .ecx = 0x100,
		  .edx = 9 },
		{ .function = 0x80000000, .eax = 0x80000008 },
		{ .function = 0x80000001, .ecx = 0x121, .edx = 0x2c100800 },
		{ .function = 0x80000008, .eax = 0x302e, .ecx = 0 },
	};

	return table(e, ARRAY_SIZE(e));
}

static const struct kvm_cpuid_entry2 *get(const struct kvm_cpuid2 *t,
					  uint32_t function, uint32_t index)
{
	static const struct kvm_cpuid_entry2 zero;
	const struct kvm_cpuid_entry2 *found = NULL;
	uint32_t i;

	for (i = 0; i < t->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &t->entries[i];

		if (e->function != function ||
		    ((e->flags & IDX) && e->index != index))
			continue;
		/* Twice the same leaf: KVM would take the first. */
		assert_null(found);
		found = e;
	}
	return found ? found : &zero;
}

static struct kvm_cpuid2 *build(struct kvm_cpuid2 *host, unsigned vcpu, unsigned n)
{
	struct cpuid_opts opts = { .n_vcpus = n,
				   .migratable = true,
				   .tsc_deadline = true,
				   .tsc_khz = 2500000 };
	struct kvm_cpuid2 *t = cpuid_build(host, vcpu, &opts);

	assert_non_null(t);
	return t;
}

static bool is_zero(const struct kvm_cpuid_entry2 *e)
{
	return !(e->eax | e->ebx | e->ecx | e->edx);
}

static void host_unchanged(void **state)
{
	struct kvm_cpuid2 *host = amd_host("AuthenticAMD");
	struct kvm_cpuid2 *copy = amd_host("AuthenticAMD");

	(void)state;
	free(build(host, 1, 4));
	assert_memory_equal(host, copy,
			    sizeof(*host) + host->nent * sizeof(host->entries[0]));
	free(host);
	free(copy);
}

static void hidden(void **state)
{
	static const uint32_t gone[] = { 5,	     0xa,	 0x14,
					 0x8000000a, 0x8000001f, 0x40000010 };
	struct kvm_cpuid2 *host = amd_host("AuthenticAMD");
	struct kvm_cpuid2 *t = build(host, 0, 2);
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(gone); i++)
		assert_true(is_zero(get(t, gone[i], 0)));
	/* Leaf 1 ECX: MONITOR 3, VMX 5, SMX 6, PDCM 15, OSXSAVE 27 */
	assert_int_equal(get(t, 1, 0)->ecx,
			 ~(1u << 3 | 1u << 5 | 1u << 6 | 1u << 15 | 1u << 27));
	/* Leaf 6: ARAT alone */
	assert_int_equal(get(t, 6, 0)->eax, 4);
	assert_int_equal(
		get(t, 6, 0)->ebx | get(t, 6, 0)->ecx | get(t, 6, 0)->edx, 0);
	/* MPX 14, SGX 2, PT 25 */
	assert_int_equal(get(t, 7, 0)->ebx & (1u << 14 | 1u << 2 | 1u << 25), 0);
	/* AMX without its state components */
	assert_int_equal(get(t, 7, 0)->edx & (1u << 22 | 1u << 24 | 1u << 25), 0);
	/* SVM 2, PERFCTR_CORE 23; TOPOEXT 22 stays */
	assert_int_equal(get(t, 0x80000001, 0)->ecx &
				 (1u << 2 | 1u << 23 | 1u << 22),
			 1u << 22);
	/* What is nobody's business stays: here the TSC's adjust and SMEP. */
	assert_int_equal(get(t, 7, 0)->ebx & (1u << 1 | 1u << 7), 0x82);
	assert_int_equal(get(t, 0x80000021, 0)->eax, 0x45);
	assert_int_equal(get(t, 0xd, 0)->ecx, 2440);
	free(t);
	free(host);
}

static void vendors(void **state)
{
	struct kvm_cpuid2 *host = amd_host("HygonGenuine");
	struct kvm_cpuid2 *t = build(host, 1, 2);

	(void)state;
	assert_int_equal(get(t, 0, 0)->ebx, 0x6f677948);
	assert_int_equal(get(t, 0, 0)->edx, 0x6e65476e);
	assert_int_equal(get(t, 0, 0)->ecx, 0x656e6975);
	/* Hygon is treated as AMD. */
	assert_int_equal(get(t, 0x8000001e, 0)->eax, 1);
	free(t);
	free(host);
}

static void timers(void **state)
{
	struct cpuid_opts opts = { .n_vcpus = 1, .tsc_khz = 2500000 };
	struct kvm_cpuid2 *host = amd_host("AuthenticAMD");
	struct kvm_cpuid2 *t = build(host, 0, 1);

	(void)state;
	assert_true(is_zero(get(t, 0x80000007, 0)));
	assert_int_equal(get(t, 1, 0)->ecx >> 24 & 1, 1);
	assert_int_equal(get(t, 0x40000000, 0)->eax, 0x40000001);
	free(t);

	t = cpuid_build(host, 0, &opts);
	assert_non_null(t);
	assert_int_equal(get(t, 0x80000007, 0)->edx, 0x100);
	assert_int_equal(get(t, 0x80000007, 0)->ebx, 0);
	assert_int_equal(get(t, 1, 0)->ecx >> 24 & 1, 0);
	assert_int_equal(get(t, 0x40000000, 0)->eax, 0x40000010);
	assert_int_equal(get(t, 0x40000010, 0)->eax, 2500000);
	assert_int_equal(get(t, 0x40000010, 0)->ebx, 1000000);
	free(t);

	opts.tsc_khz = 0;
	t = cpuid_build(host, 0, &opts);
	assert_non_null(t);
	assert_int_equal(get(t, 0x40000000, 0)->eax, 0x40000001);
	assert_true(is_zero(get(t, 0x40000010, 0)));
	free(t);
	free(host);
}

/* Documentation/virt/kvm/x86/cpuid.rst */
static void kvm_leaves(void **state)
{
	struct kvm_cpuid2 *host = amd_host("AuthenticAMD");
	struct kvm_cpuid2 *t = build(host, 0, 1);
	uint32_t one, two;

	(void)state;
	one = get(t, 0x40000001, 0)->eax;
	assert_int_equal(get(t, 0x40000000, 0)->ebx, 0x4b4d564b);
	free(t);
	t = build(host, 0, 2);
	two = get(t, 0x40000001, 0)->eax;
	/* clocks 0, 3, 24; steal time 5; PV EOI 6 */
	assert_int_equal(
		one & two & (1u << 0 | 1u << 3 | 1u << 24 | 1u << 5 | 1u << 6),
		1u << 0 | 1u << 3 | 1u << 24 | 1u << 5 | 1u << 6);
	/* async PF 4, 10, 14; MSI ext 15; MAP_GPA_RANGE 16, migration 17 */
	assert_int_equal((one | two) & (1u << 4 | 1u << 10 | 1u << 14 |
					1u << 15 | 1u << 16 | 1u << 17),
			 0);
	/* between processors: unhalt 7, flush 9, IPI 11, yield 13 */
	assert_int_equal(one & (1u << 7 | 1u << 9 | 1u << 11 | 1u << 13), 0);
	assert_int_equal(~two & (1u << 7 | 1u << 9 | 1u << 11 | 1u << 13), 0);
	/* no realtime hint: vCPUs are not pinned */
	assert_int_equal(get(t, 0x40000001, 0)->edx, 0);
	free(t);
	free(host);
}

static void amd_topology(struct kvm_cpuid2 *host, unsigned vcpu, unsigned n,
			 unsigned bits)
{
	struct kvm_cpuid2 *t = build(host, vcpu, n);

	assert_int_equal(get(t, 1, 0)->ebx, vcpu << 24 | n << 16 | 0x0800);
	assert_int_equal(get(t, 1, 0)->edx >> 28 & 1, n > 1);
	assert_int_equal(get(t, 0x80000001, 0)->ecx >> 1 & 1, n > 1);
	assert_int_equal(get(t, 0x80000008, 0)->ecx, bits << 12 | (n - 1));
	assert_int_equal(get(t, 0x80000008, 0)->eax, 0x3030);
	assert_int_equal(get(t, 0x80000008, 0)->ebx, 0x1234);
	assert_int_equal(get(t, 0x8000001e, 0)->eax, vcpu);
	assert_int_equal(get(t, 0x8000001e, 0)->ebx, vcpu);
	assert_int_equal(get(t, 0x8000001e, 0)->ecx, 0);
	/* 0xb: SMT level of 1, core level of n, then level type 0 */
	assert_int_equal(get(t, 0xb, 0)->eax, 0);
	assert_int_equal(get(t, 0xb, 0)->ebx, 1);
	assert_int_equal(get(t, 0xb, 0)->ecx, 0x100);
	assert_int_equal(get(t, 0xb, 0)->edx, vcpu);
	assert_int_equal(get(t, 0xb, 1)->eax, bits);
	assert_int_equal(get(t, 0xb, 1)->ebx, n);
	assert_int_equal(get(t, 0xb, 1)->ecx, 0x201);
	assert_int_equal(get(t, 0xb, 1)->edx, vcpu);
	assert_int_equal(get(t, 0xb, 2)->ebx, 0);
	assert_int_equal(get(t, 0xb, 2)->ecx, 2);
	assert_int_equal(get(t, 0xb, 2)->edx, vcpu);
	/* Highest basic leaf is 0x10: no 0x1f. */
	assert_true(is_zero(get(t, 0x1f, 1)));
	free(t);
}

static void amd(void **state)
{
	struct kvm_cpuid2 *host = amd_host("AuthenticAMD");

	(void)state;
	amd_topology(host, 0, 1, 0);
	amd_topology(host, 0, 2, 1);
	amd_topology(host, 1, 2, 1);
	amd_topology(host, 2, 3, 2);
	amd_topology(host, 7, 8, 3);
	amd_topology(host, 63, 64, 6);
	free(host);
}

/* 32 KiB 8 way, 32 KiB 8 way, 512 KiB 8 way, 32 MiB; lines of 64 bytes. */
static void amd_caches(void **state)
{
	static const struct {
		uint32_t type, level;
		uint64_t size;
		uint32_t sharing;
	} want[] = { { 1, 1, KIB(32), 1 },
		     { 2, 1, KIB(32), 1 },
		     { 3, 2, KIB(512), 1 },
		     { 3, 3, MIB(32), 4 } };
	struct kvm_cpuid2 *host = amd_host("AuthenticAMD");
	struct kvm_cpuid2 *t = build(host, 0, 3);
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		const struct kvm_cpuid_entry2 *e = get(t, 0x8000001d, i);
		uint64_t line = (e->ebx & 0xfff) + 1;
		uint64_t ways = (e->ebx >> 22) + 1;

		assert_int_equal(e->eax & 31, want[i].type);
		assert_int_equal(e->eax >> 5 & 7, want[i].level);
		assert_int_equal((e->eax >> 14 & 0xfff) + 1, want[i].sharing);
		assert_int_equal(line, 64);
		assert_int_equal(line * ways * ((uint64_t)e->ecx + 1),
				 want[i].size);
	}
	assert_true(is_zero(get(t, 0x8000001d, 4)));
	free(t);
	free(host);
}

static void intel_topology(struct kvm_cpuid2 *host, unsigned vcpu, unsigned n,
			   unsigned bits)
{
	struct kvm_cpuid2 *t = build(host, vcpu, n);
	unsigned i;

	/* [SDM] leaf 1 EBX 23:16: ids, rounded up to a power of two */
	assert_int_equal(get(t, 1, 0)->ebx,
			 vcpu << 24 | 1u << bits << 16 | 0x0800);
	for (i = 0; i < 3; i++) {
		assert_int_equal(get(t, 4, i)->eax >> 14 & 0xfff, 0);
		assert_int_equal(get(t, 4, i)->eax >> 26, (1u << bits) - 1);
		assert_int_equal(get(t, 4, i)->ecx, i < 2 ? 63 : 1023);
	}
	assert_int_equal(get(t, 4, 0)->eax & 0x3fff, 0x121);
	assert_int_equal(get(t, 4, 3)->eax >> 14 & 0xfff, (1u << bits) - 1);
	assert_true(is_zero(get(t, 4, 4)));
	for (i = 0; i < 3; i++) {
		assert_int_equal(get(t, 0x1f, i)->ebx, get(t, 0xb, i)->ebx);
		assert_int_equal(get(t, 0x1f, i)->edx, vcpu);
	}
	assert_int_equal(get(t, 0x1f, 1)->eax, bits);
	/* AMD's leaves stay out. */
	assert_true(is_zero(get(t, 0x8000001e, 0)));
	assert_int_equal(get(t, 0x80000008, 0)->ecx, 0);
	assert_int_equal(get(t, 0x80000001, 0)->ecx, 0x121);
	free(t);
}

static void intel(void **state)
{
	struct kvm_cpuid2 *host = intel_host();
	struct kvm_cpuid2 *t;

	(void)state;
	intel_topology(host, 0, 1, 0);
	intel_topology(host, 1, 2, 1);
	intel_topology(host, 4, 5, 3);
	intel_topology(host, 63, 64, 6);
	/* MPX was the last component: the save area shrinks to AVX's end. */
	t = build(host, 0, 1);
	assert_int_equal(get(t, 0xd, 0)->eax, 7);
	assert_int_equal(get(t, 0xd, 0)->ecx, 832);
	assert_true(is_zero(get(t, 0xd, 3)));
	assert_true(is_zero(get(t, 0xd, 4)));
	assert_int_equal(get(t, 0xd, 2)->ebx, 576);
	assert_int_equal(get(t, 0xd, 1)->eax, 0xf);
	free(t);
	free(host);
}

/*
 * An encrypted guest: what Linux' sev_enable() looks for ([APM3] E.4.17), and the
 * two bits of asm/kvm_para.h by which it tells page states.
 */
static void encrypted(void **state)
{
	struct kvm_cpuid2 *host = amd_host("AuthenticAMD"), *t;
	struct cpuid_opts opts = { .n_vcpus = 1 };
	const struct kvm_cpuid_entry2 *e;

	(void)state;
	t = cpuid_build(host, 0, &opts);
	assert_int_equal(get(t, 0x8000001f, 0)->eax, 0);
	assert_int_equal(get(t, 0x40000001, 0)->eax & 0x30000, 0);
	free(t);
	opts.sev = true;
	opts.page_states = true;
	t = cpuid_build(host, 0, &opts);
	e = get(t, 0x8000001f, 0);
	assert_int_equal(e->eax, 2);
	assert_int_equal(e->ebx, get(host, 0x8000001f, 0)->ebx & 0xfff);
	assert_int_equal(e->ecx, 0);
	assert_int_equal(e->edx, 0);
	assert_int_equal(get(t, 0x40000001, 0)->eax & 0x30000, 0x30000);
	free(t);
	opts.sev_es = true;
	opts.page_states = false;
	t = cpuid_build(host, 0, &opts);
	assert_int_equal(get(t, 0x8000001f, 0)->eax, 10);
	assert_int_equal(get(t, 0x40000001, 0)->eax & 0x30000, 0);
	free(t);
	free(host);
}

/* Odd hosts: nothing to hold on to, and no crash. */
static void poor_hosts(void **state)
{
	static const struct kvm_cpuid_entry2 only_max[] = {
		{ .function = 0,
		  .eax = ONES,
		  .ebx = 0x68747541,
		  .ecx = 0x444d4163,
		  .edx = 0x69746e65 },
		{ .function = 0x80000000, .eax = ONES },
		{ .function = 0x80000001 },
	};
	struct kvm_cpuid2 *host = table(NULL, 0);
	struct kvm_cpuid2 *t = build(host, 0, 1);

	(void)state;
	assert_int_equal(t->nent, 0);
	free(t);
	free(host);
	host = table(only_max, ARRAY_SIZE(only_max));
	t = build(host, 199, 200);
	assert_int_equal(get(t, 0x8000001e, 0)->eax, 199);
	assert_true(is_zero(get(t, 0x8000001d, 0)));
	free(t);
	free(host);
}

static void bad_options(void **state)
{
	static const struct {
		unsigned vcpu, n;
	} bad[] = { { 0, 0 }, { 1, 1 }, { 0, 256 }, { UINT32_MAX, 4 } };
	struct kvm_cpuid2 *host = intel_host();
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cpuid_opts opts = { .n_vcpus = bad[i].n };

		errno = 0;
		assert_null(cpuid_build(host, bad[i].vcpu, &opts));
		assert_int_equal(errno, EINVAL);
	}
	free(host);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_unchanged), cmocka_unit_test(hidden),
		cmocka_unit_test(vendors),	  cmocka_unit_test(timers),
		cmocka_unit_test(kvm_leaves),	  cmocka_unit_test(amd),
		cmocka_unit_test(amd_caches),	  cmocka_unit_test(intel),
		cmocka_unit_test(encrypted),	  cmocka_unit_test(poor_hosts),
		cmocka_unit_test(bad_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
