/* test_piece.c - properties of whole pieces, written and read back */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "car_read.h"

#include "base/cursor.h"
#include "base/io.h"
#include "base/thread.h"
#include "crypto/commp.h"
#include "crypto/hash.h"
#include "crypto/seal.h"
#include "dag/car.h"
#include "dag/cid.h"
#include "dag/commit.h"
#include "dag/piece_reader.h"
#include "dag/piece_writer.h"
#include "records.h"

#define PIECE piece_ordinal(0xabcdef, 9)

/* ---- a file in memory, which can be made to fail */

struct mem_file {
	struct io_file file;
	struct buf bytes;
	unsigned n_syncs;
	uint64_t fail_at; /* a write that reaches this offset fails */
	uint64_t lost_at; /* one that is said when it is to reach the disk, once */
	bool any_order; /* spans come from several threads */
	struct lock lock;
};

static struct mem_file *mem(struct io_file *f)
{
	return container_of(f, struct mem_file, file);
}

static int mem_pwrite(struct io_file *f, const void *p, size_t n, uint64_t off)
{
	struct buf *b = &mem(f)->bytes;
	uint8_t *gap;
	int r = 0;

	if (off + n > mem(f)->fail_at)
		return -ENOSPC;
	lock_take(&mem(f)->lock);
	assert_true(off == b->n || mem(f)->any_order); /* else it streams */
	if (off + n > b->n)
		r = buf_grow(b, off + n - b->n, &gap);
	if (r == 0)
		memcpy(b->p + off, p, n);
	lock_drop(&mem(f)->lock);
	return r;
}

static int mem_datasync(struct io_file *f)
{
	mem(f)->n_syncs++;
	return 0;
}

static int mem_truncate(struct io_file *f, uint64_t size)
{
	assert_true(size == 0);
	buf_reset(&mem(f)->bytes);
	return 0;
}

static int mem_write_out(struct io_file *f, uint64_t off, uint64_t n)
{
	return mem(f)->lost_at - off < n ? -EIO : 0;
}

static const struct io_file_ops mem_ops = { .pwrite = mem_pwrite,
					    .datasync = mem_datasync,
					    .write_out = mem_write_out,
					    .truncate = mem_truncate };

struct fixture {
	struct mem_file f;
	struct keys *keys;
	struct secret *convergence;
	struct piece_spec spec;
	struct piece_writer *w;
	struct piece_result result;
};

static void begin(struct fixture *x)
{
	memset(x, 0, sizeof(*x));
	x->f.file.ops = &mem_ops;
	x->f.fail_at = x->f.lost_at = UINT64_MAX;
	buf_init(&x->f.bytes, 128u << 20);
	lock_init(&x->f.lock);
	x->keys = test_keys(1);
	x->convergence = test_secret(0x5e);
	x->spec = (struct piece_spec){ .piece = PIECE,
				       .kind = PIECE_DATA,
				       .size_min = PIECE_SIZE_MIN,
				       .keys = x->keys,
				       .convergence = x->convergence };
}

static void open_writer(struct fixture *x)
{
	assert_int_equal(piece_writer_new(&x->f.file, &x->spec, &x->w), 0);
}

static void end(struct fixture *x)
{
	piece_writer_free(x->w);
	keys_free(x->keys);
	secret_free(x->convergence);
	buf_fini(&x->f.bytes);
	lock_fini(&x->f.lock);
}

/* ---- threads for its spans */

struct forks {
	struct fork {
		void (*run)(void *arg);
		void *arg;
		pthread_t thread;
	} v[64];
	unsigned n;
};

static void *fork_main(void *arg)
{
	struct fork *f = arg;

	f->run(f->arg);
	return NULL;
}

static void fork_one(void *ctx, void (*run)(void *arg), void *arg)
{
	struct forks *all = ctx;
	struct fork *f = &all->v[all->n++];

	assert_in_range(all->n, 1, ARRAY_LEN(all->v));
	f->run = run;
	f->arg = arg;
	assert_int_equal(pthread_create(&f->thread, NULL, fork_main, f), 0);
}

static void forks_on(struct fixture *x, struct forks *all)
{
	all->n = 0;
	x->f.any_order = true;
	x->spec.fork = fork_one;
	x->spec.fork_ctx = all;
}

static void forks_join(struct forks *all)
{
	for (unsigned i = 0; i < all->n; i++)
		assert_int_equal(pthread_join(all->v[i].thread, NULL), 0);
}

static int add(struct fixture *x, uint32_t i, size_t n, enum xindex_kind kind,
	       struct link *ret)
{
	struct piece_block b = { .kind = kind,
				 .codec = kind == XINDEX_LEAF ? LINK_RAW :
								LINK_DAGPB };
	struct buf body, block;
	uint8_t *p;
	int r;

	buf_init(&body, SEAL_BODY_MAX);
	buf_init(&block, SEAL_BLOCK_MAX);
	assert_int_equal(buf_grow(&body, n, &p), 0);
	memset(p, (int)i, n);
	memcpy(p, &i, MIN(n, sizeof(i)));
	assert_int_equal(seal_block(x->convergence, SEAL_STORED,
				    buf_slice(&body), &block, b.key, b.digest),
			 0);
	b.block = buf_slice(&block);
	*ret = (struct link){ .kind = LINK_SEALED, .codec = b.codec };
	memcpy(ret->digest, b.digest, sizeof(b.digest));
	memcpy(ret->key, b.key, sizeof(b.key));
	r = piece_writer_add(x->w, &b, &ret->place);
	buf_fini(&body);
	buf_fini(&block);
	return r;
}

static void add_commit(struct fixture *x, const struct link *root)
{
	struct commit_info i = { .min_reader = 1,
				 .min_writer = 1,
				 .sequence = 1,
				 .writer = 0xabcdef,
				 .device = slice_str("test"),
				 .root = *root,
				 .root_attr = { .ino = 1, .mode = S_IFDIR | 0700 },
				 .ino_next = 100,
				 .piece_next = 10,
				 .epoch = 1,
				 .compress = COMMIT_COMPRESS_NODES,
				 .copies = 1 };
	uint8_t digest[32];
	struct buf b;

	buf_init(&b, COMMIT_RECORD_MAX);
	assert_int_equal(commit_seal(&i, x->convergence, x->keys, &b, digest), 0);
	assert_int_equal(piece_writer_commit(x->w, buf_slice(&b), digest, 1), 0);
	buf_fini(&b);
}

static void finish(struct fixture *x)
{
	const struct trailer_head none = { 0 };

	assert_int_equal(piece_writer_finish(x->w, 1700000000, &none, &x->result),
			 0);
	assert_true(x->result.raw_size == x->f.bytes.n);
	assert_int_equal(x->f.n_syncs, 1);
}

/* ---- reading */

static void open_trailer(struct fixture *x, struct trailer *t)
{
	struct slice all = buf_slice(&x->f.bytes);

	assert_memory_equal(all.p, piece_header, PIECE_HEADER_SIZE);
	assert_int_equal(piece_tail_parse(all, all.n, x->keys, t), 0);
}

static struct slice fetch(struct fixture *x, struct place p)
{
	struct slice s;

	assert_true(p.piece == PIECE);
	assert_int_equal(piece_tail_range(buf_slice(&x->f.bytes), x->f.bytes.n,
					  p.off, p.len, &s),
			 1);
	return s;
}

static struct piece_index *load(struct fixture *x, const struct trailer *t,
				enum piece_index_of of, struct xindex_view *v)
{
	struct piece_index *idx = NULL;
	struct place p;

	assert_int_equal(piece_index_new(t, of, &idx), 0);
	assert_int_equal(piece_index_view(idx, v), -EINPROGRESS);
	while (piece_index_want(idx, &p))
		assert_int_equal(piece_index_feed(idx, fetch(x, p)), 0);
	assert_int_equal(piece_index_view(idx, v), 0);
	return idx;
}

/* Every block that an index lists opens, from its entry alone. */
static void open_all(struct fixture *x, const struct xindex_view *v)
{
	struct xindex_entry e;
	struct link l;
	struct buf body;

	buf_init(&body, SEAL_BODY_MAX);
	for (uint32_t i = 0; i < v->n; i++) {
		xindex_get(v, i, &e);
		xindex_link(&e, v->piece, &l);
		buf_reset(&body);
		assert_int_equal(piece_block_open(fetch(x, l.place), &l,
						  SEAL_BODY_MAX, &body),
				 0);
	}
	buf_fini(&body);
}

/* As any other reader of CARs sees it; returns the number of sections. */
static unsigned walk_car(struct slice all)
{
	struct cursor c = cursor(all);
	struct car_section section;
	struct car_header header;
	struct slice block;
	struct cid cid;
	unsigned n = 0;
	int r;

	assert_int_equal(car_read_header(&c, &header), 0);
	assert_int_equal(header.n_roots, 1);
	assert_true(header.root.hash == CID_IDENTITY);
	assert_true(slice_eq(slice(header.root.digest, header.root.n_digest),
			     slice_str("fildrive/1")));
	while ((r = car_read_section(&c, &cid, &block, &section)) > 0) {
		assert_true(cid.codec == CID_RAW && cid.hash == CID_SHA2_256);
		assert_int_equal(cid_verify(&cid, block), 0);
		n++;
	}
	assert_int_equal(r, 0);
	return n;
}

/* ---- tests */

static void a_whole_piece_is_found_from_its_tail(void **state)
{
	enum {
		LEAVES = 50,
		NODES = 7
	};
	_cleanup_commit_ struct commit *c = NULL;
	struct piece_index *idx;
	struct xindex_view v;
	struct fixture x;
	struct trailer t;
	struct link l;

	(void)state;
	begin(&x);
	x.spec.commit_max = 2000;
	open_writer(&x);
	for (uint32_t i = 0; i < LEAVES; i++)
		assert_int_equal(add(&x, i, 3000 + i, XINDEX_LEAF, &l), 0);
	for (uint32_t i = 0; i < NODES; i++)
		assert_int_equal(add(&x, 1000 + i, 500, XINDEX_DIR, &l), 0);
	add_commit(&x, &l);
	finish(&x);

	assert_int_equal(walk_car(buf_slice(&x.f.bytes)),
			 LEAVES + 1 + NODES + 1 + 2);
	open_trailer(&x, &t);
	assert_true(t.piece == PIECE && t.sequence == 1);
	assert_true(t.n_leaves == LEAVES && t.n_nodes == NODES);
	assert_true(t.time_s == 1700000000 && t.kind == PIECE_DATA);
	assert_int_equal(
		piece_commit_parse(fetch(&x, (struct place){ PIECE, t.commit.off,
							     t.commit.len }),
				   &t, x.keys, &c),
		0);
	assert_true(link_same(&commit_info(c)->root, &l));
	assert_true(commit_info(c)->root.place.off == l.place.off);
	idx = load(&x, &t, PIECE_LEAVES, &v);
	assert_int_equal(v.n, LEAVES);
	open_all(&x, &v);
	piece_index_free(idx);
	idx = load(&x, &t, PIECE_NODES, &v);
	assert_int_equal(v.n, NODES);
	open_all(&x, &v);
	piece_index_free(idx);
	end(&x);
}

static void parts_that_are_not_there_are_left_out(void **state)
{
	struct piece_index *idx = NULL;
	struct commit *c = NULL;
	struct fixture x;
	struct trailer t;

	(void)state;
	begin(&x);
	open_writer(&x);
	finish(&x);
	assert_int_equal(x.f.bytes.n, PIECE_HEADER_SIZE + TRAILER_SECTION_SIZE);
	open_trailer(&x, &t);
	assert_int_equal(piece_index_new(&t, PIECE_LEAVES, &idx), -ENOENT);
	assert_int_equal(piece_index_new(&t, PIECE_NODES, &idx), -ENOENT);
	assert_int_equal(piece_commit_parse(SLICE_NONE, &t, x.keys, &c), -ENOENT);
	end(&x);
}

static void a_filler_reaches_the_minimum(void **state)
{
	static const uint64_t min[] = { 631, 632, 670, 671, 800, 5000, 3u << 20 };
	struct fixture x;
	struct trailer t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(min); i++) {
		begin(&x);
		x.spec.size_min = min[i];
		open_writer(&x);
		assert_true(piece_writer_bound(x.w, 0) >= min[i]);
		finish(&x);
		assert_true(x.f.bytes.n >= min[i]);
		assert_true(x.f.bytes.n <= min[i] + PIECE_HEAD_MAX + 1);
		assert_true(walk_car(buf_slice(&x.f.bytes)) >= 2);
		open_trailer(&x, &t);
		end(&x);
	}
}

static void the_cid_is_the_commitment_to_the_bytes(void **state)
{
	_cleanup_commp_ struct commp *commp = NULL;
	struct piece_cid cid;
	struct commp_sum sum;
	struct fixture x;
	struct link l;

	(void)state;
	begin(&x);
	open_writer(&x);
	assert_int_equal(add(&x, 1, 100000, XINDEX_LEAF, &l), 0);
	finish(&x);
	assert_int_equal(commp_new(&commp), 0);
	commp_update(commp, buf_slice(&x.f.bytes));
	commp_final(commp, &sum);
	piece_cid_v2(&sum, &cid);
	assert_true(piece_cid_eq(&cid, &x.result.cid));
	assert_int_equal(piece_cid_parse(piece_cid_slice(&cid), &sum), 0);
	assert_true(sum.raw_size == x.f.bytes.n);
	end(&x);
}

static void an_index_over_one_leaf_becomes_a_file(void **state)
{
	enum {
		N = 27000
	}; /* 2.06 MiB of entries: three leaves and a node */
	struct piece_index *idx;
	struct xindex_view v;
	struct fixture x;
	struct trailer t;
	struct link l;

	(void)state;
	begin(&x);
	open_writer(&x);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(add(&x, i, 16, XINDEX_LEAF, &l), 0);
	finish(&x);
	open_trailer(&x, &t);
	assert_int_equal(t.leaves.codec, LINK_DAGPB);
	idx = load(&x, &t, PIECE_LEAVES, &v);
	assert_int_equal(v.n, N);
	open_all(&x, &v);
	piece_index_free(idx);
	end(&x);
}

static void the_bound_holds_and_is_close(void **state)
{
	uint64_t before;
	struct fixture x;
	struct link l;

	(void)state;
	for (uint32_t n = 1; n <= 20001; n = n * 3 + n / 2) {
		begin(&x);
		open_writer(&x);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(add(&x, i, 16,
					     i < n / 2 ? XINDEX_LEAF : XINDEX_FILE,
					     &l),
					 0);
		before = piece_writer_bound(x.w, 0);
		finish(&x);
		assert_true(x.f.bytes.n <= before);
		assert_true(before - x.f.bytes.n < 4096);
		end(&x);
	}
}

static void a_full_piece_refuses_and_can_be_finished(void **state)
{
	struct fixture x;
	struct trailer t;
	struct link l;
	uint64_t size;
	unsigned n = 0;
	int r;

	(void)state;
	begin(&x);
	x.spec.size_max = 200000;
	x.spec.commit_max = 1500;
	open_writer(&x);
	while ((r = add(&x, n, 1000, n < 60 ? XINDEX_LEAF : XINDEX_DIR, &l)) == 0)
		n++;
	assert_int_equal(r, -EFBIG);
	assert_true(n > 100);
	size = piece_writer_size(x.w);
	assert_int_equal(add(&x, n, 1000, XINDEX_DIR, &l), -EFBIG);
	assert_true(piece_writer_size(x.w) == size);
	l.codec = LINK_DAGPB;
	l.place = (struct place){ 0, 0, 0 };
	add_commit(&x, &l);
	finish(&x);
	assert_true(x.f.bytes.n <= 200000);
	assert_true(x.f.bytes.n > 190000);
	open_trailer(&x, &t);
	end(&x);
}

static void every_prefix_of_a_piece_is_refused(void **state)
{
	struct fixture x;
	struct trailer t;
	struct link l;

	(void)state;
	begin(&x);
	open_writer(&x);
	assert_int_equal(add(&x, 1, 2000, XINDEX_LEAF, &l), 0);
	finish(&x);
	for (size_t n = 0; n < x.f.bytes.n; n++) {
		assert_int_equal(piece_tail_parse(slice(x.f.bytes.p, n), n,
						  x.keys, &t),
				 -EBADMSG);
		/* The same tail, said to be of a longer piece. */
		assert_int_equal(piece_tail_parse(slice(x.f.bytes.p, n),
						  x.f.bytes.n, x.keys, &t),
				 -EBADMSG);
	}
	assert_int_equal(piece_tail_parse(buf_slice(&x.f.bytes),
					  x.f.bytes.n + 1, x.keys, &t),
			 -EBADMSG);
	end(&x);
}

static void a_changed_block_is_refused_and_asked_for_again(void **state)
{
	struct piece_index *idx = NULL;
	struct xindex_view v;
	struct fixture x;
	struct trailer t;
	struct place p;
	struct link l;
	struct buf body;

	(void)state;
	begin(&x);
	open_writer(&x);
	assert_int_equal(add(&x, 1, 2000, XINDEX_LEAF, &l), 0);
	finish(&x);
	open_trailer(&x, &t);
	buf_init(&body, SEAL_BODY_MAX);
	for (uint64_t i = l.place.off; i < l.place.off + l.place.len; i += 7) {
		x.f.bytes.p[i] ^= 1;
		/* The CID's own bytes are compared by the caller's link. */
		if (i < l.place.off + 2 + 4 || i >= l.place.off + 2 + 36)
			assert_int_equal(piece_block_open(fetch(&x, l.place), &l,
							  SEAL_BODY_MAX, &body),
					 -EBADMSG);
		x.f.bytes.p[i] ^= 1;
	}
	assert_int_equal(piece_index_new(&t, PIECE_LEAVES, &idx), 0);
	assert_true(piece_index_want(idx, &p));
	assert_int_equal(piece_index_feed(idx, fetch(&x, l.place)), -EBADMSG);
	assert_int_equal(piece_index_feed(idx, slice_str("garbage")), -EBADMSG);
	assert_true(piece_index_want(idx, &p));
	assert_int_equal(piece_index_feed(idx, fetch(&x, p)), 0);
	assert_false(piece_index_want(idx, &p));
	assert_int_equal(piece_index_view(idx, &v), 0);
	piece_index_free(idx);
	buf_fini(&body);
	end(&x);
}

static void a_failing_disk_is_reported_and_leaves_no_piece(void **state)
{
	const struct trailer_head none = { 0 };
	struct fixture x;
	struct trailer t;
	struct link l;
	uint64_t size;
	int r = 0;

	(void)state;
	begin(&x);
	open_writer(&x);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(add(&x, i, 60000, XINDEX_LEAF, &l), 0);
	finish(&x);
	size = x.f.bytes.n;
	end(&x);
	for (uint64_t at = 0; at < size; at += size / 13) {
		begin(&x);
		x.f.fail_at = at;
		open_writer(&x);
		for (uint32_t i = 0; i < 20 && r == 0; i++)
			r = add(&x, i, 60000, XINDEX_LEAF, &l);
		assert_int_equal(piece_writer_finish(x.w, 0, &none, &x.result),
				 -ENOSPC);
		assert_true(r == 0 || r == -ENOSPC);
		assert_true(piece_tail_parse(buf_slice(&x.f.bytes), x.f.bytes.n,
					     x.keys, &t) < 0);
		r = 0;
		end(&x);
	}
}

/* The trailer has a random nonce: its section is the one that may differ. */
static void a_piece_of_many_spans_is_the_same_with_threads(void **state)
{
	_cleanup_commp_ struct commp *commp = NULL;
	struct piece_cid cid;
	struct commp_sum sum;
	struct forks forks;
	struct fixture x, y;
	struct link a, b;
	size_t n;

	(void)state;
	begin(&x);
	begin(&y);
	forks_on(&y, &forks);
	open_writer(&x);
	open_writer(&y);
	for (uint32_t i = 0; i < 15; i++) {
		assert_int_equal(add(&x, i, SEAL_LEAF_MAX, XINDEX_LEAF, &a), 0);
		assert_int_equal(add(&y, i, SEAL_LEAF_MAX, XINDEX_LEAF, &b), 0);
		assert_true(a.place.off == b.place.off &&
			    a.place.len == b.place.len);
		assert_true(piece_writer_size(x.w) == piece_writer_size(y.w));
	}
	finish(&x);
	finish(&y);
	forks_join(&forks);
	assert_int_equal(forks.n, y.f.bytes.n / COMMP_SPAN);
	n = x.f.bytes.n - TRAILER_SECTION_SIZE;
	assert_int_equal(x.f.bytes.n, y.f.bytes.n);
	assert_memory_equal(x.f.bytes.p, y.f.bytes.p, n);
	assert_int_equal(commp_new(&commp), 0);
	commp_update(commp, buf_slice(&y.f.bytes));
	commp_final(commp, &sum);
	piece_cid_v2(&sum, &cid);
	assert_true(piece_cid_eq(&cid, &y.result.cid));
	end(&x);
	end(&y);
}

static void a_disk_that_fails_under_a_thread_fails_the_piece(void **state)
{
	const struct trailer_head none = { 0 };
	struct forks forks;
	struct fixture x;
	struct trailer t;
	struct link l;
	int r = 0;

	(void)state;
	for (uint64_t at = COMMP_SPAN; at < 12 * COMMP_SPAN; at += 3 * COMMP_SPAN) {
		begin(&x);
		forks_on(&x, &forks);
		x.f.fail_at = at;
		open_writer(&x);
		for (uint32_t i = 0; i < 12 && r == 0; i++)
			r = add(&x, i, SEAL_LEAF_MAX, XINDEX_LEAF, &l);
		assert_true(r == 0 || r == -ENOSPC);
		if (r < 0) /* from now on for good */
			assert_int_equal(add(&x, 99, 1000, XINDEX_LEAF, &l), r);
		assert_int_equal(piece_writer_finish(x.w, 0, &none, &x.result),
				 -ENOSPC);
		assert_true(piece_tail_parse(buf_slice(&x.f.bytes), x.f.bytes.n,
					     x.keys, &t) < 0);
		r = 0;
		forks_join(&forks);
		end(&x);
	}
}

/* The system says it once, and to whoever waits first: a later datasync is silent. */
static void bytes_that_do_not_reach_the_disk_fail_the_piece(void **state)
{
	const struct trailer_head none = { 0 };
	struct fixture x;
	struct link l;
	int r = 0;

	(void)state;
	begin(&x);
	x.f.lost_at = 2 * COMMP_SPAN + 5;
	open_writer(&x);
	for (uint32_t i = 0; i < 12 && r == 0; i++)
		r = add(&x, i, SEAL_LEAF_MAX, XINDEX_LEAF, &l);
	assert_true(r == 0 || r == -EIO);
	assert_int_equal(piece_writer_finish(x.w, 0, &none, &x.result), -EIO);
	end(&x);
}

static void a_piece_is_dropped_while_its_spans_are_under_way(void **state)
{
	struct forks forks;
	struct fixture x;
	struct link l;

	(void)state;
	begin(&x);
	forks_on(&x, &forks);
	open_writer(&x);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(add(&x, i, SEAL_LEAF_MAX, XINDEX_LEAF, &l), 0);
	end(&x);
	forks_join(&forks); /* they had ended, or a sanitizer would say so */
	assert_int_equal(forks.n, 6);
}

static void sizes_of_blocks_stand_on_the_ladder(void **state)
{
	struct fixture a, b;
	struct link l;

	(void)state;
	begin(&a);
	begin(&b);
	open_writer(&a);
	open_writer(&b);
	/* Other lengths, the same steps: from outside the pieces are alike. */
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(add(&a, i, 10 + i, XINDEX_LEAF, &l), 0);
		assert_int_equal(add(&b, i, 250 - i, XINDEX_LEAF, &l), 0);
	}
	finish(&a);
	finish(&b);
	assert_int_equal(a.f.bytes.n, b.f.bytes.n);
	end(&a);
	end(&b);
}

static void a_commit_other_than_the_named_one_is_refused(void **state)
{
	struct commit *c = NULL;
	struct fixture x;
	struct trailer t;
	struct place p;
	struct link l;

	(void)state;
	begin(&x);
	x.spec.commit_max = 2000;
	open_writer(&x);
	assert_int_equal(add(&x, 1, 500, XINDEX_DIR, &l), 0);
	add_commit(&x, &l);
	finish(&x);
	open_trailer(&x, &t);
	p = (struct place){ PIECE, t.commit.off, t.commit.len };
	t.sequence++;
	assert_int_equal(piece_commit_parse(fetch(&x, p), &t, x.keys, &c), -EBADMSG);
	t.sequence--;
	t.commit.digest[0] ^= 1;
	assert_int_equal(piece_commit_parse(fetch(&x, p), &t, x.keys, &c), -EBADMSG);
	t.commit.digest[0] ^= 1;
	assert_int_equal(piece_commit_parse(fetch(&x, l.place), &t, x.keys, &c),
			 -EBADMSG);
	assert_null(c);
	end(&x);
}

static void specs_that_cannot_be_met_are_refused(void **state)
{
	struct fixture x;

	(void)state;
	begin(&x);
	x.spec.size_max = 600; /* not even a trailer */
	assert_int_equal(piece_writer_new(&x.f.file, &x.spec, &x.w), -EINVAL);
	x.spec.size_max = PIECE_SIZE_MAX + 1ull;
	assert_int_equal(piece_writer_new(&x.f.file, &x.spec, &x.w), -EINVAL);
	x.spec.size_max = 0;
	x.spec.piece = 0;
	assert_int_equal(piece_writer_new(&x.f.file, &x.spec, &x.w), -EINVAL);
	end(&x);
}

static int setup(void **state)
{
	(void)state;
	return secret_init_library();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_piece_is_found_from_its_tail),
		cmocka_unit_test(parts_that_are_not_there_are_left_out),
		cmocka_unit_test(a_filler_reaches_the_minimum),
		cmocka_unit_test(the_cid_is_the_commitment_to_the_bytes),
		cmocka_unit_test(an_index_over_one_leaf_becomes_a_file),
		cmocka_unit_test(the_bound_holds_and_is_close),
		cmocka_unit_test(a_full_piece_refuses_and_can_be_finished),
		cmocka_unit_test(every_prefix_of_a_piece_is_refused),
		cmocka_unit_test(a_changed_block_is_refused_and_asked_for_again),
		cmocka_unit_test(a_failing_disk_is_reported_and_leaves_no_piece),
		cmocka_unit_test(a_piece_of_many_spans_is_the_same_with_threads),
		cmocka_unit_test(a_disk_that_fails_under_a_thread_fails_the_piece),
		cmocka_unit_test(bytes_that_do_not_reach_the_disk_fail_the_piece),
		cmocka_unit_test(a_piece_is_dropped_while_its_spans_are_under_way),
		cmocka_unit_test(sizes_of_blocks_stand_on_the_ladder),
		cmocka_unit_test(a_commit_other_than_the_named_one_is_refused),
		cmocka_unit_test(specs_that_cannot_be_met_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
