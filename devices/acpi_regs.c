/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "devices/acpi_regs.h"

#include "core/log.h"
#include "core/machine.h"
#include "core/snap.h"
#include "core/util.h"

/* Sleep control register ([ACPI] 4.8.3.7) */
#define SLP_TYP_SHIFT 2
#define SLP_TYP_MASK  7
#define SLP_EN	      BIT(5)

#define KBD_PORT  0x64
#define KBD_RESET 0xfe /* pulse the reset line */

#define PVPANIC_PANICKED     BIT(0)
#define PVPANIC_CRASH_LOADED BIT(1)

static void sleep_write(struct acpi_regs *a, uint8_t val)
{
	unsigned type = val >> SLP_TYP_SHIFT & SLP_TYP_MASK;

	if (!(val & SLP_EN))
		return;
	if (type == ACPI_S5_TYPE)
		machine_end(a->m, END_POWEROFF);
	else
		log_guest("guest asked for unknown sleep type %u", type);
}

static uint8_t event_read(struct acpi_regs *a)
{
	uint8_t event = a->event;

	a->event = 0;
	return event;
}

/* One byte of the block at ACPI_PORT_SLEEP. Wider accesses are several. */
static uint8_t block_read_byte(struct acpi_regs *a, uint64_t port)
{
	return port == ACPI_PORT_EVENT ? event_read(a) : 0;
}

static void block_write_byte(struct acpi_regs *a, uint64_t port, uint8_t val)
{
	if (port == ACPI_PORT_SLEEP)
		sleep_write(a, val);
	else if (port == ACPI_PORT_RESET && val == ACPI_RESET_VALUE)
		machine_end(a->m, END_REBOOT);
}

static uint64_t block_read(void *obj, uint64_t off, unsigned len)
{
	uint64_t val = 0;
	unsigned i;

	for (i = 0; i < len; i++)
		val |= (uint64_t)block_read_byte(obj, ACPI_PORT_SLEEP + off + i)
		       << (8 * i);
	return val;
}

static void block_write(void *obj, uint64_t off, unsigned len, uint64_t val)
{
	unsigned i;

	for (i = 0; i < len; i++)
		block_write_byte(obj, ACPI_PORT_SLEEP + off + i,
				 (uint8_t)(val >> (8 * i)));
}

static uint64_t panic_read(void *obj, uint64_t off, unsigned len)
{
	(void)obj, (void)off, (void)len;
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void panic_write(void *obj, uint64_t off, unsigned len, uint64_t val)
{
	struct acpi_regs *a = obj;

	(void)off, (void)len;
	if (val & PVPANIC_PANICKED)
		machine_end(a->m, END_PANIC);
	else if (val & PVPANIC_CRASH_LOADED)
		log_guest("guest kernel panicked; its crash kernel takes over");
}

/* An idle keyboard controller: empty buffers, ready for the reset command. */
static uint64_t zero_read(void *obj, uint64_t off, unsigned len)
{
	(void)obj, (void)off, (void)len;
	return 0;
}

static void kbd_write(void *obj, uint64_t off, unsigned len, uint64_t val)
{
	struct acpi_regs *a = obj;

	(void)off, (void)len;
	if (val == KBD_RESET)
		machine_end(a->m, END_REBOOT);
}

static const struct bus_ops block_ops = { block_read, block_write };
static const struct bus_ops panic_ops = { panic_read, panic_write };
static const struct bus_ops kbd_ops = { zero_read, kbd_write };

static const struct {
	uint16_t port, size;
	const struct bus_ops *ops;
	const char *name;
} ports[] = {
	{ ACPI_PORT_SLEEP, 4, &block_ops, "acpi" },
	{ PVPANIC_PORT, 1, &panic_ops, "pvpanic" },
	{ KBD_PORT, 1, &kbd_ops, "reset (0x64)" },
};

static int acpi_save(const void *obj, struct snap_w *w)
{
	const struct acpi_regs *a = obj;

	snap_put8(w, a->event);
	return 0;
}

static int acpi_load(void *obj, struct snap_r *r, uint32_t version)
{
	struct acpi_regs *a = obj;

	(void)version;
	a->event = snap_get8(r, "event");
	if (a->event & ~ACPI_EVENT_POWER)
		return snap_bad(r, "event", "%#x", a->event);
	return r->error;
}

/* The pulse may have been lost on the way. */
static void acpi_thaw(void *obj)
{
	const struct acpi_regs *a = obj;

	if (a->event)
		irq_line_fire(&a->m->irq, ACPI_EVENT_LINE);
}

static const struct snap_item acpi_snap_item = {
	.name = "acpi",
	.version = 1,
	.save = acpi_save,
	.load = acpi_load,
	.thaw = acpi_thaw,
};

int acpi_regs_init(struct acpi_regs *a, struct machine *m)
{
	unsigned i;
	int r;

	*a = (struct acpi_regs){ .m = m };
	r = irq_line_init(&m->irq, ACPI_EVENT_LINE);
	for (i = 0; !r && i < ARRAY_SIZE(ports); i++)
		r = bus_add(&m->pio, ports[i].port, ports[i].size, ports[i].ops,
			    a, ports[i].name);
	return r ? r : snap_add(&m->snap, &acpi_snap_item, NULL, a);
}

void acpi_regs_reset(struct acpi_regs *a)
{
	a->event = 0;
}

void acpi_power_button(struct acpi_regs *a)
{
	a->event |= ACPI_EVENT_POWER;
	irq_line_fire(&a->m->irq, ACPI_EVENT_LINE);
}
