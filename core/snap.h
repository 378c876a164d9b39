/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_SNAP_H
#define CSVVMM_CORE_SNAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * State of devices as bytes, for another process that has opened the same
 * guest.toml. Integers are little-endian, nothing is padded. All of it:
 *
 *	count 2, then count items:
 *	name length 1, name, instance 2, version 4, length 4, bytes
 *
 * Each item is written by its device field by field. What is read comes from a
 * peer: each length is checked, each byte must be accounted for, and a device
 * takes no value that the guest could not have brought about itself.
 *
 * The order of a move; vm.lock held throughout, vCPUs stopped:
 *
 *	source	obstacle (long before), freeze, save, hold(LEAVING), then, when it
 *		runs over there, hold(NONE)
 *	target	(devices open, never run), load, hold(COMING), thaw, and hold(ALL)
 *		as soon as the source has let go
 *	on failure the target: hold(NONE); the source: hold(ALL), thaw
 *
 * A target loads after the state of the interrupt controllers, or thaws after
 * it: thaw fires interrupts.
 */

#define SNAP_ITEMS_MAX 128
#define SNAP_NAME_MAX  31u
#define SNAP_MAX       (256u << 10) /* bytes of all items, at most */
#define SNAP_ERROR_LEN 200

/**
 * struct snap_error - One line that names item and field
 */
struct snap_error {
	char text[SNAP_ERROR_LEN];
};

/* Writer: bytes that do not fit are counted, not stored. */
struct snap_w {
	uint8_t *buf;
	size_t cap, len;
	bool full;
};

/**
 * struct snap_r - Reader of one item
 * @error:	The first thing that was wrong (-errno); all later reads give 0
 * @who, @err:	Whose complaint it is, and where its words go
 */
struct snap_r {
	const uint8_t *buf;
	size_t len, off;
	int error;
	char who[SNAP_NAME_MAX + 8];
	struct snap_error *err;
};

/**
 * enum snap_hold - How much of what only one host may have
 * @SNAP_HOLD_LEAVING, @SNAP_HOLD_COMING: On its way each side has one part, so that
 *	no third one can have it in between
 */
enum snap_hold {
	SNAP_HOLD_NONE,
	SNAP_HOLD_LEAVING,
	SNAP_HOLD_COMING,
	SNAP_HOLD_ALL,
};

/**
 * struct snap_item - State of one kind of device; const
 * @name:	At most SNAP_NAME_MAX bytes; for messages, too
 * @version:	Of what @save writes; @load takes this and lower ones
 * @save:	Write the state; the device is frozen. NULL = there is none.
 *		Return: 0 or -errno
 * @load:	Read it into a device that was opened and never ran; after a
 *		failure the device is good for nothing but its end. What it does
 *		to guest memory and interrupts waits for @thaw. Return: 0, or
 *		what snap_bad() gave
 * @freeze:	Finish what was begun, begin nothing more: guest memory and the
 *		state stay as they are. Return: 0, or -errno and nothing changed
 * @thaw:	Go on, after a freeze or after a load
 * @hold:	Have so much of what only one host may have. Return: 0 or -errno
 * @obstacle:	Why this device can't be moved, in words, or NULL. @drop_links:
 *		the guest's connections may be lost
 * @size:	Bytes of what must be as large at the other host, before anything is
 *		moved
 *
 * All but @save may be NULL: nothing to do. All with vm.lock held.
 */
struct snap_item {
	const char *name;
	uint32_t version;
	int (*save)(const void *obj, struct snap_w *w);
	int (*load)(void *obj, struct snap_r *r, uint32_t version);
	int (*freeze)(void *obj);
	void (*thaw)(void *obj);
	int (*hold)(void *obj, enum snap_hold how);
	const char *(*obstacle)(const void *obj, bool drop_links);
	uint64_t (*size)(const void *obj);
};

struct snap_entry {
	const struct snap_item *item;
	const char *name;
	unsigned instance;
	void *obj;
};

/* All items of a machine, in the order of their devices' opening. */
struct snap {
	struct snap_entry entry[SNAP_ITEMS_MAX];
	unsigned n;
};

/**
 * snap_add() - A device was opened
 * @name:	Instead of item->name (not copied); NULL = that one
 *
 * Devices of one name are told apart by the order of their opening.
 *
 * Return: 0 or -ENOSPC
 */
int snap_add(struct snap *s, const struct snap_item *item, const char *name,
	     void *obj);
/* The device goes; ignored when it was never added. */
void snap_remove(struct snap *s, const struct snap_item *item, const void *obj);

/**
 * snap_save_all() / snap_load_all() - All items into bytes, and back
 * @ret_len:	Bytes written
 * @err:	On failure: what is wrong, in one line
 *
 * Return: 0; -ENOBUFS when @cap is too small (SNAP_MAX never is); -EPROTO when
 * the bytes are not what this machine's devices can take; -errno of a device
 */
int snap_save_all(const struct snap *s, void *buf, size_t cap, size_t *ret_len,
		  struct snap_error *err);
int snap_load_all(struct snap *s, const void *buf, size_t len,
		  struct snap_error *err);

/* Return: 0; or -errno of the first device that could not, and all are thawed
 * again. snap_thaw_all() also starts what was loaded. */
int snap_freeze_all(struct snap *s, struct snap_error *err);
void snap_thaw_all(struct snap *s);

/* Return: 0; or -errno of the first device that could not, and the ones before
 * have ALL again, of LEAVING, and NONE, of COMING, as far as they let themselves. */
int snap_hold_all(struct snap *s, enum snap_hold how, struct snap_error *err);

/* Can all devices be moved? Return: 0; -EOPNOTSUPP with the first obstacle. */
int snap_check_all(const struct snap *s, bool drop_links, struct snap_error *err);

/* Fields, least significant byte first. */
void snap_put8(struct snap_w *w, uint8_t v);
void snap_put16(struct snap_w *w, uint16_t v);
void snap_put32(struct snap_w *w, uint32_t v);
void snap_put64(struct snap_w *w, uint64_t v);
void snap_put_bytes(struct snap_w *w, const void *buf, size_t len);

/* @field names it in messages. Return: the value; 0 after an error. A bool is
 * 0 or 1. */
uint8_t snap_get8(struct snap_r *r, const char *field);
uint16_t snap_get16(struct snap_r *r, const char *field);
uint32_t snap_get32(struct snap_r *r, const char *field);
uint64_t snap_get64(struct snap_r *r, const char *field);
bool snap_get_bool(struct snap_r *r, const char *field);
/* @buf is all zero after an error. */
void snap_get_bytes(struct snap_r *r, const char *field, void *buf, size_t len);
/* A number from @min to @max. Return: it; @min after an error. */
uint32_t snap_get32_range(struct snap_r *r, const char *field, uint32_t min,
			  uint32_t max);

/**
 * snap_bad() - A field can't be taken
 * @fmt:	Why, without the names of item and field
 *
 * Only the first complaint about an item is kept.
 *
 * Return: -EPROTO, or the earlier error
 */
int snap_bad(struct snap_r *r, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
