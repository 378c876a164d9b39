/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_UART_IMPL_H
#define CSVVMM_DEVICES_UART_IMPL_H

#include "core/snap.h"
#include "devices/uart.h"

/* Between uart.c and uart_snap.c only. */

#define IER_RX	   0x01
#define IER_THR	   0x02
#define IER_LINE   0x04
#define IER_MODEM  0x08
#define IIR_NONE   0x01
#define IIR_FIFO   0xc0
#define FCR_ENABLE 0x01
#define FCR_CLR_RX 0x02
#define FCR_KEPT   0xc9
#define LCR_DLAB   0x80
#define MCR_DTR	   0x01
#define MCR_RTS	   0x02
#define MCR_OUT1   0x04
#define MCR_OUT2   0x08
#define MCR_LOOP   0x10
#define MCR_MASK   0x1f
#define LSR_DATA   0x01
#define LSR_OVER   0x02
#define LSR_EMPTY  0x60 /* THRE and TEMT */
#define MSR_CTS	   0x10
#define MSR_DSR	   0x20
#define MSR_RI	   0x40
#define MSR_DCD	   0x80
#define MSR_TERI   0x04 /* trailing edge of RI only */
#define MSR_DELTAS 0x0f

/* Raise the pin for new causes of interrupt. */
void uart_update(struct uart *u);

/* Bytes that the receiver holds. */
unsigned uart_depth(const struct uart *u);

extern const struct snap_item uart_snap_item;

#endif
