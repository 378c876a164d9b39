/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/util.h"
#include "vmm/control.h"
#include "vmm/control_impl.h"
#include "vmm/sandbox.h"
#include "vmm/state_dir.h"
#include "vmm/vm.h"

#define NAME	   "guest-1"
#define PATIENT_MS 30000 /* only a hang gets there */

static char guest_name[] = NAME, kernel_path[] = "/boot/\xffvmlinuz",
	    config_path[] = "/tmp/guest.toml", disk_id[] = "root",
	    tap_name[] = "tap0";

/* A vm without KVM: its two vCPUs have no threads and always are parked. */
struct fixture {
	char dir[64];
	int dirfd;
	struct config cfg;
	struct vm vm;
	struct vcpu vcpu[2];
	struct kvm_run run[2];
	struct control *ctl;
	pthread_t loop;
	bool looping;
};

static struct fixture fx;

static void *loop_main(void *arg)
{
	struct vm *vm = arg;

	assert_int_equal(loop_run(&vm->m.loop), 0);
	return NULL;
}

static void fx_loop(void)
{
	assert_int_equal(pthread_create(&fx.loop, NULL, loop_main, &fx.vm), 0);
	fx.looping = true;
}

static int setup_dir(void **state)
{
	(void)state;
	memset(&fx, 0, sizeof(fx));
	strcpy(fx.dir, "/tmp/csvvmm-control-XXXXXX");
	assert_non_null(mkdtemp(fx.dir));
	setenv("CSVVMM_STATE_DIR", fx.dir, 1);
	fx.dirfd = control_state_dir(NULL);
	assert_true(fx.dirfd >= 0);
	return 0;
}

static int setup_server(void **state)
{
	unsigned i;

	setup_dir(state);
	fx.cfg = (struct config){
		.name = guest_name,
		.kernel = kernel_path,
		.file = config_path,
		.vcpus = 2,
		.memory = 512 << 20,
		.n_disks = 1,
		.n_nets = 1,
		.disk[0] = { .id = disk_id, .readonly = true },
		.net[0] = { .tap = tap_name,
			    .mac = { 0x52, 0x54, 0, 0xab, 0xcd, 0xef } },
	};
	fx.vm.cfg = &fx.cfg;
	fx.vm.state = VM_RUNNING;
	fx.vm.start_ns = 1000;
	fx.vm.first_run_ns = 5000;
	fx.vm.vcpu = fx.vcpu;
	fx.vm.n_vcpus = 2;
	for (i = 0; i < 2; i++) {
		fx.vcpu[i].run = &fx.run[i];
		fx.vcpu[i].parked = true;
		fx.vcpu[i].exits = 7 + i;
	}
	pthread_mutex_init(&fx.vm.m.lock, NULL);
	pthread_cond_init(&fx.vm.resume, NULL);
	assert_int_equal(loop_init(&fx.vm.m.loop, &fx.vm.m.lock), 0);
	assert_int_equal(control_claim(&fx.cfg, &fx.ctl), 0);
	assert_int_equal(control_listen(fx.ctl, &fx.vm), 0);
	return 0;
}

static int setup_running(void **state)
{
	setup_server(state);
	fx_loop();
	return 0;
}

static void close_server(void)
{
	if (fx.ctl)
		control_unlisten(fx.ctl);
	control_release(fx.ctl);
	fx.ctl = NULL;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	if (fx.looping) {
		loop_stop(&fx.vm.m.loop);
		pthread_join(fx.loop, NULL);
	}
	close_server();
	if (fx.vm.cfg)
		loop_fini(&fx.vm.m.loop);
	util_close(&fx.dirfd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", fx.dir);
	return system(cmd);
}

static int client(void)
{
	int fd = state_connect(fx.dirfd, NAME);

	assert_true(fd >= 0);
	return fd;
}

static void put_bytes(int fd, const char *buf, size_t len)
{
	while (len) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n;

		assert_int_equal(poll(&p, 1, PATIENT_MS), 1);
		n = send(fd, buf, len, MSG_NOSIGNAL);
		assert_true(n > 0);
		buf += n;
		len -= (size_t)n;
	}
}

static void put_text(int fd, const char *text)
{
	put_bytes(fd, text, strlen(text));
}

/* Return: length with the newline, 0 at the end of the stream */
static size_t get_line(int fd, char *buf, size_t size)
{
	size_t have = 0;

	while (have < size - 1) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&p, 1, PATIENT_MS), 1);
		n = recv(fd, buf + have, 1, 0);
		if (n < 0 && errno == ECONNRESET)
			n = 0;
		assert_true(n >= 0);
		if (n == 0)
			break;
		have++;
		if (buf[have - 1] == '\n')
			break;
	}
	buf[have] = 0;
	return have;
}

static void expect(int fd, const char *line)
{
	char buf[CONTROL_ANSWER_MAX + 1];

	get_line(fd, buf, sizeof(buf));
	assert_string_equal(buf, line);
}

static void expect_eof(int fd)
{
	char buf[CONTROL_ANSWER_MAX + 1];

	assert_int_equal(get_line(fd, buf, sizeof(buf)), 0);
}

static void ask(const char *line, size_t len, char out[CONTROL_ANSWER_MAX])
{
	size_t n = control_answer(&fx.vm, line, len, out, CONTROL_ANSWER_MAX);

	assert_true(n > 0 && n < CONTROL_ANSWER_MAX);
	assert_int_equal(out[n - 1], '\n');
	assert_null(memchr(out, '\n', n - 1));
	out[n] = 0;
}

/* --- names and the state folder ------------------------------------------ */

static void test_names(void **state)
{
	char longest[CONFIG_NAME_MAX + 2];

	(void)state;
	assert_true(state_name_valid("a"));
	assert_true(state_name_valid("Web_01.example-2"));
	assert_false(state_name_valid(""));
	assert_false(state_name_valid("."));
	assert_false(state_name_valid(".."));
	assert_false(state_name_valid(".hidden"));
	assert_false(state_name_valid("-option"));
	assert_false(state_name_valid("a/b"));
	assert_false(state_name_valid("../etc/passwd"));
	assert_false(state_name_valid("a b"));
	assert_false(state_name_valid("a\n"));
	assert_false(state_name_valid("\xc3\xa4"));
	memset(longest, 'x', sizeof(longest));
	longest[CONFIG_NAME_MAX] = 0;
	assert_true(state_name_valid(longest));
	longest[CONFIG_NAME_MAX] = 'x';
	longest[CONFIG_NAME_MAX + 1] = 0;
	assert_false(state_name_valid(longest));
}

static void test_dir_created(void **state)
{
	char path[128];
	struct stat st;
	char *got = NULL;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/new", fx.dir);
	setenv("CSVVMM_STATE_DIR", path, 1);
	fd = control_state_dir(&got);
	assert_true(fd >= 0);
	assert_string_equal(got, path);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	(void)close(fd);
	free(got);
}

static void test_dir_refused(void **state)
{
	char path[128];
	int fd;

	(void)state;
	assert_int_equal(chmod(fx.dir, 0750), 0);
	assert_int_equal(control_state_dir(NULL), -EPERM);
	assert_int_equal(chmod(fx.dir, 0701), 0);
	assert_int_equal(control_state_dir(NULL), -EPERM);
	assert_int_equal(chmod(fx.dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/file", fx.dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	setenv("CSVVMM_STATE_DIR", path, 1);
	assert_int_equal(control_state_dir(NULL), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/no/parent", fx.dir);
	setenv("CSVVMM_STATE_DIR", path, 1);
	assert_int_equal(control_state_dir(NULL), -ENOENT);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(fx.dir, 65534, 65534), 0);
	setenv("CSVVMM_STATE_DIR", fx.dir, 1);
	assert_int_equal(control_state_dir(NULL), -EPERM);
}

static void test_claim(void **state)
{
	int a, b;

	(void)state;
	assert_int_equal(state_running(fx.dirfd, NAME), 0);
	a = state_claim(fx.dirfd, NAME);
	assert_true(a >= 0);
	assert_int_equal(state_running(fx.dirfd, NAME), 1);
	assert_int_equal(state_pid(fx.dirfd, NAME), getpid());
	/* The lock belongs to the open file: our own process fails too. */
	assert_int_equal(state_claim(fx.dirfd, NAME), -EEXIST);
	/* Died without cleaning up: the file stays, the lock does not. */
	(void)close(a);
	assert_int_equal(state_running(fx.dirfd, NAME), 0);
	b = state_claim(fx.dirfd, NAME);
	assert_true(b >= 0);
	assert_int_equal(state_journal(b, "moved"), 0);
	assert_true(state_release(fx.dirfd, b, NAME));
	(void)close(b);
	assert_int_equal(state_running(fx.dirfd, NAME), 0);
	assert_int_equal(faccessat(fx.dirfd, NAME ".lock", F_OK, 0), -1);
	assert_int_equal(state_claim(fx.dirfd, "../x"), -EINVAL);
	/* In doubt: an orderly end does not forget it either. */
	a = state_claim(fx.dirfd, NAME);
	assert_true(a >= 0);
	assert_int_equal(state_journal(a, "committing"), 0);
	assert_false(state_release(fx.dirfd, a, NAME));
	(void)close(a);
	assert_int_equal(state_claim(fx.dirfd, NAME), -EUCLEAN);
	assert_int_equal(state_journal_forget(fx.dirfd, NAME), 0);
	assert_int_equal(faccessat(fx.dirfd, NAME ".lock", F_OK, 0), -1);
}

/* A lock on a file that has lost its name protects nothing. */
static void test_claim_removed(void **state)
{
	int a = state_claim(fx.dirfd, NAME), b;

	(void)state;
	assert_true(a >= 0);
	assert_int_equal(unlinkat(fx.dirfd, NAME ".lock", 0), 0);
	b = state_claim(fx.dirfd, NAME);
	assert_true(b >= 0);
	assert_int_equal(state_claim(fx.dirfd, NAME), -EEXIST);
	(void)close(a);
	assert_int_equal(state_running(fx.dirfd, NAME), 1);
	(void)close(b);
}

static void test_claim_hostile_file(void **state)
{
	(void)state;
	assert_int_equal(symlinkat("/etc/passwd", fx.dirfd, "s.lock"), 0);
	assert_int_equal(state_claim(fx.dirfd, "s"), -ELOOP);
	assert_int_equal(mkfifoat(fx.dirfd, "f.lock", 0600), 0);
	assert_true(state_claim(fx.dirfd, "f") < 0);
	assert_int_equal(mkdirat(fx.dirfd, "d.lock", 0700), 0);
	assert_int_equal(state_claim(fx.dirfd, "d"), -EISDIR);
}

static void test_stale_socket(void **state)
{
	int a = state_claim(fx.dirfd, NAME), l, c;

	(void)state;
	l = state_listen(fx.dirfd, NAME);
	assert_true(l >= 0);
	(void)close(l);
	assert_int_equal(state_connect(fx.dirfd, NAME), -ENOENT);
	l = state_listen(fx.dirfd, NAME);
	assert_true(l >= 0);
	c = state_connect(fx.dirfd, NAME);
	assert_true(c >= 0);
	(void)close(c);
	(void)close(l);
	(void)close(a);
}

static void test_long_path(void **state)
{
	char path[512], part[101];
	int dirfd, a, l, c;

	(void)state;
	memset(part, 'p', 100);
	part[100] = 0;
	snprintf(path, sizeof(path), "%s/%s", fx.dir, part);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s/%s", fx.dir, part, part);
	setenv("CSVVMM_STATE_DIR", path, 1);
	dirfd = control_state_dir(NULL);
	assert_true(dirfd >= 0);
	a = state_claim(dirfd, NAME);
	l = state_listen(dirfd, NAME);
	assert_true(a >= 0 && l >= 0);
	c = state_connect(dirfd, NAME);
	assert_true(c >= 0);
	(void)close(c);
	(void)close(l);
	(void)close(a);
	(void)close(dirfd);
}

static void test_list(void **state)
{
	int b = state_claim(fx.dirfd, "b"), a = state_claim(fx.dirfd, "a");
	int dead = state_claim(fx.dirfd, "dead");
	char **names;

	(void)state;
	(void)close(dead);
	(void)close(openat(fx.dirfd, ".lock", O_CREAT | O_WRONLY, 0600));
	(void)close(openat(fx.dirfd, "x.sock", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(state_names(fx.dirfd, ".lock", &names), 2);
	assert_string_equal(names[0], "a");
	assert_string_equal(names[1], "b");
	state_names_free(names, 2);
	(void)close(a);
	(void)close(b);
}

/* --- one request --------------------------------------------------------- */

static void test_bad_requests(void **state)
{
	static const struct {
		const char *line, *error;
	} bad[] = {
		{ "", "not a JSON object" },
		{ "status", "not a JSON object" },
		{ "[]", "not a JSON object" },
		{ "\"ping\"", "not a JSON object" },
		{ "{\"cmd\":\"ping\"", "not a JSON object" },
		{ "{\"cmd\":\"ping\"} {}", "not a JSON object" },
		{ "{\"cmd\":\"ping\",\"cmd\":\"kill\"}", "duplicate" },
		{ "{\"cmd\":\"p\\u0000ing\"}", "not a JSON object" },
		{ "{\"cmd\":\"\xff\"}", "not a JSON object" },
		{ "{}", "\\\"cmd\\\" must be a string" },
		{ "{\"cmd\":1}", "\\\"cmd\\\" must be a string" },
		{ "{\"cmd\":null}", "\\\"cmd\\\" must be a string" },
		{ "{\"cmd\":\"\"}", "unknown command" },
		{ "{\"cmd\":\"PING\"}", "unknown command" },
		{ "{\"cmd\":\"kill\",\"force\":true}", "unknown key \\\"force" },
		{ "{\"cmd\":\"kill\",\"\":0}", "unknown key" },
		{ "{\"cmd\":\"kill\",\"id\":[]}", "\\\"id\\\" must be" },
		{ "{\"cmd\":\"kill\",\"id\":1.5}", "\\\"id\\\" must be" },
		{ "{\"cmd\":\"kill\",\"id\":null}", "\\\"id\\\" must be" },
	};
	char out[CONTROL_ANSWER_MAX];
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ask(bad[i].line, strlen(bad[i].line), out);
		assert_memory_equal(out, "{\"ok\":false,", 12);
		assert_non_null(strstr(out, bad[i].error));
	}
	ask("{\"cmd\":\"ping\"}\0x", 16, out);
	assert_non_null(strstr(out, "NUL"));
	assert_int_equal(fx.vm.m.end, END_NONE);
}

static void test_deep_nesting(void **state)
{
	char line[CONTROL_LINE_MAX], out[CONTROL_ANSWER_MAX];

	(void)state;
	memset(line, '[', sizeof(line));
	ask(line, sizeof(line), out);
	assert_memory_equal(out, "{\"ok\":false,", 12);
	memset(line + sizeof(line) / 2, ']', sizeof(line) / 2);
	ask(line, sizeof(line), out);
	assert_memory_equal(out, "{\"ok\":false,", 12);
}

static void test_id(void **state)
{
	static const char minimum[] =
		"{\"id\":-9223372036854775808,\"cmd\":\"ping\"}";
	static const char del[] = "{\"id\":\"\x7f\",\"cmd\":\"x\"}";
	static const char escape[] = "{\"id\":\"\\u001b[2J\",\"cmd\":\"x\"}";
	char out[CONTROL_ANSWER_MAX], line[256], id[80];

	(void)state;
	ask(minimum, strlen(minimum), out);
	assert_string_equal(out, "{\"ok\":true,\"id\":-9223372036854775808}\n");
	ask(escape, strlen(escape), out);
	assert_memory_equal(out, "{\"ok\":false,\"id\":\"\\u001B[2J\"", 28);
	ask(del, strlen(del), out);
	assert_memory_equal(out, "{\"ok\":false,\"id\":\"?\"", 20);
	memset(id, 'i', sizeof(id));
	snprintf(line, sizeof(line), "{\"id\":\"%.64s\",\"cmd\":\"ping\"}", id);
	ask(line, strlen(line), out);
	assert_memory_equal(out, "{\"ok\":true,", 11);
	snprintf(line, sizeof(line), "{\"id\":\"%.65s\",\"cmd\":\"ping\"}", id);
	ask(line, strlen(line), out);
	assert_memory_equal(out, "{\"ok\":false,", 12);
}

static void test_status(void **state)
{
	char out[CONTROL_ANSWER_MAX];
	json_t *j, *v;

	(void)state;
	ask("{\"cmd\":\"status\"}", 16, out);
	j = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
	assert_true(json_is_true(json_object_get(j, "ok")));
	assert_string_equal(json_string_value(json_object_get(j, "name")), NAME);
	assert_string_equal(json_string_value(json_object_get(j, "state")),
			    "running");
	assert_int_equal(json_integer_value(json_object_get(j, "pid")), getpid());
	assert_int_equal(json_integer_value(json_object_get(j, "vcpus")), 2);
	assert_int_equal(json_integer_value(json_object_get(j, "memory")),
			 536870912);
	v = json_object_get(j, "start_to_first_run_ns");
	assert_int_equal(json_integer_value(v), 4000);
	v = json_object_get(j, "exits");
	assert_int_equal(json_array_size(v), 2);
	assert_int_equal(json_integer_value(json_array_get(v, 1)), 8);
	v = json_array_get(json_object_get(j, "disks"), 0);
	assert_string_equal(json_string_value(json_object_get(v, "id")), "root");
	v = json_array_get(json_object_get(j, "nets"), 0);
	assert_string_equal(json_string_value(json_object_get(v, "mac")),
			    "52:54:00:ab:cd:ef");
	/* A path that is not UTF-8 is shown, not dropped. */
	assert_string_equal(json_string_value(json_object_get(j, "kernel")),
			    "/boot/?vmlinuz");
	json_decref(j);
	fx.vm.first_run_ns = 0;
	ask("{\"cmd\":\"status\"}", 16, out);
	assert_non_null(strstr(out, "\"start_to_first_run_ns\":null"));
}

/* An answer that has no room becomes an error, not half an answer. */
static void test_answer_too_long(void **state)
{
	char out[256];
	size_t n = control_answer(&fx.vm, "{\"cmd\":\"status\"}", 16, out,
				  sizeof(out));

	(void)state;
	assert_true(n > 0 && n <= sizeof(out));
	assert_memory_equal(
		out, "{\"ok\":false,\"error\":\"the answer is too long\"}\n", n);
}

/* --- the server ---------------------------------------------------------- */

static void test_pieces(void **state)
{
	const char *line = "{\"cmd\":\"ping\",\"id\":1}\r\n";
	int fd = client(), other = client();

	(void)state;
	for (; *line; line++) {
		put_bytes(fd, line, 1);
		put_text(other, "{\"cmd\":\"ping\",\"id\":\"x\"}\n");
		expect(other, "{\"ok\":true,\"id\":\"x\"}\n");
	}
	expect(fd, "{\"ok\":true,\"id\":1}\n");
	(void)close(fd);
	(void)close(other);
}

static void test_many_in_one_write(void **state)
{
	char line[64], all[20000];
	size_t len = 0;
	int fd = client(), i;

	(void)state;
	for (i = 0; i < 500; i++)
		len += (size_t)sprintf(all + len,
				       "{\"cmd\":\"ping\",\"id\":%d}\n", i);
	put_bytes(fd, all, len);
	for (i = 0; i < 500; i++) {
		snprintf(line, sizeof(line), "{\"ok\":true,\"id\":%d}\n", i);
		expect(fd, line);
	}
	(void)close(fd);
}

static void test_line_limit(void **state)
{
	char line[CONTROL_LINE_MAX + 1];
	int fd = client();

	(void)state;
	memset(line, ' ', sizeof(line));
	memcpy(line, "{\"cmd\":\"ping\"}", 14);
	line[CONTROL_LINE_MAX - 1] = '\n';
	put_bytes(fd, line, CONTROL_LINE_MAX);
	expect(fd, "{\"ok\":true}\n");
	line[CONTROL_LINE_MAX - 1] = ' ';
	line[CONTROL_LINE_MAX] = '\n';
	put_bytes(fd, line, CONTROL_LINE_MAX + 1);
	expect(fd, "{\"ok\":false,\"error\":"
		   "\"the request is longer than 4096 bytes\"}\n");
	expect_eof(fd);
	(void)close(fd);
}

static void test_half_close(void **state)
{
	int fd = client();

	(void)state;
	put_text(fd,
		 "{\"cmd\":\"ping\"}\n{\"cmd\":\"ping\",\"id\":2}\n{\"cmd\":");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	expect(fd, "{\"ok\":true}\n");
	expect(fd, "{\"ok\":true,\"id\":2}\n");
	expect_eof(fd);
	(void)close(fd);
}

static void test_gone_clients(void **state)
{
	int fd, i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		fd = client();
		put_text(fd, i % 2 ? "{\"cmd\":\"status\"}\n{\"cmd\""
				   : "{\"cmd\":\"pi");
		(void)close(fd);
		if (i % 8)
			continue;
		fd = client();
		put_text(fd, "{\"cmd\":\"ping\"}\n");
		expect(fd, "{\"ok\":true}\n");
		(void)close(fd);
	}
}

static void fill(int fd[CONTROL_CLIENTS])
{
	unsigned i;

	for (i = 0; i < CONTROL_CLIENTS; i++) {
		fd[i] = client();
		put_text(fd[i], "{\"cmd\":\"ping\"}\n");
		expect(fd[i], "{\"ok\":true}\n");
	}
}

static void test_too_many(void **state)
{
	int fd[CONTROL_CLIENTS], extra;
	unsigned i;

	(void)state;
	fill(fd);
	extra = client();
	expect(extra, "{\"ok\":false,\"error\":\"too many clients (16)\"}\n");
	expect_eof(extra);
	(void)close(extra);
	for (i = 0; i < CONTROL_CLIENTS; i++) {
		put_text(fd[i], "{\"cmd\":\"ping\"}\n");
		expect(fd[i], "{\"ok\":true}\n");
	}
	/* One leaves, one comes. */
	(void)close(fd[3]);
	put_text(fd[0], "{\"cmd\":\"ping\"}\n");
	expect(fd[0], "{\"ok\":true}\n");
	fd[3] = client();
	put_text(fd[3], "{\"cmd\":\"ping\"}\n");
	expect(fd[3], "{\"ok\":true}\n");
	for (i = 0; i < CONTROL_CLIENTS; i++)
		(void)close(fd[i]);
}

/* Sixteen silent clients must not keep the operator out for ever. */
static void test_silent_make_room(void **state)
{
	int fd[CONTROL_CLIENTS], extra;
	unsigned i;

	(void)state;
	fill(fd);
	pthread_mutex_lock(&fx.vm.m.lock);
	fx.ctl->patience_ns = 0;
	pthread_mutex_unlock(&fx.vm.m.lock);
	extra = client();
	put_text(extra, "{\"cmd\":\"ping\"}\n");
	expect(extra, "{\"ok\":true}\n");
	expect_eof(fd[0]);
	put_text(fd[1], "{\"cmd\":\"ping\"}\n");
	expect(fd[1], "{\"ok\":true}\n");
	(void)close(extra);
	for (i = 0; i < CONTROL_CLIENTS; i++)
		(void)close(fd[i]);
}

/* Send until the server takes no more: it must stop reading, not hoard.
 * Return: complete requests sent */
static size_t stuff(int fd)
{
	static const char line[] = "{\"cmd\":\"status\"}\n";
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	size_t sent = 0;

	while (poll(&p, 1, 200) == 1 && !(p.revents & POLLHUP)) {
		ssize_t n = send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 0;
		assert_true(sent < 64 << 20);
	}
	return sent / (sizeof(line) - 1);
}

static void test_slow_reader(void **state)
{
	char buf[CONTROL_ANSWER_MAX + 1];
	int fd = client(), other = client();
	size_t n = stuff(fd);

	(void)state;
	put_text(other, "{\"cmd\":\"ping\"}\n");
	expect(other, "{\"ok\":true}\n");
	/* Nothing was lost: answers come as it reads. */
	assert_true(n > 100);
	while (n--) {
		assert_true(get_line(fd, buf, sizeof(buf)) > 0);
		assert_memory_equal(buf, "{\"ok\":true,\"name\":", 18);
	}
	(void)close(fd);
	(void)close(other);
}

static void test_stalled_reader(void **state)
{
	struct pollfd p = { .events = 0 };
	int other;

	(void)state;
	pthread_mutex_lock(&fx.vm.m.lock);
	fx.ctl->patience_ns = 1000000;
	pthread_mutex_unlock(&fx.vm.m.lock);
	p.fd = client();
	stuff(p.fd);
	assert_int_equal(poll(&p, 1, PATIENT_MS), 1);
	assert_true(p.revents & POLLHUP);
	other = client();
	put_text(other, "{\"cmd\":\"ping\"}\n");
	expect(other, "{\"ok\":true}\n");
	(void)close(other);
	(void)close(p.fd);
}

/* No descriptor left: a refusal in words, and no spinning afterwards. */
static void test_no_descriptor(void **state)
{
	struct rlimit old, tight;
	int fd[4], i;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (i = 0; i < 4; i++) {
		fd[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_true(fd[i] >= 0);
	}
	tight = (struct rlimit){ (rlim_t)fd[3] + 1, old.rlim_max };
	pthread_mutex_lock(&fx.vm.m.lock);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	(void)close(fd[3]);
	fd[3] = state_connect(fx.dirfd, NAME);
	assert_true(fd[3] >= 0);
	pthread_mutex_unlock(&fx.vm.m.lock);
	expect(fd[3], "{\"ok\":false,\"error\":"
		      "\"the VMM has no file descriptor left\"}\n");
	expect_eof(fd[3]);
	pthread_mutex_lock(&fx.vm.m.lock);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(fx.ctl->spare_fd >= 0);
	pthread_mutex_unlock(&fx.vm.m.lock);
	for (i = 0; i < 4; i++)
		(void)close(fd[i]);
}

static void test_other_user(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(fx.dir, 0755), 0);
	assert_int_equal(fchmodat(fx.dirfd, NAME ".sock", 0777, 0), 0);
	pid = fork();
	if (!pid) {
		char buf[64];
		struct pollfd p = { .events = POLLIN };

		if (setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		p.fd = state_connect(fx.dirfd, NAME);
		if (p.fd < 0)
			_exit(2);
		(void)!send(p.fd, "{\"cmd\":\"kill\"}\n", 15, MSG_NOSIGNAL);
		if (poll(&p, 1, PATIENT_MS) != 1)
			_exit(3);
		_exit(recv(p.fd, buf, sizeof(buf), 0) > 0 ? 4 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	pthread_mutex_lock(&fx.vm.m.lock);
	assert_int_equal(fx.vm.m.end, END_NONE);
	pthread_mutex_unlock(&fx.vm.m.lock);
}

static void test_second_vmm(void **state)
{
	struct control *second = NULL;
	char *line;

	(void)state;
	assert_int_equal(control_claim(&fx.cfg, &second), -EEXIST);
	assert_null(second);
	/* The loser has not taken the winner's files away. */
	assert_int_equal(control_request(NAME, "{\"cmd\":\"ping\"}", &line), 0);
	assert_string_equal(line, "{\"ok\":true}");
	free(line);
}

/* --- the client ---------------------------------------------------------- */

static void request(const char *cmd, const char *answer)
{
	char *line = NULL, ask[64];

	snprintf(ask, sizeof(ask), "{\"cmd\":\"%s\"}", cmd);
	assert_int_equal(control_request(NAME, ask, &line), 0);
	assert_string_equal(line, answer);
	free(line);
}

static void test_pause_resume_kill(void **state)
{
	(void)state;
	request("pause", "{\"ok\":true,\"state\":\"paused\"}");
	request("pause", "{\"ok\":true,\"state\":\"paused\"}");
	request("resume", "{\"ok\":true,\"state\":\"running\"}");
	request("stop", "{\"ok\":false,\"error\":\"the guest is running\"}");
	request("launch-measure",
		"{\"ok\":false,\"error\":\"the guest is not encrypted\"}");
	request("launch-secret",
		"{\"ok\":false,\"error\":\"the guest is not encrypted\"}");
	request("launch-go",
		"{\"ok\":false,\"error\":\"the guest is not encrypted\"}");
	request("kill", "{\"ok\":true}");
	pthread_join(fx.loop, NULL);
	fx.looping = false;
	assert_int_equal(fx.vm.m.end, END_KILLED);
	close_server();
	assert_int_equal(faccessat(fx.dirfd, NAME ".sock", F_OK, 0), -1);
	assert_int_equal(faccessat(fx.dirfd, NAME ".lock", F_OK, 0), -1);
}

/*
 * The whole server after lock-down: a system call that it needs and may not
 * make would kill the child.
 */
static void test_in_sandbox(void **state)
{
	int fd[CONTROL_CLIENTS], extra, status;
	unsigned i;
	pid_t pid;

	(void)state;
	fx.ctl->patience_ns = 3600000000000;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		struct sandbox_dirs dirs = { { control_folder(fx.ctl), -1 } };
		int r = sandbox_enter(&dirs);

		if (!r)
			r = loop_run(&fx.vm.m.loop);
		close_server();
		_exit(r < 0);
	}
	fill(fd);
	extra = client();
	expect(extra, "{\"ok\":false,\"error\":\"too many clients (16)\"}\n");
	(void)close(extra);
	(void)stuff(fd[0]);
	for (i = 0; i < CONTROL_CLIENTS; i++)
		(void)close(fd[i]);
	request("pause", "{\"ok\":true,\"state\":\"paused\"}");
	request("resume", "{\"ok\":true,\"state\":\"running\"}");
	request("kill", "{\"ok\":true}");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* The folder is out of its sight, its own files it can remove. */
	assert_int_equal(faccessat(fx.dirfd, NAME ".sock", F_OK, 0), -1);
	assert_int_equal(faccessat(fx.dirfd, NAME ".lock", F_OK, 0), -1);
}

static void test_wrong_state(void **state)
{
	(void)state;
	fx.vm.state = VM_CREATED;
	request("resume", "{\"ok\":false,\"error\":"
			  "\"cannot resume: the guest is created\"}");
	fx.vm.state = VM_ENDED;
	request("pause", "{\"ok\":false,\"error\":"
			 "\"cannot pause: the guest is ended\"}");
}

static void test_no_guest(void **state)
{
	char *line;

	(void)state;
	assert_int_equal(control_request("nobody", "{}", &line), -ENOENT);
	assert_int_equal(control_request("../nobody", "{}", &line), -EINVAL);
}

struct fake {
	int listen_fd;
	const char *answer;
	size_t len;
};

static void *fake_main(void *arg)
{
	struct fake *f = arg;
	struct pollfd p = { .fd = f->listen_fd, .events = POLLIN };
	char buf[256];
	int fd;

	assert_int_equal(poll(&p, 1, PATIENT_MS), 1);
	fd = accept(f->listen_fd, NULL, NULL);
	assert_true(recv(fd, buf, sizeof(buf), 0) > 0);
	(void)!send(fd, f->answer, f->len, MSG_NOSIGNAL);
	(void)close(fd);
	return NULL;
}

static int fake_request(const char *answer, size_t len)
{
	struct fake f = { .answer = answer, .len = len };
	char *line = NULL;
	pthread_t thread;
	int r;

	f.listen_fd = state_listen(fx.dirfd, NAME);
	assert_true(f.listen_fd >= 0);
	pthread_create(&thread, NULL, fake_main, &f);
	r = control_request(NAME, "{\"cmd\":\"ping\"}", &line);
	pthread_join(thread, NULL);
	(void)close(f.listen_fd);
	if (!r)
		assert_string_equal(line, "{}");
	free(line);
	return r;
}

static void test_hostile_server(void **state)
{
	int lock = state_claim(fx.dirfd, NAME);
	char *much = malloc(1 << 20);

	(void)state;
	memset(much, 'x', 1 << 20);
	assert_int_equal(fake_request("{}\nrest", 7), 0);
	assert_int_equal(fake_request("", 0), -ECONNRESET);
	assert_int_equal(fake_request("{\"ok\":true}", 11), -ECONNRESET);
	assert_int_equal(fake_request(much, 1 << 20), -EMSGSIZE);
	/* A name that is claimed, but nobody listens yet or any more. */
	free(much);
	assert_int_equal(control_request(NAME, "{\"cmd\":\"ping\"}", &much),
			 -EINPROGRESS);
	/* Its process is this one; then the file names one that is not its. */
	assert_int_equal(state_signal(fx.dirfd, NAME, 0), 0);
	assert_int_equal(pwrite(lock, "1\n", 2, 0), 2);
	assert_int_equal(ftruncate(lock, 2), 0);
	assert_int_equal(state_signal(fx.dirfd, NAME, 0), -ESRCH);
	(void)close(lock);
}

#define IN_DIR(fn)  cmocka_unit_test_setup_teardown(fn, setup_dir, teardown)
#define WITH_VM(fn) cmocka_unit_test_setup_teardown(fn, setup_server, teardown)
#define WITH_SERVER(fn) \
	cmocka_unit_test_setup_teardown(fn, setup_running, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		IN_DIR(test_dir_created),
		IN_DIR(test_dir_refused),
		IN_DIR(test_claim),
		IN_DIR(test_claim_removed),
		IN_DIR(test_claim_hostile_file),
		IN_DIR(test_stale_socket),
		IN_DIR(test_long_path),
		IN_DIR(test_list),
		WITH_VM(test_bad_requests),
		WITH_VM(test_deep_nesting),
		WITH_VM(test_id),
		WITH_VM(test_status),
		WITH_VM(test_answer_too_long),
		WITH_SERVER(test_pieces),
		WITH_SERVER(test_many_in_one_write),
		WITH_SERVER(test_line_limit),
		WITH_SERVER(test_half_close),
		WITH_SERVER(test_gone_clients),
		WITH_SERVER(test_too_many),
		WITH_SERVER(test_silent_make_room),
		WITH_SERVER(test_slow_reader),
		WITH_SERVER(test_stalled_reader),
		WITH_SERVER(test_no_descriptor),
		WITH_SERVER(test_other_user),
		WITH_SERVER(test_second_vmm),
		WITH_SERVER(test_pause_resume_kill),
		WITH_VM(test_in_sandbox),
		WITH_SERVER(test_wrong_state),
		IN_DIR(test_no_guest),
		IN_DIR(test_hostile_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
