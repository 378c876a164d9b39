/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an encrypted guest says when it gives up. */
#include "core/log.h"
#include "shim/shim.h"
#include "vmm/vm.h"

static void shim_end(struct vm *vm, uint32_t code)
{
	struct boot_error text;

	boot_shim_words(&vm->boot, code, &text);
	log_err("the guest's first code (shim) gave up: %s", text.text);
	machine_end(&vm->m, END_ERROR);
}

static uint64_t shim_read(void *obj, uint64_t off, unsigned len)
{
	(void)obj, (void)off, (void)len;
	return UINT64_MAX;
}

static void shim_write(void *obj, uint64_t off, unsigned len, uint64_t val)
{
	(void)off, (void)len;
	shim_end(obj, (uint32_t)val);
}

static const struct bus_ops shim_ops = { shim_read, shim_write };

int vm_shim_open(struct vm *vm)
{
	int r = bus_add(&vm->m.pio, SHIM_PORT, 4, &shim_ops, vm, "shim");

	return r < 0 ? log_errno(r, "shim's port") : 0;
}

void vm_shim_terminated(struct vm *vm, uint64_t ghcb_msr)
{
	unsigned set = ghcb_msr >> 12 & 0xf, code = ghcb_msr >> 16 & 0xff;
	const char *whose = "";

	if (set == SHIM_REASON_SET) {
		shim_end(vm, code);
		return;
	}
	if (set == 0)
		whose = " (GHCB specification, 2.3.1)";
	else if (set == 1)
		whose = " (Linux: GHCB_TERM_ of asm/sev-common.h)";
	log_err("the guest asked to be terminated: reason set %u, code %u%s",
		set, code, whose);
	machine_end(&vm->m, END_ERROR);
}
