/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/commands.h"
#include "vmm/control.h"
#include "vmm/state_dir.h"
#include "vmm/status_text.h"
#include "vmm/waiting.h"

#define KILL_WAIT_S 10
/* A step of the launch, on a slow host. */
#define KILL_LAUNCH_S 60
#define WAIT_MAX_S    1000000000

/**
 * struct ctl_args - Command line of one command
 * @name:	Guest, or NULL when the command takes none
 * @wait_s:	0 = do not wait until the guest is gone
 */
struct ctl_args {
	const char *name;
	bool json;
	uint64_t wait_s;
};

static int usage_error(const struct command *cmd)
{
	fprintf(stderr, "usage: csvvmm %s %s\n", cmd->name, cmd->args);
	return EXIT_USAGE;
}

int command_seconds(const char *text, uint64_t *ret_s)
{
	char *end;
	unsigned long long v;

	if (!text) {
		*ret_s = COMMAND_FOREVER;
		return 0;
	}
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || *text == '+' ||
	    v > WAIT_MAX_S)
		return -EINVAL;
	*ret_s = v;
	return 0;
}

/* Return: EXIT_OK to go on, or an exit status (with *ret_done set) */
static int parse_args(const struct command *cmd, int argc, char **argv,
		      struct ctl_args *ret_args, bool *ret_done)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "wait", optional_argument, NULL, 'w' },
		{ 0 },
	};
	bool named = cmd != &cmd_list;
	int c;

	*ret_done = true;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			command_usage(cmd);
			return EXIT_OK;
		}
		if (c == 'j' && (cmd == &cmd_list || cmd == &cmd_status))
			ret_args->json = true;
		else if (c != 'w' || cmd != &cmd_stop ||
			 command_seconds(optarg, &ret_args->wait_s) < 0)
			return usage_error(cmd);
	}
	if (argc - optind != (named ? 1 : 0))
		return usage_error(cmd);
	if (named && !state_name_valid(argv[optind])) {
		fprintf(stderr,
			"csvvmm: a guest's name is 1 to %d letters, digits, "
			"'.', '_' and '-'\n",
			CONFIG_NAME_MAX);
		return EXIT_USAGE;
	}
	ret_args->name = named ? argv[optind] : NULL;
	*ret_done = false;
	return EXIT_OK;
}

static pid_t guest_pid(const char *name)
{
	auto_fd int dirfd = control_state_dir(NULL);

	return dirfd < 0 ? 0 : state_pid(dirfd, name);
}

/* Return: whether a receiver waits for it; logged */
static bool explain_waiting(const char *name)
{
	auto_fd int dirfd = control_state_dir(NULL);
	json_t *w = dirfd < 0 ? NULL : waiting_status(dirfd, name);
	bool waits = w;

	if (w)
		log_err("no guest named \"%s\" is running; process %" PRIu64
			" waits for it to come from another host, at port %" PRIu64,
			name, status_u64(w, "pid"), status_u64(w, "port"));
	json_decref(w);
	return waits;
}

static void explain(int r, const char *name)
{
	pid_t pid;

	switch (r) {
	case -ENOENT:
		if (explain_waiting(name))
			return;
		log_err("no guest named \"%s\" is running; 'csvvmm list' shows those that are",
			name);
		return;
	case -EINPROGRESS:
		log_err("guest \"%s\" is being launched, or is ending (process %d); 'csvvmm kill %s' gives its launch up",
			name, guest_pid(name), name);
		return;
	case -ETIMEDOUT:
		pid = guest_pid(name);
		log_err("guest \"%s\" does not answer; its process is %d (stopped, or stuck: 'kill -9 %d' ends it)",
			name, pid, pid);
		return;
	default:
		log_errno(r, "guest \"%s\"", name);
	}
}

/* The socket is there when the guest is: that is what to wait for. */
static int ask(const char *name, const char *request, uint64_t seconds,
	       char **ret_line)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	uint64_t i;
	int r = control_request(name, request, ret_line);

	for (i = 0; (r == -ENOENT || r == -EINPROGRESS) &&
		    (seconds == COMMAND_FOREVER || i < seconds * 20);
	     i++) {
		(void)nanosleep(&pause, NULL);
		r = control_request(name, request, ret_line);
	}
	return r;
}

struct json_t *command_ask_wait(const char *name, struct json_t *request,
				uint64_t seconds)
{
	auto_free char *out = json_dumps(request, JSON_COMPACT);
	auto_free char *line = NULL;
	int r = out ? ask(name, out, seconds, &line) : -ENOMEM;
	const char *error;
	json_t *answer;

	json_decref(request);
	if (r < 0) {
		explain(r, name);
		return NULL;
	}
	answer = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_true(json_object_get(answer, "ok")))
		return answer;
	error = json_string_value(json_object_get(answer, "error"));
	log_err("guest \"%s\": %s", name, error ? error : "not an answer");
	json_decref(answer);
	return NULL;
}

struct json_t *command_ask(const char *name, struct json_t *request)
{
	return command_ask_wait(name, request, 0);
}

static json_t *request(const char *name, const char *cmd)
{
	return command_ask(name, json_pack("{s:s}", "cmd", cmd));
}

static int print_json(json_t *answer)
{
	int r;

	r = json_dumpf(answer, stdout, JSON_ENSURE_ASCII | JSON_INDENT(2));
	putchar('\n');
	json_decref(answer);
	return r < 0 || fflush(stdout) ? EXIT_FAILED : EXIT_OK;
}

static bool is_receiving(const json_t *answer)
{
	return !strcmp(status_text(answer, "state"), "receiving");
}

/* Of the guest, or of who waits for it. Return: NULL: logged */
static json_t *describe(int dirfd, const char *name)
{
	json_t *waiting = waiting_status(dirfd, name), *answer;

	/* Its VMM can't be asked before it is built. */
	if (waiting && is_receiving(waiting)) {
		auto_fd int fd = state_connect(dirfd, name);

		if (fd < 0)
			return waiting;
	} else if (waiting && state_running(dirfd, name) != 1) {
		return waiting;
	}
	answer = request(name, "status");
	if (answer) {
		json_object_del(answer, "ok");
		/* It is the one that was asked, whatever it says. */
		json_object_set_new(answer, "name", json_string(name));
	}
	json_decref(waiting);
	return answer;
}

static bool has_name(char **names, int n, const char *name)
{
	int i;

	for (i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static bool is_listed(const json_t *all, const char *name)
{
	const json_t *guest;
	size_t i;

	json_array_foreach(all, i, guest)
	{
		if (!strcmp(status_text(guest, "name"), name))
			return true;
	}
	return false;
}

/* All guests, then all who wait for one. Return: NULL: logged */
static json_t *list_all(int dirfd)
{
	char **run = NULL, **wait = NULL;
	int i, n_run = state_names(dirfd, ".lock", &run);
	int n_wait = state_names(dirfd, WAITING_SUFFIX, &wait);
	json_t *all = json_array();

	/* (What ended meanwhile is NULL, and not appended.) */
	for (i = 0; i < n_run; i++) {
		json_t *g = describe(dirfd, run[i]);

		if (g && !strcmp(status_text(g, "state"), "waiting") &&
		    has_name(wait, n_wait, run[i]))
			json_decref(g); /* comes below */
		else
			(void)json_array_append_new(all, g);
	}
	for (i = 0; i < n_wait; i++) {
		json_t *w = waiting_status(dirfd, wait[i]);

		/* What it receives is in the list. */
		if (w && is_receiving(w) && is_listed(all, wait[i]))
			json_decref(w);
		else
			(void)json_array_append_new(all, w);
	}
	if (n_run >= 0)
		state_names_free(run, n_run);
	if (n_wait >= 0)
		state_names_free(wait, n_wait);
	if (n_run >= 0 && n_wait >= 0)
		return all;
	json_decref(all);
	log_errno(n_run < 0 ? n_run : n_wait, "state folder");
	return NULL;
}

static void list_row(const json_t *guest)
{
	printf("%-20s %8" PRIu64 "  %-9s %5" PRIu64 " %6" PRIu64 "M  ",
	       status_text(guest, "name"), status_u64(guest, "pid"),
	       status_text(guest, "state"), status_u64(guest, "vcpus"),
	       status_u64(guest, "memory") >> 20);
	status_print_uptime(status_u64(guest, "uptime_ns"));
	if (json_object_get(guest, "port"))
		printf("  port %" PRIu64, status_u64(guest, "port"));
	putchar('\n');
}

static int list_main(int argc, char **argv)
{
	struct ctl_args args = { 0 };
	auto_fd int dirfd = -1;
	json_t *all, *guest;
	bool done;
	int status;
	size_t i;

	status = parse_args(&cmd_list, argc, argv, &args, &done);
	if (done)
		return status;
	dirfd = control_state_dir(NULL);
	if (dirfd < 0)
		return EXIT_FAILED;
	all = list_all(dirfd);
	if (!all)
		return EXIT_FAILED;
	if (args.json)
		return print_json(all);
	printf("%-20s %8s  %-9s %5s %7s  %s\n", "NAME", "PID", "STATE", "VCPUS",
	       "MEMORY", "UPTIME");
	json_array_foreach(all, i, guest) list_row(guest);
	json_decref(all);
	return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
}

/*
 * Wait until the name is free: the VMM lets go of it as the last thing, so
 * the same guest can be started again at once.
 */
static int wait_gone(const char *name, uint64_t seconds)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	auto_fd int dirfd = control_state_dir(NULL);
	uint64_t i;

	if (dirfd < 0)
		return EXIT_FAILED;
	for (i = 0; seconds == COMMAND_FOREVER || i <= seconds * 20; i++) {
		int r = state_running(dirfd, name);

		if (!r)
			return EXIT_OK;
		if (r < 0) {
			log_errno(r, "guest \"%s\"", name);
			return EXIT_FAILED;
		}
		(void)nanosleep(&pause, NULL);
	}
	log_err("guest \"%s\" still runs after %" PRIu64 " second%s", name,
		seconds, seconds == 1 ? "" : "s");
	return EXIT_FAILED;
}

/* Return: whether the guest is being launched, and was told to stop that */
static bool kill_launch(const char *name)
{
	auto_fd int dirfd = control_state_dir(NULL);
	auto_fd int fd = dirfd < 0 ? -1 : state_connect(dirfd, name);

	return fd == -ENOENT && state_running(dirfd, name) == 1 &&
	       !state_signal(dirfd, name, SIGTERM);
}

static int print_status(const struct ctl_args *args)
{
	auto_fd int dirfd = control_state_dir(NULL);
	json_t *answer = dirfd < 0 ? NULL : describe(dirfd, args->name);

	if (!answer)
		return EXIT_FAILED;
	return args->json ? print_json(answer) : status_print(answer);
}

static int act(const struct command *cmd, int argc, char **argv)
{
	struct ctl_args args = { 0 };
	json_t *answer;
	bool done;
	int status;

	if (cmd == &cmd_kill)
		args.wait_s = KILL_WAIT_S;
	status = parse_args(cmd, argc, argv, &args, &done);
	if (done)
		return status;
	if (cmd == &cmd_kill && kill_launch(args.name))
		return wait_gone(args.name, KILL_LAUNCH_S);
	if (cmd == &cmd_status)
		return print_status(&args);
	answer = request(args.name, cmd->name);
	if (!answer)
		return EXIT_FAILED;
	if (cmd == &cmd_stop && !strcmp(status_text(answer, "state"), "paused"))
		log_warn("guest \"%s\" is paused: it sees the power button when it is resumed",
			 args.name);
	json_decref(answer);
	return args.wait_s ? wait_gone(args.name, args.wait_s) : EXIT_OK;
}

static int status_main(int argc, char **argv)
{
	return act(&cmd_status, argc, argv);
}

static int pause_main(int argc, char **argv)
{
	return act(&cmd_pause, argc, argv);
}

static int resume_main(int argc, char **argv)
{
	return act(&cmd_resume, argc, argv);
}

static int stop_main(int argc, char **argv)
{
	return act(&cmd_stop, argc, argv);
}

static int kill_main(int argc, char **argv)
{
	return act(&cmd_kill, argc, argv);
}

const struct command cmd_list = {
	.name = "list",
	.args = "[--json]",
	.summary = "show the guests that run",
	.run = list_main,
	.help = "Shows the guests of the calling user, one a line, then those that 'csvvmm receive'\n"
		"waits for, with the port.\n",
};

const struct command cmd_status = {
	.name = "status",
	.args = "[--json] NAME",
	.summary = "describe a running guest",
	.run = status_main,
	.help = "Or one that 'csvvmm receive' waits for. With --json as the object that\n"
		"docs/CONTROL.md describes.\n",
};

const struct command cmd_pause = {
	.name = "pause",
	.args = "NAME",
	.summary = "stop the vCPUs of a guest",
	.run = pause_main,
	.help = "Returns when all vCPUs have stopped.\n",
};

const struct command cmd_resume = {
	.name = "resume",
	.args = "NAME",
	.summary = "let a paused guest go on",
	.run = resume_main,
};

const struct command cmd_stop = {
	.name = "stop",
	.args = "[--wait[=SECONDS]] NAME",
	.summary = "press the power button of a guest",
	.run = stop_main,
	.help = "The guest decides what to do about it. --wait returns when the guest is gone, or\n"
		"fails after SECONDS; nothing is forced.\n",
};

const struct command cmd_kill = {
	.name = "kill",
	.args = "NAME",
	.summary = "end a guest at once",
	.run = kill_main,
	.help = "The guest is not asked: what it did not write to its disks is lost. Returns when\n"
		"the guest is gone.\n",
};
