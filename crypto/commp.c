#include "crypto/commp.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>

#include "crypto/kept.h"
#include "crypto/pairhash.h"

#define QUAD_RAW    ((size_t)127)
#define QUAD_PADDED ((size_t)128)

/*
 * A chunk is a subtree that is expanded and reduced at once: 512 quads, 64 KiB
 * of leaves, in the second-level cache.
 */
#define CHUNK_QUADS  ((size_t)512)
#define CHUNK_RAW    (CHUNK_QUADS * QUAD_RAW)
#define CHUNK_HEIGHT 11 /* 2^11 leaves */
#define SPAN_LEVELS  4  /* a span is 2^4 chunks */

_Static_assert(CHUNK_QUADS *QUAD_PADDED == COMMP_SIZE << CHUNK_HEIGHT,
	       "a chunk is a subtree of 2^11 leaves");
_Static_assert(COMMP_SPAN == CHUNK_RAW << SPAN_LEVELS, "a span is whole chunks");
_Static_assert(CHUNK_QUADS *QUAD_PADDED <= KEPT_SCRATCH_SIZE,
	       "a chunk fits the thread's scratch");
_Static_assert(COMMP_SIZE == PAIRHASH_NODE, "a root is a node");

struct commp {
	pairhash_fn pairhash;
	uint64_t n_chunks; /* reduced so far */
	uint64_t raw_size;
	/* Of the chunks so far, the node of height L if bit L-11 is set. */
	uint8_t nodes[COMMP_HEIGHT_MAX + 1][COMMP_SIZE];
	size_t n_raw; /* waiting for a whole chunk */
	uint8_t raw[CHUNK_RAW];
	uint8_t leaves[CHUNK_QUADS * QUAD_PADDED];
};

int commp_new(struct commp **ret)
{
	struct commp *c = malloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->pairhash = pairhash_best();
	c->n_chunks = 0;
	c->raw_size = 0;
	c->n_raw = 0;
	*ret = c;
	return 0;
}

void commp_free(struct commp *c)
{
	free(c);
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline void store64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

/*
 * 127 bytes to four leaves of 254 bits: leaf j takes bits 254j to 254j + 253,
 * so it stands 2j bits higher than in the input.
 */
static void expand_quad(uint8_t *o, const uint8_t *s)
{
	const uint64_t low62 = UINT64_MAX >> 2;
	uint64_t w[16];

	for (size_t i = 0; i < 15; i++)
		w[i] = load64(s + 8 * i);
	w[15] = load64(s + 119) >> 8; /* byte 127 does not exist: zero */

	for (size_t i = 0; i < 3; i++)
		store64(o + 8 * i, w[i]);
	store64(o + 24, w[3] & low62);
#pragma GCC unroll 3
	for (unsigned leaf = 1; leaf < 4; leaf++) {
		unsigned up = 2 * leaf;
		const uint64_t *v = w + 4 * (size_t)leaf;
		uint8_t *to = o + 32 * (size_t)leaf;

		store64(to, v[0] << up | v[-1] >> (64 - up));
		store64(to + 8, v[1] << up | v[0] >> (64 - up));
		store64(to + 16, v[2] << up | v[1] >> (64 - up));
		store64(to + 24, (v[3] << up | v[2] >> (64 - up)) & low62);
	}
}

/*
 * The same of n quads two words at a time.  All but the last: a byte behind each is
 * read, and masked away.  A leaf but the first begins in the last byte
 * before its place in the output, `down` bits up.
 */
static void expand(uint8_t *o, const uint8_t *s, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	typedef uint64_t pair __attribute__((vector_size(16)));
	const pair mask = { UINT64_MAX, UINT64_MAX >> 2 };

	for (; n > 1; n--) {
# pragma GCC unroll 4
		for (unsigned leaf = 0; leaf < 4; leaf++) {
			const uint8_t *from = s + 32 * leaf - (leaf ? 1 : 0);
			unsigned down = 8 - 2 * leaf;
			pair v[2], next[2];

			memcpy(v, from, sizeof(v));
			if (leaf) {
				memcpy(next, from + 1, sizeof(next));
				v[0] = v[0] >> down | next[0] << (8 - down);
				v[1] = v[1] >> down | next[1] << (8 - down);
			}
			v[1] &= mask;
			memcpy(o + 32 * (size_t)leaf, v, sizeof(v));
		}
		o += QUAD_PADDED;
		s += QUAD_RAW;
	}
#endif
	for (; n; n--) {
		expand_quad(o, s);
		o += QUAD_PADDED;
		s += QUAD_RAW;
	}
}

/* The root of the subtree over n quads (a power of two) is left in `leaves`. */
static void reduce(pairhash_fn pairhash, uint8_t *leaves, const uint8_t *raw,
		   size_t n_quads)
{
	expand(leaves, raw, n_quads);
	for (size_t n = 2 * n_quads; n; n /= 2)
		pairhash(leaves, leaves, n);
}

static void parent(const struct commp *c, const uint8_t *left,
		   const uint8_t *right, uint8_t *ret)
{
	uint8_t pair[2 * COMMP_SIZE];

	memcpy(pair, left, COMMP_SIZE);
	memcpy(pair + COMMP_SIZE, right, COMMP_SIZE);
	c->pairhash(ret, pair, 1);
}

/*
 * The node of a whole subtree of 2^levels chunks joins the tree as a binary
 * counter carries.
 */
static void add_node(struct commp *c, const uint8_t *node, unsigned levels)
{
	uint64_t n = c->n_chunks >> levels;
	unsigned level = CHUNK_HEIGHT + levels;
	uint8_t sum[COMMP_SIZE];

	memcpy(sum, node, COMMP_SIZE);
	for (; n & 1; n >>= 1, level++) {
		assert(level < COMMP_HEIGHT_MAX); /* 2^47 chunks: 8 EiB */
		parent(c, c->nodes[level], sum, sum);
	}
	memcpy(c->nodes[level], sum, COMMP_SIZE);
	c->n_chunks += UINT64_C(1) << levels;
}

static void add_chunk(struct commp *c, const uint8_t *raw)
{
	reduce(c->pairhash, c->leaves, raw, CHUNK_QUADS);
	add_node(c, c->leaves, 0);
}

int commp_span(const uint8_t span[static COMMP_SPAN], uint8_t ret[static COMMP_SIZE])
{
	uint8_t nodes[COMMP_SIZE << SPAN_LEVELS];
	pairhash_fn pairhash = pairhash_best();
	uint8_t *leaves = kept_scratch();

	if (!leaves)
		return -ENOMEM;
	for (size_t i = 0; i < (size_t)1 << SPAN_LEVELS; i++) {
		reduce(pairhash, leaves, span + CHUNK_RAW * i, CHUNK_QUADS);
		memcpy(nodes + COMMP_SIZE * i, leaves, COMMP_SIZE);
	}
	for (size_t n = (size_t)1 << SPAN_LEVELS; n > 1; n /= 2)
		pairhash(nodes, nodes, n / 2);
	memcpy(ret, nodes, COMMP_SIZE);
	return 0;
}

void commp_add_span(struct commp *c, const uint8_t root[static COMMP_SIZE])
{
	assert(c->n_raw == 0 && c->n_chunks % ((uint64_t)1 << SPAN_LEVELS) == 0);
	add_node(c, root, SPAN_LEVELS);
	c->raw_size += COMMP_SPAN;
}

void commp_update(struct commp *c, struct slice s)
{
	c->raw_size += s.n;
	while (s.n) {
		size_t n = MIN(s.n, CHUNK_RAW - c->n_raw);

		if (n == CHUNK_RAW) {
			add_chunk(c, s.p);
		} else {
			memcpy(c->raw + c->n_raw, s.p, n);
			c->n_raw += n;
		}
		if (c->n_raw == CHUNK_RAW) {
			add_chunk(c, c->raw);
			c->n_raw = 0;
		}
		s = slice(s.p + n, s.n - n);
	}
}

/* Fill what is missing on the right with zeros up to `height`. */
static void close_tree(struct commp *c, unsigned height, uint8_t *ret)
{
	uint8_t zero[COMMP_SIZE] = { 0 }; /* the node over zeros of this level */
	uint8_t node[COMMP_SIZE]; /* the last one, if it is incomplete */
	bool have = false;

	for (unsigned level = 0; level < height; level++) {
		bool set = level >= CHUNK_HEIGHT &&
			   (c->n_chunks >> (level - CHUNK_HEIGHT) & 1);

		if (set)
			parent(c, c->nodes[level], have ? node : zero, node);
		else if (have)
			parent(c, node, zero, node);
		have = have || set;
		parent(c, zero, zero, zero);
	}
	memcpy(ret, have ? node : c->nodes[height], COMMP_SIZE);
}

void commp_final(struct commp *c, struct commp_sum *ret)
{
	struct commp_sum sum = { .raw_size = c->raw_size };
	uint64_t n_quads = 1;

	sum.height = COMMP_HEIGHT_MIN;
	while (n_quads * QUAD_RAW < c->raw_size) {
		n_quads *= 2;
		sum.height++;
	}
	sum.padding = n_quads * QUAD_RAW - c->raw_size;

	if (c->n_chunks == 0) {
		memset(c->raw + c->n_raw, 0, (size_t)n_quads * QUAD_RAW - c->n_raw);
		reduce(c->pairhash, c->leaves, c->raw, (size_t)n_quads);
		memcpy(sum.root, c->leaves, COMMP_SIZE);
	} else {
		if (c->n_raw) {
			memset(c->raw + c->n_raw, 0, CHUNK_RAW - c->n_raw);
			add_chunk(c, c->raw);
		}
		close_tree(c, sum.height, sum.root);
	}
	c->n_chunks = 0;
	c->raw_size = 0;
	c->n_raw = 0;
	*ret = sum;
}
