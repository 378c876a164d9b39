/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest table, handles, and how a guest's life begins and ends. */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "psp/internal.h"

#define CERT_PUBKEY	 16
#define CERT_PUBKEY_SIZE 1028

struct psp_guest *psp_guest_find(const struct psp *p, uint32_t handle)
{
	unsigned i;

	for (i = 0; handle && i < PSP_GUESTS_MAX; i++)
		if (p->guest[i] && p->guest[i]->handle == handle)
			return p->guest[i];
	return NULL;
}

void psp_guest_drop_session(struct psp_guest *g)
{
	psp_channel_free(g->ch);
	g->ch = NULL;
	OPENSSL_cleanse(g->tik, sizeof(g->tik));
	psp_ivset_clear(&g->ivs);
}

static void guest_free(struct psp_guest *g)
{
	if (!g)
		return;
	psp_guest_drop_session(g);
	psp_hash_free(g->ld);
	OPENSSL_cleanse(g, sizeof(*g));
	free(g);
}

void psp_guest_delete(struct psp *p, struct psp_guest *g)
{
	unsigned i;

	for (i = 0; i < PSP_GUESTS_MAX; i++)
		if (p->guest[i] == g)
			p->guest[i] = NULL;
	guest_free(g);
	if (--p->n_guests == 0)
		p->state = PSP_INIT;
}

static uint16_t policy_check(const struct psp *p, uint32_t policy)
{
	uint32_t rsvd = p->cfg.profile == PSP_HYGON ? 0xff00 : 0xffc0;
	uint32_t need = policy >> PSP_POLICY_API_SHIFT;
	uint32_t have = p->cfg.api_major << 8 | p->cfg.api_minor;

	if (policy & rsvd)
		return PSP_RET_INVALID_PARAM;
	if (((need & 0xff) << 8 | need >> 8) > have)
		return PSP_RET_POLICY_FAILURE;
	/* Unconfirmed: POLICY_FAILURE or UNSUPPORTED. */
	if (((policy & PSP_POLICY_ES) && !p->es) ||
	    (policy & PSP_POLICY_CSV3 & ~rsvd))
		return PSP_RET_UNSUPPORTED;
	return PSP_RET_SUCCESS;
}

/* Unconfirmed: both sides must allow it, and agree on the policy. */
static uint16_t share_check(const struct psp_guest *with, uint32_t policy)
{
	if (!with)
		return PSP_RET_INVALID_GUEST;
	if (with->state == PSP_G_SENT)
		return PSP_RET_INVALID_GUEST_STATE;
	if ((with->policy & PSP_POLICY_NOKS) || policy != with->policy)
		return PSP_RET_POLICY_FAILURE;
	return PSP_RET_SUCCESS;
}

static uint16_t session_unwrap(struct psp *p, struct psp_guest *g,
			       const struct psp_abi_start *c,
			       struct psp_transport *keys)
{
	uint8_t cert[PSP_CERT_SIZE], blob[PSP_SESSION_SIZE];
	struct psp_part part = { cert + CERT_PUBKEY, CERT_PUBKEY_SIZE };
	int r;

	if (c->cert_len != sizeof(cert) || c->session_len != sizeof(blob))
		return PSP_RET_INVALID_LEN;
	if (psp_mem_read(p, c->cert_address, cert, sizeof(cert)) < 0 ||
	    psp_mem_read(p, c->session_address, blob, sizeof(blob)) < 0)
		return PSP_RET_INVALID_ADDRESS;
	r = psp_cert_check(p->suite, cert, PSP_USAGE_PDH);
	if (r < 0)
		return psp_cert_status(r);
	r = psp_digest(p->suite, &part, 1, g->owner_digest);
	if (r == 0)
		r = psp_session_open(p->suite, p->id.pdh, cert, g->policy, blob,
				     keys);
	return psp_lib_status(r);
}

/* Transport keys: from the session, or random in a launch without one. */
static uint16_t session_start(struct psp *p, struct psp_guest *g,
			      const struct psp_abi_start *c, bool receive)
{
	struct psp_transport keys = { 0 };
	uint16_t status = PSP_RET_SUCCESS;

	if (receive || c->cert_len || c->session_len)
		status = session_unwrap(p, g, c, &keys);
	else if (p->ops.random(p->ctx, &keys, sizeof(keys)) < 0)
		status = PSP_RET_HWERROR_PLATFORM;
	if (status == PSP_RET_SUCCESS) {
		memcpy(g->tik, keys.tik, sizeof(g->tik));
		status = psp_lib_status(psp_channel_new(p->suite, &keys, &g->ch));
	}
	OPENSSL_cleanse(&keys, sizeof(keys));
	return status;
}

static uint16_t guest_make(struct psp *p, const struct psp_abi_start *c,
			   bool receive, struct psp_guest **ret_g)
{
	struct psp_guest *with = NULL, *g;
	uint16_t status;
	int r = 0;

	if (c->handle) {
		with = psp_guest_find(p, c->handle);
		status = share_check(with, c->policy);
		if (status != PSP_RET_SUCCESS)
			return status;
	}
	g = calloc(1, sizeof(*g));
	if (!g)
		return PSP_RET_RESOURCE_LIMIT;
	g->policy = c->policy;
	g->state = receive ? PSP_G_RUPDATE : PSP_G_LUPDATE;
	status = session_start(p, g, c, receive);
	if (with)
		memcpy(g->vek, with->vek, sizeof(g->vek));
	else
		r = p->ops.random(p->ctx, g->vek, sizeof(g->vek));
	if (r >= 0 && !receive)
		r = psp_hash_new(p->suite, &g->ld);
	if (status == PSP_RET_SUCCESS && r < 0)
		status = PSP_RET_HWERROR_PLATFORM;
	if (status == PSP_RET_SUCCESS)
		*ret_g = g;
	else
		guest_free(g);
	return status;
}

uint16_t psp_guest_start(struct psp *p, struct psp_abi_start *c, bool receive)
{
	struct psp_guest **slot = NULL;
	uint16_t status;
	unsigned i;

	status = policy_check(p, c->policy);
	if (status != PSP_RET_SUCCESS)
		return status;
	for (i = 0; i < PSP_GUESTS_MAX && !slot; i++)
		if (!p->guest[i])
			slot = &p->guest[i];
	if (!slot)
		return PSP_RET_RESOURCE_LIMIT;
	status = guest_make(p, c, receive, slot);
	if (status != PSP_RET_SUCCESS)
		return status;
	/* The new guest's own handle is still 0, which find() never finds. */
	do
		p->last_handle++;
	while (!p->last_handle || psp_guest_find(p, p->last_handle));
	(*slot)->handle = c->handle = p->last_handle;
	p->n_guests++;
	p->state = PSP_WORKING;
	return PSP_RET_SUCCESS;
}

PSP_HANDLER(decommission)
{
	(void)buf;
	if (g->asid)
		return PSP_RET_ACTIVE;
	psp_guest_delete(p, g);
	return PSP_RET_SUCCESS;
}

PSP_HANDLER(guest_status)
{
	struct psp_abi_guest_status *c = buf;

	(void)p;
	c->policy = g->policy;
	c->asid = g->asid;
	c->state = (uint8_t)g->state;
	return PSP_RET_SUCCESS;
}
