/* SPDX-License-Identifier: GPL-2.0-or-later */
/* States of a guest whose vCPUs are played by the test. */
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/util.h"
#include "shim/shim.h"
#include "vmm/vm.h"
#include "vmm/vm_csv.h"

static struct vm vm;
static struct vcpu vcpu;
static struct kvm_run run_page;
static pthread_t thread;
static bool have_thread;
static enum end_reason end_with; /* what the vCPU does when asked to pause */

static int setup(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	vcpu = (struct vcpu){ .vm = &vm, .fd = -1, .run = &run_page };
	vm.vcpu = &vcpu;
	vm.n_vcpus = 1;
	vm.state = VM_RUNNING;
	end_with = END_NONE;
	(void)pthread_mutex_init(&vm.m.lock, NULL);
	(void)pthread_cond_init(&vm.resume, NULL);
	return loop_init(&vm.m.loop, &vm.m.lock);
}

static int teardown(void **state)
{
	(void)state;
	pthread_mutex_lock(&vm.m.lock);
	vm.quit = true;
	pthread_cond_broadcast(&vm.resume);
	pthread_mutex_unlock(&vm.m.lock);
	if (have_thread)
		(void)pthread_join(thread, NULL);
	have_thread = false;
	loop_fini(&vm.m.loop);
	(void)pthread_cond_destroy(&vm.resume);
	(void)pthread_mutex_destroy(&vm.m.lock);
	return 0;
}

/* As vcpu_main(): the access that is pending may end the guest. */
static void *play_vcpu(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&vm.m.lock);
	if (end_with != END_NONE)
		machine_end(&vm.m, end_with);
	vcpu.parked = true;
	pthread_cond_broadcast(&vm.resume);
	while (vm.want_pause && !vm.quit)
		pthread_cond_wait(&vm.resume, &vm.m.lock);
	pthread_mutex_unlock(&vm.m.lock);
	return NULL;
}

static int pause_it(void)
{
	int r;

	pthread_mutex_lock(&vm.m.lock);
	have_thread = !pthread_create(&thread, NULL, play_vcpu, NULL);
	r = have_thread ? vm_pause(&vm) : -EAGAIN;
	pthread_mutex_unlock(&vm.m.lock);
	return r;
}

static void test_pause(void **state)
{
	(void)state;
	assert_int_equal(pause_it(), 0);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_int_equal(run_page.immediate_exit, 1);
	assert_int_equal(vm_pause(&vm), 0);
	pthread_mutex_lock(&vm.m.lock);
	assert_int_equal(vm_resume(&vm), 0);
	pthread_mutex_unlock(&vm.m.lock);
	assert_int_equal(vm.state, VM_RUNNING);
}

/* A guest that ends instead of pausing is not paused. */
static void test_pause_ends(void **state)
{
	(void)state;
	end_with = END_POWEROFF;
	assert_int_equal(pause_it(), -EINVAL);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(vm.want_pause);
	assert_int_equal(vm.m.end, END_POWEROFF);
}

static void test_pause_too_late(void **state)
{
	(void)state;
	vm.state = VM_ENDED;
	assert_int_equal(vm_pause(&vm), -EINVAL);
	vm.state = VM_CREATED;
	assert_int_equal(vm_pause(&vm), -EINVAL);
	assert_int_equal(vm_resume(&vm), -EINVAL);
}

/* What a guest says at the shim's port, as vcpu_exit() counts it. */
static void say(unsigned off, unsigned len, uint64_t val)
{
	vm.exits[VM_EXIT_PORT]++;
	(void)bus_write(&vm.m.pio, (uint16_t)(SHIM_PORT + off), len, val);
}

static void test_shim_port(void **state)
{
	unsigned len;

	(void)state;
	assert_int_equal(vm_shim_open(&vm), 0);
	/* 4 bytes at once: the shim's only instruction; as the guest's first. */
	for (len = 1; len <= 2; len++) {
		vm.exits[VM_EXIT_PORT] = 0;
		say(0, len, SHIM_BAD_HASH);
	}
	vm.exits[VM_EXIT_PORT] = 0;
	say(1, 1, SHIM_BAD_HASH);
	assert_int_equal(vm.m.end, END_NONE);
	say(0, 4, SHIM_BAD_C_BIT); /* not the first */
	assert_int_equal(vm.m.end, END_NONE);
	vm.exits[VM_EXIT_PORT] = 0;
	vm.exits[VM_EXIT_MMIO] = 1;
	say(0, 4, SHIM_BAD_C_BIT);
	assert_int_equal(vm.m.end, END_NONE);
	vm.exits[VM_EXIT_PORT] = vm.exits[VM_EXIT_MMIO] = 0;
	say(0, 4, SHIM_BAD_C_BIT);
	assert_int_equal(vm.m.end, END_TERMINATED);
}

/* A guest that gives up is no error of the VMM; the status stays as it was. */
static void test_terminated(void **state)
{
	(void)state;
	vm_shim_terminated(&vm, 0x100 | 1 << 12 | 7 << 16);
	assert_int_equal(vm.m.end, END_TERMINATED);
	assert_null(strstr(vm_end_words(END_TERMINATED), "error"));
	assert_int_equal(vm_end_status(END_TERMINATED), 14);
}

/* A vCPU that KVM refuses to run. Return: what was logged */
static const char *refused(enum config_csv_type type)
{
	static struct config cfg;
	static char text[1024];
	int fd = memfd_create("log", MFD_CLOEXEC), old = dup(STDERR_FILENO);
	ssize_t n;

	cfg.csv.type = type;
	vm.cfg = &cfg;
	vm.m.end = END_NONE;
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	assert_int_equal(vcpu_start(&vcpu), 0);
	vcpu_join(&vcpu);
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[MAX(n, 0)] = 0;
	(void)close(fd);
	(void)close(old);
	assert_int_equal(vm.m.end, END_ERROR);
	assert_non_null(strstr(text, "KVM_RUN"));
	return text;
}

/* Encrypted registers read as zeros: they are not shown. */
static void test_registers(void **state)
{
	(void)state;
	assert_non_null(strstr(refused(CONFIG_CSV_2), "registers are encrypted"));
	assert_null(strstr(refused(CONFIG_CSV_2), "rip="));
	assert_null(strstr(refused(CONFIG_CSV_NONE), "encrypted"));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_pause),	   T(test_pause_ends), T(test_pause_too_late),
		T(test_shim_port), T(test_terminated), T(test_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
