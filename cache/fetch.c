/*
 * fetch.c - who waits for what is not here, and the thread that brings it in
 *
 * A miss becomes a job: one directory, one inode, or one chunk (1 MiB, aligned)
 * of one file.  Requests for the same job wait together.  The source delivers
 * into the job's own memory, from whatever thread it likes and without any lock
 * of ours; our thread then places the result (place.c), and calls back.  The
 * entries of a directory, which may be millions, are placed by the source's own
 * thread, so many at a time.  Ours also keeps the time: deadlines, and writers that
 * wait for room.
 *
 *   waiter:  idle -> waiting (in job or room) -> ending (in done) -> called back
 *   job:     queued -> started -> delivered -> placed, waiters ended, freed
 *
 * Facts: a job in f->jobs that was started gets exactly one source callback; a
 * waiter is in exactly one list.  A job without waiters that is no read-ahead is
 * cancelled.
 */
#include "cache/fetch.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define REMEMBER_MS      5000 /* how long a failed fetch is answered at once */
#define ROOM_LOOK_MS     20   /* how often writers' room is looked at */
#define ROOM_SAY_MS      200  /* how often it is said above that they wait */
#define LOOK_MS          500  /* how often who waits is looked at */
#define STOPPED_MS       250  /* so late is who was stopped */
#define FULL_MS          1000 /* how long nothing is read ahead after no room */
#define READAHEAD_MAX    16   /* chunks: what a line with latency holds */
#define READAHEAD_GROWTH 4
#define JOBS_MAX         4096
#define HEARD_MAX        30 /* deadlines: so long a directory that keeps coming has */

enum waiter_state {
	WAITER_IDLE = 0,
	WAITER_JOB = 1,
	WAITER_ROOM = 2,
	WAITER_ENDING = 3
};

/* ---- waiters ---- */

static void end_waiter(struct fetch_state *f, struct cache_fetch *w, int status)
{
	list_del(&w->node);
	w->state = WAITER_ENDING;
	w->status = status;
	w->job = NULL;
	list_push(&f->done, &w->node);
	cond_wake_all(&f->cond);
}

/* A job that brings at least what is wanted. */
static bool does(const struct job *j, const struct want *w)
{
	return !j->cancelled && j->req.kind == w->kind && j->req.ino == w->ino &&
	       j->req.off == w->off && j->req.n >= w->n &&
	       slice_eq(j->req.link, slice(w->link, w->n_link));
}

static struct job *find_job(struct fetch_state *f, const struct want *w)
{
	list_foreach(p, &f->jobs) {
		struct job *j = container_of(p, struct job, node);

		if (does(j, w))
			return j;
	}
	return NULL;
}

static void job_free(struct job *j)
{
	assert(list_empty(&j->waiters));
	buf_fini(&j->entries);
	free(j->bytes);
	free(j->have);
	free(j->link);
	free(j);
}

/* ---- what the source calls ---- */

static int on_hole(struct job *j, uint64_t off, uint64_t n)
{
	uint64_t to = MIN(off + n, j->req.n);
	int r;

	if (off >= to)
		return 0;
	r = buf_le64(&j->entries, off);
	return r < 0 ? r : buf_le64(&j->entries, to - off);
}

static int on_data(struct source_req *req, uint64_t off, struct slice data,
		   uint64_t n_hole)
{
	struct job *j = container_of(req, struct job, req);
	uint64_t n = n_hole ? n_hole : data.n;
	uint64_t from = MAX(off, req->off), to;

	if (n > UINT64_MAX - off)
		return -EPROTO;
	if (req->kind == SOURCE_HOLES && n_hole)
		return on_hole(j, off, n_hole);
	if (req->kind != SOURCE_READ)
		return -EPROTO;
	to = MIN(off + n, req->off + req->n);
	if (from >= to)
		return 0;
	if (n_hole)
		memset(j->bytes + (from - req->off), 0, to - from);
	else
		memcpy(j->bytes + (from - req->off), data.p + (from - off),
		       to - from);
	/* a block is there when all its bytes came, and a hole when all are one */
	for (uint64_t at = from; at < to;) {
		uint64_t k = (at - req->off) / CACHE_BLOCK;
		uint64_t end = MIN(to, req->off + (k + 1) * CACHE_BLOCK);

		j->have[k].bytes = (uint16_t)(j->have[k].bytes + (end - at));
		if (!n_hole)
			j->have[k].data = true;
		at = end;
	}
	return 0;
}

static int on_entry(struct source_req *req, const struct source_entry *e)
{
	struct job *j = container_of(req, struct job, req);
	struct cache *c = j->f->c;
	size_t run = c->p.fetch_run_bytes ? c->p.fetch_run_bytes : FETCH_RUN;
	int r;

	if (req->kind == SOURCE_READ || req->kind == SOURCE_HOLES)
		return -EPROTO;
	atomic_store(&j->heard_ms, monotonic_ms());
	r = entry_encode(&j->entries, e);
	if (r < 0)
		return r;
	j->n_entries++;
	if (req->kind == SOURCE_DIR && j->entries.n >= run)
		return fetch_place_dir(c, j, false);
	return 0;
}

static void on_done(struct source_req *req, int status)
{
	struct job *j = container_of(req, struct job, req);
	struct fetch_state *f = j->f;

	if (req->kind == SOURCE_DIR && status == 0) {
		status = fetch_place_dir(f->c, j, true);
		j->placed = true;
	}
	lock_take(&f->lock);
	j->status = status;
	j->delivered = true;
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
}

static const struct source_sink sink = { .entry = on_entry, .data = on_data };

/* ---- jobs ---- */

static struct job *job_new(struct fetch_state *f, enum source_kind kind,
			   uint64_t ino, uint64_t off, uint64_t n, struct slice link)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	list_init(&j->waiters);
	list_init(&j->node);
	buf_init(&j->entries, FETCH_ENTRIES_MAX);
	j->f = f;
	j->link = malloc(MAX(link.n, 1));
	if (kind == SOURCE_READ) {
		j->bytes = calloc(1, align_up(n, CACHE_BLOCK));
		j->have = calloc(align_up(n, CACHE_BLOCK) / CACHE_BLOCK,
				 sizeof(*j->have));
	}
	if (!j->link || (kind == SOURCE_READ && (!j->bytes || !j->have))) {
		job_free(j);
		return NULL;
	}
	if (link.n)
		memcpy(j->link, link.p, link.n);
	j->req = (struct source_req){ .kind = kind,
				      .ino = ino,
				      .link = slice(j->link, link.n),
				      .off = off,
				      .n = n,
				      .sink = &sink,
				      .done = on_done };
	return j;
}

/* What the miss is about: kind, chunk and link.  1: it is here meanwhile. */
static int describe(struct cache *c, const struct cache_miss *m, struct want *w)
{
	struct inode *i;
	int r;

	memset(w, 0, sizeof(*w));
	w->ino = m->ino;
	w->kind = m->kind == CACHE_MISS_DIR   ? SOURCE_DIR :
		  m->kind == CACHE_MISS_INODE ? SOURCE_INODE :
		  m->kind == CACHE_MISS_HOLES ? SOURCE_HOLES :
						SOURCE_READ;
	lock_take(&c->lock);
	r = inode_get(c, m->ino, &i);
	if (m->kind == CACHE_MISS_INODE) {
		r = r == 0 ? 1 : r == -ENOENT ? 0 : r;
	} else if (r == 0 || r == -ENOENT) {
		bool snap = m->kind == CACHE_MISS_RANGE &&
			    c->snap_want.n_link && c->snap_want.ino == m->ino;
		struct slice link = r == 0 ? slice(i->link, i->n_link) : SLICE_NONE;
		uint64_t size =
			r == 0 ? S_ISREG(i->mode) ? i->link_size : i->size : 0;

		/* A snapshot may want what the live file has no more: another link,
		 * or more of the same. */
		if (snap &&
		    !(r == 0 &&
		      slice_eq(link, slice(c->snap_want.link, c->snap_want.n_link)) &&
		      size >= c->snap_want.link_size)) {
			link = slice(c->snap_want.link, c->snap_want.n_link);
			size = c->snap_want.link_size;
			r = 0;
		}
		if (r == 0 && m->kind == CACHE_MISS_DIR && (i->flags & INODE_LOADED))
			r = 1;
		if (r == 0 && m->kind == CACHE_MISS_HOLES &&
		    !(i->flags & INODE_HOLES))
			r = 1;
		if (r == 0 && m->kind == CACHE_MISS_RANGE && m->off >= size)
			r = 1;
		if (r == 0 && (link.n == 0 || link.n > sizeof(w->link)))
			r = -EUCLEAN;
		if (r == 0) {
			memcpy(w->link, link.p, link.n);
			w->n_link = link.n;
		}
		if (r == 0 && w->kind == SOURCE_HOLES)
			w->n = size;
		if (r == 0 && w->kind == SOURCE_READ) {
			w->off = align_down(m->off, FETCH_CHUNK);
			w->n = MIN(FETCH_CHUNK, size - w->off);
		}
	}
	lock_drop(&c->lock);
	return r;
}

static bool was_failing(struct fetch_state *f, const struct want *w, int *ret)
{
	uint64_t now = monotonic_ms();

	for (size_t k = 0; k < ARRAY_LEN(f->failures); k++) {
		struct failure *e = &f->failures[k];

		if (e->until_ms > now && e->ino == w->ino && e->off == w->off &&
		    e->kind == w->kind) {
			*ret = e->status;
			return true;
		}
	}
	return false;
}

static void remember(struct fetch_state *f, const struct job *j)
{
	f->failures[f->next_failure++ % ARRAY_LEN(f->failures)] =
		(struct failure){ .kind = j->req.kind,
				  .ino = j->req.ino,
				  .off = j->req.off,
				  .status = j->status,
				  .until_ms = monotonic_ms() + REMEMBER_MS };
}

static int join_or_make(struct fetch_state *f, const struct want *w,
			bool readahead, struct job **ret)
{
	struct slice link = slice(w->link, w->n_link);
	struct job *j = find_job(f, w);

	if (j) {
		*ret = j;
		return 0;
	}
	if (f->n_jobs >= JOBS_MAX)
		return -EBUSY;
	j = job_new(f, w->kind, w->ino, w->off, w->n, link);
	if (!j)
		return -ENOMEM;
	j->req.readahead = readahead;
	list_push(&f->jobs, &j->node);
	f->n_jobs++;
	cond_wake_all(&f->cond);
	*ret = j;
	return 0;
}

/* Nobody waits, and nothing is on its way. */
static bool is_idle(const struct fetch_state *f)
{
	return list_empty(&f->jobs) && list_empty(&f->room);
}

static void put_off(struct list *waiters, uint64_t ms)
{
	list_foreach(p, waiters) {
		struct cache_fetch *w = container_of(p, struct cache_fetch, node);

		w->deadline_ms += w->deadline_ms ? ms : 0;
	}
}

/*
 * The thread was to be here by f->look_ms and was not: somebody had stopped the
 * process, or others have the machine.  Nobody has waited for a store meanwhile.  A
 * deadline alone does not tell: who is stopped long before it has all of the time
 * left that he had, and not none.
 */
static void forgive(struct fetch_state *f, uint64_t now) REQUIRES(f->lock)
{
	uint64_t late = f->look_ms && now > f->look_ms ? now - f->look_ms : 0;

	if (late >= STOPPED_MS) {
		list_foreach(p, &f->jobs) {
			struct job *j = container_of(p, struct job, node);

			put_off(&j->waiters, late);
			if (atomic_load(&j->heard_ms))
				atomic_fetch_add(&j->heard_ms, late);
		}
		put_off(&f->room, late);
	}
	f->look_ms = is_idle(f) ? 0 : now + LOOK_MS;
}

int cache_fetch(struct cache *c, struct cache_fetch *w)
{
	struct fetch_state *f = c->fetch;
	struct want want = { 0 };
	uint64_t now;
	struct job *j;
	int r = 0;

	list_init(&w->node);
	w->job = NULL;
	w->status = 0;
	if (w->miss.kind != CACHE_MISS_ROOM) {
		if (!c->p.source)
			return -EREMOTEIO;
		r = describe(c, &w->miss, &want);
		if (r < 0)
			return r;
	}
	lock_take(&f->lock);
	now = monotonic_ms();
	if (f->look_ms && now > f->look_ms + STOPPED_MS)
		forgive(f, now); /* those who came before; w has all its time */
	if (is_idle(f))
		f->look_ms = now + LOOK_MS;
	w->deadline_ms = w->timeout_ms ? now + w->timeout_ms : 0;
	if (f->stop) {
		r = -ECANCELED;
	} else if (w->miss.kind == CACHE_MISS_ROOM) {
		w->state = WAITER_ROOM;
		/* private use of off: the pause; 0: until there is room */
		w->room_until_ms = w->miss.off ? now + w->miss.off : 0;
		list_push(&f->room, &w->node);
		cond_wake_all(&f->cond);
	} else if (r == 1) {
		r = 0;
		end_waiter(f, w, 0);
	} else if (!was_failing(f, &want, &r)) {
		r = join_or_make(f, &want, false, &j);
		if (r == 0) {
			w->state = WAITER_JOB;
			w->job = j;
			atomic_store(&j->joined, true);
			list_push(&j->waiters, &w->node);
			cond_wake_all(&f->cond);
		}
	}
	lock_drop(&f->lock);
	return r;
}

void cache_fetch_cancel(struct cache *c, struct cache_fetch *w)
{
	struct fetch_state *f = c->fetch;

	lock_take(&f->lock);
	if (w->state == WAITER_JOB || w->state == WAITER_ROOM)
		end_waiter(f, w, -ECANCELED);
	lock_drop(&f->lock);
}

/* ---- the thread ---- */

static void call_back(struct fetch_state *f) REQUIRES(f->lock)
{
	while (!list_empty(&f->done)) {
		struct cache_fetch *w =
			list_first(&f->done, struct cache_fetch, node);

		list_del(&w->node);
		w->state = WAITER_IDLE;
		lock_drop(&f->lock);
		w->done(w, w->status);
		lock_take(&f->lock);
	}
}

static void end_all(struct fetch_state *f, struct list *waiters, int status)
{
	list_foreach_safe(p, waiters)
		end_waiter(f, container_of(p, struct cache_fetch, node), status);
}

/*
 * Read-ahead is tried once.  Who came to wait for it meanwhile shall have what he
 * would have had without it: a fetch of his own, that goes on until the deadline.
 */
static bool ask_again(struct fetch_state *f, struct job *j) REQUIRES(f->lock)
{
	struct job *again;

	if (f->stop || list_empty(&j->waiters))
		return false;
	again = job_new(f, j->req.kind, j->req.ino, j->req.off, j->req.n,
			j->req.link);
	if (!again)
		return false;
	list_foreach_safe(p, &j->waiters) {
		container_of(p, struct cache_fetch, node)->job = again;
		list_del(p);
		list_push(&again->waiters, p);
	}
	list_push(&f->jobs, &again->node);
	f->n_jobs++;
	return true;
}

/* Who waits for what is refused gets EIO: the log says why. */
static int place(struct cache *c, struct job *j)
{
	int r = fetch_place(c, j);

	if (r < 0 && r != -ENOSPC && r != -ENOENT && r != -ESTALE)
		log_err(r, "inode %llu: what was fetched of it is refused",
			(unsigned long long)j->req.ino);
	return r;
}

static void start(struct cache *c, struct fetch_state *f, struct job *j)
	REQUIRES(f->lock)
{
	bool here;
	int r = 0;

	j->started = true;
	lock_drop(&f->lock);
	here = fetch_is_here(c, j);
	if (!here)
		r = c->p.source->start(c->p.source, &j->req);
	lock_take(&f->lock);
	/* once it was started it is the source's until on_done() */
	if (here || r < 0) {
		j->placed = here;
		j->status = r;
		j->delivered = true;
	}
}

/* It has come, or never will: placed, those who wait are told, freed. */
static void finish(struct cache *c, struct fetch_state *f, struct job *j)
	REQUIRES(f->lock)
{
	/* still in the list: who asks now waits with the rest */
	lock_drop(&f->lock);
	if (j->status == 0 && !j->placed)
		j->status = place(c, j);
	lock_take(&f->lock);
	list_del(&j->node);
	f->n_jobs--;
	if (j->status < 0 && j->status != -ECANCELED) {
		if (!j->req.readahead)
			remember(f, j);
		else if (ask_again(f, j))
			j->status = 0;
	}
	end_all(f, &j->waiters, j->status); /* if any are left */
	job_free(j);
}

/* One thing: start what is new, cancel what nobody wants, place what has come. */
static bool work_on_jobs(struct cache *c, struct fetch_state *f) REQUIRES(f->lock)
{
	list_foreach_safe(p, &f->jobs) {
		struct job *j = container_of(p, struct job, node);
		bool wanted = j->req.readahead || !list_empty(&j->waiters);

		if (!j->started && (!wanted || f->stop)) {
			list_del(&j->node);
			f->n_jobs--;
			end_all(f, &j->waiters, -ECANCELED);
			job_free(j);
			return true;
		}
		if (!j->started) {
			start(c, f, j);
			return true;
		}
		if (j->delivered) {
			finish(c, f, j);
			return true;
		}
		if (!j->cancelled && (!wanted || f->stop)) {
			j->cancelled = true;
			lock_drop(&f->lock);
			c->p.source->cancel(c->p.source, &j->req);
			lock_take(&f->lock);
			return true;
		}
	}
	return false;
}

/*
 * A directory comes whole or not at all, and a large one may take longer than
 * anybody waits for an answer: each entry that comes is one.  Else its load would be
 * called off at the same point for ever.
 */
static uint64_t due(const struct cache_fetch *w)
{
	const struct job *j = w->job;
	uint64_t heard =
		j && j->req.kind == SOURCE_DIR ? atomic_load(&j->heard_ms) : 0;
	uint64_t timeout = w->timeout_ms;

	if (!heard)
		return w->deadline_ms;
	return MIN(MAX(w->deadline_ms, heard + timeout),
		   w->deadline_ms + HEARD_MAX * timeout);
}

/* NULL: he waited for room. */
static void say_late(struct job *j)
{
	if (j && !j->late)
		log_err(-ETIMEDOUT, "inode %llu: no store gave it",
			(unsigned long long)j->req.ino);
	if (j)
		j->late = true;
}

static void expire(struct fetch_state *f, struct list *waiters, uint64_t now,
		   uint64_t *next_ms)
{
	list_foreach_safe(p, waiters) {
		struct cache_fetch *w = container_of(p, struct cache_fetch, node);

		if (!w->deadline_ms)
			continue;
		if (now < due(w)) {
			*next_ms = MIN(*next_ms, due(w));
			continue;
		}
		say_late(w->job);
		end_waiter(f, w, -ETIMEDOUT);
	}
}

/* Whoever can make room shall know that it is wanted. */
static void say_full(struct cache *c, struct fetch_state *f, uint64_t now)
	REQUIRES(f->lock)
{
	if (!c->p.full || (f->said_ms && now - f->said_ms < ROOM_SAY_MS))
		return;
	f->said_ms = now;
	lock_drop(&f->lock);
	c->p.full(c->p.ctx);
	lock_take(&f->lock);
}

/* Writers that pause, or wait for room.  Takes the operation lock. */
static void look_for_room(struct cache *c, struct fetch_state *f, uint64_t now)
	REQUIRES(f->lock)
{
	bool room = false, late = false;

	say_full(c, f, now);

	list_foreach_safe(p, &f->room) {
		struct cache_fetch *w = container_of(p, struct cache_fetch, node);
		bool pauses = w->room_until_ms; /* only as long as there is some */

		if (pauses && now < w->room_until_ms)
			continue;
		lock_drop(&f->lock);
		lock_take(&c->lock);
		room = c->failed || space_has_room(c, SPACE_WRITE, w->miss.n);
		late = !room && (!pauses || c->full_looked_ms) &&
		       space_waited_in_vain(c, w->miss.n);
		if (room)
			c->credit_bytes += w->miss.n;
		else
			c->wanted_ms = now;
		lock_drop(&c->lock);
		lock_take(&f->lock);
		/* the list may be another one now: look again later */
		if (w->state != WAITER_ROOM)
			return;
		if (room || late || w->room_until_ms)
			end_waiter(f, w, late ? -ENOSPC : 0);
		return;
	}
}

static void queue_readahead(struct cache *c, struct fetch_state *f) REQUIRES(f->lock)
{
	while (f->n_ahead > 0) {
		struct cache_miss m = f->ahead[0]; /* the nearest first */
		struct want w;
		struct job *j;
		int r;

		memmove(f->ahead, f->ahead + 1, --f->n_ahead * sizeof(f->ahead[0]));
		lock_drop(&f->lock);
		r = describe(c, &m, &w);
		lock_take(&f->lock);
		/* read-ahead is a favour: whatever is in the way ends it */
		if (r == 0 && !f->stop && !was_failing(f, &w, &r))
			best_effort(join_or_make(f, &w, true, &j));
	}
}

static void *fetcher(void *arg)
{
	struct cache *c = arg;
	struct fetch_state *f = c->fetch;

	lock_take(&f->lock);
	for (;;) {
		uint64_t now = monotonic_ms(), next = now + 60000;
		struct timespec t;

		forgive(f, now);
		call_back(f);
		if (f->stop)
			end_all(f, &f->room, -ECANCELED);
		queue_readahead(c, f);
		if (work_on_jobs(c, f) || !list_empty(&f->done))
			continue;
		if (f->stop && list_empty(&f->jobs) && list_empty(&f->room))
			break;
		list_foreach(p, &f->jobs)
			expire(f, &container_of(p, struct job, node)->waiters,
			       now, &next);
		expire(f, &f->room, now, &next);
		if (!list_empty(&f->room)) {
			look_for_room(c, f, now);
			next = MIN(next, now + ROOM_LOOK_MS);
		}
		/* what has been forgiven meanwhile is not forgiven twice */
		f->look_ms = is_idle(f) ? 0 : MAX(f->look_ms, now + LOOK_MS);
		next = MIN(next, f->look_ms ? f->look_ms : next);
		if (!list_empty(&f->done) || f->n_ahead)
			continue;
		t = (struct timespec){ .tv_sec = (time_t)(next / 1000),
				       .tv_nsec = (long)(next % 1000) * 1000000 };
		best_effort(cond_wait_until(&f->cond, &f->lock, &t));
	}
	lock_drop(&f->lock);
	return NULL;
}

int fetch_init(struct cache *c)
{
	struct fetch_state *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	lock_init(&f->lock);
	cond_init(&f->cond);
	list_init(&f->jobs);
	list_init(&f->room);
	list_init(&f->done);
	f->c = c;
	c->fetch = f;
	r = pthread_create(&f->thread, NULL, fetcher, c);
	if (r) {
		cond_fini(&f->cond);
		lock_fini(&f->lock);
		free(f);
		c->fetch = NULL;
	}
	return -r;
}

void fetch_fini(struct cache *c)
{
	struct fetch_state *f = c->fetch;

	if (!f)
		return;
	lock_take(&f->lock);
	f->stop = true;
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
	(void)pthread_join(f->thread, NULL); /* it is ours and joinable */
	for (size_t k = 0; k < ARRAY_LEN(f->transients); k++)
		transient_free(&f->transients[k]);
	cond_fini(&f->cond);
	lock_fini(&f->lock);
	free(f);
	c->fetch = NULL;
}

/* ---- read-ahead ---- */

/*
 * How many chunks to have under way beyond the read of [off, off + n), which
 * missed or not.  Who waits for the beginning of a file is taken for one who reads
 * on, and so is who goes on where a read ended (the kernel asks for neighbours in
 * any order): for one chunk first, and four times as many with each one that is
 * read.  A line that holds 1.6 MiB (32 MiB/s, 50 ms) is full with the second.
 */
static unsigned reads_on(struct reader *rd, uint64_t ino, uint64_t off,
			 uint64_t n, bool missed)
{
	uint64_t chunk = off / FETCH_CHUNK, next = rd->next / FETCH_CHUNK;
	/* The same read, now that its bytes came, says nothing but that there is
	 * a line. */
	bool again = rd->waits && off == rd->off && !missed;

	if (rd->ino != ino || (off != rd->next && chunk != next))
		*rd = (struct reader){ .ino = ino, .run = off == 0 && missed };
	else if (again || (rd->run && (off + n) / FETCH_CHUNK != next))
		rd->run *= READAHEAD_GROWTH;
	else if (!rd->run)
		rd->run = 1;
	rd->run = MIN(rd->run, READAHEAD_MAX);
	rd->off = off;
	rd->next = off + n;
	rd->waits = missed;
	return rd->run;
}

/* Under c->lock. */
void fetch_readahead(struct cache *c, struct inode *i, uint64_t off, uint64_t n,
		     bool missed)
{
	struct fetch_state *f = c->fetch;
	struct reader *rd = &c->readers[i->ino % ARRAY_LEN(c->readers)];
	uint64_t chunk = (off + n) / FETCH_CHUNK, last;

	if (!c->p.source || !i->n_link || !i->link_size)
		return;
	/* It would be thrown away, and fetched again. */
	if (c->fetch->full_ms && monotonic_ms() - c->fetch->full_ms < FULL_MS)
		return;
	last = chunk + reads_on(rd, i->ino, off, n, missed);
	if (last == chunk)
		return;
	lock_take(&f->lock);
	for (uint64_t k = chunk + 1; k <= last; k++) {
		if (k * FETCH_CHUNK >= i->link_size || k * FETCH_CHUNK < rd->asked ||
		    f->n_ahead == ARRAY_LEN(f->ahead))
			continue;
		f->ahead[f->n_ahead++] = (struct cache_miss){
			.kind = CACHE_MISS_RANGE, .ino = i->ino, .off = k * FETCH_CHUNK
		};
		rd->asked = (k + 1) * FETCH_CHUNK;
		cond_wake_all(&f->cond);
	}
	lock_drop(&f->lock);
}
