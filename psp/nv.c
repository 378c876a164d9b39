/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The non-volatile store of INIT_EX: OCA and PEK in the host's memory, sealed
 * for this chip. The real format is not public; this is the model's own, at
 * the start of the 32 KiB. All ones is a blank store, as Linux makes it.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "psp/internal.h"

PSP_ABI(4340, psp_nv, char magic[8]; uint32_t version; uint32_t owned;
	uint8_t iv[PSP_IV_SIZE]; uint8_t sealed[2 * PSP_EC_SECRET_SIZE];
	uint8_t rsvd[12]; uint8_t oca_cert[PSP_CERT_SIZE];
	uint8_t pek_cert[PSP_CERT_SIZE]; uint8_t mac[PSP_MAC_SIZE];);

struct nv_keys {
	uint8_t enc[PSP_KEY_SIZE];
	uint8_t mac[PSP_MAC_SIZE];
};

static const char magic[8] = "CSVVMMNV";

static int nv_keys(struct psp *p, struct nv_keys *k)
{
	uint8_t secret[PSP_EC_SECRET_SIZE];
	int r = psp_ec_export(p->cek, secret);

	if (r == 0)
		r = psp_kdf(p->suite, secret, sizeof(secret), "csvvmm-nv", NULL,
			    0, k, sizeof(*k));
	OPENSSL_cleanse(secret, sizeof(secret));
	return r;
}

static int nv_mac(struct psp *p, const struct nv_keys *k,
		  const struct psp_nv *nv, uint8_t mac[PSP_MAC_SIZE])
{
	struct psp_part part = { nv, offsetof(struct psp_nv, mac) };

	return psp_mac(p->suite, k->mac, sizeof(k->mac), &part, 1, mac);
}

static int unseal(struct psp *p, const struct nv_keys *k,
		  const struct psp_nv *nv, struct psp_identity *id)
{
	uint8_t secret[2][PSP_EC_SECRET_SIZE];
	int r = psp_ctr(p->suite, k->enc, nv->iv, nv->sealed, secret,
			sizeof(secret));

	if (r == 0)
		r = psp_ec_import(p->suite, secret[0], &id->pek);
	if (r == 0 && !nv->owned)
		r = psp_ec_import(p->suite, secret[1], &id->oca);
	OPENSSL_cleanse(secret, sizeof(secret));
	if (r < 0) {
		psp_ec_free(id->pek);
		return r == -EINVAL ? -EBADMSG : r;
	}
	id->present = true;
	id->owned = nv->owned;
	memcpy(id->oca_cert, nv->oca_cert, PSP_CERT_SIZE);
	memcpy(id->pek_cert, nv->pek_cert, PSP_CERT_SIZE);
	return 0;
}

static bool is_blank(const struct psp_nv *nv)
{
	const uint8_t *b = (const uint8_t *)nv;
	size_t i;

	for (i = 0; i < sizeof(*nv); i++)
		if (b[i] != 0xff)
			return false;
	return true;
}

int psp_nv_load(struct psp *p)
{
	uint8_t mac[PSP_MAC_SIZE];
	struct psp_identity id = { 0 };
	struct nv_keys k;
	struct psp_nv nv;
	int r;

	if (psp_mem_read(p, p->nv, &nv, sizeof(nv)) < 0)
		return -EFAULT;
	if (is_blank(&nv))
		return -ENOENT;
	if (memcmp(nv.magic, magic, sizeof(magic)) != 0 || nv.version != 1)
		return -EBADMSG;
	r = nv_keys(p, &k);
	if (r == 0)
		r = nv_mac(p, &k, &nv, mac);
	if (r == 0 && CRYPTO_memcmp(mac, nv.mac, sizeof(mac)) != 0)
		r = -EBADMSG;
	if (r == 0)
		r = unseal(p, &k, &nv, &id);
	OPENSSL_cleanse(&k, sizeof(k));
	if (r < 0)
		return r;
	psp_identity_erase(p);
	p->id = id;
	return 0;
}

int psp_nv_store(struct psp *p)
{
	uint8_t secret[2][PSP_EC_SECRET_SIZE] = { 0 };
	struct psp_nv nv = { .version = 1, .owned = p->id.owned };
	struct nv_keys k;
	int r;

	if (!p->has_nv)
		return 0;
	memcpy(nv.magic, magic, sizeof(magic));
	memcpy(nv.oca_cert, p->id.oca_cert, PSP_CERT_SIZE);
	memcpy(nv.pek_cert, p->id.pek_cert, PSP_CERT_SIZE);
	r = nv_keys(p, &k);
	if (r == 0)
		r = psp_ec_export(p->id.pek, secret[0]);
	if (r == 0 && p->id.oca)
		r = psp_ec_export(p->id.oca, secret[1]);
	if (r == 0 && p->ops.random(p->ctx, nv.iv, sizeof(nv.iv)) < 0)
		r = -EIO;
	if (r == 0)
		r = psp_ctr(p->suite, k.enc, nv.iv, secret, nv.sealed,
			    sizeof(secret));
	if (r == 0)
		r = nv_mac(p, &k, &nv, nv.mac);
	OPENSSL_cleanse(secret, sizeof(secret));
	OPENSSL_cleanse(&k, sizeof(k));
	if (r == 0 && psp_mem_write(p, p->nv, &nv, sizeof(nv)) < 0)
		r = -EFAULT;
	return r;
}

int psp_nv_blank(struct psp *p)
{
	struct psp_nv nv;

	if (!p->has_nv)
		return 0;
	memset(&nv, 0xff, sizeof(nv));
	return psp_mem_write(p, p->nv, &nv, sizeof(nv)) < 0 ? -EFAULT : 0;
}
