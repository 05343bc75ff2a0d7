/*
 * test_golden.c - the format as it was written once, and has to stay
 *
 * tests/vectors/format/ holds a small drive: piece.car, and example.json with
 * all of it that is no chance.  docs/format.md explains both.  This test makes
 * example.json anew and compares it, and reads piece.car from the words alone.
 *
 * `test_golden DIR` writes both files; only a new format version may do that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "crypto/hash.h"
#include "crypto/seal.h"
#include "crypto/words.h"
#include "dag/commit.h"
#include "dag/dir.h"
#include "dag/piece_reader.h"
#include "dag/piece_writer.h"
#include "dag/profile.h"
#include "dag/sealer.h"
#include "records.h"

#define CONTENT "hello, drive\n"
#define NAME    "hello.txt"
#define TARGET  "hello.txt"
#define PIECE   piece_ordinal(0xabcdef, 1)
#define TIME_S  1700000000

struct drive {
	struct sealer sealer; /* of the root directory's builder */
	struct secret *entropy;
	struct keys *keys;
	struct secret *convergence;
	struct piece_writer *w;
	struct link leaf;
	struct link root;
	struct buf leaf_block;
	struct buf root_body;
	struct buf root_block;
	struct buf attrs[3]; /* link, hello.txt, zero */
};

static void check(int r)
{
	if (r < 0)
		fail_msg("%s", err_str(r));
}

static void drive_fini(struct drive *d)
{
	secret_free(d->entropy);
	secret_free(d->convergence);
	keys_free(d->keys);
	piece_writer_free(d->w);
	buf_fini(&d->leaf_block);
	buf_fini(&d->root_body);
	buf_fini(&d->root_block);
	for (size_t i = 0; i < ARRAY_LEN(d->attrs); i++)
		buf_fini(&d->attrs[i]);
}

/* Without a writer the places are those of the vector: leaf at 36. */
static void put(struct drive *d, struct buf *block, struct link *l,
		enum xindex_kind kind)
{
	struct piece_block b = { .block = buf_slice(block),
				 .kind = kind,
				 .codec = l->codec };

	l->place = (struct place){ PIECE, PIECE_HEADER_SIZE,
				   (uint32_t)piece_section_size(block->n) };
	if (!d->w)
		return;
	memcpy(b.digest, l->digest, sizeof(b.digest));
	memcpy(b.key, l->key, sizeof(b.key));
	check(piece_writer_add(d->w, &b, &l->place));
}

static int seal_root(struct sealer *s, enum link_codec codec,
		     enum block_kind kind _unused_, struct slice body,
		     struct link *ret)
{
	struct drive *d = container_of(s, struct drive, sealer);

	*ret = (struct link){ .kind = LINK_SEALED, .codec = codec };
	check(buf_append(&d->root_body, body));
	check(seal_block(d->convergence, SEAL_STORED, body, &d->root_block,
			 ret->key, ret->digest));
	put(d, &d->root_block, ret, XINDEX_ROOT);
	return 0;
}

static const struct sealer_ops root_sealer = { .seal = seal_root };

static void encode_attrs(struct drive *d)
{
	const struct attr_xattr x = { slice_str("user.note"), slice_str("green") };
	struct attr a = { .uid = 1000,
			  .gid = 1000,
			  .nlink = 1,
			  .mtime = { TIME_S, 123456789 },
			  .ctime = { TIME_S, 123456789 },
			  .btime = { TIME_S, 0 } };
	struct buf set;

	a.ino = 2;
	a.mode = S_IFREG | 0644;
	a.size = strlen(CONTENT);
	buf_init(&set, 256);
	check(attr_xattrs_encode(&x, 1, &set));
	a.xattrs = buf_slice(&set);
	check(attr_encode(&a, &d->attrs[1]));
	buf_fini(&set);
	a.xattrs = SLICE_NONE;
	a.ino = 3;
	a.mode = S_IFLNK | 0777;
	a.size = strlen(TARGET);
	check(attr_encode(&a, &d->attrs[0]));
	a.ino = 4;
	a.mode = S_IFCHR | 0600;
	a.size = 0;
	a.rdev = 1ull << 32 | 5; /* /dev/zero */
	check(attr_encode(&a, &d->attrs[2]));
}

static void build(struct drive *d, struct piece_writer *w)
{
	static const char *const names[] = { "link", NAME, "zero" };
	_cleanup_dir_builder_ struct dir_builder *b = NULL;
	struct link links[3] = { 0 };
	struct dag_root root;
	struct buf body;
	struct err e = { 0 };

	d->w = w;
	d->leaf.kind = LINK_SEALED;
	d->leaf.codec = LINK_RAW;
	check(seal_block(d->convergence, SEAL_STORED, slice_str(CONTENT),
			 &d->leaf_block, d->leaf.key, d->leaf.digest));
	put(d, &d->leaf_block, &d->leaf, XINDEX_LEAF);
	encode_attrs(d);

	/* A symlink fits its own CID; a device links an empty one. */
	buf_init(&body, LINK_INLINE_MAX);
	check(unixfs_symlink_encode(slice_str(TARGET), &body));
	links[0] = (struct link){ .kind = LINK_IDENTITY,
				  .codec = LINK_DAGPB,
				  .n_inline = (uint8_t)body.n };
	memcpy(links[0].bytes, body.p, body.n);
	buf_fini(&body);
	links[1] = d->leaf;
	links[2] = (struct link){ .kind = LINK_IDENTITY, .codec = LINK_RAW };

	check(dir_builder_new(&dag_profile_sealed, &d->sealer, &b));
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		check(dir_builder_add(b, slice_str(names[i]), &links[i],
				      i == 1 ? strlen(CONTENT) : links[i].n_inline,
				      buf_slice(&d->attrs[i])));
	check(dir_builder_finish(b, &root, &e));
	d->root = root.link;
}

static void drive_init(struct drive *d)
{
	uint8_t entropy[SECRET_SIZE];

	memset(d, 0, sizeof(*d));
	d->sealer.ops = &root_sealer;
	for (size_t i = 0; i < sizeof(entropy); i++)
		entropy[i] = (uint8_t)i;
	check(secret_new(entropy, &d->entropy));
	check(keys_from_entropy(d->entropy, &d->keys));
	d->convergence = test_secret(0x5e);
	buf_init(&d->leaf_block, SEAL_BLOCK_MAX);
	buf_init(&d->root_body, SEAL_BLOCK_MAX);
	buf_init(&d->root_block, SEAL_BLOCK_MAX);
	for (size_t i = 0; i < ARRAY_LEN(d->attrs); i++)
		buf_init(&d->attrs[i], ATTR_ENCODED_MAX);
}

/* ---- example.json */

static void put_hex(struct buf *b, const char *name, struct slice s)
{
	check(buf_printf(b, ",\n  \"%s\": \"", name));
	for (size_t i = 0; i < s.n; i++)
		check(buf_printf(b, "%02x", s.p[i]));
	check(buf_printf(b, "\""));
}

static void put_link(struct buf *b, const char *name, const struct link *l)
{
	struct buf e;

	buf_init(&e, LINK_ENCODED_MAX);
	check(link_encode(l, &e));
	put_hex(b, name, buf_slice(&e));
	buf_fini(&e);
}

static void put_keys(struct buf *b, const struct drive *d)
{
	static const struct {
		const char *name;
		enum keys_use use;
	} uses[] = {
		{ "key_commit", KEYS_COMMIT },
		{ "key_trailer", KEYS_TRAILER },
		{ "key_head", KEYS_HEAD },
		{ "key_head_seal", KEYS_HEAD_SEAL },
	};
	uint8_t name[KEYS_HEAD_NAME_SIZE];

	put_hex(b, "entropy", slice(secret_bytes(d->entropy), SECRET_SIZE));
	put_hex(b, "drive_secret",
		slice(secret_bytes(keys_drive_secret(d->keys)), SECRET_SIZE));
	put_hex(b, "drive_id", slice(keys_drive_id(d->keys), KEYS_DRIVE_ID_SIZE));
	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		put_hex(b, uses[i].name,
			slice(secret_bytes(keys_secret(d->keys, uses[i].use)),
			      SECRET_SIZE));
	for (uint64_t h = 1; h <= 2; h++) {
		check(keys_head_name(d->keys, 0, h, name));
		put_hex(b, h == 1 ? "head_name_1" : "head_name_2",
			slice(name, sizeof(name)));
	}
}

static void example(struct drive *d, struct buf *b)
{
	char words[WORDS_TEXT_MAX];

	words_write(d->entropy, words);
	check(buf_printf(b, "{\n  \"words\": \"%s\"", words));
	put_keys(b, d);
	put_hex(b, "convergence_secret",
		slice(secret_bytes(d->convergence), SECRET_SIZE));
	put_hex(b, "leaf_body", slice_str(CONTENT));
	put_hex(b, "leaf_block", buf_slice(&d->leaf_block));
	put_link(b, "leaf_link", &d->leaf);
	put_hex(b, "attr_link", buf_slice(&d->attrs[0]));
	put_hex(b, "attr_hello", buf_slice(&d->attrs[1]));
	put_hex(b, "attr_zero", buf_slice(&d->attrs[2]));
	put_hex(b, "root_body", buf_slice(&d->root_body));
	put_hex(b, "root_digest", slice(d->root.digest, LINK_DIGEST_SIZE));
	put_hex(b, "root_key", slice(d->root.key, LINK_KEY_SIZE));
	put_hex(b, "piece_header", slice(piece_header, PIECE_HEADER_SIZE));
	check(buf_printf(b, "\n}\n"));
}

/* ---- writing, once */

static void write_piece(struct io *io, struct drive *d)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	struct piece_spec spec = { .piece = PIECE,
				   .kind = PIECE_DATA,
				   .size_min = PIECE_SIZE_MIN,
				   .commit_max = 4096,
				   .keys = d->keys,
				   .convergence = d->convergence };
	const struct trailer_head none = { 0 };
	struct piece_writer *w = NULL;
	struct piece_result result;
	struct commit_info i = {
		.min_reader = 1,
		.min_writer = 1,
		.sequence = 1,
		.time = { TIME_S, 5 },
		.writer = 0xabcdef,
		.device = slice_str("laptop"),
		.root_attr = { .ino = 1, .mode = S_IFDIR | 0700, .nlink = 2 },
		.ino_next = 1024,
		.n_inodes = 4,
		.n_bytes = strlen(CONTENT),
		.piece_next = 2,
		.epoch = 1,
		.compress = COMMIT_COMPRESS_NODES,
		.copies = 2
	};
	uint8_t digest[PIECE_DIGEST_SIZE];
	struct buf record;

	check(io_open(io, "piece.car", O_RDWR | O_CREAT | O_TRUNC, &f));
	check(piece_writer_new(f, &spec, &w));
	build(d, w);
	i.root = d->root;
	buf_init(&record, COMMIT_RECORD_MAX);
	check(commit_seal(&i, d->convergence, d->keys, &record, digest));
	check(piece_writer_commit(w, buf_slice(&record), digest, 1));
	check(piece_writer_finish(w, TIME_S, &none, &result));
	buf_fini(&record);
}

static int write_vectors(const char *dir)
{
	struct io *io = NULL;
	struct drive d;
	struct buf b;

	check(secret_init_library());
	check(io_dir_new(dir, &io));
	drive_init(&d);
	write_piece(io, &d);
	buf_init(&b, 1 << 20);
	example(&d, &b);
	check(io_replace(io, ".", "example.json", buf_slice(&b)));
	buf_fini(&b);
	drive_fini(&d);
	io_free(io);
	return 0;
}

/* ---- tests */

static void slurp(const char *name, struct buf *b)
{
	const char *dir = getenv("FILDRIVE_VECTORS");
	char path[4096];
	FILE *f;

	assert_non_null(dir);
	(void)snprintf(path, sizeof(path), "%s/format/%s", dir, name);
	f = fopen(path, "rb");
	assert_non_null(f);
	buf_init(b, 1 << 20);
	for (int c = fgetc(f); c != EOF; c = fgetc(f))
		check(buf_u8(b, (uint8_t)c));
	assert_int_equal(fclose(f), 0);
}

static void all_that_is_no_chance_is_as_it_was(void **state)
{
	struct buf golden, now;
	struct drive d;

	(void)state;
	drive_init(&d);
	build(&d, NULL);
	buf_init(&now, 1 << 20);
	example(&d, &now);
	slurp("example.json", &golden);
	assert_int_equal(now.n, golden.n);
	assert_memory_equal(now.p, golden.p, now.n);
	buf_fini(&now);
	buf_fini(&golden);
	drive_fini(&d);
}

static void read_section(struct slice piece, struct place p, struct slice *ret)
{
	assert_true(p.piece == PIECE);
	assert_int_equal(piece_tail_range(piece, piece.n, p.off, p.len, ret), 1);
}

static void the_piece_of_then_opens_with_the_words_alone(void **state)
{
	_cleanup_secret_ struct secret *entropy = NULL;
	_cleanup_keys_ struct keys *keys = NULL;
	_cleanup_commit_ struct commit *c = NULL;
	char words[WORDS_TEXT_MAX];
	struct buf piece, body, leaf;
	struct dir_node dir;
	struct dir_item item;
	struct slice s, target;
	struct drive d;
	struct trailer t;
	struct attr a;

	(void)state;
	drive_init(&d);
	words_write(d.entropy, words);
	check(words_parse(slice_str(words), &entropy, NULL));
	check(keys_from_entropy(entropy, &keys));
	slurp("piece.car", &piece);
	s = buf_slice(&piece);
	assert_int_equal(piece_tail_parse(s, s.n, keys, &t), 0);
	read_section(buf_slice(&piece),
		     (struct place){ PIECE, t.commit.off, t.commit.len }, &s);
	assert_int_equal(piece_commit_parse(s, &t, keys, &c), 0);
	assert_true(slice_eq(commit_info(c)->device, slice_str("laptop")));

	buf_init(&body, SEAL_BODY_MAX);
	read_section(buf_slice(&piece), commit_info(c)->root.place, &s);
	check(piece_block_open(s, &commit_info(c)->root, SEAL_BODY_MAX, &body));
	check(dir_node_parse(buf_slice(&body), true, 0, &dir));
	assert_int_equal(dir_node_find(&dir, slice_str(NAME), &item), 1);
	check(attr_decode(item.attr, &a));
	assert_true(a.ino == 2 && a.size == strlen(CONTENT));
	buf_init(&leaf, SEAL_BODY_MAX);
	read_section(buf_slice(&piece), item.link.place, &s);
	check(piece_block_open(s, &item.link, SEAL_BODY_MAX, &leaf));
	assert_true(slice_eq(buf_slice(&leaf), slice_str(CONTENT)));

	assert_int_equal(dir_node_find(&dir, slice_str("link"), &item), 1);
	check(symlink_parse(slice(item.link.bytes, item.link.n_inline), true,
			    &target));
	assert_true(slice_eq(target, slice_str(TARGET)));
	assert_int_equal(dir_node_find(&dir, slice_str("zero"), &item), 1);
	check(attr_decode(item.attr, &a));
	assert_true(S_ISCHR(a.mode) && a.rdev == (1ull << 32 | 5));
	buf_fini(&piece);
	buf_fini(&body);
	buf_fini(&leaf);
	drive_fini(&d);
}

static int setup(void **state)
{
	(void)state;
	return secret_init_library();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_no_chance_is_as_it_was),
		cmocka_unit_test(the_piece_of_then_opens_with_the_words_alone),
	};

	if (argc == 2)
		return write_vectors(argv[1]);
	return cmocka_run_group_tests(tests, setup, NULL);
}
