/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two platforms hand a guest over, memory and registers, through the seam of
 * the backend: command by command, and by KVM_CSV_COMMAND_BATCH. Numbers are
 * typed from [csv-abi] 1.1, 1.2, 2.2, 2.3, 3 and 4.1.
 */
#include "tests/unit/csv_model_rig.h"

#include "core/csv.h"
#include "psp/crypto.h"
#include "vmm/csv_model_internal.h"

#define A	  0
#define B	  1
#define BATCH	  24 /* KVM_CSV_COMMAND_BATCH */
#define PAGE	  4096u
#define LIST_MAX  4095
#define BAD_STATE 2
#define BAD_LEN	  4
#define BAD_MAC	  0x0b

static const enum psp_profile amd = PSP_AMD, hygon = PSP_HYGON;

#define BOTH(f)                                                                  \
	{ #f " (amd)", f, setup, rig_teardown, (void *)(uintptr_t)&amd },        \
	{                                                                        \
#f " (hygon)", f, setup, rig_teardown, (void *)(uintptr_t)&hygon \
	}

static enum psp_profile profile;
static uint8_t pdh[2084], chain[6252], root[PSP_ROOT_CHAIN_MAX];
static size_t root_len;
static uint8_t session[128];

/* A packet of each page, as a VMM keeps them. */
static uint8_t hdr[LIST_MAX][52], trans[LIST_MAX][PAGE];

/* --- through the seam ------------------------------------------------------------ */

static void certs_of(unsigned vm)
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
	assert_int_equal(psp_root_chain(psp_suite(profile), root, sizeof(root),
					&root_len),
			 0);
}

static struct kvm_sev_send_start send_start_arg(void)
{
	return (struct kvm_sev_send_start){
		.pdh_cert_uaddr = (uintptr_t)pdh,
		.pdh_cert_len = sizeof(pdh),
		.plat_certs_uaddr = (uintptr_t)chain,
		.plat_certs_len = sizeof(chain),
		.amd_certs_uaddr = (uintptr_t)root,
		.amd_certs_len = (uint32_t)root_len,
		.session_uaddr = (uintptr_t)session,
		.session_len = sizeof(session),
	};
}

static struct kvm_sev_receive_start receive_start_arg(uint32_t policy)
{
	return (struct kvm_sev_receive_start){
		.policy = policy,
		.pdh_uaddr = (uintptr_t)pdh,
		.pdh_len = sizeof(pdh),
		.session_uaddr = (uintptr_t)session,
		.session_len = sizeof(session),
	};
}

static uint64_t ram(unsigned vm, unsigned page)
{
	return (uintptr_t)rig.vm[vm].ram + (uint64_t)page * PAGE;
}

/* Page @page of @vm and packet @i. */
static struct kvm_sev_send_update_data data_arg(unsigned vm, unsigned page,
						unsigned i)
{
	return (struct kvm_sev_send_update_data){
		.hdr_uaddr = (uintptr_t)hdr[i],
		.hdr_len = sizeof(hdr[i]),
		.guest_uaddr = ram(vm, page),
		.guest_len = PAGE,
		.trans_uaddr = (uintptr_t)trans[i],
		.trans_len = PAGE,
	};
}

static int data(unsigned vm, uint32_t cmd, unsigned page)
{
	struct kvm_sev_send_update_data d = data_arg(vm, page, 0);

	return rig_issue(vm, cmd, &d);
}

static int vmsa(unsigned vm, uint32_t cmd, uint32_t id)
{
	struct csv_abi_vmsa v = { id, (uintptr_t)hdr[0], 52,
				  (uintptr_t)trans[0], PAGE };

	return rig_issue(vm, cmd, &v);
}

/* --- lists ------------------------------------------------------------------------ */

static struct csv_abi_node node[LIST_MAX];
static struct kvm_sev_send_update_data node_data[LIST_MAX];

/* Pages 0 .. @n - 1 of @vm, as @cmd. */
static struct csv_abi_batch list(unsigned vm, uint32_t cmd, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		node_data[i] = data_arg(vm, i % RIG_PAGES, i);
		node[i] = (struct csv_abi_node){
			.cmd_data_addr = (uintptr_t)&node_data[i],
			.addr = 0xdeadbeef, /* the VMM's own */
			.next_cmd_addr = i + 1 < n ? (uintptr_t)&node[i + 1] : 0,
		};
	}
	return (struct csv_abi_batch){ cmd, n ? (uintptr_t)node : 0 };
}

static int batch(unsigned vm, uint32_t cmd, unsigned n)
{
	struct csv_abi_batch b = list(vm, cmd, n);

	return rig_issue(vm, BATCH, &b);
}

/* --- guests ------------------------------------------------------------------------ */

static void fill(void)
{
	unsigned i;

	for (i = 0; i < RIG_PAGES; i++)
		memset(rig.vm[A].ram + (size_t)i * PAGE, (int)(i % 251 + 1),
		       PAGE);
	for (i = 0; i < 65536; i++)
		rig.vm[A].ram[i] = (uint8_t)(i * 13 + (i >> 8));
}

static int setup(void **state)
{
	profile = *(const enum psp_profile *)*state;
	memset(hdr, 0, sizeof(hdr));
	memset(trans, 0, sizeof(trans));
	rig_vm_new(A, NULL, profile);
	rig_vm_new(B, NULL, profile);
	return 0;
}

/* Both sides started: A sends, B receives. */
static void start(uint32_t policy)
{
	struct kvm_sev_receive_start r = receive_start_arg(policy);
	struct kvm_sev_send_start s;

	rig_vm_init(A, policy & CSV_POLICY_ES);
	rig_vm_init(B, policy & CSV_POLICY_ES);
	memset(rig.vm[B].vcpu, 0, sizeof(rig.vm[B].vcpu));
	fill();
	rig_run(A, policy);
	certs_of(B);
	s = send_start_arg();
	assert_int_equal(rig_issue(A, KVM_SEV_SEND_START, &s), 0);
	assert_int_equal(s.policy, policy);
	assert_int_equal(s.session_len, 128);
	certs_of(A);
	assert_int_equal(rig_issue(B, KVM_SEV_RECEIVE_START, &r), 0);
	assert_true(r.handle > 0);
}

static void finish(void)
{
	assert_int_equal(rig_issue(A, KVM_SEV_SEND_FINISH, NULL), 0);
	assert_int_equal(rig_issue(B, KVM_SEV_RECEIVE_FINISH, NULL), 0);
	assert_int_equal(rig_state(A), 6);
	assert_int_equal(rig_state(B), 3);
}

static void assert_pages(unsigned n)
{
	assert_memory_equal(rig.vm[A].ram, rig.vm[B].ram, (size_t)n * PAGE);
}

static bool blank(unsigned page)
{
	static const uint8_t zero[PAGE];

	return !memcmp(rig.vm[B].ram + (size_t)page * PAGE, zero, PAGE);
}

static void assert_registers(void)
{
	unsigned i;

	for (i = 0; i < RIG_VCPUS; i++) {
		struct rig_vcpu *a = &rig.vm[A].vcpu[i], *b = &rig.vm[B].vcpu[i];

		assert_memory_equal(&a->regs, &b->regs, sizeof(a->regs));
		assert_memory_equal(&a->sregs.gdt, &b->sregs.gdt, 10);
		assert_memory_equal(&a->sregs.idt, &b->sregs.idt, 10);
		assert_memory_equal(&a->sregs.cs, &b->sregs.cs,
				    8 * sizeof(struct kvm_segment));
		assert_true(a->sregs.cr0 == b->sregs.cr0);
		assert_true(a->sregs.cr2 == b->sregs.cr2);
		assert_true(a->sregs.cr3 == b->sregs.cr3);
		assert_true(a->sregs.cr4 == b->sregs.cr4);
		assert_true(a->sregs.efer == b->sregs.efer);
		assert_memory_equal(&a->debug.db, &b->debug.db, 48);
		assert_true(a->xcr0 == b->xcr0);
		assert_memory_equal(a->msr, b->msr, sizeof(a->msr));
	}
}

/* --- tests -------------------------------------------------------------------------- */

static void test_single(void **state)
{
	struct kvm_sev_send_update_data d;
	unsigned i;

	(void)state;
	start(CSV_POLICY_ES);
	/* It runs on with registers of its own, after the measured ones. */
	for (i = 0; i < RIG_VCPUS; i++)
		rig_registers(&rig.vm[A].vcpu[i], 40 + i);
	for (i = 0; i < 16; i++) {
		assert_int_equal(data(A, KVM_SEV_SEND_UPDATE_DATA, i), 0);
		assert_memory_not_equal(trans[0], rig.vm[A].ram + i * PAGE, PAGE);
		assert_int_equal(data(B, KVM_SEV_RECEIVE_UPDATE_DATA, i), 0);
	}
	/* At the edges of a page. */
	for (i = 0; i < 2; i++) {
		d = data_arg(A, 16, 0);
		d.guest_uaddr += i ? 16 : PAGE - 16;
		d.guest_len = d.trans_len = i ? PAGE - 32 : 16;
		assert_int_equal(rig_issue(A, KVM_SEV_SEND_UPDATE_DATA, &d), 0);
		d.guest_uaddr += ram(B, 0) - ram(A, 0);
		assert_int_equal(rig_issue(B, KVM_SEV_RECEIVE_UPDATE_DATA, &d),
				 0);
	}
	assert_pages(16);
	assert_memory_equal(rig.vm[A].ram + 16 * PAGE + 16,
			    rig.vm[B].ram + 16 * PAGE + 16, PAGE - 16);
	assert_int_equal(rig.vm[B].ram[16 * PAGE + 15], 0);
	for (i = 0; i < RIG_VCPUS; i++) {
		assert_int_equal(vmsa(A, KVM_SEV_SEND_UPDATE_VMSA, i), 0);
		assert_int_equal(vmsa(B, KVM_SEV_RECEIVE_UPDATE_VMSA, i), 0);
	}
	assert_registers();
	/* What is KVM's own stays as it is. */
	assert_true(rig.vm[B].vcpu[0].sregs.apic_base == 0);
	finish();
	assert_true(psp_asid_may_run(csv_model_psp(rig.vm[B].m),
				     rig.vm[B].m->asid));
}

/* What the page holds, at the places of [sev-es-emulation] B.9. */
static void test_vmsa_page(void **state)
{
	const struct rig_vcpu *v = &rig.vm[A].vcpu[1];
	const uint8_t *page;
	uint64_t got;
	unsigned i;

	(void)state;
	start(CSV_POLICY_ES);
	rig_registers(&rig.vm[A].vcpu[1], 99);
	assert_int_equal(vmsa(A, KVM_SEV_SEND_UPDATE_VMSA, 1), 0);
	page = rig.vm[A].m->vcpu[1].vmsa;
	const struct {
		unsigned off;
		uint64_t want;
	} at[] = {
		{ 0x140, v->msr[9] },
		{ 0x148, v->sregs.cr4 },
		{ 0x150, v->sregs.cr3 },
		{ 0x158, v->sregs.cr0 },
		{ 0x160, v->debug.dr7 },
		{ 0x168, v->debug.dr6 },
		{ 0x170, v->regs.rflags },
		{ 0x178, v->regs.rip },
		{ 0x180, v->debug.db[0] },
		{ 0x198, v->debug.db[3] },
		{ 0x1d8, v->regs.rsp },
		{ 0x1f8, v->regs.rax },
		{ 0x200, v->msr[0] },
		{ 0x208, v->msr[1] },
		{ 0x210, v->msr[2] },
		{ 0x218, v->msr[3] },
		{ 0x220, v->msr[4] },
		{ 0x228, v->msr[5] },
		{ 0x230, v->msr[6] },
		{ 0x238, v->msr[7] },
		{ 0x240, v->sregs.cr2 },
		{ 0x268, v->msr[8] },
		{ 0x2e8, v->msr[10] << 32 },
		{ 0x308, v->regs.rcx },
		{ 0x378, v->regs.r15 },
		{ 0x3e8, v->xcr0 },
		{ 0x0d0, v->sregs.efer | 1 << 12 },
	};
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		memcpy(&got, page + at[i].off, 8);
		if (got != at[i].want)
			fail_msg("at %#x: %#llx", at[i].off,
				 (unsigned long long)got);
	}
}

/* KVM without XSAVE, RDTSCP and XSS; then one that can't have a register. */
static void test_vmsa_host(void **state)
{
	unsigned i;

	(void)state;
	start(CSV_POLICY_ES);
	rig.no_msr = 9; /* XSS and TSC_AUX are unknown */
	for (i = 0; i < RIG_VCPUS; i++)
		rig.vm[A].vcpu[i].msr[9] = rig.vm[A].vcpu[i].msr[10] = 0;
	for (i = 0; i < RIG_VCPUS; i++) {
		assert_int_equal(vmsa(A, KVM_SEV_SEND_UPDATE_VMSA, i), 0);
		assert_int_equal(vmsa(B, KVM_SEV_RECEIVE_UPDATE_VMSA, i), 0);
	}
	assert_registers();
	assert_int_equal(vmsa(A, KVM_SEV_SEND_UPDATE_VMSA, 0), 0);
	rig.no_msr = 4;
	assert_int_equal(vmsa(B, KVM_SEV_RECEIVE_UPDATE_VMSA, 0), -EINVAL);
	rig.no_msr = RIG_MSRS;
	static const unsigned long reqs[] = { KVM_GET_REGS, KVM_GET_SREGS,
					      KVM_SET_SREGS, KVM_SET_REGS,
					      KVM_SET_DEBUGREGS };
	for (i = 0; i < ARRAY_SIZE(reqs); i++) {
		assert_int_equal(vmsa(A, KVM_SEV_SEND_UPDATE_VMSA, 0), 0);
		rig.fail = reqs[i];
		assert_int_equal(vmsa(B, KVM_SEV_RECEIVE_UPDATE_VMSA, 0),
				 -EINVAL);
		assert_int_equal(rig_fw, 0);
		rig.fail = 0;
	}
	rig.fail = KVM_GET_DEBUGREGS;
	assert_int_equal(vmsa(A, KVM_SEV_SEND_UPDATE_VMSA, 0), -EINVAL);
}

static void test_batch(void **state)
{
	static const unsigned sizes[] = { 1, 2, 2047, 2048, 4093, 4094 };
	const struct psp_stats *st;
	uint64_t before[3];
	unsigned i, n;

	(void)state;
	start(0);
	st = psp_stats(csv_model_psp(rig.vm[A].m));
	assert_int_equal(batch(A, KVM_SEV_SEND_UPDATE_DATA, 0), 0);
	assert_int_equal(batch(B, KVM_SEV_RECEIVE_UPDATE_DATA, 0), 0);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		n = sizes[i];
		memset(rig.vm[B].ram, 0, RIG_PAGES * PAGE);
		before[0] = st->doorbells;
		before[1] = st->interrupts;
		before[2] = st->ring_commands;
		assert_int_equal(batch(A, KVM_SEV_SEND_UPDATE_DATA, n), 0);
		/* [csv-abi] 8: RING_BUFFER, the ring, PLATFORM_STATUS. */
		assert_int_equal(st->doorbells - before[0], 1);
		assert_int_equal(st->interrupts - before[1], 3);
		assert_int_equal(st->ring_commands - before[2], n);
		assert_int_equal(batch(B, KVM_SEV_RECEIVE_UPDATE_DATA, n), 0);
		assert_pages(n);
		assert_true(blank(n));
		assert_false(psp_in_ring_mode(csv_model_psp(rig.vm[A].m)));
	}
	/* One more than both rings hold; one that bites its tail. */
	memset(rig.vm[B].ram, 0, RIG_PAGES * PAGE);
	memset(hdr, 0, sizeof(hdr));
	before[2] = st->ring_commands;
	assert_int_equal(batch(A, KVM_SEV_SEND_UPDATE_DATA, 4095), -EINVAL);
	assert_int_equal(rig_fw, 0);
	struct csv_abi_batch b = list(A, KVM_SEV_SEND_UPDATE_DATA, 5);
	node[4].next_cmd_addr = (uintptr_t)&node[1];
	assert_int_equal(rig_issue(A, BATCH, &b), -EINVAL);
	node[0].next_cmd_addr = (uintptr_t)&node[0];
	assert_int_equal(rig_issue(A, BATCH, &b), -EINVAL);
	assert_true(st->ring_commands == before[2]);
	assert_int_equal(hdr[0][5] | hdr[1][5] | hdr[2][5] | hdr[3][5], 0);
	/* Any other command. */
	b = list(A, KVM_SEV_SEND_UPDATE_VMSA, 1);
	assert_int_equal(rig_issue(A, BATCH, &b), -EINVAL);
	b.list_uaddr = 0;
	assert_int_equal(rig_issue(A, BATCH, &b), 0);
	finish();
}

/* One wrong field, first by itself, then as number @i of a batch. */
static void refused(const struct kvm_sev_send_update_data *bad, bool recv,
		    int r, unsigned i)
{
	uint32_t cmd = recv ? KVM_SEV_RECEIVE_UPDATE_DATA
			    : KVM_SEV_SEND_UPDATE_DATA;
	struct kvm_sev_send_update_data d = *bad;
	struct csv_abi_batch b = list(recv ? B : A, cmd, i + 2);
	unsigned vm = recv ? B : A;

	if (r)
		assert_int_equal(rig_issue(vm, cmd, &d), r);
	node_data[i] = *bad;
	assert_int_equal(rig_issue(vm, BATCH, &b), -EFAULT);
	assert_int_equal(rig_fw, 0);
}

static void test_bad(void **state)
{
	uint8_t zero[52] = { 0 };
	unsigned recv, i;

	(void)state;
	start(0);
	memset(hdr, 0, sizeof(hdr));
	for (recv = 0; recv < 2; recv++) {
		const struct kvm_sev_send_update_data ok =
			data_arg(recv ? B : A, 3, 3);
		struct kvm_sev_send_update_data d;

#define BAD(field, value, r)                                \
	do {                                                \
		d = ok;                                     \
		d.field = (value);                          \
		for (i = 0; i < 2; i++)                     \
			refused(&d, recv, r, i ? 2050 : 3); \
	} while (0)
		BAD(hdr_uaddr, 0, -EINVAL);
		BAD(trans_uaddr, 0, -EINVAL);
		BAD(guest_uaddr, 0, -EINVAL);
		BAD(guest_len, 0, -EINVAL);
		BAD(guest_len, 4097, -EINVAL);
		BAD(guest_len, ~0u, -EINVAL);
		BAD(guest_uaddr, ok.guest_uaddr + 1, -EINVAL);
		BAD(guest_uaddr, ok.guest_uaddr + 4095, -EINVAL);
		BAD(guest_uaddr, (uintptr_t)trans[9] & ~4095ULL, -EFAULT);
		BAD(guest_uaddr, ram(recv ? B : A, RIG_PAGES), -EFAULT);
		BAD(hdr_len, 16385, -EINVAL);
		BAD(hdr_len, ~0u, -EINVAL);
		BAD(trans_len, 16385, -EINVAL);
		BAD(trans_len, ~0u, -EINVAL);
		/* By itself, these two ask for sizes when sending. */
		BAD(hdr_len, 0, recv ? -EINVAL : 0);
		BAD(trans_len, 0, recv ? -EINVAL : 0);
		/* In a batch: one page, which the vendors forget. */
		BAD(trans_len, 4097, 0);
		BAD(trans_len, 16384, 0);
		/* A list with holes. */
		struct csv_abi_batch b = list(recv ? B : A, recv ? 13 : 9, 5);

		node[2].cmd_data_addr = 0;
		assert_int_equal(rig_issue(recv ? B : A, BATCH, &b), -EFAULT);
	}
	/* Nothing came out of any of these, and nothing in. */
	for (i = 0; i < LIST_MAX; i++)
		assert_memory_equal(hdr[i], zero, 52);
	for (i = 0; i < RIG_PAGES; i++)
		assert_true(blank(i));
	assert_int_equal(data(A, KVM_SEV_SEND_UPDATE_DATA, 3), 0);
	assert_int_equal(data(B, KVM_SEV_RECEIVE_UPDATE_DATA, 3), 0);
}

/* Sizes: the firmware's 4, and the lengths filled in. */
static void test_queries(void **state)
{
	struct kvm_sev_send_update_data d = { .guest_len = 0 };
	struct kvm_sev_send_start s = { 0 };
	struct csv_abi_vmsa v = { 0 };
	unsigned i;

	(void)state;
	rig_vm_init(A, true);
	rig_run(A, CSV_POLICY_ES);
	assert_fw(rig_issue(A, KVM_SEV_SEND_START, &s), BAD_LEN);
	assert_int_equal(s.session_len, 128);
	assert_int_equal(rig_state(A), 3);
	certs_of(A);
	s = send_start_arg();
	s.session_len = 127;
	assert_fw(rig_issue(A, KVM_SEV_SEND_START, &s), BAD_LEN);
	assert_int_equal(s.session_len, 128);
	/* Longer than needed: the rest is zero, as KVM's buffer is. */
	static uint8_t longer[200];
	memset(longer, 0xaa, sizeof(longer));
	s = send_start_arg();
	s.session_uaddr = (uintptr_t)longer;
	s.session_len = 199;
	assert_int_equal(rig_issue(A, KVM_SEV_SEND_START, &s), 0);
	assert_int_equal(s.session_len, 128);
	for (i = 128; i < 199; i++)
		assert_int_equal(longer[i], 0);
	assert_int_equal(longer[199], 0xaa);
	for (i = 0; i < 3; i++) {
		d = data_arg(A, 0, 0);
		v = (struct csv_abi_vmsa){ 0, 1, 52, 1, PAGE };
		if (i != 1)
			d.hdr_len = v.hdr_len = 0;
		if (i != 2)
			d.trans_len = v.trans_len = 0;
		assert_fw(rig_issue(A, KVM_SEV_SEND_UPDATE_DATA, &d), BAD_LEN);
		assert_true(d.hdr_len == 52 && d.trans_len == PAGE);
		assert_fw(rig_issue(A, KVM_SEV_SEND_UPDATE_VMSA, &v), BAD_LEN);
		assert_true(v.hdr_len == 52 && v.trans_len == PAGE);
	}
	/* Too small for the firmware: nothing is written, nothing is told. */
	d = data_arg(A, 0, 0);
	d.trans_len = PAGE - 1;
	assert_fw(rig_issue(A, KVM_SEV_SEND_UPDATE_DATA, &d), BAD_LEN);
	assert_int_equal(d.trans_len, PAGE - 1);
	d = data_arg(A, 0, 0);
	d.hdr_len = 51;
	assert_fw(rig_issue(A, KVM_SEV_SEND_UPDATE_DATA, &d), BAD_LEN);
	d = data_arg(A, 0, 0);
	d.guest_len = 8;
	assert_fw(rig_issue(A, KVM_SEV_SEND_UPDATE_DATA, &d), BAD_LEN);
	assert_int_equal(hdr[0][5] | trans[0][0], 0);
}

static void test_start_bad(void **state)
{
	struct kvm_sev_receive_start r;
	struct kvm_sev_send_start s;
	unsigned n;

	(void)state;
	rig_vm_init(A, false);
	rig_vm_init(B, false);
	rig_run(A, CSV_POLICY_NOSEND);
	certs_of(B);
	s = send_start_arg();
	assert_fw(rig_issue(A, KVM_SEV_SEND_START, &s), 7);
	csv_model_hold(rig.vm[A].m);
	csv_model_backend.close(rig.vm[A].m);
	rig_vm_init(A, false);
	rig_run(A, 0);
#define SEND_BAD(field, value)                                                   \
	do {                                                                     \
		s = send_start_arg();                                            \
		s.field = (value);                                               \
		assert_int_equal(rig_issue(A, KVM_SEV_SEND_START, &s), -EINVAL); \
		assert_int_equal(rig_state(A), 3);                               \
	} while (0)
	SEND_BAD(pdh_cert_uaddr, 0);
	SEND_BAD(pdh_cert_len, 0);
	SEND_BAD(pdh_cert_len, 16385);
	SEND_BAD(plat_certs_uaddr, 0);
	SEND_BAD(plat_certs_len, 0);
	SEND_BAD(amd_certs_uaddr, 0);
	SEND_BAD(amd_certs_len, 0);
	SEND_BAD(amd_certs_len, ~0u);
	SEND_BAD(session_uaddr, 0);
	SEND_BAD(session_len, 16385);
	chain[30] ^= 1;
	s = send_start_arg();
	memset(session, 0, sizeof(session));
	assert_int_equal(rig_issue(A, KVM_SEV_SEND_START, &s), -EIO);
	assert_int_equal(session[0] | session[127], 0);
	chain[30] ^= 1;
	s = send_start_arg();
	assert_int_equal(rig_issue(A, KVM_SEV_SEND_START, &s), 0);
	assert_fw(rig_issue(A, KVM_SEV_SEND_START, &s), BAD_STATE);
	certs_of(A);
#define RECEIVE_BAD(field, value)                                         \
	do {                                                              \
		r = receive_start_arg(0);                                 \
		r.field = (value);                                        \
		assert_int_equal(rig_issue(B, KVM_SEV_RECEIVE_START, &r), \
				 -EINVAL);                                \
	} while (0)
	RECEIVE_BAD(pdh_uaddr, 0);
	RECEIVE_BAD(pdh_len, 0);
	RECEIVE_BAD(pdh_len, 16385);
	RECEIVE_BAD(session_uaddr, 0);
	RECEIVE_BAD(session_len, 0);
	RECEIVE_BAD(session_len, ~0u);
	session[40] ^= 0x10;
	r = receive_start_arg(0);
	assert_fw(rig_issue(B, KVM_SEV_RECEIVE_START, &r), BAD_MAC);
	session[40] ^= 0x10;
	r = receive_start_arg(1);
	assert_fw(rig_issue(B, KVM_SEV_RECEIVE_START, &r), BAD_MAC);
	/* RECEIVE_START or ACTIVATE fails: no guest is left over there. */
	for (n = 1; n <= 2; n++) {
		r = receive_start_arg(0);
		psp_fault_command(csv_model_psp(rig.vm[B].m), n,
				  PSP_RET_HWERROR_PLATFORM);
		assert_fw(rig_issue(B, KVM_SEV_RECEIVE_START, &r),
			  PSP_RET_HWERROR_PLATFORM);
		assert_int_equal(r.handle, 0);
		assert_int_equal(rig_guests(B), 0);
	}
	r = receive_start_arg(0);
	assert_int_equal(rig_issue(B, KVM_SEV_RECEIVE_START, &r), 0);
	assert_int_equal(rig_issue(B, KVM_SEV_RECEIVE_START, &r), -EINVAL);
	assert_int_equal(rig_guests(B), 1);
}

static void test_vmsa_bad(void **state)
{
	struct csv_abi_vmsa v;
	unsigned recv;

	(void)state;
	start(CSV_POLICY_ES);
	for (recv = 0; recv < 2; recv++) {
		uint32_t cmd = recv ? 14 : 10;

		assert_int_equal(vmsa(recv, cmd, RIG_VCPUS), -EINVAL);
		assert_int_equal(vmsa(recv, cmd, ~0u), -EINVAL);
#define VMSA_BAD(field, value)                                          \
	do {                                                            \
		v = (struct csv_abi_vmsa){ 0, (uintptr_t)hdr[0], 52,    \
					   (uintptr_t)trans[0], PAGE }; \
		v.field = (value);                                      \
		assert_int_equal(rig_issue(recv, cmd, &v), -EINVAL);    \
	} while (0)
		VMSA_BAD(hdr_uaddr, 0);
		VMSA_BAD(trans_uaddr, 0);
		VMSA_BAD(hdr_len, 16385);
		VMSA_BAD(trans_len, 16385);
		VMSA_BAD(trans_len, ~0u);
		if (recv) {
			VMSA_BAD(hdr_len, 0);
			VMSA_BAD(trans_len, 0);
		}
	}
	/* Data is no VMSA; a changed one changes nothing. */
	assert_int_equal(data(A, KVM_SEV_SEND_UPDATE_DATA, 0), 0);
	assert_fw(vmsa(B, KVM_SEV_RECEIVE_UPDATE_VMSA, 0), BAD_MAC);
	assert_int_equal(vmsa(A, KVM_SEV_SEND_UPDATE_VMSA, 0), 0);
	trans[0][100] ^= 1;
	assert_fw(vmsa(B, KVM_SEV_RECEIVE_UPDATE_VMSA, 0), BAD_MAC);
	assert_true(rig.vm[B].vcpu[0].regs.rip == 0);
	assert_null(rig.vm[B].m->vcpu[0].vmsa);
	trans[0][100] ^= 1;
	assert_int_equal(vmsa(B, KVM_SEV_RECEIVE_UPDATE_VMSA, 0), 0);
}

static void test_not_es(void **state)
{
	(void)state;
	start(0);
	assert_int_equal(vmsa(A, KVM_SEV_SEND_UPDATE_VMSA, 0), -ENOTTY);
	assert_int_equal(vmsa(B, KVM_SEV_RECEIVE_UPDATE_VMSA, 0), -ENOTTY);
}

/* A batch stops at the element that fails, whose status is told; a bit of any
 * part of a packet is enough. */
static void test_batch_fails(void **state)
{
	static const unsigned at[] = { 0, 1, 2046, 2047, 2048, 2999 };
	const unsigned n = 3000;
	uint8_t *bit;
	unsigned i;

	(void)state;
	start(0);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		memset(rig.vm[B].ram, 0, RIG_PAGES * PAGE);
		assert_int_equal(batch(A, KVM_SEV_SEND_UPDATE_DATA, n), 0);
		bit = i % 2 ? &trans[at[i]][i * 700] : &hdr[at[i]][i * 10];
		*bit ^= 1u << i;
		assert_fw(batch(B, KVM_SEV_RECEIVE_UPDATE_DATA, n), BAD_MAC);
		if (at[i])
			assert_pages(at[i]);
		assert_true(blank(at[i]) && blank(at[i] + 1));
		*bit ^= 1u << i;
		/* Those before it are in: the firmware takes none twice. */
		if (at[i])
			assert_fw(batch(B, KVM_SEV_RECEIVE_UPDATE_DATA, n),
				  BAD_MAC);
		/* One that is too small for the firmware, not for KVM. */
		struct csv_abi_batch b = list(A, KVM_SEV_SEND_UPDATE_DATA, n);

		memset(hdr, 0, sizeof(hdr));
		node_data[at[i]].hdr_len = 51;
		assert_fw(rig_issue(A, BATCH, &b), BAD_LEN);
		assert_int_equal(hdr[0][5] | hdr[1][5] | hdr[2][5], 0);
	}
	/* Hooks: any element, a lost interrupt, no ring mode at all. */
	psp_fault_ring_pause(csv_model_psp(rig.vm[A].m), 2500,
			     PSP_RET_RESOURCE_LIMIT);
	assert_fw(batch(A, KVM_SEV_SEND_UPDATE_DATA, n), PSP_RET_RESOURCE_LIMIT);
	psp_fault_lose_interrupt(csv_model_psp(rig.vm[A].m));
	assert_int_equal(batch(A, KVM_SEV_SEND_UPDATE_DATA, 3), -ETIMEDOUT);
	psp_fault_command(csv_model_psp(rig.vm[A].m), 1, PSP_RET_UNSUPPORTED);
	assert_fw(batch(A, KVM_SEV_SEND_UPDATE_DATA, 3), PSP_RET_UNSUPPORTED);
	assert_int_equal(batch(A, KVM_SEV_SEND_UPDATE_DATA, 3), 0);
	assert_int_equal(batch(B, KVM_SEV_RECEIVE_UPDATE_DATA, 3), 0);
	assert_pages(3);
}

/* The header may have more room than it needs. */
static void test_batch_room(void **state)
{
	static uint8_t wide[3][400];
	struct csv_abi_batch b;
	unsigned i;

	(void)state;
	start(0);
	b = list(A, KVM_SEV_SEND_UPDATE_DATA, 3);
	memset(wide, 0xaa, sizeof(wide));
	for (i = 0; i < 3; i++) {
		node_data[i].hdr_uaddr = (uintptr_t)wide[i];
		node_data[i].hdr_len = 100 * (i + 1);
		node_data[i].guest_len = 64;
	}
	assert_int_equal(rig_issue(A, BATCH, &b), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(wide[i][52], 0);
		assert_int_equal(wide[i][100 * (i + 1) - 1], 0);
		assert_int_equal(wide[i][100 * (i + 1)], 0xaa);
		memcpy(hdr[i], wide[i], 52);
	}
	b = list(B, KVM_SEV_RECEIVE_UPDATE_DATA, 3);
	for (i = 0; i < 3; i++)
		node_data[i].guest_len = node_data[i].trans_len = 64;
	assert_int_equal(rig_issue(B, BATCH, &b), 0);
	for (i = 0; i < 3; i++)
		assert_memory_equal(rig.vm[A].ram + i * PAGE,
				    rig.vm[B].ram + i * PAGE, 64);
}

static void test_states(void **state)
{
	(void)state;
	rig_vm_init(A, true);
	rig_run(A, CSV_POLICY_ES);
	assert_fw(data(A, KVM_SEV_SEND_UPDATE_DATA, 0), BAD_STATE);
	assert_fw(batch(A, KVM_SEV_SEND_UPDATE_DATA, 3), BAD_STATE);
	assert_fw(batch(A, KVM_SEV_RECEIVE_UPDATE_DATA, 3), BAD_STATE);
	assert_fw(rig_issue(A, KVM_SEV_SEND_FINISH, NULL), BAD_STATE);
	assert_fw(rig_issue(A, KVM_SEV_SEND_CANCEL, NULL), BAD_STATE);
	assert_fw(rig_issue(A, KVM_SEV_RECEIVE_FINISH, NULL), BAD_STATE);
	/* Not a guest yet. */
	rig_vm_init(B, true);
	assert_fw(data(B, KVM_SEV_RECEIVE_UPDATE_DATA, 0), 1);
	assert_fw(batch(B, KVM_SEV_RECEIVE_UPDATE_DATA, 1), 1);
}

/* The source changes its mind; then another try, of which the first one's
 * packets are no part. */
static void test_cancel(void **state)
{
	struct kvm_sev_receive_start r = receive_start_arg(CSV_POLICY_ES);
	struct kvm_sev_send_start s;
	unsigned i;

	(void)state;
	start(CSV_POLICY_ES);
	assert_int_equal(batch(A, KVM_SEV_SEND_UPDATE_DATA, 20), 0);
	assert_int_equal(batch(B, KVM_SEV_RECEIVE_UPDATE_DATA, 10), 0);
	assert_int_equal(rig_issue(A, KVM_SEV_SEND_CANCEL, NULL), 0);
	assert_int_equal(rig_state(A), 3);
	assert_true(psp_asid_may_run(csv_model_psp(rig.vm[A].m),
				     rig.vm[A].m->asid));
	csv_model_hold(rig.vm[B].m);
	csv_model_backend.close(rig.vm[B].m);
	assert_int_equal(rig_guests(B), 0);
	rig_vm_init(B, true);
	memset(rig.vm[B].ram, 0, RIG_PAGES * PAGE);
	s = send_start_arg();
	assert_int_equal(rig_issue(A, KVM_SEV_SEND_START, &s), 0);
	assert_int_equal(rig_issue(B, KVM_SEV_RECEIVE_START, &r), 0);
	assert_fw(batch(B, KVM_SEV_RECEIVE_UPDATE_DATA, 20), BAD_MAC);
	assert_true(blank(0));
	assert_int_equal(batch(A, KVM_SEV_SEND_UPDATE_DATA, 4094), 0);
	assert_int_equal(batch(B, KVM_SEV_RECEIVE_UPDATE_DATA, 4094), 0);
	for (i = 0; i < RIG_VCPUS; i++) {
		assert_int_equal(vmsa(A, KVM_SEV_SEND_UPDATE_VMSA, i), 0);
		assert_int_equal(vmsa(B, KVM_SEV_RECEIVE_UPDATE_VMSA, i), 0);
	}
	assert_pages(4094);
	assert_registers();
	finish();
}

/* The same in the VMM's own words, over the same backends. */
static void test_words(void **state)
{
	static struct csv_packet p[4094];
	struct csv_target target = { pdh,	  chain,	 root,
				     sizeof(pdh), sizeof(chain), 0 };
	uint32_t hdr_len, trans_len, len = 0, i;
	struct csv c[2];
	uint8_t m[48];

	(void)state;
	for (i = 0; i < 2; i++) {
		csv_model_hold(rig.vm[i].m);
		csv_open(&c[i], &csv_model_backend, rig.vm[i].m);
		assert_int_equal(csv_init(&c[i], true, NULL), 0);
		rig_registers(&rig.vm[i].vcpu[0], 7 * !i);
		assert_int_equal(csv_model_add_vcpu(rig.vm[i].m,
						    RIG_FD + (int)(i * RIG_VCPUS)),
				 0);
		assert_int_equal(csv_region(&c[i], rig.vm[i].ram,
					    RIG_PAGES * PAGE, true),
				 0);
	}
	fill();
	assert_int_equal(csv_launch_start(&c[A], 5, NULL, 0, NULL, 0), 0);
	assert_int_equal(csv_launch_update_data(&c[A], rig.vm[A].ram, 65536), 0);
	assert_int_equal(csv_launch_update_vmsa(&c[A]), 0);
	assert_int_equal(csv_launch_measure(&c[A], m), 0);
	assert_int_equal(csv_launch_finish(&c[A]), 0);
	certs_of(B);
	target.amd_len = (uint32_t)root_len;
	assert_int_equal(csv_send_start(&c[A], &target, NULL, &len), 0);
	assert_int_equal(len, 128);
	assert_int_equal(csv_send_start(&c[A], &target, session, &len), 0);
	certs_of(A);
	assert_int_equal(csv_receive_start(&c[B], 5, pdh, sizeof(pdh), session,
					   sizeof(session)),
			 0);
	assert_int_equal(csv_send_sizes(&c[A], &hdr_len, &trans_len), 0);
	assert_true(hdr_len == 52 && trans_len == PAGE);
	for (i = 0; i < 4094; i++)
		p[i] = (struct csv_packet){ hdr[i],   rig.vm[A].ram + i * PAGE,
					    trans[i], 52,
					    PAGE,     PAGE };
	assert_int_equal(csv_batch(&c[A], true, p, 4094), 0);
	for (i = 0; i < 4094; i++)
		p[i].guest = rig.vm[B].ram + i * PAGE;
	trans[4000][0] ^= 1;
	assert_int_equal(csv_batch(&c[B], false, p, 4094), -EIO);
	assert_int_equal(c[B].fw, BAD_MAC);
	assert_non_null(strstr(csv_error(&c[B]), "BAD_MEASUREMENT (0xb)"));
	trans[4000][0] ^= 1;
	assert_int_equal(csv_batch(&c[B], false, p + 4000, 94), 0);
	p[0] = (struct csv_packet){ hdr[0], NULL, trans[0], 52, 0, PAGE };
	assert_int_equal(csv_send_vmsa(&c[A], 0, &p[0]), 0);
	assert_int_equal(csv_receive_vmsa(&c[B], 0, &p[0]), 0);
	assert_int_equal(csv_send_finish(&c[A]), 0);
	assert_int_equal(csv_receive_finish(&c[B]), 0);
	assert_true(c[A].state == CSV_SENT && c[B].state == CSV_RUNNING);
	assert_pages(4094);
	assert_memory_equal(&rig.vm[A].vcpu[0].regs, &rig.vm[B].vcpu[0].regs,
			    sizeof(struct kvm_regs));
	for (i = 0; i < 2; i++) {
		csv_close(&c[i]);
		assert_int_equal(rig_guests(i), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_single),     BOTH(test_vmsa_page),
		BOTH(test_vmsa_host),  BOTH(test_batch),
		BOTH(test_bad),	       BOTH(test_queries),
		BOTH(test_start_bad),  BOTH(test_vmsa_bad),
		BOTH(test_not_es),     BOTH(test_batch_fails),
		BOTH(test_batch_room), BOTH(test_states),
		BOTH(test_cancel),     BOTH(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
