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

struct ledger {
	struct lock lock;
	struct db *db; /* lock: lock; so are all below */
	struct db_stmt *st[N_STMTS];
	uint64_t node_bytes, node_used;
	bool nodes_open; /* a transaction of node_put()s that nobody waits for */
	unsigned n_nodes_open;
};

/*
 * Every change is `ledger_begin … ledger_end`: end commits when r is 0, rolls
 * back else, drops the lock and returns the result.
 */
must_check int ledger_begin(struct ledger *l) ACQUIRES(&l->lock);
must_check int ledger_end(struct ledger *l, int r) RELEASES(&l->lock);

/* Reads: the lock alone, around statements that are reset before the drop. */
void ledger_read(struct ledger *l) ACQUIRES(&l->lock);
void ledger_done(struct ledger *l) RELEASES(&l->lock);

/* Step once for a row that need not be there: 1, 0 or -errno. */
must_check int ledger_row(struct db_stmt *s);

#endif
