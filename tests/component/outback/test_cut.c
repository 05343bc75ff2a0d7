/*
 * test_cut.c - power cuts while pieces leave and bytes are evicted (I1, I2, I10)
 *
 * A device works on a recorder, with the rooms and threads that it has in life;
 * its store is a folder, which no cut of the device touches.  Every so many
 * changes of the disk the store is copied, at a moment when nothing else happens
 * on the disk.  Afterwards, for each of these moments: the disk as the cut may
 * leave it (nothing, all, some of what was not synced lost or torn) and the store
 * of that moment are opened.  All that was promised is there, at one moment of
 * its life; what was evicted comes from that store; it goes on to publish; and
 * from that store alone everything comes back.  What two moments in a row have in
 * common, disk, store and promise, is judged once.
 *
 * The suite looks at some of the moments; with FILDRIVE_TEST_LONG at each.
 */
#include "rig.h"

#include <stdio.h>
#include <unistd.h>

#include "helper/recorder.h"

#define MIB         (1u << 20)
#define OPS_MAX     64
#define MOMENTS_MAX 2000

struct world {
	struct rig *rig;
	struct recorder *disk; /* of the device that worked */
	struct device d;
	size_t n_ops;
	char *text[OPS_MAX]; /* the tree after so many operations */
	size_t log[OPS_MAX]; /* the log's length when it was promised */
	bool promised[OPS_MAX];
	size_t at[MOMENTS_MAX];    /* lengths of the log at which the store was
				   copied */
	size_t store[MOMENTS_MAX]; /* as which: "cut0" …, the first of those
				      in a row that are the same */
	size_t n_moments;
};

static bool is_long(void)
{
	// NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets it
	return getenv("FILDRIVE_TEST_LONG");
}

static void copy_name(char ret[static 32], size_t store)
{
	(void)snprintf(ret, 32, "cut%zu", store);
}

static void on_moment(void *ctx, size_t at)
{
	struct world *w = ctx;
	size_t n = w->n_moments;
	char name[32], before[32];

	if (n == MOMENTS_MAX)
		return;
	w->at[n] = at;
	w->store[n] = n;
	copy_name(name, n);
	rig_copy(w->rig, "s0", name);
	if (n) {
		copy_name(before, w->store[n - 1]);
		if (rig_same(w->rig, before, name)) {
			rig_remove(w->rig, name);
			w->store[n] = w->store[n - 1];
		}
	}
	w->n_moments++;
}

/* ---- the work ---- */

static void done(struct world *w)
{
	assert_true(w->n_ops < OPS_MAX);
	w->text[w->n_ops++] = tree_text(&w->d);
}

/* Of the last of these. */
static void promise(struct world *w)
{
	ok(cache_sync(w->d.cache));
	w->promised[w->n_ops - 1] = true;
	w->log[w->n_ops - 1] = recorder_length(w->disk);
}

static void sync_and_evict(struct world *w)
{
	ok(device_sync(&w->d));
	promise(w);
	ok(cache_evict(w->d.cache, 0));
}

static void many(struct world *w, unsigned from, unsigned n)
{
	char name[32];

	for (unsigned k = from; k < from + n; k++) {
		(void)snprintf(name, sizeof(name), "d/f%u", k);
		f_fill(&w->d, name, 0, 3000 + (uint64_t)k * 20011, k);
		done(w);
	}
}

static void work(struct world *w)
{
	struct device *d = &w->d;

	done(w);
	f_mkdir(d, "d");
	done(w);
	f_fill(d, "large", 0, 2 * MIB + 5, 1);
	done(w);
	promise(w);
	many(w, 0, 5);
	sync_and_evict(w);
	f_fill(d, "large", MIB - 10, 5000, 2); /* of what is at the store only */
	done(w);
	f_rename(d, "d/f3", "d/f1");
	done(w);
	promise(w);
	f_link(d, "d/f2", "again");
	done(w);
	sync_and_evict(w);
	f_truncate(d, "large", MIB + 77);
	done(w);
	f_unlink(d, "d/f0");
	done(w);
	many(w, 10, 4);
	promise(w);
	f_fill(d, "d/f4", 100, 200000, 3);
	done(w);
	sync_and_evict(w);
}

/* ---- what a cut leaves ---- */

static size_t promised_at(const struct world *w, size_t at)
{
	size_t from = 0;

	for (size_t k = 0; k < w->n_ops; k++)
		if (w->promised[k] && w->log[k] <= at)
			from = k;
	return from;
}

static void is_one_of(const struct world *w, size_t from, const char *got)
{
	for (size_t k = from; k < w->n_ops; k++)
		if (strcmp(w->text[k], got) == 0)
			return;
	tree_same(w->text[from], got); /* says what differs */
}

static void judge(struct world *w, size_t moment, enum recorder_lose lose,
		  uint64_t seed)
{
	struct recorder_cut cut = { w->at[moment], lose, seed };
	struct rig *r = w->rig;
	struct device b = { .rig = r, .n_stores = 1, .copies = 1 }, c;
	char copy[32], *got, *back;

	copy_name(copy, w->store[moment]);
	rig_copy(r, copy, "s0");
	ok(recorder_replay(w->disk, &cut, &r->disk));
	text_copy(b.name, sizeof(b.name), "b");
	device_open(&b);
	got = tree_text(&b);
	is_one_of(w, promised_at(w, cut.at), got);
	device_start(&b);
	ok(device_sync(&b));
	device_close(&b);
	recorder_free(r->disk);
	r->disk = NULL;

	device_recover(&c, r, "c", 1, 1, 0);
	back = tree_text(&c);
	tree_same(got, back);
	device_close(&c);
	rig_remove(r, "c");
	rig_remove(r, "s0");
	free(got);
	free(back);
}

static size_t unsynced_at(const struct world *w, size_t at)
{
	size_t n = 0;

	ok(recorder_unsynced(w->disk, at, &n));
	return n;
}

/* Returns how many disks. */
static size_t judge_all(struct world *w, size_t k)
{
	bool next = k > 0 && w->at[k] == w->at[k - 1] + 1 &&
		    w->store[k] == w->store[k - 1] &&
		    promised_at(w, w->at[k]) == promised_at(w, w->at[k - 1]);
	size_t unsynced = unsynced_at(w, w->at[k]), n = 0;
	bool is_sync = next && unsynced <= unsynced_at(w, w->at[k - 1]);

	if (!is_sync) { /* which changes no byte */
		judge(w, k, RECORDER_NOTHING, 0);
		n++;
	}
	if (unsynced == 0)
		return n;       /* all of these are the same disk */
	if (!next || is_sync) { /* else all that is lost was so before */
		judge(w, k, RECORDER_ALL, 0);
		n++;
	}
	judge(w, k, RECORDER_SOME, k);
	return n + 1;
}

static void a_cut_while_pieces_leave_loses_nothing_and_goes_on(void **state)
{
	struct rig *r = *state, live;
	struct world *w = calloc(1, sizeof(*w));
	size_t n = 0, step;

	assert_non_null(w);
	ok(recorder_new(&w->disk));
	live = *r;
	live.disk = w->disk;
	w->rig = &live;
	device_init(&w->d, &live, "a", 1, 1);
	w->d.piece_target = MIB;
	device_start(&w->d);
	ok(recorder_forget(w->disk));
	recorder_watch(w->disk, is_long() ? 1 : 20, on_moment, w);
	work(w);
	recorder_watch(w->disk, 0, NULL, NULL);
	device_close(&w->d);
	rig_remove(r, "s0");

	w->rig = r;
	assert_in_range(w->n_moments, 10, MOMENTS_MAX - 1);
	step = is_long() ? 1 : MAX(w->n_moments / 6, 1);
	for (size_t k = 0; k < w->n_moments; k += step)
		n += judge_all(w, k);
	print_message("# %zu operations, %zu disks\n", w->n_ops, n);
	recorder_free(w->disk);
	for (size_t k = 0; k < w->n_ops; k++)
		free(w->text[k]);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_cut_while_pieces_leave_loses_nothing_and_goes_on,
			rig_set_up, rig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
