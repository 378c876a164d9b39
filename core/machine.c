/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/machine.h"

#include <linux/kvm.h>

#include "core/kvm.h"

void machine_end(struct machine *m, enum end_reason why)
{
	if (m->end == END_NONE && m->outlives && m->outlives(m, why))
		return;
	if (m->end == END_NONE)
		m->end = why;
	loop_stop(&m->loop);
}

int machine_ioeventfd(struct machine *m, uint64_t addr, unsigned len, int fd,
		      bool assign)
{
	struct kvm_ioeventfd args = {
		.addr = addr,
		.len = len,
		.fd = fd,
		.flags = assign ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	return kvm_ioctl(m->vm_fd, KVM_IOEVENTFD, &args);
}
