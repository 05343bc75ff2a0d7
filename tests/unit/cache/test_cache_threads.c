/*
 * test_cache_threads.c - many threads at once, for their answers and for TSan
 *
 * Each thread owns files that nobody else writes, so that it knows what it must
 * read; snapshots, adoption, eviction and syncs go on meanwhile.
 */
#include "fakedag.h"

#include <pthread.h>
#include <stdio.h>

#define THREADS 3
#define ROUNDS  400
#define SIZE    (150u * 1024)

struct worker {
	struct drive *d;
	unsigned id;
	pthread_t thread;
	int bad; /* the line where it went wrong */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_read_what_they_wrote_while_all_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
