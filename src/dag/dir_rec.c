#include "dag/dir_rec.h"

#include <assert.h>
#include <errno.h>

#include "base/cursor.h"

#define CHUNK_BYTES (1u << 20)

struct dir_chunk {
	struct dir_chunk *next;
	size_t n, cap;
	uint8_t bytes[];
};

void dir_recs_fini(struct dir_recs *t)
{
	struct dir_chunk *next;

	for (struct dir_chunk *c = t->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(t->v);
	*t = (struct dir_recs){ 0 };
}

static int store(struct dir_recs *t, struct slice rec, const uint8_t **ret)
{
	struct dir_chunk *c = t->chunks;
	size_t cap = MAX(CHUNK_BYTES, rec.n);

	if (!c || c->cap - c->n < rec.n) {
		/* small directories are many: begin small */
		if (!c)
			cap = MAX((size_t)4096, rec.n);
		c = malloc(sizeof(*c) + cap);
		if (!c)
			return -ENOMEM;
		*c = (struct dir_chunk){ .next = t->chunks, .cap = cap };
		t->chunks = c;
	}
	memcpy(c->bytes + c->n, rec.p, rec.n);
	*ret = c->bytes + c->n;
	c->n += rec.n;
	return 0;
}

/* The name first: dir_rec_name() is hot. */
static int encode(struct buf *t, const struct unixfs_child *c)
{
	int r;

	r = buf_u8(t, (uint8_t)c->name.n);
	if (r == 0)
		r = buf_append(t, c->name);
	if (r == 0)
		r = link_encode(&c->link, t);
	if (r == 0)
		r = buf_varint(t, c->tsize);
	if (r == 0)
		r = buf_varint(t, c->attr.n);
	if (r == 0)
		r = buf_append(t, c->attr);
	return r;
}

int dir_recs_add(struct dir_recs *t, struct buf *body, const struct unixfs_child *c)
{
	struct dir_entry *e;
	size_t cap;
	int r;

	if (t->n == t->cap) {
		cap = t->cap ? t->cap * 2 : 16;
		e = realloc(t->v, cap * sizeof(*e));
		if (!e)
			return -ENOMEM;
		t->v = e;
		t->cap = cap;
	}
	buf_reset(body);
	r = encode(body, c);
	if (r < 0)
		return r;
	e = &t->v[t->n];
	r = store(t, buf_slice(body), &e->rec);
	if (r < 0)
		return r;
	t->n++;
	t->n_bytes += body->n + sizeof(*e);
	return 0;
}

/* Our own bytes: they have the form that encode() gave them. */
void dir_rec_decode(const uint8_t *rec, struct unixfs_child *ret)
{
	struct cursor c = cursor(slice(rec, SIZE_MAX / 2));
	int r;

	*ret = (struct unixfs_child){ .name = dir_rec_name(rec) };
	(void)cursor_take(&c, 1 + ret->name.n);
	r = link_decode(&c, &ret->link);
	assert(r == 0);
	ret->tsize = cursor_pbvarint(&c);
	ret->attr = cursor_take(&c, cursor_pbvarint(&c));
}

int dir_entry_cmp_name(const void *pa, const void *pb)
{
	const struct dir_entry *a = pa, *b = pb;

	return slice_cmp(dir_rec_name(a->rec), dir_rec_name(b->rec));
}

int dir_entry_cmp_hash(const void *pa, const void *pb)
{
	const struct dir_entry *a = pa, *b = pb;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return dir_entry_cmp_name(pa, pb);
}
