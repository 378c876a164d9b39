/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "core/util.h"
#include "migration/describe.h"

/*
 * The guest keeps the table it was started with. So the target must have every
 * feature in it; names, caches and the like may differ. Bits that the processor
 * sets by itself (OSXSAVE, OSPKE) are none.
 */

enum { EAX, EBX, ECX, EDX };

static const struct {
	uint32_t function, index;
	uint8_t reg;
	uint32_t mask;
} features[] = {
	{ 0x1, 0, ECX, ~(uint32_t)BIT(27) },
	{ 0x1, 0, EDX, UINT32_MAX },
	{ 0x7, 0, EBX, UINT32_MAX },
	{ 0x7, 0, ECX, ~(uint32_t)BIT(4) },
	{ 0x7, 0, EDX, UINT32_MAX },
	{ 0x7, 1, EAX, UINT32_MAX },
	{ 0x7, 1, EDX, UINT32_MAX },
	{ 0xd, 0, EAX, UINT32_MAX }, /* XCR0 */
	{ 0xd, 0, EDX, UINT32_MAX },
	{ 0xd, 1, EAX, 0x1f },
	{ 0xd, 1, ECX, UINT32_MAX }, /* XSS */
	{ 0x80000001, 0, ECX, UINT32_MAX },
	{ 0x80000001, 0, EDX, UINT32_MAX },
	{ 0x80000008, 0, EBX, UINT32_MAX },
	{ 0x80000021, 0, EAX, UINT32_MAX },
	{ 0x8000001f, 0, EAX, 0xb }, /* SEV, SEV-ES, and the SME beside */
	{ 0x40000001, 0, EAX, UINT32_MAX },
};

/* Must be the same: the C-bit's place, and how wide addresses are. */
static const struct {
	uint32_t function;
	uint8_t reg;
	uint32_t mask;
	const char *what;
} equal[] = {
	{ 0x8000001f, EBX, 0xfff, "the C-bit's position" },
	{ 0x80000008, EAX, 0xffff, "width of addresses" },
};

/* 0 where there is no such leaf. */
static uint32_t find(const struct mig_machine *m, uint32_t function,
		     uint32_t index, unsigned reg)
{
	unsigned i;

	for (i = 0; i < m->n_cpuid; i++) {
		const uint32_t *e = m->cpuid[i].reg;

		/* Flag 1: the index counts. */
		if (e[0] == function && (!(e[2] & 1) || e[1] == index))
			return e[3 + reg];
	}
	return 0;
}

int mig_check_cpuid(const struct mig_machine *s, const struct mig_machine *t,
		    char *why)
{
	static const char *const name[] = { "eax", "ebx", "ecx", "edx" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		uint32_t f = features[i].function, k = features[i].index;
		unsigned reg = features[i].reg;
		uint32_t lacks = find(s, f, k, reg) & ~find(t, f, k, reg) &
				 features[i].mask;

		if (!lacks)
			continue;
		(void)snprintf(
			why, MIG_WHY_MAX,
			"cpuid: the target's processor lacks features of the guest: leaf %#x/%u %s, bits %#x",
			f, k, name[reg], lacks);
		return -EXDEV;
	}
	for (i = 0; i < ARRAY_SIZE(equal); i++) {
		uint32_t a = find(s, equal[i].function, 0, equal[i].reg);
		uint32_t b = find(t, equal[i].function, 0, equal[i].reg);

		if (!((a ^ b) & equal[i].mask))
			continue;
		(void)snprintf(why, MIG_WHY_MAX,
			       "cpuid: %s differs: leaf %#x %s, %#x and %#x",
			       equal[i].what, equal[i].function,
			       name[equal[i].reg], a & equal[i].mask,
			       b & equal[i].mask);
		return -EXDEV;
	}
	return 0;
}
