/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CSVVMM_VMM_CONFIG_H
#define CSVVMM_VMM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CONFIG_DISKS_MAX   16
#define CONFIG_NETS_MAX	   8
#define CONFIG_VCPUS_MAX   64
#define CONFIG_MEMORY_MIN  (16ULL << 20)
#define CONFIG_MEMORY_MAX  (1ULL << 40)
#define CONFIG_CMDLINE_MAX 2047
#define CONFIG_FILE_MAX	   (256u << 10)
#define CONFIG_NAME_MAX	   63

enum config_end { CONFIG_END_EXIT, CONFIG_END_RESET, CONFIG_END_PAUSE };
enum config_reset {
	CONFIG_RESET_AUTO,
	CONFIG_RESET_IN_PLACE,
	CONFIG_RESET_RELAUNCH
};
enum config_console {
	CONSOLE_STDIO,
	CONSOLE_FILE,
	CONSOLE_SOCKET,
	CONSOLE_NONE
};
enum config_csv_type { CONFIG_CSV_NONE, CONFIG_CSV_1, CONFIG_CSV_2 };
enum config_csv_backend { CONFIG_CSV_KVM, CONFIG_CSV_MODEL };
enum config_csv_profile { CONFIG_CSV_HYGON, CONFIG_CSV_AMD };
enum config_csv_measure { CONFIG_MEASURE_SHIM, CONFIG_MEASURE_ALL };

#define CONFIG_SECRETS_MAX 8
#define CONFIG_USER_ID_MAX 20

/* One packet for LAUNCH_SECRET, made by the guest's owner. */
struct config_secret {
	char *header; /* packet header: flags, IV, MAC */
	char *file;   /* ciphertext */
	uint64_t addr;
};

/**
 * struct config_csv - Section [csv]
 * @policy:	The firmware's word: names, implied bits and minimum API
 * @user_id:	Guests with the same id share an ASID; NULL = none
 */
struct config_csv {
	enum config_csv_type type;	 /* default none */
	enum config_csv_backend backend; /* default kvm */
	enum config_csv_profile profile; /* default hygon */
	enum config_csv_measure measure; /* default shim */
	uint32_t policy;
	uint32_t min_api; /* as written: major << 8 | minor */
	char *dh_cert, *session;
	char *user_id;
	struct config_secret secret[CONFIG_SECRETS_MAX];
	unsigned n_secrets;
};

/* Is it the processor that encrypts this guest? Not with the model. */
static inline bool config_csv_real(const struct config_csv *csv)
{
	return csv->type != CONFIG_CSV_NONE && csv->backend == CONFIG_CSV_KVM;
}

struct config_disk {
	char *path;
	char *id; /* default "disk0", "disk1", ... */
	bool readonly;
	bool direct;	 /* cache = "direct"; default "host" */
	uint32_t queues; /* default 1 */
};

struct config_net {
	char *tap;   /* exactly one of the two is set */
	char *passt; /* path of the stream socket */
	uint8_t mac[6];
};

/* Where a key is written; its section where it is not. */
struct config_at {
	unsigned line, column;
};

/**
 * struct config - What guest.toml says, checked, defaults filled in
 *
 * Paths are absolute: relative ones start from the file's own folder.
 */
struct config {
	char *file; /* guest.toml's own absolute path */
	char *name;
	uint32_t vcpus;	 /* default 1 */
	uint64_t memory; /* bytes; default 512M */
	bool hugepages;
	bool migratable; /* default true; false offers the invariant TSC */
	bool sandbox;	 /* default true */
	char *kernel;	 /* required */
	char *initrd;	 /* NULL = none */
	char *cmdline;	 /* default "" */
	enum config_end on_reboot; /* default reset */
	enum config_end on_crash;  /* default exit */
	enum config_reset reset;   /* default auto */
	struct config_csv csv;
	struct config_disk disk[CONFIG_DISKS_MAX];
	unsigned n_disks;
	struct config_net net[CONFIG_NETS_MAX];
	unsigned n_nets;
	enum config_console console; /* default stdio */
	char *console_path;
	bool rng; /* default true; [rng] enabled = false takes it away */
	struct config_at kernel_at, initrd_at, cmdline_at, memory_at;
};

/* One problem: "FILE:LINE:COL: what is wrong; what is allowed". */
struct config_error {
	char text[512];
};

/**
 * config_load() - Read and check guest.toml; touches nothing but files named
 * in it, and these only to see that they exist and are of the right kind
 *
 * Return: 0 with *ret_cfg (config_fini() frees it), or -errno with @err
 */
int config_load(const char *path, struct config *ret_cfg,
		struct config_error *err);

/* As config_load(); without @check_files it does not look at this host: named
 * files need not exist, and memory may be more than there is. */
int config_load_as(const char *path, bool check_files, struct config *ret_cfg,
		   struct config_error *err);

/* As config_load() for a text in memory; @base is the folder of relative
 * paths, @check_files whether named files must exist. For fuzzing and tests. */
int config_parse(const char *text, unsigned long len, const char *file,
		 const char *base, bool check_files, struct config *ret_cfg,
		 struct config_error *err);

void config_fini(struct config *cfg);

#ifdef __cplusplus
}
#endif
#endif
