/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_OWNER_H
#define CSVVMM_VMM_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "psp/crypto.h"
#include "vmm/attest.h"
#include "vmm/launch.h"

/*
 * What the commands of a guest's owner (attest, owner-session, owner-secret)
 * have in common. All that comes from the host is hostile.
 */

#define OWNER_FILES_MAX 8

/**
 * struct owner_certs - The certificates that --root and --cert name
 * @blob:	Their contents; @certs points into them
 */
struct owner_certs {
	const char *file[OWNER_FILES_MAX];
	bool trusted[OWNER_FILES_MAX];
	unsigned n;
	struct launch_blob blob[OWNER_FILES_MAX];
	struct attest_certs certs;
};

/* --root FILE|model, --cert FILE. Return: 0 or -E2BIG */
int owner_certs_take(struct owner_certs *c, const char *path, bool trusted);
/* Return: 0 or -errno, logged */
int owner_certs_load(struct owner_certs *c, enum psp_profile profile);
void owner_certs_fini(struct owner_certs *c);

/* Version of the firmware, as the measurement has it: the lowest 8 bits of the
 * build. */
struct owner_firmware {
	uint8_t major, minor, build;
};

/**
 * struct owner_facts - What `launch-measure --json` printed
 *
 * Blobs and numbers that were null or missing have the length 0, or are not
 * @measured.
 */
struct owner_facts {
	bool measured;
	uint8_t measurement[32], nonce[16], digest[32];
	struct owner_firmware firmware;
	struct launch_blob report, pdh, chain;
};

/**
 * owner_facts_read() - Read such a file
 *
 * Return: 1; 0: it is no JSON object; -errno, logged
 */
int owner_facts_read(const char *path, struct owner_facts *ret_f);
void owner_facts_fini(struct owner_facts *f);

/* Whose certificate is this PDH? Return: 0, or -EINVAL: nobody's */
int owner_profile(const uint8_t *cert, size_t len, enum psp_profile *ret_profile);

/* MAJOR.MINOR.BUILD. Return: false: it is none */
bool owner_firmware(const char *text, struct owner_firmware *ret_f);

/* A number of 32 bits, as C writes it. Return: false: it is none */
bool owner_number(const char *text, uint32_t *ret_v);

#endif
