/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DOC: Theory of operation
 *
 * A kick takes chains from its queue into request slots as long as there are
 * any, and starts what they ask for. When slots run out, the queue's bit in
 * @stalled is set; it is looked at again after completions have freed some.
 * Kicks stay switched off in the ring meanwhile. Whatever is left undone at
 * the end of a turn pokes the eventfd, so that the loop comes back.
 *
 * A reset takes no time: what is in flight on the host is cancelled as far as
 * that goes, and the reset is over when the last completion has come. Until
 * then guest memory may be written, so the driver has to wait.
 */
#include "devices/blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/util.h"
#include "devices/blk_req.h"
#include "devices/disk.h"

/* Chains from one queue in one turn, before the loop may serve others. */
#define BLK_TURN 256

/* How long the host may take for what is in flight, ... */
#define BLK_PATIENCE_MS 5000 /* ... at the end of the VMM, or to be moved */

#define BLK_CONFIG_LEN \
	offsetof(struct virtio_blk_config, max_secure_erase_sectors)
#define CONFIG(field) (offsetof(struct virtio_blk_config, field))

static struct blk *to_blk(struct virtio_dev *dev)
{
	return container_of(dev, struct blk, virtio);
}

/* Take up to BLK_TURN chains from a queue. */
static void blk_pump(struct blk *b, unsigned q)
{
	struct virtio_queue *vq = &b->virtio.queue[q];
	struct blk_req *r;
	unsigned n;

	b->stalled &= ~(uint32_t)BIT(q);
	if (!vq->enabled)
		return;
	virtq_disarm(&vq->vq);
	for (n = 0; n < BLK_TURN && !b->quiesced; n++) {
		r = blk_req_get(b);
		if (!r)
			break;
		r->q = (uint16_t)q;
		if (virtio_pop(&b->virtio, q, &r->chain)) {
			if (blk_req_begin(r) == 0)
				continue;
			virtio_needs_reset(&b->virtio,
					   "blk: no place for a status");
			return;
		}
		blk_req_put(r);
		/* Empty, or broken; true: refilled meanwhile. */
		if (!b->virtio.started || vq->vq.broken || !virtq_arm(&vq->vq))
			return;
	}
	b->stalled |= (uint32_t)BIT(q);
}

static void blk_pump_stalled(struct blk *b)
{
	unsigned q;

	for (q = 0; q < b->virtio.n_queues; q++) {
		if (b->virtio.started && b->n_free && b->stalled & BIT(q))
			blk_pump(b, q);
	}
}

static void blk_notify(struct blk *b)
{
	uint32_t notify = b->notify;
	unsigned q;

	b->notify = 0;
	for (q = 0; q < b->virtio.n_queues; q++) {
		if (notify & BIT(q))
			virtio_notify(&b->virtio, q);
	}
}

/* Is the last request of before the reset gone? */
static bool blk_dropped_all(struct blk *b)
{
	if (b->io.head || b->io.n_inflight)
		return false;
	b->dropping = false;
	return true;
}

static void blk_check_reset(struct blk *b)
{
	if (b->dropping && blk_dropped_all(b))
		virtio_reset_done(&b->virtio);
}

/* One turn: start what is queued, take results, go on. */
static void blk_turn(struct blk *b)
{
	blk_io_run(&b->io);
	blk_check_reset(b);
	blk_req_serve_waiting(b);
	if (!b->quiesced)
		blk_pump_stalled(b);
	if (b->io.head)
		blk_io_run(&b->io);
	blk_notify(b);

	/* Slots or buffers freed by the second run: nothing else wakes us. */
	if (b->io.head || (b->wait_head && b->n_bounce) ||
	    (b->stalled && b->n_free && !b->quiesced && b->virtio.started))
		blk_io_poke(&b->io);
}

static void blk_event(struct source *src, uint32_t events)
{
	struct blk *b = container_of(src, struct blk, io.src);

	(void)events;
	blk_io_unpoke(&b->io);
	blk_turn(b);
}

static void blk_kick(struct virtio_dev *dev, unsigned q)
{
	struct blk *b = to_blk(dev);

	blk_pump(b, q);
	blk_turn(b);
}

/* Buffers may wait from before, when a saved state was loaded. */
static int blk_start(struct virtio_dev *dev)
{
	struct blk *b = to_blk(dev);

	b->notify = 0;
	b->stalled = (uint32_t)(BIT(dev->n_queues) - 1);
	blk_io_poke(&b->io);
	return 0;
}

static int blk_stop(struct virtio_dev *dev)
{
	struct blk *b = to_blk(dev);
	struct blk_op *op;

	b->dropping = true;
	blk_req_drop_waiting(b);
	while ((op = blk_io_dequeue(&b->io)))
		blk_req_done(op, -ECANCELED);
	if (b->io.n_inflight && b->io.engine->cancel)
		b->io.engine->cancel(&b->io);
	b->stalled = 0;
	b->notify = 0;
	blk_io_run(&b->io);
	return blk_dropped_all(b) ? 0 : -EINPROGRESS;
}

int blk_quiesce(struct blk *b)
{
	b->quiesced = true;
	while (b->io.head || b->io.n_inflight || b->wait_head) {
		if (blk_io_drain(&b->io, b->patience_ms) < 0) {
			log_guest("disk %s: the host does not finish %u requests",
				  b->id, b->io.n_inflight);
			blk_resume(b);
			return -ETIMEDOUT;
		}
		blk_req_serve_waiting(b);
	}
	blk_notify(b);
	blk_check_reset(b);
	return 0;
}

void blk_resume(struct blk *b)
{
	b->quiesced = false;
	blk_io_poke(&b->io);
}

static int blk_freeze(struct virtio_dev *dev)
{
	return blk_quiesce(to_blk(dev));
}

static void blk_thaw(struct virtio_dev *dev)
{
	blk_resume(to_blk(dev));
}

static int blk_hold(void *obj, enum snap_hold how)
{
	static int (*const change[])(struct disk * d) = {
		[SNAP_HOLD_NONE] = disk_release,
		[SNAP_HOLD_LEAVING] = disk_lend,
		[SNAP_HOLD_COMING] = disk_borrow,
		[SNAP_HOLD_ALL] = disk_take,
	};
	const struct blk *b = obj;

	return change[how](b->disk);
}

static const char *blk_obstacle(const void *obj, bool drop_links)
{
	const struct blk *b = obj;

	(void)drop_links;
	/* What this host's page cache holds, another one does not see. */
	if (!b->disk->readonly && !b->disk->direct)
		return "writable and not cache = \"direct\", as a disk must be whose guest moves";
	return NULL;
}

static int blk_save_disk(const void *obj, struct snap_w *w)
{
	const struct blk *b = obj;

	return disk_marks_save(&b->marks, b->disk, w);
}

static int blk_load_disk(void *obj, struct snap_r *r, uint32_t version)
{
	const struct blk *b = obj;

	(void)version;
	return disk_marks_load(b->disk, r);
}

static uint64_t blk_size(const void *obj)
{
	const struct blk *b = obj;

	return b->disk->size;
}

static const struct snap_item blk_snap_item = {
	.name = "disk",
	.version = 1,
	.save = blk_save_disk,
	.load = blk_load_disk,
	.size = blk_size,
	.hold = blk_hold,
	.obstacle = blk_obstacle,
};

static const struct virtio_config_field blk_same[] = {
	{ CONFIG(capacity), 8, "capacity" },
	{ CONFIG(blk_size), 4, "block size" },
	{ CONFIG(num_queues), 2, "num_queues" },
	{ 0 },
};

static const struct virtio_model virtio_blk = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK, /* [VIRTIO] 5.2.1 */
	.pci_class = 0x018000, /* mass storage, other */
	.same = blk_same,
	.same_features = BIT(VIRTIO_BLK_F_RO),
	.start = blk_start,
	.stop = blk_stop,
	.kick = blk_kick,
	.freeze = blk_freeze,
	.thaw = blk_thaw,
};

static uint64_t blk_features(const struct disk *d, unsigned n_queues)
{
	uint64_t f = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
		     BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_TOPOLOGY);

	if (n_queues > 1)
		f |= BIT(VIRTIO_BLK_F_MQ);
	if (d->readonly)
		return f | BIT(VIRTIO_BLK_F_RO);
	f |= BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	if (d->can_discard)
		f |= BIT(VIRTIO_BLK_F_DISCARD);
	return f;
}

/* [VIRTIO] 5.2.4 */
static void blk_config(struct blk *b)
{
	const struct disk *d = b->disk;
	uint32_t phys = MAX(d->block_size, PAGE_SIZE);
	uint8_t *c = b->virtio.config;

	b->virtio.config_len = BLK_CONFIG_LEN;
	put_le64(c + CONFIG(capacity), d->size >> BLK_SECTOR_SHIFT);
	/* Header and status take a descriptor each. */
	put_le32(c + CONFIG(seg_max), MIN(CHAIN_MAX, VIRTQ_SIZE_MAX) - 2);
	put_le32(c + CONFIG(blk_size), d->block_size);
	/* File systems have 4 KiB blocks: partitions shall start on one. */
	c[CONFIG(physical_block_exp)] =
		(uint8_t)__builtin_ctz(phys / d->block_size);
	put_le16(c + CONFIG(min_io_size), (uint16_t)(phys / d->block_size));
	put_le16(c + CONFIG(num_queues), b->virtio.n_queues);
	if (b->virtio.features & BIT(VIRTIO_BLK_F_DISCARD)) {
		put_le32(c + CONFIG(max_discard_sectors),
			 BLK_DISCARD_SECTORS_MAX);
		put_le32(c + CONFIG(max_discard_seg), BLK_RANGES_MAX);
		put_le32(c + CONFIG(discard_sector_alignment),
			 phys >> BLK_SECTOR_SHIFT);
	}
	if (b->virtio.features & BIT(VIRTIO_BLK_F_WRITE_ZEROES)) {
		put_le32(c + CONFIG(max_write_zeroes_sectors),
			 BLK_ZERO_SECTORS_MAX);
		put_le32(c + CONFIG(max_write_zeroes_seg), BLK_RANGES_MAX);
		c[CONFIG(write_zeroes_may_unmap)] = d->can_discard;
	}
}

/* Mapped, so that memory which is never needed is never touched. */
static int blk_bounce_init(struct blk *b)
{
	void *mem;
	unsigned i;

	if (!b->disk->direct)
		return 0;
	mem = mmap(NULL, BLK_BOUNCES * BLK_BOUNCE_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return -errno;
	b->bounce_mem = mem;
	for (i = BLK_BOUNCES; i--;)
		b->bounce_free[b->n_bounce++] =
			b->bounce_mem + i * BLK_BOUNCE_SIZE;
	return 0;
}

static int blk_init_io(struct blk *b, const struct blk_engine *engine)
{
	int r;

	b->io.disk = b->disk;
	b->io.depth = BLK_SLOTS;
	b->io.iov = blk_req_iov;
	b->io.done = blk_req_done;
	b->io.src.fn = blk_event;
	r = blk_io_init(&b->io, engine);
	if (r < 0)
		return r;
	r = loop_add(&b->virtio.m->loop, &b->io.src, b->io.event, EPOLLIN);
	if (r < 0)
		return r;
	return blk_bounce_init(b);
}

static void blk_fini_io(struct blk *b, struct machine *m)
{
	loop_del(&m->loop, &b->io.src);
	blk_io_fini(&b->io);
	if (b->bounce_mem)
		(void)munmap(b->bounce_mem, BLK_BOUNCES * BLK_BOUNCE_SIZE);
	b->bounce_mem = NULL;
}

static int blk_init(struct blk *b, struct machine *m, unsigned n_queues,
		    const struct blk_engine *engine)
{
	unsigned i;
	int r;

	b->virtio.m = m;
	b->virtio.model = &virtio_blk;
	b->virtio.n_queues = (uint16_t)n_queues;
	b->virtio.features = blk_features(b->disk, n_queues);
	for (i = 0; i < n_queues; i++)
		b->virtio.queue[i].size_max = VIRTQ_SIZE_MAX;
	blk_config(b);
	b->wait_tail = &b->wait_head;
	for (i = BLK_SLOTS; i--;)
		b->free[b->n_free++] = (uint8_t)i;

	r = virtio_init(&b->virtio, m);
	if (r < 0)
		return r;
	r = blk_init_io(b, engine);
	if (r == 0)
		r = snap_add(&m->snap, &blk_snap_item, NULL, b);
	if (r < 0) {
		virtio_fini(&b->virtio);
		blk_fini_io(b, m);
	}
	return r;
}

int blk_create_engine(struct machine *m, struct disk *disk, unsigned n_queues,
		      const char *id, const struct blk_engine *engine,
		      struct blk **ret_blk)
{
	struct blk *b;
	int r;

	if (!n_queues || n_queues > VIRTIO_QUEUES_MAX || strlen(id) > BLK_ID_LEN)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->disk = disk;
	b->patience_ms = BLK_PATIENCE_MS;
	b->io.event = -1;
	b->io.src.fd = -1;
	memcpy(b->id, id, strlen(id));
	r = blk_init(b, m, n_queues, engine);
	if (r < 0) {
		free(b);
		return r;
	}
	*ret_blk = b;
	return 0;
}

int blk_create(struct machine *m, struct disk *disk, unsigned n_queues,
	       const char *id, struct blk **ret_blk)
{
	return blk_create_engine(m, disk, n_queues, id, NULL, ret_blk);
}

void blk_destroy(struct blk *b)
{
	struct machine *m;
	bool hangs;

	if (!b)
		return;
	m = b->virtio.m;
	snap_remove(&m->snap, &blk_snap_item, b);
	virtio_reset(&b->virtio);
	hangs = blk_io_drain(&b->io, b->patience_ms) < 0;
	blk_check_reset(b);
	virtio_fini(&b->virtio);
	if (hangs) {
		log_warn("disk %s: the host does not finish %u requests: ending without them",
			 b->id, b->io.n_inflight);
		loop_del(&m->loop, &b->io.src);
		return;
	}
	blk_fini_io(b, m);
	free(b);
}

struct virtio_dev *blk_virtio(struct blk *b)
{
	return &b->virtio;
}

const char *blk_engine_name(const struct blk *b)
{
	return b->io.engine->name;
}
