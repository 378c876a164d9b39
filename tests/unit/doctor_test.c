/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "core/util.h"
#include "vmm/doctor.h"

/* CPUID 0x8000001f of a host with SEV and SEV-ES: C-bit 51, five address bits
 * lost, 509 ASIDs, the first without encrypted registers is 100. */
#define SEV_EAX 0x0au
#define SEV_EBX (51u | 5u << 6)

struct fixture {
	char root[64];
	struct doctor d;
	struct doctor_cpu cpu;
	struct doctor_kvm kvm;
};

static struct fixture fx;

static void put_file(const char *path, const char *text)
{
	char full[256], cmd[300];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", fx.root, path);
	snprintf(cmd, sizeof(cmd), "mkdir -p $(dirname %s)", full);
	assert_int_equal(system(cmd), 0);
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	(void)state;
	memset(&fx, 0, sizeof(fx));
	strcpy(fx.root, "/tmp/csvvmm-doctor-XXXXXX");
	assert_non_null(mkdtemp(fx.root));
	fx.d.root = fx.root;
	fx.cpu = (struct doctor_cpu){
		.vendor = "HygonGenuine",
		.sev = { SEV_EAX, SEV_EBX, 509, 100 },
	};
	put_file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sme sev sev_es "
				  "sse\nbugs\t\t: none\n");
	put_file("/sys/module/kvm_amd/parameters/sev", "Y\n");
	put_file("/sys/module/kvm_amd/parameters/sev_es", "Y\n");
	put_file("/dev/sev", "");
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", fx.root);
	return system(cmd);
}

static void csv(void)
{
	fx.d.n = 0;
	doctor_check_csv(&fx.d, &fx.cpu, &fx.kvm);
}

static const struct check *expect(const char *name, enum check_status status)
{
	const struct check *c = doctor_find(&fx.d, name);

	if (!c)
		fail_msg("no check named %s", name);
	if (c->status != status)
		fail_msg("%s: status %d: %s", name, c->status, c->detail);
	/* What is missing or limited always comes with a next step. */
	if (status == CHECK_MISSING || status == CHECK_WARN)
		assert_int_not_equal(c->next[0], 0);
	return c;
}

static void test_csv_ready(void **state)
{
	const struct check *c;

	(void)state;
	csv();
	c = expect("csv", CHECK_OK);
	assert_non_null(strstr(c->detail, "C-bit 51"));
	assert_non_null(strstr(c->detail, "lose 5 bits"));
	expect("csv2", CHECK_OK);
	expect("dev-sev", CHECK_OK);
	c = expect("asids-csv", CHECK_INFO);
	assert_non_null(strstr(c->detail, "100 to 509: 410 guests"));
	c = expect("asids-csv2", CHECK_INFO);
	assert_non_null(strstr(c->detail, "1 to 99: 99 guests"));
	expect("csv3", CHECK_INFO);
}

static void test_csv_no_processor(void **state)
{
	(void)state;
	memset(fx.cpu.sev, 0, sizeof(fx.cpu.sev));
	csv();
	assert_non_null(strstr(expect("csv", CHECK_MISSING)->next, "Hygon"));
	assert_null(doctor_find(&fx.d, "csv2"));
	assert_null(doctor_find(&fx.d, "asids-csv"));
	/* The same bits of another vendor mean nothing. */
	fx.cpu.sev[0] = SEV_EAX;
	strcpy(fx.cpu.vendor, "GenuineIntel");
	csv();
	expect("csv", CHECK_MISSING);
}

static void test_csv_firmware_off(void **state)
{
	(void)state;
	put_file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu seven sev_es");
	csv();
	assert_non_null(strstr(expect("csv", CHECK_MISSING)->next, "SMEE"));
	put_file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sev");
	csv();
	expect("csv", CHECK_OK);
}

static void test_csv_parameter_off(void **state)
{
	(void)state;
	put_file("/sys/module/kvm_amd/parameters/sev", "N\n");
	csv();
	assert_non_null(
		strstr(expect("csv", CHECK_MISSING)->next, "kvm_amd sev=1"));
	put_file("/sys/module/kvm_amd/parameters/sev", "0\n");
	csv();
	expect("csv", CHECK_MISSING);
	put_file("/sys/module/kvm_amd/parameters/sev", "1\n");
	put_file("/sys/module/kvm_amd/parameters/sev_es", "0\n");
	csv();
	expect("csv", CHECK_OK);
	expect("csv2", CHECK_MISSING);
}

static void test_csv_kvm_refuses(void **state)
{
	(void)state;
	fx.kvm.sev = -ENOTTY;
	csv();
	expect("csv", CHECK_MISSING);
}

static void test_csv_no_es_asids(void **state)
{
	(void)state;
	fx.cpu.sev[3] = 1;
	csv();
	/* Hygon's CSV2 may use the others' ASIDs, AMD's SEV-ES may not. */
	assert_non_null(
		strstr(expect("asids-csv2", CHECK_INFO)->detail, "1 to 509"));
	strcpy(fx.cpu.vendor, "AuthenticAMD");
	csv();
	assert_non_null(strstr(expect("asids-csv2", CHECK_MISSING)->next,
			       "SEV-ES ASID Space Limit"));
}

static void test_csv_strange_cpuid(void **state)
{
	(void)state;
	fx.cpu.sev[2] = 0;
	fx.cpu.sev[3] = UINT32_MAX;
	csv();
	assert_null(doctor_find(&fx.d, "asids-csv"));
	fx.cpu.sev[2] = UINT32_MAX;
	fx.cpu.sev[3] = 0;
	csv();
	assert_non_null(strstr(expect("asids-csv", CHECK_INFO)->detail,
			       "1 to 4294967295: 4294967295 guests"));
	fx.cpu.sev[2] = 5;
	fx.cpu.sev[3] = 9;
	csv();
	assert_null(doctor_find(&fx.d, "asids-csv"));
}

static void test_asids_in_use(void **state)
{
	(void)state;
	put_file("/sys/fs/cgroup/misc.capacity", "sev 410\nsev_es 99\n");
	put_file("/sys/fs/cgroup/misc.current", "sev 3\nsev_es 99\n");
	csv();
	assert_non_null(
		strstr(expect("asids-csv", CHECK_OK)->detail, "3 run now"));
	expect("asids-csv2", CHECK_MISSING);
	/* A mount of its own, as cgroup v1 has it. */
	put_file("/sys/fs/cgroup/misc.current", "");
	put_file("/sys/fs/cgroup/misc/misc.current", "sev 7\nsev_es 9\n");
	csv();
	assert_non_null(
		strstr(expect("asids-csv", CHECK_OK)->detail, "7 run now"));
	expect("asids-csv2", CHECK_OK);
}

static void test_dev_sev(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/dev/sev", fx.root);
	assert_int_equal(unlink(path), 0);
	csv();
	assert_non_null(
		strstr(expect("dev-sev", CHECK_MISSING)->next, "modprobe ccp"));
	assert_int_equal(mkdir(path, 0700), 0);
	csv();
	expect("dev-sev", CHECK_MISSING);
}

static void test_can_run_csv2(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_false(doctor_can_run_csv2(&fx.d));
	csv();
	assert_true(doctor_can_run_csv2(&fx.d));
	doctor_print(&fx.d, f);
	fflush(f);
	assert_non_null(strstr(text, "\nA CSV2 guest can run here.\n"));

	/* One that lets no guest run at all. */
	doctor_blocks(&fx.d, "kvm", "no KVM");
	assert_false(doctor_can_run_csv2(&fx.d));
	doctor_print(&fx.d, f);
	fclose(f);
	assert_non_null(strstr(text, "\nA CSV2 guest can not run here as it is: "
				     "no KVM.\n"));
	assert_non_null(strstr(text, ": lab/run --cpu hygon build/csvvmm run "
				     "FILE\n"));
	free(text);

	/* The processor, the kernel or its parameter. */
	fx.cpu.sev[0] = 0x02;
	csv();
	assert_false(doctor_can_run_csv2(&fx.d));
	fx.cpu.sev[0] = SEV_EAX;
	fx.d.root = "/nowhere";
	csv();
	expect("csv2", CHECK_MISSING);
	assert_false(doctor_can_run_csv2(&fx.d));
}

static void execution(struct doctor_probe p, bool hypervisor)
{
	fx.d.n = 0;
	doctor_check_execution(&fx.d, &p, hypervisor);
}

static void test_execution(void **state)
{
	struct doctor_probe p = {
		.loop_exit = KVM_EXIT_HLT,
		.sse_exit = KVM_EXIT_HLT,
		.instructions = 40000,
		.loop_ns = 20000,
	};

	(void)state;
	execution(p, false);
	expect("execution", CHECK_OK);
	assert_true(doctor_can_run(&fx.d));
	execution(p, true);
	assert_non_null(strstr(expect("execution", CHECK_OK)->detail, "nested"));

	p.sse_exit = KVM_EXIT_INTERNAL_ERROR;
	p.loop_ns = 29000000;
	execution(p, true);
	assert_non_null(strstr(expect("execution", CHECK_MISSING)->detail,
			       "1.4 million"));
	assert_false(doctor_can_run(&fx.d));

	/* No SSE is the point, not the speed. */
	p.loop_ns = 20000;
	execution(p, false);
	assert_false(doctor_can_run(&fx.d));
	p.sse_exit = KVM_EXIT_HLT;
	p.loop_ns = 40000000;
	execution(p, false);
	expect("execution", CHECK_WARN);
	assert_true(doctor_can_run(&fx.d));

	p.loop_exit = KVM_EXIT_UNKNOWN;
	execution(p, false);
	expect("execution", CHECK_MISSING);
	assert_false(doctor_can_run(&fx.d));
	p.error = -EPERM;
	execution(p, false);
	expect("execution", CHECK_MISSING);
	assert_false(doctor_can_run(&fx.d));
}

static void test_no_kvm(void **state)
{
	static const struct {
		int error;
		const char *next;
	} how[] = {
		{ -ENOENT, "modprobe kvm_amd" },
		{ -ENODEV, "firmware" },
		{ -EACCES, "usermod -aG kvm" },
		{ -ENOTSUP, "version 12" },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(how); i++) {
		struct doctor_kvm k = { .fd = how[i].error, .sev = -ENOTTY };

		fx.d.n = 0;
		doctor_check_kvm(&fx.d, &k);
		assert_non_null(strstr(expect("kvm", CHECK_MISSING)->next,
				       how[i].next));
		assert_false(doctor_can_run(&fx.d));
	}
}

/* Whatever this machine is, the probe comes to an end and says something. */
static void test_probe_here(void **state)
{
	struct doctor_probe p;
	struct doctor_kvm k;

	(void)state;
	doctor_kvm_open(&k);
	if (k.fd < 0)
		skip();
	doctor_probe_run(k.fd, &p);
	if (!p.error && p.loop_exit == KVM_EXIT_HLT)
		assert_true(p.sse_exit == KVM_EXIT_HLT ||
			    p.sse_exit == KVM_EXIT_INTERNAL_ERROR ||
			    p.sse_exit == KVM_EXIT_UNKNOWN);
	doctor_check_kvm(&fx.d, &k);
	expect("kvm", CHECK_OK);
	(void)close(k.fd);
}

static void test_nothing_is_not_ready(void **state)
{
	struct doctor d = { .root = "" };

	(void)state;
	assert_false(doctor_can_run(&d));
}

static void test_table_full(void **state)
{
	unsigned i;

	(void)state;
	fx.d.n = 0;
	for (i = 0; i < DOCTOR_CHECKS_MAX + 10; i++)
		doctor_next(doctor_add(&fx.d, "x", CHECK_OK, "%u", i), "y");
	assert_int_equal(fx.d.n, DOCTOR_CHECKS_MAX);
}

static void test_long_texts(void **state)
{
	char text[2000];
	struct check *c;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	c = doctor_add(&fx.d, "x", CHECK_OK, "%s", text);
	doctor_next(c, "%s", text);
	assert_int_equal(strlen(c->detail), sizeof(c->detail) - 1);
	assert_int_equal(strlen(c->next), sizeof(c->next) - 1);
	put_file("/long", text);
	assert_int_equal(doctor_read(&fx.d, "/long", text, 10), 9);
	assert_int_equal(doctor_read(&fx.d, "/none", text, 10), -ENOENT);
}

static void test_read_key(void **state)
{
	(void)state;
	put_file("/m", "MemTotal:  10 kB\nMemAvailable:\t 77 kB\nHuge: x\n");
	assert_int_equal(doctor_read_key(&fx.d, "/m", "MemAvailable"), 77);
	assert_int_equal(doctor_read_key(&fx.d, "/m", "Mem"), -1);
	assert_int_equal(doctor_read_key(&fx.d, "/none", "Mem"), -1);
	assert_int_equal(doctor_read_flag(&fx.d, "/none"), -1);
}

static void test_json(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	json_t *j, *c;

	(void)state;
	doctor_add(&fx.d, "a", CHECK_OK, "fine");
	doctor_next(doctor_blocks(&fx.d, "b", "say \"why\""), "do it");
	assert_int_equal(doctor_print_json(&fx.d, f), 0);
	fclose(f);
	j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_true(json_is_false(json_object_get(j, "can_run_linux")));
	assert_true(json_is_false(json_object_get(j, "can_run_csv2")));
	c = json_array_get(json_object_get(j, "checks"), 0);
	assert_string_equal(json_string_value(json_object_get(c, "status")),
			    "ok");
	assert_null(json_object_get(c, "next"));
	c = json_array_get(json_object_get(j, "checks"), 1);
	assert_string_equal(json_string_value(json_object_get(c, "status")),
			    "missing");
	assert_true(json_is_true(json_object_get(c, "blocks")));
	assert_string_equal(json_string_value(json_object_get(c, "detail")),
			    "say \"why\"");
	assert_string_equal(json_string_value(json_object_get(c, "next")),
			    "do it");
	json_decref(j);
	free(text);
}

/* Nothing on a machine without /proc and /sys makes the host part fail. */
static void test_host_bare(void **state)
{
	unsigned i;

	(void)state;
	fx.d.root = "/nonexistent";
	doctor_check_host(&fx.d);
	for (i = 0; i < fx.d.n; i++) {
		const struct check *c = &fx.d.check[i];

		if (c->status == CHECK_MISSING || c->status == CHECK_WARN)
			assert_int_not_equal(c->next[0], 0);
	}
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_csv_ready),	   T(test_csv_no_processor),
		T(test_csv_firmware_off),  T(test_csv_parameter_off),
		T(test_csv_kvm_refuses),   T(test_csv_no_es_asids),
		T(test_csv_strange_cpuid), T(test_asids_in_use),
		T(test_dev_sev),	   T(test_can_run_csv2),
		T(test_execution),	   T(test_no_kvm),
		T(test_probe_here),	   T(test_nothing_is_not_ready),
		T(test_table_full),	   T(test_long_texts),
		T(test_read_key),	   T(test_json),
		T(test_host_bare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
