/*
 * ship.c - pieces to their stores, one thread a store
 *
 * Each shipper asks the ledger what its store should hold and does the next step
 * of the placement's state machine (ledger.h): put, then read back.  When a
 * piece has its copies it is HELD and its outbox file goes.
 *
 * Which stores a piece goes to follows from its ordinal and the stores that
 * answer: those that have it already, then a ranking by hash, so that more
 * stores than copies share the load.  A metadata piece gets one copy more where
 * a further store exists.  A store that is away is passed over for others; when
 * it comes back, or is new, it is filled up: from the outbox, or from another
 * store.
 *
 * Errors of a store are its own: it is tried again for ever with a pause that
 * doubles, and status names it.
 */
#include "onboard/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "ledger/ledger.h"
#include "onboard/reseal.h"
#include "provider/provider.h"

#define PAUSE_FIRST_MS 500
#define PAUSE_MAX_MS   60000
#define SAY_MS         300000 /* «answers» is written down so often */
#define IDLE_MS        5000   /* a store is looked at again after so long */
#define AWAY_AFTER     3 /* failures in a row before others take its place */
#define BROKEN_AFTER   3 /* turns that a damaged database ended: it stays so */
#define SILENT_MS      1000 /* how often it is looked whether it has */
#define DEFER_FIRST_S \
 60 /* a piece that nobody can give is left alone so long */
#define DEFER_MAX_S 3600
#define DAY_MS      86400000ull
#define LOSE_AFTER \
 6 /* tries, about an hour, at one who was given up and had the only copy */
#define WRONG_AFTER 3 /* times that a piece came back wrong: likewise */

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

/* ---- which stores ---- */

static uint64_t rank(uint64_t ordinal, uint64_t store)
{
	uint64_t x = (ordinal ^ store * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;

	return x ^ x >> 29;
}

int spread_add(void *ctx, const struct ledger_placement *p)
{
	struct spread *s = ctx;

	for (size_t i = 0; i < s->o->p.n_stores; i++)
		if (s->o->shippers[i].store.id == p->store)
			s->state[i] = p->state;
	return 0;
}

bool spread_counts(enum ledger_placement_state s)
{
	return s == LEDGER_STORED || s == LEDGER_VERIFIED || s == LEDGER_LISTED;
}

/* There, or on its way in a store that has yet to be told to keep it. */
static bool has_it(enum ledger_placement_state s)
{
	return spread_counts(s) || s == LEDGER_PARKED;
}

bool ship_is_away(const struct onboard *o, size_t i)
{
	const struct shipper *s = &o->shippers[i];

	return s->failures >= AWAY_AFTER ||
	       provider_silence_ms(s->store.provider) >= o->p.away_ms;
}

bool ship_few_answer(const struct onboard *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->p.n_stores; i++)
		n += !ship_is_away(o, i);
	return n < o->p.copies;
}

/* The head of a commit that is not published yet is claimed at a network by being
 * added there: so it has to come to the store that claims, whoever else has it. */
static bool is_to_be_claimed(struct onboard *o, const struct ledger_piece *p,
			     size_t me)
{
	struct shipper *s = &o->shippers[me];
	uint64_t claimed = 0;
	bool head = false;

	return s->store.provider->network &&
	       ledger_is_head(o->p.ledger, p->ordinal, &head) == 0 && head &&
	       ledger_newest_claimed(o->p.ledger, &claimed) == 0 &&
	       (!p->seq || p->seq > claimed) && park_claims(s);
}

/*
 * Should store `me` hold the piece?  Stores that have it count first, then
 * those that answer by rank, then those that are away.
 */
bool ship_is_mine(struct onboard *o, const struct ledger_piece *p,
		  const struct spread *s, size_t me)
{
	unsigned want = outbox_copies(o, p), before = 0;
	bool my_away, its_away;
	uint64_t my_rank = rank(p->ordinal, o->shippers[me].store.id);

	if (has_it(s->state[me]) || is_to_be_claimed(o, p, me))
		return true;
	lock_take(&o->lock);
	my_away = ship_is_away(o, me);
	for (size_t i = 0; i < o->p.n_stores; i++) {
		uint64_t its = rank(p->ordinal, o->shippers[i].store.id);

		if (i == me)
			continue;
		its_away = ship_is_away(o, i);
		before += has_it(s->state[i]) ||
			  (its_away == my_away ? its < my_rank : my_away);
	}
	lock_drop(&o->lock);
	return before < want;
}

/* ---- one step ---- */

struct next {
	struct shipper *s;
	struct ledger_piece piece;
	enum ledger_placement_state state; /* 0: no row yet */
	uint32_t attempts;
	bool doubted; /* it came back wrong from there once */
	bool found;
	enum park_way way;
	bool waits;    /* there is one that another store is to have first */
	bool pulled;   /* its file in the outbox is there for this step only */
	bool deferred; /* there is one that is left alone for now */
};

static bool is_deferred(const struct ledger_placement *p)
{
	uint64_t now = now_s();

	/* a clock that was set back defers nothing for years */
	return p->next_try > now && p->next_try - now <= DEFER_MAX_S;
}

/*
 * May a piece that the store only says it has be read back now?  A folder is read at
 * once; a metered store so slowly that a whole drive is not downloaded for it.
 */
static bool may_read_back(struct shipper *s, uint64_t size)
{
	uint64_t day = s->o->p.readback_day, now = monotonic_ms(), got;

	if (!s->store.provider->metered)
		return true;
	got = s->budget_ms ?
		      MIN(now - s->budget_ms, DAY_MS) * MAX(day / DAY_MS, 1) :
		      0;
	if (!s->budget_ms || got) {
		s->budget_ms = now;
		s->budget = MIN(s->budget + got, MAX(day, size));
	}
	if (s->budget < size)
		return false;
	s->budget -= size;
	return true;
}

static int on_piece(void *ctx, const struct ledger_piece *p)
{
	struct next *n = ctx;
	struct onboard *o = n->s->o;
	struct spread sp = { .o = o };
	struct ledger_placement pl = { 0 };
	enum park_way way;
	int r;

	r = ledger_placements(o->p.ledger, p->ordinal, spread_add, &sp);
	if (r < 0)
		return r;
	if (sp.state[n->s->index] == LEDGER_VERIFIED ||
	    sp.state[n->s->index] == LEDGER_REMOVING ||
	    sp.state[n->s->index] == LEDGER_PARKED ||
	    !ship_is_mine(o, p, &sp, n->s->index))
		return 0;
	r = ledger_placement_get(o->p.ledger, p->ordinal, n->s->store.id, &pl);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && (is_deferred(&pl) || (pl.state == LEDGER_LISTED &&
					    !may_read_back(n->s, p->size)))) {
		n->deferred = true;
		return 0;
	}
	way = PARK_PUT;
	if ((r != 0 || pl.state == LEDGER_PLANNED) && pl.attempts == 0) {
		int q = park_way(n->s, p, &sp, &way);

		if (q < 0)
			return q;
	}
	if (way == PARK_WAIT) {
		n->waits = true;
		return 0;
	}
	n->way = way;
	n->piece = *p;
	n->state = r == 0 ? pl.state : 0;
	n->attempts = pl.attempts;
	n->doubted = r == 0 && (pl.state == LEDGER_LOST || ledger_is_doubted(&pl));
	n->found = true;
	return 1; /* the oldest first */
}

/* `from`: this piece is the first that is looked at; 0: all. */
static int next_piece(struct shipper *s, enum ledger_piece_state state,
		      uint64_t from, struct next *ret)
{
	int r;

	*ret = (struct next){ .s = s };
	r = ledger_pieces_from(s->o->p.ledger, state, from, on_piece, ret);
	return r < 0 ? r : 0;
}

static int place(struct shipper *s, uint64_t piece,
		 enum ledger_placement_state state, uint32_t attempts,
		 const char *error)
{
	struct ledger_placement p = { .piece = piece,
				      .store = s->store.id,
				      .state = state,
				      .attempts = attempts,
				      .next_try = now_s() };

	text_copy(p.error, sizeof(p.error), error);
	return ledger_placement_set(s->o->p.ledger, &p);
}

int ship_place(struct shipper *s, uint64_t piece, enum ledger_placement_state state)
{
	return place(s, piece, state, 0, "");
}

/* `floor`: attempts, at least. */
static int move(struct shipper *s, uint64_t piece,
		enum ledger_placement_state state, uint32_t floor)
{
	struct ledger_placement p = { 0 };
	int r;

	r = ledger_placement_get(s->o->p.ledger, piece, s->store.id, &p);
	if (r < 0 && r != -ENOENT)
		return r;
	return place(s, piece, state, MAX(p.attempts, floor),
		     ledger_is_doubted(&p) ? p.error : "");
}

int ship_put_after_all(struct shipper *s, uint64_t piece)
{
	return move(s, piece, LEDGER_PLANNED, 1);
}

int ship_move(struct shipper *s, uint64_t piece, enum ledger_placement_state state)
{
	return move(s, piece, state, 0);
}

/*
 * Not the store's fault, and nothing that a pause of its mends: others go first,
 * and heads go on.  -ENODATA with the reason.
 */
static int defer(struct shipper *s, const struct next *n,
		 enum ledger_placement_state state, struct err *e)
{
	struct ledger_placement p = {
		.piece = n->piece.ordinal,
		.store = s->store.id,
		.state = state,
		.attempts = n->attempts + 1,
		.next_try = now_s() + MIN(DEFER_FIRST_S << MIN(n->attempts, 6u),
					  DEFER_MAX_S),
	};
	int r;

	text_copy(p.error, sizeof(p.error), e->text);
	r = ledger_placement_set(s->o->p.ledger, &p);
	if (r < 0)
		return r;
	log_warn("%s", e->text);
	return -ENODATA;
}

int ship_call(struct shipper *s, struct provider_req *req)
{
	struct onboard *o = s->o;
	int r;

	lock_take(&o->lock);
	if (o->stopping) {
		lock_drop(&o->lock);
		return -ECANCELED;
	}
	s->req = req;
	lock_drop(&o->lock);
	r = provider_call(s->store.provider, req);
	lock_take(&o->lock);
	s->req = NULL;
	lock_drop(&o->lock);
	return r;
}

/* ---- the state machine of one placement ---- */

static int step_put(struct shipper *s, struct next *n, struct err *e)
{
	struct provider_req req = { .verb = PROVIDER_PUT,
				    .cid = n->piece.cid,
				    .src = s->o->p.io,
				    .size = n->piece.size,
				    .replace = n->state == LEDGER_LOST };
	char name[LEDGER_OUTBOX_NAME_MAX];
	int r = 0;

	if (n->way == PARK_PULL)
		return park_piece(s, n->piece.ordinal);
	ledger_outbox_name(n->piece.ordinal, name);
	req.src_name = name;
	if (!n->piece.outbox)
		r = pull_piece(s, &n->piece);
	if (r == 1) {
		n->pulled = true;
		r = 0;
	}
	if (r == -EREMOTEIO || r == -EBADMSG || r == -ENOENT) {
		if (s->gave_up && (r != -EREMOTEIO || n->attempts >= LOSE_AFTER) &&
		    reseal_lose(s->o, n->piece.ordinal) == 1)
			return err_set(e, -EAGAIN, "piece %016" PRIx64 " is lost",
				       n->piece.ordinal);
		err_set(e, r, "no other store can give piece %016" PRIx64 " now",
			n->piece.ordinal);
		return defer(s, n, n->state ? n->state : LEDGER_PLANNED, e);
	}
	if (r == 0 && n->state != LEDGER_PLANNED)
		r = place(s, n->piece.ordinal, LEDGER_PLANNED, n->attempts,
			  n->doubted ? LEDGER_DOUBT "put again" : "");
	if (r == 0)
		r = ship_call(s, &req);
	if (r < 0 && r != -EREMOTEIO && r != -ECANCELED && n->piece.outbox &&
	    reseal_outbox(s->o, n->piece.ordinal) == 1)
		return err_set(e, -EAGAIN, "piece %016" PRIx64 " is lost",
			       n->piece.ordinal);
	if (r < 0)
		return err_set(e, r, "%s", req.err.text);
	if (s->store.provider->parks)
		return park_piece(s, n->piece.ordinal);
	return place(s, n->piece.ordinal, LEDGER_STORED, n->attempts,
		     n->doubted ? LEDGER_DOUBT "put again" : "");
}

static int step_verify(struct shipper *s, struct next *n, struct err *e)
{
	struct provider_req req = { .verb = PROVIDER_VERIFY,
				    .cid = n->piece.cid,
				    .n = n->doubted ? PROVIDER_FULL : 0 };
	struct ledger_placement good = { .piece = n->piece.ordinal,
					 .store = s->store.id,
					 .state = LEDGER_VERIFIED };
	unsigned generation = watch_generation(s);
	char name[LEDGER_OUTBOX_NAME_MAX], cid[PIECE_CID_TEXT_MAX];
	int r;

	ledger_outbox_name(n->piece.ordinal, name);
	if (n->piece.outbox) {
		req.src = s->o->p.io;
		req.src_name = name;
		req.size = n->piece.size;
	}

	r = ship_call(s, &req);
	if (r == -EBADMSG || r == -ENOENT) {
		/* What it holds is not the piece: it is put over it again. */
		piece_cid_text(&n->piece.cid, cid);
		err_set(e, -EAGAIN,
			r == -ENOENT ? "%s does not have piece %s any more" :
				       "%s gave piece %s back wrong",
			provider_name(s->store.provider), cid);
		watch_wrong(s);
		r = place(s, n->piece.ordinal, LEDGER_LOST, n->attempts + 1,
			  LEDGER_DOUBT "read back");
		if (r == 0)
			r = reseal_outbox(s->o, n->piece.ordinal);
		if (r == 0 && n->attempts >= WRONG_AFTER)
			return defer(s, n, LEDGER_LOST, e);
		/* One that is lost now is named as such, and nothing of it is
		 * tried here again. */
		return r < 0 ? r : r == 1 ? 0 : -EAGAIN;
	}
	if (r < 0)
		return err_set(e, r, "%s", req.err.text);
	good.next_try = now_s();
	r = watch_place(s, generation, n->state, n->doubted, &good);
	if (r == 1) /* a verify or a reader has missed it meanwhile */
		return 0;
	if (r == 0)
		best_effort(learn_blocks(s, &n->piece)); /* for dedup only */
	return r < 0 ? r : outbox_settle(s->o, n->piece.ordinal);
}

static void set_busy(struct shipper *s, uint64_t ordinal, uint64_t n_bytes)
{
	lock_take(&s->o->lock);
	s->busy_piece = ordinal;
	s->busy_bytes = n_bytes;
	lock_drop(&s->o->lock);
}

/* It is taken back (outbox.c) before this, or not while it is busy. */
static int begin(struct shipper *s, const struct next *n)
{
	struct ledger_piece p = { 0 };
	int r;

	lock_take(&s->o->outbox);
	r = ledger_piece_get(s->o->p.ledger, n->piece.ordinal, &p);
	if (r == 0 && p.state != LEDGER_REMOVED) {
		set_busy(s, n->piece.ordinal, n->piece.size);
		r = 1;
	}
	lock_drop(&s->o->outbox);
	return r;
}

static int step(struct shipper *s, struct next *n, struct err *e)
{
	int r = begin(s, n);

	if (r <= 0)
		return r;
	r = 0;
	if (n->state != LEDGER_STORED && n->state != LEDGER_LISTED) {
		r = step_put(s, n, e);
		n->state = LEDGER_STORED;
		if (r == 0 && !s->store.provider->parks)
			r = step_verify(s, n, e);
	} else {
		r = step_verify(s, n, e);
	}
	set_busy(s, 0, 0);
	if (n->pulled)
		best_effort(outbox_unpull(s->o, n->piece.ordinal)); /* the next
			start settles what is left */
	return r;
}

/* Is the store there?  Its identity goes into the ledger at first sight. */
static int attach(struct shipper *s, struct err *e)
{
	struct provider_req req = { .verb = PROVIDER_ATTACH };
	int r;

	r = ship_call(s, &req);
	if (r < 0)
		return err_set(e, r, "%s", req.err.text);
	if (s->unrecorded) {
		r = ledger_store_ident(s->o->p.ledger, s->store.id,
				       provider_id(s->store.provider));
		if (r < 0)
			return r;
		s->unrecorded = false;
	}
	return 0;
}

/* ---- the thread ---- */

/* Sleep until kicked, or for `ms`.  False: time to stop. */
static bool rest(struct shipper *s, uint64_t ms)
{
	struct onboard *o = s->o;
	uint64_t until = monotonic_ms() + ms;
	bool go;

	lock_take(&o->lock);
	if (!o->stopping)
		(void)cond_wait_until_ms(&o->cond, &o->lock, until);
	go = !o->stopping;
	lock_drop(&o->lock);
	return go;
}

/*
 * A store that failed is left alone until its pause is over, kicks or not; one
 * that did not answer, until it does.
 */
static bool rest_out(struct shipper *s)
{
	struct onboard *o = s->o;

	lock_take(&o->lock);
	while (!o->stopping) {
		uint64_t now = monotonic_ms(), until = s->not_before_ms;

		if (until <= now ||
		    (s->silent && provider_silence_ms(s->store.provider) == 0))
			break;
		(void)cond_wait_until_ms(&o->cond, &o->lock,
					 s->silent ? MIN(until, now + SILENT_MS) :
						     until);
	}
	lock_drop(&o->lock);
	return !atomic_load(&o->stop);
}

static const char *why_of(int status)
{
	return status == -EUCLEAN ?
		       "a database of the drive directory is damaged: unmount, and run fildrive fsck" :
		       err_str(status);
}

bool ship_is_broken(const struct onboard *o, struct err *reterr)
{
	bool broken = false;

	for (size_t i = 0; i < o->p.n_stores; i++) {
		const struct shipper *s = &o->shippers[i];

		if (s->broken >= BROKEN_AFTER)
			broken = true;
		else if (!s->failures)
			return false;
	}
	if (broken)
		err_set(reterr, 0, "%s", why_of(-EUCLEAN));
	return broken;
}

static void note_broken(struct shipper *s, int status)
{
	struct onboard *o = s->o;

	lock_take(&o->lock);
	if (status == -EUCLEAN || s->no_heads)
		s->broken++;
	else
		s->broken = 0;
	if (s->broken == BROKEN_AFTER)
		cond_wake_all(&o->cond);
	lock_drop(&o->lock);
}

static void note_failure(struct shipper *s, int status, const struct err *e)
{
	struct onboard *o = s->o;
	const char *why = e->text[0] ? e->text : why_of(status);
	uint64_t pause = PAUSE_FIRST_MS;
	bool first;

	s->silent = provider_silence_ms(s->store.provider) > 0;
	lock_take(&o->lock);
	first = s->failures++ == 0;
	if (s->silent) /* it had its time to answer */
		s->failures = MAX(s->failures, AWAY_AFTER);
	for (unsigned i = 1; i < s->failures && pause < PAUSE_MAX_MS; i++)
		pause *= 2;
	s->not_before_ms = monotonic_ms() + MIN(pause, PAUSE_MAX_MS);
	s->away = status == -EREMOTEIO;
	if (!o->superseded && !s->silent) /* that is said while it lasts */
		text_copy(o->stats.why, sizeof(o->stats.why), why);
	if (s->failures == AWAY_AFTER) /* now others take its place */
		cond_wake_all(&o->cond);
	lock_drop(&o->lock);
	if (first)
		log_warn("store %s: %s; trying again until it works",
			 provider_name(s->store.provider), why);
	best_effort(ledger_store_seen(o->p.ledger, s->store.id, now_s(),
				      why)); /* for status only */
}

/* The store answers; a piece has to wait.  Status says which and why.  False: it
 * said so before. */
static bool note_deferred(struct shipper *s, const struct err *e)
{
	struct onboard *o = s->o;
	bool is_new;

	lock_take(&o->lock);
	is_new = strcmp(o->stats.why, e->text) != 0;
	if (!o->superseded)
		text_copy(o->stats.why, sizeof(o->stats.why), e->text);
	lock_drop(&o->lock);
	return is_new;
}

static void note_success(struct shipper *s)
{
	struct onboard *o = s->o;
	bool back;

	s->silent = false;
	atomic_store(&s->answered, true);
	lock_take(&o->lock);
	back = s->failures > 0;
	s->failures = 0;
	s->not_before_ms = 0;
	s->away = false;
	s->rescan |= back;
	if (back)
		s->looked_ms = 0; /* somebody may have published meanwhile */
	if (back && !o->superseded)
		o->stats.why[0] = '\0';
	lock_drop(&o->lock);
	if (back)
		log_info("store %s answers again", provider_name(s->store.provider));
	/* each is a write to the disk */
	if (!back && s->said_ms && monotonic_ms() - s->said_ms < SAY_MS)
		return;
	s->said_ms = monotonic_ms();
	best_effort(ledger_store_seen(o->p.ledger, s->store.id, now_s(),
				      NULL)); /* for status only */
}

/* What note_deferred() said, and is kept in `text`, is over: status says it no longer. */
static void note_calm(struct shipper *s, char *text)
{
	struct onboard *o = s->o;

	if (!text[0])
		return;
	lock_take(&o->lock);
	if (!o->superseded && strcmp(o->stats.why, text) == 0)
		o->stats.why[0] = '\0';
	lock_drop(&o->lock);
	text[0] = '\0';
}

/* Heads of this store.  What is wrong with one of them holds up no piece. */
static int heads_turn(struct shipper *s, struct err *e)
{
	struct err why = { "" };
	int r = publish_heads(s, &why);

	s->no_heads = r == -EUCLEAN;
	if (r == -EREMOTEIO)
		return err_set(e, r, "%s", why.text);
	if (r == -ECANCELED)
		return r;
	if (r < 0 && r != -EINPROGRESS && r != -ESTALE) {
		if (!why.text[0])
			err_set(&why, r, "%s", err_str(r));
		if (note_deferred(s, &why))
			log_err(r, "head: %s", why.text);
		text_copy(s->headless, sizeof(s->headless), why.text);
		return 0;
	}
	note_calm(s, s->headless);
	return 0;
}

/*
 * What is held already and should be here, too.  Whoever only waits there for his time
 * is not looked for at each wake-up: writers that want room wake everybody five times a
 * second, and a drive may have thousands of pieces.  Nor is it looked from the first one
 * on for each that is found; but what is new may be among them.
 */
static int next_held(struct shipper *s, struct next *ret)
{
	uint64_t now = monotonic_ms();
	int r;

	/* before the look: what comes is new */
	if (atomic_exchange(&s->rescan, false))
		s->held_from = 0;
	else if (!s->held_from && (!s->again_ms || now < s->again_ms))
		return 0;
	r = next_piece(s, LEDGER_HELD, s->held_from, ret);
	if (r == 0 && !ret->found && s->held_from)
		r = next_piece(s, LEDGER_HELD, 0, ret);
	/* the same one, for it may have another step */
	s->held_from = ret->found ? ret->piece.ordinal : 0;
	if (r < 0 || ret->waits)
		atomic_store(&s->rescan, true);
	s->again_ms = ret->deferred ? now + IDLE_MS : 0;
	return r;
}

/*
 * One thing for this store: heads whose pieces are all held, which takes moments,
 * then a piece that is on its way, and only then what is held already but should
 * be here too; so that a commit need not wait until a whole drive was read back
 * or copied.
 */
static int turn(struct shipper *s, struct err *e, bool *ret_busy)
{
	struct next n = { 0 };
	int r;

	*ret_busy = false;
	r = attach(s, e);
	if (r == 0)
		r = heads_look(s, e);
	if (r == 0)
		r = heads_turn(s, e);
	if (r == 0)
		r = next_piece(s, LEDGER_READY, 0, &n);
	if (r == 0 && !n.found)
		r = next_held(s, &n);
	if (r == 0)
		r = park_commit(s, n.found, n.waits, e);
	if (r == 0 && !n.found && !n.deferred && !s->rescan && !s->again_ms)
		note_calm(s, s->deferred);
	if (r == 0 && !n.found)
		r = remove_turn(s, e);
	*ret_busy = r == 1 || (r == 0 && n.found);
	return r == 0 && n.found ? step(s, &n, e) : MIN(r, 0);
}

void *ship_thread(void *arg)
{
	struct shipper *s = arg;
	bool busy = false;
	int r;

	while (rest_out(s)) {
		struct err e = { 0 };

		r = watch_turn(s);
		if (r == -EINPROGRESS) { /* it is being replaced */
			if (!rest(s, SILENT_MS))
				break;
			continue;
		}
		if (r == 0)
			r = turn(s, &e, &busy);
		if (r == -ECANCELED)
			break;
		note_broken(s, r);
		if (r == -ENODATA) {
			(void)note_deferred(s, &e); /* a store that waits */
			text_copy(s->deferred, sizeof(s->deferred), e.text);
			continue;
		}
		if (r < 0) {
			note_failure(s, r, &e);
			continue;
		}
		note_success(s);
		if (busy)
			onboard_kick(s->o);
		else if (!rest(s, MIN(IDLE_MS, s->o->p.watch_ms)))
			break;
	}
	return NULL;
}
