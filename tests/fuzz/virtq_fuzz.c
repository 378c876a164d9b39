/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A split ring full of rubbish: pop everything, use every chain in full.
 *
 * Input: mode, size, then descriptor table, available ring, used_event and
 * what may serve as indirect tables and data.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "core/bytes.h"
#include "core/util.h"
#include "devices/virtq.h"

#define RAM   MIB(1)
#define DESC  0x1000u
#define AVAIL 0x3000u
#define USED  0x4000u
#define TABLE 0x6000u

/* Bits of the first byte. */
#define MODE_EVENT_IDX 1u
#define MODE_INDIRECT  2u
#define MODE_NEAR      4u /* cut addresses down to about the size of RAM */
#define MODE_FULL      8u /* offer a whole ring, whatever the index says */
#define MODE_DISARM    16u
#define MODE_IOV       32u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gmem gm;
static struct chain c;
static uint8_t scratch[65536];

/* Move up to @len bytes of input to guest memory. */
static void feed(const uint8_t **data, size_t *size, gpa_t at, size_t len)
{
	size_t n = MIN(len, *size);

	assert(gmem_write(&gm, at, *data, n) == 0);
	*data += n;
	*size -= n;
}

static void cut_addresses(gpa_t table, unsigned n)
{
	uint8_t raw[8];
	unsigned i;

	for (i = 0; i < n; i++) {
		assert(gmem_read(&gm, table + 16 * i, raw, 8) == 0);
		/* A quarter of them still misses. */
		put_le64(raw, get_le64(raw) % (RAM + RAM / 4));
		assert(gmem_write(&gm, table + 16 * i, raw, 8) == 0);
		assert(gmem_read(&gm, table + 16 * i + 8, raw, 4) == 0);
		put_le32(raw, get_le32(raw) % 70000);
		assert(gmem_write(&gm, table + 16 * i + 8, raw, 4) == 0);
	}
}

static uint64_t iov_sum(const struct iovec *iov, int n)
{
	uint64_t sum = 0;
	int i;

	assert(n >= 0 && n <= CHAIN_MAX);
	for (i = 0; i < n; i++) {
		assert(iov[i].iov_len);
		sum += iov[i].iov_len;
	}
	return sum;
}

/* What virtq_pop() promises about a chain. */
static void check_chain(const struct virtq *q)
{
	uint64_t out = 0, in = 0;
	unsigned i;

	assert(c.head < q->size);
	assert(c.n_out + c.n_in >= 1 && c.n_out + c.n_in <= CHAIN_MAX);
	for (i = 0; i < (unsigned)c.n_out + c.n_in; i++) {
		assert(!c.seg[i].len ||
		       gmem_valid(&gm, c.seg[i].gpa, c.seg[i].len));
		*(i < c.n_out ? &out : &in) += c.seg[i].len;
	}
	assert(out == c.out_left && in == c.in_left && out + in <= UINT32_MAX);
}

static void use_chain(struct virtq *q, unsigned mode)
{
	struct iovec iov[CHAIN_MAX];
	uint64_t want = c.out_left, done = 0;
	int r;

	if (mode & MODE_IOV) {
		chain_skip_out(&c, c.head * 3u);
		chain_skip_in(&c, c.head * 5u);
	}
	want = c.out_left;
	assert(iov_sum(iov, chain_iov_out(q, &c, iov, CHAIN_MAX)) == want);
	while ((r = chain_read(q, &c, scratch, sizeof(scratch))) > 0)
		done += (unsigned)r;
	assert(!r && done == want && !c.out_left);

	want = c.in_left;
	done = 0;
	assert(iov_sum(iov, chain_iov_in(q, &c, iov, CHAIN_MAX)) == want);
	chain_dirty(q, &c, (uint32_t)want);
	while ((r = chain_write(q, &c, scratch, 4099)) > 0)
		done += (unsigned)r;
	assert(!r && done == want && !c.in_left);
	assert(virtq_push(q, c.head, c.written) == 0);
	(void)virtq_need_irq(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtq q = { .gm = &gm, .desc = DESC, .avail = AVAIL, .used = USED };
	unsigned mode, n;
	int r = 0;

	if (!gm.size)
		assert(gmem_init(&gm, RAM, false) == 0);
	if (size < 2)
		return 0;
	mode = data[0];
	q.size = (uint16_t)(1u << data[1] % 9);
	q.event_idx = mode & MODE_EVENT_IDX;
	q.indirect = mode & MODE_INDIRECT;
	data += 2;
	size -= 2;
	assert(gmem_fill(&gm, 0, 0, 0x10000) == 0);
	feed(&data, &size, AVAIL, 6 + 2u * q.size);
	feed(&data, &size, DESC, 16u * q.size);
	feed(&data, &size, TABLE, 0x4000);
	if (mode & MODE_NEAR) {
		cut_addresses(DESC, q.size);
		cut_addresses(TABLE, 0x400);
	}
	assert(virtq_start(&q) == 0);
	if (mode & MODE_FULL)
		assert(gmem_store16(&gm, AVAIL + 2, q.size) == 0);

	/* A chain may overwrite the ring, so this need not end by itself. */
	for (n = 0; n < 64; n++) {
		if (mode & MODE_DISARM)
			virtq_disarm(&q);
		r = virtq_pop(&q, &c);
		if (r <= 0)
			break;
		check_chain(&q);
		if (n == 2) {
			virtq_unpop(&q);
			continue;
		}
		use_chain(&q, mode);
	}
	assert(r >= 0 || q.broken);
	if (virtq_arm(&q))
		(void)virtq_pop(&q, &c);
	return 0;
}
