/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/reset.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/util.h"
#include "vmm/board.h"
#include "vmm/migrate.h"
#include "vmm/vm.h"

/*
 * DOC: Theory of operation
 *
 * Who wants a reset, a vCPU or the control socket, only says so, and a timer is
 * due at once: all of it happens in the loop's thread, step by step, so that the
 * control socket is served in between. reset_step() looks what has to be waited
 * for (a migration that ends, devices that have requests in flight), and looks
 * again. vCPUs are parked all the while; their threads, all descriptors of devices
 * and the guest's memory outlive the reset.
 */

#define LOOK_AGAIN_NS 1000000ULL
/* A guest that does nothing else than to reset itself costs its host no more than
 * this many of the security processor's launches, and flushes of all caches. */
#define MIN_LIFE_NS (NS_PER_S / 4)

const char *vm_reset_reason(enum end_reason why)
{
	if (why == END_REBOOT)
		return "the guest asked for a reboot";
	if (why == END_PANIC)
		return "its kernel panicked";
	if (why == END_TRIPLE_FAULT)
		return "a triple fault";
	return "the operator asked for it";
}

static void reset_wake(struct vm *vm, uint64_t ns)
{
	(void)timer_arm(&vm->reset.timer, ns);
}

static void reset_want(struct vm *vm, enum end_reason why, bool pause)
{
	struct vm_reset *rs = &vm->reset;

	rs->wanted = true;
	rs->pause = pause;
	rs->why = why;
	rs->run = vm->state == VM_RUNNING || rs->held ||
		  (vm->moving && !vm->arrives_paused);
	/* Whoever it was does not come back into the guest. */
	vm->want_pause = true;
	(void)vm_migrate_cancel(vm);
	reset_wake(vm, 1);
}

static enum config_end policy(const struct config *cfg, enum end_reason why)
{
	if (why == END_REBOOT)
		return cfg->on_reboot;
	if (why == END_PANIC || why == END_TRIPLE_FAULT)
		return cfg->on_crash;
	return CONFIG_END_EXIT;
}

static bool reset_outlives(struct machine *m, enum end_reason why)
{
	struct vm *vm = container_of(m, struct vm, m);
	enum config_end then = policy(vm->cfg, why);

	if (then == CONFIG_END_EXIT || vm->quit ||
	    (vm->state != VM_RUNNING && vm->state != VM_PAUSED))
		return false;
	if (!vm->reset.wanted)
		reset_want(vm, why, then == CONFIG_END_PAUSE);
	return true;
}

int vm_reset_ask(struct vm *vm)
{
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return -EINVAL;
	/* Also when it was to be paused: this is more. */
	if (vm->reset.wanted && !vm->reset.pause)
		return 0;
	if (vm_migrate_late(vm))
		return -EBUSY;
	reset_want(vm, END_NONE, false);
	return 0;
}

bool vm_reset_pending(const struct vm *vm)
{
	return vm->reset.wanted;
}

bool vm_reset_then(struct vm *vm, bool run)
{
	struct vm_reset *rs = &vm->reset;

	if (!rs->wanted || rs->pause)
		return false;
	rs->run = run;
	return true;
}

static void reset_hold(struct vm *vm)
{
	struct vm_reset *rs = &vm->reset;

	rs->wanted = false;
	rs->held = true;
	log_info("paused, until it is reset or killed: %s",
		 vm_reset_reason(rs->why));
}

static void reset_log(const struct vm *vm, uint64_t lived_ns)
{
	const struct vm_reset *rs = &vm->reset;
	const char *how = rs->relaunched ? "relaunched" : "in place";

	/* The guest may want to fill the log. */
	if (lived_ns < NS_PER_S && rs->why != END_NONE)
		log_guest("reset %" PRIu64 " (%s): %s", rs->count, how,
			  vm_reset_reason(rs->why));
	else
		log_info("reset %" PRIu64 " (%s): %s", rs->count, how,
			 vm_reset_reason(rs->why));
}

static void reset_over(struct vm *vm)
{
	struct vm_reset *rs = &vm->reset;
	uint64_t lived_ns = rs->since_ns - MAX(rs->last_ns, vm->first_run_ns);

	rs->wanted = rs->held = rs->draining = false;
	rs->last_ns = now_ns();
	rs->took_ns = rs->last_ns - rs->since_ns;
	rs->count++;
	memset(vm->exits, 0, sizeof(vm->exits));
	reset_log(vm, lived_ns);
	if (vm->wait_for_owner) {
		vm->state = VM_CREATED;
		log_info("measured; waiting for the owner ('csvvmm launch-go %s')",
			 vm->cfg->name);
	} else if (rs->run) {
		(void)vm_resume(vm);
	}
}

/* Return: 0 when nothing has to be waited for any more */
static int reset_wait(struct vm *vm)
{
	struct vm_reset *rs = &vm->reset;
	uint64_t lived_ns;

	if (vm_migrate_active(vm))
		return -EINPROGRESS;
	/* It had just become too late to cancel: it is in doubt whether the
	 * guest runs elsewhere. */
	if (vm->moving) {
		vm->reset.wanted = false;
		log_warn("reset: not before it is decided where the guest is");
		return -ECANCELED;
	}
	if (vm_pause(vm) < 0 || vm->m.end != END_NONE)
		return -ECANCELED;
	if (rs->pause)
		return 0;
	lived_ns = now_ns() - MAX(rs->last_ns, vm->first_run_ns);
	if (rs->why != END_NONE && config_csv_real(&vm->cfg->csv) &&
	    lived_ns < MIN_LIFE_NS)
		return -EINPROGRESS;
	if (!rs->draining)
		rs->since_ns = now_ns();
	rs->draining = true;
	return board_reset(vm->board);
}

static void reset_step(struct timer *t)
{
	struct vm *vm = container_of(t, struct vm, reset.timer);
	struct vm_reset *rs = &vm->reset;
	int r;

	if (!rs->wanted || vm->m.end != END_NONE)
		return;
	r = reset_wait(vm);
	if (r == -EINPROGRESS)
		reset_wake(vm, LOOK_AGAIN_NS);
	if (r < 0)
		return;
	if (rs->pause) {
		reset_hold(vm);
		return;
	}
	r = vm_reset_in_place(vm);
	rs->relaunched = r == -EAGAIN;
	if (rs->relaunched)
		r = vm_relaunch(vm);
	if (r < 0)
		machine_end(&vm->m, END_ERROR);
	else
		reset_over(vm);
}

int vm_reset_init(struct vm *vm)
{
	int r = timer_init(&vm->reset.timer, &vm->m.loop, reset_step);

	vm->reset.have_timer = !r;
	vm->m.outlives = reset_outlives;
	return r;
}

void vm_reset_fini(struct vm *vm)
{
	if (vm->reset.have_timer)
		timer_fini(&vm->reset.timer, &vm->m.loop);
	vm->reset.have_timer = false;
	vm_reset_forget(vm);
}
