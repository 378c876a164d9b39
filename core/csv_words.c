/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/csv.h"
#include "core/csv_abi.h"
#include "core/util.h"

/* [csv-abi] 2.3, [sev-es-emulation] G.2; "next" is what a user can do. */
static const struct csv_fw_words words[] = {
	[0x00] = { "SUCCESS", "done", "nothing" },
	[0x01] = { "INVALID_PLATFORM_STATE",
		   "the platform is in a state that forbids this",
		   "run `csvvmm doctor`; reload the ccp module when it says "
		   "uninitialized" },
	[0x02] = { "INVALID_GUEST_STATE",
		   "the guest is in a state that forbids this",
		   "restart the guest; report this, the order is ours" },
	[0x03] = { "INVALID_CONFIG", "the platform is not set up for this",
		   "switch on CSV2/SEV-ES in the BIOS, or use type csv" },
	[0x04] = { "INVALID_LEN", "a length is wrong",
		   "check the owner's certificate, session and secret files" },
	[0x05] = { "ALREADY_OWNED", "the platform has an external owner",
		   "reset the platform's ownership first" },
	[0x06] = { "INVALID_CERTIFICATE",
		   "a certificate is malformed or of the wrong use",
		   "make the session anew from this platform's PDH" },
	[0x07] = { "POLICY_FAILURE",
		   "the guest's policy forbids this on this platform",
		   "check `policy` (minimum API, es, nosend, domain)" },
	[0x08] = { "INACTIVE", "the guest has no ASID", "restart the guest" },
	[0x09] = { "INVALID_ADDRESS", "an address is misaligned or out of bounds",
		   "report this, the addresses are ours" },
	[0x0a] = { "BAD_SIGNATURE", "a certificate's signature is wrong",
		   "fetch the certificates again and check their chain" },
	[0x0b] = { "BAD_MEASUREMENT", "a checksum of session or packet is wrong",
		   "make session or secret anew for this platform, policy and "
		   "measurement" },
	[0x0c] = { "ASID_OWNED", "the ASID belongs to another guest",
		   "restart the guest" },
	[0x0d] = { "INVALID_ASID", "no such ASID for this kind of guest",
		   "check the split of ASIDs in the BIOS" },
	[0x0e] = { "WBINVD_REQUIRED", "caches must be written back first",
		   "restart the guest; the host's kernel should have done it" },
	[0x0f] = { "DFFLUSH_REQUIRED", "the data fabric must be flushed first",
		   "restart the guest; the host's kernel should have done it" },
	[0x10] = { "INVALID_GUEST", "the firmware knows no such guest",
		   "restart the guest" },
	[0x11] = { "INVALID_COMMAND", "the firmware has no such command",
		   "update the firmware" },
	[0x12] = { "ACTIVE", "the guest still has its ASID", "restart the guest" },
	[0x13] = { "HWERROR_PLATFORM",
		   "hardware error; the platform is still safe",
		   "try again; check the host's log" },
	[0x14] = { "HWERROR_UNSAFE",
		   "hardware error; the platform is no longer safe",
		   "stop all guests and power-cycle the host" },
	[0x15] = { "UNSUPPORTED", "this platform can't do that",
		   "check `type` and `policy`; update the firmware" },
	[0x16] = { "INVALID_PARAM", "a parameter is wrong",
		   "check `policy` and the owner's files" },
	[0x17] = { "RESOURCE_LIMIT", "the firmware is out of resources",
		   "stop another encrypted guest" },
	[0x18] = { "SECURE_DATA_INVALID", "the firmware's stored data is damaged",
		   "reload the ccp module; else reset the platform" },
	[0x19] = { "INVALID_PAGE_SIZE", "SNP: wrong page size",
		   "report this, SNP is not used here" },
	[0x1a] = { "INVALID_PAGE_STATE", "SNP: wrong page state",
		   "report this, SNP is not used here" },
	[0x1b] = { "INVALID_MDATA_ENTRY", "SNP: wrong metadata",
		   "report this, SNP is not used here" },
	[0x1c] = { "INVALID_PAGE_OWNER", "SNP: wrong page owner",
		   "report this, SNP is not used here" },
	[0x1d] = { "AEAD_OFLOW", "SNP: a counter ran over",
		   "report this, SNP is not used here" },
	[CSV_FW_RING_EXIT] = { "RING_BUFFER_EXIT", "ring mode was left",
			       "try again" },
};

static const struct csv_fw_words unknown = {
	"unknown status", "not in our list", "look it up in the vendor's manual"
};

static const struct csv_fw_words no_call = {
	"NO_FW_CALL", "the kernel did not reach the firmware",
	"run `csvvmm doctor`; check the host's log"
};

const struct csv_fw_words *csv_fw_words(uint32_t status)
{
	if (status == CSV_FW_NO_CALL)
		return &no_call;
	if (status >= ARRAY_SIZE(words) || !words[status].name)
		return &unknown;
	return &words[status];
}

const char *csv_state_name(enum csv_state state)
{
	static const char *const name[CSV_STATES] = {
		[CSV_NEW] = "new",	   [CSV_INIT] = "init",
		[CSV_LAUNCH] = "launch",   [CSV_SECRET] = "secret",
		[CSV_RUNNING] = "running", [CSV_SEND] = "send",
		[CSV_RECEIVE] = "receive", [CSV_SENT] = "sent",
	};

	return (unsigned)state < CSV_STATES ? name[state] : "?";
}

/* What to do when the kernel failed before the firmware was asked. */
static const char *errno_next(int err)
{
	switch (-err) {
	case ENOTTY:
		return "load kvm_amd with sev=1 sev_es=1; run `csvvmm doctor`";
	case EBUSY:
		return "stop another encrypted guest: there is no free ASID";
	case ENOMEM:
		return "raise the limit of locked memory (ulimit -l, "
		       "LimitMEMLOCK=): all RAM is pinned";
	case EBADF:
	case EACCES:
	case EPERM:
		return "give this user access to /dev/sev";
	case ENODEV:
	case EIO:
	case ETIMEDOUT:
		return "check the host's log: the security processor does not "
		       "answer";
	default:
		return "check the host's log";
	}
}

const char *csv_error(const struct csv *csv)
{
	static _Thread_local char buf[320];
	const struct csv_fw_words *w = csv_fw_words(csv->fw);

	if (!csv->last)
		return "no error";
	if (csv->why)
		(void)snprintf(buf, sizeof(buf),
			       "%s: refused in state %s: %s; next: %s",
			       csv->last, csv_state_name(csv->state), csv->why,
			       csv->err == -EINVAL
				       ? "check [csv] in guest.toml"
				       : "report this, the order is ours");
	else if (csv->fw)
		(void)snprintf(buf, sizeof(buf),
			       "%s: firmware: %s (%#x): %s; next: %s",
			       csv->last, w->name, csv->fw, w->meaning, w->next);
	else
		(void)snprintf(buf, sizeof(buf),
			       "%s: %s; firmware not reached; next: %s",
			       csv->last, strerror(-csv->err),
			       errno_next(csv->err));
	return buf;
}
