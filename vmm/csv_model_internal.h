/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CSV_MODEL_INTERNAL_H
#define CSVVMM_VMM_CSV_MODEL_INTERNAL_H

/* Shared by csv_model*.c: platform, memory and life are in csv_model.c. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/csv_abi.h"
#include "psp/psp_abi.h"
#include "vmm/config.h"
#include "vmm/csv_model.h"

struct kvm_sev_send_update_data;

#define MODEL_REGIONS CSV_REGIONS_MAX
#define MODEL_PAGE    4096u
/* Trusted memory that the firmware asks for but never uses; no pointer is as
 * high, so it need not exist. */
#define MODEL_TMR (1ULL << 56)
#define CBLOCK	  16u

/**
 * struct csv_platform - The security processor and what its driver knows
 * @lock:	One command at a time, as at the driver's mutex
 * @stream:	Blocks of fixed randomness used
 * @vms:	Virtual machines on this platform
 */
struct csv_platform {
	pthread_mutex_t lock;
	struct psp *psp;
	struct psp_config cfg;
	uint64_t stream;
	bool fixed, ready;
	struct csv_model *vms;
};

struct csv_model {
	struct csv_platform *pf;
	struct csv_model *next; /* of pf->vms */
	enum vmsa_host host;
	bool held;

	/* the guest */
	bool active, es;
	uint32_t handle;
	uint32_t asid;			      /* 0: not bound */
	char user_id[CONFIG_USER_ID_MAX + 1]; /* "": shares with nobody */
	struct csv_region region[MODEL_REGIONS];
	unsigned n_regions;
	struct {
		int fd;
		uint8_t *vmsa; /* one page; NULL: registers not encrypted yet */
	} vcpu[CONFIG_VCPUS_MAX]; /* by KVM's id */
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

/* An ASID for the guest of @handle, which becomes the VM's; undone when there
 * is none. What LAUNCH_START and RECEIVE_START have in common. */
int csv_model_bind(struct csv_model *m, uint32_t handle, uint32_t *ret_fw);

/* csv_model_vmsa.c: a vCPU's registers as the processor leaves them in the page
 * of an encrypted guest, and the reverse. @launch: as KVM builds it once. */
int csv_model_vmsa_save(struct csv_model *m, unsigned id, bool launch);
int csv_model_vmsa_load(struct csv_model *m, unsigned id);

/* KVM_MEMORY_ENCRYPT_OP; struct csv_backend.issue. The others are its parts:
 * SEND_* and RECEIVE_*, and of these the packets and the batches. */
int csv_model_issue(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw);
int csv_model_migrate(struct csv_model *m, uint32_t cmd, void *arg,
		      uint32_t *ret_fw);
int csv_model_batch(struct csv_model *m, const struct csv_abi_batch *a,
		    uint32_t *ret_fw);

/* A packet's checks in KVM: fills @c but for the handle. Sending and receiving
 * have one layout. -EINVAL, or -EFAULT: no guest memory. */
int csv_model_packet(const struct csv_model *m,
		     const struct kvm_sev_send_update_data *a,
		     struct psp_abi_packet *c);

#endif
