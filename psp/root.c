/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which profile has which format of root certificates. */
#include "psp/cert_layout.h"

int psp_root_key(const struct psp_suite *s, enum psp_cert_usage which,
		 struct psp_ec_key **ret_k)
{
	if (s->profile == PSP_HYGON)
		return psp_root_hygon_key(s, which, ret_k);
	return psp_root_amd_key(s, which, ret_k);
}

int psp_root_chain(const struct psp_suite *s, uint8_t *buf, size_t size,
		   size_t *ret_len)
{
	if (s->profile == PSP_HYGON)
		return psp_root_hygon_chain(s, buf, size, ret_len);
	return psp_root_amd_chain(s, buf, size, ret_len);
}

int psp_root_verify(const struct psp_suite *s, const uint8_t *chain, size_t len,
		    const uint8_t *pinned, size_t pinned_len,
		    const uint8_t cek[PSP_CERT_SIZE])
{
	int r = psp_cert_check(s, cek, PSP_USAGE_CEK);

	if (r < 0)
		return r;
	if (s->profile == PSP_HYGON)
		return psp_root_hygon_verify(s, chain, len, pinned, pinned_len,
					     cek);
	return psp_root_amd_verify(s, chain, len, pinned, pinned_len, cek);
}
