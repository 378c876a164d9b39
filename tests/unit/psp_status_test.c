/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which command gives which status: [csv-abi] 2.2 and 2.3, [sev-es-emulation]
 * G.2 to G.9. Columns are the codes, numbers the test that has it:
 *
 * 1 psp_platform_test, 2 psp_guest_test, 3 psp_launch_test, 4 psp_migrate_test,
 * 5 psp_ring_test, 6 here; "." can't happen.
 *
 *                       0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f 10 12 13 15 16 17 18
 * INIT                  1  2  .  1  1  .  .  .  .  1  .  .  .  .  .  .  .  .  1  .  1  .  .
 * SHUTDOWN              1  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
 * FACTORY_RESET         1  2  .  .  .  .  .  .  .  6  .  .  .  .  .  .  .  .  .  .  .  .  .
 * PLATFORM_STATUS       1  .  .  .  1  .  .  .  .  1  .  .  .  .  .  .  .  .  .  .  .  .  .
 * PEK_GEN               1  2  .  .  .  .  .  .  .  6  .  .  .  .  .  .  .  .  1  .  .  .  .
 * PEK_CSR               1  2  .  .  1  .  .  .  .  6  .  .  .  .  .  .  .  .  .  .  .  .  .
 * PEK_CERT_IMPORT       1  2  .  .  1  1  1  .  .  1  1  .  .  .  .  .  .  .  .  .  1  .  .
 * PDH_CERT_EXPORT       1  2  .  .  1  .  .  .  .  1  .  .  .  .  .  .  .  .  .  .  1  .  .
 * PDH_GEN               1  2  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  1  .  .  .  .
 * DF_FLUSH              1  2  .  .  .  .  .  .  .  .  .  .  .  .  2  .  .  .  .  .  .  .  .
 * DOWNLOAD_FIRMWARE     .  1  .  .  1  .  .  .  .  1  1  .  .  .  .  .  .  .  .  .  .  .  .
 * GET_ID                1  .  .  .  1  .  .  .  .  1  .  .  .  .  .  .  .  .  .  .  .  .  .
 * INIT_EX               1  2  .  6  1  .  .  .  .  1  .  .  .  .  .  .  .  .  6  .  1  .  1
 * NOP                   1  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
 * RING_BUFFER           5  2  .  .  5  .  .  .  .  5  .  .  .  .  .  .  .  .  .  .  5  .  .
 * DECOMMISSION          2  2  .  .  .  .  .  .  .  .  .  .  .  .  .  .  2  2  .  .  .  .  .
 * ACTIVATE              2  2  2  .  .  .  .  .  .  .  .  .  2  2  .  2  2  2  2  .  .  .  .
 * DEACTIVATE            2  2  .  .  .  .  .  .  2  .  .  .  .  .  .  .  2  .  .  .  .  .  .
 * GUEST_STATUS          2  2  .  .  .  .  .  .  .  .  .  .  .  .  .  .  2  .  .  .  .  .  .
 * LAUNCH_START          2  2  2  .  3  .  3  2  .  3  .  3  .  .  .  .  2  .  2  2  2  2  .
 * LAUNCH_UPDATE_DATA    3  2  2  .  3  .  .  .  2  3  .  .  .  .  .  .  2  .  .  .  2  .  .
 * LAUNCH_UPDATE_VMSA    3  2  2  .  3  .  .  2  6  3  .  .  .  .  .  .  2  .  .  .  2  .  .
 * LAUNCH_MEASURE        3  2  2  .  3  .  .  .  .  3  .  .  .  .  .  .  2  .  3  .  2  .  .
 * LAUNCH_SECRET         3  2  2  .  3  .  .  .  6  3  .  3  .  .  .  .  2  .  .  6  2  .  .
 * LAUNCH_FINISH         3  2  2  .  .  .  .  .  .  .  .  .  .  .  .  .  2  .  .  .  .  .  .
 * ATTESTATION_REPORT    3  2  2  .  3  .  .  .  3  3  .  3  .  .  .  .  2  .  6  .  2  .  .
 * SEND_START            4  2  2  .  4  .  4  4  .  4  4  .  .  .  .  .  2  .  4  .  2  .  .
 * SEND_UPDATE_DATA      4  2  2  .  4  .  .  .  4  4  .  .  .  .  .  .  2  .  4  .  2  .  .
 * SEND_UPDATE_VMSA      4  2  2  .  4  .  .  2  4  4  .  .  .  .  .  .  2  .  6  .  2  .  .
 * SEND_FINISH, _CANCEL  4  2  2  .  .  .  .  .  .  .  .  .  .  .  .  .  2  .  .  .  .  .  .
 * RECEIVE_START         4  2  6  .  4  .  6  4  .  4  .  4  .  .  .  .  4  .  6  6  6  6  .
 * RECEIVE_UPDATE_DATA   4  2  2  .  4  .  .  .  4  4  .  4  .  .  .  .  2  .  .  6  2  .  .
 * RECEIVE_UPDATE_VMSA   4  2  2  .  4  .  .  2  4  4  .  4  .  .  .  .  2  .  .  6  2  .  .
 * RECEIVE_FINISH        4  2  2  .  .  .  .  .  .  .  .  .  .  .  .  .  2  .  .  .  .  .  .
 * DBG_DECRYPT, _ENCRYPT 3  2  2  .  3  .  .  3  6  3  .  .  .  .  .  .  2  .  .  .  2  .  .
 *
 * INVALID_COMMAND (11) is for ids that there are not (1), and in a ring for all
 * but eight (5). HWERROR_UNSAFE (14) comes by a fault hook only (1).
 */
#include "tests/unit/test.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tests/unit/psp_host.h"

static const enum psp_profile amd = PSP_AMD, hygon = PSP_HYGON;

static int setup(void **state)
{
	const enum psp_profile *profile = *state;

	*state = rig_new(*profile, 1);
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

static struct psp_abi_init_ex init_ex(void)
{
	return (struct psp_abi_init_ex){ .length = 0x24,
					 .flags = PSP_INIT_ES,
					 .tmr_address = RIG_TMR,
					 .tmr_len = PSP_TMR_SIZE,
					 .nv_address = RIG_NV,
					 .nv_len = PSP_NV_SIZE };
}

/* A store that was there at INIT_EX and can't be written later: over the ROM,
 * which a host is free to make of it. */
static void test_store(void **state)
{
	struct rig *r = *state;
	struct psp_abi_init_ex c = init_ex();
	struct psp_config cfg = r->cfg;
	struct rig *q;

	memset(r->ram + RIG_NV, 0xff, PSP_NV_SIZE);
	memset(r->ram + RIG_ROM, 0xff, PSP_NV_SIZE);
	r->fail_random = 1;
	assert_int_equal(RIG_DO(r, INIT_EX, c), PSP_RET_HWERROR_PLATFORM);
	r->fail_random = 0;
	c.nv_address = RIG_ROM;
	assert_int_equal(RIG_DO(r, INIT_EX, c), PSP_RET_INVALID_ADDRESS);
	assert_int_equal(rig_platform(r).state, PSP_UNINIT);
	assert_int_equal(RIG_RUN(r, FACTORY_RESET), PSP_RET_INVALID_ADDRESS);
	cfg.min_sev_asid = 1;
	q = rig_new_cfg(&cfg, 3);
	memset(q->ram + RIG_NV, 0xff, PSP_NV_SIZE);
	c = init_ex();
	assert_int_equal(RIG_DO(q, INIT_EX, c),
			 cfg.profile == PSP_AMD ? PSP_RET_INVALID_CONFIG : 0);
	rig_free(q);
}

static void test_pek(void **state)
{
	struct rig *r = *state;
	struct psp_abi_init_ex i = init_ex();
	struct psp_abi_buffer c = { .address = RIG_ROM, .len = PSP_CERT_SIZE };
	uint8_t *nv = r->ram + RIG_NV;

	memset(nv, 0xff, PSP_NV_SIZE);
	assert_int_equal(RIG_DO(r, INIT_EX, i), 0);
	assert_int_equal(RIG_DO(r, PEK_CSR, c), PSP_RET_INVALID_ADDRESS);
	c.address = ~0ULL;
	assert_int_equal(RIG_DO(r, PEK_CSR, c), PSP_RET_INVALID_ADDRESS);
	/* The memory of the store is gone. */
	r->no_write = RIG_NV;
	assert_int_equal(RIG_RUN(r, PEK_GEN), PSP_RET_INVALID_ADDRESS);
	r->no_write = 0;
	assert_int_equal(RIG_RUN(r, PEK_GEN), 0);
	(void)rig_certs(r, r);
	assert_int_equal(psp_chain_verify(psp_suite(r->cfg.profile),
					  r->ram + RIG_PDH, r->ram + RIG_CHAIN),
			 0);
}

/* Taken out of the controller, a guest's memory is out of reach. */
static void test_inactive(void **state)
{
	struct rig *r = *state;
	struct psp_abi_packet p;
	struct psp_abi_dbg d;
	uint32_t h, len = 4096;

	assert_int_equal(rig_init(r), 0);
	h = rig_guest(r, PSP_POLICY_ES, 5, PSP_G_LUPDATE);
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, h), 0);
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_UPDATE_VMSA, h, RIG_VMSA,
				    &len),
			 PSP_RET_INACTIVE);
	d = (struct psp_abi_dbg){
		.handle = h, .src = RIG_GUEST, .dst = RIG_OUT, .len = 16
	};
	assert_int_equal(RIG_DO(r, DBG_DECRYPT, d), PSP_RET_INACTIVE);
	assert_int_equal(RIG_DO(r, DBG_ENCRYPT, d), PSP_RET_INACTIVE);
	/* It goes on without: these do not touch its memory. */
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len),
			 0);
	p = rig_packet(h, RIG_GUEST, 16);
	assert_int_equal(RIG_DO(r, LAUNCH_SECRET, p), PSP_RET_INACTIVE);
	assert_int_equal(rig_handle(r, PSP_CMD_LAUNCH_FINISH, h), 0);
	assert_false(psp_asid_may_run(r->p, 5));
}

static void test_random(void **state)
{
	struct rig *r = *state;
	struct psp_abi_packet p;
	struct psp_abi_attest c = { .address = RIG_OUT, .len = 4096 };
	uint32_t h;

	assert_int_equal(rig_init(r), 0);
	h = rig_guest(r, PSP_POLICY_ES, 5, PSP_G_RUNNING);
	c.handle = h;
	r->fail_random = 1;
	/* AMD's report needs none. */
	assert_int_equal(RIG_DO(r, ATTESTATION_REPORT, c),
			 r->cfg.profile == PSP_HYGON ? PSP_RET_HWERROR_PLATFORM
						     : 0);
	r->fail_random = 0;
	assert_int_equal(rig_send_start(r, r, h), 0);
	r->fail_random = 1;
	p = rig_packet(h, RIG_VMSA, 4096);
	assert_int_equal(RIG_DO(r, SEND_UPDATE_VMSA, p),
			 PSP_RET_HWERROR_PLATFORM);
	r->fail_random = 0;
	p = rig_packet(h, RIG_VMSA, 4096);
	assert_int_equal(RIG_DO(r, SEND_UPDATE_VMSA, p), 0);
}

static uint16_t receive(struct rig *r, uint32_t policy, uint32_t *handle)
{
	struct psp_abi_start c = { .handle = *handle,
				   .policy = policy,
				   .cert_address = RIG_PDH,
				   .cert_len = PSP_CERT_SIZE,
				   .session_address = RIG_SESSION,
				   .session_len = PSP_SESSION_SIZE };
	uint16_t status = RIG_DO(r, RECEIVE_START, c);

	*handle = c.handle;
	return status;
}

/* To itself: RIG_PDH and RIG_SESSION are then good for RECEIVE_START. */
static uint32_t sent(struct rig *r, uint32_t policy)
{
	uint32_t h = rig_guest(r, policy, policy & PSP_POLICY_ES ? 5 : 9,
			       PSP_G_RUNNING);

	assert_int_equal(rig_send_start(r, r, h), 0);
	return h;
}

static void test_receive_start(void **state)
{
	struct rig *r = *state;
	bool csv = r->cfg.profile == PSP_HYGON;
	struct psp_abi_init plain = { 0 };
	uint8_t kept[PSP_CERT_SIZE];
	uint32_t h, with, zero = 0;
	unsigned i;

	assert_int_equal(rig_init(r), 0);
	with = sent(r, 0);
	/* Reserved bits, Hygon's and AMD's; CSV3. */
	for (i = 6; i < 16; i++) {
		uint16_t want = csv && i == 6	? PSP_RET_UNSUPPORTED
				: csv && i == 7 ? PSP_RET_BAD_MEASUREMENT
						: PSP_RET_INVALID_PARAM;

		zero = 0;
		assert_int_equal(receive(r, 1u << i, &zero), want);
		assert_int_equal(zero, 0);
	}
	/* A certificate that is none, or none of a PDH. */
	memcpy(kept, r->ram + RIG_PDH, sizeof(kept));
	for (i = 8; i < 28; i++) { /* usage, algorithm, curve, point */
		r->ram[RIG_PDH + i] ^= 0x10;
		zero = 0;
		assert_int_equal(receive(r, 0, &zero),
				 PSP_RET_INVALID_CERTIFICATE);
		memcpy(r->ram + RIG_PDH, kept, sizeof(kept));
	}
	memset(r->ram + RIG_PDH, 0, sizeof(kept));
	assert_int_equal(receive(r, 0, &zero), PSP_RET_INVALID_CERTIFICATE);
	memcpy(r->ram + RIG_PDH, r->ram + RIG_CHAIN, sizeof(kept)); /* a PEK */
	assert_int_equal(receive(r, 0, &zero), PSP_RET_INVALID_CERTIFICATE);
	memcpy(r->ram + RIG_PDH, kept, sizeof(kept));
	/* The key of a guest that is gone; of one that shares it. */
	h = with;
	assert_int_equal(receive(r, 0, &h), 0);
	assert_true(h != with);
	assert_int_equal(rig_handle(r, PSP_CMD_SEND_FINISH, with), 0);
	h = with;
	assert_int_equal(receive(r, 0, &h), PSP_RET_INVALID_GUEST_STATE);
	for (i = 1; i < 10; i++) {
		r->fail_random = i;
		h = 0;
		if (receive(r, 0, &h) == 0)
			break;
		assert_int_equal(h, 0);
	}
	assert_in_range(i, 2, 9);
	r->fail_random = 1;
	h = 0;
	assert_int_equal(receive(r, 0, &h), PSP_RET_HWERROR_PLATFORM);
	r->fail_random = 0;
	/* As many as the table holds. */
	for (i = 0; i < 1024 && receive(r, 0, &h) == 0; i++)
		h = 0;
	h = 0;
	assert_int_equal(receive(r, 0, &h), PSP_RET_RESOURCE_LIMIT);
	assert_int_equal(rig_platform(r).guest_count, 256);
	/* Encrypted registers need INIT's flag. */
	assert_int_equal(RIG_RUN(r, SHUTDOWN), 0);
	assert_int_equal(RIG_DO(r, INIT, plain), 0);
	h = 0;
	assert_int_equal(receive(r, PSP_POLICY_ES, &h), PSP_RET_UNSUPPORTED);
}

/*
 * A packet of an owner, or of a source, that says it is compressed, with a MAC
 * by OpenSSL's own calls ([sev-es-emulation] G.7).
 */
static void packet_make(struct rig *r, const struct psp_transport *keys,
			uint8_t kind, uint32_t flags, uint32_t len,
			const uint8_t *measure)
{
	uint8_t head[52] = { 0 }, msg[29 + 4096 + 32] = { kind };
	uint32_t total = 29 + len;
	unsigned n;

	memcpy(head, &flags, 4);
	memset(head + 4, (int)(0x40 + kind + 2 * flags), 16);
	memcpy(msg + 1, head, 20);
	memcpy(msg + 21, &len, 4);
	memcpy(msg + 25, &len, 4);
	memset(msg + 29, 0x99, len);
	if (measure) {
		memcpy(msg + total, measure, 32);
		total += 32;
	}
	assert_non_null(HMAC(r->cfg.profile == PSP_AMD ? EVP_sha256() : EVP_sm3(),
			     keys->tik, 16, msg, total, head + 20, &n));
	memcpy(r->ram + RIG_HDR, head, sizeof(head));
	memcpy(r->ram + RIG_TRANS, msg + 29, len);
}

static void test_compressed(void **state)
{
	static const struct psp_transport keys = { .tek = "tek of the test",
						   .tik = "tik of the test" };
	struct rig *r = *state;
	const struct psp_suite *s = psp_suite(r->cfg.profile);
	struct psp_abi_start c = { .policy = PSP_POLICY_ES,
				   .cert_address = RIG_PDH,
				   .cert_len = PSP_CERT_SIZE,
				   .session_address = RIG_SESSION,
				   .session_len = PSP_SESSION_SIZE };
	uint32_t h[2], len = 48, flags;
	struct psp_abi_packet p;
	struct psp_ec_key *key;
	uint8_t cert[PSP_CERT_SIZE];
	unsigned i;

	assert_int_equal(rig_init(r), 0);
	(void)rig_certs(r, r);
	assert_int_equal(psp_ec_from_seed(s, "somebody", 8, &key), 0);
	assert_int_equal(psp_cert_make(s, key, PSP_USAGE_PDH, 0, 24, cert), 0);
	assert_int_equal(psp_session_make(s, &rig_ops, r, key, r->ram + RIG_PDH,
					  PSP_POLICY_ES, &keys,
					  r->ram + RIG_SESSION),
			 0);
	psp_ec_free(key);
	memcpy(r->ram + RIG_PDH, cert, sizeof(cert));
	for (i = 0; i < 2; i++) {
		struct psp_abi_start again = c;

		assert_int_equal(i ? RIG_DO(r, RECEIVE_START, again)
				   : RIG_DO(r, LAUNCH_START, again),
				 0);
		h[i] = again.handle;
		assert_int_equal(rig_activate(r, h[i], 3 + i), 0);
	}
	assert_int_equal(
		rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h[0], RIG_OUT, &len), 0);
	/* 1, and reserved ones; then 0, to see that it is right otherwise. */
	static const uint32_t bad[] = { 1, 2, 1u << 31, 0 };
	for (i = 0; i < 4; i++) {
		flags = bad[i];
		packet_make(r, &keys, 1, flags, 64, r->ram + RIG_OUT);
		p = rig_packet(h[0], RIG_GUEST, 64);
		assert_int_equal(RIG_DO(r, LAUNCH_SECRET, p),
				 flags ? PSP_RET_UNSUPPORTED : 0);
		packet_make(r, &keys, 2, flags, 64, NULL);
		p = rig_packet(h[1], RIG_GUEST, 64);
		assert_int_equal(RIG_DO(r, RECEIVE_UPDATE_DATA, p),
				 flags ? PSP_RET_UNSUPPORTED : 0);
		packet_make(r, &keys, 3, flags, 4096, NULL);
		p = rig_packet(h[1], RIG_VMSA, 4096);
		assert_int_equal(RIG_DO(r, RECEIVE_UPDATE_VMSA, p),
				 flags ? PSP_RET_UNSUPPORTED : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_store),	  BOTH(test_pek),
		BOTH(test_inactive),	  BOTH(test_random),
		BOTH(test_receive_start), BOTH(test_compressed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
