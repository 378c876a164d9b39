/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest's owner does between measurement and start. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/base64.h"
#include "vmm/commands.h"
#include "vmm/control.h"
#include "vmm/launch.h"
#include "vmm/launch_files.h"
#include "vmm/state_dir.h"

static int usage_error(const struct command *cmd)
{
	fprintf(stderr, "usage: csvvmm %s %s\n", cmd->name, cmd->args);
	return EXIT_USAGE;
}

static const char *text_of(const json_t *answer, const char *key)
{
	const char *text = json_string_value(json_object_get(answer, key));

	return text ? text : "-";
}

static int measure_main(int argc, char **argv)
{
	bool json = argc > 1 && !strcmp(argv[1], "--json");
	static const char *const keys[] = { "measurement", "nonce", "digest",
					    "firmware", "launch" };
	json_t *answer;
	unsigned i;

	if (argc != (json ? 3 : 2) || !state_name_valid(argv[argc - 1]))
		return usage_error(&cmd_launch_measure);
	answer = command_ask(argv[argc - 1],
			     json_pack("{s:s}", "cmd", "launch-measure"));
	if (!answer)
		return EXIT_FAILED;
	json_object_del(answer, "ok");
	if (json) {
		(void)json_dumpf(answer, stdout,
				 JSON_ENSURE_ASCII | JSON_INDENT(2));
		putchar('\n');
	}
	for (i = 0; !json && i < ARRAY_SIZE(keys); i++)
		printf("%-12s %s\n", keys[i], text_of(answer, keys[i]));
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

static int secret_main(int argc, char **argv)
{
	struct launch_blob header = { 0 }, data = { 0 };
	json_t *answer = NULL;
	unsigned long long at;
	char *end;

	if (argc != 5 || !state_name_valid(argv[1]))
		return usage_error(&cmd_launch_secret);
	errno = 0;
	at = strtoull(argv[4], &end, 0);
	if (errno || end == argv[4] || *end || at > INT64_MAX || *argv[4] == '-') {
		log_err("launch-secret: ADDRESS \"%s\" is no address", argv[4]);
		return usage_error(&cmd_launch_secret);
	}
	if (blob_read("header", argv[2], LAUNCH_HEADER_SIZE, 0, &header) == 0 &&
	    blob_read("secret", argv[3], 0, CONTROL_SECRET_MAX, &data) == 0)
		answer = command_ask(
			argv[1],
			json_pack("{s:s, s:o, s:o, s:I}", "cmd", "launch-secret",
				  "header", json_blob(&header), "data",
				  json_blob(&data), "addr", (json_int_t)at));
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
	.args = "[--json] NAME",
	.summary = "show the measurement of an encrypted guest",
	.run = measure_main,
	.help = "Measurement, nonce and digest as the firmware gave them. With --json also the\n"
		"attestation report and the platform's certificates, in base64.\n",
};

const struct command cmd_launch_secret = {
	.name = "launch-secret",
	.args = "NAME HEADER DATA ADDRESS",
	.summary = "put an encrypted secret into a guest that waits for its owner",
	.run = secret_main,
	.help = "HEADER and DATA are files: the 52 bytes of a packet header, and the ciphertext,\n"
		"as bytes or base64. ADDRESS is where it goes in the guest's memory.\n",
};

const struct command cmd_launch_go = {
	.name = "launch-go",
	.args = "NAME",
	.summary = "let a guest that waits for its owner run",
	.run = go_main,
	.help = "For guests started with 'csvvmm run --wait-for-owner'.\n",
};
