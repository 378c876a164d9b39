/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Status, negotiation and queue life of a virtio device ([VIRTIO] 2, 3.1). */
#include "tests/unit/test.h"

#include <fcntl.h>

#include "core/bytes.h"
#include "devices/virtio.h"
#include "tests/unit/fake_kvm.h"

#define ACK	    1
#define DRIVER	    2
#define DRIVER_OK   4
#define FEATURES_OK 8
#define NEEDS_RESET 0x40
#define FAILED	    0x80
#define READY	    (ACK | DRIVER | FEATURES_OK)

#define VERSION_1	(1ULL << 32)
#define ACCESS_PLATFORM (1ULL << 33)
#define INDIRECT_DESC	(1ULL << 28)
#define EVENT_IDX	(1ULL << 29)
#define OWN_FEATURE	(1ULL << 5)

#define DESC  0x10000u
#define AVAIL 0x20000u
#define USED  0x30000u

/* A device that counts; first member is the virtio part, as in real ones. */
struct toy {
	struct virtio_dev v;
	unsigned starts, stops, kicks[VIRTIO_QUEUES_MAX];
	unsigned queue_irqs, config_irqs;
	int start_result, stop_result;
};

static struct machine m;
static struct toy toy;

static int toy_start(struct virtio_dev *dev)
{
	struct toy *t = container_of(dev, struct toy, v);

	t->starts++;
	return t->start_result;
}

static int toy_stop(struct virtio_dev *dev)
{
	struct toy *t = container_of(dev, struct toy, v);

	t->stops++;
	return t->stop_result;
}

static void toy_kick(struct virtio_dev *dev, unsigned q)
{
	container_of(dev, struct toy, v)->kicks[q]++;
}

static const struct virtio_model toy_model = {
	.name = "toy",
	.id = 99,
	.start = toy_start,
	.stop = toy_stop,
	.kick = toy_kick,
};

static void toy_queue_irq(struct virtio_dev *dev, unsigned q)
{
	(void)q;
	container_of(dev, struct toy, v)->queue_irqs++;
}

static void toy_config_irq(struct virtio_dev *dev)
{
	container_of(dev, struct toy, v)->config_irqs++;
}

static const struct virtio_transport toy_transport = {
	.queue_irq = toy_queue_irq,
	.config_irq = toy_config_irq,
};

static void toy_fill(void)
{
	unsigned i;

	toy = (struct toy){ .v = { .model = &toy_model,
				   .transport = &toy_transport,
				   .features = OWN_FEATURE,
				   .n_queues = 3,
				   .config_len = 8 } };
	for (i = 0; i < VIRTIO_QUEUES_MAX; i++)
		toy.v.queue[i].size_max = 8;
}

static int setup(void **state)
{
	(void)state;
	toy_fill();
	if (fake_machine_init(&m, MIB(1)))
		return -1;
	return virtio_init(&toy.v, &m);
}

static int teardown(void **state)
{
	(void)state;
	virtio_fini(&toy.v);
	virtio_fini(&toy.v);
	fake_machine_fini(&m);
	return 0;
}

static void queue_on(unsigned q)
{
	toy.v.queue[q].vq.desc = DESC + 0x1000 * q;
	toy.v.queue[q].vq.avail = AVAIL + 0x1000 * q;
	toy.v.queue[q].vq.used = USED + 0x1000 * q;
	toy.v.queue[q].enabled = true;
}

static void negotiate(uint64_t features)
{
	virtio_set_status(&toy.v, ACK);
	virtio_set_status(&toy.v, ACK | DRIVER);
	toy.v.acked = features;
	virtio_set_status(&toy.v, READY);
}

static void go(void)
{
	negotiate(VERSION_1);
	queue_on(0);
	queue_on(2);
	virtio_set_status(&toy.v, READY | DRIVER_OK);
	assert_int_equal(toy.v.status, READY | DRIVER_OK);
	assert_true(toy.v.started);
}

/* Make descriptor @head of queue @q a readable buffer and offer it. */
static void offer(unsigned q, uint16_t head, uint64_t addr)
{
	uint8_t d[16] = { 0 };
	uint8_t w[2];
	uint16_t idx;

	put_le64(d, addr);
	put_le32(d + 8, 4);
	assert_int_equal(
		gmem_write(&m.gmem, DESC + 0x1000 * q + 16u * head, d, 16), 0);
	assert_int_equal(gmem_load16(&m.gmem, AVAIL + 0x1000 * q + 2, &idx), 0);
	put_le16(w, head);
	assert_int_equal(gmem_write(&m.gmem,
				    AVAIL + 0x1000 * q + 4 + 2 * (idx % 8), w, 2),
			 0);
	assert_int_equal(gmem_store16(&m.gmem, AVAIL + 0x1000 * q + 2,
				      (uint16_t)(idx + 1)),
			 0);
}

static uint16_t used_idx(unsigned q)
{
	uint16_t idx;

	assert_int_equal(gmem_load16(&m.gmem, USED + 0x1000 * q + 2, &idx), 0);
	return idx;
}

static void test_init(void **state)
{
	static const uint16_t bad_size[] = { 0, 3, 257, 512, 0xffff };
	unsigned i;

	(void)state;
	assert_true(toy.v.features == (OWN_FEATURE | VERSION_1 | EVENT_IDX |
				       ACCESS_PLATFORM | INDIRECT_DESC));
	assert_int_equal(toy.v.status, 0);
	assert_int_equal(toy.v.queue[0].vq.size, 8);
	assert_int_equal(toy.v.queue[0].vector, VIRTIO_NO_VECTOR);
	virtio_fini(&toy.v);
	for (i = 0; i < ARRAY_SIZE(bad_size); i++) {
		toy_fill();
		toy.v.queue[2].size_max = bad_size[i];
		assert_int_equal(virtio_init(&toy.v, &m), -EINVAL);
		virtio_fini(&toy.v);
	}
	toy_fill();
	toy.v.n_queues = VIRTIO_QUEUES_MAX + 1;
	assert_int_equal(virtio_init(&toy.v, &m), -EINVAL);
	virtio_fini(&toy.v);
	toy_fill();
	toy.v.config_len = VIRTIO_CONFIG_MAX + 1;
	assert_int_equal(virtio_init(&toy.v, &m), -EINVAL);
}

static void test_fini_closes(void **state)
{
	int fd = toy.v.queue[1].kick.fd;

	(void)state;
	assert_true(fcntl(fd, F_GETFD) >= 0);
	go();
	virtio_fini(&toy.v);
	assert_int_equal(toy.stops, 1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_features(void **state)
{
	static const struct {
		uint64_t acked;
		bool platform;
		bool ok;
	} t[] = {
		{ VERSION_1, false, true },
		{ VERSION_1 | OWN_FEATURE | EVENT_IDX, false, true },
		{ VERSION_1 | ACCESS_PLATFORM, true, true },
		{ VERSION_1, true, false },
		{ ACCESS_PLATFORM, true, false },
		{ 0, false, false },
		{ OWN_FEATURE, false, false },
		{ VERSION_1 | 1ULL << 6, false, false },
		{ VERSION_1 | 1ULL << 34, false, false }, /* packed */
		{ VERSION_1 | 1ULL << 38, false, false }, /* notify data */
		{ VERSION_1 | 1ULL << 40, false, false }, /* queue reset */
		{ VERSION_1 | 1ULL << 63, false, false },
		{ UINT64_MAX, false, false },
	};
	unsigned i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		virtio_set_status(&toy.v, 0);
		toy.v.must_access_platform = t[i].platform;
		negotiate(t[i].acked);
		assert_int_equal(toy.v.status, t[i].ok ? READY : ACK | DRIVER);
		/* A driver that goes on regardless gets nowhere. */
		virtio_set_status(&toy.v, READY | DRIVER_OK);
		assert_int_equal(!!(toy.v.status & DRIVER_OK), t[i].ok);
	}
}

static void test_status_bits(void **state)
{
	(void)state;
	virtio_set_status(&toy.v, 0x10 | 0x20 | NEEDS_RESET);
	assert_int_equal(toy.v.status, 0);
	virtio_set_status(&toy.v, ACK | DRIVER);
	/* [VIRTIO] 2.1.1: bits are not cleared one by one. */
	virtio_set_status(&toy.v, DRIVER);
	assert_int_equal(toy.v.status, ACK | DRIVER);
	virtio_set_status(&toy.v, FAILED);
	assert_int_equal(toy.v.status, ACK | DRIVER | FAILED);
	virtio_set_status(&toy.v, 0);
	assert_int_equal(toy.v.status, 0);
	/* DRIVER_OK out of the blue. */
	virtio_set_status(&toy.v, DRIVER_OK);
	assert_int_equal(toy.v.status, 0);
	assert_int_equal(toy.starts, 0);
	/* All at once is legal enough if the features are. */
	toy.v.acked = VERSION_1;
	virtio_set_status(&toy.v, READY | DRIVER_OK);
	assert_int_equal(toy.v.status, READY | DRIVER_OK);
	/* Once more starts nothing. */
	virtio_set_status(&toy.v, READY | DRIVER_OK);
	assert_int_equal(toy.starts, 1);
}

static void test_bad_addresses(void **state)
{
	(void)state;
	negotiate(VERSION_1);
	queue_on(0);
	queue_on(1);
	toy.v.queue[1].vq.avail = MIB(1) - 2;
	virtio_set_status(&toy.v, READY | DRIVER_OK);
	assert_int_equal(toy.v.status, READY | DRIVER_OK | NEEDS_RESET);
	assert_int_equal(toy.config_irqs, 1);
	assert_int_equal(toy.starts, 0);
	/* Only a reset helps, and there is nothing to stop. */
	virtio_set_status(&toy.v, READY | DRIVER_OK);
	assert_int_equal(toy.starts, 0);
	virtio_set_status(&toy.v, 0);
	assert_int_equal(toy.stops, 0);
	go();
	assert_int_equal(toy.starts, 1);
	/* A queue that is not enabled may have any address. */
	virtio_set_status(&toy.v, 0);
	negotiate(VERSION_1);
	toy.v.queue[1].vq.desc = 1;
	virtio_set_status(&toy.v, READY | DRIVER_OK);
	assert_int_equal(toy.v.status, READY | DRIVER_OK);
}

static void test_start_fails(void **state)
{
	(void)state;
	toy.start_result = -EIO;
	negotiate(VERSION_1);
	queue_on(0);
	virtio_set_status(&toy.v, READY | DRIVER_OK);
	assert_int_equal(toy.v.status, READY | DRIVER_OK | NEEDS_RESET);
	assert_int_equal(toy.config_irqs, 1);
	virtio_kick(&toy.v, 0);
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 0);
	virtio_reset(&toy.v);
	assert_int_equal(toy.stops, 0);
}

static void test_kicks(void **state)
{
	(void)state;
	virtio_kick(&toy.v, 0);
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 0);
	/* Enabled, but before DRIVER_OK. */
	queue_on(0);
	virtio_kick(&toy.v, 0);
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 0);
	go();
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 0);
	virtio_kick(&toy.v, 0);
	virtio_kick(&toy.v, 0);
	virtio_kick(&toy.v, 1); /* not enabled */
	virtio_kick(&toy.v, 2);
	virtio_kick(&toy.v, 3); /* no such queue */
	virtio_kick(&toy.v, 0xffff);
	assert_int_equal(toy.kicks[0], 0);
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 1);
	assert_int_equal(toy.kicks[1], 0);
	assert_int_equal(toy.kicks[2], 1);
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 1);
	/* One that arrives after a reset is dropped. */
	virtio_kick(&toy.v, 0);
	virtio_set_status(&toy.v, 0);
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 1);
	go();
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[0], 1);
}

static void test_io(void **state)
{
	static struct chain c;

	(void)state;
	go();
	assert_false(virtio_pop(&toy.v, 0, &c));
	offer(0, 5, 0x4000);
	assert_true(virtio_pop(&toy.v, 0, &c));
	assert_int_equal(c.head, 5);
	virtio_notify(&toy.v, 0);
	assert_int_equal(toy.queue_irqs, 0);
	virtio_push(&toy.v, 0, 5, 0);
	assert_int_equal(used_idx(0), 1);
	assert_int_equal(toy.queue_irqs, 0);
	virtio_notify(&toy.v, 0);
	virtio_notify(&toy.v, 0);
	assert_int_equal(toy.queue_irqs, 1);
}

static void test_not_live(void **state)
{
	static struct chain c;

	(void)state;
	negotiate(VERSION_1);
	queue_on(0);
	queue_on(1);
	toy.v.queue[1].enabled = false;
	offer(0, 0, 0x4000);
	offer(1, 0, 0x4000);
	/* Before DRIVER_OK nothing may be touched ([VIRTIO] 2.1.2). */
	assert_false(virtio_pop(&toy.v, 0, &c));
	virtio_push(&toy.v, 0, 0, 0);
	virtio_notify(&toy.v, 0);
	assert_int_equal(used_idx(0), 0);
	virtio_set_status(&toy.v, READY | DRIVER_OK);
	assert_true(virtio_pop(&toy.v, 0, &c));
	assert_false(virtio_pop(&toy.v, 1, &c));
	virtio_push(&toy.v, 1, 0, 0);
	assert_int_equal(used_idx(1), 0);
	/* A completion that comes after a reset goes nowhere. */
	virtio_set_status(&toy.v, 0);
	virtio_push(&toy.v, 0, 0, 0);
	virtio_notify(&toy.v, 0);
	assert_int_equal(used_idx(0), 0);
	assert_int_equal(toy.queue_irqs, 0);
}

static void test_broken_ring(void **state)
{
	static struct chain c;

	(void)state;
	go();
	offer(2, 0, 0x4000);
	offer(0, 1, 0x4000);
	offer(0, 8, 0x4000);
	assert_true(virtio_pop(&toy.v, 0, &c));
	assert_false(virtio_pop(&toy.v, 0, &c));
	assert_int_equal(toy.v.status, READY | DRIVER_OK | NEEDS_RESET);
	assert_int_equal(toy.config_irqs, 1);
	/* The other queues stop as well, and in-flight work vanishes. */
	assert_false(virtio_pop(&toy.v, 2, &c));
	virtio_push(&toy.v, 0, 1, 0);
	virtio_notify(&toy.v, 0);
	assert_int_equal(used_idx(0), 0);
	assert_int_equal(toy.queue_irqs, 0);
	virtio_kick(&toy.v, 2);
	fake_machine_turn(&m);
	assert_int_equal(toy.kicks[2], 0);
	assert_int_equal(toy.config_irqs, 1);
	/* The model is still started; the reset stops it, once. */
	assert_int_equal(toy.stops, 0);
	virtio_set_status(&toy.v, 0);
	virtio_set_status(&toy.v, 0);
	assert_int_equal(toy.stops, 1);
	assert_int_equal(toy.v.status, 0);
}

static void test_buffer_outside(void **state)
{
	static struct chain c;

	(void)state;
	go();
	offer(0, 0, MIB(1));
	assert_false(virtio_pop(&toy.v, 0, &c));
	assert_true(toy.v.status & NEEDS_RESET);
}

static void test_reset_forgets(void **state)
{
	unsigned i;

	(void)state;
	negotiate(VERSION_1 | EVENT_IDX | INDIRECT_DESC);
	queue_on(0);
	toy.v.queue[0].vq.size = 2;
	toy.v.queue[0].vector = 1;
	virtio_set_status(&toy.v, READY | DRIVER_OK);
	assert_true(toy.v.queue[0].vq.event_idx);
	assert_true(toy.v.queue[0].vq.indirect);
	virtio_reset(&toy.v);
	assert_int_equal(toy.stops, 1);
	assert_int_equal(toy.v.status, 0);
	assert_true(toy.v.acked == 0);
	for (i = 0; i < 3; i++) {
		const struct virtio_queue *q = &toy.v.queue[i];

		assert_false(q->enabled);
		assert_int_equal(q->vector, VIRTIO_NO_VECTOR);
		assert_int_equal(q->vq.size, 8);
		assert_true(!q->vq.desc && !q->vq.avail && !q->vq.used);
	}
	go();
	assert_false(toy.v.queue[0].vq.event_idx);
	assert_false(toy.v.queue[0].vq.indirect);
}

/* A model that can't stop at once ([VIRTIO] 2.4, 4.1.4.3.2). */
static void test_slow_reset(void **state)
{
	static struct chain c;

	(void)state;
	go();
	offer(0, 5, 0x4000);
	toy.stop_result = -EINPROGRESS;
	virtio_set_status(&toy.v, 0);
	assert_true(toy.v.resetting);
	assert_int_equal(toy.v.status, READY | DRIVER_OK);
	assert_false(toy.v.started);
	/* Nothing is touched meanwhile, nothing can be changed. */
	assert_false(virtio_pop(&toy.v, 0, &c));
	virtio_push(&toy.v, 0, 5, 0);
	virtio_notify(&toy.v, 0);
	virtio_kick(&toy.v, 0);
	fake_machine_turn(&m);
	assert_int_equal(used_idx(0), 0);
	assert_int_equal(toy.kicks[0], 0);
	virtio_needs_reset(&toy.v, "test");
	virtio_set_status(&toy.v, 0);
	virtio_set_status(&toy.v, READY | DRIVER_OK | FAILED);
	virtio_reset(&toy.v);
	assert_int_equal(toy.v.status, READY | DRIVER_OK);
	assert_int_equal(toy.stops, 1);
	assert_int_equal(toy.starts, 1);
	assert_int_equal(toy.queue_irqs + toy.config_irqs, 0);

	toy.stop_result = 0;
	virtio_reset_done(&toy.v);
	assert_int_equal(toy.v.status, 0);
	assert_true(toy.v.acked == 0);
	assert_false(toy.v.queue[0].enabled);
	assert_int_equal(toy.v.queue[0].vq.size, 8);
	go();
	assert_int_equal(toy.starts, 2);
	virtio_set_status(&toy.v, 0);
	assert_int_equal(toy.v.status, 0);
	assert_int_equal(toy.stops, 2);
}

static void test_config_changed(void **state)
{
	uint8_t gen = toy.v.config_generation;

	(void)state;
	virtio_config_changed(&toy.v);
	assert_int_equal(toy.config_irqs, 0);
	go();
	virtio_config_changed(&toy.v);
	assert_int_equal(toy.config_irqs, 1);
	assert_int_equal((uint8_t)(toy.v.config_generation - gen), 2);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_init),		T(test_fini_closes),
		T(test_features),	T(test_status_bits),
		T(test_bad_addresses),	T(test_start_fails),
		T(test_kicks),		T(test_io),
		T(test_not_live),	T(test_broken_ring),
		T(test_buffer_outside), T(test_reset_forgets),
		T(test_slow_reset),	T(test_config_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
