/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "migration/pipe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "core/clock.h"
#include "core/gmem.h"
#include "core/thread.h"
#include "core/util.h"
#include "migration/wire.h"

/* --- one batch --- */

static int make_packets(const struct mig_pipe *p, struct mig_slot *s)
{
	unsigned i, k = 0, j;
	struct iovec iov;

	for (i = 0; i < s->runs.n; i++) {
		uint64_t gpa = s->runs.run[i].gfn * PAGE_SIZE;

		for (j = 0; j < s->runs.run[i].n; j++, k++, gpa += PAGE_SIZE) {
			if (gmem_sealed_iov(p->gm, gpa, PAGE_SIZE, &iov) < 0)
				return -EFAULT;
			s->packet[k] = (struct csv_packet){
				.hdr = s->hdr + (size_t)k * WIRE_HDR_SIZE,
				.hdr_len = WIRE_HDR_SIZE,
				.guest = iov.iov_base,
				.guest_len = PAGE_SIZE,
				.trans = s->data + (size_t)k * PAGE_SIZE,
				.trans_len = PAGE_SIZE,
			};
		}
	}
	return 0;
}

static int one_by_one(struct mig_pipe *p, struct csv *csv, struct mig_slot *s)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < s->runs.pages && !r; i++)
		r = p->send ? csv_send_data(csv, &s->packet[i])
			    : csv_receive_data(csv, &s->packet[i]);
	return r;
}

/* A kernel without batches says so before anything is done. */
static void issue(struct mig_pipe *p, struct csv *csv, struct mig_slot *s)
{
	int r = make_packets(p, s);

	if (!r && !p->no_batch) {
		r = csv_batch(csv, p->send, s->packet, (unsigned)s->runs.pages);
		if (r == -ENOTTY || r == -EINVAL) {
			p->no_batch = true;
			r = 0;
		} else {
			goto done;
		}
	}
	if (!r)
		r = one_by_one(p, csv, s);
done:
	s->result = r;
	if (r < 0)
		(void)snprintf(s->error, sizeof(s->error), "%s",
			       r == -EFAULT && !csv->last ? "no guest memory"
							  : csv_error(csv));
}

/* --- threads --- */

static void *pipe_main(void *arg)
{
	struct mig_pipe *p = arg;
	struct csv csv = *p->csv; /* its last error is this thread's */
	struct mig_slot *s;
	uint64_t from;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->stop && p->next == p->put)
			pthread_cond_wait(&p->change, &p->lock);
		if (p->stop)
			break;
		s = &p->slot[p->next++ % p->n_slots];
		s->state = SLOT_ISSUED;
		pthread_mutex_unlock(&p->lock);
		from = now_ns();
		issue(p, &csv, s);
		pthread_mutex_lock(&p->lock);
		p->busy_ns += now_ns() - from;
		p->batches++;
		s->state = SLOT_DONE;
		pthread_cond_broadcast(&p->change);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int slot_init(struct mig_slot *s, unsigned pages)
{
	s->hdr = malloc((size_t)pages * WIRE_HDR_SIZE);
	s->data = malloc((size_t)pages * PAGE_SIZE);
	s->packet = calloc(pages, sizeof(*s->packet));
	return s->hdr && s->data && s->packet ? 0 : -ENOMEM;
}

static int start_threads(struct mig_pipe *p, unsigned n)
{
	int r = 0;

	while (!r && p->n_threads < n) {
		r = thread_start(&p->thread[p->n_threads], pipe_main, p);
		if (!r)
			p->n_threads++;
	}
	return r;
}

int mig_pipe_open(struct mig_pipe *p, struct csv *csv, const struct gmem *gm,
		  bool send, unsigned threads)
{
	int r = 0;

	*p = (struct mig_pipe){ .csv = csv, .gm = gm, .send = send };
	p->batch_max = (unsigned)MIN(gm->size / PAGE_SIZE, WIRE_BATCH_MAX);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->change, NULL);
	while (!r && p->n_slots < PIPE_SLOTS)
		r = slot_init(&p->slot[p->n_slots++], p->batch_max);
	return r < 0 ? r : start_threads(p, threads);
}

void mig_pipe_close(struct mig_pipe *p)
{
	unsigned i;

	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->n_threads; i++)
		(void)pthread_join(p->thread[i], NULL);
	for (i = 0; i < p->n_slots; i++) {
		free(p->slot[i].hdr);
		free(p->slot[i].data);
		free(p->slot[i].packet);
	}
	p->n_threads = p->n_slots = 0;
	pthread_cond_destroy(&p->change);
	pthread_mutex_destroy(&p->lock);
}

struct mig_slot *mig_pipe_free(struct mig_pipe *p)
{
	return p->put - p->take < p->n_slots ? &p->slot[p->put % p->n_slots]
					     : NULL;
}

void mig_pipe_put(struct mig_pipe *p)
{
	pthread_mutex_lock(&p->lock);
	p->slot[p->put % p->n_slots].state = SLOT_QUEUED;
	p->put++;
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
}

struct mig_slot *mig_pipe_take(struct mig_pipe *p, bool wait)
{
	struct mig_slot *s = &p->slot[p->take % p->n_slots];
	bool done;

	if (p->take == p->put)
		return NULL;
	pthread_mutex_lock(&p->lock);
	while (wait && s->state != SLOT_DONE)
		pthread_cond_wait(&p->change, &p->lock);
	done = s->state == SLOT_DONE;
	pthread_mutex_unlock(&p->lock);
	return done ? s : NULL;
}

void mig_pipe_release(struct mig_pipe *p)
{
	p->slot[p->take % p->n_slots].state = SLOT_FREE;
	p->take++;
}
