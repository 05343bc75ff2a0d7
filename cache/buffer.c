/*
 * buffer.c - small and hot writes, gathered in memory until the group commits
 *
 * A hash table of plaintext blocks by (inode, block), at most BUFFER_BLOCKS.  A
 * flush seals them in (inode, block) order into consecutive slots, so that a
 * thousand small files become one write.  Room for them on the disk is kept by
 * seg_make_room(), so that a commit does not fail for space.
 *
 * While a batch is sealed without the lock its blocks are busy: who wants to
 * write to one puts a copy in its place (the old one is detached), and what was
 * sealed of it is thrown away.
 */
#include "cache/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 256 /* blocks sealed at a time: 1 MiB */

static size_t bucket(uint64_t ino, uint64_t block)
{
	uint64_t h = (ino * 0x9e3779b97f4a7c15ull) ^
		     (block * 0xc2b2ae3d27d4eb4full);

	return (size_t)((h ^ h >> 29) * 0x9e3779b97f4a7c15ull >> 40) &
	       (BUFFER_BUCKETS - 1);
}

struct bblock *buffer_find(struct cache *c, uint64_t ino, uint64_t block)
{
	struct bblock *b = c->buf.v ? c->buf.v[bucket(ino, block)] : NULL;

	while (b && (b->ino != ino || b->block != block))
		b = b->chain;
	return b;
}

static void take_out(struct cache *c, struct bblock *b)
{
	struct bblock **p = &c->buf.v[bucket(b->ino, b->block)];

	while (*p != b)
		p = &(*p)->chain;
	*p = b->chain;
	list_del(&b->by_ino);
	list_del(&b->todo);
	c->buf.n--;
}

/* It is not in use any more; a row that it has goes with the next commit. */
static void release(struct cache *c, struct bblock *b)
{
	if (!b->log_id) {
		free(b);
		return;
	}
	b->chain = c->buf.gone;
	c->buf.gone = b;
}

static void put_in(struct cache *c, struct inode *i, struct bblock *b)
{
	struct bblock **p = &c->buf.v[bucket(b->ino, b->block)];

	b->chain = *p;
	*p = b;
	list_push(&i->bufs, &b->by_ino);
	list_push(&c->buf.todo, &b->todo);
	c->buf.n++;
}

static struct bblock *new_block(uint64_t ino, uint64_t block)
{
	struct bblock *b = malloc(sizeof(*b));

	if (!b)
		return NULL;
	b->ino = ino;
	b->block = block;
	b->log_id = 0;
	b->busy = b->detached = false;
	b->chain = NULL;
	list_init(&b->by_ino);
	list_init(&b->todo);
	return b;
}

static int make_table(struct cache *c)
{
	if (!c->buf.v)
		c->buf.v = calloc(BUFFER_BUCKETS, sizeof(struct bblock *));
	return c->buf.v ? 0 : -ENOMEM;
}

int buffer_get(struct cache *c, struct inode *i, uint64_t block, uint64_t spare,
	       struct bblock **ret, bool *ret_new)
{
	struct bblock *b, *old;
	int r = make_table(c);

	if (r < 0)
		return r;
	old = buffer_find(c, i->ino, block);
	if (old && !old->busy) {
		list_del(&old->todo);
		list_push(&c->buf.todo, &old->todo);
		*ret_new = false;
		*ret = old;
		return 0;
	}
	if (!old) {
		r = seg_make_room(c, (spare ? slots_promised(c) : c->buf.n) +
					     1 + spare);
		if (r < 0)
			return r;
	}
	b = new_block(i->ino, block);
	if (!b)
		return -ENOMEM;
	*ret_new = !old;
	if (old) {
		memcpy(b->p, old->p, CACHE_BLOCK);
		take_out(c, old);
		old->detached = true;
		c->claimed--;            /* its slot is nobody's now */
		b->log_id = old->log_id; /* of whose row it is the next text */
		old->log_id = 0;
	} else {
		i->n_bufs++;
	}
	put_in(c, i, b);
	*ret = b;
	return 0;
}

int buffer_load(struct cache *c, struct inode *i, uint64_t block,
		struct slice text, uint64_t log_id)
{
	struct bblock *b;
	int r = make_table(c);

	if (r < 0)
		return r;
	if (buffer_find(c, i->ino, block))
		return -EUCLEAN;
	b = new_block(i->ino, block);
	if (!b)
		return -ENOMEM;
	memset(b->p, 0, CACHE_BLOCK);
	if (text.n)
		memcpy(b->p, text.p, text.n);
	put_in(c, i, b);
	i->n_bufs++;
	b->log_id = log_id;
	list_del(&b->todo); /* it is what the row has */
	return 0;
}

void buffer_drop_one(struct cache *c, struct inode *i, struct bblock *b)
{
	take_out(c, b);
	i->n_bufs--;
	if (b->busy) {
		b->detached = true;
		c->claimed--;
	} else {
		release(c, b);
	}
}

void buffer_drop(struct cache *c, struct inode *i, uint64_t block, uint64_t n)
{
	if (list_empty(&i->bufs))
		return;
	if (n < i->n_bufs) {
		for (uint64_t k = block; k < block + n; k++) {
			struct bblock *b = buffer_find(c, i->ino, k);

			if (b)
				buffer_drop_one(c, i, b);
		}
		return;
	}
	list_foreach_safe(p, &i->bufs) {
		struct bblock *b = container_of(p, struct bblock, by_ino);

		if (b->block >= block && b->block - block < n)
			buffer_drop_one(c, i, b);
	}
}

/* ---- flush ---- */

struct key {
	uint64_t ino, block;
};

struct flush {
	struct key *keys;
	size_t n_keys, next;
	struct bblock *b[BATCH];
	const uint8_t *text[BATCH];
	struct run runs[BATCH]; /* slots of the batch, in order */
	size_t n, n_runs;
};

static int by_key(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->block < y->block ? -1 : x->block > y->block;
}

static int collect(struct cache *c, struct flush *f)
{
	f->keys = malloc(MAX(c->buf.n, 1) * sizeof(*f->keys));
	if (!f->keys)
		return -ENOMEM;
	for (size_t k = 0; k < BUFFER_BUCKETS; k++) {
		for (struct bblock *b = c->buf.v[k]; b; b = b->chain)
			f->keys[f->n_keys++] = (struct key){ b->ino, b->block };
	}
	qsort(f->keys, f->n_keys, sizeof(*f->keys), by_key);
	return 0;
}

/* The next blocks that are still there, and slots for them. */
static int next_batch(struct cache *c, struct flush *f)
{
	size_t got = 0;
	int r;

	f->n = f->n_runs = 0;
	while (f->n < BATCH && f->next < f->n_keys) {
		struct key k = f->keys[f->next++];
		struct bblock *b = buffer_find(c, k.ino, k.block);

		if (!b || b->busy)
			continue;
		f->text[f->n] = b->p;
		f->b[f->n++] = b;
	}
	while (got < f->n) {
		struct run *run = &f->runs[f->n_runs];

		/* these slots were promised when the blocks came in */
		r = seg_alloc(c, (uint32_t)(f->n - got), 0, run);
		if (r < 0) {
			while (f->n_runs > 0)
				seg_discard(c, &f->runs[--f->n_runs]);
			f->n = 0;
			return r;
		}
		got += run->n;
		f->n_runs++;
	}
	for (size_t k = 0; k < f->n; k++)
		f->b[k]->busy = true;
	c->claimed += f->n;
	return 0;
}

static int seal_batch(struct cache *c, struct flush *f)
{
	size_t done = 0;
	int r = 0;

	for (size_t k = 0; k < f->n_runs && r == 0; k++) {
		r = seg_write(c, &f->runs[k], f->text + done);
		done += f->runs[k].n;
	}
	return r;
}

/* Name the slots of blocks [k, k + n) of the batch, all of one inode. */
static int name_run(struct cache *c, struct bblock **b, size_t n, struct run run)
{
	struct inode *i;
	int r = inode_get(c, b[0]->ino, &i);

	assert(r != -ENOENT); /* its blocks are dropped with it */
	if (r < 0)
		return r;
	run.block = b[0]->block;
	run.n = n;
	run.dgen = c->gen;
	r = extent_set(c, i, run.block, n, &run, 1);
	if (r < 0)
		return r;
	i->dgen = c->gen;   /* an edit that failed leaves a block behind */
	inode_change(c, i); /* its count of blocks, too */
	for (size_t k = 0; k < n; k++) {
		b[k]->busy = false;
		buffer_drop_one(c, i, b[k]);
	}
	c->claimed -= n;
	return 0;
}

static void unbusy(struct cache *c, struct bblock **b, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		if (b[k]->detached) {
			release(c, b[k]);
			continue;
		}
		b[k]->busy = false;
		c->claimed--;
	}
}

/* Blocks whose slots could not be used stay in the buffer. */
static int name_batch(struct cache *c, struct flush *f, int r)
{
	size_t k = 0;

	for (size_t at = 0; at < f->n_runs; at++) {
		struct run left = f->runs[at];

		while (left.n > 0) {
			struct bblock **b = &f->b[k];
			struct run part = left;
			size_t n = 1;
			bool gone = b[0]->detached;
			int e = r;

			while (n < left.n && !gone && !b[n]->detached &&
			       b[n]->ino == b[0]->ino &&
			       b[n]->block == b[0]->block + n)
				n++;
			part.n = n;
			if (e == 0 && !gone)
				e = name_run(c, b, n, part);
			if (e < 0 || gone) {
				seg_discard(c, &part);
				unbusy(c, b, n);
			}
			if (r == 0)
				r = e;
			left.slot += (uint32_t)n;
			left.n -= n;
			k += n;
		}
	}
	return r;
}

static int flush(struct cache *c, bool unlocked) NO_LOCK_CHECK
{
	struct flush *f;
	int r;

	if (c->buf.n == 0)
		return 0;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	r = collect(c, f);
	while (r == 0 && f->next < f->n_keys) {
		r = next_batch(c, f);
		if (r < 0)
			break;
		if (unlocked)
			lock_drop(&c->lock);
		r = seal_batch(c, f);
		if (unlocked)
			lock_take(&c->lock);
		r = name_batch(c, f, r);
	}
	free(f->keys);
	free(f);
	return r;
}

int buffer_flush(struct cache *c)
{
	return flush(c, false);
}

int buffer_flush_unlocked(struct cache *c)
{
	int r;

	if (c->buf.flushing)
		return 0;
	c->buf.flushing = true;
	r = flush(c, true);
	c->buf.flushing = false;
	cond_wake_all(&c->cond);
	return r;
}

void buffer_free_all(struct cache *c)
{
	for (size_t k = 0; c->buf.v && k < BUFFER_BUCKETS; k++) {
		while (c->buf.v[k]) {
			struct bblock *b = c->buf.v[k];

			c->buf.v[k] = b->chain;
			free(b);
		}
	}
	while (c->buf.gone) {
		struct bblock *b = c->buf.gone;

		c->buf.gone = b->chain;
		free(b);
	}
	free(c->buf.v);
	c->buf.v = NULL;
}
