/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CSV_HOST_H
#define CSVVMM_VMM_CSV_HOST_H

#include <stdbool.h>
#include <stdint.h>

/* What the processor says of memory encryption: [APM3] E.4.17; Hygon: CSV, CSV2,
 * CSV3. */
#define CPUID_SEV	  0x8000001fu
#define SEV_EAX_SEV	  (1u << 1)
#define SEV_EAX_ES	  (1u << 3)
#define SEV_EAX_CSV3	  (1u << 30)
#define SEV_EBX_CBIT(b)	  ((b)&0x3f)
#define SEV_EBX_REDUCE(b) ((b) >> 6 & 0x3f)

#define CSV_HOST_VENDOR 13

/* Who made it: "AuthenticAMD", "HygonGenuine" ([APM3] E.3.1). */
void csv_host_vendor(char vendor[CSV_HOST_VENDOR]);
bool csv_host_is_amd(void);

/* EAX to EDX of that leaf; all 0 where there is none. */
void csv_host_leaf(uint32_t leaf[4]);

/* Position of the C-bit in page tables. Return: it; -ENOTSUP: this processor
 * encrypts no guests */
int csv_host_c_bit(void);

#endif
