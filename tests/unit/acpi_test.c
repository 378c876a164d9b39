/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables as a guest's parser finds them. Offsets are written out from
 * [ACPI] 6.5 and [PCIFW] 3.3, not taken from the code. iasl, where installed,
 * has the last word.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/util.h"
#include "devices/acpi_regs.h"
#include "devices/pci.h"
#include "vmm/acpi.h"

#define AT   0xe0000
#define ROOM 0x20000

static struct gmem gm;
static uint8_t mem[ROOM];

static int setup(void **state)
{
	(void)state;
	assert_int_equal(gmem_init(&gm, MIB(2), false), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gmem_fini(&gm);
	return 0;
}

static void build(unsigned n_vcpus)
{
	assert_int_equal(acpi_build(&gm, AT, ROOM, n_vcpus), 0);
	assert_int_equal(gmem_read(&gm, AT, mem, ROOM), 0);
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

static const uint8_t *table_at(uint64_t addr, const char *signature)
{
	const uint8_t *t;

	assert_in_range(addr, AT, AT + ROOM - 36);
	t = mem + (addr - AT);
	assert_memory_equal(t, signature, 4);
	assert_in_range(get_le32(t + 4), 36, AT + ROOM - addr);
	assert_int_equal(sum(t, get_le32(t + 4)), 0);
	return t;
}

static const uint8_t *xsdt(void)
{
	return table_at(get_le64(mem + 24), "XSDT");
}

static const uint8_t *find(const char *signature)
{
	const uint8_t *x = xsdt();
	uint32_t i, n = (get_le32(x + 4) - 36) / 8;

	for (i = 0; i < n; i++) {
		uint64_t addr = get_le64(x + 36 + i * 8);

		if (!memcmp(mem + (addr - AT), signature, 4))
			return table_at(addr, signature);
	}
	fail_msg("no %s", signature);
	return NULL;
}

static void rsdp(void **state)
{
	(void)state;
	build(1);
	assert_int_equal(AT % 16, 0); /* found by a scan in steps of 16 */
	assert_memory_equal(mem, "RSD PTR ", 8);
	assert_int_equal(sum(mem, 20), 0);
	assert_int_equal(mem[15], 2);
	assert_int_equal(get_le32(mem + 16), 0); /* no RSDT */
	assert_int_equal(get_le32(mem + 20), 36);
	assert_int_equal(sum(mem, 36), 0);
	assert_int_equal(xsdt()[8], 1);
	assert_int_equal((get_le32(xsdt() + 4) - 36) % 8, 0);
}

static void expect_port(const uint8_t *gas, uint64_t port)
{
	assert_int_equal(gas[0], 1); /* system I/O */
	assert_int_equal(gas[1], 8);
	assert_int_equal(gas[2], 0);
	assert_int_equal(gas[3], 1);
	assert_int_equal(get_le64(gas + 4), port);
}

static void fadt(void **state)
{
	const uint8_t *t;

	(void)state;
	build(1);
	t = find("FACP");
	assert_int_equal(get_le32(t + 4), 276);
	assert_int_equal(t[8], 6);
	assert_int_equal(t[131], 5);
	/* Hardware-reduced, reset register, no fixed buttons, WBINVD works */
	assert_int_equal(get_le32(t + 112),
			 1u << 20 | 1u << 10 | 1u << 4 | 1u << 5 | 1u << 0);
	/* No VGA, no ASPM, no CMOS clock; no 8042, no legacy devices */
	assert_int_equal(get_le16(t + 109), 1u << 2 | 1u << 4 | 1u << 5);
	expect_port(t + 116, 0x602);
	assert_int_equal(t[128], 1);
	expect_port(t + 244, 0x600);
	expect_port(t + 256, 0x601);
	(void)table_at(get_le64(t + 140), "DSDT");
	/* Fixed hardware of the full model is not there. */
	assert_int_equal(get_le32(t + 56), 0);
	assert_int_equal(get_le32(t + 64), 0);
	assert_int_equal(get_le32(t + 76), 0);
	assert_int_equal(get_le16(t + 46), 0);
}

static unsigned madt_lapics(const uint8_t *t)
{
	uint32_t len = get_le32(t + 4), i;
	unsigned n = 0, others = 0;

	for (i = 44; i < len; i += t[i + 1]) {
		assert_true(t[i + 1] >= 6);
		assert_true(i + t[i + 1] <= len);
		if (t[i] == 0) {
			assert_int_equal(t[i + 1], 8);
			assert_int_equal(t[i + 2], n);
			assert_int_equal(t[i + 3], n);
			assert_int_equal(get_le32(t + i + 4), 1);
			n++;
		} else if (t[i] == 1) {
			assert_int_equal(t[i + 1], 12);
			assert_int_equal(get_le32(t + i + 4), 0xfec00000);
			assert_int_equal(get_le32(t + i + 8), 0);
			others++;
		} else {
			assert_int_equal(t[i], 4);
			assert_int_equal(t[i + 2], 0xff);
			assert_int_equal(t[i + 5], 1);
		}
	}
	assert_int_equal(i, len);
	assert_int_equal(others, 1);
	return n;
}

static void madt(void **state)
{
	static const unsigned counts[] = { 1, 2, 8, 64, 253, 254 };
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		const uint8_t *t;

		build(counts[i]);
		t = find("APIC");
		assert_int_equal(get_le32(t + 36), 0xfee00000);
		assert_int_equal(get_le32(t + 40), 0); /* no 8259 */
		assert_int_equal(madt_lapics(t), counts[i]);
	}
}

static void mcfg(void **state)
{
	const uint8_t *t;

	(void)state;
	build(1);
	t = find("MCFG");
	assert_int_equal(get_le32(t + 4), 44 + 16);
	assert_int_equal(get_le64(t + 44), PCI_ECAM_BASE);
	assert_int_equal(get_le16(t + 52), 0);
	assert_int_equal(t[54], 0);
	assert_int_equal(t[55], 0);
}

static void refusals(void **state)
{
	uint8_t got[4096], zero[4096] = { 0 };
	uint64_t room;

	(void)state;
	assert_int_equal(acpi_build(&gm, AT, ROOM, 0), -EINVAL);
	assert_int_equal(acpi_build(&gm, AT, ROOM, 255), -EINVAL);
	assert_int_equal(acpi_build(&gm, AT, ROOM, UINT32_MAX), -EINVAL);
	assert_int_equal(acpi_build(&gm, MIB(2) - 16, ROOM, 1), -EFAULT);
	assert_int_equal(acpi_build(&gm, UINT64_MAX - 16, ROOM, 1), -EFAULT);
	/* Room for part of it: nothing is written. */
	for (room = 1; room < 1200; room += 7) {
		assert_int_equal(acpi_build(&gm, AT, room, 254), -ENOSPC);
		assert_int_equal(gmem_read(&gm, AT, got, 4096), 0);
		assert_memory_equal(got, zero, 4096);
	}
}

/* Disassembled text of the DSDT, to look for what ASL and headers share. */
static char *disassemble(const char *dir, const char *name, const uint8_t *t)
{
	char path[128], cmd[512];
	char *text = calloc(1, 65536);
	FILE *f;

	assert_non_null(text);
	snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(t, 1, get_le32(t + 4), f), get_le32(t + 4));
	assert_int_equal(fclose(f), 0);
	snprintf(cmd, sizeof(cmd),
		 "cd %s && iasl -d %s.aml >log 2>&1 && ! grep -iE '\\*\\*\\*\\*|invalid|incorrect|could not|failed' log %s.dsl >&2",
		 dir, name, name);
	if (system(cmd) != 0)
		fail_msg("iasl is not content with %s", name);
	snprintf(path, sizeof(path), "%s/%s.dsl", dir, name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, 65535, f) > 0);
	assert_int_equal(fclose(f), 0);
	return text;
}

static void expect_text(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("DSDT lacks '%s'", what);
}

static void expect_hex(const char *text, uint64_t value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "0x%08llX", (unsigned long long)value);
	expect_text(text, buf);
}

static void dsdt_text(const char *text)
{
	expect_text(text, "Name (\\_S5, Package");
	expect_text(text, "PNP0A08");
	expect_text(text, "PNP0501");
	expect_text(text, "\"QEMU0001\"");
	expect_text(text, "\"ACPI0013\"");
	expect_text(text, "PNP0C0C");
	expect_text(text, "Notify (PWRB, 0x80)");
	expect_text(text, "SystemIO, 0x0603, 0x01");
	expect_text(text, "0x0505");
	expect_text(text, "0x03F8");
	expect_text(text, "0x0CF8");
	expect_hex(text, PCI_MMIO_BASE);
	expect_hex(text, PCI_MMIO_BASE + PCI_MMIO_SIZE - 1);
	expect_hex(text, PCI_MMIO_SIZE);
	expect_hex(text, PCI_ECAM_BASE);
	expect_hex(text, PCI_ECAM_SIZE);
	expect_hex(text, ACPI_EVENT_LINE);
}

static void iasl(void **state)
{
	static const char *const names[] = { "APIC", "MCFG", "FACP" };
	char dir[] = "/tmp/csvvmm-acpi.XXXXXX", cmd[64];
	char *text;
	unsigned i;

	(void)state;
	if (system("command -v iasl >/dev/null") != 0)
		skip();
	build(3);
	assert_non_null(mkdtemp(dir));
	for (i = 0; i < ARRAY_SIZE(names); i++)
		free(disassemble(dir, names[i], find(names[i])));
	free(disassemble(dir, "XSDT", xsdt()));
	text = disassemble(dir, "DSDT",
			   table_at(get_le64(find("FACP") + 140), "DSDT"));
	dsdt_text(text);
	free(text);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals), cmocka_unit_test(rsdp),
		cmocka_unit_test(fadt),	    cmocka_unit_test(madt),
		cmocka_unit_test(mcfg),	    cmocka_unit_test(iasl),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
