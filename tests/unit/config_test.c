/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "vmm/config_draft.h"

/* Texts against csvvmm.toml(5). Whole files are in tests/config. */

#define KERNEL "kernel = 'k'\n"
#define DISK   "[[disk]]\npath = 'd'\n"
#define TAP    "[[net]]\ntap = 't'\n"

static struct config_error err;

static int parse(const char *text, struct config *cfg)
{
	return config_parse(text, strlen(text), "g.toml", "/b", false, cfg, &err);
}

static void good(const char *text, struct config *cfg)
{
	if (parse(text, cfg) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(err.text, "");
}

static void accept(const char *text)
{
	struct config cfg;

	good(text, &cfg);
	config_fini(&cfg);
	config_fini(&cfg);
}

/* @want: the beginning of the message, without "g.toml:" */
static void refuse(const char *text, const char *want)
{
	struct config cfg, before;

	memset(&cfg, 0xa5, sizeof(cfg));
	before = cfg;
	if (parse(text, &cfg) != -EINVAL)
		fail_msg("accepted: %s", text);
	assert_memory_equal(&cfg, &before, sizeof(cfg));
	assert_memory_equal(err.text, "g.toml:", 7);
	if (strncmp(err.text + 7, want, strlen(want)))
		fail_msg("got '%s', expected '%s'", err.text + 7, want);
	assert_null(strchr(err.text, '\n'));
	assert_non_null(strchr(err.text, ';')); /* ... what is allowed */
}

static void test_defaults(void **state)
{
	struct config cfg;

	(void)state;
	good(KERNEL, &cfg);
	assert_string_equal(cfg.file, "/b/g.toml");
	assert_string_equal(cfg.name, "g");
	assert_int_equal(cfg.vcpus, 1);
	assert_int_equal(cfg.memory, 512 << 20);
	assert_false(cfg.hugepages);
	assert_true(cfg.migratable);
	assert_true(cfg.sandbox);
	assert_string_equal(cfg.kernel, "/b/k");
	assert_null(cfg.initrd);
	assert_string_equal(cfg.cmdline, "");
	assert_int_equal(cfg.on_reboot, CONFIG_END_RESET);
	assert_int_equal(cfg.on_crash, CONFIG_END_EXIT);
	assert_int_equal(cfg.reset, CONFIG_RESET_AUTO);
	assert_int_equal(cfg.csv.type, CONFIG_CSV_NONE);
	assert_int_equal(cfg.n_disks, 0);
	assert_int_equal(cfg.n_nets, 0);
	assert_int_equal(cfg.console, CONSOLE_STDIO);
	assert_null(cfg.console_path);
	assert_true(cfg.rng);
	config_fini(&cfg);
}

static void test_everything(void **state)
{
	struct config cfg;

	(void)state;
	good("name='n'\nvcpus=64\nmemory='4G'\nhugepages=true\n"
	     "migratable=false\nsandbox=false\nkernel='/k'\ninitrd='i'\n"
	     "cmdline='c d'\non_reboot='exit'\ncsv.type='none'\n"
	     "[[disk]]\npath='x'\n[[disk]]\npath='y'\nid='z'\nreadonly=true\n"
	     "cache='direct'\nqueues=16\n"
	     "[[net]]\npasst='/p'\n[[net]]\ntap='t'\nmac='02:00:fF:00:0a:01'\n"
	     "[console]\nsocket='s'\n[rng]\nenabled=false\n",
	     &cfg);
	assert_string_equal(cfg.name, "n");
	assert_int_equal(cfg.vcpus, 64);
	assert_true(cfg.memory == 4ULL << 30);
	assert_true(cfg.hugepages);
	assert_false(cfg.migratable);
	assert_false(cfg.sandbox);
	assert_string_equal(cfg.kernel, "/k");
	assert_string_equal(cfg.initrd, "/b/i");
	assert_string_equal(cfg.cmdline, "c d");
	assert_int_equal(cfg.n_disks, 2);
	assert_string_equal(cfg.disk[0].path, "/b/x");
	assert_string_equal(cfg.disk[0].id, "disk0");
	assert_false(cfg.disk[0].readonly);
	assert_false(cfg.disk[0].direct);
	assert_int_equal(cfg.disk[0].queues, 1);
	assert_string_equal(cfg.disk[1].id, "z");
	assert_true(cfg.disk[1].readonly);
	assert_true(cfg.disk[1].direct);
	assert_int_equal(cfg.disk[1].queues, 16);
	assert_int_equal(cfg.n_nets, 2);
	assert_string_equal(cfg.net[0].passt, "/p");
	assert_null(cfg.net[0].tap);
	assert_string_equal(cfg.net[1].tap, "t");
	assert_memory_equal(cfg.net[1].mac, "\x02\x00\xff\x00\x0a\x01", 6);
	assert_int_equal(cfg.console, CONSOLE_SOCKET);
	assert_string_equal(cfg.console_path, "/b/s");
	assert_false(cfg.rng);
	config_fini(&cfg);
}

static void test_memory(void **state)
{
	static const char *const bad[] = {
		"",
		"512",
		"M",
		"-512M",
		"+512M",
		"512m",
		"512MB",
		"512 M",
		" 512M",
		"512M ",
		"0x20M",
		"1.5G",
		"512MiB",
		"1T",
		"0K",
		"0",
		"15M",
		"16383K",
		"1025G",
		"1048577M",
		"99999999999999999999999G",
		"18446744073709551616K",
		"16777216G",
		"17179869185G",
		"18014398509481985K",
		"16385K ",
	};
	char text[128];
	size_t i;

	(void)state;
	accept(KERNEL "memory='16M'");
	accept(KERNEL "memory='16384K'");
	accept(KERNEL "memory='1024G'");
	accept(KERNEL "memory='0017M'");
	accept(KERNEL "memory='16388K'");
	accept(KERNEL "memory='18M'\nhugepages=true");
	refuse("hugepages=true\nmemory='17M'\n" KERNEL, "2:8: memory: ");
	refuse(KERNEL "memory='16385K'", "2:8: memory: ");
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), KERNEL "memory='%s'", bad[i]);
		refuse(text, "2:8: memory: ");
	}
}

/* Every key refuses every TOML type but its own. */
static void test_types(void **state)
{
	static const struct {
		enum toml_type type;
		const char *text;
	} value[] = {
		{ TOML_STRING, "'x'" },	   { TOML_INTEGER, "1" },
		{ TOML_FLOAT, "1.0" },	   { TOML_BOOLEAN, "true" },
		{ TOML_TIME, "10:00:00" }, { TOML_ARRAY, "[1]" },
		{ TOML_TABLE, "{x=1}" },
	};
	char text[256], want[64];
	unsigned i, j;

	(void)state;
	for (i = 0; i < config_n_keys; i++) {
		const struct config_key *k = &config_keys[i];
		const struct config_section_info *s =
			&config_sections[k->section];

		for (j = 0; j < ARRAY_SIZE(value); j++) {
			if (value[j].type == k->type->toml)
				continue;
			snprintf(text, sizeof(text), "%s\n%s=%s\n",
				 *s->name ? s->label : "", k->name,
				 value[j].text);
			snprintf(want, sizeof(want), "2:%zu: %s%s%s: %s, not ",
				 strlen(k->name) + 2, s->name,
				 *s->name ? "." : "", k->name,
				 toml_type_words(value[j].type));
			refuse(text, want);
		}
	}
}

static void test_sections(void **state)
{
	(void)state;
	refuse(KERNEL "csv='none'", "2:5: csv: a string; allowed: [csv]");
	refuse(KERNEL "[[csv]]", "2:1: csv: an array; allowed: [csv]");
	refuse(KERNEL "[disk]\npath='x'", "2:1: disk: a table; allowed: [[d");
	refuse(KERNEL "disk=[1]", "2:7: disk: an integer; allowed: [[disk]]");
	refuse(KERNEL "net=[[]]", "2:6: net: an array; allowed: [[net]]");
	refuse(KERNEL "rng=true", "2:5: rng: a boolean; allowed: [rng]");
	refuse(KERNEL "[console.stdio]", "2:1: console.stdio: a table, not a");
	refuse(KERNEL "[disk.x]", "2:1: disk: a table; allowed: [[disk]]");
	accept(KERNEL "disk=[]\n[csv]\n[console]\n[rng]\n");
}

static void test_unknown(void **state)
{
	(void)state;
	refuse(KERNEL "vcpu=1", "2:1: vcpu: unknown key; did you mean \"vcpus");
	refuse(KERNEL "cpus=1", "2:1: cpus: unknown key; did you mean \"vcpus");
	refuse(KERNEL "mem='1G'", "2:1: mem: unknown key; did you mean \"memo");
	refuse(KERNEL "cmdilne=1", "2:1: cmdilne: unknown key; did you mean \"c");
	refuse(KERNEL "on-reboot=1", "2:1: on-reboot: unknown key; did you mea");
	refuse(KERNEL "[[nets]]", "2:3: nets: unknown key; did you mean [[net]]");
	refuse(KERNEL "path='x'", "2:1: path: unknown key here; \"path\" belong"
				  "s in [[disk]]");
	refuse(KERNEL "[rng]\nname='x'", "3:1: rng.name: unknown key here; \"na"
					 "me\" belongs above the first");
	refuse(KERNEL DISK "read_only=true", "4:1: disk.read_only: unknown key;"
					     " did you mean \"readonly\"?");
	refuse(KERNEL DISK "x=1", "4:1: disk.x: unknown key; allowed: path, id,"
				  " readonly, cache, queues");
	refuse(KERNEL "[console]\ntty=1", "3:1: console.tty: unknown key; allow"
					  "ed: stdio, file, socket");
	refuse(KERNEL "''=1", "2:1: : unknown key; allowed: name, ");
	/* The first in the file, not in the alphabet. */
	refuse("zzz=1\naaa=1\n" KERNEL, "1:1: zzz: ");
}

/* What is quoted can't drive the terminal, nor push the reason out. */
static void test_hostile_names(void **state)
{
	char text[4096], *p = text;

	(void)state;
	refuse(KERNEL "\"\\u001b[2J\\n\" = 1", "2:1: ?[2J?: unknown key; ");
	refuse(KERNEL "\"\\u009b\\u007f\" = 1", "2:1: ");
	assert_null(strchr(err.text, '\x7f'));
	assert_null(strstr(err.text, "\xc2\x9b"));
	refuse(KERNEL "on_reboot='\xc3\xa9%s%n'",
	       "2:11: on_reboot: \"\xc3\xa9%s%n\" is not supported");

	p += sprintf(p, KERNEL);
	memset(p, 'k', 3000);
	strcpy(p + 3000, "=1");
	refuse(text, "2:1: kkkkkkkkkk");
	assert_non_null(strstr(err.text, "unknown key; allowed: name"));
	sprintf(p, "on_reboot='");
	memset(p + 11, 0xc3, 3000);
	for (p += 12; *p; p += 2)
		*p = (char)0xa9;
	strcpy(text + strlen(KERNEL) + 11 + 3000, "'");
	refuse(text, "2:11: on_reboot: \"...");
	assert_non_null(strstr(err.text, "; allowed: \"reset\""));
}

static void test_long_file_name(void **state)
{
	char file[3000];
	struct config cfg;

	(void)state;
	memset(file, 'f', sizeof(file));
	file[sizeof(file) - 1] = '\0';
	assert_int_equal(config_parse("x=1", 3, file, "/b", false, &cfg, &err),
			 -EINVAL);
	assert_memory_equal(err.text, "...fff", 6);
	assert_non_null(strstr(err.text, ":1:1: x: unknown key; allowed: "));
}

static void parse_as(const char *file, int want, const char *name)
{
	struct config cfg;
	int r = config_parse(KERNEL, strlen(KERNEL), file, "/b", false, &cfg,
			     &err);

	assert_int_equal(r, want);
	if (r < 0)
		return;
	assert_string_equal(cfg.name, name);
	config_fini(&cfg);
}

static void test_name(void **state)
{
	static const char *const bad[] = { "",	  ".",	     "..",  "a/b",
					   "a b", "-a",	     ".a",  "a\\n",
					   "a:b", "\\u00e9", "a@b", "a%n" };
	char text[128];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), KERNEL "name=\"%s\"", bad[i]);
		refuse(text, "2:6: name: ");
	}
	snprintf(text, sizeof(text), KERNEL "name='%063d'", 1);
	accept(text);
	snprintf(text, sizeof(text), KERNEL "name='%064d'", 1);
	refuse(text, "2:6: name: ");
	accept(KERNEL "name='_A.z-9'");

	parse_as("/x/web.1.toml", 0, "web.1");
	parse_as("web", 0, "web");
	parse_as("x.y/web.tom", 0, "web.tom");
	parse_as(".toml", -EINVAL, NULL);
	parse_as("a b.toml", -EINVAL, NULL);
	parse_as("x/", -EINVAL, NULL);
}

static void test_cmdline(void **state)
{
	char text[4096];

	(void)state;
	snprintf(text, sizeof(text), KERNEL "cmdline='%02047d'", 1);
	accept(text);
	snprintf(text, sizeof(text), KERNEL "cmdline='%02048d'", 1);
	refuse(text, "2:9: cmdline: 2048 bytes are too many; allowed: up to");
	refuse(KERNEL "cmdline='a\tb'", "2:9: cmdline: a control character");
	refuse(KERNEL "cmdline='''a\nb'''", "2:9: cmdline: a control chara");
	refuse(KERNEL "cmdline=\"\\u007f\"", "2:9: cmdline: a control chara");
}

static void test_paths(void **state)
{
	struct config cfg;
	char text[8192];

	(void)state;
	refuse("kernel=''", "1:8: kernel: an empty path; allowed: ");
	refuse("kernel=\"a\\nb\"", "1:8: kernel: ");
	refuse("vcpus=1", "1:1: kernel: missing; add kernel");
	refuse(KERNEL "[[disk]]\nid='x'", "2:1: disk.path: missing; add path");
	/* "/b/" + n: PATH_MAX counts the NUL. */
	snprintf(text, sizeof(text), "kernel='%04092d'", 1);
	accept(text);
	snprintf(text, sizeof(text), "kernel='%04093d'", 1);
	refuse(text, "1:8: kernel: a path of 4096 bytes");
	assert_int_equal(config_parse(KERNEL, strlen(KERNEL), "/g.toml", "",
				      false, &cfg, &err),
			 0);
	assert_string_equal(cfg.kernel, "/k");
	assert_string_equal(cfg.file, "/g.toml");
	config_fini(&cfg);
}

static void test_words(void **state)
{
	(void)state;
	refuse(KERNEL "on_reboot='halt'", "2:11: on_reboot: \"halt\" is not s");
	refuse(KERNEL "on_crash='dump'", "2:10: on_crash: \"dump\" is not s");
	refuse(KERNEL "reset='cold'", "2:7: reset: \"cold\" is not s");
	refuse(KERNEL "on_reboot='EXIT'", "2:11: on_reboot: \"EXIT\" is not s");
	refuse(KERNEL "csv.type='csv3'",
	       "2:10: csv.type: \"csv3\" is not supported by this version");
	accept(KERNEL "csv.type='csv'");
	refuse(KERNEL DISK "cache=''", "4:7: disk.cache: \"\" is not supported");
	accept(KERNEL DISK "cache='host'");
}

#define CSV "[csv]\ntype='csv2'\n"

static uint32_t policy_of(const char *text)
{
	struct config cfg;
	uint32_t policy;

	good(text, &cfg);
	policy = cfg.csv.policy;
	config_fini(&cfg);
	return policy;
}

static void cmdline_of(const char *text, const char *want)
{
	struct config cfg;

	good(text, &cfg);
	assert_string_equal(cfg.cmdline, want);
	config_fini(&cfg);
}

/* "reboot=acpi swiotlb=8192 " are 25 bytes of Linux's 2047. */
static void test_csv_cmdline(void **state)
{
	char text[4096];

	(void)state;
	snprintf(text, sizeof(text), KERNEL "cmdline='%02022d'\n" CSV, 0);
	accept(text);
	snprintf(text, sizeof(text), KERNEL "cmdline='%02023d'\n" CSV, 0);
	refuse(text, "2:9: cmdline: 2023 bytes, and an encrypted guest gets "
		     "\"reboot=acpi swiotlb=8192 \" in front; allowed: up to "
		     "2022 bytes");
	snprintf(text, sizeof(text), KERNEL "cmdline='%02047d'\n", 0);
	accept(text);
}

/* In slabs of 2 KiB: 16 MiB, 32 MiB a disk queue, 18 MiB a network; an eighth
 * of memory, but at least 16 MiB. Linux takes the last swiotlb= of several, and reboot=. */
static void test_csv_swiotlb(void **state)
{
	(void)state;
	cmdline_of(KERNEL CSV, "reboot=acpi swiotlb=8192");
	cmdline_of(KERNEL "cmdline='reboot=k'\n" CSV,
		   "reboot=acpi swiotlb=8192 reboot=k");
	cmdline_of(KERNEL "cmdline='a b'\n" CSV, "reboot=acpi swiotlb=8192 a b");
	cmdline_of(KERNEL "cmdline='swiotlb=1'\n" CSV,
		   "reboot=acpi swiotlb=8192 swiotlb=1");
	cmdline_of(KERNEL "memory='4G'\n" CSV
			  "[[disk]]\npath='d'\nqueues=2\n[[net]]\ntap='t'\n",
		   "reboot=acpi swiotlb=50176");
	cmdline_of(KERNEL CSV "[[disk]]\npath='d'\nqueues=2\n[[net]]\ntap='t'\n",
		   "reboot=acpi swiotlb=32768");
	cmdline_of(KERNEL "memory='64M'\n" CSV "[[disk]]\npath='d'\n",
		   "reboot=acpi swiotlb=8192");
	cmdline_of(KERNEL "cmdline='c'\n" CSV "backend='model'\n", "c");
	cmdline_of(KERNEL "cmdline='c'\n[[disk]]\npath='d'\n", "c");
}

/* [csv-abi] 6.1: NODBG 1, NOKS 2, ES 4, NOSEND 8, DOMAIN 10, SEV 20, REUSE 80;
 * API major in bits 16 to 23, minor in 24 to 31. */
static void test_csv_policy(void **state)
{
	(void)state;
	assert_int_equal(policy_of(KERNEL CSV), 0x5);
	assert_int_equal(policy_of(KERNEL "csv.type='csv'"), 0x1);
	assert_int_equal(policy_of(KERNEL CSV "policy=[]"), 0x4);
	assert_int_equal(policy_of(KERNEL CSV "policy=['noks','nosend','domain',"
					      "'sev','es','noks']"),
			 0x3e);
	assert_int_equal(policy_of(KERNEL CSV "user_id='a'"), 0x85);
	assert_int_equal(policy_of(KERNEL CSV "min_api='1.24'"), 0x18010005);
	assert_int_equal((int64_t)policy_of(KERNEL CSV "min_api='255.255'"),
			 0xffff0005);
}

static void test_csv_refused(void **state)
{
	static const char *const api[] = { "",	    "1",     "1.",     ".1",
					   "1.2.3", "256.0", "0001.0", "1.-1",
					   " 1.0",  "1.0 " };
	char text[128];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(api) / sizeof(api[0]); i++) {
		snprintf(text, sizeof(text), KERNEL CSV "min_api='%s'", api[i]);
		refuse(text, "4:9: csv.min_api: \"");
	}
	refuse(KERNEL CSV "policy='nodbg'",
	       "4:8: csv.policy: a string, not an array");
	refuse(KERNEL CSV "policy=[1]",
	       "4:9: csv.policy: an integer, not a string");
	refuse(KERNEL CSV "policy=['NODBG']",
	       "4:9: csv.policy: \"NODBG\" is unknown");
	refuse(KERNEL CSV "profile='amd'\nuser_id='a'",
	       "5:9: csv.user_id: unknown to AMD");
	refuse(KERNEL CSV "dh_cert='a'", "4:9: csv.dh_cert: alone");
	refuse(KERNEL CSV "secret=[1]",
	       "4:9: csv.secret: an integer, not a table");
	refuse(KERNEL CSV "secret=[{header='a',file='b',addr=16}]",
	       "4:8: csv.secret: nobody could have encrypted it");
	refuse(KERNEL CSV "secret=[{addr=-16}]",
	       "4:15: csv.secret.addr: -16 can't");
	refuse(KERNEL CSV "secret=[{},{},{},{},{},{},{},{},{}]",
	       "4:33: csv.secret: one too many");
	refuse(KERNEL "'csv.secret'=[{}]", "2:1: csv.secret: unknown key");
	refuse(KERNEL "csv.backend='model'", "2:5: csv.backend: of no use");
}

static void test_csv_secrets(void **state)
{
	struct config cfg;

	(void)state;
	good(KERNEL CSV "dh_cert='c'\nsession='/s'\n[[csv.secret]]\nheader='h'\n"
			"file='f'\naddr=0x1000\n[[csv.secret]]\nheader='i'\n"
			"file='g'\naddr=0\n",
	     &cfg);
	assert_int_equal(cfg.csv.n_secrets, 2);
	assert_string_equal(cfg.csv.dh_cert, "/b/c");
	assert_string_equal(cfg.csv.session, "/s");
	assert_string_equal(cfg.csv.secret[0].header, "/b/h");
	assert_string_equal(cfg.csv.secret[1].file, "/b/g");
	assert_int_equal(cfg.csv.secret[0].addr, 0x1000);
	config_fini(&cfg);
}

static void test_disks(void **state)
{
	char text[2048] = KERNEL;
	struct config cfg;
	unsigned i;

	(void)state;
	refuse(KERNEL DISK "queues=0", "4:8: disk.queues: 0 is out of range");
	refuse(KERNEL DISK "queues=17", "4:8: disk.queues: 17 is out of range");
	refuse(KERNEL DISK "queues=4294967297", "4:8: disk.queues: 4294967297");
	refuse(KERNEL DISK "id=''", "4:4: disk.id: ");
	refuse(KERNEL DISK "id='a b'", "4:4: disk.id: ");
	refuse(KERNEL DISK "id='\xc3\xa9'", "4:4: disk.id: ");
	refuse(KERNEL DISK DISK, "5:8: disk.path: the same as an earlier");
	refuse(KERNEL DISK "readonly=true\n" DISK, "6:8: disk.path: the same");
	refuse(KERNEL DISK DISK "readonly=true", "5:8: disk.path: the same");
	accept(KERNEL DISK "readonly=true\n" DISK "readonly=true");
	refuse(KERNEL DISK "id='disk1'\n[[disk]]\npath='e'",
	       "5:1: disk.id: \"disk1\" names two disks");
	refuse(KERNEL DISK "[[disk]]\npath='e'\nid='disk0'",
	       "6:4: disk.id: \"disk0\" names two disks");

	for (i = 0; i < CONFIG_DISKS_MAX; i++)
		sprintf(text + strlen(text), "[[disk]]\npath='%u'\n", i);
	good(text, &cfg);
	assert_int_equal(cfg.n_disks, CONFIG_DISKS_MAX);
	assert_string_equal(cfg.disk[15].id, "disk15");
	config_fini(&cfg);
	strcat(text, "[[disk]]\npath='x'\n");
	refuse(text, "34:1: disk: one too many; allowed: up to 16");
}

static void test_taps(void **state)
{
	static const char *const bad[] = {
		"",    ".",	   "..",
		"a/b", "a b",	   "a:b",
		"a%d", "\xc3\xa9", "0123456789abcdef",
		"a\tb"
	};
	char text[512] = KERNEL;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		sprintf(text, KERNEL "[[net]]\ntap='%s'", bad[i]);
		refuse(text, "3:5: net.tap: \"");
	}
	accept(KERNEL "[[net]]\ntap='0123456789abcde'");
	refuse(KERNEL TAP TAP, "5:7: net.tap: the same as an earlier");
	refuse(KERNEL "[[net]]\npasst='p'\n[[net]]\npasst='p'",
	       "5:7: net.passt: the same as an earlier");
	refuse(KERNEL TAP "passt='p'", "2:1: net: both tap and passt; allowed:");
	refuse(KERNEL "[[net]]", "2:1: net: neither tap nor passt; allowed:");

	strcpy(text, KERNEL);
	for (i = 0; i < CONFIG_NETS_MAX; i++)
		sprintf(text + strlen(text), "[[net]]\ntap='t%zu'\n", i);
	accept(text);
	strcat(text, TAP);
	refuse(text, "18:1: net: one too many; allowed: up to 8");
}

static void test_mac(void **state)
{
	static const char *const bad[] = {
		"",
		"52:54:00:12:34",
		"52:54:00:12:34:5",
		"52:54:00:12:34:567",
		"52-54-00-12-34-56",
		"52:54:00:12:34:5g",
		" 2:54:00:12:34:56",
		"+2:54:00:12:34:56",
		"0x:54:00:12:34:56",
		"525:4:00:12:34:56",
		"00:00:00:00:00:00",
		"ff:ff:ff:ff:ff:ff",
		"01:00:5e:00:00:01",
		"33:33:00:00:00:01",
		"52:54:00:12:34:56:",
	};
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), KERNEL TAP "mac='%s'", bad[i]);
		refuse(text, "4:5: net.mac: \"");
	}
	refuse(KERNEL TAP "mac='02:00:00:00:00:0a'\n[[net]]\ntap='u'\n"
			  "mac='02:00:00:00:00:0A'",
	       "7:5: net.mac: the same as an earlier");
}

static void test_mac_default(void **state)
{
	struct config a, b, c;
	unsigned i, j;

	(void)state;
	good(KERNEL TAP "[[net]]\ntap='u'\n[[net]]\ntap='v'\n", &a);
	good(KERNEL "[[net]]\npasst='p'\n", &b);
	good("name='h'\n" KERNEL TAP, &c);
	/* From name and number alone. */
	assert_memory_equal(a.net[0].mac, b.net[0].mac, 6);
	assert_memory_not_equal(a.net[0].mac, c.net[0].mac, 6);
	for (i = 0; i < a.n_nets; i++) {
		assert_int_equal(a.net[i].mac[0] & 3, 2);
		for (j = 0; j < i; j++)
			assert_memory_not_equal(a.net[i].mac, a.net[j].mac, 6);
	}
	config_fini(&a);
	config_fini(&b);
	config_fini(&c);
}

static void console(const char *keys, enum config_console want, const char *path)
{
	struct config cfg;
	char text[256];

	snprintf(text, sizeof(text), KERNEL "[console]\n%s", keys);
	good(text, &cfg);
	assert_int_equal(cfg.console, want);
	if (path)
		assert_string_equal(cfg.console_path, path);
	else
		assert_null(cfg.console_path);
	config_fini(&cfg);
}

static void test_console(void **state)
{
	(void)state;
	console("", CONSOLE_STDIO, NULL);
	console("stdio=true", CONSOLE_STDIO, NULL);
	console("stdio=false", CONSOLE_NONE, NULL);
	console("file='x'", CONSOLE_FILE, "/b/x");
	console("socket='/x'", CONSOLE_SOCKET, "/x");
	console("stdio=false\nfile='x'", CONSOLE_FILE, "/b/x");
	refuse(KERNEL "[console]\nstdio=true\nfile='x'", "2:1: console: more ");
	refuse(KERNEL "[console]\nsocket='y'\nfile='x'", "2:1: console: more ");
	refuse(KERNEL "[console]\nstdio=true\nsocket='y'\nfile='x'",
	       "2:1: console: more than one place; allowed: one of");
	refuse(KERNEL "console.file='x'\nconsole.socket='y'",
	       "2:1: console: more than one place");
}

/* sockaddr_un.sun_path holds 108 bytes with the NUL: unix(7). */
static void test_socket_length(void **state)
{
	char text[512];

	(void)state;
	snprintf(text, sizeof(text), KERNEL "[console]\nsocket='/%0106d'", 1);
	accept(text);
	snprintf(text, sizeof(text), KERNEL "[console]\nsocket='/%0107d'", 1);
	refuse(text, "3:8: console.socket: a path of 108 bytes; a socket's has "
		     "at most 107");
	snprintf(text, sizeof(text), KERNEL "[[net]]\npasst='/%0107d'", 1);
	refuse(text, "3:7: net.passt: a path of 108 bytes");
}

static void test_too_large(void **state)
{
	char *text = malloc(CONFIG_FILE_MAX + 2);
	struct config cfg;

	(void)state;
	assert_non_null(text);
	memset(text, '#', CONFIG_FILE_MAX + 2);
	memcpy(text, KERNEL, strlen(KERNEL));
	assert_int_equal(config_parse(text, CONFIG_FILE_MAX, "g.toml", "/b",
				      false, &cfg, &err),
			 0);
	config_fini(&cfg);
	assert_int_equal(config_parse(text, CONFIG_FILE_MAX + 1, "g.toml", "/b",
				      false, &cfg, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "g.toml:1:1: file too large"));
	free(text);
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = calloc(1, 1 << 16);

	if (!f)
		fail_msg("%s: run from the root of the tree", path);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
	fclose(f);
	return text;
}

/* No key without its place in the man page and in the full example. */
static void test_documented(void **state)
{
	char *man = slurp("docs/csvvmm.toml.5");
	char *example = slurp("configs/example.toml");
	char want[64];
	unsigned i;

	(void)state;
	for (i = 0; i < config_n_keys; i++) {
		const struct config_key *k = &config_keys[i];

		assert_true(k->help && k->allowed);
		snprintf(want, sizeof(want), ".It Cm %s No =", k->name);
		if (!strstr(man, want))
			fail_msg("csvvmm.toml.5 lacks %s", want);
		snprintf(want, sizeof(want), "\n%s = ", k->name);
		if (strstr(example, want))
			continue;
		snprintf(want, sizeof(want), "\n# %s = ", k->name);
		if (!strstr(example, want))
			fail_msg("example.toml lacks %s", k->name);
	}
	for (i = SECTION_TOP + 1; i < SECTIONS; i++) {
		snprintf(want, sizeof(want), "\n%s\n", config_sections[i].label);
		if (strstr(example, want))
			continue;
		snprintf(want, sizeof(want), "\n# %s\n",
			 config_sections[i].label);
		assert_non_null(strstr(example, want));
	}
	free(man);
	free(example);
}

/* What example.toml calls the default is the default. */
static void test_example(void **state)
{
	struct config cfg, def;
	char *text = slurp("configs/example.toml");

	(void)state;
	good(text, &cfg);
	good(KERNEL "[[disk]]\npath='x'", &def);
	assert_string_equal(cfg.name, "example");
	assert_int_equal(cfg.vcpus, def.vcpus);
	assert_int_equal(cfg.memory, def.memory);
	assert_int_equal(cfg.hugepages, def.hugepages);
	assert_int_equal(cfg.migratable, def.migratable);
	assert_int_equal(cfg.sandbox, def.sandbox);
	assert_string_equal(cfg.cmdline, def.cmdline);
	assert_string_equal(cfg.disk[0].id, def.disk[0].id);
	assert_int_equal(cfg.disk[0].readonly, def.disk[0].readonly);
	assert_int_equal(cfg.disk[0].direct, def.disk[0].direct);
	assert_int_equal(cfg.disk[0].queues, def.disk[0].queues);
	assert_int_equal(cfg.console, def.console);
	assert_int_equal(cfg.rng, def.rng);
	config_fini(&cfg);
	config_fini(&def);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_long_file_name),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_cmdline),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_csv_policy),
		cmocka_unit_test(test_csv_swiotlb),
		cmocka_unit_test(test_csv_cmdline),
		cmocka_unit_test(test_csv_refused),
		cmocka_unit_test(test_csv_secrets),
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_taps),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_mac_default),
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_socket_length),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_documented),
		cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
