/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an encrypted guest says when it gives up. */
#include "core/log.h"
#include "shim/shim.h"
#include "vmm/vm.h"
#include "vmm/vm_csv.h"

static void shim_end(struct vm *vm, uint32_t code)
{
	struct boot_error text;

	boot_shim_words(&vm->boot, code, &text);
	/* Its own words: whoever has the guest's memory could have put them in. */
	log_err("the guest's first code (shim) says that it gave up: %s",
		text.text);
	machine_end(&vm->m, END_TERMINATED);
}

/*
 * The shim gives up as the first that anybody hears of its guest. Once Linux
 * has talked to a device (@own: accesses of the shim itself), or the guest came
 * from another host, somebody else uses the shim's words.
 */
static bool shim_is_over(const struct vm *vm, uint64_t own)
{
	return (vm->incoming && !vm->reset.count) ||
	       vm->exits[VM_EXIT_PORT] > own || vm->exits[VM_EXIT_MMIO] ||
	       vm->exits[VM_EXIT_HYPERCALL] || vm->exits[VM_EXIT_MSR];
}

static uint64_t shim_read(void *obj, uint64_t off, unsigned len)
{
	(void)obj, (void)off, (void)len;
	return UINT64_MAX;
}

static void shim_write(void *obj, uint64_t off, unsigned len, uint64_t val)
{
	struct vm *vm = obj;

	if (off || len != 4 || shim_is_over(vm, 1))
		log_guest("port %#x: %u bytes are ignored, they are not the shim's",
			  SHIM_PORT + (unsigned)off, len);
	else
		shim_end(vm, (uint32_t)val);
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

	if (set == SHIM_REASON_SET && !shim_is_over(vm, 0)) {
		shim_end(vm, code);
		return;
	}
	if (set == 0)
		whose = " (GHCB specification, 2.3.1)";
	else if (set == 1)
		whose = " (Linux: GHCB_TERM_ of asm/sev-common.h)";
	log_err("the guest asked to be terminated: reason set %u, code %u%s",
		set, code, whose);
	machine_end(&vm->m, END_TERMINATED);
}
