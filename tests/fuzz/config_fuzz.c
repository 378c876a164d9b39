/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config.h"

/*
 * guest.toml from hostile hands. A text is either refused in one clean line,
 * or gives a configuration that keeps the promises of vmm/config.h.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
	if (!ok)
		abort();
}

static void check_refusal(const struct config_error *err)
{
	const unsigned char *c = (const unsigned char *)err->text;

	need(!memcmp(c, "fuzz.toml:", 10));
	for (; *c; c++)
		need(*c >= ' ' && *c != 0x7f);
}

static void check_config(const struct config *cfg)
{
	unsigned i;

	need(cfg->name && *cfg->name && strlen(cfg->name) <= CONFIG_NAME_MAX);
	need(!strchr(cfg->name, '/'));
	need(cfg->vcpus >= 1 && cfg->vcpus <= CONFIG_VCPUS_MAX);
	need(cfg->memory >= CONFIG_MEMORY_MIN &&
	     cfg->memory <= CONFIG_MEMORY_MAX && cfg->memory % 4096 == 0);
	need(cfg->kernel && cfg->kernel[0] == '/');
	need(cfg->cmdline && strlen(cfg->cmdline) <= CONFIG_CMDLINE_MAX);
	need(cfg->n_disks <= CONFIG_DISKS_MAX && cfg->n_nets <= CONFIG_NETS_MAX);
	for (i = 0; i < cfg->n_disks; i++) {
		need(cfg->disk[i].path && cfg->disk[i].path[0] == '/');
		need(cfg->disk[i].id && strlen(cfg->disk[i].id) <= 20);
		need(cfg->disk[i].queues >= 1 && cfg->disk[i].queues <= 16);
	}
	for (i = 0; i < cfg->n_nets; i++) {
		need(!cfg->net[i].tap != !cfg->net[i].passt);
		need(!(cfg->net[i].mac[0] & 1));
	}
	need((cfg->console == CONSOLE_FILE || cfg->console == CONSOLE_SOCKET) ==
	     !!cfg->console_path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_error err;
	struct config cfg;

	if (config_parse((const char *)data, size, "fuzz.toml", "/fuzz", false,
			 &cfg, &err) < 0) {
		check_refusal(&err);
		return 0;
	}
	check_config(&cfg);
	config_fini(&cfg);
	return 0;
}
