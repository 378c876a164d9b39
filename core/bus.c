/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/bus.h"

#include <errno.h>
#include <string.h>

#include "core/util.h"

/* Index of the first range that ends after @addr. */
static unsigned bus_lower(const struct bus *bus, uint64_t addr)
{
	unsigned lo = 0, hi = bus->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (bus->range[mid].base + (bus->range[mid].size - 1) < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int bus_add(struct bus *bus, uint64_t base, uint64_t size,
	    const struct bus_ops *ops, void *obj, const char *name)
{
	unsigned i;

	if (!size || base + (size - 1) < base)
		return -EINVAL;
	if (bus->n == BUS_RANGES_MAX)
		return -ENOSPC;
	i = bus_lower(bus, base);
	if (i < bus->n && bus->range[i].base <= base + (size - 1))
		return -EEXIST;
	memmove(&bus->range[i + 1], &bus->range[i],
		(bus->n - i) * sizeof(bus->range[0]));
	bus->range[i] = (struct bus_range){
		.base = base, .size = size, .ops = ops, .obj = obj, .name = name
	};
	bus->n++;
	return 0;
}

void bus_remove(struct bus *bus, uint64_t base, const void *obj)
{
	unsigned i = bus_lower(bus, base);

	if (i == bus->n || bus->range[i].base != base || bus->range[i].obj != obj)
		return;
	bus->n--;
	memmove(&bus->range[i], &bus->range[i + 1],
		(bus->n - i) * sizeof(bus->range[0]));
}

static const struct bus_range *bus_find(const struct bus *bus, uint64_t addr,
					unsigned len)
{
	unsigned i = bus_lower(bus, addr);

	if (i == bus->n ||
	    !range_inside(addr, len, bus->range[i].base, bus->range[i].size))
		return NULL;
	return &bus->range[i];
}

static uint64_t len_mask(unsigned len)
{
	return len >= 8 ? UINT64_MAX : BIT(8 * len) - 1;
}

int bus_read(const struct bus *bus, uint64_t addr, unsigned len, uint64_t *ret_val)
{
	const struct bus_range *r = bus_find(bus, addr, len);

	if (!r) {
		*ret_val = len_mask(len);
		return -ENXIO;
	}
	*ret_val = r->ops->read(r->obj, addr - r->base, len) & len_mask(len);
	return 0;
}

int bus_write(const struct bus *bus, uint64_t addr, unsigned len, uint64_t val)
{
	const struct bus_range *r = bus_find(bus, addr, len);

	if (!r)
		return -ENXIO;
	r->ops->write(r->obj, addr - r->base, len, val & len_mask(len));
	return 0;
}
