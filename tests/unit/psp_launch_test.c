/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Launch, secret, debugging, attestation. Digests, MACs and ciphers are done
 * here with OpenSSL's own calls, not the model's.
 */
#include "tests/unit/test.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tests/unit/psp_host.h"

static const enum psp_profile amd = PSP_AMD, hygon = PSP_HYGON;

static int setup(void **state)
{
	const enum psp_profile *profile = *state;
	struct rig *r = rig_new(*profile, 1);
	unsigned i;

	assert_int_equal(rig_init(r), 0);
	for (i = 0; i < 1u << 20; i++)
		r->ram[RIG_GUEST + i] = (uint8_t)(i * 7 + (i >> 12));
	for (i = 0; i < 4096; i++)
		r->ram[RIG_VMSA + i] = (uint8_t)(i ^ i >> 8);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

#define BOTH(f)                                                              \
	{ #f " (amd)", f, setup, teardown, (void *)(uintptr_t)&amd },        \
	{                                                                    \
#f " (hygon)", f, setup, teardown, (void *)(uintptr_t)&hygon \
	}

static const EVP_MD *md(const struct rig *r)
{
	return r->cfg.profile == PSP_AMD ? EVP_sha256() : EVP_sm3();
}

static void hmac(const struct rig *r, const void *key, int key_len,
		 const void *data, size_t len, uint8_t out[32])
{
	unsigned n;

	assert_non_null(HMAC(md(r), key, key_len, data, len, out, &n));
	assert_int_equal(n, 32);
}

static void ctr(const struct rig *r, const uint8_t *key, const uint8_t *iv,
		uint8_t *data, int len)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n;

	assert_int_equal(EVP_EncryptInit_ex(c,
					    r->cfg.profile == PSP_AMD
						    ? EVP_aes_128_ctr()
						    : EVP_sm4_ctr(),
					    NULL, key, iv),
			 1);
	assert_int_equal(EVP_EncryptUpdate(c, data, &n, data, len), 1);
	EVP_CIPHER_CTX_free(c);
}

/* The guest's owner: a DH key, a session, and what it expects. */
struct owner {
	struct psp_ec_key *key;
	uint8_t cert[PSP_CERT_SIZE], session[PSP_SESSION_SIZE];
	struct psp_transport keys;
};

static void owner_make(struct rig *r, struct owner *o, uint32_t policy)
{
	const struct psp_suite *s = psp_suite(r->cfg.profile);

	(void)rig_certs(r, r);
	memset(&o->keys, 0x11, sizeof(o->keys));
	o->keys.tik[3] = 0x77;
	assert_int_equal(psp_ec_from_seed(s, "owner", 5, &o->key), 0);
	assert_int_equal(psp_cert_make(s, o->key, PSP_USAGE_PDH, 0, 24, o->cert),
			 0);
	assert_int_equal(psp_session_make(s, &rig_ops, r, o->key, r->ram + RIG_PDH,
					  policy, &o->keys, o->session),
			 0);
	memcpy(r->ram + RIG_PDH, o->cert, sizeof(o->cert));
	memcpy(r->ram + RIG_SESSION, o->session, sizeof(o->session));
}

static struct psp_abi_start owner_start(uint32_t policy)
{
	return (struct psp_abi_start){ .policy = policy,
				       .cert_address = RIG_PDH,
				       .cert_len = PSP_CERT_SIZE,
				       .session_address = RIG_SESSION,
				       .session_len = PSP_SESSION_SIZE };
}

/* What LAUNCH_MEASURE has to say ([sev-es-emulation] G.7). */
static void expect_measure(const struct rig *r, const struct owner *o,
			   uint32_t policy, const uint8_t digest[32],
			   const uint8_t nonce[16], uint8_t out[32])
{
	uint8_t msg[8 + 32 + 16] = { 4, r->cfg.api_major, r->cfg.api_minor,
				     (uint8_t)r->cfg.build };

	memcpy(msg + 4, &policy, 4);
	memcpy(msg + 8, digest, 32);
	memcpy(msg + 40, nonce, 16);
	hmac(r, o->keys.tik, 16, msg, sizeof(msg), out);
}

/* A launch with the owner's session of 3 pages in 2 pieces and a VMSA. */
static uint32_t launch(struct rig *r, struct owner *o, uint32_t policy,
		       uint8_t digest[32])
{
	struct psp_abi_start c = owner_start(policy);
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	uint32_t len = 4096 + 32;

	owner_make(r, o, policy);
	assert_int_equal(EVP_DigestInit_ex(h, md(r), NULL), 1);
	EVP_DigestUpdate(h, r->ram + RIG_GUEST, 4096 + 32);
	EVP_DigestUpdate(h, r->ram + RIG_GUEST + 0x3ff0, 0x2020);
	EVP_DigestUpdate(h, r->ram + RIG_VMSA, 4096);
	EVP_DigestFinal_ex(h, digest, NULL);
	EVP_MD_CTX_free(h);
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), 0);
	assert_int_equal(rig_activate(r, c.handle, 5), 0);
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_UPDATE_DATA, c.handle,
				    RIG_GUEST, &len),
			 0);
	len = 0x2020;
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_UPDATE_DATA, c.handle,
				    (RIG_GUEST + 0x3ff0) | RIG_CBIT, &len),
			 0);
	len = 4096;
	assert_int_equal(r->vmsa, 0);
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_UPDATE_VMSA, c.handle,
				    RIG_VMSA, &len),
			 0);
	assert_int_equal(r->vmsa, RIG_VMSA);
	return c.handle;
}

static void test_measure(void **state)
{
	struct rig *r = *state;
	const uint32_t policy = PSP_POLICY_ES;
	uint8_t digest[32], want[32], plain[4096], seen[4096];
	struct owner o;
	uint32_t h, len = 0;

	memcpy(plain, r->ram + RIG_GUEST, sizeof(plain));
	h = launch(r, &o, policy, digest);
	/* The host sees noise, the guest its own. */
	assert_memory_not_equal(r->ram + RIG_GUEST, plain, 16);
	rig_plain(r, 5, RIG_GUEST, seen, sizeof(seen));
	assert_memory_equal(seen, plain, sizeof(seen));
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len),
			 PSP_RET_INVALID_LEN);
	assert_int_equal(len, 48);
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h, RIG_ROM, &len),
			 PSP_RET_INVALID_ADDRESS);
	r->fail_random = 1;
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len),
			 PSP_RET_HWERROR_PLATFORM);
	r->fail_random = 0;
	assert_int_equal(rig_state(r, h), PSP_G_LUPDATE);
	len = 4000;
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len),
			 0);
	assert_int_equal(len, 48);
	expect_measure(r, &o, policy, digest, r->ram + RIG_OUT + 32, want);
	assert_memory_equal(r->ram + RIG_OUT, want, 32);
	assert_int_equal(rig_state(r, h), PSP_G_LSECRET);
	assert_false(psp_asid_may_run(r->p, 5));
	assert_int_equal(rig_handle(r, PSP_CMD_LAUNCH_FINISH, h), 0);
	assert_true(psp_asid_may_run(r->p, 5));
	psp_ec_free(o.key);
}

static void test_update_errors(void **state)
{
	struct rig *r = *state;
	const uint32_t data = PSP_CMD_LAUNCH_UPDATE_DATA;
	const uint32_t vmsa = PSP_CMD_LAUNCH_UPDATE_VMSA;
	uint8_t before[64];
	uint32_t h, len;
	static const struct {
		uint32_t vmsa;
		uint64_t address;
		uint32_t len;
		uint16_t status;
	} bad[] = {
		{ 0, RIG_GUEST, 0, PSP_RET_INVALID_LEN },
		{ 0, RIG_GUEST, 15, PSP_RET_INVALID_LEN },
		{ 0, RIG_GUEST, 17, PSP_RET_INVALID_LEN },
		{ 0, RIG_GUEST + 8, 16, PSP_RET_INVALID_ADDRESS },
		{ 0, RIG_RAM, 16, PSP_RET_INVALID_ADDRESS },
		{ 0, RIG_GUEST, 0xfffffff0, PSP_RET_INVALID_ADDRESS },
		{ 0, ~0xfULL, 32, PSP_RET_INVALID_ADDRESS },
		{ 0, RIG_TMR, 4096, PSP_RET_INVALID_ADDRESS },
		{ 0, RIG_TMR - 4096, 4112, PSP_RET_INVALID_ADDRESS },
		{ 0, RIG_ROM, 4096, PSP_RET_INVALID_ADDRESS },
		{ 1, RIG_VMSA, 0, PSP_RET_INVALID_LEN },
		{ 1, RIG_VMSA, 4080, PSP_RET_INVALID_LEN },
		{ 1, RIG_VMSA, 8192, PSP_RET_INVALID_LEN },
		{ 1, RIG_VMSA + 16, 4096, PSP_RET_INVALID_ADDRESS },
		{ 1, RIG_RAM, 4096, PSP_RET_INVALID_ADDRESS },
	};
	size_t i;

	h = rig_guest(r, PSP_POLICY_ES, 5, PSP_G_LUPDATE);
	memcpy(before, r->ram + RIG_GUEST, sizeof(before));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		len = bad[i].len;
		assert_int_equal(rig_launch(r, bad[i].vmsa ? vmsa : data, h,
					    bad[i].address, &len),
				 bad[i].status);
		assert_memory_equal(before, r->ram + RIG_GUEST, sizeof(before));
	}
	len = 4096;
	assert_int_equal(r->vmsa, 0);
	r->fail_vmsa = true;
	assert_int_equal(rig_launch(r, vmsa, h, RIG_VMSA, &len),
			 PSP_RET_INVALID_ADDRESS);
	/* Up to the region's edge on both sides. */
	assert_int_equal(rig_launch(r, data, h, RIG_TMR - 4096, &len), 0);
	assert_int_equal(rig_launch(r, data, h, RIG_TMR + PSP_TMR_SIZE, &len), 0);
}

static void test_session(void **state)
{
	struct rig *r = *state;
	struct psp_abi_start c;
	struct owner o;
	size_t bit;

	owner_make(r, &o, 0);
	c = owner_start(0);
	c.cert_len--;
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_INVALID_LEN);
	c = owner_start(0);
	c.cert_len = 0;
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_INVALID_LEN);
	c = owner_start(0);
	c.session_len = 129;
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_INVALID_LEN);
	c = owner_start(0);
	c.session_address = RIG_BAD;
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_INVALID_ADDRESS);
	c = owner_start(0);
	c.cert_address = RIG_TMR;
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_INVALID_ADDRESS);
	/* Another policy than the owner's. */
	c = owner_start(PSP_POLICY_NOSEND);
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_BAD_MEASUREMENT);
	for (bit = 0; bit < PSP_SESSION_SIZE * 8; bit++) {
		r->ram[RIG_SESSION + bit / 8] ^= 1u << bit % 8;
		c = owner_start(0);
		assert_int_equal(RIG_DO(r, LAUNCH_START, c),
				 PSP_RET_BAD_MEASUREMENT);
		r->ram[RIG_SESSION + bit / 8] ^= 1u << bit % 8;
	}
	r->ram[RIG_PDH + 20] ^= 1; /* not on the curve */
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_INVALID_CERTIFICATE);
	r->ram[RIG_PDH + 20] ^= 1;
	r->ram[RIG_PDH + 8] ^= 1; /* usage: PEK */
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_INVALID_CERTIFICATE);
	r->ram[RIG_PDH + 8] ^= 1;
	assert_int_equal(rig_platform(r).guest_count, 0);
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), 0);
	psp_ec_free(o.key);
}

/* The owner's packet ([sev-es-emulation] G.7). */
static void secret_make(struct rig *r, const struct owner *o,
			const uint8_t measure[32], const void *secret,
			uint32_t len)
{
	uint8_t hdr[52] = { 0 }, msg[1 + 4 + 16 + 8 + 16384 + 32] = { 1 };
	uint8_t *data = msg + 29;

	memset(hdr + 4, 0x33, 16);
	memcpy(data, secret, len);
	ctr(r, o->keys.tek, hdr + 4, data, (int)len);
	memcpy(msg + 1, hdr, 20);
	memcpy(msg + 21, &len, 4);
	memcpy(msg + 25, &len, 4);
	memcpy(data + len, measure, 32);
	hmac(r, o->keys.tik, 16, msg, 29 + len + 32, hdr + 20);
	memcpy(r->ram + RIG_HDR, hdr, sizeof(hdr));
	memcpy(r->ram + RIG_TRANS, data, len);
}

static void test_secret(void **state)
{
	struct rig *r = *state;
	const uint64_t at = RIG_GUEST + 0x20ff0; /* crosses pages */
	uint8_t digest[32], secret[16384], seen[16384], before[16384];
	struct psp_abi_packet c;
	struct owner o;
	uint32_t h, len = 48;
	size_t bit;

	memset(secret, 0xc5, sizeof(secret));
	h = launch(r, &o, PSP_POLICY_ES, digest);
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len),
			 0);
	memcpy(before, r->ram + at, sizeof(before));
	secret_make(r, &o, r->ram + RIG_OUT, secret, 48);
#define SECRET(field, value, want)                                        \
	do {                                                              \
		c = rig_packet(h, at, 48);                                \
		c.field = (value);                                        \
		assert_int_equal(RIG_DO(r, LAUNCH_SECRET, c), (want));    \
		assert_memory_equal(before, r->ram + at, sizeof(before)); \
	} while (0)
	SECRET(hdr_len, 51, PSP_RET_INVALID_LEN);
	SECRET(hdr_len, 53, PSP_RET_INVALID_LEN);
	SECRET(guest_len, 0, PSP_RET_INVALID_LEN);
	SECRET(guest_len, 47, PSP_RET_INVALID_LEN);
	SECRET(guest_len, 64, PSP_RET_INVALID_LEN);
	SECRET(guest_len, 16400, PSP_RET_INVALID_LEN);
	SECRET(trans_len, 64, PSP_RET_INVALID_LEN);
	SECRET(trans_len, 0, PSP_RET_INVALID_LEN);
	SECRET(guest_address, at + 1, PSP_RET_INVALID_ADDRESS);
	SECRET(guest_address, RIG_RAM - 16, PSP_RET_INVALID_ADDRESS);
	SECRET(guest_address, RIG_ROM, PSP_RET_INVALID_ADDRESS);
	SECRET(hdr_address, RIG_BAD, PSP_RET_INVALID_ADDRESS);
	SECRET(trans_address, ~0ULL - 10, PSP_RET_INVALID_ADDRESS);
	for (bit = 0; bit < (52 + 48) * 8; bit++) {
		uint8_t *b = r->ram + (bit < 52 * 8 ? RIG_HDR + bit / 8
						    : RIG_TRANS + bit / 8 - 52);

		*b ^= 1u << bit % 8;
		SECRET(handle, h, PSP_RET_BAD_MEASUREMENT);
		*b ^= 1u << bit % 8;
	}
	c = rig_packet(h, at, 48);
	assert_int_equal(RIG_DO(r, LAUNCH_SECRET, c), 0);
	rig_plain(r, 5, at, seen, 48);
	assert_memory_equal(seen, secret, 48);
	/* The largest one; the C-bit is not asked for here. */
	secret_make(r, &o, r->ram + RIG_OUT, secret, 16384);
	c = rig_packet(h, at, 16384);
	c.guest_address = at;
	assert_int_equal(RIG_DO(r, LAUNCH_SECRET, c), 0);
	rig_plain(r, 5, at, seen, 16384);
	assert_memory_equal(seen, secret, 16384);
	/* A secret for another measurement. */
	r->ram[RIG_OUT] ^= 1;
	secret_make(r, &o, r->ram + RIG_OUT, secret, 48);
	c = rig_packet(h, at, 48);
	assert_int_equal(RIG_DO(r, LAUNCH_SECRET, c), PSP_RET_BAD_MEASUREMENT);
	psp_ec_free(o.key);
}

static void test_dbg(void **state)
{
	struct rig *r = *state;
	uint8_t plain[8192];
	struct psp_abi_dbg c;
	uint32_t h;

	memcpy(plain, r->ram + RIG_GUEST, sizeof(plain));
	h = rig_guest(r, PSP_POLICY_NODBG, 7, PSP_G_RUNNING);
#define DBG(cmd, s, d, n, want)                                         \
	do {                                                            \
		c = (struct psp_abi_dbg){                               \
			.handle = h, .src = (s), .dst = (d), .len = (n) \
		};                                                      \
		assert_int_equal(RIG_DO(r, cmd, c), (want));            \
	} while (0)
	DBG(DBG_DECRYPT, RIG_GUEST, RIG_OUT, 16, PSP_RET_POLICY_FAILURE);
	DBG(DBG_ENCRYPT, RIG_OUT, RIG_GUEST, 16, PSP_RET_POLICY_FAILURE);
	memcpy(r->ram + RIG_GUEST, plain, sizeof(plain));
	h = rig_guest(r, 0, 8, PSP_G_RUNNING);
	DBG(DBG_DECRYPT, RIG_GUEST, RIG_OUT, 0, PSP_RET_INVALID_LEN);
	DBG(DBG_DECRYPT, RIG_GUEST, RIG_OUT, 24, PSP_RET_INVALID_LEN);
	DBG(DBG_DECRYPT, RIG_GUEST + 8, RIG_OUT, 16, PSP_RET_INVALID_ADDRESS);
	DBG(DBG_DECRYPT, RIG_GUEST, RIG_OUT + 8, 16, PSP_RET_INVALID_ADDRESS);
	DBG(DBG_DECRYPT, RIG_RAM, RIG_OUT, 16, PSP_RET_INVALID_ADDRESS);
	DBG(DBG_DECRYPT, RIG_GUEST, RIG_ROM, 16, PSP_RET_INVALID_ADDRESS);
	DBG(DBG_ENCRYPT, RIG_OUT, RIG_ROM, 16, PSP_RET_INVALID_ADDRESS);
	DBG(DBG_ENCRYPT, RIG_OUT, RIG_TMR, 16, PSP_RET_INVALID_ADDRESS);
	DBG(DBG_ENCRYPT, RIG_OUT, RIG_GUEST, ~15u, PSP_RET_INVALID_ADDRESS);
	DBG(DBG_DECRYPT, RIG_GUEST | RIG_CBIT, RIG_OUT, 8192, 0);
	assert_memory_equal(r->ram + RIG_OUT, plain, 8192);
	r->ram[RIG_OUT + 16] ^= 0xff;
	DBG(DBG_ENCRYPT, RIG_OUT + 16, RIG_GUEST + 32, 16, 0);
	rig_plain(r, 8, RIG_GUEST, plain, 64);
	assert_memory_equal(plain + 32, r->ram + RIG_OUT + 16, 16);
	assert_memory_equal(plain, r->ram + RIG_OUT, 16);
	assert_memory_equal(plain + 48, r->ram + RIG_OUT + 48, 16);
}

static struct psp_abi_attest attest(uint32_t h, const char *nonce)
{
	struct psp_abi_attest c = { .handle = h, .address = RIG_OUT, .len = 4096 };

	strncpy((char *)c.mnonce, nonce, sizeof(c.mnonce));
	return c;
}

static void test_report_amd(void **state)
{
	struct rig *r = *state;
	const struct psp_suite *s = psp_suite(PSP_AMD);
	struct psp_abi_attest c;
	struct psp_abi_report rep;
	uint8_t digest[32];
	struct owner o;
	uint32_t h, len = 48;

	h = launch(r, &o, PSP_POLICY_ES, digest);
	c = attest(h, "fifteen letters");
	c.len = 0;
	assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c), PSP_RET_INVALID_LEN);
	assert_int_equal(c.len, 208);
	c.address = RIG_ROM;
	assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c),
			 PSP_RET_INVALID_ADDRESS);
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len),
			 0);
	c.address = RIG_OUT;
	assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c), 0);
	memcpy(&rep, r->ram + RIG_OUT, sizeof(rep));
	assert_memory_equal(rep.mnonce, "fifteen letters", 16);
	assert_memory_equal(rep.digest, digest, 32);
	assert_int_equal(rep.policy, PSP_POLICY_ES);
	assert_int_equal(rep.sig_usage, 0x1002);
	assert_int_equal(rep.sig_algo, 2);
	(void)rig_certs(r, r);
	assert_int_equal(
		psp_cert_check_sig(s, r->ram + RIG_CHAIN, &rep, 52, rep.sig), 0);
	rep.policy ^= 1;
	assert_int_equal(psp_cert_check_sig(s, r->ram + RIG_CHAIN, &rep, 52,
					    rep.sig),
			 -EBADMSG);
	psp_ec_free(o.key);
}

static void unmask(void *field, size_t len, uint32_t anonce)
{
	uint8_t *b = field, a[4];
	size_t i;

	memcpy(a, &anonce, 4);
	for (i = 0; i < len; i++)
		b[i] ^= a[i % 4];
}

static void check_csv(struct rig *r, struct psp_abi_report_csv *rep,
		      const uint8_t *digest, const char *nonce,
		      const uint8_t *user_data)
{
	const struct psp_suite *s = psp_suite(PSP_HYGON);
	uint8_t mac[32], id[64];

	(void)rig_certs(r, r);
	assert_int_equal(
		psp_cert_check_sig(s, r->ram + RIG_CHAIN, rep, 180, rep->sig), 0);
	hmac(r, nonce, 16, rep->pek_cert, 2180, mac);
	assert_memory_equal(mac, rep->hmac, 32);
	assert_true(rep->anonce != 0);
	unmask(rep, 180, rep->anonce);
	unmask(rep->pek_cert, 2084 + 64, rep->anonce);
	assert_memory_equal(rep->mnonce, nonce, 16);
	assert_memory_equal(rep->measure, digest, 32);
	assert_memory_equal(rep->user_data, user_data, 64);
	assert_memory_equal(rep->pek_cert, r->ram + RIG_CHAIN, 2084);
	memset(id, 1, sizeof(id));
	assert_memory_equal(rep->chip_id, id, 64);
	assert_int_equal(rep->policy, PSP_POLICY_ES);
	assert_int_equal(rep->sig_usage, 0x1002);
}

static void test_report_csv(void **state)
{
	struct rig *r = *state;
	const uint64_t page = RIG_GUEST + 0x8000;
	struct psp_abi_report_input in = { 0 };
	static const uint8_t none[64];
	struct psp_abi_report_csv rep;
	uint8_t digest[32], want[32];
	struct psp_abi_attest c;
	struct owner o;
	uint32_t h, len = 48;

	h = launch(r, &o, PSP_POLICY_ES, digest);
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len),
			 0);
	c = attest(h, "fifteen letters");
	c.len = 4095;
	assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c), PSP_RET_INVALID_LEN);
	assert_int_equal(c.len, 4096);
	assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c), 0);
	memcpy(&rep, r->ram + RIG_OUT, sizeof(rep));
	check_csv(r, &rep, digest, "fifteen letters", none);
	EVP_Digest(o.cert + 16, 1028, want, NULL, EVP_sm3(), NULL);
	assert_memory_equal(rep.user_pubkey_digest, want, 32);
	/* From inside the guest ([csv-abi] 1.8). */
	memset(in.user_data, 'u', sizeof(in.user_data));
	memcpy(in.nonce, "0123456789abcdef", 16);
	EVP_Digest(&in, 80, in.hash, NULL, EVP_sm3(), NULL);
	assert_int_equal(rig_guest_write(r, 5, r->key[5], page, &in, sizeof(in)),
			 0);
	c = attest(h, "VM_ATTESTATION");
	c.address = page; /* no C-bit */
	assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c),
			 PSP_RET_INVALID_ADDRESS);
	c.address = (page + 16) | RIG_CBIT;
	assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c),
			 PSP_RET_INVALID_ADDRESS);
	c.address = page | RIG_CBIT;
	assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c), 0);
	rig_plain(r, 5, page, &rep, sizeof(rep));
	check_csv(r, &rep, digest, "0123456789abcdef", in.user_data);
	/* A damaged input, as a host would make it. */
	assert_int_equal(rig_guest_write(r, 5, r->key[5], page, &in, sizeof(in)),
			 0);
	r->ram[page + 3] ^= 1;
	assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c),
			 PSP_RET_BAD_MEASUREMENT);
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, h), 0);
	assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c), PSP_RET_INACTIVE);
	psp_ec_free(o.key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_measure),
		BOTH(test_update_errors),
		BOTH(test_session),
		BOTH(test_secret),
		BOTH(test_dbg),
		{ "test_report_amd", test_report_amd, setup, teardown,
		  (void *)(uintptr_t)&amd },
		{ "test_report_csv", test_report_csv, setup, teardown,
		  (void *)(uintptr_t)&hygon },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
