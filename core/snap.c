/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/snap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "core/util.h"

/* --- fields --- */

void snap_put_bytes(struct snap_w *w, const void *buf, size_t len)
{
	if (w->full || len > w->cap - w->len) {
		w->full = true;
		return;
	}
	if (len)
		memcpy(w->buf + w->len, buf, len);
	w->len += len;
}

void snap_put8(struct snap_w *w, uint8_t v)
{
	snap_put_bytes(w, &v, sizeof(v));
}

void snap_put16(struct snap_w *w, uint16_t v)
{
	uint8_t raw[2];

	put_le16(raw, v);
	snap_put_bytes(w, raw, sizeof(raw));
}

void snap_put32(struct snap_w *w, uint32_t v)
{
	uint8_t raw[4];

	put_le32(raw, v);
	snap_put_bytes(w, raw, sizeof(raw));
}

void snap_put64(struct snap_w *w, uint64_t v)
{
	uint8_t raw[8];

	put_le64(raw, v);
	snap_put_bytes(w, raw, sizeof(raw));
}

int snap_bad(struct snap_r *r, const char *field, const char *fmt, ...)
{
	size_t cap = sizeof(r->err->text), len;
	va_list ap;

	if (r->error)
		return r->error;
	r->error = -EPROTO;
	(void)snprintf(r->err->text, cap, "%s: %s: ", r->who, field);
	len = strlen(r->err->text);
	va_start(ap, fmt);
	(void)vsnprintf(r->err->text + len, cap - len, fmt, ap);
	va_end(ap);
	return r->error;
}

void snap_get_bytes(struct snap_r *r, const char *field, void *buf, size_t len)
{
	if (!r->error && len > r->len - r->off)
		(void)snap_bad(r, field, "%zu bytes, but only %zu are left",
			       len, r->len - r->off);
	if (r->error) {
		memset(buf, 0, len);
		return;
	}
	if (len)
		memcpy(buf, r->buf + r->off, len);
	r->off += len;
}

uint8_t snap_get8(struct snap_r *r, const char *field)
{
	uint8_t v;

	snap_get_bytes(r, field, &v, sizeof(v));
	return v;
}

uint16_t snap_get16(struct snap_r *r, const char *field)
{
	uint8_t raw[2];

	snap_get_bytes(r, field, raw, sizeof(raw));
	return get_le16(raw);
}

uint32_t snap_get32(struct snap_r *r, const char *field)
{
	uint8_t raw[4];

	snap_get_bytes(r, field, raw, sizeof(raw));
	return get_le32(raw);
}

uint64_t snap_get64(struct snap_r *r, const char *field)
{
	uint8_t raw[8];

	snap_get_bytes(r, field, raw, sizeof(raw));
	return get_le64(raw);
}

bool snap_get_bool(struct snap_r *r, const char *field)
{
	uint8_t v = snap_get8(r, field);

	if (v > 1)
		(void)snap_bad(r, field, "%u is neither 0 nor 1", v);
	return v == 1;
}

uint32_t snap_get32_range(struct snap_r *r, const char *field, uint32_t min,
			  uint32_t max)
{
	uint32_t v = snap_get32(r, field);

	if (r->error)
		return min;
	if (v >= min && v <= max)
		return v;
	(void)snap_bad(r, field, "%u is not in %u to %u", v, min, max);
	return min;
}

/* --- the list --- */

int snap_add(struct snap *s, const struct snap_item *item, const char *name,
	     void *obj)
{
	struct snap_entry e = { .item = item,
				.name = name ? name : item->name,
				.obj = obj };
	unsigned i;

	if (s->n == SNAP_ITEMS_MAX)
		return -ENOSPC;
	/* Above all others: one in the middle may have gone. */
	for (i = 0; i < s->n; i++) {
		if (!strcmp(s->entry[i].name, e.name))
			e.instance = s->entry[i].instance + 1;
	}
	s->entry[s->n++] = e;
	return 0;
}

void snap_remove(struct snap *s, const struct snap_item *item, const void *obj)
{
	unsigned i;

	for (i = 0; i < s->n; i++) {
		if (s->entry[i].item == item && s->entry[i].obj == obj)
			break;
	}
	if (i == s->n)
		return;
	s->n--;
	memmove(&s->entry[i], &s->entry[i + 1], (s->n - i) * sizeof(s->entry[0]));
}

static int entry_error(const struct snap_entry *e, const char *what, int r,
		       struct snap_error *err)
{
	(void)snprintf(err->text, sizeof(err->text), "%s %u: %s: %s", e->name,
		       e->instance, what, strerror(-r));
	return r;
}

static int save_one(const struct snap_entry *e, struct snap_w *w,
		    struct snap_error *err)
{
	size_t len_at, name_len = strlen(e->name);
	int r;

	if (!name_len || name_len > SNAP_NAME_MAX)
		return entry_error(e, "name", -EINVAL, err);
	snap_put8(w, (uint8_t)name_len);
	snap_put_bytes(w, e->name, name_len);
	snap_put16(w, (uint16_t)e->instance);
	snap_put32(w, e->item->version);
	len_at = w->len;
	snap_put32(w, 0);
	r = e->item->save(e->obj, w);
	if (r < 0)
		return entry_error(e, "save", r, err);
	if (w->full)
		return entry_error(e, "save", -ENOBUFS, err);
	put_le32(w->buf + len_at, (uint32_t)(w->len - len_at - 4));
	return 0;
}

static bool entry_has_state(const struct snap_entry *e)
{
	return e->item->save != NULL;
}

int snap_save_all(const struct snap *s, void *buf, size_t cap, size_t *ret_len,
		  struct snap_error *err)
{
	struct snap_w w = { .buf = buf, .cap = cap };
	unsigned i, n = 0;
	int r = 0;

	err->text[0] = '\0';
	for (i = 0; i < s->n; i++)
		n += entry_has_state(&s->entry[i]);
	snap_put16(&w, (uint16_t)n);
	for (i = 0; i < s->n && !r; i++) {
		if (entry_has_state(&s->entry[i]))
			r = save_one(&s->entry[i], &w, err);
	}
	if (!r && w.full) {
		(void)snprintf(err->text, sizeof(err->text), "device state: %s",
			       strerror(ENOBUFS));
		r = -ENOBUFS;
	}
	if (!r)
		*ret_len = w.len;
	return r;
}

/* Names come from the peer and go into a log: letters, digits, '-' only. */
static bool name_ok(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		char c = name[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
			return false;
	}
	return len > 0;
}

static int find_entry(const struct snap *s, const char *name, unsigned instance)
{
	unsigned i;

	for (i = 0; i < s->n; i++) {
		const struct snap_entry *e = &s->entry[i];

		if (e->instance == instance && entry_has_state(e) &&
		    !strcmp(e->name, name))
			return (int)i;
	}
	return -1;
}

/* @all: a reader of the whole; on return behind this item */
static int load_one(struct snap *s, struct snap_r *all, bool *seen)
{
	char name[SNAP_NAME_MAX + 1] = { 0 };
	uint32_t version, len, name_len, instance;
	const struct snap_entry *e;
	struct snap_r r = { .err = all->err };
	int i, ret;

	name_len = snap_get8(all, "name length");
	if (name_len > SNAP_NAME_MAX)
		return snap_bad(all, "name length", "%u", name_len);
	snap_get_bytes(all, "name", name, name_len);
	if (!all->error && !name_ok(name, name_len))
		return snap_bad(all, "name", "not a name");
	instance = snap_get16(all, "instance");
	version = snap_get32(all, "version");
	len = snap_get32(all, "length");
	if (!all->error && len > all->len - all->off)
		return snap_bad(all, "length", "%u of \"%s\" is beyond the end",
				len, name);
	if (all->error)
		return all->error;

	i = find_entry(s, name, instance);
	if (i < 0)
		return snap_bad(all, "item", "there is no \"%s %u\" here", name,
				instance);
	if (seen[i])
		return snap_bad(all, "item", "\"%s %u\" twice", name, instance);
	seen[i] = true;
	e = &s->entry[i];
	(void)snprintf(r.who, sizeof(r.who), "%s %u", e->name, instance);
	r.buf = all->buf + all->off;
	r.len = len;
	if (!version || version > e->item->version)
		return snap_bad(&r, "version", "%u; this csvvmm takes 1 to %u",
				version, e->item->version);
	ret = e->item->load ? e->item->load(e->obj, &r, version) : 0;
	if (r.error)
		return r.error;
	if (ret < 0)
		return entry_error(e, "load", ret, all->err);
	if (r.off != r.len)
		return snap_bad(&r, "length", "%zu bytes too many",
				r.len - r.off);
	all->off += len;
	return 0;
}

int snap_load_all(struct snap *s, const void *buf, size_t len,
		  struct snap_error *err)
{
	struct snap_r all = {
		.buf = buf, .len = len, .who = "device state", .err = err
	};
	bool seen[SNAP_ITEMS_MAX] = { false };
	unsigned i, n;
	int r = 0;

	err->text[0] = '\0';
	n = snap_get16(&all, "count");
	for (i = 0; i < n && !all.error && !r; i++)
		r = load_one(s, &all, seen);
	if (r || all.error)
		return r ? r : all.error;
	if (all.off != all.len)
		return snap_bad(&all, "length", "%zu bytes too many",
				all.len - all.off);
	for (i = 0; i < s->n; i++) {
		if (entry_has_state(&s->entry[i]) && !seen[i])
			return snap_bad(&all, "item", "\"%s %u\" is missing",
					s->entry[i].name, s->entry[i].instance);
	}
	return 0;
}

/* --- moving --- */

static void thaw_first(struct snap *s, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (s->entry[i].item->thaw)
			s->entry[i].item->thaw(s->entry[i].obj);
	}
}

int snap_freeze_all(struct snap *s, struct snap_error *err)
{
	unsigned i;
	int r;

	err->text[0] = '\0';
	for (i = 0; i < s->n; i++) {
		const struct snap_entry *e = &s->entry[i];

		r = e->item->freeze ? e->item->freeze(e->obj) : 0;
		if (r < 0) {
			thaw_first(s, i);
			return entry_error(e, "freeze", r, err);
		}
	}
	return 0;
}

void snap_thaw_all(struct snap *s)
{
	thaw_first(s, s->n);
}

int snap_hold_all(struct snap *s, enum snap_hold how, struct snap_error *err)
{
	bool take = how == SNAP_HOLD_COMING || how == SNAP_HOLD_ALL;
	unsigned i, done;
	int r = 0;

	err->text[0] = '\0';
	for (done = 0; done < s->n && !r; done++) {
		const struct snap_entry *e = &s->entry[done];

		r = e->item->hold ? e->item->hold(e->obj, how) : 0;
		if (r < 0)
			(void)entry_error(e, take ? "take over" : "give up", r,
					  err);
	}
	/* Half a change is none; but what is back where it belongs may stay. */
	if (!r || how == SNAP_HOLD_ALL || how == SNAP_HOLD_NONE)
		return r;
	for (i = 0; i + 1 < done; i++) {
		if (s->entry[i].item->hold)
			(void)s->entry[i].item->hold(s->entry[i].obj,
						     take ? SNAP_HOLD_NONE
							  : SNAP_HOLD_ALL);
	}
	return r;
}

int snap_check_all(const struct snap *s, bool drop_links, struct snap_error *err)
{
	const char *why;
	unsigned i;

	err->text[0] = '\0';
	for (i = 0; i < s->n; i++) {
		const struct snap_entry *e = &s->entry[i];

		why = e->item->obstacle ? e->item->obstacle(e->obj, drop_links)
					: NULL;
		if (!why)
			continue;
		(void)snprintf(err->text, sizeof(err->text), "%s %u: %s",
			       e->name, e->instance, why);
		return -EOPNOTSUPP;
	}
	return 0;
}
