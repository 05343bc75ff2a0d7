/*
 * logged.c - small writes that are durable before they have slots
 *
 * Somebody waits for a sync, and only little was written: sealing it into slots
 * would cost a second fdatasync, one behind the other, for slots must be durable
 * before the rows that name them.  So the blocks go into rows of table logged, in
 * the very transaction that commits their inodes, and stay in the write buffer as
 * well.  Reads find them there.  What seals them later, as anything that is
 * buffered, drops their rows in the same transaction as it names their slots.
 *
 * At every COMMIT the table has exactly the blocks of the buffer that have a
 * log_id, as they are then; nothing else is in the buffer if the commit was asked
 * to log, and nothing at all if it was not.  When the drive is opened, the rows
 * go back into the buffer.
 *
 * A row belongs to one block of the buffer, or to a copy that waits in buf.gone
 * for the next commit, which deletes it.
 */
#include "cache/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

bool logged_wanted(struct cache *c)
{
	return c->buf.n > 0 && c->buf.n <= LOGGED_BLOCKS && !seg_is_unsynced(c);
}

static int put_row(struct cache *c, const struct bblock *b, uint64_t id)
{
	struct db_stmt *s = st(c, STMT_logged_put);
	size_t n = CACHE_BLOCK;
	int r;

	while (n > 0 && b->p[n - 1] == 0)
		n--;
	db_bind_u64(s, 1, id);
	db_bind_u64(s, 2, b->ino);
	db_bind_u64(s, 3, b->block);
	db_bind_blob(s, 4, slice(b->p, n));
	r = db_run(s);
	db_bind_blob(s, 4, SLICE_NONE); /* no stale pointers */
	return c_sql(c, r);
}

int logged_put(struct cache *c)
{
	while (!list_empty(&c->buf.todo)) {
		struct bblock *b = list_first(&c->buf.todo, struct bblock, todo);
		uint64_t id = b->log_id ? b->log_id : c->buf.next_log_id;
		int r = put_row(c, b, id);

		if (r < 0)
			return r;
		c->buf.next_log_id = MAX(c->buf.next_log_id, id + 1);
		b->log_id = id;
		list_del(&b->todo);
	}
	return 0;
}

int logged_drop(struct cache *c)
{
	while (c->buf.gone) {
		struct bblock *b = c->buf.gone;
		struct db_stmt *s = st(c, STMT_logged_del);
		int r;

		db_bind_u64(s, 1, b->log_id);
		r = c_sql(c, db_run(s));
		if (r < 0)
			return r;
		c->buf.gone = b->chain;
		free(b);
	}
	return 0;
}

static int load_row(struct cache *c, struct db_stmt *s)
{
	uint64_t id = db_col_u64(s, 0), block = db_col_u64(s, 2);
	struct slice text = db_col_blob(s, 3);
	struct inode *i;
	int r = inode_get(c, db_col_u64(s, 1), &i);

	if (r == -ENOENT || text.n > CACHE_BLOCK || id == 0 || id == UINT64_MAX ||
	    block >= CACHE_FILE_MAX / CACHE_BLOCK || c->buf.n >= LOGGED_BLOCKS)
		return log_err(-EUCLEAN, "drive.db: row %llu of table logged",
			       (unsigned long long)id);
	if (r == 0)
		r = buffer_load(c, i, block, text, id);
	if (r == 0)
		c->buf.next_log_id = MAX(c->buf.next_log_id, id + 1);
	return r;
}

int logged_load(struct cache *c)
{
	struct db_stmt *s = st(c, STMT_logged_list);
	int r;

	while ((r = c_sql(c, db_step(s))) > 0) {
		r = load_row(c, s);
		if (r < 0)
			break;
	}
	db_reset(s);
	if (r < 0)
		return r;
	if (c->buf.n && !c->p.read_only && seg_make_room(c, slots_kept(c)) < 0)
		log_warn("the disk has no room left for what was written last: "
			 "make some, or the drive cannot be written to");
	return 0;
}
