/*
 * test_rotten.c - what is damaged on the disk before a store has it
 *
 * The damaged file is in no commit, or as the one before had it; all others are
 * committed as ever, and it is named until it is written anew.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB      (1u << 20)
#define SLOT     4096u
#define SEG_MAX  (72u << 20)
#define TEXT_MAX 8192
#define T(f)     cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

/* ---- the first segment ---- */

struct disk {
	uint8_t *was;
	size_t n;
	char path[512];
};

static uint8_t *segment(const struct disk *k, size_t *ret_n)
{
	uint8_t *p = malloc(SEG_MAX);
	size_t n = 0;
	ssize_t r;
	int fd;

	assert_non_null(p);
	fd = open(k->path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	while ((r = read(fd, p + n, SEG_MAX - n)) > 0)
		n += (size_t)r;
	assert_int_equal(r, 0);
	(void)close(fd);
	*ret_n = n;
	return p;
}

/* The device is closed: what comes to the segment from now on is what rot() hits. */
static void before(struct disk *k, struct rig *r)
{
	rig_path(r, "a/data/00000001", k->path, sizeof(k->path));
	k->was = segment(k, &k->n);
}

/* A bit of each slot that was written since, or the same bit again. */
static void rot(struct disk *k)
{
	size_t n, hit = 0;
	uint8_t *is = segment(k, &n);
	int fd = open(k->path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t off = MIB; off + SLOT <= n; off += SLOT) { /* tags stay */
		if (off + SLOT <= k->n && memcmp(is + off, k->was + off, SLOT) == 0)
			continue;
		is[off + 100] ^= 4;
		assert_int_equal(pwrite(fd, is + off + 100, 1, (off_t)off + 100), 1);
		hit++;
	}
	assert_true(hit > 0);
	(void)close(fd);
	free(is);
}

static void disk_fini(struct disk *k)
{
	free(k->was);
}

/* ---- ---- */

static void begin(struct device *d, struct rig *r, struct disk *k)
{
	device_init(d, r, "a", 1, 1);
	device_start(d);
	f_fill(d, "sound", 0, 3 * MIB, 1);
	f_fill(d, "old", 0, 2 * MIB, 2);
	f_mkdir(d, "d");
	ok(device_sync(d));
	device_close(d);
	before(k, r);
	device_open(d);
	device_start(d);
}

static void again(struct device *d, struct disk *k)
{
	device_close(d);
	rot(k);
	device_open(d);
	device_start(d);
}

static uint64_t left(struct device *d, const char *path)
{
	struct err e = { "" };
	uint64_t n = onboard_left(d->onboard, &e);

	if (n)
		assert_non_null(strstr(e.text, path));
	else
		assert_string_equal(e.text, "");
	return n;
}

static bool is_there(struct device *d, const char *path)
{
	char *text = tree_text(d);
	char line[256];
	bool there;

	(void)snprintf(line, sizeof(line), "\n/%s:", path);
	there = strstr(text, line);
	free(text);
	return there;
}

/* It is as f_fill() with that seed has made it. */
static void assert_filled(struct device *d, struct rig *r, const char *path,
			  uint64_t n, uint64_t seed)
{
	uint8_t *got = malloc(n + 1), *want = malloc(n);
	struct cache_attr a;
	struct device like;
	size_t got_n = 0;

	assert_true(got && want);
	device_init(&like, r, "like", 1, 1);
	f_fill(&like, "f", 0, n, seed);
	ok(f_read(&like, "f", 0, want, n, &got_n));
	assert_int_equal(got_n, n);
	device_close(&like);
	rig_remove(r, "like");
	assert_true(f_lookup(d, path, &a) != 0);
	assert_int_equal(a.size, n);
	ok(f_read(d, path, 0, got, n + 1, &got_n));
	assert_int_equal(got_n, n);
	assert_memory_equal(got, want, n);
	free(got);
	free(want);
}

static void on_fault(void *ctx, const char *sentence)
{
	char *text = ctx;
	size_t n = strlen(text);

	(void)snprintf(text + n, TEXT_MAX - n, "%s\n", sentence);
}

static int no_end(void *ctx, uint64_t done, uint64_t total)
{
	(void)ctx;
	(void)done;
	(void)total;
	return 0;
}

/* Nothing is damaged any more: all of it is committed, and comes back. */
static void end_whole(struct device *a, struct rig *r, struct disk *k)
{
	char *want;

	ok(device_sync(a));
	assert_int_equal(left(a, ""), 0);
	want = tree_text(a);
	device_close(a);
	recovers_as(r, "b", 1, want);
	free(want);
	disk_fini(k);
}

static void a_damaged_new_file_is_left_out_and_all_else_is_committed(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	char text[TEXT_MAX] = "";
	struct err e = { "" };
	struct disk k;

	begin(&a, r, &k);
	f_fill(&a, "d/new", 0, 2 * MIB, 3);
	again(&a, &k);
	f_fill(&a, "other", 0, 2 * MIB, 4);
	f_fill(&a, "sound", 0, MIB, 5);
	f_rename(&a, "old", "d/moved");
	ok(device_sync(&a));
	assert_int_equal(left(&a, "/d/new"), 1);
	assert_int_equal(
		onboard_verify(a.onboard, 100, on_fault, no_end, text, &e), 1);
	assert_non_null(strstr(text, "/d/new: damaged"));
	device_recover(&b, r, "b", 1, 1, 0);
	assert_false(is_there(&b, "d/new"));
	assert_true(is_there(&b, "d/moved"));
	assert_filled(&b, r, "other", 2 * MIB, 4);
	text[0] = '\0';
	if (cache_check(b.cache, false, on_fault, text, &e)) /* counts, too */
		fail_msg("%s %s", text, e.text);
	device_close(&b);
	rig_remove(r, "b");

	f_fill(&a, "d/new", 0, 2 * MIB, 6); /* anew */
	end_whole(&a, r, &k);
}

static void a_damaged_file_is_committed_as_it_was_before(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct cache_attr at;
	struct disk k;

	begin(&a, r, &k);
	f_fill(&a, "old", MIB + 4096, 4096, 7);
	f_fill(&a, "sound", 0, 4096, 8);
	again(&a, &k);
	f_rename(&a, "old", "d/old");
	f_set(&a, "d/old",
	      &(struct cache_setattr){ .mask = CACHE_SET_MODE, .mode = 0600 });
	ok(device_sync(&a));
	assert_int_equal(left(&a, "files are damaged"), 2);
	device_recover(&b, r, "b", 1, 1, 0);
	assert_filled(&b, r, "d/old", 2 * MIB, 2);
	assert_filled(&b, r, "sound", 3 * MIB, 1);
	assert_true(f_lookup(&b, "d/old", &at) != 0);
	assert_int_equal(at.mode & 07777, 0600);
	device_close(&b);
	rig_remove(r, "b");

	f_unlink(&a, "d/old");
	f_fill(&a, "sound", 0, 4096, 9); /* the damaged block, whole */
	end_whole(&a, r, &k);
}

/* As most programs save: the file is cut to nothing, and written anew. */
static void a_file_that_was_cut_before_is_committed_whole(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct disk k;

	begin(&a, r, &k);
	f_write(&a, "d/tiny", 0, "tiny", 4);
	f_write(&a, "d/none", 0, "", 0);
	ok(device_sync(&a));
	f_truncate(&a, "old", 0);
	f_truncate(&a, "sound", 100);
	f_truncate(&a, "d/tiny", 2);
	f_fill(&a, "old", 0, 2 * MIB, 7);
	f_fill(&a, "sound", 8192, 2 * MIB, 8);
	f_fill(&a, "d/tiny", 0, 2 * MIB, 9);
	f_fill(&a, "d/none", 0, 2 * MIB, 9);
	again(&a, &k);
	ok(device_sync(&a));
	assert_int_equal(left(&a, "4 files"), 4);
	device_recover(&b, r, "b", 1, 1, 0);
	assert_filled(&b, r, "old", 2 * MIB, 2);
	assert_filled(&b, r, "sound", 3 * MIB, 1);
	f_write(&b, "d/tiny", 4, "!", 1);
	{
		uint8_t got[16];
		size_t n = 0;

		ok(f_read(&b, "d/tiny", 0, got, sizeof(got), &n));
		assert_int_equal(n, 5);
		assert_memory_equal(got, "tiny!", 5);
		ok(f_read(&b, "d/none", 0, got, sizeof(got), &n));
		assert_int_equal(n, 0);
	}
	device_close(&b);
	device_close(&a);
	disk_fini(&k);
}

static void all_names_of_a_damaged_file_share_its_fate(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct disk k;

	begin(&a, r, &k);
	f_link(&a, "old", "d/old");
	f_fill(&a, "old", 0, 4096, 7);
	f_fill(&a, "new", 0, 2 * MIB, 3);
	f_link(&a, "new", "d/new");
	again(&a, &k);
	ok(device_sync(&a));
	assert_int_equal(left(&a, "2 files"), 2);
	device_recover(&b, r, "b", 1, 1, 0);
	assert_false(is_there(&b, "new"));
	assert_false(is_there(&b, "d/new"));
	assert_filled(&b, r, "old", 2 * MIB, 2);
	assert_filled(&b, r, "d/old", 2 * MIB, 2);
	device_close(&b);
	rig_remove(r, "b");
	f_unlink(&a, "new");
	f_fill(&a, "d/new", 0, 2 * MIB, 4);
	f_fill(&a, "old", 0, 4096, 5);
	end_whole(&a, r, &k);
}

/* What is remembered of a large folder knows nothing of who was left out. */
static void a_damaged_file_comes_back_into_a_large_folder(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct disk k;
	char name[64], *want;

	begin(&a, r, &k);
	for (unsigned i = 0; i < 1500; i++) {
		(void)snprintf(name, sizeof(name), "d/a name that is long %u", i);
		f_write(&a, name, 0, "x", 1);
	}
	ok(device_sync(&a));
	f_fill(&a, "d/new", 0, 2 * MIB, 3);
	again(&a, &k);
	ok(device_sync(&a));
	assert_int_equal(left(&a, "/d/new"), 1);
	f_write(&a, "d/a name that is long 7", 0, "y", 1);
	ok(device_sync(&a));
	device_recover(&b, r, "b", 1, 1, 0);
	assert_false(is_there(&b, "d/new"));
	device_close(&b);
	rig_remove(r, "b");
	f_fill(&a, "d/new", 0, 2 * MIB, 3);
	ok(device_sync(&a));
	want = tree_text(&a);
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
	disk_fini(&k);
}

static uint64_t built(struct device *d)
{
	struct onboard_stats s;

	onboard_stats(d->onboard, &s);
	return s.built;
}

static void a_damaged_file_alone_makes_no_commit_but_one_that_is_due(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct disk k;
	uint64_t n;

	begin(&a, r, &k);
	f_fill(&a, "new", 0, 2 * MIB, 3);
	again(&a, &k);
	ok(device_sync(&a));
	n = built(&a);
	ok(device_sync(&a));
	ok(device_sync(&a));
	assert_int_equal(built(&a), n);
	assert_int_equal(left(&a, "/new"), 1);
	ok(ledger_set_u64(a.ledger, LEDGER_RENEW, 1));
	ok(device_sync(&a));
	assert_int_equal(built(&a), n + 1);
	/* The disk can read it after all: somebody who asks gets it. */
	device_close(&a);
	rot(&k);
	device_open(&a);
	device_start(&a);
	ok(device_sync(&a));
	assert_int_equal(left(&a, ""), 0);
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	assert_filled(&b, r, "new", 2 * MIB, 3);
	device_close(&b);
	disk_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_damaged_new_file_is_left_out_and_all_else_is_committed),
		T(a_damaged_file_is_committed_as_it_was_before),
		T(a_file_that_was_cut_before_is_committed_whole),
		T(all_names_of_a_damaged_file_share_its_fate),
		T(a_damaged_file_comes_back_into_a_large_folder),
		T(a_damaged_file_alone_makes_no_commit_but_one_that_is_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
