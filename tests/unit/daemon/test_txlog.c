/* test_txlog.c - the log of transactions: sealed, whole, in order */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#include "base/err.h"
#include "base/io.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "daemon/drive.h"
#include "daemon/tree.h"
#include "daemon/txlog.h"

struct fixture {
	char dir[64];
	struct drive *d;
	struct keys *keys;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const uint8_t bytes[SECRET_SIZE] = { 9 };
	struct secret *entropy = NULL;

	assert_non_null(f);
	assert_int_equal(secret_init_library(), 0);
	(void)snprintf(f->dir, sizeof(f->dir), "/var/tmp/txlog-XXXXXX"); /* fits */
	assert_non_null(mkdtemp(f->dir));
	f->d = calloc(1, sizeof(*f->d));
	assert_non_null(f->d);
	f->d->dir = strdup(f->dir);
	f->d->lock_fd = -1;
	assert_int_equal(io_dir_new(f->dir, &f->d->io), 0);
	assert_int_equal(secret_new(bytes, &entropy), 0);
	assert_int_equal(keys_from_entropy(entropy, &f->keys), 0);
	secret_free(entropy);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	keys_free(f->keys);
	drive_close(f->d);
	assert_int_equal(tree_remove(f->dir), 0);
	free(f);
	return 0;
}

static struct txlog *open_log(struct fixture *f)
{
	struct txlog *l = NULL;
	struct err e = { "" };

	assert_int_equal(txlog_open(f->d, f->keys, 0, &l, &e), 0);
	return l;
}

static void add(struct txlog *l, const char *text, enum txlog_state state)
{
	struct txlog_tx *tx;

	assert_int_equal(txlog_new(l, "fund", text, u256(5), &tx), 0);
	tx->state = state;
	assert_int_equal(txlog_add_raw(tx, slice_str(text)), 0);
	assert_int_equal(txlog_add_raw(tx, slice_str("again")), 0);
	assert_int_equal(txlog_write(l, tx), 0);
}

static void what_was_written_is_there_again(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ struct sender_row *rows = NULL;
	struct txlog *l = open_log(f);
	struct txlog_tx *tx;
	size_t n = 0;

	add(l, "first", TXLOG_OPEN);
	add(l, "second", TXLOG_ARMED);
	add(l, "third", TXLOG_OPEN);
	tx = txlog_find(l, 1);
	tx->state = TXLOG_OVER;
	tx->outcome.end = SENDER_MINED;
	tx->outcome.fee = u256(77);
	tx->told = true;
	assert_int_equal(txlog_write(l, tx), 0);
	txlog_close(l);

	l = open_log(f);
	tx = txlog_next(l, NULL);
	assert_string_equal(tx->text, "first");
	assert_int_equal(tx->outcome.end, SENDER_MINED);
	assert_true(u256_eq(tx->outcome.fee, u256(77)));
	assert_true(tx->told);
	assert_true(u256_eq(tx->amount, u256(5)));
	tx = txlog_in(l, TXLOG_ARMED, NULL);
	assert_int_equal(tx->intent, 2);
	assert_int_equal(txlog_rows(l, &rows, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(rows[0].intent, 3);
	assert_true(slice_eq(rows[0].raw, slice_str("third")));
	assert_true(slice_eq(rows[1].raw, slice_str("again")));
	assert_int_equal(txlog_drop(l, tx), 0);
	assert_null(txlog_in(l, TXLOG_ARMED, NULL));
	add(l, "fourth", TXLOG_OPEN);
	txlog_close(l);
	l = open_log(f);
	assert_null(txlog_find(l, 2));
	assert_non_null(txlog_find(l, 4));
	txlog_close(l);
}

static void only_one_works_on_it(void **state)
{
	struct fixture *f = *state;
	struct txlog *l = open_log(f), *second = NULL;
	struct err e = { "" };

	assert_int_equal(txlog_open(f->d, f->keys, 20, &second, &e), -ENOTUNIQ);
	assert_non_null(strstr(e.text, "another process"));
	txlog_close(l);
	txlog_close(open_log(f));
}

static void *close_soon(void *l)
{
	(void)poll(NULL, 0, 100);
	txlog_close(l);
	return NULL;
}

static void who_may_wait_gets_it_after_the_other(void **state)
{
	struct fixture *f = *state;
	struct txlog *l = open_log(f), *second = NULL;
	struct err e = { "" };
	pthread_t other;

	assert_int_equal(pthread_create(&other, NULL, close_soon, l), 0);
	assert_int_equal(txlog_open(f->d, f->keys, 600000, &second, &e), 0);
	assert_int_equal(pthread_join(other, NULL), 0);
	txlog_close(second);
}

static void a_changed_or_moved_file_is_damage(void **state)
{
	struct fixture *f = *state;
	struct io_file *file = NULL;
	struct txlog *l = open_log(f);
	struct err e = { "" };
	uint8_t b = 0;

	add(l, "one", TXLOG_OPEN);
	txlog_close(l);
	assert_int_equal(io_open(f->d->io, "tx/0000000000000001", O_RDWR, &file), 0);
	assert_int_equal(io_pread(file, &b, 1, 60), 1);
	b ^= 1;
	assert_int_equal(io_pwrite(file, &b, 1, 60), 0);
	assert_int_equal(txlog_open(f->d, f->keys, 0, &l, &e), -EUCLEAN);
	b ^= 1;
	assert_int_equal(io_pwrite(file, &b, 1, 60), 0);
	io_close(file);
	txlog_close(open_log(f));
	assert_int_equal(io_rename(f->d->io, "tx/0000000000000001",
				   "tx/0000000000000002"),
			 0);
	assert_int_equal(txlog_open(f->d, f->keys, 0, &l, &e), -EUCLEAN);
}

static void the_disk_does_not_tell_what_was_sent(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = { 0 };
	struct txlog *l = open_log(f);

	add(l, "deposit 5 USDFC", TXLOG_OPEN);
	txlog_close(l);
	buf_init(&b, TXLOG_FILE_MAX);
	assert_int_equal(io_slurp(f->d->io, "tx/0000000000000001", &b), 0);
	assert_null(memmem(b.p, b.n, "USDFC", 5));
	assert_null(memmem(b.p, b.n, "fund", 4));
}

/* What a stranger says of a transaction may be anything, and is cut anywhere. */
static void words_that_are_no_utf_8_do_not_stop_the_log(void **state)
{
	struct fixture *f = *state;
	struct txlog *l = open_log(f);
	struct txlog_tx *tx = NULL;

	assert_int_equal(txlog_new(l, "fund", "to P\xc3", u256(5), &tx), 0);
	(void)err_set(&tx->outcome.err, -EPROTO, "it said \xff");
	assert_int_equal(txlog_write(l, tx), 0);
	txlog_close(l);
	l = open_log(f);
	tx = txlog_next(l, NULL);
	assert_string_equal(tx->text, "to P\\xc3");
	assert_string_equal(tx->outcome.err.text, "it said \\xff");
	txlog_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_written_is_there_again,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_one_works_on_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			who_may_wait_gets_it_after_the_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_changed_or_moved_file_is_damage,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_disk_does_not_tell_what_was_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(words_that_are_no_utf_8_do_not_stop_the_log,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
