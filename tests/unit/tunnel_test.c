/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tunnel against itself, against OpenSSL's programs, and against strangers. */
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/util.h"
#include "migration/tunnel_impl.h"
#include "vmm/sandbox.h"

#define KEY	  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER	  "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define PATIENCE  60000 /* ms: an end to a test that hangs */
#define BRIEF	  300	/* ms: for who is expected to say nothing */
#define HELLO_PSK "-psk " KEY " -psk_identity csvvmm -tls1_3"

static char dir[64];
static char psk[128], other_psk[128], id_psk[128];
static int saved_stderr = -1, log_fd = -1;

static char *in_dir(const char *name)
{
	static char path[4][200];
	static unsigned n;
	char *p = path[n++ % 4];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void put_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
}

__attribute__((format(printf, 1, 2))) static void shell(const char *fmt, ...)
{
	char cmd[2000], all[2100];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	(void)snprintf(all, sizeof(all), "cd %s && { %s; } >>out 2>&1", dir, cmd);
	if (system(all) != 0)
		fail_msg("%s", all);
}

/* A folder as --tls wants it; @ca signs, SAN is @san, valid for @days. */
static void make_side(const char *name, const char *ca, const char *san, int days)
{
	shell("mkdir -p %s && cp %s.pem %s/ca.pem && "
	      "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
	      "-subj /CN=%s -keyout %s/key.pem -out %s.csr && "
	      "printf 'subjectAltName=%s' >%s.ext && "
	      "openssl x509 -req -in %s.csr -CA %s.pem -CAkey %s.key "
	      "-CAcreateserial -days %d -extfile %s.ext -out %s/cert.pem && "
	      "chmod 600 %s/key.pem",
	      name, ca, name, name, name, name, san, name, name, ca, ca, days,
	      name, name, name);
}

static int group_setup(void **state)
{
	const char *ca[] = { "ca", "other-ca" };
	unsigned i;

	(void)state;
	strcpy(dir, "/tmp/csvvmm-tunnel-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)signal(SIGPIPE, SIG_IGN);
	/* A helper whose parent dies is ours then. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	strcpy(psk, in_dir("psk"));
	strcpy(other_psk, in_dir("other-psk"));
	strcpy(id_psk, in_dir("id-psk"));
	put_file("psk", KEY "\n", 0600);
	put_file("other-psk", OTHER "\n", 0600);
	put_file("id-psk", "someone:" KEY "\n", 0640);
	for (i = 0; i < 2; i++)
		shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
		      "-nodes -days 30 -subj /CN=%s -keyout %s.key -out %s.pem",
		      ca[i], ca[i], ca[i]);
	make_side("a", "ca", "IP:127.0.0.1", 30);
	make_side("b", "ca", "DNS:b.example", 30);
	make_side("expired", "ca", "IP:127.0.0.1", -1);
	make_side("alien", "other-ca", "IP:127.0.0.1", 30);
	/* Believes in the right authority, shows the wrong one's. */
	shell("cp ca.pem alien/ca.pem");
	return 0;
}

static int group_teardown(void **state)
{
	char cmd[100];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

/* Log lines of helpers go to a file for the time of a test. */
static int setup(void **state)
{
	(void)state;
	log_fd = open(in_dir("log"),
		      O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	saved_stderr = fcntl(2, F_DUPFD_CLOEXEC, 100);
	return dup2(log_fd, 2) < 0;
}

static const char *log_text(void)
{
	static char text[20000];
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int teardown(void **state)
{
	(void)state;
	(void)dup2(saved_stderr, 2);
	(void)close(saved_stderr);
	(void)close(log_fd);
	return 0;
}

/* Wait for words in the log, behind its first @from bytes. */
static void log_says_after(size_t from, const char *words)
{
	int i;

	for (i = 0; i < PATIENCE / 20 && !strstr(log_text() + from, words); i++)
		(void)usleep(20000);
	if (strstr(log_text() + from, words))
		return;
	(void)dup2(saved_stderr, 2);
	fail_msg("\"%s\" is not in the log: %s", words, log_text() + from);
}

static void log_says(const char *words)
{
	log_says_after(0, words);
}

static unsigned lines_now(void)
{
	const char *p = log_text();
	unsigned n = 0;

	for (; *p; p++)
		n += *p == '\n';
	return n;
}

/* One line for each, and no more. */
static void log_lines(unsigned want)
{
	int i;

	for (i = 0; i < PATIENCE / 20 && lines_now() < want; i++)
		(void)usleep(20000);
	assert_int_equal(lines_now(), want);
}

static struct tunnel_conf conf_psk(enum tunnel_role role, const char *file)
{
	return (struct tunnel_conf){ .role = role,
				     .security = TUNNEL_PSK,
				     .host = "127.0.0.1",
				     .port = "0",
				     .psk_file = file };
}

static struct tunnel_conf conf_cert(enum tunnel_role role, const char *name)
{
	return (struct tunnel_conf){ .role = role,
				     .security = TUNNEL_CERTIFICATES,
				     .host = "127.0.0.1",
				     .port = "0",
				     .tls_dir = in_dir(name) };
}

static struct tunnel_conf conf_plain(enum tunnel_role role)
{
	return (struct tunnel_conf){ .role = role,
				     .security = TUNNEL_INSECURE,
				     .host = "127.0.0.1",
				     .port = "0" };
}

/* Who is slow here has a busy machine, unless the test says how long to wait. */
static struct tunnel_conf patient(const struct tunnel_conf *conf)
{
	struct tunnel_conf c = *conf;

	if (!c.wait_ms)
		c.wait_ms = PATIENCE;
	return c;
}

static struct tunnel open_ok(const struct tunnel_conf *conf)
{
	struct tunnel_conf c = patient(conf);
	struct tunnel_error err;
	struct tunnel t;

	if (tunnel_open(&c, &t, &err) < 0) {
		(void)dup2(saved_stderr, 2);
		fail_msg("%s", err.text);
	}
	return t;
}

static struct tunnel join(struct tunnel_conf *conf, uint16_t port)
{
	static char text[8];

	(void)snprintf(text, sizeof(text), "%u", port);
	conf->port = text;
	return open_ok(conf);
}

static void open_refused(const struct tunnel_conf *conf, uint16_t port,
			 const char *words)
{
	struct tunnel_conf c = patient(conf);
	struct tunnel_error err;
	struct tunnel t;
	char text[8];

	(void)snprintf(text, sizeof(text), "%u", port);
	if (port)
		c.port = text;
	assert_true(tunnel_open(&c, &t, &err) < 0);
	if (!strstr(err.text, words)) {
		(void)dup2(saved_stderr, 2);
		fail_msg("\"%s\" does not say \"%s\"", err.text, words);
	}
	assert_null(strchr(err.text, '\n'));
}

static void bytes_make(uint8_t *p, size_t len, unsigned seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)((i * 2654435761u + seed) >> 11);
}

/*
 * Both ways at once, each side writing and reading as it can: nobody who waits
 * for the other side to read may stop both.
 */
static void exchange(int a, int b, size_t len)
{
	uint8_t *out[2] = { malloc(len), malloc(len) };
	uint8_t *in[2] = { malloc(len), malloc(len) };
	size_t put[2] = { 0, 0 }, got[2] = { 0, 0 };
	int fd[2] = { a, b }, i;

	for (i = 0; i < 2; i++) {
		assert_non_null(out[i]);
		assert_non_null(in[i]);
		bytes_make(out[i], len, (unsigned)i);
	}
	while (got[0] < len || got[1] < len) {
		struct pollfd p[2];

		for (i = 0; i < 2; i++)
			p[i] = (struct pollfd){
				.fd = fd[i],
				.events = (short)((put[i] < len ? POLLOUT : 0) |
						  (got[i] < len ? POLLIN : 0))
			};
		assert_true(poll(p, 2, PATIENCE) > 0);
		for (i = 0; i < 2; i++) {
			ssize_t n = 0;

			if (p[i].revents & POLLOUT)
				n = send(fd[i], out[i] + put[i], len - put[i],
					 MSG_DONTWAIT | MSG_NOSIGNAL);
			assert_true(n >= 0 || errno == EAGAIN);
			put[i] += n > 0 ? (size_t)n : 0;
			n = 0;
			if (p[i].revents & POLLIN) {
				n = recv(fd[i], in[i] + got[i], len - got[i],
					 MSG_DONTWAIT);
				assert_true(n > 0);
			}
			got[i] += (size_t)n;
		}
	}
	assert_memory_equal(in[0], out[1], len);
	assert_memory_equal(in[1], out[0], len);
	for (i = 0; i < 2; i++) {
		free(out[i]);
		free(in[i]);
	}
}

static void expect_eof(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_int_equal(read(fd, &c, 1), 0);
}

static void expect_text(int fd, const char *text)
{
	char got[200] = { 0 };
	size_t n = 0;

	while (n < strlen(text)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		assert_int_equal(poll(&p, 1, PATIENCE), 1);
		r = read(fd, got + n, strlen(text) - n);
		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_string_equal(got, text);
}

/*
 * Both owners go. One helper alone would wait a while for the other side's end:
 * what is unread when it closes its socket would be lost.
 */
static void leave(struct tunnel *a, struct tunnel *b)
{
	util_close(&a->fd);
	util_close(&b->fd);
	assert_int_equal(tunnel_close(a), 0);
	assert_int_equal(tunnel_close(b), 0);
}

/* End one half after the other, and both helpers are content. */
static void part(struct tunnel *a, struct tunnel *b)
{
	assert_int_equal(write(a->fd, "last", 4), 4);
	assert_int_equal(shutdown(a->fd, SHUT_WR), 0);
	expect_text(b->fd, "last");
	expect_eof(b->fd);
	/* The other half still works. */
	assert_int_equal(write(b->fd, "words", 5), 5);
	expect_text(a->fd, "words");
	assert_int_equal(shutdown(b->fd, SHUT_WR), 0);
	expect_eof(a->fd);
	assert_int_equal(tunnel_close(a), 0);
	assert_int_equal(tunnel_close(b), 0);
	assert_string_equal(log_text(), "");
}

static void whole(struct tunnel_conf listen_conf, struct tunnel_conf join_conf)
{
	struct tunnel a = open_ok(&listen_conf), b;

	assert_true(a.port);
	b = join(&join_conf, a.port);
	exchange(a.fd, b.fd, 1);
	exchange(a.fd, b.fd, 3000001);
	part(&b, &a);
}

static void test_psk(void **state)
{
	(void)state;
	whole(conf_psk(TUNNEL_LISTEN, psk), conf_psk(TUNNEL_CONNECT, psk));
}

static void test_identity(void **state)
{
	(void)state;
	whole(conf_psk(TUNNEL_LISTEN, id_psk), conf_psk(TUNNEL_CONNECT, id_psk));
}

static void test_cert(void **state)
{
	(void)state;
	whole(conf_cert(TUNNEL_LISTEN, "a"), conf_cert(TUNNEL_CONNECT, "b"));
}

static void test_plain(void **state)
{
	(void)state;
	whole(conf_plain(TUNNEL_LISTEN), conf_plain(TUNNEL_CONNECT));
}

static void test_names(void **state)
{
	struct tunnel_conf a = conf_cert(TUNNEL_LISTEN, "b");
	struct tunnel_conf b = conf_cert(TUNNEL_CONNECT, "a");

	(void)state;
	a.peer_name = "127.0.0.1";
	b.peer_name = "b.example";
	whole(a, b);
}

static void test_rekey(void **state)
{
	struct tunnel_conf a = conf_psk(TUNNEL_LISTEN, psk);
	struct tunnel_conf b = conf_psk(TUNNEL_CONNECT, psk);

	(void)state;
	a.rekey_bytes = 10000;
	b.rekey_bytes = 70000;
	whole(a, b);
}

static unsigned count_fds(pid_t pid)
{
	char path[40];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		return 0;
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

/* One port for several, as a receiver does that is not impressed. */
static void test_next(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_LISTEN, psk), j, w;
	struct tunnel_error err;
	struct tunnel t, b;
	unsigned i, extra;
	uint16_t port;

	(void)state;
	c.listen_fd = tunnel_listen(&c, &port, &err);
	assert_true(c.listen_fd > 2);
	for (i = 0; i < 3; i++) {
		t = open_ok(&c);
		w = conf_psk(TUNNEL_CONNECT, other_psk);
		open_refused(&w, port, "it has another key");
		j = conf_psk(TUNNEL_CONNECT, psk);
		b = join(&j, port);
		assert_int_equal(tunnel_wait(&t, &err), 0);
		assert_int_equal(strncmp(err.text, "127.0.0.1:", 10), 0);
		assert_int_equal(t.report, -1);
		exchange(t.fd, b.fd, 1000);
		extra = count_fds(t.pid);
		assert_true(extra == 0 || extra == 5);
		leave(&b, &t);
	}
	/* Nobody comes: the helper is sent away. */
	t = open_ok(&c);
	assert_int_equal(kill(t.pid, SIGTERM), 0);
	assert_int_equal(tunnel_wait(&t, &err), -EINTR);
	assert_int_equal(tunnel_close(&t), -EPIPE);
	(void)close(c.listen_fd);
}

/* --- OpenSSL's programs as the other side --- */

struct program {
	pid_t pid;
	int in, out;
};

/* Run a shell command with our pipes. */
static struct program run(const char *cmd)
{
	struct program p;
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p.pid = fork();
	assert_true(p.pid >= 0);
	if (!p.pid) {
		(void)setpgid(0, 0);
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		if (chdir(dir) < 0 || !freopen("out", "a", stderr))
			_exit(126);
		(void)execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	(void)setpgid(p.pid, p.pid);
	(void)close(in[0]);
	(void)close(out[1]);
	p.in = in[1];
	p.out = out[0];
	return p;
}

static void stop(struct program *p)
{
	/* With its children. */
	(void)kill(-p->pid, SIGKILL);
	(void)waitpid(p->pid, NULL, 0);
	(void)close(p->in);
	(void)close(p->out);
}

static struct program s_client(uint16_t port, const char *opts)
{
	char cmd[600];

	(void)snprintf(cmd, sizeof(cmd),
		       "exec openssl s_client -connect 127.0.0.1:%u -quiet "
		       "-no_ign_eof %s",
		       port, opts);
	return run(cmd);
}

static uint16_t free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	(void)close(fd);
	return ntohs(sa.sin_port);
}

static int try_connect(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* Without a connection, which the program would serve. */
static void wait_listening(uint16_t port)
{
	char want[40], line[256];
	bool found = false;
	int i;

	(void)snprintf(want, sizeof(want), "0100007F:%04X 00000000:0000 0A",
		       port);
	for (i = 0; i < PATIENCE / 20 && !found; i++) {
		FILE *f = fopen("/proc/net/tcp", "re");

		assert_non_null(f);
		while (!found && fgets(line, sizeof(line), f))
			found = strstr(line, want) != NULL;
		(void)fclose(f);
		if (!found)
			(void)usleep(20000);
	}
	assert_true(found);
}

static struct program s_server(uint16_t *ret_port, const char *opts)
{
	struct program p;
	char cmd[600];

	*ret_port = free_port();
	(void)snprintf(cmd, sizeof(cmd),
		       "exec openssl s_server -accept 127.0.0.1:%u %s",
		       *ret_port, opts);
	p = run(cmd);
	wait_listening(*ret_port);
	return p;
}

static void test_s_client(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_LISTEN, psk);
	struct tunnel t = open_ok(&c);
	struct program p = s_client(t.port, HELLO_PSK);

	(void)state;
	expect_text(p.out, TUNNEL_READY);
	assert_int_equal(write(p.in, "from outside\n", 13), 13);
	expect_text(t.fd, "from outside\n");
	assert_int_equal(write(t.fd, "from inside\n", 12), 12);
	expect_text(p.out, "from inside\n");
	/* It closes properly. */
	(void)close(p.in);
	p.in = -1;
	expect_eof(t.fd);
	stop(&p);
	assert_int_equal(tunnel_close(&t), 0);
}

static void test_s_client_cert(void **state)
{
	struct tunnel_conf c = conf_cert(TUNNEL_LISTEN, "a");
	struct tunnel t = open_ok(&c);
	struct program p = s_client(
		t.port, "-CAfile ca.pem -verify_return_error -verify_ip 127.0.0.1 "
			"-cert b/cert.pem -key b/key.pem");

	(void)state;
	expect_text(p.out, TUNNEL_READY);
	assert_int_equal(write(p.in, "x", 1), 1);
	expect_text(t.fd, "x");
	stop(&p);
	/* Killed: nothing says that this was the end. */
	expect_eof(t.fd);
	assert_int_equal(tunnel_close(&t), -EPIPE);
	log_says("was cut: it ended without a word");
}

static void test_s_server(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_CONNECT, psk);
	struct program p;
	struct tunnel t;
	uint16_t port;

	(void)state;
	p = s_server(&port, "-quiet -nocert " HELLO_PSK);
	assert_int_equal(write(p.in, TUNNEL_READY "first", 21), 21);
	t = join(&c, port);
	expect_text(t.fd, "first");
	assert_int_equal(write(t.fd, "hello\n", 6), 6);
	expect_text(p.out, "hello\n");
	stop(&p);
	expect_eof(t.fd);
	(void)tunnel_close(&t);
}

/* --- strangers at the door --- */

static void send_raw(uint16_t port, const void *buf, size_t len)
{
	int fd = try_connect(port);
	char c;

	assert_true(fd >= 0);
	(void)send(fd, buf, len, MSG_NOSIGNAL);
	/* Until it hangs up. */
	while (recv(fd, &c, 1, 0) > 0)
		;
	(void)close(fd);
}

static void refuses(struct tunnel *t, const char *opts, const char *words)
{
	size_t before = strlen(log_text());
	struct program p = s_client(t->port, opts);

	log_says_after(before, words);
	stop(&p);
}

static void still_alone(const struct tunnel *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 0), 0);
}

static void test_strangers_psk(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_LISTEN, psk), j;
	struct tunnel t, b;

	(void)state;
	t = open_ok(&c);
	send_raw(t.port, "GET / HTTP/1.1\r\n\r\n", 18);
	log_says("refused: it speaks HTTP");
	send_raw(t.port, "\0\1\2\3\4\5\6\7\0\0\0\0\0\0\0\0", 16);
	log_says("refused: it does not speak TLS");
	send_raw(t.port, TUNNEL_HELLO, 16);
	/* An alert instead of a hello. */
	send_raw(t.port, "\x15\x03\x03\x00\x02\x02\x28", 7);
	log_says("refused: TLS: unexpected message");
	log_says("refused: it does not use TLS (--insecure)");
	refuses(&t, "-tls1_2", "refused: it has no TLS 1.3");
	refuses(&t, "-psk " OTHER " -psk_identity csvvmm -tls1_3",
		"refused: it has another key");
	refuses(&t, "-psk " KEY " -psk_identity nobody -tls1_3",
		"refused: it has no key, or one of another identity");
	/* A certificate instead of the key. */
	refuses(&t, "-tls1_3 -cert a/cert.pem -key a/key.pem",
		"refused: it has no key");
	still_alone(&t);
	log_lines(8);
	/* After all that the right one is let in. */
	j = conf_psk(TUNNEL_CONNECT, psk);
	b = join(&j, t.port);
	exchange(t.fd, b.fd, 1000);
	assert_int_equal(try_connect(t.port), -1);
	assert_int_equal(shutdown(t.fd, SHUT_WR), 0);
	leave(&b, &t);
}

static void test_strangers_cert(void **state)
{
	struct tunnel_conf c = conf_cert(TUNNEL_LISTEN, "a"), j;
	struct tunnel t, b;

	(void)state;
	c.peer_name = "127.0.0.1";
	t = open_ok(&c);
	refuses(&t, "-tls1_3", "refused: it shows no certificate");
	refuses(&t, "-tls1_3 -cert expired/cert.pem -key expired/key.pem",
		"refused: its certificate: certificate has expired");
	refuses(&t, "-tls1_3 -cert alien/cert.pem -key alien/key.pem",
		"refused: its certificate: unable to get local issuer");
	refuses(&t, "-tls1_3 -cert b/cert.pem -key b/key.pem",
		"refused: its certificate: IP address mismatch");
	refuses(&t, "-tls1_2 -cert a/cert.pem -key a/key.pem",
		"refused: it has no TLS 1.3");
	refuses(&t, HELLO_PSK, "refused: it shows no certificate");
	still_alone(&t);
	j = conf_cert(TUNNEL_CONNECT, "a");
	b = join(&j, t.port);
	exchange(t.fd, b.fd, 1000);
	leave(&b, &t);
}

static void test_strangers_plain(void **state)
{
	struct tunnel_conf c = conf_plain(TUNNEL_LISTEN), j;
	char other[] = TUNNEL_HELLO;
	struct tunnel t, b;
	unsigned i;

	(void)state;
	t = open_ok(&c);
	send_raw(t.port, "POST / HTTP/1.1\r\n", 17);
	log_says("refused: it speaks HTTP");
	refuses(&t, HELLO_PSK, "refused: it speaks TLS, and this side does not");
	for (i = 0; i < TUNNEL_HELLO_LEN; i++) {
		other[i] ^= 0x20;
		send_raw(t.port, other, TUNNEL_HELLO_LEN);
		other[i] ^= 0x20;
	}
	log_says("refused: it is no csvvmm of this version");
	still_alone(&t);
	j = conf_plain(TUNNEL_CONNECT);
	b = join(&j, t.port);
	exchange(t.fd, b.fd, 1000);
	leave(&b, &t);
}

/* A byte now and then is no reason to wait for ever. */
static void test_slow(void **state)
{
	static const char *const said[] = { "\x16\x03\x01\x02", TUNNEL_HELLO };
	struct tunnel_conf c[2] = { conf_psk(TUNNEL_LISTEN, psk),
				    conf_plain(TUNNEL_LISTEN) };
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		size_t before = strlen(log_text()), n = 0;
		struct tunnel t;
		int silent, slow;
		char byte;

		c[i].wait_ms = BRIEF;
		t = open_ok(&c[i]);
		silent = try_connect(t.port);
		slow = try_connect(t.port);
		while (recv(slow, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN) {
			if (said[i][n + 1])
				(void)send(slow, &said[i][n++], 1, MSG_NOSIGNAL);
			(void)usleep(BRIEF * 1000 / 10);
		}
		log_says_after(before,
			       "refused: it said too little for too long");
		log_lines(2 * (i + 1));
		still_alone(&t);
		(void)close(silent);
		(void)close(slow);
		assert_int_equal(tunnel_close(&t), -EPIPE);
	}
}

/* More who say nothing than there are places: the right one gets in. */
static void test_crowd(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_LISTEN, psk);
	struct tunnel_conf j = conf_psk(TUNNEL_CONNECT, psk);
	struct tunnel t = open_ok(&c), b;
	int fd[30];
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = try_connect(t.port);
	b = join(&j, t.port);
	exchange(t.fd, b.fd, 1000);
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		(void)close(fd[i]);
	leave(&b, &t);
}

/* --- strangers where we connect to --- */

static void test_wrong_server(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_CONNECT, psk);
	struct tunnel_conf d = conf_cert(TUNNEL_CONNECT, "b");
	static const struct {
		bool cert;
		const char *opts, *words;
	} t[] = {
		{ false, "-nocert -tls1_3 -psk " OTHER " -psk_identity csvvmm",
		  "it has another key" },
		{ false, "-nocert -tls1_3 -psk " KEY " -psk_identity x",
		  "it refuses our key or certificate" },
		{ false, "-cert a/cert.pem -key a/key.pem -tls1_2",
		  "it has no TLS 1.3" },
		/* A certificate of anybody's instead of the key. */
		{ false, "-cert a/cert.pem -key a/key.pem -tls1_3",
		  "it shows a certificate: --tls there, --psk here" },
		{ true, "-cert expired/cert.pem -key expired/key.pem",
		  "its certificate: certificate has expired" },
		{ true, "-cert alien/cert.pem -key alien/key.pem",
		  "its certificate: unable to get local issuer" },
		{ true, "-cert b/cert.pem -key b/key.pem",
		  "its certificate: IP address mismatch" },
		{ true, "-cert a/cert.pem -key a/key.pem -tls1_2",
		  "it has no TLS 1.3" },
		/* Does not believe in ours. */
		{ true,
		  "-cert a/cert.pem -key a/key.pem -CAfile other-ca.pem -Verify 1 -verify_return_error",
		  "it refuses us" },
		/* Lets us in and is not one of us. */
		{ true, "-cert a/cert.pem -key a/key.pem -www", "no answer" },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		uint16_t port;
		struct program p = s_server(&port, t[i].opts);

		/* Only the last one has nothing to say. */
		d.wait_ms = strstr(t[i].words, "no answer") ? BRIEF : 0;
		open_refused(t[i].cert ? &d : &c, port, t[i].words);
		stop(&p);
	}
}

/* A TCP server that says @text and nothing more. */
static struct program tcp_server(uint16_t *ret_port, const char *text)
{
	char cmd[200];
	struct program p;

	*ret_port = free_port();
	(void)snprintf(
		cmd, sizeof(cmd),
		"exec socat -t 60 TCP-LISTEN:%u,bind=127.0.0.1,fork,reuseaddr SYSTEM:\"printf '%s'; sleep 60\"",
		*ret_port, text);
	p = run(cmd);
	wait_listening(*ret_port);
	return p;
}

static void test_no_server(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_CONNECT, psk);
	struct tunnel_conf d = conf_plain(TUNNEL_CONNECT);
	struct program p;
	uint16_t port;

	(void)state;
	open_refused(&c, free_port(), "Connection refused");
	c.wait_ms = d.wait_ms = BRIEF;
	p = tcp_server(&port, "");
	open_refused(&c, port, "no answer");
	open_refused(&d, port, "no answer");
	stop(&p);
	c.wait_ms = d.wait_ms = 0;
	p = tcp_server(&port, "HTTP/1.1 400 Bad Request");
	open_refused(&c, port, "it speaks HTTP");
	open_refused(&d, port, "it speaks HTTP");
	stop(&p);
	p = tcp_server(&port, "SSH-2.0-OpenSSH_9.2");
	open_refused(&c, port, "it does not speak TLS");
	open_refused(&d, port, "it is no csvvmm");
	stop(&p);
	c.host = "host.invalid";
	open_refused(&c, 1, "host.invalid, port 1: ");
}

/* The two sides were started with different ideas. */
static void test_mismatch(void **state)
{
	struct tunnel_conf t = conf_psk(TUNNEL_LISTEN, psk);
	struct tunnel_conf p = conf_plain(TUNNEL_LISTEN);
	struct tunnel_conf c = conf_cert(TUNNEL_LISTEN, "a");
	struct tunnel a;

	(void)state;
	a = open_ok(&t);
	t = conf_plain(TUNNEL_CONNECT);
	open_refused(&t, a.port, "");
	log_says("refused: it does not use TLS (--insecure)");
	t = conf_cert(TUNNEL_CONNECT, "b");
	open_refused(&t, a.port, "it refuses our key or certificate");
	t = conf_psk(TUNNEL_CONNECT, other_psk);
	open_refused(&t, a.port, "it has another key");
	t = conf_psk(TUNNEL_CONNECT, id_psk);
	open_refused(&t, a.port, "it refuses our key or certificate");
	assert_int_equal(tunnel_close(&a), -EPIPE);
	a = open_ok(&p);
	open_refused(&t, a.port, "it hung up");
	assert_int_equal(tunnel_close(&a), -EPIPE);
	a = open_ok(&c);
	open_refused(&t, a.port, "");
	c = conf_cert(TUNNEL_CONNECT, "alien");
	open_refused(&c, a.port, "it refuses us: unknown CA");
	c = conf_cert(TUNNEL_CONNECT, "expired");
	open_refused(&c, a.port, "it refuses us: certificate expired");
	assert_int_equal(tunnel_close(&a), -EPIPE);
}

/* --- files --- */

static void test_psk_file(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "", "the key has 0 digits" },
		{ "\n", "the key has 0 digits" },
		{ "00112233445566778899aabbccddee\n", "the key has 30 digits" },
		{ KEY "0\n", "the key has 65 digits" },
		{ KEY KEY "00\n", "the key has 130 digits" },
		{ "g" KEY, "not hexadecimal at digit 1" },
		{ KEY "-----BEGIN", "not hexadecimal at digit 65" },
		{ KEY "\n" KEY "\n", "not hexadecimal at digit 65" },
		{ ":" KEY, "the identity must be" },
		{ "a b:" KEY, "the identity must be" },
		{ "x\n" KEY, "not hexadecimal" },
		{ "0123456789012345678901234567890123456789012345678901234567890123"
		  "4:" KEY,
		  "the identity must be" },
		{ "a:b:" KEY, "not hexadecimal at digit 2" },
		{ KEY KEY KEY KEY, "not one line" },
		{ "0000000000000000000000000000000000000000000000000000000000000000",
		  "same byte over and over" },
	};
	struct tunnel_error err = { "" };
	struct tunnel_tls tls = { .ctx = NULL };
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		put_file("bad", bad[i].text, 0600);
		assert_int_equal(tunnel_psk_load(&tls, in_dir("bad"), &err),
				 -EINVAL);
		if (!strstr(err.text, bad[i].words))
			fail_msg("\"%s\" does not say \"%s\"", err.text,
				 bad[i].words);
		/* Names the file, never shows the key. */
		assert_non_null(strstr(err.text, "/bad: "));
		assert_null(strstr(err.text, "2233"));
	}
	assert_int_equal(tunnel_psk_load(&tls, psk, &err), 0);
	assert_int_equal(tls.key_len, 32);
	assert_int_equal(tls.key[1], 0x11);
	assert_int_equal(tls.key[31], 0xff);
	assert_string_equal(tls.identity, "csvvmm");
	put_file("bad", "A-b_c.d@e9:" KEY KEY "\r\n", 0600);
	assert_int_equal(tunnel_psk_load(&tls, in_dir("bad"), &err), 0);
	assert_int_equal(tls.key_len, 64);
	assert_string_equal(tls.identity, "A-b_c.d@e9");

	assert_int_equal(tunnel_psk_load(&tls, in_dir("none"), &err), -ENOENT);
	assert_int_equal(tunnel_psk_load(&tls, dir, &err), -EINVAL);
	(void)mkfifo(in_dir("pipe"), 0600);
	assert_int_equal(tunnel_psk_load(&tls, in_dir("pipe"), &err), -EINVAL);
	assert_non_null(strstr(err.text, "not a regular file"));
	put_file("open", KEY, 0644);
	assert_int_equal(tunnel_psk_load(&tls, in_dir("open"), &err), -EPERM);
	assert_non_null(strstr(err.text, "chmod o="));
	put_file("open", KEY, 0602);
	assert_int_equal(tunnel_psk_load(&tls, in_dir("open"), &err), -EPERM);
}

static void test_tls_dir(void **state)
{
	struct tunnel_conf c = conf_cert(TUNNEL_LISTEN, "a");

	(void)state;
	c.tls_dir = in_dir("nowhere");
	open_refused(&c, 0, "nowhere/ca.pem: No such file");
	shell("cp -r a c && chmod 644 c/key.pem");
	c.tls_dir = in_dir("c");
	open_refused(&c, 0, "c/key.pem: others may read");
	shell("cp b/key.pem c/key.pem && chmod 600 c/key.pem");
	open_refused(&c, 0, "c/key.pem: key values mismatch");
	shell("echo hello >c/cert.pem");
	open_refused(&c, 0, "c/cert.pem: ");
	shell("rm c/cert.pem");
	open_refused(&c, 0, "c/cert.pem: No such file");
	shell("cp a/cert.pem c/ && echo x >c/ca.pem");
	open_refused(&c, 0, "c/ca.pem: ");
}

static void test_listen_errors(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_LISTEN, psk);
	struct tunnel t = open_ok(&c);

	(void)state;
	open_refused(&c, t.port, "Address already in use");
	assert_int_equal(tunnel_close(&t), -EPIPE);
	c.host = "192.0.2.1"; /* documentation's: nobody's */
	open_refused(&c, 0, "listening on 192.0.2.1");
}

static void test_address(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} good[] = {
		{ "host:1", "host", "1" },
		{ "10.0.0.1:49152", "10.0.0.1", "49152" },
		{ "[fe80::1]:7", "fe80::1", "7" },
		{ ":9", "", "9" },
		{ "[]:9", "", "9" },
		{ "a:65535", "a", "65535" },
		{ "a:x-y", "a", "x-y" },
	};
	static const char *const bad[] = {
		"",	 "host", "host:",   "a:b:c", "[::1:5",
		"::1:5", "[:5",	 "a:65536", "a:-1",  "a:+5"
	};
	char host[16], port[6];
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(tunnel_address(good[i].text, host, sizeof(host),
						port, sizeof(port)),
				 0);
		assert_string_equal(host, good[i].host);
		assert_string_equal(port, good[i].port);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(tunnel_address(bad[i], host, sizeof(host),
						port, sizeof(port)),
				 -EINVAL);
	assert_int_equal(tunnel_address("0123456789abcdef:1", host,
					sizeof(host), port, sizeof(port)),
			 -EINVAL);
	assert_int_equal(tunnel_address("a:123456", host, sizeof(host), port,
					sizeof(port)),
			 -EINVAL);
}

/* --- life and death --- */

static void test_backpressure(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_LISTEN, psk);
	struct tunnel_conf j = conf_psk(TUNNEL_CONNECT, psk);
	struct tunnel t = open_ok(&c), b = join(&j, t.port);
	static uint8_t buf[65536], got[65536], want[65536];
	size_t put = 0, n = 0;
	ssize_t r;

	(void)state;
	bytes_make(buf, sizeof(buf), 5);
	/* Nobody reads: it must stop somewhere. */
	for (;;) {
		struct pollfd p = { .fd = b.fd, .events = POLLOUT };

		if (poll(&p, 1, 500) <= 0)
			break;
		r = send(b.fd, buf + put % sizeof(buf),
			 sizeof(buf) - put % sizeof(buf), MSG_DONTWAIT);
		assert_true(r > 0 || errno == EAGAIN);
		put += r > 0 ? (size_t)r : 0;
		assert_true(put < MIB(64));
	}
	assert_int_equal(shutdown(b.fd, SHUT_WR), 0);
	while ((r = read(t.fd, got, sizeof(got))) > 0) {
		ssize_t i;

		for (i = 0; i < r; i++)
			want[i] = buf[(n + (size_t)i) % sizeof(buf)];
		assert_memory_equal(got, want, r);
		n += (size_t)r;
	}
	assert_int_equal(n, put);
	leave(&t, &b);
}

/* The owner says its last words and is gone with all its descriptors. */
static void test_owner_dies(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_LISTEN, psk);
	struct tunnel t = open_ok(&c);
	int status, report[2];
	pid_t helper;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		struct tunnel_conf j = conf_psk(TUNNEL_CONNECT, psk);
		struct tunnel_error err;
		struct tunnel b;
		char port[8];
		ssize_t n;

		(void)snprintf(port, sizeof(port), "%u", t.port);
		j.port = port;
		if (tunnel_open(&j, &b, &err) < 0)
			_exit(1);
		n = write(report[1], &b.pid, sizeof(b.pid));
		n += write(b.fd, "last words", 10);
		_exit(n != 10 + sizeof(b.pid));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(report[0], &helper, sizeof(helper)),
			 sizeof(helper));
	expect_text(t.fd, "last words");
	expect_eof(t.fd);
	assert_int_equal(tunnel_close(&t), 0);
	/* And the helper is content. */
	assert_int_equal(waitpid(helper, &status, 0), helper);
	assert_int_equal(status, 0);
	(void)close(report[0]);
	(void)close(report[1]);
}

/* Alone at the door, its parent dies. */
static void test_parent_dies(void **state)
{
	int status, report[2];
	pid_t helper, pid;
	char c;

	(void)state;
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		struct tunnel_conf conf = conf_plain(TUNNEL_LISTEN);
		struct tunnel_error err;
		struct tunnel b;

		(void)close(report[0]);
		if (tunnel_open(&conf, &b, &err) < 0 ||
		    write(report[1], &b.pid, sizeof(b.pid)) != sizeof(b.pid))
			_exit(1);
		(void)raise(SIGKILL);
	}
	(void)close(report[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(read(report[0], &helper, sizeof(helper)),
			 sizeof(helper));
	/* It had closed our pipe: this is the end of the child's copy. */
	assert_int_equal(read(report[0], &c, 1), 0);
	assert_int_equal(waitpid(helper, &status, 0), helper);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	(void)close(report[0]);
}

/* The other side never stops sending; the owner has had enough. */
static void test_owner_leaves(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_LISTEN, psk);
	struct tunnel_conf j = conf_psk(TUNNEL_CONNECT, psk);
	struct tunnel t = open_ok(&c), b = join(&j, t.port);
	static uint8_t buf[65536];
	int i;

	(void)state;
	for (i = 0; i < 4; i++)
		(void)send(b.fd, buf, sizeof(buf), MSG_DONTWAIT);
	assert_int_equal(write(t.fd, "no", 2), 2);
	util_close(&t.fd);
	/* What it said before arrives all the same. */
	expect_text(b.fd, "no");
	expect_eof(b.fd);
	while (send(b.fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	leave(&b, &t);
}

static bool status_has(pid_t pid, const char *line)
{
	char path[40], text[4096];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	return strstr(text, line) != NULL;
}

static int not_confined(void)
{
	return -EPERM;
}

static void test_rights(void **state)
{
	struct tunnel_conf c = conf_psk(TUNNEL_LISTEN, psk);
	struct tunnel_conf j = conf_psk(TUNNEL_CONNECT, psk);
	int extra[20];
	struct tunnel t, b;
	char path[64], link[2][64] = { "", "" };
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(extra); i++)
		extra[i] = open("/dev/null", O_RDONLY); /* not close-on-exec */
	c.confine = j.confine = sandbox_helper;
	t = open_ok(&c);
	b = join(&j, t.port);
	exchange(t.fd, b.fd, 100);
	/* Standard ones, the owner's stream, the connection. */
	if (count_fds(b.pid))
		assert_int_equal(count_fds(b.pid), 5);
	assert_true(status_has(b.pid, "NoNewPrivs:\t1"));
	assert_true(status_has(b.pid, "CapEff:\t0000000000000000"));
	assert_true(status_has(b.pid, "CapPrm:\t0000000000000000"));
	if (!CSVVMM_SANITIZED)
		assert_true(status_has(b.pid, "Seccomp:\t2"));
	/* Another network: no new connections, and the old one lives on. */
	for (i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/net",
			       (int)(i ? t.pid : getpid()));
		if (readlink(path, link[i], sizeof(link[i]) - 1) < 0)
			break;
	}
	if (i == 2 && geteuid() == 0)
		assert_string_not_equal(link[0], link[1]);
	leave(&t, &b);
	c.confine = not_confined;
	open_refused(&c, 0, "giving up rights: Operation not permitted");
	for (i = 0; i < ARRAY_SIZE(extra); i++)
		(void)close(extra[i]);
}

/* Its owner has no standard descriptors: nobody's bytes become log lines. */
static void test_no_stdio(void **state)
{
	int saved[3], i;
	struct tunnel_conf c = conf_psk(TUNNEL_LISTEN, psk);
	struct tunnel_conf j = conf_psk(TUNNEL_CONNECT, psk);
	struct tunnel_error err;
	struct tunnel t, b;
	char port[8];
	int r;

	(void)state;
	for (i = 0; i < 3; i++) {
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
		(void)close(i);
	}
	r = tunnel_open(&c, &t, &err);
	(void)snprintf(port, sizeof(port), "%u", t.port);
	j.port = port;
	r |= tunnel_open(&j, &b, &err);
	for (i = 0; i < 3; i++) {
		int fd = fcntl(i, F_DUPFD_CLOEXEC, 200);

		if (i == t.fd)
			t.fd = fd;
		else if (i == b.fd)
			b.fd = fd;
		else if (fd >= 0)
			(void)close(fd);
		(void)dup2(saved[i], i);
		(void)close(saved[i]);
	}
	assert_int_equal(r, 0);
	exchange(t.fd, b.fd, 100000);
	leave(&t, &b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_psk),
		T(test_identity),
		T(test_cert),
		T(test_plain),
		T(test_names),
		T(test_rekey),
		T(test_next),
		T(test_s_client),
		T(test_s_client_cert),
		T(test_s_server),
		T(test_strangers_psk),
		T(test_strangers_cert),
		T(test_strangers_plain),
		T(test_slow),
		T(test_crowd),
		T(test_wrong_server),
		T(test_no_server),
		T(test_mismatch),
		T(test_psk_file),
		T(test_tls_dir),
		T(test_listen_errors),
		T(test_address),
		T(test_backpressure),
		T(test_owner_dies),
		T(test_parent_dies),
		T(test_owner_leaves),
		T(test_rights),
		T(test_no_stdio),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
