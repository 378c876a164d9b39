/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/base64.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static const char digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t len, char *out)
{
	const uint8_t *p = data;

	for (; len; p += 3) {
		size_t n = len < 3 ? len : 3;
		uint32_t v = (uint32_t)p[0] << 16 |
			     (n > 1 ? (uint32_t)p[1] << 8 : 0) |
			     (n > 2 ? p[2] : 0);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = n > 1 ? digits[v >> 6 & 63] : '=';
		*out++ = n > 2 ? digits[v & 63] : '=';
		len -= n;
	}
	*out = '\0';
}

/* The state between two characters. */
struct decoder {
	uint8_t *out;
	size_t size, len;
	uint32_t bits;
	unsigned n, pad; /* digits, then '=', in this group of four */
};

static int decode_digit(struct decoder *d, char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	if (c == '=' && d->n >= 2 && d->n + d->pad < 4) {
		d->pad++;
		return 0;
	}
	if (!at || d->pad)
		return -EINVAL;
	d->bits = d->bits << 6 | (uint32_t)(at - digits);
	d->n++;
	return 0;
}

static int decode_group(struct decoder *d)
{
	unsigned n = d->n - 1, i;

	d->bits <<= 6 * d->pad;
	if (d->bits & ((1u << (8 * (3 - n))) - 1))
		return -EINVAL; /* bits that belong to no byte */
	if (d->size - d->len < n)
		return -EMSGSIZE;
	for (i = 0; i < n; i++)
		d->out[d->len++] = (uint8_t)(d->bits >> (16 - 8 * i));
	d->bits = 0;
	d->n = 0;
	return 0;
}

int base64_decode(const char *text, size_t text_len, void *out, size_t size,
		  size_t *ret_len)
{
	struct decoder d = { .out = out, .size = size };
	size_t i;
	int r = 0;

	for (i = 0; i < text_len && !r; i++) {
		if (memchr(" \t\r\n", text[i], 4))
			continue;
		r = decode_digit(&d, text[i]);
		if (!r && d.n + d.pad == 4)
			r = decode_group(&d);
	}
	if (!r && (d.n || (d.pad && d.pad > 2)))
		r = -EINVAL;
	if (!r)
		*ret_len = d.len;
	return r;
}
