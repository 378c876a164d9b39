/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/toml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

static const char *const type_words[] = {
	[TOML_TABLE] = "a table",	[TOML_ARRAY] = "an array",
	[TOML_STRING] = "a string",	[TOML_INTEGER] = "an integer",
	[TOML_FLOAT] = "a float",	[TOML_BOOLEAN] = "a boolean",
	[TOML_TIME] = "a date or time",
};

const char *toml_type_words(enum toml_type type)
{
	return type_words[type];
}

int toml_copy(const char *s, size_t len, char **ret)
{
	char *copy;

	if (memchr(s, '\0', len))
		return -EINVAL;
	copy = strndup(s, len);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

static int doc_grow(struct toml_doc *doc)
{
	unsigned room = MIN(MAX(2 * doc->room, 64u), (unsigned)TOML_NODES_MAX);
	struct toml_node *node;

	if (doc->n == TOML_NODES_MAX)
		return -E2BIG;
	node = realloc(doc->node, room * sizeof(*node));
	if (!node)
		return -ENOMEM;
	doc->node = node;
	doc->room = room;
	return 0;
}

int toml_add(struct toml_doc *doc, unsigned parent, const char *key,
	     size_t key_len)
{
	char *copy = NULL;
	int r = 0;

	if (doc->n == doc->room)
		r = doc_grow(doc);
	if (!r && key)
		r = toml_copy(key, key_len, &copy);
	if (r < 0)
		return r;
	doc->node[doc->n] = (struct toml_node){ .key = copy, .parent = parent };
	return (int)doc->n++;
}

void toml_free(struct toml_doc *doc)
{
	unsigned i;

	for (i = 0; i < doc->n; i++) {
		free(doc->node[i].key);
		free(doc->node[i].text);
	}
	free(doc->node);
	*doc = (struct toml_doc){ 0 };
}

/*
 * The parser reads from front to back, so the fault is the last byte of the
 * shortest beginning that makes it stumble.
 */
static void find_fault(const char *text, size_t len, struct toml_pos *ret_at)
{
	struct toml_pos at = { 1, 1 };
	size_t good = 0, bad = len, i;

	while (bad - good > 1) {
		size_t mid = good + (bad - good) / 2;
		struct toml_doc doc = { 0 };
		struct toml_error err;

		if (toml_parse(text, mid, &doc, &err) == -EILSEQ)
			bad = mid;
		else
			good = mid;
		toml_free(&doc);
	}
	for (i = 0; i < good; i++) {
		at.column += ((unsigned char)text[i] & 0xc0) != 0x80;
		if (text[i] == '\n')
			at = (struct toml_pos){ at.line + 1, 1 };
	}
	*ret_at = at;
}

int toml_load(const char *text, size_t len, struct toml_doc *ret_doc,
	      struct toml_error *err)
{
	struct toml_doc doc = { 0 };
	int r;

	r = toml_scan(text, len, err);
	if (r < 0)
		return r;
	r = toml_parse(text, len, &doc, err);
	if (r == -EILSEQ) {
		find_fault(text, len, &err->at);
		r = -EINVAL;
	}
	if (r < 0) {
		toml_free(&doc);
		return r;
	}
	*ret_doc = doc;
	return 0;
}

unsigned toml_next(const struct toml_doc *doc, unsigned parent, unsigned prev)
{
	unsigned i;

	/* A child stands behind its parent, and the root is nobody's child. */
	for (i = MAX(prev, parent) + 1; i < doc->n; i++) {
		if (doc->node[i].parent == parent)
			return i;
	}
	return 0;
}

unsigned toml_find(const struct toml_doc *doc, unsigned parent, const char *key)
{
	unsigned i;

	for (i = toml_next(doc, parent, 0); i; i = toml_next(doc, parent, i)) {
		if (doc->node[i].key && !strcmp(doc->node[i].key, key))
			return i;
	}
	return 0;
}
