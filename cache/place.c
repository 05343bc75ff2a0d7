/*
 * place.c - where fetched bytes go
 *
 * What is here stays: a block that has a row keeps it.  Bytes are sealed without
 * the lock, and named only where the range is still absent and the link still the
 * one that was fetched, and as long.  What comes of directories and inodes:
 * entries.c.
 */
#include "cache/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

#define HOLES_AT_ONCE 256 /* holes, under one hold of the lock */

/* ---- bytes ---- */

void transient_free(struct transient *t)
{
	free(t->bytes);
	free(t->link);
	*t = (struct transient){ 0 };
}

/* Keep the job's bytes for whoever asks again. */
static void keep(struct cache *c, struct job *j)
{
	struct fetch_state *f = c->fetch;
	struct transient *t;

	lock_take(&c->lock);
	t = &f->transients[f->next_transient++ % N_TRANSIENTS];
	transient_free(t);
	*t = (struct transient){ .ino = j->req.ino,
				 .off = j->req.off,
				 .n = j->req.n,
				 .n_link = j->req.link.n };
	t->bytes = steal(&j->bytes);
	t->link = steal(&j->link);
	lock_drop(&c->lock);
}

size_t fetch_transient(struct cache *c, uint64_t ino, struct slice link,
		       uint64_t off, uint8_t *dst, size_t n)
{
	struct fetch_state *f = c->fetch;

	for (size_t k = 0; k < N_TRANSIENTS; k++) {
		struct transient *t = &f->transients[k];

		if (!t->bytes || t->ino != ino || off < t->off ||
		    off - t->off >= t->n ||
		    !slice_eq(slice(t->link, t->n_link), link))
			continue;
		n = MIN(n, t->n - (off - t->off));
		memcpy(dst, t->bytes + (off - t->off), n);
		return n;
	}
	return 0;
}

/* The live inode, if it still has the link that was fetched. */
static bool still_wanted(struct cache *c, const struct job *j, struct inode **ret)
{
	return inode_get(c, j->req.ino, ret) == 0 &&
	       slice_eq(slice((*ret)->link, (*ret)->n_link), j->req.link);
}

bool fetch_is_here(struct cache *c, const struct job *j)
{
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t at = j->req.off / CACHE_BLOCK;
	uint64_t end = (j->req.off + j->req.n + CACHE_BLOCK - 1) / CACHE_BLOCK;
	struct inode *i;
	bool here = false;

	if (j->req.kind != SOURCE_READ)
		return false;
	lock_take(&c->lock);
	/* a snapshot may want what is written over here */
	if (!c->snap && still_wanted(c, j, &i) && S_ISREG(i->mode) &&
	    extent_find(c, j->req.ino, at, end - at, &runs) == 0) {
		for (size_t k = 0; k < runs.n && runs.v[k].block == at; k++)
			at += runs.v[k].n;
		here = at >= end;
	}
	lock_drop(&c->lock);
	return here;
}

/* First run of absent blocks of one kind (data or hole) from `at` on. */
static int next_gap(struct cache *c, const struct inode *i, const struct job *j,
		    uint64_t *at, uint64_t *ret_n, bool *ret_data)
{
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t first = j->req.off / CACHE_BLOCK;
	uint64_t end = (MIN(j->req.off + j->req.n, i->link_size) + CACHE_BLOCK - 1) /
		       CACHE_BLOCK;
	uint64_t stop = end;
	int r;

	*ret_n = 0;
	if (*at >= end)
		return 0;
	r = extent_find(c, i->ino, *at, end - *at, &runs);
	if (r < 0)
		return r;
	for (size_t k = 0; k < runs.n; k++) {
		if (runs.v[k].block > *at) {
			stop = runs.v[k].block;
			break;
		}
		*at = runs.v[k].block + runs.v[k].n;
	}
	if (*at >= stop)
		return 0;
	*ret_data = j->have[*at - first].data;
	while (*at + *ret_n < stop && j->have[*at + *ret_n - first].data == *ret_data)
		(*ret_n)++;
	return 0;
}

static bool all_came(const struct job *j)
{
	for (uint64_t at = 0; at < j->req.n; at += CACHE_BLOCK) {
		if (j->have[at / CACHE_BLOCK].bytes < MIN(CACHE_BLOCK, j->req.n - at))
			return false;
	}
	return true;
}

/* `size`: what the link's had been when these bytes were taken for it. */
static int name_gap(struct cache *c, const struct job *j, const struct runs *runs,
		    uint64_t at, uint64_t n, uint64_t size)
{
	_cleanup_runs_ struct runs there = { 0 };
	uint64_t end = (at + n) * CACHE_BLOCK;
	struct inode *i;
	int r;

	if (!still_wanted(c, j, &i) || MIN(i->link_size, end) != MIN(size, end))
		return -ESTALE;
	r = extent_find(c, i->ino, at, n, &there);
	if (r == 0 && there.n)
		r = -ESTALE;
	if (r == 0)
		r = extent_set(c, i, at, n, runs->v, runs->n);
	if (r == 0)
		inode_change(c, i);
	return r;
}

/*
 * Behind the end of a link a block is zero (data.c).  More has come where the file was
 * cut meanwhile; a snapshot may want that, so it stays in the job.
 */
static int seal_gap(struct cache *c, struct job *j, uint64_t at, uint64_t n,
		    uint64_t size, const struct runs *runs)
{
	uint8_t rest[CACHE_BLOCK], *p = j->bytes + (at * CACHE_BLOCK - j->req.off);
	uint64_t end = (at + n) * CACHE_BLOCK;
	size_t cut = end > size ? end - size : 0;
	int r;

	memcpy(rest, p + n * CACHE_BLOCK - cut, cut);
	memset(p + n * CACHE_BLOCK - cut, 0, cut);
	r = slots_seal(c, p, runs);
	memcpy(p + n * CACHE_BLOCK - cut, rest, cut);
	return r;
}

/*
 * Seal and name one gap, of which the link has `size` bytes at most; the lock is held
 * before and after.
 */
static int place_gap(struct cache *c, struct job *j, uint64_t at, uint64_t n,
		     uint64_t size, bool data) NO_LOCK_CHECK
{
	_cleanup_runs_ struct runs runs = { 0 };
	struct run hole = { .block = at, .n = n };
	int r;

	if (!data) {
		r = runs_add(&runs, &hole);
		return r < 0 ? r : name_gap(c, j, &runs, at, n, size);
	}
	if (!space_has_room(c, SPACE_FETCH, n * CACHE_BLOCK))
		return -ENOSPC;
	r = slots_take(c, at, n, slots_kept(c), &runs);
	if (r < 0)
		return r;
	lock_drop(&c->lock);
	r = seal_gap(c, j, at, n, size, &runs);
	lock_take(&c->lock);
	if (r == 0)
		r = name_gap(c, j, &runs, at, n, size);
	if (r < 0)
		slots_discard(c, &runs);
	return r;
}

/* What was placed first may be what made room for the rest. */
static bool has_gap(struct cache *c, struct job *j)
{
	uint64_t at = j->req.off / CACHE_BLOCK, n;
	struct inode *i;
	bool data;

	return !still_wanted(c, j, &i) ||
	       next_gap(c, i, j, &at, &n, &data) < 0 || n;
}

static int place_target(struct cache *c, struct job *j, struct inode *i)
{
	int r = inode_set_target(i, slice(j->bytes, j->req.n));

	if (r == 0)
		inode_change(c, i);
	return r;
}

static int place_bytes(struct cache *c, struct job *j)
{
	uint64_t at = j->req.off / CACHE_BLOCK, n;
	bool whole = true, data;
	struct inode *i;
	int r;

	if (!all_came(j))
		return -EREMOTEIO;
	r = op_begin(c, 0);
	if (r == -EROFS || r == -ENOSPC) {
		keep(c, j);
		return 0;
	}
	if (r < 0)
		return r;
	for (;;) {
		if (!still_wanted(c, j, &i)) {
			whole = false;
			break;
		}
		if (S_ISLNK(i->mode)) {
			r = place_target(c, j, i);
			op_end(c, 0);
			return r;
		}
		if (i->link_size < j->req.off + j->req.n)
			whole = false; /* a snapshot may want the rest */
		r = next_gap(c, i, j, &at, &n, &data);
		if (r < 0 || n == 0)
			break;
		r = place_gap(c, j, at, n, i->link_size, data);
		at += n;
		if (r < 0)
			whole = false;
		if (r == -ENOSPC)
			c->fetch->full_ms = monotonic_ms();
		if (r < 0 && r != -ESTALE) /* no room: the reader streams */
			break;
	}
	if (c->snap || (whole && has_gap(c, j)))
		whole = false; /* it may want what the live file loses next */
	op_end(c, 0);
	if (!whole && (!j->req.readahead || atomic_load(&j->joined)))
		keep(c, j);
	return 0;
}

/* ---- holes ---- */

/* Rows for [at, end) where there are none. */
static int place_hole(struct cache *c, struct inode *i, uint64_t at, uint64_t end)
{
	_cleanup_runs_ struct runs runs = { 0 };
	int r = extent_find(c, i->ino, at, end - at, &runs);

	for (size_t k = 0; k <= runs.n && r == 0; k++) {
		uint64_t row = k < runs.n ? runs.v[k].block : end;
		struct run hole = { .block = at, .n = row - at };

		if (row > at)
			r = extent_set(c, i, at, hole.n, &hole, 1);
		if (k < runs.n)
			at = row + runs.v[k].n;
	}
	return r;
}

/* Whole blocks of one hole; the last one of the link counts as whole. */
static int place_next_hole(struct cache *c, struct inode *i, struct cursor *cur)
{
	uint64_t off = cursor_le64(cur), n = cursor_le64(cur);
	uint64_t to = MIN(off + n, i->link_size);
	uint64_t at = align_up(off, CACHE_BLOCK) / CACHE_BLOCK;
	uint64_t end = to / CACHE_BLOCK;

	if (to == i->link_size)
		end = align_up(to, CACHE_BLOCK) / CACHE_BLOCK;
	return at < end ? place_hole(c, i, at, end) : 0;
}

/* From now on what is absent of this link is data. */
static int place_holes(struct cache *c, struct job *j)
{
	struct cursor cur = cursor(buf_slice(&j->entries));
	bool more = true;
	struct inode *i;
	int r = 0;

	while (r == 0 && more) {
		r = op_begin(c, 0);
		if (r < 0)
			return r == -EROFS ? -EIO : r;
		if (!still_wanted(c, j, &i))
			return op_end(c, 0); /* who asks again has another link */
		for (int k = 0; r == 0 && k < HOLES_AT_ONCE && cur.n > 0; k++)
			r = place_next_hole(c, i, &cur);
		more = cur.n > 0;
		if (r == 0 && !more)
			i->flags &= ~(uint32_t)INODE_HOLES;
		inode_change(c, i);
		r = op_end(c, r);
	}
	return r;
}

int fetch_place(struct cache *c, struct job *j)
{
	if (j->req.kind == SOURCE_HOLES)
		return place_holes(c, j);
	return j->req.kind == SOURCE_READ ? place_bytes(c, j) :
					    fetch_place_inode(c, j);
}
