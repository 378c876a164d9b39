/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handing a guest from one platform to another ([csv-abi] 4). */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>

#include "core/csv.h"
#include "core/csv_abi.h"
#include "core/csv_internal.h"
#include "core/util.h"

CSV_ABI_SIZE(kvm_sev_send_start, 72);
CSV_ABI_SIZE(kvm_sev_receive_start, 40);
CSV_ABI_SIZE(kvm_sev_send_update_data, 48);
CSV_ABI_AT(kvm_sev_send_update_data, hdr_uaddr, 0);
CSV_ABI_AT(kvm_sev_send_update_data, guest_uaddr, 16);
CSV_ABI_AT(kvm_sev_send_update_data, trans_uaddr, 32);
CSV_ABI_SIZE(kvm_sev_receive_update_data, 48);
CSV_ABI_AT(kvm_sev_receive_update_data, hdr_uaddr, 0);
CSV_ABI_AT(kvm_sev_receive_update_data, guest_uaddr, 16);
CSV_ABI_AT(kvm_sev_receive_update_data, trans_uaddr, 32);

#define INIT	BIT(CSV_INIT)
#define RUNNING BIT(CSV_RUNNING)
#define SEND	BIT(CSV_SEND)
#define RECEIVE BIT(CSV_RECEIVE)

static const struct csv_rule send_start_rule = { .name = "SEND_START",
						 .states = RUNNING,
						 .send = true };
static const struct csv_rule send_data_rule = { .name = "SEND_UPDATE_DATA",
						.states = SEND };
static const struct csv_rule send_vmsa_rule = { .name = "SEND_UPDATE_VMSA",
						.states = SEND,
						.es = true };
static const struct csv_rule send_finish_rule = { .name = "SEND_FINISH",
						  .states = SEND };
static const struct csv_rule send_cancel_rule = { .name = "SEND_CANCEL",
						  .states = SEND };
static const struct csv_rule receive_start_rule = { .name = "RECEIVE_START",
						    .states = INIT };
static const struct csv_rule receive_data_rule = { .name = "RECEIVE_UPDATE_DATA",
						   .states = RECEIVE };
static const struct csv_rule receive_vmsa_rule = { .name = "RECEIVE_UPDATE_VMSA",
						   .states = RECEIVE,
						   .es = true };
static const struct csv_rule receive_finish_rule = { .name = "RECEIVE_FINISH",
						     .states = RECEIVE };
static const struct csv_rule send_batch_rule = { .name = "COMMAND_BATCH (send)",
						 .states = SEND };
static const struct csv_rule receive_batch_rule = {
	.name = "COMMAND_BATCH (receive)", .states = RECEIVE
};

static uint64_t uaddr(const void *p)
{
	return (uintptr_t)p;
}

static bool blob_ok(const void *blob, uint32_t len)
{
	return blob && len > 0 && len <= CSV_BLOB_MAX;
}

/* --- start and end ------------------------------------------------------------ */

int csv_send_start(struct csv *csv, const struct csv_target *target,
		   void *session, uint32_t *len)
{
	struct kvm_sev_send_start arg = {
		.pdh_cert_uaddr = uaddr(target->pdh),
		.pdh_cert_len = target->pdh_len,
		.plat_certs_uaddr = uaddr(target->plat),
		.plat_certs_len = target->plat_len,
		.amd_certs_uaddr = uaddr(target->amd),
		.amd_certs_len = target->amd_len,
		.session_uaddr = uaddr(session),
		.session_len = *len,
	};
	int r = csv_allow(csv, &send_start_rule);
	bool ask = !*len;

	if (r < 0)
		return r;
	if (!ask &&
	    (!blob_ok(target->pdh, target->pdh_len) ||
	     !blob_ok(target->plat, target->plat_len) ||
	     !blob_ok(target->amd, target->amd_len) || !blob_ok(session, *len)))
		return csv_refuse(csv, &send_start_rule, -EINVAL,
				  "certificates and session must have 1 to "
				  "16384 bytes each");
	r = csv_issue(csv, &send_start_rule, KVM_SEV_SEND_START, &arg);
	if (r < 0 && !csv_len_told(csv, r))
		return r;
	*len = arg.session_len;
	if (ask)
		return csv_forget(csv);
	if (!r)
		csv->state = CSV_SEND;
	return r;
}

static int move_on(struct csv *csv, const struct csv_rule *rule, uint32_t cmd,
		   enum csv_state to)
{
	int r = csv_allow(csv, rule);

	if (!r)
		r = csv_issue(csv, rule, cmd, NULL);
	if (!r)
		csv->state = to;
	return r;
}

int csv_send_finish(struct csv *csv)
{
	return move_on(csv, &send_finish_rule, KVM_SEV_SEND_FINISH, CSV_SENT);
}

int csv_send_cancel(struct csv *csv)
{
	return move_on(csv, &send_cancel_rule, KVM_SEV_SEND_CANCEL, CSV_RUNNING);
}

int csv_receive_start(struct csv *csv, uint32_t policy, const void *pdh,
		      uint32_t pdh_len, const void *session, uint32_t session_len)
{
	struct kvm_sev_receive_start arg = {
		.policy = policy,
		.pdh_uaddr = uaddr(pdh),
		.pdh_len = pdh_len,
		.session_uaddr = uaddr(session),
		.session_len = session_len,
	};
	int r = csv_allow(csv, &receive_start_rule);

	if (r < 0)
		return r;
	if (!(policy & CSV_POLICY_ES) == csv->es)
		return csv_refuse(
			csv, &receive_start_rule, -EINVAL,
			"policy `es` goes with type csv2, and only with it");
	if (!blob_ok(pdh, pdh_len) || !blob_ok(session, session_len))
		return csv_refuse(csv, &receive_start_rule, -EINVAL,
				  "certificate and session must have 1 to 16384 "
				  "bytes each");
	r = csv_issue(csv, &receive_start_rule, KVM_SEV_RECEIVE_START, &arg);
	if (r < 0)
		return r;
	csv->policy = policy;
	csv->handle = arg.handle;
	csv->state = CSV_RECEIVE;
	return 0;
}

int csv_receive_finish(struct csv *csv)
{
	return move_on(csv, &receive_finish_rule, KVM_SEV_RECEIVE_FINISH,
		       CSV_RUNNING);
}

/* --- packets ------------------------------------------------------------------- */

int csv_send_sizes(struct csv *csv, uint32_t *ret_hdr_len, uint32_t *ret_trans_len)
{
	struct kvm_sev_send_update_data arg = { 0 };
	int r = csv_allow(csv, &send_data_rule);

	if (!r)
		r = csv_issue(csv, &send_data_rule, KVM_SEV_SEND_UPDATE_DATA,
			      &arg);
	if (r < 0 && !csv_len_told(csv, r))
		return r;
	(void)csv_forget(csv);
	/* They become sizes of buffers. */
	if (!arg.hdr_len || arg.hdr_len > CSV_BLOB_MAX || !arg.trans_len ||
	    arg.trans_len > CSV_BLOB_MAX)
		return csv_refuse(csv, &send_data_rule, -EINVAL,
				  "the firmware told no usable sizes");
	*ret_hdr_len = arg.hdr_len;
	*ret_trans_len = arg.trans_len;
	return 0;
}

static bool wire_ok(const struct csv_packet *p)
{
	return blob_ok(p->hdr, p->hdr_len) && blob_ok(p->trans, p->trans_len);
}

static bool page_ok(const struct csv_packet *p)
{
	return wire_ok(p) && p->guest && p->guest_len &&
	       p->guest_len <= PAGE_SIZE &&
	       uaddr(p->guest) % PAGE_SIZE + p->guest_len <= PAGE_SIZE;
}

/* Sending and receiving have the same layout, tested above. */
static struct kvm_sev_send_update_data data_arg(const struct csv_packet *p)
{
	return (struct kvm_sev_send_update_data){
		.hdr_uaddr = uaddr(p->hdr),
		.hdr_len = p->hdr_len,
		.guest_uaddr = uaddr(p->guest),
		.guest_len = p->guest_len,
		.trans_uaddr = uaddr(p->trans),
		.trans_len = p->trans_len,
	};
}

static int issue_data(struct csv *csv, const struct csv_rule *rule,
		      uint32_t cmd, const struct csv_packet *p)
{
	struct kvm_sev_send_update_data arg = data_arg(p);
	int r = csv_allow(csv, rule);

	if (r < 0)
		return r;
	if (!page_ok(p))
		return csv_refuse(csv, rule, -EINVAL,
				  "header, payload and guest memory must not be "
				  "empty, and the memory inside one page");
	return csv_issue(csv, rule, cmd, &arg);
}

int csv_send_data(struct csv *csv, const struct csv_packet *p)
{
	return issue_data(csv, &send_data_rule, KVM_SEV_SEND_UPDATE_DATA, p);
}

int csv_receive_data(struct csv *csv, const struct csv_packet *p)
{
	return issue_data(csv, &receive_data_rule, KVM_SEV_RECEIVE_UPDATE_DATA,
			  p);
}

static int issue_vmsa(struct csv *csv, const struct csv_rule *rule,
		      uint32_t cmd, uint32_t vcpu_id, const struct csv_packet *p)
{
	struct csv_abi_vmsa arg = {
		.vcpu_id = vcpu_id,
		.hdr_uaddr = uaddr(p->hdr),
		.hdr_len = p->hdr_len,
		.trans_uaddr = uaddr(p->trans),
		.trans_len = p->trans_len,
	};
	int r = csv_allow(csv, rule);

	if (r < 0)
		return r;
	if (!wire_ok(p) || p->guest || p->guest_len)
		return csv_refuse(csv, rule, -EINVAL,
				  "header and payload must not be empty; a VMSA "
				  "is not in guest memory");
	return csv_issue(csv, rule, cmd, &arg);
}

int csv_send_vmsa(struct csv *csv, uint32_t vcpu_id, const struct csv_packet *p)
{
	return issue_vmsa(csv, &send_vmsa_rule, KVM_SEV_SEND_UPDATE_VMSA,
			  vcpu_id, p);
}

int csv_receive_vmsa(struct csv *csv, uint32_t vcpu_id,
		     const struct csv_packet *p)
{
	return issue_vmsa(csv, &receive_vmsa_rule, KVM_SEV_RECEIVE_UPDATE_VMSA,
			  vcpu_id, p);
}

/* --- many at once ---------------------------------------------------------------- */

struct batch {
	struct csv_abi_node node;
	struct kvm_sev_send_update_data data;
};

static int batch_issue(struct csv *csv, const struct csv_rule *rule,
		       uint32_t cmd, const struct csv_packet *p, unsigned n)
{
	auto_free struct batch *b = calloc(n, sizeof(*b));
	struct csv_abi_batch arg = { .command_id = cmd | csv->batch_flags,
				     .list_uaddr = uaddr(b) };
	unsigned i;

	if (!b)
		return csv_refuse(csv, rule, -ENOMEM, "no memory for the list");
	for (i = 0; i < n; i++) {
		b[i].data = data_arg(&p[i]);
		b[i].node.cmd_data_addr = uaddr(&b[i].data);
		if (i + 1 < n)
			b[i].node.next_cmd_addr = uaddr(&b[i + 1].node);
	}
	return csv_issue(csv, rule, CSV_COMMAND_BATCH, &arg);
}

int csv_batch(struct csv *csv, bool send, const struct csv_packet *p, unsigned n)
{
	const struct csv_rule *rule = send ? &send_batch_rule
					   : &receive_batch_rule;
	int r = csv_allow(csv, rule);
	unsigned i;

	if (r < 0 || !n)
		return r;
	if (n > CSV_BATCH_MAX)
		return csv_refuse(csv, rule, -E2BIG, "more than 4094 packets");
	/* Above a page the kernel would run past its buffers ([csv-abi] 9, 1). */
	for (i = 0; i < n; i++)
		if (!page_ok(&p[i]) || p[i].trans_len > PAGE_SIZE)
			return csv_refuse(csv, rule, -E2BIG,
					  "a packet is empty, too large, or "
					  "crosses a page");
	return batch_issue(csv, rule,
			   send ? KVM_SEV_SEND_UPDATE_DATA
				: KVM_SEV_RECEIVE_UPDATE_DATA,
			   p, n);
}
