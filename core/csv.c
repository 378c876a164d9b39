/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/csv.h"

#include <errno.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <string.h>

#include "core/csv_abi.h"
#include "core/csv_internal.h"
#include "core/util.h"

/*
 * DOC: Theory of operation
 *
 * A struct csv_rule says in which states a command is allowed; csv_allow()
 * compares, so that a wrong order never reaches the backend. The firmware
 * checks again ([csv-abi] 2.3, guest state machine). A state changes only here
 * and only after the backend said yes.
 */

#define NEW	BIT(CSV_NEW)
#define INIT	BIT(CSV_INIT)
#define LAUNCH	BIT(CSV_LAUNCH)
#define SECRET	BIT(CSV_SECRET)
#define RUNNING BIT(CSV_RUNNING)
#define SEND	BIT(CSV_SEND)
#define RECEIVE BIT(CSV_RECEIVE)
#define SENT	BIT(CSV_SENT)

/* With a handle, and with one of which the contents are the guest's own. In
 * which states the firmware reports and debugs is unconfirmed. */
#define HANDLE (OWN | RECEIVE | SENT)
#define OWN    (LAUNCH | SECRET | RUNNING | SEND)
#define ANY    (NEW | INIT | HANDLE)

static const struct csv_rule init_rule = { .name = "INIT", .states = NEW };
static const struct csv_rule es_init_rule = { .name = "ES_INIT", .states = NEW };
static const struct csv_rule start_rule = { .name = "LAUNCH_START",
					    .states = INIT };
static const struct csv_rule add_rule = { .name = "register memory",
					  .states = ANY & ~(NEW | SENT) };
static const struct csv_rule remove_rule = { .name = "unregister memory",
					     .states = ANY & ~NEW };
static const struct csv_rule data_rule = { .name = "LAUNCH_UPDATE_DATA",
					   .states = LAUNCH };
static const struct csv_rule vmsa_rule = { .name = "LAUNCH_UPDATE_VMSA",
					   .states = LAUNCH,
					   .es = true };
static const struct csv_rule measure_rule = { .name = "LAUNCH_MEASURE",
					      .states = LAUNCH };
static const struct csv_rule secret_rule = { .name = "LAUNCH_SECRET",
					     .states = SECRET };
static const struct csv_rule finish_rule = { .name = "LAUNCH_FINISH",
					     .states = SECRET };
static const struct csv_rule status_rule = { .name = "GUEST_STATUS",
					     .states = HANDLE };
static const struct csv_rule report_rule = { .name = "ATTESTATION_REPORT",
					     .states = OWN };
static const struct csv_rule debug_rule = { .name = "DBG_DECRYPT",
					    .states = OWN,
					    .debug = true };
static const struct csv_rule platform_rule = { .name = "PLATFORM_STATUS",
					       .states = ANY };
static const struct csv_rule pdh_rule = { .name = "PDH_CERT_EXPORT",
					  .states = ANY };

static uint64_t uaddr(const void *p)
{
	return (uintptr_t)p;
}

static int csv_failed(struct csv *csv, const struct csv_rule *rule, int err,
		      uint32_t fw)
{
	csv->last = rule->name;
	csv->err = err;
	csv->fw = fw;
	csv->why = NULL;
	return err;
}

int csv_refuse(struct csv *csv, const struct csv_rule *rule, int err,
	       const char *why)
{
	(void)csv_failed(csv, rule, err, 0);
	csv->why = why;
	return err;
}

int csv_allow(struct csv *csv, const struct csv_rule *rule)
{
	if (!csv->ops)
		return csv_refuse(csv, rule, -EPROTO, "the guest is closed");
	if (!(rule->states & BIT(csv->state)))
		return csv_refuse(csv, rule, -EPROTO, "not in this state");
	if (rule->es && !csv->es)
		return csv_refuse(csv, rule, -EPROTO,
				  "this guest's registers are not encrypted");
	if (rule->debug && (csv->policy & CSV_POLICY_NODBG))
		return csv_refuse(csv, rule, -EPROTO,
				  "the guest's policy has `nodbg`");
	if (rule->send && (csv->policy & CSV_POLICY_NOSEND))
		return csv_refuse(csv, rule, -EPROTO,
				  "the guest's policy has `nosend`");
	return 0;
}

int csv_issue(struct csv *csv, const struct csv_rule *rule, uint32_t cmd,
	      void *arg)
{
	uint32_t fw = 0;
	int r = csv->ops->issue(csv->be, cmd, arg, &fw);

	return r < 0 ? csv_failed(csv, rule, r, fw) : 0;
}

int csv_platform(struct csv *csv, const struct csv_rule *rule, uint32_t cmd,
		 void *arg)
{
	uint32_t fw = 0;
	int r = csv->ops->platform(csv->be, cmd, arg, &fw);

	return r < 0 ? csv_failed(csv, rule, r, fw) : 0;
}

bool csv_len_told(const struct csv *csv, int r)
{
	return r < 0 && csv->fw == CSV_FW_INVALID_LEN;
}

int csv_forget(struct csv *csv)
{
	csv->last = NULL;
	csv->why = NULL;
	csv->err = 0;
	csv->fw = 0;
	return 0;
}

void csv_open(struct csv *csv, const struct csv_backend *ops, void *be)
{
	*csv = (struct csv){ .ops = ops, .be = be };
}

void csv_close(struct csv *csv)
{
	const struct csv_backend *ops = csv->ops;

	if (!ops)
		return;
	while (csv->n_regions) {
		const struct csv_region *reg = &csv->region[--csv->n_regions];

		(void)ops->region(csv->be, reg->host, reg->size, false);
	}
	ops->close(csv->be);
	csv->ops = NULL;
	csv->be = NULL;
	csv->state = CSV_NEW;
}

void csv_again(struct csv *csv, int vm_fd)
{
	const struct csv_backend *ops = csv->ops;
	void *be = csv->be;

	ops->again(be, vm_fd);
	csv_open(csv, ops, be);
}

int csv_init(struct csv *csv, bool es, const char *user_id)
{
	const struct csv_rule *rule = es ? &es_init_rule : &init_rule;
	struct csv_abi_init arg = { 0 };
	bool with_id = user_id && *user_id;
	int r = csv_allow(csv, rule);

	if (r < 0)
		return r;
	if (with_id) {
		arg.userid_addr = uaddr(user_id);
		arg.len = (uint32_t)strlen(user_id);
	}
	r = csv_issue(csv, rule, es ? KVM_SEV_ES_INIT : KVM_SEV_INIT,
		      with_id ? &arg : NULL);
	if (r < 0)
		return r;
	csv->es = es;
	csv->state = CSV_INIT;
	return 0;
}

/* Nothing, or something that the kernel takes. */
static bool blob_ok(const void *blob, uint32_t len)
{
	return blob ? len > 0 && len <= CSV_BLOB_MAX : !len;
}

int csv_launch_start(struct csv *csv, uint32_t policy, const void *dh_cert,
		     uint32_t dh_len, const void *session, uint32_t session_len)
{
	struct kvm_sev_launch_start arg = {
		.policy = policy,
		.dh_uaddr = uaddr(dh_cert),
		.dh_len = dh_len,
		.session_uaddr = uaddr(session),
		.session_len = session_len,
	};
	int r = csv_allow(csv, &start_rule);

	if (r < 0)
		return r;
	if (!(policy & CSV_POLICY_ES) == csv->es)
		return csv_refuse(
			csv, &start_rule, -EINVAL,
			"policy `es` goes with type csv2, and only with it");
	if (!dh_cert != !session || !blob_ok(dh_cert, dh_len) ||
	    !blob_ok(session, session_len))
		return csv_refuse(csv, &start_rule, -EINVAL,
				  "the owner's certificate and session come together, "
				  "at most 16 KiB each");
	r = csv_issue(csv, &start_rule, KVM_SEV_LAUNCH_START, &arg);
	if (r < 0)
		return r;
	csv->policy = policy;
	csv->handle = arg.handle;
	csv->state = CSV_LAUNCH;
	return 0;
}

static int region_add(struct csv *csv, void *host, uint64_t size)
{
	int r = csv_allow(csv, &add_rule);

	if (r < 0)
		return r;
	if (!host || !size)
		return csv_refuse(csv, &add_rule, -EINVAL, "no memory");
	if (csv->n_regions == CSV_REGIONS_MAX)
		return csv_refuse(csv, &add_rule, -ENOSPC, "too many regions");
	r = csv->ops->region(csv->be, host, size, true);
	if (r < 0)
		return csv_failed(csv, &add_rule, r, 0);
	csv->region[csv->n_regions++] = (struct csv_region){ host, size };
	return 0;
}

static int region_remove(struct csv *csv, void *host, uint64_t size)
{
	struct csv_region *reg = csv->region;
	int r = csv_allow(csv, &remove_rule);
	unsigned i = 0;

	if (r < 0)
		return r;
	while (i < csv->n_regions && (reg[i].host != host || reg[i].size != size))
		i++;
	if (i == csv->n_regions)
		return csv_refuse(csv, &remove_rule, -ENOENT,
				  "it was not registered");
	r = csv->ops->region(csv->be, host, size, false);
	if (r < 0)
		return csv_failed(csv, &remove_rule, r, 0);
	for (csv->n_regions--; i < csv->n_regions; i++)
		reg[i] = reg[i + 1];
	return 0;
}

int csv_region(struct csv *csv, void *host, uint64_t size, bool add)
{
	return add ? region_add(csv, host, size) : region_remove(csv, host, size);
}

int csv_launch_update_data(struct csv *csv, void *host, uint32_t len)
{
	struct kvm_sev_launch_update_data arg = { .uaddr = uaddr(host),
						  .len = len };
	int r = csv_allow(csv, &data_rule);

	if (r < 0)
		return r;
	/* Cipher blocks. */
	if (!len || len % 16 || arg.uaddr % 16)
		return csv_refuse(csv, &data_rule, -EINVAL,
				  "address and length must be multiples of 16");
	return csv_issue(csv, &data_rule, KVM_SEV_LAUNCH_UPDATE_DATA, &arg);
}

int csv_launch_update_vmsa(struct csv *csv)
{
	int r = csv_allow(csv, &vmsa_rule);

	if (r < 0)
		return r;
	if (csv->vmsa_tried)
		return csv_refuse(csv, &vmsa_rule, -EPROTO,
				  "it was issued before");
	csv->vmsa_tried = true;
	r = csv_issue(csv, &vmsa_rule, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL);
	csv->vmsa_done = !r;
	return r;
}

int csv_launch_measure(struct csv *csv, uint8_t buf[48])
{
	uint8_t out[48] = { 0 };
	struct kvm_sev_launch_measure arg = { .uaddr = uaddr(out),
					      .len = sizeof(out) };
	int r = csv_allow(csv, &measure_rule);

	if (r < 0)
		return r;
	if (csv->es && !csv->vmsa_done)
		return csv_refuse(csv, &measure_rule, -EPROTO,
				  "the vCPUs' registers are not in yet");
	r = csv_issue(csv, &measure_rule, KVM_SEV_LAUNCH_MEASURE, &arg);
	if (r < 0)
		return r;
	memcpy(buf, out, sizeof(out));
	csv->state = CSV_SECRET;
	return 0;
}

int csv_launch_secret(struct csv *csv, const void *hdr, uint32_t hdr_len,
		      void *guest_host, uint32_t guest_len, const void *data,
		      uint32_t data_len)
{
	struct kvm_sev_launch_secret arg = {
		.hdr_uaddr = uaddr(hdr),
		.hdr_len = hdr_len,
		.guest_uaddr = uaddr(guest_host),
		.guest_len = guest_len,
		.trans_uaddr = uaddr(data),
		.trans_len = data_len,
	};
	int r = csv_allow(csv, &secret_rule);

	if (r < 0)
		return r;
	if (!hdr || !guest_host || !data || !guest_len ||
	    !blob_ok(hdr, hdr_len) || !blob_ok(data, data_len))
		return csv_refuse(csv, &secret_rule, -EINVAL,
				  "header, secret and place must not be empty, nor "
				  "above 16 KiB");
	return csv_issue(csv, &secret_rule, KVM_SEV_LAUNCH_SECRET, &arg);
}

int csv_launch_finish(struct csv *csv)
{
	int r = csv_allow(csv, &finish_rule);

	if (!r)
		r = csv_issue(csv, &finish_rule, KVM_SEV_LAUNCH_FINISH, NULL);
	if (!r)
		csv->state = CSV_RUNNING;
	return r;
}

int csv_guest_status(struct csv *csv, struct csv_guest_status *ret)
{
	struct kvm_sev_guest_status arg = { 0 };
	int r = csv_allow(csv, &status_rule);

	if (!r)
		r = csv_issue(csv, &status_rule, KVM_SEV_GUEST_STATUS, &arg);
	if (r < 0)
		return r;
	*ret = (struct csv_guest_status){ .handle = arg.handle,
					  .policy = arg.policy,
					  .state = arg.state };
	return 0;
}

int csv_attestation_report(struct csv *csv, const uint8_t mnonce[16], void *buf,
			   uint32_t *len)
{
	struct kvm_sev_attestation_report arg = { .uaddr = uaddr(buf),
						  .len = *len };
	int r = csv_allow(csv, &report_rule);
	bool ask = !*len;

	if (r < 0)
		return r;
	if (*len > CSV_BLOB_MAX || (!ask && !buf))
		return csv_refuse(csv, &report_rule, -EINVAL,
				  "the buffer must have 1 to 16384 bytes");
	memcpy(arg.mnonce, mnonce, sizeof(arg.mnonce));
	r = csv_issue(csv, &report_rule, KVM_SEV_GET_ATTESTATION_REPORT, &arg);
	if (r < 0 && !csv_len_told(csv, r))
		return r;
	*len = arg.len;
	return r < 0 && ask ? csv_forget(csv) : r;
}

int csv_dbg_decrypt(struct csv *csv, const void *host, void *buf, uint32_t len)
{
	struct kvm_sev_dbg arg = { .src_uaddr = uaddr(host),
				   .dst_uaddr = uaddr(buf),
				   .len = len };
	int r = csv_allow(csv, &debug_rule);

	if (r < 0)
		return r;
	if (!host || !buf || !len)
		return csv_refuse(csv, &debug_rule, -EINVAL, "no memory");
	return csv_issue(csv, &debug_rule, KVM_SEV_DBG_DECRYPT, &arg);
}

int csv_platform_status(struct csv *csv, struct csv_platform_status *ret)
{
	struct sev_user_data_status arg = { 0 };
	int r = csv_allow(csv, &platform_rule);
	uint32_t low;

	if (!r)
		r = csv_platform(csv, &platform_rule, SEV_PLATFORM_STATUS, &arg);
	if (r < 0)
		return r;
	/*
	 * Hygon's build has 31 bits, of which /dev/sev shows the lower 23 as
	 * flags and the others as the build ([csv-abi] 2.3). AMD leaves those
	 * flags 0.
	 */
	low = arg.flags >> 9;
	*ret = (struct csv_platform_status){
		.api_major = arg.api_major,
		.api_minor = arg.api_minor,
		.state = arg.state,
		.flags = arg.flags,
		.owned = arg.flags & 1,
		.es = arg.flags & SEV_STATUS_FLAGS_CONFIG_ES,
		.build = low ? low | (uint32_t)arg.build << 23 : arg.build,
		.guest_count = arg.guest_count,
	};
	return 0;
}

int csv_pdh_export(struct csv *csv, void *pdh, uint32_t *pdh_len, void *chain,
		   uint32_t *chain_len)
{
	bool ask = !*pdh_len || !*chain_len;
	struct sev_user_data_pdh_cert_export arg = {
		.pdh_cert_address = ask ? 0 : uaddr(pdh),
		.pdh_cert_len = ask ? 0 : *pdh_len,
		.cert_chain_address = ask ? 0 : uaddr(chain),
		.cert_chain_len = ask ? 0 : *chain_len,
	};
	int r = csv_allow(csv, &pdh_rule);

	if (r < 0)
		return r;
	if (*pdh_len > CSV_BLOB_MAX || *chain_len > CSV_BLOB_MAX ||
	    (!ask && (!pdh || !chain)))
		return csv_refuse(csv, &pdh_rule, -EINVAL,
				  "the buffers must have 1 to 16384 bytes");
	r = csv_platform(csv, &pdh_rule, SEV_PDH_CERT_EXPORT, &arg);
	if (r < 0 && !csv_len_told(csv, r))
		return r;
	*pdh_len = arg.pdh_cert_len;
	*chain_len = arg.cert_chain_len;
	return r < 0 && ask ? csv_forget(csv) : r;
}
