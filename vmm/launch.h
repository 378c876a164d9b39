/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_LAUNCH_H
#define CSVVMM_VMM_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/csv.h"
#include "core/gmem.h"
#include "vmm/config.h"

struct boot_info;

/*
 * The measured launch of an encrypted guest: which commands, in which order.
 * What is measured, and in which order, is boot_info's list of regions, then
 * one VMSA a vCPU; `csvvmm measure` (vmm/measure.h) goes by the same list.
 */

/**
 * enum launch_state - What has been done; each follows from the one before
 *
 * A failure leads back to LAUNCH_NONE: the guest is decommissioned, its ASID
 * free, its memory no longer pinned.
 */
enum launch_state {
	LAUNCH_NONE,
	LAUNCH_INIT,	   /* the VM is an encrypted one; vCPUs may be made */
	LAUNCH_STARTED,	   /* the guest has a policy and a key */
	LAUNCH_REGISTERED, /* its memory is known and pinned */
	LAUNCH_LOADED,	   /* memory is measured and encrypted */
	LAUNCH_VMSA,	   /* registers too, of a CSV2 guest */
	LAUNCH_MEASURED,   /* secrets may be given */
	LAUNCH_FINISHED,   /* may run */
	LAUNCH_STATES
};

#define LAUNCH_HEADER_SIZE  52
#define LAUNCH_SECRET_MAX   16384u
#define LAUNCH_REPORT_MAX   4096u
#define LAUNCH_CERT_SIZE    2084u
#define LAUNCH_SESSION_SIZE 128u
#define LAUNCH_CHAIN_SIZE   (3 * LAUNCH_CERT_SIZE)

struct launch_blob {
	uint8_t *data;
	uint32_t len;
};

struct launch_packet {
	struct launch_blob header, data;
	gpa_t at;
};

/**
 * struct launch - One guest's launch
 * @measure:	Measurement 32, nonce 16; from LAUNCH_MEASURED on
 * @digest:	As the firmware reports it; only if @have_digest
 * @again:	Not the first one: in the sandbox, where no signal can be looked for,
 *		nor the platform asked what it is; it is the same
 * @report:	Attestation report about it, and the certificates to check it
 *		with: PEK, OCA, CEK in @chain. Empty where the firmware has none
 */
struct launch {
	enum launch_state state;
	struct csv csv;
	const struct config_csv *cfg;
	struct gmem *gmem;
	const struct boot_info *boot;
	struct csv_platform_status platform;
	struct launch_blob dh_cert, session;
	struct launch_packet secret[CONFIG_SECRETS_MAX];
	uint8_t measure[48];
	bool have_digest, signalled, again;
	uint8_t digest[32];
	struct launch_blob report, pdh, chain;
};

/**
 * launch_init() - Read the owner's files, turn the VM into an encrypted one
 * @be:		Taken over, also on failure
 *
 * launch_fini() is safe after success or failure, and twice.
 *
 * Return: 0 or -errno; logged in one line, as by all functions here
 */
int launch_init(struct launch *l, const struct config_csv *cfg,
		const struct csv_backend *ops, void *be);

/**
 * launch_again() - From the beginning, in the VM @vm_fd; the one before is gone
 *
 * The owner's files are not read again. Return: as launch_init()
 */
int launch_again(struct launch *l, int vm_fd);

/**
 * launch_measure() - Everything up to LAUNCH_MEASURE, the configured secrets
 * @gm, @boot:	Filled by boot_load(); registers of all vCPUs are set
 *
 * Return: also -EINTR, not logged: guardian_pending(). Nothing is left, as after
 * any failure
 */
int launch_measure(struct launch *l, struct gmem *gm,
		   const struct boot_info *boot);

/**
 * launch_secret() - Put an owner's packet into the guest
 *
 * Return: 0, -EINVAL (sizes, address), -EPROTO (not now), or -EIO, as the
 * packet is wrong: the launch goes on, try another. Not logged; csv_error()
 * of @l->csv tells about -EIO.
 */
int launch_secret(struct launch *l, const void *header, uint32_t header_len,
		  gpa_t at, const void *data, uint32_t len);

/**
 * launch_report() - Have a new attestation report made, from LAUNCH_MEASURED on
 * @nonce:	Whoever asks chooses it, to see that the report is new
 * @ret_b:	Allocated
 *
 * Return: 0, or -errno as csv_error() of @l->csv tells, or -ENOMEM
 */
int launch_report(struct launch *l, const uint8_t nonce[16],
		  struct launch_blob *ret_b);

/* The first of the regions that the guest starts with, from @at on for @len, or
 * NULL. @len > 0, without overflow */
const struct boot_region *launch_overlap(const struct launch *l, gpa_t at,
					 uint64_t len);

/* Instead of all that, for a guest that comes from another platform: ready for
 * RECEIVE_START. launch_received() when it is in. */
int launch_incoming(struct launch *l, struct gmem *gm,
		    const struct boot_info *boot);
void launch_received(struct launch *l);

/* LAUNCH_FINISH: the guest may run. */
int launch_finish(struct launch *l);
void launch_fini(struct launch *l);

const char *launch_state_name(enum launch_state state);

#endif
