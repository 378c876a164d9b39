/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The migration's helper processes over loopback: MB/s of page-like bytes one
 * way, and what the two helpers cost, with TLS and without.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/util.h"
#include "migration/tunnel.h"

#define TOTAL MIB(1024)
#define CHUNK MIB(1)

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double seconds(const struct timeval *tv)
{
	return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

/* Return: processor seconds of a helper that has ended */
static double reap(pid_t pid)
{
	struct rusage ru;

	if (wait4(pid, NULL, 0, &ru) != pid)
		return 0;
	return seconds(&ru.ru_utime) + seconds(&ru.ru_stime);
}

static void feed(int fd, const uint8_t *buf)
{
	uint64_t left = TOTAL;

	while (left) {
		ssize_t n = write(fd, buf, MIN(left, CHUNK));

		if (n <= 0)
			_exit(1);
		left -= (uint64_t)n;
	}
	_exit(0);
}

static int go(const char *name, enum tunnel_security security, const char *psk)
{
	struct tunnel_conf a = { .role = TUNNEL_LISTEN,
				 .security = security,
				 .host = "127.0.0.1",
				 .port = "0",
				 .psk_file = psk };
	struct tunnel_conf b = a;
	static uint8_t buf[CHUNK], sink[CHUNK];
	struct tunnel to, from;
	struct tunnel_error err;
	uint64_t got = 0;
	double start, took, cpu_to, cpu_from;
	char port[8];
	pid_t feeder;
	ssize_t n;
	size_t i;

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)((i * 2654435761u) >> 13);
	if (tunnel_open(&a, &to, &err) < 0)
		goto fail;
	(void)snprintf(port, sizeof(port), "%u", to.port);
	b.role = TUNNEL_CONNECT;
	b.port = port;
	if (tunnel_open(&b, &from, &err) < 0)
		goto fail;
	start = now();
	feeder = fork();
	if (!feeder)
		feed(from.fd, buf);
	while (got < TOTAL && (n = read(to.fd, sink, sizeof(sink))) > 0)
		got += (uint64_t)n;
	took = now() - start;
	(void)waitpid(feeder, NULL, 0);
	(void)close(from.fd);
	(void)close(to.fd);
	cpu_from = reap(from.pid);
	cpu_to = reap(to.pid);
	if (got != TOTAL) {
		(void)fprintf(stderr, "%s: only %llu bytes came\n", name,
			      (unsigned long long)got);
		return 1;
	}
	printf("%s %.0f %.2f %.2f\n", name, (double)TOTAL / took / 1e6,
	       cpu_from / ((double)TOTAL / 1e9), cpu_to / ((double)TOTAL / 1e9));
	return 0;
fail:
	(void)fprintf(stderr, "%s: %s\n", name, err.text);
	return 1;
}

int main(void)
{
	char psk[] = "/tmp/csvvmm-bench-psk-XXXXXX";
	int fd = mkstemp(psk), r;

	if (fd < 0 || dprintf(fd, "00112233445566778899aabbccddeeff"
				  "ffeeddccbbaa99887766554433221100\n") < 0)
		return 1;
	(void)close(fd);
	r = go("insecure", TUNNEL_INSECURE, NULL) | go("tls", TUNNEL_PSK, psk);
	(void)unlink(psk);
	return r;
}
