/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include <jansson.h>

#include "core/util.h"
#include "core/version.h"

static const char *const status_name[] = {
	[CHECK_OK] = "ok",
	[CHECK_INFO] = "info",
	[CHECK_WARN] = "warn",
	[CHECK_MISSING] = "missing",
};

static struct check *doctor_vadd(struct doctor *d, const char *name,
				 enum check_status status, const char *fmt,
				 va_list ap)
{
	struct check *c = &d->check[MIN(d->n, DOCTOR_CHECKS_MAX - 1u)];

	if (d->n < DOCTOR_CHECKS_MAX)
		d->n++;
	*c = (struct check){ .name = name, .status = status };
	vsnprintf(c->detail, sizeof(c->detail), fmt, ap);
	return c;
}

struct check *doctor_add(struct doctor *d, const char *name,
			 enum check_status status, const char *fmt, ...)
{
	struct check *c;
	va_list ap;

	va_start(ap, fmt);
	c = doctor_vadd(d, name, status, fmt, ap);
	va_end(ap);
	return c;
}

struct check *doctor_blocks(struct doctor *d, const char *name, const char *fmt,
			    ...)
{
	struct check *c;
	va_list ap;

	va_start(ap, fmt);
	c = doctor_vadd(d, name, CHECK_MISSING, fmt, ap);
	va_end(ap);
	c->blocks = true;
	return c;
}

void doctor_next(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->next, sizeof(c->next), fmt, ap);
	va_end(ap);
}

int doctor_read(const struct doctor *d, const char *path, char *buf, size_t size)
{
	char full[PATH_MAX];
	auto_fd int fd = -1;
	ssize_t n;

	snprintf(full, sizeof(full), "%s%s", d->root, path);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		return -errno;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = 0;
	return (int)n;
}

int64_t doctor_read_key(const struct doctor *d, const char *path, const char *key)
{
	char text[8192];
	char *line, *save;

	if (doctor_read(d, path, text, sizeof(text)) < 0)
		return -1;
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *end = line + strcspn(line, ": \t");

		if ((size_t)(end - line) != strlen(key) ||
		    strncmp(line, key, strlen(key)) != 0)
			continue;
		return strtoll(end + strspn(end, ": \t"), NULL, 10);
	}
	return -1;
}

int doctor_read_flag(const struct doctor *d, const char *path)
{
	char text[32] = "";

	if (doctor_read(d, path, text, sizeof(text)) < 0)
		return -1;
	/* A bool parameter reads Y or N, an int one a number. */
	return text[0] == 'Y' || text[0] == 'y' || strtol(text, NULL, 10) > 0;
}

bool doctor_can_run(const struct doctor *d)
{
	unsigned i;

	for (i = 0; i < d->n; i++) {
		if (d->check[i].blocks)
			return false;
	}
	return d->n > 0;
}

const struct check *doctor_find(const struct doctor *d, const char *name)
{
	unsigned i;

	for (i = 0; i < d->n; i++) {
		if (!strcmp(d->check[i].name, name))
			return &d->check[i];
	}
	return NULL;
}

/* As it is, for a CSV2 guest: NULL, or what it lacks. */
static const struct check *lacks_csv2(const struct doctor *d)
{
	static const char *const needed[] = { "csv", "csv2", "asids-csv2",
					      "dev-sev" };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		const struct check *c = doctor_find(d, needed[i]);

		if (c && c->status == CHECK_MISSING)
			return c;
	}
	for (i = 0; i < d->n; i++) {
		if (d->check[i].blocks)
			return &d->check[i];
	}
	return NULL;
}

bool doctor_can_run_csv2(const struct doctor *d)
{
	const struct check *csv2 = doctor_find(d, "csv2");

	return csv2 && csv2->status == CHECK_OK && !lacks_csv2(d);
}

static void print_csv2(const struct doctor *d, FILE *out)
{
	const struct check *c = lacks_csv2(d);

	if (doctor_can_run_csv2(d))
		fprintf(out, "A CSV2 guest can run here.\n");
	else
		fprintf(out,
			"A CSV2 guest can not run here as it is%s%s.\n"
			"In the lab it can: lab/run --cpu hygon build/csvvmm run FILE\n",
			c ? ": " : "", c ? c->detail : "");
}

void doctor_print(const struct doctor *d, FILE *out)
{
	unsigned i;

	for (i = 0; i < d->n; i++) {
		const struct check *c = &d->check[i];

		fprintf(out, "%-8s %-18s %s\n", status_name[c->status], c->name,
			c->detail);
		if (c->next[0])
			fprintf(out, "%-8s %-18s next: %s\n", "", "", c->next);
	}
	fprintf(out, "\n%s\n",
		doctor_can_run(d)
			? "A plain Linux guest can run here."
			: "A plain Linux guest can not run here as it is.");
	print_csv2(d, out);
}

int doctor_print_json(const struct doctor *d, FILE *out)
{
	json_t *checks = json_array(), *all = json_object();
	unsigned i;
	int r;

	for (i = 0; i < d->n; i++) {
		const struct check *c = &d->check[i];
		json_t *j = json_pack("{s:s, s:s, s:b, s:s}", "name", c->name,
				      "status", status_name[c->status],
				      "blocks", c->blocks, "detail", c->detail);

		if (c->next[0])
			json_object_set_new(j, "next", json_string(c->next));
		json_array_append_new(checks, j);
	}
	json_object_set_new(all, "version", json_string(CSVVMM_VERSION));
	json_object_set_new(all, "can_run_linux",
			    json_boolean(doctor_can_run(d)));
	json_object_set_new(all, "can_run_csv2",
			    json_boolean(doctor_can_run_csv2(d)));
	json_object_set_new(all, "checks", checks);
	r = json_dumpf(all, out, JSON_ENSURE_ASCII | JSON_INDENT(2));
	fputc('\n', out);
	json_decref(all);
	return r < 0 ? -EIO : 0;
}
