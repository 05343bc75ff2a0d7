/* test_dir_vectors.c - directories equal the vectors, and Kubo's */
#include "vectors.h"

#include <sodium.h>
#include <stdio.h>

#include "base/buf.h"
#include "crypto/hash.h"
#include "dag/dir.h"
#include "dag/hamt.h"
#include "dag/murmur3.h"
#include "dag/profile.h"
#include "dag/sealer.h"
#include "dirs.h"

static struct dag_root symlink_root(struct dirs *f, const char *target)
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
static struct dag_root make_empty(struct dirs *f)
{
	return dirs_finish(f);
}

static struct dag_root make_one_file(struct dirs *f)
{
	dirs_add_str(f, "hello.txt", "hello world\n");
	return dirs_finish(f);
}

static struct dag_root make_sort(struct dirs *f)
{
	static const char *const names[] = { "b", "a",   "aa",  "é", "Z",
					     "😀", "a.b", "a-b", "B" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		dirs_add_str(f, names[i], names[i]);
	return dirs_finish(f);
}

static struct dag_root make_nested(struct dirs *f)
{
	struct dirs x, y;
	struct dag_root r;

	dirs_begin(&y, &f->p);
	dirs_add_str(&y, "z.txt", "deep\n");
	r = dirs_finish(&y);
	dirs_begin(&x, &f->p);
	dirs_add_root(&x, "y", &r);
	dirs_add_str(&x, "w.txt", "w\n");
	r = dirs_finish(&x);
	dirs_add_root(f, "x", &r);
	dirs_add_str(f, "top.txt", "top\n");
	return dirs_finish(f);
}

static struct dag_root make_symlink(struct dirs *f)
{
	dir_builder_free(f->b);
	return symlink_root(f, "foo");
}

static struct dag_root make_symlink_dir(struct dirs *f)
{
	struct dag_root r = symlink_root(f, "foo");

	dirs_add_str(f, "foo", "content");
	dirs_add_root(f, "bar", &r);
	return dirs_finish(f);
}

static struct dag_root make_dir_meta(struct dirs *f)
{
	const struct unixfs meta = { .has_mode = true,
				     .mode = 0700,
				     .has_mtime = true,
				     .mtime_s = 1700000000 };

	dirs_add_str(f, "f", "f");
	dir_builder_set_meta(f->b, &meta);
	return dirs_finish(f);
}

static struct dag_root make_symlink_meta(struct dirs *f)
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

static struct dag_root make_10000(struct dirs *f)
{
	char name[32], content[32];

	for (int i = 0; i < 10000; i++) {
		(void)snprintf(name, sizeof(name), "file-%05d", i);
		(void)snprintf(content, sizeof(content), "%d", i);
		dirs_add_str(f, name, content);
	}
	return dirs_finish(f);
}

static struct dag_root make_1000(struct dirs *f)
{
	char name[32], content[32];

	for (int i = 1; i <= 1000; i++) {
		(void)snprintf(name, sizeof(name), "%d.txt", i);
		(void)snprintf(content, sizeof(content), "%d\n", i);
		dirs_add_str(f, name, content);
	}
	return dirs_finish(f);
}

static struct dag_root make_3(struct dirs *f)
{
	dirs_add_str(f, "a", "a");
	dirs_add_str(f, "b", "b");
	dirs_add_str(f, "c", "c");
	return dirs_finish(f);
}

static struct dag_root make_collide(struct dirs *f)
{
	dirs_add_str(f, "470.txt", "470\n");
	dirs_add_str(f, "742.txt", "742\n");
	return dirs_finish(f);
}

static struct dag_root make_threshold(struct dirs *f, int last)
{
	char name[64];

	for (int i = 0; i < 2569; i++) {
		(void)snprintf(name, sizeof(name), "%058d", i);
		dirs_add_str(f, name, "x");
	}
	memset(name, 'z', (size_t)last);
	dirs_add(f, slice(name, (size_t)last), slice_str("x"));
	return dirs_finish(f);
}

static struct dag_root make_exact(struct dirs *f)
{
	return make_threshold(f, 58);
}

static struct dag_root make_plus1(struct dirs *f)
{
	return make_threshold(f, 59);
}

static const struct {
	const char *name;
	struct dag_root (*make)(struct dirs *f);
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
	struct dirs f;
	struct cid cid;
	json_t *b2;

	p.fanout_bits = makers[maker].bits;
	if (makers[maker].forced)
		p.dir_basic_max = 0;
	dirs_begin(&f, &p);
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
	dirs_begin(&f, &p);
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
	struct dirs f;
	uint8_t *bytes;
	struct cid cid;
	struct buf b, leaf_block;
	size_t n = 0, want = 0;

	dirs_begin(&f, &p);
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
				dirs_file_root(&f, slice(bytes + off, len));

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
	struct dirs f;
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
		dirs_begin(&f, profile);
		for (uint64_t k = 0; k < files; k++) {
			len = vectors_u64(v, k + 1 < files ? "name_len" :
							     "last_name_len");
			dirs_add(&f, slice(p, (size_t)len), slice_str("x"));
			p += len;
		}
		root = dirs_finish(&f);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories_equal_the_vectors),
		cmocka_unit_test(files_with_metadata_equal_the_vectors),
		cmocka_unit_test(directories_of_ipip499_equal_kubo),
		cmocka_unit_test(murmur3_paths_equal_the_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
