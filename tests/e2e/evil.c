/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile host, as a library to preload: one bit of what a launch measures is
 * another one than the VMM gave. EVIL=data0, data1, ...: of the N-th
 * LAUNCH_UPDATE_DATA; EVIL=regs, sregs: of a register before it goes to the VMSA.
 */
#define _GNU_SOURCE
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAUNCH_UPDATE_DATA 3

static void data(const char *evil, const struct kvm_sev_cmd *cmd)
{
	static int n;
	const struct kvm_sev_launch_update_data *d = (const void *)(uintptr_t)cmd->data;

	if (cmd->id == LAUNCH_UPDATE_DATA && n++ == atoi(evil + 4))
		*((uint8_t *)(uintptr_t)d->uaddr + d->len / 2) ^= 0x10;
}

int ioctl(int fd, unsigned long request, ...)
{
	const char *evil = getenv("EVIL");
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (evil && request == KVM_MEMORY_ENCRYPT_OP && !strncmp(evil, "data", 4))
		data(evil, arg);
	if (evil && request == KVM_SET_REGS && !strcmp(evil, "regs"))
		((struct kvm_regs *)arg)->rbx ^= 1;
	if (evil && request == KVM_SET_SREGS && !strcmp(evil, "sregs"))
		((struct kvm_sregs *)arg)->gdt.base ^= 0x1000;
	return (int)syscall(SYS_ioctl, fd, request, arg);
}
