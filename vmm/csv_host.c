/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/csv_host.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>

void csv_host_vendor(char vendor[CSV_HOST_VENDOR])
{
	uint32_t eax, ebx, ecx, edx;

	__cpuid(0, eax, ebx, ecx, edx);
	memcpy(vendor, &ebx, 4);
	memcpy(vendor + 4, &edx, 4);
	memcpy(vendor + 8, &ecx, 4);
	vendor[12] = '\0';
}

bool csv_host_is_amd(void)
{
	char vendor[CSV_HOST_VENDOR];

	csv_host_vendor(vendor);
	return !strcmp(vendor, "AuthenticAMD");
}

void csv_host_leaf(uint32_t leaf[4])
{
	memset(leaf, 0, 4 * sizeof(*leaf));
	/* Intel gives the highest basic leaf for leaves it does not have. */
	if (__get_cpuid_max(0x80000000, NULL) >= CPUID_SEV)
		__cpuid(CPUID_SEV, leaf[0], leaf[1], leaf[2], leaf[3]);
}

int csv_host_c_bit(void)
{
	uint32_t leaf[4];

	csv_host_leaf(leaf);
	return leaf[0] & SEV_EAX_SEV ? (int)SEV_EBX_CBIT(leaf[1]) : -ENOTSUP;
}
