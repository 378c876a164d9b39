/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel finds in memory at its 64-bit entry ([BOOT] 1.15). */
#include "vmm/boot_internal.h"

#include <asm/bootparam.h>
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "core/bytes.h"
#include "core/util.h"
#include "devices/acpi_regs.h"
#include "devices/pci.h"
#include "shim/shim.h"

static_assert(sizeof(struct boot_params) == PAGE_SIZE, "boot_params is a page");
static_assert(offsetof(struct boot_params, hdr) == BOOT_HDR_OFF, "[BOOT] 1.3");
static_assert(offsetof(struct boot_params, edd_mbr_sig_buffer) == BOOT_HDR_END,
	      "setup header must not run into the next field");

/* SETUP_INDIRECT of <asm/bootparam.h>, without its shift into the sign. */
#define INDIRECT 0x80000000u

#define SECRET_TYPE 0x56565343 /* "CSVV": nothing that Linux knows */

#define E820_RAM      1
#define E820_RESERVED 2
#define E820_ACPI     3

#define LEGACY_VIDEO	 0xa0000
#define LOADER_UNDEFINED 0xff
#define HDR_MAGIC	 0x53726448
#define BOOT_FLAG	 0xaa55
#define PROTOCOL	 0x020c

#define PTE_PRESENT_WRITE 0x3
#define PTE_LARGE	  0x80
#define TABLE_ENTRIES	  512

/* Flat segments at selectors 0x10 and 0x18, marked accessed. */
static const uint64_t gdt[] = {
	0, 0, 0x00af9b000000ffff, /* 64-bit code, execute and read */
	0x00cf93000000ffff,	  /* data, read and write */
};

static int write_page_table(struct gmem *gm, gpa_t at, const uint64_t *entries,
			    unsigned n)
{
	uint8_t page[PAGE_SIZE] = { 0 };
	unsigned i;

	for (i = 0; i < n; i++)
		put_le64(page + i * 8, entries[i]);
	return gmem_write(gm, at, page, sizeof(page));
}

static int write_directory(struct gmem *gm, unsigned gib)
{
	uint64_t entry[TABLE_ENTRIES];
	unsigned i;

	for (i = 0; i < TABLE_ENTRIES; i++)
		entry[i] = (GIB(gib) + MIB(2 * i)) | PTE_LARGE |
			   PTE_PRESENT_WRITE;
	return write_page_table(gm, BOOT_PAGE_TABLES + (2 + gib) * PAGE_SIZE,
				entry, TABLE_ENTRIES);
}

/* One PML4, one PDPT, four directories: the first 4 GiB by 2 MiB pages. */
static int write_page_tables(struct gmem *gm)
{
	uint64_t pml4 = (BOOT_PAGE_TABLES + PAGE_SIZE) | PTE_PRESENT_WRITE;
	uint64_t pdpt[4];
	unsigned i;
	int r;

	for (i = 0; i < ARRAY_SIZE(pdpt); i++)
		pdpt[i] = (BOOT_PAGE_TABLES + (2 + i) * PAGE_SIZE) |
			  PTE_PRESENT_WRITE;
	r = write_page_table(gm, BOOT_PAGE_TABLES, &pml4, 1);
	if (!r)
		r = write_page_table(gm, BOOT_PAGE_TABLES + PAGE_SIZE, pdpt,
				     ARRAY_SIZE(pdpt));
	for (i = 0; !r && i < ARRAY_SIZE(pdpt); i++)
		r = write_directory(gm, i);
	return r;
}

/*
 * Linux takes hardware-reduced ACPI for a sign of EFI: it then reboots by EFI
 * or else, not by ACPI's reset register, as of old: it goes back to real mode
 * and jumps to the BIOS. Here is the BIOS. (reboot=acpi avoids the detour.)
 */
static const uint8_t reset_code[] = {
	/* mov dx, port; mov al, value; out dx, al; 1: cli; hlt; jmp 1b */
	0xba,
	ACPI_PORT_RESET & 0xff,
	ACPI_PORT_RESET >> 8,
	0xb0,
	ACPI_RESET_VALUE,
	0xee,
	0xfa,
	0xf4,
	0xeb,
	0xfc
};
static_assert(sizeof(reset_code) <= BOOT_HIGH - BOOT_RESET_VECTOR, "no room");

int boot_write_reset(struct gmem *gm)
{
	return gmem_write(gm, BOOT_RESET_VECTOR, reset_code, sizeof(reset_code));
}

int boot_write_tables(struct gmem *gm, struct boot_info *info)
{
	uint8_t buf[sizeof(gdt)];
	unsigned i;
	int r;

	for (i = 0; i < ARRAY_SIZE(gdt); i++)
		put_le64(buf + i * 8, gdt[i]);
	r = gmem_write(gm, BOOT_GDT, buf, sizeof(buf));
	if (!r)
		r = boot_blank(gm, BOOT_GDT, sizeof(buf));
	if (!r)
		r = write_page_tables(gm);
	if (r < 0)
		return r;
	info->rsp = BOOT_STACK;
	info->cr3 = BOOT_PAGE_TABLES;
	info->gdt = BOOT_GDT;
	info->gdt_limit = sizeof(gdt) - 1;
	boot_note(info, "gdt", BOOT_GDT, sizeof(gdt));
	boot_note(info, "page tables", BOOT_PAGE_TABLES,
		  BOOT_PARAMS - BOOT_PAGE_TABLES);
	return 0;
}

static void e820_add(struct boot_params *bp, uint64_t start, uint64_t end,
		     uint32_t type)
{
	struct boot_e820_entry *e = &bp->e820_table[bp->e820_entries];

	if (start >= end)
		return;
	e->addr = htole64(start);
	e->size = htole64(end - start);
	e->type = htole32(type);
	bp->e820_entries++;
}

/*
 * 0xa0000 - 0xdffff is in no entry: Linux takes a PC's video and option ROM
 * range from the allocator whatever the map says. It has RAM behind it all the
 * same, because Linux scans it as memory for ROMs; in an encrypted guest that
 * must not become an access to a device.
 * The ECAM window is reserved as PCI firmware does ([PCIFW] 4.1.2).
 */
static void fill_e820(struct boot_params *bp, const struct gmem *gm, bool shim)
{
	e820_add(bp, 0, shim ? SHIM_BASE : LEGACY_VIDEO, E820_RAM);
	if (shim) {
		e820_add(bp, SHIM_BASE, SHIM_END, E820_RESERVED);
		e820_add(bp, SHIM_END, LEGACY_VIDEO, E820_RAM);
	}
	e820_add(bp, BOOT_ACPI, BOOT_ACPI + BOOT_ACPI_SIZE, E820_ACPI);
	e820_add(bp, BOOT_HIGH, boot_low_ram(gm), E820_RAM);
	e820_add(bp, PCI_ECAM_BASE, PCI_ECAM_BASE + PCI_ECAM_SIZE, E820_RESERVED);
	if (gm->size > boot_low_ram(gm))
		e820_add(bp, GMEM_HOLE_END,
			 GMEM_HOLE_END + gm->size - boot_low_ram(gm), E820_RAM);
}

/* A vmlinux comes without a setup header; the kernel reads some of it. */
static void fill_elf_header(struct setup_header *h, const struct boot_place *place)
{
	h->boot_flag = htole16(BOOT_FLAG);
	h->header = htole32(HDR_MAGIC);
	h->version = htole16(PROTOCOL);
	h->loadflags = LOADED_HIGH;
	h->cmdline_size = htole32(place->cmdline_max);
}

/*
 * Linux reserves the page and shows it to all (mode 0444), until somebody says
 * chmod, by /sys/kernel/boot_params/setup_data/0/data ([BOOT] 1.3, setup_data).
 */
int boot_write_setup_data(struct gmem *gm)
{
	struct {
		struct setup_data head;
		struct setup_indirect body;
	} d = {
		.head.type = htole32(INDIRECT),
		.head.len = htole32(sizeof(d.body)),
		.body.type = htole32(SECRET_TYPE),
		.body.len = htole64(PAGE_SIZE),
		.body.addr = htole64(SHIM_SECRET),
	};

	int r = gmem_write(gm, BOOT_SETUP_DATA, &d, sizeof(d));

	return r < 0 ? r : boot_blank(gm, BOOT_SETUP_DATA, sizeof(d));
}

int boot_write_params(struct gmem *gm, const struct boot_place *place)
{
	struct boot_params bp;

	memset(&bp, 0, sizeof(bp));
	if (place->hdr)
		memcpy((uint8_t *)&bp + BOOT_HDR_OFF, place->hdr,
		       place->hdr_size);
	else
		fill_elf_header(&bp.hdr, place);

	bp.hdr.type_of_loader = LOADER_UNDEFINED;
	bp.hdr.ext_loader_type = 0;
	bp.hdr.ext_loader_ver = 0;
	/* What KASLR did is for the kernel itself to note. */
	bp.hdr.loadflags &= (uint8_t)~KASLR_FLAG;
	/* A file has no business to bring a list of its own. */
	bp.hdr.setup_data = place->shim ? htole64(BOOT_SETUP_DATA) : 0;
	bp.hdr.cmd_line_ptr = htole32(BOOT_CMDLINE);
	bp.hdr.ramdisk_image = htole32((uint32_t)place->initrd);
	bp.hdr.ramdisk_size = htole32((uint32_t)place->initrd_size);
	bp.ext_ramdisk_image = htole32((uint32_t)(place->initrd >> 32));
	bp.ext_ramdisk_size = htole32((uint32_t)(place->initrd_size >> 32));
	bp.ext_cmd_line_ptr = 0;
	bp.acpi_rsdp_addr = htole64(BOOT_ACPI);
	fill_e820(&bp, gm, place->shim);
	return gmem_write(gm, BOOT_PARAMS, &bp, sizeof(bp));
}
