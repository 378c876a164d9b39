/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_CSV_INTERNAL_H
#define CSVVMM_CORE_CSV_INTERNAL_H

#include "core/csv.h"

/* For core/csv*.c only. */

/**
 * struct csv_rule - When a command is allowed
 * @name:	The firmware's name of it, for messages
 * @states:	Set of 1 << enum csv_state
 * @es:		Only for a guest with encrypted registers
 * @debug:	Not for a guest with policy `nodbg`
 * @send:	Not for a guest with policy `nosend`
 */
struct csv_rule {
	const char *name;
	unsigned states;
	bool es, debug, send;
};

/* Refuse @rule's command: remember why, return @err. @why: static text. */
int csv_refuse(struct csv *csv, const struct csv_rule *rule, int err,
	       const char *why);
/* Return: 0, or -EPROTO by csv_refuse(). */
int csv_allow(struct csv *csv, const struct csv_rule *rule);
/* Ask the backend; a failure is remembered. After csv_allow(). */
int csv_issue(struct csv *csv, const struct csv_rule *rule, uint32_t cmd,
	      void *arg);
int csv_platform(struct csv *csv, const struct csv_rule *rule, uint32_t cmd,
		 void *arg);
/* Was @r the answer to a size that is too small? */
bool csv_len_told(const struct csv *csv, int r);
/* What failed was a question for a size: no failure. Return: 0 */
int csv_forget(struct csv *csv);

#endif
