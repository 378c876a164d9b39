/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_HOST_MEMORY_H
#define CSVVMM_VMM_HOST_MEMORY_H

#include <stdint.h>

struct config;

/**
 * host_memory_need() - What a guest takes of this host's MemAvailable
 *
 * Its memory, unless huge pages hold it: those are set aside. A two hundred and
 * fifty-sixth of it for page tables and KVM's list of pinned pages, and 16 MiB
 * for the VMM.
 */
uint64_t host_memory_need(const struct config *cfg);

/* Bytes of MemAvailable in @text, which is /proc/meminfo. Return: 0 or -ENOENT */
int host_memory_parse(const char *text, uint64_t *ret_bytes);

/**
 * host_memory_check() - Is there room for the guest now?
 *
 * All memory of an encrypted guest is pinned, and no part of it can be swapped
 * out: the host's OOM killer would end this guest, or another. A plain guest may
 * never use what it has: only a warning. Where /proc tells nothing: yes.
 *
 * Return: 0, or -ENOMEM; logged
 */
int host_memory_check(const struct config *cfg);

#endif
