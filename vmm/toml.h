/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_TOML_H
#define CSVVMM_VMM_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * TOML 1.0 text as a flat array of nodes; no policy. toml_load() is the only
 * door to the C++ parser: no exception gets out of it.
 */

#define TOML_NODES_MAX 2048
/* Brackets inside one another; parts of one dotted key. */
#define TOML_DEPTH_MAX 16

enum toml_type {
	TOML_TABLE,
	TOML_ARRAY,
	TOML_STRING,
	TOML_INTEGER,
	TOML_FLOAT,
	TOML_BOOLEAN,
	TOML_TIME, /* date, time or both */
};

struct toml_pos {
	unsigned line, column; /* from 1; columns are code points */
};

/**
 * struct toml_node - One value
 * @key:	Its name; NULL for the root and for elements of arrays
 * @parent:	Index of the table or array around it; the root's is 0
 * @text:	Of a string: NUL-terminated, holds no other NUL
 * @key_at:	Where the key is written; elements and the root: as @at
 * @at:		Where the value is written
 */
struct toml_node {
	char *key;
	unsigned parent;
	enum toml_type type;
	char *text;
	int64_t integer;
	bool boolean;
	struct toml_pos key_at, at;
};

/* Node 0 is the root table; parents come before children, and the children
 * of a table are in the order of the file. */
struct toml_doc {
	struct toml_node *node;
	unsigned n, room;
};

struct toml_error {
	struct toml_pos at;
	char text[256]; /* may hold any byte of the input */
};

/**
 * toml_scan() - Refuse what could hurt the parser: control bytes, and depth
 * beyond TOML_DEPTH_MAX (it recurses once a level, without a limit for keys)
 *
 * Return: 0, or -EINVAL with @err
 */
int toml_scan(const char *text, size_t len, struct toml_error *err);

/**
 * toml_load() - Parse a whole text (UTF-8)
 *
 * Return: 0 with *ret_doc, which toml_free() frees; -EINVAL with @err;
 * -ENOMEM with @err
 */
int toml_load(const char *text, size_t len, struct toml_doc *ret_doc,
	      struct toml_error *err);

/* The step inside toml_load() that is C++; called after toml_scan(). -EILSEQ:
 * the parser stumbled over a fault and did not tell where. */
int toml_parse(const char *text, size_t len, struct toml_doc *doc,
	       struct toml_error *err);

/**
 * toml_add() - Append a node (for toml_parse())
 * @key:	NULL, or @key_len bytes that are copied
 *
 * Return: its index, -E2BIG at TOML_NODES_MAX, or -ENOMEM
 */
int toml_add(struct toml_doc *doc, unsigned parent, const char *key,
	     size_t key_len);

/* Copy of @len bytes as C string; -EINVAL when there is a NUL in it. */
int toml_copy(const char *s, size_t len, char **ret);

void toml_free(struct toml_doc *doc);

/* Next child of @parent after @prev (0 = first); 0 = no more. */
unsigned toml_next(const struct toml_doc *doc, unsigned parent, unsigned prev);

/* Child of the table @parent named @key; 0 = none. */
unsigned toml_find(const struct toml_doc *doc, unsigned parent, const char *key);

/* "a string", "an array", ... */
const char *toml_type_words(enum toml_type type);

#ifdef __cplusplus
}
#endif
#endif
