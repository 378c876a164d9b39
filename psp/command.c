/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command table and what all commands have in common. Checks go from the
 * outside in: command, platform state, reserved fields, handle, guest state,
 * kind of guest, key in place; then the handler looks at lengths (and answers
 * queries), addresses and contents.
 */
#include <openssl/crypto.h>
#include <string.h>

#include "psp/internal.h"

#define U   (1u << PSP_UNINIT)
#define I   (1u << PSP_INIT)
#define W   (1u << PSP_WORKING)
#define ANY (U | I | W)

#define G_LUPDATE (1u << PSP_G_LUPDATE)
#define G_LSECRET (1u << PSP_G_LSECRET)
#define G_RUNNING (1u << PSP_G_RUNNING)
#define G_SUPDATE (1u << PSP_G_SUPDATE)
#define G_RUPDATE (1u << PSP_G_RUPDATE)
#define G_SENT	  (1u << PSP_G_SENT)
#define G_LIVE	  (G_LUPDATE | G_LSECRET | G_RUNNING | G_SUPDATE | G_RUPDATE)
#define G_ANY	  (G_LIVE | G_SENT)
/* States for DBG_* and ATTESTATION_REPORT: unconfirmed; whenever the contents
 * are this platform's own. */
#define G_OWN (G_LUPDATE | G_LSECRET | G_RUNNING | G_SUPDATE)

#define ES  PSP_CMDF_ES
#define ACT PSP_CMDF_ACTIVE
/* Unconfirmed: rings are seen in use for SEND_ and RECEIVE_UPDATE_DATA only.
 * The model takes what works on guest memory, no change of any state. */
#define RING   PSP_CMDF_RING
#define W1(n)  (1u << (n) / 4)
#define PACKET (W1(4) | W1(20) | W1(36))

#define ROW(id, abi, platform, guest, flags, rsvd, run)               \
	{                                                             \
		PSP_CMD_##id, abi, platform, guest, flags, rsvd, #id, \
			psp_do_##run                                  \
	}
#define SIZE(name) sizeof(struct psp_abi_##name)

static const struct psp_cmd table[] = {
	ROW(INIT, SIZE(init), U, 0, 0, W1(4), init),
	ROW(SHUTDOWN, 0, ANY, 0, 0, 0, shutdown),
	ROW(FACTORY_RESET, 0, U, 0, 0, 0, factory_reset),
	ROW(PLATFORM_STATUS, SIZE(platform_status), ANY, 0, 0, 0, platform_status),
	ROW(PEK_GEN, 0, I, 0, 0, 0, pek_gen),
	ROW(PEK_CSR, SIZE(buffer), I, 0, 0, 0, pek_csr),
	ROW(PEK_CERT_IMPORT, SIZE(two_certs), I, 0, 0, W1(12), pek_cert_import),
	ROW(PDH_CERT_EXPORT, SIZE(two_certs), I | W, 0, 0, W1(12),
	    pdh_cert_export),
	ROW(PDH_GEN, 0, I | W, 0, 0, 0, pdh_gen),
	ROW(DF_FLUSH, 0, I | W, 0, 0, 0, df_flush),
	ROW(DOWNLOAD_FIRMWARE, SIZE(buffer), U | I, 0, 0, 0, download_firmware),
	ROW(GET_ID, SIZE(buffer), ANY, 0, 0, 0, get_id),
	ROW(INIT_EX, SIZE(init_ex), U, 0, 0, W1(20), init_ex),
	ROW(NOP, 0, ANY, 0, 0, 0, nop),
	ROW(RING_BUFFER, SIZE(ring_buffer), I | W, 0, 0, 0, ring_buffer),
	ROW(DECOMMISSION, SIZE(handle), W, G_ANY, 0, 0, decommission),
	ROW(ACTIVATE, SIZE(activate), W, G_LIVE, 0, 0, activate),
	ROW(DEACTIVATE, SIZE(handle), W, G_ANY, 0, 0, deactivate),
	ROW(GUEST_STATUS, SIZE(guest_status), W, G_ANY, 0, 0, guest_status),
	ROW(LAUNCH_START, SIZE(start), I | W, 0, 0, W1(20), launch_start),
	ROW(LAUNCH_UPDATE_DATA, SIZE(launch), W, G_LUPDATE, ACT | RING, W1(4),
	    launch_update_data),
	ROW(LAUNCH_UPDATE_VMSA, SIZE(launch), W, G_LUPDATE, ES | ACT | RING,
	    W1(4), launch_update_vmsa),
	ROW(LAUNCH_MEASURE, SIZE(launch), W, G_LUPDATE, 0, W1(4), launch_measure),
	ROW(LAUNCH_SECRET, SIZE(packet), W, G_LSECRET, ACT, PACKET, launch_secret),
	ROW(LAUNCH_FINISH, SIZE(handle), W, G_LSECRET, 0, 0, launch_finish),
	ROW(ATTESTATION_REPORT, SIZE(attest), W, G_OWN, 0, W1(4),
	    attestation_report),
	ROW(SEND_START, SIZE(send_start), W, G_RUNNING, 0,
	    W1(20) | W1(36) | W1(52), send_start),
	ROW(SEND_UPDATE_DATA, SIZE(packet), W, G_RUNNING | G_SUPDATE,
	    ACT | RING, PACKET, send_update_data),
	ROW(SEND_UPDATE_VMSA, SIZE(packet), W, G_RUNNING | G_SUPDATE,
	    ES | ACT | RING, PACKET, send_update_vmsa),
	ROW(SEND_FINISH, SIZE(handle), W, G_SUPDATE, 0, 0, send_finish),
	ROW(SEND_CANCEL, SIZE(handle), W, G_SUPDATE, 0, 0, send_cancel),
	ROW(RECEIVE_START, SIZE(start), I | W, 0, 0, W1(20), receive_start),
	ROW(RECEIVE_UPDATE_DATA, SIZE(packet), W, G_RUPDATE, ACT | RING, PACKET,
	    receive_update_data),
	ROW(RECEIVE_UPDATE_VMSA, SIZE(packet), W, G_RUPDATE, ES | ACT | RING,
	    PACKET, receive_update_vmsa),
	ROW(RECEIVE_FINISH, SIZE(handle), W, G_RUPDATE, 0, 0, receive_finish),
	ROW(DBG_DECRYPT, SIZE(dbg), W, G_OWN, ACT | RING, W1(4), dbg_decrypt),
	ROW(DBG_ENCRYPT, SIZE(dbg), W, G_OWN, ACT | RING, W1(4), dbg_encrypt),
};

#define BUF_MAX 68

static_assert(SIZE(send_start) == BUF_MAX, "the largest command buffer");

const struct psp_cmd *psp_cmd_find(uint32_t id)
{
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].id == id)
			return &table[i];
	return NULL;
}

const char *psp_command_name(uint32_t cmd)
{
	const struct psp_cmd *c = psp_cmd_find(cmd);

	return c ? c->name : NULL;
}

static bool reserved_clear(const struct psp_cmd *c, const uint8_t *buf)
{
	uint32_t v;
	size_t i;

	for (i = 0; i + 4 <= c->size; i += 4) {
		memcpy(&v, buf + i, sizeof(v));
		if ((c->rsvd & W1(i)) && v)
			return false;
	}
	return true;
}

static uint16_t guest_check(struct psp *p, const struct psp_cmd *c,
			    const void *buf, struct psp_guest **ret_g)
{
	struct psp_guest *g;
	uint32_t handle;

	memcpy(&handle, buf, sizeof(handle));
	g = psp_guest_find(p, handle);
	if (!g)
		return PSP_RET_INVALID_GUEST;
	if (!(c->guest & 1u << g->state))
		return PSP_RET_INVALID_GUEST_STATE;
	/* Unconfirmed which status the firmware has for this. */
	if ((c->flags & PSP_CMDF_ES) && !(g->policy & PSP_POLICY_ES))
		return PSP_RET_POLICY_FAILURE;
	if ((c->flags & PSP_CMDF_ACTIVE) && !g->asid)
		return PSP_RET_INACTIVE;
	*ret_g = g;
	return PSP_RET_SUCCESS;
}

uint16_t psp_execute(struct psp *p, const struct psp_cmd *c, void *buf)
{
	struct psp_guest *g = NULL;
	uint16_t status;

	if (psp_fault_take(p, &status))
		return status;
	if (!(c->platform & 1u << p->state))
		return PSP_RET_INVALID_PLATFORM_STATE;
	if (!reserved_clear(c, buf))
		return PSP_RET_INVALID_PARAM;
	if (c->guest) {
		status = guest_check(p, c, buf, &g);
		if (status != PSP_RET_SUCCESS)
			return status;
	}
	return c->run(p, g, buf);
}

uint16_t psp_execute_at(struct psp *p, const struct psp_cmd *c, uint64_t pa)
{
	uint8_t buf[BUF_MAX];
	uint16_t status;

	if (c->size && psp_mem_read(p, pa, buf, c->size) < 0)
		return PSP_RET_INVALID_ADDRESS;
	status = psp_execute(p, c, buf);
	/* Also on error: that is how a length query answers. */
	if (c->size && psp_mem_write(p, pa, buf, c->size) < 0 &&
	    status == PSP_RET_SUCCESS)
		status = PSP_RET_INVALID_ADDRESS;
	return status;
}

/* Any mailbox command, even an unknown one, ends ring mode ([csv-abi] 2.7). */
static const struct psp_cmd *mailbox_begin(struct psp *p, uint32_t cmd)
{
	p->ring.active = false;
	p->stats.mailbox++;
	p->stats.interrupts++;
	p->stats.busy_ns += p->cfg.cost.mailbox_ns;
	return psp_cmd_find(cmd);
}

uint16_t psp_mailbox(struct psp *p, uint32_t cmd, uint64_t buf_pa)
{
	const struct psp_cmd *c = mailbox_begin(p, cmd);
	uint16_t status = PSP_RET_INVALID_COMMAND;

	if (c)
		status = psp_execute_at(p, c, buf_pa);
	psp_stats_done(p, cmd, status);
	return status;
}

uint16_t psp_command(struct psp *p, uint32_t cmd, void *buf, size_t len)
{
	const struct psp_cmd *c = mailbox_begin(p, cmd);
	uint16_t status = PSP_RET_INVALID_COMMAND;

	if (c)
		status = len == c->size ? psp_execute(p, c, buf)
					: PSP_RET_INVALID_LEN;
	psp_stats_done(p, cmd, status);
	return status;
}
