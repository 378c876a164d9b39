/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "psp/suite.h"

#define CONTEXT_MEASURE 4

/* The form since API 0.17. Hygon's build has 31 bits; that the low byte of it
 * enters here is unconfirmed, as is the whole form on Hygon. */
int psp_measure(const struct psp_suite *s, const uint8_t tik[PSP_KEY_SIZE],
		uint8_t api_major, uint8_t api_minor, uint8_t build,
		uint32_t policy, const uint8_t digest[PSP_DIGEST_SIZE],
		const uint8_t mnonce[PSP_NONCE_SIZE], uint8_t out[PSP_MAC_SIZE])
{
	uint8_t head[8] = { CONTEXT_MEASURE, api_major, api_minor, build };
	const struct psp_part part[] = {
		{ head, sizeof(head) },
		{ digest, PSP_DIGEST_SIZE },
		{ mnonce, PSP_NONCE_SIZE },
	};

	psp_put_le32(head + 4, policy);
	return psp_mac(s, tik, PSP_KEY_SIZE, part, 3, out);
}
