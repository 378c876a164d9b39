/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SEND_UPDATE_DATA and RECEIVE_UPDATE_DATA of whole pages, as a guest's memory
 * goes from one platform to another, on one core. Memory is in the clear, as
 * in the VMM: what is measured is the firmware's work, not the rig's cipher.
 *
 * Prints MB/s of processor time, a line a profile: NAME SEND RECEIVE.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "psp/cert.h"
#include "psp/crypto.h"
#include "psp/psp.h"
#include "psp/psp_abi.h"

#define PAGE	4096u
#define PACKETS 32u
#define ROUNDS	200u

enum { GUEST = 2 << 20, HDR = 4 << 20, TRANS = 5 << 20, RAM = 8 << 20 };

static uint8_t ram[RAM];

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "psp_bench: %s\n", what);
	exit(1);
}

static int mem_read(void *ctx, uint64_t pa, void *buf, size_t len)
{
	(void)ctx;
	if (pa > RAM || len > RAM - pa)
		return -1;
	memcpy(buf, ram + pa, len);
	return 0;
}

static int mem_write(void *ctx, uint64_t pa, const void *buf, size_t len)
{
	(void)ctx;
	if (pa > RAM || len > RAM - pa)
		return -1;
	memcpy(ram + pa, buf, len);
	return 0;
}

static int guest_read(void *ctx, uint32_t asid, const uint8_t key[PSP_KEY_SIZE],
		      uint64_t pa, void *buf, size_t len)
{
	(void)asid;
	(void)key;
	return mem_read(ctx, pa, buf, len);
}

static int guest_write(void *ctx, uint32_t asid, const uint8_t key[PSP_KEY_SIZE],
		       uint64_t pa, const void *buf, size_t len)
{
	(void)asid;
	(void)key;
	return mem_write(ctx, pa, buf, len);
}

static int fill_random(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	return getrandom(buf, len, 0) == (ssize_t)len ? 0 : -1;
}

static const struct psp_ops ops = {
	.read = mem_read,
	.write = mem_write,
	.guest_read = guest_read,
	.guest_write = guest_write,
	.random = fill_random,
};

#define DO(p, id, s) \
	must(psp_command(p, PSP_CMD_##id, &(s), sizeof(s)) == 0, #id)

static struct psp *platform(enum psp_profile profile, uint8_t chip)
{
	struct psp_abi_init init = { 0 };
	struct psp_config cfg;
	struct psp *p;

	psp_config_default(&cfg, profile);
	memset(cfg.chip_id, chip, sizeof(cfg.chip_id));
	cfg.cbit = 0;
	must(psp_create(&cfg, &ops, NULL, &p) == 0, "psp_create");
	DO(p, INIT, init);
	return p;
}

static void certs(struct psp *p)
{
	struct psp_abi_two_certs c = { .cert_address = 0x1000,
				       .cert_len = PSP_CERT_SIZE,
				       .more_address = 0x2000,
				       .more_len = PSP_CHAIN_SIZE };

	DO(p, PDH_CERT_EXPORT, c);
}

static void activate(struct psp *p, uint32_t handle)
{
	struct psp_abi_activate c = { handle, 9 };

	DO(p, ACTIVATE, c);
}

static uint32_t send_start(struct psp *a, struct psp *b)
{
	struct psp_abi_launch m = { .address = 0x6000, .len = 48 };
	struct psp_abi_send_start s = { .pdh_address = 0x1000,
					.pdh_len = PSP_CERT_SIZE,
					.plat_address = 0x2000,
					.plat_len = PSP_CHAIN_SIZE,
					.session_address = 0x5000,
					.session_len = PSP_SESSION_SIZE };
	struct psp_abi_start c = { 0 };
	struct psp_abi_handle h;

	DO(a, LAUNCH_START, c);
	activate(a, c.handle);
	h.handle = m.handle = s.handle = c.handle;
	DO(a, LAUNCH_MEASURE, m);
	DO(a, LAUNCH_FINISH, h);
	certs(b);
	DO(a, SEND_START, s);
	return c.handle;
}

static uint32_t receive_start(struct psp *a, struct psp *b)
{
	struct psp_abi_start c = { .cert_address = 0x1000,
				   .cert_len = PSP_CERT_SIZE,
				   .session_address = 0x5000,
				   .session_len = PSP_SESSION_SIZE };

	certs(a);
	DO(b, RECEIVE_START, c);
	activate(b, c.handle);
	return c.handle;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double pass(struct psp *p, uint32_t cmd, uint32_t handle)
{
	double start = now();
	unsigned i;

	for (i = 0; i < PACKETS; i++) {
		struct psp_abi_packet c = {
			.handle = handle,
			.hdr_address = HDR + i * PSP_HDR_SIZE,
			.hdr_len = PSP_HDR_SIZE,
			.guest_address = GUEST + i * PAGE,
			.guest_len = PAGE,
			.trans_address = TRANS + i * PAGE,
			.trans_len = PAGE,
		};

		must(psp_command(p, cmd, &c, sizeof(c)) == 0, "packet");
	}
	return now() - start;
}

static void run(const char *name, enum psp_profile profile)
{
	const double bytes = (double)PAGE * PACKETS * ROUNDS / 1e6;
	struct psp *a = platform(profile, 1), *b = platform(profile, 2);
	uint32_t from = send_start(a, b), to = receive_start(a, b);
	double send = 0, receive = 0;
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		send += pass(a, PSP_CMD_SEND_UPDATE_DATA, from);
		receive += pass(b, PSP_CMD_RECEIVE_UPDATE_DATA, to);
	}
	printf("%s %.0f %.0f\n", name, bytes / send, bytes / receive);
	psp_destroy(a);
	psp_destroy(b);
}

int main(void)
{
	run("amd", PSP_AMD);
	run("hygon", PSP_HYGON);
	return 0;
}
