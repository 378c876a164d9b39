/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_DOCTOR_H
#define CSVVMM_VMM_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DOCTOR_CHECKS_MAX 64

/**
 * enum check_status - How one check went
 *
 * OK       there and usable
 * INFO     neither good nor bad
 * WARN     works, with a limit that the next step lifts
 * MISSING  something that csvvmm can use is not there
 */
enum check_status { CHECK_OK, CHECK_INFO, CHECK_WARN, CHECK_MISSING };

/**
 * struct check - One line of the report
 * @blocks:	A plain Linux guest can't run here because of it
 * @next:	What to do about it, or ""
 */
struct check {
	const char *name;
	enum check_status status;
	bool blocks;
	char detail[256];
	char next[256];
};

/**
 * struct doctor - The report as it grows
 * @root:	Put before /proc, /sys and /dev paths; "" outside of tests
 */
struct doctor {
	const char *root;
	struct check check[DOCTOR_CHECKS_MAX];
	unsigned n;
};

/**
 * doctor_add() - One more check
 * @name:	Not copied
 *
 * Return: it, for doctor_next(); the last one again when the table is full
 */
struct check *doctor_add(struct doctor *d, const char *name,
			 enum check_status status, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* As doctor_add() with CHECK_MISSING, and a plain guest can't do without. */
struct check *doctor_blocks(struct doctor *d, const char *name, const char *fmt,
			    ...) __attribute__((format(printf, 3, 4)));
void doctor_next(struct check *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Read a small file below @d->root, without the last newline.
 * Return: its length, or -errno */
int doctor_read(const struct doctor *d, const char *path, char *buf, size_t size);
/* Number after @key in a "key value" file such as meminfo; -1 if none. */
int64_t doctor_read_key(const struct doctor *d, const char *path,
			const char *key);
/* A module parameter. Return: 1 on, 0 off, -1 not there */
int doctor_read_flag(const struct doctor *d, const char *path);

/* Can a plain Linux guest run here? */
bool doctor_can_run(const struct doctor *d);
/* And one with encrypted memory and registers? */
bool doctor_can_run_csv2(const struct doctor *d);
const struct check *doctor_find(const struct doctor *d, const char *name);
void doctor_print(const struct doctor *d, FILE *out);
int doctor_print_json(const struct doctor *d, FILE *out);

/**
 * struct doctor_cpu - What the processor says of itself
 * @sev:	CPUID 0x8000001f, EAX to EDX; zero when there is none
 */
struct doctor_cpu {
	char vendor[13];
	bool hypervisor;
	uint32_t sev[4];
};

/**
 * struct doctor_probe - How a tiny guest ran in 64-bit kernel mode
 * @error:	-errno of what went wrong before anything ran, or 0
 * @loop_exit:	KVM_EXIT_* after the loop; 0 when it did not end in time
 * @sse_exit:	The same after one SSE instruction
 * @instructions, @loop_ns: Speed of the loop
 */
struct doctor_probe {
	int error;
	uint32_t loop_exit, sse_exit;
	uint64_t instructions, loop_ns;
};

void doctor_cpu_read(struct doctor_cpu *ret_cpu);
void doctor_probe_run(int kvm_fd, struct doctor_probe *ret_probe);

/**
 * struct doctor_kvm - KVM's side, asked once
 * @fd:		/dev/kvm, or -errno
 * @sev:	KVM_MEMORY_ENCRYPT_OP on a VM: 0 = encrypted guests are possible
 */
struct doctor_kvm {
	int fd;
	int sev;
};

void doctor_kvm_open(struct doctor_kvm *k);

/* The parts of the report, in the order of printing. */
void doctor_check_cpu(struct doctor *d, const struct doctor_cpu *cpu);
void doctor_check_kvm(struct doctor *d, const struct doctor_kvm *k);
void doctor_check_execution(struct doctor *d, const struct doctor_probe *p,
			    bool hypervisor);
void doctor_check_csv(struct doctor *d, const struct doctor_cpu *cpu,
		      const struct doctor_kvm *k);
void doctor_check_host(struct doctor *d);

#endif
