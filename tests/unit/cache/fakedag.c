/* fakedag.c - a DAG in memory: what a test has adopted, it serves back */
#include "fakedag.h"

#include <stdio.h>

#include "base/list.h"
#include "base/thread.h"

struct content {
	uint8_t *p;
	size_t n;
	unsigned n_entries; /* a directory of these, each with content `of` */
	uint64_t first_ino;
	uint64_t of;
};

struct pending {
	struct list node;
	struct source_req *req;
	bool cancelled;
};

struct fakedag {
	struct source source;
	struct lock lock;
	struct cond cond;
	struct content *v;
	size_t n;
	struct list queue;
	int fail;
	unsigned starts;
	unsigned break_at;         /* entries; 0: not */
	unsigned pace_ms, n_paced; /* a pause before each entry, so many times */
	unsigned n_paces;          /* how often that was set */
	bool hold, stop;
	pthread_t thread;
};

static int start(struct source *s, struct source_req *req)
{
	struct fakedag *f = container_of(s, struct fakedag, source);
	struct pending *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->req = req;
	lock_take(&f->lock);
	f->starts++;
	list_push(&f->queue, &p->node);
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
	return 0;
}

static void cancel(struct source *s, struct source_req *req)
{
	struct fakedag *f = container_of(s, struct fakedag, source);

	lock_take(&f->lock);
	list_foreach(n, &f->queue) {
		struct pending *p = container_of(n, struct pending, node);

		if (p->req == req)
			p->cancelled = true;
	}
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
}

static void pause_entry(struct fakedag *f) REQUIRES(&f->lock)
{
	uint64_t until = monotonic_ms() + f->pace_ms;
	unsigned paces = f->n_paces;

	if (!f->n_paced)
		return;
	f->n_paced--;
	while (!f->stop && f->n_paces == paces && monotonic_ms() < until)
		(void)cond_wait_until_ms(&f->cond, &f->lock, until);
}

static int serve_dir(struct fakedag *f, struct source_req *req,
		     const struct content *c) REQUIRES(&f->lock)
{
	const struct content *all = f->v;
	int r = 0;

	unsigned end = f->break_at ? MIN(f->break_at, c->n_entries) : c->n_entries;

	for (unsigned k = 0; k < end && r == 0; k++) {
		struct cache_attr a = { .ino = c->first_ino + k,
					.mode = S_IFREG | 0644,
					.nlink = 1,
					.size = all[c->of].n };
		uint8_t link[8];
		char name[16];
		struct source_entry e;

		(void)snprintf(name, sizeof(name), "e%u", k);
		put_le64(link, c->of + 1);
		e = (struct source_entry){ .name = slice_str(name),
					   .attr = &a,
					   .link = slice(link, 8) };
		pause_entry(f);
		r = req->sink->entry(req, &e);
	}
	if (r == 0 && f->break_at)
		r = -EREMOTEIO;
	f->break_at = 0;
	return r;
}

/* Blocks of zeros are holes, as a sealer of 4 KiB chunks would have them. */
static int serve_holes(struct source_req *req, const struct content *c)
{
	static const uint8_t zeros[CACHE_BLOCK];
	int r = 0;

	for (size_t at = 0; at < c->n && r == 0; at += CACHE_BLOCK) {
		size_t n = MIN(CACHE_BLOCK, c->n - at);

		if (memcmp(c->p + at, zeros, n) == 0)
			r = req->sink->data(req, at, SLICE_NONE, n);
	}
	return r;
}

static int serve(struct fakedag *f, struct source_req *req) REQUIRES(&f->lock)
{
	uint64_t id = req->link.n == 8 ? get_le64(req->link.p) : 0;
	const struct content *c = id && id <= f->n ? &f->v[id - 1] : NULL;
	uint64_t end;
	int r = 0;

	if (!c)
		return -EREMOTEIO;
	if (req->kind == SOURCE_DIR)
		return serve_dir(f, req, c);
	if (req->kind == SOURCE_HOLES)
		return serve_holes(req, c);
	end = MIN(req->off + req->n, c->n);
	for (uint64_t at = req->off; at < end && r == 0; at += 3000)
		r = req->sink->data(req, at,
				    slice(c->p + at, MIN(3000, end - at)), 0);
	return r;
}

static struct pending *next(struct fakedag *f)
{
	list_foreach(n, &f->queue) {
		struct pending *p = container_of(n, struct pending, node);

		if (p->cancelled || !f->hold)
			return p;
	}
	return NULL;
}

static void *worker(void *arg)
{
	struct fakedag *f = arg;

	lock_take(&f->lock);
	while (!f->stop || !list_empty(&f->queue)) {
		struct pending *p = next(f);
		int r;

		if (!p) {
			cond_wait(&f->cond, &f->lock);
			continue;
		}
		list_del(&p->node);
		r = p->cancelled ? -ECANCELED :
		    f->fail      ? -f->fail :
				   serve(f, p->req);
		lock_drop(&f->lock);
		p->req->done(p->req, r);
		free(p);
		lock_take(&f->lock);
	}
	lock_drop(&f->lock);
	return NULL;
}

struct fakedag *fakedag_new(void)
{
	struct fakedag *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->source.start = start;
	f->source.cancel = cancel;
	lock_init(&f->lock);
	cond_init(&f->cond);
	list_init(&f->queue);
	assert_int_equal(pthread_create(&f->thread, NULL, worker, f), 0);
	return f;
}

void fakedag_free(struct fakedag *f)
{
	lock_take(&f->lock);
	f->stop = true;
	f->hold = false;
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
	assert_int_equal(pthread_join(f->thread, NULL), 0);
	for (size_t k = 0; k < f->n; k++)
		free(f->v[k].p);
	free(f->v);
	cond_fini(&f->cond);
	lock_fini(&f->lock);
	free(f);
}

struct source *fakedag_source(struct fakedag *f)
{
	return &f->source;
}

static struct content *add(struct fakedag *f, const void *p, size_t n)
{
	struct content *v = realloc(f->v, (f->n + 1) * sizeof(*v));

	assert_non_null(v);
	f->v = v;
	v[f->n] = (struct content){ .p = malloc(n + 1), .n = n };
	assert_non_null(v[f->n].p);
	if (n)
		memcpy(v[f->n].p, p, n);
	return &v[f->n++];
}

void fakedag_add(struct fakedag *f, const void *p, size_t n, uint8_t ret[static 8])
{
	lock_take(&f->lock);
	(void)add(f, p, n);
	put_le64(ret, f->n);
	lock_drop(&f->lock);
}

void fakedag_dir(struct fakedag *f, unsigned n, uint64_t ino, const void *p,
		 size_t size, uint8_t ret[static 8])
{
	struct content *c;

	lock_take(&f->lock);
	(void)add(f, p, size);
	c = add(f, NULL, 0);
	c->n_entries = n;
	c->first_ino = ino;
	c->of = f->n - 2;
	put_le64(ret, f->n);
	lock_drop(&f->lock);
}

void fakedag_fail(struct fakedag *f, int err)
{
	lock_take(&f->lock);
	f->fail = err;
	lock_drop(&f->lock);
}

void fakedag_hold(struct fakedag *f, bool hold)
{
	lock_take(&f->lock);
	f->hold = hold;
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
}

void fakedag_pace(struct fakedag *f, unsigned ms, unsigned n)
{
	lock_take(&f->lock);
	f->pace_ms = ms;
	f->n_paced = n;
	f->n_paces++;
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
}

unsigned fakedag_paced(struct fakedag *f)
{
	unsigned n;

	lock_take(&f->lock);
	n = f->n_paced;
	lock_drop(&f->lock);
	return n;
}

void fakedag_break(struct fakedag *f, unsigned n)
{
	lock_take(&f->lock);
	f->break_at = n;
	lock_drop(&f->lock);
}

unsigned fakedag_starts(struct fakedag *f)
{
	unsigned n;

	lock_take(&f->lock);
	n = f->starts;
	lock_drop(&f->lock);
	return n;
}

struct waiting {
	struct cache_fetch w;
	struct lock lock;
	struct cond cond;
	bool over;
	int status;
};

static void fetched(struct cache_fetch *w, int status)
{
	struct waiting *x = container_of(w, struct waiting, w);

	lock_take(&x->lock);
	x->over = true;
	x->status = status;
	cond_wake_all(&x->cond);
	lock_drop(&x->lock);
}

int fetch_wait(struct drive *d, const struct cache_op *op, unsigned timeout_ms)
{
	struct waiting x = { .w = { .miss = op->miss,
				    .done = fetched,
				    .timeout_ms = timeout_ms } };
	int r;

	lock_init(&x.lock);
	cond_init(&x.cond);
	r = cache_fetch(d->c, &x.w);
	if (r == 0) {
		lock_take(&x.lock);
		while (!x.over)
			cond_wait(&x.cond, &x.lock);
		lock_drop(&x.lock);
		r = x.status;
	}
	cond_fini(&x.cond);
	lock_fini(&x.lock);
	return r;
}

struct list_of {
	uint64_t v[1024];
	size_t n;
};

static int on_dirty(void *ctx, uint64_t ino)
{
	struct list_of *l = ctx;

	assert_true(l->n < ARRAY_LEN(l->v));
	l->v[l->n++] = ino;
	return 0;
}

/* Pieces that together are the file, each of the kind that was told. */
struct runs_told {
	uint64_t at;
};

static int on_run(void *ctx, enum cache_run_kind kind, uint64_t off, uint64_t n)
{
	struct runs_told *t = ctx;

	(void)kind;
	assert_true(off == t->at && n > 0);
	t->at += n;
	return 0;
}

static void read_whole(struct drive *d, struct cache_snap *s, uint64_t ino,
		       uint8_t *p, size_t n)
{
	unsigned tries = 0;
	struct cache_op op;
	int r;

	while ((r = cache_snap_read(s, ino, 0, p, n, &op.miss)) == -EINPROGRESS) {
		assert_int_equal(fetch_wait(d, &op, 0), 0);
		/* what was fetched is there when it is asked for again */
		assert_true(++tries < 100);
	}
	assert_int_equal(r, 0);
}

void onboard(struct drive *d, struct fakedag *f, void (*meanwhile)(void *ctx),
	     void *ctx)
{
	struct list_of dirty = { .n = 0 };
	struct cache_adopt *v;
	struct cache_snap *s;
	uint8_t(*links)[8];
	uint64_t gen;
	size_t n = 0;

	assert_int_equal(cache_snap_open(d->c, &s), 0);
	gen = cache_snap_gen(s);
	if (meanwhile)
		meanwhile(ctx);
	assert_int_equal(cache_snap_dirty(s, on_dirty, &dirty), 0);
	v = calloc(dirty.n + 1, sizeof(*v));
	links = calloc(dirty.n + 1, sizeof(*links));
	assert_true(v && links);
	for (size_t k = 0; k < dirty.n; k++) {
		struct cache_snap_inode i;
		struct runs_told told = { 0 };
		uint8_t *p;

		assert_int_equal(cache_snap_inode(s, dirty.v[k], &i), 0);
		if (S_ISREG(i.attr.mode)) {
			assert_int_equal(cache_snap_runs(s, dirty.v[k], 0,
							 i.attr.size, on_run, &told),
					 0);
			assert_true(told.at == i.attr.size);
			p = malloc(i.attr.size + 1);
			assert_non_null(p);
			read_whole(d, s, dirty.v[k], p, i.attr.size);
			fakedag_add(f, p, i.attr.size, links[k]);
			free(p);
		} else {
			fakedag_add(f, NULL, 0, links[k]);
		}
		v[n++] = (struct cache_adopt){ .ino = dirty.v[k],
					       .link = slice(links[k], 8),
					       .size = i.attr.size };
	}
	cache_snap_close(s);
	assert_int_equal(cache_adopt(d->c, gen, v, n), 0);
	assert_int_equal(cache_adopt(d->c, gen, v, n), 0); /* idempotent */
	free(v);
	free(links);
}
