/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_IRQ_H
#define CSVVMM_CORE_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#define IRQ_MSI_MAX 512 /* vectors of all devices together */
#define IRQ_LINES   24	/* pins of the in-kernel IOAPIC */

/**
 * struct irq_msi - One message-signalled interrupt, fired through an irqfd
 * @fd:		eventfd; write 1 to fire, -1 when not initialised
 * @gsi:	Its entry in KVM's routing table
 * @enabled:	A route is set: firing reaches the guest
 */
struct irq_msi {
	int fd;
	uint32_t gsi;
	bool enabled;
	uint64_t addr;
	uint32_t data;
};

/**
 * struct irq - Routing of interrupts into the in-kernel irqchip
 *
 * Used with vm.lock held, save irq_msi_fire() and irq_line_fire(), which any
 * thread may call.
 */
struct irq {
	int vm_fd;
	uint32_t n_gsi;
	struct irq_msi *msi[IRQ_MSI_MAX];
	int line_fd[IRQ_LINES];
};

/* Needs KVM_CREATE_IRQCHIP done. Installs the IOAPIC pin routes. */
int irq_init(struct irq *irq, int vm_fd);
void irq_fini(struct irq *irq);

/* The same lines and vectors in another VM; the old one is gone. Return: 0 or
 * -errno */
int irq_move(struct irq *irq, int vm_fd);

/**
 * irq_msi_init() - Allocate a vector, disabled
 *
 * Return: 0, -ENOSPC, or -errno from KVM or eventfd
 */
int irq_msi_init(struct irq *irq, struct irq_msi *msi);
void irq_msi_fini(struct irq *irq, struct irq_msi *msi);

/**
 * irq_msi_route() - Set where the message goes, or take the route away
 * @enabled:	false: firing does nothing (masked; the caller keeps pending)
 *
 * Return: 0 or -errno from KVM
 */
int irq_msi_route(struct irq *irq, struct irq_msi *msi, uint64_t addr,
		  uint32_t data, bool enabled);

void irq_msi_fire(const struct irq_msi *msi);

/* Pulse an edge-triggered IOAPIC pin (serial port, power button). */
int irq_line_init(struct irq *irq, unsigned line);
void irq_line_fire(const struct irq *irq, unsigned line);

#endif
