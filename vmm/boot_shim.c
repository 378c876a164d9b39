/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shim in an encrypted guest's memory: the first code it runs, the page
 * that tells it what to take over, and page tables with the C-bit.
 */
#include "vmm/boot_internal.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "core/util.h"
#include "psp/crypto.h"
#include "shim/shim.h"
#include "vmm/shim_image.h"

static_assert(sizeof(shim_image) <= SHIM_CONFIG - SHIM_CODE, "the shim's page");
static_assert(BOOT_REGIONS_MAX <= SHIM_PIECES_MAX, "a piece a region");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as the guest");

#define LEGACY_VIDEO_END 0xe0000

/* Present, writable, accessed; a page of 1 GiB that is dirty. Preset, so that
 * the processor has no reason to write to measured pages. */
#define PTE_TABLE 0x23
#define PTE_GIB	  0xe3

/* Flat, accessed segments: 64-bit code, data; 16-bit code with the base of the
 * shim's page, 16-bit data. */
static const uint64_t gdt[6] = {
	0,
	0,
	0x00af9b000000ffff,
	0x00cf93000000ffff,
	0x00009b000000ffff | (uint64_t)SHIM_CODE << 16,
	0x000093000000ffff,
};
static_assert(SHIM_CS == 2 * 8 && SHIM_DS == 3 * 8 && SHIM_CS16 == 4 * 8 &&
		      SHIM_DS16 == 5 * 8,
	      "selectors");

/* 256 GiB with the C-bit, and the same again without. */
static int write_tables(struct gmem *gm, uint64_t c)
{
	uint8_t pdpt[PAGE_SIZE], pml4[PAGE_SIZE] = { 0 };
	unsigned i;
	int r;

	put_le64(pml4, SHIM_PDPT | c | PTE_TABLE);
	for (i = 0; i < 256; i++) {
		put_le64(pdpt + i * 8, GIB(i) | c | PTE_GIB);
		put_le64(pdpt + (256 + i) * 8, GIB(i) | PTE_GIB);
	}
	static_assert(SHIM_SHARED == GIB(256), "half of a table");
	r = gmem_write(gm, SHIM_PML4, pml4, sizeof(pml4));
	return r < 0 ? r : gmem_write(gm, SHIM_PDPT, pdpt, sizeof(pdpt));
}

static int piece_hash(const struct gmem *gm, const struct boot_region *reg,
		      uint8_t out[32])
{
	struct psp_hash *h = NULL;
	int r = psp_hash_new(psp_suite(PSP_AMD), &h); /* SHA-256 */

	if (!r)
		r = boot_hash_region(gm, reg, h, NULL);
	if (!r)
		r = psp_hash_peek(h, out);
	psp_hash_free(h);
	return r;
}

/* All that is there by now, by address. */
static int add_pieces(const struct gmem *gm, struct boot_info *info,
		      struct shim_config *cfg)
{
	unsigned i;
	int r = 0;

	boot_sort_regions(info);
	for (i = 0; !r && i < info->n_regions; i++) {
		struct boot_region *reg = &info->region[i];
		struct shim_piece *p = &cfg->piece[cfg->n_pieces++];

		p->range = (struct shim_range){ reg->at, reg->len };
		r = piece_hash(gm, reg, p->sha256);
		reg->staged = true;
	}
	return r;
}

static void add_clear(struct shim_config *cfg, gpa_t from, gpa_t to)
{
	cfg->clear[cfg->n_clear++] = (struct shim_range){ from, to - from };
}

/* @write: else only what it would be is noted. */
static int write_config(struct gmem *gm, const struct boot_encryption *enc,
			bool write, struct boot_info *info)
{
	union {
		struct shim_config cfg;
		uint8_t page[PAGE_SIZE];
	} u;
	struct shim_config *cfg = &u.cfg;
	int r = 0;

	memset(&u, 0, sizeof(u));
	cfg->magic = SHIM_MAGIC;
	cfg->version = SHIM_VERSION;
	cfg->c_bit = BIT(enc->c_bit);
	cfg->entry = info->entry;
	cfg->boot_params = info->rsi;
	memcpy(cfg->gdt, gdt, sizeof(gdt));
	cfg->flags = enc->es ? SHIM_FLAG_ES : 0;
	/* Linux looks here for what a BIOS leaves; it is noise else. */
	add_clear(cfg, 0, PAGE_SIZE);
	add_clear(cfg, SHIM_END, LEGACY_VIDEO_END);
	if (enc->staged)
		r = add_pieces(gm, info, cfg);
	if (!r)
		r = psp_digest(psp_suite(PSP_AMD),
			       &(struct psp_part){ u.page, SHIM_CONFIG_HASHED },
			       1, u.page + SHIM_CONFIG_HASHED);
	if (r < 0)
		return r;
	memcpy(info->shim_config, u.page + SHIM_CONFIG_HASHED,
	       sizeof(info->shim_config));
	return write ? gmem_write(gm, SHIM_CONFIG, &u, sizeof(u)) : 0;
}

static int write_code(struct gmem *gm)
{
	int r = gmem_write(gm, SHIM_CODE, shim_image, sizeof(shim_image));

	return r < 0 ? r : boot_blank(gm, SHIM_CODE, sizeof(shim_image));
}

int boot_write_shim(struct gmem *gm, const struct boot_encryption *enc,
		    enum boot_again again, struct boot_info *info)
{
	bool write = again != BOOT_IN_PLACE;
	int r = write ? write_code(gm) : 0;

	if (!r && write)
		r = write_tables(gm, BIT(enc->c_bit));
	if (!r)
		r = write_config(gm, enc, write, info);
	if (r < 0)
		return r;
	info->entry = SHIM_ENTRY;
	info->ap_entry = enc->es ? SHIM_AP_ENTRY : 0;
	info->rsp = SHIM_STACK;
	info->cr3 = SHIM_PML4;
	info->gdt = SHIM_CONFIG + offsetof(struct shim_config, gdt);
	info->gdt_limit = sizeof(gdt) - 1;
	boot_note(info, "shim", SHIM_CODE, PAGE_SIZE);
	boot_note(info, "shim config", SHIM_CONFIG, PAGE_SIZE);
	boot_note(info, "page tables", SHIM_PML4, 2 * PAGE_SIZE);
	return 0;
}

static const char *piece_name(const struct boot_info *info, uint32_t piece)
{
	unsigned i;

	for (i = 0; i < info->n_regions; i++)
		if (info->region[i].staged && !piece--)
			return info->region[i].what;
	return NULL;
}

void boot_shim_words(const struct boot_info *info, uint32_t code,
		     struct boot_error *text)
{
	static const char *const words[] = {
		[SHIM_BAD_CONFIG] =
			"its configuration is damaged, or the C-bit is not where this host said",
		[SHIM_UNENCRYPTED] =
			"SEV_STATUS shows less encryption than the guest was launched with",
		[SHIM_BAD_C_BIT] =
			"memory with the C-bit is not encrypted (wrong C-bit position?)",
		[SHIM_NO_RANDOM] = "RDRAND gives no numbers",
		[SHIM_GHCB_VERSION] =
			"the host speaks no GHCB protocol version 1, or has another C-bit",
		[SHIM_JUMP_TABLE] = "the host did not take the AP jump table",
	};
	const char *piece;

	if (code < ARRAY_SIZE(words) && words[code]) {
		boot_fail(text, 0, "%s (code %u)", words[code], code);
		return;
	}
	piece = code >= SHIM_BAD_HASH ? piece_name(info, code - SHIM_BAD_HASH)
				      : NULL;
	if (piece)
		boot_fail(text, 0,
			  "%s is not what was measured: changed after the launch (code %u)",
			  piece, code);
	else
		boot_fail(text, 0, "unknown code %u", code);
}
