/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_SHIM_INTERNAL_H
#define CSVVMM_SHIM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/shim.h"

#define PAGE 4096u

static inline void copy(void *to, const void *from, size_t len)
{
	__asm__ volatile("rep movsb"
			 : "+D"(to), "+S"(from), "+c"(len)
			 :
			 : "memory");
}

static inline void fill(void *to, uint8_t byte, size_t len)
{
	__asm__ volatile("rep stosb"
			 : "+D"(to), "+c"(len)
			 : "a"(byte)
			 : "memory");
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}

/* A private address as the host sees it. */
static inline void *shared(uint64_t at)
{
	return (void *)(at + SHIM_SHARED);
}

/* Out of the caches, so that no line of one view meets one of the other. */
void flush(const void *at, size_t len);

/* Say the code to the VMM and stop. */
__attribute__((noreturn)) void give_up(uint8_t code);

void ghcb_init(const struct shim_config *cfg);
/* Tell KVM where the AP jump table is. */
void ghcb_set_jump_table(void);

void sha256(const void *data, uint64_t len, uint8_t out[32]);

#endif
