/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Headers of kernel files: bzImage and ELF. Offsets are those of [BOOT] 1.3. */
#include "tests/unit/test.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "core/bytes.h"
#include "core/util.h"
#include "vmm/boot_internal.h"

#define FILE_SIZE 8192u

/* A setup header as a good kernel has it; 4 setup sectors. */
static void good_bzimage(uint8_t *f)
{
	memset(f, 0, FILE_SIZE);
	f[0x1f1] = 4;
	put_le32(f + 0x1f4, (FILE_SIZE - 5 * 512) / 16); /* syssize */
	put_le16(f + 0x1fe, 0xaa55);
	f[0x200] = 0xeb;
	f[0x201] = 0x6a; /* header ends at 0x26c */
	memcpy(f + 0x202, "HdrS", 4);
	put_le16(f + 0x206, 0x020f);
	f[0x211] = 1; /* LOADED_HIGH */
	put_le32(f + 0x22c, 0x7fffffff);
	put_le32(f + 0x230, 0x200000);
	f[0x234] = 1;		/* relocatable */
	put_le16(f + 0x236, 1); /* XLF_KERNEL_64 */
	put_le32(f + 0x238, 2047);
	put_le32(f + 0x248, 0x300);  /* payload_offset */
	put_le32(f + 0x24c, 0x1000); /* payload_length */
	put_le64(f + 0x258, 0x1000000);
	put_le32(f + 0x260, 0x2000000);
}

static int parse(const uint8_t *f, uint64_t size, struct boot_kernel *k,
		 struct boot_error *err)
{
	err->text[0] = 0;
	return boot_parse_bzimage(f, MIN(size, FILE_SIZE), size, k, err);
}

static void expect_refused(const uint8_t *f, uint64_t size, const char *word)
{
	struct boot_kernel k, before;
	struct boot_error err;

	memset(&k, 0x5a, sizeof(k));
	before = k;
	assert_int_equal(parse(f, size, &k, &err), -EINVAL);
	assert_memory_equal(&k, &before, sizeof(k));
	if (!strstr(err.text, word))
		fail_msg("'%s' does not speak of '%s'", err.text, word);
	assert_null(strchr(err.text, '\n'));
}

static void bzimage_good(void **state)
{
	struct boot_error err;
	struct boot_kernel k;
	uint8_t f[FILE_SIZE];

	(void)state;
	good_bzimage(f);
	assert_int_equal(parse(f, FILE_SIZE, &k, &err), 0);
	assert_int_equal(k.format, BOOT_BZIMAGE);
	assert_int_equal(k.payload_off, 5 * 512);
	assert_int_equal(k.payload_size, FILE_SIZE - 5 * 512);
	assert_int_equal(k.load, 0x1000000);
	assert_int_equal(k.entry, 0x1000200);
	assert_int_equal(k.init_size, 0x2000000);
	assert_int_equal(k.initrd_max, 0x7fffffff);
	assert_int_equal(k.cmdline_max, 2047);
	assert_int_equal(k.setup_size, 0x26c - 0x1f1);

	/* setup_sects 0 means 4, for the sake of ancient kernels. */
	f[0x1f1] = 0;
	assert_int_equal(parse(f, FILE_SIZE, &k, &err), 0);
	assert_int_equal(k.payload_off, 5 * 512);

	/* The oldest protocol we take. */
	put_le16(f + 0x206, 0x020c);
	assert_int_equal(parse(f, FILE_SIZE, &k, &err), 0);

	/* Trailing bytes, such as a signature, are fine. */
	assert_int_equal(parse(f, FILE_SIZE + 999, &k, &err), 0);
}

static void bzimage_place(void **state)
{
	struct boot_error err;
	struct boot_kernel k;
	uint8_t f[FILE_SIZE];

	(void)state;
	good_bzimage(f);
	/* Never below 1 MiB, and aligned as asked. */
	put_le64(f + 0x258, 0);
	assert_int_equal(parse(f, FILE_SIZE, &k, &err), 0);
	assert_int_equal(k.load, 0x200000);
	put_le64(f + 0x258, 0x1000001);
	assert_int_equal(parse(f, FILE_SIZE, &k, &err), 0);
	assert_int_equal(k.load, 0x1200000);
	/* The header says less than what the file brings. */
	put_le32(f + 0x260, 1);
	assert_int_equal(parse(f, FILE_SIZE, &k, &err), 0);
	assert_int_equal(k.init_size, FILE_SIZE - 5 * 512);
	/* Numbers that would wrap around. */
	put_le64(f + 0x258, UINT64_MAX);
	expect_refused(f, FILE_SIZE, "preferred address");
	put_le64(f + 0x258, 0xbfffffff);
	put_le32(f + 0x230, 0x80000000);
	assert_int_equal(parse(f, FILE_SIZE, &k, &err), 0);
	assert_int_equal(k.load, 0x100000000);
}

static void bzimage_header_end(void **state)
{
	struct boot_error err;
	struct boot_kernel k;
	uint8_t f[FILE_SIZE];

	(void)state;
	good_bzimage(f);
	/* Longer than boot_params has room for: cut. */
	f[0x201] = 0xff;
	assert_int_equal(parse(f, FILE_SIZE, &k, &err), 0);
	assert_int_equal(k.setup_size, 0x290 - 0x1f1);
	f[0x201] = 0x62; /* just init_size */
	assert_int_equal(parse(f, FILE_SIZE, &k, &err), 0);
	f[0x201] = 0x61;
	expect_refused(f, FILE_SIZE, "damaged");
	f[0x201] = 0;
	expect_refused(f, FILE_SIZE, "damaged");
}

static void bzimage_kinds(void **state)
{
	uint8_t f[FILE_SIZE];

	(void)state;
	good_bzimage(f);
	put_le16(f + 0x206, 0x020b);
	expect_refused(f, FILE_SIZE, "2.11");
	good_bzimage(f);
	f[0x211] = 0;
	expect_refused(f, FILE_SIZE, "zImage");
	good_bzimage(f);
	put_le16(f + 0x236, 0xfffe);
	expect_refused(f, FILE_SIZE, "64-bit");
	good_bzimage(f);
	f[0x234] = 0;
	expect_refused(f, FILE_SIZE, "relocatable");
	good_bzimage(f);
	put_le32(f + 0x230, 0);
	expect_refused(f, FILE_SIZE, "kernel_alignment");
	put_le32(f + 0x230, 3);
	expect_refused(f, FILE_SIZE, "kernel_alignment");
}

static void bzimage_truncated(void **state)
{
	uint8_t f[FILE_SIZE];
	uint32_t size;

	(void)state;
	good_bzimage(f);
	/* From the end of the header fields on, every length is "truncated". */
	for (size = 0x26c; size < FILE_SIZE; size++)
		expect_refused(f, size, "truncated");
	/* Setup part larger than the file. */
	f[0x1f1] = 255;
	expect_refused(f, FILE_SIZE, "truncated");
	/* syssize far beyond the file, and at its largest. */
	good_bzimage(f);
	put_le32(f + 0x1f4, UINT32_MAX);
	expect_refused(f, FILE_SIZE, "truncated");
}

static void bzimage_payload(void **state)
{
	uint8_t f[FILE_SIZE];

	(void)state;
	good_bzimage(f);
	put_le32(f + 0x24c, FILE_SIZE - 5 * 512 - 0x300 + 1);
	expect_refused(f, FILE_SIZE, "payload");
	put_le32(f + 0x248, UINT32_MAX);
	put_le32(f + 0x24c, 2);
	expect_refused(f, FILE_SIZE, "payload");
	put_le32(f + 0x248, 2);
	put_le32(f + 0x24c, UINT32_MAX);
	expect_refused(f, FILE_SIZE, "payload");
}

static void bzimage_not_one(void **state)
{
	struct boot_error err;
	struct boot_kernel k;
	uint8_t f[FILE_SIZE];
	uint32_t len;

	(void)state;
	good_bzimage(f);
	for (len = 0; len < 0x26c; len++)
		assert_int_equal(parse(f, len, &k, &err), -ENOEXEC);
	f[0x202] = 'h';
	assert_int_equal(parse(f, FILE_SIZE, &k, &err), -ENOEXEC);
	good_bzimage(f);
	f[0x1fe] = 0;
	assert_int_equal(parse(f, FILE_SIZE, &k, &err), -ENOEXEC);
	/* More header bytes than file: the caller is wrong, not the parser. */
	good_bzimage(f);
	assert_int_equal(boot_parse_bzimage(f, FILE_SIZE, 100, &k, &err),
			 -ENOEXEC);
}

/* --- ELF --------------------------------------------------------------------- */

#define RAM MIB(64)

struct elf_image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[40];
	uint8_t body[4096];
};

static void good_elf(struct elf_image *f)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->eh.e_ident, ELFMAG, SELFMAG);
	f->eh.e_ident[EI_CLASS] = ELFCLASS64;
	f->eh.e_ident[EI_DATA] = ELFDATA2LSB;
	f->eh.e_ident[EI_VERSION] = EV_CURRENT;
	f->eh.e_type = ET_EXEC;
	f->eh.e_machine = EM_X86_64;
	f->eh.e_version = EV_CURRENT;
	f->eh.e_entry = MIB(16) + 8;
	f->eh.e_phoff = sizeof(f->eh);
	f->eh.e_ehsize = sizeof(f->eh);
	f->eh.e_phentsize = sizeof(Elf64_Phdr);
	f->eh.e_phnum = 2;
	f->ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
				 .p_offset = offsetof(struct elf_image, body),
				 .p_vaddr = 0xffffffff81000000,
				 .p_paddr = MIB(16),
				 .p_filesz = 100,
				 .p_memsz = 8192 };
	f->ph[1] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = UINT64_MAX };
}

static int parse_elf(const struct elf_image *f, struct boot_kernel *k,
		     struct boot_elf *elf, struct boot_error *err)
{
	struct elf_image copy = *f; /* the parser may change it */

	err->text[0] = 0;
	return boot_parse_elf((uint8_t *)&copy, sizeof(copy), sizeof(copy), RAM,
			      k, elf, err);
}

static void expect_elf_refused(const struct elf_image *f, const char *word)
{
	struct boot_error err;
	struct boot_kernel k;
	struct boot_elf elf;

	assert_int_equal(parse_elf(f, &k, &elf, &err), -EINVAL);
	if (!strstr(err.text, word))
		fail_msg("'%s' does not speak of '%s'", err.text, word);
}

static void elf_good(void **state)
{
	struct boot_error err;
	struct boot_kernel k;
	struct elf_image f;
	struct boot_elf elf;

	(void)state;
	good_elf(&f);
	assert_int_equal(parse_elf(&f, &k, &elf, &err), 0);
	assert_int_equal(k.format, BOOT_ELF);
	assert_int_equal(k.entry, MIB(16) + 8);
	assert_int_equal(k.load, MIB(16));
	assert_int_equal(k.init_size, 8192);
	assert_int_equal(elf.n, 1);
	assert_int_equal(elf.seg[0].at, MIB(16));
	assert_int_equal(elf.seg[0].file_size, 100);
	assert_int_equal(elf.seg[0].mem_size, 8192);

	/* Section headers are none of our business, however wrong. */
	f.eh.e_shoff = UINT64_MAX;
	f.eh.e_shnum = 0xffff;
	f.eh.e_shentsize = 1;
	assert_int_equal(parse_elf(&f, &k, &elf, &err), 0);

	/* An entry in the part that the file doesn't bring is odd but legal. */
	f.eh.e_entry = MIB(16) + 8191;
	assert_int_equal(parse_elf(&f, &k, &elf, &err), 0);
}

static void elf_kinds(void **state)
{
	struct elf_image f;

	(void)state;
	good_elf(&f);
	f.eh.e_machine = EM_AARCH64;
	expect_elf_refused(&f, "machine");
	good_elf(&f);
	f.eh.e_type = ET_DYN;
	expect_elf_refused(&f, "executable");
	good_elf(&f);
	f.eh.e_ident[EI_CLASS] = ELFCLASS32;
	expect_elf_refused(&f, "64-bit");
	good_elf(&f);
	f.eh.e_ident[EI_DATA] = ELFDATA2MSB;
	expect_elf_refused(&f, "little-endian");
	good_elf(&f);
	f.eh.e_entry = MIB(16) + 8192;
	expect_elf_refused(&f, "entry");
	f.eh.e_entry = 0;
	expect_elf_refused(&f, "entry");
}

static void elf_segments(void **state)
{
	struct elf_image f;
	unsigned i;

	(void)state;
	good_elf(&f);
	f.ph[0].p_offset = sizeof(f) - 99;
	expect_elf_refused(&f, "truncated");
	f.ph[0].p_offset = UINT64_MAX - 10;
	expect_elf_refused(&f, "truncated");
	good_elf(&f);
	f.ph[0].p_filesz = UINT64_MAX;
	expect_elf_refused(&f, "truncated");
	good_elf(&f);
	f.ph[0].p_memsz = 99;
	expect_elf_refused(&f, "larger in the file");
	good_elf(&f);
	f.ph[0].p_paddr = MIB(1) - 1;
	expect_elf_refused(&f, "first MiB");
	f.ph[0].p_paddr = RAM - 8191;
	expect_elf_refused(&f, "fit");
	f.ph[0].p_paddr = UINT64_MAX - 100;
	expect_elf_refused(&f, "fit");
	good_elf(&f);
	f.ph[0].p_memsz = UINT64_MAX - MIB(16) + 1;
	expect_elf_refused(&f, "fit");
	good_elf(&f);
	for (i = 1; i < 33; i++)
		f.ph[i] = f.ph[0];
	f.eh.e_phnum = 33;
	expect_elf_refused(&f, "segments");
}

static void elf_tables(void **state)
{
	struct elf_image f;

	(void)state;
	good_elf(&f);
	f.eh.e_phnum = 0;
	expect_elf_refused(&f, "");
	good_elf(&f);
	f.eh.e_phoff = 0;
	expect_elf_refused(&f, "");
	good_elf(&f);
	f.eh.e_phoff = sizeof(f) - 60;
	expect_elf_refused(&f, "");
	good_elf(&f);
	f.eh.e_phoff = UINT64_MAX - 7;
	expect_elf_refused(&f, "");
	good_elf(&f);
	f.eh.e_phnum = PN_XNUM;
	expect_elf_refused(&f, "");
	/* Unaligned tables: whatever the answer, no crash. */
	good_elf(&f);
	memmove((char *)&f.ph[0] + 1, &f.ph[0], sizeof(f.ph[0]) * 2);
	f.eh.e_phoff++;
	{
		struct boot_error err;
		struct boot_kernel k;
		struct boot_elf elf;

		assert_int_equal(parse_elf(&f, &k, &elf, &err), 0);
		assert_int_equal(elf.n, 1);
	}
}

static void elf_cut(void **state)
{
	struct boot_error err;
	struct boot_kernel k;
	struct elf_image f;
	struct boot_elf elf;
	uint64_t len;

	(void)state;
	for (len = 0; len < sizeof(f.eh) + 2 * sizeof(f.ph[0]); len++) {
		good_elf(&f);
		assert_int_equal(boot_parse_elf((uint8_t *)&f, len, len, RAM,
						&k, &elf, &err),
				 len < EI_NIDENT ? -ENOEXEC : -EINVAL);
	}
	good_elf(&f);
	f.eh.e_ident[0] = 0;
	assert_int_equal(boot_parse_elf((uint8_t *)&f, sizeof(f), sizeof(f),
					RAM, &k, &elf, &err),
			 -ENOEXEC);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bzimage_good),
		cmocka_unit_test(bzimage_place),
		cmocka_unit_test(bzimage_header_end),
		cmocka_unit_test(bzimage_kinds),
		cmocka_unit_test(bzimage_truncated),
		cmocka_unit_test(bzimage_payload),
		cmocka_unit_test(bzimage_not_one),
		cmocka_unit_test(elf_good),
		cmocka_unit_test(elf_kinds),
		cmocka_unit_test(elf_segments),
		cmocka_unit_test(elf_tables),
		cmocka_unit_test(elf_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
