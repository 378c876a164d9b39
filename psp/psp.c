/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "psp/psp.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "psp/internal.h"

void psp_config_default(struct psp_config *cfg, enum psp_profile profile)
{
	*cfg = (struct psp_config){
		.profile = profile,
		.cbit = 47,
		.max_asid = 15,
		.min_sev_asid = 6,
		.api_major = profile == PSP_AMD ? 0 : 1,
		.api_minor = profile == PSP_AMD ? 24 : 3,
		/* Hygon: rings, but no overcommit yet ([csv-abi] 2.3). */
		.build = profile == PSP_AMD ? 24 : 2166,
	};
}

int psp_create(const struct psp_config *cfg, const struct psp_ops *ops,
	       void *ctx, struct psp **ret_psp)
{
	struct psp *p;
	int r;

	if (!cfg->max_asid || cfg->max_asid > PSP_ASID_LIMIT || cfg->cbit > 63)
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->cfg = *cfg;
	p->ops = *ops;
	p->ctx = ctx;
	p->suite = psp_suite(cfg->profile);
	p->asid = calloc((size_t)cfg->max_asid + 1, sizeof(*p->asid));
	r = p->asid ? psp_identity_chip(p) : -ENOMEM;
	if (r < 0) {
		psp_destroy(p);
		return r;
	}
	*ret_psp = p;
	return 0;
}

void psp_destroy(struct psp *p)
{
	if (!p)
		return;
	if (p->asid)
		(void)psp_do_shutdown(p, NULL, NULL);
	psp_identity_erase(p);
	psp_ec_free(p->cek);
	free(p->asid);
	OPENSSL_cleanse(p, sizeof(*p));
	free(p);
}

bool psp_in_ring_mode(const struct psp *p)
{
	return p->ring.active;
}

bool psp_asid_may_run(const struct psp *p, uint32_t asid)
{
	const struct psp_guest *g;
	unsigned i;

	for (i = 0; asid && i < PSP_GUESTS_MAX; i++) {
		g = p->guest[i];
		if (g && g->asid == asid &&
		    (g->state == PSP_G_RUNNING || g->state == PSP_G_SUPDATE))
			return true;
	}
	return false;
}
