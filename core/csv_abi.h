/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_CSV_ABI_H
#define CSVVMM_CORE_CSV_ABI_H

/*
 * What vendor kernels have and a mainline <linux/kvm.h> lacks ([csv-abi] 1).
 * Names are our own, so that a vendor's header next to them does no harm.
 * Structures have natural alignment, as the vendors' own.
 */
#include <assert.h>
#include <linux/ioctl.h>
#include <stddef.h>
#include <stdint.h>

#define CSV_ABI_SIZE(type, size) \
	static_assert(sizeof(struct type) == (size), #type ": size")
#define CSV_ABI_AT(type, field, at) \
	static_assert(offsetof(struct type, field) == (at), #type "." #field)

/* KVM_MEMORY_ENCRYPT_OP ids. SEND_UPDATE_VMSA (10) and RECEIVE_UPDATE_VMSA (14)
 * are in <linux/kvm.h>, but only vendor kernels implement them. */
#define CSV_COMMAND_BATCH 0x18u

/* Another batch follows soon; where this attribute of /dev/kvm says so, which
 * only kvm-patches/ has. Group KVM_X86_GRP_SEV. */
#define CSV_ATTR_GROUP	     1u
#define CSV_ATTR_BATCH_FLAGS 0x43535600u
#define CSV_BATCH_MORE	     0x80000000u
/* Of a VM: where the guest's AP jump table is. */
#define CSV_ATTR_AP_JUMP_TABLE 0x101u

/* Nodes of one batch: two rings of 2048 slots, one of which stays free. */
#define CSV_BATCH_MAX 4094u

/**
 * struct csv_abi_batch - CSV_COMMAND_BATCH
 * @command_id:	KVM_SEV_SEND_UPDATE_DATA or KVM_SEV_RECEIVE_UPDATE_DATA
 * @list_uaddr:	First struct csv_abi_node, or 0: nothing to do
 */
struct csv_abi_batch {
	uint32_t command_id;
	uint64_t list_uaddr;
};
CSV_ABI_SIZE(csv_abi_batch, 16);
CSV_ABI_AT(csv_abi_batch, command_id, 0);
CSV_ABI_AT(csv_abi_batch, list_uaddr, 8);

/**
 * struct csv_abi_node - One command of a batch
 * @cmd_data_addr: struct kvm_sev_send_update_data or ..._receive_...
 * @addr:	Private to the VMM; the kernel ignores it
 * @next_cmd_addr: Next node, or 0
 */
struct csv_abi_node {
	uint64_t cmd_data_addr;
	uint64_t addr;
	uint64_t next_cmd_addr;
};
CSV_ABI_SIZE(csv_abi_node, 24);
CSV_ABI_AT(csv_abi_node, cmd_data_addr, 0);
CSV_ABI_AT(csv_abi_node, addr, 8);
CSV_ABI_AT(csv_abi_node, next_cmd_addr, 16);

/* SEND_UPDATE_VMSA, RECEIVE_UPDATE_VMSA. @vcpu_id is KVM's id, no index. */
struct csv_abi_vmsa {
	uint32_t vcpu_id;
	uint64_t hdr_uaddr;
	uint32_t hdr_len;
	uint64_t trans_uaddr;
	uint32_t trans_len;
};
CSV_ABI_SIZE(csv_abi_vmsa, 40);
CSV_ABI_AT(csv_abi_vmsa, vcpu_id, 0);
CSV_ABI_AT(csv_abi_vmsa, hdr_uaddr, 8);
CSV_ABI_AT(csv_abi_vmsa, hdr_len, 16);
CSV_ABI_AT(csv_abi_vmsa, trans_uaddr, 24);
CSV_ABI_AT(csv_abi_vmsa, trans_len, 32);

/* Optional data of (ES_)INIT: guests of the same id share an ASID. */
struct csv_abi_init {
	uint64_t userid_addr;
	uint32_t len;
};
CSV_ABI_SIZE(csv_abi_init, 16);
CSV_ABI_AT(csv_abi_init, userid_addr, 0);
CSV_ABI_AT(csv_abi_init, len, 8);

/* VM ioctls without argument: reboot of a CSV2 guest; no capability bit. */
#define CSV_PRE_SYSTEM_RESET  _IO(0xae, 0xe8)
#define CSV_POST_SYSTEM_RESET _IO(0xae, 0xe9)
static_assert(CSV_PRE_SYSTEM_RESET == 0xaee8, "CSV_PRE_SYSTEM_RESET");
static_assert(CSV_POST_SYSTEM_RESET == 0xaee9, "CSV_POST_SYSTEM_RESET");

#define CSV_CAP_SEV_ES_GHCB    500
#define CSV_CAP_HYGON_COCO_EXT 501

/* The GHCB MSR as user space of a Hygon host sees it ([csv-abi] 1.5). */
#define CSV_MSR_GHCB	      0xc0010130u
#define CSV_GHCB_FIRST_SIPI   (1ULL << 62)
#define CSV_GHCB_MAPPED	      (1ULL << 63)
#define CSV_HC_VM_ATTESTATION 100

/* /dev/sev commands that Hygon adds ([csv-abi] 1.9). */
#define CSV_DEV_PLATFORM_INIT	  101
#define CSV_DEV_PLATFORM_SHUTDOWN 102
#define CSV_DEV_DOWNLOAD_FIRMWARE 128
#define CSV_DEV_HGSC_CERT_IMPORT  201

struct csv_abi_hgsc_import {
	uint64_t hgscsk_address;
	uint32_t hgscsk_len;
	uint64_t hgsc_address;
	uint32_t hgsc_len;
} __attribute__((packed));
CSV_ABI_SIZE(csv_abi_hgsc_import, 24);
CSV_ABI_AT(csv_abi_hgsc_import, hgscsk_address, 0);
CSV_ABI_AT(csv_abi_hgsc_import, hgscsk_len, 8);
CSV_ABI_AT(csv_abi_hgsc_import, hgsc_address, 12);
CSV_ABI_AT(csv_abi_hgsc_import, hgsc_len, 20);

/* Firmware status words; <linux/psp-sev.h> has the same numbers. */
#define CSV_FW_INVALID_LEN 4u
#define CSV_FW_RING_EXIT   0x1fu
/* What newer kernels leave in `error` when they never called the firmware. */
#define CSV_FW_NO_CALL 0xffffffffu

/* Policy bits that change what the VMM does. */
#define CSV_POLICY_NODBG      (1u << 0)
#define CSV_POLICY_NOKS	      (1u << 1)
#define CSV_POLICY_ES	      (1u << 2)
#define CSV_POLICY_NOSEND     (1u << 3)
#define CSV_POLICY_DOMAIN     (1u << 4)
#define CSV_POLICY_SEV	      (1u << 5)
#define CSV_POLICY_CSV3	      (1u << 6)
#define CSV_POLICY_REUSE_ASID (1u << 7)

/* Larger blobs the kernel refuses. */
#define CSV_BLOB_MAX 16384u

#endif
