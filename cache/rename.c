/*
 * rename.c - rename, with NOREPLACE, EXCHANGE and WHITEOUT
 *
 * The rows of both names change in one statement or a savepoint; then parents,
 * link counts and times follow in memory, which cannot fail.
 */
#include "cache/name.h"

#include <linux/fs.h>

/* Would `dir` stand below itself if it were put into `into`? */
static int check_loop(struct cache *c, uint64_t dir, uint64_t into)
{
	struct inode *i;
	int r;

	for (unsigned depth = 0; into != CACHE_ROOT_INO; depth++) {
		if (into == dir || depth > 1u << 20)
			return -EINVAL;
		r = inode_get(c, into, &i);
		if (r < 0)
			return r == -ENOENT ? -EUCLEAN : r;
		into = i->parent;
	}
	return 0;
}

struct renaming {
	struct inode *p, *np;    /* directories */
	struct inode *src, *dst; /* dst: NULL if the name is new */
	struct slice name, newname;
	struct dentry sd, dd;
};

static int set_dentry(struct cache *c, uint64_t parent, struct slice name,
		      const struct inode *i)
{
	struct db_stmt *s = st(c, STMT_dentry_set);

	db_bind_u64(s, 1, parent);
	db_bind_blob(s, 2, name);
	db_bind_u64(s, 3, i->ino);
	db_bind_u64(s, 4, i->mode & S_IFMT);
	return c_sql(c, db_run(s));
}

/* Within a directory a name keeps its place: who lists it and renames what comes
 * would meet it again, for ever. */
static int move_dentry(struct cache *c, const struct renaming *m)
{
	struct db_stmt *s = st(c, STMT_dentry_move);

	db_bind_u64(s, 1, m->p->ino);
	db_bind_blob(s, 2, m->name);
	db_bind_u64(s, 3, m->np->ino);
	db_bind_blob(s, 4, m->newname);
	db_bind_u64(s, 5, c->next_pos);
	return c_sql(c, db_run(s));
}

/* A directory has come from one parent to another. */
static void reparent(struct cache *c, struct inode *i, struct inode *from,
		     struct inode *to, struct timespec now)
{
	if (S_ISDIR(i->mode) && from != to) {
		from->nlink--;
		to->nlink++;
	}
	if (!(i->flags & INODE_SHARED))
		i->parent = to->ino;
	inode_attr_changed(c, i, now);
}

static int exchange(struct cache *c, struct renaming *m)
{
	struct timespec now = now_real();
	int r;

	if (!m->dst)
		return -ENOENT;
	if (m->src == m->dst)
		return 0;
	if (S_ISDIR(m->dst->mode)) {
		r = check_loop(c, m->dst->ino, m->p->ino);
		if (r < 0)
			return r;
	}
	r = c_sql(c, db_savepoint(c->db));
	if (r < 0)
		return r;
	r = set_dentry(c, m->p->ino, m->name, m->dst);
	if (r == 0)
		r = set_dentry(c, m->np->ino, m->newname, m->src);
	if (r == 0)
		r = c_sql(c, db_release(c->db));
	else
		db_rollback_to(c->db);
	if (r < 0)
		return r;
	reparent(c, m->src, m->p, m->np, now);
	reparent(c, m->dst, m->np, m->p, now);
	inode_data_changed(c, m->p, now);
	inode_data_changed(c, m->np, now);
	return 0;
}

/* May src take dst's place? */
static int check_target(struct cache *c, struct cache_op *op,
			struct renaming *m, unsigned flags)
{
	if (!m->dst)
		return 0;
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (S_ISDIR(m->src->mode) && !S_ISDIR(m->dst->mode))
		return -ENOTDIR;
	if (!S_ISDIR(m->src->mode) && S_ISDIR(m->dst->mode))
		return -EISDIR;
	return S_ISDIR(m->dst->mode) && m->dst != m->src ?
		       name_is_empty(c, op, m->dst) :
		       0;
}

static int move(struct cache *c, struct renaming *m, const struct cache_new *white)
{
	struct timespec now = now_real();
	struct inode *w = NULL;
	int r = 0;

	if (white)
		r = name_make_inode(c, white, &w);
	if (r < 0)
		return r;
	r = c_sql(c, db_savepoint(c->db));
	if (r == 0) {
		r = move_dentry(c, m);
		if (r == 0 && w) {
			c->next_pos++;
			r = name_add_dentry(c, m->p->ino, m->name, w);
		}
		if (r == 0)
			r = c_sql(c, db_release(c->db));
		else
			db_rollback_to(c->db);
	}
	if (r < 0) {
		if (w)
			name_drop_new(c, w);
		return r;
	}
	c->next_pos++;
	c->state_changed = true;
	if (w) {
		c->next_ino++;
		w->nlink = 1;
		w->parent = m->p->ino;
	}
	reparent(c, m->src, m->p, m->np, now);
	if (m->dst) {
		if (S_ISDIR(m->dst->mode))
			m->np->nlink--;
		name_lost_name(c, m->dst, now);
	}
	inode_data_changed(c, m->p, now);
	inode_data_changed(c, m->np, now);
	return 0;
}

static int get_both(struct cache *c, struct cache_op *op, struct renaming *m,
		    uint64_t parent, uint64_t newparent)
{
	int r = name_get_dir(c, op, parent, &m->p);

	if (r == 0)
		r = name_get_dir(c, op, newparent, &m->np);
	if (r == 0 && m->np->nlink == 0)
		r = -ENOENT;
	if (r == 0)
		r = name_get_dentry(c, parent, m->name, &m->sd);
	if (r == 0)
		r = name_get_named(c, op, m->sd.ino, &m->src);
	if (r < 0)
		return r;
	r = name_get_dentry(c, newparent, m->newname, &m->dd);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : name_get_named(c, op, m->dd.ino, &m->dst);
}

int cache_rename(struct cache *c, struct cache_op *op, uint64_t parent,
		 struct slice name, uint64_t newparent, struct slice newname,
		 unsigned flags)
{
	struct renaming m = { .name = name, .newname = newname };
	struct cache_new white = { .mode = S_IFCHR, .uid = op->uid, .gid = op->gid };
	int r = name_check(newname);

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) && flags != RENAME_EXCHANGE)
		return -EINVAL;
	if (r == 0)
		r = name_check(name);
	if (r < 0)
		return r == -EEXIST ? -EBUSY : r;
	r = op_begin(c, 0);
	if (r < 0)
		return r;
	r = get_both(c, op, &m, parent, newparent);
	if (r == 0 && S_ISDIR(m.src->mode))
		r = check_loop(c, m.src->ino, newparent);
	if (r == 0 && (flags & RENAME_EXCHANGE))
		return op_end(c, exchange(c, &m));
	if (r == 0)
		r = check_target(c, op, &m, flags);
	if (r < 0 || m.src == m.dst) /* two names of one file: nothing to do */
		return op_end(c, r);
	r = move(c, &m, flags & RENAME_WHITEOUT ? &white : NULL);
	return op_end(c, r);
}
