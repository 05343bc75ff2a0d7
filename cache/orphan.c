/*
 * orphan.c - who is referenced, and inodes that have no name any more
 *
 * The kernel's lookup counts live in an open-addressed table of 16 bytes an
 * entry.  An inode that lost its last name is deleted when its count falls to
 * zero; until then it is a row in table orphan, which open reaps after a crash.
 */
#include "cache/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t slot_of(const struct refs *r, uint64_t ino)
{
	return (size_t)((ino * 0x9e3779b97f4a7c15ull) >> 20) & (r->cap - 1);
}

static struct ref *find(const struct refs *r, uint64_t ino)
{
	size_t k;

	if (!r->cap)
		return NULL;
	k = slot_of(r, ino);
	while (r->v[k].ino && r->v[k].ino != ino)
		k = (k + 1) & (r->cap - 1);
	return &r->v[k];
}

int refs_reserve(struct refs *r)
{
	struct refs to = { .n = r->n };

	if ((r->n + 1) * 4 <= r->cap * 3)
		return 0;
	to.cap = r->cap ? r->cap * 2 : 1024;
	to.v = calloc(to.cap, sizeof(*to.v));
	if (!to.v)
		return -ENOMEM;
	for (size_t k = 0; k < r->cap; k++) {
		struct ref *e = r->v[k].ino ? find(&to, r->v[k].ino) : NULL;

		if (e)
			*e = r->v[k];
	}
	free(r->v);
	*r = to;
	return 0;
}

void refs_add(struct refs *r, uint64_t ino, uint64_t n)
{
	struct ref *e = find(r, ino);

	assert(e); /* refs_reserve() came before */
	if (!e->ino) {
		e->ino = ino;
		e->n = 0;
		r->n++;
	}
	e->n += n;
}

/* Close the gap that a removed entry leaves in its probe run. */
static void remove_at(struct refs *r, struct ref *e)
{
	size_t hole = (size_t)(e - r->v), k = hole;

	for (;;) {
		size_t home;

		k = (k + 1) & (r->cap - 1);
		if (!r->v[k].ino)
			break;
		home = slot_of(r, r->v[k].ino);
		/* may the entry at k stand at the hole? */
		if (((k - home) & (r->cap - 1)) >= ((k - hole) & (r->cap - 1))) {
			r->v[hole] = r->v[k];
			hole = k;
		}
	}
	r->v[hole].ino = 0;
	r->v[hole].n = 0;
	r->n--;
}

/* What is left. */
static uint64_t refs_sub(struct refs *r, uint64_t ino, uint64_t n)
{
	struct ref *e = find(r, ino);

	if (!e || !e->ino)
		return 0;
	e->n -= MIN(n, e->n);
	if (e->n)
		return e->n;
	remove_at(r, e);
	return 0;
}

uint64_t refs_get(const struct refs *r, uint64_t ino)
{
	struct ref *e = find(r, ino);

	return e && e->ino ? e->n : 0;
}

void orphan_maybe_delete(struct cache *c, struct inode *i)
{
	if (i->nlink > 0 || c->failed)
		return;
	if (refs_get(&c->refs, i->ino) > 0) {
		c->n_nameless++;
		return;
	}
	/* on failure it is an orphan, and reaped at the commit or at open */
	if (inode_delete(c, i) < 0)
		c->reap_again = true;
}

void cache_ref(struct cache *c, uint64_t ino, uint64_t n)
{
	lock_take(&c->lock);
	/* without memory the count is short, and the inode goes too early: only
	 * one that has no name, and its reads fail */
	if (refs_reserve(&c->refs) == 0)
		refs_add(&c->refs, ino, n);
	lock_drop(&c->lock);
}

void cache_forget(struct cache *c, uint64_t ino, uint64_t n)
{
	struct inode *i;

	lock_take(&c->lock);
	if (refs_sub(&c->refs, ino, n) == 0 && c->n_nameless > 0 &&
	    !c->p.read_only && inode_get(c, ino, &i) == 0 && i->nlink == 0) {
		orphan_maybe_delete(c, i);
		c->n_nameless--;
	}
	inode_trim(c);
	lock_drop(&c->lock);
}

int cache_referenced(struct cache *c, uint64_t **ret, size_t *ret_n)
{
	uint64_t *v;
	size_t n = 0;

	lock_take(&c->lock);
	v = calloc(MAX(c->refs.n, (size_t)1), sizeof(*v));
	for (size_t k = 0; v && k < c->refs.cap; k++)
		if (c->refs.v[k].ino)
			v[n++] = c->refs.v[k].ino;
	lock_drop(&c->lock);
	if (!v)
		return -ENOMEM;
	*ret = v;
	*ret_n = n;
	return 0;
}

/* Unreferenced ones whose deletion failed before, or from before a crash. */
int orphan_reap(struct cache *c)
{
	struct db_stmt *s = st(c, STMT_orphan_next);
	uint64_t ino = 0;
	struct inode *i;
	int r;

	if (!c->reap_again)
		return 0;
	for (;;) {
		db_bind_u64(s, 1, ino);
		r = c_sql(c, db_step(s));
		if (r <= 0)
			break;
		ino = db_col_u64(s, 0);
		db_reset(s);
		if (refs_get(&c->refs, ino) > 0)
			continue;
		r = inode_get(c, ino, &i);
		if (r == 0 && i->nlink == 0)
			r = inode_delete(c, i);
		if (r == -ENOENT) {
			db_bind_u64(st(c, STMT_orphan_del), 1, ino);
			r = c_sql(c, db_run(st(c, STMT_orphan_del)));
		}
		if (r < 0)
			return r;
	}
	c->reap_again = r < 0;
	return r;
}
