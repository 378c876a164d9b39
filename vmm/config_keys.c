/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <assert.h>

#include "core/util.h"
#include "vmm/config_draft.h"

/*
 * The one place where a key is declared: name, type, where it goes, what is
 * allowed, the default, and a line of help. csvvmm.toml(5) and
 * configs/example.toml are checked against it.
 */

const struct config_section_info config_sections[SECTIONS] = {
	[SECTION_TOP] = { "", "above the first [section]", 0 },
	[SECTION_CSV] = { "csv", "[csv]", 0 },
	[SECTION_DISK] = { "disk", "[[disk]]", CONFIG_DISKS_MAX },
	[SECTION_NET] = { "net", "[[net]]", CONFIG_NETS_MAX },
	[SECTION_CONSOLE] = { "console", "[console]", 0 },
	[SECTION_RNG] = { "rng", "[rng]", 0 },
	[SECTION_SECRET] = { "csv.secret", "[[csv.secret]]", CONFIG_SECRETS_MAX },
};

static const char *const end_words[] = { "exit", "reset", "pause", NULL };
static const char *const reset_words[] = { "auto", "in-place", "relaunch", NULL };
static const char *const csv_words[] = { "none", "csv", "csv2", NULL };
static const char *const backend_words[] = { "kvm", "model", NULL };
static const char *const profile_words[] = { "hygon", "amd", NULL };
static const char *const measure_words[] = { "shim", "all", NULL };
static const char *const cache_words[] = { "host", "direct", NULL };

#define TEXT(number)  #number
#define DIGITS(macro) TEXT(macro)

static_assert(CONFIG_MEMORY_MIN == MIB(16) && CONFIG_MEMORY_MAX == GIB(1024),
	      "the text of \"memory\" below names these");

#define TOP(field)  offsetof(struct config_draft, cfg.field)
#define DISK(field) offsetof(struct config_disk, field)
#define NET(field)  offsetof(struct config_net, field)

#define SECRET(field) offsetof(struct config_secret, field)

/* clang-format off */
const struct config_key config_keys[] = {
	{ SECTION_TOP, "name", &config_type_name, TOP(name),
	  .min = 1, .max = CONFIG_NAME_MAX,
	  .allowed = "1 to " DIGITS(CONFIG_NAME_MAX) " of A-Z a-z 0-9 _ . -, "
		     "the first a letter, a digit or _",
	  .preset = "the file's name without .toml",
	  .help = "name of the guest" },
	{ SECTION_TOP, "vcpus", &config_type_uint, TOP(vcpus),
	  .min = 1, .max = CONFIG_VCPUS_MAX,
	  .allowed = "1 to " DIGITS(CONFIG_VCPUS_MAX),
	  .preset = "1", .help = "number of virtual CPUs" },
	{ SECTION_TOP, "memory", &config_type_size, TOP(memory),
	  .allowed = "a string such as \"512M\" or \"4G\", from \"16M\" to \"1024G\"",
	  .preset = "\"512M\"", .help = "guest memory" },
	{ SECTION_TOP, "hugepages", &config_type_bool, TOP(hugepages),
	  .allowed = "true or false",
	  .preset = "false", .help = "guest memory from 2 MiB huge pages" },
	{ SECTION_TOP, "migratable", &config_type_bool, TOP(migratable),
	  .allowed = "true or false",
	  .preset = "true", .help = "false offers the invariant TSC" },
	{ SECTION_TOP, "sandbox", &config_type_bool, TOP(sandbox),
	  .allowed = "true or false",
	  .preset = "true", .help = "isolate the VMM before the guest starts" },
	{ SECTION_TOP, "kernel", &config_type_path, TOP(kernel),
	  .allowed = "the path of a bzImage or ELF vmlinux",
	  .help = "bzImage or ELF vmlinux" },
	{ SECTION_TOP, "initrd", &config_type_path, TOP(initrd),
	  .allowed = "the path of a file",
	  .preset = "none", .help = "initial RAM disk" },
	{ SECTION_TOP, "cmdline", &config_type_text, TOP(cmdline),
	  .max = CONFIG_CMDLINE_MAX,
	  .allowed = "up to " DIGITS(CONFIG_CMDLINE_MAX)
		     " bytes without control characters",
	  .preset = "\"\"", .help = "kernel command line" },
	{ SECTION_TOP, "on_reboot", &config_type_word, TOP(on_reboot),
	  .words = end_words, .allowed = "\"reset\", \"exit\" or \"pause\"",
	  .preset = "\"reset\"", .help = "what a reboot of the guest does" },
	{ SECTION_TOP, "on_crash", &config_type_word, TOP(on_crash),
	  .words = end_words, .allowed = "\"exit\", \"reset\" or \"pause\"",
	  .preset = "\"exit\"",
	  .help = "what a kernel panic or a triple fault of the guest does" },
	{ SECTION_TOP, "reset", &config_type_word, TOP(reset),
	  .words = reset_words,
	  .allowed = "\"auto\", \"in-place\" or \"relaunch\"",
	  .preset = "\"auto\"", .help = "in the same virtual machine, or in a new one" },

	{ SECTION_CSV, "type", &config_type_word, TOP(csv.type),
	  .words = csv_words, .allowed = "\"none\", \"csv\" or \"csv2\"",
	  .preset = "\"none\"", .help = "kind of encryption" },
	{ SECTION_CSV, "backend", &config_type_word, TOP(csv.backend),
	  .words = backend_words, .allowed = "\"kvm\" or \"model\"",
	  .preset = "\"kvm\"", .help = "security processor: the host's or a model" },
	{ SECTION_CSV, "profile", &config_type_word, TOP(csv.profile),
	  .words = profile_words, .allowed = "\"hygon\" or \"amd\"",
	  .preset = "\"hygon\"", .help = "whose cryptography and formats" },
	{ SECTION_CSV, "measure", &config_type_word, TOP(csv.measure),
	  .words = measure_words, .allowed = "\"shim\" or \"all\"",
	  .preset = "\"shim\"",
	  .help = "what the firmware measures: the first code, or all it starts" },
	{ SECTION_CSV, "policy", &config_type_policy, TOP(csv.policy),
	  .allowed = "an array of \"nodbg\", \"noks\", \"es\", \"nosend\", "
		     "\"domain\" and \"sev\"",
	  .preset = "[\"nodbg\"]", .help = "what the firmware forbids" },
	{ SECTION_CSV, "min_api", &config_type_api, TOP(csv.min_api),
	  .allowed = "\"MAJOR.MINOR\", each 0 to 255",
	  .preset = "\"0.0\"", .help = "oldest firmware API the guest accepts" },
	{ SECTION_CSV, "dh_cert", &config_type_path, TOP(csv.dh_cert),
	  .allowed = "the path of a file",
	  .preset = "none", .help = "the owner's Diffie-Hellman certificate" },
	{ SECTION_CSV, "session", &config_type_path, TOP(csv.session),
	  .allowed = "the path of a file",
	  .preset = "none", .help = "the owner's wrapped transport keys" },
	{ SECTION_CSV, "user_id", &config_type_id, TOP(csv.user_id),
	  .min = 1, .max = CONFIG_USER_ID_MAX,
	  .allowed = "1 to " DIGITS(CONFIG_USER_ID_MAX) " of A-Z a-z 0-9 _ . -",
	  .preset = "none", .help = "guests of one id share an ASID (Hygon)" },
	{ SECTION_CSV, "secret", &config_type_secrets, TOP(csv),
	  .max = CONFIG_SECRETS_MAX,
	  .allowed = "up to " DIGITS(CONFIG_SECRETS_MAX)
		     " tables of header, file and addr",
	  .preset = "none", .help = "secrets put into the measured guest" },

	{ SECTION_SECRET, "header", &config_type_path, SECRET(header),
	  .allowed = "the path of a file",
	  .help = "packet header of 52 bytes" },
	{ SECTION_SECRET, "file", &config_type_path, SECRET(file),
	  .allowed = "the path of a file",
	  .help = "the encrypted secret" },
	{ SECTION_SECRET, "addr", &config_type_address, SECRET(addr),
	  .allowed = "an address in guest memory, a multiple of 16",
	  .help = "where it goes" },

	{ SECTION_DISK, "path", &config_type_path, DISK(path),
	  .allowed = "the path of a raw image or block device",
	  .help = "raw image or block device" },
	{ SECTION_DISK, "id", &config_type_id, DISK(id),
	  .min = 1, .max = 20, /* VIRTIO_BLK_ID_BYTES, [VIRTIO] 5.2.6 */
	  .allowed = "1 to 20 of A-Z a-z 0-9 _ . -",
	  .preset = "\"disk0\", \"disk1\", ...",
	  .help = "serial number that the guest sees; unique" },
	{ SECTION_DISK, "readonly", &config_type_bool, DISK(readonly),
	  .allowed = "true or false",
	  .preset = "false", .help = "refuse writes; share the file's lock" },
	{ SECTION_DISK, "cache", &config_type_flag_word, DISK(direct),
	  .words = cache_words, .allowed = "\"direct\" or \"host\"",
	  .preset = "\"host\"", .help = "go through the host's page cache or not" },
	{ SECTION_DISK, "queues", &config_type_uint, DISK(queues),
	  .min = 1, .max = 16, .allowed = "1 to 16",
	  .preset = "1", .help = "number of virtio queues" },

	{ SECTION_NET, "tap", &config_type_tap, NET(tap),
	  .min = 1, .max = 15, /* IFNAMSIZ - 1 */
	  .allowed = "1 to 15 printable characters without space / : %",
	  .preset = "none", .help = "tap interface; this or passt" },
	{ SECTION_NET, "passt", &config_type_path, NET(passt),
	  .allowed = "the path of passt's stream socket",
	  .preset = "none", .help = "socket of passt; this or tap" },
	{ SECTION_NET, "mac", &config_type_mac, NET(mac),
	  .allowed = "a unicast address such as \"52:54:00:12:34:56\"",
	  .preset = "made from the guest's name and the interface's number",
	  .help = "the interface's address; unique" },

	{ SECTION_CONSOLE, "stdio", &config_type_bool,
	  offsetof(struct config_draft, console_stdio),
	  .allowed = "true or false",
	  .preset = "true, unless file or socket is given",
	  .help = "console on standard input and output" },
	{ SECTION_CONSOLE, "file", &config_type_path,
	  offsetof(struct config_draft, console_file),
	  .allowed = "the path of a file; it is appended to",
	  .preset = "none", .help = "console output into a file" },
	{ SECTION_CONSOLE, "socket", &config_type_path,
	  offsetof(struct config_draft, console_socket),
	  .allowed = "the path of a unix socket to listen on",
	  .preset = "none", .help = "console on a unix socket" },

	{ SECTION_RNG, "enabled", &config_type_bool, TOP(rng),
	  .allowed = "true or false",
	  .preset = "true", .help = "entropy device" },
};
/* clang-format on */
const unsigned config_n_keys = ARRAY_SIZE(config_keys);
