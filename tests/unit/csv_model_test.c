/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM's and the driver's part of the model: what each command checks, and what
 * is left after a failure. Numbers are typed from [csv-abi] and
 * [sev-es-emulation].
 */
#include "tests/unit/csv_model_rig.h"

#include "psp/crypto.h"
#include "vmm/attest.h"
#include "vmm/csv_model_internal.h"

static const struct {
	enum psp_profile profile;
	bool es;
} kinds[] = { { PSP_AMD, false },
	      { PSP_AMD, true },
	      { PSP_HYGON, false },
	      { PSP_HYGON, true } };

#define ES(i) (kinds[i].es ? CSV_POLICY_ES : 0u)

/* Two platforms in one process; memory must be registered; INIT once. */
static void test_two(void **state)
{
	struct kvm_sev_launch_update_data d = { .len = 8192 };
	struct kvm_sev_launch_measure q = { 0 };
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		rig_vm_new(i, NULL, i ? PSP_AMD : PSP_HYGON);
		assert_int_equal(rig_start(i, 0), -ENOTTY);
		assert_int_equal(csv_model_backend.region(
					 rig.vm[i].m, rig.vm[i].ram, 8192, true),
				 -ENOTTY);
		assert_int_equal(rig_issue(i, KVM_SEV_INIT, NULL), 0);
		assert_int_equal(rig_issue(i, KVM_SEV_INIT, NULL), -EINVAL);
		assert_int_equal(rig_issue(i, KVM_SEV_ES_INIT, NULL), -EINVAL);
		assert_int_equal(rig_start(i, 0), 0);
		assert_int_equal(rig_start(i, 0), -EINVAL);
	}
	for (i = 0; i < 2; i++) {
		d.uaddr = (uintptr_t)rig.vm[i].ram;
		assert_int_equal(rig_issue(i, KVM_SEV_LAUNCH_UPDATE_DATA, &d),
				 -EFAULT);
		assert_int_equal(csv_model_backend.region(
					 rig.vm[i].m, rig.vm[i].ram, 8192, true),
				 0);
		assert_int_equal(rig_issue(i, KVM_SEV_LAUNCH_UPDATE_DATA, &d), 0);
		d.len = 8193;
		assert_int_equal(rig_issue(i, KVM_SEV_LAUNCH_UPDATE_DATA, &d),
				 -EFAULT);
		d.len = 0;
		assert_int_equal(rig_issue(i, KVM_SEV_LAUNCH_UPDATE_DATA, &d),
				 -EINVAL);
		d.len = 8192;
		d.uaddr = ~(uint64_t)4095;
		assert_int_equal(rig_issue(i, KVM_SEV_LAUNCH_UPDATE_DATA, &d),
				 -EINVAL);
		q.len = 0;
		assert_fw(rig_issue(i, KVM_SEV_LAUNCH_MEASURE, &q), 4);
		assert_int_equal(q.len, 48);
	}
}

/* A vCPU that is there before INIT has registers in the clear. */
static void test_init_late(void **state)
{
	(void)state;
	rig_vm_new(0, NULL, PSP_AMD);
	assert_int_equal(csv_model_add_vcpu(rig.vm[0].m, RIG_FD), 0);
	assert_int_equal(rig_issue(0, KVM_SEV_ES_INIT, NULL), -EINVAL);
}

/* By id: 0, 1 LAUNCH_START, ... as [csv-abi] 1.1 has them; 4 without data. */
static void test_null(void **state)
{
	static const uint8_t with_data[] = { 2,	 3,  5,	 6,  8,	 9,  10, 12,
					     13, 14, 16, 17, 18, 20, 24 };
	static const uint8_t unknown[] = { 19, 22, 23, 25, 100, 0xc0 };
	uint8_t arg[128] = { 0 };
	unsigned i;

	(void)state;
	rig_vm_new(0, NULL, PSP_HYGON);
	for (i = 0; i < sizeof(with_data); i++)
		assert_int_equal(rig_issue(0, with_data[i], arg), -ENOTTY);
	rig_vm_init(0, true);
	for (i = 0; i < sizeof(with_data); i++) {
		assert_int_equal(rig_issue(0, with_data[i], NULL), -EFAULT);
		assert_int_equal(rig_fw, 0);
	}
	for (i = 0; i < sizeof(unknown); i++)
		assert_int_equal(rig_issue(0, unknown[i], arg), -EINVAL);
}

/*
 * The guest's states as letters, n: no key yet; what the firmware answers
 * elsewhere is INVALID_GUEST_STATE (2). Without a guest, the platform's own
 * state forbids it (1).
 */
static const struct {
	uint32_t cmd;
	const char *ok;
} legal[] = {
	{ 3, "l" },	  { 4, "l" },	  { 5, "s" },	  { 6, "l" },
	{ 7, "s" },	  { 8, "r" },	  { 9, "S" },	  { 10, "S" },
	{ 11, "S" },	  { 13, "R" },	  { 14, "R" },	  { 15, "R" },
	{ 16, "lsrSRT" }, { 17, "lsrS" }, { 18, "lsrS" }, { 20, "lsrS" },
	{ 21, "S" },
};

static struct kvm_sev_dbg dbg_arg(uint64_t src, uint64_t dst, uint32_t len)
{
	return (struct kvm_sev_dbg){ .src_uaddr = src,
				     .dst_uaddr = dst,
				     .len = len };
}

static uint8_t blob[4096] __attribute__((aligned(4096)));

/* Good as far as KVM looks, on page @page of the guest's memory. */
static int issue_any(unsigned vm, uint32_t cmd, unsigned page)
{
	uint64_t ram = (uintptr_t)rig.vm[vm].ram + page * 4096,
		 b = (uintptr_t)blob;
	struct kvm_sev_launch_update_data data = { .uaddr = ram, .len = 4096 };
	struct kvm_sev_launch_measure meas = { .uaddr = b, .len = 48 };
	struct kvm_sev_launch_secret pkt = { .hdr_uaddr = b,
					     .hdr_len = 52,
					     .guest_uaddr = ram,
					     .guest_len = 4096,
					     .trans_uaddr = b,
					     .trans_len = 4096 };
	struct csv_abi_vmsa vmsa = { 0, b, 52, b, 4096 };
	struct kvm_sev_dbg dbg = cmd == 17 ? dbg_arg(ram, b, 16)
					   : dbg_arg(b, ram, 16);
	struct kvm_sev_attestation_report rep = { .uaddr = b, .len = 4096 };
	struct kvm_sev_send_start send = { .pdh_cert_uaddr = b,
					   .pdh_cert_len = 1,
					   .plat_certs_uaddr = b,
					   .plat_certs_len = 1,
					   .amd_certs_uaddr = b,
					   .amd_certs_len = 1,
					   .session_uaddr = b,
					   .session_len = 128 };
	struct kvm_sev_guest_status st;

	switch (cmd) {
	case 3:
		return rig_issue(vm, cmd, &data);
	case 6:
		return rig_issue(vm, cmd, &meas);
	case 5:
	case 9:
	case 13:
		return rig_issue(vm, cmd, &pkt);
	case 8:
		return rig_issue(vm, cmd, &send);
	case 10:
	case 14:
		return rig_issue(vm, cmd, &vmsa);
	case 16:
		return rig_issue(vm, cmd, &st);
	case 17:
	case 18:
		return rig_issue(vm, cmd, &dbg);
	case 20:
		return rig_issue(vm, cmd, &rep);
	}
	return rig_issue(vm, cmd, NULL);
}

static uint8_t session[128], pdh[2084], chain[6252];

static void export(unsigned vm)
{
	struct sev_user_data_pdh_cert_export e = {
		.pdh_cert_address = (uintptr_t)pdh,
		.pdh_cert_len = sizeof(pdh),
		.cert_chain_address = (uintptr_t)chain,
		.cert_chain_len = sizeof(chain),
	};
	uint32_t fw;

	assert_int_equal(csv_model_backend.platform(
				 rig.vm[vm].m, SEV_PDH_CERT_EXPORT, &e, &fw),
			 0);
}

static void send_start(unsigned vm, enum psp_profile profile)
{
	static uint8_t root[PSP_ROOT_CHAIN_MAX];
	struct kvm_sev_send_start s = {
		.pdh_cert_uaddr = (uintptr_t)pdh,
		.pdh_cert_len = sizeof(pdh),
		.plat_certs_uaddr = (uintptr_t)chain,
		.plat_certs_len = sizeof(chain),
		.amd_certs_uaddr = (uintptr_t)root,
		.session_uaddr = (uintptr_t)session,
		.session_len = sizeof(session),
	};
	size_t len;

	export(vm);
	assert_int_equal(
		psp_root_chain(psp_suite(profile), root, sizeof(root), &len), 0);
	s.amd_certs_len = (uint32_t)len;
	assert_int_equal(rig_issue(vm, KVM_SEV_SEND_START, &s), 0);
}

static void receive_start(unsigned vm, uint32_t policy)
{
	struct kvm_sev_receive_start s = {
		.policy = policy,
		.pdh_uaddr = (uintptr_t)pdh,
		.pdh_len = sizeof(pdh),
		.session_uaddr = (uintptr_t)session,
		.session_len = sizeof(session),
	};

	assert_int_equal(rig_issue(vm, KVM_SEV_RECEIVE_START, &s), 0);
}

/* VM 0 in a state; VM 1 is its peer. */
static void become(char s, unsigned kind)
{
	const enum psp_profile profile = kinds[kind].profile;

	(void)rig_teardown(NULL);
	rig_vm_new(0, NULL, profile);
	rig_vm_init(0, kinds[kind].es);
	if (s == 'n')
		return;
	if (s == 'R') {
		rig_vm_new(1, NULL, profile);
		rig_vm_init(1, kinds[kind].es);
		rig_run(1, ES(kind));
		send_start(1, profile);
		receive_start(0, ES(kind));
		return;
	}
	if (s == 'l' || s == 's') {
		assert_int_equal(rig_start(0, ES(kind)), 0);
		if (s == 's')
			assert_int_equal(rig_measure(0), 0);
		return;
	}
	rig_run(0, ES(kind));
	if (s == 'S' || s == 'T')
		send_start(0, profile);
	if (s == 'T')
		assert_int_equal(rig_issue(0, KVM_SEV_SEND_FINISH, NULL), 0);
}

static void test_states(void **state)
{
	const char *s;
	unsigned i, k;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		for (s = "nlsrSRT"; *s; s++)
			for (i = 0; i < ARRAY_SIZE(legal); i++) {
				uint32_t cmd = legal[i].cmd;
				bool vmsa = cmd == 4 || cmd == 10 || cmd == 14;
				int r;

				become(*s, k);
				r = issue_any(0, cmd, 100);
				if (vmsa && !kinds[k].es)
					assert_int_equal(r, -ENOTTY);
				else if (*s == 'n')
					assert_fw(r, 1);
				/* Its VMSAs are in: KVM knows by itself. */
				else if (cmd == 4 && *s != 'l' && *s != 's' &&
					 *s != 'R')
					assert_int_equal(r, -EINVAL);
				else if (!strchr(legal[i].ok, *s))
					assert_fw(r, 2);
				else
					assert_true(rig_fw != 2 && rig_fw != 1);
			}
}

static void test_status(void **state)
{
	/* [csv-abi] 1.2: 12 bytes; [sev-es-emulation] G.4: the states. */
	static const struct {
		char letter;
		uint32_t state;
	} want[] = { { 'l', 1 }, { 's', 2 }, { 'r', 3 },
		     { 'S', 4 }, { 'R', 5 }, { 'T', 6 } };
	struct kvm_sev_guest_status st;
	unsigned i, k;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		for (i = 0; i < ARRAY_SIZE(want); i++) {
			become(want[i].letter, k);
			memset(&st, 0xff, sizeof(st));
			assert_int_equal(rig_issue(0, KVM_SEV_GUEST_STATUS, &st),
					 0);
			assert_true(st.handle > 0 && st.handle < 10);
			assert_int_equal(st.policy, ES(k));
			assert_int_equal(st.state, want[i].state);
		}
}

/* Any place and length, the firmware's blocks notwithstanding. */
static void test_dbg(void **state)
{
	static uint8_t out[12288], want[12288];
	const uint32_t offsets[] = { 0, 1, 15, 16, 17, 4090, 4096, 8191 };
	const uint32_t lens[] = { 1, 2, 15, 16, 17, 31, 32, 100, 4096, 4097 };
	struct kvm_sev_dbg d = { 0 };
	unsigned i, k;
	uint8_t *ram;

	(void)state;
	become('r', 3);
	ram = rig.vm[0].ram;
	for (i = 0; i < 16384; i++)
		ram[i] = (uint8_t)(i * 11 + (i >> 8));
	for (i = 0; i < ARRAY_SIZE(offsets); i++)
		for (k = 0; k < ARRAY_SIZE(lens); k++) {
			memset(out, 0xaa, sizeof(out));
			memset(want, 0xaa, sizeof(want));
			memcpy(want + 3, ram + offsets[i], lens[k]);
			d = dbg_arg((uintptr_t)ram + offsets[i],
				    (uintptr_t)out + 3, lens[k]);
			assert_int_equal(rig_issue(0, 17, &d), 0);
			assert_memory_equal(out, want, sizeof(out));
			memcpy(want, ram, sizeof(want));
			memset(want + offsets[i], 0x5c,
			       MIN(lens[k], sizeof(want) - offsets[i]));
			memset(out, 0x5c, sizeof(out));
			d = dbg_arg((uintptr_t)out + 5,
				    (uintptr_t)ram + offsets[i], lens[k]);
			assert_int_equal(rig_issue(0, 18, &d), 0);
			assert_memory_equal(ram, want, sizeof(want));
		}
	d = dbg_arg(0, (uintptr_t)out, 16);
	assert_int_equal(rig_issue(0, 17, &d), -EINVAL);
	d = dbg_arg((uintptr_t)ram, 0, 16);
	assert_int_equal(rig_issue(0, 17, &d), -EINVAL);
	d = dbg_arg((uintptr_t)ram, (uintptr_t)out, 0);
	assert_int_equal(rig_issue(0, 17, &d), -EINVAL);
	/* Not the guest's memory, or past its end. */
	d = dbg_arg((uintptr_t)out, (uintptr_t)out, 16);
	assert_int_equal(rig_issue(0, 17, &d), -EFAULT);
	d = dbg_arg((uintptr_t)ram + RIG_PAGES * 4096 - 8, (uintptr_t)out, 16);
	assert_int_equal(rig_issue(0, 17, &d), -EFAULT);
	d = dbg_arg(~(uint64_t)7, (uintptr_t)out, 16);
	assert_int_equal(rig_issue(0, 17, &d), -EINVAL);
	/* And what the policy forbids. */
	(void)rig_teardown(NULL);
	rig_vm_new(0, NULL, PSP_AMD);
	rig_vm_init(0, false);
	rig_run(0, CSV_POLICY_NODBG);
	memset(out, 0xaa, sizeof(out));
	memset(want, 0xaa, sizeof(want));
	d = dbg_arg((uintptr_t)rig.vm[0].ram, (uintptr_t)out, 32);
	assert_fw(rig_issue(0, 17, &d), 7);
	assert_memory_equal(out, want, sizeof(out));
}

/* Made by the firmware, verified by who knows only certificates. */
static void test_report(void **state)
{
	static uint8_t buf[4096];
	struct kvm_sev_attestation_report q;
	struct attest_certs certs;
	struct attest_report rep;
	const char *why;
	unsigned k;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		uint32_t size = kinds[k].profile == PSP_AMD ? 208 : 4096;

		become('r', k);
		export(0);
		q = (struct kvm_sev_attestation_report){ 0 };
		assert_fw(rig_issue(0, 20, &q), 4);
		assert_int_equal(q.len, size);
		q.len = 16385;
		q.uaddr = (uintptr_t)buf;
		assert_int_equal(rig_issue(0, 20, &q), -EINVAL);
		q.len = size - 1;
		memset(buf, 0, sizeof(buf));
		assert_fw(rig_issue(0, 20, &q), 4);
		assert_int_equal(buf[0], 0);
		q.len = 4096;
		memcpy(q.mnonce, "sixteen letters.", 16);
		assert_int_equal(rig_issue(0, 20, &q), 0);
		assert_int_equal(q.len, size);
		certs = (struct attest_certs){ .model_root = true };
		assert_int_equal(attest_add(&certs, kinds[k].profile, chain,
					    sizeof(chain), false),
				 0);
		assert_int_equal(attest_parse(buf, size, &rep), 0);
		assert_int_equal(attest_verify(&rep, &certs, &why), 0);
		assert_memory_equal(rep.nonce, "sixteen letters.", 16);
		assert_int_equal(rep.policy, ES(k));
		buf[16 + 5] ^= 1;
		assert_int_equal(attest_parse(buf, size, &rep), 0);
		assert_int_equal(attest_verify(&rep, &certs, &why), -EBADMSG);
	}
}

static void test_secret(void **state)
{
	static const struct {
		uint64_t hdr, guest, trans;
		uint32_t hdr_len, guest_len, trans_len;
		int r;
	} bad[] = {
		{ 0, 1, 1, 52, 16, 16, -EINVAL },
		{ 1, 0, 1, 52, 16, 16, -EFAULT },
		{ 1, 1, 0, 52, 16, 16, -EINVAL },
		{ 1, 1, 1, 0, 16, 16, -EINVAL },
		{ 1, 1, 1, 52, 0, 16, -EINVAL },
		{ 1, 1, 1, 52, 16, 0, -EINVAL },
		{ 1, 1, 1, 16385, 16, 16, -EINVAL },
		{ 1, 1, 1, 52, 16, 16385, -EINVAL },
		{ 1, 1, 1, 52, ~0u, 16, -EFAULT },
	};
	unsigned i;

	(void)state;
	become('s', 1);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct kvm_sev_launch_secret s = {
			.hdr_uaddr = bad[i].hdr ? (uintptr_t)blob : 0,
			.hdr_len = bad[i].hdr_len,
			.guest_uaddr = bad[i].guest ? (uintptr_t)rig.vm[0].ram : 0,
			.guest_len = bad[i].guest_len,
			.trans_uaddr = bad[i].trans ? (uintptr_t)blob : 0,
			.trans_len = bad[i].trans_len,
		};

		assert_int_equal(rig_issue(0, KVM_SEV_LAUNCH_SECRET, &s),
				 bad[i].r);
	}
	assert_fw(issue_any(0, KVM_SEV_LAUNCH_SECRET, 3), 0x0b);
	assert_int_equal(rig_state(0), 2);
}

/* --- what is left -------------------------------------------------------------------- */

/* Every ASID of the kind can be had by somebody else. */
static void assert_asids_free(unsigned vm, unsigned kind)
{
	const uint32_t first = kinds[kind].es ? 1 : 6;
	const uint32_t last =
		kinds[kind].es && kinds[kind].profile == PSP_AMD ? 5 : 15;
	struct psp *p = csv_model_psp(rig.vm[vm].m);
	struct psp_abi_activate a = { 0 };
	struct psp_abi_start s;
	uint32_t handle[16];

	assert_int_equal(rig_guests(vm), 0);
	assert_int_equal(psp_command(p, PSP_CMD_DF_FLUSH, NULL, 0), 0);
	for (a.asid = first; a.asid <= last; a.asid++) {
		s = (struct psp_abi_start){ .policy = ES(kind) };
		assert_int_equal(
			psp_command(p, PSP_CMD_LAUNCH_START, &s, sizeof(s)), 0);
		a.handle = handle[a.asid] = s.handle;
		assert_int_equal(psp_command(p, PSP_CMD_ACTIVATE, &a, sizeof(a)),
				 0);
	}
	for (a.asid = first; a.asid <= last; a.asid++) {
		struct psp_abi_handle h = { handle[a.asid] };

		assert_int_equal(
			psp_command(p, PSP_CMD_DEACTIVATE, &h, sizeof(h)), 0);
		assert_int_equal(
			psp_command(p, PSP_CMD_DECOMMISSION, &h, sizeof(h)), 0);
	}
}

static void close_vm(unsigned vm)
{
	csv_model_hold(rig.vm[vm].m);
	csv_model_backend.close(rig.vm[vm].m);
}

/* From each state, and with one firmware command failing on the way. */
static void test_close(void **state)
{
	static const char states[] = "nlsrSRT";
	unsigned k, n, i;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		for (i = 0; states[i]; i++)
			for (n = 0; n <= 3; n++) {
				become(states[i], k);
				if (n)
					psp_fault_command(
						csv_model_psp(rig.vm[0].m), n,
						PSP_RET_HWERROR_PLATFORM);
				close_vm(0);
				psp_fault_command(csv_model_psp(rig.vm[0].m), 0,
						  0);
				assert_asids_free(0, k);
				assert_int_equal(rig_start(0, 0), -ENOTTY);
				/* And once more, from the beginning. */
				rig_vm_init(0, kinds[k].es);
				rig_run(0, ES(k));
			}
}

/* The n-th command of a start fails: no key and no ASID stays. */
static void test_start_fails(void **state)
{
	unsigned k, n;
	int r;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		for (n = 1; n <= 3; n++) {
			become('n', k);
			psp_fault_command(csv_model_psp(rig.vm[0].m), n,
					  PSP_RET_HWERROR_PLATFORM);
			r = rig_start(0, ES(k));
			if (n == 3) { /* past the last one */
				assert_int_equal(r, 0);
				break;
			}
			assert_fw(r, PSP_RET_HWERROR_PLATFORM);
			psp_fault_command(csv_model_psp(rig.vm[0].m), 0, 0);
			assert_asids_free(0, k);
			assert_int_equal(rig_start(0, ES(k)), 0);
			assert_int_equal(rig_guests(0), 1);
		}
}

/* No ASID left: told, undone; those of the dead are used before that. */
static void test_no_asid(void **state)
{
	struct csv_model *with;
	unsigned i, k;

	(void)state;
	for (k = 0; k < 2; k++) {
		(void)rig_teardown(NULL);
		rig_vm_new(0, NULL, PSP_AMD);
		with = rig.vm[0].m;
		for (i = 0; i < 50; i++) {
			rig_vm_new(1, with, PSP_AMD);
			rig_vm_init(1, k);
			assert_int_equal(rig_start(1, k ? CSV_POLICY_ES : 0), 0);
			rig_vm_drop(1);
		}
		assert_int_equal(rig_guests(0), 0);
	}
	/* Five for CSV2. */
	for (i = 0; i < 5; i++) {
		struct psp_abi_start s = { .policy = CSV_POLICY_ES };
		struct psp_abi_activate a = { .asid = i + 1 };
		struct psp *p = csv_model_psp(rig.vm[0].m);

		assert_int_equal(psp_command(p, PSP_CMD_DF_FLUSH, NULL, 0), 0);
		assert_int_equal(
			psp_command(p, PSP_CMD_LAUNCH_START, &s, sizeof(s)), 0);
		a.handle = s.handle;
		assert_int_equal(psp_command(p, PSP_CMD_ACTIVATE, &a, sizeof(a)),
				 0);
	}
	rig_vm_init(0, true);
	assert_int_equal(rig_start(0, CSV_POLICY_ES), -EBUSY);
	assert_int_equal(rig_guests(0), 5);
}

/* A vCPU's registers can't be had, or the firmware fails at the second. */
static void test_vmsa_fails(void **state)
{
	static const unsigned long reqs[] = { KVM_GET_REGS, KVM_GET_SREGS };
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(reqs); i++) {
		become('l', 3);
		rig.fail = reqs[i];
		assert_int_equal(rig_issue(0, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL),
				 -EINVAL);
		rig.fail = 0;
		assert_int_equal(rig_issue(0, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL),
				 0);
	}
	become('l', 3);
	psp_fault_command(csv_model_psp(rig.vm[0].m), 2, PSP_RET_HWERROR_UNSAFE);
	assert_fw(rig_issue(0, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL),
		  PSP_RET_HWERROR_UNSAFE);
	assert_non_null(rig.vm[0].m->vcpu[0].vmsa);
	assert_null(rig.vm[0].m->vcpu[1].vmsa);
	/* The first one's registers are out of reach. */
	assert_int_equal(rig_issue(0, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL), -EINVAL);
}

static void test_regions(void **state)
{
	struct csv_model *m;
	uint8_t *ram;
	unsigned i;

	(void)state;
	rig_vm_new(0, NULL, PSP_AMD);
	m = rig.vm[0].m;
	ram = rig.vm[0].ram;
	assert_int_equal(rig_issue(0, KVM_SEV_INIT, NULL), 0);
	assert_int_equal(csv_model_backend.region(m, ram, 0, true), -EINVAL);
	assert_int_equal(csv_model_backend.region(m, ram, ~0ULL, true), -EINVAL);
	for (i = 0; i < 16; i++)
		assert_int_equal(csv_model_backend.region(m, ram + i * 4096,
							  4096, true),
				 0);
	for (; i < CSV_REGIONS_MAX; i++)
		assert_int_equal(
			csv_model_backend.region(m, ram + 65536 + i, 1, true), 0);
	assert_int_equal(csv_model_backend.region(m, ram + 65536, 4096, true),
			 -ENOMEM);
	while (--i >= 16)
		assert_int_equal(csv_model_backend.region(m, ram + 65536 + i, 1,
							  false),
				 0);
	assert_int_equal(csv_model_backend.region(m, ram, 8192, false), -EINVAL);
	assert_int_equal(rig_start(0, 0), 0);
	/* Several that touch are one piece; one in the middle goes. */
	assert_int_equal(issue_any(0, KVM_SEV_LAUNCH_UPDATE_DATA, 7), 0);
	assert_int_equal(
		csv_model_backend.region(m, ram + 7 * 4096, 4096, false), 0);
	assert_int_equal(csv_model_backend.region(m, ram + 7 * 4096, 4096, false),
			 -EINVAL);
	assert_int_equal(issue_any(0, KVM_SEV_LAUNCH_UPDATE_DATA, 7), -EFAULT);
	assert_int_equal(issue_any(0, KVM_SEV_LAUNCH_UPDATE_DATA, 6), 0);
	/* All of it is forgotten with the guest. */
	close_vm(0);
	assert_int_equal(rig_issue(0, KVM_SEV_INIT, NULL), 0);
	assert_int_equal(rig_start(0, 0), 0);
	assert_int_equal(issue_any(0, KVM_SEV_LAUNCH_UPDATE_DATA, 6), -EFAULT);
}

/* --- user id -------------------------------------------------------------------------- */

static uint32_t asid_of(unsigned vm)
{
	return rig.vm[vm].m->asid;
}

static int init_user(unsigned vm, bool es, const char *id, uint32_t len)
{
	struct csv_abi_init a = { (uintptr_t)id, len };

	return rig_issue(vm, es ? KVM_SEV_ES_INIT : KVM_SEV_INIT, &a);
}

/* [csv-abi] 1.7 */
static void test_user_id(void **state)
{
	const uint32_t reuse = CSV_POLICY_REUSE_ASID;
	struct psp_abi_guest_status st;
	unsigned es, i;

	(void)state;
	for (es = 0; es < 2; es++) {
		uint32_t policy = reuse | (es ? CSV_POLICY_ES : 0);

		(void)rig_teardown(NULL);
		rig_vm_new(0, NULL, PSP_HYGON);
		for (i = 1; i < 4; i++)
			rig_vm_new(i, rig.vm[0].m, PSP_HYGON);
		assert_int_equal(init_user(0, es, "tenant-1", 8), 0);
		assert_int_equal(init_user(1, es, "tenant-12", 9), 0);
		assert_int_equal(init_user(2, es, "tenant-1 ", 8), 0);
		assert_int_equal(init_user(3, es, "", 0), 0);
		for (i = 0; i < 4; i++)
			assert_int_equal(rig_start(i, policy), 0);
		assert_true(asid_of(0) && asid_of(1) && asid_of(3));
		assert_int_equal(asid_of(0), asid_of(2));
		assert_true(asid_of(0) != asid_of(1));
		assert_true(asid_of(0) != asid_of(3) && asid_of(1) != asid_of(3));
		/* The firmware has it so, too. */
		st = (struct psp_abi_guest_status){ .handle = rig.vm[2].m->handle };
		assert_int_equal(psp_command(csv_model_psp(rig.vm[0].m),
					     PSP_CMD_GUEST_STATUS, &st,
					     sizeof(st)),
				 0);
		assert_int_equal(st.asid, asid_of(0));
		/* The first one ends: the other runs on, and a third joins. */
		assert_int_equal(rig_measure(2), 0);
		assert_int_equal(rig_issue(2, KVM_SEV_LAUNCH_FINISH, NULL), 0);
		i = asid_of(0);
		close_vm(0);
		assert_true(psp_asid_may_run(csv_model_psp(rig.vm[0].m), i));
		assert_int_equal(init_user(0, es, "tenant-1", 8), 0);
		assert_int_equal(rig_start(0, policy), 0);
		assert_int_equal(asid_of(0), i);
		close_vm(0);
		close_vm(2);
		assert_false(psp_asid_may_run(csv_model_psp(rig.vm[0].m), i));
		assert_int_equal(rig_guests(0), 2);
	}
}

static void test_user_id_bad(void **state)
{
	const uint32_t reuse = CSV_POLICY_REUSE_ASID;
	unsigned i;

	(void)state;
	rig_vm_new(0, NULL, PSP_HYGON);
	for (i = 1; i < 4; i++)
		rig_vm_new(i, rig.vm[0].m, PSP_HYGON);
	assert_int_equal(init_user(0, false, "123456789012345678901", 21),
			 -EINVAL);
	assert_int_equal(init_user(0, false, "a", ~0u), -EINVAL);
	assert_int_equal(init_user(0, false, NULL, 5), 0);
	assert_int_equal(rig.vm[0].m->user_id[0], 0);
	assert_int_equal(init_user(1, false, "12345678901234567890", 20), 0);
	assert_int_equal(init_user(2, false, "12345678901234567890", 20), 0);
	assert_int_equal(init_user(3, true, "12345678901234567890", 20), 0);
	assert_int_equal(rig_start(1, reuse), 0);
	/* Its owner does not allow it; nothing stays of the try. */
	assert_fw(rig_start(2, 0), PSP_RET_ASID_OWNED);
	assert_int_equal(rig_guests(0), 1);
	assert_int_equal(rig_start(2, reuse), 0);
	assert_int_equal(asid_of(1), asid_of(2));
	/* Another kind of guest, another ASID. */
	assert_int_equal(rig_start(3, reuse | CSV_POLICY_ES), 0);
	assert_true(asid_of(3) != asid_of(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_two, rig_teardown),
		cmocka_unit_test_teardown(test_init_late, rig_teardown),
		cmocka_unit_test_teardown(test_null, rig_teardown),
		cmocka_unit_test_teardown(test_states, rig_teardown),
		cmocka_unit_test_teardown(test_status, rig_teardown),
		cmocka_unit_test_teardown(test_dbg, rig_teardown),
		cmocka_unit_test_teardown(test_report, rig_teardown),
		cmocka_unit_test_teardown(test_secret, rig_teardown),
		cmocka_unit_test_teardown(test_close, rig_teardown),
		cmocka_unit_test_teardown(test_start_fails, rig_teardown),
		cmocka_unit_test_teardown(test_no_asid, rig_teardown),
		cmocka_unit_test_teardown(test_vmsa_fails, rig_teardown),
		cmocka_unit_test_teardown(test_regions, rig_teardown),
		cmocka_unit_test_teardown(test_user_id, rig_teardown),
		cmocka_unit_test_teardown(test_user_id_bad, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
