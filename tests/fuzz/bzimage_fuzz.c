/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel headers, bzImage and ELF. The first four bytes say how much longer
 * than the rest of the input the file claims to be. What is accepted must
 * satisfy the properties that boot_load() relies on.
 */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/util.h"
#include "vmm/boot_internal.h"

#define RAM GMEM_HOLE_START

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int cond)
{
	if (!cond)
		abort();
}

static void check_bzimage(const struct boot_kernel *k, uint64_t file_size)
{
	must(range_inside(k->payload_off, k->payload_size, 0, file_size));
	must(k->load >= BOOT_HIGH);
	must(k->init_size >= k->payload_size);
	must(range_inside(k->entry, 1, k->load, k->payload_size));
	must(k->setup_size <= BOOT_HDR_END - BOOT_HDR_OFF);
}

static void check_elf(const struct boot_kernel *k, const struct boot_elf *elf,
		      uint64_t file_size)
{
	unsigned i;

	must(elf->n > 0 && elf->n <= BOOT_SEGMENTS_MAX);
	must(range_inside(k->load, k->init_size, BOOT_HIGH, RAM - BOOT_HIGH));
	must(range_inside(k->entry, 1, k->load, k->init_size));
	for (i = 0; i < elf->n; i++) {
		const struct boot_segment *s = &elf->seg[i];

		must(range_inside(s->off, s->file_size, 0, file_size));
		must(s->file_size <= s->mem_size);
		must(range_inside(s->at, s->mem_size, k->load, k->init_size));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_error err = { "" };
	struct boot_kernel k;
	struct boot_elf elf;
	uint64_t file_size;
	uint8_t *head;

	if (size < 4)
		return 0;
	file_size = size - 4 + get_le32(data);
	size = MIN(size - 4, (size_t)BOOT_HEAD_SIZE);
	/* A heap block of just that size: reading past it is caught. */
	head = malloc(size ? size : 1);
	must(head != NULL);
	memcpy(head, data + 4, size);

	if (boot_parse_bzimage(head, size, file_size, &k, &err) == 0)
		check_bzimage(&k, file_size);
	if (boot_parse_elf(head, size, file_size, RAM, &k, &elf, &err) == 0)
		check_elf(&k, &elf, file_size);
	must(memchr(err.text, 0, sizeof(err.text)) != NULL);
	free(head);
	return 0;
}
