/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/log.h"
#include "vmm/commands.h"
#include "vmm/config.h"

static int check_file(const char *path, bool check_files)
{
	struct config_error err;
	struct config cfg;

	if (config_load_as(path, check_files, &cfg, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_USAGE;
	}
	printf("%s: ok\n", path);
	config_fini(&cfg);
	return EXIT_OK;
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
