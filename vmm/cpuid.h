/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CPUID_H
#define CSVVMM_VMM_CPUID_H

#include <stdbool.h>

struct kvm_cpuid2;

/**
 * struct cpuid_opts - What the guest's CPUID depends on beside the host
 */
struct cpuid_opts {
	unsigned n_vcpus;
	bool migratable;   /* hide the invariant TSC */
	bool tsc_deadline; /* KVM_CAP_TSC_DEADLINE_TIMER */
	unsigned tsc_khz;  /* KVM_GET_TSC_KHZ, 0 = unknown; told only when
			    * not migratable */
	bool sev, sev_es;  /* the guest is encrypted; its registers too */
	bool page_states;  /* it shall tell which pages are shared */
};

/**
 * cpuid_build() - One vCPU's table from KVM_GET_SUPPORTED_CPUID
 * @host:	kvm_supported_cpuid()'s answer; not changed
 * @vcpu:	APIC id
 *
 * Sets topology (leaves 1, 4, 0xb, 0x1f, 0x8000001d, 0x8000001e, 0x80000008:
 * one socket, one thread a core), KVM leaves with kvm-clock, PV EOI and the
 * rest KVM offers, hypervisor bit; hides nested virtualisation, MPX, PMU and
 * what this VMM does not carry.
 *
 * Return: malloc'ed table, or NULL with errno set
 */
struct kvm_cpuid2 *cpuid_build(const struct kvm_cpuid2 *host, unsigned vcpu,
			       const struct cpuid_opts *opts);

#endif
