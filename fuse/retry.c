#include "fuse/retry.h"

#include <string.h>

#include "base/list.h"
#include "base/thread.h"
#include "fuse/op.h"
#include "fuse/reply.h"

#define N_THREADS_MAX 8

enum state {
	STATE_RUNNING, /* on a stack, or in work by a retry thread */
	STATE_FETCHING,
	STATE_READY,
};

struct retry_thread {
	struct retry *q;
	pthread_t id;
	struct op_room room;
};

struct retry {
	struct retry_params p;
	struct lock lock;
	struct cond wake;
	struct list waiting; /* lock: lock; ops in STATE_FETCHING, by node */
	struct list ready;   /* lock: lock; ops in STATE_READY, by node */
	struct list cancel;  /* lock: lock; to be cancelled, by cancel_node */
	bool stopping;       /* lock: lock */
	uint64_t n, n_bytes; /* lock: lock */
	uint64_t n_total, n_timeouts; /* lock: lock */
	unsigned n_threads;
	struct retry_thread threads[N_THREADS_MAX];
};

static void queue_cancel(struct retry *q, struct op *op) REQUIRES(q->lock)
{
	if (!list_empty(&op->cancel_node))
		return;
	list_push(&q->cancel, &op->cancel_node);
	cond_wake_one(&q->wake);
}

static void queue_ready(struct retry *q, struct op *op) REQUIRES(q->lock)
{
	list_push(&q->ready, &op->node);
	cond_wake_one(&q->wake);
}

/* End of a call on op's fetch; op may be gone right after the lock is. */
static void unhold(struct retry *q, struct op *op) REQUIRES(q->lock)
{
	op->held = false;
	if (op->state == STATE_READY)
		queue_ready(q, op);
	else if (op->interrupted || q->stopping)
		queue_cancel(q, op);
}

/* Callback of the cache: any thread, only queue. */
static void fetched(struct cache_fetch *f, int status)
{
	struct op *op = container_of(f, struct op, fetch);
	struct retry *q = op->env->retry;
	uint64_t now = monotonic_ms();

	lock_take(&q->lock);
	/* the deadline was put off if the process was stopped */
	op->left_ms = f->deadline_ms > now ? f->deadline_ms - now : 0;
	op->status = status;
	op->state = STATE_READY;
	list_del(&op->node);
	if (!op->held)
		queue_ready(q, op);
	lock_drop(&q->lock);
}

/* Callback of libfuse, which holds a lock of its own: only queue. */
static void interrupted(fuse_req_t req, void *data)
{
	struct op *op = data;
	struct retry *q = op->env->retry;

	(void)req;
	lock_take(&q->lock);
	op->interrupted = true;
	if (op->state == STATE_FETCHING && !op->held)
		queue_cancel(q, op);
	lock_drop(&q->lock);
}

/* 0: op belongs to the queue now. */
static int start_fetch(struct retry *q, struct op *op)
{
	bool room = op->who.miss.kind == CACHE_MISS_ROOM;
	int r;

	if (!op->left_ms && !room)
		return -ETIMEDOUT;
	op->fetch = (struct cache_fetch){
		.miss = op->who.miss,
		.done = fetched,
		/* how long there may be no room, the cache knows */
		.timeout_ms = room ? 0 : (unsigned)op->left_ms,
	};
	lock_take(&q->lock);
	if (q->stopping) {
		lock_drop(&q->lock);
		return -EIO;
	}
	op->state = STATE_FETCHING;
	op->held = true;
	list_push(&q->waiting, &op->node);
	lock_drop(&q->lock);

	r = cache_fetch(op->env->cache, &op->fetch);
	if (r >= 0)
		fuse_req_interrupt_func(op->req, interrupted, op);

	lock_take(&q->lock);
	if (r < 0) {
		op->state = STATE_RUNNING;
		op->held = false;
		list_del(&op->node);
	} else {
		unhold(q, op);
	}
	lock_drop(&q->lock);
	return r < 0 ? r : 0;
}

static struct slice copy(uint8_t **at, struct slice s)
{
	struct slice ret = slice(*at, s.n);

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return ret;
}

/* The op and all that it borrows, in one piece. */
static struct op *clone_op(const struct op *op, size_t n)
{
	struct op *o = malloc(n);
	uint8_t *at;

	if (!o)
		return NULL;
	*o = *op;
	at = (uint8_t *)(o + 1);
	o->name = copy(&at, op->name);
	o->name2 = copy(&at, op->name2);
	o->data = copy(&at, op->data);
	o->n_parked = n;
	list_init(&o->node);
	list_init(&o->cancel_node);
	return o;
}

static void forget_op(struct retry *q, struct op *op)
{
	lock_take(&q->lock);
	q->n--;
	q->n_bytes -= op->n_parked;
	if (q->stopping && q->n == 0)
		cond_wake_all(&q->wake);
	lock_drop(&q->lock);
	free(op);
}

int retry_park(struct retry *q, struct op *op)
{
	size_t n = sizeof(*op) + op->name.n + op->name2.n + op->data.n;
	struct op *o;
	bool full;
	int r;

	lock_take(&q->lock);
	full = q->n_bytes + n > q->p.bytes_max;
	if (!full) {
		q->n++;
		q->n_bytes += n;
		q->n_total++;
	}
	lock_drop(&q->lock);
	if (full)
		return op->who.miss.kind == CACHE_MISS_ROOM ? -ENOSPC : -ENOMEM;

	o = clone_op(op, n);
	if (!o) {
		lock_take(&q->lock);
		q->n--;
		q->n_bytes -= n;
		lock_drop(&q->lock);
		return -ENOMEM;
	}
	o->left_ms = q->p.timeout_ms;
	r = start_fetch(q, o);
	if (r < 0)
		forget_op(q, o);
	return r;
}

/* What a fetch that failed means to the caller of the system call. */
static int failure(struct retry *q, struct op *op)
{
	bool stopping;
	int r = op->status;

	lock_take(&q->lock);
	stopping = q->stopping;
	if (r == -ETIMEDOUT)
		q->n_timeouts++;
	lock_drop(&q->lock);

	if (op->interrupted)
		return -EINTR;
	return stopping ? -EIO : r;
}

static void run_again(struct retry *q, struct op *op)
{
	int r;

	/* From here on libfuse no longer calls interrupted() on it. */
	fuse_req_interrupt_func(op->req, NULL, NULL);
	r = failure(q, op);
	if (r == 0) {
		/* What keeps coming may come after the deadline, and no
		   store was waited for while there was no room. */
		if (op->fetch.miss.kind == CACHE_MISS_DIR ||
		    op->fetch.miss.kind == CACHE_MISS_ROOM)
			op->left_ms = q->p.timeout_ms;
		r = op->run(op);
		if (r == -EINPROGRESS) {
			r = start_fetch(q, op);
			if (r == 0)
				return;
		}
	}
	if (r < 0)
		reply_err(op, r);
	forget_op(q, op);
}

static void cancel_one(struct retry *q, struct op *op) REQUIRES(q->lock)
{
	list_del(&op->cancel_node);
	if (op->state != STATE_FETCHING || op->held)
		return; /* whoever holds it looks again */
	op->held = true;
	/* So that unhold() does not queue it over and over. */
	lock_drop(&q->lock);
	cache_fetch_cancel(op->env->cache, &op->fetch);
	lock_take(&q->lock);
	op->held = false;
	if (op->state == STATE_READY)
		queue_ready(q, op);
}

static void *retry_main(void *arg)
{
	struct retry_thread *t = arg;
	struct retry *q = t->q;

	op_set_room(&t->room);
	lock_take(&q->lock);
	while (!q->stopping || q->n > 0) {
		if (!list_empty(&q->cancel)) {
			cancel_one(q, list_first(&q->cancel, struct op, cancel_node));
		} else if (!list_empty(&q->ready)) {
			struct op *op = list_first(&q->ready, struct op, node);

			list_del(&op->node);
			list_del(&op->cancel_node);
			op->state = STATE_RUNNING;
			op->room = &t->room;
			lock_drop(&q->lock);
			run_again(q, op);
			lock_take(&q->lock);
		} else {
			cond_wait(&q->wake, &q->lock);
		}
	}
	lock_drop(&q->lock);
	return NULL;
}

static int start_thread(struct retry *q)
{
	struct retry_thread *t = &q->threads[q->n_threads];
	int r;

	t->q = q;
	t->room = (struct op_room){ malloc(OP_ROOM_BYTES), OP_ROOM_BYTES, 0 };
	if (!t->room.p)
		return -ENOMEM;
	r = -pthread_create(&t->id, NULL, retry_main, t);
	if (r < 0) {
		free(t->room.p);
		return r;
	}
	q->n_threads++;
	return 0;
}

int retry_new(const struct retry_params *p, struct retry **ret)
{
	struct retry *q = calloc(1, sizeof(*q));
	int r = 0;

	assert(p->n_threads > 0 && p->n_threads <= N_THREADS_MAX);
	if (!q)
		return -ENOMEM;
	q->p = *p;
	lock_init(&q->lock);
	cond_init(&q->wake);
	list_init(&q->waiting);
	list_init(&q->ready);
	list_init(&q->cancel);
	for (unsigned i = 0; i < p->n_threads && r >= 0; i++)
		r = start_thread(q);
	if (r < 0) {
		retry_free(q);
		return r;
	}
	*ret = q;
	return 0;
}

void retry_stop(struct retry *q)
{
	lock_take(&q->lock);
	q->stopping = true;
	list_foreach(i, &q->waiting) {
		struct op *op = container_of(i, struct op, node);

		if (!op->held)
			queue_cancel(q, op);
	}
	cond_wake_all(&q->wake);
	lock_drop(&q->lock);
}

void retry_free(struct retry *q)
{
	if (!q)
		return;
	retry_stop(q);
	for (unsigned i = 0; i < q->n_threads; i++) {
		(void)pthread_join(q->threads[i].id, NULL); /* our own id */
		free(q->threads[i].room.p);
	}
	cond_fini(&q->wake);
	lock_fini(&q->lock);
	free(q);
}

void retry_stats(struct retry *q, struct retry_stats *ret)
{
	lock_take(&q->lock);
	*ret = (struct retry_stats){ q->n, q->n_bytes, q->n_total, q->n_timeouts };
	lock_drop(&q->lock);
}
