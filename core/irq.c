/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/irq.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/kvm.h"
#include "core/util.h"

/* Room for all routes; on the stack of the loop or a vCPU thread. */
struct routes {
	struct kvm_irq_routing head;
	struct kvm_irq_routing_entry entry[IRQ_LINES + IRQ_MSI_MAX];
};

static void routes_add_line(struct routes *r, uint32_t pin)
{
	r->entry[r->head.nr++] = (struct kvm_irq_routing_entry){
		.gsi = pin,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = pin },
	};
}

static void routes_add_msi(struct routes *r, const struct irq_msi *msi)
{
	r->entry[r->head.nr++] = (struct kvm_irq_routing_entry){
		.gsi = msi->gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = (uint32_t)msi->addr,
			   .address_hi = (uint32_t)(msi->addr >> 32),
			   .data = msi->data },
	};
}

static int irq_commit(struct irq *irq)
{
	struct routes r;
	uint32_t i;

	memset(&r.head, 0, sizeof(r.head));
	for (i = 0; i < IRQ_LINES; i++)
		routes_add_line(&r, i);
	for (i = 0; i < IRQ_MSI_MAX; i++) {
		if (irq->msi[i] && irq->msi[i]->enabled)
			routes_add_msi(&r, irq->msi[i]);
	}
	return kvm_ioctl(irq->vm_fd, KVM_SET_GSI_ROUTING, &r);
}

static int irq_irqfd(struct irq *irq, int fd, uint32_t gsi, bool assign)
{
	struct kvm_irqfd args = { .fd = (uint32_t)fd,
				  .gsi = gsi,
				  .flags = assign ? 0 : KVM_IRQFD_FLAG_DEASSIGN };

	return kvm_ioctl(irq->vm_fd, KVM_IRQFD, &args);
}

int irq_init(struct irq *irq, int vm_fd)
{
	unsigned i;

	*irq = (struct irq){ .vm_fd = vm_fd };
	for (i = 0; i < IRQ_LINES; i++)
		irq->line_fd[i] = -1;
	return irq_commit(irq);
}

int irq_move(struct irq *irq, int vm_fd)
{
	unsigned i;
	int r;

	irq->vm_fd = vm_fd;
	r = irq_commit(irq);
	for (i = 0; i < IRQ_LINES && !r; i++) {
		if (irq->line_fd[i] >= 0)
			r = irq_irqfd(irq, irq->line_fd[i], i, true);
	}
	for (i = 0; i < IRQ_MSI_MAX && !r; i++) {
		if (irq->msi[i])
			r = irq_irqfd(irq, irq->msi[i]->fd, IRQ_LINES + i, true);
	}
	return r;
}

void irq_fini(struct irq *irq)
{
	unsigned i;

	for (i = 0; i < IRQ_LINES; i++)
		util_close(&irq->line_fd[i]);
}

int irq_msi_init(struct irq *irq, struct irq_msi *msi)
{
	unsigned i;
	int fd, r;

	*msi = (struct irq_msi){ .fd = -1 };
	for (i = 0; i < IRQ_MSI_MAX && irq->msi[i]; i++)
		;
	if (i == IRQ_MSI_MAX)
		return -ENOSPC;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = irq_irqfd(irq, fd, IRQ_LINES + i, true);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	msi->fd = fd;
	msi->gsi = IRQ_LINES + i;
	irq->msi[i] = msi;
	return 0;
}

void irq_msi_fini(struct irq *irq, struct irq_msi *msi)
{
	if (msi->fd < 0)
		return;
	(void)irq_irqfd(irq, msi->fd, msi->gsi, false);
	irq->msi[msi->gsi - IRQ_LINES] = NULL;
	util_close(&msi->fd);
	msi->enabled = false;
}

int irq_msi_route(struct irq *irq, struct irq_msi *msi, uint64_t addr,
		  uint32_t data, bool enabled)
{
	struct irq_msi old = *msi;
	int r;

	if (msi->enabled == enabled &&
	    (!enabled || (msi->addr == addr && msi->data == data)))
		return 0;
	msi->addr = addr;
	msi->data = data;
	msi->enabled = enabled;
	r = irq_commit(irq);
	if (r < 0)
		*msi = old;
	return r;
}

static void irq_write_fd(int fd)
{
	uint64_t one = 1;

	/* A full counter means an interrupt is on its way already. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

void irq_msi_fire(const struct irq_msi *msi)
{
	irq_write_fd(msi->fd);
}

int irq_line_init(struct irq *irq, unsigned line)
{
	int fd, r;

	if (line >= IRQ_LINES)
		return -EINVAL;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = irq_irqfd(irq, fd, line, true);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	irq->line_fd[line] = fd;
	return 0;
}

void irq_line_fire(const struct irq *irq, unsigned line)
{
	irq_write_fd(irq->line_fd[line]);
}
