#include "onboard/memos.h"

#include "base/cursor.h"
#include "dag/dir.h"
#include "onboard/run.h"

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
	*m = (struct memo){ 0 };
}

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
				    .dir = dir };
	return 0;
}
