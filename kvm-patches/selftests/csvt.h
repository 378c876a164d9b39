/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the selftests share: VMs that are sent and received, batches, and the
 * lab's debug window of the security processor.
 */
#ifndef CSVT_H
#define CSVT_H

#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PAGE	  4096u
#define BATCH_MAX 4094u
#define QUEUE_MAX 2047u
#define HDR_LEN	  52u

/* The vendors' numbers; nr_done is ours, where they have padding. */
#define CSV_COMMAND_BATCH 24

struct csv_command_batch {
	uint32_t command_id;
	uint32_t nr_done;
	uint64_t csv_batch_list_uaddr;
};

struct csv_batch_list_node {
	uint64_t cmd_data_addr;
	uint64_t addr;
	uint64_t next_cmd_addr;
};

_Static_assert(sizeof(struct csv_command_batch) == 16, "size");
_Static_assert(sizeof(struct csv_batch_list_node) == 24, "size");

/* SEND_UPDATE_DATA and RECEIVE_UPDATE_DATA */
struct update_data {
	uint64_t hdr_uaddr;
	uint32_t hdr_len, pad0;
	uint64_t guest_uaddr;
	uint32_t guest_len, pad1;
	uint64_t trans_uaddr;
	uint32_t trans_len, pad2;
};

_Static_assert(sizeof(struct update_data) == 48, "size");

/* Firmware's status */
enum {
	FW_INVALID_GUEST_STATE = 2,
	FW_INVALID_LEN = 4,
	FW_INVALID_ADDRESS = 9,
	FW_BAD_MEASUREMENT = 11,
	FW_INVALID_COMMAND = 17,
	FW_HWERROR_PLATFORM = 19,
};

/* -- results, in TAP */

extern unsigned csvt_failed;
bool check(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
int finish(void);

/* -- the security processor */

enum counter {
	C_TOTAL,
	C_FAILED,
	C_MAILBOX,
	C_DOORBELLS,
	C_RING,
	C_INTERRUPTS,
	C_SENT,
	C_RECEIVED,
	C_HASHED,
	C_CRYPTED,
	C_BUSY,
	C_REAL,
	C_MAX
};
enum fault { F_NTH, F_STATUS, F_PAUSE_AT, F_PAUSE_STATUS, F_LOSE };
enum { LOSE_DOORBELL = 1, LOSE_MAILBOX = 2 };
enum { COST_MAILBOX, COST_DOORBELL, COST_PAGE };

bool psp_open(void);
bool psp_is_hygon(void);
uint64_t psp_counter(enum counter n);
uint64_t psp_command(unsigned id);
uint64_t psp_cost(unsigned n);
bool psp_in_ring_mode(void);
/*
 * Interrupts of the host's driver that the processor has not sent: from the
 * local APIC of the CPU that gets them, with the vector that the processor has
 * in its MSI-X table. Moves this thread there; false where it can't be done.
 */
bool psp_interrupt(void);
/* All that the host's driver got */
uint64_t psp_interrupts(void);
void psp_fault(enum fault n, uint64_t v);
bool has_ring(void);

uint64_t now_ns(void);
void sleep_ms(unsigned ms);

/* -- VMs */

/**
 * struct vm - A guest without vCPUs
 * @mem: @pages of guest memory
 */
struct vm {
	int fd, sev_fd;
	uint8_t *mem;
	size_t pages;
};

int vm_new(void);
int sev_op(const struct vm *vm, uint32_t id, void *data, uint32_t *fw);

/* The contents of page @n of area @seed */
void pattern(uint8_t page[PAGE], unsigned seed, unsigned n);

/* Those that are made from now on have encrypted registers. */
extern bool vm_es;

/* One that has been launched with the pattern in its pages. */
void vm_launch(struct vm *vm, size_t pages, unsigned seed);
/* One that can receive what @from sends. */
void vm_pair(struct vm *from, struct vm *to);
void vm_close(struct vm *vm);
/* Is what the guest has in page @at the pattern? */
bool vm_has(const struct vm *vm, size_t at, unsigned seed, unsigned n);

/* -- batches */

/**
 * struct batch - A list and what belongs to it
 * @hdr: HDR_ROOM for each
 * @trans: a page for each
 * @fw: of the last run
 */
struct batch {
	unsigned max;
	struct csv_batch_list_node *node;
	struct update_data *data;
	uint8_t *hdr, *trans;
	uint32_t fw, nr_done;
};

#define HDR_ROOM 64u

void batch_alloc(struct batch *b, unsigned max);
void batch_free(struct batch *b);
/* A list of @nr pages of @vm from page @first. */
void batch_fill(struct batch *b, const struct vm *vm, size_t first,
		unsigned nr);
/* Return: 0, or errno */
int batch_run_at(struct batch *b, const struct vm *vm, uint32_t id,
		 uint64_t list);
int batch_send(struct batch *b, const struct vm *vm);
int batch_receive(struct batch *b, const struct vm *vm);

#endif
