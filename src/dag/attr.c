#include "dag/attr.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "dag/field.h"

#define NS_MAX   999999999u
#define XATTR    16
#define REF      17
#define CID_SIZE 36 /* bytes: version, codec, sha2-256, 32, digest */

static const uint8_t cid_head[] = { 0x01, LINK_RAW, 0x12, 0x20 };

static bool mode_ok(uint64_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK: return mode <= (S_IFMT | 07777);
	default: return false;
	}
}

/* ---- extended attributes */

static int xattr_parse(struct slice s, struct attr_xattr *ret)
{
	struct field_reader r = field_reader(s, 0);
	struct attr_xattr x = { 0 };
	struct field f;

	while (field_next(&r, &f)) {
		if (f.num == 1)
			x.name = field_bytes(&r, &f, 1, ATTR_XATTR_NAME_MAX);
		else if (f.num == 2)
			x.value = field_bytes(&r, &f, 1, ATTR_XATTR_VALUE_MAX);
	}
	if (!x.name.n || memchr(x.name.p, 0, x.name.n))
		field_fail(&r);
	if (field_done(&r) < 0)
		return field_done(&r);
	*ret = x;
	return 0;
}

struct attr_iter attr_xattrs(struct slice set)
{
	return (struct attr_iter){ set, { NULL, 0 }, 0 };
}

int attr_xattrs_next(struct attr_iter *it, struct attr_xattr *ret)
{
	struct field_reader r = field_reader(it->rest, 0);
	struct attr_xattr x = { 0 };
	struct field f;

	if (it->err)
		return it->err;
	if (it->rest.n == 0)
		return 0;
	if (!field_next(&r, &f) || f.num != XATTR || f.wire != FIELD_BYTES ||
	    xattr_parse(f.bytes, &x) < 0 ||
	    (it->last.n && slice_cmp(x.name, it->last) <= 0)) {
		it->err = -EPROTO;
		return it->err;
	}
	it->rest = slice(r.c.p, r.c.n);
	it->last = x.name;
	*ret = x;
	return 1;
}

int attr_xattrs_size(struct slice set, size_t *ret)
{
	struct attr_iter it = attr_xattrs(set);
	struct attr_xattr x;
	size_t n = 0;
	int r;

	if (set.n > ATTR_XATTRS_MAX)
		return -EMSGSIZE;
	while ((r = attr_xattrs_next(&it, &x)) > 0)
		n += x.name.n + x.value.n;
	if (r < 0)
		return r;
	*ret = n;
	return 0;
}

static int xattr_put(const struct attr_xattr *x, struct buf *b)
{
	size_t mark = b->n;
	int r;

	r = field_put_bytes(b, 1, x->name);
	if (r < 0)
		return r;
	r = field_put_bytes(b, 2, x->value);
	if (r < 0)
		return r;
	return field_wrap(b, XATTR, mark);
}

int attr_xattrs_encode(const struct attr_xattr *x, size_t n, struct buf *b)
{
	size_t start = b->n;
	int r;

	for (size_t i = 0; i < n; i++) {
		r = 0;
		if (!x[i].name.n || memchr(x[i].name.p, 0, x[i].name.n) ||
		    (i && slice_cmp(x[i].name, x[i - 1].name) <= 0))
			r = -EINVAL;
		else if (x[i].name.n > ATTR_XATTR_NAME_MAX ||
			 x[i].value.n > ATTR_XATTR_VALUE_MAX)
			r = -EMSGSIZE;
		if (r == 0)
			r = xattr_put(&x[i], b);
		if (r == 0 && b->n - start > ATTR_XATTRS_MAX)
			r = -EMSGSIZE;
		if (r < 0) {
			b->n = start;
			return r;
		}
	}
	return 0;
}

/* ---- the link to a larger set */

static int ref_put(const struct link *l, struct buf *b)
{
	size_t mark = b->n;
	uint8_t cid[CID_SIZE];
	size_t place;
	int r;

	memcpy(cid, cid_head, sizeof(cid_head));
	memcpy(cid + sizeof(cid_head), l->digest, LINK_DIGEST_SIZE);
	r = field_put_bytes(b, 1, slice(cid, sizeof(cid)));
	if (r < 0)
		return r;
	r = field_put_bytes(b, 2, slice(l->key, LINK_KEY_SIZE));
	if (r < 0)
		return r;
	if (l->place.piece) {
		place = b->n;
		r = buf_varint(b, l->place.piece);
		if (r == 0)
			r = buf_varint(b, l->place.off);
		if (r == 0)
			r = buf_varint(b, l->place.len);
		if (r == 0)
			r = field_wrap(b, 3, place);
		if (r < 0)
			return r;
	}
	return field_wrap(b, REF, mark);
}

static void place_parse(struct field_reader *r, struct slice s, struct place *ret)
{
	struct cursor c = cursor(s);
	uint64_t len;

	ret->piece = field_varint(&c);
	ret->off = field_varint(&c);
	len = field_varint(&c);
	ret->len = (uint32_t)len;
	if (cursor_done(&c) < 0 || ret->piece == 0 || len > UINT32_MAX)
		field_fail(r);
}

static int ref_parse(struct slice s, struct link *ret)
{
	struct field_reader r = field_reader(s, 0);
	struct link l = { .kind = LINK_SEALED, .codec = LINK_RAW };
	uint8_t cid[CID_SIZE] = { 0 };
	bool has_key = false;
	struct field f;

	while (field_next(&r, &f)) {
		if (f.num == 1) {
			field_copy(&r, &f, cid, sizeof(cid));
		} else if (f.num == 2) {
			field_copy(&r, &f, l.key, LINK_KEY_SIZE);
			has_key = true;
		} else if (f.num == 3) {
			place_parse(&r, field_bytes(&r, &f, 3, 27), &l.place);
		}
	}
	if (memcmp(cid, cid_head, sizeof(cid_head)) != 0 || !has_key)
		field_fail(&r);
	memcpy(l.digest, cid + sizeof(cid_head), LINK_DIGEST_SIZE);
	if (field_done(&r) < 0)
		return field_done(&r);
	*ret = l;
	return 0;
}

/* ---- the record */

static int check(const struct attr *a)
{
	const struct attr_time *t[] = { &a->mtime, &a->ctime, &a->btime, &a->atime };
	size_t n;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		if (t[i]->ns > NS_MAX)
			return -EINVAL;
	if (!mode_ok(a->mode))
		return -EINVAL;
	if (a->xattr_link.kind != LINK_NONE &&
	    (a->xattr_link.kind != LINK_SEALED ||
	     a->xattr_link.codec != LINK_RAW || a->xattrs.n))
		return -EINVAL;
	r = attr_xattrs_size(a->xattrs, &n);
	if (r < 0)
		return r;
	return n > ATTR_XATTRS_INLINE ? -EMSGSIZE : 0;
}

static int put_times(const struct attr *a, struct buf *b)
{
	const struct attr_time *t[] = { &a->mtime, &a->ctime, &a->btime, &a->atime };
	int r;

	for (uint32_t i = 0; i < ARRAY_LEN(t); i++) {
		r = field_put_sint(b, 6 + 2 * i, t[i]->s);
		if (r < 0)
			return r;
		r = field_put_num(b, 7 + 2 * i, t[i]->ns);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put(const struct attr *a, struct buf *b)
{
	const uint64_t head[] = { a->ino, a->mode, a->uid, a->gid, a->size };
	int r;

	for (uint32_t i = 0; i < ARRAY_LEN(head); i++) {
		r = field_put_num(b, 1 + i, head[i]);
		if (r < 0)
			return r;
	}
	r = put_times(a, b);
	if (r < 0)
		return r;
	r = field_put_num(b, 14, a->nlink);
	if (r < 0)
		return r;
	r = field_put_num(b, 15, a->rdev);
	if (r < 0)
		return r;
	r = buf_append(b, a->xattrs); /* fields of number 16 already */
	if (r < 0)
		return r;
	if (a->xattr_link.kind != LINK_NONE) {
		r = ref_put(&a->xattr_link, b);
		if (r < 0)
			return r;
	}
	return field_put_num(b, 18, a->shared);
}

static bool is_empty(const struct attr *a)
{
	return a->mode == 0 && a->ino == 0;
}

int attr_encode(const struct attr *a, struct buf *b)
{
	size_t start = b->n;
	int r;

	if (is_empty(a))
		return 0;
	r = check(a);
	if (r < 0)
		return r;
	r = put(a, b);
	if (r < 0)
		b->n = start;
	return r;
}

/* Field 6 to 13: seconds at the even, nanoseconds at the odd numbers. */
static void take_time(struct field_reader *r, const struct field *f, struct attr *a)
{
	struct attr_time *t[] = { &a->mtime, &a->ctime, &a->btime, &a->atime };
	uint32_t i = (f->num - 6) / 2;

	if (f->num % 2 == 0)
		t[i]->s = field_sint(r, f);
	else
		t[i]->ns = (uint32_t)field_num(r, f, NS_MAX);
}

static void take(struct field_reader *r, const struct field *f,
		 const uint8_t *start, struct attr *a)
{
	switch (f->num) {
	case 1: a->ino = field_num(r, f, UINT64_MAX); break;
	case 2: a->mode = (uint32_t)field_num(r, f, UINT32_MAX); break;
	case 3: a->uid = (uint32_t)field_num(r, f, UINT32_MAX); break;
	case 4: a->gid = (uint32_t)field_num(r, f, UINT32_MAX); break;
	case 5: a->size = field_num(r, f, UINT64_MAX); break;
	case 6:
	case 7:
	case 8:
	case 9:
	case 10:
	case 11:
	case 12:
	case 13: take_time(r, f, a); break;
	case 14: a->nlink = (uint32_t)field_num(r, f, UINT32_MAX); break;
	case 15: a->rdev = field_num(r, f, UINT64_MAX); break;
	case XATTR:
		/* Ascending order keeps the set in one run. */
		if (!a->xattrs.p)
			a->xattrs.p = start;
		a->xattrs.n = r->c.err ? 0 : (size_t)(r->c.p - a->xattrs.p);
		break;
	case REF:
		if (ref_parse(field_bytes(r, f, 1, ATTR_ENCODED_MAX),
			      &a->xattr_link) < 0)
			field_fail(r);
		break;
	case 18: a->shared = field_num(r, f, 1); break;
	default: break; /* from a newer writer */
	}
}

int attr_decode(struct slice s, struct attr *ret)
{
	struct field_reader r = field_reader(s, FIELD_REPEATED(XATTR));
	struct attr a = { 0 };
	const uint8_t *start = s.p;
	struct field f;

	if (s.n > ATTR_ENCODED_MAX)
		return -EPROTO;
	while (field_next(&r, &f)) {
		take(&r, &f, start, &a);
		start = r.c.p;
	}
	if (field_done(&r) < 0)
		return field_done(&r);
	if (s.n && check(&a) < 0)
		return -EPROTO;
	*ret = a;
	return 0;
}
