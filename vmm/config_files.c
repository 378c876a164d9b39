/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"
#include "vmm/config_draft.h"
#include "vmm/launch.h"
#include "vmm/launch_files.h"

/*
 * Does this host have what the file names? Only what is a regular file is
 * opened: opening a device, FIFO or socket can have effects.
 */

enum {
	MAY_REGULAR = 1,
	MAY_BLOCK = 2,
	MAY_CHAR = 4,
	MAY_SOCKET = 8,
	MAY_MISS = 16,	/* will be created: its folder must be there */
	FOR_WRITE = 32, /* else for reading */
};

/* The key that holds a path. */
struct path_at {
	struct toml_pos at;
	const char *section, *key;
	const char *path;
};

static const char *kind_words(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	case S_IFBLK:
		return "a block device";
	case S_IFCHR:
		return "a character device";
	}
	return "of an unknown kind";
}

static const char *may_words(unsigned may)
{
	switch (may & (MAY_REGULAR | MAY_BLOCK | MAY_CHAR | MAY_SOCKET)) {
	case MAY_REGULAR:
		return "a regular file";
	case MAY_REGULAR | MAY_BLOCK:
		return "a regular file or block device";
	case MAY_REGULAR | MAY_CHAR:
		return "a regular file or character device";
	}
	return "a unix socket";
}

static unsigned kind_bit(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return MAY_REGULAR;
	case S_IFBLK:
		return MAY_BLOCK;
	case S_IFCHR:
		return MAY_CHAR;
	case S_IFSOCK:
		return MAY_SOCKET;
	}
	return 0;
}

static int say_path(struct config_draft *d, const struct path_at *pa,
		    const char *path, const char *what, const char *more)
{
	struct config_quote q = config_quote(path);

	return config_say(d, pa->at, pa->section, pa->key, "\"%s\" %s%s",
			  q.text, what, more);
}

static int say_errno(struct config_draft *d, const struct path_at *pa,
		     const char *path, const char *what, int error)
{
	char more[128];

	snprintf(more, sizeof(more), "%s: %s", what, strerror(error));
	return say_path(d, pa, path, more, "");
}

static int check_folder(struct config_draft *d, const struct path_at *pa)
{
	char copy[PATH_MAX];
	const char *folder;
	struct stat st;

	snprintf(copy, sizeof(copy), "%s", pa->path);
	folder = dirname(copy);
	if (stat(folder, &st) < 0)
		return say_errno(d, pa, folder, "is needed", errno);
	if (!S_ISDIR(st.st_mode))
		return say_path(d, pa, folder, "is not a directory", "");
	if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0)
		return say_errno(d, pa, folder, "can't be written", errno);
	return 0;
}

/* *@ret_st is all zeroes when the file may be and is missing. */
static int check_path(struct config_draft *d, const struct path_at *pa,
		      unsigned may, struct stat *ret_st)
{
	bool write = may & FOR_WRITE;

	if (stat(pa->path, ret_st) < 0) {
		int r = errno;

		*ret_st = (struct stat){ 0 };
		if (r == ENOENT && (may & MAY_MISS))
			return check_folder(d, pa);
		return say_errno(d, pa, pa->path, "can't be used", r);
	}
	if (!(kind_bit(ret_st->st_mode) & may)) {
		char more[96];

		snprintf(more, sizeof(more), "%s; allowed: %s",
			 kind_words(ret_st->st_mode), may_words(may));
		return say_path(d, pa, pa->path, "is ", more);
	}
	if (faccessat(AT_FDCWD, pa->path, write ? W_OK : R_OK, AT_EACCESS) < 0)
		return say_errno(d, pa, pa->path,
				 write ? "can't be written" : "can't be read",
				 errno);
	return 0;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	if (!a->st_mode || !b->st_mode)
		return false;
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int check_memory(struct config_draft *d)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t host;

	if (pages <= 0 || size <= 0)
		return 0; /* unknown: the allocation will tell */
	host = (uint64_t)pages * (uint64_t)size;
	if (d->cfg.memory <= host)
		return 0;
	return config_say(d, config_pos(d, 0, "memory"), NULL, "memory",
			  "%" PRIu64 " MiB are more than this host has; "
			  "allowed: up to %" PRIu64 " MiB",
			  d->cfg.memory >> 20, host >> 20);
}

/* As raw bytes it would work, and show the guest the image's own header. */
static bool is_qcow2(const char *path)
{
	auto_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char magic[4];

	return fd >= 0 && pread(fd, magic, sizeof(magic), 0) == 4 &&
	       !memcmp(magic, "QFI\xfb", 4);
}

static int check_disk(struct config_draft *d, struct stat *st, unsigned i)
{
	const struct config_disk *disk = &d->cfg.disk[i];
	struct path_at pa = { config_pos(d, d->disk[i], "path"), "disk", "path",
			      disk->path };
	unsigned j;
	int r;

	r = check_path(d, &pa,
		       MAY_REGULAR | MAY_BLOCK | (disk->readonly ? 0 : FOR_WRITE),
		       &st[i]);
	if (!r && S_ISREG(st[i].st_mode) && is_qcow2(disk->path))
		r = say_path(d, &pa, disk->path, "is a qcow2 image; ",
			     "allowed: raw ones ('qemu-img convert -O raw')");
	for (j = 0; j < i && !r; j++) {
		if ((disk->readonly && d->cfg.disk[j].readonly) ||
		    !is_same_file(&st[i], &st[j]))
			continue;
		r = say_path(d, &pa, disk->path, "is an earlier disk's file; ",
			     "allowed only if both are readonly");
	}
	return r;
}

static int check_console(struct config_draft *d, const struct stat *taken,
			 unsigned n_taken)
{
	struct path_at pa = { .section = "console", .path = d->cfg.console_path };
	bool file = d->cfg.console == CONSOLE_FILE;
	struct stat st;
	unsigned i;
	int r;

	if (!d->cfg.console_path)
		return 0;
	pa.key = file ? "file" : "socket";
	pa.at = config_pos(d, d->table[SECTION_CONSOLE], pa.key);
	r = check_path(d, &pa,
		       MAY_MISS | FOR_WRITE |
			       (file ? MAY_REGULAR | MAY_CHAR : MAY_SOCKET),
		       &st);
	if (!r && pa.path[strlen(pa.path) - 1] == '/')
		r = say_path(d, &pa, pa.path, "ends in a slash; ",
			     "allowed: a file, not a folder");
	for (i = 0; i < n_taken && !r; i++) {
		if (is_same_file(&st, &taken[i]))
			r = say_path(d, &pa, pa.path, "is used by another key; ",
				     "allowed: a file of its own");
	}
	return r;
}

static int check_readable(struct config_draft *d, unsigned table,
			  const char *section, const char *key, const char *path)
{
	struct path_at pa = { config_pos(d, table, key), section, key, path };
	struct stat st;

	return path ? check_path(d, &pa, MAY_REGULAR, &st) : 0;
}

/* One of the owner's files: its size is known, all else the firmware will say. */
static int check_blob(struct config_draft *d, unsigned table, const char *section,
		      const char *key, const char *path, uint32_t want)
{
	struct path_at pa = { config_pos(d, table, key), section, key, path };
	struct launch_blob blob = { 0 };
	struct blob_error why = { "" };
	int r = check_readable(d, table, section, key, path);

	if (r < 0 || !path)
		return r;
	if (blob_load(path, want, LAUNCH_SECRET_MAX, &blob, &why) < 0)
		return say_path(d, &pa, path, "can't be used: ", why.text);
	free(blob.data);
	return 0;
}

static int check_csv(struct config_draft *d)
{
	const struct config_csv *csv = &d->cfg.csv;
	unsigned table = d->table[SECTION_CSV], i;
	int r;

	r = check_blob(d, table, "csv", "dh_cert", csv->dh_cert,
		       LAUNCH_CERT_SIZE);
	if (!r)
		r = check_blob(d, table, "csv", "session", csv->session,
			       LAUNCH_SESSION_SIZE);
	for (i = 0; i < csv->n_secrets && !r; i++) {
		const struct config_secret *s = &csv->secret[i];

		r = check_blob(d, d->secret[i], "csv.secret", "header",
			       s->header, LAUNCH_HEADER_SIZE);
		if (!r)
			r = check_blob(d, d->secret[i], "csv.secret", "file",
				       s->file, 0);
	}
	return r;
}

/* @taken: kernel, initrd, disks, then guest.toml itself: what console output would ruin. */
static int check_files(struct config_draft *d, struct stat *taken)
{
	const struct config *cfg = &d->cfg;
	struct path_at kernel = { config_pos(d, 0, "kernel"), NULL, "kernel",
				  cfg->kernel };
	struct path_at initrd = { config_pos(d, 0, "initrd"), NULL, "initrd",
				  cfg->initrd };
	unsigned i;
	int r;

	r = check_path(d, &kernel, MAY_REGULAR, &taken[0]);
	if (!r && cfg->initrd)
		r = check_path(d, &initrd, MAY_REGULAR, &taken[1]);
	for (i = 0; i < cfg->n_disks && !r; i++)
		r = check_disk(d, taken + 2, i);
	for (i = 0; i < cfg->n_nets && !r; i++) {
		struct path_at pa = { config_pos(d, d->net[i], "passt"), "net",
				      "passt", cfg->net[i].passt };
		struct stat st;

		if (pa.path)
			r = check_path(d, &pa, MAY_SOCKET | FOR_WRITE, &st);
	}
	return r;
}

int config_check_host(struct config_draft *d)
{
	struct stat taken[3 + CONFIG_DISKS_MAX] = { 0 };
	int r;

	/* guest.toml itself: console output would change the next start. */
	if (d->cfg.file && stat(d->cfg.file, &taken[2 + CONFIG_DISKS_MAX]) < 0)
		taken[2 + CONFIG_DISKS_MAX].st_mode = 0;

	r = check_memory(d);
	if (!r)
		r = check_files(d, taken);
	if (!r)
		r = check_csv(d);
	if (!r)
		r = check_console(d, taken, ARRAY_SIZE(taken));
	return r;
}
