/*
 * fuzz_piece.c - the index of a piece, block by block, from who holds the words
 *
 * Every block is sealed and named aright, so that what is behind the hash and the
 * cipher is reached: a root that is the file itself, or a node above its leaves.
 *
 *   offset  size  field
 *   0       1     flags: see below
 *   1       2     entries that the trailer speaks of, LE
 *   3       1     n, changes of the root's body
 *   4       3 n   each: where (LE), and what is XORed
 *   ...           the file: all of it, or what follows LARGE bytes of an honest one
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "crypto/hash.h"
#include "crypto/seal.h"
#include "dag/piece_reader.h"
#include "dag/profile.h"
#include "dag/unixfs.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/zerokeys.h"

#define HEADER      4
#define CHANGES_MAX 8
#define RAW_SIZE    (8u << 20) /* bytes of the piece, as the trailer says */
#define PIECE       piece_ordinal(1, 1)
#define LARGE       XINDEX_CHUNK_SIZE

enum flag {
	NODE = 1,       /* the root is a node */
	TWO_LEAVES = 2, /* LARGE honest bytes first */
	NODES = 4,      /* the index of nodes, not of leaves */
	HONEST_N = 8,   /* as many entries as the bytes hold */
};

/* A sealed block and its section. */
struct block {
	struct buf section;
	struct link link;
};

static struct block first; /* LARGE bytes of the file of N_LARGE entries */
#define N_LARGE 13200u

static void seal_it(struct slice body, enum link_codec codec, uint64_t off,
		    struct block *ret)
{
	_cleanup_buf_ struct buf b = { 0 };
	uint8_t head[PIECE_HEAD_MAX];
	size_t n;
	int r;

	buf_init(&b, SEAL_BLOCK_MAX);
	buf_init(&ret->section, SEAL_BLOCK_MAX + PIECE_HEAD_MAX);
	ret->link = (struct link){ .kind = LINK_SEALED, .codec = codec };
	r = seal_block(keys_secret(zero_keys(), KEYS_COMMIT), SEAL_STORED, body,
		       &b, ret->link.key, ret->link.digest);
	assert(r == 0);
	n = piece_section_head(ret->link.digest, b.n, head);
	r = buf_append(&ret->section, slice(head, n));
	if (r == 0)
		r = buf_append(&ret->section, buf_slice(&b));
	assert(r == 0);
	ret->link.place = (struct place){ PIECE, off, (uint32_t)ret->section.n };
}

static void prepare(void)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct xindex x;
	int r;

	xindex_init(&x, PIECE);
	for (uint32_t i = 0; i < N_LARGE; i++) {
		struct xindex_entry e = { .off = 64 + 300 * (uint64_t)i,
					  .len = 300,
					  .kind = XINDEX_LEAF,
					  .codec = LINK_RAW };

		e.digest[0] = (uint8_t)(i >> 8);
		e.digest[1] = (uint8_t)i;
		r = xindex_add(&x, &e);
		assert(r == 0);
	}
	xindex_sort(&x);
	buf_init(&b, LARGE);
	r = xindex_read(&x, 0, LARGE, &b);
	assert(r == 0 && b.n == LARGE);
	xindex_fini(&x);
	seal_it(buf_slice(&b), LINK_RAW, 4096, &first);
}

/* A node above the leaves. */
static void put_node(const struct block *const *leaves, const size_t *sizes,
		     size_t n, struct buf *b)
{
	struct unixfs fs = { .type = UNIXFS_FILE, .has_filesize = true };
	struct unixfs_child c[2] = { 0 };
	int r;

	for (size_t i = 0; i < n; i++) {
		c[i] = (struct unixfs_child){ .link = leaves[i]->link,
					      .size = sizes[i],
					      .tsize = sizes[i] };
		fs.filesize += sizes[i];
	}
	r = unixfs_node_encode(&dag_profile_sealed, &fs, c, n, b);
	assert(r == 0);
}

static void look_at(const struct piece_index *x)
{
	struct xindex_entry e, found;
	struct xindex_view v;
	int r = piece_index_view(x, &v);

	assert(r == 0 || r == -EPROTO || r == -EOPNOTSUPP);
	for (uint32_t i = 0; r == 0 && i < v.n; i += 1 + i / 8) {
		xindex_get(&v, i, &e);
		assert(e.off <= RAW_SIZE && e.len <= RAW_SIZE - e.off);
		assert(xindex_find(&v, e.digest, &found) == 0);
	}
}

/* Feeds what is asked for; a wrong block first, which changes nothing. */
static void walk(const struct trailer *t, enum piece_index_of of,
		 const struct block *root, const struct block *const *leaves,
		 size_t n)
{
	_cleanup_piece_index_ struct piece_index *x = NULL;
	struct slice s;
	struct place p;
	size_t i = 0;
	int r;

	r = piece_index_new(t, of, &x);
	assert(r == 0 || r == -ENOENT || r == -EPROTO);
	if (r < 0)
		return;
	while (piece_index_want(x, &p)) {
		assert(i <= n);
		s = i == 0 ? buf_slice(&root->section) :
			     buf_slice(&leaves[i - 1]->section);
		r = piece_index_feed(x, slice(s.p, s.n - 1));
		assert(r == -EBADMSG);
		r = piece_index_feed(x, s);
		if (r == -EBADMSG)
			return; /* not the leaf that the node names */
		if (r < 0) {
			assert(!piece_index_want(x, &p));
			assert(piece_index_feed(x, s) == r);
			break;
		}
		i++;
	}
	look_at(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct block root = { .link = { .kind = LINK_NONE } };
	struct block last = { .link = { .kind = LINK_NONE } };
	const struct block *leaves[2] = { &last, NULL };
	struct trailer t = { .piece = PIECE, .raw_size = RAW_SIZE };
	_cleanup_buf_ struct buf body = { 0 };
	size_t n_changes, sizes[2], n = 1;
	uint64_t entries, whole;
	struct slice file;
	int r;

	if (size < HEADER)
		return 0;
	if (!first.section.n)
		prepare();
	n_changes = MIN(MIN(data[3], CHANGES_MAX), (size - HEADER) / 3);
	file = slice(data + HEADER + 3 * n_changes, size - HEADER - 3 * n_changes);
	sizes[0] = file.n;
	if (data[0] & TWO_LEAVES) {
		leaves[0] = &first;
		leaves[1] = &last;
		sizes[0] = LARGE;
		sizes[1] = file.n;
		n = 2;
	}
	whole = (n == 2 ? LARGE : 0) + (uint64_t)file.n;
	entries = data[0] & HONEST_N && whole > XINDEX_HEAD_SIZE ?
			  (whole - XINDEX_HEAD_SIZE) / XINDEX_ENTRY_SIZE :
			  data[1] | (unsigned)data[2] << 8;
	buf_init(&body, XINDEX_CHUNK_SIZE);
	if (data[0] & NODE) {
		seal_it(file, LINK_RAW, 2048, &last);
		put_node(leaves, sizes, n, &body);
	} else {
		r = buf_append(&body, file);
		assert(r == 0);
	}
	for (size_t i = 0; i < n_changes && body.n; i++) {
		const uint8_t *c = data + HEADER + 3 * i;

		body.p[(c[0] | (size_t)c[1] << 8) % body.n] ^= c[2];
	}
	seal_it(buf_slice(&body), data[0] & NODE ? LINK_DAGPB : LINK_RAW, 64, &root);
	*(data[0] & NODES ? &t.nodes : &t.leaves) = root.link;
	*(data[0] & NODES ? &t.n_nodes : &t.n_leaves) = entries;
	walk(&t, data[0] & NODES ? PIECE_NODES : PIECE_LEAVES, &root, leaves,
	     data[0] & NODE ? n : 0);
	buf_fini(&root.section);
	buf_fini(&last.section);
	return 0;
}
