/*
 * test_provider_out.c - how a piece reaches the medium of a folder
 *
 * Somebody works on the mount or not, as the test says.  Here sync_file_range() notes what it is asked, and takes as long as a medium that
 * is far away would, if it is to wait for it.
 */
#include "common.h"

#include <string.h>
#include <unistd.h>

#define SIZE (16u << 20)

static struct {
	unsigned n, n_waits;
	int64_t most; /* bytes that one call begins with */
	unsigned first_how;
	unsigned takes_us;
	int fails_at; /* this call, with EIO; 0: none */
	bool busy;
} seen;

bool __wrap_thread_foreground_busy(void);

int __wrap_sync_file_range(int fd, off64_t off, off64_t n, unsigned how);

int __wrap_sync_file_range(int fd, off64_t off, off64_t n, unsigned how)
{
	bool waits = how & SYNC_FILE_RANGE_WAIT_AFTER;

	(void)fd;
	(void)off;
	if (seen.n++ == 0)
		seen.first_how = how;
	seen.n_waits += waits;
	if (!(how & SYNC_FILE_RANGE_WAIT_BEFORE) && n > seen.most)
		seen.most = n;
	if (seen.fails_at && seen.n == (unsigned)seen.fails_at) {
		errno = EIO;
		return -1;
	}
	if (waits && seen.takes_us)
		(void)usleep(seen.takes_us); /* what the medium takes */
	return 0;
}

bool __wrap_thread_foreground_busy(void)
{
	return seen.busy;
}

static int put_one(struct fixture *f, bool busy, unsigned takes_us, int fails_at)
{
	struct piece_cid cid = make_piece(f, "piece", 7, SIZE);

	memset(&seen, 0, sizeof(seen));
	seen.busy = busy;
	seen.takes_us = takes_us;
	seen.fails_at = fails_at;
	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	return put(f->p, f, "piece", &cid, SIZE);
}

static void while_somebody_works_a_piece_is_written_a_little_at_a_time(void **state)
{
	assert_int_equal(put_one(*state, true, 0, 0), 0);
	assert_int_equal(seen.first_how,
			 SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	assert_true(seen.n >= SIZE / IO_CALM);
	assert_true(seen.most == IO_CALM);
}

static void while_nobody_works_the_medium_is_kept_busy(void **state)
{
	assert_int_equal(put_one(*state, false, 0, 0), 0);
	assert_true(seen.n >= SIZE / IO_CALM);
	assert_int_equal(seen.n_waits, 1); /* for what is two windows behind */
}

static void a_medium_far_away_is_not_waited_for_each_time(void **state)
{
	assert_int_equal(put_one(*state, true, 60000, 0), 0);
	assert_true(seen.n >= SIZE / IO_CALM);
	assert_in_range(seen.n_waits, 1, 4);
}

static void what_does_not_reach_the_medium_is_no_copy(void **state)
{
	struct fixture *f = *state;
	struct piece_cid cid = make_piece(f, "piece", 7, SIZE);

	assert_int_equal(put_one(f, true, 0, 9), -EIO);
	assert_int_equal(size_at(f->p, &cid), -ENOENT);
	assert_int_equal(put_one(f, true, 0, 0), 0);
	assert_true(size_at(f->p, &cid) == SIZE);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(while_somebody_works_a_piece_is_written_a_little_at_a_time),
		CASE(while_nobody_works_the_medium_is_kept_busy),
		CASE(a_medium_far_away_is_not_waited_for_each_time),
		CASE(what_does_not_reach_the_medium_is_no_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
