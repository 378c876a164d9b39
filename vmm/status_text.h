/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_STATUS_TEXT_H
#define CSVVMM_VMM_STATUS_TEXT_H

#include <stdint.h>

#include <jansson.h>

/* A VMM's answer to "status" (docs/CONTROL.md), for people. */

/* 0 where there is no such number. */
uint64_t status_u64(const json_t *answer, const char *key);
/* From another process: "?" where control bytes would reach the terminal, or where
 * there is no such text. */
const char *status_text(const json_t *answer, const char *key);

void status_print_uptime(uint64_t ns);
/* All of it; @answer is used up. Return: exit status */
int status_print(json_t *answer);

#endif
