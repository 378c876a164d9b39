/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"
#include "core/version.h"
#include "vmm/commands.h"

static const struct command *const commands[] = {
	&cmd_run,
	&cmd_check,
	&cmd_doctor,
	&cmd_list,
	&cmd_status,
	&cmd_pause,
	&cmd_resume,
	&cmd_stop,
	&cmd_reset,
	&cmd_kill,
	&cmd_measure,
	&cmd_attest,
	&cmd_launch_measure,
	&cmd_launch_secret,
	&cmd_launch_go,
	&cmd_owner_session,
	&cmd_owner_secret,
	&cmd_migrate,
	&cmd_receive,
};

static void print_help(FILE *out)
{
	size_t i;

	fprintf(out, "usage: csvvmm COMMAND [ARGS]\n\n"
		     "A small VMM for encrypted guests on KVM.\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-14s %s\n", commands[i]->name,
			commands[i]->summary);
	fprintf(out, "\n'csvvmm COMMAND --help' tells more; "
		     "'csvvmm --version' prints the version.\n");
}

static const struct command *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(name, commands[i]->name))
			return commands[i];
	}
	return NULL;
}

void command_usage(const struct command *cmd)
{
	printf("usage: csvvmm %s %s\n\n%s.\n", cmd->name, cmd->args,
	       cmd->summary);
	if (cmd->help)
		printf("\n%s", cmd->help);
}

/*
 * Descriptors 0 to 2 must be taken, or the next file opened would become
 * "standard output". Return: false when even /dev/null can't be opened
 */
static bool open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

int main(int argc, char **argv)
{
	const struct command *cmd;

	if (!open_standard_fds())
		return EXIT_FAILED;
	/* A closed pipe or a full quota is an error code, not a death. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		print_help(stdout);
		return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("csvvmm %s\n", CSVVMM_VERSION);
		return EXIT_OK;
	}
	cmd = find(argv[1]);
	if (!cmd && strstr(argv[1], ".toml")) {
		fprintf(stderr,
			"csvvmm: '%.200s' is no command; did you mean "
			"'csvvmm run %.200s'?\n",
			argv[1], argv[1]);
		return EXIT_USAGE;
	}
	if (!cmd) {
		fprintf(stderr,
			"csvvmm: '%.60s' is no command; "
			"'csvvmm --help' lists them\n",
			argv[1]);
		return EXIT_USAGE;
	}
	if (argc > 2 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
		command_usage(cmd);
		return EXIT_OK;
	}
	return cmd->run(argc - 1, argv + 1);
}
