/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <stdatomic.h>
#include <pthread.h>

#include "core/util.h"

static const char *const level_word[] = {
	[LOG_ERROR] = "error: ",
	[LOG_WARN] = "warning: ",
	[LOG_INFO] = "",
	[LOG_DEBUG] = "debug: ",
};

static enum log_level log_level = LOG_INFO;
static const char *log_name = "csvvmm";

static struct {
	pthread_mutex_t lock;
	time_t second;
	unsigned credit;
	atomic_uint_fast64_t dropped;
} guest_rate = { .lock = PTHREAD_MUTEX_INITIALIZER, .credit = LOG_GUEST_BURST };

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_name(const char *name)
{
	log_name = name;
}

/*
 * One write() a line, so that lines of several threads never mix. Control
 * bytes become '?': a file name or a guest's text can't drive the terminal.
 */
static void log_line(enum log_level level, const char *fmt, va_list ap,
		     const char *tail)
{
	char buf[1024];
	size_t n, i;
	int len;

	len = snprintf(buf, sizeof(buf), "%s: %s", log_name, level_word[level]);
	n = len > 0 ? (size_t)len : 0;
	len = vsnprintf(buf + n, sizeof(buf) - n, fmt, ap);
	n = MIN(n + (len > 0 ? (size_t)len : 0), sizeof(buf) - 1);
	if (tail) {
		len = snprintf(buf + n, sizeof(buf) - n, ": %s", tail);
		n = MIN(n + (len > 0 ? (size_t)len : 0), sizeof(buf) - 1);
	}
	for (i = 0; i < n; i++) {
		if ((unsigned char)buf[i] < ' ' || buf[i] == 0x7f)
			buf[i] = '?';
	}
	n = MIN(n, sizeof(buf) - 1);
	buf[n++] = '\n';
	if (write(STDERR_FILENO, buf, n) < 0)
		return; /* nobody is left to tell */
}

void log_at(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > log_level)
		return;
	va_start(ap, fmt);
	log_line(level, fmt, ap, NULL);
	va_end(ap);
}

static bool guest_may_log(void)
{
	struct timespec now;
	bool ok = false;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	pthread_mutex_lock(&guest_rate.lock);
	if (now.tv_sec != guest_rate.second) {
		uint64_t gain = (uint64_t)(now.tv_sec - guest_rate.second) *
				LOG_GUEST_RATE;

		guest_rate.credit = (unsigned)MIN(guest_rate.credit + gain,
						  (uint64_t)LOG_GUEST_BURST);
		guest_rate.second = now.tv_sec;
	}
	if (guest_rate.credit) {
		guest_rate.credit--;
		ok = true;
	}
	pthread_mutex_unlock(&guest_rate.lock);
	if (!ok)
		atomic_fetch_add(&guest_rate.dropped, 1);
	return ok;
}

void log_guest(const char *fmt, ...)
{
	va_list ap;

	if (!guest_may_log())
		return;
	va_start(ap, fmt);
	log_line(LOG_WARN, fmt, ap, NULL);
	va_end(ap);
}

int log_errno(int r, const char *fmt, ...)
{
	char words[128];
	va_list ap;

	/* The GNU variant: returns the text, not always in the buffer. */
	const char *text = strerror_r(-r, words, sizeof(words));

	va_start(ap, fmt);
	log_line(LOG_ERROR, fmt, ap, text);
	va_end(ap);
	return r;
}

uint64_t log_guest_dropped(void)
{
	return atomic_load(&guest_rate.dropped);
}
