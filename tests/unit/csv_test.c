/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <linux/psp-sev.h>
#include <stdio.h>
#include <string.h>

#include "core/csv.h"

/*
 * A backend that keeps what it was asked, byte by byte, and answers what it
 * was told to. Numbers are typed from [csv-abi] 1.1, 1.2 and 2.3.
 */

#define N(a) (sizeof(a) / sizeof((a)[0]))

struct fake {
	unsigned n_issue, n_platform, n_add, n_remove, n_close;
	uint32_t cmd;
	bool with_arg;
	uint8_t arg[72];
	uint64_t user_id_len;
	char user_id[16];
	void *host[CSV_REGIONS_MAX];
	uint64_t size[CSV_REGIONS_MAX];
	unsigned n_nodes;
	uint8_t node[48];
	/* Answers. */
	int ret;
	uint32_t fw, len, len2;
	struct sev_user_data_status status;
};

static struct fake fake;
static struct csv csv;

static size_t arg_size(uint32_t cmd)
{
	static const uint8_t size[] = {
		[0] = 16,  [1] = 16,  [2] = 40,	 [3] = 16,
		[5] = 48,  [6] = 16,  [8] = 72,	 [9] = 48,
		[10] = 40, [12] = 40, [13] = 48, [14] = 40,
		[16] = 12, [17] = 24, [20] = 32, [24] = 16
	};

	return cmd < N(size) ? size[cmd] : 0;
}

/* Nodes of 24 bytes, the data of the last one. */
static void fake_list(struct fake *f)
{
	uint64_t at, node[3];

	memcpy(&at, f->arg + 8, 8);
	for (f->n_nodes = 0; at; at = node[2], f->n_nodes++) {
		memcpy(node, (void *)(uintptr_t)at, sizeof(node));
		memcpy(f->node, (void *)(uintptr_t)node[0], sizeof(f->node));
	}
}

static int fake_issue(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	struct fake *f = be;

	f->n_issue++;
	f->cmd = cmd;
	f->with_arg = arg;
	memset(f->arg, 0, sizeof(f->arg));
	if (arg)
		memcpy(f->arg, arg, arg_size(cmd));
	if (cmd <= 1 && arg) {
		uint64_t at;

		memcpy(&at, f->arg, 8);
		memcpy(&f->user_id_len, f->arg + 8, 8);
		memcpy(f->user_id, (void *)(uintptr_t)at, 3);
	}
	if (cmd == 24)
		fake_list(f);
	*ret_fw = f->fw;
	if (cmd == 8)
		((struct kvm_sev_send_start *)arg)->session_len = f->len;
	if (cmd == 9 && !((struct kvm_sev_send_update_data *)arg)->hdr_len) {
		((struct kvm_sev_send_update_data *)arg)->hdr_len = f->len;
		((struct kvm_sev_send_update_data *)arg)->trans_len = f->len2;
	}
	if (cmd == 20)
		((struct kvm_sev_attestation_report *)arg)->len = f->len;
	if (f->ret)
		return f->ret;
	if (cmd == 2)
		((struct kvm_sev_launch_start *)arg)->handle = 0x77;
	if (cmd == 12)
		((struct kvm_sev_receive_start *)arg)->handle = 0x99;
	if (cmd == 6) {
		uint64_t at;

		memcpy(&at, arg, 8);
		memset((void *)(uintptr_t)at, 0x5a, 48);
	}
	if (cmd == 16)
		*(struct kvm_sev_guest_status *)arg =
			(struct kvm_sev_guest_status){ 0x77, 5, 3 };
	return 0;
}

static int fake_platform(void *be, uint32_t cmd, void *arg, uint32_t *ret_fw)
{
	struct fake *f = be;

	f->n_platform++;
	f->cmd = cmd;
	f->with_arg = arg;
	memcpy(f->arg, arg, cmd == 5 ? 24 : 12);
	*ret_fw = f->fw;
	if (cmd == 5) {
		memcpy((uint8_t *)arg + 8, &f->len, 4);
		memcpy((uint8_t *)arg + 20, &f->len2, 4);
	} else if (!f->ret) {
		memcpy(arg, &f->status, 12);
	}
	return f->ret;
}

static int fake_region(void *be, void *host, uint64_t size, bool add)
{
	struct fake *f = be;

	if (f->ret)
		return f->ret;
	if (add) {
		f->host[f->n_add] = host;
		f->size[f->n_add++] = size;
	} else {
		f->host[f->n_remove] = host;
		f->size[f->n_remove++] = size;
	}
	return 0;
}

static void fake_close(void *be)
{
	((struct fake *)be)->n_close++;
}

static const struct csv_backend ops = {
	.name = "fake",
	.issue = fake_issue,
	.platform = fake_platform,
	.region = fake_region,
	.close = fake_close,
};

static uint32_t u32(unsigned at)
{
	uint32_t v;

	memcpy(&v, fake.arg + at, sizeof(v));
	return v;
}

static uint64_t u64(unsigned at)
{
	uint64_t v;

	memcpy(&v, fake.arg + at, sizeof(v));
	return v;
}

static void answer(int ret, uint32_t fw)
{
	fake.ret = ret;
	fake.fw = fw;
}

static int setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	csv_open(&csv, &ops, &fake);
	return 0;
}

static uint8_t ram[64] __attribute__((aligned(16)));
static uint8_t page[4096] __attribute__((aligned(4096)));
static uint8_t buf[64];

static const struct csv_target target = { buf, buf + 1, buf + 2, 11, 12, 13 };

static struct csv_packet packet(void)
{
	return (struct csv_packet){ buf, page, page, 52, 4096, 4096 };
}

static struct csv_packet vmsa_packet(void)
{
	return (struct csv_packet){ buf, NULL, page, 52, 0, 4096 };
}

static int do_send_start(void)
{
	uint32_t len = 8;

	return csv_send_start(&csv, &target, buf, &len);
}
static int do_send_data(void)
{
	struct csv_packet p = packet();

	return csv_send_data(&csv, &p);
}
static int do_send_vmsa(void)
{
	struct csv_packet p = vmsa_packet();

	return csv_send_vmsa(&csv, 3, &p);
}
static int do_send_batch(void)
{
	struct csv_packet p = packet();

	return csv_batch(&csv, true, &p, 1);
}
static int do_send_finish(void)
{
	return csv_send_finish(&csv);
}
static int do_send_cancel(void)
{
	return csv_send_cancel(&csv);
}
static int do_receive_start(void)
{
	return csv_receive_start(&csv, csv.es ? 4 : 0, buf, 8, buf, 8);
}
static int do_receive_data(void)
{
	struct csv_packet p = packet();

	return csv_receive_data(&csv, &p);
}
static int do_receive_vmsa(void)
{
	struct csv_packet p = vmsa_packet();

	return csv_receive_vmsa(&csv, 3, &p);
}
static int do_receive_batch(void)
{
	struct csv_packet p = packet();

	return csv_batch(&csv, false, &p, 1);
}
static int do_receive_finish(void)
{
	return csv_receive_finish(&csv);
}

/* A guest with registers and debugging as asked, in a state. */
static void become(enum csv_state s, bool es, bool nodbg)
{
	bool launched = s >= CSV_LAUNCH && s != CSV_RECEIVE;

	(void)setup(NULL);
	if (s >= CSV_INIT)
		assert_int_equal(csv_init(&csv, es, NULL), 0);
	if (s == CSV_RECEIVE)
		assert_int_equal(csv_receive_start(&csv, (es ? 4 : 0) | nodbg,
						   buf, 8, buf, 8),
				 0);
	if (launched)
		assert_int_equal(csv_launch_start(&csv, (es ? 4 : 0) | nodbg,
						  NULL, 0, NULL, 0),
				 0);
	if (launched && s >= CSV_SECRET) {
		if (es)
			assert_int_equal(csv_launch_update_vmsa(&csv), 0);
		assert_int_equal(csv_launch_measure(&csv, buf), 0);
	}
	if (launched && s >= CSV_RUNNING)
		assert_int_equal(csv_launch_finish(&csv), 0);
	if (launched && s > CSV_RUNNING)
		assert_int_equal(do_send_start(), 0);
	if (s == CSV_SENT)
		assert_int_equal(csv_send_finish(&csv), 0);
	assert_int_equal(csv.state, s);
	fake.n_issue = 0;
}

static int do_init(void)
{
	return csv_init(&csv, false, NULL);
}
static int do_es_init(void)
{
	return csv_init(&csv, true, NULL);
}
static int do_start(void)
{
	return csv_launch_start(&csv, csv.es ? 4 : 0, NULL, 0, NULL, 0);
}
static int do_add(void)
{
	return csv_region(&csv, ram, 64, true);
}
static int do_data(void)
{
	return csv_launch_update_data(&csv, ram, 64);
}
static int do_vmsa(void)
{
	return csv_launch_update_vmsa(&csv);
}
static int do_measure(void)
{
	return csv_launch_measure(&csv, buf);
}
static int do_secret(void)
{
	return csv_launch_secret(&csv, buf, 52, ram, 16, buf, 16);
}
static int do_finish(void)
{
	return csv_launch_finish(&csv);
}
static int do_status(void)
{
	struct csv_guest_status st;

	return csv_guest_status(&csv, &st);
}
static int do_report(void)
{
	uint32_t len = 64;

	return csv_attestation_report(&csv, buf, buf, &len);
}
static int do_debug(void)
{
	return csv_dbg_decrypt(&csv, ram, buf, 16);
}
static int do_platform(void)
{
	struct csv_platform_status st;

	return csv_platform_status(&csv, &st);
}
static int do_pdh(void)
{
	uint32_t a = 64, b = 64;

	return csv_pdh_export(&csv, buf, &a, buf, &b);
}

/* Letters: states that allow it, in the order of enum csv_state; '-' not. */
static const struct {
	const char *name, *plain, *es;
	int (*run)(void);
	uint32_t cmd;
	/* State after it; CSV_STATES: the same. */
	enum csv_state to;
} table[] = {
	{ "INIT", "n-------", "n-------", do_init, 0, CSV_INIT },
	{ "ES_INIT", "n-------", "n-------", do_es_init, 1, CSV_INIT },
	{ "LAUNCH_START", "-i------", "-i------", do_start, 2, CSV_LAUNCH },
	{ "register memory", "-ilsrSR-", "-ilsrSR-", do_add, 99, CSV_STATES },
	{ "LAUNCH_UPDATE_DATA", "--l-----", "--l-----", do_data, 3, CSV_STATES },
	{ "LAUNCH_UPDATE_VMSA", "--------", "--l-----", do_vmsa, 4, CSV_STATES },
	/* Not with the VMSAs missing. */
	{ "LAUNCH_MEASURE", "--l-----", "--------", do_measure, 6, CSV_SECRET },
	{ "LAUNCH_SECRET", "---s----", "---s----", do_secret, 5, CSV_STATES },
	{ "LAUNCH_FINISH", "---s----", "---s----", do_finish, 7, CSV_RUNNING },
	{ "GUEST_STATUS", "--lsrSRT", "--lsrSRT", do_status, 16, CSV_STATES },
	{ "ATTESTATION_REPORT", "--lsrS--", "--lsrS--", do_report, 20,
	  CSV_STATES },
	{ "DBG_DECRYPT", "--lsrS--", "--lsrS--", do_debug, 17, CSV_STATES },
	{ "SEND_START", "----r---", "----r---", do_send_start, 8, CSV_SEND },
	{ "SEND_UPDATE_DATA", "-----S--", "-----S--", do_send_data, 9,
	  CSV_STATES },
	{ "SEND_UPDATE_VMSA", "--------", "-----S--", do_send_vmsa, 10,
	  CSV_STATES },
	{ "COMMAND_BATCH (send)", "-----S--", "-----S--", do_send_batch, 24,
	  CSV_STATES },
	{ "SEND_FINISH", "-----S--", "-----S--", do_send_finish, 11, CSV_SENT },
	{ "SEND_CANCEL", "-----S--", "-----S--", do_send_cancel, 21, CSV_RUNNING },
	{ "RECEIVE_START", "-i------", "-i------", do_receive_start, 12,
	  CSV_RECEIVE },
	{ "RECEIVE_UPDATE_DATA", "------R-", "------R-", do_receive_data, 13,
	  CSV_STATES },
	{ "RECEIVE_UPDATE_VMSA", "--------", "------R-", do_receive_vmsa, 14,
	  CSV_STATES },
	{ "COMMAND_BATCH (receive)", "------R-", "------R-", do_receive_batch,
	  24, CSV_STATES },
	{ "RECEIVE_FINISH", "------R-", "------R-", do_receive_finish, 15,
	  CSV_RUNNING },
	{ "PLATFORM_STATUS", "nilsrSRT", "nilsrSRT", do_platform, 1, CSV_STATES },
	{ "PDH_CERT_EXPORT", "nilsrSRT", "nilsrSRT", do_pdh, 5, CSV_STATES },
};

static unsigned calls(void)
{
	return fake.n_issue + fake.n_platform + fake.n_add;
}

static void orders(void **state)
{
	unsigned i, es;
	int s;

	(void)state;
	for (i = 0; i < N(table); i++) {
		for (es = 0; es < 2; es++) {
			const char *ok = es ? table[i].es : table[i].plain;

			for (s = 0; s < CSV_STATES; s++) {
				enum csv_state to = table[i].to;

				become((enum csv_state)s, es, false);
				if (ok[s] == '-') {
					assert_int_equal(table[i].run(), -EPROTO);
					assert_int_equal(calls(), 0);
					assert_int_equal(csv.state, s);
					assert_int_equal(csv.err, -EPROTO);
					assert_int_equal(csv.fw, 0);
					assert_string_equal(csv.last,
							    table[i].name);
					assert_non_null(strstr(csv_error(&csv),
							       table[i].name));
					continue;
				}
				assert_int_equal(table[i].run(), 0);
				assert_int_equal(calls(), 1);
				if (table[i].cmd != 99)
					assert_int_equal(fake.cmd, table[i].cmd);
				assert_int_equal(csv.state, to == CSV_STATES
								    ? (unsigned)s
								    : to);
				assert_string_equal(csv_error(&csv), "no error");
			}
		}
	}
}

/* What the firmware refuses changes nothing and is told. */
static void refused(void **state)
{
	static const int err[] = { -EIO, -EBUSY };
	unsigned i, e;
	int s;

	(void)state;
	for (i = 0; i < N(table); i++) {
		for (s = 0; s < CSV_STATES; s++) {
			if (table[i].es[s] == '-')
				continue;
			for (e = 0; e < N(err); e++) {
				uint32_t fw = err[e] == -EIO ? 0x14 : 0;

				/* No firmware behind this one. */
				if (table[i].run == do_add)
					fw = 0;
				become((enum csv_state)s, true, false);
				answer(err[e], fw);
				assert_int_equal(table[i].run(), err[e]);
				assert_int_equal(csv.state, s);
				assert_int_equal(csv.err, err[e]);
				assert_int_equal(csv.fw, fw);
				assert_int_equal(csv.n_regions, 0);
				assert_string_equal(csv.last, table[i].name);
				assert_non_null(
					strstr(csv_error(&csv),
					       fw ? "HWERROR_UNSAFE (0x14)"
						  : "firmware not reached"));
			}
		}
	}
}

static void init(void **state)
{
	(void)state;
	assert_int_equal(csv_init(&csv, true, ""), 0);
	assert_false(fake.with_arg);
	assert_int_equal(fake.cmd, 1);
	assert_true(csv.es);
	(void)setup(NULL);
	assert_int_equal(csv_init(&csv, false, "abc"), 0);
	assert_int_equal(fake.cmd, 0);
	assert_false(csv.es);
	assert_true(fake.with_arg);
	assert_int_equal(fake.user_id_len & 0xffffffff, 3);
	assert_memory_equal(fake.user_id, "abc", 3);
}

static void start(void **state)
{
	uint8_t dh[8], session[8];

	(void)state;
	become(CSV_INIT, true, false);
	/* The wrong kind, half of the owner's files, empty or huge ones. */
	assert_int_equal(csv_launch_start(&csv, 1, NULL, 0, NULL, 0), -EINVAL);
	assert_int_equal(csv_launch_start(&csv, 5, dh, 8, NULL, 0), -EINVAL);
	assert_int_equal(csv_launch_start(&csv, 5, NULL, 0, session, 8), -EINVAL);
	assert_int_equal(csv_launch_start(&csv, 5, dh, 0, session, 8), -EINVAL);
	assert_int_equal(csv_launch_start(&csv, 5, dh, 8, session, 16385),
			 -EINVAL);
	assert_int_equal(csv_launch_start(&csv, 5, NULL, 1, NULL, 0), -EINVAL);
	assert_int_equal(fake.n_issue, 0);
	assert_int_equal(
		csv_launch_start(&csv, 0x01100005, dh, 16384, session, 8), 0);
	assert_int_equal(u32(0), 0);
	assert_int_equal(u32(4), 0x01100005);
	assert_true(u64(8) == (uintptr_t)dh);
	assert_int_equal(u32(16), 16384);
	assert_true(u64(24) == (uintptr_t)session);
	assert_int_equal(u32(32), 8);
	assert_int_equal(csv.handle, 0x77);
	assert_int_equal(csv.policy, 0x01100005);
	become(CSV_INIT, false, false);
	assert_int_equal(csv_launch_start(&csv, 4, NULL, 0, NULL, 0), -EINVAL);
	assert_int_equal(csv_launch_start(&csv, 0, NULL, 0, NULL, 0), 0);
	assert_true(u64(8) == 0 && u64(24) == 0);
}

static void update(void **state)
{
	(void)state;
	become(CSV_LAUNCH, true, false);
	assert_int_equal(csv_launch_update_data(&csv, ram, 0), -EINVAL);
	assert_int_equal(csv_launch_update_data(&csv, ram, 17), -EINVAL);
	assert_int_equal(csv_launch_update_data(&csv, ram + 8, 16), -EINVAL);
	assert_int_equal(fake.n_issue, 0);
	assert_int_equal(csv_launch_update_data(&csv, ram + 16, 32), 0);
	assert_true(u64(0) == (uintptr_t)ram + 16);
	assert_int_equal(u32(8), 32);
}

static void vmsa_once(void **state)
{
	(void)state;
	become(CSV_LAUNCH, true, false);
	assert_int_equal(do_vmsa(), 0);
	assert_false(fake.with_arg);
	assert_int_equal(do_vmsa(), -EPROTO);
	assert_int_equal(do_measure(), 0);
	/* Half of them may be in: neither again nor on. */
	become(CSV_LAUNCH, true, false);
	answer(-EIO, 9);
	assert_int_equal(do_vmsa(), -EIO);
	answer(0, 0);
	assert_int_equal(do_vmsa(), -EPROTO);
	assert_int_equal(do_measure(), -EPROTO);
	assert_int_equal(fake.n_issue, 1);
}

static void measure(void **state)
{
	uint8_t m[48], want[48];

	(void)state;
	become(CSV_LAUNCH, false, false);
	memset(m, 0x11, sizeof(m));
	memset(want, 0x11, sizeof(want));
	answer(-EIO, 2);
	assert_int_equal(csv_launch_measure(&csv, m), -EIO);
	assert_memory_equal(m, want, sizeof(m));
	answer(0, 0);
	memset(want, 0x5a, sizeof(want));
	assert_int_equal(csv_launch_measure(&csv, m), 0);
	assert_int_equal(u32(8), 48);
	assert_memory_equal(m, want, sizeof(m));
}

static void secret(void **state)
{
	uint8_t hdr[52], data[32];

	(void)state;
	become(CSV_SECRET, false, false);
	assert_int_equal(csv_launch_secret(&csv, NULL, 52, ram, 32, data, 32),
			 -EINVAL);
	assert_int_equal(csv_launch_secret(&csv, hdr, 0, ram, 32, data, 32),
			 -EINVAL);
	assert_int_equal(csv_launch_secret(&csv, hdr, 52, NULL, 32, data, 32),
			 -EINVAL);
	assert_int_equal(csv_launch_secret(&csv, hdr, 52, ram, 0, data, 32),
			 -EINVAL);
	assert_int_equal(csv_launch_secret(&csv, hdr, 52, ram, 32, NULL, 0),
			 -EINVAL);
	assert_int_equal(csv_launch_secret(&csv, hdr, 52, ram, 32, data, 16385),
			 -EINVAL);
	assert_int_equal(fake.n_issue, 0);
	assert_int_equal(csv_launch_secret(&csv, hdr, 52, ram, 48, data, 32), 0);
	assert_true(u64(0) == (uintptr_t)hdr);
	assert_int_equal(u32(8), 52);
	assert_true(u64(16) == (uintptr_t)ram);
	assert_int_equal(u32(24), 48);
	assert_true(u64(32) == (uintptr_t)data);
	assert_int_equal(u32(40), 32);
	/* More than one. */
	assert_int_equal(do_secret(), 0);
}

static void status(void **state)
{
	struct csv_guest_status st = { 1, 1, 1 };

	(void)state;
	become(CSV_RUNNING, true, true);
	answer(-EIO, 0x10);
	assert_int_equal(csv_guest_status(&csv, &st), -EIO);
	assert_int_equal(st.state, 1);
	answer(0, 0);
	assert_int_equal(csv_guest_status(&csv, &st), 0);
	assert_int_equal(st.handle, 0x77);
	assert_int_equal(st.policy, 5);
	assert_int_equal(st.state, 3);
}

static void report(void **state)
{
	static const uint8_t nonce[16] = "0123456789abcde";
	uint8_t out[4096];
	uint32_t len = 0;

	(void)state;
	become(CSV_RUNNING, true, true);
	/* A question for the size. */
	answer(-EIO, 4);
	fake.len = 4096;
	assert_int_equal(csv_attestation_report(&csv, nonce, NULL, &len), 0);
	assert_int_equal(len, 4096);
	assert_null(csv.last);
	/* Too small: refused, and the size is told. */
	len = 100;
	assert_int_equal(csv_attestation_report(&csv, nonce, out, &len), -EIO);
	assert_int_equal(len, 4096);
	assert_int_equal(csv.fw, 4);
	/* Another failure tells nothing. */
	answer(-EIO, 1);
	fake.len = 7;
	assert_int_equal(csv_attestation_report(&csv, nonce, out, &len), -EIO);
	assert_int_equal(len, 4096);
	len = 0;
	assert_int_equal(csv_attestation_report(&csv, nonce, NULL, &len), -EIO);
	assert_int_equal(len, 0);
	answer(0, 0);
	fake.len = 336;
	len = 4096;
	assert_int_equal(csv_attestation_report(&csv, nonce, out, &len), 0);
	assert_int_equal(len, 336);
	assert_memory_equal(fake.arg, nonce, 16);
	assert_true(u64(16) == (uintptr_t)out);
	assert_int_equal(u32(24), 4096);
	fake.n_issue = 0;
	len = 16385;
	assert_int_equal(csv_attestation_report(&csv, nonce, out, &len), -EINVAL);
	len = 1;
	assert_int_equal(csv_attestation_report(&csv, nonce, NULL, &len),
			 -EINVAL);
	assert_int_equal(fake.n_issue, 0);
}

static void debug(void **state)
{
	(void)state;
	become(CSV_RUNNING, false, true);
	assert_int_equal(do_debug(), -EPROTO);
	assert_non_null(strstr(csv_error(&csv), "nodbg"));
	assert_int_equal(fake.n_issue, 0);
	become(CSV_RUNNING, false, false);
	assert_int_equal(csv_dbg_decrypt(&csv, NULL, buf, 16), -EINVAL);
	assert_int_equal(csv_dbg_decrypt(&csv, ram, NULL, 16), -EINVAL);
	assert_int_equal(csv_dbg_decrypt(&csv, ram, buf, 0), -EINVAL);
	assert_int_equal(fake.n_issue, 0);
	assert_int_equal(csv_dbg_decrypt(&csv, ram, buf, 32), 0);
	assert_true(u64(0) == (uintptr_t)ram);
	assert_true(u64(8) == (uintptr_t)buf);
	assert_int_equal(u32(16), 32);
}

/* Twelve bytes as the firmware writes them ([csv-abi] 2.3). */
static void send_start(void **state)
{
	struct csv_target t = target;
	uint32_t len = 0;

	(void)state;
	/* The owner does not want it sent. */
	become(CSV_INIT, true, false);
	assert_int_equal(csv_launch_start(&csv, 4 | 8, NULL, 0, NULL, 0), 0);
	assert_int_equal(do_vmsa(), 0);
	assert_int_equal(do_measure(), 0);
	assert_int_equal(do_finish(), 0);
	fake.n_issue = 0;
	assert_int_equal(do_send_start(), -EPROTO);
	assert_non_null(strstr(csv_error(&csv), "nosend"));
	assert_int_equal(fake.n_issue, 0);
	/* A question for the size; then one that is too small. */
	become(CSV_RUNNING, true, true);
	answer(-EIO, 4);
	fake.len = 128;
	assert_int_equal(csv_send_start(&csv, &t, NULL, &len), 0);
	assert_int_equal(len, 128);
	assert_int_equal(csv.state, CSV_RUNNING);
	assert_null(csv.last);
	len = 100;
	assert_int_equal(csv_send_start(&csv, &t, buf, &len), -EIO);
	assert_int_equal(len, 128);
	answer(-EIO, 10);
	fake.len = 7;
	assert_int_equal(csv_send_start(&csv, &t, buf, &len), -EIO);
	assert_int_equal(len, 128);
	/* KVM wants all of them. */
	fake.n_issue = 0;
	t.pdh_len = 0;
	assert_int_equal(csv_send_start(&csv, &t, buf, &len), -EINVAL);
	t = target;
	t.plat = NULL;
	assert_int_equal(csv_send_start(&csv, &t, buf, &len), -EINVAL);
	t = target;
	t.amd_len = 16385;
	assert_int_equal(csv_send_start(&csv, &t, buf, &len), -EINVAL);
	t = target;
	assert_int_equal(csv_send_start(&csv, &t, NULL, &len), -EINVAL);
	len = 16385;
	assert_int_equal(csv_send_start(&csv, &t, buf, &len), -EINVAL);
	assert_int_equal(fake.n_issue, 0);
	/* [csv-abi] 1.2, send_start. */
	answer(0, 0);
	fake.len = 120;
	len = 16384;
	assert_int_equal(csv_send_start(&csv, &t, ram, &len), 0);
	assert_int_equal(len, 120);
	assert_true(u64(8) == (uintptr_t)buf && u32(16) == 11);
	assert_true(u64(24) == (uintptr_t)buf + 1 && u32(32) == 12);
	assert_true(u64(40) == (uintptr_t)buf + 2 && u32(48) == 13);
	assert_true(u64(56) == (uintptr_t)ram && u32(64) == 16384);
	assert_int_equal(csv.state, CSV_SEND);
}

static void receive_start(void **state)
{
	(void)state;
	become(CSV_INIT, true, false);
	assert_int_equal(csv_receive_start(&csv, 0, buf, 8, buf, 8), -EINVAL);
	assert_int_equal(csv_receive_start(&csv, 4, NULL, 8, buf, 8), -EINVAL);
	assert_int_equal(csv_receive_start(&csv, 4, buf, 0, buf, 8), -EINVAL);
	assert_int_equal(csv_receive_start(&csv, 4, buf, 8, NULL, 8), -EINVAL);
	assert_int_equal(csv_receive_start(&csv, 4, buf, 8, buf, 16385), -EINVAL);
	assert_int_equal(fake.n_issue, 0);
	assert_int_equal(csv_receive_start(&csv, 0x15, buf, 9, ram, 16384), 0);
	assert_true(u32(0) == 0 && u32(4) == 0x15);
	assert_true(u64(8) == (uintptr_t)buf && u32(16) == 9);
	assert_true(u64(24) == (uintptr_t)ram && u32(32) == 16384);
	assert_int_equal(csv.handle, 0x99);
	assert_int_equal(csv.policy, 0x15);
	/* Received with it, debugging is as forbidden as at home. */
	assert_int_equal(csv_receive_finish(&csv), 0);
	assert_int_equal(do_debug(), -EPROTO);
}

/* Which of them comes through: @p is wrong in one way. */
static void packet_refused(struct csv_packet p)
{
	become(CSV_SEND, true, false);
	assert_int_equal(csv_send_data(&csv, &p), -EINVAL);
	assert_int_equal(csv_batch(&csv, true, &p, 1), -E2BIG);
	assert_int_equal(fake.n_issue, 0);
	become(CSV_RECEIVE, true, false);
	assert_int_equal(csv_receive_data(&csv, &p), -EINVAL);
	assert_int_equal(csv_batch(&csv, false, &p, 1), -E2BIG);
	assert_int_equal(fake.n_issue, 0);
}

#define REFUSED(field, value)         \
	do {                          \
		struct csv_packet p_; \
                                      \
		p_ = packet();        \
		p_.field = (value);   \
		packet_refused(p_);   \
	} while (0)

static void packets(void **state)
{
	struct csv_packet p = packet();
	uint32_t hdr = 1, trans = 2;

	(void)state;
	REFUSED(hdr, NULL);
	REFUSED(hdr_len, 0);
	REFUSED(hdr_len, 16385);
	REFUSED(trans, NULL);
	REFUSED(trans_len, 0);
	REFUSED(trans_len, 16385);
	REFUSED(guest, NULL);
	REFUSED(guest_len, 0);
	REFUSED(guest_len, 4097);
	REFUSED(guest, page + 1);
	become(CSV_SEND, true, false);
	p.guest = page + 4000;
	p.guest_len = 96;
	p.hdr_len = 16384;
	assert_int_equal(csv_send_data(&csv, &p), 0);
	assert_true(u64(0) == (uintptr_t)buf && u32(8) == 16384);
	assert_true(u64(16) == (uintptr_t)page + 4000 && u32(24) == 96);
	assert_true(u64(32) == (uintptr_t)page && u32(40) == 4096);
	/* Sizes: asked with nothing, and they must make sense. */
	answer(-EIO, 4);
	fake.len = 52;
	fake.len2 = 4096;
	assert_int_equal(csv_send_sizes(&csv, &hdr, &trans), 0);
	assert_true(!u64(0) && !u32(8) && !u64(16) && !u32(24) && !u32(40));
	assert_true(hdr == 52 && trans == 4096);
	assert_null(csv.last);
	fake.len2 = 16385;
	assert_int_equal(csv_send_sizes(&csv, &hdr, &trans), -EINVAL);
	fake.len = 0;
	fake.len2 = 1;
	assert_int_equal(csv_send_sizes(&csv, &hdr, &trans), -EINVAL);
	answer(-EIO, 2);
	assert_int_equal(csv_send_sizes(&csv, &hdr, &trans), -EIO);
	assert_true(hdr == 52 && trans == 4096);
	answer(0, 0);
	/* A vCPU, by KVM's id. */
	p = vmsa_packet();
	assert_int_equal(csv_send_vmsa(&csv, 0x1234, &p), 0);
	assert_int_equal(u32(0), 0x1234);
	assert_true(u64(8) == (uintptr_t)buf && u32(16) == 52);
	assert_true(u64(24) == (uintptr_t)page && u32(32) == 4096);
	fake.n_issue = 0;
	p.guest = page;
	assert_int_equal(csv_send_vmsa(&csv, 0, &p), -EINVAL);
	p = vmsa_packet();
	p.guest_len = 1;
	assert_int_equal(csv_send_vmsa(&csv, 0, &p), -EINVAL);
	p = vmsa_packet();
	p.trans_len = 0;
	assert_int_equal(csv_send_vmsa(&csv, 0, &p), -EINVAL);
	assert_int_equal(fake.n_issue, 0);
}

static void batches(void **state)
{
	static const unsigned n[] = { 1, 2, 2047, 2048, 4093, 4094 };
	static struct csv_packet p[4095];
	unsigned i, recv;

	(void)state;
	for (i = 0; i < 4095; i++) {
		p[i] = packet();
		p[i].hdr_len = i + 1;
	}
	for (recv = 0; recv < 2; recv++) {
		become(recv ? CSV_RECEIVE : CSV_SEND, true, false);
		assert_int_equal(csv_batch(&csv, !recv, NULL, 0), 0);
		assert_int_equal(csv_batch(&csv, !recv, p, 4095), -E2BIG);
		assert_int_equal(csv_batch(&csv, !recv, p, ~0u), -E2BIG);
		p[7].trans_len = 4097;
		assert_int_equal(csv_batch(&csv, !recv, p, 8), -E2BIG);
		p[7].trans_len = 4096;
		assert_int_equal(fake.n_issue, 0);
		for (i = 0; i < N(n); i++) {
			assert_int_equal(csv_batch(&csv, !recv, p, n[i]), 0);
			assert_int_equal(u32(0), recv ? 13 : 9);
			assert_int_equal(fake.n_nodes, n[i]);
			memcpy(fake.arg, fake.node, 48);
			assert_true(u64(0) == (uintptr_t)buf);
			assert_int_equal(u32(8), n[i]);
			assert_true(u64(16) == (uintptr_t)page);
			assert_int_equal(u32(24), 4096);
			assert_true(u64(32) == (uintptr_t)page);
			assert_int_equal(u32(40), 4096);
		}
		/* A kernel without it. */
		answer(-EINVAL, 0);
		assert_int_equal(csv_batch(&csv, !recv, p, 1), -EINVAL);
		answer(-EIO, 11);
		assert_int_equal(csv_batch(&csv, !recv, p, 1), -EIO);
		assert_int_equal(csv.fw, 11);
		answer(0, 0);
	}
}

static void platform(void **state)
{
	static const uint8_t amd[12] = { 0, 24, 2, 0, 1, 0, 0, 15, 3 };
	/* Build 2167 = 0x877, 31 bits above config_es. */
	static const uint8_t hygon[12] = { 1, 3, 1, 3, 0xef, 0x10, 0, 0, 0, 1 };
	static const uint8_t wide[12] = { 1, 3, 1, 0, 2, 0, 0, 0x80 };
	struct csv_platform_status st;

	(void)state;
	memcpy(&fake.status, amd, 12);
	assert_int_equal(csv_platform_status(&csv, &st), 0);
	assert_int_equal(st.api_major, 0);
	assert_int_equal(st.api_minor, 24);
	assert_int_equal(st.state, 2);
	assert_int_equal(st.flags, 0x100);
	assert_int_equal(st.build, 15);
	assert_int_equal(st.guest_count, 3);
	assert_true(st.es);
	assert_false(st.owned);
	memcpy(&fake.status, hygon, 12);
	assert_int_equal(csv_platform_status(&csv, &st), 0);
	assert_int_equal(st.build, 2167);
	assert_true(st.es && st.owned);
	assert_int_equal(st.guest_count, 256);
	memcpy(&fake.status, wide, 12);
	assert_int_equal(csv_platform_status(&csv, &st), 0);
	assert_int_equal(st.build, 0x40000001);
	assert_false(st.es || st.owned);
	answer(-EIO, 1);
	memset(&fake.status, 0, 12);
	assert_int_equal(csv_platform_status(&csv, &st), -EIO);
	assert_int_equal(st.build, 0x40000001);
}

static void pdh(void **state)
{
	uint8_t cert[2084], chain[6252];
	uint32_t a = sizeof(cert), b = 0;

	(void)state;
	answer(-EIO, 4);
	fake.len = 2084;
	fake.len2 = 6252;
	assert_int_equal(csv_pdh_export(&csv, cert, &a, NULL, &b), 0);
	assert_int_equal(a, 2084);
	assert_int_equal(b, 6252);
	assert_true(!u64(0) && !u32(8) && !u64(12) && !u32(20));
	assert_null(csv.last);
	a = 1;
	assert_int_equal(csv_pdh_export(&csv, cert, &a, chain, &b), -EIO);
	assert_int_equal(a, 2084);
	answer(0, 0);
	assert_int_equal(csv_pdh_export(&csv, cert, &a, chain, &b), 0);
	assert_true(u64(0) == (uintptr_t)cert);
	assert_int_equal(u32(8), 2084);
	assert_true(u64(12) == (uintptr_t)chain);
	assert_int_equal(u32(20), 6252);
	answer(-EIO, 6);
	fake.len = fake.len2 = 3;
	assert_int_equal(csv_pdh_export(&csv, cert, &a, chain, &b), -EIO);
	assert_int_equal(a, 2084);
	assert_int_equal(b, 6252);
	fake.n_platform = 0;
	assert_int_equal(csv_pdh_export(&csv, NULL, &a, chain, &b), -EINVAL);
	b = 16385;
	assert_int_equal(csv_pdh_export(&csv, cert, &a, chain, &b), -EINVAL);
	assert_int_equal(fake.n_platform, 0);
}

static void regions(void **state)
{
	unsigned i;

	(void)state;
	become(CSV_LAUNCH, false, false);
	assert_int_equal(csv_region(&csv, NULL, 64, true), -EINVAL);
	assert_int_equal(csv_region(&csv, ram, 0, true), -EINVAL);
	for (i = 0; i < CSV_REGIONS_MAX; i++)
		assert_int_equal(csv_region(&csv, ram + i, 0x100 + i, true), 0);
	assert_int_equal(csv_region(&csv, ram, 1, true), -ENOSPC);
	assert_int_equal(fake.n_add, CSV_REGIONS_MAX);
	assert_int_equal(csv_region(&csv, ram + 2, 1, false), -ENOENT);
	assert_int_equal(fake.n_remove, 0);
	/* One that can't be removed stays known. */
	answer(-EBUSY, 0);
	assert_int_equal(csv_region(&csv, ram + 2, 0x102, false), -EBUSY);
	assert_int_equal(csv.n_regions, CSV_REGIONS_MAX);
	answer(0, 0);
	assert_int_equal(csv_region(&csv, ram + 2, 0x102, false), 0);
	assert_ptr_equal(fake.host[0], ram + 2);
	assert_int_equal(csv_region(&csv, ram + 2, 0x102, false), -ENOENT);
	assert_int_equal(csv.n_regions, CSV_REGIONS_MAX - 1);
	csv_close(&csv);
	/* The last one first. */
	assert_int_equal(fake.n_remove, CSV_REGIONS_MAX);
	assert_ptr_equal(fake.host[1], ram + CSV_REGIONS_MAX - 1);
	assert_true(fake.size[1] == 0x100 + CSV_REGIONS_MAX - 1);
	assert_ptr_equal(fake.host[CSV_REGIONS_MAX - 1], ram);
}

static void unregister(void **state)
{
	int s;

	(void)state;
	for (s = 0; s < CSV_STATES; s++) {
		become((enum csv_state)s, true, false);
		csv.region[0] = (struct csv_region){ ram, 64 };
		csv.n_regions = 1;
		assert_int_equal(csv_region(&csv, ram, 64, false),
				 s == CSV_NEW ? -EPROTO : 0);
		assert_int_equal(fake.n_remove, s != CSV_NEW);
	}
}

static void close_any(void **state)
{
	unsigned i;
	int s;

	(void)state;
	for (s = 0; s < CSV_STATES; s++) {
		become((enum csv_state)s, true, false);
		if (s != CSV_NEW && s != CSV_SENT)
			assert_int_equal(do_add(), 0);
		/* A teardown goes on whatever the backend says. */
		answer(s % 2 ? -EIO : 0, 0);
		csv_close(&csv);
		csv_close(&csv);
		assert_int_equal(fake.n_close, 1);
		assert_int_equal(csv.n_regions, 0);
		assert_int_equal(fake.n_issue, 0);
		answer(0, 0);
		fake.n_add = 0;
		for (i = 0; i < N(table); i++)
			assert_int_equal(table[i].run(), -EPROTO);
		assert_int_equal(calls(), 0);
		assert_non_null(strstr(csv_error(&csv), "closed"));
	}
}

static void words(void **state)
{
	static const char *const name[] = {
		"SUCCESS",
		"INVALID_PLATFORM_STATE",
		"INVALID_GUEST_STATE",
		"INVALID_CONFIG",
		"INVALID_LEN",
		"ALREADY_OWNED",
		"INVALID_CERTIFICATE",
		"POLICY_FAILURE",
		"INACTIVE",
		"INVALID_ADDRESS",
		"BAD_SIGNATURE",
		"BAD_MEASUREMENT",
		"ASID_OWNED",
		"INVALID_ASID",
		"WBINVD_REQUIRED",
		"DFFLUSH_REQUIRED",
		"INVALID_GUEST",
		"INVALID_COMMAND",
		"ACTIVE",
		"HWERROR_PLATFORM",
		"HWERROR_UNSAFE",
		"UNSUPPORTED",
		"INVALID_PARAM",
		"RESOURCE_LIMIT",
		"SECURE_DATA_INVALID",
	};
	uint32_t i;

	(void)state;
	for (i = 0; i < N(name); i++)
		assert_string_equal(csv_fw_words(i)->name, name[i]);
	assert_string_equal(csv_fw_words(0x1f)->name, "RING_BUFFER_EXIT");
	assert_string_equal(csv_fw_words(0xffffffff)->name, "NO_FW_CALL");
	assert_string_equal(csv_fw_words(0x1e)->name, "unknown status");
	for (i = 0; i < 0x10001; i++) {
		const struct csv_fw_words *w = csv_fw_words(i);

		assert_true(w && w->name[0] && w->meaning[0] && w->next[0]);
	}
}

static void errors(void **state)
{
	char want[200];
	uint32_t fw;

	(void)state;
	assert_string_equal(csv_error(&csv), "no error");
	become(CSV_INIT, false, false);
	answer(-EIO, 7);
	assert_int_equal(do_start(), -EIO);
	assert_string_equal(
		csv_error(&csv),
		"LAUNCH_START: firmware: POLICY_FAILURE (0x7): the guest's policy "
		"forbids this on this platform; next: check `policy` (minimum API, "
		"es, nosend, domain)");
	answer(-ENOMEM, 0);
	assert_int_equal(do_add(), -ENOMEM);
	assert_non_null(strstr(csv_error(&csv), "register memory: "));
	assert_non_null(strstr(csv_error(&csv), "LimitMEMLOCK="));
	assert_int_equal(do_finish(), -EPROTO);
	assert_string_equal(csv_error(&csv),
			    "LAUNCH_FINISH: refused in state init: not in this "
			    "state; next: report this, the order is ours");
	/* Never cut off. */
	for (fw = 1; fw < 0x21; fw++) {
		const struct csv_fw_words *w = csv_fw_words(fw);

		answer(-EIO, fw);
		assert_int_equal(do_start(), -EIO);
		(void)snprintf(want, sizeof(want), "; next: %s", w->next);
		assert_non_null(strstr(csv_error(&csv), want));
	}
	assert_string_equal(csv_state_name(CSV_NEW), "new");
	assert_string_equal(csv_state_name(CSV_SENT), "sent");
	assert_string_equal(csv_state_name(CSV_STATES), "?");
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(orders),  T(refused),	  T(init),	 T(start),
		T(update),  T(vmsa_once), T(measure),	 T(secret),
		T(status),  T(report),	  T(debug),	 T(platform),
		T(pdh),	    T(regions),	  T(unregister), T(close_any),
		T(words),   T(errors),	  T(send_start), T(receive_start),
		T(packets), T(batches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
