/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The only way of a command to memory. */
#include <errno.h>

#include "psp/internal.h"

static uint64_t cbit(const struct psp *p)
{
	return p->cfg.cbit ? 1ULL << p->cfg.cbit : 0;
}

uint64_t psp_pa(const struct psp *p, uint64_t address)
{
	return address & ~cbit(p);
}

/* With no C-bit at all every address has it. */
bool psp_has_cbit(const struct psp *p, uint64_t address)
{
	return !cbit(p) || (address & cbit(p));
}

static bool allowed(const struct psp *p, uint64_t pa, uint64_t len)
{
	if (pa + len < pa)
		return false;
	/* The trusted region is the firmware's own. Of its length only the
	 * first MiB is reserved, as the firmware uses no more. */
	return !p->es || pa + len <= p->tmr || pa >= p->tmr + PSP_TMR_SIZE;
}

int psp_mem_read(struct psp *p, uint64_t address, void *buf, size_t len)
{
	uint64_t pa = psp_pa(p, address);

	return allowed(p, pa, len) ? p->ops.read(p->ctx, pa, buf, len) : -EFAULT;
}

int psp_mem_write(struct psp *p, uint64_t address, const void *buf, size_t len)
{
	uint64_t pa = psp_pa(p, address);

	return allowed(p, pa, len) ? p->ops.write(p->ctx, pa, buf, len) : -EFAULT;
}

int psp_mem_probe(struct psp *p, uint64_t address, uint64_t len)
{
	uint64_t pa = psp_pa(p, address), at;
	uint8_t b;

	if (!len || pa + len < pa)
		return -EFAULT;
	for (at = pa; at < pa + len; at = (at | (PSP_PAGE - 1)) + 1)
		if (psp_mem_read(p, at, &b, 1) < 0)
			return -EFAULT;
	return psp_mem_read(p, pa + len - 1, &b, 1);
}

int psp_guest_read(struct psp *p, const struct psp_guest *g, uint64_t address,
		   void *buf, size_t len)
{
	uint64_t pa = psp_pa(p, address);

	if (!allowed(p, pa, len))
		return -EFAULT;
	p->stats.bytes_crypted += len;
	return p->ops.guest_read(p->ctx, g->asid, g->vek, pa, buf, len);
}

int psp_guest_write(struct psp *p, const struct psp_guest *g, uint64_t address,
		    const void *buf, size_t len)
{
	uint64_t pa = psp_pa(p, address);

	if (!allowed(p, pa, len))
		return -EFAULT;
	p->stats.bytes_crypted += len;
	return p->ops.guest_write(p->ctx, g->asid, g->vek, pa, buf, len);
}

uint16_t psp_vmsa_made(struct psp *p, const struct psp_guest *g, uint64_t address)
{
	if (p->ops.vmsa_made &&
	    p->ops.vmsa_made(p->ctx, g->asid, g->vek, psp_pa(p, address)) < 0)
		return PSP_RET_INVALID_ADDRESS;
	return PSP_RET_SUCCESS;
}
