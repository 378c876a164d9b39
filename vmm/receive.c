/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/thread.h"
#include "core/util.h"
#include "migration/target.h"
#include "vmm/control.h"
#include "vmm/launch.h"
#include "vmm/migrate.h"
#include "vmm/vcpu_state.h"
#include "vmm/vm.h"

/**
 * struct vm_incoming - A guest that is to come, in a thread of its own
 * @end:	What became of it
 */
struct vm_incoming {
	struct vm *vm;
	struct mig_target t;
	int fd, arrived, wake_fd;
	pthread_t thread;
	bool have_thread;
	enum mig_phase end;
};

static int op_load(void *ctx, int i, struct snap_r *r)
{
	struct vm_incoming *in = ctx;

	return i == MIG_MACHINE ? machine_state_load(in->vm, r)
				: vcpu_state_load(&in->vm->vcpu[i], r);
}

static int op_save(void *ctx, int i, struct snap_w *w)
{
	struct vm_incoming *in = ctx;

	return i == MIG_MACHINE ? machine_state_save(in->vm, w)
				: vcpu_state_save(&in->vm->vcpu[i], w);
}

static int op_resume(void *ctx, char *why)
{
	struct vm_incoming *in = ctx;
	int r;

	if (in->vm->launch)
		launch_received(in->vm->launch);
	r = vm_arrive_soon(in->vm);
	if (r < 0)
		(void)snprintf(why, MIG_WHY_MAX, "the vCPUs can't be started");
	return r;
}

static int op_run(void *ctx, char *why)
{
	struct vm_incoming *in = ctx;
	int r;

	if (in->vm->m.end != END_NONE) {
		(void)snprintf(why, MIG_WHY_MAX, "it was ended here meanwhile");
		return -ECANCELED;
	}
	r = machine_clock_resume(in->vm);
	if (r < 0)
		(void)snprintf(why, MIG_WHY_MAX, "its clocks can't be set: %s",
			       strerror(-r));
	else
		vm_arrive(in->vm);
	return r;
}

static int op_mark(void *ctx, enum mig_phase phase)
{
	struct vm_incoming *in = ctx;

	return control_journal(in->vm->control, mig_phase_name(phase));
}

static const struct mig_target_ops ops = {
	.load = op_load,
	.save = op_save,
	.resume = op_resume,
	.run = op_run,
	.mark = op_mark,
};

static void log_end(const struct vm_incoming *in)
{
	if (in->end == MIG_MOVED)
		log_info("the guest has arrived%s",
			 in->vm->arrives_paused ? "; it is paused" : "");
	else if (in->end == MIG_NONE)
		log_info("the source has seen that the guest could come");
	else if (in->end == MIG_REFUSED)
		log_err("refused: %s", in->t.wire.error);
	else
		log_err("the guest did not arrive: %s", in->t.wire.error);
}

/* The guest must not be on its way to a third host, which has a half then. */
static int take_disks(struct vm *vm, struct snap_error *err)
{
	int r = -EBUSY;

	pthread_mutex_lock(&vm->m.lock);
	if (!vm_migrate_active(vm) && !vm_migrate_late(vm))
		r = snap_hold_all(&vm->m.snap, SNAP_HOLD_ALL, err);
	pthread_mutex_unlock(&vm->m.lock);
	return r;
}

/* The source lets go of its half of the disks' locks when it hears that the guest
 * runs here; if it does not hear, its operator has to decide, whenever that is. The
 * half that we have keeps all others out meanwhile. */
static void settle(struct vm_incoming *in)
{
	struct pollfd wake = { .fd = in->wake_fd, .events = POLLIN };
	uint64_t until = now_ns() + in->t.stall_ns + NS_PER_S;
	struct snap_error err = { "" };
	bool told = false;

	while (take_disks(in->vm, &err) < 0 &&
	       poll(&wake, 1, told ? 1000 : 20) <= 0) {
		if (told || now_ns() < until || !err.text[0])
			continue;
		told = true;
		log_warn("%s: half of the lock is somebody else's still: the source's, until its operator says where the guest is?",
			 err.text);
	}
}

static void *incoming_main(void *arg)
{
	struct vm_incoming *in = arg;
	enum mig_phase end;

	(void)pthread_setname_np(pthread_self(), "migration");
	end = mig_target_run(&in->t, in->fd);
	pthread_mutex_lock(&in->vm->m.lock);
	in->end = end;
	log_end(in);
	/* Our parent has a copy, and the line's helper shall know. */
	(void)shutdown(in->fd, SHUT_RDWR);
	util_close(&in->fd);
	if (in->end != MIG_MOVED)
		machine_end(&in->vm->m, END_NOT_RECEIVED);
	else if (write(in->arrived, "", 1) != 1)
		log_debug("receive: nobody wants to know");
	pthread_mutex_unlock(&in->vm->m.lock);
	if (end == MIG_MOVED)
		settle(in);
	return NULL;
}

int vm_receive_start(struct vm *vm, int fd, int arrived, uint64_t stall_ns)
{
	struct vm_incoming *in = calloc(1, sizeof(*in));
	int r;

	if (!in)
		return log_errno(-ENOMEM, "receive");
	vm->incoming = in;
	in->vm = vm;
	in->fd = fd;
	in->arrived = arrived;
	in->end = MIG_FAILED; /* until it has begun, and ended well */
	in->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = in->wake_fd < 0 ? -errno : mig_target_init(&in->t, &vm->m);
	if (!r)
		r = vm_describe(vm, &in->t.own);
	in->t.csv = vm->launch ? &vm->launch->csv : NULL;
	in->t.n_vcpus = vm->n_vcpus;
	in->t.ops = &ops;
	in->t.ctx = in;
	in->t.wake_fd = in->wake_fd;
	in->t.stall_ns = stall_ns;
	if (!r) {
		r = thread_start(&in->thread, incoming_main, in);
		in->have_thread = !r;
	}
	return r < 0 ? log_errno(r, "receive") : 0;
}

void vm_receive_refuse(int fd, uint64_t stall_ns)
{
	char why[WIRE_TEXT_MAX + 1];
	struct wire_head h;
	struct wire w;

	wire_open(&w, WIRE_TARGET, fd, -1, stall_ns);
	log_last_error(why, sizeof(why));
	/* Its offer first, as where the machine does not fit. */
	if (!wire_greet(&w) && !wire_recv_head(&w, &h))
		wire_send_fail(&w, why[0] ? why : "it has no machine for it");
}

void vm_receive_fini(struct vm *vm)
{
	struct vm_incoming *in = vm->incoming;
	uint64_t one = 1;

	if (!in)
		return;
	if (in->have_thread) {
		if (write(in->wake_fd, &one, sizeof(one)) < 0)
			log_debug("receive: woken already");
		(void)pthread_join(in->thread, NULL);
	}
	in->have_thread = false;
}

void vm_receive_free(struct vm *vm)
{
	struct vm_incoming *in = vm->incoming;

	if (!in)
		return;
	mig_target_fini(&in->t);
	util_close(&in->fd);
	util_close(&in->wake_fd);
	free(in);
	vm->incoming = NULL;
}

bool vm_receive_untouched(const struct vm *vm)
{
	const struct vm_incoming *in = vm->incoming;

	return in && (in->end == MIG_NONE || in->end == MIG_REFUSED);
}

bool vm_receive_came(const struct vm *vm)
{
	return vm->incoming && vm->incoming->end == MIG_MOVED;
}
