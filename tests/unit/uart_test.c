/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/uart.h"
#include "tests/unit/pump.h"

/* Register offsets and bits: PC16550D data sheet, table II. */
enum { RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2, LCR = 3 };
enum { MCR = 4, LSR = 5, MSR = 6, SCR = 7 };

#define OUT2 0x08
#define LOOP 0x10

struct fixture {
	struct machine m;
	struct chardev cd;
	struct uart u;
	int in, out; /* our ends: what the user types, what he sees */
	int saved[2];
};

/* Instead of core/irq.c, which needs KVM. */
static unsigned fired;

int irq_line_init(struct irq *irq, unsigned line)
{
	(void)irq;
	assert_int_equal(line, 4);
	return 0;
}

void irq_line_fire(const struct irq *irq, unsigned line)
{
	(void)irq;
	assert_int_equal(line, 4);
	fired++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int in[2], out[2];

	assert_non_null(f);
	pump_machine_init(&f->m);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	f->saved[0] = fcntl(0, F_DUPFD_CLOEXEC, 100);
	f->saved[1] = fcntl(1, F_DUPFD_CLOEXEC, 100);
	dup2(in[0], 0);
	dup2(out[1], 1);
	assert_int_equal(chardev_init(&f->cd, &f->m, CHARDEV_STDIO, NULL), 0);
	dup2(f->saved[0], 0);
	dup2(f->saved[1], 1);
	close(in[0]);
	close(out[1]);
	f->in = in[1];
	f->out = out[0];
	assert_int_equal(uart_init(&f->u, &f->m, &f->cd), 0);
	fired = 0;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	uart_fini(&f->u);
	uart_fini(&f->u);
	chardev_fini(&f->cd);
	pump_machine_fini(&f->m);
	close(f->in);
	close(f->out);
	close(f->saved[0]);
	close(f->saved[1]);
	free(f);
	return 0;
}

static uint8_t in(struct fixture *f, unsigned reg)
{
	uint64_t v = ~0ULL;

	assert_int_equal(bus_read(&f->m.pio, 0x3f8 + reg, 1, &v), 0);
	assert_int_equal(v >> 8, 0);
	return (uint8_t)v;
}

static void out(struct fixture *f, unsigned reg, uint8_t v)
{
	assert_int_equal(bus_write(&f->m.pio, 0x3f8 + reg, 1, v), 0);
}

static void type(struct fixture *f, const char *keys)
{
	assert_int_equal(write(f->in, keys, strlen(keys)), (ssize_t)strlen(keys));
	pump(&f->m, 0);
}

static void expect_seen(struct fixture *f, const char *want)
{
	char buf[256] = "";
	ssize_t n = read(f->out, buf, sizeof(buf) - 1);

	if (n < 0)
		n = 0;
	assert_int_equal(n, strlen(want));
	assert_memory_equal(buf, want, strlen(want));
}

static void expect_fired(unsigned n)
{
	assert_int_equal(fired, n);
	fired = 0;
}

/* --- registers -------------------------------------------------------------- */

/* Data sheet, table I: after master reset. */
static void expect_reset_values(struct fixture *f)
{
	assert_int_equal(in(f, IER), 0x00);
	assert_int_equal(in(f, IIR), 0x01);
	assert_int_equal(in(f, LCR), 0x00);
	assert_int_equal(in(f, MCR), 0x00);
	assert_int_equal(in(f, LSR), 0x60);
	assert_int_equal(in(f, MSR) & 0x0f, 0x00);
	assert_int_equal(in(f, RBR), 0x00);
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	expect_reset_values(f);
	out(f, FCR, 0xc7);
	out(f, MCR, 0x1f);
	out(f, IER, 0x0f);
	out(f, THR, 'x');
	out(f, SCR, 0x5a);
	out(f, LCR, 0x83);
	uart_reset(&f->u);
	expect_reset_values(f);
}

static void test_masks(void **state)
{
	struct fixture *f = *state;
	unsigned v;

	for (v = 0; v < 256; v++) {
		out(f, SCR, (uint8_t)v);
		assert_int_equal(in(f, SCR), v);
		out(f, IER, (uint8_t)v);
		assert_int_equal(in(f, IER), v & 0x0f);
		out(f, MCR, (uint8_t)v);
		assert_int_equal(in(f, MCR), v & 0x1f);
		out(f, LCR, (uint8_t)v);
		assert_int_equal(in(f, LCR), v);
		out(f, LCR, 0); /* no DLAB in the next round */
	}
	/* Read-only ones. */
	out(f, LCR, 0);
	out(f, MCR, 0);
	(void)in(f, MSR);
	out(f, LSR, 0xff);
	out(f, MSR, 0xff);
	assert_int_equal(in(f, LSR), 0x60);
	assert_int_equal(in(f, MSR), 0xb0);
}

static void test_divisor_latch(void **state)
{
	struct fixture *f = *state;

	out(f, IER, 0x05);
	out(f, LCR, 0x83);
	out(f, DLL, 0x34);
	out(f, DLM, 0x12);
	assert_int_equal(in(f, DLL), 0x34);
	assert_int_equal(in(f, DLM), 0x12);
	out(f, LCR, 0x03);
	assert_int_equal(in(f, IER), 0x05);
	out(f, LCR, 0x80);
	assert_int_equal(in(f, DLL), 0x34);
	assert_int_equal(in(f, DLM), 0x12);
	uart_flush(&f->u);
	expect_seen(f, "");
}

/* What drivers do to tell 8250, 16450, 16550, 16550A and later ones apart. */
static void test_type_probe(void **state)
{
	struct fixture *f = *state;

	out(f, FCR, 0x01);
	assert_int_equal(in(f, IIR) & 0xc0, 0xc0); /* both bits: 16550A */
	out(f, FCR, 0x00);
	assert_int_equal(in(f, IIR) & 0xc0, 0x00);
	/* 64-byte FIFO of the 16750: bit 5 must not stick. */
	out(f, LCR, 0x80);
	out(f, FCR, 0x21);
	assert_int_equal(in(f, IIR) & 0xe0, 0xc0);
	out(f, LCR, 0x00);
	/* UUE of the XScale UART: IER bit 6 must not stick. */
	out(f, IER, 0x40);
	assert_int_equal(in(f, IER), 0);
	/* EFR of the 16650 at LCR 0xbf is IIR here, which is not zero. */
	out(f, LCR, 0xbf);
	assert_true(in(f, 2) != 0);
	out(f, LCR, 0);
}

/* --- loop-back --------------------------------------------------------------- */

static void test_loop_modem(void **state)
{
	/* MCR's DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD. */
	static const uint8_t back[4] = { 0x20, 0x10, 0x40, 0x80 };
	struct fixture *f = *state;
	unsigned v, i;

	for (v = 0; v < 16; v++) {
		uint8_t want = 0;

		for (i = 0; i < 4; i++)
			want |= v >> i & 1 ? back[i] : 0;
		out(f, MCR, (uint8_t)(LOOP | v));
		assert_int_equal(in(f, MSR) & 0xf0, want);
	}
	/* The usual presence test. */
	out(f, MCR, LOOP | OUT2 | 0x02);
	assert_int_equal(in(f, MSR) & 0xf0, 0x90);
	out(f, MCR, 0);
	assert_int_equal(in(f, MSR) & 0xf0, 0xb0);
}

static void test_loop_deltas(void **state)
{
	struct fixture *f = *state;

	out(f, MCR, LOOP);
	(void)in(f, MSR);
	assert_int_equal(in(f, MSR), 0x00);
	out(f, MCR, LOOP | 0x01);
	assert_int_equal(in(f, MSR), 0x22); /* DSR, delta DSR */
	assert_int_equal(in(f, MSR), 0x20); /* reading clears the delta */
	out(f, MCR, LOOP | 0x04);
	/* RI rose: TERI marks the trailing edge only. */
	assert_int_equal(in(f, MSR), 0x42);
	out(f, MCR, LOOP);
	assert_int_equal(in(f, MSR), 0x04);
	out(f, MCR, LOOP | 0x0a);
	assert_int_equal(in(f, MSR), 0x99);
}

static void test_loop_data(void **state)
{
	struct fixture *f = *state;

	out(f, MCR, LOOP);
	out(f, THR, 'L');
	assert_int_equal(in(f, LSR), 0x61);
	assert_int_equal(in(f, RBR), 'L');
	assert_int_equal(in(f, LSR), 0x60);
	/* No FIFO: the second byte overwrites, LSR says so once. */
	out(f, THR, '1');
	out(f, THR, '2');
	assert_int_equal(in(f, LSR), 0x63);
	assert_int_equal(in(f, LSR), 0x61);
	assert_int_equal(in(f, RBR), '2');
	out(f, MCR, 0);
	uart_flush(&f->u);
	expect_seen(f, "");
}

static void test_loop_fifo(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	out(f, FCR, 0x01);
	out(f, MCR, LOOP);
	for (i = 0; i < 16; i++)
		out(f, THR, (uint8_t)i);
	assert_int_equal(in(f, LSR), 0x61);
	/* The 17th is lost, the FIFO keeps its bytes. */
	out(f, THR, 0xff);
	assert_int_equal(in(f, LSR), 0x63);
	for (i = 0; i < 16; i++)
		assert_int_equal(in(f, RBR), i);
	assert_int_equal(in(f, LSR), 0x60);

	/* Bit 1 clears the receiver; so does a change of bit 0. */
	out(f, THR, 'a');
	out(f, FCR, 0x03);
	assert_int_equal(in(f, LSR), 0x60);
	out(f, THR, 'a');
	out(f, FCR, 0x05);
	assert_int_equal(in(f, LSR), 0x61);
	out(f, FCR, 0x00);
	assert_int_equal(in(f, LSR), 0x60);
	/* Without bit 0 the other bits are not programmed. */
	out(f, THR, 'a');
	out(f, FCR, 0x02);
	assert_int_equal(in(f, LSR), 0x61);
}

/* Input waits while the receiver hears only ourselves. */
static void test_loop_keeps_input(void **state)
{
	struct fixture *f = *state;

	out(f, MCR, LOOP);
	out(f, IER, 0x01);
	type(f, "k");
	assert_int_equal(in(f, LSR) & 1, 0);
	assert_int_equal(in(f, LSR) & 1, 0);
	out(f, MCR, OUT2);
	assert_int_equal(in(f, LSR) & 1, 1);
	assert_int_equal(in(f, RBR), 'k');
}

/* --- interrupts --------------------------------------------------------------- */

/* Data sheet, table IV: line status, data, THR empty, modem status. */
static void test_priority(void **state)
{
	struct fixture *f = *state;

	out(f, MCR, LOOP);
	(void)in(f, MSR);
	out(f, IER, 0x0f);
	out(f, THR, 'a');
	out(f, THR, 'b');
	out(f, MCR, LOOP | 0x01);
	assert_int_equal(in(f, IIR), 0x06);
	assert_int_equal(in(f, IIR), 0x06); /* not cleared by reading IIR */
	assert_int_equal(in(f, LSR), 0x63);
	assert_int_equal(in(f, IIR), 0x04);
	assert_int_equal(in(f, RBR), 'b');
	assert_int_equal(in(f, IIR), 0x02); /* cleared by reading IIR */
	assert_int_equal(in(f, IIR), 0x00);
	assert_int_equal(in(f, IIR), 0x00);
	assert_int_equal(in(f, MSR), 0x22);
	assert_int_equal(in(f, IIR), 0x01);
	/* Loop-back disconnects OUT2 and with it the pin. */
	expect_fired(0);
}

static void test_disabled_causes(void **state)
{
	struct fixture *f = *state;

	out(f, MCR, LOOP);
	out(f, THR, 'a');
	out(f, THR, 'b');
	assert_int_equal(in(f, IIR), 0x01);
	out(f, IER, 0x08);
	assert_int_equal(in(f, IIR), 0x00);
	out(f, IER, 0x01);
	assert_int_equal(in(f, IIR), 0x04);
	out(f, IER, 0x04);
	assert_int_equal(in(f, IIR), 0x06);
}

static void test_trigger_level(void **state)
{
	static const uint8_t level[4] = { 1, 4, 8, 14 };
	struct fixture *f = *state;
	unsigned t, i;

	out(f, MCR, LOOP);
	(void)in(f, MSR);
	out(f, IER, 0x01);
	for (t = 0; t < 4; t++) {
		out(f, FCR, (uint8_t)(0x03 | t << 6));
		for (i = 1; i <= 16; i++) {
			out(f, THR, 'x');
			assert_int_equal(in(f, IIR), i < level[t] ? 0xcc : 0xc4);
		}
	}
}

/* The tests a driver makes at start-up to find broken transmitters. */
static void test_thre(void **state)
{
	struct fixture *f = *state;

	out(f, MCR, OUT2);
	out(f, IER, 0x02);
	expect_fired(1);
	assert_int_equal(in(f, IIR), 0x02);
	assert_int_equal(in(f, IIR), 0x01);
	out(f, IER, 0x00);
	out(f, IER, 0x02); /* must come again */
	expect_fired(1);
	assert_int_equal(in(f, IIR), 0x02);
	out(f, IER, 0x02); /* no change, no interrupt */
	assert_int_equal(in(f, IIR), 0x01);
	expect_fired(0);

	/* One interrupt a burst; the first byte after IIR was read counts. */
	out(f, THR, 'a');
	out(f, THR, 'b');
	out(f, THR, 'c');
	expect_fired(1);
	assert_int_equal(in(f, IIR), 0x02);
	out(f, THR, '\n');
	expect_fired(1);
	out(f, IER, 0x00);
	assert_int_equal(in(f, IIR), 0x01);
	expect_seen(f, "abc\n");
}

static void test_out2_gate(void **state)
{
	struct fixture *f = *state;

	out(f, IER, 0x02);
	assert_int_equal(in(f, LSR) & 0x20, 0x20);
	expect_fired(0);
	out(f, MCR, OUT2);
	expect_fired(1);
	out(f, MCR, OUT2 | LOOP);
	out(f, MCR, OUT2);
	expect_fired(1);
}

static void test_receive_interrupt(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	out(f, FCR, 0x81);
	out(f, MCR, OUT2 | 0x03);
	out(f, IER, 0x05);
	expect_fired(0);
	type(f, "a");
	expect_fired(1);
	assert_int_equal(in(f, IIR), 0xcc);
	assert_int_equal(in(f, LSR), 0x61);
	assert_int_equal(in(f, RBR), 'a');
	assert_int_equal(in(f, IIR), 0xc1);
	expect_fired(0);
	/* An edge for each lot of 16; none for single bytes in between. */
	type(f, "0123456789abcdef0123456789abcdefXYZ");
	expect_fired(1);
	for (i = 0; i < 35; i++) {
		assert_int_equal(in(f, LSR), 0x61);
		assert_int_equal(in(f, RBR),
				 "0123456789abcdef0123456789abcdefXYZ"[i]);
		assert_int_equal(fired, i < 15 ? 0 : i < 31 ? 1 : 2);
	}
	assert_int_equal(in(f, LSR), 0x60);
	assert_int_equal(in(f, IIR), 0xc1);
	expect_fired(2);
}

/* Without the FIFO every byte is an edge, or a one-byte handler would hang. */
static void test_receive_no_fifo(void **state)
{
	struct fixture *f = *state;

	out(f, MCR, OUT2);
	out(f, IER, 0x01);
	type(f, "abc");
	expect_fired(1);
	assert_int_equal(in(f, RBR), 'a');
	expect_fired(1);
	assert_int_equal(in(f, RBR), 'b');
	expect_fired(1);
	assert_int_equal(in(f, RBR), 'c');
	expect_fired(0);
	assert_int_equal(in(f, LSR), 0x60);
}

/* A new cause makes an edge also while another one is pending. */
static void test_second_cause(void **state)
{
	struct fixture *f = *state;

	out(f, MCR, OUT2);
	out(f, IER, 0x03);
	expect_fired(1);
	type(f, "a");
	expect_fired(1);
	assert_int_equal(in(f, IIR), 0x04);
	assert_int_equal(in(f, RBR), 'a');
	assert_int_equal(in(f, IIR), 0x02);
}

/* --- input that is early ----------------------------------------------------- */

/*
 * A driver's start-up: clear FIFOs, read LSR, RBR, IIR, MSR, twice over, then
 * enable interrupts. A script on standard input must lose nothing.
 */
static void test_early_input(void **state)
{
	struct fixture *f = *state;
	const char *text = "#!/bin/sh\n";
	size_t i;
	int round;

	type(f, text);
	for (round = 0; round < 2; round++) {
		out(f, FCR, 0x01);
		out(f, FCR, 0x07);
		out(f, FCR, 0x00);
		(void)in(f, LSR);
		(void)in(f, RBR);
		(void)in(f, IIR);
		(void)in(f, MSR);
		out(f, MCR, OUT2 | 0x03);
	}
	out(f, FCR, 0x81);
	out(f, IER, 0x05);
	expect_fired(1);
	for (i = 0; i < strlen(text); i++)
		assert_int_equal(in(f, RBR), text[i]);
	assert_int_equal(in(f, LSR), 0x60);
}

static uint8_t poll_byte(struct fixture *f)
{
	unsigned i;

	for (i = 0; i < 10; i++) {
		if (in(f, LSR) & 1)
			return in(f, RBR);
	}
	return 0;
}

static void test_polled_input(void **state)
{
	struct fixture *f = *state;

	type(f, "poll");
	assert_int_equal(poll_byte(f), 'p');
	assert_int_equal(poll_byte(f), 'o');
	assert_int_equal(poll_byte(f), 'l');
	assert_int_equal(poll_byte(f), 'l');
	assert_int_equal(poll_byte(f), 0);
	expect_fired(0);
}

/* --- output -------------------------------------------------------------------- */

static void send(struct fixture *f, const char *text)
{
	for (; *text; text++)
		out(f, THR, (uint8_t)*text);
}

static void test_output_batches(void **state)
{
	struct fixture *f = *state;
	char line[65];

	send(f, "line\nrest");
	expect_seen(f, "line\n");
	uart_flush(&f->u);
	expect_seen(f, "rest");
	uart_flush(&f->u);
	expect_seen(f, "");

	/* A full buffer does not wait. */
	memset(line, 'z', 64);
	line[64] = '\0';
	send(f, line);
	expect_seen(f, line);

	/* A prompt without a newline comes by itself; and again. */
	send(f, "login: ");
	while (f->u.flush_armed)
		pump(&f->m, 100);
	expect_seen(f, "login: ");
	send(f, "word: ");
	while (f->u.flush_armed)
		pump(&f->m, 100);
	expect_seen(f, "word: ");

	/* Reset and the end lose nothing. */
	send(f, "before ");
	uart_reset(&f->u);
	send(f, "after");
	uart_fini(&f->u);
	expect_seen(f, "before after");
}

static void test_wide_access(void **state)
{
	struct fixture *f = *state;
	uint64_t v;

	/* outw to 0x3f8 with DLAB: both latches. */
	out(f, LCR, 0x80);
	assert_int_equal(bus_write(&f->m.pio, 0x3f8, 2, 0x0102), 0);
	assert_int_equal(in(f, DLL), 0x02);
	assert_int_equal(in(f, DLM), 0x01);
	out(f, LCR, 0);
	assert_int_equal(bus_write(&f->m.pio, 0x3fc, 4, 0xa5000003), 0);
	assert_int_equal(in(f, MCR), 0x03);
	assert_int_equal(in(f, SCR), 0xa5);
	assert_int_equal(bus_read(&f->m.pio, 0x3fc, 4, &v), 0);
	assert_int_equal(v, 0xa5b06003);
	/* Across the end: nobody's. */
	assert_int_equal(bus_read(&f->m.pio, 0x3ff, 2, &v), -ENXIO);
}

/* Any sequence of accesses: no crash, no endless interrupts, sane values. */
static void test_hostile(void **state)
{
	struct fixture *f = *state;
	uint32_t x = 12345;
	unsigned i;
	char buf[4096];

	for (i = 0; i < 200000; i++) {
		unsigned reg = x >> 8 & 7, len = 1u << (x >> 12 & 3);
		uint64_t v;

		x = x * 1664525 + 1013904223;
		if (x >> 31)
			(void)bus_read(&f->m.pio, 0x3f8 + reg, len, &v);
		else
			(void)bus_write(&f->m.pio, 0x3f8 + reg, len,
					x >> 16 | (uint64_t)x << 32);
		assert_true(f->u.rx_len <= UART_FIFO);
		assert_true(f->u.out_len < UART_OUT);
		assert_true(fired <= i + 1);
		if (i % 64 == 0) {
			assert_int_equal(write(f->in, "in", 2), 2);
			pump(&f->m, 0);
			while (read(f->out, buf, sizeof(buf)) > 0)
				;
		}
	}
	assert_int_equal(f->m.end, END_NONE);
	assert_int_equal(f->cd.dropped, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_reset),
		T(test_masks),
		T(test_divisor_latch),
		T(test_type_probe),
		T(test_loop_modem),
		T(test_loop_deltas),
		T(test_loop_data),
		T(test_loop_fifo),
		T(test_loop_keeps_input),
		T(test_priority),
		T(test_disabled_causes),
		T(test_trigger_level),
		T(test_thre),
		T(test_out2_gate),
		T(test_receive_interrupt),
		T(test_receive_no_fifo),
		T(test_second_cause),
		T(test_early_input),
		T(test_polled_input),
		T(test_output_batches),
		T(test_wide_access),
		T(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
