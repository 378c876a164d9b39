/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/csv_abi.h"
#include "core/util.h"
#include "vmm/config_draft.h"

/* Section [csv]: its kinds of values, and what concerns several keys. */

static const struct {
	const char *name;
	uint32_t bit;
} policy_bits[] = {
	{ "nodbg", CSV_POLICY_NODBG },	 { "noks", CSV_POLICY_NOKS },
	{ "es", CSV_POLICY_ES },	 { "nosend", CSV_POLICY_NOSEND },
	{ "domain", CSV_POLICY_DOMAIN }, { "sev", CSV_POLICY_SEV },
};

static uint32_t policy_bit(const char *name)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(policy_bits); i++) {
		if (!strcmp(name, policy_bits[i].name))
			return policy_bits[i].bit;
	}
	return 0;
}

static int set_policy(struct config_draft *d, const struct config_key *key,
		      unsigned at, void *field)
{
	uint32_t policy = 0;
	unsigned i;

	for (i = toml_next(&d->doc, at, 0); i; i = toml_next(&d->doc, at, i)) {
		const struct toml_node *n = &d->doc.node[i];
		uint32_t bit;

		if (n->type != TOML_STRING)
			return config_say_key(d, key, i, "%s, not a string",
					      toml_type_words(n->type));
		bit = policy_bit(n->text);
		if (!bit)
			return config_say_key(d, key, i, "\"%s\" is unknown",
					      config_quote(n->text).text);
		policy |= bit;
	}
	*(uint32_t *)field = policy;
	return 0;
}

/* One to three digits, at most 255. Return: what follows them, or NULL */
static const char *parse_byte(const char *s, uint32_t *ret_v)
{
	uint32_t v = 0;
	unsigned n;

	for (n = 0; isdigit((unsigned char)s[n]); n++) {
		v = v * 10 + (uint32_t)(s[n] - '0');
		if (n == 3 || v > 255)
			return NULL;
	}
	*ret_v = v;
	return n ? s + n : NULL;
}

static int set_api(struct config_draft *d, const struct config_key *key,
		   unsigned at, void *field)
{
	const char *text = d->doc.node[at].text, *s;
	uint32_t major = 0, minor = 0;

	s = parse_byte(text, &major);
	if (s && *s == '.')
		s = parse_byte(s + 1, &minor);
	else
		s = NULL;
	if (!s || *s)
		return config_say_key(d, key, at, "\"%s\" is no version",
				      config_quote(text).text);
	*(uint32_t *)field = major << 8 | minor;
	return 0;
}

static int set_address(struct config_draft *d, const struct config_key *key,
		       unsigned at, void *field)
{
	int64_t v = d->doc.node[at].integer;

	if (v < 0 || v % 16)
		return config_say_key(d, key, at, "%" PRId64 " can't be used", v);
	*(uint64_t *)field = (uint64_t)v;
	return 0;
}

static int set_secrets(struct config_draft *d, const struct config_key *key,
		       unsigned at, void *field)
{
	struct config_csv *csv = field;
	unsigned i;
	int r = 0;

	for (i = toml_next(&d->doc, at, 0); i && !r;
	     i = toml_next(&d->doc, at, i)) {
		const struct toml_node *n = &d->doc.node[i];

		if (n->type != TOML_TABLE)
			return config_say_key(d, key, i, "%s, not a table",
					      toml_type_words(n->type));
		if (csv->n_secrets == key->max)
			return config_say_key(d, key, i, "one too many");
		d->secret[csv->n_secrets] = i;
		r = config_read_table(d, SECTION_SECRET, i,
				      &csv->secret[csv->n_secrets++]);
	}
	return r;
}

const struct config_type config_type_policy = { TOML_ARRAY, set_policy };
const struct config_type config_type_api = { TOML_STRING, set_api };
const struct config_type config_type_address = { TOML_INTEGER, set_address };
const struct config_type config_type_secrets = { TOML_ARRAY, set_secrets };

static int check_secret(struct config_draft *d, unsigned i)
{
	static const char *const needed[] = { "header", "file", "addr" };
	struct toml_pos here = d->doc.node[d->secret[i]].at;
	unsigned k;

	for (k = 0; k < ARRAY_SIZE(needed); k++) {
		if (!toml_find(&d->doc, d->secret[i], needed[k]))
			return config_say(d, here, "csv.secret", needed[k],
					  "missing; each secret has header, "
					  "file and addr");
	}
	return 0;
}

/* Keys that make no sense for a plain guest are mistakes. */
static int check_none(struct config_draft *d, unsigned table)
{
	unsigned at = toml_next(&d->doc, table, 0);

	for (; at; at = toml_next(&d->doc, table, at)) {
		const struct toml_node *n = &d->doc.node[at];

		if (strcmp(n->key, "type") != 0)
			return config_say(d, n->key_at, "csv", n->key,
					  "of no use with type = \"none\"; "
					  "allowed: type \"csv\" or \"csv2\"");
	}
	return 0;
}

static int check_pair(struct config_draft *d, unsigned table)
{
	const struct config_csv *csv = &d->cfg.csv;
	const char *have = csv->dh_cert ? "dh_cert" : "session";

	if (!csv->dh_cert == !csv->session)
		return 0;
	return config_say(d, config_pos(d, table, have), "csv", have,
			  "alone; allowed: both dh_cert and session, or neither");
}

static int check_kind(struct config_draft *d, unsigned table)
{
	struct config_csv *csv = &d->cfg.csv;

	if (csv->type == CONFIG_CSV_1 && (csv->policy & CSV_POLICY_ES))
		return config_say(d, config_pos(d, table, "policy"), "csv",
				  "policy",
				  "\"es\" is what type = \"csv2\" is; allowed "
				  "with \"csv\": all others");
	if (csv->user_id && csv->profile == CONFIG_CSV_AMD)
		return config_say(d, config_pos(d, table, "user_id"), "csv",
				  "user_id",
				  "unknown to AMD; allowed with profile = "
				  "\"hygon\"");
	if (csv->backend == CONFIG_CSV_MODEL &&
	    toml_find(&d->doc, table, "measure"))
		return config_say(d, config_pos(d, table, "measure"), "csv",
				  "measure",
				  "the model measures all; allowed with backend "
				  "= \"kvm\"");
	if (csv->n_secrets && !csv->session)
		return config_say(d, config_pos(d, table, "secret"), "csv",
				  "secret",
				  "nobody could have encrypted it; needed: "
				  "dh_cert and session");
	return 0;
}

int config_check_csv(struct config_draft *d)
{
	struct config_csv *csv = &d->cfg.csv;
	unsigned table = d->table[SECTION_CSV], i;
	int r;

	if (csv->type == CONFIG_CSV_NONE)
		return table ? check_none(d, table) : 0;
	r = check_pair(d, table);
	if (!r)
		r = check_kind(d, table);
	for (i = 0; i < csv->n_secrets && !r; i++)
		r = check_secret(d, i);
	if (csv->type == CONFIG_CSV_2)
		csv->policy |= CSV_POLICY_ES;
	if (csv->user_id)
		csv->policy |= CSV_POLICY_REUSE_ASID;
	csv->policy |= csv->min_api >> 8 << 16 | (csv->min_api & 0xff) << 24;
	if (!r && config_csv_real(csv))
		r = config_add_swiotlb(d);
	return r;
}

void config_csv_fini(struct config_csv *csv)
{
	unsigned i;

	free(csv->dh_cert);
	free(csv->session);
	free(csv->user_id);
	for (i = 0; i < csv->n_secrets; i++) {
		free(csv->secret[i].header);
		free(csv->secret[i].file);
	}
}
