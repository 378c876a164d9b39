/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/doctor.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/kvm.h"
#include "core/util.h"

/*
 * DOC: can KVM here run a kernel?
 *
 * There are hosts whose /dev/kvm runs guest user mode on the processor and
 * interprets guest kernel mode one instruction at a time: about a million a
 * second, and only those that KVM's emulator knows, which has no SSE arithmetic.
 * A capability does not tell, so a guest of a few bytes does: a counted loop
 * and one SSE instruction, both in 64-bit mode at privilege level 0.
 */

#define PROBE_RAM	 0x10000u
#define PROBE_PML4	 0x1000u
#define PROBE_PDPT	 0x2000u
#define PROBE_PD	 0x3000u
#define PROBE_CODE	 0x8000u
#define PROBE_ITERATIONS 20000u
#define PROBE_PER_LOOP	 2u /* instructions: dec, jnz */
#define PROBE_TIMEOUT_MS 2000

#define CR0_PE	   BIT(0)
#define CR0_MP	   BIT(1)
#define CR0_ET	   BIT(4)
#define CR0_NE	   BIT(5)
#define CR0_PG	   BIT(31)
#define CR4_PAE	   BIT(5)
#define CR4_OSFXSR BIT(9)
#define EFER_LME   BIT(8)
#define EFER_LMA   BIT(10)
#define PTE_P_RW   3u
#define PTE_PS	   BIT(7)
#define RFLAGS_ONE BIT(1)

/* dec %ecx; jnz .-2; hlt */
static const uint8_t code_loop[] = { 0xff, 0xc9, 0x75, 0xfc, 0xf4 };
/* xorps %xmm0, %xmm0; hlt */
static const uint8_t code_sse[] = { 0x0f, 0x57, 0xc0, 0xf4 };

/**
 * struct probe - A VM of one vCPU and 64 KiB
 */
struct probe {
	int vm_fd, vcpu_fd;
	size_t run_size;
	struct kvm_run *run;
	uint8_t *ram;
};

static int probe_memory(struct probe *p)
{
	struct kvm_userspace_memory_region slot = { .memory_size = PROBE_RAM };
	void *ram = mmap(NULL, PROBE_RAM, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (ram == MAP_FAILED)
		return -errno;
	p->ram = ram;
	/* The first 2 MiB, identity ([APM2] 5.3). */
	put_le64(p->ram + PROBE_PML4, PROBE_PDPT | PTE_P_RW);
	put_le64(p->ram + PROBE_PDPT, PROBE_PD | PTE_P_RW);
	put_le64(p->ram + PROBE_PD, PTE_PS | PTE_P_RW);
	slot.userspace_addr = (uintptr_t)ram;
	return kvm_ioctl(p->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot);
}

/* A vCPU that was not told of long mode refuses to be set to it. */
static int probe_cpuid(struct probe *p, int kvm_fd)
{
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid(kvm_fd);
	int r = cpuid ? kvm_ioctl(p->vcpu_fd, KVM_SET_CPUID2, cpuid) : -errno;

	free(cpuid);
	return r;
}

static int probe_init(struct probe *p, int kvm_fd)
{
	int r;

	*p = (struct probe){ .vm_fd = -1, .vcpu_fd = -1 };
	r = kvm_run_size(kvm_fd);
	if (r < 0)
		return r;
	p->run_size = (size_t)r;
	/* No irqchip: HLT shall come back to us. */
	p->vm_fd = kvm_ioctl_val(kvm_fd, KVM_CREATE_VM, 0);
	if (p->vm_fd < 0)
		return p->vm_fd;
	r = probe_memory(p);
	if (r < 0)
		return r;
	p->vcpu_fd = kvm_create_vcpu(kvm_fd, p->vm_fd, 0, &p->run);
	return p->vcpu_fd < 0 ? p->vcpu_fd : probe_cpuid(p, kvm_fd);
}

static void probe_fini(struct probe *p)
{
	if (p->run)
		(void)munmap(p->run, p->run_size);
	util_close(&p->vcpu_fd);
	util_close(&p->vm_fd);
	if (p->ram)
		(void)munmap(p->ram, PROBE_RAM);
}

static int probe_setup(struct probe *p, const uint8_t *code, size_t len)
{
	struct kvm_segment cs = {
		.limit = UINT32_MAX,
		.selector = 8,
		.type = 11,
		.present = 1,
		.s = 1,
		.l = 1,
		.g = 1,
	};
	struct kvm_segment ds = {
		.limit = UINT32_MAX,
		.selector = 16,
		.type = 3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
	struct kvm_regs regs = {
		.rip = PROBE_CODE,
		.rflags = RFLAGS_ONE,
		.rcx = PROBE_ITERATIONS,
	};
	struct kvm_sregs sregs;
	int r;

	memcpy(p->ram + PROBE_CODE, code, len);
	r = kvm_ioctl(p->vcpu_fd, KVM_GET_SREGS, &sregs);
	if (r < 0)
		return r;
	sregs.cs = cs;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = ds;
	sregs.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_PG;
	sregs.cr3 = PROBE_PML4;
	sregs.cr4 = CR4_PAE | CR4_OSFXSR;
	sregs.efer = EFER_LME | EFER_LMA;
	r = kvm_ioctl(p->vcpu_fd, KVM_SET_SREGS, &sregs);
	if (r < 0)
		return r;
	return kvm_ioctl(p->vcpu_fd, KVM_SET_REGS, &regs);
}

static void on_alarm(int sig)
{
	(void)sig; /* its arrival ends KVM_RUN */
}

/*
 * The timer repeats: a first tick between here and the entry into the guest
 * would be lost otherwise.
 */
static int probe_enter(struct probe *p, uint32_t *ret_exit)
{
	struct sigaction act = { .sa_handler = on_alarm }, old;
	const struct itimerval every = {
		.it_value.tv_sec = PROBE_TIMEOUT_MS / 1000,
		.it_interval.tv_usec = 100000,
	};
	const struct itimerval off = { 0 };
	int r;

	(void)sigaction(SIGALRM, &act, &old);
	(void)setitimer(ITIMER_REAL, &every, NULL);
	r = kvm_ioctl_val(p->vcpu_fd, KVM_RUN, 0);
	(void)setitimer(ITIMER_REAL, &off, NULL);
	(void)sigaction(SIGALRM, &old, NULL);
	if (r == -EINTR)
		*ret_exit = KVM_EXIT_UNKNOWN;
	else if (!r)
		*ret_exit = p->run->exit_reason;
	return r == -EINTR ? 0 : r;
}

static int probe_loop(struct probe *p, struct doctor_probe *ret)
{
	uint64_t start;
	int r;

	r = probe_setup(p, code_loop, sizeof(code_loop));
	if (r < 0)
		return r;
	start = now_ns();
	r = probe_enter(p, &ret->loop_exit);
	ret->loop_ns = now_ns() - start;
	ret->instructions = PROBE_ITERATIONS * PROBE_PER_LOOP;
	return r;
}

void doctor_probe_run(int kvm_fd, struct doctor_probe *ret_probe)
{
	struct probe p;
	int r;

	*ret_probe = (struct doctor_probe){ 0 };
	r = probe_init(&p, kvm_fd);
	if (!r)
		r = probe_loop(&p, ret_probe);
	/* A vCPU that has stopped in the middle of a loop is not set back. */
	if (!r && ret_probe->loop_exit == KVM_EXIT_HLT) {
		r = probe_setup(&p, code_sse, sizeof(code_sse));
		if (!r)
			r = probe_enter(&p, &ret_probe->sse_exit);
	}
	ret_probe->error = r;
	probe_fini(&p);
}
