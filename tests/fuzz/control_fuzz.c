/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests of the control socket: the input is what a client sends, line by
 * line. Every line must give exactly one line of pure ASCII JSON back that
 * says whether it is "ok", whatever state the guest is in.
 */
#include <linux/kvm.h>
#include <string.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/control_impl.h"
#include "vmm/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char vm_name[] = "fuzz", vm_path[] = "/tmp/\xff", disk_id[] = "disk0";

static void check_answer(const char *out, size_t n)
{
	json_t *answer;
	size_t i;

	if (!n || n > CONTROL_ANSWER_MAX || out[n - 1] != '\n')
		abort();
	for (i = 0; i < n - 1; i++) {
		if (out[i] < ' ' || out[i] > '~')
			abort();
	}
	answer = json_loadb(out, n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_boolean(json_object_get(answer, "ok")))
		abort();
	if (!json_is_true(json_object_get(answer, "ok")) &&
	    !json_is_string(json_object_get(answer, "error")))
		abort();
	json_decref(answer);
}

static void feed(struct vm *vm, const char *p, size_t size)
{
	static char out[CONTROL_ANSWER_MAX];

	while (size) {
		const char *end = memchr(p, '\n', size);
		size_t len = end ? (size_t)(end - p) : size;

		check_answer(out, control_answer(vm, p, len, out, sizeof(out)));
		p += len + (end != NULL);
		size -= len + (end != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config cfg = {
		.name = vm_name,
		.kernel = vm_path,
		.file = vm_path,
		.vcpus = 1,
		.memory = 1 << 20,
		.n_disks = 1,
		.n_nets = 1,
		.disk[0].id = disk_id,
	};
	static struct kvm_run run;
	struct vcpu vcpu = { .run = &run, .parked = true };
	struct vm vm = {
		.cfg = &cfg,
		.vcpu = &vcpu,
		.n_vcpus = 1,
		.state = VM_RUNNING,
		.m.loop = { .epfd = -1, .wake_fd = -1 },
	};

	log_set_level(LOG_ERROR);
	if (size > CONTROL_LINE_MAX)
		return -1;
	pthread_mutex_init(&vm.m.lock, NULL);
	pthread_cond_init(&vm.resume, NULL);
	feed(&vm, (const char *)data, size);
	pthread_cond_destroy(&vm.resume);
	pthread_mutex_destroy(&vm.m.lock);
	return 0;
}
