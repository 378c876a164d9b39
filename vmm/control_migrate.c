/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands of the control socket about moving to another host. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/util.h"
#include "vmm/control_impl.h"
#include "vmm/migrate.h"
#include "vmm/vm.h"

#define MS_MAX	 86400000
#define RATE_MAX (1LL << 50)
#define STALL_MS 30000

const char *const control_migrate_keys[] = { "line",
					     "check",
					     "downtime_ms",
					     "timeout_ms",
					     "stall_ms",
					     "rate",
					     "drop_connections",
					     "model_root",
					     "root",
					     "certs",
					     NULL };
const char *const control_decide_keys[] = { "here", NULL };

/* Return: 0 with *v, also where there is no such key; -EINVAL with @err */
static int take_number(const json_t *req, const char *key, json_int_t min,
		       json_int_t max, json_int_t *v, struct control_error *err)
{
	const json_t *j = json_object_get(req, key);

	if (!j)
		return 0;
	if (!json_is_integer(j) || json_integer_value(j) < min ||
	    json_integer_value(j) > max)
		return control_fail(err, -EINVAL,
				    "the key \"%s\" must be an integer from %lld "
				    "to %lld",
				    key, (long long)min, (long long)max);
	*v = json_integer_value(j);
	return 0;
}

static int take_bool(const json_t *req, const char *key, bool *v,
		     struct control_error *err)
{
	const json_t *j = json_object_get(req, key);

	if (!j)
		return 0;
	if (!json_is_boolean(j))
		return control_fail(err, -EINVAL,
				    "the key \"%s\" must be true or false", key);
	*v = json_is_true(j);
	return 0;
}

/*
 * How the line is protected, as who asks says: there is no default, and a socket
 * of a network is no line.
 */
static int take_line(const json_t *req, const char **ret_line,
		     struct control_error *err)
{
	static const char *const words[] = { "psk", "tls", "insecure" };
	const char *line = json_string_value(json_object_get(req, "line"));
	size_t i;

	for (i = 0; line && i < ARRAY_SIZE(words); i++) {
		if (!strcmp(line, words[i])) {
			*ret_line = words[i];
			return 0;
		}
	}
	return control_fail(err, -EINVAL,
			    "the key \"line\" must say how the line is protected: "
			    "\"psk\", \"tls\", or \"insecure\" (not at all)");
}

static int check_line(int fd, struct control_error *err)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    domain != AF_UNIX || type != SOCK_STREAM)
		return control_fail(err, -EINVAL,
				    "the line must be a local stream socket, of a "
				    "helper process that has the connection");
	return 0;
}

static int take_opts(const json_t *req, struct migrate_args *a, bool file[2],
		     struct control_error *err)
{
	json_int_t down = 300, timeout = 0, stall = STALL_MS, rate = 0;
	int r = take_bool(req, "check", &a->opts.check_only, err);

	if (!r)
		r = take_number(req, "downtime_ms", 1, MS_MAX, &down, err);
	if (!r)
		r = take_number(req, "timeout_ms", 0, MS_MAX, &timeout, err);
	if (!r)
		r = take_number(req, "stall_ms", 1, MS_MAX, &stall, err);
	if (!r)
		r = take_number(req, "rate", 0, RATE_MAX, &rate, err);
	if (!r)
		r = take_bool(req, "drop_connections", &a->opts.drop_links, err);
	if (!r)
		r = take_bool(req, "model_root", &a->model_root, err);
	if (!r)
		r = take_bool(req, "root", &file[0], err);
	if (!r)
		r = take_bool(req, "certs", &file[1], err);
	a->opts.downtime_ns = (uint64_t)down * NS_PER_MS;
	a->opts.max_ns = (uint64_t)timeout * NS_PER_MS;
	a->opts.stall_ns = (uint64_t)stall * NS_PER_MS;
	a->opts.rate = (uint64_t)rate;
	return r;
}

/* In this order: line, events, and the files that the request tells of. */
static int take_fds(struct vm *vm, struct migrate_args *a, const bool file[2],
		    struct control_error *err)
{
	unsigned want = 2u + file[0] + file[1], n = 0;
	struct control_fds *f = vm->passed;

	if (!f || f->n != want)
		return control_fail(err, -EINVAL,
				    "%u descriptors must come with the request: "
				    "line, events, root and certs if told",
				    want);
	if (check_line(f->fd[0], err) < 0)
		return -EINVAL;
	a->fd[MIGRATE_LINE] = f->fd[n++];
	a->fd[MIGRATE_EVENTS] = f->fd[n++];
	if (file[0])
		a->fd[MIGRATE_ROOT] = f->fd[n++];
	if (file[1])
		a->fd[MIGRATE_CERTS] = f->fd[n++];
	f->n = 0;
	return 0;
}

int ctl_migrate(struct vm *vm, const json_t *req, json_t *reply,
		struct control_error *err)
{
	struct migrate_args a = { .fd = { -1, -1, -1, -1 } };
	char why[MIG_WHY_MAX] = "";
	bool file[2] = { false };
	const char *line = "?";
	int r = take_line(req, &line, err);

	(void)reply;
	if (!r)
		r = take_opts(req, &a, file, err);
	if (!r)
		r = take_fds(vm, &a, file, err);
	if (r < 0)
		return r;
	r = vm_migrate_start(vm, &a, why);
	if (r < 0)
		return control_fail(err, r, "cannot migrate: %s", why);
	log_info("migration: %s (line: %s)",
		 a.opts.check_only ? "checking" : "started", line);
	return 0;
}

int ctl_migrate_cancel(struct vm *vm, const json_t *req, json_t *reply,
		       struct control_error *err)
{
	int r = vm_migrate_cancel(vm);

	(void)req, (void)reply;
	return r < 0 ? control_fail(err, r, "no migration is under way") : 0;
}

int ctl_migrate_decide(struct vm *vm, const json_t *req, json_t *reply,
		       struct control_error *err)
{
	const json_t *here = json_object_get(req, "here");
	int r;

	(void)reply;
	if (!json_is_boolean(here))
		return control_fail(err, -EINVAL,
				    "the key \"here\" must be true or false");
	r = vm_migrate_decide(vm, json_is_true(here));
	if (r == -EPROTO)
		return control_fail(err, r,
				    "there is no doubt where the guest runs");
	if (r == -EXDEV)
		return control_fail(
			err, r, "it never ran there: it can go on here alone");
	return r < 0 ? control_fail(err, r, "it can't: the log says why") : 0;
}

static json_t *json_u64(uint64_t v)
{
	return json_integer((json_int_t)MIN(v, (uint64_t)INT64_MAX));
}

json_t *control_migration_status(struct vm *vm)
{
	struct mig_progress p;
	json_t *j;

	if (!vm_migrate_progress(vm, &p))
		return json_null();
	j = json_object();
	json_object_set_new(j, "phase", json_string(mig_phase_name(p.phase)));
	json_object_set_new(j, "why", json_string(p.why));
	json_object_set_new(j, "round", json_integer(p.round));
	json_object_set_new(j, "throttle", json_integer(p.throttle));
	json_object_set_new(j, "pages", json_u64(p.pages));
	json_object_set_new(j, "zero_pages", json_u64(p.zero_pages));
	json_object_set_new(j, "sealed_pages", json_u64(p.sealed_pages));
	json_object_set_new(j, "remaining", json_u64(p.remaining));
	json_object_set_new(j, "bytes", json_u64(p.bytes));
	json_object_set_new(j, "rate", json_u64(p.rate));
	json_object_set_new(j, "dirty_rate", json_u64(p.dirty_rate));
	json_object_set_new(j, "psp_busy", json_u64(p.psp_busy));
	json_object_set_new(j, "predicted_ns", json_u64(p.predicted_ns));
	json_object_set_new(j, "down_ns", json_u64(p.down_ns));
	json_object_set_new(j, "total_ns", json_u64(p.total_ns));
	return j;
}
