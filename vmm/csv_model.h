/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CSV_MODEL_H
#define CSVVMM_VMM_CSV_MODEL_H

#include "core/csv.h"
#include "psp/psp.h"
#include "vmm/vmsa.h"

/*
 * The firmware model in this process, over plain KVM: the memory key is the
 * identity, registers stay readable. It protects nothing.
 */
struct csv_model;

extern const struct csv_backend csv_model_backend;

/* The same platform each time (its keys are fixed). @host: whose VMSAs it
 * builds. Return: 0 with *ret_m for csv_open(), whose close frees it; -errno */
int csv_model_open(enum psp_profile profile, enum vmsa_host host,
		   struct csv_model **ret_m);

/* A VM more on @with's platform, as on a real host; its owner frees it. */
int csv_model_join(struct csv_model *with, struct csv_model **ret_m);

/* In the order of their ids, before LAUNCH_UPDATE_VMSA; @vcpu_fd stays the
 * caller's. Commands about VMSAs wait for a vCPU that runs: stop it first.
 * Return: 0 or -ENOSPC */
int csv_model_add_vcpu(struct csv_model *m, int vcpu_fd);

/* For fault hooks and counts; valid until close, or until csv_model_drop()
 * when held: a held model outlives its close, which only ends the guest. */
struct psp *csv_model_psp(struct csv_model *m);
void csv_model_hold(struct csv_model *m);
void csv_model_drop(struct csv_model *m);

#endif
