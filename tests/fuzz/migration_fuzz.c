/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a source sends. The first byte says how far it got before it went mad: to
 * the greeting, to the offer, or to the records behind the start. The rest of the
 * input is what it sends from there on. Whatever it is: an end with a reason, and
 * nothing written outside of the guest's memory.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/machine.h"
#include "core/util.h"
#include "migration/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 65536u
#define MEMORY	  MIB(1)

static struct machine m;

static int op_load(void *ctx, int i, struct snap_r *r)
{
	uint8_t byte;

	(void)ctx;
	(void)i;
	while (r->off < r->len)
		snap_get_bytes(r, "state", &byte, 1);
	return r->error;
}

static int op_save(void *ctx, int i, struct snap_w *w)
{
	(void)ctx;
	(void)i;
	snap_put_bytes(w, "state", 5);
	return 0;
}

static int op_yes(void *ctx, char *why)
{
	(void)ctx;
	(void)why;
	return 0;
}

static int op_mark(void *ctx, enum mig_phase phase)
{
	(void)ctx;
	(void)phase;
	return 0;
}

static const struct mig_target_ops ops = { op_load, op_save, op_yes, op_yes,
					   op_mark };

static const uint8_t greeting[WIRE_GREETING] = { 'C', 'S', 'V', 'V', 'M', 'M',
						 'I', 'G', 1,	0,   1,	  0 };

static size_t put_record(uint8_t *to, uint16_t type, const void *body,
			 uint32_t len)
{
	put_le16(to, type);
	put_le16(to + 2, 0);
	put_le32(to + 4, len);
	memcpy(to + 8, body, len);
	return 8 + len;
}

static size_t beginning(uint8_t *to, unsigned how_far,
			const struct mig_machine *d)
{
	static const uint8_t start[16] = { 0, 0, 0, 0, 52, 0, 0, 0, 0, 16 };
	static uint8_t body[65536];
	struct snap_w w = { .buf = body, .cap = sizeof(body) };
	size_t n = 0;

	if (how_far < 1)
		return 0;
	memcpy(to, greeting, sizeof(greeting));
	n += sizeof(greeting);
	if (how_far < 2)
		return n;
	mig_describe_put(d, &w);
	n += put_record(to + n, 1, body, (uint32_t)w.len);
	return n + put_record(to + n, 3, start, sizeof(start));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t all[200000];
	struct mig_target *t;
	int pair[2], room = 1 << 20;
	size_t n;

	if (!size || size > INPUT_MAX)
		return -1;
	if (!m.gmem.size) {
		pthread_mutex_init(&m.lock, NULL);
		if (gmem_init(&m.gmem, MEMORY, false) < 0)
			abort();
	}
	t = malloc(sizeof(*t));
	if (!t || mig_target_init(t, &m) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		abort();
	t->ops = &ops;
	t->n_vcpus = 2;
	t->stall_ns = 1000000000;
	t->own = (struct mig_machine){ .name = "m", .vcpus = 2, .memory = MEMORY };
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &room,
			 sizeof(room));
	n = beginning(all, data[0] % 3, &t->own);
	memcpy(all + n, data + 1, size - 1);
	n += size - 1;
	if (send(pair[1], all, n, MSG_DONTWAIT) != (ssize_t)n)
		abort();
	(void)shutdown(pair[1], SHUT_WR);
	if (mig_target_run(t, pair[0]) != MIG_MOVED && !t->wire.error[0] &&
	    !t->peer.check_only)
		abort();
	(void)close(pair[0]);
	(void)close(pair[1]);
	mig_target_fini(t);
	free(t);
	return 0;
}
