/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/util.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/state_dir.h"

/* Always of this length: who reads finds one text or the other. */
#define TEXT_LEN 512

static int others(const struct waiting *w)
{
	json_t *who = waiting_status(w->dirfd, w->cfg->name);
	json_int_t pid = json_integer_value(json_object_get(who, "pid"));

	if (pid)
		log_err("csvvmm receive waits for guest \"%s\" already (process %lld, port %lld): send it there, or end that one first (kill %lld)",
			w->cfg->name, pid,
			json_integer_value(json_object_get(who, "port")), pid);
	else
		log_err("csvvmm receive waits for guest \"%s\" already; see 'csvvmm list'",
			w->cfg->name);
	json_decref(who);
	return -EEXIST;
}

int waiting_claim(struct waiting *w, const struct config *cfg)
{
	*w = (struct waiting){
		.fd = -1, .cfg = cfg, .since_ns = now_ns(), .owner = getpid()
	};
	w->dirfd = control_state_dir(NULL);
	if (w->dirfd < 0)
		return w->dirfd;
	w->fd = state_claim_file(w->dirfd, cfg->name, WAITING_SUFFIX);
	if (w->fd == -EEXIST)
		return others(w);
	if (w->fd < 0)
		return log_errno(w->fd, "wait for guest \"%s\"", cfg->name);
	waiting_note(w, 0, false);
	return 0;
}

/* A courtesy, as the process id of a guest. */
void waiting_note(const struct waiting *w, uint16_t port, bool receiving)
{
	char text[TEXT_LEN];
	json_t *j;
	size_t n;

	if (w->fd < 0)
		return;
	j = json_pack("{s:s, s:i, s:s, s:i, s:i, s:I, s:I}", "name",
		      w->cfg->name, "pid", getpid(), "state",
		      receiving ? "receiving" : "waiting", "port", port, "vcpus",
		      w->cfg->vcpus, "memory", (json_int_t)w->cfg->memory,
		      "since_ns", (json_int_t)w->since_ns);
	memset(text, ' ', sizeof(text));
	n = json_dumpb(j, text, sizeof(text) - 1, 0);
	text[sizeof(text) - 1] = '\n';
	json_decref(j);
	if (n >= sizeof(text) ||
	    pwrite(w->fd, text, sizeof(text), 0) != sizeof(text))
		log_debug("cannot write into the file of who waits");
}

void waiting_remove(const struct waiting *w)
{
	char file[STATE_FILE_MAX + 1] = { 0 };
	struct stat own, there;
	size_t len;

	if (w->fd < 0 || w->owner != getpid())
		return;
	len = strlen(w->cfg->name);
	memcpy(file, w->cfg->name, len);
	memcpy(file + len, WAITING_SUFFIX, sizeof(WAITING_SUFFIX));
	/* Somebody may have put another one there. */
	if (!fstat(w->fd, &own) &&
	    !fstatat(w->dirfd, file, &there, AT_SYMLINK_NOFOLLOW) &&
	    own.st_dev == there.st_dev && own.st_ino == there.st_ino)
		(void)unlinkat(w->dirfd, file, 0);
}

void waiting_release(struct waiting *w)
{
	struct flock none = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	waiting_remove(w);
	/* A child may have a copy of it still. */
	if (w->fd >= 0)
		(void)fcntl(w->fd, F_OFD_SETLK, &none);
	waiting_leave(w);
}

void waiting_leave(struct waiting *w)
{
	util_close(&w->fd);
	util_close(&w->dirfd);
}

/* The file is anybody's who may write into the folder. */
static json_int_t field(const json_t *j, const char *key, json_int_t max)
{
	json_int_t v = json_integer_value(json_object_get(j, key));

	return v < 0 || v > max ? 0 : v;
}

json_t *waiting_status(int dirfd, const char *name)
{
	auto_fd int fd = state_claimed_file(dirfd, name, WAITING_SUFFIX);
	json_int_t now = (json_int_t)now_ns();
	json_t *j, *answer;
	const char *state;
	char text[TEXT_LEN];
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = pread(fd, text, sizeof(text), 0);
	j = json_loadb(text, n > 0 ? (size_t)n : 0, 0, NULL);
	/* (None, when it has just begun to wait.) */
	state = json_string_value(json_object_get(j, "state"));
	answer = json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:I}", "name", name,
			   "pid", field(j, "pid", INT32_MAX), "state",
			   state && !strcmp(state, "receiving") ? "receiving"
								: "waiting",
			   "port", field(j, "port", UINT16_MAX), "vcpus",
			   field(j, "vcpus", UINT8_MAX), "memory",
			   field(j, "memory", INT64_MAX), "uptime_ns",
			   now - (j ? field(j, "since_ns", now) : now));
	json_decref(j);
	return answer;
}
