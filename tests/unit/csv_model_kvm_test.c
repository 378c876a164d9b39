/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that counts, on this machine's KVM: measured and launched through
 * one platform, it is stopped, handed over by a batch and its VMSA, and counts
 * on through the other, in another VM.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/csv.h"
#include "core/gmem.h"
#include "core/kvm.h"
#include "core/util.h"
#include "psp/cert.h"
#include "vmm/csv_model.h"

#define RAM   MIB(1)
#define PAGES (RAM / 4096)
#define CODE  0x1000
#define COUNT 0x2000

/* 16-bit: mov dx, 16; again: inc bx; mov [COUNT], bx; mov ax, bx; out dx, ax;
 * jmp again. With debug and system registers that tell where they come from. */
static const uint8_t code[] = { 0xba, 0x10, 0x00, 0x43, 0x89, 0x1e, 0x00,
				0x20, 0x89, 0xd8, 0xef, 0xeb, 0xf6 };

struct side {
	struct gmem gm;
	uint8_t *ram;
	int vm_fd, vcpu_fd;
	struct kvm_run *run;
	struct csv_model *m;
	struct csv csv;
};

static struct side side[2];
static int kvm_fd;

static void side_new(struct side *s, enum psp_profile profile)
{
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid(kvm_fd);
	struct iovec iov;

	assert_non_null(cpuid);
	assert_int_equal(gmem_init(&s->gm, RAM, false), 0);
	assert_int_equal(gmem_iov(&s->gm, 0, RAM, true, &iov), 0);
	s->ram = iov.iov_base;
	s->vm_fd = kvm_create_vm(kvm_fd, &s->gm);
	assert_true(s->vm_fd >= 0);
	s->vcpu_fd = kvm_create_vcpu(kvm_fd, s->vm_fd, 0, &s->run);
	assert_true(s->vcpu_fd >= 0);
	assert_int_equal(kvm_ioctl(s->vcpu_fd, KVM_SET_CPUID2, cpuid), 0);
	free(cpuid);
	assert_int_equal(csv_model_open(profile, VMSA_HOST_MAINLINE_6_12, &s->m),
			 0);
	csv_open(&s->csv, &csv_model_backend, s->m);
	assert_int_equal(csv_init(&s->csv, true, NULL), 0);
	assert_int_equal(csv_model_add_vcpu(s->m, s->vcpu_fd), 0);
	assert_int_equal(csv_region(&s->csv, s->ram, RAM, true), 0);
}

static void side_free(struct side *s)
{
	csv_close(&s->csv);
	(void)munmap(s->run, (size_t)kvm_run_size(kvm_fd));
	(void)close(s->vcpu_fd);
	(void)close(s->vm_fd);
	gmem_fini(&s->gm);
}

/* Where it begins, and what only the VMSA can carry to the other side. */
static void boot(struct side *s)
{
	struct kvm_debugregs d = { .db = { 1, 2, 3, 4 },
				   .dr6 = 0xffff0ff0,
				   .dr7 = 0x400 };
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[3];
	} m = { .head.nmsrs = 3,
		.entry = { { .index = 0xc0000082, .data = 0x1234567000 },
			   { .index = 0xc0000102, .data = 0x7654321000 },
			   { .index = 0x175, .data = 0xfee1dead } } };
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = CODE, .rflags = 2, .r15 = 0x15151515 };

	memcpy(s->ram + CODE, code, sizeof(code));
	assert_int_equal(kvm_ioctl(s->vcpu_fd, KVM_GET_SREGS, &sregs), 0);
	sregs.cs.base = sregs.cs.selector = 0;
	sregs.cr2 = 0x2222;
	assert_int_equal(kvm_ioctl(s->vcpu_fd, KVM_SET_SREGS, &sregs), 0);
	assert_int_equal(kvm_ioctl(s->vcpu_fd, KVM_SET_REGS, &regs), 0);
	assert_int_equal(kvm_ioctl(s->vcpu_fd, KVM_SET_DEBUGREGS, &d), 0);
	assert_int_equal(kvm_ioctl(s->vcpu_fd, KVM_SET_MSRS, &m), 3);
}

/* Until it has told the next number. */
static unsigned next(struct side *s)
{
	uint16_t v;

	assert_int_equal(kvm_ioctl_val(s->vcpu_fd, KVM_RUN, 0), 0);
	assert_int_equal(s->run->exit_reason, KVM_EXIT_IO);
	assert_int_equal(s->run->io.port, 16);
	memcpy(&v, (uint8_t *)s->run + s->run->io.data_offset, sizeof(v));
	return v;
}

/* The access that it has begun is completed by KVM at the next entry. */
static void stop(struct side *s)
{
	s->run->immediate_exit = 1;
	assert_int_equal(kvm_ioctl_val(s->vcpu_fd, KVM_RUN, 0), -EINTR);
	s->run->immediate_exit = 0;
}

static void hand_over(enum psp_profile profile)
{
	static uint8_t hdr[PAGES][52], trans[PAGES][4096];
	static uint8_t pdh[2084], chain[6252], root[PSP_ROOT_CHAIN_MAX];
	struct csv_target target = { pdh, chain, root, 0, 0, 0 };
	static struct csv_packet p[PAGES];
	uint32_t pdh_len = sizeof(pdh), chain_len = sizeof(chain), len = 128;
	struct csv *a = &side[0].csv, *b = &side[1].csv;
	uint8_t session[128];
	size_t root_len;
	unsigned i;

	assert_int_equal(csv_pdh_export(b, pdh, &pdh_len, chain, &chain_len), 0);
	assert_int_equal(psp_root_chain(psp_suite(profile), root, sizeof(root),
					&root_len),
			 0);
	target.pdh_len = pdh_len;
	target.plat_len = chain_len;
	target.amd_len = (uint32_t)root_len;
	assert_int_equal(csv_send_start(a, &target, session, &len), 0);
	assert_int_equal(csv_pdh_export(a, pdh, &pdh_len, chain, &chain_len), 0);
	assert_int_equal(csv_receive_start(b, 4, pdh, pdh_len, session, len), 0);
	for (i = 0; i < PAGES; i++)
		p[i] = (struct csv_packet){ hdr[i],   side[0].ram + 4096 * i,
					    trans[i], 52,
					    4096,     4096 };
	assert_int_equal(csv_batch(a, true, p, PAGES), 0);
	for (i = 0; i < PAGES; i++)
		p[i].guest = side[1].ram + 4096 * i;
	assert_int_equal(csv_batch(b, false, p, PAGES), 0);
	p[0] = (struct csv_packet){ hdr[0], NULL, trans[0], 52, 0, 4096 };
	assert_int_equal(csv_send_vmsa(a, 0, &p[0]), 0);
	assert_int_equal(csv_receive_vmsa(b, 0, &p[0]), 0);
	assert_int_equal(csv_send_finish(a), 0);
	assert_int_equal(csv_receive_finish(b), 0);
}

static void same(unsigned long req, size_t size)
{
	uint8_t a[512] = { 0 }, b[512] = { 0 };

	assert_true(size <= sizeof(a));
	assert_int_equal(kvm_ioctl(side[0].vcpu_fd, req, a), 0);
	assert_int_equal(kvm_ioctl(side[1].vcpu_fd, req, b), 0);
	assert_memory_equal(a, b, size);
}

static void test_hand_over(void **state)
{
	const enum psp_profile profile = *(const enum psp_profile *)*state;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[3];
	} m = { .head.nmsrs = 3,
		.entry = { { .index = 0xc0000082 },
			   { .index = 0xc0000102 },
			   { .index = 0x175 } } };
	struct csv *a = &side[0].csv;
	uint8_t measure[48];
	unsigned i;

	kvm_fd = kvm_open();
	if (kvm_fd < 0)
		skip();
	for (i = 0; i < 2; i++)
		side_new(&side[i], profile);
	boot(&side[0]);
	assert_int_equal(csv_launch_start(a, 4, NULL, 0, NULL, 0), 0);
	assert_int_equal(csv_launch_update_data(a, side[0].ram, 8192), 0);
	assert_int_equal(csv_launch_update_vmsa(a), 0);
	assert_int_equal(csv_launch_measure(a, measure), 0);
	assert_int_equal(csv_launch_finish(a), 0);
	for (i = 1; i <= 1000; i++)
		assert_int_equal(next(&side[0]), i);
	stop(&side[0]);
	hand_over(profile);
	same(KVM_GET_REGS, sizeof(struct kvm_regs));
	same(KVM_GET_SREGS, sizeof(struct kvm_sregs));
	same(KVM_GET_DEBUGREGS, sizeof(struct kvm_debugregs));
	same(KVM_GET_XCRS, sizeof(struct kvm_xcrs));
	assert_int_equal(kvm_ioctl(side[1].vcpu_fd, KVM_GET_MSRS, &m), 3);
	assert_true(m.entry[0].data == 0x1234567000);
	assert_true(m.entry[1].data == 0x7654321000);
	assert_true(m.entry[2].data == 0xfee1dead);
	for (; i <= 2000; i++)
		assert_int_equal(next(&side[1]), i);
	memcpy(&i, side[1].ram + COUNT, 2);
	assert_int_equal((uint16_t)i, 2000);
	memcpy(&i, side[0].ram + COUNT, 2);
	assert_int_equal((uint16_t)i, 1000);
	for (i = 0; i < 2; i++)
		side_free(&side[i]);
	(void)close(kvm_fd);
}

int main(void)
{
	static enum psp_profile amd = PSP_AMD, hygon = PSP_HYGON;
	const struct CMUnitTest tests[] = {
		{ "hand_over (amd)", test_hand_over, NULL, NULL, &amd },
		{ "hand_over (hygon)", test_hand_over, NULL, NULL, &hygon },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
