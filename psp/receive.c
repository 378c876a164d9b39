/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking a guest over from another platform ([sev-es-emulation] G.4). */
#include <openssl/crypto.h>

#include "psp/internal.h"

#define HDR_IV 4

PSP_HANDLER(receive_start)
{
	(void)g;
	return psp_guest_start(p, buf, true);
}

/*
 * Unconfirmed: whether the firmware remembers IVs at all, and its status. A
 * packet that comes twice in one session puts old contents back; two packets
 * of one IV tell the difference of their contents.
 */
static uint16_t fresh(struct psp_guest *g, const uint8_t *iv)
{
	if (psp_ivset_has(&g->ivs, iv))
		return PSP_RET_BAD_MEASUREMENT;
	return psp_lib_status(psp_ivset_reserve(&g->ivs));
}

static uint16_t open_packet(struct psp *p, struct psp_guest *g,
			    const struct psp_abi_packet *c,
			    enum psp_packet kind, uint8_t *page)
{
	uint8_t hdr[PSP_HDR_SIZE];
	uint16_t status;

	if (psp_mem_read(p, c->hdr_address, hdr, sizeof(hdr)) < 0 ||
	    psp_mem_read(p, c->trans_address, page, c->trans_len) < 0)
		return PSP_RET_INVALID_ADDRESS;
	status = psp_lib_status(psp_packet_open(
		g->ch, kind, hdr, page, page, c->trans_len, c->guest_len, NULL));
	if (status == PSP_RET_SUCCESS)
		status = fresh(g, hdr + HDR_IV);
	if (status != PSP_RET_SUCCESS)
		return status;
	if (psp_guest_write(p, g, c->guest_address, page, c->guest_len) < 0)
		return PSP_RET_INVALID_ADDRESS;
	psp_ivset_add(&g->ivs, hdr + HDR_IV);
	psp_stats_pages(p, c->guest_len);
	p->stats.bytes_received += c->guest_len;
	return PSP_RET_SUCCESS;
}

static uint16_t receive(struct psp *p, struct psp_guest *g,
			const struct psp_abi_packet *c, enum psp_packet kind)
{
	uint64_t pa = psp_pa(p, c->guest_address);
	uint8_t page[PSP_PAGE];
	uint16_t status;

	if (c->hdr_len != PSP_HDR_SIZE || c->trans_len != c->guest_len)
		return PSP_RET_INVALID_LEN;
	if (!psp_has_cbit(p, c->guest_address) || pa % 16 ||
	    pa % PSP_PAGE + c->guest_len > PSP_PAGE)
		return PSP_RET_INVALID_ADDRESS;
	status = open_packet(p, g, c, kind, page);
	OPENSSL_cleanse(page, c->guest_len);
	return status;
}

PSP_HANDLER(receive_update_data)
{
	const struct psp_abi_packet *c = buf;

	if (!c->guest_len || c->guest_len % 16 || c->guest_len > PSP_PAGE)
		return PSP_RET_INVALID_LEN;
	return receive(p, g, c, PSP_PACKET_DATA);
}

PSP_HANDLER(receive_update_vmsa)
{
	const struct psp_abi_packet *c = buf;
	uint16_t status;

	if (c->guest_len != PSP_PAGE)
		return PSP_RET_INVALID_LEN;
	status = receive(p, g, c, PSP_PACKET_VMSA);
	return status ? status : psp_vmsa_made(p, g, c->guest_address);
}

PSP_HANDLER(receive_finish)
{
	(void)p;
	(void)buf;
	psp_guest_drop_session(g);
	g->state = PSP_G_RUNNING;
	return PSP_RET_SUCCESS;
}
