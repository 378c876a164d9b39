/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/util.h"
#include "psp/psp_abi.h"
#include "vmm/attest.h"
#include "vmm/commands.h"
#include "vmm/hex.h"
#include "vmm/launch.h"
#include "vmm/launch_files.h"
#include "vmm/owner.h"

#define REPORT_MAX 16384u

/* What the command line asks for. */
struct attest_args {
	const char *report;
	bool has_digest, has_nonce, has_policy;
	uint32_t policy;
	uint8_t digest[32], nonce[16];
	struct owner_certs certs;
};

static int usage(const char *why)
{
	return command_misuse(&cmd_attest, why);
}

/* A value of an option. Return: EXIT_OK, or usage() */
static int take_value(struct attest_args *a, int c, const char *text)
{
	switch (c) {
	case 'd':
		a->has_digest = true;
		return hex_decode(text, a->digest, sizeof(a->digest)) < 0
			       ? usage("--digest takes 64 hexadecimal digits")
			       : EXIT_OK;
	case 'n':
		a->has_nonce = true;
		return hex_decode(text, a->nonce, sizeof(a->nonce)) < 0
			       ? usage("--nonce takes 32 hexadecimal digits")
			       : EXIT_OK;
	case 'p':
		a->has_policy = true;
		return owner_number(text, &a->policy)
			       ? EXIT_OK
			       : usage("--policy takes a number of 32 bits");
	case 'r':
	case 'c':
		return owner_certs_take(&a->certs, text, c == 'r') < 0
			       ? usage("too many files")
			       : EXIT_OK;
	}
	return usage("unknown option, or one without its value");
}

/* Return: EXIT_OK to go on */
static int parse_args(int argc, char **argv, struct attest_args *a)
{
	static const struct option options[] = {
		{ "digest", required_argument, NULL, 'd' },
		{ "nonce", required_argument, NULL, 'n' },
		{ "policy", required_argument, NULL, 'p' },
		{ "root", required_argument, NULL, 'r' },
		{ "cert", required_argument, NULL, 'c' },
		{ 0 },
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int status = take_value(a, c, optarg);

		if (status != EXIT_OK)
			return status;
	}
	if (argc - optind != 1)
		return usage("one report is needed");
	if (!a->has_digest)
		return usage("--digest is needed: csvvmm measure prints it");
	a->report = argv[optind];
	return EXIT_OK;
}

/* Genuine; but is it about the guest that was meant? NULL: it is */
static const char *mismatch(const struct attest_args *a,
			    const struct attest_report *r)
{
	if (memcmp(a->digest, r->digest, sizeof(r->digest)) != 0)
		return "of another guest: another launch digest";
	if (a->has_nonce && memcmp(a->nonce, r->nonce, sizeof(r->nonce)) != 0)
		return "not about this nonce";
	if (a->has_policy && a->policy != r->policy)
		return "of a guest with another policy";
	return NULL;
}

static int verdict(const struct attest_args *a, const struct attest_report *r)
{
	const char *make = r->profile == PSP_HYGON ? "Hygon" : "AMD";
	const char *why = "";
	char hex[65];

	hex_encode(r->digest, sizeof(r->digest), hex);
	if (attest_verify(r, &a->certs.certs, &why) < 0) {
		printf("%s: NOT VERIFIED: %s\n", a->report, why);
		return EXIT_FAILED;
	}
	why = mismatch(a, r);
	if (why) {
		printf("%s: genuine (%s), but %s; digest %s, policy %#x\n",
		       a->report, make, why, hex, r->policy);
		return EXIT_FAILED;
	}
	printf("%s: ok (%s): digest as expected, policy %#x%s%s\n", a->report,
	       make, r->policy,
	       r->policy & PSP_POLICY_NODBG ? "" : " LETS THE HOST DEBUG IT",
	       a->certs.certs.model_root
		       ? "; the model's root is trusted, which protects nothing"
		       : "");
	return EXIT_OK;
}

/* The report itself, or all that launch-measure --json printed. */
static int load_report(const char *path, struct owner_facts *f)
{
	int r = owner_facts_read(path, f);

	if (r < 0)
		return r;
	if (!r)
		return blob_read("report", path, 0, REPORT_MAX, &f->report);
	if (f->report.len)
		return 0;
	log_err("%s: no report in it: the firmware has none", path);
	return -ENOENT;
}

static int attest(struct attest_args *a, struct owner_facts *f)
{
	struct attest_report r;

	if (load_report(a->report, f) < 0)
		return EXIT_FAILED;
	if (attest_parse(f->report.data, f->report.len, &r) < 0) {
		log_err("report %s: %u bytes are no attestation report (AMD 208, Hygon 4096)",
			a->report, f->report.len);
		return EXIT_FAILED;
	}
	if (owner_certs_load(&a->certs, r.profile) < 0)
		return EXIT_FAILED;
	/* From the host like the report: believed as far as they are signed. */
	if (attest_add(&a->certs.certs, r.profile, f->chain.data, f->chain.len,
		       false) < 0) {
		log_err("%s: \"chain\" holds no platform certificates",
			a->report);
		return EXIT_FAILED;
	}
	return verdict(a, &r);
}

static int attest_main(int argc, char **argv)
{
	struct owner_facts facts = { 0 };
	struct attest_args a = { 0 };
	int status = parse_args(argc, argv, &a);

	if (status != EXIT_OK)
		return status;
	status = attest(&a, &facts);
	owner_facts_fini(&facts);
	owner_certs_fini(&a.certs);
	return fflush(stdout) ? EXIT_FAILED : status;
}

const struct command cmd_attest = {
	.name = "attest",
	.args = "--digest HEX [--nonce HEX] [--policy N] [--root FILE|model]... [--cert FILE]... REPORT",
	.summary = "verify an attestation report against a launch digest",
	.run = attest_main,
	.help = "Checks the chain from a trusted root over HSK (ASK), CEK and PEK to REPORT, and\n"
		"that the launch digest in it is the expected one. Prints one line. REPORT is\n"
		"what 'csvvmm launch-measure --json' prints, or the report in it alone.\n\n"
		"  --digest HEX  what the guest must have been measured as (csvvmm measure)\n"
		"  --nonce HEX   the nonce that the report must hold (launch-measure --nonce)\n"
		"  --policy N    the policy that the guest must have\n"
		"  --root FILE   trusted root certificate (HRK or ARK); others in FILE are used too.\n"
		"                \"model\": the published root of the software model\n"
		"  --cert FILE   certificates on the way: HSK (ASK), CEK, PEK, in any order\n\n"
		"Exit status: 0 verified, 1 not, 2 bad command line.\n",
};
