/*
 * chainlink.h - a command's own way to a chain: loop, HTTP, and foc.h on top
 *
 * The daemon has a loop, and gives it; a command has none and gets one.
 *
 * Threading: one thread makes and closes it, which is not the loop's.
 */
#ifndef DAEMON_CHAINLINK_H
#define DAEMON_CHAINLINK_H

#include <stdint.h>

#include "base/util.h"
#include "chain/address.h"

struct chainlink;
struct err;
struct foc;
struct http;
struct loop;
struct network_url;

struct chainlink_params {
	const struct network_url *url;
	struct address payer; /* none: only prices can be asked for */
	struct loop *loop;    /* not started yet; NULL: one of its own */
	uint64_t limit_ms;    /* then chainlink_halt() by itself; 0: never */
};

/* Nothing is asked yet.  -EINVAL: no endpoint can be used. */
must_check int chainlink_open(const struct chainlink_params *p,
			      struct chainlink **ret, struct err *reterr);

struct foc *chainlink_foc(const struct chainlink *l);
struct http *chainlink_http(const struct chainlink *l);

/* Calls that wait end now; those to come at once. */
void chainlink_halt(struct chainlink *l);

/*
 * exits_err() for a command's call that failed.  What is wrong with endpoints of
 * which none has ever answered has been said by then, of each: not again.
 */
int chainlink_err(const struct chainlink *l, int r, const struct err *reason,
		  const char *doing);

/*
 * Nobody waits in it.  With a loop of the caller's: in two steps, the first while
 * that runs (or has never been started), the second when it has ended.
 */
void chainlink_shut(struct chainlink *l);
void chainlink_free(struct chainlink *l);

void chainlink_close(struct chainlink *l); /* both; NULL is fine */

static inline void chainlink_closep(struct chainlink **l)
{
	chainlink_close(*l);
}

#define _cleanup_chainlink_ _cleanup_(chainlink_closep)

#endif
