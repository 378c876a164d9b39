/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Platform life cycle and status ([sev-es-emulation] G.3). */
#include <errno.h>
#include <string.h>

#include "psp/internal.h"

#define FIRMWARE_MAX (512u << 10)

PSP_HANDLER(nop)
{
	(void)p;
	(void)g;
	(void)buf;
	return PSP_RET_SUCCESS;
}

/* Is there an ASID for a guest with encrypted registers? */
static bool es_possible(const struct psp *p)
{
	return p->cfg.profile == PSP_HYGON || p->cfg.min_sev_asid > 1;
}

static uint16_t tmr_check(struct psp *p, uint64_t address, uint32_t len)
{
	uint64_t tmr = psp_pa(p, address);
	uint8_t b;

	if (!es_possible(p))
		return PSP_RET_INVALID_CONFIG;
	if (len < PSP_TMR_SIZE)
		return PSP_RET_INVALID_LEN;
	if (tmr % PSP_TMR_SIZE || psp_mem_read(p, tmr, &b, 1) < 0 ||
	    psp_mem_read(p, tmr + PSP_TMR_SIZE - 1, &b, 1) < 0)
		return PSP_RET_INVALID_ADDRESS;
	return PSP_RET_SUCCESS;
}

/* OCA and PEK from the store, from before, or new; then the PDH. */
static uint16_t init_identity(struct psp *p)
{
	int r = p->has_nv ? psp_nv_load(p) : 0;

	if (r == -EBADMSG) {
		/* The driver tries once more, and that has to work. */
		(void)psp_nv_blank(p);
		return PSP_RET_SECURE_DATA_INVALID;
	}
	if (r == -ENOENT) {
		psp_identity_erase(p);
		r = 0;
	}
	if (r == 0)
		r = p->id.present ? psp_identity_pdh(p) : psp_identity_make(p);
	if (r == 0)
		r = psp_nv_store(p);
	return r == -EFAULT ? PSP_RET_INVALID_ADDRESS : psp_lib_status(r);
}

static uint16_t init(struct psp *p, uint32_t flags, uint64_t tmr, uint32_t len)
{
	uint16_t status;

	if (flags & ~PSP_INIT_ES)
		return PSP_RET_INVALID_PARAM;
	if (flags & PSP_INIT_ES) {
		status = tmr_check(p, tmr, len);
		if (status != PSP_RET_SUCCESS)
			return status;
		p->es = true;
		p->tmr = psp_pa(p, tmr);
	}
	status = init_identity(p);
	if (status == PSP_RET_SUCCESS)
		p->state = PSP_INIT;
	else
		p->es = false;
	return status;
}

PSP_HANDLER(init)
{
	const struct psp_abi_init *c = buf;

	(void)g;
	p->has_nv = false;
	return init(p, c->flags, c->tmr_address, c->tmr_len);
}

PSP_HANDLER(init_ex)
{
	const struct psp_abi_init_ex *c = buf;

	(void)g;
	if (c->length != sizeof(*c) || c->nv_len != PSP_NV_SIZE)
		return PSP_RET_INVALID_LEN;
	if (psp_mem_probe(p, c->nv_address, PSP_NV_SIZE) < 0)
		return PSP_RET_INVALID_ADDRESS;
	p->has_nv = true;
	p->nv = psp_pa(p, c->nv_address);
	return init(p, c->flags, c->tmr_address, c->tmr_len);
}

PSP_HANDLER(shutdown)
{
	unsigned i;

	(void)g;
	(void)buf;
	for (i = 0; i < PSP_GUESTS_MAX; i++)
		if (p->guest[i]) {
			(void)psp_do_deactivate(p, p->guest[i], NULL);
			psp_guest_delete(p, p->guest[i]);
		}
	psp_ec_free(p->id.pdh);
	p->id.pdh = NULL;
	p->ring = (struct psp_ring){ 0 };
	p->es = false;
	p->state = PSP_UNINIT;
	return PSP_RET_SUCCESS;
}

PSP_HANDLER(factory_reset)
{
	int r;

	(void)g;
	(void)buf;
	/* The store that INIT_EX named last is still the platform's. */
	r = psp_nv_blank(p);
	psp_identity_erase(p);
	return r < 0 ? PSP_RET_INVALID_ADDRESS : PSP_RET_SUCCESS;
}

PSP_HANDLER(platform_status)
{
	struct psp_abi_platform_status *c = buf;

	(void)g;
	/* Hygon has chip_secure, fw_enc and fw_sign in @owner too: a model is
	 * none of these. */
	*c = (struct psp_abi_platform_status){
		.api_major = p->cfg.api_major,
		.api_minor = p->cfg.api_minor,
		.state = (uint8_t)p->state,
		.owner = p->id.owned,
		.config = p->es,
		.guest_count = p->n_guests,
	};
	if (p->cfg.profile == PSP_HYGON)
		c->config |= p->cfg.build << 1;
	else
		c->config |= (p->cfg.build & 0xff) << 24;
	return PSP_RET_SUCCESS;
}

PSP_HANDLER(df_flush)
{
	bool dirty = false;
	uint32_t i;

	(void)g;
	(void)buf;
	for (i = 1; i <= p->cfg.max_asid; i++)
		dirty |= p->asid[i].use == PSP_ASID_DIRTY;
	if (dirty && p->ops.wbinvd_since &&
	    !p->ops.wbinvd_since(p->ctx, p->dirty_ns))
		return PSP_RET_WBINVD_REQUIRED;
	for (i = 1; i <= p->cfg.max_asid; i++)
		if (p->asid[i].use == PSP_ASID_DIRTY)
			p->asid[i].use = PSP_ASID_FREE;
	return PSP_RET_SUCCESS;
}

PSP_HANDLER(download_firmware)
{
	const struct psp_abi_buffer *c = buf;

	(void)g;
	/* Hygon takes it in INIT as well, from build 1667. */
	if (p->state == PSP_INIT &&
	    (p->cfg.profile != PSP_HYGON || p->cfg.build < 1667))
		return PSP_RET_INVALID_PLATFORM_STATE;
	if (!c->len || c->len > FIRMWARE_MAX)
		return PSP_RET_INVALID_LEN;
	if (psp_mem_probe(p, c->address, c->len) < 0)
		return PSP_RET_INVALID_ADDRESS;
	/* There is no firmware to replace, so no image is a right one. */
	return PSP_RET_BAD_SIGNATURE;
}

PSP_HANDLER(get_id)
{
	struct psp_abi_buffer *c = buf;
	uint8_t id[PSP_ID_SIZE] = { 0 };
	bool fits = c->len >= sizeof(id);

	(void)g;
	c->len = sizeof(id);
	if (!fits)
		return PSP_RET_INVALID_LEN;
	memcpy(id, p->cfg.chip_id, sizeof(p->cfg.chip_id));
	if (psp_mem_write(p, c->address, id, sizeof(id)) < 0)
		return PSP_RET_INVALID_ADDRESS;
	return PSP_RET_SUCCESS;
}
