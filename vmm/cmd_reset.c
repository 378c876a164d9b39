/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/commands.h"
#include "vmm/control.h"
#include "vmm/state_dir.h"

/* A disk that hangs holds a reset up. */
#define RESET_WAIT_S 60

/* How many there were; -1: the guest is gone. */
static int64_t resets(const char *name)
{
	auto_fd int dirfd = control_state_dir(NULL);
	json_t *answer;
	int64_t n;

	if (dirfd < 0 || state_running(dirfd, name) != 1)
		return -1;
	answer = command_ask(name, json_pack("{s:s}", "cmd", "status"));
	if (!answer)
		return -1;
	n = json_integer_value(
		json_object_get(json_object_get(answer, "reset"), "count"));
	json_decref(answer);
	return n;
}

static int wait_reset(const char *name, int64_t before)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	int64_t now = before;
	unsigned i;

	for (i = 0; i < RESET_WAIT_S * 20; i++) {
		now = resets(name);
		if (now != before)
			break;
		(void)nanosleep(&pause, NULL);
	}
	if (now > before)
		return EXIT_OK;
	if (now < 0)
		log_err("guest \"%s\" ended instead; its log says why", name);
	else
		log_err("guest \"%s\" is not reset after %d seconds: its devices wait for the host",
			name, RESET_WAIT_S);
	return EXIT_FAILED;
}

static int reset_main(int argc, char **argv)
{
	json_t *answer;
	int64_t before;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		command_usage(&cmd_reset);
		return EXIT_OK;
	}
	if (argc != 2 || !state_name_valid(argv[1])) {
		fprintf(stderr,
			"usage: csvvmm reset %s\n'csvvmm reset --help' tells more\n",
			cmd_reset.args);
		return EXIT_USAGE;
	}
	answer = command_ask(argv[1], json_pack("{s:s}", "cmd", "reset"));
	if (!answer)
		return EXIT_FAILED;
	before = json_integer_value(json_object_get(answer, "resets"));
	json_decref(answer);
	return wait_reset(argv[1], before);
}

const struct command cmd_reset = {
	.name = "reset",
	.args = "NAME",
	.summary = "let a guest begin anew",
	.run = reset_main,
	.help = "The guest is not asked: what it did not write to its disks is lost. Returns when\n"
		"its kernel starts again. A migration that is under way is cancelled.\n",
};
