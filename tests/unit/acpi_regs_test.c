/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The register block as a guest pokes it. The file under test is included, so
 * that ends and interrupts can be watched without a VM.
 */
#include "tests/unit/test.h"

#include <errno.h>

#define machine_end   fake_machine_end
#define irq_line_init fake_irq_line_init
#define irq_line_fire fake_irq_line_fire
#include "devices/acpi_regs.c"

static enum end_reason end;
static unsigned line_inits, line_fires;
static int line_result;

void fake_machine_end(struct machine *m, enum end_reason why)
{
	(void)m;
	if (end == END_NONE)
		end = why;
}

int fake_irq_line_init(struct irq *irq, unsigned line)
{
	(void)irq;
	assert_int_equal(line, 5);
	line_inits++;
	return line_result;
}

void fake_irq_line_fire(const struct irq *irq, unsigned line)
{
	(void)irq;
	assert_int_equal(line, 5);
	line_fires++;
}

static struct machine m;
static struct acpi_regs regs;

static int setup(void **state)
{
	(void)state;
	m = (struct machine){ .vm_fd = -1 };
	end = END_NONE;
	line_inits = line_fires = 0;
	line_result = 0;
	assert_int_equal(acpi_regs_init(&regs, &m), 0);
	assert_int_equal(line_inits, 1);
	return 0;
}

static uint64_t in(uint64_t port, unsigned len)
{
	uint64_t val = 0;

	assert_int_equal(bus_read(&m.pio, port, len, &val), 0);
	return val;
}

static enum end_reason after_out(uint64_t port, unsigned len, uint64_t val)
{
	end = END_NONE;
	assert_int_equal(bus_write(&m.pio, port, len, val), 0);
	return end;
}

/* [ACPI] 4.8.3.7: SLP_TYP in bits 4:2, SLP_EN bit 5. */
static void sleep_control(void **state)
{
	unsigned v;

	(void)state;
	for (v = 0; v < 256; v++)
		assert_int_equal(after_out(0x600, 1, v),
				 (v & 0x3c) == 0x34 ? END_POWEROFF : END_NONE);
	assert_int_equal(in(0x600, 1), 0);
	/* Status: only ever written to, to clear WAK_STS. */
	assert_int_equal(after_out(0x601, 1, 0x80), END_NONE);
	assert_int_equal(after_out(0x601, 1, 0x34), END_NONE);
	assert_int_equal(in(0x601, 1), 0);
}

static void reset_register(void **state)
{
	unsigned v;

	(void)state;
	for (v = 0; v < 256; v++)
		assert_int_equal(after_out(0x602, 1, v),
				 v == 1 ? END_REBOOT : END_NONE);
}

/* Wider accesses are several bytes, each to its own register. */
static void wide(void **state)
{
	(void)state;
	assert_int_equal(after_out(0x600, 4, 0x00010000), END_REBOOT);
	assert_int_equal(after_out(0x601, 2, 0x0100), END_REBOOT);
	assert_int_equal(after_out(0x600, 2, 0x3400), END_NONE);
	assert_int_equal(after_out(0x600, 2, 0xff34), END_POWEROFF);
	acpi_power_button(&regs);
	assert_int_equal(in(0x600, 4), 0x01000000);
	assert_int_equal(in(0x600, 4), 0);
}

static void button(void **state)
{
	(void)state;
	assert_int_equal(in(0x603, 1), 0);
	acpi_power_button(&regs);
	acpi_power_button(&regs);
	assert_int_equal(line_fires, 2);
	assert_int_equal(in(0x603, 1), 1);
	assert_int_equal(in(0x603, 1), 0); /* reading clears */
	assert_int_equal(after_out(0x603, 1, 0xff), END_NONE);
	assert_int_equal(in(0x603, 1), 0);
	acpi_power_button(&regs);
	acpi_regs_reset(&regs);
	assert_int_equal(in(0x603, 1), 0);
}

static void pvpanic(void **state)
{
	(void)state;
	assert_int_equal(in(0x505, 1), 3);
	assert_int_equal(after_out(0x505, 1, 0), END_NONE);
	assert_int_equal(after_out(0x505, 1, 2), END_NONE);
	assert_int_equal(after_out(0x505, 1, 4), END_NONE);
	assert_int_equal(after_out(0x505, 1, 0xfc), END_NONE);
	assert_int_equal(after_out(0x505, 1, 1), END_PANIC);
	assert_int_equal(after_out(0x505, 1, 3), END_PANIC);
}

static void keyboard_reset(void **state)
{
	unsigned v;

	(void)state;
	/* Linux waits until bit 1 is clear before it sends the command. */
	assert_int_equal(in(0x64, 1), 0);
	for (v = 0; v < 256; v++)
		assert_int_equal(after_out(0x64, 1, v),
				 v == 0xfe ? END_REBOOT : END_NONE);
}

static void init_fails(void **state)
{
	(void)state;
	/* Ports taken. */
	assert_int_equal(acpi_regs_init(&regs, &m), -EEXIST);
	line_result = -EMFILE;
	m.pio.n = 0;
	assert_int_equal(acpi_regs_init(&regs, &m), -EMFILE);
	assert_int_equal(m.pio.n, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sleep_control, setup),
		cmocka_unit_test_setup(reset_register, setup),
		cmocka_unit_test_setup(wide, setup),
		cmocka_unit_test_setup(button, setup),
		cmocka_unit_test_setup(pvpanic, setup),
		cmocka_unit_test_setup(keyboard_reset, setup),
		cmocka_unit_test_setup(init_fails, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
