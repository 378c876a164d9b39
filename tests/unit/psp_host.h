/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_TESTS_UNIT_PSP_HOST_H
#define CSVVMM_TESTS_UNIT_PSP_HOST_H

/*
 * A platform around the model: 16 MiB of RAM that holds ciphertext, a clock
 * that the test moves, deterministic randomness, and commands by mailbox.
 * Functions give up with abort(), so that fuzz targets can use it too.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psp/cert.h"
#include "psp/crypto.h"
#include "psp/memcipher.h"
#include "psp/psp.h"
#include "psp/psp_abi.h"

#define RIG_RAM	    (16u << 20)
#define RIG_CBIT    (1ULL << 47)
#define RIG_CMD	    0x1000u
#define RIG_HDR	    0x2000u
#define RIG_TRANS   0x4000u /* 32 KiB */
#define RIG_SESSION 0xc000u
#define RIG_OUT	    0xe000u /* 8 KiB */
#define RIG_PDH	    0x10000u
#define RIG_CHAIN   0x12000u
#define RIG_ROOT    0x14000u
#define RIG_NV	    0x20000u
#define RIG_TMR	    0x100000u
#define RIG_GUEST   0x400000u /* guest memory, 1 MiB */
#define RIG_VMSA    0x500000u
#define RIG_RING    0x600000u /* 4 of 32 KiB: LOW, HIGH; cmd, status */
#define RIG_ROM	    (RIG_RAM - 0x10000u) /* reads, but can't be written */
#define RIG_BAD	    ((uint64_t)RIG_RAM)	 /* nothing there */

#define RIG_KEYS 32

struct rig {
	struct psp *p;
	struct psp_config cfg;
	uint8_t *ram;
	uint64_t now, wbinvd;
	uint64_t rng;
	unsigned fail_random; /* fail from this call on; 0 = never */
	bool fail_key;
	uint32_t no_write; /* this page can't be written; 0 = none */
	uint64_t vmsa;	   /* the last page made a VMSA, by its address */
	bool fail_vmsa;
	bool guard; /* the model may not write to RIG_TMR */
	struct {
		uint8_t key[PSP_KEY_SIZE];
		struct psp_memcipher *m;
	} cipher[RIG_KEYS];
	unsigned n_ciphers;
	bool installed[64];
	uint8_t key[64][PSP_KEY_SIZE];
};

#define RIG_CHECK(x)                                                  \
	do {                                                          \
		if (!(x)) {                                           \
			fprintf(stderr, "rig: %s:%d: %s\n", __FILE__, \
				__LINE__, #x);                        \
			abort();                                      \
		}                                                     \
	} while (0)

static inline bool rig_inside(uint64_t pa, size_t len, uint64_t end)
{
	return pa <= end && len <= end - pa;
}

static inline int rig_read(void *ctx, uint64_t pa, void *buf, size_t len)
{
	struct rig *r = ctx;

	RIG_CHECK(pa + len >= pa); /* the model's business */
	if (!rig_inside(pa, len, RIG_RAM))
		return -EFAULT;
	memcpy(buf, r->ram + pa, len);
	return 0;
}

/* Where the model may write; outside, it hears of it. */
static inline bool rig_writable(const struct rig *r, uint64_t pa, size_t len)
{
	RIG_CHECK(pa + len >= pa);
	RIG_CHECK(!r->guard || pa + len <= RIG_TMR ||
		  pa >= RIG_TMR + PSP_TMR_SIZE);
	if (r->no_write && pa < r->no_write + 4096 && pa + len > r->no_write)
		return false;
	return rig_inside(pa, len, RIG_ROM);
}

static inline int rig_write(void *ctx, uint64_t pa, const void *buf, size_t len)
{
	struct rig *r = ctx;

	if (!rig_writable(r, pa, len))
		return -EFAULT;
	memcpy(r->ram + pa, buf, len);
	return 0;
}

static inline struct psp_memcipher *rig_cipher(struct rig *r, const uint8_t *key)
{
	unsigned i;

	for (i = 0; i < r->n_ciphers; i++)
		if (memcmp(r->cipher[i].key, key, PSP_KEY_SIZE) == 0)
			return r->cipher[i].m;
	if (i == RIG_KEYS) {
		psp_memcipher_free(r->cipher[--i].m);
		r->n_ciphers--;
	}
	memcpy(r->cipher[i].key, key, PSP_KEY_SIZE);
	RIG_CHECK(psp_memcipher_new(key, &r->cipher[i].m) == 0);
	r->n_ciphers++;
	return r->cipher[i].m;
}

static inline int rig_guest_read(void *ctx, uint32_t asid,
				 const uint8_t key[PSP_KEY_SIZE], uint64_t pa,
				 void *buf, size_t len)
{
	struct rig *r = ctx;

	/* The model must have put the same key into the controller. */
	RIG_CHECK(asid < 64 && r->installed[asid] &&
		  memcmp(r->key[asid], key, PSP_KEY_SIZE) == 0);
	if (!rig_inside(pa, len, RIG_RAM))
		return -EFAULT;
	return psp_memcipher_decrypt(rig_cipher(r, key), pa, r->ram + pa, buf,
				     len);
}

static inline int rig_guest_write(void *ctx, uint32_t asid,
				  const uint8_t key[PSP_KEY_SIZE], uint64_t pa,
				  const void *buf, size_t len)
{
	struct rig *r = ctx;

	RIG_CHECK(asid < 64 && r->installed[asid] &&
		  memcmp(r->key[asid], key, PSP_KEY_SIZE) == 0);
	if (!rig_writable(r, pa, len))
		return -EFAULT;
	return psp_memcipher_encrypt(rig_cipher(r, key), pa, buf, r->ram + pa,
				     len);
}

static inline int rig_set_key(void *ctx, uint32_t asid, const uint8_t *key)
{
	struct rig *r = ctx;

	RIG_CHECK(asid && asid < 64);
	if (r->fail_key && key)
		return -EIO;
	RIG_CHECK(r->installed[asid] == !key);
	r->installed[asid] = key;
	if (key)
		memcpy(r->key[asid], key, PSP_KEY_SIZE);
	return 0;
}

static inline bool rig_wbinvd_since(void *ctx, uint64_t epoch_ns)
{
	struct rig *r = ctx;

	return r->wbinvd > epoch_ns;
}

static inline uint64_t rig_now(void *ctx)
{
	struct rig *r = ctx;

	return ++r->now;
}

static inline void rig_wbinvd(struct rig *r)
{
	r->wbinvd = ++r->now;
}

static inline int rig_vmsa_made(void *ctx, uint32_t asid,
				const uint8_t key[PSP_KEY_SIZE], uint64_t pa)
{
	struct rig *r = ctx;

	RIG_CHECK(asid < 64);
	RIG_CHECK(!asid || !memcmp(key, r->key[asid], PSP_KEY_SIZE));
	r->vmsa = pa;
	return r->fail_vmsa ? -EIO : 0;
}

static inline int rig_random(void *ctx, void *buf, size_t len)
{
	struct rig *r = ctx;
	uint8_t *b = buf;
	size_t i;

	if (r->fail_random && !--r->fail_random) {
		r->fail_random = 1;
		return -EIO;
	}
	for (i = 0; i < len; i++) {
		r->rng = r->rng * 6364136223846793005ULL + 1442695040888963407;
		b[i] = r->rng >> 56;
	}
	return 0;
}

static const struct psp_ops rig_ops = {
	.read = rig_read,
	.write = rig_write,
	.guest_read = rig_guest_read,
	.guest_write = rig_guest_write,
	.vmsa_made = rig_vmsa_made,
	.set_key = rig_set_key,
	.wbinvd_since = rig_wbinvd_since,
	.now_ns = rig_now,
	.random = rig_random,
};

/* @chip: what makes its id, keys and randomness different from another's. */
static inline struct rig *rig_new_cfg(const struct psp_config *cfg, uint8_t chip)
{
	struct rig *r = calloc(1, sizeof(*r));

	RIG_CHECK(r);
	r->cfg = *cfg;
	memset(r->cfg.chip_id, chip, sizeof(r->cfg.chip_id));
	r->rng = chip;
	r->now = 1000;
	r->ram = calloc(1, RIG_RAM);
	RIG_CHECK(r->ram);
	RIG_CHECK(psp_create(&r->cfg, &rig_ops, r, &r->p) == 0);
	return r;
}

static inline struct rig *rig_new(enum psp_profile profile, uint8_t chip)
{
	struct psp_config cfg;

	psp_config_default(&cfg, profile);
	return rig_new_cfg(&cfg, chip);
}

static inline void rig_free(struct rig *r)
{
	unsigned i;

	if (!r)
		return;
	psp_destroy(r->p);
	for (i = 0; i < 64; i++)
		RIG_CHECK(!r->installed[i]);
	for (i = 0; i < r->n_ciphers; i++)
		psp_memcipher_free(r->cipher[i].m);
	free(r->ram);
	free(r);
}

/* By mailbox, through memory, written back. */
static inline uint16_t rig_mailbox(struct rig *r, uint32_t cmd, void *buf,
				   size_t len)
{
	uint16_t status;

	if (len)
		memcpy(r->ram + RIG_CMD, buf, len);
	status = psp_mailbox(r->p, cmd, RIG_CMD | RIG_CBIT);
	if (len)
		memcpy(buf, r->ram + RIG_CMD, len);
	return status;
}

#define RIG_DO(r, id, s) rig_mailbox(r, PSP_CMD_##id, &(s), sizeof(s))
#define RIG_RUN(r, id)	 rig_mailbox(r, PSP_CMD_##id, NULL, 0)

static inline uint16_t rig_handle(struct rig *r, uint32_t cmd, uint32_t handle)
{
	struct psp_abi_handle c = { handle };

	return rig_mailbox(r, cmd, &c, sizeof(c));
}

static inline uint16_t rig_init(struct rig *r)
{
	struct psp_abi_init c = {
		.flags = PSP_INIT_ES,
		.tmr_address = RIG_TMR,
		.tmr_len = PSP_TMR_SIZE,
	};

	return RIG_DO(r, INIT, c);
}

static inline struct psp_abi_platform_status rig_platform(struct rig *r)
{
	struct psp_abi_platform_status c = { 0 };

	RIG_CHECK(RIG_DO(r, PLATFORM_STATUS, c) == PSP_RET_SUCCESS);
	return c;
}

static inline unsigned rig_state(struct rig *r, uint32_t handle)
{
	struct psp_abi_guest_status c = { .handle = handle };

	RIG_CHECK(RIG_DO(r, GUEST_STATUS, c) == PSP_RET_SUCCESS);
	return c.state;
}

static inline uint16_t rig_activate(struct rig *r, uint32_t handle, uint32_t asid)
{
	struct psp_abi_activate c = { handle, asid };

	return RIG_DO(r, ACTIVATE, c);
}

static inline uint16_t rig_launch_start(struct rig *r, uint32_t policy,
					uint32_t *ret_handle)
{
	struct psp_abi_start c = { .policy = policy };
	uint16_t status = RIG_DO(r, LAUNCH_START, c);

	*ret_handle = c.handle;
	return status;
}

static inline uint16_t rig_launch(struct rig *r, uint32_t cmd, uint32_t handle,
				  uint64_t address, uint32_t *len)
{
	struct psp_abi_launch c = { .handle = handle,
				    .address = address,
				    .len = *len };
	uint16_t status = rig_mailbox(r, cmd, &c, sizeof(c));

	*len = c.len;
	return status;
}

/* A guest of @policy up to @state, at @asid; memory 2 pages, one VMSA. */
static inline uint32_t rig_guest(struct rig *r, uint32_t policy, uint32_t asid,
				 enum psp_guest_state state)
{
	uint32_t h, len = 8192;

	RIG_CHECK(rig_launch_start(r, policy, &h) == 0);
	RIG_CHECK(rig_activate(r, h, asid) == 0);
	if (state == PSP_G_LUPDATE)
		return h;
	RIG_CHECK(rig_launch(r, PSP_CMD_LAUNCH_UPDATE_DATA, h, RIG_GUEST,
			     &len) == 0);
	len = 4096;
	if (policy & PSP_POLICY_ES)
		RIG_CHECK(rig_launch(r, PSP_CMD_LAUNCH_UPDATE_VMSA, h, RIG_VMSA,
				     &len) == 0);
	RIG_CHECK(rig_launch(r, PSP_CMD_LAUNCH_MEASURE, h, RIG_OUT, &len) == 0);
	if (state == PSP_G_LSECRET)
		return h;
	RIG_CHECK(rig_handle(r, PSP_CMD_LAUNCH_FINISH, h) == 0);
	return h;
}

/* Certificates of @from into @to's memory: PDH, chain, root. */
static inline uint32_t rig_certs(struct rig *from, struct rig *to)
{
	struct psp_abi_two_certs c = { .cert_address = RIG_PDH,
				       .cert_len = PSP_CERT_SIZE,
				       .more_address = RIG_CHAIN,
				       .more_len = PSP_CHAIN_SIZE };
	size_t len;

	RIG_CHECK(RIG_DO(from, PDH_CERT_EXPORT, c) == 0);
	if (from != to) {
		memcpy(to->ram + RIG_PDH, from->ram + RIG_PDH, PSP_CERT_SIZE);
		memcpy(to->ram + RIG_CHAIN, from->ram + RIG_CHAIN,
		       PSP_CHAIN_SIZE);
	}
	RIG_CHECK(psp_root_chain(psp_suite(from->cfg.profile), to->ram + RIG_ROOT,
				 PSP_ROOT_CHAIN_MAX, &len) == 0);
	return (uint32_t)len;
}

static inline struct psp_abi_send_start rig_send_cmd(uint32_t handle,
						     uint32_t root_len)
{
	return (struct psp_abi_send_start){
		.handle = handle,
		.pdh_address = RIG_PDH,
		.pdh_len = PSP_CERT_SIZE,
		.plat_address = RIG_CHAIN,
		.plat_len = PSP_CHAIN_SIZE,
		.amd_address = RIG_ROOT,
		.amd_len = root_len,
		.session_address = RIG_SESSION,
		.session_len = PSP_SESSION_SIZE,
	};
}

/* SEND_START on @a for @b, with @b's certificates. */
static inline uint16_t rig_send_start(struct rig *a, struct rig *b,
				      uint32_t handle)
{
	struct psp_abi_send_start c = rig_send_cmd(handle, rig_certs(b, a));

	return RIG_DO(a, SEND_START, c);
}

/* RECEIVE_START on @b with @a's PDH and the session that @a has made. */
static inline uint16_t rig_receive_start(struct rig *a, struct rig *b,
					 uint32_t policy, uint32_t *ret_handle)
{
	struct psp_abi_start c = { .policy = policy,
				   .cert_address = RIG_PDH,
				   .cert_len = PSP_CERT_SIZE,
				   .session_address = RIG_SESSION,
				   .session_len = PSP_SESSION_SIZE };
	uint8_t session[PSP_SESSION_SIZE];
	uint16_t status;

	memcpy(session, a->ram + RIG_SESSION, sizeof(session));
	(void)rig_certs(a, b);
	memcpy(b->ram + RIG_SESSION, session, sizeof(session));
	status = RIG_DO(b, RECEIVE_START, c);
	*ret_handle = c.handle;
	return status;
}

static inline struct psp_abi_packet rig_packet(uint32_t handle, uint64_t pa,
					       uint32_t len)
{
	return (struct psp_abi_packet){
		.handle = handle,
		.hdr_address = RIG_HDR,
		.hdr_len = PSP_HDR_SIZE,
		.guest_address = pa | RIG_CBIT,
		.guest_len = len,
		.trans_address = RIG_TRANS,
		.trans_len = len,
	};
}

/* What the guest of @asid sees. */
static inline void rig_plain(struct rig *r, uint32_t asid, uint64_t pa,
			     void *buf, size_t len)
{
	RIG_CHECK(rig_guest_read(r, asid, r->key[asid], pa, buf, len) == 0);
}

#endif
