/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_PSP_PSP_H
#define CSVVMM_PSP_PSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The CSV/SEV firmware in software. One struct psp is one platform; several
 * can live in one process (two are needed to migrate between them). Not
 * thread-safe: the caller serialises calls on one platform.
 *
 * The model knows nothing of who calls it: a VMM backend, an emulated PCI
 * device, or a unit test. It includes no header of the rest of csvvmm.
 */
struct psp;

enum psp_profile {
	PSP_AMD,   /* P-384, SHA-256, AES-128 ([SEV-API] 0.24) */
	PSP_HYGON, /* SM2, SM3, SM4 where the vendor's reference says so */
};

#define PSP_KEY_SIZE 16

/**
 * struct psp_ops - What the platform around the firmware provides
 *
 * All addresses are system physical, C-bit stripped. @read and @write see
 * memory as the host does (ciphertext in encrypted pages); @guest_read and
 * @guest_write see it through a guest's memory key (identity in a VMM whose
 * guests run unencrypted; a real address-tweaked cipher elsewhere). Functions
 * return 0 or a negative errno, which the command answers as INVALID_ADDRESS.
 * @read, @write, @guest_read, @guest_write and @random must be there.
 *
 * @set_key:	ACTIVATE installs, DEACTIVATE (key NULL) removes the key of an
 *		ASID; may be NULL
 * @wbinvd_since: have all processors executed WBINVD since @epoch_ns of
 *		@now_ns? NULL = always
 * @vmsa_made:	LAUNCH_ or RECEIVE_UPDATE_VMSA has written the page at @pa; may
 *		be NULL
 * @random:	fill with unpredictable bytes
 */
struct psp_ops {
	int (*read)(void *ctx, uint64_t pa, void *buf, size_t len);
	int (*write)(void *ctx, uint64_t pa, const void *buf, size_t len);
	int (*guest_read)(void *ctx, uint32_t asid,
			  const uint8_t key[PSP_KEY_SIZE], uint64_t pa,
			  void *buf, size_t len);
	int (*guest_write)(void *ctx, uint32_t asid,
			   const uint8_t key[PSP_KEY_SIZE], uint64_t pa,
			   const void *buf, size_t len);
	int (*vmsa_made)(void *ctx, uint32_t asid,
			 const uint8_t key[PSP_KEY_SIZE], uint64_t pa);
	int (*set_key)(void *ctx, uint32_t asid, const uint8_t *key);
	bool (*wbinvd_since)(void *ctx, uint64_t epoch_ns);
	uint64_t (*now_ns)(void *ctx);
	int (*random)(void *ctx, void *buf, size_t len);
};

/* Modelled cost; 0 = free. The model sums it up (psp_stats.busy_ns) and leaves
 * waiting to the caller. */
struct psp_cost {
	uint64_t mailbox_ns;  /* one mailbox round trip */
	uint64_t doorbell_ns; /* one ring doorbell up to the first command */
	uint64_t page_ns;     /* work on one 4 KiB page */
};

/**
 * struct psp_config - A platform when it is made
 * @chip_id:	64 bytes that GET_ID answers; also seeds the chip's keys (CEK),
 *		so that the same id is the same chip
 * @cbit:	Bit number to strip from addresses, or 0
 * @max_asid, @min_sev_asid: CPUID 0x8000001F ECX and EDX; Hygon lets CSV2 use
 *		1 .. max
 * @api_major, @api_minor, @build: what PLATFORM_STATUS says
 */
struct psp_config {
	enum psp_profile profile;
	uint8_t chip_id[64];
	unsigned cbit;
	uint32_t max_asid, min_sev_asid;
	uint8_t api_major, api_minor;
	uint32_t build;
	struct psp_cost cost;
};

/* Defaults of a profile: ASIDs, API version, build; chip id all zero. */
void psp_config_default(struct psp_config *cfg, enum psp_profile profile);

/* @ops is copied. Return: 0 with *ret_psp, or -ENOMEM, -EIO (crypto library),
 * -EINVAL (config: ASIDs, C-bit). */
int psp_create(const struct psp_config *cfg, const struct psp_ops *ops,
	       void *ctx, struct psp **ret_psp);
void psp_destroy(struct psp *p);

/**
 * psp_mailbox() - Execute one command as if written to CMDRESP
 * @cmd:	Firmware command id (psp/psp_abi.h)
 * @buf_pa:	Physical address of the command buffer; it is read, and
 *		written back also on error ([csv-abi] 2.1)
 *
 * Leaves ring mode if the platform is in it.
 *
 * Return: firmware status, PSP_RET_*
 */
uint16_t psp_mailbox(struct psp *p, uint32_t cmd, uint64_t buf_pa);

/**
 * psp_command() - As psp_mailbox() with the command buffer given directly
 * @buf, @len:	In and out; @len must be the command's size
 */
uint16_t psp_command(struct psp *p, uint32_t cmd, void *buf, size_t len);

/* "LAUNCH_START", ...; NULL when the model does not know it. */
const char *psp_command_name(uint32_t cmd);

/* Ring mode ([csv-abi] 2.4 to 2.7); entered by PSP_CMD_RING_BUFFER. */
bool psp_in_ring_mode(const struct psp *p);

/**
 * psp_ring_doorbell() - The host wrote RBCTL after setting the tails
 * @tails:	RBTAIL: HIGH in bits 26:16, LOW in bits 10:0
 *
 * Runs until both queues are empty or one pauses on an error.
 *
 * Return: true when an interrupt is due (false: fault hook lost it, or not in
 * ring mode)
 */
bool psp_ring_doorbell(struct psp *p, uint32_t tails);

/* RBHEAD: HIGH in 26:16, LOW in 10:0, bit 30 = paused on an error. */
uint32_t psp_ring_heads(const struct psp *p);

/* The host wrote RBHEAD before a doorbell, to go on elsewhere. */
void psp_ring_set_heads(struct psp *p, uint32_t heads);

/**
 * struct psp_stats - Counted since creation
 */
struct psp_stats {
	uint64_t commands[0x400]; /* by id; mailbox and ring */
	uint64_t failed;
	uint64_t mailbox, doorbells, ring_commands, interrupts;
	uint64_t bytes_hashed, bytes_sent, bytes_received, bytes_crypted;
	uint64_t busy_ns; /* modelled */
};

const struct psp_stats *psp_stats(const struct psp *p);

/**
 * psp_fault_command() - Make the @nth command from now (1 = next) fail
 * psp_fault_ring_pause() - Pause the ring at element @k (0 = first executed, of
 *	both queues) of the next doorbell, without executing it
 * psp_fault_lose_interrupt() - Lose the next interrupt of a doorbell
 */
void psp_fault_command(struct psp *p, unsigned nth, uint16_t status);
void psp_fault_ring_pause(struct psp *p, unsigned k, uint16_t status);
void psp_fault_lose_interrupt(struct psp *p);

/**
 * psp_asid_may_run() - For an emulator's checks at VMRUN
 * Return: true when @asid has an active guest that may run (RUNNING, SUPDATE)
 */
bool psp_asid_may_run(const struct psp *p, uint32_t asid);

#endif
