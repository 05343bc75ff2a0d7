/* test_cache_promise.c - properties of room that fallocate has promised */
#include "common.h"

#include <linux/falloc.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define MIB  (1u << 20)
#define META (4 * MIB)
#define KEEP FALLOC_FL_KEEP_SIZE

static uint8_t a[MIB];
static _Thread_local uint8_t b[MIB];

static void small(struct drive *d)
{
	drive_new(d);
	/* The WAL of no case outgrows this, however its threads run. */
	d->p.meta_floor_bytes = META;
	d->p.max_bytes = 15 * MIB + META;
	drive_open(d);
}

static int setup(void **state)
{
	struct drive *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	small(d);
	pattern(a, MIB, 0, 1);
	*state = d;
	return 0;
}

static uint64_t promised(struct drive *d)
{
	struct cache_stats s;

	cache_stats(d->c, &s);
	return s.reserved_bytes;
}

static uint64_t bytes_free(struct drive *d)
{
	struct cache_statfs st;

	assert_int_equal(cache_statfs(d->c, &st), 0);
	return st.free * CACHE_BLOCK;
}

/* Of the disk, for data; what others write there does not count. */
static uint64_t bytes_taken(struct drive *d)
{
	struct cache_stats s;

	cache_stats(d->c, &s);
	return s.disk_bytes;
}

static int try_alloc(struct drive *d, uint64_t ino, int mode, uint64_t off,
		     uint64_t n)
{
	struct cache_op op = { 0 };

	return cache_fallocate(d->c, &op, ino, mode, off, n);
}

static void alloc(struct drive *d, uint64_t ino, int mode, uint64_t off, uint64_t n)
{
	assert_int_equal(try_alloc(d, ino, mode, off, n), 0);
}

static uint64_t file(struct drive *d, const char *name)
{
	return mk(d, 1, name, S_IFREG | 0644);
}

/* Others take what there is, down to the last block. */
static void fill_up(struct drive *d)
{
	uint64_t ino = file(d, "others"), n = 0, step = 65536;
	int r;

	for (;;) {
		while ((r = try_put(d, ino, n, a, step)) == 0)
			n += step;
		assert_true(r == -EINPROGRESS || r == -ENOSPC);
		if (step == CACHE_BLOCK)
			break;
		step = CACHE_BLOCK;
	}
	assert_int_equal(cache_sync(d->c), 0);
}

static void expect_zeros(struct drive *d, uint64_t ino, uint64_t off, size_t n)
{
	assert_int_equal(get(d, ino, off, b, n), n);
	for (size_t k = 0; k < n; k++)
		assert_int_equal(b[k], 0);
}

/* [0, end) of ino, in writes of all sizes. */
static void write_to(struct drive *d, uint64_t ino, uint64_t end)
{
	static const size_t sizes[] = { 100, 4096, 5000, 61440, 300001, 1u << 20 };
	uint64_t at = 0;

	for (unsigned k = 0; at < end; k++) {
		size_t n = MIN(sizes[k % ARRAY_LEN(sizes)], end - at);

		put(d, ino, at, a, n);
		if (k % 3 == 0)
			assert_int_equal(get(d, ino, at, b, n), n);
		at += n;
	}
}

static void write_all(struct drive *d, uint64_t ino)
{
	write_to(d, ino, 4 * MIB);
}

static void a_promised_range_can_be_written_when_nothing_else_can(void **state)
{
	struct drive *d = *state;
	uint64_t ino = file(d, "f");

	alloc(d, ino, 0, 0, 4 * MIB);
	fill_up(d);
	write_all(d, ino);
	assert_int_equal(promised(d), 0);
	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(get(d, ino, 0, b, 100), 100);
	assert_memory_equal(a, b, 100);
}

/* As the kernel hands on a write that begins inside of a page. */
static void put_in_two(struct drive *d, uint64_t ino, uint64_t off, size_t n)
{
	size_t head = align_up(off, CACHE_BLOCK) - off;

	if (head > 0 && head < n)
		put(d, ino, off, a, head);
	else
		head = 0;
	put(d, ino, off + head, a, n - head);
}

/* Its first half is sealed and committed by then. */
static void the_second_half_of_a_block_has_its_room_too(void **state)
{
	static const size_t sizes[] = { 300001, 70001, 9001, 2000 };
	const uint64_t end = 4 * MIB - 500;
	struct drive *d = *state;
	uint64_t ino = file(d, "f"), at = 0;

	alloc(d, ino, 0, 0, end);
	fill_up(d);
	for (unsigned k = 0; at < end; k++) {
		size_t n = MIN(sizes[k % ARRAY_LEN(sizes)], end - at);

		put_in_two(d, ino, at, n);
		at += n;
		if (end - at < CACHE_BLOCK && end - at > 1000) { /* and of the last one */
			assert_int_equal(cache_sync(d->c), 0);
			put(d, ino, at, a, 1000);
			at += 1000;
		}
		assert_int_equal(cache_sync(d->c), 0);
	}
	assert_int_equal(promised(d), 0);
}

static void a_promise_has_its_room_on_the_disk_too(void **state)
{
	struct drive *d = *state;
	uint64_t ino = file(d, "f");

	alloc(d, ino, 0, 0, 4 * MIB);
	assert_int_equal(cache_sync(d->c), 0);
	/* the disk is full, but for what the database's WAL takes */
	recorder_limit(d->rec, recorder_used(d->rec) + MIB);
	write_all(d, ino);
	assert_int_equal(cache_sync(d->c), 0);
}

static void *write_all_of(void *arg)
{
	struct drive *d = arg;

	write_to(d, look(d, 1, "f"), 2 * MIB);
	return NULL;
}

/* The committer gives back what is too much, and seals for itself. */
static void promises_are_kept_while_others_use_theirs(void **state)
{
	pthread_t t;

	(void)state;
	for (int k = 0; k < 10; k++) {
		struct drive d = { 0 };
		uint64_t f, g;

		small(&d);
		f = file(&d, "f");
		g = file(&d, "g");
		alloc(&d, f, 0, 0, 2 * MIB);
		alloc(&d, g, 0, 0, 2 * MIB);
		assert_int_equal(cache_sync(d.c), 0);
		recorder_limit(d.rec, recorder_used(d.rec) + MIB);
		assert_int_equal(pthread_create(&t, NULL, write_all_of, &d), 0);
		write_to(&d, g, 2 * MIB);
		assert_int_equal(pthread_join(t, NULL), 0);
		assert_int_equal(cache_sync(d.c), 0);
		drive_free(&d);
	}
}

struct one_write {
	struct drive *d;
	uint64_t ino;
	pthread_barrier_t *begin;
};

static void *write_one(void *arg)
{
	struct one_write *x = arg;

	(void)pthread_barrier_wait(x->begin);
	put(x->d, x->ino, 0, a, MIB);
	return NULL;
}

static void two_may_write_the_same_promised_range_at_once(void **state)
{
	struct drive *d = *state;
	uint64_t ino = file(d, "f"), most = bytes_taken(d) + 8 * MIB;
	pthread_barrier_t begin;
	struct one_write x = { d, ino, &begin };
	pthread_t t;

	assert_int_equal(pthread_barrier_init(&begin, NULL, 2), 0);
	recorder_limit(d->rec, recorder_used(d->rec) + 64 * MIB);
	for (int k = 0; k < 100; k++) {
		alloc(d, ino, 0, 0, MIB);
		assert_int_equal(pthread_create(&t, NULL, write_one, &x), 0);
		(void)write_one(&x);
		assert_int_equal(pthread_join(t, NULL), 0);
		assert_int_equal(promised(d), 0);
		assert_true(bytes_taken(d) <= most);
		cut_to(d, ino, 0);
		assert_int_equal(cache_sync(d->c), 0);
	}
	(void)pthread_barrier_destroy(&begin); /* cannot fail */
}

/* More second halves than there are slots kept for who may not fail. */
static void many_files_on_a_full_disk_get_their_second_halves(void **state)
{
	struct drive *d = *state;
	uint64_t ino[100], g = file(d, "g");
	char name[8];

	for (unsigned k = 0; k < ARRAY_LEN(ino); k++) {
		(void)snprintf(name, sizeof(name), "f%u", k);
		ino[k] = file(d, name);
		alloc(d, ino[k], 0, 0, 3 * CACHE_BLOCK);
	}
	alloc(d, g, 0, 0, MIB);
	recorder_limit(d->rec, recorder_used(d->rec) + MIB);
	fill_up(d);
	for (unsigned at = 0; at < 3 * CACHE_BLOCK; at += CACHE_BLOCK / 2) {
		for (unsigned k = 0; k < ARRAY_LEN(ino); k++)
			put(d, ino[k], at, a + at, CACHE_BLOCK / 2);
		put(d, g, 32ull * at, a, 32 * CACHE_BLOCK / 2); /* so they are sealed */
		assert_int_equal(cache_sync(d->c), 0);
	}
	for (unsigned k = 0; k < ARRAY_LEN(ino); k++) {
		assert_int_equal(get(d, ino[k], 0, b, 3 * CACHE_BLOCK),
				 3 * CACHE_BLOCK);
		assert_memory_equal(b, a, 3 * CACHE_BLOCK);
	}
}

static void a_promise_outlives_remounts_and_kills(void **state)
{
	struct recorder_cut cut = { .lose = RECORDER_ALL };
	struct drive *d = *state, again;
	uint64_t ino = file(d, "f");

	alloc(d, ino, 0, 0, 4 * MIB);
	assert_int_equal(cache_sync(d->c), 0);
	cut.at = recorder_length(d->rec);
	drive_cut(d, &cut, &again);
	assert_int_equal(promised(&again), 4 * MIB);
	drive_again(&again);
	assert_int_equal(promised(&again), 4 * MIB);
	fill_up(&again);
	drive_again(&again);
	expect_zeros(&again, ino, 0, MIB);
	write_all(&again, ino);
	assert_int_equal(cache_sync(again.c), 0);
	drive_free(&again);
}

static void a_promise_shows_in_st_blocks_and_statfs(void **state)
{
	struct drive *d = *state;
	uint64_t ino = file(d, "f"), before = bytes_taken(d);

	put(d, ino, 0, a, 8192);
	alloc(d, ino, 0, 0, MIB);
	assert_int_equal(attr(d, ino).blocks, MIB / 512);
	assert_int_equal(attr(d, ino).size, MIB);
	assert_int_equal(promised(d), MIB - 8192);
	assert_true(bytes_taken(d) >= before + MIB);
	/* again: nothing more */
	alloc(d, ino, 0, 4096, MIB / 2);
	assert_int_equal(promised(d), MIB - 8192);
	put(d, ino, 0, a, 65536);
	assert_int_equal(attr(d, ino).blocks, MIB / 512);
	assert_int_equal(promised(d), MIB - 65536);
	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(attr(d, ino).blocks, MIB / 512);
	drive_again(d);
	assert_int_equal(attr(d, ino).blocks, MIB / 512);
	assert_int_equal(promised(d), MIB - 65536);
}

static void holes_truncates_and_unlink_end_a_promise(void **state)
{
	struct drive *d = *state;
	uint64_t ino = file(d, "f"), before = bytes_taken(d);
	struct cache_stats s;

	alloc(d, ino, 0, 0, 4 * MIB);
	assert_true(bytes_taken(d) >= before + 4 * MIB);
	alloc(d, ino, FALLOC_FL_PUNCH_HOLE | KEEP, MIB, MIB);
	assert_int_equal(promised(d), 3 * MIB);
	cut_to(d, ino, MIB / 2);
	assert_int_equal(promised(d), MIB / 2);
	assert_int_equal(attr(d, ino).blocks, MIB / 2 / 512);
	rm(d, 1, "f");
	forget(d, ino);
	assert_int_equal(promised(d), 0);
	assert_int_equal(cache_sync(d->c), 0);
	cache_stats(d->c, &s);
	assert_int_equal(s.used_bytes, 0);
}

static void room_behind_the_end_stays_until_a_truncate(void **state)
{
	struct drive *d = *state;
	uint64_t ino = file(d, "f");

	put(d, ino, 0, a, 100);
	alloc(d, ino, KEEP, 0, MIB);
	assert_int_equal(attr(d, ino).size, 100);
	assert_int_equal(promised(d), MIB - 4096);
	put(d, ino, 100, a, 10000);
	assert_int_equal(promised(d), MIB - 3 * 4096);
	cut_to(d, ino, 20000); /* growing takes nothing away */
	assert_int_equal(promised(d), MIB - 3 * 4096);
	expect_zeros(d, ino, 10100, 9900);
	cut_to(d, ino, 20000);
	assert_int_equal(promised(d), 2 * 4096);
	alloc(d, ino, KEEP, 0, MIB);
	alloc(d, ino, FALLOC_FL_PUNCH_HOLE | KEEP, 0, 2 * MIB);
	assert_int_equal(promised(d), 0);
	assert_int_equal(attr(d, ino).blocks, 0);
}

static void a_promise_reads_as_a_hole(void **state)
{
	struct drive *d = *state;
	struct cache_op op = { 0 };
	uint64_t ino = file(d, "f"), at = 0;

	put(d, ino, 8192, a, 4096);
	alloc(d, ino, 0, 0, 65536);
	expect_zeros(d, ino, 0, 8192);
	expect_zeros(d, ino, 12288, 65536 - 12288);
	assert_int_equal(cache_lseek(d->c, &op, ino, 0, SEEK_DATA, &at), 0);
	assert_int_equal(at, 8192);
	assert_int_equal(cache_lseek(d->c, &op, ino, 8192, SEEK_HOLE, &at), 0);
	assert_int_equal(at, 12288);
	assert_int_equal(cache_lseek(d->c, &op, ino, 12288, SEEK_DATA, &at), -ENXIO);
}

static void more_than_there_is_is_refused_and_changes_nothing(void **state)
{
	struct drive *d = *state;
	uint64_t ino = file(d, "f"), before = bytes_taken(d);
	uint64_t room = bytes_free(d) + (64ull << 30); /* others write, too */

	assert_int_equal(try_alloc(d, ino, 0, 0, room), -ENOSPC);
	assert_int_equal(try_alloc(d, ino, FALLOC_FL_ZERO_RANGE, 0, 1ull << 40),
			 -ENOSPC);
	assert_int_equal(attr(d, ino).size, 0);
	assert_int_equal(attr(d, ino).blocks, 0);
	assert_int_equal(promised(d), 0);
	assert_int_equal(bytes_taken(d), before);
}

static void a_zeroed_range_keeps_its_room(void **state)
{
	struct drive *d = *state;
	uint64_t ino = file(d, "f");

	put(d, ino, 0, a, MIB);
	alloc(d, ino, FALLOC_FL_ZERO_RANGE, 0, 2 * MIB);
	assert_int_equal(attr(d, ino).size, 2 * MIB);
	assert_int_equal(promised(d), 2 * MIB);
	assert_int_equal(attr(d, ino).blocks, 2 * MIB / 512);
	expect_zeros(d, ino, 0, MIB);
	assert_int_equal(cache_sync(d->c), 0);
	alloc(d, ino, KEEP, 0, 4 * MIB);
	fill_up(d);
	write_all(d, ino);
}

static void a_copy_does_not_take_a_promise_along(void **state)
{
	struct drive *d = *state;
	struct cache_op op = { 0 };
	uint64_t ino = file(d, "f"), to = file(d, "g"), n = 0;

	put(d, ino, 0, a, 65536);
	alloc(d, ino, 0, 0, MIB);
	assert_int_equal(cache_copy_range(d->c, &op, ino, 0, to, 0, MIB, &n), 0);
	assert_int_equal(n, MIB);
	assert_int_equal(promised(d), MIB - 65536);
	assert_int_equal(attr(d, to).blocks, 65536 / 512);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, drive_teardown)
	const struct CMUnitTest tests[] = {
		T(a_promised_range_can_be_written_when_nothing_else_can),
		T(the_second_half_of_a_block_has_its_room_too),
		T(a_promise_has_its_room_on_the_disk_too),
		T(promises_are_kept_while_others_use_theirs),
		T(two_may_write_the_same_promised_range_at_once),
		T(many_files_on_a_full_disk_get_their_second_halves),
		T(a_promise_outlives_remounts_and_kills),
		T(a_promise_shows_in_st_blocks_and_statfs),
		T(holes_truncates_and_unlink_end_a_promise),
		T(room_behind_the_end_stays_until_a_truncate),
		T(a_promise_reads_as_a_hole),
		T(more_than_there_is_is_refused_and_changes_nothing),
		T(a_zeroed_range_keeps_its_room),
		T(a_copy_does_not_take_a_promise_along),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
