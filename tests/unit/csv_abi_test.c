/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <linux/kvm.h>
#include <linux/psp-sev.h>

#include "core/csv_abi.h"

/* Every number here is typed from [csv-abi] 1.1 to 1.9, 2.3 and 6.1. */

#define AT(type, field, at) assert_int_equal(offsetof(struct type, field), at)
#define SIZE(type, size)    assert_int_equal(sizeof(struct type), size)

static void ids(void **state)
{
	(void)state;
	assert_int_equal(KVM_SEV_INIT, 0);
	assert_int_equal(KVM_SEV_ES_INIT, 1);
	assert_int_equal(KVM_SEV_LAUNCH_START, 2);
	assert_int_equal(KVM_SEV_LAUNCH_UPDATE_DATA, 3);
	assert_int_equal(KVM_SEV_LAUNCH_UPDATE_VMSA, 4);
	assert_int_equal(KVM_SEV_LAUNCH_SECRET, 5);
	assert_int_equal(KVM_SEV_LAUNCH_MEASURE, 6);
	assert_int_equal(KVM_SEV_LAUNCH_FINISH, 7);
	assert_int_equal(KVM_SEV_SEND_START, 8);
	assert_int_equal(KVM_SEV_SEND_UPDATE_DATA, 9);
	assert_int_equal(KVM_SEV_SEND_UPDATE_VMSA, 10);
	assert_int_equal(KVM_SEV_SEND_FINISH, 11);
	assert_int_equal(KVM_SEV_RECEIVE_START, 12);
	assert_int_equal(KVM_SEV_RECEIVE_UPDATE_DATA, 13);
	assert_int_equal(KVM_SEV_RECEIVE_UPDATE_VMSA, 14);
	assert_int_equal(KVM_SEV_RECEIVE_FINISH, 15);
	assert_int_equal(KVM_SEV_GUEST_STATUS, 16);
	assert_int_equal(KVM_SEV_DBG_DECRYPT, 17);
	assert_int_equal(KVM_SEV_DBG_ENCRYPT, 18);
	assert_int_equal(KVM_SEV_CERT_EXPORT, 19);
	assert_int_equal(KVM_SEV_GET_ATTESTATION_REPORT, 20);
	assert_int_equal(KVM_SEV_SEND_CANCEL, 21);
	assert_int_equal(CSV_COMMAND_BATCH, 24);
	assert_int_equal(CSV_BATCH_MAX, 4094);
}

static void ioctls(void **state)
{
	(void)state;
	assert_int_equal(KVM_MEMORY_ENCRYPT_OP, 0xc008aeba);
	assert_int_equal(KVM_MEMORY_ENCRYPT_REG_REGION, 0x8010aebb);
	assert_int_equal(KVM_MEMORY_ENCRYPT_UNREG_REGION, 0x8010aebc);
	assert_int_equal(CSV_PRE_SYSTEM_RESET, 0xaee8);
	assert_int_equal(CSV_POST_SYSTEM_RESET, 0xaee9);
	assert_int_equal(SEV_ISSUE_CMD, 0xc0105300);
	assert_int_equal(CSV_CAP_SEV_ES_GHCB, 500);
	assert_int_equal(CSV_CAP_HYGON_COCO_EXT, 501);
	assert_int_equal(CSV_MSR_GHCB, 0xc0010130);
	assert_true(CSV_GHCB_FIRST_SIPI == 0x4000000000000000);
	assert_true(CSV_GHCB_MAPPED == 0x8000000000000000);
	assert_int_equal(CSV_HC_VM_ATTESTATION, 100);
}

static void vendor_structs(void **state)
{
	(void)state;
	SIZE(csv_abi_batch, 16);
	AT(csv_abi_batch, command_id, 0);
	AT(csv_abi_batch, list_uaddr, 8);
	SIZE(csv_abi_node, 24);
	AT(csv_abi_node, cmd_data_addr, 0);
	AT(csv_abi_node, addr, 8);
	AT(csv_abi_node, next_cmd_addr, 16);
	SIZE(csv_abi_vmsa, 40);
	AT(csv_abi_vmsa, vcpu_id, 0);
	AT(csv_abi_vmsa, hdr_uaddr, 8);
	AT(csv_abi_vmsa, hdr_len, 16);
	AT(csv_abi_vmsa, trans_uaddr, 24);
	AT(csv_abi_vmsa, trans_len, 32);
	SIZE(csv_abi_init, 16);
	AT(csv_abi_init, userid_addr, 0);
	AT(csv_abi_init, len, 8);
	SIZE(csv_abi_hgsc_import, 24);
	AT(csv_abi_hgsc_import, hgscsk_address, 0);
	AT(csv_abi_hgsc_import, hgscsk_len, 8);
	AT(csv_abi_hgsc_import, hgsc_address, 12);
	AT(csv_abi_hgsc_import, hgsc_len, 20);
}

/* The host's own header: what the vendors' kernels expect of it. */
static void shared_launch(void **state)
{
	(void)state;
	SIZE(kvm_sev_cmd, 24);
	AT(kvm_sev_cmd, id, 0);
	AT(kvm_sev_cmd, data, 8);
	AT(kvm_sev_cmd, error, 16);
	AT(kvm_sev_cmd, sev_fd, 20);
	SIZE(kvm_sev_launch_start, 40);
	AT(kvm_sev_launch_start, handle, 0);
	AT(kvm_sev_launch_start, policy, 4);
	AT(kvm_sev_launch_start, dh_uaddr, 8);
	AT(kvm_sev_launch_start, dh_len, 16);
	AT(kvm_sev_launch_start, session_uaddr, 24);
	AT(kvm_sev_launch_start, session_len, 32);
	SIZE(kvm_sev_launch_update_data, 16);
	AT(kvm_sev_launch_update_data, uaddr, 0);
	AT(kvm_sev_launch_update_data, len, 8);
	SIZE(kvm_sev_launch_secret, 48);
	AT(kvm_sev_launch_secret, hdr_uaddr, 0);
	AT(kvm_sev_launch_secret, hdr_len, 8);
	AT(kvm_sev_launch_secret, guest_uaddr, 16);
	AT(kvm_sev_launch_secret, guest_len, 24);
	AT(kvm_sev_launch_secret, trans_uaddr, 32);
	AT(kvm_sev_launch_secret, trans_len, 40);
	SIZE(kvm_sev_launch_measure, 16);
	AT(kvm_sev_launch_measure, uaddr, 0);
	AT(kvm_sev_launch_measure, len, 8);
	SIZE(kvm_sev_guest_status, 12);
	AT(kvm_sev_guest_status, handle, 0);
	AT(kvm_sev_guest_status, policy, 4);
	AT(kvm_sev_guest_status, state, 8);
	SIZE(kvm_sev_dbg, 24);
	AT(kvm_sev_dbg, src_uaddr, 0);
	AT(kvm_sev_dbg, dst_uaddr, 8);
	AT(kvm_sev_dbg, len, 16);
	SIZE(kvm_sev_attestation_report, 32);
	AT(kvm_sev_attestation_report, mnonce, 0);
	AT(kvm_sev_attestation_report, uaddr, 16);
	AT(kvm_sev_attestation_report, len, 24);
}

static void shared_migration(void **state)
{
	(void)state;
	SIZE(kvm_sev_send_start, 72);
	AT(kvm_sev_send_start, policy, 0);
	AT(kvm_sev_send_start, pdh_cert_uaddr, 8);
	AT(kvm_sev_send_start, pdh_cert_len, 16);
	AT(kvm_sev_send_start, plat_certs_uaddr, 24);
	AT(kvm_sev_send_start, plat_certs_len, 32);
	AT(kvm_sev_send_start, amd_certs_uaddr, 40);
	AT(kvm_sev_send_start, amd_certs_len, 48);
	AT(kvm_sev_send_start, session_uaddr, 56);
	AT(kvm_sev_send_start, session_len, 64);
	SIZE(kvm_sev_receive_start, 40);
	AT(kvm_sev_receive_start, handle, 0);
	AT(kvm_sev_receive_start, policy, 4);
	AT(kvm_sev_receive_start, pdh_uaddr, 8);
	AT(kvm_sev_receive_start, pdh_len, 16);
	AT(kvm_sev_receive_start, session_uaddr, 24);
	AT(kvm_sev_receive_start, session_len, 32);
	SIZE(kvm_sev_send_update_data, 48);
	AT(kvm_sev_send_update_data, hdr_uaddr, 0);
	AT(kvm_sev_send_update_data, hdr_len, 8);
	AT(kvm_sev_send_update_data, guest_uaddr, 16);
	AT(kvm_sev_send_update_data, guest_len, 24);
	AT(kvm_sev_send_update_data, trans_uaddr, 32);
	AT(kvm_sev_send_update_data, trans_len, 40);
	SIZE(kvm_sev_receive_update_data, 48);
	AT(kvm_sev_receive_update_data, hdr_uaddr, 0);
	AT(kvm_sev_receive_update_data, hdr_len, 8);
	AT(kvm_sev_receive_update_data, guest_uaddr, 16);
	AT(kvm_sev_receive_update_data, guest_len, 24);
	AT(kvm_sev_receive_update_data, trans_uaddr, 32);
	AT(kvm_sev_receive_update_data, trans_len, 40);
}

static void platform(void **state)
{
	(void)state;
	SIZE(sev_issue_cmd, 16);
	AT(sev_issue_cmd, cmd, 0);
	AT(sev_issue_cmd, data, 4);
	AT(sev_issue_cmd, error, 12);
	SIZE(sev_user_data_status, 12);
	AT(sev_user_data_status, flags, 3);
	AT(sev_user_data_status, build, 7);
	AT(sev_user_data_status, guest_count, 8);
	assert_int_equal(SEV_FACTORY_RESET, 0);
	assert_int_equal(SEV_PLATFORM_STATUS, 1);
	assert_int_equal(SEV_PDH_CERT_EXPORT, 5);
	assert_int_equal(SEV_GET_ID2, 8);
	assert_int_equal(CSV_DEV_PLATFORM_INIT, 101);
	assert_int_equal(CSV_DEV_PLATFORM_SHUTDOWN, 102);
	assert_int_equal(CSV_DEV_DOWNLOAD_FIRMWARE, 128);
	assert_int_equal(CSV_DEV_HGSC_CERT_IMPORT, 201);
	assert_int_equal(CSV_FW_INVALID_LEN, 4);
	assert_int_equal(CSV_FW_NO_CALL, 0xffffffff);
}

static void policy(void **state)
{
	(void)state;
	assert_int_equal(CSV_POLICY_NODBG, 0x01);
	assert_int_equal(CSV_POLICY_NOKS, 0x02);
	assert_int_equal(CSV_POLICY_ES, 0x04);
	assert_int_equal(CSV_POLICY_NOSEND, 0x08);
	assert_int_equal(CSV_POLICY_DOMAIN, 0x10);
	assert_int_equal(CSV_POLICY_SEV, 0x20);
	assert_int_equal(CSV_POLICY_CSV3, 0x40);
	assert_int_equal(CSV_POLICY_REUSE_ASID, 0x80);
	assert_int_equal(CSV_BLOB_MAX, 16384);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids),
		cmocka_unit_test(ioctls),
		cmocka_unit_test(vendor_structs),
		cmocka_unit_test(shared_launch),
		cmocka_unit_test(shared_migration),
		cmocka_unit_test(platform),
		cmocka_unit_test(policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
