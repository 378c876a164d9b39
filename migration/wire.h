/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_MIGRATION_WIRE_H
#define CSVVMM_MIGRATION_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec;

/*
 * What goes over the line (docs/WIRE.md): a greeting each way, then records.
 * Integers are little-endian. Everything received is hostile: a type that is
 * not for this side or not known, or a length outside the type's limits, ends
 * the connection before a byte of the body is read.
 */

#define WIRE_MAGIC     "CSVVMMIG"
#define WIRE_GREETING  32
#define WIRE_HEAD      8
#define WIRE_VERSION   1
#define WIRE_OLDEST    1
#define WIRE_ERROR_LEN 256
#define WIRE_TEXT_MAX  255u /* of a refusal */
#define WIRE_HDR_SIZE  52u  /* packet header of the firmware */
#define WIRE_BATCH_MAX 4094u
#define WIRE_PLAIN_MAX 1024u

/* Features of the protocol; this version has none. */
#define WIRE_FEATURES_KNOWN 0ULL

enum wire_type {
	WIRE_OFFER = 1, /* source: what the guest is */
	WIRE_ANSWER,	/* target: what this platform is, and whether it fits */
	WIRE_START,	/* source: session; from here on the target is bound */
	WIRE_READY,	/* target: took the session; what its part takes */
	WIRE_SEALED,	/* source: pages as packets of the firmware */
	WIRE_PLAIN,	/* source: pages as they are */
	WIRE_ZERO,	/* source: pages that are all zero */
	WIRE_STOPPED,	/* source: the guest stands still */
	WIRE_SHARED,	/* source: which pages the guest shares */
	WIRE_VMSA,	/* source: registers of one vCPU, as a packet */
	WIRE_CPU,	/* source: what KVM knows of one vCPU */
	WIRE_MACHINE,	/* source: what KVM knows of the machine */
	WIRE_DEVICES,	/* source: core/snap.h's bytes */
	WIRE_END,	/* source: that was all */
	WIRE_PREPARED,	/* target: could run now */
	WIRE_COMMIT,	/* source: run */
	WIRE_RUNNING,	/* target: does */
	WIRE_FAIL,	/* either: gives up; the reason in words */
	WIRE_SYNC,	/* source: have you taken in all of it? */
	WIRE_SYNCED,	/* target: have now */
	WIRE_TYPES
};

enum wire_side { WIRE_SOURCE, WIRE_TARGET };

/**
 * struct wire_rule - Of one type of record
 * @from:	Set of 1 << enum wire_side that may send it
 */
struct wire_rule {
	const char *name;
	unsigned from;
	uint32_t min, max;
};
/* NULL: no such type. */
const struct wire_rule *wire_rule(uint32_t type);

/**
 * struct wire - One end of the line
 * @fd:		Stream socket, made non-blocking; the caller's
 * @wake_fd:	Eventfd that ends every wait with -ECANCELED, or -1
 * @stall_ns:	No byte moves for so long: -ETIMEDOUT
 * @until_ns:	Not 0: then at the latest, however the bytes trickle
 * @version:	Agreed by wire_greet()
 * @rate:	Bytes a second at most, 0 = as many as go
 * @sent, @received: Bytes
 * @error:	What went wrong, in words
 *
 * One thread at a time.
 */
struct wire {
	int fd, wake_fd;
	enum wire_side side;
	uint64_t stall_ns, until_ns;
	uint32_t version;
	uint64_t features;
	uint64_t rate, rate_from_ns, rate_sent;
	uint64_t sent, received;
	char error[WIRE_ERROR_LEN];
};

void wire_open(struct wire *w, enum wire_side side, int fd, int wake_fd,
	       uint64_t stall_ns);

/* Fill w->error, unless it says something already. Return: @r */
int wire_fail(struct wire *w, int r, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * wire_greet() - Magic, versions, features, both ways
 *
 * Return: 0; -EPROTO: not csvvmm, no common version, or a feature that the peer
 * insists on is unknown here; -ETIMEDOUT; -ECANCELED; -errno of the socket
 */
int wire_greet(struct wire *w);

/* One record of one part, or of several (@n at most WIRE_IOV_MAX; changed
 * meanwhile). Where it can't go on, the peer's WIRE_FAIL is looked for. Return: 0;
 * -EREMOTEIO: the peer gave up, w->error has its words; -EPROTO: it said anything
 * else; -EMSGSIZE; -ETIMEDOUT; -ECANCELED; -errno of the socket */
#define WIRE_IOV_MAX 1040
int wire_send(struct wire *w, enum wire_type type, const void *body,
	      uint32_t len);
int wire_sendv(struct wire *w, enum wire_type type, struct iovec *iov,
	       unsigned n);

/**
 * struct wire_head - A record that arrives
 * @left:	Bytes of it that were not read yet
 */
struct wire_head {
	enum wire_type type;
	uint32_t len, left;
};

/* Return: 0; -EPROTO; -ECONNRESET: the peer hung up; and as above */
int wire_recv_head(struct wire *w, struct wire_head *h);
/* The next @len bytes of the body; -EPROTO when there are fewer. */
int wire_recv(struct wire *w, struct wire_head *h, void *buf, uint32_t len);
int wire_recvv(struct wire *w, struct wire_head *h, struct iovec *iov,
	       unsigned n);
/* Nothing of the body may be left. Return: 0 or -EPROTO */
int wire_recv_end(struct wire *w, const struct wire_head *h);

/* Has the peer sent something that was not read yet? Never waits. */
bool wire_readable(const struct wire *w);

/* Wait @ns, or until woken (-ECANCELED). */
int wire_wait(struct wire *w, uint64_t ns);

/* Tell the peer why we give up; as far as it goes at once. */
void wire_send_fail(struct wire *w, const char *why);
/* The body of a WIRE_FAIL: printable text into w->error. Return: -EREMOTEIO */
int wire_recv_fail(struct wire *w, struct wire_head *h);

#endif
