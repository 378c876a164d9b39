/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_ACPI_REGS_H
#define CSVVMM_DEVICES_ACPI_REGS_H

#include <stdint.h>

struct machine;

/*
 * The ACPI side of the board, port-mapped (vmm/dsdt.asl and vmm/acpi.c name
 * the same addresses):
 *
 *   0x600  sleep control register	(S5 = SLP_TYP 5, SLP_EN: power off)
 *   0x601  sleep status register
 *   0x602  reset register		(write 1: reboot)
 *   0x603  event status of the Generic Event Device; reading clears.
 *	    bit 0 = power button
 *   0x505  pvpanic (QEMU0001): bit 0 panicked, bit 1 crash kernel loaded
 *   0x64   the keyboard controller's reset, as a last resort (PCI's, at 0xcf9,
 *	    is in devices/pci_root.c)
 */
#define ACPI_PORT_SLEEP	 0x600
#define ACPI_PORT_STATUS 0x601
#define ACPI_PORT_RESET	 0x602
#define ACPI_PORT_EVENT	 0x603
#define ACPI_RESET_VALUE 1
#define ACPI_EVENT_POWER 1
#define ACPI_S5_TYPE	 5
#define ACPI_EVENT_LINE	 5 /* GSI of the Generic Event Device, edge */
#define PVPANIC_PORT	 0x505

struct acpi_regs {
	struct machine *m;
	uint8_t event;
};

int acpi_regs_init(struct acpi_regs *a, struct machine *m);
void acpi_regs_reset(struct acpi_regs *a);

/* Press the power button: the guest's own shutdown begins. */
void acpi_power_button(struct acpi_regs *a);

#endif
