/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/launch_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/base64.h"
#include "vmm/launch.h"

/* Base64 of the largest, with line ends. */
#define TEXT_MAX 32768u

/* Not more than @size bytes, or -EFBIG. Return: how many, or -errno; -ENOTSUP: no
 * regular file */
static ssize_t read_small(const char *path, char *buf, size_t size)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -ENOTSUP;
	if (st.st_size > (off_t)size)
		return -EFBIG;
	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* Return: @r, with @why */
static int blob_fail(struct blob_error *why, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return r;
}

static int read_fail(struct blob_error *why, int r)
{
	return blob_fail(why, r, "%s",
			 r == -ENOTSUP ? "not a regular file" : strerror(-r));
}

int file_read(const char *what, const char *path, uint32_t max,
	      struct launch_blob *ret_b)
{
	uint8_t *data = malloc(max);
	ssize_t n = data ? read_small(path, (char *)data, max) : -ENOMEM;
	struct blob_error why = { "empty" };

	if (n > 0) {
		*ret_b = (struct launch_blob){ data, (uint32_t)n };
		return 0;
	}
	free(data);
	if (n == -EFBIG)
		blob_fail(&why, 0, "too large; allowed: 1 to %u bytes", max);
	else if (n < 0)
		read_fail(&why, (int)n);
	log_err("%s %s: %s", what, path, why.text);
	return n < 0 ? (int)n : -EINVAL;
}

static bool size_ok(size_t len, uint32_t want, uint32_t max)
{
	return want ? len == want : len >= 16 && len <= max;
}

/*
 * Text first: base64 of one size can be bytes of another only where sizes may
 * vary, and then bytes that all are digits of base64 are no ciphertext.
 */
int blob_load(const char *path, uint32_t want, uint32_t max,
	      struct launch_blob *ret_b, struct blob_error *why)
{
	auto_free char *text = malloc(2 * TEXT_MAX);
	char have[32] = "too large";
	size_t len = 0;
	uint8_t *data;
	ssize_t n;

	if (!text)
		return read_fail(why, -ENOMEM);
	data = (uint8_t *)text + TEXT_MAX;
	n = read_small(path, text, TEXT_MAX);
	if (n < 0 && n != -EFBIG)
		return read_fail(why, (int)n);
	if (n >= 0 && (base64_decode(text, (size_t)n, data, TEXT_MAX, &len) < 0 ||
		       !size_ok(len, want, max))) {
		len = (size_t)n;
		memcpy(data, text, len);
	}
	if (n >= 0)
		snprintf(have, sizeof(have), "%zu bytes", len);
	if (n < 0 || !size_ok(len, want, max))
		return blob_fail(why, n < 0 ? (int)n : -EINVAL,
				 "%s; needed: %s%u bytes, or their base64",
				 have, want ? "" : "16 to ", want ? want : max);
	ret_b->data = malloc(len);
	if (!ret_b->data)
		return read_fail(why, -ENOMEM);
	memcpy(ret_b->data, data, len);
	ret_b->len = (uint32_t)len;
	return 0;
}

int blob_read(const char *what, const char *path, uint32_t want, uint32_t max,
	      struct launch_blob *ret_b)
{
	struct blob_error why = { "" };
	int r = blob_load(path, want, max, ret_b, &why);

	if (r < 0)
		log_err("%s %s: %s", what, path, why.text);
	return r;
}

int launch_read_files(struct launch *l)
{
	const struct config_csv *cfg = l->cfg;
	unsigned i;
	int r = 0;

	if (cfg->dh_cert)
		r = blob_read("dh_cert", cfg->dh_cert, LAUNCH_CERT_SIZE, 0,
			      &l->dh_cert);
	if (!r && cfg->session)
		r = blob_read("session", cfg->session, LAUNCH_SESSION_SIZE, 0,
			      &l->session);
	for (i = 0; !r && i < cfg->n_secrets; i++) {
		const struct config_secret *s = &cfg->secret[i];

		l->secret[i].at = s->addr;
		r = blob_read("secret header", s->header, LAUNCH_HEADER_SIZE, 0,
			      &l->secret[i].header);
		if (!r)
			r = blob_read("secret", s->file, 0, LAUNCH_SECRET_MAX,
				      &l->secret[i].data);
	}
	return r;
}
