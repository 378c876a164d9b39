/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration/runs.h"

#include <errno.h>
#include <stdbool.h>

#include "core/bytes.h"
#include "core/gmem.h"
#include "core/util.h"

/* Digits of a number: page numbers have at most 40 bits. */
#define DIGITS_MAX 6

int runs_add(struct mig_runs *r, uint64_t gfn, uint32_t n)
{
	struct mig_run *last = r->n ? &r->run[r->n - 1] : NULL;

	if (last && last->gfn + last->n == gfn && last->n <= UINT32_MAX - n) {
		last->n += n;
	} else {
		if (r->n == ARRAY_SIZE(r->run))
			return -ENOSPC;
		r->run[r->n++] = (struct mig_run){ gfn, n };
	}
	r->pages += n;
	return 0;
}

static uint8_t *put_number(uint8_t *p, uint64_t v)
{
	for (; v > 127; v >>= 7)
		*p++ = (uint8_t)(v | 128);
	*p++ = (uint8_t)v;
	return p;
}

uint32_t runs_encode(const struct mig_runs *r, uint8_t *buf)
{
	uint8_t *p = buf + 8;
	uint64_t at = 0;
	unsigned i;

	for (i = 0; i < r->n; i++) {
		p = put_number(p, r->run[i].gfn - at);
		p = put_number(p, r->run[i].n - 1);
		at = r->run[i].gfn + r->run[i].n;
	}
	put_le32(buf, (uint32_t)(p - buf - 8));
	put_le32(buf + 4, (uint32_t)r->pages);
	return (uint32_t)(p - buf);
}

/* Return: behind the number, or NULL: cut off, too long, or a leading zero */
static const uint8_t *get_number(const uint8_t *p, const uint8_t *end,
				 uint64_t *ret_v)
{
	uint64_t v = 0;
	unsigned i;

	for (i = 0; i < DIGITS_MAX && p < end; i++, p++) {
		v |= (uint64_t)(*p & 127) << 7 * i;
		if (*p & 128)
			continue;
		*ret_v = v;
		return !*p && i ? NULL : p + 1;
	}
	return NULL;
}

static int decode(const uint8_t *p, uint32_t len, struct mig_runs *r)
{
	const uint8_t *end = p + len;
	uint64_t at = 0, gap, n;

	while (p < end) {
		p = get_number(p, end, &gap);
		if (p)
			p = get_number(p, end, &n);
		/* Runs that touch are one. */
		if (!p || (r->n && !gap) || n >= UINT32_MAX)
			return -EPROTO;
		if (runs_add(r, at + gap, (uint32_t)n + 1) < 0)
			return -EPROTO;
		at += gap + n + 1;
	}
	return 0;
}

static int check_ram(struct wire *w, const struct wire_head *h,
		     const struct gmem *gm, const struct mig_runs *r)
{
	unsigned i;

	for (i = 0; i < r->n; i++) {
		uint64_t gpa = r->run[i].gfn * PAGE_SIZE;

		if (!gmem_valid(gm, gpa, (uint64_t)r->run[i].n * PAGE_SIZE))
			return wire_fail(
				w, -EPROTO,
				"record \"%s\": %u pages at %#llx are no memory of the guest",
				wire_rule(h->type)->name, r->run[i].n,
				(unsigned long long)gpa);
	}
	return 0;
}

int runs_recv(struct wire *w, struct wire_head *h, const struct gmem *gm,
	      uint64_t max, struct mig_runs *ret_r)
{
	uint8_t buf[RUNS_ENCODED_MAX];
	uint32_t len, pages;
	int r = wire_recv(w, h, buf, 8);

	if (r < 0)
		return r;
	len = get_le32(buf);
	pages = get_le32(buf + 4);
	ret_r->n = 0;
	ret_r->pages = 0;
	if (!pages || pages > max || len > sizeof(buf) - 8)
		return wire_fail(
			w, -EPROTO,
			"record \"%s\": %u pages in a list of %u bytes; at most %llu pages",
			wire_rule(h->type)->name, pages, len,
			(unsigned long long)max);
	r = wire_recv(w, h, buf, len);
	if (r < 0)
		return r;
	if (decode(buf, len, ret_r) < 0 || ret_r->pages != pages)
		return wire_fail(w, -EPROTO,
				 "record \"%s\": malformed list of pages",
				 wire_rule(h->type)->name);
	return check_ram(w, h, gm, ret_r);
}
