/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handing a guest to another platform ([sev-es-emulation] G.4). */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "psp/internal.h"

#define CERT_BODY 0x414

/**
 * struct target - Certificates of the platform to send to
 * @chain:	PEK, OCA, CEK
 */
struct target {
	uint8_t pdh[PSP_CERT_SIZE];
	uint8_t chain[PSP_CHAIN_SIZE];
	uint8_t root[PSP_ROOT_CHAIN_MAX];
};

static uint16_t target_read(struct psp *p, const struct psp_abi_send_start *c,
			    struct target *t)
{
	if (c->pdh_len != sizeof(t->pdh) || c->plat_len != sizeof(t->chain) ||
	    c->amd_len > sizeof(t->root))
		return PSP_RET_INVALID_LEN;
	if (psp_mem_read(p, c->pdh_address, t->pdh, sizeof(t->pdh)) < 0 ||
	    psp_mem_read(p, c->plat_address, t->chain, sizeof(t->chain)) < 0 ||
	    (c->amd_len &&
	     psp_mem_read(p, c->amd_address, t->root, c->amd_len) < 0))
		return PSP_RET_INVALID_ADDRESS;
	return PSP_RET_SUCCESS;
}

/*
 * The chain up to the CEK is always verified, which is stricter than the
 * policy bits alone ask for (unconfirmed what the firmware does without
 * them). Bit SEV adds the vendor's root, bit DOMAIN the same owner.
 */
static uint16_t target_verify(struct psp *p, const struct psp_guest *g,
			      const struct target *t, uint32_t root_len)
{
	const uint8_t *oca = t->chain + PSP_CERT_SIZE;
	const uint8_t *cek = oca + PSP_CERT_SIZE;
	int r = psp_chain_verify(p->suite, t->pdh, t->chain);

	if (r == 0)
		r = psp_cert_check(p->suite, t->pdh, PSP_USAGE_PDH);
	if (r == 0 && (g->policy & PSP_POLICY_SEV))
		r = psp_root_verify(p->suite, t->root, root_len, NULL, 0, cek);
	if (r < 0)
		return psp_cert_status(r);
	if ((g->policy & PSP_POLICY_DOMAIN) &&
	    memcmp(oca, p->id.oca_cert, CERT_BODY) != 0)
		return PSP_RET_POLICY_FAILURE;
	return PSP_RET_SUCCESS;
}

static uint16_t session_make(struct psp *p, struct psp_guest *g,
			     const struct target *t, uint64_t address)
{
	struct psp_transport keys;
	struct psp_channel *ch = NULL;
	uint8_t blob[PSP_SESSION_SIZE];
	uint16_t status;
	int r = 0;

	if (p->ops.random(p->ctx, &keys, sizeof(keys)) < 0)
		r = -EIO;
	if (r == 0)
		r = psp_session_make(p->suite, &p->ops, p->ctx, p->id.pdh,
				     t->pdh, g->policy, &keys, blob);
	if (r == 0)
		r = psp_channel_new(p->suite, &keys, &ch);
	OPENSSL_cleanse(&keys, sizeof(keys));
	status = psp_lib_status(r);
	if (r == 0 && psp_mem_write(p, address, blob, sizeof(blob)) < 0)
		status = PSP_RET_INVALID_ADDRESS;
	if (status == PSP_RET_SUCCESS)
		g->ch = ch;
	else
		psp_channel_free(ch);
	return status;
}

PSP_HANDLER(send_start)
{
	struct psp_abi_send_start *c = buf;
	bool fits = c->session_len >= PSP_SESSION_SIZE;
	struct target t;
	uint16_t status;

	if (g->policy & PSP_POLICY_NOSEND)
		return PSP_RET_POLICY_FAILURE;
	c->session_len = PSP_SESSION_SIZE;
	if (!fits)
		return PSP_RET_INVALID_LEN;
	status = target_read(p, c, &t);
	if (status == PSP_RET_SUCCESS)
		status = target_verify(p, g, &t, c->amd_len);
	if (status == PSP_RET_SUCCESS)
		status = session_make(p, g, &t, c->session_address);
	if (status != PSP_RET_SUCCESS)
		return status;
	c->policy = g->policy;
	g->state = PSP_G_SUPDATE;
	return PSP_RET_SUCCESS;
}

static uint16_t seal(struct psp *p, struct psp_guest *g,
		     const struct psp_abi_packet *c, enum psp_packet kind)
{
	uint8_t hdr[PSP_HDR_SIZE], page[PSP_PAGE];
	int r;

	if (psp_guest_read(p, g, c->guest_address, page, c->guest_len) < 0)
		return PSP_RET_INVALID_ADDRESS;
	r = psp_packet_seal(g->ch, &p->ops, p->ctx, kind, page, page,
			    c->guest_len, NULL, hdr);
	if (r < 0) {
		OPENSSL_cleanse(page, c->guest_len);
		return psp_lib_status(r);
	}
	if (psp_mem_write(p, c->hdr_address, hdr, sizeof(hdr)) < 0 ||
	    psp_mem_write(p, c->trans_address, page, c->guest_len) < 0)
		return PSP_RET_INVALID_ADDRESS;
	psp_stats_pages(p, c->guest_len);
	p->stats.bytes_sent += c->guest_len;
	return PSP_RET_SUCCESS;
}

/* A query answers for one page when it does not say how much. */
static bool lengths(struct psp_abi_packet *c)
{
	uint32_t need = c->guest_len ? c->guest_len : PSP_PAGE;
	bool fits = c->guest_len && c->hdr_len >= PSP_HDR_SIZE &&
		    c->trans_len >= need;

	c->hdr_len = PSP_HDR_SIZE;
	c->trans_len = need;
	return fits;
}

PSP_HANDLER(send_update_data)
{
	struct psp_abi_packet *c = buf;
	uint64_t pa = psp_pa(p, c->guest_address);

	if (c->guest_len % 16 || c->guest_len > PSP_PAGE || !lengths(c))
		return PSP_RET_INVALID_LEN;
	/* A query is answered before SEND_START, too: Hygon's QEMU relies on it. */
	if (g->state != PSP_G_SUPDATE)
		return PSP_RET_INVALID_GUEST_STATE;
	if (!psp_has_cbit(p, c->guest_address) || pa % 16 ||
	    pa % PSP_PAGE + c->guest_len > PSP_PAGE)
		return PSP_RET_INVALID_ADDRESS;
	return seal(p, g, c, PSP_PACKET_DATA);
}

PSP_HANDLER(send_update_vmsa)
{
	struct psp_abi_packet *c = buf;

	if ((c->guest_len && c->guest_len != PSP_PAGE) || !lengths(c))
		return PSP_RET_INVALID_LEN;
	/* A query is answered before SEND_START, too: Hygon's QEMU relies on it. */
	if (g->state != PSP_G_SUPDATE)
		return PSP_RET_INVALID_GUEST_STATE;
	if (!psp_has_cbit(p, c->guest_address) ||
	    psp_pa(p, c->guest_address) % PSP_PAGE)
		return PSP_RET_INVALID_ADDRESS;
	return seal(p, g, c, PSP_PACKET_VMSA);
}

PSP_HANDLER(send_finish)
{
	(void)p;
	(void)buf;
	psp_guest_drop_session(g);
	g->state = PSP_G_SENT;
	return PSP_RET_SUCCESS;
}

PSP_HANDLER(send_cancel)
{
	(void)p;
	(void)buf;
	psp_guest_drop_session(g);
	g->state = PSP_G_RUNNING;
	return PSP_RET_SUCCESS;
}
