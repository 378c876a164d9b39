/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_CORE_BUS_H
#define CSVVMM_CORE_BUS_H

#include <stdint.h>

#define BUS_RANGES_MAX 128

/**
 * struct bus_ops - What a device does on port or memory-mapped access
 * @read:	Value of @len (1, 2, 4 or 8) bytes at @off from the range's start
 * @write:	Store @len bytes of @val at @off
 *
 * Called with vm.lock held. @off + @len is inside the range.
 */
struct bus_ops {
	uint64_t (*read)(void *obj, uint64_t off, unsigned len);
	void (*write)(void *obj, uint64_t off, unsigned len, uint64_t val);
};

struct bus_range {
	uint64_t base, size;
	const struct bus_ops *ops;
	void *obj;
	const char *name;
};

/**
 * struct bus - Address to device; one for ports, one for memory
 *
 * Used with vm.lock held, or before the vCPUs run. Sorted by base.
 */
struct bus {
	struct bus_range range[BUS_RANGES_MAX];
	unsigned n;
};

/**
 * bus_add() - Answer accesses to [base, base + size)
 * @name:	For messages; not copied
 *
 * Return: 0; -EEXIST when it overlaps another; -ENOSPC; -EINVAL on wrap-around
 */
int bus_add(struct bus *bus, uint64_t base, uint64_t size,
	    const struct bus_ops *ops, void *obj, const char *name);

/* Remove the range that starts at @base and belongs to @obj, if any. */
void bus_remove(struct bus *bus, uint64_t base, const void *obj);

/**
 * bus_read() / bus_write() - Do one access
 *
 * Nothing there, or an access across a range's end: reads give all ones,
 * writes are dropped, as on real hardware.
 *
 * Return: 0, or -ENXIO when no device answered
 */
int bus_read(const struct bus *bus, uint64_t addr, unsigned len,
	     uint64_t *ret_val);
int bus_write(const struct bus *bus, uint64_t addr, unsigned len, uint64_t val);

#endif
