/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <openssl/crypto.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/commands.h"
#include "vmm/csv_host.h"
#include "vmm/hex.h"
#include "vmm/launch.h"
#include "vmm/launch_files.h"
#include "vmm/measure.h"
#include "vmm/owner.h"

/* What the command line asks for. */
struct measure_args {
	const char *file, *tik;
	bool has_profile, has_nonce, has_firmware;
	enum psp_profile profile;
	enum vmsa_host host;
	int c_bit; /* -1: this machine's */
	bool explain, json;
	uint8_t nonce[PSP_NONCE_SIZE];
	struct owner_firmware firmware;
};

static int usage(const char *why)
{
	return command_misuse(&cmd_measure, why);
}

static int take_profile(struct measure_args *a, const char *text)
{
	a->has_profile = true;
	a->profile = !strcmp(text, "amd") ? PSP_AMD : PSP_HYGON;
	return !strcmp(text, "amd") || !strcmp(text, "hygon") ? 0 : -EINVAL;
}

static int take_c_bit(struct measure_args *a, const char *text)
{
	char end;

	if (sscanf(text, "%2d%c", &a->c_bit, &end) != 1)
		return -EINVAL;
	return a->c_bit >= 32 && a->c_bit <= 51 ? 0 : -EINVAL;
}

/* Return: EXIT_OK, or usage() */
static int take_value(struct measure_args *a, int c, const char *text)
{
	switch (c) {
	case 'p':
		return take_profile(a, text) < 0
			       ? usage("--profile takes hygon or amd")
			       : EXIT_OK;
	case 'h':
		return measure_host_parse(text, &a->host) < 0
			       ? usage("--host takes mainline-6.12 or vendor-6.6")
			       : EXIT_OK;
	case 'c':
		return take_c_bit(a, text) < 0
			       ? usage("--c-bit takes a number from 32 to 51")
			       : EXIT_OK;
	case 'n':
		a->has_nonce = true;
		return hex_decode(text, a->nonce, sizeof(a->nonce)) < 0
			       ? usage("--nonce takes 32 hexadecimal digits")
			       : EXIT_OK;
	case 'f':
		a->has_firmware = true;
		return owner_firmware(text, &a->firmware)
			       ? EXIT_OK
			       : usage("--firmware takes MAJOR.MINOR.BUILD");
	case 't':
		a->tik = text;
		return EXIT_OK;
	case 'e':
		a->explain = true;
		return EXIT_OK;
	case 'j':
		a->json = true;
		return EXIT_OK;
	}
	return usage("unknown option, or one without its value");
}

static int parse_args(int argc, char **argv, struct measure_args *a)
{
	static const struct option options[] = {
		{ "profile", required_argument, NULL, 'p' },
		{ "host", required_argument, NULL, 'h' },
		{ "c-bit", required_argument, NULL, 'c' },
		{ "tik", required_argument, NULL, 't' },
		{ "nonce", required_argument, NULL, 'n' },
		{ "firmware", required_argument, NULL, 'f' },
		{ "explain", no_argument, NULL, 'e' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	int c, status;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		status = take_value(a, c, optarg);
		if (status != EXIT_OK)
			return status;
	}
	if (argc - optind != 1)
		return usage("one file is needed");
	if (!a->tik != !a->has_nonce || !a->tik != !a->has_firmware)
		return usage("--tik, --nonce and --firmware go together");
	a->file = argv[optind];
	return EXIT_OK;
}

/* --- explanation ------------------------------------------------------------ */

/* Who takes the lines of vmsa_explain(). */
struct sink {
	json_t *list; /* NULL: print */
};

static void take_line(void *ctx, const char *text)
{
	struct sink *sink = ctx;

	if (sink->list)
		json_array_append_new(sink->list, json_string(text));
	else
		printf("    %s\n", text);
}

static json_t *json_hex(const void *data, size_t len)
{
	char hex[2 * PSP_DIGEST_SIZE + 1];

	hex_encode(data, len, hex);
	return json_string(hex);
}

static void explain(const struct measure *m)
{
	struct sink sink = { NULL };
	uint8_t page[VMSA_SIZE];
	char hex[65];
	unsigned i;

	for (i = 0; i < m->boot.n_regions; i++) {
		const struct boot_region *r = &m->boot.region[i];

		hex_encode(m->region[i], PSP_DIGEST_SIZE, hex);
		printf("  %-12s %#10llx + %#-10llx %s%s\n", r->what,
		       (unsigned long long)r->at, (unsigned long long)r->len,
		       hex, r->staged ? " by the shim" : "");
	}
	for (i = 0; i < m->n_vmsas; i++) {
		hex_encode(m->vmsa[i], PSP_DIGEST_SIZE, hex);
		printf("  VMSA %-32u %s\n", i, hex);
		measure_vmsa(&m->boot, i, m->host, page);
		vmsa_explain(page, take_line, &sink);
	}
}

static void explain_json(const struct measure *m, json_t *out)
{
	json_t *regions = json_array(), *vmsas = json_array();
	uint8_t page[VMSA_SIZE];
	unsigned i;

	for (i = 0; i < m->boot.n_regions; i++) {
		const struct boot_region *r = &m->boot.region[i];

		json_array_append_new(
			regions,
			json_pack("{s:s, s:I, s:I, s:b, s:o}", "what", r->what,
				  "addr", (json_int_t)r->at, "size",
				  (json_int_t)r->len, "measured", !r->staged,
				  "digest",
				  json_hex(m->region[i], PSP_DIGEST_SIZE)));
	}
	for (i = 0; i < m->n_vmsas; i++) {
		struct sink sink = { json_array() };

		measure_vmsa(&m->boot, i, m->host, page);
		vmsa_explain(page, take_line, &sink);
		json_array_append_new(
			vmsas,
			json_pack("{s:i, s:o, s:o}", "vcpu", (int)i, "digest",
				  json_hex(m->vmsa[i], PSP_DIGEST_SIZE),
				  "fields", sink.list));
	}
	json_object_set_new(out, "regions", regions);
	json_object_set_new(out, "vmsas", vmsas);
}

/* --- output ----------------------------------------------------------------- */

static const char *profile_name(enum psp_profile profile)
{
	return profile == PSP_AMD ? "amd" : "hygon";
}

static int print_json(const struct measure_args *a, const struct config *cfg,
		      const struct measure *m, const uint8_t *mac)
{
	json_t *out = json_object();
	int r;

	json_object_set_new(out, "digest", json_hex(m->digest, PSP_DIGEST_SIZE));
	if (mac)
		json_object_set_new(out, "measurement",
				    json_hex(mac, PSP_MAC_SIZE));
	json_object_set_new(out, "policy", json_integer(cfg->csv.policy));
	json_object_set_new(out, "profile",
			    json_string(profile_name(m->profile)));
	json_object_set_new(out, "host",
			    m->n_vmsas ? json_string(measure_host_name(m->host))
				       : json_null());
	if (a->explain)
		explain_json(m, out);
	r = json_dumpf(out, stdout, JSON_ENSURE_ASCII | JSON_INDENT(2));
	putchar('\n');
	json_decref(out);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

static int print_text(const struct measure_args *a, const struct config *cfg,
		      const struct measure *m, const uint8_t *mac)
{
	char hex[65];

	hex_encode(m->digest, PSP_DIGEST_SIZE, hex);
	printf("digest       %s\n", hex);
	if (mac) {
		hex_encode(mac, PSP_MAC_SIZE, hex);
		printf("measurement  %s\n", hex);
	}
	printf("policy       %#x\n", cfg->csv.policy);
	printf("profile      %s\n", profile_name(m->profile));
	if (m->n_vmsas)
		printf("assumed      %s (%s) makes the VMSAs\n",
		       measure_host_name(m->host), measure_host_words(m->host));
	else
		printf("assumed      nothing: registers are not measured with type = \"csv\"\n");
	if (a->explain)
		explain(m);
	return EXIT_OK;
}

/* Return: 0 with @mac, or -errno, logged */
static int measurement(const struct measure_args *a, const struct config *cfg,
		       const struct measure *m, uint8_t mac[PSP_MAC_SIZE])
{
	struct launch_blob tik = { 0 };
	int r = blob_read("tik", a->tik, PSP_KEY_SIZE, 0, &tik);

	if (r < 0)
		return r;
	r = psp_measure(psp_suite(m->profile), tik.data, a->firmware.major,
			a->firmware.minor, a->firmware.build, cfg->csv.policy,
			m->digest, a->nonce, mac);
	OPENSSL_cleanse(tik.data, tik.len);
	free(tik.data);
	return r < 0 ? log_errno(r, "measurement") : 0;
}

/* Return: the C-bit's position (0 with the model), or -errno, logged */
static int find_c_bit(const struct measure_args *a, const struct config *cfg)
{
	int r;

	if (!config_csv_real(&cfg->csv))
		return 0;
	r = a->c_bit >= 0 ? a->c_bit : csv_host_c_bit();
	if (r < 0)
		log_err("measure: this machine has no memory encryption: say --c-bit, as 'csvvmm doctor' on the host that will run the guest tells it (mostly 47 or 51)");
	return r;
}

static int measure(const struct measure_args *a, const struct config *cfg)
{
	struct boot_error err = { "" };
	uint8_t mac[PSP_MAC_SIZE];
	const uint8_t *shown = NULL;
	struct measure m;
	int c_bit;

	if (cfg->csv.type == CONFIG_CSV_NONE) {
		log_err("%s: a plain guest is not measured ([csv] type is \"none\", the default)",
			a->file);
		return EXIT_FAILED;
	}
	c_bit = find_c_bit(a, cfg);
	if (c_bit < 0)
		return EXIT_FAILED;
	if (measure_config(
		    cfg, a->has_profile ? a->profile : measure_profile(&cfg->csv),
		    a->host, (unsigned)c_bit, &m, &err) < 0) {
		log_err("%s: %s", a->file, err.text);
		return EXIT_FAILED;
	}
	if (a->tik) {
		if (measurement(a, cfg, &m, mac) < 0)
			return EXIT_FAILED;
		shown = mac;
	}
	return a->json ? print_json(a, cfg, &m, shown)
		       : print_text(a, cfg, &m, shown);
}

static int measure_main(int argc, char **argv)
{
	struct measure_args a = { .host = VMSA_HOST_MAINLINE_6_12, .c_bit = -1 };
	struct config_error err;
	struct config cfg;
	int status = parse_args(argc, argv, &a);

	if (status != EXIT_OK)
		return status;
	/* An owner has neither the host's disks nor a session yet. */
	if (config_load_as(a.file, false, &cfg, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_USAGE;
	}
	status = measure(&a, &cfg);
	config_fini(&cfg);
	return fflush(stdout) ? EXIT_FAILED : status;
}

const struct command cmd_measure = {
	.name = "measure",
	.args = "[OPTION]... FILE",
	.summary = "tell what an encrypted guest will be measured as",
	.run = measure_main,
	.help = "Prints the launch digest that the firmware will arrive at, from the files alone.\n\n"
		"  --profile hygon|amd      whose hash; default: as FILE says\n"
		"  --host mainline-6.12|vendor-6.6\n"
		"                           the kernel of the host, which makes the VMSAs of a csv2\n"
		"                           guest: vendor-6.6 for the kernels of Hygon's\n"
		"                           distributions, else mainline-6.12, as the model does\n"
		"  --c-bit N                position of the C-bit there; default: this machine's\n"
		"  --tik FILE --nonce HEX --firmware MAJOR.MINOR.BUILD\n"
		"                           the measurement, too: the owner's integrity key, and\n"
		"                           measurement_nonce and firmware of launch-measure\n"
		"  --explain                digest of each part, fields of the VMSAs\n"
		"  --json\n",
};
