/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest moves from one host to another, with the firmware model at both ends,
 * and one command of the security processor fails. Statuses are typed from the
 * SEV API, chapter "Status Codes"; states of a guest from there, too.
 */
#include "tests/unit/csv_model_rig.h"

#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

#include "core/kvm_dirty.h"
#include "core/machine.h"
#include "migration/source.h"
#include "migration/target.h"
#include "psp/crypto.h"
#include "psp/psp_abi.h"
#include "tests/unit/dirty_log.h"

#define A	0
#define B	1
#define NOBODY	(-1)
#define MEMORY	(2u << 20)
#define PAGES	(MEMORY / 4096)
#define VCPUS	2
#define POLICY	5 /* NODBG, ES */
#define BATCH	0x18
#define RUNNING 3   /* GSTATE */
#define STATE	512 /* bytes */
#define SEC	1000000000ULL

/**
 * struct fault - Command @cmd fails at its @nth time
 * @err, @fw:	... with this
 * @partial:	A batch: so many of its packets are done before
 */
struct fault {
	uint32_t cmd;
	unsigned nth;
	int err;
	uint32_t fw;
	unsigned partial;
};

static struct host {
	struct machine m;
	struct csv csv;
	struct fault fault[2];
	unsigned seen[2], batches;
	bool runs;
	uint32_t disk;
	struct mig_source s;
	struct mig_target t;
	enum mig_phase end;
	int line;
} host[2];

/* Who has the near and the far part of the disk's lock. */
static int disk_at[2] = { NOBODY, NOBODY };
/* Somebody calls it off while host @at is at command @cmd. 0 = nobody */
static struct {
	unsigned at;
	uint32_t cmd;
} cancel;
/* One platform for all guests that come to B; NULL: a new one each time. */
static struct csv_model *platform_b;
static uint8_t root[PSP_ROOT_CHAIN_MAX];
static size_t root_len;

/* --- KVM's dirty log: pages that the guest writes as it is looked at --------------- */

static unsigned writes_more;

int kvm_dirty_fetch(int vm_fd, unsigned slot, uint64_t *scratch, uint64_t words,
		    uint64_t *bitmap)
{
	unsigned i;

	(void)vm_fd;
	(void)scratch;
	assert_int_equal(slot, 0);
	assert_int_equal(words, PAGES / 64);
	for (i = 0; i < writes_more; i++) {
		host[A].m.gmem.region[0].host[(size_t)i * 4096]++;
		bitmap[i / 64] |= 1ULL << i % 64;
	}
	writes_more /= 2;
	return 0;
}

/* --- a guest whose pages change their state all the time (row 14) -------------------- */

static struct {
	pthread_t thread;
	_Atomic bool stop;
	_Atomic unsigned flips;
} flipper;

/* KVM's log does not see it: that the guest tells must be enough. */
static void *flip(void *arg)
{
	struct machine *m = &host[A].m;
	unsigned i = 1;

	(void)arg;
	while (!flipper.stop) {
		gpa_t gpa = (i = (i * 75 + 74) % 65537) % PAGES * 4096;

		pthread_mutex_lock(&m->lock);
		if (host[A].runs) {
			m->gmem.region[0].host[gpa + i % 4096] ^= 0x5a;
			assert_int_equal(gmem_tell(&m->gmem, gpa, 1,
						   gmem_is_private(&m->gmem, gpa)),
					 0);
			flipper.flips++;
		}
		pthread_mutex_unlock(&m->lock);
		if (i % 8 == 0)
			sched_yield();
	}
	return NULL;
}

/* --- a backend that fails when it is told to --------------------------------------- */

static struct csv_model *model(struct host *h)
{
	return rig.vm[h - host].m;
}

static int partly(struct host *h, const struct fault *f,
		  struct csv_abi_batch *b, uint32_t *ret_fw)
{
	struct csv_abi_node *n = (void *)(uintptr_t)b->list_uaddr;
	uint64_t rest;
	unsigned i;

	if (!f->partial)
		return 0;
	for (i = 1; i < f->partial; i++)
		n = (void *)(uintptr_t)n->next_cmd_addr;
	rest = n->next_cmd_addr;
	n->next_cmd_addr = 0;
	assert_int_equal(csv_model_backend.issue(model(h), BATCH, b, ret_fw), 0);
	n->next_cmd_addr = rest;
	return 0;
}

static int faulty_issue(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	struct host *h = be;
	unsigned i;

	h->batches += cmd == BATCH;
	if (cancel.cmd == cmd && cancel.at == (unsigned)(h - host))
		mig_source_cancel(&host[A].s);
	for (i = 0; i < 2; i++) {
		const struct fault *f = &h->fault[i];

		if (!f->err || f->cmd != cmd || h->seen[i]++ != f->nth)
			continue;
		if (cmd == BATCH)
			(void)partly(h, f, arg, ret_fw);
		*ret_fw = f->fw;
		return f->err;
	}
	return csv_model_backend.issue(model(h), cmd, arg, ret_fw);
}

static int faulty_platform(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	return csv_model_backend.platform(model(be), cmd, arg, ret_fw);
}

static int faulty_region(void *be, void *mem, uint64_t size, bool add)
{
	return csv_model_backend.region(model(be), mem, size, add);
}

static void faulty_close(void *be)
{
	csv_model_backend.close(model(be));
}

static const struct csv_backend faulty = {
	.name = "faulty",
	.issue = faulty_issue,
	.platform = faulty_platform,
	.region = faulty_region,
	.close = faulty_close,
};

/* --- a device with a disk that only one host may have ------------------------------ */

static int disk_save(const void *obj, struct snap_w *w)
{
	snap_put32(w, ((const struct host *)obj)->disk);
	return 0;
}

static int disk_load(void *obj, struct snap_r *r, uint32_t version)
{
	(void)version;
	((struct host *)obj)->disk = snap_get32(r, "disk");
	return r->error;
}

static int disk_hold(void *obj, enum snap_hold how)
{
	static const bool wants[][2] = {
		[SNAP_HOLD_NONE] = { false, false },
		[SNAP_HOLD_LEAVING] = { true, false },
		[SNAP_HOLD_COMING] = { false, true },
		[SNAP_HOLD_ALL] = { true, true },
	};
	int who = (int)((struct host *)obj - host);
	unsigned i;

	for (i = 0; i < 2; i++)
		if (wants[how][i] && disk_at[i] != NOBODY && disk_at[i] != who)
			return -EAGAIN;
	for (i = 0; i < 2; i++)
		if (wants[how][i] || disk_at[i] == who)
			disk_at[i] = wants[how][i] ? who : NOBODY;
	return 0;
}

static void assert_disk(int near, int far)
{
	assert_int_equal(disk_at[0], near);
	assert_int_equal(disk_at[1], far);
}

static const struct snap_item disk_item = {
	.name = "disk",
	.version = 1,
	.save = disk_save,
	.load = disk_load,
	.hold = disk_hold,
};

/* --- the guest ---------------------------------------------------------------------- */

static int op_check(void *ctx, const struct mig_machine *target,
		    struct csv_target *c, char *why)
{
	(void)ctx;
	(void)why;
	*c = (struct csv_target){ .pdh = target->pdh.data,
				  .pdh_len = target->pdh.len,
				  .plat = target->chain.data,
				  .plat_len = target->chain.len,
				  .amd = root,
				  .amd_len = (uint32_t)root_len };
	return 0;
}

static int op_stop(void *ctx, char *why)
{
	(void)why;
	assert_true(((struct host *)ctx)->runs);
	((struct host *)ctx)->runs = false;
	return 0;
}

static void op_go_on(void *ctx)
{
	assert_false(((struct host *)ctx)->runs);
	/* Who has not all of the disk may not go on. */
	assert_disk((int)((struct host *)ctx - host),
		    (int)((struct host *)ctx - host));
	((struct host *)ctx)->runs = true;
}

static int op_save(void *ctx, int i, struct snap_w *w)
{
	assert_false(((struct host *)ctx)->runs);
	snap_put32(w, 0xc0ffee + (uint32_t)i);
	snap_put_bytes(w, root, STATE);
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
	uint8_t state[STATE];

	(void)ctx;
	assert_int_equal(snap_get32(r, "number"), 0xc0ffee + (uint32_t)i);
	snap_get_bytes(r, "state", state, sizeof(state));
	assert_memory_equal(state, root, sizeof(state));
	return r->error;
}

static int op_resume(void *ctx, char *why)
{
	(void)why;
	assert_disk(A, (int)((struct host *)ctx - host)); /* from A to B */
	return 0;
}

static int op_run(void *ctx, char *why)
{
	(void)why;
	assert_false(host[A].runs);
	((struct host *)ctx)->runs = true;
	return 0;
}

static const struct mig_source_ops source_ops = {
	.check = op_check,
	.stop = op_stop,
	.go_on = op_go_on,
	.save = op_save,
	.throttle = op_throttle,
	.mark = op_mark,
};

static const struct mig_target_ops target_ops = {
	.load = op_load,
	.save = op_save,
	.resume = op_resume,
	.run = op_run,
	.mark = op_mark,
};

/* --- hosts -------------------------------------------------------------------------- */

static void host_open(struct host *h)
{
	unsigned vm = (unsigned)(h - host), i;

	memset(h, 0, sizeof(*h));
	if (vm == B && platform_b)
		assert_int_equal(csv_model_join(platform_b, &rig.vm[vm].m), 0);
	else
		assert_int_equal(csv_model_open(PSP_HYGON, VMSA_HOST_MAINLINE_6_12,
						&rig.vm[vm].m),
				 0);
	csv_model_hold(rig.vm[vm].m);
	rig.no_msr = RIG_MSRS;
	pthread_mutex_init(&h->m.lock, NULL);
	h->m.vm_fd = -1;
	assert_int_equal(gmem_init(&h->m.gmem, MEMORY, false), 0);
	assert_int_equal(gmem_encrypt(&h->m.gmem), 0);
	assert_int_equal(snap_add(&h->m.snap, &disk_item, NULL, h), 0);
	csv_open(&h->csv, &faulty, h);
	assert_int_equal(csv_init(&h->csv, true, NULL), 0);
	for (i = 0; i < VCPUS; i++) {
		rig_registers(&rig.vm[vm].vcpu[i], 7 * vm + i);
		assert_int_equal(
			csv_model_add_vcpu(rig.vm[vm].m,
					   RIG_FD + (int)(vm * RIG_VCPUS + i)),
			0);
	}
	assert_int_equal(
		csv_region(&h->csv, h->m.gmem.region[0].host, MEMORY, true), 0);
}

static void host_close(struct host *h)
{
	struct csv_model *m = model(h);

	csv_close(&h->csv);
	/* No key, no ASID is left. */
	assert_int_equal(rig_guests((unsigned)(h - host)), 0);
	csv_model_drop(m);
	gmem_fini(&h->m.gmem);
	pthread_mutex_destroy(&h->m.lock);
}

/* A guest that was launched at A and runs: every third page has contents. */
static void guest_up(void)
{
	uint8_t *ram, m[48];
	unsigned i;

	host_open(&host[A]);
	ram = host[A].m.gmem.region[0].host;
	for (i = 0; i < PAGES; i += 3)
		memset(ram + (size_t)i * 4096, (int)(i % 255 + 1), 4096);
	assert_int_equal(
		csv_launch_start(&host[A].csv, POLICY, NULL, 0, NULL, 0), 0);
	assert_int_equal(csv_launch_update_data(&host[A].csv, ram, 8192), 0);
	assert_int_equal(csv_launch_update_vmsa(&host[A].csv), 0);
	assert_int_equal(csv_launch_measure(&host[A].csv, m), 0);
	assert_int_equal(csv_launch_finish(&host[A].csv), 0);
	host[A].runs = true;
	host[A].disk = 4711;
	disk_at[0] = disk_at[1] = A;
}

static void describe(struct host *h, struct mig_machine *d)
{
	memset(d, 0, sizeof(*d));
	d->name[0] = 'm';
	d->type = MIG_CSV2;
	d->vcpus = VCPUS;
	d->policy = POLICY;
	d->memory = MEMORY;
	d->profile = MIG_HYGON;
	d->api_major = 1;
	mig_describe_devices(d, &h->m.snap);
	d->pdh.len = d->chain.len = MIG_CERT_MAX;
	assert_int_equal(csv_pdh_export(&h->csv, d->pdh.data, &d->pdh.len,
					d->chain.data, &d->chain.len),
			 0);
	assert_int_equal(d->pdh.len, 2084);
}

static void *source_main(void *arg)
{
	struct host *h = arg;

	h->end = mig_source_run(&h->s, h->line);
	(void)shutdown(h->line, SHUT_WR);
	return NULL;
}

/* From A to a new host B; both ends in host[].end */
static void move(void)
{
	struct host *a = &host[A], *b = &host[B];
	pthread_t thread;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(mig_source_init(&a->s, &a->m), 0);
	a->s.csv = &a->csv;
	a->s.n_vcpus = VCPUS;
	a->s.ops = &source_ops;
	a->s.ctx = a;
	a->s.opts = (struct mig_opts){ .downtime_ns = SEC,
				       .max_ns = 60 * SEC,
				       .stall_ns = 30 * SEC };
	describe(a, &a->s.own);
	assert_int_equal(mig_target_init(&b->t, &b->m), 0);
	b->t.csv = &b->csv;
	b->t.n_vcpus = VCPUS;
	b->t.ops = &target_ops;
	b->t.ctx = b;
	b->t.stall_ns = 30 * SEC;
	describe(b, &b->t.own);
	a->line = fd[0];
	assert_int_equal(pthread_create(&thread, NULL, source_main, a), 0);
	b->end = mig_target_run(&b->t, fd[1]);
	(void)shutdown(fd[1], SHUT_WR);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(fd[0]);
	close(fd[1]);
	mig_source_fini(&a->s);
	mig_target_fini(&b->t);
}

/* --- what must be so ----------------------------------------------------------------- */

static bool pages_equal(void)
{
	return !memcmp(host[A].m.gmem.region[0].host,
		       host[B].m.gmem.region[0].host, MEMORY);
}

static void assert_stayed(const char *words)
{
	struct csv_guest_status st;
	const char *why = host[A].s.progress.why;

	if (host[A].end != MIG_FAILED || !strstr(why, words))
		fail_msg("%s: \"%s\", without \"%s\"",
			 mig_phase_name(host[A].end), why, words);
	assert_true(host[A].runs);
	assert_false(host[B].runs);
	assert_disk(A, A);
	assert_true(host[B].end == MIG_FAILED || host[B].end == MIG_REFUSED);
	assert_int_equal(host[A].csv.state, CSV_RUNNING);
	assert_int_equal(csv_guest_status(&host[A].csv, &st), 0);
	assert_int_equal(st.state, RUNNING);
}

static void assert_moved(void)
{
	unsigned i;

	if (host[A].end != MIG_MOVED)
		fail_msg("%s: %s", mig_phase_name(host[A].end),
			 host[A].s.progress.why);
	assert_int_equal(host[B].end, MIG_MOVED);
	assert_false(host[A].runs);
	assert_true(host[B].runs);
	/* (What A had, B takes when it likes.) */
	assert_disk(NOBODY, B);
	assert_int_equal(host[B].disk, 4711);
	assert_true(pages_equal());
	for (i = 0; i < VCPUS; i++)
		assert_memory_equal(&rig.vm[A].vcpu[i].regs,
				    &rig.vm[B].vcpu[i].regs,
				    sizeof(struct kvm_regs));
}

/* One failure, at host @at; then the same guest moves as if nothing had been. */
static void fails_once(unsigned at, struct fault f, const char *words)
{
	host_open(&host[B]);
	writes_more = 64;
	host[at].fault[0] = f;
	host[at].seen[0] = 0;
	move();
	assert_stayed(words);
	host[A].fault[0] = (struct fault){ 0 };
	host_close(&host[B]);
}

/* --- row 6 --------------------------------------------------------------------------- */

static const struct {
	uint32_t fw;
	const char *name;
} statuses[] = {
	{ 0x01, "INVALID_PLATFORM_STATE" },
	{ 0x02, "INVALID_GUEST_STATE" },
	{ 0x03, "INVALID_CONFIG" },
	{ 0x04, "INVALID_LEN" },
	{ 0x05, "ALREADY_OWNED" },
	{ 0x06, "INVALID_CERTIFICATE" },
	{ 0x07, "POLICY_FAILURE" },
	{ 0x08, "INACTIVE" },
	{ 0x09, "INVALID_ADDRESS" },
	{ 0x0a, "BAD_SIGNATURE" },
	{ 0x0b, "BAD_MEASUREMENT" },
	{ 0x0c, "ASID_OWNED" },
	{ 0x0d, "INVALID_ASID" },
	{ 0x0e, "WBINVD_REQUIRED" },
	{ 0x0f, "DFFLUSH_REQUIRED" },
	{ 0x10, "INVALID_GUEST" },
	{ 0x11, "INVALID_COMMAND" },
	{ 0x12, "ACTIVE" },
	{ 0x13, "HWERROR_PLATFORM" },
	{ 0x14, "HWERROR_UNSAFE" },
	{ 0x15, "UNSUPPORTED" },
	{ 0x16, "INVALID_PARAM" },
	{ 0x17, "RESOURCE_LIMIT" },
	{ 0x18, "SECURE_DATA_INVALID" },
};

/* Every third page, 32 in a batch: what comes behind these is of a guest that stands
 * still. */
#define FIRST_ROUND 6

/* KVM_SEV_* where <linux/kvm.h> has them. Of what asks for a length first, the
 * second is the command itself. */
static const struct {
	unsigned at;
	uint32_t cmd;
	unsigned nth;
	const char *name;
} commands[] = {
	{ A, KVM_SEV_SEND_START, 0, "SEND_START" },
	{ A, KVM_SEV_SEND_START, 1, "SEND_START" },
	{ A, KVM_SEV_SEND_UPDATE_DATA, 0, "SEND_UPDATE_DATA" },
	{ A, BATCH, 0, "COMMAND_BATCH (send)" },
	{ A, BATCH, 1, "COMMAND_BATCH (send)" },
	{ A, BATCH, FIRST_ROUND, "COMMAND_BATCH (send)" },
	{ A, KVM_SEV_SEND_UPDATE_VMSA, 0, "SEND_UPDATE_VMSA" },
	{ A, KVM_SEV_SEND_UPDATE_VMSA, 1, "SEND_UPDATE_VMSA" },
	{ B, KVM_SEV_RECEIVE_START, 0, "RECEIVE_START" },
	{ B, BATCH, 0, "COMMAND_BATCH (receive)" },
	{ B, BATCH, 1, "COMMAND_BATCH (receive)" },
	{ B, BATCH, FIRST_ROUND, "COMMAND_BATCH (receive)" },
	{ B, KVM_SEV_RECEIVE_UPDATE_VMSA, 0, "RECEIVE_UPDATE_VMSA" },
	{ B, KVM_SEV_RECEIVE_UPDATE_VMSA, 1, "RECEIVE_UPDATE_VMSA" },
	{ B, KVM_SEV_RECEIVE_FINISH, 0, "RECEIVE_FINISH" },
};

/* An answer to the question for a length, which is no failure by itself. */
static bool is_answer(uint32_t cmd, unsigned nth, uint32_t fw)
{
	return fw == 4 && !nth &&
	       (cmd == KVM_SEV_SEND_START || cmd == KVM_SEV_SEND_UPDATE_DATA);
}

static void moves_at_last(void)
{
	host_open(&host[B]);
	writes_more = 64;
	move();
	assert_moved();
	assert_int_equal(host[A].csv.state, CSV_SENT);
	host_close(&host[B]);
	host_close(&host[A]);
}

static void test_moves(void **state)
{
	(void)state;
	guest_up();
	moves_at_last();
}

static void test_statuses(void **state)
{
	unsigned c, i;

	(void)state;
	for (c = 0; c < ARRAY_SIZE(commands); c++) {
		guest_up();
		for (i = 0; i < ARRAY_SIZE(statuses); i++) {
			uint32_t fw = statuses[i].fw;

			if (is_answer(commands[c].cmd, commands[c].nth, fw))
				continue;
			fails_once(commands[c].at,
				   (struct fault){ .cmd = commands[c].cmd,
						   .nth = commands[c].nth,
						   .err = -EIO,
						   .fw = fw },
				   commands[c].name);
			assert_non_null(strstr(host[A].s.progress.why,
					       statuses[i].name));
		}
		moves_at_last();
	}
}

/* After "running" the guest is over there, whatever the firmware says here. */
static void test_send_finish(void **state)
{
	(void)state;
	guest_up();
	host_open(&host[B]);
	host[A].fault[0] = (struct fault){ .cmd = KVM_SEV_SEND_FINISH,
					   .err = -EIO,
					   .fw = 0x13 };
	move();
	assert_moved();
	host_close(&host[B]);
	host_close(&host[A]);
}

/* The attempt fails, and so does calling it off: the guest goes on all the same. */
static void cancel_fails(uint32_t cmd)
{
	guest_up();
	host_open(&host[B]);
	host[A].fault[0] = (struct fault){ .cmd = cmd, .err = -EIO, .fw = 0x13 };
	host[A].fault[1] = (struct fault){ .cmd = KVM_SEV_SEND_CANCEL,
					   .err = -EIO,
					   .fw = 0x14 };
	move();
	assert_int_equal(host[A].end, MIG_FAILED);
	assert_non_null(strstr(host[A].s.progress.why, "HWERROR_PLATFORM"));
	assert_non_null(strstr(host[A].s.progress.why, "SEND_CANCEL"));
	assert_true(host[A].runs);
	assert_false(host[B].runs);
	assert_disk(A, A);
	host_close(&host[B]);
	host_close(&host[A]);
}

static void test_send_cancel(void **state)
{
	(void)state;
	cancel_fails(BATCH);
	cancel_fails(KVM_SEV_SEND_UPDATE_VMSA);
}

/* --- row 7 --------------------------------------------------------------------------- */

/* As KVM and the driver answer: busy, timed out, gone, no memory, interrupted. */
static void test_errnos(void **state)
{
	static const int errors[] = { -EBUSY,  -ETIMEDOUT, -ENODEV,
				      -ENOMEM, -EINTR,	   -EFAULT };
	unsigned c, i;

	(void)state;
	for (c = 0; c < ARRAY_SIZE(commands); c++) {
		guest_up();
		for (i = 0; i < ARRAY_SIZE(errors); i++) {
			fails_once(commands[c].at,
				   (struct fault){ .cmd = commands[c].cmd,
						   .nth = commands[c].nth,
						   .err = errors[i] },
				   commands[c].name);
			assert_non_null(strstr(host[A].s.progress.why,
					       strerror(-errors[i])));
		}
		moves_at_last();
	}
}

/* k packets of 32 are done: the attempt is over, the next one has all of them. */
static void test_partial(void **state)
{
	unsigned at, k;

	(void)state;
	guest_up();
	for (at = A; at <= B; at++) {
		for (k = 1; k < 32; k += 7)
			fails_once(at,
				   (struct fault){ .cmd = BATCH,
						   .err = -EIO,
						   .fw = 0x13,
						   .partial = k },
				   at == A ? "COMMAND_BATCH (send)"
					   : "COMMAND_BATCH (receive)");
	}
	moves_at_last();
}

/* A kernel without the command, ours or mainline: one page at a time, and it works. */
static void test_no_batch(void **state)
{
	static const int errors[] = { -ENOTTY, -EINVAL };
	unsigned at, i;

	(void)state;
	for (at = A; at <= B; at++) {
		for (i = 0; i < ARRAY_SIZE(errors); i++) {
			guest_up();
			host_open(&host[B]);
			writes_more = 64;
			host[at].fault[0] =
				(struct fault){ .cmd = BATCH, .err = errors[i] };
			move();
			assert_moved();
			assert_int_equal(host[at].batches, 1);
			host_close(&host[B]);
			host_close(&host[A]);
		}
	}
}

/* --- row 14 -------------------------------------------------------------------------- */

static void test_flips(void **state)
{
	unsigned i, shared = 0;

	(void)state;
	guest_up();
	host_open(&host[B]);
	flipper.stop = false;
	assert_int_equal(pthread_create(&flipper.thread, NULL, flip, NULL), 0);
	while (flipper.flips < PAGES)
		sched_yield();
	move();
	flipper.stop = true;
	assert_int_equal(pthread_join(flipper.thread, NULL), 0);
	assert_moved();
	for (i = 0; i < PAGES; i++) {
		bool a = gmem_is_private(&host[A].m.gmem, (gpa_t)i * 4096);

		assert_int_equal(
			gmem_is_private(&host[B].m.gmem, (gpa_t)i * 4096), a);
		shared += !a;
	}
	assert_in_range(shared, 1, PAGES - 1);
	host_close(&host[B]);
	host_close(&host[A]);
}

/* --- row 8 --------------------------------------------------------------------------- */

#define ASIDS 64

static void psp_must(struct psp *p, uint32_t cmd, void *buf, size_t len)
{
	assert_int_equal(psp_command(p, cmd, buf, len), 0);
}

/* Guests of somebody else's have all ASIDs of B. Return: how many */
static unsigned take_asids(struct psp *p, uint32_t handle[ASIDS])
{
	struct psp_abi_start s = { .policy = POLICY };
	struct psp_abi_activate a = { 0 };
	unsigned n = 0;

	for (a.asid = 1; a.asid < ASIDS; a.asid++) {
		if (!a.handle) {
			psp_must(p, PSP_CMD_LAUNCH_START, &s, sizeof(s));
			a.handle = s.handle;
		}
		(void)psp_command(p, PSP_CMD_DF_FLUSH, NULL, 0);
		if (psp_command(p, PSP_CMD_ACTIVATE, &a, sizeof(a)))
			continue;
		handle[n++] = a.handle;
		s.handle = a.handle = 0;
	}
	if (a.handle)
		psp_must(p, PSP_CMD_DECOMMISSION, &a.handle, sizeof(a.handle));
	return n;
}

static void test_no_asid(void **state)
{
	uint32_t handle[ASIDS];
	struct psp *p;
	unsigned i, n;

	(void)state;
	guest_up();
	host_open(&host[B]);
	p = csv_model_psp(model(&host[B]));
	n = take_asids(p, handle);
	assert_true(n > 1);
	move();
	assert_stayed("RECEIVE_START");
	assert_non_null(strstr(host[A].s.progress.why, strerror(EBUSY)));
	/* What it had begun there is gone; one that ends makes room for it. */
	assert_int_equal(rig_guests(B), n);
	psp_must(p, PSP_CMD_DEACTIVATE, &handle[0], sizeof(handle[0]));
	psp_must(p, PSP_CMD_DECOMMISSION, &handle[0], sizeof(handle[0]));
	move();
	assert_moved();
	for (i = 1; i < n; i++) {
		psp_must(p, PSP_CMD_DEACTIVATE, &handle[i], sizeof(handle[i]));
		psp_must(p, PSP_CMD_DECOMMISSION, &handle[i], sizeof(handle[i]));
	}
	host_close(&host[B]);
	host_close(&host[A]);
}

/* --- row 5 --------------------------------------------------------------------------- */

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void cancelled_at(unsigned at, uint32_t cmd)
{
	host_open(&host[B]);
	writes_more = 64;
	cancel.at = at;
	cancel.cmd = cmd;
	move();
	cancel.cmd = 0;
	assert_int_equal(host[A].end, MIG_CANCELLED);
	host[A].end = MIG_FAILED;
	assert_stayed("cancelled");
	assert_int_equal(rig_guests(A), 1);
	host_close(&host[B]);
}

/* As many as there are ASIDs would do to notice that one is lost. */
static void test_cancels(void **state)
{
	static const struct {
		unsigned at;
		uint32_t cmd;
	} when[] = {
		{ A, KVM_SEV_SEND_START },
		{ B, KVM_SEV_RECEIVE_START },
		{ A, BATCH },
		{ B, BATCH },
		{ A, KVM_SEV_SEND_UPDATE_VMSA },
		{ B, KVM_SEV_RECEIVE_UPDATE_VMSA },
		{ B, KVM_SEV_RECEIVE_FINISH },
	};
	unsigned i, fds = 0;
	size_t heap = 0;

	(void)state;
	assert_int_equal(csv_model_open(PSP_HYGON, VMSA_HOST_MAINLINE_6_12,
					&platform_b),
			 0);
	guest_up();
	for (i = 0; i < 100; i++) {
		cancelled_at(when[i % ARRAY_SIZE(when)].at,
			     when[i % ARRAY_SIZE(when)].cmd);
		if (i == ARRAY_SIZE(when)) {
			fds = descriptors();
			heap = mallinfo2().uordblks + mallinfo2().hblkhd;
		}
	}
	assert_int_equal(descriptors(), fds);
	/* A thread's end may keep some; a round's buffers are 6 MiB. */
	assert_in_range(mallinfo2().uordblks + mallinfo2().hblkhd, 0,
			heap + 65536);
	moves_at_last();
	csv_model_drop(platform_b);
	platform_b = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_send_finish),
		cmocka_unit_test(test_send_cancel),
		cmocka_unit_test(test_errnos),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_no_batch),
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_no_asid),
		cmocka_unit_test(test_cancels),
	};

	assert_int_equal(psp_root_chain(psp_suite(PSP_HYGON), root,
					sizeof(root), &root_len),
			 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
