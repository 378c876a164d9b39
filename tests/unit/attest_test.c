/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/launch_rig.h"

#include "vmm/attest.h"

/* A genuine report of the model, its certificates, and what changes break. */
struct evidence {
	enum psp_profile profile;
	uint8_t report[4096], chain[LAUNCH_CHAIN_SIZE], roots[PSP_ROOT_CHAIN_MAX];
	size_t report_len, roots_len, root_len; /* HSK (ASK), then the root */
};

static struct evidence evidence[2], e;

static void collect(enum psp_profile profile, struct evidence *ev)
{
	rig_init(profile, false);
	assert_int_equal(rig_measure(), 0);
	ev->profile = profile;
	ev->report_len = rig.l.report.len;
	memcpy(ev->report, rig.l.report.data, rig.l.report.len);
	assert_int_equal(rig.l.chain.len, sizeof(ev->chain));
	memcpy(ev->chain, rig.l.chain.data, sizeof(ev->chain));
	assert_int_equal(psp_root_chain(psp_suite(profile), ev->roots,
					sizeof(ev->roots), &ev->roots_len),
			 0);
	ev->root_len = ev->roots_len / 2;
	rig_fini();
}

static int setup(void **state)
{
	(void)state;
	collect(PSP_HYGON, &evidence[0]);
	collect(PSP_AMD, &evidence[1]);
	return 0;
}

/* Verify @e, the root being trusted as a file. */
static int verify(void)
{
	struct attest_certs c = { .n = 0 };
	struct attest_report r;
	const char *why = NULL;
	int err;

	assert_int_equal(attest_parse(e.report, e.report_len, &r), 0);
	err = attest_add(&c, e.profile, e.roots, e.roots_len, true);
	if (!err)
		err = attest_add(&c, e.profile, e.chain, sizeof(e.chain), false);
	if (!err)
		err = attest_verify(&r, &c, &why);
	assert_true(err == 0 || err == -EINVAL || why);
	return err;
}

static void test_good(void **state)
{
	uint8_t digest[32];
	uint32_t policy;
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		e = evidence[i];
		assert_int_equal(verify(), 0);
		assert_int_equal(attest_digest(e.report, e.report_len, digest,
					       &policy),
				 0);
		assert_int_equal(policy, 1);
	}
}

/* Each link refuses: a bit in every @step-th byte of [from, to). */
static void flip_range(uint8_t *data, size_t from, size_t to, size_t step)
{
	size_t i;

	for (i = from; i < to; i += step) {
		data[i] ^= 0x10;
		if (verify() == 0)
			fail_msg("profile %d: byte %zu is not covered",
				 e.profile, i);
		data[i] ^= 0x10;
	}
}

static void test_flip_report(void **state)
{
	(void)state;
	e = evidence[1]; /* AMD: all but the reserved word before the signature */
	flip_range(e.report, 0, 60, 1);
	flip_range(e.report, 64, 64 + 48, 5);
	flip_range(e.report, 64 + 72, 64 + 72 + 48, 5);
	e = evidence[0];
	flip_range(e.report, 0, 188, 3);
	flip_range(e.report, 188, 192, 1); /* anonce */
	flip_range(e.report, 192, 192 + 32, 5);
	flip_range(e.report, 264, 264 + 32, 5);
	flip_range(e.report, 336, 2548, 41); /* PEK, chip id, MAC */
	assert_int_equal(verify(), 0);
}

static void test_flip_chain(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		const size_t cek = 2 * LAUNCH_CERT_SIZE;

		e = evidence[i];
		/* AMD takes the PEK from the chain, Hygon from the report. */
		if (i == 1)
			flip_range(e.chain, 16, 112, 7);
		flip_range(e.chain, cek + 16, cek + 112, 7);
		flip_range(e.chain, cek, cek + 16, 3);
		flip_range(e.roots, 4, 36, 5); /* key ids */
		flip_range(e.roots, 64, 160, 11);
		flip_range(e.roots, e.root_len + 64, e.root_len + 160, 11);
		assert_int_equal(verify(), 0);
	}
}

static int verify_with(bool root, bool sub, bool cek, bool pek, bool model,
		       bool trusted)
{
	struct attest_certs c = { .model_root = model };
	const uint8_t *chain = e.chain;
	struct attest_report r;
	const char *why = "";

	assert_int_equal(attest_parse(e.report, e.report_len, &r), 0);
	if (root)
		assert_int_equal(attest_add(&c, e.profile, e.roots + e.root_len,
					    e.root_len, trusted),
				 0);
	if (sub)
		assert_int_equal(
			attest_add(&c, e.profile, e.roots, e.root_len, false), 0);
	if (pek)
		assert_int_equal(attest_add(&c, e.profile, chain,
					    LAUNCH_CERT_SIZE, false),
				 0);
	if (cek)
		assert_int_equal(attest_add(&c, e.profile,
					    chain + 2 * LAUNCH_CERT_SIZE,
					    LAUNCH_CERT_SIZE, false),
				 0);
	return attest_verify(&r, &c, &why);
}

static void test_missing(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		e = evidence[i];
		assert_int_equal(
			verify_with(true, true, true, true, false, true), 0);
		assert_int_equal(
			verify_with(false, false, true, true, true, true), 0);
		assert_int_equal(verify_with(false, true, true, true, false, true),
				 -ENOENT);
		assert_int_equal(verify_with(true, false, true, true, false, true),
				 -ENOENT);
		assert_int_equal(verify_with(true, true, false, true, false, true),
				 -ENOENT);
		/* A root that is only a link of the chain ends nothing. */
		assert_int_equal(verify_with(true, true, true, true, false, false),
				 -ENOENT);
	}
	assert_int_equal(verify_with(true, true, true, false, false, true),
			 -ENOENT);
	e = evidence[0];
	assert_int_equal(verify_with(true, true, true, false, false, true), 0);
}

/* Whose platform the report is not. */
static void test_other_cek(void **state)
{
	(void)state;
	e = evidence[0];
	memcpy(e.chain + 2 * LAUNCH_CERT_SIZE,
	       evidence[1].chain + 2 * LAUNCH_CERT_SIZE, LAUNCH_CERT_SIZE);
	assert_int_equal(verify(), -EBADMSG);
}

static void test_sizes(void **state)
{
	static uint8_t junk[8192];
	struct attest_certs c = { .n = 0 };
	struct attest_report r;
	size_t len;
	unsigned i;

	(void)state;
	for (len = 0; len < sizeof(junk); len++) {
		if (len != 208 && len != 4096)
			assert_int_equal(attest_parse(junk, len, &r), -EINVAL);
	}
	for (len = 1; len < 832; len += 13)
		assert_int_equal(attest_add(&c, PSP_HYGON, junk, len, true),
				 -EINVAL);
	assert_int_equal(attest_add(&c, PSP_AMD, junk, sizeof(junk), true),
			 -EINVAL);
	c.n = 0;
	for (i = 0; i < ATTEST_CERTS_MAX; i++)
		assert_int_equal(attest_add(&c, PSP_HYGON, junk, 832, false), 0);
	assert_int_equal(attest_add(&c, PSP_HYGON, junk, 832, false), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_flip_report),
		cmocka_unit_test(test_flip_chain),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_other_cek),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
