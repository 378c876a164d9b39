/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_MIGRATE_PRINT_H
#define CSVVMM_VMM_MIGRATE_PRINT_H

#include <stdbool.h>

#include <jansson.h>

/* Is the guest on its way, in this phase? */
bool migrate_under_way(const char *phase);

/* How far it is: a line of JSON, or, on a terminal (@live), one that stays in place. */
void migrate_print_progress(const json_t *m, bool json, bool live);

/* What became of it. Return: exit status */
int migrate_print_end(const json_t *m, const char *name, const char *where,
		      bool check, bool json);

#endif
