/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration/wire.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/util.h"

#define FROM_SOURCE BIT(WIRE_SOURCE)
#define FROM_TARGET BIT(WIRE_TARGET)
#define FROM_BOTH   (FROM_SOURCE | FROM_TARGET)

#define SEALED_PAGE (WIRE_HDR_SIZE + PAGE_SIZE)
/* Runs of pages: a count, then at most 12 bytes a run. */
#define RUNS_MAX(pages) (8 + 12 * (pages))

static const struct wire_rule rules[WIRE_TYPES] = {
	[WIRE_OFFER] = { "offer", FROM_SOURCE, 16, 65536 },
	[WIRE_ANSWER] = { "answer", FROM_TARGET, 16, 65536 },
	[WIRE_START] = { "start", FROM_SOURCE, 16, 65536 },
	[WIRE_READY] = { "ready", FROM_TARGET, 16, 16 },
	[WIRE_SEALED] = { "sealed pages", FROM_SOURCE, 8 + 2 + SEALED_PAGE,
			  RUNS_MAX(WIRE_BATCH_MAX) + WIRE_BATCH_MAX *SEALED_PAGE },
	[WIRE_PLAIN] = { "plain pages", FROM_SOURCE, 8 + 2 + PAGE_SIZE,
			 RUNS_MAX(WIRE_PLAIN_MAX) + WIRE_PLAIN_MAX *PAGE_SIZE },
	[WIRE_ZERO] = { "zero pages", FROM_SOURCE, 8 + 2,
			RUNS_MAX(WIRE_BATCH_MAX) },
	[WIRE_STOPPED] = { "stopped", FROM_SOURCE, 0, 0 },
	[WIRE_SHARED] = { "shared pages", FROM_SOURCE, 8 + 2,
			  RUNS_MAX(WIRE_BATCH_MAX) },
	[WIRE_VMSA] = { "VMSA", FROM_SOURCE, 4 + SEALED_PAGE, 4 + SEALED_PAGE },
	[WIRE_CPU] = { "vCPU", FROM_SOURCE, 9, 262144 },
	[WIRE_MACHINE] = { "machine", FROM_SOURCE, 5, 65536 },
	[WIRE_DEVICES] = { "devices", FROM_SOURCE, 2, 262144 },
	[WIRE_END] = { "end", FROM_SOURCE, 16, 16 },
	[WIRE_PREPARED] = { "prepared", FROM_TARGET, 0, 0 },
	[WIRE_COMMIT] = { "commit", FROM_SOURCE, 0, 0 },
	[WIRE_RUNNING] = { "running", FROM_TARGET, 0, 0 },
	[WIRE_FAIL] = { "fail", FROM_BOTH, 1, WIRE_TEXT_MAX },
	[WIRE_SYNC] = { "sync", FROM_SOURCE, 0, 0 },
	[WIRE_SYNCED] = { "synced", FROM_TARGET, 0, 0 },
};

const struct wire_rule *wire_rule(uint32_t type)
{
	return type < WIRE_TYPES && rules[type].name ? &rules[type] : NULL;
}

void wire_open(struct wire *w, enum wire_side side, int fd, int wake_fd,
	       uint64_t stall_ns)
{
	int flags = fcntl(fd, F_GETFL);

	*w = (struct wire){
		.fd = fd, .wake_fd = wake_fd, .side = side, .stall_ns = stall_ns
	};
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int wire_fail(struct wire *w, int r, const char *fmt, ...)
{
	va_list ap;

	if (w->error[0])
		return r;
	va_start(ap, fmt);
	(void)vsnprintf(w->error, sizeof(w->error), fmt, ap);
	va_end(ap);
	return r;
}

/* --- bytes ------------------------------------------------------------------ */

/* Return: 0 when @events came; -ETIMEDOUT at @until_ns; -ECANCELED */
static int wait_for(const struct wire *w, short events, uint64_t until_ns)
{
	struct pollfd p[2] = { { .fd = w->fd, .events = events },
			       { .fd = w->wake_fd, .events = POLLIN } };

	for (;;) {
		uint64_t now = now_ns();
		struct timespec ts = { 0 };
		int r;

		if (until_ns > now) {
			ts.tv_sec = (time_t)((until_ns - now) / NS_PER_S);
			ts.tv_nsec = (long)((until_ns - now) % NS_PER_S);
		}
		r = ppoll(p, 2, &ts, NULL);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r > 0 && p[1].revents)
			return -ECANCELED;
		if (r > 0 && p[0].revents)
			return 0;
		if (until_ns <= now)
			return -ETIMEDOUT;
	}
}

static int line_error(struct wire *w, int r, const char *doing)
{
	if (r == -ETIMEDOUT)
		return wire_fail(w, r, "%s: the peer has been silent for %llu s",
				 doing,
				 (unsigned long long)(w->stall_ns / NS_PER_S));
	if (r == -ECANCELED)
		return wire_fail(w, r, "cancelled");
	if (r == -ECONNRESET || r == -EPIPE)
		return wire_fail(w, -ECONNRESET, "%s: the peer hung up", doing);
	return wire_fail(w, r, "%s: %s", doing, strerror(-r));
}

/* Drop @n bytes from the front of an array. */
static void iov_skip(struct iovec **iov, unsigned *count, size_t n)
{
	while (*count && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
	if (n && *count) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

/* Not faster than w->rate: wait until what was sent is within it. */
static int keep_rate(struct wire *w)
{
	uint64_t now = now_ns(), due;

	if (!w->rate)
		return 0;
	/* What was not used is lost after a second. */
	if (!w->rate_from_ns || now - w->rate_from_ns > NS_PER_S) {
		w->rate_from_ns = now;
		w->rate_sent = 0;
	}
	due = w->rate_from_ns +
	      (uint64_t)((double)w->rate_sent * 1e9 / (double)w->rate);
	return due > now ? wire_wait(w, due - now) : 0;
}

#define CHUNK_RATED KIB(64)
#define CHUNK_FREE  MIB(4)

/* As many parts as one call shall take; the last may be cut short. */
static unsigned chunk(const struct wire *w, const struct iovec *from,
		      unsigned n, struct iovec *to, unsigned room)
{
	size_t left = w->rate ? CHUNK_RATED : CHUNK_FREE;
	unsigned i;

	for (i = 0; i < n && i < room && left; i++) {
		to[i] = from[i];
		to[i].iov_len = MIN(to[i].iov_len, left);
		left -= to[i].iov_len;
	}
	return i;
}

/*
 * It can't be sent. Nobody answers before he was told all, so a peer that speaks
 * now gives up: its last word says more than that it does not listen.
 */
static int cut_short(struct wire *w, int r)
{
	struct wire_head h = { .len = 0 };

	if (!w->version || !wire_readable(w))
		return line_error(w, r, "send");
	w->until_ns = now_ns() + w->stall_ns;
	r = wire_recv_head(w, &h);
	if (!r)
		r = h.type == WIRE_FAIL
			    ? wire_recv_fail(w, &h)
			    : wire_fail(w, -EPROTO, "record \"%s\": not now",
					wire_rule(h.type)->name);
	w->until_ns = 0;
	return r;
}

static int put(struct wire *w, struct iovec *iov, unsigned n)
{
	short events = w->version ? POLLOUT | POLLIN : POLLOUT;
	uint64_t until = now_ns() + w->stall_ns;
	struct iovec part[64];
	int r;

	iov_skip(&iov, &n, 0);
	while (n) {
		struct msghdr msg = { .msg_iov = part };
		ssize_t done;

		r = keep_rate(w);
		if (r < 0)
			return line_error(w, r, "send");
		msg.msg_iovlen = chunk(w, iov, n, part, ARRAY_SIZE(part));
		done = sendmsg(w->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (done > 0) {
			w->sent += (uint64_t)done;
			w->rate_sent += (uint64_t)done;
			iov_skip(&iov, &n, (size_t)done);
			until = now_ns() + w->stall_ns;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return cut_short(w, -errno);
		r = wait_for(w, events, until);
		if (r < 0)
			return line_error(w, r, "send");
		if (w->version && wire_readable(w))
			return cut_short(w, -ECONNRESET);
	}
	return 0;
}

static int get(struct wire *w, struct iovec *iov, unsigned n)
{
	uint64_t until = w->until_ns ? w->until_ns : now_ns() + w->stall_ns;
	int r;

	iov_skip(&iov, &n, 0);
	while (n) {
		struct msghdr msg = { .msg_iov = iov,
				      .msg_iovlen = MIN(n, 1024u) };
		ssize_t done = recvmsg(w->fd, &msg, MSG_DONTWAIT);

		if (done > 0) {
			w->received += (uint64_t)done;
			iov_skip(&iov, &n, (size_t)done);
			if (!w->until_ns)
				until = now_ns() + w->stall_ns;
			continue;
		}
		if (!done)
			return line_error(w, -ECONNRESET, "receive");
		if (errno != EAGAIN && errno != EINTR)
			return line_error(w, -errno, "receive");
		r = wait_for(w, POLLIN, until);
		if (r < 0)
			return line_error(w, r, "receive");
	}
	return 0;
}

bool wire_readable(const struct wire *w)
{
	return wait_for(w, POLLIN, 0) == 0;
}

int wire_wait(struct wire *w, uint64_t ns)
{
	int r = wait_for(w, 0, now_ns() + ns);

	return r == -ETIMEDOUT ? 0 : r;
}

/* --- greeting ----------------------------------------------------------------- */

/* magic 8, version 2, oldest 2, zero 4, required 8, optional 8 */
static void greeting_make(uint8_t g[WIRE_GREETING])
{
	memset(g, 0, WIRE_GREETING);
	memcpy(g, WIRE_MAGIC, 8);
	put_le16(g + 8, WIRE_VERSION);
	put_le16(g + 10, WIRE_OLDEST);
	put_le64(g + 24, WIRE_FEATURES_KNOWN);
}

static int greeting_take(struct wire *w, const uint8_t g[WIRE_GREETING])
{
	uint32_t version = get_le16(g + 8), oldest = get_le16(g + 10);
	uint64_t required = get_le64(g + 16), optional = get_le64(g + 24);

	if (memcmp(g, WIRE_MAGIC, 8) != 0)
		return wire_fail(
			w, -EPROTO,
			"the peer is not csvvmm, or one side alone has --insecure");
	if (oldest > version || get_le32(g + 12))
		return wire_fail(w, -EPROTO, "greeting: malformed");
	if (oldest > WIRE_VERSION || version < WIRE_OLDEST)
		return wire_fail(
			w, -EPROTO,
			"protocol version: the peer speaks %u to %u, this csvvmm %u to %u",
			oldest, version, WIRE_OLDEST, WIRE_VERSION);
	if (required & ~WIRE_FEATURES_KNOWN)
		return wire_fail(
			w, -EPROTO,
			"protocol features: the peer insists on %#llx, unknown here",
			(unsigned long long)(required & ~WIRE_FEATURES_KNOWN));
	w->version = MIN(version, (uint32_t)WIRE_VERSION);
	w->features = (required | optional) & WIRE_FEATURES_KNOWN;
	return 0;
}

int wire_greet(struct wire *w)
{
	uint8_t ours[WIRE_GREETING], theirs[WIRE_GREETING];
	struct iovec out = { ours, sizeof(ours) };
	struct iovec magic = { theirs, 8 };
	struct iovec rest = { theirs + 8, sizeof(theirs) - 8 };
	int r;

	greeting_make(ours);
	r = put(w, &out, 1);
	if (!r)
		r = get(w, &magic, 1);
	/* Who speaks something else may send less than a greeting, and wait. */
	if (!r && memcmp(theirs, WIRE_MAGIC, 8) != 0)
		return greeting_take(w, theirs);
	if (!r)
		r = get(w, &rest, 1);
	return r < 0 ? r : greeting_take(w, theirs);
}

/* --- records ------------------------------------------------------------------- */

static void head_make(uint8_t raw[WIRE_HEAD], enum wire_type type, uint32_t len)
{
	put_le16(raw, (uint16_t)type);
	put_le16(raw + 2, 0);
	put_le32(raw + 4, len);
}

int wire_sendv(struct wire *w, enum wire_type type, struct iovec *iov, unsigned n)
{
	const struct wire_rule *rule = wire_rule(type);
	uint8_t raw[WIRE_HEAD];
	struct iovec head = { raw, sizeof(raw) };
	uint64_t len = 0;
	unsigned i;
	int r;

	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	assert(rule && (rule->from & BIT(w->side)));
	if (len < rule->min || len > rule->max)
		return wire_fail(w, -EMSGSIZE, "record \"%s\": %llu bytes",
				 rule->name, (unsigned long long)len);
	head_make(raw, type, (uint32_t)len);
	r = put(w, &head, 1);
	return r < 0 ? r : put(w, iov, n);
}

int wire_send(struct wire *w, enum wire_type type, const void *body, uint32_t len)
{
	struct iovec iov = { (void *)(uintptr_t)body, len };

	return wire_sendv(w, type, &iov, 1);
}

int wire_recv_head(struct wire *w, struct wire_head *h)
{
	const struct wire_rule *rule;
	uint8_t raw[WIRE_HEAD];
	struct iovec iov = { raw, sizeof(raw) };
	uint32_t type, len;
	int r = get(w, &iov, 1);

	if (r < 0)
		return r;
	type = get_le16(raw);
	len = get_le32(raw + 4);
	rule = wire_rule(type);
	if (!rule || get_le16(raw + 2))
		return wire_fail(w, -EPROTO,
				 "record of unknown type %u, flags %#x", type,
				 get_le16(raw + 2));
	if (!(rule->from & ~BIT(w->side)))
		return wire_fail(w, -EPROTO,
				 "record \"%s\": not for the peer to send",
				 rule->name);
	if (len < rule->min || len > rule->max)
		return wire_fail(w, -EPROTO,
				 "record \"%s\": length %u is not in %u to %u",
				 rule->name, len, rule->min, rule->max);
	*h = (struct wire_head){ (enum wire_type)type, len, len };
	return 0;
}

int wire_recvv(struct wire *w, struct wire_head *h, struct iovec *iov, unsigned n)
{
	uint64_t len = 0;
	unsigned i;

	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (len > h->left)
		return wire_fail(w, -EPROTO,
				 "record \"%s\": too short by %llu bytes",
				 wire_rule(h->type)->name,
				 (unsigned long long)(len - h->left));
	h->left -= (uint32_t)len;
	return get(w, iov, n);
}

int wire_recv(struct wire *w, struct wire_head *h, void *buf, uint32_t len)
{
	struct iovec iov = { buf, len };

	return wire_recvv(w, h, &iov, 1);
}

int wire_recv_end(struct wire *w, const struct wire_head *h)
{
	if (!h->left)
		return 0;
	return wire_fail(w, -EPROTO, "record \"%s\": %u bytes too many",
			 wire_rule(h->type)->name, h->left);
}

/* --- giving up ---------------------------------------------------------------- */

void wire_send_fail(struct wire *w, const char *why)
{
	size_t len = strnlen(why, WIRE_TEXT_MAX);
	uint8_t raw[WIRE_HEAD + WIRE_TEXT_MAX];

	if (!len)
		return;
	head_make(raw, WIRE_FAIL, (uint32_t)len);
	memcpy(raw + WIRE_HEAD, why, len);
	if (send(w->fd, raw, WIRE_HEAD + len, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		w->sent += WIRE_HEAD + len;
}

int wire_recv_fail(struct wire *w, struct wire_head *h)
{
	char text[WIRE_TEXT_MAX + 1] = { 0 };
	uint32_t i, len = MIN(h->len, WIRE_TEXT_MAX);
	int r = wire_recv(w, h, text, len);

	if (r < 0)
		return r;
	/* It goes to a log. */
	for (i = 0; i < len; i++) {
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	}
	w->error[0] = '\0';
	return wire_fail(w, -EREMOTEIO, "the peer: %s", text);
}
