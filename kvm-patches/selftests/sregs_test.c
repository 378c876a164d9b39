// SPDX-License-Identifier: GPL-2.0-or-later
/* KVM_SET_SREGS and KVM_SET_SREGS2 on vCPUs with encrypted state. */
#include "guest.h"

/* Writes control registers and reports, then reports what they are. */
GUEST_CODE(
"modes:	mov	%cr0, %rax\n"
"	or	$0x10000, %rax\n"	/* WP */
"	mov	%rax, %cr0\n"
"	mov	$0x6a0, %eax\n"		/* PGE; not the host's MCE, which KVM sets */
"	mov	%rax, %cr4\n"
"	mov	$0xc0000080, %ecx\n"
"	rdmsr\n"
"	or	$1, %eax\n"		/* SCE */
"	wrmsr\n"
"	mov	$5, %eax\n"
"	mov	%rax, %cr8\n"
"1:	mov	$0x1d, %r12d\n"
"	REPORT	%r12\n"
"	mov	%cr0, %r12\n"
"	REPORT	%r12\n"
"	mov	%cr4, %r12\n"
"	REPORT	%r12\n"
"	mov	$0xc0000080, %ecx\n"
"	rdmsr\n"
"	mov	%rax, %r12\n"
"	REPORT	%r12\n"
"	jmp	1b\n");
GUEST_LABEL(modes);

struct sregs2 {
	struct kvm_segment seg[8];
	struct kvm_dtable gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base, flags, pdptrs[4];
};

#define NR_GET_SREGS2 _IOR(KVMIO, 0xcc, struct sregs2)
#define NR_SET_SREGS2 _IOW(KVMIO, 0xcd, struct sregs2)

static struct kvm_sregs get(struct vcpu *v)
{
	struct kvm_sregs s;

	must(xioctl(v->fd, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
	return s;
}

static int set(struct vcpu *v, const struct kvm_sregs *s)
{
	struct kvm_sregs copy = *s;

	return xioctl(v->fd, KVM_SET_SREGS, &copy);
}

static void check_regs(struct vcpu *v, uint64_t cr0, uint64_t cr4,
		       uint64_t cr8, uint64_t efer)
{
	struct kvm_sregs s = get(v);
	struct sregs2 s2;

	CHECK_EQ(s.cr0, cr0);
	CHECK_EQ(s.cr4, cr4);
	CHECK_EQ(s.cr8, cr8);
	CHECK_EQ(s.efer, efer);
	/* encrypted state is nothing that KVM has, or makes up */
	CHECK_EQ(s.cr2, 0);
	CHECK_EQ(s.cr3, 0);
	CHECK_EQ(s.cs.selector, 0);
	CHECK_EQ(s.gdt.base, 0);
	CHECK_EQ(xioctl(v->fd, NR_GET_SREGS2, &s2), 0);
	CHECK_EQ(s2.cr0, cr0);
	CHECK_EQ(s2.cr4, cr4);
	CHECK_EQ(s2.cr8, cr8);
	CHECK_EQ(s2.efer, efer);
}

/* Good values, one after the other, back and forth. */
static void test_set(bool by_sregs2)
{
	static const struct {
		uint64_t cr0, cr4, cr8, efer;
	} cases[] = {
		{ 0x60000010, 0, 0, 0 },	     /* real mode */
		{ 0x11, 0x640, 7, 0 },		     /* protected mode */
		{ 0x80000011, 0x620, 15, 0x800 },    /* PAE */
		{ 0x80050033, 0x6b0, 3, 0xd01 },     /* Linux */
		{ 0x80000033, 0x620, 0, 0xd00 },     /* as launched */
	};
	struct kvm_sregs s, old;
	struct sregs2 s2;
	struct vcpu *v;
	struct vm vm;
	unsigned int i;

	vm_open(&vm, SEV_ES, 1);
	v = &vm.vcpu[0];
	vm_load(&vm);
	vm_launch(&vm, modes, modes);
	old = get(v);
	check_regs(v, 0x80000033, 0x620, 0, 0xd00);
	for (i = 0; i < 5; i++) {
		s = old;
		s.cr0 = cases[i].cr0;
		s.cr4 = cases[i].cr4;
		s.cr8 = cases[i].cr8;
		s.efer = cases[i].efer;
		/* these have no effect */
		s.cr2 = 0x1000;
		s.cr3 = 0x2000;
		s.cs.selector = 0x10;
		s.cs.base = 0x1000;
		s.gdt.base = 0x3000;
		if (by_sregs2) {
			memcpy(&s2, &s, offsetof(struct sregs2, flags));
			s2.flags = 0;
			CHECK_EQ(xioctl(v->fd, NR_SET_SREGS2, &s2), 0);
		} else {
			CHECK_EQ(set(v, &s), 0);
		}
		if (on_hygon())
			check_regs(v, s.cr0, s.cr4, s.cr8, s.efer);
		else
			check_regs(v, 0x80000033, 0x620, 0, 0xd00);
		CHECK_EQ(get(v).apic_base, old.apic_base);
	}
	/* the guest's own registers are untouched, and its writes still count */
	CHECK_EQ(vcpu_report(v), 0x1d);
	check_regs(v, 0x80010033, 0x6a0, 5, 0xd01);
	CHECK_EQ(vcpu_report(v), 0x80010033);
	CHECK_EQ(vcpu_report(v), 0x6a0);
	CHECK_EQ(vcpu_report(v) & 0xfff, 0xd01);
	vm_close(&vm);
}

/* Bad values are refused, and change nothing. */
static void test_bad(void)
{
	struct kvm_sregs s, old;
	struct sregs2 s2;
	struct vcpu *v;
	struct vm vm;

	vm_open(&vm, SEV_ES, 1);
	v = &vm.vcpu[0];
	vm_load(&vm);
	vm_launch(&vm, modes, modes);
	old = get(v);
#define BAD(field, value)                                                     \
	do {                                                                  \
		s = old;                                                      \
		s.field = value;                                              \
		CHECK_EQ(set(v, &s), -EINVAL);                                \
		check_regs(v, 0x80000033, 0x620, 0, 0xd00);                   \
	} while (0)
	BAD(cr4, 0x600);		    /* long mode without PAE */
	BAD(cr4, 0x620 | 1ULL << 40);	    /* reserved */
	BAD(cr0, 0x80000033 | 1ULL << 40);  /* reserved */
	BAD(cr0, 0x80000032);		    /* PG without PE */
	BAD(cr0, 0x33);			    /* LMA without PG */
	BAD(efer, 0x900);		    /* LME and PG without LMA */
	BAD(efer, 0xd00 | 1ULL << 40);	    /* reserved */
	BAD(cr3, ~0ULL);		    /* no address */
	BAD(apic_base, ~0ULL);
	s = old;
	s.cr0 = 0x11;
	s.efer = 0;
	s.cs.l = 1;			    /* 64-bit code in protected mode */
	CHECK_EQ(set(v, &s), -EINVAL);
	memcpy(&s2, &old, offsetof(struct sregs2, flags));
	s2.flags = 1; /* PDPTRs */
	CHECK_EQ(xioctl(v->fd, NR_SET_SREGS2, &s2), -EINVAL);
	s2.flags = 2;
	CHECK_EQ(xioctl(v->fd, NR_SET_SREGS2, &s2), -EINVAL);
	s2.flags = 0;
	s2.cr0 = 0x80000011;
	s2.cr4 = 0x620;
	s2.efer = 0;
	s2.flags = 1;
	CHECK_EQ(xioctl(v->fd, NR_SET_SREGS2, &s2), -EINVAL);
	check_regs(v, 0x80000033, 0x620, 0, 0xd00);
	vm_close(&vm);
}

/* With a VM type of its own, there is no access at all. */
static void test_typed(void)
{
	struct kvm_sregs s;
	struct sregs2 s2;
	struct vm vm;

	vm_open(&vm, SEV_ES_TYPED, 1);
	vm_load(&vm);
	vm_launch(&vm, modes, modes);
	CHECK_EQ(xioctl(vm.vcpu[0].fd, KVM_GET_SREGS, &s), -EINVAL);
	memset(&s, 0, sizeof(s));
	CHECK_EQ(set(&vm.vcpu[0], &s), -EINVAL);
	memset(&s2, 0, sizeof(s2));
	CHECK_EQ(xioctl(vm.vcpu[0].fd, NR_SET_SREGS2, &s2), -EINVAL);
	vm_close(&vm);
}

/* The receiver knows the modes that the guest has set at the sender. */
static void test_migrate(void)
{
	struct vm src, dst;

	vm_open(&src, SEV_ES, 1);
	vm_open(&dst, SEV_ES, 1);
	vm_load(&src);
	vm_launch(&src, modes, modes);
	CHECK_EQ(vcpu_report(&src.vcpu[0]), 0x1d);
	vm_migrate(&src, &dst);
	check_regs(&dst.vcpu[0], 0x60000010, 0, 0, 0);
	vcpu_move(&src.vcpu[0], &dst.vcpu[0]);
	if (on_hygon())
		check_regs(&dst.vcpu[0], 0x80010033, 0x6a0, 5, 0xd01);
	else
		check_regs(&dst.vcpu[0], 0x60000010, 0, 0, 0);
	vm_close(&src);
	CHECK_EQ(vcpu_report(&dst.vcpu[0]), 0x80010033);
	CHECK_EQ(vcpu_report(&dst.vcpu[0]), 0x6a0);
	CHECK_EQ(vcpu_report(&dst.vcpu[0]) & 0xfff, 0xd01);
	if (on_hygon())
		check_regs(&dst.vcpu[0], 0x80010033, 0x6a0, 5, 0xd01);
	vm_close(&dst);
}

/* Other VMs are as they were. */
static void test_plain(void)
{
	struct kvm_sregs s;
	struct vm vm;

	vm_open(&vm, PLAIN, 1);
	vm_load(&vm);
	vm_launch(&vm, modes, modes);
	s = get(&vm.vcpu[0]);
	CHECK_EQ(s.cr3, PML4);
	CHECK_EQ(s.cs.selector, 8);
	s.cr8 = 9;
	s.cr2 = 0x1234;
	CHECK_EQ(set(&vm.vcpu[0], &s), 0);
	s = get(&vm.vcpu[0]);
	CHECK_EQ(s.cr8, 9);
	CHECK_EQ(s.cr2, 0x1234);
	CHECK_EQ(s.cr3, PML4);
	vm_close(&vm);
}

/* In real mode, with EFER.LME and without CR4.PAE: the host must survive that. */
static void test_real_mode(void)
{
	struct kvm_sregs s;
	struct vm vm;

	vm_open(&vm, PLAIN, 1);
	must(xioctl(vm.vcpu[0].fd, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
	s.cr0 = 0x10;
	s.cr4 = 0;
	s.efer = 0x100;
	CHECK_EQ(xioctl(vm.vcpu[0].fd, KVM_SET_SREGS, &s), 0);
	alarm(20);
	vcpu_run(&vm.vcpu[0]); /* there is nothing at its reset vector */
	alarm(0);
	CHECK_EQ(xioctl(vm.vcpu[0].fd, KVM_GET_SREGS, &s), 0);
	CHECK_EQ(s.cr0, 0x10);
	CHECK_EQ(s.efer, 0x100);
	vm_close(&vm);
}

int main(void)
{
	need_sev();
	guest_signals();
	TEST(test_plain());
	TEST(test_real_mode());
	TEST(test_set(false));
	TEST(test_set(true));
	TEST(test_bad());
	TEST(test_typed());
	TEST(test_migrate());
	return test_report();
}
