/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kvm-clock, TSCs and deadline timers of a guest that moves. */
#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <time.h>

#include "core/clock.h"
#include "core/kvm.h"
#include "core/log.h"
#include "core/util.h"
#include "vmm/vcpu_state.h"
#include "vmm/vm.h"

/*
 * DOC: Theory of operation
 *
 * Time goes on while the guest is under way: kvm-clock and the TSCs are set to
 * where they would be by now. How long that took is the difference of both hosts'
 * wall clocks, if that makes sense: not less than the time since the state came
 * in here, nor much more. Else it is that time, and the guest's clocks are late by
 * the rest.
 *
 * A thread can lose its processor between any two system calls, for long. So
 * nothing stands on two of them: KVM tells wall clock and kvm-clock of one
 * instant, and adds to kvm-clock what went by since; the first vCPU's TSC is read
 * between two looks at kvm-clock that lie close together. The other TSCs go by
 * their distance to it, so they stay equal.
 */

/* How much longer than since the arrival here may the move have taken? */
#define UNDERWAY_MAX_NS (10 * NS_PER_S)
/* Two looks that are this close need no better ones. */
#define CLOSE_NS  (20 * NS_PER_MS / 1000)
#define LOOKS_MAX 8

/* What nothing else explains. */
#define TSC_JUMP_MS 100

#define MSR_TSC		 0x10u
#define MSR_TSC_DEADLINE 0x6e0u

/* One instant of this host and its guest. */
struct instant {
	uint64_t wall_ns, kvm_ns, tsc;
};

static int look(const struct vm *vm, struct instant *ret_i, uint64_t *ret_width)
{
	struct kvm_clock_data a = { 0 }, b = { 0 };
	int r = kvm_ioctl(vm->m.vm_fd, KVM_GET_CLOCK, &a);

	ret_i->kvm_ns = a.clock;
	ret_i->wall_ns = a.flags & KVM_CLOCK_REALTIME ? a.realtime
						      : clock_ns(CLOCK_REALTIME);
	if (!r)
		r = kvm_get_msr(vm->vcpu[0].fd, MSR_TSC, &ret_i->tsc);
	if (!r)
		r = kvm_ioctl(vm->m.vm_fd, KVM_GET_CLOCK, &b);
	*ret_width = b.clock - a.clock;
	return r;
}

static int instant_now(const struct vm *vm, struct instant *ret_i)
{
	uint64_t best = UINT64_MAX, width;
	struct instant now = { 0 };
	unsigned i;
	int r = 0;

	for (i = 0; i < LOOKS_MAX && !r && best > CLOSE_NS; i++) {
		r = look(vm, &now, &width);
		if (!r && (!i || width < best)) {
			*ret_i = now;
			best = width;
		}
	}
	return r;
}

static int tsc_offset(int fd, unsigned long req, uint64_t *v)
{
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL,
				     .attr = KVM_VCPU_TSC_OFFSET,
				     .addr = (uintptr_t)v };

	return kvm_ioctl(fd, req, &a);
}

/* --- the source ------------------------------------------------------------------ */

static int tscs_save(const struct vm *vm, uint64_t first, struct snap_w *w)
{
	uint64_t first_off = 0, off, v = first;
	unsigned i;
	int r = 0;
	bool offsets =
		tsc_offset(vm->vcpu[0].fd, KVM_GET_DEVICE_ATTR, &first_off) == 0;

	for (i = 0; i < vm->n_vcpus && !r; i++) {
		if (offsets &&
		    !tsc_offset(vm->vcpu[i].fd, KVM_GET_DEVICE_ATTR, &off))
			v = first + off - first_off;
		else if (i)
			r = kvm_get_msr(vm->vcpu[i].fd, MSR_TSC, &v);
		snap_put64(w, v);
	}
	return r;
}

int machine_clock_save(const struct vm *vm, struct snap_w *w)
{
	int khz = kvm_ioctl_val(vm->vcpu[0].fd, KVM_GET_TSC_KHZ, 0);
	struct instant now = { 0 };
	int r = instant_now(vm, &now);

	if (r < 0)
		return r;
	snap_put64(w, now.wall_ns);
	snap_put64(w, now.kvm_ns);
	snap_put32(w, khz > 0 ? (uint32_t)khz : 0);
	return tscs_save(vm, now.tsc, w);
}

/* --- the target ------------------------------------------------------------------ */

void machine_clock_load(struct vm *vm, struct snap_r *r)
{
	struct vm_clocks *c = &vm->clocks;
	unsigned i;

	c->arrived_ns = now_ns();
	c->wall_ns = snap_get64(r, "wall clock");
	c->kvm_ns = snap_get64(r, "kvm-clock");
	c->tsc_khz = snap_get32(r, "tsc_khz");
	for (i = 0; i < vm->n_vcpus; i++)
		vm->vcpu[i].tsc = snap_get64(r, "tsc");
}

static int clock_resume(const struct vm *vm)
{
	const struct vm_clocks *c = &vm->clocks;
	uint64_t here = now_ns() - c->arrived_ns;
	uint64_t wall = clock_ns(CLOCK_REALTIME) - c->wall_ns;
	struct kvm_clock_data d = { .clock = c->kvm_ns,
				    .realtime = c->wall_ns,
				    .flags = KVM_CLOCK_REALTIME };
	int flags = kvm_cap(vm->m.vm_fd, KVM_CAP_ADJUST_CLOCK);
	bool sane = wall >= here && wall - here <= UNDERWAY_MAX_NS;

	if (!sane)
		log_warn("the hosts' clocks differ: the guest's clocks are late by the time its last state was on the line");
	if (!sane || flags < 0 || !(flags & KVM_CLOCK_REALTIME))
		d = (struct kvm_clock_data){ .clock = c->kvm_ns +
						      (sane ? wall : here) };
	return kvm_ioctl(vm->m.vm_fd, KVM_SET_CLOCK, &d);
}

/* Where the first vCPU's TSC should be at an instant here. */
static uint64_t tsc_at(const struct vm *vm, const struct instant *now)
{
	const struct vm_clocks *c = &vm->clocks;

	return vm->vcpu[0].tsc +
	       (uint64_t)((double)(now->kvm_ns - c->kvm_ns) * c->tsc_khz / 1e6);
}

/* Some KVMs take it and go on with this host's. */
static int tscs_check(const struct vm *vm)
{
	struct instant now = { 0 };
	int r = instant_now(vm, &now);
	int64_t ms;

	if (r < 0 || !vm->clocks.tsc_khz)
		return r;
	ms = (int64_t)(now.tsc - tsc_at(vm, &now)) / (int64_t)vm->clocks.tsc_khz;
	if (ms > TSC_JUMP_MS || ms < -TSC_JUMP_MS)
		log_warn("this host's KVM does not set the TSC: the guest's jumps by %" PRId64
			 " ms",
			 ms);
	return 0;
}

/* Every vCPU's TSC, by the same distance from what it was. */
static int tscs_resume(struct vm *vm)
{
	uint64_t off = 0, more;
	struct instant now = { 0 };
	unsigned i;
	int r = instant_now(vm, &now);

	if (r < 0)
		return r;
	more = tsc_at(vm, &now) - vm->vcpu[0].tsc;
	r = tsc_offset(vm->vcpu[0].fd, KVM_GET_DEVICE_ATTR, &off);
	for (i = 0; i < vm->n_vcpus; i++) {
		uint64_t want = vm->vcpu[i].tsc + more;
		uint64_t to = off + want - now.tsc;

		if (r < 0 || tsc_offset(vm->vcpu[i].fd, KVM_SET_DEVICE_ATTR, &to))
			(void)kvm_set_msr(vm->vcpu[i].fd, MSR_TSC, want);
	}
	return tscs_check(vm);
}

int machine_clock_resume(struct vm *vm)
{
	const struct vm_clocks *c = &vm->clocks;
	unsigned i;
	int r;

	for (i = 0; i < vm->n_vcpus && c->tsc_khz; i++) {
		if (kvm_ioctl_val(vm->vcpu[i].fd, KVM_GET_TSC_KHZ, 0) !=
		    (int)c->tsc_khz)
			(void)kvm_ioctl_val(vm->vcpu[i].fd, KVM_SET_TSC_KHZ,
					    c->tsc_khz);
	}
	r = clock_resume(vm);
	if (!r)
		r = tscs_resume(vm);
	/* In terms of the TSC, which is right by now only. */
	for (i = 0; i < vm->n_vcpus && !r; i++) {
		if (vm->vcpu[i].deadline)
			r = kvm_set_msr(vm->vcpu[i].fd, MSR_TSC_DEADLINE,
					vm->vcpu[i].deadline);
		(void)kvm_ioctl_val(vm->vcpu[i].fd, KVM_KVMCLOCK_CTRL, 0);
	}
	return r;
}
