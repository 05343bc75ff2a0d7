/* test_lost.c - pieces that are lost before, or after, a store has them */
#include "rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"

#define MIB      (1u << 20)
#define N_SHARED 600
#define T(f)     cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

static void wait_ms(long ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&t, NULL);
}

static void begin(struct device *d, struct rig *r)
{
	device_init(d, r, "a", 1, 1);
	device_start(d);
}

static void go_on(struct device *d) /* mounted again */
{
	device_open(d);
	device_start(d);
}

/* What is clean has to be fetched again. */
static void evict(struct device *d)
{
	ok(cache_sync(d->cache));
	ok(cache_evict(d->cache, 0));
}

static void move(struct rig *r, const char *from, const char *to)
{
	char a[512], b[512];

	rig_path(r, from, a, sizeof(a));
	rig_path(r, to, b, sizeof(b));
	assert_int_equal(rename(a, b), 0);
}

/* Commit `n` is whole in the outbox. */
static void wait_built(struct device *d, uint64_t n)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	struct onboard_stats s;

	(void)onboard_request(d->onboard);
	while (monotonic_ms() < end) {
		onboard_stats(d->onboard, &s);
		if (s.built >= n)
			return;
		wait_ms(10);
	}
	fail_msg("commit %d is not built: %s", (int)n, s.why);
}

enum harm {
	GONE,
	CUT,
	FLIPPED
};

static void harm_one(const char *path, enum harm how)
{
	struct stat st;
	uint8_t b;
	int fd;

	if (how == GONE) {
		assert_int_equal(unlink(path), 0);
		return;
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	if (how == CUT) {
		assert_int_equal(ftruncate(fd, st.st_size / 2), 0);
	} else {
		assert_int_equal(pread(fd, &b, 1, st.st_size / 2), 1);
		b ^= 1;
		assert_int_equal(pwrite(fd, &b, 1, st.st_size / 2), 1);
	}
	(void)close(fd);
}

/* Every file of a folder, or the largest alone. */
static size_t harm(struct rig *r, const char *folder, enum harm how, bool largest)
{
	char path[1024], best[1024] = "", dir[512];
	off_t size = 0;
	struct dirent *e;
	struct stat st;
	size_t n = 0;
	DIR *d;

	rig_path(r, folder, dir, sizeof(dir));
	d = opendir(dir);
	assert_non_null(d);
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (len < 5 || strcmp(e->d_name + len - 4, ".car") != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		assert_int_equal(stat(path, &st), 0);
		if (!largest) {
			harm_one(path, how);
			n++;
		} else if (st.st_size > size) {
			size = st.st_size;
			memcpy(best, path, sizeof(best));
		}
	}
	(void)closedir(d);
	if (largest && size) {
		harm_one(best, how);
		n++;
	}
	return n;
}

static void plant(struct device *d)
{
	static const uint8_t value[400] = { 1, 2, 3 };
	char name[32];

	f_mkdir(d, "d");
	f_fill(d, "d/large", 0, 3 * MIB + 5000, 1);
	f_fill(d, "d/small", 0, 3000, 2);
	f_link(d, "d/small", "hard");
	f_symlink(d, "d/link",
		  "/a/rather/long/target/of/a/symbolic/link/that/does/not/fit/into/an/identity/link/because/it/is/longer/than/one/hundred/and/twenty/eight/bytes");
	f_fill(d, "sparse", 5 * MIB, 10000, 3);
	f_xattr(d, "sparse", "user.large", value, sizeof(value));
	f_mkdir(d, "many");
	for (int i = 0; i < 40; i++) {
		(void)snprintf(name, sizeof(name), "many/file-number-%d", i);
		f_write(d, name, 0, name, strlen(name));
	}
}

static unsigned n_lost(struct device *d)
{
	uint64_t files = 0, bytes = 0;

	ok(ledger_lost_count(d->ledger, &files, &bytes));
	return (unsigned)files;
}

/*
 * Commit 1 is published; commits 2 and 3 are in the outbox when the store is
 * away and their files come to harm.
 */
static void lose_the_outbox(struct rig *r, enum harm how, bool between)
{
	struct device a;
	char *want;

	begin(&a, r);
	f_write(&a, "first", 0, "first", 5);
	ok(device_sync(&a));
	move(r, "s0", "away");
	plant(&a);
	wait_built(&a, 2);
	f_write(&a, "later", 0, "later", 5);
	f_unlink(&a, "first");
	wait_built(&a, 3);
	want = tree_text(&a);
	if (between) { /* the daemon runs on */
		assert_true(harm(r, "a/outbox", how, false) >= 2);
		move(r, "away", "s0");
	}
	device_close(&a);
	if (!between)
		assert_true(harm(r, "a/outbox", how, false) >= 2);
	go_on(&a);
	if (!between) {
		f_write(&a, "after", 0, "after", 5);
		free(want);
		want = tree_text(&a);
		wait_ms(200);
		move(r, "away", "s0");
	}
	ok(device_sync(&a));
	assert_int_equal(n_lost(&a), 0);
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

static void a_lost_outbox_is_sealed_anew_from_the_cache(void **state)
{
	lose_the_outbox(*state, GONE, false);
}

static void a_cut_outbox_is_sealed_anew_from_the_cache(void **state)
{
	lose_the_outbox(*state, CUT, false);
}

static void a_damaged_outbox_is_sealed_anew_from_the_cache(void **state)
{
	lose_the_outbox(*state, FLIPPED, false);
}

static void an_outbox_lost_under_the_daemon_is_sealed_anew(void **state)
{
	lose_the_outbox(*state, GONE, true);
}

static void what_is_nowhere_is_named_and_the_rest_goes_on(void **state)
{
	struct rig *r = *state;
	char *want, faults[FAULTS_MAX];
	struct device a;

	begin(&a, r);
	f_write(&a, "first", 0, "first", 5);
	ok(device_sync(&a));
	move(r, "s0", "away");
	plant(&a);
	wait_built(&a, 2);
	evict(&a); /* it is in the outbox: clean */
	f_write(&a, "later", 0, "later", 5);
	device_close(&a);
	assert_true(harm(r, "a/outbox", GONE, false) >= 1);
	go_on(&a);
	move(r, "away", "s0");
	ok(device_sync(&a));
	assert_true(n_lost(&a) >= 3);
	assert_true(device_verify(&a, faults) >= 3);
	assert_non_null(strstr(faults, "/d/large"));
	assert_null(strstr(faults, "/first"));
	want = tree_text(&a);
	assert_non_null(strstr(want, "unreadable"));
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);

	/* Who deletes or overwrites what is lost is done with it. */
	go_on(&a);
	f_unlink(&a, "d/large");
	f_fill(&a, "sparse", 5 * MIB, 10000, 3);
	f_truncate(&a, "d/small", 0);
	for (int i = 0; i < 40; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "many/file-number-%d", i);
		f_unlink(&a, name);
	}
	ok(device_sync(&a));
	assert_int_equal(n_lost(&a), 0);
	assert_int_equal(device_verify(&a, faults), 0);
	want = tree_text(&a);
	assert_null(strstr(want, "unreadable"));
	device_close(&a);
	recovers_as(r, "c", 1, want);
	free(want);
}

/* A large directory is a shard; one in another is found as well. */
static void plant_deep(struct device *d)
{
	char path[64];

	plant(d);
	f_mkdir(d, "many/deep");
	for (int i = 0; i < 400; i++) {
		(void)snprintf(path, sizeof(path),
			       "many/deep/a file with number %d", i);
		f_write(d, path, 0, path, 10 + (size_t)i % 7);
	}
	f_fill(d, "many/deep/last", 0, 2 * MIB + 1000, 4);
}

static void what_is_lost_in_folders_that_were_never_opened_is_named(void **state)
{
	struct rig *r = *state;
	char faults[FAULTS_MAX];
	struct device a, b;

	begin(&a, r);
	f_mkdir(&a, "fine");
	f_fill(&a, "fine/and sound", 0, 2 * MIB, 9);
	ok(device_sync(&a));
	move(r, "s0", "s0-first");
	plant_deep(&a);
	wait_built(&a, 2);
	device_close(&a);
	move(r, "s0-first", "s0");
	go_on(&a);
	ok(device_sync(&a));
	device_close(&a);

	device_recover(&b, r, "b", 1, 1, 0);
	device_start(&b);
	assert_int_equal(harm(r, "s0", GONE, true), 1); /* of the second commit */
	assert_true(device_verify(&b, faults) >= 5);
	assert_non_null(strstr(faults, "/d/large: 3150728 bytes are lost"));
	assert_non_null(strstr(faults, "/d/small: 3000 bytes are lost"));
	assert_non_null(strstr(faults, "/hard: 3000 bytes are lost"));
	assert_non_null(strstr(faults, "/many/deep/last: 2098152 bytes are lost"));
	assert_non_null(strstr(faults, "/sparse: "));
	assert_null(strstr(faults, "/fine"));
	assert_null(strstr(faults, "folder"));
	device_close(&b);
}

/*
 * Files of two names, which are what is in them, so many that their table is a shard
 * of shards; later every 50th of them got another name, and that in it.
 */
static void plant_shared(struct device *d, const char *dir, int step)
{
	char first[32], name[32], too[32];

	f_mkdir(d, dir);
	for (int i = 0; i < N_SHARED; i += step) {
		(void)snprintf(first, sizeof(first), "d/%d", i);
		(void)snprintf(name, sizeof(name), "%s/%d", dir, i);
		(void)snprintf(too, sizeof(too), "%s/%d too", dir, i);
		f_write(d, first, 0, name, strlen(name));
		if (step > 1)
			f_link(d, first, name);
		f_link(d, first, too);
	}
}

static void these_are(struct device *d, const char *dir, const char *in_them, int step)
{
	char path[32], want[32], got[32];
	size_t n;

	for (int i = step == 1; i < N_SHARED; i += step) {
		if (step == 1 && i % 50 == 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%d", dir, i);
		(void)snprintf(want, sizeof(want), "%s/%d", in_them, i);
		ok(f_read(d, path, 0, (uint8_t *)got, sizeof(got), &n));
		assert_int_equal(n, strlen(want));
		assert_memory_equal(got, want, n);
	}
}

/* The piece of the first commit, which is all of it, goes out of s0, or back. */
static void first_piece(struct rig *r, bool back)
{
	static struct piece_file v[8];
	char path[160], there[512], aside[512];

	if (!back)
		assert_in_range(store_pieces(r, "s0", v, ARRAY_LEN(v)), 2, 2);
	(void)snprintf(path, sizeof(path), "s0/%.120s", v[0].name);
	rig_path(r, path, there, sizeof(there));
	rig_path(r, "aside", aside, sizeof(aside));
	assert_int_equal(back ? rename(aside, there) : rename(there, aside), 0);
}

/* "b", which was recovered from a drive of two commits. */
static void recover_shared(struct rig *r, struct device *b)
{
	struct device a;

	begin(&a, r);
	plant_shared(&a, "d", 1);
	ok(device_sync(&a));
	plant_shared(&a, "n", 50);
	ok(device_sync(&a));
	device_close(&a);
	device_recover(b, r, "b", 1, 1, 0);
	device_start(b);
}

/* It had opened nothing when a piece with rows of the table was lost.  Then it made a
 * commit. */
static void lose_rows(struct rig *r)
{
	char faults[FAULTS_MAX];
	struct device b;

	recover_shared(r, &b);
	first_piece(r, false);
	assert_true(device_verify(&b, faults) > 0);
	f_write(&b, "after", 0, "after", 5);
	ok(device_sync(&b));
	device_close(&b);
}

static void rows_behind_lost_ones_stay_in_the_table(void **state)
{
	struct device c;

	lose_rows(*state);
	device_recover(&c, *state, "c", 1, 1, 0);
	device_start(&c);
	these_are(&c, "n", "n", 50);
	device_close(&c);
}

static void lost_rows_come_back_with_their_piece(void **state)
{
	struct device c;

	lose_rows(*state);
	first_piece(*state, true);
	for (int again = 0; again < 2; again++) {
		device_recover(&c, *state, again ? "e" : "c", 1, 1, 0);
		device_start(&c);
		these_are(&c, "d", "d", 1);
		these_are(&c, "d", "n", 50);
		if (!again) /* the next table has them */
			f_link(&c, "d/1", "d/one");
		ok(device_sync(&c));
		device_close(&c);
	}
}

/* All folders are open here, of the names in them hardly one was asked for. */
static void lost_rows_of_open_folders_come_back_with_their_piece(void **state)
{
	struct rig *r = *state;
	char faults[FAULTS_MAX];
	struct device b;

	recover_shared(r, &b);
	(void)f_lookup(&b, "d/1", NULL);
	(void)f_lookup(&b, "n/0", NULL);
	first_piece(r, false);
	assert_true(device_verify(&b, faults) > 0);
	assert_non_null(strstr(faults, "what it is a name of is lost"));
	assert_true(device_verify(&b, faults) > 0); /* and it stays so */
	first_piece(r, true);
	(void)device_verify(&b, faults); /* finds it */
	these_are(&b, "d", "d", 1);
	ok(device_sync(&b));
	assert_int_equal(device_verify(&b, faults), 0);
	device_close(&b);
}

/* That all of what is known to be lost was removed says nothing of what is not. */
static void folders_that_were_never_opened_are_looked_into_to_the_end(void **state)
{
	struct rig *r = *state;
	char faults[FAULTS_MAX];
	struct device a, b;

	begin(&a, r);
	f_mkdir(&a, "open");
	f_mkdir(&a, "shut");
	f_fill(&a, "open/f", 0, MIB, 1);
	f_fill(&a, "shut/f", 0, MIB, 2);
	ok(device_sync(&a));
	f_write(&a, "open/later", 0, "later", 5);
	f_write(&a, "shut/later", 0, "later", 5);
	ok(device_sync(&a));
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	device_start(&b);
	(void)f_lookup(&b, "open/f", NULL);
	first_piece(r, false);
	assert_true(device_verify(&b, faults) > 0);
	assert_int_equal(n_lost(&b), 1);
	assert_non_null(strstr(faults, "/shut/f: 1048576 bytes are lost"));
	f_unlink(&b, "open/f");
	ok(device_sync(&b));
	assert_int_equal(n_lost(&b), 0);
	assert_true(device_verify(&b, faults) > 0);
	assert_non_null(strstr(faults, "/shut/f: 1048576 bytes are lost"));
	f_unlink(&b, "shut/f");
	ok(device_sync(&b));
	assert_int_equal(device_verify(&b, faults), 0);
	device_close(&b);
}

static void a_lost_single_copy_is_sealed_anew_where_it_is_here(void **state)
{
	struct rig *r = *state;
	char *want, faults[FAULTS_MAX];
	struct device a;

	begin(&a, r);
	plant(&a);
	ok(device_sync(&a));
	want = tree_text(&a);
	assert_int_equal(harm(r, "s0", GONE, true), 1);
	assert_true(device_verify(&a, faults) > 0);
	ok(device_sync(&a));
	assert_int_equal(n_lost(&a), 0);
	assert_int_equal(device_verify(&a, faults), 0);
	ok(cache_evict(a.cache, 0));
	tree_is(&a, want);
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

/* The second commit has made anew the way to one name, and links all other shards. */
static void lost_shards_of_a_folder_that_is_here_are_built_anew(void **state)
{
	struct rig *r = *state;
	char *want, path[128], faults[FAULTS_MAX];
	struct device a;

	begin(&a, r);
	f_mkdir(&a, "many");
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(path, sizeof(path),
			       "many/an entry whose name is long %d", i); /* fits */
		f_symlink(&a, path, "somewhere");
	}
	ok(device_sync(&a));
	f_symlink(&a, "many/one more", "somewhere");
	ok(device_sync(&a));
	want = tree_text(&a);
	assert_int_equal(harm(r, "s0", GONE, true), 1);
	assert_true(device_verify(&a, faults) > 0);
	ok(device_sync(&a));
	assert_int_equal(n_lost(&a), 0);
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

static void sound_blocks_of_a_damaged_copy_are_saved(void **state)
{
	struct rig *r = *state;
	char *want, faults[FAULTS_MAX];
	struct device a;

	begin(&a, r);
	f_fill(&a, "large", 0, 9 * MIB, 1);
	f_fill(&a, "other", 0, MIB / 2, 2);
	ok(device_sync(&a));
	evict(&a);
	assert_int_equal(harm(r, "s0", FLIPPED, true), 1);
	assert_true(device_verify(&a, faults) > 0);
	ok(device_sync(&a));
	assert_int_equal(n_lost(&a), 1);
	/* The damaged copy is not needed for what was sound. */
	assert_true(device_verify(&a, faults) > 0);
	assert_non_null(strstr(faults, "/large"));
	assert_null(strstr(faults, "/other"));
	want = tree_text(&a);
	assert_non_null(strstr(want, "/other: "));
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

/* Pieces of `from` that `to` does not have. */
static void copy_cars(struct rig *r, const char *from, const char *to)
{
	struct piece_file v[16];
	size_t n = store_pieces(r, from, v, ARRAY_LEN(v));
	char a[512], b[512], sub[256];

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(sub, sizeof(sub), "%s/%.120s", from, v[i].name);
		rig_path(r, sub, a, sizeof(a));
		(void)snprintf(sub, sizeof(sub), "%s/%.120s", to, v[i].name);
		rig_path(r, sub, b, sizeof(b));
		if (access(b, F_OK) != 0)
			assert_int_equal(rename(a, b), 0);
	}
}

static void a_piece_that_is_found_again_counts_again(void **state)
{
	struct rig *r = *state;
	char *want, faults[FAULTS_MAX];
	struct device a;

	begin(&a, r);
	f_fill(&a, "f", 0, MIB, 1);
	ok(device_sync(&a));
	evict(&a);
	rig_copy(r, "s0", "kept");
	assert_true(harm(r, "s0", GONE, false) >= 1);
	assert_true(device_verify(&a, faults) > 0);
	ok(device_sync(&a));
	assert_int_equal(n_lost(&a), 1);
	copy_cars(r, "kept", "s0");
	(void)device_verify(&a, faults); /* finds it */
	f_write(&a, "g", 0, "g", 1);
	ok(device_sync(&a));
	f_unlink(&a, "g");
	ok(device_sync(&a));
	assert_null(strstr(faults, "missing"));
	device_close(&a);
	device_open(&a);
	want = tree_text(&a);
	assert_null(strstr(want, "unreadable"));
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

/* A part of a chunk is lost, another was written since: both must be told apart. */
static void new_bytes_in_a_lost_chunk_stay_here_and_hold_nobody_up(void **state)
{
	struct rig *r = *state;
	uint8_t got[4096];
	struct onboard_stats s;
	struct cache_stats cs;
	struct device a, b;
	char *text, faults[FAULTS_MAX];
	uint64_t built;
	size_t n = 0;

	begin(&a, r);
	f_fill(&a, "f", 0, MIB, 1);
	ok(device_sync(&a));
	evict(&a);
	f_write(&a, "f", 8192, "new bytes", 9);
	evict(&a); /* but for that block */
	device_close(&a);
	assert_true(harm(r, "s0", GONE, false) >= 1);
	go_on(&a);
	assert_true(device_verify(&a, faults) > 0);
	f_write(&a, "g", 0, "other file", 10);
	ok(device_sync(&a));
	assert_int_equal(n_lost(&a), 1);
	ok(f_read(&a, "f", 8192, got, 9, &n));
	assert_memory_equal(got, "new bytes", 9);
	cache_stats(a.cache, &cs);
	assert_true(cs.dirty_inodes >= 1);
	/* Nothing new: no commit after commit. */
	onboard_stats(a.onboard, &s);
	built = s.built;
	ok(device_sync(&a));
	ok(device_sync(&a));
	onboard_stats(a.onboard, &s);
	assert_int_equal(s.built, built);
	/* Written whole, it is a file as any other. */
	f_fill(&a, "f", 0, MIB, 7);
	ok(device_sync(&a));
	assert_int_equal(n_lost(&a), 0);
	text = tree_text(&a);
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	tree_is(&b, text);
	device_close(&b);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_lost_outbox_is_sealed_anew_from_the_cache),
		T(a_cut_outbox_is_sealed_anew_from_the_cache),
		T(a_damaged_outbox_is_sealed_anew_from_the_cache),
		T(an_outbox_lost_under_the_daemon_is_sealed_anew),
		T(what_is_nowhere_is_named_and_the_rest_goes_on),
		T(what_is_lost_in_folders_that_were_never_opened_is_named),
		T(rows_behind_lost_ones_stay_in_the_table),
		T(lost_rows_come_back_with_their_piece),
		T(lost_rows_of_open_folders_come_back_with_their_piece),
		T(folders_that_were_never_opened_are_looked_into_to_the_end),
		T(a_lost_single_copy_is_sealed_anew_where_it_is_here),
		T(lost_shards_of_a_folder_that_is_here_are_built_anew),
		T(sound_blocks_of_a_damaged_copy_are_saved),
		T(a_piece_that_is_found_again_counts_again),
		T(new_bytes_in_a_lost_chunk_stay_here_and_hold_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
