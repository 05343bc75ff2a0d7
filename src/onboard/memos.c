/*
 * memos.c - what is remembered of large directories, in memory and in ledger.db
 *
 * A row LEDGER_MEMO + i of table state is empty, or:
 *
 *   offset  size  field
 *   0       16    key of the sums, the same in all rows
 *   16      8     inode number, LE
 *   24      8     clock of its last use, LE
 *   32      8     pieces that were lost when it was made, LE
 *   40      v     link of the directory's root (crypto/link.h)
 *   ...     v     memo (dag/dir.h)
 *
 * A row says of the directory with that root what cannot change, so an old one
 * does no harm: it fits, or the root is another.
 */
#include "onboard/memos.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/log.h"
#include "dag/dir.h"
#include "ledger/ledger.h"
#include "onboard/run.h"

#define ROW_MAX \
 (sizeof(struct shorthash_key) + 24 + LINK_ENCODED_MAX + DIR_MEMO_MAX)

int memos_new(struct memos **ret)
{
	struct memos *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	shorthash_key_random(&m->key);
	*ret = m;
	return 0;
}

void memos_free(struct memos *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < MEMOS_MAX; i++)
		dir_memo_free(m->v[i].dir);
	free(m);
}

const struct dir_memo *memos_find(const struct run *r, uint64_t ino, struct slice link)
{
	struct cursor c = cursor(link);
	const struct memo *m = NULL;
	struct link l;

	for (size_t i = 0; i < MEMOS_MAX && !m; i++)
		if (r->o->memos->v[i].ino == ino)
			m = &r->o->memos->v[i];
	if (!m || r->mending || m->losses != r->losses ||
	    link_decode(&c, &l) < 0 || !link_same(&l, &m->root))
		return NULL;
	return m->dir;
}

/* Its own, else a free one, else the one that was not used for longest. */
static struct memo *slot(struct memos *m, uint64_t ino)
{
	struct memo *best = &m->v[0];

	for (size_t i = 0; i < MEMOS_MAX; i++) {
		if (m->v[i].ino == ino)
			return &m->v[i];
		if (m->v[i].used < best->used)
			best = &m->v[i];
	}
	return best;
}

static void drop(struct memo *m)
{
	dir_memo_free(m->dir);
	*m = (struct memo){ .changed = true };
}

/* ---- in ledger.db ---- */

static enum ledger_key row_of(size_t i)
{
	return (enum ledger_key)(LEDGER_MEMO + i);
}

static int encode(const struct memos *all, const struct memo *m, struct buf *b)
{
	int r = buf_append(b, slice(all->key.bytes, sizeof(all->key.bytes)));

	if (r == 0)
		r = buf_le64(b, m->ino);
	if (r == 0)
		r = buf_le64(b, m->used);
	if (r == 0)
		r = buf_le64(b, m->losses);
	if (r == 0)
		r = link_encode(&m->root, b);
	return r < 0 ? r : dir_memo_encode(m->dir, b);
}

static int decode(struct slice row, struct shorthash_key *key, struct memo *ret)
{
	struct cursor c = cursor(row);
	int r;

	*ret = (struct memo){ 0 };
	cursor_copy(&c, key->bytes, sizeof(key->bytes));
	ret->ino = cursor_le64(&c);
	ret->used = cursor_le64(&c);
	ret->losses = cursor_le64(&c);
	r = link_decode(&c, &ret->root);
	if (r == 0)
		r = dir_memo_decode(&c, &ret->dir);
	if (r == 0)
		r = cursor_done(&c);
	if (r < 0)
		drop(ret);
	return r;
}

/* The first row that is read tells the key. */
static int load_row(struct memos *m, struct ledger *l, size_t i, bool *first)
{
	_cleanup_buf_ struct buf row = { 0 };
	struct shorthash_key key = { { 0 } };
	struct memo one = { 0 };
	int r;

	buf_init(&row, ROW_MAX);
	r = ledger_get(l, row_of(i), &row);
	if (r == -ENOENT || (r == 0 && row.n == 0))
		return 0;
	if (r == 0)
		r = decode(buf_slice(&row), &key, &one);
	if (r < 0)
		return r;
	if (!*first && memcmp(&key, &m->key, sizeof(key)) != 0) {
		drop(&one);
		return -EUCLEAN;
	}
	*first = false;
	m->key = key;
	m->clock = MAX(m->clock, one.used);
	m->v[i] = one;
	return 0;
}

void memos_load(struct memos *m, struct ledger *l)
{
	bool first = true;

	for (size_t i = 0; i < MEMOS_MAX && !m->loaded; i++) {
		int r = load_row(m, l, i, &first);

		if (r < 0)
			log_warn("ledger.db: what it remembers of a large directory cannot be read: %s; it is built anew",
				 err_str(r));
	}
	m->loaded = true;
}

void memos_save(struct memos *m, struct ledger *l)
{
	for (size_t i = 0; i < MEMOS_MAX; i++) {
		_cleanup_buf_ struct buf row = { 0 };
		int r = 0;

		if (!m->v[i].changed)
			continue;
		buf_init(&row, ROW_MAX);
		if (m->v[i].ino)
			r = encode(m, &m->v[i], &row);
		if (r == 0)
			r = ledger_set(l, row_of(i), buf_slice(&row));
		if (r == 0)
			m->v[i].changed = false;
	}
}

/* ---- what was built ---- */

int memos_keep(struct run *r, uint64_t ino, struct dir_builder *b,
	       const struct link *root)
{
	struct memos *all = r->o->memos;
	struct memo *m = slot(all, ino);
	struct dir_memo *dir;
	int rc = dir_builder_memo(b, &dir);

	if (rc < 0)
		return rc;
	if (dir || m->ino == ino)
		drop(m);
	if (dir)
		*m = (struct memo){ .ino = ino,
				    .used = ++all->clock,
				    .losses = r->losses,
				    .root = *root,
				    .dir = dir,
				    .changed = true };
	return 0;
}
