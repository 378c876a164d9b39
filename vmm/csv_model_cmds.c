/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What KVM makes of each of its commands: checks, then the firmware's own. */
#include "vmm/csv_model_internal.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "vmm/vmsa.h"

/* Nobody's, or the VMM's user id ([csv-abi] 1.7). Unconfirmed: how long it may
 * be, and what the kernel says when it is longer. */
static int do_init(struct csv_model *m, bool es, const struct csv_abi_init *a,
		   uint32_t *ret_fw)
{
	uint32_t len = a && a->userid_addr ? a->len : 0;
	int r;

	if (m->active || m->n_vcpus || len >= sizeof(m->user_id))
		return -EINVAL;
	r = csv_model_platform_init(m, ret_fw);
	if (r < 0)
		return r;
	if (len)
		memcpy(m->user_id, csv_model_host(a->userid_addr), len);
	m->active = true;
	m->es = es;
	return 0;
}

/* The ASID of another guest of the same user; 0 = there is none. */
static uint32_t user_asid(const struct csv_model *m)
{
	const struct csv_model *o;

	for (o = m->pf->vms; o && m->user_id[0]; o = o->next)
		if (o != m && o->asid && o->es == m->es &&
		    !memcmp(o->user_id, m->user_id, sizeof(m->user_id)))
			return o->asid;
	return 0;
}

static bool asid_taken(const struct csv_model *m, uint32_t asid)
{
	const struct csv_model *o = m->pf->vms;

	while (o && o->asid != asid)
		o = o->next;
	return o;
}

/*
 * The user's ASID, or the first free one of the guest's kind; those of dead
 * guests come back when none is left. KVM knows from its own map what the
 * firmware answers here, but the firmware would let users share an ASID.
 */
static int bind_asid(struct csv_model *m, struct psp_abi_activate *c,
		     uint32_t *ret_fw)
{
	const struct psp_config *cfg = &m->pf->cfg;
	bool all = cfg->profile == PSP_HYGON && cfg->build >= PSP_BUILD_CSV2_ALL;
	uint32_t first = m->es ? 1 : cfg->min_sev_asid;
	uint32_t last = m->es && !all ? cfg->min_sev_asid - 1 : cfg->max_asid;
	unsigned round;
	int r;

	c->asid = user_asid(m);
	if (c->asid)
		return FW(m, ACTIVATE, *c, ret_fw);
	for (round = 0; round < 2; round++) {
		for (c->asid = first; c->asid <= last; c->asid++) {
			if (asid_taken(m, c->asid))
				continue;
			r = FW(m, ACTIVATE, *c, ret_fw);
			if (*ret_fw != PSP_RET_ASID_OWNED &&
			    *ret_fw != PSP_RET_DFFLUSH_REQUIRED)
				return r;
		}
		r = csv_model_fw(m, PSP_CMD_DF_FLUSH, NULL, 0, ret_fw);
		if (r < 0)
			return r;
	}
	return -EBUSY;
}

int csv_model_bind(struct csv_model *m, uint32_t handle, uint32_t *ret_fw)
{
	struct psp_abi_activate c = { .handle = handle };
	struct psp_abi_handle gone = { handle };
	uint32_t ignored;
	int r = bind_asid(m, &c, ret_fw);

	if (r < 0) {
		(void)FW(m, DECOMMISSION, gone, &ignored);
		return r;
	}
	m->asid = c.asid;
	m->handle = handle;
	return 0;
}

static int do_launch_start(struct csv_model *m, struct kvm_sev_launch_start *a,
			   uint32_t *ret_fw)
{
	struct psp_abi_start c = { .handle = a->handle, .policy = a->policy };
	int r;

	if (m->handle)
		return -EINVAL;
	if ((a->dh_uaddr && csv_model_blob(a->dh_uaddr, a->dh_len)) ||
	    (a->session_uaddr && csv_model_blob(a->session_uaddr, a->session_len)))
		return -EINVAL;
	if (a->dh_uaddr) {
		c.cert_address = a->dh_uaddr;
		c.cert_len = a->dh_len;
	}
	if (a->session_uaddr) {
		c.session_address = a->session_uaddr;
		c.session_len = a->session_len;
	}
	r = FW(m, LAUNCH_START, c, ret_fw);
	if (!r)
		r = csv_model_bind(m, c.handle, ret_fw);
	if (!r)
		a->handle = c.handle;
	return r;
}

static int do_update_data(struct csv_model *m,
			  const struct kvm_sev_launch_update_data *a,
			  uint32_t *ret_fw)
{
	struct psp_abi_launch c = { .handle = m->handle };
	uint64_t at = a->uaddr, end = a->uaddr + a->len;
	int r = csv_model_guest(m, a->uaddr, a->len);

	for (; !r && at < end; at += c.len) {
		c.address = at;
		c.len = (uint32_t)MIN(MODEL_PAGE - at % MODEL_PAGE, end - at);
		r = FW(m, LAUNCH_UPDATE_DATA, c, ret_fw);
	}
	return r;
}

static int update_vmsa(struct csv_model *m, unsigned i, uint32_t *ret_fw)
{
	struct psp_abi_launch c = { .handle = m->handle, .len = VMSA_SIZE };
	int r;

	if (m->vcpu[i].vmsa)
		return -EINVAL; /* its registers are out of reach by now */
	r = csv_model_vmsa_save(m, i, true);
	if (r < 0)
		return r;
	c.address = csv_model_pa(m->vcpu[i].vmsa);
	r = FW(m, LAUNCH_UPDATE_VMSA, c, ret_fw);
	if (r < 0) {
		free(m->vcpu[i].vmsa);
		m->vcpu[i].vmsa = NULL;
	}
	return r;
}

static int do_update_vmsa(struct csv_model *m, uint32_t *ret_fw)
{
	unsigned i;
	int r = m->es ? 0 : -ENOTTY;

	for (i = 0; !r && i < m->n_vcpus; i++)
		r = update_vmsa(m, i, ret_fw);
	return r;
}

static int do_measure(struct csv_model *m, struct kvm_sev_launch_measure *a,
		      uint32_t *ret_fw)
{
	struct psp_abi_launch c = { .handle = m->handle };
	bool query = !a->len;
	int r;

	if (!query && a->uaddr) {
		if (a->len > CSV_BLOB_MAX)
			return -EINVAL;
		c.address = a->uaddr;
		c.len = a->len;
	}
	r = FW(m, LAUNCH_MEASURE, c, ret_fw);
	if (!r || query)
		a->len = c.len;
	return r;
}

static int do_attest(struct csv_model *m, struct kvm_sev_attestation_report *a,
		     uint32_t *ret_fw)
{
	struct psp_abi_attest c = { .handle = m->handle };
	bool query = !a->len;
	int r;

	if (!query && a->uaddr) {
		if (a->len > CSV_BLOB_MAX)
			return -EINVAL;
		c.address = a->uaddr;
		c.len = a->len;
		memcpy(c.mnonce, a->mnonce, sizeof(c.mnonce));
	}
	r = FW(m, ATTESTATION_REPORT, c, ret_fw);
	if (!r || query)
		a->len = c.len;
	return r;
}

static int do_secret(struct csv_model *m, const struct kvm_sev_launch_secret *a,
		     uint32_t *ret_fw)
{
	struct psp_abi_packet c = {
		.handle = m->handle,
		.hdr_address = a->hdr_uaddr,
		.hdr_len = a->hdr_len,
		.guest_address = a->guest_uaddr,
		.guest_len = a->guest_len,
		.trans_address = a->trans_uaddr,
		.trans_len = a->trans_len,
	};
	int r = csv_model_guest(m, a->guest_uaddr, a->guest_len);

	if (!r)
		r = csv_model_blob(a->trans_uaddr, a->trans_len);
	if (!r)
		r = csv_model_blob(a->hdr_uaddr, a->hdr_len);
	return r < 0 ? r : FW(m, LAUNCH_SECRET, c, ret_fw);
}

static int do_finish(struct csv_model *m, uint32_t *ret_fw)
{
	struct psp_abi_handle c = { m->handle };

	return FW(m, LAUNCH_FINISH, c, ret_fw);
}

static int do_status(struct csv_model *m, struct kvm_sev_guest_status *a,
		     uint32_t *ret_fw)
{
	struct psp_abi_guest_status c = { .handle = m->handle };
	int r = FW(m, GUEST_STATUS, c, ret_fw);

	if (!r)
		*a = (struct kvm_sev_guest_status){ .handle = c.handle,
						    .policy = c.policy,
						    .state = c.state };
	return r;
}

/*
 * @len bytes at @guest, inside one page, from or to @buf. The firmware does
 * whole blocks only: those around go through a buffer.
 */
static int dbg_piece(struct csv_model *m, uint64_t guest, void *buf,
		     uint32_t len, bool decrypt, uint32_t *ret_fw)
{
	_Alignas(CBLOCK) uint8_t block[MODEL_PAGE] = { 0 };
	uint32_t before = (uint32_t)(guest % CBLOCK);
	struct psp_abi_dbg in = {
		.handle = m->handle,
		.src = guest - before,
		.dst = csv_model_pa(block),
		.len = (before + len + CBLOCK - 1) / CBLOCK * CBLOCK,
	};
	struct psp_abi_dbg out = {
		.handle = m->handle, .src = in.dst, .dst = in.src, .len = in.len
	};
	int r = 0;

	if (decrypt || in.len != len)
		r = FW(m, DBG_DECRYPT, in, ret_fw);
	if (r < 0)
		return r;
	if (decrypt) {
		memcpy(buf, block + before, len);
		return 0;
	}
	memcpy(block + before, buf, len);
	return FW(m, DBG_ENCRYPT, out, ret_fw);
}

static int do_dbg(struct csv_model *m, const struct kvm_sev_dbg *a,
		  bool decrypt, uint32_t *ret_fw)
{
	uint64_t guest = decrypt ? a->src_uaddr : a->dst_uaddr;
	uint64_t other = decrypt ? a->dst_uaddr : a->src_uaddr;
	uint32_t left = a->len, n;
	int r = csv_model_range(a->src_uaddr, a->len);

	if (!r && (!a->dst_uaddr || !a->src_uaddr))
		r = -EINVAL;
	if (!r)
		r = csv_model_guest(m, guest, left);
	for (; !r && left; left -= n, guest += n, other += n) {
		n = (uint32_t)MIN(MODEL_PAGE - guest % MODEL_PAGE, left);
		r = dbg_piece(m, guest, csv_model_host(other), n, decrypt,
			      ret_fw);
	}
	return r;
}

static bool without_arg(uint32_t cmd)
{
	return cmd == KVM_SEV_LAUNCH_UPDATE_VMSA ||
	       cmd == KVM_SEV_LAUNCH_FINISH || cmd == KVM_SEV_SEND_FINISH ||
	       cmd == KVM_SEV_SEND_CANCEL || cmd == KVM_SEV_RECEIVE_FINISH;
}

static int issue(struct csv_model *m, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	if (cmd == KVM_SEV_INIT || cmd == KVM_SEV_ES_INIT)
		return do_init(m, cmd == KVM_SEV_ES_INIT, arg, ret_fw);
	if (!m->active)
		return -ENOTTY;
	if (!arg && !without_arg(cmd))
		return -EFAULT;
	switch (cmd) {
	case KVM_SEV_LAUNCH_START:
		return do_launch_start(m, arg, ret_fw);
	case KVM_SEV_LAUNCH_UPDATE_DATA:
		return do_update_data(m, arg, ret_fw);
	case KVM_SEV_LAUNCH_UPDATE_VMSA:
		return do_update_vmsa(m, ret_fw);
	case KVM_SEV_LAUNCH_MEASURE:
		return do_measure(m, arg, ret_fw);
	case KVM_SEV_LAUNCH_SECRET:
		return do_secret(m, arg, ret_fw);
	case KVM_SEV_LAUNCH_FINISH:
		return do_finish(m, ret_fw);
	case KVM_SEV_GUEST_STATUS:
		return do_status(m, arg, ret_fw);
	case KVM_SEV_DBG_DECRYPT:
	case KVM_SEV_DBG_ENCRYPT:
		return do_dbg(m, arg, cmd == KVM_SEV_DBG_DECRYPT, ret_fw);
	case KVM_SEV_GET_ATTESTATION_REPORT:
		return do_attest(m, arg, ret_fw);
	case CSV_COMMAND_BATCH:
		return csv_model_batch(m, arg, ret_fw);
	default:
		return csv_model_migrate(m, cmd, arg, ret_fw);
	}
}

int csv_model_issue(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	struct csv_model *m = be;
	int r;

	*ret_fw = 0;
	pthread_mutex_lock(&m->pf->lock);
	r = issue(m, cmd, arg, ret_fw);
	pthread_mutex_unlock(&m->pf->lock);
	return r;
}
