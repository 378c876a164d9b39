/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/kvm.h>

#include "core/util.h"

/* Where it is changes nothing about what fits where. */
#define ANY_C_BIT 47

static const struct {
	const char *name, *words;
} hosts[VMSA_HOSTS] = {
	[VMSA_HOST_MAINLINE_6_12] = { "mainline-6.12",
				      "a mainline kernel 6.12 with KVM_SEV_ES_INIT" },
	[VMSA_HOST_VENDOR_6_6] = { "vendor-6.6", "a vendor's kernel 6.6" },
};

int measure_host_parse(const char *name, enum vmsa_host *ret_host)
{
	unsigned i;

	for (i = 0; i < VMSA_HOSTS; i++) {
		if (!strcmp(name, hosts[i].name)) {
			*ret_host = (enum vmsa_host)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *measure_host_name(enum vmsa_host host)
{
	return hosts[host].name;
}

const char *measure_host_words(enum vmsa_host host)
{
	return hosts[host].words;
}

enum psp_profile measure_profile(const struct config_csv *csv)
{
	return csv->profile == CONFIG_CSV_AMD ? PSP_AMD : PSP_HYGON;
}

void measure_vmsa(const struct boot_info *boot, unsigned id,
		  enum vmsa_host host, uint8_t page[VMSA_SIZE])
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vmsa_initial_regs(id, boot, &regs, &sregs);
	vmsa_build(page, &regs, &sregs, 1, host);
}

static int measure_regions(struct measure *m, const struct gmem *gm,
			   struct psp_hash *all)
{
	unsigned i;
	int r = 0;

	for (i = 0; !r && i < m->boot.n_regions; i++) {
		const struct boot_region *reg = &m->boot.region[i];
		struct psp_hash *own = NULL;

		r = psp_hash_new(psp_suite(m->profile), &own);
		if (!r)
			r = boot_hash_region(gm, reg, own,
					     reg->staged ? NULL : all);
		if (!r)
			r = psp_hash_peek(own, m->region[i]);
		psp_hash_free(own);
	}
	return r;
}

static int measure_vmsas(struct measure *m, struct psp_hash *all)
{
	const struct psp_suite *suite = psp_suite(m->profile);
	uint8_t page[VMSA_SIZE];
	struct psp_part part = { page, sizeof(page) };
	unsigned i;
	int r = 0;

	for (i = 0; !r && i < m->n_vmsas; i++) {
		measure_vmsa(&m->boot, i, m->host, page);
		r = psp_hash_update(all, page, sizeof(page));
		if (!r)
			r = psp_digest(suite, &part, 1, m->vmsa[i]);
	}
	return r;
}

static int measure_all(struct measure *m, const struct gmem *gm)
{
	struct psp_hash *all = NULL;
	int r = psp_hash_new(psp_suite(m->profile), &all);

	if (!r)
		r = measure_regions(m, gm, all);
	if (!r)
		r = measure_vmsas(m, all);
	if (!r)
		r = psp_hash_peek(all, m->digest);
	psp_hash_free(all);
	return r;
}

static int fail(struct boot_error *err, int r, const char *what)
{
	snprintf(err->text, sizeof(err->text), "%s: %s", what, strerror(-r));
	return r;
}

int measure_encryption(const struct config_csv *csv, unsigned c_bit,
		       struct boot_encryption *ret_enc)
{
	if (!config_csv_real(csv))
		return 0;
	*ret_enc = (struct boot_encryption){
		.c_bit = c_bit,
		.es = csv->type == CONFIG_CSV_2,
		.staged = csv->measure == CONFIG_MEASURE_SHIM,
	};
	return 1;
}

/* Messages of boot_open() name the file, those of boot_load() do not. */
static void name_file(const struct config *cfg, struct boot_error *err)
{
	bool initrd = !strncmp(err->text, "initrd", strlen("initrd"));
	size_t n = strlen(err->text);

	snprintf(err->text + n, sizeof(err->text) - n, " (%s)",
		 initrd ? cfg->initrd : cfg->kernel);
}

static int measure_load(const struct config *cfg, unsigned c_bit,
			struct boot_info *ret_boot, struct gmem *gm,
			struct boot_error *err)
{
	struct boot_encryption enc;
	struct boot_opts opts = { .cmdline = cfg->cmdline, .n_vcpus = cfg->vcpus };
	struct boot_files files;
	int r;

	r = boot_open(&files, cfg->kernel, cfg->initrd, err);
	if (r < 0)
		return r;
	if (measure_encryption(&cfg->csv, c_bit, &enc))
		opts.enc = &enc;
	r = boot_load(gm, &files, &opts, ret_boot, err);
	boot_close(&files);
	if (r < 0)
		name_file(cfg, err);
	return r;
}

static int measure_loaded(const struct config *cfg, unsigned c_bit,
			  struct measure *m, struct gmem *gm,
			  struct boot_error *err)
{
	int r = measure_load(cfg, c_bit, &m->boot, gm, err);

	if (r < 0)
		return r;
	r = measure_all(m, gm);
	return r < 0 ? fail(err, r, "hash of the guest's memory") : 0;
}

int measure_layout(const struct config *cfg, struct boot_error *err)
{
	struct boot_info boot;
	struct gmem gm;
	int r = gmem_init(&gm, cfg->memory, false);

	if (r < 0)
		fail(err, r, "memory to load the guest into");
	else
		r = measure_load(cfg, ANY_C_BIT, &boot, &gm, err);
	gmem_fini(&gm);
	return r;
}

int measure_config(const struct config *cfg, enum psp_profile profile,
		   enum vmsa_host host, unsigned c_bit, struct measure *ret_m,
		   struct boot_error *err)
{
	struct measure m = { .profile = profile, .host = host };
	struct gmem gm;
	int r;

	if (cfg->csv.type == CONFIG_CSV_2)
		m.n_vmsas = cfg->vcpus;
	/* No huge pages: untouched memory costs nothing then. */
	r = gmem_init(&gm, cfg->memory, false);
	if (r < 0)
		fail(err, r, "memory to load the guest into");
	else
		r = measure_loaded(cfg, c_bit, &m, &gm, err);
	gmem_fini(&gm);
	if (!r)
		*ret_m = m;
	return r;
}
