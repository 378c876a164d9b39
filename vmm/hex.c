/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/hex.h"

#include <errno.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

void hex_encode(const void *data, size_t len, char *out)
{
	const uint8_t *p = data;

	for (; len; len--, p++) {
		*out++ = digits[*p >> 4];
		*out++ = digits[*p & 15];
	}
	*out = '\0';
}

static int digit_value(char c)
{
	const char *at;

	if (c >= 'A' && c <= 'F')
		c = (char)(c - 'A' + 'a');
	at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

int hex_decode(const char *text, void *out, size_t len)
{
	uint8_t *p = out;
	size_t i;

	if (strlen(text) != 2 * len)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		int high = digit_value(text[2 * i]);
		int low = digit_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		p[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
