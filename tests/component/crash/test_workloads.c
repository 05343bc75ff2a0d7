/*
 * test_workloads.c - power cuts while people's programs work (I1, I3)
 *
 * What git, SQLite, tar and those who save files did once (traces/) is done to a
 * drive on a recorder, with and without onboarding and eviction in between.  Of
 * the disk as each cut may leave it: nothing lost, all lost, some of it lost or
 * torn, and each of the last few writes lost or not, in every combination.  The
 * drive opens, holds the tree after one call, and none before the last sync.
 *
 * The suite looks at some of the cuts; with FILDRIVE_TEST_LONG at each.
 */
#include "trace.h"

#include <stdio.h>

#define OPS_MAX 512

struct bounds {
	size_t cuts;     /* spread over the log; 0: each of them */
	unsigned picked; /* the last so many: every combination of lost or not */
	uint64_t seeds;  /* of what is lost and torn */
};

static const struct bounds short_form = { 20, 3, 3 };
static const struct bounds long_form = { 0, 5, 6 };

struct world {
	struct drive d;
	struct fakedag *f;
	struct trace *t;
	size_t n_ops;
	uint64_t hash[OPS_MAX + 1]; /* after so many operations */
	size_t log[OPS_MAX + 1]; /* the log's length when it was acknowledged */
	bool acked[OPS_MAX + 1];
	uint64_t n_cuts;
};

/* The last operation that was promised by then. */
static size_t promised_at(const struct world *w, size_t at)
{
	size_t from = 0;

	for (size_t k = 0; k <= w->n_ops; k++)
		if (w->acked[k] && w->log[k] <= at)
			from = k;
	return from;
}

static void check_cut(struct world *w, const struct recorder_cut *cut)
{
	size_t from = promised_at(w, cut->at), k;
	struct err e = { 0 };
	struct drive found;
	uint64_t hash;

	drive_cut(&w->d, cut, &found);
	hash = trace_drive_hash(&found);
	for (k = from; k <= w->n_ops && w->hash[k] != hash; k++)
		;
	if (k > w->n_ops)
		fail_msg("cut at %zu, lose %d, seed %llu: no state since op %zu",
			 cut->at, (int)cut->lose, (unsigned long long)cut->seed,
			 from);
	if (cache_check(found.c, false, NULL, NULL, &e) != 0)
		fail_msg("cut at %zu, lose %d, seed %llu: %s", cut->at,
			 (int)cut->lose, (unsigned long long)cut->seed, e.text);
	drive_free(&found);
	w->n_cuts++;
}

static size_t unsynced_at(struct world *w, size_t at)
{
	size_t n = 0;

	assert_int_equal(recorder_unsynced(w->d.rec, at, &n), 0);
	return n;
}

/*
 * Where the last change is one that is not synced, the disks without it are those
 * of the cut before it; they are judged once, if the same had been promised.
 */
static bool is_judged_without_last(struct world *w, size_t at,
				   const struct bounds *b)
{
	return !b->cuts && at > 0 &&
	       unsynced_at(w, at) == unsynced_at(w, at - 1) + 1 &&
	       promised_at(w, at) == promised_at(w, at - 1);
}

static void check_at(struct world *w, size_t at, const struct bounds *b)
{
	struct recorder_cut cut = { at, RECORDER_NOTHING, 0 };
	size_t unsynced = unsynced_at(w, at), picked;
	bool only_with_last = is_judged_without_last(w, at, b);

	check_cut(w, &cut);
	if (unsynced == 0)
		return; /* all of these are the same disk */
	cut.lose = RECORDER_ALL;
	if (!only_with_last)
		check_cut(w, &cut);
	cut.lose = RECORDER_SOME;
	for (cut.seed = 0; cut.seed < b->seeds; cut.seed++)
		check_cut(w, &cut);
	cut.lose = RECORDER_PICK;
	picked = MIN(unsynced, b->picked);
	for (cut.seed = 1; cut.seed < 1ull << picked; cut.seed++)
		if (!(only_with_last && (cut.seed & 1)))
			check_cut(w, &cut);
	/* Of those before, one alone. */
	for (size_t k = picked; k < MIN(unsynced, 64) && !b->cuts; k++) {
		cut.seed = 1ull << k;
		check_cut(w, &cut);
	}
}

/* What a store would take, and then room for others. */
static void leave(struct world *w, size_t k)
{
	if (k % 40 == 20)
		onboard(&w->d, w->f, NULL, NULL);
	if (k % 40 == 30)
		assert_int_equal(cache_evict(w->d.c, 0), 0);
}

static void work(struct world *w, bool dag)
{
	w->hash[0] = trace_hash(w->t);
	w->acked[0] = true;
	for (size_t k = 0; k < w->n_ops; k++) {
		if (dag)
			leave(w, k);
		if (trace_do(w->t, k, &w->d)) {
			w->acked[k] = true;
			w->log[k] = recorder_length(w->d.rec);
		}
		w->hash[k + 1] = trace_hash(w->t);
	}
	assert_int_equal(trace_drive_hash(&w->d), w->hash[w->n_ops]);
}

static void run(const char *name, bool dag)
{
	// NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
	const struct bounds *b = getenv("FILDRIVE_TEST_LONG") ? &long_form :
								&short_form;
	struct world *w = calloc(1, sizeof(*w));
	size_t n, step;

	assert_non_null(w);
	drive_new(&w->d);
	w->f = fakedag_new();
	if (dag)
		w->d.p.source = fakedag_source(w->f);
	drive_open(&w->d);
	assert_int_equal(cache_sync(w->d.c), 0);
	assert_int_equal(recorder_forget(w->d.rec), 0);
	w->t = trace_new(name);
	w->n_ops = trace_length(w->t);
	assert_in_range(w->n_ops, 100, OPS_MAX);
	work(w, dag);

	n = recorder_length(w->d.rec);
	step = b->cuts ? MAX(n / b->cuts, 1) : 1;
	for (size_t at = 0; at <= n; at += step)
		check_at(w, at, b);
	print_message("# %s%s: %zu calls, %zu changes of the disk, %llu disks\n",
		      name, dag ? ", onboarding" : "", w->n_ops, n,
		      (unsigned long long)w->n_cuts);
	trace_free(w->t);
	drive_free(&w->d);
	fakedag_free(w->f);
	free(w);
}

#define WORKLOAD(test, name)    \
 static void test(void **state) \
 {                              \
  (void)state;                  \
  run(name, false);             \
  run(name, true);              \
 }

WORKLOAD(a_cut_while_git_commits_and_packs_leaves_one_instant, "git")
WORKLOAD(a_cut_while_sqlite_keeps_a_wal_leaves_one_instant, "sqlite-wal")
WORKLOAD(a_cut_while_sqlite_keeps_a_journal_leaves_one_instant, "sqlite-delete")
WORKLOAD(a_cut_while_tar_unpacks_leaves_one_instant, "untar")
WORKLOAD(a_cut_while_files_are_saved_and_moved_leaves_one_instant, "save")
#undef WORKLOAD

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_while_git_commits_and_packs_leaves_one_instant),
		cmocka_unit_test(a_cut_while_sqlite_keeps_a_wal_leaves_one_instant),
		cmocka_unit_test(a_cut_while_sqlite_keeps_a_journal_leaves_one_instant),
		cmocka_unit_test(a_cut_while_tar_unpacks_leaves_one_instant),
		cmocka_unit_test(
			a_cut_while_files_are_saved_and_moved_leaves_one_instant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
