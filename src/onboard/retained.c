/*
 * retained.c - the commits that may still be mounted, as a sealed directory
 *
 * A small file for each: its time and what the ledger keeps of a head
 * (docs/format.md section 4).  Not the root's own entry with a few attributes
 * more: a snapshot's root keeps its own.
 */
#include "onboard/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "dag/attr.h"
#include "dag/dir.h"
#include "dag/profile.h"
#include "ledger/ledger.h"
#include "onboard/retain.h"

#define NAME_SIZE 17   /* 16 hex digits and NUL */
#define FILE_MAX  8200 /* bytes: time, and links, Attr and device of a head */

/* A commit, copied: what the ledger lends is gone after the call. */
struct kept {
	uint64_t seq;
	struct buf file;
};

struct retained {
	struct kept *v;
	uint64_t *times;
	size_t n, cap;
};

static int on_head(void *ctx, const struct ledger_head *h)
{
	struct retained *t = ctx;
	size_t cap = t->cap ? 2 * t->cap : 64;
	uint64_t *times;
	struct kept *v;
	int r;

	if (h->state == LEDGER_SUPERSEDED)
		return 0; /* another device's counts */
	if (t->n == t->cap) {
		v = realloc(t->v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		t->v = v;
		times = realloc(t->times, cap * sizeof(*times));
		if (!times)
			return -ENOMEM;
		t->times = times;
		t->cap = cap;
	}
	t->times[t->n] = h->time;
	v = &t->v[t->n++];
	v->seq = h->seq;
	buf_init(&v->file, FILE_MAX);
	r = buf_le64(&v->file, h->time);
	return r < 0 ? r : buf_append(&v->file, h->body);
}

static int add(struct run *r, struct dir_builder *b, const struct kept *k)
{
	const struct attr a = { .mode = 0100400, .size = k->file.n };
	_cleanup_buf_ struct buf attr = { 0 };
	char name[NAME_SIZE];
	struct link l;
	int rc;

	buf_init(&attr, ATTR_ENCODED_MAX);
	rc = pack_block(r->pack, LINK_RAW, XINDEX_RETAINED, buf_slice(&k->file), &l);
	if (rc == 0)
		rc = attr_encode(&a, &attr);
	if (rc < 0)
		return rc;
	(void)snprintf(name, sizeof(name), "%016" PRIx64, k->seq); /* fits */
	return dir_builder_add(b, slice_str(name), &l, k->file.n, buf_slice(&attr));
}

/* Every device thins alike: what this list leaves out, none will have again. */
static int forget(struct run *r, const struct retained *t, const bool *keep)
{
	_cleanup_free_ uint64_t *seqs = calloc(t->n ? t->n : 1, sizeof(*seqs));
	size_t n = 0;

	if (!seqs)
		return -ENOMEM;
	for (size_t i = 0; i < t->n; i++)
		if (!keep[i])
			seqs[n++] = t->v[i].seq;
	return n ? ledger_heads_thin(r->o->p.ledger, seqs, n) : 0;
}

static int build(struct run *r, const struct retained *t, uint64_t now,
		 struct link *ret)
{
	_cleanup_free_ bool *keep = calloc(t->n ? t->n : 1, sizeof(*keep));
	_cleanup_dir_builder_ struct dir_builder *b = NULL;
	struct dag_root root;
	int rc;

	if (!keep)
		return -ENOMEM;
	retain_choose(t->times, t->n, now, keep);
	rc = forget(r, t, keep);
	if (rc < 0)
		return rc;
	rc = dir_builder_new(&dag_profile_sealed,
			     pack_sealer(r->pack, XINDEX_RETAINED), &b);
	for (size_t i = 0; i < t->n && rc == 0; i++)
		if (keep[i])
			rc = add(r, b, &t->v[i]);
	if (rc == 0)
		rc = dir_builder_finish(b, &root, r->err);
	if (rc == 0)
		*ret = root.link;
	return rc;
}

int retained_build(struct run *r, uint64_t now, struct link *ret)
{
	struct retained t = { 0 };
	int rc;

	rc = ledger_heads(r->o->p.ledger, on_head, &t);
	if (rc == 0)
		rc = build(r, &t, now, ret);
	for (size_t i = 0; i < t.n; i++)
		buf_fini(&t.v[i].file);
	free(t.v);
	free(t.times);
	return rc;
}
