/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/doctor.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "core/csv_kvm.h"
#include "core/util.h"
#include "vmm/csv_host.h"

#define CPUID1_HYPERVISOR BIT(31)

#define KVM_AMD "/sys/module/kvm_amd/parameters/"

void doctor_cpu_read(struct doctor_cpu *ret_cpu)
{
	struct doctor_cpu cpu = { 0 };
	uint32_t a, b, c, d;

	csv_host_vendor(cpu.vendor);
	__cpuid(1, a, b, c, d);
	cpu.hypervisor = (c & CPUID1_HYPERVISOR) != 0;
	csv_host_leaf(cpu.sev);
	*ret_cpu = cpu;
}

static bool is_hygon(const struct doctor_cpu *cpu)
{
	return !strcmp(cpu->vendor, "HygonGenuine");
}

static bool has_interface(const struct doctor_cpu *cpu)
{
	return is_hygon(cpu) || !strcmp(cpu->vendor, "AuthenticAMD");
}

void doctor_check_cpu(struct doctor *d, const struct doctor_cpu *cpu)
{
	const char *words = "no CSV and no SEV: plain guests only";

	if (is_hygon(cpu))
		words = "CSV guests, if the checks below agree";
	else if (has_interface(cpu))
		words = "SEV and SEV-ES are its CSV and CSV2; it takes no saved "
			"registers back, so a CSV2 guest can't be moved";
	doctor_add(d, "cpu", CHECK_INFO, "%s: %s", cpu->vendor, words);
	doctor_add(d, "hypervisor", CHECK_INFO, "%s",
		   cpu->hypervisor ? "this host is a virtual machine"
				   : "none: this is the bare machine");
}

/* The kernel clears the flag when the firmware has left encryption off. */
static bool kernel_sees(const struct doctor *d, const char *flag)
{
	char text[8192];
	char *line, *word, *save;

	if (doctor_read(d, "/proc/cpuinfo", text, sizeof(text)) < 0)
		return true; /* unknown: let the later checks speak */
	line = strstr(text, "\nflags");
	if (!line)
		return true;
	line++;
	line[strcspn(line, "\n")] = 0;
	for (word = strtok_r(line, " \t:", &save); word;
	     word = strtok_r(NULL, " \t:", &save)) {
		if (!strcmp(word, flag))
			return true;
	}
	return false;
}

/* Return: whether encrypted guests are possible as far as the CPU goes */
static bool check_cpu_sev(struct doctor *d, const struct doctor_cpu *cpu)
{
	struct check *c;

	if (!has_interface(cpu) || !(cpu->sev[0] & SEV_EAX_SEV)) {
		c = doctor_add(d, "csv", CHECK_MISSING,
			       "the processor offers no memory encryption to "
			       "guests (CPUID 0x8000001f)");
		doctor_next(c, "%s",
			    cpu->hypervisor
				    ? "a virtual machine rarely has it: use the "
				      "bare host, or the lab: lab/run --cpu hygon "
				      "build/csvvmm run FILE"
				    : "needs a Hygon C86 (CSV) or AMD EPYC (SEV) "
				      "processor");
		return false;
	}
	if (!kernel_sees(d, "sev")) {
		c = doctor_add(d, "csv", CHECK_MISSING,
			       "the processor has it, the firmware or the "
			       "kernel command line has turned it off");
		doctor_next(c, "turn on SMEE (and CSV or SEV) in the firmware "
			       "set-up; remove mem_encrypt=off");
		return false;
	}
	return true;
}

static void check_sev(struct doctor *d, const struct doctor_cpu *cpu,
		      const struct doctor_kvm *k)
{
	struct check *c;

	if (!check_cpu_sev(d, cpu))
		return;
	if (!doctor_read_flag(d, KVM_AMD "sev")) {
		c = doctor_add(d, "csv", CHECK_MISSING,
			       "turned off by the kvm_amd parameter sev=0");
		doctor_next(c, "modprobe -r kvm_amd && modprobe kvm_amd sev=1 "
			       "sev_es=1");
		return;
	}
	if (k->sev < 0) {
		c = doctor_add(d, "csv", CHECK_MISSING,
			       "KVM refuses KVM_MEMORY_ENCRYPT_OP: %s",
			       strerror(-k->sev));
		doctor_next(c, "see the kernel log for messages of ccp and "
			       "kvm_amd; the kernel needs "
			       "CONFIG_KVM_AMD_SEV");
		return;
	}
	doctor_add(d, "csv", CHECK_OK,
		   "C-bit %u, physical addresses lose %u bits",
		   SEV_EBX_CBIT(cpu->sev[1]), SEV_EBX_REDUCE(cpu->sev[1]));
}

static void check_es(struct doctor *d, const struct doctor_cpu *cpu)
{
	struct check *c;

	if (!(cpu->sev[0] & SEV_EAX_ES)) {
		c = doctor_add(d, "csv2", CHECK_MISSING,
			       "the processor has no CSV2 (SEV-ES)");
		doctor_next(c, "guests with encrypted registers need a newer "
			       "processor");
		return;
	}
	if (doctor_read_flag(d, KVM_AMD "sev_es") != 1) {
		c = doctor_add(d, "csv2", CHECK_MISSING,
			       "the kvm_amd parameter sev_es is off");
		doctor_next(c, "modprobe -r kvm_amd && modprobe kvm_amd sev=1 "
			       "sev_es=1; on AMD the firmware set-up must "
			       "leave ASIDs for it");
		return;
	}
	doctor_add(d, "csv2", CHECK_OK, "encrypted registers");
	if (is_hygon(cpu))
		doctor_add(d, "csv3", CHECK_INFO, "%s",
			   cpu->sev[0] & SEV_EAX_CSV3 ? "in the processor"
						      : "not in the processor");
}

/* The misc controller counts ASIDs: cgroup v2, or a v1 mount of its own. */
static int64_t read_misc(const struct doctor *d, const char *file, const char *key)
{
	static const char *const mount[] = { "", "/unified", "/misc" };
	char path[128];
	int64_t v = -1;
	unsigned i;

	for (i = 0; v < 0 && i < ARRAY_SIZE(mount); i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", mount[i],
			 file);
		v = doctor_read_key(d, path, key);
	}
	return v;
}

static void add_asids(struct doctor *d, const char *name, const char *key,
		      uint32_t first, uint32_t last)
{
	int64_t used = read_misc(d, "misc.current", key);
	int64_t cap = read_misc(d, "misc.capacity", key);
	int64_t count = (int64_t)last - first + 1;
	struct check *c;

	if (cap >= 0)
		count = cap;
	if (used < 0) {
		doctor_add(d, name, CHECK_INFO,
			   "%u to %u: %" PRId64 " guests at most", first, last,
			   count);
		return;
	}
	c = doctor_add(d, name, used < count ? CHECK_OK : CHECK_MISSING,
		       "%u to %u: %" PRId64 " guests at most, %" PRId64
		       " run now",
		       first, last, count, used);
	if (used >= count)
		doctor_next(c, "stop an encrypted guest: each has an ASID of "
			       "its own");
}

static void check_asids(struct doctor *d, const struct doctor_cpu *cpu)
{
	uint32_t max = cpu->sev[2], min = cpu->sev[3];
	struct check *c;

	if (!(cpu->sev[0] & SEV_EAX_SEV) || !max)
		return;
	if (min <= max)
		add_asids(d, "asids-csv", "sev", MAX(min, 1u), max);
	if (!(cpu->sev[0] & SEV_EAX_ES))
		return;
	if (min > 1) {
		add_asids(d, "asids-csv2", "sev_es", 1, min - 1);
		return;
	}
	/* Firmware build 1810 and later lets CSV2 use the others' ASIDs. */
	if (is_hygon(cpu)) {
		add_asids(d, "asids-csv2", "sev_es", 1, max);
		return;
	}
	c = doctor_add(d, "asids-csv2", CHECK_MISSING,
		       "none: the first ASID of guests without encrypted "
		       "registers is 1");
	doctor_next(c, "raise \"SEV-ES ASID Space Limit\" (minimum SEV ASID) "
		       "in the firmware set-up");
}

static void check_dev_sev(struct doctor *d)
{
	char path[PATH_MAX];
	struct check *c;
	int fd;

	snprintf(path, sizeof(path), "%s/dev/sev", d->root);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && !*d->root && csv_kvm_check(fd) == -EMEDIUMTYPE) {
		(void)close(fd);
		c = doctor_add(d, "dev-sev", CHECK_MISSING,
			       "/dev/sev is not the security processor's "
			       "device");
		doctor_next(c, "remove it, then modprobe -r ccp; modprobe ccp");
		return;
	}
	if (fd >= 0) {
		(void)close(fd);
		doctor_add(d, "dev-sev", CHECK_OK, "/dev/sev opens");
		return;
	}
	c = doctor_add(d, "dev-sev", CHECK_MISSING, "/dev/sev: %s",
		       strerror(errno));
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		doctor_next(c, "modprobe ccp; without a security processor it "
			       "stays away");
	else
		doctor_next(c, "give your user access, e.g. chgrp kvm "
			       "/dev/sev && chmod 660 /dev/sev");
}

void doctor_check_csv(struct doctor *d, const struct doctor_cpu *cpu,
		      const struct doctor_kvm *k)
{
	check_sev(d, cpu, k);
	if (cpu->sev[0] & SEV_EAX_SEV)
		check_es(d, cpu);
	check_asids(d, cpu);
	check_dev_sev(d);
}
