/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/util.h"

static const char *const level_word[] = {
	[LOG_ERROR] = "error: ",
	[LOG_WARN] = "warning: ",
	[LOG_INFO] = "",
	[LOG_DEBUG] = "debug: ",
};

static enum log_level log_level = LOG_INFO;
static const char *log_name = "csvvmm";

#define LINE_MAX_LEN 1024

/* Where lines go. The lock keeps poll() and write() together. */
static struct {
	pthread_mutex_t lock;
	int fd;
	unsigned lost;	/* lines since the last that got through */
	bool half_line; /* it got through in part */
	char error[256];
} out = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO };

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

void log_open(void)
{
	struct stat st;
	int fd = -1;

	/* A file has a position, which must stay shared; and never refuses. */
	if (fstat(STDERR_FILENO, &st) == 0 &&
	    (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		fd = open("/proc/self/fd/2",
			  O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		out.fd = fd;
}

/* Will a write() to the shared description return at once? A pipe has room for
 * PIPE_BUF bytes then, and takes a line whole. */
static bool out_ready(void)
{
	struct pollfd p = { .fd = out.fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

/* Return: has all of it got through? */
static bool out_try(const char *line, size_t n)
{
	ssize_t done;

	if (out.fd == STDERR_FILENO && !out_ready())
		return false;
	done = write(out.fd, line, n);
	if (done > 0)
		out.half_line = (size_t)done < n;
	return done == (ssize_t)n;
}

/* First say what is missing. */
static bool out_catch_up(void)
{
	char line[128];
	int n;

	if (out.half_line && !out_try("\n", 1))
		return false;
	if (!out.lost)
		return true;
	n = snprintf(line, sizeof(line),
		     "%s: %u lines were lost: nobody read them\n", log_name,
		     out.lost);
	if (!out_try(line, MIN((size_t)n, sizeof(line) - 1)))
		return false;
	out.lost = 0;
	return true;
}

static void out_line(const char *line, size_t n, const char *error)
{
	pthread_mutex_lock(&out.lock);
	if (error)
		(void)snprintf(out.error, sizeof(out.error), "%.*s",
			       (int)(line + n - 1 - error), error);
	if (!out_catch_up() || !out_try(line, n))
		out.lost++;
	pthread_mutex_unlock(&out.lock);
}

size_t log_control(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	if (p[0] < ' ' || p[0] == 0x7f)
		return p[0] ? 1 : 0;
	if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
		return 2;
	/* U+202A to 202E, U+2066 to 2069 */
	if (p[0] == 0xe2 && ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
			     (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)))
		return 3;
	return 0;
}

/*
 * One write() a line, so that lines of several threads never mix. Control
 * bytes become '?': a file name or a guest's text can't drive the terminal.
 */
static void log_line(enum log_level level, const char *fmt, va_list ap,
		     const char *tail)
{
	char buf[LINE_MAX_LEN];
	size_t n, i, text;
	int len;

	len = snprintf(buf, sizeof(buf), "%s: %s", log_name, level_word[level]);
	text = n = len > 0 ? MIN((size_t)len, sizeof(buf) - 1) : 0;
	len = vsnprintf(buf + n, sizeof(buf) - n, fmt, ap);
	n = MIN(n + (len > 0 ? (size_t)len : 0), sizeof(buf) - 1);
	if (tail) {
		len = snprintf(buf + n, sizeof(buf) - n, ": %s", tail);
		n = MIN(n + (len > 0 ? (size_t)len : 0), sizeof(buf) - 1);
	}
	buf[n] = '\0';
	for (i = 0; i < n; i++)
		memset(buf + i, '?', log_control(buf + i));
	buf[n++] = '\n';
	out_line(buf, n, level == LOG_ERROR ? buf + text : NULL);
}

void log_last_error(char *ret_text, size_t size)
{
	pthread_mutex_lock(&out.lock);
	(void)snprintf(ret_text, size, "%s", out.error);
	pthread_mutex_unlock(&out.lock);
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

/* Whose error it is, when the user's limits are behind it. */
static const char *errno_limit(int r)
{
	switch (-r) {
	case EMFILE:
		return " (the limit is ulimit -n)";
	case ENFILE:
		return " (the limit is sysctl fs.file-max)";
	default:
		return "";
	}
}

int log_errno(int r, const char *fmt, ...)
{
	char words[128], text[192];
	va_list ap;

	/* The GNU variant: returns the text, not always in the buffer. */
	(void)snprintf(text, sizeof(text), "%s%s",
		       strerror_r(-r, words, sizeof(words)), errno_limit(r));

	va_start(ap, fmt);
	log_line(LOG_ERROR, fmt, ap, text);
	va_end(ap);
	return r;
}

uint64_t log_guest_dropped(void)
{
	return atomic_load(&guest_rate.dropped);
}
