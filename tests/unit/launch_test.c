/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/launch_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "core/csv_abi.h"
#include "vmm/base64.h"
#include "vmm/hex.h"
#include "vmm/launch_files.h"

static const enum psp_profile profiles[] = { PSP_HYGON, PSP_AMD };

static uint64_t commands(void)
{
	const struct psp_stats *st = psp_stats(csv_model_psp(rig.model));
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(st->commands); i++)
		n += st->commands[i];
	return n;
}

/* --- nothing is left -------------------------------------------------------- */

static void assert_clean(void)
{
	struct psp *p = csv_model_psp(rig.model);
	struct psp_abi_platform_status st = { 0 };
	uint32_t asid;

	assert_int_equal(
		psp_command(p, PSP_CMD_PLATFORM_STATUS, &st, sizeof(st)), 0);
	assert_int_equal(st.guest_count, 0);
	for (asid = 1; asid < 64; asid++)
		assert_false(psp_asid_may_run(p, asid));
	assert_int_equal(rig.regions, 0);
	assert_int_equal(rig.closed, 1);
}

/* The ASID of the dead guest can be given to the next. */
static void assert_asid_free(void)
{
	struct psp *p = csv_model_psp(rig.model);
	struct psp_abi_start s = { .policy = rig.cfg.policy };
	struct psp_abi_activate a;
	struct psp_abi_handle h;
	struct psp_config c;

	psp_config_default(&c, rig.cfg.profile == CONFIG_CSV_AMD ? PSP_AMD
								 : PSP_HYGON);
	assert_int_equal(psp_command(p, PSP_CMD_DF_FLUSH, NULL, 0), 0);
	assert_int_equal(psp_command(p, PSP_CMD_LAUNCH_START, &s, sizeof(s)), 0);
	h.handle = a.handle = s.handle;
	a.asid = rig.cfg.type == CONFIG_CSV_2 ? 1 : c.min_sev_asid;
	assert_int_equal(psp_command(p, PSP_CMD_ACTIVATE, &a, sizeof(a)), 0);
	assert_int_equal(psp_command(p, PSP_CMD_DEACTIVATE, &h, sizeof(h)), 0);
	assert_int_equal(psp_command(p, PSP_CMD_DECOMMISSION, &h, sizeof(h)), 0);
}

/* --- the log ------------------------------------------------------------------ */

static int log_fd = -1, old_stderr = -1;

static void log_begin(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	old_stderr = dup(STDERR_FILENO);
	assert_true(log_fd >= 0 && old_stderr >= 0);
	assert_true(dup2(log_fd, STDERR_FILENO) >= 0);
}

/* What was logged meanwhile, in a static buffer. */
static const char *log_end(void)
{
	static char text[8192];
	ssize_t n;

	assert_true(dup2(old_stderr, STDERR_FILENO) >= 0);
	(void)close(old_stderr);
	n = pread(log_fd, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = 0;
	(void)close(log_fd);
	return text;
}

static unsigned count(const char *text, const char *word)
{
	unsigned n = 0;

	for (text = strstr(text, word); text; text = strstr(text + 1, word))
		n++;
	return n;
}

/* --- tests -------------------------------------------------------------------- */

static void test_good(void **state)
{
	unsigned i, es;

	(void)state;
	for (i = 0; i < 2 * ARRAY_SIZE(profiles); i++) {
		es = i & 1;
		rig_init(profiles[i / 2], es);
		assert_int_equal(rig_measure(), 0);
		assert_int_equal(rig.l.state, LAUNCH_MEASURED);
		assert_int_equal(rig.regions, 1);
		assert_true(rig.l.have_digest);
		assert_int_equal(rig.l.chain.len, 3 * 2084);
		assert_int_equal(launch_finish(&rig.l), 0);
		assert_int_equal(rig.l.state, LAUNCH_FINISHED);
		launch_fini(&rig.l);
		launch_fini(&rig.l);
		assert_clean();
		assert_asid_free();
		rig_fini();
	}
}

/* SHA-256 and SM3 over 0x1000 times 0x11 and 0x3000 times 0x22, by
 * `openssl dgst`. Memory only: registers are another test's. */
static void test_digest(void **state)
{
	static const char *const want[] = {
		"19154266af3edca13f3ef37f7238429f941f77f1a00a69033cc3e8845818b6cb",
		"b09b22e75c9e3f4d7d57e21ff6af74c6928de444c6594c90ad5522ba84ab8631",
	};
	char hex[65];
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(profiles); i++) {
		rig_init(profiles[i], false);
		assert_int_equal(rig_measure(), 0);
		hex_encode(rig.l.digest, 32, hex);
		assert_string_equal(hex, want[i]);
		rig_fini();
	}
}

/* Of a CSV2 guest: memory, then the VMSAs by id. */
static void test_digest_vmsa(void **state)
{
	static uint8_t all[0x4000 + RIG_VCPUS * VMSA_SIZE];
	struct psp_part part = { all, sizeof(all) };
	uint8_t digest[32];
	unsigned i;

	(void)state;
	rig_init(PSP_AMD, true);
	memset(all, 0x11, 0x1000);
	memset(all + 0x1000, 0x22, 0x3000);
	for (i = 0; i < RIG_VCPUS; i++)
		measure_vmsa(&rig.boot, i, VMSA_HOST_MAINLINE_6_12,
			     all + 0x4000 + i * VMSA_SIZE);
	assert_int_equal(psp_digest(psp_suite(PSP_AMD), &part, 1, digest), 0);
	assert_int_equal(rig_measure(), 0);
	assert_memory_equal(rig.l.digest, digest, sizeof(digest));
	rig_fini();
}

/*
 * Each command fails once, the n-th of the launch. Either that is the end, in
 * one line and with nothing left, or the launch can do without.
 */
static void fail_nth(enum psp_profile profile, bool es, unsigned n)
{
	const char *log;
	int r;

	rig_init(profile, es);
	psp_fault_command(csv_model_psp(rig.model), n, PSP_RET_HWERROR_PLATFORM);
	log_begin();
	r = rig_measure();
	if (!r)
		r = launch_finish(&rig.l);
	log = log_end();
	if (r == 0) {
		assert_true(!rig.l.have_digest || !rig.l.chain.len);
		assert_int_equal(rig.l.state, LAUNCH_FINISHED);
		assert_int_equal(count(log, "error:"), 0);
		launch_fini(&rig.l);
	} else {
		assert_int_equal(r, -EIO);
		assert_int_equal(rig.l.state, LAUNCH_NONE);
		assert_int_equal(count(log, "\n"), 1);
		assert_int_equal(count(log, "error: encrypted launch: "), 1);
		assert_int_equal(count(log, "next: "), 1);
	}
	assert_clean();
	assert_asid_free();
	rig_fini();
}

static void test_fail_each(void **state)
{
	uint64_t before, total;
	unsigned i, n;

	(void)state;
	for (i = 0; i < 2 * ARRAY_SIZE(profiles); i++) {
		rig_init(profiles[i / 2], i & 1);
		before = commands();
		assert_int_equal(rig_measure(), 0);
		assert_int_equal(launch_finish(&rig.l), 0);
		total = commands() - before;
		rig_fini();
		assert_true(total >= 7);
		for (n = 1; n <= total; n++)
			fail_nth(profiles[i / 2], i & 1, n);
	}
}

static void test_order(void **state)
{
	uint8_t packet[LAUNCH_HEADER_SIZE] = { 0 };

	(void)state;
	rig_init(PSP_HYGON, true);
	assert_int_equal(launch_init(&rig.l, &rig.cfg, &rig_backend, rig.model),
			 0);
	assert_int_equal(launch_secret(&rig.l, packet, 52, 0, packet, 16),
			 -EPROTO);
	log_begin();
	assert_int_equal(launch_finish(&rig.l), -EPROTO);
	(void)log_end();
	/* That was a mistake of the caller, not the launch's end. */
	assert_int_equal(rig.l.state, LAUNCH_INIT);
	assert_int_equal(launch_measure(&rig.l, &rig.gm, &rig.boot), 0);
	log_begin();
	assert_int_equal(launch_measure(&rig.l, &rig.gm, &rig.boot), -EPROTO);
	(void)log_end();
	assert_int_equal(launch_finish(&rig.l), 0);
	assert_int_equal(launch_secret(&rig.l, packet, 52, 0, packet, 16),
			 -EPROTO);
	rig_fini();
}

static void test_secret_bounds(void **state)
{
	static uint8_t data[LAUNCH_SECRET_MAX + 16];
	uint8_t h[64] = { 0 };

	(void)state;
	rig_init(PSP_AMD, false);
	assert_int_equal(rig_measure(), 0);
	assert_int_equal(launch_secret(&rig.l, h, 51, 0, data, 16), -EINVAL);
	assert_int_equal(launch_secret(&rig.l, h, 53, 0, data, 16), -EINVAL);
	assert_int_equal(launch_secret(&rig.l, h, 52, 0, data, 0), -EINVAL);
	assert_int_equal(launch_secret(&rig.l, h, 52, 0, data, 15), -EINVAL);
	assert_int_equal(launch_secret(&rig.l, h, 52, 8, data, 16), -EINVAL);
	assert_int_equal(launch_secret(&rig.l, h, 52, 0, data, sizeof(data)),
			 -EINVAL);
	assert_int_equal(launch_secret(&rig.l, h, 52, MIB(1), data, 16), -EINVAL);
	assert_int_equal(launch_secret(&rig.l, h, 52, MIB(1) - 16, data, 32),
			 -EINVAL);
	assert_int_equal(launch_secret(&rig.l, h, 52, ~15ULL, data, 16), -EINVAL);
	/* A packet of the right form, but of nobody: the launch goes on. */
	assert_int_equal(launch_secret(&rig.l, h, 52, 0, data, 16), -EIO);
	assert_int_equal(rig.l.csv.fw, PSP_RET_BAD_MEASUREMENT);
	assert_int_equal(rig.l.state, LAUNCH_MEASURED);
	assert_int_equal(launch_finish(&rig.l), 0);
	rig_fini();
}

/* The rig's regions: 0x1000 to 0x2000, and from there to 0x5000. */
static void test_overlap(void **state)
{
	static const struct {
		gpa_t at;
		uint64_t len;
		const char *what;
	} t[] = {
		{ 0xff0, 16, NULL },	{ 0xff0, 17, "one" },
		{ 0x1000, 16, "one" },	{ 0x1ff0, 16, "one" },
		{ 0x2000, 16, "two" },	{ 0x1ff0, 32, "one" },
		{ 0x4ff0, 16, "two" },	{ 0x5000, 16, NULL },
		{ 0, 0x100000, "one" }, { 0x7ffffffffffffff0, 16, NULL },
	};
	size_t i;

	(void)state;
	rig_init(PSP_AMD, false);
	assert_int_equal(rig_measure(), 0);
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		const struct boot_region *r =
			launch_overlap(&rig.l, t[i].at, t[i].len);

		assert_string_equal(r ? r->what : "-",
				    t[i].what ? t[i].what : "-");
	}
	rig_fini();
}

static void test_policy(void **state)
{
	const char *log;

	(void)state;
	rig_init(PSP_HYGON, true);
	rig.cfg.policy |= 0xff0000; /* API 255.0 */
	log_begin();
	assert_int_equal(rig_measure(), -EIO);
	log = log_end();
	assert_int_equal(count(log, "LAUNCH_START"), 1);
	assert_int_equal(count(log, "\n"), 1);
	assert_clean();
	rig_fini();
}

static void test_files(void **state)
{
	char path[] = "/tmp/csvvmm-launch-XXXXXX", text[256];
	uint8_t bytes[52];
	struct launch_blob b = { 0 };
	int fd = mkstemp(path);
	unsigned i;

	(void)state;
	assert_true(fd >= 0);
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37);
	assert_int_equal(write(fd, bytes, 52), 52);
	assert_int_equal(blob_read("x", path, 52, 0, &b), 0);
	assert_memory_equal(b.data, bytes, 52);
	free(b.data);
	base64_encode(bytes, 52, text);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
	assert_int_equal(blob_read("x", path, 52, 0, &b), 0);
	assert_int_equal(b.len, 52);
	assert_memory_equal(b.data, bytes, 52);
	free(b.data);
	log_begin();
	assert_int_equal(blob_read("x", path, 128, 0, &b), -EINVAL);
	assert_int_equal(blob_read("x", "/tmp", 52, 0, &b), -EISDIR);
	assert_int_equal(blob_read("x", "/dev/zero", 52, 0, &b), -ENOTSUP);
	assert_int_equal(blob_read("x", "/nowhere", 52, 0, &b), -ENOENT);
	/* A good one with blanks behind it, up to the largest that is read. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
	for (i = (unsigned)strlen(text); i < 32768; i++)
		assert_int_equal(pwrite(fd, "\n", 1, i), 1);
	assert_int_equal(blob_read("x", path, 52, 0, &b), 0);
	free(b.data);
	assert_int_equal(pwrite(fd, "\n", 1, 32768), 1);
	assert_int_equal(blob_read("x", path, 52, 0, &b), -EFBIG);
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	assert_int_equal(blob_read("x", path, 0, 16384, &b), -EFBIG);
	assert_int_equal(count(log_end(), "regular file"), 1);
	(void)close(fd);
	(void)unlink(path);
}

/* [RFC 4648] 10, and what it forbids. */
static void test_base64(void **state)
{
	static const char *const good[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
	};
	static const char *const bad[] = {
		"Z",	"Zg",	  "Zg=",  "Zg===", "=",	    "====", "Zh==",
		"Zm9=", "Zg==Zg", "Z=g=", "Zm9v!", "Zm9vZ", "_w==", "Z==="
	};
	uint8_t out[16];
	char text[32];
	size_t len, i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		base64_encode(good[i][0], strlen(good[i][0]), text);
		assert_string_equal(text, good[i][1]);
		assert_int_equal(base64_decode(text, strlen(text), out,
					       sizeof(out), &len),
				 0);
		assert_int_equal(len, strlen(good[i][0]));
		assert_memory_equal(out, good[i][0], len);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), out,
					       sizeof(out), &len),
				 -EINVAL);
	assert_int_equal(base64_decode(" Zm\n9v\r\n", 8, out, 16, &len), 0);
	assert_int_equal(len, 3);
	assert_int_equal(base64_decode("Zm9v\0", 5, out, 16, &len), -EINVAL);
	assert_int_equal(base64_decode("Zm9vYmFy", 8, out, 5, &len), -EMSGSIZE);
	assert_int_equal(base64_decode("Zm9vYmFy", 8, out, 6, &len), 0);
}

/* One that comes during the launch ends it; nothing is left, and no error told. */
static void test_signal(void **state)
{
	static const uint32_t on[] = { KVM_SEV_LAUNCH_START,
				       KVM_SEV_LAUNCH_UPDATE_DATA };
	const struct timespec none = { 0, 0 };
	sigset_t set, old;
	unsigned i;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
	for (i = 0; i < ARRAY_SIZE(on); i++) {
		rig_init(PSP_HYGON, true);
		rig.raise_on = on[i];
		log_begin();
		assert_int_equal(rig_measure(), -EINTR);
		assert_int_equal(count(log_end(), "error"), 0);
		assert_clean();
		/* It is still there, for whoever ends the guest. */
		assert_int_equal(sigtimedwait(&set, NULL, &none), SIGTERM);
		rig_fini();
	}
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
}

/* Registered by pieces, so that a signal waits for one only. */
static void test_pieces(void **state)
{
	(void)state;
	rig_init(PSP_HYGON, false);
	gmem_fini(&rig.gm);
	assert_int_equal(gmem_init(&rig.gm, GIB(1), false), 0);
	assert_int_equal(gmem_fill(&rig.gm, 0x1000, 0x11, 0x4000), 0);
	assert_int_equal(rig_measure(), 0);
	assert_int_equal(rig.regions, 4);
	launch_fini(&rig.l);
	assert_int_equal(rig.regions, 0);
	rig_fini();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_digest_vmsa),
		cmocka_unit_test(test_fail_each),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_secret_bounds),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
