/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/host_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/config.h"

#define PART  256
#define FIXED MIB(16)

uint64_t host_memory_need(const struct config *cfg)
{
	return (cfg->hugepages ? 0 : cfg->memory) + cfg->memory / PART + FIXED;
}

int host_memory_parse(const char *text, uint64_t *ret_bytes)
{
	static const char key[] = "MemAvailable:";
	const char *at = strstr(text, key);
	char *end;
	uint64_t kib;

	if (!at)
		return -ENOENT;
	kib = strtoull(at + strlen(key), &end, 10);
	if (strncmp(end, " kB", 3) != 0)
		return -ENOENT;
	*ret_bytes = kib << 10;
	return 0;
}

static int available(uint64_t *ret_bytes)
{
	auto_fd int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	char text[8192];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return -errno;
	text[n] = 0;
	return host_memory_parse(text, ret_bytes);
}

int host_memory_check(const struct config *cfg)
{
	unsigned long long need = host_memory_need(cfg), have;
	uint64_t bytes = UINT64_MAX;

	if (available(&bytes) < 0 || need <= bytes)
		return 0;
	have = bytes >> 20;
	need = (need + MIB(1) - 1) >> 20;
	if (cfg->csv.type == CONFIG_CSV_NONE) {
		log_warn("memory: the guest can use %llu MiB, this host has %llu MiB available now",
			 need, have);
		return 0;
	}
	log_err("memory: an encrypted guest's is pinned: it needs %llu MiB with what belongs to it%s, and this host has %llu MiB available now (MemAvailable); lower memory, or end something else",
		need, cfg->hugepages ? ", beside its huge pages" : "", have);
	return -ENOMEM;
}
