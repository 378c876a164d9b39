/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_MIGRATION_PROGRESS_H
#define CSVVMM_MIGRATION_PROGRESS_H

#include <stdint.h>

/**
 * enum mig_phase - How far it got
 *
 * MIG_PREFLIGHT  nothing has changed anywhere
 * MIG_PAGES	  pages are on their way, the guest runs at the source
 * MIG_STOPPED	  the guest stands still, the rest is on its way
 * MIG_COMMITTING the source has said "run", the target has not answered
 * MIG_MOVED	  the guest runs at the target
 * MIG_FAILED	  it goes on at the source
 * MIG_REFUSED	  the same, and nothing was changed
 * MIG_CANCELLED  the same, as somebody wished
 * MIG_IN_DOUBT	  "run" was sent, nobody knows whether it arrived: the guest
 *		  stands still until the operator decides
 * MIG_STUCK	  it was not sent, and the guest can't go on here: it stands still
 *		  until the operator has mended that, and says so
 * MIG_POSSIBLE	  only checked: it could; nothing was changed
 * MIG_ENDED	  it was not sent, and meanwhile the guest has ended at the source
 */
enum mig_phase {
	MIG_NONE,
	MIG_PREFLIGHT,
	MIG_PAGES,
	MIG_STOPPED,
	MIG_COMMITTING,
	MIG_MOVED,
	MIG_FAILED,
	MIG_REFUSED,
	MIG_CANCELLED,
	MIG_IN_DOUBT,
	MIG_STUCK,
	MIG_POSSIBLE,
	MIG_ENDED,
	MIG_PHASES
};

enum mig_part {
	PART_PAGES,
	PART_STATE,
	PART_PREPARED,
	PART_RUNNING,
	MIG_PARTS
};

const char *mig_phase_name(enum mig_phase phase);

/**
 * struct mig_progress - Numbers for the operator
 * @pages:	Sent, all kinds; @zero_pages: of these as zero
 * @remaining:	Pages that are dirty now
 * @bytes:	Over the line
 * @rate:	Bytes of pages a second, in the last round
 * @dirty_rate:	Pages the guest wrote a second, in the last round
 * @psp_busy:	Share of the bulk phase in which the security processor was at
 *		work, in 1/1000; 0 = there is none
 * @predicted_ns: Downtime, if it were stopped now
 * @down_ns:	Downtime; 0 = was never stopped
 * @part_ns:	Of it: last pages on their way, all the rest, the target's
 *		"prepared", its "running"
 */
struct mig_progress {
	enum mig_phase phase;
	unsigned round, throttle;
	uint64_t pages, zero_pages, sealed_pages, batches, remaining, bytes;
	uint64_t rate, dirty_rate, psp_busy;
	uint64_t predicted_ns, down_ns, total_ns, part_ns[MIG_PARTS];
	char why[256];
};

#endif
