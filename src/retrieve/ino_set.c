#include "retrieve/ino_set.h"

#include <errno.h>
#include <stdlib.h>

#define SHARED_BIT (1ull << 63)
#define FIRST_CAP  1024 /* places; a power of two */

void ino_set_fini(struct ino_set *s)
{
	free(s->v);
	*s = (struct ino_set){ .n = 0 };
}

static size_t at(const struct ino_set *s, uint64_t ino)
{
	size_t i = (size_t)(ino * 0x9e3779b97f4a7c15u >> 20) & (s->cap - 1);

	while (s->v[i] && (s->v[i] & ~SHARED_BIT) != ino)
		i = (i + 1) & (s->cap - 1);
	return i;
}

static int grow(struct ino_set *s)
{
	struct ino_set t = { .n = s->n, .cap = s->cap ? 2 * s->cap : FIRST_CAP };

	if (s->n >= INO_SET_N_MAX)
		return -EMSGSIZE;
	t.v = calloc(t.cap, sizeof(*t.v));
	if (!t.v)
		return -ENOMEM;
	for (size_t i = 0; i < s->cap; i++)
		if (s->v[i])
			t.v[at(&t, s->v[i] & ~SHARED_BIT)] = s->v[i];
	free(s->v);
	*s = t;
	return 0;
}

/* 1: this name of the inode may stand; 0: the inode stands elsewhere. */
int ino_set_add(struct ino_set *s, uint64_t ino, bool shared)
{
	size_t i;
	int r;

	if (s->n >= s->cap / 4 * 3) {
		r = grow(s);
		if (r < 0)
			return r;
	}
	i = at(s, ino);
	if (s->v[i]) /* only a hard link has several names */
		return shared && s->v[i] & SHARED_BIT;
	s->v[i] = ino | (shared ? SHARED_BIT : 0);
	s->n++;
	return 1;
}

bool ino_set_has(const struct ino_set *s, uint64_t ino)
{
	return s->cap && s->v[at(s, ino)];
}
