/* test_dir.c - directories: vectors, shards, colliding names, hostile nodes */
#include "vectors.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "dag/dir.h"
#include "dag/file.h"
#include "dag/hamt.h"
#include "dag/murmur3.h"
#include "dag/profile.h"
#include "dag/sealer.h"
#include "store.h"

/* A directory under construction, its entries plain files. */
struct fixture {
	struct dag_profile p;
	struct plain_sealer s;
	struct dir_builder *b;
};

static void begin(struct fixture *f, const struct dag_profile *p)
{
	f->p = *p;
	plain_sealer_init(&f->s, &f->p, NULL, NULL);
	assert_int_equal(dir_builder_new(&f->p, &f->s.sealer, &f->b), 0);
}

static struct dag_root file_root(struct fixture *f, struct slice content)
{
	struct file_builder *b;
	struct dag_root root;

	assert_int_equal(file_builder_new(&f->p, &f->s.sealer, &b), 0);
	if (content.n)
		assert_int_equal(file_builder_add(b, content), 0);
	assert_int_equal(file_builder_finish(b, &root), 0);
	file_builder_free(b);
	return root;
}

static void add(struct fixture *f, struct slice name, struct slice content)
{
	struct dag_root root = file_root(f, content);

	assert_int_equal(
		dir_builder_add(f->b, name, &root.link, root.tsize, SLICE_NONE), 0);
}

static void add_str(struct fixture *f, const char *name, const char *content)
{
	add(f, slice_str(name), slice_str(content));
}

static void add_root(struct fixture *f, const char *name, const struct dag_root *root)
{
	assert_int_equal(dir_builder_add(f->b, slice_str(name), &root->link,
					 root->tsize, SLICE_NONE),
			 0);
}

static struct dag_root finish(struct fixture *f)
{
	struct dag_root root;
	struct err e = { 0 };

	if (dir_builder_finish(f->b, &root, &e) != 0)
		fail_msg("finish: %s", e.text);
	dir_builder_free(f->b);
	f->b = NULL;
	return root;
}

static struct dag_root symlink_root(struct fixture *f, const char *target)
{
	struct dag_root root = { .size = 0 };
	struct buf b;

	buf_init(&b, 4096);
	assert_int_equal(unixfs_symlink_encode(slice_str(target), &b), 0);
	assert_int_equal(sealer_seal(&f->s.sealer, LINK_DAGPB, BLOCK_NODE,
				     buf_slice(&b), &root.link),
			 0);
	root.tsize = b.n;
	buf_fini(&b);
	return root;
}

/* The vectors' directories by the part of their name behind the profile. */
static struct dag_root make_empty(struct fixture *f)
{
	return finish(f);
}

static struct dag_root make_one_file(struct fixture *f)
{
	add_str(f, "hello.txt", "hello world\n");
	return finish(f);
}

static struct dag_root make_sort(struct fixture *f)
{
	static const char *const names[] = { "b", "a",   "aa",  "é", "Z",
					     "😀", "a.b", "a-b", "B" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		add_str(f, names[i], names[i]);
	return finish(f);
}

static struct dag_root make_nested(struct fixture *f)
{
	struct fixture x, y;
	struct dag_root r;

	begin(&y, &f->p);
	add_str(&y, "z.txt", "deep\n");
	r = finish(&y);
	begin(&x, &f->p);
	add_root(&x, "y", &r);
	add_str(&x, "w.txt", "w\n");
	r = finish(&x);
	add_root(f, "x", &r);
	add_str(f, "top.txt", "top\n");
	return finish(f);
}

static struct dag_root make_symlink(struct fixture *f)
{
	dir_builder_free(f->b);
	return symlink_root(f, "foo");
}

static struct dag_root make_symlink_dir(struct fixture *f)
{
	struct dag_root r = symlink_root(f, "foo");

	add_str(f, "foo", "content");
	add_root(f, "bar", &r);
	return finish(f);
}

static struct dag_root make_dir_meta(struct fixture *f)
{
	const struct unixfs meta = { .has_mode = true,
				     .mode = 0700,
				     .has_mtime = true,
				     .mtime_s = 1700000000 };

	add_str(f, "f", "f");
	dir_builder_set_meta(f->b, &meta);
	return finish(f);
}

static struct dag_root make_symlink_meta(struct fixture *f)
{
	static const char target[] = "../target/path";
	const struct unixfs fs = { .type = UNIXFS_SYMLINK,
				   .has_data = true,
				   .data = slice(target, sizeof(target) - 1),
				   .has_mode = true,
				   .mode = 0777,
				   .has_mtime = true,
				   .mtime_s = 1700000000 };
	struct dag_root root = { .size = 0 };
	struct buf b;

	dir_builder_free(f->b);
	buf_init(&b, 4096);
	assert_int_equal(unixfs_node_encode(&f->p, &fs, NULL, 0, &b), 0);
	assert_int_equal(sealer_seal(&f->s.sealer, LINK_DAGPB, BLOCK_NODE,
				     buf_slice(&b), &root.link),
			 0);
	root.tsize = b.n;
	buf_fini(&b);
	return root;
}

static struct dag_root make_10000(struct fixture *f)
{
	char name[32], content[32];

	for (int i = 0; i < 10000; i++) {
		(void)snprintf(name, sizeof(name), "file-%05d", i);
		(void)snprintf(content, sizeof(content), "%d", i);
		add_str(f, name, content);
	}
	return finish(f);
}

static struct dag_root make_1000(struct fixture *f)
{
	char name[32], content[32];

	for (int i = 1; i <= 1000; i++) {
		(void)snprintf(name, sizeof(name), "%d.txt", i);
		(void)snprintf(content, sizeof(content), "%d\n", i);
		add_str(f, name, content);
	}
	return finish(f);
}

static struct dag_root make_3(struct fixture *f)
{
	add_str(f, "a", "a");
	add_str(f, "b", "b");
	add_str(f, "c", "c");
	return finish(f);
}

static struct dag_root make_collide(struct fixture *f)
{
	add_str(f, "470.txt", "470\n");
	add_str(f, "742.txt", "742\n");
	return finish(f);
}

static struct dag_root make_threshold(struct fixture *f, int last)
{
	char name[64];

	for (int i = 0; i < 2569; i++) {
		(void)snprintf(name, sizeof(name), "%058d", i);
		add_str(f, name, "x");
	}
	memset(name, 'z', (size_t)last);
	add(f, slice(name, (size_t)last), slice_str("x"));
	return finish(f);
}

static struct dag_root make_exact(struct fixture *f)
{
	return make_threshold(f, 58);
}

static struct dag_root make_plus1(struct fixture *f)
{
	return make_threshold(f, 59);
}

static const struct {
	const char *name;
	struct dag_root (*make)(struct fixture *f);
	bool forced; /* a shard whatever the size */
	uint8_t bits;
} makers[] = {
	{ "empty-dir", make_empty, false, 8 },
	{ "one-file", make_one_file, false, 8 },
	{ "sort", make_sort, false, 8 },
	{ "nested", make_nested, false, 8 },
	{ "symlink-only", make_symlink, false, 8 },
	{ "symlink-dir", make_symlink_dir, false, 8 },
	{ "symlink-mtime", make_symlink_meta, false, 8 },
	{ "dir-mode-mtime", make_dir_meta, false, 8 },
	{ "dir-10000", make_10000, false, 8 },
	{ "hamt-1000-forced", make_1000, true, 8 },
	{ "dir-1000-basic", make_1000, false, 8 },
	{ "hamt-3-forced", make_3, true, 8 },
	{ "hamt-collide", make_collide, true, 8 },
	{ "hamt-3-fanout16", make_3, true, 4 },
	{ "hamt-3-fanout1024", make_3, true, 10 },
	{ "threshold-exact", make_exact, false, 8 },
	{ "threshold-plus1", make_plus1, false, 8 },
};

static void check_vector(const json_t *v, size_t maker,
			 const struct dag_profile *profile)
{
	struct dag_profile p = *profile;
	struct dag_root root;
	struct fixture f;
	struct cid cid;
	json_t *b2;

	p.fanout_bits = makers[maker].bits;
	if (makers[maker].forced)
		p.dir_basic_max = 0;
	begin(&f, &p);
	root = makers[maker].make(&f);
	dag_link_cid(&p, &root.link, &cid);
	vectors_assert_cid(&cid, vectors_str(v, "cid"), vectors_str(v, "name"));
	assert_true(root.tsize == vectors_u64(v, "tsize"));
	b2 = json_object_get(v, "blake2b256");
	if (!b2)
		return;
	/* the blake2b DAG has the shape of the sha2-256 one */
	if (p.dir_size == DAG_DIR_BLOCK_BYTES &&
	    !strcmp(makers[maker].name, "threshold-exact"))
		p.dir_basic_max = UINT32_MAX;
	p.hash = CID_BLAKE2B_256;
	p.cid_version = 1;
	begin(&f, &p);
	root = makers[maker].make(&f);
	dag_link_cid(&p, &root.link, &cid);
	vectors_assert_cid(&cid, vectors_str(b2, "cid"), vectors_str(v, "name"));
	assert_true(root.tsize == vectors_u64(b2, "tsize"));
}

static void directories_equal_the_vectors(void **state)
{
	json_t *j = vectors_load("dirs.json"), *v;
	size_t i, done = 0, files = 0;
	const char *name;

	(void)state;
	json_array_foreach(json_object_get(j, "vectors"), i, v)
	{
		const struct dag_profile *p = &dag_profile_v1_2025;
		size_t before = done;

		name = vectors_str(v, "name");
		if (strncmp(name, "unixfs-v0-2015/", 15) == 0)
			p = &dag_profile_v0_2015;
		name = strchr(name, '/') + 1;
		for (size_t k = 0; k < ARRAY_LEN(makers); k++) {
			if (strcmp(makers[k].name, name) == 0) {
				check_vector(v, k, p);
				done++;
			}
		}
		if (done == before)
			files++; /* a file with metadata: below */
	}
	assert_int_equal(done, 29);
	assert_int_equal(files, 12);
	json_decref(j);
}

/*
 * One file's root: bytes inline, or its leaves, with metadata.  The importer of
 * the vectors keeps the dag-pb leaf that v0 has made: the whole block stands in
 * Data, and filesize is the block's.
 */
static void check_meta(const json_t *v, bool v0, const struct unixfs *meta, bool big)
{
	struct dag_profile p = v0 ? dag_profile_v0_2015 : dag_profile_v1_2025;
	struct unixfs fs = *meta;
	struct dag_root root = { .size = 0 };
	struct unixfs_child c[5] = { 0 };
	struct fixture f;
	uint8_t *bytes;
	struct cid cid;
	struct buf b, leaf_block;
	size_t n = 0, want = 0;

	begin(&f, &p);
	dir_builder_free(f.b);
	buf_init(&leaf_block, DAG_NODE_MAX);
	fs.type = UNIXFS_FILE;
	fs.has_filesize = true;
	if (!big) {
		fs.has_data = true;
		fs.data = slice_str("hello world\n");
		fs.filesize = fs.data.n;
		if (v0) {
			const struct unixfs leaf = { .type = UNIXFS_FILE,
						     .has_data = true,
						     .data = fs.data,
						     .has_filesize = true,
						     .filesize = fs.data.n };

			assert_int_equal(unixfs_node_encode(&p, &leaf, NULL, 0,
							    &leaf_block),
					 0);
			fs.data = buf_slice(&leaf_block);
			fs.filesize = fs.data.n;
		}
	} else {
		want = (1u << 20) + 1;
		fs.filesize = want;
		bytes = malloc(want);
		assert_non_null(bytes);
		for (size_t i = 0; i < want; i++)
			bytes[i] = (uint8_t)(i % 251);
		for (size_t off = 0; off < want; off += p.chunk_bytes) {
			size_t len = MIN(want - off, (size_t)p.chunk_bytes);
			struct dag_root leaf =
				file_root(&f, slice(bytes + off, len));

			c[n].link = leaf.link;
			c[n].size = len;
			c[n++].tsize = leaf.tsize;
		}
		free(bytes);
	}
	buf_init(&b, DAG_NODE_MAX);
	assert_int_equal(unixfs_node_encode(&p, &fs, c, n, &b), 0);
	assert_int_equal(sealer_seal(&f.s.sealer, LINK_DAGPB, BLOCK_NODE,
				     buf_slice(&b), &root.link),
			 0);
	dag_link_cid(&p, &root.link, &cid);
	vectors_assert_cid(&cid, vectors_str(v, "cid"), vectors_str(v, "name"));
	buf_fini(&b);
	buf_fini(&leaf_block);
}

static void files_with_metadata_equal_the_vectors(void **state)
{
	static const struct {
		const char *name;
		struct unixfs meta;
		bool big;
	} cases[] = {
		{ "mode-0755", { .has_mode = true, .mode = 0755 }, false },
		{ "mode-0644", { .has_mode = false }, false },
		{ "mtime", { .has_mtime = true, .mtime_s = 1700000000 }, false },
		{ "mtime-ns-mode",
		  { .has_mode = true,
		    .mode = 04755,
		    .has_mtime = true,
		    .mtime_s = 1700000000,
		    .mtime_ns = 123456789 },
		  false },
		{ "mtime-negative",
		  { .has_mtime = true, .mtime_s = -1, .mtime_ns = 5 },
		  false },
		{ "big-mtime",
		  { .has_mode = true,
		    .mode = 0600,
		    .has_mtime = true,
		    .mtime_s = 1700000000,
		    .mtime_ns = 1 },
		  true },
	};
	json_t *j = vectors_load("dirs.json"), *v;
	size_t i, done = 0;
	const char *name;

	(void)state;
	json_array_foreach(json_object_get(j, "vectors"), i, v)
	{
		name = strchr(vectors_str(v, "name"), '/') + 1;
		for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
			if (strcmp(cases[k].name, name) != 0)
				continue;
			check_meta(v,
				   strncmp(vectors_str(v, "name"), "unixfs-v0",
					   9) == 0,
				   &cases[k].meta, cases[k].big);
			done++;
		}
	}
	assert_int_equal(done, 12);
	json_decref(j);
}

static void directories_of_ipip499_equal_kubo(void **state)
{
	static const uint8_t nonce[12];
	json_t *j = vectors_load("ipip499-kubo.json"), *v;
	const char *abc = vectors_str(j, "alphabet");
	uint8_t key[32], *stream, *p;
	const struct dag_profile *profile;
	uint64_t files, len;
	struct dag_root root;
	struct fixture f;
	struct cid cid;
	size_t i, done = 0;

	(void)state;
	json_array_foreach(json_object_get(j, "vectors"), i, v)
	{
		if (!json_object_get(v, "files"))
			continue;
		profile = strncmp(vectors_str(v, "name"), "v0", 2) == 0 ?
				  &dag_profile_v0_2015 :
				  &dag_profile_v1_2025;
		sha256_once(slice_str(vectors_str(v, "seed")), key);
		stream = malloc(1u << 20);
		assert_non_null(stream);
		assert_int_equal(crypto_stream_chacha20_ietf(stream, 1u << 20,
							     nonce, key),
				 0);
		for (size_t k = 0; k < 1u << 20; k++)
			stream[k] = (uint8_t)abc[stream[k] % strlen(abc)];
		files = vectors_u64(v, "files");
		p = stream;
		begin(&f, profile);
		for (uint64_t k = 0; k < files; k++) {
			len = vectors_u64(v, k + 1 < files ? "name_len" :
							     "last_name_len");
			add(&f, slice(p, (size_t)len), slice_str("x"));
			p += len;
		}
		root = finish(&f);
		dag_link_cid(&f.p, &root.link, &cid);
		vectors_assert_cid(&cid, vectors_str(v, "expect"),
				   vectors_str(v, "name"));
		assert_true(root.tsize == vectors_u64(v, "tsize"));
		free(stream);
		done++;
	}
	assert_int_equal(done, 4);
	json_decref(j);
}

static void murmur3_paths_equal_the_vectors(void **state)
{
	static const struct {
		const char *key;
		unsigned bits;
	} paths[] = { { "bucket_path_fanout16", 4 },
		      { "bucket_path_fanout256", 8 },
		      { "bucket_path_fanout1024", 10 } };
	json_t *j = vectors_load("murmur3.json"), *v, *step;
	uint8_t digits[HAMT_DIGITS_MAX];
	struct slice got, want;
	struct buf b;
	uint64_t h;
	size_t i, level;

	(void)state;
	buf_init(&b, 4096);
	json_array_foreach(json_object_get(j, "vectors"), i, v)
	{
		buf_reset(&b);
		vectors_hex(vectors_str(v, "input_hex"), &b);
		h = murmur3_h1(buf_slice(&b));
		for (size_t k = 0; k < ARRAY_LEN(paths); k++) {
			json_array_foreach(json_object_get(v, paths[k].key),
					   level, step)
			{
				hamt_prefix(hamt_index(h, paths[k].bits,
						       (unsigned)level),
					    paths[k].bits, digits);
				got = slice(digits, hamt_digits(paths[k].bits));
				want = slice_str(json_string_value(step));
				assert_true(slice_eq(got, want));
			}
		}
	}
	buf_fini(&b);
	json_decref(j);
}

/* Everything below a directory's root; returns the number of entries. */
static size_t list_all(struct store *s, const struct link *l, unsigned level,
		       size_t *shards)
{
	struct dir_node n;
	struct dir_item e;
	struct dir_iter it;
	size_t count = 0;
	int r;

	assert_int_equal(dir_node_parse(store_get(s, l), s->sealed, level, &n), 0);
	(*shards)++;
	dir_iter_init(&it, &n);
	while ((r = dir_next(&it, &e)) > 0) {
		if (e.is_subshard) {
			count += list_all(s, &e.link, level + 1, shards);
			continue;
		}
		assert_true(slice_eq(e.attr, e.name));
		count++;
	}
	assert_int_equal(r, 0);
	return count;
}

/* 1 and the entry, as the retrieving room does it. */
static int look_up(struct store *s, struct link l, struct slice name,
		   struct dir_item *ret)
{
	struct dir_node n;
	int r;

	for (unsigned level = 0;; level++) {
		r = dir_node_parse(store_get(s, &l), s->sealed, level, &n);
		if (r < 0)
			return r;
		r = dir_node_find(&n, name, ret);
		if (r <= 0 || !ret->is_subshard)
			return r;
		l = ret->link;
	}
}

/* Leaf link number i. */
static struct link leaf(unsigned i)
{
	struct link l = { .kind = LINK_SEALED, .codec = LINK_RAW };

	memcpy(l.digest, &i, sizeof(i));
	memset(l.key, 0x5a, sizeof(l.key));
	l.place = (struct place){ 3, 100 * (uint64_t)i + 59, 100 };
	return l;
}

static void sealed_directories_list_and_find_every_name(void **state)
{
	static const unsigned sizes[] = { 0, 1, 2, 90, 200, 5000 };
	char name[32];

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		struct dir_builder *b;
		struct dag_root root;
		struct dir_item e = { .tsize = 0 };
		size_t shards = 0;
		struct store s;

		store_init(&s, true);
		assert_int_equal(
			dir_builder_new(&dag_profile_sealed, &s.sealer, &b), 0);
		for (unsigned i = 0; i < sizes[k]; i++) {
			struct link l = leaf(i);

			(void)snprintf(name, sizeof(name), "name-%u", i);
			assert_int_equal(dir_builder_add(b, slice_str(name), &l,
							 i, slice_str(name)),
					 0);
		}
		assert_int_equal(dir_builder_finish(b, &root, NULL), 0);
		dir_builder_free(b);
		assert_int_equal(list_all(&s, &root.link, 0, &shards), sizes[k]);
		assert_true(sizes[k] < 100 ? shards == 1 : true);
		assert_true(sizes[k] < 5000 || shards > 256);
		for (unsigned i = 0; i < sizes[k]; i++) {
			struct link l = leaf(i);

			(void)snprintf(name, sizeof(name), "name-%u", i);
			assert_int_equal(
				look_up(&s, root.link, slice_str(name), &e), 1);
			assert_true(link_same(&e.link, &l));
			assert_true(e.link.place.off == l.place.off);
			assert_true(e.tsize == i);
		}
		assert_int_equal(look_up(&s, root.link, slice_str("absent"), &e), 0);
		store_fini(&s);
	}
}

static void the_shape_does_not_depend_on_order_or_places(void **state)
{
	struct dag_root root[2];
	char name[32];

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct dir_builder *b;
		struct store s;

		store_init(&s, true);
		assert_int_equal(
			dir_builder_new(&dag_profile_sealed, &s.sealer, &b), 0);
		for (unsigned i = 0; i < 3000; i++) {
			unsigned id = k ? 2999 - i : i;
			struct link l = leaf(id);

			(void)snprintf(name, sizeof(name), "%u", id);
			assert_int_equal(dir_builder_add(b, slice_str(name), &l,
							 1, slice_str(name)),
					 0);
		}
		assert_int_equal(dir_builder_finish(b, &root[k], NULL), 0);
		dir_builder_free(b);
		store_fini(&s);
	}
	assert_true(link_same(&root[0].link, &root[1].link));
}

/*
 * Names of 32 bytes with one murmur3: the second block of 16 bytes undoes what
 * the first did to the state, for any first block.
 */
static uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

static bool colliding_name(unsigned seed, uint8_t ret[static 32])
{
	const uint64_t c1 = 0x87c37b91114253d5u, c2 = 0x4cf5ad432745937fu;
	uint64_t h1 = 0, h2 = 0, k1, k2, t;

	sha256_once(slice(&seed, sizeof(seed)), ret);
	k1 = get_le64(ret);
	k2 = get_le64(ret + 8);
	h1 ^= rotl(k1 * c1, 31) * c2;
	h1 = (rotl(h1, 27) + h2) * 5 + 0x52dce729;
	h2 ^= rotl(k2 * c2, 33) * c1;
	h2 = (rotl(h2, 31) + h1) * 5 + 0x38495ab5;
	/* want: the state behind the second block is (0, 0) */
	t = rotl((0 - (uint64_t)0x52dce729) * inverse(5) - h2, 64 - 27);
	k1 = rotl((h1 ^ t) * inverse(c2), 64 - 31) * inverse(c1);
	t = rotl((0 - (uint64_t)0x38495ab5) * inverse(5) - 0, 64 - 31);
	k2 = rotl((h2 ^ t) * inverse(c1), 64 - 33) * inverse(c2);
	put_le64(ret + 16, k1);
	put_le64(ret + 24, k2);
	return dir_name_valid(slice(ret, 32));
}

static void check_colliding(unsigned count, size_t min_shards, size_t max_shards)
{
	struct dag_profile p = dag_profile_sealed;
	struct dir_builder *b;
	struct dag_root root;
	uint8_t(*names)[32] = calloc(count + 1, 32);
	struct dir_item e;
	size_t shards = 0;
	struct store s;
	unsigned n = 0;

	assert_non_null(names);
	for (unsigned i = 0; n < count; i++)
		n += colliding_name(i, names[n]);
	assert_true(murmur3_h1(slice(names[0], 32)) ==
		    murmur3_h1(slice(names[count - 1], 32)));
	p.dir_basic_max = 0;
	store_init(&s, true);
	assert_int_equal(dir_builder_new(&p, &s.sealer, &b), 0);
	for (unsigned i = 0; i < n; i++) {
		struct link l = leaf(i);

		assert_int_equal(dir_builder_add(b, slice(names[i], 32), &l, 1,
						 slice(names[i], 32)),
				 0);
	}
	assert_int_equal(dir_builder_finish(b, &root, NULL), 0);
	dir_builder_free(b);
	assert_int_equal(list_all(&s, &root.link, 0, &shards), n);
	if (shards < min_shards || shards > max_shards)
		fail_msg("%u names: %zu shards", n, shards);
	for (unsigned i = 0; i < n; i++) {
		struct link l = leaf(i);

		assert_int_equal(look_up(&s, root.link, slice(names[i], 32), &e), 1);
		assert_true(link_same(&e.link, &l));
	}
	free(names);
	store_fini(&s);
}

static void names_with_equal_hashes_live_in_one_bucket_when_sealed(void **state)
{
	(void)state;
	check_colliding(2, 8, 8);
	check_colliding(HAMT_BUCKET_MAX, 8, 8);
}

static void too_many_names_with_equal_hashes_get_a_second_round(void **state)
{
	(void)state;
	/*
	 * 8 levels, then one shard that spreads the names: about 233 of its
	 * buckets get two or more, and few of these collide again.
	 */
	check_colliding(HAMT_BUCKET_MAX + 1, 9 + 200, 9 + 300);
}

static void publish_refuses_names_with_equal_hashes_by_name(void **state)
{
	struct dag_profile p = dag_profile_v1_2025;
	struct err e = { 0 };
	struct dag_root root;
	struct fixture f;
	uint8_t name[32];
	unsigned n = 0;

	(void)state;
	p.dir_basic_max = 0;
	begin(&f, &p);
	for (unsigned i = 0; n < 2; i++) {
		if (colliding_name(i, name)) {
			add(&f, slice(name, 32), slice_str("x"));
			n++;
		}
	}
	assert_int_equal(dir_builder_finish(f.b, &root, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "same hash"));
	dir_builder_free(f.b);
}

static void names_that_cannot_stand_in_a_directory_are_refused(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = { { "", 0 }, { ".", 1 }, { "..", 2 }, { "a/b", 3 }, { "a\0b", 3 } };
	struct dag_root root;
	struct link l = leaf(1), none = { .kind = LINK_NONE };
	struct err e = { 0 };
	uint8_t longname[256];
	struct dir_builder *b;
	struct store s;

	(void)state;
	memset(longname, 'x', sizeof(longname));
	store_init(&s, true);
	assert_int_equal(dir_builder_new(&dag_profile_sealed, &s.sealer, &b), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(dir_builder_add(b, slice(bad[i].p, bad[i].n),
						 &l, 1, SLICE_NONE),
				 -EINVAL);
	assert_int_equal(dir_builder_add(b, slice(longname, 256), &l, 1, SLICE_NONE),
			 -EINVAL);
	assert_int_equal(dir_builder_add(b, slice_str("n"), &none, 1, SLICE_NONE),
			 -EINVAL);
	l.kind = LINK_PLAIN;
	assert_int_equal(dir_builder_add(b, slice_str("n"), &l, 1, SLICE_NONE),
			 -EINVAL);
	l.kind = LINK_SEALED;
	assert_int_equal(
		dir_builder_add(b, slice(longname, 255), &l, 1, SLICE_NONE), 0);
	assert_int_equal(
		dir_builder_add(b, slice(longname, 255), &l, 1, SLICE_NONE), 0);
	assert_int_equal(dir_builder_finish(b, &root, &e), -EEXIST);
	assert_non_null(strstr(e.text, "twice"));
	dir_builder_free(b);
	store_fini(&s);
}

static void hostile_directories_are_refused(void **state)
{
	static const struct {
		const char *what, *hex;
		unsigned level;
		int err;
	} cases[] = {
		{ "empty directory", "0a020801", 0, 0 },
		{ "a file", "0a0408021800", 0, -ENOTDIR },
		{ "a basic directory below a shard", "0a020801", 1, -EPROTO },
		{ "empty name",
		  "120a0a04015500001200"
		  "1800"
		  "0a020801",
		  0, -EPROTO },
		{ "name with slash",
		  "120b"
		  "0a0401550000"
		  "12012f"
		  "1800"
		  "0a020801",
		  0, -EPROTO },
		{ "name dot",
		  "120b"
		  "0a0401550000"
		  "12012e"
		  "1800"
		  "0a020801",
		  0, -EPROTO },
		/* "a" hashes to 85…: bit 0x85 is bit 5 of byte 16 from the right */
		{ "shard of a",
		  "120d"
		  "0a0401550000"
		  "1203383561"
		  "1800"
		  "0a1a"
		  "0805"
		  "1211"
		  "2000000000000000000000000000000000"
		  "2822"
		  "308002",
		  0, 0 },
		{ "bucket not in bitfield",
		  "120d"
		  "0a0401550000"
		  "1203383561"
		  "1800"
		  "0a1a"
		  "0805"
		  "1211"
		  "4000000000000000000000000000000000"
		  "2822"
		  "308002",
		  0, -EPROTO },
		{ "bitfield with a bucket too many",
		  "120d"
		  "0a0401550000"
		  "1203383561"
		  "1800"
		  "0a1a"
		  "0805"
		  "1211"
		  "6000000000000000000000000000000000"
		  "2822"
		  "308002",
		  0, -EPROTO },
		{ "entry in the wrong bucket",
		  "120d"
		  "0a0401550000"
		  "1203383562"
		  "1800"
		  "0a1a"
		  "0805"
		  "1211"
		  "2000000000000000000000000000000000"
		  "2822"
		  "308002",
		  0, -EPROTO },
		{ "lower-case prefix",
		  "120d"
		  "0a0401550000"
		  "1203613561"
		  "1800"
		  "0a1a"
		  "0805"
		  "1211"
		  "2000000000000000000000000000000000"
		  "2822"
		  "308002",
		  0, -EPROTO },
		{ "another hash",
		  "0a09"
		  "0805"
		  "1200"
		  "2823"
		  "308002",
		  0, -EPROTO },
		{ "fanout 100",
		  "0a08"
		  "0805"
		  "1200"
		  "2822"
		  "3064",
		  0, -EPROTO },
		{ "fanout 2048",
		  "0a09"
		  "0805"
		  "1200"
		  "2822"
		  "308010",
		  0, -EPROTO },
		{ "no plain shard at level 8",
		  "0a09"
		  "0805"
		  "1200"
		  "2822"
		  "308002",
		  8, -EPROTO },
		{ "empty shard",
		  "0a09"
		  "0805"
		  "1200"
		  "2822"
		  "308002",
		  7, 0 },
	};
	struct dir_node n;
	struct buf b;
	int r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_init(&b, 4096);
		vectors_hex(cases[i].hex, &b);
		r = dir_node_parse(buf_slice(&b), false, cases[i].level, &n);
		if (r != cases[i].err)
			fail_msg("%s: %d, want %d", cases[i].what, r, cases[i].err);
		buf_fini(&b);
	}
}

/* A directory {a: identity "abc"} with its key and place; Attr follow. */
#define SEALED_A(len)                                               \
 "120e0a070155000361626312016118030a" len "08018a4b20"              \
 "0000000000000000000000000000000000000000000000000000000000000000" \
 "924b020100"

static void a_sealed_directory_needs_one_attr_a_link(void **state)
{
	static const struct {
		const char *hex;
		int err;
	} cases[] = {
		{ SEALED_A("2a"), -EPROTO },
		{ SEALED_A("2d") "a24b00", 0 },
		{ SEALED_A("30") "a24b00a24b00", -EPROTO },
		{ SEALED_A("2d") "a24b01", -EPROTO },
	};
	struct dir_item e;
	struct dir_node n;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_init(&b, 4096);
		vectors_hex(cases[i].hex, &b);
		assert_int_equal(dir_node_parse(buf_slice(&b), true, 0, &n),
				 cases[i].err);
		if (!cases[i].err) {
			assert_int_equal(dir_node_find(&n, slice_str("a"), &e), 1);
			assert_int_equal(e.link.kind, LINK_IDENTITY);
			assert_int_equal(e.link.n_inline, 3);
		}
		buf_fini(&b);
	}
}

static void a_symlink_gives_its_target(void **state)
{
	struct slice target;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(unixfs_symlink_encode(slice_str("../x"), &b), 0);
	assert_int_equal(symlink_parse(buf_slice(&b), true, &target), 0);
	assert_true(slice_eq(target, slice_str("../x")));
	assert_int_equal(symlink_parse(slice("\x0a\x02\x08\x01", 4), true, &target),
			 -EPROTO);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories_equal_the_vectors),
		cmocka_unit_test(files_with_metadata_equal_the_vectors),
		cmocka_unit_test(directories_of_ipip499_equal_kubo),
		cmocka_unit_test(murmur3_paths_equal_the_vectors),
		cmocka_unit_test(sealed_directories_list_and_find_every_name),
		cmocka_unit_test(the_shape_does_not_depend_on_order_or_places),
		cmocka_unit_test(
			names_with_equal_hashes_live_in_one_bucket_when_sealed),
		cmocka_unit_test(too_many_names_with_equal_hashes_get_a_second_round),
		cmocka_unit_test(publish_refuses_names_with_equal_hashes_by_name),
		cmocka_unit_test(names_that_cannot_stand_in_a_directory_are_refused),
		cmocka_unit_test(hostile_directories_are_refused),
		cmocka_unit_test(a_sealed_directory_needs_one_attr_a_link),
		cmocka_unit_test(a_symlink_gives_its_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
