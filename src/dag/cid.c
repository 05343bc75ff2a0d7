#include "dag/cid.h"

#include <assert.h>
#include <errno.h>

#include "base/cursor.h"
#include "crypto/hash.h"
#include "crypto/link.h"
#include "dag/multibase.h"

#define CID_V0_SIZE 34 /* bytes */
#define CID_V0_TEXT 46 /* characters */
#define DIGEST_MIN  20 /* bytes, of a hash that we do not compute */

_Static_assert(CID_DIGEST_MAX == LINK_INLINE_MAX,
	       "an identity link holds what an identity CID may hold");
_Static_assert(HASH_SIZE == LINK_DIGEST_SIZE, "links hold our hashes");

struct cid cid_v1(uint64_t codec, const uint8_t digest[static 32])
{
	struct cid c = { .version = 1,
			 .n_digest = HASH_SIZE,
			 .codec = codec,
			 .hash = CID_SHA2_256 };

	memcpy(c.digest, digest, HASH_SIZE);
	return c;
}

struct cid cid_identity(uint64_t codec, struct slice bytes)
{
	struct cid c = { .version = 1, .codec = codec, .hash = CID_IDENTITY };

	assert(bytes.n <= CID_DIGEST_MAX);
	c.n_digest = (uint8_t)bytes.n;
	if (bytes.n)
		memcpy(c.digest, bytes.p, bytes.n);
	return c;
}

struct cid cid_of(uint64_t codec, struct slice block)
{
	uint8_t digest[HASH_SIZE];

	sha256_once(block, digest);
	return cid_v1(codec, digest);
}

/* 0, or the error that `n` bytes of `hash` are. */
static int check_digest(uint64_t hash, uint64_t n)
{
	if (hash == CID_IDENTITY)
		return n <= CID_DIGEST_MAX ? 0 : -EMSGSIZE;
	if (hash == CID_SHA2_256 || hash == CID_BLAKE2B_256)
		return n == HASH_SIZE ? 0 : -EPROTO;
	return n >= DIGEST_MIN && n <= CID_DIGEST_MAX ? 0 : -EPROTO;
}

void cid_read(struct cursor *c, struct cid *ret)
{
	struct cid t = { 0 };
	uint64_t n;
	int r;

	if (c->n >= 2 && c->p[0] == CID_SHA2_256 && c->p[1] == HASH_SIZE) {
		t.codec = CID_DAGPB;
	} else {
		if (cursor_varint(c) != 1)
			cursor_fail(c, -EPROTO);
		t.version = 1;
		t.codec = cursor_varint(c);
	}
	t.hash = cursor_varint(c);
	n = cursor_varint(c);
	r = check_digest(t.hash, n);
	if (r < 0)
		cursor_fail(c, r);
	if (cursor_ok(c) < 0)
		return;
	t.n_digest = (uint8_t)n;
	cursor_copy(c, t.digest, t.n_digest);
	if (cursor_ok(c) == 0)
		*ret = t;
}

int cid_parse(struct slice s, struct cid *ret)
{
	struct cursor c = cursor(s);
	struct cid t = { 0 };
	int r;

	cid_read(&c, &t);
	r = cursor_done(&c);
	if (r < 0)
		return r;

	*ret = t;
	return 0;
}

static size_t put_varint(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		p[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	p[n++] = (uint8_t)v;
	return n;
}

size_t cid_bytes(const struct cid *c, uint8_t ret[static CID_BYTES_MAX])
{
	size_t n = 0;

	assert(c->n_digest <= CID_DIGEST_MAX && c->codec >> 63 == 0 &&
	       c->hash >> 63 == 0);
	if (c->version != 0) {
		ret[n++] = 1;
		n += put_varint(ret + n, c->codec);
	}
	n += put_varint(ret + n, c->hash);
	n += put_varint(ret + n, c->n_digest);
	memcpy(ret + n, c->digest, c->n_digest);
	return n + c->n_digest;
}

size_t cid_size(const struct cid *c)
{
	uint8_t t[CID_BYTES_MAX];

	return cid_bytes(c, t);
}

void cid_text_base(const struct cid *c, char base, char ret[static CID_TEXT_MAX])
{
	uint8_t t[CID_BYTES_MAX];
	size_t n = cid_bytes(c, t);
	int r;

	assert(c->version == 1);
	r = multibase_encode(base, slice(t, n), ret, CID_TEXT_MAX);
	assert(r == 0); /* sized for the longest; the base is one of ours */
}

void cid_text(const struct cid *c, char ret[static CID_TEXT_MAX])
{
	uint8_t t[CID_BYTES_MAX];
	size_t n;
	int r;

	if (c->version != 0) {
		cid_text_base(c, 'b', ret);
		return;
	}
	n = cid_bytes(c, t);
	r = base58_encode(slice(t, n), ret, CID_TEXT_MAX);
	assert(r == 0);
}

int cid_from_text(struct slice text, struct cid *ret)
{
	uint8_t t[CID_BYTES_MAX];
	struct cid c;
	size_t n;
	int r;

	if (text.n >= CID_TEXT_MAX)
		return -EMSGSIZE;
	if (text.n == CID_V0_TEXT && text.p[0] == 'Q' && text.p[1] == 'm') {
		r = base58_decode(text, t, sizeof(t), &n);
		if (r < 0)
			return r;
		if (n != CID_V0_SIZE || t[0] != CID_SHA2_256)
			return -EPROTO;
		return cid_parse(slice(t, n), ret);
	}
	r = multibase_decode(text, t, sizeof(t), &n);
	if (r < 0)
		return r;
	r = cid_parse(slice(t, n), &c);
	if (r < 0)
		return r;
	if (c.version == 0)
		return -EPROTO; /* a bare multihash has no multibase form */

	*ret = c;
	return 0;
}

bool cid_eq(const struct cid *a, const struct cid *b)
{
	return a->version == b->version && a->codec == b->codec &&
	       a->hash == b->hash && a->n_digest == b->n_digest &&
	       memcmp(a->digest, b->digest, a->n_digest) == 0;
}

int cid_verify(const struct cid *c, struct slice block)
{
	uint8_t t[HASH_SIZE];
	int r;

	if (c->hash == CID_IDENTITY)
		return slice_eq(slice(c->digest, c->n_digest), block) ? 0 : -EBADMSG;
	if (c->hash == CID_SHA2_256) {
		sha256_once(block, t);
	} else if (c->hash == CID_BLAKE2B_256) {
		r = hash_blake2b(block, t);
		if (r < 0)
			return r;
	} else {
		return -EOPNOTSUPP;
	}
	return slice_eq(slice(c->digest, c->n_digest), slice(t, HASH_SIZE)) ?
		       0 :
		       -EBADMSG;
}

int cid_to_link(const struct cid *c, bool sealed, struct link *ret)
{
	struct link l = { 0 };

	if (c->codec != CID_RAW && c->codec != CID_DAGPB)
		return -EOPNOTSUPP;
	l.codec = c->codec == CID_RAW ? LINK_RAW : LINK_DAGPB;
	if (c->hash == CID_IDENTITY) {
		l.kind = LINK_IDENTITY;
		l.n_inline = c->n_digest;
		memcpy(l.bytes, c->digest, c->n_digest);
	} else if (c->hash == CID_SHA2_256 ||
		   (!sealed && c->hash == CID_BLAKE2B_256)) {
		l.kind = sealed ? LINK_SEALED : LINK_PLAIN;
		memcpy(l.digest, c->digest, LINK_DIGEST_SIZE);
	} else {
		return -EOPNOTSUPP;
	}
	*ret = l;
	return 0;
}
