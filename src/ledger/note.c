/* note.c - what providers remember across restarts, and what was paid */
#include "ledger/ledger.h"

#include <errno.h>

#include "base/buf.h"
#include "ledger/internal.h"

int ledger_note_get(struct ledger *l, uint64_t store, const char *key,
		    struct buf *ret)
{
	struct db_stmt *s = l->st[STMT_note_get];
	int r;

	ledger_read(l);
	db_bind_u64(s, 1, store);
	db_bind_blob(s, 2, slice_str(key));
	r = ledger_one_blob(s, ret);
	ledger_done(l);
	return r;
}

static bool fits(const char *key, struct slice value)
{
	return strnlen(key, LEDGER_NOTE_KEY_MAX) < LEDGER_NOTE_KEY_MAX &&
	       value.n <= LEDGER_NOTE_MAX;
}

/* In a transaction. */
static int note_set(struct ledger *l, uint64_t store, const char *key,
		    struct slice value)
{
	struct db_stmt *s = l->st[STMT_note_set];

	db_bind_u64(s, 1, store);
	db_bind_blob(s, 2, slice_str(key));
	db_bind_blob(s, 3, value);
	return db_run(s);
}

static int note_drop(struct ledger *l, uint64_t store, const char *key)
{
	struct db_stmt *s = l->st[STMT_note_drop];

	db_bind_u64(s, 1, store);
	db_bind_blob(s, 2, slice_str(key));
	return db_run(s);
}

int ledger_note_set(struct ledger *l, uint64_t store, const char *key,
		    struct slice value)
{
	int r;

	if (!fits(key, value))
		return -EMSGSIZE;
	r = ledger_begin(l);
	if (r < 0)
		return r;
	return ledger_end(l, note_set(l, store, key, value));
}

int ledger_note_drop(struct ledger *l, uint64_t store, const char *key)
{
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	return ledger_end(l, note_drop(l, store, key));
}

/* Begun by the ident: there is such a store. */
static int reset(struct ledger *l, uint64_t id, const char *drop,
		 const char *key, struct slice value)
{
	int r;

	db_bind_u64(l->st[STMT_store_reset], 1, id);
	r = ledger_run_one(l, l->st[STMT_store_reset]);
	if (r < 0)
		return r;
	db_bind_u64(l->st[STMT_store_empty], 1, id);
	r = db_run(l->st[STMT_store_empty]);
	if (r >= 0 && drop)
		r = note_drop(l, id, drop);
	return r < 0 ? r : note_set(l, id, key, value);
}

int ledger_store_reset(struct ledger *l, uint64_t id, const char *drop,
		       const char *key, struct slice value)
{
	int r;

	if (!fits(key, value))
		return -EMSGSIZE;
	r = ledger_begin(l);
	if (r < 0)
		return r;
	return ledger_end(l, reset(l, id, drop, key, value));
}

int ledger_store_unsure(struct ledger *l, uint64_t id, const char *key,
			struct slice value)
{
	int r;

	if (!fits(key, value))
		return -EMSGSIZE;
	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(l->st[STMT_store_unsure], 1, id);
	r = db_run(l->st[STMT_store_unsure]);
	if (r >= 0)
		r = note_set(l, id, key, value);
	return ledger_end(l, MIN(r, 0));
}

/* The next one after `key`, into both: 1, 0 or -errno. */
static int note_next(struct ledger *l, uint64_t store,
		     char key[static LEDGER_NOTE_KEY_MAX], struct buf *value)
{
	struct db_stmt *s = l->st[STMT_note_next];
	struct slice k;
	int r;

	buf_reset(value);
	ledger_read(l);
	db_bind_u64(s, 1, store);
	db_bind_blob(s, 2, slice_str(key));
	r = ledger_row(s);
	if (r == 1) {
		k = db_col_blob(s, 0);
		if (k.n >= LEDGER_NOTE_KEY_MAX || memchr(k.p, 0, k.n))
			r = -EUCLEAN;
		else
			r = buf_append(value, db_col_blob(s, 1));
		if (r == 0) {
			memcpy(key, k.p, k.n);
			key[k.n] = '\0';
			r = 1;
		}
	}
	db_reset(s);
	ledger_done(l);
	return r;
}

int ledger_notes(struct ledger *l, uint64_t store, const char *prefix,
		 int (*cb)(void *ctx, const char *key, struct slice value),
		 void *ctx)
{
	_cleanup_buf_ struct buf value = { 0 };
	char key[LEDGER_NOTE_KEY_MAX] = "", exact[LEDGER_NOTE_KEY_MAX];
	size_t n = strlen(prefix);
	int r;

	if (n >= sizeof(key))
		return -EMSGSIZE;
	buf_init(&value, LEDGER_NOTE_MAX);
	/* The prefix itself may be a key, too: begin just before it. */
	r = ledger_note_get(l, store, prefix, &value);
	if (r == 0)
		r = cb(ctx, prefix, buf_slice(&value));
	else if (r == -ENOENT)
		r = 0;
	if (r)
		return r;
	text_copy(key, sizeof(key), prefix);
	while ((r = note_next(l, store, key, &value)) == 1) {
		if (strncmp(key, prefix, n) != 0)
			return 0;
		text_copy(exact, sizeof(exact), key);
		r = cb(ctx, exact, buf_slice(&value));
		if (r)
			return r;
	}
	return r;
}

/* ---- what was paid ---- */

int ledger_spend_add(struct ledger *l, const struct ledger_spend *p)
{
	struct db_stmt *s = l->st[STMT_spend_add];
	int r;

	if (p->n_ref == 0 || p->n_ref > LEDGER_SPEND_REF_MAX)
		return -EINVAL;
	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_blob(s, 1, slice(p->ref, p->n_ref));
	db_bind_u64(s, 2, p->time);
	db_bind_u64(s, 3, p->store);
	db_bind_blob(s, 4, slice(p->amount, sizeof(p->amount)));
	db_bind_blob(s, 5, slice_str(p->text));
	return ledger_end(l, db_run(s));
}

static int spend_row(struct db_stmt *s, struct ledger_spend *ret)
{
	struct slice ref = db_col_blob(s, 1), amount = db_col_blob(s, 4),
		     text = db_col_blob(s, 5);

	if (ref.n > sizeof(ret->ref) || amount.n != sizeof(ret->amount) ||
	    text.n >= sizeof(ret->text))
		return -EUCLEAN;
	*ret = (struct ledger_spend){ .id = db_col_u64(s, 0),
				      .time = db_col_u64(s, 2),
				      .store = db_col_u64(s, 3),
				      .n_ref = ref.n };
	memcpy(ret->ref, ref.p, ref.n);
	memcpy(ret->amount, amount.p, amount.n);
	if (text.n)
		memcpy(ret->text, text.p, text.n);
	return 1;
}

int ledger_spends(struct ledger *l, uint64_t after,
		  int (*cb)(void *ctx, const struct ledger_spend *s), void *ctx)
{
	struct db_stmt *s = l->st[STMT_spend_next];
	struct ledger_spend row;
	int r;

	for (;;) {
		ledger_read(l);
		db_bind_u64(s, 1, after);
		r = ledger_row(s);
		if (r == 1)
			r = spend_row(s, &row);
		db_reset(s);
		ledger_done(l);
		if (r != 1)
			return r;
		after = row.id;
		r = cb(ctx, &row);
		if (r)
			return r;
	}
}
