/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_PSP_PSP_ABI_H
#define CSVVMM_PSP_PSP_ABI_H

/*
 * The firmware's own ABI: command ids, packed structs, status codes, states,
 * policy bits ([csv-abi] 2.2 to 2.7, [sev-es-emulation] G.2 to G.5). All
 * integers little-endian; so is every host this runs on.
 */
#include <assert.h>
#include <stdint.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian host");

enum psp_command_id {
	PSP_CMD_INIT = 0x001,
	PSP_CMD_SHUTDOWN = 0x002,
	PSP_CMD_FACTORY_RESET = 0x003,
	PSP_CMD_PLATFORM_STATUS = 0x004,
	PSP_CMD_PEK_GEN = 0x005,
	PSP_CMD_PEK_CSR = 0x006,
	PSP_CMD_PEK_CERT_IMPORT = 0x007,
	PSP_CMD_PDH_CERT_EXPORT = 0x008,
	PSP_CMD_PDH_GEN = 0x009,
	PSP_CMD_DF_FLUSH = 0x00a,
	PSP_CMD_DOWNLOAD_FIRMWARE = 0x00b,
	PSP_CMD_GET_ID = 0x00c,
	PSP_CMD_INIT_EX = 0x00d,
	PSP_CMD_NOP = 0x00e,
	PSP_CMD_RING_BUFFER = 0x00f,
	PSP_CMD_DECOMMISSION = 0x020,
	PSP_CMD_ACTIVATE = 0x021,
	PSP_CMD_DEACTIVATE = 0x022,
	PSP_CMD_GUEST_STATUS = 0x023,
	PSP_CMD_LAUNCH_START = 0x030,
	PSP_CMD_LAUNCH_UPDATE_DATA = 0x031,
	PSP_CMD_LAUNCH_UPDATE_VMSA = 0x032,
	PSP_CMD_LAUNCH_MEASURE = 0x033,
	PSP_CMD_LAUNCH_SECRET = 0x034,
	PSP_CMD_LAUNCH_FINISH = 0x035,
	PSP_CMD_ATTESTATION_REPORT = 0x036,
	PSP_CMD_SEND_START = 0x040,
	PSP_CMD_SEND_UPDATE_DATA = 0x041,
	PSP_CMD_SEND_UPDATE_VMSA = 0x042,
	PSP_CMD_SEND_FINISH = 0x043,
	PSP_CMD_SEND_CANCEL = 0x044,
	PSP_CMD_RECEIVE_START = 0x050,
	PSP_CMD_RECEIVE_UPDATE_DATA = 0x051,
	PSP_CMD_RECEIVE_UPDATE_VMSA = 0x052,
	PSP_CMD_RECEIVE_FINISH = 0x053,
	PSP_CMD_DBG_DECRYPT = 0x060,
	PSP_CMD_DBG_ENCRYPT = 0x061,
};

enum psp_ret {
	PSP_RET_SUCCESS = 0x00,
	PSP_RET_INVALID_PLATFORM_STATE = 0x01,
	PSP_RET_INVALID_GUEST_STATE = 0x02,
	PSP_RET_INVALID_CONFIG = 0x03,
	PSP_RET_INVALID_LEN = 0x04,
	PSP_RET_ALREADY_OWNED = 0x05,
	PSP_RET_INVALID_CERTIFICATE = 0x06,
	PSP_RET_POLICY_FAILURE = 0x07,
	PSP_RET_INACTIVE = 0x08,
	PSP_RET_INVALID_ADDRESS = 0x09,
	PSP_RET_BAD_SIGNATURE = 0x0a,
	PSP_RET_BAD_MEASUREMENT = 0x0b,
	PSP_RET_ASID_OWNED = 0x0c,
	PSP_RET_INVALID_ASID = 0x0d,
	PSP_RET_WBINVD_REQUIRED = 0x0e,
	PSP_RET_DFFLUSH_REQUIRED = 0x0f,
	PSP_RET_INVALID_GUEST = 0x10,
	PSP_RET_INVALID_COMMAND = 0x11,
	PSP_RET_ACTIVE = 0x12,
	PSP_RET_HWERROR_PLATFORM = 0x13,
	PSP_RET_HWERROR_UNSAFE = 0x14,
	PSP_RET_UNSUPPORTED = 0x15,
	PSP_RET_INVALID_PARAM = 0x16,
	PSP_RET_RESOURCE_LIMIT = 0x17,
	PSP_RET_SECURE_DATA_INVALID = 0x18,
};

enum psp_platform_state { PSP_UNINIT, PSP_INIT, PSP_WORKING };

enum psp_guest_state {
	PSP_G_UNINIT,
	PSP_G_LUPDATE,
	PSP_G_LSECRET,
	PSP_G_RUNNING,
	PSP_G_SUPDATE,
	PSP_G_RUPDATE,
	PSP_G_SENT,
};

#define PSP_POLICY_NODBG      (1u << 0)
#define PSP_POLICY_NOKS	      (1u << 1)
#define PSP_POLICY_ES	      (1u << 2)
#define PSP_POLICY_NOSEND     (1u << 3)
#define PSP_POLICY_DOMAIN     (1u << 4)
#define PSP_POLICY_SEV	      (1u << 5)
#define PSP_POLICY_CSV3	      (1u << 6) /* Hygon */
#define PSP_POLICY_REUSE_ASID (1u << 7) /* Hygon */
#define PSP_POLICY_API_SHIFT  16	/* major 23:16, minor 31:24 */

#define PSP_INIT_ES	    (1u << 0)
#define PSP_TMR_SIZE	    (1u << 20)
#define PSP_NV_SIZE	    (32u << 10)
#define PSP_ID_SIZE	    128 /* two sockets of 64 */
#define PSP_MEASURE_SIZE    48
#define PSP_REPORT_SIZE	    208 /* AMD */
#define PSP_REPORT_SIZE_CSV 4096

#define PSP_RING_SLOTS	   2048u /* one stays free */
#define PSP_RING_ELEM	   16u
#define PSP_RING_BYTES	   (PSP_RING_SLOTS * PSP_RING_ELEM)
#define PSP_RBHEAD_QPAUSE  (1u << 30)
#define PSP_RB_HIGH_SHIFT  16
#define PSP_RB_INDEX_MASK  0x7ffu
#define PSP_BUILD_RING	   1913u /* first Hygon build with rings */
#define PSP_BUILD_CSV2_ALL 1810u /* CSV2 may use ASIDs 1 .. max */

#define PSP_ABI(size, name, ...)   \
	struct name {              \
		__VA_ARGS__        \
	} __attribute__((packed)); \
	static_assert(sizeof(struct name) == (size), #name)

PSP_ABI(20, psp_abi_init, uint32_t flags; uint32_t rsvd; uint64_t tmr_address;
	uint32_t tmr_len;);
PSP_ABI(36, psp_abi_init_ex, uint32_t length; uint32_t flags;
	uint64_t tmr_address; uint32_t tmr_len; uint32_t rsvd;
	uint64_t nv_address; uint32_t nv_len;);
/* AMD's view; Hygon has config_es in bit 0 and the build in 31:1 of @config. */
PSP_ABI(12, psp_abi_platform_status, uint8_t api_major; uint8_t api_minor;
	uint8_t state; uint8_t owner; uint32_t config; uint32_t guest_count;);
/* PEK_CSR, GET_ID, DOWNLOAD_FIRMWARE */
PSP_ABI(12, psp_abi_buffer, uint64_t address; uint32_t len;);
/* PEK_CERT_IMPORT (PEK, OCA) and PDH_CERT_EXPORT (PDH, chain) */
PSP_ABI(28, psp_abi_two_certs, uint64_t cert_address; uint32_t cert_len;
	uint32_t rsvd; uint64_t more_address; uint32_t more_len;);
PSP_ABI(40, psp_abi_ring_buffer, uint64_t lo_cmd; uint64_t lo_stat;
	uint64_t hi_cmd; uint64_t hi_stat; uint8_t lo_size; uint8_t hi_size;
	uint16_t lo_threshold; uint16_t hi_threshold; uint16_t int_on_empty;);
PSP_ABI(4, psp_abi_handle, uint32_t handle;);
PSP_ABI(8, psp_abi_activate, uint32_t handle; uint32_t asid;);
PSP_ABI(13, psp_abi_guest_status, uint32_t handle; uint32_t policy;
	uint32_t asid; uint8_t state;);
/* LAUNCH_START (owner's DH certificate), RECEIVE_START (source's PDH) */
PSP_ABI(36, psp_abi_start, uint32_t handle; uint32_t policy;
	uint64_t cert_address; uint32_t cert_len; uint32_t rsvd;
	uint64_t session_address; uint32_t session_len;);
/* LAUNCH_UPDATE_DATA, LAUNCH_UPDATE_VMSA, LAUNCH_MEASURE */
PSP_ABI(20, psp_abi_launch, uint32_t handle; uint32_t rsvd; uint64_t address;
	uint32_t len;);
/* LAUNCH_SECRET, SEND_UPDATE_*, RECEIVE_UPDATE_* */
PSP_ABI(52, psp_abi_packet, uint32_t handle; uint32_t rsvd;
	uint64_t hdr_address; uint32_t hdr_len; uint32_t rsvd2;
	uint64_t guest_address; uint32_t guest_len; uint32_t rsvd3;
	uint64_t trans_address; uint32_t trans_len;);
PSP_ABI(68, psp_abi_send_start, uint32_t handle; uint32_t policy;
	uint64_t pdh_address; uint32_t pdh_len; uint32_t rsvd;
	uint64_t plat_address; uint32_t plat_len; uint32_t rsvd2;
	uint64_t amd_address; uint32_t amd_len; uint32_t rsvd3;
	uint64_t session_address; uint32_t session_len;);
PSP_ABI(28, psp_abi_dbg, uint32_t handle; uint32_t rsvd; uint64_t src;
	uint64_t dst; uint32_t len;);
PSP_ABI(36, psp_abi_attest, uint32_t handle; uint32_t rsvd; uint64_t address;
	uint8_t mnonce[16]; uint32_t len;);

PSP_ABI(16, psp_abi_ring_cmd, uint16_t cmd_id; uint16_t cmd_flags;
	uint32_t sw_data; uint64_t cmd_buf_ptr;);
PSP_ABI(16, psp_abi_ring_stat, uint16_t status; uint16_t rsvd0; uint32_t rsvd1;
	uint64_t rsvd2;);

/* Attestation reports: [sev-es-emulation] G.4 and [csv-abi] 6.3. */
PSP_ABI(208, psp_abi_report, uint8_t mnonce[16]; uint8_t digest[32];
	uint32_t policy; uint32_t sig_usage; uint32_t sig_algo; uint32_t rsvd;
	uint8_t sig[144];);
PSP_ABI(4096, psp_abi_report_csv, uint8_t user_pubkey_digest[32];
	uint8_t vm_id[16]; uint8_t vm_version[16]; uint8_t user_data[64];
	uint8_t mnonce[16]; uint8_t measure[32]; uint32_t policy;
	uint32_t sig_usage; uint32_t sig_algo; uint32_t anonce;
	uint8_t sig[144]; uint8_t pek_cert[2084]; uint8_t chip_id[64];
	uint8_t rsvd1[32]; uint8_t hmac[32]; uint8_t rsvd2[1548];);
/* What a CSV guest puts into the page of VM_ATTESTATION. */
PSP_ABI(112, psp_abi_report_input, uint8_t user_data[64]; uint8_t nonce[16];
	uint8_t hash[32];);

#endif
