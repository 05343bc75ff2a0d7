/*
 * test_cache_threads.c - many threads at once, for their answers and for TSan
 *
 * Each thread owns files that nobody else writes, so that it knows what it must
 * read; snapshots, adoption, eviction and syncs go on meanwhile.
 */
#include "fakedag.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#define THREADS 3
#define ROUNDS  400
#define SIZE    (150u * 1024)

struct worker {
	struct drive *d;
	unsigned id;
	uint64_t ino;
	pthread_t thread;
	atomic_bool stop;
	atomic_int bad; /* the line where it went wrong */
};

#define MUST(w, cond)   \
 do {                   \
  if (!(cond)) {        \
   (w)->bad = __LINE__; \
   return NULL;         \
  }                     \
 } while (0)

static int write_all(struct drive *d, uint64_t ino, uint64_t off,
		     const uint8_t *p, size_t n)
{
	struct cache_op op = { 0 };
	int r;

	while ((r = cache_write(d->c, &op, ino, off, slice(p, n), 0)) ==
	       -EINPROGRESS) {
		r = fetch_wait(d, &op, 0);
		if (r < 0)
			break;
	}
	return r;
}

static int read_all(struct drive *d, uint64_t ino, uint8_t *p, size_t n, size_t *got)
{
	struct cache_op op = { 0 };
	int r;

	while ((r = cache_read(d->c, &op, ino, 0, p, n, got)) == -EINPROGRESS) {
		r = fetch_wait(d, &op, 0);
		if (r < 0)
			break;
	}
	return r;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint8_t *text = calloc(1, SIZE), *back = malloc(SIZE);
	char name[32], temp[32];
	struct cache_op op = { 0 };
	uint64_t ino, other;
	size_t got;

	MUST(w, text && back);
	(void)snprintf(name, sizeof(name), "mine%u", w->id);
	(void)snprintf(temp, sizeof(temp), "temp%u", w->id);
	MUST(w, try_mk(w->d, 1, name, S_IFREG | 0644, &ino) == 0);
	pattern(text, SIZE, 0, w->id);
	MUST(w, write_all(w->d, ino, 0, text, SIZE) == 0);
	for (unsigned k = 0; k < ROUNDS; k++) {
		size_t off = (k * 7919u) % (SIZE - 70000);
		size_t n = k % 3 ? 3000 : 70000;

		pattern(text + off, n, off, w->id + k + 7);
		MUST(w, write_all(w->d, ino, off, text + off, n) == 0);
		MUST(w, read_all(w->d, ino, back, SIZE, &got) == 0);
		MUST(w, got == SIZE && memcmp(text, back, SIZE) == 0);
		MUST(w, try_mk(w->d, 1, temp, S_IFREG | 0644, &other) == 0);
		MUST(w, write_all(w->d, other, 0, text, 5000) == 0);
		MUST(w, cache_unlink(w->d->c, &op, 1, slice_str(temp)) == 0);
		cache_forget(w->d->c, other, 1);
		if (k % 16 == 5)
			MUST(w, cache_sync(w->d->c) == 0);
	}
	free(text);
	free(back);
	return NULL;
}

static void threads_read_what_they_wrote_while_all_goes_on(void **state)
{
	struct fakedag *f = fakedag_new();
	struct worker w[THREADS];
	struct drive d;

	(void)state;
	drive_new(&d);
	d.p.source = fakedag_source(f);
	d.p.commit_interval_ms = 5;
	drive_open(&d);
	for (unsigned k = 0; k < THREADS; k++) {
		w[k] = (struct worker){ .d = &d, .id = k };
		assert_int_equal(pthread_create(&w[k].thread, NULL, work, &w[k]), 0);
	}
	for (int k = 0; k < 40; k++) {
		onboard(&d, f, NULL, NULL);
		assert_int_equal(cache_evict(d.c, 0), 0);
	}
	for (unsigned k = 0; k < THREADS; k++) {
		assert_int_equal(pthread_join(w[k].thread, NULL), 0);
		assert_int_equal(w[k].bad, 0);
	}
	drive_free(&d);
	fakedag_free(f);
}

/* ---- one file, and who writes to it meanwhile ---- */

#define MANY  40 /* writes: so many blocks are sealed without the lock */
#define HOT   64
#define WHOLE (32u * 4096)

static void *fill_and_sync(void *arg)
{
	static const uint8_t text[15 * 4096] = { 1 };
	struct worker *w = arg;
	uint64_t ino;

	MUST(w, try_mk(w->d, 1, "many", S_IFREG | 0644, &ino) == 0);
	for (unsigned n = 0; n < 100; n++) {
		for (uint64_t k = 0; k < MANY; k++)
			MUST(w, try_put(w->d, ino, k << 16, text, sizeof(text)) == 0);
		MUST(w, cache_sync(w->d->c) == 0);
	}
	atomic_store(&w->stop, true);
	return NULL;
}

static void expect_number(struct drive *d, uint64_t ino, uint64_t block, uint64_t n)
{
	uint64_t is;

	assert_int_equal(get(d, ino, block * 4096, &is, sizeof(is)), sizeof(is));
	assert_int_equal(is, n);
}

static void what_is_written_while_it_is_sealed_is_not_lost(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644), n[HOT] = { 0 };
	struct worker w = { .d = d };

	for (uint64_t k = 0; k < HOT; k++)
		put(d, ino, k * 4096, &n[k], sizeof(n[k]));
	assert_int_equal(pthread_create(&w.thread, NULL, fill_and_sync, &w), 0);
	for (uint64_t k = 1; !atomic_load(&w.stop) && !w.bad; k++) {
		n[k % HOT] = k;
		put(d, ino, k % HOT * 4096, &k, sizeof(k));
		expect_number(d, ino, (k + 1) % HOT, n[(k + 1) % HOT]);
	}
	assert_int_equal(pthread_join(w.thread, NULL), 0);
	assert_int_equal(w.bad, 0);
	forget(d, ino);
	drive_again(d);
	ino = look(d, 1, "f");
	for (uint64_t k = 0; k < HOT; k++)
		expect_number(d, ino, k, n[k]);
}

static void *write_over(void *arg)
{
	struct worker *w = arg;
	uint8_t *text = malloc(WHOLE);

	MUST(w, text);
	for (unsigned k = 0; k < ROUNDS; k++) {
		memset(text, (int)(k % 251), WHOLE);
		MUST(w, try_put(w->d, w->ino, 0, text, WHOLE) == 0);
		MUST(w, cache_sync(w->d->c) == 0);
	}
	free(text);
	atomic_store(&w->stop, true);
	return NULL;
}

static void who_reads_what_is_written_over_gets_the_old_or_the_new(void **state)
{
	struct drive *d = *state;
	struct worker w = { .d = d, .ino = mk(d, 1, "f", S_IFREG | 0644) };
	uint8_t *back = calloc(1, WHOLE);

	assert_non_null(back);
	put(d, w.ino, 0, back, WHOLE);
	assert_int_equal(pthread_create(&w.thread, NULL, write_over, &w), 0);
	while (!atomic_load(&w.stop) && !w.bad) {
		assert_int_equal(get(d, w.ino, 0, back, WHOLE), WHOLE);
		for (unsigned k = 0; k < WHOLE; k++)
			assert_int_equal(back[k], back[k / 4096 * 4096]);
	}
	assert_int_equal(pthread_join(w.thread, NULL), 0);
	assert_int_equal(w.bad, 0);
	free(back);
}

#define N_APPENDS 60u
#define APPENDED  (20u * 4096)

static void *append(void *arg)
{
	struct worker *w = arg;
	uint8_t *text = malloc(APPENDED);
	struct cache_op op = { 0 };

	MUST(w, text);
	memset(text, (int)(1 + w->id), APPENDED);
	for (unsigned k = 0; k < N_APPENDS; k++)
		MUST(w, cache_write(w->d->c, &op, w->ino, 0, slice(text, APPENDED),
				    CACHE_WRITE_APPEND) == 0);
	free(text);
	return NULL;
}

static void large_appends_of_several_writers_all_arrive(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	unsigned seen[THREADS + 1] = { 0 };
	uint8_t *back = malloc(APPENDED);
	struct worker w[THREADS];

	assert_non_null(back);
	for (unsigned k = 0; k < THREADS; k++) {
		w[k] = (struct worker){ .d = d, .id = k, .ino = ino };
		assert_int_equal(pthread_create(&w[k].thread, NULL, append, &w[k]),
				 0);
	}
	for (unsigned k = 0; k < THREADS; k++) {
		assert_int_equal(pthread_join(w[k].thread, NULL), 0);
		assert_int_equal(w[k].bad, 0);
	}
	for (unsigned k = 0; k < THREADS * N_APPENDS; k++) {
		assert_int_equal(get(d, ino, (uint64_t)k * APPENDED, back, APPENDED),
				 APPENDED);
		assert_in_range(back[0], 1, THREADS);
		seen[back[0]]++;
		for (unsigned n = 0; n < APPENDED; n++)
			assert_int_equal(back[n], back[0]);
	}
	for (unsigned k = 1; k <= THREADS; k++)
		assert_int_equal(seen[k], N_APPENDS);
	assert_int_equal(attr(d, ino).size,
			 (uint64_t)THREADS * N_APPENDS * APPENDED);
	free(back);
}

/* ---- what comes while it is written ---- */

#define CHUNK (1u << 20)

static void *fetch(void *arg)
{
	struct worker *w = arg;
	uint8_t *back = malloc(CHUNK);
	size_t got;

	MUST(w, back);
	MUST(w, read_all(w->d, w->ino, back, CHUNK, &got) == 0);
	MUST(w, got == CHUNK);
	free(back);
	return NULL;
}

static void what_is_written_while_it_is_fetched_stays(void **state)
{
	uint8_t *text = malloc(CHUNK), *back = malloc(CHUNK);
	struct fakedag *f = fakedag_new();
	struct worker w;
	struct drive d;
	uint64_t ino;
	size_t got;

	(void)state;
	assert_true(text && back);
	drive_new(&d);
	d.p.source = fakedag_source(f);
	drive_open(&d);
	ino = mk(&d, 1, "f", S_IFREG | 0644);
	pattern(text, CHUNK, 0, 1);
	put(&d, ino, 0, text, CHUNK);
	for (unsigned k = 0; k < 80; k++) {
		size_t off = k * 7919 % 200 * 4096, n = 40ul * 4096;

		onboard(&d, f, NULL, NULL);
		assert_int_equal(cache_evict(d.c, 0), 0);
		w = (struct worker){ .d = &d, .ino = ino };
		assert_int_equal(pthread_create(&w.thread, NULL, fetch, &w), 0);
		pattern(text + off, n, off, 2 + k);
		assert_int_equal(write_all(&d, ino, off, text + off, n), 0);
		assert_int_equal(pthread_join(w.thread, NULL), 0);
		assert_int_equal(w.bad, 0);
		assert_int_equal(read_all(&d, ino, back, CHUNK, &got), 0);
		assert_memory_equal(back, text, CHUNK);
	}
	drive_free(&d);
	fakedag_free(f);
	free(text);
	free(back);
}

int main(void)
{
#define T(name) \
 cmocka_unit_test_setup_teardown(name, drive_setup, drive_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_read_what_they_wrote_while_all_goes_on),
		T(what_is_written_while_it_is_sealed_is_not_lost),
		T(who_reads_what_is_written_over_gets_the_old_or_the_new),
		T(large_appends_of_several_writers_all_arrive),
		cmocka_unit_test(what_is_written_while_it_is_fetched_stays),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
