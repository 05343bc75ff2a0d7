/*
 * test_crash.c - power cuts at every point of a random workload (I1)
 *
 * A recorder remembers every write of the drive directory.  The model's state
 * after each operation is one number.  After a cut at any point, with any subset
 * of what was not synced lost or torn, the drive must open, and what it holds must
 * be the state after some operation, none before the last acknowledged sync.
 */
#include "model.h"

#include <stdio.h>

#define STEPS 120
#define CUTS  60 /* of each kind, spread over the log */

struct history {
	uint64_t hash[STEPS + 1]; /* after so many operations */
	size_t log[STEPS + 1]; /* the log's length when it was acknowledged */
	bool acked[STEPS + 1];
};

struct world {
	struct drive d;
	struct fakedag *f;
	struct model m;
	struct history h;
};

static void world_new(struct world *w, uint64_t seed, bool dag)
{
	memset(w, 0, sizeof(*w));
	drive_new(&w->d);
	w->f = fakedag_new();
	if (dag)
		w->d.p.source = fakedag_source(w->f);
	drive_open(&w->d);
	model_new(&w->m, &w->d, w->f, seed);
	assert_int_equal(cache_sync(w->d.c), 0);
	assert_int_equal(recorder_forget(w->d.rec), 0);
}

static void world_free(struct world *w)
{
	model_free(&w->m);
	drive_free(&w->d);
	fakedag_free(w->f);
}

/* What is at `at` on the log after the cut is found in the history. */
static void check_cut(struct world *w, const struct recorder_cut *cut, int n_ops)
{
	struct err e = { 0 };
	struct drive found;
	uint64_t hash;
	int from = 0, k;

	for (k = 0; k <= n_ops; k++) {
		if (w->h.acked[k] && w->h.log[k] <= cut->at)
			from = k;
	}
	drive_cut(&w->d, cut, &found);
	hash = drive_hash(&found);
	for (k = from; k <= n_ops && w->h.hash[k] != hash; k++)
		;
	if (k > n_ops)
		fail_msg("cut at %zu, lose %d, seed %llu: not a state since op %d",
			 cut->at, (int)cut->lose, (unsigned long long)cut->seed,
			 from);
	assert_int_equal(cache_check(found.c, false, NULL, NULL, &e), 0);
	drive_free(&found);
}

static void check_all(struct world *w, int n_ops)
{
	size_t n = recorder_length(w->d.rec);
	size_t step = MAX(n / CUTS, 1);

	for (size_t at = 0; at <= n; at += step) {
		struct recorder_cut cut = { at, RECORDER_NOTHING, 0 };

		check_cut(w, &cut, n_ops);
		cut.lose = RECORDER_ALL;
		check_cut(w, &cut, n_ops);
		cut.lose = RECORDER_SOME;
		cut.seed = at;
		check_cut(w, &cut, n_ops);
	}
}

static void run(uint64_t seed, bool dag)
{
	struct world *w = malloc(sizeof(*w));

	assert_non_null(w);
	world_new(w, seed, dag);
	w->h.hash[0] = model_hash(&w->m);
	w->h.acked[0] = true;
	for (int k = 1; k <= STEPS; k++) {
		uint64_t what = model_rand(&w->m, 24);

		if (what < 4 && k > 1) {
			assert_int_equal(cache_sync(w->d.c), 0);
			w->h.acked[k - 1] = true;
			w->h.log[k - 1] = recorder_length(w->d.rec);
		}
		if (dag && what == 4)
			onboard(&w->d, w->f, NULL, NULL);
		if (dag && what == 5)
			assert_int_equal(cache_evict(w->d.c, 0), 0);
		model_step(&w->m);
		w->h.hash[k] = model_hash(&w->m);
	}
	check_all(w, STEPS);
	world_free(w);
	free(w);
}

static void after_a_cut_the_drive_holds_one_instant_and_all_that_was_synced(void **state)
{
	(void)state;
	run(1, false);
	run(2, false);
}

static void a_cut_among_snapshots_adoption_and_eviction_loses_nothing(void **state)
{
	(void)state;
	run(3, true);
}

/* ---- the named ones ---- */

/* Every cut of what `act` does, after `before` was synced. */
static void every_cut(void (*before)(struct drive *d),
		      void (*act)(struct drive *d), void (*check)(struct drive *d))
{
	struct drive d, found;

	drive_new(&d);
	drive_open(&d);
	before(&d);
	assert_int_equal(cache_sync(d.c), 0);
	assert_int_equal(recorder_forget(d.rec), 0);
	act(&d);
	for (size_t at = 0; at <= recorder_length(d.rec); at++) {
		for (int lose = RECORDER_NOTHING; lose <= RECORDER_SOME; lose++) {
			for (uint64_t seed = 0; seed < 3; seed++) {
				struct recorder_cut cut = {
					at, (enum recorder_lose)lose, seed
				};

				if (seed && lose != RECORDER_SOME)
					break;
				drive_cut(&d, &cut, &found);
				check(&found);
				drive_free(&found);
			}
		}
	}
	drive_free(&d);
}

#define N (100u * 1024)
static uint8_t text[N], back[N];

static bool holds(struct drive *d, uint64_t ino, unsigned version)
{
	pattern(text, N, 0, version);
	return get(d, ino, 0, back, N) == N && memcmp(text, back, N) == 0;
}

static void durable_file(struct drive *d)
{
	pattern(text, N, 0, 1);
	put(d, mk(d, 1, "f", S_IFREG | 0644), 0, text, N);
}

static void overwrite(struct drive *d)
{
	uint64_t ino = look(d, 1, "f");

	pattern(text, N, 0, 2);
	put(d, ino, 0, text, N);
	assert_int_equal(cache_sync(d->c), 0);
	pattern(text, N, 0, 3);
	for (size_t at = 0; at < N; at += CACHE_BLOCK)
		put(d, ino, at, text + at, CACHE_BLOCK);
	assert_int_equal(cache_sync(d->c), 0);
}

static void is_old_or_new(struct drive *d)
{
	uint64_t ino = look(d, 1, "f");

	assert_true(holds(d, ino, 1) || holds(d, ino, 2) || holds(d, ino, 3));
}

static void overwriting_durable_data_and_a_cut_leave_the_old_or_the_new(void **state)
{
	(void)state;
	every_cut(durable_file, overwrite, is_old_or_new);
}

/* The way every editor saves: write a new file, fsync, rename over the old. */
static void save(struct drive *d)
{
	struct cache_op op = { 0 };

	pattern(text, N, 0, 2);
	put(d, mk(d, 1, "f.new", S_IFREG | 0644), 0, text, N);
	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(cache_rename(d->c, &op, 1, slice_str("f.new"), 1,
				      slice_str("f"), 0),
			 0);
	pattern(text, N, 0, 9);
	put(d, mk(d, 1, "other", S_IFREG | 0644), 0, text, N);
	assert_int_equal(cache_sync(d->c), 0);
}

static void is_whole(struct drive *d)
{
	uint64_t ino = look(d, 1, "f"), other = look(d, 1, "other");

	assert_true(holds(d, ino, 1) || holds(d, ino, 2));
	if (look(d, 1, "f.new"))
		assert_true(holds(d, look(d, 1, "f.new"), 2));
	if (other) { /* came after the rename */
		assert_true(holds(d, other, 9));
		assert_true(holds(d, ino, 2));
	}
}

static void fsync_rename_and_a_cut_never_show_a_name_without_its_data(void **state)
{
	(void)state;
	every_cut(durable_file, save, is_whole);
}

static void grow(struct drive *d)
{
	uint64_t ino = look(d, 1, "f");

	pattern(text, N, 0, 4);
	for (size_t at = 0; at < N; at += 10000) {
		struct cache_op op = { 0 };

		assert_int_equal(cache_write(d->c, &op, ino, 0,
					     slice(text + at, MIN(10000, N - at)),
					     CACHE_WRITE_APPEND),
				 0);
		assert_int_equal(cache_sync(d->c), 0);
	}
}

static void has_no_size_before_its_bytes(struct drive *d)
{
	static uint8_t all[2 * N], want[2 * N];
	uint64_t ino = look(d, 1, "f");
	size_t n = get(d, ino, 0, all, sizeof(all));

	assert_true(n >= N && (n == 2 * N || (n - N) % 10000 == 0));
	pattern(want, N, 0, 1);
	pattern(want + N, N, 0, 4);
	assert_memory_equal(all, want, n);
}

static void an_append_and_a_cut_show_no_size_before_its_bytes(void **state)
{
	(void)state;
	every_cut(durable_file, grow, has_no_size_before_its_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			overwriting_durable_data_and_a_cut_leave_the_old_or_the_new),
		cmocka_unit_test(
			fsync_rename_and_a_cut_never_show_a_name_without_its_data),
		cmocka_unit_test(an_append_and_a_cut_show_no_size_before_its_bytes),
		cmocka_unit_test(
			after_a_cut_the_drive_holds_one_instant_and_all_that_was_synced),
		cmocka_unit_test(
			a_cut_among_snapshots_adoption_and_eviction_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
