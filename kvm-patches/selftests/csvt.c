/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "csvt.h"

#include <fcntl.h>
#include <glob.h>
#include <linux/psp-sev.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CERT_SIZE  2084u
#define CHAIN_SIZE (3 * CERT_SIZE)
#define BAR_SIZE   0x20000u
#define DBG	   0x18000u
#define DBG_ID	   0x0001505356534344ULL
#define APIC	   0xfee00000u
#define APIC_VER   0x30u
#define APIC_ICR   0x300u
#define ICR_SELF   0x40000u

unsigned csvt_failed;
static unsigned checks;

static volatile uint8_t *bar;
static volatile uint32_t *msix;
static bool hygon;

bool check(bool ok, const char *fmt, ...)
{
	va_list ap;

	printf("%s %u - ", ok ? "ok" : "not ok", ++checks);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	csvt_failed += !ok;
	return ok;
}

void skip(const char *fmt, ...)
{
	va_list ap;

	printf("ok %u # SKIP ", ++checks);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

void die(const char *fmt, ...)
{
	int e = errno;
	va_list ap;

	printf("Bail out! ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" (errno: %s)\n", strerror(e));
	fflush(stdout);
	_exit(1);
}

int finish(void)
{
	printf("1..%u\n# %u failed\n", checks, csvt_failed);
	return csvt_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void sleep_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* -- the security processor */

static unsigned long sysfs_hex(const char *dir, const char *name)
{
	char path[300], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strtoul(text, NULL, 16);
}

/* @size bytes of a file that is a device's memory, or NULL */
static volatile void *map_device(const char *path, size_t size, off_t at)
{
	int fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

bool psp_open(void)
{
	char path[300];
	unsigned long id;
	glob_t g;
	size_t i;

	if (glob("/sys/bus/pci/devices/*", 0, NULL, &g) != 0)
		return false;
	for (i = 0; i < g.gl_pathc && !bar; i++) {
		id = sysfs_hex(g.gl_pathv[i], "vendor") << 16 |
		     sysfs_hex(g.gl_pathv[i], "device");
		if (id != 0x1d941456 && id != 0x102214ca)
			continue;
		snprintf(path, sizeof(path), "%s/resource2", g.gl_pathv[i]);
		bar = map_device(path, BAR_SIZE, 0);
		if (bar && *(volatile uint64_t *)(bar + DBG) != DBG_ID)
			bar = NULL;
		snprintf(path, sizeof(path), "%s/resource5", g.gl_pathv[i]);
		msix = map_device(path, PAGE, 0);
		hygon = id == 0x1d941456;
	}
	globfree(&g);
	return bar;
}

bool psp_is_hygon(void)
{
	return hygon;
}

static uint64_t dbg(unsigned at)
{
	return *(volatile uint64_t *)(bar + DBG + at);
}

uint64_t psp_counter(enum counter n)
{
	return dbg(0x100 + 8 * n);
}

uint64_t psp_command(unsigned id)
{
	return dbg(0x2000 + 8 * id);
}

uint64_t psp_cost(unsigned n)
{
	return dbg(0x300 + 8 * n);
}

bool psp_in_ring_mode(void)
{
	return dbg(8) & 2;
}

void psp_fault(enum fault n, uint64_t v)
{
	*(volatile uint64_t *)(bar + DBG + 0x200 + 8 * n) = v;
}

bool psp_interrupt(void)
{
	static volatile uint8_t *apic;
	uint32_t dest;
	cpu_set_t cpus;
	int cpu;

	if (!apic)
		apic = map_device("/dev/mem", PAGE, APIC);
	/* All ones in x2APIC mode; of the message, address, data, mask */
	if (!apic || !msix || (*(volatile uint32_t *)(apic + APIC_VER) & 0xff) > 0x1f ||
	    (msix[0] & 0xfff00000) != APIC || (msix[3] & 1))
		return false;
	/* Physical destination, or a bit for each CPU */
	dest = msix[0] >> 12 & 0xff;
	cpu = (int)dest;
	if (msix[0] & 4)
		cpu = __builtin_ctz(dest ? dest : 1);
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		return false;
	*(volatile uint32_t *)(apic + APIC_ICR) = ICR_SELF | (msix[2] & 0xff);
	return true;
}

uint64_t psp_interrupts(void)
{
	FILE *f = fopen("/proc/interrupts", "re");
	char line[4096], *p, *end;
	uint64_t n = 0, v;

	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, " psp-1") && !strstr(line, " ccp-1"))
			continue;
		p = strchr(line, ':');
		for (p = p ? p + 1 : line; v = strtoull(p, &end, 10), end != p; p = end)
			n += v;
	}
	if (f)
		fclose(f);
	return n;
}

/* Bits 31:1 of the dword at offset 4 are the build of Hygon's firmware. */
bool has_ring(void)
{
	struct sev_user_data_status s = { 0 };
	struct sev_issue_cmd c = {
		.cmd = SEV_PLATFORM_STATUS,
		.data = (uintptr_t)&s,
	};
	int fd = open("/dev/sev", O_RDWR | O_CLOEXEC);
	uint32_t v;

	if (fd < 0 || ioctl(fd, SEV_ISSUE_CMD, &c) != 0)
		die("PLATFORM_STATUS");
	close(fd);
	memcpy(&v, (uint8_t *)&s + 4, sizeof(v));
	return hygon && v >> 1 >= 1913;
}

/* -- VMs */

bool vm_es;

int vm_new(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int fd = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (fd < 0)
		die("KVM_CREATE_VM");
	close(kvm);
	return fd;
}

int sev_op(const struct vm *vm, uint32_t id, void *data, uint32_t *fw)
{
	struct kvm_sev_cmd c = {
		.id = id,
		.data = (uintptr_t)data,
		.sev_fd = (uint32_t)vm->sev_fd,
	};
	int r = ioctl(vm->fd, KVM_MEMORY_ENCRYPT_OP, &c) < 0 ? errno : 0;

	if (fw)
		*fw = c.error;
	return r;
}

static void must(const struct vm *vm, uint32_t id, void *data, const char *what)
{
	uint32_t fw;
	int r = sev_op(vm, id, data, &fw);

	if (r) {
		errno = r;
		die("%s: firmware's status %u", what, fw);
	}
}
#define MUST(vm, id, data) must(vm, id, data, #id)

void pattern(uint8_t page[PAGE], unsigned seed, unsigned n)
{
	uint64_t x = ((uint64_t)seed << 32 | n) * 0x9e3779b97f4a7c15u + 1;
	size_t i;

	for (i = 0; i < PAGE; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(page + i, &x, 8);
	}
}

static void vm_memory(struct vm *vm, size_t pages)
{
	struct kvm_enc_region r;

	vm->pages = pages;
	vm->mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (vm->mem == MAP_FAILED)
		die("guest memory");
	r.addr = (uintptr_t)vm->mem;
	r.size = pages * PAGE;
	if (ioctl(vm->fd, KVM_MEMORY_ENCRYPT_REG_REGION, &r) < 0)
		die("KVM_MEMORY_ENCRYPT_REG_REGION");
}

static void vm_init(struct vm *vm)
{
	vm->fd = vm_new();
	vm->sev_fd = open("/dev/sev", O_RDWR | O_CLOEXEC);
	if (vm->sev_fd < 0)
		die("/dev/sev");
	if (vm_es)
		MUST(vm, KVM_SEV_ES_INIT, NULL);
	else
		MUST(vm, KVM_SEV_INIT, NULL);
}

void vm_launch(struct vm *vm, size_t pages, unsigned seed)
{
	struct kvm_sev_launch_start start = { .policy = vm_es ? 4 : 0 };
	struct kvm_sev_launch_update_data up;
	struct kvm_sev_launch_measure m;
	uint8_t blob[48];
	unsigned i;

	vm_init(vm);
	MUST(vm, KVM_SEV_LAUNCH_START, &start);
	vm_memory(vm, pages);
	for (i = 0; i < pages; i++)
		pattern(vm->mem + (size_t)i * PAGE, seed, i);
	up.uaddr = (uintptr_t)vm->mem;
	up.len = (uint32_t)(pages * PAGE);
	MUST(vm, KVM_SEV_LAUNCH_UPDATE_DATA, &up);
	m.uaddr = (uintptr_t)blob;
	m.len = sizeof(blob);
	MUST(vm, KVM_SEV_LAUNCH_MEASURE, &m);
	MUST(vm, KVM_SEV_LAUNCH_FINISH, NULL);
}

void vm_pair(struct vm *from, struct vm *to)
{
	static uint8_t pdh[CERT_SIZE], chain[CHAIN_SIZE], root[64];
	uint8_t session[128];
	struct sev_user_data_pdh_cert_export x = {
		.pdh_cert_address = (uintptr_t)pdh,
		.pdh_cert_len = sizeof(pdh),
		.cert_chain_address = (uintptr_t)chain,
		.cert_chain_len = sizeof(chain),
	};
	struct sev_issue_cmd c = {
		.cmd = SEV_PDH_CERT_EXPORT,
		.data = (uintptr_t)&x,
	};
	struct kvm_sev_send_start s = {
		.pdh_cert_uaddr = (uintptr_t)pdh,
		.pdh_cert_len = sizeof(pdh),
		.plat_certs_uaddr = (uintptr_t)chain,
		.plat_certs_len = sizeof(chain),
		.amd_certs_uaddr = (uintptr_t)root,
		.amd_certs_len = sizeof(root),
		.session_uaddr = (uintptr_t)session,
		.session_len = sizeof(session),
	};
	struct kvm_sev_receive_start r = {
		.pdh_uaddr = (uintptr_t)pdh,
		.pdh_len = sizeof(pdh),
		.session_uaddr = (uintptr_t)session,
		.session_len = sizeof(session),
	};

	if (ioctl(from->sev_fd, SEV_ISSUE_CMD, &c) < 0)
		die("PDH_CERT_EXPORT: %u", c.error);
	MUST(from, KVM_SEV_SEND_START, &s);
	vm_init(to);
	r.policy = s.policy;
	MUST(to, KVM_SEV_RECEIVE_START, &r);
	vm_memory(to, from->pages);
}

void vm_close(struct vm *vm)
{
	close(vm->fd);
	close(vm->sev_fd);
	if (vm->mem)
		munmap(vm->mem, vm->pages * PAGE);
	memset(vm, 0, sizeof(*vm));
}

bool vm_has(const struct vm *vm, size_t at, unsigned seed, unsigned n)
{
	static __thread uint8_t got[PAGE] __attribute__((aligned(4096)));
	uint8_t want[PAGE];
	struct kvm_sev_dbg d = {
		.src_uaddr = (uintptr_t)vm->mem + at * PAGE,
		.dst_uaddr = (uintptr_t)got,
		.len = PAGE,
	};

	MUST(vm, KVM_SEV_DBG_DECRYPT, &d);
	pattern(want, seed, n);
	return memcmp(got, want, PAGE) == 0;
}

/* -- batches */

static void *get(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("memory");
	return p;
}

void batch_alloc(struct batch *b, unsigned max)
{
	b->max = max;
	b->node = get(max * sizeof(*b->node));
	b->data = get(max * sizeof(*b->data));
	b->hdr = get((size_t)max * HDR_ROOM);
	b->trans = get((size_t)max * PAGE);
}

void batch_free(struct batch *b)
{
	munmap(b->node, b->max * sizeof(*b->node));
	munmap(b->data, b->max * sizeof(*b->data));
	munmap(b->hdr, (size_t)b->max * HDR_ROOM);
	munmap(b->trans, (size_t)b->max * PAGE);
}

void batch_fill(struct batch *b, const struct vm *vm, size_t first, unsigned nr)
{
	unsigned i;

	if (nr > b->max || first + nr > vm->pages)
		die("batch_fill");
	for (i = 0; i < nr; i++) {
		b->data[i] = (struct update_data){
			.hdr_uaddr = (uintptr_t)(b->hdr + (size_t)i * HDR_ROOM),
			.hdr_len = HDR_LEN,
			.guest_uaddr = (uintptr_t)vm->mem + (first + i) * PAGE,
			.guest_len = PAGE,
			.trans_uaddr = (uintptr_t)(b->trans + (size_t)i * PAGE),
			.trans_len = PAGE,
		};
		b->node[i] = (struct csv_batch_list_node){
			.cmd_data_addr = (uintptr_t)&b->data[i],
			.addr = 0xdead,
			.next_cmd_addr =
				i + 1 < nr ? (uintptr_t)&b->node[i + 1] : 0,
		};
	}
}

int batch_run_at(struct batch *b, const struct vm *vm, uint32_t id,
		 uint64_t list)
{
	struct csv_command_batch c = {
		.command_id = id,
		.nr_done = ~0u,
		.csv_batch_list_uaddr = list,
	};
	int r = sev_op(vm, CSV_COMMAND_BATCH, &c, &b->fw);

	b->nr_done = c.nr_done;
	return r;
}

int batch_send(struct batch *b, const struct vm *vm)
{
	return batch_run_at(b, vm, KVM_SEV_SEND_UPDATE_DATA,
			    (uintptr_t)b->node);
}

int batch_receive(struct batch *b, const struct vm *vm)
{
	return batch_run_at(b, vm, KVM_SEV_RECEIVE_UPDATE_DATA,
			    (uintptr_t)b->node);
}
