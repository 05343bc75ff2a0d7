/*
 * fuzz_txlog.c - a transaction in the log, unsealed: only who has the drive's keys
 * can write one
 *
 * What is read can be written, and what was written says the same when it is read.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/txlog_text.h"
#include "tests/fuzz/fuzz.h"

static struct txlog_tx *read_one(struct slice text, int *ret)
{
	struct txlog_tx *tx = calloc(1, sizeof(*tx));

	assert(tx);
	*ret = txlog_text_read(text, tx);
	assert(*ret == 0 || *ret == -EUCLEAN);
	assert(tx->n_raw <= SENDER_ATTEMPTS_MAX);
	return tx;
}

static void drop(struct txlog_tx *tx)
{
	txlog_tx_fini(tx);
	free(tx);
}

/* Words may be cut in the middle of a character, and are shown as bytes then. */
static void check_same(const struct txlog_tx *a, const struct txlog_tx *b)
{
	assert(a->time == b->time && a->state == b->state && a->told == b->told);
	assert(u256_eq(a->amount, b->amount) && u256_eq(a->needs_fil, b->needs_fil));
	assert(a->outcome.end == b->outcome.end);
	assert(a->outcome.block == b->outcome.block);
	assert(u256_eq(a->outcome.fee, b->outcome.fee));
	assert(memcmp(a->outcome.hash, b->outcome.hash, sizeof(a->outcome.hash)) ==
	       0);
	assert(a->n_raw == b->n_raw);
	for (unsigned i = 0; i < a->n_raw; i++)
		assert(slice_eq(buf_slice(&a->raw[i]), buf_slice(&b->raw[i])));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct txlog_tx *tx, *again;
	struct buf made;
	int r;

	if (size > TXLOG_FILE_MAX)
		return 0;
	tx = read_one(slice(data, size), &r);
	if (r == 0) {
		buf_init(&made, TXLOG_FILE_MAX);
		r = txlog_text_make(tx, &made);
		assert(r == 0);
		again = read_one(buf_slice(&made), &r);
		assert(r == 0);
		check_same(tx, again);
		drop(again);
		buf_fini(&made);
	}
	drop(tx);
	return 0;
}
