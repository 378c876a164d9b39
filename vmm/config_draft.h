/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CONFIG_DRAFT_H
#define CSVVMM_VMM_CONFIG_DRAFT_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/config.h"
#include "vmm/toml.h"

/* Private to vmm/config*.c and its test. */

enum config_section {
	SECTION_TOP,
	SECTION_CSV,
	SECTION_DISK,
	SECTION_NET,
	SECTION_CONSOLE,
	SECTION_RNG,
	SECTION_SECRET, /* nested: read with its key of [csv] */
	SECTIONS
};

/**
 * struct config_draft - A configuration that is being read
 * @file:	As messages name it
 * @base:	Absolute folder of relative paths
 * @check_files: Look at this host: files and memory
 * @table:	Node of each single section; 0 = not in the file (or the root)
 * @disk, @net, @secret: Node of each [[disk]], [[net]], [[csv.secret]]
 * @console_stdio: As written, when it is
 */
struct config_draft {
	struct config cfg;
	const char *file;
	const char *base;
	bool check_files;
	struct toml_doc doc;
	unsigned table[SECTIONS];
	unsigned disk[CONFIG_DISKS_MAX];
	unsigned net[CONFIG_NETS_MAX];
	unsigned secret[CONFIG_SECRETS_MAX];
	bool console_stdio;
	char *console_file, *console_socket;
	struct config_error *err;
};

struct config_key;

/**
 * struct config_type - How the values of some keys look
 * @set:	Check node @at and store it at @field of the section's object
 */
struct config_type {
	enum toml_type toml;
	int (*set)(struct config_draft *d, const struct config_key *key,
		   unsigned at, void *field);
};

/**
 * struct config_key - One line of the table: all there is to know of a key
 * @offset:	Into struct config_disk, _net or _secret; else struct config_draft
 * @min, @max:	Of integers; of the length of strings
 * @words:	Of enumerations: NULL-terminated, index = value
 * @allowed:	Ends the messages about a bad value
 * @preset:	The default in words; NULL = the key must be there
 */
struct config_key {
	enum config_section section;
	const char *name;
	const struct config_type *type;
	size_t offset;
	uint32_t min, max;
	const char *const *words;
	const char *allowed;
	const char *preset;
	const char *help;
};

extern const struct config_key config_keys[];
extern const unsigned config_n_keys;

/* "[csv]", "[[disk]]", ... */
struct config_section_info {
	const char *name;
	const char *label;
	unsigned max; /* 0 = a single [table] */
};
extern const struct config_section_info config_sections[SECTIONS];

extern const struct config_type config_type_bool, config_type_uint,
	config_type_word, config_type_flag_word, config_type_size,
	config_type_path, config_type_name, config_type_id, config_type_text,
	config_type_tap, config_type_mac, config_type_policy, config_type_api,
	config_type_secrets, config_type_address;

/* vmm/config.c: the keys of node @table go to @object */
int config_read_table(struct config_draft *d, enum config_section section,
		      unsigned table, void *object);

/* Shortened for a message: the end of a long text counts most. */
struct config_quote {
	char text[100];
};
struct config_quote config_quote(const char *s);

/**
 * config_say() - "FILE:LINE:COL: KEY: what is wrong; what is allowed"
 * @at:		Node, or 0 for the file as a whole
 * @section, @key: May both be NULL
 *
 * Return: -EINVAL
 */
int config_say(struct config_draft *d, struct toml_pos at, const char *section,
	       const char *key, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* The same about a key of the table whose value is node @at. */
int config_say_key(struct config_draft *d, const struct config_key *key,
		   unsigned at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Where @key of @table is written; the table itself when it is not. */
struct toml_pos config_pos(const struct config_draft *d, unsigned table,
			   const char *key);

/* vmm/config_suggest.c: message for an unknown key; -EINVAL */
int config_say_unknown(struct config_draft *d, enum config_section section,
		       unsigned at);

/* vmm/config_check.c: what concerns more than one key; fills defaults */
int config_check(struct config_draft *d);

/* vmm/config_csv.c: section [csv] as a whole. Parts of config_check(). */
int config_check_csv(struct config_draft *d);
void config_csv_fini(struct config_csv *csv);

/* vmm/config_swiotlb.c: "reboot=acpi swiotlb=N" in front of the command line. */
int config_add_swiotlb(struct config_draft *d);

/* vmm/config_files.c: what this host has. Part of config_check(). */
int config_check_host(struct config_draft *d);

/* Is @name usable as a guest's name? */
bool config_name_ok(const char *name);

#endif
