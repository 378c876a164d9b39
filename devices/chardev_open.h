/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_DEVICES_CHARDEV_OPEN_H
#define CSVVMM_DEVICES_CHARDEV_OPEN_H

struct chardev;

/*
 * Half of chardev.c: how each kind gets its descriptors. They fill in_fd,
 * out_fd or listen_fd and the flags that describe them, and watch nothing.
 * On failure the caller closes what is open already.
 *
 * Return: 0 or -errno
 */
int chardev_open_stdio(struct chardev *cd);
int chardev_open_file(struct chardev *cd, const char *path);
int chardev_open_socket(struct chardev *cd, const char *path);

/* Remove the socket file if it still is ours. */
void chardev_remove_socket(struct chardev *cd);

#endif
