/*
 * txlog.h - the wallet's own transactions, in the drive directory
 *
 * A folder `tx/` with a file for each, named by its number in 16 hex digits.  A
 * file is replaced as a whole (io_replace()), so that a command that is killed
 * anywhere leaves what it signed, or nothing that was sent: the next one goes on
 * with it (chain/sender.h S1, S2), and never pays twice.
 *
 *   ARMED ─► OPEN ─► OVER         a transaction signed beforehand ("standing
 *              ▲                  order", orders.h) is ARMED until it is sent
 *            begun
 *
 * A file is sealed (I9): a mark (aead.h), then JSON under a subkey of the drive's.
 * The file's name and the drive are authenticated with it.
 *
 * Beside a running daemon: whoever works on the folder holds its flock(2).
 *
 * Threading: one thread at a time.  Errors: -EUCLEAN a file is damaged.
 */
#ifndef DAEMON_TXLOG_H
#define DAEMON_TXLOG_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/util.h"
#include "chain/sender.h"
#include "chain/u256.h"

struct drive;
struct err;
struct keys;
struct txlog;

#define TXLOG_DIR      "tx"
#define TXLOG_FILE_MAX (2u << 20) /* bytes */
#define TXLOG_WHAT_MAX 16
#define TXLOG_TEXT_MAX 160

enum txlog_state {
	TXLOG_ARMED, /* signed, and not to be sent yet */
	TXLOG_OPEN,  /* may have been sent */
	TXLOG_OVER,  /* the chain has decided */
};

struct txlog_tx {
	uint64_t intent; /* its number */
	uint64_t time;   /* of the first signature, seconds since 1970 */
	enum txlog_state state;
	char what[TXLOG_WHAT_MAX]; /* "fund", "withdraw", "login", "revoke", … */
	char text[TXLOG_TEXT_MAX]; /* what it does, for people */
	struct u256 amount;    /* USDFC that it moves; what makes two alike */
	struct u256 needs_fil; /* ARMED: attoFIL that it may cost */
	bool told;             /* OVER: a command has said so */
	unsigned n_raw;
	struct buf raw[SENDER_ATTEMPTS_MAX];
	struct sender_outcome outcome; /* OVER */

	struct list node; /* private to txlog.c */
};

/* A daemon locks it for a moment now and then, to see whether anything is ARMED. */
#define TXLOG_WAIT_MS 10000

/*
 * Lock the folder (made if it is not there) and read all files.  One that is locked
 * is looked at again every 20 ms, wait_ms / 20 times.
 * -ENOTUNIQ, in words: another process works on it.
 */
must_check int txlog_open(const struct drive *d, const struct keys *k,
			  unsigned wait_ms, struct txlog **ret, struct err *reterr);
void txlog_close(struct txlog *l); /* NULL is fine */

/* Free its attempts. */
void txlog_tx_fini(struct txlog_tx *tx);

/* In the order of their numbers; NULL after the last. */
struct txlog_tx *txlog_next(struct txlog *l, const struct txlog_tx *after);

/* A new one, in memory only, with the next number.  -ENOMEM. */
must_check int txlog_new(struct txlog *l, const char *what, const char *text,
			 struct u256 amount, struct txlog_tx **ret);

/* It was never written: forget it. */
void txlog_forget(struct txlog *l, struct txlog_tx *tx);

/* One more signed attempt.  -EUCLEAN: too many. */
must_check int txlog_add_raw(struct txlog_tx *tx, struct slice raw);

must_check int txlog_write(struct txlog *l, const struct txlog_tx *tx);

/* Of an ARMED one: it will never be sent.  Removed from the disk, too. */
must_check int txlog_drop(struct txlog *l, struct txlog_tx *tx);

/* Rows of all that are OPEN, for sender_new(); the array is the caller's to free. */
must_check int txlog_rows(struct txlog *l, struct sender_row **ret, size_t *ret_n);

struct txlog_tx *txlog_find(struct txlog *l, uint64_t intent);

/* With this state; the first behind `after`. */
struct txlog_tx *txlog_in(struct txlog *l, enum txlog_state state,
			  const struct txlog_tx *after);

static inline void txlog_closep(struct txlog **l)
{
	txlog_close(*l);
}

#define _cleanup_txlog_ _cleanup_(txlog_closep)

#endif
