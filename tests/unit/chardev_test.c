/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "core/terminal.h"
#include "core/util.h"
#include "devices/chardev.h"
#include "tests/unit/pump.h"

struct test_port {
	struct chardev_port port;
	unsigned calls;
};

struct fixture {
	struct machine m;
	struct chardev cd;
	struct test_port a, b;
	int saved[2];
	char dir[32];
	char path[64];
};

static void port_ready(struct chardev_port *port)
{
	container_of(port, struct test_port, port)->calls++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	pump_machine_init(&f->m);
	f->a.port.input_ready = port_ready;
	f->b.port.input_ready = port_ready;
	f->saved[0] = fcntl(0, F_DUPFD_CLOEXEC, 100);
	f->saved[1] = fcntl(1, F_DUPFD_CLOEXEC, 100);
	strcpy(f->dir, "/tmp/csvvmm-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/c", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int i;

	chardev_fini(&f->cd);
	chardev_fini(&f->cd); /* may run twice */
	for (i = 0; i < 2; i++) {
		close(i);
		if (f->saved[i] >= 0)
			dup2(f->saved[i], i);
		close(f->saved[i]);
	}
	pump_machine_fini(&f->m);
	unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* Give 0 and 1 away; -1 closes. */
static void std_set(int in, int out)
{
	close(0);
	close(1);
	if (in >= 0)
		assert_int_equal(dup2(in, 0), 0);
	if (out >= 0)
		assert_int_equal(dup2(out, 1), 1);
}

static void start(struct fixture *f, enum chardev_kind kind)
{
	assert_int_equal(chardev_init(&f->cd, &f->m, kind, f->path), 0);
	f->cd.wait_ms = 200;
	chardev_attach(&f->cd, &f->a.port);
	chardev_attach(&f->cd, &f->b.port);
}

static void say(struct fixture *f, const char *text)
{
	chardev_write(&f->cd, &f->a.port, text, strlen(text));
}

static void expect_input(struct fixture *f, const char *want, size_t len)
{
	char got[256];

	pump(&f->m, 0);
	assert_int_equal(chardev_pending(&f->cd, &f->a.port), len);
	assert_int_equal(chardev_read(&f->cd, &f->a.port, got, sizeof(got)), len);
	assert_memory_equal(got, want, len);
}

static void expect_bytes(int fd, const char *want)
{
	size_t len = strlen(want), n = 0;
	char got[4096];

	while (n < len) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		assert_int_equal(poll(&p, 1, 10000), 1);
		r = read(fd, got + n, len - n);
		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_memory_equal(got, want, len);
}

/* --- null, file -------------------------------------------------------------- */

static void test_zero_fini(void **state)
{
	struct chardev cd;

	(void)state;
	memset(&cd, 0, sizeof(cd));
	chardev_fini(&cd);
	assert_true(fcntl(0, F_GETFD) >= 0);
	terminal_restore(); /* not raw: nothing to do */
}

static void test_null(void **state)
{
	struct fixture *f = *state;
	char c;

	start(f, CHARDEV_NULL);
	say(f, "nobody hears this");
	assert_int_equal(chardev_pending(&f->cd, &f->a.port), 0);
	assert_int_equal(chardev_read(&f->cd, &f->a.port, &c, 1), 0);
	assert_int_equal(pump(&f->m, 0), 0);
}

static void test_file_appends(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int fd;

	start(f, CHARDEV_FILE);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
	say(f, "one");
	chardev_fini(&f->cd);
	start(f, CHARDEV_FILE);
	say(f, "two");
	chardev_write(&f->cd, &f->b.port, "three", 5);
	fd = open(f->path, O_RDONLY);
	expect_bytes(fd, "onetwothree");
	close(fd);
}

static void test_file_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(chardev_init(&f->cd, &f->m, CHARDEV_FILE, f->dir),
			 -EISDIR);
	assert_int_equal(chardev_init(&f->cd, &f->m, CHARDEV_FILE,
				      "/nonexistent/x"),
			 -ENOENT);
	/* Nobody reads: must fail, not wait. */
	assert_int_equal(mkfifo(f->path, 0600), 0);
	assert_int_equal(chardev_init(&f->cd, &f->m, CHARDEV_FILE, f->path),
			 -ENXIO);
}

static void test_file_full_disk(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(chardev_init(&f->cd, &f->m, CHARDEV_FILE, "/dev/full"),
			 0);
	chardev_attach(&f->cd, &f->a.port);
	say(f, "12345");
	assert_int_equal(f->cd.dropped, 5);
	say(f, "678");
	assert_int_equal(f->cd.dropped, 8);
	assert_int_equal(f->m.end, END_NONE);
}

/* --- stdio, no terminal -------------------------------------------------------- */

static void test_stdio_pipes(void **state)
{
	struct fixture *f = *state;
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	std_set(in[0], out[1]);
	start(f, CHARDEV_STDIO);
	/* The descriptions that a shell may share stay as they were. */
	assert_int_equal(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(1, F_GETFL) & O_NONBLOCK, 0);

	say(f, "prompt");
	expect_bytes(out[0], "prompt");
	/* No terminal: Ctrl-A x is data. */
	assert_int_equal(write(in[1], "a\x01x\x03\n", 5), 5);
	expect_input(f, "a\x01x\x03\n", 5);
	assert_int_equal(f->a.calls, 1);
	assert_int_equal(f->m.end, END_NONE);

	/* End of file: the guest lives, the loop is quiet, output goes on. */
	assert_int_equal(write(in[1], "last", 4), 4);
	close(in[1]);
	close(in[0]);
	expect_input(f, "last", 4);
	assert_int_equal(pump(&f->m, 0), 0);
	assert_int_equal(f->m.end, END_NONE);
	say(f, "still here");
	expect_bytes(out[0], "still here");
	close(out[0]);
	close(out[1]);
}

static void test_stdio_closed(void **state)
{
	struct fixture *f = *state;

	std_set(-1, -1);
	start(f, CHARDEV_STDIO);
	say(f, "x");
	assert_int_equal(pump(&f->m, 0), 0);
	assert_int_equal(chardev_pending(&f->cd, &f->a.port), 0);
}

static void test_stdio_dev_null(void **state)
{
	struct fixture *f = *state;
	int fd = open("/dev/null", O_RDWR);

	std_set(fd, fd);
	close(fd);
	start(f, CHARDEV_STDIO);
	say(f, "x");
	assert_int_equal(f->cd.dropped, 0);
	assert_int_equal(pump(&f->m, 0), 0);
	assert_int_equal(chardev_pending(&f->cd, &f->a.port), 0);
}

static void test_stdio_directory(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY);

	std_set(fd, -1);
	close(fd);
	start(f, CHARDEV_STDIO);
	assert_int_equal(pump(&f->m, 0), 0);
	assert_int_equal(chardev_pending(&f->cd, &f->a.port), 0);
}

/* epoll can't watch a regular file; all of it must arrive all the same. */
static void test_stdio_file_input(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->path, O_RDWR | O_CREAT, 0600);
	uint8_t buf[777];
	size_t n, total = 0, i;

	for (i = 0; i < 20000; i++) {
		uint8_t c = (uint8_t)(i * 7 + i / 256);

		assert_int_equal(write(fd, &c, 1), 1);
	}
	lseek(fd, 0, SEEK_SET);
	std_set(fd, -1);
	close(fd);
	start(f, CHARDEV_STDIO);
	while ((n = chardev_read(&f->cd, &f->a.port, buf, sizeof(buf)))) {
		for (i = 0; i < n; i++) {
			size_t at = total + i;

			assert_int_equal(buf[i], (uint8_t)(at * 7 + at / 256));
		}
		total += n;
	}
	assert_int_equal(total, 20000);
	assert_int_equal(pump(&f->m, 0), 0);
}

/* "csvvmm run g > log" after "echo start > log" must not overwrite it. */
static void test_stdio_file_output(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->path, O_RDWR | O_CREAT, 0600);

	assert_int_equal(write(fd, "start:", 6), 6);
	std_set(-1, fd);
	start(f, CHARDEV_STDIO);
	say(f, "more");
	lseek(fd, 0, SEEK_SET);
	expect_bytes(fd, "start:more");
	close(fd);
}

static void test_stdio_reader_gone(void **state)
{
	struct fixture *f = *state;
	int out[2];

	assert_int_equal(pipe(out), 0);
	std_set(-1, out[1]);
	close(out[1]);
	start(f, CHARDEV_STDIO);
	close(out[0]);
	say(f, "into the void");
	say(f, "and again");
	assert_int_equal(f->cd.dropped, 13);
	assert_int_equal(f->m.end, END_NONE);
}

/* A reader that stops: loss, counted, no hang; then it reads again. */
static void slow_reader(struct fixture *f, int rd)
{
	static char chunk[1024];
	uint64_t sent = 0, got = 0;
	char buf[4096];
	ssize_t n;

	memset(chunk, '.', sizeof(chunk));
	fcntl(rd, F_SETFL, fcntl(rd, F_GETFL) | O_NONBLOCK);
	start(f, CHARDEV_STDIO);
	while (sent < MIB(4)) {
		chardev_write(&f->cd, &f->a.port, chunk, sizeof(chunk));
		sent += sizeof(chunk);
	}
	assert_true(f->cd.dropped > 0 && f->cd.dropped < sent);
	while ((n = read(rd, buf, sizeof(buf))) > 0)
		got += (uint64_t)n;
	assert_int_equal(got, sent - f->cd.dropped);
	say(f, "back");
	expect_bytes(rd, "back");
	assert_int_equal(f->cd.dropped, sent - got);
}

static void test_stdio_slow_pipe(void **state)
{
	int out[2];

	assert_int_equal(pipe(out), 0);
	std_set(-1, out[1]);
	slow_reader(*state, out[0]);
	close(out[0]);
	close(out[1]);
}

static void test_stdio_slow_socket(void **state)
{
	int out[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, out), 0);
	std_set(-1, out[1]);
	slow_reader(*state, out[0]);
	close(out[0]);
	close(out[1]);
}

static void test_stdio_slow_terminal(void **state)
{
	int master, slave;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	std_set(-1, slave);
	slow_reader(*state, master);
	close(master);
	close(slave);
}

/* Where the terminal could not be opened once more (su, no /proc). */
static void test_stdio_slow_blocking(void **state)
{
	struct fixture *f = *state;
	static char chunk[3000];
	uint64_t sent = 0, got = 0;
	char buf[4096];
	int out[2];
	ssize_t n;

	assert_int_equal(pipe(out), 0);
	std_set(-1, -1);
	start(f, CHARDEV_STDIO);
	f->cd.out_fd = out[1];
	f->cd.out_blocking = true;
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	/* In pieces, and without loss as long as there is room. */
	chardev_write(&f->cd, &f->a.port, chunk, sizeof(chunk));
	assert_int_equal(f->cd.dropped, 0);
	for (sent = sizeof(chunk); sent < MIB(1); sent += sizeof(chunk))
		chardev_write(&f->cd, &f->a.port, chunk, sizeof(chunk));
	assert_true(f->cd.dropped > 0);
	while ((n = read(out[0], buf, sizeof(buf))) > 0)
		got += (uint64_t)n;
	assert_int_equal(got, sent - f->cd.dropped);
	say(f, "back");
	expect_bytes(out[0], "back");
	close(out[0]);
}

static void test_stdio_socket_input(void **state)
{
	struct fixture *f = *state;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	std_set(sv[0], sv[0]);
	start(f, CHARDEV_STDIO);
	assert_int_equal(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(write(sv[1], "in", 2), 2);
	expect_input(f, "in", 2);
	shutdown(sv[1], SHUT_WR);
	pump(&f->m, 0);
	say(f, "out");
	expect_bytes(sv[1], "out");
	close(sv[0]);
	close(sv[1]);
}

/* More than the buffer holds, from a writer that leaves at once. */
static void test_stdio_back_pressure(void **state)
{
	struct fixture *f = *state;
	size_t total = 0, n, i, size = 60000;
	uint8_t *data = malloc(size), buf[100];
	int in[2];

	assert_int_equal(pipe(in), 0);
	for (i = 0; i < size; i++)
		data[i] = (uint8_t)(i ^ i >> 8);
	assert_int_equal(write(in[1], data, size), (ssize_t)size);
	close(in[1]);
	std_set(in[0], -1);
	close(in[0]);
	start(f, CHARDEV_STDIO);
	while (pump(&f->m, 0),
	       (n = chardev_read(&f->cd, &f->a.port, buf, sizeof(buf)))) {
		assert_memory_equal(buf, data + total, n);
		total += n;
	}
	assert_int_equal(total, size);
	free(data);
}

/* --- stdio, terminal ------------------------------------------------------------ */

static void terminal_start(struct fixture *f, int *ret_master, int *ret_slave,
			   struct termios *ret_t)
{
	struct winsize ws = { .ws_row = 33, .ws_col = 101 };

	assert_int_equal(openpty(ret_master, ret_slave, NULL, NULL, &ws), 0);
	assert_int_equal(tcgetattr(*ret_slave, ret_t), 0);
	std_set(*ret_slave, *ret_slave);
	start(f, CHARDEV_STDIO);
}

static void type(struct fixture *f, int master, const char *keys)
{
	assert_int_equal(write(master, keys, strlen(keys)),
			 (ssize_t)strlen(keys));
	pump(&f->m, 20);
}

static void expect_termios(int fd, const struct termios *want)
{
	struct termios t;

	assert_int_equal(tcgetattr(fd, &t), 0);
	assert_int_equal(t.c_iflag, want->c_iflag);
	assert_int_equal(t.c_oflag, want->c_oflag);
	assert_int_equal(t.c_cflag, want->c_cflag);
	assert_int_equal(t.c_lflag, want->c_lflag);
	assert_memory_equal(t.c_cc, want->c_cc, sizeof(t.c_cc));
}

static void test_terminal_raw_and_back(void **state)
{
	struct fixture *f = *state;
	struct termios t, raw;
	uint16_t cols, rows;
	int master, slave;

	terminal_start(f, &master, &slave, &t);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	assert_int_equal(raw.c_lflag & (ICANON | ECHO | ISIG | IEXTEN), 0);
	assert_int_equal(raw.c_iflag & (ICRNL | IXON), 0);
	assert_int_equal(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
	assert_true(chardev_winsize(&f->cd, &cols, &rows));
	assert_int_equal(cols, 101);
	assert_int_equal(rows, 33);

	/* From a signal handler, then by fini. */
	terminal_restore();
	expect_termios(slave, &t);
	terminal_restore();
	chardev_fini(&f->cd);
	expect_termios(slave, &t);

	start(f, CHARDEV_STDIO);
	chardev_fini(&f->cd);
	expect_termios(slave, &t);
	/* fini left nothing behind for a late signal to undo. */
	t.c_lflag ^= ECHO;
	assert_int_equal(tcsetattr(slave, TCSANOW, &t), 0);
	terminal_restore();
	expect_termios(slave, &t);
	close(master);
	close(slave);
}

static void test_terminal_keys(void **state)
{
	struct fixture *f = *state;
	struct termios t;
	int master, slave;

	terminal_start(f, &master, &slave, &t);
	type(f, master, "\x03\x1a\r\x11\x13\x04");
	expect_input(f, "\x03\x1a\r\x11\x13\x04", 6);
	type(f, master, "\x01\x01");
	expect_input(f, "\x01", 1);
	/* Across two reads. */
	type(f, master, "\x01");
	expect_input(f, "", 0);
	type(f, master, "\x01x");
	expect_input(f, "\x01x", 2);
	type(f, master, "\x01q");
	expect_input(f, "\x01q", 2);
	assert_int_equal(f->m.end, END_NONE);
	close(master);
	close(slave);
}

static void test_terminal_quit(void **state)
{
	struct fixture *f = *state;
	struct termios t;
	int master, slave;

	terminal_start(f, &master, &slave, &t);
	type(f, master, "\x01");
	assert_int_equal(f->m.end, END_NONE);
	type(f, master, "x");
	assert_int_equal(f->m.end, END_KILLED);
	assert_int_equal(chardev_pending(&f->cd, &f->a.port), 0);
	close(master);
	close(slave);
}

/* Each held-back Ctrl-A makes two bytes of one: no overrun, no split pair. */
static void test_terminal_flood(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[CHARDEV_IN + 1];
	struct termios t;
	int master, slave, i;
	size_t n;

	terminal_start(f, &master, &slave, &t);
	for (i = 0; i < 3000; i++) {
		assert_int_equal(write(master, "\x01y", 2), 2);
		if (i % 50 == 0)
			pump(&f->m, 1);
		if (f->cd.in_paused)
			break;
	}
	pump(&f->m, 20);
	n = chardev_read(&f->cd, &f->a.port, buf, sizeof(buf));
	assert_true(n >= CHARDEV_IN - 2 && n <= CHARDEV_IN);
	for (i = 0; i + 1 < (int)n; i += 2) {
		assert_int_equal(buf[i], 1);
		assert_int_equal(buf[i + 1], 'y');
	}
	close(master);
	close(slave);
}

/* What a background job may do without being stopped. Returns exit status. */
static int background_job(struct fixture *f, int slave)
{
	struct termios before, after;

	if (tcgetattr(slave, &before) < 0 || dup2(slave, 0) < 0)
		return 2;
	if (chardev_init(&f->cd, &f->m, CHARDEV_STDIO, NULL) < 0)
		return 3;
	if (tcgetattr(slave, &after) < 0 || before.c_lflag != after.c_lflag)
		return 4;
	chardev_fini(&f->cd);
	return 0;
}

/* A shell of its own session, with the terminal, and a job behind it. */
static int session_leader(struct fixture *f, int slave)
{
	int status = 0;
	pid_t pid;

	if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
		return 10;
	pid = fork();
	if (pid == 0) {
		if (setpgid(0, 0) < 0)
			_exit(11);
		_exit(background_job(f, slave));
	}
	if (waitpid(pid, &status, WUNTRACED) != pid)
		return 12;
	if (WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		return 13;
	}
	return WEXITSTATUS(status);
}

static void test_terminal_background(void **state)
{
	int master, slave, status;
	pid_t pid;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	pid = fork();
	if (pid == 0)
		_exit(session_leader(*state, slave));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(master);
	close(slave);
}

static void test_terminal_hangup(void **state)
{
	struct fixture *f = *state;
	struct termios t;
	int master, slave;

	terminal_start(f, &master, &slave, &t);
	close(slave);
	close(master);
	pump(&f->m, 20);
	say(f, "hello?");
	assert_int_equal(pump(&f->m, 0), 0);
	assert_int_equal(f->m.end, END_NONE);
}

/* --- socket --------------------------------------------------------------------- */

static int client(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sa.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void expect_eof(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(fd, &c, 1), 0);
}

static void test_socket_talk(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int c, second;

	start(f, CHARDEV_SOCKET);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 077, 0);
	say(f, "lost, but harmless");

	c = client(f->path);
	pump(&f->m, 0);
	say(f, "login: ");
	expect_bytes(c, "login: ");
	assert_int_equal(write(c, "ro\x01xot", 6), 6);
	expect_input(f, "ro\x01xot", 6);

	second = client(f->path);
	pump(&f->m, 0);
	expect_bytes(second, "console is in use\r\n");
	expect_eof(second);
	close(second);
	say(f, "still yours");
	expect_bytes(c, "still yours");

	close(c);
	pump(&f->m, 0);
	say(f, "nobody");
	c = client(f->path);
	pump(&f->m, 0);
	say(f, "welcome");
	expect_bytes(c, "welcome");
	close(c);
	chardev_fini(&f->cd);
	assert_int_equal(access(f->path, F_OK), -1);
}

/* "echo halt | socat - UNIX:..." closes its half and still wants the answer. */
static void test_socket_half_close(void **state)
{
	struct fixture *f = *state;
	int c;

	start(f, CHARDEV_SOCKET);
	c = client(f->path);
	assert_int_equal(write(c, "halt\n", 5), 5);
	shutdown(c, SHUT_WR);
	expect_input(f, "halt\n", 5);
	assert_int_equal(pump(&f->m, 0), 0);
	say(f, "ok");
	expect_bytes(c, "ok");
	close(c);
	pump(&f->m, 0);
	c = client(f->path);
	pump(&f->m, 0);
	say(f, "next");
	expect_bytes(c, "next");
	close(c);
}

static void test_socket_full(void **state)
{
	static char chunk[65536];
	struct fixture *f = *state;
	uint64_t got = 0, sent = 0;
	char buf[4096];
	ssize_t n;
	int c;

	start(f, CHARDEV_SOCKET);
	c = client(f->path);
	pump(&f->m, 0);
	for (; sent < MIB(8); sent += sizeof(chunk))
		chardev_write(&f->cd, &f->a.port, chunk, sizeof(chunk));
	assert_true(f->cd.dropped > 0);
	fcntl(c, F_SETFL, O_NONBLOCK);
	while ((n = read(c, buf, sizeof(buf))) > 0)
		got += (uint64_t)n;
	assert_int_equal(got, sent - f->cd.dropped);
	say(f, "again");
	expect_bytes(c, "again");
	close(c);
}

/* A client that floods a guest that reads nothing, and leaves. */
static void test_socket_flood_and_leave(void **state)
{
	struct fixture *f = *state;
	char buf[8192];
	int c, next;

	memset(buf, 'f', sizeof(buf));
	start(f, CHARDEV_SOCKET);
	c = client(f->path);
	assert_int_equal(write(c, buf, sizeof(buf)), (ssize_t)sizeof(buf));
	pump(&f->m, 0);
	assert_true(f->cd.in_paused);
	close(c);
	pump(&f->m, 0);
	assert_int_equal(pump(&f->m, 0), 0);

	next = client(f->path);
	pump(&f->m, 0);
	say(f, "hi");
	expect_bytes(next, "hi");
	assert_int_equal(write(next, "N", 1), 1);
	while (chardev_read(&f->cd, &f->a.port, buf, 100))
		pump(&f->m, 0);
	assert_int_equal(buf[0] == 'N' || memchr(buf, 'N', 100) != NULL, 1);
	close(next);
}

/* The same, and the guest does read: nothing is lost. */
static void test_socket_leave_lossless(void **state)
{
	struct fixture *f = *state;
	char buf[8192];
	size_t total = 0, n;
	int c;

	memset(buf, 'f', sizeof(buf));
	start(f, CHARDEV_SOCKET);
	c = client(f->path);
	assert_int_equal(write(c, buf, sizeof(buf)), (ssize_t)sizeof(buf));
	close(c);
	while (pump(&f->m, 0), (n = chardev_read(&f->cd, &f->a.port, buf, 300)))
		total += n;
	assert_int_equal(total, sizeof(buf));
}

static void test_socket_gone_while_writing(void **state)
{
	struct fixture *f = *state;
	int c;

	start(f, CHARDEV_SOCKET);
	c = client(f->path);
	pump(&f->m, 0);
	close(c);
	say(f, "the write finds out first");
	say(f, "x");
	assert_int_equal(pump(&f->m, 0), 0);
	c = client(f->path);
	pump(&f->m, 0);
	say(f, "y");
	expect_bytes(c, "y");
	close(c);
}

static void test_socket_path_taken(void **state)
{
	struct fixture *f = *state;
	struct chardev other;
	struct stat st;
	char longer[200];
	int fd;

	start(f, CHARDEV_SOCKET);
	assert_int_equal(chardev_init(&other, &f->m, CHARDEV_SOCKET, f->path),
			 -EADDRINUSE);
	chardev_fini(&other);
	assert_int_equal(access(f->path, F_OK), 0);
	chardev_fini(&f->cd);

	fd = open(f->path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_int_equal(chardev_init(&f->cd, &f->m, CHARDEV_SOCKET, f->path),
			 -EADDRINUSE);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, 8);
	unlink(f->path);

	assert_int_equal(symlink("/nonexistent", f->path), 0);
	assert_int_equal(chardev_init(&f->cd, &f->m, CHARDEV_SOCKET, f->path),
			 -EADDRINUSE);
	assert_int_equal(lstat(f->path, &st), 0);

	memset(longer, 'a', sizeof(longer));
	longer[0] = '/';
	longer[199] = '\0';
	assert_int_equal(chardev_init(&f->cd, &f->m, CHARDEV_SOCKET, longer),
			 -ENAMETOOLONG);
	assert_int_equal(chardev_init(&f->cd, &f->m, CHARDEV_SOCKET, ""),
			 -EINVAL);
	assert_int_equal(chardev_init(&f->cd, &f->m, CHARDEV_SOCKET,
				      "/nonexistent/s"),
			 -ENOENT);
}

static void test_socket_stale(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), c;

	strcpy(sa.sun_path, f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd); /* its owner was killed */
	start(f, CHARDEV_SOCKET);
	c = client(f->path);
	pump(&f->m, 0);
	say(f, "new");
	expect_bytes(c, "new");
	close(c);

	/* Somebody else took the name: not ours to remove. */
	unlink(f->path);
	fd = open(f->path, O_RDWR | O_CREAT, 0600);
	close(fd);
	chardev_fini(&f->cd);
	assert_int_equal(access(f->path, F_OK), 0);
}

static void test_socket_relative(void **state)
{
	struct fixture *f = *state;
	int cwd = open(".", O_RDONLY | O_DIRECTORY), r;

	assert_int_equal(chdir(f->dir), 0);
	r = chardev_init(&f->cd, &f->m, CHARDEV_SOCKET, "c");
	assert_int_equal(fchdir(cwd), 0);
	close(cwd);
	assert_int_equal(r, 0);
	assert_int_equal(access(f->path, F_OK), 0);
	chardev_fini(&f->cd);
	assert_int_equal(access(f->path, F_OK), -1);
}

/* --- two ports ------------------------------------------------------------------- */

static void test_ports(void **state)
{
	struct fixture *f = *state;
	char buf[8];
	int in[2];

	assert_int_equal(pipe(in), 0);
	std_set(in[0], -1);
	start(f, CHARDEV_STDIO);
	assert_int_equal(write(in[1], "abc", 3), 3);
	pump(&f->m, 0);
	assert_int_equal(f->a.calls, 1);
	assert_int_equal(chardev_pending(&f->cd, &f->b.port), 0);
	assert_int_equal(chardev_read(&f->cd, &f->b.port, buf, 8), 0);
	assert_int_equal(chardev_read(&f->cd, &f->a.port, buf, 1), 1);

	/* The other one writes: what is left is his, and he is told. */
	chardev_write(&f->cd, &f->b.port, "#", 1);
	assert_int_equal(f->b.calls, 1);
	assert_int_equal(chardev_pending(&f->cd, &f->a.port), 0);
	assert_int_equal(chardev_read(&f->cd, &f->b.port, buf, 8), 2);
	assert_memory_equal(buf, "bc", 2);
	chardev_write(&f->cd, &f->b.port, "#", 1);
	assert_int_equal(f->b.calls, 1);
	close(in[0]);
	close(in[1]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zero_fini),
		T(test_null),
		T(test_file_appends),
		T(test_file_refused),
		T(test_file_full_disk),
		T(test_stdio_pipes),
		T(test_stdio_closed),
		T(test_stdio_dev_null),
		T(test_stdio_directory),
		T(test_stdio_file_input),
		T(test_stdio_file_output),
		T(test_stdio_reader_gone),
		T(test_stdio_slow_pipe),
		T(test_stdio_slow_socket),
		T(test_stdio_slow_terminal),
		T(test_stdio_slow_blocking),
		T(test_stdio_socket_input),
		T(test_stdio_back_pressure),
		T(test_terminal_raw_and_back),
		T(test_terminal_keys),
		T(test_terminal_quit),
		T(test_terminal_flood),
		T(test_terminal_background),
		T(test_terminal_hangup),
		T(test_socket_talk),
		T(test_socket_half_close),
		T(test_socket_full),
		T(test_socket_flood_and_leave),
		T(test_socket_leave_lossless),
		T(test_socket_gone_while_writing),
		T(test_socket_path_taken),
		T(test_socket_stale),
		T(test_socket_relative),
		T(test_ports),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
