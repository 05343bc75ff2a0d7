#include "retrieve/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/log.h"
#include "cache/cache.h"
#include "crypto/keys.h"
#include "dag/attr.h"
#include "dag/dir.h"
#include "dag/piece_reader.h"
#include "ledger/head_info.h"
#include "ledger/ledger.h"
#include "net/fan.h"
#include "provider/head.h"
#include "provider/provider.h"
#include "retrieve/finder.h"
#include "retrieve/internal.h"
#include "retrieve/remote.h"

#define RETAINED_MAX   65536 /* commits; retain.h keeps some hundreds */
#define RETAINED_BATCH 64    /* read at once, as remote.h does */
#define NAME_DIGITS    16

_Static_assert(RECOVER_STORES_MAX == REMOTE_STORES_MAX, "one bit a store");

void recover_found_free(struct recover_found *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n_retained; i++)
		free(f->retained[i].body);
	free(f->retained);
	free(f->pieces);
	free(f->root_xattrs);
	commit_free(f->commit);
	free(f);
}

static void store_note(struct recover_store *s, int status, const char *why)
{
	s->status = status;
	text_copy(s->why, sizeof(s->why), why[0] ? why : err_str(status));
}

/* ---- the head register ---- */

struct asked {
	int status;
	struct err err;
};

struct asking {
	struct finder *d;
	struct asked v[RECOVER_STORES_MAX];
};

/* Stores of one network have one register: the first of them is asked. */
static size_t register_of(const struct finder *d, size_t i)
{
	uint64_t network = d->p->stores[i]->network;

	for (size_t k = 0; network && k < i; k++)
		if (d->p->stores[k]->network == network)
			return k;
	return i;
}

static int ask_head(void *ctx, size_t i)
{
	struct asking *a = ctx;

	if (register_of(a->d, i) != i)
		return 0;

	a->v[i].status = head_newest(a->d->p->stores[i], a->d->p->keys, 0,
				     &a->d->f->stores[i].sequence,
				     &a->d->heads[i], &a->v[i].err);
	return 0;
}

int finder_ask_heads(struct finder *d)
{
	struct recover_found *f = d->f;
	struct asking a = { .d = d };
	size_t answered = 0;
	int status = -EREMOTEIO;

	best_effort(fan_out(f->n_stores, RECOVER_STORES_MAX, ask_head, &a)); /* each
									has its status */
	for (size_t i = 0; i < f->n_stores; i++) {
		struct recover_store *s = &f->stores[i];
		size_t at = register_of(d, i);
		const struct err *e = &a.v[at].err;
		int r = a.v[at].status;

		s->sequence = f->stores[at].sequence;
		d->heads[i] = d->heads[at];

		if (r == -ENOMEM)
			return r;
		answered += r == 0 || r == -ENOENT || r == -ENODATA;
		if (r == -ENOENT)
			store_note(s, r, "it has no commit of this drive");
		else if (r < 0)
			store_note(s, r, e->text);
		if (r == 0 || r == -ENODATA) /* then another may know it */
			f->newest = MAX(f->newest, s->sequence);
		else if (r != -ENOENT)
			err_set(d->err, r, "%s", e->text);
		if (r == -EBADMSG) /* no word on what is there can be trusted */
			status = r;
	}
	if (f->newest) {
		d->err->text[0] = '\0';
		return 0;
	}
	if (!answered)
		return err_set(d->err, status, "no store answers");
	d->err->text[0] = '\0';
	return err_set(d->err, -ENOENT,
		       "no store has a commit of this drive: are these its words, and its stores?");
}

/* What each store says of head h.  -ENOENT: none of them knows it. */
static int heads_at(struct finder *d, uint64_t h, struct piece_cid *at, bool *has)
{
	int r, status = -ENOENT;

	for (size_t i = 0; i < d->f->n_stores; i++) {
		has[i] = d->f->stores[i].sequence == h && d->heads[i].n;
		at[i] = d->heads[i];
		if (d->f->stores[i].sequence == h && !has[i])
			status = -ENODATA;
		if (d->f->stores[i].sequence <= h)
			continue;
		if (register_of(d, i) != i) {
			at[i] = at[register_of(d, i)];
			has[i] = has[register_of(d, i)];
			continue;
		}
		r = head_read(d->p->stores[i], d->p->keys, h, &at[i], d->err);
		has[i] = r == 0;
		status = r < 0 ? r : status;
	}
	for (size_t i = 0; i < d->f->n_stores; i++)
		if (has[i])
			return 0;
	return status;
}

/* The piece of head h that most stores name; the first store breaks a tie. */
static int head_of(struct finder *d, uint64_t h, struct piece_cid *ret)
{
	struct piece_cid at[RECOVER_STORES_MAX];
	bool has[RECOVER_STORES_MAX];
	struct recover_found *f = d->f;
	size_t n, best = 0;
	int r;

	r = heads_at(d, h, at, has);
	if (r < 0)
		return r;
	for (size_t i = 0; i < f->n_stores; i++) {
		n = 0;
		for (size_t k = 0; has[i] && k < f->n_stores; k++)
			n += has[k] && piece_cid_eq(&at[k], &at[i]);
		if (n > f->n_claims) {
			f->n_claims = n;
			best = i;
		}
	}
	*ret = at[best];
	for (size_t i = 0; i < f->n_stores; i++) {
		f->stores[i].other_head = has[i] && !piece_cid_eq(&at[i], ret);
		f->contested |= f->stores[i].other_head;
	}
	return 0;
}

/* ---- the head piece ---- */

/* CommP: a range read is not covered by it (docs/format.md section 5). */
static void verify_head(struct finder *d, size_t i)
{
	struct provider_req req = { .verb = PROVIDER_VERIFY, .cid = d->f->head };
	struct recover_found *f = d->f;
	uint32_t stores = 0;
	uint64_t size;
	int r;

	if (remote_where(d->r, &f->head, &size, &stores) < 0 || !(stores & 1u << i))
		return;
	r = provider_call(d->p->stores[i], &req);
	f->stores[i].head_damaged = r == -EBADMSG;
	f->stores[i].head_whole = r == 0;
	if (r < 0)
		log_warn("head piece: %s", req.err.text);
}

struct commit_section {
	struct finder *d;
	struct commit *ret;
};

static int check_commit(void *ctx, struct slice section)
{
	struct commit_section *c = ctx;

	return piece_commit_parse(section, &c->d->f->trailer, c->d->p->keys,
				  &c->ret);
}

int finder_commit(struct finder *d)
{
	struct recover_found *f = d->f;
	struct commit_section c = { .d = d };
	uint32_t stores;
	int r;

	r = remote_where(d->r, &f->head, &f->head_size, &stores);
	if (r == 0)
		r = remote_trailer(d->r, &f->head, true, &f->trailer, d->err);
	if (r == 0 && f->trailer.sequence != f->sequence)
		r = -EBADMSG; /* the piece of another commit */
	if (r == 0)
		r = remote_section(d->r, f->trailer.piece, f->trailer.commit.off,
				   f->trailer.commit.len, check_commit, &c, d->err);
	if (r == 0 && commit_info(c.ret)->sequence != f->sequence)
		r = -EBADMSG;
	if (r < 0)
		commit_free(c.ret);
	if (r == -EOPNOTSUPP)
		return err_set(d->err, r,
			       "a newer fildrive has written it, and this one cannot read that: update this program");
	if (r < 0)
		return r;
	f->commit = c.ret;
	memcpy(f->commit_hash, commit_digest(f->commit), sizeof(f->commit_hash));
	return 0;
}

/* ---- the list of pieces ---- */

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

static int list_pieces(struct finder *d)
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

/* ---- what a mount needs ---- */

static int check_node(struct finder *d, const struct link *l, const char *what,
		      struct err *e)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct dir_node node;
	int r;

	if (l->kind == LINK_NONE)
		return 0;
	buf_init(&body, 2u << 20);
	r = remote_body(d->r, l, &body, e);
	if (r == 0)
		r = dir_node_parse(buf_slice(&body), true, 0, &node);
	return r < 0 ? err_set(e, r, "%s cannot be read", what) : 0;
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
static int list_retained(struct finder *d)
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

/* A set over 256 bytes is a block of its own; the drive is usable without. */
static int get_root_xattrs(struct finder *d)
{
	const struct attr *a = &commit_info(d->f->commit)->root_attr;
	_cleanup_buf_ struct buf set = { 0 };
	struct err e = { "" };
	int r;

	buf_init(&set, ATTR_XATTRS_MAX);
	if (a->xattr_link.kind != LINK_NONE)
		r = remote_body(d->r, &a->xattr_link, &set, &e);
	else
		r = buf_append(&set, a->xattrs);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		log_warn("the extended attributes of the root are lost: %s",
			 e.text[0] ? e.text : err_str(r));
		return 0;
	}
	d->f->root_xattrs = steal(&set.p);
	d->f->n_root_xattrs = set.n;
	set = (struct buf){ 0 };
	return 0;
}

/* ---- find ---- */

int finder_open(struct finder *d)
{
	int r;

	r = finder_commit(d);
	return r < 0 ? r : finder_complete(d);
}

/* All that does not wait for each other, once the pieces are known. */
enum part {
	PART_ROOT,
	PART_INODES,
	PART_XATTRS,
	PART_RETAINED,
	PART_NX /* and then each store reads its copy of the head piece */
};

struct parts {
	struct finder *d;
	struct asked v[PART_NX];
};

static int part_one(void *ctx, size_t i)
{
	struct parts *p = ctx;
	struct finder *d = p->d;
	const struct commit_info *info = commit_info(d->f->commit);
	struct err *e = i < PART_NX ? &p->v[i].err : NULL;

	switch (i) {
	case PART_ROOT:
		return check_node(d, &info->root, "the root directory", e);
	case PART_INODES:
		return d->salvage ? 0 :
				    check_node(d, &info->inode_table,
					       "the inode table", e);
	case PART_XATTRS: return get_root_xattrs(d);
	case PART_RETAINED: return list_retained(d);
	default: verify_head(d, i - PART_NX); return 0;
	}
}

int finder_complete(struct finder *d)
{
	struct parts p = { .d = d };
	int r;

	r = list_pieces(d);
	if (r == 0)
		r = fan_out(PART_NX + d->f->n_stores, FAN_WIDTH_MAX, part_one, &p);
	for (size_t i = 0; i < d->f->n_stores; i++)
		d->f->head_verified |= d->f->stores[i].head_whole;
	for (size_t i = 0; i < PART_NX && r < 0; i++)
		if (p.v[i].err.text[0]) {
			*d->err = p.v[i].err;
			break;
		}
	return r;
}

/* The registers and the lists of pieces, side by side. */
struct looking {
	struct finder *d;
	int heads, listing;
	struct err err; /* of the listing */
	int status[RECOVER_STORES_MAX];
	uint64_t n[RECOVER_STORES_MAX];
};

static int look(void *ctx, size_t i)
{
	struct looking *l = ctx;

	if (i == 0)
		l->heads = finder_ask_heads(l->d);
	else
		l->listing = remote_listing(l->d->r, l->status, l->n, &l->err);
	return 0;
}

static int find(struct finder *d)
{
	struct recover_found *f = d->f;
	struct looking l = { .d = d };
	int r;

	best_effort(fan_out(2, 2, look, &l)); /* each has its status */
	if (l.heads < 0)
		return l.heads;
	f->sequence = f->newest;
	if (d->p->before)
		f->sequence = MIN(f->newest, d->p->before - 1);
	if (f->sequence == 0)
		return err_set(d->err, -ENOENT,
			       "there is no commit before %" PRIu64, d->p->before);
	if (l.listing < 0) /* one that is away says so in its row */
		return err_set(d->err, l.listing, "%s", l.err.text);
	for (size_t i = 0; i < f->n_stores; i++)
		f->stores[i].n_pieces = l.n[i];
	r = head_of(d, f->sequence, &f->head);
	return r < 0 ? r : finder_open(d);
}

int recover_find(const struct recover_params *p, struct recover_found **ret,
		 struct err *reterr)
{
	struct finder d = { .p = p };
	struct err e = { 0 };
	int r;

	*ret = NULL;
	if (p->n_stores == 0 || p->n_stores > RECOVER_STORES_MAX)
		return err_set(reterr, -EINVAL, "recover needs 1 to %d stores",
			       RECOVER_STORES_MAX);
	d.f = calloc(1, sizeof(*d.f));
	if (!d.f)
		return -ENOMEM;
	d.err = &e;
	d.f->n_stores = p->n_stores;
	r = remote_new(p->keys, p->stores, p->n_stores, &d.r);
	if (r == 0)
		r = find(&d);
	remote_free(d.r);
	*ret = d.f;
	if (r == 0)
		return 0;
	if (r == -EPROTO) /* authentic, yet not what we write */
		r = -EBADMSG;
	if (d.f->sequence && r != -EREMOTEIO)
		return err_set(reterr, r, "commit %" PRIu64 " cannot be used: %s",
			       d.f->sequence, e.text[0] ? e.text : err_str(r));
	return err_set(reterr, r, "%s", e.text[0] ? e.text : err_str(r));
}

/* ---- into the ledger ---- */

static int learn_piece(const struct recover_found *f, struct ledger *l,
		       const uint64_t *store_ids, const struct recover_piece *p)
{
	const struct ledger_piece lp = {
		.ordinal = p->ordinal,
		.cid = p->cid,
		.size = p->size,
		.kind = p->kind,
		/* The head's own piece: the next commit lists it. */
		.seq = p->ordinal == f->trailer.piece ? 0 : f->sequence,
		.live = p->size,
		.created = (uint64_t)commit_info(f->commit)->time.s,
	};
	int r;

	r = ledger_piece_learn(l, &lp);
	for (size_t i = 0; i < f->n_stores && r >= 0; i++) {
		const struct ledger_placement at = { .piece = p->ordinal,
						     .store = store_ids[i],
						     .state = LEDGER_LISTED };

		if (store_ids[i] && p->stores & 1u << i)
			r = ledger_placement_set(l, &at);
	}
	return r < 0 ? r : 0;
}

static int add_head(struct ledger *l, uint64_t sequence,
		    enum ledger_head_state state, uint64_t time, uint64_t piece,
		    const uint8_t *hash, struct slice body)
{
	struct ledger_head h = { .seq = sequence,
				 .state = state,
				 .time = time,
				 .piece = piece,
				 .body = body };
	int r;

	if (hash)
		memcpy(h.hash, hash, sizeof(h.hash));
	r = ledger_head_add(l, &h, NULL, 0, 0, NULL, 0);
	return r < 0 ? r : 0;
}

/*
 * With more than half of the stores it is published.  With fewer it may be on
 * its way there, by another device that is gone, and be overtaken by a third.
 * One that is contested was chosen by a person.
 */
static enum ledger_head_state state_of(const struct recover_found *f)
{
	bool open = f->n_claims && 2 * f->n_claims <= f->n_stores;

	return open && !f->contested && f->sequence == f->newest ? LEDGER_BUILT :
								   LEDGER_CLAIMED;
}

int finder_head_body(const struct commit_info *info, struct buf *body)
{
	_cleanup_buf_ struct buf attr = { 0 };
	struct head_info hi = { .root = info->root,
				.inode_table = info->inode_table,
				.catalogue = info->catalogue,
				.device = info->device,
				.n_inodes = info->n_inodes,
				.n_bytes = info->n_bytes };
	int r;

	buf_init(&attr, ATTR_ENCODED_MAX);
	r = attr_encode(&info->root_attr, &attr);
	hi.root_attr = buf_slice(&attr);
	return r < 0 ? r : head_info_encode(&hi, body);
}

static int add_newest(const struct recover_found *f, struct ledger *l)
{
	const struct commit_info *info = commit_info(f->commit);
	_cleanup_buf_ struct buf body = { 0 };
	int r;

	buf_init(&body, FINDER_HEAD_BODY_MAX);
	r = finder_head_body(info, &body);
	if (r < 0)
		return r;
	return add_head(l, f->sequence, state_of(f), (uint64_t)info->time.s,
			f->trailer.piece, f->commit_hash, buf_slice(&body));
}

int recover_into(const struct recover_found *f, struct ledger *l,
		 const uint64_t *store_ids, struct err *reterr)
{
	int r = 0;

	for (size_t i = 0; i < f->n_pieces && r == 0; i++)
		r = learn_piece(f, l, store_ids, &f->pieces[i]);
	for (size_t i = 0; i < f->n_retained && r == 0; i++)
		r = add_head(l, f->retained[i].sequence, LEDGER_CLAIMED,
			     f->retained[i].time, 0, NULL,
			     slice(f->retained[i].body, f->retained[i].n_body));
	if (r == 0)
		r = add_newest(f, l);
	if (r == 0)
		r = ledger_set_u64(l, LEDGER_HEAD_SEEN, f->newest);
	if (r >= 0)
		r = ledger_set_u64(l, LEDGER_BASE, f->sequence);
	if (r >= 0)
		r = ledger_set_u64(l, LEDGER_MIN_WRITER,
				   commit_info(f->commit)->min_writer);
	return r < 0 ? err_set(reterr, r, "ledger.db: %s", err_str(r)) : 0;
}

int recover_root(const struct recover_found *f, struct cache_attr *ret_attr,
		 struct buf *ret_link, uint64_t *ret_next_ino)
{
	const struct commit_info *info = commit_info(f->commit);

	attr_to_cache(&info->root_attr, ret_attr);
	*ret_next_ino = info->ino_next;
	return link_encode(&info->root, ret_link);
}

int recover_format(const struct recover_found *f, const struct cache_params *p,
		   struct err *reterr)
{
	_cleanup_free_ struct source_xattr *xattrs = NULL;
	_cleanup_buf_ struct buf link = { 0 };
	const struct commit_info *info = commit_info(f->commit);
	const struct cache_counts counts = { info->n_inodes, info->n_bytes };
	struct source_entry root = { .name = SLICE_NONE };
	struct cache_attr attr;
	uint64_t next_ino;
	int r;

	buf_init(&link, LINK_ENCODED_MAX);
	r = recover_root(f, &attr, &link, &next_ino);
	if (r == 0)
		r = xattrs_of(slice(f->root_xattrs, f->n_root_xattrs), &xattrs,
			      &root.n_xattrs);
	if (r < 0)
		return r;
	root.attr = &attr;
	root.link = buf_slice(&link);
	root.xattrs = xattrs;
	return cache_format_entry(p, &root, next_ino, &counts, reterr);
}
