/* recover_lists.c - what a commit lists: its pieces, and the commits that are kept */
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/log.h"
#include "dag/dir.h"
#include "ledger/head_info.h"
#include "retrieve/finder.h"
#include "retrieve/remote.h"

#define RETAINED_MAX   65536 /* commits; retain.h keeps some hundreds */
#define RETAINED_BATCH 64    /* read at once, as remote.h does */
#define NAME_DIGITS    16

static bool name_number(struct slice name, uint64_t *ret)
{
	uint64_t v = 0;

	if (name.n != NAME_DIGITS)
		return false;
	for (size_t i = 0; i < NAME_DIGITS; i++) {
		uint8_t c = name.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*ret = v;
	return v != 0;
}

/* A row of the catalogue: piece CID v2, then its kind. */
static int on_catalogue(void *ctx, const struct dir_item *item)
{
	struct finder *d = ctx;
	struct piece_cid cid = { .n = 0 };
	uint64_t ordinal;
	size_t n = item->link.n_inline;
	uint8_t kind;

	if (!name_number(item->name, &ordinal) ||
	    item->link.kind != LINK_IDENTITY || n < 2 || n - 1 > PIECE_CID_MAX)
		return -EPROTO;
	kind = item->link.bytes[n - 1];
	if (kind != PIECE_DATA && kind != PIECE_META)
		return -EPROTO;
	cid.n = (uint8_t)(n - 1);
	memcpy(cid.bytes, item->link.bytes, cid.n);
	return remote_add(d->r, ordinal, &cid, (enum piece_kind)kind);
}

int finder_list_pieces(struct finder *d)
{
	const struct commit_info *info = commit_info(d->f->commit);
	struct recover_found *f = d->f;
	const struct remote_piece *v;
	size_t n;
	int r = 0;

	for (size_t i = 0; i < info->n_pieces && r == 0; i++)
		r = remote_add(d->r, info->pieces[i].ordinal,
			       &info->pieces[i].cid, info->pieces[i].kind);
	if (r == 0 && info->catalogue.kind != LINK_NONE)
		r = remote_dir(d->r, &info->catalogue, on_catalogue, d, d->err);
	if (r < 0 && !d->salvage)
		return err_set(d->err, r, "the catalogue of pieces cannot be read");
	v = remote_pieces(d->r, &n);
	f->pieces = calloc(n ? n : 1, sizeof(*f->pieces));
	if (!f->pieces)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		f->pieces[i] = (struct recover_piece){ v[i].ordinal, v[i].cid,
						       v[i].size, v[i].kind,
						       v[i].stores };
		f->n_missing += !v[i].stores;
		f->missing_bytes += v[i].stores ? 0 : v[i].size;
	}
	f->n_pieces = n;
	return 0;
}

static int retained_add(struct recover_found *f, uint64_t sequence, struct slice s)
{
	struct recover_commit *v = f->retained;
	struct cursor c = cursor(s);
	struct head_info info;
	struct slice body;
	uint64_t time;
	int r;

	time = cursor_le64(&c);
	body = cursor_take(&c, c.n);
	r = cursor_done(&c);
	if (r == 0)
		r = head_info_decode(body, &info);
	if (r < 0)
		return r;
	if (sequence >= f->sequence || f->n_retained == RETAINED_MAX)
		return -EPROTO;
	if (f->n_retained % 64 == 0) {
		v = realloc(v, (f->n_retained + 64) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		f->retained = v;
	}
	v += f->n_retained;
	*v = (struct recover_commit){ .sequence = sequence,
				      .time = time,
				      .n_body = body.n,
				      .body = malloc(MAX(body.n, 1)) };
	if (!v->body)
		return -ENOMEM;
	memcpy(v->body, body.p, body.n);
	f->n_retained++;
	return 0;
}

/* The retained commits of one directory: names first, bodies at once. */
struct retained {
	struct finder *d;
	uint64_t sequence[RETAINED_BATCH];
	struct remote_want v[RETAINED_BATCH];
	size_t n;
	struct err *err;
};

/* What cannot be read is no reason to leave out the others. */
static int retained_flush(struct retained *t)
{
	int r = 0, status = remote_bodies(t->d->r, t->v, t->n);

	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].status == 0 && r == 0)
			r = retained_add(t->d->f, t->sequence[i],
					 buf_slice(&t->v[i].body));
		else if (t->v[i].status < 0)
			*t->err = t->v[i].err;
		buf_fini(&t->v[i].body);
	}
	t->n = 0;
	return status < 0 ? status : r;
}

static int on_retained(void *ctx, const struct dir_item *item)
{
	struct retained *t = ctx;
	uint64_t sequence;

	if (!name_number(item->name, &sequence) || item->link.codec != LINK_RAW)
		return -EPROTO;
	t->sequence[t->n] = sequence;
	remote_want_init(&t->v[t->n], &item->link);
	t->v[t->n++].body.max = FINDER_HEAD_BODY_MAX;
	return t->n == RETAINED_BATCH ? retained_flush(t) : 0;
}

static int by_sequence(const void *a, const void *b)
{
	const struct recover_commit *x = a, *y = b;

	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* Snapshots are a comfort: what cannot be read is named, and left out. */
int finder_list_retained(struct finder *d)
{
	const struct commit_info *info = commit_info(d->f->commit);
	_cleanup_free_ struct retained *t = calloc(1, sizeof(*t));
	struct recover_found *f = d->f;
	struct err e = { 0 };
	int r, flushed;

	if (info->retained.kind == LINK_NONE)
		return 0;
	if (!t)
		return -ENOMEM;
	t->d = d;
	t->err = &e;
	r = remote_dir(d->r, &info->retained, on_retained, t, &e);
	flushed = retained_flush(t);
	r = r < 0 ? r : flushed;
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		log_warn("the list of snapshots is not complete: %s",
			 e.text[0] ? e.text : err_str(r));
	if (f->n_retained)
		qsort(f->retained, f->n_retained, sizeof(*f->retained), by_sequence);
	return 0;
}
