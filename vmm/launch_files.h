/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_LAUNCH_FILES_H
#define CSVVMM_VMM_LAUNCH_FILES_H

#include <stddef.h>
#include <stdint.h>

struct launch;
struct launch_blob;

struct blob_error {
	char text[128];
};

/* As blob_read(), with @why in words instead of the log. */
int blob_load(const char *path, uint32_t want, uint32_t max,
	      struct launch_blob *ret_b, struct blob_error *why);

/**
 * blob_read() - A small file of the owner's: bytes, or their base64 text
 * @what:	For the message
 * @want:	Its size in bytes, or 0: 16 to @max
 *
 * Return: 0, or -errno, logged
 */
int blob_read(const char *what, const char *path, uint32_t want, uint32_t max,
	      struct launch_blob *ret_b);

/* A regular file of 1 to @max bytes as it is. Return: 0, or -errno, logged */
int file_read(const char *what, const char *path, uint32_t max,
	      struct launch_blob *ret_b);

/* The files that [csv] names. Return: 0 or -errno, logged */
int launch_read_files(struct launch *l);

#endif
