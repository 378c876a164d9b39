/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reset in the same VM: all that KVM knows becomes what it was before the first
 * instruction, which was kept as bytes (vmm/vcpu_state.c); docs/DESIGN.md "Reset".
 */
#include "vmm/reset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/csv_abi.h"
#include "core/kvm.h"
#include "core/log.h"
#include "core/util.h"
#include "vmm/vcpu_state.h"
#include "vmm/vm.h"
#include "vmm/vm_csv.h"

#define IRQCHIP_MAX 1024

/* For what the guest has changed there is no firmware that would restore it, but
 * the shim, which takes it over again. */
static bool possible(const struct config *cfg)
{
	const struct config_csv *csv = &cfg->csv;

	if (cfg->reset == CONFIG_RESET_RELAUNCH)
		return false;
	return csv->type == CONFIG_CSV_NONE ||
	       (csv->backend == CONFIG_CSV_KVM &&
		csv->measure == CONFIG_MEASURE_SHIM);
}

static int keep_irqchip(struct vm *vm)
{
	struct vm_reset *rs = &vm->reset;
	uint8_t buf[IRQCHIP_MAX];
	struct snap_w w = { .buf = buf, .cap = sizeof(buf) };
	int r = machine_irqchip_save(vm->m.vm_fd, &w);

	if (r < 0 || w.full)
		return r < 0 ? r : -ENOBUFS;
	rs->irqchip = malloc(w.len);
	if (!rs->irqchip)
		return -ENOMEM;
	memcpy(rs->irqchip, buf, w.len);
	rs->irqchip_len = w.len;
	return 0;
}

int vm_reset_keep(struct vm *vm)
{
	unsigned i;
	int r = 0;

	if (!possible(vm->cfg) || vm->reset.irqchip)
		return 0;
	for (i = 0; i < vm->n_vcpus && !r; i++)
		r = vcpu_state_keep(&vm->vcpu[i]);
	if (!r)
		r = keep_irqchip(vm);
	return r < 0 ? log_errno(r, "state of the vCPUs") : 0;
}

void vm_reset_forget(struct vm *vm)
{
	unsigned i;

	for (i = 0; i < vm->n_vcpus; i++) {
		free(vm->vcpu[i].kept);
		vm->vcpu[i].kept = NULL;
	}
	free(vm->reset.irqchip);
	vm->reset.irqchip = NULL;
}

/* Not in place; why. */
static int otherwise(const struct vm *vm, const char *why)
{
	if (vm->cfg->reset == CONFIG_RESET_IN_PLACE) {
		log_err("reset: not in place, as guest.toml wants it: %s", why);
		return -ENOTSUP;
	}
	log_debug("reset: not in place: %s", why);
	return -EAGAIN;
}

/* What KVM keeps. */
static int load_kept(struct vm *vm, struct snap_error *err)
{
	struct snap_r r = { .buf = vm->reset.irqchip,
			    .len = vm->reset.irqchip_len,
			    .who = "irqchip",
			    .err = err };
	unsigned i;
	int e = 0;

	for (i = 0; i < vm->n_vcpus && !e; i++)
		e = vcpu_state_again(&vm->vcpu[i], err);
	if (!e)
		e = machine_irqchip_load(vm->m.vm_fd, &r);
	if (e < 0 && !err->text[0])
		(void)snap_bad(&r, "irqchip", "%s", strerror(-e));
	return e;
}

static void flush_staged(struct vm *vm)
{
	const struct boot_info *boot = &vm->boot;
	unsigned i;

	for (i = 0; i < boot->n_regions; i++) {
		if (boot->region[i].staged)
			gmem_flush(&vm->m.gmem, boot->region[i].at,
				   boot->region[i].len);
	}
}

/* Only what KVM's log never sees goes through memory before POST: nothing. */
static int reset_encrypted(struct vm *vm)
{
	struct snap_error err = { "" };
	uint8_t config[sizeof(vm->boot.shim_config)];
	int r = kvm_ioctl_val(vm->m.vm_fd, CSV_PRE_SYSTEM_RESET, 0);

	if (r == -ENODATA)
		return otherwise(vm, "the guest came from another host");
	if (r < 0)
		return otherwise(vm, "this host can't reset CSV2 guests");
	r = load_kept(vm, &err);
	if (r < 0)
		return otherwise(vm, err.text);
	r = kvm_ioctl_val(vm->m.vm_fd, CSV_POST_SYSTEM_RESET, 0);
	if (r < 0)
		return otherwise(vm, "POST_SYSTEM_RESET failed");
	vm_pages_begin(vm);
	if (!vm_csv_same_shim(vm)) {
		log_guest("reset: the guest has damaged its first code (shim)");
		return otherwise(vm, "its shim is damaged");
	}
	memcpy(config, vm->boot.shim_config, sizeof(config));
	r = vm_load_memory(vm, BOOT_IN_PLACE);
	if (!r && memcmp(config, vm->boot.shim_config, sizeof(config)) != 0) {
		log_err("reset: kernel or initrd were changed since the start");
		return -ESTALE;
	}
	if (!r)
		flush_staged(vm);
	return r;
}

static int reset_plain(struct vm *vm)
{
	struct snap_error err = { "" };
	unsigned i;
	int r = load_kept(vm, &err);

	if (r < 0)
		return otherwise(vm, err.text);
	r = vm_load_memory(vm, BOOT_AGAIN);
	for (i = 0; i < vm->n_vcpus && !r; i++) {
		/* Of another kernel by now, maybe. */
		r = vcpu_setup_boot(&vm->vcpu[i], &vm->boot);
		if (r < 0)
			log_errno(r, "registers of vCPU %u", i);
	}
	return r;
}

int vm_reset_in_place(struct vm *vm)
{
	if (vm->cfg->reset == CONFIG_RESET_RELAUNCH)
		return -EAGAIN;
	if (!vm->reset.irqchip)
		return otherwise(
			vm, "it was not launched here, or not with a shim alone");
	return vm->launch ? reset_encrypted(vm) : reset_plain(vm);
}
