/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_TESTS_UNIT_LAUNCH_RIG_H
#define CSVVMM_TESTS_UNIT_LAUNCH_RIG_H

/*
 * A guest of 1 MiB and two vCPUs without KVM, launched through the model. The
 * backend counts what the launch registers and closes, and hands on to the
 * model, which stays after its close so that it can be looked at.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "psp/psp_abi.h"
#include "vmm/boot.h"
#include "vmm/csv_model.h"
#include "vmm/launch.h"
#include "vmm/measure.h"

#define RIG_VCPU  100000 /* descriptor of the first */
#define RIG_VCPUS 2

struct rig {
	struct csv_model *model;
	struct gmem gm;
	struct boot_info boot;
	struct config_csv cfg;
	struct launch l;
	int regions, closed;
	uint32_t raise_on; /* this command: SIGTERM comes meanwhile */
};

static struct rig rig;

/* vCPUs: as vcpu_setup_boot() leaves them. */
int ioctl(int fd, unsigned long req, ...)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fd < RIG_VCPU || fd >= RIG_VCPU + RIG_VCPUS)
		return (int)syscall(SYS_ioctl, fd, req, arg);
	vmsa_initial_regs((unsigned)(fd - RIG_VCPU), &rig.boot, &regs, &sregs);
	if (req == KVM_GET_REGS)
		memcpy(arg, &regs, sizeof(regs));
	else if (req == KVM_GET_SREGS)
		memcpy(arg, &sregs, sizeof(sregs));
	return 0;
}

static int rig_issue(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	if (cmd && cmd == rig.raise_on)
		(void)raise(SIGTERM);
	return csv_model_backend.issue(be, cmd, arg, ret_fw);
}

static int rig_platform(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	return csv_model_backend.platform(be, cmd, arg, ret_fw);
}

static int rig_region(void *be, void *host, uint64_t size, bool add)
{
	int r = csv_model_backend.region(be, host, size, add);

	if (!r)
		rig.regions += add ? 1 : -1;
	return r;
}

static void rig_close(void *be)
{
	rig.closed++;
	csv_model_backend.close(be);
}

static void rig_again(void *be, int vm_fd)
{
	csv_model_backend.again(be, vm_fd);
}

static const struct csv_backend rig_backend = {
	.name = "rig",
	.issue = rig_issue,
	.platform = rig_platform,
	.region = rig_region,
	.close = rig_close,
	.again = rig_again,
};

static inline void rig_init(enum psp_profile profile, bool es)
{
	memset(&rig, 0, sizeof(rig));
	rig.cfg = (struct config_csv){
		.type = es ? CONFIG_CSV_2 : CONFIG_CSV_1,
		.backend = CONFIG_CSV_MODEL,
		.profile = profile == PSP_AMD ? CONFIG_CSV_AMD : CONFIG_CSV_HYGON,
		.policy = es ? 5 : 1,
	};
	rig.boot = (struct boot_info){
		.entry = 0x2000,
		.cr3 = 0x1000,
		.region = { { "one", 0x1000, 0x1000 }, { "two", 0x2000, 0x3000 } },
		.n_regions = 2,
	};
	assert_int_equal(gmem_init(&rig.gm, MIB(1), false), 0);
	assert_int_equal(gmem_fill(&rig.gm, 0x1000, 0x11, 0x1000), 0);
	assert_int_equal(gmem_fill(&rig.gm, 0x2000, 0x22, 0x3000), 0);
	assert_int_equal(
		csv_model_open(profile, VMSA_HOST_MAINLINE_6_12, &rig.model), 0);
	csv_model_hold(rig.model);
}

/* Everything that run does, up to the measurement. */
static inline int rig_measure(void)
{
	unsigned i;
	int r;

	r = launch_init(&rig.l, &rig.cfg, &rig_backend, rig.model);
	for (i = 0; !r && i < RIG_VCPUS; i++)
		r = csv_model_add_vcpu(rig.model, RIG_VCPU + (int)i);
	return r ? r : launch_measure(&rig.l, &rig.gm, &rig.boot);
}

static inline void rig_fini(void)
{
	launch_fini(&rig.l);
	csv_model_drop(rig.model);
	gmem_fini(&rig.gm);
}

#endif
