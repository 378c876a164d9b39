/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/csv_host.h"

#include <cpuid.h>
#include <errno.h>
#include <stddef.h>

int csv_host_c_bit(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid_max(0x80000000, NULL) < CPUID_SEV)
		return -ENOTSUP;
	__cpuid(CPUID_SEV, a, b, c, d);
	return a & SEV_EAX_SEV ? (int)(b & 63) : -ENOTSUP;
}
