#include "dag/commit.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "crypto/commp.h"
#include "crypto/hash.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "crypto/wrap.h"
#include "dag/field.h"

#define PIECES   18
#define SETTINGS 21
#define NS_MAX   999999999u
#define WRAP_AD  15 /* bytes: "convergence" and the epoch */

struct commit {
	struct commit_info info;
	struct commit_piece *pieces;
	struct secret *convergence;
	struct buf body; /* device and xattrs borrow from it */
	uint8_t digest[PIECE_DIGEST_SIZE];
};

static const struct record_kind kind = { "commit", 1 };

static struct slice wrap_ad(uint32_t epoch, uint8_t ad[static WRAP_AD])
{
	memcpy(ad, "convergence", WRAP_AD - 4);
	put_le32(ad + WRAP_AD - 4, epoch);
	return slice(ad, WRAP_AD);
}

/* ---- what a commit may say */

static bool dir_link_ok(const struct link *l)
{
	return (l->kind == LINK_SEALED || l->kind == LINK_IDENTITY) &&
	       l->codec == LINK_DAGPB;
}

static bool maybe_link_ok(const struct link *l)
{
	return l->kind == LINK_NONE || l->kind == LINK_SEALED ||
	       l->kind == LINK_IDENTITY;
}

static bool pieces_ok(const struct commit_info *i)
{
	const struct commit_piece *p = i->pieces;
	struct commp_sum sum;

	for (size_t k = 0; k < i->n_pieces; k++) {
		if (p[k].ordinal == 0 || (k && p[k].ordinal <= p[k - 1].ordinal) ||
		    (p[k].kind != PIECE_DATA && p[k].kind != PIECE_META) ||
		    p[k].cid.n > PIECE_CID_MAX ||
		    piece_cid_parse(piece_cid_slice(&p[k].cid), &sum) < 0 ||
		    sum.raw_size > PIECE_SIZE_MAX)
			return false;
	}
	return true;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	uint8_t all = 0;

	for (size_t i = 0; i < n; i++)
		all |= p[i];
	return all == 0;
}

static bool form_ok(const struct commit_info *i)
{
	if (!i->min_reader || !i->min_writer || !i->sequence ||
	    (i->sequence == 1) != is_zero(i->parent, sizeof(i->parent)))
		return false;
	if (i->time.ns > NS_MAX || !i->writer || i->writer > PIECE_WRITER_MAX ||
	    i->device.n > COMMIT_DEVICE_MAX)
		return false;
	if (!dir_link_ok(&i->root) || !S_ISDIR(i->root_attr.mode) ||
	    (i->inode_table.kind != LINK_NONE && !dir_link_ok(&i->inode_table)))
		return false;
	if (!maybe_link_ok(&i->catalogue) || !maybe_link_ok(&i->retained))
		return false;
	if (!i->ino_next || !i->piece_next || i->piece_next > PIECE_COUNTER_MAX ||
	    !i->epoch || !i->copies || i->copies > COMMIT_COPIES_MAX ||
	    (i->compress != COMMIT_COMPRESS_NODES &&
	     i->compress != COMMIT_COMPRESS_ALL))
		return false;
	return pieces_ok(i);
}

/* ---- writing */

static int put_link(struct buf *b, uint32_t num, const struct link *l)
{
	size_t mark = b->n;
	int r;

	if (l->kind == LINK_NONE)
		return 0;
	r = link_encode(l, b);
	if (r < 0)
		return r;
	return field_wrap(b, num, mark);
}

static int put_pieces(struct buf *b, const struct commit_info *i)
{
	int r;

	for (size_t k = 0; k < i->n_pieces; k++) {
		size_t mark = b->n;

		r = field_put_num(b, 1, i->pieces[k].ordinal);
		if (r < 0)
			return r;
		r = field_put_bytes(b, 2, piece_cid_slice(&i->pieces[k].cid));
		if (r < 0)
			return r;
		r = field_put_num(b, 3, i->pieces[k].kind);
		if (r < 0)
			return r;
		r = field_wrap(b, PIECES, mark);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Fields 1 to 8. */
static int put_head(struct buf *b, const struct commit_info *i)
{
	int r;

	r = field_put_num(b, 1, i->min_reader);
	if (r < 0)
		return r;
	r = field_put_num(b, 2, i->min_writer);
	if (r < 0)
		return r;
	r = field_put_num(b, 3, i->sequence);
	if (r < 0)
		return r;
	if (i->sequence > 1) {
		r = field_put_bytes(b, 4, slice(i->parent, sizeof(i->parent)));
		if (r < 0)
			return r;
	}
	r = field_put_sint(b, 5, i->time.s);
	if (r < 0)
		return r;
	r = field_put_num(b, 6, i->time.ns);
	if (r < 0)
		return r;
	r = field_put_num(b, 7, i->writer);
	if (r < 0)
		return r;
	return field_put_bytes(b, 8, i->device);
}

/* Fields 9 to 16. */
static int put_tree(struct buf *b, const struct commit_info *i)
{
	const uint64_t numbers[] = { i->ino_next, i->n_inodes, i->n_bytes,
				     i->piece_next, i->epoch };
	size_t mark;
	int r;

	r = put_link(b, 9, &i->root);
	if (r < 0)
		return r;
	mark = b->n;
	r = attr_encode(&i->root_attr, b);
	if (r < 0)
		return r;
	r = field_wrap(b, 10, mark);
	if (r < 0)
		return r;
	r = put_link(b, 11, &i->inode_table);
	if (r < 0)
		return r;
	for (uint32_t k = 0; k < ARRAY_LEN(numbers); k++) {
		r = field_put_num(b, 12 + k, numbers[k]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Fields 18 to 21. */
static int put_rest(struct buf *b, const struct commit_info *i)
{
	size_t mark;
	int r;

	r = put_pieces(b, i);
	if (r < 0)
		return r;
	r = put_link(b, 19, &i->catalogue);
	if (r < 0)
		return r;
	r = put_link(b, 20, &i->retained);
	if (r < 0)
		return r;
	mark = b->n;
	r = field_put_num(b, 1, i->compress);
	if (r < 0)
		return r;
	r = field_put_num(b, 2, i->copies);
	if (r < 0)
		return r;
	return field_wrap(b, SETTINGS, mark);
}

int commit_seal(const struct commit_info *info,
		const struct secret *convergence, const struct keys *keys,
		struct buf *b, uint8_t ret_digest[static PIECE_DIGEST_SIZE])
{
	const struct secret *key = keys_secret(keys, KEYS_COMMIT);
	_cleanup_buf_ struct buf body = { 0 };
	uint8_t wrapped[WRAP_SIZE], ad[WRAP_AD];
	size_t start = b->n;
	int r;

	if (!form_ok(info))
		return -EINVAL;
	buf_init(&body, COMMIT_BODY_MAX);
	r = put_head(&body, info);
	if (r < 0)
		return r;
	r = put_tree(&body, info);
	if (r < 0)
		return r;
	wrap_seal(key, wrap_ad(info->epoch, ad), convergence, wrapped);
	r = field_put_bytes(&body, 17, slice(wrapped, sizeof(wrapped)));
	if (r < 0)
		return r;
	r = put_rest(&body, info);
	if (r < 0)
		return r;
	r = record_seal(key, &kind, keys_drive_id(keys), buf_slice(&body), b);
	if (r < 0)
		return r;
	sha256_once(slice(b->p + start, b->n - start), ret_digest);
	return 0;
}

/* ---- reading */

static void take_link(struct field_reader *r, const struct field *f, struct link *ret)
{
	struct slice s = field_bytes(r, f, 2, LINK_ENCODED_MAX);
	struct cursor c = cursor(s);

	if (link_decode(&c, ret) < 0 || cursor_done(&c) < 0 || ret->kind == LINK_NONE)
		field_fail(r);
}

static int piece_parse(struct slice s, struct commit_piece *ret)
{
	struct field_reader r = field_reader(s, 0);
	struct commit_piece p = { 0 };
	struct commp_sum sum = { 0 };
	struct slice cid = SLICE_NONE;
	struct field f;

	while (field_next(&r, &f)) {
		if (f.num == 1)
			p.ordinal = field_num(&r, &f, UINT64_MAX);
		else if (f.num == 2)
			cid = field_bytes(&r, &f, 1, PIECE_CID_MAX);
		else if (f.num == 3)
			p.kind = (enum piece_kind)field_num(&r, &f, PIECE_META);
	}
	if (field_done(&r) < 0)
		return field_done(&r);
	if (piece_cid_parse(cid, &sum) < 0)
		return -EPROTO;
	assert(cid.p); /* what parses has bytes */
	memcpy(p.cid.bytes, cid.p, cid.n);
	p.cid.n = (uint8_t)cid.n;
	p.size = sum.raw_size;
	*ret = p;
	return 0;
}

static void take_settings(struct field_reader *r, const struct field *f,
			  struct commit_info *i)
{
	struct field_reader in = field_reader(field_bytes(r, f, 1, 4096), 0);
	struct field s;

	while (field_next(&in, &s)) {
		if (s.num == 1)
			i->compress = (enum commit_compress)field_num(
				&in, &s, COMMIT_COMPRESS_ALL);
		else if (s.num == 2)
			i->copies = (uint32_t)field_num(&in, &s, COMMIT_COPIES_MAX);
	}
	if (field_done(&in) < 0)
		field_fail(r);
}

static void take_piece(struct field_reader *r, const struct field *f,
		       struct commit *c)
{
	if (piece_parse(field_bytes(r, f, 1, 4096), &c->pieces[c->info.n_pieces]) < 0)
		field_fail(r);
	else
		c->info.n_pieces++;
}

static void take(struct field_reader *r, const struct field *f,
		 struct commit *c, uint8_t wrapped[static WRAP_SIZE])
{
	struct commit_info *i = &c->info;

	switch (f->num) {
	case 1: i->min_reader = (uint32_t)field_num(r, f, UINT32_MAX); break;
	case 2: i->min_writer = (uint32_t)field_num(r, f, UINT32_MAX); break;
	case 3: i->sequence = field_num(r, f, UINT64_MAX); break;
	case 4: field_copy(r, f, i->parent, sizeof(i->parent)); break;
	case 5: i->time.s = field_sint(r, f); break;
	case 6: i->time.ns = (uint32_t)field_num(r, f, NS_MAX); break;
	case 7: i->writer = (uint32_t)field_num(r, f, PIECE_WRITER_MAX); break;
	case 8: i->device = field_bytes(r, f, 1, COMMIT_DEVICE_MAX); break;
	case 9: take_link(r, f, &i->root); break;
	case 10:
		if (attr_decode(field_bytes(r, f, 1, ATTR_ENCODED_MAX),
				&i->root_attr) < 0)
			field_fail(r);
		break;
	case 11: take_link(r, f, &i->inode_table); break;
	case 12: i->ino_next = field_num(r, f, UINT64_MAX); break;
	case 13: i->n_inodes = field_num(r, f, UINT64_MAX); break;
	case 14: i->n_bytes = field_num(r, f, UINT64_MAX); break;
	case 15: i->piece_next = field_num(r, f, PIECE_COUNTER_MAX); break;
	case 16: i->epoch = (uint32_t)field_num(r, f, UINT32_MAX); break;
	case 17: field_copy(r, f, wrapped, WRAP_SIZE); break;
	case PIECES: take_piece(r, f, c); break;
	case 19: take_link(r, f, &i->catalogue); break;
	case 20: take_link(r, f, &i->retained); break;
	case SETTINGS: take_settings(r, f, i); break;
	default: break; /* from a newer writer that lets us read */
	}
}

/*
 * Look at min_reader before anything else is judged, then count the pieces: the
 * body bounds them, so what is allocated is bounded too.
 */
static int look_ahead(struct slice body, size_t *ret_pieces)
{
	struct field_reader r = field_reader(body, FIELD_REPEATED(PIECES));
	struct field f;
	size_t n = 0;

	if (!field_next(&r, &f) || f.num != 1 || f.wire != FIELD_VARINT)
		return -EPROTO;
	if (f.v > COMMIT_FORMAT)
		return -EOPNOTSUPP;
	while (field_next(&r, &f))
		n += f.num == PIECES;
	if (field_done(&r) < 0)
		return field_done(&r);
	*ret_pieces = n;
	return 0;
}

static int parse(struct commit *c, const struct secret *key)
{
	struct slice body = buf_slice(&c->body);
	struct field_reader r = field_reader(body, FIELD_REPEATED(PIECES));
	uint8_t wrapped[WRAP_SIZE] = { 0 }, ad[WRAP_AD];
	struct field f;
	size_t n = 0;
	int e;

	e = look_ahead(body, &n);
	if (e < 0)
		return e;
	if (n) {
		c->pieces = calloc(n, sizeof(*c->pieces));
		if (!c->pieces)
			return -ENOMEM;
	}
	c->info.pieces = c->pieces;
	while (field_next(&r, &f))
		take(&r, &f, c, wrapped);
	if (field_done(&r) < 0)
		return field_done(&r);
	if (!form_ok(&c->info))
		return -EPROTO;
	return wrap_open(key, wrap_ad(c->info.epoch, ad), wrapped, &c->convergence);
}

int commit_open(struct slice record, const struct keys *keys, struct commit **ret)
{
	const struct secret *key = keys_secret(keys, KEYS_COMMIT);
	_cleanup_commit_ struct commit *c = NULL;
	int r;

	if (record.n > COMMIT_RECORD_MAX)
		return -EMSGSIZE;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	buf_init(&c->body, COMMIT_RECORD_MAX); /* opened in place */
	r = record_open(key, &kind, keys_drive_id(keys), record, &c->body);
	if (r < 0)
		return r;
	r = parse(c, key);
	if (r < 0)
		return r;
	sha256_once(record, c->digest);
	*ret = steal(&c);
	return 0;
}

void commit_free(struct commit *c)
{
	if (!c)
		return;
	secret_free(c->convergence);
	buf_fini(&c->body);
	free(c->pieces);
	free(c);
}

const struct commit_info *commit_info(const struct commit *c)
{
	return &c->info;
}

const struct secret *commit_convergence(const struct commit *c)
{
	return c->convergence;
}

const uint8_t *commit_digest(const struct commit *c)
{
	return c->digest;
}

int commit_may_write(const struct commit_info *info)
{
	return info->min_writer > COMMIT_FORMAT ? -EOPNOTSUPP : 0;
}
