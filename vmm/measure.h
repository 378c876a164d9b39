/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_MEASURE_H
#define CSVVMM_VMM_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "psp/crypto.h"
#include "vmm/boot.h"
#include "vmm/config.h"
#include "vmm/vmsa.h"

/**
 * struct measure - What a launch of a guest will be measured as
 * @digest:	The launch digest; each part's own is for finding differences
 */
struct measure {
	enum psp_profile profile;
	enum vmsa_host host;
	struct boot_info boot;
	unsigned n_vmsas; /* 0: registers are not measured */
	uint8_t digest[PSP_DIGEST_SIZE];
	uint8_t region[BOOT_REGIONS_MAX][PSP_DIGEST_SIZE];
	uint8_t vmsa[CONFIG_VCPUS_MAX][PSP_DIGEST_SIZE];
};

/* What the shim's configuration and page tables depend on; the same for `run`.
 * Return: 1, or 0: no shim (the model has none) */
int measure_encryption(const struct config_csv *csv, unsigned c_bit,
		       struct boot_encryption *ret_enc);

/**
 * measure_config() - Load a guest as `run` does, but into memory of our own
 * @c_bit:	Of the host that will run it
 * @ret_m:	Untouched on failure
 *
 * Return: 0; or -errno with @err
 */
int measure_config(const struct config *cfg, enum psp_profile profile,
		   enum vmsa_host host, unsigned c_bit, struct measure *ret_m,
		   struct boot_error *err);

/* Would `run` find place for all that it loads? Return: 0, or -errno with @err,
 * which begins with the key that is to blame, or with other words */
int measure_layout(const struct config *cfg, struct boot_error *err);

/* The VMSA page of vCPU @id. */
void measure_vmsa(const struct boot_info *boot, unsigned id,
		  enum vmsa_host host, uint8_t page[VMSA_SIZE]);

enum psp_profile measure_profile(const struct config_csv *csv);

/* "mainline-6.12", "vendor-6.6". Return: 0 or -EINVAL */
int measure_host_parse(const char *name, enum vmsa_host *ret_host);
const char *measure_host_name(enum vmsa_host host);
/* What it stands for, in words. */
const char *measure_host_words(enum vmsa_host host);

#endif
