/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An encrypted guest's launch as part of vm_init(). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/csv_kvm.h"
#include "core/log.h"
#include "core/util.h"
#include "psp/cert.h"
#include "psp/crypto.h"
#include "psp/suite.h"
#include "shim/shim.h"
#include "vmm/csv_host.h"
#include "vmm/csv_model.h"
#include "vmm/launch.h"
#include "vmm/measure.h"
#include "vmm/vm.h"
#include "vmm/vm_csv.h"

/* What `measure` assumes unless told otherwise. */
#define MODEL_HOST VMSA_HOST_MAINLINE_6_12

static void warn_model(void)
{
	bool colour = isatty(STDERR_FILENO);

	log_warn("%sbackend = \"model\": no processor is involved, THIS PROTECTS NOTHING; for development only%s",
		 colour ? "\033[1;31m" : "", colour ? "\033[0m" : "");
}

/* Return: @r */
static int device_error(const struct config_csv *cfg, int r)
{
	bool none = r == -ENOENT || r == -ENXIO || r == -ENODEV;

	if (r == -EMEDIUMTYPE)
		log_err("/dev/sev is not the security processor's device, something else has its name; next: remove it, then modprobe -r ccp; modprobe ccp");
	else
		log_err("csv.type \"%s\": this host %s (/dev/sev: %s); next: 'csvvmm doctor', the lab (lab/run --cpu hygon csvvmm run FILE), or backend = \"model\"",
			cfg->type == CONFIG_CSV_2 ? "csv2" : "csv",
			none ? "has no security processor"
			     : "does not let you use its security processor",
			strerror(-r));
	return r;
}

int vm_csv_device(const struct config *cfg)
{
	auto_fd int fd = -1;

	if (!config_csv_real(&cfg->csv))
		return 0;
	fd = open("/dev/sev", O_RDWR | O_CLOEXEC);
	return fd < 0 ? device_error(&cfg->csv, -errno) : 0;
}

static int open_backend(struct vm *vm, const struct csv_backend **ret_ops,
			void **ret_be)
{
	const struct config_csv *cfg = &vm->cfg->csv;
	struct csv_model *model = NULL;
	int r;

	if (cfg->backend == CONFIG_CSV_MODEL) {
		warn_model();
		r = csv_model_open(measure_profile(cfg), MODEL_HOST, &model);
		*ret_ops = &csv_model_backend;
		*ret_be = model;
		return r < 0 ? log_errno(r, "model of the security processor")
			     : 0;
	}
	*ret_ops = &csv_kvm_backend;
	r = csv_kvm_open(vm->m.vm_fd, ret_be);
	if (r < 0)
		return device_error(cfg, r);
	if ((cfg->profile == CONFIG_CSV_AMD) != csv_host_is_amd())
		log_warn("csv.profile is for another maker's processor than this host's: 'measure' and 'attest' would expect another digest");
	return 0;
}

int vm_csv_open(struct vm *vm)
{
	const struct csv_backend *ops;
	void *be;
	int r;

	if (vm->cfg->csv.type == CONFIG_CSV_NONE) {
		if (!vm->wait_for_owner)
			return 0;
		log_err("--wait-for-owner: this guest is not encrypted ([csv] type)");
		return -EINVAL;
	}
	r = vm_shim_open(vm);
	/* A tiny guest of the model tells nothing: all is sent sealed. */
	if (!r)
		r = config_csv_real(&vm->cfg->csv) ? vm_pages_open(vm)
						   : gmem_encrypt(&vm->m.gmem);
	if (r < 0)
		return r;
	vm->launch = calloc(1, sizeof(*vm->launch));
	if (!vm->launch)
		return log_errno(-ENOMEM, "encrypted launch");
	r = open_backend(vm, &ops, &be);
	return r < 0 ? r : launch_init(vm->launch, &vm->cfg->csv, ops, be);
}

int vm_csv_again(struct vm *vm)
{
	int r;

	if (!vm->launch)
		return 0;
	vm->wait_for_owner = vm->has_owner;
	r = vm_pages_again(vm);
	return r < 0 ? r : launch_again(vm->launch, vm->m.vm_fd);
}

int vm_csv_boot(const struct vm *vm, struct boot_encryption *ret_enc)
{
	int c_bit;

	if (!config_csv_real(&vm->cfg->csv))
		return 0;
	c_bit = csv_host_c_bit();
	if (c_bit < 0)
		return log_errno(c_bit, "this processor's C-bit");
	return measure_encryption(&vm->cfg->csv, (unsigned)c_bit, ret_enc);
}

static int add_vcpus(struct vm *vm)
{
	unsigned i;
	int r = 0;

	if (vm->cfg->csv.backend != CONFIG_CSV_MODEL)
		return 0;
	for (i = 0; !r && i < vm->n_vcpus; i++)
		r = csv_model_add_vcpu(vm->launch->csv.be, vm->vcpu[i].fd);
	return r < 0 ? log_errno(r, "vCPUs for the model") : 0;
}

/* An owner who has accepted the guest has accepted this one only. */
static int check_digest(struct vm *vm)
{
	struct launch *l = vm->launch;

	if (!l->have_digest)
		return 0;
	if (vm->have_digest &&
	    memcmp(vm->digest, l->digest, sizeof(vm->digest)) != 0) {
		log_err("reset: the new launch has another digest: kernel or initrd are not what it was started with");
		return -ESTALE;
	}
	memcpy(vm->digest, l->digest, sizeof(vm->digest));
	vm->have_digest = true;
	return 0;
}

int vm_csv_measure(struct vm *vm)
{
	int r;

	if (!vm->launch)
		return 0;
	r = add_vcpus(vm);
	if (!r)
		r = launch_measure(vm->launch, &vm->m.gmem, &vm->boot);
	if (!r)
		r = check_digest(vm);
	if (!r && !vm->wait_for_owner)
		r = launch_finish(vm->launch);
	if (!r)
		vm_csv_see_shim(vm);
	return r;
}

/*
 * The source will look at the same, and refuse; here it can be told before one
 * comes. It also lets the library of cryptography read its configuration: when
 * the guest moves on from here it is needed, and there are no files any more.
 */
static void check_own_chain(const struct vm *vm)
{
	const struct launch *l = vm->launch;
	const struct psp_suite *suite = psp_suite(measure_profile(l->cfg));

	if (l->pdh.len != PSP_CERT_SIZE || l->chain.len != PSP_CHAIN_SIZE ||
	    psp_chain_verify(suite, l->pdh.data, l->chain.data) < 0)
		log_warn("the certificates of this host's security processor are no chain: whoever sends a guest will refuse");
}

/* Its ciphertext: the same key, place and text make the same one. */
static int hash_shim(struct vm *vm, uint8_t out[32])
{
	struct gmem *gm = &vm->m.gmem;
	struct iovec iov;
	struct psp_part part;
	int r;

	/* Nothing of it that is older in the caches, now or next time. */
	gmem_flush(gm, SHIM_CODE, SHIM_MEASURED);
	r = gmem_sealed_iov(gm, SHIM_CODE, SHIM_MEASURED, &iov);
	if (r < 0)
		return r;
	part = (struct psp_part){ iov.iov_base, iov.iov_len };
	r = psp_digest(psp_suite(PSP_AMD), &part, 1, out);
	gmem_flush(gm, SHIM_CODE, SHIM_MEASURED);
	return r;
}

void vm_csv_see_shim(struct vm *vm)
{
	vm->have_shim = config_csv_real(&vm->cfg->csv) && !vm->wait_for_owner &&
			!hash_shim(vm, vm->shim_seen);
}

bool vm_csv_same_shim(struct vm *vm)
{
	uint8_t now[sizeof(vm->shim_seen)];

	return vm->have_shim && !hash_shim(vm, now) &&
	       !memcmp(now, vm->shim_seen, sizeof(now));
}

int vm_csv_incoming(struct vm *vm)
{
	int r;

	if (!vm->launch)
		return 0;
	r = add_vcpus(vm);
	if (!r)
		r = launch_incoming(vm->launch, &vm->m.gmem, &vm->boot);
	if (!r)
		check_own_chain(vm);
	return r;
}

void vm_csv_close(struct vm *vm)
{
	if (vm->launch)
		launch_fini(vm->launch);
	free(vm->launch);
	vm->launch = NULL;
}
