/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The setup header of a bzImage. [BOOT] is the kernel's
 * Documentation/arch/x86/boot.rst.
 */
#include "vmm/boot_internal.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/bytes.h"
#include "core/util.h"

#define SECTOR		 512u
#define BOOT_FLAG	 0xaa55
#define HDR_MAGIC	 0x53726448 /* "HdrS" */
#define PROTOCOL_MIN	 0x020c
#define SETUP_SECTS_DFLT 4
/* The 64-bit entry is this far into the protected-mode part. */
#define ENTRY_64 0x200
/* The setup header ends 0x202 + the byte at 0x201 into the file. */
#define HDR_JUMP_LEN 0x201
#define HDR_JUMP_END 0x202

/* init_size is the last field that is used. */
#define HDR_END_MIN                                                \
	(BOOT_HDR_OFF + offsetof(struct setup_header, init_size) + \
	 sizeof(uint32_t))

/* Is it the kind of kernel that can be started at its 64-bit entry? */
static int bzimage_check_kind(const struct setup_header *h, struct boot_error *err)
{
	unsigned version = le16toh(h->version);

	if (version < PROTOCOL_MIN)
		return boot_fail(
			err, -EINVAL,
			"kernel: boot protocol %u.%02u is too old, 2.12 (Linux 3.8) or later is needed",
			version >> 8, version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return boot_fail(err, -EINVAL,
				 "kernel: a zImage; build a bzImage instead");
	if (!(le16toh(h->xloadflags) & XLF_KERNEL_64))
		return boot_fail(
			err, -EINVAL,
			"kernel: no 64-bit entry point; build it for x86_64");
	if (!h->relocatable_kernel)
		return boot_fail(
			err, -EINVAL,
			"kernel: not relocatable; build it with CONFIG_RELOCATABLE=y");
	if (!is_pow2(le32toh(h->kernel_alignment)))
		return boot_fail(
			err, -EINVAL,
			"kernel: the setup header is damaged (kernel_alignment is %#x)",
			le32toh(h->kernel_alignment));
	return 0;
}

/* Does the file hold all that its header speaks of? */
static int bzimage_check_size(const struct setup_header *h, uint64_t file_size,
			      struct boot_kernel *k, struct boot_error *err)
{
	uint64_t sects = h->setup_sects ? h->setup_sects : SETUP_SECTS_DFLT;
	uint64_t sys_size = (uint64_t)le32toh(h->syssize) * 16;

	k->payload_off = (sects + 1) * SECTOR;
	if (file_size <= k->payload_off + ENTRY_64)
		return boot_fail(
			err, -EINVAL,
			"kernel: truncated: the file ends before the 64-bit entry point");
	k->payload_size = file_size - k->payload_off;
	/* A signature may follow, so the file may well be longer. */
	if (sys_size > k->payload_size)
		return boot_fail(
			err, -EINVAL,
			"kernel: truncated: %llu bytes where the setup header says %llu",
			(unsigned long long)file_size,
			(unsigned long long)(k->payload_off + sys_size));
	if (!range_inside(le32toh(h->payload_offset),
			  le32toh(h->payload_length), 0, k->payload_size))
		return boot_fail(
			err, -EINVAL,
			"kernel: damaged: the compressed payload lies past the end of the file");
	return 0;
}

/* Where it runs: see the formula at init_size in [BOOT] 1.3. */
static int bzimage_place(const struct setup_header *h, struct boot_kernel *k,
			 struct boot_error *err)
{
	uint64_t load = MAX(le64toh(h->pref_address), (uint64_t)BOOT_HIGH);

	if (load >= GMEM_HOLE_START)
		return boot_fail(
			err, -EINVAL,
			"kernel: its preferred address %#llx is not below 3 GiB",
			(unsigned long long)load);
	k->load = align_up(load, le32toh(h->kernel_alignment));
	k->init_size = MAX(le32toh(h->init_size), k->payload_size);
	k->entry = k->load + ENTRY_64;
	return 0;
}

int boot_parse_bzimage(const uint8_t *hdr, uint64_t len, uint64_t file_size,
		       struct boot_kernel *ret_k, struct boot_error *err)
{
	struct boot_kernel k = { .format = BOOT_BZIMAGE };
	struct setup_header h;
	uint32_t end;
	int r;

	if (len < BOOT_HDR_OFF + sizeof(h) || file_size < len)
		return -ENOEXEC;
	memcpy(&h, hdr + BOOT_HDR_OFF, sizeof(h));
	if (le16toh(h.boot_flag) != BOOT_FLAG || le32toh(h.header) != HDR_MAGIC)
		return -ENOEXEC;

	r = bzimage_check_kind(&h, err);
	if (!r)
		r = bzimage_check_size(&h, file_size, &k, err);
	if (!r)
		r = bzimage_place(&h, &k, err);
	if (r < 0)
		return r;

	end = HDR_JUMP_END + hdr[HDR_JUMP_LEN];
	if (end < HDR_END_MIN)
		return boot_fail(
			err, -EINVAL,
			"kernel: the setup header is damaged (it ends at %#x)",
			end);
	/* A later protocol's fields that boot_params can't hold are left out. */
	k.setup_size = MIN(end, BOOT_HDR_END) - BOOT_HDR_OFF;
	k.initrd_max = le32toh(h.initrd_addr_max);
	k.cmdline_max = le32toh(h.cmdline_size);
	*ret_k = k;
	return 0;
}
