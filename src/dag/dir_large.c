/*
 * dir_large.c - a directory that is built a part at a time (dir.h)
 *
 *   FIRST   every entry is taken while they fit; then names are only counted
 *   SURVEY  there is a memo: names are only counted, and it is noted where they are
 *   RANGE   entries of as many buckets of the root shard as fit; their shards
 *           are built, and what remains of each is one link
 *
 * Shards are sealed in the order of their buckets, as dir_build.c does it, so the
 * blocks are the same and come in the same order.
 *
 * The sum of a bucket is the exclusive or of a keyed hash of each name and the
 * caller's number for it: who does not know the key cannot choose a set of names
 * with the sum of another.
 */
#include <assert.h>
#include <errno.h>

#include "base/err.h"
#include "crypto/shorthash.h"
#include "dag/dir.h"
#include "dag/dir_impl.h"
#include "dag/profile.h"

#define BITS      DIR_LARGE_BITS
#define FANOUT    DIR_LARGE_FANOUT
#define LARGE_MIN 4096       /* entries; so many are never a basic directory */
#define GUESS     256        /* bytes of a record, where none was seen */
#define PLACES    (2u << 20) /* entries of which it is noted where they are */
#define FEW       32         /* one of so many is found sooner by its place */

struct top {
	uint8_t sum[SHORTHASH_SIZE];
	uint64_t n;
	bool changed, wanted, done;
};

struct top_shard {
	struct dag_root sub;
	const uint8_t *lone; /* the only entry of the bucket, or NULL */
};

/* Where each entry of a survey is, and in which bucket. */
struct places {
	uint64_t *at;
	uint8_t *bucket;
	size_t n, cap;
	uint64_t *wanted; /* of the range that is built next; NULL: all */
	size_t n_wanted;
};

enum phase {
	FIRST,
	SURVEY,
	RANGE
};

struct dir_large {
	uint64_t max_bytes;
	const struct shorthash_key *key;
	const struct dir_memo *old; /* NULL: none */
	enum phase phase;
	bool over;                /* FIRST: they did not fit */
	bool whole;               /* every shard is there */
	uint64_t n;               /* names */
	uint64_t each;            /* bytes of a record, about */
	uint64_t expected;        /* RANGE: entries to come */
	struct places places;     /* nothing, if they are too many */
	struct dir_recs lone;     /* entries of buckets that have but one */
	struct top_shard *shards; /* NULL until they are needed */
	struct top tops[FANOUT];
};

int dir_builder_set_large(struct dir_builder *b, uint64_t max_bytes,
			  const struct shorthash_key *key,
			  const struct dir_memo *old)
{
	struct dir_large *l = calloc(1, sizeof(*l));

	assert(b->p->fanout_bits == BITS && b->p->sealed);
	assert(max_bytes >= 2 * b->p->dir_basic_max);
	if (!l)
		return -ENOMEM;
	l->max_bytes = max_bytes;
	l->key = key;
	l->old = old;
	l->phase = old ? SURVEY : FIRST;
	l->each = GUESS;
	b->large = l;
	return 0;
}

static void places_forget(struct places *p)
{
	free(p->at);
	free(p->bucket);
	free(p->wanted);
	*p = (struct places){ 0 };
}

void dir_large_free(struct dir_large *l)
{
	if (!l)
		return;
	dir_recs_fini(&l->lone);
	places_forget(&l->places);
	free(l->shards);
	free(l);
}

/* ---- where entries are ---- */

static bool places_room(struct places *p)
{
	size_t cap = p->cap ? 2 * p->cap : LARGE_MIN;
	uint64_t *at;
	uint8_t *bucket;

	if (p->n < p->cap)
		return true;
	if (p->n == PLACES)
		return false;
	at = realloc(p->at, cap * sizeof(*at));
	if (!at)
		return false;
	p->at = at;
	bucket = realloc(p->bucket, cap);
	if (!bucket)
		return false;
	p->bucket = bucket;
	p->cap = cap;
	return true;
}

/* The n-th entry of a survey, counted from 1.  Without memory for it all entries
 * are gone over again, as with too many. */
static void place_note(struct dir_large *l, uint64_t n, unsigned bucket,
		       uint64_t place)
{
	struct places *p = &l->places;

	if (p->n + 1 != n)
		return;
	if (!places_room(p)) {
		places_forget(p);
		return;
	}
	p->at[p->n] = place;
	p->bucket[p->n++] = (uint8_t)bucket;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void places_choose(struct dir_large *l)
{
	struct places *p = &l->places;
	size_t n = 0;

	free(p->wanted);
	p->wanted = NULL;
	p->n_wanted = 0;
	if (l->expected > p->n / FEW) {
		places_forget(p); /* in the next ranges as well, most likely */
		return;
	}
	p->wanted = malloc(MAX(l->expected, 1) * sizeof(*p->wanted));
	if (!p->wanted)
		return; /* all of them will do */
	for (size_t i = 0; i < p->n && n < l->expected; i++)
		if (l->tops[p->bucket[i]].wanted)
			p->wanted[n++] = p->at[i];
	qsort(p->wanted, n, sizeof(*p->wanted), by_value);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || p->wanted[i] != p->wanted[i - 1])
			p->wanted[p->n_wanted++] = p->wanted[i];
}

size_t dir_builder_places(const struct dir_builder *b, const uint64_t **ret)
{
	*ret = b->large->places.wanted;
	return b->large->places.n_wanted;
}

/* ---- the rounds ---- */

bool dir_builder_wants(struct dir_builder *b, struct slice name, uint64_t id,
		       uint64_t place, bool changed)
{
	struct dir_large *l = b->large;
	unsigned bucket = hamt_index(hamt_hash(name, 0), BITS, 0);
	struct top *t = &l->tops[bucket];
	uint8_t text[8 + DIR_NAME_MAX], h[SHORTHASH_SIZE];

	if (l->phase == RANGE)
		return t->wanted;
	if (name.n > DIR_NAME_MAX)
		return true; /* dir_builder_add() refuses it */
	put_le64(text, id);
	if (name.n)
		memcpy(text + 8, name.p, name.n);
	shorthash(l->key, slice(text, 8 + name.n), h);
	for (size_t i = 0; i < sizeof(h); i++)
		t->sum[i] ^= h[i];
	t->changed |= changed;
	t->n++;
	l->n++;
	if (l->phase == SURVEY)
		place_note(l, l->n, bucket, place);
	return l->phase == FIRST && !l->over;
}

void dir_large_added(struct dir_builder *b)
{
	struct dir_large *l = b->large;

	if (l->phase != FIRST || b->recs.n_bytes <= l->max_bytes)
		return;
	l->over = true;
	l->each = b->recs.n_bytes / b->recs.n;
	dir_recs_fini(&b->recs);
}

/* Choose the buckets that are built next. */
static void next_range(struct dir_large *l)
{
	uint64_t bytes = 0;
	bool any = false;

	l->phase = RANGE;
	l->expected = 0;
	for (size_t i = 0; i < FANOUT; i++)
		l->tops[i].wanted = false;
	for (size_t i = 0; i < FANOUT; i++) {
		struct top *t = &l->tops[i];

		if (t->done)
			continue;
		bytes += t->n * l->each;
		if (any && bytes > l->max_bytes)
			break;
		any = t->wanted = true;
		l->expected += t->n;
	}
	places_choose(l);
}

static bool is_whole(const struct dir_large *l)
{
	for (size_t i = 0; i < FANOUT; i++)
		if (!l->tops[i].done)
			return false;
	return true;
}

static int begin_ranges(struct dir_large *l)
{
	l->shards = calloc(FANOUT, sizeof(*l->shards));
	if (!l->shards)
		return -ENOMEM;
	for (size_t i = 0; i < FANOUT; i++)
		l->tops[i].done = l->tops[i].n == 0;
	return 0;
}

static int keep_lone(struct dir_builder *b, const struct dir_entry *e,
		     struct top_shard *s)
{
	struct dir_recs *lone = &b->large->lone;
	struct unixfs_child c;
	int r;

	dir_rec_decode(e->rec, &c);
	r = dir_recs_add(lone, &b->body, &c);
	if (r == 0)
		s->lone = lone->v[lone->n - 1].rec;
	return r;
}

/* What has come becomes links. */
static int build_range(struct dir_builder *b)
{
	struct dir_large *l = b->large;
	struct dir_entry *e;
	unsigned index;
	size_t step;
	int r;

	r = dir_sort(b);
	e = b->recs.v;
	for (size_t i = 0; i < b->recs.n && r == 0; i += step) {
		index = hamt_index(e[i].hash, BITS, 0);
		step = dir_bucket_size(b, e + i, b->recs.n - i, 0);
		assert(l->tops[index].wanted && !l->tops[index].done);
		if (step == 1)
			r = keep_lone(b, &e[i], &l->shards[index]);
		else
			r = dir_build_shard(b, e + i, step, 1,
					    &l->shards[index].sub);
		l->tops[index].done = true;
	}
	dir_recs_fini(&b->recs);
	return r;
}

static int build_root(struct dir_builder *b, struct dag_root *ret)
{
	_cleanup_(dir_shard_fini) struct dir_shard s = { .n = 0 };
	struct dir_large *l = b->large;
	int r;

	r = dir_shard_init(&s, FANOUT);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < FANOUT; i++) {
		if (l->shards[i].lone)
			dir_shard_add_entry(b, &s, i, l->shards[i].lone);
		else if (l->tops[i].n)
			dir_shard_add_sub(b, &s, i, &l->shards[i].sub);
	}
	r = dir_shard_seal(b, &s, true, ret);
	l->whole = r == 0;
	return r;
}

/* 1: go over the entries again. */
static int go_on(struct dir_builder *b, struct dag_root *ret)
{
	if (is_whole(b->large))
		return build_root(b, ret);
	next_range(b->large);
	return 1;
}

static int end_first(struct dir_builder *b, struct dag_root *ret)
{
	struct dir_large *l = b->large;
	int r;

	if (!l->over && (b->recs.n < LARGE_MIN || dir_is_basic(b)))
		return dir_build_all(b, ret);
	r = begin_ranges(l);
	if (r < 0)
		return r;
	if (l->over)
		return go_on(b, ret);
	for (size_t i = 0; i < FANOUT; i++)
		l->tops[i].wanted = true;
	r = build_range(b);
	return r < 0 ? r : go_on(b, ret);
}

static int end_survey(struct dir_builder *b, struct dag_root *ret)
{
	struct dir_large *l = b->large;
	int r;

	if (l->n < LARGE_MIN) { /* what shape it has, its entries tell */
		l->phase = FIRST;
		l->n = 0;
		memset(l->tops, 0, sizeof(l->tops));
		places_forget(&l->places);
		return 1;
	}
	r = begin_ranges(l);
	for (size_t i = 0; i < FANOUT && r == 0; i++) {
		struct top *t = &l->tops[i];

		if (t->changed || t->n < 2 || t->n != l->old->tops[i].n ||
		    memcmp(t->sum, l->old->tops[i].sum, sizeof(t->sum)) != 0)
			continue;
		l->shards[i].sub = l->old->tops[i].sub;
		t->done = true;
	}
	return r < 0 ? r : go_on(b, ret);
}

int dir_large_finish(struct dir_builder *b, struct dag_root *ret)
{
	struct dir_large *l = b->large;
	int r;

	if (l->phase == FIRST)
		return end_first(b, ret);
	if (l->phase == SURVEY)
		return end_survey(b, ret);
	if (b->recs.n != l->expected)
		return err_set(b->err, -EUCLEAN,
			       "a directory changed while it was built");
	r = build_range(b);
	return r < 0 ? r : go_on(b, ret);
}

int dir_builder_memo(const struct dir_builder *b, struct dir_memo **ret)
{
	const struct dir_large *l = b->large;
	struct dir_memo *m;

	*ret = NULL;
	if (!l || !l->whole)
		return 0;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < FANOUT; i++) {
		memcpy(m->tops[i].sum, l->tops[i].sum, sizeof(m->tops[i].sum));
		m->tops[i].n = l->tops[i].n;
		m->tops[i].sub = l->shards[i].sub;
	}
	*ret = m;
	return 0;
}
