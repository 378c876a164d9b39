/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transport packets. This is the hot path of migration: everything that
 * depends on the keys alone is prepared in the channel, and a packet costs one
 * pass of the cipher and one of the MAC.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "psp/suite.h"

/* Offsets in the header. */
#define HDR_FLAGS 0
#define HDR_IV	  4
#define HDR_MAC	  20

/* Initialization vectors are drawn this many at a time: asking the system for
 * 16 bytes costs a tenth of a page's work. They are no secret. */
#define IV_POOL 16

/**
 * struct psp_channel - Prepared contexts of one pair of transport keys
 * @iv_left:	Unused vectors at the end of @iv
 */
struct psp_channel {
	EVP_CIPHER_CTX *cipher;
	EVP_MAC_CTX *mac;
	unsigned iv_left;
	uint8_t iv[IV_POOL][PSP_IV_SIZE];
};

static int prepare_mac(struct psp_channel *ch, const struct psp_suite *s,
		       const uint8_t tik[PSP_KEY_SIZE])
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	char digest[16];
	OSSL_PARAM params[2];
	int r = 0;

	strncpy(digest, s->digest, sizeof(digest) - 1);
	digest[sizeof(digest) - 1] = '\0';
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
						     digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	ch->mac = mac ? EVP_MAC_CTX_new(mac) : NULL;
	if (!ch->mac || EVP_MAC_init(ch->mac, tik, PSP_KEY_SIZE, params) != 1)
		r = psp_lib_error();
	EVP_MAC_free(mac);
	return r;
}

static int prepare_cipher(struct psp_channel *ch, const struct psp_suite *s,
			  const uint8_t tek[PSP_KEY_SIZE])
{
	static const uint8_t iv[PSP_IV_SIZE];
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, s->cipher, NULL);
	int r = 0;

	ch->cipher = EVP_CIPHER_CTX_new();
	if (!cipher || !ch->cipher ||
	    EVP_EncryptInit_ex2(ch->cipher, cipher, tek, iv, NULL) != 1)
		r = psp_lib_error();
	EVP_CIPHER_free(cipher);
	return r;
}

int psp_channel_new(const struct psp_suite *s, const struct psp_transport *keys,
		    struct psp_channel **ret_ch)
{
	struct psp_channel *ch = calloc(1, sizeof(*ch));
	int r;

	if (!ch)
		return -ENOMEM;
	r = prepare_mac(ch, s, keys->tik);
	if (r == 0)
		r = prepare_cipher(ch, s, keys->tek);
	if (r < 0) {
		psp_channel_free(ch);
		return r;
	}
	*ret_ch = ch;
	return 0;
}

void psp_channel_free(struct psp_channel *ch)
{
	if (!ch)
		return;
	EVP_MAC_CTX_free(ch->mac);
	EVP_CIPHER_CTX_free(ch->cipher);
	free(ch);
}

static int packet_mac(struct psp_channel *ch, enum psp_packet kind,
		      const uint8_t hdr[PSP_HDR_SIZE], const void *data,
		      uint32_t len, uint32_t guest_len,
		      const struct psp_part *extra, uint8_t out[PSP_MAC_SIZE])
{
	uint8_t head[1 + 4 + PSP_IV_SIZE + 4 + 4];

	head[0] = (uint8_t)kind;
	memcpy(head + 1, hdr, 4 + PSP_IV_SIZE);
	psp_put_le32(head + 5 + PSP_IV_SIZE, guest_len);
	psp_put_le32(head + 9 + PSP_IV_SIZE, len);
	/* A NULL key starts over with the one it has. */
	if (EVP_MAC_init(ch->mac, NULL, 0, NULL) != 1 ||
	    EVP_MAC_update(ch->mac, head, sizeof(head)) != 1 ||
	    EVP_MAC_update(ch->mac, data, len) != 1)
		return psp_lib_error();
	if (extra && EVP_MAC_update(ch->mac, extra->data, extra->len) != 1)
		return psp_lib_error();
	if (EVP_MAC_final(ch->mac, out, NULL, PSP_MAC_SIZE) != 1)
		return psp_lib_error();
	return 0;
}

/* Encryption and decryption are the same in counter mode. */
static int packet_crypt(struct psp_channel *ch, const uint8_t iv[PSP_IV_SIZE],
			const void *in, void *out, uint32_t len)
{
	int n;

	if (EVP_EncryptInit_ex2(ch->cipher, NULL, NULL, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(ch->cipher, out, &n, in, (int)len) != 1)
		return psp_lib_error();
	return 0;
}

static int draw_iv(struct psp_channel *ch, const struct psp_ops *ops, void *ctx,
		   uint8_t iv[PSP_IV_SIZE])
{
	if (ch->iv_left == 0) {
		if (ops->random(ctx, ch->iv, sizeof(ch->iv)) < 0)
			return -EIO;
		ch->iv_left = IV_POOL;
	}
	memcpy(iv, ch->iv[IV_POOL - ch->iv_left--], PSP_IV_SIZE);
	return 0;
}

int psp_packet_seal(struct psp_channel *ch, const struct psp_ops *ops,
		    void *ctx, enum psp_packet kind, const void *plain,
		    void *out, uint32_t len, const struct psp_part *extra,
		    uint8_t hdr[PSP_HDR_SIZE])
{
	uint8_t h[PSP_HDR_SIZE] = { 0 };
	int r;

	if (len > INT_MAX)
		return -EINVAL;
	r = draw_iv(ch, ops, ctx, h + HDR_IV);
	if (r == 0)
		r = packet_crypt(ch, h + HDR_IV, plain, out, len);
	if (r == 0)
		r = packet_mac(ch, kind, h, out, len, len, extra, h + HDR_MAC);
	if (r == 0)
		memcpy(hdr, h, sizeof(h));
	return r;
}

int psp_packet_open(struct psp_channel *ch, enum psp_packet kind,
		    const uint8_t hdr[PSP_HDR_SIZE], const void *data,
		    void *out, uint32_t len, uint32_t guest_len,
		    const struct psp_part *extra)
{
	uint8_t mac[PSP_MAC_SIZE];
	int r;

	if (len > INT_MAX)
		return -EINVAL;
	r = packet_mac(ch, kind, hdr, data, len, guest_len, extra, mac);
	if (r < 0)
		return r;
	if (CRYPTO_memcmp(mac, hdr + HDR_MAC, sizeof(mac)) != 0)
		return -EBADMSG;
	if (psp_le32(hdr + HDR_FLAGS) != 0 || len != guest_len)
		return -EOPNOTSUPP;
	return packet_crypt(ch, hdr + HDR_IV, data, out, len);
}
