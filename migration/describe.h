/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_MIGRATION_DESCRIBE_H
#define CSVVMM_MIGRATION_DESCRIBE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/csv.h"
#include "core/csv_abi.h"
#include "core/snap.h"

#define MIG_CPUID_MAX 256
#define MIG_CERT_MAX  8192u
#define MIG_NAME_MAX  63u
#define MIG_WHY_MAX   256

/* Longest body that is not pages. */
#define MIG_BUF 262144u

/* Instead of a vCPU: what belongs to none of them. */
#define MIG_MACHINE (-1)

enum mig_type { MIG_PLAIN, MIG_CSV, MIG_CSV2, MIG_TYPES };
enum mig_profile { MIG_HYGON, MIG_AMD, MIG_PROFILES };

struct mig_device {
	char name[SNAP_NAME_MAX + 1];
	uint16_t instance;
	uint32_t version;
	uint64_t size;
};

/* function, index, flags, eax, ebx, ecx, edx; as in struct kvm_cpuid_entry2 */
struct mig_cpuid {
	uint32_t reg[7];
};

struct mig_cert {
	uint32_t len;
	uint8_t data[MIG_CERT_MAX];
};

/**
 * struct mig_machine - What one side says of itself before anything is changed
 * @name:	The guest's: who waits for another one is not to get this one
 * @check_only:	The source goes away after the answer
 * @policy:	The guest's; the source's only
 * @profile, @api_major, @api_minor, @build: Its security processor; encrypted
 *		guests only, as are the certificates: @pdh, and PEK, OCA, CEK
 * @tsc_scaling: Can have another clock rate than its own
 * @cpuid:	Of the first vCPU
 */
struct mig_machine {
	char name[MIG_NAME_MAX + 1];
	bool check_only;
	uint8_t type;
	uint32_t vcpus, policy;
	uint64_t memory;
	uint8_t profile, api_major, api_minor;
	uint32_t build;
	uint32_t tsc_khz;
	bool tsc_scaling;
	unsigned n_devices, n_cpuid;
	struct mig_device device[SNAP_ITEMS_MAX];
	struct mig_cpuid cpuid[MIG_CPUID_MAX];
	struct mig_cert pdh, chain;
};

/* The devices that have state. */
void mig_describe_devices(struct mig_machine *d, const struct snap *s);

void mig_describe_put(const struct mig_machine *d, struct snap_w *w);
/* Return: 0, or -EPROTO with r->err */
int mig_describe_get(struct mig_machine *d, struct snap_r *r);

/**
 * mig_check() - Can the guest of @s go on at @t?
 * @why:	MIG_WHY_MAX bytes: the first thing that does not fit, in words
 *
 * Return: 0 or -EXDEV
 */
int mig_check(const struct mig_machine *s, const struct mig_machine *t,
	      char *why);

/* The same for what the guest sees of the processor (migration/check_cpuid.c). */
int mig_check_cpuid(const struct mig_machine *s, const struct mig_machine *t,
		    char *why);

#endif
