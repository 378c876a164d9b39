/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything at once: threads that do to a few VMs whatever comes, valid or
 * not, close files and memory under each other, and are killed at the end or
 * before. What is looked for is in the kernel's log, so this is for a kernel
 * that watches its memory and locks. After that no guest may be left in the
 * security processor, and guests must launch and move as ever.
 *
 * chaos_test [STEPS [SEED...]]: steps of each thread, for each seed.
 */
#include "guest.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define THREADS 5
#define SLOTS 6
#define BATCH 24
#define BATCH_MORE 0x80000000U
#define BATCH_ALL 4094
#define CSV_BATCH 24
#define CAP_COPY_CONTEXT 197
#define CAP_MOVE_CONTEXT 206

/* All that a guest may ask for, round and round. */
GUEST_CODE(
"bsp:	GHCB_NEW 0x80000005, 0, 0x12000\n"
"	GHCB_GO\n"
"	GHCB_NEW 0x7b, 0x60001d, 8\n"
"	GHCB_SCRATCH " STR(SCRATCH) "\n"
"	GHCB_GO\n"
"	GHCB_NEW 0x7b, 0x60001d, 8\n"
"	GHCB_SCRATCH 0x40800\n"
"	GHCB_GO\n"
"	GHCB_NEW 0x80000001, 0xd0000000, 8\n"
"	GHCB_SCRATCH 0x40800\n"
"	GHCB_GO\n"
"	mov	%cr0, %rax\n"
"	xor	$0x10000, %rax\n"
"	mov	%rax, %cr0\n"
"	REPORT	%rdi\n"
"	jmp	bsp\n"
"ap:	GHCB_NEW 0x80000004, 0, 0\n"
"	GHCB_GO\n"
"	mov	$6, %eax\n"
"	SET_GHCB\n"
"	VMGEXIT\n"
"	REPORT	%rdi\n"
"	jmp	ap\n");
GUEST_LABEL(bsp);
GUEST_LABEL(ap);

/* -- chance */

struct rng {
	uint64_t s;
};

static uint64_t rnd(struct rng *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static uint32_t below(struct rng *r, uint32_t n) { return rnd(r) % n; }
static bool one_in(struct rng *r, uint32_t n) { return !below(r, n); }

/* -- what all threads of a world share */

/**
 * struct slot - A VM that may be there; everybody takes and closes its files
 * @mem: stays mapped, if not always with access
 */
struct slot {
	atomic_int fd, sev, vcpu[MAX_VCPUS];
	uint8_t *mem;
};

static struct slot slots[SLOTS];
static uint8_t *packets; /* a header and a page for each element of a batch */
static uint8_t pdh[2084], chain[3 * 2084], root[16], session[SLOTS][4096];
static atomic_uint session_len[SLOTS];
static int dev_kvm, dev_sev, run_size;
static int progress;
static long steps;

struct actor {
	struct rng r;
	pthread_t thread;
};

static struct slot *any(struct rng *r) { return &slots[below(r, SLOTS)]; }

static int any_vcpu(struct rng *r, struct slot *s)
{
	return s->vcpu[below(r, one_in(r, 2) ? 1 : MAX_VCPUS)];
}

static void take(atomic_int *fd)
{
	int old = atomic_exchange(fd, -1);

	if (old >= 0)
		close(old);
}

static void *bad_pointer(struct rng *r)
{
	static const uintptr_t at[] = { 0, 1, 0xfff, 0x7ffffffff000,
					0x800000000000, 0xffff888000000000,
					0xfffffffffffff000, 0xffffffffffffffff };

	return (void *)at[below(r, sizeof(at) / sizeof(*at))];
}

static uint32_t any_len(struct rng *r)
{
	static const uint32_t len[] = { 0, 1, 15, 16, 51, 52, 53, 4095, 4096,
					4097, 0x4000, 0x4001, 0x7fffffff,
					0x80000000, 0xfffff000, 0xffffffff };

	return len[below(r, sizeof(len) / sizeof(*len))];
}

static uint64_t any_value(struct rng *r)
{
	switch (below(r, 6)) {
	case 0:
		return 0;
	case 1:
		return GHCB(below(r, 4));
	case 2:
		return (uint64_t)below(r, 4) << 62 | GHCB(below(r, 8));
	case 3:
		return (uint64_t)below(r, 4) << 62 | rnd(r) >> 12 << 12;
	case 4:
		return below(r, 16) | (uint64_t)below(r, 256) << 24;
	default:
		return rnd(r);
	}
}

/* How often a command was tried, and how often KVM did it */
static struct {
	atomic_uint tried, done;
} *seen;

static int sev(struct slot *s, uint32_t id, void *data, struct rng *r)
{
	struct kvm_sev_cmd cmd = { .id = id, .data = (uintptr_t)data,
				   .sev_fd = s->sev };
	int e;

	if (one_in(r, 40))
		cmd.data = (uintptr_t)bad_pointer(r);
	if (one_in(r, 60))
		cmd.sev_fd = one_in(r, 2) ? -1 : s->fd;
	e = xioctl(s->fd, KVM_MEMORY_ENCRYPT_OP, &cmd);
	seen[id % 64].tried++;
	seen[id % 64].done += !e;
	return e;
}

/* -- VMs come and go */

static void add_vcpu(struct slot *s, struct rng *r, int id)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid;
	int fd, none = -1;

	if (!cpuid.head.nent) {
		typeof(cpuid) *c = calloc(1, sizeof(cpuid));

		c->head.nent = 256;
		if (!xioctl(dev_kvm, KVM_GET_SUPPORTED_CPUID, c))
			memcpy(&cpuid, c, sizeof(cpuid));
		free(c);
	}
	fd = ioctl(s->fd, KVM_CREATE_VCPU, id);
	if (fd < 0)
		return;
	ioctl(fd, KVM_SET_CPUID2, &cpuid);
	if (!atomic_compare_exchange_strong(&s->vcpu[id], &none, fd)) {
		close(fd);
		return;
	}
	if (!one_in(r, 8)) {
		struct vcpu v = { .fd = fd };
		struct kvm_lapic_state apic;

		if (!xioctl(v.fd, KVM_GET_LAPIC, &apic)) {
			apic.regs[0xf1] |= 1;
			ioctl(fd, KVM_SET_LAPIC, &apic);
		}
	}
}

static void region(struct slot *s, struct rng *r, bool add)
{
	struct kvm_enc_region e = { .addr = (uintptr_t)s->mem, .size = MEM_SIZE };

	if (one_in(r, 10))
		e.size = any_len(r);
	ioctl(s->fd, add ? KVM_MEMORY_ENCRYPT_REG_REGION :
			   KVM_MEMORY_ENCRYPT_UNREG_REGION, &e);
}

static void memslot(struct slot *s, struct rng *r)
{
	struct kvm_userspace_memory_region m = {
		.memory_size = MEM_SIZE, .userspace_addr = (uintptr_t)s->mem,
		.flags = one_in(r, 3) ? KVM_MEM_LOG_DIRTY_PAGES : 0,
	};

	if (one_in(r, 4))
		m.memory_size = 0;
	ioctl(s->fd, KVM_SET_USER_MEMORY_REGION, &m);
}

static void close_slot(struct slot *s)
{
	int i;

	for (i = 0; i < MAX_VCPUS; i++)
		take(&s->vcpu[i]);
	take(&s->fd);
	take(&s->sev);
}

static void open_slot(struct slot *s, struct rng *r)
{
	struct kvm_userspace_memory_region m = {
		.memory_size = MEM_SIZE, .userspace_addr = (uintptr_t)s->mem,
	};
	enum kind kind = below(r, 8) < 5 ? SEV_ES : below(r, 4);
	uint64_t init2[8] = { 0, 1ULL << 32 };
	int fd, i, n = one_in(r, 3) ? 2 : 1, none = -1;

	close_slot(s);
	if (one_in(r, 20))
		init2[below(r, 2)] = any_value(r);
	fd = ioctl(dev_kvm, KVM_CREATE_VM, kind == SEV_ES_TYPED ? TYPE_SEV_ES :
					   one_in(r, 30) ? 2 : 0);
	if (fd < 0)
		return;
	take(&s->sev);
	s->sev = open("/dev/sev", O_RDWR | O_CLOEXEC);
	if (!atomic_compare_exchange_strong(&s->fd, &none, fd)) {
		close(fd);
		return;
	}
	if (kind == SEV)
		sev(s, KVM_SEV_INIT, NULL, r);
	if (kind == SEV_ES)
		sev(s, KVM_SEV_ES_INIT, NULL, r);
	if (kind == SEV_ES_TYPED)
		sev(s, ID_SEV_INIT2, init2, r);
	if (!one_in(r, 10))
		ioctl(fd, KVM_CREATE_IRQCHIP, NULL);
	ioctl(fd, KVM_SET_USER_MEMORY_REGION, &m);
	region(s, r, true);
	for (i = 0; i < n; i++)
		add_vcpu(s, r, i);
}

static void load(struct slot *s, enum kind kind)
{
	struct vm vm = { .kind = kind, .mem = s->mem };
	struct kvm_sregs sregs;
	int i;

	vm_load(&vm);
	for (i = 0; i < MAX_VCPUS; i++) {
		struct kvm_regs regs = {
			.rip = CODE + ((i ? ap : bsp) - guest_code),
			.rsp = STACKS + 0x1000 * (i + 1), .rflags = 2, .rdi = i,
		};

		if (xioctl(s->vcpu[i], KVM_GET_SREGS, &sregs))
			continue;
		guest_sregs(&sregs);
		ioctl(s->vcpu[i], KVM_SET_SREGS, &sregs);
		ioctl(s->vcpu[i], KVM_SET_REGS, &regs);
	}
}

static void launch(struct slot *s, struct rng *r)
{
	uint8_t blob[256];
	struct launch_start l = { .policy = one_in(r, 4) ? 0 : 4 };
	struct range m = { .uaddr = (uintptr_t)s->mem, .len = SHARED };
	uint32_t last = below(r, 12);

	load(s, l.policy ? SEV_ES : SEV);
	sev(s, KVM_SEV_LAUNCH_START, &l, r);
	sev(s, KVM_SEV_LAUNCH_UPDATE_DATA, &m, r);
	if (last == 0)
		return;
	sev(s, KVM_SEV_LAUNCH_UPDATE_VMSA, NULL, r);
	if (last == 1)
		return;
	m = (struct range){ .uaddr = (uintptr_t)blob, .len = 48 };
	sev(s, KVM_SEV_LAUNCH_MEASURE, &m, r);
	if (last == 2)
		return;
	sev(s, KVM_SEV_LAUNCH_FINISH, NULL, r);
}

/* -- migration */

static void send_start(struct slot *s, struct rng *r)
{
	struct send_start q = { 0 };
	struct send_start a = {
		.pdh_cert_uaddr = (uintptr_t)pdh, .pdh_cert_len = sizeof(pdh),
		.plat_certs_uaddr = (uintptr_t)chain,
		.plat_certs_len = sizeof(chain),
		.amd_certs_uaddr = (uintptr_t)root,
		.amd_certs_len = sizeof(root),
		.session_uaddr = (uintptr_t)session[s - slots],
	};

	sev(s, KVM_SEV_SEND_START, &q, r);
	a.session_len = q.session_len < 4096 ? q.session_len : 4096;
	if (one_in(r, 12))
		(&a.pdh_cert_len)[4 * below(r, 4)] = any_len(r);
	if (!sev(s, KVM_SEV_SEND_START, &a, r))
		session_len[s - slots] = a.session_len;
}

static void receive_start(struct slot *s, struct rng *r)
{
	uint32_t from = below(r, SLOTS);
	struct receive_start a = {
		.policy = one_in(r, 4) ? 0 : 4,
		.pdh_uaddr = (uintptr_t)pdh, .pdh_len = sizeof(pdh),
		.session_uaddr = (uintptr_t)session[from],
		.session_len = session_len[from],
	};

	if (one_in(r, 12))
		a.session_len = any_len(r);
	sev(s, KVM_SEV_RECEIVE_START, &a, r);
}

static void any_packet(struct slot *s, struct rng *r, struct data_packet *p, uint32_t n)
{
	*p = (struct data_packet){
		.hdr_uaddr = (uintptr_t)packets + n * 8192, .hdr_len = 52,
		.guest_uaddr = (uintptr_t)s->mem + 4096 * below(r, 64),
		.guest_len = 4096,
		.trans_uaddr = (uintptr_t)packets + n * 8192 + 4096,
		.trans_len = 4096,
	};
}

static void spoil(struct rng *r, struct data_packet *p)
{
	switch (below(r, 6)) {
	case 0:
		p->hdr_len = any_len(r);
		break;
	case 1:
		p->trans_len = any_len(r);
		break;
	case 2:
		p->guest_len = any_len(r);
		break;
	case 3:
		p->hdr_uaddr = (uintptr_t)bad_pointer(r);
		break;
	case 4:
		p->trans_uaddr = (uintptr_t)bad_pointer(r);
		break;
	case 5:
		p->guest_uaddr = one_in(r, 2) ? (uintptr_t)bad_pointer(r) :
						p->guest_uaddr + below(r, 4096);
		break;
	}
}

static void one_packet(struct slot *s, struct rng *r)
{
	struct data_packet p;

	any_packet(s, r, &p, below(r, BATCH));
	if (one_in(r, 5))
		spoil(r, &p);
	sev(s, one_in(r, 2) ? KVM_SEV_SEND_UPDATE_DATA : KVM_SEV_RECEIVE_UPDATE_DATA, &p, r);
}

static void one_vmsa(struct slot *s, struct rng *r)
{
	uint8_t *at = packets + 8192 * (BATCH + below(r, 4));
	struct vmsa_packet p = {
		.vcpu_id = below(r, one_in(r, 6) ? 8 : 2),
		.hdr_uaddr = (uintptr_t)at, .hdr_len = 52,
		.trans_uaddr = (uintptr_t)at + 4096, .trans_len = 4096,
	};

	if (one_in(r, 10))
		p.hdr_len = any_len(r);
	if (one_in(r, 10))
		p.trans_len = any_len(r);
	sev(s, one_in(r, 2) ? ID_SEND_UPDATE_VMSA : ID_RECEIVE_UPDATE_VMSA, &p, r);
}

struct node {
	uint64_t data, addr, next;
};

static void batch(struct slot *s, struct rng *r, uint32_t id)
{
	uint32_t n = one_in(r, 40) ? BATCH_ALL + below(r, 3) : below(r, BATCH + 1), i;
	struct node *node = calloc(n + 1, sizeof(*node));
	struct data_packet *p = calloc(n + 1, sizeof(*p));
	struct {
		uint32_t id, done;
		uint64_t list;
	} b = { .id = id, .list = n ? (uintptr_t)node : 0 };

	for (i = 0; i < n; i++) {
		any_packet(s, r, &p[i], i % BATCH);
		node[i] = (struct node){ (uintptr_t)&p[i], 0,
					 i + 1 < n ? (uintptr_t)&node[i + 1] : 0 };
	}
	if (n && one_in(r, 6))
		spoil(r, &p[below(r, n)]);
	if (n && one_in(r, 20))
		node[below(r, n)].next = (uintptr_t)&node[below(r, n)];
	if (n && one_in(r, 20))
		node[below(r, n)].data = (uintptr_t)bad_pointer(r);
	if (n && one_in(r, 20))
		node[below(r, n)].next = (uintptr_t)bad_pointer(r);
	if (one_in(r, 3))
		b.id |= BATCH_MORE;
	if (one_in(r, 30))
		b.id = rnd(r);
	sev(s, CSV_BATCH, &b, r);
	free(node);
	free(p);
}

/* A guest of one slot goes to another as it should. */
static void move(struct slot *from, struct slot *to, struct rng *r)
{
	struct {
		struct data_packet d;
		struct vmsa_packet v;
	} p;
	struct receive_start a = {
		.policy = 4, .pdh_uaddr = (uintptr_t)pdh, .pdh_len = sizeof(pdh),
		.session_uaddr = (uintptr_t)session[from - slots],
	};
	uint8_t *at = packets + 8192 * (BATCH + 4 + below(r, 4));
	uint32_t i;

	send_start(from, r);
	a.session_len = session_len[from - slots];
	sev(to, KVM_SEV_RECEIVE_START, &a, r);
	for (i = 0; i < SHARED / 4096; i++) {
		p.d = (struct data_packet){
			(uintptr_t)at, 52, 0, (uintptr_t)from->mem + 4096 * i, 4096,
			0, (uintptr_t)at + 4096, 4096, 0 };
		if (sev(from, KVM_SEV_SEND_UPDATE_DATA, &p, r))
			break;
		p.d.guest_uaddr = (uintptr_t)to->mem + 4096 * i;
		if (sev(to, KVM_SEV_RECEIVE_UPDATE_DATA, &p, r))
			break;
	}
	for (i = below(r, 8); i < 8; i++) {
		batch(from, r, KVM_SEV_SEND_UPDATE_DATA);
		batch(to, r, KVM_SEV_RECEIVE_UPDATE_DATA);
	}
	for (i = 0; i < 2; i++) {
		p.v = (struct vmsa_packet){ i, 0, (uintptr_t)at, 52, 0,
					    (uintptr_t)at + 4096, 4096, 0 };
		sev(from, ID_SEND_UPDATE_VMSA, &p.v, r);
		sev(to, ID_RECEIVE_UPDATE_VMSA, &p.v, r);
	}
	sev(from, KVM_SEV_SEND_FINISH, NULL, r);
	sev(to, KVM_SEV_RECEIVE_FINISH, NULL, r);
}

/* A command with arguments of no particular kind */
static void any_command(struct slot *s, struct rng *r)
{
	uint64_t arg[12];
	uint32_t i;

	for (i = 0; i < 12; i++)
		arg[i] = one_in(r, 3) ? (uintptr_t)s->mem + 16 * below(r, 65536) :
			 one_in(r, 2) ? any_len(r) : any_value(r);
	sev(s, one_in(r, 20) ? rnd(r) : below(r, 32), arg, r);
}

/* -- vCPUs */

static void run(struct slot *s, struct rng *r)
{
	uint32_t i;
	int fd = any_vcpu(r, s);
	struct kvm_run *run;

	run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run == MAP_FAILED)
		return;
	run->immediate_exit = one_in(r, 3);
	for (i = below(r, 8); i < 8; i++)
		if (xioctl(fd, KVM_RUN, NULL) < 0)
			break;
	munmap(run, run_size);
}

static void msr(int fd, struct rng *r)
{
	static const uint32_t index[] = { MSR_GHCB, MSR_GHCB, MSR_GHCB, 0xc0000080, 0x1d9,
					  0x1b, 0xda0, 0xc0000103, 0xc0010131, 0x277 };
	struct one_msr m = { .head.nmsrs = 1, .entry.data = any_value(r),
			     .entry.index = index[below(r, 10)] };

	if (one_in(r, 2))
		ioctl(fd, KVM_GET_MSRS, &m);
	if (one_in(r, 2))
		ioctl(fd, KVM_SET_MSRS, &m);
}

static void sregs(int fd, struct rng *r)
{
	static const unsigned long nr[][2] = {
		{ KVM_GET_SREGS, KVM_SET_SREGS }, { KVM_GET_SREGS2, KVM_SET_SREGS2 } };
	uint32_t two = below(r, 2);
	union {
		struct kvm_sregs one;
		struct kvm_sregs2 two;
	} s = { 0 };

	ioctl(fd, nr[two][0], &s);
	switch (below(r, 8)) {
	case 0:
		s.one.cr0 ^= 1ULL << below(r, 64);
		break;
	case 1:
		s.one.cr4 ^= 1ULL << below(r, 64);
		break;
	case 2:
		s.one.cr8 = rnd(r);
		break;
	case 3:
		s.one.efer ^= 1ULL << below(r, 16);
		break;
	case 4:
		s.one.apic_base ^= 1ULL << below(r, 40);
		break;
	case 5:
		s.one.cr3 = rnd(r);
		break;
	}
	ioctl(fd, nr[two][1], &s);
}

static void vcpu(struct slot *s, struct rng *r)
{
	int fd = any_vcpu(r, s);
	union {
		struct kvm_mp_state mp;
		struct kvm_vcpu_events events;
		struct kvm_guest_debug debug;
		struct kvm_regs regs;
		struct kvm_fpu fpu;
		struct kvm_translation tr;
		struct kvm_xsave xsave;
		struct kvm_lapic_state apic;
		struct kvm_interrupt irq;
		struct kvm_debugregs dr;
		struct kvm_xcrs xcrs;
	} u = { 0 };

	switch (below(r, 14)) {
	case 0:
		u.mp.mp_state = below(r, 11);
		ioctl(fd, KVM_SET_MP_STATE, &u);
		break;
	case 1:
		ioctl(fd, KVM_GET_MP_STATE, &u);
		ioctl(fd, KVM_SET_MP_STATE, &u);
		break;
	case 2:
		ioctl(fd, KVM_GET_VCPU_EVENTS, &u);
		if (one_in(r, 3))
			((uint8_t *)&u)[below(r, sizeof(u.events))] = rnd(r);
		ioctl(fd, KVM_SET_VCPU_EVENTS, &u);
		break;
	case 3:
		u.debug.control = one_in(r, 2) ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP : 0;
		ioctl(fd, KVM_SET_GUEST_DEBUG, &u);
		break;
	case 4:
		ioctl(fd, KVM_GET_REGS, &u);
		ioctl(fd, KVM_SET_REGS, &u);
		break;
	case 5:
		ioctl(fd, KVM_GET_FPU, &u);
		ioctl(fd, KVM_SET_FPU, &u);
		break;
	case 6:
		ioctl(fd, KVM_GET_XSAVE, &u);
		ioctl(fd, KVM_SET_XSAVE, &u);
		break;
	case 7:
		u.tr.linear_address = any_value(r);
		ioctl(fd, KVM_TRANSLATE, &u);
		break;
	case 8:
		ioctl(fd, KVM_GET_LAPIC, &u);
		ioctl(fd, KVM_SET_LAPIC, &u);
		break;
	case 9:
		ioctl(fd, one_in(r, 2) ? KVM_NMI : KVM_SMI, 0);
		break;
	case 10:
		u.irq.irq = below(r, 300);
		ioctl(fd, KVM_INTERRUPT, &u);
		break;
	case 11:
		ioctl(fd, KVM_GET_DEBUGREGS, &u);
		ioctl(fd, KVM_SET_DEBUGREGS, &u);
		break;
	case 12:
		ioctl(fd, KVM_GET_XCRS, &u);
		ioctl(fd, KVM_SET_XCRS, &u);
		break;
	case 13:
		ioctl(fd, KVM_KVMCLOCK_CTRL, 0);
		break;
	}
}

static void reset(struct slot *s, struct rng *r)
{
	switch (below(r, 4)) {
	case 0:
		ioctl(s->fd, NR_PRE_SYSTEM_RESET, 0);
		break;
	case 1:
		ioctl(s->fd, NR_POST_SYSTEM_RESET, 0);
		break;
	default:
		ioctl(s->fd, NR_PRE_SYSTEM_RESET, 0);
		if (one_in(r, 2))
			vcpu(s, r);
		if (one_in(r, 2))
			sregs(any_vcpu(r, s), r);
		ioctl(s->fd, NR_POST_SYSTEM_RESET, 0);
	}
}

/* -- VMs, memory, /dev/sev */

static void attribute(struct slot *s, struct rng *r)
{
	static const unsigned long nr[] = { KVM_HAS_DEVICE_ATTR, KVM_GET_DEVICE_ATTR,
					    KVM_SET_DEVICE_ATTR };
	uint64_t value = any_value(r);
	struct kvm_device_attr a = {
		.flags = one_in(r, 20),
		.group = one_in(r, 8) ? below(r, 4) : GRP_SEV,
		.attr = one_in(r, 2) ? ATTR_AP_JUMP_TABLE : below(r, 0x110),
		.addr = (uintptr_t)(one_in(r, 10) ? bad_pointer(r) : &value),
	};

	ioctl(one_in(r, 4) ? dev_kvm : (int)s->fd, nr[below(r, 3)], &a);
}

static void context(struct slot *s, struct rng *r)
{
	struct kvm_enable_cap c = {
		.cap = one_in(r, 2) ? CAP_COPY_CONTEXT : CAP_MOVE_CONTEXT,
		.args[0] = any(r)->fd,
	};

	ioctl(s->fd, KVM_ENABLE_CAP, &c);
}

static void message(struct slot *s, struct rng *r)
{
	static const uint32_t data[] = { MSI_FIXED | 0x50, MSI_INIT, MSI_SIPI, 0x400 };
	struct kvm_msi msi = { .address_lo = 0xfee00000U | below(r, 3) << 12,
			       .data = data[below(r, 4)] };

	ioctl(s->fd, KVM_SIGNAL_MSI, &msi);
}

static void memory(struct slot *s, struct rng *r)
{
	uint8_t *at = s->mem + 4096 * below(r, 256);
	struct kvm_dirty_log log = { 0 };

	switch (below(r, 7)) {
	case 0:
		madvise(at, 4096, MADV_DONTNEED);
		break;
	case 1:
		mmap(at, 4096, PROT_READ | PROT_WRITE,
		     MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		break;
	case 2:
		/* Not where load() writes */
		if (at < s->mem + SHARED)
			at += SHARED;
		mprotect(at, 4096, PROT_READ);
		sched_yield();
		mprotect(at, 4096, PROT_READ | PROT_WRITE);
		break;
	case 3:
		region(s, r, one_in(r, 2));
		break;
	case 4:
		memslot(s, r);
		break;
	case 5:
		log.dirty_bitmap = one_in(r, 4) ? bad_pointer(r) : packets;
		ioctl(s->fd, KVM_GET_DIRTY_LOG, &log);
		break;
	case 6:
		mprotect(packets + 4096 * below(r, 2 * BATCH), 4096,
			 one_in(r, 2) ? PROT_NONE : PROT_READ | PROT_WRITE);
		break;
	}
}

static void platform(struct rng *r)
{
	uint8_t data[64] = { 0 };
	struct sev_user_data_pdh_cert_export e = {
		.pdh_cert_address = (uintptr_t)pdh, .pdh_cert_len = sizeof(pdh),
		.cert_chain_address = (uintptr_t)chain,
		.cert_chain_len = sizeof(chain),
	};
	struct sev_issue_cmd c = { .cmd = SEV_PLATFORM_STATUS,
				   .data = (uintptr_t)data };

	switch (below(r, 4)) {
	case 0:
		c.cmd = SEV_PDH_CERT_EXPORT;
		c.data = (uintptr_t)&e;
		break;
	case 1:
		/* Nobody's real platform is changed. */
		if (getenv("CSVVMM_IN_LAB"))
			c.cmd = SEV_PDH_GEN;
		break;
	}
	ioctl(dev_sev, SEV_ISSUE_CMD, &c);
}

static void step(struct rng *r)
{
	struct slot *s = any(r);

	switch (below(r, 100)) {
	case 0 ... 3:
		open_slot(s, r);
		break;
	case 4 ... 7:
		open_slot(s, r);
		launch(s, r);
		break;
	case 8 ... 9:
		launch(s, r);
		break;
	case 10:
		close_slot(s);
		break;
	case 11:
		take(&s->sev);
		s->sev = open("/dev/sev", O_RDWR | O_CLOEXEC);
		break;
	case 12:
		take(&s->vcpu[below(r, MAX_VCPUS)]);
		break;
	case 13 ... 14:
		add_vcpu(s, r, below(r, MAX_VCPUS));
		break;
	case 15 ... 16:
		send_start(s, r);
		break;
	case 17 ... 18:
		receive_start(s, r);
		break;
	case 19 ... 23:
		one_packet(s, r);
		break;
	case 24 ... 31:
		batch(s, r, one_in(r, 2) ? KVM_SEV_SEND_UPDATE_DATA :
					   KVM_SEV_RECEIVE_UPDATE_DATA);
		break;
	case 32 ... 36:
		one_vmsa(s, r);
		break;
	case 37:
		move(s, any(r), r);
		break;
	case 38 ... 39:
		open_slot(s, r);
		launch(s, r);
		open_slot(&slots[(s - slots + 1) % SLOTS], r);
		move(s, &slots[(s - slots + 1) % SLOTS], r);
		break;
	case 40:
		sev(s, one_in(r, 3) ? KVM_SEV_SEND_FINISH :
		       one_in(r, 2) ? KVM_SEV_RECEIVE_FINISH : ID_SEND_CANCEL, NULL, r);
		break;
	case 41 ... 43:
		any_command(s, r);
		break;
	case 44 ... 55:
		run(s, r);
		break;
	case 56 ... 63:
		msr(any_vcpu(r, s), r);
		break;
	case 64 ... 69:
		sregs(any_vcpu(r, s), r);
		break;
	case 70 ... 77:
		vcpu(s, r);
		break;
	case 78 ... 84:
		reset(s, r);
		break;
	case 85 ... 87:
		attribute(s, r);
		break;
	case 88 ... 89:
		context(s, r);
		break;
	case 90 ... 92:
		message(s, r);
		break;
	case 93 ... 97:
		memory(s, r);
		break;
	case 98 ... 99:
		platform(r);
		break;
	}
}

static void *act(void *arg)
{
	struct actor *a = arg;
	struct sigevent e = { .sigev_notify = SIGEV_THREAD_ID,
			      .sigev_signo = SIGUSR1 };
	struct itimerspec t = { { 0, 20000000 }, { 0, 20000000 } };
	timer_t timer;
	long i;

	/* A vCPU may wait for ever; this ends it. */
	e._sigev_un._tid = syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &e, &timer) ||
	    timer_settime(timer, 0, &t, NULL))
		die("timer");
	for (i = 0; i < steps; i++) {
		step(&a->r);
		while (i % 32 == 0 && write(progress, "x", 1) < 0 && errno == EINTR)
			;
	}
	timer_delete(timer);
	return NULL;
}

__attribute__((noreturn)) static void world(uint64_t seed)
{
	struct actor a[THREADS];
	int i, j;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	guest_signals();
	dev_kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	dev_sev = open("/dev/sev", O_RDWR | O_CLOEXEC);
	run_size = ioctl(dev_kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	packets = mmap(NULL, 8192 * (BATCH + 8), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < SLOTS; i++) {
		slots[i].fd = slots[i].sev = -1;
		for (j = 0; j < MAX_VCPUS; j++)
			slots[i].vcpu[j] = -1;
		slots[i].mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	}
	for (i = 0; i < THREADS; i++) {
		a[i].r.s = seed * 1000 + i;
		pthread_create(&a[i].thread, NULL, act, &a[i]);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(a[i].thread, NULL);
	_exit(0);
}

/* -- the end of the world, and what is after it */

/* Odd seeds are killed in the middle. */
static void live(uint64_t seed)
{
	struct rng r = { seed };
	long all = THREADS * ((steps + 31) / 32);
	long n = 0, end = seed & 1 ? 1 + (long)below(&r, all) : all + 1;
	int p[2], status;
	pid_t pid;
	char c;

	if (pipe(p))
		die("pipe");
	pid = fork();
	if (!pid) {
		close(p[0]);
		progress = p[1];
		world(seed);
	}
	close(p[1]);
	while (n < end && read(p[0], &c, 1) == 1)
		n++;
	if (seed & 1)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(p[0]);
	printf("# seed %llu: %ld of %ld parts, status %#x\n",
	       (unsigned long long)seed, n, all, status);
	CHECK(seed & 1 ? status == SIGKILL : !status);
}

static unsigned guests(void)
{
	struct sev_user_data_status s = { 0 };
	struct vm vm = { .sev = open("/dev/sev", O_RDWR) };

	must(sev_issue(&vm, SEV_PLATFORM_STATUS, &s), "PLATFORM_STATUS");
	close(vm.sev);
	return s.guest_count;
}

/* VMs go when the last of their files does, which KVM may still have. */
static void none_left(void)
{
	int i;

	for (i = 0; i < 100 && guests(); i++)
		usleep(100000);
	CHECK_EQ(guests(), 0);
}

static void as_ever(enum kind kind)
{
	struct vm vm, to;

	vm_open(&vm, kind, 2);
	vm_load(&vm);
	vm_launch(&vm, bsp, ap);
	if (kind != SEV && on_hygon()) {
		CHECK_EQ(vcpu_run(&vm.vcpu[0]), 0);
		CHECK_EQ(xioctl(vm.fd, NR_PRE_SYSTEM_RESET, NULL), 0);
		CHECK_EQ(xioctl(vm.fd, NR_POST_SYSTEM_RESET, NULL), 0);
		CHECK_EQ(vcpu_run(&vm.vcpu[0]), 0);
		CHECK_EQ(vcpu_complete(&vm.vcpu[0]), 0);
	}
	vm_open(&to, kind, 2);
	vm_send_start(&vm, &to);
	vm_send_pages(&vm, &to, 0, SHARED);
	if (kind != SEV)
		vm_send_vmsa(&vm, &to, 0);
	vm_send_finish(&vm, &to);
	vm_close(&vm);
	vm_close(&to);
}

int main(int argc, char **argv)
{
	uint64_t seed;
	int i;

	need_sev();
	seen = mmap(NULL, 64 * sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		die("mmap");
	steps = argc > 1 ? atol(argv[1]) : 400;
	for (i = 2; i < argc || (argc < 3 && i < 6); i++) {
		seed = argc < 3 ? (uint64_t)i - 1 : strtoull(argv[i], NULL, 0);
		TEST(live(seed));
		TEST(none_left());
	}
	TEST(as_ever(SEV));
	TEST(as_ever(SEV_ES));
	TEST(as_ever(SEV_ES_TYPED));
	TEST(none_left());
	for (i = 0; i < 64; i++)
		if (seen[i].done)
			printf("# command %d: %u of %u\n", i, seen[i].done, seen[i].tried);
	return test_report();
}
