/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <time.h>

#include "core/util.h"
#include "vmm/migrate.h"
#include "vmm/vm.h"

/*
 * DOC: Theory of operation
 *
 * A timer drives all vCPUs out of the guest every SLICE_NS; each then sleeps so
 * long that it ran for the rest of its share only.
 */
#define SLICE_NS 10000000ULL

static void on_timer(struct timer *t)
{
	struct vm *vm = container_of(t, struct vm, throttle.timer);
	unsigned i;

	if (!vm->throttle.percent)
		return;
	for (i = 0; i < vm->n_vcpus && vm->state == VM_RUNNING; i++)
		vcpu_kick(&vm->vcpu[i]);
	(void)timer_arm(t, SLICE_NS);
}

int vm_throttle_init(struct vm *vm)
{
	int r = timer_init(&vm->throttle.timer, &vm->m.loop, on_timer);

	vm->throttle.have_timer = !r;
	return r;
}

void vm_throttle_fini(struct vm *vm)
{
	if (vm->throttle.have_timer)
		timer_fini(&vm->throttle.timer, &vm->m.loop);
	vm->throttle.have_timer = false;
}

void vm_throttle_set(struct vm *vm, unsigned percent)
{
	vm->throttle.percent = MIN(percent, 99u);
	(void)timer_arm(&vm->throttle.timer, percent ? SLICE_NS : 0);
}

void vm_throttle_sleep(struct vm *vm)
{
	unsigned percent = vm->throttle.percent;
	struct timespec ts = { 0 };

	if (!percent || vm->want_pause || vm->quit)
		return;
	ts.tv_nsec = (long)(SLICE_NS * percent / 100);
	pthread_mutex_unlock(&vm->m.lock);
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	pthread_mutex_lock(&vm->m.lock);
}
