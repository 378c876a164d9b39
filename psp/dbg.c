/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading and writing a guest that allows to be debugged. */
#include <openssl/crypto.h>

#include "psp/internal.h"

static int copy(struct psp *p, const struct psp_guest *g, uint64_t dst,
		uint64_t src, uint32_t n, bool decrypt)
{
	uint8_t page[PSP_PAGE];
	int r;

	r = decrypt ? psp_guest_read(p, g, src, page, n)
		    : psp_mem_read(p, src, page, n);
	if (r >= 0)
		r = decrypt ? psp_mem_write(p, dst, page, n)
			    : psp_guest_write(p, g, dst, page, n);
	OPENSSL_cleanse(page, n);
	return r;
}

static uint16_t dbg(struct psp *p, const struct psp_guest *g,
		    const struct psp_abi_dbg *c, bool decrypt)
{
	uint64_t src = psp_pa(p, c->src), dst = psp_pa(p, c->dst);
	uint32_t done, n;

	if (g->policy & PSP_POLICY_NODBG)
		return PSP_RET_POLICY_FAILURE;
	if (!c->len || c->len % 16)
		return PSP_RET_INVALID_LEN;
	if (src % 16 || dst % 16 || psp_mem_probe(p, src, c->len) < 0 ||
	    psp_mem_probe(p, dst, c->len) < 0)
		return PSP_RET_INVALID_ADDRESS;
	psp_stats_pages(p, c->len);
	for (done = 0; done < c->len; done += n) {
		n = PSP_MIN(PSP_PAGE, c->len - done);
		if (copy(p, g, dst + done, src + done, n, decrypt) < 0)
			return PSP_RET_INVALID_ADDRESS;
	}
	return PSP_RET_SUCCESS;
}

PSP_HANDLER(dbg_decrypt)
{
	return dbg(p, g, buf, true);
}

PSP_HANDLER(dbg_encrypt)
{
	return dbg(p, g, buf, false);
}
