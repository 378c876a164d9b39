/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_PSP_MEMCIPHER_H
#define CSVVMM_PSP_MEMCIPHER_H

#include <stddef.h>
#include <stdint.h>

/*
 * What a memory controller does to a guest's pages: AES-128 in XEX mode on
 * 16-byte blocks. The tweak is the physical address of the block, so that
 * ciphertext that is moved elsewhere becomes noise, and ciphertext that is
 * put back to its place is what it was.
 *
 * The real parts' function is not public. Here: tweak = AES(k2, PA as 16
 * bytes, little-endian), k2 = AES(key, 16 times 0xa5).
 *
 * Depends on nothing else of psp/. One object is for one thread at a time.
 */
#define PSP_MEMCIPHER_BLOCK 16

struct psp_memcipher;

/* Return: 0 or -ENOMEM, -EIO. */
int psp_memcipher_new(const uint8_t key[16], struct psp_memcipher **ret_m);
void psp_memcipher_free(struct psp_memcipher *m); /* NULL is fine; wipes */

/* @pa and @len: multiples of 16; in place is fine. 0, -EINVAL or -EIO. */
int psp_memcipher_encrypt(struct psp_memcipher *m, uint64_t pa, const void *in,
			  void *out, size_t len);
int psp_memcipher_decrypt(struct psp_memcipher *m, uint64_t pa, const void *in,
			  void *out, size_t len);

#endif
