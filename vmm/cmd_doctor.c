/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <stdio.h>

#include "core/util.h"
#include "vmm/commands.h"
#include "vmm/doctor.h"
#include "vmm/sandbox.h"

enum doctor_mode { DOCTOR_TEXT, DOCTOR_JSON, DOCTOR_ASK };

static void examine_kvm(struct doctor *d, const struct doctor_cpu *cpu,
			const struct doctor_kvm *k)
{
	struct doctor_probe probe;

	doctor_check_kvm(d, k);
	if (k->fd < 0)
		return;
	doctor_probe_run(k->fd, &probe);
	doctor_check_execution(d, &probe, cpu->hypervisor);
}

static void examine(struct doctor *d)
{
	struct doctor_cpu cpu;
	struct doctor_kvm k;

	doctor_cpu_read(&cpu);
	doctor_kvm_open(&k);
	doctor_check_cpu(d, &cpu);
	examine_kvm(d, &cpu, &k);
	doctor_check_csv(d, &cpu, &k);
	doctor_check_host(d);
	util_close(&k.fd);
}

static int report(enum doctor_mode mode)
{
	struct doctor d = { .root = "" };
	int r = 0;

	examine(&d);
	if (mode == DOCTOR_JSON)
		r = doctor_print_json(&d, stdout);
	else if (mode == DOCTOR_TEXT)
		doctor_print(&d, stdout);
	if (fflush(stdout) || r < 0)
		return EXIT_FAILED;
	return doctor_can_run(&d) ? EXIT_OK : EXIT_FAILED;
}

static int doctor_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "syscalls", no_argument, NULL, 's' },
		{ "can-run-linux", no_argument, NULL, 'c' },
		{ 0 },
	};
	bool json = false, syscalls = false, ask = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			command_usage(&cmd_doctor);
			return EXIT_OK;
		}
		if (c == '?')
			return EXIT_USAGE;
		json |= c == 'j';
		syscalls |= c == 's';
		ask |= c == 'c';
	}
	if (optind != argc || (ask && (json || syscalls))) {
		fprintf(stderr, "usage: csvvmm doctor %s\n", cmd_doctor.args);
		return EXIT_USAGE;
	}
	if (syscalls) {
		sandbox_print_syscalls(stdout, json);
		return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
	}
	return report(ask ? DOCTOR_ASK : json ? DOCTOR_JSON : DOCTOR_TEXT);
}

const struct command cmd_doctor = {
	.name = "doctor",
	.args = "[--json] [--syscalls | --can-run-linux]",
	.summary = "tell what this host can do, and what to do about the rest",
	.run = doctor_main,
	.help = "One line a check: ok, info, warn or missing, and the next step. A guest of a few\n"
		"bytes is run to see whether KVM executes kernel code on the processor.\n\n"
		"  --json           one JSON object\n"
		"  --syscalls       print the system calls that the sandbox allows\n"
		"  --can-run-linux  print nothing\n\n"
		"Exit status: 0 a plain Linux guest can run here, 1 it can not.\n",
};
