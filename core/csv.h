/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_CSV_H
#define CSVVMM_CORE_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The commands of an encrypted guest in the VMM's own words, one function
 * each, over a backend whose seam is the ioctl itself: the kernel's
 * KVM_MEMORY_ENCRYPT_OP, or the firmware model in this process. Nobody above
 * can tell which. Policy (what to measure, in which order) is vmm/launch.c.
 *
 * Every command returns 0 or -errno. -EPROTO: not allowed in this state, or
 * by the guest's policy; the backend was not asked. -EIO: the firmware said
 * no, csv->fw says how. -EINVAL: wrong arguments; other codes are the
 * kernel's. csv_error() has it in words. Outputs are untouched on failure,
 * except that a size that was too small becomes the one wanted.
 */

/**
 * struct csv_backend - How commands reach a security processor
 * @name:	"kvm" or "model"
 * @issue:	One KVM_SEV_* / CSV_* command ([csv-abi] 1.1, 1.2); @arg is its KVM
 *		structure or NULL. *ret_fw: firmware status, 0: it was not reached
 * @platform:	One SEV_* command of /dev/sev ([csv-abi] 1.9)
 * @region:	Register or unregister guest RAM that may be encrypted
 * @close:	Undo everything: guest decommissioned, ASID free. (With the kernel, that
 *		happens when the last descriptor of the VM goes). @again: for another
 *		guest in the VM @vm_fd. Others: 0 or -errno; -EIO with *ret_fw
 */
struct csv_backend {
	const char *name;
	int (*issue)(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw);
	int (*platform)(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw);
	int (*region)(void *be, void *host, uint64_t size, bool add);
	void (*close)(void *be);
	void (*again)(void *be, int vm_fd);
};

/**
 * enum csv_state - Where the guest is; mirrors the firmware's guest states
 *
 * CSV_NEW	the VM is a plain one
 * CSV_INIT	the VM is an encrypted one; no key yet
 * CSV_LAUNCH	LAUNCH_UPDATE_* allowed
 * CSV_SECRET	measured; LAUNCH_SECRET allowed
 * CSV_RUNNING	no launch command any more
 * CSV_SEND	SEND_UPDATE_* allowed; the guest may run
 * CSV_RECEIVE	RECEIVE_UPDATE_* allowed
 * CSV_SENT	only tear-down is left
 */
enum csv_state {
	CSV_NEW,
	CSV_INIT,
	CSV_LAUNCH,
	CSV_SECRET,
	CSV_RUNNING,
	CSV_SEND,
	CSV_RECEIVE,
	CSV_SENT,
	CSV_STATES
};

#define CSV_REGIONS_MAX 64

struct csv_region {
	void *host;
	uint64_t size;
};

/**
 * struct csv - One encrypted guest
 * @es:		CSV2 / SEV-ES: registers are encrypted too
 * @vmsa_tried:	LAUNCH_UPDATE_VMSA was issued; @vmsa_done: and succeeded
 * @handle:	The firmware's, for messages
 * @batch_flags: For the command id of each batch: CSV_BATCH_MORE, or none
 * @region:	Registered RAM, unregistered by csv_close()
 * @last:	Name of the last command that failed, for messages
 * @err:	What it returned
 * @fw:		Firmware status of it, 0 = firmware not reached
 * @why:	Why it was refused here; NULL: the backend was asked
 */
struct csv {
	const struct csv_backend *ops;
	void *be;
	enum csv_state state;
	bool es, vmsa_tried, vmsa_done;
	uint32_t policy;
	uint32_t handle;
	uint32_t batch_flags;
	struct csv_region region[CSV_REGIONS_MAX];
	unsigned n_regions;
	const char *last;
	int err;
	uint32_t fw;
	const char *why;
};

/* Words for a firmware status: name, meaning, next step. Never NULL. */
struct csv_fw_words {
	const char *name, *meaning, *next;
};
const struct csv_fw_words *csv_fw_words(uint32_t status);

/* "LAUNCH_START: firmware: POLICY_FAILURE (0x7): ...; next: ..." about the last
 * command that failed, in a thread-local buffer. */
const char *csv_error(const struct csv *csv);
const char *csv_state_name(enum csv_state state);

void csv_open(struct csv *csv, const struct csv_backend *ops, void *be);
/* Tear down from any state, or twice; every command after it is refused. again:
 * another guest instead of this one, whose VM is gone, in the VM @vm_fd. */
void csv_close(struct csv *csv);
void csv_again(struct csv *csv, int vm_fd);

/* Before the first vCPU is made. @user_id: NULL, or guests with the same id
 * share an ASID (policy bit 7). */
int csv_init(struct csv *csv, bool es, const char *user_id);
/* @dh_cert, @session: the owner's, or both NULL and 0. -EINVAL: larger than
 * 16 KiB, or @policy and csv_init() differ about `es`. */
int csv_launch_start(struct csv *csv, uint32_t policy, const void *dh_cert,
		     uint32_t dh_len, const void *session, uint32_t session_len);
/* -ENOSPC: more than CSV_REGIONS_MAX; -ENOENT: remove what was not added. */
int csv_region(struct csv *csv, void *host, uint64_t size, bool add);
int csv_launch_update_data(struct csv *csv, void *host, uint32_t len);
/* All vCPUs at once, as KVM does it; once: after a failure some are in, and
 * only csv_close() is left. */
int csv_launch_update_vmsa(struct csv *csv);
/* Measurement 32 + nonce 16. A CSV2 guest's VMSAs must be in by then. */
int csv_launch_measure(struct csv *csv, uint8_t buf[48]);
int csv_launch_secret(struct csv *csv, const void *hdr, uint32_t hdr_len,
		      void *guest_host, uint32_t guest_len, const void *data,
		      uint32_t data_len);
int csv_launch_finish(struct csv *csv);

/* @state: the firmware's number ([csv-abi] 2.3), not enum csv_state. */
struct csv_guest_status {
	uint32_t handle, policy, state;
};
int csv_guest_status(struct csv *csv, struct csv_guest_status *ret);

/* *len in: size of @buf, or 0 to ask (no failure); out: size of the report. */
int csv_attestation_report(struct csv *csv, const uint8_t mnonce[16], void *buf,
			   uint32_t *len);
/* Plaintext into @buf (undefined after a failure); not with policy `nodbg`. */
int csv_dbg_decrypt(struct csv *csv, const void *host, void *buf, uint32_t len);

struct csv_platform_status {
	uint8_t api_major, api_minor, state;
	uint32_t flags; /* as /dev/sev has them; bit 8 = ES is on */
	bool owned, es;
	uint32_t build; /* 31 bits on Hygon, 8 on AMD */
	uint32_t guest_count;
};
int csv_platform_status(struct csv *csv, struct csv_platform_status *ret);
/* Certificates of this platform: PDH, and PEK, OCA, CEK. Lengths as for
 * csv_attestation_report(); 0 in either asks for both. */
int csv_pdh_export(struct csv *csv, void *pdh, uint32_t *pdh_len, void *chain,
		   uint32_t *chain_len);

/* Migration: core/csv_migrate.c. Certificates of the target, already checked; @amd: root side
 * (HSK, CEK / ASK, ARK). None may be empty: KVM refuses that. */
struct csv_target {
	const void *pdh, *plat, *amd;
	uint32_t pdh_len, plat_len, amd_len;
};

/* *len as for csv_attestation_report(). The guest goes on running. */
int csv_send_start(struct csv *csv, const struct csv_target *target,
		   void *session, uint32_t *len);
int csv_send_finish(struct csv *csv);
int csv_send_cancel(struct csv *csv);
int csv_receive_start(struct csv *csv, uint32_t policy, const void *pdh,
		      uint32_t pdh_len, const void *session,
		      uint32_t session_len);
int csv_receive_finish(struct csv *csv);

/**
 * struct csv_packet - One page (or VMSA) and its form on the wire
 * @guest:	Where it is mapped here; inside one page. NULL for a VMSA
 */
struct csv_packet {
	void *hdr, *guest, *trans;
	uint32_t hdr_len, guest_len, trans_len;
};

/* Sizes of header and payload of a full page. */
int csv_send_sizes(struct csv *csv, uint32_t *ret_hdr, uint32_t *ret_trans);
int csv_send_data(struct csv *csv, const struct csv_packet *p);
int csv_receive_data(struct csv *csv, const struct csv_packet *p);
int csv_send_vmsa(struct csv *csv, uint32_t vcpu_id, const struct csv_packet *p);
int csv_receive_vmsa(struct csv *csv, uint32_t vcpu_id,
		     const struct csv_packet *p);
/* At most CSV_BATCH_MAX; on failure some may be in. -E2BIG: wrong arguments.
 * -ENOTTY, -EINVAL: this kernel can't; use the functions above. */
int csv_batch(struct csv *csv, bool send, const struct csv_packet *p, unsigned n);

#endif
