/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"
#include "vmm/config_draft.h"

/* What did they mean? One message for each unknown key. */

#define WORD_MAX 32 /* longer ones are like nothing we know */

/*
 * Edits (insert, delete, replace, swap two neighbours) from @a to @b; a word
 * and its beginning count as one edit apart ("mem", "memory").
 */
static unsigned distance(const char *a, const char *b)
{
	unsigned n[3][WORD_MAX + 1]; /* rows i - 2, i - 1, i; modulo 3 */
	size_t la = strlen(a), lb = strlen(b), i, j;

	if (la > WORD_MAX || lb > WORD_MAX)
		return UINT_MAX;
	if (MIN(la, lb) >= 3 && !strncmp(a, b, MIN(la, lb)))
		return 1;
	for (j = 0; j <= lb; j++)
		n[0][j] = (unsigned)j;
	for (i = 1; i <= la; i++) {
		unsigned *row = n[i % 3];
		const unsigned *up = n[(i - 1) % 3], *up2 = n[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (j = 1; j <= lb; j++) {
			row[j] = MIN(up[j], row[j - 1]) + 1;
			row[j] = MIN(row[j], up[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = MIN(row[j], up2[j - 2] + 1);
		}
	}
	return n[la % 3][lb];
}

static bool is_near(unsigned edits, const char *word)
{
	return edits <= 1 + strlen(word) / 4;
}

static const struct config_key *find_near(enum config_section section,
					  const char *word, unsigned *best)
{
	const struct config_key *found = NULL;
	unsigned i;

	for (i = 0; i < config_n_keys; i++) {
		unsigned edits = distance(word, config_keys[i].name);

		if (config_keys[i].section != section || edits >= *best)
			continue;
		*best = edits;
		found = &config_keys[i];
	}
	return is_near(*best, word) ? found : NULL;
}

/* A known key, but of another place: TOML keys go to the last [section]. */
static const struct config_key *find_elsewhere(const char *word)
{
	unsigned i;

	for (i = 0; i < config_n_keys; i++) {
		if (!strcmp(word, config_keys[i].name))
			return &config_keys[i];
	}
	return NULL;
}

static const char *find_near_section(const char *word, unsigned best)
{
	const char *found = NULL;
	unsigned i;

	for (i = SECTION_TOP + 1; i < SECTION_SECRET; i++) {
		unsigned edits = distance(word, config_sections[i].name);

		if (edits >= best || !is_near(edits, word))
			continue;
		best = edits;
		found = config_sections[i].label;
	}
	return found;
}

static void list_add(char *list, size_t size, const char *word)
{
	size_t len = strlen(list);

	snprintf(list + len, size - len, "%s%s", len ? ", " : "", word);
}

static void list_keys(char *list, size_t size, enum config_section section)
{
	unsigned i;

	list[0] = '\0';
	for (i = 0; i < config_n_keys; i++) {
		if (config_keys[i].section == section)
			list_add(list, size, config_keys[i].name);
	}
	if (section != SECTION_TOP)
		return;
	for (i = SECTION_TOP + 1; i < SECTION_SECRET; i++)
		list_add(list, size, config_sections[i].label);
}

int config_say_unknown(struct config_draft *d, enum config_section section,
		       unsigned at)
{
	const struct toml_node *n = &d->doc.node[at];
	const char *in = section == SECTION_TOP ? NULL
						: config_sections[section].name;
	const struct config_key *key;
	unsigned best = UINT_MAX;
	const char *label = NULL;
	char list[256];

	key = find_elsewhere(n->key);
	if (key)
		return config_say(d, n->key_at, in, n->key,
				  "unknown key here; \"%s\" belongs %s%s",
				  key->name,
				  key->section == SECTION_TOP ? "" : "in ",
				  config_sections[key->section].label);
	key = find_near(section, n->key, &best);
	if (section == SECTION_TOP)
		label = find_near_section(n->key, best);
	if (label)
		return config_say(d, n->key_at, in, n->key,
				  "unknown key; did you mean %s?", label);
	if (key)
		return config_say(d, n->key_at, in, n->key,
				  "unknown key; did you mean \"%s\"?", key->name);
	list_keys(list, sizeof(list), section);
	return config_say(d, n->key_at, in, n->key, "unknown key; allowed: %s",
			  list);
}
