/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHA-256 ([FIPS 180-4] 6.2), for size. The input is whole 64-byte blocks. */
#include "shim/internal.h"

#define BLOCK 64u

/* [FIPS 180-4] 4.2.2 */
static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t ror(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* The schedule is kept as a ring of the last 16 words. */
static uint32_t schedule(uint32_t w[16], unsigned t)
{
	uint32_t a = w[(t + 1) % 16], b = w[(t + 14) % 16];

	if (t >= 16)
		w[t % 16] += (ror(a, 7) ^ ror(a, 18) ^ a >> 3) + w[(t + 9) % 16] +
			     (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
	return w[t % 16];
}

static void block(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[16], s[8] = { 0 };
	unsigned t, i;

	for (t = 0; t < 16; t++)
		w[t] = __builtin_bswap32(((const uint32_t *)(const void *)p)[t]);
	copy(s, h, sizeof(s));
	for (t = 0; t < 64; t++) {
		uint32_t t1 =
			s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) +
			((s[4] & s[5]) ^ (~s[4] & s[6])) + k[t] + schedule(w, t);
		uint32_t t2 = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) +
			      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

		for (i = 7; i; i--)
			s[i] = s[i - 1];
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (i = 0; i < 8; i++)
		h[i] += s[i];
}

void sha256(const void *data, uint64_t len, uint8_t out[32])
{
	uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	uint8_t last[BLOCK] = { 0x80 };
	const uint8_t *p = data;
	uint64_t n = len;
	unsigned i;

	for (; n; n -= BLOCK, p += BLOCK)
		block(h, p);
	/* The padding is a block of its own. */
	*(uint64_t *)(void *)(last + 56) = __builtin_bswap64(len * 8);
	block(h, last);
	for (i = 0; i < 8; i++)
		((uint32_t *)(void *)out)[i] = __builtin_bswap32(h[i]);
}
