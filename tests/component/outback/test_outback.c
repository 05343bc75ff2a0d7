/* test_outback.c - out to the stores, the machine lost, and back from the words */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define MIB (1u << 20)

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	rig_new(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	free(*state);
	return 0;
}

/* Something of everything. */
static void plant(struct device *d)
{
	const struct cache_setattr old = { .mask = CACHE_SET_MODE | CACHE_SET_UID |
						   CACHE_SET_MTIME,
					   .mode = 04711,
					   .uid = 4242,
					   .mtime = { -12345, 678901234 } };
	char name[64], big[3000];

	memset(big, 'x', sizeof(big));
	f_mkdir(d, "dir");
	f_mkdir(d, "dir/empty");
	f_write(d, "dir/small", 0, "hello", 5);
	f_write(d, "dir/none", 0, NULL, 0);
	f_fill(d, "dir/medium", 0, 5000, 1);
	f_fill(d, "dir/big", 0, 3 * MIB + 17, 2);
	f_write(d, "holes", 0, "begin", 5);
	f_write(d, "holes", 9 * MIB + 5, "end", 3);
	f_truncate(d, "holes", 12 * MIB + 1);
	f_truncate(d, f_write(d, "allhole", 0, NULL, 0) ? "allhole" : "", 5 * MIB);
	f_symlink(d, "link", "dir/small");
	f_symlink(d, "longlink", big);
	f_node(d, "fifo", S_IFIFO | 0600, 0);
	f_node(d, "dev", S_IFCHR | 0620, makedev(300, 70000));
	f_link(d, "dir/medium", "hard1");
	f_link(d, "dir/medium", "dir/hard2");
	f_xattr(d, "dir/small", "user.a", "1", 1);
	f_xattr(d, "dir/small", "user.big", big, sizeof(big));
	f_xattr(d, "dir", "user.ondir", "yes", 3);
	f_xattr(d, "hard1", "user.shared", "all", 3);
	f_set(d, "dir/big", &old);
	f_mkdir(d, "many");
	for (int i = 0; i < 700; i++) {
		(void)snprintf(name, sizeof(name), "many/a rather long name %d", i);
		f_write(d, name, 0, name, strlen(name));
	}
}

static void everything_comes_back_from_the_words(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	char *want, *got;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	plant(&a);
	want = tree_text(&a);
	ok(device_sync(&a));
	device_close(&a);
	rig_remove(r, "a");
	device_recover(&b, r, "b", 1, 1, 0);
	got = tree_text(&b);
	tree_same(want, got);
	device_close(&b);
	free(want);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			everything_comes_back_from_the_words, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
