/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "psp/ivset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Open addressing, never more than half full. */
#define FIRST 1024u

static const uint8_t zero[PSP_IVSET_IV];

static bool is_zero(const uint8_t *iv)
{
	return memcmp(iv, zero, PSP_IVSET_IV) == 0;
}

/* Slot of @iv, or the free one where it belongs. */
static uint32_t find(const struct psp_ivset *s, const uint8_t *iv)
{
	uint64_t a, b;
	uint32_t i;

	memcpy(&a, iv, sizeof(a));
	memcpy(&b, iv + sizeof(a), sizeof(b));
	a = (a ^ b * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;
	for (i = (uint32_t)(a >> 32) & (s->size - 1); !is_zero(s->slot[i]);
	     i = (i + 1) & (s->size - 1))
		if (memcmp(s->slot[i], iv, PSP_IVSET_IV) == 0)
			break;
	return i;
}

int psp_ivset_reserve(struct psp_ivset *s)
{
	struct psp_ivset bigger = { .n = s->n, .zero = s->zero };
	uint32_t i;

	if (s->n >= PSP_IVSET_MAX) {
		memset(s->slot, 0, (size_t)s->size * PSP_IVSET_IV);
		s->n = 0;
		s->zero = false;
	}
	if (s->n < s->size / 2)
		return 0;
	bigger.size = s->size ? s->size * 2 : FIRST;
	bigger.slot = calloc(bigger.size, PSP_IVSET_IV);
	if (!bigger.slot)
		return -ENOMEM;
	for (i = 0; i < s->size; i++)
		if (!is_zero(s->slot[i]))
			memcpy(bigger.slot[find(&bigger, s->slot[i])],
			       s->slot[i], PSP_IVSET_IV);
	free(s->slot);
	*s = bigger;
	return 0;
}

void psp_ivset_add(struct psp_ivset *s, const uint8_t iv[PSP_IVSET_IV])
{
	if (psp_ivset_has(s, iv))
		return;
	if (is_zero(iv)) {
		s->zero = true;
		return;
	}
	memcpy(s->slot[find(s, iv)], iv, PSP_IVSET_IV);
	s->n++;
}

bool psp_ivset_has(const struct psp_ivset *s, const uint8_t iv[PSP_IVSET_IV])
{
	if (is_zero(iv))
		return s->zero;
	return s->size && !is_zero(s->slot[find(s, iv)]);
}

void psp_ivset_clear(struct psp_ivset *s)
{
	free(s->slot);
	memset(s, 0, sizeof(*s));
}
