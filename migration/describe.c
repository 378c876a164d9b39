/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration/describe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

/* Clocks that differ by less than this are taken for equal. */
#define TSC_PPM 250u

void mig_describe_devices(struct mig_machine *d, const struct snap *s)
{
	unsigned i;

	d->n_devices = 0;
	for (i = 0; i < s->n; i++) {
		const struct snap_entry *e = &s->entry[i];
		struct mig_device *to = &d->device[d->n_devices];

		if (!e->item->save)
			continue;
		(void)snprintf(to->name, sizeof(to->name), "%s", e->name);
		to->instance = (uint16_t)e->instance;
		to->version = e->item->version;
		to->size = e->item->size ? e->item->size(e->obj) : 0;
		d->n_devices++;
	}
}

/* --- as bytes ------------------------------------------------------------------ */

static void put_cert(const struct mig_cert *c, struct snap_w *w)
{
	snap_put32(w, c->len);
	snap_put_bytes(w, c->data, c->len);
}

static void get_cert(struct mig_cert *c, struct snap_r *r, const char *field)
{
	c->len = snap_get32_range(r, field, 0, sizeof(c->data));
	snap_get_bytes(r, field, c->data, c->len);
}

static void put_name(const char *name, struct snap_w *w)
{
	size_t len = strlen(name);

	snap_put8(w, (uint8_t)len);
	snap_put_bytes(w, name, len);
}

static void put_lists(const struct mig_machine *d, struct snap_w *w)
{
	unsigned i, k;

	snap_put32(w, d->n_devices);
	for (i = 0; i < d->n_devices; i++) {
		put_name(d->device[i].name, w);
		snap_put16(w, d->device[i].instance);
		snap_put32(w, d->device[i].version);
		snap_put64(w, d->device[i].size);
	}
	snap_put32(w, d->n_cpuid);
	for (i = 0; i < d->n_cpuid; i++) {
		for (k = 0; k < ARRAY_SIZE(d->cpuid[i].reg); k++)
			snap_put32(w, d->cpuid[i].reg[k]);
	}
}

/* Names go to a log. @max: bytes of @name, with its end; @allowed: what is in it */
static void get_name(char *name, size_t max, const char *allowed,
		     struct snap_r *r, const char *field)
{
	uint8_t len = snap_get8(r, field);

	memset(name, 0, max);
	if (!len || len >= max) {
		(void)snap_bad(r, field, "a name of %u bytes", len);
		return;
	}
	snap_get_bytes(r, field, name, len);
	if (!r->error && strspn(name, allowed) != len)
		(void)snap_bad(r, field, "not a name");
}

#define DEVICE_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define GUEST_CHARS  DEVICE_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZ._"

static void get_lists(struct mig_machine *d, struct snap_r *r)
{
	unsigned i, k;

	d->n_devices = snap_get32_range(r, "devices", 0, SNAP_ITEMS_MAX);
	for (i = 0; i < d->n_devices && !r->error; i++) {
		get_name(d->device[i].name, sizeof(d->device[i].name),
			 DEVICE_CHARS, r, "device");
		d->device[i].instance = snap_get16(r, "instance");
		d->device[i].version = snap_get32(r, "version");
		d->device[i].size = snap_get64(r, "size");
	}
	d->n_cpuid = snap_get32_range(r, "cpuid", 0, MIG_CPUID_MAX);
	for (i = 0; i < d->n_cpuid; i++) {
		for (k = 0; k < ARRAY_SIZE(d->cpuid[i].reg); k++)
			d->cpuid[i].reg[k] = snap_get32(r, "cpuid");
	}
}

void mig_describe_put(const struct mig_machine *d, struct snap_w *w)
{
	snap_put8(w, d->check_only);
	snap_put8(w, d->type);
	snap_put32(w, d->vcpus);
	snap_put32(w, d->policy);
	snap_put64(w, d->memory);
	snap_put8(w, d->profile);
	snap_put8(w, d->api_major);
	snap_put8(w, d->api_minor);
	snap_put32(w, d->build);
	snap_put32(w, d->tsc_khz);
	snap_put8(w, d->tsc_scaling);
	put_lists(d, w);
	put_cert(&d->pdh, w);
	put_cert(&d->chain, w);
	put_name(d->name, w);
}

int mig_describe_get(struct mig_machine *d, struct snap_r *r)
{
	d->check_only = snap_get_bool(r, "check only");
	d->type = snap_get8(r, "type");
	if (d->type >= MIG_TYPES)
		(void)snap_bad(r, "type", "%u", d->type);
	d->vcpus = snap_get32(r, "vcpus");
	d->policy = snap_get32(r, "policy");
	d->memory = snap_get64(r, "memory");
	d->profile = snap_get8(r, "profile");
	if (d->profile >= MIG_PROFILES)
		(void)snap_bad(r, "profile", "%u", d->profile);
	d->api_major = snap_get8(r, "api");
	d->api_minor = snap_get8(r, "api");
	d->build = snap_get32(r, "build");
	d->tsc_khz = snap_get32(r, "tsc_khz");
	d->tsc_scaling = snap_get_bool(r, "tsc_scaling");
	get_lists(d, r);
	get_cert(&d->pdh, r, "pdh");
	get_cert(&d->chain, r, "chain");
	get_name(d->name, sizeof(d->name), GUEST_CHARS, r, "name");
	if (!r->error && r->off != r->len)
		(void)snap_bad(r, "length", "%zu bytes too many",
			       r->len - r->off);
	return r->error;
}

/* --- comparing ------------------------------------------------------------------- */

#define NO(why, ...) ((void)snprintf(why, MIG_WHY_MAX, __VA_ARGS__), -EXDEV)

static int check_guest(const struct mig_machine *s, const struct mig_machine *t,
		       char *why)
{
	static const char *const type[] = {
		[MIG_PLAIN] = "none", [MIG_CSV] = "csv", [MIG_CSV2] = "csv2"
	};

	if (strcmp(s->name, t->name) != 0)
		return NO(why,
			  "name: the guest is \"%s\", the target waits for \"%s\"",
			  s->name, t->name);
	if (s->type != t->type)
		return NO(why,
			  "type: the guest is of type \"%s\", the target is made for \"%s\"",
			  type[s->type], type[t->type]);
	if (s->memory != t->memory)
		return NO(why, "memory: the guest has %llu MiB, the target %llu",
			  (unsigned long long)s->memory >> 20,
			  (unsigned long long)t->memory >> 20);
	if (s->vcpus != t->vcpus)
		return NO(why, "vcpus: the guest has %u, the target %u",
			  s->vcpus, t->vcpus);
	return 0;
}

static const struct mig_device *find(const struct mig_machine *in,
				     const struct mig_device *d)
{
	unsigned i;

	for (i = 0; i < in->n_devices; i++)
		if (!strcmp(in->device[i].name, d->name) &&
		    in->device[i].instance == d->instance)
			return &in->device[i];
	return NULL;
}

static int check_device(const struct mig_device *a, const struct mig_device *b,
			char *why)
{
	if (strcmp(a->name, b->name) != 0 || a->instance != b->instance)
		return NO(why,
			  "devices: where the guest has %s %u, the target has %s %u",
			  a->name, a->instance, b->name, b->instance);
	if (a->size != b->size)
		return NO(why,
			  "devices: %s %u: the guest's has %llu bytes, the target's %llu",
			  a->name, a->instance, (unsigned long long)a->size,
			  (unsigned long long)b->size);
	if (a->version > b->version)
		return NO(why,
			  "devices: %s %u: state of version %u, the target knows up to %u",
			  a->name, a->instance, a->version, b->version);
	return 0;
}

/* They must be the same, in the same order: places on the bus go by it. */
static int check_devices(const struct mig_machine *s,
			 const struct mig_machine *t, char *why)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < s->n_devices; i++)
		if (!find(t, &s->device[i]))
			return NO(why,
				  "devices: the guest has %s %u, which the target has not",
				  s->device[i].name, s->device[i].instance);
	for (i = 0; i < t->n_devices; i++)
		if (!find(s, &t->device[i]))
			return NO(why,
				  "devices: the target has %s %u, which the guest has not",
				  t->device[i].name, t->device[i].instance);
	for (i = 0; i < MIN(s->n_devices, t->n_devices) && !r; i++)
		r = check_device(&s->device[i], &t->device[i], why);
	return r;
}

static int check_clock(const struct mig_machine *s, const struct mig_machine *t,
		       char *why)
{
	uint64_t diff = s->tsc_khz > t->tsc_khz ? s->tsc_khz - t->tsc_khz
						: t->tsc_khz - s->tsc_khz;

	if (!s->tsc_khz || !t->tsc_khz || t->tsc_scaling ||
	    diff * 1000000 <= (uint64_t)s->tsc_khz * TSC_PPM)
		return 0;
	return NO(why,
		  "tsc: the guest's runs at %u kHz, the target's at %u and it can't scale it",
		  s->tsc_khz, t->tsc_khz);
}

static int check_firmware(const struct mig_machine *s,
			  const struct mig_machine *t, char *why)
{
	unsigned major = s->policy >> 16 & 0xff, minor = s->policy >> 24;

	if (s->type == MIG_PLAIN)
		return 0;
	if (s->profile != t->profile)
		return NO(why,
			  "processor: a guest of a %s processor can't go to one of %s",
			  s->profile == MIG_AMD ? "AMD" : "Hygon",
			  t->profile == MIG_AMD ? "AMD" : "Hygon");
	if (s->profile == MIG_AMD && s->type == MIG_CSV2)
		return NO(why,
			  "processor: AMD's processors can't send guests with encrypted registers (SEV-ES)");
	if (s->policy & CSV_POLICY_NOSEND)
		return NO(why,
			  "policy: the guest's owner forbids migration (nosend)");
	if (t->api_major < major ||
	    (t->api_major == major && t->api_minor < minor))
		return NO(why,
			  "firmware: the guest's policy wants API %u.%u, the target's firmware has %u.%u",
			  major, minor, t->api_major, t->api_minor);
	if (!t->pdh.len || !t->chain.len || !s->pdh.len)
		return NO(why,
			  "certificates: the firmware of the %s gave no certificates of its platform",
			  s->pdh.len ? "target" : "source");
	return 0;
}

int mig_check(const struct mig_machine *s, const struct mig_machine *t, char *why)
{
	int r = check_guest(s, t, why);

	if (!r)
		r = check_firmware(s, t, why);
	if (!r)
		r = check_devices(s, t, why);
	if (!r)
		r = check_clock(s, t, why);
	return r ? r : mig_check_cpuid(s, t, why);
}
