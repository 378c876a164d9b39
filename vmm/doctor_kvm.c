/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/kvm.h>
#include <string.h>

#include "core/kvm.h"
#include "core/util.h"

/* Below this even a small kernel takes minutes to boot. */
#define SLOW_PER_SECOND 10000000u

/**
 * struct cap - A capability of KVM and what it is for
 * @mask:	Bits of the value that are wanted; 0 = any value but 0
 * @blocks:	No guest runs without it
 */
struct cap {
	const char *name;
	unsigned cap;
	unsigned mask;
	bool blocks;
	const char *use;
};

static const struct cap caps[] = {
	{ "kvm-irqchip", KVM_CAP_IRQCHIP, 0, true, "interrupts" },
	{ "kvm-user-memory", KVM_CAP_USER_MEMORY, 0, true, "guest memory" },
	{ "kvm-irqfd", KVM_CAP_IRQFD, 0, true, "interrupts of devices" },
	{ "kvm-ioeventfd", KVM_CAP_IOEVENTFD, 0, true, "virtio kicks" },
	{ "kvm-ioeventfd-any", KVM_CAP_IOEVENTFD_ANY_LENGTH, 0, false,
	  "virtio kicks of any width without an exit to user space" },
	{ "kvm-irq-routing", KVM_CAP_IRQ_ROUTING, 0, true, "MSI-X" },
	{ "kvm-signal-msi", KVM_CAP_SIGNAL_MSI, 0, true, "MSI-X" },
	{ "kvm-immediate-exit", KVM_CAP_IMMEDIATE_EXIT, 0, true,
	  "pause without a race" },
	{ "kvm-readonly-mem", KVM_CAP_READONLY_MEM, 0, false,
	  "read-only guest memory" },
	{ "kvm-tsc-control", KVM_CAP_TSC_CONTROL, 0, false,
	  "migration between hosts of different clock rates" },
	{ "kvm-dirty-log", KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, false,
	  "migration of large guests" },
	{ "kvm-exit-hypercall", KVM_CAP_EXIT_HYPERCALL,
	  1u << 12 /* KVM_HC_MAP_GPA_RANGE */, false,
	  "migration of encrypted guests (page states)" },
};

void doctor_kvm_open(struct doctor_kvm *k)
{
	int vm;

	*k = (struct doctor_kvm){ .fd = kvm_open(), .sev = -ENOTTY };
	if (k->fd < 0)
		return;
	vm = kvm_ioctl_val(k->fd, KVM_CREATE_VM, 0);
	if (vm < 0)
		return;
	/* No argument: KVM only says whether it knows the command at all. */
	k->sev = kvm_ioctl(vm, KVM_MEMORY_ENCRYPT_OP, NULL);
	(void)close(vm);
}

static void check_module(struct doctor *d)
{
	char path[PATH_MAX];
	struct dirent *de;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/module", d->root);
	dir = opendir(path);
	while (dir && (de = readdir(dir))) {
		if (strncmp(de->d_name, "kvm_", 4) != 0)
			continue;
		doctor_add(d, "kvm-module", CHECK_INFO, "%.64s", de->d_name);
	}
	if (dir)
		(void)closedir(dir);
}

static void check_open(struct doctor *d, int error)
{
	struct check *c =
		doctor_blocks(d, "kvm", "/dev/kvm: %s", strerror(-error));

	if (error == -EACCES || error == -EPERM)
		doctor_next(c, "usermod -aG kvm USER, then log in again");
	else if (error == -ENOTSUP)
		doctor_next(c, "this kernel's KVM API is not version 12; use "
			       "a newer kernel");
	else
		doctor_next(c, "turn on virtualisation (SVM) in the firmware "
			       "set-up, or nested virtualisation on the outer "
			       "host; then modprobe kvm_amd");
}

static void check_cap(struct doctor *d, const struct cap *cap, int fd)
{
	int v = kvm_cap(fd, cap->cap);
	struct check *c;

	if (v > 0 && (!cap->mask || ((unsigned)v & cap->mask) == cap->mask)) {
		doctor_add(d, cap->name, CHECK_OK, "for %s", cap->use);
		return;
	}
	c = cap->blocks ? doctor_blocks(d, cap->name, "absent: needed for %s",
					cap->use)
			: doctor_add(d, cap->name, CHECK_MISSING,
				     "absent: no %s", cap->use);
	doctor_next(c, "this kernel's KVM has it not; use a newer kernel, or "
		       "another host");
}

void doctor_check_kvm(struct doctor *d, const struct doctor_kvm *k)
{
	unsigned i;
	int max;

	if (k->fd < 0) {
		check_open(d, k->fd);
		return;
	}
	doctor_add(d, "kvm", CHECK_OK, "/dev/kvm opens, API version 12");
	check_module(d);
	for (i = 0; i < ARRAY_SIZE(caps); i++)
		check_cap(d, &caps[i], k->fd);
	max = kvm_cap(k->fd, KVM_CAP_MAX_VCPUS);
	doctor_add(d, "kvm-max-vcpus", CHECK_INFO, "%d", max);
}

static void check_interpreted(struct doctor *d, double rate)
{
	struct check *c = doctor_blocks(
		d, "execution",
		"KVM interprets the guest's kernel mode (%.1f million "
		"instructions a second, no SSE)",
		rate / 1e6);

	doctor_next(c, "tiny test guests only; Linux guests need the lab: "
		       "lab/run build/csvvmm run FILE");
}

void doctor_check_execution(struct doctor *d, const struct doctor_probe *p,
			    bool hypervisor)
{
	uint64_t ns = MAX(p->loop_ns, (uint64_t)1);
	double rate = (double)p->instructions * 1e9 / (double)ns;
	struct check *c;

	if (p->error) {
		c = doctor_blocks(d, "execution", "the probe guest failed: %s",
				  strerror(-p->error));
		doctor_next(c, "see the kernel log (dmesg) for messages of "
			       "kvm");
	} else if (p->loop_exit != KVM_EXIT_HLT) {
		c = doctor_blocks(d, "execution",
				  "the probe guest did not get through a short "
				  "loop (KVM exit %u)",
				  p->loop_exit);
		doctor_next(c, "use another host, or the lab: lab/run "
			       "build/csvvmm run FILE");
	} else if (p->sse_exit != KVM_EXIT_HLT) {
		check_interpreted(d, rate);
	} else if (rate < SLOW_PER_SECOND) {
		c = doctor_add(d, "execution", CHECK_WARN,
			       "slow: %.1f million instructions a second",
			       rate / 1e6);
		doctor_next(c, "expect Linux to boot in minutes; is the host "
			       "itself emulated, or overloaded?");
	} else {
		doctor_add(d, "execution", CHECK_OK, "%s",
			   hypervisor ? "on the processor, nested: this host "
					"is a guest itself, exits cost more"
				      : "on the processor");
	}
}
