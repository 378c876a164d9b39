/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers that KVM has structures for, field by field. */
#include <errno.h>
#include <linux/kvm.h>

#include "core/kvm.h"
#include "core/util.h"
#include "vmm/vcpu_state.h"

/* Pointers to the fields of kvm_regs in their order on the wire. */
#define REGS 18

static void regs_list(struct kvm_regs *x, __u64 *list[REGS])
{
	__u64 *all[REGS] = { &x->rax, &x->rbx, &x->rcx,	  &x->rdx, &x->rsi,
			     &x->rdi, &x->rsp, &x->rbp,	  &x->r8,  &x->r9,
			     &x->r10, &x->r11, &x->r12,	  &x->r13, &x->r14,
			     &x->r15, &x->rip, &x->rflags };
	unsigned i;

	for (i = 0; i < REGS; i++)
		list[i] = all[i];
}

int vcpu_regs_save(int fd, struct snap_w *w)
{
	struct kvm_regs regs = { 0 };
	__u64 *list[REGS];
	unsigned i;
	int r = kvm_ioctl(fd, KVM_GET_REGS, &regs);

	regs_list(&regs, list);
	for (i = 0; i < REGS && !r; i++)
		snap_put64(w, *list[i]);
	return r;
}

int vcpu_regs_load(int fd, struct snap_r *r)
{
	struct kvm_regs regs = { 0 };
	__u64 *list[REGS];
	unsigned i;

	regs_list(&regs, list);
	for (i = 0; i < REGS; i++)
		*list[i] = snap_get64(r, "regs");
	return r->error ? r->error : kvm_ioctl(fd, KVM_SET_REGS, &regs);
}

/* --- segments and control registers --- */

#define SEGMENTS 8

static void segments_list(struct kvm_sregs2 *s,
			  struct kvm_segment *list[SEGMENTS])
{
	struct kvm_segment *all[SEGMENTS] = { &s->cs, &s->ds, &s->es, &s->fs,
					      &s->gs, &s->ss, &s->tr, &s->ldt };
	unsigned i;

	for (i = 0; i < SEGMENTS; i++)
		list[i] = all[i];
}

static void segment_put(const struct kvm_segment *s, struct snap_w *w)
{
	snap_put64(w, s->base);
	snap_put32(w, s->limit);
	snap_put16(w, s->selector);
	snap_put8(w, s->type);
	snap_put8(w, s->present);
	snap_put8(w, s->dpl);
	snap_put8(w, s->db);
	snap_put8(w, s->s);
	snap_put8(w, s->l);
	snap_put8(w, s->g);
	snap_put8(w, s->avl);
	snap_put8(w, s->unusable);
}

static void segment_get(struct kvm_segment *s, struct snap_r *r)
{
	s->base = snap_get64(r, "segment base");
	s->limit = snap_get32(r, "segment limit");
	s->selector = snap_get16(r, "selector");
	s->type = snap_get8(r, "segment");
	s->present = snap_get8(r, "segment");
	s->dpl = snap_get8(r, "segment");
	s->db = snap_get8(r, "segment");
	s->s = snap_get8(r, "segment");
	s->l = snap_get8(r, "segment");
	s->g = snap_get8(r, "segment");
	s->avl = snap_get8(r, "segment");
	s->unusable = snap_get8(r, "segment");
}

int vcpu_sregs_save(int fd, struct snap_w *w)
{
	struct kvm_sregs2 s = { 0 };
	struct kvm_segment *seg[SEGMENTS];
	unsigned i;
	int r = kvm_ioctl(fd, KVM_GET_SREGS2, &s);

	if (r < 0)
		return r;
	segments_list(&s, seg);
	for (i = 0; i < SEGMENTS; i++)
		segment_put(seg[i], w);
	snap_put64(w, s.gdt.base);
	snap_put16(w, s.gdt.limit);
	snap_put64(w, s.idt.base);
	snap_put16(w, s.idt.limit);
	snap_put64(w, s.cr0);
	snap_put64(w, s.cr2);
	snap_put64(w, s.cr3);
	snap_put64(w, s.cr4);
	snap_put64(w, s.cr8);
	snap_put64(w, s.efer);
	snap_put64(w, s.apic_base);
	snap_put64(w, s.flags);
	for (i = 0; i < ARRAY_SIZE(s.pdptrs); i++)
		snap_put64(w, s.pdptrs[i]);
	return 0;
}

int vcpu_sregs_load(int fd, struct snap_r *r)
{
	struct kvm_sregs2 s = { 0 };
	struct kvm_segment *seg[SEGMENTS];
	unsigned i;

	segments_list(&s, seg);
	for (i = 0; i < SEGMENTS; i++)
		segment_get(seg[i], r);
	s.gdt.base = snap_get64(r, "gdt");
	s.gdt.limit = snap_get16(r, "gdt");
	s.idt.base = snap_get64(r, "idt");
	s.idt.limit = snap_get16(r, "idt");
	s.cr0 = snap_get64(r, "cr0");
	s.cr2 = snap_get64(r, "cr2");
	s.cr3 = snap_get64(r, "cr3");
	s.cr4 = snap_get64(r, "cr4");
	s.cr8 = snap_get64(r, "cr8");
	s.efer = snap_get64(r, "efer");
	s.apic_base = snap_get64(r, "apic_base");
	s.flags = snap_get64(r, "sregs flags");
	for (i = 0; i < ARRAY_SIZE(s.pdptrs); i++)
		s.pdptrs[i] = snap_get64(r, "pdptr");
	return r->error ? r->error : kvm_ioctl(fd, KVM_SET_SREGS2, &s);
}

/* --- what is pending --- */

int vcpu_events_save(int fd, struct snap_w *w)
{
	struct kvm_vcpu_events e = { 0 };
	int r = kvm_ioctl(fd, KVM_GET_VCPU_EVENTS, &e);

	if (r < 0)
		return r;
	snap_put32(w, e.flags);
	snap_put8(w, e.exception.injected);
	snap_put8(w, e.exception.nr);
	snap_put8(w, e.exception.has_error_code);
	snap_put8(w, e.exception.pending);
	snap_put32(w, e.exception.error_code);
	snap_put8(w, e.exception_has_payload);
	snap_put64(w, e.exception_payload);
	snap_put8(w, e.interrupt.injected);
	snap_put8(w, e.interrupt.nr);
	snap_put8(w, e.interrupt.soft);
	snap_put8(w, e.interrupt.shadow);
	snap_put8(w, e.nmi.injected);
	snap_put8(w, e.nmi.pending);
	snap_put8(w, e.nmi.masked);
	snap_put32(w, e.sipi_vector);
	snap_put8(w, e.triple_fault.pending);
	return 0;
}

int vcpu_events_load(int fd, struct snap_r *r)
{
	struct kvm_vcpu_events e = { 0 };

	/* No system management mode here: its fields stay what they are. */
	e.flags = snap_get32(r, "event flags") &
		  ~(uint32_t)KVM_VCPUEVENT_VALID_SMM;
	e.exception.injected = snap_get8(r, "exception");
	e.exception.nr = snap_get8(r, "exception");
	e.exception.has_error_code = snap_get8(r, "exception");
	e.exception.pending = snap_get8(r, "exception");
	e.exception.error_code = snap_get32(r, "exception");
	e.exception_has_payload = snap_get8(r, "exception");
	e.exception_payload = snap_get64(r, "exception");
	e.interrupt.injected = snap_get8(r, "interrupt");
	e.interrupt.nr = snap_get8(r, "interrupt");
	e.interrupt.soft = snap_get8(r, "interrupt");
	e.interrupt.shadow = snap_get8(r, "interrupt");
	e.nmi.injected = snap_get8(r, "nmi");
	e.nmi.pending = snap_get8(r, "nmi");
	e.nmi.masked = snap_get8(r, "nmi");
	e.sipi_vector = snap_get32(r, "sipi");
	e.triple_fault.pending = snap_get8(r, "triple fault");
	return r->error ? r->error : kvm_ioctl(fd, KVM_SET_VCPU_EVENTS, &e);
}

/* --- debug registers --- */

int vcpu_debug_save(int fd, struct snap_w *w)
{
	struct kvm_debugregs d = { 0 };
	int r = kvm_ioctl(fd, KVM_GET_DEBUGREGS, &d);
	unsigned i;

	if (r < 0)
		return r;
	for (i = 0; i < ARRAY_SIZE(d.db); i++)
		snap_put64(w, d.db[i]);
	snap_put64(w, d.dr6);
	snap_put64(w, d.dr7);
	return 0;
}

int vcpu_debug_load(int fd, struct snap_r *r)
{
	struct kvm_debugregs d = { 0 };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(d.db); i++)
		d.db[i] = snap_get64(r, "debug registers");
	d.dr6 = snap_get64(r, "dr6");
	d.dr7 = snap_get64(r, "dr7");
	return r->error ? r->error : kvm_ioctl(fd, KVM_SET_DEBUGREGS, &d);
}
