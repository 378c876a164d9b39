/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What two hosts tell each other of themselves, and whether the guest can go (rows
 * 8, 12 and 23 of the fault matrix). Leaves of CPUID as in the APM, volume 3,
 * appendix E; bits of policies as in the SEV API, chapter "Guest Policy".
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "migration/describe.h"

#define CBIT_LEAF 0x8000001f
#define AVX2	  (1u << 5)  /* leaf 7, EBX */
#define OSXSAVE	  (1u << 27) /* leaf 1, ECX */
#define NOSEND	  (1u << 3)
#define API_1_40  (1u << 16 | 40u << 24)

static struct mig_machine s, t, got;

static int setup(void **state)
{
	static const struct mig_cpuid leaves[] = {
		{ { 0x1, 0, 0, 0x800f12, 0x10800, 0x7ed8320b, 0x178bfbff } },
		{ { 0x7, 0, 1, 0x1, 0x209c01a9, 0, 0 } },
		{ { 0x7, 1, 1, 0, 0, 0, 0 } },
		{ { 0x80000002, 0, 0, 0x6f677948, 0x2043206e, 0, 0 } },
		{ { 0x80000008, 0, 0, 0x3030, 0x1007, 0, 0 } },
		{ { CBIT_LEAF, 0, 0, 0x2 | 0x8, 47 | 5 << 6, 15, 6 } },
	};

	(void)state;
	memset(&s, 0, sizeof(s));
	strcpy(s.name, "web-1.A_b");
	s.type = MIG_CSV2;
	s.vcpus = 2;
	s.policy = 4;
	s.memory = 256ULL << 20;
	s.profile = MIG_HYGON;
	s.api_major = 1;
	s.api_minor = 55;
	s.build = 1878;
	s.tsc_khz = 2000000;
	s.n_devices = 2;
	s.device[0] = (struct mig_device){ "disk", 0, 2, 0 };
	s.device[1] = (struct mig_device){ "net", 0, 1, 0 };
	s.n_cpuid = ARRAY_SIZE(leaves);
	memcpy(s.cpuid, leaves, sizeof(leaves));
	s.pdh.len = 2084;
	memset(s.pdh.data, 0xa5, 2084);
	s.chain.len = 6252;
	memset(s.chain.data, 0x5a, 6252);
	t = s;
	t.policy = 0;
	return 0;
}

/* --- the check ------------------------------------------------------------------ */

static void refused(const char *words)
{
	char why[MIG_WHY_MAX] = "";

	assert_int_equal(mig_check(&s, &t, why), -EXDEV);
	if (strncmp(why, words, strlen(words)) != 0)
		fail_msg("\"%s\", not \"%s\"", why, words);
	(void)setup(NULL);
}

static void allowed(void)
{
	char why[MIG_WHY_MAX] = "";

	if (mig_check(&s, &t, why))
		fail_msg("%s", why);
	(void)setup(NULL);
}

static void test_sizes(void **state)
{
	(void)state;
	allowed();
	t.memory += 1 << 20;
	refused("memory: the guest has 256 MiB, the target 257");
	t.memory -= 1 << 20;
	refused("memory:");
	t.vcpus = 1;
	refused("vcpus: the guest has 2, the target 1");
	t.vcpus = 3;
	refused("vcpus:");
	t.type = MIG_CSV;
	refused("type: the guest is of type \"csv2\", the target is made for \"csv\"");
	t.type = MIG_PLAIN;
	refused("type:");
}

static void test_name(void **state)
{
	(void)state;
	strcpy(t.name, "web-1.A_c");
	refused("name: the guest is \"web-1.A_b\", the target waits for \"web-1.A_c\"");
	strcpy(t.name, "web-1.A_");
	refused("name:");
	strcpy(t.name, "WEB-1.A_B");
	refused("name:");
	/* The first thing to tell: another guest is not the same in anything else. */
	strcpy(t.name, "db");
	t.type = MIG_PLAIN;
	t.memory = 1 << 20;
	refused("name: the guest is \"web-1.A_b\", the target waits for \"db\"");
}

static void test_firmware(void **state)
{
	(void)state;
	t.profile = MIG_AMD;
	refused("processor:");
	s.profile = t.profile = MIG_AMD;
	refused("processor: AMD");
	s.profile = t.profile = MIG_AMD;
	s.type = t.type = MIG_CSV;
	allowed();
	s.policy |= NOSEND;
	refused("policy: the guest's owner forbids migration (nosend)");
	/* The owner's lowest API is for the target, too. */
	s.policy |= API_1_40;
	t.api_minor = 39;
	refused("firmware: the guest's policy wants API 1.40, the target's firmware has 1.39");
	s.policy |= API_1_40;
	t.api_minor = 40;
	allowed();
	s.policy |= API_1_40;
	t.api_major = 0;
	t.api_minor = 255;
	refused("firmware:");
	s.policy |= API_1_40;
	t.api_major = 2;
	t.api_minor = 0;
	allowed();
	t.pdh.len = 0;
	refused("certificates: the firmware of the target");
	t.chain.len = 0;
	refused("certificates: the firmware of the target");
	s.pdh.len = 0;
	refused("certificates: the firmware of the source");
	/* Of no matter to a plain guest. */
	s.type = t.type = MIG_PLAIN;
	s.pdh.len = t.pdh.len = t.chain.len = s.policy = 0;
	t.profile = MIG_AMD;
	t.api_major = 0;
	allowed();
}

static void test_devices(void **state)
{
	(void)state;
	t.n_devices = 1;
	refused("devices: the guest has net 0, which the target has not");
	s.n_devices = 1;
	refused("devices: the target has net 0, which the guest has not");
	(void)strcpy(t.device[1].name, "rng");
	refused("devices: the guest has net 0, which the target has not");
	t.device[0].instance = 1;
	refused("devices: the guest has disk 0, which the target has not");
	t.device[0] = s.device[1];
	t.device[1] = s.device[0];
	refused("devices: where the guest has disk 0, the target has net 0");
	t.device[0] = s.device[0];
	t.device[1] = s.device[1];
	s.device[0].size = 1 << 20;
	refused("devices: disk 0: the guest's has 1048576 bytes, the target's 0");
	s.device[0].size = t.device[0].size = 1 << 20;
	allowed();
	t.device[0].version = 1;
	refused("devices: disk 0: state of version 2, the target knows up to 1");
	t.device[0].version = 3;
	allowed();
}

/* [csv-abi] and Linux: clocks within 250 ppm count as one. */
static void test_clock(void **state)
{
	(void)state;
	t.tsc_khz = 2000500;
	allowed();
	t.tsc_khz = 1999500;
	allowed();
	t.tsc_khz = 2000501;
	refused("tsc: the guest's runs at 2000000 kHz, the target's at 2000501");
	t.tsc_khz = 1999499;
	refused("tsc:");
	t.tsc_khz = 3000000;
	t.tsc_scaling = true;
	allowed();
	s.tsc_scaling = true; /* of the source's it is no use */
	t.tsc_khz = 3000000;
	refused("tsc:");
}

/* Row 23: a target that has more is right, one that lacks something is not. */
static void test_cpuid(void **state)
{
	static const unsigned feature[][2] = {
		{ 0, 5 }, /* leaf 1: ECX */
		{ 0, 6 }, /* EDX */
		{ 1, 4 }, /* leaf 7: EBX */
	};
	unsigned i, bit, reg;

	(void)state;
	t.cpuid[1].reg[4] |= 0xffffffff;
	t.cpuid[1].reg[5] |= 0xffffffff;
	t.cpuid[2].reg[3] |= 0xffffffff;
	allowed();
	for (i = 0; i < ARRAY_SIZE(feature); i++) {
		for (bit = 0; bit < 32; bit++) {
			uint32_t *have =
				&t.cpuid[feature[i][0]].reg[feature[i][1]];

			if (!(*have & 1u << bit))
				continue;
			*have &= ~(1u << bit);
			/* The processor sets this one as the guest wishes. */
			if (i == 0 && 1u << bit == OSXSAVE)
				allowed();
			else
				refused("cpuid: the target's processor lacks features of the guest:");
		}
	}
	t.cpuid[1].reg[4] &= ~AVX2;
	refused("cpuid: the target's processor lacks features of the guest: leaf 0x7/0 ebx, bits 0x20");
	/* Leaf 7 is not there at all; index 1 is another one. */
	t.cpuid[1].reg[1] = 9;
	refused("cpuid:");
	for (reg = 3; reg < 7; reg++)
		t.cpuid[3].reg[reg] ^= 0x20202020; /* another name */
	t.cpuid[0].reg[3] ^= 0xff;		   /* another stepping */
	allowed();
	t.cpuid[5].reg[4] ^= 1;
	refused("cpuid: the C-bit's position differs");
	t.cpuid[5].reg[4] ^= 1 << 6;
	refused("cpuid: the C-bit's position differs");
	t.cpuid[4].reg[3] = 0x302b;
	refused("cpuid: width of addresses differs");
	t.cpuid[5].reg[3] = 2;
	refused("cpuid: the target's processor lacks");
	/* As many as there may be, and none. */
	t.n_cpuid = 0;
	refused("cpuid:");
	s.n_cpuid = t.n_cpuid = 0;
	allowed();
}

/* --- as bytes ------------------------------------------------------------------- */

static uint8_t buf[MIG_BUF];

static size_t put(void)
{
	struct snap_w w = { .buf = buf, .cap = sizeof(buf) };

	mig_describe_put(&s, &w);
	assert_false(w.full);
	return w.len;
}

static int get(size_t len, struct snap_error *err)
{
	struct snap_r r = { .buf = buf, .len = len, .who = "offer", .err = err };
	int e = mig_describe_get(&got, &r);

	assert_true(e == 0 || e == -EPROTO);
	assert_true(!e == !err->text[0]);
	return e;
}

static void test_round(void **state)
{
	struct snap_error err = { "" };
	char why[MIG_WHY_MAX] = "";

	(void)state;
	s.check_only = true;
	s.tsc_scaling = true;
	memset(&got, 0xee, sizeof(got));
	assert_int_equal(get(put(), &err), 0);
	assert_true(got.check_only && got.tsc_scaling);
	assert_string_equal(got.name, "web-1.A_b");
	assert_int_equal(got.policy, 4);
	assert_int_equal(got.build, 1878);
	assert_int_equal(got.n_devices, 2);
	assert_string_equal(got.device[0].name, "disk");
	assert_string_equal(got.device[1].name, "net");
	assert_int_equal(got.device[0].version, 2);
	assert_int_equal(got.n_cpuid, 6);
	assert_memory_equal(got.cpuid, s.cpuid, 6 * sizeof(s.cpuid[0]));
	assert_int_equal(got.pdh.len, 2084);
	assert_memory_equal(got.pdh.data, s.pdh.data, 2084);
	assert_memory_equal(got.chain.data, s.chain.data, 6252);
	assert_int_equal(mig_check(&s, &got, why), 0);
}

/* The name is the last field: a length, and what goes to logs and terminals. */
static void test_name_bytes(void **state)
{
	size_t len = put(), at = len - strlen(s.name) - 1;
	unsigned c;

	(void)state;
	assert_int_equal(buf[at], strlen(s.name));
	for (c = 0; c < 256; c++) {
		struct snap_error err = { "" };
		bool good = c && strchr("abcdefghijklmnopqrstuvwxyz"
					"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"0123456789._-",
					(int)c);

		buf[at + 3] = (uint8_t)c;
		assert_int_equal(get(len, &err), good ? 0 : -EPROTO);
	}
	for (c = 0; c < 256; c++) {
		struct snap_error err = { "" };

		memset(buf + at, 'x', 256);
		buf[at] = (uint8_t)c;
		assert_int_equal(get(at + 1 + c, &err),
				 c && c <= 63 ? 0 : -EPROTO);
	}
}

/* Row 16: no prefix of it is one, nor is it with something behind. */
static void test_cut(void **state)
{
	size_t len = put(), i;

	(void)state;
	for (i = 0; i <= len + 3; i++) {
		struct snap_error err = { "" };

		assert_int_equal(get(i, &err), i == len ? 0 : -EPROTO);
	}
}

/* Row 17: each byte with each of the values that hurt; nothing but a no or a yes. */
static void test_any_byte(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	size_t len = put(), i, k;

	(void)state;
	for (i = 0; i < len; i++) {
		uint8_t was = buf[i];

		for (k = 0; k < ARRAY_SIZE(values); k++) {
			struct snap_error err = { "" };

			buf[i] = values[k];
			if (get(len, &err))
				continue;
			assert_true(got.type < MIG_TYPES);
			assert_true(got.profile < MIG_PROFILES);
			assert_true(got.n_devices <= SNAP_ITEMS_MAX);
			assert_true(got.n_cpuid <= MIG_CPUID_MAX);
			assert_true(got.pdh.len <= MIG_CERT_MAX);
			assert_true(got.chain.len <= MIG_CERT_MAX);
			assert_true(
				strspn(got.device[0].name,
				       "abcdefghijklmnopqrstuvwxyz0123456789-") ==
				strnlen(got.device[0].name,
					sizeof(got.device[0].name)));
		}
		buf[i] = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sizes, setup),
		cmocka_unit_test_setup(test_name, setup),
		cmocka_unit_test_setup(test_firmware, setup),
		cmocka_unit_test_setup(test_devices, setup),
		cmocka_unit_test_setup(test_clock, setup),
		cmocka_unit_test_setup(test_cpuid, setup),
		cmocka_unit_test_setup(test_round, setup),
		cmocka_unit_test_setup(test_name_bytes, setup),
		cmocka_unit_test_setup(test_cut, setup),
		cmocka_unit_test_setup(test_any_byte, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
