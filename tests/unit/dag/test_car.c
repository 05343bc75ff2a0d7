/* test_car.c - CARv1 against vectors and abuse; publish on real folders */
#include "car_read.h"
#include "vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "dag/car.h"
#include "dag/dir.h"
#include "dag/file.h"
#include "dag/profile.h"
#include "dag/publish.h"
#include "dag/sealer.h"

#define CAR_TEST_MAX (32u << 20)

static int to_buf(void *ctx, struct slice bytes)
{
	return buf_append(ctx, bytes);
}

static const json_t *find_vector(const json_t *j, const char *name)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(j, "vectors"), i, v)
	{
		if (strcmp(vectors_str(v, "name"), name) == 0)
			return v;
	}
	fail_msg("no vector %s", name);
	return NULL;
}

/* Blocks of a CAR in order, at the vector's offsets. */
static void check_sections(const json_t *v, struct slice car)
{
	json_t *list = json_object_get(v, "sections"), *want;
	struct slice block;
	struct car_section at;
	struct car_header h;
	struct cid cid;
	struct cursor c = cursor(car);
	uint64_t off;
	size_t i;

	assert_int_equal(car_read_header(&c, &h), 0);
	assert_int_equal(h.n_roots, 1);
	vectors_assert_cid(&h.root, vectors_str(v, "root"), "root");
	json_array_foreach(list, i, want)
	{
		off = car.n - c.n;
		assert_int_equal(car_read_section(&c, &cid, &block, &at), 1);
		vectors_assert_cid(&cid, vectors_str(want, "cid"), "section");
		assert_int_equal(cid_verify(&cid, block), 0);
		assert_true(off == vectors_u64(want, "offset"));
		assert_true(at.len == car.n - c.n - off);
		assert_true(off + at.block_off == vectors_u64(want, "blockOffset"));
		assert_true(block.n == vectors_u64(want, "blockLength"));
	}
	assert_int_equal(car_read_section(&c, &cid, &block, &at), 0);
}

static void cars_of_the_vectors_read_and_write_byte_for_byte(void **state)
{
	static const char *const names[] = { "nested-dir", "hello-raw" };
	json_t *j = vectors_load("car.json");
	struct car_section at;
	struct car_writer w;
	struct slice block;
	struct car_header h;
	struct cursor c;
	struct cid cid;
	struct buf in, out;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const json_t *v = find_vector(j, names[i]);

		buf_init(&in, 65536);
		buf_init(&out, 65536);
		vectors_hex(vectors_str(v, "car_hex"), &in);
		check_sections(v, buf_slice(&in));
		c = cursor(buf_slice(&in));
		assert_int_equal(car_read_header(&c, &h), 0);
		assert_int_equal(car_header_encode(&h.root, &out), 0);
		car_writer_init(&w, to_buf, &out);
		w.off = out.n;
		assert_int_equal(w.off, CAR_HEADER_SIZE);
		while (car_read_section(&c, &cid, &block, &at) > 0)
			assert_int_equal(car_writer_append(&w, &cid, block, &at), 0);
		assert_true(slice_eq(buf_slice(&in), buf_slice(&out)));
		buf_fini(&in);
		buf_fini(&out);
	}
	json_decref(j);
}

/* Blocks by CID, to be written in another order. */
struct kept {
	struct cid cid;
	uint8_t *p;
	size_t n;
};

struct keeper {
	struct kept k[16];
	size_t n;
};

static int keep(void *ctx, const struct cid *cid, struct slice block)
{
	struct keeper *k = ctx;

	if (k->n == ARRAY_LEN(k->k))
		return -ENOSPC;
	k->k[k->n].cid = *cid;
	k->k[k->n].n = block.n;
	k->k[k->n].p = malloc(block.n);
	if (!k->k[k->n].p)
		return -ENOMEM;
	memcpy(k->k[k->n++].p, block.p, block.n);
	return 0;
}

static void the_10_mib_car_has_the_vectors_digest(void **state)
{
	json_t *j = vectors_load("car.json");
	const json_t *v = find_vector(j, "10MiB-v1");
	const struct dag_profile *p = &dag_profile_v1_2025;
	struct keeper k = { .n = 0 };
	struct file_builder *b;
	struct plain_sealer s;
	struct car_section at;
	struct car_writer w;
	struct dag_root root;
	uint8_t digest[32];
	uint8_t *chunk = malloc(1u << 20);
	struct buf car, hex;

	(void)state;
	assert_non_null(chunk);
	plain_sealer_init(&s, p, keep, &k);
	assert_int_equal(file_builder_new(p, &s.sealer, &b), 0);
	for (size_t i = 0; i < 10; i++) {
		for (size_t x = 0; x < 1u << 20; x++)
			chunk[x] = (uint8_t)(((i << 20) + x) % 251);
		assert_int_equal(file_builder_add(b, slice(chunk, 1u << 20)), 0);
	}
	assert_int_equal(file_builder_finish(b, &root), 0);
	file_builder_free(b);
	free(chunk);
	assert_int_equal(k.n, vectors_u64(v, "blocks"));

	buf_init(&car, CAR_TEST_MAX);
	assert_int_equal(car_header_encode(&k.k[k.n - 1].cid, &car), 0);
	car_writer_init(&w, to_buf, &car);
	w.off = car.n;
	for (size_t i = 0; i < k.n; i++) { /* depth first: the root leads */
		struct kept *t = &k.k[i ? i - 1 : k.n - 1];

		assert_int_equal(
			car_writer_append(&w, &t->cid, slice(t->p, t->n), &at), 0);
	}
	assert_true(car.n == vectors_u64(v, "car_len"));
	sha256_once(buf_slice(&car), digest);
	buf_init(&hex, 64);
	vectors_hex(vectors_str(v, "car_sha256"), &hex);
	assert_memory_equal(digest, hex.p, 32);
	check_sections(v, buf_slice(&car));
	for (size_t i = 0; i < k.n; i++)
		free(k.k[i].p);
	buf_fini(&hex);
	buf_fini(&car);
	json_decref(j);
}

static void header_variants_are_read(void **state)
{
	static const struct {
		const char *name;
		uint32_t n_roots;
		const char *root;
	} cases[] = {
		{ "header/empty-roots", 0, NULL },
		{ "header/bafkqaaa-root", 1, "bafkqaaa" },
		{ "header/v0-root", 1,
		  "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn" },
		{ "header/two-roots", 2,
		  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku" },
	};
	json_t *j = vectors_load("car.json");
	struct car_header h;
	struct buf b, out;
	struct cursor c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const json_t *v = find_vector(j, cases[i].name);

		buf_init(&b, 4096);
		vectors_hex(vectors_str(v, "header_hex"), &b);
		c = cursor(buf_slice(&b));
		assert_int_equal(car_read_header(&c, &h), 0);
		assert_int_equal(cursor_done(&c), 0);
		assert_int_equal(h.n_roots, cases[i].n_roots);
		if (cases[i].root)
			vectors_assert_cid(&h.root, cases[i].root, "root");
		if (h.n_roots == 1) {
			buf_init(&out, 4096);
			assert_int_equal(car_header_encode(&h.root, &out), 0);
			assert_true(slice_eq(buf_slice(&b), buf_slice(&out)));
			buf_fini(&out);
		}
		buf_fini(&b);
	}
	json_decref(j);
}

static void a_block_over_the_maximum_is_refused(void **state)
{
	struct cid cid = cid_of(CID_RAW, SLICE_NONE);
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(car_frame_encode(&cid, CAR_BLOCK_MAX, &b), 0);
	assert_int_equal(car_frame_encode(&cid, CAR_BLOCK_MAX + 1, &b), -EMSGSIZE);
	buf_fini(&b);
}

/* A folder of the test's own, and a CAR file beside it. */
struct scratch {
	char dir[64];
	char car[80];
	int fd;
};

static void scratch_init(struct scratch *s)
{
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/fildrive-dag-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	(void)snprintf(s->car, sizeof(s->car), "%s.car", s->dir);
	s->fd = open(s->car, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(s->fd >= 0);
}

/* A path below the folder; "" is the folder. */
static const char *at(const struct scratch *s, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s%s%s", s->dir, *name ? "/" : "", name);
	return path;
}

static void put(const struct scratch *s, const char *name, const char *content)
{
	FILE *f = fopen(at(s, name), "we");

	assert_non_null(f);
	assert_true(fputs(content, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void scratch_fini(struct scratch *s, const char *const *names)
{
	/* files before the folders that hold them */
	for (; *names; names++)
		assert_int_equal(remove(at(s, *names)), 0);
	assert_int_equal(rmdir(s->dir), 0);
	assert_int_equal(unlink(s->car), 0);
	assert_int_equal(close(s->fd), 0);
}

/* Read the CAR back; every block hashes, stands once, and links backwards. */
static size_t check_car(int fd, const struct cid *root, struct buf *car)
{
	struct cid cids[64], cid;
	struct car_section sect;
	struct dagpb node;
	struct dagpb_link l;
	struct car_header h;
	struct slice block;
	struct cursor c, it;
	struct stat st;
	size_t n = 0, k;
	uint8_t *p;

	assert_int_equal(fstat(fd, &st), 0);
	buf_init(car, CAR_TEST_MAX);
	assert_int_equal(buf_grow(car, (size_t)st.st_size, &p), 0);
	assert_true(pread(fd, p, (size_t)st.st_size, 0) == st.st_size);
	c = cursor(buf_slice(car));
	assert_int_equal(car_read_header(&c, &h), 0);
	assert_int_equal(h.n_roots, 1);
	assert_true(cid_eq(&h.root, root));
	while (car_read_section(&c, &cid, &block, &sect) > 0) {
		assert_int_equal(cid_verify(&cid, block), 0);
		for (k = 0; k < n; k++)
			assert_false(cid_eq(&cids[k], &cid));
		if (cid.codec == CID_DAGPB) {
			assert_int_equal(dagpb_parse(block, &node), 0);
			it = cursor(node.links);
			while (dagpb_next(&it, &l)) {
				struct cid want;

				assert_int_equal(cid_parse(l.hash, &want), 0);
				for (k = 0; k < n && !cid_eq(&cids[k], &want);)
					k++;
				assert_true(k < n);
			}
		}
		assert_true(n < ARRAY_LEN(cids));
		cids[n++] = cid;
	}
	assert_true(n > 0 && cid_eq(&cids[n - 1], root));
	return n;
}

static void publish_gives_the_vectors_cid_and_a_complete_car(void **state)
{
	static const char *const names[] = { "x/y/z.txt", "x/w.txt", "top.txt",
					     "x/y",       "x",       ".hidden",
					     "fifo",      NULL };
	const struct publish_opts opts = { .hidden = false };
	struct publish_stats stats;
	struct err e = { 0 };
	struct scratch s;
	struct cid root;
	struct buf car;

	(void)state;
	scratch_init(&s);
	assert_int_equal(mkdir(at(&s, "x"), 0700), 0);
	assert_int_equal(mkdir(at(&s, "x/y"), 0700), 0);
	put(&s, "x/y/z.txt", "deep\n");
	put(&s, "x/w.txt", "w\n");
	put(&s, "top.txt", "top\n");
	put(&s, ".hidden", "not taken\n");
	assert_int_equal(mkfifo(at(&s, "fifo"), 0600), 0);
	if (publish_path(s.dir, &opts, s.fd, &root, &stats, &e) != 0)
		fail_msg("%s", e.text);
	vectors_assert_cid(&root,
			   "bafybeicy5ss2k2mkxkz4vdrnsebqlp56z7j7xu6rqm2unknebq3saf3e7q",
			   "nested");
	assert_int_equal(check_car(s.fd, &root, &car), 6);
	assert_true(car.n == 546 && stats.car_bytes == 546);
	assert_true(stats.files == 3 && stats.dirs == 3 && stats.skipped == 1 &&
		    stats.blocks == 6 && stats.content_bytes == 11);
	buf_fini(&car);
	scratch_fini(&s, names);
}

static void publish_keeps_symlinks_and_writes_equal_files_once(void **state)
{
	static const char *const names[] = { "foo", "bar", "copy", ".dot", NULL };
	struct publish_opts opts = { .hidden = true };
	struct publish_stats stats;
	struct err e = { 0 };
	struct scratch s;
	struct cid root, v0;
	struct buf car;
	size_t n;

	(void)state;
	scratch_init(&s);
	put(&s, "foo", "content");
	put(&s, "copy", "content");
	put(&s, ".dot", "");
	assert_int_equal(symlink("foo", at(&s, "bar")), 0);
	if (publish_path(s.dir, &opts, s.fd, &root, &stats, &e) != 0)
		fail_msg("%s", e.text);
	n = check_car(s.fd, &root, &car);
	assert_int_equal(n, 4); /* content, nothing, symlink, folder */
	assert_true(stats.symlinks == 1 && stats.files == 3 && stats.blocks == 4);
	buf_fini(&car);

	opts.profile = &dag_profile_v0_2015;
	if (publish_path(s.dir, &opts, s.fd, &v0, &stats, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(v0.version, 0);
	assert_int_equal(check_car(s.fd, &v0, &car), 4);
	buf_fini(&car);

	/* a symlink itself: the UnixFS specification's own fixture */
	if (publish_path(at(&s, "bar"), &opts, s.fd, &v0, &stats, &e) != 0)
		fail_msg("%s", e.text);
	vectors_assert_cid(&v0, "QmTB8BaCJdCH5H3k7GrxJsxgDNmNYGGR71C58ERkivXoj5",
			   "symlink");
	scratch_fini(&s, names);
}

static void publish_names_what_it_cannot_read(void **state)
{
	static const char *const names[] = { "fifo", NULL };
	const struct publish_opts opts = { .hidden = false };
	struct publish_stats stats;
	struct err e = { 0 };
	struct scratch s;
	struct cid root;

	(void)state;
	scratch_init(&s);
	assert_int_equal(mkfifo(at(&s, "fifo"), 0600), 0);
	assert_int_equal(publish_path(at(&s, "fifo"), &opts, s.fd, &root, &stats, &e),
			 -EINVAL);
	assert_non_null(strstr(e.text, "fifo"));
	e = (struct err){ 0 };
	assert_int_equal(publish_path(at(&s, "absent"), &opts, s.fd, &root,
				      &stats, &e),
			 -ENOENT);
	assert_non_null(strstr(e.text, "absent"));
	e = (struct err){ 0 };
	assert_int_equal(publish_path(s.dir, &opts, -1, &root, &stats, &e), -EBADF);
	assert_non_null(strstr(e.text, "CAR"));
	scratch_fini(&s, names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cars_of_the_vectors_read_and_write_byte_for_byte),
		cmocka_unit_test(the_10_mib_car_has_the_vectors_digest),
		cmocka_unit_test(header_variants_are_read),
		cmocka_unit_test(a_block_over_the_maximum_is_refused),
		cmocka_unit_test(publish_gives_the_vectors_cid_and_a_complete_car),
		cmocka_unit_test(publish_keeps_symlinks_and_writes_equal_files_once),
		cmocka_unit_test(publish_names_what_it_cannot_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
