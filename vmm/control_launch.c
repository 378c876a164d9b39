/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands of the control socket for the owner of an encrypted guest. */
#include "vmm/control_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "core/log.h"
#include "core/util.h"
#include "psp/psp_abi.h"
#include "vmm/attest.h"
#include "vmm/base64.h"
#include "vmm/boot.h"
#include "vmm/control.h"
#include "vmm/hex.h"
#include "vmm/launch.h"
#include "vmm/vm.h"

const char *const control_measure_keys[] = { "nonce", NULL };
const char *const control_secret_keys[] = { "header", "data", "addr", "force",
					    NULL };

static json_t *json_hex(const void *data, size_t len)
{
	char hex[2 * 32 + 1];

	hex_encode(data, len, hex);
	return json_string(hex);
}

static json_t *json_blob(const struct launch_blob *b)
{
	char *text;
	json_t *j;

	if (!b->len)
		return json_null();
	text = malloc(BASE64_ROOM((size_t)b->len));
	if (!text)
		return NULL;
	base64_encode(b->data, b->len, text);
	j = json_string(text);
	free(text);
	return j;
}

static json_t *firmware(const struct launch *l)
{
	char text[32];

	snprintf(text, sizeof(text), "%u.%u.%u", l->platform.api_major,
		 l->platform.api_minor, l->platform.build);
	return json_string(text);
}

/* What both `status` and launch-measure tell. */
static void launch_facts(const struct vm *vm, json_t *out)
{
	const struct launch *l = vm->launch;
	bool measured = l->state >= LAUNCH_MEASURED;

	json_object_set_new(out, "launch",
			    json_string(vm->wait_for_owner
						? "waits for its owner"
						: launch_state_name(l->state)));
	json_object_set_new(out, "policy", json_integer(l->cfg->policy));
	json_object_set_new(out, "firmware", firmware(l));
	json_object_set_new(out, "digest",
			    l->have_digest ? json_hex(l->digest, 32)
					   : json_null());
	json_object_set_new(out, "measurement",
			    measured ? json_hex(l->measure, 32) : json_null());
	json_object_set_new(out, "measurement_nonce",
			    measured ? json_hex(l->measure + 32, 16)
				     : json_null());
}

json_t *control_csv_status(const struct vm *vm)
{
	const struct config_csv *cfg = &vm->cfg->csv;
	json_t *out;

	if (!vm->launch)
		return json_null();
	out = json_pack("{s:s, s:s}", "type",
			cfg->type == CONFIG_CSV_2 ? "csv2" : "csv", "backend",
			cfg->backend == CONFIG_CSV_MODEL ? "model" : "kvm");
	if (!out)
		return NULL;
	launch_facts(vm, out);
	json_object_set_new(out, "shared_pages",
			    vm->m.gmem.map.told
				    ? json_integer((json_int_t)pagemap_count_shared(
					      &vm->m.gmem.map))
				    : json_null());
	json_object_set_new(out, "migratable_now", json_boolean(vm->pages.ready));
	return out;
}

static int need_launch(const struct vm *vm, struct control_error *err)
{
	return vm->launch
		       ? 0
		       : control_fail(err, -EINVAL, "the guest is not encrypted");
}

static json_t *json_report_nonce(const struct launch_blob *report)
{
	struct attest_report r;

	return attest_parse(report->data, report->len, &r) < 0
		       ? json_null()
		       : json_hex(r.nonce, sizeof(r.nonce));
}

/*
 * The firmware takes this one for a report that the guest asked for
 * ([csv-abi] 6.3): the address of the answer would mean something else.
 */
static const uint8_t guest_magic[16] = "VM_ATTESTATION";

/* A report with the nonce of who asks. Return: 0, or -errno with @err */
static int new_report(struct launch *l, const json_t *nonce,
		      struct launch_blob *ret_b, struct control_error *err)
{
	const char *text = json_string_value(nonce);
	uint8_t bytes[16];
	int r;

	if (!text || hex_decode(text, bytes, sizeof(bytes)) < 0 ||
	    !memcmp(bytes, guest_magic, sizeof(bytes)))
		return control_fail(err, -EINVAL,
				    "the key \"nonce\" must be 32 hexadecimal "
				    "digits, best random ones");
	r = launch_report(l, bytes, ret_b);
	return r < 0 ? control_fail(err, r, "%s", csv_error(&l->csv)) : 0;
}

int ctl_launch_measure(struct vm *vm, const json_t *req, json_t *reply,
		       struct control_error *err)
{
	const json_t *nonce = json_object_get(req, "nonce");
	struct launch_blob fresh = { 0 };
	const struct launch_blob *report = &fresh;
	int r = need_launch(vm, err);

	if (!r && nonce)
		r = new_report(vm->launch, nonce, &fresh, err);
	if (r < 0)
		return r;
	if (!nonce)
		report = &vm->launch->report;
	launch_facts(vm, reply);
	json_object_set_new(reply, "report_nonce", json_report_nonce(report));
	json_object_set_new(reply, "report", json_blob(report));
	free(fresh.data);
	json_object_set_new(reply, "pdh", json_blob(&vm->launch->pdh));
	json_object_set_new(reply, "chain", json_blob(&vm->launch->chain));
	return 0;
}

/* Base64 text of a key. Return: 0 with *ret_len, or -EINVAL with @err */
static int take_bytes(const json_t *req, const char *key, void *buf,
		      size_t size, size_t *ret_len, struct control_error *err)
{
	const json_t *value = json_object_get(req, key);

	if (!json_is_string(value) ||
	    base64_decode(json_string_value(value), json_string_length(value),
			  buf, size, ret_len) < 0)
		return control_fail(err, -EINVAL,
				    "the key \"%s\" must be base64 of at most "
				    "%zu bytes",
				    key, size);
	return 0;
}

static int need_waiting(const struct vm *vm, struct control_error *err)
{
	int r = need_launch(vm, err);

	if (!r && (!vm->wait_for_owner || vm->state != VM_CREATED))
		r = control_fail(err, -EPROTO,
				 "the guest does not wait for its owner "
				 "(run --wait-for-owner)");
	return r;
}

/* Where does a secret of @len bytes go? Return: 0 or -EINVAL with @err */
static int take_place(const struct vm *vm, const json_t *req, size_t len,
		      gpa_t *ret_at, struct control_error *err)
{
	const json_t *addr = json_object_get(req, "addr");
	const json_t *force = json_object_get(req, "force");
	const struct boot_region *over;
	struct iovec iov;
	gpa_t at = addr ? (gpa_t)json_integer_value(addr) : vm->boot.secret;

	if (!addr && !at)
		return control_fail(err, -EINVAL,
				    "this guest has no page for secrets: an "
				    "address is needed");
	if (addr && (!json_is_integer(addr) || json_integer_value(addr) < 0))
		return control_fail(err, -EINVAL,
				    "the key \"addr\" must be an address");
	if (force && !json_is_boolean(force))
		return control_fail(err, -EINVAL,
				    "the key \"force\" must be true or false");
	if (at % 16)
		return control_fail(err, -EINVAL,
				    "the address %#llx is no multiple of 16",
				    (unsigned long long)at);
	if (gmem_iov(vm->launch->gmem, at, len, true, &iov) < 0)
		return control_fail(err, -EINVAL,
				    "the address %#llx: no guest memory for %zu "
				    "bytes there (the guest has %lluM)",
				    (unsigned long long)at, len,
				    (unsigned long long)vm->cfg->memory >> 20);
	over = launch_overlap(vm->launch, at, len);
	if (over && !json_is_true(force))
		return control_fail(err, -EINVAL,
				    "the address %#llx: the secret would "
				    "overwrite what was measured: %s (%#llx + "
				    "%#llx); use force if that is meant",
				    (unsigned long long)at, over->what,
				    (unsigned long long)over->at,
				    (unsigned long long)over->len);
	*ret_at = at;
	return 0;
}

/* The firmware said no, or what else happened. Return: @r with @err */
static int secret_fail(const struct launch *l, int r, struct control_error *err)
{
	/* Its advice to make the packet anew would lead nowhere. */
	if (r == -EIO && l->csv.fw == PSP_RET_BAD_MEASUREMENT && !l->session.len)
		return control_fail(err, r,
				    "LAUNCH_SECRET: this guest was started "
				    "without a session, so it takes nobody's "
				    "secrets; next: start it with dh_cert and "
				    "session in [csv]");
	return control_fail(err, r, "%s", csv_error(&l->csv));
}

int ctl_launch_secret(struct vm *vm, const json_t *req, json_t *reply,
		      struct control_error *err)
{
	uint8_t header[LAUNCH_HEADER_SIZE], data[CONTROL_SECRET_MAX];
	size_t header_len = 0, len = 0;
	gpa_t at = 0;
	int r = need_waiting(vm, err);

	(void)reply;
	if (!r)
		r = take_bytes(req, "header", header, sizeof(header),
			       &header_len, err);
	if (!r)
		r = take_bytes(req, "data", data, sizeof(data), &len, err);
	if (!r && header_len != sizeof(header))
		r = control_fail(err, -EINVAL,
				 "the header has %zu bytes; a packet header has "
				 "%zu",
				 header_len, sizeof(header));
	if (!r && (!len || len % 16))
		r = control_fail(err, -EINVAL,
				 "the secret has %zu bytes; they must be a "
				 "multiple of 16",
				 len);
	if (!r)
		r = take_place(vm, req, len, &at, err);
	if (r < 0)
		return r;
	r = launch_secret(vm->launch, header, (uint32_t)header_len, at, data,
			  (uint32_t)len);
	if (r < 0)
		return secret_fail(vm->launch, r, err);
	log_info("secret of %zu bytes put into the guest", len);
	return 0;
}

int ctl_launch_go(struct vm *vm, const json_t *req, json_t *reply,
		  struct control_error *err)
{
	int r = need_waiting(vm, err);

	(void)req;
	if (r < 0)
		return r;
	r = vm_go(vm);
	if (r < 0)
		return control_fail(err, r, "not started: the log says why");
	json_object_set_new(reply, "state", json_string(vm_state_name(vm)));
	log_info("the owner let the guest run");
	return 0;
}
