/* test_gc_damage.c - the damaged files of lost pieces go, too, once nothing names them */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define MIB (1u << 20)

/* A byte in the middle of the largest file of "s0". */
static void rot(struct rig *r)
{
	static struct piece_file v[256];
	size_t n = store_pieces(r, "s0", v, ARRAY_LEN(v)), at = 0;
	char name[256], path[256];
	uint8_t b;
	int fd;

	assert_in_range(n, 1, ARRAY_LEN(v));
	for (size_t i = 0; i < n; i++)
		if (v[i].size > v[at].size)
			at = i;
	(void)snprintf(name, sizeof(name), "s0/%.200s", v[at].name); /* fits */
	rig_path(r, name, path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, (off_t)v[at].size / 2), 1);
	b ^= 1;
	assert_int_equal(pwrite(fd, &b, 1, (off_t)v[at].size / 2), 1);
	assert_int_equal(close(fd), 0);
}

/* All is read back; a commit is made of what is sealed anew. */
static void verify(struct device *d)
{
	assert_true(device_verify(d, NULL) >= 0);
	ok(device_sync(d));
}

/* All of the lost piece is here, and is sealed into another one; the snapshot of the
 * first commit, and nobody else, still names the one that is damaged. */
static void a_damaged_file_goes_once_nothing_names_its_piece(void **state)
{
	struct onboard_gc g;
	struct rig *r = *state;
	struct device a;
	char *want;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "f", 0, 6 * MIB, 1);
	ok(device_sync(&a));
	rot(r);
	verify(&a);
	assert_in_range(store_bytes(r, "s0"), 12 * MIB, 14 * MIB);
	g = device_gc(&a, 0);
	assert_int_equal(g.condemned.pieces, 0);
	assert_in_range(store_bytes(r, "s0"), 12 * MIB, 14 * MIB);

	g = device_gc(&a, 100);
	assert_in_range(g.condemned.bytes, 6 * MIB, 7 * MIB);
	device_until_left(&a, 0, 0);
	assert_in_range(store_bytes(r, "s0"), 6 * MIB, 8 * MIB);
	assert_int_equal(device_gc(&a, 100).dead.bytes / MIB, 0);
	want = tree_text(&a);
	assert_null(strstr(want, "unreadable"));
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

/* Of the file nothing is here: the blocks that are sound are nowhere else. */
static void sound_blocks_of_a_damaged_file_stay_while_a_file_has_them(void **state)
{
	static uint8_t want[MIB], got[MIB];
	struct rig *r = *state;
	struct onboard_gc g;
	struct device a;
	size_t n;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "f", 0, 6 * MIB, 1);
	ok(f_read(&a, "f", 0, want, sizeof(want), &n));
	ok(device_sync(&a));
	ok(cache_sync(a.cache));
	ok(cache_evict(a.cache, 0));
	rot(r);
	verify(&a);
	g = device_gc(&a, 100);
	assert_true(g.condemned.bytes < MIB);
	ok(cache_sync(a.cache));
	ok(cache_evict(a.cache, 0));
	ok(f_read(&a, "f", 0, got, sizeof(got), &n));
	assert_int_equal(n, sizeof(got));
	assert_memory_equal(want, got, sizeof(got));

	f_unlink(&a, "f");
	ok(device_sync(&a));
	g = device_gc(&a, 100);
	assert_in_range(g.condemned.bytes, 11 * MIB, 12 * MIB);
	device_until_left(&a, 0, 0);
	assert_true(store_bytes(r, "s0") < MIB);
	device_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_damaged_file_goes_once_nothing_names_its_piece,
			rig_set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(
			sound_blocks_of_a_damaged_file_stay_while_a_file_has_them,
			rig_set_up, rig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
