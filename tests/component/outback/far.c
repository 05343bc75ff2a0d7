#include "far.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/thread.h"

struct far {
	struct provider_ops ops; /* first: what the provider shows */
	const struct provider_ops *real;
	struct provider *p;
	struct lock lock;
	struct cond cond;
	struct list waiting;  /* lock: lock; struct far_req by time */
	struct far_line line; /* lock: lock; so are all below */
	struct far_count count;
	unsigned n_gets, n_now;
	uint64_t free_us; /* the line is busy until */
	bool stop;
	pthread_t thread;
};

struct far_req {
	struct list node;
	struct provider_req *req;
	uint64_t begin_us, at_us; /* its bytes move; it is there */
	unsigned depth;
};

/* Of all lines together: the longest chain of requests that are over. */
static _Atomic(unsigned) deepest;

unsigned far_depth(void)
{
	return atomic_exchange(&deepest, 0);
}

static struct far *far_of(struct provider *p)
{
	return (struct far *)(uintptr_t)p->ops; // NOLINT(performance-no-int-to-ptr)
}

static void put_in_order(struct far *f, struct far_req *q)
{
	struct list *at = &f->waiting;

	list_foreach(p, &f->waiting)
		if (container_of(p, struct far_req, node)->at_us > q->at_us) {
			at = p;
			break;
		}
	list_push(at, &q->node); /* before `at` */
}

static int far_start(struct provider *p, struct provider_req *req)
{
	struct far *f = far_of(p);
	struct far_req *q = calloc(1, sizeof(*q));
	bool get = req->verb == PROVIDER_GET;
	uint64_t now;

	if (!q)
		return -ENOMEM;
	q->req = req;
	q->depth = 1 + atomic_load(&deepest);
	lock_take(&f->lock);
	now = monotonic_us();
	f->count.n[req->verb]++;
	f->n_now++;
	f->count.most = MAX(f->count.most, f->n_now);
	q->begin_us = now + f->line.latency_ms * 1000ull;
	q->at_us = q->begin_us;
	if (get && f->line.rate) {
		if (f->count.n[PROVIDER_GET] > 1 && q->begin_us > f->free_us)
			f->count.idle_us += q->begin_us - f->free_us;
		q->begin_us = MAX(q->begin_us, f->free_us);
		q->at_us = q->begin_us + req->n * 1000000 / f->line.rate;
		f->free_us = q->at_us;
	}
	/* One that is late holds up nobody. */
	if (get && f->line.late_every && ++f->n_gets % f->line.late_every == 0) {
		q->begin_us += f->line.late_ms * 1000ull;
		q->at_us += f->line.late_ms * 1000ull;
	}
	put_in_order(f, q);
	cond_wake_one(&f->cond);
	lock_drop(&f->lock);
	return 0;
}

static void far_cancel(struct provider *p, struct provider_req *req)
{
	struct far *f = far_of(p);
	struct far_req *q = NULL;
	uint64_t now = monotonic_us(), came = 0;

	lock_take(&f->lock);
	list_foreach(n, &f->waiting)
		if (container_of(n, struct far_req, node)->req == req)
			q = container_of(n, struct far_req, node);
	if (q) {
		list_del(&q->node);
		f->n_now--;
		if (q->req->verb == PROVIDER_GET && now > q->begin_us &&
		    q->at_us > q->begin_us)
			came = req->n * (MIN(now, q->at_us) - q->begin_us) /
			       (q->at_us - q->begin_us);
		f->count.bytes += came;
		if (q->at_us == f->free_us)
			f->free_us = MAX(q->begin_us, now);
	}
	lock_drop(&f->lock);
	if (!q) {
		f->real->cancel(p, req);
		return;
	}
	free(q);
	atomic_store(&req->moved, came);
	req->done(req, -ECANCELED);
}

static void *line(void *arg)
{
	struct far *f = arg;
	struct far_req *q;
	uint64_t now;
	int r;

	lock_take(&f->lock);
	while (!f->stop) {
		q = list_empty(&f->waiting) ?
			    NULL :
			    list_first(&f->waiting, struct far_req, node);
		now = monotonic_us();
		if (!q) {
			cond_wait(&f->cond, &f->lock);
			continue;
		}
		if (q->at_us > now) {
			struct timespec t = { (time_t)(q->at_us / 1000000),
					      (long)(q->at_us % 1000000) * 1000 };

			(void)cond_wait_until(&f->cond, &f->lock, &t);
			continue;
		}
		list_del(&q->node);
		f->n_now--;
		if (q->req->verb == PROVIDER_GET)
			f->count.bytes += q->req->n;
		lock_drop(&f->lock);
		if (q->depth > atomic_load(&deepest))
			atomic_store(&deepest, q->depth);
		r = f->real->start(f->p, q->req);
		if (r < 0)
			q->req->done(q->req, r);
		free(q);
		lock_take(&f->lock);
	}
	lock_drop(&f->lock);
	return NULL;
}

struct far *far_new(struct provider *p, const struct far_line *l)
{
	struct far *f = calloc(1, sizeof(*f));
	int r;

	assert(f);
	lock_init(&f->lock);
	cond_init(&f->cond);
	list_init(&f->waiting);
	f->p = p;
	f->real = p->ops;
	f->ops = *f->real;
	f->ops.start = far_start;
	f->ops.cancel = far_cancel;
	f->line = *l;
	p->ops = &f->ops;
	r = pthread_create(&f->thread, NULL, line, f);
	assert(r == 0);
	return f;
}

void far_free(struct far *f)
{
	if (!f)
		return;
	lock_take(&f->lock);
	f->stop = true;
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
	(void)pthread_join(f->thread, NULL); /* ours */
	assert(list_empty(&f->waiting));
	f->p->ops = f->real;
	cond_fini(&f->cond);
	lock_fini(&f->lock);
	free(f);
}

void far_set(struct far *f, const struct far_line *l)
{
	lock_take(&f->lock);
	f->line = *l;
	f->free_us = 0;
	lock_drop(&f->lock);
}

void far_count(struct far *f, struct far_count *ret)
{
	lock_take(&f->lock);
	*ret = f->count;
	f->count = (struct far_count){ .most = 0 };
	lock_drop(&f->lock);
}
