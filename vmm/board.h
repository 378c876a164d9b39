/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_BOARD_H
#define CSVVMM_VMM_BOARD_H

struct board;
struct config;
struct machine;

/**
 * board_create() - Build all devices of a guest, before it runs
 *
 * Logs its errors. *ret_board is set also on failure, for board_destroy().
 *
 * Return: 0 or -errno
 */
int board_create(struct machine *m, const struct config *cfg,
		 struct board **ret_board);

/* Takes NULL and half-built boards. Nothing touches guest memory after. */
void board_destroy(struct board *b);

/**
 * board_reset() - All devices to their values after a reset; vCPUs stand still
 *
 * Requests in flight are finished or given up first, which may take time: call
 * it again, the loop must have run meanwhile. What a console's other end typed
 * stays. vm.lock held.
 *
 * Return: 0; -EINPROGRESS
 */
int board_reset(struct board *b);

/* The operator's "stop": press the power button. vm.lock held. */
void board_power_button(struct board *b);

/* Descriptor of the console socket's folder, or -1; stays the board's. */
int board_console_folder(const struct board *b);

#endif
