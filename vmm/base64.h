/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_BASE64_H
#define CSVVMM_VMM_BASE64_H

#include <stddef.h>

/* [RFC 4648] 4, with padding. */

#define BASE64_ROOM(len) (((len) + 2) / 3 * 4 + 1)

/* @out has BASE64_ROOM(len) bytes; ends in NUL. */
void base64_encode(const void *data, size_t len, char *out);

/**
 * base64_decode() - Strict, but blanks and newlines between are skipped
 * @out:	@size bytes; may hold some of the data after a failure
 *
 * Return: 0 with *ret_len; -EINVAL; -EMSGSIZE when there is more than @size
 */
int base64_decode(const char *text, size_t text_len, void *out, size_t size,
		  size_t *ret_len);

#endif
