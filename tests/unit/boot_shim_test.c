/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An encrypted guest's memory: what is measured, what the shim will take over.
 * Page tables by [APM] 2, 5.3.4 (long mode, 1 GiB pages); hashes by OpenSSL.
 */
#include "tests/unit/test.h"

#include <asm/bootparam.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/util.h"
#include "shim/shim.h"
#include "vmm/boot.h"
#include "vmm/vmsa.h"

#include <linux/kvm.h>

/* The shim's own, compiled for this machine. */
#include "shim/sha256.c"

#define C_BIT 47

static struct gmem gm;
static struct boot_info info;
static struct boot_error err;

/* A tiny ELF kernel, as the build makes it. */
static void load(bool es, bool staged)
{
	struct boot_encryption enc = { C_BIT, es, staged };
	struct boot_opts opts = { "a b", 3, &enc, BOOT_FIRST };
	struct boot_files bf;
	char path[256];

	snprintf(path, sizeof(path), "%s/guest/hello.elf",
		 getenv("BUILD") ? getenv("BUILD") : "build");
	assert_int_equal(gmem_init(&gm, MIB(16), false), 0);
	assert_int_equal(boot_open(&bf, path, NULL, &err), 0);
	assert_int_equal(boot_load(&gm, &bf, &opts, &info, &err), 0);
	boot_close(&bf);
}

static struct shim_config get_config(void)
{
	struct shim_config cfg;

	assert_int_equal(gmem_read(&gm, SHIM_CONFIG, &cfg, sizeof(cfg)), 0);
	return cfg;
}

static uint64_t get64(gpa_t at)
{
	uint8_t b[8];

	assert_int_equal(gmem_read(&gm, at, b, sizeof(b)), 0);
	return get_le64(b);
}

/* Only the shim is measured: 16 KiB, whatever the kernel. */
static void measured_is_the_shim(void **state)
{
	uint64_t measured = 0;
	unsigned i;

	(void)state;
	load(true, true);
	for (i = 0; i < info.n_regions; i++) {
		const struct boot_region *r = &info.region[i];
		bool shim = r->at >= SHIM_CODE && r->at < SHIM_GHCB;

		assert_int_equal(r->staged, !shim);
		if (!r->staged)
			measured += r->len;
	}
	assert_int_equal(measured, KIB(16));
	gmem_fini(&gm);
}

static void pieces_are_hashed(void **state)
{
	struct shim_config cfg;
	uint8_t buf[MIB(1)], hash[32];
	unsigned i, p = 0;

	(void)state;
	load(true, true);
	cfg = get_config();
	assert_int_equal(cfg.magic, SHIM_MAGIC);
	assert_int_equal(cfg.c_bit, 1ULL << C_BIT);
	assert_int_equal(cfg.boot_params, 0x7000);
	assert_true(cfg.entry >= MIB(1));
	for (i = 0; i < info.n_regions; i++) {
		const struct boot_region *r = &info.region[i];

		if (!r->staged)
			continue;
		assert_int_equal(cfg.piece[p].range.at, r->at);
		assert_int_equal(cfg.piece[p].range.len, r->len);
		assert_true(r->len <= sizeof(buf));
		assert_int_equal(gmem_read(&gm, r->at, buf, r->len), 0);
		SHA256(buf, r->len, hash);
		assert_memory_equal(cfg.piece[p].sha256, hash, 32);
		p++;
	}
	assert_int_equal(cfg.n_pieces, p);
	assert_true(p >= 4);
	assert_int_equal(gmem_read(&gm, SHIM_CONFIG, buf, 4096), 0);
	SHA256(buf, SHIM_CONFIG_HASHED, hash);
	assert_memory_equal(buf + SHIM_CONFIG_HASHED, hash, 32);
	gmem_fini(&gm);
}

/* measure = "all": nothing is left for the shim to take over. */
static void all_is_measured(void **state)
{
	unsigned i;

	(void)state;
	load(true, false);
	assert_int_equal(get_config().n_pieces, 0);
	for (i = 0; i < info.n_regions; i++)
		assert_false(info.region[i].staged);
	gmem_fini(&gm);
}

/* What is cleared touches nothing that was put there, nor the shim. */
static void clearing_is_harmless(void **state)
{
	struct shim_config cfg;
	unsigned i, n;

	(void)state;
	load(true, true);
	cfg = get_config();
	assert_true(cfg.n_clear > 0);
	for (n = 0; n < cfg.n_clear; n++) {
		const struct shim_range *c = &cfg.clear[n];

		assert_true(c->at + c->len <= MIB(1));
		assert_true(c->at + c->len <= SHIM_BASE || c->at >= SHIM_END);
		for (i = 0; i < info.n_regions; i++) {
			const struct boot_region *r = &info.region[i];

			assert_true(r->at + r->len <= c->at ||
				    r->at >= c->at + c->len);
		}
	}
	gmem_fini(&gm);
}

/* Private below 256 GiB, the same shared above; accessed, dirty. */
static void tables_have_the_c_bit(void **state)
{
	uint64_t c = 1ULL << C_BIT, i;

	(void)state;
	load(true, true);
	assert_int_equal(info.cr3, SHIM_PML4);
	assert_int_equal(get64(SHIM_PML4), SHIM_PDPT | c | 0x23);
	for (i = 1; i < 512; i++)
		assert_int_equal(get64(SHIM_PML4 + 8 * i), 0);
	for (i = 0; i < 256; i++) {
		assert_int_equal(get64(SHIM_PDPT + 8 * i), i << 30 | c | 0xe3);
		assert_int_equal(get64(SHIM_PDPT + 2048 + 8 * i), i << 30 | 0xe3);
	}
	gmem_fini(&gm);
}

static void kernel_keeps_off(void **state)
{
	struct boot_params bp;
	unsigned i;

	(void)state;
	load(true, true);
	assert_int_equal(gmem_read(&gm, BOOT_PARAMS, &bp, sizeof(bp)), 0);
	for (i = 0; i < bp.e820_entries; i++) {
		const struct boot_e820_entry *e = &bp.e820_table[i];
		bool shim = e->addr < SHIM_END && e->addr + e->size > SHIM_BASE;

		assert_int_equal(e->type == 2 && e->addr < MIB(1), shim);
	}
	gmem_fini(&gm);
}

static void registers(void **state)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	(void)state;
	load(true, true);
	vmsa_initial_regs(0, &info, &r, &s);
	assert_int_equal(r.rip, 0x70000);
	assert_int_equal(s.cr3, SHIM_PML4);
	vmsa_initial_regs(2, &info, &r, &s);
	assert_int_equal(r.rip, 0x70010);
	assert_int_equal(s.cr3, SHIM_PML4);
	gmem_fini(&gm);
	load(false, true);
	assert_int_equal(info.ap_entry, 0);
	assert_int_equal(get_config().flags, 0);
	gmem_fini(&gm);
}

static void shim_hash(void **state)
{
	static const size_t len[] = { 64, 128, 4096, 64 * 1023 };
	uint8_t buf[64 * 1023], ours[32], theirs[32];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 31 + (i >> 9));
	for (i = 0; i < ARRAY_SIZE(len); i++) {
		sha256(buf, len[i], ours);
		SHA256(buf, len[i], theirs);
		assert_memory_equal(ours, theirs, 32);
	}
}

static void words(void **state)
{
	struct boot_error t;
	unsigned i, p = 0;

	(void)state;
	load(true, true);
	for (i = 0; i < info.n_regions; i++) {
		if (!info.region[i].staged)
			continue;
		boot_shim_words(&info, SHIM_BAD_HASH + p++, &t);
		assert_non_null(strstr(t.text, info.region[i].what));
	}
	boot_shim_words(&info, SHIM_BAD_HASH + p, &t);
	assert_non_null(strstr(t.text, "unknown"));
	boot_shim_words(&info, SHIM_BAD_C_BIT, &t);
	assert_non_null(strstr(t.text, "C-bit"));
	boot_shim_words(&info, UINT32_MAX, &t);
	assert_non_null(strstr(t.text, "unknown"));
	gmem_fini(&gm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measured_is_the_shim),
		cmocka_unit_test(pieces_are_hashed),
		cmocka_unit_test(all_is_measured),
		cmocka_unit_test(clearing_is_harmless),
		cmocka_unit_test(tables_have_the_c_bit),
		cmocka_unit_test(kernel_keeps_off),
		cmocka_unit_test(registers),
		cmocka_unit_test(shim_hash),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
