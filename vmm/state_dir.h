/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_STATE_DIR_H
#define CSVVMM_VMM_STATE_DIR_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "vmm/config.h"

/*
 * The folder of control_state_dir() holds two files a guest: NAME.lock, whose
 * open-file-description lock lives exactly as long as the VMM, and NAME.sock.
 * NAME.wait is that of a receiver that waits for it (vmm/waiting.h).
 * Every function takes the folder's descriptor, so that neither a renamed
 * folder nor a path of any length matters.
 */

/* NAME plus one of the suffixes. */
#define STATE_FILE_MAX (CONFIG_NAME_MAX + sizeof(".sock"))

/* Letters, digits, '.', '_', '-'; not first a '.' or '-'; 63 at most. */
bool state_name_valid(const char *name);

/**
 * state_claim() - Become the one VMM of this name
 *
 * Writes the process id into the lock file, for humans.
 *
 * Return: descriptor to keep open; -EEXIST when NAME runs already; -EUCLEAN: the
 * last VMM of this name ended while it was in doubt where its guest runs; -errno
 */
int state_claim(int dirfd, const char *name);

/* Note beside the process id how far a migration got; for state_claim(), should
 * this VMM be killed. Return: 0 or -errno, also when it did not reach the disk */
int state_journal(int lock_fd, const char *phase);
/* Whatever the journal of a VMM that is gone says: forget it. Return: 0; -EEXIST:
 * NAME runs; -ENOENT: there is none; -errno */
int state_journal_forget(int dirfd, const char *name);

/**
 * state_release() - Remove the files of a claimed name
 * @lock_fd:	state_claim()'s descriptor, closed only after this
 *
 * A journal that says "in doubt" outlives its VMM, however that ends: the lock file
 * stays, for state_claim() and state_journal_forget(). Return: is it gone?
 */
bool state_release(int dirfd, int lock_fd, const char *name);

/* The same for a file of another suffix, without a word in it. state_claimed_file():
 * return: a descriptor of it while another process has it, -ENOENT, or -errno */
int state_claim_file(int dirfd, const char *name, const char *suffix);
int state_claimed_file(int dirfd, const char *name, const char *suffix);

/* Return: 1 when NAME runs, 0 when not, or -errno */
int state_running(int dirfd, const char *name);

/* Return: process id in NAME's lock file, or 0 when there is none */
pid_t state_pid(int dirfd, const char *name);

/**
 * state_signal() - Send a signal to the VMM of NAME
 *
 * To the process of state_pid(), if that has the lock file open: the number may
 * be from another PID namespace.
 *
 * Return: 0; -ESRCH: it is not that process; -errno
 */
int state_signal(int dirfd, const char *name, int sig);

/**
 * state_listen() - Listen on NAME.sock, in place of a stale one
 *
 * Only for who has claimed NAME. Return: descriptor or -errno
 */
int state_listen(int dirfd, const char *name);

/**
 * state_connect() - Connect to NAME.sock
 *
 * Return: non-blocking descriptor; -ENOENT when nobody listens; -EAGAIN when
 * too many wait to be accepted; -errno
 */
int state_connect(int dirfd, const char *name);

/**
 * state_names() - Names of all running guests, sorted
 * @suffix:	".lock"; of all whose file of that suffix is claimed
 * @ret_names:	malloc'ed array of malloc'ed strings; state_names_free()
 *
 * Return: how many, or -errno
 */
int state_names(int dirfd, const char *suffix, char ***ret_names);
void state_names_free(char **names, int n);

#endif
