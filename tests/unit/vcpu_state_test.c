/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's state on this machine's KVM: what was put into one vCPU by KVM's own
 * ioctls is in another one, of another VM, after save and load, as KVM's ioctls
 * tell. And records that somebody has spoilt.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/gmem.h"
#include "core/kvm.h"
#include "core/util.h"
#include "vmm/config.h"
#include "vmm/vcpu_state.h"
#include "vmm/vm.h"

#define RAM	   MIB(1)
#define RECORD_MAX 262144u
#define XSAVE_SIZE 16384u
#define SECTIONS   11u

/* Their places in a record, docs/WIRE.md. */
enum {
	CPUID,
	SREGS,
	REGS,
	XSAVE,
	XCRS,
	MSRS,
	LAPIC,
	EVENTS,
	MP,
	DEADLINE,
	DEBUG
};

struct side {
	struct gmem gm;
	struct vm vm;
	struct vcpu v;
};

static struct side a, b;
static struct config cfg;
static int kvm_fd = -1;
static uint8_t record[RECORD_MAX];
static size_t record_len;

static void side_new(struct side *s)
{
	assert_int_equal(gmem_init(&s->gm, RAM, false), 0);
	s->vm.cfg = &cfg;
	s->vm.kvm_fd = kvm_fd;
	s->vm.m.vm_fd = kvm_create_vm(kvm_fd, &s->gm);
	assert_true(s->vm.m.vm_fd >= 0);
	s->v = (struct vcpu){ .vm = &s->vm };
	s->v.fd = kvm_create_vcpu(kvm_fd, s->vm.m.vm_fd, 0, &s->v.run);
	assert_true(s->v.fd >= 0);
}

static void side_free(struct side *s)
{
	(void)munmap(s->v.run, (size_t)kvm_run_size(kvm_fd));
	(void)close(s->v.fd);
	(void)close(s->vm.m.vm_fd);
	gmem_fini(&s->gm);
	*s = (struct side){ 0 };
}

static void get(const struct side *s, unsigned long req, void *to)
{
	assert_int_equal(kvm_ioctl(s->v.fd, req, to), 0);
}

static void set(const struct side *s, unsigned long req, void *from)
{
	assert_int_equal(kvm_ioctl(s->v.fd, req, from), 0);
}

/* --- values that no vCPU has by itself -------------------------------------------- */

static const struct {
	uint32_t msr;
	uint64_t value;
} msrs[] = {
	{ 0x174, 0x10 },
	{ 0x175, 0x8001750 },
	{ 0x176, 0x8001760 },
	{ 0x277, 0x0107040600070406 },
	{ 0xc0000081, 0x0023001000000000 },
	{ 0xc0000082, 0xffffffff81000082 },
	{ 0xc0000083, 0xffffffff81000083 },
	{ 0xc0000084, 0x47700 },
	{ 0xc0000102, 0xffff888000000102 },
	{ 0x4b564d01, 0x5001 },
	{ 0x3b, 0x123456789 },
	/* Not in KVM's list. */
	{ 0x200, 0x00000006 },
	{ 0x201, 0x00000ffff0000800 },
	{ 0x20e, 0x80000001 },
	{ 0x20f, 0x00000fff80000800 },
	{ 0x250, 0x0606060606060606 },
	{ 0x258, 0x0506050605060506 },
	{ 0x268, 0x0505050505050505 },
	{ 0x26f, 0x0505050505050504 },
	{ 0x2ff, 0xc06 },
};

static void put_cpuid(void)
{
	struct kvm_cpuid2 *c = kvm_supported_cpuid(kvm_fd);
	uint32_t i;

	assert_non_null(c);
	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == 1)
			c->entries[i].ecx |= 1u << 24; /* deadline timer */
	set(&a, KVM_SET_CPUID2, c);
	free(c);
}

static void put_sregs(void)
{
	struct kvm_sregs2 s = { 0 };
	struct kvm_segment *seg[] = { &s.ds, &s.es, &s.fs, &s.gs, &s.ss };
	unsigned i;

	get(&a, KVM_GET_SREGS2, &s);
	for (i = 0; i < ARRAY_SIZE(seg); i++) {
		seg[i]->base = 0x1000 * (i + 1);
		seg[i]->selector = (uint16_t)(0x100 * (i + 1));
		seg[i]->limit = 0xf000 + i;
	}
	s.cs.base = 0x20000;
	s.cs.selector = 0x2000;
	s.ldt.base = 0x7000;
	s.ldt.selector = 0x38;
	s.ldt.limit = 0x77;
	s.ldt.type = 2;
	s.tr.base = 0x8000;
	s.tr.selector = 0x40;
	s.tr.limit = 0x88;
	s.gdt.base = 0x9000;
	s.gdt.limit = 0x99;
	s.idt.base = 0xa000;
	s.idt.limit = 0xaa;
	s.cr2 = 0x2222000;
	s.cr3 = 0x3000;
	s.cr4 |= 0x600; /* OSFXSR, OSXMMEXCPT */
	s.cr8 = 5;
	s.efer |= 1;		  /* SCE */
	s.apic_base &= ~0x800ull; /* off until KVM_SET_LAPIC could be refused */
	s.apic_base |= 0x800;
	set(&a, KVM_SET_SREGS2, &s);
}

static void put_regs(void)
{
	struct kvm_regs r = { 0 };
	uint64_t *word = (uint64_t *)&r;
	size_t i;

	for (i = 0; i < sizeof(r) / 8; i++)
		word[i] = 0x0123456700000000 + 0x1111 * i;
	r.rip = 0x1234;
	r.rflags = 0x246;
	set(&a, KVM_SET_REGS, &r);
}

/* x87, SSE, and what else this processor saves: each byte of it its own. */
static void put_xsave(void)
{
	static uint8_t x[XSAVE_SIZE];
	struct kvm_xcrs xcrs = { .nr_xcrs = 1 };
	struct kvm_cpuid2 *c = kvm_supported_cpuid(kvm_fd);
	uint64_t have = 1;
	unsigned i;

	assert_non_null(c);
	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == 0xd && !c->entries[i].index)
			have = c->entries[i].eax;
	free(c);
	have &= 7; /* x87, SSE, AVX */
	if (have & 2) {
		xcrs.xcrs[0].value = have;
		set(&a, KVM_SET_XCRS, &xcrs);
	}
	get(&a, KVM_GET_XSAVE, x);
	x[0] = 0x7f;
	x[1] = 0x02;
	x[4] = 0xff;
	x[24] = 0xc0;
	x[25] = 0x1f;
	for (i = 32; i < 416; i++)
		x[i] = i < 160 && i % 16 >= 10 ? 0 : (uint8_t)(i * 5 + 3);
	for (i = 576; i < 832 && have & 4; i++)
		x[i] = (uint8_t)(i * 7 + 1);
	x[512] = (uint8_t)(have | 3);
	set(&a, KVM_SET_XSAVE, x);
}

static void put_msrs(void)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		assert_int_equal(kvm_set_msr(a.v.fd, msrs[i].msr, msrs[i].value),
				 0);
}

static void put_lapic(void)
{
	static const struct {
		unsigned reg;
		uint32_t value;
	} reg[] = {
		{ 0x80, 0x50 },	      { 0xd0, 0x04000000 }, { 0xf0, 0x1ff },
		{ 0x110, 0x20000 },   { 0x200, 0x80 },	    { 0x320, 0x300ef },
		{ 0x350, 0x10700 },   { 0x360, 0x400 },	    { 0x370, 0x100fe },
		{ 0x380, 0x7000000 }, { 0x3e0, 0xb },
	};
	struct kvm_lapic_state s;
	unsigned i;

	get(&a, KVM_GET_LAPIC, &s);
	for (i = 0; i < ARRAY_SIZE(reg); i++)
		memcpy(s.regs + reg[i].reg, &reg[i].value, 4);
	set(&a, KVM_SET_LAPIC, &s);
}

static void put_events(void)
{
	struct kvm_vcpu_events e = { 0 };

	e.flags = KVM_VCPUEVENT_VALID_NMI_PENDING |
		  KVM_VCPUEVENT_VALID_SIPI_VECTOR | KVM_VCPUEVENT_VALID_SHADOW;
	e.exception.injected = 1;
	e.exception.nr = 14;
	e.exception.has_error_code = 1;
	e.exception.error_code = 6;
	e.interrupt.shadow = 1;
	e.nmi.masked = 1;
	e.nmi.pending = 1;
	e.sipi_vector = 0x9a;
	set(&a, KVM_SET_VCPU_EVENTS, &e);
}

static void put_rest(void)
{
	struct kvm_debugregs d = { .db = { 0x1000, 0x2000, 0x3000, 0x4000 },
				   .dr6 = 0xffff0ff5,
				   .dr7 = 0xd0400 };
	struct kvm_mp_state s = { KVM_MP_STATE_HALTED };

	set(&a, KVM_SET_DEBUGREGS, &d);
	set(&a, KVM_SET_MP_STATE, &s);
}

static void save(void)
{
	struct snap_w w = { .buf = record, .cap = sizeof(record) };

	assert_int_equal(vcpu_state_save(&a.v, &w), 0);
	assert_false(w.full);
	record_len = w.len;
}

static int setup(void **state)
{
	(void)state;
	kvm_fd = kvm_open();
	if (kvm_fd < 0)
		return 0;
	cfg = (struct config){ 0 };
	side_new(&a);
	side_new(&b);
	put_cpuid();
	put_sregs();
	put_regs();
	put_xsave();
	put_msrs();
	put_lapic();
	put_events();
	put_rest();
	save();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (kvm_fd < 0)
		return 0;
	side_free(&a);
	side_free(&b);
	util_close(&kvm_fd);
	return 0;
}

static void need_kvm(void)
{
	if (kvm_fd < 0)
		skip();
}

/* --- and in the other one ------------------------------------------------------------ */

static struct snap_error err;

static int load(const void *buf, size_t len)
{
	struct snap_r r = { .buf = buf, .len = len, .who = "vcpu 0", .err = &err };
	int e;

	err.text[0] = 0;
	e = vcpu_state_load(&b.v, &r);
	/* migration/target.c */
	return e || r.off == len ? e : snap_bad(&r, "length", "too many");
}

#define SAME(type, req)                                          \
	do {                                                     \
		type of_a, of_b;                                 \
		memset(&of_a, 0, sizeof(of_a));                  \
		memset(&of_b, 0, sizeof(of_b));                  \
		get(&a, req, &of_a);                             \
		get(&b, req, &of_b);                             \
		assert_memory_equal(&of_a, &of_b, sizeof(of_a)); \
	} while (0)

static void same_msrs(void)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + 4096);
	uint64_t x, y;
	unsigned i;

	assert_non_null(list);
	list->nmsrs = 1024;
	assert_int_equal(kvm_ioctl(kvm_fd, KVM_GET_MSR_INDEX_LIST, list), 0);
	for (i = 0; i < list->nmsrs; i++) {
		uint32_t n = list->indices[i];

		/* Time, also in Hyper-V's way, and the clock pages' old names. */
		if (n == 0x10 || n == 0x6e0 || n == 0x11 || n == 0x4b564d00 ||
		    n == 0x40000010 || n == 0x40000020 ||
		    kvm_get_msr(a.v.fd, n, &x) < 0)
			continue;
		assert_int_equal(kvm_get_msr(b.v.fd, n, &y), 0);
		if (x != y)
			print_message("# MSR %#x\n", n);
		assert_true(x == y);
	}
	free(list);
	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		assert_int_equal(kvm_get_msr(b.v.fd, msrs[i].msr, &y), 0);
		if (msrs[i].value != y)
			print_message("# MSR %#x\n", msrs[i].msr);
		assert_true(msrs[i].value == y);
	}
}

static void same_cpuid(void)
{
	struct kvm_cpuid2 *x = vcpu_cpuid(&a.v), *y = vcpu_cpuid(&b.v);

	assert_non_null(x);
	assert_non_null(y);
	assert_int_equal(x->nent, y->nent);
	assert_memory_equal(x->entries, y->entries,
			    x->nent * sizeof(x->entries[0]));
	free(x);
	free(y);
}

/* The timer's count runs down. */
static void same_lapic(void)
{
	struct kvm_lapic_state x, y;

	get(&a, KVM_GET_LAPIC, &x);
	get(&b, KVM_GET_LAPIC, &y);
	memset(x.regs + 0x390, 0, 4);
	memset(y.regs + 0x390, 0, 4);
	assert_memory_equal(x.regs, y.regs, sizeof(x.regs));
}

static void test_same(void **state)
{
	static uint8_t x[XSAVE_SIZE], y[XSAVE_SIZE];
	int size;

	(void)state;
	need_kvm();
	if (load(record, record_len) < 0)
		fail_msg("%s", err.text);
	same_cpuid();
	SAME(struct kvm_sregs2, KVM_GET_SREGS2);
	SAME(struct kvm_regs, KVM_GET_REGS);
	SAME(struct kvm_xcrs, KVM_GET_XCRS);
	SAME(struct kvm_vcpu_events, KVM_GET_VCPU_EVENTS);
	SAME(struct kvm_mp_state, KVM_GET_MP_STATE);
	SAME(struct kvm_debugregs, KVM_GET_DEBUGREGS);
	size = kvm_cap(a.vm.m.vm_fd, KVM_CAP_XSAVE2);
	assert_true(size >= 0 && size <= (int)sizeof(x));
	get(&a, size ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, x);
	get(&b, size ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, y);
	assert_memory_equal(x, y, sizeof(x));
	same_msrs();
	same_lapic();
}

/* Nothing of what was put there is what a vCPU has by itself, or equal means little. */
static void test_not_before(void **state)
{
	struct kvm_sregs2 s;
	struct kvm_regs r;
	struct kvm_vcpu_events e;
	struct kvm_mp_state m;
	struct kvm_debugregs d;
	uint64_t v;
	unsigned i;

	(void)state;
	need_kvm();
	put_rest();
	get(&b, KVM_GET_SREGS2, &s);
	get(&b, KVM_GET_REGS, &r);
	get(&b, KVM_GET_VCPU_EVENTS, &e);
	get(&b, KVM_GET_MP_STATE, &m);
	get(&b, KVM_GET_DEBUGREGS, &d);
	assert_true(s.cr2 != 0x2222000 && s.fs.base != 0x3000 && s.cr8 != 5);
	assert_true(r.rip != 0x1234 && !e.nmi.masked && d.db[3] != 0x4000);
	assert_true(m.mp_state != KVM_MP_STATE_HALTED);
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		assert_true(kvm_get_msr(b.v.fd, msrs[i].msr, &v) < 0 ||
			    v != msrs[i].value);
}

/* A reset in place: as it was when it was kept, whatever came then. */
static void test_again(void **state)
{
	struct kvm_debugregs d = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	struct kvm_regs r = { .rip = 7, .rflags = 2 };
	struct snap_error why = { "" };
	unsigned i;

	(void)state;
	need_kvm();
	assert_int_equal(vcpu_state_keep(&a.v), 0);
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		assert_int_equal(kvm_set_msr(a.v.fd, msrs[i].msr, 0), 0);
	set(&a, KVM_SET_DEBUGREGS, &d);
	set(&a, KVM_SET_REGS, &r);
	if (vcpu_state_again(&a.v, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(load(record, record_len), 0);
	SAME(struct kvm_regs, KVM_GET_REGS);
	SAME(struct kvm_debugregs, KVM_GET_DEBUGREGS);
	same_msrs();
	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		uint64_t v;

		assert_int_equal(kvm_get_msr(a.v.fd, msrs[i].msr, &v), 0);
		assert_true(v == msrs[i].value);
	}
	free(a.v.kept);
}

/* The deadline waits for the TSC. */
static void test_deadline(void **state)
{
	uint32_t lvt = 0x500ef; /* by deadline, masked */
	struct kvm_lapic_state s;

	(void)state;
	need_kvm();
	get(&a, KVM_GET_LAPIC, &s);
	memcpy(s.regs + 0x320, &lvt, 4);
	set(&a, KVM_SET_LAPIC, &s);
	assert_int_equal(kvm_set_msr(a.v.fd, 0x6e0, 1ull << 62), 0);
	save();
	assert_int_equal(load(record, record_len), 0);
	assert_true(b.v.deadline == 1ull << 62);
}

/* --- interrupt controllers --------------------------------------------------------------- */

static void chip(const struct side *s, unsigned long req, struct kvm_irqchip *c,
		 unsigned id)
{
	if (req == KVM_GET_IRQCHIP)
		*c = (struct kvm_irqchip){ .chip_id = id };
	assert_int_equal(kvm_ioctl(s->vm.m.vm_fd, req, c), 0);
}

static void put_chips(void)
{
	struct kvm_irqchip c;
	unsigned id, i;

	for (id = 0; id < 2; id++) {
		chip(&a, KVM_GET_IRQCHIP, &c, id);
		c.chip.pic.imr = (uint8_t)(0xb4 + id);
		c.chip.pic.irq_base = (uint8_t)(0x30 + 8 * id);
		c.chip.pic.elcr = (uint8_t)(0x20 >> id);
		c.chip.pic.irr = c.chip.pic.last_irr = 0x10;
		c.chip.pic.special_mask = c.chip.pic.init4 = 1;
		chip(&a, KVM_SET_IRQCHIP, &c, id);
	}
	chip(&a, KVM_GET_IRQCHIP, &c, KVM_IRQCHIP_IOAPIC);
	c.chip.ioapic.ioregsel = 0x12;
	c.chip.ioapic.id = 3;
	for (i = 0; i < KVM_IOAPIC_NUM_PINS; i++) /* masked */
		c.chip.ioapic.redirtbl[i].bits =
			0x0100000000010030 + i + ((uint64_t)i << 57);
	chip(&a, KVM_SET_IRQCHIP, &c, KVM_IRQCHIP_IOAPIC);
}

static void test_irqchips(void **state)
{
	static uint8_t buf[4096];
	struct snap_w w = { .buf = buf, .cap = sizeof(buf) };
	struct kvm_irqchip x, y;
	struct snap_r r;
	unsigned id;
	size_t len;

	(void)state;
	need_kvm();
	put_chips();
	assert_int_equal(machine_irqchip_save(a.vm.m.vm_fd, &w), 0);
	for (len = 0; len < w.len; len++) {
		r = (struct snap_r){
			.buf = buf, .len = len, .who = "machine", .err = &err
		};
		(void)machine_irqchip_load(b.vm.m.vm_fd, &r);
		assert_int_equal(r.error, -EPROTO);
	}
	r = (struct snap_r){ .buf = buf, .len = w.len, .err = &err };
	assert_int_equal(machine_irqchip_load(b.vm.m.vm_fd, &r), 0);
	assert_int_equal(r.off, w.len);
	for (id = 0; id < 3; id++) {
		chip(&a, KVM_GET_IRQCHIP, &x, id);
		chip(&b, KVM_GET_IRQCHIP, &y, id);
		assert_memory_equal(&x.chip, &y.chip,
				    id == KVM_IRQCHIP_IOAPIC
					    ? sizeof(x.chip.ioapic)
					    : sizeof(x.chip.pic));
	}
}

/* --- spoilt records ------------------------------------------------------------------- */

/* Where section @n begins: its length. */
static size_t section(unsigned n)
{
	size_t at = 0;
	uint32_t len;

	while (n--) {
		memcpy(&len, record + at, 4);
		at += 4 + len;
	}
	return at;
}

static void refused(const void *buf, size_t len)
{
	assert_int_equal(load(buf, len), -EPROTO);
	assert_true(!strncmp(err.text, "vcpu 0", 6));
	assert_null(strchr(err.text, '\n'));
}

static void test_short(void **state)
{
	size_t len;
	unsigned i;

	(void)state;
	need_kvm();
	for (len = 0; len < record_len; len += 1 + len / 8)
		refused(record, len);
	for (i = 1; i < SECTIONS; i++) {
		refused(record, section(i) - 1);
		refused(record, section(i));
		refused(record, section(i) + 3);
	}
	refused(record, record_len - 1);
}

static void test_long(void **state)
{
	(void)state;
	need_kvm();
	record[record_len] = 0;
	refused(record, record_len + 1);
}

/* Each section by a byte too long and too short, the others whole. */
static void test_sections(void **state)
{
	static uint8_t buf[RECORD_MAX];
	uint32_t len, other;
	unsigned i;
	size_t at;

	(void)state;
	need_kvm();
	for (i = 0; i < SECTIONS; i++) {
		at = section(i);
		memcpy(&len, record + at, 4);
		if (!len)
			continue;
		other = len - 1;
		memcpy(buf, record, at);
		memcpy(buf + at, &other, 4);
		memcpy(buf + at + 4, record + at + 4, len - 1);
		memcpy(buf + at + 3 + len, record + at + 4 + len,
		       record_len - at - 4 - len);
		refused(buf, record_len - 1);
		other = len + 1;
		memcpy(buf + at, &other, 4);
		memcpy(buf + at + 4, record + at + 4, len);
		buf[at + 4 + len] = 0;
		memcpy(buf + at + 5 + len, record + at + 4 + len,
		       record_len - at - 4 - len);
		refused(buf, record_len + 1);
		other = 0xffffffff;
		memcpy(buf + at, &other, 4);
		refused(buf, record_len);
	}
}

static void spoil(unsigned n, size_t off, uint64_t value, size_t size)
{
	static uint8_t buf[RECORD_MAX];

	memcpy(buf, record, record_len);
	memcpy(buf + section(n) + 4 + off, &value, size);
	refused(buf, record_len);
}

/* What KVM itself must refuse, or what we do. */
static void test_values(void **state)
{
	(void)state;
	need_kvm();
	spoil(CPUID, 0, 0, 4);
	spoil(CPUID, 0, 257, 4);
	spoil(CPUID, 0, UINT32_MAX, 4);
	spoil(SREGS, 8 * 23 + 20 + 24, 1ull << 63, 8); /* CR4 */
	spoil(SREGS, 8 * 23 + 20 + 56, 2, 8);	       /* flags */
	spoil(XSAVE, 24, 0xffffffff, 4);	       /* MXCSR */
	spoil(XSAVE, 512, ~0ull, 8);
	spoil(XCRS, 4, 0, 8);	 /* XCR0 without x87 */
	spoil(MSRS, 0, 0x10, 4); /* the TSC has its place elsewhere */
	spoil(MSRS, 0, 0x6e0, 4);
	spoil(EVENTS, 0, UINT32_MAX, 4);
	spoil(MP, 0, 99, 4);
	spoil(DEBUG, 8 * 4, UINT64_MAX, 8);
	spoil(DEBUG, 8 * 5, UINT64_MAX, 8);
}

/* Any other bit: taken or refused in a line, and the next good one is taken. */
static void test_bits(void **state)
{
	static uint8_t buf[RECORD_MAX];
	size_t i;
	int e;

	(void)state;
	need_kvm();
	for (i = 0; i < record_len; i += 13) {
		memcpy(buf, record, record_len);
		buf[i] ^= (uint8_t)(1u << i % 8);
		e = load(buf, record_len);
		assert_true(!e || e == -EPROTO);
		assert_true(!e == !err.text[0]);
	}
	assert_int_equal(load(record, record_len), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_not_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irqchips, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
