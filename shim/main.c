/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first code of an encrypted guest: takes over what the VMM has put into
 * shared memory, if it is what the measured configuration says.
 *
 * DOC: Theory of operation
 *
 * Nothing is looked at before it is private: a page is copied by the shared
 * view into a page of our own, flushed, and written back by the private view.
 * The hash is over the private pages, when all of a piece is there; what the
 * host changes meanwhile makes a wrong hash or comes too late. No instruction
 * that would raise #VC is used but VMGEXIT's, so there is no IDT: an exception
 * is a triple fault.
 */
#include "shim/ghcb.h"
#include "shim/internal.h"

#define LINE 64u

#define RDRAND_TRIES 1000

void flush(const void *at, size_t len)
{
	const uint8_t *p = at;

	for (; len; len -= LINE, p += LINE)
		__asm__ volatile("clflush (%0)" : : "r"(p) : "memory");
	__asm__ volatile("mfence" : : : "memory");
}

static uint64_t random64(void)
{
	uint64_t v;
	unsigned i;
	bool ok;

	for (i = 0; i < RDRAND_TRIES; i++) {
		__asm__ volatile("rdrand %0" : "=r"(v), "=@ccc"(ok));
		if (ok && v)
			return v;
	}
	give_up(SHIM_NO_RANDOM);
}

/* What is written with the C-bit must not be there without it. */
static void check_c_bit(void)
{
	volatile uint64_t *ours = (uint64_t *)SHIM_BOUNCE;
	volatile uint64_t *host = shared(SHIM_BOUNCE);
	uint64_t word = random64(), seen;

	*ours = word;
	flush((void *)SHIM_BOUNCE, PAGE);
	seen = *host;
	flush(shared(SHIM_BOUNCE), PAGE);
	if (seen == word || *ours != word)
		give_up(SHIM_BAD_C_BIT);
}

static void check_encryption(const struct shim_config *cfg)
{
	uint64_t want = SEV_STATUS_SEV;

	if (cfg->flags & SHIM_FLAG_ES)
		want |= SEV_STATUS_ES;
	if ((rdmsr(MSR_SEV_STATUS) & want) != want)
		give_up(SHIM_UNENCRYPTED);
	check_c_bit();
}

static void take_page(uint64_t at)
{
	copy((void *)SHIM_BOUNCE, shared(at), PAGE);
	flush(shared(at), PAGE);
	copy((void *)at, (void *)SHIM_BOUNCE, PAGE);
}

static bool hash_is(const void *data, uint64_t len, const uint8_t want[32])
{
	uint8_t hash[32];
	unsigned i;

	sha256(data, len, hash);
	for (i = 0; i < sizeof(hash); i++)
		if (hash[i] != want[i])
			return false;
	return true;
}

/* Read with the C-bit: should that be wrong, it is noise. */
static bool config_is_whole(const struct shim_config *cfg)
{
	return cfg->magic == SHIM_MAGIC && cfg->version == SHIM_VERSION &&
	       hash_is(cfg, SHIM_CONFIG_HASHED,
		       (const uint8_t *)cfg + SHIM_CONFIG_HASHED);
}

static void take_piece(const struct shim_config *cfg, unsigned i)
{
	const struct shim_piece *piece = &cfg->piece[i];
	const struct shim_range *r = &piece->range;
	uint64_t off;

	for (off = 0; off < r->len; off += PAGE)
		take_page(r->at + off);
	if (!hash_is((void *)r->at, r->len, piece->sha256))
		give_up((uint8_t)(SHIM_BAD_HASH + i));
}

static void clear_jump_table(void)
{
	fill((void *)SHIM_JUMP, 0, PAGE);
	*(volatile uint64_t *)(SHIM_JUMP + SHIM_JUMP_MARK) = SHIM_JUMP_READY;
}

void shim_main(const struct shim_config *cfg);

void shim_main(const struct shim_config *cfg)
{
	unsigned i;

	if (!config_is_whole(cfg))
		give_up(SHIM_BAD_CONFIG);
	check_encryption(cfg);
	if (cfg->flags & SHIM_FLAG_ES)
		ghcb_init(cfg);
	for (i = 0; i < cfg->n_clear; i++)
		fill((void *)cfg->clear[i].at, 0, cfg->clear[i].len);
	for (i = 0; i < cfg->n_pieces; i++)
		take_piece(cfg, i);
	if (cfg->flags & SHIM_FLAG_ES) {
		clear_jump_table();
		ghcb_set_jump_table();
	}
}
