/* test_base.c - properties of the ground everything stands on */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/io.h"
#include "base/list.h"
#include "base/path.h"

static void append_beyond_max_is_refused_and_leaves_buf_alone(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	assert_int_equal(buf_append(&b, slice("abc", 3)), 0);
	assert_int_equal(buf_append(&b, slice("def", 3)), -EMSGSIZE);
	assert_int_equal(b.n, 3);
	assert_memory_equal(b.p, "abc", 3);
	buf_fini(&b);
	buf_fini(&b);
}

static void printf_keeps_no_terminator_in_the_length(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_printf(&b, "%d-%s", 42, "x"), 0);
	assert_int_equal(b.n, 4);
	assert_memory_equal(b.p, "42-x", 5);
	buf_fini(&b);
}

static void varints_come_back_and_take_the_shortest_form(void **state)
{
	static const uint64_t v[] = { 0, 1, 127, 128, 300, 1ull << 32, INT64_MAX };
	struct cursor c;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		buf_init(&b, 16);
		assert_int_equal(buf_varint(&b, v[i]), 0);
		c = cursor(buf_slice(&b));
		assert_true(cursor_varint(&c) == v[i]);
		assert_int_equal(cursor_done(&c), 0);
		buf_fini(&b);
	}
}

static void varints_too_long_or_padded_are_refused(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		{ "\x80", 1 },
		{ "\x81\x00", 2 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10 },
	};
	struct cursor c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		c = cursor(slice(bad[i].p, bad[i].n));
		(void)cursor_varint(&c);
		assert_int_equal(cursor_ok(&c), -EPROTO);
	}
	c = cursor(slice("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10));
	assert_true(cursor_pbvarint(&c) == UINT64_MAX);
	assert_int_equal(cursor_done(&c), 0);
	c = cursor(slice("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));
	(void)cursor_pbvarint(&c);
	assert_int_equal(cursor_ok(&c), -EPROTO);
}

static void the_first_error_of_a_cursor_sticks(void **state)
{
	struct cursor c = cursor(slice("abc", 3));

	(void)state;
	assert_int_equal(cursor_take(&c, 4).n, 0);
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_done(&c), -EPROTO);
}

static void leftover_bytes_are_an_error(void **state)
{
	struct cursor c = cursor(slice("abc", 3));

	(void)state;
	assert_int_equal(cursor_u8(&c), 'a');
	assert_int_equal(cursor_done(&c), -EPROTO);
	(void)cursor_take(&c, 2);
	assert_int_equal(cursor_done(&c), 0);
}

static void the_first_reason_is_kept(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(err_set(&e, -EIO, "disk %d", 1), -EIO);
	assert_int_equal(err_set(&e, -EPERM, "later"), -EPERM);
	assert_string_equal(e.text, "disk 1");
	assert_string_equal(err_str(-EKEYREJECTED), "wrong passphrase");
	assert_string_equal(err_str(-100000), "unknown error");
}

static void lists_keep_order_through_splice_and_removal(void **state)
{
	struct item {
		struct list node;
		int v;
	} it[4];
	struct list a, b;
	int want = 0;

	(void)state;
	list_init(&a);
	list_init(&b);
	for (int i = 0; i < 4; i++) {
		it[i].v = i;
		list_push(i < 2 ? &a : &b, &it[i].node);
	}
	list_splice(&a, &b);
	assert_true(list_empty(&b));
	list_foreach(p, &a)
		assert_int_equal(container_of(p, struct item, node)->v, want++);
	list_foreach_safe(p, &a)
		list_del(p);
	assert_true(list_empty(&a));
	assert_int_equal(want, 4);
}

static int count_names(void *ctx, const char *name)
{
	(void)name;
	++*(int *)ctx;
	return 0;
}

static void a_replaced_file_is_the_old_or_the_new_one(void **state)
{
	char dir[] = "/tmp/fildrive-base-XXXXXX";
	struct io *io;
	struct buf b;
	int n = 0;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(io_dir_new(dir, &io), 0);
	assert_int_equal(io_replace(io, ".", "f", slice_str("one")), 0);
	assert_int_equal(io_replace(io, ".", "f", slice_str("three")), 0);
	buf_init(&b, 100);
	assert_int_equal(io_slurp(io, "f", &b), 0);
	assert_true(slice_eq(buf_slice(&b), slice_str("three")));
	assert_int_equal(io_list(io, ".", count_names, &n), 0);
	assert_int_equal(n, 1);
	buf_fini(&b);
	assert_int_equal(io_unlink(io, "f"), 0);
	io_free(io);
	assert_int_equal(rmdir(dir), 0);
}

static void a_file_holds_what_is_allocated_and_not_its_holes(void **state)
{
	char dir[] = "/tmp/test-base-XXXXXX";
	struct io_file *f = NULL;
	struct io *io = NULL;
	uint64_t n = 0;
	int r;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(io_dir_new(dir, &io), 0);
	assert_int_equal(io_open(io, "f", O_RDWR | O_CREAT, &f), 0);
	assert_int_equal(io_truncate(f, 4u << 20), 0);
	assert_int_equal(io_allocated(f, &n), 0);
	assert_true(n <= 4096);
	r = io_allocate(f, 0, 0, 1u << 20);
	if (r == 0) { /* not every file system can */
		assert_int_equal(io_allocated(f, &n), 0);
		assert_true(n >= 1u << 20 && n < 2u << 20);
	}
	io_close(f);
	assert_int_equal(io_unlink(io, "f"), 0);
	io_free(io);
	assert_int_equal(rmdir(dir), 0);
}

/* Large enough to be given back bit by bit; all but its last bytes are a hole. */
#define LARGE (20u << 20)

static void expect_large(struct io_file *f)
{
	uint64_t n = 0;
	char last[4];

	assert_int_equal(io_size(f, &n), 0);
	assert_int_equal(n, LARGE);
	assert_int_equal(io_pread(f, last, 4, LARGE - 4), 4);
	assert_memory_equal(last, "last", 4);
}

static void who_has_a_large_file_open_keeps_it_when_it_is_unlinked(void **state)
{
	char dir[] = "/tmp/fildrive-base-XXXXXX";
	char path[64], other[64];
	struct io_file *f;
	struct io *io;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/f", dir);
	(void)snprintf(other, sizeof(other), "%s/g", dir);
	assert_int_equal(io_dir_new(dir, &io), 0);
	assert_int_equal(io_open(io, "f", O_RDWR | O_CREAT, &f), 0);
	assert_int_equal(io_pwrite(f, "last", 4, LARGE - 4), 0);
	io_close(f);

	/* by another name */
	assert_int_equal(link(path, other), 0);
	assert_int_equal(io_unlink(io, "f"), 0);
	assert_int_equal(io_open(io, "g", O_RDONLY, &f), 0);
	expect_large(f);
	/* by a handle */
	assert_int_equal(io_unlink(io, "g"), 0);
	expect_large(f);
	io_close(f);
	/* by nothing */
	assert_int_equal(io_open(io, "f", O_RDWR | O_CREAT | O_EXCL, &f), 0);
	assert_int_equal(io_truncate(f, LARGE), 0);
	io_close(f);
	assert_int_equal(io_unlink(io, "f"), 0);
	assert_int_equal(io_unlink(io, "f"), -ENOENT);
	io_free(io);
	assert_int_equal(rmdir(dir), 0);
}

static void what_a_killed_replacement_left_does_not_get_into_the_next(void **state)
{
	char dir[] = "/tmp/fildrive-base-XXXXXX";
	struct io_file *f;
	uint64_t size;
	struct io *io;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(io_dir_new(dir, &io), 0);
	assert_int_equal(io_open(io, "f.tmp", O_RDWR | O_CREAT, &f), 0);
	assert_int_equal(io_pwrite(f, "longer than the new one", 23, 0), 0);
	io_close(f);
	assert_int_equal(io_replace(io, ".", "f", slice("new", 3)), 0);
	assert_int_equal(io_open(io, "f", O_RDONLY, &f), 0);
	assert_int_equal(io_size(f, &size), 0);
	assert_int_equal(size, 3);
	io_close(f);
	assert_int_equal(io_unlink(io, "f"), 0);
	io_free(io);
	assert_int_equal(rmdir(dir), 0);
}

static void a_write_of_which_a_part_finds_room_has_failed(void **state)
{
	const struct rlimit small = { 6000, RLIM_INFINITY };
	char dir[] = "/tmp/fildrive-base-XXXXXX";
	static const uint8_t bytes[8192];
	struct rlimit before;
	struct io_file *f;
	struct io *io;
	int r;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(io_dir_new(dir, &io), 0);
	assert_int_equal(io_open(io, "f", O_RDWR | O_CREAT, &f), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	r = io_pwrite(f, bytes, sizeof(bytes), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(r, -EFBIG);
	io_close(f);
	assert_int_equal(io_unlink(io, "f"), 0);
	io_free(io);
	assert_int_equal(rmdir(dir), 0);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void nobody_else_may_enter_a_drive_directory(void **state)
{
	char dir[] = "/tmp/fildrive-base-XXXXXX";
	mode_t mask = umask(0);
	char below[64];
	struct io *io;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(below, sizeof(below), "%s/data", dir);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(io_dir_new(dir, &io), 0);
	assert_int_equal(mode_of(dir), 0700);
	assert_int_equal(io_mkdir(io, "data"), 0);
	assert_int_equal(mode_of(below), 0700);
	io_free(io);
	if (chown(dir, geteuid() + 1, 0) == 0) /* to somebody else */
		assert_int_equal(io_dir_new(dir, &io), -EPERM);
	assert_int_equal(rmdir(below), 0);
	assert_int_equal(rmdir(dir), 0);
	(void)umask(mask);
}

static void symlinks_in_the_drive_directory_are_not_followed(void **state)
{
	char dir[] = "/tmp/fildrive-base-XXXXXX";
	char link[64];
	struct io_file *f;
	struct io *io;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(link, sizeof(link), "%s/evil", dir);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(io_dir_new(dir, &io), 0);
	assert_int_equal(io_open(io, "evil", O_RDONLY, &f), -ELOOP);
	assert_int_equal(io_open(io, "../etc", O_RDONLY, &f), -EXDEV);
	assert_int_equal(io_unlink(io, "evil"), 0);
	io_free(io);
	assert_int_equal(rmdir(dir), 0);
}

static void drive_names_cannot_leave_the_folder(void **state)
{
	(void)state;
	assert_int_equal(path_check_name("default"), 0);
	assert_int_equal(path_check_name("a.b-c_D9"), 0);
	assert_int_equal(path_check_name(""), -EINVAL);
	assert_int_equal(path_check_name(".."), -EINVAL);
	assert_int_equal(path_check_name("a/b"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(append_beyond_max_is_refused_and_leaves_buf_alone),
		cmocka_unit_test(printf_keeps_no_terminator_in_the_length),
		cmocka_unit_test(varints_come_back_and_take_the_shortest_form),
		cmocka_unit_test(varints_too_long_or_padded_are_refused),
		cmocka_unit_test(the_first_error_of_a_cursor_sticks),
		cmocka_unit_test(leftover_bytes_are_an_error),
		cmocka_unit_test(the_first_reason_is_kept),
		cmocka_unit_test(lists_keep_order_through_splice_and_removal),
		cmocka_unit_test(a_replaced_file_is_the_old_or_the_new_one),
		cmocka_unit_test(a_file_holds_what_is_allocated_and_not_its_holes),
		cmocka_unit_test(
			who_has_a_large_file_open_keeps_it_when_it_is_unlinked),
		cmocka_unit_test(
			what_a_killed_replacement_left_does_not_get_into_the_next),
		cmocka_unit_test(a_write_of_which_a_part_finds_room_has_failed),
		cmocka_unit_test(nobody_else_may_enter_a_drive_directory),
		cmocka_unit_test(symlinks_in_the_drive_directory_are_not_followed),
		cmocka_unit_test(drive_names_cannot_leave_the_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
