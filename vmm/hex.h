/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_HEX_H
#define CSVVMM_VMM_HEX_H

#include <stddef.h>
#include <stdint.h>

/* @out has 2 * len + 1 bytes; lower case, ends in NUL. */
void hex_encode(const void *data, size_t len, char *out);

/* Exactly 2 * len digits. Return: 0 or -EINVAL */
int hex_decode(const char *text, void *out, size_t len);

#endif
