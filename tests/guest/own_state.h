/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_GUEST_OWN_STATE_H
#define CSVVMM_GUEST_OWN_STATE_H

/*
 * What a vCPU has for itself: each sets values of its own, which differ between
 * vCPUs and from those after a reset, and looks at one of them at a time, for as
 * long as it lives. Nobody else may change them, least of all a move to another
 * host.
 */
#include "guest.h"

#define CLOCK_MSR  0x4b564d01u
#define CLOCK_PAGE 0x3f0000ul /* of the first vCPU; then the others' */

struct own_state {
	const char *volatile wrong; /* NULL: nothing yet */
	volatile uint64_t which, is, want;
	uint64_t turn, tsc, first_tsc, ns, first_ns;
	bool clock, aux, deadline;
	uint8_t fx[512] __attribute__((aligned(16)));
	uint8_t fx_now[512] __attribute__((aligned(16)));
};

static inline void cpuid(uint32_t leaf, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(0));
}

static inline void own_wrong(struct own_state *o, const char *what,
			     uint64_t which, uint64_t is, uint64_t want)
{
	if (o->wrong)
		return;
	o->which = which;
	o->is = is;
	o->want = want;
	o->wrong = what;
}

/* --- MSRs ------------------------------------------------------------------ */

#define MSR_TSC_AUX  0xc0000103u
#define MSR_PAT	     0x277u
#define MSR_SFMASK   0xc0000084u
#define MSR_DEADLINE 0x6e0u

/* STAR, LSTAR, CSTAR, SFMASK, the bases of FS, GS and the kernel's GS, SYSENTER_*,
 * PAT, variable, fixed and default MTRRs, kvm-clock, TSC_AUX. */
static const uint32_t own_msrs[] = {
	0xc0000081, 0xc0000082, 0xc0000083,  MSR_SFMASK, 0xc0000100, 0xc0000101,
	0xc0000102, 0x174,	0x175,	     0x176,	 MSR_PAT,    0x202,
	0x250,	    CLOCK_MSR,	MSR_TSC_AUX, 0x2ff
};
#define OWN_MSRS (sizeof(own_msrs) / sizeof(own_msrs[0]))

static inline uint64_t own_msr(unsigned cpu, unsigned i)
{
	switch (own_msrs[i]) {
	case MSR_PAT: /* its last entry, which nobody uses */
		return 0x0007040600070406 | (cpu & 1 ? 0x05ull : 0x01ull) << 56;
	case 0x202:
		return 0x80000000 + 0x100000ull * cpu + 6;
	case 0x250:
		return 0x0606060606060600 + (cpu & 1 ? 4 : 5);
	case 0x174: /* a segment */
		return 0x100u * (cpu + 1);
	case 0x2ff:
		return 0xc06; /* on, write-back */
	case CLOCK_MSR:
		return (CLOCK_PAGE + 0x1000ull * cpu) | 1;
	default:
		return 0x10000u * (i + 1) + 0x100u * (cpu + 1);
	}
}

static inline bool own_msr_there(const struct own_state *o, unsigned i)
{
	return own_msrs[i] == CLOCK_MSR	    ? o->clock
	       : own_msrs[i] == MSR_TSC_AUX ? o->aux
					    : true;
}

/* --- debug and control registers ----------------------------------------------- */

#define OWN_REGS 8

#define GET(reg, v) __asm__ volatile("mov %%" reg ", %0" : "=r"(v))
#define SET(reg, v) __asm__ volatile("mov %0, %%" reg : : "r"(v) : "memory")

/* DR0 to DR3, DR6, DR7 (a breakpoint that is not enabled), CR2, CR8. */
static inline uint64_t own_reg(unsigned cpu, unsigned i)
{
	switch (i) {
	case 4:
		return 0xffff0ff0 | (1 + cpu % 15);
	case 5:
		return cpu & 1 ? 0xd0400 : 0xd00400;
	case 7:
		return 1 + cpu % 15;
	default:
		return 0x1000000ull * (i + 1) + 0x1000 * (cpu + 1);
	}
}

static inline void own_reg_set(unsigned i, uint64_t v)
{
	switch (i) {
	case 0:
		SET("dr0", v);
		break;
	case 1:
		SET("dr1", v);
		break;
	case 2:
		SET("dr2", v);
		break;
	case 3:
		SET("dr3", v);
		break;
	case 4:
		SET("dr6", v);
		break;
	case 5:
		SET("dr7", v);
		break;
	case 6:
		SET("cr2", v);
		break;
	default:
		SET("cr8", v);
	}
}

static inline uint64_t own_reg_get(unsigned i)
{
	uint64_t v;

	switch (i) {
	case 0:
		GET("dr0", v);
		break;
	case 1:
		GET("dr1", v);
		break;
	case 2:
		GET("dr2", v);
		break;
	case 3:
		GET("dr3", v);
		break;
	case 4:
		GET("dr6", v);
		break;
	case 5:
		GET("dr7", v);
		break;
	case 6:
		GET("cr2", v);
		break;
	default:
		GET("cr8", v);
	}
	return v;
}

/* --- local APIC --------------------------------------------------------------------- */

#define LVT_TIMER   0x320u
#define TIMER_START 0x380u
#define TIMER_NOW   0x390u
#define DEADLINE    (2u << 17)
#define PERIODIC    (1u << 17)
#define MASKED	    0x10000u

/* LVT of LINT0 and of errors, divider, logical id, and the timer: of one vCPU
 * periodic, of the next by deadline, if there is one. */
static const uint16_t own_apic_regs[] = { 0x350, 0x370,	    0x3e0,
					  0xd0,	 LVT_TIMER, TIMER_START };
#define OWN_APIC (sizeof(own_apic_regs) / sizeof(own_apic_regs[0]))

static inline uint32_t own_apic(const struct own_state *o, unsigned cpu,
				unsigned i)
{
	switch (own_apic_regs[i]) {
	case 0x3e0:
		return cpu & 1 ? 9 : 2;
	case 0xd0:
		return (cpu + 1) << 24;
	case LVT_TIMER:
		return MASKED | (o->deadline ? DEADLINE : PERIODIC) |
		       (0x40 + cpu);
	case TIMER_START:
		return o->deadline ? 0 : 0x70000000;
	default:
		return MASKED | (0x20 + 8 * i + cpu);
	}
}

/* --- x87 and SSE ------------------------------------------------------------------------ */

/* [APM] 5, FXSAVE: control word, all registers in use, MXCSR with a rounding of its
 * own, eight of x87 and 16 of SSE. */
static inline void own_fx_make(unsigned cpu, uint8_t *fx)
{
	unsigned i;

	for (i = 0; i < 512; i++)
		fx[i] = 0;
	fx[0] = 0x7f;
	fx[1] = cpu & 1 ? 0x02 : 0x0f;
	fx[4] = 0xff;
	fx[24] = 0x80;
	fx[25] = (uint8_t)(0x1f | (cpu & 1 ? 0x20 : 0x40));
	for (i = 0; i < 8 * 16; i++)
		fx[32 + i] = i % 16 < 10 ? (uint8_t)(i + cpu + 1) : 0;
	for (i = 0; i < 16 * 16; i++)
		fx[160 + i] = (uint8_t)(i * 7 + cpu + 1);
}

/* --- time ----------------------------------------------------------------------------- */

/* How far kvm-clock and TSC may come apart: far more than a thread needs for a few
 * system calls, far less than machines differ by. */
#define OWN_TIME_NS 50000000

/* Linux, Documentation/virt/kvm/x86/msr.rst. */
struct own_clock {
	volatile uint32_t version, pad;
	volatile uint64_t tsc, ns;
	volatile uint32_t mul;
	volatile int8_t shift;
	volatile uint8_t flags, pad2[2];
};

static inline uint64_t own_scaled(const struct own_clock *c, uint64_t ticks)
{
	ticks = c->shift < 0 ? ticks >> -c->shift : ticks << c->shift;
	return (uint64_t)((unsigned __int128)ticks * c->mul >> 32);
}

/* Return: kvm-clock, and the TSC of that instant; 0: there is none (yet) */
static inline uint64_t own_clock_ns(const struct own_state *o, unsigned cpu,
				    uint64_t *ret_tsc)
{
	const struct own_clock *c = at(CLOCK_PAGE + 0x1000ul * cpu);
	uint32_t version;
	uint64_t ns;

	if (!o->clock || !c->mul)
		return 0;
	do {
		version = c->version;
		*ret_tsc = rdtsc();
		ns = c->ns + own_scaled(c, *ret_tsc - c->tsc);
	} while (version & 1 || c->version != version);
	return ns;
}

/* Has the host said since the last look that it had stopped the guest? */
static inline bool own_stopped(const struct own_state *o, unsigned cpu)
{
	struct own_clock *c = at(CLOCK_PAGE + 0x1000ul * cpu);

	if (!o->clock || !(c->flags & 2))
		return false;
	c->flags &= (uint8_t)~2;
	return true;
}

/* Neither goes back, and they go on together. */
static inline void own_look_time(struct own_state *o, unsigned cpu)
{
	const struct own_clock *c = at(CLOCK_PAGE + 0x1000ul * cpu);
	uint64_t tsc = rdtsc(), ns;
	int64_t apart;

	if (tsc < o->tsc)
		own_wrong(o, "TSC went back", 0, tsc, o->tsc);
	o->tsc = tsc;
	ns = own_clock_ns(o, cpu, &tsc);
	if (!ns)
		return;
	if (ns < o->ns)
		own_wrong(o, "kvm-clock went back", 0, ns, o->ns);
	o->ns = ns;
	if (!o->first_ns) {
		o->first_ns = ns;
		o->first_tsc = tsc;
	}
	apart = (int64_t)(ns - o->first_ns - own_scaled(c, tsc - o->first_tsc));
	if (apart > OWN_TIME_NS || apart < -OWN_TIME_NS)
		own_wrong(o, "kvm-clock and TSC came apart: kvm-clock", 0, ns,
			  ns - (uint64_t)apart);
}

/* --- all of it ---------------------------------------------------------------------------- */

static inline void own_init(struct own_state *o, unsigned cpu)
{
	uint32_t r[4];
	uint64_t cr4;
	unsigned i;

	o->wrong = NULL;
	o->turn = o->tsc = o->ns = o->first_ns = 0;
	cpuid(0x40000001, r);
	o->clock = r[0] >> 3 & 1;
	((struct own_clock *)at(CLOCK_PAGE + 0x1000ul * cpu))->mul = 0;
	cpuid(1, r);
	o->deadline = cpu & 1 && r[2] >> 24 & 1;
	cpuid(0x80000001, r);
	o->aux = r[3] >> 27 & 1;
	for (i = 0; i < OWN_MSRS; i++)
		if (own_msr_there(o, i))
			wrmsr(own_msrs[i], own_msr(cpu, i));
	for (i = 0; i < OWN_REGS; i++)
		own_reg_set(i, own_reg(cpu, i));
	mmio_write32(LAPIC + LAPIC_SVR, 0x1ff);
	for (i = 0; i < OWN_APIC; i++)
		mmio_write32(LAPIC + own_apic_regs[i], own_apic(o, cpu, i));
	if (o->deadline)
		wrmsr(MSR_DEADLINE, 1ull << 60 | cpu);
	own_fx_make(cpu, o->fx);
	GET("cr4", cr4);
	SET("cr4", cr4 | 0x600); /* OSFXSR, OSXMMEXCPT */
	__asm__ volatile("fxrstor (%0)" : : "r"(o->fx) : "memory");
}

/* All but the last instruction, and what MXCSR could be; in words of 8 bytes. */
static inline void own_look_fx(struct own_state *o)
{
	const uint64_t *is = (const uint64_t *)o->fx_now;
	const uint64_t *want = (const uint64_t *)o->fx;
	unsigned i;

	__asm__ volatile("fxsave (%0)" : : "r"(o->fx_now) : "memory");
	for (i = 0; i < 416 / 8; i++) {
		uint64_t mask = i == 0	 ? 0xffffffffffff
				: i == 3 ? 0xffffffff
				: i < 3	 ? 0
					 : ~0ull;

		if ((is[i] ^ want[i]) & mask)
			own_wrong(o, "FXSAVE area", 8 * i, is[i], want[i]);
	}
}

/* KVM tells 0 from the end of a period until its own timer has begun the next one. */
static inline bool own_timer_runs(void)
{
	uint64_t from = rdtsc();

	while (!mmio_read32(LAPIC + TIMER_NOW))
		if (rdtsc() - from > 1ULL << 32) /* 1 to 2 s */
			return false;
	return true;
}

static inline void own_look_apic(struct own_state *o, unsigned cpu, unsigned i)
{
	uint32_t v = mmio_read32(LAPIC + own_apic_regs[i]);

	if (v != own_apic(o, cpu, i))
		own_wrong(o, "APIC", own_apic_regs[i], v, own_apic(o, cpu, i));
	if (own_apic_regs[i] != TIMER_START)
		return;
	if (o->deadline && rdmsr(MSR_DEADLINE) != (1ull << 60 | cpu))
		own_wrong(o, "deadline", 0, rdmsr(MSR_DEADLINE),
			  1ull << 60 | cpu);
	if (!o->deadline && !own_timer_runs())
		own_wrong(o, "APIC timer", 0, 0, 1);
}

#define OWN_THINGS (OWN_MSRS + OWN_REGS + OWN_APIC + 2)

/* One thing each time: some hosts have to look for them long. */
static inline void own_look(struct own_state *o, unsigned cpu)
{
	unsigned i = (unsigned)(o->turn++ % OWN_THINGS);
	uint64_t v;

	if (i < OWN_MSRS) {
		v = own_msr_there(o, i) ? rdmsr(own_msrs[i]) : own_msr(cpu, i);
		if (v != own_msr(cpu, i))
			own_wrong(o, "MSR", own_msrs[i], v, own_msr(cpu, i));
		return;
	}
	i -= OWN_MSRS;
	if (i < OWN_REGS) {
		v = own_reg_get(i);
		if (v != own_reg(cpu, i))
			own_wrong(o, "DR0-3, DR6, DR7, CR2, CR8", i, v,
				  own_reg(cpu, i));
		return;
	}
	i -= OWN_REGS;
	if (i < OWN_APIC)
		own_look_apic(o, cpu, i);
	else if (i == OWN_APIC)
		own_look_fx(o);
	else
		own_look_time(o, cpu);
}

/* Complain of it and end. */
static inline void own_check(const struct own_state *o, unsigned cpu)
{
	if (!o->wrong)
		return;
	puts("FAIL: cpu ");
	put_dec(cpu);
	puts(": ");
	puts(o->wrong);
	puts(" ");
	put_hex(o->which);
	puts(" is ");
	put_hex(o->is);
	puts(", not ");
	put_hex(o->want);
	puts("\n");
	guest_poweroff();
}

#endif
