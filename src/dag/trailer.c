#include "dag/trailer.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "crypto/commp.h"
#include "crypto/keys.h"
#include "crypto/record.h"

#define LINK_FIELD 86 /* bytes of an encoded sealed link */

static const struct record_kind kind = { "trailer", 1 };

_Static_assert(TRAILER_RECORD_SIZE == TRAILER_BODY_SIZE + RECORD_OVERHEAD,
	       "512 is a step of the padding ladder");
_Static_assert(TRAILER_SECTION_SIZE == 2 + PIECE_CID_SIZE + TRAILER_RECORD_SIZE,
	       "the section's length takes two bytes");
_Static_assert(RECORD_DRIVE_ID == KEYS_DRIVE_ID_SIZE, "one size of drive ids");

/* ---- what a trailer may say */

static bool lies_inside(const struct trailer *t, uint64_t off, uint64_t len)
{
	uint64_t end = t->raw_size - TRAILER_SECTION_SIZE;

	return off >= PIECE_HEADER_SIZE && off <= end && len <= end - off;
}

static bool index_ok(const struct trailer *t, const struct link *l, uint64_t n)
{
	if (n == 0)
		return l->kind == LINK_NONE;
	return l->kind == LINK_SEALED && l->place.piece == t->piece &&
	       lies_inside(t, l->place.off, l->place.len);
}

static bool head_ok(const struct trailer_head *h)
{
	struct commp_sum sum;

	if (h->sequence == 0)
		return h->piece == 0 && h->cid.n == 0;
	return h->piece && h->cid.n <= PIECE_CID_MAX &&
	       piece_cid_parse(piece_cid_slice(&h->cid), &sum) == 0;
}

static bool form_ok(const struct trailer *t)
{
	if (!t->piece || t->raw_size < PIECE_HEADER_SIZE + TRAILER_SECTION_SIZE ||
	    t->raw_size > PIECE_SIZE_MAX)
		return false;
	if (t->kind != PIECE_DATA && t->kind != PIECE_META)
		return false;
	if ((t->sequence == 0) != (t->commit.len == 0))
		return false;
	if (t->sequence && (!lies_inside(t, t->commit.off, t->commit.len) ||
			    t->previous.sequence >= t->sequence))
		return false;
	return index_ok(t, &t->leaves, t->n_leaves) &&
	       index_ok(t, &t->nodes, t->n_nodes) && head_ok(&t->previous);
}

/* ---- bytes */

static void link_write(const struct link *l, uint8_t p[static LINK_FIELD])
{
	if (l->kind != LINK_SEALED)
		return; /* zeros */
	p[0] = LINK_SEALED;
	p[1] = (uint8_t)l->codec;
	memcpy(p + 2, l->digest, LINK_DIGEST_SIZE);
	memcpy(p + 34, l->key, LINK_KEY_SIZE);
	put_le64(p + 66, l->place.piece);
	put_le64(p + 74, l->place.off);
	put_le32(p + 82, l->place.len);
}

static void body_write(const struct trailer *t, uint8_t p[static TRAILER_BODY_SIZE])
{
	memset(p, 0, TRAILER_BODY_SIZE);
	put_le64(p, t->piece);
	put_le64(p + 8, t->raw_size);
	put_le64(p + 16, t->sequence);
	put_le64(p + 24, (uint64_t)t->time_s);
	p[32] = (uint8_t)t->kind;
	if (t->sequence) {
		memcpy(p + 40, t->commit.digest, PIECE_DIGEST_SIZE);
		put_le64(p + 72, t->commit.off);
		put_le32(p + 80, t->commit.len);
	}
	link_write(&t->leaves, p + 84);
	link_write(&t->nodes, p + 172);
	if (t->previous.sequence) {
		put_le64(p + 260, t->previous.sequence);
		put_le64(p + 268, t->previous.piece);
		memcpy(p + 276, t->previous.commit, PIECE_DIGEST_SIZE);
		p[308] = t->previous.cid.n;
		memcpy(p + 309, t->previous.cid.bytes, t->previous.cid.n);
	}
	put_le64(p + 360, t->n_leaves);
	put_le64(p + 368, t->n_nodes);
}

/* The 86 bytes of a sealed link, or zeros. */
static void link_read(struct cursor *c, struct link *ret)
{
	struct slice s = cursor_take(c, LINK_FIELD);
	struct cursor in = cursor(s);

	if (s.n && s.p[0] == LINK_NONE) {
		*ret = (struct link){ .kind = LINK_NONE };
		return;
	}
	if (link_decode(&in, ret) < 0 || cursor_done(&in) < 0 ||
	    ret->kind != LINK_SEALED)
		cursor_fail(c, -EPROTO);
}

static void head_read(struct cursor *c, struct trailer_head *ret)
{
	ret->sequence = cursor_le64(c);
	ret->piece = cursor_le64(c);
	cursor_copy(c, ret->commit, PIECE_DIGEST_SIZE);
	ret->cid.n = cursor_u8(c);
	cursor_copy(c, ret->cid.bytes, PIECE_CID_MAX);
}

static int body_read(struct slice body, struct trailer *ret)
{
	uint8_t again[TRAILER_BODY_SIZE];
	struct cursor c = cursor(body);
	struct trailer t = { 0 };

	t.piece = cursor_le64(&c);
	t.raw_size = cursor_le64(&c);
	t.sequence = cursor_le64(&c);
	t.time_s = (int64_t)cursor_le64(&c);
	t.kind = cursor_u8(&c);
	(void)cursor_take(&c, 7); /* this zero and those below: compared */
	cursor_copy(&c, t.commit.digest, PIECE_DIGEST_SIZE);
	t.commit.off = cursor_le64(&c);
	t.commit.len = cursor_le32(&c);
	link_read(&c, &t.leaves);
	(void)cursor_take(&c, 2);
	link_read(&c, &t.nodes);
	(void)cursor_take(&c, 2);
	head_read(&c, &t.previous);
	(void)cursor_take(&c, 3);
	t.n_leaves = cursor_le64(&c);
	t.n_nodes = cursor_le64(&c);
	(void)cursor_take(&c, 136);
	if (cursor_done(&c) < 0)
		return -EPROTO;
	if (!form_ok(&t))
		return -EPROTO;
	/* One form: whatever we would write differently is refused. */
	body_write(&t, again);
	if (!slice_eq(body, slice(again, sizeof(again))))
		return -EPROTO;
	*ret = t;
	return 0;
}

/* ---- sealed */

int trailer_seal(const struct trailer *t, const struct keys *keys, struct buf *b)
{
	uint8_t body[TRAILER_BODY_SIZE];

	if (!form_ok(t))
		return -EINVAL;
	body_write(t, body);
	return record_seal(keys_secret(keys, KEYS_TRAILER), &kind,
			   keys_drive_id(keys), slice(body, sizeof(body)), b);
}

int trailer_open(struct slice record, uint64_t raw_size,
		 const struct keys *keys, struct trailer *ret)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct trailer t;
	int r;

	if (record.n != TRAILER_RECORD_SIZE)
		return -EBADMSG;
	buf_init(&body, TRAILER_RECORD_SIZE); /* opened in place */
	r = record_open(keys_secret(keys, KEYS_TRAILER), &kind,
			keys_drive_id(keys), record, &body);
	if (r < 0)
		return r;
	r = body_read(buf_slice(&body), &t);
	if (r < 0)
		return r;
	if (t.raw_size != raw_size)
		return -EBADMSG;
	*ret = t;
	return 0;
}
