/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom an encrypted guest may be sent to. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/csv_abi.h"
#include "core/util.h"
#include "psp/cert.h"
#include "psp/suite.h"
#include "vmm/attest.h"
#include "vmm/migrate.h"

/* A certificate without its signatures. */
#define CERT_BODY 0x414

#define NO(why, ...) ((void)snprintf(why, MIG_WHY_MAX, __VA_ARGS__), -EXDEV)

static int read_file(int fd, uint8_t **ret_data, size_t *ret_len)
{
	struct stat st;
	uint8_t *buf;
	ssize_t n;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > (off_t)CSV_BLOB_MAX)
		return -EFBIG;
	buf = malloc((size_t)st.st_size);
	if (!buf)
		return -ENOMEM;
	n = pread(fd, buf, (size_t)st.st_size, 0);
	if (n != st.st_size) {
		free(buf);
		return -EIO;
	}
	*ret_data = buf;
	*ret_len = (size_t)n;
	return 0;
}

int migrate_trust_init(struct migrate_trust *t, bool model_root, int root_fd,
		       int certs_fd, char *why)
{
	int r;

	*t = (struct migrate_trust){ .model_root = model_root };
	r = read_file(root_fd, &t->root, &t->root_len);
	if (!r)
		r = read_file(certs_fd, &t->certs, &t->certs_len);
	if (r < 0)
		(void)snprintf(why, MIG_WHY_MAX,
			       "file of certificates: %s (1 to 16384 bytes)",
			       strerror(-r));
	return r;
}

void migrate_trust_fini(struct migrate_trust *t)
{
	free(t->root);
	free(t->certs);
	t->root = t->certs = NULL;
}

static const struct attest_cert *find(const struct attest_certs *c, uint32_t usage)
{
	unsigned i;

	for (i = 0; i < c->n; i++) {
		if (c->cert[i].usage == usage)
			return &c->cert[i];
	}
	return NULL;
}

/* The vendor's side of the chain, as SEND_START wants it: HSK, HRK. */
static int vendor_side(struct migrate_trust *t, const struct psp_suite *suite,
		       const struct attest_certs *c, uint32_t *ret_len)
{
	const struct attest_cert *sub = find(c, PSP_USAGE_ASK);
	const struct attest_cert *root = find(c, PSP_USAGE_ARK);
	size_t len = 0;

	if (t->model_root) {
		int r = psp_root_chain(suite, t->amd, sizeof(t->amd), &len);

		*ret_len = (uint32_t)len;
		return r;
	}
	if (!sub || !root || sub->len + root->len > sizeof(t->amd))
		return -ENOENT;
	memcpy(t->amd, sub->data, sub->len);
	memcpy(t->amd + sub->len, root->data, root->len);
	*ret_len = (uint32_t)(sub->len + root->len);
	return 0;
}

/* Policy `domain`: the same owner's certificate at both ends. */
static int same_owner(const struct mig_machine *own,
		      const struct mig_machine *peer)
{
	return own->chain.len >= 2 * PSP_CERT_SIZE &&
	       !memcmp(own->chain.data + PSP_CERT_SIZE,
		       peer->chain.data + PSP_CERT_SIZE, CERT_BODY);
}

int migrate_trust_check(struct migrate_trust *t, const struct mig_machine *own,
			const struct mig_machine *target,
			struct csv_target *ret_certs, char *why)
{
	enum psp_profile profile = own->profile == MIG_AMD ? PSP_AMD : PSP_HYGON;
	struct attest_certs c = { .model_root = t->model_root };
	const char *what = "";
	int r;

	if (target->pdh.len != PSP_CERT_SIZE ||
	    target->chain.len != PSP_CHAIN_SIZE)
		return NO(why, "certificates: the target's have %u and %u bytes",
			  target->pdh.len, target->chain.len);
	r = attest_add(&c, profile, target->chain.data, target->chain.len, false);
	if (!r && t->root)
		r = attest_add(&c, profile, t->root, t->root_len, true);
	if (!r && t->certs)
		r = attest_add(&c, profile, t->certs, t->certs_len, false);
	if (r < 0)
		return NO(why,
			  "certificates: what was given is none of this processor's");
	r = attest_verify_pdh(profile, target->pdh.data, &c, &what);
	if (!r)
		r = psp_chain_verify(psp_suite(profile), target->pdh.data,
				     target->chain.data);
	if (r < 0)
		return NO(why, "certificates: the target is not trusted: %s",
			  what[0] && r != -EBADMSG ? what
			  : what[0]		   ? what
						   : "its chain is broken");
	if ((own->policy & CSV_POLICY_DOMAIN) && !same_owner(own, target))
		return NO(why,
			  "policy: the guest may only go to platforms of its owner (domain)");
	*ret_certs = (struct csv_target){ .pdh = target->pdh.data,
					  .pdh_len = target->pdh.len,
					  .plat = target->chain.data,
					  .plat_len = target->chain.len,
					  .amd = t->amd };
	r = vendor_side(t, psp_suite(profile), &c, &ret_certs->amd_len);
	return r < 0 ? NO(why, "certificates: no HSK (ASK) and root were given")
		     : 0;
}
