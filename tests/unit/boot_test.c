/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files to guest memory: what is refused, and what the kernel finds. */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/util.h"
#include "vmm/boot.h"

#define KERNEL_SIZE 20000u
#define SETUP_SIZE  (5 * 512u)

struct fixture {
	char dir[32];
	char kernel[64], initrd[64], other[64];
	struct gmem gm;
	struct boot_files bf;
	struct boot_info info;
	struct boot_error err;
};

static void put_file(const char *path, const void *buf, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(buf, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* Setup header of a good kernel, then bytes that can be told apart. */
static void make_kernel(uint8_t *f)
{
	uint32_t i;

	for (i = 0; i < KERNEL_SIZE; i++)
		f[i] = (uint8_t)(i * 7 + (i >> 8));
	memset(f, 0xff, SETUP_SIZE);
	memset(f + 0x1f1, 0, 0x26c - 0x1f1);
	f[0x1f1] = 4;
	put_le16(f + 0x1fe, 0xaa55);
	f[0x200] = 0xeb;
	f[0x201] = 0x6a;
	memcpy(f + 0x202, "HdrS", 4);
	put_le16(f + 0x206, 0x020f);
	f[0x211] = 1;
	put_le32(f + 0x22c, 0x7fffffff);
	put_le32(f + 0x230, 0x200000);
	f[0x234] = 1;
	put_le16(f + 0x236, 1);
	put_le32(f + 0x238, 100);    /* cmdline_size */
	put_le64(f + 0x250, 0x1234); /* setup_data: must not get through */
	put_le64(f + 0x258, MIB(16));
	put_le32(f + 0x260, MIB(8)); /* init_size */
}

static int setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));
	uint8_t kernel[KERNEL_SIZE];

	assert_non_null(fx);
	strcpy(fx->dir, "/tmp/csvvmm-boot.XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	snprintf(fx->kernel, sizeof(fx->kernel), "%s/kernel", fx->dir);
	snprintf(fx->initrd, sizeof(fx->initrd), "%s/initrd", fx->dir);
	snprintf(fx->other, sizeof(fx->other), "%s/other", fx->dir);
	make_kernel(kernel);
	put_file(fx->kernel, kernel, sizeof(kernel));
	put_file(fx->initrd, "initrd!", 7);
	fx->bf = (struct boot_files){ -1, -1 };
	assert_int_equal(gmem_init(&fx->gm, MIB(64), false), 0);
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;

	boot_close(&fx->bf);
	gmem_fini(&fx->gm);
	(void)unlink(fx->kernel);
	(void)unlink(fx->initrd);
	(void)unlink(fx->other);
	(void)rmdir(fx->other);
	assert_int_equal(rmdir(fx->dir), 0);
	free(fx);
	return 0;
}

static void speaks_of(const struct fixture *fx, const char *word)
{
	if (!strstr(fx->err.text, word))
		fail_msg("'%s' does not speak of '%s'", fx->err.text, word);
	assert_null(strchr(fx->err.text, '\n'));
}

static void refuse_open(struct fixture *fx, const char *kernel,
			const char *initrd, int r, const char *word)
{
	assert_int_equal(boot_open(&fx->bf, kernel, initrd, &fx->err), r);
	assert_int_equal(fx->bf.kernel_fd, -1);
	assert_int_equal(fx->bf.initrd_fd, -1);
	speaks_of(fx, initrd ? initrd : kernel);
	speaks_of(fx, word);
}

static int load(struct fixture *fx, const char *cmdline)
{
	const struct boot_opts opts = { .cmdline = cmdline, .n_vcpus = 2 };

	return boot_load(&fx->gm, &fx->bf, &opts, &fx->info, &fx->err);
}

static void open_and_load(struct fixture *fx, const char *initrd)
{
	assert_int_equal(boot_open(&fx->bf, fx->kernel, initrd, &fx->err), 0);
	assert_int_equal(load(fx, "console=ttyS0"), 0);
}

static uint64_t get64(const struct fixture *fx, gpa_t at)
{
	uint8_t b[8];

	assert_int_equal(gmem_read(&fx->gm, at, b, sizeof(b)), 0);
	return get_le64(b);
}

static uint32_t get32(const struct fixture *fx, gpa_t at)
{
	return (uint32_t)get64(fx, at);
}

static void open_missing(void **state)
{
	struct fixture *fx = *state;

	refuse_open(fx, fx->other, NULL, -ENOENT, "No such file");
	refuse_open(fx, fx->kernel, fx->other, -ENOENT, "initrd");
}

static void open_empty(void **state)
{
	struct fixture *fx = *state;

	put_file(fx->other, "", 0);
	refuse_open(fx, fx->other, NULL, -EINVAL, "empty");
	refuse_open(fx, fx->kernel, fx->other, -EINVAL, "empty");
}

static void open_directory(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(mkdir(fx->other, 0700), 0);
	refuse_open(fx, fx->other, NULL, -EISDIR, "directory");
}

/* Nobody writes to it: a plain open() would wait for ever. */
static void open_fifo(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(mkfifo(fx->other, 0600), 0);
	refuse_open(fx, fx->other, NULL, -EINVAL, "regular");
	refuse_open(fx, "/dev/zero", NULL, -EINVAL, "regular");
}

static void open_huge(void **state)
{
	struct fixture *fx = *state;

	put_file(fx->other, "x", 1);
	assert_int_equal(truncate(fx->other, 1LL << 31), 0);
	refuse_open(fx, fx->other, NULL, -EFBIG, "too large");
	refuse_open(fx, fx->kernel, fx->other, -EFBIG, "too large");
}

static void tables(void **state)
{
	struct fixture *fx = *state;
	uint64_t addr;

	open_and_load(fx, NULL);
	assert_int_equal(fx->info.entry, MIB(16) + 0x200);
	assert_int_equal(fx->info.rsi, BOOT_PARAMS);
	assert_int_equal(fx->info.cr3, BOOT_PAGE_TABLES);

	/* Walk the page tables as the processor does. */
	for (addr = 0; addr < GIB(4); addr += MIB(2)) {
		uint64_t e = get64(fx, fx->info.cr3 + (addr >> 39) * 8);

		assert_int_equal(e & 0xfff, 3);
		e = get64(fx, (e & ~0xfffULL) + (addr >> 30 & 511) * 8);
		assert_int_equal(e & 0xfff, 3);
		e = get64(fx, (e & ~0xfffULL) + (addr >> 21 & 511) * 8);
		assert_int_equal(e, addr | 0x83);
	}
	/* Nothing above 4 GiB. */
	assert_int_equal(get64(fx, fx->info.cr3 + 8), 0);
	assert_int_equal(get64(fx, BOOT_PAGE_TABLES + 0x1000 + 4 * 8), 0);

	/* [BOOT] 1.15: 0x10 execute/read, 0x18 read/write, flat, 64-bit. */
	assert_int_equal(get64(fx, BOOT_GDT), 0);
	assert_int_equal(get64(fx, BOOT_GDT + 0x10), 0x00af9b000000ffff);
	assert_int_equal(get64(fx, BOOT_GDT + 0x18), 0x00cf93000000ffff);
}

/* What a jump to F000:FFF0 runs: writes 1 to port 0x602, then stops. */
static void reset_vector(void **state)
{
	static const uint8_t want[] = { 0xba, 0x02, 0x06, 0xb0, 0x01,
					0xee, 0xfa, 0xf4, 0xeb, 0xfc };
	struct fixture *fx = *state;
	uint8_t got[sizeof(want)];

	open_and_load(fx, NULL);
	assert_int_equal(gmem_read(&fx->gm, 0xffff0, got, sizeof(got)), 0);
	assert_memory_equal(got, want, sizeof(want));
}

static void params(void **state)
{
	struct fixture *fx = *state;
	uint8_t bp[4096], sig[8];
	char cmdline[14];

	open_and_load(fx, NULL);
	assert_int_equal(gmem_read(&fx->gm, BOOT_PARAMS, bp, sizeof(bp)), 0);
	/* Only the setup header may come from the file; sentinel stays 0. */
	assert_int_equal(bp[0x1ef], 0);
	assert_int_equal(bp[0x1f1], 4);
	assert_int_equal(bp[0x26c], 0);
	assert_int_equal(get_le32(bp + 0x202), 0x53726448);
	assert_int_equal(bp[0x210], 0xff); /* type_of_loader */
	assert_int_equal(bp[0x211] & 1, 1);
	assert_int_equal(get_le32(bp + 0x218), 0); /* no initrd */
	assert_int_equal(get_le32(bp + 0x21c), 0);
	assert_int_equal(get_le32(bp + 0x228), BOOT_CMDLINE);
	assert_int_equal(get_le64(bp + 0x250), 0); /* setup_data */
	assert_int_equal(get_le64(bp + 0x70), BOOT_ACPI);
	assert_int_equal(gmem_read(&fx->gm, BOOT_ACPI, sig, 8), 0);
	assert_memory_equal(sig, "RSD PTR ", 8);
	assert_int_equal(gmem_read(&fx->gm, BOOT_CMDLINE, cmdline, 14), 0);
	assert_string_equal(cmdline, "console=ttyS0");
}

static void payload(void **state)
{
	struct fixture *fx = *state;
	uint8_t want[KERNEL_SIZE], got[KERNEL_SIZE - SETUP_SIZE];
	uint64_t bitmap[MIB(64) / 4096 / 64] = { 0 };

	open_and_load(fx, NULL);
	make_kernel(want);
	assert_int_equal(gmem_read(&fx->gm, MIB(16), got, sizeof(got)), 0);
	assert_memory_equal(got, want + SETUP_SIZE, sizeof(got));
	/* KVM's dirty log never sees these writes; ours must. */
	gmem_dirty_fetch(&fx->gm, 0, bitmap);
	assert_true(bitmap[MIB(16) / 4096 / 64] & 1);
	assert_true(bitmap[0] >> (BOOT_PARAMS / 4096) & 1);
}

static void expect_e820(const struct fixture *fx, unsigned i, uint64_t start,
			uint64_t size, uint32_t type)
{
	gpa_t e = BOOT_PARAMS + 0x2d0 + i * 20;

	assert_int_equal(get64(fx, e), start);
	assert_int_equal(get64(fx, e + 8), size);
	assert_int_equal(get32(fx, e + 16), type);
}

static unsigned e820_count(const struct fixture *fx)
{
	return get32(fx, BOOT_PARAMS + 0x1e8) & 0xff;
}

static void e820_small(void **state)
{
	struct fixture *fx = *state;

	open_and_load(fx, NULL);
	assert_int_equal(e820_count(fx), 4);
	expect_e820(fx, 0, 0, 0xa0000, 1);
	expect_e820(fx, 1, 0xe0000, 0x20000, 3);
	expect_e820(fx, 2, MIB(1), MIB(63), 1);
	expect_e820(fx, 3, 0xe8000000, MIB(1), 2);
}

/* RAM on both sides of the hole; memfd memory costs nothing untouched. */
static void e820_large(void **state)
{
	struct fixture *fx = *state;

	gmem_fini(&fx->gm);
	assert_int_equal(gmem_init(&fx->gm, GIB(8), false), 0);
	open_and_load(fx, fx->initrd);
	assert_int_equal(e820_count(fx), 5);
	expect_e820(fx, 2, MIB(1), GIB(3) - MIB(1), 1);
	expect_e820(fx, 4, GIB(4), GIB(5), 1);
	/* initrd_addr_max is the last byte that it may occupy. */
	assert_int_equal(get32(fx, BOOT_PARAMS + 0x218), GIB(2) - 4096);
}

static void initrd_place(void **state)
{
	struct fixture *fx = *state;
	char buf[8] = "";

	open_and_load(fx, fx->initrd);
	assert_int_equal(get32(fx, BOOT_PARAMS + 0x218), MIB(64) - 4096);
	assert_int_equal(get32(fx, BOOT_PARAMS + 0x21c), 7);
	assert_int_equal(get32(fx, BOOT_PARAMS + 0xc0), 0);
	assert_int_equal(get32(fx, BOOT_PARAMS + 0xc4), 0);
	assert_int_equal(gmem_read(&fx->gm, MIB(64) - 4096, buf, 7), 0);
	assert_string_equal(buf, "initrd!");
}

/* Kernel's area is 16..24 MiB: 40 MiB are left, not a byte more. */
static void initrd_room(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(truncate(fx->initrd, (off_t)MIB(40)), 0);
	open_and_load(fx, fx->initrd);
	assert_int_equal(get32(fx, BOOT_PARAMS + 0x218), MIB(24));
	assert_int_equal(truncate(fx->initrd, (off_t)MIB(40) + 1), 0);
	assert_int_equal(load(fx, ""), -ENOSPC);
	speaks_of(fx, "initrd");
	speaks_of(fx, "memory");
}

static void no_room_for_kernel(void **state)
{
	struct fixture *fx = *state;

	gmem_fini(&fx->gm);
	assert_int_equal(gmem_init(&fx->gm, MIB(24) - 4096, false), 0);
	assert_int_equal(boot_open(&fx->bf, fx->kernel, NULL, &fx->err), 0);
	assert_int_equal(load(fx, ""), -EINVAL);
	speaks_of(fx, "memory = \"24M\" at least");
	gmem_fini(&fx->gm);
	assert_int_equal(gmem_init(&fx->gm, MIB(24), false), 0);
	assert_int_equal(load(fx, ""), 0);
}

static void cmdline_limit(void **state)
{
	struct fixture *fx = *state;
	char line[102];

	assert_int_equal(boot_open(&fx->bf, fx->kernel, NULL, &fx->err), 0);
	memset(line, 'x', sizeof(line));
	line[100] = 0;
	assert_int_equal(load(fx, line), 0); /* cmdline_size excludes the zero */
	line[100] = 'x';
	line[101] = 0;
	assert_int_equal(load(fx, line), -E2BIG);
	speaks_of(fx, "cmdline");
	speaks_of(fx, "100");
}

/* The file is what it was at boot_open(), or the load fails; no SIGBUS. */
static void changed_between(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(boot_open(&fx->bf, fx->kernel, fx->initrd, &fx->err), 0);
	assert_int_equal(truncate(fx->kernel, 5000), 0);
	(void)load(fx, ""); /* consistent in itself: either answer */
	assert_int_equal(truncate(fx->kernel, 3000), 0);
	assert_int_equal(load(fx, ""), -EINVAL);
	speaks_of(fx, "truncated");
	assert_int_equal(truncate(fx->kernel, 0), 0);
	assert_int_equal(load(fx, ""), -EINVAL);
	speaks_of(fx, "kernel");
}

static void not_a_kernel(void **state)
{
	struct fixture *fx = *state;

	put_file(fx->other, "#!/bin/sh\n", 10);
	assert_int_equal(boot_open(&fx->bf, fx->other, NULL, &fx->err), 0);
	assert_int_equal(load(fx, ""), -EINVAL);
	speaks_of(fx, "neither a bzImage nor an ELF");
}

static void too_many_vcpus(void **state)
{
	struct fixture *fx = *state;

	assert_int_equal(boot_open(&fx->bf, fx->kernel, NULL, &fx->err), 0);
	assert_int_equal(boot_load(&fx->gm, &fx->bf,
				   &(struct boot_opts){ "", 255, NULL, BOOT_FIRST },
				   &fx->info, &fx->err),
			 -EINVAL);
	speaks_of(fx, "255");
	assert_int_equal(boot_load(&fx->gm, &fx->bf,
				   &(struct boot_opts){ "", 254, NULL, BOOT_FIRST },
				   &fx->info, &fx->err),
			 0);
}

/* A reset loads again over a used machine. */
static void load_twice(void **state)
{
	struct fixture *fx = *state;
	uint8_t first[4096], second[4096];

	open_and_load(fx, fx->initrd);
	assert_int_equal(gmem_read(&fx->gm, BOOT_PARAMS, first, 4096), 0);
	assert_int_equal(gmem_fill(&fx->gm, 0, 0xee, MIB(64)), 0);
	assert_int_equal(load(fx, "console=ttyS0"), 0);
	assert_int_equal(gmem_read(&fx->gm, BOOT_PARAMS, second, 4096), 0);
	assert_memory_equal(first, second, 4096);
	assert_int_equal(get64(fx, BOOT_PAGE_TABLES + 8), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(open_missing),    T(open_empty),    T(open_directory),
		T(open_fifo),	    T(open_huge),     T(tables),
		T(reset_vector),    T(params),	      T(payload),
		T(e820_small),	    T(e820_large),    T(initrd_place),
		T(initrd_room),	    T(cmdline_limit), T(no_room_for_kernel),
		T(changed_between), T(not_a_kernel),  T(too_many_vcpus),
		T(load_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
