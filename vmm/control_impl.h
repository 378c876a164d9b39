/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CONTROL_IMPL_H
#define CSVVMM_VMM_CONTROL_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "core/loop.h"
#include "vmm/control.h"

/* Between control.c, control_cmds.c and their tests; nobody else. */

#define CONTROL_CLIENTS	    16
#define CONTROL_LINE_MAX    4096  /* a request, with its newline */
#define CONTROL_ANSWER_MAX  32768 /* an answer, with its newline */
#define CONTROL_ID_MAX	    64
#define CONTROL_PATIENCE_NS 10000000000ULL

struct control;
struct vm;

/**
 * struct control_fds - Descriptors that came with requests; vm->passed
 *
 * What a command takes it sets to -1; the others are closed after it.
 */
struct control_fds {
	int fd[CONTROL_FDS_MAX];
	unsigned n;
};

/**
 * struct control_client - One connection; free when src.fd is -1
 * @eof:	Nothing more is read; closed once the answer is out
 * @seen_ns:	When it last sent or took a byte
 */
struct control_client {
	struct source src;
	struct control *ctl;
	bool eof;
	uint64_t seen_ns;
	struct control_fds fds;
	size_t in_len, out_off, out_len;
	char in[CONTROL_LINE_MAX];
	char out[CONTROL_ANSWER_MAX];
};

/**
 * struct control - The server's side
 * @vm:		NULL until control_listen()
 * @name:	The guest's; belongs to the caller of control_claim()
 * @lock_fd:	Open as long as the name is ours
 * @spare_fd:	Given up for a moment to turn a client away when the process
 *		has no descriptor left, instead of spinning on accept
 * @stall:	Closes clients that do not take their answer
 * @patience_ns: How long a client may keep us waiting
 */
struct control {
	struct vm *vm;
	const char *name;
	char *folder;
	int dirfd, lock_fd, spare_fd;
	uint64_t patience_ns;
	struct source listen;
	struct timer stall;
	struct control_client client[CONTROL_CLIENTS];
};

struct control_error {
	char text[320]; /* as long as csv_error() at its longest */
};

/**
 * struct control_cmd - One command of the protocol
 * @keys:	Allowed beside "cmd" and "id"; NULL-terminated, NULL = none
 * @run:	vm.lock held; may be dropped and taken again in between. Adds
 *		to @reply. Return: 0, or -errno with @err in words
 */
struct control_cmd {
	const char *name;
	const char *help;
	const char *const *keys;
	int (*run)(struct vm *vm, const json_t *req, json_t *reply,
		   struct control_error *err);
};

/* Fill *err, return @r. */
int control_fail(struct control_error *err, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* vmm/control_launch.c */
extern const char *const control_measure_keys[];
extern const char *const control_secret_keys[];
int ctl_launch_measure(struct vm *vm, const json_t *req, json_t *reply,
		       struct control_error *err);
int ctl_launch_secret(struct vm *vm, const json_t *req, json_t *reply,
		      struct control_error *err);
int ctl_launch_go(struct vm *vm, const json_t *req, json_t *reply,
		  struct control_error *err);
/* vmm/control_migrate.c */
extern const char *const control_migrate_keys[];
extern const char *const control_decide_keys[];
int ctl_migrate(struct vm *vm, const json_t *req, json_t *reply,
		struct control_error *err);
int ctl_migrate_cancel(struct vm *vm, const json_t *req, json_t *reply,
		       struct control_error *err);
int ctl_migrate_decide(struct vm *vm, const json_t *req, json_t *reply,
		       struct control_error *err);
/* The key "migration" of `status`; null when there was none. */
json_t *control_migration_status(struct vm *vm);

/* The key "csv" of `status`; for plain guests null. */
json_t *control_csv_status(const struct vm *vm);

/**
 * control_answer() - Carry out one request
 * @line:	Without the newline; hostile
 * @out:	The answer, newline included, at most @size (>= 256) bytes
 *
 * Return: length of the answer, never 0
 */
size_t control_answer(struct vm *vm, const char *line, size_t len, char *out,
		      size_t size);

/* {"ok":false,"error":"..."} for what is wrong with a connection. */
size_t control_refuse(const char *error, char *out, size_t size);

#endif
