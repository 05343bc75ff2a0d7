#include "retrieve/remote.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/commp.h"
#include "crypto/keys.h"
#include "crypto/seal.h"
#include "dag/dir.h"
#include "dag/piece_reader.h"
#include "net/fan.h"
#include "provider/provider.h"

#define DIR_LEVELS \
 DIR_WAY_MAX           /* shards below the root; the hash has 8 levels */
#define WIDTH       16 /* blocks asked for at once */
#define SECTION_MAX (PIECE_BLOCK_MAX + PIECE_HEAD_MAX)

struct listed {
	struct piece_cid cid;
	uint64_t size;
	uint32_t stores;
};

struct remote {
	const struct keys *keys;
	struct provider *const *stores;
	size_t n_stores;
	struct listed *listed; /* ascending by CID once complete */
	size_t n_listed;
	struct remote_piece *pieces; /* ascending by ordinal */
	size_t n_pieces, cap_pieces;
};

int remote_new(const struct keys *keys, struct provider *const *stores,
	       size_t n_stores, struct remote **ret)
{
	struct remote *r;

	if (n_stores == 0 || n_stores > REMOTE_STORES_MAX)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->keys = keys;
	r->stores = stores;
	r->n_stores = n_stores;
	*ret = r;
	return 0;
}

void remote_free(struct remote *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_pieces; i++)
		free(r->pieces[i].tail);
	free(r->pieces);
	free(r->listed);
	free(r);
}

/* ---- the listing ---- */

struct listing {
	struct provider *provider;
	struct listed *v;
	size_t n, cap;
	uint32_t bit;
	int status;
	struct err err;
};

/* Room for one more in an array that doubles. */
static int grow(void **v, size_t n, size_t *cap, size_t size)
{
	size_t want = *cap ? 2 * *cap : 64;
	void *p;

	if (n < *cap)
		return 0;
	if (n >= REMOTE_STORES_MAX * (size_t)REMOTE_PIECES_MAX)
		return -EMSGSIZE;
	p = realloc(*v, want * size);
	if (!p)
		return -ENOMEM;
	*v = p;
	*cap = want;
	return 0;
}

static int on_listed(struct provider_req *req, const struct piece_cid *cid,
		     uint64_t size)
{
	struct listing *l = req->ctx;
	void *v = l->v;
	int rc;

	if (l->n >= REMOTE_PIECES_MAX)
		return -EMSGSIZE;
	rc = grow(&v, l->n, &l->cap, sizeof(*l->v));
	if (rc < 0)
		return rc;
	l->v = v;
	l->v[l->n++] = (struct listed){ *cid, size, l->bit };
	return 0;
}

static int by_cid(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;
	int r = slice_cmp(piece_cid_slice(&x->cid), piece_cid_slice(&y->cid));

	if (r)
		return r;
	return x->size < y->size ? -1 : x->size > y->size;
}

/* One row a piece and size, with all who list it. */
static void merge(struct remote *r)
{
	size_t n = 0;

	if (!r->n_listed)
		return;
	qsort(r->listed, r->n_listed, sizeof(*r->listed), by_cid);
	for (size_t i = 1; i < r->n_listed; i++) {
		if (by_cid(&r->listed[n], &r->listed[i]) == 0)
			r->listed[n].stores |= r->listed[i].stores;
		else
			r->listed[++n] = r->listed[i];
	}
	r->n_listed = n + 1;
}

static int list_one(void *ctx, size_t i)
{
	struct listing *l = (struct listing *)ctx + i;
	struct provider_req req = { .verb = PROVIDER_LIST,
				    .found = on_listed,
				    .ctx = l };

	l->status = provider_call(l->provider, &req);
	l->err = req.err;
	return 0;
}

/* What they list into one array. */
static int gather(struct remote *r, const struct listing *l)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_stores; i++)
		n += l[i].n;
	r->listed = calloc(MAX(n, 1), sizeof(*r->listed));
	if (!r->listed)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_stores; i++) {
		if (l[i].n)
			memcpy(r->listed + r->n_listed, l[i].v,
			       l[i].n * sizeof(*l[i].v));
		r->n_listed += l[i].n;
	}
	merge(r);
	return 0;
}

int remote_listing(struct remote *r, int *ret_status, uint64_t *ret_n,
		   struct err *reterr)
{
	struct listing l[REMOTE_STORES_MAX] = { 0 };
	size_t answered = 0;
	int rc = 0;

	for (size_t i = 0; i < r->n_stores; i++) {
		l[i].provider = r->stores[i];
		l[i].bit = 1u << i;
	}
	best_effort(fan_out(r->n_stores, REMOTE_STORES_MAX, list_one, l)); /* each
									has its status */
	for (size_t i = 0; i < r->n_stores; i++) {
		int status = l[i].status;

		if (status == -ENOMEM || status == -EMSGSIZE)
			rc = err_set(reterr, status, "%s: the list of pieces: %s",
				     provider_name(r->stores[i]), err_str(status));
		else if (status < 0 && rc == 0)
			err_set(reterr, status, "%s", l[i].err.text);
		answered += status == 0;
		ret_status[i] = status;
		ret_n[i] = l[i].n;
	}
	if (rc == 0)
		rc = gather(r, l);
	for (size_t i = 0; i < r->n_stores; i++)
		free(l[i].v);
	return rc < 0 ? rc : answered ? 0 : -EREMOTEIO;
}

size_t remote_n_listed(const struct remote *r)
{
	return r->n_listed;
}

void remote_listed(const struct remote *r, size_t i, struct piece_cid *ret,
		   uint64_t *ret_size, uint32_t *ret_stores)
{
	*ret = r->listed[i].cid;
	*ret_size = r->listed[i].size;
	*ret_stores = r->listed[i].stores;
}

int remote_where(const struct remote *r, const struct piece_cid *cid,
		 uint64_t *ret_size, uint32_t *ret_stores)
{
	struct listed key = { .cid = *cid };
	const struct listed *found = NULL;
	struct commp_sum sum;
	int rc;

	rc = piece_cid_parse(piece_cid_slice(cid), &sum);
	if (rc < 0)
		return rc;
	key.size = sum.raw_size;
	if (r->n_listed)
		found = bsearch(&key, r->listed, r->n_listed,
				sizeof(*r->listed), by_cid);
	*ret_size = sum.raw_size;
	*ret_stores = found ? found->stores : 0;
	return 0;
}

/* ---- pieces ---- */

/* Where `ordinal` stands, or would stand. */
static size_t piece_at(const struct remote *r, uint64_t ordinal)
{
	size_t lo = 0, hi = r->n_pieces, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (r->pieces[mid].ordinal < ordinal)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct remote_piece *piece_find(const struct remote *r, uint64_t ordinal)
{
	size_t i = piece_at(r, ordinal);

	return i < r->n_pieces && r->pieces[i].ordinal == ordinal ? &r->pieces[i] :
								    NULL;
}

bool remote_has(const struct remote *r, uint64_t ordinal)
{
	const struct remote_piece *p = piece_find(r, ordinal);

	return p && p->stores;
}

int remote_add(struct remote *r, uint64_t ordinal, const struct piece_cid *cid,
	       enum piece_kind kind)
{
	const struct remote_piece *known = piece_find(r, ordinal);
	struct remote_piece p = { .ordinal = ordinal, .cid = *cid, .kind = kind };
	void *v = r->pieces;
	size_t i;
	int rc;

	if (known)
		return piece_cid_eq(&known->cid, cid) ? 0 : -EEXIST;
	if (ordinal == 0 || r->n_pieces >= REMOTE_PIECES_MAX)
		return ordinal ? -EMSGSIZE : -EPROTO;
	rc = remote_where(r, cid, &p.size, &p.stores);
	if (rc == 0)
		rc = grow(&v, r->n_pieces, &r->cap_pieces, sizeof(*r->pieces));
	if (rc < 0)
		return rc;
	r->pieces = v;
	i = piece_at(r, ordinal);
	memmove(r->pieces + i + 1, r->pieces + i,
		(r->n_pieces - i) * sizeof(*r->pieces));
	r->pieces[i] = p;
	r->n_pieces++;
	return 0;
}

const struct remote_piece *remote_pieces(const struct remote *r, size_t *ret_n)
{
	*ret_n = r->n_pieces;
	return r->pieces;
}

/* ---- bytes ---- */

static int get(struct remote *r, size_t store, const struct piece_cid *cid,
	       uint64_t off, uint8_t *dst, size_t n, struct err *reterr)
{
	struct provider_req req = { .verb = PROVIDER_GET, .cid = *cid, .off = off };
	int rc;

	req.n = n;
	req.dst = dst;
	rc = provider_call(r->stores[store], &req);
	if (rc < 0)
		return err_set(reterr, rc == -ENOENT ? -ENODATA : rc, "%s",
			       req.err.text);
	return req.ret_n == n ? 0 : -EBADMSG;
}

/* Of the failures of several stores the one that says most. */
static int worse(int a, int b)
{
	if (a == 0 || a == -ENODATA)
		return b;
	return b == 0 || b == -ENODATA || a == -EBADMSG ? a : b;
}

static int keep_tail(struct remote *r, const struct piece_cid *cid,
		     const struct trailer *t, uint8_t **tail, size_t n)
{
	struct remote_piece *p;
	int rc;

	rc = remote_add(r, t->piece, cid, t->kind);
	if (rc < 0)
		return rc;
	p = piece_find(r, t->piece);
	assert(p);         /* remote_add() found or made it */
	p->kind = t->kind; /* of the two who said it, it knows */
	if (tail && !p->tail) {
		p->tail = steal(tail);
		p->n_tail = n;
	}
	return 0;
}

/* The last `n` bytes at the first store where they are a tail of this piece. */
static int read_tail(struct remote *r, const struct piece_cid *cid, size_t n,
		     struct trailer *ret, uint8_t **ret_tail, size_t *ret_n,
		     struct err *reterr)
{
	_cleanup_free_ uint8_t *tail = NULL;
	int rc, status = -ENODATA;
	uint32_t stores;
	uint64_t size;

	rc = remote_where(r, cid, &size, &stores);
	if (rc < 0)
		return rc;
	n = MIN(n, size);
	tail = malloc(n ? n : 1);
	if (!tail)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_stores; i++) {
		if (!(stores & 1u << i))
			continue;
		rc = get(r, i, cid, size - n, tail, n, reterr);
		if (rc == 0)
			rc = piece_tail_parse(slice(tail, n), size, r->keys, ret);
		if (rc == 0) {
			*ret_tail = steal(&tail);
			*ret_n = n;
		}
		if (rc == 0 || rc == -ENOMEM) /* says nothing of the piece */
			return rc;
		status = worse(status, rc);
	}
	return status;
}

int remote_trailer(struct remote *r, const struct piece_cid *cid, bool keep,
		   struct trailer *ret, struct err *reterr)
{
	_cleanup_free_ uint8_t *tail = NULL;
	size_t n = 0;
	int rc;

	rc = read_tail(r, cid, keep ? PIECE_TAIL_SIZE : TRAILER_SECTION_SIZE,
		       ret, &tail, &n, reterr);
	return rc < 0 ? rc : keep_tail(r, cid, ret, keep ? &tail : NULL, n);
}

int remote_trailer_read(struct remote *r, const struct piece_cid *cid,
			struct trailer *ret)
{
	_cleanup_free_ uint8_t *tail = NULL;
	size_t n;

	return read_tail(r, cid, TRAILER_SECTION_SIZE, ret, &tail, &n, NULL);
}

int remote_know(struct remote *r, const struct piece_cid *cid,
		const struct trailer *t)
{
	return keep_tail(r, cid, t, NULL, 0);
}

int remote_section(struct remote *r, uint64_t ordinal, uint64_t off, uint32_t len,
		   remote_check check, void *ctx, struct err *reterr)
{
	const struct remote_piece *p = piece_find(r, ordinal);
	_cleanup_free_ uint8_t *bytes = NULL;
	int rc, status = -ENODATA;
	struct slice s;

	if (!p)
		return err_set(reterr, -ENODATA,
			       "piece %016" PRIx64 " is in no list of the drive",
			       ordinal);
	if (len == 0 || len > SECTION_MAX || off > p->size || len > p->size - off)
		return -EBADMSG;
	if (p->tail &&
	    piece_tail_range(slice(p->tail, p->n_tail), p->size, off, len, &s) == 1 &&
	    check(ctx, s) == 0)
		return 0;
	bytes = malloc(len);
	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_stores; i++) {
		if (!(p->stores & 1u << i))
			continue;
		rc = get(r, i, &p->cid, off, bytes, len, reterr);
		if (rc == 0)
			rc = check(ctx, slice(bytes, len));
		if (rc == 0 || rc == -ENOMEM || rc == -EOPNOTSUPP)
			return rc; /* nothing is wrong with the piece */
		status = worse(status, rc);
	}
	return err_set(reterr, status, "piece %016" PRIx64 " %s", ordinal,
		       status == -ENODATA ? "is at no store" :
					    "cannot be read at any store");
}

struct open_block {
	const struct link *l;
	struct buf *ret;
	size_t n; /* bytes of ret before */
};

static int check_block(void *ctx, struct slice section)
{
	struct open_block *o = ctx;
	int rc;

	rc = piece_block_open(section, o->l, SEAL_BODY_MAX, o->ret);
	if (rc < 0)
		o->ret->n = o->n;
	return rc;
}

int remote_body(struct remote *r, const struct link *l, struct buf *ret,
		struct err *reterr)
{
	struct open_block o = { l, ret, ret->n };

	if (l->kind == LINK_IDENTITY)
		return buf_append(ret, slice(l->bytes, l->n_inline));
	if (l->kind != LINK_SEALED)
		return -EPROTO;
	return remote_section(r, l->place.piece, l->place.off, l->place.len,
			      check_block, &o, reterr);
}

struct wanted {
	struct remote *r;
	struct remote_want *v;
};

static int body_one(void *ctx, size_t i)
{
	const struct wanted *w = ctx;
	struct remote_want *v = &w->v[i];

	v->status = remote_body(w->r, &v->link, &v->body, &v->err);
	return v->status;
}

void remote_want_init(struct remote_want *w, const struct link *l)
{
	*w = (struct remote_want){ .link = *l };
	buf_init(&w->body, SEAL_BODY_MAX);
}

int remote_bodies(struct remote *r, struct remote_want *v, size_t n)
{
	struct wanted w = { r, v };

	return fan_out(n, WIDTH, body_one, &w);
}

/* ---- directories ---- */

struct walk {
	struct remote *r;
	int (*cb)(void *ctx, const struct dir_item *item);
	void *ctx;
	struct err *reterr;
	struct dir_way way; /* to the shard that is being read */
};

static int walk_node(struct walk *w, struct slice body, unsigned level);

/* Sub-shards of one node, so many at once; `at`: their buckets. */
static int walk_shards(struct walk *w, struct remote_want *v,
		       const uint16_t at[static WIDTH], size_t n, unsigned level)
{
	int rc = remote_bodies(w->r, v, n);

	for (size_t i = 0; i < n; i++)
		if (v[i].status < 0 && w->reterr)
			*w->reterr = v[i].err;
	for (size_t i = 0; i < n && rc == 0; i++) {
		w->way.depth = level;
		w->way.at[level - 1] = at[i];
		rc = walk_node(w, buf_slice(&v[i].body), level);
	}
	for (size_t i = 0; i < n; i++)
		buf_fini(&v[i].body);
	return rc;
}

static int walk_node(struct walk *w, struct slice body, unsigned level)
{
	_cleanup_free_ struct remote_want *v = calloc(WIDTH, sizeof(*v));
	struct dir_node node;
	struct dir_item item;
	struct dir_iter it;
	uint16_t at[WIDTH] = { 0 };
	size_t n = 0;
	int rc;

	if (!v)
		return -ENOMEM;
	rc = dir_node_parse(body, true, level, &node);
	if (rc < 0)
		return rc;
	dir_iter_init(&it, &node);
	while ((rc = dir_next(&it, &item)) == 1) {
		if (!item.is_subshard) {
			rc = dir_way_leads_to(&w->way, &node, item.name) ?
				     w->cb(w->ctx, &item) :
				     -EPROTO;
			if (rc)
				break;
			continue;
		}
		if (level == DIR_LEVELS) {
			rc = -EPROTO;
			break;
		}
		at[n] = (uint16_t)item.index;
		remote_want_init(&v[n++], &item.link);
		rc = n == WIDTH ? walk_shards(w, v, at, n, level + 1) : 0;
		w->way.depth = level;
		if (n == WIDTH)
			n = 0;
		if (rc)
			break;
	}
	if (rc == 0 && n)
		return walk_shards(w, v, at, n, level + 1);
	while (n)
		buf_fini(&v[--n].body);
	return rc;
}

int remote_dir(struct remote *r, const struct link *dir,
	       int (*cb)(void *ctx, const struct dir_item *item), void *ctx,
	       struct err *reterr)
{
	struct walk w = { r, cb, ctx, reterr, { 0 } };
	_cleanup_buf_ struct buf body = { 0 };
	int rc;

	buf_init(&body, SEAL_BODY_MAX);
	rc = remote_body(r, dir, &body, reterr);
	return rc < 0 ? rc : walk_node(&w, buf_slice(&body), 0);
}
