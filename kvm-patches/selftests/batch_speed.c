/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What batches are good for: sends and receives 4094 pages by one batch and by
 * single commands, checks that the guests are the same byte by byte, and prints
 * what the security processor has counted, and how long it took. As root in the
 * lab, where the cost of a round trip is a property of the device.
 */
#include "csvt.h"

#include <string.h>

#define SEED 11u

/**
 * struct way - One way to do it
 * @ioctls, ...: for all pages, either direction
 */
struct way {
	const char *name;
	uint64_t ioctls, mailbox, doorbells, ring, interrupts, ns, busy_ns;
};

static struct batch b;

static void begin(struct way *w)
{
	w->mailbox = psp_counter(C_MAILBOX);
	w->doorbells = psp_counter(C_DOORBELLS);
	w->ring = psp_counter(C_RING);
	w->interrupts = psp_counter(C_INTERRUPTS);
	w->busy_ns = psp_counter(C_BUSY);
	w->ns = now_ns();
}

static void end(struct way *w)
{
	w->ns = now_ns() - w->ns;
	w->mailbox = psp_counter(C_MAILBOX) - w->mailbox;
	w->doorbells = psp_counter(C_DOORBELLS) - w->doorbells;
	w->ring = psp_counter(C_RING) - w->ring;
	w->interrupts = psp_counter(C_INTERRUPTS) - w->interrupts;
	w->busy_ns = psp_counter(C_BUSY) - w->busy_ns;
}

static bool by_batch(struct way *w, const struct vm *vm, bool send)
{
	int r;

	batch_fill(&b, vm, 0, BATCH_MAX);
	w->ioctls = 1;
	begin(w);
	r = send ? batch_send(&b, vm) : batch_receive(&b, vm);
	end(w);
	return !r && b.nr_done == BATCH_MAX;
}

static bool by_single(struct way *w, const struct vm *vm, bool send)
{
	uint32_t id = send ? KVM_SEV_SEND_UPDATE_DATA : KVM_SEV_RECEIVE_UPDATE_DATA;
	uint32_t fw;
	unsigned i;

	batch_fill(&b, vm, 0, BATCH_MAX);
	w->ioctls = BATCH_MAX;
	begin(w);
	for (i = 0; i < BATCH_MAX; i++)
		if (sev_op(vm, id, &b.data[i], &fw))
			return false;
	end(w);
	return true;
}

static void print(const struct way *w)
{
	printf("# %-16s %7llu %8llu %9llu %9llu %10llu %10.1f %10.1f\n", w->name,
	       (unsigned long long)w->ioctls, (unsigned long long)w->mailbox,
	       (unsigned long long)w->doorbells, (unsigned long long)w->ring,
	       (unsigned long long)w->interrupts, (double)w->ns / 1e6,
	       (double)w->busy_ns / 1e6);
}

static unsigned wrong_pages(const struct vm *from, const struct vm *to)
{
	unsigned i, bad = 0;
	uint32_t fw;

	if (sev_op(from, KVM_SEV_SEND_FINISH, NULL, &fw) ||
	    sev_op(to, KVM_SEV_RECEIVE_FINISH, NULL, &fw))
		return BATCH_MAX;
	for (i = 0; i < BATCH_MAX; i++)
		bad += !vm_has(to, i, SEED, i);
	return bad;
}

int main(void)
{
	struct way w[4] = {
		{ .name = "send, batch" },
		{ .name = "send, single" },
		{ .name = "receive, batch" },
		{ .name = "receive, single" },
	};
	struct way warm = { 0 };
	struct vm from, to;
	bool ok[2] = { true, true };
	bool ring;
	int way;

	setbuf(stdout, NULL);
	if (!psp_open()) {
		printf("1..0 # SKIP no security processor with a debug window\n");
		return 77;
	}
	ring = has_ring();
	batch_alloc(&b, BATCH_MAX);
	printf("# %s, %s; mailbox %llu us, doorbell %llu us, page %llu us\n",
	       psp_is_hygon() ? "Hygon" : "AMD", ring ? "ring mode" : "mailbox only",
	       (unsigned long long)psp_cost(COST_MAILBOX) / 1000,
	       (unsigned long long)psp_cost(COST_DOORBELL) / 1000,
	       (unsigned long long)psp_cost(COST_PAGE) / 1000);
	for (way = 0; way < 2; way++) {
		unsigned bad;

		vm_launch(&from, BATCH_MAX, SEED);
		vm_pair(&from, &to);
		/* First batches have to get memory, first packets to touch it. */
		ok[way] = by_batch(&warm, &from, true) &&
			  by_batch(&warm, &to, false);
		if (!ok[way])
			die("warming up");
		if (way == 0)
			ok[0] = by_batch(&w[0], &from, true) &&
				by_batch(&w[2], &to, false);
		else
			ok[1] = by_single(&w[1], &from, true) &&
				by_single(&w[3], &to, false);
		bad = wrong_pages(&from, &to);
		check(ok[way] && !bad, "%u pages %s: %u differ", BATCH_MAX,
		      way ? "one by one" : "by a batch", bad);
		vm_close(&to);
		vm_close(&from);
	}
	printf("# %-16s %7s %8s %9s %9s %10s %10s %10s\n", "", "ioctls", "mailbox",
	       "doorbells", "in rings", "interrupts", "ms", "PSP's ms");
	for (way = 0; way < 4; way++)
		print(&w[way]);
	printf("# single : batch = %.2f (send), %.2f (receive)\n",
	       (double)w[1].ns / (double)w[0].ns,
	       (double)w[3].ns / (double)w[2].ns);
	if (ring) {
		check(w[0].doorbells == 1 && w[0].ring == BATCH_MAX &&
			      w[0].mailbox <= 2 && w[0].interrupts <= 3,
		      "send: a doorbell, no more than 2 mailbox commands and 3 interrupts");
		check(w[2].doorbells == 1 && w[2].ring == BATCH_MAX &&
			      w[2].mailbox <= 2 && w[2].interrupts <= 3,
		      "receive: the same");
	} else {
		check(w[0].mailbox == BATCH_MAX && w[2].mailbox == BATCH_MAX,
		      "a batch is passed on one by one");
	}
	check(w[1].mailbox == BATCH_MAX && w[3].mailbox == BATCH_MAX,
	      "4094 mailbox commands one by one");
	return finish();
}
