/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vcpu_state.h"

#include <asm/kvm_para.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/csv_abi.h"
#include "core/kvm.h"
#include "core/util.h"
#include "vmm/vm.h"

/*
 * DOC: Theory of operation
 *
 * sections[] is the order on the wire and of the load ([csv-abi] 4.5): CPUID
 * first, since KVM checks the rest against it; SREGS before the local APIC, which
 * they may move; MSRs before events, in them the GHCB's last of all; the deadline
 * timer when the APIC is there. Each section is a length and its bytes; 0 where
 * KVM has nothing to tell, as of most registers of an encrypted guest.
 */

#define XSAVE_MAX    16384u
#define MSR_LIST_MAX 1024u
#define LAPIC_SIZE   1024u

#define MSR_TSC		 0x10u
#define MSR_TSC_DEADLINE 0x6e0u

/* [APM] 2, 7.7: pairs of base and mask, then those of the first MiB. */
#define MSR_MTRR_PHYS_FIRST 0x200u
#define MSR_MTRR_PHYS_LAST  0x20fu
#define MSR_MTRR_DEF_TYPE   0x2ffu

/* --- CPUID ------------------------------------------------------------------- */

#define CPUID_MAX 256u

struct kvm_cpuid2 *vcpu_cpuid(const struct vcpu *v)
{
	struct kvm_cpuid2 *c =
		calloc(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));
	int r;

	if (!c)
		return NULL;
	c->nent = CPUID_MAX;
	r = kvm_ioctl(v->fd, KVM_GET_CPUID2, c);
	if (!r)
		return c;
	free(c);
	errno = -r;
	return NULL;
}

static int cpuid_save(const struct vcpu *v, struct snap_w *w)
{
	auto_free struct kvm_cpuid2 *c = vcpu_cpuid(v);
	uint32_t i;

	if (!c)
		return -errno;
	snap_put32(w, c->nent);
	for (i = 0; i < c->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &c->entries[i];

		snap_put32(w, e->function);
		snap_put32(w, e->index);
		snap_put32(w, e->flags);
		snap_put32(w, e->eax);
		snap_put32(w, e->ebx);
		snap_put32(w, e->ecx);
		snap_put32(w, e->edx);
	}
	return 0;
}

static int cpuid_load(struct vcpu *v, struct snap_r *r)
{
	auto_free struct kvm_cpuid2 *c =
		calloc(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));
	uint32_t i;

	if (!c)
		return -ENOMEM;
	c->nent = snap_get32_range(r, "cpuid", 1, CPUID_MAX);
	for (i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		e->function = snap_get32(r, "cpuid");
		e->index = snap_get32(r, "cpuid");
		e->flags = snap_get32(r, "cpuid");
		e->eax = snap_get32(r, "cpuid");
		e->ebx = snap_get32(r, "cpuid");
		e->ecx = snap_get32(r, "cpuid");
		e->edx = snap_get32(r, "cpuid");
	}
	return r->error ? r->error : kvm_ioctl(v->fd, KVM_SET_CPUID2, c);
}

/* --- what has a structure of KVM's ----------------------------------------------- */

#define SECTION(name)                                                  \
	static int name##_save(const struct vcpu *v, struct snap_w *w) \
	{                                                              \
		return vcpu_##name##_save(v->fd, w);                   \
	}                                                              \
	static int name##_load(struct vcpu *v, struct snap_r *r)       \
	{                                                              \
		return vcpu_##name##_load(v->fd, r);                   \
	}

SECTION(sregs)
SECTION(regs)
SECTION(events)
SECTION(debug)

/* The processor's own layout, as XSAVE has it. */
static int xsave_size(const struct vcpu *v)
{
	int size = kvm_cap(v->vm->m.vm_fd, KVM_CAP_XSAVE2);

	return size > 0 ? size : (int)sizeof(struct kvm_xsave);
}

static int xsave_save(const struct vcpu *v, struct snap_w *w)
{
	bool xsave2 = kvm_cap(v->vm->m.vm_fd, KVM_CAP_XSAVE2) > 0;
	int size = xsave_size(v);
	auto_free uint8_t *buf = NULL;
	int r;

	if (size > (int)XSAVE_MAX)
		return -E2BIG;
	buf = calloc(1, XSAVE_MAX);
	if (!buf)
		return -ENOMEM;
	r = kvm_ioctl(v->fd, xsave2 ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, buf);
	if (!r)
		snap_put_bytes(w, buf, (size_t)size);
	return r;
}

static int xsave_load(struct vcpu *v, struct snap_r *r)
{
	auto_free uint8_t *buf = NULL;

	if (r->len > (size_t)MIN(xsave_size(v), (int)XSAVE_MAX) ||
	    r->len < sizeof(struct kvm_xsave))
		return snap_bad(r, "xsave", "%zu bytes", r->len);
	buf = calloc(1, XSAVE_MAX);
	if (!buf)
		return -ENOMEM;
	snap_get_bytes(r, "xsave", buf, r->len);
	return r->error ? r->error : kvm_ioctl(v->fd, KVM_SET_XSAVE, buf);
}

static int xcrs_save(const struct vcpu *v, struct snap_w *w)
{
	struct kvm_xcrs x = { 0 };
	int r = kvm_ioctl(v->fd, KVM_GET_XCRS, &x);
	uint32_t i;

	for (i = 0; i < MIN(x.nr_xcrs, (uint32_t)KVM_MAX_XCRS) && !r; i++) {
		snap_put32(w, x.xcrs[i].xcr);
		snap_put64(w, x.xcrs[i].value);
	}
	return r;
}

static int xcrs_load(struct vcpu *v, struct snap_r *r)
{
	struct kvm_xcrs x = { 0 };

	while (r->off < r->len && x.nr_xcrs < KVM_MAX_XCRS && !r->error) {
		x.xcrs[x.nr_xcrs].xcr = snap_get32(r, "xcr");
		x.xcrs[x.nr_xcrs++].value = snap_get64(r, "xcr");
	}
	return r->error ? r->error : kvm_ioctl(v->fd, KVM_SET_XCRS, &x);
}

static int lapic_save(const struct vcpu *v, struct snap_w *w)
{
	struct kvm_lapic_state s;
	int r = kvm_ioctl(v->fd, KVM_GET_LAPIC, &s);

	static_assert(sizeof(s.regs) == LAPIC_SIZE, "the registers' own layout");
	if (!r)
		snap_put_bytes(w, s.regs, sizeof(s.regs));
	return r;
}

static int lapic_load(struct vcpu *v, struct snap_r *r)
{
	struct kvm_lapic_state s;

	snap_get_bytes(r, "lapic", s.regs, sizeof(s.regs));
	return r->error ? r->error : kvm_ioctl(v->fd, KVM_SET_LAPIC, &s);
}

static int mp_state_save(const struct vcpu *v, struct snap_w *w)
{
	struct kvm_mp_state s = { 0 };
	int r = kvm_ioctl(v->fd, KVM_GET_MP_STATE, &s);

	if (!r)
		snap_put32(w, s.mp_state);
	return r;
}

static int mp_state_load(struct vcpu *v, struct snap_r *r)
{
	struct kvm_mp_state s = { .mp_state = snap_get32(r, "mp_state") };

	return r->error ? r->error : kvm_ioctl(v->fd, KVM_SET_MP_STATE, &s);
}

/* --- MSRs -------------------------------------------------------------------------- */

/*
 * Not from the list: time (machine_state.c has it), the deadline timer (after the
 * APIC), the wall clock, which KVM would write to a page the guest may use for
 * something else by now, and the old names of what there is under new ones.
 */
static bool msr_elsewhere(uint32_t msr)
{
	return msr == MSR_TSC || msr == MSR_TSC_DEADLINE ||
	       msr == MSR_KVM_WALL_CLOCK || msr == MSR_KVM_WALL_CLOCK_NEW ||
	       msr == MSR_KVM_SYSTEM_TIME || msr == CSV_MSR_GHCB;
}

static void msr_put(int fd, uint32_t msr, struct snap_w *w)
{
	uint64_t v;

	/* Those in the list that this guest has not. */
	if (kvm_get_msr(fd, msr, &v) < 0)
		return;
	snap_put32(w, msr);
	snap_put64(w, v);
}

/* KVM has them, but not in its list. */
static void mtrrs_put(int fd, struct snap_w *w)
{
	static const uint32_t fixed[] = { 0x250, 0x258, 0x259, 0x268,
					  0x269, 0x26a, 0x26b, 0x26c,
					  0x26d, 0x26e, 0x26f, MSR_MTRR_DEF_TYPE };
	uint32_t i;

	for (i = MSR_MTRR_PHYS_FIRST; i <= MSR_MTRR_PHYS_LAST; i++)
		msr_put(fd, i, w);
	for (i = 0; i < ARRAY_SIZE(fixed); i++)
		msr_put(fd, fixed[i], w);
}

static int msrs_save(const struct vcpu *v, struct snap_w *w)
{
	auto_free struct kvm_msr_list *list =
		calloc(1, sizeof(*list) + MSR_LIST_MAX * sizeof(uint32_t));
	uint32_t i;
	int r;

	if (!list)
		return -ENOMEM;
	list->nmsrs = MSR_LIST_MAX;
	r = kvm_ioctl(v->vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list);
	for (i = 0; i < list->nmsrs && !r; i++) {
		if (!msr_elsewhere(list->indices[i]))
			msr_put(v->fd, list->indices[i], w);
	}
	mtrrs_put(v->fd, w);
	/* Last: the page it names is mapped then ([csv-abi] 1.5). */
	if (kvm_cap(v->vm->m.vm_fd, CSV_CAP_SEV_ES_GHCB) > 0)
		msr_put(v->fd, CSV_MSR_GHCB, w);
	return r;
}

/* What this KVM has not, or not for writing, is no loss where it is the same. */
static int msrs_load(struct vcpu *v, struct snap_r *r)
{
	while (r->off < r->len) {
		uint32_t msr = snap_get32(r, "msr");
		uint64_t value = snap_get64(r, "msr"), now = 0;

		if (r->error)
			return r->error;
		if (msr_elsewhere(msr) && msr != CSV_MSR_GHCB)
			return snap_bad(r, "msr", "%#x does not belong here",
					msr);
		if (kvm_get_msr(v->fd, msr, &now) >= 0 && now == value)
			continue;
		if (kvm_set_msr(v->fd, msr, value) < 0 && value)
			return snap_bad(r, "msr", "KVM refuses %#llx in %#x",
					(unsigned long long)value, msr);
	}
	return 0;
}

static int deadline_save(const struct vcpu *v, struct snap_w *w)
{
	uint64_t now = 0;

	if (kvm_get_msr(v->fd, MSR_TSC_DEADLINE, &now) < 0)
		return 0;
	snap_put64(w, now);
	return 0;
}

/* Set when the TSC is. */
static int deadline_load(struct vcpu *v, struct snap_r *r)
{
	v->deadline = snap_get64(r, "deadline");
	return r->error;
}

/* --- all of it ---------------------------------------------------------------------- */

static const struct section {
	const char *name;
	int (*save)(const struct vcpu *v, struct snap_w *w);
	int (*load)(struct vcpu *v, struct snap_r *r);
} sections[] = {
	{ "cpuid", cpuid_save, cpuid_load },
	{ "sregs", sregs_save, sregs_load },
	{ "regs", regs_save, regs_load },
	{ "xsave", xsave_save, xsave_load },
	{ "xcrs", xcrs_save, xcrs_load },
	{ "msrs", msrs_save, msrs_load },
	{ "lapic", lapic_save, lapic_load },
	{ "events", events_save, events_load },
	{ "mp_state", mp_state_save, mp_state_load },
	{ "deadline", deadline_save, deadline_load },
	{ "debug registers", debug_save, debug_load },
};

static int section_save(const struct vcpu *v, const struct section *s,
			struct snap_w *w)
{
	size_t at = w->len;
	uint8_t *len;
	int r;

	snap_put32(w, 0);
	if (w->full)
		return -ENOBUFS;
	len = w->buf + at;
	r = s->save(v, w);
	/* KVM may refuse to tell of encrypted registers; they are in the VMSA. */
	if (r == -EINVAL && v->vm->cfg->csv.type == CONFIG_CSV_2) {
		w->len = at + 4;
		r = 0;
	}
	if (!r)
		put_le32(len, (uint32_t)(w->len - at - 4));
	return r;
}

int vcpu_state_save(const struct vcpu *v, struct snap_w *w)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(sections) && !r; i++)
		r = section_save(v, &sections[i], w);
	return r;
}

static int section_load(struct vcpu *v, const struct section *s,
			struct snap_r *all)
{
	uint32_t len = snap_get32(all, s->name);
	struct snap_r r = { .buf = all->buf + all->off,
			    .len = len,
			    .err = all->err };
	int e;

	if (all->error)
		return all->error;
	if (len > all->len - all->off)
		return snap_bad(all, s->name, "%u bytes are beyond the end", len);
	all->off += len;
	if (!len)
		return 0;
	memcpy(r.who, all->who, sizeof(r.who));
	e = s->load(v, &r);
	if (r.error)
		return r.error;
	/* Nor does KVM let them be set all; they are in the VMSA. */
	if (e == -EINVAL && v->kept && v->vm->cfg->csv.type == CONFIG_CSV_2)
		return 0;
	if (e < 0)
		return snap_bad(&r, s->name, "KVM refuses it: %s", strerror(-e));
	return r.off == r.len ? 0
			      : snap_bad(&r, s->name, "%zu bytes too many",
					 r.len - r.off);
}

int vcpu_state_load(struct vcpu *v, struct snap_r *r)
{
	size_t i;
	int e = 0;

	for (i = 0; i < ARRAY_SIZE(sections) && !e; i++)
		e = section_load(v, &sections[i], r);
	return e;
}

/* --- a reset ------------------------------------------------------------------------- */

/* XSAVE is the largest part of it. */
#define KEPT_MAX (XSAVE_MAX + 16384u)

int vcpu_state_keep(struct vcpu *v)
{
	auto_free uint8_t *buf = malloc(KEPT_MAX);
	struct snap_w w = { .buf = buf, .cap = KEPT_MAX };
	size_t i;
	int r = buf ? 0 : -ENOMEM;

	for (i = 0; i < ARRAY_SIZE(sections) && !r; i++) {
		if (sections[i].load != cpuid_load)
			r = section_save(v, &sections[i], &w);
	}
	if (!r && w.full)
		r = -ENOBUFS;
	if (r < 0)
		return r;
	v->kept = malloc(w.len);
	v->kept_len = v->kept ? w.len : 0;
	if (!v->kept)
		return -ENOMEM;
	memcpy(v->kept, buf, w.len);
	return 0;
}

/* KVM has INIT and SIPI pending until somebody looks at the vCPU, also those that
 * were for its former life. */
static int drop_pending(const struct vcpu *v)
{
	struct kvm_mp_state s;

	return kvm_ioctl(v->fd, KVM_GET_MP_STATE, &s);
}

int vcpu_state_again(struct vcpu *v, struct snap_error *err)
{
	struct snap_r r = { .buf = v->kept, .len = v->kept_len, .err = err };
	size_t i;
	int e = drop_pending(v);

	(void)snprintf(r.who, sizeof(r.who), "vcpu %u", v->id);
	if (e < 0)
		(void)snap_bad(&r, "mp_state", "%s", strerror(-e));
	for (i = 0; i < ARRAY_SIZE(sections) && !e; i++) {
		if (sections[i].load != cpuid_load)
			e = section_load(v, &sections[i], &r);
	}
	return e;
}
