/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What KVM makes of each of its commands: checks, then the firmware's own. */
#include "vmm/csv_model_internal.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/kvm.h"
#include "core/util.h"
#include "psp/crypto.h"
#include "vmm/vmsa.h"

static int do_init(struct csv_model *m, bool es, uint32_t *ret_fw)
{
	int r;

	if (m->active || m->n_vcpus)
		return -EINVAL;
	r = csv_model_platform_init(m, ret_fw);
	if (r < 0)
		return r;
	m->active = true;
	m->es = es;
	return 0;
}

/*
 * The first free ASID of the guest's kind; those of dead guests come back
 * when none is left. KVM knows from its own map what is answered here.
 */
static int bind_asid(struct csv_model *m, uint32_t handle, uint32_t *ret_fw)
{
	bool all = m->cfg.profile == PSP_HYGON &&
		   m->cfg.build >= PSP_BUILD_CSV2_ALL;
	uint32_t first = m->es ? 1 : m->cfg.min_sev_asid;
	uint32_t last = m->es && !all ? m->cfg.min_sev_asid - 1 : m->cfg.max_asid;
	struct psp_abi_activate c = { .handle = handle };
	unsigned round;
	int r;

	for (round = 0; round < 2; round++) {
		for (c.asid = first; c.asid <= last; c.asid++) {
			r = FW(m, ACTIVATE, c, ret_fw);
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

static int do_launch_start(struct csv_model *m, struct kvm_sev_launch_start *a,
			   uint32_t *ret_fw)
{
	struct psp_abi_start c = { .handle = a->handle, .policy = a->policy };
	struct psp_abi_handle gone;
	uint32_t ignored;
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
	if (r < 0)
		return r;
	r = bind_asid(m, c.handle, ret_fw);
	if (r < 0) {
		gone.handle = c.handle;
		(void)FW(m, DECOMMISSION, gone, &ignored);
		return r;
	}
	m->bound = true;
	m->handle = a->handle = c.handle;
	return 0;
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

/* XCR0 is 1 from the start, also on a host without XSAVE. */
static uint64_t vcpu_xcr0(int fd)
{
	struct kvm_xcrs x = { 0 };
	uint32_t i;

	if (kvm_ioctl(fd, KVM_GET_XCRS, &x) < 0)
		return 1;
	for (i = 0; i < MIN(x.nr_xcrs, (uint32_t)KVM_MAX_XCRS); i++)
		if (x.xcrs[i].xcr == 0)
			return x.xcrs[i].value;
	return 1;
}

static int update_vmsa(struct csv_model *m, unsigned i, uint32_t *ret_fw)
{
	struct psp_abi_launch c = { .handle = m->handle, .len = VMSA_SIZE };
	int fd = m->vcpu[i].fd, r;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	uint8_t *page;

	if (m->vcpu[i].vmsa)
		return -EINVAL; /* its registers are out of reach by now */
	r = kvm_ioctl(fd, KVM_GET_REGS, &regs);
	if (!r)
		r = kvm_ioctl(fd, KVM_GET_SREGS, &sregs);
	if (r < 0)
		return r;
	page = aligned_alloc(MODEL_PAGE, VMSA_SIZE);
	if (!page)
		return -ENOMEM;
	vmsa_build(page, &regs, &sregs, vcpu_xcr0(fd), m->host);
	c.address = csv_model_pa(page);
	r = FW(m, LAUNCH_UPDATE_VMSA, c, ret_fw);
	if (r < 0)
		free(page);
	else
		m->vcpu[i].vmsa = page;
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

int csv_model_issue(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	struct csv_model *m = be;

	*ret_fw = 0;
	if (cmd == KVM_SEV_INIT || cmd == KVM_SEV_ES_INIT)
		return do_init(m, cmd == KVM_SEV_ES_INIT, ret_fw);
	if (!m->active)
		return -ENOTTY;
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
	default:
		return -EINVAL;
	}
}
