#include "daemon/gc_fees.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "crypto/piece_cid.h"
#include "ledger/ledger.h"

#define PREFIX "removal/"

#define REF_SIZE 32 /* bytes */

struct asked {
	struct ledger *ledger;
	uint64_t store;
	struct piece_cid first;
	struct ledger_spend spend;
	bool waits; /* for its removal */
};

_Static_assert(sizeof(PREFIX) + 17 + PIECE_CID_TEXT_MAX <= LEDGER_NOTE_KEY_MAX,
	       "a key fits");

static void key_of(uint64_t store, const struct piece_cid *first,
		   char ret[static LEDGER_NOTE_KEY_MAX])
{
	char cid[PIECE_CID_TEXT_MAX];

	piece_cid_text(first, cid);
	(void)snprintf(ret, LEDGER_NOTE_KEY_MAX, PREFIX "%016" PRIx64 "-%s",
		       store, cid); /* fits */
}

static int parse(struct slice value, struct asked *ret)
{
	struct cursor c = cursor(value);
	struct slice text;

	ret->store = cursor_le64(&c);
	ret->spend.time = cursor_le64(&c);
	cursor_copy(&c, ret->spend.amount, sizeof(ret->spend.amount));
	cursor_copy(&c, ret->spend.ref, REF_SIZE);
	ret->spend.n_ref = REF_SIZE;
	ret->first.n = cursor_u8(&c);
	if (ret->first.n > sizeof(ret->first.bytes))
		return -EUCLEAN;
	cursor_copy(&c, ret->first.bytes, ret->first.n);
	text = cursor_take(&c, MIN(c.n, sizeof(ret->spend.text) - 1));
	if (cursor_done(&c) < 0)
		return -EUCLEAN;
	if (text.n)
		memcpy(ret->spend.text, text.p, text.n);
	return 0;
}

int gc_fees_ask(struct ledger *l, uint64_t store, const struct piece_cid *first,
		const struct ledger_spend *s)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct asked before = { .ledger = l };
	char key[LEDGER_NOTE_KEY_MAX];
	int r;

	if (s->n_ref != REF_SIZE)
		return -EINVAL;
	key_of(store, first, key);
	buf_init(&b, LEDGER_NOTE_MAX);
	r = ledger_note_get(l, 0, key, &b);
	if (r == 0 && parse(buf_slice(&b), &before) == 0 &&
	    memcmp(before.spend.ref, s->ref, REF_SIZE) == 0)
		return 1;
	if (r < 0 && r != -ENOENT)
		return r;
	buf_reset(&b);
	r = buf_le64(&b, store);
	if (r == 0)
		r = buf_le64(&b, s->time);
	if (r == 0)
		r = buf_append(&b, slice(s->amount, sizeof(s->amount)));
	if (r == 0)
		r = buf_append(&b, slice(s->ref, REF_SIZE));
	if (r == 0)
		r = buf_u8(&b, first->n);
	if (r == 0)
		r = buf_append(&b, slice(first->bytes, first->n));
	if (r == 0)
		r = buf_append(&b, slice_str(s->text));
	if (r < 0)
		return r;
	return ledger_note_set(l, 0, key, buf_slice(&b));
}

int gc_fees_forget(struct ledger *l, uint64_t store, const struct piece_cid *first)
{
	char key[LEDGER_NOTE_KEY_MAX];

	key_of(store, first, key);
	return ledger_note_drop(l, 0, key);
}

static int on_removal(void *ctx, const struct ledger_piece *p)
{
	struct asked *a = ctx;

	a->waits |= piece_cid_eq(&p->cid, &a->first);
	return a->waits;
}

static int on_note(void *ctx, const char *key, struct slice value)
{
	struct asked a = { .ledger = ctx };
	int r = parse(value, &a);

	if (r == 0)
		r = ledger_removals(a.ledger, a.store, on_removal, &a);
	if (r < 0 || a.waits)
		return MIN(r, 0);
	/* A cut between the two: the same `ref` is added once. */
	r = ledger_spend_add(a.ledger, &a.spend);
	return r < 0 ? r : ledger_note_drop(a.ledger, 0, key);
}

int gc_fees_settle(struct ledger *l)
{
	return ledger_notes(l, 0, PREFIX, on_note, l);
}
