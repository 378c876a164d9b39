// SPDX-License-Identifier: GPL-2.0-or-later
/* KVM_SEV_SEND_UPDATE_VMSA and KVM_SEV_RECEIVE_UPDATE_VMSA. */
#include "guest.h"

/*
 * count: counts in r12, memory and xmm5, and reports r12.
 * spin: runs for ever. halt: waits for interrupt 0x40 with HLT.
 */
GUEST_CODE(
"count:	xor	%r12, %r12\n"
"	mov	$1, %eax\n"
"	pxor	%xmm5, %xmm5\n"
"	movq	%rax, %xmm6\n"
"1:	inc	%r12\n"
"	paddq	%xmm6, %xmm5\n"
"	incq	" STR(DATA) "\n"
"	REPORT	%r12\n"
"	movq	%xmm5, %rbx\n"
"	cmp	%rbx, %r12\n"
"	jne	2f\n"
"	cmp	" STR(DATA) ", %r12\n"
"	je	1b\n"
"	FAIL	2\n"
"2:	FAIL	1\n"
"spin:	lock; incq	" STR(SCRATCH) "\n"
"	jmp	spin\n"
"halt:	mov	$0x77, %r13d\n"
"	REPORT	%r13\n"
"1:	sti\n"
"	hlt\n"
"	cli\n"
"	incq	" STR(SCRATCH) "\n"
"	cmp	$0, %r14\n"
"	je	1b\n"
"	REPORT	%r14\n"
"isr:	mov	$0x40, %r14d\n"
"	iretq\n");
GUEST_LABEL(count);
GUEST_LABEL(spin);
GUEST_LABEL(halt);
GUEST_LABEL(isr);

static uint8_t hdr[65536], trans[65536];

static struct vmsa_packet packet(uint32_t id)
{
	return (struct vmsa_packet){
		.vcpu_id = id,
		.hdr_uaddr = (uintptr_t)hdr, .hdr_len = 52,
		.trans_uaddr = (uintptr_t)trans, .trans_len = 4096,
	};
}

static void test_extension(void)
{
	int kvm = open("/dev/kvm", O_RDWR);
	uint64_t ext = 0;

	CHECK_EQ(get_attr(kvm, KVM_HAS_DEVICE_ATTR, GRP_SEV,
			  ATTR_SEV_EXTENSIONS, NULL), 0);
	CHECK_EQ(get_attr(kvm, KVM_GET_DEVICE_ATTR, GRP_SEV,
			  ATTR_SEV_EXTENSIONS, &ext), 0);
	CHECK(ext & EXT_UPDATE_VMSA);
	CHECK_EQ(!!(ext & EXT_PROTECTED_SREGS), on_hygon());
	CHECK_EQ(!!(ext & EXT_SYSTEM_RESET), on_hygon());
	close(kvm);
}

static void test_wrong_kind(enum kind kind)
{
	struct vmsa_packet p = packet(0);
	struct vm vm;

	vm_open(&vm, kind, 1);
	vm_load(&vm);
	if (kind == SEV)
		vm_launch(&vm, count, count);
	CHECK_EQ(sev_cmd(&vm, ID_SEND_UPDATE_VMSA, &p), -ENOTTY);
	CHECK_EQ(sev_cmd(&vm, ID_RECEIVE_UPDATE_VMSA, &p), -ENOTTY);
	vm_close(&vm);
}

/* Guest goes on where it was, and the vCPU is as good as a launched one. */
static void test_migrate(enum kind kind)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE };
	struct vm src, dst;
	int i, k;

	vm_open(&src, kind, 2);
	vm_load(&src);
	/* one counter is in memory: the second vCPU never runs */
	vm_launch(&src, count, spin);
	for (i = 1; i <= 10; i++)
		CHECK_EQ(vcpu_report(&src.vcpu[0]), i);
	for (k = 0; k < 3; k++) {
		vm_open(&dst, kind, 2);
		vm_migrate(&src, &dst);
		CHECK_EQ(vcpu_mp_state(&dst.vcpu[0]), KVM_MP_STATE_RUNNABLE);
		CHECK_EQ(xioctl(dst.vcpu[0].fd, KVM_SET_GUEST_DEBUG, &debug),
			 -EINVAL);
		vm_close(&src);
		for (; i <= 20 + 10 * k; i++)
			CHECK_EQ(vcpu_report(&dst.vcpu[0]), i);
		src = dst;
	}
	vm_close(&src);
}

static void test_send_arguments(void)
{
	struct vmsa_packet p;
	void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vm src, dst;
	int i;

	vm_open(&src, SEV_ES, 2);
	vm_open(&dst, SEV_ES, 2);
	vm_load(&src);

	p = packet(0);
	CHECK(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p) == -EINVAL);

	vm_launch(&src, count, count);
	CHECK_EQ(vcpu_report(&src.vcpu[0]), 1);

	/* no SEND_START yet; VMMs ask for the lengths before it */
	p = packet(0);
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EIO);
	CHECK_EQ(src.fw_error, FW_INVALID_GUEST_STATE);
	p.trans_len = 0;
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EIO);
	CHECK_EQ(src.fw_error, FW_INVALID_LEN);

	vm_send_start(&src, &dst);

	/* query, by any of the lengths */
	for (i = 0; i < 3; i++) {
		p = packet(77);
		p.hdr_uaddr = p.trans_uaddr = 0;
		p.hdr_len = i & 1 ? 52 : 0;
		p.trans_len = i & 2 ? 4096 : 0;
		CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EIO);
		CHECK_EQ(src.fw_error, FW_INVALID_LEN);
		CHECK_EQ(p.hdr_len, 52);
		CHECK_EQ(p.trans_len, 4096);
	}

	/* vCPUs that aren't there */
	for (i = 0; i < 4; i++) {
		static const uint32_t bad[] = { 2, 4095, 0x7fffffff, 0xffffffff };

		p = packet(bad[i]);
		CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EINVAL);
	}

	/* pointers */
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, NULL), -EFAULT);
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, hole), -EFAULT);
	p = packet(0);
	p.hdr_uaddr = 0;
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0);
	p.trans_uaddr = 0;
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0);
	p.hdr_uaddr = (uintptr_t)hole;
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EFAULT);
	p = packet(0);
	p.trans_uaddr = (uintptr_t)hole;
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EFAULT);

	/* lengths */
	p = packet(0);
	p.hdr_len = 16385;
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0);
	p.trans_len = 16385;
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0);
	p.trans_len = 0xffffffff;
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0);
	p.hdr_len = 51;
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EIO);
	CHECK_EQ(src.fw_error, FW_INVALID_LEN);
	p = packet(0);
	p.trans_len = 4095;
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EIO);
	CHECK_EQ(src.fw_error, FW_INVALID_LEN);
	p = packet(0);
	p.hdr_len = p.trans_len = 16384;
	hdr[16384] = trans[16384] = 0xa5;
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), 0);
	CHECK(hdr[16384] == 0xa5 && trans[16384] == 0xa5);
	for (i = 4096; i < 16384 && !trans[i]; i++)
		;
	CHECK_EQ(i, 16384);

	/* a cancelled migration, and the guest is still there */
	CHECK_EQ(sev_cmd(&src, ID_SEND_CANCEL, NULL), 0);
	p = packet(0);
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EIO);
	CHECK_EQ(src.fw_error, FW_INVALID_GUEST_STATE);
	CHECK_EQ(vcpu_report(&src.vcpu[0]), 2);
	vm_close(&src);
	vm_close(&dst);
}

static void test_receive_arguments(void)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE };
	void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vmsa_packet p;
	struct vm src, dst;

	vm_open(&src, SEV_ES, 2);
	vm_open(&dst, SEV_ES, 2);
	vm_load(&src);
	vm_launch(&src, count, count);
	CHECK_EQ(vcpu_report(&src.vcpu[0]), 1);

	/* no RECEIVE_START yet */
	p = packet(0);
	CHECK(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p) < 0);

	vm_send_start(&src, &dst);
	vm_send_pages(&src, &dst, 0, SHARED);
	p = packet(0);
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), 0);

	p = packet(2);
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0xffffffff);
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EINVAL);
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, NULL), -EFAULT);
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, hole), -EFAULT);
	p = packet(0);
	p.hdr_uaddr = 0;
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0);
	p.trans_uaddr = 0;
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0);
	p.hdr_len = 0;
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0);
	p.trans_len = 0;
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0);
	p.hdr_len = 16385;
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0);
	p.trans_len = 16385;
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EINVAL);
	p = packet(0);
	p.hdr_uaddr = (uintptr_t)hole;
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EFAULT);
	p = packet(0);
	p.trans_uaddr = (uintptr_t)hole;
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EFAULT);
	p = packet(0);
	p.trans_len = 4080;
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EIO);
	CHECK_EQ(dst.fw_error, FW_INVALID_LEN);

	/* damaged: refused by the firmware, and the vCPU isn't protected */
	trans[100] ^= 1;
	p = packet(0);
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EIO);
	CHECK_EQ(dst.fw_error, FW_BAD_MEASUREMENT);
	trans[100] ^= 1;

	CHECK_EQ(xioctl(dst.vcpu[0].fd, KVM_SET_GUEST_DEBUG, &debug), 0);
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EINVAL);
	debug.control = 0;
	CHECK_EQ(xioctl(dst.vcpu[0].fd, KVM_SET_GUEST_DEBUG, &debug), 0);

	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), 0);
	/* once */
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), -EINVAL);
	p = packet(1);
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), 0);
	CHECK_EQ(sev_cmd(&dst, ID_RECEIVE_UPDATE_VMSA, &p), 0);
	/* the other way round */
	CHECK_EQ(sev_cmd(&dst, ID_SEND_UPDATE_VMSA, &p), -EIO);
	CHECK_EQ(dst.fw_error, FW_INVALID_GUEST_STATE);
	vm_send_finish(&src, &dst);
	vm_close(&src);
	CHECK_EQ(vcpu_report(&dst.vcpu[0]), 2);
	vm_close(&dst);
}

/* A guest that is being sent, and the VM that it could go to */
static void open_sending(struct vm *src, struct vm *dst, enum kind kind,
			 const uint8_t *code)
{
	vm_open(src, kind, 1);
	vm_open(dst, kind, 1);
	vm_load(src);
	vm_launch(src, code, code);
	vm_send_start(src, dst);
}

/* A vCPU that runs is refused, not waited for. */
static void test_busy(void)
{
	struct vmsa_packet p = packet(0);
	volatile uint64_t *counter;
	struct vm src, dst;
	pthread_t t;

	open_sending(&src, &dst, SEV_ES, spin);
	counter = (uint64_t *)(src.mem + SCRATCH);
	pthread_create(&t, NULL, vcpu_thread, &src.vcpu[0]);
	while (!*counter)
		usleep(1000);
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), -EBUSY);
	CHECK_EQ(vcpu_stop(&src.vcpu[0], t), -EINTR);
	CHECK_EQ(sev_cmd(&src, ID_SEND_UPDATE_VMSA, &p), 0);
	vm_close(&src);
	vm_close(&dst);
}

/* What is longer than anything the firmware writes isn't allocated. */
static void test_data_lengths(enum kind kind)
{
	static const uint32_t bad[] = { 16385, 0x800000, 0x7fffffff, 0xffffffff };
	static uint8_t hdr[16384], trans[16384];
	struct data_packet good = {
		.hdr_uaddr = (uintptr_t)hdr, .hdr_len = sizeof(hdr),
		.trans_uaddr = (uintptr_t)trans, .trans_len = sizeof(trans),
		.guest_len = 4096,
	}, p;
	struct vm src, dst;
	int i;

	open_sending(&src, &dst, kind, count);
	good.guest_uaddr = (uintptr_t)src.mem;
	for (i = 0; i < 4; i++) {
		p = good;
		p.hdr_len = bad[i];
		CHECK_EQ(sev_cmd(&src, KVM_SEV_SEND_UPDATE_DATA, &p), -EINVAL);
		p = good;
		p.trans_len = bad[i];
		CHECK_EQ(sev_cmd(&src, KVM_SEV_SEND_UPDATE_DATA, &p), -EINVAL);
	}
	p = good;
	CHECK_EQ(sev_cmd(&src, KVM_SEV_SEND_UPDATE_DATA, &p), 0);
	vm_close(&src);
	vm_close(&dst);
}

/* A halted vCPU is woken by an interrupt on the other side, too. */
static void test_halted(void)
{
	struct vm src, dst;

	vm_open(&src, SEV_ES, 1);
	vm_open(&dst, SEV_ES, 1);
	vm_load(&src);
	guest_handler(&src, 0x40, isr);
	vm_launch(&src, halt, halt);
	CHECK_EQ(vcpu_report(&src.vcpu[0]), 0x77);
	vcpu_run_to_wait(&src.vcpu[0]);
	CHECK_EQ(vcpu_mp_state(&src.vcpu[0]), KVM_MP_STATE_HALTED);
	vm_migrate(&src, &dst);
	vcpu_move(&src.vcpu[0], &dst.vcpu[0]);
	CHECK_EQ(*(uint64_t *)(dst.mem + SCRATCH), 0);
	CHECK_EQ(vm_msi(&dst, 0, 0x40), 1);
	CHECK_EQ(vcpu_report_soon(&dst.vcpu[0]), 0x40);
	CHECK(*(uint64_t *)(dst.mem + SCRATCH) <= 2);
	vm_close(&src);
	vm_close(&dst);
}

int main(void)
{
	need_sev();
	guest_signals();
	TEST(test_extension());
	TEST(test_wrong_kind(PLAIN));
	TEST(test_wrong_kind(SEV));
	TEST(test_migrate(SEV_ES));
	TEST(test_migrate(SEV_ES_TYPED));
	TEST(test_send_arguments());
	TEST(test_receive_arguments());
	TEST(test_data_lengths(SEV));
	TEST(test_data_lengths(SEV_ES));
	TEST(test_busy());
	TEST(test_halted());
	return test_report();
}
