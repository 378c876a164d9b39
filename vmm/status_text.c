/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/status_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/commands.h"

uint64_t status_u64(const json_t *answer, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(answer, key));
}

/* What another process says may drive the terminal. */
static const char *printable(const char *text)
{
	const char *p;

	for (p = text; *p; p++) {
		if (log_control(p))
			return "?";
	}
	return text;
}

const char *status_text(const json_t *answer, const char *key)
{
	const char *text = json_string_value(json_object_get(answer, key));

	return text ? printable(text) : "?";
}

void status_print_uptime(uint64_t ns)
{
	uint64_t s = ns / 1000000000;

	printf("%" PRIu64 "d %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 86400,
	       s / 3600 % 24, s / 60 % 60, s % 60);
}

static void print_devices(const json_t *answer, const char *key)
{
	const json_t *list = json_object_get(answer, key);
	const json_t *item;
	size_t i;

	printf("%-14s", key);
	json_array_foreach(list, i, item)
	{
		printf(" %s", status_text(item, "id"));
		if (json_is_true(json_object_get(item, "readonly")))
			printf(" (read-only)");
		if (json_object_get(item, "kind"))
			printf(" (%s, %s)", status_text(item, "kind"),
			       status_text(item, "mac"));
	}
	printf("%s\n", json_array_size(list) ? "" : " none");
}

static void print_exits(json_t *answer)
{
	const json_t *list = json_object_get(answer, "exits");
	const char *kind, *comma = "";
	json_t *item;
	size_t i;

	printf("%-14s", "exits");
	json_array_foreach(list, i, item)
		printf(" %" JSON_INTEGER_FORMAT, json_integer_value(item));
	printf("\n%-14s", "by kind");
	json_object_foreach(json_object_get(answer, "exits_by"), kind, item)
	{
		printf("%s %s %" JSON_INTEGER_FORMAT, comma, printable(kind),
		       json_integer_value(item));
		comma = ",";
	}
	putchar('\n');
}

static void print_csv(const json_t *csv)
{
	const char *launch = status_text(csv, "launch");

	if (!json_is_object(csv))
		return;
	/* "finished" sounds as if the guest were. */
	if (!strcmp(launch, "finished"))
		launch = "launched";
	printf("%-14s %s (%s), %s\n", "csv", status_text(csv, "type"),
	       status_text(csv, "backend"), launch);
	printf("%-14s %s\n", "launch digest", status_text(csv, "digest"));
	if (json_is_integer(json_object_get(csv, "shared_pages")))
		printf("%-14s %lld, %s\n", "shared pages",
		       json_integer_value(json_object_get(csv, "shared_pages")),
		       json_is_true(json_object_get(csv, "migratable_now"))
			       ? "ready for migration"
			       : "not ready for migration");
}

static void print_migration(const json_t *m)
{
	const char *phase = status_text(m, "phase");

	if (!json_is_object(m))
		return;
	printf("%-14s %s", "migration", phase);
	if (!strcmp(phase, "pages") || !strcmp(phase, "stopped"))
		printf(": round %" PRIu64 ", %" PRIu64 " pages sent, %" PRIu64
		       " left, %.0f MiB/s",
		       status_u64(m, "round"), status_u64(m, "pages"),
		       status_u64(m, "remaining"),
		       (double)status_u64(m, "rate") / 1048576.0);
	else if (*status_text(m, "why"))
		printf(": %s", status_text(m, "why"));
	putchar('\n');
}

static void print_resets(const json_t *r)
{
	uint64_t n = status_u64(r, "count");

	if (n || json_is_true(json_object_get(r, "pending")))
		printf("%-14s %" PRIu64 "%s%s%s\n", "resets", n,
		       n ? ", the last one by " : "",
		       n ? status_text(r, "way") : "",
		       json_is_true(json_object_get(r, "pending"))
			       ? ", one is under way"
			       : "");
}

static void print_head(const json_t *answer)
{
	printf("%-14s %s\n", "name", status_text(answer, "name"));
	printf("%-14s %s\n", "state", status_text(answer, "state"));
	printf("%-14s %" PRIu64 "\n", "pid", status_u64(answer, "pid"));
	if (json_object_get(answer, "port"))
		printf("%-14s %" PRIu64 "\n", "port", status_u64(answer, "port"));
	printf("%-14s %" PRIu64 "\n", "vcpus", status_u64(answer, "vcpus"));
	printf("%-14s %" PRIu64 "M\n", "memory",
	       status_u64(answer, "memory") >> 20);
	printf("%-14s ", "uptime");
	status_print_uptime(status_u64(answer, "uptime_ns"));
	putchar('\n');
}

static void print_guest(json_t *answer)
{
	const json_t *first = json_object_get(answer, "start_to_first_run_ns");

	if (json_is_integer(first))
		printf("%-14s %.1f ms\n", "start-up",
		       (double)json_integer_value(first) / 1e6);
	print_exits(answer);
	printf("%-14s %s\n", "config", status_text(answer, "config"));
	printf("%-14s %s\n", "kernel", status_text(answer, "kernel"));
	print_devices(answer, "disks");
	print_devices(answer, "nets");
	print_csv(json_object_get(answer, "csv"));
	print_migration(json_object_get(answer, "migration"));
	print_resets(json_object_get(answer, "reset"));
	printf("%-14s %" PRIu64 " lines\n", "log dropped",
	       status_u64(answer, "log_dropped"));
}

int status_print(json_t *answer)
{
	print_head(answer);
	/* There is no guest yet. */
	if (json_object_get(answer, "exits"))
		print_guest(answer);
	json_decref(answer);
	return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
}
