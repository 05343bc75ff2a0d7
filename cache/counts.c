/*
 * counts.c - how many inodes the whole drive has, and how many bytes its files
 *
 * Most of a recovered drive is not here, so rows cannot tell: the counters begin
 * with those of the commit, and every row that is written or deleted changes them
 * by what it counted before.  They stand in table state, in the transaction of the
 * rows.  An inode that comes from the DAG is counted already.
 *
 * Of sums that go past 64 bits, or that a hostile commit began, the rest is right
 * again when what was wrong is gone: the arithmetic is modular.
 */
#include "cache/internal.h"

static struct cache_counts of(const struct inode *i)
{
	bool named = i->nlink > 0;

	return (struct cache_counts){
		.inodes = named, .bytes = named && S_ISREG(i->mode) ? i->size : 0
	};
}

static void move(struct cache_counts *t, struct cache_counts from,
		 struct cache_counts to)
{
	t->inodes += to.inodes - from.inodes;
	t->bytes += to.bytes - from.bytes;
}

static bool same(struct cache_counts a, struct cache_counts b)
{
	return a.inodes == b.inodes && a.bytes == b.bytes;
}

void counts_have(struct inode *i)
{
	i->counted = of(i);
}

void counts_note(struct cache *c, struct inode *i)
{
	struct cache_counts is = of(i);

	if (same(is, i->counted))
		return;
	move(&c->counts, i->counted, is);
	i->counted = is;
	c->state_changed = true;
}

/* What can be said of them: nothing, if a number is none. */
static struct cache_counts tell(const struct cache *c, struct cache_counts t)
{
	if (!c->counted || t.inodes > INT64_MAX || t.bytes > INT64_MAX)
		return (struct cache_counts){ 0 };
	return t;
}

struct cache_counts counts_now(struct cache *c)
{
	struct cache_counts t = c->counts;

	list_foreach(p, &c->inodes.dirty) {
		const struct inode *i = container_of(p, struct inode, node);

		move(&t, i->counted, of(i));
	}
	return tell(c, t);
}

/* All rows.  *ret_all: nothing of the drive is only in the DAG. */
static int sum(struct cache *c, struct cache_counts *ret, bool *ret_all)
{
	struct db_stmt *s = st(c, STMT_counts_absent);
	int r = c_sql(c, db_step(s));

	*ret_all = r > 0 && !db_col_u64(s, 0);
	db_reset(s);
	if (r < 0)
		return r;
	s = st(c, STMT_counts_sum);
	r = c_sql(c, db_step(s));
	if (r > 0) {
		ret->inodes = db_col_u64(s, 0);
		ret->bytes = (db_col_u64(s, 1) << 32) + db_col_u64(s, 2);
	}
	db_reset(s);
	return r < 0 ? r : 0;
}

int counts_open(struct cache *c)
{
	struct cache_counts t = { 0 };
	bool all = false;
	int r;

	if (c->counted)
		return 0;
	r = sum(c, &t, &all);
	if (r == 0 && all) {
		c->counts = t;
		c->counted = true;
		c->state_changed = true;
	}
	return r;
}

int counts_check(struct cache *c, bool repair, bool *ret_wrong)
{
	struct cache_counts t = { 0 }, now;
	bool all = false;
	int r;

	*ret_wrong = false;
	r = inode_flush(c, SIZE_MAX);
	if (r == 0)
		r = sum(c, &t, &all);
	if (r < 0)
		return r;
	now = tell(c, c->counts);
	if (now.inodes)
		*ret_wrong = all ? !same(now, t) :
				   now.inodes < t.inodes || now.bytes < t.bytes;
	if (!repair || (!*ret_wrong && (now.inodes || !all)))
		return 0;
	/* of a drive that is here in part nobody knows: better said than guessed */
	c->counts = t;
	c->counted = all;
	c->state_changed = true;
	op_changed(c);
	return 0;
}
