/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_ACPI_H
#define CSVVMM_VMM_ACPI_H

#include "core/gmem.h"

/**
 * acpi_build() - Write RSDP, XSDT, FADT, MADT, MCFG and DSDT
 * @at:		Where; RSDP comes first
 * @size:	Room
 * @n_vcpus:	Local APICs 0 .. n_vcpus - 1
 *
 * Hardware-reduced ACPI 6.5: no SMI, no PM timer; power-off and reset through
 * the registers of devices/acpi_regs.h.
 *
 * Return: 0, -ENOSPC, or -EFAULT
 */
int acpi_build(struct gmem *gm, gpa_t at, uint64_t size, unsigned n_vcpus);

#endif
