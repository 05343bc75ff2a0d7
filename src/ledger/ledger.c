#include "ledger/ledger.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/io.h"
#include "ledger/internal.h"
#include "ledger/schema.h"

#define LEDGER_NAME           "ledger.db"
#define LEDGER_FORMAT         2
#define LEDGER_WAL_CHECKPOINT (4u << 20) /* bytes */

/* The statements share their lists of columns. */
// NOLINTNEXTLINE(bugprone-suspicious-missing-comma)
static const char *const ledger_sql[] = { LEDGER_STMTS(DB_STMT_SQL) };

int ledger_begin(struct ledger *l) NO_LOCK_CHECK
{
	int r;

	lock_take(&l->lock);
	if (l->nodes_open) { /* rides along with the next change */
		l->nodes_open = false;
		if (db_in_transaction(l->db))
			return 0;
		l->nodes = l->durable; /* a failing read ended it */
	}
	r = db_begin(l->db);
	if (r < 0)
		lock_drop(&l->lock);
	return r;
}

/* ---- the node cache, counted ---- */

/*
 * What the node cache holds, written down whenever it has changed, so that an open
 * need not read all of it:
 *
 *   offset  size  field
 *   0       8     bytes of all bodies, LE
 *   8       8     number of nodes
 *   16      8     the last use
 *
 * A program that does not know of it leaves an older one behind.  Then the table's
 * newest use is another one: each node that comes raises it.
 */
#define NODE_SUMS_SIZE 24

static int node_sums_put(struct ledger *l)
{
	struct db_stmt *s = l->st[STMT_state_set];
	uint8_t v[NODE_SUMS_SIZE];

	if (l->nodes.used == l->durable.used && l->nodes.n == l->durable.n &&
	    l->nodes.bytes == l->durable.bytes)
		return 0;
	put_le64(v, l->nodes.bytes);
	put_le64(v + 8, l->nodes.n);
	put_le64(v + 16, l->nodes.used);
	db_bind_u64(s, 1, LEDGER_NODE_SUMS);
	db_bind_blob(s, 2, slice(v, sizeof(v)));
	return db_run(s);
}

/* 1: *ret is right; 0: nobody has written it down since. */
static int node_sums_get(struct ledger *l, struct nodes *ret)
{
	struct db_stmt *s = l->st[STMT_node_newest];
	struct nodes n = { 0 };
	struct slice v;
	uint64_t used = 0;
	int r = ledger_row(s);

	if (r > 0)
		used = db_col_u64(s, 0);
	db_reset(s);
	if (r < 0)
		return r;
	s = l->st[STMT_state_get];
	db_bind_u64(s, 1, LEDGER_NODE_SUMS);
	r = ledger_row(s);
	v = r > 0 ? db_col_blob(s, 0) : slice(NULL, 0);
	if (v.n == NODE_SUMS_SIZE)
		n = (struct nodes){ .bytes = get_le64(v.p),
				    .n = get_le64(v.p + 8),
				    .used = get_le64(v.p + 16) };
	db_reset(s);
	if (r < 0 || n.used == 0 || n.used != used)
		return MIN(r, 0);
	*ret = n;
	return 1;
}

static int nodes_count(struct ledger *l, struct nodes *ret)
{
	struct db_stmt *s = l->st[STMT_node_size];
	int r = node_sums_get(l, ret);

	if (r != 0)
		return r;
	r = ledger_row(s);
	if (r > 0)
		*ret = (struct nodes){ .bytes = db_col_u64(s, 0),
				       .used = db_col_u64(s, 1),
				       .n = db_col_u64(s, 2) };
	db_reset(s);
	return r;
}

int ledger_end(struct ledger *l, int r) NO_LOCK_CHECK
{
	l->n_nodes_open = 0;
	l->nodes_open_bytes = 0;
	if (r >= 0) {
		int rc = node_sums_put(l);

		r = rc < 0 ? rc : r;
	}
	if (r >= 0) {
		int rc = db_commit(l->db);

		r = rc < 0 ? rc : r;
	} else {
		db_rollback(l->db);
	}
	if (r >= 0)
		l->durable = l->nodes;
	else
		l->nodes = l->durable;
	if (db_wal_size(l->db) > LEDGER_WAL_CHECKPOINT)
		best_effort(db_checkpoint(l->db, DB_CHECKPOINT_RESTART)); /* the
						next one tries again */
	lock_drop(&l->lock);
	return r;
}

void ledger_read(struct ledger *l)
{
	lock_take(&l->lock);
}

void ledger_done(struct ledger *l)
{
	lock_drop(&l->lock);
}

int ledger_row(struct db_stmt *s)
{
	return db_step(s);
}

int ledger_run_one(struct ledger *l, struct db_stmt *s)
{
	int r = db_run(s);

	return r < 0 || db_changes(l->db) == 1 ? r : -ENOENT;
}

#define ORDINAL_FIRST_NEGATIVE (1ull << 63)

int ledger_next(struct db_stmt *s, uint64_t after)
{
	int r;

	db_bind_u64(s, 1, after);
	r = ledger_row(s);
	if (r == 0 && after < ORDINAL_FIRST_NEGATIVE) {
		after = ORDINAL_FIRST_NEGATIVE; /* no ordinal itself */
		db_bind_u64(s, 1, after);
		r = ledger_row(s);
	}
	if (r == 1 && db_col_u64(s, 0) < after) { /* round, to the start */
		db_reset(s);
		return 0;
	}
	return r;
}

static int drop_unfinished(struct ledger *l);

/* The tables and the version, in one transaction: whole, or not there. */
static int ledger_create(struct ledger *l)
{
	_cleanup_db_stmt_ struct db_stmt *s = NULL;
	uint8_t number[8];
	int r;

	r = db_prepare(l->db, LEDGER_SQL_MADE, &s);
	if (r == 0)
		r = db_step(s);
	if (r != 0)
		return r < 0 ? r : 0; /* it is there */
	r = db_begin(l->db);
	if (r < 0)
		return r;
	r = db_exec(l->db, ledger_schema);
	if (r < 0)
		return r; /* closing rolls it back */
	db_stmt_free(s);
	s = NULL;
	r = db_prepare(l->db, ledger_sql[STMT_state_set], &s);
	if (r < 0)
		return r;
	put_le64(number, LEDGER_FORMAT);
	db_bind_u64(s, 1, LEDGER_VERSION);
	db_bind_blob(s, 2, slice(number, sizeof(number)));
	r = db_run(s);
	if (r < 0)
		return r;
	put_le64(number, 0);
	db_bind_u64(s, 1, LEDGER_ADOPT_GEN);
	r = db_run(s);
	return r < 0 ? r : db_commit(l->db);
}

/* What the version in table state is; 0 if there is no such row. */
static int ledger_version(struct ledger *l, uint64_t *ret)
{
	_cleanup_db_stmt_ struct db_stmt *s = NULL;
	struct slice v;
	int r;

	*ret = 0;
	r = db_prepare(l->db, ledger_sql[STMT_state_get], &s);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, LEDGER_VERSION);
	r = db_step(s);
	if (r == 1) {
		v = db_col_blob(s, 0);
		if (v.n == 8)
			*ret = get_le64(v.p);
	}
	return r < 0 ? r : 0;
}

/* Whole or not at all, as everything here. */
static int ledger_upgrade(struct ledger *l)
{
	_cleanup_db_stmt_ struct db_stmt *s = NULL;
	uint8_t number[8];
	int r;

	r = db_begin(l->db);
	if (r == 0)
		r = db_exec(l->db, LEDGER_SQL_UPGRADE);
	if (r == 0)
		r = db_prepare(l->db, ledger_sql[STMT_state_set], &s);
	if (r < 0)
		return r; /* closing rolls it back */
	put_le64(number, LEDGER_FORMAT);
	db_bind_u64(s, 1, LEDGER_VERSION);
	db_bind_blob(s, 2, slice(number, sizeof(number)));
	r = db_run(s);
	return r < 0 ? r : db_commit(l->db);
}

static int ledger_setup(struct ledger *l, const struct ledger_params *p,
			struct err *reterr)
{
	uint64_t version = 0;
	int r;

	if (p->create) {
		r = ledger_create(l);
		if (r < 0)
			return r;
	}
	r = ledger_version(l, &version);
	if (r == 0 && version == LEDGER_FORMAT - 1)
		r = ledger_upgrade(l);
	else if (r == 0 && version != LEDGER_FORMAT)
		r = err_set(reterr, -EPROTO,
			    "ledger.db has format %llu, this program knows %d: update fildrive",
			    (unsigned long long)version, LEDGER_FORMAT);
	if (r == 0)
		r = db_prepare_all(l->db, ledger_sql, N_STMTS, l->st);
	if (r < 0)
		return r;
	r = nodes_count(l, &l->nodes);
	if (r < 0)
		return r;
	l->durable = l->nodes;
	return drop_unfinished(l);
}

int ledger_check(struct ledger *l, struct err *reterr)
{
	int r;

	lock_take(&l->lock);
	r = db_check(l->db, reterr);
	lock_drop(&l->lock);
	if (r < 0 && reterr && !reterr->text[0])
		(void)err_set(reterr, r, "ledger.db: %s", err_str(r));
	return r;
}

int ledger_open(const struct ledger_params *p, struct ledger **ret, struct err *reterr)
{
	struct db_params dp = {
		.io = p->io, .name = LEDGER_NAME, .key = p->key, .create = p->create
	};
	struct ledger *l = calloc(1, sizeof(*l));
	struct err why = { "" };
	int r;

	if (!l)
		return -ENOMEM;
	lock_init(&l->lock);
	l->nodes_max = p->nodes_max ? p->nodes_max : LEDGER_NODES_MAX;
	memcpy(dp.drive_id, p->drive_id, sizeof(dp.drive_id));
	r = db_open(&dp, &l->db, &why);
	if (r == -ENOENT)
		r = err_set(reterr, -EUCLEAN, "%s: it is missing", LEDGER_NAME);
	else if (r < 0)
		r = err_set(reterr, r, "%s", why.text);
	if (r == 0)
		r = ledger_setup(l, p, reterr);
	if (r < 0) {
		ledger_close(l);
		return err_set(reterr, r, "%s: %s", LEDGER_NAME, err_str(r));
	}
	*ret = l;
	return 0;
}

void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	if (l->nodes_open && node_sums_put(l) >= 0)
		best_effort(db_commit(l->db)); /* a cache */
	db_stmt_free_all(l->st, N_STMTS);
	db_close(l->db);
	lock_fini(&l->lock);
	free(l);
}

/* A piece that was being built when the power went: its file is not whole. */
static int drop_unfinished(struct ledger *l)
{
	struct db_stmt *s = l->st[STMT_piece_in];
	uint64_t at = 0;
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	for (;;) {
		db_bind_u64(s, 2, LEDGER_BUILDING);
		r = ledger_next(s, at);
		if (r <= 0)
			break;
		at = db_col_u64(s, 0);
		db_reset(s);
		db_bind_u64(l->st[STMT_piece_drop], 1, at);
		r = db_run(l->st[STMT_piece_drop]);
		if (r < 0)
			break;
	}
	return ledger_end(l, r);
}

/* ---- single values ---- */

int ledger_one_number(struct db_stmt *s, uint64_t *ret)
{
	int r = ledger_row(s);

	if (r == 1)
		*ret = db_col_u64(s, 0);
	db_reset(s);
	return r < 0 ? r : 0;
}

int ledger_one_blob(struct db_stmt *s, struct buf *ret)
{
	int r = ledger_row(s);

	if (r == 1)
		r = buf_append(ret, db_col_blob(s, 0));
	else if (r == 0)
		r = -ENOENT;
	db_reset(s);
	return r;
}

int ledger_get(struct ledger *l, enum ledger_key k, struct buf *ret)
{
	struct db_stmt *s = l->st[STMT_state_get];
	int r;

	ledger_read(l);
	db_bind_u64(s, 1, k);
	r = ledger_one_blob(s, ret);
	ledger_done(l);
	return r;
}

int ledger_set(struct ledger *l, enum ledger_key k, struct slice v)
{
	struct db_stmt *s = l->st[STMT_state_set];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, k);
	db_bind_blob(s, 2, v);
	return ledger_end(l, db_run(s));
}

int ledger_get_u64(struct ledger *l, enum ledger_key k, uint64_t *ret)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct cursor c;
	int r;

	buf_init(&b, sizeof(*ret));
	r = ledger_get(l, k, &b);
	if (r < 0)
		return r;
	c = cursor(buf_slice(&b));
	*ret = cursor_le64(&c);
	return cursor_done(&c) < 0 ? -EUCLEAN : 0;
}

int ledger_set_u64(struct ledger *l, enum ledger_key k, uint64_t v)
{
	uint8_t t[8];

	put_le64(t, v);
	return ledger_set(l, k, slice(t, sizeof(t)));
}

/* ---- stores ---- */

static int store_id(struct ledger *l, struct slice url, uint64_t *ret)
{
	struct db_stmt *s = l->st[STMT_store_find];
	int r;

	db_bind_blob(s, 1, url);
	r = ledger_row(s);
	if (r == 1)
		*ret = db_col_u64(s, 0);
	db_reset(s);
	if (r != 0)
		return r;
	db_bind_blob(l->st[STMT_store_add], 1, url);
	r = db_run(l->st[STMT_store_add]);
	*ret = (uint64_t)db_last_rowid(l->db);
	return r;
}

int ledger_stores_set(struct ledger *l, const char *const *urls, size_t n,
		      uint64_t *ret_ids)
{
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	r = db_run(l->st[STMT_store_retire_all]);
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = store_id(l, slice_str(urls[i]), &ret_ids[i]);
		if (r < 0)
			break;
		db_bind_u64(l->st[STMT_store_unread], 1, ret_ids[i]);
		r = db_run(l->st[STMT_store_unread]);
		if (r < 0)
			break;
		db_bind_u64(l->st[STMT_store_back], 1, ret_ids[i]);
		r = db_run(l->st[STMT_store_back]);
	}
	if (r >= 0)
		r = db_run(l->st[STMT_store_gone]);
	return ledger_end(l, r < 0 ? r : 0);
}

/* Text columns come back as C strings, cut to what fits. */
static void col_text(struct db_stmt *s, int i, char *ret, size_t max)
{
	struct slice v = db_col_blob(s, i);
	size_t n = MIN(v.n, max - 1);

	if (n)
		memcpy(ret, v.p, n);
	ret[n] = '\0';
}

int ledger_store_get(struct ledger *l, uint64_t id, struct ledger_store *ret)
{
	struct db_stmt *s = l->st[STMT_store_get];
	struct slice ident;
	int r;

	ledger_read(l);
	db_bind_u64(s, 1, id);
	r = ledger_row(s);
	if (r == 1) {
		*ret = (struct ledger_store){ .id = id };
		col_text(s, 0, ret->url, sizeof(ret->url));
		ident = db_col_blob(s, 1);
		ret->has_ident = ident.n == LEDGER_IDENT_MAX;
		if (ret->has_ident)
			memcpy(ret->ident, ident.p, LEDGER_IDENT_MAX);
		ret->retired = db_col_u64(s, 2) != 0;
		ret->seen = db_col_u64(s, 3);
		col_text(s, 4, ret->error, sizeof(ret->error));
	}
	db_reset(s);
	ledger_done(l);
	return r < 0 ? r : r == 1 ? 0 : -ENOENT;
}

int ledger_store_ident(struct ledger *l, uint64_t id,
		       const uint8_t ident[static LEDGER_IDENT_MAX])
{
	struct db_stmt *s = l->st[STMT_store_ident];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, id);
	db_bind_blob(s, 2, slice(ident, LEDGER_IDENT_MAX));
	return ledger_end(l, db_run(s));
}

int ledger_store_seen(struct ledger *l, uint64_t id, uint64_t now, const char *error)
{
	bool bad = error && error[0];
	struct db_stmt *s = l->st[bad ? STMT_store_error : STMT_store_seen];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, id);
	if (bad)
		db_bind_blob(s, 2, slice_str(error));
	else
		db_bind_u64(s, 2, now);
	return ledger_end(l, db_run(s));
}
