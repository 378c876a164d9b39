/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What holds for every command: platform states, handles, guest states, kind
 * of guest, reserved fields; then ASIDs, policies and shared keys. The table
 * here is written from the references, not from the model's own.
 */
#include "tests/unit/test.h"

#include "tests/unit/psp_host.h"

static const enum psp_profile amd = PSP_AMD, hygon = PSP_HYGON;

static int setup(void **state)
{
	const enum psp_profile *profile = *state;
	struct rig *r = rig_new(*profile, 1);

	assert_int_equal(rig_init(r), 0);
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

/* Platform states U I W; guest states as letters: L update, S ecret, R unning,
 * s(u)pdate "s", r(u)pdate "r", se(N)t. "" = no handle. */
static const struct want {
	uint32_t id;
	size_t size;
	const char *platform, *guest;
	bool es;
	int rsvd[3]; /* offsets, 0 ends */
} wants[] = {
	{ 0x001, 20, "U", "", false, { 4 } },
	{ 0x002, 0, "UIW", "", false, { 0 } },
	{ 0x003, 0, "U", "", false, { 0 } },
	{ 0x004, 12, "UIW", "", false, { 0 } },
	{ 0x005, 0, "I", "", false, { 0 } },
	{ 0x006, 12, "I", "", false, { 0 } },
	{ 0x007, 28, "I", "", false, { 12 } },
	{ 0x008, 28, "IW", "", false, { 12 } },
	{ 0x009, 0, "IW", "", false, { 0 } },
	{ 0x00a, 0, "IW", "", false, { 0 } },
	{ 0x00c, 12, "UIW", "", false, { 0 } },
	{ 0x00d, 36, "U", "", false, { 20 } },
	{ 0x00e, 0, "UIW", "", false, { 0 } },
	{ 0x00f, 40, "IW", "", false, { 0 } },
	{ 0x020, 4, "W", "LSRsrN", false, { 0 } },
	{ 0x021, 8, "W", "LSRsr", false, { 0 } },
	{ 0x022, 4, "W", "LSRsrN", false, { 0 } },
	{ 0x023, 13, "W", "LSRsrN", false, { 0 } },
	{ 0x030, 36, "IW", "", false, { 20 } },
	{ 0x031, 20, "W", "L", false, { 4 } },
	{ 0x032, 20, "W", "L", true, { 4 } },
	{ 0x033, 20, "W", "L", false, { 4 } },
	{ 0x034, 52, "W", "S", false, { 4, 20, 36 } },
	{ 0x035, 4, "W", "S", false, { 0 } },
	{ 0x036, 36, "W", "LSRs", false, { 4 } },
	{ 0x040, 68, "W", "R", false, { 20, 36, 52 } },
	{ 0x041, 52, "W", "Rs", false, { 4, 20, 36 } },
	{ 0x042, 52, "W", "Rs", true, { 4, 20, 36 } },
	{ 0x043, 4, "W", "s", false, { 0 } },
	{ 0x044, 4, "W", "s", false, { 0 } },
	{ 0x050, 36, "IW", "", false, { 20 } },
	{ 0x051, 52, "W", "r", false, { 4, 20, 36 } },
	{ 0x052, 52, "W", "r", true, { 4, 20, 36 } },
	{ 0x053, 4, "W", "r", false, { 0 } },
	{ 0x060, 28, "W", "LSRs", false, { 4 } },
	{ 0x061, 28, "W", "LSRs", false, { 4 } },
};

#define N_WANTS (sizeof(wants) / sizeof(wants[0]))

static const struct want *want_next(const struct want *w, bool guest)
{
	for (w = w ? w + 1 : wants; w < wants + N_WANTS; w++)
		if (!guest || w->guest[0])
			return w;
	return NULL;
}

static uint16_t issue(struct rig *r, const struct want *w, uint32_t handle,
		      int rsvd)
{
	uint8_t buf[80] = { 0 };

	memcpy(buf, &handle, 4);
	if (rsvd)
		buf[rsvd + 3] = 0x80;
	return rig_mailbox(r, w->id, buf, w->size);
}

static void test_platform_states(void **state)
{
	struct rig *r = *state;
	static const char letter[] = "UIW";
	const struct want *w;
	unsigned st;
	bool bad;

	for (st = 0; st < 3; st++)
		for (w = want_next(NULL, false); w; w = want_next(w, false)) {
			(void)RIG_RUN(r, SHUTDOWN);
			rig_wbinvd(r);
			if (st)
				assert_int_equal(rig_init(r), 0);
			if (st)
				assert_int_equal(RIG_RUN(r, DF_FLUSH), 0);
			if (st == 2)
				(void)rig_guest(r, 0, 6, PSP_G_LUPDATE);
			bad = issue(r, w, 0, 0) == PSP_RET_INVALID_PLATFORM_STATE;
			if (bad == !!strchr(w->platform, letter[st]))
				fail_msg("command %#x in %c", w->id, letter[st]);
		}
}

/* A guest in each state; 'r' and 's' need a second platform. */
static uint32_t guest_in(struct rig *r, struct rig *peer, char state,
			 uint32_t policy)
{
	uint32_t asid = policy & PSP_POLICY_ES ? 1 : 7, h, other;

	switch (state) {
	case 'L':
		return rig_guest(r, policy, asid, PSP_G_LUPDATE);
	case 'S':
		return rig_guest(r, policy, asid, PSP_G_LSECRET);
	case 'r':
		other = rig_guest(peer, policy, asid, PSP_G_RUNNING);
		assert_int_equal(rig_send_start(peer, r, other), 0);
		assert_int_equal(rig_receive_start(peer, r, policy, &h), 0);
		assert_int_equal(rig_activate(r, h, asid), 0);
		return h;
	default:
		h = rig_guest(r, policy, asid, PSP_G_RUNNING);
	}
	if (state == 's' || state == 'N')
		assert_int_equal(rig_send_start(r, peer, h), 0);
	if (state == 'N')
		assert_int_equal(rig_handle(r, PSP_CMD_SEND_FINISH, h), 0);
	return h;
}

static void test_guest_states(void **state)
{
	struct rig *r = *state;
	const enum psp_profile profile = r->cfg.profile;
	const char *st;
	const struct want *w;
	uint16_t status;
	uint32_t h;
	bool bad;

	for (st = "LSRsrN"; *st; st++)
		for (w = want_next(NULL, true); w; w = want_next(w, true)) {
			struct rig *a = rig_new(profile, 1);
			struct rig *b = rig_new(profile, 2);

			assert_int_equal(rig_init(a), 0);
			assert_int_equal(rig_init(b), 0);
			h = guest_in(a, b, *st, PSP_POLICY_ES);
			assert_int_equal(issue(a, w, h + 1, 0),
					 PSP_RET_INVALID_GUEST);
			assert_int_equal(issue(a, w, 0, 0),
					 PSP_RET_INVALID_GUEST);
			status = issue(a, w, h, 0);
			bad = status == PSP_RET_INVALID_GUEST_STATE;
			if (bad == !!strchr(w->guest, *st))
				fail_msg("command %#x in %c: %u", w->id, *st,
					 status);
			rig_free(a);
			rig_free(b);
		}
}

static void test_reserved(void **state)
{
	struct rig *r = *state;
	struct rig *peer = rig_new(r->cfg.profile, 2);
	const struct want *w;
	uint32_t h;
	int i;

	assert_int_equal(rig_init(peer), 0);
	for (w = want_next(NULL, true); w; w = want_next(w, true)) {
		if (!w->rsvd[0])
			continue;
		h = guest_in(r, peer, w->guest[0], PSP_POLICY_ES);
		for (i = 0; i < 3 && w->rsvd[i]; i++)
			assert_int_equal(issue(r, w, h, w->rsvd[i]),
					 PSP_RET_INVALID_PARAM);
		/* and before the handle is looked at */
		assert_int_equal(issue(r, w, h + 1, w->rsvd[0]),
				 PSP_RET_INVALID_PARAM);
		assert_true(issue(r, w, h, 0) != PSP_RET_INVALID_PARAM);
		assert_int_equal(RIG_RUN(r, SHUTDOWN), 0);
		assert_int_equal(RIG_RUN(peer, SHUTDOWN), 0);
		rig_wbinvd(r);
		rig_wbinvd(peer);
		assert_int_equal(rig_init(r), 0);
		assert_int_equal(rig_init(peer), 0);
		assert_int_equal(RIG_RUN(r, DF_FLUSH), 0);
		assert_int_equal(RIG_RUN(peer, DF_FLUSH), 0);
	}
	rig_free(peer);
}

/* VMSA commands are not for guests without encrypted registers. */
static void test_not_es(void **state)
{
	struct rig *r = *state;
	const struct want *w;
	uint32_t h;

	for (w = want_next(NULL, true); w; w = want_next(w, true)) {
		struct rig *a = rig_new(r->cfg.profile, 1);
		struct rig *b = rig_new(r->cfg.profile, 2);

		assert_int_equal(rig_init(a), 0);
		assert_int_equal(rig_init(b), 0);
		h = guest_in(a, b, w->guest[0], 0);
		assert_int_equal(issue(a, w, h, 0) == PSP_RET_POLICY_FAILURE,
				 w->es);
		rig_free(a);
		rig_free(b);
	}
}

static void test_asid_ranges(void **state)
{
	struct rig *r = *state;
	bool all = r->cfg.profile == PSP_HYGON;
	uint32_t plain, es, i;

	assert_int_equal(rig_launch_start(r, 0, &plain), 0);
	assert_int_equal(rig_launch_start(r, PSP_POLICY_ES, &es), 0);
	assert_int_equal(rig_activate(r, plain, 0), PSP_RET_INVALID_ASID);
	assert_int_equal(rig_activate(r, es, 0), PSP_RET_INVALID_ASID);
	assert_int_equal(rig_activate(r, es, 16), PSP_RET_INVALID_ASID);
	assert_int_equal(rig_activate(r, es, ~0u), PSP_RET_INVALID_ASID);
	for (i = 1; i <= 15; i++) {
		bool ok = i >= 6;

		assert_int_equal(rig_activate(r, plain, i),
				 ok ? 0 : PSP_RET_INVALID_ASID);
		if (ok)
			assert_int_equal(
				rig_handle(r, PSP_CMD_DEACTIVATE, plain), 0);
		rig_wbinvd(r);
		assert_int_equal(RIG_RUN(r, DF_FLUSH), 0);
		ok = i < 6 || all;
		assert_int_equal(rig_activate(r, es, i),
				 ok ? 0 : PSP_RET_INVALID_ASID);
		if (ok)
			assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, es),
					 0);
		rig_wbinvd(r);
		assert_int_equal(RIG_RUN(r, DF_FLUSH), 0);
	}
}

/* [csv-abi] 2.3: builds below 1810 split ASIDs as AMD does. */
static void test_old_build(void **state)
{
	struct rig *r = *state;
	struct psp_config cfg = r->cfg;
	struct rig *q;
	uint32_t h;

	cfg.build = 1809;
	q = rig_new_cfg(&cfg, 5);
	assert_int_equal(rig_init(q), 0);
	assert_int_equal(rig_launch_start(q, PSP_POLICY_ES, &h), 0);
	assert_int_equal(rig_activate(q, h, 6), PSP_RET_INVALID_ASID);
	assert_int_equal(rig_activate(q, h, 5), 0);
	rig_free(q);
}

/* FREE, OWNED, DIRTY, FREE ([sev-es-emulation] G.9). */
static void test_asid_life(void **state)
{
	struct rig *r = *state;
	struct psp_abi_guest_status c = { 0 };
	uint32_t a, b, len = 16;

	assert_int_equal(rig_launch_start(r, 0, &a), 0);
	assert_int_equal(rig_launch_start(r, 0, &b), 0);
	assert_true(a != b);
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, a), PSP_RET_INACTIVE);
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_UPDATE_DATA, a, RIG_GUEST,
				    &len),
			 PSP_RET_INACTIVE);
	r->fail_key = true;
	assert_int_equal(rig_activate(r, a, 7), PSP_RET_HWERROR_PLATFORM);
	r->fail_key = false;
	assert_int_equal(rig_activate(r, a, 7), 0);
	assert_int_equal(rig_activate(r, a, 7), PSP_RET_ACTIVE);
	assert_int_equal(rig_activate(r, a, 8), PSP_RET_ACTIVE);
	assert_int_equal(rig_activate(r, b, 7), PSP_RET_ASID_OWNED);
	c.handle = a;
	assert_int_equal(RIG_DO(r, GUEST_STATUS, c), 0);
	assert_int_equal(c.asid, 7);
	assert_int_equal(c.policy, 0);
	assert_int_equal(c.state, PSP_G_LUPDATE);
	assert_false(psp_asid_may_run(r->p, 7));
	assert_int_equal(rig_handle(r, PSP_CMD_DECOMMISSION, a), PSP_RET_ACTIVE);
	assert_true(r->installed[7]);
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, a), 0);
	assert_false(r->installed[7]);
	assert_int_equal(rig_activate(r, b, 7), PSP_RET_DFFLUSH_REQUIRED);
	assert_int_equal(RIG_RUN(r, DF_FLUSH), PSP_RET_WBINVD_REQUIRED);
	assert_int_equal(rig_activate(r, b, 7), PSP_RET_DFFLUSH_REQUIRED);
	rig_wbinvd(r);
	assert_int_equal(rig_activate(r, b, 7), PSP_RET_DFFLUSH_REQUIRED);
	assert_int_equal(RIG_RUN(r, DF_FLUSH), 0);
	assert_int_equal(rig_activate(r, b, 7), 0);
	/* A flush before the last DEACTIVATE is not enough. */
	assert_int_equal(rig_activate(r, a, 8), 0);
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, a), 0);
	rig_wbinvd(r);
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, b), 0);
	assert_int_equal(RIG_RUN(r, DF_FLUSH), PSP_RET_WBINVD_REQUIRED);
	assert_int_equal(rig_handle(r, PSP_CMD_DECOMMISSION, a), 0);
	assert_int_equal(rig_platform(r).state, PSP_WORKING);
	assert_int_equal(rig_handle(r, PSP_CMD_DECOMMISSION, a),
			 PSP_RET_INVALID_GUEST);
	assert_int_equal(rig_handle(r, PSP_CMD_DECOMMISSION, b), 0);
	assert_int_equal(rig_platform(r).state, PSP_INIT);
}

static void test_policy(void **state)
{
	struct rig *r = *state;
	uint32_t major = r->cfg.api_major, minor = r->cfg.api_minor, h, i;
	bool csv = r->cfg.profile == PSP_HYGON;
	struct psp_abi_init c = { 0 };

	assert_int_equal(rig_launch_start(r, major << 16 | minor << 24, &h), 0);
	assert_int_equal(rig_launch_start(r, major << 16 | (minor + 1) << 24, &h),
			 PSP_RET_POLICY_FAILURE);
	assert_int_equal(rig_launch_start(r, (major + 1) << 16, &h),
			 PSP_RET_POLICY_FAILURE);
	assert_int_equal(rig_launch_start(r, 0xff000000 | major << 16, &h),
			 PSP_RET_POLICY_FAILURE);
	if (major)
		assert_int_equal(rig_launch_start(r, 0xff000000, &h), 0);
	assert_int_equal(rig_launch_start(r, PSP_POLICY_CSV3, &h),
			 csv ? PSP_RET_UNSUPPORTED : PSP_RET_INVALID_PARAM);
	assert_int_equal(rig_launch_start(r, PSP_POLICY_REUSE_ASID, &h),
			 csv ? 0 : PSP_RET_INVALID_PARAM);
	for (i = 8; i < 16; i++)
		assert_int_equal(rig_launch_start(r, 1u << i, &h),
				 PSP_RET_INVALID_PARAM);
	assert_int_equal(rig_launch_start(r, 0x3f, &h), 0);
	/* Encrypted registers need INIT's flag. */
	assert_int_equal(RIG_RUN(r, SHUTDOWN), 0);
	assert_int_equal(RIG_DO(r, INIT, c), 0);
	assert_int_equal(rig_launch_start(r, PSP_POLICY_ES, &h),
			 PSP_RET_UNSUPPORTED);
	assert_int_equal(rig_launch_start(r, 0, &h), 0);
}

static void test_limit(void **state)
{
	struct rig *r = *state;
	uint32_t h, first = 0, i;

	for (i = 0; i < 10000; i++) {
		if (rig_launch_start(r, 0, &h) != 0)
			break;
		if (!first)
			first = h;
	}
	assert_in_range(i, 16, 1024);
	assert_int_equal(rig_launch_start(r, 0, &h), PSP_RET_RESOURCE_LIMIT);
	assert_int_equal(rig_platform(r).guest_count, i);
	assert_int_equal(rig_handle(r, PSP_CMD_DECOMMISSION, first), 0);
	assert_int_equal(rig_launch_start(r, 0, &h), 0);
	/* A handle is not given out again at once. */
	assert_true(h != first);
}

static void test_sharing(void **state)
{
	struct rig *r = *state;
	struct psp_abi_start c = { 0 };
	uint8_t plain[32], seen[32];
	uint32_t a, b, len = 32;

	memset(plain, 0x5a, sizeof(plain));
	memcpy(r->ram + RIG_GUEST, plain, sizeof(plain));
	assert_int_equal(rig_launch_start(r, PSP_POLICY_NOKS, &a), 0);
	c.handle = a;
	c.policy = PSP_POLICY_NOKS;
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_POLICY_FAILURE);
	assert_int_equal(c.handle, a);
	assert_int_equal(rig_handle(r, PSP_CMD_DECOMMISSION, a), 0);
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_INVALID_GUEST);
	assert_int_equal(rig_launch_start(r, 0, &a), 0);
	assert_int_equal(rig_activate(r, a, 9), 0);
	c = (struct psp_abi_start){ .handle = a, .policy = PSP_POLICY_SEV };
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_POLICY_FAILURE);
	c.policy = 0;
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), 0);
	b = c.handle;
	assert_true(a != b);
	assert_int_equal(
		rig_launch(r, PSP_CMD_LAUNCH_UPDATE_DATA, a, RIG_GUEST, &len), 0);
	/* The same key: b joins the ASID, and its own would decrypt as well. */
	assert_int_equal(rig_activate(r, b, 9), 0);
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, a), 0);
	assert_true(r->installed[9]);
	rig_plain(r, 9, RIG_GUEST, seen, sizeof(seen));
	assert_memory_equal(plain, seen, sizeof(seen));
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, b), 0);
	assert_false(r->installed[9]);
	/* Not with one that is gone. */
	a = rig_guest(r, 0, 10, PSP_G_RUNNING);
	assert_int_equal(rig_send_start(r, r, a), 0);
	assert_int_equal(rig_handle(r, PSP_CMD_SEND_FINISH, a), 0);
	c = (struct psp_abi_start){ .handle = a };
	assert_int_equal(RIG_DO(r, LAUNCH_START, c), PSP_RET_INVALID_GUEST_STATE);
}

/* [csv-abi] 1.7: guests of one user in one ASID, if all of them allow it. */
static void test_reuse(void **state)
{
	struct rig *r = *state;
	const uint32_t reuse = PSP_POLICY_REUSE_ASID;
	uint8_t plain[64], seen[64];
	uint32_t a, b, c, len = 32;

	if (r->cfg.profile == PSP_AMD) {
		assert_int_equal(rig_launch_start(r, reuse, &a),
				 PSP_RET_INVALID_PARAM);
		return;
	}
	memcpy(r->ram + RIG_GUEST, "what the two of them have to say", 32);
	memset(r->ram + RIG_GUEST + 32, 0x77, 32);
	memcpy(plain, r->ram + RIG_GUEST, sizeof(plain));
	assert_int_equal(rig_launch_start(r, reuse, &a), 0);
	assert_int_equal(rig_activate(r, a, 9), 0);
	assert_int_equal(
		rig_launch(r, PSP_CMD_LAUNCH_UPDATE_DATA, a, RIG_GUEST, &len), 0);
	/* The other does not allow it, or no sharing of keys at all. */
	assert_int_equal(rig_launch_start(r, 0, &c), 0);
	assert_int_equal(rig_activate(r, c, 9), PSP_RET_ASID_OWNED);
	assert_int_equal(rig_launch_start(r, reuse | PSP_POLICY_NOKS, &c), 0);
	assert_int_equal(rig_activate(r, c, 9), PSP_RET_ASID_OWNED);
	/* One with memory under its own key would lose it. */
	assert_int_equal(rig_launch_start(r, reuse, &c), 0);
	assert_int_equal(rig_activate(r, c, 10), 0);
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, c), 0);
	assert_int_equal(rig_activate(r, c, 9), PSP_RET_ASID_OWNED);
	assert_int_equal(rig_launch_start(r, reuse, &b), 0);
	assert_int_equal(rig_activate(r, b, 9), 0);
	assert_int_equal(rig_launch(r, PSP_CMD_LAUNCH_UPDATE_DATA, b,
				    RIG_GUEST + 32, &len),
			 0);
	/* The first one goes: its key stays, for the other. */
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, a), 0);
	assert_int_equal(rig_handle(r, PSP_CMD_DECOMMISSION, a), 0);
	assert_true(r->installed[9]);
	rig_plain(r, 9, RIG_GUEST, seen, sizeof(seen));
	assert_memory_equal(plain, seen, sizeof(seen));
	assert_int_equal(rig_handle(r, PSP_CMD_DEACTIVATE, b), 0);
	assert_false(r->installed[9]);
	assert_int_equal(rig_activate(r, b, 9), PSP_RET_DFFLUSH_REQUIRED);
	/* Nor into one that does not allow it itself. */
	assert_int_equal(rig_launch_start(r, 0, &c), 0);
	assert_int_equal(rig_activate(r, c, 11), 0);
	assert_int_equal(rig_launch_start(r, reuse, &a), 0);
	assert_int_equal(rig_activate(r, a, 11), PSP_RET_ASID_OWNED);
}

static void test_start_random(void **state)
{
	struct rig *r = *state;
	uint32_t h;
	unsigned i;

	for (i = 1; i < 10; i++) {
		r->fail_random = i;
		if (rig_launch_start(r, 0, &h) == 0)
			break;
		assert_int_equal(rig_platform(r).state, PSP_INIT);
		assert_int_equal(rig_platform(r).guest_count, 0);
	}
	assert_int_equal(i, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_platform_states), BOTH(test_guest_states),
		BOTH(test_reserved),	    BOTH(test_not_es),
		BOTH(test_asid_ranges),	    BOTH(test_old_build),
		BOTH(test_asid_life),	    BOTH(test_policy),
		BOTH(test_limit),	    BOTH(test_sharing),
		BOTH(test_start_random),    BOTH(test_reuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
