/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_SHIM_SHIM_H
#define CSVVMM_SHIM_SHIM_H

/*
 * What the VMM and the guest's first code agree on. The shim is measured: its
 * code, one page of configuration and two page tables. The VMM puts all else
 * (kernel, initrd, command line, boot_params, ACPI tables) into shared memory
 * where it belongs; the shim takes it over into private memory, page by page,
 * in place, and starts the kernel if the hash of what it took is the one in the
 * configuration.
 *
 * All of it is below 1 MiB and reserved in e820: the AP jump table and the GHCB
 * are in use as long as the guest lives. And below 512 KiB, from where on Linux
 * looks for tables of firmware as private memory (find_ibft_region()).
 *
 *   0x70000  code			measured, never written
 *   0x71000  configuration, GDT	measured, never written
 *   0x72000  page tables (two)		measured, never written
 *   0x74000  GHCB			shared
 *   0x75000  AP jump table		private
 *   0x76000  stack, then a page to copy by; private
 */
#define SHIM_BASE 0x70000

/* The page for an owner's secret: private and not measured. The shim does not
 * touch it; Linux shows it to user space. */
#define SHIM_SECRET 0x6f000

#define SHIM_CODE   0x70000
#define SHIM_CONFIG 0x71000
#define SHIM_PML4   0x72000
#define SHIM_PDPT   0x73000
#define SHIM_GHCB   0x74000
#define SHIM_JUMP   0x75000
#define SHIM_STACK  0x77000 /* top */
#define SHIM_BOUNCE 0x77000
#define SHIM_END    0x78000

/* From SHIM_CODE on: measured, and never written. */
#define SHIM_MEASURED 0x4000

/* Entry points: of the first vCPU, and of all others. */
#define SHIM_ENTRY    (SHIM_CODE + 0)
#define SHIM_AP_ENTRY (SHIM_CODE + 16)

/* The same memory again, seen without the C-bit. */
#define SHIM_SHARED 0x4000000000 /* 256 GiB */

/* In the jump table's page, behind what Linux writes (IP, CS): the first vCPU
 * has cleared it. The host can't forge it. */
#define SHIM_JUMP_MARK	16
#define SHIM_JUMP_READY 0x594c424154504d4a /* "JMPTABLY" */

/* Selectors in the configuration's GDT, as the boot protocol wants them; the
 * 16-bit ones lead back to real mode. */
#define SHIM_CS	  0x10
#define SHIM_DS	  0x18
#define SHIM_CS16 0x20
#define SHIM_DS16 0x28

/* A guest without #VC has no VMGEXIT: it says its code here (32 bits). */
#define SHIM_PORT 0x508

/*
 * Why the shim gave up. With encrypted registers it is GHCB's termination
 * request ([GHCB] 2.3.1), with this set of reasons.
 */
#define SHIM_REASON_SET	  0xc
#define SHIM_BAD_CONFIG	  1
#define SHIM_UNENCRYPTED  2 /* SEV_STATUS has less than the launch promised */
#define SHIM_BAD_C_BIT	  3 /* memory is readable without the key */
#define SHIM_NO_RANDOM	  4
#define SHIM_GHCB_VERSION 5
#define SHIM_JUMP_TABLE	  6  /* KVM did not take its address */
#define SHIM_BAD_HASH	  64 /* + index of the piece */

#ifndef __ASSEMBLER__
#include <stdint.h>

#define SHIM_MAGIC   0x4d49485356565343 /* "CSVVSHIM" */
#define SHIM_VERSION 2

/* So much of the page is hashed; the SHA-256 follows, and says that the page is
 * whole. Memory encryption has no integrity: what was measured may be noise by
 * the time it is read, if the host wants that. */
#define SHIM_CONFIG_HASHED 4032

#define SHIM_PIECES_MAX 48
#define SHIM_CLEAR_MAX	4

#define SHIM_FLAG_ES 1 /* registers are encrypted, too */

struct shim_range {
	uint64_t at, len; /* whole pages */
};

struct shim_piece {
	struct shim_range range;
	uint8_t sha256[32];
};

/**
 * struct shim_config - The measured page of configuration
 * @c_bit:	Mask
 * @entry:	64-bit entry of the kernel, which finds @boot_params in RSI
 * @clear:	Pages to fill with zeroes: where Linux looks for what firmware
 *		leaves
 */
struct shim_config {
	uint64_t magic;
	uint32_t version, flags;
	uint64_t c_bit;
	uint64_t entry, boot_params;
	uint32_t n_pieces, n_clear;
	uint64_t gdt[6];
	struct shim_range clear[SHIM_CLEAR_MAX];
	struct shim_piece piece[SHIM_PIECES_MAX];
};
_Static_assert(sizeof(struct shim_config) <= SHIM_CONFIG_HASHED, "one page");
#endif

#endif
