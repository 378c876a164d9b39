/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine of the migration alone: a source and a target in this process, over a
 * socket pair, with a security processor that does nothing but take its time, one
 * batch after the other, without the host's processors. What it costs beside that:
 * time, heap, copies, bytes on the line. A line a way:
 *
 * WAY bulk_ns bare_ns psp_ns pages bytes batches allocations copied total_ns
 *
 * WAY is CALLS-COST: `ioctl` (one batch at a time, as the vendors' kernels), `ring`
 * (two, as ours); nanoseconds a page. bulk_ns: from the first batch's start to the
 * last one's end. bare_ns: the same batches in a loop. copied: bytes that the
 * source's code copies in pieces of 512 and more.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/csv_abi.h"
#include "core/kvm_dirty.h"
#include "core/machine.h"
#include "core/util.h"
#include "migration/source.h"
#include "migration/target.h"
#include "tests/unit/dirty_log.h"

#define MEMORY MIB(256)
#define PAGES  ((unsigned)(MEMORY / PAGE_SIZE))
#define BATCH  4094u
#define ROUNDS 5
#define SEC    1000000000ULL

/* --- counters ------------------------------------------------------------------------ */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);

static _Atomic uint64_t allocations, copied;
static _Thread_local bool is_target;

void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	allocations++;
	return __libc_realloc(p, size);
}

static void *copy(void *to, const void *from, size_t n)
{
	void *at = to;

	if (n >= 512 && !is_target)
		copied += n;
	__asm__ volatile("rep movsb"
			 : "+D"(at), "+S"(from), "+c"(n)
			 :
			 : "memory");
	return to;
}

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room);
void *__memcpy_chk(void *to, const void *from, size_t n, size_t room)
{
	if (n > room)
		abort();
	return copy(to, from, n);
}

void *memcpy(void *to, const void *from, size_t n)
{
	return copy(to, from, n);
}

/* --- a security processor --------------------------------------------------------------- */

static struct psp {
	pthread_mutex_t lock;
	uint64_t page_ns, free_ns, busy_ns, batches, first_ns, last_ns;
} psp = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* It begins when it is free, and answers when it is done: what was told meanwhile
 * follows without a gap. */
static void work(unsigned pages)
{
	uint64_t cost = psp.page_ns * pages, end, now = now_ns();
	struct timespec ts;

	pthread_mutex_lock(&psp.lock);
	end = MAX(now, psp.free_ns) + cost;
	psp.free_ns = end;
	psp.first_ns = psp.first_ns ? psp.first_ns : now;
	psp.last_ns = end;
	psp.busy_ns += cost;
	psp.batches++;
	pthread_mutex_unlock(&psp.lock);
	ts = (struct timespec){ .tv_sec = (time_t)(end / SEC),
				.tv_nsec = (long)(end % SEC) };
	if (cost)
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static unsigned length(const struct csv_abi_batch *b)
{
	const struct csv_abi_node *n = (void *)(uintptr_t)b->list_uaddr;
	unsigned count = 1;

	for (; n->next_cmd_addr; count++)
		n = (void *)(uintptr_t)n->next_cmd_addr;
	return count;
}

static int issue(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	bool source = be;

	*ret_fw = 0;
	if (cmd == KVM_SEV_SEND_START) {
		((struct kvm_sev_send_start *)arg)->session_len = 128;
	} else if (cmd == KVM_SEV_SEND_UPDATE_DATA) {
		((struct kvm_sev_send_update_data *)arg)->hdr_len = 52;
		((struct kvm_sev_send_update_data *)arg)->trans_len = 4096;
	} else if (cmd == CSV_COMMAND_BATCH && source) {
		work(length(arg));
	}
	return 0;
}

static int platform(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	(void)be;
	(void)cmd;
	(void)arg;
	*ret_fw = 0;
	return 0;
}

static int region(void *be, void *mem, uint64_t size, bool add)
{
	(void)be;
	(void)mem;
	(void)size;
	(void)add;
	return 0;
}

static void close_none(void *be)
{
	(void)be;
}

static const struct csv_backend backend = {
	.name = "none",
	.issue = issue,
	.platform = platform,
	.region = region,
	.close = close_none,
};

/* --- a guest that does nothing ---------------------------------------------------------- */

int kvm_dirty_fetch(int vm_fd, unsigned slot, uint64_t *scratch, uint64_t words,
		    uint64_t *bitmap)
{
	(void)vm_fd;
	(void)slot;
	(void)scratch;
	(void)words;
	(void)bitmap;
	return 0;
}

static int op_check(void *ctx, const struct mig_machine *target,
		    struct csv_target *c, char *why)
{
	static const uint8_t any[16];

	(void)ctx;
	(void)target;
	(void)why;
	*c = (struct csv_target){ .pdh = any,
				  .pdh_len = sizeof(any),
				  .plat = any,
				  .plat_len = sizeof(any),
				  .amd = any,
				  .amd_len = sizeof(any) };
	return 0;
}

static int op_stop(void *ctx, char *why)
{
	(void)ctx;
	(void)why;
	return 0;
}

static void op_go_on(void *ctx)
{
	(void)ctx;
}

static int op_save(void *ctx, int i, struct snap_w *w)
{
	(void)ctx;
	(void)i;
	snap_put_bytes(w, "state", 5);
	return 0;
}

static void op_throttle(void *ctx, unsigned percent)
{
	(void)ctx;
	(void)percent;
}

static int op_mark(void *ctx, enum mig_phase phase)
{
	(void)ctx;
	(void)phase;
	return 0;
}

static int op_load(void *ctx, int i, struct snap_r *r)
{
	char state[5];

	(void)ctx;
	(void)i;
	snap_get_bytes(r, "state", state, sizeof(state));
	return r->error;
}

static const struct mig_source_ops source_ops = { op_check,    op_stop,
						  op_go_on,    op_save,
						  op_throttle, op_mark };
static const struct mig_target_ops target_ops = { op_load, op_save, op_stop,
						  op_stop, op_mark };

/* --- one move ----------------------------------------------------------------------------- */

static struct machine m[2];
static struct csv csv[2];

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "migrate_bench: %s\n", what);
	exit(1);
}

static void *target_main(void *arg)
{
	static struct mig_target t;
	int *fd = arg;

	is_target = true;
	must(!mig_target_init(&t, &m[1]), "memory");
	t.csv = &csv[1];
	t.n_vcpus = 1;
	t.ops = &target_ops;
	t.stall_ns = 60 * SEC;
	t.own = (struct mig_machine){
		.name = "m", .type = MIG_CSV, .vcpus = 1, .memory = MEMORY
	};
	t.own.pdh.len = t.own.chain.len = 16;
	must(mig_target_run(&t, *fd) == MIG_MOVED, t.wire.error);
	mig_target_fini(&t);
	return NULL;
}

/* @ring: two batches at once. Return: nanoseconds, and what it tells */
static uint64_t move(bool ring, struct mig_progress *ret_p)
{
	static struct mig_source s;
	uint64_t from;
	pthread_t thread;
	int fd[2];

	csv_open(&csv[0], &backend, &m[0]);
	csv_open(&csv[1], &backend, NULL);
	must(!csv_init(&csv[0], false, NULL) && !csv_init(&csv[1], false, NULL),
	     "init");
	csv[0].state = CSV_RUNNING;
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd), "socketpair");
	must(!mig_source_init(&s, &m[0]), "memory");
	s.csv = &csv[0];
	s.csv->batch_flags = ring ? CSV_BATCH_MORE : 0;
	s.n_vcpus = 1;
	s.ops = &source_ops;
	s.opts = (struct mig_opts){ .downtime_ns = SEC, .stall_ns = 60 * SEC };
	s.own = (struct mig_machine){
		.name = "m", .type = MIG_CSV, .vcpus = 1, .memory = MEMORY
	};
	s.own.pdh.len = s.own.chain.len = 16;
	allocations = copied = psp.busy_ns = psp.batches = psp.free_ns =
		psp.first_ns = 0;
	must(!pthread_create(&thread, NULL, target_main, &fd[1]), "thread");
	from = now_ns();
	must(mig_source_run(&s, fd[0]) == MIG_MOVED, s.wire.error);
	from = now_ns() - from;
	(void)pthread_join(thread, NULL);
	*ret_p = s.progress;
	ret_p->bytes = s.wire.sent;
	(void)close(fd[0]);
	(void)close(fd[1]);
	mig_source_fini(&s);
	csv_close(&csv[0]);
	csv_close(&csv[1]);
	return from;
}

/* --- a loop of the same ioctls -------------------------------------------------------------- */

static struct bare {
	struct csv csv;
	struct csv_packet *packet;
	uint8_t *hdr, *data;
	unsigned left;
	pthread_mutex_t lock;
} loop = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *loop_main(void *arg)
{
	struct csv own = loop.csv;
	unsigned n;

	(void)arg;
	for (;;) {
		pthread_mutex_lock(&loop.lock);
		n = MIN(loop.left, BATCH);
		loop.left -= n;
		pthread_mutex_unlock(&loop.lock);
		if (!n)
			return NULL;
		must(!csv_batch(&own, true, loop.packet, n), "batch");
	}
}

static uint64_t bare(bool ring)
{
	pthread_t thread;
	uint64_t from;
	unsigned i;

	csv_open(&loop.csv, &backend, &m[0]);
	must(!csv_init(&loop.csv, false, NULL), "init");
	loop.csv.state = CSV_SEND;
	loop.left = PAGES;
	psp.free_ns = 0;
	for (i = 0; i < BATCH; i++)
		loop.packet[i] = (struct csv_packet){
			.hdr = loop.hdr + (size_t)i * 52,
			.hdr_len = 52,
			.guest = m[0].gmem.region[0].host + (size_t)i * 4096,
			.guest_len = 4096,
			.trans = loop.data + (size_t)i * 4096,
			.trans_len = 4096,
		};
	from = now_ns();
	if (ring)
		must(!pthread_create(&thread, NULL, loop_main, NULL), "thread");
	(void)loop_main(NULL);
	if (ring)
		(void)pthread_join(thread, NULL);
	from = now_ns() - from;
	csv_close(&loop.csv);
	return from;
}

/* The best of some rounds: the machine has other things to do. */
static void way(const char *name, bool ring, uint64_t page_ns)
{
	uint64_t total = 0, bulk = UINT64_MAX, loops = UINT64_MAX, t, b;
	uint64_t busy = 0;
	uint64_t allocs = UINT64_MAX, copies = 0, batches = 0;
	struct mig_progress p, best = { 0 };
	unsigned i;

	psp.page_ns = page_ns;
	for (i = 0; i < ROUNDS; i++) {
		t = bare(ring);
		loops = MIN(loops, t);
		t = move(ring, &p);
		allocs = MIN(allocs, allocations);
		copies = MAX(copies, copied);
		b = psp.last_ns - psp.first_ns;
		if (b >= bulk)
			continue;
		bulk = b;
		total = t;
		best = p;
		busy = psp.busy_ns;
		batches = psp.batches;
	}
	printf("%s-%llu %llu %llu %llu %llu %llu %llu %llu %llu %llu\n", name,
	       (unsigned long long)page_ns, (unsigned long long)bulk,
	       (unsigned long long)loops, (unsigned long long)busy,
	       (unsigned long long)best.sealed_pages,
	       (unsigned long long)best.bytes, (unsigned long long)batches,
	       (unsigned long long)allocs, (unsigned long long)copies,
	       (unsigned long long)total);
	(void)fflush(stdout);
}

int main(void)
{
	static const uint64_t cost[] = { 0, 2000, 20000 };
	unsigned i;

	for (i = 0; i < 2; i++) {
		pthread_mutex_init(&m[i].lock, NULL);
		m[i].vm_fd = -1;
		must(!gmem_init(&m[i].gmem, MEMORY, false) &&
			     !gmem_encrypt(&m[i].gmem),
		     "guest memory");
		memset(m[i].gmem.region[0].host, 0x5a, MEMORY);
	}
	loop.packet = calloc(BATCH, sizeof(*loop.packet));
	loop.hdr = malloc((size_t)BATCH * 52);
	loop.data = malloc((size_t)BATCH * 4096);
	must(loop.packet && loop.hdr && loop.data, "memory");
	for (i = 0; i < ARRAY_SIZE(cost); i++) {
		way("ioctl", false, cost[i]);
		way("ring", true, cost[i]);
	}
	return 0;
}
