/*
 * slots.c - which slots of data/ are free, and who names the others
 *
 * The table of references is rebuilt from the rows at open.  A slot is free
 * (refs 0), held (SLOT_HELD: allocated and not named yet, or dropped and waiting
 * for its commit and for pins), or named by refs rows.
 *
 * What a commit drops waits for pins (struct freed), and is free then.
 */
#include "cache/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define PUNCH_MIN 16 /* slots; smaller runs are left for reuse */

bool seg_fits(const struct segment *s, const struct run *r)
{
	return s && r->slot < s->n_slots && r->n <= s->n_slots - r->slot;
}

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

		if (*ref == 0) {
			s->n_free--;
			c->segs.used++;
		}
		if (*ref < SLOT_HELD - 1)
			(*ref)++;
	}
	return 0;
}

static void remove_segment(struct cache *c, struct segment *s)
{
	if (s->solid)
		c->segs.solid_free -= s->n_free;
	if (c->segs.cur == s)
		c->segs.cur = NULL;
	seg_file_remove(c, s);
}

int seg_scanned(struct cache *c)
{
	if (c->p.read_only)
		return 0;
	for (uint32_t i = 0; i < c->segs.n_v; i++) {
		struct segment *s = c->segs.v[i];

		if (s && s->n_free == s->n_slots)
			remove_segment(c, s);
	}
	return 0;
}

/* ---- allocation ---- */

/*
 * Give the free slots of s room on the disk.  The whole file: what is there
 * stays as it is.
 */
static int make_solid(struct cache *c, struct segment *s)
{
	int r = seg_file_fill(s);

	if (r < 0 && r != -EOPNOTSUPP)
		return r;
	s->solid = true;
	s->cursor = 0;
	c->segs.solid_free += s->n_free;
	return 0;
}

static int new_segment(struct cache *c)
{
	struct segment *s;
	int r = seg_file_create(c, &s);

	if (r < 0)
		return r;
	s->solid = true;
	c->segs.solid_free += s->n_free;
	return 0;
}

/* One more segment with room, an old one if a quarter of it is free. */
static int more_room(struct cache *c) REQUIRES(c->segs.lock)
{
	struct segment *s;

	for (uint32_t i = 0; i < c->segs.n_v; i++) {
		s = c->segs.v[i];
		if (s && !s->solid && s->n_free >= s->n_slots / 4 &&
		    make_solid(c, s) == 0)
			return 0;
	}
	return new_segment(c);
}

static int make_room(struct cache *c, uint64_t n) REQUIRES(c->segs.lock)
{
	int r = 0;

	while (r == 0 && c->segs.solid_free < n)
		r = more_room(c);
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

/* The next free run of s at or behind its cursor, at most n slots. */
static bool take_run(struct segment *s, uint32_t n, uint32_t *slot, uint32_t *ret_n)
{
	uint32_t i = s->cursor, k;

	while (i < s->n_slots && s->refs[i] != 0)
		i++;
	for (k = 0; k < n && i + k < s->n_slots && s->refs[i + k] == 0; k++)
		s->refs[i + k] = SLOT_HELD;
	s->cursor = i + k;
	s->n_free -= k;
	*slot = i;
	*ret_n = k;
	return k > 0;
}

static struct segment *next_solid(struct cache *c)
{
	for (uint32_t i = 0; i < c->segs.n_v; i++) {
		struct segment *s = c->segs.v[i];

		if (s && s->solid && s->n_free > 0) {
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
		if (g->cur && take_run(g->cur, n, &slot, &got))
			break;
		if (g->cur && g->cur->n_free == 0)
			g->cur->solid = false;
		g->cur = next_solid(c);
		if (!g->cur)
			r = -ENOSPC;
	}
	if (r == 0) {
		g->solid_free -= got;
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
		s->refs[slot + k] = 0;
	}
	s->n_free += n;
	c->segs.sgen++; /* a slot is never sealed twice in one generation */
	c->segs.used -= n;
	if (s->solid)
		c->segs.solid_free += n;
}

void seg_discard(struct cache *c, const struct run *r)
{
	lock_take(&c->segs.lock);
	give_back(c, c->segs.v[r->seg], r->slot, (uint32_t)r->n);
	lock_drop(&c->segs.lock);
}

/* ---- names ---- */

bool seg_can_share(struct cache *c, const struct run *r)
{
	struct segment *s = seg_by_number(c, r->seg);

	if (!seg_fits(s, r))
		return false;
	for (uint64_t k = 0; k < r->n; k++) {
		if (s->refs[r->slot + k] >= SLOT_HELD - 2)
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

		assert(*ref != 0 && *ref != SLOT_HELD - 1);
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
			assert(*ref != 0 && *ref != SLOT_HELD);
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
	if (s->n_free == s->n_slots && s != c->segs.cur && s->in_use == 0 &&
	    (!s->solid || c->segs.solid_free - s->n_free >= c->buf.n)) {
		remove_segment(c, s);
		return;
	}
	/* room that is promised to the buffer stays */
	if (!s->solid && v->n >= PUNCH_MIN)
		best_effort(seg_file_punch(s, v->slot, v->n));
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
