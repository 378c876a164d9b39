/* SPDX-License-Identifier: GPL-2.0-or-later */
/* psp/: certificates and chains, the good ones and the forged. */
#include "psp/suite.h"
#include "tests/unit/psp_rig.h"

#define SIG1 1044
#define SIG2 1564

static void chain_load(enum psp_profile p, uint8_t chain[PSP_CHAIN_SIZE])
{
	rig_vec(p, "cert.pek", chain, PSP_CERT_SIZE, NULL);
	rig_vec(p, "cert.oca", chain + PSP_CERT_SIZE, PSP_CERT_SIZE, NULL);
	rig_vec(p, "cert.cek", chain + 2 * PSP_CERT_SIZE, PSP_CERT_SIZE, NULL);
}

static void put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void make_known(void **state)
{
	enum psp_profile p = PROFILE(state);
	static const struct {
		const char *key, *vec;
		enum psp_cert_usage usage;
	} all[] = {
		{ "cek", "cert.cek", PSP_USAGE_CEK },
		{ "oca", "cert.oca", PSP_USAGE_OCA },
		{ "pek", "cert.pek", PSP_USAGE_PEK },
		{ "pdh", "cert.pdh", PSP_USAGE_PDH },
	};
	uint8_t want[PSP_CERT_SIZE], got[PSP_CERT_SIZE];

	for (unsigned i = 0; i < 4; i++) {
		struct psp_ec_key *k = rig_key(p, all[i].key);

		VEC(p, all[i].vec, want);
		assert_int_equal(psp_cert_make(psp_suite(p), k, all[i].usage, 0,
					       24, got),
				 0);
		assert_memory_equal(got, want, SIG1);
		assert_int_equal(psp_cert_usage(got), all[i].usage);
		/* Unsigned: both slots say so, and hold nothing. */
		memset(want + SIG1, 0, PSP_CERT_SIZE - SIG1);
		put32(want + SIG1, PSP_USAGE_INVALID);
		put32(want + SIG2, PSP_USAGE_INVALID);
		assert_memory_equal(got, want, sizeof(got));
		psp_ec_free(k);
	}
}

static void chain_known(void **state)
{
	enum psp_profile p = PROFILE(state);
	uint8_t pdh[PSP_CERT_SIZE], chain[PSP_CHAIN_SIZE];

	VEC(p, "cert.pdh", pdh);
	chain_load(p, chain);
	assert_int_equal(psp_chain_verify(psp_suite(p), pdh, chain), 0);
}

/* Every bit that a signature covers, and every bit of r and s. */
static void flipped_bits(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	uint8_t pdh[PSP_CERT_SIZE], pek[PSP_CERT_SIZE];

	VEC(p, "cert.pdh", pdh);
	VEC(p, "cert.pek", pek);
	assert_int_equal(psp_cert_verify(s, pdh, pek, PSP_USAGE_PEK), 0);
	for (unsigned i = 0; i < SIG1 + 8 + 144; i += i < 320 ? 1 : 7) {
		int r;

		pdh[i] ^= (uint8_t)(1u << i % 8);
		r = psp_cert_verify(s, pdh, pek, PSP_USAGE_PEK);
		assert_int_equal(r, i >= SIG1 && i < SIG1 + 4 ? -ENOENT
							      : -EBADMSG);
		pdh[i] ^= (uint8_t)(1u << i % 8);
	}
	/* AMD: what follows the point means nothing; Hygon: a user id of 13. */
	for (unsigned i = 0; i < (p == PSP_AMD ? 148u : 163u); i++) {
		pek[16 + i] ^= 1;
		assert_int_not_equal(psp_cert_verify(s, pdh, pek, PSP_USAGE_PEK),
				     0);
		pek[16 + i] ^= 1;
	}
	/* Signatures of zeros and of ones. */
	memset(pdh + SIG1 + 8, 0, 144);
	assert_int_equal(psp_cert_verify(s, pdh, pek, PSP_USAGE_PEK), -EBADMSG);
	memset(pdh + SIG1 + 8, 0xff, 144);
	assert_int_equal(psp_cert_verify(s, pdh, pek, PSP_USAGE_PEK), -EBADMSG);
}

static void check_refuses(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	uint8_t good[PSP_CERT_SIZE], c[PSP_CERT_SIZE];

	VEC(p, "cert.pdh", good);
	assert_int_equal(psp_cert_check(s, good, PSP_USAGE_PDH), 0);
	assert_int_equal(psp_cert_check(s, good, PSP_USAGE_PEK), -EINVAL);
	assert_int_equal(
		psp_cert_check(psp_suite(p == PSP_AMD ? PSP_HYGON : PSP_AMD),
			       good, PSP_USAGE_PDH),
		-EINVAL);
	memcpy(c, good, sizeof(c));
	put32(c, 2);
	assert_int_equal(psp_cert_check(s, c, PSP_USAGE_PDH), -EINVAL);
	memcpy(c, good, sizeof(c));
	put32(c + 12, p == PSP_AMD ? 2 : 4); /* a signing key is no PDH */
	assert_int_equal(psp_cert_check(s, c, PSP_USAGE_PDH), -EINVAL);
	memcpy(c, good, sizeof(c));
	put32(c + 16, 1); /* P-256 */
	assert_int_equal(psp_cert_check(s, c, PSP_USAGE_PDH), -EINVAL);
	memcpy(c, good, sizeof(c));
	memset(c + 20, 0, 144); /* the point at infinity has no such form */
	assert_int_equal(psp_cert_check(s, c, PSP_USAGE_PDH), -EINVAL);
	memcpy(c, good, sizeof(c));
	memset(c + 20, 0xff, 144);
	assert_int_equal(psp_cert_check(s, c, PSP_USAGE_PDH), -EINVAL);
	memset(c, 0, sizeof(c));
	assert_int_equal(psp_cert_check(s, c, PSP_USAGE_ARK), -EINVAL);
	if (p == PSP_HYGON) {
		memcpy(c, good, sizeof(c));
		c[16 + 148] = 255; /* longer than its field */
		assert_int_equal(psp_cert_check(s, c, PSP_USAGE_PDH), -EINVAL);
	}
}

/* x + p is the same point, but another certificate. */
static void coordinate_not_reduced(void **state)
{
	enum psp_profile p = PROFILE(state);
	static const char prime[2][97] = {
		"ffffffffffffffffffffffffffffffffffffffffffffffff"
		"fffffffffffffffeffffffff0000000000000000ffffffff",
		"00000000000000000000000000000000fffffffeffffffff"
		"ffffffffffffffffffffffff00000000ffffffffffffffff",
	};
	uint8_t c[PSP_CERT_SIZE];
	unsigned carry = 0;

	VEC(p, "cert.pdh", c);
	for (unsigned i = 0; i < 72; i++) {
		unsigned v = 0;

		if (i < 48)
			v = (unsigned)(rig_nibble(prime[p][94 - 2 * i]) << 4 |
				       rig_nibble(prime[p][95 - 2 * i]));
		carry += v + c[20 + i];
		c[20 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_int_equal(psp_cert_check(psp_suite(p), c, PSP_USAGE_PDH), -EINVAL);
}

static void slots(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	struct psp_ec_key *pek = rig_key(p, "pek"), *oca = rig_key(p, "oca");
	struct psp_ec_key *cek = rig_key(p, "cek");
	uint8_t cert[PSP_CERT_SIZE], by_oca[PSP_CERT_SIZE], by_cek[PSP_CERT_SIZE];

	VEC(p, "cert.oca", by_oca);
	VEC(p, "cert.cek", by_cek);
	assert_int_equal(psp_cert_make(s, pek, PSP_USAGE_PEK, 1, 2, cert), 0);
	assert_int_equal(psp_cert_verify(s, cert, by_oca, PSP_USAGE_OCA),
			 -ENOENT);
	assert_int_equal(psp_cert_sign(s, cert, cek, PSP_USAGE_CEK), 0);
	assert_int_equal(psp_cert_sign(s, cert, oca, PSP_USAGE_OCA), 0);
	assert_int_equal(psp_cert_verify(s, cert, by_oca, PSP_USAGE_OCA), 0);
	assert_int_equal(psp_cert_verify(s, cert, by_cek, PSP_USAGE_CEK), 0);
	assert_int_equal(psp_cert_sign(s, cert, pek, PSP_USAGE_PEK), -ENOSPC);
	/* The same signer again takes its own slot. */
	assert_int_equal(psp_cert_sign(s, cert, pek, PSP_USAGE_OCA), 0);
	assert_int_equal(psp_cert_verify(s, cert, by_oca, PSP_USAGE_OCA),
			 -EBADMSG);
	assert_int_equal(psp_cert_sign(s, cert, oca, PSP_USAGE_OCA), 0);
	assert_int_equal(psp_cert_verify(s, cert, by_oca, PSP_USAGE_OCA), 0);
	assert_int_equal(psp_cert_verify(s, cert, by_cek, PSP_USAGE_CEK), 0);
	/* A signer's certificate of another usage. */
	assert_int_equal(psp_cert_verify(s, cert, by_cek, PSP_USAGE_OCA),
			 -EINVAL);
	psp_ec_free(pek);
	psp_ec_free(oca);
	psp_ec_free(cek);
}

static void chain_mixed_up(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	uint8_t pdh[PSP_CERT_SIZE], chain[PSP_CHAIN_SIZE], bad[PSP_CHAIN_SIZE];
	struct psp_ec_key *other = rig_key(p, "peer");

	VEC(p, "cert.pdh", pdh);
	chain_load(p, chain);
	/* Another OCA, well signed by itself. */
	memcpy(bad, chain, sizeof(bad));
	assert_int_equal(psp_cert_make(s, other, PSP_USAGE_OCA, 0, 24,
				       bad + PSP_CERT_SIZE),
			 0);
	assert_int_equal(
		psp_cert_sign(s, bad + PSP_CERT_SIZE, other, PSP_USAGE_OCA), 0);
	assert_int_equal(psp_chain_verify(s, pdh, bad), -EBADMSG);
	/* Another chip. */
	memcpy(bad, chain, sizeof(bad));
	assert_int_equal(psp_cert_make(s, other, PSP_USAGE_CEK, 0, 24,
				       bad + 2 * PSP_CERT_SIZE),
			 0);
	assert_int_equal(psp_chain_verify(s, pdh, bad), -EBADMSG);
	/* Another PEK. */
	memcpy(bad, chain, sizeof(bad));
	assert_int_equal(psp_cert_make(s, other, PSP_USAGE_PEK, 0, 24, bad), 0);
	assert_int_equal(psp_chain_verify(s, pdh, bad), -EBADMSG);
	/* An OCA that nobody signed. */
	memcpy(bad, chain, sizeof(bad));
	put32(bad + PSP_CERT_SIZE + SIG1, PSP_USAGE_INVALID);
	assert_int_equal(psp_chain_verify(s, pdh, bad), -ENOENT);
	/* Order. */
	memcpy(bad, chain + PSP_CERT_SIZE, PSP_CERT_SIZE);
	memcpy(bad + PSP_CERT_SIZE, chain, PSP_CERT_SIZE);
	assert_int_equal(psp_chain_verify(s, pdh, bad), -EINVAL);
	assert_int_equal(psp_chain_verify(s, chain, chain), -EINVAL);
	psp_ec_free(other);
}

static void amd_sha384(void **state)
{
	const struct psp_suite *s = psp_suite(PSP_AMD);
	uint8_t pek[PSP_CERT_SIZE], oca[PSP_CERT_SIZE], cek[PSP_CERT_SIZE];

	(void)state;
	VEC(PSP_AMD, "cert.pek384", pek);
	VEC(PSP_AMD, "cert.oca", oca);
	VEC(PSP_AMD, "cert.cek", cek);
	assert_int_equal(psp_cert_check(s, pek, PSP_USAGE_PEK), 0);
	assert_int_equal(psp_cert_verify(s, pek, oca, PSP_USAGE_OCA), 0);
	assert_int_equal(psp_cert_verify(s, pek, cek, PSP_USAGE_CEK), 0);
	put32(pek + SIG1 + 4, 2);
	assert_int_equal(psp_cert_verify(s, pek, oca, PSP_USAGE_OCA), -EBADMSG);
}

static void report_signature(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	struct psp_ec_key *k = rig_key(p, "pek");
	uint8_t pek[PSP_CERT_SIZE], data[180], sig[144];

	rig_fill("report", data, sizeof(data));
	VEC(p, "cert.pek", pek);
	VEC(p, "report.sig", sig);
	assert_int_equal(psp_cert_check_sig(s, pek, data, 180, sig), 0);
	assert_int_equal(psp_cert_check_sig(s, pek, data, 179, sig), -EBADMSG);
	memset(sig, 0, sizeof(sig));
	assert_int_equal(psp_ec_sign(s, k, PSP_USAGE_PEK, data, 180, sig), 0);
	assert_int_equal(psp_cert_check_sig(s, pek, data, 180, sig), 0);
	data[0] ^= 1;
	assert_int_equal(psp_cert_check_sig(s, pek, data, 180, sig), -EBADMSG);
	data[0] ^= 1;
	/* SM2 binds the user id, hence the usage. */
	assert_int_equal(psp_ec_sign(s, k, PSP_USAGE_OCA, data, 180, sig), 0);
	assert_int_equal(psp_cert_check_sig(s, pek, data, 180, sig),
			 p == PSP_HYGON ? -EBADMSG : 0);
	assert_int_equal(psp_sig_algo(s), p == PSP_HYGON ? 4 : 2);
	psp_ec_free(k);
}

static void root_known(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	uint8_t chain[PSP_ROOT_CHAIN_MAX], cek[PSP_CERT_SIZE];
	size_t len = 0, half;

	rig_vec(p, "root", chain, sizeof(chain), &len);
	VEC(p, "cert.cek", cek);
	half = len / 2;
	assert_int_equal(half, 832);
	assert_int_equal(psp_root_verify(s, chain, len, NULL, 0, cek), 0);
	assert_int_equal(psp_root_verify(s, chain, len, chain + half, half, cek),
			 0);
	for (unsigned i = 0; i < len; i += 5) {
		/* Hygon: reserved bytes after a signature mean nothing. */
		if (p == PSP_HYGON && i % 832 >= 720)
			continue;
		chain[i] ^= 0x40;
		assert_int_not_equal(
			psp_root_verify(s, chain, len, NULL, 0, cek), 0);
		chain[i] ^= 0x40;
	}
	assert_int_equal(psp_root_verify(s, chain, len - 1, NULL, 0, cek),
			 -EINVAL);
	assert_int_equal(psp_root_verify(s, chain, 10, NULL, 0, cek), -EINVAL);
	assert_int_not_equal(psp_root_verify(s, chain, len, chain, half, cek), 0);
	assert_int_not_equal(
		psp_root_verify(s, chain, len, chain + half, 100, cek), 0);
	cek[SIG1 + 8] ^= 1;
	assert_int_equal(psp_root_verify(s, chain, len, NULL, 0, cek), -EBADMSG);
}

static void root_made(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	uint8_t chain[PSP_ROOT_CHAIN_MAX], cert[PSP_CERT_SIZE];
	struct psp_ec_key *cek = rig_key(p, "cek"), *ask, *bad;
	size_t len = 0;

	assert_int_equal(psp_root_chain(s, chain, 1663, &len), -ENOSPC);
	assert_int_equal(psp_root_chain(s, chain, sizeof(chain), &len), 0);
	assert_int_equal(len, 1664);
	assert_int_equal(psp_root_key(s, PSP_USAGE_PEK, &bad), -EINVAL);
	assert_int_equal(psp_root_key(s, PSP_USAGE_ASK, &ask), 0);
	assert_int_equal(psp_cert_make(s, cek, PSP_USAGE_CEK, 0, 24, cert), 0);
	assert_int_equal(psp_root_verify(s, chain, len, NULL, 0, cert), -EBADMSG);
	assert_int_equal(psp_cert_sign(s, cert, ask, PSP_USAGE_ASK), 0);
	assert_int_equal(psp_root_verify(s, chain, len, NULL, 0, cert), 0);
	/* By somebody else's key. */
	assert_int_equal(psp_cert_sign(s, cert, cek, PSP_USAGE_ASK), 0);
	assert_int_equal(psp_root_verify(s, chain, len, NULL, 0, cert), -EBADMSG);
	psp_ec_free(cek);
	psp_ec_free(ask);
}

/* Well signed by the root, but naming another one. */
static void root_of_another_name(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	uint8_t chain[PSP_ROOT_CHAIN_MAX], cek[PSP_CERT_SIZE];
	struct psp_ec_key *ark;
	size_t len;

	VEC(p, "cert.cek", cek);
	assert_int_equal(psp_root_key(s, PSP_USAGE_ARK, &ark), 0);
	assert_int_equal(psp_root_chain(s, chain, sizeof(chain), &len), 0);
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		chain[20] = (uint8_t)('c' ^ wrong);
		if (p == PSP_AMD)
			assert_int_equal(
				psp_rsa_sign(ark, chain, 576, chain + 576), 0);
		else
			assert_int_equal(psp_ec_sign(s, ark, PSP_USAGE_ARK,
						     chain, 576, chain + 576),
					 0);
		assert_int_equal(psp_root_verify(s, chain, len, NULL, 0, cek),
				 wrong ? -EBADMSG : 0);
	}
	psp_ec_free(ark);
}

static void amd_root_4096(void **state)
{
	const struct psp_suite *s = psp_suite(PSP_AMD);
	static uint8_t chain[PSP_ROOT_CHAIN_MAX];
	uint8_t cek[PSP_CERT_SIZE];

	(void)state;
	VEC(PSP_AMD, "root4096", chain);
	VEC(PSP_AMD, "cert.cek4096", cek);
	assert_int_equal(psp_root_verify(s, chain, sizeof(chain), chain + 1600,
					 1600, cek),
			 0);
	/* Sound, but not the model's root. */
	assert_int_equal(psp_root_verify(s, chain, sizeof(chain), NULL, 0, cek),
			 -EBADMSG);
	put32(chain + 60, 0x80000000u);
	assert_int_equal(psp_root_verify(s, chain, sizeof(chain), NULL, 0, cek),
			 -EINVAL);
	put32(chain + 60, 2048);
	assert_int_equal(psp_root_verify(s, chain, sizeof(chain), NULL, 0, cek),
			 -EINVAL);
}

static void amd_root_key_is_no_platform_key(void **state)
{
	const struct psp_suite *s = psp_suite(PSP_AMD);
	struct psp_ec_key *ark;
	uint8_t cert[PSP_CERT_SIZE], secret[48], sig[144];

	(void)state;
	assert_int_equal(psp_root_key(s, PSP_USAGE_ARK, &ark), 0);
	assert_int_equal(psp_cert_make(s, ark, PSP_USAGE_PEK, 0, 24, cert),
			 -EINVAL);
	assert_int_equal(psp_ec_export(ark, secret), -EINVAL);
	assert_int_equal(psp_ec_sign(s, ark, PSP_USAGE_ARK, cert, 10, sig),
			 -EINVAL);
	psp_ec_free(ark);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(make_known),
		BOTH(chain_known),
		BOTH(flipped_bits),
		BOTH(check_refuses),
		BOTH(coordinate_not_reduced),
		BOTH(slots),
		BOTH(chain_mixed_up),
		cmocka_unit_test(amd_sha384),
		BOTH(report_signature),
		BOTH(root_known),
		BOTH(root_made),
		BOTH(root_of_another_name),
		cmocka_unit_test(amd_root_4096),
		cmocka_unit_test(amd_root_key_is_no_platform_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
