/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an owner makes for the launch of a guest: session, then secrets. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "core/log.h"
#include "core/util.h"
#include "vmm/commands.h"
#include "vmm/control.h"
#include "vmm/hex.h"
#include "vmm/launch_files.h"
#include "vmm/owner.h"

#define MODE_KEY  0600
#define MODE_FILE 0644

/* One more is needed for the zero at its end. */
#define SECRET_TEXT_MAX (CONTROL_SECRET_MAX - 1)

/* What the command line asks for. */
struct owner_args {
	const char *dir, *file, *secret;
	bool has_policy, has_digest;
	uint32_t policy;
	uint8_t digest[PSP_DIGEST_SIZE];
	struct owner_certs certs;
};

/* One file to be made. */
struct owner_out {
	const char *name;
	mode_t mode;
	const void *data;
	size_t len;
};

/* A value of an option. Return: EXIT_OK, or EXIT_USAGE */
static int take_value(const struct command *cmd, struct owner_args *a, int c)
{
	bool session = cmd == &cmd_owner_session;

	if (c == 'D') {
		a->dir = optarg;
		return EXIT_OK;
	}
	if (c == 'p') {
		a->has_policy = true;
		return owner_number(optarg, &a->policy)
			       ? EXIT_OK
			       : command_misuse(
					 cmd,
					 "--policy takes a number of 32 bits");
	}
	if (c == 'd' && !session) {
		a->has_digest = true;
		return hex_decode(optarg, a->digest, sizeof(a->digest)) < 0
			       ? command_misuse(
					 cmd,
					 "--digest takes 64 hexadecimal digits")
			       : EXIT_OK;
	}
	if ((c == 'r' || c == 'c') && session)
		return owner_certs_take(&a->certs, optarg, c == 'r') < 0
			       ? command_misuse(cmd, "too many files")
			       : EXIT_OK;
	return command_misuse(cmd, "unknown option, or one without its value");
}

/* Return: EXIT_OK to go on */
static int parse_args(const struct command *cmd, int argc, char **argv,
		      struct owner_args *a)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'D' },
		{ "policy", required_argument, NULL, 'p' },
		{ "digest", required_argument, NULL, 'd' },
		{ "root", required_argument, NULL, 'r' },
		{ "cert", required_argument, NULL, 'c' },
		{ 0 },
	};
	bool session = cmd == &cmd_owner_session;
	int c;

	a->dir = ".";
	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int status = take_value(cmd, a, c);

		if (status != EXIT_OK)
			return status;
	}
	if (!a->has_policy)
		return command_misuse(
			cmd, "--policy is needed: csvvmm measure prints it");
	if (!session && !a->has_digest)
		return command_misuse(
			cmd, "--digest is needed: csvvmm measure prints it");
	if (argc - optind != (session ? 1 : 2))
		return command_misuse(
			cmd, session ? "one PLATFORM file is needed"
				     : "a MEASURED and a SECRET file are needed");
	a->file = argv[optind];
	a->secret = session ? NULL : argv[optind + 1];
	return EXIT_OK;
}

/* --- files -------------------------------------------------------------------- */

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Never through a link, never into what somebody else has open. */
static int write_new(int dirfd, const struct owner_out *out)
{
	auto_fd int fd = openat(dirfd, out->name,
				O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				out->mode);
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, out->data, out->len);
	if (r < 0)
		(void)unlinkat(dirfd, out->name, 0);
	return r;
}

/* All files or none. @replace: those that are there already go. */
static int write_files(const char *dir, const struct owner_out *out, size_t n,
		       bool replace)
{
	auto_fd int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dirfd < 0 ? -errno : 0;
	size_t i, made;

	if (r < 0)
		return log_errno(r, "folder %s", dir);
	for (i = 0; replace && i < n; i++) {
		if (unlinkat(dirfd, out[i].name, 0) < 0 && errno != ENOENT)
			return log_errno(-errno, "%s/%s", dir, out[i].name);
	}
	for (made = 0; made < n && !r; made += !r)
		r = write_new(dirfd, &out[made]);
	if (!r)
		return 0;
	if (r == -EEXIST)
		log_err("%s/%s is there already; a session is for one start: --dir takes another folder",
			dir, out[made].name);
	else
		(void)log_errno(r, "%s/%s", dir, out[made].name);
	while (made--)
		(void)unlinkat(dirfd, out[made].name, 0);
	return r;
}

/* --- session -------------------------------------------------------------------- */

static int owner_random(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	return getrandom(buf, len, 0) == (ssize_t)len ? 0 : -EIO;
}

static const struct psp_ops owner_ops = { .random = owner_random };

/* Does @f hold the certificates of a genuine platform? */
static int check_platform(struct owner_args *a, const struct owner_facts *f,
			  enum psp_profile *ret_profile)
{
	const char *why = "";

	if (owner_profile(f->pdh.data, f->pdh.len, ret_profile) < 0) {
		log_err("%s: no PDH certificate in it%s", a->file,
			f->pdh.len ? "" : ": the firmware has none");
		return -EINVAL;
	}
	if (owner_certs_load(&a->certs, *ret_profile) < 0)
		return -EINVAL;
	if (attest_add(&a->certs.certs, *ret_profile, f->chain.data,
		       f->chain.len, false) < 0) {
		log_err("%s: \"chain\" holds no platform certificates", a->file);
		return -EINVAL;
	}
	if (attest_verify_pdh(*ret_profile, f->pdh.data, &a->certs.certs, &why) <
	    0) {
		log_err("%s: this platform is NOT VERIFIED: %s", a->file, why);
		return -EBADMSG;
	}
	return 0;
}

/* The owner's own key is for this one session: nothing keeps it. */
static int make_session(const struct owner_args *a, enum psp_profile profile,
			const uint8_t *pdh, const struct psp_transport *keys,
			uint8_t *cert, uint8_t *session)
{
	const struct psp_suite *s = psp_suite(profile);
	struct psp_ec_key *key = NULL;
	int r = psp_ec_generate(s, &owner_ops, NULL, &key);

	/* The certificate's API version is the platform's. */
	if (!r)
		r = psp_cert_make(s, key, PSP_USAGE_PDH, pdh[4], pdh[5], cert);
	if (!r)
		r = psp_session_make(s, &owner_ops, NULL, key, pdh, a->policy,
				     keys, session);
	psp_ec_free(key);
	return r < 0 ? log_errno(r, "session") : 0;
}

static int session(struct owner_args *a, const struct owner_facts *f)
{
	uint8_t cert[PSP_CERT_SIZE], blob[PSP_SESSION_SIZE];
	enum psp_profile profile;
	struct psp_transport keys;
	const struct owner_out out[] = {
		{ "tek.bin", MODE_KEY, keys.tek, sizeof(keys.tek) },
		{ "tik.bin", MODE_KEY, keys.tik, sizeof(keys.tik) },
		{ "owner.cert", MODE_FILE, cert, sizeof(cert) },
		{ "session.bin", MODE_FILE, blob, sizeof(blob) },
	};
	int r = check_platform(a, f, &profile);

	if (r < 0)
		return EXIT_FAILED;
	if (mkdir(a->dir, 0700) < 0 && errno != EEXIST) {
		(void)log_errno(-errno, "folder %s", a->dir);
		return EXIT_FAILED;
	}
	r = owner_random(NULL, &keys, sizeof(keys));
	if (!r)
		r = make_session(a, profile, f->pdh.data, &keys, cert, blob);
	if (!r)
		r = write_files(a->dir, out, ARRAY_SIZE(out), false);
	OPENSSL_cleanse(&keys, sizeof(keys));
	if (r < 0)
		return EXIT_FAILED;
	printf("%s: platform verified (%s%s); owner.cert and session.bin are for the host, tek.bin and tik.bin stay here\n",
	       a->dir, profile == PSP_HYGON ? "Hygon" : "AMD",
	       a->certs.certs.model_root
		       ? "; the model's root is trusted, which protects nothing"
		       : "");
	return EXIT_OK;
}

/* --- secret --------------------------------------------------------------------- */

/* @name in the session's folder */
static int read_part(const struct owner_args *a, const char *name,
		     uint32_t size, struct launch_blob *ret_b)
{
	auto_free char *path = NULL;

	if (asprintf(&path, "%s/%s", a->dir, name) < 0) {
		path = NULL;
		(void)log_errno(-ENOMEM, "%s", name);
		return -ENOMEM;
	}
	return blob_read("session's", path, size, 0, ret_b);
}

static int read_session(const struct owner_args *a, enum psp_profile *ret_profile,
			struct psp_transport *ret_keys)
{
	struct launch_blob cert = { 0 }, tek = { 0 }, tik = { 0 };
	int r = read_part(a, "owner.cert", PSP_CERT_SIZE, &cert);

	if (!r)
		r = read_part(a, "tek.bin", sizeof(ret_keys->tek), &tek);
	if (!r)
		r = read_part(a, "tik.bin", sizeof(ret_keys->tik), &tik);
	if (!r) {
		memcpy(ret_keys->tek, tek.data, sizeof(ret_keys->tek));
		memcpy(ret_keys->tik, tik.data, sizeof(ret_keys->tik));
		r = owner_profile(cert.data, cert.len, ret_profile);
		if (r < 0)
			log_err("%s/owner.cert: no owner's certificate", a->dir);
	}
	if (tek.data)
		OPENSSL_cleanse(tek.data, tek.len);
	if (tik.data)
		OPENSSL_cleanse(tik.data, tik.len);
	free(tek.data);
	free(tik.data);
	free(cert.data);
	return r;
}

/* Only a guest that is what it should be gets a packet. */
static int check_measurement(const struct owner_args *a,
			     const struct owner_facts *f,
			     enum psp_profile profile,
			     const struct psp_transport *keys)
{
	uint8_t want[PSP_MAC_SIZE];
	int r;

	if (!f->measured) {
		log_err("%s: no measurement in it", a->file);
		return -EINVAL;
	}
	r = psp_measure(psp_suite(profile), keys->tik, f->firmware.major,
			f->firmware.minor, f->firmware.build, a->policy,
			a->digest, f->nonce, want);
	if (r < 0)
		return log_errno(r, "measurement");
	if (!CRYPTO_memcmp(want, f->measurement, sizeof(want)))
		return 0;
	log_err("%s: the measurement is WRONG, no secret for this guest: %s",
		a->file,
		memcmp(f->digest, a->digest, sizeof(a->digest)) != 0
			? "its digest is another"
			: "another policy or firmware, or not this session's guest");
	return -EBADMSG;
}

static int make_secret(const struct owner_args *a, const struct owner_facts *f,
		       enum psp_profile profile, const struct psp_transport *keys)
{
	const struct psp_part measurement = { f->measurement,
					      sizeof(f->measurement) };
	uint8_t data[CONTROL_SECRET_MAX] = { 0 }, hdr[PSP_HDR_SIZE];
	struct owner_out out[] = {
		{ "secret.hdr", MODE_FILE, hdr, sizeof(hdr) },
		{ "secret.bin", MODE_FILE, data, 0 },
	};
	struct psp_channel *ch = NULL;
	struct launch_blob text = { 0 };
	int r = file_read("secret", a->secret, SECRET_TEXT_MAX, &text);

	if (r < 0)
		return r;
	memcpy(data, text.data, text.len);
	out[1].len = align_up(text.len + 1, 16);
	r = psp_channel_new(psp_suite(profile), keys, &ch);
	if (!r)
		r = psp_packet_seal(ch, &owner_ops, NULL, PSP_PACKET_SECRET,
				    data, data, (uint32_t)out[1].len,
				    &measurement, hdr);
	psp_channel_free(ch);
	OPENSSL_cleanse(text.data, text.len);
	free(text.data);
	if (r < 0) {
		OPENSSL_cleanse(data, sizeof(data));
		return log_errno(r, "packet");
	}
	return write_files(a->dir, out, ARRAY_SIZE(out), true);
}

static int secret(const struct owner_args *a, const struct owner_facts *f)
{
	enum psp_profile profile;
	struct psp_transport keys;
	int r = read_session(a, &profile, &keys);

	if (!r)
		r = check_measurement(a, f, profile, &keys);
	if (!r)
		r = make_secret(a, f, profile, &keys);
	OPENSSL_cleanse(&keys, sizeof(keys));
	if (r < 0)
		return EXIT_FAILED;
	printf("%s: measurement ok; secret.hdr and secret.bin are for this start of the guest alone\n",
	       a->dir);
	return EXIT_OK;
}

/* --- both ----------------------------------------------------------------------- */

static int owner_main(const struct command *cmd, int argc, char **argv)
{
	struct owner_facts facts = { 0 };
	struct owner_args a = { 0 };
	int r, status = parse_args(cmd, argc, argv, &a);

	if (status != EXIT_OK)
		return status;
	r = owner_facts_read(a.file, &facts);
	if (!r)
		log_err("%s: not what launch-measure --json prints", a.file);
	status = r <= 0			     ? EXIT_FAILED
		 : cmd == &cmd_owner_session ? session(&a, &facts)
					     : secret(&a, &facts);
	owner_facts_fini(&facts);
	owner_certs_fini(&a.certs);
	return fflush(stdout) ? EXIT_FAILED : status;
}

static int session_main(int argc, char **argv)
{
	return owner_main(&cmd_owner_session, argc, argv);
}

static int secret_main(int argc, char **argv)
{
	return owner_main(&cmd_owner_secret, argc, argv);
}

const struct command cmd_owner_session = {
	.name = "owner-session",
	.args = "--policy N [--root FILE|model]... [--cert FILE]... [--dir DIR] PLATFORM",
	.summary = "make an owner's session for a host",
	.run = session_main,
	.help = "PLATFORM is what 'csvvmm launch-measure --json' prints for any encrypted guest of\n"
		"that host: the platform's certificates are in it. Once they lead to a trusted\n"
		"root, this writes owner.cert and session.bin (dh_cert and session in [csv]) and\n"
		"the keys tek.bin and tik.bin, which stay with the owner.\n\n"
		"  --policy N    of the guest, as 'csvvmm measure' prints it\n"
		"  --root FILE   trusted root certificate (HRK or ARK); others in FILE are used too.\n"
		"                \"model\": the published root of the software model\n"
		"  --cert FILE   certificates on the way that PLATFORM does not have: HSK (ASK)\n"
		"  --dir DIR     where to write; made when missing. Default: here\n",
};

const struct command cmd_owner_secret = {
	.name = "owner-secret",
	.args = "--digest HEX --policy N [--dir DIR] MEASURED SECRET",
	.summary = "check a guest's measurement, encrypt a secret for it",
	.run = secret_main,
	.help = "MEASURED is what 'csvvmm launch-measure --json' prints for the guest that was\n"
		"started with the session in DIR. If its measurement is that of the digest and\n"
		"policy given, this writes secret.hdr and secret.bin for launch-secret; otherwise\n"
		"nothing. SECRET is a file of 1 to 2047 bytes; zeros are added, at least one, up\n"
		"to a multiple of 16.\n\n"
		"  --digest HEX  what the guest must have been measured as (csvvmm measure)\n"
		"  --policy N    the policy that it must have (csvvmm measure)\n"
		"  --dir DIR     where owner-session wrote. Default: here\n",
};
