/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/toml.h"

/*
 * DOC: Theory of operation
 *
 * The parser recurses once for each bracket and for each part of a dotted
 * key, and so do the destructors of what it builds; toml++ before 3.5 has no
 * limit for keys. So depth is measured here first, with a lexer that knows
 * strings, comments and brackets of [TOML] 1.0 and nothing else.
 *
 * Where a text is not valid TOML the lexer may lose track. That is harmless:
 * up to the first fault both agree, and at the fault the parser stops.
 * Agreement needs one thing more: toml++ ends a comment at VT and FF too, so
 * control bytes are refused, which [TOML] "Comment" and "String" demand
 * anyway.
 */

struct scan {
	const char *p, *end;
	struct toml_pos at;
	unsigned depth; /* open brackets */
	unsigned parts; /* of the dotted key that may be going on */
};

static void scan_step(struct scan *s)
{
	unsigned char c = (unsigned char)*s->p++;

	if (c == '\n') {
		s->at.line++;
		s->at.column = 1;
	} else if ((c & 0xc0) != 0x80) { /* not inside a UTF-8 sequence */
		s->at.column++;
	}
}

static bool scan_sees(const struct scan *s, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(s->end - s->p) >= n && !memcmp(s->p, word, n);
}

static void scan_comment(struct scan *s)
{
	while (s->p < s->end && *s->p != '\n')
		scan_step(s);
}

/*
 * At a backslash: go behind the byte that it protects. At a line's end it
 * protects none: it takes all blanks with it.
 */
static void scan_escape(struct scan *s, bool multi)
{
	const char *first;

	scan_step(s);
	first = s->p;
	while (multi && s->p < s->end && strchr(" \t\r\n", *s->p))
		scan_step(s);
	if (s->p < s->end && s->p == first)
		scan_step(s);
}

/* At the first quote: go behind the string's end. */
static void scan_string(struct scan *s)
{
	char quote = *s->p;
	const char mark[4] = { quote, quote, quote, '\0' };
	bool multi = scan_sees(s, mark);
	unsigned i;

	for (i = 0; i < (multi ? 3 : 1); i++)
		scan_step(s);
	while (s->p < s->end) {
		if (multi ? scan_sees(s, mark) : *s->p == quote)
			break;
		if (!multi && *s->p == '\n')
			return; /* not terminated: the parser will say so */
		if (*s->p != '\\' || quote != '"') {
			scan_step(s);
			continue;
		}
		scan_escape(s, multi);
	}
	/* Up to two quotes more may stand before the closing three. */
	for (i = 0; i < (multi ? 5 : 1) && s->p < s->end; i++) {
		if (*s->p != quote)
			return;
		scan_step(s);
	}
}

static void scan_mark(struct scan *s)
{
	switch (*s->p) {
	case '[':
	case '{':
		s->depth++;
		s->parts = 0;
		break;
	case ']':
	case '}':
		if (s->depth)
			s->depth--;
		s->parts = 0;
		break;
	case '.':
		s->parts++;
		break;
	case '=':
	case ',':
	case '\n':
		s->parts = 0;
		break;
	}
	scan_step(s);
}

static int scan_bytes(const char *text, size_t len, struct toml_error *err)
{
	struct scan s = { .p = text, .end = text + len, .at = { 1, 1 } };

	while (s.p < s.end) {
		unsigned char c = (unsigned char)*s.p;
		bool crlf = c == '\r' && s.end - s.p > 1 && s.p[1] == '\n';

		if (c == 0x7f || (c < ' ' && c != '\t' && c != '\n' && !crlf)) {
			err->at = s.at;
			snprintf(err->text, sizeof(err->text),
				 "control byte 0x%02x; allowed: tab, LF, CR LF",
				 c);
			return -EINVAL;
		}
		scan_step(&s);
	}
	return 0;
}

static int scan_depth(const char *text, size_t len, struct toml_error *err)
{
	struct scan s = { .p = text, .end = text + len, .at = { 1, 1 } };

	while (s.p < s.end) {
		err->at = s.at;
		if (*s.p == '#')
			scan_comment(&s);
		else if (*s.p == '"' || *s.p == '\'')
			scan_string(&s);
		else
			scan_mark(&s);
		if (s.depth > TOML_DEPTH_MAX || s.parts >= TOML_DEPTH_MAX) {
			snprintf(err->text, sizeof(err->text),
				 "nested too deep; allowed: %d levels",
				 TOML_DEPTH_MAX);
			return -EINVAL;
		}
	}
	return 0;
}

int toml_scan(const char *text, size_t len, struct toml_error *err)
{
	int r = scan_bytes(text, len, err);

	return r < 0 ? r : scan_depth(text, len, err);
}
