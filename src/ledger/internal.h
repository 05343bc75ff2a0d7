/* internal.h - what the files of src/ledger share */
#ifndef LEDGER_INTERNAL_H
#define LEDGER_INTERNAL_H

#include "base/thread.h"
#include "db/db.h"
#include "ledger/ledger.h"
#include "ledger/stmts.h"

enum {
	LEDGER_STMTS(DB_STMT_ENUM) N_STMTS
};

/* The node cache, counted. */
struct nodes {
	uint64_t bytes, n;
	uint64_t used; /* the last use */
};

struct ledger {
	struct lock lock;
	uint64_t nodes_max; /* bytes of the node cache; constant */
	struct db *db;      /* lock: lock; so are all below */
	struct db_stmt *st[N_STMTS];
	struct nodes nodes; /* of the open transaction, if there is one */
	struct nodes durable; /* of the last commit: what a rollback goes back to */
	bool nodes_open; /* a transaction of node_put()s that nobody waits for */
	unsigned n_nodes_open;
	uint64_t nodes_open_bytes;
	uint64_t staged_gen; /* of the adoptions that are being staged; 0: none */
};

/*
 * Every change is `ledger_begin … ledger_end`: end commits when r is 0, rolls
 * back else, drops the lock and returns the result.  When begin fails the lock
 * is not held, which clang's annotations cannot say: so they say nothing here.
 */
must_check int ledger_begin(struct ledger *l);
must_check int ledger_end(struct ledger *l, int r);

/* db_run() of a change of one row; -ENOENT if there is no such row. */
must_check int ledger_run_one(struct ledger *l, struct db_stmt *s);

/*
 * The row of `s` (its parameter 1 is bound here) that follows ordinal `after`,
 * 0 for the first: 1, 0 or -errno, as ledger_row().  SQLite sorts our ordinals
 * as signed numbers, so those of writers from 0x800000 on come first there.
 */
must_check int ledger_next(struct db_stmt *s, uint64_t after);

/* Reads: the lock alone, around statements that are reset before the drop. */
void ledger_read(struct ledger *l) ACQUIRES(&l->lock);
void ledger_done(struct ledger *l) RELEASES(&l->lock);

/* A number of table state; *ret stays as it is if there is none.  The lock is held. */
must_check int ledger_number(struct ledger *l, enum ledger_key k, uint64_t *ret);

/*
 * The first column of the row of `s`, whose parameters are bound; it is reset.  The
 * lock is held.  A number: *ret stays as it is if there is no row, which is fine; a
 * blob: is appended, and -ENOENT if there is none.
 */
must_check int ledger_one_number(struct db_stmt *s, uint64_t *ret);
must_check int ledger_one_blob(struct db_stmt *s, struct buf *ret);

/*
 * cb for each row of `s` behind `after`, which has PIECE_COLS and parameter 1 as
 * ledger_next(); `of` is bound as its parameter 2 unless it is NULL.  The lock is held for a row at a
 * time, and not while cb runs.  Ends with the first non-zero result of cb.
 */
must_check int ledger_each(struct ledger *l, struct db_stmt *s,
			   const uint64_t *of, uint64_t after,
			   int (*cb)(void *ctx, const struct ledger_piece *p),
			   void *ctx);

/* Step once for a row that need not be there: 1, 0 or -errno. */
must_check int ledger_row(struct db_stmt *s);

#endif
