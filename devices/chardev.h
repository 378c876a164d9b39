/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_CHARDEV_H
#define CSVVMM_DEVICES_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/loop.h"

struct machine;
struct chardev_port;

#define CHARDEV_PORTS	2
#define CHARDEV_IN	4096
#define CHARDEV_WAIT_MS 1000 /* longest wait for a reader of stdio */

/**
 * struct chardev_port - A guest device that reads and writes the console
 * @input_ready: Bytes wait (chardev_read() takes them). vm.lock held; may be
 *		called inside the port's own chardev_write()
 */
struct chardev_port {
	void (*input_ready)(struct chardev_port *port);
};

enum chardev_kind { CHARDEV_NULL, CHARDEV_STDIO, CHARDEV_FILE, CHARDEV_SOCKET };

/**
 * struct chardev - Where the serial port and the virtio console go
 *
 * Output of all ports is merged. Input goes to the port that wrote last
 * (the prompt one sees is the one that gets the answer), port 0 at first.
 * A slow or absent reader never blocks the VMM for long: stdio waits for its
 * reader up to CHARDEV_WAIT_MS, then drops until it reads again; a socket
 * that is full drops at once; a regular file blocks only as its disk does.
 * What is dropped is counted and logged.
 *
 * On a terminal "Ctrl-A x" ends the guest and "Ctrl-A Ctrl-A" sends one
 * Ctrl-A; other keys after Ctrl-A are sent after it. Input that is no terminal
 * is passed on as it is: a script's bytes are data.
 *
 * What was typed and not yet taken goes with a guest that moves to another host
 * (core/snap.h).
 *
 * All functions but init and fini need vm.lock.
 */
struct chardev {
	struct machine *m;
	enum chardev_kind kind;
	int in_fd, out_fd; /* our own, -1 = none; equal for a socket client */
	int listen_fd;
	struct source in_src, listen_src;
	struct chardev_port *port[CHARDEV_PORTS];
	unsigned n_ports;
	struct chardev_port *active;
	bool escape;	/* Ctrl-A was typed */
	bool raw;	/* terminal input; terminal_restore() undoes it */
	bool in_paused; /* buffer full: not reading in_fd */
	bool in_eof;	/* client sent its last byte, still takes ours */
	bool in_plain;	/* in_fd can't be watched: read when there is room */
	bool frozen;	/* ports are left alone, input stays where it is */
	bool in_sock, out_sock;
	bool out_blocking; /* a write() to out_fd may block */
	bool out_stalled;  /* reader did not read in time: no more waiting */
	bool out_failed;   /* the error was logged */
	unsigned wait_ms;  /* CHARDEV_WAIT_MS; tests have less patience */
	uint8_t in[CHARDEV_IN];
	size_t in_head, in_len;
	uint64_t dropped;	 /* bytes of output lost in all */
	uint64_t dropped_logged; /* ... that the log knows of */
	int sock_dir;		 /* where the socket file is, to remove it */
	char sock_name[108];
	dev_t sock_dev;
	ino_t sock_ino;
};

/**
 * chardev_init() - Open the backend; before the sandbox closes the door
 * @path:	File (created, appended) or unix socket (created, one client at a
 *		time); NULL otherwise
 *
 * Descriptors 0 and 1 may be anything, also closed. A socket file that
 * nobody listens on is replaced.
 *
 * Return: 0; -EADDRINUSE when @path is in use or is no socket; -errno
 */
int chardev_init(struct chardev *cd, struct machine *m, enum chardev_kind kind,
		 const char *path);
/* Closes, removes the socket file, restores the terminal. All-zero is fine. */
void chardev_fini(struct chardev *cd);

/* Size of the terminal at the other end. Return: false when there is none. */
bool chardev_winsize(const struct chardev *cd, uint16_t *ret_cols,
		     uint16_t *ret_rows);

void chardev_attach(struct chardev *cd, struct chardev_port *port);
void chardev_write(struct chardev *cd, struct chardev_port *port,
		   const void *buf, size_t len);
/* Bytes waiting for @port (0 unless it is the active one). */
size_t chardev_pending(const struct chardev *cd, const struct chardev_port *port);
/* Take up to @len of them; more may be pending afterwards without a new
 * input_ready(). */
size_t chardev_read(struct chardev *cd, struct chardev_port *port, void *buf,
		    size_t len);

#endif
