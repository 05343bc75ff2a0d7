/* test_file.c - files: vectors, holes, reading back, hostile nodes */
#include "vectors.h"

#include <errno.h>
#include <sodium.h>

#include "base/buf.h"
#include "crypto/hash.h"
#include "dag/file.h"
#include "dag/profile.h"
#include "dag/sealer.h"
#include "store.h"

/* Content by offset: the i mod 251 pattern, or a ChaCha20 keystream. */
struct content {
	const char *seed; /* NULL: pattern */
	uint8_t *chunk;
};

static void content_at(struct content *c, uint64_t off, size_t n)
{
	static const uint8_t nonce[12];
	uint8_t key[32];

	if (!c->seed) {
		for (size_t i = 0; i < n; i++)
			c->chunk[i] = (uint8_t)((off + i) % 251);
		return;
	}
	sha256_once(slice_str(c->seed), key);
	memset(c->chunk, 0, n);
	assert_int_equal(
		crypto_stream_chacha20_ietf_xor_ic(c->chunk, c->chunk, n, nonce,
						   (uint32_t)(off / 64), key),
		0);
}

/* Leaves of one content that were sealed before; raw leaves only. */
struct memo {
	struct link leaf[1100];
	size_t n;
};

static struct dag_root build(const struct dag_profile *p, struct sealer *s,
			     const char *seed, uint64_t size, struct memo *memo)
{
	struct content c = { seed, malloc(p->chunk_bytes) };
	size_t i = 0;
	struct file_builder *b;
	struct dag_root root;
	size_t n;

	assert_non_null(c.chunk);
	assert_int_equal(file_builder_new(p, s, &b), 0);
	for (uint64_t off = 0; off < size; off += n, i++) {
		n = (size_t)MIN(size - off, (uint64_t)p->chunk_bytes);
		if (memo && i < memo->n && n == p->chunk_bytes) {
			assert_int_equal(
				file_builder_add_leaf(b, &memo->leaf[i], n), 0);
			continue;
		}
		content_at(&c, off, n);
		if (!memo) {
			assert_int_equal(file_builder_add(b, slice(c.chunk, n)), 0);
			continue;
		}
		assert_true(i < ARRAY_LEN(memo->leaf));
		assert_int_equal(sealer_seal(s, LINK_RAW, BLOCK_LEAF,
					     slice(c.chunk, n), &memo->leaf[i]),
				 0);
		assert_int_equal(file_builder_add_leaf(b, &memo->leaf[i], n), 0);
		memo->n = n == p->chunk_bytes ? i + 1 : i;
	}
	assert_int_equal(file_builder_finish(b, &root), 0);
	assert_true(root.size == size);
	file_builder_free(b);
	free(c.chunk);
	return root;
}

/*
 * The leaves of the pattern repeat after 251 chunks: seal each once, then add
 * it by its link, as a drive reuses old leaves.
 */
static struct dag_root build_repeating(const struct dag_profile *p,
				       struct sealer *s, uint64_t size)
{
	struct content c = { NULL, malloc(p->chunk_bytes) };
	struct link *leaves = calloc(251, sizeof(*leaves));
	struct file_builder *b;
	struct dag_root root;
	struct link tail;
	uint64_t chunks = size / p->chunk_bytes;
	size_t n = size % p->chunk_bytes;

	assert_non_null(leaves);
	assert_non_null(c.chunk);
	for (size_t i = 0; i < 251; i++) {
		content_at(&c, (uint64_t)i * p->chunk_bytes, p->chunk_bytes);
		assert_int_equal(sealer_seal(s, LINK_RAW, BLOCK_LEAF,
					     slice(c.chunk, p->chunk_bytes),
					     &leaves[i]),
				 0);
	}
	assert_int_equal(file_builder_new(p, s, &b), 0);
	for (uint64_t i = 0; i < chunks; i++)
		assert_int_equal(file_builder_add_leaf(b, &leaves[i % 251],
						       p->chunk_bytes),
				 0);
	if (n) {
		content_at(&c, size - n, n);
		assert_int_equal(sealer_seal(s, LINK_RAW, BLOCK_LEAF,
					     slice(c.chunk, n), &tail),
				 0);
		assert_int_equal(file_builder_add_leaf(b, &tail, n), 0);
	}
	assert_int_equal(file_builder_finish(b, &root), 0);
	file_builder_free(b);
	free(leaves);
	free(c.chunk);
	return root;
}

static void assert_root(const struct dag_profile *p, const struct dag_root *root,
			const char *want, uint64_t tsize)
{
	struct cid cid;

	dag_link_cid(p, &root->link, &cid);
	vectors_assert_cid(&cid, want, p->name);
	assert_true(root->tsize == tsize);
}

static struct dag_profile profile_of(const json_t *v)
{
	return strcmp(vectors_str(v, "profile"), "unixfs-v0-2015") == 0 ?
		       dag_profile_v0_2015 :
		       dag_profile_v1_2025;
}

static void files_equal_the_vectors_in_both_profiles_and_blake2b(void **state)
{
	json_t *j = vectors_load("files.json"), *v, *b2;
	struct plain_sealer s;
	struct dag_profile p;
	struct dag_root root;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(j, "vectors"), i, v)
	{
		p = profile_of(v);
		plain_sealer_init(&s, &p, NULL, NULL);
		root = build(&p, &s.sealer, NULL, vectors_u64(v, "size"), NULL);
		assert_root(&p, &root, vectors_str(v, "cid"),
			    vectors_u64(v, "tsize"));
		b2 = json_object_get(v, "blake2b256");
		if (!b2)
			continue;
		p.hash = CID_BLAKE2B_256;
		p.cid_version = 1;
		root = build(&p, &s.sealer, NULL, vectors_u64(v, "size"), NULL);
		assert_root(&p, &root, vectors_str(b2, "cid"),
			    vectors_u64(b2, "tsize"));
	}
	assert_int_equal(i, 18);
	json_decref(j);
}

static void big_files_equal_the_vectors(void **state)
{
	json_t *j = vectors_load("files-big.json"), *v, *b2;
	struct plain_sealer s;
	struct dag_profile p;
	struct dag_root root;
	uint64_t size;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(j, "vectors"), i, v)
	{
		p = profile_of(v);
		size = vectors_u64(v, "size");
		plain_sealer_init(&s, &p, NULL, NULL);
		root = p.raw_leaves ? build_repeating(&p, &s.sealer, size) :
				      build(&p, &s.sealer, NULL, size, NULL);
		assert_root(&p, &root, vectors_str(v, "cid"),
			    vectors_u64(v, "tsize"));
		b2 = json_object_get(v, "blake2b256");
		if (!b2 || !p.raw_leaves)
			continue;
		p.hash = CID_BLAKE2B_256;
		root = build_repeating(&p, &s.sealer, size);
		assert_root(&p, &root, vectors_str(b2, "cid"),
			    vectors_u64(b2, "tsize"));
	}
	assert_int_equal(i, 4);
	json_decref(j);
}

static void files_of_ipip499_equal_kubo(void **state)
{
	json_t *j = vectors_load("ipip499-kubo.json"), *v;
	const struct dag_profile *p;
	struct plain_sealer s;
	struct dag_root root;
	size_t i, files = 0;
	struct memo *memo, *big = calloc(1, sizeof(*big));
	struct cid cid;

	(void)state;
	assert_non_null(big);
	json_array_foreach(json_object_get(j, "vectors"), i, v)
	{
		if (!json_object_get(v, "size"))
			continue; /* test_dir.c */
		p = strncmp(vectors_str(v, "name"), "v0", 2) == 0 ?
			    &dag_profile_v0_2015 :
			    &dag_profile_v1_2025;
		/* two fixtures of 1 GiB share all but the last byte */
		memo = strcmp(vectors_str(v, "seed"), "v1-2025-seed") == 0 ? big :
									     NULL;
		plain_sealer_init(&s, p, NULL, NULL);
		root = build(p, &s.sealer, vectors_str(v, "seed"),
			     vectors_u64(v, "size"), memo);
		dag_link_cid(p, &root.link, &cid);
		vectors_assert_cid(&cid, vectors_str(v, "expect"),
				   vectors_str(v, "name"));
		files++;
	}
	assert_int_equal(files, 8);
	free(big);
	json_decref(j);
}

/* Sum of leaf bytes below `link`, checked on the way; counts holes apart. */
static uint64_t walk(struct store *s, const struct link *link, uint64_t size,
		     uint64_t *holes, unsigned depth)
{
	struct file_child c = { .size = size };
	struct file_node n;
	struct file_iter it;
	uint64_t sum;
	int r;

	assert_true(depth < FILE_DEPTH_MAX);
	assert_int_equal(
		file_node_parse(store_get(s, link), link->codec, true, &n), 0);
	assert_int_equal(file_child_check(&c, &n), 0);
	sum = n.bytes.n;
	file_iter_init(&it, &n);
	while ((r = file_iter_next(&it, &c)) > 0) {
		assert_true(c.off == sum);
		if (c.hole) {
			*holes += c.size;
			sum += c.size;
		} else {
			sum += walk(s, &c.link, c.size, holes, depth + 1);
		}
	}
	assert_int_equal(r, 0);
	assert_true(sum == n.size);
	return sum;
}

static void sealed_files_read_back_with_keys_places_and_holes(void **state)
{
	struct dag_profile p = dag_profile_sealed;
	uint64_t size = 0, want_holes = 0, holes = 0;
	struct file_builder *b;
	struct dag_root root;
	struct store s;
	uint8_t byte;

	(void)state;
	p.chunk_bytes = 200; /* past the identity limit */
	p.file_links = 4;
	store_init(&s, true);
	assert_int_equal(file_builder_new(&p, &s.sealer, &b), 0);
	for (unsigned i = 0; i < 23; i++) {
		uint8_t chunk[200];

		byte = (uint8_t)i;
		memset(chunk, byte, sizeof(chunk));
		assert_int_equal(file_builder_add(b, slice(chunk, 200)), 0);
		size += 200;
		if (i % 5 == 2) {
			assert_int_equal(file_builder_add_hole(b, 200u * i), 0);
			size += 200u * i;
			want_holes += 200u * i;
		}
	}
	assert_int_equal(file_builder_add_hole(b, 150), 0);
	size += 150;
	want_holes += 150;
	assert_int_equal(file_builder_finish(b, &root), 0);
	file_builder_free(b);
	assert_true(root.size == size);
	assert_true(walk(&s, &root.link, size, &holes, 0) == size);
	assert_true(holes == want_holes);
	store_fini(&s);
}

static void a_hole_of_8_tib_costs_a_few_nodes(void **state)
{
	struct file_builder *b;
	struct dag_root root;
	uint64_t holes = 0;
	struct store s;

	(void)state;
	store_init(&s, true);
	assert_int_equal(file_builder_new(&dag_profile_sealed, &s.sealer, &b), 0);
	assert_int_equal(file_builder_add_hole(b, 8ull << 40), 0);
	assert_int_equal(file_builder_finish(b, &root), 0);
	file_builder_free(b);
	assert_true(root.size == 8ull << 40);
	assert_true(s.calls <= 8);
	assert_true(walk(&s, &root.link, root.size, &holes, 0) == root.size);
	assert_true(holes == root.size);
	store_fini(&s);
}

static void a_file_of_one_hole_says_so(void **state)
{
	struct file_builder *b;
	struct file_child c;
	struct dag_root root;
	struct file_node n;
	struct store s;

	(void)state;
	store_init(&s, true);
	assert_int_equal(file_builder_new(&dag_profile_sealed, &s.sealer, &b), 0);
	assert_int_equal(file_builder_add_hole(b, 5000), 0);
	assert_int_equal(file_builder_finish(b, &root), 0);
	file_builder_free(b);
	assert_int_equal(root.link.codec, LINK_DAGPB);
	assert_int_equal(file_node_parse(store_get(&s, &root.link), LINK_DAGPB,
					 true, &n),
			 0);
	assert_int_equal(file_node_find(&n, 4999, &c), 1);
	assert_true(c.hole && c.size == 5000 && c.off == 0);
	assert_int_equal(file_node_find(&n, 5000, &c), 0);
	store_fini(&s);
}

static void a_file_of_2_to_the_63_bytes_is_refused(void **state)
{
	struct file_builder *b;
	struct store s;

	(void)state;
	store_init(&s, true);
	assert_int_equal(file_builder_new(&dag_profile_sealed, &s.sealer, &b), 0);
	assert_int_equal(file_builder_add_hole(b, 1u << 20), 0);
	assert_int_equal(file_builder_add_hole(b, INT64_MAX), -EFBIG);
	file_builder_free(b);
	store_fini(&s);
}

static void places_back_to_back_come_back_as_they_were(void **state)
{
	struct unixfs fs = { .type = UNIXFS_FILE, .has_filesize = true };
	struct unixfs_child in[9] = { 0 }, out;
	struct unixfs_node n;
	struct unixfs_iter it;
	uint64_t off = 59;
	struct buf b;
	size_t size;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(in); i++) {
		struct link *l = &in[i].link;

		l->kind = LINK_SEALED;
		l->codec = LINK_RAW;
		memset(l->digest, (int)i, sizeof(l->digest));
		memset(l->key, 100 + (int)i, sizeof(l->key));
		in[i].size = i;
		in[i].tsize = i;
		fs.filesize += i;
		if (i == 3 || i == 4)
			continue; /* no place */
		l->place = (struct place){ i > 6 ? UINT64_MAX : 1ull << 40, off,
					   1000 + (uint32_t)i };
		off += l->place.len + (i == 1); /* a gap behind the second */
	}
	buf_init(&b, DAG_NODE_MAX);
	assert_int_equal(unixfs_node_encode(&dag_profile_sealed, &fs, in,
					    ARRAY_LEN(in), &b),
			 0);
	assert_int_equal(unixfs_node_parse(buf_slice(&b), true, &n), 0);
	unixfs_iter_init(&it, &n);
	for (size_t i = 0; i < ARRAY_LEN(in); i++) {
		assert_int_equal(unixfs_next(&it, &out), 1);
		assert_true(link_same(&out.link, &in[i].link));
		assert_true(out.link.place.piece == in[i].link.place.piece);
		assert_true(out.link.place.off == in[i].link.place.off);
		assert_true(out.link.place.len == in[i].link.place.len);
		assert_true(out.size == i);
	}
	assert_int_equal(unixfs_next(&it, &out), 0);
	assert_int_equal(unixfs_places_size(in, ARRAY_LEN(in), &size), 0);
	assert_true(size > 0 && size < n.fs.message.n);
	/* a plain reader skips the extensions */
	assert_int_equal(unixfs_node_parse(buf_slice(&b), false, &n), 0);
	unixfs_iter_init(&it, &n);
	assert_int_equal(unixfs_next(&it, &out), 1);
	assert_int_equal(out.link.kind, LINK_PLAIN);
	buf_fini(&b);
}

/* One raw identity link with 3 bytes: 12 0d { cid 7, name 0, tsize 3 }. */
#define LINK3         \
 "120d"               \
 "0a0701550003616263" \
 "1200"               \
 "1803"
#define KEY0 "0000000000000000000000000000000000000000000000000000000000000000"

static void counts_that_do_not_match_are_refused(void **state)
{
	static const struct {
		const char *hex;
		bool sealed;
		int err;
	} cases[] = {
		/* a good file of one child */
		{ LINK3 "0a06"
			"080218032003",
		  false, 0 },
		/* filesize, a second blocksize, none */
		{ LINK3 "0a06"
			"080218042003",
		  false, -EPROTO },
		{ LINK3 "0a08"
			"0802180320032000",
		  false, -EPROTO },
		{ LINK3 "0a04"
			"08021803",
		  false, -EPROTO },
		/* packed blocksizes, as other encoders may write them */
		{ LINK3 "0a07"
			"08021803220103",
		  false, 0 },
		/* no Type; a Type that is reserved; no Data at all */
		{ LINK3 "0a04"
			"18032003",
		  false, -EPROTO },
		{ "0a020803", false, -EPROTO },
		{ "", false, -EPROTO },
		/* mtime without seconds, with too many ns */
		{ "0a06"
		  "080218004200",
		  false, -EPROTO },
		{ "0a0d"
		  "0802180042070800"
		  "1500ca9a3b",
		  false, -EPROTO },
		{ "0a0d"
		  "0802180042070800"
		  "15ffc99a3b",
		  false, 0 },
		/* sealed: keys and places */
		{ LINK3 "0a2f"
			"080218032003"
			"8a4b20" KEY0 "924b03"
			"010000",
		  true, -EPROTO },
		{ LINK3 "0a2e"
			"080218032003"
			"8a4b20" KEY0 "924b02"
			"0100",
		  true, 0 },
		{ LINK3 "0a2e"
			"080218032003"
			"8a4b20" KEY0 "924b02"
			"0200",
		  true, -EPROTO },
		{ LINK3 "0a2e"
			"080218032003"
			"8a4b20" KEY0 "924b02"
			"0000",
		  true, -EPROTO },
		{ LINK3 "0a06"
			"080218032003",
		  true, -EPROTO },
		/* a hole bit behind the last child */
		{ LINK3 "0a32"
			"080218032003"
			"8a4b20" KEY0 "924b020100"
			"9a4b0102",
		  true, -EPROTO },
		{ LINK3 "0a32"
			"080218032003"
			"8a4b20" KEY0 "924b020100"
			"9a4b0101",
		  true, 0 },
		/* an Attr in a file */
		{ LINK3 "0a31"
			"080218032003"
			"8a4b20" KEY0 "924b020100"
			"a24b00",
		  true, -EPROTO },
	};
	struct file_node n;
	struct buf b;
	int r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_init(&b, 4096);
		vectors_hex(cases[i].hex, &b);
		r = file_node_parse(buf_slice(&b), LINK_DAGPB, cases[i].sealed, &n);
		if (r != cases[i].err)
			fail_msg("case %zu: %d, want %d", i, r, cases[i].err);
		buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_equal_the_vectors_in_both_profiles_and_blake2b),
		cmocka_unit_test(big_files_equal_the_vectors),
		cmocka_unit_test(files_of_ipip499_equal_kubo),
		cmocka_unit_test(sealed_files_read_back_with_keys_places_and_holes),
		cmocka_unit_test(a_hole_of_8_tib_costs_a_few_nodes),
		cmocka_unit_test(a_file_of_one_hole_says_so),
		cmocka_unit_test(a_file_of_2_to_the_63_bytes_is_refused),
		cmocka_unit_test(places_back_to_back_come_back_as_they_were),
		cmocka_unit_test(counts_that_do_not_match_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
