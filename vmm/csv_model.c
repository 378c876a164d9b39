/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/csv_model.h"

#include <errno.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/bytes.h"
#include "core/csv_abi.h"
#include "core/kvm.h"
#include "core/util.h"
#include "psp/crypto.h"
#include "psp/psp_abi.h"
#include "vmm/csv_model_internal.h"

/*
 * DOC: Theory of operation
 *
 * This is the part of KVM and of the kernel's driver: checks, the ASID, page
 * by page, and each command of the VMM turned into the firmware's. The
 * firmware's memory is this process's: physical addresses are pointers, and
 * the memory key is the identity. A pointer comes to the firmware only after
 * the kernel's checks, for a guest's memory also that it is registered; that
 * stands in for the page faults that a kernel would have handled.
 *
 * As the driver does, the platform is initialised when it is found (opened
 * here), and again by (ES_)INIT if it isn't by then.
 */

/* --- what the firmware sees --------------------------------------------------- */

void *csv_model_host(uint64_t pa)
{
	return (void *)(uintptr_t)pa;
}

uint64_t csv_model_pa(const void *p)
{
	return (uintptr_t)p;
}

static int mem_read(void *ctx, uint64_t pa, void *buf, size_t len)
{
	(void)ctx;
	if (pa < MODEL_PAGE || pa >= MODEL_TMR + PSP_TMR_SIZE)
		return -EFAULT;
	if (pa >= MODEL_TMR)
		memset(buf, 0, len);
	else
		memcpy(buf, csv_model_host(pa), len);
	return 0;
}

static int mem_write(void *ctx, uint64_t pa, const void *buf, size_t len)
{
	(void)ctx;
	if (pa < MODEL_PAGE || pa >= MODEL_TMR)
		return -EFAULT;
	/* Encrypting in place changes nothing here. */
	if (memcmp(csv_model_host(pa), buf, len) != 0)
		memcpy(csv_model_host(pa), buf, len);
	return 0;
}

static int guest_read(void *ctx, uint32_t asid, const uint8_t key[PSP_KEY_SIZE],
		      uint64_t pa, void *buf, size_t len)
{
	(void)asid;
	(void)key;
	return mem_read(ctx, pa, buf, len);
}

static int guest_write(void *ctx, uint32_t asid, const uint8_t key[PSP_KEY_SIZE],
		       uint64_t pa, const void *buf, size_t len)
{
	(void)asid;
	(void)key;
	return mem_write(ctx, pa, buf, len);
}

/*
 * While INIT makes the platform's keys: the same bytes each time. An owner's
 * session is made for one platform, and must be good for its next start. That
 * makes the keys public; but then, this platform protects nothing.
 */
static int random_fixed(struct csv_platform *pf, uint8_t *buf, size_t len)
{
	static const char seed[] = "csvvmm model platform";
	uint8_t block[PSP_DIGEST_SIZE], count[8];
	struct psp_part part[] = { { seed, sizeof(seed) },
				   { count, sizeof(count) } };
	size_t n;
	int r;

	for (; len; len -= n, buf += n) {
		put_le64(count, pf->stream++);
		r = psp_digest(psp_suite(PSP_AMD), part, 2, block);
		if (r < 0)
			return r;
		n = MIN(len, sizeof(block));
		memcpy(buf, block, n);
	}
	return 0;
}

static int model_random(void *ctx, void *buf, size_t len)
{
	struct csv_platform *pf = ctx;
	uint8_t *to = buf;
	ssize_t n;

	if (pf->fixed)
		return random_fixed(pf, buf, len);
	for (; len; len -= (size_t)n, to += n) {
		n = getrandom(to, len, 0);
		if (n <= 0)
			return -EIO;
	}
	return 0;
}

static const struct psp_ops model_ops = {
	.read = mem_read,
	.write = mem_write,
	.guest_read = guest_read,
	.guest_write = guest_write,
	.random = model_random,
};

/* --- the driver ------------------------------------------------------------- */

int csv_model_fw(struct csv_model *m, uint32_t cmd, void *buf, size_t len,
		 uint32_t *ret_fw)
{
	*ret_fw = psp_command(m->pf->psp, cmd, buf, len);
	return *ret_fw == PSP_RET_SUCCESS ? 0 : -EIO;
}

int csv_model_platform_init(struct csv_model *m, uint32_t *ret_fw)
{
	struct psp_abi_init c = {
		.flags = PSP_INIT_ES,
		.tmr_address = MODEL_TMR,
		.tmr_len = PSP_TMR_SIZE,
	};
	int r;

	if (m->pf->ready)
		return 0;
	m->pf->stream = 0;
	m->pf->fixed = true;
	r = FW(m, INIT, c, ret_fw);
	m->pf->fixed = false;
	m->pf->ready = !r;
	return r;
}

static int platform_shutdown(struct csv_model *m, uint32_t *ret_fw)
{
	m->pf->ready = false;
	return csv_model_fw(m, PSP_CMD_SHUTDOWN, NULL, 0, ret_fw);
}

static int pdh_export(struct csv_model *m,
		      struct sev_user_data_pdh_cert_export *a, uint32_t *ret_fw)
{
	struct psp_abi_two_certs c = { 0 };
	int r = csv_model_platform_init(m, ret_fw);

	if (r < 0)
		return r;
	if (a->pdh_cert_len > CSV_BLOB_MAX || a->cert_chain_len > CSV_BLOB_MAX)
		return -EFAULT;
	if (a->pdh_cert_address && a->pdh_cert_len && a->cert_chain_address &&
	    a->cert_chain_len)
		c = (struct psp_abi_two_certs){
			.cert_address = a->pdh_cert_address,
			.cert_len = a->pdh_cert_len,
			.more_address = a->cert_chain_address,
			.more_len = a->cert_chain_len,
		};
	r = FW(m, PDH_CERT_EXPORT, c, ret_fw);
	a->pdh_cert_len = c.cert_len;
	a->cert_chain_len = c.more_len;
	return r;
}

static_assert(sizeof(struct psp_abi_platform_status) ==
		      sizeof(struct sev_user_data_status),
	      "the kernel hands it on as it is");

static int platform(struct csv_model *m, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	struct psp_abi_platform_status status = { 0 };
	int r;

	switch (cmd) {
	case SEV_PLATFORM_STATUS:
		r = FW(m, PLATFORM_STATUS, status, ret_fw);
		if (!r)
			memcpy(arg, &status, sizeof(status));
		return r;
	case SEV_PDH_CERT_EXPORT:
		return pdh_export(m, arg, ret_fw);
	case SEV_PDH_GEN:
		r = csv_model_platform_init(m, ret_fw);
		return r < 0 ? r
			     : csv_model_fw(m, PSP_CMD_PDH_GEN, NULL, 0, ret_fw);
	case CSV_DEV_PLATFORM_INIT:
		return csv_model_platform_init(m, ret_fw);
	case CSV_DEV_PLATFORM_SHUTDOWN:
		return platform_shutdown(m, ret_fw);
	default:
		return -EINVAL;
	}
}

static int model_platform(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	struct csv_model *m = be;
	int r;

	*ret_fw = 0;
	pthread_mutex_lock(&m->pf->lock);
	r = platform(m, cmd, arg, ret_fw);
	pthread_mutex_unlock(&m->pf->lock);
	return r;
}

/* --- the guest's memory ------------------------------------------------------- */

/* What pinning does in KVM. */
int csv_model_range(uint64_t addr, uint64_t len)
{
	return !len || addr + len < addr ? -EINVAL : 0;
}

int csv_model_guest(const struct csv_model *m, uint64_t addr, uint64_t len)
{
	uint64_t at = addr, end = addr + len;
	unsigned i;
	int r = csv_model_range(addr, len);

	while (!r && at < end) {
		for (i = 0; i < m->n_regions; i++)
			if (at - csv_model_pa(m->region[i].host) <
			    m->region[i].size)
				break;
		if (i == m->n_regions)
			r = -EFAULT;
		else
			at = csv_model_pa(m->region[i].host) + m->region[i].size;
	}
	return r;
}

int csv_model_blob(uint64_t addr, uint64_t len)
{
	return !addr || !len || len > CSV_BLOB_MAX ? -EINVAL : 0;
}

static int model_region(void *be, void *host, uint64_t size, bool add)
{
	struct csv_model *m = be;
	unsigned i;
	int r;

	if (!m->active)
		return -ENOTTY;
	if (add) {
		r = csv_model_range(csv_model_pa(host), size);
		if (!r && m->n_regions == MODEL_REGIONS)
			r = -ENOMEM;
		if (!r)
			m->region[m->n_regions++] =
				(struct csv_region){ host, size };
		return r;
	}
	for (i = 0; i < m->n_regions; i++) {
		if (m->region[i].host == host && m->region[i].size == size) {
			m->region[i] = m->region[--m->n_regions];
			return 0;
		}
	}
	return -EINVAL;
}

/* --- life ------------------------------------------------------------------ */

/* The kernel gives up a firmware that fails here; one more try costs nothing. */
static void insist(struct csv_model *m, uint32_t cmd, uint32_t handle)
{
	struct psp_abi_handle c = { handle };
	uint32_t status;

	if (csv_model_fw(m, cmd, handle ? &c : NULL, handle ? sizeof(c) : 0,
			 &status) < 0)
		(void)csv_model_fw(m, cmd, handle ? &c : NULL,
				   handle ? sizeof(c) : 0, &status);
}

/* (WBINVD would go before DF_FLUSH: there are no caches with a key.) */
static void end_guest(struct csv_model *m)
{
	unsigned i;

	if (m->asid)
		insist(m, PSP_CMD_DEACTIVATE, m->handle);
	if (m->handle)
		insist(m, PSP_CMD_DECOMMISSION, m->handle);
	if (m->asid)
		insist(m, PSP_CMD_DF_FLUSH, 0);
	for (i = 0; i < m->n_vcpus; i++) {
		free(m->vcpu[i].vmsa);
		m->vcpu[i].vmsa = NULL;
	}
	m->n_vcpus = m->n_regions = 0;
	m->active = m->es = false;
	m->handle = m->asid = 0;
	memset(m->user_id, 0, sizeof(m->user_id));
}

static void model_close(void *be)
{
	struct csv_model *m = be;

	end_guest(m);
	if (!m->held)
		csv_model_drop(m);
}

/* Its vCPUs are told again, by csv_model_add_vcpu(). */
static void model_again(void *be, int vm_fd)
{
	(void)vm_fd;
	end_guest(be);
}

const struct csv_backend csv_model_backend = {
	.name = "model",
	.issue = csv_model_issue,
	.platform = model_platform,
	.region = model_region,
	.close = model_close,
	.again = model_again,
};

static int platform_new(enum psp_profile profile, struct csv_platform **ret_pf)
{
	static const char chip[] = "csvvmm model";
	struct csv_platform *pf = calloc(1, sizeof(*pf));
	int r;

	if (!pf)
		return -ENOMEM;
	psp_config_default(&pf->cfg, profile);
	pf->cfg.cbit = 0;
	memcpy(pf->cfg.chip_id, chip, sizeof(chip));
	pthread_mutex_init(&pf->lock, NULL);
	r = psp_create(&pf->cfg, &model_ops, pf, &pf->psp);
	if (r < 0)
		free(pf);
	else
		*ret_pf = pf;
	return r;
}

static int vm_new(struct csv_platform *pf, enum vmsa_host host,
		  struct csv_model **ret_m)
{
	struct csv_model *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->host = host;
	m->pf = pf;
	m->next = pf->vms;
	pf->vms = m;
	*ret_m = m;
	return 0;
}

int csv_model_open(enum psp_profile profile, enum vmsa_host host,
		   struct csv_model **ret_m)
{
	struct csv_platform *pf;
	struct csv_model *m;
	uint32_t status;
	int r = platform_new(profile, &pf);

	if (r < 0)
		return r;
	r = vm_new(pf, host, &m);
	if (r < 0) {
		psp_destroy(pf->psp);
		free(pf);
		return r;
	}
	r = csv_model_platform_init(m, &status);
	if (r < 0)
		csv_model_drop(m);
	else
		*ret_m = m;
	return r;
}

int csv_model_join(struct csv_model *with, struct csv_model **ret_m)
{
	return vm_new(with->pf, with->host, ret_m);
}

int csv_model_add_vcpu(struct csv_model *m, int vcpu_fd)
{
	if (m->n_vcpus == ARRAY_SIZE(m->vcpu))
		return -ENOSPC;
	m->vcpu[m->n_vcpus++].fd = vcpu_fd;
	return 0;
}

struct psp *csv_model_psp(struct csv_model *m)
{
	return m->pf->psp;
}

void csv_model_hold(struct csv_model *m)
{
	m->held = true;
}

void csv_model_drop(struct csv_model *m)
{
	struct csv_platform *pf;
	struct csv_model **at;
	uint32_t ignored;

	if (!m)
		return;
	end_guest(m);
	pf = m->pf;
	for (at = &pf->vms; *at != m; at = &(*at)->next)
		;
	*at = m->next;
	if (!pf->vms) {
		if (pf->ready)
			(void)platform_shutdown(m, &ignored);
		psp_destroy(pf->psp);
		free(pf);
	}
	free(m);
}
