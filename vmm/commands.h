/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_COMMANDS_H
#define CSVVMM_VMM_COMMANDS_H

#include <stdint.h>

/* Exit status of every command; csvvmm(1) "EXIT STATUS". */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* the command could not do its work */
	EXIT_USAGE = 2,	 /* bad command line or bad guest.toml */
	EXIT_GUEST_PANIC = 10,
	EXIT_GUEST_TRIPLE = 11,
	EXIT_GUEST_REBOOT = 12, /* reboot with on_reboot = "exit" */
	EXIT_GUEST_KILLED = 13,
	EXIT_VMM_ERROR = 14,
	EXIT_GUEST_MOVED = 15,	/* it runs on another host */
	EXIT_NOT_RECEIVED = 16, /* receive: it never ran here */
	EXIT_REFUSED = 17,	/* migrate: preflight; nothing was changed */
	EXIT_CANCELLED = 18,	/* migrate: the guest goes on here */
	EXIT_IN_DOUBT = 19,	/* migrate: it stands still, decide */
};

/**
 * struct command - One subcommand
 * @args:	For the usage line, e.g. "FILE"
 * @run:	argv[0] is the subcommand's name. Return: exit status
 */
struct command {
	const char *name;
	const char *args;
	const char *summary;
	int (*run)(int argc, char **argv);
	const char *help; /* text under the usage line of --help */
};

extern const struct command cmd_run;	/* vmm/cmd_run.c */
extern const struct command cmd_check;	/* vmm/cmd_check.c */
extern const struct command cmd_doctor; /* vmm/cmd_doctor.c */
extern const struct command cmd_list;	/* vmm/cmd_ctl.c */
extern const struct command cmd_status;
extern const struct command cmd_pause;
extern const struct command cmd_resume;
extern const struct command cmd_stop;
extern const struct command cmd_reset;
extern const struct command cmd_kill;
extern const struct command cmd_measure;	/* vmm/cmd_measure.c */
extern const struct command cmd_attest;		/* vmm/cmd_attest.c */
extern const struct command cmd_launch_measure; /* vmm/cmd_launch.c */
extern const struct command cmd_launch_secret;
extern const struct command cmd_launch_go;
extern const struct command cmd_owner_session; /* vmm/cmd_owner.c */
extern const struct command cmd_owner_secret;
extern const struct command cmd_migrate; /* vmm/cmd_migrate.c */
extern const struct command cmd_receive; /* vmm/cmd_receive.c */

/* vmm/commands.c: a wrong command line, told in one line. Return: EXIT_USAGE */
int command_misuse(const struct command *cmd, const char *why);

struct json_t;

/* vmm/cmd_ctl.c: send @request to the guest @name. Takes it over. Return: the
 * answer if it says "ok", else NULL; errors are logged */
struct json_t *command_ask(const char *name, struct json_t *request);
/* The same; while no such guest answers yet, try again for so many seconds. */
struct json_t *command_ask_wait(const char *name, struct json_t *request,
				uint64_t seconds);

/* The value of --wait[=SECONDS]. @text: NULL = COMMAND_FOREVER. Return: 0 or
 * -EINVAL */
#define COMMAND_FOREVER UINT64_MAX
int command_seconds(const char *text, uint64_t *ret_s);

/* Print "usage: csvvmm NAME ARGS" and the help text. */
void command_usage(const struct command *cmd);

#endif
