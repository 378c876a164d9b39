/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_BOOT_H
#define CSVVMM_VMM_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/gmem.h"

struct psp_hash;

/*
 * Guest memory below 1 MiB and up (docs/DESIGN.md "Memory map"):
 *
 *   0x00000500  GDT for entry
 *   0x00001000  page tables for entry: identity map of the first 4 GiB
 *   0x00007000  boot_params ("zero page")
 *   0x00008000  stack top for an ELF guest's first instructions
 *   0x00009000  setup_data of an encrypted guest
 *   0x00020000  kernel command line
 *   0x0006f000  its owner's secret
 *   0x00070000  the shim of an encrypted guest, 32 KiB (shim/shim.h); it has
 *               GDT, page tables and stack of its own
 *   0x000e0000  ACPI tables (e820 type 3), at most 128 KiB
 *   0x00100000  kernel; its preferred address if relocatable
 *   below the hole: initrd, as high as fits
 */
#define BOOT_GDT	 0x500
#define BOOT_PAGE_TABLES 0x1000
#define BOOT_PARAMS	 0x7000
#define BOOT_STACK	 0x8000
#define BOOT_SETUP_DATA	 0x9000
#define BOOT_CMDLINE	 0x20000
#define BOOT_ACPI	 0xe0000
#define BOOT_ACPI_SIZE	 0x20000
#define BOOT_HIGH	 0x100000

/**
 * struct boot_files - Kernel and initrd, opened before the sandbox
 *
 * Kept open for the life of the VMM: a later relaunch reads them again.
 */
struct boot_files {
	int kernel_fd;
	int initrd_fd; /* -1 = none */
};

/**
 * struct boot_region - Guest memory that was filled; whole pages
 * @what:	"kernel", "initrd", ...
 * @staged:	Not measured: the shim takes it over if its hash is right
 */
struct boot_region {
	const char *what;
	gpa_t at;
	uint64_t len;
	bool staged;
};

#define BOOT_REGIONS_MAX 44

/**
 * struct boot_encryption - What an encrypted guest's first code depends on
 * @c_bit:	Position of the C-bit
 * @es:		Registers are encrypted too
 * @staged:	Measure the shim only; it takes over the rest
 */
struct boot_encryption {
	unsigned c_bit;
	bool es, staged;
};

/**
 * enum boot_again - What is in guest memory already
 * BOOT_FIRST		nothing: it is all zero
 * BOOT_AGAIN		anything
 * BOOT_IN_PLACE	what a guest had there, and its shim, which stays
 */
enum boot_again { BOOT_FIRST, BOOT_AGAIN, BOOT_IN_PLACE };

/**
 * struct boot_opts - What the tables in memory depend on
 * @enc:	NULL: a plain guest, or one of the model: without shim
 */
struct boot_opts {
	const char *cmdline;
	unsigned n_vcpus;
	const struct boot_encryption *enc;
	enum boot_again again;
};

/**
 * struct boot_info - How the first vCPU starts, and what it finds
 * @entry:	64-bit entry point
 * @ap_entry:	Of the other vCPUs of a guest with encrypted registers; 0: they
 *		are as after a reset
 * @rsi:	boot_params (Linux); also given to ELF guests
 * @secret:	Page for the owner's secret, that the guest's user space can
 *		read; 0: there is none
 * @shim_config: SHA-256 of the shim's configuration, in which the hashes of all
 *		staged pieces are
 * @region:	All that was put into memory, by address, without overlap: what
 *		a launch measures (or stages), in this order
 */
struct boot_info {
	gpa_t entry, ap_entry;
	gpa_t rsi;
	gpa_t secret;
	gpa_t rsp;
	gpa_t cr3;
	gpa_t gdt;
	uint16_t gdt_limit;
	uint8_t shim_config[32];
	struct boot_region region[BOOT_REGIONS_MAX];
	unsigned n_regions;
};

enum boot_format { BOOT_BZIMAGE, BOOT_ELF };

/**
 * struct boot_kernel - What the headers of a kernel file say; checked
 * @load:	Where the protected-mode part (bzImage) goes
 * @init_size:	Memory needed from @load (bzImage)
 */
struct boot_kernel {
	enum boot_format format;
	uint64_t payload_off, payload_size;
	uint64_t load, init_size, entry;
	uint32_t initrd_max;
	uint32_t cmdline_max;
	uint32_t setup_size; /* bytes of setup header to copy */
};

struct boot_error {
	char text[256];
};

/**
 * boot_open() - Open kernel and initrd; regular files of sane size only
 *
 * Return: 0, or -errno with @err in words (names the file)
 */
int boot_open(struct boot_files *bf, const char *kernel, const char *initrd,
	      struct boot_error *err);
void boot_close(struct boot_files *bf);

/**
 * boot_parse_bzimage() - Check a bzImage's setup header ([BOOT], protocol
 * 2.12 or later, 64-bit entry, relocatable)
 * @hdr, @len:	First bytes of the file
 * @file_size:	Of the whole file
 *
 * Return: 0, -EINVAL with @err, or -ENOEXEC when it is no bzImage at all
 */
int boot_parse_bzimage(const uint8_t *hdr, uint64_t len, uint64_t file_size,
		       struct boot_kernel *ret_k, struct boot_error *err);

/**
 * boot_load() - Put kernel, initrd, command line, boot_params, page tables,
 * GDT and ACPI tables into guest memory
 *
 * Return: 0 with *ret_info, or -errno with @err
 */
int boot_load(struct gmem *gm, const struct boot_files *bf,
	      const struct boot_opts *opts, struct boot_info *ret_info,
	      struct boot_error *err);

/* The bytes of a region into one hash, and into @other unless that is NULL.
 * Return: 0 or -errno */
int boot_hash_region(const struct gmem *gm, const struct boot_region *reg,
		     struct psp_hash *one, struct psp_hash *other);

/* Words for what the shim gave up with (SHIM_* of shim/shim.h), in @text; the
 * hash of which piece was wrong, for example. */
void boot_shim_words(const struct boot_info *info, uint32_t code,
		     struct boot_error *text);

#endif
