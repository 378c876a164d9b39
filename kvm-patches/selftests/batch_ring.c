/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM_CSV_BATCH_MORE, which stays in ring buffer mode, and batches of one VM at
 * the same time. As root in the lab.
 */
#include "csvt.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRP_SEV	    1
#define BATCH_FLAGS 0x43535600
#define MORE	    (1u << 31)
#define SEED	    21u

static struct vm from, to;
static struct batch b;
static bool ring;
static uint64_t flags;

static bool probe(void)
{
	struct kvm_device_attr a = {
		.group = GRP_SEV,
		.attr = BATCH_FLAGS,
		.addr = (uintptr_t)&flags,
	};
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	bool has = ioctl(fd, KVM_HAS_DEVICE_ATTR, &a) == 0 &&
		   ioctl(fd, KVM_GET_DEVICE_ATTR, &a) == 0;

	close(fd);
	return has;
}

static int go(struct batch *batch, const struct vm *vm, bool send)
{
	return batch_run_at(batch, vm,
			    (uint32_t)flags | (send ? KVM_SEV_SEND_UPDATE_DATA :
						      KVM_SEV_RECEIVE_UPDATE_DATA),
			    (uintptr_t)batch->node);
}

static void test_flags(void)
{
	int r;

	batch_fill(&b, &from, 0, 5);
	r = batch_run_at(&b, &from, KVM_SEV_SEND_UPDATE_DATA | 1u << 30,
			 (uintptr_t)b.node);
	check(r == EINVAL, "unknown flag: %s", strerror(r));
	r = batch_run_at(&b, &from, KVM_SEV_SEND_UPDATE_DATA | MORE,
			 (uintptr_t)b.node);
	check(r == (ring ? 0 : EINVAL), "KVM_CSV_BATCH_MORE: %s", strerror(r));
}

/* @times batches of @nr each way */
static void test_stay(unsigned nr, unsigned times)
{
	uint64_t mail = psp_counter(C_MAILBOX), bells = psp_counter(C_DOORBELLS);
	uint64_t irqs = psp_counter(C_INTERRUPTS);
	bool ok = true;
	unsigned i;

	for (i = 0; i < times && ok; i++) {
		size_t at = (size_t)i * nr % (BATCH_MAX - nr + 1);

		batch_fill(&b, &from, at, nr);
		ok = !go(&b, &from, true) && b.nr_done == nr;
		batch_fill(&b, &to, at, nr);
		ok = ok && !go(&b, &to, false) && b.nr_done == nr;
	}
	if (!ok)
		printf("# round %u: status %u, %u done\n", i, b.fw, b.nr_done);
	mail = psp_counter(C_MAILBOX) - mail;
	bells = psp_counter(C_DOORBELLS) - bells;
	irqs = psp_counter(C_INTERRUPTS) - irqs;
	check(ok && (!ring || (mail <= 1 && bells == 2 * times &&
			       psp_in_ring_mode())),
	      "%u times %u there and back: %llu mailbox commands, %llu doorbells, %llu interrupts",
	      times, nr, (unsigned long long)mail, (unsigned long long)bells,
	      (unsigned long long)irqs);
}

static void test_others(void)
{
	struct kvm_sev_guest_status s;
	uint32_t fw;
	int r;

	batch_fill(&b, &from, 0, 20);
	r = go(&b, &from, true);
	check(!r && psp_in_ring_mode() == ring, "in ring mode after a batch");
	r = sev_op(&from, KVM_SEV_GUEST_STATUS, &s, &fw);
	check(!r && !psp_in_ring_mode(), "another command ends it: %s",
	      strerror(r));
	r = go(&b, &from, true);
	check(!r && psp_in_ring_mode() == ring, "and the next batch begins it");
	r = batch_send(&b, &from);
	check(!r && !psp_in_ring_mode(), "one without the flag ends it");
}

static void test_errors(void)
{
	static const unsigned k[] = { 0, 1500, 2046, 2047, 3000, 4093 };
	unsigned i;
	int s, r;

	if (!ring) {
		skip("errors in ring mode");
		return;
	}
	/* Not at the beginning of the rings */
	test_stay(777, 2);
	for (i = 0; i < sizeof(k) / sizeof(k[0]); i++) {
		batch_fill(&b, &from, 0, 777);
		if (go(&b, &from, true))
			die("send");
		batch_fill(&b, &from, 0, BATCH_MAX);
		psp_fault(F_PAUSE_STATUS, FW_HWERROR_PLATFORM);
		psp_fault(F_PAUSE_AT, k[i]);
		s = go(&b, &from, true);
		if (s != EIO || b.nr_done != k[i] || b.fw != FW_HWERROR_PLATFORM)
			printf("# %s, %u done, status %u\n", strerror(s),
			       b.nr_done, b.fw);
		s = s == EIO && b.nr_done == k[i] && b.fw == FW_HWERROR_PLATFORM &&
		    !psp_in_ring_mode();
		r = batch_run_at(&b, &from, MORE | KVM_SEV_SEND_UPDATE_DATA,
				 (uintptr_t)&b.node[k[i]]);
		s = s && !r && b.nr_done == BATCH_MAX - k[i];
		batch_fill(&b, &to, 0, BATCH_MAX);
		r = go(&b, &to, false);
		check(s && !r && b.nr_done == BATCH_MAX,
		      "command %u fails, go on from there", k[i]);
	}
	psp_fault(F_LOSE, LOSE_DOORBELL);
	test_stay(50, 3);
	psp_fault(F_LOSE, LOSE_DOORBELL);
	test_stay(4094, 1);
}

/* -- at the same time */

struct worker {
	pthread_t thread;
	struct batch b;
	const struct vm *vm;
	unsigned nr, rounds;
	size_t at;
	bool more;
	unsigned pause_ms;
	int err;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned i;

	for (i = 0; i < w->rounds && !w->err; i++) {
		batch_fill(&w->b, w->vm, w->at, w->nr);
		w->err = w->more ? go(&w->b, w->vm, true) :
				   batch_send(&w->b, w->vm);
		/* What a VMM does with the packets, such as to write to a socket */
		sleep_ms(w->pause_ms);
	}
	return NULL;
}

static void test_threads(unsigned threads, bool more, unsigned nr,
			 unsigned rounds, double *share)
{
	struct worker w[4] = { 0 };
	uint64_t t, busy, mail;
	unsigned i;
	bool ok = true;

	for (i = 0; i < threads; i++) {
		w[i].vm = &from;
		w[i].nr = nr;
		w[i].at = i * nr;
		w[i].rounds = rounds / threads;
		w[i].more = more;
		w[i].pause_ms = 50;
		batch_alloc(&w[i].b, nr);
	}
	mail = psp_counter(C_MAILBOX);
	busy = psp_counter(C_REAL);
	if (psp_cost(COST_PAGE))
		busy = psp_counter(C_BUSY);
	t = now_ns();
	for (i = 0; i < threads; i++)
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	for (i = 0; i < threads; i++) {
		pthread_join(w[i].thread, NULL);
		ok &= !w[i].err && w[i].b.nr_done == nr;
		batch_free(&w[i].b);
	}
	t = now_ns() - t;
	busy = psp_counter(psp_cost(COST_PAGE) ? C_BUSY : C_REAL) - busy;
	mail = psp_counter(C_MAILBOX) - mail;
	*share = 100. * (double)busy / (double)t;
	check(ok, "%u thread(s)%s, %u batches of %u, 50 ms between: %llu ms, %llu mailbox commands, PSP at work %.0f %%",
	      threads, more ? ", KVM_CSV_BATCH_MORE" : "", rounds, nr,
	      (unsigned long long)t / 1000000, (unsigned long long)mail, *share);
}

static void test_lock(void)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM,
		.args[0] = (uint64_t)from.fd,
	};
	struct kvm_enc_region region;
	struct worker w = { .vm = &from, .nr = BATCH_MAX, .rounds = 1 };
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int vm = vm_new(), r;
	uint64_t t, batch_ns, sent;
	unsigned i;

	batch_alloc(&w.b, BATCH_MAX);
	sent = psp_counter(C_SENT);
	batch_ns = now_ns();
	pthread_create(&w.thread, NULL, work, &w);
	/* However late the thread starts, it is at work when pages are sent. */
	for (i = 0; i < 60000 && psp_counter(C_SENT) == sent; i++)
		sleep_ms(1);
	t = now_ns();
	region.addr = (uintptr_t)page;
	region.size = PAGE;
	r = ioctl(from.fd, KVM_MEMORY_ENCRYPT_REG_REGION, &region) ? errno : 0;
	t = now_ns() - t;
	if (r)
		die("REG_REGION");
	r = ioctl(vm, KVM_ENABLE_CAP, &cap) ? errno : 0;
	pthread_join(w.thread, NULL);
	batch_ns = now_ns() - batch_ns;
	check(!w.err && t < batch_ns / 4,
	      "kvm->lock is free: %llu ms within a batch of %llu ms",
	      (unsigned long long)t / 1000000,
	      (unsigned long long)batch_ns / 1000000);
	check(r == EBUSY, "the context can't be moved: %s", strerror(r));
	ioctl(from.fd, KVM_MEMORY_ENCRYPT_UNREG_REGION, &region);
	close(vm);
	batch_free(&w.b);
}

/* More than can be carried out wait, and can be killed. */
static void test_kill(void)
{
	unsigned i, k, ok = 0;
	int status, p[2];
	pid_t pid;
	char c;

	for (k = 0; k < 6; k++) {
		if (pipe(p))
			die("pipe");
		pid = fork();
		if (pid == 0) {
			struct worker w[4] = { 0 };
			struct vm f, t;

			vm_launch(&f, 1024, 5);
			vm_pair(&f, &t);
			for (i = 0; i < 4; i++) {
				w[i].vm = &f;
				w[i].nr = 1024;
				w[i].rounds = ~0u;
				w[i].more = true;
				batch_alloc(&w[i].b, 1024);
				pthread_create(&w[i].thread, NULL, work, &w[i]);
			}
			if (write(p[1], "x", 1) != 1)
				_exit(1);
			pthread_join(w[0].thread, NULL);
			_exit(1);
		}
		close(p[1]);
		if (read(p[0], &c, 1) != 1)
			die("child");
		close(p[0]);
		sleep_ms(20 + 60 * k);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		ok += WIFSIGNALED(status);
	}
	check(ok == 6, "%u of 6 killed with 4 batches at a time", ok);
}

int main(void)
{
	double one, more, two, four;
	unsigned i, bad = 0;
	uint32_t fw;

	setbuf(stdout, NULL);
	if (!psp_open()) {
		printf("1..0 # SKIP no security processor with a debug window\n");
		return 77;
	}
	if (!probe()) {
		printf("1..0 # SKIP no KVM_X86_CSV_BATCH_FLAGS\n");
		return 77;
	}
	ring = has_ring();
	batch_alloc(&b, BATCH_MAX);
	vm_launch(&from, BATCH_MAX, SEED);
	vm_pair(&from, &to);
	check(flags == (ring ? MORE : 0), "KVM_X86_CSV_BATCH_FLAGS: 0x%llx",
	      (unsigned long long)flags);

	test_flags();
	test_stay(1, 3);
	test_stay(37, 200);
	test_stay(1000, 5);
	test_stay(2047, 3);
	test_stay(2048, 3);
	test_stay(4094, 3);
	test_others();
	test_errors();
	test_threads(1, false, 512, 16, &one);
	test_threads(1, true, 512, 16, &more);
	test_threads(2, true, 512, 16, &two);
	test_threads(4, true, 512, 16, &four);
	test_lock();
	test_kill();

	test_stay(BATCH_MAX, 1);
	check(!sev_op(&from, KVM_SEV_SEND_FINISH, NULL, &fw) &&
		      !psp_in_ring_mode(), "SEND_FINISH ends ring mode");
	check(!sev_op(&to, KVM_SEV_RECEIVE_FINISH, NULL, &fw), "RECEIVE_FINISH");
	for (i = 0; i < BATCH_MAX; i++)
		bad += !vm_has(&to, i, SEED, i);
	check(!bad, "%u of %u pages are what was sent", BATCH_MAX - bad,
	      BATCH_MAX);
	vm_close(&to);
	vm_close(&from);
	return finish();
}
