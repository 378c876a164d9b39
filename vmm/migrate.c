/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/csv_abi.h"
#include "core/kvm.h"
#include "core/log.h"
#include "core/thread.h"
#include "core/util.h"
#include "vmm/control.h"
#include "vmm/launch.h"
#include "vmm/vcpu_state.h"
#include "vmm/vm.h"

/**
 * struct vm_migration - One attempt, in a thread of its own
 * @over:	The thread has nothing more to do; vm.lock
 * @was_paused:	By the operator, before we stopped it
 */
struct vm_migration {
	struct vm *vm;
	struct mig_source s;
	struct migrate_trust trust;
	int fd[MIGRATE_FDS];
	pthread_t thread;
	bool over, was_paused;
	enum mig_phase end;
};

/* --- the guest, for migration/ --------------------------------------------------- */

static int op_check(void *ctx, const struct mig_machine *target,
		    struct csv_target *ret_certs, char *why)
{
	struct vm_migration *g = ctx;

	return migrate_trust_check(&g->trust, &g->s.own, target, ret_certs, why);
}

/*
 * A vCPU in the middle of a VMGEXIT has its GHCB mapped: KVM writes to the page on
 * the way back, and its log does not always see that.
 */
static void mark_ghcbs(struct vm *vm)
{
	uint64_t ghcb;
	unsigned i;

	if (kvm_cap(vm->m.vm_fd, CSV_CAP_SEV_ES_GHCB) <= 0)
		return;
	for (i = 0; i < vm->n_vcpus; i++) {
		if (!kvm_get_msr(vm->vcpu[i].fd, CSV_MSR_GHCB, &ghcb) &&
		    (ghcb & CSV_GHCB_MAPPED))
			gmem_mark_dirty(&vm->m.gmem,
					ghcb & 0x000ffffffffff000ULL, PAGE_SIZE);
	}
}

static int op_stop(void *ctx, char *why)
{
	struct vm_migration *g = ctx;
	struct vm *vm = g->vm;
	int r;

	g->was_paused = vm->state == VM_PAUSED;
	r = vm_pause(vm);
	if (r < 0) {
		(void)snprintf(why, MIG_WHY_MAX, "the guest %s",
			       vm_end_words(vm->m.end));
		return r;
	}
	/* By what a vCPU had to finish: it is reset here, not there. */
	if (vm_reset_pending(vm)) {
		(void)snprintf(why, MIG_WHY_MAX, "the guest is reset");
		return -ECANCELED;
	}
	vm->moving = true;
	vm->arrives_paused = g->was_paused;
	mark_ghcbs(vm);
	return 0;
}

static void op_go_on(void *ctx)
{
	struct vm_migration *g = ctx;

	g->vm->moving = false;
	if (!g->was_paused)
		(void)vm_resume(g->vm);
}

static int op_save(void *ctx, int i, struct snap_w *w)
{
	struct vm_migration *g = ctx;

	return i == MIG_MACHINE ? machine_state_save(g->vm, w)
				: vcpu_state_save(&g->vm->vcpu[i], w);
}

static void op_throttle(void *ctx, unsigned percent)
{
	struct vm_migration *g = ctx;

	vm_throttle_set(g->vm, percent);
}

static int op_mark(void *ctx, enum mig_phase phase)
{
	struct vm_migration *g = ctx;

	return control_journal(g->vm->control, mig_phase_name(phase));
}

static const struct mig_source_ops ops = {
	.check = op_check,
	.stop = op_stop,
	.go_on = op_go_on,
	.save = op_save,
	.throttle = op_throttle,
	.mark = op_mark,
};

/* --- life ---------------------------------------------------------------------- */

/* One line for who waits: what became of it. Texts are printable. */
static void tell(struct vm_migration *g)
{
	struct mig_progress p;
	const struct mig_cost *c = &g->s.cost;
	char line[1536], why[sizeof(p.why)];
	size_t i;
	int n;

	mig_source_progress(&g->s, &p);
	memcpy(why, p.why, sizeof(why));
	for (i = 0; why[i]; i++) {
		if (why[i] == '"' || why[i] == '\\')
			why[i] = '\'';
	}
	n = snprintf(line, sizeof(line),
		     "{\"event\":\"end\",\"phase\":\"%s\",\"why\":\"%s\","
		     "\"rounds\":%u,\"pages\":%" PRIu64 ",\"zero_pages\":%" PRIu64
		     ",\"sealed_pages\":%" PRIu64 ",\"bytes\":%" PRIu64
		     ",\"batches\":%" PRIu64 ",\"psp_busy\":%" PRIu64
		     ",\"throttle\":%u,\"predicted_ns\":%" PRIu64
		     ",\"down_ns\":%" PRIu64 ",\"total_ns\":%" PRIu64
		     ",\"down_parts_ns\":[%" PRIu64 ",%" PRIu64 ",%" PRIu64
		     ",%" PRIu64 "],\"cost_ns\":{\"trip\":%" PRIu64
		     ",\"command\":%" PRIu64 ",\"state\":%" PRIu64
		     ",\"put\":%" PRIu64 ",\"journal\":%" PRIu64 ",\"log\":%" PRIu64
		     ",\"sealed\":%" PRIu64 ",\"plain\":%" PRIu64 "}}\n",
		     mig_phase_name(p.phase), why, p.round, p.pages,
		     p.zero_pages, p.sealed_pages, p.bytes, p.batches,
		     p.psp_busy, p.throttle, p.predicted_ns, p.down_ns,
		     p.total_ns, p.part_ns[PART_PAGES], p.part_ns[PART_STATE],
		     p.part_ns[PART_PREPARED], p.part_ns[PART_RUNNING],
		     c->trip_ns, c->command_ns, c->state_ns, c->put_ns,
		     c->mark_ns, c->log_ns, c->sealed.page_ns, c->plain.page_ns);
	if (n > 0 && g->fd[MIGRATE_EVENTS] >= 0 &&
	    send(g->fd[MIGRATE_EVENTS], line, (size_t)n,
		 MSG_NOSIGNAL | MSG_DONTWAIT) != n)
		log_debug("migration: nobody waits for the result");
}

static void log_end(const struct vm_migration *g)
{
	const char *why = g->s.progress.why;

	if (g->end == MIG_MOVED)
		log_info("migration: the guest runs at the target");
	else if (g->end == MIG_POSSIBLE)
		log_info("migration: could be done; nothing was changed");
	else if (g->end == MIG_ENDED)
		log_info("migration: over: the guest has ended");
	else if (g->end == MIG_IN_DOUBT)
		log_err("migration: %s; the guest stands still: see whether it runs at the target, then 'csvvmm migrate --decide'",
			why);
	else if (g->end == MIG_STUCK)
		log_err("migration: %s; it stands still, and is nowhere else: when that is mended, 'csvvmm migrate --decide=here'",
			why);
	else if (g->end == MIG_REFUSED)
		log_err("migration: refused: %s", why);
	else if (g->end == MIG_CANCELLED)
		log_info("migration: cancelled; the guest goes on here");
	else
		log_err("migration: failed: %s; the guest goes on here", why);
}

static void close_fds(struct vm_migration *g)
{
	unsigned i;

	for (i = 0; i < MIGRATE_FDS; i++)
		util_close(&g->fd[i]);
}

static void *migration_main(void *arg)
{
	struct vm_migration *g = arg;
	struct vm *vm = g->vm;

	(void)pthread_setname_np(pthread_self(), "migration");
	g->end = mig_source_run(&g->s, g->fd[MIGRATE_LINE]);
	pthread_mutex_lock(&vm->m.lock);
	g->over = true;
	if (vm->m.end != END_NONE &&
	    (g->end == MIG_FAILED || g->end == MIG_CANCELLED)) {
		g->end = MIG_ENDED;
		mig_source_decided(&g->s, g->end);
	}
	log_end(g);
	tell(g);
	close_fds(g);
	if (g->end == MIG_MOVED)
		machine_end(&vm->m, END_MOVED);
	pthread_mutex_unlock(&vm->m.lock);
	return NULL;
}

static void migration_free(struct vm_migration *g)
{
	(void)pthread_join(g->thread, NULL);
	close_fds(g);
	migrate_trust_fini(&g->trust);
	mig_source_fini(&g->s);
	free(g);
}

static int check_guest(const struct vm *vm, char *why)
{
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED) {
		(void)snprintf(why, MIG_WHY_MAX, "the guest is %s",
			       vm_state_name(vm));
		return -EINVAL;
	}
	if (vm->mig && !vm->mig->over) {
		(void)snprintf(why, MIG_WHY_MAX,
			       "a migration is under way already");
		return -EBUSY;
	}
	if (vm_reset_pending(vm)) {
		(void)snprintf(why, MIG_WHY_MAX, "the guest is being reset");
		return -EBUSY;
	}
	if (vm->reset.held) {
		(void)snprintf(why, MIG_WHY_MAX,
			       "only a reset helps the guest (%s)",
			       vm_reset_reason(vm->reset.why));
		return -EINVAL;
	}
	if (vm->moving) {
		(void)snprintf(
			why, MIG_WHY_MAX,
			"it is in doubt where the guest runs; see migrate --decide");
		return -EBUSY;
	}
	if (config_csv_real(&vm->cfg->csv) &&
	    !(vm->pages.offered && vm->pages.ready)) {
		(void)snprintf(
			why, MIG_WHY_MAX,
			"the guest has not said yet that it can be migrated");
		return -EAGAIN;
	}
	return 0;
}

/* Does this kernel carry out two batches at once, and stay in ring mode? */
static uint32_t batch_flags(const struct vm *vm)
{
	uint64_t flags = 0;
	struct kvm_device_attr a = { .group = CSV_ATTR_GROUP,
				     .attr = CSV_ATTR_BATCH_FLAGS,
				     .addr = (uintptr_t)&flags };

	if (!config_csv_real(&vm->cfg->csv) ||
	    kvm_ioctl(vm->kvm_fd, KVM_GET_DEVICE_ATTR, &a) < 0)
		return 0;
	return flags & CSV_BATCH_MORE;
}

/*
 * KVM answers for a vCPU between two runs only, and one that idles is in one run
 * for as long as it does.
 */
static int describe(struct vm *vm, struct mig_machine *ret_d)
{
	bool paused = vm->state == VM_PAUSED;
	int r = vm_pause(vm);

	if (!r)
		r = vm_describe(vm, ret_d);
	if (!paused)
		(void)vm_resume(vm);
	return r;
}

static int prepare(struct vm *vm, struct vm_migration *g,
		   const struct migrate_args *a, char *why)
{
	bool model = vm->cfg->csv.backend == CONFIG_CSV_MODEL || a->model_root;
	int r = mig_source_init(&g->s, &vm->m);

	g->vm = vm;
	g->s.ops = &ops;
	g->s.ctx = g;
	g->s.n_vcpus = vm->n_vcpus;
	g->s.opts = a->opts;
	if (!r && vm->launch) {
		g->s.csv = &vm->launch->csv;
		g->s.csv->batch_flags = batch_flags(vm);
		r = migrate_trust_init(&g->trust, model, a->fd[MIGRATE_ROOT],
				       a->fd[MIGRATE_CERTS], why);
	}
	if (!r)
		r = describe(vm, &g->s.own);
	/* By what a vCPU had to finish for that. */
	if (!r && vm_reset_pending(vm)) {
		(void)snprintf(why, MIG_WHY_MAX, "the guest is being reset");
		r = -EBUSY;
	}
	return r;
}

int vm_migrate_start(struct vm *vm, const struct migrate_args *a, char *why)
{
	struct vm_migration *g = calloc(1, sizeof(*g));
	int r = g ? check_guest(vm, why) : -ENOMEM;

	if (g)
		memcpy(g->fd, a->fd, sizeof(g->fd));
	if (!r && vm->mig) {
		migration_free(vm->mig);
		vm->mig = NULL;
	}
	if (!r) {
		r = prepare(vm, g, a, why);
		if (!r)
			r = thread_start(&g->thread, migration_main, g);
		if (r < 0) {
			migrate_trust_fini(&g->trust);
			mig_source_fini(&g->s);
		}
	}
	if (r < 0) {
		if (!why[0])
			(void)snprintf(why, MIG_WHY_MAX, "%s", strerror(-r));
		if (g)
			close_fds(g);
		free(g);
		return r;
	}
	vm->mig = g;
	return 0;
}

bool vm_migrate_active(const struct vm *vm)
{
	return vm->mig && !vm->mig->over;
}

bool vm_migrate_late(struct vm *vm)
{
	struct mig_progress p;

	if (!vm_migrate_active(vm))
		return vm->moving;
	mig_source_progress(&vm->mig->s, &p);
	return p.phase >= MIG_COMMITTING;
}

int vm_migrate_cancel(struct vm *vm)
{
	if (!vm_migrate_active(vm) || vm_migrate_late(vm))
		return -ENOENT;
	mig_source_cancel(&vm->mig->s);
	return 0;
}

int vm_migrate_decide(struct vm *vm, bool here)
{
	struct vm_migration *g = vm->mig;
	struct snap_error err = { "" };
	int r;

	if (!g || !g->over || !vm->moving)
		return -EPROTO;
	if (!here && !g->s.committed)
		return -EXDEV;
	if (!here) {
		mig_source_decided(&g->s, MIG_MOVED);
		(void)op_mark(g, MIG_MOVED);
		machine_end(&vm->m, END_MOVED);
		return 0;
	}
	if (g->s.csv && g->s.csv->state == CSV_SEND &&
	    csv_send_cancel(g->s.csv) < 0)
		return log_errno(-EIO, "migration: %s", csv_error(g->s.csv));
	r = snap_hold_all(&vm->m.snap, SNAP_HOLD_ALL, &err);
	if (r < 0) {
		log_err("migration: %s", err.text);
		return r;
	}
	mig_source_decided(&g->s, MIG_FAILED);
	(void)op_mark(g, MIG_FAILED);
	snap_thaw_all(&vm->m.snap);
	op_go_on(g);
	return 0;
}

void vm_migrate_fini(struct vm *vm)
{
	if (!vm->mig)
		return;
	mig_source_cancel(&vm->mig->s);
	migration_free(vm->mig);
	vm->mig = NULL;
}

bool vm_migrate_progress(struct vm *vm, struct mig_progress *ret_p)
{
	if (!vm->mig)
		return false;
	mig_source_progress(&vm->mig->s, ret_p);
	return true;
}
