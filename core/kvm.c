/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "core/gmem.h"
#include "core/util.h"

/* Three pages below the in-kernel APIC, for Intel's real mode; unused RAM
 * addresses in the hole ([KVM-API] 4.16, 4.41). */
#define KVM_IDENTITY_MAP 0xfeffc000ULL
#define KVM_TSS		 0xfeffd000ULL

#define CPUID_ENTRIES_MAX 1024

int kvm_ioctl(int fd, unsigned long req, void *arg)
{
	int r = ioctl(fd, req, arg);

	return r < 0 ? -errno : r;
}

int kvm_ioctl_val(int fd, unsigned long req, unsigned long arg)
{
	int r = ioctl(fd, req, arg);

	return r < 0 ? -errno : r;
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

int kvm_get_msr(int fd, uint32_t msr, uint64_t *ret_v)
{
	struct one_msr m = { .head.nmsrs = 1, .entry.index = msr };
	int r = kvm_ioctl(fd, KVM_GET_MSRS, &m);

	if (r == 1)
		*ret_v = m.entry.data;
	return r < 0 ? r : r == 1 ? 0 : -ENOENT;
}

int kvm_set_msr(int fd, uint32_t msr, uint64_t v)
{
	struct one_msr m = { .head.nmsrs = 1,
			     .entry = { .index = msr, .data = v } };
	int r = kvm_ioctl(fd, KVM_SET_MSRS, &m);

	return r < 0 ? r : r == 1 ? 0 : -EINVAL;
}

int kvm_open(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = kvm_ioctl_val(fd, KVM_GET_API_VERSION, 0);
	if (r != KVM_API_VERSION) {
		(void)close(fd);
		return r < 0 ? r : -ENOTSUP;
	}
	return fd;
}

int kvm_cap(int fd, unsigned cap)
{
	return kvm_ioctl_val(fd, KVM_CHECK_EXTENSION, cap);
}

static int kvm_map_memory(int vm_fd, const struct gmem *gm)
{
	unsigned i;

	for (i = 0; i < gm->n_regions; i++) {
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = gm->region[i].base,
			.memory_size = gm->region[i].size,
			.userspace_addr = (uintptr_t)gm->region[i].host,
		};
		int r = kvm_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &slot);

		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * No counters for the guest: CPUID hides them, but KVM would still emulate
 * AMD's legacy ones ([KVM-API] 7.27). A kernel without the switch keeps them.
 */
static void kvm_disable_pmu(int vm_fd)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_PMU_CAPABILITY,
				      .args[0] = KVM_PMU_CAP_DISABLE };

	(void)kvm_ioctl(vm_fd, KVM_ENABLE_CAP, &cap);
}

int kvm_create_vm(int kvm_fd, const struct gmem *gm)
{
	uint64_t identity = KVM_IDENTITY_MAP;
	int fd, r;

	/* A signal may interrupt the creation: nothing was made then. */
	do
		fd = kvm_ioctl_val(kvm_fd, KVM_CREATE_VM, 0);
	while (fd == -EINTR);
	if (fd < 0)
		return fd;
	kvm_disable_pmu(fd);
	r = kvm_ioctl(fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (!r)
		r = kvm_ioctl_val(fd, KVM_SET_TSS_ADDR, KVM_TSS);
	if (!r)
		r = kvm_ioctl_val(fd, KVM_CREATE_IRQCHIP, 0);
	if (!r)
		r = kvm_map_memory(fd, gm);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

int kvm_run_size(int kvm_fd)
{
	return kvm_ioctl_val(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
}

int kvm_create_vcpu(int kvm_fd, int vm_fd, unsigned id, struct kvm_run **ret_run)
{
	int size = kvm_run_size(kvm_fd);
	int fd, r;
	void *p;

	if (size < 0)
		return size;
	fd = kvm_ioctl_val(vm_fd, KVM_CREATE_VCPU, id);
	if (fd < 0)
		return fd;
	p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	*ret_run = p;
	return fd;
}

struct kvm_cpuid2 *kvm_supported_cpuid(int kvm_fd)
{
	uint32_t n;

	for (n = 128; n <= CPUID_ENTRIES_MAX; n *= 2) {
		struct kvm_cpuid2 *c;
		int r;

		c = calloc(1, sizeof(*c) + n * sizeof(c->entries[0]));
		if (!c)
			return NULL;
		c->nent = n;
		r = kvm_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, c);
		if (!r)
			return c;
		free(c);
		errno = -r;
		if (r != -E2BIG)
			return NULL;
	}
	return NULL;
}
