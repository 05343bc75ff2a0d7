/*
 * mend_apply.c - the substitutes, into an empty local drive
 *
 * The cache is opened with a source that answers with the mended tree: of what
 * was lost it gives the older version, of all else what is there.  Then every
 * directory that is not as the commit had it is changed, so that the next commit
 * writes it anew.  Nothing else is loaded.
 *
 *   cache_lookup ─ miss ─► cache_fetch ─► source_start: queued ─► this thread
 */
#include "retrieve/mend.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/thread.h"
#include "cache/cache.h"
#include "cache/source.h"
#include "dag/attr.h"
#include "retrieve/internal.h"

#define MARK_NAME   ".fildrive-mended" /* for a moment, to make a change */
#define NOTE_NAME   "THIS FOLDER WAS LOST.txt"
#define REPORT_NAME "report.txt"
#define WRITE_MAX   (1u << 20) /* bytes at once */

static const char note_text[] =
	"This folder could not be read at any store, and no older version of it\n"
	"was found. See report.txt in the folder lost+found.\n";

struct apply {
	struct source source;
	struct mend *m;
	struct cache *cache;
	struct timespec now;
	struct lock lock;
	struct cond cond;
	struct source_req *queue; /* lock: lock; next is req->impl */
};

/* ---- the source ---- */

static int apply_start(struct source *s, struct source_req *req)
{
	struct apply *a = container_of(s, struct apply, source);

	lock_take(&a->lock);
	req->impl = a->queue;
	a->queue = req;
	cond_wake_all(&a->cond);
	lock_drop(&a->lock);
	return 0;
}

/* What is not begun ends here; what runs ends soon. */
static void apply_cancel(struct source *s, struct source_req *req)
{
	struct apply *a = container_of(s, struct apply, source);
	struct source_req *found = NULL;

	lock_take(&a->lock);
	if (a->queue == req) {
		found = req;
		a->queue = req->impl;
	}
	for (struct source_req *p = a->queue; p && !found; p = p->impl) {
		if (p->impl == req) {
			found = req;
			p->impl = req->impl;
		}
	}
	lock_drop(&a->lock);
	if (found)
		found->done(found, -ECANCELED);
}

static int apply_state(struct source *s, uint64_t ino, struct slice link,
		       struct source_state *ret)
{
	(void)s;
	(void)ino;
	(void)link;
	*ret = (struct source_state){ .state = "local" };
	return 0;
}

struct telling {
	struct apply *a;
	struct source_req *req;
	const struct mend_dir *d; /* NULL: nothing is wrong with it */
	unsigned from;            /* 0: the tree's own, 1: the older version */
};

static int tell(struct source_req *req, struct slice name, const struct attr *a,
		const struct link *l, struct slice xattrs)
{
	_cleanup_free_ struct source_xattr *v = NULL;
	_cleanup_buf_ struct buf link = { 0 };
	struct source_entry e = { .name = name, .shared = a->shared };
	struct cache_attr ca;
	int r;

	buf_init(&link, LINK_ENCODED_MAX);
	attr_to_cache(a, &ca);
	r = link_encode(l, &link);
	if (r == 0)
		r = xattrs_of(xattrs, &v, &e.n_xattrs);
	if (r < 0)
		return r;
	e.attr = &ca;
	e.link = buf_slice(&link);
	e.xattrs = v;
	return req->sink->entry(req, &e);
}

static int on_item(void *ctx, const struct dir_item *item)
{
	struct telling *t = ctx;
	_cleanup_buf_ struct buf set = { 0 };
	struct attr a;
	int r;

	if (t->from == 1 && !mend_is_lost(t->d, item->name))
		return 0;
	r = attr_decode(item->attr, &a);
	if (r < 0 || !a.mode || (t->d && mend_drops(&t->d->drop[t->from], a.ino)))
		return 0; /* the report says so */
	buf_init(&set, ATTR_XATTRS_MAX);
	if (a.xattr_link.kind != LINK_NONE) {
		r = remote_body(t->a->m->r, &a.xattr_link, &set, NULL);
		if (r == -ENOMEM)
			return r;
		a.xattrs = r < 0 ? SLICE_NONE : buf_slice(&set);
	}
	return tell(t->req, item->name, &a, &item->link, a.xattrs);
}

static int on_part(void *ctx, const struct mend_part *part)
{
	struct telling *t = ctx;

	(void)part;
	return t->d ? 0 : -ENODATA; /* a moment ago it was there */
}

static struct attr new_attr(const struct apply *a, uint64_t ino, uint32_t mode)
{
	const struct attr_time now = { a->now.tv_sec, (uint32_t)a->now.tv_nsec };

	return (struct attr){ .ino = ino,
			      .mode = mode,
			      .uid = geteuid(),
			      .gid = getegid(),
			      .nlink = S_ISDIR(mode) ? 2 : 1,
			      .mtime = now,
			      .ctime = now,
			      .btime = now,
			      .atime = now };
}

void mend_orphan_name(const struct mend_orphan *o, char ret[static MEND_NAME_SIZE])
{
	size_t n = 0;

	for (size_t i = 0; i < 8; i++)
		n += (size_t)snprintf(ret + n, MEND_NAME_SIZE - n, "%02x",
				      o->link.digest[i]); /* 16 in all */
}

static int tell_orphans(struct apply *a, struct source_req *req)
{
	const struct mend *m = a->m;
	char name[MEND_NAME_SIZE];
	int r = 0;

	for (size_t i = 0; i < m->n_orphans && r == 0; i++) {
		bool is_dir = m->orphans[i].is_dir;
		struct attr at = new_attr(a, m->orphans[i].ino,
					  is_dir ? S_IFDIR | 0700 : S_IFREG | 0600);

		at.size = m->orphans[i].size;
		mend_orphan_name(&m->orphans[i], name);
		r = tell(req, slice_str(name), &at, &m->orphans[i].link, SLICE_NONE);
	}
	return r;
}

/* In the root: the directory that holds the orphans and the report. */
static int tell_found(struct apply *a, struct source_req *req)
{
	static const struct link empty = { .kind = LINK_IDENTITY,
					   .codec = LINK_DAGPB };
	struct attr at = new_attr(a, a->m->found_ino, S_IFDIR | 0700);

	return tell(req, slice_str(a->m->found_name), &at, &empty, SLICE_NONE);
}

static int answer(struct apply *a, struct source_req *req)
{
	struct telling t = { .a = a, .req = req, .d = mend_find(a->m, req->ino) };
	const struct mend_read to = { on_item, on_part, &t };
	struct cursor c = cursor(req->link);
	struct link l;
	int r;

	if (req->kind != SOURCE_DIR)
		return -ENOENT; /* nothing here asks for it */
	if (req->ino == a->m->found_ino)
		return tell_orphans(a, req);
	r = link_decode(&c, &l);
	if (r == 0)
		r = mend_dir_read(a->m->r, &l, t.d ? t.d->level : 0, &to);
	if (r == 0 && t.d && t.d->older.kind != LINK_NONE) {
		t.from = 1;
		r = mend_dir_read(a->m->r, &t.d->older, 0, &to);
	}
	if (r == 0 && req->ino == CACHE_ROOT_INO)
		r = tell_found(a, req);
	return r;
}

/* ---- operations, with what they miss ---- */

struct waiter {
	struct cache_fetch fetch;
	struct apply *a;
	bool over; /* lock: a->lock */
	int status;
};

static void fetched(struct cache_fetch *f, int status)
{
	struct waiter *w = container_of(f, struct waiter, fetch);
	struct apply *a = w->a;

	lock_take(&a->lock);
	w->over = true;
	w->status = status;
	cond_wake_all(&a->cond);
	lock_drop(&a->lock);
}

static int fetch(struct apply *a, const struct cache_op *op)
{
	struct waiter w = { .fetch = { .miss = op->miss, .done = fetched }, .a = a };
	struct source_req *req;
	int r = cache_fetch(a->cache, &w.fetch);

	if (r < 0)
		return r;
	lock_take(&a->lock);
	while (!w.over) {
		req = a->queue;
		if (!req) {
			cond_wait(&a->cond, &a->lock);
			continue;
		}
		a->queue = req->impl;
		lock_drop(&a->lock);
		req->done(req, answer(a, req));
		lock_take(&a->lock);
	}
	lock_drop(&a->lock);
	return w.status;
}

#define again(r, op, call) \
 do {                      \
  (r) = (call);            \
 } while ((r) == -EINPROGRESS && ((r) = fetch(a, &(op))) == 0)

static int lookup(struct apply *a, uint64_t parent, struct slice name,
		  struct cache_attr *ret)
{
	struct cache_op op = { .uid = 0 };
	int r;

	again(r, op, cache_lookup(a->cache, &op, parent, name, ret));
	if (r == 0)
		cache_forget(a->cache, ret->ino, 1);
	return r;
}

static int resolve(struct apply *a, const char *path, uint64_t *ret)
{
	struct cache_attr at = { .ino = CACHE_ROOT_INO };
	int r = 0;

	while (*path && r == 0) {
		size_t n = strcspn(path, "/");

		r = lookup(a, at.ino, slice(path, n), &at);
		path += n + (path[n] == '/');
	}
	*ret = at.ino;
	return r;
}

static int make(struct apply *a, uint64_t dir, const char *name, uint64_t *ret)
{
	const struct cache_new n = { .mode = S_IFREG | 0600,
				     .uid = geteuid(),
				     .gid = getegid() };
	struct cache_op op = { .uid = 0 };
	struct cache_attr at;
	int r;

	again(r, op, cache_mknod(a->cache, &op, dir, slice_str(name), &n, &at));
	if (r < 0)
		return r;
	*ret = at.ino;
	cache_forget(a->cache, at.ino, 1);
	return 0;
}

static int write_text(struct apply *a, uint64_t dir, const char *name, struct slice s)
{
	struct cache_op op = { .uid = 0 };
	uint64_t ino = 0, off = 0;
	int r = make(a, dir, name, &ino);

	while (r == 0 && off < s.n) {
		struct slice part = slice(s.p + off, MIN(s.n - off, WRITE_MAX));

		again(r, op, cache_write(a->cache, &op, ino, off, part, 0));
		off += part.n;
	}
	return r;
}

/* A name that comes and goes; then the times are as they were. */
static int touch(struct apply *a, uint64_t ino)
{
	struct cache_setattr set = { .mask = CACHE_SET_MTIME | CACHE_SET_CTIME };
	struct cache_op op = { .uid = 0 };
	struct cache_attr at;
	uint64_t mark;
	int r;

	again(r, op, cache_getattr(a->cache, &op, ino, &at));
	if (r < 0)
		return r;
	set.mtime = at.mtime;
	set.ctime = at.ctime;
	r = make(a, ino, MARK_NAME, &mark);
	if (r < 0)
		return r;
	again(r, op, cache_unlink(a->cache, &op, ino, slice_str(MARK_NAME)));
	if (r < 0)
		return r;
	again(r, op, cache_setattr(a->cache, &op, ino, &set, &at));
	return r;
}

static int write_anew(struct apply *a, const struct mend_dir *d)
{
	bool empty = d->n_parts && !d->parts[0].depth && d->older.kind == LINK_NONE;
	uint64_t ino = 0;
	int r = resolve(a, d->path, &ino);

	if (r < 0)
		return r;
	return empty ? write_text(a, ino, NOTE_NAME,
				  slice(note_text, sizeof(note_text) - 1)) :
		       touch(a, ino);
}

static int write_all(struct apply *a)
{
	struct mend *m = a->m;
	uint64_t ino = 0;
	int r = 0;

	for (size_t i = 0; i < m->n_dirs && r == 0; i++)
		r = write_anew(a, &m->dirs[i]);
	if (r == 0)
		r = resolve(a, m->found_name, &ino);
	return r < 0 ? r : write_text(a, ino, REPORT_NAME, buf_slice(&m->report));
}

int mend_apply(struct mend *m, const struct cache_params *p, struct err *reterr)
{
	struct apply a = { .source = { apply_start, apply_cancel, apply_state },
			   .m = m };
	struct cache_params with = *p;
	int r, closed;

	if (!m->found_ino)
		return 0; /* all is as the commit had it */
	(void)clock_gettime(CLOCK_REALTIME, &a.now); /* cannot fail */
	with.source = &a.source;
	with.read_only = false;
	lock_init(&a.lock);
	cond_init(&a.cond);
	r = cache_open(&with, &a.cache, reterr);
	if (r == 0) {
		r = write_all(&a);
		if (r == 0)
			r = cache_sync(a.cache);
		closed = cache_close(a.cache);
		r = r < 0 ? r : closed;
		if (r < 0)
			err_set(reterr, r, "mending the tree: %s", err_str(r));
	}
	cond_fini(&a.cond);
	lock_fini(&a.lock);
	return r;
}
