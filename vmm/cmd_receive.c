/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/commands.h"
#include "vmm/config.h"
#include "vmm/guardian.h"
#include "vmm/line.h"
#include "vmm/run.h"

/*
 * DOC: Theory of operation
 *
 * This process only listens. Each connection gets a child, which builds the
 * machine and waits for the guest; as long as a child ends without having been
 * changed by it (a check, a refusal, somebody else's connection), the next one is
 * let in. The guest lives in the child; its exit status is ours.
 */

struct args {
	const char *file, *listen;
	bool insecure, once;
	uint64_t stall_s;
	struct run_args run;
};

static int take(struct args *a, int c)
{
	switch (c) {
	case 'l':
		a->listen = optarg;
		return 0;
	case 'i':
		a->insecure = true;
		return 0;
	case 'o':
		a->once = true;
		return 0;
	case 's':
		return command_seconds(optarg, &a->stall_s);
	default:
		return -EINVAL;
	}
}

static int parse_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "insecure", no_argument, NULL, 'i' },
		{ "once", no_argument, NULL, 'o' },
		{ "stall", required_argument, NULL, 's' },
		{ 0 },
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (take(a, c) < 0)
			return -EINVAL;
	}
	if (argc - optind != 1 || !a->listen)
		return -EINVAL;
	a->file = argv[optind];
	return 0;
}

/* Return: exit status of the guest, or of the attempt */
static int receive(struct args *a)
{
	unsigned port = 0;
	auto_fd int fd = line_listen(a->listen, &port);
	int status = RUN_UNTOUCHED;

	if (fd < 0)
		return EXIT_FAILED;
	log_info("waiting for guest %s at port %u", a->run.cfg.name, port);
	do {
		a->run.line = line_accept(fd);
		if (a->run.line == -EINTR || a->run.line == -ECONNABORTED)
			continue;
		if (a->run.line < 0) {
			log_errno(a->run.line, "accept");
			return EXIT_FAILED;
		}
		status = guardian_child(run_guest, &a->run);
		util_close(&a->run.line);
	} while (status == RUN_UNTOUCHED && !a->once);
	return status == RUN_UNTOUCHED ? EXIT_NOT_RECEIVED : status;
}

static int receive_main(int argc, char **argv)
{
	struct args a = { .stall_s = 30, .run = { .line = -1 } };
	struct config_error err;
	int status;

	if (parse_args(argc, argv, &a) < 0)
		return command_misuse(&cmd_receive,
				      "takes one FILE and where to listen");
	if (!a.insecure)
		return command_misuse(
			&cmd_receive,
			"no way to protect the line was named (--insecure does without)");
	if (config_load(a.file, &a.run.cfg, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_USAGE;
	}
	a.run.stall_ns = a.stall_s * 1000000000ULL;
	status = receive(&a);
	config_fini(&a.run.cfg);
	return status;
}

const struct command cmd_receive = {
	.name = "receive",
	.args = "--listen HOST:PORT --insecure [--once] [--stall S] FILE",
	.summary = "wait for a guest that another host sends, and run it",
	.run = receive_main,
	.help = "FILE is the guest.toml that the guest was started with there, or one that describes\n"
		"the same machine. From its arrival on this is 'csvvmm run'.\n\n"
		"  --listen HOST:PORT  where; HOST may be empty, PORT 0 is any (it is told)\n"
		"  --insecure          plain TCP: whoever can reach the port can send a guest\n"
		"  --once              end after the first connection, whatever came of it\n"
		"  --stall S           give up when no byte moves for so long (30)\n\n"
		"Exit status: as of run; 16 when the guest did not arrive: it never ran here.\n",
};
