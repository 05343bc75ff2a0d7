/*
 * slots.c - which slots of data/ are free, and who names the others
 *
 * How the table of references is known at open: slotmap.c.  A slot is
 *
 *   bare    free, and a hole in the file
 *   room    free, and the disk has room for it
 *   held    allocated and not named yet, or dropped and waiting for its commit
 *           and for pins (struct freed), or being punched
 *   named   by so many rows
 *
 *      fill            alloc            ref            unref
 *   bare ───► room ───────────► held ───────► named ───────► held ──┐
 *    ▲ punch   │ ▲                                      committed,  │
 *    └─────────┘ └──────────────────── no pin is as old ◄───────────┘
 *
 * Only slots with room are allocated, so that sealing what was promised a slot
 * does not fail for space.  Room is made in steps (space.c says how large), in
 * segments that are open: one that is filled, and old ones of which a quarter is
 * free.  The others' free slots are no good for long runs; they are punched, or
 * used when the disk may hold no more.
 *
 * What the disk holds is counted, not guessed: seg_held().  Only at open it is
 * not known which free slots have room; their number is (n_old), and they are
 * swept by the same punching.
 */
#include "cache/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

#define BATCH      64   /* runs punched at a time */
#define BATCH_MAX  2048 /* slots of all of them: 8 MiB, some ms of the disk */
#define LONG_RUN   16   /* slots: worth a system call while closing */
#define FIRST_STEP 1024 /* slots, before the accountant has looked */

bool seg_fits(const struct segment *s, const struct run *r)
{
	return s && r->slot < s->n_slots && r->n <= s->n_slots - r->slot;
}

static uint32_t n_free(const struct segment *s)
{
	return s->n_bare + s->n_room;
}

/* n more (or fewer) slots of s are free and have room. */
static void add_room(struct cache *c, struct segment *s, int64_t n)
{
	s->n_room = (uint32_t)(s->n_room + n);
	c->segs.room += (uint64_t)n;
	if (s->open)
		c->segs.open_room += (uint64_t)n;
}

static void set_open(struct cache *c, struct segment *s, bool open)
{
	if (s->open == open)
		return;
	s->open = open;
	s->cursor = 0;
	c->segs.open_room += open ? s->n_room : -(uint64_t)s->n_room;
}

static void forget_old(struct cache *c, struct segment *s, uint32_t left)
{
	if (s->n_old > left) {
		c->segs.old -= s->n_old - left;
		s->n_old = left;
	}
}

uint64_t seg_held(const struct cache *c)
{
	const struct segs *g = &c->segs;

	return g->head + g->used + g->room + g->old + g->punching;
}

static void remove_segment(struct cache *c, struct segment *s)
{
	forget_old(c, s, 0);
	add_room(c, s, -(int64_t)s->n_room);
	if (c->segs.cur == s)
		c->segs.cur = NULL;
	seg_file_remove(c, s);
}

/*
 * May s go, when open segments are to keep so much room?  A file with room is long
 * work for the disk, and the locks are held: it is punched first, a bit at a time.
 */
static bool is_over(const struct cache *c, const struct segment *s, uint64_t keep)
	REQUIRES(c->segs.lock)
{
	const struct segs *g = &c->segs;

	return n_free(s) == s->n_slots && s != g->cur && s->in_use == 0 &&
	       (g->no_punch || s->n_room == 0) &&
	       (!s->open || g->open_room - s->n_room >= keep);
}

/* ---- open ---- */

int seg_name(struct cache *c, const struct run *r)
{
	struct segment *s = seg_by_number(c, r->seg);

	if (r->seg == RUN_BAD_SEG)
		return 0;
	if (r->seg < SEG_MAX)
		c->segs.next_number = MAX(c->segs.next_number, r->seg + 1);
	if (!seg_fits(s, r))
		return -EUCLEAN;
	for (uint64_t k = 0; k < r->n; k++) {
		uint16_t *ref = &s->refs[r->slot + k];

		if (*ref == SLOT_BARE) {
			s->n_bare--;
			c->segs.used++;
		}
		if (*ref < SLOT_MANY)
			(*ref)++;
	}
	return 0;
}

int seg_scanned(struct cache *c)
{
	struct segs *g = &c->segs;
	uint64_t held = 0, named;
	int r = 0;

	g->step = FIRST_STEP;
	g->limit = UINT64_MAX;
	if (c->p.read_only)
		return 0;
	lock_take(&g->lock);
	for (uint32_t i = 0; i < g->n_v && r == 0; i++) {
		struct segment *s = g->v[i];

		if (s && n_free(s) == s->n_slots) {
			remove_segment(c, s);
		} else if (s) {
			r = seg_file_held(s, &held);
			named = s->n_head + (s->n_slots - s->n_bare);
			if (r == 0 && held > named)
				s->n_old = (uint32_t)MIN(held - named, s->n_bare);
			g->old += s->n_old;
		}
	}
	lock_drop(&g->lock);
	return r;
}

/* ---- room ---- */

/* Give the next bare slots of s room, up to `want`, with one call. */
static int fill(struct cache *c, struct segment *s, uint32_t want)
	REQUIRES(c->segs.lock)
{
	uint32_t at = s->filled, end, last, n = 0;
	int r;

	while (at < s->n_slots && s->refs[at] != SLOT_BARE)
		at++;
	/* not over held ones: they may be on their way to be holes */
	for (end = last = at; end < s->n_slots && n < want; end++) {
		if (s->refs[end] == SLOT_HELD)
			break;
		if (s->refs[end] != SLOT_BARE)
			continue;
		n++;
		last = end;
	}
	if (n == 0)
		return -ENOSPC;
	r = seg_file_fill(s, at, last + 1 - at);
	if (r < 0)
		return r;
	for (uint32_t k = at; k <= last; k++) {
		if (s->refs[k] == SLOT_BARE)
			s->refs[k] = SLOT_ROOM;
	}
	s->filled = last + 1;
	s->n_bare -= n;
	add_room(c, s, n);
	forget_old(c, s, s->n_bare);
	return 0;
}

/* Room in an open segment, an old one if a quarter of it is free, or a new one. */
static int grow(struct cache *c) REQUIRES(c->segs.lock)
{
	struct segs *g = &c->segs;
	struct segment *s = g->cur;
	int r;

	if (s && s->open && s->n_bare > 0 && fill(c, s, g->step) == 0)
		return 0;
	for (uint32_t i = 0; i < g->n_v; i++) {
		s = g->v[i];
		if (!s || (!s->open && !s->n_old && n_free(s) < s->n_slots / 4))
			continue;
		if (!s->open && s->n_room > 0) {
			set_open(c, s, true);
			return 0;
		}
		if (s->n_bare > 0 && fill(c, s, g->step) == 0) {
			set_open(c, s, true);
			return 0;
		}
	}
	r = seg_file_create(c, &s);
	if (r < 0)
		return r;
	set_open(c, s, true);
	r = fill(c, s, g->step);
	if (r < 0)
		remove_segment(c, s);
	return r;
}

/* What is scattered about, the most of it first. */
static bool gather(struct cache *c) REQUIRES(c->segs.lock)
{
	struct segment *best = NULL;

	for (uint32_t i = 0; i < c->segs.n_v; i++) {
		struct segment *s = c->segs.v[i];

		if (s && !s->open && s->n_room > (best ? best->n_room : 0))
			best = s;
	}
	if (best)
		set_open(c, best, true);
	return best;
}

static int make_room(struct cache *c, uint64_t n) REQUIRES(c->segs.lock)
{
	struct segs *g = &c->segs;
	/* it may come to a new segment */
	uint64_t most = g->step + seg_file_head(c);
	int r = 0;

	while (r == 0 && g->open_room < n) {
		bool may = seg_held(c) + most <= g->limit;

		if (!may && gather(c))
			continue;
		r = grow(c);
		if (r == -ENOSPC && gather(c)) /* others fill the disk, too */
			r = 0;
	}
	return r;
}

int seg_make_room(struct cache *c, uint64_t n)
{
	int r;

	lock_take(&c->segs.lock);
	r = make_room(c, n);
	lock_drop(&c->segs.lock);
	return r;
}

/* ---- allocation ---- */

/* The next run of s with room at or behind its cursor, at most n slots. */
static bool take_run(struct cache *c, struct segment *s, uint32_t n,
		     uint32_t *slot, uint32_t *ret_n)
{
	uint32_t i = s->cursor, k;

	while (i < s->n_slots && s->refs[i] != SLOT_ROOM)
		i++;
	for (k = 0; k < n && i + k < s->n_slots && s->refs[i + k] == SLOT_ROOM; k++)
		s->refs[i + k] = SLOT_HELD;
	s->cursor = i + k;
	add_room(c, s, -(int64_t)k);
	*slot = i;
	*ret_n = k;
	return k > 0;
}

static struct segment *next_open(struct cache *c)
{
	for (uint32_t i = 0; i < c->segs.n_v; i++) {
		struct segment *s = c->segs.v[i];

		if (s && s->open && s->n_room > 0) {
			s->cursor = 0;
			return s;
		}
	}
	return NULL;
}

int seg_alloc(struct cache *c, uint32_t n, uint64_t keep, struct run *ret)
{
	struct segs *g = &c->segs;
	uint32_t slot, got;
	int r;

	lock_take(&c->segs.lock);
	r = make_room(c, n + keep);
	while (r == 0) {
		if (g->cur && take_run(c, g->cur, n, &slot, &got))
			break;
		if (g->cur && n_free(g->cur) == 0)
			set_open(c, g->cur, false);
		g->cur = next_open(c);
		if (!g->cur)
			r = -ENOSPC;
	}
	if (r == 0) {
		g->used += got;
		ret->seg = g->cur->number;
		ret->slot = slot;
		ret->n = got;
		ret->sgen = g->sgen;
	}
	lock_drop(&c->segs.lock);
	return r;
}

static void give_back(struct cache *c, struct segment *s, uint32_t slot,
		      uint32_t n) REQUIRES(c->segs.lock)
{
	for (uint32_t k = 0; k < n; k++) {
		assert(s->refs[slot + k] == SLOT_HELD);
		s->refs[slot + k] = SLOT_ROOM;
	}
	c->segs.sgen++; /* a slot is never sealed twice in one generation */
	c->segs.used -= n;
	add_room(c, s, n);
}

void seg_discard(struct cache *c, const struct run *r)
{
	lock_take(&c->segs.lock);
	give_back(c, c->segs.v[r->seg], r->slot, (uint32_t)r->n);
	lock_drop(&c->segs.lock);
}

/* ---- names ---- */

bool seg_can_share(struct cache *c, const struct run *r, size_t n_more)
{
	struct segment *s = seg_by_number(c, r->seg);

	if (!seg_fits(s, r))
		return false;
	for (uint64_t k = 0; k < r->n; k++) {
		if (s->refs[r->slot + k] + n_more > SLOT_MANY)
			return false;
	}
	return true;
}

void seg_ref(struct cache *c, const struct run *r)
{
	struct segment *s = seg_by_number(c, r->seg);

	if (!seg_fits(s, r))
		return;
	lock_take(&c->segs.lock);
	for (uint64_t k = 0; k < r->n; k++) {
		uint16_t *ref = &s->refs[r->slot + k];

		assert(*ref != SLOT_BARE && *ref != SLOT_ROOM);
		*ref = *ref == SLOT_HELD ? 1 : (uint16_t)(*ref + 1);
	}
	lock_drop(&c->segs.lock);
}

int seg_reserve_unref(struct cache *c, size_t n_runs)
{
	struct freed *f = c->segs.open, *more;
	size_t n = f ? f->n : 0, cap;

	/* a run may fall apart where only some of its slots are shared */
	if (f && f->cap - n >= n_runs)
		return 0;
	cap = MAX(256, 2 * (n + n_runs));
	more = realloc(f, sizeof(*f) + cap * sizeof(f->v[0]));
	if (!more)
		return -ENOMEM;
	more->n = n;
	more->cap = cap;
	more->next = NULL;
	c->segs.open = more;
	return 0;
}

static void add_freed(struct cache *c, uint32_t seg, uint32_t slot, uint32_t n)
{
	struct freed *f = c->segs.open;
	struct freed_run *last = f->n ? &f->v[f->n - 1] : NULL;

	c->segs.waiting += n;
	if (last && last->seg == seg && last->slot + last->n == slot) {
		last->n += n;
		return;
	}
	/* reserved, except where shared slots tear a run apart */
	if (f->n == f->cap && seg_reserve_unref(c, 1) < 0)
		return; /* held until the next open counts the rows again */
	f = c->segs.open;
	f->v[f->n++] = (struct freed_run){ seg, slot, n };
}

void seg_unref(struct cache *c, const struct run *r)
{
	struct segment *s = seg_by_number(c, r->seg);
	uint32_t from = NO_SLOT;

	if (!seg_fits(s, r))
		return;
	lock_take(&c->segs.lock);
	for (uint32_t k = 0; k <= r->n; k++) {
		uint16_t *ref = k < r->n ? &s->refs[r->slot + k] : NULL;
		bool free_now = false;

		if (ref && *ref == 1) {
			*ref = SLOT_HELD;
			free_now = true;
		} else if (ref) {
			assert(*ref != SLOT_BARE && *ref < SLOT_ROOM);
			(*ref)--;
		}
		if (free_now && from == NO_SLOT)
			from = r->slot + k;
		if (!free_now && from != NO_SLOT) {
			add_freed(c, r->seg, from, r->slot + k - from);
			from = NO_SLOT;
		}
	}
	lock_drop(&c->segs.lock);
}

/* ---- free ---- */

void seg_pin(struct cache *c, struct pin *p)
{
	p->epoch = c->epoch;
	lock_take(&c->segs.lock);
	list_push(&c->segs.pins, &p->node);
	lock_drop(&c->segs.lock);
}

void seg_unpin(struct cache *c, struct pin *p)
{
	lock_take(&c->segs.lock);
	list_del(&p->node);
	lock_drop(&c->segs.lock);
}

void seg_committed(struct cache *c)
{
	struct segs *g = &c->segs;
	struct freed *f = g->open;

	if (!f || f->n == 0)
		return;
	f->epoch = c->epoch;
	f->next = NULL;
	if (g->last)
		g->last->next = f;
	else
		g->first = f;
	g->last = f;
	g->open = NULL;
}

static void release_run(struct cache *c, const struct freed_run *v)
	REQUIRES(c->segs.lock)
{
	struct segment *s = c->segs.v[v->seg];

	give_back(c, s, v->slot, v->n);
	c->segs.waiting -= v->n;
	if (is_over(c, s, slots_promised(c)))
		remove_segment(c, s);
}

void seg_release(struct cache *c)
{
	struct segs *g = &c->segs;

	lock_take(&c->segs.lock);
	while (g->first) {
		struct freed *f = g->first;

		if (!list_empty(&g->pins) &&
		    list_first(&g->pins, struct pin, node)->epoch <= f->epoch)
			break;
		g->first = f->next;
		if (!g->first)
			g->last = NULL;
		for (size_t i = 0; i < f->n; i++)
			release_run(c, &f->v[i]);
		free(f);
	}
	lock_drop(&c->segs.lock);
}

/* ---- giving the disk back ---- */

struct punch {
	struct segment *s;
	uint32_t slot, n;
	bool had_room;
};

struct batch {
	struct punch v[BATCH];
	size_t n;
	uint32_t slots;
	uint64_t excess; /* slots with room that may go */
};

/* How many more slots it takes. */
static uint32_t more(const struct batch *b)
{
	return b->n < BATCH ? BATCH_MAX - b->slots : 0;
}

/* Nobody takes it until punched() has it. */
static void add_punch(struct cache *c, struct batch *b, struct segment *s,
		      uint32_t slot, uint32_t n) REQUIRES(c->segs.lock)
{
	bool had_room = s->refs[slot] == SLOT_ROOM;

	if (had_room) {
		add_room(c, s, -(int64_t)n);
		c->segs.punching += n;
		b->excess -= MIN(n, b->excess);
	} else {
		s->n_bare -= n;
	}
	for (uint32_t k = 0; k < n; k++)
		s->refs[slot + k] = SLOT_HELD;
	s->in_use++;
	b->slots += n;
	b->v[b->n++] = (struct punch){ s, slot, n, had_room };
}

/* Bare slots of which some have room since before the open. */
static void sweep(struct cache *c, struct batch *b, struct segment *s)
	REQUIRES(c->segs.lock)
{
	while (s->n_old > 0 && more(b) > 0) {
		uint32_t at = s->swept, n = 0;

		while (at < s->n_slots && s->refs[at] != SLOT_BARE)
			at++;
		while (at + n < s->n_slots && n < more(b) &&
		       s->refs[at + n] == SLOT_BARE)
			n++;
		s->swept = at + n;
		if (n > 0)
			add_punch(c, b, s, at, n);
		else if (s->in_use == 0) /* the last ones are done */
			forget_old(c, s, 0);
		else
			break;
	}
}

/* Runs with room, from the end: allocation begins in front. */
static void trim(struct cache *c, struct batch *b, struct segment *s,
		 uint32_t least) REQUIRES(c->segs.lock)
{
	uint32_t at = s->n_slots;

	while (s->n_room > 0 && at > 0 && b->excess >= least && more(b) > 0) {
		uint32_t n = 0;

		while (at > 0 && s->refs[at - 1] != SLOT_ROOM)
			at--;
		while (n < at && n < MIN(b->excess, more(b)) &&
		       s->refs[at - 1 - n] == SLOT_ROOM)
			n++;
		at -= n;
		if (n >= least)
			add_punch(c, b, s, at, n);
	}
}

static bool nothing_to_trim(const struct segs *g, uint64_t most)
{
	return g->no_punch || (g->old == 0 && !g->trimming && g->room <= most);
}

bool seg_wants_trim(struct cache *c)
{
	struct segs *g = &c->segs;
	bool wants;

	lock_take(&g->lock);
	wants = !nothing_to_trim(g, slots_kept(c) + 2ull * g->step);
	lock_drop(&g->lock);
	return wants;
}

static void collect(struct cache *c, struct batch *b, uint64_t keep, bool all)
	REQUIRES(c->segs.lock)
{
	struct segs *g = &c->segs;
	uint64_t most = keep + (all ? 0 : 2ull * g->step);
	uint64_t least = keep + (all ? 0 : g->step);

	if (nothing_to_trim(g, most))
		return;
	for (uint32_t i = 0; i < g->n_v && g->old > 0 && more(b) > 0; i++) {
		if (g->v[i])
			sweep(c, b, g->v[i]);
	}
	if (g->room > most)
		g->trimming = true;
	b->excess = g->trimming && g->room > least ? g->room - least : 0;
	for (uint32_t i = 0; i < g->n_v && b->excess > 0; i++) {
		if (g->v[i] && !g->v[i]->open)
			trim(c, b, g->v[i], all ? LONG_RUN : 1);
	}
	/* what is promised has its room in open segments */
	b->excess = g->trimming && g->open_room > least && more(b) > 0 ?
			    MIN(g->open_room, g->room) - least :
			    0;
	for (uint32_t i = g->n_v; i-- > 0 && b->excess > 0;) {
		if (g->v[i] && g->v[i]->open)
			trim(c, b, g->v[i], all ? LONG_RUN : 1);
	}
	if (b->n == 0)
		g->trimming = false;
}

static void punched(struct cache *c, const struct punch *p, int r, uint64_t keep)
	REQUIRES(c->segs.lock)
{
	struct segment *s = p->s;

	for (uint32_t k = 0; k < p->n; k++)
		s->refs[p->slot + k] = SLOT_BARE;
	s->n_bare += p->n;
	s->filled = MIN(s->filled, p->slot);
	if (p->had_room)
		c->segs.punching -= p->n;
	if (r < 0 && p->had_room) { /* the disk still holds it */
		s->n_old += p->n;
		c->segs.old += p->n;
	}
	s->in_use--;
	if (is_over(c, s, keep))
		remove_segment(c, s);
}

bool seg_trim(struct cache *c, bool all) NO_LOCK_CHECK
{
	uint64_t keep = all ? slots_promised(c) : slots_kept(c);
	struct segs *g = &c->segs;
	struct batch b = { .n = 0 };
	int r[BATCH];

	lock_take(&g->lock);
	collect(c, &b, keep, all);
	lock_drop(&g->lock);
	if (b.n == 0)
		return false;
	lock_drop(&c->lock);
	for (size_t k = 0; k < b.n; k++)
		r[k] = seg_file_punch(b.v[k].s, b.v[k].slot, b.v[k].n);
	lock_take(&c->lock);
	lock_take(&g->lock);
	for (size_t k = 0; k < b.n; k++) {
		if (r[k] < 0 && !g->no_punch) {
			g->no_punch = true;
			if (r[k] != -EOPNOTSUPP)
				log_warn("data: freed room cannot be given back "
					 "to the disk: %s",
					 err_str(r[k]));
		}
		punched(c, &b.v[k], r[k], keep);
	}
	lock_drop(&g->lock);
	return true;
}
