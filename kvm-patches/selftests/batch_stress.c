/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM_CSV_COMMAND_BATCH while other things happen: two VMs at once, signals,
 * death, files closed, memory that goes away. As root in the lab.
 */
#include "csvt.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR 1024u

/* -- two at once */

/**
 * struct mover - A guest on its way, again and again
 */
struct mover {
	struct vm from, to;
	struct batch b;
	unsigned seed;
	atomic_uint rounds;
	atomic_int err;
	pthread_t thread;
	uint64_t longest;
	atomic_bool *stop;
};

static void mover_open(struct mover *m, unsigned seed)
{
	memset(m, 0, sizeof(*m));
	m->seed = seed;
	vm_launch(&m->from, NR, seed);
	vm_pair(&m->from, &m->to);
	batch_alloc(&m->b, NR);
}

static void mover_close(struct mover *m)
{
	vm_close(&m->to);
	vm_close(&m->from);
	batch_free(&m->b);
}

static int mover_round(struct mover *m)
{
	int r;

	batch_fill(&m->b, &m->from, 0, NR);
	r = batch_send(&m->b, &m->from);
	if (r)
		return r;
	batch_fill(&m->b, &m->to, 0, NR);
	return batch_receive(&m->b, &m->to);
}

static void *mover_run(void *arg)
{
	struct mover *m = arg;
	uint64_t t;

	while (!atomic_load(m->stop) && !m->err) {
		t = now_ns();
		m->err = mover_round(m);
		t = now_ns() - t;
		if (t > m->longest)
			m->longest = t;
		m->rounds++;
	}
	return NULL;
}

static bool mover_right(struct mover *m)
{
	unsigned i, bad = 0;
	uint32_t fw;

	if (sev_op(&m->from, KVM_SEV_SEND_FINISH, NULL, &fw) ||
	    sev_op(&m->to, KVM_SEV_RECEIVE_FINISH, NULL, &fw))
		return false;
	for (i = 0; i < NR; i++)
		bad += !vm_has(&m->to, i, m->seed, i);
	return !bad;
}

static void *status_run(void *arg)
{
	atomic_bool *stop = arg;
	struct vm vm;
	struct kvm_sev_guest_status s;
	uint32_t fw;
	long n = 0;

	vm_launch(&vm, 4, 1);
	while (!atomic_load(stop)) {
		if (sev_op(&vm, KVM_SEV_GUEST_STATUS, &s, &fw))
			die("GUEST_STATUS");
		n++;
	}
	vm_close(&vm);
	return (void *)n;
}

static void test_two(void)
{
	static atomic_bool stop;
	struct mover m[2];
	pthread_t other;
	void *others;
	unsigned i;

	for (i = 0; i < 2; i++) {
		mover_open(&m[i], 100 + i);
		m[i].stop = &stop;
	}
	for (i = 0; i < 2; i++)
		pthread_create(&m[i].thread, NULL, mover_run, &m[i]);
	pthread_create(&other, NULL, status_run, &stop);
	/* Slow as they may be, some rounds of each. */
	for (i = 0; i < 1200; i++) {
		sleep_ms(100);
		if (i >= 40 && m[0].rounds > 2 && m[1].rounds > 2)
			break;
		if (m[0].err || m[1].err)
			break;
	}
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(m[i].thread, NULL);
	pthread_join(other, &others);
	check(!m[0].err && !m[1].err && m[0].rounds > 1 && m[1].rounds > 1 &&
		      m[0].rounds < 3 * m[1].rounds &&
		      m[1].rounds < 3 * m[0].rounds,
	      "two VMs at once: %u and %u rounds, the longest %llu and %llu ms",
	      m[0].rounds, m[1].rounds,
	      (unsigned long long)m[0].longest / 1000000,
	      (unsigned long long)m[1].longest / 1000000);
	check((long)others > 1, "a third gets %ld mailbox commands in", (long)others);
	for (i = 0; i < 2; i++) {
		check(mover_right(&m[i]), "VM %u has what was sent", i);
		mover_close(&m[i]);
	}
}

/* -- signals */

static atomic_uint alarms;

static void on_alarm(int sig)
{
	(void)sig;
	atomic_fetch_add(&alarms, 1);
}

static void test_signals(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval it = { { 0, 1000 }, { 0, 1000 } };
	struct mover m;
	unsigned i;
	bool ok = true;

	mover_open(&m, 200);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	for (i = 0; i < 20; i++)
		ok &= !mover_round(&m);
	memset(&it, 0, sizeof(it));
	setitimer(ITIMER_REAL, &it, NULL);
	check(ok, "20 rounds with %u signals", atomic_load(&alarms));
	check(mover_right(&m), "and the guest is right");
	mover_close(&m);
}

/* -- interrupts that nobody has sent */

static void *hammer(void *arg)
{
	atomic_bool *stop = arg;
	long n = 0;

	while (!atomic_load(stop) && psp_interrupt()) {
		n++;
		usleep(200);
	}
	return (void *)n;
}

static void test_spurious(void)
{
	static atomic_bool stop;
	struct kvm_sev_guest_status st;
	uint64_t got, sent;
	struct mover m;
	pthread_t t;
	unsigned i;
	uint32_t fw;
	void *n;
	bool ok = true;

	mover_open(&m, 250);
	got = psp_interrupts();
	sent = psp_counter(C_INTERRUPTS);
	pthread_create(&t, NULL, hammer, &stop);
	/* Some while a batch is at work, some in ring mode, some in none. */
	for (i = 0; i < 20; i++) {
		ok &= !mover_round(&m) && m.b.nr_done == NR;
		ok &= !sev_op(&m.from, KVM_SEV_GUEST_STATUS, &st, &fw);
		if (i % 5)
			continue;
		/* One of the mailbox is late: its status is there, but no interrupt */
		psp_fault(F_LOSE, LOSE_MAILBOX);
		ok &= !sev_op(&m.from, KVM_SEV_GUEST_STATUS, &st, &fw);
	}
	atomic_store(&stop, true);
	pthread_join(t, &n);
	got = psp_interrupts() - got;
	sent = psp_counter(C_INTERRUPTS) - sent;
	if (!n) {
		skip("interrupts that nobody has sent: can't be made here");
	} else {
		check(ok, "20 rounds with %ld interrupts that nobody has sent", (long)n);
		check(got > sent, "the host's driver got %llu, the processor sent %llu",
		      (unsigned long long)got, (unsigned long long)sent);
	}
	check(mover_right(&m), "and the guest is right");
	mover_close(&m);
}

/* -- death in the middle */

static void child(int ready)
{
	static atomic_bool never;
	struct mover m;

	mover_open(&m, 300);
	m.stop = &never;
	if (write(ready, "x", 1) != 1)
		_exit(1);
	mover_run(&m);
	_exit(2);
}

static void test_kill(void)
{
	unsigned i, ok = 0;
	int status, p[2];
	pid_t pid;
	char c;

	for (i = 0; i < 12; i++) {
		if (pipe(p))
			die("pipe");
		pid = fork();
		if (pid == 0)
			child(p[1]);
		close(p[1]);
		if (read(p[0], &c, 1) != 1)
			die("child");
		close(p[0]);
		sleep_ms(5 + 17 * i);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		ok += WIFSIGNALED(status);
	}
	check(ok == 12, "%u of 12 killed in the middle", ok);
}

static void test_close(void)
{
	static atomic_bool stop;
	struct mover m;
	unsigned i;

	for (i = 0; i < 8; i++) {
		atomic_store(&stop, false);
		mover_open(&m, 400);
		m.stop = &stop;
		pthread_create(&m.thread, NULL, mover_run, &m);
		sleep_ms(3 + 13 * i);
		if (i & 1) {
			close(m.from.sev_fd);
			close(m.to.sev_fd);
		} else {
			close(m.from.fd);
			close(m.to.fd);
		}
		pthread_join(m.thread, NULL);
		check(m.err == EBADF, "%s closed in the middle: %s after %u rounds",
		      i & 1 ? "/dev/sev" : "VM", strerror(m.err), m.rounds);
		mover_close(&m);
	}
}

static void test_unmap(void)
{
	static atomic_bool stop;
	struct mover m;
	unsigned i;

	for (i = 0; i < 6; i++) {
		struct batch old;

		atomic_store(&stop, false);
		mover_open(&m, 500);
		m.stop = &stop;
		pthread_create(&m.thread, NULL, mover_run, &m);
		sleep_ms(3 + 13 * i);
		old = m.b;
		mprotect(i & 1 ? (void *)old.hdr : (void *)old.trans,
			 i & 1 ? NR * HDR_ROOM : (size_t)NR * PAGE, PROT_NONE);
		pthread_join(m.thread, NULL);
		check(m.err == EFAULT, "%s gone in the middle: %s after %u rounds, %u done",
		      i & 1 ? "headers" : "packets", strerror(m.err), m.rounds,
		      m.b.nr_done);
		mover_close(&m);
	}
}

/* SEND_FINISH by another thread */
static void test_finish(void)
{
	static atomic_bool stop;
	struct mover m;
	uint32_t fw;
	int r;

	mover_open(&m, 600);
	m.stop = &stop;
	pthread_create(&m.thread, NULL, mover_run, &m);
	sleep_ms(100);
	r = sev_op(&m.from, KVM_SEV_SEND_FINISH, NULL, &fw);
	pthread_join(m.thread, NULL);
	check(!r && m.err == EIO && m.b.fw == FW_INVALID_GUEST_STATE,
	      "SEND_FINISH in the middle: %s, then %s, status %u", strerror(r),
	      strerror(m.err), m.b.fw);
	mover_close(&m);
}

int main(void)
{
	struct mover m;

	setbuf(stdout, NULL);
	if (!psp_open()) {
		printf("1..0 # SKIP no security processor with a debug window\n");
		return 77;
	}
	test_two();
	test_signals();
	test_spurious();
	test_kill();
	test_close();
	test_unmap();
	test_finish();
	mover_open(&m, 700);
	check(!mover_round(&m) && mover_right(&m), "all is well after that");
	mover_close(&m);
	return finish();
}
