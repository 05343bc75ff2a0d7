/*
 * bombs.c - what somebody with the words of a drive might publish to break who reads
 *
 *   bombs URL WORDS_FILE
 *
 * The next commit of the drive, with the real keys: its root has a file "fine" and
 * beside it one bomb a name (bombs[]).  Whoever reads has to say that it cannot,
 * or give what is there, soon and in bounded memory (test_bombs.py).
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/seal.h"
#include "dag/dir.h"
#include "dag/hamt.h"
#include "dag/piece_writer.h"
#include "dag/profile.h"
#include "dag/sealer.h"
#include "nextcommit.h"
#include "tool.h"

#define NODE_MAX (2u << 20)
#define FANOUT   256
#define UNPACKED (256ull << 20)

/* What is being published. */
struct site {
	struct sealer sealer; /* of nodes, for the root's builder */
	const struct secret *convergence;
	struct piece_writer *w;
	uint64_t root_ino, self_ino, ino; /* the last one that was given out */
};

/* ---- blocks ---- */

static void add(struct site *s, struct slice block, enum link_codec codec,
		enum xindex_kind kind, struct link *l)
{
	struct piece_block b = { .block = block, .kind = kind, .codec = codec };

	memcpy(b.digest, l->digest, sizeof(b.digest));
	memcpy(b.key, l->key, sizeof(b.key));
	l->kind = LINK_SEALED;
	l->codec = codec;
	must(piece_writer_add(s->w, &b, &l->place), "a block", NULL);
}

static struct link put(struct site *s, enum link_codec codec,
		       enum xindex_kind kind, struct slice body)
{
	struct link l = { .kind = LINK_SEALED };
	_cleanup_buf_ struct buf block;

	buf_init(&block, SEAL_BLOCK_MAX);
	must(seal_block(s->convergence, SEAL_STORED, body, &block, l.key, l.digest),
	     "seal", NULL);
	add(s, buf_slice(&block), codec, kind, &l);
	return l;
}

static struct link leaf(struct site *s, struct slice body)
{
	/* Leaves come before nodes in a piece, but for these. */
	return put(s, LINK_RAW, XINDEX_XATTRS, body);
}

static int seal_node(struct sealer *sealer, enum link_codec codec,
		     enum block_kind kind, struct slice body, struct link *ret)
{
	struct site *s = container_of(sealer, struct site, sealer);

	*ret = put(s, codec, kind == BLOCK_SHARD ? XINDEX_SHARD : XINDEX_ROOT, body);
	return 0;
}

/* A payload as a hostile writer seals it: under any key, with any flags. */
static struct link leaf_of_payload(struct site *s, struct slice payload)
{
	static const uint8_t nonce[12];
	struct link l = { .kind = LINK_SEALED };
	uint8_t *block = malloc(payload.n + SEAL_TAG_SIZE);
	unsigned long long n = 0;

	if (!block)
		abort();
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(block, &n, payload.p,
							payload.n, NULL, 0, NULL,
							nonce, l.key); /* cannot fail */
	sha256_once(slice(block, n), l.digest);
	add(s, slice(block, n), LINK_RAW, XINDEX_XATTRS, &l);
	free(block);
	return l;
}

/* ---- nodes ---- */

static struct link file_node(struct site *s, const struct unixfs_child *v, size_t n)
{
	struct unixfs fs = { .type = UNIXFS_FILE, .has_filesize = true };
	_cleanup_buf_ struct buf body;

	for (size_t i = 0; i < n; i++)
		fs.filesize += v[i].size;
	buf_init(&body, NODE_MAX);
	must(unixfs_node_encode(&dag_profile_sealed, &fs, v, n, &body),
	     "a node", NULL);
	return put(s, LINK_DAGPB, XINDEX_ROOT, buf_slice(&body));
}

/* A file node of n times the same child, each said to have `size` bytes. */
static struct link repeated(struct site *s, const struct link *child,
			    uint64_t size, size_t n)
{
	struct unixfs_child *v = calloc(n, sizeof(*v));
	struct link l;

	if (!v)
		abort();
	for (size_t i = 0; i < n; i++)
		v[i] = (struct unixfs_child){ .link = *child, .size = size };
	l = file_node(s, v, n);
	free(v);
	return l;
}

static struct link shard_node(struct site *s,
			      const uint8_t field[static FANOUT / 8],
			      const struct unixfs_child *v, size_t n)
{
	struct unixfs fs = { .type = UNIXFS_SHARD,
			     .has_data = true,
			     .data = hamt_trim(field, FANOUT),
			     .hash_type = UNIXFS_MURMUR3,
			     .fanout = FANOUT };
	_cleanup_buf_ struct buf body;

	buf_init(&body, NODE_MAX);
	must(unixfs_node_encode(&dag_profile_sealed, &fs, v, n, &body),
	     "a shard", NULL);
	return put(s, LINK_DAGPB, XINDEX_SHARD, buf_slice(&body));
}

/* A shard of n buckets, each with the same sub-shard. */
static struct link shard(struct site *s, const struct link *child, unsigned n)
{
	static struct unixfs_child v[FANOUT];
	char names[FANOUT][3];
	uint8_t field[FANOUT / 8] = { 0 };

	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%02X", i); /* fits */
		hamt_set(field, FANOUT, i);
		v[i] = (struct unixfs_child){ .name = slice_str(names[i]),
					      .link = *child };
	}
	return shard_node(s, field, v, n);
}

/* The deepest shard of the first round, with one file. */
static struct link shard_with(struct site *s, const char *name)
{
	const unsigned bits = hamt_bits(FANOUT), level = hamt_levels(bits) - 1;
	unsigned at = hamt_index(hamt_hash(slice_str(name), 0), bits, level);
	struct unixfs_child v = { .size = 0 };
	struct attr a = { .ino = ++s->ino, .mode = S_IFREG | 0644, .nlink = 1 };
	uint8_t full[64], field[FANOUT / 8] = { 0 };
	_cleanup_buf_ struct buf attr;
	struct link l;

	l = leaf(s, slice_str("same\n"));
	a.size = 5;
	buf_init(&attr, ATTR_ENCODED_MAX);
	must(attr_encode(&a, &attr), "attributes", NULL);
	hamt_prefix(at, bits, full);
	memcpy(full + hamt_digits(bits), name, strlen(name));
	hamt_set(field, FANOUT, at);
	v.name = slice(full, hamt_digits(bits) + strlen(name));
	v.link = l;
	v.attr = buf_slice(&attr);
	return shard_node(s, field, &v, 1);
}

/* ---- the bombs ---- */

struct made {
	struct link link;
	uint64_t size;
	uint64_t ino; /* 0: one of its own */
};

static void fine(struct site *s, struct made *m)
{
	m->link = leaf(s, slice_str("fine\n"));
	m->size = 5;
}

/* Twice as many nodes below each other as are read. */
static void deep(struct site *s, struct made *m)
{
	m->link = leaf(s, slice_str("0123456789"));
	for (unsigned i = 0; i < 2 * FILE_DEPTH_MAX; i++)
		m->link = repeated(s, &m->link, 10, 1);
	m->size = 10;
}

/* 2^52 bytes that are there, in 21 blocks. */
static void huge(struct site *s, struct made *m)
{
	static uint8_t text[4096];

	memset(text, 'h', sizeof(text));
	m->link = leaf(s, slice(text, sizeof(text)));
	m->size = sizeof(text);
	for (; m->size < 1ull << 52; m->size *= 4)
		m->link = repeated(s, &m->link, m->size, 4);
}

/* Two bytes, and between them 1,000^20 nodes of none. */
static void empties(struct site *s, struct made *m)
{
	struct link none = file_node(s, NULL, 0);
	struct unixfs_child v[3] = { { .size = 1 }, { .size = 0 }, { .size = 1 } };

	for (unsigned i = 0; i < 20; i++)
		none = repeated(s, &none, 0, 1000);
	v[1].link = none;
	v[0].link = v[2].link = leaf(s, slice_str("x"));
	m->link = file_node(s, v, 3);
	m->size = 2;
}

static void claims(struct site *s, struct made *m)
{
	m->link = leaf(s, slice_str("0123456789"));
	m->size = 1ull << 40;
}

static void less(struct site *s, struct made *m)
{
	static uint8_t text[1u << 20];

	memset(text, 'l', sizeof(text));
	m->link = leaf(s, slice(text, sizeof(text)));
	m->link = repeated(s, &m->link, sizeof(text), 1000);
	m->size = 10;
}

static void overflow(struct site *s, struct made *m)
{
	m->link = leaf(s, slice_str("0123456789"));
	m->link = repeated(s, &m->link, 1ull << 60, 17);
	m->size = 1ull << 50;
}

static void child_lies(struct site *s, struct made *m)
{
	m->link = leaf(s, slice_str("0123456789"));
	m->link = repeated(s, &m->link, 1ull << 20, 8);
	m->size = 8ull << 20;
}

/* A frame that unpacks to 256 MiB; it says so, or that it is a leaf. */
static struct link zstd_leaf(struct site *s, bool says_so)
{
	const size_t chunk = 1u << 20;
	uint8_t *zeros = calloc(1, chunk), *p = malloc(chunk);
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_outBuffer out = { p, chunk, SEAL_HEAD_SIZE };
	struct link l;

	must(zeros && p && c ? 0 : -ENOMEM, "memory", NULL);
	if (says_so)
		(void)ZSTD_CCtx_setPledgedSrcSize(c, UNPACKED); /* cannot fail here */
	for (uint64_t n = 0; n < UNPACKED; n += chunk) {
		ZSTD_inBuffer in = { zeros, chunk, 0 };
		bool last = n + chunk == UNPACKED;

		do {
			size_t r = ZSTD_compressStream2(
				c, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);

			must(ZSTD_isError(r) || out.pos == out.size ? -EIO : 0,
			     "zstd", NULL);
			if (last && r == 0)
				break;
		} while (last || in.pos < in.size);
	}
	memset(p, 0, SEAL_HEAD_SIZE);
	p[0] = p[1] = 1;
	put_le32(p + 4, (uint32_t)(out.pos - SEAL_HEAD_SIZE));
	memset(p + out.pos, 0, chunk - out.pos);
	l = leaf_of_payload(
		s, slice(p, SEAL_HEAD_SIZE +
				    seal_padded_size(SEAL_ZSTD,
						     out.pos - SEAL_HEAD_SIZE)));
	ZSTD_freeCCtx(c);
	free(zeros);
	free(p);
	return l;
}

static void zstd(struct site *s, struct made *m)
{
	m->link = zstd_leaf(s, true);
	m->size = UNPACKED;
}

static void zstd_lies(struct site *s, struct made *m)
{
	m->link = zstd_leaf(s, false);
	m->size = 1u << 20;
}

/* Shards below shards, more than there are bits in a hash. */
static void shards(struct site *s, struct made *m)
{
	m->link = shard(s, NULL, 0);
	for (unsigned i = 0; i < 40; i++)
		m->link = shard(s, &m->link, 1);
}

/* 256^15 shards in 16 blocks, none of which has an entry. */
static void barren(struct site *s, struct made *m)
{
	m->link = shard(s, NULL, 0);
	for (unsigned i = 0; i < 15; i++)
		m->link = shard(s, &m->link, FANOUT);
}

/* One name in 256^7 places. */
static void same(struct site *s, struct made *m)
{
	m->link = shard_with(s, "fine");
	for (unsigned i = 0; i < 7; i++)
		m->link = shard(s, &m->link, FANOUT);
}

static void self(struct site *s, struct made *m)
{
	m->link = shard(s, NULL, 0);
	m->ino = s->self_ino;
}

static void long_symlink(struct site *s, struct made *m)
{
	static uint8_t text[1u << 20];
	_cleanup_buf_ struct buf body;

	memset(text, 's', sizeof(text));
	buf_init(&body, NODE_MAX);
	must(unixfs_symlink_encode(slice(text, sizeof(text)), &body),
	     "a symlink", NULL);
	m->link = put(s, LINK_DAGPB, XINDEX_ROOT, buf_slice(&body));
	m->size = sizeof(text);
}

struct bomb {
	const char *name;
	mode_t type;
	void (*make)(struct site *s, struct made *m);
};

static void entry(struct site *s, struct dir_builder *b, const char *name,
		  mode_t type, const struct made *m)
{
	struct attr a = { .mode = type | 0755, .nlink = 1, .size = m->size };
	_cleanup_buf_ struct buf attr;

	a.ino = m->ino ? m->ino : ++s->ino;
	buf_init(&attr, ATTR_ENCODED_MAX);
	must(attr_encode(&a, &attr), "attributes", NULL);
	must(dir_builder_add(b, slice_str(name), &m->link, 0, buf_slice(&attr)),
	     name, NULL);
}

/* A folder that has the same twice. */
static struct link pair(struct site *s, const struct made *m, mode_t type)
{
	_cleanup_dir_builder_ struct dir_builder *b = NULL;
	struct dag_root root;
	struct err e = { "" };

	must(dir_builder_new(&dag_profile_sealed, &s->sealer, &b), "folder", NULL);
	entry(s, b, "a", type, m);
	entry(s, b, "b", type, m);
	must(dir_builder_finish(b, &root, &e), "folder", &e);
	return root.link;
}

static struct link folder(struct site *s, const struct bomb *v, size_t n)
{
	_cleanup_dir_builder_ struct dir_builder *b = NULL;
	struct dag_root root;
	struct err e = { "" };

	must(dir_builder_new(&dag_profile_sealed, &s->sealer, &b), "folder", NULL);
	for (size_t i = 0; i < n; i++) {
		struct made m = { .size = 0 };

		v[i].make(s, &m);
		entry(s, b, v[i].name, v[i].type, &m);
	}
	must(dir_builder_finish(b, &root, &e), "folder", &e);
	return root.link;
}

/* An entry that is refused, and all of its folder with it. */
static struct link alone(struct site *s, const char *name, mode_t type,
			 void (*make)(struct site *s, struct made *m))
{
	const struct bomb v[] = { { "fine", S_IFREG, fine }, { name, type, make } };

	return folder(s, v, ARRAY_LEN(v));
}

/* The root again. */
static void ring(struct site *s, struct made *m)
{
	m->link = shard(s, NULL, 0);
	m->ino = s->root_ino;
}

static void in_ring(struct site *s, struct made *m)
{
	m->link = alone(s, "ring", S_IFDIR, ring);
}

/* A folder with the number of the one that it is in. */
static void in_self(struct site *s, struct made *m)
{
	m->ino = ++s->ino;
	s->self_ino = m->ino;
	m->link = alone(s, "self", S_IFDIR, self);
}

static void endless(struct site *s, struct made *m)
{
	m->link = leaf(s, slice_str("0123456789"));
	m->size = (1ull << 53) + 1;
}

static void in_endless(struct site *s, struct made *m)
{
	m->link = alone(s, "endless", S_IFREG, endless);
}

static void in_symlink(struct site *s, struct made *m)
{
	m->link = alone(s, "long", S_IFLNK, long_symlink);
}

/* 2^40 folders in 41 blocks: each is twice in the one above it. */
static void twins(struct site *s, struct made *m)
{
	fine(s, m);
	for (unsigned i = 0; i < 40; i++) {
		m->link = pair(s, m, i ? S_IFDIR : S_IFREG);
		m->size = 0;
	}
}

static const struct bomb bombs[] = {
	{ "barren", S_IFDIR, barren },
	{ "child lies", S_IFREG, child_lies },
	{ "claims", S_IFREG, claims },
	{ "deep", S_IFREG, deep },
	{ "empties", S_IFREG, empties },
	{ "fine", S_IFREG, fine },
	{ "huge", S_IFREG, huge },
	{ "in endless", S_IFDIR, in_endless },
	{ "in ring", S_IFDIR, in_ring },
	{ "in self", S_IFDIR, in_self },
	{ "in symlink", S_IFDIR, in_symlink },
	{ "less", S_IFREG, less },
	{ "overflow", S_IFREG, overflow },
	{ "same", S_IFDIR, same },
	{ "shards", S_IFDIR, shards },
	{ "twins", S_IFDIR, twins },
	{ "zstd", S_IFREG, zstd },
	{ "zstd lies", S_IFREG, zstd_lies },
};

/* ---- the commit ---- */

static const struct sealer_ops sealer_ops = { .seal = seal_node };

static void blocks(struct next_commit *n, struct piece_writer *w, void *ctx)
{
	struct site s = { .sealer = { .ops = &sealer_ops },
			  .convergence = n->convergence,
			  .w = w,
			  .root_ino = n->info.root_attr.ino,
			  .ino = n->info.ino_next };

	(void)ctx;
	n->info.root = folder(&s, bombs, ARRAY_LEN(bombs));
	n->info.ino_next = s.ino + 1;
}

int main(int argc, char **argv)
{
	struct next_commit n;

	if (argc != 3)
		return 2;
	next_commit_begin(&n, argv[1], argv[2]);
	next_commit_publish(&n, blocks, NULL);
	next_commit_end(&n);
	return 0;
}
