/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CONTROL_H
#define CSVVMM_VMM_CONTROL_H

struct config;
struct control;
struct vm;

/*
 * One unix socket per guest: STATE/NAME.sock, where STATE is
 * $CSVVMM_STATE_DIR, or /run/csvvmm for root, or $XDG_RUNTIME_DIR/csvvmm.
 * One JSON object a line each way; docs/CONTROL.md.
 */

/* Bytes of a secret that fit into a request, as base64. */
#define CONTROL_SECRET_MAX 2048

/**
 * control_claim() - Make the guest's name ours: the first step of a start, so
 * that a second one fails before it touches anything
 *
 * A lock file STATE/NAME.lock (OFD lock) says whether NAME is running, so what
 * a killed VMM left behind is replaced.
 *
 * Return: 0 with *ret_ctl; -EEXIST when NAME runs already; -errno. Logged.
 */
int control_claim(const struct config *cfg, struct control **ret_ctl);

/* Give it back, as the last step of an end: whoever gets it next may open the
 * same disks at once. NULL is fine. */
void control_release(struct control *ctl);

/* Serve @vm on the socket; before the sandbox. Return: 0 or -errno. Logged. */
int control_listen(struct control *ctl, struct vm *vm);
/* Before vm_fini(). Fine without control_listen(), too. */
void control_unlisten(struct control *ctl);

/* state_journal() of the guest's name; nothing when @ctl is NULL. */
int control_journal(struct control *ctl, const char *phase);

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
 * @request:	One JSON object in one line, without the newline
 * @ret_line:	malloc'ed answer without the newline
 *
 * Return: 0; -ENOENT when no such guest runs; -EINPROGRESS: it is being launched,
 * or ends; -ETIMEDOUT; -errno
 */
int control_request(const char *name, const char *request, char **ret_line);

/* The same, with at most CONTROL_FDS_MAX descriptors for the VMM, which gets
 * copies. */
#define CONTROL_FDS_MAX 4
int control_request_fds(const char *name, const char *request, const int *fds,
			unsigned n_fds, char **ret_line);

#endif
