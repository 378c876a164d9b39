/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attestation reports ([sev-es-emulation] G.4, [csv-abi] 1.8 and 6.3). */
#include <openssl/crypto.h>
#include <string.h>

#include "psp/internal.h"

/* The nonce of a request that comes from the guest itself. */
static const uint8_t guest_magic[16] = "VM_ATTESTATION";

/* A received guest has no launch digest here: it is not part of what SEND_
 * and RECEIVE_ carry. Reported as zeros; unconfirmed. */
static int launch_digest(const struct psp_guest *g, uint8_t *digest)
{
	if (g->ld && g->state == PSP_G_LUPDATE)
		return psp_hash_peek(g->ld, digest);
	memcpy(digest, g->digest, PSP_DIGEST_SIZE);
	return 0;
}

static uint16_t report_amd(struct psp *p, struct psp_guest *g,
			   const struct psp_abi_attest *c)
{
	struct psp_abi_report r = {
		.policy = g->policy,
		.sig_usage = PSP_USAGE_PEK,
		.sig_algo = psp_sig_algo(p->suite),
	};
	int err;

	memcpy(r.mnonce, c->mnonce, sizeof(r.mnonce));
	err = launch_digest(g, r.digest);
	if (err == 0)
		err = psp_ec_sign(p->suite, p->id.pek, PSP_USAGE_PEK, &r,
				  offsetof(struct psp_abi_report, sig_usage),
				  r.sig);
	if (err < 0)
		return psp_lib_status(err);
	if (psp_mem_write(p, c->address, &r, sizeof(r)) < 0)
		return PSP_RET_INVALID_ADDRESS;
	return PSP_RET_SUCCESS;
}

static void mask(void *field, size_t len, uint32_t anonce)
{
	uint8_t *b = field;
	uint32_t v;
	size_t i;

	for (i = 0; i + sizeof(v) <= len; i += sizeof(v)) {
		memcpy(&v, b + i, sizeof(v));
		v ^= anonce;
		memcpy(b + i, &v, sizeof(v));
	}
}

/*
 * Unconfirmed: signature and MAC are over the bytes as they are sent, masked;
 * the MAC covers PEK, chip id and the reserved bytes after it, keyed with the
 * plain nonce. vm_id and vm_version are zero, for nothing public says where
 * they come from; reserved2 stays clear.
 */
static int report_seal(struct psp *p, struct psp_abi_report_csv *r)
{
	uint8_t nonce[sizeof(r->mnonce)];
	struct psp_part tail = { r->pek_cert, sizeof(r->pek_cert) +
						      sizeof(r->chip_id) +
						      sizeof(r->rsvd1) };
	int err;

	memcpy(nonce, r->mnonce, sizeof(nonce));
	mask(r, offsetof(struct psp_abi_report_csv, sig_usage), r->anonce);
	mask(r->pek_cert, sizeof(r->pek_cert), r->anonce);
	mask(r->chip_id, sizeof(r->chip_id), r->anonce);
	err = psp_mac(p->suite, nonce, sizeof(nonce), &tail, 1, r->hmac);
	if (err == 0)
		err = psp_ec_sign(p->suite, p->id.pek, PSP_USAGE_PEK, r,
				  offsetof(struct psp_abi_report_csv, sig_usage),
				  r->sig);
	return err;
}

static uint16_t report_make(struct psp *p, struct psp_guest *g,
			    const struct psp_abi_report_input *in,
			    struct psp_abi_report_csv *r)
{
	uint32_t anonce;
	int err;

	*r = (struct psp_abi_report_csv){
		.policy = g->policy,
		.sig_usage = PSP_USAGE_PEK,
		.sig_algo = psp_sig_algo(p->suite),
	};
	memcpy(r->user_pubkey_digest, g->owner_digest,
	       sizeof(r->user_pubkey_digest));
	memcpy(r->user_data, in->user_data, sizeof(r->user_data));
	memcpy(r->mnonce, in->nonce, sizeof(r->mnonce));
	memcpy(r->pek_cert, p->id.pek_cert, sizeof(r->pek_cert));
	memcpy(r->chip_id, p->cfg.chip_id, sizeof(r->chip_id));
	err = launch_digest(g, r->measure);
	if (err == 0 && p->ops.random(p->ctx, &anonce, sizeof(anonce)) < 0)
		return PSP_RET_HWERROR_PLATFORM;
	if (err == 0) {
		r->anonce = anonce;
		err = report_seal(p, r);
	}
	return psp_lib_status(err);
}

/* The guest asks through a hypercall: its page holds the input and gets the
 * report, both encrypted. */
static uint16_t report_guest(struct psp *p, struct psp_guest *g, uint64_t address)
{
	struct psp_abi_report_input in;
	struct psp_part part = { &in,
				 offsetof(struct psp_abi_report_input, hash) };
	uint8_t hash[PSP_DIGEST_SIZE];
	struct psp_abi_report_csv r;
	uint16_t status;

	if (!g->asid)
		return PSP_RET_INACTIVE;
	if (!psp_has_cbit(p, address) || psp_pa(p, address) % PSP_PAGE ||
	    psp_guest_read(p, g, address, &in, sizeof(in)) < 0)
		return PSP_RET_INVALID_ADDRESS;
	status = psp_lib_status(psp_digest(p->suite, &part, 1, hash));
	if (status != PSP_RET_SUCCESS)
		return status;
	/* Unconfirmed status. */
	if (CRYPTO_memcmp(hash, in.hash, sizeof(hash)) != 0)
		return PSP_RET_BAD_MEASUREMENT;
	status = report_make(p, g, &in, &r);
	if (status == PSP_RET_SUCCESS &&
	    psp_guest_write(p, g, address, &r, sizeof(r)) < 0)
		status = PSP_RET_INVALID_ADDRESS;
	return status;
}

static uint16_t report_csv(struct psp *p, struct psp_guest *g,
			   const struct psp_abi_attest *c)
{
	struct psp_abi_report_input in = { 0 };
	struct psp_abi_report_csv r;
	uint16_t status;

	if (memcmp(c->mnonce, guest_magic, sizeof(guest_magic)) == 0)
		return report_guest(p, g, c->address);
	memcpy(in.nonce, c->mnonce, sizeof(in.nonce));
	status = report_make(p, g, &in, &r);
	if (status == PSP_RET_SUCCESS &&
	    psp_mem_write(p, c->address, &r, sizeof(r)) < 0)
		status = PSP_RET_INVALID_ADDRESS;
	return status;
}

PSP_HANDLER(attestation_report)
{
	struct psp_abi_attest *c = buf;
	bool csv = p->cfg.profile == PSP_HYGON;
	uint32_t need = csv ? PSP_REPORT_SIZE_CSV : PSP_REPORT_SIZE;
	bool fits = c->len >= need;

	c->len = need;
	if (!fits)
		return PSP_RET_INVALID_LEN;
	return csv ? report_csv(p, g, c) : report_amd(p, g, c);
}
