/*
 * engine.c - the stores of a drive: ledger, providers, retrieval, onboarding
 *
 * How stores are opened stands in engine_stores.c, what status says in
 * engine_status.c, who waits for a commit in engine_sync.c.
 *
 * open:  ledger ─► stores ─► retrieve (the cache's source)
 * start: onboard, on the open cache
 * halt:  no call of a store is waited for
 * stop:  onboard, then retrieve; their threads are gone, the source stays
 * close: retrieve, providers that nothing is left in, ledger
 */
#include "daemon/engine.h"

#include <errno.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "crypto/keys.h"
#include "daemon/cadence.h"
#include "daemon/drive.h"
#include "daemon/engine_gc.h"
#include "daemon/engine_impl.h"
#include "daemon/gateways.h"
#include "daemon/gc_fees.h"
#include "daemon/netstores.h"
#include "dag/commit.h"
#include "ledger/head_info.h"
#include "ledger/ledger.h"
#include "net/loop.h"
#include "net/work.h"
#include "onboard/onboard.h"
#include "onboard/watch.h"
#include "provider/pdp.h"
#include "provider/provider.h"
#include "retrieve/retrieve.h"
#include "retrieve/snapshot.h"

#define OUTBOX_MAX  (2ull << 30) /* bytes of pieces on their way */
#define PIECE_LEAST (1ull << 20) /* bytes that a piece is not cut below */
#define SETTLE_MS   2000         /* at the end, for what stores were asked */

/* ---- open and close ---- */

static int on_newest(void *ctx, const struct ledger_head *h)
{
	struct head_info info;
	int r;

	r = head_info_decode(h->body, &info);
	if (r == 0)
		*(struct link *)ctx = info.inode_table;
	return r;
}

/* What a reader has seen of a store, to who judges stores. */
static void on_doubted(void *ctx, uint64_t store, uint64_t piece)
{
	struct engine *e = ctx;

	lock_take(&e->lock);
	if (e->onboard)
		onboard_doubted(e->onboard, store, piece);
	lock_drop(&e->lock);
}

static int open_retrieve(struct engine *e)
{
	struct retrieve_store stores[CONFIG_STORES_MAX];
	struct link table = { .kind = LINK_NONE };
	uint64_t seq = 0;
	int r;

	for (size_t i = 0; i < e->n_stores; i++)
		stores[i] = (struct retrieve_store){ e->ids[i], e->providers[i] };
	struct retrieve_params p = {
		.ledger = e->ledger,
		.io = e->drive->io,
		.stores = stores,
		.n_stores = e->n_stores,
		.gateway = gateways_provider(e->gateways),
		.doubted = on_doubted,
		.ctx = e,
		.give_up_ms = (unsigned)e->drive->config.fetch_timeout,
	};

	r = retrieve_new(&p, &e->retrieve);
	if (r == 0)
		r = ledger_newest_head(e->ledger, &seq);
	if (r == 0 && seq)
		r = ledger_head_get(e->ledger, seq, on_newest, &table);
	if (r == 0)
		retrieve_set_inode_table(e->retrieve, &table);
	return r;
}

static void engine_close(struct engine *e)
{
	loop_timer_free(e->timer); /* if the loop has never run */
	onboard_free(e->onboard);
	retrieve_free(e->retrieve);
	gateways_drop(e->gateways); /* what was started has stopped them */
	for (size_t i = 0; i < e->n_stores; i++)
		if (!e->left[i])
			(void)provider_free(e->providers[i]); /* nothing is asked of it */
	for (size_t i = 0; i < e->n_nets && !e->hung; i++) {
		netstores_shut(e->nets[i]); /* if the loop has never run */
		netstores_free(e->nets[i]);
	}
	for (size_t i = 0; i < CONFIG_STORES_MAX; i++)
		free(e->urls[i]);
	work_free(e->work);
	ledger_close(e->ledger);
	cond_fini(&e->cond);
	lock_fini(&e->lock);
	free(e);
}

static int engine_open(const struct drive *drive, struct loop *loop,
		       struct engine **ret, struct err *reterr)
{
	struct ledger_params lp = {
		.io = drive->io,
		.key = keys_secret(drive->keys, KEYS_DB),
	};
	struct engine *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	memcpy(lp.drive_id, keys_drive_id(drive->keys), sizeof(lp.drive_id));
	e->drive = drive;
	e->loop = loop;
	list_init(&e->syncs);
	lock_init(&e->lock);
	cond_init(&e->cond);
	r = work_new(loop, 0, &e->work);
	if (r == 0)
		r = loop_timer_new(loop, engine_sync_tick, e, &e->timer);
	if (r == 0)
		r = ledger_open(&lp, &e->ledger, reterr);
	if (r == 0)
		r = engine_stores_open(e, reterr);
	if (r == 0)
		r = gateways_open(&drive->config, loop, e->work, &e->gateways,
				  reterr);
	if (r == 0)
		r = open_retrieve(e);
	if (r < 0) {
		engine_close(e);
		return r;
	}
	*ret = e;
	return 0;
}

static struct source *engine_source(struct engine *e)
{
	return retrieve_source(e->retrieve);
}

/* ---- onboarding ---- */

static int node_body(void *ctx, const struct link *l, struct buf *ret,
		     struct err *reterr)
{
	return retrieve_body(ctx, l, ret, reterr);
}

static int node_list(void *ctx, const struct link *dir,
		     int (*cb)(void *ctx, const struct dir_item *item),
		     void *cb_ctx, struct err *reterr)
{
	return retrieve_list(ctx, dir, cb, cb_ctx, reterr);
}

/* What recover found may ask for a newer writer than we are. */
static int may_write(struct engine *e, struct err *reterr)
{
	uint64_t format = 0;
	int r = ledger_get_u64(e->ledger, LEDGER_MIN_WRITER, &format);

	if (r == -ENOENT || (r == 0 && format <= COMMIT_FORMAT))
		return 0;
	if (r < 0)
		return err_set(reterr, r, "ledger.db: %s", err_str(r));
	return err_set(reterr, -EOPNOTSUPP,
		       "a newer fildrive has written this drive, and only one as new may go on writing: update this program, or mount -o ro");
}

/* Prices are read later, when there is a network (engine_ops.pace). */
static struct cadence engine_pace(const struct engine *e)
{
	struct cadence pace;

	cadence_of(&e->drive->config, NULL, &pace);
	return pace;
}

static int engine_start(struct engine *e, struct cache *cache, bool read_only,
			struct err *reterr)
{
	const struct config *c = &e->drive->config;
	const struct cadence pace = engine_pace(e);
	struct onboard_store stores[CONFIG_STORES_MAX];
	struct onboard_params p = {
		.cache = cache,
		.ledger = e->ledger,
		.io = e->drive->io,
		.keys = e->drive->keys,
		.work = e->work,
		.nodes = { node_body, node_list, e->retrieve },
		.stores = stores,
		.n_stores = e->n_stores,
		.copies = (unsigned)c->copies,
		.compress_all = c->compress == CONFIG_COMPRESS_ALL,
		.idle_ms = (unsigned)pace.idle_ms,
		.max_age_ms = (unsigned)pace.age_ms,
		.dirty_bytes = c->onboard_bytes,
		.readback_day = c->readback,
		.watch_ms = (unsigned)c->proof_watch,
		.watch_away_s = c->give_up / 1000,
	};
	uint64_t share = cache_outbox_share(cache);
	struct onboard *o = NULL;
	int r;

	if (read_only)
		return 0;
	r = may_write(e, reterr);
	if (r < 0)
		return r;
	/* two pieces fit in what is kept for them */
	p.piece_target = MIN(DRIVE_PIECE_TARGET, MAX(share / 2, PIECE_LEAST));
	p.outbox_max = MIN(OUTBOX_MAX, MAX(share, 2 * PIECE_LEAST));
	if (gethostname(e->device, sizeof(e->device)) < 0)
		text_copy(e->device, sizeof(e->device), "unnamed");
	e->device[sizeof(e->device) - 1] = '\0';
	p.device = e->device;
	for (size_t i = 0; i < e->n_stores; i++)
		stores[i] = (struct onboard_store){ e->ids[i], e->providers[i] };
	r = onboard_new(&p, &o, reterr);
	if (r < 0)
		return r;
	lock_take(&e->lock);
	e->onboard = o;
	lock_drop(&e->lock);
	return onboard_start(o);
}

struct onboard *engine_onboard(struct engine *e)
{
	struct onboard *o;

	lock_take(&e->lock);
	o = e->onboard;
	lock_drop(&e->lock);
	return o;
}

static void engine_dirtied(struct engine *e)
{
	lock_take(&e->lock);
	if (e->onboard)
		onboard_dirtied(e->onboard);
	lock_drop(&e->lock);
}

static void engine_full(struct engine *e)
{
	lock_take(&e->lock);
	if (e->onboard)
		onboard_full(e->onboard);
	lock_drop(&e->lock);
}

static void engine_retry(struct engine *e)
{
	lock_take(&e->lock);
	if (e->onboard)
		onboard_retry(e->onboard);
	lock_drop(&e->lock);
}

static void engine_set_pace(struct engine *e, const struct cadence *pace)
{
	lock_take(&e->lock);
	if (e->onboard)
		onboard_pace(e->onboard, (unsigned)pace->idle_ms,
			     (unsigned)pace->age_ms);
	lock_drop(&e->lock);
}

static int engine_spends(struct engine *e,
			 int (*cb)(void *ctx, const struct ledger_spend *s),
			 void *ctx)
{
	best_effort(gc_fees_settle(e->ledger)); /* else the next time: what is read
		only can be read */
	return ledger_spends(e->ledger, 0, cb, ctx);
}

static void engine_kick(struct engine *e)
{
	struct onboard *o = engine_onboard(e);

	if (o)
		(void)onboard_request(o); /* nobody waits for it */
}

/* ---- what is kept, and whether it is sound ---- */

static int engine_snapshots(struct engine *e,
			    int (*cb)(void *ctx, const struct snapshot *s),
			    void *ctx)
{
	return snapshot_list(e->ledger, cb, ctx);
}

static int engine_verify(struct engine *e, unsigned percent,
			 void (*found)(void *ctx, const char *sentence),
			 int (*progress)(void *ctx, uint64_t done, uint64_t total),
			 void *ctx, struct err *reterr)
{
	struct onboard *o = engine_onboard(e);

	if (!o)
		return err_set(reterr, -EROFS, "the drive is mounted read only");
	return onboard_verify(o, percent, found, progress, ctx, reterr);
}

static int engine_gc(struct engine *e, struct engine_gc *g,
		     int (*progress)(void *ctx, const char *stage,
				     uint64_t done, uint64_t total),
		     void *ctx, struct err *reterr)
{
	struct onboard *o = engine_onboard(e);
	struct link table = { .kind = LINK_NONE };
	const struct engine_gc_of of = { .onboard = o,
					 .ledger = e->ledger,
					 .providers = e->providers,
					 .ids = e->ids,
					 .urls = e->urls,
					 .n = e->n_stores,
					 .copies = (unsigned)e->drive->config.copies };
	uint64_t seq = 0;
	int r;

	if (!o)
		return err_set(reterr, -EROFS, "the drive is mounted read only");
	/* What hard links are looked up in was the newest table at the mount, and
	 * may be of a commit that is given up now. */
	r = ledger_newest_claimed(e->ledger, &seq);
	if (r == 0 && seq)
		r = ledger_head_get(e->ledger, seq, on_newest, &table);
	if (r < 0)
		return err_set(reterr, r, "ledger.db: %s", err_str(r));
	retrieve_set_inode_table(e->retrieve, &table);
	return engine_gc_run(&of, g, progress, ctx, reterr);
}

static int engine_gc_asked(struct engine *e, uint64_t data_set,
			   const struct piece_cid *first,
			   const struct ledger_spend *s, bool refused)
{
	struct pdp_status slot;

	for (size_t i = 0; i < e->n_stores; i++) {
		if (!pdp_is(e->providers[i]))
			continue;
		pdp_status(e->providers[i], &slot);
		if (slot.data_set == data_set)
			return refused ?
				       gc_fees_forget(e->ledger, e->ids[i], first) :
				       gc_fees_ask(e->ledger, e->ids[i], first, s);
	}
	return -ENOENT;
}

static int engine_gc_removed(struct engine *e, const struct ledger_spend *paid,
			     uint64_t ended)
{
	struct onboard *o = engine_onboard(e);
	int r = paid ? ledger_spend_add(e->ledger, paid) : 0;

	for (size_t i = 0; i < e->n_stores && r == 0 && ended; i++)
		r = watch_ended(e->ledger, e->ids[i], ended);
	if (o)
		onboard_gc_look(o);
	return r;
}

/* ---- stop ---- */

static void flush(struct loop_task *t)
{
	struct engine *e = container_of(t, struct engine, task);

	engine_sync_flush(e);
	loop_timer_stop(e->timer);
	loop_timer_free(e->timer);
	e->timer = NULL;
	lock_take(&e->lock);
	e->ending = e->onboard;
	e->onboard = NULL;
	e->flushed = true;
	cond_wake_all(&e->cond);
	lock_drop(&e->lock);
}

static void engine_halt(struct engine *e)
{
	for (size_t i = 0; i < e->n_stores; i++)
		provider_stop(e->providers[i]);
	if (e->gateways)
		provider_stop(gateways_provider(e->gateways));
}

/* Called off, it comes back at once; if not, from a store that hangs. */
static bool settle(struct engine *e)
{
	uint64_t until = monotonic_ms() + SETTLE_MS, now;
	bool all = true;

	for (size_t i = 0; i < e->n_stores; i++) {
		now = monotonic_ms();
		e->left[i] = !provider_settle(
			e->providers[i], now < until ? (unsigned)(until - now) : 0);
		if (e->left[i])
			log_warn("%s does not answer: what it was asked is left behind",
				 provider_name(e->providers[i]));
		all &= !e->left[i];
	}
	return all;
}

static bool engine_stop(struct engine *e)
{
	engine_halt(e);
	e->task.run = flush;
	loop_post(e->loop, &e->task);
	lock_take(&e->lock);
	while (!e->flushed)
		cond_wait(&e->cond, &e->lock);
	lock_drop(&e->lock);
	onboard_free(e->ending);
	e->ending = NULL;
	retrieve_stop(e->retrieve);
	gateways_close(e->gateways);
	e->gateways = NULL;
	e->hung = !settle(e);
	for (size_t i = 0; i < e->n_nets && !e->hung; i++)
		netstores_shut(e->nets[i]);
	return !e->hung;
}

static const struct engine_ops with_stores = {
	.open = engine_open,
	.source = engine_source,
	.start = engine_start,
	.dirtied = engine_dirtied,
	.full = engine_full,
	.status = engine_status,
	.pace = engine_set_pace,
	.retry = engine_retry,
	.spends = engine_spends,
	.kick = engine_kick,
	.sync = engine_sync,
	.sync_cancel = engine_sync_cancel,
	.snapshots = engine_snapshots,
	.verify = engine_verify,
	.gc = engine_gc,
	.gc_asked = engine_gc_asked,
	.gc_removed = engine_gc_removed,
	.halt = engine_halt,
	.stop = engine_stop,
	.close = engine_close,
};

const struct engine_ops *engine_default(void)
{
	return &with_stores;
}
