#include "retrieve/survey.h"

#include <errno.h>
#include <inttypes.h>

#include "base/err.h"
#include "base/log.h"
#include "net/fan.h"

#define SURVEY_WIDTH 16

static int piece_add(struct survey *s, const struct survey_piece *p)
{
	size_t cap = s->cap ? 2 * s->cap : 64;
	struct survey_piece *v = s->v;

	if (s->n == s->cap) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *p;
	return 0;
}

/* Of one sequence the piece with the commit was the last to be written. */
static int newest_first(const void *a, const void *b)
{
	const struct survey_piece *x = a, *y = b;

	if (x->sequence != y->sequence)
		return x->sequence > y->sequence ? -1 : 1;
	if (x->has_commit != y->has_commit)
		return x->has_commit ? -1 : 1;
	if (x->time_s != y->time_s)
		return x->time_s > y->time_s ? -1 : 1;
	return x->ordinal > y->ordinal ? -1 : x->ordinal < y->ordinal;
}

/* Trailers that are read side by side. */
struct trailers {
	struct survey *s;
	size_t first;
	struct trailer t[SURVEY_WIDTH];
	struct piece_cid cid[SURVEY_WIDTH];
	int status[SURVEY_WIDTH];
};

static int read_one(void *ctx, size_t i)
{
	struct trailers *v = ctx;
	uint32_t stores;
	uint64_t size;

	remote_listed(v->s->r, v->first + i, &v->cid[i], &size, &stores);
	v->status[i] = remote_trailer_read(v->s->r, &v->cid[i], &v->t[i]);
	return v->status[i] == -ENOMEM ? -ENOMEM : 0;
}

static int learn(struct survey *s, const struct trailers *v, size_t i)
{
	const struct trailer *t = &v->t[i];
	struct survey_piece p = { .listed = v->first + i };
	int r = v->status[i];

	if (r == 0)
		r = remote_know(s->r, &v->cid[i], t);
	if (r == -ENOMEM || r == -EMSGSIZE)
		return r;
	if (r < 0) {
		s->n_unreadable++;
		return 0;
	}
	p.has_commit = t->sequence != 0;
	p.sequence = t->sequence ? t->sequence : t->previous.sequence + 1;
	p.time_s = t->time_s;
	p.ordinal = t->piece;
	return piece_add(s, &p);
}

int survey_read(struct survey *s)
{
	_cleanup_free_ struct trailers *v = calloc(1, sizeof(*v));
	size_t n_listed = remote_n_listed(s->r), n;
	int r = 0;

	if (!v)
		return -ENOMEM;
	v->s = s;
	for (size_t at = 0; at < n_listed && r == 0; at += n) {
		n = MIN(n_listed - at, SURVEY_WIDTH);
		v->first = at;
		r = fan_out(n, SURVEY_WIDTH, read_one, v);
		for (size_t i = 0; i < n && r == 0; i++)
			r = learn(s, v, i);
	}
	if (r < 0)
		return r;
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), newest_first);
	return 0;
}

void survey_fini(struct survey *s)
{
	free(s->v);
	*s = (struct survey){ .r = s->r };
}

int survey_trailer(const struct survey *s, const struct survey_piece *p,
		   struct trailer *ret, struct piece_cid *ret_cid)
{
	uint32_t stores;
	uint64_t size;

	remote_listed(s->r, p->listed, ret_cid, &size, &stores);
	return remote_trailer(s->r, ret_cid, false, ret, NULL);
}

static int feed(void *ctx, struct slice section)
{
	return piece_index_feed(ctx, section);
}

static int read_index(const struct survey *s, const struct survey_piece *p,
		      enum piece_index_of of, struct piece_index **ret)
{
	struct piece_cid cid;
	struct err e = { "" };
	struct place at;
	struct trailer t;
	int r;

	r = survey_trailer(s, p, &t, &cid);
	if (r == 0)
		r = piece_index_new(&t, of, ret);
	while (r == 0 && piece_index_want(*ret, &at))
		r = remote_section(s->r, p->ordinal, at.off, at.len, feed, *ret, &e);
	if (r < 0 && r != -ENOENT)
		log_warn("an index of piece %016" PRIx64 " cannot be read: %s",
			 p->ordinal, e.text[0] ? e.text : err_str(r));
	return r;
}

int survey_blocks(const struct survey *s, const struct survey_piece *p,
		  enum piece_index_of of, survey_cb cb, void *ctx)
{
	_cleanup_piece_index_ struct piece_index *x = NULL;
	struct xindex_entry e;
	struct xindex_view v = { .n = 0 };
	struct link l;
	int r;

	r = read_index(s, p, of, &x);
	if (r == 0)
		r = piece_index_view(x, &v);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (uint32_t i = 0; i < v.n && r == 0; i++) {
		xindex_get(&v, i, &e);
		xindex_link(&e, v.piece, &l);
		r = cb(ctx, p, &l, &e);
	}
	return r;
}

int survey_all(const struct survey *s, enum piece_index_of of, survey_cb cb,
	       void *ctx)
{
	int r = 0;

	for (size_t i = 0; i < s->n && r == 0; i++)
		r = survey_blocks(s, &s->v[i], of, cb, ctx);
	return r;
}
