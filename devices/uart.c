/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/uart.h"

#include <string.h>

#include "core/machine.h"
#include "core/snap.h"
#include "core/util.h"
#include "devices/uart_impl.h"

/*
 * DOC: Theory of operation
 *
 * The register set of the 16550A (PC16550D data sheet, section 8). Two things
 * are infinitely fast: the transmitter, which is always empty, and the line,
 * from which bytes arrive whenever the receiver is empty. Baud rate and frame
 * format are stored and otherwise ignored.
 *
 * The interrupt pin is an edge-triggered one: it is pulsed when a cause of
 * interrupt appears, also while another one is pending.
 *
 * A driver that starts up reads LSR and RBR once to clear them. Input that
 * waits already (a script on standard input) must survive this, so bytes
 * arrive only once the receive interrupt is enabled, or when LSR is read twice
 * in a row, which is what a polling guest does.
 */

#define DIVISOR_9600 12
#define FLUSH_NS     5000000

enum {
	REG_DATA,
	REG_IER,
	REG_IIR,
	REG_LCR,
	REG_MCR,
	REG_LSR,
	REG_MSR,
	REG_SCR
};

/* --- interrupt ----------------------------------------------------------- */

static uint8_t uart_iir_rx(const struct uart *u)
{
	static const uint8_t trigger[] = { 1, 4, 8, 14 };

	/* Below the trigger level it is the character timeout's business. */
	if ((u->fcr & FCR_ENABLE) && u->rx_len < trigger[u->fcr >> 6])
		return 0x0c;
	return 0x04;
}

/* Causes of interrupt that are enabled, as a mask of IER bits. */
static uint8_t uart_causes(const struct uart *u)
{
	uint8_t causes = 0;

	if (u->lsr_err)
		causes |= IER_LINE;
	if (u->rx_len)
		causes |= IER_RX;
	if (u->thr_pending)
		causes |= IER_THR;
	if (u->msr_delta)
		causes |= IER_MODEM;
	return causes & u->ier;
}

/*
 * On a PC, OUT2 gates the pin; loop-back mode disconnects OUT2. Called after
 * each change.
 */
void uart_update(struct uart *u)
{
	bool gated = (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
	uint8_t causes = gated ? uart_causes(u) : 0;

	if (causes & ~u->raised)
		irq_line_fire(&u->m->irq, UART_LINE);
	u->raised = causes;
}

/* --- receiver ------------------------------------------------------------ */

unsigned uart_depth(const struct uart *u)
{
	return u->fcr & FCR_ENABLE ? UART_FIFO : 1;
}

static void uart_receive(struct uart *u)
{
	if (u->rx_len || (u->mcr & MCR_LOOP))
		return;
	u->rx_len = (unsigned)chardev_read(u->cd, &u->port, u->rx, uart_depth(u));
	/* New bytes are a new cause, even if the last ones were one too. */
	if (u->rx_len)
		u->raised &= (uint8_t)~IER_RX;
}

static void uart_input_ready(struct chardev_port *port)
{
	struct uart *u = container_of(port, struct uart, port);

	if (u->ier & IER_RX)
		uart_receive(u);
	uart_update(u);
}

static void uart_loop_back(struct uart *u, uint8_t byte)
{
	if (u->rx_len < uart_depth(u)) {
		u->rx[u->rx_len++] = byte;
		return;
	}
	u->lsr_err |= LSR_OVER;
	/* A full FIFO keeps what it has, RBR is overwritten. */
	if (!(u->fcr & FCR_ENABLE))
		u->rx[0] = byte;
}

static uint8_t uart_read_data(struct uart *u)
{
	uint8_t byte = u->rx[0];

	if (u->lcr & LCR_DLAB)
		return (uint8_t)u->divisor;
	if (!u->rx_len)
		return 0;
	memmove(u->rx, u->rx + 1, --u->rx_len);
	if (u->ier & IER_RX)
		uart_receive(u);
	return byte;
}

static uint8_t uart_read_lsr(struct uart *u)
{
	uint8_t v;

	if (u->polled)
		uart_receive(u);
	u->polled = true;
	v = LSR_EMPTY | u->lsr_err | (u->rx_len ? LSR_DATA : 0);
	u->lsr_err = 0;
	return v;
}

/* --- transmitter --------------------------------------------------------- */

void uart_flush(struct uart *u)
{
	unsigned len = u->out_len;

	/* First: chardev_write() may call back. */
	u->out_len = 0;
	if (len)
		chardev_write(u->cd, &u->port, u->out, len);
}

static void uart_flush_timer(struct timer *t)
{
	struct uart *u = container_of(t, struct uart, flush);

	u->flush_armed = false;
	uart_flush(u);
}

static void uart_send(struct uart *u, uint8_t byte)
{
	u->out[u->out_len++] = byte;
	if (byte == '\n' || u->out_len == UART_OUT) {
		uart_flush(u);
		return;
	}
	if (u->flush_armed)
		return;
	u->flush_armed = timer_arm(&u->flush, FLUSH_NS) == 0;
	if (!u->flush_armed)
		uart_flush(u);
}

static void uart_write_data(struct uart *u, uint8_t v)
{
	if (u->lcr & LCR_DLAB) {
		u->divisor = (uint16_t)((u->divisor & 0xff00) | v);
		return;
	}
	u->thr_pending = true;
	if (u->mcr & MCR_LOOP)
		uart_loop_back(u, v);
	else
		uart_send(u, v);
}

/* --- the other registers -------------------------------------------------- */

static uint8_t uart_read_ier(struct uart *u)
{
	return u->lcr & LCR_DLAB ? (uint8_t)(u->divisor >> 8) : u->ier;
}

static void uart_write_ier(struct uart *u, uint8_t v)
{
	if (u->lcr & LCR_DLAB) {
		u->divisor = (uint16_t)((u->divisor & 0xff) | v << 8);
		return;
	}
	/* Enabling it while the transmitter is empty raises it at once. */
	if (v & ~u->ier & IER_THR)
		u->thr_pending = true;
	u->ier = v & (IER_RX | IER_THR | IER_LINE | IER_MODEM);
	if (u->ier & IER_RX)
		uart_receive(u);
}

static uint8_t uart_read_iir(struct uart *u)
{
	uint8_t causes = uart_causes(u), v = IIR_NONE;

	if (causes & IER_LINE) {
		v = 0x06;
	} else if (causes & IER_RX) {
		v = uart_iir_rx(u);
	} else if (causes & IER_THR) {
		v = 0x02;
		u->thr_pending = false; /* reading it is what clears it */
	} else if (causes & IER_MODEM) {
		v = 0x00;
	}
	return v | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static void uart_write_fcr(struct uart *u, uint8_t v)
{
	/* Changing the mode clears the FIFO; bits 3, 6, 7 need bit 0. */
	if (((u->fcr ^ v) & FCR_ENABLE) ||
	    (v & (FCR_ENABLE | FCR_CLR_RX)) == (FCR_ENABLE | FCR_CLR_RX))
		u->rx_len = 0;
	u->fcr = v & FCR_ENABLE ? v & FCR_KEPT : 0;
	if (u->ier & IER_RX)
		uart_receive(u);
}

static uint8_t uart_read_lcr(struct uart *u)
{
	return u->lcr;
}

static void uart_write_lcr(struct uart *u, uint8_t v)
{
	u->lcr = v;
}

/* The other side is always there; in loop-back it is our own outputs. */
static uint8_t uart_modem_lines(const struct uart *u)
{
	uint8_t v = 0;

	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	if (u->mcr & MCR_RTS)
		v |= MSR_CTS;
	if (u->mcr & MCR_DTR)
		v |= MSR_DSR;
	if (u->mcr & MCR_OUT1)
		v |= MSR_RI;
	if (u->mcr & MCR_OUT2)
		v |= MSR_DCD;
	return v;
}

static uint8_t uart_read_mcr(struct uart *u)
{
	return u->mcr;
}

static void uart_write_mcr(struct uart *u, uint8_t v)
{
	uint8_t old = uart_modem_lines(u), delta;

	u->mcr = v & MCR_MASK;
	delta = (uint8_t)((old ^ uart_modem_lines(u)) >> 4);
	if (!(old & MSR_RI))
		delta &= (uint8_t)~MSR_TERI;
	u->msr_delta |= delta;
	if (u->ier & IER_RX)
		uart_receive(u);
}

static uint8_t uart_read_msr(struct uart *u)
{
	uint8_t v = uart_modem_lines(u) | u->msr_delta;

	u->msr_delta = 0;
	return v;
}

static uint8_t uart_read_scr(struct uart *u)
{
	return u->scr;
}

static void uart_write_scr(struct uart *u, uint8_t v)
{
	u->scr = v;
}

static void uart_write_nothing(struct uart *u, uint8_t v)
{
	(void)u;
	(void)v;
}

static const struct {
	uint8_t (*read)(struct uart *u);
	void (*write)(struct uart *u, uint8_t v);
} reg[UART_SIZE] = {
	[REG_DATA] = { uart_read_data, uart_write_data },
	[REG_IER] = { uart_read_ier, uart_write_ier },
	[REG_IIR] = { uart_read_iir, uart_write_fcr },
	[REG_LCR] = { uart_read_lcr, uart_write_lcr },
	[REG_MCR] = { uart_read_mcr, uart_write_mcr },
	[REG_LSR] = { uart_read_lsr, uart_write_nothing },
	[REG_MSR] = { uart_read_msr, uart_write_nothing },
	[REG_SCR] = { uart_read_scr, uart_write_scr },
};

/* A wide access is several byte accesses, as the ISA bridge would do it. */
static uint64_t uart_read(void *obj, uint64_t off, unsigned len)
{
	struct uart *u = obj;
	uint64_t v = 0;
	unsigned i;

	for (i = 0; i < len && off + i < UART_SIZE; i++) {
		if (off + i != REG_LSR)
			u->polled = false;
		v |= (uint64_t)reg[off + i].read(u) << (8 * i);
	}
	uart_update(u);
	return v;
}

static void uart_write(void *obj, uint64_t off, unsigned len, uint64_t val)
{
	struct uart *u = obj;
	unsigned i;

	u->polled = false;
	for (i = 0; i < len && off + i < UART_SIZE; i++)
		reg[off + i].write(u, (uint8_t)(val >> (8 * i)));
	uart_update(u);
}

static const struct bus_ops uart_ops = {
	.read = uart_read,
	.write = uart_write,
};

void uart_reset(struct uart *u)
{
	uart_flush(u);
	u->ier = u->fcr = u->lcr = u->mcr = u->scr = 0;
	u->lsr_err = u->msr_delta = u->raised = 0;
	u->divisor = DIVISOR_9600;
	u->thr_pending = false;
	u->polled = false;
	u->rx_len = 0;
}

int uart_init(struct uart *u, struct machine *m, struct chardev *cd)
{
	int r;

	*u = (struct uart){
		.port = { .input_ready = uart_input_ready },
		.m = m,
		.cd = cd,
		.flush = { .src = { .fd = -1 } },
	};
	uart_reset(u);
	r = timer_init(&u->flush, &m->loop, uart_flush_timer);
	if (r == 0)
		r = irq_line_init(&m->irq, UART_LINE);
	if (r == 0)
		r = bus_add(&m->pio, UART_BASE, UART_SIZE, &uart_ops, u, "uart");
	if (r == 0)
		r = snap_add(&m->snap, &uart_snap_item, NULL, u);
	if (r < 0) {
		uart_fini(u);
		return r;
	}
	chardev_attach(cd, &u->port);
	return 0;
}

void uart_fini(struct uart *u)
{
	if (!u->m)
		return;
	uart_flush(u);
	snap_remove(&u->m->snap, &uart_snap_item, u);
	bus_remove(&u->m->pio, UART_BASE, u);
	timer_fini(&u->flush, &u->m->loop);
}
