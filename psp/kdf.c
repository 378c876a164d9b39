/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NIST SP800-108, counter mode, as the firmware uses it. */
#include <errno.h>
#include <openssl/crypto.h>

#include "psp/suite.h"

int psp_kdf(const struct psp_suite *s, const void *key, size_t key_len,
	    const char *label, const void *context, size_t context_len,
	    void *out, size_t out_len)
{
	uint8_t counter[4], bits[4], block[PSP_MAC_SIZE];
	const struct psp_part part[] = {
		{ counter, sizeof(counter) },
		{ label, strlen(label) + 1 }, /* the NUL is the separator */
		{ context, context_len },
		{ bits, sizeof(bits) },
	};
	uint8_t *p = out;
	size_t n;
	int r = 0;

	if (out_len > UINT32_MAX / 8)
		return -EINVAL;
	psp_put_le32(bits, (uint32_t)out_len * 8);
	for (uint32_t i = 1; out_len > 0 && r == 0; i++) {
		psp_put_le32(counter, i);
		r = psp_mac(s, key, key_len, part, 4, block);
		if (r < 0)
			break;
		n = out_len < sizeof(block) ? out_len : sizeof(block);
		memcpy(p, block, n);
		p += n;
		out_len -= n;
	}
	OPENSSL_cleanse(block, sizeof(block));
	return r;
}
