/* A folder stands in for /, with the files of /proc and /sys that count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/path.h"
#include "daemon/swap.h"
#include "daemon/tree.h"

struct root {
	char path[32];
};

static int set_up(void **state)
{
	struct root *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	(void)snprintf(r->path, sizeof(r->path), "/tmp/fd-swap-XXXXXX");
	assert_non_null(mkdtemp(r->path));
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct root *r = *state;

	assert_int_equal(tree_remove(r->path), 0);
	free(r);
	return 0;
}

static void put(struct root *r, const char *at, const char *text)
{
	char path[256], *last;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s%s", r->path, at);
	last = strrchr(path, '/');
	*last = '\0';
	assert_int_equal(path_make_dirs(path), 0);
	*last = '/';
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

#define HEAD "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

static void plain_are(struct root *r, int n, const char *names)
{
	char got[128];

	assert_int_equal(swap_plain(r->path, got, sizeof(got)), n);
	assert_string_equal(got, names);
}

static void without_swap_there_is_nothing_to_say(void **state)
{
	struct root *r = *state;

	plain_are(r, 0, "");
	put(r, "/proc/swaps", HEAD);
	plain_are(r, 0, "");
}

static void a_partition_is_plain(void **state)
{
	struct root *r = *state;

	put(r, "/proc/swaps", HEAD "/dev/nosuch3 partition\t8\t0\t-2\n");
	put(r, "/sys/class/block/nosuch3/size", "8");
	plain_are(r, 1, "/dev/nosuch3");
}

static void dm_crypt_is_not_also_below_other_devices(void **state)
{
	struct root *r = *state;

	put(r, "/proc/swaps",
	    HEAD "/dev/nosuch-1 partition\t8\t0\t-2\n"
		 "/dev/nosuch-2 partition\t8\t0\t-3\n"
		 "/dev/nosuch-3 partition\t8\t0\t-3\n");
	put(r, "/sys/class/block/nosuch-1/dm/uuid", "CRYPT-PLAIN-swap\n");
	/* a logical volume on it */
	put(r, "/sys/class/block/nosuch-2/dm/uuid", "LVM-abc\n");
	put(r, "/sys/class/block/nosuch-2/slaves/nosuch-1", "");
	/* and one that spans a plain disk as well */
	put(r, "/sys/class/block/nosuch-3/slaves/nosuch-1", "");
	put(r, "/sys/class/block/nosuch-3/slaves/nosuchdisk", "");
	plain_are(r, 1, "/dev/nosuch-3");
}

static void zram_is_plain_only_with_a_disk_behind_it(void **state)
{
	struct root *r = *state;

	put(r, "/proc/swaps",
	    HEAD "/dev/zram98 partition\t8\t0\t100\n"
		 "/dev/zram99 partition\t8\t0\t100\n");
	put(r, "/sys/class/block/zram98/backing_dev", "none\n");
	put(r, "/sys/class/block/zram99/backing_dev", "/dev/nosuch3\n");
	plain_are(r, 1, "/dev/zram99");
}

static void a_file_is_as_the_device_of_its_file_system(void **state)
{
	struct root *r = *state;
	char text[256], link[256];
	struct stat st;

	put(r, "/swap file", "");
	(void)snprintf(text, sizeof(text),
		       HEAD "%s/swap\\040file file\t8\t0\t-2\n", r->path);
	put(r, "/proc/swaps", text);
	(void)snprintf(text, sizeof(text), "%s/swap file", r->path);
	plain_are(r, 1, text); /* nothing is known of it */
	assert_int_equal(stat(text, &st), 0);
	put(r, "/sys/dev/block/x", "");
	(void)snprintf(link, sizeof(link), "%s/sys/dev/block/%u:%u", r->path,
		       major(st.st_dev), minor(st.st_dev));
	assert_int_equal(symlink("../../devices/virtual/block/nosuch-7", link), 0);
	plain_are(r, 1, text);
	put(r, "/sys/class/block/nosuch-7/dm/uuid", "CRYPT-LUKS2-abc");
	plain_are(r, 0, "");
}

static void devices_that_stand_on_themselves_end(void **state)
{
	struct root *r = *state;

	put(r, "/proc/swaps", HEAD "/dev/nosuch-1 partition\t8\t0\t-2\n");
	put(r, "/sys/class/block/nosuch-1/slaves/nosuch-1", "");
	plain_are(r, 1, "/dev/nosuch-1");
}

static void more_areas_than_room_are_counted(void **state)
{
	struct root *r = *state;
	char text[4096] = HEAD, got[16];

	for (int i = 0; i < 40; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
			       "/dev/nosuch%d partition 8 0 -2\n", i);
	put(r, "/proc/swaps", text);
	assert_int_equal(swap_plain(r->path, got, sizeof(got)), 40);
	assert_string_equal(got, "/dev/nosuch0, /");
}

#define with_root(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_root(without_swap_there_is_nothing_to_say),
		with_root(a_partition_is_plain),
		with_root(dm_crypt_is_not_also_below_other_devices),
		with_root(zram_is_plain_only_with_a_disk_behind_it),
		with_root(a_file_is_as_the_device_of_its_file_system),
		with_root(devices_that_stand_on_themselves_end),
		with_root(more_areas_than_room_are_counted),
	};

	return cmocka_run_group_tests_name("swap", tests, NULL, NULL);
}
