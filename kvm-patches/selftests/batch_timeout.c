/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A security processor that takes too long. As root in the lab, with
 * doorbell-ns=7500000000, where the mailbox is alive in time, or with
 * doorbell-ns=25000000000, where it is not, and the host's processor is lost.
 * As the host's driver waits for a doorbell, then for the mailbox, these are in
 * the middle and far off, for machines that have other things to do.
 */
#include "csvt.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT "/sys/module/ccp/parameters/psp_cmd_timeout"
#define SECONDS 5u

static void timeout_set(unsigned seconds)
{
	FILE *f = fopen(TIMEOUT, "we");

	if (!f || fprintf(f, "%u", seconds) < 0 || fclose(f))
		die(TIMEOUT);
}

int main(void)
{
	struct kvm_sev_guest_status s;
	struct vm from, to;
	struct batch b;
	uint64_t cost, t;
	uint32_t fw;
	bool dies;
	int r;

	setbuf(stdout, NULL);
	if (!psp_open() || !has_ring() || psp_cost(COST_DOORBELL) <= SECONDS * 1000000000ull) {
		printf("1..0 # SKIP no security processor that is slow enough\n");
		return 77;
	}
	cost = psp_cost(COST_DOORBELL);
	dies = cost > 2 * SECONDS * 1000000000ull;
	batch_alloc(&b, BATCH_MAX);
	vm_launch(&from, BATCH_MAX, 3);
	vm_pair(&from, &to);

	/* It is taken over with the next command. */
	timeout_set(SECONDS);
	batch_fill(&b, &from, 0, 20);
	t = now_ns();
	r = batch_send(&b, &from);
	t = now_ns() - t;
	check(r == ETIMEDOUT && b.fw == 0,
	      "a batch times out: %s, %u done, after %llu ms", strerror(r),
	      b.nr_done, (unsigned long long)t / 1000000);
	timeout_set(100);
	r = sev_op(&from, KVM_SEV_GUEST_STATUS, &s, &fw);
	if (dies) {
		check(r == EBUSY, "the mailbox is dead, too: %s", strerror(r));
		r = batch_send(&b, &from);
		check(r == EBUSY && b.nr_done == 0, "another batch: %s",
		      strerror(r));
		sleep_ms((unsigned)(cost / 1000000));
	} else {
		check(!r, "the mailbox is alive: %s", strerror(r));
		/* What is done of it can be received. */
		b.node[b.nr_done - 1].next_cmd_addr = 0;
		r = batch_send(&b, &from);
		check(!r && b.nr_done == 20, "another batch: %s, %u done",
		      strerror(r), b.nr_done);
		batch_fill(&b, &to, 0, 20);
		r = batch_receive(&b, &to);
		check(!r && b.nr_done == 20, "received: %s, %u done",
		      strerror(r), b.nr_done);
	}
	vm_close(&to);
	vm_close(&from);
	return finish();
}
