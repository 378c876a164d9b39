/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_BOOT_INTERNAL_H
#define CSVVMM_VMM_BOOT_INTERNAL_H

#include "vmm/boot.h"

/* Shared by the boot_*.c files, their tests and fuzzers only. */

/* Bytes of a kernel file in which all headers must lie. */
#define BOOT_HEAD_SIZE 65536

#define BOOT_CMDLINE_ROOM 0x10000u /* with the terminating zero */
#define BOOT_SEGMENTS_MAX 32

/* Where real mode starts after a reset: at the end of the ACPI area. */
#define BOOT_RESET_VECTOR 0xffff0

/* Where the setup header is in a bzImage and in boot_params ([BOOT] 1.3). */
#define BOOT_HDR_OFF 0x1f1u
#define BOOT_HDR_END 0x290u /* what boot_params has room for */

/* One PT_LOAD of an ELF kernel, in file and in guest memory. */
struct boot_segment {
	uint64_t off, file_size;
	gpa_t at;
	uint64_t mem_size;
};

struct boot_elf {
	struct boot_segment seg[BOOT_SEGMENTS_MAX];
	unsigned n;
};

/**
 * struct boot_place - Where everything went; what boot_params says
 * @hdr:	Setup header of the bzImage, @hdr_size bytes; none for ELF
 * @shim:	It has memory that is not the kernel's
 */
struct boot_place {
	const uint8_t *hdr;
	uint32_t hdr_size;
	uint32_t cmdline_max;
	gpa_t initrd;
	uint64_t initrd_size;
	bool shim;
};

/*
 * boot_note() - Add [at, at + len) to the list, widened to whole pages
 * boot_sort_regions() - By address; of a page that two share, the first in
 *	the order of addresses keeps it
 */
void boot_note(struct boot_info *info, const char *what, gpa_t at, uint64_t len);
void boot_sort_regions(struct boot_info *info);
/* Zeroes around [at, at + len), to the ends of its first and last page: whole
 * pages are measured. Return: 0 or -EFAULT */
int boot_blank(struct gmem *gm, gpa_t at, uint64_t len);
/* A kernel's own: its segments, or the payload of a bzImage. */
void boot_note_kernel(struct boot_info *info, const struct boot_kernel *k,
		      const struct boot_elf *elf);

/**
 * boot_write_shim() - The shim, its configuration and page tables
 * @info:	List of regions, complete but for the shim's, which are added;
 *		entry and boot_params become those of the shim
 * @again:	BOOT_IN_PLACE: they are there, only @info is filled in
 */
int boot_write_shim(struct gmem *gm, const struct boot_encryption *enc,
		    enum boot_again again, struct boot_info *info);

/* Fill *err, return @r. */
int boot_fail(struct boot_error *err, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Bytes of RAM from address 0 up. */
uint64_t boot_low_ram(const struct gmem *gm);

/**
 * boot_read() - File bytes straight into guest memory, all of them
 * @what:	"kernel" or "initrd", for the message
 */
int boot_read(struct gmem *gm, int fd, uint64_t off, uint64_t len, gpa_t at,
	      const char *what, struct boot_error *err);

/**
 * boot_parse_elf() - Check an ELF kernel's headers
 * @head, @len:	First bytes of the file; changed
 * @low_ram:	From boot_low_ram()
 *
 * Return: 0, -EINVAL with @err, or -ENOEXEC when it is no ELF file at all
 */
int boot_parse_elf(uint8_t *head, uint64_t len, uint64_t file_size,
		   uint64_t low_ram, struct boot_kernel *ret_k,
		   struct boot_elf *ret_elf, struct boot_error *err);

/* Copy the segments in, clear the rest of each. */
int boot_load_elf(struct gmem *gm, int fd, const struct boot_elf *elf,
		  struct boot_error *err);

/* GDT and page tables for the 64-bit entry of a plain guest; the info about
 * them. boot_write_reset(): code at the reset vector. */
int boot_write_tables(struct gmem *gm, struct boot_info *info);
int boot_write_reset(struct gmem *gm);
/* boot_params with the e820 map. */
int boot_write_params(struct gmem *gm, const struct boot_place *place);
/* What boot_params of a guest with a shim points to. */
int boot_write_setup_data(struct gmem *gm);

#endif
