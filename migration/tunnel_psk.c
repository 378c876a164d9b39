/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"
#include "migration/tunnel_impl.h"

#define ID_DEFAULT "csvvmm"
#define ID_CHARS                     \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
	"abcdefghijklmnopqrstuvwxyz0123456789._@-"

int tunnel_open_file(const char *path, bool secret, struct tunnel_error *err)
{
	struct stat st;
	int fd, r;

	/* A pipe must not hold us up before its kind is known. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		tunnel_say(err, "%s: %s", path, strerror(-r));
		util_close(&fd);
		return r;
	}
	if (!S_ISREG(st.st_mode)) {
		tunnel_say(err, "%s: not a regular file", path);
		(void)close(fd);
		return -EINVAL;
	}
	if (secret && (st.st_mode & S_IRWXO)) {
		tunnel_say(err,
			   "%s: others may read or change this secret (chmod o= %s)",
			   path, path);
		(void)close(fd);
		return -EPERM;
	}
	return fd;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int psk_key(struct tunnel_tls *tls, const char *hex, const char *path,
		   struct tunnel_error *err)
{
	size_t i, n = strlen(hex);
	uint8_t other = 0;

	for (i = 0; i < n; i++) {
		if (hex_digit(hex[i]) < 0) {
			tunnel_say(err,
				   "%s: the key is not hexadecimal at digit %zu",
				   path, i + 1);
			return -EINVAL;
		}
	}
	if (n % 2 || n < 2 * TUNNEL_KEY_MIN || n > 2 * TUNNEL_KEY_MAX) {
		tunnel_say(err,
			   "%s: the key has %zu digits; 64 to 128 are needed ('openssl rand -hex 32' makes one)",
			   path, n);
		return -EINVAL;
	}
	tls->key_len = n / 2;
	for (i = 0; i < tls->key_len; i++) {
		tls->key[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 |
					hex_digit(hex[2 * i + 1]));
		other |= tls->key[i] ^ tls->key[0];
	}
	if (other)
		return 0;
	tunnel_say(err, "%s: the key is the same byte over and over", path);
	return -EINVAL;
}

static int psk_parse(struct tunnel_tls *tls, char *line, const char *path,
		     struct tunnel_error *err)
{
	char *colon, *end = line + strlen(line);

	while (end > line && isspace((unsigned char)end[-1]))
		*--end = '\0';
	memcpy(tls->identity, ID_DEFAULT, sizeof(ID_DEFAULT));
	colon = strchr(line, ':');
	if (!colon)
		return psk_key(tls, line, path, err);
	*colon = '\0';
	if (!*line || strlen(line) > TUNNEL_ID_MAX ||
	    line[strspn(line, ID_CHARS)]) {
		tunnel_say(err,
			   "%s: the identity must be 1 to %u of A-Z a-z 0-9 . _ @ -",
			   path, TUNNEL_ID_MAX);
		return -EINVAL;
	}
	memcpy(tls->identity, line, strlen(line) + 1);
	return psk_key(tls, colon + 1, path, err);
}

int tunnel_psk_load(struct tunnel_tls *tls, const char *path,
		    struct tunnel_error *err)
{
	/* Identity, colon, key, end of line, and a byte to see more. */
	char line[TUNNEL_ID_MAX + 1 + 2 * TUNNEL_KEY_MAX + 4] = { 0 };
	auto_fd int fd = tunnel_open_file(path, true, err);
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	n = read(fd, line, sizeof(line) - 1);
	if (n < 0) {
		r = -errno;
		tunnel_say(err, "%s: %s", path, strerror(-r));
	} else if (n == (ssize_t)sizeof(line) - 1 || memchr(line, 0, (size_t)n)) {
		tunnel_say(err, "%s: not one line of IDENTITY:KEY or KEY", path);
		r = -EINVAL;
	} else {
		r = psk_parse(tls, line, path, err);
	}
	explicit_bzero(line, sizeof(line));
	return r;
}
