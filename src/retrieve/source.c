/*
 * source.c - the cache's requests, one a fetcher thread at a time
 *
 *   start ─► jobs ─► thread: walk the DAG ─► sink … ─► done
 *              ▲            │ every store away
 *              └─ later ────┘
 */
#include "retrieve/retrieve.h"

#include <errno.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "cache/cache.h"
#include "dag/attr.h"
#include "dag/cid.h"
#include "dag/dir.h"
#include "ledger/ledger.h"
#include "retrieve/fetch.h"
#include "retrieve/get.h"
#include "retrieve/internal.h"

#define THREADS_DEFAULT 16
#define GIVE_UP_MS      60000
#define RETRY_FIRST_MS  250
#define RETRY_MAX_MS    4000
#define XATTRS_MAX      1024

struct job {
	struct list node;
	struct retrieve *r;
	struct source_req *req;
	struct link link;
	struct stop stop;
	uint64_t not_before_ms, began_ms, pause_ms;
	uint64_t left_ms; /* until it is given up */
	/* What the sink has got already: a walk that is begun again after a
	 * store was away comes by in the same order. */
	uint64_t n_told, at;
};

/* Is this the first time that the walk comes here? */
static bool is_new(struct job *j)
{
	return j->at++ >= j->n_told;
}

/* ---- what the cache wants to know of an entry ---- */

static struct timespec to_timespec(struct attr_time t)
{
	return (struct timespec){ .tv_sec = t.s, .tv_nsec = (long)t.ns };
}

void attr_to_cache(const struct attr *a, struct cache_attr *ret)
{
	*ret = (struct cache_attr){
		.ino = a->ino,
		.mode = a->mode,
		.uid = a->uid,
		.gid = a->gid,
		.nlink = a->nlink,
		.rdev = makedev((unsigned)(a->rdev >> 32),
				(unsigned)(a->rdev & UINT32_MAX)),
		.size = a->size,
		.atime = to_timespec(a->atime),
		.mtime = to_timespec(a->mtime),
		.ctime = to_timespec(a->ctime),
		.btime = to_timespec(a->btime),
	};
}

int xattrs_of(struct slice set, struct source_xattr **ret, size_t *ret_n)
{
	struct attr_iter it = attr_xattrs(set);
	struct source_xattr *v = NULL, *grown;
	struct attr_xattr x;
	size_t n = 0;
	int r;

	while ((r = attr_xattrs_next(&it, &x)) == 1) {
		if (n == XATTRS_MAX) {
			r = -EMSGSIZE;
			break;
		}
		if (n % 16 == 0) {
			grown = realloc(v, (n + 16) * sizeof(*v));
			if (!grown) {
				r = -ENOMEM;
				break;
			}
			v = grown;
		}
		v[n++] = (struct source_xattr){ x.name, x.value };
	}
	if (r < 0) {
		free(v);
		return r;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

static int entry(void *ctx, const struct dir_item *item)
{
	struct job *j = ctx;
	_cleanup_free_ struct source_xattr *xattrs = NULL;
	_cleanup_buf_ struct buf set = { 0 }, link = { 0 };
	struct cache_attr ca;
	struct source_entry e;
	struct attr a;
	int r;

	if (!is_new(j))
		return 0;
	buf_init(&set, ATTR_XATTRS_MAX);
	buf_init(&link, LINK_ENCODED_MAX);
	r = attr_decode(item->attr, &a);
	if (r == 0 && a.mode == 0)
		r = -EPROTO;
	if (r == 0 && a.xattr_link.kind != LINK_NONE) {
		r = body_fetch(j->r, &a.xattr_link, &j->stop, &set, NULL);
		a.xattrs = buf_slice(&set);
	}
	if (r == 0)
		r = link_encode(&item->link, &link);
	if (r < 0)
		return r;
	attr_to_cache(&a, &ca);
	e = (struct source_entry){ .name = item->name,
				   .attr = &ca,
				   .link = buf_slice(&link),
				   .shared = a.shared };
	r = xattrs_of(a.xattrs, &xattrs, &e.n_xattrs);
	if (r < 0)
		return r;
	e.xattrs = xattrs;
	r = j->req->sink->entry(j->req, &e);
	if (r == 0)
		j->n_told = j->at;
	return r;
}

static int data(void *ctx, uint64_t off, struct slice bytes, uint64_t n_hole)
{
	struct job *j = ctx;
	int r;

	if (!is_new(j))
		return 0;
	r = j->req->sink->data(j->req, off, bytes, n_hole);
	if (r == 0)
		j->n_told = j->at;
	return r;
}

/* ---- the kinds of requests ---- */

static int read_symlink(struct job *j, struct slice body)
{
	struct slice target;
	int r;

	r = symlink_parse(body, true, &target);
	return r < 0 ? r : data(j, 0, target, 0);
}

static int job_read(struct job *j, struct err *e)
{
	_cleanup_buf_ struct buf body = { 0 };
	int r;

	/* A symlink is one node; what is not one says so. */
	buf_init(&body, 2u << 20);
	if (j->link.codec == LINK_DAGPB && j->req->off == 0) {
		r = body_fetch(j->r, &j->link, &j->stop, &body, e);
		if (r < 0)
			return r;
		r = read_symlink(j, buf_slice(&body));
		if (r != -EPROTO)
			return r;
	}
	return walk_file(j->r, &j->link, j->req->off, j->req->n, &j->stop, data,
			 j, e);
}

static int job_inode(struct job *j, struct err *e)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct dir_item item;
	struct link table;
	int r;

	lock_take(&j->r->lock);
	table = j->r->inode_table;
	lock_drop(&j->r->lock);
	buf_init(&body, 2u << 20);
	r = row_find(j->r, &table, j->req->ino, &j->stop, &body, &item, e);
	return r < 0 ? r : entry(j, &item);
}

static int job_run(struct job *j, struct err *e)
{
	j->at = 0;
	switch (j->req->kind) {
	case SOURCE_DIR: return walk_dir(j->r, &j->link, &j->stop, entry, j, e);
	case SOURCE_READ: return job_read(j, e);
	case SOURCE_INODE: return job_inode(j, e);
	case SOURCE_HOLES:
		return walk_holes(j->r, &j->link, j->req->off, j->req->n,
				  &j->stop, data, j, e);
	}
	return -EINVAL;
}

/* ---- threads ---- */

static void job_end(struct job *j, int status, const struct err *e)
{
	struct retrieve *r = j->r;

	lock_take(&r->lock);
	if (status == 0)
		failed_past(r, j->req);
	else if (status != -ECANCELED)
		failed_note(r, j->req, status,
			    e->text[0] ? e->text : err_str(status));
	lock_drop(&r->lock);
	if (status < 0 && status != -ECANCELED && !j->req->readahead)
		log_err(status, "inode %llu: %s", (unsigned long long)j->req->ino,
			e->text[0] ? e->text : "fetched, and not of use");
	j->req->done(j->req, status);
	free(j);
}

/*
 * Of the time that a job has, a try and the pause behind it.  No try takes more than
 * half of it: one that seems to have was stopped with the process, and another may
 * end well at once.
 */
static bool has_time(struct job *j, uint64_t now)
{
	uint64_t took = MIN(now - j->began_ms, j->r->p.give_up_ms / 2) + j->pause_ms;

	j->left_ms -= MIN(took, j->left_ms);
	return j->left_ms > 0;
}

/* Away is not lost: again, until its time is over.  Lock: not held. */
static bool job_again(struct job *j, int status)
{
	struct retrieve *r = j->r;
	uint64_t now = monotonic_ms();
	bool again;

	if (status != -EREMOTEIO || j->req->readahead)
		return false;
	lock_take(&r->lock);
	list_del(&j->node);
	again = !r->stopping && !atomic_load(&j->stop.cancelled) &&
		has_time(j, now);
	if (again) {
		j->not_before_ms = now + j->pause_ms;
		j->pause_ms = MIN(2 * j->pause_ms, RETRY_MAX_MS);
		j->stop.asked = false;
		list_push(&r->jobs, &j->node);
		cond_wake_all(&r->cond);
	} else {
		list_push(&r->busy, &j->node);
	}
	lock_drop(&r->lock);
	return again;
}

/*
 * Read-ahead of a file follows who waits for its bytes, until these are asked for:
 * else it may be first on the line, when the node that both need has come.
 */
static bool has_to_follow(struct retrieve *r, const struct job *j) REQUIRES(&r->lock)
{
	if (!j->req->readahead || atomic_load(&j->stop.cancelled) || r->stopping)
		return false;
	list_foreach(p, &r->busy) {
		const struct job *b = container_of(p, struct job, node);

		if (!b->req->readahead && b->req->kind == SOURCE_READ &&
		    b->req->ino == j->req->ino && !b->stop.asked)
			return true;
	}
	return false;
}

/* The first job that may run: what somebody waits for before read-ahead. */
static struct job *job_pick(struct retrieve *r, uint64_t *ret_wait_until)
	REQUIRES(&r->lock)
{
	struct job *found = NULL;
	uint64_t now = monotonic_ms();

	*ret_wait_until = UINT64_MAX;
	list_foreach(p, &r->jobs) {
		struct job *j = container_of(p, struct job, node);

		if (j->not_before_ms > now &&
		    !atomic_load(&j->stop.cancelled) && !r->stopping) {
			*ret_wait_until = MIN(*ret_wait_until, j->not_before_ms);
			continue;
		}
		if (has_to_follow(r, j))
			continue;
		if (!found || (found->req->readahead && !j->req->readahead))
			found = j;
		if (!found->req->readahead)
			break;
	}
	return found;
}

static struct job *job_next(struct retrieve *r)
{
	struct job *j;
	uint64_t until;

	lock_take(&r->lock);
	for (;;) {
		j = job_pick(r, &until);
		if (j || r->stopping)
			break;
		if (until == UINT64_MAX) {
			cond_wait(&r->cond, &r->lock);
		} else {
			(void)cond_wait_until_ms(&r->cond, &r->lock, until);
		}
	}
	if (j) {
		list_del(&j->node);
		list_push(&r->busy, &j->node);
	}
	lock_drop(&r->lock);
	return j;
}

static void *fetcher(void *arg)
{
	struct retrieve *r = arg;
	struct job *j;
	int status;

	while ((j = job_next(r))) {
		struct err e = { 0 };

		j->began_ms = monotonic_ms();
		status = atomic_load(&j->stop.cancelled) ? -ECANCELED :
							   job_run(j, &e);
		if (atomic_load(&j->stop.cancelled))
			status = -ECANCELED;
		if (job_again(j, status))
			continue;
		lock_take(&r->lock);
		list_del(&j->node);
		if (!list_empty(&r->jobs)) /* what had to follow it */
			cond_wake_all(&r->cond);
		lock_drop(&r->lock);
		job_end(j, status, &e);
	}
	return NULL;
}

static struct retrieve *retrieve_of(struct source *s)
{
	return container_of(s, struct retrieve, source);
}

static int source_start(struct source *s, struct source_req *req)
{
	struct retrieve *r = retrieve_of(s);
	struct cursor c = cursor(req->link);
	struct job *j = calloc(1, sizeof(*j));
	int rc = 0;

	if (!j)
		return -ENOMEM;
	if (req->kind != SOURCE_INODE) {
		rc = link_decode(&c, &j->link);
		if (rc == 0)
			rc = cursor_done(&c);
	}
	if (rc < 0) {
		free(j);
		return rc;
	}
	j->r = r;
	j->req = req;
	j->stop.ahead = req->readahead;
	j->pause_ms = RETRY_FIRST_MS;
	j->left_ms = r->p.give_up_ms;
	req->impl = j;
	lock_take(&r->lock);
	if (r->stopping)
		rc = -ECANCELED;
	else
		list_push(&r->jobs, &j->node);
	cond_wake_one(&r->cond);
	lock_drop(&r->lock);
	if (rc < 0)
		free(j);
	return rc;
}

static bool job_is_in(const struct list *head, const struct source_req *req)
{
	list_foreach(p, head)
		if (container_of(p, struct job, node)->req == req)
			return true;
	return false;
}

/* `req` may be over already: it is looked for, not followed. */
static void source_cancel(struct source *s, struct source_req *req)
{
	struct retrieve *r = retrieve_of(s);

	lock_take(&r->lock);
	if (job_is_in(&r->jobs, req) || job_is_in(&r->busy, req)) {
		struct job *j = req->impl;

		stop_now(r, &j->stop);
		cond_wake_all(&r->cond);
	}
	lock_drop(&r->lock);
}

/* ---- state of a clean inode ---- */

struct pieces {
	uint64_t v[256];
	size_t n;
};

static void pieces_note(struct pieces *p, const struct link *l)
{
	if (l->kind != LINK_SEALED || !l->place.piece)
		return;
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i] == l->place.piece)
			return;
	if (p->n < ARRAY_LEN(p->v))
		p->v[p->n++] = l->place.piece;
}

/* Pieces of the root block and, where its node is here, of its children. */
static void pieces_of(struct retrieve *r, const struct link *l, struct pieces *ret)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct file_node node;
	struct file_child c;
	struct file_iter it;

	*ret = (struct pieces){ 0 };
	pieces_note(ret, l);
	buf_init(&body, 2u << 20);
	if (l->kind != LINK_SEALED || l->codec != LINK_DAGPB ||
	    ledger_node_get(r->p.ledger, l->digest, &body) < 0 ||
	    file_node_parse(buf_slice(&body), LINK_DAGPB, true, &node) < 0)
		return;
	file_iter_init(&it, &node);
	while (file_iter_next(&it, &c) == 1)
		pieces_note(ret, &c.link);
}

/* The newest commit that is visible at the stores. */
struct claimed {
	uint64_t seq, piece; /* 0: none */
};

static int on_claimed(void *ctx, const struct ledger_head *h)
{
	*(struct claimed *)ctx = (struct claimed){ h->seq, h->piece };
	return 0;
}

/* Would recover find it?  A commit that was never published lists nothing. */
static bool is_published(const struct claimed *c, const struct ledger_piece *p)
{
	return (p->seq && p->seq <= c->seq) || p->ordinal == c->piece;
}

static int source_state(struct source *s, uint64_t ino, struct slice link,
			struct source_state *ret)
{
	struct retrieve *r = retrieve_of(s);
	unsigned copies = 0, least = UINT32_MAX;
	uint64_t newest = 0;
	struct cursor c = cursor(link);
	struct claimed claimed = { 0 };
	struct pieces pieces;
	struct ledger_piece p;
	bool held = true;
	char text[CID_TEXT_MAX];
	struct link l;
	struct cid cid;
	int rc;

	(void)ino;
	rc = link_decode(&c, &l);
	if (rc < 0)
		return rc;
	*ret = (struct source_state){ 0 };
	if (l.kind == LINK_SEALED) {
		cid = cid_v1(l.codec, l.digest);
		cid_text(&cid, text); /* 59 characters */
		memcpy(ret->cid, text, MIN(strlen(text), sizeof(ret->cid) - 1));
	}
	pieces_of(r, &l, &pieces);
	rc = ledger_newest_claimed(r->p.ledger, &newest);
	if (rc == 0 && newest)
		rc = ledger_head_get(r->p.ledger, newest, on_claimed, &claimed);
	if (rc < 0)
		return rc;
	if (pieces.n == 0 && claimed.piece) /* it stands in the directory's node */
		pieces.v[pieces.n++] = claimed.piece;
	held = pieces.n > 0;
	for (size_t i = 0; i < pieces.n; i++) {
		rc = ledger_piece_get(r->p.ledger, pieces.v[i], &p);
		if (rc == 0)
			rc = ledger_copies(r->p.ledger, pieces.v[i], &copies);
		if (rc < 0)
			return rc;
		held &= p.state == LEDGER_HELD && is_published(&claimed, &p);
		least = MIN(least, copies);
	}
	ret->copies = pieces.n ? least : 0;
	(void)snprintf(ret->state, sizeof(ret->state), "%s",
		       held        ? "stored" :
		       ret->copies ? "uploading" :
				     "queued");
	return 0;
}

/* ---- life ---- */

int retrieve_new(const struct retrieve_params *p, struct retrieve **ret)
{
	struct retrieve *r;
	int rc = 0;

	if (p->n_stores > RETRIEVE_STORES_MAX)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->source = (struct source){ source_start, source_cancel, source_state };
	r->p = *p;
	for (size_t i = 0; i < p->n_stores; i++) {
		struct read_store *s = &r->stores[i];

		s->r = r;
		s->store = p->stores[i];
		list_init(&s->queue);
		list_init(&s->asked);
		cond_init(&s->cond);
	}
	r->p.stores = NULL;
	r->hedge_bytes = HEDGE_FIRST;
	if (!r->p.n_threads)
		r->p.n_threads = THREADS_DEFAULT;
	if (!r->p.give_up_ms)
		r->p.give_up_ms = GIVE_UP_MS;
	lock_init(&r->lock);
	cond_init(&r->cond);
	cond_init(&r->came);
	list_init(&r->jobs);
	list_init(&r->busy);
	for (; r->n_threads < MIN(r->p.n_threads, RETRIEVE_THREADS_MAX) && rc == 0;
	     r->n_threads++)
		rc = -pthread_create(&r->threads[r->n_threads], NULL, fetcher, r);
	if (rc < 0) {
		r->n_threads--;
		retrieve_free(r);
		return rc;
	}
	*ret = r;
	return 0;
}

void retrieve_stop(struct retrieve *r)
{
	lock_take(&r->lock);
	r->stopping = true;
	list_foreach(p, &r->jobs)
		stop_now(r, &container_of(p, struct job, node)->stop);
	list_foreach(p, &r->busy)
		stop_now(r, &container_of(p, struct job, node)->stop);
	cond_wake_all(&r->cond);
	lock_drop(&r->lock);
	for (unsigned i = 0; i < r->n_threads; i++)
		(void)pthread_join(r->threads[i], NULL); /* ours */
	r->n_threads = 0;
	get_stop(r);
}

void retrieve_free(struct retrieve *r)
{
	if (!r)
		return;
	retrieve_stop(r);
	for (size_t i = 0; i < r->p.n_stores; i++)
		cond_fini(&r->stores[i].cond);
	cond_fini(&r->came);
	cond_fini(&r->cond);
	lock_fini(&r->lock);
	free(r);
}

struct source *retrieve_source(struct retrieve *r)
{
	return &r->source;
}

void retrieve_set_inode_table(struct retrieve *r, const struct link *table)
{
	lock_take(&r->lock);
	r->inode_table = *table;
	lock_drop(&r->lock);
}

void retrieve_stats(struct retrieve *r, struct retrieve_stats *ret)
{
	lock_take(&r->lock);
	*ret = r->stats;
	lock_drop(&r->lock);
}
