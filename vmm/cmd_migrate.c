/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/commands.h"
#include "vmm/control.h"
#include "vmm/line.h"
#include "vmm/migrate_print.h"
#include "vmm/state_dir.h"
#include "vmm/status_text.h"

#define LOOK_MS	  250
#define LINE_MAX_ 4096

enum decision { NOT_ASKED, HERE, THERE };

/**
 * struct args - The command line
 * @number:	Keys of the request that have numbers; -1 = not told
 */
struct args {
	const char *name, *where, *root, *certs;
	struct line_opts line;
	bool check, json, cancel, drop_links;
	enum decision decide;
	int64_t downtime_ms, timeout_ms, stall_ms, rate;
};

/* Ctrl-C: ask the VMM to stop moving; what becomes of it is its answer. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void add_number(json_t *req, const char *key, int64_t v)
{
	if (v >= 0)
		json_object_set_new(req, key, json_integer(v));
}

/* --- waiting ---------------------------------------------------------------------- */

/* A look at the numbers; the guest may be gone any moment. */
static void look(const struct args *a)
{
	bool live = isatty(STDOUT_FILENO);
	char *line = NULL;
	json_t *j;

	if ((!a->json && !live) ||
	    control_request(a->name, "{\"cmd\":\"status\"}", &line) < 0)
		return;
	j = json_loads(line, 0, NULL);
	free(line);
	if (json_is_object(json_object_get(j, "migration")))
		migrate_print_progress(json_object_get(j, "migration"), a->json,
				       live);
	json_decref(j);
}

static void pass_interrupt(const struct args *a)
{
	char *line = NULL;

	interrupted = 0;
	if (!control_request(a->name, "{\"cmd\":\"migrate-cancel\"}", &line))
		free(line);
}

/* Return: exit status */
static int wait_end(const struct args *a, int events, struct tunnel *t)
{
	char buf[LINE_MAX_];
	size_t have = 0;
	int status = EXIT_FAILED;
	json_t *j;

	for (;;) {
		struct pollfd p = { .fd = events, .events = POLLIN };
		int r = poll(&p, 1, LOOK_MS);
		ssize_t n;

		if (interrupted)
			pass_interrupt(a);
		if (r <= 0) {
			look(a);
			continue;
		}
		n = read(events, buf + have, sizeof(buf) - 1 - have);
		if (n <= 0 || have + (size_t)n == sizeof(buf) - 1)
			break;
		have += (size_t)n;
		if (buf[have - 1] == '\n')
			break;
	}
	if (isatty(STDOUT_FILENO) && !a->json)
		printf("\r\033[K");
	buf[have] = 0;
	j = json_loads(buf, JSON_REJECT_DUPLICATES, NULL);
	/* The VMM is done with the line, too; what that has cost. */
	(void)tunnel_close(t);
	add_number(j, "line_cpu_us", (int64_t)t->cpu_us);
	if (json_is_object(j))
		status = migrate_print_end(j, a->name, a->where, a->check,
					   a->json);
	else
		log_err("migrate %s: the VMM ended without a word", a->name);
	json_decref(j);
	return status;
}

/* --- asking ------------------------------------------------------------------------ */

static json_t *request(const struct args *a, bool model_root)
{
	json_t *req = json_pack("{s:s, s:s}", "cmd", "migrate", "line",
				line_protection(&a->line));

	if (a->check)
		json_object_set_new(req, "check", json_true());
	if (a->drop_links)
		json_object_set_new(req, "drop_connections", json_true());
	if (model_root)
		json_object_set_new(req, "model_root", json_true());
	else if (a->root)
		json_object_set_new(req, "root", json_true());
	if (a->certs)
		json_object_set_new(req, "certs", json_true());
	add_number(req, "downtime_ms", a->downtime_ms);
	add_number(req, "timeout_ms", a->timeout_ms);
	add_number(req, "stall_ms", a->stall_ms);
	add_number(req, "rate", a->rate);
	return req;
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? log_errno(-errno, "%s", path) : fd;
}

static int ask(const struct args *a, const int *fds, unsigned n, bool model_root)
{
	json_t *req = request(a, model_root), *answer;
	auto_free char *out = json_dumps(req, JSON_COMPACT);
	auto_free char *line = NULL;
	const char *error;
	bool ok;
	int r = out ? control_request_fds(a->name, out, fds, n, &line) : -ENOMEM;

	json_decref(req);
	if (r == -ENOENT) {
		log_err("no guest named \"%s\" is running", a->name);
		return r;
	}
	if (r < 0)
		return log_errno(r, "guest \"%s\"", a->name);
	answer = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	ok = json_is_true(json_object_get(answer, "ok"));
	error = json_string_value(json_object_get(answer, "error"));
	if (!ok)
		log_err("guest \"%s\": %s", a->name,
			error ? error : "not an answer");
	json_decref(answer);
	return ok ? 0 : -EINVAL;
}

/* What stands against it here is told before anybody is called. */
static int could_go(const struct args *a)
{
	json_t *j = command_ask(a->name, json_pack("{s:s}", "cmd", "status"));
	bool busy = migrate_under_way(
		status_text(json_object_get(j, "migration"), "phase"));

	if (busy)
		log_err("guest \"%s\": a migration is under way already",
			a->name);
	json_decref(j);
	return !j || busy ? -EBUSY : 0;
}

static int migrate(const struct args *a)
{
	bool model_root = a->root && !strcmp(a->root, "model");
	int pair[2] = { -1, -1 }, fds[CONTROL_FDS_MAX];
	auto_fd int root = -1;
	auto_fd int certs = -1;
	struct sigaction sa = { .sa_handler = on_interrupt };
	struct tunnel t;
	unsigned n = 0;
	int r;

	if (could_go(a) < 0 || line_connect(&a->line, "migrate", &t) < 0)
		return EXIT_FAILED;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		log_errno(-errno, "socketpair");
		(void)tunnel_close(&t);
		return EXIT_FAILED;
	}
	fds[n++] = t.fd;
	fds[n++] = pair[1];
	if (a->root && !model_root) {
		root = open_file(a->root);
		fds[n++] = root;
	}
	if (a->certs) {
		certs = open_file(a->certs);
		fds[n++] = certs;
	}
	r = (a->root && !model_root && root < 0) || (a->certs && certs < 0)
		    ? -EINVAL
		    : ask(a, fds, n, model_root);
	(void)close(pair[1]);
	util_close(&t.fd);
	if (!r) {
		(void)sigaction(SIGINT, &sa, NULL);
		r = wait_end(a, pair[0], &t);
	} else {
		r = EXIT_FAILED;
	}
	(void)close(pair[0]);
	(void)tunnel_close(&t);
	return r;
}

static int simple(const char *name, json_t *req)
{
	json_t *answer = command_ask(name, req);

	json_decref(answer);
	return answer ? EXIT_OK : EXIT_FAILED;
}

/* Of a VMM that is gone only its journal is left. */
static int decide(const struct args *a)
{
	auto_fd int dirfd = control_state_dir(NULL);
	int r = dirfd < 0 ? dirfd : state_running(dirfd, a->name);

	if (r > 0)
		return simple(a->name,
			      json_pack("{s:s, s:b}", "cmd", "migrate-decide",
					"here", a->decide == HERE));
	if (!r)
		r = state_journal_forget(dirfd, a->name);
	if (r == -ENOENT)
		log_err("guest \"%s\": there is no doubt where it runs", a->name);
	else if (r < 0)
		log_errno(r, "guest \"%s\"", a->name);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* --- the command line --------------------------------------------------------------- */

enum {
	OPT_CHECK = 256,
	OPT_JSON,
	OPT_CANCEL,
	OPT_DECIDE,
	OPT_ROOT,
	OPT_CERT,
	OPT_DOWNTIME,
	OPT_TIMEOUT,
	OPT_STALL,
	OPT_BANDWIDTH,
	OPT_DROP,
};

/* A number of units, e.g. seconds of which the request wants milliseconds. */
static bool number(const char *arg, int64_t factor, int64_t *ret_v)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(arg, &end, 10);
	if (*end == 'K' || *end == 'M' || *end == 'G') {
		v *= *end == 'K'   ? 1LL << 10
		     : *end == 'M' ? 1LL << 20
				   : 1LL << 30;
		end++;
	}
	if (errno || end == arg || *end || v < 0 || v > (1LL << 50) / factor)
		return false;
	*ret_v = v * factor;
	return true;
}

static bool take(struct args *a, int c)
{
	switch (c) {
	case OPT_CHECK:
		a->check = true;
		return true;
	case OPT_JSON:
		a->json = true;
		return true;
	case OPT_CANCEL:
		a->cancel = true;
		return true;
	case OPT_DROP:
		a->drop_links = true;
		return true;
	case OPT_DECIDE:
		a->decide = !strcmp(optarg, "here")    ? HERE
			    : !strcmp(optarg, "there") ? THERE
						       : NOT_ASKED;
		return a->decide != NOT_ASKED;
	case OPT_ROOT:
		a->root = optarg;
		return true;
	case OPT_CERT:
		a->certs = optarg;
		return true;
	case OPT_DOWNTIME:
		return number(optarg, 1, &a->downtime_ms);
	case OPT_TIMEOUT:
		return number(optarg, 1000, &a->timeout_ms);
	case OPT_STALL:
		return number(optarg, 1000, &a->stall_ms);
	case OPT_BANDWIDTH:
		return number(optarg, 1, &a->rate);
	default:
		return line_take(&a->line, c, optarg);
	}
}

static int migrate_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "check", no_argument, NULL, OPT_CHECK },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "cancel", no_argument, NULL, OPT_CANCEL },
		{ "decide", required_argument, NULL, OPT_DECIDE },
		{ "root", required_argument, NULL, OPT_ROOT },
		{ "cert", required_argument, NULL, OPT_CERT },
		{ "downtime", required_argument, NULL, OPT_DOWNTIME },
		{ "timeout", required_argument, NULL, OPT_TIMEOUT },
		{ "stall", required_argument, NULL, OPT_STALL },
		{ "bandwidth", required_argument, NULL, OPT_BANDWIDTH },
		{ "drop-connections", no_argument, NULL, OPT_DROP },
		LINE_OPTIONS,
		{ 0 },
	};
	struct args a = {
		.downtime_ms = -1, .timeout_ms = -1, .stall_ms = -1, .rate = -1
	};
	const char *wrong;
	bool alone;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!take(&a, c))
			return command_misuse(&cmd_migrate, "a bad option");
	}
	alone = a.cancel || a.decide != NOT_ASKED;
	if (argc - optind != (alone ? 1 : 2) || (a.cancel && a.decide))
		return command_misuse(&cmd_migrate,
				      "takes a guest and where it shall go");
	a.name = argv[optind];
	if (!state_name_valid(a.name))
		return command_misuse(&cmd_migrate, "not a guest's name");
	if (a.cancel)
		return simple(a.name,
			      json_pack("{s:s}", "cmd", "migrate-cancel"));
	if (a.decide)
		return decide(&a);
	a.where = argv[optind + 1];
	wrong = line_where(&a.line, a.where);
	return wrong ? command_misuse(&cmd_migrate, wrong) : migrate(&a);
}

const struct command cmd_migrate = {
	.name = "migrate",
	.args = "[OPTIONS] NAME HOST:PORT | --cancel NAME | --decide=here|there NAME",
	.summary = "move a running guest to another host",
	.run = migrate_main,
	.help = "At HOST:PORT 'csvvmm receive' waits for it. Ctrl-C cancels: the guest goes on here.\n\n"
		"  --psk FILE        TLS 1.3 with a key that both sides have: [IDENTITY:]HEX digits\n"
		"  --tls DIR         TLS 1.3 with certificates: ca.pem, cert.pem and key.pem in DIR\n"
		"  --peer NAME       ... and the target's must be for NAME (else for HOST)\n"
		"  --insecure        plain TCP: whoever can reach or see the line gets the guest\n"
		"  --check           only see whether it could; nothing is changed\n"
		"  --root FILE       the root certificate that the target's processor must lead to,\n"
		"                    or \"model\": the one of the software model\n"
		"  --cert FILE       further certificates (HSK)\n"
		"  --downtime MS     switch over when the guest would stand still no longer (300)\n"
		"  --timeout S       give up when it has not got that far by then (0: never)\n"
		"  --stall S         give up when no byte moves for so long (30)\n"
		"  --bandwidth N     at most N bytes a second; with K, M or G\n"
		"  --drop-connections  also where the guest's connections can't come along (passt)\n"
		"  --json            one object a line: progress, then the result\n"
		"  --cancel          stop moving it\n"
		"  --decide WHERE    when the line broke at the last step: it runs here, or there\n\n"
		"Exit status: 0 moved, 1 failed and the guest goes on here, 17 refused, 18 cancelled,\n"
		"19 in doubt: it stands still until --decide.\n",
};
