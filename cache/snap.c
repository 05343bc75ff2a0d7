/*
 * snap.c - a point in time for onboarding
 *
 * A snapshot is a read transaction on a connection of its own, begun under the
 * lock right behind a COMMIT, so it sees exactly that instant.  A pin keeps its
 * slots.  The commit raises the generation: whatever changes from then on has a
 * newer one, and cache_adopt() can tell it apart.
 */
#include "cache/internal.h"

#include <stdlib.h>
#include <string.h>

struct cache_snap {
	struct cache *c;
	struct db *db;
	struct db_stmt *st[N_SNAP_STMTS];
	struct pin pin;
	uint64_t gen, next_ino;
	struct cache_counts counts;
	uint8_t *link; /* what the last answer borrowed */
	size_t n_link, cap_link;
};

static const char *const sql[] = { SNAP_STMTS(DB_STMT_SQL) };

static int open_view(struct cache_snap *s)
{
	struct cache *c = s->c;
	struct db_params p = { .io = c->p.io, .name = "drive.db", .key = c->p.key };
	int r;

	memcpy(p.drive_id, c->p.drive_id, sizeof(p.drive_id));
	r = db_open(&p, &s->db, NULL);
	return r < 0 ? r : db_prepare_all(s->db, sql, N_SNAP_STMTS, s->st);
}

/* The transaction sees the last COMMIT from its first read on. */
static int begin(struct cache_snap *s)
{
	int r = db_begin_read(s->db);

	if (r == 0) {
		r = db_step(s->st[STMT_snap_touch]);
		db_reset(s->st[STMT_snap_touch]);
	}
	return r < 0 ? r : 0;
}

static void free_snap(struct cache_snap *s)
{
	db_stmt_free_all(s->st, N_SNAP_STMTS);
	db_close(s->db);
	free(s->link);
	free(s);
}

int cache_snap_open(struct cache *c, struct cache_snap **ret)
{
	struct cache_snap *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->c = c;
	r = open_view(s);
	if (r < 0) {
		free_snap(s);
		return r;
	}
	lock_take(&c->lock);
	r = c->snap ? -EBUSY : 0;
	if (r == 0 && !c->p.read_only) /* else there is nothing to commit */
		r = commit_now(c, true);
	if (r == 0)
		r = begin(s);
	if (r == 0) {
		s->gen = c->gen - 1;
		s->next_ino = c->next_ino;
		s->counts = counts_now(c);
		seg_pin(c, &s->pin);
		c->snap = s;
	}
	lock_drop(&c->lock);
	if (r < 0) {
		free_snap(s);
		return r;
	}
	*ret = s;
	return 0;
}

void cache_snap_close(struct cache_snap *s)
{
	struct cache *c;

	if (!s)
		return;
	c = s->c;
	db_rollback(s->db);
	lock_take(&c->lock);
	seg_unpin(c, &s->pin);
	seg_release(c);
	c->trimmed = false;
	commit_unpinned(c);
	c->snap = NULL;
	c->snap_want.n_link = 0;
	lock_drop(&c->lock);
	free_snap(s);
}

uint64_t cache_snap_gen(const struct cache_snap *s)
{
	return s->gen;
}

uint64_t cache_snap_next_ino(const struct cache_snap *s)
{
	return s->next_ino;
}

struct cache_counts cache_snap_counts(const struct cache_snap *s)
{
	return s->counts;
}

/* ---- inodes ---- */

static int keep_link(struct cache_snap *s, struct slice link)
{
	if (link.n > s->cap_link) {
		uint8_t *p = realloc(s->link, link.n);

		if (!p)
			return -ENOMEM;
		s->link = p;
		s->cap_link = link.n;
	}
	if (link.n)
		memcpy(s->link, link.p, link.n);
	s->n_link = link.n;
	return 0;
}

/* From columns `col` on, in the order of INODE_COLS. */
static int fill(struct cache_snap *s, struct db_stmt *q, int col,
		struct cache_snap_inode *ret)
{
	struct inode i = { 0 };
	int r;

	inode_read_row(q, col, &i);
	r = keep_link(s, db_col_blob(q, col + 24));
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	inode_fill_attr(&i, &ret->attr);
	ret->shared = i.flags & INODE_SHARED;
	ret->parent = ret->shared ? 0 : i.parent;
	ret->loaded = i.flags & INODE_LOADED;
	ret->xattrs = i.flags & INODE_XATTR;
	ret->data_dirty = i.dgen > i.clean_gen;
	ret->attr_dirty = i.mgen > i.clean_gen;
	ret->link = slice(s->link, s->n_link);
	ret->link_size = i.link_size;
	ret->cut = i.min_gen != 0;
	ret->gen = i.dgen;
	return 0;
}

int cache_snap_inode(struct cache_snap *s, uint64_t ino, struct cache_snap_inode *ret)
{
	struct db_stmt *q = s->st[STMT_snap_inode];
	int r;

	db_bind_u64(q, 1, ino);
	r = db_step(q);
	if (r > 0)
		r = fill(s, q, 0, ret);
	else if (r == 0)
		r = -ENOENT;
	db_reset(q);
	return r;
}

static int each_ino(struct db_stmt *q, int (*cb)(void *ctx, uint64_t ino), void *ctx)
{
	int r;

	while ((r = db_step(q)) > 0) {
		r = cb(ctx, db_col_u64(q, 0));
		if (r)
			break;
	}
	db_reset(q);
	return r;
}

int cache_snap_dirty(struct cache_snap *s, int (*cb)(void *ctx, uint64_t ino),
		     void *ctx)
{
	return each_ino(s->st[STMT_snap_dirty], cb, ctx);
}

int cache_snap_shared(struct cache_snap *s, int (*cb)(void *ctx, uint64_t ino),
		      void *ctx)
{
	return each_ino(s->st[STMT_snap_shared], cb, ctx);
}

int cache_snap_removed(struct cache_snap *s, int (*cb)(void *ctx, uint64_t ino),
		       void *ctx)
{
	return each_ino(s->st[STMT_snap_removed], cb, ctx);
}

int cache_snap_linked(struct cache_snap *s, int (*cb)(void *ctx, uint64_t ino),
		      void *ctx)
{
	return each_ino(s->st[STMT_snap_linked], cb, ctx);
}

int cache_snap_unseen(struct cache_snap *s)
{
	int r = db_step(s->st[STMT_snap_unseen]);

	db_reset(s->st[STMT_snap_unseen]);
	return r;
}

int cache_snap_unlinked(struct cache_snap *s,
			int (*cb)(void *ctx, uint64_t ino), void *ctx)
{
	return each_ino(s->st[STMT_snap_unlinked], cb, ctx);
}

int cache_snap_xattr_sets(struct cache_snap *s, uint64_t n_bytes,
			  int (*cb)(void *ctx, uint64_t ino), void *ctx)
{
	db_bind_u64(s->st[STMT_snap_xattr_sets], 1, n_bytes);
	return each_ino(s->st[STMT_snap_xattr_sets], cb, ctx);
}

/* A name of `ino`, put in front of what stands at dst[*at]. */
static int prepend_name(struct cache_snap *s, uint64_t *ino, char *dst, size_t *at)
{
	struct cache_snap_inode i = { .parent = 0 };
	struct db_stmt *q;
	struct slice name;
	int r;

	r = cache_snap_inode(s, *ino, &i);
	if (r < 0)
		return r;
	q = s->st[i.parent ? STMT_snap_name_in : STMT_snap_name_any];
	db_bind_u64(q, 1, i.parent ? i.parent : *ino);
	if (i.parent)
		db_bind_u64(q, 2, *ino);
	r = db_step(q);
	if (r > 0) {
		name = db_col_blob(q, 1);
		*ino = db_col_u64(q, 0);
		r = name.n + 1 > *at ? -ENAMETOOLONG : 0;
		if (r == 0) {
			*at -= name.n;
			memcpy(dst + *at, name.p, name.n);
			dst[--*at] = '/';
		}
	} else if (r == 0) {
		r = -ENOENT;
	}
	db_reset(q);
	return r;
}

int cache_snap_path(struct cache_snap *s, uint64_t ino, char *dst, size_t size)
{
	size_t at = size - 1;
	int r = 0;

	dst[at] = '\0';
	while (ino != CACHE_ROOT_INO && r == 0)
		r = prepend_name(s, &ino, dst, &at);
	if (r == 0 && at == size - 1)
		dst[--at] = '/';
	if (r == 0)
		memmove(dst, dst + at, size - at);
	return r;
}

/* Of a hard link that was never looked at there is nothing but its type. */
static int get_child(struct cache_snap *s, uint64_t ino, uint32_t type,
		     struct cache_snap_inode *ret)
{
	int r = cache_snap_inode(s, ino, ret);

	if (r != -ENOENT)
		return r;
	memset(ret, 0, sizeof(*ret));
	ret->shared = true;
	ret->attr.mode = type;
	ret->attr.ino = ino;
	return 0;
}

/* Rows of a statement whose values are bound. */
static int children(struct cache_snap *s, struct db_stmt *q, cache_snap_wants wants,
		    int (*cb)(void *ctx, struct slice name,
			      const struct cache_snap_inode *child),
		    void *ctx)
{
	struct cache_snap_inode child;
	int r;

	while ((r = db_step(q)) > 0) {
		struct slice name = db_col_blob(q, 0);
		uint64_t ino = db_col_u64(q, 2);

		r = 0;
		if (wants && !wants(ctx, name, ino, db_col_u64(q, 3)))
			continue;
		r = get_child(s, ino, (uint32_t)db_col_u64(q, 1), &child);
		if (r == 0)
			r = cb(ctx, name, &child);
		if (r)
			break;
	}
	db_reset(q);
	return r;
}

int cache_snap_children(struct cache_snap *s, uint64_t dir, cache_snap_wants wants,
			int (*cb)(void *ctx, struct slice name,
				  const struct cache_snap_inode *child),
			void *ctx)
{
	struct db_stmt *q = s->st[STMT_snap_children];

	db_bind_u64(q, 1, dir);
	return children(s, q, wants, cb, ctx);
}

int cache_snap_children_at(struct cache_snap *s, uint64_t dir, uint64_t pos,
			   cache_snap_wants wants,
			   int (*cb)(void *ctx, struct slice name,
				     const struct cache_snap_inode *child),
			   void *ctx)
{
	struct db_stmt *q = s->st[STMT_snap_child_at];

	db_bind_u64(q, 1, dir);
	db_bind_u64(q, 2, pos);
	return children(s, q, wants, cb, ctx);
}

int cache_snap_xattrs(struct cache_snap *s, uint64_t ino,
		      int (*cb)(void *ctx, struct slice name, struct slice value),
		      void *ctx)
{
	struct db_stmt *q = s->st[STMT_snap_xattrs];
	int r;

	db_bind_u64(q, 1, ino);
	while ((r = db_step(q)) > 0) {
		r = cb(ctx, db_col_blob(q, 0), db_col_blob(q, 1));
		if (r)
			break;
	}
	db_reset(q);
	return r;
}

int cache_snap_target(struct cache_snap *s, uint64_t ino, uint8_t *dst,
		      size_t max, size_t *ret_n)
{
	struct db_stmt *q = s->st[STMT_snap_inode];
	struct slice t;
	int r;

	db_bind_u64(q, 1, ino);
	r = db_step(q);
	if (r > 0) {
		t = db_col_blob(q, 25);
		*ret_n = t.n;
		r = t.n > max ? -EMSGSIZE : 0;
		if (r == 0 && t.n)
			memcpy(dst, t.p, t.n);
	} else if (r == 0) {
		r = -ENOENT;
	}
	db_reset(q);
	return r;
}

/* ---- bytes ---- */

static int get_inode(struct cache_snap *s, uint64_t ino, struct inode *ret)
{
	struct db_stmt *q = s->st[STMT_snap_inode];
	int r;

	memset(ret, 0, sizeof(*ret));
	db_bind_u64(q, 1, ino);
	r = db_step(q);
	if (r > 0) {
		inode_read_row(q, 0, ret);
		r = keep_link(s, db_col_blob(q, 24));
	} else if (r == 0) {
		r = -ENOENT;
	}
	db_reset(q);
	return r;
}

struct telling {
	int (*cb)(void *ctx, enum cache_run_kind kind, uint64_t off, uint64_t n);
	void *ctx;
	enum cache_run_kind kind;
	uint64_t from, to; /* not told yet */
	uint64_t off, end;
};

static int tell(struct telling *t)
{
	int r = 0;

	if (t->to > t->from)
		r = t->cb(t->ctx, t->kind, t->from, t->to - t->from);
	t->from = t->to;
	return r;
}

/* Bytes up to `to` are of this kind; neighbours of one kind are told as one. */
static int go_on(struct telling *t, enum cache_run_kind kind, uint64_t to)
{
	int r = 0;

	to = MIN(to, t->end);
	if (to <= t->to)
		return 0;
	if (t->kind != kind)
		r = tell(t);
	t->kind = kind;
	t->to = to;
	return r;
}

/* Blocks without a row, up to byte `to`. */
static int absent(struct telling *t, const struct inode *i, uint64_t to)
{
	int r = 0;

	if (t->to < i->link_size)
		r = go_on(t, CACHE_RUN_CLEAN, MIN(to, i->link_size));
	return r ? r : go_on(t, CACHE_RUN_HOLE, to);
}

int cache_snap_runs(struct cache_snap *s, uint64_t ino, uint64_t off, uint64_t n,
		    int (*cb)(void *ctx, enum cache_run_kind kind, uint64_t off,
			      uint64_t n),
		    void *ctx)
{
	_cleanup_runs_ struct runs runs = { 0 };
	struct telling t = { .cb = cb, .ctx = ctx, .from = off, .to = off };
	uint64_t first = off / CACHE_BLOCK, end;
	struct inode i;
	int r = get_inode(s, ino, &i);

	if (r < 0)
		return r;
	if (off >= i.size || n == 0)
		return 0;
	t.end = off + MIN(n, i.size - off);
	end = (t.end + CACHE_BLOCK - 1) / CACHE_BLOCK;
	r = extent_find_on(s->st[STMT_snap_extents], ino, first, end - first, &runs);
	for (size_t k = 0; k < runs.n && r == 0; k++) {
		const struct run *run = &runs.v[k];
		bool clean = run_is_clean(&i, run);

		r = absent(&t, &i, run->block * CACHE_BLOCK);
		if (r == 0)
			r = go_on(&t,
				  clean    ? CACHE_RUN_CLEAN :
				  run->seg ? CACHE_RUN_DIRTY :
					     CACHE_RUN_HOLE,
				  (run->block + run->n) * CACHE_BLOCK);
	}
	if (r == 0)
		r = absent(&t, &i, t.end);
	return r ? r : tell(&t);
}

struct view {
	struct cache_snap *s;
	struct inode i;
	uint64_t off;
	uint8_t *dst;
	size_t n;
	struct cache_miss *miss;
};

static void place(const struct view *v, uint64_t block, const uint8_t *text)
{
	uint64_t at = block * CACHE_BLOCK;
	uint64_t from = MAX(at, v->off), to = MIN(at + CACHE_BLOCK, v->off + v->n);

	if (from < to)
		memcpy(v->dst + (from - v->off), text + (from - at), to - from);
}

/*
 * A block that the snapshot has as its link has it, and not here: fetched since
 * then, into the live rows or beside them.
 */
static int read_remote(struct view *v, uint64_t block, uint8_t *text)
{
	struct cache_snap *s = v->s;
	struct cache *c = s->c;
	struct slice link = slice(s->link, s->n_link);
	uint64_t at = block * CACHE_BLOCK;
	size_t want = MIN(CACHE_BLOCK, v->i.link_size - at);
	_cleanup_runs_ struct runs runs = { 0 };
	struct inode *live;
	bool found = false;
	int r = 0;

	memset(text, 0, CACHE_BLOCK);
	lock_take(&c->lock);
	if (fetch_transient(c, v->i.ino, link, at, text, want) == want)
		found = true;
	if (!found && inode_get(c, v->i.ino, &live) == 0 &&
	    slice_eq(slice(live->link, live->n_link), link) &&
	    at + want <= live->link_size) {
		r = extent_find(c, v->i.ino, block, 1, &runs);
		found = r == 0 && runs.n && run_is_clean(live, &runs.v[0]);
		if (found && runs.v[0].seg)
			r = seg_read(c, &runs.v[0], 0, 1, text);
	}
	if (!found && r == 0 && s->n_link <= sizeof(c->snap_want.link)) {
		c->snap_want.ino = v->i.ino;
		c->snap_want.link_size = v->i.link_size;
		c->snap_want.n_link = s->n_link;
		memcpy(c->snap_want.link, s->link, s->n_link);
		*v->miss = (struct cache_miss){
			.kind = CACHE_MISS_RANGE,
			.ino = v->i.ino,
			.off = at,
			.n = MIN(v->off + v->n, v->i.link_size) - at
		};
		r = -EINPROGRESS;
	}
	lock_drop(&c->lock);
	return r;
}

static int read_gap(struct view *v, uint64_t block, uint64_t end)
{
	uint8_t text[CACHE_BLOCK];
	int r = 0;

	for (; block < end && r == 0; block++) {
		if (block * CACHE_BLOCK < v->i.link_size)
			r = read_remote(v, block, text);
		else
			memset(text, 0, sizeof(text));
		if (r == 0)
			place(v, block, text);
	}
	return r;
}

/*
 * A block that could not be opened.  What the link has of it comes from there,
 * though the snapshot keeps its row.
 */
static int read_damaged(struct view *v, const struct run *run, uint64_t k,
			uint8_t *to)
{
	struct cache *c = v->s->c;
	int r;

	if (run->seg == RUN_BAD_SEG || !run_is_clean(&v->i, run) ||
	    !v->s->n_link || !c->p.source)
		return -EBADMSG;
	r = heal_range(c, v->i.ino, run->block + k, 1);
	return r < 0 ? r : read_remote(v, run->block + k, to);
}

static int read_blocks(struct view *v, const struct run *run, uint64_t k,
		       uint64_t n, uint8_t *to)
{
	int r = seg_read_calm(v->s->c, run, k, n, to);

	if (r != -EBADMSG && r != -EIO)
		return r;
	r = 0;
	for (uint64_t b = 0; b < n && r == 0; b++) {
		r = seg_read(v->s->c, run, k + b, 1, to + b * CACHE_BLOCK);
		if (r == -EBADMSG || r == -EIO)
			r = read_damaged(v, run, k + b, to + b * CACHE_BLOCK);
	}
	return r;
}

/* Whole blocks open where they belong, as many at once as there are. */
static int read_run(struct view *v, const struct run *run)
{
	uint64_t end = v->off + v->n, whole;
	uint8_t one[CACHE_BLOCK];
	int r = 0;

	if (run->seg == 0) /* dst is zeros */
		return 0;
	for (uint64_t k = 0; k < run->n && r == 0; k += whole) {
		uint64_t at = (run->block + k) * CACHE_BLOCK;

		whole = at >= v->off ? MIN(run->n - k, (end - at) / CACHE_BLOCK) : 0;
		if (whole) {
			r = read_blocks(v, run, k, whole, v->dst + (at - v->off));
			continue;
		}
		whole = 1;
		r = read_blocks(v, run, k, 1, one);
		if (r == 0)
			place(v, run->block + k, one);
	}
	return r;
}

int cache_snap_read(struct cache_snap *s, uint64_t ino, uint64_t off,
		    uint8_t *dst, size_t n, struct cache_miss *ret_miss)
{
	struct view v = { .s = s, .off = off, .dst = dst, .n = n, .miss = ret_miss };
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t at = off / CACHE_BLOCK, end;
	int r = get_inode(s, ino, &v.i);

	if (r < 0)
		return r;
	if (n == 0)
		return 0;
	memset(dst, 0, n); /* behind the end there are zeros */
	end = (off + n + CACHE_BLOCK - 1) / CACHE_BLOCK;
	r = extent_find_on(s->st[STMT_snap_extents], ino, at, end - at, &runs);
	for (size_t k = 0; k < runs.n && r == 0; k++) {
		r = read_gap(&v, at, runs.v[k].block);
		if (r == 0)
			r = read_run(&v, &runs.v[k]);
		at = runs.v[k].block + runs.v[k].n;
	}
	return r < 0 ? r : read_gap(&v, at, end);
}
