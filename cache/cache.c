/*
 * cache.c - the life of a cache: format, open, close; how operations begin and end
 */
#include "cache/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "cache/internal.h"
#include "cache/schema.h"
#include "cache/upgrade.h"

#define DB_NAME "drive.db"

/*
 * Clean pages that are kept (28 MiB).  db_dirty_pages() counts them as if they
 * were dirty, so they must stay below TXN_SOON.
 */
#define DB_CACHE_PAGES 7168

/* Pages of the open transaction: from here it is committed soon, or at once. */
#define TXN_SOON 8192
#define TXN_NOW  24576
_Static_assert(DB_CACHE_PAGES + DB_CACHE_PAGES / 8 < TXN_SOON,
	       "clean pages alone do not ask for a commit");

static const char *const sql[] = { STMTS(DB_STMT_SQL) };

/* ---- operations ---- */

static int reserve(struct cache *c, unsigned flags)
{
	uint64_t pages = 64 + 2 * c->inodes.n_dirty + c->buf.n +
			 2 * MIN(c->buf.n, LOGGED_BLOCKS);

	/* what frees may use the room that is kept from everybody else */
	return db_reserve(c->db, pages + (flags & OP_FREES ? 0 : 1024));
}

int op_begin(struct cache *c, unsigned flags) NO_LOCK_CHECK
{
	uint64_t dirty;
	int r = 0;

	lock_take(&c->lock);
	if (c->p.read_only || c->failed) {
		lock_drop(&c->lock);
		return -EROFS;
	}
	dirty = db_dirty_pages(c->db);
	if (dirty > TXN_NOW)
		r = commit_now(c, false);
	else if (dirty > TXN_SOON && c->changed && !c->demand && !c->committing)
		commit_demand(c);
	if (r == 0)
		r = reserve(c, flags);
	if (r == -ENOSPC && commit_now(c, false) == 0)
		r = reserve(c, flags);
	if (r < 0)
		lock_drop(&c->lock);
	return r;
}

int op_end(struct cache *c, int r) NO_LOCK_CHECK
{
	bool tell = c->tell_dirtied;

	c->tell_dirtied = false;
	inode_trim(c);
	lock_drop(&c->lock);
	if (tell && c->p.dirtied)
		c->p.dirtied(c->p.ctx);
	return r;
}

void op_changed(struct cache *c)
{
	if (c->changed)
		return;
	c->changed = true;
	c->first_change_ms = monotonic_ms();
	if (!c->will_look)
		cond_wake_one(&c->work); /* the committer starts to count */
}

/* ---- open ---- */

static struct cache *new_cache(const struct cache_params *p)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->p = *p;
	if (!c->p.commit_interval_ms)
		c->p.commit_interval_ms = 5000;
	if (!c->p.full_timeout_ms)
		c->p.full_timeout_ms = 30000;
	lock_init(&c->lock);
	cond_init(&c->cond);
	cond_init(&c->work);
	list_init(&c->inodes.lru);
	list_init(&c->inodes.dirty);
	list_init(&c->buf.todo);
	c->buf.next_log_id = 1;
	c->epoch = 1;
	c->gen = 1;
	c->next_ino = CACHE_ROOT_INO;
	c->next_pos = 1;
	return c;
}

static void free_cache(struct cache *c)
{
	if (!c)
		return;
	db_stmt_free_all(c->st, N_STMTS);
	db_close(c->db2);
	db_close(c->db);
	buffer_free_all(c);
	inode_free_all(c);
	free(c->refs.v);
	cond_fini(&c->cond);
	cond_fini(&c->work);
	lock_fini(&c->lock);
	free(c);
}

static int open_db(struct cache *c, bool create, struct db **ret, struct err *reterr)
{
	struct db_params dp = { .io = c->p.io,
				.name = DB_NAME,
				.key = c->p.key,
				.create = create,
				.cache_pages = ret == &c->db ? DB_CACHE_PAGES : 0,
				.read_only = c->p.read_only };

	memcpy(dp.drive_id, c->p.drive_id, sizeof(dp.drive_id));
	return db_open(&dp, ret, reterr);
}

static int put_state(struct cache *c, enum state_key k, uint64_t v)
{
	db_bind_u64(st(c, STMT_state_put), 1, k);
	db_bind_u64(st(c, STMT_state_put), 2, v);
	return c_sql(c, db_run(st(c, STMT_state_put)));
}

static int read_state(struct cache *c, uint64_t *v)
{
	int r;

	memset(v, 0, N_STATE * sizeof(*v));
	while ((r = db_step(st(c, STMT_state_get))) > 0) {
		uint64_t k = db_col_u64(st(c, STMT_state_get), 0);

		if (k < N_STATE)
			v[k] = db_col_u64(st(c, STMT_state_get), 1);
	}
	return r;
}

static int load_state(struct cache *c, struct err *reterr)
{
	uint64_t v[N_STATE];
	int r = read_state(c, v);

	if (r < 0)
		return err_set(reterr, r, "drive.db cannot be read: %s",
			       err_str(r));
	if (v[STATE_VERSION] != CACHE_FORMAT_VERSION)
		return err_set(reterr, -EUCLEAN,
			       "the drive directory has format %llu; this program "
			       "knows %d",
			       (unsigned long long)v[STATE_VERSION],
			       CACHE_FORMAT_VERSION);
	c->gen = v[STATE_GEN];
	c->next_ino = v[STATE_NEXT_INO];
	c->next_pos = v[STATE_NEXT_POS];
	c->opens = v[STATE_OPENS];
	c->counts.inodes = v[STATE_INODES];
	c->counts.bytes = v[STATE_BYTES];
	c->counted = c->counts.inodes > 0;
	if (v[STATE_ROWS_OPENS] == c->opens)
		c->inodes.in_db = c->inodes.noted = v[STATE_ROWS];
	c->map.opens = v[STATE_MAP_OPENS];
	c->map.row_blocks = v[STATE_MAP_BLOCKS];
	c->map.reserved = v[STATE_MAP_RESERVED];
	return 0;
}

static int count_rows(struct cache *c, int which, uint64_t *ret)
{
	int r = db_step(st(c, which));

	if (r > 0)
		*ret = db_col_u64(st(c, which), 0);
	db_reset(st(c, which));
	return r < 0 ? r : 0;
}

/*
 * A generation of slots that was never used before, durable before the first
 * slot is sealed: what a crash has undone is not sealed again under one number.
 */
static int count_open(struct cache *c)
{
	int r = db_begin(c->db);

	if (r == 0)
		r = put_state(c, STATE_OPENS, c->opens + 1);
	if (r == 0)
		r = put_state(c, STATE_ROWS, c->inodes.in_db);
	if (r == 0)
		r = put_state(c, STATE_ROWS_OPENS, c->opens + 1);
	if (r == 0)
		r = db_commit(c->db);
	if (r == 0)
		r = db_begin(c->db);
	if (r < 0)
		return r;
	c->opens++;
	c->inodes.noted = c->inodes.in_db;
	c->segs.sgen = c->opens << 40;
	return 0;
}

static int format_of(struct cache *c, uint64_t *ret)
{
	_cleanup_db_stmt_ struct db_stmt *s = NULL;
	int r = db_prepare(c->db, SQL_FORMAT_VERSION, &s);

	if (r < 0)
		return r;
	r = db_step(s);
	*ret = r > 0 ? db_col_u64(s, 0) : 0;
	return r < 0 ? r : 0;
}

/* Of an older format, in one transaction: what it lacks.  load_state() judges. */
static int upgrade(struct cache *c, struct err *reterr)
{
	uint64_t version;
	int r = format_of(c, &version);

	if (r < 0)
		return err_set(reterr, r, "drive.db has no tables: not formatted");
	if (version != 1)
		return 0;
	if (c->p.read_only)
		return err_set(reterr, -EROFS,
			       "the drive directory has format 1 and has to be "
			       "upgraded: mount it for writing once");
	r = db_begin(c->db);
	if (r == 0)
		r = db_exec(c->db, upgrade_sql);
	if (r == 0)
		r = db_commit(c->db);
	if (r < 0) {
		db_rollback(c->db);
		return err_set(reterr, r, "drive.db cannot be upgraded: %s",
			       err_str(r));
	}
	return 0;
}

static int open_inside(struct cache *c, struct err *reterr)
{
	int r = upgrade(c, reterr);

	if (r < 0)
		return r;
	r = db_prepare_all(c->db, sql, N_STMTS, c->st);
	if (r < 0)
		return err_set(reterr, r, "drive.db has no tables: not formatted");
	r = load_state(c, reterr);
	if (r == 0 && !c->inodes.noted)
		r = count_rows(c, STMT_inode_count, &c->inodes.in_db);
	if (r == 0)
		r = count_rows(c, STMT_dirty_count, &c->dirty_inodes);
	if (r == 0)
		r = slotmap_open(c);
	if (r == 0)
		r = logged_load(c);
	if (r == 0)
		r = counts_open(c);
	if (r == 0 && !c->p.read_only) {
		r = count_open(c);
		c->reap_again = true;
		if (r == 0)
			r = orphan_reap(c);
		if (r == 0)
			r = open_db(c, false, &c->db2, reterr);
	}
	if (r == 0 && c->dirty_inodes)
		c->dirty_since_ms = monotonic_ms();
	return r < 0 ? err_set(reterr, r, "drive.db cannot be read: %s",
			       err_str(r)) :
		       0;
}

/* It was made with the drive: without it the directory is damaged. */
static int open_made(struct cache *c, struct err *reterr)
{
	struct err why = { "" };
	int r = open_db(c, false, &c->db, &why);

	if (r == -ENOENT)
		return err_set(reterr, -EUCLEAN, "%s: it is missing", DB_NAME);
	return r < 0 ? err_set(reterr, r, "%s", why.text) : 0;
}

int cache_open(const struct cache_params *p, struct cache **ret, struct err *reterr)
{
	struct cache *c;
	int r = cache_size_check(p->max_bytes, p->meta_floor_bytes, reterr);

	if (r < 0)
		return r;
	c = new_cache(p);
	if (!c)
		return -ENOMEM;
	r = open_made(c, reterr);
	if (r < 0) {
		free_cache(c);
		return r;
	}
	r = seg_init(c, reterr);
	if (r == 0)
		r = open_inside(c, reterr);
	if (r == 0)
		r = bring_start(c);
	if (r == 0)
		r = fetch_init(c);
	if (r == 0) {
		lock_take(&c->lock);
		space_look(c);
		lock_drop(&c->lock);
	}
	if (r == 0 && !p->read_only) {
		r = behind_start(c);
		if (r == 0)
			r = commit_start(c);
		if (r < 0)
			fetch_fini(c);
	}
	if (r < 0) {
		db_rollback(c->db);
		behind_stop(c);
		bring_stop(c);
		seg_fini(c);
		free_cache(c);
		return r;
	}
	*ret = c;
	return 0;
}

int cache_close(struct cache *c)
{
	int r = 0;

	if (!c)
		return 0;
	fetch_fini(c);
	commit_stop(c);
	lock_take(&c->lock);
	if (!c->p.read_only) {
		c->reap_again = true;
		if (c->n_nameless) { /* nobody refers to them any more */
			free(c->refs.v);
			c->refs = (struct refs){ 0 };
		}
		op_changed(c); /* what is logged gets its slots */
		r = commit_now(c, false);
		while (r == 0 && seg_trim(c, true))
			;
		if (r == 0) /* without it the next open counts the rows */
			best_effort(slotmap_save(c));
	}
	lock_drop(&c->lock);
	db_rollback(c->db);
	behind_stop(c);
	bring_stop(c);
	seg_fini(c);
	free_cache(c);
	return r;
}

/* ---- format ---- */

static int write_root_xattrs(struct cache *c, const struct source_entry *root)
{
	struct db_stmt *s = c->st[STMT_xattr_put];
	int r = 0;

	for (size_t k = 0; k < root->n_xattrs && r >= 0; k++) {
		const struct source_xattr *x = &root->xattrs[k];

		if (x->name.n == 0 || x->name.n > CACHE_NAME_MAX ||
		    x->value.n > CACHE_XATTR_MAX)
			return -EPROTO;
		db_bind_u64(s, 1, CACHE_ROOT_INO);
		db_bind_blob(s, 2, x->name);
		db_bind_blob(s, 3, x->value);
		r = db_run(s);
	}
	return r < 0 ? r : 0;
}

/* 0 bytes of many inodes: commits were made that had not counted them. */
static void begin_counts(struct cache *c, struct inode *root,
			 const struct cache_counts *counts)
{
	if (root->flags & INODE_LOADED) {
		c->counted = true;
		return;
	}
	c->counted = counts && counts->inodes &&
		     (counts->bytes || counts->inodes == 1);
	if (c->counted)
		c->counts = *counts;
	counts_have(root);
}

static int put_first_state(struct cache *c, uint64_t next_ino)
{
	const uint64_t v[N_STATE] = {
		[STATE_VERSION] = CACHE_FORMAT_VERSION,
		[STATE_GEN] = c->gen,
		[STATE_NEXT_INO] = next_ino,
		[STATE_NEXT_POS] = 1,
		[STATE_INODES] = c->counted ? c->counts.inodes : 0,
		[STATE_BYTES] = c->counted ? c->counts.bytes : 0,
		[STATE_ROWS] = c->inodes.in_db,
	};
	int r = 0;

	for (unsigned k = STATE_VERSION; k < N_STATE && r == 0; k++)
		if (k != STATE_OPENS)
			r = put_state(c, k, v[k]);
	return r;
}

static int write_root(struct cache *c, const struct source_entry *root,
		      uint64_t next_ino, const struct cache_counts *counts)
{
	struct inode *i;
	int r = inode_new(c, CACHE_ROOT_INO, &i);

	if (r < 0)
		return r;
	inode_from_attr(i, root->attr);
	i->parent = CACHE_ROOT_INO;
	r = inode_set_link(i, root->link);
	if (r == 0)
		r = write_root_xattrs(c, root);
	if (root->n_xattrs)
		i->flags |= INODE_XATTR;
	if (root->link.n == 0) {
		i->flags |= INODE_LOADED;
		i->mgen = i->dgen = c->gen;
	}
	begin_counts(c, i, counts);
	if (r == 0)
		r = inode_flush(c, 1);
	return r < 0 ? r : put_first_state(c, next_ino);
}

static int format(const struct cache_params *p, const struct source_entry *root,
		  uint64_t next_ino, const struct cache_counts *counts,
		  struct err *reterr)
{
	struct cache *c = new_cache(p);
	int r;

	if (!c)
		return -ENOMEM;
	r = io_mkdir(p->io, "data");
	if (r == -EEXIST)
		r = 0;
	if (r == 0)
		r = io_syncdir(p->io, ".");
	if (r == 0)
		r = open_db(c, false, &c->db, NULL);
	/* one without tables is what a crash left of an earlier try */
	if (r == 0 && db_prepare_all(c->db, sql, N_STMTS, c->st) == 0)
		r = err_set(reterr, -EEXIST, "there is a drive already");
	if (r == -ENOENT)
		r = open_db(c, true, &c->db, reterr);
	if (r == 0)
		r = db_begin(c->db);
	if (r == 0)
		r = db_exec(c->db, schema_sql);
	if (r == 0)
		r = db_exec(c->db, upgrade_sql);
	if (r == 0)
		r = db_prepare_all(c->db, sql, N_STMTS, c->st);
	if (r == 0)
		r = write_root(c, root, next_ino, counts);
	if (r == 0)
		r = db_commit(c->db);
	if (r < 0)
		err_set(reterr, r, "cannot make drive.db: %s", err_str(r));
	db_stmt_free_all(c->st, N_STMTS);
	memset(c->st, 0, sizeof(c->st));
	if (c->db)
		db_rollback(c->db);
	free_cache(c);
	return r;
}

int cache_format(const struct cache_params *p, const struct cache_root *root,
		 struct err *reterr)
{
	struct timespec now = now_real();
	struct cache_attr a = { .ino = CACHE_ROOT_INO,
				.mode = S_IFDIR | (root->mode & 07777),
				.uid = root->uid,
				.gid = root->gid,
				.nlink = 2,
				.atime = now,
				.mtime = now,
				.ctime = now,
				.btime = now };

	const struct source_entry e = { .attr = &a };

	return format(p, &e, CACHE_ROOT_INO + 1, NULL, reterr);
}

int cache_format_entry(const struct cache_params *p,
		       const struct source_entry *root, uint64_t next_ino,
		       const struct cache_counts *counts, struct err *reterr)
{
	if (!S_ISDIR(root->attr->mode) || next_ino <= CACHE_ROOT_INO)
		return err_set(reterr, -EPROTO, "the commit's root is no directory");
	return format(p, root, next_ino, counts, reterr);
}

int cache_format_from(const struct cache_params *p, const struct cache_attr *attr,
		      struct slice link, uint64_t next_ino, struct err *reterr)
{
	const struct source_entry e = { .attr = attr, .link = link };

	return cache_format_entry(p, &e, next_ino, NULL, reterr);
}
