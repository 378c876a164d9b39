/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ASIDs: FREE, OWNED by ACTIVATE, DIRTY by DEACTIVATE, and FREE again after
 * WBINVD everywhere and DF_FLUSH ([sev-es-emulation] G.9).
 */
#include <openssl/crypto.h>
#include <string.h>

#include "psp/internal.h"

static bool asid_fits(const struct psp *p, const struct psp_guest *g,
		      uint32_t asid)
{
	bool all = p->cfg.profile == PSP_HYGON &&
		   p->cfg.build >= PSP_BUILD_CSV2_ALL;

	if (!asid || asid > p->cfg.max_asid)
		return false;
	if (g->policy & PSP_POLICY_ES)
		return all || asid < p->cfg.min_sev_asid;
	return asid >= p->cfg.min_sev_asid;
}

static const struct psp_guest *asid_owner(const struct psp *p, uint32_t asid)
{
	unsigned i;

	for (i = 0; i < PSP_GUESTS_MAX; i++)
		if (p->guest[i] && p->guest[i]->asid == asid)
			return p->guest[i];
	return NULL;
}

#define REUSE_MASK (PSP_POLICY_REUSE_ASID | PSP_POLICY_NOKS)

/*
 * Who may join an ASID in use: guests that share its key. And on Hygon those
 * whose policy says REUSE_ASID, as that of all in it; an ASID has one key, so
 * the new guest takes it over, before it has anything encrypted with its own.
 * Unconfirmed, all of it.
 */
static bool join(const struct psp *p, struct psp_guest *g, uint32_t asid)
{
	const struct psp_guest *o = asid_owner(p, asid);

	if (!o)
		return false;
	if (CRYPTO_memcmp(o->vek, g->vek, sizeof(g->vek)) == 0)
		return true;
	if (g->was_active || p->cfg.profile != PSP_HYGON ||
	    (g->policy & REUSE_MASK) != PSP_POLICY_REUSE_ASID ||
	    (o->policy & REUSE_MASK) != PSP_POLICY_REUSE_ASID)
		return false;
	memcpy(g->vek, o->vek, sizeof(g->vek));
	return true;
}

PSP_HANDLER(activate)
{
	const struct psp_abi_activate *c = buf;
	struct psp_asid *a;

	if (!asid_fits(p, g, c->asid))
		return PSP_RET_INVALID_ASID;
	if (g->asid)
		return PSP_RET_ACTIVE;
	a = &p->asid[c->asid];
	if (a->use == PSP_ASID_DIRTY)
		return PSP_RET_DFFLUSH_REQUIRED;
	if (a->use == PSP_ASID_OWNED && !join(p, g, c->asid))
		return PSP_RET_ASID_OWNED;
	if (p->ops.set_key && a->use == PSP_ASID_FREE &&
	    p->ops.set_key(p->ctx, c->asid, g->vek) < 0)
		return PSP_RET_HWERROR_PLATFORM;
	a->use = PSP_ASID_OWNED;
	a->users++;
	g->asid = c->asid;
	g->was_active = true;
	return PSP_RET_SUCCESS;
}

PSP_HANDLER(deactivate)
{
	struct psp_asid *a = &p->asid[g->asid];

	(void)buf;
	if (!g->asid)
		return PSP_RET_INACTIVE;
	if (--a->users == 0) {
		a->use = PSP_ASID_DIRTY;
		if (p->ops.now_ns)
			p->dirty_ns = p->ops.now_ns(p->ctx);
		/* A platform that can't take it out is broken either way. */
		if (p->ops.set_key)
			(void)p->ops.set_key(p->ctx, g->asid, NULL);
	}
	g->asid = 0;
	return PSP_RET_SUCCESS;
}
