/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What reaches standard error, and that a stuck reader stops nobody. */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"

static int stderr_saved, reader;
static char text[1 << 20];
static size_t text_len;
static time_t now_s = 1000;

/* The rate limit's clock. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = (struct timespec){ .tv_sec = now_s };
	return 0;
}

/* Standard error is a pipe; a log that blocks ends the program. */
static int setup(void **state)
{
	int fd[2];

	(void)state;
	if (pipe2(fd, O_CLOEXEC) < 0 || fcntl(fd[1], F_SETPIPE_SZ, 65536) < 0)
		return -1;
	reader = fd[0];
	(void)fcntl(reader, F_SETFL, O_NONBLOCK);
	stderr_saved = dup(STDERR_FILENO);
	(void)dup2(fd[1], STDERR_FILENO);
	(void)close(fd[1]);
	text_len = 0;
	text[0] = 0;
	(void)alarm(60);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)alarm(0);
	(void)dup2(stderr_saved, STDERR_FILENO);
	(void)close(stderr_saved);
	(void)close(reader);
	log_set_level(LOG_INFO);
	log_set_name("csvvmm");
	return 0;
}

/* Add what there is to text[]. */
static void collect(void)
{
	ssize_t n;

	while ((n = read(reader, text + text_len, sizeof(text) - 1 - text_len)) >
	       0)
		text_len += (size_t)n;
	text[text_len] = 0;
}

static const char *logged(void)
{
	text_len = 0;
	collect();
	return text;
}

static unsigned lines(const char *s)
{
	unsigned n = 0;

	while ((s = strchr(s, '\n'))) {
		s++;
		n++;
	}
	return n;
}

static void test_format(void **state)
{
	char last[64];

	(void)state;
	log_info("up %d", 1);
	assert_string_equal(logged(), "csvvmm: up 1\n");
	log_warn("w");
	log_err("e");
	assert_string_equal(logged(), "csvvmm: warning: w\ncsvvmm: error: e\n");
	assert_int_equal(log_errno(-ENOENT, "open %s", "x"), -ENOENT);
	assert_string_equal(
		logged(), "csvvmm: error: open x: No such file or directory\n");
	log_last_error(last, sizeof(last));
	assert_string_equal(last, "open x: No such file or directory");
	log_warn("w");
	(void)logged();
	log_last_error(last, 7);
	assert_string_equal(last, "open x");
	log_debug("d");
	assert_string_equal(logged(), "");
	log_set_level(LOG_DEBUG);
	log_set_name("other");
	log_debug("d");
	assert_string_equal(logged(), "other: debug: d\n");
	log_set_level(LOG_ERROR);
	log_warn("w");
	assert_string_equal(logged(), "");
}

/* What a guest or a file name holds does not drive the terminal. */
static void test_control_bytes(void **state)
{
	char all[34];
	unsigned i;

	(void)state;
	log_info("a\x1b[2J\r\n\tb\x7f\xc3\xa4");
	assert_string_equal(logged(), "csvvmm: a?[2J???b?\xc3\xa4\n");
	/* C1 (CSI as one character), and a change of the writing direction. */
	log_info("a\xc2\x9b"
		 "5m\xe2\x80\xae"
		 "b\xe2\x80\x94\xe2\x82\xac");
	assert_string_equal(logged(), "csvvmm: a??5m???b\xe2\x80\x94"
				      "\xe2\x82\xac\n");
	for (i = 0; i < 31; i++)
		all[i] = (char)(i + 1);
	all[31] = 0;
	log_set_name("\x1b]0;t\a");
	log_errno(-EIO, "%s", all);
	assert_string_equal(logged(), "?]0;t?: error: ???????????????????????"
				      "????????: Input/output error\n");
}

static void test_truncation(void **state)
{
	static char longer[3000];
	const char *got;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	log_info("%s", longer);
	got = logged();
	assert_int_equal(strlen(got), 1024);
	assert_memory_equal(got, "csvvmm: xx", 10);
	assert_memory_equal(got + 1020, "xxx\n", 4);
	log_errno(-EIO, "%s", longer);
	got = logged();
	assert_int_equal(strlen(got), 1024);
	assert_int_equal(lines(got), 1);
	log_errno(-EIO, "%.990s", longer);
	got = logged();
	assert_int_equal(strlen(got), 1024);
	assert_non_null(strstr(got, "x: Input/out"));
	log_set_name(longer);
	log_err("y");
	got = logged();
	assert_int_equal(strlen(got), 1024);
	assert_int_equal(lines(got), 1);
}

static unsigned guest_logs(unsigned n)
{
	unsigned i, got = 0;

	for (i = 0; i < n; i++) {
		log_guest("guest %u", i);
		got += lines(logged());
	}
	return got;
}

static void test_guest_rate(void **state)
{
	uint64_t before = log_guest_dropped();

	(void)state;
	log_guest("bad %s", "ring");
	assert_string_equal(logged(), "csvvmm: warning: bad ring\n");
	assert_int_equal(guest_logs(100), LOG_GUEST_BURST - 1);
	assert_int_equal(log_guest_dropped() - before, 101 - LOG_GUEST_BURST);
	now_s += 3;
	assert_int_equal(guest_logs(100), 3 * LOG_GUEST_RATE);
	now_s += 100000;
	assert_int_equal(guest_logs(100), LOG_GUEST_BURST);
	/* The VMM's own lines are not limited. */
	log_info("x");
	assert_int_equal(lines(logged()), 1);
}

/* Nobody reads: lines are left out whole and counted, then told. */
static void test_full_pipe(void **state)
{
	unsigned i, through, lost = 0;
	const char *said;

	(void)state;
	for (i = 0; i < 10000; i++)
		log_info("line %u", i);
	collect();
	through = lines(text);
	assert_in_range(through, 1, 9999);
	assert_int_equal(text[text_len - 1], '\n');
	text_len = 0;
	log_info("again");
	log_info("and again");
	collect();
	assert_int_equal(lines(text), 3);
	said = strstr(text, "csvvmm: ");
	assert_non_null(said);
	lost = (unsigned)strtoul(said + 8, NULL, 10);
	assert_int_equal(lost, 10000 - through);
	assert_non_null(strstr(text, "lost: nobody read them\n"
				     "csvvmm: again\ncsvvmm: and again\n"));
}

/* A reader that is gone for good. */
static void test_closed_pipe(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)close(reader);
	log_info("x");
	log_info("y");
	reader = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* A terminal that is stopped or whose other side does not read. The last test,
 * since log_open() is for good. */
static void test_stuck_terminal(void **state)
{
	struct pollfd p = { .events = POLLIN };
	unsigned i;
	int tty;

	(void)state;
	(void)close(reader);
	reader = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (reader < 0 || grantpt(reader) < 0 || unlockpt(reader) < 0)
		skip();
	tty = open(ptsname(reader), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0)
		skip();
	(void)dup2(tty, STDERR_FILENO);
	(void)close(tty);
	log_open();
	for (i = 0; i < 100000; i++)
		log_info("line %u", i);
	/* Others who have this terminal still wait. */
	assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
	/* It takes a while for the terminal to have room again. */
	p.fd = reader;
	for (i = 0; !strstr(text, "\r\ncsvvmm: end\r\n"); i++) {
		assert_true(i < 1000 && text_len < sizeof(text) / 2);
		(void)poll(&p, 1, 50);
		collect();
		log_info("end");
	}
	assert_non_null(strstr(text, "lost: nobody read them\r\n"));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_format),		T(test_control_bytes),
		T(test_truncation),	T(test_guest_rate),
		T(test_full_pipe),	T(test_closed_pipe),
		T(test_stuck_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
