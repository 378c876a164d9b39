/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_MACHINE_H
#define CSVVMM_CORE_MACHINE_H

#include <pthread.h>

#include "core/bus.h"
#include "core/gmem.h"
#include "core/irq.h"
#include "core/loop.h"
#include "core/snap.h"

/**
 * enum end_reason - Why the guest stopped; the exit status follows from it
 */
enum end_reason {
	END_NONE,
	END_POWEROFF,	  /* ACPI S5 */
	END_REBOOT,	  /* ACPI reset register, or port 0x64/0xcf9 */
	END_PANIC,	  /* pvpanic */
	END_TRIPLE_FAULT, /* KVM_EXIT_SHUTDOWN */
	END_KILLED,	  /* csvvmm kill, Ctrl-A x, SIGTERM */
	END_ERROR,	  /* the VMM gave up; the log says why */
	END_TERMINATED, /* an encrypted guest gave itself up; its words are in the log */
	END_MOVED,	  /* it runs on another host */
	END_NOT_RECEIVED, /* it never came, or not as a whole */
	END_REASONS
};

/**
 * struct machine - What devices stand on; part of struct vm
 * @lock:	vm.lock, the one lock
 * @end:	Why the guest ended; set once by machine_end()
 * @snap:	State of all devices, when the guest moves to another host
 * @incoming:	The guest comes from another host: what only one may have (the
 *		locks of disks) is taken by snap_hold_all(), not when devices open
 * @outlives:	Asked by machine_end(): true = something else than the end follows
 *		from it. May be NULL
 */
struct machine {
	pthread_mutex_t lock;
	struct gmem gmem;
	struct bus pio, mmio;
	struct irq irq;
	struct loop loop;
	int vm_fd;
	enum end_reason end;
	struct snap snap;
	bool incoming;
	bool (*outlives)(struct machine *m, enum end_reason why);
};

/**
 * machine_end() - The guest is over: remember why, stop the loop; unless
 * @m->outlives says that it is reset, say, instead
 *
 * The first reason wins. Called with @m->lock held, by any thread.
 */
void machine_end(struct machine *m, enum end_reason why);

/**
 * machine_ioeventfd() - Turn guest writes to an address into an eventfd
 * @len:	Access length to match, or 0 for any
 *
 * Return: 0 or -errno from KVM_IOEVENTFD
 */
int machine_ioeventfd(struct machine *m, uint64_t addr, unsigned len, int fd,
		      bool assign);

#endif
