/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot without firmware: kernel, initrd and tables are put into guest memory
 * by hand and the first vCPU starts at the kernel's 64-bit entry.
 */
#include "vmm/boot_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/util.h"
#include "shim/shim.h"
#include "vmm/acpi.h"

/* A vmlinux with debugging information is some hundred MiB large. */
#define KERNEL_FILE_MAX GIB(1)
/* No kernel takes an initrd above 2 GiB (initrd_addr_max). */
#define INITRD_FILE_MAX GIB(2)

int boot_fail(struct boot_error *err, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return r;
}

static int boot_check_file(const char *what, const char *path,
			   const struct stat *st, uint64_t max,
			   struct boot_error *err)
{
	if (S_ISDIR(st->st_mode))
		return boot_fail(err, -EISDIR, "%s %s: a directory, not a file",
				 what, path);
	if (!S_ISREG(st->st_mode))
		return boot_fail(err, -EINVAL, "%s %s: not a regular file",
				 what, path);
	if (st->st_size == 0)
		return boot_fail(err, -EINVAL, "%s %s: the file is empty", what,
				 path);
	if ((uint64_t)st->st_size >= max)
		return boot_fail(
			err, -EFBIG,
			"%s %s: %llu MiB is too large (at most %llu MiB); is it a disk image?",
			what, path, (unsigned long long)st->st_size >> 20,
			(unsigned long long)max >> 20);
	return 0;
}

static int boot_open_file(const char *what, const char *path, uint64_t max,
			  int *ret_fd, struct boot_error *err)
{
	/* Non-blocking: opening a FIFO would wait for its other end. */
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r = errno;

	if (fd < 0)
		return boot_fail(err, -r, "%s %s: %s", what, path, strerror(r));
	if (fstat(fd, &st) < 0) {
		r = errno;
		return boot_fail(err, -r, "%s %s: %s", what, path, strerror(r));
	}
	r = boot_check_file(what, path, &st, max, err);
	if (r < 0)
		return r;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int boot_open(struct boot_files *bf, const char *kernel, const char *initrd,
	      struct boot_error *err)
{
	int r;

	*bf = (struct boot_files){ .kernel_fd = -1, .initrd_fd = -1 };
	r = boot_open_file("kernel", kernel, KERNEL_FILE_MAX, &bf->kernel_fd,
			   err);
	if (!r && initrd)
		r = boot_open_file("initrd", initrd, INITRD_FILE_MAX,
				   &bf->initrd_fd, err);
	if (r < 0)
		boot_close(bf);
	return r;
}

void boot_close(struct boot_files *bf)
{
	util_close(&bf->kernel_fd);
	util_close(&bf->initrd_fd);
}

uint64_t boot_low_ram(const struct gmem *gm)
{
	return MIN(gm->size, GMEM_HOLE_START);
}

/* Read all of @iov's bytes at @off. Short: the file has been cut since. */
static int boot_pread(int fd, struct iovec iov, uint64_t off, const char *what,
		      struct boot_error *err)
{
	while (iov.iov_len) {
		ssize_t n = preadv(fd, &iov, 1, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int r = errno;

			return boot_fail(err, -r, "%s: read error: %s", what,
					 strerror(r));
		}
		if (n == 0)
			return boot_fail(
				err, -EIO,
				"%s: the file became shorter while it was read; try again",
				what);
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

int boot_read(struct gmem *gm, int fd, uint64_t off, uint64_t len, gpa_t at,
	      const char *what, struct boot_error *err)
{
	struct iovec iov;
	int r;

	r = gmem_iov(gm, at, len, true, &iov);
	if (r < 0)
		return boot_fail(err, r,
				 "%s: does not fit into the guest's memory",
				 what);
	r = boot_pread(fd, iov, off, what, err);
	gmem_mark_dirty(gm, at, len);
	return r;
}

/* The only thing in its pages. */
static int boot_read_alone(struct gmem *gm, int fd, uint64_t off, uint64_t len,
			   gpa_t at, const char *what, struct boot_error *err)
{
	int r = boot_read(gm, fd, off, len, at, what, err);

	return r < 0 ? r : boot_blank(gm, at, len);
}

static int boot_fstat(int fd, const char *what, struct stat *ret_st,
		      struct boot_error *err)
{
	int r;

	if (fstat(fd, ret_st) == 0)
		return 0;
	r = errno;
	return boot_fail(err, -r, "%s: %s", what, strerror(r));
}

/* Was the file written to between two looks at it? */
static int boot_check_same(int fd, const struct stat *was, const char *what,
			   struct boot_error *err)
{
	struct stat now;
	int r = boot_fstat(fd, what, &now, err);

	if (r < 0)
		return r;
	if (now.st_size != was->st_size ||
	    now.st_mtim.tv_sec != was->st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != was->st_mtim.tv_nsec)
		return boot_fail(
			err, -EAGAIN,
			"%s: the file changed while it was read; try again",
			what);
	return 0;
}

/* Whole MiB for `memory`; an even number, which huge pages need. */
static unsigned long long boot_enough(uint64_t end, uint64_t initrd)
{
	return align_up(align_up(end, PAGE_SIZE) + initrd, MIB(2)) >> 20;
}

static int boot_load_bzimage(struct gmem *gm, int fd, uint64_t initrd,
			     const struct boot_kernel *k, struct boot_error *err)
{
	uint64_t low = boot_low_ram(gm);

	if (!range_inside(k->load, k->init_size, 0, GMEM_HOLE_START))
		return boot_fail(
			err, -EINVAL,
			"kernel: needs %llu MiB from address %llu MiB up: that is not below 3 GiB",
			(unsigned long long)(k->init_size >> 20) + 1,
			(unsigned long long)(k->load >> 20));
	if (!range_inside(k->load, k->init_size, 0, low))
		return boot_fail(
			err, -EINVAL,
			"memory: %llu MiB are too little: the kernel needs %llu MiB from address %llu MiB up; needed: memory = \"%lluM\" at least",
			(unsigned long long)(low >> 20),
			(unsigned long long)(k->init_size >> 20) + 1,
			(unsigned long long)(k->load >> 20),
			boot_enough(k->load + k->init_size, initrd));
	return boot_read_alone(gm, fd, k->payload_off, k->payload_size, k->load,
			       "kernel", err);
}

/* 0: there is none, or it is told later why not. */
static uint64_t boot_initrd_size(const struct boot_files *bf)
{
	struct stat st;

	return bf->initrd_fd >= 0 && !fstat(bf->initrd_fd, &st)
		       ? (uint64_t)st.st_size
		       : 0;
}

/*
 * Parse and load the kernel, whatever its format.
 * @head: BOOT_HEAD_SIZE bytes, filled with the file's beginning
 */
static int boot_load_kernel(struct gmem *gm, const struct boot_files *bf,
			    uint8_t *head, struct boot_kernel *k,
			    struct boot_info *info, struct boot_error *err)
{
	struct boot_elf elf = { .n = 0 };
	int r, fd = bf->kernel_fd;
	struct stat st;
	uint64_t size, len;

	r = boot_fstat(fd, "kernel", &st, err);
	if (r < 0)
		return r;
	size = (uint64_t)st.st_size;
	len = MIN(size, BOOT_HEAD_SIZE);
	r = boot_pread(fd, (struct iovec){ head, len }, 0, "kernel", err);
	if (r < 0)
		return r;

	r = boot_parse_bzimage(head, len, size, k, err);
	if (!r)
		r = boot_load_bzimage(gm, fd, boot_initrd_size(bf), k, err);
	if (r == -ENOEXEC) {
		r = boot_parse_elf(head, len, size, boot_low_ram(gm), k, &elf,
				   err);
		if (!r)
			r = boot_load_elf(gm, fd, &elf, err);
	}
	if (r == -ENOEXEC)
		return boot_fail(
			err, -EINVAL,
			"kernel: neither a bzImage nor an ELF file (truncated?)");
	if (r < 0)
		return r;
	boot_note_kernel(info, k, &elf);
	return boot_check_same(fd, &st, "kernel", err);
}

static int boot_no_room(const struct boot_kernel *k, uint64_t bottom,
			uint64_t size, uint64_t top, struct boot_error *err)
{
	uint64_t most = MIN((uint64_t)k->initrd_max + 1, GMEM_HOLE_START);
	unsigned long long mib = (size >> 20) + 1;

	if (bottom > most || size > most - bottom)
		return boot_fail(
			err, -ENOSPC,
			"initrd: its %llu MiB do not fit between the kernel and %llu MiB, whatever the memory; needed: a smaller initrd",
			mib, (unsigned long long)most >> 20);
	return boot_fail(
		err, -ENOSPC,
		"memory: the initrd's %llu MiB do not fit between the kernel and %llu MiB; needed: memory = \"%lluM\" at least, or a smaller initrd",
		mib, (unsigned long long)top >> 20, boot_enough(bottom, size));
}

/* As high as fits, but never where the kernel works before it has a map. */
static int boot_load_initrd(struct gmem *gm, int fd, const struct boot_kernel *k,
			    struct boot_place *place, struct boot_error *err)
{
	uint64_t top = MIN((uint64_t)k->initrd_max + 1, boot_low_ram(gm));
	uint64_t bottom = align_up(k->load + k->init_size, PAGE_SIZE);
	struct stat st;
	uint64_t size;
	int r;

	r = boot_fstat(fd, "initrd", &st, err);
	if (r < 0)
		return r;
	size = (uint64_t)st.st_size;
	top = align_down(top, PAGE_SIZE);
	if (bottom > top || size > top - bottom)
		return boot_no_room(k, bottom, size, top, err);
	place->initrd = align_down(top - size, PAGE_SIZE);
	place->initrd_size = size;
	r = boot_read_alone(gm, fd, 0, size, place->initrd, "initrd", err);
	return r < 0 ? r : boot_check_same(fd, &st, "initrd", err);
}

static int boot_load_cmdline(struct gmem *gm, const struct boot_kernel *k,
			     const struct boot_opts *opts, struct boot_error *err)
{
	uint64_t max = MIN(k->cmdline_max, BOOT_CMDLINE_ROOM - 1);
	const char *cmdline = opts->cmdline;
	size_t len = strlen(cmdline);
	int r;

	if (len > max)
		return boot_fail(
			err, -E2BIG,
			"cmdline: %zu bytes%s; this kernel takes at most %llu",
			len,
			opts->enc ? " with the swiotlb= that an encrypted guest gets"
				  : "",
			(unsigned long long)max);
	r = gmem_write(gm, BOOT_CMDLINE, cmdline, len + 1);
	return r < 0 ? r : boot_blank(gm, BOOT_CMDLINE, len + 1);
}

/* Tables for the kernel, then what starts it. */
static int boot_load_rest(struct gmem *gm, const struct boot_place *place,
			  const struct boot_opts *opts, struct boot_info *info)
{
	int r = 0;

	if (opts->again != BOOT_FIRST)
		r = gmem_fill(gm, BOOT_ACPI, 0, BOOT_ACPI_SIZE);
	if (!r)
		r = boot_write_reset(gm);
	if (!r)
		r = acpi_build(gm, BOOT_ACPI, BOOT_RESET_VECTOR - BOOT_ACPI,
			       opts->n_vcpus);
	if (!r)
		r = boot_write_params(gm, place);
	if (!r && place->shim)
		r = boot_write_setup_data(gm);
	if (r < 0)
		return r;
	boot_note(info, "boot_params", BOOT_PARAMS, PAGE_SIZE);
	if (place->shim) {
		boot_note(info, "setup_data", BOOT_SETUP_DATA, PAGE_SIZE);
		info->secret = SHIM_SECRET;
	}
	boot_note(info, "cmdline", BOOT_CMDLINE, strlen(opts->cmdline) + 1);
	boot_note(info, "acpi", BOOT_ACPI, BOOT_ACPI_SIZE);
	if (place->initrd_size)
		boot_note(info, "initrd", place->initrd, place->initrd_size);
	r = opts->enc ? boot_write_shim(gm, opts->enc, opts->again, info)
		      : boot_write_tables(gm, info);
	boot_sort_regions(info);
	return r;
}

int boot_load(struct gmem *gm, const struct boot_files *bf,
	      const struct boot_opts *opts, struct boot_info *ret_info,
	      struct boot_error *err)
{
	auto_free uint8_t *head = calloc(1, BOOT_HEAD_SIZE);
	struct boot_place place = { .shim = opts->enc };
	struct boot_info info = { .rsi = BOOT_PARAMS };
	struct boot_kernel k;
	int r;

	if (!head)
		return boot_fail(err, -ENOMEM, "kernel: out of memory");
	r = boot_load_kernel(gm, bf, head, &k, &info, err);
	if (!r && bf->initrd_fd >= 0)
		r = boot_load_initrd(gm, bf->initrd_fd, &k, &place, err);
	if (!r)
		r = boot_load_cmdline(gm, &k, opts, err);
	if (r < 0)
		return r;

	place.cmdline_max = k.cmdline_max;
	if (k.format == BOOT_BZIMAGE) {
		place.hdr = head + BOOT_HDR_OFF;
		place.hdr_size = k.setup_size;
	}
	info.entry = k.entry;
	r = boot_load_rest(gm, &place, opts, &info);
	if (r < 0)
		return boot_fail(err, r, "boot tables for %u vCPUs: %s",
				 opts->n_vcpus, strerror(-r));
	*ret_info = info;
	return 0;
}
