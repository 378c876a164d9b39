/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/board.h"
#include "vmm/commands.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/guardian.h"
#include "vmm/host_memory.h"
#include "vmm/migrate.h"
#include "vmm/run.h"
#include "vmm/sandbox.h"
#include "vmm/vm.h"
#include "vmm/vm_csv.h"

/* One run of one guest; on the stack of run_guest(). */
struct run {
	struct vm vm;
	bool have_vm; /* half-built, maybe */
	struct control *control;
	struct source signals;
	int signal; /* that ends it, or 0 */
};

static void on_signal(struct source *src, uint32_t events)
{
	struct run *run = container_of(src, struct run, signals);
	struct signalfd_siginfo si;

	(void)events;
	if (read(src->fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	log_info("signal %u: ending the guest", si.ssi_signo);
	run->signal = (int)si.ssi_signo;
	machine_end(&run->vm.m, END_KILLED);
}

/* The signals that end the guest; run_guest() has blocked them. */
static int run_watch_signals(struct run *run)
{
	sigset_t set;
	int fd, r;

	guardian_signals(&set);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return log_errno(-errno, "signalfd");
	run->signals = (struct source){ .fd = -1, .fn = on_signal };
	r = loop_add(&run->vm.m.loop, &run->signals, fd, EPOLLIN);
	if (r < 0) {
		(void)close(fd);
		return log_errno(r, "signalfd");
	}
	return 0;
}

/* An owner's secret, a guest that comes, or one that begins anew, is pinned after
 * the sandbox. (Where a reset may be in place, its absence is no reason to refuse.) */
static enum sandbox_pins run_pins(const struct run_args *args)
{
	const struct config *cfg = &args->cfg;
	bool later = args->wait_for_owner || args->line >= 0 ||
		     cfg->reset == CONFIG_RESET_RELAUNCH;

	if (!config_csv_real(&cfg->csv))
		return SANDBOX_PINS_NOTHING;
	return later && cfg->sandbox ? SANDBOX_PINS_LATER : SANDBOX_PINS_NOW;
}

int run_claim(const struct config *cfg, struct control **ret_control)
{
	/* The name first: who runs already has the disks' locks, too. */
	int r = control_claim(cfg, ret_control);

	if (!r)
		r = host_memory_check(cfg);
	return r ? r : vm_csv_device(cfg);
}

static int run_prepare(struct run *run, const struct run_args *args)
{
	const struct config *cfg = &args->cfg;
	struct sandbox_dirs dirs;
	int r = run_claim(cfg, &run->control);

	/* Before the launch: the kernel pins the memory of an encrypted guest. */
	if (!r)
		r = sandbox_limits(cfg->memory, run_pins(args));
	if (r)
		return r;
	if (args->line >= 0)
		r = vm_init_incoming(&run->vm, cfg);
	else
		r = vm_init(&run->vm, cfg, args->wait_for_owner);
	run->have_vm = true;
	if (!r)
		r = run_watch_signals(run);
	if (!r)
		r = control_listen(run->control, &run->vm);
	if (r)
		return r;
	if (args->wait_for_owner)
		log_info("measured; waiting for the owner ('csvvmm launch-go %s')",
			 cfg->name);
	if (!cfg->sandbox) {
		log_warn("sandbox = false: the VMM keeps all its rights");
		return 0;
	}
	dirs.fd[0] = control_folder(run->control);
	dirs.fd[1] = board_console_folder(run->vm.board);
	return sandbox_enter(&dirs);
}

static void run_cleanup(struct run *run)
{
	int fd = run->signals.fd;

	if (fd >= 0) {
		loop_del(&run->vm.m.loop, &run->signals);
		(void)close(fd);
	}
	if (run->control)
		control_unlisten(run->control);
	if (run->have_vm)
		vm_fini(&run->vm);
	control_release(run->control);
}

static void log_end(const char *name, enum end_reason why, int sig, int status)
{
	if (why == END_KILLED && sig)
		log_info("guest %s: ended by signal %d (exit status %d)", name,
			 sig, status);
	else
		log_info("guest %s: %s (exit status %d)", name,
			 vm_end_words(why), status);
}

int run_guest(void *arg)
{
	const struct run_args *args = arg;
	const struct config *cfg = &args->cfg;
	struct run run = { .signals.fd = -1 };
	int status = EXIT_FAILED;
	enum end_reason why;
	bool untouched, came;
	int r;
	sigset_t set;

	log_open();
	/*
	 * First of all, so that one that comes early finds the guest's end (and
	 * what it leaves in the file system cleaned up), not the VMM's. Threads
	 * inherit the mask.
	 */
	guardian_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	/*
	 * One arena: threads hardly allocate, and a new arena would read
	 * /sys, which the sandbox forbids.
	 */
	(void)mallopt(M_ARENA_MAX, 1);
	why = END_NONE;
	r = run_prepare(&run, args);
	/* Not once the sandbox is entered. */
	if (r == -EINTR)
		run.signal = guardian_pending();
	if (r && run.signal) {
		log_info("signal %d: the launch is given up", run.signal);
		why = END_KILLED;
	} else if (!r) {
		/* Parsing and the filters took more than will be needed. */
		(void)malloc_trim(0);
		if (args->line >= 0)
			r = vm_receive_start(&run.vm, args->line, args->arrived,
					     args->stall_ns);
		if (!r)
			why = vm_run(&run.vm);
	}
	/* Whoever wants to send it shall know, too. */
	if (why == END_NONE && r && args->line >= 0)
		vm_receive_refuse(args->line, args->stall_ns);
	untouched = run.have_vm && vm_receive_untouched(&run.vm);
	came = args->line < 0 || (run.have_vm && vm_receive_came(&run.vm));
	run_cleanup(&run);
	if (untouched) {
		log_info("waiting on");
		status = RUN_UNTOUCHED;
	} else if (why != END_NONE) {
		status = came ? vm_end_status(why) : EXIT_NOT_RECEIVED;
		log_end(cfg->name, why, run.signal, status);
	} else {
		log_err("guest %s: not started (exit status %d)", cfg->name,
			status);
	}
	return status;
}

static int parse_args(int argc, char **argv, struct run_args *args,
		      const char **ret_file)
{
	static const struct option options[] = {
		{ "wait-for-owner", no_argument, NULL, 'w' },
		{ 0 },
	};
	int c;

	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'w')
			return -EINVAL;
		args->wait_for_owner = true;
	}
	if (argc - optind != 1)
		return -EINVAL;
	*ret_file = argv[optind];
	return 0;
}

static int run_main(int argc, char **argv)
{
	struct run_args args = { .line = -1, .arrived = -1 };
	const char *file;
	struct config_error err;
	int status;

	if (parse_args(argc, argv, &args, &file) < 0) {
		fprintf(stderr,
			"csvvmm: run takes one FILE; usage: csvvmm run %s\n",
			cmd_run.args);
		return EXIT_USAGE;
	}
	if (config_load(file, &args.cfg, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return EXIT_USAGE;
	}
	status = guardian_run(run_guest, &args);
	config_fini(&args.cfg);
	return status;
}

const struct command cmd_run = {
	.name = "run",
	.args = "[--wait-for-owner] FILE",
	.summary = "boot the guest that FILE (guest.toml) describes",
	.run = run_main,
	.help = "Stays in the foreground until the guest ends. On a terminal Ctrl-A x ends the\n"
		"guest at once, Ctrl-A Ctrl-A sends one Ctrl-A.\n\n"
		"  --wait-for-owner  an encrypted guest starts only when its owner has seen the\n"
		"                    measurement: launch-measure, launch-secret, launch-go\n\n"
		"Exit status: 0 powered off, 1 not started, 2 bad guest.toml, 10 kernel panic,\n"
		"11 triple fault, 12 reboot, 13 killed, 14 error of the VMM or of KVM, 15 moved to\n"
		"another host.\n",
};
