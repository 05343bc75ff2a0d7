#include "dag/digest_set.h"

#include <errno.h>
#include <string.h>

#define FIRST_CAP 64 /* slots; a power of two */

void digest_set_fini(struct digest_set *s)
{
	free(s->slots);
	*s = (struct digest_set){ .n = 0 };
}

/* The slot of a digest, or the empty slot where it would go. */
static uint8_t *find(const struct digest_set *s, const uint8_t *digest)
{
	static const uint8_t empty[DIGEST_SIZE];
	size_t i = get_le64(digest) & (s->cap - 1);

	while (memcmp(s->slots[i], empty, DIGEST_SIZE) != 0 &&
	       memcmp(s->slots[i], digest, DIGEST_SIZE) != 0)
		i = (i + 1) & (s->cap - 1);
	return s->slots[i];
}

static int grow(struct digest_set *s)
{
	struct digest_set t = { .n = s->n, .cap = s->cap ? s->cap * 2 : FIRST_CAP };
	static const uint8_t empty[DIGEST_SIZE];

	t.slots = calloc(t.cap, DIGEST_SIZE);
	if (!t.slots)
		return -ENOMEM;
	for (size_t i = 0; i < s->cap; i++) {
		if (memcmp(s->slots[i], empty, DIGEST_SIZE) != 0)
			memcpy(find(&t, s->slots[i]), s->slots[i], DIGEST_SIZE);
	}
	free(s->slots);
	*s = t;
	return 0;
}

int digest_set_add(struct digest_set *s, const uint8_t digest[static DIGEST_SIZE])
{
	uint8_t *slot;
	int r;

	if (s->n >= s->cap / 4 * 3) {
		r = grow(s);
		if (r < 0)
			return r;
	}
	slot = find(s, digest);
	if (memcmp(slot, digest, DIGEST_SIZE) == 0)
		return 0;
	memcpy(slot, digest, DIGEST_SIZE);
	s->n++;
	return 1;
}

bool digest_set_has(const struct digest_set *s,
		    const uint8_t digest[static DIGEST_SIZE])
{
	return s->cap && memcmp(find(s, digest), digest, DIGEST_SIZE) == 0;
}
