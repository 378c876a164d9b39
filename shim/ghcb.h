/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_SHIM_GHCB_H
#define CSVVMM_SHIM_GHCB_H

/* Numbers of the guest-hypervisor communication block ([GHCB] 2.3, 2.6, 4.1),
 * for C and assembler. */
#define MSR_GHCB       0xc0010130
#define MSR_SEV_STATUS 0xc0010131 /* [APM2] 15.34.10 */

#define SEV_STATUS_SEV 1
#define SEV_STATUS_ES  2

#define GHCB_MSR_INFO	      0x001
#define GHCB_MSR_INFO_REQUEST 0x002
#define GHCB_MSR_TERMINATE    0x100

#define GHCB_VERSION 1

#define GHCB_EXIT_CODE	 0x390
#define GHCB_EXIT_INFO_1 0x398
#define GHCB_EXIT_INFO_2 0x3a0
#define GHCB_VALID	 0x3f0 /* a bit a quadword, 16 bytes */
#define GHCB_PROTOCOL	 0xffa

/* In the second half of the bitmap: exit code, both infos. */
#define GHCB_VALID_EXIT (7ull << (GHCB_EXIT_CODE / 8 - 64))
#define GHCB_VALID_BYTE 0x1c /* the same, as byte 14 */

#define GHCB_AP_HOLD	   0x80000004
#define GHCB_AP_JUMP_TABLE 0x80000005

#endif
