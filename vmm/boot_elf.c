/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ELF kernel: Linux's vmlinux, whose entry is the physical address of its
 * 64-bit start, or one of our own test guests.
 *
 * DOC: Theory of operation
 *
 * The file may be hostile. libelf gets a copy of the file's first 64 KiB with
 * the section header fields cleared: it then allocates nothing by the file's
 * word, maps nothing that could be truncated under it, and makes no system
 * call. What it hands back are values; each is checked here.
 */
#include "vmm/boot_internal.h"

#include <errno.h>
#include <libelf.h>
#include <string.h>

#include "core/util.h"

/* COMMAND_LINE_SIZE of x86 without the zero; vmlinux doesn't tell. */
#define ELF_CMDLINE_MAX 2047
/* A vmlinux has no header to say it; what every bzImage says. */
#define ELF_INITRD_MAX 0x7fffffff

static int elf_check_head(const Elf64_Ehdr *eh, struct boot_error *err)
{
	if (eh->e_machine != EM_X86_64)
		return boot_fail(
			err, -EINVAL,
			"kernel: an ELF file for another machine (e_machine %u), not for x86_64",
			eh->e_machine);
	if (eh->e_type != ET_EXEC)
		return boot_fail(
			err, -EINVAL,
			"kernel: an ELF file of type %u, not an executable at fixed addresses (give vmlinux or a bzImage)",
			eh->e_type);
	return 0;
}

static int elf_check_segment(const Elf64_Phdr *ph, unsigned i, uint64_t file_size,
			     uint64_t low_ram, struct boot_error *err)
{
	if (!range_inside(ph->p_offset, ph->p_filesz, 0, file_size))
		return boot_fail(
			err, -EINVAL,
			"kernel: truncated: ELF segment %u lies past the end of the file",
			i);
	if (ph->p_filesz > ph->p_memsz)
		return boot_fail(
			err, -EINVAL,
			"kernel: ELF segment %u is larger in the file than in memory",
			i);
	if (ph->p_paddr < BOOT_HIGH)
		return boot_fail(
			err, -EINVAL,
			"kernel: ELF segment %u is for address %#llx, but the first MiB is taken",
			i, (unsigned long long)ph->p_paddr);
	if (!range_inside(ph->p_paddr, ph->p_memsz, 0, low_ram))
		return boot_fail(
			err, -EINVAL,
			"kernel: ELF segment %u (%#llx bytes at %#llx) does not fit into the guest's %llu MiB below 3 GiB",
			i, (unsigned long long)ph->p_memsz,
			(unsigned long long)ph->p_paddr,
			(unsigned long long)(low_ram >> 20));
	return 0;
}

static int elf_add_segment(struct boot_elf *elf, const Elf64_Phdr *ph,
			   struct boot_error *err)
{
	if (elf->n == BOOT_SEGMENTS_MAX)
		return boot_fail(err, -EINVAL,
				 "kernel: an ELF file of more than %d segments",
				 BOOT_SEGMENTS_MAX);
	elf->seg[elf->n++] = (struct boot_segment){
		.off = ph->p_offset,
		.file_size = ph->p_filesz,
		.at = ph->p_paddr,
		.mem_size = ph->p_memsz,
	};
	return 0;
}

static int elf_take_segments(Elf *e, uint64_t file_size, uint64_t low_ram,
			     struct boot_elf *elf, struct boot_error *err)
{
	const char *table = (const char *)elf64_getphdr(e);
	size_t n = 0, i;
	int r = 0;

	if (!table || elf_getphdrnum(e, &n) < 0)
		return boot_fail(
			err, -EINVAL,
			"kernel: an ELF file without program headers in its first 64 KiB");
	for (i = 0; !r && i < n; i++) {
		Elf64_Phdr ph;

		/* It points into the file's bytes: aligned or not. */
		memcpy(&ph, table + i * sizeof(ph), sizeof(ph));
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		r = elf_check_segment(&ph, (unsigned)i, file_size, low_ram, err);
		if (!r)
			r = elf_add_segment(elf, &ph, err);
	}
	return r;
}

/* The entry must be in a segment; all segments together are "the kernel". */
static int elf_place(const struct boot_elf *elf, uint64_t entry,
		     struct boot_kernel *k, struct boot_error *err)
{
	uint64_t end = 0;
	bool found = false;
	unsigned i;

	k->load = UINT64_MAX;
	for (i = 0; i < elf->n; i++) {
		const struct boot_segment *s = &elf->seg[i];

		k->load = MIN(k->load, s->at);
		end = MAX(end, s->at + s->mem_size);
		found = found || range_inside(entry, 1, s->at, s->mem_size);
	}
	if (!found)
		return boot_fail(
			err, -EINVAL,
			"kernel: the ELF entry point %#llx is in no loaded segment",
			(unsigned long long)entry);
	k->init_size = end - k->load;
	k->entry = entry;
	return 0;
}

static int elf_parse(Elf *e, uint64_t file_size, uint64_t low_ram,
		     struct boot_kernel *k, struct boot_elf *elf,
		     struct boot_error *err)
{
	const Elf64_Ehdr *eh = elf64_getehdr(e);
	int r;

	if (!eh)
		return boot_fail(err, -EINVAL, "kernel: a damaged ELF file");
	r = elf_check_head(eh, err);
	if (!r)
		r = elf_take_segments(e, file_size, low_ram, elf, err);
	if (!r)
		r = elf_place(elf, eh->e_entry, k, err);
	return r;
}

int boot_parse_elf(uint8_t *head, uint64_t len, uint64_t file_size,
		   uint64_t low_ram, struct boot_kernel *ret_k,
		   struct boot_elf *ret_elf, struct boot_error *err)
{
	struct boot_kernel k = { .format = BOOT_ELF,
				 .initrd_max = ELF_INITRD_MAX,
				 .cmdline_max = ELF_CMDLINE_MAX };
	struct boot_elf elf = { .n = 0 };
	Elf64_Ehdr eh;
	Elf *e;
	int r;

	if (len < EI_NIDENT || memcmp(head, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	if (len < sizeof(eh) || file_size < len)
		return boot_fail(err, -EINVAL, "kernel: a truncated ELF file");
	memcpy(&eh, head, sizeof(eh));
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB)
		return boot_fail(
			err, -EINVAL,
			"kernel: an ELF file, but not a 64-bit little-endian one; x86_64 is needed");
	eh.e_shoff = 0;
	eh.e_shnum = 0;
	eh.e_shstrndx = 0;
	memcpy(head, &eh, sizeof(eh));

	(void)elf_version(EV_CURRENT);
	e = elf_memory((char *)head, len);
	if (!e)
		return boot_fail(err, -EINVAL, "kernel: a damaged ELF file");
	r = elf_parse(e, file_size, low_ram, &k, &elf, err);
	(void)elf_end(e);
	if (r < 0)
		return r;
	*ret_k = k;
	*ret_elf = elf;
	return 0;
}

int boot_load_elf(struct gmem *gm, int fd, const struct boot_elf *elf,
		  struct boot_error *err)
{
	unsigned i;
	int r = 0;

	/* First: two may share a page. */
	for (i = 0; !r && i < elf->n; i++)
		r = boot_blank(gm, elf->seg[i].at, elf->seg[i].mem_size);
	for (i = 0; !r && i < elf->n; i++) {
		const struct boot_segment *s = &elf->seg[i];

		r = boot_read(gm, fd, s->off, s->file_size, s->at, "kernel", err);
		if (!r)
			r = gmem_fill(gm, s->at + s->file_size, 0,
				      s->mem_size - s->file_size);
	}
	return r;
}
