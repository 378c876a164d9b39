/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CPUID_INTERNAL_H
#define CSVVMM_VMM_CPUID_INTERNAL_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

/* Shared by cpuid.c and cpuid_topology.c only. */

enum cpuid_vendor { CPUID_INTEL, CPUID_AMD /* and Hygon */, CPUID_OTHER };

/**
 * struct cpuid_table - A table under construction
 * @room:	Entries allocated
 */
struct cpuid_table {
	struct kvm_cpuid2 *t;
	unsigned room;
	enum cpuid_vendor vendor;
};

/* The entry of a leaf and subleaf, or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *t, uint32_t function,
				    uint32_t index);

/* Highest leaf of the range that begins at @base (0 or 0x80000000). */
uint32_t cpuid_max_leaf(struct kvm_cpuid2 *t, uint32_t base);

/* Take all subleaves of a leaf away: they read as zero then. Entries move:
 * what cpuid_find() returned before is stale. */
void cpuid_drop(struct cpuid_table *ct, uint32_t function);

/* Append a zero entry. NULL when the table is full. */
struct kvm_cpuid_entry2 *cpuid_add(struct cpuid_table *ct, uint32_t function,
				   uint32_t index, uint32_t flags);

/**
 * cpuid_set_topology() - One socket, one thread a core, @n_vcpus cores
 *
 * Return: 0, or -ENOSPC
 */
int cpuid_set_topology(struct cpuid_table *ct, unsigned vcpu, unsigned n_vcpus);

/* Entries that cpuid_set_topology() may add. */
#define CPUID_TOPOLOGY_ROOM 16

#endif
