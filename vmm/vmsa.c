/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vmsa.h"

#include <linux/kvm.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "core/util.h"
#include "vmm/boot.h"

/*
 * DOC: Theory of operation
 *
 * For LAUNCH_UPDATE_VMSA, KVM takes the save area as it has built it so far in
 * the VMCB and puts the general registers next to it. Three sources, then:
 * what the VMM has set by KVM_SET_REGS and KVM_SET_SREGS; what every new vCPU
 * has (debug registers, PAT, XCR0); and what the host's kernel adds by itself
 * (EFER.SVME, its own CR4.MCE, SEV_FEATURES). Each field is one line in a
 * table, and all functions here go by these tables.
 *
 * CR2 and CR8 are registers of a vCPU that KVM holds elsewhere until it is
 * entered: they are not in the page.
 */

#define OFF_CPL		 0x0cb
#define OFF_EFER	 0x0d0
#define OFF_CR4		 0x148
#define OFF_CR0		 0x158
#define OFF_DR7		 0x160
#define OFF_DR6		 0x168
#define OFF_RFLAGS	 0x170
#define OFF_G_PAT	 0x268
#define OFF_SEV_FEATURES 0x3b0
#define OFF_XCR0	 0x3e8

#define CR0_PE	      BIT(0)
#define CR0_ET	      BIT(4)
#define CR0_NE	      BIT(5)
#define CR0_NW	      BIT(29)
#define CR0_CD	      BIT(30)
#define CR0_PG	      BIT(31)
#define CR4_PAE	      BIT(5)
#define CR4_MCE	      BIT(6)
#define EFER_LME      BIT(8)
#define EFER_LMA      BIT(10)
#define EFER_SVME     BIT(12)
#define RFLAGS_ALWAYS 2

#define DR6_RESET      0xffff0ff0
#define DR7_RESET      0x400
#define PAT_RESET      0x0007040600070406
#define SEV_DEBUG_SWAP BIT(5)

/* Attributes as in a VMCB: bits 55:52 and 47:40 of a descriptor. */
#define ATTR_S	     4
#define ATTR_DPL     5
#define ATTR_PRESENT 7
#define ATTR_AVL     8
#define ATTR_L	     9
#define ATTR_DB	     10
#define ATTR_G	     11

/* What the host's kernel adds on its own account, with KVM_SEV_ES_INIT; the
 * FPU's fields stay zero then, also since 6.10. */
static const struct {
	uint64_t cr4, sev_features;
} hosts[VMSA_HOSTS] = {
	/* CR4 has the host's own MCE, which Linux sets whenever it can. */
	[VMSA_HOST_MAINLINE_6_12] = { .cr4 = CR4_MCE },
	/* 6.6 began with DebugSwap on where the processor has it (off by
	 * default since 6.9). Unconfirmed for vendors' trees and processors. */
	[VMSA_HOST_VENDOR_6_6] = { .cr4 = CR4_MCE,
				   .sev_features = SEV_DEBUG_SWAP },
};

/* Registers of 64 bits and where they are. */
struct reg {
	uint16_t off, at;
};

#define REG(o, name)                                              \
	{                                                         \
		.off = (o), .at = offsetof(struct kvm_regs, name) \
	}
static const struct reg gprs[] = {
	REG(0x170, rflags), REG(0x178, rip), REG(0x1d8, rsp), REG(0x1f8, rax),
	REG(0x308, rcx),    REG(0x310, rdx), REG(0x318, rbx), REG(0x328, rbp),
	REG(0x330, rsi),    REG(0x338, rdi), REG(0x340, r8),  REG(0x348, r9),
	REG(0x350, r10),    REG(0x358, r11), REG(0x360, r12), REG(0x368, r13),
	REG(0x370, r14),    REG(0x378, r15),
};

#define SREG(o, name)                                              \
	{                                                          \
		.off = (o), .at = offsetof(struct kvm_sregs, name) \
	}
static const struct reg ctrls[] = {
	SREG(OFF_EFER, efer),
	SREG(OFF_CR4, cr4),
	SREG(0x150, cr3),
	SREG(OFF_CR0, cr0),
};

static const struct reg segs[] = {
	SREG(0x000, es), SREG(0x010, cs), SREG(0x020, ss),  SREG(0x030, ds),
	SREG(0x040, fs), SREG(0x050, gs), SREG(0x070, ldt), SREG(0x090, tr),
};

static const struct reg tables[] = {
	SREG(0x060, gdt),
	SREG(0x080, idt),
};

static void put_regs(uint8_t *page, const void *from, const struct reg *t,
		     size_t n)
{
	uint64_t v;

	for (; n--; t++) {
		memcpy(&v, (const uint8_t *)from + t->at, sizeof(v));
		put_le64(page + t->off, v);
	}
}

static void get_regs(const uint8_t *page, void *to, const struct reg *t, size_t n)
{
	uint64_t v;

	for (; n--; t++) {
		v = get_le64(page + t->off);
		memcpy((uint8_t *)to + t->at, &v, sizeof(v));
	}
}

static void put_seg(uint8_t *to, const struct kvm_segment *s)
{
	unsigned present = s->present && !s->unusable;

	put_le16(to, s->selector);
	put_le16(to + 2,
		 (uint16_t)((s->type & 0xfu) | (s->s & 1u) << ATTR_S |
			    (s->dpl & 3u) << ATTR_DPL | present << ATTR_PRESENT |
			    (s->avl & 1u) << ATTR_AVL | (s->l & 1u) << ATTR_L |
			    (s->db & 1u) << ATTR_DB | (s->g & 1u) << ATTR_G));
	put_le32(to + 4, s->limit);
	put_le64(to + 8, s->base);
}

static struct kvm_segment get_seg(const uint8_t *from)
{
	uint16_t attr = get_le16(from + 2);

	return (struct kvm_segment){
		.base = get_le64(from + 8),
		.limit = get_le32(from + 4),
		.selector = get_le16(from),
		.type = attr & 0xf,
		.s = attr >> ATTR_S & 1,
		.dpl = attr >> ATTR_DPL & 3,
		.present = attr >> ATTR_PRESENT & 1,
		.avl = attr >> ATTR_AVL & 1,
		.l = attr >> ATTR_L & 1,
		.db = attr >> ATTR_DB & 1,
		.g = attr >> ATTR_G & 1,
		.unusable = !(attr >> ATTR_PRESENT & 1),
	};
}

static void put_sregs(uint8_t *page, const struct kvm_sregs *sregs)
{
	const uint8_t *from = (const uint8_t *)sregs;
	struct kvm_segment seg;
	struct kvm_dtable dt;
	size_t i;

	put_regs(page, sregs, ctrls, ARRAY_SIZE(ctrls));
	for (i = 0; i < ARRAY_SIZE(segs); i++) {
		memcpy(&seg, from + segs[i].at, sizeof(seg));
		put_seg(page + segs[i].off, &seg);
	}
	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		memcpy(&dt, from + tables[i].at, sizeof(dt));
		put_le32(page + tables[i].off + 4, dt.limit);
		put_le64(page + tables[i].off + 8, dt.base);
	}
	page[OFF_CPL] = sregs->ss.dpl & 3;
}

static void page_or(uint8_t *page, size_t off, uint64_t bits)
{
	put_le64(page + off, get_le64(page + off) | bits);
}

void vmsa_build(uint8_t page[VMSA_SIZE], const struct kvm_regs *regs,
		const struct kvm_sregs *sregs, uint64_t xcr0, enum vmsa_host host)
{
	memset(page, 0, VMSA_SIZE);
	put_regs(page, regs, gprs, ARRAY_SIZE(gprs));
	put_sregs(page, sregs);
	put_le64(page + OFF_DR6, DR6_RESET);
	put_le64(page + OFF_DR7, DR7_RESET);
	put_le64(page + OFF_G_PAT, PAT_RESET);
	put_le64(page + OFF_XCR0, xcr0);
	page_or(page, OFF_RFLAGS, RFLAGS_ALWAYS);
	page_or(page, OFF_EFER, EFER_SVME);
	page_or(page, OFF_CR4, hosts[host].cr4);
	put_le64(page + OFF_SEV_FEATURES, hosts[host].sev_features);
	/* Caches stay on (KVM_X86_QUIRK_CD_NW_CLEARED, on by default). */
	put_le64(page + OFF_CR0, sregs->cr0 & ~(CR0_CD | CR0_NW));
}

void vmsa_parse(const uint8_t page[VMSA_SIZE], struct kvm_regs *regs,
		struct kvm_sregs *sregs, uint64_t *ret_xcr0)
{
	uint8_t *to = (uint8_t *)sregs;
	struct kvm_segment seg;
	struct kvm_dtable dt;
	size_t i;

	get_regs(page, regs, gprs, ARRAY_SIZE(gprs));
	get_regs(page, sregs, ctrls, ARRAY_SIZE(ctrls));
	sregs->efer &= ~EFER_SVME;
	for (i = 0; i < ARRAY_SIZE(segs); i++) {
		seg = get_seg(page + segs[i].off);
		memcpy(to + segs[i].at, &seg, sizeof(seg));
	}
	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		dt = (struct kvm_dtable){
			.base = get_le64(page + tables[i].off + 8),
			.limit = (uint16_t)get_le32(page + tables[i].off + 4),
		};
		memcpy(to + tables[i].at, &dt, sizeof(dt));
	}
	*ret_xcr0 = get_le64(page + OFF_XCR0);
}

/* 64-bit mode, flat, as the boot protocol demands ([BOOT] 1.15). */
static void regs_boot(const struct boot_info *boot, struct kvm_regs *regs,
		      struct kvm_sregs *s)
{
	struct kvm_segment code = { .selector = 0x10,
				    .limit = 0xffffffff,
				    .type = 0xb,
				    .present = 1,
				    .s = 1,
				    .l = 1,
				    .g = 1 };
	struct kvm_segment data = { .selector = 0x18,
				    .limit = 0xffffffff,
				    .type = 3,
				    .present = 1,
				    .s = 1,
				    .db = 1,
				    .g = 1 };

	regs->rip = boot->entry;
	regs->rsi = boot->rsi;
	regs->rsp = boot->rsp;
	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->gdt.base = boot->gdt;
	s->gdt.limit = boot->gdt_limit;
	s->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	s->cr3 = boot->cr3;
	s->cr4 = CR4_PAE;
	s->efer = EFER_LME | EFER_LMA;
}

/*
 * As after INIT ([APM] 2 table 14-1).
 */
static void regs_reset(struct kvm_regs *regs, struct kvm_sregs *s)
{
	struct kvm_segment data = {
		.limit = 0xffff, .type = 3, .present = 1, .s = 1
	};

	regs->rip = 0xfff0;
	/* KVM's signature of a processor without CPUID: not this host's. */
	regs->rdx = 0x600;
	s->ds = s->es = s->fs = s->gs = s->ss = s->cs = data;
	s->cs.type = 0xb;
	s->cs.selector = 0xf000;
	s->cs.base = 0xffff0000;
	s->gdt.limit = s->idt.limit = 0xffff;
	s->cr0 = CR0_ET | CR0_NW | CR0_CD;
}

void vmsa_initial_regs(unsigned id, const struct boot_info *boot,
		       struct kvm_regs *regs, struct kvm_sregs *sregs)
{
	memset(regs, 0, sizeof(*regs));
	memset(sregs, 0, sizeof(*sregs));
	if (id && !boot->ap_entry)
		regs_reset(regs, sregs);
	else
		regs_boot(boot, regs, sregs);
	/* With encryption this is where the first SIPI leads, whatever its
	 * vector. */
	if (id && boot->ap_entry)
		regs->rip = boot->ap_entry;
	regs->rflags = RFLAGS_ALWAYS;
	sregs->tr =
		(struct kvm_segment){ .limit = 0xffff, .type = 0xb, .present = 1 };
	sregs->ldt =
		(struct kvm_segment){ .limit = 0xffff, .type = 2, .present = 1 };
}

/* Segments have 16 bytes: selector, attributes, limit, base. By offset. */
static const struct field {
	const char *name;
	uint16_t off, size;
} fields[] = {
	{ "es", 0x000, 16 },
	{ "cs", 0x010, 16 },
	{ "ss", 0x020, 16 },
	{ "ds", 0x030, 16 },
	{ "fs", 0x040, 16 },
	{ "gs", 0x050, 16 },
	{ "gdtr", 0x060, 16 },
	{ "ldtr", 0x070, 16 },
	{ "idtr", 0x080, 16 },
	{ "tr", 0x090, 16 },
	{ "pl0_ssp", 0x0a0, 8 },
	{ "pl1_ssp", 0x0a8, 8 },
	{ "pl2_ssp", 0x0b0, 8 },
	{ "pl3_ssp", 0x0b8, 8 },
	{ "u_cet", 0x0c0, 8 },
	{ "vmpl", 0x0ca, 1 },
	{ "cpl", OFF_CPL, 1 },
	{ "efer", OFF_EFER, 8 },
	{ "xss", 0x140, 8 },
	{ "cr4", OFF_CR4, 8 },
	{ "cr3", 0x150, 8 },
	{ "cr0", OFF_CR0, 8 },
	{ "dr7", OFF_DR7, 8 },
	{ "dr6", OFF_DR6, 8 },
	{ "rflags", OFF_RFLAGS, 8 },
	{ "rip", 0x178, 8 },
	{ "dr0", 0x180, 8 },
	{ "dr1", 0x188, 8 },
	{ "dr2", 0x190, 8 },
	{ "dr3", 0x198, 8 },
	{ "dr0_mask", 0x1a0, 8 },
	{ "dr1_mask", 0x1a8, 8 },
	{ "dr2_mask", 0x1b0, 8 },
	{ "dr3_mask", 0x1b8, 8 },
	{ "rsp", 0x1d8, 8 },
	{ "s_cet", 0x1e0, 8 },
	{ "ssp", 0x1e8, 8 },
	{ "isst_addr", 0x1f0, 8 },
	{ "rax", 0x1f8, 8 },
	{ "star", 0x200, 8 },
	{ "lstar", 0x208, 8 },
	{ "cstar", 0x210, 8 },
	{ "sfmask", 0x218, 8 },
	{ "kernel_gs_base", 0x220, 8 },
	{ "sysenter_cs", 0x228, 8 },
	{ "sysenter_esp", 0x230, 8 },
	{ "sysenter_eip", 0x238, 8 },
	{ "cr2", 0x240, 8 },
	{ "g_pat", OFF_G_PAT, 8 },
	{ "dbgctl", 0x270, 8 },
	{ "br_from", 0x278, 8 },
	{ "br_to", 0x280, 8 },
	{ "excp_from", 0x288, 8 },
	{ "excp_to", 0x290, 8 },
	{ "pkru", 0x2e8, 4 },
	{ "tsc_aux", 0x2ec, 4 },
	{ "rcx", 0x308, 8 },
	{ "rdx", 0x310, 8 },
	{ "rbx", 0x318, 8 },
	{ "rbp", 0x328, 8 },
	{ "rsi", 0x330, 8 },
	{ "rdi", 0x338, 8 },
	{ "r8", 0x340, 8 },
	{ "r9", 0x348, 8 },
	{ "r10", 0x350, 8 },
	{ "r11", 0x358, 8 },
	{ "r12", 0x360, 8 },
	{ "r13", 0x368, 8 },
	{ "r14", 0x370, 8 },
	{ "r15", 0x378, 8 },
	{ "exit_info_1", 0x390, 8 },
	{ "exit_info_2", 0x398, 8 },
	{ "exit_int_info", 0x3a0, 8 },
	{ "nrip", 0x3a8, 8 },
	{ "sev_features", OFF_SEV_FEATURES, 8 },
	{ "vintr_ctrl", 0x3b8, 8 },
	{ "exit_code", 0x3c0, 8 },
	{ "virtual_tom", 0x3c8, 8 },
	{ "tlb_id", 0x3d0, 8 },
	{ "pcpu_id", 0x3d8, 8 },
	{ "event_inj", 0x3e0, 8 },
	{ "xcr0", OFF_XCR0, 8 },
	{ "x87_dp", 0x400, 8 },
	{ "mxcsr", 0x408, 4 },
	{ "x87_ftw", 0x40c, 2 },
	{ "x87_fsw", 0x40e, 2 },
	{ "x87_fcw", 0x410, 2 },
	{ "x87_fop", 0x412, 2 },
	{ "x87_ds", 0x414, 2 },
	{ "x87_cs", 0x416, 2 },
	{ "x87_rip", 0x418, 8 },
};

static void explain_field(const uint8_t *page, const char *name, unsigned off,
			  unsigned size,
			  void (*line)(void *ctx, const char *text), void *ctx)
{
	static const uint8_t zero[16];
	const uint8_t *at = page + off;
	uint8_t v[8] = { 0 };
	char text[96];

	if (!memcmp(at, zero, size))
		return;
	if (size == 16) {
		snprintf(text, sizeof(text),
			 "%s %#x attributes %#x limit %#x base %#llx", name,
			 get_le16(at), get_le16(at + 2), get_le32(at + 4),
			 (unsigned long long)get_le64(at + 8));
	} else {
		memcpy(v, at, size);
		snprintf(text, sizeof(text), "%s %#llx", name,
			 (unsigned long long)get_le64(v));
	}
	line(ctx, text);
}

void vmsa_explain(const uint8_t page[VMSA_SIZE],
		  void (*line)(void *ctx, const char *text), void *ctx)
{
	const struct field *f = fields, *end = fields + ARRAY_SIZE(fields);
	unsigned off = 0, size;
	char name[16];

	/* What has no name (x87, XMM and YMM among it) by its offset. */
	while (off < VMSA_SIZE) {
		if (f < end && f->off == off) {
			explain_field(page, f->name, off, f->size, line, ctx);
			off += f->size;
			f++;
			continue;
		}
		size = MIN(8 - off % 8, f < end ? f->off - off : 8);
		snprintf(name, sizeof(name), "+%#x", off);
		explain_field(page, name, off, size, line, ctx);
		off += size;
	}
}
