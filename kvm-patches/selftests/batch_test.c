/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM_CSV_COMMAND_BATCH: good and bad input, failing commands, lost interrupts.
 * As root in the lab.
 */
#include "csvt.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include <unistd.h>

#define SEED 7u

static struct vm from, to;
static struct batch b;
static uint8_t *hole; /* a page, and nothing mapped behind it */
static bool ring;

#define NOWHERE ((uint64_t)(uintptr_t)hole + PAGE)

static uint64_t executed(void)
{
	return psp_command(0x41) + psp_command(0x51);
}

/* Send and receive the first @n pages. */
static bool move(unsigned n)
{
	int s, r;

	batch_fill(&b, &from, 0, n);
	s = batch_send(&b, &from);
	if (s || b.nr_done != n) {
		printf("# send: %s, %u, status %u\n", strerror(s), b.nr_done, b.fw);
		return false;
	}
	batch_fill(&b, &to, 0, n);
	r = batch_receive(&b, &to);
	if (r || b.nr_done != n) {
		printf("# receive: %s, %u, status %u\n", strerror(r), b.nr_done,
		       b.fw);
		return false;
	}
	return true;
}

static void test_counts(void)
{
	static const unsigned n[] = { 1, 2, 3, 5, 2046, 2047, 2048, 2049, 4093, 4094 };
	uint64_t before, bells, mail;
	unsigned i;
	bool ok;
	int r;

	before = executed();
	r = batch_run_at(&b, &from, KVM_SEV_SEND_UPDATE_DATA, 0);
	check(!r && executed() == before, "0 elements: %s", strerror(r));
	r = batch_run_at(&b, &from, 99, 0);
	check(!r, "0 elements of an unknown command: %s", strerror(r));
	for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
		before = executed();
		bells = psp_counter(C_DOORBELLS);
		mail = psp_counter(C_MAILBOX);
		ok = move(n[i]) && executed() - before == 2 * n[i];
		bells = psp_counter(C_DOORBELLS) - bells;
		mail = psp_counter(C_MAILBOX) - mail;
		if (ring && n[i] > 2)
			ok = ok && bells == 2 && mail <= 4;
		else
			ok = ok && bells == 0 && mail == 2 * n[i];
		check(ok, "%u elements, there and back: %llu doorbells, %llu mailbox commands",
		      n[i], (unsigned long long)bells, (unsigned long long)mail);
		check(!psp_in_ring_mode() || ring, "mailbox mode");
	}
}

static void test_too_long(void)
{
	struct batch big;
	uint64_t before;
	unsigned i;
	int r;

	batch_alloc(&big, BATCH_MAX + 1);
	batch_fill(&big, &from, 0, BATCH_MAX);
	big.node[BATCH_MAX - 1].next_cmd_addr = (uintptr_t)&big.node[BATCH_MAX];
	big.node[BATCH_MAX].cmd_data_addr = (uintptr_t)&big.data[0];
	before = executed();
	r = batch_send(&big, &from);
	check(r == EINVAL && big.nr_done == 0 && executed() == before,
	      "4095 elements: %s, %u done", strerror(r), big.nr_done);
	for (i = 0; i < 3; i++) {
		static const unsigned at[] = { 0, 5, BATCH_MAX - 1 };

		batch_fill(&big, &from, 0, BATCH_MAX);
		big.node[at[i]].next_cmd_addr = (uintptr_t)&big.node[i ? 2 : 0];
		before = executed();
		r = batch_send(&big, &from);
		check(r == EINVAL && big.nr_done == 0 && executed() == before,
		      "loop at element %u: %s, %u done", at[i], strerror(r),
		      big.nr_done);
	}
	batch_free(&big);
}

/* What goes wrong with an element */
enum wrong {
	NODE_UNMAPPED,
	DATA_UNMAPPED,
	DATA_NULL,
	DATA_KERNEL,
	DATA_EDGE,
	HDR_UNMAPPED,
	HDR_EDGE,
	TRANS_UNMAPPED,
	TRANS_EDGE,
	TRANS_KERNEL,
	GUEST_UNMAPPED,
	GUEST_KERNEL,
	HDR_NULL,
	TRANS_NULL,
	GUEST_NULL,
	HDR_LEN_0,
	TRANS_LEN_0,
	GUEST_LEN_0,
	HDR_LEN_4097,
	HDR_LEN_MAX,
	TRANS_LEN_4097,
	TRANS_LEN_MAX,
	GUEST_LEN_4097,
	GUEST_LEN_MAX,
	GUEST_CROSSES,
	GUEST_LAST_CROSSES,
	HDR_LEN_51,
	TRANS_LEN_SHORT,
	GUEST_LEN_ODD,
	WRONG_MAX
};

static const struct {
	const char *name;
	int err;
	uint32_t fw;
} wrongs[WRONG_MAX] = {
	[NODE_UNMAPPED] = { "node unmapped", EFAULT, 0 },
	[DATA_UNMAPPED] = { "parameters unmapped", EFAULT, 0 },
	[DATA_NULL] = { "parameters null", EFAULT, 0 },
	[DATA_KERNEL] = { "parameters in the kernel", EFAULT, 0 },
	[DATA_EDGE] = { "parameters across the end of memory", EFAULT, 0 },
	[HDR_UNMAPPED] = { "header unmapped", EFAULT, 0 },
	[HDR_EDGE] = { "header across the end of memory", EFAULT, 0 },
	[TRANS_UNMAPPED] = { "packet unmapped", EFAULT, 0 },
	[TRANS_EDGE] = { "packet across the end of memory", EFAULT, 0 },
	[TRANS_KERNEL] = { "packet in the kernel", EFAULT, 0 },
	[GUEST_UNMAPPED] = { "guest page unmapped", EFAULT, 0 },
	[GUEST_KERNEL] = { "guest page in the kernel", EFAULT, 0 },
	[HDR_NULL] = { "header null", EINVAL, 0 },
	[TRANS_NULL] = { "packet null", EINVAL, 0 },
	[GUEST_NULL] = { "guest page null", EINVAL, 0 },
	[HDR_LEN_0] = { "header length 0", EINVAL, 0 },
	[TRANS_LEN_0] = { "packet length 0", EINVAL, 0 },
	[GUEST_LEN_0] = { "guest length 0", EINVAL, 0 },
	[HDR_LEN_4097] = { "header length 4097", EINVAL, 0 },
	[HDR_LEN_MAX] = { "header length 2^32-1", EINVAL, 0 },
	[TRANS_LEN_4097] = { "packet length 4097", EINVAL, 0 },
	[TRANS_LEN_MAX] = { "packet length 2^32-1", EINVAL, 0 },
	[GUEST_LEN_4097] = { "guest length 4097", EINVAL, 0 },
	[GUEST_LEN_MAX] = { "guest length 2^32-1", EINVAL, 0 },
	[GUEST_CROSSES] = { "guest range crosses a page", EINVAL, 0 },
	[GUEST_LAST_CROSSES] = { "guest range crosses at its end", EINVAL, 0 },
	[HDR_LEN_51] = { "header length 51", EIO, FW_INVALID_LEN },
	[TRANS_LEN_SHORT] = { "packet shorter than the page", EIO, FW_INVALID_LEN },
	[GUEST_LEN_ODD] = { "guest length 4095", EIO, FW_INVALID_LEN },
};

static void do_wrong(enum wrong w, unsigned k)
{
	struct csv_batch_list_node *node = &b.node[k];
	struct update_data *d = &b.data[k];
	const uint64_t kernel = 0xffff888000000000u;

	switch (w) {
	case NODE_UNMAPPED:
		b.node[k - 1].next_cmd_addr = NOWHERE;
		break;
	case DATA_UNMAPPED:
		node->cmd_data_addr = NOWHERE;
		break;
	case DATA_NULL:
		node->cmd_data_addr = 0;
		break;
	case DATA_KERNEL:
		node->cmd_data_addr = kernel;
		break;
	case DATA_EDGE:
		node->cmd_data_addr = NOWHERE - sizeof(*d) + 8;
		memcpy(hole + PAGE - sizeof(*d) + 8, d, sizeof(*d) - 8);
		break;
	case HDR_UNMAPPED:
		d->hdr_uaddr = NOWHERE;
		break;
	case HDR_EDGE:
		d->hdr_uaddr = NOWHERE - HDR_LEN + 1;
		break;
	case TRANS_UNMAPPED:
		d->trans_uaddr = NOWHERE;
		break;
	case TRANS_EDGE:
		d->trans_uaddr = NOWHERE - PAGE + 1;
		break;
	case TRANS_KERNEL:
		d->trans_uaddr = kernel;
		break;
	case GUEST_UNMAPPED:
		d->guest_uaddr = NOWHERE;
		break;
	case GUEST_KERNEL:
		d->guest_uaddr = kernel;
		break;
	case HDR_NULL:
		d->hdr_uaddr = 0;
		break;
	case TRANS_NULL:
		d->trans_uaddr = 0;
		break;
	case GUEST_NULL:
		d->guest_uaddr = 0;
		break;
	case HDR_LEN_0:
		d->hdr_len = 0;
		break;
	case TRANS_LEN_0:
		d->trans_len = 0;
		break;
	case GUEST_LEN_0:
		d->guest_len = 0;
		break;
	case HDR_LEN_4097:
		d->hdr_len = PAGE + 1;
		break;
	case HDR_LEN_MAX:
		d->hdr_len = ~0u;
		break;
	case TRANS_LEN_4097:
		d->trans_len = PAGE + 1;
		break;
	case TRANS_LEN_MAX:
		d->trans_len = ~0u;
		break;
	case GUEST_LEN_4097:
		d->guest_len = PAGE + 1;
		break;
	case GUEST_LEN_MAX:
		d->guest_len = ~0u;
		break;
	case GUEST_CROSSES:
		d->guest_uaddr += 16;
		break;
	case GUEST_LAST_CROSSES:
		d->guest_uaddr += PAGE - 16;
		d->guest_len = 32;
		break;
	case HDR_LEN_51:
		d->hdr_len = HDR_LEN - 1;
		break;
	case TRANS_LEN_SHORT:
		d->trans_len = PAGE - 16;
		break;
	case GUEST_LEN_ODD:
		d->guest_len = PAGE - 1;
		break;
	case WRONG_MAX:
		break;
	}
}

static void test_wrong(void)
{
	const unsigned n = 12, k = 7;
	uint64_t sent, got;
	unsigned w, i;
	bool usable;
	int s, r;

	for (w = 0; w < WRONG_MAX; w++) {
		batch_fill(&b, &from, 0, n);
		memset(b.trans, 0xee, n * PAGE);
		do_wrong(w, k);
		sent = psp_counter(C_SENT);
		s = batch_send(&b, &from);
		sent = (psp_counter(C_SENT) - sent) / PAGE;
		usable = s == wrongs[w].err && b.nr_done == k && b.fw == wrongs[w].fw;
		if (!usable)
			printf("# send: %s, %u done, status %u\n", strerror(s),
			       b.nr_done, b.fw);
		/* Those before it are as good as ever. */
		batch_fill(&b, &to, 0, k);
		got = psp_counter(C_RECEIVED);
		r = batch_receive(&b, &to);
		got = (psp_counter(C_RECEIVED) - got) / PAGE;
		usable &= !r && got == k;
		check(usable, "send, %s: %s, %u of 7 usable, %llu executed",
		      wrongs[w].name, strerror(s), (unsigned)got,
		      (unsigned long long)sent);
	}
	for (w = 0; w < WRONG_MAX; w++) {
		/* The firmware wants the same to receive, or BAD_MEASUREMENT. */
		bool any_fw = w == TRANS_LEN_SHORT;

		batch_fill(&b, &from, 0, n);
		if (batch_send(&b, &from))
			die("send");
		batch_fill(&b, &to, 0, n);
		do_wrong(w, k);
		got = psp_counter(C_RECEIVED);
		r = batch_receive(&b, &to);
		got = (psp_counter(C_RECEIVED) - got) / PAGE;
		check(r == wrongs[w].err && b.nr_done == k && got == k &&
			      (b.fw == wrongs[w].fw || (any_fw && b.fw)),
		      "receive, %s: %s, status %u, %u done", wrongs[w].name,
		      strerror(r), b.fw, b.nr_done);
		/* Try again with what has not been taken. */
		for (i = 0; i < n; i++)
			batch_fill(&b, &to, 0, n);
		r = batch_run_at(&b, &to, KVM_SEV_RECEIVE_UPDATE_DATA,
				 (uintptr_t)&b.node[k]);
		if (r || b.nr_done != n - k)
			check(false, "the rest after %s: %s, status %u, %u done",
			      wrongs[w].name, strerror(r), b.fw, b.nr_done);
	}
}

static void test_edges(void)
{
	uint8_t *edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r;

	munmap(edge + PAGE, PAGE);
	batch_fill(&b, &from, 0, 4);
	b.data[0].trans_uaddr = (uintptr_t)edge;
	b.data[1].hdr_uaddr = NOWHERE - HDR_LEN;
	b.data[1].trans_uaddr = (uintptr_t)b.trans + PAGE + 123;
	b.data[2].guest_uaddr += PAGE - 16;
	b.data[2].guest_len = 16;
	b.data[2].trans_len = 16;
	b.data[2].trans_uaddr = (uintptr_t)b.trans + 3 * PAGE - 8;
	b.data[3].guest_uaddr += 16;
	b.data[3].guest_len = PAGE - 16;
	b.data[3].hdr_len = PAGE;
	b.data[3].hdr_uaddr = (uintptr_t)b.trans + 8 * PAGE + 40;
	b.data[3].trans_uaddr = (uintptr_t)b.trans + 5 * PAGE + 4;
	memset(b.trans + 9 * PAGE + 40, 0xee, 1);
	r = batch_send(&b, &from);
	check(!r && b.nr_done == 4, "send, ranges that end at the edge: %s",
	      strerror(r));
	check(b.trans[8 * PAGE + 40 + HDR_LEN] == 0 &&
		      b.trans[9 * PAGE + 39] == 0 &&
		      b.trans[9 * PAGE + 40] == 0xee,
	      "a long header is filled with zeros");
	b.data[3].hdr_len = HDR_LEN;
	b.data[3].trans_len = PAGE - 16;
	b.data[0].guest_uaddr += (uintptr_t)to.mem - (uintptr_t)from.mem;
	b.data[1].guest_uaddr += (uintptr_t)to.mem - (uintptr_t)from.mem;
	b.data[2].guest_uaddr += (uintptr_t)to.mem - (uintptr_t)from.mem;
	b.data[3].guest_uaddr += (uintptr_t)to.mem - (uintptr_t)from.mem;
	r = batch_receive(&b, &to);
	check(!r && b.nr_done == 4, "receive of these: %s, status %u",
	      strerror(r), b.fw);
	munmap(edge, PAGE);
}

/* Headers of a page each: more than the room for small things at once. */
static void test_big_headers(void)
{
	const unsigned n = 300;
	uint8_t *hdr = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned i;
	int r;

	batch_fill(&b, &from, 0, n);
	for (i = 0; i < n; i++) {
		b.data[i].hdr_uaddr = (uintptr_t)hdr + i * PAGE;
		b.data[i].hdr_len = PAGE;
	}
	r = batch_send(&b, &from);
	check(!r && b.nr_done == n, "headers of a page, done in parts: %s, %u",
	      strerror(r), b.nr_done);
	batch_fill(&b, &to, 0, n);
	for (i = 0; i < n; i++)
		b.data[i].hdr_uaddr = (uintptr_t)hdr + i * PAGE;
	r = batch_receive(&b, &to);
	check(!r && b.nr_done == n, "and received: %s, %u", strerror(r),
	      b.nr_done);
	munmap(hdr, n * PAGE);
}

static void test_state(void)
{
	static const uint32_t ids[] = { 0, 2, 8, 10, 11, 12, 14, 16, 24, 0xc0, ~0u };
	struct vm vm = { .sev_fd = from.sev_fd }, run;
	struct csv_command_batch c = { 0 };
	struct kvm_enable_cap cap = { .cap = KVM_CAP_VM_COPY_ENC_CONTEXT_FROM };
	uint64_t before;
	uint32_t fw;
	unsigned i;
	int r;

	batch_fill(&b, &from, 0, 5);
	r = batch_receive(&b, &from);
	check(r == EIO && b.fw == FW_INVALID_GUEST_STATE && b.nr_done == 0,
	      "receive on the sender: %s, status %u, %u done", strerror(r), b.fw,
	      b.nr_done);
	r = batch_send(&b, &to);
	check(r == EIO && b.fw == FW_INVALID_GUEST_STATE && b.nr_done == 0,
	      "send on the receiver: %s, status %u, %u done", strerror(r), b.fw,
	      b.nr_done);
	vm_launch(&run, 8, 1);
	batch_fill(&b, &run, 0, 5);
	r = batch_send(&b, &run);
	check(r == EIO && b.fw == FW_INVALID_GUEST_STATE && b.nr_done == 0,
	      "send before SEND_START: %s, status %u, %u done", strerror(r),
	      b.fw, b.nr_done);

	before = executed();
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		r = batch_run_at(&b, &from, ids[i], (uintptr_t)b.node);
		check(r == EINVAL, "command %u in a batch: %s", ids[i],
		      strerror(r));
	}
	r = sev_op(&from, CSV_COMMAND_BATCH, NULL, &fw);
	check(r == EFAULT, "no parameters: %s", strerror(r));
	r = sev_op(&from, CSV_COMMAND_BATCH, (void *)NOWHERE, &fw);
	check(r == EFAULT, "parameters unmapped: %s", strerror(r));
	r = batch_run_at(&b, &from, KVM_SEV_SEND_UPDATE_DATA, NOWHERE);
	check(r == EFAULT && b.nr_done == 0, "list unmapped: %s", strerror(r));
	check(executed() == before, "nothing executed");

	/* As a VMM of before nr_done may have it. */
	memcpy(hole, &c, sizeof(c));
	((struct csv_command_batch *)hole)->command_id = KVM_SEV_SEND_UPDATE_DATA;
	batch_fill(&b, &from, 0, 5);
	((struct csv_command_batch *)hole)->csv_batch_list_uaddr = (uintptr_t)b.node;
	mprotect(hole, PAGE, PROT_READ);
	r = sev_op(&from, CSV_COMMAND_BATCH, hole, &fw);
	check(!r, "parameters read-only: %s", strerror(r));
	mprotect(hole, PAGE, PROT_READ | PROT_WRITE);

	vm.fd = vm_new();
	r = sev_op(&vm, CSV_COMMAND_BATCH, &c, &fw);
	check(r == ENOTTY, "plain VM, empty list: %s", strerror(r));
	r = batch_send(&b, &vm);
	check(r == ENOTTY, "plain VM: %s", strerror(r));
	cap.args[0] = (uint64_t)from.fd;
	if (ioctl(vm.fd, KVM_ENABLE_CAP, &cap) < 0)
		die("mirror");
	r = batch_send(&b, &vm);
	check(r == EINVAL, "mirror of the sender: %s", strerror(r));
	close(vm.fd);
	vm.fd = vm_new();
	if (sev_op(&vm, KVM_SEV_INIT, NULL, &fw))
		die("SEV_INIT");
	r = batch_send(&b, &vm);
	check(r == EBADF || r == EIO, "before LAUNCH_START: %s", strerror(r));
	close(vm.fd);
	vm_close(&run);
	check(move(100), "the pair has taken no harm");
}

/* Its context goes to another VM: KVM kills the one, and gives the other no /dev/sev. */
static void test_moved(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM };
	struct vm a, z, moved;
	uint32_t fw;
	int one, r;

	vm_launch(&a, 64, SEED);
	vm_pair(&a, &z);
	batch_fill(&b, &a, 0, 32);
	r = batch_send(&b, &a);
	batch_fill(&b, &z, 0, 32);
	check(!r && !batch_receive(&b, &z), "half of it before it moves");
	moved = a;
	moved.fd = vm_new();
	cap.args[0] = (uint64_t)a.fd;
	if (ioctl(moved.fd, KVM_ENABLE_CAP, &cap) < 0)
		die("move");
	batch_fill(&b, &a, 32, 32);
	r = batch_send(&b, &a);
	check(r == EIO && !b.fw, "a VM that was moved away: %s", strerror(r));
	one = sev_op(&moved, KVM_SEV_SEND_UPDATE_DATA, &b.data[0], &fw);
	r = batch_send(&b, &moved);
	check(r == one && r == EBADF && !b.nr_done,
	      "the one that it was moved to, as for a single command: %s", strerror(r));
	vm_close(&z);
	close(moved.fd);
	vm_close(&a);
}

static void test_es(void)
{
	struct vm a, z;
	unsigned i, bad = 0;
	uint32_t fw;
	int s, r;

	vm_es = true;
	vm_launch(&a, 256, SEED);
	vm_pair(&a, &z);
	vm_es = false;
	batch_fill(&b, &a, 0, 256);
	s = batch_send(&b, &a);
	batch_fill(&b, &z, 0, 256);
	r = batch_receive(&b, &z);
	check(!s && !r && !sev_op(&a, KVM_SEV_SEND_FINISH, NULL, &fw) &&
		      !sev_op(&z, KVM_SEV_RECEIVE_FINISH, NULL, &fw),
	      "VMs with encrypted registers: %s, %s", strerror(s), strerror(r));
	/* The processor does not debug these; that the packets are genuine is all. */
	for (i = 0; i < 256; i++) {
		uint8_t page[PAGE];

		pattern(page, SEED, i);
		bad += !memcmp(z.mem + (size_t)i * PAGE, page, PAGE);
	}
	check(!bad, "and what they have is not in the clear");
	vm_close(&z);
	vm_close(&a);
}

#define CGROUP "/sys/fs/cgroup/"

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static unsigned long number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	if (fd >= 0)
		close(fd);
	return strtoul(text, NULL, 10);
}

/* There is less memory than the packets of all commands need. */
static void test_short_memory(void)
{
	struct vm a, z;
	uint64_t bells;
	unsigned i, bad = 0;
	char text[32];
	uint32_t fw;
	bool ok;

	put(CGROUP "cgroup.subtree_control", "+memory");
	if (mkdir(CGROUP "csvt", 0700) || !put(CGROUP "csvt/cgroup.procs", "0")) {
		skip("short of memory: no cgroup");
		return;
	}
	vm_launch(&a, BATCH_MAX, SEED);
	vm_pair(&a, &z);
	/* All of it is there before the limit. */
	batch_fill(&b, &a, 0, BATCH_MAX);
	memset(b.trans, 0xee, (size_t)BATCH_MAX * PAGE);
	memset(b.hdr, 0xee, (size_t)BATCH_MAX * HDR_ROOM);
	snprintf(text, sizeof(text), "%lu",
		 number(CGROUP "csvt/memory.current") + (6ul << 20));
	ok = put(CGROUP "csvt/memory.max", text);
	bells = psp_counter(C_DOORBELLS);
	ok = ok && !batch_send(&b, &a) && b.nr_done == BATCH_MAX;
	batch_fill(&b, &z, 0, BATCH_MAX);
	put(CGROUP "csvt/memory.max", "max");
	ok = ok && !batch_receive(&b, &z);
	bells = psp_counter(C_DOORBELLS) - bells;
	check(ok && (!ring || bells > 3), "short of memory: %llu doorbells instead of 2",
	      (unsigned long long)bells);
	if (sev_op(&a, KVM_SEV_SEND_FINISH, NULL, &fw) ||
	    sev_op(&z, KVM_SEV_RECEIVE_FINISH, NULL, &fw))
		die("finish");
	for (i = 0; i < BATCH_MAX; i++)
		bad += !vm_has(&z, i, SEED, i);
	check(!bad, "and the guest is right");
	vm_close(&z);
	vm_close(&a);
	put(CGROUP "cgroup.procs", "0");
	rmdir(CGROUP "csvt");
}

/* Not /dev/sev behind its number */
static void test_sev_fd(void)
{
	int null = open("/dev/null", O_RDWR), keep = dup(from.sev_fd), r;

	batch_fill(&b, &from, 0, 5);
	dup2(null, from.sev_fd);
	r = batch_send(&b, &from);
	check(r == EBADF && b.nr_done == 0, "another file as sev_fd: %s",
	      strerror(r));
	close(from.sev_fd);
	r = batch_send(&b, &from);
	check(r == EBADF && b.nr_done == 0, "sev_fd closed: %s", strerror(r));
	dup2(keep, from.sev_fd);
	close(keep);
	close(null);
	check(move(5), "and back");
}

static void *without_caps(void *arg)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = { { 0 } };

	(void)arg;
	/* Of this thread only */
	if (syscall(SYS_capset, &h, d))
		return (void *)99L;
	return (void *)(long)batch_send(&b, &from);
}

static void test_lock_limit(void)
{
	struct rlimit old, zero = { 0, 0 };
	int status;
	pthread_t t;
	void *r;
	pid_t pid;

	getrlimit(RLIMIT_MEMLOCK, &old);
	zero.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &zero);
	batch_fill(&b, &from, 0, 5);
	pthread_create(&t, NULL, without_caps, NULL);
	pthread_join(t, &r);
	setrlimit(RLIMIT_MEMLOCK, &old);
	check((long)r == ENOMEM && b.nr_done == 0,
	      "no memory may be locked: %s", strerror((int)(long)r));

	pid = fork();
	if (pid == 0)
		_exit(batch_send(&b, &from));
	waitpid(pid, &status, 0);
	/* KVM refuses other processes than the one that made the VM. */
	check(WIFEXITED(status) && WEXITSTATUS(status) == EIO,
	      "from another process: %s", strerror(WEXITSTATUS(status)));
}

/* The firmware fails command k. */
static void test_fail(void)
{
	static const unsigned k[] = { 0, 1, 1000, 2046, 2047, 2048, 4093 };
	unsigned i;
	bool ok;
	int s, r;

	for (i = 0; i < sizeof(k) / sizeof(k[0]); i++) {
		batch_fill(&b, &from, 0, BATCH_MAX);
		if (ring) {
			psp_fault(F_PAUSE_STATUS, FW_HWERROR_PLATFORM);
			psp_fault(F_PAUSE_AT, k[i]);
		} else {
			psp_fault(F_STATUS, FW_HWERROR_PLATFORM);
			psp_fault(F_NTH, k[i] + 1);
		}
		s = batch_send(&b, &from);
		ok = s == EIO && b.fw == FW_HWERROR_PLATFORM && b.nr_done == k[i];
		if (!ok)
			printf("# send: %s, status %u, %u done\n", strerror(s),
			       b.fw, b.nr_done);
		/* Go on where it stopped: then all can be received. */
		s = batch_run_at(&b, &from, KVM_SEV_SEND_UPDATE_DATA,
				 (uintptr_t)&b.node[k[i]]);
		ok &= !s && b.nr_done == BATCH_MAX - k[i];
		batch_fill(&b, &to, 0, BATCH_MAX);
		r = batch_receive(&b, &to);
		ok &= !r && b.nr_done == BATCH_MAX;
		check(ok, "send, command %u fails, go on from there", k[i]);
	}
	for (i = 0; i < sizeof(k) / sizeof(k[0]); i++) {
		batch_fill(&b, &from, 0, BATCH_MAX);
		s = batch_send(&b, &from);
		batch_fill(&b, &to, 0, BATCH_MAX);
		b.trans[(size_t)k[i] * PAGE + 77] ^= 1;
		r = batch_receive(&b, &to);
		ok = !s && r == EIO && b.fw == FW_BAD_MEASUREMENT &&
		     b.nr_done == k[i];
		if (!ok)
			printf("# receive: %s, status %u, %u done\n",
			       strerror(r), b.fw, b.nr_done);
		b.trans[(size_t)k[i] * PAGE + 77] ^= 1;
		r = batch_run_at(&b, &to, KVM_SEV_RECEIVE_UPDATE_DATA,
				 (uintptr_t)&b.node[k[i]]);
		ok &= !r && b.nr_done == BATCH_MAX - k[i];
		check(ok, "receive, packet %u is forged, go on from there", k[i]);
	}
}

static void test_lost(void)
{
	uint64_t t;
	bool ok;

	if (ring) {
		psp_fault(F_LOSE, LOSE_DOORBELL);
		t = now_ns();
		ok = move(500);
		t = now_ns() - t;
		check(ok, "lost interrupt of a doorbell: %llu ms",
		      (unsigned long long)t / 1000000);
	} else {
		skip("lost interrupt of a doorbell: no ring");
	}
	psp_fault(F_LOSE, LOSE_MAILBOX);
	t = now_ns();
	ok = move(500);
	t = now_ns() - t;
	check(ok, "lost interrupt of a mailbox command: %llu ms",
	      (unsigned long long)t / 1000000);
	psp_fault(F_LOSE, LOSE_MAILBOX | LOSE_DOORBELL);
	check(move(500), "both");
}

/* Firmware that has ring mode but does not want to */
static void test_no_enter(void)
{
	uint64_t bells;

	if (!ring) {
		skip("refused to enter ring mode: no ring");
		return;
	}
	bells = psp_counter(C_DOORBELLS);
	psp_fault(F_STATUS, 1);
	psp_fault(F_NTH, 1);
	batch_fill(&b, &from, 0, 20);
	check(!batch_send(&b, &from) && b.nr_done == 20 &&
		      psp_counter(C_DOORBELLS) == bells,
	      "refused to enter ring mode, done by the mailbox");
	check(move(20) && psp_counter(C_DOORBELLS) == bells + 2,
	      "and next time by ring mode");
}

int main(void)
{
	unsigned i, bad = 0;
	uint32_t fw;

	setbuf(stdout, NULL);
	if (!psp_open()) {
		printf("1..0 # SKIP no security processor with a debug window\n");
		return 77;
	}
	ring = has_ring();
	printf("# %s, %s\n", psp_is_hygon() ? "Hygon" : "AMD",
	       ring ? "ring mode" : "mailbox only");
	hole = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(hole + PAGE, PAGE);
	batch_alloc(&b, BATCH_MAX);
	vm_launch(&from, BATCH_MAX, SEED);
	vm_pair(&from, &to);

	test_counts();
	test_too_long();
	test_wrong();
	test_edges();
	test_big_headers();
	test_state();
	test_moved();
	test_es();
	test_short_memory();
	test_sev_fd();
	test_lock_limit();
	test_fail();
	test_lost();
	test_no_enter();

	check(move(BATCH_MAX), "all pages");
	check(!sev_op(&from, KVM_SEV_SEND_FINISH, NULL, &fw), "SEND_FINISH");
	check(!sev_op(&to, KVM_SEV_RECEIVE_FINISH, NULL, &fw), "RECEIVE_FINISH");
	for (i = 0; i < BATCH_MAX; i++)
		bad += !vm_has(&to, i, SEED, i);
	check(!bad, "%u of %u pages are what was sent", BATCH_MAX - bad,
	      BATCH_MAX);
	vm_close(&to);
	vm_close(&from);
	return finish();
}
