/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An ELF kernel from file to guest memory. */
#include "tests/unit/test.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/util.h"
#include "vmm/boot.h"

struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	uint8_t text[300], data[50];
};

static int make_elf(struct image *f)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	memset(f, 0, sizeof(*f));
	memcpy(f->eh.e_ident, ELFMAG, SELFMAG);
	f->eh.e_ident[EI_CLASS] = ELFCLASS64;
	f->eh.e_ident[EI_DATA] = ELFDATA2LSB;
	f->eh.e_ident[EI_VERSION] = EV_CURRENT;
	f->eh.e_type = ET_EXEC;
	f->eh.e_machine = EM_X86_64;
	f->eh.e_version = EV_CURRENT;
	f->eh.e_entry = MIB(1);
	f->eh.e_phoff = offsetof(struct image, ph);
	f->eh.e_ehsize = sizeof(f->eh);
	f->eh.e_phentsize = sizeof(Elf64_Phdr);
	f->eh.e_phnum = 2;
	f->ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
				 .p_paddr = MIB(1),
				 .p_offset = offsetof(struct image, text),
				 .p_filesz = 300,
				 .p_memsz = 300 };
	f->ph[1] = (Elf64_Phdr){ .p_type = PT_LOAD,
				 .p_paddr = MIB(1) + 4096,
				 .p_offset = offsetof(struct image, data),
				 .p_filesz = 50,
				 .p_memsz = 5000 };
	memset(f->text, 0x11, sizeof(f->text));
	memset(f->data, 0x22, sizeof(f->data));
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, f, sizeof(*f), 0), sizeof(*f));
	return fd;
}

static void loads(void **state)
{
	struct boot_files bf = { .initrd_fd = -1 };
	uint8_t got[5000], bp[4096];
	struct boot_error err;
	struct boot_info info;
	struct image f;
	struct gmem gm;
	unsigned i;

	(void)state;
	bf.kernel_fd = make_elf(&f);
	assert_int_equal(gmem_init(&gm, MIB(4), false), 0);
	/* Garbage of a former life: what the file doesn't bring is zeroed. */
	assert_int_equal(gmem_fill(&gm, 0, 0xee, MIB(4)), 0);
	assert_int_equal(
		boot_load(&gm, &bf,
			  &(struct boot_opts){ "a b", 1, NULL, BOOT_FIRST },
			  &info, &err),
		0);
	assert_int_equal(info.entry, MIB(1));
	assert_int_equal(info.rsi, BOOT_PARAMS);
	assert_int_equal(info.rsp, BOOT_STACK);
	assert_int_equal(gmem_read(&gm, MIB(1), got, 300), 0);
	assert_memory_equal(got, f.text, 300);
	assert_int_equal(gmem_read(&gm, MIB(1) + 4096, got, 5000), 0);
	assert_memory_equal(got, f.data, 50);
	for (i = 50; i < 5000; i++)
		assert_int_equal(got[i], 0);

	/* Linux's vmlinux looks at these although there is no header. */
	assert_int_equal(gmem_read(&gm, BOOT_PARAMS, bp, sizeof(bp)), 0);
	assert_int_equal(get_le16(bp + 0x1fe), 0xaa55);
	assert_int_equal(get_le32(bp + 0x202), 0x53726448);
	assert_int_equal(bp[0x210], 0xff);
	assert_int_equal(get_le32(bp + 0x228), BOOT_CMDLINE);
	assert_int_equal(bp[0x1e8], 4);
	boot_close(&bf);
	gmem_fini(&gm);
}

static void cut_after_open(void **state)
{
	struct boot_files bf = { .initrd_fd = -1 };
	struct boot_error err;
	struct boot_info info;
	struct image f;
	struct gmem gm;
	size_t len;

	(void)state;
	assert_int_equal(gmem_init(&gm, MIB(4), false), 0);
	bf.kernel_fd = make_elf(&f);
	for (len = offsetof(struct image, data) + 49; len > 0;
	     len -= MIN(len, 13)) {
		assert_int_equal(ftruncate(bf.kernel_fd, (off_t)len), 0);
		assert_int_equal(
			boot_load(&gm, &bf,
				  &(struct boot_opts){ "", 1, NULL, BOOT_FIRST },
				  &info, &err),
			-EINVAL);
	}
	boot_close(&bf);
	gmem_fini(&gm);
}

/* The last segment ends 5000 bytes past its page: two pages must be there. */
static void small_guest(void **state)
{
	struct boot_files bf = { .initrd_fd = -1 };
	struct boot_error err;
	struct boot_info info;
	struct image f;
	struct gmem gm;

	(void)state;
	bf.kernel_fd = make_elf(&f);
	assert_int_equal(gmem_init(&gm, MIB(1), false), 0);
	assert_int_equal(boot_load(&gm, &bf,
				   &(struct boot_opts){ "", 1, NULL, BOOT_FIRST },
				   &info, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "fit"));
	gmem_fini(&gm);
	assert_int_equal(gmem_init(&gm, MIB(1) + 8192, false), 0);
	assert_int_equal(boot_load(&gm, &bf,
				   &(struct boot_opts){ "", 1, NULL, BOOT_FIRST },
				   &info, &err),
			 -EINVAL);
	gmem_fini(&gm);
	assert_int_equal(gmem_init(&gm, MIB(1) + 12288, false), 0);
	assert_int_equal(boot_load(&gm, &bf,
				   &(struct boot_opts){ "", 1, NULL, BOOT_FIRST },
				   &info, &err),
			 0);
	gmem_fini(&gm);
	boot_close(&bf);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads),
		cmocka_unit_test(cut_after_open),
		cmocka_unit_test(small_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
