#include "retrieve/salvage.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/log.h"
#include "dag/attr.h"
#include "dag/dir.h"
#include "retrieve/finder.h"

#define DEPTH_MAX 4096 /* directories above each other: more is a loop */

/* A commit that a trailer names. */
struct candidate {
	uint64_t sequence;
	int64_t time_s;
	struct piece_cid cid;
};

struct candidates {
	struct candidate *v;
	size_t n, cap;
};

static int candidate_add(struct candidates *c, const struct trailer *t,
			 const struct piece_cid *cid)
{
	size_t cap = c->cap ? 2 * c->cap : 64;
	struct candidate *v = c->v;

	if (c->n == c->cap) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		c->v = v;
		c->cap = cap;
	}
	v[c->n++] = (struct candidate){ t->sequence, t->time_s, *cid };
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->sequence != y->sequence)
		return x->sequence > y->sequence ? -1 : 1;
	return x->time_s > y->time_s ? -1 : x->time_s < y->time_s;
}

/* Every piece's end: what it is called, and the commit that it may hold. */
static int read_trailers(struct finder *d, struct candidates *c, struct salvage *s)
{
	struct piece_cid cid;
	uint32_t stores;
	struct trailer t;
	uint64_t size;
	int r;

	for (size_t i = 0; i < remote_n_listed(d->r); i++) {
		remote_listed(d->r, i, &cid, &size, &stores);
		r = remote_trailer(d->r, &cid, false, &t, NULL);
		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			s->n_unreadable++;
			continue;
		}
		s->n_pieces++;
		if (!t.sequence || (d->p->before && t.sequence >= d->p->before))
			continue;
		s->newest = MAX(s->newest, t.sequence);
		r = candidate_add(c, &t, &cid);
		if (r < 0)
			return r;
	}
	if (c->n)
		qsort(c->v, c->n, sizeof(*c->v), newest_first);
	s->n_commits = c->n;
	return 0;
}

/* ---- is all of the tree there? ---- */

struct tree {
	struct finder *d;
	uint64_t n_dirs, n_lost;
	unsigned depth;
};

static int tree_dir(struct tree *t, const struct link *l);

static int on_item(void *ctx, const struct dir_item *item)
{
	struct tree *t = ctx;
	struct attr a;
	int r;

	r = attr_decode(item->attr, &a);
	return r < 0 || !S_ISDIR(a.mode) ? r : tree_dir(t, &item->link);
}

/* A directory that is lost is counted; what is beside it goes on. */
static int tree_dir(struct tree *t, const struct link *l)
{
	int r;

	if (t->depth == DEPTH_MAX)
		return -ELOOP;
	t->depth++;
	t->n_dirs++;
	r = remote_dir(t->d->r, l, on_item, t, NULL);
	t->depth--;
	if (r == -ENOMEM || r == -ELOOP)
		return r;
	t->n_lost += r < 0;
	return 0;
}

/* ---- one candidate ---- */

static int try_one(struct finder *d, const struct candidate *c, uint64_t newest,
		   struct tree *tree)
{
	struct recover_found *f = calloc(1, sizeof(*f));
	const struct recover_found *seen = d->f;
	int r;

	if (!f)
		return -ENOMEM;
	f->n_stores = seen->n_stores;
	memcpy(f->stores, seen->stores, sizeof(f->stores));
	f->newest = MAX(seen->newest, newest);
	f->sequence = c->sequence;
	f->head = c->cid;
	d->f = f;
	r = finder_open(d);
	if (r == 0)
		r = tree_dir(tree, &commit_info(f->commit)->root);
	if (r < 0) {
		recover_found_free(f);
		d->f = NULL;
	}
	return r;
}

static int choose(struct finder *d, const struct candidates *c, struct salvage *s)
{
	struct recover_found *seen = d->f;
	struct err *outer = d->err;
	int r = 0;

	for (size_t i = 0; i < c->n; i++) {
		struct tree tree = { .d = d };
		struct err e = { "" };

		d->f = seen;
		/* cppcheck-suppress autoVariables; put back below */
		d->err = &e;
		r = try_one(d, &c->v[i], s->newest, &tree);
		if (r == -ENOMEM)
			break;
		if (r < 0) {
			log_warn("commit %llu cannot be mounted: %s",
				 (unsigned long long)c->v[i].sequence,
				 e.text[0] ? e.text : err_str(r));
			continue;
		}
		if (s->found && tree.n_lost) {
			recover_found_free(d->f); /* a newer one is no worse */
			continue;
		}
		recover_found_free(s->found);
		s->found = d->f;
		s->n_dirs = tree.n_dirs;
		s->n_lost_dirs = tree.n_lost;
		if (!tree.n_lost)
			break;
	}
	d->f = seen;
	d->err = outer;
	return r == -ENOMEM ? r : 0;
}

static int salvage(struct finder *d, struct salvage *s)
{
	struct candidates c = { 0 };
	struct err e = { "" };
	int status[RECOVER_STORES_MAX];
	uint64_t n[RECOVER_STORES_MAX];
	struct err *outer = d->err;
	int r;

	d->err = &e; /* that heads are gone is why we are here */
	r = finder_ask_heads(d);
	d->err = outer;
	if (r == -ENOMEM)
		return r;
	r = remote_listing(d->r, status, n, d->err);
	if (r < 0)
		return r;
	d->err->text[0] = '\0';
	for (size_t i = 0; i < d->f->n_stores; i++)
		d->f->stores[i].n_pieces = n[i];
	r = read_trailers(d, &c, s);
	if (r == 0)
		r = choose(d, &c, s);
	free(c.v);
	if (r == 0 && !s->found)
		r = err_set(d->err, -ENOENT,
			    "no piece at these stores holds a commit of this drive that opens");
	return r;
}

int salvage_find(const struct recover_params *p, struct salvage *ret,
		 struct err *reterr)
{
	struct finder d = { .p = p, .salvage = true };
	struct err e = { "" };
	int r;

	*ret = (struct salvage){ 0 };
	if (p->n_stores == 0 || p->n_stores > RECOVER_STORES_MAX)
		return err_set(reterr, -EINVAL, "salvage needs 1 to %d stores",
			       RECOVER_STORES_MAX);
	d.f = calloc(1, sizeof(*d.f));
	if (!d.f)
		return -ENOMEM;
	d.f->n_stores = p->n_stores;
	d.err = &e;
	r = remote_new(p->keys, p->stores, p->n_stores, &d.r);
	if (r == 0)
		r = salvage(&d, ret);
	remote_free(d.r);
	recover_found_free(d.f);
	if (r < 0) {
		recover_found_free(ret->found);
		ret->found = NULL;
	}
	return r < 0 ? err_set(reterr, r, "%s", e.text[0] ? e.text : err_str(r)) : 0;
}
