/* SPDX-License-Identifier: GPL-2.0-or-later */
/* psp/: hashes, keys, sessions and packets against independent answers. */
#include "tests/unit/psp_rig.h"

#define POLICY 0x18000025u

static const struct psp_transport no_keys;

static void transport(enum psp_profile p, struct psp_transport *t)
{
	VEC(p, "tek", t->tek);
	VEC(p, "tik", t->tik);
}

static void digest(void **state)
{
	enum psp_profile p = PROFILE(state);
	uint8_t data[1000], want[32], got[32];
	const struct psp_part part[] = { { data, 1 }, { data + 1, 999 } };
	struct psp_hash *h;

	rig_fill("data", data, sizeof(data));
	VEC(p, "digest", want);
	assert_int_equal(psp_digest(psp_suite(p), part, 2, got), 0);
	assert_memory_equal(got, want, 32);

	/* Looking at the digest does not end it. */
	assert_int_equal(psp_hash_new(psp_suite(p), &h), 0);
	assert_int_equal(psp_hash_update(h, data, 500), 0);
	assert_int_equal(psp_hash_peek(h, got), 0);
	assert_memory_not_equal(got, want, 32);
	assert_int_equal(psp_hash_update(h, data + 500, 500), 0);
	assert_int_equal(psp_hash_peek(h, got), 0);
	assert_memory_equal(got, want, 32);
	assert_int_equal(psp_hash_peek(h, got), 0);
	assert_memory_equal(got, want, 32);
	psp_hash_free(h);
	psp_hash_free(NULL);
}

static void mac_and_kdf(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	uint8_t data[1000], key[48], nonce[16], want[32], got[32];
	uint8_t want80[80], got80[80], want16[16], got16[16];
	const struct psp_part part[] = { { data, 999 }, { data + 999, 1 } };

	rig_fill("data", data, sizeof(data));
	rig_fill("key", key, sizeof(key));
	rig_fill("nonce", nonce, sizeof(nonce));
	VEC(p, "mac", want);
	assert_int_equal(psp_mac(s, key, 16, part, 2, got), 0);
	assert_memory_equal(got, want, 32);

	VEC(p, "kdf80", want80);
	assert_int_equal(psp_kdf(s, key, 48, "some-label", nonce, 16, got80, 80),
			 0);
	assert_memory_equal(got80, want80, 80);
	VEC(p, "kdf16", want16);
	assert_int_equal(psp_kdf(s, key, 16, "sev-kek", NULL, 0, got16, 16), 0);
	assert_memory_equal(got16, want16, 16);
}

static void ctr_carries(void **state)
{
	enum psp_profile p = PROFILE(state);
	uint8_t data[77], key[16], iv[16], want[77], got[77];

	rig_fill("data", data, sizeof(data));
	rig_fill("key", key, sizeof(key));
	memset(iv, 0xff, sizeof(iv));
	iv[15] = 0xfe;
	VEC(p, "ctr", want);
	assert_int_equal(psp_ctr(psp_suite(p), key, iv, data, got, 77), 0);
	assert_memory_equal(got, want, 77);
	assert_int_equal(psp_ctr(psp_suite(p), key, iv, got, got, 77), 0);
	assert_memory_equal(got, data, 77);
}

static void measure(void **state)
{
	enum psp_profile p = PROFILE(state);
	struct psp_transport t;
	uint8_t ld[32], mnonce[16], want[32], got[32];

	transport(p, &t);
	rig_fill("ld", ld, sizeof(ld));
	rig_fill("mnonce", mnonce, sizeof(mnonce));
	VEC(p, "measure", want);
	assert_int_equal(psp_measure(psp_suite(p), t.tik, 0, 24, 0x0f, 0x25, ld,
				     mnonce, got),
			 0);
	assert_memory_equal(got, want, 32);
}

static void key_from_seed(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	uint8_t want[48], got[48], point[144], cert[PSP_CERT_SIZE];
	struct psp_ec_key *k = rig_key(p, "pdh"), *again;

	VEC(p, "pdh.d", want);
	VEC(p, "pdh.point", point);
	assert_int_equal(psp_ec_export(k, got), 0);
	assert_memory_equal(got, want, 48);
	assert_int_equal(psp_ec_import(s, got, &again), 0);
	psp_ec_free(k);
	assert_int_equal(psp_cert_make(s, again, PSP_USAGE_PDH, 0, 24, cert), 0);
	assert_memory_equal(cert + 20, point, 144);
	psp_ec_free(again);
	psp_ec_free(NULL);
}

static void import_refuses(void **state)
{
	enum psp_profile p = PROFILE(state);
	static const char order[2][97] = {
		"ffffffffffffffffffffffffffffffffffffffffffffffff"
		"c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
		"00000000000000000000000000000000fffffffeffffffff"
		"ffffffffffffffff7203df6b21c6052b53bbf40939d54123",
	};
	uint8_t d[48];
	struct psp_ec_key *k;

	memset(d, 0, sizeof(d));
	assert_int_equal(psp_ec_import(psp_suite(p), d, &k), -EINVAL);
	for (unsigned i = 0; i < 48; i++)
		d[i] = (uint8_t)(rig_nibble(order[p][2 * i]) << 4 |
				 rig_nibble(order[p][2 * i + 1]));
	assert_int_equal(psp_ec_import(psp_suite(p), d, &k), -EINVAL);
	d[47]--;
	assert_int_equal(psp_ec_import(psp_suite(p), d, &k), 0);
	psp_ec_free(k);
	memset(d, 0xff, sizeof(d));
	assert_int_equal(psp_ec_import(psp_suite(p), d, &k), -EINVAL);
}

static void generate(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	struct rig_random rnd = { .have = 0 };
	struct psp_ec_key *a, *b;
	uint8_t da[48], db[48];

	assert_int_equal(psp_ec_generate(s, &rig_ops, &rnd, &a), 0);
	assert_int_equal(psp_ec_generate(s, &rig_ops, &rnd, &b), 0);
	assert_int_equal(psp_ec_export(a, da), 0);
	assert_int_equal(psp_ec_export(b, db), 0);
	assert_memory_not_equal(da, db, 48);
	psp_ec_free(a);
	psp_ec_free(b);
	rnd.fail = true;
	assert_int_equal(psp_ec_generate(s, &rig_ops, &rnd, &a), -EIO);
}

static void session_known(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	struct rig_random rnd = { .have = 32 };
	struct psp_transport t, got = no_keys;
	struct psp_ec_key *pdh = rig_key(p, "pdh"), *peer = rig_key(p, "peer");
	uint8_t want[PSP_SESSION_SIZE], blob[PSP_SESSION_SIZE];
	uint8_t pdh_cert[PSP_CERT_SIZE], peer_cert[PSP_CERT_SIZE];

	transport(p, &t);
	rig_fill("nonce", rnd.bytes, 16);
	rig_fill("wrapiv", rnd.bytes + 16, 16);
	VEC(p, "session", want);
	VEC(p, "cert.pdh", pdh_cert);
	VEC(p, "cert.peer", peer_cert);
	assert_int_equal(psp_session_make(s, &rig_ops, &rnd, peer, pdh_cert,
					  POLICY, &t, blob),
			 0);
	assert_memory_equal(blob, want, sizeof(blob));
	assert_int_equal(psp_session_open(s, pdh, peer_cert, POLICY, want, &got),
			 0);
	assert_memory_equal(&got, &t, sizeof(t));
	rnd.fail = true;
	assert_int_equal(psp_session_make(s, &rig_ops, &rnd, peer, pdh_cert,
					  POLICY, &t, blob),
			 -EIO);
	psp_ec_free(pdh);
	psp_ec_free(peer);
}

static void session_refuses(void **state)
{
	enum psp_profile p = PROFILE(state);
	const struct psp_suite *s = psp_suite(p);
	struct psp_ec_key *pdh = rig_key(p, "pdh"), *oca = rig_key(p, "oca");
	struct psp_transport got = no_keys;
	uint8_t blob[PSP_SESSION_SIZE], cert[PSP_CERT_SIZE];

	VEC(p, "session", blob);
	VEC(p, "cert.peer", cert);
	for (unsigned i = 0; i < sizeof(blob); i++) {
		blob[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(psp_session_open(s, pdh, cert, POLICY, blob,
						  &got),
				 -EBADMSG);
		blob[i] ^= (uint8_t)(1u << i % 8);
	}
	assert_int_equal(psp_session_open(s, pdh, cert, POLICY ^ 1, blob, &got),
			 -EBADMSG);
	assert_int_equal(psp_session_open(s, oca, cert, POLICY, blob, &got),
			 -EBADMSG);
	/* Only a PDH certificate with a point of the curve. */
	cert[8] ^= 1;
	assert_int_equal(psp_session_open(s, pdh, cert, POLICY, blob, &got),
			 -EINVAL);
	cert[8] ^= 1;
	cert[20] ^= 1;
	assert_int_equal(psp_session_open(s, pdh, cert, POLICY, blob, &got),
			 -EINVAL);
	/* Nor a key of the other profile. */
	VEC(p, "cert.peer", cert);
	psp_ec_free(pdh);
	pdh = rig_key(p == PSP_AMD ? PSP_HYGON : PSP_AMD, "pdh");
	assert_int_equal(psp_session_open(s, pdh, cert, POLICY, blob, &got),
			 -EINVAL);
	assert_memory_equal(&got, &no_keys, sizeof(got));
	psp_ec_free(pdh);
	psp_ec_free(oca);
}

struct packet {
	enum psp_packet kind;
	uint32_t len;
	uint8_t plain[4096], data[4096], hdr[PSP_HDR_SIZE], measure[32];
	struct psp_part extra;
	bool has_extra;
};

static void packet_load(enum psp_profile p, unsigned kind, struct packet *k)
{
	char tag[16];
	size_t len = 0;

	memset(k, 0, sizeof(*k));
	k->kind = (enum psp_packet)kind;
	(void)snprintf(tag, sizeof(tag), "data%u", kind);
	rig_vec(p, tag, k->data, sizeof(k->data), &len);
	k->len = (uint32_t)len;
	(void)snprintf(tag, sizeof(tag), "hdr%u", kind);
	VEC(p, tag, k->hdr);
	(void)snprintf(tag, sizeof(tag), "plain%u", kind);
	rig_fill(tag, k->plain, len);
	rig_fill("measure", k->measure, sizeof(k->measure));
	k->extra = (struct psp_part){ k->measure, sizeof(k->measure) };
	k->has_extra = kind == PSP_PACKET_SECRET;
}

static int packet_open(struct psp_channel *ch, const struct packet *k, void *out)
{
	return psp_packet_open(ch, k->kind, k->hdr, k->data, out, k->len,
			       k->len, k->has_extra ? &k->extra : NULL);
}

static struct psp_channel *channel(enum psp_profile p)
{
	struct psp_transport t;
	struct psp_channel *ch;

	transport(p, &t);
	assert_int_equal(psp_channel_new(psp_suite(p), &t, &ch), 0);
	return ch;
}

static void packets_known(void **state)
{
	enum psp_profile p = PROFILE(state);
	struct psp_channel *open_ch = channel(p);
	static struct packet k;
	uint8_t out[4096], hdr[PSP_HDR_SIZE];

	for (unsigned kind = 1; kind <= 3; kind++) {
		struct psp_channel *ch = channel(p);
		struct rig_random rnd = { .have = 16 };
		char tag[8];

		packet_load(p, kind, &k);
		(void)snprintf(tag, sizeof(tag), "iv%u", kind);
		rig_fill(tag, rnd.bytes, 16);
		assert_int_equal(psp_packet_seal(ch, &rig_ops, &rnd, k.kind,
						 k.plain, out, k.len,
						 k.has_extra ? &k.extra : NULL,
						 hdr),
				 0);
		assert_memory_equal(hdr, k.hdr, sizeof(hdr));
		assert_memory_equal(out, k.data, k.len);
		psp_channel_free(ch);
		/* A channel remembers nothing of the packet before. */
		assert_int_equal(packet_open(open_ch, &k, out), 0);
		assert_memory_equal(out, k.plain, k.len);
		/* In place. */
		assert_int_equal(packet_open(open_ch, &k, k.data), 0);
		assert_memory_equal(k.data, k.plain, k.len);
	}
	psp_channel_free(open_ch);
	psp_channel_free(NULL);
}

/* One channel both ways, in place; no IV comes twice. */
static void packets_many(void **state)
{
	enum psp_profile p = PROFILE(state);
	struct psp_channel *ch = channel(p);
	struct rig_random rnd = { .have = 0 };
	uint8_t ivs[16][16], page[256], plain[256], hdr[PSP_HDR_SIZE];

	/* The source counts to 256, which is 16 vectors. */
	for (unsigned i = 0; i < 16; i++) {
		memset(plain, (int)i, sizeof(plain));
		memcpy(page, plain, sizeof(page));
		assert_int_equal(psp_packet_seal(ch, &rig_ops, &rnd,
						 PSP_PACKET_DATA, page, page,
						 sizeof(page), NULL, hdr),
				 0);
		assert_memory_not_equal(page, plain, sizeof(page));
		memcpy(ivs[i], hdr + 4, 16);
		for (unsigned k = 0; k < i; k++)
			assert_memory_not_equal(ivs[k], ivs[i], 16);
		assert_int_equal(psp_packet_open(ch, PSP_PACKET_DATA, hdr, page,
						 page, sizeof(page),
						 sizeof(page), NULL),
				 0);
		assert_memory_equal(page, plain, sizeof(page));
	}
	/* The next one needs the source again. */
	rnd.fail = true;
	assert_int_equal(psp_packet_seal(ch, &rig_ops, &rnd, PSP_PACKET_DATA,
					 page, page, sizeof(page), NULL, hdr),
			 -EIO);
	psp_channel_free(ch);
}

static void packets_refused(void **state)
{
	enum psp_profile p = PROFILE(state);
	struct psp_channel *ch = channel(p);
	static struct packet k, good;
	uint8_t out[4096], untouched[4096];

	memset(out, 0x5a, sizeof(out));
	memset(untouched, 0x5a, sizeof(untouched));
	for (unsigned kind = 1; kind <= 3; kind++) {
		packet_load(p, kind, &good);
		k = good;
		for (unsigned bit = 0; bit < 8 * PSP_HDR_SIZE; bit++) {
			k.hdr[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(packet_open(ch, &k, out), -EBADMSG);
			k.hdr[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		for (unsigned i = 0; i < k.len; i += 13) {
			k.data[i] ^= 0x10;
			assert_int_equal(packet_open(ch, &k, out), -EBADMSG);
			k.data[i] ^= 0x10;
		}
		k.kind = (enum psp_packet)(1 + kind % 3);
		assert_int_equal(packet_open(ch, &k, out), -EBADMSG);
		k.kind = good.kind;
		k.has_extra = !k.has_extra;
		assert_int_equal(packet_open(ch, &k, out), -EBADMSG);
		k.has_extra = good.has_extra;
		k.len -= 16;
		assert_int_equal(packet_open(ch, &k, out), -EBADMSG);
		k.len += 16;
		assert_int_equal(psp_packet_open(ch, k.kind, k.hdr, k.data, out,
						 k.len, k.len + 16,
						 k.has_extra ? &k.extra : NULL),
				 -EBADMSG);
	}
	assert_memory_equal(out, untouched, sizeof(out));
	psp_channel_free(ch);
}

/* A right MAC over what the model cannot do: compression. */
static void packets_compressed(void **state)
{
	enum psp_profile p = PROFILE(state);
	struct psp_channel *ch = channel(p);
	struct psp_transport t;
	uint8_t in[1 + 20 + 8 + 32] = { PSP_PACKET_DATA, 1 };
	uint8_t hdr[PSP_HDR_SIZE] = { 1 }, out[32];
	const struct psp_part part = { in, sizeof(in) };

	transport(p, &t);
	in[21] = in[25] = 32;
	assert_int_equal(psp_mac(psp_suite(p), t.tik, 16, &part, 1, hdr + 20), 0);
	assert_int_equal(psp_packet_open(ch, PSP_PACKET_DATA, hdr, in + 29, out,
					 32, 32, NULL),
			 -EOPNOTSUPP);
	in[1] = hdr[0] = 0;
	in[21] = 64;
	assert_int_equal(psp_mac(psp_suite(p), t.tik, 16, &part, 1, hdr + 20), 0);
	assert_int_equal(psp_packet_open(ch, PSP_PACKET_DATA, hdr, in + 29, out,
					 32, 64, NULL),
			 -EOPNOTSUPP);
	psp_channel_free(ch);
}

static void no_random_no_packet(void **state)
{
	struct psp_channel *ch = channel(PROFILE(state));
	struct rig_random rnd = { .fail = true };
	uint8_t page[32] = { 0 }, hdr[PSP_HDR_SIZE];

	assert_int_equal(psp_packet_seal(ch, &rig_ops, &rnd, PSP_PACKET_DATA,
					 page, page, sizeof(page), NULL, hdr),
			 -EIO);
	assert_int_equal(psp_packet_seal(ch, &rig_ops, &rnd, PSP_PACKET_DATA,
					 page, page, UINT32_MAX, NULL, hdr),
			 -EINVAL);
	psp_channel_free(ch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(digest),
		BOTH(mac_and_kdf),
		BOTH(ctr_carries),
		BOTH(measure),
		BOTH(key_from_seed),
		BOTH(import_refuses),
		BOTH(generate),
		BOTH(session_known),
		BOTH(session_refuses),
		BOTH(packets_known),
		BOTH(packets_many),
		BOTH(packets_refused),
		BOTH(packets_compressed),
		BOTH(no_random_no_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
