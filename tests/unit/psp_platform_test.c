/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Platform commands, owner's certificates, non-volatile store, counters. */
#include "tests/unit/test.h"

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

static void test_config(void **state)
{
	struct rig *r = *state;
	struct psp_config cfg = r->cfg;
	struct psp *p = NULL;

	cfg.max_asid = 0;
	assert_int_equal(psp_create(&cfg, &rig_ops, r, &p), -EINVAL);
	cfg.max_asid = 4096;
	assert_int_equal(psp_create(&cfg, &rig_ops, r, &p), -EINVAL);
	cfg.max_asid = 4095;
	cfg.cbit = 64;
	assert_int_equal(psp_create(&cfg, &rig_ops, r, &p), -EINVAL);
	assert_null(p);
	psp_destroy(NULL);
}

static void test_init(void **state)
{
	struct rig *r = *state;
	struct psp_abi_init c = { .flags = PSP_INIT_ES,
				  .tmr_address = RIG_TMR,
				  .tmr_len = PSP_TMR_SIZE };

	assert_int_equal(rig_platform(r).state, PSP_UNINIT);
	c.flags = 2;
	assert_int_equal(RIG_DO(r, INIT, c), PSP_RET_INVALID_PARAM);
	c.flags = PSP_INIT_ES;
	c.rsvd = 1;
	assert_int_equal(RIG_DO(r, INIT, c), PSP_RET_INVALID_PARAM);
	c.rsvd = 0;
	c.tmr_len = PSP_TMR_SIZE - 1;
	assert_int_equal(RIG_DO(r, INIT, c), PSP_RET_INVALID_LEN);
	c.tmr_len = PSP_TMR_SIZE;
	c.tmr_address = RIG_TMR + 4096;
	assert_int_equal(RIG_DO(r, INIT, c), PSP_RET_INVALID_ADDRESS);
	c.tmr_address = RIG_RAM;
	assert_int_equal(RIG_DO(r, INIT, c), PSP_RET_INVALID_ADDRESS);
	c.tmr_address = ~0ULL << 20;
	assert_int_equal(RIG_DO(r, INIT, c), PSP_RET_INVALID_ADDRESS);
	assert_int_equal(rig_platform(r).state, PSP_UNINIT);
	c.tmr_address = RIG_TMR | RIG_CBIT;
	assert_int_equal(RIG_DO(r, INIT, c), PSP_RET_SUCCESS);
	assert_int_equal(rig_platform(r).state, PSP_INIT);
	assert_int_equal(rig_platform(r).config & 1, 1);
	assert_int_equal(RIG_DO(r, INIT, c), PSP_RET_INVALID_PLATFORM_STATE);
	/* Without ES the region is not looked at. */
	assert_int_equal(RIG_RUN(r, SHUTDOWN), PSP_RET_SUCCESS);
	memset(&c, 0, sizeof(c));
	assert_int_equal(RIG_DO(r, INIT, c), PSP_RET_SUCCESS);
	assert_int_equal(rig_platform(r).config & 1, 0);
}

static void test_init_random(void **state)
{
	struct rig *r = *state;
	unsigned i;

	/* However far it gets, it is as before, and works the next time. */
	for (i = 1; i < 100; i++) {
		r->fail_random = i;
		if (rig_init(r) == PSP_RET_SUCCESS)
			break;
		assert_int_equal(rig_platform(r).state, PSP_UNINIT);
	}
	assert_in_range(i, 3, 99);
	r->fail_random = 1;
	assert_int_equal(RIG_RUN(r, PEK_GEN), PSP_RET_HWERROR_PLATFORM);
	assert_int_equal(RIG_RUN(r, PDH_GEN), PSP_RET_HWERROR_PLATFORM);
	r->fail_random = 0;
	(void)rig_certs(r, r);
}

static void test_no_es_asids(void **state)
{
	struct rig *r = *state;
	struct psp_config cfg = r->cfg;
	struct rig *q;

	cfg.min_sev_asid = 1;
	q = rig_new_cfg(&cfg, 3);
	assert_int_equal(rig_init(q), cfg.profile == PSP_AMD
					      ? PSP_RET_INVALID_CONFIG
					      : PSP_RET_SUCCESS);
	rig_free(q);
}

/* [csv-abi] 2.3: the same 12 bytes in two views. */
static void test_status_views(void **state)
{
	struct rig *r = *state;
	struct psp_abi_platform_status c;
	uint32_t flags;
	uint8_t raw[12], h;

	assert_int_equal(rig_init(r), 0);
	c = rig_platform(r);
	memcpy(raw, &c, sizeof(raw));
	assert_int_equal(raw[0], r->cfg.api_major);
	assert_int_equal(raw[1], r->cfg.api_minor);
	assert_int_equal(raw[2], 1);
	memcpy(&flags, raw + 3, 4);
	assert_int_equal(flags & 1, 0);
	assert_int_equal(flags >> 8 & 1, 1);
	if (r->cfg.profile == PSP_AMD)
		assert_int_equal(raw[7], r->cfg.build);
	else
		assert_int_equal(flags >> 9 | (uint32_t)raw[7] << 23,
				 r->cfg.build);
	assert_int_equal(c.guest_count, 0);
	h = (uint8_t)rig_guest(r, 0, 7, PSP_G_LUPDATE);
	assert_int_equal(rig_platform(r).guest_count, 1);
	assert_int_equal(rig_platform(r).state, PSP_WORKING);
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, h), 0);
	assert_int_equal(rig_handle(r, PSP_CMD_DECOMMISSION, h), 0);
	assert_int_equal(rig_platform(r).state, PSP_INIT);
	/* What the reference says as long as the host may not write there. */
	assert_int_equal(psp_mailbox(r->p, PSP_CMD_PLATFORM_STATUS, RIG_ROM),
			 PSP_RET_INVALID_ADDRESS);
	assert_int_equal(psp_mailbox(r->p, PSP_CMD_PLATFORM_STATUS, RIG_BAD),
			 PSP_RET_INVALID_ADDRESS);
	assert_int_equal(psp_mailbox(r->p, PSP_CMD_PLATFORM_STATUS, RIG_TMR),
			 PSP_RET_INVALID_ADDRESS);
	assert_int_equal(psp_mailbox(r->p, PSP_CMD_PLATFORM_STATUS, ~0ULL),
			 PSP_RET_INVALID_ADDRESS);
}

static void test_shutdown(void **state)
{
	struct rig *r = *state;
	struct psp_abi_guest_status c = { 0 };

	assert_int_equal(RIG_RUN(r, SHUTDOWN), PSP_RET_SUCCESS);
	assert_int_equal(rig_init(r), 0);
	c.handle = rig_guest(r, 0, 7, PSP_G_RUNNING);
	(void)rig_guest(r, 0, 8, PSP_G_LUPDATE);
	assert_true(psp_asid_may_run(r->p, 7));
	assert_int_equal(RIG_RUN(r, SHUTDOWN), PSP_RET_SUCCESS);
	assert_false(r->installed[7]);
	assert_false(r->installed[8]);
	assert_int_equal(rig_platform(r).state, PSP_UNINIT);
	assert_int_equal(rig_platform(r).guest_count, 0);
	assert_int_equal(rig_init(r), 0);
	assert_int_equal(RIG_DO(r, GUEST_STATUS, c),
			 PSP_RET_INVALID_PLATFORM_STATE);
	/* The caches still hold what the guests had. */
	assert_int_equal(RIG_RUN(r, DF_FLUSH), PSP_RET_WBINVD_REQUIRED);
	rig_wbinvd(r);
	assert_int_equal(RIG_RUN(r, DF_FLUSH), PSP_RET_SUCCESS);
	(void)rig_guest(r, 0, 7, PSP_G_RUNNING);
}

static void test_get_id(void **state)
{
	struct rig *r = *state;
	struct psp_abi_buffer c = { .address = RIG_OUT };
	uint8_t want[128] = { 0 };

	memset(want, 1, 64);
	assert_int_equal(RIG_DO(r, GET_ID, c), PSP_RET_INVALID_LEN);
	assert_int_equal(c.len, 128);
	c.len = 127;
	assert_int_equal(RIG_DO(r, GET_ID, c), PSP_RET_INVALID_LEN);
	c.len = 4000;
	assert_int_equal(RIG_DO(r, GET_ID, c), PSP_RET_SUCCESS);
	assert_int_equal(c.len, 128);
	assert_memory_equal(r->ram + RIG_OUT, want, sizeof(want));
	c.address = RIG_ROM;
	assert_int_equal(RIG_DO(r, GET_ID, c), PSP_RET_INVALID_ADDRESS);
}

static void test_download(void **state)
{
	struct rig *r = *state;
	struct psp_abi_buffer c = { .address = RIG_GUEST, .len = 65536 };

	assert_int_equal(RIG_DO(r, DOWNLOAD_FIRMWARE, c), PSP_RET_BAD_SIGNATURE);
	c.len = 0;
	assert_int_equal(RIG_DO(r, DOWNLOAD_FIRMWARE, c), PSP_RET_INVALID_LEN);
	c.len = (512 << 10) + 1;
	assert_int_equal(RIG_DO(r, DOWNLOAD_FIRMWARE, c), PSP_RET_INVALID_LEN);
	c.len = 4096;
	c.address = RIG_RAM - 4000;
	assert_int_equal(RIG_DO(r, DOWNLOAD_FIRMWARE, c),
			 PSP_RET_INVALID_ADDRESS);
	c.address = RIG_GUEST;
	assert_int_equal(rig_init(r), 0);
	assert_int_equal(RIG_DO(r, DOWNLOAD_FIRMWARE, c),
			 r->cfg.profile == PSP_HYGON
				 ? PSP_RET_BAD_SIGNATURE
				 : PSP_RET_INVALID_PLATFORM_STATE);
}

static void test_export(void **state)
{
	struct rig *r = *state;
	struct psp_abi_two_certs c = { .cert_address = RIG_PDH,
				       .more_address = RIG_CHAIN };
	const struct psp_suite *s = psp_suite(r->cfg.profile);
	uint8_t pdh[PSP_CERT_SIZE], root[PSP_ROOT_CHAIN_MAX];
	size_t len;

	assert_int_equal(rig_init(r), 0);
	assert_int_equal(RIG_DO(r, PDH_CERT_EXPORT, c), PSP_RET_INVALID_LEN);
	assert_int_equal(c.cert_len, 0x824);
	assert_int_equal(c.more_len, 0x186c);
	c.more_len--;
	assert_int_equal(RIG_DO(r, PDH_CERT_EXPORT, c), PSP_RET_INVALID_LEN);
	assert_int_equal(RIG_DO(r, PDH_CERT_EXPORT, c), PSP_RET_SUCCESS);
	assert_int_equal(
		psp_chain_verify(s, r->ram + RIG_PDH, r->ram + RIG_CHAIN), 0);
	assert_int_equal(psp_root_chain(s, root, sizeof(root), &len), 0);
	assert_int_equal(psp_root_verify(s, root, len, NULL, 0,
					 r->ram + RIG_CHAIN + 2 * PSP_CERT_SIZE),
			 0);
	memcpy(pdh, r->ram + RIG_PDH, sizeof(pdh));
	/* A new PDH of the same PEK. */
	assert_int_equal(RIG_RUN(r, PDH_GEN), 0);
	assert_int_equal(psp_chain_verify(s, pdh, r->ram + RIG_CHAIN), 0);
	assert_int_equal(RIG_DO(r, PDH_CERT_EXPORT, c), PSP_RET_SUCCESS);
	assert_memory_not_equal(pdh, r->ram + RIG_PDH, sizeof(pdh));
	assert_int_equal(
		psp_chain_verify(s, r->ram + RIG_PDH, r->ram + RIG_CHAIN), 0);
	/* A new PEK: the old PDH is no longer of this platform. */
	memcpy(pdh, r->ram + RIG_PDH, sizeof(pdh));
	assert_int_equal(RIG_RUN(r, PEK_GEN), 0);
	assert_int_equal(RIG_DO(r, PDH_CERT_EXPORT, c), PSP_RET_SUCCESS);
	assert_int_equal(
		psp_chain_verify(s, r->ram + RIG_PDH, r->ram + RIG_CHAIN), 0);
	assert_true(psp_chain_verify(s, pdh, r->ram + RIG_CHAIN) < 0);
	c.rsvd = 1;
	assert_int_equal(RIG_DO(r, PDH_CERT_EXPORT, c), PSP_RET_INVALID_PARAM);
	c.rsvd = 0;
	c.more_address = RIG_ROM - 4096;
	assert_int_equal(RIG_DO(r, PDH_CERT_EXPORT, c), PSP_RET_INVALID_ADDRESS);
	c.more_address = RIG_CHAIN;
	c.cert_address = RIG_BAD;
	assert_int_equal(RIG_DO(r, PDH_CERT_EXPORT, c), PSP_RET_INVALID_ADDRESS);
}

/* The same chip id is the same chip, another is another. */
static void test_chip(void **state)
{
	struct rig *r = *state;
	struct rig *same = rig_new(r->cfg.profile, 1);
	struct rig *other = rig_new(r->cfg.profile, 2);
	const size_t cek = RIG_CHAIN + 2 * PSP_CERT_SIZE;

	assert_int_equal(rig_init(r), 0);
	assert_int_equal(rig_init(same), 0);
	assert_int_equal(rig_init(other), 0);
	(void)rig_certs(r, r);
	(void)rig_certs(same, same);
	(void)rig_certs(other, other);
	assert_memory_equal(r->ram + cek, same->ram + cek, 0x414);
	assert_memory_not_equal(r->ram + cek, other->ram + cek, 0x414);
	rig_free(same);
	rig_free(other);
}

struct owner {
	struct psp_ec_key *key;
	uint8_t oca[PSP_CERT_SIZE], pek[PSP_CERT_SIZE];
};

/* An external owner that signs the platform's CSR. */
static void owner_sign(struct rig *r, struct owner *o, unsigned seed)
{
	const struct psp_suite *s = psp_suite(r->cfg.profile);
	struct psp_abi_buffer c = { .address = RIG_OUT };

	assert_int_equal(RIG_DO(r, PEK_CSR, c), PSP_RET_INVALID_LEN);
	assert_int_equal(c.len, 0x824);
	assert_int_equal(RIG_DO(r, PEK_CSR, c), PSP_RET_SUCCESS);
	memcpy(o->pek, r->ram + RIG_OUT, PSP_CERT_SIZE);
	assert_int_equal(psp_ec_from_seed(s, &seed, sizeof(seed), &o->key), 0);
	assert_int_equal(psp_cert_make(s, o->key, PSP_USAGE_OCA, 1, 2, o->oca),
			 0);
	assert_int_equal(psp_cert_sign(s, o->oca, o->key, PSP_USAGE_OCA), 0);
	assert_int_equal(psp_cert_sign(s, o->pek, o->key, PSP_USAGE_OCA), 0);
}

static struct psp_abi_two_certs owner_put(struct rig *r, const struct owner *o)
{
	memcpy(r->ram + RIG_PDH, o->pek, PSP_CERT_SIZE);
	memcpy(r->ram + RIG_CHAIN, o->oca, PSP_CERT_SIZE);
	return (struct psp_abi_two_certs){ .cert_address = RIG_PDH,
					   .cert_len = PSP_CERT_SIZE,
					   .more_address = RIG_CHAIN,
					   .more_len = PSP_CERT_SIZE };
}

static void test_import(void **state)
{
	struct rig *r = *state;
	const struct psp_suite *s = psp_suite(r->cfg.profile);
	struct psp_abi_two_certs c;
	struct owner o, x;

	assert_int_equal(rig_init(r), 0);
	owner_sign(r, &o, 1);
	owner_sign(r, &x, 2);
	c = owner_put(r, &o);
	c.cert_len--;
	assert_int_equal(RIG_DO(r, PEK_CERT_IMPORT, c), PSP_RET_INVALID_LEN);
	c = owner_put(r, &o);
	c.more_len++;
	assert_int_equal(RIG_DO(r, PEK_CERT_IMPORT, c), PSP_RET_INVALID_LEN);
	c = owner_put(r, &o);
	c.cert_address = RIG_BAD;
	assert_int_equal(RIG_DO(r, PEK_CERT_IMPORT, c), PSP_RET_INVALID_ADDRESS);
	c = owner_put(r, &o);
	c.rsvd = 1;
	assert_int_equal(RIG_DO(r, PEK_CERT_IMPORT, c), PSP_RET_INVALID_PARAM);
	/* Another owner's signature, damaged ones, certificates swapped. */
	c = owner_put(r, &o);
	memcpy(r->ram + RIG_CHAIN, x.oca, PSP_CERT_SIZE);
	assert_int_equal(RIG_DO(r, PEK_CERT_IMPORT, c), PSP_RET_BAD_SIGNATURE);
	c = owner_put(r, &o);
	r->ram[RIG_PDH + 1052] ^= 1;
	assert_int_equal(RIG_DO(r, PEK_CERT_IMPORT, c), PSP_RET_BAD_SIGNATURE);
	c = owner_put(r, &o);
	r->ram[RIG_CHAIN + 4] ^= 1; /* API version, signed */
	assert_int_equal(RIG_DO(r, PEK_CERT_IMPORT, c), PSP_RET_BAD_SIGNATURE);
	c = owner_put(r, &o);
	r->ram[RIG_PDH + 24] ^= 1; /* another public key than ours */
	assert_int_equal(RIG_DO(r, PEK_CERT_IMPORT, c),
			 PSP_RET_INVALID_CERTIFICATE);
	c = owner_put(r, &o);
	c.cert_address = RIG_CHAIN;
	c.more_address = RIG_PDH;
	assert_int_equal(RIG_DO(r, PEK_CERT_IMPORT, c),
			 PSP_RET_INVALID_CERTIFICATE);
	assert_int_equal(rig_platform(r).owner, 0);
	/* The right ones. */
	c = owner_put(r, &o);
	assert_int_equal(RIG_DO(r, PEK_CERT_IMPORT, c), PSP_RET_SUCCESS);
	assert_int_equal(rig_platform(r).owner, 1);
	(void)rig_certs(r, r);
	assert_memory_equal(r->ram + RIG_CHAIN + PSP_CERT_SIZE, o.oca,
			    PSP_CERT_SIZE);
	assert_int_equal(
		psp_chain_verify(s, r->ram + RIG_PDH, r->ram + RIG_CHAIN), 0);
	c = owner_put(r, &x);
	assert_int_equal(RIG_DO(r, PEK_CERT_IMPORT, c), PSP_RET_ALREADY_OWNED);
	/* Owned across SHUTDOWN, not across a factory reset. */
	assert_int_equal(RIG_RUN(r, FACTORY_RESET),
			 PSP_RET_INVALID_PLATFORM_STATE);
	assert_int_equal(RIG_RUN(r, SHUTDOWN), 0);
	assert_int_equal(rig_init(r), 0);
	assert_int_equal(rig_platform(r).owner, 1);
	(void)rig_certs(r, r);
	assert_int_equal(
		psp_chain_verify(s, r->ram + RIG_PDH, r->ram + RIG_CHAIN), 0);
	assert_int_equal(RIG_RUN(r, SHUTDOWN), 0);
	assert_int_equal(RIG_RUN(r, FACTORY_RESET), 0);
	assert_int_equal(rig_platform(r).owner, 0);
	assert_int_equal(rig_init(r), 0);
	(void)rig_certs(r, r);
	assert_memory_not_equal(r->ram + RIG_CHAIN, o.pek, 0x414);
	psp_ec_free(o.key);
	psp_ec_free(x.key);
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

static void test_init_ex(void **state)
{
	struct rig *r = *state;
	struct psp_abi_init_ex c = init_ex();
	struct rig *again = rig_new(r->cfg.profile, 1);
	struct rig *other = rig_new(r->cfg.profile, 2);

	memset(r->ram + RIG_NV, 0xff, PSP_NV_SIZE);
	c.length = 0x23;
	assert_int_equal(RIG_DO(r, INIT_EX, c), PSP_RET_INVALID_LEN);
	c = init_ex();
	c.nv_len--;
	assert_int_equal(RIG_DO(r, INIT_EX, c), PSP_RET_INVALID_LEN);
	c = init_ex();
	c.nv_address = RIG_RAM - 4096;
	assert_int_equal(RIG_DO(r, INIT_EX, c), PSP_RET_INVALID_ADDRESS);
	c = init_ex();
	c.nv_address = RIG_TMR; /* the firmware's own region */
	assert_int_equal(RIG_DO(r, INIT_EX, c), PSP_RET_INVALID_ADDRESS);
	c = init_ex();
	c.rsvd = 1;
	assert_int_equal(RIG_DO(r, INIT_EX, c), PSP_RET_INVALID_PARAM);
	c = init_ex();
	assert_int_equal(RIG_DO(r, INIT_EX, c), PSP_RET_SUCCESS);
	(void)rig_certs(r, r);
	/* The same chip after a restart of the host: same PEK. */
	memcpy(again->ram + RIG_NV, r->ram + RIG_NV, PSP_NV_SIZE);
	again->rng = 77;
	assert_int_equal(RIG_DO(again, INIT_EX, c), PSP_RET_SUCCESS);
	(void)rig_certs(again, again);
	assert_memory_equal(r->ram + RIG_CHAIN, again->ram + RIG_CHAIN,
			    2 * PSP_CERT_SIZE);
	/* Another chip refuses, once; the driver's retry works. */
	memcpy(other->ram + RIG_NV, r->ram + RIG_NV, PSP_NV_SIZE);
	assert_int_equal(RIG_DO(other, INIT_EX, c), PSP_RET_SECURE_DATA_INVALID);
	assert_int_equal(RIG_DO(other, INIT_EX, c), PSP_RET_SUCCESS);
	(void)rig_certs(other, other);
	assert_memory_not_equal(r->ram + RIG_CHAIN, other->ram + RIG_CHAIN,
				0x414);
	rig_free(again);
	rig_free(other);
}

/* Any changed byte of what the store holds is noticed. */
static void test_nv_damage(void **state)
{
	struct rig *r = *state;
	struct psp_abi_init_ex c = init_ex();
	uint8_t nv[4340];
	size_t i;

	memset(r->ram + RIG_NV, 0xff, PSP_NV_SIZE);
	assert_int_equal(RIG_DO(r, INIT_EX, c), PSP_RET_SUCCESS);
	memcpy(nv, r->ram + RIG_NV, sizeof(nv));
	for (i = 0; i < sizeof(nv); i += i < 200 || i > 4300 ? 1 : 97) {
		assert_int_equal(RIG_RUN(r, SHUTDOWN), 0);
		memcpy(r->ram + RIG_NV, nv, sizeof(nv));
		r->ram[RIG_NV + i] ^= 1u << i % 8;
		assert_int_equal(RIG_DO(r, INIT_EX, c),
				 PSP_RET_SECURE_DATA_INVALID);
	}
	assert_int_equal(RIG_RUN(r, SHUTDOWN), 0);
	memcpy(r->ram + RIG_NV, nv, sizeof(nv));
	assert_int_equal(RIG_DO(r, INIT_EX, c), PSP_RET_SUCCESS);
	/* PEK_GEN and a factory reset reach the store. */
	assert_int_equal(RIG_RUN(r, PEK_GEN), PSP_RET_SUCCESS);
	assert_memory_not_equal(nv, r->ram + RIG_NV, sizeof(nv));
	assert_int_equal(RIG_RUN(r, SHUTDOWN), 0);
	assert_int_equal(RIG_RUN(r, FACTORY_RESET), 0);
	memset(nv, 0xff, sizeof(nv));
	assert_memory_equal(nv, r->ram + RIG_NV, sizeof(nv));
}

/* As in a VMM on plain KVM: no C-bit, so that addresses can wrap around. */
static void test_no_cbit(void **state)
{
	struct rig *r = *state;
	struct psp_config cfg = r->cfg;
	struct psp_abi_buffer c = { .address = ~0ULL - 100, .len = 128 };
	struct rig *q;

	cfg.cbit = 0;
	q = rig_new_cfg(&cfg, 1);
	assert_int_equal(psp_mailbox(q->p, PSP_CMD_PLATFORM_STATUS, ~0ULL - 3),
			 PSP_RET_INVALID_ADDRESS);
	assert_int_equal(psp_command(q->p, PSP_CMD_GET_ID, &c, sizeof(c)),
			 PSP_RET_INVALID_ADDRESS);
	c.address = RIG_OUT;
	assert_int_equal(psp_command(q->p, PSP_CMD_GET_ID, &c, sizeof(c)), 0);
	c.address = RIG_OUT | RIG_CBIT;
	assert_int_equal(psp_command(q->p, PSP_CMD_GET_ID, &c, sizeof(c)),
			 PSP_RET_INVALID_ADDRESS);
	rig_free(q);
}

static void test_commands(void **state)
{
	struct rig *r = *state;
	struct psp_abi_platform_status c;

	assert_int_equal(RIG_RUN(r, NOP), PSP_RET_SUCCESS);
	assert_int_equal(psp_mailbox(r->p, 0, 0), PSP_RET_INVALID_COMMAND);
	assert_int_equal(psp_mailbox(r->p, 0x10, 0), PSP_RET_INVALID_COMMAND);
	assert_int_equal(psp_mailbox(r->p, 0x300, 0), PSP_RET_INVALID_COMMAND);
	assert_int_equal(psp_mailbox(r->p, ~0u, 0), PSP_RET_INVALID_COMMAND);
	assert_int_equal(psp_command(r->p, PSP_CMD_PLATFORM_STATUS, &c, 11),
			 PSP_RET_INVALID_LEN);
	assert_int_equal(psp_command(r->p, PSP_CMD_PLATFORM_STATUS, &c, 12),
			 PSP_RET_SUCCESS);
	assert_int_equal(psp_command(r->p, 0x10, &c, 12),
			 PSP_RET_INVALID_COMMAND);
	assert_string_equal(psp_command_name(0x41), "SEND_UPDATE_DATA");
	assert_null(psp_command_name(0x10));
}

static void test_faults(void **state)
{
	struct rig *r = *state;

	psp_fault_command(r->p, 3, PSP_RET_HWERROR_UNSAFE);
	assert_int_equal(RIG_RUN(r, NOP), PSP_RET_SUCCESS);
	assert_int_equal(RIG_RUN(r, NOP), PSP_RET_SUCCESS);
	assert_int_equal(rig_init(r), PSP_RET_HWERROR_UNSAFE);
	assert_int_equal(rig_platform(r).state, PSP_UNINIT);
	assert_int_equal(rig_init(r), PSP_RET_SUCCESS);
	psp_fault_command(r->p, 1, PSP_RET_RESOURCE_LIMIT);
	assert_int_equal(RIG_RUN(r, NOP), PSP_RET_RESOURCE_LIMIT);
	assert_int_equal(RIG_RUN(r, NOP), PSP_RET_SUCCESS);
}

static void test_counters(void **state)
{
	struct rig *r = *state;
	struct psp_config cfg = r->cfg;
	const struct psp_stats *s;
	struct rig *q;
	uint32_t h, len = 4097 * 16;

	cfg.cost = (struct psp_cost){ .mailbox_ns = 1000, .page_ns = 7 };
	q = rig_new_cfg(&cfg, 9);
	s = psp_stats(q->p);
	assert_int_equal(rig_init(q), 0);
	assert_int_equal(RIG_RUN(q, NOP), 0);
	assert_int_equal(psp_mailbox(q->p, 0x7777, 0), PSP_RET_INVALID_COMMAND);
	assert_int_equal(s->commands[PSP_CMD_INIT], 1);
	assert_int_equal(s->commands[PSP_CMD_NOP], 1);
	assert_int_equal(s->mailbox, 3);
	assert_int_equal(s->interrupts, 3);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->busy_ns, 3000);
	assert_int_equal(rig_launch_start(q, 0, &h), 0);
	assert_int_equal(rig_activate(q, h, 6), 0);
	assert_int_equal(
		rig_launch(q, PSP_CMD_LAUNCH_UPDATE_DATA, h, RIG_GUEST, &len), 0);
	assert_int_equal(s->bytes_hashed, 4097 * 16);
	assert_int_equal(s->bytes_crypted, 4097 * 16);
	assert_int_equal(s->busy_ns, 6000 + 17 * 7);
	rig_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_config),	 BOTH(test_init),
		BOTH(test_init_random),	 BOTH(test_no_es_asids),
		BOTH(test_status_views), BOTH(test_shutdown),
		BOTH(test_get_id),	 BOTH(test_download),
		BOTH(test_export),	 BOTH(test_chip),
		BOTH(test_import),	 BOTH(test_init_ex),
		BOTH(test_nv_damage),	 BOTH(test_commands),
		BOTH(test_faults),	 BOTH(test_counters),
		BOTH(test_no_cbit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
