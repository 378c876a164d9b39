/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/launch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/uio.h>

#include "core/csv_abi.h"
#include "core/log.h"
#include "core/util.h"
#include "vmm/attest.h"
#include "vmm/boot.h"
#include "vmm/guardian.h"
#include "vmm/launch_files.h"

/*
 * DOC: Theory of operation
 *
 * steps[] is the order of a launch. launch_advance() takes the steps from the
 * present state up to a wanted one; there is no other way to change the state
 * but back to LAUNCH_NONE. Each step is one command of core/csv, which checks
 * the state a second time, as the firmware does a third time.
 */

/* One update pins its pages at once: not more than this. */
#define UPDATE_MAX MIB(16)

/* KVM pins, and flushes caches, region by region: a signal waits for one. Each
 * costs a WBINVD at the end, so there are not too many. */
#define REGION_MIN MIB(256)
#define REGIONS	   16
static_assert(GMEM_REGIONS * (REGIONS + 1) <= CSV_REGIONS_MAX, "regions");

/* Between two things that take long. Not in the sandbox. */
static int launch_look(struct launch *l)
{
	if (l->again)
		return 0;
	l->signalled = guardian_pending();
	return l->signalled ? -EINTR : 0;
}

/*
 * "launch: LAUNCH_START: firmware: ...; next: ...", then nothing is left. A
 * state that forbids a command is told like an error of the firmware.
 */
static int launch_fail(struct launch *l, int r)
{
	if (!l->signalled)
		log_err("encrypted launch: %s", csv_error(&l->csv));
	launch_fini(l);
	return r;
}

static int step_init(struct launch *l)
{
	const struct config_csv *cfg = l->cfg;
	bool es = cfg->type == CONFIG_CSV_2;
	int r = csv_init(&l->csv, es, cfg->user_id);

	/* After it: that is when /dev/sev is in use for sure. */
	return r < 0 || l->again ? r : csv_platform_status(&l->csv, &l->platform);
}

static int step_start(struct launch *l)
{
	return csv_launch_start(&l->csv, l->cfg->policy, l->dh_cert.data,
				l->dh_cert.len, l->session.data, l->session.len);
}

static int register_region(struct launch *l, const struct gmem_region *reg)
{
	uint64_t most = MAX(REGION_MIN, align_up(reg->size / REGIONS, MIB(2)));
	uint64_t at, n;
	int r = 0;

	for (at = 0; !r && at < reg->size; at += n) {
		struct iovec iov;

		n = MIN(reg->size - at, most);
		r = launch_look(l);
		if (!r)
			r = gmem_iov(l->gmem, reg->base + at, n, false, &iov);
		if (!r)
			r = csv_region(&l->csv, iov.iov_base, iov.iov_len, true);
	}
	return r;
}

static int step_register(struct launch *l)
{
	unsigned i;
	int r = 0;

	for (i = 0; !r && i < l->gmem->n_regions; i++)
		r = register_region(l, &l->gmem->region[i]);
	return r;
}

static int update(struct launch *l, gpa_t at, uint64_t len)
{
	int r = 0;

	while (len && !r) {
		uint64_t n = MIN(len, UPDATE_MAX);
		struct iovec iov;

		r = launch_look(l);
		if (!r)
			r = gmem_iov(l->gmem, at, n, true, &iov);
		if (!r)
			r = csv_launch_update_data(&l->csv, iov.iov_base,
						   (uint32_t)n);
		at += n;
		len -= n;
	}
	return r;
}

static int step_load(struct launch *l)
{
	unsigned i;
	int r = 0;

	for (i = 0; !r && i < l->boot->n_regions; i++) {
		const struct boot_region *reg = &l->boot->region[i];

		if (reg->staged)
			gmem_flush(l->gmem, reg->at, reg->len);
		else
			r = update(l, reg->at, reg->len);
	}
	return r;
}

static int step_vmsa(struct launch *l)
{
	int r = launch_look(l);

	if (r < 0)
		return r;
	return l->csv.es ? csv_launch_update_vmsa(&l->csv) : 0;
}

static int step_measure(struct launch *l)
{
	return csv_launch_measure(&l->csv, l->measure);
}

static int step_finish(struct launch *l)
{
	return csv_launch_finish(&l->csv);
}

static const struct launch_step {
	enum launch_state from, to;
	int (*run)(struct launch *l);
} steps[] = {
	{ LAUNCH_NONE, LAUNCH_INIT, step_init },
	{ LAUNCH_INIT, LAUNCH_STARTED, step_start },
	{ LAUNCH_STARTED, LAUNCH_REGISTERED, step_register },
	{ LAUNCH_REGISTERED, LAUNCH_LOADED, step_load },
	{ LAUNCH_LOADED, LAUNCH_VMSA, step_vmsa },
	{ LAUNCH_VMSA, LAUNCH_MEASURED, step_measure },
	{ LAUNCH_MEASURED, LAUNCH_FINISHED, step_finish },
};

const char *launch_state_name(enum launch_state state)
{
	static const char *const name[LAUNCH_STATES] = {
		[LAUNCH_NONE] = "none",
		[LAUNCH_INIT] = "init",
		[LAUNCH_STARTED] = "started",
		[LAUNCH_REGISTERED] = "registered",
		[LAUNCH_LOADED] = "loaded",
		[LAUNCH_VMSA] = "vmsa",
		[LAUNCH_MEASURED] = "measured",
		[LAUNCH_FINISHED] = "finished",
	};

	return name[state];
}

static int launch_advance(struct launch *l, enum launch_state from,
			  enum launch_state to)
{
	size_t i;
	int r;

	if (l->state != from) {
		log_err("encrypted launch: %s, not %s: can't become %s",
			launch_state_name(l->state), launch_state_name(from),
			launch_state_name(to));
		return -EPROTO;
	}
	for (i = 0; i < ARRAY_SIZE(steps) && l->state != to; i++) {
		if (steps[i].from != l->state)
			continue;
		r = steps[i].run(l);
		if (r < 0)
			return launch_fail(l, r);
		l->state = steps[i].to;
	}
	return 0;
}

int launch_init(struct launch *l, const struct config_csv *cfg,
		const struct csv_backend *ops, void *be)
{
	int r;

	*l = (struct launch){ .cfg = cfg };
	csv_open(&l->csv, ops, be);
	r = launch_read_files(l);
	if (r < 0) {
		launch_fini(l);
		return r;
	}
	return launch_advance(l, LAUNCH_NONE, LAUNCH_INIT);
}

static void blob_free(struct launch_blob *b)
{
	free(b->data);
	*b = (struct launch_blob){ 0 };
}

int launch_again(struct launch *l, int vm_fd)
{
	blob_free(&l->report);
	l->have_digest = false;
	l->again = true;
	l->state = LAUNCH_NONE;
	csv_again(&l->csv, vm_fd);
	return launch_advance(l, LAUNCH_NONE, LAUNCH_INIT);
}

static int blob_alloc(struct launch_blob *b, uint32_t len)
{
	b->data = calloc(1, len);
	b->len = b->data ? len : 0;
	return b->data ? 0 : -ENOMEM;
}

int launch_report(struct launch *l, const uint8_t nonce[16],
		  struct launch_blob *ret_b)
{
	struct launch_blob b;
	int r = blob_alloc(&b, LAUNCH_REPORT_MAX);

	if (!r)
		r = csv_attestation_report(&l->csv, nonce, b.data, &b.len);
	if (!r)
		*ret_b = b;
	else
		free(b.data);
	return r;
}

/*
 * What the firmware says of its own accord, fetched once, while everything is
 * still permitted. Old firmware has no reports: not an error.
 */
static int launch_fetch_report(struct launch *l)
{
	uint8_t nonce[16];
	uint32_t policy;
	int r;

	if (getrandom(nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
		return -EIO;
	r = launch_report(l, nonce, &l->report);
	if (!r)
		r = attest_digest(l->report.data, l->report.len, l->digest,
				  &policy);
	l->have_digest = !r;
	return r;
}

static int launch_fetch_chain(struct launch *l)
{
	int r = blob_alloc(&l->pdh, LAUNCH_CERT_SIZE);

	if (!r)
		r = blob_alloc(&l->chain, LAUNCH_CHAIN_SIZE);
	if (!r)
		r = csv_pdh_export(&l->csv, l->pdh.data, &l->pdh.len,
				   l->chain.data, &l->chain.len);
	return r;
}

static void launch_fetch(struct launch *l)
{
	if (launch_fetch_report(l) < 0) {
		log_info("no attestation report: %s", csv_error(&l->csv));
		l->report.len = 0;
	}
	if (!l->again && launch_fetch_chain(l) < 0) {
		log_info("no platform certificates: %s", csv_error(&l->csv));
		l->pdh.len = l->chain.len = 0;
	}
}

int launch_measure(struct launch *l, struct gmem *gm, const struct boot_info *boot)
{
	unsigned i;
	int r;

	l->gmem = gm;
	l->boot = boot;
	r = launch_advance(l, LAUNCH_INIT, LAUNCH_MEASURED);
	if (r < 0)
		return r;
	launch_fetch(l);
	for (i = 0; !r && i < l->cfg->n_secrets; i++) {
		const struct launch_packet *p = &l->secret[i];
		const struct boot_region *over =
			launch_overlap(l, p->at, p->data.len);

		if (over)
			log_warn("encrypted launch: secret %s overwrites what was measured: %s",
				 l->cfg->secret[i].file, over->what);
		r = launch_secret(l, p->header.data, p->header.len, p->at,
				  p->data.data, p->data.len);
		if (r == -EINVAL) {
			log_err("encrypted launch: secret %s: %#llx is no guest memory",
				l->cfg->secret[i].file,
				(unsigned long long)p->at);
			launch_fini(l);
		} else if (r < 0) {
			return launch_fail(l, r);
		}
	}
	return r;
}

int launch_incoming(struct launch *l, struct gmem *gm,
		    const struct boot_info *boot)
{
	int r;

	l->gmem = gm;
	l->boot = boot;
	r = step_register(l);
	if (r < 0)
		return launch_fail(l, r);
	/* The source has to know to whom it sends. */
	r = launch_fetch_chain(l);
	return r < 0 ? launch_fail(l, r) : 0;
}

void launch_received(struct launch *l)
{
	l->state = LAUNCH_FINISHED;
}

const struct boot_region *launch_overlap(const struct launch *l, gpa_t at,
					 uint64_t len)
{
	unsigned i;

	for (i = 0; i < l->boot->n_regions; i++) {
		const struct boot_region *r = &l->boot->region[i];

		if (at < r->at + r->len && r->at < at + len)
			return r;
	}
	return NULL;
}

int launch_secret(struct launch *l, const void *header, uint32_t header_len,
		  gpa_t at, const void *data, uint32_t len)
{
	struct iovec iov;

	if (l->state != LAUNCH_MEASURED)
		return -EPROTO;
	/* The firmware wants whole cipher blocks inside what KVM has pinned. */
	if (header_len != LAUNCH_HEADER_SIZE || !len || len % 16 || at % 16 ||
	    len > LAUNCH_SECRET_MAX)
		return -EINVAL;
	if (gmem_iov(l->gmem, at, len, true, &iov) < 0)
		return -EINVAL;
	return csv_launch_secret(&l->csv, header, header_len, iov.iov_base, len,
				 data, len);
}

int launch_finish(struct launch *l)
{
	return launch_advance(l, LAUNCH_MEASURED, LAUNCH_FINISHED);
}

void launch_fini(struct launch *l)
{
	unsigned i;

	if (l->csv.ops)
		csv_close(&l->csv);
	l->state = LAUNCH_NONE;
	blob_free(&l->dh_cert);
	blob_free(&l->session);
	blob_free(&l->report);
	blob_free(&l->pdh);
	blob_free(&l->chain);
	for (i = 0; i < CONFIG_SECRETS_MAX; i++) {
		blob_free(&l->secret[i].header);
		blob_free(&l->secret[i].data);
	}
}
