/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/csv_kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/csv_abi.h"
#include "core/kvm.h"

static_assert(KVM_MEMORY_ENCRYPT_OP == 0xc008aeba, "KVM_MEMORY_ENCRYPT_OP");
static_assert(SEV_ISSUE_CMD == 0xc0105300, "SEV_ISSUE_CMD");
CSV_ABI_SIZE(kvm_sev_cmd, 24);
CSV_ABI_AT(kvm_sev_cmd, error, 16);
CSV_ABI_AT(kvm_sev_cmd, sev_fd, 20);

/**
 * struct csv_kvm - The kernel's CSV/SEV
 * @sev_fd:	/dev/sev: whoever may open it may have guests made; KVM wants it
 *		with each command
 */
struct csv_kvm {
	int vm_fd, sev_fd;
};

/*
 * The kernel copies the status back also when the ioctl fails, and says -EIO,
 * or -EFAULT after a paused queue ([csv-abi] 1.1, 3). A status of -1 means
 * that the firmware was never called; one next to success means nothing. What
 * is above 0 is a rest that was not copied ([csv-abi] 9, 13).
 */
static int csv_kvm_result(int r, uint32_t error, uint32_t *ret_fw)
{
	*ret_fw = 0;
	if (!r)
		return 0;
	if (r > 0)
		return -EFAULT;
	if (!error || error == CSV_FW_NO_CALL)
		return r;
	*ret_fw = error;
	return -EIO;
}

static int csv_kvm_issue(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	const struct csv_kvm *k = be;
	struct kvm_sev_cmd c = { .id = cmd,
				 .data = (uintptr_t)arg,
				 .sev_fd = (uint32_t)k->sev_fd };
	int r = kvm_ioctl(k->vm_fd, KVM_MEMORY_ENCRYPT_OP, &c);

	return csv_kvm_result(r, c.error, ret_fw);
}

static int csv_kvm_platform(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	const struct csv_kvm *k = be;
	struct sev_issue_cmd c = { .cmd = cmd, .data = (uintptr_t)arg };
	int r = kvm_ioctl(k->sev_fd, SEV_ISSUE_CMD, &c);

	return csv_kvm_result(r, c.error, ret_fw);
}

static int csv_kvm_region(void *be, void *host, uint64_t size, bool add)
{
	const struct csv_kvm *k = be;
	struct kvm_enc_region reg = { .addr = (uintptr_t)host, .size = size };

	return kvm_ioctl(k->vm_fd,
			 add ? KVM_MEMORY_ENCRYPT_REG_REGION
			     : KVM_MEMORY_ENCRYPT_UNREG_REGION,
			 &reg);
}

/* The guest ends with the VM, whose descriptor is not ours. */
static void csv_kvm_close(void *be)
{
	struct csv_kvm *k = be;

	(void)close(k->sev_fd);
	free(k);
}

static void csv_kvm_again(void *be, int vm_fd)
{
	struct csv_kvm *k = be;

	k->vm_fd = vm_fd;
}

const struct csv_backend csv_kvm_backend = {
	.name = "kvm",
	.issue = csv_kvm_issue,
	.platform = csv_kvm_platform,
	.region = csv_kvm_region,
	.close = csv_kvm_close,
	.again = csv_kvm_again,
};

int csv_kvm_check(int sev_fd)
{
	struct sev_user_data_status status = { 0 };
	struct sev_issue_cmd c = { .cmd = SEV_PLATFORM_STATUS,
				   .data = (uintptr_t)&status };
	struct stat st;
	int r;

	if (fstat(sev_fd, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode))
		return -EMEDIUMTYPE;
	/* How it is, is told later, and with the firmware's words. */
	r = kvm_ioctl(sev_fd, SEV_ISSUE_CMD, &c);
	return r == -ENOTTY || r == -EINVAL ? -EMEDIUMTYPE : 0;
}

int csv_kvm_open(int vm_fd, void **ret_be)
{
	struct csv_kvm *k = malloc(sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->vm_fd = vm_fd;
	/* Exporting certificates needs it writable on some kernels. */
	k->sev_fd = open("/dev/sev", O_RDWR | O_CLOEXEC);
	r = k->sev_fd < 0 ? -errno : csv_kvm_check(k->sev_fd);
	if (r < 0) {
		if (k->sev_fd >= 0)
			(void)close(k->sev_fd);
		free(k);
		return r;
	}
	*ret_be = k;
	return 0;
}
