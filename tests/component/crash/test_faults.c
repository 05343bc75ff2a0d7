/*
 * test_faults.c - failing calls, no memory, full disks, damage and prying eyes
 */
#include "model.h"

#include <stdio.h>

#include "base/log.h"
#include "helper/nomem.h"

#define N (300u * 1024)
static uint8_t text[N], back[N];

static bool holds(struct drive *d, uint64_t ino, unsigned version)
{
	size_t n = 0;

	pattern(text, N, 0, version);
	return try_get(d, ino, 0, back, N, &n) == 0 && n == N &&
	       memcmp(text, back, N) == 0;
}

/* ---- allocation faults ---- */

/* Operations that are tried in turn; one that fails has done nothing. */
static int act(struct drive *d, int step)
{
	struct cache_setattr s = { .mask = CACHE_SET_SIZE, .size = 5000 };
	struct cache_new n = { .mode = S_IFREG | 0644 };
	struct cache_op op = { 0 };
	struct cache_attr a;
	uint64_t ino = 0, got;
	int r;

	r = cache_lookup(d->c, &op, 1, slice_str("f"), &a);
	if (r == 0) {
		ino = a.ino;
		cache_forget(d->c, ino, 1);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	switch (step) {
	case 0: return cache_mknod(d->c, &op, 1, slice_str("g"), &n, &a);
	case 1: return try_put(d, ino, 3000, text, 6000);
	case 2: return try_put(d, ino, 0, text, N);
	case 3: return cache_sync(d->c);
	case 4: return cache_setattr(d->c, &op, ino, &s, &a);
	case 5: return cache_link(d->c, &op, ino, 1, slice_str("h"), &a);
	case 6:
		return cache_rename(d->c, &op, 1, slice_str("h"), 1,
				    slice_str("g"), 0);
	case 7:
		return cache_setxattr(d->c, &op, ino, slice_str("user.x"),
				      slice_str("y"), 0);
	case 8:
		return cache_copy_range(d->c, &op, ino, 0, ino, 1u << 20, 4096,
					&got);
	case 9: return cache_unlink(d->c, &op, 1, slice_str("g"));
	case 10: return cache_sync(d->c);
	default: return -ENOSYS;
	}
}
#define N_ACTS 11

static void no_memory_anywhere_fails_one_operation_and_hurts_nothing(void **state)
{
	struct drive d;

	(void)state;
	drive_new(&d);
	drive_open(&d);
	pattern(text, N, 0, 1);
	put(&d, mk(&d, 1, "keep", S_IFREG | 0644), 0, text, N);
	put(&d, mk(&d, 1, "f", S_IFREG | 0644), 0, text, N);
	assert_int_equal(cache_sync(d.c), 0);
	for (int step = 0; step < N_ACTS; step++) {
		for (long n = 0;; n++) {
			bool hit;
			int r;

			nomem_arm(NOMEM_THREAD, n);
			r = act(&d, step);
			hit = nomem_disarm();
			if (r < 0)
				assert_true(r == -ENOMEM || r == -EIO);
			if (r == 0)
				break;
			assert_true(hit);
			assert_true(n < 1000);
		}
	}
	assert_true(holds(&d, look(&d, 1, "keep"), 1));
	drive_again(&d);
	assert_true(holds(&d, look(&d, 1, "keep"), 1));
	assert_int_equal(look(&d, 1, "g"), 0);
	assert_int_equal(attr(&d, look(&d, 1, "f")).nlink, 1);
	drive_free(&d);
}

static uint64_t promised(struct drive *d)
{
	struct cache_stats s;

	cache_stats(d->c, &s);
	return s.reserved_bytes;
}

static void a_write_that_finds_no_memory_leaves_its_promise(void **state)
{
	struct cache_op op = { 0 };
	struct drive d;
	unsigned n_hit = 0;
	uint64_t ino, had;
	int r = -ENOMEM;

	(void)state;
	drive_new(&d);
	drive_open(&d);
	pattern(text, N, 0, 1);
	ino = mk(&d, 1, "f", S_IFREG | 0644);
	assert_int_equal(cache_fallocate(d.c, &op, ino, 0, 0, N), 0);
	/* many promises, each between data */
	for (uint64_t at = CACHE_BLOCK; at < N; at += 2 * (uint64_t)CACHE_BLOCK)
		put(&d, ino, at, text + at, CACHE_BLOCK);
	assert_int_equal(cache_sync(d.c), 0);
	had = promised(&d);
	assert_true(had > 30 * (uint64_t)CACHE_BLOCK);
	for (long n = 0; r < 0; n++) {
		nomem_arm(NOMEM_THREAD, n);
		r = try_put(&d, ino, 100, text + 100, N - 200);
		n_hit += nomem_disarm();
		if (r < 0) {
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(promised(&d), had);
		}
	}
	assert_true(n_hit > 5);
	assert_int_equal(promised(&d), 0);
	put(&d, ino, 0, text, N);
	drive_again(&d);
	assert_true(holds(&d, look(&d, 1, "f"), 1));
	drive_free(&d);
}

/* ---- failing calls of the disk ---- */

/*
 * The nth call of these kinds fails while files are made and synced.  What was
 * acknowledged before is there after a remount; what a failed sync did not
 * acknowledge may be.
 */
static bool sweep_one(unsigned kinds, uint64_t nth, int err)
{
	bool acked[6] = { false };
	struct drive d, found;
	struct recorder_cut cut;
	char name[16];
	bool was_hit;

	drive_new(&d);
	drive_open(&d);
	recorder_fail(d.rec, kinds, nth, err, false);
	for (unsigned k = 0; k < 6; k++) {
		uint64_t ino;

		(void)snprintf(name, sizeof(name), "s%u", k);
		if (try_mk(&d, 1, name, S_IFREG | 0644, &ino) < 0)
			continue;
		pattern(text, N, 0, k);
		if (try_put(&d, ino, 0, text, k % 2 ? N : 5000) == 0 &&
		    try_put(&d, ino, 0, text, N) == 0 && cache_sync(d.c) == 0)
			acked[k] = true;
	}
	was_hit = recorder_failed(d.rec) > 0;
	recorder_fail(d.rec, 0, 0, 0, false);
	cut = (struct recorder_cut){ recorder_length(d.rec), RECORDER_ALL, 0 };
	drive_cut(&d, &cut, &found);
	for (unsigned k = 0; k < 6; k++) {
		(void)snprintf(name, sizeof(name), "s%u", k);
		if (acked[k])
			assert_true(holds(&found, look(&found, 1, name), k));
	}
	drive_free(&found);
	drive_free(&d);
	return was_hit;
}

static void a_failing_call_of_the_disk_loses_nothing_acknowledged(void **state)
{
	static const int errs[] = { EIO, ENOSPC };

	(void)state;
	for (size_t e = 0; e < ARRAY_LEN(errs); e++) {
		unsigned kinds = RECORDER_WRITE | RECORDER_SYNC |
				 RECORDER_ALLOCATE | RECORDER_SYNCDIR |
				 RECORDER_OPEN;

		for (uint64_t n = 0; sweep_one(kinds, n, errs[e]); n++)
			assert_true(n < 2000);
	}
}

static void a_failing_commit_makes_the_drive_read_only_and_says_so(void **state)
{
	struct cache_stats s;
	struct drive d;
	uint64_t ino, x;

	(void)state;
	drive_new(&d);
	drive_open(&d);
	pattern(text, N, 0, 1);
	ino = mk(&d, 1, "f", S_IFREG | 0644);
	put(&d, ino, 0, text, N);
	assert_int_equal(cache_sync(d.c), 0);
	assert_int_equal(try_mk(&d, 1, "lost", S_IFREG | 0644, &x), 0);
	recorder_fail(d.rec, RECORDER_SYNC, 0, EIO, true);
	assert_int_equal(cache_sync(d.c), -EIO);
	cache_stats(d.c, &s);
	assert_true(s.failed);
	assert_true(strlen(s.why) > 20);
	assert_int_equal(try_mk(&d, 1, "more", S_IFREG | 0644, &x), -EROFS);
	assert_int_equal(cache_sync(d.c), -EIO);
	assert_true(holds(&d, ino, 1)); /* reading goes on */
	recorder_fail(d.rec, 0, 0, 0, false);
	assert_int_equal(cache_close(d.c), -EROFS);
	drive_open(&d);
	assert_true(holds(&d, look(&d, 1, "f"), 1));
	drive_free(&d);
}

/* A second fdatasync succeeds though the bytes of the first are gone: the kernel says it
 * once.  The nth from here fails; that of what is sealed with the lock is the second. */
static void fail_one_sync(uint64_t nth)
{
	struct drive d;
	uint64_t ino, x;

	drive_new(&d);
	drive_open(&d);
	pattern(text, N, 0, 1);
	ino = mk(&d, 1, "f", S_IFREG | 0644);
	put(&d, ino, 0, text, N);
	assert_int_equal(cache_sync(d.c), 0);
	pattern(text, N, 0, 2);
	put(&d, ino, 0, text, 16 * 4096);
	put(&d, ino, 20 * 4096, text, 100);
	recorder_fail(d.rec, RECORDER_SYNC, nth, EIO, false);
	assert_int_equal(cache_sync(d.c), -EIO);
	assert_int_equal(recorder_failed(d.rec), 1);
	assert_int_equal(cache_sync(d.c), -EIO);
	assert_int_equal(try_mk(&d, 1, "more", S_IFREG | 0644, &x), -EROFS);
	assert_int_equal(cache_close(d.c), -EROFS);
	drive_open(&d);
	assert_true(holds(&d, look(&d, 1, "f"), 1));
	drive_free(&d);
}

static void data_that_failed_to_be_synced_is_never_taken_for_safe(void **state)
{
	(void)state;
	fail_one_sync(0);
	fail_one_sync(1);
}

/* ---- a full disk ---- */

static void rm_works_on_a_full_disk_and_gives_room(void **state)
{
	struct drive d;
	uint64_t ino = 0;
	char name[16];
	unsigned n = 0;
	int r = 0;

	(void)state;
	drive_new(&d);
	drive_open(&d);
	recorder_limit(d.rec, 100u << 20); /* the floor takes 64 MiB */
	pattern(text, N, 0, 1);
	for (; r == 0 && n < 1000; n++) {
		(void)snprintf(name, sizeof(name), "f%u", n);
		r = try_mk(&d, 1, name, S_IFREG | 0644, &ino);
		while (r == 0 && (r = try_put(&d, ino, 0, text, N)) == -EINPROGRESS) {
			struct cache_op op = { .miss = { .kind = CACHE_MISS_ROOM,
							 .n = N } };

			r = fetch_wait(&d, &op, 0);
		}
		if (r == 0)
			r = cache_sync(d.c);
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(n > 20 && n < 1000);
	/* something else takes the very last bytes of the disk */
	recorder_limit(d.rec, recorder_used(d.rec));
	for (unsigned k = 0; k < 20; k++) {
		(void)snprintf(name, sizeof(name), "f%u", k);
		rm(&d, 1, name);
		forget(&d, ino - n + 1 + k);
	}
	assert_int_equal(cache_sync(d.c), 0);
	for (unsigned k = 20; k < n - 1; k++) {
		(void)snprintf(name, sizeof(name), "f%u", k);
		assert_true(holds(&d, look(&d, 1, name), 1));
	}
	drive_free(&d);
}

/* ---- damage ---- */

static void flipped_bits_give_errors_never_other_data(void **state)
{
	static const char *const files[] = { "drive.db", "data/00000001" };
	struct drive d;
	unsigned n_refused = 0;

	(void)state;
	drive_new(&d);
	drive_open(&d);
	pattern(text, N, 0, 1);
	put(&d, mk(&d, 1, "f", S_IFREG | 0644), 0, text, N);
	drive_close(&d);
	for (size_t f = 0; f < ARRAY_LEN(files); f++) {
		int64_t size = recorder_size(d.rec, files[f]);

		assert_true(size > 0);
		for (int k = 0; k < 150; k++) {
			uint64_t at = (uint64_t)k * 7919 * 13 % (uint64_t)size;
			struct cache_op op = { 0 };
			struct err e = { 0 };
			struct cache_attr a;
			size_t n = 0;
			int r;

			assert_int_equal(recorder_flip(d.rec, files[f], at, 0x10),
					 0);
			r = cache_open(&d.p, &d.c, &e);
			if (r == 0)
				r = cache_lookup(d.c, &op, 1, slice_str("f"), &a);
			if (r == 0) {
				assert_int_equal(a.size, N);
				r = cache_read(d.c, &op, a.ino, 0, back, N, &n);
			}
			if (r == 0) {
				assert_int_equal(n, N);
				assert_memory_equal(text, back, N);
			} else {
				assert_true(r == -EIO || r == -EUCLEAN);
				n_refused++;
			}
			/* nothing of the damage may be written over the good */
			(void)cache_close(d.c);
			d.c = NULL;
			assert_int_equal(recorder_flip(d.rec, files[f], at, 0x10),
					 0);
			drive_open(&d);
			if (!holds(&d, look(&d, 1, "f"), 1))
				fail_msg("%s byte %llu: not mended by mending",
					 files[f], (unsigned long long)at);
			drive_close(&d);
		}
	}
	assert_true(n_refused > 20);
	drive_open(&d);
	drive_free(&d);
}

static void a_bad_slot_is_found_and_set_aside_by_the_check(void **state)
{
	struct drive d;
	struct err e = { 0 };
	uint64_t ino;
	size_t n;

	(void)state;
	drive_new(&d);
	drive_open(&d);
	pattern(text, N, 0, 1);
	ino = mk(&d, 1, "f", S_IFREG | 0644);
	put(&d, ino, 0, text, N);
	assert_int_equal(cache_sync(d.c), 0);
	assert_int_equal(recorder_flip(d.rec, "data/00000001",
				       (uint64_t)recorder_size(d.rec, "data/00000001") -
					       127 * 4096,
				       1),
			 0);
	assert_int_equal(try_get(&d, ino, 0, back, N, &n), -EIO);
	assert_int_equal(cache_check(d.c, false, NULL, NULL, &e), 1);
	assert_int_equal(cache_check(d.c, true, NULL, NULL, &e), 0);
	assert_int_equal(try_get(&d, ino, 0, back, N, &n), -EIO);
	put(&d, ino, 0, text, N);
	assert_true(holds(&d, ino, 1));
	assert_int_equal(cache_check(d.c, false, NULL, NULL, &e), 0);
	drive_again(&d);
	assert_true(holds(&d, look(&d, 1, "f"), 1));
	drive_free(&d);
}

/* ---- prying eyes (I9) ---- */

static void nothing_known_is_found_in_the_drive_directory(void **state)
{
	static const char *const secrets[] = { "a-very-secret-name",
					       "the content of a secret file",
					       "user.secretattr",
					       "secret value", "the target" };
	struct cache_op op = { 0 };
	struct drive d;
	uint64_t ino;

	(void)state;
	drive_new(&d);
	drive_open(&d);
	ino = mk(&d, 1, secrets[0], S_IFREG | 0644);
	put(&d, ino, 0, secrets[1], strlen(secrets[1]));
	for (size_t k = 0; k + 32 < N; k += 32)
		memcpy(text + k, "the content of a secret file....", 32);
	put(&d, ino, 4096, text, N);
	assert_int_equal(cache_setxattr(d.c, &op, ino, slice_str(secrets[2]),
					slice_str(secrets[3]), 0),
			 0);
	(void)mk(&d, 1, "link", S_IFLNK | 0777);
	assert_int_equal(cache_sync(d.c), 0);
	drive_close(&d);
	for (size_t k = 0; k < ARRAY_LEN(secrets); k++)
		assert_false(recorder_contains(d.rec, slice_str(secrets[k])));
	drive_open(&d);
	drive_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			no_memory_anywhere_fails_one_operation_and_hurts_nothing),
		cmocka_unit_test(a_write_that_finds_no_memory_leaves_its_promise),
		cmocka_unit_test(a_failing_call_of_the_disk_loses_nothing_acknowledged),
		cmocka_unit_test(
			a_failing_commit_makes_the_drive_read_only_and_says_so),
		cmocka_unit_test(data_that_failed_to_be_synced_is_never_taken_for_safe),
		cmocka_unit_test(rm_works_on_a_full_disk_and_gives_room),
		cmocka_unit_test(flipped_bits_give_errors_never_other_data),
		cmocka_unit_test(a_bad_slot_is_found_and_set_aside_by_the_check),
		cmocka_unit_test(nothing_known_is_found_in_the_drive_directory),
	};

	log_level_set(LOG_LEVEL_ERROR); /* damage is announced loudly */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
