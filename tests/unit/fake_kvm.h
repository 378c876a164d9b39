/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_TESTS_UNIT_FAKE_KVM_H
#define CSVVMM_TESTS_UNIT_FAKE_KVM_H

/*
 * KVM as far as interrupts and doorbells go, at the ioctl itself: core/irq.c
 * and core/machine.c run unchanged on top of it. Include it once a program.
 */

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/machine.h"
#include "core/util.h"

#define FAKE_VM_FD     100000
#define FAKE_DOORBELLS 128

struct fake_doorbell {
	uint64_t addr;
	uint32_t len;
	int fd;
};

/**
 * struct fake_kvm - What was asked of it, and what it shall refuse
 * @msi:	MSI routes by GSI, as in the last KVM_SET_GSI_ROUTING
 * @fail_irqfd_at: refuse the n-th KVM_IRQFD (1 = the next one)
 */
struct fake_kvm {
	unsigned n_routing, n_irqfd, n_doorbells, n_bad;
	bool fail_routing, fail_any_len, fail_doorbell;
	unsigned fail_irqfd_at;
	struct kvm_irq_routing_msi msi[IRQ_LINES + IRQ_MSI_MAX];
	bool have_msi[IRQ_LINES + IRQ_MSI_MAX];
	struct fake_doorbell doorbell[FAKE_DOORBELLS];
};

static struct fake_kvm fake_kvm;

static int fake_refuse(int err)
{
	errno = err;
	return -1;
}

static int fake_routing(const struct kvm_irq_routing *r)
{
	uint32_t i;

	fake_kvm.n_routing++;
	if (fake_kvm.fail_routing)
		return fake_refuse(EINVAL);
	memset(fake_kvm.have_msi, 0, sizeof(fake_kvm.have_msi));
	for (i = 0; i < r->nr; i++) {
		const struct kvm_irq_routing_entry *e = &r->entries[i];

		if (e->type != KVM_IRQ_ROUTING_MSI)
			continue;
		fake_kvm.msi[e->gsi] = e->u.msi;
		fake_kvm.have_msi[e->gsi] = true;
	}
	return 0;
}

static int fake_irqfd(const struct kvm_irqfd *a)
{
	if (a->flags & KVM_IRQFD_FLAG_DEASSIGN) {
		fake_kvm.n_irqfd--;
		return 0;
	}
	if (fake_kvm.fail_irqfd_at && --fake_kvm.fail_irqfd_at == 0)
		return fake_refuse(ENOMEM);
	fake_kvm.n_irqfd++;
	return 0;
}

static int fake_ioeventfd(const struct kvm_ioeventfd *a)
{
	struct fake_doorbell *d = fake_kvm.doorbell;
	unsigned i;

	for (i = 0; i < fake_kvm.n_doorbells; i++) {
		if (d[i].addr == a->addr && d[i].len == a->len)
			break;
	}
	if (a->flags & KVM_IOEVENTFD_FLAG_DEASSIGN) {
		if (i == fake_kvm.n_doorbells || d[i].fd != a->fd) {
			fake_kvm.n_bad++;
			return fake_refuse(ENOENT);
		}
		d[i] = d[--fake_kvm.n_doorbells];
		return 0;
	}
	if (fake_kvm.fail_doorbell || (!a->len && fake_kvm.fail_any_len))
		return fake_refuse(EINVAL);
	if (i < fake_kvm.n_doorbells || i == FAKE_DOORBELLS) {
		fake_kvm.n_bad++;
		return fake_refuse(EEXIST);
	}
	d[fake_kvm.n_doorbells++] = (struct fake_doorbell){ .addr = a->addr,
							    .len = a->len,
							    .fd = a->fd };
	return 0;
}

int ioctl(int fd, unsigned long req, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fd != FAKE_VM_FD)
		return (int)syscall(SYS_ioctl, fd, req, arg);
	switch (req) {
	case KVM_SET_GSI_ROUTING:
		return fake_routing(arg);
	case KVM_IRQFD:
		return fake_irqfd(arg);
	case KVM_IOEVENTFD:
		return fake_ioeventfd(arg);
	default:
		return fake_refuse(ENOTTY);
	}
}

/* What KVM does with a guest write: ring the doorbell there, if any. */
static inline bool fake_guest_write(struct machine *m, uint64_t addr,
				    unsigned len, uint64_t val)
{
	uint64_t one = 1;
	unsigned i;

	for (i = 0; i < fake_kvm.n_doorbells; i++) {
		const struct fake_doorbell *d = &fake_kvm.doorbell[i];

		if (d->addr == addr && (!d->len || d->len == len))
			return write(d->fd, &one, sizeof(one)) == sizeof(one);
	}
	return bus_write(&m->mmio, addr, len, val) == 0;
}

/* How often an interrupt was fired since the last call. */
static inline uint64_t fake_fired(const struct irq_msi *msi)
{
	uint64_t n;

	return read(msi->fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static inline int fake_machine_init(struct machine *m, uint64_t ram)
{
	int r;

	memset(&fake_kvm, 0, sizeof(fake_kvm));
	memset(m, 0, sizeof(*m));
	(void)pthread_mutex_init(&m->lock, NULL);
	m->vm_fd = FAKE_VM_FD;
	r = gmem_init(&m->gmem, ram, false);
	if (!r)
		r = loop_init(&m->loop, &m->lock);
	if (!r)
		r = irq_init(&m->irq, FAKE_VM_FD);
	return r;
}

static inline void fake_machine_fini(struct machine *m)
{
	irq_fini(&m->irq);
	loop_fini(&m->loop);
	gmem_fini(&m->gmem);
	(void)pthread_mutex_destroy(&m->lock);
}

struct fake_stop {
	struct source src;
	struct loop *loop;
};

static inline void fake_stop_now(struct source *src, uint32_t events)
{
	(void)events;
	loop_stop(container_of(src, struct fake_stop, src)->loop);
}

/* Let the loop dispatch all that is ready now, and return. */
static inline void fake_machine_turn(struct machine *m)
{
	struct fake_stop stop = { .src = { .fd = -1, .fn = fake_stop_now },
				  .loop = &m->loop };
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	if (loop_add(&m->loop, &stop.src, fd, EPOLLIN) == 0)
		(void)loop_run(&m->loop);
	loop_del(&m->loop, &stop.src);
	(void)close(fd);
}

#endif
