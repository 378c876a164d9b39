/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"
#include "vmm/config_draft.h"

/* How each kind of value is checked and stored. The TOML type is right. */

static bool is_ascii_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static bool has_control(const char *s)
{
	for (; *s; s++) {
		if (is_control(*s))
			return true;
	}
	return false;
}

/* Letters, digits and _ . - only? */
static bool is_word(const char *s)
{
	for (; *s; s++) {
		if (!is_ascii_alnum(*s) && !strchr("_.-", *s))
			return false;
	}
	return true;
}

bool config_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= CONFIG_NAME_MAX && is_word(name) &&
	       (is_ascii_alnum(*name) || *name == '_');
}

static int say_bad(struct config_draft *d, const struct config_key *key,
		   unsigned at)
{
	struct config_quote q = config_quote(d->doc.node[at].text);

	return config_say_key(d, key, at, "\"%s\" can't be used", q.text);
}

static int keep(struct config_draft *d, const char *text, void *field)
{
	char *copy = strdup(text);

	if (!copy) {
		snprintf(d->err->text, sizeof(d->err->text), "out of memory");
		return -ENOMEM;
	}
	*(char **)field = copy;
	return 0;
}

static int set_bool(struct config_draft *d, const struct config_key *key,
		    unsigned at, void *field)
{
	(void)key;
	*(bool *)field = d->doc.node[at].boolean;
	return 0;
}

static int set_uint(struct config_draft *d, const struct config_key *key,
		    unsigned at, void *field)
{
	int64_t v = d->doc.node[at].integer;

	if (v < key->min || v > key->max)
		return config_say_key(d, key, at, "%" PRId64 " is out of range",
				      v);
	*(uint32_t *)field = (uint32_t)v;
	return 0;
}

static int find_word(struct config_draft *d, const struct config_key *key,
		     unsigned at)
{
	const char *text = d->doc.node[at].text;
	int i;

	for (i = 0; key->words[i]; i++) {
		if (!strcmp(text, key->words[i]))
			return i;
	}
	return config_say_key(d, key, at,
			      "\"%s\" is not supported by this version",
			      config_quote(text).text);
}

static int set_word(struct config_draft *d, const struct config_key *key,
		    unsigned at, void *field)
{
	int i = find_word(d, key, at);

	if (i < 0)
		return i;
	*(unsigned *)field = (unsigned)i; /* every enum here is one */
	return 0;
}

static int set_flag_word(struct config_draft *d, const struct config_key *key,
			 unsigned at, void *field)
{
	int i = find_word(d, key, at);

	if (i < 0)
		return i;
	*(bool *)field = i;
	return 0;
}

/* Digits, then one of K M G. Beyond CONFIG_MEMORY_MAX it is just "more". */
static bool size_parse(const char *s, uint64_t *ret_bytes)
{
	uint64_t v = 0;

	if (!isdigit((unsigned char)*s))
		return false;
	for (; isdigit((unsigned char)*s); s++)
		v = MIN(v * 10 + (uint64_t)(*s - '0'), CONFIG_MEMORY_MAX);
	if (!*s || s[1])
		return false;
	switch (*s) {
	case 'K':
		*ret_bytes = v << 10;
		return true;
	case 'M':
		*ret_bytes = v << 20;
		return true;
	case 'G': /* 2^40 units at most, so that 64 bits hold them */
		*ret_bytes = MIN(v, CONFIG_MEMORY_MAX >> 10) << 30;
		return true;
	}
	return false;
}

static int set_size(struct config_draft *d, const struct config_key *key,
		    unsigned at, void *field)
{
	const char *text = d->doc.node[at].text;
	struct config_quote q = config_quote(text);
	uint64_t bytes;

	if (!size_parse(text, &bytes))
		return config_say_key(d, key, at,
				      "\"%s\" is not a number with K, M or G",
				      q.text);
	if (bytes < CONFIG_MEMORY_MIN)
		return config_say_key(d, key, at, "\"%s\" is too small", q.text);
	if (bytes > CONFIG_MEMORY_MAX)
		return config_say_key(d, key, at, "\"%s\" is too large", q.text);
	*(uint64_t *)field = bytes;
	return 0;
}

static int set_path(struct config_draft *d, const struct config_key *key,
		    unsigned at, void *field)
{
	const char *text = d->doc.node[at].text;
	char path[PATH_MAX];
	int n;

	if (!*text)
		return config_say_key(d, key, at, "an empty path");
	if (has_control(text))
		return say_bad(d, key, at);
	n = snprintf(path, sizeof(path), "%s%s%s", *text == '/' ? "" : d->base,
		     *text == '/' ? "" : "/", text);
	if (n < 0 || (size_t)n >= sizeof(path))
		return config_say_key(d, key, at, "a path of %d bytes", n);
	return keep(d, path, field);
}

static int set_name(struct config_draft *d, const struct config_key *key,
		    unsigned at, void *field)
{
	if (!config_name_ok(d->doc.node[at].text))
		return say_bad(d, key, at);
	return keep(d, d->doc.node[at].text, field);
}

static int set_id(struct config_draft *d, const struct config_key *key,
		  unsigned at, void *field)
{
	const char *text = d->doc.node[at].text;
	size_t len = strlen(text);

	if (len < key->min || len > key->max || !is_word(text))
		return say_bad(d, key, at);
	return keep(d, text, field);
}

static int set_text(struct config_draft *d, const struct config_key *key,
		    unsigned at, void *field)
{
	const char *text = d->doc.node[at].text;
	size_t len = strlen(text);

	if (len > key->max)
		return config_say_key(d, key, at, "%zu bytes are too many", len);
	if (has_control(text))
		return config_say_key(d, key, at, "a control character in it");
	return keep(d, text, field);
}

/*
 * What the kernel takes as a name of an interface, without '%', which would
 * let it choose the number, and without what no terminal shows.
 */
static int set_tap(struct config_draft *d, const struct config_key *key,
		   unsigned at, void *field)
{
	const char *text = d->doc.node[at].text;
	size_t len = strlen(text);
	const char *c;

	if (len < key->min || len > key->max || !strcmp(text, ".") ||
	    !strcmp(text, ".."))
		return say_bad(d, key, at);
	for (c = text; *c; c++) {
		if (*c <= ' ' || *c > '~' || strchr("/:%", *c))
			return say_bad(d, key, at);
	}
	return keep(d, text, field);
}

static int set_mac(struct config_draft *d, const struct config_key *key,
		   unsigned at, void *field)
{
	static const uint8_t zero[6];
	const char *text = d->doc.node[at].text;
	uint8_t mac[6];
	unsigned i;

	if (strlen(text) != 17)
		return say_bad(d, key, at);
	for (i = 0; i < 17; i++) {
		bool ok = i % 3 == 2 ? text[i] == ':'
				     : isxdigit((unsigned char)text[i]) != 0;

		if (!ok)
			return say_bad(d, key, at);
	}
	for (i = 0; i < 6; i++)
		mac[i] = (uint8_t)strtoul(&text[3 * i], NULL, 16);
	if (mac[0] & 1)
		return config_say_key(d, key, at,
				      "\"%s\" is a multicast address", text);
	if (!memcmp(mac, zero, sizeof(mac)))
		return say_bad(d, key, at);
	memcpy(field, mac, sizeof(mac));
	return 0;
}

const struct config_type config_type_bool = { TOML_BOOLEAN, set_bool };
const struct config_type config_type_uint = { TOML_INTEGER, set_uint };
const struct config_type config_type_word = { TOML_STRING, set_word };
const struct config_type config_type_flag_word = { TOML_STRING, set_flag_word };
const struct config_type config_type_size = { TOML_STRING, set_size };
const struct config_type config_type_path = { TOML_STRING, set_path };
const struct config_type config_type_name = { TOML_STRING, set_name };
const struct config_type config_type_id = { TOML_STRING, set_id };
const struct config_type config_type_text = { TOML_STRING, set_text };
const struct config_type config_type_tap = { TOML_STRING, set_tap };
const struct config_type config_type_mac = { TOML_STRING, set_mac };
