/* test_db_threads.c - a writer, readers and a checkpointer, each on its thread */
#include "common.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "db/share.h"

#define ROUNDS   300 /* at least; and until readers had their turns */
#define SEEN_MIN 10
#define ALONE    500 /* transactions of the only writer */

struct shared {
	struct recorder *rec;
	atomic_bool done;
	atomic_int error; /* -errno, or 1: a snapshot that is none */
	atomic_int n_seen;
};

static void give_up(struct shared *s, int error)
{
	int none = 0;

	(void)atomic_compare_exchange_strong(&s->error, &none, error);
	atomic_store(&s->done, true);
}

/* Moves one unit between two rows: their sum is 1000 in every snapshot. */
static void *write_rounds(void *arg)
{
	struct shared *s = arg;
	struct db *db = NULL;
	int r = try_open(s->rec, &db);

	for (unsigned i = 0; r == 0 && !atomic_load(&s->done); i++) {
		if (i >= ROUNDS && atomic_load(&s->n_seen) > SEEN_MIN)
			break;
		r = db_begin(db);
		if (r == -EBUSY) { /* a TRUNCATE is under way */
			r = 0;
			i--;
			continue;
		}
		if (r == 0)
			r = db_exec(db, "UPDATE sum SET n = n + 1 WHERE k = 1");
		if (r == 0)
			r = db_exec(db, "UPDATE sum SET n = n - 1 WHERE k = 2");
		if (r == 0)
			r = db_commit(db);
	}
	if (r < 0)
		give_up(s, r);
	atomic_store(&s->done, true);
	db_close(db);
	return NULL;
}

static void *read_sums(void *arg)
{
	struct shared *s = arg;
	struct db_stmt *st = NULL;
	struct db *db = NULL;
	int64_t last = -1, now, n;
	int r = try_open(s->rec, &db);

	if (r == 0)
		r = db_prepare(db, "SELECT n FROM sum ORDER BY k", &st);
	while (r == 0 && !atomic_load(&s->done)) {
		r = db_begin_read(db);
		if (r < 0)
			break;
		r = db_step(st);
		now = r == 1 ? db_col_i64(st, 0) : -1;
		if (r == 1)
			r = db_step(st);
		n = r == 1 ? now + db_col_i64(st, 0) : 0;
		db_reset(st);
		if (r == 1)
			r = db_commit(db);
		if (r == 0 && (n != 1000 || now < last))
			give_up(s, 1);
		last = now;
		(void)atomic_fetch_add(&s->n_seen, 1);
	}
	if (r < 0)
		give_up(s, r);
	db_stmt_free(st);
	db_close(db);
	return NULL;
}

static void *checkpoint(void *arg)
{
	struct shared *s = arg;
	struct db *db = NULL;
	int r = try_open(s->rec, &db);

	for (unsigned i = 0; r == 0 && !atomic_load(&s->done); i++) {
		r = db_checkpoint(db, (enum db_checkpoint)(i % 3));
		if (r == -EBUSY)
			r = 0;
		(void)db_wal_size(db);
	}
	if (r < 0)
		give_up(s, r);
	db_close(db);
	return NULL;
}

/* Opens and closes all the time: recovery and last closes between the others. */
static void *come_and_go(void *arg)
{
	struct shared *s = arg;
	struct db *db = NULL;
	int r = 0;

	while (r == 0 && !atomic_load(&s->done)) {
		r = try_open(s->rec, &db);
		if (r == 0)
			db_close(db);
	}
	if (r < 0)
		give_up(s, r);
	return NULL;
}

static void threads_see_only_whole_transactions(void **state)
{
	static void *(*const run[])(void *) = { write_rounds, read_sums, read_sums,
						checkpoint, come_and_go };
	struct shared s = { .rec = new_disk() };
	pthread_t t[ARRAY_LEN(run)];
	struct db *db = open_db(s.rec);

	(void)state;
	assert_int_equal(
		db_exec(db, "CREATE TABLE sum (k INTEGER PRIMARY KEY, n)"), 0);
	assert_int_equal(db_exec(db, "INSERT INTO sum VALUES (1, 0), (2, 1000)"), 0);
	db_close(db);
	for (size_t i = 0; i < ARRAY_LEN(run); i++)
		assert_int_equal(pthread_create(&t[i], NULL, run[i], &s), 0);
	for (size_t i = 0; i < ARRAY_LEN(run); i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(atomic_load(&s.error), 0);
	assert_true(atomic_load(&s.n_seen) > SEEN_MIN);
	db = open_db(s.rec);
	assert_int_equal(db_check(db, NULL), 0);
	db_close(db);
	recorder_free(s.rec);
}

/* Begins one snapshot after the other. */
static void *begin_to_read(void *arg)
{
	struct shared *s = arg;
	struct db *db = NULL;
	int r = try_open(s->rec, &db);

	while (r == 0 && !atomic_load(&s->done)) {
		r = db_begin_read(db);
		if (r == 0)
			r = db_commit(db);
		(void)atomic_fetch_add(&s->n_seen, 1);
	}
	if (r < 0)
		give_up(s, r);
	db_close(db);
	return NULL;
}

/* If it fails, then in few runs; with tests/run.sh --jitter in each. */
static void the_only_writer_is_never_refused(void **state)
{
	struct shared s = { .rec = new_disk() };
	struct db *db = open_db(s.rec);
	pthread_t t[3];
	int r = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, begin_to_read, &s), 0);
	for (uint64_t k = 1; r == 0 && !atomic_load(&s.done); k++) {
		if (k > ALONE && atomic_load(&s.n_seen) > SEEN_MIN)
			break;
		r = put_in_transaction(db, k, 100);
	}
	atomic_store(&s.done, true);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(r, 0);
	assert_int_equal(atomic_load(&s.error), 0);
	db_close(db);
	recorder_free(s.rec);
}

/* What SQLite does for a reader who finds the head of the wal-index half written. */
struct looker {
	struct share *sh;
	atomic_bool looks, gone;
};

static void *look(void *arg)
{
	struct looker *l = arg;
	int r = share_slots_take(l->sh, SHARE_SLOT_WRITE, 1, true, false);

	atomic_store(&l->looks, true);
	(void)poll(NULL, 0, 50); /* or less: then nobody waits for it */
	atomic_store(&l->gone, true);
	if (r == 0)
		share_slots_drop(l->sh, SHARE_SLOT_WRITE, 1, true);
	return NULL;
}

static void a_writer_waits_for_who_looks(void **state)
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec);
	struct looker l = { 0 };
	pthread_t t;
	int r;

	(void)state;
	assert_int_equal(share_get(recorder_io(rec), DB_FILE, &l.sh), 0);
	share_opened();
	assert_int_equal(pthread_create(&t, NULL, look, &l), 0);
	while (!atomic_load(&l.looks))
		(void)poll(NULL, 0, 1);
	r = db_begin(db);
	assert_true(atomic_load(&l.gone));
	assert_int_equal(r, 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(put_row(db, 1, 100), 0);
	assert_int_equal(db_commit(db), 0);
	share_closing();
	share_put(l.sh);
	db_close(db);
	recorder_free(rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_see_only_whole_transactions),
		cmocka_unit_test(the_only_writer_is_never_refused),
		cmocka_unit_test(a_writer_waits_for_who_looks),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
