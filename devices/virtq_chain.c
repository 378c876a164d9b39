/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <sys/uio.h>

#include "core/util.h"
#include "devices/virtq.h"

/*
 * Cursors over a chain. virtq_pop() checked every segment, so gmem refuses
 * none of them; its answer is passed on all the same.
 */

struct cursor {
	uint16_t *seg;
	uint32_t *off, *left;
};

static struct cursor cursor_out(struct chain *c)
{
	return (struct cursor){ &c->out_seg, &c->out_off, &c->out_left };
}

static struct cursor cursor_in(struct chain *c)
{
	return (struct cursor){ &c->in_seg, &c->in_off, &c->in_left };
}

/* Where the cursor stands and how many of @want bytes are contiguous there. */
static struct seg cursor_peek(const struct chain *c, const struct cursor *cur,
			      uint32_t want)
{
	const struct seg *s;

	/* left > 0 means that a segment with bytes comes. */
	while (*cur->off == c->seg[*cur->seg].len) {
		(*cur->seg)++;
		*cur->off = 0;
	}
	s = &c->seg[*cur->seg];
	return (struct seg){ .gpa = s->gpa + *cur->off,
			     .len = MIN(want, s->len - *cur->off) };
}

static void cursor_skip(const struct chain *c, const struct cursor *cur,
			uint32_t len)
{
	len = MIN(len, *cur->left);
	while (len) {
		struct seg s = cursor_peek(c, cur, len);

		*cur->off += s.len;
		*cur->left -= s.len;
		len -= s.len;
	}
}

int chain_read(struct virtq *q, struct chain *c, void *buf, uint32_t len)
{
	struct cursor cur = cursor_out(c);
	uint8_t *p = buf;
	uint32_t done = 0;

	len = MIN(MIN(len, c->out_left), (uint32_t)INT_MAX);
	while (done < len) {
		struct seg s = cursor_peek(c, &cur, len - done);
		int r = gmem_read(q->gm, s.gpa, p + done, s.len);

		if (r < 0)
			return r;
		*cur.off += s.len;
		*cur.left -= s.len;
		done += s.len;
	}
	return (int)done;
}

int chain_write(struct virtq *q, struct chain *c, const void *buf, uint32_t len)
{
	struct cursor cur = cursor_in(c);
	const uint8_t *p = buf;
	uint32_t done = 0;

	len = MIN(MIN(len, c->in_left), (uint32_t)INT_MAX);
	while (done < len) {
		struct seg s = cursor_peek(c, &cur, len - done);
		int r = gmem_write(q->gm, s.gpa, p + done, s.len);

		if (r < 0)
			return r;
		*cur.off += s.len;
		*cur.left -= s.len;
		c->written += s.len;
		done += s.len;
	}
	return (int)done;
}

void chain_skip_out(struct chain *c, uint32_t len)
{
	struct cursor cur = cursor_out(c);

	cursor_skip(c, &cur, len);
}

void chain_skip_in(struct chain *c, uint32_t len)
{
	struct cursor cur = cursor_in(c);

	len = MIN(len, c->in_left);
	cursor_skip(c, &cur, len);
	c->written += len;
}

static int chain_iov(struct virtq *q, const struct chain *c, bool in,
		     struct iovec *iov, unsigned max)
{
	unsigned end = in ? (unsigned)c->n_out + c->n_in : c->n_out;
	uint32_t off = in ? c->in_off : c->out_off;
	unsigned i = in ? c->in_seg : c->out_seg;
	unsigned n = 0;

	for (; i < end && n < max; i++, off = 0) {
		const struct seg *s = &c->seg[i];
		int r;

		if (s->len == off)
			continue;
		r = gmem_iov(q->gm, s->gpa + off, s->len - off, in, &iov[n]);
		if (r < 0)
			return r;
		n++;
	}
	return (int)n;
}

int chain_iov_out(struct virtq *q, const struct chain *c, struct iovec *iov,
		  unsigned max)
{
	return chain_iov(q, c, false, iov, max);
}

int chain_iov_in(struct virtq *q, const struct chain *c, struct iovec *iov,
		 unsigned max)
{
	return chain_iov(q, c, true, iov, max);
}

void chain_dirty(struct virtq *q, const struct chain *c, uint32_t len)
{
	uint32_t off = c->in_off;
	unsigned i;

	len = MIN(len, c->in_left);
	for (i = c->in_seg; len; i++, off = 0) {
		uint32_t n = MIN(len, c->seg[i].len - off);

		gmem_mark_dirty(q->gm, c->seg[i].gpa + off, n);
		len -= n;
	}
}
