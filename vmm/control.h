/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CONTROL_H
#define CSVVMM_VMM_CONTROL_H

struct control;
struct vm;

/*
 * One unix socket per guest: STATE/NAME.sock, where STATE is
 * $CSVVMM_STATE_DIR, or /run/csvvmm for root, or $XDG_RUNTIME_DIR/csvvmm.
 * One JSON object a line each way; docs/CONTROL.md.
 */

/**
 * control_open() - Claim the guest's name and listen; before the sandbox
 *
 * A lock file STATE/NAME.lock (OFD lock) says whether NAME is running, so a
 * stale socket of a killed VMM is replaced.
 *
 * Return: 0 with *ret_ctl; -EEXIST when NAME runs already; -errno. Logged.
 */
int control_open(struct vm *vm, struct control **ret_ctl);
void control_close(struct control *ctl);

/* Descriptor of the folder that holds the socket; stays the control's. */
int control_folder(const struct control *ctl);

/**
 * control_state_dir() - Folder of the sockets, created when missing (0700)
 *
 * Return: descriptor (O_PATH|O_DIRECTORY) or -errno; @ret_path, if not NULL,
 * gets a malloc'ed path
 */
int control_state_dir(char **ret_path);

/**
 * control_request() - The client's side: send one request, read one answer
 * @name:	Guest
 * @cmd:	"status", "pause", ...
 * @ret_line:	malloc'ed answer without the newline
 *
 * Return: 0; -ENOENT when no such guest runs; -ETIMEDOUT; -errno
 */
int control_request(const char *name, const char *cmd, char **ret_line);

#endif
