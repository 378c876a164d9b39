/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The measured launch ([sev-es-emulation] G.4, G.7). */
#include <openssl/crypto.h>
#include <string.h>

#include "psp/internal.h"

PSP_HANDLER(launch_start)
{
	(void)g;
	return psp_guest_start(p, buf, false);
}

/* Hash the plain bytes and put them back encrypted, page by page. */
static uint16_t update(struct psp *p, struct psp_guest *g, uint64_t address,
		       uint32_t len)
{
	uint8_t page[PSP_PAGE];
	uint32_t done, n;
	int r;

	if (psp_mem_probe(p, address, len) < 0)
		return PSP_RET_INVALID_ADDRESS;
	address = psp_pa(p, address);
	psp_stats_pages(p, len);
	for (done = 0; done < len; done += n) {
		n = PSP_PAGE - (address + done) % PSP_PAGE;
		n = PSP_MIN(n, len - done);
		if (psp_mem_read(p, address + done, page, n) < 0)
			return PSP_RET_INVALID_ADDRESS;
		r = psp_hash_update(g->ld, page, n);
		if (r < 0)
			return psp_lib_status(r);
		/* Memory that can be read but not written leaves a digest that
		 * covers what is not there: nobody can use such a guest. */
		if (psp_guest_write(p, g, address + done, page, n) < 0)
			return PSP_RET_INVALID_ADDRESS;
		p->stats.bytes_hashed += n;
	}
	return PSP_RET_SUCCESS;
}

PSP_HANDLER(launch_update_data)
{
	const struct psp_abi_launch *c = buf;

	if (!c->len || c->len % 16)
		return PSP_RET_INVALID_LEN;
	if (psp_pa(p, c->address) % 16)
		return PSP_RET_INVALID_ADDRESS;
	return update(p, g, c->address, c->len);
}

PSP_HANDLER(launch_update_vmsa)
{
	const struct psp_abi_launch *c = buf;
	uint16_t status;

	if (c->len != PSP_PAGE)
		return PSP_RET_INVALID_LEN;
	if (psp_pa(p, c->address) % PSP_PAGE)
		return PSP_RET_INVALID_ADDRESS;
	status = update(p, g, c->address, c->len);
	return status ? status : psp_vmsa_made(p, g, c->address);
}

PSP_HANDLER(launch_measure)
{
	struct psp_abi_launch *c = buf;
	uint8_t digest[PSP_DIGEST_SIZE], out[PSP_MEASURE_SIZE];
	bool fits = c->len >= sizeof(out);
	int r;

	c->len = sizeof(out);
	if (!fits)
		return PSP_RET_INVALID_LEN;
	if (p->ops.random(p->ctx, out + PSP_MAC_SIZE, PSP_NONCE_SIZE) < 0)
		return PSP_RET_HWERROR_PLATFORM;
	r = psp_hash_peek(g->ld, digest);
	/* Which byte of Hygon's 31-bit build: unconfirmed, the lowest here. */
	if (r == 0)
		r = psp_measure(p->suite, g->tik, p->cfg.api_major,
				p->cfg.api_minor, p->cfg.build & 0xff,
				g->policy, digest, out + PSP_MAC_SIZE, out);
	if (r < 0)
		return psp_lib_status(r);
	if (psp_mem_write(p, c->address, out, sizeof(out)) < 0)
		return PSP_RET_INVALID_ADDRESS;
	memcpy(g->digest, digest, sizeof(digest));
	memcpy(g->measure, out, sizeof(g->measure));
	g->state = PSP_G_LSECRET;
	return PSP_RET_SUCCESS;
}

static uint16_t secret_open(struct psp *p, struct psp_guest *g,
			    const struct psp_abi_packet *c, uint8_t *data)
{
	struct psp_part measure = { g->measure, sizeof(g->measure) };
	uint8_t hdr[PSP_HDR_SIZE];
	int r;

	if (psp_mem_read(p, c->hdr_address, hdr, sizeof(hdr)) < 0 ||
	    psp_mem_read(p, c->trans_address, data, c->trans_len) < 0)
		return PSP_RET_INVALID_ADDRESS;
	r = psp_packet_open(g->ch, PSP_PACKET_SECRET, hdr, data, data,
			    c->trans_len, c->guest_len, &measure);
	if (r < 0)
		return psp_lib_status(r);
	if (psp_guest_write(p, g, c->guest_address, data, c->guest_len) < 0)
		return PSP_RET_INVALID_ADDRESS;
	psp_stats_pages(p, c->guest_len);
	return PSP_RET_SUCCESS;
}

PSP_HANDLER(launch_secret)
{
	const struct psp_abi_packet *c = buf;
	uint8_t data[PSP_SECRET_MAX];
	uint16_t status;

	if (c->hdr_len != PSP_HDR_SIZE || !c->guest_len || c->guest_len % 16 ||
	    c->guest_len > sizeof(data) || c->trans_len != c->guest_len)
		return PSP_RET_INVALID_LEN;
	if (psp_pa(p, c->guest_address) % 16 ||
	    psp_mem_probe(p, c->guest_address, c->guest_len) < 0)
		return PSP_RET_INVALID_ADDRESS;
	status = secret_open(p, g, c, data);
	OPENSSL_cleanse(data, c->guest_len);
	return status;
}

PSP_HANDLER(launch_finish)
{
	(void)p;
	(void)buf;
	psp_guest_drop_session(g);
	g->state = PSP_G_RUNNING;
	return PSP_RET_SUCCESS;
}
