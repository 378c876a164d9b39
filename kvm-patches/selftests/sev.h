/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw ioctls for tests of KVM's SEV: a VM, its vCPUs, launch, migration.
 *
 * A kind is what a VM is: PLAIN, SEV (CSV), SEV_ES (CSV2, by SEV_ES_INIT), or
 * SEV_ES_TYPED (by SEV_INIT2 in a VM of type KVM_X86_SEV_ES_VM). Functions
 * that return int return 0 or -errno, unless they say otherwise; those that
 * return nothing end the test program when something fails.
 */
#ifndef SEV_H
#define SEV_H

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* -- Interfaces under test, as far as headers don't have them */

#define NR_PRE_SYSTEM_RESET _IO(KVMIO, 0xe8)
#define NR_POST_SYSTEM_RESET _IO(KVMIO, 0xe9)
#define CAP_SEV_ES_GHCB 500
#define CAP_VM_ATTRIBUTES 101
#define CAP_SYS_ATTRIBUTES 209
#define MSR_GHCB 0xc0010130U
#define GHCB_MAPPED (1ULL << 63)
#define GHCB_FIRST_SIPI (1ULL << 62)
#define GRP_SEV 1
#define ATTR_SEV_EXTENSIONS 0x100
#define ATTR_AP_JUMP_TABLE 0x101
#define EXT_UPDATE_VMSA 1
#define EXT_PROTECTED_SREGS 2
#define EXT_SYSTEM_RESET 4
#define ID_SEND_UPDATE_VMSA 10
#define ID_RECEIVE_UPDATE_VMSA 14
#define ID_SEND_CANCEL 21
#define ID_SEV_INIT2 22
#define TYPE_SEV_ES 3
#define FW_INVALID_GUEST_STATE 2
#define FW_INVALID_LEN 4
#define FW_BAD_MEASUREMENT 11
#define MP_AP_RESET_HOLD 9
#define EVENT_SEV_TERM 6

struct vmsa_packet {
	uint32_t vcpu_id, pad0;
	uint64_t hdr_uaddr;
	uint32_t hdr_len, pad1;
	uint64_t trans_uaddr;
	uint32_t trans_len, pad2;
};

struct data_packet {
	uint64_t hdr_uaddr;
	uint32_t hdr_len, pad0;
	uint64_t guest_uaddr;
	uint32_t guest_len, pad1;
	uint64_t trans_uaddr;
	uint32_t trans_len, pad2;
};

struct send_start {
	uint32_t policy, pad0;
	uint64_t pdh_cert_uaddr;
	uint32_t pdh_cert_len, pad1;
	uint64_t plat_certs_uaddr;
	uint32_t plat_certs_len, pad2;
	uint64_t amd_certs_uaddr;
	uint32_t amd_certs_len, pad3;
	uint64_t session_uaddr;
	uint32_t session_len, pad4;
};

struct receive_start {
	uint32_t handle, policy;
	uint64_t pdh_uaddr;
	uint32_t pdh_len, pad0;
	uint64_t session_uaddr;
	uint32_t session_len, pad1;
};

struct launch_start {
	uint32_t handle, policy;
	uint64_t dh_uaddr;
	uint32_t dh_len, pad0;
	uint64_t session_uaddr;
	uint32_t session_len, pad1;
};

struct range {
	uint64_t uaddr;
	uint32_t len, pad;
};

_Static_assert(sizeof(struct vmsa_packet) == 40, "ABI");
_Static_assert(sizeof(struct data_packet) == 48, "ABI");
_Static_assert(sizeof(struct send_start) == 72, "ABI");
_Static_assert(sizeof(struct receive_start) == 40, "ABI");
_Static_assert(sizeof(struct launch_start) == 40, "ABI");

/* -- Test results */

static int t_count, t_failed;
static bool t_ok;

static inline void test_begin(void) { t_ok = true; }

static inline void test_end(const char *name)
{
	t_count++;
	t_failed += !t_ok;
	printf("%s %d - %s\n", t_ok ? "ok" : "not ok", t_count, name);
	fflush(stdout);
}

/* Run a test, which is a call of a function. */
#define TEST(call) (test_begin(), call, test_end(#call))

static inline int test_report(void)
{
	printf("1..%d\n# %s\n", t_count, t_failed ? "FAILED" : "passed");
	return t_failed ? 1 : 0;
}

__attribute__((format(printf, 3, 4))) static inline bool
check_at(bool good, int line, const char *fmt, ...)
{
	va_list ap;

	if (good)
		return true;
	t_ok = false;
	printf("# line %d: ", line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return false;
}

/* CHECK(condition) and CHECK_EQ(value, expected): go on when they fail. */
#define CHECK(c) check_at(c, __LINE__, "%s", #c)
#define CHECK_EQ(a, b)                                                        \
	({                                                                    \
		long long a_ = (long long)(a), b_ = (long long)(b);           \
		check_at(a_ == b_, __LINE__, "%s: %lld (%#llx), not %lld (%#llx)", \
			 #a, a_, a_, b_, b_);                                 \
	})

__attribute__((noreturn)) static inline void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* -- The machine */

static inline bool on_hygon(void)
{
	unsigned int a, b, c, d;

	__cpuid(0, a, b, c, d);
	return b == 0x6f677948 && d == 0x6e65476e && c == 0x656e6975;
}

static inline uint64_t c_bit(void)
{
	unsigned int a, b, c, d;

	__cpuid(0x8000001f, a, b, c, d);
	return 1ULL << (b & 0x3f);
}

/* Ends the test program where it has nothing to test. */
static inline void need_sev(void)
{
	if (!access("/dev/kvm", R_OK | W_OK) && !access("/dev/sev", R_OK | W_OK))
		return;
	printf("1..0 # SKIP /dev/kvm, /dev/sev: %s\n", strerror(errno));
	exit(77);
}

static inline int xioctl(int fd, unsigned long nr, void *arg)
{
	int r = ioctl(fd, nr, arg);

	return r < 0 ? -errno : r;
}

static inline int get_attr(int fd, unsigned long nr, uint32_t group,
			   uint64_t attr, uint64_t *value)
{
	struct kvm_device_attr a = { .group = group, .attr = attr,
				     .addr = (uintptr_t)value };

	return xioctl(fd, nr, &a);
}

/* -- A VM */

enum kind { PLAIN, SEV, SEV_ES, SEV_ES_TYPED };

#define MEM_SIZE 0x100000UL
#define MAX_VCPUS 4

struct vcpu {
	int fd;
	struct kvm_run *run;
};

struct vm {
	enum kind kind;
	int kvm, fd, sev;
	int vcpus;
	struct vcpu vcpu[MAX_VCPUS];
	uint8_t *mem;
	uint32_t fw_error; /* of the last sev_cmd() */
};

static inline int sev_cmd(struct vm *vm, uint32_t id, void *data)
{
	struct kvm_sev_cmd cmd = { .id = id, .data = (uintptr_t)data,
				   .sev_fd = vm->sev };
	int r = xioctl(vm->fd, KVM_MEMORY_ENCRYPT_OP, &cmd);

	vm->fw_error = cmd.error;
	return r;
}

static inline void must(int r, const char *what)
{
	if (r >= 0)
		return;
	errno = -r;
	die(what);
}

static inline void vm_set_memory(struct vm *vm, uint32_t flags)
{
	struct kvm_userspace_memory_region r = {
		.flags = flags, .memory_size = MEM_SIZE,
		.userspace_addr = (uintptr_t)vm->mem,
	};

	must(xioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r), "memory region");
}

static inline void vcpu_open(struct vm *vm, int id)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid;
	struct vcpu *v = &vm->vcpu[id];
	int size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, id);
	if (v->fd < 0)
		die("KVM_CREATE_VCPU");
	v->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED)
		die("mmap of a vCPU");
	cpuid.head.nent = 256;
	must(xioctl(vm->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), "CPUID");
	must(xioctl(v->fd, KVM_SET_CPUID2, &cpuid), "KVM_SET_CPUID2");
}

/* KVM finds an APIC once its state was set, even to what it is. */
static inline void vcpu_enable_apic(struct vcpu *v)
{
	struct kvm_lapic_state apic;

	must(xioctl(v->fd, KVM_GET_LAPIC, &apic), "KVM_GET_LAPIC");
	apic.regs[0xf1] |= 1;
	must(xioctl(v->fd, KVM_SET_LAPIC, &apic), "KVM_SET_LAPIC");
}

static inline void vm_open(struct vm *vm, enum kind kind, int vcpus)
{
	struct kvm_enc_region region = { .size = MEM_SIZE };
	uint64_t init2[8] = { 0, 1ULL << 32 }; /* GHCB version 1 */
	int i;

	*vm = (struct vm){ .kind = kind, .vcpus = vcpus };
	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm->sev = open("/dev/sev", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0 || vm->sev < 0)
		die("/dev/kvm, /dev/sev");
	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM,
		       kind == SEV_ES_TYPED ? TYPE_SEV_ES : 0);
	if (vm->fd < 0)
		die("KVM_CREATE_VM");
	if (kind == SEV)
		must(sev_cmd(vm, KVM_SEV_INIT, NULL), "SEV_INIT");
	if (kind == SEV_ES)
		must(sev_cmd(vm, KVM_SEV_ES_INIT, NULL), "SEV_ES_INIT");
	if (kind == SEV_ES_TYPED)
		must(sev_cmd(vm, ID_SEV_INIT2, init2), "SEV_INIT2");
	must(xioctl(vm->fd, KVM_CREATE_IRQCHIP, NULL), "KVM_CREATE_IRQCHIP");
	vm->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (vm->mem == MAP_FAILED)
		die("memory");
	vm_set_memory(vm, 0);
	region.addr = (uintptr_t)vm->mem;
	if (kind != PLAIN)
		must(xioctl(vm->fd, KVM_MEMORY_ENCRYPT_REG_REGION, &region),
		     "KVM_MEMORY_ENCRYPT_REG_REGION");
	for (i = 0; i < vcpus; i++)
		vcpu_open(vm, i);
	for (i = 0; i < vcpus; i++)
		vcpu_enable_apic(&vm->vcpu[i]);
}

static inline void vm_close(struct vm *vm)
{
	int size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	int i;

	for (i = 0; i < vm->vcpus; i++) {
		munmap(vm->vcpu[i].run, size);
		close(vm->vcpu[i].fd);
	}
	close(vm->fd);
	munmap(vm->mem, MEM_SIZE);
	close(vm->kvm);
	close(vm->sev);
}

/* The result of KVM_RUN: 0, with the reason in run->exit_reason, or -errno. */
static inline int vcpu_run(struct vcpu *v)
{
	return xioctl(v->fd, KVM_RUN, NULL);
}

/* Complete I/O without going to the guest. */
static inline int vcpu_complete(struct vcpu *v)
{
	int r;

	v->run->immediate_exit = 1;
	r = vcpu_run(v);
	v->run->immediate_exit = 0;
	return r == -EINTR ? 0 : r ? r : -EAGAIN;
}

static inline uint32_t vcpu_mp_state(struct vcpu *v)
{
	struct kvm_mp_state s = { 0 };

	must(xioctl(v->fd, KVM_GET_MP_STATE, &s), "KVM_GET_MP_STATE");
	return s.mp_state;
}

static inline int vcpu_set_mp_state(struct vcpu *v, uint32_t state)
{
	struct kvm_mp_state s = { .mp_state = state };

	return xioctl(v->fd, KVM_SET_MP_STATE, &s);
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

/* These return how many MSRs were got or set, 0 or 1, or -errno. */
static inline int vcpu_get_msr(struct vcpu *v, uint32_t index, uint64_t *value)
{
	struct one_msr m = { .head.nmsrs = 1, .entry.index = index };
	int r = xioctl(v->fd, KVM_GET_MSRS, &m);

	*value = m.entry.data;
	return r;
}

static inline int vcpu_set_msr(struct vcpu *v, uint32_t index, uint64_t value)
{
	struct one_msr m = { .head.nmsrs = 1, .entry.index = index,
			     .entry.data = value };

	return xioctl(v->fd, KVM_SET_MSRS, &m);
}

/* An interrupt, or with the right delivery mode, INIT or a SIPI. */
#define MSI_FIXED 0
#define MSI_INIT 0x4500
#define MSI_SIPI 0x600
static inline int vm_msi(struct vm *vm, int apic_id, uint32_t data)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000U | apic_id << 12,
			       .data = data };

	return xioctl(vm->fd, KVM_SIGNAL_MSI, &msi);
}

/* -- Launch and migration */

static inline void vm_encrypt(struct vm *vm, uint64_t gpa, uint32_t len)
{
	struct range r = { .uaddr = (uintptr_t)vm->mem + gpa, .len = len };

	must(sev_cmd(vm, KVM_SEV_LAUNCH_UPDATE_DATA, &r), "LAUNCH_UPDATE_DATA");
}

static inline void vm_launch_start(struct vm *vm)
{
	struct launch_start s = { .policy = vm->kind >= SEV_ES ? 4 : 0 };

	must(sev_cmd(vm, KVM_SEV_LAUNCH_START, &s), "LAUNCH_START");
}

static inline void vm_launch_finish(struct vm *vm)
{
	uint8_t blob[256];
	struct range m = { .uaddr = (uintptr_t)blob, .len = 48 };

	if (vm->kind >= SEV_ES)
		must(sev_cmd(vm, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL),
		     "LAUNCH_UPDATE_VMSA");
	must(sev_cmd(vm, KVM_SEV_LAUNCH_MEASURE, &m), "LAUNCH_MEASURE");
	must(sev_cmd(vm, KVM_SEV_LAUNCH_FINISH, NULL), "LAUNCH_FINISH");
}

static inline int sev_issue(struct vm *vm, uint32_t id, void *data)
{
	struct sev_issue_cmd cmd = { .cmd = id, .data = (uintptr_t)data };

	return xioctl(vm->sev, SEV_ISSUE_CMD, &cmd);
}

/* Begin a migration between two VMs of this machine. */
static inline void vm_send_start(struct vm *src, struct vm *dst)
{
	static uint8_t pdh[2084], chain[3 * 2084], root[16], session[4096];
	struct sev_user_data_pdh_cert_export export = {
		.pdh_cert_address = (uintptr_t)pdh,
		.pdh_cert_len = sizeof(pdh),
		.cert_chain_address = (uintptr_t)chain,
		.cert_chain_len = sizeof(chain),
	};
	struct send_start s = { 0 };
	struct receive_start r = { 0 };

	must(sev_issue(dst, SEV_PDH_CERT_EXPORT, &export), "PDH_CERT_EXPORT");
	sev_cmd(src, KVM_SEV_SEND_START, &s);
	if (src->fw_error != FW_INVALID_LEN || s.session_len > sizeof(session))
		die("query of SEND_START");
	s.pdh_cert_uaddr = (uintptr_t)pdh;
	s.pdh_cert_len = sizeof(pdh);
	s.plat_certs_uaddr = (uintptr_t)chain;
	s.plat_certs_len = sizeof(chain);
	s.amd_certs_uaddr = (uintptr_t)root;
	s.amd_certs_len = sizeof(root);
	s.session_uaddr = (uintptr_t)session;
	must(sev_cmd(src, KVM_SEV_SEND_START, &s), "SEND_START");
	r.policy = s.policy;
	r.pdh_uaddr = (uintptr_t)pdh;
	r.pdh_len = sizeof(pdh);
	r.session_uaddr = (uintptr_t)session;
	r.session_len = s.session_len;
	must(sev_cmd(dst, KVM_SEV_RECEIVE_START, &r), "RECEIVE_START");
}

static inline void vm_send_pages(struct vm *src, struct vm *dst, uint64_t gpa,
				 uint64_t end)
{
	static uint8_t hdr[52], trans[4096];
	struct data_packet p = {
		.hdr_uaddr = (uintptr_t)hdr, .hdr_len = sizeof(hdr),
		.trans_uaddr = (uintptr_t)trans, .trans_len = sizeof(trans),
		.guest_len = 4096,
	};

	for (; gpa < end; gpa += 4096) {
		p.guest_uaddr = (uintptr_t)src->mem + gpa;
		must(sev_cmd(src, KVM_SEV_SEND_UPDATE_DATA, &p), "SEND_UPDATE_DATA");
		p.guest_uaddr = (uintptr_t)dst->mem + gpa;
		must(sev_cmd(dst, KVM_SEV_RECEIVE_UPDATE_DATA, &p),
		     "RECEIVE_UPDATE_DATA");
	}
}

static inline void vm_send_vmsa(struct vm *src, struct vm *dst, uint32_t id)
{
	static uint8_t hdr[52], trans[4096];
	struct vmsa_packet p = {
		.vcpu_id = id,
		.hdr_uaddr = (uintptr_t)hdr, .hdr_len = sizeof(hdr),
		.trans_uaddr = (uintptr_t)trans, .trans_len = sizeof(trans),
	};

	must(sev_cmd(src, ID_SEND_UPDATE_VMSA, &p), "SEND_UPDATE_VMSA");
	must(sev_cmd(dst, ID_RECEIVE_UPDATE_VMSA, &p), "RECEIVE_UPDATE_VMSA");
}

static inline void vm_send_finish(struct vm *src, struct vm *dst)
{
	must(sev_cmd(src, KVM_SEV_SEND_FINISH, NULL), "SEND_FINISH");
	must(sev_cmd(dst, KVM_SEV_RECEIVE_FINISH, NULL), "RECEIVE_FINISH");
}

#endif
