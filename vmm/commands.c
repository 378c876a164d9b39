/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/commands.h"

#include "core/log.h"

int command_misuse(const struct command *cmd, const char *why)
{
	log_err("%s: %s; usage: csvvmm %s %s", cmd->name, why, cmd->name,
		cmd->args);
	return EXIT_USAGE;
}
