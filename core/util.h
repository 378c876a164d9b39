/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_UTIL_H
#define CSVVMM_CORE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))
#define BIT(n)	      (1ULL << (n))

#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define PAGE_SIZE  4096u
#define PAGE_SHIFT 12

/* The one between the two others */
static inline uint64_t median3(uint64_t a, uint64_t b, uint64_t c)
{
	return MAX(MIN(a, b), MIN(MAX(a, b), c));
}

static inline uint64_t align_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

static inline uint64_t align_down(uint64_t v, uint64_t to)
{
	return v & ~(to - 1);
}

static inline bool is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* Does [a, a + alen) lie inside [b, b + blen)? Wrap-around is "no". */
static inline bool range_inside(uint64_t a, uint64_t alen, uint64_t b,
				uint64_t blen)
{
	return a >= b && alen <= blen && a - b <= blen - alen;
}

static inline void util_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static inline void util_free(void *p)
{
	free(*(void **)p);
}

/* The only two clean-up attributes, for locals only. */
#define auto_fd	  __attribute__((cleanup(util_close)))
#define auto_free __attribute__((cleanup(util_free)))

#endif
