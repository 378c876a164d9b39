/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_PSP_INTERNAL_H
#define CSVVMM_PSP_INTERNAL_H

/* What the command files share; nobody outside psp/ includes it. */
#include "psp/cert.h"
#include "psp/crypto.h"
#include "psp/ivset.h"
#include "psp/psp.h"
#include "psp/psp_abi.h"

#define PSP_PAGE       4096u
#define PSP_GUESTS_MAX 256u
#define PSP_SECRET_MAX 16384u /* unconfirmed */
#define PSP_ASID_LIMIT 4095u  /* what a config may ask for */

#define PSP_MIN(a, b) ((a) < (b) ? (a) : (b))

struct psp_guest {
	uint32_t handle, policy, asid; /* asid 0: not active */
	bool was_active;	       /* memory may be encrypted with @vek */
	enum psp_guest_state state;
	uint8_t vek[PSP_KEY_SIZE];
	uint8_t tik[PSP_KEY_SIZE];
	struct psp_channel *ch; /* NULL when there is no session */
	struct psp_hash *ld;	/* NULL when it was received */
	uint8_t digest[PSP_DIGEST_SIZE];
	uint8_t measure[PSP_MAC_SIZE];
	uint8_t owner_digest[PSP_DIGEST_SIZE]; /* of the owner's public key */
	struct psp_ivset ivs;		       /* received in this session */
};

enum psp_asid_use { PSP_ASID_FREE, PSP_ASID_OWNED, PSP_ASID_DIRTY };

struct psp_asid {
	enum psp_asid_use use;
	uint32_t users; /* more than one: guests that share a key */
};

struct psp_identity {
	bool present; /* OCA and PEK exist */
	bool owned;   /* by an external OCA, whose key is not here */
	struct psp_ec_key *oca, *pek, *pdh;
	uint8_t oca_cert[PSP_CERT_SIZE];
	uint8_t pek_cert[PSP_CERT_SIZE];
	uint8_t pdh_cert[PSP_CERT_SIZE];
};

struct psp_queue {
	uint64_t cmd, stat; /* physical addresses */
	uint32_t head, tail;
};

struct psp_ring {
	bool active, paused, int_on_empty;
	struct psp_queue high, low;
};

struct psp_fault {
	unsigned nth; /* 0: none */
	uint16_t status;
	bool pause;
	unsigned pause_at;
	uint16_t pause_status;
	bool lose;
};

struct psp {
	struct psp_config cfg;
	struct psp_ops ops;
	void *ctx;
	const struct psp_suite *suite;
	enum psp_platform_state state;
	bool es;
	uint64_t tmr; /* only with es */
	bool has_nv;
	uint64_t nv;
	struct psp_ec_key *cek;
	uint8_t cek_cert[PSP_CERT_SIZE];
	struct psp_identity id;
	struct psp_guest *guest[PSP_GUESTS_MAX];
	uint32_t n_guests, last_handle;
	struct psp_asid *asid; /* 0 .. max_asid */
	uint64_t dirty_ns;     /* the last DEACTIVATE */
	struct psp_ring ring;
	struct psp_fault fault;
	struct psp_stats stats;
};

/**
 * struct psp_cmd - One row of the command table
 * @size:	Of its buffer, 0 = has none
 * @platform:	Platform states it is allowed in, bits 1 << state
 * @guest:	Guest states it is allowed in; 0 = no guest in the first field
 * @flags:	PSP_CMDF_*
 * @rsvd:	Bit n: the u32 at byte 4 n must be zero
 */
struct psp_cmd {
	uint16_t id;
	uint8_t size, platform, guest, flags;
	uint32_t rsvd;
	const char *name;
	uint16_t (*run)(struct psp *p, struct psp_guest *g, void *buf);
};

#define PSP_CMDF_ES	(1u << 0) /* only for guests with encrypted registers */
#define PSP_CMDF_ACTIVE (1u << 1) /* needs the guest's key in place */
#define PSP_CMDF_RING	(1u << 2) /* may stand in a ring */

/* command.c */
const struct psp_cmd *psp_cmd_find(uint32_t id);
uint16_t psp_execute(struct psp *p, const struct psp_cmd *c, void *buf);
/* As psp_execute(), with the buffer in memory, written back. */
uint16_t psp_execute_at(struct psp *p, const struct psp_cmd *c, uint64_t pa);

/* mem.c: 0 or -errno; out-of-range, TMR and wrap-around are -EFAULT */
uint64_t psp_pa(const struct psp *p, uint64_t address);
bool psp_has_cbit(const struct psp *p, uint64_t address);
int psp_mem_read(struct psp *p, uint64_t address, void *buf, size_t len);
int psp_mem_write(struct psp *p, uint64_t address, const void *buf, size_t len);
/* Is each page of the range readable? So that a command fails as a whole. */
int psp_mem_probe(struct psp *p, uint64_t address, uint64_t len);
int psp_guest_read(struct psp *p, const struct psp_guest *g, uint64_t address,
		   void *buf, size_t len);
int psp_guest_write(struct psp *p, const struct psp_guest *g, uint64_t address,
		    const void *buf, size_t len);
/* The page at @address is a VMSA now. Return: PSP_RET_* */
uint16_t psp_vmsa_made(struct psp *p, const struct psp_guest *g,
		       uint64_t address);

/* identity.c */
int psp_identity_chip(struct psp *p); /* CEK */
int psp_identity_make(struct psp *p); /* new OCA, PEK, PDH; self-owned */
int psp_identity_pdh(struct psp *p);  /* new PDH */
void psp_identity_erase(struct psp *p);
uint16_t psp_cert_status(int err); /* status for an error of cert.h */
uint16_t psp_lib_status(int err);  /* ... of crypto.h otherwise */

/* nv.c: 0; -ENOENT blank, -EBADMSG damaged, -EFAULT unreachable */
int psp_nv_load(struct psp *p);
int psp_nv_store(struct psp *p);
int psp_nv_blank(struct psp *p);

/* guest.c */
struct psp_guest *psp_guest_find(const struct psp *p, uint32_t handle);
/* LAUNCH_START and RECEIVE_START up to the state; writes the handle back. */
uint16_t psp_guest_start(struct psp *p, struct psp_abi_start *c, bool receive);
void psp_guest_drop_session(struct psp_guest *g);
void psp_guest_delete(struct psp *p, struct psp_guest *g);

/* stats.c */
void psp_stats_pages(struct psp *p, uint64_t bytes);
void psp_stats_done(struct psp *p, uint32_t cmd, uint16_t status);
/* Return: whether a fault takes this command, with *ret_status. */
bool psp_fault_take(struct psp *p, uint16_t *ret_status);

/* handlers */
#define PSP_HANDLER(name) \
	uint16_t psp_do_##name(struct psp *p, struct psp_guest *g, void *buf)
PSP_HANDLER(nop);
PSP_HANDLER(init);
PSP_HANDLER(init_ex);
PSP_HANDLER(shutdown);
PSP_HANDLER(factory_reset);
PSP_HANDLER(platform_status);
PSP_HANDLER(df_flush);
PSP_HANDLER(download_firmware);
PSP_HANDLER(get_id);
PSP_HANDLER(pek_gen);
PSP_HANDLER(pek_csr);
PSP_HANDLER(pek_cert_import);
PSP_HANDLER(pdh_gen);
PSP_HANDLER(pdh_cert_export);
PSP_HANDLER(ring_buffer);
PSP_HANDLER(activate);
PSP_HANDLER(deactivate);
PSP_HANDLER(decommission);
PSP_HANDLER(guest_status);
PSP_HANDLER(launch_start);
PSP_HANDLER(launch_update_data);
PSP_HANDLER(launch_update_vmsa);
PSP_HANDLER(launch_measure);
PSP_HANDLER(launch_secret);
PSP_HANDLER(launch_finish);
PSP_HANDLER(attestation_report);
PSP_HANDLER(send_start);
PSP_HANDLER(send_update_data);
PSP_HANDLER(send_update_vmsa);
PSP_HANDLER(send_finish);
PSP_HANDLER(send_cancel);
PSP_HANDLER(receive_start);
PSP_HANDLER(receive_update_data);
PSP_HANDLER(receive_update_vmsa);
PSP_HANDLER(receive_finish);
PSP_HANDLER(dbg_decrypt);
PSP_HANDLER(dbg_encrypt);

#endif
