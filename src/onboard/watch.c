#include "onboard/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/log.h"
#include "ledger/ledger.h"
#include "onboard/internal.h"

#define KEY      "watch" /* of the note */
#define FORM     1       /* first byte of a note */
#define NOTE_MAX 4096    /* bytes of a note */
#define SOON     30 /* a store without a data set is asked so much oftener */

/* ---- notes ---- */

static int put_text(struct buf *b, const char *text)
{
	int r = buf_varint(b, strlen(text));

	return r < 0 ? r : buf_append(b, slice_str(text));
}

static void take_text(struct cursor *c, char *ret, size_t size)
{
	uint64_t n = cursor_varint(c);
	struct slice s = { 0 };

	if (n >= size)
		cursor_fail(c, -EUCLEAN);
	else
		s = cursor_take(c, n);
	if (cursor_ok(c) == 0 && s.n)
		memcpy(ret, s.p, s.n);
	ret[cursor_ok(c) == 0 ? s.n : 0] = '\0';
}

static int put_proof(struct buf *b, const struct provider_proof *p)
{
	const uint64_t v[] = { (uint64_t)p->state, p->unpaid,    p->last_s,
			       p->deadline_s,      p->missing_s, p->period_s,
			       p->provider,        p->set };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(v) && r == 0; i++)
		r = buf_varint(b, v[i]);
	if (r == 0)
		r = put_text(b, p->name);
	return r < 0 ? r : put_text(b, p->text);
}

static void take_proof(struct cursor *c, struct provider_proof *ret)
{
	uint64_t state = cursor_varint(c);

	if (state >= PROVIDER_PROOF_NX)
		cursor_fail(c, -EUCLEAN);
	ret->state = (enum provider_proof_state)state;
	ret->unpaid = cursor_varint(c) != 0;
	ret->last_s = cursor_varint(c);
	ret->deadline_s = cursor_varint(c);
	ret->missing_s = cursor_varint(c);
	ret->period_s = cursor_varint(c);
	ret->provider = cursor_varint(c);
	ret->set = cursor_varint(c);
	take_text(c, ret->name, sizeof(ret->name));
	take_text(c, ret->text, sizeof(ret->text));
}

static int encode(struct buf *b, const struct watch *w)
{
	int r = buf_u8(b, FORM);

	if (r == 0)
		r = buf_varint(b, w->asked_s);
	if (r == 0)
		r = put_proof(b, &w->proof);
	if (r == 0)
		r = buf_varint(b, (uint64_t)w->verdict);
	if (r == 0)
		r = put_text(b, w->why);
	if (r == 0)
		r = put_text(b, w->refused);
	if (r == 0)
		r = buf_varint(b, w->away_s);
	if (r == 0)
		r = buf_varint(b, w->wrong);
	return r < 0 ? r : buf_varint(b, w->replacing);
}

static int decode(struct slice s, struct watch *ret)
{
	struct cursor c = cursor(s);
	struct watch w = { 0 };
	uint64_t verdict;

	if (cursor_u8(&c) != FORM)
		cursor_fail(&c, -EUCLEAN);
	w.asked_s = cursor_varint(&c);
	take_proof(&c, &w.proof);
	verdict = cursor_varint(&c);
	if (verdict >= JUDGE_NX)
		cursor_fail(&c, -EUCLEAN);
	w.verdict = (enum judge_verdict)verdict;
	take_text(&c, w.why, sizeof(w.why));
	take_text(&c, w.refused, sizeof(w.refused));
	w.away_s = cursor_varint(&c);
	w.wrong = (uint32_t)cursor_varint(&c);
	w.replacing = cursor_varint(&c) != 0;
	if (cursor_done(&c) < 0)
		return -EUCLEAN;
	*ret = w;
	return 0;
}

int watch_read(struct ledger *l, uint64_t store, struct watch *ret)
{
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	buf_init(&b, NOTE_MAX);
	r = ledger_note_get(l, store, KEY, &b);
	return r < 0 ? r : decode(buf_slice(&b), ret);
}

static int save(struct shipper *s)
{
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	buf_init(&b, NOTE_MAX);
	r = encode(&b, &s->watch);
	return r < 0 ? r :
		       ledger_note_set(s->o->p.ledger, s->store.id, KEY,
				       buf_slice(&b));
}

#define GIVEN_KEY_MAX (sizeof(WATCH_GIVEN) + 33)

static void given_key(const struct watch_given *g, char ret[static GIVEN_KEY_MAX])
{
	(void)snprintf(ret, GIVEN_KEY_MAX, WATCH_GIVEN "%016" PRIx64 "-%" PRIx64,
		       g->time_s, g->set); /* fits */
}

static int given_encode(struct buf *b, const struct watch_given *g)
{
	const uint64_t v[] = { g->time_s, g->provider, g->set };
	int r = buf_u8(b, FORM);

	for (size_t i = 0; i < ARRAY_LEN(v) && r == 0; i++)
		r = buf_varint(b, v[i]);
	if (r == 0)
		r = put_text(b, g->name);
	return r < 0 ? r : put_text(b, g->why);
}

struct given_walk {
	int (*cb)(void *ctx, const struct watch_given *g);
	void *ctx;
};

static int on_given(void *ctx, const char *key, struct slice value)
{
	struct given_walk *w = ctx;
	struct cursor c = cursor(value);
	struct watch_given g = { 0 };

	(void)key;
	if (cursor_u8(&c) != FORM)
		cursor_fail(&c, -EUCLEAN);
	g.time_s = cursor_varint(&c);
	g.provider = cursor_varint(&c);
	g.set = cursor_varint(&c);
	take_text(&c, g.name, sizeof(g.name));
	take_text(&c, g.why, sizeof(g.why));
	return cursor_done(&c) < 0 ? -EUCLEAN : w->cb(w->ctx, &g);
}

int watch_given(struct ledger *l, uint64_t store,
		int (*cb)(void *ctx, const struct watch_given *g), void *ctx)
{
	struct given_walk w = { cb, ctx };

	return ledger_notes(l, store, WATCH_GIVEN, on_given, &w);
}

struct ended {
	struct ledger *l;
	uint64_t store, set;
};

static int on_ended(void *ctx, const struct watch_given *g)
{
	char key[GIVEN_KEY_MAX];
	struct ended *e = ctx;

	if (g->set != e->set)
		return 0;
	given_key(g, key);
	return ledger_note_drop(e->l, e->store, key);
}

int watch_ended(struct ledger *l, uint64_t store, uint64_t set)
{
	struct ended e = { l, store, set };

	return watch_given(l, store, on_ended, &e);
}

/* ---- another takes its place ---- */

unsigned watch_generation(struct shipper *s)
{
	unsigned g;

	lock_take(&s->o->lock);
	g = s->generation;
	lock_drop(&s->o->lock);
	return g;
}

/*
 * Readings take a while: a good one is no news of a piece that was missed since, nor
 * of one that a reader was served wrong since.
 */
static bool still_counts(enum ledger_placement_state was, bool doubted,
			 const struct ledger_placement *now,
			 enum ledger_placement_state next)
{
	if (next == LEDGER_VERIFIED && ledger_is_doubted(now) && !doubted)
		return false;
	return now->state == was || spread_counts(now->state) ||
	       (now->state == LEDGER_LOST && next == LEDGER_LOST);
}

int watch_place(struct shipper *s, unsigned generation,
		enum ledger_placement_state was, bool doubted,
		const struct ledger_placement *p)
{
	struct ledger *l = s->o->p.ledger;
	struct ledger_placement now = { .state = 0 };
	int r = 1;

	lock_take(&s->o->outbox);
	if (watch_generation(s) == generation)
		r = ledger_placement_get(l, p->piece, p->store, &now);
	if (r == 0)
		r = still_counts(was, doubted, &now, p->state) ?
			    ledger_placement_set(l, p) :
			    1;
	lock_drop(&s->o->outbox);
	return r == -ENOENT ? 1 : r;
}

bool watch_renews(struct onboard *o)
{
	uint64_t renew = 0;

	return ledger_get_u64(o->p.ledger, LEDGER_RENEW, &renew) == 0 && renew;
}

int watch_give(struct ledger *l, uint64_t store, const struct watch_given *g)
{
	char key[GIVEN_KEY_MAX];
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	given_key(g, key);
	buf_init(&b, NOTE_MAX);
	r = given_encode(&b, g);
	return r < 0 ? r : ledger_note_set(l, store, key, buf_slice(&b));
}

static int reset(struct shipper *s)
{
	const struct provider_proof *p = &s->watch.proof;
	struct onboard *o = s->o;
	_cleanup_buf_ struct buf b = { 0 };
	struct watch_given g = { .time_s = (uint64_t)time(NULL),
				 .provider = p->provider,
				 .set = p->set };
	char key[GIVEN_KEY_MAX];
	int r;

	text_copy(g.name, sizeof(g.name), p->name);
	text_copy(g.why, sizeof(g.why), s->watch.why);
	given_key(&g, key);
	buf_init(&b, NOTE_MAX);
	r = given_encode(&b, &g);
	/* The newest head must be where the service goes on: what was given up is
	 * ended one day, and the chain then forgets which piece a head was. */
	if (r == 0)
		r = ledger_set_u64(o->p.ledger, LEDGER_RENEW, 1);
	if (r < 0)
		return r;
	lock_take(&o->outbox);
	r = ledger_store_reset(o->p.ledger, s->store.id, KEY, key, buf_slice(&b));
	if (r == 0) {
		lock_take(&o->lock);
		s->generation++;
		lock_drop(&o->lock);
	}
	lock_drop(&o->outbox);
	return r;
}

/* All that this thread knew of the store was of the old one. */
static void forget(struct shipper *s)
{
	struct onboard *o = s->o;

	s->watch = (struct watch){ 0 };
	s->gave_up = true;
	s->unrecorded = true;
	s->n_parked = 0;
	s->looked_ms = 0;
	s->said_ms = 0; /* nobody has heard of the new one */
	s->silent = false;
	s->budget_ms = 0;
	atomic_store(&s->wrong, 0);
	lock_take(&o->lock);
	s->heads_given = 0;
	s->failures = 0;
	s->not_before_ms = 0;
	s->away = false;
	lock_drop(&o->lock);
	for (size_t i = 0; i < o->p.n_stores; i++)
		atomic_store(&o->shippers[i].rescan, true);
	(void)onboard_request(o); /* nobody waits for it */
	onboard_kick(o);
}

/* It stays, and is said. */
static int refused(struct shipper *s, int why, const struct err *e)
{
	struct watch *w = &s->watch;
	char text[JUDGE_TEXT_MAX];

	text_copy(text, sizeof(text), e->text[0] ? e->text : err_str(why));
	if (strcmp(text, w->refused) != 0)
		log_warn("%s, and is not replaced: %s", w->why, text);
	text_copy(w->refused, sizeof(w->refused), text);
	w->replacing = false;
	return save(s);
}

static int replace(struct shipper *s)
{
	struct provider_req req = { .verb = PROVIDER_REPLACE };
	struct watch *w = &s->watch;
	int r = 0;

	if (!w->replacing) {
		w->replacing = true;
		r = save(s);
	}
	if (r == 0)
		r = ship_call(s, &req);
	/* Whether it was done is not known: it is asked again, which does no harm,
	 * and the store is left alone until then. */
	if (r == -EREMOTEIO) {
		s->watch_due_ms = monotonic_ms() + s->o->p.watch_ms / SOON;
		log_warn("%s; replacing it: %s", w->why, req.err.text);
		return -EINPROGRESS;
	}
	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	if (r < 0)
		return refused(s, r, &req.err);
	r = reset(s);
	if (r < 0)
		return r;
	log_warn("%s: another takes its place", w->why);
	forget(s);
	return 0;
}

/* ---- the look ---- */

void watch_wrong(struct shipper *s)
{
	atomic_fetch_add(&s->wrong, 1);
}

/* What came back wrong is news, and need not wait for the next look. */
static bool is_due(struct shipper *s, uint64_t now)
{
	return now >= s->watch_due_ms ||
	       (atomic_load(&s->wrong) &&
		now - s->watch_asked_ms >= s->o->p.watch_ms / SOON);
}

/*
 * Only time in which it was asked, and the chain was there to say so, counts: a
 * machine that sleeps or has no network accuses nobody.
 */
static void count(struct shipper *s, uint64_t now_ms)
{
	struct watch *w = &s->watch;
	bool answered = atomic_exchange(&s->answered, false), away;

	lock_take(&s->o->lock);
	away = s->away;
	lock_drop(&s->o->lock);
	s->away_ms = answered || !away ? 0 : s->away_ms;
	if (answered || !away)
		w->away_s = 0;
	else if (s->watched_ms)
		s->away_ms += now_ms - s->watched_ms;
	w->away_s += s->away_ms / 1000;
	s->away_ms %= 1000;
	w->wrong += atomic_exchange(&s->wrong, 0);
	s->watched_ms = now_ms;
}

static int judge(struct shipper *s, uint64_t now_ms)
{
	const struct judge_rules rules = { .away_s = s->o->p.watch_away_s,
					   .wrong = s->o->p.watch_wrong };
	struct watch *w = &s->watch;
	char why[JUDGE_TEXT_MAX];
	struct judge_facts f;

	count(s, now_ms);
	f = (struct judge_facts){ .proof = w->proof,
				  .now_s = w->asked_s,
				  .away_s = w->away_s,
				  .wrong = w->wrong };
	w->verdict = judge_store(&f, &rules, why);
	if (w->verdict == JUDGE_WARN && strcmp(why, w->why) != 0)
		log_warn("%s", why);
	text_copy(w->why, sizeof(w->why), why);
	if (w->verdict != JUDGE_REPLACE)
		w->refused[0] = '\0';
	return w->verdict == JUDGE_REPLACE ? replace(s) : save(s);
}

static int ask(struct shipper *s, uint64_t now)
{
	struct provider_req req = { .verb = PROVIDER_PROOF };
	struct onboard *o = s->o;
	int r;

	s->watch_asked_ms = now;
	s->watch_due_ms = now + o->p.watch_ms / SOON; /* the chain may be away */
	r = ship_call(s, &req);
	if (r == -EOPNOTSUPP)
		s->watch_due_ms = UINT64_MAX;
	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	if (r < 0)
		return 0; /* what was known last stays, with its time */
	if (req.ret_proof.set)
		s->watch_due_ms = now + o->p.watch_ms;
	s->watch.proof = req.ret_proof;
	s->watch.asked_s = (uint64_t)time(NULL);
	return judge(s, now);
}

static int on_any(void *ctx, const struct watch_given *g)
{
	(void)g;
	*(bool *)ctx = true;
	return 1;
}

static int load(struct shipper *s)
{
	int r = watch_read(s->o->p.ledger, s->store.id, &s->watch);

	if (r == -EUCLEAN) /* of a newer program; it is asked again */
		s->watch = (struct watch){ 0 };
	else if (r < 0 && r != -ENOENT)
		return r;
	r = watch_given(s->o->p.ledger, s->store.id, on_any, &s->gave_up);
	s->watch_loaded = r >= 0 || r == -EUCLEAN;
	return s->watch_loaded ? 0 : r;
}

int watch_turn(struct shipper *s)
{
	uint64_t now = monotonic_ms();
	int r = 0;

	if (!s->store.provider->network)
		return 0; /* nobody there to prove anything */
	if (!s->watch_loaded)
		r = load(s);
	if (r < 0)
		return r;
	if (s->watch.replacing ? now < s->watch_due_ms : !is_due(s, now))
		return s->watch.replacing ? -EINPROGRESS : 0;
	return s->watch.replacing ? replace(s) : ask(s, now);
}
