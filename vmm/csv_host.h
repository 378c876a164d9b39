/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CSV_HOST_H
#define CSVVMM_VMM_CSV_HOST_H

#include <stdint.h>

#define CPUID_SEV   0x8000001fu
#define SEV_EAX_SEV 0x2u
#define SEV_EAX_ES  0x8u

/* What an encrypted guest takes from the processor ([APM3] E.4.17). */

/* Position of the C-bit in page tables. Return: it; -ENOTSUP: this processor
 * encrypts no guests */
int csv_host_c_bit(void);

#endif
