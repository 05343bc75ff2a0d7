/*
 * test_passwd.c - a cut while the passphrases of a drive change
 *
 * The file `keys` is all that they stand in, and it is written by one function.
 * Whatever was lost, the disk has one whole version of it, no older than the last
 * one that a command has called done.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "crypto/slot.h"
#include "daemon/drive.h"
#include "helper/recorder.h"

#define COST     (&slot_cost_test)
#define VERSIONS 5
#define SEEDS    16

struct version {
	struct buf file;
	const char *opens[3], *shut[3]; /* passphrases; up to NULL */
	size_t done;                    /* in the log, when it was there */
};

struct world {
	struct recorder *rec;
	struct version v[VERSIONS];
};

/* ---- what passwd does ---- */

static struct drive *drive_on(struct recorder *rec)
{
	struct drive *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	d->io = recorder_io(rec);
	d->dir = strdup("dir");
	assert_non_null(d->dir);
	buf_init(&d->keys_file, SLOT_FILE_SIZE);
	return d;
}

static void drive_off(struct drive *d)
{
	buf_fini(&d->keys_file);
	free(d->dir);
	free(d);
}

static struct slice reread(struct drive *d)
{
	assert_int_equal(drive_reread_keys(d, NULL), 0);
	return buf_slice(&d->keys_file);
}

static void step(struct world *w, struct drive *d, unsigned i)
{
	struct buf *b = &w->v[i].file;
	struct secret *s;

	buf_init(b, SLOT_FILE_SIZE);
	if (i == 0) {
		assert_int_equal(secret_new_random(&s), 0);
		assert_int_equal(slot_create(s, slice_str("old"), COST, b, NULL), 0);
		secret_free(s);
	} else if (i == 1) {
		assert_int_equal(slot_change(reread(d), slice_str("old"),
					     slice_str("new"), COST, b, NULL),
				 0);
	} else if (i == 2) {
		assert_int_equal(slot_add(reread(d), slice_str("new"),
					  slice_str("second"), COST, b, NULL),
				 0);
	} else if (i == 3) {
		assert_int_equal(slot_remove(reread(d), slice_str("new"), b, NULL),
				 0);
	} else {
		assert_int_equal(slot_change(reread(d), slice_str("second"),
					     slice_str("last"), COST, b, NULL),
				 0);
	}
	assert_int_equal(drive_replace_keys(d, buf_slice(b)), 0);
	w->v[i].done = recorder_length(w->rec);
}

static bool opens(const struct buf *file, const char *passphrase)
{
	_cleanup_keys_ struct keys *k = NULL;
	int r = slot_open(buf_slice(file), slice_str(passphrase), &k, NULL);

	assert_true(r == 0 || r == -EKEYREJECTED);
	return r == 0;
}

static int begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct drive *d;

	assert_non_null(w);
	w->v[0] = (struct version){ .opens = { "old" }, .shut = { "new" } };
	w->v[1] = (struct version){ .opens = { "new" }, .shut = { "old" } };
	w->v[2] = (struct version){ .opens = { "new", "second" },
				    .shut = { "old" } };
	w->v[3] = (struct version){ .opens = { "second" },
				    .shut = { "old", "new" } };
	w->v[4] = (struct version){ .opens = { "last" },
				    .shut = { "new", "second" } };
	assert_int_equal(secret_init_library(), 0);
	assert_int_equal(recorder_new(&w->rec), 0);
	d = drive_on(w->rec);
	for (unsigned i = 0; i < VERSIONS; i++)
		step(w, d, i);
	drive_off(d);
	*state = w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < VERSIONS; i++)
		buf_fini(&w->v[i].file);
	recorder_free(w->rec);
	free(w);
	return 0;
}

/* ---- what is found ---- */

/* Which version the disk has: the last one that was done, or the one after it. */
static unsigned found(struct world *w, struct drive *d, size_t at)
{
	struct slice file = reread(d);
	unsigned least = 0;

	for (unsigned i = 0; i < VERSIONS; i++)
		if (w->v[i].done <= at)
			least = i;
	for (unsigned i = least; i < VERSIONS && i <= least + 1; i++)
		if (slice_eq(file, buf_slice(&w->v[i].file)))
			return i;
	fail_msg("a cut at %zu leaves neither version %u nor the next", at, least);
	return 0;
}

/* The command that was cut is called again. */
static void again(struct world *w, struct drive *d, struct recorder *disk,
		  unsigned version)
{
	struct recorder *after;
	struct recorder_cut cut = { .lose = RECORDER_ALL };
	const struct version *next = &w->v[MIN(version + 1, VERSIONS - 1)];
	struct drive *e;

	assert_int_equal(drive_replace_keys(d, buf_slice(&next->file)), 0);
	cut.at = recorder_length(disk);
	assert_int_equal(recorder_replay(disk, &cut, &after), 0);
	e = drive_on(after);
	assert_true(slice_eq(reread(e), buf_slice(&next->file)));
	drive_off(e);
	recorder_free(after);
}

static void cut_at(struct world *w, const struct recorder_cut *cut)
{
	struct recorder *disk;
	struct drive *d;

	assert_int_equal(recorder_replay(w->rec, cut, &disk), 0);
	d = drive_on(disk);
	again(w, d, disk, found(w, d, cut->at));
	drive_off(d);
	recorder_free(disk);
}

static void each_version_opens_with_its_passphrases_alone(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < VERSIONS; i++) {
		const struct version *v = &w->v[i];

		for (size_t k = 0; k < ARRAY_LEN(v->opens) && v->opens[k]; k++)
			assert_true(opens(&v->file, v->opens[k]));
		for (size_t k = 0; k < ARRAY_LEN(v->shut) && v->shut[k]; k++)
			assert_false(opens(&v->file, v->shut[k]));
	}
}

static void a_cut_leaves_the_passphrases_of_before_or_after(void **state)
{
	struct world *w = *state;

	for (size_t at = w->v[0].done; at <= recorder_length(w->rec); at++) {
		for (int lose = RECORDER_NOTHING; lose <= RECORDER_PICK; lose++) {
			unsigned seeds = lose >= RECORDER_SOME ? SEEDS : 1;

			for (unsigned seed = 0; seed < seeds; seed++) {
				struct recorder_cut cut = {
					at, (enum recorder_lose)lose, seed
				};

				cut_at(w, &cut);
			}
		}
	}
}

/* A disk that fails: the command says so, and one of the two is there, whole. */
static void a_failing_call_leaves_the_passphrases_of_before_or_after(void **state)
{
	struct world *w = *state;
	const struct version *v = &w->v[2], *next = &w->v[3];
	struct recorder *disk;
	struct slice file;
	struct drive *d;

	for (uint64_t nth = 0;; nth++) {
		struct recorder_cut cut = { .at = v->done, .lose = RECORDER_ALL };
		int r;

		assert_int_equal(recorder_replay(w->rec, &cut, &disk), 0);
		d = drive_on(disk);
		recorder_fail(disk, RECORDER_ANY, nth, EIO, false);
		r = drive_replace_keys(d, buf_slice(&next->file));
		if (recorder_failed(disk) == 0) {
			assert_int_equal(r, 0);
			assert_true(nth >= 4); /* open, write, sync, rename … */
			drive_off(d);
			recorder_free(disk);
			return;
		}
		assert_int_equal(r, -EIO);
		recorder_fail(disk, 0, 0, 0, false);
		file = reread(d);
		assert_true(slice_eq(file, buf_slice(&v->file)) ||
			    slice_eq(file, buf_slice(&next->file)));
		drive_off(d);
		recorder_free(disk);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_version_opens_with_its_passphrases_alone),
		T(a_cut_leaves_the_passphrases_of_before_or_after),
		T(a_failing_call_leaves_the_passphrases_of_before_or_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
