/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest's owner does between measurement and start. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/base64.h"
#include "vmm/commands.h"
#include "vmm/control.h"
#include "vmm/hex.h"
#include "vmm/launch.h"
#include "vmm/launch_files.h"
#include "vmm/state_dir.h"

static int usage_error(const struct command *cmd)
{
	fprintf(stderr, "usage: csvvmm %s %s\n'csvvmm %s --help' tells more\n",
		cmd->name, cmd->args, cmd->name);
	return EXIT_USAGE;
}

static const char *text_of(const json_t *answer, const char *key)
{
	const char *text = json_string_value(json_object_get(answer, key));

	return text ? text : "-";
}

/**
 * struct launch_args - Command line of launch-measure and launch-secret
 * @nonce:	For the report, as text; NULL: the VMM's choice
 * @words:	What comes after the options; @n: how many
 */
struct launch_args {
	bool json, force;
	uint64_t wait_s;
	const char *nonce;
	char **words;
	int n;
};

static int parse_args(const struct command *cmd, int argc, char **argv,
		      struct launch_args *a)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "wait", optional_argument, NULL, 'w' },
		{ "nonce", required_argument, NULL, 'n' },
		{ "force", no_argument, NULL, 'f' },
		{ 0 },
	};
	bool secret = cmd == &cmd_launch_secret;
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'f' && secret)
			a->force = true;
		else if (c == 'j' && !secret)
			a->json = true;
		else if (c == 'n' && !secret)
			a->nonce = optarg;
		else if (c != 'w' || secret ||
			 command_seconds(optarg, &a->wait_s) < 0)
			return usage_error(cmd);
	}
	a->words = argv + optind;
	a->n = argc - optind;
	return EXIT_OK;
}

static json_t *measure_request(const struct launch_args *a)
{
	json_t *request = json_pack("{s:s}", "cmd", "launch-measure");

	if (a->nonce)
		json_object_set_new(request, "nonce", json_string(a->nonce));
	return request;
}

static int measure_main(int argc, char **argv)
{
	static const char *const keys[] = { "measurement",  "measurement_nonce",
					    "report_nonce", "digest",
					    "firmware",	    "launch" };
	struct launch_args a = { 0 };
	uint8_t nonce[16];
	json_t *answer;
	unsigned i;

	if (parse_args(&cmd_launch_measure, argc, argv, &a) != EXIT_OK)
		return EXIT_USAGE;
	if (a.n != 1 || !state_name_valid(a.words[0]))
		return usage_error(&cmd_launch_measure);
	if (a.nonce && hex_decode(a.nonce, nonce, sizeof(nonce)) < 0) {
		log_err("launch-measure: --nonce takes 32 hexadecimal digits");
		return EXIT_USAGE;
	}
	answer = command_ask_wait(a.words[0], measure_request(&a), a.wait_s);
	if (!answer)
		return EXIT_FAILED;
	json_object_del(answer, "ok");
	if (a.json) {
		(void)json_dumpf(answer, stdout,
				 JSON_ENSURE_ASCII | JSON_INDENT(2));
		putchar('\n');
	}
	for (i = 0; !a.json && i < ARRAY_SIZE(keys); i++)
		printf("%-18s %s\n", keys[i], text_of(answer, keys[i]));
	json_decref(answer);
	return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
}

static json_t *json_blob(const struct launch_blob *b)
{
	char *text = malloc(BASE64_ROOM((size_t)b->len));
	json_t *j = NULL;

	if (text) {
		base64_encode(b->data, b->len, text);
		j = json_string(text);
	}
	free(text);
	return j;
}

static bool take_address(const char *text, uint64_t *ret_at)
{
	char *end;

	errno = 0;
	*ret_at = strtoull(text, &end, 0);
	return !errno && end != text && !*end && *text != '-' &&
	       *ret_at <= INT64_MAX;
}

static int secret_main(int argc, char **argv)
{
	struct launch_blob header = { 0 }, data = { 0 };
	struct launch_args a = { 0 };
	json_t *answer = NULL;
	json_t *request;
	uint64_t at = 0;

	if (parse_args(&cmd_launch_secret, argc, argv, &a) != EXIT_OK)
		return EXIT_USAGE;
	if ((a.n != 3 && a.n != 4) || !state_name_valid(a.words[0]))
		return usage_error(&cmd_launch_secret);
	if (a.n == 4 && !take_address(a.words[3], &at)) {
		log_err("launch-secret: ADDRESS \"%s\" is no address, such as 0x80000",
			a.words[3]);
		return EXIT_USAGE;
	}
	if (blob_read("header", a.words[1], LAUNCH_HEADER_SIZE, 0, &header) == 0 &&
	    blob_read("secret", a.words[2], 0, CONTROL_SECRET_MAX, &data) == 0) {
		request = json_pack("{s:s, s:o, s:o, s:b}", "cmd",
				    "launch-secret", "header", json_blob(&header),
				    "data", json_blob(&data), "force", a.force);
		if (a.n == 4)
			json_object_set_new(request, "addr",
					    json_integer((json_int_t)at));
		answer = command_ask(a.words[0], request);
	}
	free(header.data);
	free(data.data);
	json_decref(answer);
	return answer ? EXIT_OK : EXIT_FAILED;
}

static int go_main(int argc, char **argv)
{
	json_t *answer;

	if (argc != 2 || !state_name_valid(argv[1]))
		return usage_error(&cmd_launch_go);
	answer = command_ask(argv[1], json_pack("{s:s}", "cmd", "launch-go"));
	json_decref(answer);
	return answer ? EXIT_OK : EXIT_FAILED;
}

const struct command cmd_launch_measure = {
	.name = "launch-measure",
	.args = "[--json] [--nonce HEX] [--wait[=SECONDS]] NAME",
	.summary = "show the measurement of an encrypted guest",
	.run = measure_main,
	.help = "Measurement and digest as the firmware gave them.\n\n"
		"  --json            also the attestation report and the platform's certificates,\n"
		"                    in base64; attest and the owner commands read this\n"
		"  --nonce HEX       32 digits that the report shall hold (report_nonce); default:\n"
		"                    random. The measurement has a nonce of the firmware's choice\n"
		"                    (measurement_nonce), which is for 'measure' and 'owner-secret'\n"
		"  --wait[=SECONDS]  until the guest is there: for use after 'csvvmm run ... &'\n",
};

const struct command cmd_launch_secret = {
	.name = "launch-secret",
	.args = "[--force] NAME HEADER DATA [ADDRESS]",
	.summary = "put an encrypted secret into a guest that waits for its owner",
	.run = secret_main,
	.help = "HEADER and DATA are files that 'csvvmm owner-secret' makes: the 52 bytes of a\n"
		"packet header and the ciphertext, 16 to 2048 bytes, as bytes or base64. ADDRESS\n"
		"is where it goes in the guest's memory, a multiple of 16. Without it, Linux\n"
		"shows the secret in /sys/kernel/boot_params/setup_data/0/data (not with\n"
		"backend = \"model\"), to all its users until its initrd does chmod 400.\n\n"
		"  --force  even where it overwrites what was measured\n",
};

const struct command cmd_launch_go = {
	.name = "launch-go",
	.args = "NAME",
	.summary = "let a guest that waits for its owner run",
	.run = go_main,
	.help = "For guests started with 'csvvmm run --wait-for-owner'.\n",
};
