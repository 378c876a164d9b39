/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who the platform is: CEK from the chip id, OCA and PEK from its owner or
 * itself, PDH anew at each INIT.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "psp/internal.h"

uint16_t psp_lib_status(int err)
{
	switch (err) {
	case 0:
		return PSP_RET_SUCCESS;
	case -EBADMSG:
		return PSP_RET_BAD_MEASUREMENT;
	case -EINVAL:
		return PSP_RET_INVALID_PARAM;
	case -EOPNOTSUPP:
		return PSP_RET_UNSUPPORTED;
	case -ENOMEM:
		return PSP_RET_RESOURCE_LIMIT;
	default:
		return PSP_RET_HWERROR_PLATFORM;
	}
}

uint16_t psp_cert_status(int err)
{
	switch (err) {
	case -EBADMSG:
		return PSP_RET_BAD_SIGNATURE;
	case -EINVAL:
	case -ENOENT:
	case -ENOSPC:
		return PSP_RET_INVALID_CERTIFICATE;
	default:
		return psp_lib_status(err);
	}
}

static int make_cert(struct psp *p, const struct psp_ec_key *key,
		     enum psp_cert_usage usage, uint8_t *cert)
{
	return psp_cert_make(p->suite, key, usage, p->cfg.api_major,
			     p->cfg.api_minor, cert);
}

int psp_identity_chip(struct psp *p)
{
	static const char label[] = "csvvmm-cek";
	uint8_t seed[sizeof(label) + sizeof(p->cfg.chip_id)];
	struct psp_ec_key *ask = NULL;
	int r;

	memcpy(seed, label, sizeof(label));
	memcpy(seed + sizeof(label), p->cfg.chip_id, sizeof(p->cfg.chip_id));
	r = psp_ec_from_seed(p->suite, seed, sizeof(seed), &p->cek);
	if (r == 0)
		r = psp_root_key(p->suite, PSP_USAGE_ASK, &ask);
	if (r == 0)
		r = make_cert(p, p->cek, PSP_USAGE_CEK, p->cek_cert);
	if (r == 0)
		r = psp_cert_sign(p->suite, p->cek_cert, ask, PSP_USAGE_ASK);
	psp_ec_free(ask);
	OPENSSL_cleanse(seed, sizeof(seed));
	return r;
}

static void identity_free(struct psp_identity *id)
{
	psp_ec_free(id->oca);
	psp_ec_free(id->pek);
	psp_ec_free(id->pdh);
	OPENSSL_cleanse(id, sizeof(*id));
}

static int make_oca(struct psp *p, struct psp_identity *id)
{
	int r = psp_ec_generate(p->suite, &p->ops, p->ctx, &id->oca);

	if (r == 0)
		r = make_cert(p, id->oca, PSP_USAGE_OCA, id->oca_cert);
	if (r == 0)
		r = psp_cert_sign(p->suite, id->oca_cert, id->oca, PSP_USAGE_OCA);
	return r;
}

static int make_pek(struct psp *p, struct psp_identity *id)
{
	int r = psp_ec_generate(p->suite, &p->ops, p->ctx, &id->pek);

	if (r == 0)
		r = make_cert(p, id->pek, PSP_USAGE_PEK, id->pek_cert);
	if (r == 0)
		r = psp_cert_sign(p->suite, id->pek_cert, id->oca, PSP_USAGE_OCA);
	if (r == 0)
		r = psp_cert_sign(p->suite, id->pek_cert, p->cek, PSP_USAGE_CEK);
	return r;
}

static int make_pdh(struct psp *p, const struct psp_ec_key *pek,
		    struct psp_ec_key **pdh, uint8_t *cert)
{
	int r = psp_ec_generate(p->suite, &p->ops, p->ctx, pdh);

	if (r == 0)
		r = make_cert(p, *pdh, PSP_USAGE_PDH, cert);
	if (r == 0)
		r = psp_cert_sign(p->suite, cert, pek, PSP_USAGE_PEK);
	return r;
}

int psp_identity_make(struct psp *p)
{
	struct psp_identity id = { .present = true };
	int r = make_oca(p, &id);

	if (r == 0)
		r = make_pek(p, &id);
	if (r == 0)
		r = make_pdh(p, id.pek, &id.pdh, id.pdh_cert);
	if (r < 0) {
		identity_free(&id);
		return r;
	}
	identity_free(&p->id);
	p->id = id;
	return 0;
}

int psp_identity_pdh(struct psp *p)
{
	uint8_t cert[PSP_CERT_SIZE];
	struct psp_ec_key *pdh = NULL;
	int r = make_pdh(p, p->id.pek, &pdh, cert);

	if (r < 0) {
		psp_ec_free(pdh);
		return r;
	}
	psp_ec_free(p->id.pdh);
	p->id.pdh = pdh;
	memcpy(p->id.pdh_cert, cert, sizeof(cert));
	return 0;
}

void psp_identity_erase(struct psp *p)
{
	identity_free(&p->id);
}
