/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/control_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/util.h"
#include "core/version.h"
#include "vmm/board.h"
#include "vmm/vm.h"

/*
 * DOC: commands of the control socket
 *
 * A command is a function and a line in commands[]. It runs in the loop thread
 * with vm.lock held. vm_pause() and vm_resume() drop the lock while they wait
 * for the vCPUs: what was read of the vm before may then be out of date, so a
 * handler looks at vm->state again afterwards. The connections can't change
 * meanwhile: only the loop thread touches them, and it is in the handler.
 */

int control_fail(struct control_error *err, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return r;
}

/* A path may hold any byte, a JSON string only UTF-8. */
static json_t *json_path(const char *text)
{
	json_t *j = json_string(text);
	char *copy, *p;

	if (j || !text)
		return j;
	copy = strdup(text);
	if (!copy)
		return NULL;
	for (p = copy; *p; p++) {
		if (*p & 0x80)
			*p = '?';
	}
	j = json_string(copy);
	free(copy);
	return j;
}

static json_t *json_u64(uint64_t v)
{
	return json_integer((json_int_t)MIN(v, (uint64_t)INT64_MAX));
}

static int reply_state(const struct vm *vm, json_t *reply)
{
	json_object_set_new(reply, "state", json_string(vm_state_name(vm)));
	return 0;
}

static int ctl_ping(struct vm *vm, const json_t *req, json_t *reply,
		    struct control_error *err)
{
	(void)vm, (void)req, (void)reply, (void)err;
	return 0;
}

static void status_times(const struct vm *vm, json_t *reply)
{
	json_t *first = json_null();

	if (vm->first_run_ns)
		first = json_u64(vm->first_run_ns - vm->start_ns);
	json_object_set_new(reply, "uptime_ns",
			    json_u64(now_ns() - vm->start_ns));
	json_object_set_new(reply, "start_to_first_run_ns", first);
}

static void status_devices(const struct config *cfg, json_t *reply)
{
	json_t *disks = json_array(), *nets = json_array();
	unsigned i;

	for (i = 0; i < cfg->n_disks; i++)
		json_array_append_new(
			disks, json_pack("{s:o, s:b}", "id",
					 json_path(cfg->disk[i].id), "readonly",
					 cfg->disk[i].readonly));
	for (i = 0; i < cfg->n_nets; i++) {
		const uint8_t *m = cfg->net[i].mac;
		char id[16], mac[18];

		snprintf(id, sizeof(id), "net%u", i);
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x",
			 m[0], m[1], m[2], m[3], m[4], m[5]);
		json_array_append_new(
			nets, json_pack("{s:s, s:s, s:s}", "id", id, "kind",
					cfg->net[i].tap ? "tap" : "passt",
					"mac", mac));
	}
	json_object_set_new(reply, "disks", disks);
	json_object_set_new(reply, "nets", nets);
}

static json_t *exits_by_kind(const struct vm *vm)
{
	static const char *const name[] = {
		[VM_EXIT_PORT] = "port",	   [VM_EXIT_MMIO] = "mmio",
		[VM_EXIT_HYPERCALL] = "hypercall", [VM_EXIT_MSR] = "msr",
		[VM_EXIT_OTHER] = "other",
	};
	json_t *by = json_object();
	unsigned i;

	for (i = 0; i < VM_EXITS; i++)
		json_object_set_new(by, name[i], json_u64(vm->exits[i]));
	return by;
}

static json_t *reset_status(const struct vm *vm)
{
	const struct vm_reset *rs = &vm->reset;

	return json_pack("{s:o, s:b, s:s?, s:o}", "count", json_u64(rs->count),
			 "pending", rs->wanted, "way",
			 !rs->count	  ? NULL
			 : rs->relaunched ? "relaunch"
					  : "in-place",
			 "took_ns", json_u64(rs->took_ns));
}

static int ctl_status(struct vm *vm, const json_t *req, json_t *reply,
		      struct control_error *err)
{
	json_t *exits = json_array();
	unsigned i;

	(void)req, (void)err;
	for (i = 0; i < vm->n_vcpus; i++)
		json_array_append_new(exits, json_u64(vm->vcpu[i].exits));
	json_object_set_new(reply, "name", json_path(vm->cfg->name));
	json_object_set_new(reply, "pid", json_integer(getpid()));
	reply_state(vm, reply);
	json_object_set_new(reply, "vcpus", json_integer(vm->cfg->vcpus));
	json_object_set_new(reply, "memory", json_u64(vm->cfg->memory));
	status_times(vm, reply);
	json_object_set_new(reply, "exits", exits);
	json_object_set_new(reply, "exits_by", exits_by_kind(vm));
	json_object_set_new(reply, "config", json_path(vm->cfg->file));
	json_object_set_new(reply, "kernel", json_path(vm->cfg->kernel));
	status_devices(vm->cfg, reply);
	json_object_set_new(reply, "csv", control_csv_status(vm));
	json_object_set_new(reply, "migration", control_migration_status(vm));
	json_object_set_new(reply, "reset", reset_status(vm));
	json_object_set_new(reply, "log_dropped", json_u64(log_guest_dropped()));
	json_object_set_new(reply, "version", json_string(CSVVMM_VERSION));
	return 0;
}

static int ctl_pause(struct vm *vm, const json_t *req, json_t *reply,
		     struct control_error *err)
{
	int r = vm_pause(vm);

	(void)req;
	/* Its state may be on its way already. */
	if (vm->moving)
		return control_fail(err, -EBUSY,
				    "cannot pause: the guest is on its way to "
				    "another host (migrate-cancel, "
				    "migrate-decide)");
	if (r < 0)
		return control_fail(err, r, "cannot pause: the guest is %s",
				    vm_state_name(vm));
	vm_reset_then(vm, false);
	log_info("paused");
	return reply_state(vm, reply);
}

static int ctl_resume(struct vm *vm, const json_t *req, json_t *reply,
		      struct control_error *err)
{
	int r = vm_reset_then(vm, true) ? 0 : vm_resume(vm);

	(void)req;
	if (r == -EBUSY)
		return control_fail(err, r,
				    "cannot resume: the guest is on its way to "
				    "another host (migrate-cancel, "
				    "migrate-decide)");
	if (r == -EAGAIN)
		return control_fail(err, r,
				    "cannot resume: the guest is being reset");
	if (r == -ENOEXEC)
		return control_fail(err, r,
				    "cannot resume: only a reset helps (%s)",
				    vm_reset_reason(vm->reset.why));
	if (r < 0)
		return control_fail(err, r, "cannot resume: the guest is %s%s",
				    vm_state_name(vm),
				    vm->state == VM_CREATED && vm->wait_for_owner
					    ? ", and waits for its owner "
					      "(launch-go)"
					    : "");
	log_info("resumed");
	return reply_state(vm, reply);
}

/* The guest decides what the button means; a paused one sees it later. */
static int ctl_stop(struct vm *vm, const json_t *req, json_t *reply,
		    struct control_error *err)
{
	(void)req;
	if (!vm->board || vm->state == VM_ENDED)
		return control_fail(err, -ENODEV, "the guest is %s",
				    vm_state_name(vm));
	/* Nobody would see it, and the guest would find it pressed. */
	if (vm->state == VM_CREATED)
		return control_fail(err, -EPROTO,
				    "%s, it does not run; 'csvvmm kill %s' ends "
				    "it",
				    vm->wait_for_owner
					    ? "waits for its owner"
					    : "comes from another host",
				    vm->cfg->name);
	board_power_button(vm->board);
	log_info("power button pressed");
	json_object_set_new(reply, "pressed", json_true());
	return reply_state(vm, reply);
}

static int ctl_reset(struct vm *vm, const json_t *req, json_t *reply,
		     struct control_error *err)
{
	uint64_t count = vm->reset.count;
	int r = vm_reset_ask(vm);

	(void)req;
	if (r == -EBUSY)
		return control_fail(err, r,
				    "cannot reset: the guest is on its way to "
				    "another host, too late to cancel");
	if (r < 0)
		return control_fail(err, r, "cannot reset: the guest is %s%s",
				    vm_state_name(vm),
				    vm->wait_for_owner ? ", and waits for its "
							 "owner (launch-go)"
						       : "");
	json_object_set_new(reply, "resets", json_u64(count));
	return reply_state(vm, reply);
}

static int ctl_kill(struct vm *vm, const json_t *req, json_t *reply,
		    struct control_error *err)
{
	(void)req, (void)reply, (void)err;
	machine_end(&vm->m, END_KILLED);
	return 0;
}

static int ctl_help(struct vm *vm, const json_t *req, json_t *reply,
		    struct control_error *err);

static const struct control_cmd commands[] = {
	{ "help", "list the commands", NULL, ctl_help },
	{ "ping", "answer, do nothing", NULL, ctl_ping },
	{ "status", "describe the guest", NULL, ctl_status },
	{ "pause", "stop all vCPUs", NULL, ctl_pause },
	{ "resume", "let the vCPUs go on", NULL, ctl_resume },
	{ "stop", "press the power button", NULL, ctl_stop },
	{ "reset", "let the guest begin anew", NULL, ctl_reset },
	{ "kill", "end the guest at once", NULL, ctl_kill },
	{ "launch-measure", "hand out measurement and report",
	  control_measure_keys, ctl_launch_measure },
	{ "launch-secret", "put a secret into the measured guest",
	  control_secret_keys, ctl_launch_secret },
	{ "launch-go", "let the measured guest run", NULL, ctl_launch_go },
	{ "migrate", "move the guest to another host", control_migrate_keys,
	  ctl_migrate },
	{ "migrate-cancel", "stop moving it", NULL, ctl_migrate_cancel },
	{ "migrate-decide", "say where the guest is, when that is in doubt",
	  control_decide_keys, ctl_migrate_decide },
};

static int ctl_help(struct vm *vm, const json_t *req, json_t *reply,
		    struct control_error *err)
{
	json_t *list = json_object();
	unsigned i;

	(void)vm, (void)req, (void)err;
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		json_object_set_new(list, commands[i].name,
				    json_string(commands[i].help));
	json_object_set_new(reply, "commands", list);
	return 0;
}

static const struct control_cmd *command_find(const char *name)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

static bool key_known(const struct control_cmd *cmd, const char *key)
{
	unsigned i;

	if (!strcmp(key, "cmd") || !strcmp(key, "id"))
		return true;
	for (i = 0; cmd->keys && cmd->keys[i]; i++) {
		if (!strcmp(key, cmd->keys[i]))
			return true;
	}
	return false;
}

static int request_run(struct vm *vm, json_t *req, json_t *reply,
		       struct control_error *err)
{
	const char *name = json_string_value(json_object_get(req, "cmd"));
	const struct control_cmd *cmd;
	const char *key;
	json_t *value;

	if (!name)
		return control_fail(err, -EINVAL,
				    "the key \"cmd\" must be a string");
	cmd = command_find(name);
	if (!cmd)
		return control_fail(err, -EINVAL,
				    "unknown command \"%.32s\"; \"help\" lists "
				    "the known ones",
				    name);
	json_object_foreach(req, key, value)
	{
		if (!key_known(cmd, key))
			return control_fail(err, -EINVAL,
					    "unknown key \"%.32s\"", key);
	}
	return cmd->run(vm, req, reply, err);
}

/* Return: the request, or NULL with @err */
static json_t *request_parse(const char *line, size_t len,
			     struct control_error *err)
{
	json_error_t why;
	json_t *req;

	if (memchr(line, 0, len)) {
		control_fail(err, 0, "the request holds a NUL byte");
		return NULL;
	}
	req = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	if (!req) {
		control_fail(err, 0, "not a JSON object: %.100s", why.text);
		return NULL;
	}
	if (!json_is_object(req)) {
		control_fail(err, 0, "not a JSON object");
		json_decref(req);
		return NULL;
	}
	return req;
}

/* An id is echoed, so it is kept small. Return: it, NULL, or -EINVAL */
static int request_id(const json_t *req, json_t **ret_id,
		      struct control_error *err)
{
	json_t *id = json_object_get(req, "id");

	if (id && !json_is_integer(id) &&
	    !(json_is_string(id) && json_string_length(id) <= CONTROL_ID_MAX))
		return control_fail(err, -EINVAL,
				    "the key \"id\" must be an integer or a "
				    "string of at most %d bytes",
				    CONTROL_ID_MAX);
	*ret_id = id;
	return 0;
}

/*
 * Printable ASCII goes out: no byte of a request or of a path can drive the
 * terminal of who prints the answer. jansson escapes all but DEL.
 */
static size_t reply_dump(const json_t *reply, char *out, size_t size)
{
	size_t n = json_dumpb(reply, out, size - 1,
			      JSON_ENSURE_ASCII | JSON_COMPACT);
	size_t i;

	if (!n || n > size - 1)
		return 0;
	for (i = 0; i < n; i++) {
		if (out[i] == 0x7f)
			out[i] = '?';
	}
	out[n] = '\n';
	return n + 1;
}

static size_t reply_error(const char *error, json_t *id, char *out, size_t size)
{
	static const char last_words[] =
		"{\"ok\":false,\"error\":\"out of memory\"}\n";
	json_t *reply = json_object();
	json_t *text = json_path(error);
	size_t n;

	json_object_set_new(reply, "ok", json_false());
	if (id)
		json_object_set(reply, "id", id);
	json_object_set_new(reply, "error", text);
	n = reply && text ? reply_dump(reply, out, size) : 0;
	json_decref(reply);
	if (n)
		return n;
	static_assert(sizeof(last_words) < 256, "fits the smallest buffer");
	memcpy(out, last_words, sizeof(last_words) - 1);
	return sizeof(last_words) - 1;
}

size_t control_refuse(const char *error, char *out, size_t size)
{
	return reply_error(error, NULL, out, size);
}

size_t control_answer(struct vm *vm, const char *line, size_t len, char *out,
		      size_t size)
{
	struct control_error err = { "out of memory" };
	json_t *reply = json_object();
	json_t *id = NULL;
	size_t n = 0;
	json_t *req;
	int r = -EINVAL;

	req = request_parse(line, len, &err);
	if (req)
		r = request_id(req, &id, &err);
	if (!r) {
		json_object_set_new(reply, "ok", json_true());
		if (id)
			json_object_set(reply, "id", id);
		r = request_run(vm, req, reply, &err);
	}
	if (!r) {
		snprintf(err.text, sizeof(err.text), "the answer is too long");
		n = reply_dump(reply, out, size);
	}
	if (!n)
		n = reply_error(err.text, id, out, size);
	json_decref(reply);
	json_decref(req);
	return n;
}
