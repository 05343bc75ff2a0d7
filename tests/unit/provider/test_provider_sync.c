/*
 * test_provider_sync.c - in which order a folder's files reach the medium
 *
 * What is here stands for a power cut: a name whose bytes were not synced before it
 * may be there without them, and one whose folder was not synced after it may be gone.
 * To read a piece back does not tell: it comes from memory.
 */
#include "common.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What happened: "f" a file is synced, "d" a folder; "n" a file gets its name, "r"
 * one is removed. */
static struct {
	char log[64];
	size_t n;
	unsigned n_syncs, fails_at; /* this sync, with EIO; 0: none */
	bool no_links;              /* as vfat */
} seen;

int __real_linkat(int from, const char *a, int to, const char *b, int flags);
int __wrap_linkat(int from, const char *a, int to, const char *b, int flags);
int __real_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b);
int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

static void note(char what)
{
	if (seen.n + 1 < sizeof(seen.log))
		seen.log[seen.n++] = what;
}

int __wrap_linkat(int from, const char *a, int to, const char *b, int flags)
{
	note('n');
	if (seen.no_links) { /* renameat2() does it */
		errno = EPERM;
		return -1;
	}
	return __real_linkat(from, a, to, b, flags);
}

int __wrap_renameat(int from, const char *a, int to, const char *b)
{
	note('n');
	return __real_renameat(from, a, to, b);
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
	if (strncmp(name, ".part-", 6) != 0)
		note('r');
	return __real_unlinkat(fd, name, flags);
}

int __wrap_fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	note(S_ISDIR(st.st_mode) ? 'd' : 'f');
	if (++seen.n_syncs == seen.fails_at) {
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

static void begin(unsigned fails_at)
{
	bool no_links = seen.no_links;

	memset(&seen, 0, sizeof(seen));
	seen.no_links = no_links;
	seen.fails_at = fails_at;
}

static void a_piece_has_its_bytes_before_its_name_and_then_keeps_it(void **state)
{
	struct fixture *f = *state;
	struct piece_cid cid = make_piece(f, "piece", 7, 3000);

	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	begin(0);
	assert_int_equal(put(f->p, f, "piece", &cid, 3000), 0);
	assert_string_equal(seen.log, "fnd");
	begin(0);
	assert_int_equal(simple(f->p, PROVIDER_REMOVE, &cid), 0);
	assert_string_equal(seen.log, "rd");
	begin(1);
	assert_int_equal(put(f->p, f, "piece", &cid, 3000), -EIO);
	assert_int_equal(size_at(f->p, &cid), -ENOENT);
	begin(1);
	assert_int_equal(simple(f->p, PROVIDER_REMOVE, &cid), -ENOENT);
	begin(0);
	assert_int_equal(put(f->p, f, "piece", &cid, 3000), 0);
	begin(1);
	assert_int_equal(simple(f->p, PROVIDER_REMOVE, &cid), -EIO);
}

/* Whoever gave it may have been killed before its folder was synced. */
static void a_name_that_is_there_already_is_kept_too(void **state)
{
	struct fixture *f = *state;
	_cleanup_keys_ struct keys *k = test_keys();
	struct piece_cid cid = make_piece(f, "piece", 7, 3000);

	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	begin(2);
	assert_int_equal(put(f->p, f, "piece", &cid, 3000), -EIO);
	assert_true(size_at(f->p, &cid) == 3000);
	begin(0);
	assert_int_equal(put(f->p, f, "piece", &cid, 3000), 0);
	assert_string_equal(seen.log, "d");
	begin(1);
	assert_int_equal(put(f->p, f, "piece", &cid, 3000), -EIO);
	begin(3);
	assert_int_equal(head_claim(f->p, k, 1, &cid, NULL), -EIO);
	begin(0);
	assert_int_equal(head_claim(f->p, k, 1, &cid, NULL), 0);
	assert_string_equal(seen.log, "dfnd");
}

/* The folder of heads is as new as the first of them. */
static void a_head_is_claimed_when_it_is_on_the_medium(void **state)
{
	struct fixture *f = *state;
	_cleanup_keys_ struct keys *k = test_keys();
	struct piece_cid cid = make_piece(f, "piece", 7, 3000), got;
	uint64_t h = 0;

	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	for (int i = 0; i < 2; i++) {
		seen.no_links = i == 1;
		begin(0);
		assert_int_equal(head_claim(f->p, k, ++h, &cid, NULL), 0);
		assert_string_equal(seen.log, "dfnd");
		for (unsigned at = 1; at <= 3; at++) {
			begin(at);
			assert_int_equal(head_claim(f->p, k, ++h, &cid, NULL), -EIO);
			begin(0);
			/* the name may be there, and then it says the same */
			assert_int_equal(head_claim(f->p, k, h, &cid, NULL), 0);
			assert_int_equal(head_read(f->p, k, h, &got, NULL), 0);
			assert_true(piece_cid_eq(&got, &cid));
		}
	}
	seen.no_links = false;
}

static void a_new_store_has_its_marker_before_it_has_a_piece(void **state)
{
	struct fixture *f = *state;
	struct piece_cid cid = make_piece(f, "piece", 7, 3000);

	begin(0);
	assert_int_equal(put(f->p, f, "piece", &cid, 3000), 0);
	assert_string_equal(seen.log, "fndfnd");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_piece_has_its_bytes_before_its_name_and_then_keeps_it),
		CASE(a_name_that_is_there_already_is_kept_too),
		CASE(a_head_is_claimed_when_it_is_on_the_medium),
		CASE(a_new_store_has_its_marker_before_it_has_a_piece),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
