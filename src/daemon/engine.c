/*
 * engine.c - the stores of a drive: ledger, providers, retrieval, onboarding
 *
 * open:  ledger ─► stores ─► retrieve (the cache's source)
 * start: onboard, on the open cache
 * halt:  no call of a store is waited for
 * stop:  onboard, then retrieve; their threads are gone, the source stays
 * close: retrieve, providers that nothing is left in, ledger
 */
#include "daemon/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "crypto/keys.h"
#include "daemon/cadence.h"
#include "daemon/drive.h"
#include "daemon/engine_gc.h"
#include "daemon/engine_proof.h"
#include "daemon/gateways.h"
#include "daemon/netstores.h"
#include "dag/commit.h"
#include "ledger/head_info.h"
#include "ledger/ledger.h"
#include "net/loop.h"
#include "net/work.h"
#include "onboard/onboard.h"
#include "onboard/watch.h"
#include "provider/provider.h"
#include "retrieve/retrieve.h"
#include "retrieve/snapshot.h"

#define OUTBOX_MAX     (2ull << 30) /* bytes of pieces on their way */
#define PIECE_LEAST    (1ull << 20) /* bytes that a piece is not cut below */
#define SYNC_TICK_MS   50
#define PROGRESS_TICKS 10 /* of a sync; each asks the ledger */
#define STUCK_TICKS    60 /* a sync ends that waits so long for a silent store */
#define SILENT_MS      3000 /* a store is said not to answer after so long */
#define SETTLE_MS      2000 /* at the end, for what stores were asked */

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

struct sync_state {
	uint64_t ticket;
	unsigned ticks;
	unsigned stuck; /* ticks in a row */
	bool cancelled;
};

/* ---- open and close ---- */

/* One store of the config: its slots' URLs. */
static int add_urls(struct engine *e, const char *url, size_t *n, struct err *reterr)
{
	unsigned slots = 1;
	int r = 0;

	if (netstores_is(url))
		r = netstores_count(url, &slots, reterr);
	for (unsigned i = 0; i < slots && r == 0; i++) {
		if (*n == CONFIG_STORES_MAX)
			return err_set(reterr, -EINVAL,
				       "more than %d stores, each copy on a network counted",
				       CONFIG_STORES_MAX);
		if (netstores_is(url))
			r = netstores_name(url, i, &e->urls[*n]);
		else
			e->urls[*n] = strdup(url);
		if (r == 0 && !e->urls[*n])
			r = -ENOMEM;
		*n += r == 0;
	}
	return r;
}

static int open_dir(struct engine *e, size_t i, struct err *reterr)
{
	_cleanup_free_ struct ledger_store *row = malloc(sizeof(*row));
	struct provider_params p = {
		.url = e->urls[i],
		.loop = e->loop,
		.silence_ms = (unsigned)e->drive->config.store_timeout,
	};
	int r = row ? ledger_store_get(e->ledger, e->ids[i], row) : -ENOMEM;

	if (r < 0)
		return r;
	p.id = row->has_ident ? row->ident : NULL;
	p.create = !row->has_ident;
	return provider_new(&p, &e->providers[i], reterr);
}

/* One store of the config becomes providers, from the next on. */
static int open_store(struct engine *e, const char *url, struct err *reterr)
{
	struct netstores_params p = { .loop = e->loop,
				      .ledger = e->ledger,
				      .url = url };
	struct netstores *net;
	unsigned slots = 0;
	int r;

	if (!netstores_is(url)) {
		r = open_dir(e, e->n_stores, reterr);
		e->n_stores += r == 0;
		return r;
	}
	r = netstores_params_of(e->drive, &p, reterr);
	if (r == 0)
		r = netstores_new(&p, &e->nets[e->n_nets], reterr);
	if (r == 0)
		r = netstores_count(url, &slots, reterr);
	if (r < 0)
		return r;
	net = e->nets[e->n_nets++];
	for (unsigned i = 0; i < slots && r == 0; i++) {
		r = netstores_slot(net, i, e->ids[e->n_stores],
				   &e->providers[e->n_stores], reterr);
		e->n_stores += r == 0;
	}
	return r;
}

static int open_stores(struct engine *e, struct err *reterr)
{
	const struct config *c = &e->drive->config;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < c->n_stores && r == 0; i++)
		r = add_urls(e, c->stores[i], &n, reterr);
	if (r == 0)
		r = ledger_stores_set(e->ledger, (const char *const *)e->urls,
				      n, e->ids);
	for (size_t i = 0; i < c->n_stores && r == 0; i++)
		r = open_store(e, c->stores[i], reterr);
	return r;
}

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

static void sync_tick(void *ctx);

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
		r = loop_timer_new(loop, sync_tick, e, &e->timer);
	if (r == 0)
		r = ledger_open(&lp, &e->ledger, reterr);
	if (r == 0)
		r = open_stores(e, reterr);
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

/* On the loop, or counted as busy: it stays until that ends. */
static struct onboard *onboard_of(struct engine *e)
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
	return ledger_spends(e->ledger, 0, cb, ctx);
}

static void engine_kick(struct engine *e)
{
	struct onboard *o = onboard_of(e);

	if (o)
		(void)onboard_request(o); /* nobody waits for it */
}

/* ---- status ---- */

static void status_store(struct engine *e, size_t i, struct engine_store *ret)
{
	struct ledger_store *row = malloc(sizeof(*row));
	const char *state = "not asked yet";
	uint64_t silence;

	text_copy(ret->url, sizeof(ret->url), e->urls[i]);
	if (row && ledger_store_get(e->ledger, e->ids[i], row) == 0) {
		if (row->error[0])
			state = "away";
		else if (row->seen)
			state = "ok";
		text_copy(ret->error, sizeof(ret->error), row->error);
	}
	silence = provider_silence_ms(e->providers[i]);
	if (silence >= SILENT_MS) {
		state = "not answering";
		(void)snprintf(ret->error, sizeof(ret->error),
			       "%.128s has not answered for %" PRIu64 " s",
			       provider_name(e->providers[i]), silence / 1000); /* fits */
	}
	text_copy(ret->state, sizeof(ret->state), state);
	if (ledger_store_sums(e->ledger, e->ids[i], &ret->pieces, &ret->bytes) < 0)
		text_copy(ret->error, sizeof(ret->error),
			  "the ledger cannot be read");
	engine_proof(e->ledger, e->ids[i], ret);
	free(row);
}

static void status_error(struct engine_status *s, const char *text)
{
	if (!text[0] || s->n_errors == ENGINE_ERRORS_MAX)
		return;
	for (size_t i = 0; i < s->n_errors; i++)
		if (strcmp(s->errors[i], text) == 0)
			return;
	text_copy(s->errors[s->n_errors++], ENGINE_TEXT_MAX, text);
}

static int on_lost_file(void *ctx, const struct ledger_lost_file *f)
{
	*(struct ledger_lost_file *)ctx = *f;
	return 1; /* one as an example */
}

/* Bytes that are nowhere any more: of which file, and of how many. */
static void status_lost(struct engine *e, struct engine_status *ret)
{
	struct ledger_lost_file *f = calloc(1, sizeof(*f));
	uint64_t files = 0, bytes = 0;
	char text[ENGINE_TEXT_MAX];

	if (f && ledger_lost_count(e->ledger, &files, &bytes) == 0 && files &&
	    ledger_lost_files(e->ledger, on_lost_file, f) == 1) {
		(void)snprintf(
			text, sizeof(text),
			"%" PRIu64 " bytes of %" PRIu64
			" files are lost for good; fildrive verify names them all; one is %.*s",
			bytes, files, ENGINE_TEXT_MAX / 2,
			f->path[0] ? f->path : "a file without a known name");
		status_error(ret, text);
	}
	free(f);
}

static void engine_status(struct engine *e, struct engine_status *ret)
{
	struct onboard *o = onboard_of(e);
	struct ledger_sums sums = { 0 };
	char text[ENGINE_TEXT_MAX];
	struct retrieve_stats rs;
	uint64_t lost = 0;
	struct onboard_stats os = { .phase = ONBOARD_IDLE };

	retrieve_stats(e->retrieve, &rs);
	if (o)
		onboard_stats(o, &os);
	ret->fetched_bytes = rs.bytes_fetched;
	ret->commit_sequence = os.sequence;
	ret->commit_time = (int64_t)os.sequence_time;
	ret->fenced = os.phase == ONBOARD_STOPPED;
	if (ledger_sums(e->ledger, &sums) == 0) {
		ret->queued_pieces = sums.queued_pieces;
		ret->queued_bytes = sums.queued_bytes;
	}
	ret->uploading_pieces = os.uploading_pieces;
	ret->uploading_bytes = os.uploading_bytes;
	ret->n_stores = e->n_stores;
	for (size_t i = 0; i < e->n_stores; i++) {
		status_store(e, i, &ret->stores[i]);
		status_error(ret, ret->stores[i].error);
		status_error(ret, ret->stores[i].proof.warning);
		status_error(ret, ret->stores[i].proof.refused);
	}
	if (!ret->fenced)
		status_error(ret, os.why);
	status_error(ret, rs.error);
	status_lost(e, ret);
	if (ledger_lost(e->ledger, &lost) == 0 && lost) {
		(void)snprintf(text, sizeof(text),
			       "%" PRIu64
			       " pieces are whole at no store: files in them may not be readable; fildrive verify --all names them",
			       lost);
		status_error(ret, text);
	}
}

/* ---- sync ---- */

static void sync_end(struct engine *e, struct engine_sync *s, int status,
		     const char *reason)
{
	list_del(&s->node);
	free(s->impl);
	s->impl = NULL;
	if (list_empty(&e->syncs))
		loop_timer_stop(e->timer);
	s->done(s, status, reason);
}

static void sync_progress(struct engine *e, struct engine_sync *s)
{
	struct onboard_stats os;

	onboard_stats(onboard_of(e), &os); /* there while a sync is */
	switch (os.phase) {
	case ONBOARD_PACKING:
		s->progress(s, "sealing", os.pack_done, os.pack_total);
		break;
	case ONBOARD_PAUSED:
		s->progress(s, "waiting for room in the outbox", 0, 0);
		break;
	case ONBOARD_SHIPPING:
		s->progress(s, "uploading", os.ship_done, os.ship_total);
		break;
	case ONBOARD_IDLE:
	case ONBOARD_WAITING:
	case ONBOARD_STOPPED: s->progress(s, "publishing", 0, 0); break;
	}
}

/* A store that hangs may do so for ever: who waits is told, and may go. */
static bool sync_is_stuck(struct engine *e, struct sync_state *st, struct err *why)
{
	if (onboard_stuck(onboard_of(e), st->ticket,
			  e->drive->config.store_timeout, why))
		st->stuck++;
	else
		st->stuck = 0;
	if (st->stuck < STUCK_TICKS)
		why->text[0] = '\0';
	return st->stuck >= STUCK_TICKS;
}

static void sync_tick(void *ctx)
{
	struct engine *e = ctx;

	list_foreach_safe(p, &e->syncs) {
		struct engine_sync *s = container_of(p, struct engine_sync, node);
		struct sync_state *st = s->impl;
		struct err why = { "" };
		int r;

		r = st->cancelled ? -ECANCELED :
				    onboard_poll(onboard_of(e), st->ticket, &why);
		if (r == -EINPROGRESS && sync_is_stuck(e, st, &why))
			r = -EREMOTEIO;
		if (r == -EINPROGRESS && st->ticks++ % PROGRESS_TICKS == 0)
			sync_progress(e, s);
		else if (r != -EINPROGRESS)
			sync_end(e, s, r, why.text[0] ? why.text : NULL);
	}
}

static int engine_sync(struct engine *e, struct engine_sync *s)
{
	struct onboard *o = onboard_of(e);
	struct sync_state *st = o ? calloc(1, sizeof(*st)) : NULL;

	if (!o)
		return -EROFS;
	if (!st)
		return -ENOMEM;
	st->ticket = onboard_request(o);
	s->impl = st;
	if (list_empty(&e->syncs))
		loop_timer_start(e->timer, SYNC_TICK_MS, SYNC_TICK_MS);
	list_push(&e->syncs, &s->node);
	return 0;
}

static void engine_sync_cancel(struct engine *e, struct engine_sync *s)
{
	struct sync_state *st = s->impl;

	(void)e;
	if (st)
		st->cancelled = true; /* the next tick says so */
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
	struct onboard *o = onboard_of(e);

	if (!o)
		return err_set(reterr, -EROFS, "the drive is mounted read only");
	return onboard_verify(o, percent, found, progress, ctx, reterr);
}

static int engine_gc(struct engine *e, struct engine_gc *g,
		     int (*progress)(void *ctx, const char *stage,
				     uint64_t done, uint64_t total),
		     void *ctx, struct err *reterr)
{
	struct onboard *o = onboard_of(e);
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

static int engine_gc_removed(struct engine *e, const struct ledger_spend *paid,
			     uint64_t ended)
{
	struct onboard *o = onboard_of(e);
	int r = paid ? ledger_spend_add(e->ledger, paid) : 0;

	for (size_t i = 0; i < e->n_stores && r == 0 && ended; i++)
		r = watch_ended(e->ledger, e->ids[i], ended);
	if (o)
		onboard_gc_look(o);
	return r;
}

/* ---- stop ---- */

static void flush_syncs(struct loop_task *t)
{
	struct engine *e = container_of(t, struct engine, task);

	while (!list_empty(&e->syncs))
		sync_end(e, list_first(&e->syncs, struct engine_sync, node),
			 -ECANCELED, "the drive is being unmounted");
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
	e->task.run = flush_syncs;
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

static const struct engine_ops engine_stores = {
	.open = engine_open,
	.source = engine_source,
	.start = engine_start,
	.dirtied = engine_dirtied,
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
	.gc_removed = engine_gc_removed,
	.halt = engine_halt,
	.stop = engine_stop,
	.close = engine_close,
};

const struct engine_ops *engine_default(void)
{
	return &engine_stores;
}
