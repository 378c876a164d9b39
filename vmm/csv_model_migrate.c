/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SEND_* and RECEIVE_* as KVM has them ([csv-abi] 1.2, 4.1). What the firmware
 * writes comes to the VMM after it has succeeded, over the VMM's own lengths.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "psp/crypto.h"
#include "vmm/csv_model_internal.h"
#include "vmm/vmsa.h"

static int do_send_start(struct csv_model *m, struct kvm_sev_send_start *a,
			 uint32_t *ret_fw)
{
	struct psp_abi_send_start c = { .handle = m->handle };
	auto_free uint8_t *session = NULL;
	int r;

	if (a->session_len) {
		if (csv_model_blob(a->pdh_cert_uaddr, a->pdh_cert_len) ||
		    csv_model_blob(a->plat_certs_uaddr, a->plat_certs_len) ||
		    csv_model_blob(a->amd_certs_uaddr, a->amd_certs_len) ||
		    csv_model_blob(a->session_uaddr, a->session_len))
			return -EINVAL;
		session = calloc(1, a->session_len);
		if (!session)
			return -ENOMEM;
		c.pdh_address = a->pdh_cert_uaddr;
		c.pdh_len = a->pdh_cert_len;
		c.plat_address = a->plat_certs_uaddr;
		c.plat_len = a->plat_certs_len;
		c.amd_address = a->amd_certs_uaddr;
		c.amd_len = a->amd_certs_len;
		c.session_address = csv_model_pa(session);
		c.session_len = a->session_len;
	}
	r = FW(m, SEND_START, c, ret_fw);
	if (!r && session)
		memcpy(csv_model_host(a->session_uaddr), session, a->session_len);
	a->session_len = c.session_len;
	if (session)
		a->policy = c.policy;
	return r;
}

static int do_receive_start(struct csv_model *m,
			    struct kvm_sev_receive_start *a, uint32_t *ret_fw)
{
	struct psp_abi_start c = {
		.handle = a->handle,
		.policy = a->policy,
		.cert_address = a->pdh_uaddr,
		.cert_len = a->pdh_len,
		.session_address = a->session_uaddr,
		.session_len = a->session_len,
	};
	int r;

	if (m->handle || csv_model_blob(a->pdh_uaddr, a->pdh_len) ||
	    csv_model_blob(a->session_uaddr, a->session_len))
		return -EINVAL;
	r = FW(m, RECEIVE_START, c, ret_fw);
	if (!r)
		r = csv_model_bind(m, c.handle, ret_fw);
	if (!r)
		a->handle = c.handle;
	return r;
}

static int do_handle(struct csv_model *m, uint32_t cmd, uint32_t *ret_fw)
{
	struct psp_abi_handle c = { m->handle };

	return csv_model_fw(m, cmd, &c, sizeof(c), ret_fw);
}

/* --- one page ------------------------------------------------------------------- */

int csv_model_packet(const struct csv_model *m,
		     const struct kvm_sev_send_update_data *a,
		     struct psp_abi_packet *c)
{
	if (csv_model_blob(a->hdr_uaddr, a->hdr_len) ||
	    csv_model_blob(a->trans_uaddr, a->trans_len))
		return -EINVAL;
	if (!a->guest_uaddr || !a->guest_len || a->guest_len > MODEL_PAGE ||
	    a->guest_uaddr % MODEL_PAGE + a->guest_len > MODEL_PAGE)
		return -EINVAL;
	*c = (struct psp_abi_packet){
		.handle = m->handle,
		.hdr_address = a->hdr_uaddr,
		.hdr_len = a->hdr_len,
		.guest_address = a->guest_uaddr,
		.guest_len = a->guest_len,
		.trans_address = a->trans_uaddr,
		.trans_len = a->trans_len,
	};
	return csv_model_guest(m, a->guest_uaddr, a->guest_len);
}

/* Send what @c says, over lengths and to places of the VMM. */
static int send_packet(struct csv_model *m, uint32_t cmd,
		       const struct psp_abi_packet *c, uint32_t *ret_fw)
{
	auto_free uint8_t *buf = calloc(1, (size_t)c->hdr_len + c->trans_len);
	struct psp_abi_packet own = *c;
	int r;

	if (!buf)
		return -ENOMEM;
	own.hdr_address = csv_model_pa(buf);
	own.trans_address = csv_model_pa(buf + c->hdr_len);
	r = csv_model_fw(m, cmd, &own, sizeof(own), ret_fw);
	if (r < 0)
		return r;
	memcpy(csv_model_host(c->trans_address), buf + c->hdr_len, c->trans_len);
	memcpy(csv_model_host(c->hdr_address), buf, c->hdr_len);
	return 0;
}

static int do_send_data(struct csv_model *m, struct kvm_sev_send_update_data *a,
			uint32_t *ret_fw)
{
	struct psp_abi_packet c = { .handle = m->handle };
	int r;

	if (!a->hdr_len || !a->trans_len) {
		r = FW(m, SEND_UPDATE_DATA, c, ret_fw);
		a->hdr_len = c.hdr_len;
		a->trans_len = c.trans_len;
		return r;
	}
	r = csv_model_packet(m, a, &c);
	return r < 0 ? r : send_packet(m, PSP_CMD_SEND_UPDATE_DATA, &c, ret_fw);
}

static_assert(sizeof(struct kvm_sev_send_update_data) ==
		      sizeof(struct kvm_sev_receive_update_data),
	      "one layout for both");

static int do_receive_data(struct csv_model *m,
			   const struct kvm_sev_receive_update_data *a,
			   uint32_t *ret_fw)
{
	struct kvm_sev_send_update_data same;
	struct psp_abi_packet c;
	int r;

	memcpy(&same, a, sizeof(same));
	r = csv_model_packet(m, &same, &c);
	return r < 0 ? r : FW(m, RECEIVE_UPDATE_DATA, c, ret_fw);
}

/* --- one vCPU ------------------------------------------------------------------- */

static int check_vmsa(const struct csv_model *m, const struct csv_abi_vmsa *a)
{
	if (csv_model_blob(a->hdr_uaddr, a->hdr_len) ||
	    csv_model_blob(a->trans_uaddr, a->trans_len))
		return -EINVAL;
	return a->vcpu_id < m->n_vcpus ? 0 : -EINVAL;
}

static struct psp_abi_packet vmsa_packet(const struct csv_model *m,
					 const struct csv_abi_vmsa *a,
					 const uint8_t *page)
{
	return (struct psp_abi_packet){
		.handle = m->handle,
		.hdr_address = a->hdr_uaddr,
		.hdr_len = a->hdr_len,
		.guest_address = csv_model_pa(page),
		.guest_len = VMSA_SIZE,
		.trans_address = a->trans_uaddr,
		.trans_len = a->trans_len,
	};
}

static int do_send_vmsa(struct csv_model *m, struct csv_abi_vmsa *a,
			uint32_t *ret_fw)
{
	struct psp_abi_packet c = { .handle = m->handle };
	int r;

	if (!m->es)
		return -ENOTTY;
	if (!a->hdr_len || !a->trans_len) {
		r = FW(m, SEND_UPDATE_VMSA, c, ret_fw);
		a->hdr_len = c.hdr_len;
		a->trans_len = c.trans_len;
		return r;
	}
	r = check_vmsa(m, a);
	if (!r)
		r = csv_model_vmsa_save(m, a->vcpu_id, false);
	if (r < 0)
		return r;
	c = vmsa_packet(m, a, m->vcpu[a->vcpu_id].vmsa);
	return send_packet(m, PSP_CMD_SEND_UPDATE_VMSA, &c, ret_fw);
}

static int do_receive_vmsa(struct csv_model *m, const struct csv_abi_vmsa *a,
			   uint32_t *ret_fw)
{
	struct psp_abi_packet c;
	uint8_t *page;
	int r;

	if (!m->es)
		return -ENOTTY;
	r = check_vmsa(m, a);
	if (r < 0)
		return r;
	page = aligned_alloc(MODEL_PAGE, VMSA_SIZE);
	if (!page)
		return -ENOMEM;
	c = vmsa_packet(m, a, page);
	memset(page, 0, VMSA_SIZE);
	r = FW(m, RECEIVE_UPDATE_VMSA, c, ret_fw);
	if (r < 0) {
		free(page);
		return r;
	}
	free(m->vcpu[a->vcpu_id].vmsa);
	m->vcpu[a->vcpu_id].vmsa = page;
	return csv_model_vmsa_load(m, a->vcpu_id);
}

int csv_model_migrate(struct csv_model *m, uint32_t cmd, void *arg,
		      uint32_t *ret_fw)
{
	switch (cmd) {
	case KVM_SEV_SEND_START:
		return do_send_start(m, arg, ret_fw);
	case KVM_SEV_SEND_UPDATE_DATA:
		return do_send_data(m, arg, ret_fw);
	case KVM_SEV_SEND_UPDATE_VMSA:
		return do_send_vmsa(m, arg, ret_fw);
	case KVM_SEV_SEND_FINISH:
		return do_handle(m, PSP_CMD_SEND_FINISH, ret_fw);
	case KVM_SEV_SEND_CANCEL:
		return do_handle(m, PSP_CMD_SEND_CANCEL, ret_fw);
	case KVM_SEV_RECEIVE_START:
		return do_receive_start(m, arg, ret_fw);
	case KVM_SEV_RECEIVE_UPDATE_DATA:
		return do_receive_data(m, arg, ret_fw);
	case KVM_SEV_RECEIVE_UPDATE_VMSA:
		return do_receive_vmsa(m, arg, ret_fw);
	case KVM_SEV_RECEIVE_FINISH:
		return do_handle(m, PSP_CMD_RECEIVE_FINISH, ret_fw);
	default:
		return -EINVAL;
	}
}
