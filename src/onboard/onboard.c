#include "onboard/onboard.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/log.h"
#include "cache/cache.h"
#include "ledger/ledger.h"
#include "onboard/due.h"
#include "onboard/internal.h"
#include "onboard/keep.h"
#include "onboard/memos.h"
#include "onboard/reseal.h"
#include "provider/provider.h"

#define MAX_AGE_MS   600000
#define DIRTY_BYTES  (256ull << 20)
#define OUTBOX_MAX   (2ull << 30)
#define PIECE_TARGET (256ull << 20)
#define PIECE_BLOCKS (1u << 19) /* 160 MiB of the smallest */
#define READBACK_DAY (256ull << 20)
#define WATCH_MS     1800000
#define AGAIN_MAX    8 /* runs of one commit, behind the first */
#define WATCH_AWAY_S 86400
#define WATCH_WRONG  3
#define SILENT_MS    10000 /* of a store */
#define TICK_MS      1000
#define RETRY_MS     30000 /* a run that failed is tried again after so long */
#define AWAY_MS      3000 /* one that needs a store that is away, after so long */

void onboard_kick(struct onboard *o)
{
	lock_take(&o->lock);
	cond_wake_all(&o->cond);
	lock_drop(&o->lock);
}

/* ---- the packer ---- */

/*
 * Is it time for a commit by itself?  `behind`: one before it is not published yet.
 * That holds back the next one, since they would only pile up while a store is away;
 * but for one that makes room, of which the outbox holds some.  Lock: not held.
 */
static bool is_due(struct onboard *o, uint64_t now, bool behind)
{
	struct cache_stats cs;
	struct due_rules rules = { .dirty_bytes = o->p.dirty_bytes };
	struct due_facts facts;

	o->for_room = false;
	if (o->p.manual)
		return false;
	cache_stats(o->p.cache, &cs);
	if (!cs.failed && !behind && reseal_is_due(o))
		return true;
	if (!cs.dirty_inodes || cs.failed)
		return false;
	facts = (struct due_facts){
		.now_ms = now,
		.dirty_since_ms = cs.dirty_since_ms,
		.dirty_bytes = cs.dirty_bytes,
		.room_bytes = cs.room_bytes,
		.wanted_ms = cs.wanted_ms,
		.vain_ms = o->last.vain_ms,
		.taken_ms = o->last.taken_ms,
		.ended_ms = o->last.ended_ms,
		.cost_ms = o->last.cost_ms,
	};
	lock_take(&o->lock);
	facts.changed_ms = MAX(cs.changed_ms, o->dirtied_ms);
	rules.idle_ms = o->p.idle_ms;
	rules.max_age_ms = o->p.max_age_ms;
	if (!behind)
		o->stats.phase = ONBOARD_WAITING;
	lock_drop(&o->lock);
	o->for_room = due_for_room(&facts);
	o->room_bytes = facts.room_bytes;
	return o->for_room || (!behind && due_now(&facts, &rules));
}

static uint64_t cpu_ms(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* else 0: no pause */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* What all commits have sealed, or found sealed. */
static uint64_t sealed(struct onboard *o)
{
	uint64_t n;

	lock_take(&o->lock);
	n = o->stats.sealed_bytes + o->stats.deduped_bytes;
	lock_drop(&o->lock);
	return n;
}

/* One commit, and what it took. */
static int commit(struct onboard *o, bool asked, struct err *e)
{
	uint64_t taken = monotonic_ms(), before = cpu_ms(), had = sealed(o);
	int r = run_commit(o, asked, e);

	/* The catalogue filled the head piece, or a piece was lost meanwhile: now
	 * all of it is known. */
	for (int k = 0; r == -EAGAIN && k < AGAIN_MAX; k++) {
		e->text[0] = '\0';
		taken = monotonic_ms();
		r = run_commit(o, asked, e);
	}
	if (r == -EAGAIN)
		log_err(r, "%d tries: %s", AGAIN_MAX + 1, e->text);
	if (r < 0)
		return r;
	o->last = (struct pack_last){ .taken_ms = taken,
				      .ended_ms = monotonic_ms(),
				      .cost_ms = cpu_ms() - before };
	if (o->for_room && due_in_vain(o->room_bytes, sealed(o) - had))
		o->last.vain_ms = o->last.ended_ms;
	if (!onboard_left(o, NULL))
		cache_committed(o->p.cache, taken);
	return 0;
}

void onboard_moves(struct onboard *o)
{
	uint64_t n = 0;

	for (size_t i = 0; i < o->p.n_stores; i++)
		if (o->shippers[i].req)
			n += atomic_load(&o->shippers[i].req->moved);
	if (n != o->moved) {
		cache_room_comes(o->p.cache);
		o->moved_ms = monotonic_ms();
	}
	o->moved = n;
}

static bool is_behind(struct onboard *o)
{
	bool behind;

	lock_take(&o->lock);
	behind = o->claimed < o->stats.built;
	onboard_moves(o);
	lock_drop(&o->lock);
	return behind;
}

static void packed(struct onboard *o, uint64_t ticket, int status,
		   const struct err *e)
{
	struct pack_run *run;
	bool failed_before;

	lock_take(&o->lock);
	failed_before =
		o->pack_waits ||
		(o->n_runs && o->runs[(o->n_runs - 1) % PACK_RUNS].status < 0);
	o->pack_waits = false;
	o->packed = MAX(o->packed, ticket);
	run = &o->runs[o->n_runs++ % PACK_RUNS];
	*run = (struct pack_run){ ticket, o->packed_seq, status, *e };
	if (!o->superseded && status < 0)
		text_copy(o->stats.why, sizeof(o->stats.why), e->text);
	else if (!o->superseded && failed_before)
		o->stats.why[0] = '\0'; /* a store that is away says so again */
	if (o->stats.phase != ONBOARD_STOPPED)
		o->stats.phase = status < 0 ? ONBOARD_WAITING : ONBOARD_SHIPPING;
	cond_wake_all(&o->cond);
	lock_drop(&o->lock);
}

/*
 * A chunk that was changed in part and is not here has to be fetched to be
 * sealed again.  While the store that has it is away the commit waits, as all
 * that has to do with a store does; to leave the file out would break I3.
 */
static void pack_wait(struct onboard *o, uint64_t ms, const struct err *e)
{
	uint64_t until = monotonic_ms() + ms;

	lock_take(&o->lock);
	o->pack_waits = true;
	if (!o->superseded)
		text_copy(o->stats.why, sizeof(o->stats.why), e->text);
	if (o->stats.phase != ONBOARD_STOPPED)
		o->stats.phase = ONBOARD_WAITING;
	cond_wake_all(&o->cond);
	while (!o->stopping && monotonic_ms() < until)
		(void)cond_wait_until_ms(&o->cond, &o->lock, until);
	lock_drop(&o->lock);
}

/* Between two commits: true if there was something.  Lock: not held. */
static bool pack_other(struct onboard *o)
{
	struct pack_job *j;
	int status;

	lock_take(&o->lock);
	j = o->job;
	if (j && o->stopping) {
		j->status = -ECANCELED;
		j->over = true;
		o->job = j = NULL;
		cond_wake_all(&o->cond);
	}
	if (j)
		j->running = true;
	lock_drop(&o->lock);
	if (!j) {
		if (atomic_exchange(&o->sweep, false))
			best_effort(ledger_blocks_sweep(o->p.ledger, &o->stop)); /* rows
				that nobody reads; the next time */
		return false;
	}
	status = j->run(j);
	lock_take(&o->lock);
	j->status = status;
	j->over = true;
	o->job = NULL;
	cond_wake_all(&o->cond);
	lock_drop(&o->lock);
	return true;
}

int onboard_job(struct onboard *o, struct pack_job *j,
		int (*progress)(void *ctx, const char *stage, uint64_t done,
				uint64_t total),
		void *ctx)
{
	bool off = false;

	j->o = o;
	lock_take(&o->lock);
	while (o->job && !o->stopping && !off) {
		(void)cond_wait_until_ms(&o->cond, &o->lock,
					 monotonic_ms() + TICK_MS);
		lock_drop(&o->lock);
		off = progress(ctx, "waiting for another gc or verify", 0, 0);
		lock_take(&o->lock);
	}
	if (off || o->stopping) {
		lock_drop(&o->lock);
		return -ECANCELED;
	}
	o->job = j;
	cond_wake_all(&o->cond);
	while (!j->over && !off) {
		(void)cond_wait_until_ms(&o->cond, &o->lock,
					 monotonic_ms() + TICK_MS);
		if (j->over || j->running)
			continue;
		lock_drop(&o->lock);
		off = progress(ctx, "waiting for a commit under way", 0, 0);
		lock_take(&o->lock);
		off &= !j->over && !j->running;
	}
	if (off)
		o->job = NULL;
	lock_drop(&o->lock);
	return off ? -ECANCELED : j->status;
}

/*
 * After a run that gave way: another one would stand where that stood, and keep what
 * is dropped from then on.  So none is begun, asked or not, before it can go on.
 */
static bool is_held_back(struct onboard *o, uint64_t now, uint64_t until)
{
	bool few, has;

	if (!o->gave_way)
		return false;
	if (outbox_has_room(o, &has) < 0)
		has = true; /* the run says it */
	lock_take(&o->lock);
	onboard_moves(o);
	few = ship_few_answer(o);
	if (o->stats.phase != ONBOARD_STOPPED)
		o->stats.phase = ONBOARD_PAUSED;
	if ((few || !has || now < until) && !o->stopping && !o->job)
		(void)cond_wait_until_ms(&o->cond, &o->lock, now + TICK_MS);
	lock_drop(&o->lock);
	o->gave_way = few || !has || now < until;
	return o->gave_way;
}

static void *pack_thread(void *arg)
{
	struct onboard *o = arg;
	uint64_t ticket, failed_ms = 0, pause_ms = AWAY_MS, held_until = 0;
	bool asked, behind, go;

	thread_background();
	for (;;) {
		struct err e = { 0 };
		uint64_t now = monotonic_ms();

		if (pack_other(o))
			continue;
		lock_take(&o->lock);
		asked = o->requested > o->packed;
		if (!asked && !o->stopping && !o->job)
			(void)cond_wait_until_ms(&o->cond, &o->lock, now + TICK_MS);
		asked = o->requested > o->packed;
		ticket = o->requested;
		go = !o->stopping && !o->superseded;
		if (o->stopping) {
			lock_drop(&o->lock);
			return NULL;
		}
		lock_drop(&o->lock);
		if (!go) {
			if (asked) {
				err_set(&e, 0, "superseded");
				packed(o, ticket, -ESTALE, &e);
			}
			continue;
		}
		now = monotonic_ms();
		if (is_held_back(o, now, held_until))
			continue;
		o->for_room = false;
		behind = is_behind(o);
		if (!asked && ((failed_ms && now - failed_ms < RETRY_MS) ||
			       !is_due(o, now, behind)))
			continue;
		int r = commit(o, asked, &e);

		if (r == -EREMOTEIO) {
			pack_wait(o, pause_ms, &e);
			pause_ms = MIN(2 * pause_ms, RETRY_MS);
			continue;
		}
		if (r == -ECANCELED && o->gave_way) {
			held_until = monotonic_ms() + pause_ms;
			pause_ms = MIN(2 * pause_ms, RETRY_MS);
			continue;
		}
		pause_ms = AWAY_MS;
		failed_ms = r ? monotonic_ms() : 0;
		packed(o, ticket, MIN(r, 0), &e);
	}
}

/* ---- requests ---- */

void onboard_dirtied(struct onboard *o)
{
	lock_take(&o->lock);
	o->dirtied_ms = monotonic_ms();
	lock_drop(&o->lock);
}

void onboard_full(struct onboard *o)
{
	onboard_kick(o);
}

void onboard_doubted(struct onboard *o, uint64_t store, uint64_t piece)
{
	for (size_t i = 0; i < o->p.n_stores; i++) {
		struct shipper *s = &o->shippers[i];

		if (s->store.id != store)
			continue;
		log_warn("%s served piece %016" PRIx64
			 " wrong, or not at all: it is read back",
			 provider_name(s->store.provider), piece);
		watch_wrong(s);
		atomic_store(&s->rescan, true);
		onboard_kick(o);
	}
}

void onboard_pace(struct onboard *o, unsigned idle_ms, unsigned max_age_ms)
{
	lock_take(&o->lock);
	o->p.idle_ms = idle_ms;
	o->p.max_age_ms = max_age_ms ? max_age_ms : MAX_AGE_MS;
	lock_drop(&o->lock);
}

void onboard_retry(struct onboard *o)
{
	lock_take(&o->lock);
	for (size_t i = 0; i < o->p.n_stores; i++)
		o->shippers[i].not_before_ms = 0;
	cond_wake_all(&o->cond);
	lock_drop(&o->lock);
}

uint64_t onboard_request(struct onboard *o)
{
	uint64_t ticket;

	lock_take(&o->lock);
	ticket = ++o->requested;
	cond_wake_all(&o->cond);
	lock_drop(&o->lock);
	return ticket;
}

/*
 * The run that a ticket is in: the first one that made a commit of it.  One that
 * failed counts as long as no later one made up for it, and says its own reason.
 */
static const struct pack_run *run_for(const struct onboard *o, uint64_t ticket)
	REQUIRES(&o->lock)
{
	uint64_t first = o->n_runs > PACK_RUNS ? o->n_runs - PACK_RUNS : 0;
	const struct pack_run *failed = NULL, *run = NULL;

	for (uint64_t i = first; i < o->n_runs; i++) {
		run = &o->runs[i % PACK_RUNS];
		if (run->ticket >= ticket && run->status == 0)
			return run;
		if (run->ticket >= ticket && !failed)
			failed = run;
	}
	assert(failed); /* packed() wrote a run for every ticket */
	return failed;
}

static int poll_locked(struct onboard *o, uint64_t ticket, struct err *reterr)
	REQUIRES(&o->lock)
{
	const struct pack_run *run;

	if (o->superseded)
		return err_set(reterr, -ESTALE, "%s", o->stats.why);
	if (o->stopping)
		return -ECANCELED;
	run = o->packed >= ticket ? run_for(o, ticket) : NULL;
	if (run && run->status < 0)
		return err_set(reterr, run->status, "%s", run->why.text);
	if (run && o->claimed >= run->seq)
		return 0;
	return ship_is_broken(o, reterr) ? -EUCLEAN : -EINPROGRESS;
}

int onboard_poll(struct onboard *o, uint64_t ticket, struct err *reterr)
{
	int r;

	lock_take(&o->lock);
	r = poll_locked(o, ticket, reterr);
	lock_drop(&o->lock);
	return r;
}

int onboard_wait(struct onboard *o, uint64_t ticket, unsigned timeout_ms,
		 struct err *reterr)
{
	uint64_t until = monotonic_ms() + timeout_ms;
	int r;

	lock_take(&o->lock);
	while ((r = poll_locked(o, ticket, reterr)) == -EINPROGRESS) {
		if (!cond_wait_until_ms(&o->cond, &o->lock, until) &&
		    monotonic_ms() >= until) {
			r = err_set(reterr, -ETIMEDOUT, "%s",
				    o->stats.why[0] ?
					    o->stats.why :
					    "the stores have not got everything yet");
			break;
		}
	}
	lock_drop(&o->lock);
	return r;
}

bool onboard_stuck(struct onboard *o, uint64_t ticket, uint64_t ms, struct err *reterr)
{
	const struct shipper *silent = NULL;
	bool busy = false, here;
	uint64_t most = 0;

	lock_take(&o->lock);
	/* packed, or only waiting for room in the outbox */
	here = o->packed >= ticket || o->stats.phase == ONBOARD_PAUSED;
	for (size_t i = 0; i < o->p.n_stores; i++) {
		const struct shipper *s = &o->shippers[i];
		uint64_t its = provider_silence_ms(s->store.provider);

		busy |= its < ms && s->busy_piece;
		if (its >= ms && its >= most) {
			silent = s;
			most = its;
		}
	}
	if (poll_locked(o, ticket, NULL) != -EINPROGRESS || busy ||
	    (!here && !o->pack_waits))
		silent = NULL;
	lock_drop(&o->lock);
	if (silent)
		err_set(reterr, 0, "%.128s has not answered for %" PRIu64 " s%s",
			provider_name(silent->store.provider), most / 1000,
			here ? ": all is safe on this machine and leaves when it answers" :
			       ": the commit needs bytes that only it has");
	return silent != NULL;
}

/* ---- state ---- */

void onboard_stats(struct onboard *o, struct onboard_stats *ret)
{
	struct ledger_sums sums = { 0 };
	struct cache_stats cs;

	cache_stats(o->p.cache, &cs);
	lock_take(&o->lock);
	*ret = o->stats;
	if (o->superseded) /* a run under way changes nothing about it */
		ret->phase = ONBOARD_STOPPED;
	for (size_t i = 0; i < o->p.n_stores; i++) {
		if (o->shippers[i].went_back[0])
			text_copy(ret->went_back, sizeof(ret->went_back),
				  o->shippers[i].went_back);
		if (!o->shippers[i].busy_piece)
			continue;
		ret->uploading_pieces++;
		ret->uploading_bytes += o->shippers[i].busy_bytes;
	}
	lock_drop(&o->lock);
	if (ledger_sums(o->p.ledger, &sums) == 0) {
		ret->ship_total = sums.outbox_bytes * o->p.copies;
		ret->ship_done = (sums.outbox_bytes - sums.queued_bytes) *
				 o->p.copies;
	}
	if (ret->phase == ONBOARD_SHIPPING && !sums.queued_pieces &&
	    ret->sequence >= ret->built)
		ret->phase = cs.dirty_inodes ? ONBOARD_WAITING : ONBOARD_IDLE;
}

/* ---- life ---- */

static int on_newest(void *ctx, const struct ledger_head *h)
{
	struct onboard *o = ctx;

	o->stats.built = MAX(o->stats.built, h->seq);
	if (h->state == LEDGER_CLAIMED) {
		o->claimed = MAX(o->claimed, h->seq);
		o->stats.sequence = o->claimed;
		o->stats.sequence_time = h->time;
	}
	if (h->state == LEDGER_SUPERSEDED) {
		o->superseded = true;
		o->stats.phase = ONBOARD_STOPPED;
		(void)snprintf(o->stats.why, sizeof(o->stats.why),
			       "another device has published commit %" PRIu64,
			       h->seq); /* fits */
	}
	return 0;
}

static int load(struct onboard *o)
{
	_cleanup_buf_ struct buf why = { 0 };
	struct ledger_store store;
	int r;

	for (size_t i = 0; i < o->p.n_stores; i++) {
		struct shipper *s = &o->shippers[i];

		s->o = o;
		s->index = i;
		s->store = o->p.stores[i];
		s->rescan = true;
		s->removing = true;
		r = ledger_store_get(o->p.ledger, s->store.id, &store);
		if (r < 0)
			return r;
		s->unrecorded = !store.has_ident;
	}
	r = ledger_heads(o->p.ledger, on_newest, o);
	if (r < 0)
		return r;
	buf_init(&why, sizeof(o->stats.why) - 1);
	r = ledger_get(o->p.ledger, LEDGER_SUPERSEDED_BY, &why);
	if (r == 0) {
		memcpy(o->stats.why, why.p, why.n);
		o->stats.why[why.n] = '\0';
		o->superseded = true;
		o->stats.phase = ONBOARD_STOPPED;
	}
	return r == -ENOENT ? 0 : r;
}

int onboard_new(const struct onboard_params *p, struct onboard **ret,
		struct err *reterr)
{
	struct onboard *o;
	int r;

	if (p->n_stores > ONBOARD_STORES_MAX || p->copies == 0 ||
	    p->copies > p->n_stores)
		return err_set(reterr, -EINVAL,
			       "%u copies cannot be kept in %zu stores",
			       p->copies, p->n_stores);
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	if (memos_new(&o->memos) < 0) {
		free(o);
		return -ENOMEM;
	}
	o->p = *p;
	lock_init(&o->outbox);
	lock_init(&o->publish);
	lock_init(&o->lock);
	cond_init(&o->cond);
	o->p.max_age_ms = p->max_age_ms ? p->max_age_ms : MAX_AGE_MS;
	o->p.dirty_bytes = p->dirty_bytes ? p->dirty_bytes : DIRTY_BYTES;
	o->p.outbox_max = p->outbox_max ? p->outbox_max : OUTBOX_MAX;
	o->p.piece_target = p->piece_target ? p->piece_target : PIECE_TARGET;
	o->p.piece_blocks = p->piece_blocks ? MIN(p->piece_blocks, PIECE_BLOCKS) :
					      PIECE_BLOCKS;
	o->p.readback_day = p->readback_day ? p->readback_day : READBACK_DAY;
	o->p.watch_ms = p->watch_ms ? p->watch_ms : WATCH_MS;
	o->p.watch_away_s = p->watch_away_s ? p->watch_away_s : WATCH_AWAY_S;
	o->p.away_ms = p->away_ms ? p->away_ms : SILENT_MS;
	o->p.watch_wrong = p->watch_wrong ? p->watch_wrong : WATCH_WRONG;
	o->dirtied_ms = o->moved_ms = monotonic_ms();
	run_clock(o);
	r = load(o);
	if (r == 0)
		r = outbox_recover(o);
	if (r == 0)
		r = run_replay(o);
	o->requested = reseal_is_due(o) || watch_renews(o);
	o->p.stores = NULL;
	if (r < 0) {
		onboard_free(o);
		return err_set(reterr, r, "onboarding cannot start: %s",
			       err_str(r));
	}
	*ret = o;
	return 0;
}

int onboard_start(struct onboard *o)
{
	int r;

	for (size_t i = 0; i < o->p.n_stores; i++) {
		r = -pthread_create(&o->shippers[i].thread, NULL, ship_thread,
				    &o->shippers[i]);
		if (r < 0)
			return r;
		o->shippers[i].started = true;
	}
	r = -pthread_create(&o->packer, NULL, pack_thread, o);
	o->packer_started = r == 0;
	return r;
}

void onboard_free(struct onboard *o)
{
	if (!o)
		return;
	lock_take(&o->lock);
	o->stopping = true;
	atomic_store(&o->stop, true);
	for (size_t i = 0; i < o->p.n_stores; i++)
		if (o->shippers[i].req)
			provider_cancel(o->shippers[i].store.provider,
					o->shippers[i].req);
	cond_wake_all(&o->cond);
	lock_drop(&o->lock);
	if (o->packer_started)
		(void)pthread_join(o->packer, NULL); /* ours */
	for (size_t i = 0; i < o->p.n_stores; i++)
		if (o->shippers[i].started)
			(void)pthread_join(o->shippers[i].thread, NULL); /* ours */
	cond_fini(&o->cond);
	lock_fini(&o->lock);
	lock_fini(&o->publish);
	lock_fini(&o->outbox);
	memos_free(o->memos);
	keep_free(o);
	free(o);
}
