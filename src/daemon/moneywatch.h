/*
 * moneywatch.h - the daemon's eye on the wallet that pays
 *
 * A thread of its own reads the purse now and then: every ten minutes, sooner
 * while funds are awaited, and when somebody asks for the status.  It sends the
 * standing orders (orders.h) once they can be sent, says in the log when the
 * deposit runs low or the session key ends, and tells how often to commit.  It
 * holds no key of the wallet, and no money moves by it but by those orders.
 *
 * Threading: new before loop_start(); stop on another thread than the loop's while
 * that runs, or when it was never started; the rest from any thread.
 */
#ifndef DAEMON_MONEYWATCH_H
#define DAEMON_MONEYWATCH_H

#include <jansson.h>
#include <stdbool.h>

#include "base/util.h"

struct cadence;
struct drive;
struct err;
struct loop;
struct moneywatch;

struct moneywatch_params {
	const struct drive *drive; /* with its keys */
	struct loop *loop;
	/* Prices were read; on the watch's thread. */
	void (*paced)(void *ctx, const struct cadence *pace);
	/* There is more in the deposit than at the last look; likewise. */
	void (*funded)(void *ctx);
	void *ctx;
};

/* *ret stays NULL if no store of the drive costs money. */
must_check int moneywatch_new(const struct moneywatch_params *p,
			      struct moneywatch **ret, struct err *reterr);
must_check int moneywatch_start(struct moneywatch *m);
void moneywatch_stop(struct moneywatch *m); /* NULL is fine */
void moneywatch_free(struct moneywatch *m); /* the loop has ended */

/* Somebody looks: read again soon, if it was some seconds ago. */
void moneywatch_poke(struct moneywatch *m);

/*
 * For `status`: an object (see STATUS in fildrive(1)); sentences that warn are
 * added to `warnings`.  NULL without memory.
 */
json_t *moneywatch_json(struct moneywatch *m, json_t *warnings);

#endif
