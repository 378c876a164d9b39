/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The least a guest can do. Prints boot_params' command line, too. */
#include "guest.h"

void guest_main(const uint8_t *boot_params)
{
	puts("hello: cmdline=");
	puts(at(load32(boot_params + 0x228)));
	puts("\n");
	guest_success();
}
