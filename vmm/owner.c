/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/owner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/log.h"
#include "vmm/base64.h"
#include "vmm/hex.h"
#include "vmm/launch_files.h"

#define CERTS_MAX 16384u
#define FACTS_MAX 65536u

int owner_certs_take(struct owner_certs *c, const char *path, bool trusted)
{
	if (trusted && !strcmp(path, "model")) {
		c->certs.model_root = true;
		return 0;
	}
	if (c->n == OWNER_FILES_MAX)
		return -E2BIG;
	c->trusted[c->n] = trusted;
	c->file[c->n++] = path;
	return 0;
}

int owner_certs_load(struct owner_certs *c, enum psp_profile profile)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < c->n && !r; i++) {
		r = blob_read("certificates", c->file[i], 0, CERTS_MAX,
			      &c->blob[i]);
		if (r < 0)
			break;
		r = attest_add(&c->certs, profile, c->blob[i].data,
			       c->blob[i].len, c->trusted[i]);
		if (r < 0)
			log_err("certificates %s: %s", c->file[i],
				r == -E2BIG
					? "too many"
					: "neither root nor platform certificates of this make");
	}
	return r;
}

void owner_certs_fini(struct owner_certs *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		free(c->blob[i].data);
	c->n = 0;
}

/* --- what launch-measure printed ---------------------------------------------- */

static int bad_fact(const char *path, const char *key)
{
	log_err("%s: \"%s\" is not what launch-measure --json prints", path, key);
	return -EINVAL;
}

/* Return: 1; 0: null or missing; -EINVAL, logged */
static int take_hex(const char *path, const json_t *all, const char *key,
		    void *out, size_t len)
{
	const json_t *value = json_object_get(all, key);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value) ||
	    hex_decode(json_string_value(value), out, len) < 0)
		return bad_fact(path, key);
	return 1;
}

static int take_blob(const char *path, const json_t *all, const char *key,
		     size_t max, struct launch_blob *ret_b)
{
	const json_t *value = json_object_get(all, key);
	size_t len = 0;

	if (!value || json_is_null(value))
		return 0;
	ret_b->data = malloc(max);
	if (!ret_b->data)
		return log_errno(-ENOMEM, "%s", path);
	if (!json_is_string(value) ||
	    base64_decode(json_string_value(value), json_string_length(value),
			  ret_b->data, max, &len) < 0)
		return bad_fact(path, key);
	ret_b->len = (uint32_t)len;
	return 0;
}

static int take_firmware(const char *path, const json_t *all,
			 struct owner_facts *f)
{
	const char *text = json_string_value(json_object_get(all, "firmware"));

	return text && owner_firmware(text, &f->firmware)
		       ? 0
		       : bad_fact(path, "firmware");
}

static int take_facts(const char *path, const json_t *all, struct owner_facts *f)
{
	int nonce = 0, mac, r;

	r = take_hex(path, all, "digest", f->digest, sizeof(f->digest));
	mac = r < 0 ? r
		    : take_hex(path, all, "measurement", f->measurement,
			       sizeof(f->measurement));
	if (mac > 0)
		nonce = take_hex(path, all, "measurement_nonce", f->nonce,
				 sizeof(f->nonce));
	f->measured = mac > 0 && nonce > 0;
	r = mac < 0 ? mac : nonce < 0 ? nonce : 0;
	if (!r)
		r = take_firmware(path, all, f);
	if (!r)
		r = take_blob(path, all, "report", LAUNCH_REPORT_MAX, &f->report);
	if (!r)
		r = take_blob(path, all, "pdh", LAUNCH_CERT_SIZE, &f->pdh);
	if (!r)
		r = take_blob(path, all, "chain", LAUNCH_CHAIN_SIZE, &f->chain);
	return r;
}

int owner_facts_read(const char *path, struct owner_facts *ret_f)
{
	struct owner_facts f = { 0 };
	struct launch_blob text = { 0 };
	json_t *all;
	int r = file_read("file", path, FACTS_MAX, &text);

	if (r < 0)
		return r;
	all = json_loadb((const char *)text.data, text.len,
			 JSON_REJECT_DUPLICATES, NULL);
	free(text.data);
	if (!json_is_object(all)) {
		json_decref(all);
		return 0;
	}
	r = take_facts(path, all, &f);
	json_decref(all);
	if (r < 0) {
		owner_facts_fini(&f);
		return r;
	}
	*ret_f = f;
	return 1;
}

void owner_facts_fini(struct owner_facts *f)
{
	free(f->report.data);
	free(f->pdh.data);
	free(f->chain.data);
	*f = (struct owner_facts){ 0 };
}

int owner_profile(const uint8_t *cert, size_t len, enum psp_profile *ret_profile)
{
	static const enum psp_profile all[] = { PSP_HYGON, PSP_AMD };
	size_t i;

	for (i = 0; len == PSP_CERT_SIZE && i < 2; i++) {
		if (psp_cert_check(psp_suite(all[i]), cert, PSP_USAGE_PDH) < 0)
			continue;
		*ret_profile = all[i];
		return 0;
	}
	return -EINVAL;
}

bool owner_firmware(const char *text, struct owner_firmware *ret_f)
{
	unsigned major, minor, build;
	char end;

	if (sscanf(text, "%3u.%3u.%9u%c", &major, &minor, &build, &end) != 3 ||
	    major > 255 || minor > 255)
		return false;
	*ret_f = (struct owner_firmware){ (uint8_t)major, (uint8_t)minor,
					  (uint8_t)build };
	return true;
}

bool owner_number(const char *text, uint32_t *ret_v)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || v > UINT32_MAX)
		return false;
	*ret_v = (uint32_t)v;
	return true;
}
