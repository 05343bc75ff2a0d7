/* test_cache_full.c - readers of a cache that is full of what is being read */
#include "fakedag.h"

#include <stdio.h>

#define MIB   (1u << 20)
#define FILES 20u
#define SIZE  (3u * MIB)
#define STEP  (96u << 10) /* of one read; some lie in two chunks */
#define TRIES 8

static uint8_t a[SIZE], b[SIZE];

struct world {
	struct drive d;
	struct fakedag *f;
	uint64_t ino[FILES];
};

/* Twenty files, of which three quarters have room. */
static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char name[16];

	assert_non_null(w);
	drive_new(&w->d);
	w->f = fakedag_new();
	w->d.p.source = fakedag_source(w->f);
	w->d.p.max_bytes = 48 * MIB;
	w->d.p.full_timeout_ms = 60000;
	drive_open(&w->d);
	pattern(a, SIZE, 0, 1);
	for (unsigned k = 0; k < FILES; k++) {
		(void)snprintf(name, sizeof(name), "f%u", k);
		w->ino[k] = mk(&w->d, 1, name, S_IFREG | 0644);
		for (uint64_t off = 0; off < SIZE; off += MIB) {
			struct cache_op op = { 0 };
			int r;

			while ((r = cache_write(w->d.c, &op, w->ino[k], off,
						slice(a + off, MIB), 0)) ==
			       -EINPROGRESS)
				assert_int_equal(fetch_wait(&w->d, &op, 0), 0);
			assert_int_equal(r, 0);
		}
		onboard(&w->d, w->f, NULL, NULL);
	}
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	drive_free(&w->d);
	fakedag_free(w->f);
	free(w);
	return 0;
}

/* The fetches that it took. */
static unsigned read_at(struct world *w, uint64_t ino, uint64_t off, size_t n)
{
	struct cache_op op = { 0 };
	unsigned tries = 0;
	size_t got = 0;
	int r;

	while ((r = cache_read(w->d.c, &op, ino, off, b, n, &got)) == -EINPROGRESS) {
		assert_in_range(++tries, 1, TRIES);
		assert_int_equal(fetch_wait(&w->d, &op, 0), 0);
	}
	assert_int_equal(r, 0);
	assert_int_equal(got, MIN(n, SIZE - off));
	assert_memory_equal(b, a + off, got);
	return tries;
}

/*
 * All of them are in use, so room is made at the cost of one that is read, too;
 * and chunks are here in part.  A fetch brings its reader on all the same.
 */
static void a_read_needs_few_fetches_however_full_it_is(void **state)
{
	struct world *w = *state;
	uint64_t x = 1;

	for (unsigned n = 0; n < 500; n++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		(void)read_at(w, w->ino[(x >> 33) % FILES],
			      (x >> 40) % (SIZE / 4096) * 4096, STEP);
	}
}

/*
 * A clock: what is evicted next is not what was fetched last.  Inodes in use are spared
 * by the time (SPARE_MS, cache/space.c); where a machine is so slow that some are and
 * others are not, a few chunks may go before their turn.
 */
static void what_was_just_fetched_is_not_what_goes_first(void **state)
{
	struct world *w = *state;
	unsigned again = 0;

	for (unsigned k = 0; k < FILES; k++)
		(void)read_at(w, w->ino[k], 0, SIZE);
	for (unsigned k = 0; k < FILES; k++) {
		(void)read_at(w, w->ino[k], 0, MIB);
		(void)read_at(w, w->ino[k], MIB, MIB);
		again += read_at(w, w->ino[k], 0, MIB) > 0;
	}
	print_message("# %u of %u chunks twice\n", again, FILES);
	assert_in_range(again, 0, FILES / 4);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_read_needs_few_fetches_however_full_it_is),
		T(what_was_just_fetched_is_not_what_goes_first),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
