/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupt controllers, and what an encrypted guest has told. */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "core/csv_abi.h"
#include "core/kvm.h"
#include "core/log.h"
#include "core/util.h"
#include "vmm/migrate.h"
#include "vmm/vcpu_state.h"
#include "vmm/vm.h"

/* --- interrupt controllers ------------------------------------------------------ */

static void pic_fields(struct kvm_pic_state *p, __u8 *list[15])
{
	__u8 *all[15] = { &p->last_irr,
			  &p->irr,
			  &p->imr,
			  &p->isr,
			  &p->priority_add,
			  &p->irq_base,
			  &p->read_reg_select,
			  &p->poll,
			  &p->special_mask,
			  &p->init_state,
			  &p->auto_eoi,
			  &p->rotate_on_auto_eoi,
			  &p->special_fully_nested_mode,
			  &p->init4,
			  &p->elcr };

	memcpy(list, all, sizeof(all));
}

static int pic_save(int vm_fd, unsigned id, struct snap_w *w)
{
	struct kvm_irqchip chip = { .chip_id = id };
	int r = kvm_ioctl(vm_fd, KVM_GET_IRQCHIP, &chip);
	__u8 *list[15];
	unsigned i;

	pic_fields(&chip.chip.pic, list);
	for (i = 0; i < ARRAY_SIZE(list) && !r; i++)
		snap_put8(w, *list[i]);
	snap_put8(w, chip.chip.pic.elcr_mask);
	return r;
}

static int pic_load(int vm_fd, unsigned id, struct snap_r *r)
{
	struct kvm_irqchip chip = { .chip_id = id };
	__u8 *list[15];
	unsigned i;

	pic_fields(&chip.chip.pic, list);
	for (i = 0; i < ARRAY_SIZE(list); i++)
		*list[i] = snap_get8(r, "pic");
	chip.chip.pic.elcr_mask = snap_get8(r, "pic");
	return r->error ? r->error : kvm_ioctl(vm_fd, KVM_SET_IRQCHIP, &chip);
}

static int ioapic_save(int vm_fd, struct snap_w *w)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	const struct kvm_ioapic_state *s = &chip.chip.ioapic;
	int r = kvm_ioctl(vm_fd, KVM_GET_IRQCHIP, &chip);
	unsigned i;

	snap_put64(w, s->base_address);
	snap_put32(w, s->ioregsel);
	snap_put32(w, s->id);
	snap_put32(w, s->irr);
	for (i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		snap_put64(w, s->redirtbl[i].bits);
	return r;
}

static int ioapic_load(int vm_fd, struct snap_r *r)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_ioapic_state *s = &chip.chip.ioapic;
	unsigned i;

	s->base_address = snap_get64(r, "ioapic base");
	s->ioregsel = snap_get32(r, "ioapic select");
	s->id = snap_get32(r, "ioapic id");
	s->irr = snap_get32(r, "ioapic irr");
	for (i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		s->redirtbl[i].bits = snap_get64(r, "ioapic pin");
	return r->error ? r->error : kvm_ioctl(vm_fd, KVM_SET_IRQCHIP, &chip);
}

int machine_irqchip_save(int vm_fd, struct snap_w *w)
{
	int r = pic_save(vm_fd, KVM_IRQCHIP_PIC_MASTER, w);

	if (!r)
		r = pic_save(vm_fd, KVM_IRQCHIP_PIC_SLAVE, w);
	return r < 0 ? r : ioapic_save(vm_fd, w);
}

int machine_irqchip_load(int vm_fd, struct snap_r *r)
{
	int e = pic_load(vm_fd, KVM_IRQCHIP_PIC_MASTER, r);

	if (!e)
		e = pic_load(vm_fd, KVM_IRQCHIP_PIC_SLAVE, r);
	return e < 0 ? e : ioapic_load(vm_fd, r);
}

/* --- what a CSV2 guest told KVM ----------------------------------------------------- */

static int jump_table(const struct vm *vm, unsigned long req, uint64_t *v)
{
	struct kvm_device_attr a = { .group = CSV_ATTR_GROUP,
				     .attr = CSV_ATTR_AP_JUMP_TABLE,
				     .addr = (uintptr_t)v };

	return kvm_ioctl(vm->m.vm_fd, req, &a);
}

/* What the target may launch again in its place: whatever has this digest. */
static void digest_load(struct vm *vm, struct snap_r *r)
{
	uint8_t digest[sizeof(vm->digest)];
	bool have = snap_get_bool(r, "digest");

	snap_get_bytes(r, "digest", digest, sizeof(digest));
	if (r->error || !have)
		return;
	if (!vm->launch) {
		(void)snap_bad(r, "digest", "a plain guest has none");
		return;
	}
	memcpy(vm->digest, digest, sizeof(digest));
	vm->have_digest = true;
}

int machine_state_save(struct vm *vm, struct snap_w *w)
{
	uint64_t table = 0;
	int r;

	(void)jump_table(vm, KVM_GET_DEVICE_ATTR, &table);
	snap_put8(w, vm->arrives_paused);
	snap_put8(w, vm->m.gmem.map.told);
	snap_put8(w, vm->pages.ready);
	snap_put32(w, vm->pages.ready_by);
	snap_put64(w, table);
	snap_put8(w, vm->have_digest);
	snap_put_bytes(w, vm->digest, sizeof(vm->digest));
	r = machine_irqchip_save(vm->m.vm_fd, w);
	return r < 0 ? r : machine_clock_save(vm, w);
}

int machine_state_load(struct vm *vm, struct snap_r *r)
{
	uint64_t table;
	int e;

	vm->arrives_paused = snap_get_bool(r, "paused");
	if (snap_get_bool(r, "told") && !vm->m.gmem.map.told)
		(void)snap_bad(r, "told", "no page is shared");
	vm->pages.ready = snap_get_bool(r, "ready");
	vm->pages.ready_by = snap_get32_range(r, "ready by", 0, vm->n_vcpus - 1);
	table = snap_get64(r, "AP jump table");
	digest_load(vm, r);
	if (r->error)
		return r->error;
	if (table && jump_table(vm, KVM_SET_DEVICE_ATTR, &table) < 0)
		return snap_bad(r, "AP jump table", "this kernel can't take it");
	e = machine_irqchip_load(vm->m.vm_fd, r);
	if (e < 0)
		return snap_bad(r, "irqchip", "KVM refuses it: %s", strerror(-e));
	machine_clock_load(vm, r);
	return r->error;
}
