/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "core/util.h"
#include "vmm/config_draft.h"

/* What concerns more than one key, and the defaults that are not constants. */

static int out_of_memory(struct config_draft *d)
{
	snprintf(d->err->text, sizeof(d->err->text), "out of memory");
	return -ENOMEM;
}

static int check_name(struct config_draft *d)
{
	static const char suffix[] = ".toml";
	struct config *cfg = &d->cfg;
	const char *base = strrchr(cfg->file, '/');
	size_t len;

	if (cfg->name)
		return 0;
	base = base ? base + 1 : cfg->file;
	len = strlen(base);
	if (len > strlen(suffix) && !strcmp(base + len - strlen(suffix), suffix))
		len -= strlen(suffix);
	cfg->name = strndup(base, len);
	if (!cfg->name)
		return out_of_memory(d);
	if (!config_name_ok(cfg->name))
		return config_say(d, d->doc.node[0].at, NULL, "name",
				  "missing, and the file's name can't be used; "
				  "add name = \"...\" of A-Z a-z 0-9 _ . -");
	return 0;
}

static int check_top(struct config_draft *d)
{
	struct config *cfg = &d->cfg;
	uint64_t unit = cfg->hugepages ? MIB(2) : PAGE_SIZE;
	int r;

	r = check_name(d);
	if (r < 0)
		return r;
	if (!cfg->kernel)
		return config_say(d, d->doc.node[0].at, NULL, "kernel",
				  "missing; add kernel = \"PATH\" %s",
				  config_sections[SECTION_TOP].label);
	if (cfg->memory % unit)
		return config_say(d, config_pos(d, 0, "memory"), NULL, "memory",
				  "%" PRIu64 " KiB is no whole number of pages; "
				  "allowed: multiples of %" PRIu64
				  " KiB with hugepages = %s",
				  cfg->memory >> 10, unit >> 10,
				  cfg->hugepages ? "true" : "false");
	if (cfg->cmdline)
		return 0;
	cfg->cmdline = strdup("");
	return cfg->cmdline ? 0 : out_of_memory(d);
}

/* sun_path holds no more; the kernel would refuse, bind() or connect(). */
static int check_socket_len(struct config_draft *d, struct toml_pos at,
			    const char *section, const char *key,
			    const char *path)
{
	const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (!path || strlen(path) <= max)
		return 0;
	return config_say(d, at, section, key,
			  "a path of %zu bytes; a socket's has at most %zu",
			  strlen(path), max);
}

static int check_disk(struct config_draft *d, unsigned i)
{
	struct config_disk *disk = &d->cfg.disk[i];
	unsigned j;

	if (!disk->path)
		return config_say(d, d->doc.node[d->disk[i]].at, "disk", "path",
				  "missing; add path = \"PATH\"");
	if (!disk->id && asprintf(&disk->id, "disk%u", i) < 0) {
		disk->id = NULL;
		return out_of_memory(d);
	}
	for (j = 0; j < i; j++) {
		const struct config_disk *other = &d->cfg.disk[j];

		if (!strcmp(disk->id, other->id))
			return config_say(d, config_pos(d, d->disk[i], "id"),
					  "disk", "id",
					  "\"%s\" names two disks; each needs "
					  "its own",
					  disk->id);
		if (strcmp(disk->path, other->path) != 0 ||
		    (disk->readonly && other->readonly))
			continue;
		return config_say(d, config_pos(d, d->disk[i], "path"), "disk",
				  "path",
				  "the same as an earlier disk's; allowed "
				  "only if both are readonly");
	}
	return 0;
}

/*
 * The same name and number give the same address at each start and on each
 * host, so that a guest keeps its leases. FNV-1a; bits of the first byte:
 * locally administered, unicast.
 */
static void mac_derive(uint8_t *mac, const char *name, unsigned index)
{
	uint64_t h = 0xcbf29ce484222325;
	unsigned i;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3;
	h = (h ^ '/') * 0x100000001b3;
	h = (h ^ index) * 0x100000001b3;
	h ^= h >> 32; /* FNV's low bits know little of the last bytes */
	for (i = 0; i < 6; i++)
		mac[i] = (uint8_t)(h >> (8 * i));
	mac[0] = (uint8_t)((mac[0] & ~1u) | 2u);
}

static bool is_same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static int check_net_pair(struct config_draft *d, unsigned i, unsigned j)
{
	const struct config_net *a = &d->cfg.net[j], *b = &d->cfg.net[i];

	if (!memcmp(a->mac, b->mac, sizeof(a->mac)))
		return config_say(d, config_pos(d, d->net[i], "mac"), "net",
				  "mac",
				  "the same as an earlier interface's; each "
				  "needs its own");
	if (is_same(a->tap, b->tap))
		return config_say(d, config_pos(d, d->net[i], "tap"), "net",
				  "tap",
				  "the same as an earlier interface's; each "
				  "needs its own");
	if (is_same(a->passt, b->passt))
		return config_say(d, config_pos(d, d->net[i], "passt"), "net",
				  "passt",
				  "the same as an earlier interface's; each "
				  "needs its own");
	return 0;
}

static int check_net(struct config_draft *d, unsigned i)
{
	static const uint8_t unset[6];
	struct config_net *net = &d->cfg.net[i];
	unsigned j;
	int r;

	if (!net->tap == !net->passt)
		return config_say(d, d->doc.node[d->net[i]].at, "net", NULL,
				  "%s; allowed: exactly one of tap and passt",
				  net->tap ? "both tap and passt"
					   : "neither tap nor passt");
	r = check_socket_len(d, config_pos(d, d->net[i], "passt"), "net",
			     "passt", net->passt);
	if (r < 0)
		return r;
	if (!memcmp(net->mac, unset, sizeof(unset)))
		mac_derive(net->mac, d->cfg.name, i);
	for (j = 0; j < i && !r; j++)
		r = check_net_pair(d, i, j);
	return r;
}

static int check_console(struct config_draft *d)
{
	struct config *cfg = &d->cfg;
	unsigned table = d->table[SECTION_CONSOLE];
	bool said = table && toml_find(&d->doc, table, "stdio");
	bool stdio = said && d->console_stdio;

	if (stdio + !!d->console_file + !!d->console_socket > 1)
		return config_say(d, d->doc.node[table].at, "console", NULL,
				  "more than one place; allowed: one of stdio = "
				  "true, file and socket");
	if (d->console_file) {
		cfg->console = CONSOLE_FILE;
		cfg->console_path = d->console_file;
		d->console_file = NULL;
		return 0;
	}
	if (d->console_socket) {
		cfg->console = CONSOLE_SOCKET;
		cfg->console_path = d->console_socket;
		d->console_socket = NULL;
		return check_socket_len(d, config_pos(d, table, "socket"),
					"console", "socket", cfg->console_path);
	}
	cfg->console = said && !stdio ? CONSOLE_NONE : CONSOLE_STDIO;
	return 0;
}

/* What the guest has written over since can't be measured again in place. */
static int check_reset(struct config_draft *d)
{
	const struct config_csv *csv = &d->cfg.csv;

	if (d->cfg.reset != CONFIG_RESET_IN_PLACE ||
	    csv->type == CONFIG_CSV_NONE ||
	    (csv->backend == CONFIG_CSV_KVM &&
	     csv->measure == CONFIG_MEASURE_SHIM))
		return 0;
	return config_say(
		d, config_pos(d, 0, "reset"), "reset", NULL,
		"\"in-place\" can't be done with measure = \"all\" or backend = \"model\"; allowed: \"auto\" or \"relaunch\"");
}

int config_check(struct config_draft *d)
{
	unsigned i;
	int r;

	r = check_top(d);
	for (i = 0; i < d->cfg.n_disks && !r; i++)
		r = check_disk(d, i);
	for (i = 0; i < d->cfg.n_nets && !r; i++)
		r = check_net(d, i);
	if (!r)
		r = check_console(d);
	if (!r)
		r = config_check_csv(d);
	if (!r)
		r = check_reset(d);
	if (!r && d->check_files)
		r = config_check_host(d);
	return r;
}
