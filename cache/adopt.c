/*
 * adopt.c - what the DAG has becomes clean
 */
#include "cache/internal.h"

#include "base/log.h"

struct counts {
	uint64_t dirty;  /* blocks of data that the link does not have */
	uint64_t blocks; /* that hold data, here or remote */
};

static int count(struct cache *c, const struct inode *i, uint64_t clean_gen,
		 uint64_t link_size, struct counts *ret)
{
	struct inode as = { .clean_gen = clean_gen, .link_size = link_size };
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t link = (link_size + CACHE_BLOCK - 1) / CACHE_BLOCK;
	int r;

	*ret = (struct counts){ .blocks = link };
	r = extent_find(c, i->ino, 0, CACHE_FILE_MAX / CACHE_BLOCK, &runs);
	for (size_t k = 0; k < runs.n; k++) {
		const struct run *run = &runs.v[k];

		ret->dirty += extent_dirty_part(&as, run);
		ret->blocks += run->seg || run_is_promise(run) ? run->n : 0;
		if (run->block < link)
			ret->blocks -= MIN(run->n, link - run->block);
	}
	return r;
}

/*
 * What is absent between the old link's end and the new one's was a hole, and
 * would be taken for remote: say so in rows.
 */
static int note_holes(struct cache *c, struct inode *i, uint64_t gen,
		      uint64_t link_size)
{
	uint64_t at = (i->link_size + CACHE_BLOCK - 1) / CACHE_BLOCK;
	uint64_t end = (link_size + CACHE_BLOCK - 1) / CACHE_BLOCK;
	_cleanup_runs_ struct runs runs = { 0 };
	int r;

	if (at >= end)
		return 0;
	r = extent_find(c, i->ino, at, end - at, &runs);
	for (size_t k = 0; k <= runs.n && r == 0; k++) {
		uint64_t row = k < runs.n ? runs.v[k].block : end;
		struct run hole = { .block = at, .n = row - at, .dgen = gen };

		if (row > at)
			r = extent_set(c, i, at, hole.n, &hole, 1);
		if (k < runs.n)
			at = row + runs.v[k].n;
	}
	return r;
}

static int adopt_one(struct cache *c, uint64_t gen, const struct cache_adopt *a)
{
	struct counts was = { 0 }, is = { 0 };
	uint64_t link_size = 0;
	struct inode *i;
	int r = inode_get(c, a->ino, &i);

	if (r == -ENOENT) /* removed since */
		return 0;
	if (r < 0)
		return r;
	if (gen < i->clean_gen) /* an older one, replayed */
		return 0;
	if (S_ISREG(i->mode)) {
		link_size = MIN(a->size, i->size);
		if (i->min_gen > gen)
			link_size = MIN(link_size, i->min_size);
		r = note_holes(c, i, gen, link_size);
		if (r == 0)
			r = count(c, i, i->clean_gen, i->link_size, &was);
		if (r == 0)
			r = count(c, i, gen, link_size, &is);
	}
	if (r == 0)
		r = inode_set_link(i, a->link);
	if (r < 0)
		return r;
	c->dirty_blocks += is.dirty - was.dirty;
	i->blocks = is.blocks;
	i->link_size = link_size;
	i->clean_gen = gen;
	if (i->min_gen <= gen)
		i->min_gen = i->min_size = 0;
	inode_change(c, i);
	return 0;
}

int cache_adopt(struct cache *c, uint64_t gen, const struct cache_adopt *v, size_t n)
{
	int r = 0;

	/* in small steps, so that nobody waits for long */
	for (size_t k = 0; k < n && r == 0;) {
		r = op_begin(c, OP_FREES);
		if (r < 0)
			return r;
		for (int s = 0; s < 64 && k < n && r == 0; s++, k++)
			r = adopt_one(c, gen, &v[k]);
		r = op_end(c, r);
	}
	return r;
}

int cache_adopt_removed(struct cache *c, uint64_t gen)
{
	struct db_stmt *s = st(c, STMT_removed_del);
	int r = op_begin(c, OP_FREES);

	if (r < 0)
		return r;
	db_bind_u64(s, 1, gen);
	r = c_sql(c, db_run(s));
	if (r == 0)
		op_changed(c);
	return op_end(c, r);
}

bool cache_hangs_on(struct cache *c, uint64_t ino, uint64_t off, struct slice link)
{
	struct inode *i;
	bool hangs;
	int r;

	lock_take(&c->lock);
	r = inode_get(c, ino, &i);
	hangs = r == 0 ? i->nlink && slice_eq(slice(i->link, i->n_link), link) :
			 r != -ENOENT;
	if (r == 0 && S_ISDIR(i->mode))
		hangs &= !(i->flags & INODE_LOADED);
	else if (r == 0 && S_ISREG(i->mode))
		hangs &= off < i->link_size;
	lock_drop(&c->lock);
	return hangs;
}

int cache_state(struct cache *c, uint64_t ino, struct source_state *ret)
{
	uint8_t link[256];
	struct inode *i;
	bool dirty = true;
	size_t n = 0;
	int r;

	*ret = (struct source_state){ .state = "local" };
	lock_take(&c->lock);
	r = inode_get(c, ino, &i);
	if (r == 0) {
		dirty = inode_is_dirty(i) || i->n_bufs || i->n_link > sizeof(link);
		n = dirty ? 0 : i->n_link;
		for (size_t k = 0; k < n; k++)
			link[k] = i->link[k];
	}
	lock_drop(&c->lock);
	if (r < 0 || dirty || !c->p.source || !c->p.source->state)
		return r;
	return c->p.source->state(c->p.source, ino, slice(link, n), ret);
}
