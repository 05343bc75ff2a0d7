/* test_cache_fetch.c - properties of what is loaded from the DAG when asked for */
#include "world.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/thread.h"

#define SIZE        (1200u * 1024)
#define REMEMBER_MS 5000 /* a failed fetch, cache/fetch.c */

static uint8_t a[SIZE], b[SIZE];

static int setup(void **state)
{
	int r = world_new(state);
	struct world *w = *state;

	drive_open(&w->d);
	return r;
}

/* An empty drive whose root is a directory of the DAG. */
static void from_root(struct world *w, struct drive *d, unsigned n, size_t size)
{
	const struct cache_attr root = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 };
	struct err e = { 0 };
	uint8_t link[8];

	fakedag_dir(w->f, n, 100, a, size, link);
	world_drive(w, d);
	assert_int_equal(cache_format_from(&d->p, &root, slice(link, 8), 50, &e), 0);
	drive_open(d);
}

static void a_directory_of_the_dag_is_loaded_when_first_looked_up(void **state)
{
	struct world *w = *state;
	struct drive d = { 0 };
	struct cache_op op = { 0 };
	struct cache_attr at;
	uint64_t failed;
	unsigned starts;

	pattern(a, 5000, 0, 3);
	from_root(w, &d, 500, 5000);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at),
			 -EINPROGRESS);
	assert_int_equal(op.miss.kind, CACHE_MISS_DIR);
	fakedag_fail(w->f, EREMOTEIO);
	failed = monotonic_ms();
	assert_int_equal(fetch_wait(&d, &op, 0), -EREMOTEIO);
	starts = fakedag_starts(w->f);
	/* remembered, and asked again by nobody but time */
	assert_int_equal(fetch_wait(&d, &op, 0), -EREMOTEIO);
	assert_true(fakedag_starts(w->f) == starts ||
		    monotonic_ms() - failed >= REMEMBER_MS);
	fakedag_fail(w->f, 0);
	drive_again(&d);
	assert_int_equal(fetch_wait(&d, &op, 0), 0);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at), 0);
	assert_int_equal(at.ino, 107);
	assert_int_equal(at.size, 5000);
	read_back(&d, 107, 5000, a);
	assert_int_equal(look(&d, 1, "e500"), 0);
	assert_int_equal(stats(&d).dirty_inodes, 0);
	assert_true(mk(&d, 1, "new", S_IFREG | 0644) >= 600);
	drive_again(&d);
	assert_int_equal(look(&d, 1, "e499"), 599);
	drive_free(&d);
}

static void inodes_of_a_large_directory_do_not_stay_in_memory(void **state)
{
	struct world *w = *state;
	struct drive d = { 0 };
	struct cache_op op = { 0 };
	struct cache_attr at;

	from_root(w, &d, 40000, 5000);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at),
			 -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 0), 0);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at), 0);
	assert_in_range(stats(&d).inodes_in_memory, 1, 20000);
	assert_int_equal(cache_sync(d.c), 0);
	assert_int_equal(stats(&d).inodes, 40001);
	drive_free(&d);
}

static int try_look(struct drive *d, struct cache_op *op, const char *name)
{
	struct cache_attr at;

	return cache_lookup(d->c, op, 1, slice_str(name), &at);
}

static void a_directory_comes_in_parts_and_is_there_when_all_of_it_is(void **state)
{
	struct world *w = *state;
	struct drive d = { 0 };
	struct cache_op op = { 0 };
	char name[16];

	w->d.p.fetch_run_bytes = 65536;
	from_root(w, &d, 3001, 5000);
	assert_int_equal(try_look(&d, &op, "e7"), -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 0), 0);
	for (unsigned k = 0; k < 3001; k++) {
		(void)snprintf(name, sizeof(name), "e%u", k);
		assert_int_equal(look(&d, 1, name), 100 + k);
	}
	drive_close(&d);
	assert_int_equal(drive_number(&d, "SELECT count(*) FROM dentry"), 3001);
	assert_int_equal(drive_number(&d, "SELECT count(DISTINCT pos) FROM dentry"),
			 3001);
	drive_free(&d);
}

static void a_directory_that_broke_off_is_loaded_from_its_beginning(void **state)
{
	struct world *w = *state;
	struct drive d = { 0 };
	struct cache_op op = { 0 };

	w->d.p.fetch_run_bytes = 65536;
	from_root(w, &d, 3000, 5000);
	fakedag_break(w->f, 2000);
	assert_int_equal(try_look(&d, &op, "e7"), -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 0), -EREMOTEIO);
	/* a part of it is there, and counts for nothing */
	assert_int_equal(try_look(&d, &op, "e7"), -EINPROGRESS);
	drive_close(&d);
	assert_in_range(drive_number(&d, "SELECT count(*) FROM dentry"), 1, 2000);
	/* the rest of a try that had another idea of it */
	drive_change(&d,
		     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) "
		     "INSERT INTO dentry SELECT 1, CAST('z' || i AS BLOB), 101, 32768, 90000 + i FROM n");
	drive_open(&d);
	assert_int_equal(try_look(&d, &op, "e7"), -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 0), 0);
	assert_int_equal(look(&d, 1, "e2999"), 3099);
	assert_int_equal(look(&d, 1, "z1"), 0);
	drive_close(&d);
	assert_int_equal(drive_number(&d, "SELECT count(*) FROM dentry"), 3000);
	assert_int_equal(drive_number(&d, "SELECT count(*) FROM inode"), 3001);
	drive_free(&d);
}

static void expect_counts(struct drive *d, uint64_t inodes, uint64_t bytes)
{
	struct cache_stats s = stats(d);

	assert_int_equal(s.drive.inodes, inodes);
	assert_int_equal(s.drive.bytes, bytes);
}

/* A drive of 500 files of 5000 bytes in the DAG, of whose commit `counts` are. */
static void from_commit(struct world *w, struct drive *d,
			const struct cache_counts *counts)
{
	const struct cache_attr at = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 };
	struct source_entry root = { .attr = &at };
	struct err e = { 0 };
	uint8_t link[8];

	pattern(a, 5000, 0, 3);
	fakedag_dir(w->f, 500, 100, a, 5000, link);
	root.link = slice(link, 8);
	world_drive(w, d);
	assert_int_equal(cache_format_entry(&d->p, &root, 50, counts, &e), 0);
	drive_open(d);
}

static void list_root(struct drive *d)
{
	struct cache_op op = { 0 };
	struct cache_attr at;
	int r;

	while ((r = cache_lookup(d->c, &op, 1, slice_str("e7"), &at)) == -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 0), 0);
	assert_int_equal(r, 0);
	forget(d, at.ino);
}

static void counting_goes_on_from_what_the_commit_says(void **state)
{
	const struct cache_counts counts = { 501, 500 * 5000 };
	struct world *w = *state;
	struct drive d = { 0 };
	uint64_t ino;
	struct err e;

	from_commit(w, &d, &counts);
	expect_counts(&d, 501, 500 * 5000);
	list_root(&d);
	expect_counts(&d, 501, 500 * 5000);
	ino = mk(&d, 1, "new", S_IFREG | 0644);
	cut_to(&d, ino, 77);
	expect_counts(&d, 502, 500 * 5000 + 77);
	rm(&d, 1, "e8");
	cut_to(&d, 107, 4096);
	expect_counts(&d, 501, 499 * 5000 + 77 - 904);
	drive_again(&d);
	expect_counts(&d, 501, 499 * 5000 + 77 - 904);
	rm(&d, 1, "new");
	rm(&d, 1, "e7");
	expect_counts(&d, 499, 498 * 5000);
	assert_int_equal(cache_check(d.c, false, NULL, NULL, &e), 0);
	drive_again(&d);
	expect_counts(&d, 499, 498 * 5000);
	drive_free(&d);
}

static void note_count(void *ctx, const char *sentence)
{
	*(unsigned *)ctx += strstr(sentence, "count of inodes") != NULL;
}

static void a_wrong_count_is_found_and_mended_when_all_is_here(void **state)
{
	const struct cache_counts counts = { 400, 7000 };
	struct world *w = *state;
	struct drive d = { 0 };
	unsigned n = 0;
	struct err e;

	from_commit(w, &d, &counts);
	assert_int_equal(cache_check(d.c, false, note_count, &n, &e), 0);
	list_root(&d); /* more is here than the commit says is anywhere */
	assert_int_equal(cache_check(d.c, false, note_count, &n, &e), 1);
	assert_int_equal(n, 1);
	assert_int_equal(cache_check(d.c, true, note_count, &n, &e), 0);
	assert_int_equal(n, 2);
	expect_counts(&d, 501, 500 * 5000);
	drive_again(&d);
	expect_counts(&d, 501, 500 * 5000);
	assert_int_equal(cache_check(d.c, false, note_count, &n, &e), 0);
	assert_int_equal(n, 2);
	drive_free(&d);
}

static void a_drive_that_was_not_counted_says_so_until_all_is_here(void **state)
{
	const struct cache_counts counts = { 501, 0 }; /* as old commits have it */
	struct world *w = *state;
	struct drive d = { 0 };

	from_commit(w, &d, &counts);
	expect_counts(&d, 0, 0);
	drive_again(&d);
	expect_counts(&d, 0, 0);
	list_root(&d);
	put(&d, mk(&d, 1, "new", S_IFREG | 0644), 0, a, 100);
	expect_counts(&d, 0, 0);
	drive_again(&d);
	expect_counts(&d, 502, 500 * 5000 + 100);
	drive_free(&d);
}

/* For six seconds, and nobody waits longer than five for one entry; then one takes
 * longer than anybody waits. */
static void a_directory_that_keeps_coming_is_waited_for(void **state)
{
	const struct cache_counts counts = { 501, 500 * 5000 };
	struct world *w = *state;
	struct cache_op op = { 0 };
	struct drive d = { 0 };
	struct cache_attr at;

	from_commit(w, &d, &counts);
	fakedag_pace(w->f, 100, 60);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at),
			 -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 5000), 0);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at), 0);
	forget(&d, at.ino);
	drive_free(&d);
	from_commit(w, &d, &counts);
	fakedag_pace(w->f, UINT_MAX, 1);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at),
			 -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 50), -ETIMEDOUT);
	fakedag_pace(w->f, 0, 0);
	drive_free(&d);
}

struct listing {
	struct drive *d;
	struct cache_op op;
	int r;
};

static void *list_slowly(void *arg)
{
	struct listing *x = arg;

	x->r = fetch_wait(x->d, &x->op, 5000);
	return NULL;
}

/* It comes for longer than anybody waits for an answer, and then the process stands. */
static void who_is_stopped_while_a_directory_comes_has_the_time_that_was_left(void **state)
{
	const struct cache_counts counts = { 501, 500 * 5000 };
	struct world *w = *state;
	struct drive d = { 0 };
	struct listing x = { .d = &d };
	struct cache_attr at;
	pthread_t t;

	from_commit(w, &d, &counts);
	fakedag_pace(w->f, 100, 60);
	assert_int_equal(cache_lookup(d.c, &x.op, 1, slice_str("e7"), &at),
			 -EINPROGRESS);
	assert_int_equal(pthread_create(&t, NULL, list_slowly, &x), 0);
	while (fakedag_paced(w->f) > 0)
		(void)poll(NULL, 0, 1);
	fakedag_pace(w->f, UINT_MAX, 1);
	while (fakedag_paced(w->f) > 0)
		(void)poll(NULL, 0, 1);
	be_stopped(5500);
	fakedag_pace(w->f, 0, 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(x.r, 0);
	drive_free(&d);
}

static void a_fetch_has_a_deadline_and_can_be_called_off(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	struct cache_op op = { 0 };
	size_t n;

	pattern(a, SIZE, 0, 1);
	put(d, ino, 0, a, SIZE);
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(cache_evict(d->c, 0), 0);
	fakedag_hold(w->f, true);
	assert_int_equal(try_get(d, ino, 0, b, 10, &n), -EINPROGRESS);
	assert_int_equal(cache_read(d->c, &op, ino, 0, b, 10, &n), -EINPROGRESS);
	assert_int_equal(fetch_wait(d, &op, 20), -ETIMEDOUT);
	fakedag_hold(w->f, false);
	read_back(d, ino, SIZE, a);
}

struct reading {
	struct drive *d;
	uint64_t ino;
};

static void *read_one(void *arg)
{
	struct reading *x = arg;
	struct cache_op op = { 0 };
	size_t n;
	int r;

	while ((r = cache_read(x->d->c, &op, x->ino, 0, b, 10, &n)) == -EINPROGRESS)
		assert_int_equal(fetch_wait(x->d, &op, 0), 0);
	assert_int_equal(r, 0);
	return NULL;
}

static void what_is_cut_off_while_it_is_fetched_is_zeros_when_the_file_grows(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct reading x = { d, mk(d, 1, "f", S_IFREG | 0644) };
	pthread_t t;

	pattern(a, 20000, 0, 1);
	put(d, x.ino, 0, a, 20000);
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(cache_evict(d->c, 0), 0);
	fakedag_hold(w->f, true);
	assert_int_equal(pthread_create(&t, NULL, read_one, &x), 0);
	while (fakedag_starts(w->f) == 0)
		(void)sched_yield();
	cut_to(d, x.ino, 5000);
	fakedag_hold(w->f, false);
	assert_int_equal(pthread_join(t, NULL), 0);
	cut_to(d, x.ino, 20000);
	memset(a + 5000, 0, 15000);
	read_back(d, x.ino, 20000, a);
}

/* 4 KiB of a file of which nothing is here: so many chunks are asked for. */
static void expect_asked(struct world *w, uint64_t ino, uint64_t off,
			 uint64_t other, unsigned n)
{
	struct drive *d = &w->d;
	struct cache_op op = { 0 };
	unsigned before;
	size_t got;
	int r;

	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(cache_evict(d->c, 0), 0);
	assert_int_equal(stats(d).clean_bytes, 0);
	before = fakedag_starts(w->f);
	while ((r = cache_read(d->c, &op, ino, off, b, 4096, &got)) == -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 0), 0);
	assert_int_equal(r, 0);
	while (fakedag_starts(w->f) - before < n)
		(void)sched_yield();
	/* and for no more, as far as a later request can tell */
	for (unsigned k = 1; k < 4; k++) {
		assert_int_equal(cache_sync(d->c), 0);
		assert_int_equal(cache_evict(d->c, 0), 0);
		read_back(d, other, 100, a);
		assert_int_equal(fakedag_starts(w->f) - before, n + k);
	}
}

static void who_begins_a_file_is_read_ahead_for_and_who_looks_into_one_is_not(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	uint64_t other = mk(d, 1, "g", S_IFREG | 0644);

	pattern(a, SIZE, 0, 1);
	for (unsigned k = 0; k < 8; k++)
		put(d, ino, k * (1u << 20), a, 1u << 20);
	put(d, other, 0, a, 100);
	onboard(d, w->f, NULL, NULL);
	expect_asked(w, ino, 5u << 20, other, 1);
	expect_asked(w, ino, 0, other, 1 + 4);
}

static int read_fetched(struct drive *d, uint64_t ino, uint64_t off)
{
	struct cache_op op = { 0 };
	size_t got;
	int r;

	while ((r = cache_read(d->c, &op, ino, off, b, 4096, &got)) == -EINPROGRESS) {
		r = fetch_wait(d, &op, 0);
		if (r < 0)
			break;
	}
	return r;
}

/* What nobody had asked for yet says nothing of who asks for it. */
static void read_ahead_that_fails_is_no_answer_to_a_read(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	unsigned before;

	pattern(a, SIZE, 0, 1);
	for (unsigned k = 0; k < 4; k++)
		put(d, ino, k * (1u << 20), a, 1u << 20);
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(cache_evict(d->c, 0), 0);
	before = fakedag_starts(w->f);
	fakedag_fail(w->f, EREMOTEIO);
	assert_int_equal(read_fetched(d, ino, 0), -EREMOTEIO);
	while (fakedag_starts(w->f) - before < 2) /* with what comes behind it */
		(void)sched_yield();
	fakedag_fail(w->f, 0);
	assert_int_equal(read_fetched(d, ino, 1u << 20), 0);
	assert_memory_equal(b, a, 4096);
}

static uint64_t look_fetched(struct drive *d, uint64_t parent, const char *name)
{
	struct cache_op op = { 0 };
	struct cache_attr at;
	int r;

	while ((r = cache_lookup(d->c, &op, parent, slice_str(name), &at)) ==
	       -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 0), 0);
	assert_int_equal(r, 0);
	return at.ino;
}

/* Data and holes of a file, block by block: true is data. */
static void seek_map(struct drive *d, uint64_t ino, uint64_t size, bool *data)
{
	uint64_t at = 0, to = 0;
	struct cache_op op = { 0 };
	int r;

	memset(data, 0, size / CACHE_BLOCK * sizeof(*data));
	while (at < size) {
		r = cache_lseek(d->c, &op, ino, at, SEEK_DATA, &at);
		if (r == -EINPROGRESS) {
			assert_int_equal(op.miss.kind, CACHE_MISS_HOLES);
			assert_int_equal(fetch_wait(d, &op, 0), 0);
			continue;
		}
		if (r == -ENXIO)
			return;
		assert_int_equal(r, 0);
		assert_int_equal(cache_lseek(d->c, &op, ino, at, SEEK_HOLE, &to), 0);
		for (; at < to; at += CACHE_BLOCK)
			data[at / CACHE_BLOCK] = true;
	}
}

static void holes_of_a_file_that_is_not_here_are_found_without_its_bytes(void **state)
{
	struct world *w = *state;
	const uint64_t n = SIZE / CACHE_BLOCK;
	bool data[SIZE / CACHE_BLOCK];
	struct drive d = { 0 };
	uint64_t blocks;

	pattern(a, SIZE, 0, 3);
	for (uint64_t k = 0; k < n; k++)
		if (k % 7 < 4)
			memset(a + k * CACHE_BLOCK, 0, CACHE_BLOCK);
	from_root(w, &d, 1, SIZE);
	assert_int_equal(look_fetched(&d, 1, "e0"), 100);
	assert_true(attr(&d, 100).blocks == n * 8); /* as if all were data */
	pattern(a, CACHE_BLOCK, 0, 9);
	put(&d, 100, 0, a, CACHE_BLOCK); /* over a hole */
	seek_map(&d, 100, SIZE, data);
	for (uint64_t k = 0; k < n; k++)
		assert_true(data[k] == (k == 0 || k % 7 >= 4));
	assert_int_equal(stats(&d).clean_bytes, 0);
	blocks = attr(&d, 100).blocks;
	assert_true(blocks < n * 8);
	read_back(&d, 100, SIZE, a);
	assert_true(attr(&d, 100).blocks == blocks);
	/* known for good, with no source to ask */
	assert_int_equal(cache_evict(d.c, 0), 0);
	drive_again(&d);
	fakedag_fail(w->f, EREMOTEIO);
	seek_map(&d, 100, SIZE, data);
	assert_true(data[0] && !data[1] && data[4]);
	drive_free(&d);
}

/* ---- a source that cannot be trusted ---- */

#define EVIL_THREADS 16

/* It has one file or folder in each folder, and not all of the file's bytes. */
struct evil {
	struct source source;
	const char *name;
	struct cache_attr in_root, below;
	pthread_t threads[EVIL_THREADS];
	unsigned n_threads;
};

static void *answer(void *arg)
{
	static const uint8_t bytes[4096] = { 1 };
	struct source_req *req = arg;
	struct evil *evil = req->impl;
	bool root = req->ino == CACHE_ROOT_INO;
	const struct source_entry e = { .name = slice_str(root ? evil->name : "x"),
					.attr = root ? &evil->in_root : &evil->below,
					.link = slice_str("a link") };
	int r = req->kind == SOURCE_READ ?
			req->sink->data(req, 0, slice(bytes, sizeof(bytes)), 0) :
		req->kind == SOURCE_HOLES ?
			req->sink->data(req, 6000, SLICE_NONE, 10000) :
			req->sink->entry(req, &e);

	req->done(req, r);
	return NULL;
}

static int evil_start(struct source *s, struct source_req *req)
{
	struct evil *evil = container_of(s, struct evil, source);

	if (evil->n_threads == EVIL_THREADS)
		return -EREMOTEIO;
	req->impl = evil;
	return -pthread_create(&evil->threads[evil->n_threads++], NULL, answer, req);
}

static void evil_cancel(struct source *s, struct source_req *req)
{
	(void)s;
	(void)req; /* it answers at once */
}

static const struct cache_attr evil_root = { .ino = CACHE_ROOT_INO,
					     .mode = S_IFDIR | 0755,
					     .nlink = 2 };

static void evil_open(struct world *w, struct evil *evil, struct drive *d)
{
	struct err e = { 0 };

	evil->source = (struct source){ .start = evil_start, .cancel = evil_cancel };
	world_drive(w, d);
	d->p.source = &evil->source;
	assert_int_equal(
		cache_format_from(&d->p, &evil_root, slice_str("root"), 50, &e), 0);
	drive_open(d);
}

static void evil_close(struct evil *evil, struct drive *d)
{
	drive_free(d);
	for (unsigned k = 0; k < evil->n_threads; k++)
		assert_int_equal(pthread_join(evil->threads[k], NULL), 0);
}

/* What comes of loading a folder. */
static int load(struct drive *d, uint64_t dir)
{
	struct cache_op op = { 0 };
	struct cache_attr at;
	int r = cache_lookup(d->c, &op, dir, slice_str("none"), &at);

	assert_int_equal(r, -EINPROGRESS);
	return fetch_wait(d, &op, 0);
}

static void entries_that_cannot_be_are_refused_with_their_folder(void **state)
{
	static const struct {
		const char *name;
		uint64_t ino, size;
		uint32_t mode;
	} bad[] = {
		{ "a/b", 7, 0, S_IFREG },
		{ "..", 7, 0, S_IFREG },
		{ "", 7, 0, S_IFREG },
		{ "f", CACHE_ROOT_INO, 0, S_IFDIR },
		{ "f", 0, 0, S_IFREG },
		{ "f", UINT64_MAX, 0, S_IFREG },
		{ "f", 7, 0, 0 },
		{ "f", 7, CACHE_FILE_MAX + 1, S_IFREG },
		{ "f", 7, CACHE_LINK_MAX + 1, S_IFLNK },
	};

	for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
		struct evil evil = { .name = bad[k].name,
				     .in_root = { .ino = bad[k].ino,
						  .size = bad[k].size,
						  .mode = bad[k].mode | 0755 } };
		struct drive d;

		evil_open(*state, &evil, &d);
		assert_int_equal(load(&d, CACHE_ROOT_INO), -EPROTO);
		evil_close(&evil, &d);
	}
}

static void a_folder_that_stands_in_itself_is_refused(void **state)
{
	const struct cache_attr dir = { .ino = 7, .mode = S_IFDIR | 0755 };
	struct evil evil = { .name = "dir", .in_root = dir, .below = dir };
	struct drive d;

	evil_open(*state, &evil, &d);
	assert_int_equal(load(&d, CACHE_ROOT_INO), 0);
	assert_int_equal(load(&d, 7), -EPROTO);
	evil_close(&evil, &d);
}

static void a_hole_within_blocks_takes_nothing_of_their_bytes(void **state)
{
	struct evil evil = {
		.name = "f",
		.in_root = { .ino = 7, .size = 20000, .mode = S_IFREG | 0644 }
	};
	struct cache_op op = { 0 };
	struct drive d;
	uint64_t at;

	evil_open(*state, &evil, &d);
	assert_int_equal(load(&d, CACHE_ROOT_INO), 0);
	assert_int_equal(cache_lseek(d.c, &op, 7, 0, SEEK_HOLE, &at), -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 0), 0);
	assert_int_equal(cache_lseek(d.c, &op, 7, 0, SEEK_HOLE, &at), 0);
	assert_int_equal(at, 8192);
	assert_int_equal(cache_lseek(d.c, &op, 7, at, SEEK_DATA, &at), 0);
	assert_int_equal(at, 12288);
	evil_close(&evil, &d);
}

static void bytes_that_did_not_come_are_no_zeros(void **state)
{
	struct evil evil = {
		.name = "f",
		.in_root = { .ino = 7, .size = 8192, .mode = S_IFREG | 0644 }
	};
	struct cache_op op = { 0 };
	struct drive d;
	size_t n;

	evil_open(*state, &evil, &d);
	assert_int_equal(load(&d, CACHE_ROOT_INO), 0);
	assert_int_equal(cache_read(d.c, &op, 7, 0, b, 8192, &n), -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 0), -EREMOTEIO);
	assert_int_equal(cache_read(d.c, &op, 7, 0, b, 8192, &n), -EINPROGRESS);
	evil_close(&evil, &d);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, world_free)
	const struct CMUnitTest tests[] = {
		T(a_directory_of_the_dag_is_loaded_when_first_looked_up),
		T(inodes_of_a_large_directory_do_not_stay_in_memory),
		T(a_directory_comes_in_parts_and_is_there_when_all_of_it_is),
		T(a_directory_that_broke_off_is_loaded_from_its_beginning),
		T(counting_goes_on_from_what_the_commit_says),
		T(a_wrong_count_is_found_and_mended_when_all_is_here),
		T(a_drive_that_was_not_counted_says_so_until_all_is_here),
		T(a_fetch_has_a_deadline_and_can_be_called_off),
		T(what_is_cut_off_while_it_is_fetched_is_zeros_when_the_file_grows),
		T(a_directory_that_keeps_coming_is_waited_for),
		T(who_is_stopped_while_a_directory_comes_has_the_time_that_was_left),
		T(who_begins_a_file_is_read_ahead_for_and_who_looks_into_one_is_not),
		T(read_ahead_that_fails_is_no_answer_to_a_read),
		T(holes_of_a_file_that_is_not_here_are_found_without_its_bytes),
		T(entries_that_cannot_be_are_refused_with_their_folder),
		T(a_folder_that_stands_in_itself_is_refused),
		T(a_hole_within_blocks_takes_nothing_of_their_bytes),
		T(bytes_that_did_not_come_are_no_zeros),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
