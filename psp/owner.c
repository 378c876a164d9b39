/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys and certificates of the platform ([sev-es-emulation] G.3, G.8). */
#include <errno.h>
#include <string.h>

#include "psp/internal.h"

/* What signatures cover: all up to the first one. */
#define CERT_BODY 0x414

static uint16_t stored(struct psp *p, int err)
{
	if (err == 0)
		err = psp_nv_store(p);
	return err == -EFAULT ? PSP_RET_INVALID_ADDRESS : psp_lib_status(err);
}

/* Unconfirmed whether an externally owned platform refuses: the model goes
 * back to owning itself. */
PSP_HANDLER(pek_gen)
{
	(void)g;
	(void)buf;
	return stored(p, psp_identity_make(p));
}

PSP_HANDLER(pdh_gen)
{
	(void)g;
	(void)buf;
	return psp_lib_status(psp_identity_pdh(p));
}

static int make_csr(struct psp *p, uint8_t cert[PSP_CERT_SIZE])
{
	return psp_cert_make(p->suite, p->id.pek, PSP_USAGE_PEK,
			     p->cfg.api_major, p->cfg.api_minor, cert);
}

PSP_HANDLER(pek_csr)
{
	struct psp_abi_buffer *c = buf;
	uint8_t cert[PSP_CERT_SIZE];
	bool fits = c->len >= sizeof(cert);
	int r;

	(void)g;
	c->len = sizeof(cert);
	if (!fits)
		return PSP_RET_INVALID_LEN;
	r = make_csr(p, cert);
	if (r < 0)
		return psp_lib_status(r);
	if (psp_mem_write(p, c->address, cert, sizeof(cert)) < 0)
		return PSP_RET_INVALID_ADDRESS;
	return PSP_RET_SUCCESS;
}

/* Signed by the OCA, which signed itself, and about our own key? */
static int import_check(struct psp *p, const uint8_t *pek, const uint8_t *oca)
{
	uint8_t csr[PSP_CERT_SIZE];
	int r = make_csr(p, csr);

	if (r < 0)
		return r;
	if (memcmp(pek, csr, CERT_BODY) != 0)
		return -EINVAL;
	r = psp_cert_check(p->suite, oca, PSP_USAGE_OCA);
	if (r == 0)
		r = psp_cert_verify(p->suite, oca, oca, PSP_USAGE_OCA);
	if (r == 0)
		r = psp_cert_verify(p->suite, pek, oca, PSP_USAGE_OCA);
	return r;
}

PSP_HANDLER(pek_cert_import)
{
	const struct psp_abi_two_certs *c = buf;
	uint8_t pek[PSP_CERT_SIZE], oca[PSP_CERT_SIZE];
	int r;

	(void)g;
	if (p->id.owned)
		return PSP_RET_ALREADY_OWNED;
	if (c->cert_len != PSP_CERT_SIZE || c->more_len != PSP_CERT_SIZE)
		return PSP_RET_INVALID_LEN;
	if (psp_mem_read(p, c->cert_address, pek, sizeof(pek)) < 0 ||
	    psp_mem_read(p, c->more_address, oca, sizeof(oca)) < 0)
		return PSP_RET_INVALID_ADDRESS;
	r = import_check(p, pek, oca);
	if (r == 0)
		r = psp_cert_sign(p->suite, pek, p->cek, PSP_USAGE_CEK);
	if (r < 0)
		return psp_cert_status(r);
	psp_ec_free(p->id.oca);
	p->id.oca = NULL;
	p->id.owned = true;
	memcpy(p->id.oca_cert, oca, sizeof(oca));
	memcpy(p->id.pek_cert, pek, sizeof(pek));
	/* The PDH stays valid: the PEK's key is the same. */
	return stored(p, 0);
}

PSP_HANDLER(pdh_cert_export)
{
	struct psp_abi_two_certs *c = buf;
	bool fits = c->cert_len >= PSP_CERT_SIZE && c->more_len >= PSP_CHAIN_SIZE;
	uint64_t at = c->more_address;

	(void)g;
	c->cert_len = PSP_CERT_SIZE;
	c->more_len = PSP_CHAIN_SIZE;
	if (!fits)
		return PSP_RET_INVALID_LEN;
	if (psp_mem_write(p, c->cert_address, p->id.pdh_cert, PSP_CERT_SIZE) < 0 ||
	    psp_mem_write(p, at, p->id.pek_cert, PSP_CERT_SIZE) < 0 ||
	    psp_mem_write(p, at + PSP_CERT_SIZE, p->id.oca_cert, PSP_CERT_SIZE) <
		    0 ||
	    psp_mem_write(p, at + 2 * PSP_CERT_SIZE, p->cek_cert,
			  PSP_CERT_SIZE) < 0)
		return PSP_RET_INVALID_ADDRESS;
	return PSP_RET_SUCCESS;
}
