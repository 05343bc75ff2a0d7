#include "retrieve/recover.h"

#include <errno.h>
#include <inttypes.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "dag/attr.h"
#include "dag/dir.h"
#include "dag/piece_reader.h"
#include "net/fan.h"
#include "provider/provider.h"
#include "retrieve/finder.h"
#include "retrieve/remote.h"

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
	d->other = r == 0 && f->trailer.sequence != f->sequence;
	if (d->other)
		r = err_set(d->err, -EBADMSG,
			    "the piece that is named is one of another commit");
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
	struct err v[PART_NX];
};

static int part_one(void *ctx, size_t i)
{
	struct parts *p = ctx;
	struct finder *d = p->d;
	const struct commit_info *info = commit_info(d->f->commit);
	struct err *e = i < PART_NX ? &p->v[i] : NULL;

	switch (i) {
	case PART_ROOT:
		return check_node(d, &info->root, "the root directory", e);
	case PART_INODES:
		return d->salvage ? 0 :
				    check_node(d, &info->inode_table,
					       "the inode table", e);
	case PART_XATTRS: return get_root_xattrs(d);
	case PART_RETAINED: return finder_list_retained(d);
	default: verify_head(d, i - PART_NX); return 0;
	}
}

int finder_complete(struct finder *d)
{
	struct parts p = { .d = d };
	int r;

	r = finder_list_pieces(d);
	if (r == 0)
		r = fan_out(PART_NX + d->f->n_stores, FAN_WIDTH_MAX, part_one, &p);
	for (size_t i = 0; i < d->f->n_stores; i++)
		d->f->head_verified |= d->f->stores[i].head_whole;
	for (size_t i = 0; i < PART_NX && r < 0; i++)
		if (p.v[i].text[0]) {
			*d->err = p.v[i];
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

/* The newest sequence, or the newest below the one asked for. */
static uint64_t wanted(const struct finder *d)
{
	return d->p->before ? MIN(d->f->newest, d->p->before - 1) : d->f->newest;
}

/* A store that lies does not keep the others from being believed. */
static int find_commit(struct finder *d)
{
	struct recover_found *f = d->f;
	int r;

	for (;;) {
		d->other = false;
		r = finder_head_of(d, f->sequence, &f->head);
		if (r == 0)
			r = finder_open(d);
		if (r != -EBADMSG || !d->other || finder_drop_liars(d) < 0)
			return r;
		d->err->text[0] = '\0';
		f->sequence = wanted(d);
	}
}

static int find(struct finder *d, bool in_turn)
{
	struct recover_found *f = d->f;
	struct looking l = { .d = d };

	for (size_t i = 0; in_turn && i < 2; i++)
		(void)look(&l, i); /* each has its status */
	if (!in_turn)
		best_effort(fan_out(2, 2, look, &l)); /* the same */
	if (l.heads < 0)
		return l.heads;
	f->sequence = wanted(d);
	if (f->sequence == 0)
		return err_set(d->err, -ENOENT,
			       "there is no commit before %" PRIu64, d->p->before);
	if (l.listing < 0) /* one that is away says so in its row */
		return err_set(d->err, l.listing, "%s", l.err.text);
	for (size_t i = 0; i < f->n_stores; i++)
		f->stores[i].n_pieces = l.n[i];
	return find_commit(d);
}

static int find_once(struct finder *d, bool in_turn)
{
	int r;

	recover_found_free(d->f);
	*d = (struct finder){ .p = d->p, .err = d->err };
	d->err->text[0] = '\0';
	d->f = calloc(1, sizeof(*d->f));
	if (!d->f)
		return -ENOMEM;
	d->f->n_stores = d->p->n_stores;
	r = remote_new(d->p->keys, d->p->stores, d->p->n_stores, &d->r);
	if (r == 0)
		r = find(d, in_turn);
	remote_free(d->r);
	return r;
}

int recover_find(const struct recover_params *p, struct recover_found **ret,
		 struct err *reterr)
{
	struct err e = { 0 };
	struct finder d = { .p = p, .err = &e };
	int r;

	*ret = NULL;
	if (p->n_stores == 0 || p->n_stores > RECOVER_STORES_MAX)
		return err_set(reterr, -EINVAL, "recover needs 1 to %d stores",
			       RECOVER_STORES_MAX);
	r = find_once(&d, false);
	/* A commit that was published between the listing and the look into the
	 * register: its pieces came before its head, so they are listed now. */
	if (r == -ENODATA)
		r = find_once(&d, true);
	*ret = d.f;
	if (r == 0)
		return 0;
	if (r == -EPROTO) /* authentic, yet not what we write */
		r = -EBADMSG;
	if (d.f->sequence && r != -EREMOTEIO)
		return err_set(reterr, r, "commit %" PRIu64 " cannot be used: %s",
			       d.f->sequence,
			       e.text[0]     ? e.text :
			       r == -ENODATA ? "no store that answers has it" :
					       err_str(r));
	return err_set(reterr, r, "%s", e.text[0] ? e.text : err_str(r));
}
