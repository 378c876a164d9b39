/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_LOG_H
#define CSVVMM_CORE_LOG_H

#include <stddef.h>
#include <stdint.h>

/*
 * Diagnostics go to standard error, one line each: "csvvmm: error: ...". A
 * line that standard error does not take at once is left out (an unread pipe,
 * a stopped terminal), and the next one that goes through is preceded by their
 * number: nothing ever waits for who reads the log.
 *
 * Everything that a guest can trigger must use log_guest(), which is limited
 * to a burst of LOG_GUEST_BURST lines and then LOG_GUEST_RATE a second, with
 * a count of the lines left out.
 */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_GUEST_BURST 20
#define LOG_GUEST_RATE	1

/*
 * Give the log a description of standard error of its own, where that is a
 * pipe or a terminal, so that a write can be refused; shared ones can't be
 * switched to O_NONBLOCK. Without it (or where the host refuses it) a terminal
 * that is almost full may still make a line wait. Before the sandbox.
 */
void log_open(void);

void log_set_level(enum log_level level);

/* Prefix of every line from now on instead of "csvvmm" (not copied). */
void log_set_name(const char *name);

void log_at(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* As log_at(LOG_WARN, ...), rate limited: for what a guest or peer causes. */
void log_guest(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Bytes at @text (NUL-terminated) that would drive a terminal instead of being
 * shown: a control character ([ECMA-48] C0, C1, DEL), or one that turns the writing
 * direction. The log has '?' for them. 0: none */
size_t log_control(const char *text);

/**
 * log_errno() - Log an error with its errno in words, and pass it on
 * @r:	Negative errno; returned unchanged
 *
 * Return: @r, so that callers can write `return log_errno(r, "open %s", p);`
 */
int log_errno(int r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...)   log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* The last error, without the prefix: for who asked for what failed. @size at least
 * 1; empty when there was none. */
void log_last_error(char *ret_text, size_t size);

/* Number of guest-caused lines that were left out so far. */
uint64_t log_guest_dropped(void);

#endif
