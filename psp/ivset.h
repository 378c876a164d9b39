/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_PSP_IVSET_H
#define CSVVMM_PSP_IVSET_H

#include <stdbool.h>
#include <stdint.h>

#define PSP_IVSET_IV  16
#define PSP_IVSET_MAX (1u << 20)

/**
 * struct psp_ivset - IVs already seen in a receive session
 *
 * Zeroed is empty. Holds at most PSP_IVSET_MAX; then it forgets them all and
 * starts over, so that a host can't make it grow without bound.
 */
struct psp_ivset {
	uint8_t (*slot)[PSP_IVSET_IV]; /* all zero: free */
	uint32_t n, size;
	bool zero; /* the IV that is all zero */
};

/* Make room for one more. Return: 0 or -ENOMEM. */
int psp_ivset_reserve(struct psp_ivset *s);
/* After psp_ivset_reserve(); can't fail. */
void psp_ivset_add(struct psp_ivset *s, const uint8_t iv[PSP_IVSET_IV]);
bool psp_ivset_has(const struct psp_ivset *s, const uint8_t iv[PSP_IVSET_IV]);
void psp_ivset_clear(struct psp_ivset *s);

#endif
