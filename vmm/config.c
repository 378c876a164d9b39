/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/csv_abi.h"
#include "core/util.h"
#include "vmm/config_draft.h"

/*
 * DOC: Theory of operation
 *
 *   toml_load()      text to nodes            toml.c toml_scan.c config_toml.cc
 *   read_root()      nodes to struct config   here, by the table of
 *		      config_keys.c and the types of config_types.c
 *   config_check()   what concerns several keys, defaults    config_check.c
 *   config_check_host()  files, memory                       config_files.c
 *
 * The first problem in this order is the one that is told.
 */

/* How many bytes of UTF-8 are at @s? 0 = not one that a terminal shows. */
static unsigned utf8_len(const unsigned char *s)
{
	unsigned n = *s < 0x80	 ? 1
		     : *s < 0xc2 ? 0
		     : *s < 0xe0 ? 2
		     : *s < 0xf0 ? 3
		     : *s < 0xf5 ? 4
				 : 0;
	unsigned i;

	if (*s < ' ' || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0))
		return 0; /* C0, DEL, C1 */
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

/* Names and values come from outside: they must not drive a terminal. */
static void clean(char *text)
{
	unsigned char *s = (unsigned char *)text;

	while (*s) {
		unsigned n = utf8_len(s);

		if (!n)
			*s = '?';
		s += n ? n : 1;
	}
}

struct config_quote config_quote(const char *s)
{
	struct config_quote q;
	size_t len = strlen(s);

	if (len < sizeof(q.text))
		memcpy(q.text, s, len + 1);
	else
		snprintf(q.text, sizeof(q.text), "...%s",
			 s + len - (sizeof(q.text) - 4));
	return q;
}

static int say(struct config_draft *d, struct toml_pos at, const char *section,
	       const char *key, const char *fmt, va_list ap)
{
	struct config_quote file = config_quote(d->file);
	char *text = d->err->text;
	size_t size = sizeof(d->err->text), n;

	snprintf(text, size, "%s:%u:%u: %s%s%.40s%s", file.text, at.line,
		 at.column, section ? section : "", section && key ? "." : "",
		 key ? key : "", section || key ? ": " : "");
	n = strlen(text);
	vsnprintf(text + n, size - n, fmt, ap);
	clean(text);
	return -EINVAL;
}

int config_say(struct config_draft *d, struct toml_pos at, const char *section,
	       const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(d, at, section, key, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int config_say_key(struct config_draft *d, const struct config_key *key,
		   unsigned at, const char *fmt, ...)
{
	const char *section = config_sections[key->section].name;
	char *text = d->err->text;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	say(d, d->doc.node[at].at, *section ? section : NULL, key->name, fmt, ap);
	va_end(ap);
	n = strlen(text);
	snprintf(text + n, sizeof(d->err->text) - n, "; allowed: %s",
		 key->allowed);
	return -EINVAL;
}

struct toml_pos config_pos(const struct config_draft *d, unsigned table,
			   const char *key)
{
	unsigned at = toml_find(&d->doc, table, key);

	return d->doc.node[at ? at : table].at;
}

/* @object: what the key's offset counts from */
static int read_key(struct config_draft *d, enum config_section section,
		    unsigned at, void *object)
{
	const struct toml_node *n = &d->doc.node[at];
	unsigned i;

	for (i = 0; i < config_n_keys; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->section != section || strcmp(key->name, n->key) != 0)
			continue;
		if (n->type != key->type->toml)
			return config_say_key(d, key, at, "%s, not %s",
					      toml_type_words(n->type),
					      toml_type_words(key->type->toml));
		return key->type->set(d, key, at, (char *)object + key->offset);
	}
	return config_say_unknown(d, section, at);
}

int config_read_table(struct config_draft *d, enum config_section section,
		      unsigned table, void *object)
{
	unsigned i;
	int r = 0;

	for (i = toml_next(&d->doc, table, 0); i && !r;
	     i = toml_next(&d->doc, table, i))
		r = read_key(d, section, i, object);
	return r;
}

static int read_element(struct config_draft *d, enum config_section section,
			unsigned at)
{
	struct config *cfg = &d->cfg;

	if (section == SECTION_DISK) {
		d->disk[cfg->n_disks] = at;
		cfg->disk[cfg->n_disks].queues = 1;
		return config_read_table(d, section, at,
					 &cfg->disk[cfg->n_disks++]);
	}
	d->net[cfg->n_nets] = at;
	return config_read_table(d, section, at, &cfg->net[cfg->n_nets++]);
}

static int say_shape(struct config_draft *d, enum config_section section,
		     unsigned at)
{
	const struct toml_node *n = &d->doc.node[at];

	return config_say(d, n->at, NULL, config_sections[section].name,
			  "%s; allowed: %s, then its keys",
			  toml_type_words(n->type),
			  config_sections[section].label);
}

static int read_array(struct config_draft *d, enum config_section section,
		      unsigned array)
{
	unsigned i, n = 0;
	int r = 0;

	for (i = toml_next(&d->doc, array, 0); i && !r;
	     i = toml_next(&d->doc, array, i)) {
		if (d->doc.node[i].type != TOML_TABLE)
			return say_shape(d, section, i);
		if (n++ == config_sections[section].max)
			return config_say(d, d->doc.node[i].at, NULL,
					  config_sections[section].name,
					  "one too many; allowed: up to %u",
					  config_sections[section].max);
		r = read_element(d, section, i);
	}
	return r;
}

static int read_child(struct config_draft *d, unsigned at)
{
	const struct toml_node *n = &d->doc.node[at];
	unsigned s;

	for (s = SECTION_TOP + 1; s < SECTION_SECRET; s++) {
		bool many = config_sections[s].max;

		if (strcmp(config_sections[s].name, n->key) != 0)
			continue;
		if (n->type != (many ? TOML_ARRAY : TOML_TABLE))
			return say_shape(d, s, at);
		d->table[s] = at;
		return many ? read_array(d, s, at)
			    : config_read_table(d, s, at, d);
	}
	return read_key(d, SECTION_TOP, at, d);
}

static int read_root(struct config_draft *d)
{
	unsigned i;
	int r = 0;

	for (i = toml_next(&d->doc, 0, 0); i && !r; i = toml_next(&d->doc, 0, i))
		r = read_child(d, i);
	return r;
}

static struct config_at where(const struct config_draft *d, const char *key)
{
	struct toml_pos at = config_pos(d, 0, key);

	return (struct config_at){ at.line, at.column };
}

static int parse(struct config_draft *d, const char *text, size_t len)
{
	struct toml_error bad;
	int r;

	if (!d->cfg.file)
		return -ENOMEM;
	if (len > CONFIG_FILE_MAX)
		return config_say(d, (struct toml_pos){ 1, 1 }, NULL, NULL,
				  "file too large; allowed: up to %u KiB",
				  CONFIG_FILE_MAX >> 10);
	r = toml_load(text, len, &d->doc, &bad);
	if (r < 0) {
		clean(bad.text);
		config_say(d, bad.at, NULL, NULL, "%s", bad.text);
		return r;
	}
	d->cfg.kernel_at = where(d, "kernel");
	d->cfg.initrd_at = where(d, "initrd");
	d->cfg.cmdline_at = where(d, "cmdline");
	d->cfg.memory_at = where(d, "memory");
	r = read_root(d);
	return r < 0 ? r : config_check(d);
}

/* Takes @file_path over. */
static int load_text(const char *text, size_t len, const char *file,
		     char *file_path, const char *base, bool check_files,
		     struct config *ret_cfg, struct config_error *err)
{
	struct config_draft d = {
		.cfg = { .file = file_path,
			 .vcpus = 1,
			 .memory = MIB(512),
			 .migratable = true,
			 .sandbox = true,
			 .on_reboot = CONFIG_END_RESET,
			 .csv = { .policy = CSV_POLICY_NODBG },
			 .rng = true },
		.file = file,
		.base = base,
		.check_files = check_files,
		.err = err,
	};
	int r;

	snprintf(err->text, sizeof(err->text), "out of memory");
	r = parse(&d, text, len);
	toml_free(&d.doc);
	free(d.console_file);
	free(d.console_socket);
	if (r < 0) {
		config_fini(&d.cfg);
		return r;
	}
	err->text[0] = '\0';
	*ret_cfg = d.cfg;
	return 0;
}

/* malloc'ed @path, from @base if it is relative; NULL = out of memory. */
static char *path_join(const char *base, const char *path)
{
	char *joined;

	if (*path == '/')
		return strdup(path);
	return asprintf(&joined, "%s/%s", base, path) < 0 ? NULL : joined;
}

int config_parse(const char *text, unsigned long len, const char *file,
		 const char *base, bool check_files, struct config *ret_cfg,
		 struct config_error *err)
{
	return load_text(text, len, file, path_join(base, file), base,
			 check_files, ret_cfg, err);
}

/* A regular file's bytes, CONFIG_FILE_MAX + 1 at most. */
static int file_read(const char *path, char *buf, size_t *ret_len)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -ENOTSUP;
	do {
		n = read(fd, buf + len, CONFIG_FILE_MAX + 1 - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	} while (n && len <= CONFIG_FILE_MAX);
	*ret_len = len;
	return 0;
}

static int say_file(struct config_error *err, const char *path, int r)
{
	struct config_quote q = config_quote(path);

	if (r == -ENOTSUP)
		snprintf(err->text, sizeof(err->text), "%s: not a regular file",
			 q.text);
	else
		snprintf(err->text, sizeof(err->text), "%s: %s", q.text,
			 strerror(-r));
	clean(err->text);
	return r;
}

int config_load_as(const char *path, bool check_files, struct config *ret_cfg,
		   struct config_error *err)
{
	auto_free char *cwd = getcwd(NULL, 0);
	auto_free char *buf = malloc(CONFIG_FILE_MAX + 1);
	auto_free char *base = NULL;
	size_t len = 0;
	char *full;
	int r;

	if (!buf || !cwd)
		return say_file(err, path, buf ? -errno : -ENOMEM);
	r = file_read(path, buf, &len);
	if (r < 0)
		return say_file(err, path, r);
	full = path_join(cwd, path);
	/* The folder may be the root: then the base is "", and "" + "/x" fits. */
	base = full ? strndup(full, (size_t)(strrchr(full, '/') - full)) : NULL;
	if (!base) {
		free(full);
		return say_file(err, path, -ENOMEM);
	}
	return load_text(buf, len, path, full, base, check_files, ret_cfg, err);
}

int config_load(const char *path, struct config *ret_cfg, struct config_error *err)
{
	return config_load_as(path, true, ret_cfg, err);
}

void config_fini(struct config *cfg)
{
	unsigned i;

	free(cfg->file);
	free(cfg->name);
	free(cfg->kernel);
	free(cfg->initrd);
	free(cfg->cmdline);
	free(cfg->console_path);
	config_csv_fini(&cfg->csv);
	for (i = 0; i < cfg->n_disks; i++) {
		free(cfg->disk[i].path);
		free(cfg->disk[i].id);
	}
	for (i = 0; i < cfg->n_nets; i++) {
		free(cfg->net[i].tap);
		free(cfg->net[i].passt);
	}
	*cfg = (struct config){ 0 };
}
