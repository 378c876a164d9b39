/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CSV_MODEL_INTERNAL_H
#define CSVVMM_VMM_CSV_MODEL_INTERNAL_H

/* Shared by csv_model.c (platform, memory, life) and csv_model_cmds.c. */

#include <stdbool.h>
#include <stdint.h>

#include "core/csv_abi.h"
#include "psp/psp_abi.h"
#include "vmm/config.h"
#include "vmm/csv_model.h"

#define MODEL_REGIONS 16
#define MODEL_PAGE    4096u
/* Trusted memory that the firmware asks for but never uses; no pointer is as
 * high, so it need not exist. */
#define MODEL_TMR (1ULL << 56)
#define CBLOCK	  16u

struct csv_model {
	struct psp *psp;
	struct psp_config cfg;
	enum vmsa_host host;
	uint64_t stream; /* blocks of fixed randomness used */
	bool fixed, ready, held;

	/* the guest */
	bool active, es, bound;
	uint32_t handle;
	struct csv_region region[MODEL_REGIONS];
	unsigned n_regions;
	struct {
		int fd;
		uint8_t *vmsa; /* one page; NULL: registers not encrypted yet */
	} vcpu[CONFIG_VCPUS_MAX];
	unsigned n_vcpus;
};

/* One firmware command. Return: 0, or -EIO with its status. */
int csv_model_fw(struct csv_model *m, uint32_t cmd, void *buf, size_t len,
		 uint32_t *ret_fw);

#define FW(m, id, s, ret_fw) \
	csv_model_fw(m, PSP_CMD_##id, &(s), sizeof(s), ret_fw)

/* The firmware's physical addresses are this process's pointers. */
void *csv_model_host(uint64_t pa);
uint64_t csv_model_pa(const void *p);

/* INIT, unless it was done. */
int csv_model_platform_init(struct csv_model *m, uint32_t *ret_fw);

/* KVM's checks: of any range, of guest memory, of a blob in the VMM's. */
int csv_model_range(uint64_t addr, uint64_t len);
int csv_model_guest(const struct csv_model *m, uint64_t addr, uint64_t len);
int csv_model_blob(uint64_t addr, uint64_t len);

/* KVM_MEMORY_ENCRYPT_OP; struct csv_backend.issue. */
int csv_model_issue(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw);

#endif
