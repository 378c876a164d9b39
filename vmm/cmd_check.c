/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/commands.h"
#include "vmm/config.h"
#include "vmm/measure.h"

/* The key that a message of measure_layout() begins with. NULL: none */
static const struct config_at *blame(const struct config *cfg, const char *text)
{
	const struct {
		const char *key;
		const struct config_at *at;
	} keys[] = {
		{ "kernel", &cfg->kernel_at },
		{ "initrd", &cfg->initrd_at },
		{ "cmdline", &cfg->cmdline_at },
		{ "memory:", &cfg->memory_at },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!strncmp(text, keys[i].key, strlen(keys[i].key)))
			return keys[i].at;
	}
	return NULL;
}

/* What `run` would refuse when it loads the guest. Return: 0 or -errno */
static int check_layout(const char *path, const struct config *cfg)
{
	struct boot_error err = { "" };
	const struct config_at *at;
	int r = measure_layout(cfg, &err);

	if (r >= 0)
		return 0;
	at = blame(cfg, err.text);
	if (at)
		fprintf(stderr, "%s:%u:%u: %s\n", path, at->line, at->column,
			err.text);
	else
		fprintf(stderr, "%s: %s\n", path, err.text);
	return r;
}

static int check_file(const char *path, bool check_files)
{
	struct config_error err;
	int status = EXIT_OK;
	struct config cfg;

	if (config_load_as(path, check_files, &cfg, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_USAGE;
	}
	if (check_files && check_layout(path, &cfg) < 0)
		status = EXIT_USAGE;
	else
		printf("%s: ok\n", path);
	config_fini(&cfg);
	return status;
}

static int usage(const char *why)
{
	return command_misuse(&cmd_check, why);
}

static int run_check(int argc, char **argv)
{
	static const struct option options[] = {
		{ "no-files", no_argument, NULL, 'n' },
		{ 0 },
	};
	bool check_files = true;
	int status = EXIT_OK;
	int c;

	opterr = 0; /* ours are in one line with the usage */
	optind = 0; /* main() may have parsed before: start over */
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'n')
			return usage("unknown option");
		check_files = false;
	}
	if (optind == argc)
		return usage("no file given");
	for (; optind < argc; optind++) {
		if (check_file(argv[optind], check_files) != EXIT_OK)
			status = EXIT_USAGE;
	}
	return status;
}

const struct command cmd_check = {
	.name = "check",
	.args = "[--no-files] FILE...",
	.summary = "check guest files without starting anything",
	.run = run_check,
	.help = "Prints \"FILE: ok\", or one line that says where and what is "
		"wrong.\n"
		"\n"
		"  --no-files  don't look at this host: named files need not "
		"exist, and\n"
		"              memory may be more than there is\n"
		"\n"
		"Exit status: 0 all files are right, 2 at least one is not.\n",
};
