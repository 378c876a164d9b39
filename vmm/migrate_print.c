/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/util.h"
#include "migration/progress.h"
#include "vmm/commands.h"
#include "vmm/status_text.h"

bool migrate_under_way(const char *phase)
{
	enum mig_phase p;

	for (p = MIG_PREFLIGHT; p <= MIG_COMMITTING; p++)
		if (!strcmp(phase, mig_phase_name(p)))
			return true;
	return false;
}

static void print_json(const json_t *j)
{
	(void)json_dumpf(j, stdout, JSON_ENSURE_ASCII | JSON_COMPACT);
	putchar('\n');
	(void)fflush(stdout);
}

void migrate_print_progress(const json_t *m, bool json, bool live)
{
	if (json) {
		print_json(m);
		return;
	}
	if (!live)
		return;
	printf("\r%s: round %" PRIu64 ", %" PRIu64 " pages, %" PRIu64
	       " left, %.0f MiB/s, %" PRIu64 " dirty/s, PSP %" PRIu64
	       " %%, downtime %.0f ms\033[K",
	       status_text(m, "phase"), status_u64(m, "round"),
	       status_u64(m, "pages"), status_u64(m, "remaining"),
	       (double)status_u64(m, "rate") / 1048576.0,
	       status_u64(m, "dirty_rate"), status_u64(m, "psp_busy") / 10,
	       (double)status_u64(m, "predicted_ns") / 1e6);
	(void)fflush(stdout);
}

static void print_moved(const json_t *m, const char *name, const char *where,
			bool check)
{
	if (check) {
		printf("%s could move to %s\n", name, where);
		return;
	}
	printf("%s moved to %s: %" PRIu64 " round%s, %" PRIu64
	       " pages (%" PRIu64 " sealed, %" PRIu64
	       " zero), %.1f MiB in %.2f s, downtime %.1f ms (predicted %.1f); %.2f s of CPU time for the line\n",
	       name, where, status_u64(m, "rounds"),
	       status_u64(m, "rounds") == 1 ? "" : "s", status_u64(m, "pages"),
	       status_u64(m, "sealed_pages"), status_u64(m, "zero_pages"),
	       (double)status_u64(m, "bytes") / 1048576.0,
	       (double)status_u64(m, "total_ns") / 1e9,
	       (double)status_u64(m, "down_ns") / 1e6,
	       (double)status_u64(m, "predicted_ns") / 1e6,
	       (double)status_u64(m, "line_cpu_us") / 1e6);
}

int migrate_print_end(const json_t *m, const char *name, const char *where,
		      bool check, bool json)
{
	static const struct {
		const char *phase, *words;
		int status;
	} ends[] = {
		{ "moved", NULL, EXIT_OK },
		{ "possible", NULL, EXIT_OK },
		{ "refused", "refused; nothing was changed", EXIT_REFUSED },
		{ "cancelled", "cancelled; the guest goes on here",
		  EXIT_CANCELLED },
		{ "stuck",
		  "the guest stands still here, and is nowhere else; when that is mended, 'csvvmm migrate --decide=here'",
		  EXIT_IN_DOUBT },
		{ "in doubt",
		  "the guest stands still; see whether it runs at the target, then 'csvvmm migrate --decide'",
		  EXIT_IN_DOUBT },
		{ "failed", "failed; the guest goes on here", EXIT_FAILED },
		{ "ended", "not moved; the guest has ended here", EXIT_FAILED },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ends); i++)
		if (!strcmp(status_text(m, "phase"), ends[i].phase))
			break;
	if (i == ARRAY_SIZE(ends)) {
		log_err("guest \"%s\": not an answer", name);
		return EXIT_FAILED;
	}
	if (json)
		print_json(m);
	else if (!ends[i].words)
		print_moved(m, name, where, check);
	if (ends[i].words && strcmp(status_text(m, "why"), "cancelled") != 0)
		log_err("migrate %s: %s: %s", name, ends[i].words,
			status_text(m, "why"));
	else if (ends[i].words)
		log_err("migrate %s: %s", name, ends[i].words);
	return ends[i].status;
}
