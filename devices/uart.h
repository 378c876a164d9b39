/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_UART_H
#define CSVVMM_DEVICES_UART_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "devices/chardev.h"

#define UART_BASE 0x3f8
#define UART_SIZE 8
#define UART_LINE 4
#define UART_FIFO 16
#define UART_OUT  64

/**
 * struct uart - A 16550A on port 0x3f8, IOAPIC pin 4, for the early console
 * @thr_pending: The transmitter ran empty and IIR has not said so yet
 * @raised:	Interrupt causes that asserted the line after the last access
 * @polled:	The last access read LSR
 * @rx:		Receive FIFO, one byte deep unless FCR enables it
 * @out:	Bytes sent, collected until a newline, or a few milliseconds
 */
struct uart {
	struct chardev_port port;
	struct machine *m;
	struct chardev *cd;
	uint8_t ier, fcr, lcr, lsr_err, mcr, msr_delta, scr;
	uint16_t divisor;
	bool thr_pending;
	uint8_t raised;
	bool polled;
	uint8_t rx[UART_FIFO];
	unsigned rx_len;
	uint8_t out[UART_OUT];
	unsigned out_len;
	struct timer flush;
	bool flush_armed;
};

/* Takes the ports, the interrupt line and a place at @cd. 0 or -errno. */
int uart_init(struct uart *u, struct machine *m, struct chardev *cd);
/* Flushes; before chardev_fini(). All-zero is fine. */
void uart_fini(struct uart *u);
void uart_reset(struct uart *u);

/* Hand collected output to the chardev now (guest paused or over). */
void uart_flush(struct uart *u);

#endif
