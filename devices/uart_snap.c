/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/uart_impl.h"

/* What was sent is out: the other host's console can't go on in mid-line. */
static int uart_freeze(void *obj)
{
	uart_flush(obj);
	return 0;
}

/* The pulse may have been lost on the way; a driver bears one too many. */
static void uart_thaw(void *obj)
{
	struct uart *u = obj;

	u->raised = 0;
	uart_update(u);
}

static int uart_save(const void *obj, struct snap_w *w)
{
	const struct uart *u = obj;

	snap_put8(w, u->ier);
	snap_put8(w, u->fcr);
	snap_put8(w, u->lcr);
	snap_put8(w, u->mcr);
	snap_put8(w, u->lsr_err);
	snap_put8(w, u->msr_delta);
	snap_put8(w, u->scr);
	snap_put16(w, u->divisor);
	snap_put8(w, u->thr_pending);
	snap_put8(w, u->polled);
	snap_put8(w, (uint8_t)u->rx_len);
	snap_put_bytes(w, u->rx, u->rx_len);
	return 0;
}

/* A register with no other bits than @known. */
static uint8_t load_bits(struct snap_r *r, const char *field, uint8_t known)
{
	uint8_t v = snap_get8(r, field);

	if (v & ~known)
		(void)snap_bad(r, field, "%#x", v);
	return v & known;
}

static int uart_load(void *obj, struct snap_r *r, uint32_t version)
{
	struct uart *u = obj;

	(void)version;
	u->ier = load_bits(r, "IER", IER_RX | IER_THR | IER_LINE | IER_MODEM);
	u->fcr = load_bits(r, "FCR", FCR_KEPT);
	if (u->fcr && !(u->fcr & FCR_ENABLE))
		(void)snap_bad(r, "FCR", "%#x", u->fcr);
	u->lcr = snap_get8(r, "LCR");
	u->mcr = load_bits(r, "MCR", MCR_MASK);
	u->lsr_err = load_bits(r, "LSR", LSR_OVER);
	u->msr_delta = load_bits(r, "MSR", MSR_DELTAS);
	u->scr = snap_get8(r, "SCR");
	u->divisor = snap_get16(r, "divisor");
	u->thr_pending = snap_get_bool(r, "transmitter");
	u->polled = snap_get_bool(r, "polled");
	u->rx_len = snap_get8(r, "receiver");
	if (u->rx_len > uart_depth(u)) {
		u->rx_len = 0;
		return snap_bad(r, "receiver", "more than fits");
	}
	snap_get_bytes(r, "bytes received", u->rx, u->rx_len);
	return r->error;
}

const struct snap_item uart_snap_item = {
	.name = "uart",
	.version = 1,
	.save = uart_save,
	.load = uart_load,
	.freeze = uart_freeze,
	.thaw = uart_thaw,
};
