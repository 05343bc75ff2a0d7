/*
 * engine_impl.h - what the files of the engine share
 *
 * Threading: as engine.h says; of the members, as they say.
 */
#ifndef DAEMON_ENGINE_IMPL_H
#define DAEMON_ENGINE_IMPL_H

#include "base/thread.h"
#include "daemon/config.h"
#include "daemon/engine.h"
#include "net/loop.h"

struct gateways;
struct ledger;
struct netstores;
struct onboard;
struct provider;
struct retrieve;
struct work;

struct engine {
	const struct drive *drive;
	struct loop *loop;
	struct work *work;
	struct ledger *ledger;
	/* Stores, or slots of one: a network has a slot a copy (netstores.h). */
	struct provider *providers[CONFIG_STORES_MAX];
	char *urls[CONFIG_STORES_MAX];
	uint64_t ids[CONFIG_STORES_MAX];
	size_t n_stores;
	struct netstores *nets[CONFIG_STORES_MAX];
	size_t n_nets;
	bool hung; /* main thread; threads hang in a store, and use what is shared */
	struct gateways *gateways; /* NULL: none */
	struct retrieve *retrieve;
	struct onboard *onboard; /* written on the loop with the lock held, read
				    there, or elsewhere with it */
	struct onboard *ending;  /* what the loop has let go of */
	char device[65];

	/* loop thread */
	struct list syncs; /* struct engine_sync */
	struct loop_timer *timer;
	struct loop_task task;

	/* to the main thread */
	struct lock lock;
	struct cond cond;
	bool flushed; /* lock: lock */

	bool left[CONFIG_STORES_MAX]; /* main thread; threads hang in it */
};

/* On the loop, or counted as busy: it stays until that ends.  NULL: read only. */
struct onboard *engine_onboard(struct engine *e);

/* engine_stores.c: each store of the config, slots of networks one by one. */
must_check int engine_stores_open(struct engine *e, struct err *reterr);

/* engine_status.c */
void engine_status(struct engine *e, struct cache *cache, struct engine_status *ret);

/* engine_sync.c; loop thread */
must_check int engine_sync(struct engine *e, struct engine_sync *s);
void engine_sync_cancel(struct engine *e, struct engine_sync *s);
void engine_sync_tick(void *ctx);         /* of e->timer */
void engine_sync_flush(struct engine *e); /* all end: it is unmounted */

#endif
